//! Counts and their as-of: a count never puts a sold unit back (I10).
//!
//! A counter tells what it knew when it was read. What it had not taken in by then is replayed on top: always where
//! that lowers the stock, and where it raises it only if a look-up after the read still found it absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    core::{ledger::Stock, posting::Item},
    model::{LocationId, Measure, Overflow, Quantity, Sku, Timestamp, Totals, counted, policy::Brake, which},
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
    /// `back`: the units of the booked returns that were put back. `None`: where units come back, none are.
    /// `absent`: a look-up after the read found that the counter lacks the raising movements.
    pub fn add(
        self,
        booked: Totals,
        acked: Totals,
        back: Option<Quantity>,
        absent: bool,
    ) -> Result<Untold, Overflow> {
        let rest = |of: fn(Totals) -> Quantity| of(booked).sub(of(acked));
        // Movements that raise count where they are absent, those that lower always.
        let lowering = |q: Quantity| if absent || q > Quantity::ZERO { q } else { Quantity::ZERO };
        let raising = |q: Quantity| if absent || q < Quantity::ZERO { q } else { Quantity::ZERO };
        let left = lowering(rest(|t| t.fulfilled)?).add(lowering(rest(|t| t.written_off)?))?;
        let returned = match back {
            None => Quantity::ZERO,
            // Returns are taken back.
            Some(_) if acked.returned > booked.returned => rest(|t| t.returned)?,
            // Which of them it has is not known: those that were put back, as far as they go.
            Some(back) => back.sub(acked.returned)?.or_zero(),
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

/// Fewer than this are never held by their share of a small catalogue, unless the configuration says so.
const FEW: u64 = 3;

/// What changes of several stocks (a SKU at a location), or of several listings, add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changed {
    /// Those that fall to zero.
    #[serde(default)]
    pub zeroed: u64,
    /// Those that change at all.
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

    fn plus(self, other: Changed) -> Changed {
        Changed {
            zeroed: self.zeroed + other.zeroed,
            moved: self.moved + other.moved,
            units: self.units.saturating_add(other.units),
            stock: self.stock.saturating_add(other.stock),
        }
    }

    /// Returns why so much is not believed without a person, if it is not (I11). Units are measured against those of what changes
    /// or was counted.
    fn held_by(self, brake: &Brake, of: Share) -> Option<String> {
        let Changed { zeroed, moved, units, stock } = self;
        let all = u64::try_from(of.all).unwrap_or(u64::MAX).max(1);
        let catalogue = u64::try_from(of.catalogue).unwrap_or(u64::MAX).max(1);
        // Where the catalogue is small, so is what is most of it.
        let enough = |many: u64| many >= u64::from(brake.min_skus) || (many >= FEW && many * 2 >= catalogue);
        if enough(zeroed) && zeroed * 100 > u64::from(brake.zero_percent) * all {
            return Some(format!("it would set {zeroed} of {} to zero", of.what.counted(all)));
        }
        let share = moved * 100 > u64::from(brake.move_percent) * all;
        let much = u128::from(units) * 100 > u128::from(brake.move_percent) * u128::from(stock);
        if enough(moved) && share && much {
            let (units, those, hold) = (counted(units, "unit"), of.what.counted(moved), of.what.hold(moved));
            return Some(format!("it would move {units} of {those} that {hold} {stock}"));
        }
        None
    }
}

/// What changes are a share of.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// How many there are of what the changes are of.
    all: usize,
    /// Half of so many is never believed, however few that is.
    catalogue: usize,
    what: Counts,
}

/// What the brake counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    /// Stocks at one location: as many as SKUs.
    Skus,
    /// Stocks at several.
    Stocks,
    /// Listings of one channel.
    Listings,
}

impl Counts {
    fn counted(self, many: u64) -> String {
        match self {
            Counts::Skus => counted(many, "SKU"),
            Counts::Stocks => format!("{} (a SKU at a location)", counted(many, "stock")),
            Counts::Listings => counted(many, "listing"),
        }
    }

    fn hold(self, many: u64) -> &'static str {
        match self {
            Counts::Skus | Counts::Stocks => which(many, "holds", "hold"),
            Counts::Listings => which(many, "shows", "show"),
        }
    }
}

