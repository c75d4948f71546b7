//! Seeded chance. One die per purpose, so that (say) a webhook fault does not change what the shoppers buy.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::options::Span;

pub(super) struct Dice(StdRng);

impl Dice {
    /// The same seed and purpose give the same sequence.
    pub(super) fn new(seed: u64, purpose: u64) -> Dice {
        Dice(StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(purpose)))
    }

    /// True with probability `share`; a share outside 0..=1 is clamped.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.0.random_bool(share.clamp(0.0, 1.0))
    }

    pub(super) fn within(&mut self, span: Span) -> u64 {
        self.0.random_range(span.min..=span.max.max(span.min))
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound.max(1))
    }

    /// A number in 0..1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// A random (version 4) UUID.
    pub(super) fn uuid(&mut self) -> String {
        let bits: u128 = self.0.random();
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
