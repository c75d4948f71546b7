//! A channel's lane: takes due writes and looks, carries them out, reports what came of them.
//!
//! One task per channel, so that one channel's outage never delays another's writes. It holds no state that matters:
//! what is due follows from the state, and what was under way when it died is unknown, not lost.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    clock::Clock,
    connectors::{Connector, Fault, Observed, Outcome, Put},
    core::{Command, Reply, circuit::Health, state::ListingRef},
    engine::{ledger::Ledger, wake::ChannelWakes},
    model::{ChannelId, Identifiers},
    telemetry::Metrics,
};

/// How long a lane sleeps at most: a missed wake-up costs no more than this.
const TICK: Duration = Duration::from_millis(500);
/// The longest pause after looks that failed.
const LOOKS_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Looks that a push asks for are dropped beyond this; the reconcile finds what they would have.
pub const HINTS_MAX: usize = 1_024;

/// A listing that a push said may have changed.
pub type Hint = (ListingRef, Identifiers);

pub struct Lane {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub wakes: Arc<ChannelWakes>,
    pub metrics: Arc<Metrics>,
    pub hints: mpsc::Receiver<Hint>,
}

impl Lane {
    /// Works until `shutdown`, and ends the writes that are under way first. Looks go on beside the writes, one batch at
    /// a time, so that a channel that is slow to read is not slow to write.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let batch = usize::try_from(self.connector.abilities().batch).unwrap_or(1).max(1);
        let mut looks = Looks::new(Eyes {
            channel: self.channel.clone(),
            connector: self.connector.clone(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        });
        let mut hinted = Vec::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wakes.lane.notified() => {}
                () = tokio::time::sleep(TICK) => {}
                () = looks.ended() => {}
                Some(hint) = self.hints.recv(), if hinted.len() < batch => hinted.push(hint),
            }
            while hinted.len() < batch
                && let Ok(hint) = self.hints.try_recv()
            {
                hinted.push(hint);
            }
            while !shutdown.is_cancelled() {
                match self.round(batch, &mut looks, &mut hinted).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(crate::engine::ledger::Error::Stopped) => return,
                    Err(error) => {
                        debug!(channel = %self.channel, %error, "lane waits");
                        break;
                    }
                }
            }
        }
    }

    /// Takes one portion of work: begins its looks, carries out its writes. `false`: there was none.
    async fn round(
        &self,
        batch: usize,
        looks: &mut Looks,
        hinted: &mut Vec<Hint>,
    ) -> Result<bool, crate::engine::ledger::Error> {
        let take = Command::Take { channel: self.channel.clone(), limit: batch };
        let Reply::Work { puts, looks: due } = self.ledger.submit(take).await? else { return Ok(false) };
        let begun = looks.begin(due, hinted);
        if puts.is_empty() {
            return Ok(begun);
        }
        self.write(puts).await?;
        Ok(true)
    }

    async fn write(&self, puts: Vec<(ListingRef, Put)>) -> Result<(), crate::engine::ledger::Error> {
        let (listings, puts): (Vec<ListingRef>, Vec<Put>) = puts.into_iter().unzip();
        let mut outcomes = self.connector.write(&puts).await;
        crate::store::crash::crash_point("after_write");
        // A connector that answers for fewer writes than it was given has said nothing about the others.
        outcomes.resize(puts.len(), Outcome::Unknown { fault: "the connector gave no answer".into() });
        self.metrics.wrote(&self.channel, &outcomes);
        let mut answers = Vec::with_capacity(puts.len());
        for ((listing, put), outcome) in listings.into_iter().zip(puts).zip(outcomes) {
            self.log(&listing, &put, &outcome);
            answers.push((listing, put.key, outcome));
        }
        let answer = Command::Answer { channel: self.channel.clone(), answers };
        self.ledger.submit(answer).await.map(drop)
    }

    fn log(&self, listing: &ListingRef, put: &Put, outcome: &Outcome) {
        let (channel, sku, quantity, key) = (&self.channel, &listing.sku, put.quantity, &put.key);
        match outcome {
            Outcome::Applied | Outcome::Accepted { .. } => {
                info!(%channel, %sku, %quantity, %key, ?outcome, "written");
            }
            Outcome::Stale => {
                info!(%channel, %sku, %quantity, %key, "stale: the channel's orders are read first")
            }
            Outcome::Rejected { .. }
            | Outcome::Throttled { .. }
            | Outcome::Unauthorized { .. }
            | Outcome::NotSent { .. }
            | Outcome::Unknown { .. } => {
                warn!(%channel, %sku, %quantity, %key, ?outcome, "write not confirmed")
            }
        }
    }
}

