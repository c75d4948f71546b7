//! Channels tell times in whole seconds, and by clocks of their own: what was sold just after a write may be told as sold
//! just before it.

use super::world::*;
use crate::{
    core::{
        Command, Record,
        drift::{Done, Drifted, Found},
        leg,
    },
    model::{Levels, Observed, OrderSnapshot},
};

/// The second that a moment falls in, as a channel tells it.
fn second(now: i64) -> i64 {
    now / 1_000 * 1_000
}

impl World {
    /// A shopper buys now; the order tells the whole second of it.
    fn sell_in_this_second(&mut self, channel: &str, order: &str, of: &str, units: i64) {
        self.set_shown(of, channel, self.shows(of, channel) - units);
        let told = second(self.now);
        let snapshot: OrderSnapshot =
            placed(order, told, &[(World::ids_of(channel, of), [units, 0, 0, 0, 0])]);
        self.market(channel).place(snapshot.clone());
        self.push_snapshot(channel, snapshot);
    }

    fn drifts(&self, channel: &str) -> Vec<Drifted> {
        self.held("A", channel).drift.as_deref().cloned().into_iter().collect()
    }
}

/// A world whose shop was written to half way through a second.
fn written() -> World {
    let mut world = World::open(&[("A", 10)]);
    world.now = second(world.now) + 10_500;
    world.sell(AMZ, "o1", "A", 2);
    assert!(world.lane(SHOP, &mut || Luck::Fine));
    assert_eq!((world.shows("A", SHOP), world.held("A", SHOP).writes.known_at), (8, ms(world.now)));
    world
}

#[test]
fn what_was_sold_in_the_second_of_a_write_is_no_drift() {
    let mut world = written();
    world.now += 200;
    world.sell_in_this_second(SHOP, "o2", "A", 3);
    // The write compared, so the sale came after it.
    assert_eq!(world.held("A", SHOP).writes.base, Some(q(5)));
    world.now += 4_000;
    world.feed(SHOP);
    assert!(world.lane(SHOP, &mut || Luck::Fine));
    assert_eq!(world.leg("A", SHOP).state, leg::State::Confirmed);
    // It is raised again once there is more.
    world.change(AMZ, "o1", [2, 2, 0, 0, 0], 2);
    world.push(AMZ, "o1");
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (7, 7));
    assert_eq!(world.drifts(SHOP), []);
}

#[test]
fn what_was_sold_in_the_second_of_a_look_is_found_out_when_a_write_is_refused_for_it() {
    let mut world = World::open(&[("A", 10)]);
    world.now = second(world.now) + 10_500;
    // Somebody took two, and it was read and believed.
    world.set_shown("A", SHOP, 8);
    world.look("A", SHOP);
    world.now += 4_000;
    world.feed(SHOP);
    let read = ms(second(world.now) - 4_000 + 500);
    assert_eq!(
        (world.held("A", SHOP).writes.base, world.held("A", SHOP).writes.known_at),
        (Some(q(8)), read)
    );
    let later = std::mem::replace(&mut world.now, read.millis() + 200);
    world.set_shown("A", SHOP, 8);
    world.sell_in_this_second(SHOP, "o2", "A", 3);
    world.now = later;
    let drifts = world.drifts(SHOP);
    assert_eq!(world.held("A", SHOP).writes.base, Some(q(8)), "it may be in it or not");
    assert!(world.lane(SHOP, &mut || Luck::Fine), "refused: it shows 5");
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 7);
    assert_eq!(world.drifts(SHOP).len(), drifts.len());
    let why = |record: &Record| matches!(record, Record::Drift { .. });
    let named = world.journal.iter().flat_map(|envelope| &envelope.records).filter(|record| why(record));
    assert_eq!(named.count(), 1, "what somebody took is a drift, what was sold is none");
}

/// A write was refused: the shop does not show what is expected. That some restock may not be in the read explains nothing then,
/// and the same is not written over and over.
#[test]
fn what_a_refused_write_has_refuted_is_not_believed_because_what_is_wanted_shows() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "o1", "A", 3);
    world.quiesce();
    world.now = second(world.now) + 60_500;
    world.change(SHOP, "o1", [3, 3, 0, 0, 0], 3);
    world.push(SHOP, "o1");
    world.set_shown("A", SHOP, 9);
    world.now += 100;
    world.look("A", SHOP);
    world.now += 3_000;
    world.feed(SHOP);
    let read = world.held("A", SHOP).writes.known_at.millis();
    let later = std::mem::replace(&mut world.now, read + 200);
    world.sell_in_this_second(SHOP, "o2", "A", 3);
    world.now = later;
    world.sell(AMZ, "o3", "A", 1);
    let refused = |world: &World| {
        let all = world.journal.iter().flat_map(|envelope| &envelope.records);
        all.filter(|record| matches!(record, Record::Moved { why: crate::core::record::Why::Stale, .. }))
            .count()
    };
    for _ in 0..20 {
        world.now += 100;
        world.lane(SHOP, &mut || Luck::Fine);
    }
    assert_eq!((world.shows("A", SHOP), world.held("A", SHOP).writes.base), (6, Some(q(6))));
    assert_eq!(refused(&world), 1, "and it is not written again");
    world.now += 10_000;
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (6, 6));
}

