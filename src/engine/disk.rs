//! The store as the ledger uses it, and what comes out of it at start.

use std::path::Path;

use tracing::{info, warn};

use crate::{
    core::{Envelope, State, apply},
    engine::{
        ledger::{Durable, Failure},
        rows::{self, Change},
    },
    model::Seq,
    store::{self, Source, Store},
};

/// A store on disk.
pub struct DiskStore(Store);

/// Why the state could not be had from a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Journal(#[from] store::journal::Error),
    #[error(transparent)]
    State(#[from] store::state::Error),
    #[error(transparent)]
    Rows(#[from] rows::Error),
    #[error("record {seq} of the journal is of version `{version}`, which this release does not know")]
    Version { seq: u64, version: u16 },
    #[error("record {seq} of the journal cannot be read by this release")]
    Record {
        seq: u64,
        #[source]
        source: serde_json::Error,
    },
}

/// Opens the store and brings the state to the end of the journal.
pub fn open(path: &Path, options: store::Options) -> Result<(State, DiskStore), Error> {
    let options = store::Options {
        state: store::state::Options { rows_version: rows::ROWS_VERSION, ..options.state },
        ..options
    };
    let (mut store, start) = Store::open(path, options)?;
    for note in &start.notes {
        warn!("{note}");
    }
    let mut state = rows::load(start.rows.map(|row| row.map_err(Error::from)))?;
    state.seq = Seq(start.applied_seq);
    let replayed = replay(&mut state, &store)?;
    let head = store.head();
    info!(seq = head.seq, head = %head.hash, replayed, from = ?start.source, "store opened");
    if start.source == Source::State {
        let dirty = state.take_dirty();
        let changes = rows::changes(&state, &dirty)?;
        if !changes.is_empty() {
            store.apply_batch(&changes, head.seq)?;
        }
    } else {
        state.dirty.clear();
        let rows = rows::all(&state)?;
        store.load(rows.into_iter().filter_map(|(key, value)| Some((key, value?))), head.seq)?;
    }
    Ok((state, DiskStore(store)))
}

/// Applies the records after what the state reflects. Returns how many there were.
fn replay(state: &mut State, store: &Store) -> Result<u64, Error> {
    let mut count = 0;
    for record in store.read_from(state.seq.0 + 1) {
        let record = record?;
        let envelope = decode(record.seq, &record.payload)?;
        apply(state, Seq(record.seq), &envelope);
        count += 1;
    }
    Ok(count)
}

/// Reads one record of the journal.
pub fn decode(seq: u64, payload: &[u8]) -> Result<Envelope, Error> {
    #[derive(serde::Deserialize)]
    struct Version {
        v: u16,
    }
    let envelope: Result<Envelope, serde_json::Error> = serde_json::from_slice(payload);
    envelope.map_err(|source| match serde_json::from_slice::<Version>(payload) {
        Ok(Version { v }) if v != crate::core::record::VERSION => Error::Version { seq, version: v },
        Ok(_) | Err(_) => Error::Record { seq, source },
    })
}

fn failure(error: &dyn std::error::Error) -> Failure {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    Failure(text)
}

impl Durable for DiskStore {
    fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), Failure> {
        self.0.append(payloads).map(drop).map_err(|e| failure(&e))
    }

    fn sync(&mut self) -> Result<(), Failure> {
        self.0.sync().map_err(|e| failure(&e))
    }

    fn apply(&mut self, changes: &[Change], seq: u64) -> Result<(), Failure> {
        self.0.apply_batch(changes, seq).map_err(|e| failure(&e))
    }

    fn checkpoint(&mut self, rows: Vec<Change>, _: u64) -> Result<(), Failure> {
        let rows = rows.into_iter().filter_map(|(key, value)| Some((key, value?)));
        self.0.checkpoint(rows).map(drop).map_err(|e| failure(&e))
    }

    fn head(&self) -> String {
        self.0.head().hash.to_string()
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.0.close_clean().map(drop).map_err(|e| failure(&e))
    }
}
