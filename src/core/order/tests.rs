use proptest::prelude::*;

use super::*;
use crate::model::{IdKind, OrderId};

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

fn units(t: Totals) -> [i64; 5] {
    [t.ordered, t.released, t.written_off, t.fulfilled, t.returned].map(Quantity::units)
}

fn line(id: &str) -> LineId {
    LineId::new(id).expect("a good id")
}

/// A complete snapshot at a version, of lines with their totals and what became of the rest.
fn snapshot(version: i64, lines: &[(&str, [i64; 5], Rest)]) -> OrderSnapshot {
    let told = |(id, t, rest): &(&str, [i64; 5], Rest)| LineSnapshot {
        line: line(id),
        ids: Identifiers::new([(IdKind::Sku, *id)]).expect("good ids"),
        location: None,
        unplaced_at: None,
        places: Vec::new(),
        by: FulfilledBy::Merchant,
        totals: totals(*t),
        rest: *rest,
    };
    OrderSnapshot {
        order: OrderId::new("o").expect("a good id"),
        name: None,
        version: Timestamp::from_millis(version),
        placed_at: Timestamp::from_millis(1),
        complete: true,
        lines: lines.iter().map(told).collect(),
    }
}

fn partial(version: i64, lines: &[(&str, [i64; 5], Rest)]) -> OrderSnapshot {
    OrderSnapshot { complete: false, ..snapshot(version, lines) }
}

const PUSHED: Seen = Seen::Pushed;

fn fetched(begun: u64) -> Seen {
    Seen::Fetched { begun: Seq(begun) }
}

fn all_totals(order: &Order) -> Vec<(String, [i64; 5])> {
    let of = |(id, line): (&LineId, &Line)| (id.to_string(), units(order.totals(line).expect("small")));
    order.lines.iter().map(of).collect()
}

/// Merges facts that came in at positions 1, 2, 3... -> the totals of line `A`, and whether a fetch is due.
#[track_caller]
fn check(facts: &[(OrderSnapshot, Seen)], want: [i64; 5], fetch_due: bool) {
    let mut order = Order::default();
    for (at, (snapshot, seen)) in (1..).zip(facts) {
        order.merge(snapshot, *seen, Seq(at));
    }
    let got = units(order.totals(&order.lines[&line("A")]).expect("small"));
    assert_eq!((got, order.fetch_due.is_some()), (want, fetch_due), "{order:#?}");
}

use Rest::{Open, Released, WrittenOff};

#[test]
fn of_two_pushes_the_higher_version_counts_whenever_it_came() {
    let old = || snapshot(5, &[("A", [2, 0, 0, 0, 0], Open)]);
    let new = || snapshot(6, &[("A", [2, 1, 0, 0, 0], Open)]);
    check(&[(old(), PUSHED), (new(), PUSHED)], [2, 1, 0, 0, 0], false);
    check(&[(new(), PUSHED), (old(), PUSHED)], [2, 1, 0, 0, 0], false);
    check(&[(new(), PUSHED), (old(), PUSHED), (new(), PUSHED)], [2, 1, 0, 0, 0], false);
}

#[test]
fn the_same_version_with_other_content_joins_upwards_and_is_fetched() {
    let a = || snapshot(5, &[("A", [2, 0, 0, 1, 0], Open)]);
    let b = || snapshot(5, &[("A", [2, 1, 0, 0, 0], Open)]);
    check(&[(a(), PUSHED), (b(), PUSHED)], [2, 1, 0, 1, 0], true);
    check(&[(b(), PUSHED), (a(), PUSHED)], [2, 1, 0, 1, 0], true);
    check(&[(a(), PUSHED), (a(), PUSHED)], [2, 0, 0, 1, 0], false);
    // The fetch settles it, whatever the joined registers said.
    check(&[(a(), PUSHED), (b(), PUSHED), (b(), fetched(2))], [2, 1, 0, 0, 0], false);
    // So does a line that one of them does not have.
    let more = || snapshot(5, &[("A", [2, 0, 0, 1, 0], Open), ("B", [1, 0, 0, 0, 0], Open)]);
    check(&[(a(), PUSHED), (more(), PUSHED)], [2, 0, 0, 1, 0], true);
    check(&[(more(), PUSHED), (a(), PUSHED)], [2, 0, 0, 1, 0], true);
}

