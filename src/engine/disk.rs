//! The store as the ledger uses it, and what comes out of it at start.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::{error, info, warn};

use crate::{
    core::{Command, Envelope, State, apply, decide},
    engine::{
        checkpoint::{Spool, Versions},
        ledger::{Durable, Failure, encode},
        rows::{self, Change},
    },
    model::{Seq, Timestamp},
    store::{self, Checkpoints, Head, Source, Store},
};

/// A store on disk.
pub struct DiskStore {
    store: Store,
    /// The last append failed for want of room.
    no_room: bool,
    path: PathBuf,
    /// The record that the rows of the state reflect.
    applied: Seq,
}

/// A checkpoint that is on its way to disk.
struct DiskSpool {
    versions: Versions<File>,
    checkpoints: Checkpoints,
    archiver: store::Archiver,
}

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
    #[error("`{}` could not be removed", path.display())]
    Marker {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("record {seq} of the journal cannot be read by this release")]
    Record {
        seq: u64,
        #[source]
        source: serde_json::Error,
    },
}

/// Opens the store and brings the state to the end of the journal.
///
/// A state that was not there to go on with, and had to be built, may come from a backup: what the channels show, and
/// which keys were used after that backup, is not known. So it begins a new epoch, in the journal before anything else.
pub fn open(path: &Path, options: store::Options, now: Timestamp) -> Result<(State, DiskStore), Error> {
    let (mut state, mut store, source) = bring_up(path, options)?;
    if source == Source::State {
        let dirty = state.take_dirty();
        let changes = rows::changes(&state, &dirty)?;
        if !changes.is_empty() {
            store.apply_batch(&changes, state.seq.0)?;
        }
    } else {
        if state.seq > Seq::ZERO {
            begin_epoch(&mut state, &mut store, path, now)?;
        }
        state.dirty.clear();
        store.load(rows::each(&state).map(|row| row.map_err(Error::from)), state.seq.0)?;
    }
    let applied = state.seq;
    Ok((state, DiskStore { store, no_room: false, path: path.to_path_buf(), applied }))
}

/// Returns what the oldest checkpoint holds to which a journal that begins with `first_seq` reaches back, and the head
/// that it was made at.
pub fn base(path: &Path, first_seq: u64) -> Result<Option<(Head, State)>, Error> {
    let Some((head, rows)) = store::oldest_base(path, rows::ROWS_VERSION, first_seq)? else {
        return Ok(None);
    };
    let mut state = rows::load(rows.map(|row| row.map_err(Error::from)))?;
    (state.seq, state.dirty) = (Seq(head.seq), Default::default());
    Ok(Some((head, state)))
}

/// Reads what a store adds up to, and leaves it as a daemon that died would. For tests and tools, on a copy.
pub fn read(path: &Path, options: store::Options) -> Result<State, Error> {
    let (mut state, _, _) = bring_up(path, options)?;
    state.dirty.clear();
    Ok(state)
}

/// Opens the store and replays the journal on the rows that it opens with. The rows touched are noted.
fn bring_up(path: &Path, options: store::Options) -> Result<(State, Store, Source), Error> {
    let options = store::Options {
        state: store::state::Options { rows_version: rows::ROWS_VERSION, ..options.state },
        ..options
    };
    let (store, start) = Store::open(path, options)?;
    for note in &start.notes {
        warn!("{note}");
    }
    let mut state = rows::load(start.rows.map(|row| row.map_err(Error::from)))?;
    state.seq = Seq(start.applied_seq);
    let replayed = replay(&mut state, &store)?;
    let head = store.head();
    info!(seq = head.seq, head = %head.hash, replayed, from = ?start.source, "store opened");
    Ok((state, store, start.source))
}

