//! Where the units of an order line are booked: one share for each SKU that it is made of, at each location.
//!
//! Most lines sell one SKU from one place, and need no shares of their own: [`Line::shares`] makes theirs up.

use std::{collections::BTreeMap, ops::Deref, slice};

use serde::{Deserialize, Serialize};

use crate::{
    core::order::Line,
    model::{LocationId, Overflow, Quantity, Sku, Totals, policy::Part},
};

/// What of a line is booked on one SKU at one location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// As it was called when the line was bound; it may have become part of another SKU since.
    pub sku: Sku,
    pub location: LocationId,
    /// Units of the SKU in one unit of the line.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub units: Quantity,
    /// The totals that the ledger has entries for, in units of the line.
    pub booked: Totals,
    /// As in [`crate::core::order::Binding`], for this SKU at this place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early: bool,
    /// Of an order older than the opening count: what was over by then, and is part of that count. `None`: all that is
    /// booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Totals>,
}

const ONE: Quantity = Quantity::new(1);

fn one() -> Quantity {
    ONE
}

fn is_one(units: &Quantity) -> bool {
    *units == ONE
}

impl Share {
    /// Returns what is booked, in units of its SKU.
    pub fn units_booked(&self) -> Result<Totals, Overflow> {
        self.booked.times(self.units)
    }

    /// Returns what the opening count holds of it: nothing, unless the order is older.
    pub fn before(&self) -> Result<Totals, Overflow> {
        match (self.baseline, self.before) {
            (false, _) => Ok(Totals::default()),
            (true, Some(before)) => Ok(before),
            (true, None) => self.booked.closed(),
        }
    }

    /// Returns what was booked on top of the opening count. A shipment from before it that is taken back is below zero.
    pub fn since(&self) -> Result<Totals, Overflow> {
        self.booked.minus(self.before()?)
    }

    /// Returns what of it is news to an ERP that counted at the opening, in units of its SKU. More may have come back than was
    /// shipped since.
    pub fn news(&self) -> Result<Totals, Overflow> {
        let before = self.before()?.least(self.booked);
        self.booked.minus(before.closed()?)?.times(self.units)
    }

    /// Tells whether an opening count of its SKU at its place concerns it: it was bound before, or is older and still
    /// open.
    pub fn is_older(&self) -> bool {
        self.early || (self.baseline && self.booked.open().is_ok_and(|open| open > Quantity::ZERO))
    }
}

/// Where a line is booked, as a slice: a line that needs no shares of its own is asked for them very often.
#[derive(Debug, Clone)]
pub enum Shares<'a> {
    /// The one that was made up.
    One(Share),
    Kept(&'a [Share]),
}

impl Deref for Shares<'_> {
    type Target = [Share];

    fn deref(&self) -> &[Share] {
        match self {
            Shares::One(share) => slice::from_ref(share),
            Shares::Kept(shares) => shares,
        }
    }
}

impl Line {
    /// Returns where the line is booked. Empty: it is not bound.
    pub fn shares(&self) -> Shares<'_> {
        match &self.bound {
            Some(bound) if self.shares.is_empty() => Shares::One(Share {
                sku: bound.sku.clone(),
                location: bound.location.clone(),
                units: ONE,
                booked: self.booked,
                baseline: bound.baseline,
                early: bound.early,
                before: None,
            }),
            Some(_) => Shares::Kept(&self.shares),
            None => Shares::Kept(&[]),
        }
    }

    /// Takes in where the line is booked now. What its binding says as well is not kept twice.
    pub fn set_shares(&mut self, shares: Vec<Share>) {
        let Some(bound) = &mut self.bound else { return };
        let single = match shares.as_slice() {
            [share] if share.units == ONE && share.sku == bound.sku && share.location == bound.location => {
                (bound.baseline, bound.early) = (share.baseline, share.early);
                share.booked == self.booked && share.before.is_none()
            }
            _ => false,
        };
        self.shares = if single { Vec::new() } else { shares };
    }

    /// Returns what one unit of the line was made of when it first had an effect, whatever became of the recipe since.
    /// `None`: it had none yet.
    pub fn made_of(&self) -> Option<Vec<Part>> {
        let bound = self.bound.as_ref()?;
        if self.shares.is_empty() {
            let itself = Part { sku: bound.sku.clone(), units: ONE };
            return (self.booked != Totals::default()).then(|| vec![itself]);
        }
        let mut parts: Vec<Part> = Vec::new();
        for share in &self.shares {
            if !parts.iter().any(|part| part.sku == share.sku) {
                parts.push(Part { sku: share.sku.clone(), units: share.units });
            }
        }
        Some(parts)
    }
}

/// Spreads what was over by the opening count over the shares that a line has now of one SKU; `held` are those that it
/// had. Each keeps its own, as far as it still has such units; the rest goes where such units are, and else to the first.
pub fn keep_before(held: &[&Share], now: &mut [Share]) -> Result<(), Overflow> {
    let zero = Totals::default();
    let mut left = held.iter().try_fold(zero, |sum, old| sum.plus(old.before()?))?;
    let mut older: Vec<&mut Share> = now.iter_mut().filter(|share| share.baseline).collect();
    for share in &mut older {
        let own = held.iter().find(|old| old.location == share.location);
        let own = own.map_or(Ok(zero), |old| old.before())?.least(share.booked).closed()?;
        (share.before, left) = (Some(own), left.minus(own)?);
    }
    for share in &mut older {
        let own = share.before.unwrap_or_default();
        let more = share.booked.minus(own)?.most(zero).least(left.most(zero)).closed()?;
        (share.before, left) = (Some(own.plus(more)?), left.minus(more)?);
    }
    if let Some(first) = older.first_mut() {
        first.before = Some(first.before.unwrap_or_default().plus(left)?);
    }
    for share in older {
        share.before = share.before.filter(|before| share.booked.closed() != Ok(*before));
    }
    Ok(())
}

