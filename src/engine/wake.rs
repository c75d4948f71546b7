//! Wake-ups: hints that something may be due. A missed one costs latency, never correctness.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::Notify;

use crate::{
    core::{State, decide::lane::feed_wanted, index::Kind},
    model::{ChannelId, Timestamp},
};

/// The loops of one channel that can be woken.
#[derive(Debug, Default)]
pub struct ChannelWakes {
    pub lane: Notify,
    /// Has the orders read.
    pub feed: Notify,
    /// Has the feed look whether a read would help something.
    pub feed_hint: Notify,
    pub counter: Notify,
    /// Has everything counted.
    pub sweep: Notify,
    pub poster: Notify,
    /// Has the whole catalogue compared.
    pub reconcile: Notify,
    /// Has the channel tended.
    pub tend: Notify,
}

/// All that can be woken.
#[derive(Debug, Default)]
pub struct Wakes {
    channels: RwLock<BTreeMap<ChannelId, Arc<ChannelWakes>>>,
    pub alerts: Notify,
}

impl Wakes {
    pub fn new(channels: impl IntoIterator<Item = ChannelId>) -> Wakes {
        let channels = channels.into_iter().map(|id| (id, Arc::default())).collect();
        Wakes { channels: RwLock::new(channels), alerts: Notify::new() }
    }

    /// Lets a channel be woken from here on.
    pub fn add(&self, channel: ChannelId) {
        self.channels.write().unwrap_or_else(PoisonError::into_inner).entry(channel).or_default();
    }

    pub fn remove(&self, channel: &ChannelId) {
        self.channels.write().unwrap_or_else(PoisonError::into_inner).remove(channel);
    }

    fn held(&self) -> RwLockReadGuard<'_, BTreeMap<ChannelId, Arc<ChannelWakes>>> {
        // What a panic left behind is whole: every change is a single step.
        self.channels.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the wake-ups of a channel.
    pub fn channel(&self, channel: &ChannelId) -> Option<Arc<ChannelWakes>> {
        self.held().get(channel).cloned()
    }

    /// Wakes what the state now has work for, apart from the feeds.
    pub fn after(&self, state: &State) {
        for (channel, wakes) in self.held().iter() {
            let any = |kind: Kind| state.index.of(kind, channel).next().is_some();
            if any(Kind::Ready) || any(Kind::Look) {
                wakes.lane.notify_one();
            }
            if any(Kind::Post) {
                wakes.poster.notify_one();
            }
        }
        if state.alerts.values().any(|alert| alert.send_at.is_some()) {
            self.alerts.notify_one();
        }
    }

    /// Wakes the feeds whose orders are waited for.
    pub fn feeds(&self, state: &State, now: Timestamp) {
        for (channel, wakes) in self.held().iter() {
            if feed_wanted(state, channel, now) {
                wakes.feed_hint.notify_one();
            }
        }
    }
}
