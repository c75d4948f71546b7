//! What waits for a person: what is kept, and what a verdict lasts for.

use super::world::{AMZ, ERP, Luck, SHOP, World, ch, key, totals};
use crate::{
    core::{
        Command, Reply,
        command::{DeadLetter, Verdict},
        leg::State,
        posting::Step,
        record::AlertKind,
    },
    model::{CatalogueItem, Outcome, Totals},
};

const STOCK: [(&str, i64); 4] = [("A", 5), ("B", 5), ("C", 5), ("D", 5)];

/// Counts these one after the other -> the numbers of lines of the counts that are held in the end.
#[track_caller]
fn check(counts: &[&[(&str, i64)]], want: &[usize]) {
    let mut world = World::open(&STOCK);
    for lines in counts {
        let reply = world.run(Command::Count(world.count_of(ERP, lines))).expect("counted");
        assert!(matches!(reply, Reply::Counted { changed: 0, .. }), "{reply:?}");
    }
    let held: Vec<usize> = world.state.held.values().map(|held| held.lines.len()).collect();
    assert_eq!(held, want, "{counts:?}");
}

#[test]
fn what_a_held_count_says_already_is_not_held_again() {
    let few = [("A", 0), ("B", 0), ("C", 0)];
    let all = [("A", 0), ("B", 0), ("C", 0), ("D", 5)];
    let other = [("A", 0), ("B", 0), ("D", 0)];
    check(&[&few, &few], &[3]);
    // A read of everything takes the place of a part...
    check(&[&few, &all], &[4]);
    // ...and a part of it says nothing new.
    check(&[&all, &few], &[4]);
    check(&[&few, &other], &[3, 3]);
}

#[test]
fn a_held_count_that_is_outdated_in_part_says_that_part_no_more() {
    let zeros = [("A", 0), ("B", 0), ("C", 0)];
    let mut world = World::open(&STOCK);
    for lines in [&zeros[..], &[("A", 4)], &zeros] {
        world.run(Command::Count(world.count_of(ERP, lines))).expect("counted");
    }
    assert_eq!(world.stock("A")[0], 4);
    let held: Vec<_> = world.state.held.keys().copied().collect();
    let [id] = held[..] else { panic!("one is held: {held:?}") };
    let release = Command::Dead { letter: DeadLetter::Count(id), verdict: Verdict::Retry };
    world.run(release).expect("released");
    let left: Vec<i64> = STOCK.iter().map(|(of, _)| world.stock(of)[0]).collect();
    assert_eq!(left, [0, 0, 0, 5]);
}

/// The counter corrects some of what is held, so that the rest would pass the brake by itself.
#[test]
fn what_is_left_of_a_held_count_waits_for_a_person_all_the_same() {
    let mut world = World::open(&STOCK);
    let zeros = [("A", 0), ("B", 0), ("C", 0)];
    let on_hand = |world: &World| ["A", "B", "C", "D"].map(|of| world.stock(of)[0]);
    let before = on_hand(&world);
    world.run(Command::Count(world.count_of(ERP, &zeros))).expect("counted");
    let [a, b, c, d] = before;
    // It has B and C by now, and one more; and D, which was not held, has one less.
    for _ in 0..2 {
        let lines = [("A", 0), ("B", b + 1), ("C", c), ("D", d - 1)];
        world.run(Command::Count(world.count_of(ERP, &lines))).expect("counted");
        assert_eq!(on_hand(&world), [a, b + 1, c, d - 1]);
        assert_eq!(world.state.held.len(), 1, "a person is asked still");
    }
    let id = *world.state.held.keys().next().expect("one is held");
    let letter = DeadLetter::Count(id);
    world.run(Command::Dead { letter, verdict: Verdict::Retry }).expect("a person means it");
    assert_eq!((on_hand(&world), world.state.held.len()), ([0, b + 1, c, d - 1], 0));
}

#[test]
fn a_held_count_that_later_ones_have_told_of_as_a_whole_asks_nobody_any_more() {
    let mut world = World::open(&STOCK);
    world.run(Command::Count(world.count_of(ERP, &[("A", 0), ("B", 0), ("C", 0)]))).expect("counted");
    world.run(Command::Tick).expect("ticked");
    let brakes = |world: &World| {
        let firing = world.state.alerts.iter().filter(|(_, alert)| alert.firing);
        firing.filter(|(key, _)| key.kind == AlertKind::Brake).count()
    };
    assert_eq!((world.state.held.len(), brakes(&world)), (1, 1));
    for (lines, left) in [([("A", 4)].as_slice(), 1), (&[("B", 5), ("C", 5)], 0)] {
        world.run(Command::Count(world.count_of(ERP, lines))).expect("counted");
        assert_eq!(world.state.held.len(), left);
    }
    world.run(Command::Tick).expect("ticked");
    assert_eq!((brakes(&world), world.stock("A")[0], world.stock("B")[0]), (0, 4, 5));
}

#[test]
fn a_posting_that_was_given_up_stays_so_until_its_order_changes() {
    let mut world = World::open(&STOCK);
    world.sell(SHOP, "1", "A", 2);
    let posting = world.postings().pop().expect("one is due");
    world.posted(&posting, Outcome::Rejected { reason: "no such customer".to_owned() });
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("discarded");
    world.now += 10_000;
    world.feed(SHOP);
    world.change(SHOP, "1", [2, 0, 0, 0, 0], 0);
    world.feed(SHOP);
    world.push(SHOP, "1");
    assert_eq!(world.postings(), []);
    world.now += 10_000;
    world.change(SHOP, "1", [2, 0, 0, 1, 0], 0);
    world.feed(SHOP);
    assert_eq!(world.postings().len(), 1);
}

