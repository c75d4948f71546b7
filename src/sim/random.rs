//! The only source of chance in a run: seeded, and the same on every machine and for every release.

/// SplitMix64. What a seed draws must never change by itself, so it is not left to a crate.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns another source for what was added later, so that what this one draws stays as it was.
    pub(super) fn fork(&self, of: u64) -> Random {
        let mut fork = Random(self.0 ^ of.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        fork.next();
        fork
    }

    /// Draws a number below `most`; zero if there is none.
    pub(super) fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % most).expect("it is below a usize")
    }

    /// Draws a number from `least` to `most`, both of which may come.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        let span = most.saturating_sub(least).max(0).unsigned_abs().saturating_add(1);
        least.saturating_add_unsigned(self.next() % span)
    }

    /// Comes true `permille` times in a thousand.
    pub(super) fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.next() % 1_000 < u64::from(permille)
    }

    /// Draws a span about `mean`: seldom much longer, often shorter.
    pub(super) fn about(&mut self, mean: i64) -> i64 {
        // The lesser of two is near enough to a waiting time, and needs no floating point.
        let least = (self.next() % 1_000).min(self.next() % 1_000);
        let share = i64::try_from(least).expect("it is below a thousand");
        (mean.saturating_mul(share) / 333).max(1)
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_for_ever() {
        let mut random = Random::new(42);
        let drawn = [random.next(), random.next(), random.next()];
        assert_eq!(drawn, [13_679_457_532_755_275_413, 2_949_826_092_126_892_291, 5_139_283_748_462_763_858]);
    }

    #[test]
    fn what_is_drawn_is_within_its_bounds() {
        let mut random = Random::new(7);
        let drawn: Vec<i64> = (0..2_000).map(|_| random.between(-3, 3)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&-3), Some(&3)));
        assert!((0..2_000).all(|_| random.below(5) < 5 && !random.chance(0) && random.chance(1_000)));
        assert_eq!(random.pick::<u8>(&[]), None);
        let mean = (0..20_000).map(|_| random.about(1_000)).sum::<i64>() / 20_000;
        assert!((900..1_100).contains(&mean), "{mean}");
    }
}
