//! Whether there is room for what is to be recorded: measured now and then, and known at once when a write failed.
//!
//! It cannot be told through the journal, because that is what has no room. So it lives beside the state, and is judged
//! anew after a restart.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    config::{RoomLimits, StopAt},
    engine::{ledger::Ledger, teller::Teller},
    telemetry::Metrics,
};

/// How often the room is measured.
const EVERY: Duration = Duration::from_secs(5);

/// What is known of the room on the store's disk. Shared by who writes, who measures and who is asked.
#[derive(Debug, Default)]
pub struct Room(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    measured: Option<Measured>,
    /// A write failed, and why; nothing can be recorded until one succeeds.
    failed: Option<String>,
    /// Too little room was measured to take anything in.
    closed: bool,
    low: bool,
}

/// Bytes on a disk: what may still be written, and that together with what is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    pub free: u64,
    pub total: u64,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Enough,
    /// Below the limit at which people are told.
    Low(String),
    /// Nothing is taken in.
    Closed(String),
    /// Nothing can be recorded.
    Full(String),
}

impl Measured {
    /// Measures the disk that `path` lies on. Of what only root may use, nothing is free: as `df` counts.
    pub fn of(path: &Path) -> io::Result<Measured> {
        let stat = rustix::fs::statvfs(path)?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let used = stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize);
        Ok(Measured { free, total: free.saturating_add(used) })
    }

    fn is_below(self, percent: u8) -> bool {
        u128::from(self.free) * 100 < u128::from(self.total) * u128::from(percent)
    }
}

impl Room {
    /// Takes a measurement in, and says how it stands.
    pub fn measured(&self, measured: Measured, limits: RoomLimits) -> Standing {
        let mut known = self.lock();
        known.measured = Some(measured);
        known.low = measured.is_below(limits.alarm_percent);
        known.closed = match limits.stop {
            StopAt::Percent(percent) => measured.is_below(percent),
            StopAt::Bytes(bytes) => measured.free < bytes,
        };
        known.standing()
    }

    /// Notes that a write failed for want of room. Returns whether that is news.
    pub fn failed(&self, why: &str) -> bool {
        self.lock().failed.replace(why.to_owned()).is_none()
    }

    /// Notes that writing succeeds again.
    pub fn recovered(&self) {
        self.lock().failed = None;
    }

    /// Says whether anything may be taken in from outside.
    pub fn is_open(&self) -> bool {
        let known = self.lock();
        known.failed.is_none() && !known.closed
    }

    /// Returns what was measured last.
    pub fn last(&self) -> Option<Measured> {
        self.lock().measured
    }

    pub fn standing(&self) -> Standing {
        self.lock().standing()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // What a panic left behind is whole: every change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn standing(&self) -> Standing {
        let left = match self.measured {
            Some(Measured { free, total }) => format!("{} MiB of {} MiB are free", free >> 20, total >> 20),
            None => "the room was not measured yet".to_owned(),
        };
        match &self.failed {
            Some(why) => {
                Standing::Full(format!("nothing can be recorded, and nothing is acknowledged: {why}; {left}"))
            }
            None if self.closed => Standing::Closed(format!("too little room to take anything in: {left}")),
            None if self.low => Standing::Low(format!("the store's disk fills up: {left}")),
            None => Standing::Enough,
        }
    }
}

impl Standing {
    /// Why nothing is taken in, if nothing is.
    pub fn refuses(&self) -> Option<&str> {
        match self {
            Standing::Closed(why) | Standing::Full(why) => Some(why),
            Standing::Enough | Standing::Low(_) => None,
        }
    }

    /// What is wrong with the room, if anything is.
    pub fn lacks(&self) -> Option<&str> {
        (*self != Standing::Enough).then(|| self.text())
    }

    /// The name of the state, for metrics and for telling one from another.
    pub fn name(&self) -> &'static str {
        match self {
            Standing::Enough => "enough",
            Standing::Low(_) => "low",
            Standing::Closed(_) => "closed",
            Standing::Full(_) => "full",
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Standing::Enough => "there is enough room again",
            Standing::Low(text) | Standing::Closed(text) | Standing::Full(text) => text,
        }
    }
}

/// Measures the room, and tells people when it runs out and when there is enough again.
pub(super) struct Watch {
    pub(super) ledger: Ledger,
    pub(super) path: PathBuf,
    pub(super) limits: RoomLimits,
    pub(super) metrics: Arc<Metrics>,
    pub(super) teller: Teller,
}

impl Watch {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let standing = self.measure();
            let state = (standing != Standing::Enough).then(|| standing.name());
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.teller.tell(state, standing.text()) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    fn measure(&self) -> Standing {
        let standing = match Measured::of(&self.path) {
            Ok(measured) => self.ledger.room().measured(measured, self.limits),
            Err(error) => {
                warn!(%error, path = %self.path.display(), "the room on the store's disk cannot be measured");
                self.ledger.room().standing()
            }
        };
        let free = self.ledger.room().last().map_or(0, |measured| measured.free);
        self.metrics.set_room(free, standing.refuses().is_some());
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(free: u64, stop: StopAt) -> &'static str {
        let limits = RoomLimits { alarm_percent: 20, stop };
        Room::default().measured(Measured { free, total: 1_000 }, limits).name()
    }

    #[test]
    fn the_limits_are_what_they_say_and_zero_means_never() {
        for (free, stop, want) in [
            (200, StopAt::Percent(10), "enough"),
            (199, StopAt::Percent(10), "low"),
            (100, StopAt::Percent(10), "low"),
            (99, StopAt::Percent(10), "closed"),
            (99, StopAt::Bytes(99), "low"),
            (98, StopAt::Bytes(99), "closed"),
            (0, StopAt::Percent(0), "low"),
            (0, StopAt::Bytes(0), "low"),
        ] {
            assert_eq!(standing(free, stop), want, "{free} free, {stop:?}");
        }
    }

    #[test]
    fn a_failed_write_counts_whatever_was_measured_until_one_succeeds() {
        let room = Room::default();
        assert!(room.is_open());
        assert!(room.failed("no space left"));
        assert!(!room.failed("no space left"), "it is news once");
        let limits = RoomLimits { alarm_percent: 20, stop: StopAt::Percent(10) };
        let standing = room.measured(Measured { free: 900, total: 1_000 }, limits);
        assert_eq!((standing.name(), room.is_open()), ("full", false));
        assert!(standing.refuses().is_some_and(|why| why.contains("no space left")));
        assert_eq!(standing.lacks(), standing.refuses());
        let low = Room::default().measured(Measured { free: 150, total: 1_000 }, limits);
        assert!(
            low.refuses().is_none() && low.lacks().is_some_and(|why| why.contains("fills up")),
            "{low:?}"
        );
        room.recovered();
        assert_eq!((room.standing(), room.is_open()), (Standing::Enough, true));
        assert_eq!(room.standing().lacks(), None);
    }
}
