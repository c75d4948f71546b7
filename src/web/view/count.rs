//! Counts by people.

use serde::{Deserialize, Serialize};

use crate::{
    model::{DeliveryId, LocationId, Measure, Quantity, Sku},
    web::view::{LetterId, Time},
};

/// What is said of a count as long as there is no stock that it could be of.
pub const UNOPENED: &str = "the opening stock was not taken over yet, so nothing is written to any channel";
/// What helps then, where something is wrong with the lines.
pub const OPEN_FIRST: &str = "nothing was taken over; mend the lines named, then open the stock with the file (`evenkeel count import FILE \
    --opening`; --dry-run shows first what it would do) or from a channel (`evenkeel init --from CHANNEL`); locations are named in \
    `[[locations]]` of the configuration, write a SKU as `evenkeel sku` takes it, and --skip-unknown leaves out the lines of SKUs \
    that are not known";

/// What a person has counted. `POST /v1/count` takes it over, `POST /v1/count/preview` tells what that would do; with
/// `/v1/count/opening` and `/v1/count/opening/preview?all=` it is the opening stock, and the answers are those of `init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountRequest {
    pub lines: Vec<CountedLine>,
    /// `on_hand`: all that lies there, sold or not. `free`: what is left to be sold.
    #[serde(default = "on_hand")]
    pub measure: Measure,
    /// When it was counted, for lines that do not say it; now, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
    /// Everything was counted at the locations of the lines: what has stock there and is not named, is not there.
    #[serde(default)]
    pub full: bool,
    /// The brake does not hold it: a person has seen what it says.
    #[serde(default)]
    pub believed: bool,
    /// Lines of SKUs that are not known are left out. Otherwise nothing is taken over where there are such.
    #[serde(default)]
    pub skip_unknown: bool,
    /// By this a repeat is recognised, for two days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<DeliveryId>,
}

fn on_hand() -> Measure {
    Measure::OnHand
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedLine {
    /// Where it stands in a file, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub sku: Sku,
    pub location: LocationId,
    pub quantity: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
    #[serde(default)]
    pub note: String,
}

/// What a count does, or would do. A stock is a SKU at a location.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CountTally {
    pub changed: usize,
    pub unchanged: usize,
    /// Stocks that rise and fall, and by how many units in all.
    pub up: usize,
    pub up_units: Quantity,
    pub down: usize,
    pub down_units: Quantity,
    /// Stocks that had units and have none any more.
    pub zeroed: usize,
    /// Stocks that had no opening count.
    pub opened: usize,
    /// Some of the changes: what is on hand before and after, with what moved since the as-of on top.
    pub some: Vec<StockChange>,
    /// Stocks of which units went between places after the as-of of the count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transferred: Vec<TransferredSince>,
    /// Lines that nothing comes of.
    pub left_out: Vec<LeftOutLine>,
    /// Why the brake holds it, or would.
    pub brake: Option<String>,
    /// The held count, which waits for a person.
    pub held: Option<LetterId>,
    /// What is worth to be known, such as that a SKU is called something else now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// It was done before, for the same request.
    #[serde(default)]
    pub again: bool,
    /// It only tells what a count would do.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockChange {
    pub sku: Sku,
    pub location: LocationId,
    pub before: Quantity,
    pub after: Quantity,
}

/// Units of transfers between places, of after the as-of of a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferredSince {
    pub sku: Sku,
    pub location: LocationId,
    /// They went to other places: they are taken off what was counted.
    pub left: Quantity,
    /// They came from other places: they may have been counted, and are not added.
    pub came: Quantity,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutLine {
    /// Where it stands in the file, if it came in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub sku: Sku,
    pub location: LocationId,
    /// `no_sku`, `bundle`, `counted_later`, `not_known` (what moved there since its as-of is not known) or `partial`: it would
    /// rise, and the line of the same SKU for another place is left out.
    pub reason: String,
    pub why: String,
}
