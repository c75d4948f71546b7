//! A channel's lane: takes due writes and looks, carries them out, reports what came of them.
//!
//! One task per channel, so that one channel's outage never delays another's writes. What may be why requests fail goes
//! in requests of its own beside the others, so that a listing that lets each request time out delays none of them. So does
//! what takes many calls. A lane
//! holds no state that matters: what is due follows from the state, and what was under way when it died is unknown, not
//! lost.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    clock::Clock,
    connectors::{Connector, Fault, Outcome, Put},
    core::{Command, Reply, circuit::Health, command::Apart, state::ListingRef},
    engine::{
        bulk::{Loader, Loads},
        ledger::Ledger,
        looks::{Eyes, Looks},
        wake::ChannelWakes,
    },
    model::{ChannelId, IdempotencyKey, Identifiers},
    telemetry::Metrics,
};

/// How long a lane sleeps at most: a missed wake-up costs no more than this.
const TICK: Duration = Duration::from_millis(500);
/// How many requests with what may be why requests fail are under way at once.
const APART: usize = 4;
/// How many writes that take calls of their own go together, one such request after the other. The others are tried later.
const SLOW: usize = 20;
/// When.
const SLOW_MS: i64 = 5_000;
/// Looks that a push asks for are dropped beyond this; the reconcile finds what they would have.
pub const HINTS_MAX: usize = 1_024;

/// A listing that a push said may have changed.
pub type Hint = (ListingRef, Identifiers);

/// What became of a write.
type Answer = (ListingRef, IdempotencyKey, Outcome);

/// Writes of one request.
type Request = Vec<(ListingRef, Put)>;

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
        let pen = self.pen();
        let eyes = Eyes {
            channel: self.channel.clone(),
            connector: self.connector.clone(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        let loader = Loader {
            channel: self.channel.clone(),
            connector: self.connector.clone(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        let mut work = Work {
            pen,
            loads: Loads::new(loader),
            apart: JoinSet::new(),
            slow: JoinSet::new(),
            looks: Looks::new(eyes.clone()),
            looks_apart: Looks::new(eyes),
            hinted: Vec::new(),
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wakes.lane.notified() => {}
                () = tokio::time::sleep(TICK) => {}
                () = work.looks.ended() => {}
                () = work.looks_apart.ended() => {}
                Some(_) = work.apart.join_next() => {}
                Some(_) = work.slow.join_next() => {}
                Some(hint) = self.hints.recv(), if work.hinted.len() < batch => work.hinted.push(hint),
            }
            while work.hinted.len() < batch
                && let Ok(hint) = self.hints.try_recv()
            {
                work.hinted.push(hint);
            }
            while !shutdown.is_cancelled() {
                match work.round(batch).await {
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
        while work.apart.join_next().await.is_some() {}
        while work.slow.join_next().await.is_some() {}
        work.loads.end().await;
    }

    fn pen(&self) -> Pen {
        Pen {
            channel: self.channel.clone(),
            connector: self.connector.clone(),
            ledger: self.ledger.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

/// What a lane has under way.
struct Work {
    pen: Pen,
    loads: Loads,
    apart: JoinSet<()>,
    /// The request under way that takes many calls, if there is one.
    slow: JoinSet<()>,
    looks: Looks,
    looks_apart: Looks,
    hinted: Vec<Hint>,
}

impl Work {
    /// Takes one portion of work: begins its looks and what goes apart, carries out its other writes. `false`: there was
    /// none.
    async fn round(&mut self, batch: usize) -> Result<bool, crate::engine::ledger::Error> {
        while self.apart.try_join_next().is_some() {}
        self.loads.begin();
        let room = APART.saturating_sub(self.apart.len());
        let take = Command::Take { channel: self.pen.channel.clone(), limit: batch, apart: room };
        let reply = self.pen.ledger.submit(take).await?;
        let Reply::Work { puts, looks, apart: Apart { puts: requests, looks: looks_apart } } = reply else {
            return Ok(false);
        };
        let mut begun = self.looks.begin(looks, &mut self.hinted);
        begun |= self.looks_apart.begin(looks_apart, &mut Vec::new());
        for request in requests {
            begun = true;
            self.apart.spawn(self.pen.clone().writes(request));
        }
        if puts.is_empty() {
            return Ok(begun);
        }
        let (slow, puts): (Request, Request) =
            puts.into_iter().partition(|(_, put)| self.pen.connector.is_slow(put));
        self.begin_slow(slow).await?;
        if !puts.is_empty() {
            self.pen.write(puts).await?;
        }
        Ok(true)
    }

    /// Begins what takes calls of its own, as far as there is room; the rest was not sent, and comes again.
    async fn begin_slow(&mut self, mut slow: Request) -> Result<(), crate::engine::ledger::Error> {
        while self.slow.try_join_next().is_some() {}
        let room = if self.slow.is_empty() { SLOW } else { 0 };
        let later = slow.split_off(room.min(slow.len()));
        if !slow.is_empty() {
            self.slow.spawn(self.pen.clone().writes(slow));
        }
        let wait = |(listing, put): (ListingRef, Put)| {
            (listing, put.key, Outcome::Throttled { retry_after_ms: SLOW_MS })
        };
        self.pen.answer(later.into_iter().map(wait).collect()).await
    }
}

/// What writing needs of a lane.
#[derive(Clone)]
struct Pen {
    channel: ChannelId,
    connector: Arc<dyn Connector>,
    ledger: Ledger,
    metrics: Arc<Metrics>,
}

impl Pen {
    /// As [`Pen::write`], beside the lane: a ledger that stops shows at its next take.
    async fn writes(self, request: Request) {
        drop(self.write(request).await);
    }

    async fn write(&self, puts: Request) -> Result<(), crate::engine::ledger::Error> {
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
        self.answer(answers).await
    }

    async fn answer(&self, answers: Vec<Answer>) -> Result<(), crate::engine::ledger::Error> {
        if answers.is_empty() {
            return Ok(());
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
        Fault::Timeout(_) | Fault::Disconnected(_) | Fault::Server { .. } => {
            Some(Health::Silent(fault.to_string()))
        }
        Fault::Throttled { .. } | Fault::Refused(_) | Fault::Malformed(_) | Fault::NotOffered(_) => None,
    }
}
