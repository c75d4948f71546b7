//! A token bucket that fills continuously: Shopify's cost points and Amazon's usage plans.

pub(super) struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    seen_ms: i64,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(capacity: f64, per_second: f64, now_ms: i64) -> Bucket {
        Bucket { capacity, per_second, level: capacity, seen_ms: now_ms }
    }

    /// What is in the bucket at `now_ms`.
    pub(super) fn level(&mut self, now_ms: i64) -> f64 {
        let elapsed = (now_ms - self.seen_ms).max(0);
        self.seen_ms = self.seen_ms.max(now_ms);
        self.level = (self.level + elapsed as f64 / 1000.0 * self.per_second).min(self.capacity);
        self.level
    }

    /// Takes `amount` if it is there.
    pub(super) fn take(&mut self, amount: f64, now_ms: i64) -> bool {
        let enough = self.level(now_ms) >= amount;
        if enough {
            self.level -= amount;
        }
        enough
    }

    /// Gives `amount` back.
    pub(super) fn refund(&mut self, amount: f64) {
        self.level = (self.level + amount).min(self.capacity);
    }

    pub(super) fn capacity(&self) -> f64 {
        self.capacity
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_empties_and_fills_up_to_its_capacity() {
        let mut bucket = Bucket::new(20.0, 2.0, 0);
        assert!(bucket.take(20.0, 0));
        assert!(!bucket.take(1.0, 499));
        assert!(bucket.take(1.0, 500));
        bucket.refund(1.0);
        assert!((bucket.level(500) - 1.0).abs() < 1e-9);
        assert!((bucket.level(1_000_000) - 20.0).abs() < 1e-9);
    }
}
