//! What time it is. The only place that reads the wall clock.
//!
//! The wall clock may stand still, leap and go backwards; nobody may rely on it to grow. Spans are measured with
//! `tokio::time::Instant`.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::Timestamp;

/// Tells the time. Injected, so that tests and simulations rule it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The wall clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is where everyone else gets the time from")]
        let now = jiff::Timestamp::now();
        Timestamp::from_millis(now.as_millisecond())
    }
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(now: Timestamp) -> ManualClock {
        ManualClock(AtomicI64::new(now.millis()))
    }

    /// Sets the time, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::SeqCst);
    }

    /// Moves the time on, or back if `millis` is below zero.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_goes_where_it_is_told() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000));
        clock.advance(500);
        assert_eq!(clock.now(), Timestamp::from_millis(1_500));
        clock.set(Timestamp::from_millis(10));
        clock.advance(-3);
        assert_eq!(clock.now(), Timestamp::from_millis(7));
    }

    #[test]
    fn the_system_clock_tells_milliseconds_of_this_century() {
        let now = SystemClock.now();
        assert!(now > Timestamp::from_millis(1_700_000_000_000), "{now:?}");
        assert!(now < Timestamp::from_millis(4_102_444_800_000), "{now:?}");
    }
}
