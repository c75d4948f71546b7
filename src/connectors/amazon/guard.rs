//! Which listings are known to be merchant-fulfilled, and so may be written.
//!
//! Writing a quantity to an FBA listing would turn it into one that the merchant ships and strand its stock at
//! Amazon. So only what was lately *read* as merchant-fulfilled is here; anything else is unknown. Knows no network.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long a reading is believed. A listing may be turned over to Amazon at any time.
const BELIEVED: Duration = Duration::from_secs(3600);

/// How many listings one generation holds; there are two.
const GENERATION_MAX: usize = 20_000;

/// The listings that may be written, each with a marketplace in which it is listed. Bounded: the young generation
/// becomes the old one when it is full, and the old one is forgotten.
#[derive(Debug, Default)]
pub(super) struct Guard {
    known: Mutex<[BTreeMap<Arc<str>, Known>; 2]>,
}

#[derive(Debug, Clone)]
struct Known {
    marketplace: Arc<str>,
    read_at: Instant,
}

impl Guard {
    /// Notes that the listing was read as merchant-fulfilled, and nothing else.
    pub(super) fn allow(&self, sku: &str, marketplace: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *known;
        if young.len() >= GENERATION_MAX && !young.contains_key(sku) {
            *old = mem::take(young);
        }
        let entry = Known { marketplace: Arc::from(marketplace), read_at: Instant::now() };
        young.insert(Arc::from(sku), entry);
    }

    /// Notes that the listing must not be written, or is gone.
    pub(super) fn forbid(&self, sku: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for generation in &mut *known {
            generation.remove(sku);
        }
    }

    /// Returns a marketplace of the listing if it may be written. `None`: not known (any more), read it first.
    pub(super) fn allowed(&self, sku: &str) -> Option<Arc<str>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.iter().find_map(|generation| generation.get(sku))?;
        (entry.read_at.elapsed() < BELIEVED).then(|| Arc::clone(&entry.marketplace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reading_is_believed_for_an_hour_and_until_another_contradicts() {
        let guard = Guard::default();
        assert_eq!(guard.allowed("A"), None);
        guard.allow("A", "US");
        tokio::time::advance(BELIEVED - Duration::from_secs(1)).await;
        assert_eq!(guard.allowed("A").as_deref(), Some("US"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(guard.allowed("A"), None);
        guard.allow("A", "CA");
        assert_eq!(guard.allowed("A").as_deref(), Some("CA"));
        guard.forbid("A");
        assert_eq!(guard.allowed("A"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_holds_two_generations_and_no_more() {
        let guard = Guard::default();
        for n in 0..=2 * GENERATION_MAX {
            guard.allow(&n.to_string(), "US");
        }
        assert_eq!(guard.allowed("0"), None);
        assert!(guard.allowed(&GENERATION_MAX.to_string()).is_some());
        assert!(guard.allowed(&(2 * GENERATION_MAX).to_string()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn forbidding_reaches_the_old_generation() {
        let guard = Guard::default();
        for n in 0..=GENERATION_MAX {
            guard.allow(&n.to_string(), "US");
        }
        guard.forbid("0");
        assert_eq!(guard.allowed("0"), None);
    }
}
