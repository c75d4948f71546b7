//! The configuration that the README describes: it is good as it stands, and runs a daemon on loopback.

use std::{collections::BTreeSet, path::Path};

use evenkeel::config::{Config, Env, Secrets};
use toml::Table;

use crate::support::{World, secret};

const README: &str = include_str!("../../README.md");
const CREDENTIALS: &str = include_str!("../../deploy/systemd/evenkeel.service.d/credentials.conf");

/// What the README's Amazon channel keeps back.
pub(crate) const BUFFER: i64 = 2;

/// What stands in for the real systems, and delays that suit them. The rest is as the README has it.
const LOOPBACK: &str = r#"
store = { path = "@DIR@/store" }
web = { listen = "@WEB@" }
socket = { path = "@DIR@/evenkeel.sock" }
log = { format = "text" }
retry = { base = "200ms", cap = "2s", circuit_open = "2s" }

[channels.shopify.main]
shop = "@SHOP@"
base_url = "@SHOPIFY@"
location_id = @LOCATION@
# Webhooks tell of every order.
orders_every = "1h"
assume = { late = "3s", stale = "0s", feed_lag = "0s", visible = "5s", look = "100ms" }

[channels.amazon.us]
base_url = "@AMAZON@"
lwa_url = "@LWA@"
seller_id = "@SELLER@"
marketplaces = ["@MARKETPLACE@"]
client_id = "@CLIENT@"
orders_every = "2s"
orders_overlap = "5s"
assume = { late = "5s", stale = "0s", feed_lag = "1s", visible = "5s", look = "300ms" }

[channels.amazon.us.rates]
search_orders = { per_second = 1.0, burst = 20 }
get_order = { per_second = 50.0, burst = 100 }
patch_listings_item = { per_second = 500.0, burst = 500 }
get_listings_item = { per_second = 500.0, burst = 500 }
search_listings_items = { per_second = 500.0, burst = 500 }

[channels.tryton.erp]
base_url = "@ERP@"
database = "@DATABASE@"
customer = "@CUSTOMER@"
warehouse = "@WAREHOUSE@"
levels_every = "1s"
levels_overlap = "5s"
sweep_every = "10s"
assume = { late = "2s" }
"#;

/// Returns the block of the section *Configure*.
fn block() -> &'static str {
    let section = README.split_once("**3. Configure**").expect("the README tells how to configure").1;
    let block = section.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```"));
    block.expect("with a block of TOML").0
}

/// Puts the values of one table over another's.
fn put_over(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => put_over(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

/// Writes the README's configuration for a sandbox, with its secrets below `secrets`; `over` has the last word.
pub(crate) async fn write(world: &World, dir: &Path, web: &str, over: &str) {
    let systems = world.get("systems").await;
    let secrets = dir.join("secrets");
    std::fs::create_dir(&secrets).expect("the directory is fresh");
    for (name, system, key) in [
        ("shopify-main-token", "shopify", "access_token"),
        ("shopify-main-webhook", "shopify", "client_secret"),
        ("amazon-us-client-secret", "amazon", "client_secret"),
        ("amazon-us-refresh-token", "amazon", "refresh_token"),
        ("tryton-erp-key", "erp", "key"),
    ] {
        secret(&secrets, name, systems[system][key].as_str().expect("the sandbox tells it"));
    }
    let filled = crate::support::filled(LOOPBACK, &systems)
        .replace("@DIR@", &dir.display().to_string())
        .replace("@WEB@", web);
    let mut config: Table = block().parse().expect("the README's block is TOML");
    put_over(&mut config, filled.parse().expect("TOML"));
    put_over(&mut config, over.parse().expect("TOML"));
    // The addresses of the sandbox stand in its place.
    let amazon = config["channels"]["amazon"]["us"].as_table_mut().expect("the README has Amazon");
    amazon.remove("region").expect("the README names a region");
    std::fs::write(dir.join("evenkeel.toml"), config.to_string()).expect("written");
}

/// Returns what stands behind a text in each line that has it, up to white space or the end.
fn named<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
    let behind = text.lines().filter_map(|line| line.split_once(before));
    behind.filter_map(|(_, rest)| rest.split([' ', '"', ':']).next()).collect()
}

#[test]
fn the_readmes_configuration_is_good_and_its_secrets_are_those_that_it_has_made() {
    let secrets = named(block(), "credential = \"");
    assert_eq!(secrets.len(), 5, "{secrets:?}");
    assert_eq!(named(README, "/dev/stdin /etc/evenkeel/secrets/"), secrets);
    let handed_over = named(CREDENTIALS, "LoadCredential=");
    assert!(handed_over.is_superset(&secrets), "{handed_over:?}");

    let dir = tempfile::tempdir().expect("a directory");
    for name in secrets {
        secret(dir.path(), name, "made-up");
    }
    let env = Env::from([("CREDENTIALS_DIRECTORY".to_owned(), dir.path().display().to_string())]);
    let config = Config::parse("README.md", block(), &env).unwrap_or_else(|problems| panic!("{problems}"));
    Secrets::load(&config, &env).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.amazon[&crate::support::channel("us")].selling.buffer.units(), BUFFER);
}
