//! A store in memory, for tests and simulations. What was not synced is gone when the process is said to die.

use std::{
    collections::BTreeMap,
    io::Cursor,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{
    core::{Envelope, State, apply},
    engine::{
        checkpoint::{Spool, Versions},
        disk,
        ledger::{Durable, Failure},
        rows::{self, Change},
    },
    model::Seq,
    store::{ChainHash, Head, Row},
};

/// A store in memory. Clones share it, so that a test keeps sight of what the ledger was given.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

struct MemorySpool {
    store: MemoryStore,
    versions: Versions<Cursor<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    /// Appended and not synced.
    pending: Vec<Vec<u8>>,
    journal: Vec<Vec<u8>>,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    checkpoint: Option<(Head, Vec<Row>)>,
    /// How many slices of checkpoints were taken.
    slices: usize,
    held: bool,
    spool_held: bool,
    broken: Option<String>,
    /// There is no room: appending fails, and may be tried again.
    full: bool,
    payload_max: Option<usize>,
}

impl MemoryStore {
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Returns how many records are durable.
    pub fn len(&self) -> usize {
        self.lock().journal.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many records were appended and are not durable yet.
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// Returns the last checkpoint.
    pub fn checkpointed(&self) -> Option<(Head, Vec<Row>)> {
        self.lock().checkpoint.clone()
    }

    /// Returns all durable payloads.
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        self.lock().journal.clone()
    }

    /// Returns how many slices of checkpoints were taken, or are held.
    pub fn slices(&self) -> usize {
        self.lock().slices
    }

    /// Makes every checkpoint wait, slice by slice, until [`MemoryStore::release`].
    pub fn hold_checkpoints(&self) {
        self.lock().spool_held = true;
    }

    /// Takes no payload that is longer.
    pub fn limit(&self, bytes: usize) {
        self.lock().payload_max = Some(bytes);
    }

    /// Returns the durable records.
    pub fn records(&self) -> Result<Vec<Envelope>, disk::Error> {
        (1..).zip(&self.lock().journal).map(|(seq, payload)| disk::decode(seq, payload)).collect()
    }

    /// Makes every sync wait until [`MemoryStore::release`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    pub fn release(&self) {
        let mut inner = self.lock();
        (inner.held, inner.spool_held) = (false, false);
        drop(inner);
        self.0.released.notify_all();
    }

    /// Makes the disk fail from here on.
    pub fn break_down(&self, why: &str) {
        self.lock().broken = Some(why.to_owned());
        self.release();
    }

    /// Lets there be no room, or room again.
    pub fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// Builds the state that a start after a crash would find: all that is durable, nothing else.
    pub fn restart(&self) -> Result<State, disk::Error> {
        let mut inner = self.lock();
        inner.pending.clear();
        let mut state = State::default();
        for (seq, payload) in (1..).zip(&inner.journal) {
            apply(&mut state, Seq(seq), &disk::decode(seq, payload)?);
        }
        state.dirty.clear();
        Ok(state)
    }

    /// Builds the state from the rows alone, as of the position that they reflect.
    pub fn materialised(&self) -> Result<State, rows::Error> {
        let inner = self.lock();
        rows::load(inner.rows.iter().map(|(key, value)| Ok((key.clone(), value.clone()))))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What a panic left behind is whole: every change below is a single step.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn work(&self) -> Result<(), Failure> {
        self.broken.clone().map_or(Ok(()), |why| Err(Failure(why)))
    }

    fn put(&mut self, changes: &[Change]) {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.rows.insert(key.clone(), value.clone())),
                None => drop(self.rows.remove(key)),
            }
        }
    }
}

impl Spool for MemorySpool {
    fn put(&mut self, changes: &[Change], again: bool) -> Result<(), Failure> {
        let mut inner = self.store.lock();
        inner.slices += 1;
        let waited = self.store.0.released.wait_while(inner, |inner| inner.spool_held);
        waited.unwrap_or_else(PoisonError::into_inner).work()?;
        self.versions.put(changes, again).map_err(|e| Failure::of(&e))
    }

    fn finish(&mut self, head: Head) -> Result<(), Failure> {
        let versions = std::mem::replace(&mut self.versions, Versions::new(Cursor::default()));
        let rows = versions.rows().and_then(Iterator::collect).map_err(|e| Failure::of(&e))?;
        self.store.lock().checkpoint = Some((head, rows));
        Ok(())
    }
}

impl Durable for MemoryStore {
    fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), Failure> {
        let mut inner = self.lock();
        inner.work()?;
        if inner.full {
            return Err(Failure("no space left on device".to_owned()));
        }
        inner.pending.extend_from_slice(payloads);
        Ok(())
    }

    fn waits_for_room(&self) -> bool {
        self.lock().full
    }

    fn sync(&mut self) -> Result<(), Failure> {
        let inner = self.lock();
        let waited = self.0.released.wait_while(inner, |inner| inner.held);
        let mut inner = waited.unwrap_or_else(PoisonError::into_inner);
        inner.work()?;
        let pending = std::mem::take(&mut inner.pending);
        inner.journal.extend(pending);
        Ok(())
    }

    fn apply(&mut self, changes: &[Change], _: u64) -> Result<(), Failure> {
        let mut inner = self.lock();
        inner.work()?;
        inner.put(changes);
        Ok(())
    }

    fn spool(&mut self) -> Result<Box<dyn Spool>, Failure> {
        self.lock().work()?;
        Ok(Box::new(MemorySpool { store: self.clone(), versions: Versions::new(Cursor::default()) }))
    }

    fn head(&self) -> Head {
        let inner = self.lock();
        let chain = (1..).zip(&inner.journal);
        let hash = chain.fold(ChainHash::START, |hash, (seq, payload)| hash.then(seq, payload));
        Head { seq: inner.journal.len() as u64, hash }
    }

    fn payload_max(&self) -> usize {
        self.lock().payload_max.unwrap_or(usize::MAX)
    }

    fn read_back(&mut self) -> Result<State, Failure> {
        self.restart().map_err(|error| Failure::of(&error))
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.lock().work()
    }
}
