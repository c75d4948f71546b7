//! What a person asks for, before it is judged.

use crate::model::{ChannelId, LocationId, Quantity, Sku, Timestamp};

/// The most rows of one request: all of them are decided together.
pub const ROWS_MAX: usize = 5_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    pub rows: Vec<Row>,
    /// Units that go between places travel, and arrive when a person has received them.
    pub travels: bool,
    pub seen_is_enough: bool,
    pub until: Option<Timestamp>,
    pub note: String,
    /// What the request goes by, so that its repeat is recognised.
    pub request: Option<String>,
    /// More than is available may leave a place, down to what is on hand.
    pub force: bool,
    /// A person has seen what the brake would hold.
    pub confirmed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it stands in a file.
    pub line: Option<u64>,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The most that the listings of a SKU on a channel may show. `None`: no such limit.
    Set { sku: Sku, channel: ChannelId, most: Option<Quantity> },
    /// Units of what one channel may show that another may show.
    Shift { sku: Sku, quantity: Quantity, from: ChannelId, to: ChannelId },
    /// Units that go from place to place.
    Move { sku: Sku, quantity: Quantity, from: LocationId, to: LocationId },
}

/// Units that have come to where they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which of the SKUs, and to which place, if that is not plain.
    pub sku: Option<Sku>,
    pub to: Option<LocationId>,
    /// `None`: all that are on the way, or none if the rest is lost.
    pub quantity: Option<Quantity>,
    /// What is still on the way after this will not come.
    pub lost: bool,
}
