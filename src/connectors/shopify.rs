//! Shopify, over the GraphQL Admin API and its webhooks.
//!
//! Writes `available` at one location, always naming the quantity that it replaces, so that a sale that was not seen
//! refuses the write. Orders are read by what changed since a moment; webhooks are hints that carry a snapshot at best.
//! One channel is one shop and one of its locations. Orders are booked there even if Shopify ships them from another:
//! which one it will be is not told by order or webhook.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    connectors::{
        CataloguePage, Changed, Connector, CountPage, Cursor, Fault, Observed, OrderPage, Outcome, Posting,
        Push, Put, Received, Refusal, Scope, Unreadable,
        http::{self, BadSetting},
    },
    model::{Abilities, Identifiers, OrderId, OrderSnapshot, Timestamp, Totals, Visible},
};

mod bucket;
mod call;
mod decode;
mod encode;
mod gid;
mod graphql;
mod health;
mod items;
pub mod options;
mod orders;
mod webhook;
mod write;

pub use options::Options;

use call::Caller;
use orders::{
    Told,
    graphql::{More, Of, PageInfo},
};

/// What Shopify can.
pub const ABILITIES: Abilities = Abilities {
    quantities: true,
    compare_and_set: true,
    visible: Visible::AtOnce,
    sells: true,
    restocks_cancels: true,
    restocks_returns: true,
    posts: false,
    counts: None,
    batch: 250,
    // A request is worked on while the connection is held, which Shopify ends after about a minute. Twice that.
    late_ms: 120_000,
    // Reads may come from a copy of the database. Not stated by Shopify; seen well below.
    stale_ms: 5_000,
    // The order list is a search index. Not stated by Shopify; usually a second or two.
    feed_lag_ms: 30_000,
    // What was taken shows at once, apart from stale reads.
    visible_ms: 30_000,
    look_ms: 500,
};

/// How many orders one page of the feed holds, with how many lines each. What does not fit is read page by page.
const ORDERS_PAGE: usize = 25;
const NESTED_PAGE: usize = 50;

/// How many entries a page holds that belongs to one thing.
const PAGE: usize = 250;

/// The most further pages that one order may have.
const MORE_MAX: usize = 400;

/// One shop.
#[derive(Debug)]
pub struct Shopify {
    caller: Caller,
    options: Options,
}

impl Shopify {
    /// Makes the connector; touches no network.
    pub fn new(options: Options) -> Result<Shopify, BadSetting> {
        Ok(Shopify { caller: Caller::new(&options)?, options })
    }

    /// Returns what was noticed about the API version since the start: which one answers, which one shapes the
    /// webhooks, and what is going away.
    pub fn notices(&self) -> Vec<String> {
        self.caller.notices().tell(&self.options.api_version)
    }

    /// Reads an order of the feed to its end and takes from it what the ledger needs.
    async fn whole(&self, node: &Value) -> Result<Result<OrderSnapshot, String>, Fault> {
        let (mut order, mut open) = match orders::graphql::order(node) {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        for _ in 0..MORE_MAX {
            let Some(more) = open.pop() else { return Ok(order.snapshot(Told::Fetched)) };
            let data = self.more(&more).await?;
            match order.add(more.of, &data) {
                Ok(Some(after)) => open.push(More { after, ..more }),
                Ok(None) => {}
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Err(format!("the order has more than {MORE_MAX} pages")))
    }

    async fn more(&self, more: &More) -> Result<Value, Fault> {
        let operation = match more.of {
            Of::Order => &graphql::ORDER_LINES,
            Of::Fulfillment(_) => &graphql::FULFILLMENT_LINES,
            Of::Refund => &graphql::REFUND_LINES,
        };
        let variables = json!({"id": more.gid, "first": PAGE, "after": more.after});
        Ok(self.caller.call(operation, &variables).await?.data)
    }
}

#[async_trait]
impl Connector for Shopify {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn write(&self, puts: &[Put]) -> Vec<Outcome> {
        write::write(&self.caller, &self.options.location, puts).await
    }

    async fn read_back(&self, listings: &[Identifiers]) -> Result<Vec<Observed>, Fault> {
        items::read_back(&self.caller, &self.options.location, listings).await
    }

    async fn orders(&self, since: Timestamp, after: Option<&Cursor>) -> Result<OrderPage, Fault> {
        let query = format!("updated_at:>='{}'", orders::search_time(since));
        let after = after.map(|cursor| cursor.0.as_str());
        let variables =
            |first: usize| json!({"first": first, "nested": NESTED_PAGE, "after": after, "query": query});
        let said = self.caller.page(&graphql::ORDERS, ORDERS_PAGE, variables).await?;
        let malformed = |why: &str| Fault::Malformed(why.to_owned());
        let list = &said.data["orders"];
        let nodes = list["nodes"].as_array().ok_or_else(|| malformed("the answer has no `orders.nodes`"))?;
        let info: PageInfo = http::json_part(&list["pageInfo"]).map_err(Fault::Malformed)?;
        let next = info.next().map_err(Fault::Malformed)?.map(Cursor);
        let mut page = OrderPage { next, ..OrderPage::default() };
        for node in nodes {
            match self.whole(node).await? {
                Ok(order) => page.orders.push(order),
                Err(why) => page.unreadable.push(Unreadable {
                    id: orders::id_of(node),
                    why,
                    body: Bytes::from(node.to_string()),
                }),
            }
        }
        if page.next.is_none() {
            // The shop's own clock; where an answer has none, the newest change that was seen is safe too.
            let newest = page.orders.iter().map(|order| order.version).max();
            page.read_through = Some(said.at.or(newest).unwrap_or(since).max(since));
        }
        Ok(page)
    }

    async fn order(&self, order: &OrderId) -> Result<Option<OrderSnapshot>, Fault> {
        let Some(number) = gid::parse(order.as_str()) else { return Ok(None) };
        let variables = |nested: usize| json!({"id": gid::gid("Order", number), "nested": nested});
        let said = self.caller.page(&graphql::ORDER, PAGE, variables).await?;
        let node = &said.data["order"];
        if node.is_null() {
            return Ok(None);
        }
        self.whole(node).await?.map(Some).map_err(Fault::Malformed)
    }

    async fn catalogue(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        items::catalogue(&self.caller, &self.options.location, after).await
    }

    fn receive(&self, push: &Push) -> Result<Received, Refusal> {
        webhook::verify(push, &self.options.webhook_secrets, &self.options.shop)?;
        self.caller.watch_push(push.headers.get(webhook::VERSION).map(String::as_str));
        webhook::read(push, self.options.location.number)
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

    async fn check(&self) -> Result<Vec<String>, Fault> {
        let variables = json!({"location": self.options.location.gid()});
        let said = self.caller.call(&graphql::HEALTH, &variables).await?;
        let mut all = health::problems(&said.data, &self.options, said.at).map_err(Fault::Malformed)?;
        all.extend(self.notices());
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
