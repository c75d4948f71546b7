//! What every channel's connector does, and what its answers mean.
//!
//! A connector encodes, sends and decodes; it decides whether an answer may be tried again, because only it can
//! read the answer. It knows nothing of the ledger: the quantities it is given are already decided.

pub mod amazon;
pub mod bulk;
pub mod http;
pub mod limit;
pub mod queue;
pub mod shopify;
#[cfg(test)]
pub(crate) mod specs;
pub mod sqs;
pub mod token;
pub mod tryton;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::model::{Abilities, DeliveryId, Identifiers, OrderId, OrderSnapshot, Timestamp, Totals};

use self::{bulk::Bulks, queue::Queue};
pub use crate::model::exchange::{
    CatalogueItem, CountLine, Notice, Observed, Outcome, Posting, PostingLine, Put,
};

/// One configured channel.
#[async_trait]
pub trait Connector: Send + Sync {
    fn abilities(&self) -> Abilities;

    /// Writes absolute quantities. Returns one outcome for each put, in the same order.
    async fn write(&self, puts: &[Put]) -> Vec<Outcome>;

    /// Tells whether a put takes calls of its own, so that it goes beside the others and holds up none of them.
    fn is_slow(&self, _: &Put) -> bool {
        false
    }

    /// Reads what the channel shows. Returns one answer for each listing, in the same order.
    async fn read_back(&self, listings: &[Identifiers]) -> Result<Vec<Observed>, Fault>;

    /// Returns what the channel's lists of orders go by. Orders count as read once all of the lists were; they are read in
    /// turn.
    fn order_lists(&self) -> &'static [By] {
        &[By::Change]
    }

    /// Reads one page of a list of orders: those changed, or placed, since `since` (the channel's clock), in the order of
    /// their changes. A list that `order_lists` does not name is not asked for.
    async fn orders(&self, by: By, since: Timestamp, after: Option<&Cursor>) -> Result<OrderPage, Fault>;

    /// Returns how far apart reads of the order feed must begin so that they do not use up what is saved for feeds of
    /// many pages.
    fn orders_gap(&self) -> Duration;

    /// Reads one order whole. `None`: the channel does not know it.
    async fn order(&self, order: &OrderId) -> Result<Option<OrderSnapshot>, Fault>;

    /// Reads one page of everything the channel lists, with what it shows of it.
    async fn catalogue(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault>;

    /// Reads one page of the same for the regular comparison, in the way that the channel offers for large catalogues, if it
    /// does. Its cursors are none of `catalogue`'s.
    async fn snapshot(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        self.catalogue(after).await
    }

    /// Reads listings by themselves, as `catalogue` tells them: those of which a report says other than what is known. For
    /// channels whose snapshots bring reports.
    async fn items(&self, _: &[Identifiers]) -> Result<CataloguePage, Fault> {
        Err(Fault::NotOffered("items"))
    }

    /// Checks who sent a push, then reads it. Verification comes before any parsing.
    fn receive(&self, push: &Push) -> Result<Received, Refusal>;

    /// Returns the queue that the channel's notifications come by, if they do. What it holds is read by `receive`, with the
    /// message's id as the header [`MESSAGE_ID`].
    fn queue(&self) -> Option<&dyn Queue> {
        None
    }

    /// Returns what writes many quantities as one, if the channel offers that.
    fn bulks(&self) -> Option<&dyn Bulks> {
        None
    }

    /// Reads the body of an entry that was quarantined under `topic`. Who sent it was checked when it came.
    fn reread(&self, topic: &str, body: &[u8]) -> Result<Vec<Fact>, String>;

    /// Reads which items moved since `since` (the counter's clock). For channels that tell counts.
    async fn changed(&self, since: Timestamp) -> Result<Changed, Fault>;

    /// Reads one page of counts: of the items named, or of all. For channels that tell counts.
    async fn counts(&self, scope: &Scope, after: Option<&Cursor>) -> Result<CountPage, Fault>;

    /// Looks up what the ERP holds of an order under our reference. For channels that take postings.
    async fn posted(&self, posting: &Posting) -> Result<Vec<Totals>, Fault>;

    /// Brings the ERP's documents of one order to the posting's targets: looks up what is there, then makes the
    /// missing steps. For channels that take postings.
    async fn post(&self, posting: &Posting) -> Outcome;

    /// Keeps the channel working beyond reads and writes (its pushes, our rights there, its API), and tells what a person
    /// should know. It is called at the start, by `[tend]`, after a push that asks for it, and when
    /// [`uneasy`](Connector::uneasy) says so; it may be dropped half-way and must be able to run at any time.
    async fn tend(&self, _: Tending) -> Result<Tended, Fault> {
        Ok(Tended::default())
    }

    /// Resolves when something was noticed of which [`tend`](Connector::tend) should tell before its next turn.
    async fn uneasy(&self) {
        std::future::pending().await
    }

    /// Asks whether credentials, scopes and the pinned version are good; reads only.
    async fn check(&self) -> Result<Checked, Fault>;
}

/// The header under which a message of a queue carries its id.
pub const MESSAGE_ID: &str = "message-id";

