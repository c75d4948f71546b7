//! What the admin API answers and is asked, as JSON. The command line reads and writes the same shapes.
//!
//! Owns names and units: times are RFC 3339 texts in UTC with milliseconds, spans are `_ms`, quantities are whole
//! units. Identifiers are a map from the column name of the mapping CSV (`channel_sku`, `asin`, ...) to the value.
//! Knows nothing of how an answer is found; that is [`super::query`].
//!
//! Long by design: it is the whole vocabulary of the API in one place.

mod change;
mod drift;
pub mod intents;
pub mod made;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    core::{allocation::Pause, command::Fate},
    model::{
        ChannelId, Counter, DeliveryId, FulfilledBy, IdKind, Identifiers, LineId, LocationId, Measure, Mode,
        OrderId, OrderKey, Quantity, Revision, Seq, Sku, Timestamp, Totals, listing::BadIdentifier,
        policy::Part,
    },
};

pub use change::*;
pub use drift::{
    AssumptionView, DriftRequest, DriftView, Drifts, ReconcilePage, ReconcileRequest, ReconcileRow,
    TooSoonRow,
};

/// Identifiers by the name of their column in the mapping CSV.
pub type Ids = BTreeMap<String, String>;

/// A point in time: `2026-11-23T15:04:05.678Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(pub Timestamp);

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time such as `2026-11-23T15:04:05Z`")]
pub struct BadTime(String);

impl Time {
    /// Returns the milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0.millis()
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Time {
        Time(at)
    }
}

impl FromStr for Time {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Time, BadTime> {
        let at: jiff::Timestamp = text.parse().map_err(|_| BadTime(text.to_owned()))?;
        Ok(Time(Timestamp::from_millis(at.as_millisecond())))
    }
}

impl TryFrom<String> for Time {
    type Error = BadTime;

    fn try_from(text: String) -> Result<Time, BadTime> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> String {
        time.to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond());
        match jiff::Timestamp::from_millisecond(self.millis().clamp(least, most)) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => self.millis().fmt(f),
        }
    }
}

/// Any answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub error: String,
    /// What to do about it.
    pub next: String,
}

/// The answer to something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub done: String,
}

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
    pub channels: Vec<ChannelStatus>,
    pub skus: usize,
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

/// `GET /v1/skus/{sku}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuView {
    pub sku: Sku,
    /// Counts the changes of what it should show.
    pub revision: Revision,
    pub paused: Option<Pause>,
    /// What one unit of it takes from the stock, if that is not itself: the components of a bundle, or the SKU that it
    /// was merged into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_of: Vec<Part>,
    pub stock: Vec<PlaceView>,
    pub listings: Vec<ListingView>,
    /// Stock changes that are not seen live everywhere yet, oldest first.
    pub commits: Vec<CommitView>,
    /// The latest ledger entries, oldest first. The journal has all of them.
    pub recent: Vec<EntryView>,
    /// Available over all places that were counted.
    pub available: Quantity,
    /// The most that its listings may still sell unseen, those left out of which that is not known. `None`: it is known of
    /// none of them.
    #[serde(default)]
    pub exposure: Option<Quantity>,
    /// Available less exposure: what may still be raised. `None`: it is not known what all listings show.
    pub slack: Option<Quantity>,
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
    pub desired: Option<Quantity>,
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
    /// Why it is not sent now, or waits for a person.
    pub waits_for: Option<String>,
    /// Writes that may still land.
    pub unsettled: Vec<UnsettledView>,
    /// The most that it may still sell unseen. `None`: not known, or it sells nothing of the merchant's.
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
    pub sent_at: Time,
}

/// A stock change on its way to the listings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitView {
    pub id: Seq,
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
    pub event_at: Time,
    pub recorded_at: Time,
    pub on_hand: Quantity,
    pub committed: Quantity,
    pub reserved: Quantity,
}

/// `GET /v1/orders/{channel}/{order}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub channel: ChannelId,
    pub order: OrderId,
    /// What people call it (`#1001`).
    pub name: Option<String>,
    pub placed_at: Time,
    /// What is known of it is in doubt, and it will be read again.
    pub fetch_due: bool,
    /// It was finished long ago: a tombstone is kept of it.
    #[serde(default)]
    pub pruned: bool,
    pub lines: Vec<LineView>,
    pub postings: Vec<PostingView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    pub line: LineId,
    pub ids: Ids,
    pub by: FulfilledBy,
    /// What follows from all that was told.
    pub totals: Totals,
    /// What the ledger has entries for.
    pub booked: Totals,
    /// Sold and neither shipped nor cancelled, as booked.
    pub open: Quantity,
    pub bound: Option<BindingView>,
    /// Why no SKU was found, if the line waits for one.
    pub unmapped: Option<String>,
}

