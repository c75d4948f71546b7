//! Orders that are known to be missing: no raise puts back what they may have sold.

use super::world::{AMZ, SHOP, World, ch, ids, key, ms, placed};
use crate::{
    core::{
        Command,
        command::{DeadLetter, Verdict},
        decide::lane::waits_for,
        state::Quarantined,
    },
    model::{IdKind, OrderId},
};

/// Ten units are shown everywhere; the channel sells one in an order that nobody gets to read.
fn sold_unseen(channel: &str) -> World {
    let mut world = World::open(&[("A", 10)]);
    world.now += 60_000;
    world.buy(channel, "x", "A", 1);
    world
}

/// Hides the order from the feed, as one that cannot be read, and has the daemon see what is shown.
fn seen_without_its_order(world: &mut World, channel: &str) {
    let id = OrderId::new("x").expect("a good id");
    world.market(channel).orders.remove(&id);
    world.market(channel).past.remove(&id);
    world.now += 10_000;
    world.look("A", channel);
    world.now += 10_000;
    world.feed(channel);
    world.now += 10_000;
    world.feed(channel);
}

fn quarantine(world: &mut World, channel: &str) {
    let item = Quarantined {
        channel: ch(channel),
        topic: "orders".into(),
        id: Some("x".into()),
        why: "unknown status".into(),
        sha256: String::new(),
        at: ms(world.now),
    };
    world.run(Command::Quarantine(item)).expect("kept");
}

#[test]
fn what_an_order_that_cannot_be_read_sold_is_not_put_back_until_a_person_says_so() {
    for channel in [AMZ, SHOP] {
        let mut world = sold_unseen(channel);
        quarantine(&mut world, channel);
        seen_without_its_order(&mut world, channel);
        assert_eq!(world.take(channel).quantities(), [], "{channel}");
        let listing = world.listing("A", channel);
        let waits = waits_for(&world.state, &listing, ms(world.now));
        assert!(waits.as_ref().is_some_and(|why| why.contains("order x could not be read")), "{waits:?}");
        // A lower is never held back by it.
        world.sell(if channel == AMZ { SHOP } else { AMZ }, "y", "A", 3);
        assert_eq!(world.take(channel).quantities(), [("A".into(), 7)], "{channel}");
        let id = *world.state.quarantine.keys().next().expect("it is there");
        world
            .run(Command::Dead { letter: DeadLetter::Quarantine(id), verdict: Verdict::Discard })
            .expect("discarded");
    }
}

#[test]
fn an_order_that_is_read_at_last_holds_nothing_back() {
    let mut world = sold_unseen(AMZ);
    let order = world.market(AMZ).orders.values().next().expect("it was placed").clone();
    quarantine(&mut world, AMZ);
    seen_without_its_order(&mut world, AMZ);
    world.market(AMZ).place(order);
    world.feed(AMZ);
    world.quiesce();
    assert_eq!([world.shows("A", AMZ), world.shows("A", SHOP)], [9, 9]);
    world.sell(SHOP, "z", "A", 1);
    world.quiesce();
    world.change(SHOP, "z", [1, 1, 0, 0, 0], 1);
    world.push(SHOP, "z");
    world.quiesce();
    assert_eq!(world.shows("A", AMZ), 9, "a raise goes again");
}

#[test]
fn an_order_that_must_be_fetched_and_was_not_may_have_sold_anything() {
    let mut world = sold_unseen(SHOP);
    seen_without_its_order(&mut world, SHOP);
    let mut world_fetching = sold_unseen(SHOP);
    let delivery = crate::model::DeliveryId::new("edited").expect("a good id");
    let fetch = vec![OrderId::new("w").expect("a good id")];
    let (orders, look) = (Vec::new(), Vec::new());
    world_fetching
        .run(Command::Push { channel: ch(SHOP), delivery, orders, fetch, look })
        .expect("a push is taken in");
    seen_without_its_order(&mut world_fetching, SHOP);
    assert_eq!(world.take(SHOP).quantities(), [("A".into(), 10)], "nothing is missing: it was drift");
    assert_eq!(world_fetching.take(SHOP).quantities(), []);
}