/// Begins a new epoch. A store that was restored from a backup is kept from writing in the same breath.
fn begin_epoch(state: &mut State, store: &mut Store, path: &Path, now: Timestamp) -> Result<(), Error> {
    let epoch = state.next_epoch(now);
    let marker = path.join(store::backup::RESTORED);
    let restored = marker.exists();
    let mut commands = vec![Command::Start { epoch }];
    commands.extend(restored.then_some(Command::Restored));
    let envelopes = commands.into_iter().filter_map(|command| decide(state, command, now).0);
    let payloads: Vec<Vec<u8>> = envelopes.map(|envelope| encode(&envelope)).collect();
    store.append(&payloads)?;
    store.sync()?;
    if restored {
        fs::remove_file(&marker).map_err(|source| Error::Marker { path: marker.clone(), source })?;
        warn!("the store was restored: nothing is written to any channel until `evenkeel resume --live`");
    }
    warn!(
        epoch,
        "the state was built anew: what the channels show is looked at, and their orders are read, before anything is raised"
    );
    Ok(())
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
    let ours = crate::core::record::VERSION;
    match envelope {
        Ok(envelope) if envelope.version > ours => Err(Error::Version { seq, version: envelope.version }),
        Ok(envelope) => Ok(envelope),
        Err(source) => Err(match serde_json::from_slice::<Version>(payload) {
            Ok(Version { v }) if v > ours => Error::Version { seq, version: v },
            Ok(_) | Err(_) => Error::Record { seq, source },
        }),
    }
}

impl DiskStore {
    /// Reads the state's rows and replays the journal on them; without a state, replays all of the journal.
    fn reread(&mut self) -> Result<State, Error> {
        let mut state = State::default();
        if self.store.has_state() {
            state = rows::load(self.store.scan_prefix(&[])?.map(|row| row.map_err(Error::from)))?;
            state.seq = self.applied;
        }
        replay(&mut state, &self.store)?;
        Ok(state)
    }
}

/// Makes a file that is gone when it is closed, or when the process dies.
fn nameless(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    fs::remove_file(path)?;
    Ok(file)
}

/// Returns how old the newest checkpoint of a store is. `None`: there is none.
pub fn checkpoint_age(path: &Path) -> Option<Duration> {
    let ages = fs::read_dir(path.join("checkpoints")).ok()?.flatten().filter_map(|file| {
        let named = file.file_name().to_string_lossy().starts_with("checkpoint-");
        let written = file.metadata().ok()?.modified().ok().filter(|_| named)?;
        // One of a time to come is as good as new.
        Some(written.elapsed().unwrap_or_default())
    });
    ages.min()
}

/// Archives what the checkpoint has made unnecessary. What cannot be archived stays where it is.
fn archive(archiver: &store::Archiver) {
    match archiver.run() {
        Ok(archived) => {
            for store::Archived { file, first_seq, last, bytes } in archived {
                let (from, to) = bytes;
                info!(
                    first_seq, seq = last.seq, head = %last.hash, from, to, file = %file.display(),
                    "journal segment archived"
                );
            }
        }
        Err(e) => {
            error!(failure = %Failure::of(&e), "the journal could not be archived: it stays as it is, and grows")
        }
    }
}

impl Spool for DiskSpool {
    fn put(&mut self, changes: &[Change], again: bool) -> Result<(), Failure> {
        self.versions.put(changes, again).map_err(|e| Failure::of(&e))
    }

    fn finish(self: Box<Self>, head: Head) -> Result<(), Failure> {
        let rows = self.versions.rows().map_err(|e| Failure::of(&e))?;
        self.checkpoints.try_write(head, rows).map_err(|e| Failure::of(&e))?;
        archive(&self.archiver);
        Ok(())
    }
}

impl Durable for DiskStore {
    fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), Failure> {
        let appended = self.store.append(payloads);
        self.no_room = matches!(appended, Err(store::journal::Error::NoRoom(_)));
        appended.map(drop).map_err(|e| Failure::of(&e))
    }

    fn waits_for_room(&self) -> bool {
        self.no_room
    }

    fn sync(&mut self) -> Result<(), Failure> {
        self.store.sync().map_err(|e| Failure::of(&e))
    }

    fn apply(&mut self, changes: &[Change], seq: u64) -> Result<(), Failure> {
        self.store.apply_batch(changes, seq).map_err(|e| Failure::of(&e))?;
        self.applied = Seq(seq);
        Ok(())
    }

    fn spool(&mut self) -> Result<Box<dyn Spool>, Failure> {
        let file = nameless(&self.path.join("checkpoint.spool"))
            .map_err(|e| Failure(format!("the spool of a checkpoint could not be made: {e}")))?;
        Ok(Box::new(DiskSpool {
            versions: Versions::new(file),
            checkpoints: self.store.checkpoints(),
            archiver: self.store.archiver(),
        }))
    }

    fn head(&self) -> Head {
        self.store.head()
    }

    fn read_back(&mut self) -> Result<State, Failure> {
        self.reread().map_err(|e| Failure::of(&e))
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.store.close_clean().map(drop).map_err(|e| Failure::of(&e))
    }
}
