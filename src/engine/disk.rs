//! The store as the ledger uses it, and what comes out of it at start.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
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
    store::{self, Checkpoints, Fresh, Head, Note, Source, Store, Swapped, Swapper},
};

/// A store on disk.
pub struct DiskStore {
    store: Store,
    /// The last append failed for want of room.
    no_room: bool,
    path: PathBuf,
    /// The record that the rows of the state reflect.
    applied: Seq,
    /// A fresh state that was built and is still to catch up.
    fresh: Arc<Mutex<Option<Fresh>>>,
    /// What a swap that is under way leads to.
    swapped: Option<mpsc::Receiver<Swapped>>,
    /// What was found and done when it was opened.
    notes: Vec<Note>,
}

/// A checkpoint that is on its way to disk.
struct DiskSpool {
    /// Taken when it is written.
    versions: Option<Versions<File>>,
    checkpoints: Checkpoints,
    archiver: store::Archiver,
    /// Builds a fresh state out of the checkpoint, if one is wanted, and where it is put.
    build: Option<(Swapper, Arc<Mutex<Option<Fresh>>>)>,
    written: Option<Head>,
}

/// Rows that a fresh state is still to have.
struct Rest {
    fresh: Fresh,
    swapper: Swapper,
}

/// How a store was opened.
struct Opening {
    source: Source,
    notes: Vec<Note>,
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
    let (mut state, mut store, Opening { source, notes }) = bring_up(path, options)?;
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
    let path = path.to_path_buf();
    let fresh = Arc::default();
    let store = DiskStore { store, no_room: false, path, applied, fresh, swapped: None, notes };
    Ok((state, store))
}

/// Builds a fresh state out of the checkpoint of the record `seq`, for the daemon that runs on the store at `path`.
pub fn build_fresh(path: &Path, seq: u64) -> Result<(), Error> {
    let options = store::state::Options { rows_version: rows::ROWS_VERSION, ..Default::default() };
    Ok(store::build_fresh(path, seq, options)?)
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
fn bring_up(path: &Path, options: store::Options) -> Result<(State, Store, Opening), Error> {
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
    Ok((state, store, Opening { source: start.source, notes: start.notes }))
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
    /// Returns what whoever runs this should know of how it was opened.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    fn disk_spool(&mut self) -> Result<DiskSpool, Failure> {
        let file = nameless(&self.path.join("checkpoint.spool"))
            .map_err(|e| Failure(format!("the spool of a checkpoint could not be made: {e}")))?;
        Ok(DiskSpool {
            versions: Some(Versions::new(file)),
            checkpoints: self.store.checkpoints(),
            archiver: self.store.archiver(),
            build: None,
            written: None,
        })
    }

    fn swapper(&self) -> Result<Swapper, Failure> {
        self.store.swapper().ok_or_else(|| Failure("this store keeps no state".to_owned()))
    }

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
        let Some(versions) = &mut self.versions else {
            return Err(Failure("it is written already".to_owned()));
        };
        versions.put(changes, again).map_err(|e| Failure::of(&e))
    }

    fn finish(&mut self, head: Head) -> Result<(), Failure> {
        let Some(versions) = self.versions.take() else {
            return Err(Failure("it is written already".to_owned()));
        };
        let rows = versions.rows().map_err(|e| Failure::of(&e))?;
        self.checkpoints.try_write(head, rows).map_err(|e| Failure::of(&e))?;
        info!(seq = head.seq, head = %head.hash, "checkpoint written");
        self.written = Some(head);
        archive(&self.archiver);
        Ok(())
    }

    fn follow(self: Box<Self>) -> Result<(), Failure> {
        let (Some((swapper, place)), Some(head)) = (self.build, self.written) else { return Ok(()) };
        let fresh = swapper.build(head).map_err(|e| Failure::of(&e))?;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        Ok(())
    }
}

impl Spool for Rest {
    fn put(&mut self, changes: &[Change], _: bool) -> Result<(), Failure> {
        self.fresh.put(changes).map_err(|e| Failure::of(&e))
    }

    fn finish(&mut self, head: Head) -> Result<(), Failure> {
        let finished = self.fresh.finish(head);
        if finished.is_err() {
            // It may be what fills the disk. The failure to report is the first one.
            self.swapper.discard().unwrap_or(());
        }
        finished.map_err(|e| Failure::of(&e))
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
        Ok(Box::new(self.disk_spool()?))
    }

    fn builder(&mut self) -> Result<Box<dyn Spool>, Failure> {
        let swapper = self.swapper()?;
        let build = Some((swapper, Arc::clone(&self.fresh)));
        Ok(Box::new(DiskSpool { build, ..self.disk_spool()? }))
    }

    fn rest(&mut self) -> Result<Box<dyn Spool>, Failure> {
        let swapper = self.swapper()?;
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fresh = fresh.ok_or_else(|| Failure("no fresh state was built".to_owned()))?;
        Ok(Box::new(Rest { fresh, swapper }))
    }

    fn swap(&mut self, done: Box<dyn FnOnce() + Send>) -> Result<(), Failure> {
        let leaving = self.store.let_go().map_err(|e| Failure::of(&e))?;
        let (tell, told) = mpsc::channel();
        let replace = move || {
            // A ledger that has ended has no use for it: the next start opens what is in place.
            drop(tell.send(leaving.replace()));
            done();
        };
        // Without a thread the state is gone with the closure; it is whole on disk all the same.
        thread::Builder::new().name("swap".into()).spawn(replace).map_err(|e| Failure::of(&e))?;
        self.swapped = Some(told);
        Ok(())
    }

    fn swapped(&mut self, wait: bool) -> Option<Result<Option<Failure>, Failure>> {
        let told = self.swapped.as_ref()?;
        let swapped = if wait {
            told.recv().map_err(|_| ())
        } else {
            match told.try_recv() {
                Err(mpsc::TryRecvError::Empty) => return None,
                told => told.map_err(|_| ()),
            }
        };
        self.swapped = None;
        let Ok(swapped) = swapped else {
            return Some(Err(Failure("the thread that swaps has panicked".into())));
        };
        Some(match self.store.swapped(swapped) {
            Ok((seq, failed)) => {
                self.applied = Seq(seq);
                Ok(failed.map(|e| Failure::of(&e)))
            }
            Err(e) => Err(Failure::of(&e)),
        })
    }

    fn give_up_swap(&mut self) {
        drop(self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(swapper) = self.store.swapper() {
            // What is left there the next try or start removes.
            swapper.discard().unwrap_or(());
        }
    }

    fn stop_building(&mut self) {
        if let Some(swapper) = self.store.swapper() {
            swapper.stop();
        }
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
