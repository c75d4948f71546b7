use proptest::prelude::*;

use super::*;
use crate::{
    core::share,
    model::{
        FulfilledBy, Identifiers, LineId, LineSnapshot, OrderId, OrderSnapshot, Rest, Seen, Seq, Timestamp,
    },
};

fn q(units: i64) -> Quantity {
    Quantity::new(units)
}

fn at(name: &str) -> LocationId {
    LocationId::new(name).expect("a good name")
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

fn line() -> LineId {
    LineId::new("l").expect("a good id")
}

/// What a read tells: the totals, how they lie as far as that is said, and where the rest is taken to lie.
type Telling = ([i64; 5], Vec<(&'static str, [i64; 5])>, Option<&'static str>);

fn snapshot((all, places, unplaced_at): &Telling) -> OrderSnapshot {
    let line = LineSnapshot {
        line: line(),
        ids: Identifiers::default(),
        location: None,
        places: places.iter().map(|(place, units)| (at(place), totals(*units))).collect(),
        unplaced_at: unplaced_at.map(at),
        by: FulfilledBy::Merchant,
        totals: totals(*all),
        rest: Rest::Open,
    };
    OrderSnapshot {
        order: OrderId::new("o").expect("a good id"),
        name: None,
        version: Timestamp::from_millis(1),
        placed_at: Timestamp::from_millis(1),
        complete: true,
        lines: vec![line],
    }
}

/// Merges reads that began at the positions named, in this order.
fn merged(reads: &[(u64, Telling)]) -> Order {
    let mut order = Order::default();
    for (begun, telling) in reads {
        order.merge(&snapshot(telling), Seen::Fetched { begun: Seq(*begun) }, Seq(100));
    }
    order
}

/// Returns how the units of the line are booked: by place, those where there are none left out.
fn booked(order: &Order) -> Vec<(String, [i64; 5])> {
    let line = &order.lines[&line()];
    let (all, places) = (order.totals(line).expect("small"), order.places(line).expect("small"));
    let spread = share::spread(all, &places, &at("home")).expect("small");
    let five =
        |t: Totals| [t.ordered, t.released, t.written_off, t.fulfilled, t.returned].map(Quantity::units);
    let mut all: Vec<_> = spread.into_iter().map(|(place, at)| (place.to_string(), five(at))).collect();
    all.retain(|(_, units)| *units != [0; 5]);
    all.sort();
    all
}

/// What was read, one after another -> how the units are booked.
#[track_caller]
fn check(reads: &[Telling], want: &[(&str, [i64; 5])]) {
    let reads: Vec<(u64, Telling)> = (1..).zip(reads.iter().cloned()).collect();
    let got = booked(&merged(&reads));
    let want: Vec<_> = want.iter().map(|(place, units)| ((*place).to_owned(), *units)).collect();
    assert_eq!(got, want);
}

fn four_at_a() -> Telling {
    ([4, 0, 0, 0, 0], vec![("a", [4, 0, 0, 0, 0])], Some("a"))
}

fn two_moved_to_b() -> Telling {
    ([4, 0, 0, 0, 0], vec![("a", [2, 0, 0, 0, 0]), ("b", [2, 0, 0, 0, 0])], Some("b"))
}

#[test]
fn units_that_are_written_off_lay_where_they_were_still_open() {
    let shipped: [(&str, [i64; 5]); 2] = [("a", [1, 0, 0, 1, 0]), ("b", [2, 0, 0, 2, 0])];
    let lost: Telling = ([4, 0, 1, 3, 0], shipped.to_vec(), Some("b"));
    let want = [("a", [2, 0, 1, 1, 0]), ("b", [2, 0, 0, 2, 0])];
    check(&[four_at_a(), two_moved_to_b(), lost.clone()], &want);
    // Read once more, and again, it stays there.
    check(&[four_at_a(), two_moved_to_b(), lost.clone(), lost.clone(), lost.clone()], &want);
    let back: Telling = ([4, 0, 1, 3, 1], vec![("a", [1, 0, 0, 1, 0]), ("b", [2, 0, 0, 2, 1])], Some("b"));
    check(&[four_at_a(), two_moved_to_b(), lost.clone(), back], &[want[0], ("b", [2, 0, 0, 2, 1])]);
    // Nobody read it while they were moved: less is accounted for at the first place alone.
    check(&[four_at_a(), lost.clone()], &want);
    // Nobody read it before: the source's guess.
    check(&[lost], &[("a", [1, 0, 0, 1, 0]), ("b", [3, 0, 1, 2, 0])]);
}

#[test]
fn where_all_units_are_written_off_each_lay_where_it_was() {
    let gone: Telling = ([4, 0, 4, 0, 0], vec![], Some("b"));
    check(&[four_at_a(), two_moved_to_b(), gone.clone()], &[("a", [2, 0, 2, 0, 0]), ("b", [2, 0, 2, 0, 0])]);
    check(std::slice::from_ref(&gone), &[("b", [4, 0, 4, 0, 0])]);
    let order = merged(&[(1, gone)]);
    assert!(order.is_placed(&order.lines[&line()]));
}

#[test]
fn units_that_are_written_off_while_others_are_open_lay_where_one_is_missing() {
    let lost_at = |a: i64, b: i64| -> Telling {
        ([4, 0, 1, 0, 0], vec![("a", [a, 0, 0, 0, 0]), ("b", [b, 0, 0, 0, 0])], Some("b"))
    };
    let (a, b) = (("a", [2, 0, 0, 0, 0]), ("b", [2, 0, 0, 0, 0]));
    check(&[four_at_a(), two_moved_to_b(), lost_at(1, 2)], &[("a", [2, 0, 1, 0, 0]), b]);
    check(&[four_at_a(), two_moved_to_b(), lost_at(2, 1)], &[a, ("b", [2, 0, 1, 0, 0])]);
    // Moved there and back again: the latest fulfillment order is at the first place.
    let there = two_moved_to_b();
    let back: Telling = ([4, 0, 0, 0, 0], vec![("a", [3, 0, 0, 0, 0]), ("b", [1, 0, 0, 0, 0])], Some("a"));
    let gone: Telling = ([4, 0, 1, 0, 0], vec![("a", [3, 0, 0, 0, 0])], Some("a"));
    check(&[four_at_a(), there, back, gone], &[("a", [3, 0, 0, 0, 0]), ("b", [1, 0, 1, 0, 0])]);
}

#[test]
fn one_after_the_other_they_lay_where_each_was_missing() {
    let first: Telling = ([4, 0, 1, 0, 0], vec![("a", [1, 0, 0, 0, 0]), ("b", [2, 0, 0, 0, 0])], Some("b"));
    let second: Telling = ([4, 0, 2, 0, 0], vec![("a", [1, 0, 0, 0, 0]), ("b", [1, 0, 0, 0, 0])], Some("b"));
    let all: Telling = ([4, 0, 3, 1, 0], vec![("b", [1, 0, 0, 1, 0])], Some("b"));
    let reads = [four_at_a(), two_moved_to_b(), first.clone(), second, all];
    check(&reads, &[("a", [2, 0, 2, 0, 0]), ("b", [2, 0, 1, 1, 0])]);
    // What is taken back, because the buyer gets it after all, is the latest.
    check(
        &[four_at_a(), two_moved_to_b(), first, two_moved_to_b()],
        &[("a", [2, 0, 0, 0, 0]), ("b", [2, 0, 0, 0, 0])],
    );
}

#[test]
fn units_that_are_free_again_and_named_no_place_lay_where_they_were_open() {
    let free: Telling = ([4, 1, 0, 0, 0], vec![("a", [1, 0, 0, 0, 0]), ("b", [2, 0, 0, 0, 0])], Some("b"));
    let want = [("a", [2, 1, 0, 0, 0]), ("b", [2, 0, 0, 0, 0])];
    check(&[four_at_a(), two_moved_to_b(), free], &want);
    // One free and one written off, both from the first place.
    let both: Telling = ([4, 1, 1, 0, 0], vec![("b", [2, 0, 0, 0, 0])], Some("b"));
    check(&[four_at_a(), two_moved_to_b(), both], &[("a", [2, 1, 1, 0, 0]), ("b", [2, 0, 0, 0, 0])]);
    // What is restocked at a place lies there.
    let restocked: Telling =
        ([4, 1, 0, 0, 0], vec![("a", [2, 0, 0, 0, 0]), ("b", [2, 1, 0, 0, 0])], Some("b"));
    check(&[four_at_a(), two_moved_to_b(), restocked], &[("a", [2, 0, 0, 0, 0]), ("b", [2, 1, 0, 0, 0])]);
}

#[test]
fn what_an_earlier_version_took_to_lie_somewhere_stays_there() {
    let guessed: Telling = ([4, 0, 1, 3, 0], vec![("a", [1, 0, 0, 1, 0]), ("b", [3, 0, 1, 2, 0])], None);
    let told: Telling = ([4, 0, 1, 3, 0], vec![("a", [1, 0, 0, 1, 0]), ("b", [2, 0, 0, 2, 0])], Some("a"));
    check(&[guessed, told], &[("a", [1, 0, 0, 1, 0]), ("b", [3, 0, 1, 2, 0])]);
}

#[test]
fn however_often_units_are_written_off_they_lay_where_they_were() {
    let off = |n: i64| -> Telling { ([40, 0, n, 0, 0], vec![("a", [40 - n, 0, 0, 0, 0])], Some("b")) };
    let reads: Vec<Telling> = (0..=30).map(off).collect();
    check(&reads, &[("a", [40, 0, 30, 0, 0])]);
    let reads: Vec<(u64, Telling)> = (1..).zip(reads).collect();
    assert_eq!(merged(&reads).lines[&line()].trail.len(), KEPT);
}

#[test]
fn a_line_of_one_place_or_of_none_keeps_nothing() {
    let lost: Telling = ([4, 0, 1, 0, 0], vec![], None);
    let order = merged(&[(1, ([4, 0, 0, 0, 0], vec![], None)), (2, lost)]);
    let line = &order.lines[&line()];
    assert_eq!((line.trail.len(), order.is_placed(line)), (0, false));
    // Nor does one of which everybody says where it lies.
    let order = merged(&[(1, four_at_a()), (2, two_moved_to_b()), (3, four_at_a())]);
    assert_eq!(order.lines[&self::line()].trail.len(), 0);
}

// ---- A small model ------------------------------------------------------------------------------------------------

const PLACES: [&str; 3] = ["a", "b", "c"];

/// How many units of a line are open, freed, written off, shipped and sent back at each place.
#[derive(Debug, Clone, Default)]
struct Model([[i64; 5]; 3]);

#[derive(Debug, Clone, Copy)]
enum Step {
    Move(usize, usize),
    Ship(usize),
    /// Cancelled and restocked where it lay, or without a word of where that was.
    Cancel(usize, bool),
    Lose(usize),
    Return(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    (0..6_usize, 0..3_usize, 0..3_usize).prop_map(|(kind, at, to)| match kind {
        0 => Step::Move(at, to),
        1 => Step::Ship(at),
        2 => Step::Cancel(at, to == 0),
        3 => Step::Return(at),
        _ => Step::Lose(at),
    })
}

const OPEN: usize = 0;
const FREE: usize = 1;
const LOST: usize = 2;
const SHIPPED: usize = 3;
const BACK: usize = 4;

/// A line at its source: what is true, and what of the units that are free again the source names the place of.
#[derive(Debug, Clone, Default)]
struct Source {
    truth: Model,
    named: [i64; 3],
}

impl Source {
    fn new(units: i64) -> Source {
        let mut source = Source::default();
        source.truth.0[0][OPEN] = units;
        source
    }

    fn step(&mut self, step: Step) {
        let at = &mut self.truth.0;
        let open = |at: &[[i64; 5]; 3], place: usize| at[place][OPEN] > 0;
        match step {
            Step::Move(from, to) if open(at, from) => (at[from][OPEN], at[to][OPEN]) = moved(at, from, to),
            Step::Ship(place) if open(at, place) => {
                (at[place][OPEN], at[place][SHIPPED]) = (at[place][OPEN] - 1, at[place][SHIPPED] + 1);
            }
            Step::Cancel(place, named) if open(at, place) => {
                (at[place][OPEN], at[place][FREE]) = (at[place][OPEN] - 1, at[place][FREE] + 1);
                self.named[place] += i64::from(named);
            }
            Step::Lose(place) if open(at, place) => {
                (at[place][OPEN], at[place][LOST]) = (at[place][OPEN] - 1, at[place][LOST] + 1);
            }
            Step::Return(to) if at.iter().map(|at| at[SHIPPED] - at[BACK]).sum::<i64>() > 0 => {
                at[to][BACK] += 1;
            }
            Step::Move(..) | Step::Ship(_) | Step::Cancel(..) | Step::Lose(_) | Step::Return(_) => {}
        }
    }

    fn telling(&self) -> Telling {
        let at = &self.truth.0;
        let sum = |which: usize| at.iter().map(|at| at[which]).sum::<i64>();
        let ordered = sum(OPEN) + sum(FREE) + sum(LOST) + sum(SHIPPED);
        let all = [ordered, sum(FREE), sum(LOST), sum(SHIPPED), sum(BACK)];
        let place = |n: usize| {
            let named = self.named[n];
            (PLACES[n], [at[n][OPEN] + named + at[n][SHIPPED], named, 0, at[n][SHIPPED], at[n][BACK]])
        };
        (all, [0, 1, 2].map(place).to_vec(), Some("c"))
    }

    fn booked(&self) -> Vec<(String, [i64; 5])> {
        let of = |(place, [open, free, lost, shipped, back]): (&str, [i64; 5])| {
            (place.to_owned(), [open + free + lost + shipped, free, lost, shipped, back])
        };
        let mut all: Vec<_> = PLACES.into_iter().zip(self.truth.0).map(of).collect();
        all.retain(|(_, units)| *units != [0; 5]);
        all
    }
}

fn moved(at: &[[i64; 5]; 3], from: usize, to: usize) -> (i64, i64) {
    if from == to { (at[from][OPEN], at[to][OPEN]) } else { (at[from][OPEN] - 1, at[to][OPEN] + 1) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn read_after_each_change_everything_is_booked_where_it_lay(
        units in 1..6_i64, steps in prop::collection::vec(any_step(), 0..12),
    ) {
        let mut source = Source::new(units);
        let mut reads = vec![(1, source.telling())];
        for (begun, step) in (2..).zip(steps) {
            source.step(step);
            reads.push((begun, source.telling()));
            prop_assert_eq!(booked(&merged(&reads)), source.booked());
        }
    }

    #[test]
    fn whatever_was_read_in_any_order_no_place_has_less_than_nothing_and_all_is_booked(
        units in 1..6_i64,
        steps in prop::collection::vec((any_step(), any::<bool>()), 0..12),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        shuffle in any::<u64>(),
    ) {
        let mut source = Source::new(units);
        let mut reads = vec![(1, source.telling())];
        for (begun, (step, read)) in (2..).zip(steps) {
            source.step(step);
            if read {
                reads.push((begun, source.telling()));
            }
        }
        reads.push((100, source.telling()));
        let order = merged(&reads);
        let got = booked(&order);
        let mut sum = [0; 5];
        for (_, at) in &got {
            let [ordered, released, written_off, fulfilled, _] = *at;
            prop_assert!(at.iter().all(|units| *units >= 0), "{:?}", got);
            prop_assert!(released + written_off + fulfilled <= ordered, "{:?}", got);
            sum = std::array::from_fn(|n| sum[n] + at[n]);
        }
        prop_assert_eq!(sum, source.telling().0);
        let mut shuffled = reads.clone();
        shuffled.extend(again.iter().map(|which| reads[which.index(reads.len())].clone()));
        shuffled.sort_by_key(|read| crate::core::backoff::digest(&[&format!("{shuffle}{read:?}")]));
        prop_assert_eq!(booked(&merged(&shuffled)), got);
        prop_assert!(order.lines[&line()].trail.len() <= KEPT);
    }
}
