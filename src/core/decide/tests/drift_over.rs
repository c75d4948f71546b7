//! Differences that a lower went over: it waits for nothing, and people are told all the same.

use super::{
    drift::{ask, theirs, with},
    world::*,
};
use crate::{
    core::{Command, command::DriftAct, drift::Done, record::AlertKind},
    model::{Levels, Observed, Outcome, policy::DriftPolicy},
};

/// Amazon sells one, and before the shop's lower goes somebody edits the shop from 10 to 50.
fn passed_over(policy: DriftPolicy) -> World {
    edited(policy, 1, 50)
}

/// Amazon sells so many, and before the shop's lower goes somebody edits the shop from 10 to `shown`.
fn edited(policy: DriftPolicy, sold: i64, shown: i64) -> World {
    let mut world = World::open_with(with(policy), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    lowered_over(&mut world, sold, shown);
    world.run_on();
    assert_eq!(world.shows("A", SHOP), 10 - sold);
    world.index_is_true();
    world
}

/// Amazon sells so many, somebody edits the shop to `shown`, and the lower goes over that.
fn lowered_over(world: &mut World, sold: i64, shown: i64) {
    world.sell(AMZ, "1", "A", sold);
    world.set_shown("A", SHOP, shown);
    world.now += 3_000;
    let levels = Levels { on_hand: Some(q(shown)), committed: Some(q(0)), ..Levels::of(q(shown)) };
    let seen = vec![(world.listing("A", SHOP), Observed::Seen(levels))];
    let read_at = ms(world.now);
    world.run(Command::Looked { channel: ch(SHOP), read_at, seen }).expect("a look");
    let lower = world.take(SHOP);
    assert_eq!(lower.quantities(), [("A".to_owned(), 10 - sold)], "the lower waits for nothing");
    world.set_shown("A", SHOP, 10 - sold);
    world.answer(SHOP, &lower.puts[0], Outcome::Applied);
}

#[test]
fn people_are_told_of_an_edit_that_a_lower_went_over() {
    for policy in [ask(), theirs()] {
        let mut world = passed_over(policy);
        let drift = world.drift("A");
        assert_eq!((drift.done, drift.expected, drift.observed), (Done::Asked, q(10), q(50)));
        assert!(world.alerts().contains(&AlertKind::Drift));
        world.act("A", DriftAct::Accept).expect("forty have come");
        world.run_on();
        assert_eq!(world.stock("A"), [50, 1, 0]);
        assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (49, 49));
        assert!(!world.alerts().contains(&AlertKind::Drift));
    }
    let mut world = passed_over(ask());
    world.act("A", DriftAct::Repair).expect("ours is there already");
    assert!(!world.alerts().contains(&AlertKind::Drift));
    world.run_on();
    assert_eq!((world.stock("A"), world.shows("A", SHOP)), ([10, 1, 0], 9));
}

#[test]
fn what_people_are_asked_about_already_outlasts_a_lower_that_goes_over_it() {
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [50, 50, 0]);
    assert_eq!(world.drift("A").done, Done::Asked);
    world.sell(AMZ, "1", "A", 1);
    world.run_on();
    assert_eq!(world.shows("A", SHOP), 9, "the lower goes");
    world.is_asked("A", "what the ledger lowers went over it meanwhile");
    assert!(world.alerts().contains(&AlertKind::Drift));
    world.act("A", DriftAct::Accept).expect("forty have come");
    world.run_on();
    assert_eq!((world.stock("A"), world.shows("A", SHOP), world.shows("A", AMZ)), ([50, 1, 0], 49, 49));
    assert!(!world.alerts().contains(&AlertKind::Drift));
}

#[test]
fn people_are_told_of_an_edit_that_a_refused_lower_met() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.sell(AMZ, "1", "A", 1);
    world.set_shown("A", SHOP, 50);
    world.lane(SHOP, &mut || Luck::Fine); // it does not show 10
    world.read("A", [50, 50, 0]);
    world.is_asked("A", "sold meanwhile");
    assert_eq!(world.take(SHOP).quantities(), [("A".to_owned(), 9)], "the lower goes");
}

#[test]
fn an_edit_that_a_lower_went_over_counts_towards_the_loop() {
    let world = passed_over(DriftPolicy::default());
    let drift = world.drift("A");
    assert_eq!((drift.done, drift.repairs.len()), (Done::Repaired, 1));
}

