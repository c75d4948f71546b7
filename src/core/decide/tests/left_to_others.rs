//! Orders that a person has left to others: until these have booked them, no count of the ERP puts their units back on sale.

use super::{open_orders::*, world::*};
use crate::{
    core::{
        Command, Refused,
        command::{Count, DeadLetter, Verdict},
        posting::Step,
    },
    model::{CountLine, Measure},
};

/// An order of two that is left to others, and shipped as far as `shipped` tells.
fn left(measure: Measure, shipped: i64) -> World {
    let mut world = opened(measure, [2, 0, 0, 0, 0], true);
    answer(&mut world, Verdict::Discard);
    if shipped > 0 {
        tell(&mut world, [2, 0, 0, shipped, 0]);
    }
    world
}

/// What of it the ERP is taken to have.
fn taken(world: &World) -> [i64; 2] {
    let posting = world.state.orders[&key(SHOP, "1")].posting(&ch(ERP)).expect("it is left to others");
    assert_eq!(posting.step, Step::Watched);
    let sum = |of: fn(&crate::model::Totals) -> crate::model::Quantity| {
        posting.acked.iter().map(|item| of(&item.totals).units()).sum()
    };
    [sum(|totals| totals.ordered), sum(|totals| totals.fulfilled)]
}

/// What the ERP counts one after the other -> what is available after each.
#[track_caller]
fn check(measure: Measure, shipped: i64, counts: &[(i64, i64)]) {
    let mut world = left(measure, shipped);
    for (n, (counted, want)) in counts.iter().enumerate() {
        count(&mut world, measure, *counted);
        assert_eq!(world.available("A"), *want, "{measure:?}, {shipped} shipped: count {n} of {counts:?}");
        world.index_is_true();
    }
}

#[test]
fn no_count_puts_units_on_sale_that_left_before_others_have_booked_it() {
    use Measure::{Free, OnHand};
    // Not yet, not yet, then both.
    check(OnHand, 2, &[(10, 8), (10, 8), (8, 8), (8, 8), (9, 9)]);
    // One after the other.
    check(OnHand, 2, &[(10, 8), (9, 8), (9, 8), (8, 8), (10, 10)]);
    // Three come in before they book it, and one is taken out after.
    check(OnHand, 2, &[(10, 8), (13, 11), (11, 11), (10, 10)]);
    // It was booked by the time that it was heard of.
    check(OnHand, 2, &[(8, 8), (9, 9)]);
    check(OnHand, 1, &[(10, 8), (9, 8), (9, 8)]);
    check(OnHand, 0, &[(10, 8), (10, 8), (9, 7)]);
    // What is free is without it since a person has said that it is entered, whenever it ships.
    for shipped in 0..=2 {
        check(Free, shipped, &[(8, 8), (8, 8), (9, 9)]);
    }
}

#[test]
fn what_is_shipped_later_of_it_stays_off_as_well() {
    let mut world = left(Measure::OnHand, 1);
    for (counted, want) in [(10, [9, 1, 0]), (9, [9, 1, 0])] {
        count(&mut world, Measure::OnHand, counted);
        assert_eq!(world.stock("A"), want);
    }
    assert_eq!(taken(&world), [2, 1]);
    tell(&mut world, [2, 0, 0, 2, 0]);
    for (counted, want) in [(9, [8, 0, 0]), (8, [8, 0, 0]), (10, [10, 0, 0])] {
        count(&mut world, Measure::OnHand, counted);
        assert_eq!(world.stock("A"), want);
    }
    assert_eq!(taken(&world), [2, 2]);
}

#[test]
fn what_a_person_has_said_to_be_there_is_there() {
    // Shipped, and booked by others, when the question is answered: until then it counts as not booked.
    let mut world = opened(Measure::OnHand, [2, 0, 0, 0, 0], true);
    tell(&mut world, [2, 0, 0, 2, 0]);
    count(&mut world, Measure::OnHand, 8);
    assert_eq!(world.stock("A"), [6, 0, 0]);
    answer(&mut world, Verdict::Discard);
    count(&mut world, Measure::OnHand, 8);
    assert_eq!(world.stock("A"), [8, 0, 0]);
}

#[test]
fn who_takes_as_many_out_there_before_it_is_booked_is_taken_for_the_booking() {
    // What OPERATIONS warns of: nothing tells the two apart until the booking comes.
    check(Measure::OnHand, 2, &[(10, 8), (8, 8), (6, 6)]);
}