/// What a list of orders goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The latest change. Where the list leaves out the latest changes, an order that changes again is in no read that ends
    /// before that change, however long ago it was placed.
    Change,
    /// When the order was placed, which never changes.
    Placement,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// What is worth knowing.
    pub facts: Vec<String>,
    /// What keeps the channel from working, and who can mend it.
    pub problems: Vec<String>,
}

/// What tending a channel may do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tending {
    /// Mend what is not as it must be.
    Mend,
    /// Only look, and tell: what would be mended may serve another daemon.
    Look,
}

/// Why it only looks, as the beginning of what is told of what it leaves.
pub const ONLY_LOOKS: &str =
    "the store was restored, so subscriptions are left as they are until `evenkeel resume --live`";

/// What became of tending a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tended {
    /// All that a person should know at this moment, one for each kind. What is not here any more is over.
    pub notices: Vec<Notice>,
    /// The kinds of which nothing could be found out this time: what was told of them stands.
    pub unsure: Vec<&'static str>,
    /// Pushes may have been missed: the orders are read from the watermark, and what is shown is compared.
    pub missed: bool,
    /// Something failed that says nothing of the channel as a whole: it is tended again, soon at first, and later and later while
    /// it lasts.
    pub again: bool,
}

/// Why a read gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("connection failed: {0}")]
    Disconnected(String),
    #[error("channel answered {status}: {detail}")]
    Server { status: u16, detail: String },
    #[error("throttled for {retry_after:?}")]
    Throttled { retry_after: Duration },
    #[error("credentials refused: {0}")]
    Unauthorized(String),
    #[error("refused: {0}")]
    Refused(String),
    #[error("answer not understood: {0}")]
    Malformed(String),
    #[error("`{0}` is not offered by this kind of channel")]
    NotOffered(&'static str),
}

/// Where a paged read goes on, as the connector wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Returns where a list goes on, unless the channel says that a page comes after itself: it would be read for ever.
fn onward<T: PartialEq>(from: Option<&T>, to: Option<T>) -> Result<Option<T>, Fault> {
    match to {
        Some(to) if from == Some(&to) => {
            Err(Fault::Malformed("a page of the list names itself as the next one".to_owned()))
        }
        to => Ok(to),
    }
}

/// One page of an order feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderPage {
    pub orders: Vec<OrderSnapshot>,
    /// Entries that are authentic but could not be read; the rest of the page is not held up by them.
    pub unreadable: Vec<Unreadable>,
    /// Orders of the page that the channel failed to tell whole: each must be fetched by itself.
    pub unread: Vec<OrderId>,
    pub next: Option<Cursor>,
    /// Channel time up to which all of the list has been read. On the last page (`next` is `None`) it must be there: the
    /// next `since`. On a page before it only where the channel's order of changes proves it: a read that breaks off
    /// need not go back beyond it.
    pub read_through: Option<Timestamp>,
}

/// An authentic entry that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What it is about, if that much could be read.
    pub id: Option<String>,
    pub why: String,
    pub body: Bytes,
}

/// One page of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CataloguePage {
    pub items: Vec<CatalogueItem>,
    /// What could not be read, as far as it could, and why it must not be written. It changes nothing of what is known, and
    /// the rest of the page is not held up by it.
    pub unread: Vec<CatalogueItem>,
    /// Rows of a report, which were so at a moment that nobody can tell. They change nothing of what is known: what they say
    /// otherwise is read again by `items`.
    pub reported: Vec<CatalogueItem>,
    pub next: Option<Cursor>,
    /// How long before it was asked for its quantities were so. Zero but in a page of a snapshot.
    pub age: Duration,
}

/// Items that moved at a counter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    pub items: Vec<Identifiers>,
    /// The counter's time up to which movements were read; the next `since`.
    pub read_through: Timestamp,
}

/// What to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    All,
    Only(Vec<Identifiers>),
}

/// One page of counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CountPage {
    pub lines: Vec<CountLine>,
    pub unreadable: Vec<Unreadable>,
    pub next: Option<Cursor>,
    /// The counter's time at which the page was read.
    pub as_of: Timestamp,
}

/// A pushed request, before it is believed.
#[derive(Debug, Clone)]
pub struct Push {
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

/// An authentic push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub delivery: DeliveryId,
    pub topic: String,
    pub facts: Vec<Fact>,
}

/// What a push tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Order(OrderSnapshot),
    /// Something about this order changed that the push does not tell whole.
    Fetch(OrderId),
    /// The quantity of this listing may have changed.
    Look(Identifiers),
    /// Something about orders changed that only a read of the feed tells.
    Changed,
    /// Something about the channel itself changed: it is to be tended.
    Tend,
    /// What lies of this item in the channel's own warehouses may have changed.
    Recount(Identifiers),
}

/// Why a push was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not from the channel, as far as can be told. Only counted.
    #[error("not authentic: {0}")]
    Forged(String),
    /// Authentic, but it cannot be read. Goes to quarantine.
    #[error("authentic but unreadable: {why}")]
    Unparsable { delivery: Option<DeliveryId>, topic: String, why: String },
    /// Authentic, but nothing that is followed.
    #[error("topic `{topic}` is not followed")]
    NotFollowed { delivery: Option<DeliveryId>, topic: String },
}
