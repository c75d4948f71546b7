//! A fresh state takes the place of the one in use while everything goes on.

use std::{path::Path, time::Duration};

use super::checkpoint::{all, on_disk, orders};
use crate::{
    core::{Command, State},
    engine::{disk, ledger::Ledger},
    model::Seq,
    store,
    web::tests::world::channel,
};

async fn read(ledger: &Ledger, from: u64) {
    let orders = orders(from..from + 3);
    let read = Command::Orders { channel: channel("main"), begun: Seq(1), orders };
    let answered = tokio::time::timeout(Duration::from_secs(30), ledger.submit(read)).await;
    answered.expect("it is answered").expect("taken");
}

/// Stops the ledger, and returns what it held.
async fn stop(ledger: &Ledger) -> State {
    let state = ledger.read(State::clone).await.expect("it answers");
    ledger.stop().await;
    while ledger.read(|_| ()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    state
}

/// Opens what was left, which must be a state that is trusted, and as new as the journal.
fn left(path: &Path, state: &State) {
    let wait = || store::Store::open(path, options());
    let opened = (0..500).find_map(|_| {
        let opened = wait();
        // The ledger's thread lets go of the store a little after it has answered.
        if opened.is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        opened.ok()
    });
    let (_store, start) = opened.expect("it opens");
    assert_eq!((start.source, start.applied_seq), (store::Source::State, state.seq.0), "{:?}", start.notes);
    let mut rows: Vec<store::Row> = start.rows.map(|row| row.expect("whole")).collect();
    rows.sort();
    assert!(rows == all(state), "the rows are those of the state");
}

fn options() -> store::Options {
    let rows_version = crate::engine::rows::ROWS_VERSION;
    let state = store::state::Options { rows_version, ..Default::default() };
    store::Options { state, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_change_while_the_state_is_swapped_are_in_the_fresh_one() {
    let (ledger, dir) = on_disk();
    let built = || store::footprint(dir.path()).built.expect("it was built").0;
    for round in 0..3_u64 {
        let before = built();
        let asked = ledger.clone();
        let swapped = tokio::spawn(async move { asked.swap().await });
        let mut n = 10_000 * (round + 1);
        while !swapped.is_finished() {
            read(&ledger, n).await;
            n += 3;
        }
        swapped.await.expect("no panic").expect("it runs").expect("swapped");
        assert!(built() > before, "round {round}");
        read(&ledger, n).await;
    }
    let state = stop(&ledger).await;
    left(dir.path(), &state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_a_checkpoint_while_the_state_is_swapped_gets_one() {
    let (ledger, dir) = on_disk();
    let (one, two) = (ledger.clone(), ledger.clone());
    let swapped = tokio::spawn(async move { one.swap().await });
    let again = tokio::spawn(async move { two.swap().await });
    read(&ledger, 5_000).await;
    let head = ledger.checkpoint().await.expect("it runs").expect("written");
    assert!(head.seq > 2, "as of the end when it was asked for: {}", head.seq);
    for swapped in [swapped, again] {
        swapped.await.expect("no panic").expect("it runs").expect("swapped");
    }
    let state = stop(&ledger).await;
    left(dir.path(), &state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_that_fails_is_told_and_the_state_goes_on() {
    let (ledger, dir) = on_disk();
    std::fs::write(dir.path().join("state.new"), "in the way").expect("written");
    let failed = ledger.swap().await.expect("it runs").expect_err("it cannot be built");
    assert!(failed.to_string().contains("state.new"), "{failed}");
    read(&ledger, 5_000).await;
    std::fs::remove_file(dir.path().join("state.new")).expect("out of the way");
    ledger.swap().await.expect("it runs").expect("swapped");
    let state = stop(&ledger).await;
    left(dir.path(), &state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_stops_in_the_middle_of_a_swap_leaves_a_state_that_is_trusted() {
    let (ledger, dir) = on_disk();
    for wait in [0_u64, 5, 40, 200] {
        let asked = ledger.clone();
        drop(tokio::spawn(async move { asked.swap().await }));
        tokio::time::sleep(Duration::from_millis(wait)).await;
        read(&ledger, 5_000 + wait).await;
    }
    let state = stop(&ledger).await;
    drop(ledger);
    left(dir.path(), &state);
    assert!(disk::read(dir.path(), options()).is_ok_and(|again| all(&again) == all(&state)));
}
