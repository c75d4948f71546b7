//! A store that has lived: the newest golden journal, written again record by record, with the state beside it,
//! checkpoints on the way, and an archive.

use std::{
    fs,
    path::{Path, PathBuf},
};

use evenkeel::{
    core::{State, apply},
    engine::{disk, rows},
    model::Seq,
    store::{self, Store, journal},
};
use tempfile::TempDir;

use super::quick_dir;
use crate::golden::told::told;

/// Groups between two checkpoints.
const CHECKPOINT: usize = 150;

/// The store, and what it adds up to.
pub(super) struct History {
    pub(super) dir: TempDir,
    pub(super) told: String,
    /// Its last record.
    pub(super) seq: u64,
}

/// How its last process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Stopped,
    Killed,
}

pub(super) fn options() -> store::Options {
    let journal = journal::Options { segment_bytes: 16_000, ..journal::Options::default() };
    let state = store::state::Options { rows_version: rows::ROWS_VERSION, ..Default::default() };
    store::Options { journal, state, ..store::Options::default() }
}

/// Returns the payloads of the newest golden journal.
pub(super) fn payloads() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/store");
    let mut goldens: Vec<PathBuf> =
        fs::read_dir(root).expect("it is there").map(|entry| entry.expect("readable").path()).collect();
    goldens.sort();
    let newest = goldens.pop().expect("there is one");
    let mut payloads = Vec::new();
    store::verify_journal(&newest, None, &mut |record| payloads.push(record.payload)).expect("it is whole");
    payloads
}

impl History {
    pub(super) fn write(ended: Ended) -> History {
        let dir = quick_dir();
        let (mut store, _) = Store::open(dir.path(), options()).expect("a new store");
        let mut state = State::default();
        store.load(std::iter::empty::<Result<_, store::state::Error>>(), 0).expect("an empty state");
        for (n, payload) in payloads().into_iter().enumerate() {
            store.append(&[&payload]).expect("appended");
            store.sync().expect("synced");
            let seq = store.head().seq;
            apply(&mut state, Seq(seq), &disk::decode(seq, &payload).expect("a record of ours"));
            let dirty = state.take_dirty();
            store.apply_batch(&rows::changes(&state, &dirty).expect("rows"), seq).expect("applied");
            if n % CHECKPOINT == CHECKPOINT - 1 {
                store.checkpoint(rows::all(&state).expect("rows").into_iter().map(whole)).expect("written");
                store.archiver().run().expect("archived");
            }
        }
        match ended {
            Ended::Stopped => drop(store.close_clean().expect("closed")),
            Ended::Killed => drop(store),
        }
        let told = told(&state);
        History { dir, told, seq: state.seq.0 }
    }

    /// Returns every file of it, by its path below the store's directory.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(self.dir.path(), self.dir.path(), &mut files);
        files.sort();
        files
    }
}

fn whole((key, value): rows::Change) -> (Vec<u8>, Vec<u8>) {
    (key, value.expect("all rows are there"))
}

fn walk(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).expect("below it").to_path_buf());
        }
    }
}