/// The SKU and place that a line's entries are booked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingView {
    pub sku: Sku,
    pub location: LocationId,
    /// The order is older than the opening count.
    pub baseline: bool,
}

/// How far an ERP has been told of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingView {
    pub channel: ChannelId,
    /// `done`, `pending`, `in_flight`, `retry`, `parked`, `dropped`.
    pub state: String,
    /// What every document made for the order carries as its beginning.
    pub reference: String,
    pub sequence: u32,
    pub tries: u32,
    /// Since when the ERP is behind, if it is.
    pub since: Option<Time>,
    pub next_at: Option<Time>,
    /// Why it waits for a person, or did not go through when it was tried last.
    pub reason: Option<String>,
    /// What the ERP has acknowledged.
    pub acknowledged: Vec<ItemView>,
    pub dead_letter: Option<LetterId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemView {
    pub sku: Sku,
    pub location: LocationId,
    pub totals: Totals,
}

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
    /// What the channel shows, as far as is known.
    pub shown: Option<Quantity>,
    /// What it should show.
    pub quantity: Quantity,
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

/// `GET /v1/dead-letters?channel=&reason=&limit=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// Orders with lines that no SKU was found for; `evenkeel map list --lines` shows them.
    #[serde(default, skip_serializing_if = "is_none_of_them")]
    pub unmapped_orders: usize,
    pub letters: Vec<DeadLetter>,
    pub more: bool,
}

/// Something that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub id: LetterId,
    /// `leg`, `posting`, `count` or `quarantine`.
    pub kind: String,
    /// The channel, or `@person` for a person's count.
    pub channel: Counter,
    /// What it is about: a SKU, an order, a topic.
    pub subject: String,
    pub reason: String,
    pub since: Time,
    /// How often in a row it was tried in vain; zero where nothing is tried.
    #[serde(default)]
    pub tries: u32,
    /// The command that helps, once the reason is dealt with.
    #[serde(default)]
    pub command: String,
    /// The other command, where only a person knows which of the two it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// What `retry` does, in a few words.
    pub retry: String,
    /// What `discard` does, in a few words.
    pub discard: String,
}

/// `POST /v1/dead-letters/retry`, `POST /v1/dead-letters/discard`: all that fit. Held counts are dealt with one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LettersRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    /// A part of the reason; upper and lower case are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// All of them, where neither channel nor reason is named.
    #[serde(default)]
    pub all: bool,
    /// Only tells which.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was done with the dead letters that fit, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LettersDone {
    pub letters: Vec<DeadLetter>,
    /// There are more; the same request goes on with them.
    pub more: bool,
    pub dry_run: bool,
}

/// What a dead letter is retried or discarded by: `leg:main:SKU:0`, `posting:erp:main:1001`, `count:123`,
/// `quarantine:55`. A SKU or an order may itself contain colons.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LetterId {
    Leg { channel: ChannelId, sku: Sku, n: u16 },
    Posting { channel: ChannelId, order: OrderKey },
    Count(Seq),
    Quarantine(Seq),
}

/// A text that names no dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a dead letter, such as `leg:main:SKU:0` or `quarantine:55`")]
pub struct BadLetterId(String);

impl LetterId {
    /// Returns the word that the id begins with.
    pub fn kind(&self) -> &'static str {
        match self {
            LetterId::Leg { .. } => "leg",
            LetterId::Posting { .. } => "posting",
            LetterId::Count(_) => "count",
            LetterId::Quarantine(_) => "quarantine",
        }
    }

    fn parse(text: &str) -> Option<LetterId> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "leg" => {
                let (channel, rest) = rest.split_once(':')?;
                let (sku, n) = rest.rsplit_once(':')?;
                LetterId::Leg { channel: channel.parse().ok()?, sku: sku.parse().ok()?, n: n.parse().ok()? }
            }
            "posting" => {
                let (channel, rest) = rest.split_once(':')?;
                let (of, order) = rest.split_once(':')?;
                let order = OrderKey { channel: of.parse().ok()?, order: order.parse().ok()? };
                LetterId::Posting { channel: channel.parse().ok()?, order }
            }
            "count" => LetterId::Count(Seq(rest.parse().ok()?)),
            "quarantine" => LetterId::Quarantine(Seq(rest.parse().ok()?)),
            _ => return None,
        })
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind())?;
        match self {
            LetterId::Leg { channel, sku, n } => write!(f, "{channel}:{sku}:{n}"),
            LetterId::Posting { channel, order } => write!(f, "{channel}:{order}"),
            LetterId::Count(seq) | LetterId::Quarantine(seq) => seq.fmt(f),
        }
    }
}

