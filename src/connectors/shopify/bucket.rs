//! The shop's cost bucket, mirrored from what its answers tell.
//!
//! Shopify counts points, not calls: a query's points must be in the bucket before it runs, unused ones come back.
//! Size and rate differ by plan and can change, so nothing is assumed: until the first answer nothing waits. What
//! requests under way may cost is kept apart from the level, so that two at once do not spend the same points.
//!
//! The bucket is the app's in the shop: another daemon with the same app drains it too. So every answer counts over what
//! was worked out, and after a refusal all wait a little longer than the shop's figures say, each by another span. A write waits for
//! the points of its own even then, and not for those of a read that was refused: a lower is not to be late for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::connectors::shopify::graphql::Cost;

/// The share of the bucket that reads leave to writes.
const READS_LEAVE: f64 = 0.25;

/// The longest that chance adds to a wait after refusals.
const SPREAD_MAX: Duration = Duration::from_secs(5);
/// What it adds at most after the first one; twice that after the second, and so on.
const SPREAD: Duration = Duration::from_millis(100);

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
    /// Nothing is asked before this, and no read before that.
    held: Option<Instant>,
    reads_held: Option<Instant>,
    /// Times in a row that requests were refused. Those that were under way together count as one.
    refused: u32,
    /// When the latest of these times began.
    refused_at: Option<Instant>,
}

