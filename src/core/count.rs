//! Counts and their as-of: a count never puts a sold unit back (I10).
//!
//! A counter tells what it knew when it was read. What it had not taken in by then is replayed on top: always where
//! that lowers the stock, and where it raises it only if a look-up after the read still found it absent.

use serde::{Deserialize, Serialize};

use crate::{
    core::{ledger::Stock, posting::Item},
    model::{
        LocationId, Measure, Overflow, Quantity, Returns, Sku, Timestamp, Totals, counted, policy::Brake,
        which,
    },
};

/// What a counter has not taken in of one SKU at one location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Untold {
    /// Units that left the shelf (shipped, written off). Below zero: shipments taken back, and found not to be
    /// after the read.
    pub left: Quantity,
    /// Units that came back onto the shelf, and were found absent after the read. Below zero: returns taken back.
    pub back: Quantity,
    /// Units that are promised (sold and not cancelled), whether shipped or not.
    pub promised: Quantity,
    /// Units that are free again (cancelled), and were found absent after the read. Below zero: cancellations taken
    /// back.
    pub freed: Quantity,
    /// There are movements that raise of which it is not known whether the counter has taken them in.
    pub open: bool,
}

impl Untold {
    /// Adds what one order has booked and the counter has not acknowledged.
    ///
    /// `absent`: a look-up after the read found that the counter lacks the raising movements.
    pub fn add(
        self,
        booked: Totals,
        acked: Totals,
        returns: Returns,
        absent: bool,
    ) -> Result<Untold, Overflow> {
        let rest = |of: fn(Totals) -> Quantity| of(booked).sub(of(acked));
        // Movements that raise count where they are absent, those that lower always.
        let lowering = |q: Quantity| if absent || q > Quantity::ZERO { q } else { Quantity::ZERO };
        let raising = |q: Quantity| if absent || q < Quantity::ZERO { q } else { Quantity::ZERO };
        let left = lowering(rest(|t| t.fulfilled)?).add(lowering(rest(|t| t.written_off)?))?;
        let returned = match returns {
            Returns::Restock | Returns::Quarantine => rest(|t| t.returned)?,
            Returns::Ignore => Quantity::ZERO,
        };
        Ok(Untold {
            left: self.left.add(left)?,
            back: self.back.add(raising(returned))?,
            promised: self.promised.add(rest(|t| t.ordered)?.or_zero())?,
            freed: self.freed.add(raising(rest(|t| t.released)?))?,
            open: self.open
                || (!absent && (returned > Quantity::ZERO || rest(|t| t.released)? > Quantity::ZERO)),
        })
    }
}

/// Returns what is on hand by a count, with what the counter did not know replayed on top.
pub fn on_hand(
    measure: Measure,
    counted: Quantity,
    now: Stock,
    untold: Untold,
) -> Result<Quantity, Overflow> {
    match measure {
        Measure::OnHand => counted.sub(untold.left)?.add(untold.back),
        // Free is net of the counter's own open orders, which are our promises as far as it knows them. What we hold
        // back as reserved lies on its shelf like everything else.
        Measure::Free => {
            let free = counted.sub(untold.promised)?.add(untold.freed)?.add(untold.back)?;
            free.add(now.committed)
        }
    }
}

/// Returns how many units less a count stands for because of what the counter has not taken in.
pub fn off(measure: Measure, untold: Untold) -> Result<Quantity, Overflow> {
    let of = |untold| on_hand(measure, Quantity::ZERO, Stock::default(), untold);
    of(Untold::default())?.sub(of(untold)?)
}

/// Returns what is on hand by a count that `known` follows from, and how many of the `off` units that left, and that others book
/// at the counter, it is seen to have in it. `now`: what is on hand by all that is booked here.
///
/// Nobody tells when they book. Units count as not booked as long as the count would put them back, and as booked where it would
/// not.
pub fn left_to_others(
    known: Quantity,
    off: Quantity,
    now: Quantity,
) -> Result<(Quantity, Quantity), Overflow> {
    let unseen = known.sub(off)?;
    let on_hand = unseen.max(now.min(known));
    Ok((on_hand, on_hand.sub(unseen)?))
}