impl FromStr for LetterId {
    type Err = BadLetterId;

    fn from_str(text: &str) -> Result<LetterId, BadLetterId> {
        LetterId::parse(text).ok_or_else(|| BadLetterId(text.to_owned()))
    }
}

impl TryFrom<String> for LetterId {
    type Error = BadLetterId;

    fn try_from(text: String) -> Result<LetterId, BadLetterId> {
        text.parse()
    }
}

impl From<LetterId> for String {
    fn from(id: LetterId) -> String {
        id.to_string()
    }
}

/// `GET /v1/map?unmatched=&listings=&channel=&limit=&after=`
///
/// Without anything: the rows of the mapping table, of the configuration and imported. With `unmatched=true`: what
/// waits for a row. With `listings=true`: every listing that is bound, page by page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mapping {
    pub rows: Vec<MapRow>,
    /// Catalogue items that no SKU was found for.
    pub unmatched: Vec<Unmatched>,
    /// Order lines that no SKU was found for.
    pub unmapped: Vec<Unmapped>,
    /// What no SKU is waited for, by a person's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredView>,
    /// Pass this as `after` to go on; `None`: that was all.
    pub next: Option<String>,
}

/// One row of the mapping: what a SKU goes by on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRow {
    pub sku: Sku,
    pub channel: ChannelId,
    pub ids: Ids,
    /// Where it comes from; left out when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<MapSource>,
    /// Where it stands in a file, for messages; left out when it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapSource {
    /// The configuration file.
    Config,
    /// `evenkeel map import`.
    Imported,
    /// A listing that was found in a channel's catalogue and bound.
    Listing,
}

/// A catalogue item that no SKU was found for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    pub channel: ChannelId,
    pub ids: Ids,
    pub title: Option<String>,
    pub why: String,
    pub since: Time,
}

/// An order line that no SKU was found for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmapped {
    pub channel: ChannelId,
    pub order: OrderId,
    pub line: LineId,
    pub ids: Ids,
    pub why: String,
}

/// `POST /v1/map`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapImport {
    pub rows: Vec<MapRow>,
    /// Only tell what it would do.
    #[serde(default)]
    pub dry_run: bool,
    /// A person has seen what it would do: the brake does not hold it.
    #[serde(default)]
    pub confirm: bool,
}

/// The answer to [`MapImport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapImported {
    pub rows: usize,
    /// Waiting catalogue items that found their SKU by it.
    pub bound: usize,
    /// Catalogue items of those channels that still have none.
    pub unmatched: usize,
    #[serde(default)]
    pub dry_run: bool,
    /// What it does to what listings show, and to orders.
    #[serde(default)]
    pub effect: EffectView,
    /// Why the brake holds it. Nothing was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Rows of the table that said something else of the same, the first of them: these take their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<MapRow>,
}

/// `POST /v1/map/remove`: a row goes by all of its identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapRemove {
    pub channel: ChannelId,
    pub ids: Ids,
    #[serde(default)]
    pub dry_run: bool,
    #[serde(default)]
    pub confirm: bool,
}

/// The answer to [`MapRemove`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRemoved {
    pub dry_run: bool,
    pub row: MapRow,
    /// The listings that it names and that stay bound to its SKU; at most twenty are told.
    pub listings: Vec<MapRow>,
    pub more: bool,
    /// What other rows, or the rules, do of what waits now.
    pub effect: EffectView,
    /// Why the brake holds it. Nothing was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// `POST /v1/pause`: either a channel or a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// `frozen` writes nothing, what is shown still sells; `stopped` shows zero.
    pub mode: Pause,
}

/// `POST /v1/resume`: either a channel or a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
}

/// `GET /v1/returns`: units that came back and are reserved until a person has looked at them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returns {
    pub rows: Vec<ReturnedUnits>,
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedUnits {
    pub sku: Sku,
    pub location: LocationId,
    pub reserved: Quantity,
    pub on_hand: Quantity,
}

/// `POST /v1/returns`: what became of such units; all of them unless a quantity is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnedRequest {
    pub sku: Sku,
    /// May be left out if they are in one place only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// `restock` puts them on sale again, `discard` takes them off the books.
    pub fate: Fate,
    #[serde(default)]
    pub note: String,
    /// By this a repeat is recognised, for two days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<DeliveryId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedDone {
    pub sku: Sku,
    pub location: LocationId,
    pub quantity: Quantity,
    /// What is still reserved of the SKU there.
    pub left: Quantity,
    /// It was done before, for the same request: no units were dealt with.
    #[serde(default)]
    pub again: bool,
}

