//! What must wait keeps nothing else waiting (I8).

use super::world::*;
use crate::{core::Command, model::Outcome};

/// The shop may show five more of both SKUs. Its orders were read past the cause of the one raise, and not past that of the
/// other, which has so many units and comes first or last by them.
#[track_caller]
fn check_raise(waits: i64) {
    let mut world = World::open(&[("A", 10), ("B", waits)]);
    let more = world.count_of(ERP, &[("A", 15)]);
    world.run(Command::Count(more)).expect("counted");
    world.now += 10_000;
    world.feed(SHOP);
    let more = world.count_of(ERP, &[("B", waits + 5)]);
    world.run(Command::Count(more)).expect("counted");
    assert_eq!(world.take(SHOP).quantities(), [("A".to_owned(), 15)], "B waits with {waits}");
    world.now += 10_000;
    world.feed(SHOP);
    assert_eq!(world.take(SHOP).quantities(), [("B".to_owned(), waits + 5)]);
}

#[test]
fn a_raise_whose_turn_has_not_come_keeps_no_other_waiting() {
    check_raise(3);
    check_raise(30);
}

/// A write of A had no answer, or was refused because a sale came between, while B is to be raised as well.
#[track_caller]
fn check_found_out(quantity: i64, luck: &Luck) {
    let mut world = World::open(&[("A", 10), ("B", quantity)]);
    world.buy(SHOP, "1", "A", 1);
    world.sell(AMZ, "2", "A", 2);
    world.lane(SHOP, &mut || luck.clone());
    let more = world.count_of(ERP, &[("B", quantity + 5)]);
    world.run(Command::Count(more)).expect("counted");
    world.now += 10_000;
    world.feed(SHOP);
    let puts = world.take(SHOP).quantities();
    assert!(puts.contains(&("B".to_owned(), quantity + 5)), "{luck:?}: {puts:?}");
}

#[test]
fn a_listing_of_which_it_is_found_out_what_it_shows_keeps_no_other_waiting() {
    for quantity in [3, 30] {
        check_found_out(quantity, &Luck::Fine);
        check_found_out(quantity, &Luck::Lost);
    }
}

/// Both failed and are tried again; the orders were read past the cause of the one alone.
#[track_caller]
fn check_retried(waits: &str, other: &str) {
    let mut world = World::open(&[("A", 10), ("B", 10)]);
    world.run(Command::Count(world.count_of(ERP, &[("A", 15), ("B", 15)]))).expect("counted");
    world.now += 10_000;
    world.feed(SHOP);
    let work = world.take(SHOP);
    assert_eq!(work.puts.len(), 2);
    for put in &work.puts {
        world.answer(SHOP, put, Outcome::Throttled { retry_after_ms: 1_000 });
    }
    world.run(Command::Count(world.count_of(ERP, &[(waits, 16)]))).expect("counted");
    world.now += 1_000;
    assert_eq!(world.take(SHOP).quantities(), [(other.to_owned(), 15)], "{waits} waits");
}

#[test]
fn one_that_is_tried_again_and_must_wait_keeps_no_other_waiting() {
    check_retried("A", "B");
    check_retried("B", "A");
}
