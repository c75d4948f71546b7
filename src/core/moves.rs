//! What moved at a place lately, so that a count by a person, whose as-of lies in the past, can be brought up to now.
//!
//! A person who counts a shelf knows nothing of our orders. What lowered the stock after the as-of is replayed on top
//! of the count; what did so before it was gone from the shelf. What raised it is replayed only if it surely came after
//! the as-of: the person may have counted it already, and a unit too many would be sold (I10).
//!
//! Kept where people count only, for [`REACH_MS`], and in a bounded number of sums: where more moved, neighbours are
//! added up, those that lower as of the later one, those that raise as of the earlier, so that no count ever comes out
//! too high by it.

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        ledger::{Kind, Stock, book},
        order::Binding,
        state::{Quarantined, State},
    },
    model::{LineId, Measure, OrderKey, Quantity, Timestamp},
};

/// How far back the as-of of a count by a person may lie.
pub const REACH_MS: i64 = 7 * 86_400_000;
/// How many sums are kept of a place, for each measure and direction.
const SUMS: usize = 64;

/// When something happened, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// By then it had happened, by the source's clock.
    pub told: Timestamp,
    /// By then it surely had not.
    pub absent: Timestamp,
    /// When it was booked, by our clock.
    pub recorded: Timestamp,
}

impl When {
    /// Something that happened at a moment that is known.
    pub fn at(told: Timestamp, recorded: Timestamp) -> When {
        When { told, absent: told, recorded }
    }
}

/// What a count by a person says of a place: of which movements it had taken in what they did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCount {
    pub as_of: Timestamp,
    pub measure: Measure,
    /// Only up to then, which is earlier, what lowers was gone for sure: two SKUs were counted, and became one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surely: Option<Timestamp>,
}

impl LastCount {
    pub fn new(as_of: Timestamp, measure: Measure) -> LastCount {
        LastCount { as_of, measure, surely: None }
    }

    fn surely(self) -> Timestamp {
        self.surely.unwrap_or(self.as_of)
    }

    /// Returns what holds for a SKU that another became part of: the safer of both.
    pub fn join(one: Option<LastCount>, other: Option<LastCount>) -> Option<LastCount> {
        let (Some(a), Some(b)) = (one, other) else {
            return one.or(other).map(|count| LastCount { surely: Some(Timestamp::ZERO), ..count });
        };
        let later = if a.as_of < b.as_of { b } else { a };
        let same = a.measure == b.measure;
        let surely = if same { a.surely().min(b.surely()) } else { Timestamp::ZERO };
        Some(LastCount { surely: Some(surely).filter(|surely| *surely != later.as_of), ..later })
    }
}

/// The movements of one SKU at one place, for each thing that can be counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Moves {
    /// What was booked before is not in it.
    pub from: Timestamp,
    #[serde(default, skip_serializing_if = "Moved::is_empty")]
    on_hand: Moved,
    #[serde(default, skip_serializing_if = "Moved::is_empty")]
    free: Moved,
}

/// Sums of units by the moment that decides whether a count had them, earliest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Moved {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    down: Vec<(Timestamp, Quantity)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    up: Vec<(Timestamp, Quantity)>,
}

impl Moved {
    fn is_empty(&self) -> bool {
        self.down.is_empty() && self.up.is_empty()
    }
}

/// Returns what a movement does to what is measured. Zero: nothing, or it is no movement but what a count found.
pub fn effect(measure: Measure, kind: Kind, quantity: Quantity) -> Quantity {
    match kind {
        Kind::Count | Kind::Baseline | Kind::InCount => return Quantity::ZERO,
        Kind::Sale
        | Kind::Cancel
        | Kind::WriteOff
        | Kind::Ship
        | Kind::Return
        | Kind::ReturnQuarantined
        | Kind::Adjustment
        | Kind::Correction
        | Kind::Restock
        | Kind::Discard
        | Kind::TransferOut
        | Kind::Incoming
        | Kind::TransferIn
        | Kind::TransferLost => {}
    }
    let stock = book(Stock::default(), kind, quantity).unwrap_or_default();
    match measure {
        Measure::OnHand => stock.on_hand,
        Measure::Free => stock.available().unwrap_or_default(),
    }
}

/// Returns the moment that decides whether a count had taken a movement in.
fn key(measure: Measure, effect: Quantity, when: When) -> Timestamp {
    match (effect > Quantity::ZERO, measure) {
        (true, _) => when.absent,
        // What left the shelf was gone for whoever looked.
        (false, Measure::OnHand) => when.told,
        // What was promised is known only to those whom it was told.
        (false, Measure::Free) => when.told.max(when.recorded),
    }
}

fn is_after(as_of: Timestamp, effect: Quantity, key: Timestamp) -> bool {
    if effect > Quantity::ZERO { key >= as_of } else { key > as_of }
}

