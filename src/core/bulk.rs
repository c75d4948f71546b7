//! A bulk: the raises of very many listings that a channel takes as one document, and works off when it comes to it.
//!
//! Amazon calls it a feed. It lands minutes to days later and overwrites what was there, as every blind write does, and its
//! place among the writes of one listing is not defined. So while a bulk is *open*, no raise of a listing that is in it
//! leaves by any other way; a lower passes at once, and the listing is looked at again when the bulk has ended. What is in
//! an open bulk does not settle by age: it counts as a write that may land, from its end on as long as any other.

use serde::{Deserialize, Serialize};

use crate::model::{Seq, Timestamp};

/// What is known of a channel's bulks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bulks {
    /// One at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Bulk>,
    /// No other one is begun before.
    pub not_before: Timestamp,
    /// How the latest one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Ended>,
}

/// An open bulk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulk {
    /// The position of its first record, by which it is told from others.
    pub seq: Seq,
    /// When it was begun.
    pub at: Timestamp,
    /// What the channel calls it, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How many listings are in it.
    pub listings: u32,
    pub stage: Stage,
    /// Its id was not answered, but found among those that the channel tells of: what is said of it may be about another's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found: bool,
}

/// How far a bulk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its listings are being put together, and it may be on its way.
    Taking,
    /// No definite answer: it may have been taken.
    Unsure,
    /// The channel has it in its queue.
    Queued,
    /// The channel works it off.
    Working,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Taking => "being sent",
            Stage::Unsure => "without an answer",
            Stage::Queued => "in the queue",
            Stage::Working => "being worked off",
        }
    }
}

/// How a bulk ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub how: How,
    /// What the channel said, or what failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was not sent, or was refused as a whole: none of it lands.
    NotBegun,
    /// The channel is through with it. What it refused was told by itself.
    Done,
    /// It was taken back before the channel had begun with it.
    Cancelled,
    /// The channel gave it up: some, none or all of it was applied.
    Failed,
    /// Nothing is known of it any more.
    Lost,
}

impl How {
    pub fn name(self) -> &'static str {
        match self {
            How::NotBegun => "not begun",
            How::Done => "done",
            How::Cancelled => "cancelled",
            How::Failed => "failed",
            How::Lost => "lost",
        }
    }
}

/// What a lane says of bulks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Takes raises, if so many are due that a bulk is worth it: at most `limit` become in flight. `more`: they go with those
    /// that were taken before. Tells of an open bulk instead, if there is one.
    Take {
        limit: usize,
        more: bool,
    },
    Told(Told),
}

/// What became known of the open bulk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The channel took it.
    Taken { id: String },
    /// There was no definite answer.
    Unsure,
    /// Without an answer, this one was found at the channel: it may be ours.
    Found { id: String },
    /// How far it is.
    At(Stage),
    /// What the channel refused of it.
    Refused(Vec<Refused>),
    /// It ended; another one may be begun after `again_ms`.
    Ended { how: How, why: Option<String>, again_ms: i64 },
}

/// One write of a bulk that the channel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which, counting from zero in the order in which they were sent.
    pub number: Option<u32>,
    /// What the channel calls it.
    pub sku: Option<String>,
    pub reason: String,
}

/// What a lane is to do about a bulk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Turn<W> {
    #[default]
    Nothing,
    /// These were put in flight for it, in their order; there may be more.
    Write(Vec<W>),
    /// One is open: ask how far it is.
    Ask(Bulk),
}

/// After so long an open bulk is called stuck.
pub const STUCK_MS: i64 = 2 * 3_600_000;
/// After so long in the queue it is to be taken back: until then the channel names it as normal.
pub const CANCEL_MS: i64 = 8 * 3_600_000;
/// After so long nothing is expected of it any more.
pub const LOST_MS: i64 = 72 * 3_600_000;

impl Bulk {
    pub fn is_stuck(&self, now: Timestamp) -> bool {
        now.since(self.at) >= STUCK_MS
    }

    /// Tells whether it is to be taken back: it waits in the queue for longer than is ever normal.
    pub fn is_to_be_cancelled(&self, now: Timestamp) -> bool {
        self.stage == Stage::Queued && now.since(self.at) >= CANCEL_MS
    }

    pub fn is_lost(&self, now: Timestamp) -> bool {
        now.since(self.at) >= LOST_MS
    }
}
