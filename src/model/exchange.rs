//! What passes between decisions and channels: writes and their outcomes, observations, counts, postings.

use serde::{Deserialize, Serialize};

use crate::model::{
    FulfilledBy, IdempotencyKey, Identifiers, Levels, LocationId, OrderKey, Quantity, Timestamp, Totals,
};

/// One quantity to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    pub ids: Identifiers,
    /// Where the channel is to show it.
    pub location: LocationId,
    pub quantity: Quantity,
    /// What the channel last acknowledged, for channels that compare.
    pub compare: Option<Quantity>,
    /// What is shown is changed by so much instead, whatever it is; `quantity` is what that should come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Quantity>,
    pub key: IdempotencyKey,
    /// Names the cause in the merchant's own history on the channel: the instance, and the commit by its position.
    pub reference: String,
}

/// What a channel did with a write, as far as we can know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The channel has done it and says so.
    Applied,
    /// The channel has queued the write; it is not visible yet.
    Accepted { submission: Option<String> },
    /// Compare-and-set was refused: an unseen sale, or another writer.
    Stale,
    /// The channel understood and refused; sending the same write again cannot help.
    Rejected { reason: String },
    /// Not executed.
    Throttled { retry_after_ms: i64 },
    /// Our credentials fail. The lane stops; the leg keeps its place and its attempts. Not executed.
    Unauthorized { reason: String },
    /// Certainly not executed, and may go again: the connection was refused, or a sibling in the batch was bad.
    NotSent { reason: String },
    /// No definite answer: timed out, cut off or 5xx. The write may have landed, or may land later.
    Unknown { fault: String },
}

/// What a person should know of a channel that neither reads nor writes tell: its API, our rights there, its pushes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about, in a short word that stays the same: `version`, `scopes`, `webhooks`. There is one for each.
    pub kind: String,
    /// What happened, and what to change.
    pub text: String,
    /// Nothing is written to the channel while it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops: bool,
}

/// What was read of one listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    Seen(Levels),
    /// The channel does not know it (any more).
    Absent,
    /// It is there, but must not be written: who ships it, or the channel's own state, forbids it.
    Unwritable {
        why: String,
    },
    /// The channel answers, but not about this one, or not in a way that can be used. Another look may tell.
    Unread {
        why: String,
    },
}

/// One thing that a channel lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueItem {
    pub ids: Identifiers,
    pub title: Option<String>,
    pub by: FulfilledBy,
    /// What it shows at our configured location, if it is stocked there.
    pub levels: Option<Levels>,
    /// Why it must not be written (untracked, a bundle parent), if so.
    pub unwritable: Option<String>,
}

/// One counted item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountLine {
    pub ids: Identifiers,
    pub location: LocationId,
    pub quantity: Quantity,
}

/// What an ERP is to hold of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub order: OrderKey,
    /// The same for every posting of the order; every document made for it carries it as its beginning.
    pub reference: String,
    /// Grows with each posting of the order. `reference` and `sequence` together are the key of one posting.
    pub sequence: u32,
    pub placed_at: Timestamp,
    pub lines: Vec<PostingLine>,
}

/// The targets of one item within a posting, summed over the order's lines of that item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingLine {
    pub ids: Identifiers,
    pub location: LocationId,
    pub target: Totals,
    /// The most that the ERP was ever told to hold: what it has of a target that fell since.
    pub told: Totals,
    /// What the ERP has acknowledged: what it was told to give up by then, nobody but us has cancelled. `None`: nothing yet.
    pub acked: Option<Totals>,
    /// What it was told since, by postings whose answer is not known, this one included; each told something else than the one before.
    pub unanswered: Vec<Told>,
}

/// What one posting told of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub sequence: u32,
    pub totals: Totals,
}