/// Returns the part of a movement that a count had taken in: its effect, or zero.
pub fn in_count(count: LastCount, kind: Kind, quantity: Quantity, when: When) -> Quantity {
    let measure = count.measure;
    let effect = effect(measure, kind, quantity);
    let as_of = if effect > Quantity::ZERO { count.as_of } else { count.surely() };
    if is_after(as_of, effect, key(measure, effect, when)) { Quantity::ZERO } else { effect }
}

impl Moves {
    pub fn since(from: Timestamp) -> Moves {
        Moves { from, ..Moves::default() }
    }

    /// Takes a movement in, and forgets what no count can ask for any more.
    pub fn note(&mut self, kind: Kind, quantity: Quantity, when: When) {
        let forget = when.recorded.plus_millis(-REACH_MS);
        // Units may have arrived before somebody said so, and have been counted.
        let absent = if kind == Kind::TransferIn { Timestamp::ZERO } else { when.absent };
        let when = When { absent, ..when };
        for (measure, moved) in [(Measure::OnHand, &mut self.on_hand), (Measure::Free, &mut self.free)] {
            let effect = effect(measure, kind, quantity);
            let raises = effect > Quantity::ZERO;
            let sums = if raises { &mut moved.up } else { &mut moved.down };
            let key = key(measure, effect, when);
            if !effect.is_zero() && key >= forget {
                add(sums, key, effect);
                fold(sums, raises);
            }
            for sums in [&mut moved.up, &mut moved.down] {
                let old = sums.partition_point(|(at, _)| *at < forget);
                sums.drain(..old);
            }
        }
    }

    /// Returns what came on top of a count of `as_of`. `None`: out of range.
    pub fn after(&self, measure: Measure, as_of: Timestamp) -> Option<Quantity> {
        let moved = match measure {
            Measure::OnHand => &self.on_hand,
            Measure::Free => &self.free,
        };
        let mut all = moved.down.iter().chain(&moved.up);
        all.try_fold(Quantity::ZERO, |sum, (key, effect)| {
            if is_after(as_of, *effect, *key) { sum.add(*effect).ok() } else { Some(sum) }
        })
    }
}

fn add(sums: &mut Vec<(Timestamp, Quantity)>, key: Timestamp, effect: Quantity) {
    let at = sums.partition_point(|(held, _)| *held < key);
    match sums.get_mut(at) {
        Some((held, sum)) if *held == key => *sum = sum.add(effect).unwrap_or(*sum),
        Some(_) | None => sums.insert(at, (key, effect)),
    }
}

/// Adds up the two neighbours that are nearest in time, if there are too many sums.
fn fold(sums: &mut Vec<(Timestamp, Quantity)>, raises: bool) {
    if sums.len() <= SUMS {
        return;
    }
    let gap = |at: &usize| sums[at + 1].0.since(sums[*at].0);
    let Some(at) = (0..sums.len() - 1).min_by_key(gap) else { return };
    let (later, more) = sums.remove(at + 1);
    let (held, sum) = &mut sums[at];
    *sum = sum.add(more).unwrap_or(*sum);
    if !raises {
        *held = later;
    }
}