#[test]
fn a_fetch_that_began_later_wins_whatever_its_version_says() {
    let newer = || snapshot(9, &[("A", [2, 0, 0, 2, 0], Open)]);
    let back = || snapshot(3, &[("A", [2, 0, 0, 1, 0], Open)]);
    check(&[(newer(), fetched(0)), (back(), fetched(1))], [2, 0, 0, 1, 0], false);
    check(&[(back(), fetched(1)), (newer(), fetched(0))], [2, 0, 0, 1, 0], true);
    check(&[(newer(), PUSHED), (back(), fetched(1)), (back(), fetched(2))], [2, 0, 0, 1, 0], false);
}

#[test]
fn a_fetch_older_than_a_push_from_before_it_is_believed_when_a_second_one_says_the_same() {
    let pushed = || snapshot(9, &[("A", [2, 0, 0, 2, 0], Open)]);
    let back = || snapshot(3, &[("A", [2, 0, 0, 1, 0], Open)]);
    check(&[(pushed(), PUSHED), (back(), fetched(1))], [2, 0, 0, 1, 0], true);
    check(&[(pushed(), PUSHED), (back(), fetched(1)), (back(), fetched(2))], [2, 0, 0, 1, 0], false);
    check(&[(pushed(), PUSHED), (back(), fetched(1)), (pushed(), fetched(2))], [2, 0, 0, 2, 0], false);
}

#[test]
fn a_fetch_older_than_a_push_from_before_it_is_believed_at_once_where_it_tells_the_same() {
    let pushed = || snapshot(9, &[("A", [2, 0, 0, 0, 0], Open)]);
    let told = |t, rest| snapshot(3, &[("A", t, rest)]);
    let and_b = |version| snapshot(version, &[("A", [2, 0, 0, 0, 0], Open), ("B", [1, 0, 0, 0, 0], Open)]);
    check(&[(pushed(), PUSHED), (told([2, 0, 0, 0, 0], Open), fetched(1))], [2, 0, 0, 0, 0], false);
    // A line more, a line less, or other units: one of the two is old.
    check(&[(pushed(), PUSHED), (told([2, 0, 0, 0, 0], Released), fetched(1))], [2, 2, 0, 0, 0], true);
    check(&[(pushed(), PUSHED), (and_b(3), fetched(1))], [2, 0, 0, 0, 0], true);
    check(&[(and_b(9), PUSHED), (told([2, 0, 0, 0, 0], Open), fetched(1))], [2, 0, 0, 0, 0], true);
    let other = partial(9, &[("B", [1, 0, 0, 0, 0], Open)]);
    check(&[(other, PUSHED), (told([2, 0, 0, 0, 0], Open), fetched(1))], [2, 0, 0, 0, 0], true);
}

#[test]
fn a_push_newer_than_the_fetch_counts_and_is_fetched() {
    let old = || snapshot(3, &[("A", [2, 0, 0, 0, 0], Open)]);
    let new = || snapshot(9, &[("A", [2, 0, 0, 1, 0], Open)]);
    check(&[(old(), fetched(0)), (new(), PUSHED)], [2, 0, 0, 1, 0], true);
    check(&[(old(), fetched(0)), (new(), PUSHED), (new(), fetched(2))], [2, 0, 0, 1, 0], false);
    check(&[(new(), fetched(0)), (old(), PUSHED)], [2, 0, 0, 1, 0], false);
    // A fetch that began before the push does not settle it.
    check(&[(old(), fetched(0)), (new(), PUSHED), (old(), fetched(1))], [2, 0, 0, 1, 0], true);
}

#[test]
fn two_reads_that_overlapped_are_read_again_if_the_earlier_one_tells_of_a_newer_version() {
    let old = || snapshot(3, &[("A", [2, 0, 0, 0, 0], Open)]);
    let new = || snapshot(4, &[("A", [2, 0, 0, 1, 0], Open)]);
    check(&[(old(), fetched(7)), (new(), fetched(5))], [2, 0, 0, 0, 0], true);
    check(&[(new(), fetched(5)), (old(), fetched(7))], [2, 0, 0, 0, 0], false);
    // The same read told of one order twice.
    check(&[(old(), fetched(5)), (new(), fetched(5))], [2, 0, 0, 1, 0], false);
    let torn = snapshot(3, &[("A", [2, 0, 0, 2, 0], Open)]);
    check(&[(old(), fetched(5)), (torn, fetched(5))], [2, 0, 0, 2, 0], true);
}

