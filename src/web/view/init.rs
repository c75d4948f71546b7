//! The opening stock.

use serde::{Deserialize, Serialize};

use crate::{
    model::{ChannelId, Counter, LocationId, Measure, OrderKey, Quantity, Sku},
    web::view::Time,
};

/// `POST /v1/init/preview?all=` and `POST /v1/init/apply`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitRequest {
    /// The ERP or the channel that the opening stock is taken from.
    pub from: ChannelId,
    /// Where all of it lies that a channel shows of several places together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<LocationId>,
}

/// What taking over the opening stock would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitPreview {
    /// The channel, or `@person`.
    pub from: Counter,
    pub measure: Measure,
    /// When the stock was read, by the counter's clock.
    pub as_of: Time,
    /// SKUs that get an opening stock.
    pub skus: usize,
    pub units: Quantity,
    /// SKUs among them with nothing in stock.
    pub empty: usize,
    /// Counted items that no SKU was found for; their stock is not taken over.
    pub unknown: usize,
    pub channels: Vec<InitChannel>,
    /// Counted SKUs that are on no selling channel: how many, and some of them.
    pub unlisted: usize,
    pub unlisted_some: Vec<Sku>,
    /// Of which orders a person will be asked whether an ERP has them: one for each ERP that is told of orders.
    pub open_orders: Vec<OpenOrders>,
    /// Open orders with lines of which it is not known what they sell, by the channel that sold them.
    pub unmapped_orders: Vec<OpenOrders>,
    /// What a person should look at before going on.
    pub warnings: Vec<String>,
}

/// Orders that are open when the stock is taken over. That an ERP was never told of by Evenkeel, so that it may have them by
/// other hands; or that sell something without a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrders {
    /// The ERP, or the channel that sold what has no SKU.
    pub channel: ChannelId,
    pub orders: usize,
    /// The units of them that are neither shipped nor cancelled.
    pub units: Quantity,
    /// Some of them.
    pub some: Vec<OrderKey>,
}

/// One channel within [`InitPreview`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitChannel {
    pub channel: ChannelId,
    pub kind: String,
    /// Catalogue items that are bound to a SKU.
    pub bound: usize,
    /// Catalogue items that no SKU was found for.
    pub unmatched: usize,
    /// Bound listings that are never written (FBA, untracked).
    pub unwritable: usize,
    /// Bound listings whose SKU has no opening stock: nothing is written to them.
    pub uncounted: usize,
    pub uncounted_some: Vec<Sku>,
    /// Listings that will show another quantity than they do: how many, and some of them, largest change first.
    pub differing: usize,
    pub differences: Vec<Difference>,
    /// How many units less, and more, the channel will show in all.
    pub lowered_units: Quantity,
    pub raised_units: Quantity,
}

/// A listing that will show another quantity than it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub sku: Sku,
    /// Where it draws its stock from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<LocationId>,
    pub shows: Quantity,
    pub will_show: Quantity,
}

/// The answer to `POST /v1/init/apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitDone {
    pub from: Counter,
    pub as_of: Time,
    /// SKUs that got an opening stock.
    pub skus: usize,
    pub units: Quantity,
    pub unknown: usize,
    /// Of which orders a person is asked whether an ERP has them.
    pub open_orders: Vec<OpenOrders>,
    /// Open orders with lines of which it is not known what they sell.
    pub unmapped_orders: Vec<OpenOrders>,
    /// What a person should look at.
    #[serde(default)]
    pub warnings: Vec<String>,
}
