//! Units that were on their way and are put back: never those that a count has found where they came from.

use super::{
    by_hand::{by_hand, line, run, uncounted},
    intents::{ask, go, open, phase, places, stock, stocked, until},
    world::{AMZ, ERP, SHOP, World, ch, q, wh},
};
use crate::{
    core::{
        Command, Reply,
        command::{ByHand, HandLine},
        intent::{Phase, ask::Ask},
    },
    model::{LocationId, Policies, Seq},
};

fn store() -> LocationId {
    LocationId::new("store").expect("a good name")
}

fn erp_says(world: &mut World, units: i64) {
    world.now += 1_000;
    let count = world.count_of(ERP, &[("A", units)]);
    world.run(Command::Count(count)).expect("counted");
}

fn cancel(world: &mut World, id: Seq) {
    world.run(Command::CancelIntent { id }).expect("cancelled");
    until(world, id, Phase::RolledBack);
    world.quiesce();
}

/// Three of 21 units travel, the ERP says so many of the place that they left, and they are cancelled -> on hand there.
#[track_caller]
fn check(told: Option<i64>, want: i64) {
    for lowered in [true, false] {
        let mut world = stocked(places(&[wh(), store()]), [21, 5]);
        let id = open(&mut world, Ask { travels: true, ..ask(vec![go("A", 3)]) });
        if lowered {
            until(&mut world, id, Phase::InTransit);
        }
        if let Some(told) = told {
            erp_says(&mut world, told);
        }
        cancel(&mut world, id);
        assert_eq!(stock(&world, "A"), [[want, 0], [5, 0]], "lowered: {lowered}");
        assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (want, want + 5));
    }
}

#[test]
fn what_an_erp_has_counted_since_is_not_put_back_on_top() {
    check(None, 21);
    check(Some(22), 22);
    check(Some(21), 21);
    check(Some(19), 19);
    // Nobody can say whether it knows that they left, or has lost three others.
    check(Some(18), 18);
    check(Some(15), 15);
}

#[test]
fn a_count_that_was_read_before_they_left_says_nothing_of_them() {
    let mut world = stocked(places(&[wh(), store()]), [21, 5]);
    let read = world.count_of(ERP, &[("A", 21)]);
    world.now += 1_000;
    let id = open(&mut world, Ask { travels: true, ..ask(vec![go("A", 3)]) });
    let reply = world.run(Command::Count(read)).expect("told");
    assert!(matches!(reply, Reply::Counted { changed: 0, deferred: 1, .. }), "{reply:?}");
    cancel(&mut world, id);
    assert_eq!(stock(&world, "A"), [[21, 0], [5, 0]]);
}

#[test]
fn of_several_lines_only_what_was_counted_stays_away() {
    let mut world = stocked(places(&[wh(), store()]), [21, 5]);
    let id = open(&mut world, Ask { travels: true, ..ask(vec![go("A", 3), go("B", 2)]) });
    until(&mut world, id, Phase::InTransit);
    erp_says(&mut world, 21);
    cancel(&mut world, id);
    assert_eq!((stock(&world, "A"), stock(&world, "B")), ([[21, 0], [5, 0]], [[21, 0], [5, 0]]));
}

/// People count the warehouse and the store; ten units lie in each.
fn counted_by_people() -> World {
    let mut policies = Policies { locations: vec![wh(), store()], ..uncounted() };
    policies.channels.get_mut(&ch(AMZ)).expect("configured").locations = vec![wh(), store()];
    let mut world = World::bare(policies);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    world.set_shown("A", SHOP, 10);
    world.set_shown("A", AMZ, 20);
    let here = line("A", 10, world.now);
    let there = HandLine { location: store(), ..here.clone() };
    run(&mut world, ByHand { opening: true, ..by_hand(vec![here, there]) });
    world.run(Command::Initialise).expect("initialised");
    world.quiesce();
    world
}

/// A person counts the warehouse so long after three of ten units have left it, told before they are put back or after that
/// -> on hand there in the end.
#[track_caller]
fn check_by_hand(travels: bool, after: i64, units: i64, told_before: bool, want: i64) {
    let mut world = counted_by_people();
    world.now += 60_000;
    let id = open(&mut world, Ask { travels, ..ask(vec![go("A", 3)]) });
    let as_of = world.now + after;
    world.now += 30_000;
    assert_eq!(phase(&world, id), Phase::Lowering);
    let count = |world: &mut World| drop(run(world, by_hand(vec![line("A", units, as_of)])));
    if told_before {
        count(&mut world);
    }
    world.now += 1_000;
    world.run(Command::CancelIntent { id }).expect("cancelled");
    world.now += 1_000;
    if !told_before {
        count(&mut world);
    }
    until(&mut world, id, Phase::RolledBack);
    let held = world.state.skus[&super::world::sku("A")].place(&wh()).map(|place| place.stock);
    let held = held.expect("counted");
    assert_eq!((held.on_hand, held.incoming), (q(want), q(0)), "{travels} {after} {units} {told_before}");
}

#[test]
fn what_a_person_has_counted_since_is_not_put_back_on_top() {
    for travels in [true, false] {
        for told_before in [true, false] {
            check_by_hand(travels, 1_000, 10, told_before, 10);
            check_by_hand(travels, 0, 10, told_before, 10);
            check_by_hand(travels, 1_000, 7, told_before, 7);
            // As of before they left, they were there, and are there again.
            check_by_hand(travels, -1_000, 9, told_before, 9);
        }
    }
}
