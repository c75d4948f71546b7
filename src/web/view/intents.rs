//! What is asked and answered of intents and commits.

use serde::{Deserialize, Serialize};

use crate::{
    core::intent::{Phase, Way},
    model::{ChannelId, LocationId, Quantity, Revision, Seq, Sku},
    web::view::Time,
};

/// `POST /v1/intents`: what a person wants, all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentRequest {
    /// What this request goes by. Said again, it is the same intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub rows: Vec<IntentRow>,
    /// Units between places travel, and arrive by `POST /v1/intents/{id}/receive`.
    #[serde(default)]
    pub in_transit: bool,
    /// Raises wait until the lowers are seen live, and not until no earlier write can undo them.
    #[serde(default)]
    pub seen: bool,
    /// It is rolled back if the lowers have not been made by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<i64>,
    #[serde(default)]
    pub note: String,
    /// More than is available may leave a place, down to what is on hand.
    #[serde(default)]
    pub force: bool,
    /// Does what the brake would hold.
    #[serde(default)]
    pub yes: bool,
    /// Only tells what it would do.
    #[serde(default)]
    pub dry_run: bool,
}

/// One row: `sku`, `channel` and `quantity` (none: no limit), or `sku`, `quantity` and both ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentRow {
    /// Where it stands in a file, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub sku: Sku,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LocationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<LocationId>,
}

/// The answer to `POST /v1/intents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentAnswer {
    pub dry_run: bool,
    /// The units that go from place to place, line by line, each after those before it; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<MovedView>,
    pub channels: Vec<ChannelSummary>,
    /// What listings would show, or show in the end; the first of them.
    pub shown: Vec<ShownView>,
    pub more: bool,
    pub notes: Vec<String>,
    /// Why the brake holds it, if it does; `yes` does it all the same.
    pub brake: Option<String>,
    /// `None`: it was only a dry run.
    pub intent: Option<IntentView>,
}

/// Units that go from one place to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedView {
    pub sku: Sku,
    pub quantity: Quantity,
    pub from: PlaceChange,
    pub to: PlaceChange,
}

/// What a place has before units go, and once they have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceChange {
    pub location: LocationId,
    pub on_hand: [Quantity; 2],
    pub available: [Quantity; 2],
}

/// How many listings of a channel change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelSummary {
    pub channel: ChannelId,
    pub lowers: usize,
    pub raises: usize,
    /// Listings that sell something, and nothing any more.
    pub zeroed: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownView {
    pub sku: Sku,
    pub channel: ChannelId,
    /// What tells the listing from the others of the SKU on the channel: `kind=value`.
    #[serde(default)]
    pub listing: Vec<String>,
    /// Where it draws its stock from.
    #[serde(default)]
    pub locations: Vec<LocationId>,
    pub before: Option<Quantity>,
    /// Until everything that must fall has fallen.
    pub lowered: Option<Quantity>,
    pub after: Option<Quantity>,
}

/// An intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentView {
    pub id: Seq,
    /// What its request went by, if it was given a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub phase: Phase,
    pub since: Time,
    pub opened_at: Time,
    pub in_transit: bool,
    pub note: String,
    /// When it is rolled back if the lowers have not been made.
    pub until: Option<Time>,
    /// Why it is, or was, rolled back.
    pub undone: Option<String>,
    pub lines: Vec<IntentLineView>,
    pub legs: Vec<IntentLegView>,
    /// How many lines, legs, and legs that it waits for there are; not all of them may be listed.
    pub line_count: usize,
    pub leg_count: usize,
    pub waiting: usize,
    /// A raise waits for a person.
    pub stuck: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentLineView {
    pub sku: Sku,
    pub what: String,
    /// Of units that travel: what is still on the way.
    pub on_the_way: Option<Quantity>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentLegView {
    pub sku: Sku,
    pub channel: ChannelId,
    /// What the listing goes by, as `evenkeel drift` names it: `kind=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listing: Vec<String>,
    /// Its SKU has other listings on the channel: this is what tells them apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
    pub way: Way,
    pub revision: Revision,
    /// `waiting`, `seen`, `settled`, `given_up` or `taken_back`.
    pub step: String,
    /// What it waits for, if it does.
    pub waits_for: Option<String>,
}

/// `POST /v1/intents/{id}/receive`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiveRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// The place, if the SKU comes from several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LocationId>,
    /// The place, if the SKU goes to several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<LocationId>,
    /// All that are on the way, if not given (or none, if the rest is lost).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// What is still on the way after this will not come.
    #[serde(default)]
    pub lost: bool,
    /// Why, or by whom, for the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// `GET /v1/commits`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Commits {
    /// What the SKU that was asked for is called now, if that is another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Sku>,
    /// The newest first.
    pub intents: Vec<IntentView>,
    /// Stock changes that are not seen live everywhere, by SKU.
    pub commits: Vec<OpenCommit>,
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCommit {
    pub id: Seq,
    pub sku: Sku,
    pub revision: Revision,
    pub opened_at: Time,
    pub event_at: Time,
    pub age_ms: i64,
    /// The intent that it belongs to.
    pub intent: Option<Seq>,
    pub legs: Vec<CommitLeg>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitLeg {
    pub channel: ChannelId,
    pub n: u16,
    /// What the listing goes by, as `evenkeel drift` names it: `kind=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listing: Vec<String>,
    /// Its SKU has other listings on the channel: this is what tells them apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
    /// What is wanted by now.
    pub desired: Option<Quantity>,
    pub state: Option<String>,
    /// This change, or a later one, is seen live, or a person gave it up.
    pub ended: bool,
    pub waits_for: Option<String>,
}
