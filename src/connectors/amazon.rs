//! Amazon's Selling Partner API: Listings Items 2021-08-01 and Orders 2026-01-01.
//!
//! Amazon takes absolute quantities only, has no compare, and queues what it accepts: a write is `Accepted` and
//! counts when a read shows it. A sale lowers Amazon's own quantity at checkout. Stock in Amazon's warehouses (FBA)
//! is never written: what may be written must have been read as merchant-fulfilled first (`guard`).
//!
//! The parts: `encode` and `decode`/`orders` think and touch no network; `token` holds the access token; `pace` keeps to
//! each operation's usage plan; `call` puts these together; `listings` reads, `reports` reads large accounts, `write` writes;
//! many raises may leave as one (`feeds`). Quantities are one number per SKU for the whole region; there is one write per SKU,
//! not one per marketplace.

mod call;
mod check;
mod decode;
mod documents;
mod encode;
mod fba;
mod feeds;
mod guard;
mod listings;
mod notifications;
pub mod options;
mod orders;
mod pace;
mod reports;
mod subscribe;
mod tend;
mod token;
mod write;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use reqwest::header::HeaderValue;

pub use self::options::{Options, Problem, Rates, Timing};
use self::{
    call::{ByGrant, Caller},
    feeds::Feeds,
    guard::Guard,
    reports::Reports,
    token::{Credentials, Grant},
};
use crate::{
    clock::SystemClock,
    connectors::{
        By, CataloguePage, Changed, Checked, Connector, CountPage, Cursor, Fact, Fault, Observed, OrderPage,
        Outcome, Posting, Push, Put, Received, Refusal, Scope, Tended, Tending, bulk::Bulks, http::Client,
        queue::Queue, sqs::Sqs, token::Tokens,
    },
    model::{Abilities, IdKind, Identifiers, OrderId, OrderSnapshot, Timestamp, Totals, Visible},
};

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

/// How many puts one write takes. Each is a call of its own; more would only delay the first answer.
const BATCH: u32 = 20;

/// The most orders of one page.
const ORDERS_MAX: u8 = 100;

/// How often a later page of a long order feed is asked for again after a passing fault.
const PAGE_REPEATS: usize = 5;

/// One seller account in one region.
#[derive(Debug)]
pub struct Amazon {
    options: Options,
    caller: Caller,
    guard: Guard,
    /// The listing whose write was last accepted, for telling a missing role from trouble with one SKU.
    last_written: Mutex<Option<(Arc<str>, Arc<str>)>>,
    /// Orders have been read with success, so their role is there.
    orders_work: AtomicBool,
    queue: Option<Sqs>,
    reports: Reports,
    feeds: Feeds,
    clock: SystemClock,
}

impl Amazon {
    /// Checks the options and builds the connector. Touches no network.
    pub fn new(options: Options) -> Result<Amazon, Vec<Problem>> {
        let problems = options.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let bad = |key, why: String| vec![Problem { key, why }];
        let agent = encode::user_agent(&options.application).map_err(|why| bad("application", why))?;
        let agent = HeaderValue::from_str(&agent).map_err(|e| bad("application", e.to_string()))?;
        let api = Client::new(&options.base_url, options.http).map_err(|e| bad("base_url", e.to_string()))?;
        let credentials = Credentials {
            lwa_url: options.lwa_url.clone(),
            client_id: options.client_id.clone(),
            client_secret: options.client_secret.clone(),
            grant: Grant::Seller(options.refresh_token.clone()),
        };
        let own = Credentials { grant: Grant::App(token::NOTIFICATIONS), ..credentials.clone() };
        let tokens = |credentials: Credentials| {
            Tokens::new(credentials.asked(), options.http).map_err(|e| bad("lwa_url", e.to_string()))
        };
        let tokens = ByGrant { seller: tokens(credentials)?, app: tokens(own)? };
        let caller = Caller::new(api, &options, agent, tokens);
        Ok(Amazon {
            queue: options.queue.clone().map(Sqs::new),
            options,
            caller,
            guard: Guard::default(),
            last_written: Mutex::default(),
            orders_work: AtomicBool::new(false),
            reports: Reports::default(),
            feeds: Feeds::default(),
            clock: SystemClock,
        })
    }

    fn account(&self) -> notifications::Account<'_> {
        notifications::Account {
            seller_id: &self.options.seller_id,
            marketplaces: &self.options.marketplace_ids,
            own_stock: self.options.own_location.is_some(),
        }
    }

    /// Returns the marketplace of a listing that names none.
    fn first_marketplace(&self) -> &str {
        self.options.marketplace_ids.first().map_or("", String::as_str)
    }
}

/// What Amazon can, with these delays.
pub fn abilities(timing: &options::Timing) -> Abilities {
    Abilities {
        quantities: true,
        compare_and_set: false,
        delta: false,
        visible: Visible::Later,
        sells: true,
        restocks_cancels: true,
        restocks_returns: false,
        posts: false,
        counts: None,
        batch: BATCH,
        late_ms: timing.late_ms,
        stale_ms: timing.stale_ms,
        feed_lag_ms: timing.feed_lag_ms,
        visible_ms: timing.visible_ms,
        look_ms: timing.look_ms,
    }
}

