//! A message about a change that an order was read after asks for no further read.

use super::world::*;
use crate::core::Command;
use crate::model::{DeliveryId, OrderSnapshot};

impl World {
    /// Amazon's message about an order: what it says of it, and that it is to be read.
    fn notify(&mut self, channel: &str, told: OrderSnapshot) {
        let delivery = DeliveryId::new(&format!("n{}", told.version.millis())).expect("a good id");
        let (fetch, look) = (vec![told.order.clone()], Vec::new());
        let push = Command::Push { channel: ch(channel), delivery, orders: vec![told], fetch, look };
        self.run(push).expect("it is taken in");
    }

    fn is_to_be_read(&self, channel: &str) -> bool {
        self.state.order(&key(channel, "1")).expect("it is known").fetch_due.is_some()
    }
}

/// An order that was read, and the message about a change `later` (milliseconds) than the last one that the read told of.
#[track_caller]
fn check(channel: &str, later: i64, want: bool) {
    let mut world = World::open(&[("A", 10)]);
    world.buy(channel, "1", "A", 2);
    world.feed(channel);
    let mut told = world.market(channel).orders[&key(channel, "1").order].clone();
    told.version = told.version.plus_millis(later);
    world.notify(channel, told);
    assert_eq!(world.is_to_be_read(channel), want, "{channel} {later}");
    assert_eq!(world.available("A"), 8);
}

#[test]
fn an_order_that_was_read_with_a_later_change_need_not_be_read_for_an_earlier_one() {
    check(AMZ, -1, false);
    // Two changes may fall into one moment.
    check(AMZ, 0, true);
    check(AMZ, 284, true);
    // A shop's versions go back now and then.
    check(SHOP, -1, true);
}

#[test]
fn an_order_is_read_once_where_a_message_names_a_later_time_than_the_order_does() {
    let mut world = World::open(&[("A", 10)]);
    world.buy(AMZ, "1", "A", 2);
    let mut told = world.market(AMZ).orders[&key(AMZ, "1").order].clone();
    told.version = told.version.plus_millis(284);
    world.notify(AMZ, told.clone());
    assert!(world.is_to_be_read(AMZ) && world.available("A") == 8);
    world.feed(AMZ);
    assert!(!world.is_to_be_read(AMZ), "{:#?}", world.state.order(&key(AMZ, "1")));
    assert_eq!(world.available("A"), 8);
    // An old copy that lacks what the message told of is no such read.
    told.version = told.version.plus_millis(1_000);
    told.lines[0].totals = totals([3, 0, 0, 0, 0]);
    world.notify(AMZ, told);
    world.feed(AMZ);
    assert!(world.is_to_be_read(AMZ));
}

#[test]
fn what_was_to_be_read_before_a_message_stays_so() {
    let mut world = World::open(&[("A", 10)]);
    world.buy(AMZ, "1", "A", 2);
    world.feed(AMZ);
    let told = world.market(AMZ).orders[&key(AMZ, "1").order].clone();
    world.notify(AMZ, told.clone());
    let due = world.state.order(&key(AMZ, "1")).expect("it is known").fetch_due;
    let earlier = OrderSnapshot { version: told.version.plus_millis(-1), ..told };
    world.notify(AMZ, earlier);
    assert_eq!(world.state.order(&key(AMZ, "1")).expect("it is known").fetch_due, due);
}