#[test]
fn a_lower_follows_a_refused_write_without_waiting_for_the_orders() {
    let mut world = written();
    world.now += 3_000;
    // Somebody sold one there that nobody has told of.
    world.set_shown("A", SHOP, 7);
    world.sell(AMZ, "o2", "A", 4);
    assert!(world.lane(SHOP, &mut || Luck::Fine), "refused: it shows 7 and not 8");
    assert!(world.lane(SHOP, &mut || Luck::Fine), "looked at");
    assert!(world.lane(SHOP, &mut || Luck::Fine), "lowered");
    assert_eq!(world.shows("A", SHOP), 4);
}

#[test]
fn what_was_sold_in_the_second_of_a_look_is_no_drift_on_a_blind_channel() {
    let mut world = World::open(&[("A", 10)]);
    world.now = second(world.now) + 30_500;
    world.sell(SHOP, "o1", "A", 2);
    world.quiesce();
    let known_at = world.held("A", AMZ).writes.known_at;
    world.now = known_at.millis() + 1;
    let base = world.held("A", AMZ).writes.base;
    assert_eq!(base, Some(q(8)));
    world.sell_in_this_second(AMZ, "o2", "A", 3);
    for _ in 0..20 {
        world.now += 10_000;
        world.look("A", AMZ);
        world.feed(AMZ);
        world.feed(SHOP);
    }
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (5, 5));
    assert_eq!(world.drifts(AMZ), []);
}

#[test]
fn what_an_erp_holds_is_counted_and_never_a_drift() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "o1", "A", 3);
    world.quiesce();
    for units in [10, 7, 12] {
        let levels = Some(Levels { on_hand: Some(q(units)), ..Levels::of(q(units)) });
        world.catalogue(ERP, vec![crate::model::CatalogueItem { levels, ..World::item(ERP, "A") }]);
    }
    assert_eq!(world.drifts(ERP), []);
}

/// The units that a shop shows, and what was made of it, when long after a sale that was told about the time of a read it
/// sells `units` more that its orders never tell. `after`: how long after, in milliseconds.
fn sold_unseen(units: i64, after: i64) -> (i64, Vec<(Found, Done)>) {
    let mut world = World::open(&[("A", 10)]);
    world.now += 60_000;
    world.set_shown("A", SHOP, 9);
    world.look("A", SHOP);
    world.now += 4_000;
    world.feed(SHOP);
    // It is in what was read already.
    let known = world.held("A", SHOP).writes.known_at.millis();
    let order = placed("o1", known - 1_000, &[(World::ids_of(SHOP, "A"), [3, 0, 0, 0, 0])]);
    world.market(SHOP).place(order.clone());
    world.push_snapshot(SHOP, order);
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 7);
    let look = |world: &mut World, shown: i64, committed: i64| {
        let (on_hand, committed) = (Some(q(shown + committed)), Some(q(committed)));
        let levels = Levels { on_hand, committed, ..Levels::of(q(shown)) };
        let seen = vec![(world.listing("A", SHOP), Observed::Seen(levels))];
        world.run(Command::Looked { channel: ch(SHOP), read_at: ms(world.now), seen }).expect("a look");
    };
    world.now += after;
    look(&mut world, 7, 3);
    world.feed(SHOP);
    world.quiesce();
    world.set_shown("A", SHOP, 7 - units);
    look(&mut world, 7 - units, 3 + units);
    for _ in 0..10 {
        world.now += 5_000;
        world.feed(SHOP);
        world.lane(SHOP, &mut || Luck::Fine);
    }
    let drifts = world.drifts(SHOP).into_iter().map(|drift| (drift.found, drift.done));
    (world.shows("A", SHOP), drifts.collect())
}

#[test]
fn a_sale_that_is_never_told_is_not_taken_for_one_that_was() {
    for after in [20_000, 3_600_000] {
        for units in [2, 3] {
            let asked = vec![(Found::Unseen, Done::Asked)];
            assert_eq!(sold_unseen(units, after), (7 - units, asked), "{units} units after {after} ms");
        }
    }
}
