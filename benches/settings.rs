//! The configuration of a daemon, and the channels that it names.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use evenkeel::{
    config::{Config, Secrets},
    sandbox::{Options, Running, Sandbox, Span},
};
use serde_json::{Value, json};

/// The channel that a daemon has beside a shop and an ERP: a marketplace...
pub(crate) const MARKET: &str = include_str!("market.toml");
/// ...or a second shop.
pub(crate) const OUTLET: &str = include_str!("outlet.toml");
/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The simulated channels of a daemon.
pub(crate) struct Channels {
    running: Running,
    client: reqwest::Client,
}

impl Channels {
    /// Starts systems that list the same, whatever the shop is called.
    pub(crate) async fn start(shop: &str, skus: usize) -> Channels {
        Channels::limited(shop, skus, 100_000.0).await
    }

    /// The same, with a marketplace whose rates are so many times the documented ones.
    pub(crate) async fn limited(shop: &str, skus: usize, scale: f64) -> Channels {
        let mut options = Options::default();
        options.shopify.shop = format!("{shop}.myshopify.com");
        options.catalogue.skus = skus;
        options.catalogue.fba_twins = 0;
        options.catalogue.bundles = 0;
        options.catalogue.opening = Span { min: 500, max: 1_000 };
        options.amazon.visibility_ms = Span { min: 0, max: 0 };
        options.amazon.order_lag_ms = 0;
        options.amazon.rate_scale = scale;
        options.shopify.webhook_delay_ms = Span { min: 0, max: 0 };
        options.shopify.write_ms = Span { min: 0, max: 0 };
        options.shopify.bucket = 1e9;
        options.shopify.restore_per_second = 1e9;
        let running = Sandbox::start(options).await.expect("the sandbox starts");
        Channels { running, client: reqwest::Client::new() }
    }

    pub(crate) fn amazon(&self) -> std::net::SocketAddr {
        self.running.addresses().amazon
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}/{path}", self.running.addresses().control);
        self.client.get(url).send().await.expect("the sandbox answers").json().await.expect("JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("http://{}/{path}", self.running.addresses().control);
        let answer = self.client.post(url).json(body).send().await.expect("the sandbox answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// Returns where the systems are and what they want to be told. `outlet`: where the second shop is.
    pub(crate) async fn systems(&self, outlet: Option<&Channels>) -> Value {
        let mut systems = self.get("systems").await;
        if let Some(outlet) = outlet {
            systems["outlet"] = outlet.get("systems").await["shopify"].clone();
        }
        systems
    }

    /// Returns the codes of all SKUs.
    pub(crate) async fn codes(&self) -> Vec<String> {
        let books = self.get("books").await;
        let skus = books["skus"].as_array().expect("a list").iter();
        skus.map(|sku| sku["sku"].as_str().expect("a code").to_owned()).collect()
    }
}

/// Returns systems that cannot be reached.
pub(crate) fn nowhere() -> Value {
    json!({
        "shopify": {
            "base_url": NOWHERE, "shop": "bench.myshopify.com", "access_token": "token",
            "client_secret": "a secret that signs webhooks", "location_id": 655_441_491,
        },
        "outlet": {"base_url": NOWHERE, "shop": "outlet.myshopify.com"},
        "amazon": {
            "base_url": NOWHERE, "lwa_url": format!("{NOWHERE}/auth/o2/token"), "seller_id": "A1B2C3D4E5F6G7",
            "marketplace_id": "ATVPDKIKX0DER", "client_id": "client", "client_secret": "secret",
            "refresh_token": "token",
        },
        "erp": {
            "base_url": NOWHERE, "database": "bench", "key": "key",
            "ids": {"warehouse_code": "WH", "customer_code": "2"},
        },
    })
}

fn text(systems: &Value, system: &str, key: &str) -> String {
    systems[system][key].as_str().expect("a text").to_owned()
}

/// Writes the configuration and the secrets of a daemon into `dir`; its socket goes to `run`, whose path is short.
pub(crate) fn write(dir: &Path, run: &Path, web: &str, systems: &Value, second: &str) {
    let text = |system: &str, key: &str| text(systems, system, key);
    for (name, system, key) in [
        ("shopify-token", "shopify", "access_token"),
        ("shopify-webhook", "shopify", "client_secret"),
        ("amazon-secret", "amazon", "client_secret"),
        ("amazon-refresh", "amazon", "refresh_token"),
        ("erp-key", "erp", "key"),
    ] {
        secret(&dir.join(name), &text(system, key));
    }
    let ids = &systems["erp"]["ids"];
    let mut config = include_str!("evenkeel.toml").replace("@SECOND@", second);
    if systems["outlet"].is_object() {
        config = config
            .replace("@OUTLET_SHOP@", &text("outlet", "shop"))
            .replace("@OUTLET@", &text("outlet", "base_url"));
    }
    let config = config
        .replace("@DIR@", &dir.display().to_string())
        .replace("@RUN@", &run.display().to_string())
        .replace("@WEB@", web)
        .replace("@SHOP@", &text("shopify", "shop"))
        .replace("@SHOPIFY@", &text("shopify", "base_url"))
        .replace("@LOCATION@", systems["shopify"]["location_id"].to_string().trim_matches('"'))
        .replace("@AMAZON@", &text("amazon", "base_url"))
        .replace("@LWA@", &text("amazon", "lwa_url"))
        .replace("@SELLER@", &text("amazon", "seller_id"))
        .replace("@MARKETPLACE@", &text("amazon", "marketplace_id"))
        .replace("@CLIENT@", &text("amazon", "client_id"))
        .replace("@ERP@", &text("erp", "base_url"))
        .replace("@DATABASE@", &text("erp", "database"))
        .replace("@WAREHOUSE@", ids["warehouse_code"].as_str().expect("a code"))
        .replace("@CUSTOMER@", ids["customer_code"].as_str().expect("a code"));
    std::fs::write(dir.join("evenkeel.toml"), config).expect("written");
}

/// Writes a file that only we can read.
fn secret(path: &Path, text: &str) {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.expect("a file").write_all(text.as_bytes()).expect("written");
}

/// Reads what [`write`] has written.
pub(crate) fn read(dir: &Path) -> (Config, Secrets) {
    let text = std::fs::read_to_string(dir.join("evenkeel.toml")).expect("it was written");
    let env = Default::default();
    let config = Config::parse("evenkeel.toml", &text, &env).unwrap_or_else(|problems| panic!("{problems}"));
    let secrets = Secrets::load(&config, &env).unwrap_or_else(|problems| panic!("{problems}"));
    (config, secrets)
}
