//! What is assumed of a channel's delays is measured, and told when it was wrong.

use super::{
    drift::{ask, theirs, with},
    world::*,
};
use crate::{
    core::{
        Command, Record,
        assumption::Assumption,
        command::DriftAct,
        drift::{Done, Found},
        record::AlertKind,
    },
    model::{Levels, Observed, Outcome, policy::DriftPolicy},
};

impl World {
    fn measured(&self) -> Vec<(Assumption, i64)> {
        let records = self.journal.iter().flat_map(|envelope| &envelope.records);
        let found = records.filter_map(|record| match record {
            Record::Measured { assumption, measured_ms, .. } => Some((*assumption, *measured_ms)),
            _ => None,
        });
        found.collect()
    }

    fn told(&mut self) -> Option<String> {
        self.run(Command::Tick).expect("a tick");
        let broken = |kind: AlertKind| kind == AlertKind::AssumptionBroken;
        self.state.alerts.iter().find(|(key, _)| broken(key.kind)).map(|(_, alert)| alert.text.clone())
    }
}

#[test]
fn an_order_that_hid_from_the_feed_is_measured_and_one_that_hid_too_long_breaks_a_fence() {
    let mut world = World::open(&[("A", 10)]);
    world.now += 60_000;
    world.sell(SHOP, "1", "A", 1);
    assert_eq!(world.measured(), [], "no read of the feed had begun since");
    world.buy(SHOP, "2", "A", 1);
    world.now += 7_000;
    world.feed_with(SHOP, 7_500); // the feed does not tell of it yet
    world.push(SHOP, "2");
    // The clocks may differ by five seconds.
    assert_eq!(world.measured(), [(Assumption::FeedLag, 2_000)]);
    assert_eq!(world.told(), None);
    world.buy(SHOP, "3", "A", 1);
    world.now += 30_000;
    world.feed_with(SHOP, 40_000);
    world.push(SHOP, "3");
    world.push(SHOP, "3");
    assert_eq!(world.measured(), [(Assumption::FeedLag, 2_000), (Assumption::FeedLag, 25_000)]);
    let told = world.told().expect("people are told");
    assert!(told.contains("fence broken") && told.contains("25 s"), "{told}");
    assert_eq!(world.available("A"), 7, "it lowers what is available all the same");
    let measures = *world.state.channels[&ch(SHOP)].measures;
    assert_eq!((measures.feed_lag.max_ms, measures.feed_lag.broken), (25_000, 1));
    world.now += 7 * 3_600_000;
    world.feed(SHOP);
    assert_eq!(world.told(), None, "it is over after a while");
}

#[test]
fn orders_older_than_the_opening_stock_hid_from_nothing() {
    let mut world = World::open(&[("A", 10)]);
    world.buy(SHOP, "1", "A", 1);
    let mut old = world.markets[&ch(SHOP)].orders.values().next().expect("bought").clone();
    old.placed_at = ms(10);
    world.push_snapshot(SHOP, old);
    assert_eq!(world.measured(), []);
}

#[test]
fn a_write_that_landed_after_it_was_given_up_is_measured() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(AMZ, "1", "A", 3);
    world.lane(SHOP, &mut || Luck::Late(2_500));
    // Another quantity is wanted by then, which never arrives: what it shows is the first one.
    world.sell(AMZ, "2", "A", 1);
    // The looks see the old number until it lands.
    for _ in 0..10 {
        world.now += 1_000;
        world.lane(SHOP, &mut || Luck::Lost);
        world.look("A", SHOP);
    }
    assert_eq!(world.shows("A", SHOP), 7);
    // Reads are believed from two seconds after a write was given up on; the second one is the first that it shows in.
    assert_eq!(world.measured(), [(Assumption::Late, 5_000)]);
    world.quiesce();
    let late: Vec<_> = world.measured();
    assert!(late.iter().all(|(assumption, _)| *assumption == Assumption::Late), "{late:?}");
    assert_eq!(world.told(), None);
}

