//! What is assumed of a channel's delays is measured, and told when it was wrong.

use super::world::*;
use crate::core::{Command, Record, assumption::Assumption, record::AlertKind};

impl World {
    fn measured(&self) -> Vec<(Assumption, i64)> {
        let records = self.journal.iter().flat_map(|envelope| &envelope.records);
        let found = records.filter_map(|record| match record {
            Record::Measured { assumption, measured_ms, .. } => Some((*assumption, *measured_ms)),
            _ => None,
        });
        found.collect()
    }

    fn told(&mut self) -> Option<String> {
        self.run(Command::Tick).expect("a tick");
        let broken = |kind: AlertKind| kind == AlertKind::AssumptionBroken;
        self.state.alerts.iter().find(|(key, _)| broken(key.kind)).map(|(_, alert)| alert.text.clone())
    }
}

#[test]
fn an_order_that_hid_from_the_feed_is_measured_and_one_that_hid_too_long_breaks_a_fence() {
    let mut world = World::open(&[("A", 10)]);
    world.now += 60_000;
    world.sell(SHOP, "1", "A", 1);
    assert_eq!(world.measured(), [], "no read of the feed had begun since");
    world.buy(SHOP, "2", "A", 1);
    world.now += 7_000;
    world.feed_with(SHOP, 7_500); // the feed does not tell of it yet
    world.push(SHOP, "2");
    // The clocks may differ by five seconds.
    assert_eq!(world.measured(), [(Assumption::FeedLag, 2_000)]);
    assert_eq!(world.told(), None);
    world.buy(SHOP, "3", "A", 1);
    world.now += 30_000;
    world.feed_with(SHOP, 40_000);
    world.push(SHOP, "3");
    world.push(SHOP, "3");
    assert_eq!(world.measured(), [(Assumption::FeedLag, 2_000), (Assumption::FeedLag, 25_000)]);
    let told = world.told().expect("people are told");
    assert!(told.contains("fence broken") && told.contains("25 s"), "{told}");
    assert_eq!(world.available("A"), 7, "it lowers what is available all the same");
    let measures = *world.state.channels[&ch(SHOP)].measures;
    assert_eq!((measures.feed_lag.max_ms, measures.feed_lag.broken), (25_000, 1));
    world.now += 7 * 3_600_000;
    world.feed(SHOP);
    assert_eq!(world.told(), None, "it is over after a while");
}

#[test]
fn orders_older_than_the_opening_stock_hid_from_nothing() {
    let mut world = World::open(&[("A", 10)]);
    world.buy(SHOP, "1", "A", 1);
    let mut old = world.markets[&ch(SHOP)].orders.values().next().expect("bought").clone();
    old.placed_at = ms(10);
    world.push_snapshot(SHOP, old);
    assert_eq!(world.measured(), []);
}

#[test]
fn a_write_that_landed_after_it_was_given_up_is_measured() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(AMZ, "1", "A", 3);
    world.lane(SHOP, &mut || Luck::Late(2_500));
    // Another quantity is wanted by then, which never arrives: what it shows is the first one.
    world.sell(AMZ, "2", "A", 1);
    // The looks see the old number until it lands.
    for _ in 0..10 {
        world.now += 1_000;
        world.lane(SHOP, &mut || Luck::Lost);
        world.look("A", SHOP);
    }
    assert_eq!(world.shows("A", SHOP), 7);
    // Reads are believed from two seconds after a write was given up on; the second one is the first that it shows in.
    assert_eq!(world.measured(), [(Assumption::Late, 5_000)]);
    world.quiesce();
    let late: Vec<_> = world.measured();
    assert!(late.iter().all(|(assumption, _)| *assumption == Assumption::Late), "{late:?}");
    assert_eq!(world.told(), None);
}
