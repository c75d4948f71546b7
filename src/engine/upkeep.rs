//! What is done now and then: checkpoints, fresh states, and bodies in quarantine whose time is over.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    clock::Clock,
    config::Retention,
    engine::{disk::checkpoint_age, intake::Quarantine, ledger::Ledger},
    model::Timestamp,
    store::{self, Footprint},
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

/// How much larger than it was when it was built the state may become before its time: so many times, and so much more.
const GROWTH: u64 = 4;
const GROWTH_BYTES: u64 = 256 << 20;
/// How often at most it is looked at, and how soon after a failure it is tried again.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// Has a fresh state take the place of the one in use when that is too old, or too large.
pub(super) struct Swaps {
    pub(super) ledger: Ledger,
    pub(super) clock: Arc<dyn Clock>,
    /// The store's directory.
    pub(super) store: PathBuf,
    pub(super) every: Duration,
}

impl Swaps {
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.every.min(LOOK_EVERY)) => {}
            }
            let before = store::footprint(&self.store);
            if !is_due(before, self.clock.now(), self.every) {
                continue;
            }
            if let Some(why) = self.ledger.room().standing().refuses() {
                warn!(%why, "no fresh state is built: there is too little room for two");
                continue;
            }
            let swapped = tokio::select! {
                () = stop.cancelled() => return,
                swapped = self.ledger.swap() => swapped,
            };
            match swapped {
                Ok(Ok(())) => {
                    let after = store::footprint(&self.store).bytes;
                    info!(before = before.bytes, after, "the state was built anew");
                }
                Ok(Err(failure)) => {
                    error!(%failure, "no fresh state could be built: the one in use goes on, and grows");
                }
                Err(_) => return,
            }
        }
    }
}

/// Says whether a state is to be built anew: by its age, its growth, or because neither is known. One of a time to come
/// is as old as can be: the clock was set back.
fn is_due(state: Footprint, now: Timestamp, every: Duration) -> bool {
    let Some((at, bytes)) = state.built else { return true };
    let age = now.since(Timestamp::from_millis(at));
    let old = age < 0 || u128::from(age.unsigned_abs()) >= every.as_millis();
    old || state.bytes > bytes.saturating_mul(GROWTH).saturating_add(GROWTH_BYTES)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Age in hours, bytes now and when it was built -> whether a fresh one is due after a day.
    #[track_caller]
    fn check(age: i64, bytes: u64, built: u64, due: bool) {
        let now = Timestamp::from_millis(1_000_000_000_000);
        let at = now.plus_millis(-age * 3_600_000).millis();
        let state = Footprint { bytes, built: Some((at, built)) };
        assert_eq!(is_due(state, now, Duration::from_secs(24 * 3_600)), due, "{age} h, {bytes} of {built}");
    }

    #[test]
    fn a_fresh_state_is_due_by_age_or_by_growth_and_where_neither_is_known() {
        const MB: u64 = 1 << 20;
        check(23, MB, MB, false);
        check(24, MB, MB, true);
        check(1, 200 * MB, MB, false);
        check(1, 261 * MB, MB, true);
        check(1, 4_000 * MB, 1_000 * MB, false);
        check(1, 4_300 * MB, 1_000 * MB, true);
        check(-1, MB, MB, true);
        let unknown = Footprint { bytes: 0, built: None };
        assert!(is_due(unknown, Timestamp::ZERO, Duration::from_secs(3_600)));
    }
}
