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
        share::Share,
        state::State,
    },
    model::{LineId, Measure, OrderKey, Quantity, Timestamp, Totals, policy::ChannelKind},
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
    /// What of both went to other places (`down`), and what came from them (`up`), which is added to no count: it is only told.
    #[serde(default, skip_serializing_if = "Moved::is_empty")]
    places: Moved,
}

/// Units that went between places after a count's as-of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transferred {
    /// They went to other places, and are taken off the count.
    pub left: Quantity,
    /// They were said to have come from other places. They may be in the count, and are not added to it.
    pub came: Quantity,
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

    /// Forgets what was before that.
    fn forget(&mut self, before: Timestamp) {
        for sums in [&mut self.up, &mut self.down] {
            let old = sums.partition_point(|(at, _)| *at < before);
            sums.drain(..old);
        }
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
            moved.forget(forget);
        }
        self.note_places(kind, quantity, when);
        self.places.forget(forget);
    }

    /// Takes in what went between places.
    fn note_places(&mut self, kind: Kind, quantity: Quantity, when: When) {
        let effect = effect(Measure::OnHand, kind, quantity);
        let (sums, at, raises) = match kind {
            Kind::TransferIn => (&mut self.places.up, when.told, true),
            Kind::TransferOut => (&mut self.places.down, key(Measure::OnHand, effect, when), false),
            Kind::Sale
            | Kind::Cancel
            | Kind::WriteOff
            | Kind::Ship
            | Kind::Return
            | Kind::ReturnQuarantined
            | Kind::Count
            | Kind::Adjustment
            | Kind::Correction
            | Kind::Restock
            | Kind::Discard
            | Kind::Baseline
            | Kind::InCount
            | Kind::Incoming
            | Kind::TransferLost => return,
        };
        if !effect.is_zero() {
            add(sums, at, effect);
            fold(sums, raises);
        }
    }

    /// Returns what went between places after a count of `as_of`, as far as it is known.
    pub fn transferred(&self, as_of: Timestamp) -> Transferred {
        let sum = |sums: &[(Timestamp, Quantity)]| {
            let later = sums.iter().filter(|(at, _)| *at > as_of);
            later.fold(Quantity::ZERO, |sum, (_, effect)| sum.add(*effect).unwrap_or(sum))
        };
        let left = sum(&self.places.down).neg().unwrap_or_default();
        Transferred { left: left.or_zero(), came: sum(&self.places.up).or_zero() }
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

/// Up to when it is known that something had not happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Absent {
    pub cancel: Timestamp,
    pub ship: Timestamp,
    pub write_off: Timestamp,
    /// That units came back.
    pub back: Timestamp,
    /// Anything else.
    pub other: Timestamp,
}

impl Absent {
    /// What holds for every kind of entry but a cancellation.
    pub fn but_cancel(cancel: Timestamp, other: Timestamp) -> Absent {
        Absent { cancel, ship: other, write_off: other, back: other, other }
    }

    /// What only lies elsewhere from now on has not happened now: what is undone here may have been missing here at no time, and what is
    /// booked there may have been there ever since the order was placed.
    fn but_moved(self, placed_at: Timestamp, held: &[Share], now: &[Share]) -> Absent {
        let of = |at: Timestamp, units: fn(&Totals) -> Quantity| {
            if moves(held, now, units) { placed_at } else { at }
        };
        Absent {
            ship: of(self.ship, |at| at.fulfilled),
            write_off: of(self.write_off, |at| at.written_off),
            back: of(self.back, |at| at.returned),
            ..self
        }
    }

    /// Returns what holds for a kind of entry.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the same holds for all others")]
    pub fn of(self, kind: Kind) -> Timestamp {
        match kind {
            Kind::Cancel => self.cancel,
            Kind::Ship => self.ship,
            Kind::WriteOff => self.write_off,
            Kind::Return | Kind::ReturnQuarantined => self.back,
            _ => self.other,
        }
    }
}

/// Tells whether units of a line that are booked at one place are so at another from now on.
fn moves(held: &[Share], now: &[Share], units: fn(&Totals) -> Quantity) -> bool {
    let at = |shares: &[Share], of: &Share| {
        let same = |share: &&Share| share.sku == of.sku && share.location == of.location;
        shares.iter().find(same).map_or(Quantity::ZERO, |share| units(&share.booked))
    };
    let falls = held.iter().any(|share| at(now, share) < units(&share.booked));
    falls && now.iter().any(|share| at(held, share) < units(&share.booked))
}

/// Returns up to when it is known that a line of an order had not done what is only booked of it now, at `recorded`.
///
/// Complete snapshots say so for their version, and a feed that was read says so of all orders that it did not tell of;
/// not while it has told of orders that could not be read. What was told while nothing of the line was booked, or all of it
/// on another SKU, is no news: only before the order was placed it had surely not happened. Nor is what only lies elsewhere: a shipment
/// that is undone at one place because it is booked at another did not bring anything back to that shelf.
pub fn absent_until(
    state: &State,
    key: &OrderKey,
    placed_at: Timestamp,
    (line, bound, shares): (&LineId, Option<&Binding>, &[Share]),
    recorded: Timestamp,
) -> Absent {
    let before = state.order(key);
    let before = before.as_deref();
    let held = before.and_then(|before| before.lines.get(line));
    let was = held.map(|held| held.bound.as_ref().map(|held| &held.sku));
    if was.is_some_and(|was| was != bound.map(|bound| &bound.sku)) {
        // Who did not know of a sale did not know that it was cancelled.
        return Absent::but_cancel(recorded, placed_at);
    }
    let pushed = before.and_then(|order| order.whole_push).map(|rank| rank.version);
    let fetched = before.and_then(|order| order.whole_fetch).map(|rank| rank.version);
    let unread =
        before.is_some_and(|order| order.fetch_due.is_some()) || state.index.has_unread(&key.channel);
    let policy = state.policies().and_then(|policies| policies.channels.get(&key.channel));
    let lag = policy.map_or(0, |policy| policy.abilities.feed_lag_ms);
    // Amazon's list leaves out an order that changed in its last minutes, with all that it had done before: only one that is not
    // known would have been told of by when it was placed.
    let hidden = before.is_some() && policy.is_some_and(|policy| policy.kind == ChannelKind::Amazon);
    let watermark = state.channels.get(&key.channel).and_then(|row| row.watermark());
    let read = watermark.filter(|_| !unread && !hidden).map(|through| through.plus_millis(-lag));
    let at = [pushed, fetched, read].into_iter().flatten().max().unwrap_or_default().max(placed_at);
    let all = Absent::but_cancel(at, at);
    held.map_or(all, |held| all.but_moved(placed_at, &held.shares(), shares))
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
        let told = |left, came| Transferred { left: q(left), came: q(came) };
        assert_eq!([moves.transferred(ms(50)), moves.transferred(ms(60))], [told(0, 2), told(0, 0)]);
        moves.note(Kind::TransferOut, q(5), When::at(ms(70), ms(70)));
        assert_eq!(moves.transferred(ms(50)), told(5, 2));
        // What is put back is taken off no more.
        let back = When { told: ms(80), absent: ms(69), recorded: ms(80) };
        moves.note(Kind::TransferOut, q(-5), back);
        assert_eq!([moves.transferred(ms(50)), moves.transferred(ms(75))], [told(0, 2), told(0, 0)]);
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