/// Returns up to when it is known that a line of an order had not done what is only booked of it now.
///
/// Complete snapshots say so for their version, and a feed that was read says so of all orders that it did not tell of;
/// not while it has told of orders that could not be read. What was told while nothing of the line was booked, or all of it
/// on another SKU, is no news: only before the order was placed it had surely not happened.
pub fn absent_until(
    state: &State,
    key: &OrderKey,
    placed_at: Timestamp,
    (line, bound): (&LineId, Option<&Binding>),
    (kind, recorded): (Kind, Timestamp),
) -> Timestamp {
    let before = state.order(key);
    let before = before.as_deref();
    let held = before.and_then(|before| before.lines.get(line)).map(|held| held.bound.as_ref());
    if held.is_some_and(|held| held.map(|held| &held.sku) != bound.map(|bound| &bound.sku)) {
        // Who did not know of a sale did not know that it was cancelled.
        return if kind == Kind::Cancel { recorded } else { placed_at };
    }
    let pushed = before.and_then(|order| order.whole_push).map(|rank| rank.version);
    let fetched = before.and_then(|order| order.whole_fetch).map(|rank| rank.version);
    let unread = before.is_some_and(|order| order.fetch_due.is_some())
        || state
            .quarantine
            .values()
            .any(|item: &Quarantined| item.channel == key.channel && item.holds_orders());
    let lag =
        state.policies().and_then(|p| p.channels.get(&key.channel)).map_or(0, |c| c.abilities.feed_lag_ms);
    let watermark = state.channels.get(&key.channel).and_then(|row| row.watermark());
    let read = watermark.filter(|_| !unread).map(|through| through.plus_millis(-lag));
    [pushed, fetched, read].into_iter().flatten().max().unwrap_or_default().max(placed_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn q(units: i64) -> Quantity {
        Quantity::new(units)
    }

    /// A movement that happened after `absent` and by `told`, booked at 100 -> what counts of both measures as of 50
    /// are brought to from 10.
    #[track_caller]
    fn check(kind: Kind, units: i64, [absent, told]: [i64; 2], want: [i64; 2]) {
        let mut moves = Moves::default();
        let when = When { told: ms(told), absent: ms(absent), recorded: ms(100) };
        moves.note(kind, q(units), when);
        for (measure, want) in [(Measure::OnHand, want[0]), (Measure::Free, want[1])] {
            let moved = moves.after(measure, ms(50)).expect("small");
            assert_eq!(moved.units(), want - 10, "{kind:?} {measure:?}");
            // What is not replayed on top is what the count had.
            let had = in_count(LastCount::new(ms(50), measure), kind, q(units), when);
            assert_eq!(had.add(moved), Ok(effect(measure, kind, q(units))), "{kind:?} {measure:?}");
        }
    }

    #[test]
    fn what_lowers_is_replayed_from_the_as_of_on_and_what_raises_only_if_it_surely_came_later() {
        check(Kind::Ship, 2, [0, 60], [8, 10]);
        check(Kind::Ship, 2, [0, 50], [10, 10]);
        check(Kind::WriteOff, 2, [60, 70], [8, 10]);
        check(Kind::Return, 2, [50, 60], [12, 12]);
        check(Kind::Return, 2, [49, 60], [10, 10]);
        check(Kind::ReturnQuarantined, 2, [50, 60], [12, 10]);
        check(Kind::Ship, -2, [49, 60], [10, 10]); // taken back, and perhaps before the count
        check(Kind::Ship, -2, [50, 60], [12, 10]);
        // Sold before the as-of, and told after it: whoever counted what is free did not know.
        check(Kind::Sale, 2, [0, 40], [10, 8]);
        check(Kind::Cancel, 2, [40, 60], [10, 10]);
        check(Kind::Cancel, 2, [55, 60], [10, 12]);
        check(Kind::Discard, 2, [60, 60], [8, 10]);
        check(Kind::Restock, 2, [60, 60], [10, 12]);
        check(Kind::Count, 5, [60, 60], [10, 10]);
        check(Kind::TransferOut, 2, [60, 60], [8, 8]);
        check(Kind::TransferOut, -2, [60, 60], [12, 12]); // put back
    }

    #[test]
    fn what_is_added_up_never_makes_a_count_too_high() {
        let mut moves = Moves::default();
        let (mut lowered, mut raised) = (Vec::new(), Vec::new());
        for n in 0..1_000 {
            let at = n * n % 5_003;
            let when = When::at(ms(at), ms(10_000));
            let kind = if n % 3 == 0 { Kind::Return } else { Kind::Ship };
            moves.note(kind, q(1), when);
            if n % 3 == 0 { raised.push(at) } else { lowered.push(at) }
        }
        assert!(moves.on_hand.down.len() <= SUMS && moves.on_hand.up.len() <= SUMS);
        for as_of in (0..5_100).step_by(7) {
            let came = i64::try_from(raised.iter().filter(|at| **at >= as_of).count()).expect("few");
            let went = i64::try_from(lowered.iter().filter(|at| **at > as_of).count()).expect("few");
            let told = moves.after(Measure::OnHand, ms(as_of)).expect("small").units();
            assert!(told <= came - went, "as of {as_of}: {told} is more than {}", came - went);
            assert!(told >= came - went - 60, "as of {as_of}: {told} is far less than {}", came - went);
        }
    }

    #[test]
    fn units_that_arrive_from_another_place_may_have_been_counted_there() {
        let mut moves = Moves::default();
        moves.note(Kind::TransferIn, q(2), When::at(ms(60), ms(60)));
        assert_eq!(moves.after(Measure::OnHand, ms(50)), Some(q(0)));
    }

    #[test]
    fn of_two_skus_that_became_one_the_safer_count_holds() {
        let count = |at| Some(LastCount::new(ms(at), Measure::OnHand));
        let ship = |at| (Kind::Ship, When::at(ms(at), ms(100)));
        let back = |at| (Kind::Return, When::at(ms(at), ms(100)));
        let had = |joined: Option<LastCount>, (kind, when)| {
            in_count(joined.expect("counted"), kind, q(1), when).units()
        };
        for joined in [LastCount::join(count(20), count(50)), LastCount::join(count(50), count(20))] {
            assert_eq!([had(joined, ship(20)), had(joined, ship(21)), had(joined, ship(51))], [-1, 0, 0]);
            assert_eq!([had(joined, back(20)), had(joined, back(49)), had(joined, back(50))], [1, 1, 0]);
        }
        let one = LastCount::join(None, count(50));
        assert_eq!([had(one, ship(20)), had(one, back(49))], [0, 1]);
        assert_eq!(LastCount::join(None, None), None);
    }

    #[test]
    fn what_no_count_can_ask_for_is_forgotten() {
        let mut moves = Moves::default();
        moves.note(Kind::Ship, q(1), When::at(ms(0), ms(0)));
        moves.note(Kind::Ship, q(1), When::at(ms(REACH_MS + 1), ms(REACH_MS + 1)));
        assert_eq!(moves.on_hand.down.len(), 1);
    }
}