/// Returns what a counter has of an item with these totals, by what it had and the units that it is seen to have taken off
/// besides. Takes away from `units` what that is.
pub fn seen(
    measure: Measure,
    held: Totals,
    totals: Totals,
    units: &mut Quantity,
) -> Result<Totals, Overflow> {
    let mut seen = held;
    let mut all = true;
    let lowers: &mut [(&mut Quantity, Quantity)] = match measure {
        Measure::OnHand => {
            &mut [(&mut seen.fulfilled, totals.fulfilled), (&mut seen.written_off, totals.written_off)]
        }
        Measure::Free => &mut [(&mut seen.ordered, totals.ordered)],
    };
    for (held, booked) in lowers {
        let more = booked.sub(**held)?.or_zero().min(*units);
        **held = held.add(more)?;
        *units = units.sub(more)?;
        all &= **held >= *booked;
    }
    // What such counts do not show is taken to be booked along with it.
    Ok(if all { totals } else { seen })
}

/// Returns what one item of an acknowledgement holds for a SKU at a location.
pub fn acked(items: &[Item], sku: &Sku, location: &LocationId) -> Totals {
    let held = items.iter().find(|item| item.sku == *sku && item.location == *location);
    held.map(|item| item.totals).unwrap_or_default()
}

/// One change that a count would make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub before: Quantity,
    pub after: Quantity,
}

/// What changes of several SKUs add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changed {
    /// SKUs that fall to zero.
    #[serde(default)]
    pub zeroed: u64,
    /// SKUs that change at all.
    #[serde(default)]
    pub moved: u64,
    /// The units of the changes, and of the stock before them.
    #[serde(default)]
    pub units: u64,
    #[serde(default)]
    pub stock: u64,
}

impl Changed {
    pub fn with(self, change: Change) -> Changed {
        let (before, after) = (change.before, change.after);
        let moved = after.sub(before).map_or(u64::MAX, |moved| moved.units().unsigned_abs());
        Changed {
            zeroed: self.zeroed + u64::from(before > Quantity::ZERO && after <= Quantity::ZERO),
            moved: self.moved + u64::from(before != after),
            units: self.units.saturating_add(moved),
            stock: self.stock.saturating_add(before.units().unsigned_abs()),
        }
    }

    /// Returns why so much is not believed without a person, if it is not (I11).
    ///
    /// Measured against `catalogue`, the number of SKUs with an opening count, and against the units on hand of the
    /// SKUs that change or were counted.
    pub fn held_by(self, brake: &Brake, catalogue: usize) -> Option<String> {
        let Changed { zeroed, moved, units, stock } = self;
        let catalogue = u64::try_from(catalogue).unwrap_or(u64::MAX).max(1);
        let least = u64::from(brake.min_skus);
        if zeroed >= least && zeroed * 100 > u64::from(brake.zero_percent) * catalogue {
            return Some(format!("it would set {zeroed} of {} to zero", counted(catalogue, "SKU")));
        }
        let share = moved * 100 > u64::from(brake.move_percent) * catalogue;
        let much = u128::from(units) * 100 > u128::from(brake.move_percent) * u128::from(stock);
        if moved >= least && share && much {
            let (units, skus, hold) =
                (counted(units, "unit"), counted(moved, "SKU"), which(moved, "holds", "hold"));
            return Some(format!("it would move {units} of {skus} that {hold} {stock}"));
        }
        None
    }
}

/// Returns why a count is too large a change to be believed, if it is.
pub fn held_by(brake: &Brake, changes: &[Change], catalogue: usize) -> Option<String> {
    changes.iter().fold(Changed::default(), |sum, change| sum.with(*change)).held_by(brake, catalogue)
}

/// Edits of a channel's stock that were taken over within a while: together they are what a count is to the brake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    pub since: Timestamp,
    pub changed: Changed,
}

/// For how long edits add up for the brake.
const EDITS_MS: i64 = 3_600_000;

