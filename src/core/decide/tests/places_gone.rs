//! Orders older than the opening count, channels that go, and listings that draw on places where nobody has counted by now.

use super::{outlets::*, world::*};
use crate::{
    core::{Command, command::Count, decide::trial::try_out},
    model::{CountLine, LocationId, OrderSnapshot, Policies},
};

/// An order from before the opening count of which one unit was shipped by then.
fn old(world: &World, units: [i64; 5], places: &[(LocationId, [i64; 5])]) -> OrderSnapshot {
    OrderSnapshot { placed_at: ms(10), ..order(world, units, places) }
}

#[test]
fn what_an_old_order_has_shipped_is_not_taken_back_where_it_turns_out_to_lie_elsewhere() {
    let mut world = opened();
    let pushed = old(&world, [3, 0, 0, 1, 0], &[]);
    world.push_snapshot(SHOP, pushed);
    assert_eq!(stock(&world), [[10, 2], [4, 0]]);
    let told = old(&world, [3, 0, 0, 1, 0], &[(store(), [3, 0, 0, 1, 0])]);
    fetch(&mut world, told);
    assert_eq!(stock(&world), [[10, 0], [4, 2]]);
    // What is shipped from here on leaves the shelf.
    world.now += 1_000;
    let shipped = old(&world, [3, 0, 0, 3, 0], &[(store(), [3, 0, 0, 3, 0])]);
    fetch(&mut world, shipped);
    assert_eq!(stock(&world), [[10, 0], [2, 0]]);
}

#[test]
fn of_an_old_order_only_what_is_open_moves() {
    let mut world = opened();
    let pushed = old(&world, [5, 1, 0, 2, 1], &[]);
    world.push_snapshot(SHOP, pushed);
    assert_eq!(stock(&world), [[10, 2], [4, 0]]);
    let places = [(wh(), [1, 0, 0, 1, 0]), (store(), [4, 1, 0, 1, 1])];
    let told = old(&world, [5, 1, 0, 2, 1], &places);
    fetch(&mut world, told);
    assert_eq!(stock(&world), [[10, 0], [4, 2]]);
}

#[test]
fn a_channel_that_is_not_configured_any_more_keeps_no_commit_open() {
    let mut world = World::open(&[("A", 10), ("B", 5)]);
    world.sell(SHOP, "1", "A", 2);
    assert_eq!(world.state.skus[&sku("A")].commits.len(), 1);
    let mut less = policies();
    less.channels.remove(&ch(AMZ));
    world.run(Command::Configure(Box::new(less))).expect("configures");
    world.lane(SHOP, &mut || Luck::Fine);
    assert!(world.state.skus[&sku("A")].commits.is_empty());
}

#[test]
fn an_outlet_that_is_not_configured_any_more_keeps_no_commit_open() {
    let mut world = opened();
    world.sell(AMZ, "1", "A", 2);
    let mut policies = two();
    policies.channels.get_mut(&ch(SHOP)).expect("configured").outlets.truncate(1);
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    for _ in 0..20 {
        world.lane(SHOP, &mut || Luck::Fine);
        world.lane(AMZ, &mut || Luck::Fine);
        world.now += 5_000;
    }
    assert_eq!(world.state.skus[&sku("A")].commits, []);
}

#[test]
fn what_was_shipped_after_an_old_order_was_first_seen_moves_with_it() {
    let mut world = opened();
    let first = old(&world, [3, 0, 0, 1, 0], &[]);
    world.push_snapshot(SHOP, first);
    world.now += 1_000;
    let shipped = old(&world, [3, 0, 0, 2, 0], &[]);
    world.push_snapshot(SHOP, shipped);
    assert_eq!(stock(&world), [[9, 1], [4, 0]]);
    // All of it turns out to lie at the store.
    world.now += 1_000;
    let told = old(&world, [3, 0, 0, 2, 0], &[(store(), [3, 0, 0, 2, 0])]);
    fetch(&mut world, told);
    assert_eq!(stock(&world), [[10, 0], [3, 1]]);
}

/// The shop draws on the store, and not on the warehouse any more.
fn pointed(mut policies: Policies) -> Policies {
    policies.channels.get_mut(&ch(SHOP)).expect("configured").locations = vec![store()];
    policies
}

/// A shop that is pointed to a place where A was never counted, and perhaps another SKU was -> A shows none there.
#[track_caller]
fn check_pointed(other_is_counted: bool) {
    let mut first = policies();
    first.locations.push(store());
    let mut world = World::open_with(first.clone(), &[("A", 10), ("B", 10)]);
    let line =
        |of: &str, units| CountLine { ids: World::ids_of(ERP, of), location: store(), quantity: q(units) };
    if other_is_counted {
        let count = Count { opening: true, lines: vec![line("B", 5)], ..world.count_of(ERP, &[]) };
        world.run(Command::Count(count)).expect("opens");
    }
    world.quiesce();
    let command = Command::Configure(Box::new(pointed(first)));
    let effect = try_out(&mut world.state.clone(), vec![command.clone()], ms(world.now)).expect("tried");
    let moved = &effect.channels[&ch(SHOP)];
    let zeroed = if other_is_counted { 1 } else { 2 };
    assert_eq!((moved.lowered, moved.zeroed, moved.left), (2, zeroed, 0), "{moved:?}");
    world.run(command).expect("configures");
    for _ in 0..3 {
        world.now += 1_000;
        world.run(Command::Tick).expect("ticks");
    }
    world.quiesce();
    let shows = |world: &World| ["A", "B"].map(|of| world.shows(of, SHOP));
    assert_eq!(shows(&world), [0, if other_is_counted { 5 } else { 0 }]);
    world.sell(AMZ, "1", "A", 10);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (0, 0), "all ten are sold");
    world.now += 1_000;
    let count = Count { lines: vec![line("A", 4)], ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("counts");
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 4);
    world.index_is_true();
}

#[test]
fn a_listing_that_draws_on_a_place_where_nobody_has_counted_its_sku_by_now_shows_none() {
    check_pointed(true);
    check_pointed(false);
}

#[test]
fn a_listing_that_was_never_written_is_left_alone_where_its_sku_was_counted_elsewhere_alone() {
    let mut first = policies();
    first.locations.push(store());
    let mut world = World::open_with(pointed(first), &[("A", 10)]);
    world.list(SHOP, &["A"]);
    world.set_shown("A", SHOP, 7);
    world.list(SHOP, &["A"]);
    world.quiesce();
    world.sell(AMZ, "1", "A", 2);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.held("A", SHOP).leg.is_none()), (7, true));
}