/// Returns how many must be set to zero, or move, for the brake to hold anything at all.
pub fn fewest_held(brake: &Brake) -> usize {
    usize::try_from(FEW.min(u64::from(brake.min_skus))).unwrap_or(usize::MAX)
}

/// Returns why changes of `listings` of a channel are too large to be believed, if they are. Half of `catalogue` never is.
pub fn held_by(brake: &Brake, changes: &[Change], listings: usize, catalogue: usize) -> Option<String> {
    let changed = changes.iter().fold(Changed::default(), |sum, change| sum.with(*change));
    changed.held_by(brake, Share { all: listings, catalogue, what: Counts::Listings })
}

/// How much has an opening count: what changes of stock are a share of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// SKUs, wherever they were counted.
    skus: usize,
    /// Stocks at each location where there are any.
    stocks: BTreeMap<LocationId, usize>,
}

impl Catalogue {
    /// Takes in where one SKU has an opening count, and where it had one before.
    pub fn replace(&mut self, before: &[LocationId], after: &[LocationId]) {
        if before == after {
            return;
        }
        self.skus = self.skus + usize::from(!after.is_empty()) - usize::from(!before.is_empty());
        for location in before {
            if let Some(stocks) = self.stocks.get_mut(location) {
                *stocks -= 1;
            }
        }
        for location in after {
            *self.stocks.entry(location.clone()).or_default() += 1;
        }
        self.stocks.retain(|_, stocks| *stocks > 0);
    }

    /// Returns how many SKUs have an opening count.
    pub fn skus(&self) -> usize {
        self.skus
    }

    /// Returns how many stocks at a location have one.
    pub fn at(&self, location: &LocationId) -> usize {
        self.stocks.get(location).copied().unwrap_or_default()
    }

    /// Returns how many stocks have one, at whatever location.
    pub fn stocks(&self) -> usize {
        self.stocks.values().sum()
    }
}

/// What changes of stock add up to at each location.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByPlace(BTreeMap<LocationId, Changed>);

impl ByPlace {
    pub fn add(&mut self, location: &LocationId, change: Change) {
        let held = self.0.get(location).copied().unwrap_or_default();
        self.0.insert(location.clone(), held.with(change));
    }