#[test]
fn an_absent_line_has_no_units_any_more_only_if_the_snapshot_is_complete() {
    let both = || snapshot(1, &[("A", [2, 0, 0, 1, 0], Open), ("B", [1, 0, 0, 0, 0], Open)]);
    let only_b = [("B", [1, 0, 0, 0, 0], Open)];
    check(&[(both(), PUSHED), (snapshot(2, &only_b), PUSHED)], [2, 2, 0, 0, 0], false);
    check(&[(both(), PUSHED), (partial(2, &only_b), PUSHED)], [2, 0, 0, 1, 0], true);
    check(&[(both(), fetched(0)), (snapshot(2, &only_b), fetched(1))], [2, 2, 0, 0, 0], false);
    check(&[(both(), fetched(1)), (snapshot(2, &only_b), fetched(0))], [2, 0, 0, 1, 0], true);
    // A later complete snapshot has it again.
    check(&[(snapshot(2, &only_b), PUSHED), (both(), PUSHED)], [2, 2, 0, 0, 0], false);
    let again = snapshot(3, &[("A", [2, 0, 0, 1, 0], Open)]);
    check(&[(both(), PUSHED), (snapshot(2, &only_b), PUSHED), (again, PUSHED)], [2, 0, 0, 1, 0], false);
}

#[test]
fn what_was_ordered_keeps_its_maximum_where_a_source_takes_it_back() {
    let sold = || snapshot(1, &[("A", [3, 0, 0, 0, 0], Open)]);
    let zeroed = |rest| snapshot(2, &[("A", [0, 0, 0, 0, 0], rest)]);
    check(&[(sold(), PUSHED), (zeroed(Open), PUSHED)], [3, 3, 0, 0, 0], false);
    check(&[(sold(), PUSHED), (zeroed(Released), PUSHED)], [3, 3, 0, 0, 0], false);
    check(&[(sold(), PUSHED), (zeroed(WrittenOff), PUSHED)], [3, 0, 3, 0, 0], false);
    check(&[(zeroed(WrittenOff), PUSHED), (sold(), PUSHED)], [3, 0, 3, 0, 0], false);
    // Shipped units stay shipped; only the rest is free.
    let partly = snapshot(2, &[("A", [1, 0, 0, 1, 0], Released)]);
    check(&[(sold(), PUSHED), (partly, PUSHED)], [3, 2, 0, 1, 0], false);
}

#[test]
fn released_written_off_shipped_and_returned_units_are_told_apart() {
    let told = |t, rest| [(snapshot(1, &[("A", t, rest)]), PUSHED)];
    check(&told([5, 1, 1, 2, 1], Open), [5, 1, 1, 2, 1], false);
    check(&told([5, 1, 1, 2, 1], Released), [5, 2, 1, 2, 1], false);
    check(&told([5, 1, 1, 2, 1], WrittenOff), [5, 1, 2, 2, 1], false);
    // What a source says is made to add up.
    check(&told([1, 0, 0, 3, 0], Open), [3, 0, 0, 3, 0], false);
    check(&told([5, 0, 0, 1, 4], Open), [5, 0, 0, 1, 1], false);
    check(&told([5, -1, 0, -3, 0], Open), [5, 0, 0, 0, 0], false);
}

#[test]
fn who_ships_a_line_does_not_depend_on_who_said_so_first() {
    use FulfilledBy::{Channel, Merchant, Unknown};
    for (told, want) in
        [([Unknown, Merchant], Merchant), ([Merchant, Channel], Channel), ([Unknown, Channel], Channel)]
    {
        for told in [told, [told[1], told[0]]] {
            let mut order = Order::default();
            for (version, by) in (1..).zip(told) {
                let mut snapshot = snapshot(version, &[("A", [1, 0, 0, 0, 0], Open)]);
                snapshot.lines[0].by = by;
                order.merge(&snapshot, PUSHED, Seq(1));
            }
            assert_eq!(order.lines[&line("A")].by, want, "{told:?}");
        }
    }
}

