//! What the state can be asked to do, and what it answers.

use std::{collections::BTreeSet, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        allocation::Pause,
        bulk,
        circuit::Health,
        intent::{
            self,
            ask::{Ask, Receipt},
        },
        moves::Transferred,
        record::PauseScope,
        state::{AlertKey, Ignorable, ListingRef, Note, Quarantined},
    },
    model::{
        CatalogueItem, ChannelId, CountLine, Counter, DeliveryId, IdempotencyKey, Identifiers, LocationId,
        Measure, Notice, Observed, OrderId, OrderKey, OrderSnapshot, Outcome, Policies, Posting, Put,
        Quantity, Seen, Seq, Sku, Timestamp, Totals,
        policy::{MappingRow, Part},
    },
};

#[derive(Debug, Clone)]
pub enum Command {
    /// Makes a configuration effective, if it differs from the last.
    Configure(Box<Policies>),
    /// The process starts: what was in flight is unknown.
    Start {
        epoch: u32,
    },
    /// The store was restored from a backup.
    Restored,
    /// A person lets a restored store write.
    Live,
    /// An authentic push.
    Push {
        channel: ChannelId,
        delivery: DeliveryId,
        orders: Vec<OrderSnapshot>,
        fetch: Vec<OrderId>,
        look: Vec<Identifiers>,
    },
    /// Orders that were read; the journal stood at `begun` when the request was sent.
    Orders {
        channel: ChannelId,
        begun: Seq,
        orders: Vec<OrderSnapshot>,
    },
    /// Orders that a read of the feed named and could not tell whole: each must be fetched.
    Unread {
        channel: ChannelId,
        orders: Vec<OrderId>,
    },
    /// An order that was asked for is not known to the channel.
    NoOrder {
        channel: ChannelId,
        order: OrderId,
    },
    /// The order feed was read whole. When the read began, the journal stood at `begun` and our clock at
    /// `begun_at`; `through` is the channel's time that it was read up to.
    Fed {
        channel: ChannelId,
        begun: Seq,
        begun_at: Timestamp,
        through: Timestamp,
    },
    /// The order feed was read up to the channel's time `through`, and not yet to its end.
    FedThrough {
        channel: ChannelId,
        through: Timestamp,
    },
    /// A lane's read failed: what that says of the channel as a whole.
    ReadFailed {
        channel: ChannelId,
        health: Health,
        /// The listing that was read, if it was one.
        alone: Option<ListingRef>,
    },
    /// A channel was tended: what a person should know of it. Of the kinds in `unsure` nothing could be found out; what
    /// was said of them stands.
    Tended {
        channel: ChannelId,
        notices: Vec<Notice>,
        unsure: Vec<String>,
    },
    /// A page of a catalogue, with what is shown. `read_at`: our clock when the request was sent.
    Catalogue {
        channel: ChannelId,
        read_at: Timestamp,
        items: Vec<CatalogueItem>,
        /// What the page tells that could not be read, as far as it could, and why.
        unread: Vec<CatalogueItem>,
    },
    /// Rows of a report, of which nobody can tell when they were so.
    Reported {
        channel: ChannelId,
        rows: Vec<CatalogueItem>,
    },
    Catalogued {
        channel: ChannelId,
    },
    /// What was read of listings. `read_at`: our clock when the request was sent.
    Looked {
        channel: ChannelId,
        read_at: Timestamp,
        seen: Vec<(ListingRef, Observed)>,
    },
    /// All listings of a channel were looked at.
    Swept {
        channel: ChannelId,
    },
    /// Counts that were read; the journal stood at `begun` when the request was sent.
    Count(Count),
    /// A part of a count that the brake has let pass as a whole; all lines of its SKUs are in it.
    CountPart(Count),
    /// A count that the brake holds as a whole.
    HoldCount {
        count: Count,
        why: String,
    },
    /// A count by a person.
    CountByHand(ByHand),
    /// A count by a person that the brake holds as a whole.
    HoldByHand {
        count: ByHand,
        why: String,
    },
    /// Something that a person asked for, which is done once however often it is asked for with this id.
    Once {
        request: DeliveryId,
        command: Box<Command>,
    },
    /// Takes over some lines of a held count; with the last of them the count is released.
    ReleasePart {
        id: Seq,
        lines: Range<usize>,
    },
    CountedThrough {
        channel: ChannelId,
        through: Timestamp,
    },
    /// The opening stock is complete.
    Initialise,
    /// Takes work of a lane: writes become in flight, looks are only named. `apart`: how many requests may go out with
    /// what may be why requests fail.
    Take {
        channel: ChannelId,
        limit: usize,
        apart: usize,
    },
    Answer {
        channel: ChannelId,
        answers: Vec<(ListingRef, IdempotencyKey, Outcome)>,
    },
    /// Puts a bulk together, or tells what became of one.
    Bulk {
        channel: ChannelId,
        act: bulk::Act,
    },
    TakePostings {
        channel: ChannelId,
        limit: usize,
    },
    Posted {
        channel: ChannelId,
        order: OrderKey,
        sequence: u32,
        outcome: Outcome,
        /// What a look after a refusal found there, in the order of the posting's lines. `None`: it was not looked at.
        found: Option<Vec<Totals>>,
    },
    Quarantine(Quarantined),
    /// What a quarantined item tells, now that it could be read. Ends it.
    Replay {
        id: Seq,
        orders: Vec<OrderSnapshot>,
        fetch: Vec<OrderId>,
        look: Vec<Identifiers>,
        seen: Seen,
    },
    /// A quarantined item could not be read again: it stays, for this reason.
    Unreplayed {
        id: Seq,
        why: String,
    },
    /// A person gives a quarantined item up.
    Unquarantine {
        id: Seq,
        note: Note,
    },
    /// A person says that no SKU is to be waited for, or (`ignored: false`) takes that back.
    Ignore {
        what: Ignorable,
        ignored: bool,
        note: Note,
    },
    /// The configuration file would change too much; what is in effect stays.
    HoldConfig {
        why: String,
    },
    /// Judges alerts, forgets what may be forgotten.
    Tick,
    TakeAlerts {
        limit: usize,
    },
    /// An alert was told (or could not be) as it stood when it was taken. `told`: how many things waited, and the latest question.
    AlertSent {
        key: AlertKey,
        firing: bool,
        told: (usize, Seq),
        sent: bool,
    },
    Pause {
        scope: PauseScope,
        pause: Option<Pause>,
    },
    Map {
        rows: Vec<MappingRow>,
    },
    /// Takes a row that a person has brought out of the mapping table.
    Unmap {
        channel: ChannelId,
        ids: Identifiers,
    },
    /// What bundles are made of, all or none; no parts: what was imported for it ends.
    Recipes {
        rows: Vec<(Sku, Vec<Part>)>,
    },
    /// Makes a SKU part of another one, with all that is known of it.
    Merge {
        from: Sku,
        into: Sku,
    },
    /// Gives a listing to another SKU.
    Rebind {
        channel: ChannelId,
        ids: Identifiers,
        sku: Sku,
    },
    /// A person has looked at returned units that were reserved: all of them unless `quantity` is given.
    Returned {
        sku: Sku,
        location: Option<LocationId>,
        quantity: Option<Quantity>,
        fate: Fate,
        note: String,
    },
    /// A person answers a drift that waits for one.
    Drift {
        sku: Sku,
        channel: ChannelId,
        /// Which of several listings, by what it goes by. Nothing: the only one with an open drift.
        listing: Identifiers,
        /// The drift that they have seen. `None`: whatever it is now.
        seq: Option<Seq>,
        act: DriftAct,
    },
    Dead {
        letter: DeadLetter,
        verdict: Verdict,
    },
    /// What a person wants of several listings or places at once, all or nothing.
    Intend(Box<Ask>),
    /// A person wants an intent rolled back.
    CancelIntent {
        id: Seq,
    },
    /// Units of a transfer have come to where they were sent.
    Receive {
        id: Seq,
        receipt: Receipt,
    },
}