const DAY: i64 = 24 * 3_600_000;

/// What becomes of a write that has left.
#[derive(Debug, Clone, Copy)]
enum Heard {
    Says(fn() -> Outcome),
    /// The process ends, and starts again.
    Restart,
    Nothing,
}

fn unknown() -> Outcome {
    Outcome::Unknown { fault: "no answer".into() }
}

fn accepted() -> Outcome {
    Outcome::Accepted { submission: None }
}

fn refused() -> Outcome {
    Outcome::Rejected { reason: "it says no".into() }
}

fn unsent() -> Outcome {
    Outcome::NotSent { reason: "a sibling was bad".into() }
}

/// A write of 7 over 10 is sent, and `after` milliseconds later this is heard of it. For so long after that it counts as one
/// that may still land; `None`: it does not end by age.
#[track_caller]
fn check_late(channel: &str, after: i64, heard: Heard, want: Option<i64>) {
    let mut world = World::open(&[("A", 10)]);
    world.sell(if channel == SHOP { AMZ } else { SHOP }, "1", "A", 3);
    let work = world.take(channel);
    assert_eq!(work.quantities(), [("A".to_owned(), 7)]);
    let key = work.puts[0].1.key.clone();
    world.now += after;
    match heard {
        Heard::Says(outcome) => world.answer(channel, &work.puts[0], outcome()),
        Heard::Restart => drop(world.run(Command::Start { epoch: 1 })),
        Heard::Nothing => {}
    }
    let from = world.now;
    let mut counts = |at: i64| {
        world.now = from + at;
        world.take(channel);
        world.held("A", channel).writes.unsettled.iter().any(|write| write.key == key)
    };
    match want {
        Some(0) => assert!(!counts(0), "{channel} {heard:?}"),
        Some(late) => assert_eq!((counts(late - 1), counts(late)), (true, false), "{channel} {heard:?}"),
        None => assert!(counts(100 * DAY), "{channel} {heard:?}"),
    }
}

#[test]
fn late_runs_from_when_a_write_was_given_up_or_queued_and_only_where_it_may_still_land() {
    for (channel, can) in [(SHOP, SHOP_CAN), (AMZ, AMZ_CAN)] {
        for after in [0, 3_000, can.late_ms - 1, 2 * can.late_ms] {
            check_late(channel, after, Heard::Says(unknown), Some(can.late_ms));
            check_late(channel, after, Heard::Says(accepted), Some(can.late_ms));
            check_late(channel, after, Heard::Restart, Some(can.late_ms));
            check_late(channel, after, Heard::Nothing, None);
            check_late(channel, after, Heard::Says(|| Outcome::Applied), Some(0));
            check_late(channel, after, Heard::Says(|| Outcome::Stale), Some(0));
            check_late(channel, after, Heard::Says(refused), Some(0));
            check_late(channel, after, Heard::Says(unsent), Some(0));
        }
    }
}

/// Amazon gave no answer to a write of 7, took one of 6 and shows it. Returns when the former was given up.
fn superseded() -> (World, i64) {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 3);
    let work = world.take(AMZ);
    world.now += 3_000;
    world.answer(AMZ, &work.puts[0], unknown());
    let given_up = world.now;
    world.sell(SHOP, "2", "A", 1);
    world.now += 2_000;
    world.look("A", AMZ);
    let work = world.take(AMZ);
    assert_eq!(work.quantities(), [("A".to_owned(), 6)]);
    world.answer(AMZ, &work.puts[0], accepted());
    world.set_shown("A", AMZ, 6);
    world.now += 20_000;
    world.look("A", AMZ);
    assert_eq!((world.leg("A", AMZ).name(), world.measured()), ("confirmed", vec![]));
    (world, given_up)
}

/// Whether a write was settled by age when it lands, and whether the listing was seen again as it should be before it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Counts,
    Settled,
    SettledAndSeen,
}

