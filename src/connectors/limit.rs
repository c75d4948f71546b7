//! A fixed-rate limit on outgoing calls (governor), driven by tokio's clock.
//!
//! governor's own waiting follows the machine's clock; a paused or simulated tokio clock would not rule it. So it is
//! given tokio's clock, asked whether a call fits, and the wait is slept with tokio. Knows no channel; Shopify's cost
//! bucket is not here, because its level is told by the server (`shopify::bucket`).

use std::{
    num::NonZeroU32,
    ops::Add,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use tokio::time::Instant;

/// The shortest interval between two calls that can be told apart.
const EVERY_MIN: Duration = Duration::from_nanos(1);

/// How often a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// One more call each time this has passed.
    pub every: Duration,
    /// How many may be saved up. The channel's own burst less one: within the first window burst *and* refill pass.
    pub burst: NonZeroU32,
}

impl Rate {
    fn quota(self) -> Quota {
        let every = self.every.max(EVERY_MIN);
        Quota::with_period(every).expect("the period is not zero").allow_burst(self.burst)
    }
}

/// Lets calls through at a rate. Clones share it.
#[derive(Debug, Clone)]
pub struct Limit {
    inner: Arc<Mutex<(Rate, Arc<Limiter>)>>,
}

impl Limit {
    /// Begins with a full burst.
    pub fn new(rate: Rate) -> Limit {
        let limiter = Arc::new(Limiter::direct_with_clock(rate.quota(), TokioClock));
        Limit { inner: Arc::new(Mutex::new((rate, limiter))) }
    }

    /// Waits until one more call may be made, and counts it.
    pub async fn take(&self) {
        while let Err(wait) = self.try_take() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Counts one more call if it may be made, or returns how long to wait.
    pub fn try_take(&self) -> Result<(), Duration> {
        let (_, limiter) = self.get();
        limiter.check().map_err(|refused| refused.wait_time_from(TokioClock.now()))
    }

    pub fn rate(&self) -> Rate {
        self.get().0
    }

    /// Takes another rate, if it differs. Whatever was saved up is given away: the channel's own level at this
    /// moment is not known.
    pub fn change(&self, rate: Rate) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.0 == rate {
            return;
        }
        let limiter = Limiter::direct_with_clock(rate.quota(), TokioClock);
        // Drained whole; it cannot be refused, since a fresh limiter holds exactly its burst.
        while limiter.check().is_ok() {}
        *inner = (rate, Arc::new(limiter));
    }

    fn get(&self) -> (Rate, Arc<Limiter>) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.0, Arc::clone(&inner.1))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Tick>>;

/// A point on tokio's clock, as governor wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(Instant);

impl Add<Nanos> for Tick {
    type Output = Tick;

    fn add(self, time: Nanos) -> Tick {
        Tick(self.0 + Duration::from(time))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Tick) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, time: Nanos) -> Tick {
        Tick(self.0.checked_sub(time.into()).unwrap_or(self.0))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Tick(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(every_secs: u64, burst: u32) -> Rate {
        Rate { every: Duration::from_secs(every_secs), burst: NonZeroU32::new(burst).expect("not zero") }
    }

    /// Takes `n` times and returns the whole seconds of virtual time at which each came through.
    async fn seconds(limit: &Limit, start: Instant, n: usize) -> Vec<u64> {
        let mut all = Vec::new();
        for _ in 0..n {
            limit.take().await;
            all.push(start.elapsed().as_secs());
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
        let limit = Limit::new(rate(60, 2));
        assert_eq!(seconds(&limit, Instant::now(), 4).await, [0, 0, 60, 120]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_rate_begins_empty_and_an_equal_one_changes_nothing() {
        let limit = Limit::new(rate(60, 3));
        let start = Instant::now();
        limit.change(rate(60, 3));
        assert_eq!(seconds(&limit, start, 2).await, [0, 0]);
        limit.change(rate(10, 5));
        assert_eq!(limit.rate(), rate(10, 5));
        assert_eq!(seconds(&limit, start, 2).await, [10, 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_names_the_wait() {
        let limit = Limit::new(rate(7, 1));
        assert_eq!(limit.try_take(), Ok(()));
        assert_eq!(limit.try_take(), Err(Duration::from_secs(7)));
    }
}
