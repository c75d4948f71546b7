//! Counts that the brake holds.

use super::world::{ERP, World};
use crate::core::{Command, Reply};

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
