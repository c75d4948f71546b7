//! Blind channels: an absolute write that lands late undoes what the channel did to its quantity meanwhile.

use super::world::{AMZ, AMZ_CAN, SHOP, World, q};
use crate::{core::exposure, model::Outcome};

/// Amazon has an order of two units. A lower to 7 is under way there when, `after` milliseconds later, that order is
/// changed at its source; the write lands, is seen, and only then is the change learnt.
fn overwritten(after: i64, change: [i64; 5], restocked: i64) -> World {
    let mut world = World::open(&[("A", 10)]);
    world.sell(AMZ, "1", "A", 2);
    world.quiesce();
    world.sell(SHOP, "2", "A", 1);
    let work = world.take(AMZ);
    assert_eq!(work.quantities(), [("A".into(), 7)]);
    world.answer(AMZ, &work.puts[0], Outcome::Accepted { submission: None });
    world.now += after;
    world.change(AMZ, "1", change, restocked);
    world.now += 1_000;
    world.set_shown("A", AMZ, 7); // it lands, over the change
    world.now += 500;
    world.look("A", AMZ);
    world.now += 10_000;
    world.feed(AMZ);
    world
}

#[test]
fn a_restock_that_a_write_has_undone_is_written_again_at_once() {
    let mut world = overwritten(500, [2, 2, 0, 0, 0], 2);
    world.now += 6_000; // a raise waits for the orders, as far as they may lag
    world.feed(AMZ);
    assert_eq!(world.take(AMZ).quantities(), [("A".into(), 9)]);
}

#[test]
fn a_sale_that_a_write_has_undone_is_written_again_at_once() {
    let mut world = overwritten(500, [4, 0, 0, 0, 0], -2);
    assert_eq!(world.take(AMZ).quantities(), [("A".into(), 5)]);
}

#[test]
fn what_was_put_back_while_a_write_is_under_way_counts_until_the_write_is_seen() {
    let mut world = World::open(&[("A", 10)]);
    world.now += AMZ_CAN.late_ms;
    world.take(AMZ);
    world.look("A", AMZ);
    world.sell(AMZ, "1", "A", 2);
    world.sell(SHOP, "2", "A", 8);
    let work = world.take(AMZ);
    assert_eq!(work.quantities(), [("A".into(), 0)]);
    world.now += 500;
    world.change(AMZ, "1", [2, 2, 0, 0, 0], 2);
    world.push(AMZ, "1");
    let exposed = |world: &World| exposure::of(&world.held("A", AMZ).writes).expect("small");
    assert_eq!((world.shows("A", AMZ), exposed(&world)), (10, Some(q(10))));
    world.answer(AMZ, &work.puts[0], Outcome::Accepted { submission: None });
    assert_eq!(exposed(&world), Some(q(10)));
    world.now += 30_000;
    world.set_shown("A", AMZ, 0);
    world.look("A", AMZ);
    assert_eq!(exposed(&world), Some(q(0)));
}

#[test]
fn what_the_channel_did_after_the_write_was_seen_is_not_written_over() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 1);
    world.quiesce();
    world.now += 10_000;
    world.sell(AMZ, "2", "A", 2);
    let work = world.take(AMZ);
    assert_eq!((work.quantities(), world.shows("A", AMZ)), (vec![], 7), "it lowered itself");
}

#[test]
fn a_lower_does_not_wait_until_a_write_without_an_answer_would_show() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 1);
    let work = world.take(AMZ);
    assert_eq!(work.quantities(), [("A".into(), 9)]);
    world.answer(AMZ, &work.puts[0], Outcome::Unknown { fault: "503".into() });
    world.sell(SHOP, "2", "A", 1);
    assert_eq!(world.take(AMZ).quantities(), [], "looked at before anything is written");
    world.now += 2_000; // it shows what it takes after twenty seconds at the latest
    let work = world.take(AMZ);
    assert_eq!((work.puts.len(), work.looks.len()), (0, 1));
    world.look("A", AMZ);
    let work = world.take(AMZ);
    assert_eq!(work.quantities(), [("A".into(), 8)]);
    // The first one lands late, over the second: it is seen and written again.
    world.answer(AMZ, &work.puts[0], Outcome::Accepted { submission: None });
    world.set_shown("A", AMZ, 9);
    world.now += 30_000;
    world.quiesce();
    assert_eq!(world.shows("A", AMZ), 8);
}

#[test]
fn a_raise_waits_until_a_write_without_an_answer_would_show() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 3);
    let work = world.take(AMZ);
    world.answer(AMZ, &work.puts[0], Outcome::Unknown { fault: "503".into() });
    world.change(SHOP, "1", [3, 3, 0, 0, 0], 3);
    world.push(SHOP, "1");
    world.now += 8_000;
    world.feed(AMZ);
    world.look("A", AMZ);
    assert_eq!(world.take(AMZ).quantities(), []);
}

/// A daemon that does not know what a channel shows sees 10 there and wants 7.
#[track_caller]
fn check_lower_from_unknown(channel: &str) {
    let mut world = World::open(&[("A", 10)]);
    world.now += 60_000;
    world.run(crate::core::Command::Start { epoch: 2 }).expect("starts with a state that was built anew");
    let other = if channel == AMZ { SHOP } else { AMZ };
    world.sell(other, "1", "A", 3);
    let work = world.take(channel);
    assert_eq!((work.quantities(), work.looks.len()), (vec![], 1), "it is looked at first");
    world.look("A", channel);
    assert_eq!(world.take(channel).quantities(), [("A".into(), 7)], "no order needs to be read for a lower");
}

#[test]
fn a_lower_goes_as_soon_as_it_is_seen_to_be_one() {
    check_lower_from_unknown(AMZ);
    check_lower_from_unknown(SHOP);
}
