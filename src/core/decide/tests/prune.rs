//! Pruning: which orders are left as tombstones, and that nothing is decided otherwise because of it.

use super::world::{AMZ, SHOP, World, ch, ids, key, placed, policies, q, sku};
use crate::{
    core::{
        Command, Record, apply,
        decide::prune::is_finished,
        state::{Ignorable, Note, Quarantined},
    },
    model::{IdKind, OrderId, Policies, policy::MappingRow},
};

const DAY: i64 = 86_400_000;

fn keep(days: i64) -> Policies {
    Policies { keep_orders_ms: Some(days * DAY), ..policies() }
}

/// What an order of two units has come to, and whether it is finished once the ERP knows.
#[track_caller]
fn check(units: [i64; 5], finished: bool) {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "o1", "A", 2);
    world.now += 1;
    world.change(SHOP, "o1", units, 0);
    world.push(SHOP, "o1");
    world.feed(SHOP);
    let is = |world: &World| is_finished(&key(SHOP, "o1"), &world.state.orders[&key(SHOP, "o1")]);
    assert!(!is(&world), "the ERP does not know of {units:?}");
    world.post_all();
    assert_eq!(is(&world), finished, "{units:?}");
}

#[test]
fn an_order_is_finished_when_every_unit_is_and_the_erp_knows() {
    check([2, 0, 0, 0, 0], false);
    check([2, 0, 0, 1, 0], false);
    check([2, 1, 0, 1, 0], true);
    check([2, 0, 0, 2, 0], true);
    check([2, 0, 1, 1, 1], true);
    check([2, 2, 0, 0, 0], true);
}

#[test]
fn an_order_that_waits_for_a_fetch_or_for_a_sku_is_not_finished() {
    let mut world = World::open(&[("A", 10)]);
    let shipped = |of: &str| {
        let ids = super::world::ids(&[(crate::model::IdKind::Sku, of)]);
        super::world::placed("o1", 5, &[(ids, [1, 0, 0, 1, 0])])
    };
    world.push_snapshot(SHOP, shipped("NOWHERE"));
    let is = |world: &World| is_finished(&key(SHOP, "o1"), &world.state.orders[&key(SHOP, "o1")]);
    assert!(!is(&world), "no SKU");
    let mut world = World::open(&[("A", 10)]);
    world.push_snapshot(SHOP, shipped("A"));
    world.post_all();
    assert!(is(&world));
    let orders = vec![OrderId::new("o1").expect("a good id")];
    world.run(Command::Unread { channel: super::world::ch(SHOP), orders }).expect("taken");
    assert!(!is(&world), "it is to be fetched");
}

/// A world with a finished order and an open one, both of one day ago.
fn two(policies: Policies) -> World {
    let mut world = World::open_with(policies, &[("A", 10)]);
    world.sell(SHOP, "done", "A", 2);
    world.sell(SHOP, "open", "A", 1);
    world.now += 1;
    world.change(SHOP, "done", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "done");
    world.feed(SHOP);
    world.post_all();
    world.quiesce();
    world
}

fn pruned(world: &World) -> Vec<String> {
    world.state.tombstones.keys().map(|key| key.order.to_string()).collect()
}

#[test]
fn a_tick_leaves_tombstones_of_finished_orders_that_are_old_enough() {
    let mut world = two(keep(30));
    world.run(Command::Tick).expect("ticks");
    assert_eq!(pruned(&world), [""; 0], "not yet");
    world.now += 31 * DAY;
    world.run(Command::Tick).expect("ticks");
    assert_eq!(pruned(&world), ["done"]);
    let last = world.journal.last().expect("something was recorded");
    assert!(last.records.contains(&Record::Pruned { orders: vec![key(SHOP, "done")] }), "{last:?}");
    assert_eq!((world.state.orders.len(), world.state.orders_known()), (1, 2));
    world.index_is_true();
    let mut never = two(policies());
    never.now += 4_000 * DAY;
    never.run(Command::Tick).expect("ticks");
    assert_eq!(pruned(&never), [""; 0], "not configured");
}

