//! What the simulated marketplace holds: listings with what is submitted and what is live, orders, tokens, and the
//! buckets of the usage plans.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::sandbox::bucket::Bucket;
use crate::sandbox::catalogue::Catalogue;
use crate::sandbox::dice::Dice;
use crate::sandbox::options::AmazonOptions;
use crate::sandbox::world::signed;

use super::feeds::{Document, Feed};
use super::limits::Operation;
use super::listings::Landing;
use super::notifications::Subscriptions;
use super::orders::Order;
use super::reports::Report;

/// The channel code of stock that the merchant sends.
pub(super) const MERCHANT: &str = "DEFAULT";
/// The channel code of stock in Amazon's own warehouses.
pub(super) const FBA: &str = "AMAZON_NA";

pub(in crate::sandbox) struct Store {
    pub(super) opened_ms: i64,
    pub(super) marketplace: String,
    /// The listing of SKU `n` is listing `n`; the FBA twins come behind.
    pub(super) listings: Vec<Listing>,
    /// SKU to its listing in Amazon's own warehouse.
    twins: BTreeMap<usize, usize>,
    pub(super) by_seller_sku: BTreeMap<String, usize>,
    pub(super) orders: Vec<Order>,
    pub(super) by_id: BTreeMap<String, usize>,
    /// Orders that a feed may show, by (updated, index).
    pub(super) by_update: BTreeSet<(i64, usize)>,
    pub(super) tokens: BTreeMap<String, Token>,
    buckets: BTreeMap<Operation, Bucket>,
    /// Writes of a merchant quantity to a listing that Amazon fulfils.
    pub(super) fba_violations: u64,
    pub(super) zeroed: Dice,
    pub(super) seller: String,
    pub(super) subscriptions: Subscriptions,
    /// Notifications so far.
    pub(super) notified: u64,
    pub(super) zeroed_share: f64,
    pub(super) reports: Vec<Report>,
    pub(super) feeds: Vec<Feed>,
    pub(super) feed_documents: Vec<Document>,
}

pub(super) struct Token {
    pub(super) ends_ms: i64,
    /// For operations that no seller grants.
    pub(super) grantless: bool,
}

pub(super) struct Listing {
    pub(super) sku: usize,
    pub(super) seller_sku: String,
    pub(super) asin: String,
    pub(super) title: String,
    pub(super) price_cents: i64,
    /// Set for a listing that Amazon fulfils.
    pub(super) fnsku: Option<String>,
    /// What shoppers can buy now.
    pub(super) live: i64,
    /// The merchant quantity that was written to a listing which Amazon fulfils.
    pub(super) flipped: Option<i64>,
    /// What was last submitted.
    pub(super) attributes: serde_json::Map<String, Value>,
    pub(super) landing: std::collections::VecDeque<Landing>,
    pub(super) updated_ms: i64,
}

impl Store {
    pub(in crate::sandbox) fn new(catalogue: &Catalogue, options: &AmazonOptions, now_ms: i64) -> Store {
        let own = catalogue.skus.iter().enumerate().map(|(n, sku)| {
            let seller = (sku.seller_sku.as_str(), None, sku.opening);
            listing(n, seller, &sku.asin, &sku.title, sku.price_cents, now_ms)
        });
        let twins = catalogue.skus.iter().enumerate().filter_map(|(n, sku)| {
            let twin = sku.fba.as_ref()?;
            let seller = (twin.seller_sku.as_str(), Some(twin.fnsku.clone()), twin.opening);
            Some(listing(n, seller, &sku.asin, &sku.title, sku.price_cents, now_ms))
        });
        let listings: Vec<Listing> = own.chain(twins).collect();
        let by_seller_sku = listings.iter().enumerate().map(|(n, own)| (own.seller_sku.clone(), n)).collect();
        let twin = |(n, own): (usize, &Listing)| own.fnsku.is_some().then_some((own.sku, n));
        let twins = listings.iter().enumerate().filter_map(twin).collect();
        let bucket = |operation: Operation| {
            let (rate, burst) = operation.plan();
            (operation, Bucket::new(burst * options.rate_scale, rate * options.rate_scale, now_ms))
        };
        Store {
            opened_ms: now_ms,
            marketplace: options.marketplace_id.clone(),
            twins,
            listings,
            by_seller_sku,
            orders: Vec::new(),
            by_id: BTreeMap::new(),
            by_update: BTreeSet::new(),
            tokens: BTreeMap::new(),
            buckets: Operation::ALL.into_iter().map(bucket).collect(),
            fba_violations: 0,
            zeroed: Dice::new(0, 5),
            seller: options.seller_id.clone(),
            subscriptions: if options.subscribed {
                Subscriptions::all(&mut Dice::new(0, 7))
            } else {
                Subscriptions::default()
            },
            notified: 0,
            zeroed_share: options.cancelled_zeroed_share,
            reports: Vec::new(),
            feeds: Vec::new(),
            feed_documents: Vec::new(),
        }
    }

