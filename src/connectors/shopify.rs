//! Shopify, over the GraphQL Admin API and its webhooks.
//!
//! Writes `available` at the locations that are configured, always naming the quantity that it replaces, so that a sale that was not seen
//! refuses the write. Orders are read by what changed since a moment; webhooks are hints that carry a snapshot at best.
//! One channel is one shop and some of its locations. Where there is one, orders are booked there even if Shopify ships
//! them from another. Where there are several, each lists its own quantity of an item, and an order is booked where its
//! fulfillment orders say that it is shipped from.

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    connectors::{
        By, CataloguePage, Changed, Checked, Connector, CountPage, Cursor, Fact, Fault, Observed, OrderPage,
        Outcome, Posting, Push, Put, Received, Refusal, Scope, Tended, Tending, http::BadSetting,
    },
    core::state::READ,
    model::{Abilities, Identifiers, OrderId, OrderSnapshot, Timestamp, Totals, Visible},
};

mod access;
mod bucket;
mod bulk;
mod call;
mod decode;
mod encode;
mod feed;
mod gid;
mod graphql;
mod health;
mod hooks;
mod items;
pub mod options;
mod orders;
mod sentinel;
mod stock;
mod tend;
mod webhook;
mod write;

pub use options::Options;

use call::Caller;
use tend::Care;

/// What Shopify can.
pub const ABILITIES: Abilities = Abilities {
    quantities: true,
    compare_and_set: true,
    delta: true,
    visible: Visible::AtOnce,
    sells: true,
    restocks_cancels: true,
    restocks_returns: true,
    posts: false,
    counts: None,
    batch: 250,
    // A request is worked on while the connection is held, which Shopify ends after about a minute. Twice that.
    late_ms: 120_000,
    // Reads may come from a copy of the database. Shopify states no bound: assumed, and alarmed when broken.
    stale_ms: 5_000,
    // The order list is a search index. As above.
    feed_lag_ms: 30_000,
    // What was taken shows at once, apart from stale reads. Several of those in a row are allowed for.
    visible_ms: 30_000,
    // A look earlier than this is likely to read the copy as it was.
    look_ms: 500,
};

/// How many entries a page holds that belongs to one thing.
const PAGE: usize = 250;

/// One shop.
#[derive(Debug)]
pub struct Shopify {
    caller: Caller,
    options: Options,
    /// The bulk operations that write snapshots.
    bulk: bulk::Runs,
    care: tokio::sync::Mutex<Care>,
}

impl Shopify {
    /// Makes the connector; touches no network.
    pub fn new(options: Options) -> Result<Shopify, BadSetting> {
        Ok(Shopify {
            caller: Caller::new(&options)?,
            options,
            bulk: bulk::Runs::default(),
            care: tokio::sync::Mutex::default(),
        })
    }

    /// Returns what was noticed about the API version since the start: which one answers, which one shapes the
    /// webhooks, and what is going away.
    pub fn notices(&self) -> Vec<String> {
        let notices = self.caller.sentinel().notices(&self.options.api_version, Instant::now());
        notices.into_iter().map(|notice| notice.text).collect()
    }
}

#[async_trait]
impl Connector for Shopify {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn write(&self, puts: &[Put]) -> Vec<Outcome> {
        // Until that is recorded, nothing else keeps a write from leaving.
        if let Some(reason) = self.caller.sentinel().stops(&self.options.api_version) {
            return vec![Outcome::NotSent { reason }; puts.len()];
        }
        write::write(&self.caller, &self.options.locations, puts).await
    }

    fn is_slow(&self, put: &Put) -> bool {
        write::is_slow(&self.options.locations, put)
    }

    async fn read_back(&self, listings: &[Identifiers]) -> Result<Vec<Observed>, Fault> {
        items::read_back(&self.caller, &self.options.locations, listings).await
    }

    async fn orders(&self, _: By, since: Timestamp, after: Option<&Cursor>) -> Result<OrderPage, Fault> {
        feed::orders(&self.caller, &self.options.locations, since, after).await
    }

    fn orders_gap(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    async fn order(&self, order: &OrderId) -> Result<Option<OrderSnapshot>, Fault> {
        feed::order(&self.caller, &self.options.locations, order).await
    }

    async fn catalogue(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        items::catalogue(&self.caller, &self.options.locations, after).await
    }

    async fn snapshot(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        let Options { locations, bulk_above, .. } = &self.options;
        bulk::snapshot(&self.caller, locations, &self.bulk, *bulk_above, after).await
    }

    fn receive(&self, push: &Push) -> Result<Received, Refusal> {
        webhook::verify(push, self.options.signers(), &self.options.shop)?;
        self.caller.watch_push(push.headers.get(webhook::VERSION).map(String::as_str));
        webhook::read(push, &self.options.locations)
    }

    fn reread(&self, topic: &str, body: &[u8]) -> Result<Vec<Fact>, String> {
        if topic == READ {
            return feed::reread(body, &self.options.locations);
        }
        let facts = webhook::facts(topic, body, &self.options.locations);
        facts.unwrap_or_else(|| Err(format!("the topic `{topic}` is not followed")))
    }

    async fn changed(&self, _since: Timestamp) -> Result<Changed, Fault> {
        Err(Fault::NotOffered("counts"))
    }

    async fn counts(&self, _scope: &Scope, _after: Option<&Cursor>) -> Result<CountPage, Fault> {
        Err(Fault::NotOffered("counts"))
    }

    async fn posted(&self, _posting: &Posting) -> Result<Vec<Totals>, Fault> {
        Err(Fault::NotOffered("postings"))
    }

    async fn post(&self, _posting: &Posting) -> Outcome {
        Outcome::Rejected { reason: Fault::NotOffered("postings").to_string() }
    }

    async fn tend(&self, tending: Tending) -> Result<Tended, Fault> {
        tend::tend(&self.caller, &self.options, &mut *self.care.lock().await, tending).await
    }

    async fn uneasy(&self) {
        self.caller.news().await;
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let said = self.caller.call(&graphql::HEALTH, &json!({})).await?;
        let problems = health::problems(&said.data, &self.options, said.at).map_err(Fault::Malformed)?;
        let mut facts = self.notices();
        facts.extend(health::facts(&said.data, &self.options).map_err(Fault::Malformed)?);
        facts.extend(tend::facts(&self.caller, &self.options).await?);
        Ok(Checked { facts, problems })
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