#[test]
fn a_late_return_of_a_pruned_order_is_booked_and_nothing_else_of_it() {
    let mut world = two(keep(30));
    world.now += 31 * DAY;
    world.run(Command::Tick).expect("ticks");
    assert_eq!(world.stock("A"), [8, 1, 0]);
    let records = world.journal.len();
    world.push(SHOP, "done");
    assert_eq!(world.journal.len(), records, "the same again is no news");
    assert_eq!(pruned(&world), ["done"]);
    world.now += 1;
    world.change(SHOP, "done", [2, 0, 0, 2, 1], 1);
    world.push(SHOP, "done");
    world.feed(SHOP);
    assert_eq!(world.stock("A"), [9, 1, 0], "one unit came back");
    assert_eq!(pruned(&world), [""; 0]);
    let posted = world.postings();
    assert_eq!(posted.len(), 1, "the ERP is told of the return");
    assert_eq!((posted[0].lines[0].target.returned, posted[0].lines[0].told.fulfilled), (q(1), q(2)));
    assert_eq!(posted[0].sequence, 2, "under a key of its own");
}

#[test]
fn a_fetch_that_is_wanted_of_a_pruned_order_does_not_forget_what_is_booked() {
    let mut world = two(keep(30));
    world.now += 31 * DAY;
    world.run(Command::Tick).expect("ticks");
    let orders = vec![OrderId::new("done").expect("a good id")];
    world.run(Command::Unread { channel: super::world::ch(SHOP), orders }).expect("taken");
    world.feed(SHOP);
    assert_eq!(world.stock("A"), [8, 1, 0]);
}

#[test]
fn all_orders_are_looked_at_in_portions_over_and_over() {
    let mut world = World::open_with(keep(1), &[("A", 5_000)]);
    for n in 0..500 {
        let ids = World::ids_of(SHOP, "A");
        let order = super::world::placed(&format!("o{n}"), 5, &[(ids, [1, 1, 0, 0, 0])]);
        world.push_snapshot(SHOP, order);
    }
    world.now += 2 * DAY;
    let mut left = Vec::new();
    for _ in 0..4 {
        world.run(Command::Tick).expect("ticks");
        left.push(world.state.tombstones.len());
    }
    assert_eq!(left, [200, 400, 500, 500]);
    let ids = World::ids_of(SHOP, "A");
    world.push_snapshot(SHOP, super::world::placed("late", 5, &[(ids, [1, 1, 0, 0, 0])]));
    world.run(Command::Tick).expect("ticks");
    assert_eq!(world.state.tombstones.len(), 500, "the walk is over");
    world.now += 3_600_000;
    world.run(Command::Tick).expect("ticks");
    assert_eq!(world.state.tombstones.len(), 501);
}

fn quarantined(n: usize, topic: &str) -> Quarantined {
    let (channel, id) = (super::world::ch(SHOP), Some(format!("m{n}")));
    let (why, sha256) = ("it is no order".to_owned(), format!("{n:064}"));
    Quarantined { channel, topic: topic.to_owned(), id, why, sha256, at: super::world::ms(5) }
}

#[test]
fn of_too_many_messages_that_cannot_be_read_the_oldest_go_and_none_that_hides_an_order() {
    let mut world = World::open(&[("A", 10)]);
    let mut items = vec![quarantined(0, crate::core::state::READ), quarantined(1, "orders/create")];
    items.push(quarantined(2, crate::core::state::FETCHED));
    items.push(quarantined(3, "orders/create"));
    items.push(quarantined(2, crate::core::state::FETCHED));
    items.extend((4..10_001).map(|n| quarantined(n, "orders/updated")));
    for item in items {
        world.state.seq = world.state.seq.next();
        let seq = world.state.seq;
        apply::one(&mut world.state, seq, super::world::ms(5), &Record::Quarantined { item });
    }
    let (envelope, _) = crate::core::decide(&mut world.state, Command::Tick, super::world::ms(world.now));
    let given_up = |of: &Record| if let Record::Unquarantined { id, .. } = of { Some(id.0) } else { None };
    let first = world.state.seq.0 - 10_002;
    let gone: Vec<u64> = envelope.expect("recorded").records.iter().filter_map(given_up).collect();
    assert_eq!(world.state.quarantine.len(), 10_000);
    assert_eq!(
        gone.iter().map(|id| id - first).collect::<Vec<_>>(),
        [1, 2],
        "not 0, and not the latest of order 2"
    );
}