/// The write of 7 lands, and is seen so long after it was given up -> whether that is measured, and told as more than was
/// assumed.
#[track_caller]
fn check_landed(after: i64, age: Age, measured: bool, broken: bool) {
    let (mut world, given_up) = superseded();
    if age != Age::Counts {
        world.now = given_up + AMZ_CAN.late_ms;
        world.take(AMZ);
    }
    if age == Age::SettledAndSeen {
        world.look("A", AMZ);
        assert_eq!(world.leg("A", AMZ).name(), "confirmed");
    }
    world.now = given_up + after;
    world.set_shown("A", AMZ, 7);
    world.look("A", AMZ);
    world.now += AMZ_CAN.feed_lag_ms;
    world.feed(AMZ);
    let late: Vec<_> = world.measured().into_iter().filter(|(of, _)| *of == Assumption::Late).collect();
    let want = if measured { vec![(Assumption::Late, after)] } else { vec![] };
    assert_eq!(late, want, "{after} ms after it was given up, {age:?}");
    assert_eq!(world.told().is_some(), broken, "{after} ms after it was given up, {age:?}");
}

#[test]
fn how_late_a_write_lands_is_measured_from_when_it_was_given_up() {
    let late = AMZ_CAN.late_ms;
    check_landed(23_000, Age::Counts, true, false);
    check_landed(late, Age::Counts, true, false);
    check_landed(late + 1, Age::Counts, true, true);
    for age in [Age::Settled, Age::SettledAndSeen] {
        check_landed(late + 1_000, age, true, true);
        // It is recognised for a day.
        check_landed(DAY - 1, age, true, true);
        check_landed(DAY, age, false, false);
    }
}

/// The shop applies a write of 7 over 10, half a minute after it was sent; a read that was sent `at` that answer shows `shown`, and
/// later ones what was written -> how old that read was, by what is measured.
#[track_caller]
fn check_stale(at: i64, shown: i64, want: Option<i64>, broken: bool) {
    let mut world = World::open(&[("A", 10)]);
    world.sell(AMZ, "1", "A", 3);
    let work = world.take(SHOP);
    world.now += 30_000;
    let answered = world.now;
    world.answer(SHOP, &work.puts[0], Outcome::Applied);
    world.set_shown("A", SHOP, 7);
    world.now = answered + at.max(0) + 200;
    world.look_at("A", SHOP, shown, answered + at);
    world.now += 10_000;
    world.look("A", SHOP);
    let old: Vec<i64> =
        world.measured().into_iter().map(|(of, ms)| (of == Assumption::Stale, ms).1).collect();
    assert_eq!(old, Vec::from_iter(want), "{shown} shown {at} ms after the answer");
    assert_eq!(world.told().is_some(), broken, "{shown} shown {at} ms after the answer");
}

#[test]
fn how_old_a_read_is_is_measured_from_the_answer_to_what_it_does_not_show() {
    let stale = SHOP_CAN.stale_ms;
    check_stale(-29_000, 10, None, false); // it was sent before the write was answered
    check_stale(0, 10, None, false);
    check_stale(1, 10, Some(1), false);
    check_stale(stale - 1, 10, Some(stale - 1), false);
    check_stale(stale, 10, Some(stale), false);
    check_stale(stale + 1, 10, Some(stale + 1), true); // the read after it shows what was written
    check_stale(60_000, 10, Some(60_000), true);
    check_stale(1, 7, None, false); // it is no old copy
    check_stale(1, 9, None, false); // nor what the write has replaced
    check_stale(stale + 1, 9, None, false);
}

#[test]
fn a_channel_that_shows_writes_later_says_nothing_of_how_old_its_reads_are() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 3);
    let work = world.take(AMZ);
    world.answer(AMZ, &work.puts[0], accepted());
    for _ in 0..5 {
        world.now += 10_000;
        world.look("A", AMZ);
    }
    world.set_shown("A", AMZ, 7);
    world.look("A", AMZ);
    assert!(world.measured().iter().all(|(of, _)| *of != Assumption::Stale));
}