/// What a person has counted. `POST /v1/count` takes it over, `POST /v1/count/preview` tells what that would do; with
/// `/v1/count/opening` and `/v1/count/opening/preview?all=` it is the opening stock, and the answers are those of `init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountRequest {
    pub lines: Vec<CountedLine>,
    /// `on_hand`: all that lies there, sold or not. `free`: what is left to be sold.
    #[serde(default = "on_hand")]
    pub measure: Measure,
    /// When it was counted, for lines that do not say it; now, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
    /// Everything was counted at the locations of the lines: what has stock there and is not named, is not there.
    #[serde(default)]
    pub full: bool,
    /// The brake does not hold it: a person has seen what it says.
    #[serde(default)]
    pub believed: bool,
    /// By this a repeat is recognised, for two days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<DeliveryId>,
}

fn on_hand() -> Measure {
    Measure::OnHand
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedLine {
    /// Where it stands in a file, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub sku: Sku,
    pub location: LocationId,
    pub quantity: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
    #[serde(default)]
    pub note: String,
}

/// What a count does, or would do. A stock is a SKU at a location.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CountTally {
    pub changed: usize,
    pub unchanged: usize,
    /// Stocks that rise and fall, and by how many units in all.
    pub up: usize,
    pub up_units: Quantity,
    pub down: usize,
    pub down_units: Quantity,
    /// Stocks that had units and have none any more.
    pub zeroed: usize,
    /// Stocks that had no opening count.
    pub opened: usize,
    /// Some of the changes: what is on hand before and after, with what moved since the as-of on top.
    pub some: Vec<StockChange>,
    /// Lines that nothing comes of.
    pub left_out: Vec<LeftOutLine>,
    /// Why the brake holds it, or would.
    pub brake: Option<String>,
    /// The held count, which waits for a person.
    pub held: Option<LetterId>,
    /// It was done before, for the same request.
    #[serde(default)]
    pub again: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockChange {
    pub sku: Sku,
    pub location: LocationId,
    pub before: Quantity,
    pub after: Quantity,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutLine {
    /// Where it stands in the file, if it came in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub sku: Sku,
    pub location: LocationId,
    /// `no_sku`, `bundle`, `counted_later`, `not_known` (what moved there since its as-of is not known) or `partial`: it would
    /// rise, and the line of the same SKU for another place is left out.
    pub reason: String,
    pub why: String,
}

/// `POST /v1/poll`: reads a channel's orders (an ERP's movements) now; without a channel, all channels'.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
}

/// The answer to `POST /v1/checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The journal's position it reflects, or a later one.
    pub seq: Seq,
    /// The hash of the journal's chain, in hex. Kept elsewhere, it proves later that nothing was cut off.
    pub head: String,
}

/// `GET /v1/alerts`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    pub alerts: Vec<AlertView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// `late`, `lane_stopped`, `circuit_open`, `dead_letters`, `brake`, `quarantine`, `unmapped`, `feed_late`,
    /// `posting_late`, `drift`, `assumption_broken`.
    pub kind: String,
    /// The channel, or another subject's name.
    pub subject: String,
    pub text: String,
    /// `false`: it is over, and people are still to be told so.
    pub firing: bool,
    pub since: Time,
    pub age_ms: i64,
    /// When people were last told of its present state.
    pub told_at: Option<Time>,
    /// Tellings in a row that failed.
    pub tries: u32,
}

/// `POST /v1/init/preview?all=` and `POST /v1/init/apply`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitRequest {
    /// The ERP or the channel that the opening stock is taken from.
    pub from: ChannelId,
    /// Where all of it lies that a channel shows of several places together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<LocationId>,
}

/// What taking over the opening stock would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitPreview {
    /// The channel, or `@person`.
    pub from: Counter,
    pub measure: Measure,
    /// When the stock was read, by the counter's clock.
    pub as_of: Time,
    /// SKUs that get an opening stock.
    pub skus: usize,
    pub units: Quantity,
    /// SKUs among them with nothing in stock.
    pub empty: usize,
    /// Counted items that no SKU was found for; their stock is not taken over.
    pub unknown: usize,
    pub channels: Vec<InitChannel>,
    /// Counted SKUs that are on no selling channel: how many, and some of them.
    pub unlisted: usize,
    pub unlisted_some: Vec<Sku>,
    /// Of which orders a person will be asked whether an ERP has them: one for each ERP that is told of orders.
    pub open_orders: Vec<OpenOrders>,
    /// Open orders with lines of which it is not known what they sell, by the channel that sold them.
    pub unmapped_orders: Vec<OpenOrders>,
    /// What a person should look at before going on.
    pub warnings: Vec<String>,
}

