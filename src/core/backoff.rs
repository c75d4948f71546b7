//! When to try again: exponential with full jitter, capped. Pure: the seed is an argument.

use crate::model::{Retry, Timestamp};

/// Returns when attempt number `attempt` (the first failure is 1) may follow.
///
/// Full jitter: uniform between one millisecond and `min(cap, base * 2^(attempt - 1))`, see "Exponential Backoff And
/// Jitter", AWS Architecture Blog, 2015.
pub fn next(retry: &Retry, attempt: u32, seed: u64, now: Timestamp) -> Timestamp {
    let doublings = attempt.saturating_sub(1).min(32);
    let span = retry.base_ms.max(1).saturating_mul(1_i64 << doublings).min(retry.cap_ms.max(1));
    let jitter = mix(seed ^ u64::from(attempt)) % u64::try_from(span).unwrap_or(1);
    now.plus_millis(1 + i64::try_from(jitter).unwrap_or(0))
}

/// Spreads a seed over all bits (SplitMix64, Steele et al. 2014).
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns a stable 64-bit digest of some text, for seeds and in-memory indexes (FNV-1a).
pub fn digest(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry =
        Retry { base_ms: 1_000, cap_ms: 60_000, circuit_failures: 5, circuit_open_ms: 30_000 };

    #[test]
    fn waits_grow_up_to_the_cap() {
        for (attempt, most) in
            [(1, 1_000), (2, 2_000), (3, 4_000), (7, 60_000), (40, 60_000), (u32::MAX, 60_000)]
        {
            for seed in 0..500 {
                let wait = next(&RETRY, attempt, seed, Timestamp::ZERO).millis();
                assert!((1..=most).contains(&wait), "attempt {attempt} seed {seed}: {wait}");
            }
        }
    }

    #[test]
    fn seeds_spread_over_the_whole_span() {
        let waits: Vec<i64> = (0..500).map(|seed| next(&RETRY, 3, seed, Timestamp::ZERO).millis()).collect();
        assert!(waits.iter().any(|w| *w < 200) && waits.iter().any(|w| *w > 3_800));
    }
}
