//! What was shipped, written off or sent back and turns out to lie at another place: no count by a person comes out higher by it.

use super::{
    by_hand::{by_hand, line, run, uncounted},
    outlets::{fetch, order, stock, store, two},
    world::*,
};
use crate::{
    core::{
        Command,
        command::{ByHand, HandLine},
    },
    model::{CatalogueItem, IdKind, LocationId, OrderSnapshot},
};

/// Two places that people count, each with ten units of A.
fn opened() -> World {
    let mut policies = two();
    policies.channels.insert(ch(ERP), uncounted().channels[&ch(ERP)].clone());
    let mut world = World::bare(policies);
    world.list(ERP, &["A"]);
    world.list(AMZ, &["A"]);
    let at = |outlet: &str| World::ids_of(SHOP, "A").and(&ids(&[(IdKind::Location, outlet)]));
    let item = |outlet: &str| CatalogueItem { ids: at(outlet), ..World::item(SHOP, "A") };
    world.catalogue(SHOP, vec![item("5"), item("6")]);
    let lines = [wh(), store()].map(|location| HandLine { location, ..line("A", 10, world.now) });
    run(&mut world, ByHand { opening: true, ..by_hand(lines.into()) });
    world.run(Command::Initialise).expect("initialised");
    world.now += 10_000;
    world
}

/// Tells of one order as of when it was placed and last changed, all of it at a place.
fn told(world: &mut World, [placed_at, version]: [i64; 2], units: [i64; 5], place: &LocationId) {
    let told = order(world, units, &[(place.clone(), units)]);
    fetch(world, OrderSnapshot { placed_at: ms(placed_at), version: ms(version), ..told });
}

/// The list of orders is read to its end.
fn fed(world: &mut World) {
    world.now += 10_000;
    let (channel, begun, at) = (ch(SHOP), world.state.seq, ms(world.now));
    world.run(Command::Fed { channel, begun, begun_at: at, through: at }).expect("read");
}

/// What an order has done at the store by the time that both places are counted, as they lie, or only after it -> what is on hand in
/// the warehouse and the store once it is told to lie in the warehouse.
#[track_caller]
fn check(units: [i64; 5], counted: [i64; 2], after: bool, want: [i64; 2]) {
    let mut world = opened();
    let (placed_at, counted_at) = (world.now, world.now + 10_000);
    let sold = [units[0], 0, 0, 0, 0];
    let shipped_at = if after { counted_at + 1_000 } else { placed_at + 1_000 };
    world.now += 1_000;
    let first = if after { [placed_at, placed_at] } else { [placed_at, shipped_at] };
    told(&mut world, first, if after { sold } else { units }, &store());
    world.now = counted_at;
    let lines = [(wh(), counted[0]), (store(), counted[1])];
    let lines = lines.map(|(location, units)| HandLine { location, ..line("A", units, world.now) });
    run(&mut world, by_hand(lines.into()));
    world.now += 10_000;
    told(&mut world, [placed_at, shipped_at], units, &store());
    fed(&mut world);
    told(&mut world, [placed_at, shipped_at], units, &wh());
    let got = stock(&world).map(|[on_hand, _]| on_hand);
    assert_eq!(got, want, "{units:?}, after the count {after}");
    world.index_is_true();
}

#[test]
fn what_only_lies_elsewhere_was_never_back_on_the_shelf_that_was_counted() {
    // Shipped before the count: both shelves are as they were counted.
    check([2, 0, 0, 2, 0], [10, 8], false, [10, 8]);
    check([2, 0, 2, 0, 0], [10, 8], false, [10, 8]);
    // Shipped, and one sent back, before the count.
    check([2, 0, 0, 2, 1], [10, 9], false, [10, 9]);
    // Shipped after it: whether that was from here or there, nothing comes back.
    check([2, 0, 0, 2, 0], [10, 10], true, [8, 8]);
    // What is open only is promised elsewhere.
    check([2, 0, 0, 0, 0], [10, 10], false, [10, 10]);
}

#[test]
fn a_shipment_that_is_undone_and_not_booked_elsewhere_is_back_on_the_shelf() {
    let mut world = opened();
    let placed_at = world.now;
    world.now += 1_000;
    told(&mut world, [placed_at, placed_at + 1_000], [2, 0, 0, 2, 0], &store());
    world.now += 10_000;
    let counted = HandLine { location: store(), ..line("A", 8, world.now) };
    run(&mut world, by_hand(vec![counted]));
    world.now += 10_000;
    fed(&mut world);
    let undone = world.now + 1_000;
    told(&mut world, [placed_at, undone], [2, 0, 0, 0, 0], &store());
    assert_eq!(stock(&world), [[10, 0], [10, 2]]);
}

#[test]
fn a_count_of_before_a_shipment_moved_is_brought_up_to_now_without_it() {
    let mut world = opened();
    let placed_at = world.now;
    world.now += 1_000;
    told(&mut world, [placed_at, placed_at + 1_000], [2, 0, 0, 2, 0], &store());
    world.now += 10_000;
    let counted = world.now;
    fed(&mut world);
    told(&mut world, [placed_at, placed_at + 1_000], [2, 0, 0, 2, 0], &wh());
    world.now += 10_000;
    run(&mut world, by_hand(vec![HandLine { location: store(), ..line("A", 8, counted) }]));
    assert_eq!(stock(&world), [[8, 0], [8, 0]]);
}
