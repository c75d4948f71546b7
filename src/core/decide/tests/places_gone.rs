//! Orders older than the opening count, and channels that go.

use super::{outlets::*, world::*};
use crate::{
    core::Command,
    model::{LocationId, OrderSnapshot},
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
