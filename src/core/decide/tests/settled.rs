//! A read that shows what was written does not settle the write. The four ways in which it misleads, each of which once refuted
//! the rule that it does: something else made the channel show that, and the write lands afterwards.

use super::world::*;
use crate::{core::exposure, model::Outcome};

fn unanswered(world: &mut World, channel: &str, quantity: i64) {
    let work = world.take(channel);
    assert_eq!(work.quantities(), [("A".to_owned(), quantity)]);
    world.answer(channel, &work.puts[0], Outcome::Unknown { fault: "no answer".into() });
}

fn accepted(world: &mut World, channel: &str, quantity: i64) {
    let work = world.take(channel);
    assert_eq!(work.quantities(), [("A".to_owned(), quantity)]);
    world.answer(channel, &work.puts[0], Outcome::Accepted { submission: None });
}

/// The channel shows the wanted quantity, and that is seen.
fn seen_live(world: &mut World, channel: &str, quantity: i64) {
    assert_eq!(world.shows("A", channel), quantity);
    world.now += 20_000;
    world.look("A", channel);
    let leg = world.leg("A", channel);
    assert_eq!((leg.name(), leg.quantity), ("confirmed", q(quantity)));
}

/// How often a write of so many units is counted as one that may still land.
fn counted(world: &World, channel: &str, quantity: i64) -> usize {
    let unsettled = &world.held("A", channel).writes.unsettled;
    unsettled.iter().filter(|write| write.quantity == q(quantity)).count()
}

/// What is counted of a channel covers what it has sold unseen and what it shows.
#[track_caller]
fn covers(world: &World, channel: &str, unseen: i64) {
    let exposed = exposure::of(&world.held("A", channel).writes).expect("small").expect("it is known");
    let shown = world.shows("A", channel);
    assert!(exposed >= q(shown + unseen), "{channel} shows {shown} after {unseen}, {exposed} are counted");
}

#[test]
fn an_older_write_lands_after_the_newer_one_was_read_back() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 1);
    unanswered(&mut world, AMZ, 9);
    world.sell(SHOP, "2", "A", 5);
    world.now += 2_000;
    world.look("A", AMZ); // it shows ten yet, and a lower waits for nothing
    accepted(&mut world, AMZ, 4);
    world.set_shown("A", AMZ, 4);
    seen_live(&mut world, AMZ, 4);
    assert_eq!(counted(&world, AMZ, 9), 1, "the older one was never heard of again");
    world.set_shown("A", AMZ, 9);
    covers(&world, AMZ, 0);
}

#[test]
fn a_sale_makes_the_channel_show_what_was_written() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(AMZ, "1", "A", 1);
    unanswered(&mut world, SHOP, 9);
    world.now += 200;
    world.buy(SHOP, "2", "A", 1);
    seen_live(&mut world, SHOP, 9);
    assert_eq!(counted(&world, SHOP, 9), 1, "nobody knows whether it was the write or a shopper");
    world.change(AMZ, "1", [1, 1, 0, 0, 0], 1);
    world.push(AMZ, "1");
    world.now += 5_000;
    world.feed(SHOP);
    world.change(SHOP, "2", [1, 1, 0, 0, 0], 1);
    world.feed(SHOP);
    world.now += 5_000;
    world.feed(SHOP);
    assert_eq!(world.take(SHOP).quantities(), [], "ten are shown again, and the write may lower them yet");
    covers(&world, SHOP, 0);
    world.set_shown("A", SHOP, 9);
    world.now += SHOP_CAN.late_ms;
    world.quiesce();
    assert_eq!((world.available("A"), world.shows("A", SHOP)), (10, 10));
}

#[test]
fn a_restock_makes_the_channel_show_what_was_written() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 3);
    world.sell(AMZ, "2", "A", 3);
    world.quiesce();
    world.change(AMZ, "2", [3, 3, 0, 0, 0], 3);
    world.push(AMZ, "2");
    world.now += 8_000;
    world.feed(SHOP);
    unanswered(&mut world, SHOP, 7); // over four
    world.now += 200;
    world.change(SHOP, "1", [3, 3, 0, 0, 0], 3); // the shop puts three back by itself
    seen_live(&mut world, SHOP, 7);
    assert_eq!(counted(&world, SHOP, 7), 1);
    covers(&world, SHOP, 0);
    world.buy(SHOP, "3", "A", 3);
    covers(&world, SHOP, 3);
    world.set_shown("A", SHOP, 7); // four are shown, as the write compares: it lands
    covers(&world, SHOP, 3);
}

#[test]
fn a_write_was_superseded_and_the_same_is_wanted_again() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    accepted(&mut world, AMZ, 8);
    world.sell(SHOP, "2", "A", 2);
    accepted(&mut world, AMZ, 6);
    world.set_shown("A", AMZ, 6);
    seen_live(&mut world, AMZ, 6);
    world.change(SHOP, "2", [2, 2, 0, 0, 0], 2);
    world.push(SHOP, "2");
    world.now += 8_000;
    world.feed(AMZ);
    accepted(&mut world, AMZ, 8);
    world.set_shown("A", AMZ, 8);
    seen_live(&mut world, AMZ, 8);
    assert_eq!(counted(&world, AMZ, 8), 2, "one of the two has landed, and the other may");
    world.buy(AMZ, "3", "A", 8);
    covers(&world, AMZ, 8);
    world.set_shown("A", AMZ, 8);
    covers(&world, AMZ, 8);
}

/// A write of less has no answer, is put back, and lands after that was seen.
#[track_caller]
fn check_put_back(channel: &str, late_ms: i64) {
    let mut world = World::open(&[("A", 10)]);
    let other = if channel == SHOP { AMZ } else { SHOP };
    world.now += late_ms;
    world.take(channel);
    world.look("A", channel);
    world.sell(other, "1", "A", 10);
    unanswered(&mut world, channel, 0);
    world.change(other, "1", [10, 10, 0, 0, 0], 10);
    world.push(other, "1");
    world.now += 20_000;
    world.look("A", channel);
    assert_eq!(world.leg("A", channel).name(), "confirmed", "{channel} shows ten");
    world.now += 5_000;
    world.set_shown("A", channel, 0);
    world.now += late_ms;
    world.quiesce();
    assert_eq!(world.shows("A", channel), 10, "{channel}");
}

#[test]
fn a_lower_that_was_put_back_and_lands_after_that_is_seen_without_a_reconcile() {
    check_put_back(SHOP, SHOP_CAN.late_ms);
    check_put_back(AMZ, AMZ_CAN.late_ms);
}
