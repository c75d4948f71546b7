//! Changes that are tried out first: reloads, the mapping, and what is read again from quarantine.

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        decide::trial::{self, Effect, Moved},
        state::Ignored,
    },
    model::{ChannelId, LineId, OrderId, Quantity, Seq, Sku},
    web::view::{Difference, Ids, Time},
};

/// What a change would do, or did, to what listings show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EffectView {
    pub channels: Vec<MovedView>,
    /// Catalogue items that find their SKU.
    pub bound: usize,
    /// Order lines that find their SKU and are booked, and how many orders they are of.
    pub mapped_lines: usize,
    pub mapped_orders: usize,
    /// How many units fewer are available because of them, and of how many SKUs.
    pub mapped_units: Quantity,
    pub mapped_skus: usize,
    /// Some of these SKUs, the most units first.
    pub mapped_some: Vec<TakenView>,
    /// Order lines that are waited for no more; below zero: that are waited for again.
    pub ignored_lines: i64,
}

/// How many units fewer of a SKU are available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenView {
    pub sku: Sku,
    pub units: Quantity,
}

/// How many of them are named.
const NAMED: usize = 20;

/// One channel within [`EffectView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedView {
    pub channel: ChannelId,
    /// Listings that show a quantity.
    pub listings: usize,
    pub lowered: usize,
    pub raised: usize,
    /// Those among the lowered that go to zero.
    pub zeroed: usize,
    pub lowered_units: Quantity,
    pub raised_units: Quantity,
    /// Listings that stay as they are and are not written any more.
    pub left: usize,
    /// Some of those that change, the largest change first.
    pub some: Vec<Difference>,
}

impl From<&Effect> for EffectView {
    fn from(effect: &Effect) -> EffectView {
        let all = effect.mapped_units.iter().map(|(_, units)| units);
        let taken = |(sku, units): &(Sku, Quantity)| TakenView { sku: sku.clone(), units: *units };
        let channels = effect.channels.iter().map(|(channel, moved)| moved_view(channel, moved));
        EffectView {
            channels: channels.collect(),
            bound: effect.bound,
            mapped_lines: effect.mapped_lines,
            mapped_orders: effect.mapped_orders,
            mapped_units: all.fold(Quantity::ZERO, |sum, units| sum.add(*units).unwrap_or(sum)),
            mapped_skus: effect.mapped_units.len(),
            mapped_some: effect.mapped_units.iter().take(NAMED).map(taken).collect(),
            ignored_lines: effect.ignored_lines,
        }
    }
}

fn moved_view(channel: &ChannelId, moved: &Moved) -> MovedView {
    let difference = |of: &trial::Difference| Difference {
        sku: of.listing.sku.clone(),
        locations: of.locations.clone(),
        shows: of.shows,
        will_show: of.will_show,
    };
    MovedView {
        channel: channel.clone(),
        listings: moved.listings,
        lowered: moved.lowered,
        raised: moved.raised,
        zeroed: moved.zeroed,
        lowered_units: moved.lowered_units,
        raised_units: moved.raised_units,
        left: moved.left,
        some: moved.some.iter().map(difference).collect(),
    }
}

/// `POST /v1/reload`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Only tell what it would do.
    #[serde(default)]
    pub dry_run: bool,
    /// A person has seen what it would do: the brake does not hold it.
    #[serde(default)]
    pub confirm: bool,
}

/// The answer to [`ReloadRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Whether the file is in effect by now.
    pub done: bool,
    /// The file says what is in effect already.
    pub unchanged: bool,
    /// The tables and keys that differ.
    pub changes: Vec<String>,
    pub added: Vec<ChannelId>,
    pub removed: Vec<ChannelId>,
    /// Channels whose tasks are ended and started anew.
    pub restarted: Vec<ChannelId>,
    pub effect: EffectView,
    /// What is worth to be known, such as that a SKU with stock of its own becomes a bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why the brake holds it. Nothing was changed.
    pub held: Option<String>,
}

/// `POST /v1/map/ignore`: what goes by these identifiers, or one line of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreRequest {
    pub channel: ChannelId,
    #[serde(default)]
    pub ids: Ids,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineId>,
    /// Wait for it again.
    #[serde(default)]
    pub undo: bool,
    #[serde(default)]
    pub dry_run: bool,
    #[serde(default)]
    pub note: String,
    /// Who asks, as they call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The answer to [`IgnoreRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoreDone {
    pub dry_run: bool,
    /// How many catalogue items and order lines of it waited for a SKU.
    #[serde(default)]
    pub waiting: usize,
    pub effect: EffectView,
    /// What goes by it and has a SKU, and so is not left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What no SKU is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredView {
    pub channel: ChannelId,
    pub ids: Ids,
    pub since: Time,
    pub by: String,
    pub note: String,
}

impl IgnoredView {
    pub(in crate::web) fn of(channel: &ChannelId, ids: Ids, held: &Ignored) -> IgnoredView {
        let (by, note) = (held.note.by.clone(), held.note.reason.clone());
        IgnoredView { channel: channel.clone(), ids, since: held.at.into(), by, note }
    }
}

/// `GET /v1/quarantine`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineList {
    pub items: Vec<QuarantineItem>,
    pub more: bool,
}

/// A message that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineItem {
    pub id: Seq,
    pub channel: ChannelId,
    pub topic: String,
    /// What it is about, where that is known: an order, a delivery, a product.
    pub subject: Option<String>,
    pub why: String,
    pub since: Time,
    /// SHA-256 of the body, in hex; empty: none was kept.
    pub sha256: String,
    /// Whether the body is still kept.
    pub kept: bool,
}

/// `GET /v1/quarantine/{id}`: for root and the daemon's own user only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineBody {
    #[serde(flatten)]
    pub item: QuarantineItem,
    /// Whether the body is what its digest says.
    pub intact: bool,
    /// The body, if it is text.
    pub text: Option<String>,
    /// The body, if it is not.
    pub base64: Option<String>,
}

/// Which quarantined items are meant: those named, or all that fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meant {
    #[serde(default)]
    pub ids: Vec<Seq>,
    #[serde(default)]
    pub all: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

/// `POST /v1/quarantine/replay`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    pub meant: Meant,
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer to [`ReplayRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    pub dry_run: bool,
    pub items: Vec<ReplayedItem>,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayedItem {
    pub id: Seq,
    pub channel: ChannelId,
    pub topic: String,
    /// It could be read, and is over unless this is a dry run. Otherwise it stays.
    pub done: bool,
    /// What it tells, or why it cannot be read.
    pub told: String,
}

/// `POST /v1/quarantine/discard`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscardRequest {
    pub meant: Meant,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer to [`DiscardRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    pub dry_run: bool,
    pub ids: Vec<Seq>,
}
