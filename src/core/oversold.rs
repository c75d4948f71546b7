//! Units that were sold and are not there, and whose doing that is.

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        ledger::{Cause, Entry, Stock, book},
        state::SkuRow,
    },
    model::{LocationId, Overflow, Quantity, Seq},
};

/// The latest oversell of a SKU of which units are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oversell {
    /// The position from which on some are.
    pub since: Seq,
    /// How many more were missing by it.
    pub units: Quantity,
    pub class: Class,
    /// Whether the channel sold more than it can have shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beyond: bool,
    pub cause: Cause,
}

/// Whose doing an oversell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The channel still showed what had been sold elsewhere: our change was not there yet.
    Sync,
    /// The stock turned out to be less: a count by a person, a loss, an edit.
    Physical,
    /// The operator has it shown: a frozen channel or SKU is not lowered.
    Override,
    /// Another writer showed more than we had written.
    RivalWriter,
    /// It was sold where we hold no quantity: in the ERP (whose count falls), in a draft order, on a listing that is never
    /// written. Or the channel does not keep to it: it sold more than it can have shown.
    Uncontrolled,
}

impl Class {
    pub const ALL: [Class; 5] =
        [Class::Sync, Class::Physical, Class::Override, Class::RivalWriter, Class::Uncontrolled];

    /// Returns the name that people and metrics know it by.
    pub fn name(self) -> &'static str {
        match self {
            Class::Sync => "sync",
            Class::Physical => "physical",
            Class::Override => "override",
            Class::RivalWriter => "rival_writer",
            Class::Uncontrolled => "uncontrolled",
        }
    }

    /// Says in a sentence what it means. `beyond`: the channel sold more than it can have shown.
    pub fn meaning(self, beyond: bool) -> &'static str {
        match self {
            Class::Uncontrolled if beyond => {
                "the channel sold more than it showed: it goes on selling when out of stock, or was sold by hand there"
            }
            Class::Sync => {
                "the channel still showed what had been sold elsewhere: our change was not there yet"
            }
            Class::Physical => "the stock turned out to be less than what was sold already",
            Class::Override => "a person has it shown: what is frozen is not lowered",
            Class::RivalWriter => "another writer showed more than was written",
            Class::Uncontrolled => {
                "it was sold where no quantity is held, or the ERP has counted less than was sold: see what moved in the ERP, and \
                 give such sales a buffer or safety stock"
            }
        }
    }
}

/// Returns how an entry changes what there is: on a shelf, or on its way to one.
pub fn moved(entry: &Entry) -> Result<Quantity, Overflow> {
    let by = book(Stock::default(), entry.kind, entry.quantity)?;
    by.available()?.add(by.incoming)
}

/// Returns what there is of a SKU for what is yet to be sold, over these places: what is available, and what is on its way there from
/// others. That is not for sale, and not missing either. `None`: it was never counted at any of them.
pub fn there(row: &SkuRow, places: &[LocationId]) -> Result<Option<Quantity>, Overflow> {
    if row.available(places)?.is_none() {
        return Ok(None);
    }
    as_none(row, places).map(Some)
}

/// Like [`there`], as if what was never counted were none.
pub fn as_none(row: &SkuRow, places: &[LocationId]) -> Result<Quantity, Overflow> {
    // What goes on paper is available all the while where both its ends are.
    let on_paper = |place: &LocationId| {
        let mut moving = row.moving.iter().filter(|held| held.to == *place && places.contains(&held.from));
        moving.try_fold(Quantity::ZERO, |sum, held| sum.add(held.quantity))
    };
    let mut here = row.stock.iter().filter(|place| places.contains(&place.location));
    let coming = here.try_fold(Quantity::ZERO, |sum, place| {
        sum.add(place.stock.incoming)?.sub(on_paper(&place.location)?)
    })?;
    row.booked(places)?.add(coming)
}

/// Returns how many units more are missing after a change of `by` than before it.
pub fn more_missing(after: Quantity, by: Quantity) -> Result<Quantity, Overflow> {
    let missing = |there: Quantity| there.neg().map(Quantity::or_zero);
    Ok(missing(after)?.sub(missing(after.sub(by)?)?)?.or_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What there is after a change, and the change -> the units that are missing by it.
    #[track_caller]
    fn check(after: i64, by: i64, want: i64) {
        let q = Quantity::new;
        assert_eq!(more_missing(q(after), q(by)), Ok(q(want)));
    }

    #[test]
    fn only_what_goes_below_zero_is_missing_and_only_once() {
        check(0, -3, 0);
        check(-1, -3, 1);
        check(-3, -3, 3);
        check(-5, -3, 3);
        check(-2, 3, 0);
        check(-2, 0, 0);
    }
}
