//! A SKU: its stock, its listings, what became of it.

use serde::{Deserialize, Serialize};

use crate::{
    core::allocation::Pause,
    model::{
        ChannelId, Counter, FulfilledBy, LocationId, Measure, OrderKey, Quantity, Revision, Seq, Sku,
        policy::Part,
    },
    web::view::{DriftView, Ids, LetterId, Time},
};

/// `GET /v1/skus/{sku}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuView {
    /// As it was asked for.
    pub sku: Sku,
    /// What it is called now, if it became part of another SKU: all that is told here is that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Sku>,
    /// Counts the changes of what it should show.
    pub revision: Revision,
    /// By whichever of its names.
    pub paused: Option<Pause>,
    /// Something that it is made of is stopped, so that it shows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_part: Option<Sku>,
    /// What one unit of it takes from the stock, if that is not itself: the components of a bundle, or the SKU that it
    /// was merged into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_of: Vec<Part>,
    /// Of a bundle: what there is of its components.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentView>,
    pub stock: Vec<PlaceView>,
    pub listings: Vec<ListingView>,
    /// Stock changes that are not seen live everywhere yet, oldest first.
    pub commits: Vec<CommitView>,
    /// The latest ledger entries, oldest first. The journal has all of them.
    pub recent: Vec<EntryView>,
    /// Available over all places that were counted; of a bundle, what its scarcest component makes.
    pub available: Quantity,
    /// The most that its listings may still sell unseen, those left out of which that is not known. `None`: it is known of
    /// none of them.
    #[serde(default)]
    pub exposure: Option<Quantity>,
    /// Available less exposure: what may still be raised. `None`: it is not known what all listings show.
    pub slack: Option<Quantity>,
}

/// A component of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentView {
    pub sku: Sku,
    /// How many of it one bundle takes.
    pub units: Quantity,
    /// Available over all places. `None`: it was never counted, so the bundle is not shown.
    pub available: Option<Quantity>,
    /// For how many bundles that is enough.
    pub enough_for: Option<Quantity>,
}

/// The balances of a SKU at one location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceView {
    pub location: LocationId,
    pub on_hand: Quantity,
    pub committed: Quantity,
    pub reserved: Quantity,
    pub available: Quantity,
    /// On its way here from another place, not for sale yet.
    #[serde(default)]
    pub incoming: Quantity,
    /// The opening count. `None`: there was none, and nothing is shown of this place.
    pub opened: Option<OpenedView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedView {
    pub as_of: Time,
    /// The channel that counted, or `@person`.
    pub counter: Counter,
    pub measure: Measure,
}

/// A SKU on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingView {
    /// The SKU that it is listed as: by this name or by another one of the same SKU.
    pub sku: Sku,
    pub channel: ChannelId,
    /// Its number within the SKU, part of a dead letter's id.
    pub n: u16,
    pub ids: Ids,
    pub by: FulfilledBy,
    /// Why it is never written, if so.
    pub unwritable: Option<String>,
    /// The most that it may show, by a person's word. `None`: no such limit.
    #[serde(default)]
    pub allotted: Option<Quantity>,
    /// The leg's state; `None`: nothing was ever to be shown.
    pub state: Option<String>,
    /// What it is to show; while it is frozen, what it would be.
    pub desired: Option<Quantity>,
    /// It is paused as frozen: nothing is written, and what is shown stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// How many units more lie where it draws from, owed to what was sold at another place.
    #[serde(default)]
    pub owed: Quantity,
    pub revision: Option<Revision>,
    /// What was last seen live, of what we wrote.
    pub shown: Option<Quantity>,
    pub shown_revision: Option<Revision>,
    pub confirmed_at: Option<Time>,
    /// What the channel is expected to show, its own sales included. `None`: not known.
    pub base: Option<Quantity>,
    /// What it was read to show, where its orders must be read before that is believed.
    #[serde(default)]
    pub looked: Option<Quantity>,
    pub tries: u32,
    /// Since when it is unconfirmed.
    pub since: Option<Time>,
    pub age_ms: Option<i64>,
    /// When it is next written or looked at.
    pub next_at: Option<Time>,
    /// Its channel, or its place there, is not configured any more: nothing is written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// Why it is not sent now, or waits for a person.
    pub waits_for: Option<String>,
    /// Writes that may still land.
    pub unsettled: Vec<UnsettledView>,
    /// The most that it may still sell unseen: `base`, or what was read there if that is more, and what each of `unsettled` may add.
    /// `None`: not known, or it sells nothing of the merchant's.
    pub exposure: Option<Quantity>,
    /// Its latest drift.
    pub drift: Option<DriftView>,
    /// The id to retry or discard it by, if it waits for a person.
    pub dead_letter: Option<LetterId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsettledView {
    pub quantity: Quantity,
    /// The quantity it replaces, if the channel compares.
    pub compare: Option<Quantity>,
    /// By how much it changes what is shown instead, if it is a delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Quantity>,
    /// How often it was sent, if more than once.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
    /// How many units it may add to what is shown, all times together: they are in the listing's `exposure`, beyond its `base`.
    #[serde(default)]
    pub may_add: Quantity,
    pub sent_at: Time,
}

fn once() -> u32 {
    1
}

fn is_once(times: &u32) -> bool {
    *times == 1
}

/// A stock change on its way to the listings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitView {
    pub id: Seq,
    /// The SKU that the listings are listed as.
    pub sku: Sku,
    pub revision: Revision,
    pub opened_at: Time,
    /// When the cause happened, by the source's clock.
    pub event_at: Time,
    pub age_ms: i64,
    /// The numbers of the listings that change.
    pub legs: Vec<u16>,
}

/// A ledger entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    pub seq: Seq,
    pub location: LocationId,
    /// `sale`, `cancel`, `write_off`, `ship`, `return`, `return_quarantined`, `count`, `adjustment`, `correction`,
    /// `baseline`, `transfer_out`, `incoming`, `transfer_in`, `transfer_lost`.
    pub kind: String,
    pub quantity: Quantity,
    /// What it came from, for people: `order main:1001 line 1`, `count by erp as of ...`.
    pub cause: String,
    /// The order it came from, if it did.
    pub order: Option<OrderKey>,
    /// When it happened, by the source's clock. Of an edit, which a channel tells no time of: the read before it if it raised, the read
    /// that saw it if it lowered.
    pub event_at: Time,
    pub recorded_at: Time,
    pub on_hand: Quantity,
    pub committed: Quantity,
    pub reserved: Quantity,
}
