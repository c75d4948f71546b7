//! The pace of one operation: the usage plan, slowed down while Amazon throttles.
//!
//! Amazon's real limits lie below the documented ones at times, and a throttled answer names neither the limit nor a
//! time. So each throttled answer halves the rate and pauses the operation, and each quiet minute doubles it again.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{encode::Operation, options::Rates};
use crate::connectors::limit::{Limit, Rate};

/// How often the rate may be halved.
const HALVINGS_MAX: u32 = 5;

/// How long Amazon must not have throttled before the rate is doubled again.
const QUIET: Duration = Duration::from_secs(60);

/// The shortest and longest pause after a throttled answer.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Amazon's usage plan for all that is about notifications, the burst less one.
const NOTIFICATIONS: Rate = Rate { every: Duration::from_secs(1), burst: NonZeroU32::MIN.saturating_add(3) };

/// Amazon's usage plans for reports, the bursts less one.
const CREATE_REPORT: Rate =
    Rate { every: Duration::from_secs(60), burst: NonZeroU32::MIN.saturating_add(13) };
const GET_REPORTS: Rate = Rate { every: Duration::from_secs(46), burst: NonZeroU32::MIN.saturating_add(8) };
const GET_REPORT: Rate =
    Rate { every: Duration::from_millis(500), burst: NonZeroU32::MIN.saturating_add(13) };
const GET_REPORT_DOCUMENT: Rate = CREATE_REPORT;

/// Amazon's usage plans for feeds, the bursts less one.
const CREATE_FEED_DOCUMENT: Rate =
    Rate { every: Duration::from_secs(2), burst: NonZeroU32::MIN.saturating_add(13) };
const CREATE_FEED: Rate = Rate { every: Duration::from_secs(121), burst: NonZeroU32::MIN.saturating_add(13) };
const GET_FEEDS: Rate = GET_REPORTS;
const GET_FEED: Rate = GET_REPORT;
const GET_FEED_DOCUMENT: Rate = GET_REPORTS;

/// The least of a rate that is believed: one call in a day.
const RATE_MIN: f64 = 1.0 / 86_400.0;

/// The paces of all operations.
#[derive(Debug)]
pub(super) struct Paces {
    patch_listing: Pace,
    get_listing: Pace,
    search_listings: Pace,
    search_orders: Pace,
    get_order: Pace,
    summaries: Pace,
    notifications: Pace,
    create_report: Pace,
    get_reports: Pace,
    get_report: Pace,
    get_report_document: Pace,
    create_feed_document: Pace,
    create_feed: Pace,
    get_feeds: Pace,
    get_feed: Pace,
    get_feed_document: Pace,
}

impl Paces {
    pub(super) fn new(rates: &Rates) -> Paces {
        Paces {
            patch_listing: Pace::new(rates.patch_listing),
            get_listing: Pace::new(rates.get_listing),
            search_listings: Pace::new(rates.search_listings),
            search_orders: Pace::new(rates.search_orders),
            get_order: Pace::new(rates.get_order),
            summaries: Pace::new(rates.summaries),
            notifications: Pace::new(NOTIFICATIONS),
            create_report: Pace::new(CREATE_REPORT),
            get_reports: Pace::new(GET_REPORTS),
            get_report: Pace::new(GET_REPORT),
            get_report_document: Pace::new(GET_REPORT_DOCUMENT),
            create_feed_document: Pace::new(CREATE_FEED_DOCUMENT),
            create_feed: Pace::new(CREATE_FEED),
            get_feeds: Pace::new(GET_FEEDS),
            get_feed: Pace::new(GET_FEED),
            get_feed_document: Pace::new(GET_FEED_DOCUMENT),
        }
    }

    pub(super) fn of(&self, operation: Operation) -> &Pace {
        match operation {
            Operation::PatchListing => &self.patch_listing,
            Operation::GetListing => &self.get_listing,
            Operation::SearchListings => &self.search_listings,
            Operation::SearchOrders => &self.search_orders,
            Operation::GetOrder => &self.get_order,
            Operation::Summaries => &self.summaries,
            Operation::Notifications => &self.notifications,
            Operation::CreateReport => &self.create_report,
            Operation::GetReports => &self.get_reports,
            Operation::GetReport => &self.get_report,
            Operation::GetReportDocument => &self.get_report_document,
            Operation::CreateFeedDocument => &self.create_feed_document,
            Operation::CreateFeed => &self.create_feed,
            Operation::GetFeeds => &self.get_feeds,
            Operation::GetFeed => &self.get_feed,
            Operation::GetFeedDocument => &self.get_feed_document,
        }
    }
}

/// The pace of one operation.
#[derive(Debug)]
pub(super) struct Pace {
    full: Rate,
    limit: Limit,
    slow: Mutex<Slow>,
}

#[derive(Debug, Default)]
struct Slow {
    halvings: u32,
    /// How far apart calls are to be by Amazon's own word.
    told: Duration,
    /// No call before this.
    until: Option<Instant>,
    /// When the rate was last doubled, or the pause after its last halving ended.
    changed: Option<Instant>,
}

impl Pace {
    fn new(full: Rate) -> Pace {
        Pace { full, limit: Limit::new(full), slow: Mutex::default() }
    }

