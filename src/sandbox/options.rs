//! What a sandbox can be told before it starts. Every field has a default; durations and shares that real systems fix
//! (retry times, usage plans, visibility) have the documented value and a scale, so that a demonstration which shortens
//! them can say so.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use url::Url;

use super::Error;
use super::faults::FaultSpec;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub listen: Listen,
    /// Drives the catalogue, the shoppers, the delays and the faults.
    pub seed: u64,
    pub catalogue: CatalogueOptions,
    pub shopify: ShopifyOptions,
    pub amazon: AmazonOptions,
    pub erp: ErpOptions,
    pub queue: QueueOptions,
    pub shoppers: ShopperOptions,
    /// Faults that hold from the start, such as `shopify-errors=5%`.
    pub faults: Vec<FaultSpec>,
}

/// The most SKUs that are simulated: all of them are kept in memory.
const SKUS_MAX: usize = 1_000_000;

/// Each has a level of every SKU in two systems.
const PLACES_MAX: usize = 20;

/// Where each system listens: loopback only; port 0 lets the system choose.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    pub shopify: SocketAddr,
    pub amazon: SocketAddr,
    pub erp: SocketAddr,
    pub queue: SocketAddr,
    pub control: SocketAddr,
}

/// An inclusive range; its unit is that of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub min: u64,
    pub max: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogueOptions {
    pub skus: usize,
    /// What the first of them are called, in place of names that are made up.
    pub codes: Vec<String>,
    /// The merchant's places: each is a location of the shop and a warehouse of the ERP.
    pub places: usize,
    /// Units on the shelf of each SKU at each place at the start; every system shows these numbers.
    pub opening: Span,
    /// The share of SKUs that Amazon knows under another seller SKU.
    pub renamed_share: f64,
    /// How many SKUs are also sold from Amazon's own warehouse, under a seller SKU of their own.
    pub fba_twins: usize,
    /// How many Shopify bundles of two SKUs there are.
    pub bundles: usize,
    /// How many listings of the shop are made of two SKUs without its knowing.
    pub sets: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShopifyOptions {
    pub shop: String,
    pub access_token: String,
    pub client_id: String,
    /// Also signs the webhooks.
    pub client_secret: String,
    /// A token of another app of the shop, which has points of its own and shares the rest.
    pub other_access_token: String,
    /// How long a granted token lives.
    pub token_secs: u64,
    /// Where webhooks go; without it none are made. Loopback only.
    pub webhook_url: Option<Url>,
    /// 1.0 spreads the eight retries of a webhook over four hours.
    pub webhook_retry_scale: f64,
    /// How long a webhook may take to be made after its event.
    pub webhook_delay_ms: Span,
    /// How long a mutation takes before it applies; it applies also when its client has hung up.
    pub write_ms: Span,
    /// How long a bulk operation takes to write its file.
    pub bulk_ms: Span,
    pub bucket: f64,
    pub restore_per_second: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AmazonOptions {
    pub seller_id: String,
    pub marketplace_id: String,
    pub client_id: String,
    pub client_secret: String,
    pub refresh_token: String,
    pub token_secs: u64,
    /// From `ACCEPTED` until the quantity is live.
    pub visibility_ms: Span,
    /// `searchOrders` knows orders only up to this long ago.
    pub order_lag_ms: u64,
    /// How long an order stays `PENDING`.
    pub pending_ms: Span,
    /// 1.0 is the documented usage plan; both rate and burst are multiplied.
    pub rate_scale: f64,
    /// The share of cancelled orders whose lines are reported with quantity 0.
    pub cancelled_zeroed_share: f64,
    /// The queue is told of orders and of Amazon's own stock from the start.
    pub subscribed: bool,
    /// How long a report takes to be made.
    pub report_ms: Span,
    /// For how long a report that is asked for shows what the one before shows.
    pub report_kept_ms: u64,
    /// The share of reports that Amazon gives up.
    pub report_fatal_share: f64,
    pub report_gzip: bool,
    /// The account's language for reports.
    pub report_language: Language,
    /// Reports come in that language whatever locale is asked for.
    pub report_locale_ignored: bool,
    /// How long a feed takes, half of it in the queue.
    pub feed_ms: Span,
}

/// In which language, and so in which encoding, reports are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    En,
    De,
    Ja,
    /// English, in UTF-8.
    Utf8,
}

/// The queue that Amazon's notifications come by.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueOptions {
    pub access_key_id: String,
    pub secret_access_key: String,
    /// How long a notification is on its way.
    pub delay_ms: Span,
    /// 1.0 hides a message that was received for as long as its reader asked.
    pub hidden_scale: f64,
    /// With more messages than this the oldest go.
    pub messages_max: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErpOptions {
    pub database: String,
    pub key: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShopperOptions {
    /// Shoppers who look at a listing per second, over both channels; 0 keeps the shops empty.
    pub per_second: f64,
    /// Stop after this many orders.
    pub orders: Option<u64>,
    pub amazon_share: f64,
    pub quantity_max: u64,
    pub lines_max: u64,
    /// The share of orders that is cancelled before it is fulfilled.
    pub cancelled_share: f64,
    /// The share of orders that is fulfilled.
    pub fulfilled_share: f64,
    /// The share of fulfilled orders of which a unit comes back.
    pub returned_share: f64,
    /// From an order to what happens to it next.
    pub next_step_ms: Span,
}

impl Span {
    pub const fn new(min: u64, max: u64) -> Span {
        Span { min, max }
    }
}

impl Default for Listen {
    fn default() -> Listen {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Listen { shopify: any, amazon: any, erp: any, queue: any, control: any }
    }
}

impl Default for CatalogueOptions {
    fn default() -> CatalogueOptions {
        CatalogueOptions {
            skus: 50,
            codes: Vec::new(),
            places: 1,
            opening: Span::new(5, 40),
            renamed_share: 0.0,
            fba_twins: 2,
            bundles: 0,
            sets: 0,
        }
    }
}

impl Default for ShopifyOptions {
    fn default() -> ShopifyOptions {
        ShopifyOptions {
            shop: "evenkeel-sandbox.myshopify.com".into(),
            access_token: "shpat_sandbox".into(),
            client_id: "sandbox-client".into(),
            client_secret: "sandbox-secret".into(),
            other_access_token: "shpat_sandbox_other".into(),
            // A day, less a second.
            token_secs: 86_399,
            webhook_url: None,
            webhook_retry_scale: 1.0,
            webhook_delay_ms: Span::new(0, 20),
            write_ms: Span::new(0, 0),
            bulk_ms: Span::new(200, 2_000),
            bucket: 2000.0,
            restore_per_second: 100.0,
        }
    }
}

impl Default for AmazonOptions {
    fn default() -> AmazonOptions {
        AmazonOptions {
            seller_id: "A2SANDBOXSELLER".into(),
            marketplace_id: "ATVPDKIKX0DER".into(),
            client_id: "amzn1.application-oa2-client.sandbox".into(),
            client_secret: "amzn1.oa2-cs.v1.sandbox".into(),
            refresh_token: "Atzr|sandbox".into(),
            token_secs: 3600,
            visibility_ms: Span::new(5_000, 30_000),
            order_lag_ms: 120_000,
            pending_ms: Span::new(2_000, 20_000),
            rate_scale: 1.0,
            cancelled_zeroed_share: 0.5,
            subscribed: false,
            report_ms: Span::new(500, 3_000),
            report_kept_ms: 0,
            report_fatal_share: 0.0,
            report_gzip: true,
            report_language: Language::En,
            report_locale_ignored: false,
            feed_ms: Span::new(5_000, 20_000),
        }
    }
}

impl Default for QueueOptions {
    fn default() -> QueueOptions {
        QueueOptions {
            access_key_id: "AKIASANDBOX".into(),
            secret_access_key: "sandbox-queue-key".into(),
            delay_ms: Span::new(0, 20),
            hidden_scale: 1.0,
            messages_max: 100_000,
        }
    }
}

impl Default for ErpOptions {
    fn default() -> ErpOptions {
        ErpOptions { database: "sandbox".into(), key: "sandbox-erp-key".into() }
    }
}

impl Default for ShopperOptions {
    fn default() -> ShopperOptions {
        ShopperOptions {
            per_second: 0.0,
            orders: None,
            amazon_share: 0.5,
            quantity_max: 3,
            lines_max: 2,
            cancelled_share: 0.08,
            fulfilled_share: 0.6,
            returned_share: 0.1,
            next_step_ms: Span::new(500, 5_000),
        }
    }
}

impl Options {
    /// Checks what the types cannot say.
    pub(super) fn check(&self) -> Result<(), Error> {
        let listen = self.listen;
        for address in [listen.shopify, listen.amazon, listen.erp, listen.queue, listen.control] {
            if !address.ip().is_loopback() {
                return Err(Error::NotLoopback { address: address.to_string() });
            }
        }
        if let Some(url) = &self.shopify.webhook_url {
            check_webhook_target(url)?;
        }
        if self.catalogue.skus == 0 {
            return Err(Error::Option { key: "catalogue.skus", reason: "must be at least 1" });
        }
        if self.catalogue.skus > SKUS_MAX {
            return Err(Error::Option { key: "catalogue.skus", reason: "must be at most 1000000" });
        }
        if !(1..=PLACES_MAX).contains(&self.catalogue.places) {
            return Err(Error::Option { key: "catalogue.places", reason: "must be from 1 to 20" });
        }
        if self.amazon.rate_scale <= 0.0 {
            return Err(Error::Option { key: "amazon.rate_scale", reason: "must be above 0" });
        }
        if self.shopify.restore_per_second <= 0.0 || self.shopify.bucket < 1000.0 {
            let reason = "must hold at least 1000 points and restore some per second";
            return Err(Error::Option { key: "shopify.bucket", reason });
        }
        Ok(())
    }
}

/// Webhooks are sent over plain http to this machine only.
pub(super) fn check_webhook_target(url: &Url) -> Result<(), Error> {
    let local = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if local && url.scheme() == "http" {
        Ok(())
    } else {
        Err(Error::NotLoopback { address: url.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, expected: Result<(), &str>) {
        let options: Options = toml::from_str(toml).expect("options parse");
        assert_eq!(options.check().map_err(|e| e.to_string()), expected.map_err(str::to_owned), "{toml}");
    }

    #[test]
    fn only_this_machine_is_listened_on_and_called() {
        check("", Ok(()));
        check("listen.erp = '[::1]:0'", Ok(()));
        check(
            "listen.erp = '0.0.0.0:80'",
            Err("`0.0.0.0:80` is not a loopback address; the sandbox serves this machine only"),
        );
        check("shopify.webhook_url = 'http://127.0.0.1:9/webhooks/shopify/main'", Ok(()));
        check(
            "shopify.webhook_url = 'http://example.com/'",
            Err("`http://example.com/` is not a loopback address; the sandbox serves this machine only"),
        );
        check("catalogue.skus = 0", Err("sandbox option `catalogue.skus`: must be at least 1"));
        check("catalogue.places = 0", Err("sandbox option `catalogue.places`: must be from 1 to 20"));
        check("catalogue.skus = 1000001", Err("sandbox option `catalogue.skus`: must be at most 1000000"));
    }

    #[test]
    fn unknown_options_are_refused() {
        assert!(toml::from_str::<Options>("sku_count = 3").is_err());
    }
}