impl Edits {
    /// Returns them with one more.
    pub fn with(held: Option<Edits>, change: Change, now: Timestamp) -> Edits {
        let held = held.filter(|held| now.since(held.since) < EDITS_MS);
        let held = held.unwrap_or(Edits { since: now, changed: Changed::default() });
        Edits { changed: held.changed.with(change), ..held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(units: i64) -> Quantity {
        Quantity::new(units)
    }

    fn totals([ordered, released, written_off, fulfilled, returned]: [i64; 5]) -> Totals {
        Totals {
            ordered: q(ordered),
            released: q(released),
            written_off: q(written_off),
            fulfilled: q(fulfilled),
            returned: q(returned),
        }
    }

    /// A count of 10 with one order booked and acknowledged so far -> on hand for each measure.
    #[track_caller]
    fn check(booked: [i64; 5], acked: [i64; 5], absent: bool, want: [i64; 2]) {
        let (booked, acked) = (totals(booked), totals(acked));
        let open = booked.ordered.units()
            - booked.released.units()
            - booked.written_off.units()
            - booked.fulfilled.units();
        let stock = Stock { on_hand: q(99), committed: q(open), ..Stock::default() };
        let untold = Untold::default().add(booked, acked, Returns::Restock, absent).expect("small");
        let got = [Measure::OnHand, Measure::Free]
            .map(|m| on_hand(m, q(10), stock, untold).expect("small").units());
        assert_eq!(got, want);
    }

    /// A count that stands for so many units, of which so many may not be booked by others, where so many are on hand -> what is
    /// on hand, and how many are seen to be booked.
    #[track_caller]
    fn check_left(known: i64, off: i64, now: i64, want: (i64, i64)) {
        let q = Quantity::new;
        let got = left_to_others(q(known), q(off), q(now)).expect("small");
        assert_eq!(got, (q(want.0), q(want.1)), "{known} {off} {now}");
    }

    #[test]
    fn what_others_book_is_booked_where_a_count_does_not_put_it_back() {
        check_left(8, 0, 10, (8, 0));
        check_left(12, 0, 10, (12, 0));
        check_left(10, 2, 8, (8, 0));
        check_left(9, 2, 8, (8, 1));
        check_left(8, 2, 8, (8, 2));
        check_left(5, 2, 8, (5, 2)); // booked, and three are gone besides
        check_left(13, 2, 8, (11, 0)); // three have come in, at least
        check_left(0, 2, -1, (-1, 1));
    }

    #[test]
    fn a_sale_in_between_is_not_put_back() {
        // Sold 2, not told: the shelf still holds 10, of which 2 are promised; free falls to 8.
        check([2, 0, 0, 0, 0], [0; 5], false, [10, 10]);
        // Told: free of 10 is already without them, so 12 are on the shelf.
        check([2, 0, 0, 0, 0], [2, 0, 0, 0, 0], false, [10, 12]);
        // Shipped, not told: they are gone from the shelf whatever was counted.
        check([2, 0, 0, 2, 0], [2, 0, 0, 0, 0], false, [8, 10]);
    }

    #[test]
    fn a_return_counts_on_top_only_if_it_was_looked_up_and_is_absent() {
        check([2, 0, 0, 2, 1], [2, 0, 0, 2, 0], false, [10, 10]);
        check([2, 0, 0, 2, 1], [2, 0, 0, 2, 0], true, [11, 11]);
        check([2, 1, 0, 0, 0], [2, 0, 0, 0, 0], true, [10, 12]);
    }

    #[test]
    fn what_was_taken_back_is_replayed_the_other_way_round() {
        // A shipment that the counter still believes in: on its shelf two are missing that are there.
        check([2, 0, 0, 0, 0], [2, 0, 0, 2, 0], true, [12, 12]);
        check([2, 0, 0, 0, 0], [2, 0, 0, 2, 0], false, [10, 12]);
        check([2, 0, 0, 0, 0], [2, 0, 2, 0, 0], true, [12, 12]);
        // A return, and a cancellation, that it still believes in: these lower, so they need no look-up.
        check([2, 0, 0, 2, 0], [2, 0, 0, 2, 1], false, [9, 9]);
        check([2, 0, 0, 0, 0], [2, 1, 0, 0, 0], false, [10, 11]);
        // One taken back does not hide another that was made.
        check([4, 0, 1, 1, 0], [4, 0, 0, 2, 0], false, [9, 12]);
    }

    #[test]
    fn the_brake_holds_what_empties_or_moves_too_much_and_lets_small_shops_work() {
        let brake = Brake { zero_percent: 10, move_percent: 30, min_skus: 5 };
        let change = |before, after| Change { before: q(before), after: q(after) };
        let zero = |n: usize| vec![change(5, 0); n];
        assert_eq!(held_by(&brake, &zero(4), 10), None, "fewer than min_skus");
        assert!(held_by(&brake, &zero(11), 100).is_some());
        assert_eq!(held_by(&brake, &zero(10), 100), None, "just ten percent");
        let moved = |n: usize| vec![change(100, 10); n];
        assert!(held_by(&brake, &moved(40), 100).is_some());
        assert_eq!(held_by(&brake, &moved(20), 100), None, "few of the catalogue");
        assert_eq!(held_by(&brake, &[change(0, 0), change(5, 6)], 2), None);
    }
}