/// Joins two tellings of the same rank, by location: the larger of each.
pub fn joined(a: &[(LocationId, Totals)], b: &[(LocationId, Totals)]) -> Vec<(LocationId, Totals)> {
    let mut all: BTreeMap<&LocationId, Totals> = BTreeMap::new();
    for (location, totals) in a.iter().chain(b) {
        let held = all.entry(location).or_default();
        *held = held.most(*totals);
    }
    all.into_iter().map(|(location, totals)| (location.clone(), totals)).collect()
}

/// Returns how totals lie on locations, `home` first: what no place accounts for lies there. No place gets more than
/// there is, and none has more units shipped or cancelled than ordered.
pub fn spread(
    totals: Totals,
    places: &[(LocationId, Totals)],
    home: &LocationId,
) -> Result<Vec<(LocationId, Totals)>, Overflow> {
    let mut rest = totals;
    let mut out: Vec<(LocationId, Totals)> = vec![(home.clone(), Totals::default())];
    for (location, told) in places.iter().filter(|(location, _)| location != home) {
        let mut at = Totals::default();
        take(&mut rest.released, &mut at.released, told.released)?;
        take(&mut rest.written_off, &mut at.written_off, told.written_off)?;
        take(&mut rest.fulfilled, &mut at.fulfilled, told.fulfilled)?;
        take(&mut rest.returned, &mut at.returned, told.returned)?;
        at.ordered = at.released.add(at.written_off)?.add(at.fulfilled)?;
        rest.ordered = rest.ordered.sub(at.ordered)?;
        out.push((location.clone(), at));
    }
    // What is still open goes where it is to be shipped from.
    let mut open = rest.open()?;
    for (location, at) in out.iter_mut().skip(1) {
        let told = places.iter().find(|(of, _)| of == location).map_or(at.ordered, |(_, told)| told.ordered);
        let before = at.ordered;
        take(&mut open, &mut at.ordered, told.sub(before)?)?;
        rest.ordered = rest.ordered.sub(at.ordered.sub(before)?)?;
    }
    out[0].1 = rest;
    out.retain(|(location, at)| location == home || *at != Totals::default());
    Ok(out)
}

/// Moves at most `wanted` units.
fn take(from: &mut Quantity, to: &mut Quantity, wanted: Quantity) -> Result<(), Overflow> {
    let moved = wanted.or_zero().min(from.or_zero());
    *from = from.sub(moved)?;
    *to = to.add(moved)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn totals([ordered, released, written_off, fulfilled, returned]: [i64; 5]) -> Totals {
        let q = Quantity::new;
        Totals {
            ordered: q(ordered),
            released: q(released),
            written_off: q(written_off),
            fulfilled: q(fulfilled),
            returned: q(returned),
        }
    }

    fn at(name: &str) -> LocationId {
        LocationId::new(name).expect("a good name")
    }

    /// Totals, what is told of the store -> what lies at home and at the store.
    #[track_caller]
    fn check(all: [i64; 5], store: [i64; 5], want: [[i64; 5]; 2]) {
        let places = [(at("store"), totals(store))];
        let got = spread(totals(all), &places, &at("home")).expect("small");
        let of = |name: &str| got.iter().find(|(l, _)| *l == at(name)).map(|(_, t)| *t).unwrap_or_default();
        assert_eq!([of("home"), of("store")], want.map(totals));
    }

    #[test]
    fn what_is_told_of_a_place_lies_there_and_the_rest_at_home() {
        check([5, 0, 0, 0, 0], [2, 0, 0, 0, 0], [[3, 0, 0, 0, 0], [2, 0, 0, 0, 0]]);
        check([5, 1, 0, 2, 0], [2, 0, 0, 2, 0], [[3, 1, 0, 0, 0], [2, 0, 0, 2, 0]]);
        check([2, 0, 0, 2, 1], [0, 0, 0, 0, 1], [[2, 0, 0, 2, 0], [0, 0, 0, 0, 1]]);
    }

    #[test]
    fn no_place_gets_more_than_there_is() {
        check([2, 0, 0, 0, 0], [9, 0, 0, 9, 0], [[0; 5], [2, 0, 0, 0, 0]]);
        check([2, 2, 0, 0, 0], [2, 0, 0, 0, 0], [[2, 2, 0, 0, 0], [0; 5]]);
        // Shipped from where nothing was assigned: it must have been ordered there.
        check([3, 0, 0, 2, 0], [0, 0, 0, 2, 0], [[1, 0, 0, 0, 0], [2, 0, 0, 2, 0]]);
    }

    proptest! {
        #[test]
        fn a_spread_adds_up_and_no_place_is_below_zero(
            parts in prop::array::uniform4(0..6_i64), returned in 0..6_i64,
            told in prop::collection::vec(prop::array::uniform5(-2..8_i64), 0..4),
        ) {
            let [open, released, written_off, fulfilled] = parts;
            let ordered = open + released + written_off + fulfilled;
            let all = totals([ordered, released, written_off, fulfilled, returned.min(fulfilled)]);
            let names = ["a", "b", "home", "c"];
            let places: Vec<_> = told.into_iter().zip(names).map(|(t, name)| (at(name), totals(t))).collect();
            let got = spread(all, &places, &at("home")).expect("small");
            let mut sum = Totals::default();
            for (_, part) in &got {
                sum = sum.plus(*part).expect("small");
                prop_assert!(part.open().expect("small") >= Quantity::ZERO, "{got:?}");
                prop_assert_eq!(part.least(Totals::default()), Totals::default());
            }
            prop_assert_eq!(sum, all);
        }
    }
}
