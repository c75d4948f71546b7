//! What is done now and then: checkpoints, and bodies in quarantine whose time is over.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::Retention,
    engine::{disk::checkpoint_age, intake::Quarantine, ledger::Ledger},
    store,
    telemetry::causes,
};

/// Has a checkpoint written whenever the newest one is too old.
pub(super) struct Checkpoints {
    pub(super) ledger: Ledger,
    /// The store's directory.
    pub(super) store: PathBuf,
    pub(super) every: Duration,
    /// When to try again after a failure, and when to write the very first.
    pub(super) again: Duration,
    /// The archive's directory.
    pub(super) archive: PathBuf,
    /// How long archived segments are kept.
    pub(super) keep: watch::Receiver<Retention>,
}

impl Checkpoints {
    pub(super) async fn run(self, stop: CancellationToken) {
        // A store that never had one gets its first soon, or a daemon that never runs for long would never have one.
        let mut wait = checkpoint_age(&self.store).map_or(self.again, |age| self.every.saturating_sub(age));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            let written = tokio::select! {
                () = stop.cancelled() => return,
                written = self.ledger.checkpoint() => written,
            };
            wait = match written {
                Ok(Ok(_)) => {
                    self.expire();
                    self.every
                }
                Ok(Err(failure)) => {
                    error!(%failure, "no checkpoint could be written: a rebuild would take longer and longer");
                    self.again
                }
                Err(_) => return,
            };
        }
    }
}

impl Checkpoints {
    /// Removes archived segments whose time is over, after a checkpoint without which none would be there.
    fn expire(&self) {
        let Some(keep) = self.keep.borrow().archive else { return };
        match store::expire_archive(&self.archive, keep) {
            Ok(gone) => {
                gone.iter().for_each(|file| info!(file = %file.display(), "archived segment removed"))
            }
            Err(error) => {
                warn!(error = %causes(&error), "archived segments whose time is over could not be removed")
            }
        }
    }
}

/// Removes bodies older than `keep` says, at once and from then on.
pub(super) async fn expire(
    quarantine: Arc<Quarantine>,
    mut keep: watch::Receiver<Retention>,
    every: Duration,
    stop: CancellationToken,
) {
    loop {
        let older = keep.borrow_and_update().quarantine;
        quarantine.expire(older);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
            Ok(()) = keep.changed() => {}
        }
    }
}
