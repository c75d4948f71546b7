//! The bulks of a lane: puts one together where so many raises are due, sends it, and asks how far it is until it has ended.
//!
//! It goes on beside the lane's other writes, one step at a time, and holds nothing: what is open stands in the state.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};
use tracing::{info, warn};

use crate::{
    clock::Clock,
    connectors::{
        Connector, Fault, Outcome, Put,
        bulk::{Begun, Bulks},
    },
    core::{
        Command, Reply,
        bulk::{Act, Bulk, How, Told, Turn},
        state::ListingRef,
    },
    engine::ledger::{self, Ledger},
    model::ChannelId,
    telemetry::Metrics,
};

/// How many listings one command puts in flight, or answers for.
const PORTION: usize = 2_000;
/// How often it is looked whether a bulk is due.
const IDLE: Duration = Duration::from_secs(2);
/// How often it is asked at most how far a bulk is.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// The longest pause after a bulk could not be asked after.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// What bulks need of a lane.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) channel: ChannelId,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) ledger: Ledger,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
}

/// The bulks of a lane.
pub(super) struct Loads {
    loader: Loader,
    /// One step at most.
    under_way: JoinSet<Result<Duration, ledger::Error>>,
    next: Option<Instant>,
}

impl Loads {
    pub(super) fn new(loader: Loader) -> Loads {
        Loads { loader, under_way: JoinSet::new(), next: None }
    }

    /// Begins the next step, if its time has come.
    pub(super) fn begin(&mut self) {
        while let Some(ended) = self.under_way.try_join_next() {
            let pause = match ended {
                Ok(Ok(pause)) => pause,
                // Whatever keeps the ledger from answering shows at the lane's next take.
                Ok(Err(_)) => IDLE,
                Err(error) => {
                    warn!(channel = %self.loader.channel, %error, "a step of a bulk did not end");
                    PAUSE_MAX
                }
            };
            self.next = Some(Instant::now() + pause);
        }
        let early = self.next.is_some_and(|next| Instant::now() < next);
        if !early && self.under_way.is_empty() && self.loader.connector.bulks().is_some() {
            self.under_way.spawn(self.loader.clone().step());
        }
    }

    /// Waits until what is being sent has been sent.
    pub(super) async fn end(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }
}

impl Loader {
    /// Makes one step, and returns how long it is until the next.
    async fn step(self) -> Result<Duration, ledger::Error> {
        let Some(bulks) = self.connector.bulks() else { return Ok(IDLE) };
        match self.take(PORTION, false).await? {
            Turn::Nothing => Ok(IDLE),
            Turn::Write(puts) => self.send(bulks, puts).await,
            Turn::Ask(bulk) => self.ask(bulks, bulk).await,
        }
    }

    async fn take(&self, limit: usize, more: bool) -> Result<Turn<(ListingRef, Put)>, ledger::Error> {
        let take = Command::Bulk { channel: self.channel.clone(), act: Act::Take { limit, more } };
        let reply = self.ledger.submit(take).await?;
        Ok(if let Reply::Bulk(turn) = reply { turn } else { Turn::Nothing })
    }

    /// Fills a bulk up, and sends it.
    async fn send(
        &self,
        bulks: &dyn Bulks,
        mut all: Vec<(ListingRef, Put)>,
    ) -> Result<Duration, ledger::Error> {
        while all.len() < bulks.most() {
            let limit = PORTION.min(bulks.most() - all.len());
            match self.take(limit, true).await? {
                Turn::Write(more) if !more.is_empty() => all.extend(more),
                Turn::Write(_) | Turn::Nothing | Turn::Ask(_) => break,
            }
        }
        let (listings, puts): (Vec<ListingRef>, Vec<Put>) = all.into_iter().unzip();
        let Begun { told, mut outcomes } = bulks.begin(&puts).await;
        crate::store::crash::crash_point("after_write");
        // A connector that answers for fewer writes than it was given has said nothing about the others.
        outcomes.resize(puts.len(), Outcome::Unknown { fault: "the connector gave no answer".into() });
        self.metrics.wrote(&self.channel, &outcomes);
        info!(channel = %self.channel, listings = puts.len(), ?told, "a bulk was sent");
        self.told(told).await?;
        let keys = puts.into_iter().map(|put| put.key);
        let mut answers = listings.into_iter().zip(keys).zip(outcomes);
        loop {
            let some =
                answers.by_ref().take(PORTION).map(|((listing, key), outcome)| (listing, key, outcome));
            let answers: Vec<_> = some.collect();
            if answers.is_empty() {
                return Ok(self.poll());
            }
            let answer = Command::Answer { channel: self.channel.clone(), answers };
            self.ledger.submit(answer).await?;
        }
    }

    async fn ask(&self, bulks: &dyn Bulks, bulk: Bulk) -> Result<Duration, ledger::Error> {
        if bulk.is_lost(self.clock.now()) {
            warn!(channel = %self.channel, ?bulk, "a bulk never ended: it is not waited for any more");
            let why = Some("it did not end within three days".to_owned());
            self.told(Told::Ended { how: How::Lost, why, again_ms: 0 }).await?;
            return Ok(IDLE);
        }
        match bulks.ask(&bulk).await {
            Ok(all) => {
                for told in all {
                    if let Told::Ended { how, why, .. } = &told {
                        info!(channel = %self.channel, id = bulk.id, how = how.name(), why, "a bulk has ended");
                    }
                    self.told(told).await?;
                }
                Ok(self.poll())
            }
            Err(fault) => {
                warn!(channel = %self.channel, id = bulk.id, %fault, "how far a bulk is could not be asked");
                let pause =
                    if let Fault::Throttled { retry_after } = fault { retry_after } else { self.poll() };
                Ok(pause.clamp(self.poll(), PAUSE_MAX))
            }
        }
    }

    async fn told(&self, told: Told) -> Result<(), ledger::Error> {
        let told = Command::Bulk { channel: self.channel.clone(), act: Act::Told(told) };
        self.ledger.submit(told).await.map(drop)
    }

    fn poll(&self) -> Duration {
        let look = u64::try_from(self.connector.abilities().look_ms).unwrap_or(0);
        Duration::from_millis(look).clamp(POLL.0, POLL.1)
    }
}
