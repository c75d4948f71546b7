//! The file as it is written: every key optional, every value unchecked.
//!
//! Which keys exist is stated here and nowhere else. What they mean and what they may be is in `check`, and for
//! people in `docs/CONFIG.md`.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub mode: Option<String>,
    pub instance: Option<String>,
    pub returns: Option<String>,
    pub locations: Vec<Location>,
    pub store: Store,
    pub memory: Memory,
    pub web: Web,
    pub socket: Socket,
    pub log: Log,
    pub allocation: Allocation,
    pub overrides: Vec<Override>,
    pub mapping: Mapping,
    pub bundles: Vec<Bundle>,
    pub brake: Brake,
    pub retry: Retry,
    pub alerts: Alerts,
    pub drift: Drift,
    pub reconcile: Reconcile,
    pub tend: Tend,
    pub retention: Retention,
    pub channels: Channels,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Location {
    pub id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Store {
    pub path: Option<String>,
    pub archive: Option<String>,
    pub alarm_percent: Option<i64>,
    pub stop_percent: Option<i64>,
    pub stop_bytes: Option<i64>,
    pub segment_bytes: Option<i64>,
    pub cache_bytes: Option<i64>,
    pub group_max: Option<i64>,
    pub swap_every: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Memory {
    pub alarm_bytes: Option<i64>,
    pub restart_bytes: Option<i64>,
    pub restart_after: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Web {
    pub listen: Option<String>,
    pub public_url: Option<String>,
    pub body_max_bytes: Option<i64>,
    pub queue_max: Option<i64>,
    pub answer_within: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Socket {
    pub path: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    pub format: Option<String>,
    pub level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Allocation {
    pub safety_stock: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Override {
    pub sku: Option<String>,
    pub channel: Option<String>,
    pub safety_stock: Option<i64>,
    pub buffer: Option<i64>,
    pub min: Option<i64>,
    pub max: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Bundle {
    pub sku: Option<String>,
    pub parts: Vec<BundlePart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BundlePart {
    pub sku: Option<String>,
    pub units: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mapping {
    pub master: Option<String>,
    pub trim: Option<bool>,
    pub ignore_case: Option<bool>,
    pub strip_prefixes: Vec<String>,
    pub table: Vec<MappingRow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MappingRow {
    pub sku: Option<String>,
    pub channel: Option<String>,
    pub channel_sku: Option<TextOrWhole>,
    pub variant: Option<TextOrWhole>,
    pub inventory_item: Option<TextOrWhole>,
    pub asin: Option<TextOrWhole>,
    pub fnsku: Option<TextOrWhole>,
    pub record: Option<TextOrWhole>,
    pub barcode: Option<TextOrWhole>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Brake {
    pub zero_percent: Option<i64>,
    pub move_percent: Option<i64>,
    pub min_skus: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Retry {
    pub base: Option<Span>,
    pub cap: Option<Span>,
    pub circuit_failures: Option<i64>,
    pub circuit_open: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Alerts {
    pub after_tries: Option<i64>,
    pub after: Option<Span>,
    pub repeat: Option<Span>,
    pub oversold_units: Option<i64>,
    pub webhook_url: Option<String>,
    pub webhook_secret: Option<Secret>,
    pub runbook_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Drift {
    pub repair: Option<String>,
    pub on_hand: Option<String>,
    pub loop_repairs: Option<i64>,
    pub loop_within: Option<Span>,
}

/// What one channel does about drift in another way.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ChannelDrift {
    pub repair: Option<String>,
    pub on_hand: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reconcile {
    pub every: Option<Span>,
    pub cron: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tend {
    pub every: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Retention {
    pub archive: Option<Span>,
    pub quarantine: Option<Span>,
    pub orders: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Channels {
    pub shopify: BTreeMap<String, Shopify>,
    pub amazon: BTreeMap<String, Amazon>,
    pub tryton: BTreeMap<String, Tryton>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Shopify {
    pub shop: Option<String>,
    pub base_url: Option<String>,
    pub api_version: Option<String>,
    pub access_token: Option<Secret>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub webhook_secrets: Vec<Secret>,
    pub locations: Vec<String>,
    pub location_id: Option<TextOrWhole>,
    pub outlets: Vec<Outlet>,
    pub buffer: Option<i64>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub orders_every: Option<Span>,
    pub orders_cron: Option<String>,
    pub orders_overlap: Option<Span>,
    pub orders_lookback: Option<Span>,
    pub reconcile_every: Option<Span>,
    pub reconcile_cron: Option<String>,
    pub bulk_above: Option<i64>,
    pub stock_items: Option<bool>,
    pub drift: ChannelDrift,
    pub timeout: Option<Span>,
    pub connect_timeout: Option<Span>,
    pub assume: Assume,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Outlet {
    pub location_id: Option<TextOrWhole>,
    pub locations: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Amazon {
    pub region: Option<String>,
    pub environment: Option<String>,
    pub base_url: Option<String>,
    pub lwa_url: Option<String>,
    pub seller_id: Option<String>,
    pub marketplaces: Vec<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub client_secret_since: Option<String>,
    pub refresh_token: Option<Secret>,
    pub report_above: Option<i64>,
    pub feed_above: Option<i64>,
    pub locations: Vec<String>,
    pub fba_location: Option<String>,
    pub fba_every: Option<Span>,
    pub fba_cron: Option<String>,
    pub queue: Queue,
    pub buffer: Option<i64>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub orders_every: Option<Span>,
    pub orders_cron: Option<String>,
    pub orders_overlap: Option<Span>,
    pub orders_lookback: Option<Span>,
    pub reconcile_every: Option<Span>,
    pub reconcile_cron: Option<String>,
    pub drift: ChannelDrift,
    pub timeout: Option<Span>,
    pub connect_timeout: Option<Span>,
    pub assume: Assume,
    pub rates: Rates,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Queue {
    pub url: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rates {
    pub search_orders: Rate,
    pub get_order: Rate,
    pub patch_listings_item: Rate,
    pub get_listings_item: Rate,
    pub search_listings_items: Rate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rate {
    pub per_second: Option<f64>,
    pub burst: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tryton {
    pub base_url: Option<String>,
    pub database: Option<String>,
    pub key: Option<Secret>,
    pub company: Option<i64>,
    pub customer: Option<String>,
    pub warehouse: Option<String>,
    pub location: Option<String>,
    pub warehouses: Vec<Warehouse>,
    pub counts: Option<String>,
    pub posts: Posts,
    pub levels_every: Option<Span>,
    pub levels_cron: Option<String>,
    pub levels_overlap: Option<Span>,
    pub sweep_every: Option<Span>,
    pub sweep_cron: Option<String>,
    pub timeout: Option<Span>,
    pub connect_timeout: Option<Span>,
    pub assume: Assume,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Warehouse {
    pub warehouse: Option<String>,
    pub location: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Posts {
    pub sales: Option<bool>,
    pub shipments: Option<bool>,
    pub returns: Option<bool>,
}

/// Replaces what a connector states about its channel's delays.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Assume {
    pub late: Option<Span>,
    pub stale: Option<Span>,
    pub feed_lag: Option<Span>,
    pub visible: Option<Span>,
    pub look: Option<Span>,
}

/// Where a secret lies. The reader knows this struct by its name and shows nothing of its values.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Secret {
    pub file: Option<String>,
    pub credential: Option<String>,
    pub env: Option<String>,
}

/// A time span as text, such as `5m`. The reader knows this struct by its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Span(pub String);

/// An id that some write as a text and some as a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextOrWhole(pub String);

impl<'de> Deserialize<'de> for TextOrWhole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TextOrWhole, D::Error> {
        struct Id;

        impl Visitor<'_> for Id {
            type Value = TextOrWhole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TextOrWhole, E> {
                Ok(TextOrWhole(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<TextOrWhole, E> {
                Ok(TextOrWhole(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<TextOrWhole, E> {
                Ok(TextOrWhole(number.to_string()))
            }
        }

        deserializer.deserialize_any(Id)
    }
}
