//! What is assumed of a channel's delays, and what they turned out to be.
//!
//! Fences and exposure rest on three bounds that a connector states, or the operator in its place. Each time that one of
//! them shows, it is measured; one that was broken is told to a person, because what rests on it may be wrong.

use serde::{Deserialize, Serialize};

use crate::model::{Abilities, Timestamp};

/// What is assumed of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assumption {
    /// How long an order may take to appear in the feed.
    FeedLag,
    /// How long after it was given up a write may still land.
    Late,
    /// How old a read may be.
    Stale,
}

impl Assumption {
    pub const ALL: [Assumption; 3] = [Assumption::FeedLag, Assumption::Late, Assumption::Stale];

    /// Returns the name that people and metrics know it by: the key below `assume` of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Assumption::FeedLag => "feed_lag",
            Assumption::Late => "late",
            Assumption::Stale => "stale",
        }
    }

    /// Returns what is stated of it, in milliseconds.
    pub fn stated(self, abilities: &Abilities) -> i64 {
        match self {
            Assumption::FeedLag => abilities.feed_lag_ms,
            Assumption::Late => abilities.late_ms,
            Assumption::Stale => abilities.stale_ms,
        }
    }
}

/// The upper bounds of all buckets but the last, in milliseconds.
pub const BOUNDS_MS: [i64; 7] = [1_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000];
/// How long people are told of a broken assumption after it was last broken.
const TOLD_MS: i64 = 6 * 3_600_000;

/// How one assumption turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// How often, by how much.
    pub buckets: [u32; BOUNDS_MS.len() + 1],
    pub max_ms: i64,
    /// How often it was more than stated, and the latest time.
    #[serde(default)]
    pub broken: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<Timestamp>,
    #[serde(default)]
    pub broken_ms: i64,
}

/// How what is assumed of a channel turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measures {
    #[serde(default)]
    pub feed_lag: Measured,
    #[serde(default)]
    pub late: Measured,
    #[serde(default)]
    pub stale: Measured,
}

impl Measured {
    fn note(&mut self, stated_ms: i64, measured_ms: i64, at: Timestamp) {
        let bucket = BOUNDS_MS.iter().position(|bound| measured_ms <= *bound).unwrap_or(BOUNDS_MS.len());
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
        self.max_ms = self.max_ms.max(measured_ms);
        if measured_ms > stated_ms {
            self.broken = self.broken.saturating_add(1);
            (self.broken_at, self.broken_ms) = (Some(at), measured_ms);
        }
    }

    /// Returns how often it was measured.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|count| u64::from(*count)).sum()
    }

    /// Tells whether it was broken lately, and is still stated too low.
    pub fn is_broken(&self, stated_ms: i64, now: Timestamp) -> bool {
        self.broken_ms > stated_ms && self.broken_at.is_some_and(|at| now.since(at) < TOLD_MS)
    }
}

impl Measures {
    pub fn of(&self, assumption: Assumption) -> &Measured {
        match assumption {
            Assumption::FeedLag => &self.feed_lag,
            Assumption::Late => &self.late,
            Assumption::Stale => &self.stale,
        }
    }

    /// Takes in one measurement.
    pub fn note(&mut self, assumption: Assumption, stated_ms: i64, measured_ms: i64, at: Timestamp) {
        let of = match assumption {
            Assumption::FeedLag => &mut self.feed_lag,
            Assumption::Late => &mut self.late,
            Assumption::Stale => &mut self.stale,
        };
        of.note(stated_ms, measured_ms, at);
    }

    pub fn is_none(&self) -> bool {
        *self == Measures::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_beyond_what_is_stated_breaks_it_until_it_is_stated_higher() {
        let at = Timestamp::from_millis;
        let mut measures = Measures::default();
        measures.note(Assumption::FeedLag, 3_000, 900, at(1));
        measures.note(Assumption::FeedLag, 3_000, 3_000, at(2));
        assert!(!measures.feed_lag.is_broken(3_000, at(3)));
        measures.note(Assumption::FeedLag, 3_000, 20_000, at(4));
        let told = measures.of(Assumption::FeedLag);
        assert_eq!((told.buckets, told.max_ms, told.count()), ([1, 1, 0, 1, 0, 0, 0, 0], 20_000, 3));
        assert!(told.is_broken(3_000, at(5)) && told.is_broken(19_999, at(5)));
        assert!(!told.is_broken(20_000, at(5)), "it is stated high enough by now");
        assert!(!told.is_broken(3_000, at(5 + TOLD_MS)), "it was long ago");
        measures.note(Assumption::Late, 0, i64::MAX, at(6));
        assert_eq!(measures.late.buckets[BOUNDS_MS.len()], 1);
        assert!(measures.stale.count() == 0 && !measures.is_none());
    }
}
