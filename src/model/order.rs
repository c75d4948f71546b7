//! Orders as snapshots with cumulative line quantities. How they are merged is `core::order`.

use serde::{Deserialize, Serialize};

use crate::model::{
    FulfilledBy, Identifiers, LineId, LocationId, OrderId, Overflow, Quantity, Seq, Timestamp,
};

/// The cumulative quantities of one order line, since it was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Totals {
    /// Units ever ordered on this line.
    pub ordered: Quantity,
    /// Cancelled, and free to be sold again.
    pub released: Quantity,
    /// Cancelled because the unit is not there (or was lost): not free to be sold again.
    pub written_off: Quantity,
    /// Shipped.
    pub fulfilled: Quantity,
    /// Of the shipped units, those that came back.
    pub returned: Quantity,
}

impl Totals {
    /// Returns the smaller of each.
    pub fn least(self, other: Totals) -> Totals {
        Totals {
            ordered: self.ordered.min(other.ordered),
            released: self.released.min(other.released),
            written_off: self.written_off.min(other.written_off),
            fulfilled: self.fulfilled.min(other.fulfilled),
            returned: self.returned.min(other.returned),
        }
    }

    /// Returns the sum of each.
    pub fn plus(self, other: Totals) -> Result<Totals, Overflow> {
        Ok(Totals {
            ordered: self.ordered.add(other.ordered)?,
            released: self.released.add(other.released)?,
            written_off: self.written_off.add(other.written_off)?,
            fulfilled: self.fulfilled.add(other.fulfilled)?,
            returned: self.returned.add(other.returned)?,
        })
    }

    /// Returns the difference of each.
    pub fn minus(self, other: Totals) -> Result<Totals, Overflow> {
        Ok(Totals {
            ordered: self.ordered.sub(other.ordered)?,
            released: self.released.sub(other.released)?,
            written_off: self.written_off.sub(other.written_off)?,
            fulfilled: self.fulfilled.sub(other.fulfilled)?,
            returned: self.returned.sub(other.returned)?,
        })
    }

    /// Returns each, `units` times.
    pub fn times(self, units: Quantity) -> Result<Totals, Overflow> {
        Ok(Totals {
            ordered: self.ordered.times(units)?,
            released: self.released.times(units)?,
            written_off: self.written_off.times(units)?,
            fulfilled: self.fulfilled.times(units)?,
            returned: self.returned.times(units)?,
        })
    }

    /// Returns the units that are neither shipped nor cancelled.
    pub fn open(self) -> Result<Quantity, Overflow> {
        self.ordered.sub(self.released)?.sub(self.written_off)?.sub(self.fulfilled)
    }

    /// Returns what is over: without the units that are neither shipped nor cancelled.
    pub fn closed(self) -> Result<Totals, Overflow> {
        let ordered = self.released.add(self.written_off)?.add(self.fulfilled)?;
        Ok(Totals { ordered, ..self })
    }

    /// Returns the larger of each.
    pub fn most(self, other: Totals) -> Totals {
        Totals {
            ordered: self.ordered.max(other.ordered),
            released: self.released.max(other.released),
            written_off: self.written_off.max(other.written_off),
            fulfilled: self.fulfilled.max(other.fulfilled),
            returned: self.returned.max(other.returned),
        }
    }
}

/// What became of the units of a line that no total accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// Still to be shipped.
    #[default]
    Open,
    /// Cancelled, and free to be sold again.
    Released,
    /// Cancelled because they are not there.
    WrittenOff,
}

/// One line as a source tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSnapshot {
    pub line: LineId,
    pub ids: Identifiers,
    /// Where it will be shipped from, if the source says so and it is a known location.
    pub location: Option<LocationId>,
    /// How its totals lie on several locations, as far as the source says; what it does not say lies at `location`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<(LocationId, Totals)>,
    /// Where units that were taken off lay, of which `places` does not say it: a guess, for where no earlier telling knows better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplaced_at: Option<LocationId>,
    pub by: FulfilledBy,
    pub totals: Totals,
    /// Sources that zero the ordered quantity of a cancelled line say here what became of it.
    pub rest: Rest,
}

/// An order as a source tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSnapshot {
    pub order: OrderId,
    /// What people call it (`#1001`), if the source has such a name.
    pub name: Option<String>,
    /// The source's own "updated at". Lies: see `core::order`.
    pub version: Timestamp,
    pub placed_at: Timestamp,
    /// Whether an absent line means that it has no units any more.
    pub complete: bool,
    pub lines: Vec<LineSnapshot>,
}

/// How a snapshot came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The source sent it: a hint that carries a snapshot at best.
    Pushed,
    /// Read from the source; the journal stood at `begun` when the request was sent.
    Fetched { begun: Seq },
}
