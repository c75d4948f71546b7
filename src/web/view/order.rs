//! An order, and what ERPs were told of it.

use serde::{Deserialize, Serialize};

use crate::{
    model::{ChannelId, FulfilledBy, LineId, LocationId, OrderId, Quantity, Sku, Totals},
    web::view::{Ids, LetterId, Time},
};

/// `GET /v1/orders/{channel}/{order}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub channel: ChannelId,
    pub order: OrderId,
    /// What people call it (`#1001`).
    pub name: Option<String>,
    pub placed_at: Time,
    /// What is known of it is in doubt, and it will be read again.
    pub fetch_due: bool,
    /// It was finished long ago: a tombstone is kept of it.
    #[serde(default)]
    pub pruned: bool,
    pub lines: Vec<LineView>,
    pub postings: Vec<PostingView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    pub line: LineId,
    pub ids: Ids,
    pub by: FulfilledBy,
    /// What follows from all that was told.
    pub totals: Totals,
    /// What the ledger has entries for.
    pub booked: Totals,
    /// Sold and neither shipped nor cancelled, as booked.
    pub open: Quantity,
    pub bound: Option<BindingView>,
    /// Why no SKU was found, if the line waits for one.
    pub unmapped: Option<String>,
}

/// The SKU and place that a line's entries are booked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingView {
    pub sku: Sku,
    pub location: LocationId,
    /// The order is older than the opening count.
    pub baseline: bool,
}

/// How far an ERP has been told of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingView {
    pub channel: ChannelId,
    /// `done`, `pending`, `in_flight`, `retry`, `parked`, `dropped`.
    pub state: String,
    /// What every document made for the order carries as its beginning.
    pub reference: String,
    pub sequence: u32,
    pub tries: u32,
    /// Since when the ERP is behind, if it is.
    pub since: Option<Time>,
    pub next_at: Option<Time>,
    /// Why it waits for a person, or did not go through when it was tried last.
    pub reason: Option<String>,
    /// What the ERP has acknowledged.
    pub acknowledged: Vec<ItemView>,
    pub dead_letter: Option<LetterId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemView {
    pub sku: Sku,
    pub location: LocationId,
    pub totals: Totals,
}
