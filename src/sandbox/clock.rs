//! Time as the simulated systems see it. The wall clock is read once; tokio's clock carries it from there, so that it
//! never runs backwards and a test may pause it. Times are UTC milliseconds.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

pub(super) struct Clock {
    base_ms: i64,
    started: Instant,
}

impl Clock {
    pub(super) fn new() -> Clock {
        #[expect(
            clippy::disallowed_methods,
            reason = "the sandbox shares nothing with the daemon, not even its clock"
        )]
        let now = Timestamp::now();
        Clock { base_ms: now.as_millisecond(), started: Instant::now() }
    }

    pub(super) fn now_ms(&self) -> i64 {
        let elapsed = self.started.elapsed().as_millis();
        self.base_ms + i64::try_from(elapsed).expect("no sandbox runs for millions of years")
    }

    /// Returns the instant at which [`Clock::now_ms`] reaches `ms`.
    pub(super) fn instant(&self, ms: i64) -> Instant {
        let ahead = u64::try_from(ms - self.base_ms).unwrap_or(0);
        self.started + Duration::from_millis(ahead)
    }
}

/// `2026-06-25T01:33:55Z`, as Shopify's GraphQL API writes times.
pub(super) fn iso_seconds(ms: i64) -> String {
    stamp(ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-06-25T01:33:55.123Z`, as Amazon writes times.
pub(super) fn iso_millis(ms: i64) -> String {
    stamp(ms).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `2026-06-24T20:33:55-05:00`, as Shopify's webhook bodies write times: in the shop's own zone.
pub(super) fn iso_shop_zone(ms: i64) -> String {
    let zoned = stamp(ms).to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(-5)));
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Reads an ISO 8601 time; a date alone is its midnight, and a missing zone is UTC.
pub(super) fn parse_iso(text: &str) -> Option<i64> {
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some(stamp.as_millisecond());
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_millisecond())
}

/// The UTC calendar time of `ms`.
pub(super) fn civil(ms: i64) -> jiff::civil::DateTime {
    stamp(ms).to_zoned(jiff::tz::TimeZone::UTC).datetime()
}

fn stamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("sandbox times lie in this century")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_writes_times_its_own_way() {
        let ms = 1_782_351_235_123;
        assert_eq!(iso_seconds(ms), "2026-06-25T01:33:55Z");
        assert_eq!(iso_millis(ms), "2026-06-25T01:33:55.123Z");
        assert_eq!(iso_shop_zone(ms), "2026-06-24T20:33:55-05:00");
    }

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        assert_eq!(parse_iso("2026-06-25T01:33:55.123Z"), Some(1_782_351_235_123));
        assert_eq!(parse_iso("2026-06-24T20:33:55.123-05:00"), Some(1_782_351_235_123));
        assert_eq!(parse_iso("2026-06-25T01:33:55"), Some(1_782_351_235_000));
        assert_eq!(parse_iso("2026-06-25"), parse_iso("2026-06-25T00:00:00Z"));
        assert_eq!(parse_iso("yesterday"), None);
    }
}