#[test]
fn what_is_ordered_later_is_not_free_before_others_have_entered_it() {
    let mut world = left(Measure::Free, 0);
    tell(&mut world, [3, 0, 0, 0, 0]);
    for (counted, want) in [(8, 7), (7, 7), (9, 9)] {
        count(&mut world, Measure::Free, counted);
        assert_eq!(world.available("A"), want, "{counted} are free");
    }
    assert_eq!(taken(&world), [3, 0]);
}

#[test]
fn what_comes_back_of_it_is_never_counted_twice() {
    let mut world = left(Measure::OnHand, 2);
    count(&mut world, Measure::OnHand, 8);
    tell(&mut world, [2, 0, 0, 2, 1]);
    assert_eq!(world.stock("A"), [9, 0, 0]);
    // Its own look-up does not find it: it is not by us. So it is theirs to tell.
    let absent = vec![key(SHOP, "1")];
    for (counted, want) in [(8, 8), (9, 9)] {
        world.now += 1_000;
        let read = Count { absent: absent.clone(), ..world.count_of(ERP, &[("A", counted)]) };
        world.run(Command::Count(read)).expect("counted");
        assert_eq!(world.stock("A"), [want, 0, 0]);
    }
}

fn booked(world: &mut World, verdict: Verdict) -> Result<crate::core::Reply, Refused> {
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict })
}

#[test]
fn where_the_counts_cannot_tell_a_person_says_that_it_is_booked() {
    // Booked, and as many came in between two counts.
    let mut world = left(Measure::OnHand, 2);
    for _ in 0..2 {
        count(&mut world, Measure::OnHand, 10);
        assert_eq!(world.available("A"), 8);
    }
    let before = world.count_of(ERP, &[("A", 10)]);
    world.now += 1_000;
    booked(&mut world, Verdict::Discard).expect("said");
    assert_eq!(taken(&world), [2, 2]);
    world.run(Command::Count(before)).expect("counted");
    assert_eq!(world.available("A"), 8, "it was read before");
    count(&mut world, Measure::OnHand, 10);
    assert_eq!(world.available("A"), 10);
    assert!(booked(&mut world, Verdict::Discard).is_err(), "there is nothing to be said any more");
    assert!(booked(&mut world, Verdict::Retry).is_err());
}

#[test]
fn an_order_that_is_left_to_others_is_done_with_once_they_have_booked_it() {
    use crate::core::decide::prune::is_finished;
    let mut world = left(Measure::OnHand, 2);
    let finished = |world: &World| is_finished(&key(SHOP, "1"), &world.state.orders[&key(SHOP, "1")]);
    assert!(!finished(&world), "its units are still on their books");
    count(&mut world, Measure::OnHand, 8);
    assert!(finished(&world));
}

#[test]
fn several_orders_are_seen_to_be_booked_oldest_first() {
    let mut world = left(Measure::OnHand, 2);
    let sold = placed("0", 5, &[(World::ids_of(SHOP, "A"), [3, 0, 0, 0, 0])]);
    world.push_snapshot(SHOP, sold.clone());
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "0") };
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("asked");
    let mut shipped = sold;
    (shipped.version, shipped.lines[0].totals) = (ms(world.now + 1), totals([3, 0, 0, 3, 0]));
    world.now += 1_000;
    world.push_snapshot(SHOP, shipped);
    assert_eq!(world.stock("A"), [5, 0, 0]);
    for (counted, first, second) in [(10, 0, 0), (8, 2, 0), (6, 3, 1), (5, 3, 2)] {
        count(&mut world, Measure::OnHand, counted);
        assert_eq!(world.stock("A"), [5, 0, 0], "{counted} counted");
        let of = |order: &str| {
            let posting = world.state.orders[&key(SHOP, order)].posting(&ch(ERP)).expect("left");
            posting.acked.iter().map(|item| item.totals.fulfilled.units()).sum::<i64>()
        };
        assert_eq!((of("0"), of("1")), (first, second), "{counted} counted");
    }
}

/// An order of `A` and `B`, two of each, that is left to others; `told` tells more of it.
fn left_of_two(told: [i64; 5]) -> World {
    let mut world = World::open(&[("A", 10), ("B", 10)]);
    let snapshot = |totals: [i64; 5]| {
        placed("1", 5, &[(World::ids_of(SHOP, "A"), totals), (World::ids_of(SHOP, "B"), totals)])
    };
    world.push_snapshot(SHOP, snapshot([2, 0, 0, 0, 0]));
    answer(&mut world, Verdict::Discard);
    world.now += 1_000;
    let more = crate::model::OrderSnapshot { version: ms(world.now), ..snapshot(told) };
    world.push_snapshot(SHOP, more);
    world
}

