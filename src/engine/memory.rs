//! A store in memory, for tests and simulations. What was not synced is gone when the process is said to die.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::{
    core::{State, apply},
    engine::{
        disk,
        ledger::{Durable, Failure},
        rows::{self, Change},
    },
    model::Seq,
};

/// A store in memory. Clones share it, so that a test keeps sight of what the ledger was given.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

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
    checkpoint: Option<u64>,
    held: bool,
    broken: Option<String>,
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

    /// Returns the position that the last checkpoint reflects.
    pub fn checkpointed(&self) -> Option<u64> {
        self.lock().checkpoint
    }

    /// Makes every sync wait until [`MemoryStore::release`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    pub fn release(&self) {
        self.lock().held = false;
        self.0.released.notify_all();
    }

    /// Makes the disk fail from here on.
    pub fn break_down(&self, why: &str) {
        self.lock().broken = Some(why.to_owned());
        self.release();
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

impl Durable for MemoryStore {
    fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), Failure> {
        let mut inner = self.lock();
        inner.work()?;
        inner.pending.extend_from_slice(payloads);
        Ok(())
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

    fn checkpoint(&mut self, rows: Vec<Change>, seq: u64) -> Result<(), Failure> {
        let mut inner = self.lock();
        inner.work()?;
        drop(rows);
        inner.checkpoint = Some(seq);
        Ok(())
    }

    fn head(&self) -> String {
        let mut hash = Sha256::new();
        for payload in &self.lock().journal {
            hash.update(payload);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.lock().work()
    }
}
