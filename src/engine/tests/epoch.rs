//! When a store begins a new epoch: whenever its state was not there to go on with.

use std::path::Path;

use crate::{
    core::{Command, State, decide},
    engine::{
        disk::{self, DiskStore},
        ledger::{Durable, encode},
    },
    model::{Seq, Timestamp},
    store,
    web::tests::world::policies,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn open(path: &Path, seconds: i64) -> (State, DiskStore) {
    disk::open(path, store::Options::default(), at(seconds)).expect("it opens")
}

fn run(state: &mut State, store: &mut DiskStore, command: Command) {
    let envelope = decide(state, command, at(50)).0.expect("something to record");
    store.append(&[encode(&envelope)]).expect("appended");
    store.sync().expect("synced");
}

/// A store with a little history, closed cleanly, in epoch 100.
fn closed(path: &Path) {
    let (mut state, mut store) = open(path, 100);
    assert_eq!((state.epoch, state.seq), (0, Seq::ZERO), "a new store: the daemon begins its first epoch");
    run(&mut state, &mut store, Command::Configure(Box::new(policies())));
    run(&mut state, &mut store, Command::Start { epoch: 100 });
    Box::new(store).close().expect("closed");
}

/// Copies journal and checkpoints, as OPERATIONS.md says.
fn back_up(from: &Path, to: &Path) {
    for dir in ["journal", "checkpoints"] {
        let Ok(files) = std::fs::read_dir(from.join(dir)) else { continue };
        std::fs::create_dir_all(to.join(dir)).expect("a directory");
        for file in files {
            let file = file.expect("readable");
            std::fs::copy(file.path(), to.join(dir).join(file.file_name())).expect("copied");
        }
    }
}

#[test]
fn a_state_that_goes_on_keeps_its_epoch() {
    let dir = tempfile::tempdir().expect("a directory");
    closed(dir.path());
    let (state, store) = open(dir.path(), 200);
    assert_eq!((state.epoch, state.seq), (100, Seq(2)));
    // As after a kill.
    drop(store);
    assert_eq!(open(dir.path(), 300).0.epoch, 100);
}

#[test]
fn a_backup_begins_an_epoch_of_its_own_each_time_that_it_is_restored() {
    let (dir, first, second) = (
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("two"),
        tempfile::tempdir().expect("three"),
    );
    closed(dir.path());
    back_up(dir.path(), first.path());
    back_up(dir.path(), second.path());
    let (state, store) = open(first.path(), 200);
    assert_eq!((state.epoch, state.seq), (200, Seq(3)));
    Box::new(store).close().expect("closed");
    assert_eq!(open(first.path(), 250).0.epoch, 200, "once for each restore");
    assert_eq!(open(second.path(), 300).0.epoch, 300);
}

#[test]
fn a_crash_before_the_new_state_is_whole_cannot_bring_the_old_epoch_back() {
    let dir = tempfile::tempdir().expect("a directory");
    closed(dir.path());
    for (round, seconds) in [200_u32, 300].into_iter().enumerate() {
        std::fs::remove_dir_all(dir.path().join("state")).expect("it is there");
        let (state, store) = open(dir.path(), i64::from(seconds));
        drop(store);
        assert_eq!((state.epoch, state.seq), (seconds, Seq(3 + round as u64)));
        let again = disk::read(dir.path(), store::Options::default()).expect("it opens");
        assert_eq!((again.epoch, again.seq), (state.epoch, state.seq), "it is in the journal");
    }
}

#[test]
fn a_rebuild_by_hand_may_give_records_up_and_so_begins_an_epoch() {
    let dir = tempfile::tempdir().expect("a directory");
    closed(dir.path());
    let options = store::Options { force_rebuild: true, ..store::Options::default() };
    let (state, store) = disk::open(dir.path(), options, at(200)).expect("it opens");
    assert_eq!(state.epoch, 200);
    Box::new(store).close().expect("closed");
    assert_eq!(open(dir.path(), 300).0.epoch, 200);
}
