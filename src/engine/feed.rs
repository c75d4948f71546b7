//! A channel's order feed: read since the watermark, page by page, each page durable before the next.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    clock::Clock,
    connectors::{Connector, Cursor, Fault},
    core::Command,
    engine::{fetch::Unread, intake::Quarantine, ledger::Ledger, wake::ChannelWakes},
    model::{ChannelId, Seq, Timestamp},
    telemetry::{Feed as FeedName, Metrics},
};

/// The most pages of one read. A feed that has more goes on from its watermark at the next read.
const PAGES_MAX: usize = 2_000;
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
        let (mut failures, mut unread): (u32, Unread) = (0, Unread::default());
        let mut first = true;
        loop {
            let go = first
                || tokio::select! {
                    () = shutdown.cancelled() => return,
                    Some(()) = self.ticks.recv() => true,
                    () = self.wakes.feed.notified() => true,
                    () = self.wakes.feed_hint.notified() => self.wanted(&unread).await,
                    () = tokio::time::sleep(TICK) => self.wanted(&unread).await,
                };
            first = false;
            if !go {
                continue;
            }
            let read = tokio::select! {
                () = shutdown.cancelled() => return,
                read = self.read(&mut unread) => read,
            };
            let pause = match read {
                Ok(()) => {
                    failures = 0;
                    if unread.is_empty() { GAP } else { GAP_UNREAD }
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
            if failures > 0 || self.wanted(&unread).await {
                self.wakes.feed.notify_one();
            }
        }
    }

    /// Fetches the orders that must be fetched, then reads the feed to its end, whatever became of those orders.
    ///
    /// Dropping it between two pages loses nothing: what is durable stays, the watermark moves only at the end.
    pub async fn read(&self, unread: &mut Unread) -> Result<(), Error> {
        self.fetch_due(unread).await?;
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
            if !page.unread.is_empty() {
                let (channel, orders) = (self.channel.clone(), page.unread);
                self.ledger.submit(Command::Unread { channel, orders }).await?;
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
            match self.ledger.submit(one).await {
                Ok(_) => {}
                Err(Refused::Refused(reason)) => {
                    self.quarantine
                        .keep(&self.channel, "orders", Some(id), &reason.to_string(), &body)
                        .await?;
                }
                Err(error) => return Err(error.into()),
            }
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
