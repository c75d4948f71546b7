//! Units that a channel may have promised unseen: until its orders tell of all that it has committed, and no longer.

use super::{
    drift::{ask, with},
    world::*,
};
use crate::{
    core::{
        Command,
        drift::{Done, Found},
        record::AlertKind,
    },
    model::{Levels, Observed, Policies},
};

/// Thirty of A, of which the shop has sold three; its latest explained read was about when those three were cancelled there, and three
/// others sold. All of it is told soon.
fn turned_over(policies: Policies) -> World {
    let mut world = World::open_with(policies, &[("A", 30)]);
    world.now += 700_000;
    world.sell(SHOP, "1", "A", 3);
    world.quiesce();
    world.now += 60_000;
    world.read("A", [27, 30, 3]);
    world.now -= 4_000;
    world.change(SHOP, "1", [3, 3, 0, 0, 0], 3);
    world.buy(SHOP, "2", "A", 3);
    world.now += 4_000;
    world.push(SHOP, "1");
    world.push(SHOP, "2");
    world.quiesce();
    assert_eq!((world.stock("A"), world.shows("A", SHOP)), ([30, 3, 0], 27));
    world.now += 600_000;
    world
}

/// Reads what the shop shows and has committed, and no order.
fn look(world: &mut World, seen: [i64; 2]) {
    look_at(world, "A", seen);
}

fn look_at(world: &mut World, of: &str, [shown, committed]: [i64; 2]) {
    world.set_shown(of, SHOP, shown);
    let (on_hand, committed) = (Some(q(shown + committed)), Some(q(committed)));
    let levels = Levels { on_hand, committed, ..Levels::of(q(shown)) };
    let seen = vec![(world.listing(of, SHOP), Observed::Seen(levels))];
    world.run(Command::Looked { channel: ch(SHOP), read_at: ms(world.now), seen }).expect("a look");
}

#[test]
fn what_the_orders_tell_all_of_is_no_unseen_sale_however_unsure_its_times_are() {
    let mut world = turned_over(policies());
    world.read("A", [24, 27, 3]);
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Edit, Done::Repaired));
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 27, "ours is written again");
    // A person is asked where that is what is wanted.
    let mut world = turned_over(with(ask()));
    world.read("A", [24, 27, 3]);
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Edit, Done::Asked));
}

#[test]
fn what_no_order_tells_of_is_unseen_in_the_same_doubt() {
    let mut world = turned_over(policies());
    world.read("A", [24, 30, 6]);
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Unseen, Done::Asked));
}

/// A shop of which three units were sold unseen, and two were taken by somebody else. `told`: its orders tell of it in the end.
fn unseen(policies: Policies, told: bool) -> World {
    let mut world = World::open_with(policies, &[("A", 30)]);
    world.now += 700_000;
    world.quiesce();
    world.read("A", [30, 30, 0]);
    world.now += 60_000;
    if told {
        world.buy(SHOP, "1", "A", 3);
    }
    world.now += 10_000;
    look(&mut world, [25, 3]);
    world.now += 4_000;
    world.feed_with(SHOP, 20_000);
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Unseen, Done::Asked));
    world
}

/// What it should have shown, and what it did.
fn numbers(world: &World) -> (i64, i64) {
    (world.drift("A").expected.units(), world.drift("A").observed.units())
}

#[test]
fn what_is_found_while_an_unseen_sale_is_told_is_asked_about_without_that_sale() {
    let mut world = unseen(with(ask()), true);
    assert_eq!(numbers(&world), (30, 25));
    world.push(SHOP, "1");
    // One more is taken meanwhile.
    world.now += 600_000;
    world.read("A", [24, 27, 3]);
    assert_eq!((world.drift("A").done, numbers(&world)), (Done::Asked, (27, 24)));
}

