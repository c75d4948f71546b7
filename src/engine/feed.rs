//! A channel's order feed: read since the watermark, page by page, each page durable before the next.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    clock::Clock,
    connectors::{Connector, Cursor, Fault},
    core::{
        Command,
        decide::lane::feed_wanted,
        index::{Kind, Work},
    },
    engine::{intake::Quarantine, ledger::Ledger, wake::ChannelWakes},
    model::{ChannelId, OrderKey, Seq, Timestamp},
    telemetry::{Feed as FeedName, Metrics},
};

/// The most pages of one read. A feed that has more goes on from its watermark at the next read.
const PAGES_MAX: usize = 2_000;
/// The most orders fetched one by one between two reads of the feed.
const FETCHES_MAX: usize = 50;
/// The shortest pause between two reads that wake-ups ask for.
const GAP: Duration = Duration::from_millis(200);
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
}

impl Error {
    /// Returns what the channel did, if it was the channel.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Error::Fault(fault) => Some(fault),
            Error::Ledger(_) | Error::Loops | Error::Unbounded => None,
        }
    }
}

impl Feed {
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut failures: u32 = 0;
        // A read is owed from the start, and by whatever asks for one; all who ask share the next.
        let mut owed = true;
        let mut last: Option<Instant> = None;
        loop {
            owed |= owed && last.is_none()
                || tokio::select! {
                    () = shutdown.cancelled() => return,
                    Some(()) = self.ticks.recv() => true,
                    () = self.wakes.feed.notified() => true,
                    () = tokio::time::sleep(TICK) => self.wanted().await,
                };
            let early = failures == 0 && last.is_some_and(|at| at.elapsed() < self.connector.orders_gap());
            if !owed {
                continue;
            }
            let begun = Instant::now();
            let read = tokio::select! {
                () = shutdown.cancelled() => return,
                read = async { if early { self.fetch_due().await } else { self.read().await } } => read,
            };
            if !early {
                (last, owed) = (Some(begun), false);
            }
            let pause = match read {
                Ok(()) => {
                    failures = 0;
                    GAP
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
            if failures > 0 || (!owed && self.wanted().await) {
                self.wakes.feed.notify_one();
            }
        }
    }

    /// Tells whether a read that begins now would let something go on that waits for it.
    async fn wanted(&self) -> bool {
        let (channel, now) = (self.channel.clone(), self.clock.now());
        self.ledger.read(move |s| feed_wanted(s, &channel, now)).await.unwrap_or(false)
    }

    /// Fetches the orders that must be fetched, then reads the feed to its end.
    ///
    /// Dropping it between two pages loses nothing: what is durable stays, the watermark moves only at the end.
    pub async fn read(&self) -> Result<(), Error> {
        self.fetch_due().await?;
        let (begun, begun_at) = (self.ledger.seq(), self.clock.now());
        let channel = self.channel.clone();
        let fed = self.ledger.read(move |s| s.channels.get(&channel).and_then(|row| row.fed)).await?;
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let since = match fed {
            Some(fed) => fed.through.plus_millis(-millis(self.overlap)),
            None => self.clock.now().plus_millis(-millis(self.lookback)),
        };
        let through = self.pages(since).await?;
        let channel = self.channel.clone();
        self.ledger.submit(Command::Fed { channel, begun, begun_at, through }).await?;
        self.metrics.feed_read(&self.channel, FeedName::Orders);
        Ok(())
    }

    async fn pages(&self, since: Timestamp) -> Result<Timestamp, Error> {
        let mut after: Option<Cursor> = None;
        for _ in 0..PAGES_MAX {
            let begun = self.ledger.seq();
            let page = self.connector.orders(since, after.as_ref()).await?;
            debug!(channel = %self.channel, orders = page.orders.len(), "orders read");
            for entry in page.unreadable {
                self.quarantine.keep(&self.channel, "orders", entry.id, &entry.why, &entry.body).await?;
            }
            if !page.orders.is_empty() {
                self.take_in(begun, page.orders).await?;
            }
            match page.next {
                None => return page.read_through.ok_or(Error::Unbounded),
                Some(next) if after.as_ref() == Some(&next) => return Err(Error::Loops),
                Some(next) => after = Some(next),
            }
        }
        Err(Error::Unbounded)
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
            if let Err(Refused::Refused(reason)) = self.ledger.submit(one).await {
                self.quarantine.keep(&self.channel, "orders", Some(id), &reason.to_string(), &body).await?;
            }
        }
        Ok(())
    }

    async fn fetch_due(&self) -> Result<(), Error> {
        let channel = self.channel.clone();
        let due: Vec<OrderKey> = self
            .ledger
            .read(move |state| {
                let due = state.index.of(Kind::Fetch, &channel).filter_map(|work| {
                    if let Work::Fetch { order, .. } = work { Some(order.clone()) } else { None }
                });
                due.take(FETCHES_MAX).collect()
            })
            .await?;
        for key in due {
            let begun = self.ledger.seq();
            let (channel, order) = (self.channel.clone(), key.order);
            let command = match self.connector.order(&order).await {
                Ok(Some(read)) => Command::Orders { channel, begun, orders: vec![read] },
                Ok(None) => Command::NoOrder { channel, order },
                // One order that cannot be read does not hold up the others (I8).
                Err(Fault::Malformed(why)) => {
                    let id = Some(order.to_string());
                    self.quarantine.keep(&self.channel, "order", id, &why, why.as_bytes()).await?;
                    Command::NoOrder { channel, order }
                }
                Err(fault) => return Err(fault.into()),
            };
            self.ledger.submit(command).await?;
        }
        Ok(())
    }
}

/// Has a person told where credentials are refused; other faults are the feed's own to retry.
pub(super) async fn tell_failure(ledger: &Ledger, channel: &ChannelId, error: &Error) {
    if let Some(Fault::Unauthorized(reason)) = error.fault() {
        let health = crate::core::circuit::Health::Unauthorized(reason.clone());
        // A ledger that stops needs no health.
        drop(ledger.submit(Command::ReadFailed { channel: channel.clone(), health }).await);
    }
}

/// Returns how long to wait after `failures` failed reads in a row.
pub(super) fn pause_after(error: &Error, failures: u32) -> Duration {
    let asked = match error {
        Error::Fault(Fault::Throttled { retry_after }) => *retry_after,
        Error::Fault(_) | Error::Ledger(_) | Error::Loops | Error::Unbounded => Duration::ZERO,
    };
    (Duration::from_millis(250) * 2_u32.pow(failures.min(8))).min(PAUSE_MAX).max(asked)
}