    /// Adds what another part of the same count changes.
    pub fn extend(&mut self, other: ByPlace) {
        for (location, changed) in other.0 {
            let held = self.0.entry(location).or_default();
            *held = held.plus(changed);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns why a person is asked before stock changes so, if one is.
    pub fn held_by(&self, brake: &Brake, catalogue: &Catalogue) -> Option<String> {
        self.held(self.0.values().copied().fold(Changed::default(), Changed::plus), brake, catalogue)
    }

    /// Judges `total` against all stocks, and what changes at each location against those that are there: a warehouse that is
    /// emptied is a catastrophe, however many others there are.
    fn held(&self, total: Changed, brake: &Brake, catalogue: &Catalogue) -> Option<String> {
        let several = catalogue.stocks.len() > 1;
        let stocks = catalogue.stocks();
        // What changes at one location alone is told of that one.
        if !self.0.values().any(|at| at.moved == total.moved) {
            let what = if several { Counts::Stocks } else { Counts::Skus };
            let why = total.held_by(brake, Share { all: stocks, catalogue: stocks, what });
            if why.is_some() {
                return why;
            }
        }
        let at = |(location, changed): (&LocationId, &Changed)| {
            // Small is the shop, not each of its locations.
            let share = Share { all: catalogue.at(location), catalogue: catalogue.skus, what: Counts::Skus };
            let why = changed.held_by(brake, share)?;
            Some(if several { format!("at `{location}` {why}") } else { why })
        };
        let all: Vec<String> = self.0.iter().filter_map(at).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl Change {
    /// Tells whether this does what was held: it leaves nothing, or the stock nearer to what was held than to what is here now,
    /// where that is so far away that a brake would not have let many pass.
    pub fn is_as_held(self, held: Quantity, brake: &Brake) -> bool {
        if held <= Quantity::ZERO {
            return self.before > Quantity::ZERO && self.after <= Quantity::ZERO;
        }
        let far = |from: Quantity, to: Quantity| i128::from(from.units()).abs_diff(i128::from(to.units()));
        let (before, after) = (self.before, self.after);
        let (away, there) = (far(before, held), far(after, held));
        let stock = before.units().unsigned_abs();
        let much = |moved: u128| moved * 100 > u128::from(brake.move_percent) * u128::from(stock);
        there <= far(after, before) && much(away)
    }
}

/// Edits of a channel's stock that were taken over within a while: together they are what a count is to the brake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    pub since: Timestamp,
    pub changed: Changed,
    /// What of that is at which location. Edits from before this was kept are not in it.
    #[serde(default, skip_serializing_if = "ByPlace::is_empty")]
    pub places: ByPlace,
}

/// For how long edits add up for the brake.
const EDITS_MS: i64 = 3_600_000;

impl Edits {
    /// Returns them with one more.
    pub fn with(held: Option<Edits>, location: &LocationId, change: Change, now: Timestamp) -> Edits {
        let held = held.filter(|held| now.since(held.since) < EDITS_MS);
        let none = || Edits { since: now, changed: Changed::default(), places: ByPlace::default() };
        let mut edits = held.unwrap_or_else(none);
        edits.changed = edits.changed.with(change);
        edits.places.add(location, change);
        edits
    }

    /// Returns why a person is asked before so many are taken over, if one is.
    pub fn held_by(&self, brake: &Brake, catalogue: &Catalogue) -> Option<String> {
        self.places.held(self.changed, brake, catalogue)
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
        let untold = Untold::default().add(booked, acked, Some(booked.returned), absent).expect("small");
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
    fn what_was_held_is_known_again_until_it_is_corrected() {
        #[track_caller]
        fn check(before: i64, held: i64, after: i64, want: bool) {
            let brake = Brake { zero_percent: 10, move_percent: 30, min_skus: 5 };
            let change = Change { before: Quantity::new(before), after: Quantity::new(after) };
            let got = change.is_as_held(Quantity::new(held), &brake);
            assert_eq!(got, want, "{before} -> {after}, held at {held}");
        }
        for (after, same) in [(-1, true), (0, true), (1, false), (10, false), (12, false)] {
            check(10, 0, after, same);
        }
        check(10, 5, 7, true);
        check(10, 5, 8, false);
        // Of what was not held for this, nothing waits.
        check(10, 10, 0, false);
        check(10, 8, 8, false);
        check(10, 500, 499, true);
        check(10, 500, 11, false);
    }

    #[test]
    fn the_brake_holds_what_empties_or_moves_too_much_and_lets_small_shops_work() {
        let brake = Brake { zero_percent: 10, move_percent: 30, min_skus: 5 };
        let change = |before, after| Change { before: q(before), after: q(after) };
        let zero = |n: usize| vec![change(5, 0); n];
        assert_eq!(held_by(&brake, &zero(4), 10, 10), None, "fewer than min_skus");
        assert!(held_by(&brake, &zero(4), 8, 8).is_some(), "half of all there are");
        assert_eq!(held_by(&brake, &zero(2), 3, 3), None, "two are few in any shop");
        let all = Brake { min_skus: 1, ..brake };
        assert!(held_by(&all, &zero(1), 3, 3).is_some(), "unless one is told to be enough");
        assert!(held_by(&brake, &zero(11), 100, 100).is_some());
        assert_eq!(held_by(&brake, &zero(10), 100, 100), None, "just ten percent");
        let moved = |n: usize| vec![change(100, 10); n];
        assert!(held_by(&brake, &moved(40), 100, 100).is_some());
        assert_eq!(held_by(&brake, &moved(20), 100, 100), None, "few of the catalogue");
        assert_eq!(held_by(&brake, &[change(0, 0), change(5, 6)], 2, 2), None);
    }

    /// What empties so many of so many stocks at each location -> why it is held.
    #[track_caller]
    fn check_places(places: &[(&str, usize, usize)], want: Option<&str>) {
        let brake = Brake { zero_percent: 20, move_percent: 50, min_skus: 10 };
        let location = |name: &str| LocationId::new(name).expect("a good name");
        let (mut changes, mut catalogue) = (ByPlace::default(), Catalogue::default());
        let most = places.iter().map(|(_, of, _)| *of).max().unwrap_or_default();
        for sku in 0..most {
            let at = places.iter().filter(|(_, of, _)| sku < *of);
            catalogue.replace(&[], &at.map(|(name, ..)| location(name)).collect::<Vec<_>>());
        }
        for (name, of, zeroed) in places {
            for n in 0..*of {
                let after = if n < *zeroed { q(0) } else { q(5) };
                changes.add(&location(name), Change { before: q(5), after });
            }
        }
        assert_eq!(changes.held_by(&brake, &catalogue).as_deref(), want, "{places:?}");
    }

    #[test]
    fn stocks_are_measured_against_stocks_and_those_of_a_location_against_its_own() {
        check_places(&[("a", 20, 19)], Some("it would set 19 of 20 SKUs to zero"));
        let both = Some("it would set 38 of 40 stocks (a SKU at a location) to zero");
        check_places(&[("a", 20, 19), ("b", 20, 19)], both);
        // Five of twenty SKUs at each of two locations are a quarter of all stocks, not half of all SKUs.
        let quarter = Some("it would set 10 of 40 stocks (a SKU at a location) to zero");
        check_places(&[("a", 20, 5), ("b", 20, 5)], quarter);
        check_places(&[("a", 40, 5), ("b", 40, 5)], None); // an eighth, which 10 of 40 SKUs would not be
        let moved = |zeroed: usize| {
            let mut many = vec![("a", 20, zeroed)];
            many.extend([("b", 20, 0), ("c", 20, 0), ("d", 20, 0), ("e", 20, 0)]);
            many
        };
        check_places(&moved(20), Some("at `a` it would set 20 of 20 SKUs to zero"));
        check_places(&moved(9), None);
        let two = [("a", 100, 15), ("b", 20, 12), ("c", 100, 0)];
        check_places(&two, Some("at `b` it would set 12 of 20 SKUs to zero"));
    }

    #[test]
    fn a_small_shop_is_asked_about_half_of_it_and_a_small_location_of_a_large_one_is_not() {
        check_places(&[("a", 12, 6), ("b", 12, 0)], Some("at `a` it would set 6 of 12 SKUs to zero"));
        check_places(&[("a", 12, 5), ("b", 12, 0)], None);
        let both = Some("it would set 6 of 12 stocks (a SKU at a location) to zero");
        check_places(&[("a", 6, 4), ("b", 6, 2)], both);
        check_places(&[("a", 6, 2), ("b", 6, 2)], None);
        check_places(&[("window", 4, 4), ("a", 100, 0)], None);
    }

    #[test]
    fn edits_add_up_at_their_location_and_with_those_from_before_that_was_kept() {
        let brake = Brake { zero_percent: 20, move_percent: 50, min_skus: 3 };
        let [a, b] = ["a", "b"].map(|name| LocationId::new(name).expect("a good name"));
        let mut catalogue = Catalogue::default();
        (0..10).for_each(|_| catalogue.replace(&[], &[a.clone(), b.clone()]));
        let zero = Change { before: q(5), after: q(0) };
        let edit = |held, place| Edits::with(held, place, zero, Timestamp::ZERO);
        let two = edit(Some(edit(None, &a)), &a);
        assert_eq!(two.held_by(&brake, &catalogue), None);
        let why = edit(Some(two), &a).held_by(&brake, &catalogue);
        assert_eq!(why.as_deref(), Some("at `a` it would set 3 of 10 SKUs to zero"));
        let old = r#"{"since":0,"changed":{"zeroed":4,"moved":4,"units":20,"stock":20}}"#;
        let old: Edits = serde_json::from_str(old).expect("an older one");
        let why = edit(Some(old), &b).held_by(&brake, &catalogue);
        assert_eq!(why.as_deref(), Some("it would set 5 of 20 stocks (a SKU at a location) to zero"));
    }
}
