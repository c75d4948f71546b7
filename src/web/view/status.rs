//! How the daemon and its channels stand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    core::allocation::Pause,
    model::{ChannelId, Mode, Notice, Seq, Sku},
    web::view::{AssumptionView, Time},
};

/// `GET /v1/status`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub instance: String,
    pub mode: Mode,
    pub now: Time,
    pub uptime_ms: i64,
    /// The journal's position that is durable.
    pub seq: Seq,
    /// When the opening stock was taken over. Until then nothing is written to any channel.
    pub initialised_at: Option<Time>,
    /// When the store was restored from a backup. Until a person lets it write, it is in shadow mode.
    #[serde(default)]
    pub restored_at: Option<Time>,
    /// Why nothing is taken in, if nothing is: there is too little room, or none.
    #[serde(default)]
    pub refuses: Option<String>,
    /// How it stands with the room on the store's disk, if that is not plain good: it fills up, or nothing is taken in.
    #[serde(default)]
    pub disk: Option<String>,
    pub channels: Vec<ChannelStatus>,
    pub skus: usize,
    /// Those that a person has paused on all channels.
    #[serde(default)]
    pub paused_skus: PausedSkus,
    /// All that are known, the pruned ones too.
    pub orders: usize,
    /// Those of which a tombstone is left.
    #[serde(default)]
    pub orders_pruned: usize,
    /// Commands that wait for the ledger.
    pub queued: usize,
    /// Legs and postings that wait for a person, held counts and quarantined messages, all together.
    pub dead_letters: usize,
    pub alerts_firing: usize,
    pub quarantine: usize,
    pub held_counts: usize,
    /// Why the configuration file is not in effect, if the brake holds it.
    #[serde(default)]
    pub held_configuration: Option<String>,
    /// Catalogue items that no SKU was found for.
    pub unmatched: usize,
    /// How large the state is on disk.
    #[serde(default)]
    pub state_bytes: u64,
    /// When it was built anew, or took the place of an older one. `None`: not known, so it soon will be.
    #[serde(default)]
    pub state_built_at: Option<Time>,
}

/// SKUs that are paused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedSkus {
    pub count: usize,
    /// The first of them by name, up to 1000.
    pub some: Vec<PausedSku>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedSku {
    pub sku: Sku,
    pub mode: Pause,
}

impl PausedSkus {
    const SOME: usize = 1_000;

    pub(in crate::web) fn extend(&mut self, paused: Option<PausedSku>) {
        let Some(paused) = paused else { return };
        self.count += 1;
        if self.some.len() < PausedSkus::SOME {
            self.some.push(paused);
        }
    }
}

/// One channel within [`Status`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelStatus {
    pub channel: ChannelId,
    /// `shopify`, `amazon` or `tryton`.
    pub kind: String,
    pub circuit: CircuitView,
    pub paused: Option<Pause>,
    /// The last complete read of its orders. `None`: never, or it does not sell.
    pub orders_read_at: Option<Time>,
    pub orders_read_age_ms: Option<i64>,
    /// Up to when its orders were read, by the channel's clock.
    pub orders_read_through: Option<Time>,
    /// Up to when its movements were counted, by the counter's clock. `None`: it does not count.
    pub counted_through: Option<Time>,
    /// When its catalogue was last read whole.
    pub catalogue_read_at: Option<Time>,
    /// When all its quantities were last read.
    pub swept_at: Option<Time>,
    pub listings: usize,
    /// Listings that are never written (FBA, untracked, unknown fulfilment).
    pub unwritable: usize,
    /// How many legs are in which state: `pending`, `in_flight`, `accepted`, `probing`, `looking`, `retry`,
    /// `confirmed`, `parked`, `dropped`. States that no leg is in are left out.
    pub legs: BTreeMap<String, usize>,
    /// Legs that are neither confirmed nor given to a person.
    pub unconfirmed: usize,
    pub oldest_unconfirmed: Option<Oldest>,
    /// How long the oldest unconfirmed change has been under way; 0 when all is confirmed.
    pub lag_ms: i64,
    /// Orders with a line that no SKU was found for.
    pub unmapped_orders: usize,
    /// Orders that it is still to be told of. For an ERP.
    pub postings_waiting: usize,
    /// Postings that wait for a person.
    pub postings_parked: usize,
    /// Listings whose drift waits for a person.
    #[serde(default)]
    pub drifts: usize,
    /// The most that it may still sell unseen, over all listings of which that is known. `None`: it is known of none of
    /// them, or it does not sell.
    #[serde(default)]
    pub exposure: Option<i64>,
    /// What is assumed of its delays, and what was measured. For a channel that sells.
    #[serde(default)]
    pub assumptions: Vec<AssumptionView>,
    /// What a person should know of it: its API, our rights there, its pushes.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// Many writes that left as one, and are not done yet (Amazon: a feed).
    #[serde(default)]
    pub feed: Option<FeedView>,
}

/// Many writes that left as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedView {
    /// What the channel calls it. `None`: not known (yet).
    pub id: Option<String>,
    /// `being sent`, `without an answer`, `in the queue` or `being worked off`.
    pub stage: String,
    pub listings: u32,
    pub since: Time,
}

/// The change that is longest under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oldest {
    pub sku: Sku,
    pub since: Time,
    pub age_ms: i64,
}

/// Whether a channel is sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CircuitView {
    Closed {
        /// Failures in a row so far.
        failures: u32,
        /// Since when requests fail, and what was said last.
        #[serde(default)]
        failing_since: Option<Time>,
        #[serde(default)]
        last_error: Option<String>,
    },
    /// Nothing is sent before `until`, then one write probes.
    Open {
        until: Time,
        /// The channel refuses the credentials: a person must act.
        unauthorized: Option<String>,
        /// Since when requests fail, and what was said last.
        #[serde(default)]
        failing_since: Option<Time>,
        #[serde(default)]
        last_error: Option<String>,
    },
}
