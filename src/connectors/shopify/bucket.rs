//! The shop's cost bucket, mirrored from what its answers tell.
//!
//! Shopify counts points, not calls: a query's points must be in the bucket before it runs, unused ones come back.
//! Size and rate differ by plan and can change, so nothing is assumed: until the first answer nothing waits. What
//! requests under way may cost is kept apart from the level, so that two at once do not spend the same points.

use std::time::Duration;

use tokio::time::Instant;

use crate::connectors::shopify::graphql::Cost;

/// The share of the bucket that reads leave to writes.
const READS_LEAVE: f64 = 0.25;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Write,
    /// Waits a little longer, so that a long read never takes the last points from a write.
    Read,
}

/// The bucket as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    known: Option<Known>,
    /// Points that requests under way may cost.
    pending: f64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    size: f64,
    per_second: f64,
    /// What the shop had at `at`.
    level: f64,
    at: Instant,
}

impl Known {
    fn level(&self, now: Instant) -> f64 {
        let restored = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        (self.level + restored).min(self.size)
    }
}

impl Bucket {
    /// Sets `cost` points aside, or returns how long it takes until they are there.
    pub(super) fn reserve(&mut self, cost: f64, purpose: Purpose, now: Instant) -> Result<(), Duration> {
        if let Some(known) = self.known {
            let leave = match purpose {
                Purpose::Write => 0.0,
                Purpose::Read => known.size * READS_LEAVE,
            };
            // What exceeds the bucket would wait for ever; the shop is to say so itself.
            let wanted = (cost + leave).min(known.size);
            let missing = wanted - (known.level(now) - self.pending);
            // With nothing under way the bucket fills up, so nothing can wait for ever.
            if missing > 0.0 && (self.pending > 0.0 || known.level(now) < known.size) {
                return Err(wait(missing, known.per_second));
            }
        }
        self.pending += cost;
        Ok(())
    }

    /// Takes back what was set aside, when the request is over.
    pub(super) fn release(&mut self, cost: f64) {
        self.pending = (self.pending - cost).max(0.0);
    }

    /// Takes over what an answer told.
    pub(super) fn learn(&mut self, cost: &Cost, now: Instant) {
        let status = &cost.throttle_status;
        let sane = |x: f64| x.is_finite() && x >= 0.0;
        if sane(status.maximum_available) && sane(status.currently_available) && status.restore_rate > 0.0 {
            self.known = Some(Known {
                size: status.maximum_available,
                per_second: status.restore_rate,
                level: status.currently_available,
                at: now,
            });
        }
    }
}

/// Returns how long `points` take to come back. At least a moment, and never long: the shop's own word comes first.
fn wait(points: f64, per_second: f64) -> Duration {
    let seconds = (points / per_second).clamp(0.01, 60.0);
    Duration::from_secs_f64(seconds)
}

/// Returns how long the shop needs until it can run a query that it refused, by its own figures.
pub(super) fn until_affordable(cost: &Cost) -> Option<Duration> {
    let status = &cost.throttle_status;
    let missing = cost.requested_query_cost? - status.currently_available;
    (missing.is_finite() && status.restore_rate > 0.0).then(|| wait(missing, status.restore_rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::shopify::graphql::ThrottleStatus;

    fn told(available: f64) -> Cost {
        Cost {
            requested_query_cost: Some(500.0),
            throttle_status: ThrottleStatus {
                maximum_available: 2000.0,
                currently_available: available,
                restore_rate: 100.0,
            },
        }
    }

    #[test]
    fn nothing_waits_before_the_first_answer() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.reserve(900.0, Purpose::Read, Instant::now()), Ok(()));
    }

    #[test]
    fn a_write_waits_for_exactly_the_points_that_lack() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        bucket.learn(&told(100.0), now);
        assert_eq!(bucket.reserve(100.0, Purpose::Write, now), Ok(()));
        assert_eq!(bucket.reserve(50.0, Purpose::Write, now), Err(Duration::from_millis(500)));
        let later = now + Duration::from_millis(500);
        assert_eq!(bucket.reserve(50.0, Purpose::Write, later), Ok(()));
        assert!(bucket.reserve(1.0, Purpose::Write, later).is_err());
        bucket.release(100.0);
        assert_eq!(bucket.reserve(100.0, Purpose::Write, later), Ok(()));
    }

    #[test]
    fn a_read_leaves_a_quarter_to_the_writes() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        bucket.learn(&told(510.0), now);
        assert_eq!(bucket.reserve(20.0, Purpose::Read, now), Err(Duration::from_millis(100)));
        assert_eq!(bucket.reserve(510.0, Purpose::Write, now), Ok(()));
    }

    #[test]
    fn what_is_larger_than_the_bucket_goes_when_it_is_full() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        bucket.learn(&told(1999.0), now);
        assert_eq!(bucket.reserve(5000.0, Purpose::Write, now), Err(Duration::from_millis(10)));
        assert_eq!(bucket.reserve(5000.0, Purpose::Write, now + Duration::from_millis(10)), Ok(()));
    }

    #[test]
    fn the_level_never_rises_above_the_size() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        bucket.learn(&told(0.0), now);
        let later = now + Duration::from_secs(3600);
        assert_eq!(bucket.reserve(2000.0, Purpose::Write, later), Ok(()));
        assert!(bucket.reserve(1.0, Purpose::Write, later).is_err());
    }

    #[test]
    fn a_refused_query_waits_by_the_shops_own_figures() {
        assert_eq!(until_affordable(&told(100.0)), Some(Duration::from_secs(4)));
        assert_eq!(until_affordable(&told(900.0)), Some(Duration::from_millis(10)));
        let mut broken = told(100.0);
        broken.throttle_status.restore_rate = 0.0;
        assert_eq!(until_affordable(&broken), None);
    }

    #[test]
    fn figures_that_make_no_sense_are_not_taken_over() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        bucket.learn(&told(f64::NAN), now);
        assert_eq!(bucket.reserve(1e9, Purpose::Read, now), Ok(()));
    }
}