// ---- Any order, any number of times -----------------------------------------------------------------------------

fn any_rest() -> impl Strategy<Value = Rest> {
    prop::sample::select(vec![Open, Released, WrittenOff])
}

fn any_snapshot() -> impl Strategy<Value = OrderSnapshot> {
    let line = (prop::sample::select(vec!["A", "B", "C"]), prop::array::uniform5(0..4_i64), any_rest());
    (1..4_i64, any::<bool>(), prop::collection::btree_map(0..3_usize, line, 0..3)).prop_map(
        |(version, complete, lines)| {
            let mut lines: Vec<_> = lines.into_values().collect();
            lines.sort_by_key(|(id, _, _)| *id);
            lines.dedup_by_key(|(id, _, _)| *id);
            OrderSnapshot { complete, ..snapshot(version, &lines) }
        },
    )
}

fn any_seen() -> impl Strategy<Value = Seen> {
    prop_oneof![Just(PUSHED), (0..6_u64).prop_map(fetched)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn the_same_facts_in_any_order_any_number_of_times_give_the_same_totals(
        facts in prop::collection::vec((any_snapshot(), any_seen(), 0..6_u64), 1..8),
        again in prop::collection::vec((any::<prop::sample::Index>(), 0..9_u64), 0..6),
        shuffle in any::<u64>(),
    ) {
        let mut first = Order::default();
        for (snapshot, seen, at) in &facts {
            first.merge(snapshot, *seen, Seq(*at));
        }
        let mut delivered = facts.clone();
        // What is said again comes later than it first came.
        delivered.extend(again.iter().map(|(which, later)| {
            let (snapshot, seen, at) = facts[which.index(facts.len())].clone();
            (snapshot, seen, at + later)
        }));
        delivered.sort_by_key(|fact| crate::core::backoff::digest(&[&format!("{shuffle}{fact:?}")]));
        let mut second = Order::default();
        for (snapshot, seen, at) in &delivered {
            second.merge(snapshot, *seen, Seq(*at));
        }
        prop_assert_eq!(all_totals(&first), all_totals(&second));
    }
}

// ---- A source that really has a history -----------------------------------------------------------------------

/// One step in the life of an order at its source.
#[derive(Debug, Clone, Copy)]
enum Step {
    Ship(usize),
    Cancel(usize),
    Lose(usize),
    Return(usize),
    TakeShipmentBack(usize),
    Add(usize),
    Remove(usize),
    /// Cancels the rest, and zeroes what was ordered.
    Zero(usize, Rest),
}

fn any_step() -> impl Strategy<Value = Step> {
    (0..8_usize, 0..3_usize, any_rest()).prop_map(|(kind, n, rest)| match kind {
        0 => Step::Ship(n),
        1 => Step::Cancel(n),
        2 => Step::Lose(n),
        3 => Step::Return(n),
        4 => Step::TakeShipmentBack(n),
        5 => Step::Add(n),
        6 => Step::Remove(n),
        _ => Step::Zero(n, rest),
    })
}

const LINES: [&str; 3] = ["A", "B", "C"];

/// All states that an order has at its source, the first being as placed; versions move by `ticks`.
fn history(steps: &[Step], ticks: &[i64]) -> Vec<OrderSnapshot> {
    let mut lines: BTreeMap<&str, ([i64; 5], Rest)> =
        LINES.iter().take(2).map(|id| (*id, ([3, 0, 0, 0, 0], Open))).collect();
    let mut version = 10;
    let state = |version: i64, lines: &BTreeMap<&str, ([i64; 5], Rest)>| {
        let told: Vec<_> = lines.iter().map(|(id, (t, rest))| (*id, *t, *rest)).collect();
        snapshot(version, &told)
    };
    let mut states = vec![state(version, &lines)];
    for (step, tick) in steps.iter().zip(ticks) {
        let open = |t: &[i64; 5]| t[0] - t[1] - t[2] - t[3] > 0;
        match *step {
            Step::Add(n) => drop(lines.entry(LINES[n]).or_insert(([1, 0, 0, 0, 0], Open))),
            Step::Remove(n) => drop(lines.remove(LINES[n])),
            Step::Ship(n)
            | Step::Cancel(n)
            | Step::Lose(n)
            | Step::Return(n)
            | Step::TakeShipmentBack(n)
            | Step::Zero(n, _) => {
                let Some((t, rest)) = lines.get_mut(LINES[n]).filter(|(_, rest)| *rest == Open) else {
                    continue;
                };
                #[expect(clippy::wildcard_enum_match_arm, reason = "a step that cannot be taken is left out")]
                match *step {
                    Step::Ship(_) if open(t) => t[3] += 1,
                    Step::Cancel(_) if open(t) => t[1] += 1,
                    Step::Lose(_) if open(t) => t[2] += 1,
                    Step::Return(_) if t[3] > t[4] => t[4] += 1,
                    Step::TakeShipmentBack(_) if t[3] > t[4] => t[3] -= 1,
                    Step::Zero(_, why) => {
                        t[0] = t[3];
                        *rest = why;
                    }
                    _ => continue,
                }
            }
        }
        version += tick;
        states.push(state(version, &lines));
    }
    states
}

/// Drives one order through deliveries, as the daemon does: pushes come when they come, fetches tell what is true
/// at the source when they begin.
struct Intake {
    order: Order,
    at: u64,
    states: Vec<OrderSnapshot>,
}

impl Intake {
    fn push(&mut self, state: usize) {
        self.at += 1;
        self.order.merge(&self.states[state].clone(), PUSHED, Seq(self.at));
    }

    fn fetch(&mut self, state: usize) {
        let begun = self.at;
        self.at += 1;
        self.order.merge(&self.states[state].clone(), fetched(begun), Seq(self.at));
    }

    fn fetch_due(&mut self, state: usize) {
        for _ in 0..3 {
            if self.order.fetch_due.is_some() {
                self.fetch(state);
            }
        }
        assert_eq!(self.order.fetch_due, None, "a fetch settles it");
    }

    /// What the newest state says, with the most that was ever said to be ordered.
    fn truth(&self) -> Vec<(String, [i64; 5])> {
        let newest = self.states.last().expect("one at least");
        let of = |(id, line): (&LineId, &Line)| {
            let told = newest.lines.iter().find(|told| told.line == *id).map(|told| (told.totals, told.rest));
            (id.to_string(), units(settle(told, line.ordered_most).expect("small")))
        };
        self.order.lines.iter().map(of).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Versions stand still but never go back: all pushes, in any order, and the fetches that they ask for.
    #[test]
    fn every_push_in_any_order_and_the_fetches_they_ask_for_end_at_what_the_source_says(
        steps in prop::collection::vec(any_step(), 1..10),
        ticks in prop::collection::vec(0..2_i64, 10),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        fetch_early in any::<bool>(),
    ) {
        let states = history(&steps, &ticks);
        let last = states.len() - 1;
        let mut intake = Intake { order: Order::default(), at: 0, states };
        if fetch_early {
            intake.fetch(0);
        }
        for which in order {
            intake.push(which.index(last + 1));
            intake.fetch_due(last);
        }
        for state in 0..=last {
            intake.push(last - state);
        }
        intake.fetch_due(last);
        prop_assert_eq!(all_totals(&intake.order), intake.truth());
    }

    /// Versions even go back: the feed's own read, and pushes that were delayed until after it.
    #[test]
    fn a_source_whose_versions_go_back_ends_at_what_the_feed_says(
        steps in prop::collection::vec(any_step(), 1..10),
        ticks in prop::collection::vec(-2..3_i64, 10),
        deliveries in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..12),
        late in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let states = history(&steps, &ticks);
        let last = states.len() - 1;
        let mut intake = Intake { order: Order::default(), at: 0, states };
        let mut now = 0;
        for (is_push, which) in deliveries {
            now = now.max(which.index(last + 1));
            if is_push { intake.push(which.index(now + 1)) } else { intake.fetch(now) }
        }
        intake.fetch(last);
        for which in late {
            intake.push(which.index(last + 1));
        }
        intake.fetch_due(last);
        prop_assert_eq!(all_totals(&intake.order), intake.truth());
    }
}
