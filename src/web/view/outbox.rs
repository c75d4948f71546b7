//! What has not arrived yet.

use serde::{Deserialize, Serialize};

use crate::{
    model::{ChannelId, LocationId, Quantity, Revision, Sku},
    web::view::Time,
};

/// `GET /v1/outbox?channel=&limit=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    pub rows: Vec<OutboxRow>,
    /// There are more than were asked for.
    pub more: bool,
    /// What waits for a person, and is none of the rows: refused quantities and postings.
    pub dead_letters: usize,
    /// Nothing is written: the rows are what would be, without what the channels show already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// The opening stock was not taken over yet: no listing is wanted to show anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unopened: bool,
    /// What persons have given up, and shows something else than it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<GivenUp>,
    /// Listings that are not written, or show none, because nothing was counted where they draw from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncounted: Vec<UncountedView>,
}

/// Listings of one channel within [`Outbox`] that draw from the same places, at none of which their SKU was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncountedView {
    pub channel: ChannelId,
    pub locations: Vec<LocationId>,
    pub listings: usize,
    /// The first of their SKUs.
    pub some: Vec<Sku>,
    /// The channel that counts there. `None`: people do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<ChannelId>,
    /// Ours was shown there: they show none until their SKUs, or what those are made of, are counted at one of the locations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shows_none: bool,
}

/// Listings that persons have given up, within [`Outbox`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    pub count: usize,
    /// The first of them.
    pub some: Vec<GivenUpView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUpView {
    pub channel: ChannelId,
    pub sku: Sku,
    /// What the listing goes by, as `evenkeel drift` names it: `kind=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listing: Vec<String>,
    /// Its SKU has other listings on the channel: this is what tells them apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
    /// What the channel shows, as far as is known.
    pub shown: Option<Quantity>,
    /// What it should show.
    pub quantity: Quantity,
    /// Who left it so.
    #[serde(default)]
    pub why: String,
    /// The command that takes it up again.
    pub command: String,
}

/// Something that has not arrived yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxRow {
    pub kind: OutboxKind,
    pub channel: ChannelId,
    /// The SKU of a leg, `channel:order` of a posting.
    pub subject: String,
    /// What the listing goes by, as `evenkeel drift` names it: `kind=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listing: Vec<String>,
    /// Its SKU has other listings on the channel: this is what tells them apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
    /// Where the listing draws its stock from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<LocationId>,
    /// As in [`ListingView::state`] and [`PostingView::state`].
    pub state: String,
    /// What it is to show. `None` for a posting.
    pub quantity: Option<Quantity>,
    /// What the channel shows, as far as is known: by the latest read, or else `base`.
    #[serde(default)]
    pub shown: Option<Quantity>,
    /// What the channel is expected to show until then.
    pub base: Option<Quantity>,
    pub revision: Option<Revision>,
    pub tries: u32,
    pub since: Time,
    pub age_ms: i64,
    /// When it is next sent or looked at, if that is known.
    pub next_at: Option<Time>,
    /// Why it waits.
    pub why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxKind {
    Leg,
    Posting,
}
