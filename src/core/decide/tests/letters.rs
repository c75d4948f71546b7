//! What waits for a person: what is kept, and what a verdict lasts for.

use super::world::{ERP, SHOP, World, ch, key};
use crate::{
    core::{
        Command, Reply,
        command::{DeadLetter, Verdict},
        record::AlertKind,
    },
    model::Outcome,
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
