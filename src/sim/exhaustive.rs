//! Every interleaving of a small world: one SKU of a few units on two channels, and the real core.
//!
//! Where the simulator draws what happens, this goes through all of it: sales, cancellations that a channel restocks by itself,
//! webhooks and feeds, writes that land at once, late, in another order or never, answers that are lost, reads that are old by the
//! time they are in. Each state is met once ([`same`]); in each the rules of [`holds`] must hold, and from the last of every way,
//! and from some on the way, everything must come to rest at what is there. docs/TESTING.md tells what it found.

mod holds;
mod market;
mod model;
mod same;
mod search;

use model::{BLIND, Broken, COMPARES, Left, Model};
use search::{Found, kind, search, story};

use crate::model::Abilities;

const BOTH_COMPARE: [Abilities; 2] = [COMPARES, COMPARES];
const BOTH_BLIND: [Abilities; 2] = [BLIND, BLIND];
const ONE_OF_EACH: [Abilities; 2] = [COMPARES, BLIND];

/// A moment: longer than clocks may differ, and than a blind channel takes to show what it took.
const MOMENT_MS: i64 = 6_000;
/// So long that nothing given up before it can land any more.
const LATE_MS: i64 = 61_000;
/// How many states of a world that is too large for every commit are met; `EVENKEEL_MODEL_STATES` says otherwise.
const STATES: usize = 2_000;
/// From one state of so many everything is let come to rest.
const RESTS: u128 = 128;

fn states() -> usize {
    let asked = std::env::var("EVENKEEL_MODEL_STATES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(STATES)
}

fn left([sales, cancels, lost, glances, moments, lates]: [u8; 6]) -> Left {
    Left { sales, cancels, lost, glances, pass: vec![(MOMENT_MS, moments), (LATE_MS, lates)] }
}

/// Goes through a world of two units in which so many are sold, cancelled, answers lost, unasked reads, moments and long whiles.
#[track_caller]
fn check(channels: [Abilities; 2], times: [u8; 6], most: usize) -> Found {
    check_from(&Model::new(&channels, 2, left(times)), times, most)
}

#[track_caller]
fn check_from(start: &Model, times: [u8; 6], most: usize) -> Found {
    let found = search(start, most, RESTS);
    println!(
        "{times:?}: {} states, {} came to rest, {} steps at most",
        found.states, found.rested, found.depth
    );
    if let Some(counter) = &found.broken {
        panic!("{}", story(start, counter));
    }
    found
}

#[track_caller]
fn check_whole(channels: [Abilities; 2], times: [u8; 6]) {
    assert!(check(channels, times, usize::MAX).whole);
}

#[test]
fn small_worlds_hold_in_every_interleaving() {
    check_whole(BOTH_COMPARE, [1, 0, 1, 0, 0, 1]);
    check_whole(ONE_OF_EACH, [1, 0, 1, 0, 0, 1]);
    check_whole(BOTH_BLIND, [1, 0, 1, 0, 0, 1]);
}

/// The first lower of each channel that compares goes as a delta, as if it had come too late three times.
#[test]
fn worlds_with_deltas_hold() {
    let worlds = [
        (BOTH_COMPARE, [1, 0, 1, 0, 0, 1]),
        (BOTH_COMPARE, [2, 0, 1, 0, 0, 1]),
        (BOTH_COMPARE, [2, 1, 1, 0, 0, 1]),
        (ONE_OF_EACH, [2, 0, 1, 0, 0, 1]),
    ];
    for (channels, times) in worlds {
        let start = Model::new(&channels, 2, left(times)).contended();
        check_from(&start, times, states());
    }
}

/// Worlds too large for every commit: as much of them as is asked for.
#[test]
fn larger_worlds_hold_as_far_as_they_are_searched() {
    let worlds =
        [[2, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 1], [2, 0, 1, 0, 1, 1], [2, 1, 1, 0, 0, 0], [2, 1, 0, 1, 1, 0]];
    for times in worlds {
        for channels in [BOTH_COMPARE, ONE_OF_EACH, BOTH_BLIND] {
            check(channels, times, states());
        }
    }
}

/// Breaks a rule on purpose: the search must find what comes of it, on channels of one kind or another.
#[track_caller]
fn check_broken(broken: Broken, times: [u8; 6], want: &str) {
    let found = [ONE_OF_EACH, BOTH_BLIND, BOTH_COMPARE].into_iter().find_map(|channels| {
        let start = Model { broken, ..Model::new(&channels, 2, left(times)) };
        let found = search(&start, 20_000, u128::MAX);
        let counter = found.broken?;
        Some((story(&start, &counter), counter.why, found.states))
    });
    let (story, why, states) = found.expect("a broken rule shows");
    println!("{broken:?}: {states} states\n{story}");
    assert_eq!(kind(&why), want, "{story}");
}

#[test]
fn a_broken_rule_is_found() {
    check_broken(Broken::ReadBackSettles, [2, 0, 1, 0, 1, 0], "exposure");
    check_broken(Broken::UnknownSettles, [1, 1, 1, 0, 0, 1], "exposure");
    check_broken(Broken::FeedUnread, [2, 0, 1, 0, 0, 1], "exposure");
}

/// Open: on a channel that compares, a read that shows what was written without an answer is taken for the write although a shopper
/// made it so. What is counted may then be too little until the orders are read and the listing is looked at again. Who mends it
/// takes `mistaken` out of the model.
#[test]
fn a_sale_that_is_taken_for_a_write_is_counted_too_little() {
    let start = Model { strict: true, ..Model::new(&BOTH_COMPARE, 2, left([2, 0, 1, 0, 0, 0])) };
    let counter = search(&start, 500_000, u128::MAX).broken.expect("it is still open");
    println!("{}", story(&start, &counter));
    assert_eq!(kind(&counter.why), "exposure", "{}", story(&start, &counter));
}
