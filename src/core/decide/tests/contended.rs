//! A shop that sells so quickly that a lower which compares always comes too late: it goes as a delta, once.

use super::{drift::with, world::*};
use crate::{
    core::{exposure, state::ListingRef},
    model::{Outcome, Put, policy::DriftPolicy},
};

type Sending = (ListingRef, Put);

fn unknown() -> Outcome {
    Outcome::Unknown { fault: "no answer".to_owned() }
}

impl World {
    /// Takes the shop's one write.
    #[track_caller]
    fn one(&mut self) -> Sending {
        let mut work = self.take(SHOP);
        assert_eq!(work.puts.len(), 1, "{:?}", self.held("A", SHOP));
        work.puts.remove(0)
    }

    /// A write leaves, and a unit is sold before it arrives; the order is learnt, and the shop is looked at.
    fn too_late(&mut self, order: &str) {
        let (listing, put) = self.one();
        assert_eq!(put.delta, None, "it compares");
        self.now += 100;
        self.buy(SHOP, order, "A", 1);
        let outcome = self.write(SHOP, &listing, &put, Luck::Fine);
        assert_eq!(outcome, Outcome::Stale);
        self.answer(SHOP, &(listing, put), outcome);
        self.now += 100;
        self.push(SHOP, order);
        self.look("A", SHOP);
        self.now += 6_000;
    }

    /// Opens with so many, of which two are sold elsewhere while the shop sells three of them, one just before each write.
    fn rush(stock: i64) -> World {
        let mut world = World::open(&[("A", stock)]);
        world.now += 60_000;
        world.sell(AMZ, "a", "A", 2);
        for order in ["1", "2", "3"] {
            world.too_late(order);
        }
        world
    }

    #[track_caller]
    fn check_delta(&mut self, want: i64) -> Sending {
        let sending = self.one();
        assert_eq!((sending.1.delta, sending.1.compare), (Some(q(want)), None));
        sending
    }

    /// Carries out what is to be written, of which nothing is a delta.
    #[track_caller]
    fn compares(&mut self) {
        for (listing, put) in self.take(SHOP).puts {
            assert_eq!(put.delta, None, "it is never sent again: {:?}", self.held("A", SHOP));
            let outcome = self.write(SHOP, &listing, &put, Luck::Fine);
            self.answer(SHOP, &(listing, put), outcome);
        }
    }

    fn counted(&self) -> i64 {
        exposure::of(&self.held("A", SHOP).writes).expect("small").expect("it is known").units()
    }

    #[track_caller]
    fn ends_with(&mut self, units: i64) {
        self.now += SHOP_CAN.late_ms + 1_000;
        self.quiesce();
        assert!(self.all_confirmed(), "{:?}", self.held("A", SHOP));
        assert_eq!((self.available("A"), self.shows("A", SHOP)), (units, units));
        assert_eq!(self.held("A", SHOP).drift, None, "nobody else wrote");
    }
}

#[test]
fn a_lower_that_comes_too_late_three_times_goes_as_a_delta() {
    let mut world = World::rush(20);
    let (listing, put) = world.check_delta(-2);
    assert_eq!(put.quantity, q(15));
    world.now += 100;
    world.buy(SHOP, "4", "A", 1); // it comes too late for nothing
    let outcome = world.write(SHOP, &listing, &put, Luck::Fine);
    assert_eq!((&outcome, world.shows("A", SHOP)), (&Outcome::Applied, 14));
    world.answer(SHOP, &(listing, put), outcome);
    assert_eq!(world.leg("A", SHOP).contended, None, "the next one compares again");
    world.push(SHOP, "4");
    world.ends_with(14);
}

#[test]
fn with_a_sale_that_no_order_tells_of_a_lower_goes_on_comparing() {
    let mut world = World::open(&[("A", 20)]);
    world.now += 60_000;
    world.sell(AMZ, "a", "A", 4);
    for order in ["1", "2", "3", "4"] {
        let (listing, put) = world.one();
        assert_eq!(put.delta, None, "it is not known that they were sold");
        world.buy(SHOP, order, "A", 1);
        let outcome = world.write(SHOP, &listing, &put, Luck::Fine);
        world.answer(SHOP, &(listing, put), outcome);
        world.now += 200;
        if order == "4" {
            ["1", "2", "3", "4"].iter().for_each(|order| world.push(SHOP, order));
        }
        world.look("A", SHOP);
        world.now += 6_000;
    }
    let (listing, put) = world.check_delta(-4);
    let outcome = world.write(SHOP, &listing, &put, Luck::Fine);
    world.answer(SHOP, &(listing, put), outcome);
    world.ends_with(12);
}