/// The most rows that one command may bring. A command is one record of the journal, which must fit it, and holds up
/// everything else while it is decided.
pub const ROWS_MAX: usize = 20_000;
/// The most rows that a configuration, or a count that a person is asked about, may have: they cannot be cut.
pub const WHOLE_MAX: usize = 200_000;

impl Command {
    /// Says whether it takes in facts from outside that come again if they are refused: pushes, and what is read of
    /// feeds, counts and catalogues. What is under way goes on without them.
    pub fn takes_in(&self) -> bool {
        matches!(
            self,
            Command::Push { .. }
                | Command::Orders { .. }
                | Command::Unread { .. }
                | Command::Fed { .. }
                | Command::FedThrough { .. }
                | Command::Catalogue { .. }
                | Command::Reported { .. }
                | Command::Catalogued { .. }
                | Command::Count(_)
                | Command::CountPart(_)
                | Command::HoldCount { .. }
                | Command::CountedThrough { .. }
                | Command::Quarantine(_)
                | Command::Tended { .. }
                | Command::Map { .. }
        )
    }

    /// Returns how many rows it brings from outside, and how many it may bring.
    pub fn rows(&self) -> (usize, usize) {
        match self {
            Command::Configure(policies) => {
                let parts = policies.bundles.iter().map(|recipe| recipe.parts.len()).sum::<usize>();
                (policies.overrides.len() + policies.mapping.table.len() + parts, WHOLE_MAX)
            }
            Command::HoldCount { count, .. } => (count.lines.len(), WHOLE_MAX),
            Command::HoldByHand { count, .. } => (count.lines.len(), WHOLE_MAX),
            Command::CountByHand(count) => (count.lines.len(), ROWS_MAX),
            Command::Once { command, .. } => command.rows(),
            Command::Count(count) | Command::CountPart(count) => (count.lines.len(), ROWS_MAX),
            Command::ReleasePart { lines, .. } => (lines.len(), ROWS_MAX),
            Command::Push { orders, fetch, look, .. } => (
                orders.iter().map(|order| order.lines.len()).sum::<usize>() + fetch.len() + look.len(),
                ROWS_MAX,
            ),
            Command::Orders { orders, .. } => {
                (orders.iter().map(|order| order.lines.len()).sum::<usize>() + orders.len(), ROWS_MAX)
            }
            Command::Catalogue { items, unread, .. } => (items.len() + unread.len(), ROWS_MAX),
            Command::Reported { rows, .. } => (rows.len(), ROWS_MAX),
            Command::Looked { seen, .. } => (seen.len(), ROWS_MAX),
            Command::Answer { answers, .. } => (answers.len(), ROWS_MAX),
            Command::Bulk { act: bulk::Act::Told(bulk::Told::Refused(rows)), .. } => (rows.len(), ROWS_MAX),
            Command::Unread { orders, .. } => (orders.len(), ROWS_MAX),
            Command::Map { rows } => (rows.len(), ROWS_MAX),
            Command::Replay { orders, fetch, look, .. } => (
                orders.iter().map(|order| order.lines.len()).sum::<usize>() + fetch.len() + look.len(),
                ROWS_MAX,
            ),
            Command::Recipes { rows } => (rows.iter().map(|(_, parts)| 1 + parts.len()).sum(), ROWS_MAX),
            Command::Intend(ask) => (ask.rows.len(), intent::ask::ROWS_MAX),
            Command::Start { .. }
            | Command::Restored
            | Command::Live
            | Command::NoOrder { .. }
            | Command::Fed { .. }
            | Command::FedThrough { .. }
            | Command::ReadFailed { .. }
            | Command::Tended { .. }
            | Command::Catalogued { .. }
            | Command::Swept { .. }
            | Command::CountedThrough { .. }
            | Command::Initialise
            | Command::Take { .. }
            | Command::Bulk { .. }
            | Command::TakePostings { .. }
            | Command::Posted { .. }
            | Command::Quarantine(_)
            | Command::Unreplayed { .. }
            | Command::Unquarantine { .. }
            | Command::Ignore { .. }
            | Command::HoldConfig { .. }
            | Command::Tick
            | Command::TakeAlerts { .. }
            | Command::AlertSent { .. }
            | Command::Pause { .. }
            | Command::Unmap { .. }
            | Command::Merge { .. }
            | Command::Rebind { .. }
            | Command::Returned { .. }
            | Command::Drift { .. }
            | Command::CancelIntent { .. }
            | Command::Receive { .. }
            | Command::Dead { .. } => (0, ROWS_MAX),
        }
    }
}

