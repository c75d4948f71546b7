//! What the ledger needs of a store.

use crate::{
    core::State,
    engine::{checkpoint::Spool, rows::Change},
    store::Head,
    telemetry::causes,
};

/// A store, as the ledger uses it. A test or a simulation may give another.
pub trait Durable: Send {
    /// Appends payloads to the journal; not durable yet.
    fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), Failure>;
    /// Says whether the last append failed for want of room alone: none of it was recorded, and it may be tried again.
    fn waits_for_room(&self) -> bool {
        false
    }
    /// Makes all that was appended durable. After an error nothing more is promised.
    fn sync(&mut self) -> Result<(), Failure>;
    /// Writes rows that reflect the journal up to `seq`.
    fn apply(&mut self, changes: &[Change], seq: u64) -> Result<(), Failure>;
    /// Begins a checkpoint. What it returns is used by another thread.
    fn spool(&mut self) -> Result<Box<dyn Spool>, Failure>;
    /// Begins a checkpoint out of which a fresh state is built beside the live one. What it returns is used by another
    /// thread, as with the next two.
    fn builder(&mut self) -> Result<Box<dyn Spool>, Failure> {
        Err(Failure("this store keeps no state that could be built anew".to_owned()))
    }
    /// Takes the rows that a fresh state still lacks.
    fn rest(&mut self) -> Result<Box<dyn Spool>, Failure> {
        Err(Failure("no fresh state was built".to_owned()))
    }
    /// Lets the fresh state take the live one's place. Until that is `done`, rows cannot be written.
    fn swap(&mut self, done: Box<dyn FnOnce() + Send>) -> Result<(), Failure> {
        drop(done);
        Err(Failure("no fresh state was built".to_owned()))
    }
    /// Returns what that has led to, once it is done: an error if there is no state any more, a failure within if the one
    /// to go on with is not the fresh one.
    fn swapped(&mut self, wait: bool) -> Option<Result<Option<Failure>, Failure>> {
        let _ = wait;
        None
    }
    /// Removes a fresh state that does not come to its place.
    fn give_up_swap(&mut self) {}
    /// Ends the building of a fresh state that is under way, and lets none begin.
    fn stop_building(&mut self) {}
    /// Returns the end of the journal.
    fn head(&self) -> Head;
    /// Closes the state so that the next start trusts it.
    fn close(self: Box<Self>) -> Result<(), Failure>;
    /// Returns the most bytes that one payload may have.
    fn payload_max(&self) -> usize {
        PAYLOAD_MAX
    }
    /// Builds the state again that all durable records add up to; the rows that were not written yet are noted in it.
    fn read_back(&mut self) -> Result<State, Failure> {
        Err(Failure("this store cannot be read back".to_owned()))
    }
}

/// Half of what the journal takes: far more than any command should ever record.
const PAYLOAD_MAX: usize = 64 << 20;

/// An error of the store, told with all its causes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    pub(in crate::engine) fn of(error: &dyn std::error::Error) -> Failure {
        Failure(causes(error))
    }
}
