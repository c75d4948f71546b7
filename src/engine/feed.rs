//! A channel's order feed: read since the watermark, page by page, each page durable before the next.
//!
//! A channel may have two lists of orders, neither of which tells all (`By`). They are read in turn, one in each read, and
//! orders count as read as of the earlier of the last two.
//!
//! A read that breaks off goes on where it was: in this process at its page, after a restart at the last time of which
//! the connector said that everything before it has been read. Only a read that came to the feed's end is told as one.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    clock::Clock,
    connectors::{By, Connector, Cursor, Fault},
    core::{
        Command,
        state::{ChannelRow, READ},
    },
    engine::{
        fetch::{Unread, Wanted},
        intake::Quarantine,
        ledger::Ledger,
        wake::ChannelWakes,
    },
    model::{ChannelId, Seq, Timestamp},
    telemetry::{Feed as FeedName, Metrics},
};

/// The most pages of one read. A feed that has more goes on where this one ends.
pub(super) const PAGES_MAX: usize = 2_000;
/// After how many pages it is made durable how far the feed was read.
const NOTED_EVERY: usize = 40;
/// How often in a row a page may fail before the read is given up and begun anew: where it was to go on may be no
/// place any more.
const PAGE_TRIES: u32 = 5;
/// The shortest pause between two reads that wake-ups ask for.
const GAP: Duration = Duration::from_millis(200);
/// The same while an order could not be read: what waits for that order may ask for reads that do not help it.
const GAP_UNREAD: Duration = Duration::from_secs(5);
/// How long a feed sleeps at most before it looks whether something waits for it.
const TICK: Duration = Duration::from_millis(500);
/// The longest pause after reads that failed.
const PAUSE_MAX: Duration = Duration::from_secs(60);

pub struct Feed {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub wakes: Arc<ChannelWakes>,
    pub metrics: Arc<Metrics>,
    pub quarantine: Arc<Quarantine>,
    /// Ticks of the channel's schedule.
    pub ticks: mpsc::Receiver<()>,
    pub lookback: Duration,
    pub overlap: Duration,
}

/// Why a read of the feed did not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Ledger(#[from] crate::engine::ledger::Error),
    #[error("the feed gave the same page twice")]
    Loops,
    #[error("the feed did not say up to when it was read")]
    Unbounded,
    #[error("there are more orders than one read takes")]
    Unended,
}

impl Error {
    /// Returns what the channel did, if it was the channel.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Error::Fault(fault) => Some(fault),
            Error::Ledger(_) | Error::Loops | Error::Unbounded | Error::Unended => None,
        }
    }
}

/// What a feed keeps in mind from one read to the next. All of it may be lost at any time.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) unread: Unread,
    /// Where a read that broke off goes on.
    place: Option<Place>,
    /// The list that was read last.
    last: Option<List>,
}

/// A list of orders that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct List {
    by: By,
    /// The journal's position, and our clock, when its read began.
    begun: Seq,
    begun_at: Timestamp,
    through: Timestamp,
}

impl List {
    /// Returns as of when orders were read, of which this list and the other one before it told.
    fn and(self, earlier: List) -> List {
        List {
            by: self.by,
            begun: self.begun.min(earlier.begun),
            begun_at: self.begun_at.min(earlier.begun_at),
            through: self.through.min(earlier.through),
        }
    }
}

/// A read that is under way.
#[derive(Debug)]
struct Place {
    by: By,
    since: Timestamp,
    /// The journal's position, and our clock, when it began: it is a complete read as of then, once it has ended.
    begun: Seq,
    begun_at: Timestamp,
    after: Option<Cursor>,
    /// How often the page after `after` has failed.
    failures: u32,
    /// Up to when everything was read, if that is not durable yet.
    through: Option<Timestamp>,
}

/// How far a read came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Whole,
    /// There is more; the next read goes on there.
    Part,
}