/// Counts as a counter tells them.
#[derive(Debug, Clone)]
pub struct Count {
    pub counter: ChannelId,
    pub measure: Measure,
    pub as_of: Timestamp,
    pub begun: Seq,
    pub lines: Vec<CountLine>,
    /// Opens stock that has no opening count yet, and is not held by the brake: a person has confirmed it.
    pub opening: bool,
    /// Orders that a look-up after the read still found without their raising movements (cancel, return).
    pub absent: Vec<OrderKey>,
    /// The locations that it tells of together, if they are several: of a SKU that lacks one of them, nothing is raised.
    pub set: BTreeSet<LocationId>,
}

/// A count by a person, or of what lies in a channel's own warehouses: whoever counts there knows nothing of our orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    pub by: Counter,
    pub measure: Measure,
    pub lines: Vec<HandLine>,
    /// Opens stock before there is any.
    pub opening: bool,
    /// Whoever counted has seen what the brake says, and means it.
    pub believed: bool,
}

/// What a person counted of one SKU at one location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandLine {
    pub sku: Sku,
    pub location: LocationId,
    /// Where it stands in a file, for messages.
    pub line: Option<u64>,
    pub quantity: Quantity,
    pub as_of: Timestamp,
    /// Why, or by whom, for the journal.
    pub note: String,
}

/// How many of its changes a tally names.
pub const NAMED: usize = 20;