    /// What shoppers see of a SKU's merchant-fulfilled listing.
    pub(in crate::sandbox) fn live(&self, sku: usize) -> i64 {
        self.listings[sku].live
    }

    /// What Amazon's own warehouse has of a SKU, if it is sold from there.
    pub(in crate::sandbox) fn fba(&self, sku: usize) -> Option<i64> {
        self.fba_listing(sku).map(|listing| self.listings[listing].live)
    }

    /// What lies in Amazon's own warehouse of a SKU, for the control API; null where it is not sold from there.
    pub(in crate::sandbox) fn fba_report(&self, sku: usize) -> serde_json::Value {
        let Some(listing) = self.fba_listing(sku) else { return serde_json::Value::Null };
        serde_json::json!({
            "seller_sku": self.listings[listing].seller_sku,
            "fulfillable": self.listings[listing].live,
            "reserved": self.reserved(listing),
        })
    }

    /// The listing of a SKU in Amazon's own warehouse.
    pub(in crate::sandbox) fn fba_listing(&self, sku: usize) -> Option<usize> {
        self.twins.get(&sku).copied()
    }

    /// What is to be put into the queue.
    pub(in crate::sandbox) fn take_notifications(&mut self) -> Vec<String> {
        std::mem::take(&mut self.subscriptions.outbox)
    }

    /// The types of notifications that are put into the queue.
    pub(in crate::sandbox) fn subscribed(&self) -> Vec<&str> {
        self.subscriptions.subscribed()
    }

    /// Takes one call of an operation out of its plan.
    pub(super) fn admit(&mut self, operation: Operation, now_ms: i64) -> bool {
        self.buckets.get_mut(&operation).is_some_and(|bucket| bucket.take(1.0, now_ms))
    }

    /// Submissions that are accepted and not live yet.
    pub(in crate::sandbox) fn landings_pending(&self) -> usize {
        self.listings.iter().map(|own| own.landing.len()).sum()
    }

    pub(in crate::sandbox) fn fba_violations(&self) -> u64 {
        self.fba_violations
    }

    pub(super) fn grant(&mut self, secs: u64, grantless: bool, dice: &mut Dice, now_ms: i64) -> String {
        self.tokens.retain(|_, token| token.ends_ms > now_ms);
        let token = format!("Atza|{}", dice.uuid());
        self.tokens.insert(token.clone(), Token { ends_ms: now_ms + signed(secs * 1000), grantless });
        token
    }

    /// The seller types another quantity into a listing; it is live at once.
    pub(in crate::sandbox) fn edit(&mut self, sku: usize, quantity: i64, now_ms: i64) {
        let own = &mut self.listings[sku];
        own.live = quantity.max(0);
        own.updated_ms = now_ms;
        if let Some(entry) = own.attributes.get_mut("fulfillment_availability").and_then(|all| all.get_mut(0))
        {
            entry["quantity"] = json!(own.live);
        }
    }

    /// A listing for the control API.
    pub(in crate::sandbox) fn listing_report(&self, sku: usize) -> Value {
        let own = &self.listings[sku];
        json!({
            "shown": own.live,
            "seller_sku": own.seller_sku,
            "asin": own.asin,
            "pending": own.landing.len(),
            "fba": self.fba(sku),
        })
    }
}

fn listing(
    sku: usize,
    (seller_sku, fnsku, live): (&str, Option<String>, i64),
    asin: &str,
    title: &str,
    price_cents: i64,
    now_ms: i64,
) -> Listing {
    let availability = if fnsku.is_some() {
        json!([{"fulfillment_channel_code": FBA}])
    } else {
        json!([{"fulfillment_channel_code": MERCHANT, "quantity": live, "lead_time_to_ship_max_days": 2}])
    };
    let mut attributes = serde_json::Map::new();
    attributes.insert("fulfillment_availability".into(), availability);
    Listing {
        sku,
        seller_sku: seller_sku.to_owned(),
        asin: asin.to_owned(),
        title: title.to_owned(),
        price_cents,
        fnsku,
        live,
        flipped: None,
        attributes,
        landing: std::collections::VecDeque::new(),
        updated_ms: now_ms,
    }
}