#[test]
fn an_unseen_sale_that_was_all_of_it_is_no_difference_any_more_once_it_is_told() {
    for policies in [policies(), with(ask())] {
        let mut world = World::open_with(policies, &[("A", 30)]);
        world.now += 700_000;
        world.quiesce();
        world.read("A", [30, 30, 0]);
        world.now += 60_000;
        world.buy(SHOP, "1", "A", 3);
        world.now += 10_000;
        look(&mut world, [27, 3]);
        world.now += 4_000;
        world.feed_with(SHOP, 20_000);
        assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Unseen, Done::Asked));
        world.push(SHOP, "1");
        world.now += 600_000;
        world.read("A", [27, 30, 3]);
        assert_eq!((world.drift("A").done, world.shows("A", SHOP)), (Done::Gone, 27));
        world.quiesce();
        assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (27, 27));
    }
}

#[test]
fn listings_that_one_read_of_the_orders_judges_are_each_judged_by_their_own_orders() {
    let mut world = World::open_with(policies(), &[("A", 30), ("B", 30)]);
    world.now += 700_000;
    world.quiesce();
    world.read("A", [30, 30, 0]);
    world.read("B", [30, 30, 0]);
    world.now += 60_000;
    for (order, of) in [("1", "A"), ("2", "B")] {
        world.buy(SHOP, order, of, 3);
    }
    world.now += 10_000;
    for of in ["A", "B"] {
        look_at(&mut world, of, [25, 3]);
    }
    world.now += 4_000;
    world.feed_with(SHOP, 20_000);
    world.push(SHOP, "2");
    world.now += 60_000;
    for of in ["A", "B"] {
        look_at(&mut world, of, [25, 3]);
    }
    world.now += 4_000;
    world.feed_with(SHOP, 90_000);
    assert_eq!(["A", "B"].map(|of| world.drift(of).found), [Found::Unseen, Found::Rival]);
    assert_eq!(["A", "B"].map(|of| world.drift(of).expected), [q(30), q(27)]);
}

#[test]
fn an_unseen_sale_that_is_told_later_is_over_and_what_is_left_is_judged_by_itself() {
    let mut world = unseen(policies(), true);
    world.now += 60_000;
    world.push(SHOP, "1");
    world.now += 60_000;
    look(&mut world, [25, 3]);
    assert_eq!(world.drift("A").done, Done::Asked, "its orders are not read up to then");
    world.now += 4_000;
    world.feed(SHOP);
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Rival, Done::Repaired));
    assert_eq!(numbers(&world), (27, 25), "what was sold is no part of it");
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.available("A")), (27, 27));
    world.index_is_true();
}

#[test]
fn where_a_person_is_to_be_asked_an_unseen_sale_that_was_told_is_asked_about_as_what_it_is() {
    let mut world = unseen(with(ask()), true);
    world.push(SHOP, "1");
    world.now += 600_000;
    world.read("A", [25, 28, 3]);
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Rival, Done::Asked));
    assert_eq!(numbers(&world), (27, 25));
    world.run(Command::Tick).expect("ticks");
    let alert = world.state.alerts.iter().find(|(key, _)| key.kind == AlertKind::Drift);
    let text = &alert.expect("it fires").1.text;
    assert!(text.contains("shows 25 and not 27"), "{text}");
    world.run_on();
    assert_eq!((world.drift("A").done, world.shows("A", SHOP)), (Done::Asked, 25));
}

#[test]
fn what_stays_unseen_is_not_put_back_however_often_it_is_read() {
    let mut world = unseen(policies(), false);
    for _ in 0..5 {
        world.now += 600_000;
        world.read("A", [25, 28, 3]);
        world.run_on();
    }
    // Another order is shipped, of as many units: what is committed is as much as was known before.
    world.sell(SHOP, "2", "A", 3);
    world.now += 600_000;
    world.read("A", [22, 28, 6]);
    world.run_on();
    world.change(SHOP, "2", [3, 0, 0, 3, 0], 0);
    world.now += 10_000;
    look(&mut world, [22, 3]);
    world.now += 4_000;
    world.feed_with(SHOP, 60_000);
    world.push(SHOP, "2");
    world.run_on();
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Unseen, Done::Asked));
    assert_eq!(world.shows("A", SHOP), 22);
}