/// A request that was refused for want of points, or of something else that comes back by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub(super) purpose: Purpose,
    /// When it was sent.
    pub(super) asked: Instant,
    /// What it is to wait if nobody else is there.
    pub(super) wait: Duration,
    /// The shop told how many points there are, and `wait` follows from that alone.
    pub(super) by_points: bool,
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
        let held = match purpose {
            Purpose::Write => self.held,
            Purpose::Read => self.held.max(self.reads_held),
        };
        if let Some(held) = held.filter(|held| *held > now) {
            return Err(held - now);
        }
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
                return Err(known.at.saturating_duration_since(now) + wait(missing, known.per_second));
            }
        }
        self.pending += cost;
        Ok(())
    }

    /// Takes back what was set aside, when the request is over.
    pub(super) fn release(&mut self, cost: f64) {
        self.pending = (self.pending - cost).max(0.0);
    }

    /// A request was refused, and what its answer told is taken over. Returns how long it is to wait: `chance`, from 0 to 1, keeps
    /// those who were refused together from asking together again.
    pub(super) fn refused(&mut self, refusal: Refusal, chance: f64, now: Instant) -> Duration {
        let Refusal { purpose, asked, wait, by_points } = refusal;
        if self.refused_at.is_none_or(|at| asked >= at) {
            self.refused = self.refused.saturating_add(1);
            self.refused_at = Some(now);
        }
        let chance = chance.clamp(0.0, 1.0);
        let spread = SPREAD * 2_u32.pow(self.refused.saturating_sub(1).min(10));
        let longer = wait + spread.min(SPREAD_MAX).mul_f64(chance);
        if !by_points {
            self.held = self.held.max(Some(now + longer));
            return longer;
        }
        self.reads_held = self.reads_held.max(Some(now + longer));
        // As if the shop had told it so much later: who lacks points waits a little longer, and who lacks none does not.
        let little = SPREAD.mul_f64(chance);
        if let Some(known) = &mut self.known {
            known.at += little;
        }
        match purpose {
            Purpose::Write => wait + little,
            Purpose::Read => longer,
        }
    }

    /// A request was not refused.
    pub(super) fn served(&mut self) {
        self.refused = 0;
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

    /// A refusal of which the shop told no points.
    fn bare(wait: Duration, asked: Instant) -> Refusal {
        Refusal { purpose: Purpose::Write, asked, wait, by_points: false }
    }

    #[test]
    fn after_a_refusal_all_wait_longer_and_longer_by_chance() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        let (wait, millis) = (Duration::from_millis(40), Duration::from_millis);
        bucket.learn(&told(2000.0), now);
        assert_eq!(bucket.refused(bare(wait, now), 0.5, now), millis(90));
        for purpose in [Purpose::Write, Purpose::Read] {
            assert_eq!(bucket.reserve(1.0, purpose, now), Err(millis(90)));
        }
        // Another answer that comes late takes nothing back.
        assert_eq!(bucket.refused(bare(wait, now), 0.0, now), wait);
        assert_eq!(bucket.reserve(1.0, Purpose::Write, now), Err(millis(90)));
        assert_eq!(bucket.reserve(1.0, Purpose::Write, now + millis(90)), Ok(()));
        assert_eq!(bucket.refused(bare(wait, now), 1.0, now), millis(440));
        let most = (0..40).map(|_| bucket.refused(bare(wait, now), 1.0, now)).max();
        assert_eq!(most, Some(wait + SPREAD_MAX));
        bucket.served();
        assert_eq!(bucket.refused(bare(wait, now), 1.0, now), millis(140));
    }

    #[test]
    fn those_who_were_refused_together_count_as_one() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        let millis = Duration::from_millis;
        let mut check = |asked: u64, answered: u64, want: u64| {
            let refusal = bare(Duration::ZERO, start + millis(asked));
            assert_eq!(bucket.refused(refusal, 1.0, start + millis(answered)), millis(want), "{asked}");
        };
        for asked in 0..20 {
            check(asked, 100 + asked, 100);
        }
        check(200, 300, 200);
        check(150, 310, 200);
        check(210, 320, 200);
        check(320, 400, 400);
    }

    #[test]
    fn a_write_waits_for_points_of_its_own_and_not_for_those_of_a_read_that_was_refused() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        let (wait, millis) = (Duration::from_secs(4), Duration::from_millis);
        bucket.learn(&told(100.0), now);
        let refusal = |purpose| Refusal { purpose, asked: now, wait, by_points: true };
        assert_eq!(bucket.refused(refusal(Purpose::Read), 0.5, now), wait + millis(50));
        assert_eq!(bucket.reserve(1.0, Purpose::Read, now), Err(wait + millis(50)));
        // What lacks nothing goes at once, and the rest a little later than its points are there.
        assert_eq!(bucket.reserve(200.0, Purpose::Write, now), Err(millis(1_050)));
        assert_eq!(bucket.reserve(200.0, Purpose::Write, now + millis(1_000)), Err(millis(50)));
        assert_eq!(bucket.reserve(100.0, Purpose::Write, now), Ok(()));
        bucket.release(100.0);
        assert_eq!(bucket.reserve(200.0, Purpose::Write, now + millis(1_050)), Ok(()));
        bucket.release(200.0);
        // However often it was refused.
        for nth in 0..20 {
            let asked = now + millis(nth);
            bucket.learn(&told(100.0), asked);
            let refusal = Refusal { asked, ..refusal(Purpose::Write) };
            assert_eq!(bucket.refused(refusal, 0.5, asked), wait + millis(50));
        }
    }

    #[test]
    fn what_others_drained_counts_over_what_was_worked_out() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        bucket.learn(&told(2000.0), now);
        let later = now + Duration::from_secs(60);
        assert_eq!(bucket.reserve(400.0, Purpose::Write, later), Ok(()));
        bucket.release(400.0);
        bucket.learn(&told(30.0), later);
        assert_eq!(bucket.reserve(400.0, Purpose::Write, later), Err(Duration::from_millis(3_700)));
        // Another plan.
        let mut status = told(30.0);
        (status.throttle_status.restore_rate, status.throttle_status.maximum_available) = (1000.0, 300.0);
        bucket.learn(&status, later);
        assert_eq!(bucket.reserve(400.0, Purpose::Write, later), Err(Duration::from_millis(270)));
    }

    #[test]
    fn figures_that_make_no_sense_are_not_taken_over() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        bucket.learn(&told(f64::NAN), now);
        assert_eq!(bucket.reserve(1e9, Purpose::Read, now), Ok(()));
    }
}