/// What a count by a person does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Stocks (of a SKU at a location) that change, and that do not.
    pub changed: usize,
    pub unchanged: usize,
    pub up: usize,
    pub down: usize,
    pub up_units: Quantity,
    pub down_units: Quantity,
    /// Stocks that had units and have none any more.
    pub zeroed: usize,
    /// Stocks that had no opening count.
    pub opened: usize,
    /// Some of the stocks that change: what is on hand before and after.
    pub some: Vec<(Sku, LocationId, Quantity, Quantity)>,
    /// Stocks of which units went to other places, or came from them, after the as-of.
    pub transferred: Vec<(Sku, LocationId, Transferred)>,
    /// What is left out.
    pub left_out: Vec<LeftOut>,
    /// The count is held, or would be, for this reason.
    pub brake: Option<String>,
    /// The held count.
    pub held: Option<Seq>,
}

/// A counted line that nothing comes of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub line: Option<u64>,
    pub sku: Sku,
    pub location: LocationId,
    pub why: Why,
}

/// Why nothing comes of a counted line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("no SKU is called so")]
    NoSku,
    /// With what it is made of.
    #[error("it is a bundle and has no stock of its own: count {0}")]
    Bundle(String),
    /// It was counted later already, as of this moment.
    #[error("a later count of it was taken over already")]
    CountedLater(Timestamp),
    /// What moved is known from this moment on.
    #[error("what moved there since then is not known: count it again")]
    NotKnown(Timestamp),
    /// It would rise, and the line of the same SKU for another place is left out.
    #[error(
        "its line for another place is left out, and what is more here may be what is missing there: count both again"
    )]
    Partial,
}

/// Something that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetter {
    Leg(ListingRef),
    Posting { channel: ChannelId, order: OrderKey },
    Count(Seq),
    Quarantine(Seq),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Retry,
    Discard,
}

/// What a person says about a drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftAct {
    /// Theirs counts: an edit moves the ledger, anything else stays until the stock changes.
    Accept,
    /// The same, where it is not known how many units were edited: from this quantity on.
    AcceptFrom(Quantity),
    /// Ours is written again.
    Repair,
    /// The other writer was stopped: go on.
    Release,
}

/// What becomes of returned units that were reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// They go on sale again.
    Restock,
    /// They are not there any more.
    Discard,
}

/// What a command answers, once its records are durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Done,
    /// The same was said before; nothing was recorded.
    Duplicate,
    /// Taken; these listings may have changed on the channel.
    Pushed {
        look: Vec<(ListingRef, Identifiers)>,
    },
    Work {
        puts: Vec<(ListingRef, Put)>,
        looks: Vec<(ListingRef, Identifiers)>,
        /// What may be why requests fail: each of these is a request of its own, beside the others.
        apart: Apart,
    },
    Bulk(bulk::Turn<(ListingRef, Put)>),
    Postings(Vec<Posting>),
    Alerts(Vec<(AlertKey, crate::core::state::Alert)>),
    /// So many units were dealt with, and so many of the SKU are still reserved there.
    Returned {
        location: LocationId,
        quantity: Quantity,
        left: Quantity,
    },
    Counted {
        changed: usize,
        deferred: usize,
        held: Option<Seq>,
        unknown: usize,
    },
    CountedByHand(Tally),
    Catalogue {
        bound: usize,
        unmatched: usize,
    },
    /// The same of the rows of a report. `again`: what they say other than what is known.
    Reported {
        bound: usize,
        unmatched: usize,
        again: Vec<Identifiers>,
    },
    /// So many rows changed.
    Changed {
        changed: usize,
    },
    /// An intent, and how far it is. `again`: the same was asked before.
    Intent {
        id: Seq,
        phase: intent::Phase,
        again: bool,
    },
}

/// Work that must not go with any other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Apart {
    pub puts: Vec<Vec<(ListingRef, Put)>>,
    pub looks: Vec<(ListingRef, Identifiers)>,
}

/// Why a command was not carried out. Nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no configuration is effective yet")]
    NotConfigured,
    #[error("channel `{0}` is not configured")]
    NoChannel(ChannelId),
    #[error("the opening stock was not taken over yet; run `evenkeel init`")]
    NotInitialised,
    /// What it is, and its name in backticks.
    #[error("{0} does not exist")]
    Nothing(String),
    #[error("quantity out of range in `{0}`")]
    OutOfRange(String),
    #[error("{0}")]
    NotSo(String),
    /// What is asked names what does not exist, line by line.
    #[error("{0}")]
    Unknown(String),
    /// What is asked cannot be done, line by line.
    #[error("{0}")]
    Wrong(String),
    /// It would change too much to be done without a person saying so.
    #[error("the brake holds it: {0}")]
    Braked(String),
    /// It would not fit one record of the journal.
    #[error("{rows} rows are too many for one command, at most {most} may be")]
    TooMany { rows: usize, most: usize },
    /// What it would record does not fit one record of the journal.
    #[error("its record of {bytes} bytes does not fit the journal, at most {most} may be")]
    TooLarge { bytes: usize, most: usize },
}