/// An order with a line that fits no SKU, by these identifiers: does it hold back a raise of A?
#[track_caller]
fn check_unmapped(line: &[(IdKind, &str)], holds: bool) {
    let mut world = sold_unseen(AMZ);
    let at = world.now;
    world.push_snapshot(AMZ, placed("u", at, &[(ids(line), [1, 0, 0, 0, 0])]));
    let unmapped = world.state.orders.values().any(|order| order.lines.values().any(|l| l.bound.is_none()));
    assert!(unmapped, "{line:?}");
    seen_without_its_order(&mut world, AMZ);
    assert_eq!(world.take(AMZ).quantities().is_empty(), holds, "{line:?}");
}

#[test]
fn a_line_without_a_sku_holds_back_only_what_it_may_mean() {
    check_unmapped(&[(IdKind::Sku, "UNKNOWN")], false);
    check_unmapped(&[(IdKind::Barcode, "4006381333931")], true);
    check_unmapped(&[], false);
}

#[test]
fn listings_that_are_being_found_out_stand_in_no_others_way() {
    let names: Vec<String> = (0..600).map(|n| format!("S{n:03}")).collect();
    let stock: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 10)).collect();
    let mut world = World::open(&stock);
    world.now += 60_000;
    // Somebody else wrote to all but the last, which is seen and not explained yet.
    for name in &names[..599] {
        world.look_at(name, SHOP, 3, world.now);
    }
    let all: Vec<_> = names.iter().map(|name| (World::ids_of(AMZ, name), [1, 0, 0, 0, 0])).collect();
    let at = world.now;
    world.push_snapshot(AMZ, placed("o", at, &all));
    let work = world.take(SHOP).quantities();
    assert_eq!(work, [("S599".to_owned(), 9)]);
}

#[test]
fn an_order_that_the_feed_names_again_and_again_and_cannot_tell_is_missing() {
    let mut world = sold_unseen(SHOP);
    let unread = |world: &mut World| {
        let orders = vec![OrderId::new("x").expect("a good id")];
        world.run(Command::Unread { channel: ch(SHOP), orders }).expect("noted");
    };
    let id = OrderId::new("x").expect("a good id");
    world.market(SHOP).orders.remove(&id);
    world.market(SHOP).past.remove(&id);
    for _ in 0..4 {
        world.now += 10_000;
        unread(&mut world);
        world.feed(SHOP);
        world.look("A", SHOP);
        assert_eq!(world.take(SHOP).quantities(), []);
    }
}

#[test]
fn many_orders_of_the_same_thing_without_a_sku_hold_nothing_else_back() {
    let mut world = sold_unseen(AMZ);
    let at = world.now;
    for n in 0..1_100 {
        let wrapping = [(ids(&[(IdKind::Sku, "GIFT-WRAP"), (IdKind::Asin, "B0-WRAP")]), [1, 0, 0, 0, 0])];
        world.push_snapshot(AMZ, placed(&format!("g{n}"), at, &wrapping));
    }
    seen_without_its_order(&mut world, AMZ);
    assert_eq!(world.take(AMZ).quantities(), [("A".into(), 10)], "it was drift");
}

#[test]
fn an_order_that_the_channel_does_not_know_ends_its_entry() {
    let mut world = World::open(&[("A", 10)]);
    let item = Quarantined {
        channel: ch(SHOP),
        topic: "order".into(),
        id: Some("x".into()),
        why: "no order".into(),
        sha256: String::new(),
        at: ms(world.now),
    };
    world.run(Command::Quarantine(item)).expect("kept");
    let order = OrderId::new("x").expect("a good id");
    world.run(Command::NoOrder { channel: ch(SHOP), order }).expect("taken in");
    assert!(world.state.quarantine.is_empty());
}

/// Pushes an order of three units, of which two are told of by now, on a channel. Returns what is available, and whether the order is
/// to be read.
fn told_of_fewer(channel: &str) -> (i64, bool) {
    let mut world = World::open(&[("A", 10)]);
    world.sell(channel, "1", "A", 3);
    world.feed(channel);
    world.now += 1_000;
    world.change(channel, "1", [2, 0, 0, 0, 0], 0);
    world.push(channel, "1");
    let order = world.state.order(&key(channel, "1")).expect("it is known");
    (world.available("A"), order.fetch_since.is_some())
}

#[test]
fn a_message_of_amazons_that_tells_of_fewer_units_puts_none_on_sale_before_the_order_is_read() {
    assert_eq!(told_of_fewer(AMZ), (7, true));
}