/// A read that is this much too old, or a write that lands this much too late, and then so much time passes.
fn broken(assumption: Assumption, by: i64, passed: i64) -> World {
    let mut world = match assumption {
        Assumption::Stale => {
            let mut world = World::open(&[("A", 10)]);
            world.sell(AMZ, "1", "A", 3);
            let work = world.take(SHOP);
            world.answer(SHOP, &work.puts[0], Outcome::Applied);
            world.set_shown("A", SHOP, 7);
            world.now += SHOP_CAN.stale_ms + by;
            world.look_at("A", SHOP, 10, world.now);
            world.now += 100;
            world.look("A", SHOP);
            world
        }
        Assumption::Late | Assumption::FeedLag => {
            let (mut world, given_up) = superseded();
            world.now = given_up + AMZ_CAN.late_ms + by;
            world.set_shown("A", AMZ, 7);
            world.look("A", AMZ);
            world
        }
    };
    world.now += passed;
    world
}

#[test]
fn a_bound_that_was_broken_is_told_until_it_is_stated_as_it_was_measured_or_for_six_hours() {
    const TOLD: i64 = 6 * 3_600_000;
    for (assumption, channel) in [(Assumption::Late, AMZ), (Assumption::Stale, SHOP)] {
        let text = broken(assumption, 500, 0).told().expect("people are told");
        let secs = if assumption == Assumption::Late { "601 s" } else { "3 s" };
        assert!(text.contains(secs), "{text}");
        assert!(broken(assumption, 500, TOLD - 1).told().is_some());
        assert!(broken(assumption, 500, TOLD).told().is_none());
        for (more, told) in [(499, true), (500, false)] {
            let mut world = broken(assumption, 500, 0);
            assert!(world.told().is_some());
            let mut policies = world.state.policies().expect("configured").clone();
            let can = &mut policies.channels.get_mut(&ch(channel)).expect("configured").abilities;
            match assumption {
                Assumption::Stale => can.stale_ms += more,
                Assumption::Late | Assumption::FeedLag => can.late_ms += more,
            }
            world.run(Command::Configure(Box::new(policies))).expect("configures");
            assert_eq!(world.told().is_some(), told, "{assumption:?} is stated {more} ms higher");
        }
    }
}

/// An order hides from the shop's feed for too long, and a read of the shop is too old.
#[test]
fn all_that_was_broken_of_a_channel_is_told_and_what_is_added_is_told_again() {
    let mut world = broken(Assumption::Stale, 500, 0);
    let first = world.told().expect("people are told");
    assert!(first.contains("assume.stale") && !first.contains("feed_lag"), "{first}");
    let sent = |world: &World| world.state.alerts.values().next().expect("it fires").send_at;
    let key = world.state.alerts.keys().next().expect("it fires").clone();
    let alert = world.state.alerts[&key].clone();
    let told = Command::AlertSent { key, firing: true, told: (alert.waiting, alert.about), sent: true };
    world.run(told).expect("taken in");
    assert_eq!(sent(&world), None);
    world.buy(SHOP, "3", "A", 1);
    world.now += 30_000;
    world.feed_with(SHOP, 40_000);
    world.push(SHOP, "3");
    let both = world.told().expect("people are told");
    assert!(both.contains("assume.stale") && both.contains("assume.feed_lag"), "{both}");
    assert_eq!(sent(&world), Some(ms(world.now)), "people are told of the second one too");
}