/// Leaves tombstones of all finished orders, whatever their age, without a record of its own.
pub(super) fn prune_now(world: &mut World) {
    let finished = world.state.orders.iter().filter(|(key, order)| is_finished(key, order));
    let orders = finished.map(|(key, _)| key.clone()).collect();
    world.inject(&Record::Pruned { orders });
}

#[test]
fn a_listing_that_is_rebound_takes_the_lines_of_pruned_orders_along() {
    let rebound = |prune: bool| {
        let mut world = World::open(&[("A", 10), ("B", 10)]);
        world.sell(AMZ, "o1", "A", 2);
        world.now += 1;
        world.change(AMZ, "o1", [2, 0, 0, 2, 0], 0);
        world.push(AMZ, "o1");
        world.feed(AMZ);
        world.post_all();
        world.quiesce();
        if prune {
            prune_now(&mut world);
            assert_eq!(world.state.tombstones.len(), 1);
        }
        let ids = World::ids_of(AMZ, "A");
        let rebind = Command::Rebind { channel: super::world::ch(AMZ), ids, sku: super::world::sku("B") };
        world.run(rebind).expect("rebound");
        (world.stock("A"), world.stock("B"), world.state.order(&key(AMZ, "o1")).map(|o| o.into_owned()))
    };
    assert_eq!(rebound(true), rebound(false));
}

/// An order whose first line was shipped long ago, and of which a person has left out the other: how many units of it are
/// still for sale once it is mapped after all.
#[track_caller]
fn check_left_out(units: [i64; 5], kept: bool, left: [i64; 3]) {
    let mut world = World::open_with(keep(30), &[("A", 10), ("B", 10)]);
    let gift = ids(&[(IdKind::Sku, "GIFT")]);
    world.now += 1;
    let lines = [(World::ids_of(SHOP, "A"), [1, 0, 0, 1, 0]), (gift.clone(), units)];
    let order = placed("o1", world.now, &lines);
    world.market(SHOP).place(order.clone());
    world.push_snapshot(SHOP, order);
    world.feed(SHOP);
    world.post_all();
    let what = Ignorable::Item { channel: ch(SHOP), ids: gift.clone() };
    world.run(Command::Ignore { what, ignored: true, note: Note::default() }).expect("said");
    world.now += 32 * DAY;
    for _ in 0..3 {
        world.run(Command::Tick).expect("ticks");
        world.now += DAY;
    }
    assert_eq!(world.state.orders.contains_key(&key(SHOP, "o1")), kept, "{units:?}");
    let row = MappingRow { channel: ch(SHOP), ids: gift, sku: sku("B") };
    world.run(Command::Map { rows: vec![row] }).expect("mapped");
    world.run(Command::Tick).expect("ticks");
    assert_eq!(world.stock("B"), left, "{units:?}");
}

#[test]
fn an_order_is_kept_while_units_are_open_that_a_person_has_left_out() {
    check_left_out([2, 0, 0, 0, 0], true, [10, 2, 0]);
    check_left_out([2, 1, 0, 0, 0], true, [10, 1, 0]);
    // What is over stays left out then, as people are told.
    check_left_out([2, 0, 0, 2, 0], false, [10, 0, 0]);
    check_left_out([2, 2, 0, 0, 0], false, [10, 0, 0]);
}
