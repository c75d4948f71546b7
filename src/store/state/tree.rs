//! sled, behind a handful of operations. No other module names it.
//!
//! One tree; no transactions, no merge operators, no background flush, no subscribers. Every call is guarded:
//! sled may panic on damage, and a panic must not take the ledger along. Its calls are synchronous and can in
//! principle hang: whoever opens a tree does so under a time limit, the writer is watched from outside.

#[cfg(not(panic = "unwind"))]
compile_error!("panics of sled are caught: build with panic = \"unwind\"");

use std::any::Any;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// What went wrong inside sled. The handle is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("sled met an I/O error: {0}")]
    Io(io::Error),
    #[error("sled refused: {0}")]
    Refused(String),
    #[error("sled panicked: {0}")]
    Panicked(String),
    #[error("sled did not return within {} s", .0.as_secs())]
    Hung(Duration),
    #[error("another handle still holds the state's files")]
    Locked,
}

impl Fault {
    /// Says whether the machine is at fault and not the state: no room, no right to write.
    pub(super) fn is_environment(&self) -> bool {
        use ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let of_machine = [PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
        match self {
            Fault::Io(error) => of_machine.contains(&error.kind()),
            Fault::Locked => true,
            Fault::Refused(_) | Fault::Panicked(_) | Fault::Hung(_) => false,
        }
    }
}

/// An open tree.
#[derive(Debug)]
pub(super) struct Tree {
    /// `None` once it is dropped.
    db: Option<sled::Db>,
}

impl Tree {
    /// Opens the tree in a directory, or creates it. Does not bound the time it takes.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Tree, Fault> {
        wait_for_release(dir)?;
        let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(None);
        Ok(Tree { db: Some(guarded(|| config.open())?) })
    }

    /// Applies all changes or none of them, as far as sled can: after an error the handle is dead.
    pub(super) fn apply(
        &self,
        changes: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), Fault> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        guarded(|| self.db().apply_batch(batch))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(guarded(|| self.db().get(key))?.map(|value| value.to_vec()))
    }

    /// Makes sled's cache notice a row that a scan has passed. Its cache has 256 parts, each of which evicts
    /// only after 64 accesses, and a scan makes one per page: without this, reading all rows keeps them all in
    /// memory, whatever the capacity.
    pub(super) fn touch(&self, key: &[u8]) -> Result<(), Fault> {
        guarded(|| self.db().get(key)).map(|_| ())
    }

    /// Reads the rows whose key begins with `prefix`, in the order of their keys. It is no snapshot.
    pub(super) fn scan(&self, prefix: &[u8]) -> Scan {
        Scan { rows: self.db().scan_prefix(prefix) }
    }

    /// Hands all that was applied to the kernel. It makes nothing durable.
    pub(super) fn flush(&self) -> Result<(), Fault> {
        guarded(|| self.db().flush()).map(|_| ())
    }

    /// Drops the handle and waits until sled has let go of its files.
    pub(super) fn close(mut self, dir: &Path) -> Result<(), Fault> {
        let db = self.db.take();
        guarded(|| {
            drop(db);
            Ok(())
        })?;
        wait_for_release(dir)
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("only `close` and `drop` take the handle")
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let db = self.db.take();
        // sled syncs when it is dropped, and panics if that fails. Nothing depends on that sync.
        catch_unwind(AssertUnwindSafe(|| drop(db))).unwrap_or(());
    }
}

/// Rows of a scan.
pub(super) struct Scan {
    rows: sled::Iter,
}

impl Iterator for Scan {
    type Item = Result<(sled::IVec, sled::IVec), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        guarded(|| self.rows.next().transpose()).transpose()
    }
}

fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(Fault::Io(error)),
        Ok(Err(error)) => Err(Fault::Refused(error.to_string())),
        Err(panic) => Err(Fault::Panicked(panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

/// Runs `work` in a thread of its own and waits for its result, but not longer than `limit`. A thread that
/// hangs cannot be ended; it is left behind.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let (done, result) = mpsc::channel();
    // The receiver is gone if the limit has passed; then nobody wants the result.
    let work = move || done.send(work()).unwrap_or(());
    std::thread::Builder::new().name("state-open".into()).spawn(work).map_err(Fault::Io)?;
    result.recv_timeout(limit).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => Fault::Hung(limit),
        mpsc::RecvTimeoutError::Disconnected => Fault::Panicked("the thread that opened it ended".into()),
    })
}

/// Waits until no handle holds sled's file lock: threads of sled let go a little after the last drop.
fn wait_for_release(dir: &Path) -> Result<(), Fault> {
    const TRIES: u32 = 250;
    const PAUSE: Duration = Duration::from_millis(20);
    let file = match std::fs::File::open(dir.join("db")) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Fault::Io(error)),
    };
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return file.unlock().map_err(Fault::Io),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(std::fs::TryLockError::Error(error)) => return Err(Fault::Io(error)),
        }
    }
    Err(Fault::Locked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        let error = guarded::<()>(|| panic!("tried to serialize {}", "Uninitialized")).unwrap_err();
        assert!(matches!(error, Fault::Panicked(text) if text == "tried to serialize Uninitialized"));
    }

    #[test]
    fn work_that_hangs_is_left_behind() {
        let (release, hang) = mpsc::channel::<()>();
        let limit = Duration::from_millis(1);
        let result = within(limit, move || hang.recv().is_ok());
        assert!(matches!(result, Err(Fault::Hung(l)) if l == limit));
        drop(release);
        assert!(within(Duration::from_secs(60), || true).unwrap());
        let panics = within(Duration::from_secs(60), || assert!(std::hint::black_box(false)));
        assert!(matches!(panics, Err(Fault::Panicked(_))));
    }

    #[test]
    fn a_tree_can_be_opened_again_right_after_it_was_closed() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..5u8 {
            let tree = Tree::open(dir.path(), 1 << 20).unwrap();
            tree.apply([(vec![n], Some(vec![n; 3]))].into_iter()).unwrap();
            assert_eq!(tree.scan(&[]).count(), usize::from(n) + 1);
            tree.close(dir.path()).unwrap();
        }
    }

    /// The reason for deleting such files before sled sees them.
    #[test]
    fn sled_refuses_to_open_beside_a_torn_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        Tree::open(dir.path(), 1 << 20).unwrap().close(dir.path()).unwrap();
        std::fs::write(dir.path().join("snap.00000000FFFFFFFF.generating"), b"torn").unwrap();
        assert!(Tree::open(dir.path(), 1 << 20).is_err());
    }
}
