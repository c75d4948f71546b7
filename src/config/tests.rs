//! Whole files: what they become, and what is said of those that are wrong.

mod cross;
mod environment;
mod example;
mod fuzz;
mod secrets;
mod single;
mod text;

use crate::config::{Config, EXAMPLE, Env, Problems};

/// The keys that are needed, with the values of the example.
const MINIMAL: &str = r#"
[[locations]]
id = "warehouse"

[channels.shopify.main]
shop = "example.myshopify.com"
access_token = { credential = "shopify-main-token" }
webhook_secrets = [{ credential = "shopify-main-webhook" }]
locations = ["warehouse"]
location_id = 655441491

[channels.amazon.us]
region = "na"
seller_id = "A1B2C3D4E5F6G7"
marketplaces = ["ATVPDKIKX0DER"]
client_id = "amzn1.application-oa2-client.0123456789abcdef"
client_secret = { credential = "amazon-us-client-secret" }
refresh_token = { credential = "amazon-us-refresh-token" }
locations = ["warehouse"]

[channels.tryton.erp]
base_url = "https://erp.example.org/"
database = "production"
key = { credential = "tryton-erp-key" }
company = 1
customer = "WEB"
warehouse = "WH"
location = "warehouse"
"#;

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse("evenkeel.toml", text, &Env::new())
}

/// Returns the example with the first `from` of each pair replaced; `from` must be there.
#[track_caller]
fn edited(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(EXAMPLE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the example does not hold `{from}`");
        text.replacen(from, to, 1)
    })
}

/// Writes each problem without its place.
fn told(result: Result<Config, Problems>) -> Vec<String> {
    let Err(problems) = result else { return Vec::new() };
    let bare = |problem: &super::Problem| {
        let mut problem = problem.clone();
        problem.place = None;
        problem.to_string().replacen("evenkeel.toml: ", "", 1)
    };
    problems.iter().map(bare).collect()
}

/// Edits the example and expects exactly these problems.
#[track_caller]
fn check(edits: &[(&str, &str)], want: &[&str]) {
    assert_eq!(told(parse(&edited(edits))), want);
}