/// What becomes of an old copy that shows what a raise of ours has replaced, where the orders are read at once after it.
fn old_copy(drift: DriftPolicy, by: i64) -> World {
    let mut world = World::open_with(with(drift), &[("A", 14), ("B", 14), ("C", 14), ("D", 14)]);
    world.sell(AMZ, "1", "A", 4);
    world.quiesce();
    world.now += 60_000;
    world.read("A", [10, 10, 0]);
    world.change(AMZ, "1", [4, 4, 0, 0, 0], 4);
    world.push(AMZ, "1");
    world.feed(SHOP);
    let work = world.take(SHOP);
    assert_eq!(work.quantities(), [("A".to_owned(), 14)]);
    world.answer(SHOP, &work.puts[0], Outcome::Applied);
    world.now += SHOP_CAN.stale_ms + by - 3_000;
    world.read("A", [10, 10, 0]);
    world.set_shown("A", SHOP, 14);
    assert_eq!(world.measured(), []);
    world
}

/// The shop is looked at as it is.
fn look_whole(world: &mut World, [available, on_hand, committed]: [i64; 3]) {
    let (on_hand, committed) = (Some(q(on_hand)), Some(q(committed)));
    let levels = Levels { on_hand, committed, ..Levels::of(q(available)) };
    let seen = vec![(world.listing("A", SHOP), Observed::Seen(levels))];
    let read_at = ms(world.now);
    world.run(Command::Looked { channel: ch(SHOP), read_at, seen }).expect("a look");
}

#[test]
fn an_old_copy_that_passes_for_an_edit_is_measured_when_that_turns_out() {
    for (drift, done) in [(DriftPolicy::default(), Done::Repaired), (ask(), Done::Asked)] {
        let mut world = old_copy(drift, 5_000);
        assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Edit, done));
        assert_eq!(world.told(), None);
        for _ in 0..5 {
            world.now += 1_000;
            world.feed(SHOP);
            world.lane(SHOP, &mut || Luck::Fine);
        }
        if done == Done::Asked {
            look_whole(&mut world, [14, 14, 0]);
        }
        assert_eq!(world.measured(), [(Assumption::Stale, SHOP_CAN.stale_ms + 5_000)], "{done:?}");
        assert!(world.told().is_some_and(|text| text.contains("assume.stale")));
        let drift = world.drift("A");
        assert_eq!((drift.done, drift.repairs.len()), (Done::Gone, 0), "{drift:?}");
        assert!(drift.why.as_ref().is_some_and(|why| why.contains("7000 ms old")), "{drift:?}");
        world.quiesce();
        assert_eq!((world.stock("A"), world.shows("A", SHOP)), ([14, 0, 0], 14));
        assert_eq!(world.measured().len(), 1, "once");
        assert!(world.state.alerts.keys().all(|key| key.kind != AlertKind::Drift));
    }
}

#[test]
fn an_old_copy_that_a_lower_went_over_is_measured_too() {
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.now += 60_000;
    world.read("A", [10, 10, 0]);
    let count = world.count_of(ERP, &[("A", 14)]);
    world.run(Command::Count(count)).expect("counts");
    world.feed(SHOP);
    let work = world.take(SHOP);
    world.answer(SHOP, &work.puts[0], Outcome::Applied);
    world.set_shown("A", SHOP, 14);
    world.sell(AMZ, "1", "A", 6);
    world.now += SHOP_CAN.stale_ms + 5_000;
    look_whole(&mut world, [10, 10, 0]);
    for _ in 0..5 {
        world.now += 1_000;
        world.lane(SHOP, &mut || Luck::Fine);
    }
    world.quiesce();
    assert_eq!((world.stock("A"), world.shows("A", SHOP)), ([14, 6, 0], 8));
    assert_eq!(world.measured(), [(Assumption::Stale, SHOP_CAN.stale_ms + 5_000)]);
    assert_eq!(world.held("A", SHOP).drift, None);
}