/// Orders that are open when the stock is taken over. That an ERP was never told of by Evenkeel, so that it may have them by
/// other hands; or that sell something without a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrders {
    /// The ERP, or the channel that sold what has no SKU.
    pub channel: ChannelId,
    pub orders: usize,
    /// The units of them that are neither shipped nor cancelled.
    pub units: Quantity,
    /// Some of them.
    pub some: Vec<OrderKey>,
}

/// One channel within [`InitPreview`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitChannel {
    pub channel: ChannelId,
    pub kind: String,
    /// Catalogue items that are bound to a SKU.
    pub bound: usize,
    /// Catalogue items that no SKU was found for.
    pub unmatched: usize,
    /// Bound listings that are never written (FBA, untracked).
    pub unwritable: usize,
    /// Bound listings whose SKU has no opening stock: nothing is written to them.
    pub uncounted: usize,
    pub uncounted_some: Vec<Sku>,
    /// Listings that will show another quantity than they do: how many, and some of them, largest change first.
    pub differing: usize,
    pub differences: Vec<Difference>,
    /// How many units less, and more, the channel will show in all.
    pub lowered_units: Quantity,
    pub raised_units: Quantity,
}

/// A listing that will show another quantity than it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub sku: Sku,
    pub shows: Quantity,
    pub will_show: Quantity,
}

/// The answer to `POST /v1/init/apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitDone {
    pub from: Counter,
    pub as_of: Time,
    /// SKUs that got an opening stock.
    pub skus: usize,
    pub units: Quantity,
    pub unknown: usize,
    /// Of which orders a person is asked whether an ERP has them.
    pub open_orders: Vec<OpenOrders>,
    /// Open orders with lines of which it is not known what they sell.
    pub unmapped_orders: Vec<OpenOrders>,
}

fn is_none_of_them(count: &usize) -> bool {
    *count == 0
}

/// Returns identifiers as a map.
pub fn ids_of(ids: &Identifiers) -> Ids {
    ids.iter().map(|id| (id.kind.name().to_owned(), id.value.to_string())).collect()
}

/// A map that cannot be identifiers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIds {
    #[error(
        "`{0}` is no kind of identifier; known: channel_sku, variant, inventory_item, asin, fnsku, record, barcode"
    )]
    Kind(String),
    #[error(transparent)]
    Value(#[from] BadIdentifier),
    #[error("a row names no identifier")]
    Empty,
}

/// Returns the identifiers that a map names. Empty values are left out.
pub fn ids_from(ids: &Ids) -> Result<Identifiers, BadIds> {
    let mut pairs = Vec::new();
    for (name, value) in ids {
        let kind = IdKind::ALL.into_iter().find(|kind| kind.name() == name.as_str());
        pairs.push((kind.ok_or_else(|| BadIds::Kind(name.clone()))?, value.as_str()));
    }
    let ids = Identifiers::new(pairs)?;
    if ids.is_empty() { Err(BadIds::Empty) } else { Ok(ids) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_as_text_in_utc() {
        let time = Time(Timestamp::from_millis(1_795_446_245_678));
        assert_eq!(time.to_string(), "2026-11-23T15:04:05.678Z");
        assert_eq!("2026-11-23T16:04:05.678+01:00".parse(), Ok(time));
        assert!("yesterday".parse::<Time>().is_err());
        assert!(!Time(Timestamp::MAX).to_string().is_empty());
    }

    #[test]
    fn the_id_of_a_dead_letter_survives_colons_and_slashes() {
        for text in ["leg:main:A:B/C:12", "posting:erp:main:1001:x", "count:123", "quarantine:55"] {
            assert_eq!(text.parse::<LetterId>().map(|id| id.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "leg", "leg:main:A", "leg:Main:A:0", "count:x", "letter:1", "posting:erp:main"] {
            assert!(bad.parse::<LetterId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identifiers_go_by_the_names_of_the_csv() {
        let ids = Ids::from([("asin".to_owned(), "B0".to_owned()), ("barcode".to_owned(), String::new())]);
        let read = ids_from(&ids).expect("good");
        assert_eq!(ids_of(&read), Ids::from([("asin".to_owned(), "B0".to_owned())]));
        assert!(matches!(ids_from(&Ids::from([("upc".to_owned(), "1".to_owned())])), Err(BadIds::Kind(_))));
        assert_eq!(ids_from(&Ids::new()), Err(BadIds::Empty));
    }
}