impl Feed {
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (mut failures, mut memory): (u32, Memory) = (0, Memory::default());
        // A read is owed from the start, and by whatever asks for one; all who ask share the next.
        let mut owed = true;
        let mut more = false;
        let mut last: Option<Instant> = None;
        loop {
            let wanted = if owed && last.is_none() {
                Wanted::Read
            } else {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    Some(()) = self.ticks.recv() => Wanted::Read,
                    () = self.wakes.feed.notified() => Wanted::Read,
                    () = self.wakes.feed_hint.notified() => self.wanted(&memory.unread).await,
                    () = tokio::time::sleep(TICK) => self.wanted(&memory.unread).await,
                }
            };
            owed |= wanted == Wanted::Read;
            // A read that is not at its end goes on at once.
            let early =
                !more && failures == 0 && last.is_some_and(|at| at.elapsed() < self.connector.orders_gap());
            if !owed && wanted == Wanted::Nothing {
                continue;
            }
            // Single orders are fetched at once, and the feed is not read for them.
            let early = early || !owed;
            let begun = Instant::now();
            let read = tokio::select! {
                () = shutdown.cancelled() => return,
                read = async {
                    if early {
                        self.fetch_due(&mut memory.unread).await?;
                        Ok(Ended::Whole)
                    } else {
                        self.read(&mut memory).await
                    }
                } => read,
            };
            if !early {
                (last, owed, more) = (Some(begun), false, false);
            }
            let gap = || if memory.unread.is_empty() { GAP } else { GAP_UNREAD };
            let pause = match read {
                // Single orders say nothing of the feed.
                Ok(_) if early => gap(),
                Ok(ended) => {
                    failures = 0;
                    more = ended == Ended::Part;
                    gap()
                }
                Err(Error::Ledger(crate::engine::ledger::Error::Stopped)) => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    warn!(channel = %self.channel, %error, failures, "could not read the orders");
                    self.metrics.feed_failed(&self.channel, FeedName::Orders, error.fault());
                    tell_failure(&self.ledger, &self.channel, &error).await;
                    pause_after(&error, failures)
                }
            };
            let since = Instant::now();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(since + pause) => {}
            }
            if failures > 0 || more || (!owed && self.wanted(&memory.unread).await == Wanted::Read) {
                self.wakes.feed.notify_one();
            }
        }
    }

    /// Fetches the orders that must be fetched, then reads the feed on, whatever became of those orders.
    ///
    /// Dropping it between two pages loses nothing: what is durable stays, and no watermark moves past what is.
    pub async fn read(&self, memory: &mut Memory) -> Result<Ended, Error> {
        self.fetch_due(&mut memory.unread).await?;
        loop {
            let Some(list) = self.list(memory).await? else { return Ok(Ended::Part) };
            let whole = match memory.last.replace(list) {
                _ if self.connector.order_lists().len() == 1 => list,
                Some(earlier) => list.and(earlier),
                // Of the first read after a start, one list says little.
                None => continue,
            };
            let List { begun, begun_at, through, .. } = whole;
            self.ledger
                .submit(Command::Fed { channel: self.channel.clone(), begun, begun_at, through })
                .await?;
            self.metrics.feed_read(&self.channel, FeedName::Orders);
            return Ok(Ended::Whole);
        }
    }

    /// Reads the list whose turn it is. Returns nothing if it is not at its end yet.
    async fn list(&self, memory: &mut Memory) -> Result<Option<List>, Error> {
        let mut place = match memory.place.take() {
            Some(place) => place,
            None => self.begin(memory.last.map(|list| list.by)).await?,
        };
        let ended = self.pages(&mut place).await;
        self.note(&mut place).await?;
        match ended {
            Ok(Some(through)) => {
                let Place { by, begun, begun_at, .. } = place;
                Ok(Some(List { by, begun, begun_at, through }))
            }
            Ok(None) => {
                memory.place = Some(place);
                Ok(None)
            }
            Err(error) => {
                place.failures += 1;
                memory.place = Some(place).filter(|place| passes(&error) && place.failures < PAGE_TRIES);
                Err(error)
            }
        }
    }

    /// Returns where a read begins that goes on from nowhere. `last`: the list that was read before.
    async fn begin(&self, last: Option<By>) -> Result<Place, Error> {
        let lists = self.connector.order_lists();
        let by = lists.iter().copied().find(|by| last != Some(*by)).or(last).unwrap_or(By::Change);
        let (begun, begun_at) = (self.ledger.seq(), self.clock.now());
        let channel = self.channel.clone();
        let held =
            self.ledger.read(move |s| s.channels.get(&channel).and_then(ChannelRow::watermark)).await?;
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let since = match held {
            Some(held) => held.plus_millis(-millis(self.overlap)),
            None => begun_at.plus_millis(-millis(self.lookback)),
        };
        Ok(Place { by, since, begun, begun_at, after: None, failures: 0, through: None })
    }

    /// Reads pages. Returns up to when the feed was read, once it is at its end.
    async fn pages(&self, place: &mut Place) -> Result<Option<Timestamp>, Error> {
        for nth in 1..=PAGES_MAX {
            let begun = self.ledger.seq();
            let page = self.connector.orders(place.by, place.since, place.after.as_ref()).await?;
            debug!(channel = %self.channel, orders = page.orders.len(), "orders read");
            for entry in page.unreadable {
                self.quarantine.keep(&self.channel, READ, entry.id, &entry.why, &entry.body).await?;
            }
            if !page.orders.is_empty() {
                self.take_in(begun, page.orders).await?;
            }
            if !page.unread.is_empty() {
                let (channel, orders) = (self.channel.clone(), page.unread);
                self.ledger.submit(Command::Unread { channel, orders }).await?;
            }
            match page.next {
                None => return page.read_through.map(Some).ok_or(Error::Unbounded),
                Some(next) if place.after.as_ref() == Some(&next) => return Err(Error::Loops),
                Some(next) => (place.after, place.failures) = (Some(next), 0),
            }
            // What one of two lists was read up to says nothing of the other.
            if self.connector.order_lists().len() == 1 {
                place.through = page.read_through.or(place.through);
            }
            if nth % NOTED_EVERY == 0 {
                self.note(place).await?;
            }
        }
        Ok(None)
    }

    /// Makes durable how far the feed was read.
    async fn note(&self, place: &mut Place) -> Result<(), Error> {
        if let Some(through) = place.through.take() {
            self.ledger.submit(Command::FedThrough { channel: self.channel.clone(), through }).await?;
        }
        Ok(())
    }

    /// Takes in one page. An order that cannot be booked does not hold up the others.
    async fn take_in(&self, begun: Seq, orders: Vec<crate::model::OrderSnapshot>) -> Result<(), Error> {
        use crate::engine::ledger::Error as Refused;
        let all = Command::Orders { channel: self.channel.clone(), begun, orders: orders.clone() };
        match self.ledger.submit(all).await {
            Ok(_) => return Ok(()),
            Err(Refused::Refused(reason)) => {
                warn!(channel = %self.channel, %reason, "a page of orders was refused")
            }
            Err(error) => return Err(error.into()),
        }
        for order in orders {
            let id = order.order.to_string();
            let body = serde_json::to_vec(&order).unwrap_or_default();
            let one = Command::Orders { channel: self.channel.clone(), begun, orders: vec![order] };
            match self.ledger.submit(one).await {
                Ok(_) => {}
                Err(Refused::Refused(reason)) => {
                    self.quarantine.keep(&self.channel, READ, Some(id), &reason.to_string(), &body).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Tells whether a read that failed like this may go on at the same place.
pub(super) fn passes(error: &Error) -> bool {
    match error.fault() {
        Some(
            Fault::Timeout(_)
            | Fault::Disconnected(_)
            | Fault::Server { .. }
            | Fault::Throttled { .. }
            | Fault::Unauthorized(_),
        ) => true,
        Some(Fault::Refused(_) | Fault::Malformed(_) | Fault::NotOffered(_)) | None => false,
    }
}

/// Has a person told where credentials are refused; other faults are the feed's own to retry.
pub(super) async fn tell_failure(ledger: &Ledger, channel: &ChannelId, error: &Error) {
    if let Some(Fault::Unauthorized(reason)) = error.fault() {
        let health = crate::core::circuit::Health::Unauthorized(reason.clone());
        // A ledger that stops needs no health.
        drop(ledger.submit(Command::ReadFailed { channel: channel.clone(), health, alone: None }).await);
    }
}

/// Returns how long to wait after `failures` failed reads in a row.
pub(super) fn pause_after(error: &Error, failures: u32) -> Duration {
    let asked = match error {
        Error::Fault(Fault::Throttled { retry_after }) => *retry_after,
        Error::Fault(_) | Error::Ledger(_) | Error::Loops | Error::Unbounded | Error::Unended => {
            Duration::ZERO
        }
    };
    (Duration::from_millis(250) * 2_u32.pow(failures.min(8))).min(PAUSE_MAX).max(asked)
}
