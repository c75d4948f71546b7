//! What a channel can do.

use serde::{Deserialize, Serialize};

/// When a write that the channel took shows on the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visible {
    AtOnce,
    /// The channel queues writes; they show after seconds to hours.
    Later,
}

/// Which quantity a counter tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// What lies on the shelf, sold or not.
    OnHand,
    /// What lies on the shelf less the counter's own open orders.
    Free,
}

/// What a channel can, stated by its connector. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Abilities {
    /// Quantities can be written. An ERP that takes postings instead says no.
    pub quantities: bool,
    /// A write can name the quantity that it expects to replace.
    pub compare_and_set: bool,
    /// A write can change what is shown by so many units, whatever that is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delta: bool,
    pub visible: Visible,
    /// The channel sells, and lowers its own quantity when it does.
    pub sells: bool,
    /// Raises its own quantity when a cancelled unit may be sold again.
    pub restocks_cancels: bool,
    /// Raises its own quantity when a returned unit may be sold again.
    pub restocks_returns: bool,
    /// Takes postings of orders (an ERP).
    pub posts: bool,
    /// Tells counts (an ERP), and which quantity they are.
    pub counts: Option<Measure>,
    /// The largest number of listings in one write.
    pub batch: u32,
    /// How long after we gave up a write it may still land.
    pub late_ms: i64,
    /// How old a read may be.
    pub stale_ms: i64,
    /// How long an order may take to appear in the feed.
    pub feed_lag_ms: i64,
    /// How long a written quantity may take to show before it counts as never applied.
    pub visible_ms: i64,
    /// How long to wait before the first look at a written quantity.
    pub look_ms: i64,
}