/// Two were sold and shipped, which the ERP refuses to take in and a person gives up. `found`: whether a look has told what it has of
/// them.
fn given_up(found: bool) -> World {
    let mut world = World::open(&[("A", 10), ("B", 10)]);
    world.sell(SHOP, "1", "A", 2);
    world.now += 1_000;
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    let posting = world.postings().pop().expect("one is due");
    let found = found.then(|| vec![Totals::default(); posting.lines.len()]);
    world.posted_and_found(&posting, Outcome::Rejected { reason: "no such customer".to_owned() }, found);
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("discarded");
    world
}

fn dropped(world: &World) -> bool {
    world.state.orders[&key(SHOP, "1")].posting(&ch(ERP)).expect("it was told").step == Step::Dropped
}

#[test]
fn what_a_person_gave_up_telling_an_erp_is_not_put_back_on_sale_by_its_counts() {
    for found in [true, false] {
        // Not booked by hand; booked by hand, in two parts; and then as everything else.
        for counts in [&[(10, 8), (10, 8)][..], &[(10, 8), (9, 8), (8, 8), (10, 10)], &[(8, 8), (9, 9)]] {
            let mut world = given_up(found);
            for (units, want) in counts {
                world.now += 1_000;
                world.run(Command::Count(world.count_of(ERP, &[("A", *units)]))).expect("counted");
                assert_eq!(world.stock("A"), [*want, 0, 0], "{found} {units} of {counts:?}");
                world.index_is_true();
            }
            assert!(dropped(&world) && world.postings().is_empty());
        }
    }
}

#[test]
fn what_was_given_up_and_is_booked_by_hand_can_be_said_to_be_and_is_done_with() {
    use crate::core::decide::prune::is_finished;
    let is = |world: &World| is_finished(&key(SHOP, "1"), &world.state.orders[&key(SHOP, "1")]);
    let mut world = given_up(true);
    assert!(!is(&world), "its units are still on the books of the ERP");
    world.now += 1_000;
    world.run(Command::Count(world.count_of(ERP, &[("A", 8)]))).expect("counted");
    assert!(is(&world));
    // Two came in meanwhile, so that no count shows it.
    let mut world = given_up(true);
    let count = |world: &mut World| {
        world.now += 1_000;
        world.run(Command::Count(world.count_of(ERP, &[("A", 10)]))).expect("counted");
        world.stock("A")[0]
    };
    assert_eq!(count(&mut world), 8);
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("it is there");
    assert_eq!((count(&mut world), is(&world)), (10, true));
}

#[test]
fn what_becomes_of_an_order_after_it_was_given_up_is_posted_whole() {
    for booked in [true, false] {
        let mut world = given_up(true);
        world.now += 1_000;
        let units = if booked { 8 } else { 10 };
        world.run(Command::Count(world.count_of(ERP, &[("A", units)]))).expect("counted");
        world.now += 1_000;
        world.change(SHOP, "1", [2, 0, 0, 2, 1], 1);
        world.push(SHOP, "1");
        assert_eq!(world.stock("A"), [9, 0, 0]);
        let posting = world.postings().pop().expect("one is due");
        assert_eq!(posting.lines[0].target, totals([2, 0, 0, 2, 1]));
    }
}

/// A channel that puts a write off may have taken the listing off its shelves meanwhile.
#[test]
fn what_was_put_off_while_its_listing_became_unwritable_is_a_dead_letter() {
    for outcome in
        [Outcome::Throttled { retry_after_ms: 1_000 }, Outcome::Unauthorized { reason: "403".into() }]
    {
        let mut world = World::open(&STOCK);
        world.sell(AMZ, "1", "A", 3);
        let work = world.take(SHOP);
        assert_eq!(work.quantities(), [("A".into(), 2)]);
        let unwritable = Some("it is not stocked there".to_owned());
        let gone = CatalogueItem { unwritable, ..World::item(SHOP, "A") };
        world.catalogue(SHOP, vec![gone.clone()]);
        world.answer(SHOP, &work.puts[0], outcome);
        world.now += 600_000;
        world.catalogue(SHOP, vec![gone]);
        let leg = world.leg("A", SHOP);
        assert!(matches!(leg.state, State::Parked { .. }), "{:?}", leg.state);
        // It goes on where it can be written again.
        world.catalogue(SHOP, vec![World::item(SHOP, "A")]);
        world.quiesce();
        assert_eq!(world.shows("A", SHOP), 2);
    }
}

/// The answer left open what became of the write: after the look that tells, nothing may be sent any more.
#[test]
fn what_was_to_be_looked_at_while_its_listing_became_unwritable_is_a_dead_letter() {
    for outcome in [Outcome::Unknown { fault: "it broke off".into() }, Outcome::Stale] {
        let mut world = World::open(&STOCK);
        world.sell(AMZ, "1", "A", 3);
        let work = world.take(SHOP);
        let unwritable = Some("it is not stocked there".to_owned());
        world.catalogue(SHOP, vec![CatalogueItem { unwritable, ..World::item(SHOP, "A") }]);
        world.answer(SHOP, &work.puts[0], outcome.clone());
        for _ in 0..40 {
            world.now += 1_000;
            world.lane(SHOP, &mut || Luck::Fine);
            world.feed(SHOP);
            world.run(Command::Tick).expect("ticks");
        }
        let state = &world.leg("A", SHOP).state;
        let parked = matches!(state, State::Parked { reason, .. } if &**reason == "it is not stocked there");
        assert!(parked, "{outcome:?}: {state:?}");
        let letter = world.state.alerts.keys().any(|key| key.kind == AlertKind::DeadLetters);
        assert!(letter, "{:?}", world.state.alerts);
    }
}