/// What is no old copy: the shop really shows the old number, or another one, or it is not what was expected that shows again.
#[test]
fn an_edit_that_is_written_over_or_undone_in_another_way_is_no_old_copy() {
    for drift in [DriftPolicy::default(), ask(), theirs()] {
        let mut world = old_copy(drift, 5_000);
        world.set_shown("A", SHOP, 10);
        for _ in 0..5 {
            world.now += 4_000;
            world.feed(SHOP);
            world.lane(SHOP, &mut || Luck::Fine);
        }
        world.now += 10_000;
        let shown = world.shows("A", SHOP);
        look_whole(&mut world, [shown, shown, 0]);
        assert_eq!(world.measured(), []);
        // Nor is it where something else shows than was expected.
        let mut world = old_copy(drift, 5_000);
        world.set_shown("A", SHOP, 13);
        world.now += 10_000;
        look_whole(&mut world, [13, 13, 0]);
        assert_eq!(world.measured(), []);
    }
}

/// What is expected may become what was read, by sales: that it shows again proves nothing.
#[test]
fn a_read_that_sales_have_made_what_is_expected_is_no_old_copy() {
    let mut world = old_copy(ask(), 5_000);
    world.sell(SHOP, "2", "A", 4);
    world.now += 10_000;
    world.set_shown("A", SHOP, 10);
    look_whole(&mut world, [10, 10, 0]);
    assert_eq!(world.measured(), []);
}

/// A write of `first` got no answer and was settled by age; one of 5 is seen live since. Then Amazon shows `first`.
#[track_caller]
fn check_shown_again(first: i64, want: bool) {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 10 - first);
    let work = world.take(AMZ);
    assert_eq!(work.quantities(), [("A".to_owned(), first)]);
    world.answer(AMZ, &work.puts[0], unknown());
    let given_up = world.now;
    world.set_shown("A", AMZ, first);
    world.now += 20_000;
    world.look("A", AMZ);
    let counted = world.count_of(ERP, &[("A", 5 + 10 - first)]);
    world.run(Command::Count(counted)).expect("counts");
    world.now += AMZ_CAN.feed_lag_ms;
    world.feed(AMZ);
    world.feed(SHOP);
    world.quiesce();
    assert_eq!(world.shows("A", AMZ), 5);
    assert!(world.now < given_up + AMZ_CAN.late_ms, "{}", world.now - given_up);
    world.now = given_up + AMZ_CAN.late_ms;
    world.take(AMZ);
    world.look("A", AMZ);
    let lapsed = world.held("A", AMZ).writes.lapsed.as_deref().expect("it was settled by age");
    assert_eq!(lapsed.quantity, q(first));
    world.now += 1_000;
    world.set_shown("A", AMZ, first);
    world.now += 20_000;
    world.look("A", AMZ);
    world.now += AMZ_CAN.feed_lag_ms;
    world.feed(AMZ);
    let late = world.measured().iter().any(|(of, ms)| *of == Assumption::Late && *ms > AMZ_CAN.late_ms);
    assert_eq!(late, want, "{first}: {:?}", world.measured());
}

#[test]
fn a_zero_that_shows_is_no_write_of_zero_that_landed_late() {
    check_shown_again(3, true);
    check_shown_again(0, false);
}

/// Where an edit is taken over, the ledger has moved already: a person is asked about the look that shows what was there.
#[test]
fn an_old_copy_that_was_taken_over_is_measured_and_its_end_is_asked_about() {
    let mut world = old_copy(theirs(), 5_000);
    assert_eq!((world.drift("A").done, world.stock("A")), (Done::Accepted, [10, 0, 0]));
    world.now += 1_000;
    world.read("A", [14, 14, 0]);
    assert_eq!(world.measured(), [(Assumption::Stale, SHOP_CAN.stale_ms + 5_000)]);
    let drift = world.drift("A");
    assert_eq!((drift.done, drift.expected, drift.observed), (Done::Asked, q(10), q(14)));
    world.act("A", DriftAct::Accept).expect("a person knows better");
    world.quiesce();
    assert_eq!((world.stock("A"), world.shows("A", SHOP), world.shows("A", AMZ)), ([14, 0, 0], 14, 14));
}