#[test]
fn counts_that_show_nothing_new_of_it_record_nothing() {
    for told in [[2, 0, 0, 0, 0], [2, 0, 0, 2, 0]] {
        let mut world = left_of_two(told);
        let shipped = told[3];
        for (sku, quiet) in [("A", false), ("B", false), ("A", true), ("B", true), ("A", true)] {
            world.now += 1_000;
            let seq = world.state.seq;
            let counted = world.count_of(ERP, &[(sku, 10 - shipped)]);
            world.run(Command::Count(counted)).expect("counted");
            assert!(!quiet || world.state.seq == seq, "{told:?}: {sku} again");
        }
    }
}

/// Somebody else's return may be in a count or not: that it puts nothing back says nothing of the booking then.
#[test]
fn what_may_have_come_back_of_another_order_hides_no_booking() {
    let mut world = left(Measure::OnHand, 2);
    world.sell(SHOP, "2", "A", 1);
    world.post_all();
    let back = |world: &mut World, totals_of: [i64; 5]| {
        world.now += 1_000;
        let mut order = placed("2", world.now, &[(World::ids_of(SHOP, "A"), totals_of)]);
        order.version = ms(world.now);
        world.push_snapshot(SHOP, order);
    };
    back(&mut world, [1, 0, 0, 1, 0]);
    world.post_all();
    assert_eq!(world.stock("A"), [7, 0, 0]);
    // One comes back; the ERP is not told of it yet, and has not booked the two.
    back(&mut world, [1, 0, 0, 1, 1]);
    assert_eq!(world.stock("A"), [8, 0, 0]);
    count(&mut world, Measure::OnHand, 9);
    assert_eq!((world.stock("A"), taken(&world)), ([8, 0, 0], [2, 0]));
    world.post_all();
    count(&mut world, Measure::OnHand, 10);
    assert_eq!((world.stock("A"), taken(&world)), ([8, 0, 0], [2, 0]), "eight lie there");
    count(&mut world, Measure::OnHand, 8);
    assert_eq!((world.stock("A"), taken(&world)), ([8, 0, 0], [2, 2]));
}

#[test]
fn what_an_older_release_was_told_to_leave_to_others_stands_as_it_is_counted() {
    let mut world = left(Measure::OnHand, 0);
    let mut order = world.state.orders[&key(SHOP, "1")].clone();
    let held = order.posting_mut(&ch(ERP)).expect("left");
    (held.step, held.acked) = (Step::Theirs, vec![]);
    world.state.put_order(&key(SHOP, "1"), order);
    tell(&mut world, [2, 0, 0, 2, 0]);
    count(&mut world, Measure::OnHand, 58);
    assert_eq!(world.stock("A"), [58, 0, 0]);
    assert!(booked(&mut world, Verdict::Discard).is_err(), "nothing is waited for");
}

#[test]
fn what_no_count_can_show_is_not_waited_for() {
    use crate::core::decide::prune::is_finished;
    // The ERP does not count.
    let mut world = World::open(&[("A", 10)]);
    let mut policies = policies();
    policies.channels.get_mut(&ch(ERP)).expect("configured").abilities.counts = None;
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    let sold = |totals: [i64; 5]| placed("1", 5, &[(World::ids_of(SHOP, "A"), totals)]);
    world.push_snapshot(SHOP, sold([2, 0, 0, 0, 0]));
    answer(&mut world, Verdict::Discard);
    world.now += 1_000;
    let shipped = crate::model::OrderSnapshot { version: ms(world.now), ..sold([2, 0, 0, 2, 0]) };
    world.push_snapshot(SHOP, shipped);
    assert!(is_finished(&key(SHOP, "1"), &world.state.orders[&key(SHOP, "1")]));
}

#[test]
fn a_count_of_another_place_says_nothing_of_it() {
    let mut world = left(Measure::OnHand, 2);
    let store = crate::model::LocationId::new("store").expect("a good name");
    let line = CountLine { ids: World::ids_of(ERP, "A"), location: store, quantity: q(3) };
    let read = Count { lines: vec![line], ..world.count_of(ERP, &[]) };
    world.run(Command::Count(read)).expect("counted");
    assert_eq!((world.stock("A"), taken(&world)), ([8, 0, 0], [2, 0]));
}
