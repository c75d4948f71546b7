//! The records of the journal. What a version of them means is frozen; golden journals hold it (docs/TESTING.md).
//!
//! One envelope holds all records of one command, so that a crash keeps all of them or none. Records carry results
//! (the row's new leg, the balances after an entry), not instructions, so a later change of the rules cannot change
//! what an old journal adds up to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        allocation::Pause,
        assumption::Assumption,
        bulk::{Bulk, Ended},
        circuit::Circuit,
        count::Edits,
        drift::Drifted,
        intent,
        ledger::{Cause, Entry},
        leg::{Leg, Writes},
        order::Order,
        oversold::Class,
        posting::PostState,
        recipe::Made,
        state::{Alert, AlertKey, Fed, Ignorable, Ignored, ListingRef, Note, Quarantined, Unmatched},
    },
    model::{
        ChannelId, Counter, DeliveryId, FulfilledBy, Identifiers, LocationId, Measure, Notice, OrderKey,
        Policies, Quantity, Revision, Seq, Sku, Timestamp, policy::MappingRow,
    },
};

/// The version of the records written today. Those of all versions before it are read as they were meant; version 1 knows
/// fewer kinds, and nothing else differs.
pub const VERSION: u16 = 2;

/// What one command recorded: one entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    #[serde(rename = "v")]
    pub version: u16,
    pub at: Timestamp,
    #[serde(rename = "r")]
    pub records: Vec<Record>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The effective configuration from here on.
    Configured {
        policies: Box<Policies>,
    },
    /// The process started; what was in flight is unknown from here on.
    Started {
        epoch: u32,
    },
    /// The store was restored from a backup: nothing is written to any channel until a person says so.
    Restored,
    /// A person has looked at a restored store and lets it write.
    Live,
    /// The opening stock was taken over.
    Initialised,
    /// A push had an effect.
    Delivered {
        channel: ChannelId,
        delivery: DeliveryId,
    },
    /// Deliveries recorded before `before` are forgotten.
    Forgot {
        before: Timestamp,
    },
    /// An order's new row, and the entries that explain the difference.
    Order {
        key: OrderKey,
        order: Box<Order>,
        entries: Vec<Entry>,
    },
    /// Of these orders, finished long ago, their tombstones are left.
    Pruned {
        orders: Vec<OrderKey>,
    },
    /// What an ERP has been told of an order.
    Posting {
        key: OrderKey,
        posting: PostState,
    },
    /// A count was taken over.
    Counted {
        counter: Counter,
        as_of: Timestamp,
        measure: Measure,
        opened: Vec<(Sku, LocationId)>,
        entries: Vec<Entry>,
        /// The lines of intents whose units had left a place that it tells.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<(Seq, u32)>,
    },
    /// A person counted, or a channel told what lies in its own warehouses: what is on hand at each place follows from it,
    /// whether or not that is a difference.
    CountedByHand {
        /// The channel. `None`: a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ChannelId>,
        measure: Measure,
        places: Vec<HandCounted>,
        entries: Vec<Entry>,
    },
    /// A person moved stock.
    Adjusted {
        entries: Vec<Entry>,
    },
    /// A count was too large a change to be believed.
    Held {
        count: HeldCount,
    },
    /// A later count told of some of what a held one tells of.
    Outdated {
        id: Seq,
        lines: Vec<(Sku, LocationId)>,
    },
    /// A held count was released or thrown away by a person.
    Unheld {
        id: Seq,
        released: bool,
    },
    /// What the SKU should show changed; one leg for each listing whose quantity changes.
    Commit {
        sku: Sku,
        revision: Revision,
        event_at: Timestamp,
        legs: Vec<(u16, Leg)>,
        /// How many units fewer some of them are to show because they are owed to what was sold at other places.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        owed: Vec<(u16, Quantity)>,
    },
    /// A leg, or what is known of its listing, moved.
    Moved {
        listing: ListingRef,
        why: Why,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leg: Option<Leg>,
        writes: Writes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A commit, and all before it, is seen live on every channel.
    Committed {
        sku: Sku,
        revision: Revision,
    },
    /// A difference that nothing explains.
    Drift {
        listing: ListingRef,
        expected: Option<Quantity>,
        observed: Quantity,
        repaired: bool,
        /// What it turned out to be and what was done, as the listing keeps it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<Box<Drifted>>,
        /// What the brake knows of the edits of this channel that were taken over lately, if this was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edits: Option<Edits>,
    },
    /// A drift that waited for a person waits no more.
    DriftEnded {
        listing: ListingRef,
        drifted: Box<Drifted>,
    },
    /// Units were sold, or promised, that are not there.
    Oversold {
        sku: Sku,
        /// Where the last entry that took the stock below zero was booked.
        location: LocationId,
        units: Quantity,
        class: Class,
        /// Whether the channel sold more than it can have shown.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        beyond: bool,
        cause: Cause,
        /// The channel that sold them, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<ChannelId>,
    },
    /// A SKU is not oversold any more.
    MadeGood {
        sku: Sku,
    },
    /// What was assumed of a channel's delays was measured.
    Measured {
        channel: ChannelId,
        assumption: Assumption,
        stated_ms: i64,
        measured_ms: i64,
        /// The SKU or the order that showed it.
        subject: String,
    },
    /// A listing was bound to a SKU, or its identifiers or state changed.
    Bound {
        sku: Sku,
        at: u16,
        channel: ChannelId,
        ids: Identifiers,
        by: FulfilledBy,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unwritable: Option<String>,
    },
    /// A catalogue item that no SKU was found for (`Some`), or that has found one (`None`).
    Unmatched {
        channel: ChannelId,
        ids: Identifiers,
        unmatched: Option<Unmatched>,
    },
    /// What a SKU is made of from here on; `None`: itself, or what the configuration says.
    Made {
        sku: Sku,
        made: Option<Made>,
    },
    /// Rows were added to the mapping table.
    Mapped {
        rows: Vec<MappingRow>,
    },
    /// A row was taken out of the mapping table.
    MappingRemoved {
        channel: ChannelId,
        ids: Identifiers,
    },
    /// A channel's catalogue was read whole.
    Catalogued {
        channel: ChannelId,
    },
    /// A channel's order feed was read whole up to `through`.
    Fed {
        channel: ChannelId,
        fed: Fed,
    },
    /// Every change up to `through` was read, by a read that has not come to the feed's end. It says nothing of what
    /// changed later, so no fence passes by it.
    FedThrough {
        channel: ChannelId,
        through: Timestamp,
    },
    /// A counter's movements were read up to `through`.
    CountedThrough {
        channel: ChannelId,
        through: Timestamp,
    },
    /// Where a channel's open orders lie is to be told anew: each of them is to be read again.
    Reread {
        channel: ChannelId,
    },
    /// All of a channel's quantities were read.
    Swept {
        channel: ChannelId,
    },
    Circuit {
        channel: ChannelId,
        circuit: Circuit,
    },
    /// Many writes leave, or have left, as one; all that is known of that from here on.
    BulkTaken {
        channel: ChannelId,
        bulk: Bulk,
    },
    /// The open bulk of a channel has ended. No other one is begun before `not_before`.
    BulkEnded {
        channel: ChannelId,
        ended: Ended,
        not_before: Timestamp,
    },
    /// All that a person should know of a channel from here on.
    Noticed {
        channel: ChannelId,
        notices: Vec<Notice>,
    },
    Paused {
        scope: PauseScope,
        pause: Option<Pause>,
    },
    Quarantined {
        item: Quarantined,
    },
    /// A quarantined item was dealt with by a person.
    Unquarantined {
        id: Seq,
        /// Who gave it up, and why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Note>,
    },
    /// A quarantined item was read again. It is over, or stays for this reason.
    Replayed {
        id: Seq,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A person said that no SKU is to be waited for (`Some`), or took that back (`None`).
    Ignored {
        what: Ignorable,
        ignored: Option<Ignored>,
    },
    /// The configuration file would change too much to be believed: it is not in effect.
    ConfigHeld {
        why: String,
    },
    /// A person's intent was opened, or has come further.
    Intent {
        id: Seq,
        change: intent::Change,
    },
    /// The most that listings may show. `None`: no such limit.
    Allotted {
        rows: Vec<(ListingRef, Option<Quantity>)>,
    },
    /// An alert's new state; `None`: over, and people know it.
    Alert {
        key: AlertKey,
        alert: Option<Alert>,
    },
}

impl Record {
    /// Returns the ledger entries that it carries.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others carry none")]
    pub fn entries(&self) -> &[Entry] {
        match self {
            Record::Order { entries, .. }
            | Record::Counted { entries, .. }
            | Record::CountedByHand { entries, .. }
            | Record::Adjusted { entries } => entries,
            _ => &[],
        }
    }
}

/// Why a leg moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The channel itself sold or restocked.
    OwnSale,
    Sending,
    Expected,
    Applied,
    Accepted,
    Stale,
    Rejected,
    Throttled,
    Unauthorized,
    NotSent,
    Unknown,
    Restarted,
    Seen,
    Looked,
    Fenced,
    GaveUp,
    Repair,
    Absent,
    Retried,
    Discarded,
    Settled,
    /// It belongs to another SKU from here on.
    Rebound,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseScope {
    Channel(ChannelId),
    Sku(Sku),
}

/// A place that a person has counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandCounted {
    pub sku: Sku,
    pub location: LocationId,
    pub as_of: Timestamp,
    /// Whether it has no opening count but this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opens: bool,
}