#[test]
fn a_rival_that_writes_is_never_answered_by_a_delta() {
    let mut world = World::open_with(with(DriftPolicy::default()), &[("A", 20)]);
    world.now += 60_000;
    world.sell(AMZ, "a", "A", 2);
    for n in 0..6 {
        let work = world.take(SHOP);
        for (listing, put) in work.puts {
            assert_eq!(put.delta, None, "somebody else writes");
            let rivals = world.shows("A", SHOP) - 1 - n % 2;
            world.set_shown("A", SHOP, rivals);
            let outcome = world.write(SHOP, &listing, &put, Luck::Fine);
            world.answer(SHOP, &(listing, put), outcome);
        }
        world.now += 200;
        world.look("A", SHOP);
        world.now += 6_000;
        world.feed(SHOP);
    }
    assert!(world.held("A", SHOP).drift.is_some(), "it is named");
}

/// The answer is lost. The delta lands at once, after so long (milliseconds), or never.
#[track_caller]
fn check_unknown(luck: Luck) {
    let mut world = World::rush(20);
    let (listing, put) = world.check_delta(-2);
    world.now += 100;
    let outcome = world.write(SHOP, &listing, &put, luck);
    world.answer(SHOP, &(listing, put), outcome);
    for _ in 0..20 {
        world.compares();
        world.now += 4_000;
        world.land(SHOP);
        world.look("A", SHOP);
        world.feed(SHOP);
        assert!(world.counted() >= world.shows("A", SHOP), "{:?}", world.held("A", SHOP).writes);
    }
    world.ends_with(15);
}

#[test]
fn a_delta_without_an_answer_is_never_sent_again() {
    check_unknown(Luck::Unheard);
    check_unknown(Luck::Lost);
    check_unknown(Luck::Late(2_000));
    check_unknown(Luck::Late(20_000));
    check_unknown(Luck::Late(55_000));
}

#[test]
fn what_was_not_seen_of_a_delta_without_an_answer_is_counted() {
    let mut world = World::rush(20);
    let sending = world.check_delta(-2);
    world.answer(SHOP, &sending, unknown());
    assert_eq!(world.counted(), 17, "it may not have landed");
    world.now += 3_000;
    world.buy(SHOP, "4", "A", 2);
    world.look("A", SHOP);
    assert_eq!(world.counted(), 17, "it shows what it would make of it, and shoppers did that");
    world.now += 4_000;
    world.feed(SHOP);
    assert_eq!(world.counted(), 15);
    world.ends_with(13);
}

#[test]
fn a_restart_with_a_delta_under_way_does_not_send_it_again() {
    let mut world = World::rush(20);
    let (listing, put) = world.check_delta(-2);
    world.write(SHOP, &listing, &put, Luck::Unheard);
    world.restart();
    world.compares();
    assert_eq!(world.leg("A", SHOP).name(), "probing");
    world.ends_with(15);
}

#[test]
fn what_a_delta_frees_counts_until_a_read_shows_it() {
    let mut world = World::rush(5);
    let (listing, put) = world.check_delta(-2);
    assert_eq!(put.quantity, q(0));
    world.now += 100;
    world.buy(SHOP, "4", "A", 2);
    let outcome = world.write(SHOP, &listing, &put, Luck::Fine);
    world.answer(SHOP, &(listing, put), outcome);
    assert_eq!((world.shows("A", SHOP), world.counted()), (-2, 2), "two may have been sold in their place");
    world.now += 3_000;
    world.look("A", SHOP);
    assert_eq!((world.leg("A", SHOP).name(), world.counted()), ("confirmed", 2));
    world.now += 4_000;
    world.feed(SHOP);
    assert_eq!((world.available("A"), world.counted()), (-2, 0));
}

#[test]
fn an_order_that_the_channel_told_late_does_not_make_a_delta_too_large() {
    let mut world = World::rush(20);
    let sending = world.check_delta(-2);
    world.answer(SHOP, &sending, Outcome::NotSent { reason: "refused".to_owned() });
    world.now += 600_000;
    world.sell(SHOP, "4", "A", 1);
    let again = world.one();
    assert_eq!(again.1.delta, Some(q(-2)), "it was not sent: it may go, under another key");
    assert_ne!(again.1.key, sending.1.key);
}

#[test]
fn a_channel_that_takes_no_deltas_gets_none() {
    let mut policies = policies();
    policies.channels.get_mut(&ch(SHOP)).expect("configured").abilities.delta = false;
    let mut world = World::open_with(policies, &[("A", 20)]);
    world.now += 60_000;
    world.sell(AMZ, "a", "A", 2);
    for order in ["1", "2", "3", "4", "5"] {
        world.too_late(order);
    }
}