/// Returns what a failed read says of the channel as a whole, if anything.
pub(super) fn health_of(fault: &Fault) -> Option<Health> {
    match fault {
        Fault::Unauthorized(reason) => Some(Health::Unauthorized(reason.clone())),
        Fault::Timeout(_) | Fault::Disconnected(_) | Fault::Server { .. } => Some(Health::Silent),
        Fault::Throttled { .. } | Fault::Refused(_) | Fault::Malformed(_) | Fault::NotOffered(_) => None,
    }
}

/// What a look needs of a lane.
#[derive(Clone)]
struct Eyes {
    channel: ChannelId,
    connector: Arc<dyn Connector>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Eyes {
    /// Reads listings back. Returns the fault if nothing could be read.
    async fn look(self, due: Vec<Hint>) -> Result<Option<Fault>, crate::engine::ledger::Error> {
        let (listings, ids): (Vec<ListingRef>, Vec<Identifiers>) = due.into_iter().unzip();
        let read_at = self.clock.now();
        match self.connector.read_back(&ids).await {
            Ok(seen) => {
                self.metrics.looked(&self.channel, &seen);
                let seen: Vec<(ListingRef, Observed)> = listings.into_iter().zip(seen).collect();
                let looked = Command::Looked { channel: self.channel.clone(), read_at, seen };
                self.ledger.submit(looked).await?;
                Ok(None)
            }
            Err(fault) => {
                if let Some(health) = health_of(&fault) {
                    self.ledger.submit(Command::ReadFailed { channel: self.channel.clone(), health }).await?;
                }
                Ok(Some(fault))
            }
        }
    }
}

/// The looks of a lane: what is under way, and whether another one is worth its while.
struct Looks {
    eyes: Eyes,
    /// One at most. Dropped with the lane: what was to be looked at is due again after a start.
    under_way: JoinSet<Result<Option<Fault>, crate::engine::ledger::Error>>,
    failures: u32,
    until: Option<Instant>,
}

impl Looks {
    fn new(eyes: Eyes) -> Looks {
        Looks { eyes, under_way: JoinSet::new(), failures: 0, until: None }
    }

    /// Waits until the look that is under way has ended; for ever if there is none.
    async fn ended(&mut self) {
        match self.under_way.join_next().await {
            Some(ended) => self.note(ended),
            None => std::future::pending().await,
        }
    }

    fn note(&mut self, ended: Result<Result<Option<Fault>, crate::engine::ledger::Error>, JoinError>) {
        match ended {
            Ok(Ok(Some(fault))) => self.failed(&fault),
            Ok(Ok(None)) => self.failures = 0,
            // Whatever keeps the ledger from answering shows at the next take.
            Ok(Err(_)) => {}
            Err(error) => warn!(channel = %self.eyes.channel, %error, "a look did not end"),
        }
    }

    /// Begins a look at what is due, and at what pushes have named, unless one is under way.
    fn begin(&mut self, mut due: Vec<Hint>, hinted: &mut Vec<Hint>) -> bool {
        while let Some(ended) = self.under_way.try_join_next() {
            self.note(ended);
        }
        if self.paused() {
            hinted.clear();
            return false;
        }
        if !self.under_way.is_empty() {
            return false;
        }
        due.extend(hinted.drain(..).filter(|hint| !due.contains(hint)).collect::<Vec<_>>());
        if due.is_empty() {
            return false;
        }
        self.under_way.spawn(self.eyes.clone().look(due));
        true
    }

    fn paused(&self) -> bool {
        self.failures > 0 && self.until.is_some_and(|until| Instant::now() < until)
    }

    fn failed(&mut self, fault: &Fault) {
        self.failures = self.failures.saturating_add(1);
        let pause = match fault {
            Fault::Throttled { retry_after } => *retry_after,
            Fault::Timeout(_)
            | Fault::Disconnected(_)
            | Fault::Server { .. }
            | Fault::Unauthorized(_)
            | Fault::Refused(_)
            | Fault::Malformed(_)
            | Fault::NotOffered(_) => Duration::from_millis(250) * 2_u32.pow(self.failures.min(8)),
        };
        let pause = pause.min(LOOKS_PAUSE_MAX);
        warn!(channel = %self.eyes.channel, %fault, ?pause, "could not read quantities back");
        self.until = Some(Instant::now() + pause);
    }
}