#[test]
fn what_is_held_for_an_edit_that_a_lower_went_over_and_that_ours_was_seen_after_shows_ours() {
    // Ours is seen there before the orders are read that could explain the edit, or after.
    for (seen_first, over) in [(true, [0, 31]), (false, [41, 41])] {
        let policy = DriftPolicy { loop_repairs: 2, ..DriftPolicy::default() };
        let mut world = World::open_with(with(policy), &[("A", 10)]);
        world.read("A", [30, 30, 0]);
        world.quiesce();
        assert_eq!((world.drift("A").done, world.shows("A", SHOP)), (Done::Repaired, 10));
        lowered_over(&mut world, 1, 50);
        if seen_first {
            world.now += 3_000;
            world.look("A", SHOP);
        }
        world.run_on();
        let drift = world.drift("A").clone();
        assert_eq!((drift.done, drift.observed, drift.repairs.len()), (Done::Held, q(50), 2));
        assert!(world.held("A", SHOP).shows_ours_since(), "{drift:?}");
        assert_eq!(drift.over_most, q(over[0]), "what it was known to show since it is held");
        world.run(Command::Tick).expect("a tick");
        let said = world.state.alerts.values().find(|alert| alert.firing).expect("it fires").text.clone();
        assert!(!said.contains("more than"), "{said}");

        // The other writer comes again.
        world.read("A", [40, 40, 0]);
        assert_eq!((world.drift("A").done, world.drift("A").observed), (Done::Held, q(40)));
        assert!(!world.held("A", SHOP).shows_ours_since());
        assert_eq!(world.drift("A").over_most, q(over[1]));
    }
}

#[test]
fn less_than_expected_that_a_lower_went_over_is_no_quarrel() {
    let world = edited(DriftPolicy::default(), 5, 8);
    let drift = world.drift("A");
    assert_eq!((drift.done, drift.observed, drift.repairs.len()), (Done::Repaired, q(8), 0));
}

#[test]
fn a_writer_that_only_lowers_is_told_to_a_person_in_the_end_and_what_the_ledger_lowers_goes() {
    let mut world = World::open_with(with(DriftPolicy::default()), &[("A", 50)]);
    world.read("A", [50, 50, 0]);
    for n in 1..=4 {
        assert!(!world.alerts().contains(&AlertKind::Drift), "{n}");
        let shown = world.shows("A", SHOP);
        world.sell(AMZ, &n.to_string(), "A", 5);
        world.set_shown("A", SHOP, shown - 2);
        world.now += 3_000;
        world.look("A", SHOP);
        let lower = world.take(SHOP);
        assert_eq!(lower.quantities(), [("A".to_owned(), shown - 5)], "the lower waits for nothing");
        world.set_shown("A", SHOP, shown - 5);
        world.answer(SHOP, &lower.puts[0], Outcome::Applied);
        world.run_on();
    }
    let drift = world.drift("A");
    assert_eq!((drift.done, drift.lowered.len(), drift.repairs.len()), (Done::Asked, 4, 0));
    assert!(world.alerts().contains(&AlertKind::Drift));
    world.sell(AMZ, "5", "A", 5);
    world.run_on();
    assert_eq!(world.shows("A", SHOP), 25, "what the ledger lowers goes");
    world.act("A", DriftAct::Repair).expect("a person has stopped it");
    assert!(!world.alerts().contains(&AlertKind::Drift));
    assert_eq!(world.drift("A").lowered, []);
}

#[test]
fn a_sale_that_a_lower_went_over_is_no_drift() {
    for (channel, other) in [(SHOP, AMZ), (AMZ, SHOP)] {
        let mut world = World::open_with(with(ask()), &[("A", 10)]);
        world.now += 700_000;
        world.feed(channel);
        world.sell(other, "1", "A", 4);
        world.buy(channel, "2", "A", 1);
        world.now += 3_000;
        world.look("A", channel); // 9, before the order is known
        assert!(world.held("A", channel).writes.passed_over.is_some(), "{channel}");
        world.lane(channel, &mut || Luck::Fine);
        world.now += 1_000;
        world.push(channel, "2");
        world.run_on();
        assert_eq!(world.held("A", channel).drift, None, "{channel}");
        assert_eq!((world.available("A"), world.shows("A", channel)), (5, 5), "{channel}");
        assert_eq!(world.held("A", channel).writes.passed_over, None, "{channel}");
    }
}
