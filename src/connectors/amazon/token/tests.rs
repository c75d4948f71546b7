use serde_json::{Value, json};

use super::*;
use crate::connectors::{http::Answer, token::granted};

#[test]
fn a_token_is_asked_for_as_login_with_amazon_wants_it() {
    use secrecy::ExposeSecret;
    let credentials = Credentials {
        lwa_url: Url::parse("https://api.amazon.com/auth/o2/token").expect("a URL"),
        client_id: "client".to_owned(),
        client_secret: SecretString::from("hush"),
        grant: Grant::Seller(SecretString::from("Atzr|hush")),
    };
    let form = |credentials: Credentials| -> Vec<String> {
        let form = credentials.asked().form;
        form.iter().map(|(name, value)| format!("{name}={}", value.expose_secret())).collect()
    };
    let own = Credentials { grant: Grant::App(NOTIFICATIONS), ..credentials.clone() };
    let want =
        ["grant_type=refresh_token", "refresh_token=Atzr|hush", "client_id=client", "client_secret=hush"];
    assert_eq!(form(credentials), want);
    let scope = "scope=sellingpartnerapi::notifications";
    assert_eq!(form(own), ["grant_type=client_credentials", scope, "client_id=client", "client_secret=hush"]);
}

/// Status and body of the token endpoint, and the start of what a write is told.
#[track_caller]
fn check(status: u16, body: &Value, want: &str) {
    let answer = Answer { status, headers: Default::default(), body: body.to_string().into() };
    let outcome = granted(&answer, advice).expect_err("no token").outcome();
    let told = format!("{outcome:?}");
    assert!(told.starts_with(want), "{told}");
}

#[test]
fn each_refusal_says_what_to_change() {
    let error = |code: &str| json!({"error": code, "error_description": "d"});
    let refused = "Unauthorized { reason: \"the token endpoint answered `";
    check(400, &error("invalid_grant"), &format!("{refused}invalid_grant`: d; `refresh_token`"));
    check(401, &error("invalid_client"), &format!("{refused}invalid_client`: d; `client_id`"));
    check(400, &error("unauthorized_client"), &format!("{refused}unauthorized_client`: d; the app"));
    check(400, &error("invalid_scope"), &format!("{refused}invalid_scope`: d; check `lwa_url`"));
    check(404, &json!("nothing"), "Unauthorized { reason: \"the token endpoint answered 404");
}