#[async_trait]
impl Connector for Amazon {
    fn abilities(&self) -> Abilities {
        abilities(&self.options.timing)
    }

    async fn write(&self, puts: &[Put]) -> Vec<Outcome> {
        self.write_all(puts).await
    }

    async fn read_back(&self, listings: &[Identifiers]) -> Result<Vec<Observed>, Fault> {
        let skus: BTreeSet<&str> = listings.iter().filter_map(|ids| ids.get(IdKind::Sku)).collect();
        let readings = self.look(&skus).await?;
        let one = |ids: &Identifiers| match ids.get(IdKind::Sku).and_then(|sku| readings.get(sku)) {
            Some(reading) => reading.observed(),
            None => Observed::Unwritable { why: format!("no seller SKU among {ids}") },
        };
        Ok(listings.iter().map(one).collect())
    }

    /// A search leaves out the latest two minutes: one by change leaves out an order that changed in them, whenever it was
    /// placed; one by placement does not tell of changes.
    fn order_lists(&self) -> &'static [By] {
        &[By::Change, By::Placement]
    }

    async fn orders(&self, by: By, since: Timestamp, after: Option<&Cursor>) -> Result<OrderPage, Fault> {
        let place = orders::Place::of(after)?;
        let request = encode::search_orders(&self.options, by, since, ORDERS_MAX, place.token.as_deref());
        // A fault of the first page is the caller's; one of a later page would throw away all pages before it.
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_times(if after.is_some() { PAGE_REPEATS } else { 0 })
            .with_jitter();
        let answer = (|| self.caller.read(&request)).retry(delays).when(passing).await?;
        self.orders_work.store(true, Ordering::Relaxed);
        orders::page(&answer.body, by, since, &place)
    }

    fn orders_gap(&self) -> Duration {
        self.options.rates.search_orders.every
    }

    async fn order(&self, order: &OrderId) -> Result<Option<OrderSnapshot>, Fault> {
        let request = encode::get_order(order).map_err(|e| Fault::Refused(e.to_string()))?;
        let told = self.caller.send(&request).await?;
        match told.answer.status {
            200..=299 => orders::one(&told.answer.body).map(Some),
            404 => Ok(None),
            _ => Err(told.fault()),
        }
    }

    async fn catalogue(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        self.catalogue_page(after).await
    }

    async fn snapshot(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        self.snapshot_page(after).await
    }

    async fn items(&self, ids: &[Identifiers]) -> Result<CataloguePage, Fault> {
        self.listings_of(ids).await
    }

    /// Reads a message of the queue, which only Amazon may put there: there is no door over HTTP.
    fn receive(&self, push: &Push) -> Result<Received, Refusal> {
        if self.queue.is_none() {
            return Err(Refusal::Forged("Amazon sends no webhooks".to_owned()));
        }
        notifications::receive(push, self.account())
    }

    fn queue(&self) -> Option<&dyn Queue> {
        self.queue.as_ref().map(|queue| queue as &dyn Queue)
    }

    fn bulks(&self) -> Option<&dyn Bulks> {
        // One may be open from before they were switched off. Whether another one begins is not decided here.
        Some(self)
    }

    fn reread(&self, topic: &str, body: &[u8]) -> Result<Vec<Fact>, String> {
        if notifications::is_one(topic) {
            return notifications::reread(body, self.account());
        }
        orders::reread(body).map(|order| vec![Fact::Order(order)])
    }

    async fn changed(&self, _: Timestamp) -> Result<Changed, Fault> {
        Err(Fault::NotOffered("changed"))
    }

    async fn counts(&self, scope: &Scope, after: Option<&Cursor>) -> Result<CountPage, Fault> {
        self.own_stock(scope, after).await
    }

    async fn posted(&self, _: &Posting) -> Result<Vec<Totals>, Fault> {
        Err(Fault::NotOffered("posted"))
    }

    async fn post(&self, _: &Posting) -> Outcome {
        Outcome::Rejected { reason: "Amazon takes no postings".to_owned() }
    }

    async fn tend(&self, tending: Tending) -> Result<Tended, Fault> {
        Ok(self.look_after(tending).await)
    }

    async fn uneasy(&self) {
        match &self.queue {
            Some(queue) => queue.changed().await,
            None => std::future::pending().await,
        }
    }

    async fn check(&self) -> Result<Checked, Fault> {
        self.look_over().await
    }
}

/// Tells whether the same read may succeed a little later.
fn passing(fault: &Fault) -> bool {
    match fault {
        Fault::Timeout(_) | Fault::Disconnected(_) | Fault::Server { .. } | Fault::Throttled { .. } => true,
        Fault::Unauthorized(_) | Fault::Refused(_) | Fault::Malformed(_) | Fault::NotOffered(_) => false,
    }
}
