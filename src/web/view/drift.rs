//! Drift, comparisons with channels, and what is assumed of their delays.

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        count::Edits,
        drift::{Done, Found},
    },
    model::{ChannelId, LocationId, Quantity, Seq, Sku},
    web::view::{Ids, LetterId, Time},
};

/// `GET /v1/drift?channel=&limit=`: what waits for a person, and the latest drift of each other listing, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifts {
    pub rows: Vec<DriftView>,
    pub more: bool,
}

/// The latest drift of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftView {
    pub channel: ChannelId,
    pub sku: Sku,
    /// The number of the listing within the SKU.
    pub n: u16,
    /// What tells the listing from the others of the SKU on the channel: `kind=value`, as `evenkeel drift accept --listing`
    /// takes it.
    pub listing: Vec<String>,
    /// All that it goes by there.
    pub ids: Ids,
    /// Where it draws its stock from.
    pub locations: Vec<LocationId>,
    /// It waits for a person; nothing is raised there until then.
    pub open: bool,
    /// The position of its record in the journal.
    pub seq: Seq,
    pub at: Time,
    pub age_ms: i64,
    /// `edit` (somebody edited the stock), `rival` (another writer), `unseen` (a sale that was not seen).
    pub found: Found,
    /// Of a listing that is held, as of now: what ours would show, and, once ours was seen there, what it shows.
    pub expected: Quantity,
    pub observed: Quantity,
    /// When a lower of ours was seen there since, while it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours_seen_at: Option<Time>,
    /// `repaired`, `asked`, `accepted`, `left`, `held`, `released`, `gone`.
    pub done: Done,
    /// `repaired` is to be: nothing is written in shadow mode, or before `evenkeel resume --live`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwritten: bool,
    /// Why a person is asked although the policy says what to do.
    pub why: Option<String>,
    /// How often ours was written again lately.
    pub repairs: usize,
    /// The id to retry or discard it by, if it is a dead letter as well.
    pub dead_letter: Option<LetterId>,
}

/// `POST /v1/drift/accept`, `/repair` and `/release`: what a person says about a SKU's drift on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftRequest {
    pub sku: Sku,
    pub channel: ChannelId,
    /// Which of several listings, by what it goes by. Refused if it is left out and several have an open drift.
    #[serde(default, skip_serializing_if = "Ids::is_empty")]
    pub listing: Ids,
    /// The `seq` of the drift that it is said of: refused if that is not what is open any more. Left out: whatever is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// Of `accept`, where it is not known how many units were edited: what it should have shown, one of those that are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Quantity>,
}

/// `POST /v1/reconcile`: compares one page of a channel's catalogue with what it should show, and with `dry_run` only
/// says what would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileRequest {
    pub channel: ChannelId,
    #[serde(default)]
    pub dry_run: bool,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The `edits` of the page before, in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<Edits>,
}

/// The answer to a [`ReconcileRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcilePage {
    pub channel: ChannelId,
    /// Items of the page.
    pub items: usize,
    /// Items that no SKU was found for, that are never written, or that tell no quantity.
    pub skipped: usize,
    pub agree: usize,
    /// A change is under way there.
    pub under_way: usize,
    /// It was not known before what they show.
    pub unknown: usize,
    /// They were read so soon after a change that an old copy may have answered: they are looked at again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub too_soon: Vec<TooSoonRow>,
    /// Nothing explains them so far. They are judged once the channel's orders are read past this.
    pub differ: Vec<ReconcileRow>,
    /// Pass this as `after` to go on; `None`: that was all.
    pub next: Option<String>,
    /// What the brake would know of the edits so far. Pass this with `next`: it weighs all pages together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<Edits>,
}

/// A listing whose quantity was read too soon to say anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooSoonRow {
    pub sku: Sku,
    /// What tells the listing from the others of the SKU on the channel: `kind=value`.
    pub listing: Vec<String>,
    /// Where it draws its stock from.
    pub locations: Vec<LocationId>,
    pub shown: Quantity,
    pub expected: Option<Quantity>,
}

/// A listing that shows something that nothing explains so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileRow {
    pub sku: Sku,
    /// What tells the listing from the others of the SKU on the channel: `kind=value`.
    pub listing: Vec<String>,
    /// Where it draws its stock from.
    pub locations: Vec<LocationId>,
    pub shown: Quantity,
    pub expected: Quantity,
    /// What it is to show.
    pub wanted: Option<Quantity>,
    pub found: Found,
    /// What is done about it once the orders are read, if nothing explains it by then.
    pub will_be: Done,
    /// `repaired` once something is written: nothing is in shadow mode, or before `evenkeel resume --live`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwritten: bool,
    pub why: Option<String>,
}

/// What is assumed of a channel's delays, and what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssumptionView {
    /// `feed_lag`, `late` or `stale`: the key below `assume` of the channel's configuration.
    pub name: String,
    pub stated_ms: i64,
    /// The most that was ever measured; 0: it never showed.
    pub max_ms: i64,
    /// How often it showed.
    pub measured: u64,
    /// How often it was more than stated.
    pub broken: u32,
    pub broken_at: Option<Time>,
    /// How often it was up to each bound of `bounds_ms`, and more than the last.
    pub buckets: Vec<u32>,
    pub bounds_ms: Vec<i64>,
}