/// A count that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCount {
    pub counter: Counter,
    pub measure: Measure,
    pub as_of: Timestamp,
    pub begun: Seq,
    pub lines: Vec<(Sku, LocationId, Quantity)>,
    pub why: String,
    /// What a later count has told of since, so that these lines say nothing any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub outdated: BTreeSet<(Sku, LocationId)>,
    /// What a person has taken off the shelf since it was held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<(Sku, LocationId, Quantity)>,
    /// The as-of and the note of each line, for a count by a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_hand: Vec<(Timestamp, String)>,
}

impl HeldCount {
    /// Tells whether later counts have told of all that it tells of.
    pub fn is_outdated(&self) -> bool {
        self.lines.iter().all(|(sku, at, _)| self.outdated.contains(&(sku.clone(), at.clone())))
    }
}

/// What people are alerted about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Stock changes of a channel are not seen live for too long, or after too many tries.
    Late,
    /// A channel refuses our credentials.
    LaneStopped,
    /// A channel does not answer.
    CircuitOpen,
    DeadLetters,
    Brake,
    Quarantine,
    Unmapped,
    /// A channel's order feed was not read for too long.
    FeedLate,
    /// The ERP has not taken postings for too long.
    PostingLate,
    /// Differences that a person is asked about.
    Drift,
    /// A channel's delays are longer than was assumed.
    AssumptionBroken,
    /// A person's intent does not get on, or was rolled back.
    Intent,
    /// Units are sold that are not there.
    Oversold,
    /// Something about a channel that a person should see to: its API, our rights there, its pushes.
    Notice,
    /// A bulk does not get done.
    BulkLate,
}

impl AlertKind {
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::Late => "late",
            AlertKind::LaneStopped => "lane_stopped",
            AlertKind::CircuitOpen => "circuit_open",
            AlertKind::DeadLetters => "dead_letters",
            AlertKind::Brake => "brake",
            AlertKind::Quarantine => "quarantine",
            AlertKind::Unmapped => "unmapped",
            AlertKind::FeedLate => "feed_late",
            AlertKind::PostingLate => "posting_late",
            AlertKind::Drift => "drift",
            AlertKind::AssumptionBroken => "assumption_broken",
            AlertKind::Intent => "intent",
            AlertKind::Oversold => "oversold",
            AlertKind::Notice => "notice",
            AlertKind::BulkLate => "bulk_late",
        }
    }
}