    /// Waits until one more call may be made, and counts it. Err: it would take longer than `patience`; nothing was
    /// counted, and the rest of the wait is named.
    pub(super) async fn enter(&self, patience: Duration) -> Result<(), Duration> {
        let give_up = Instant::now() + patience;
        while let Err(wait) = self.try_enter() {
            if Instant::now() + wait > give_up {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    fn try_enter(&self) -> Result<(), Duration> {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(until) = slow.until.filter(|until| *until > now) {
            return Err(until - now);
        }
        if slow.halvings > 0 && slow.changed.is_none_or(|at| now - at >= QUIET) {
            slow.halvings -= 1;
            slow.changed = Some(now);
            self.limit.change(self.rate(&slow));
        }
        self.limit.try_take()
    }

    /// Takes a throttled answer into account and returns how long the operation now pauses. Answers that come during
    /// a pause were sent before it and count once.
    pub(super) fn throttled(&self, asked: Option<Duration>) -> Duration {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(until) = slow.until.filter(|until| *until > now) {
            return until - now;
        }
        slow.halvings = (slow.halvings + 1).min(HALVINGS_MAX);
        let rate = self.rate(&slow);
        self.limit.change(rate);
        let pause = asked.unwrap_or(rate.every).clamp(PAUSE_MIN, PAUSE_MAX);
        slow.until = Some(now + pause);
        slow.changed = slow.until;
        pause
    }

    /// Takes Amazon's word for how many calls a second are allowed. More than is configured is never made of it.
    pub(super) fn told(&self, rate: &str) {
        let Some(rate) = rate.trim().parse::<f64>().ok().filter(|rate| (RATE_MIN..=1e6).contains(rate))
        else {
            return;
        };
        let told = Duration::from_secs_f64(1.0 / rate);
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        // The same rate is written in more ways than one.
        let near = |a: Duration, b: Duration| a.abs_diff(b) <= a.max(b) / 100;
        let told = if near(told, self.full.every) || told < self.full.every { Duration::ZERO } else { told };
        if !near(told, slow.told) {
            slow.told = told;
            self.limit.change(self.rate(&slow));
        }
    }

    fn rate(&self, slow: &Slow) -> Rate {
        let every = self.full.every.max(slow.told).saturating_mul(1 << slow.halvings);
        Rate { every, ..self.full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(every_ms: u64, burst: u32) -> Pace {
        let burst = NonZeroU32::new(burst).expect("not zero");
        Pace::new(Rate { every: Duration::from_millis(every_ms), burst })
    }

    /// Enters `n` times and returns the virtual milliseconds that each took.
    async fn millis(pace: &Pace, n: usize) -> Vec<u128> {
        let mut all = Vec::new();
        for _ in 0..n {
            let start = Instant::now();
            pace.enter(Duration::from_secs(3600)).await.expect("an hour is enough");
            all.push(start.elapsed().as_millis());
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn the_documented_rates_hold_for_each_operation_by_itself() {
        let paces = Paces::new(&Rates::default());
        let patch = paces.of(Operation::PatchListing);
        assert_eq!(millis(patch, 6).await, [0, 0, 0, 0, 200, 200]);
        let orders = paces.of(Operation::SearchOrders);
        assert_eq!(millis(orders, 19).await, [0; 19]);
        let wait = orders.enter(Duration::from_secs(30)).await.expect_err("179 s is too long");
        assert!(wait > Duration::from_secs(178), "{wait:?}");
        assert_eq!(millis(paces.of(Operation::GetOrder), 30).await.last(), Some(&2_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_answer_pauses_and_halves_and_quiet_minutes_restore() {
        let pace = pace(1_000, 2);
        assert_eq!(pace.throttled(None), Duration::from_secs(2));
        assert_eq!(millis(&pace, 2).await, [2_000, 2_000]);
        tokio::time::advance(QUIET).await;
        // The doubled rate begins with nothing saved up.
        assert_eq!(millis(&pace, 2).await, [1_000, 1_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn amazons_own_word_slows_down_and_never_speeds_up() {
        #[track_caller]
        fn check(told: &[&str], want_ms: u64) {
            let pace = pace(200, 1);
            told.iter().for_each(|rate| pace.told(rate));
            assert_eq!(pace.limit.rate().every, Duration::from_millis(want_ms), "{told:?}");
        }
        check(&["5.0"], 200);
        check(&["5.01", "4.99"], 200);
        check(&["10"], 200);
        check(&["2.5"], 400);
        check(&["2.5", "5"], 200);
        check(&["1e-30", "0", "-1", "NaN", "inf", "x", ""], 200);
        let pace = pace(1_000, 1);
        pace.told("0.5");
        assert_eq!(pace.throttled(None), Duration::from_secs(4));
        assert_eq!(millis(&pace, 2).await, [4_000, 4_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_of_one_volley_count_once_and_a_named_time_is_kept() {
        let pace = pace(1_000, 2);
        assert_eq!(pace.throttled(Some(Duration::from_secs(7))), Duration::from_secs(7));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(pace.throttled(None), Duration::from_secs(4));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(pace.throttled(None), Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_slows_down_without_end() {
        let pace = pace(1_000, 1);
        for _ in 0..20 {
            let pause = pace.throttled(None);
            assert!(pause <= Duration::from_secs(32), "{pause:?}");
            tokio::time::advance(pause).await;
        }
    }
}
