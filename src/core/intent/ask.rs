//! What a person asks for, before it is judged.

use crate::{
    core::backoff,
    model::{ChannelId, LocationId, Quantity, Sku, Timestamp},
};

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

impl Ask {
    /// Returns a digest of what is wanted: all that a repeat must have in common with the first request, in whatever order its rows
    /// are. The time that it is given up is told from when it is asked, so that is left out; and so is what only talks the
    /// daemon into it.
    pub fn digest(&self) -> u64 {
        let mut rows: Vec<u64> = self.rows.iter().map(|row| row.what.digest()).collect();
        rows.sort_unstable();
        let flags = [self.travels, self.seen_is_enough].map(|flag| flag.to_string());
        let all: Vec<String> = rows.into_iter().map(|row| row.to_string()).chain(flags).collect();
        backoff::digest(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }
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

impl What {
    fn digest(&self) -> u64 {
        match self {
            What::Set { sku, channel, most } => {
                let most = most.map_or_else(String::new, |most| most.to_string());
                backoff::digest(&["set", sku.as_str(), channel.as_str(), &most])
            }
            What::Shift { sku, quantity, from, to } => {
                let units = quantity.to_string();
                backoff::digest(&["shift", sku.as_str(), &units, from.as_str(), to.as_str()])
            }
            What::Move { sku, quantity, from, to } => {
                let units = quantity.to_string();
                backoff::digest(&["move", sku.as_str(), &units, from.as_str(), to.as_str()])
            }
        }
    }
}

/// Units that have come to where they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Which of the SKUs, from which place and to which, if that is not plain.
    pub sku: Option<Sku>,
    pub from: Option<LocationId>,
    pub to: Option<LocationId>,
    /// `None`: all that are on the way, or none if the rest is lost.
    pub quantity: Option<Quantity>,
    /// What is still on the way after this will not come.
    pub lost: bool,
    /// Why, or by whom, for the journal.
    pub note: String,
}
