//! Reads counts: what moved since the watermark, and from time to time everything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::Clock,
    connectors::{Connector, CountLine, Fault, Posting, Scope},
    core::{
        Command, Refused, Reply, State,
        command::Count,
        decide::counts::{lacks, raising},
    },
    engine::{
        feed::{Error, pause_after, tell_failure},
        intake::Quarantine,
        ledger::{self, Ledger},
        parts,
        wake::ChannelWakes,
    },
    model::{ChannelId, Identifiers, LocationId, Measure, OrderKey, Timestamp},
    telemetry::{Feed as FeedName, Metrics},
};

/// The most pages of one read.
const PAGES_MAX: usize = 10_000;
/// The most orders looked up after one read.
const LOOKUPS_MAX: usize = 100;

pub struct Counter {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub measure: Measure,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub quarantine: Arc<Quarantine>,
    pub wakes: Arc<ChannelWakes>,
    /// Ticks at which what moved is read.
    pub ticks: mpsc::Receiver<()>,
    /// Ticks at which everything is read.
    pub sweeps: mpsc::Receiver<()>,
    pub overlap: Duration,
}

impl Counter {
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut failures: u32 = 0;
        loop {
            let sweep = tokio::select! {
                () = shutdown.cancelled() => return,
                Some(()) = self.ticks.recv() => false,
                () = self.wakes.counter.notified() => false,
                Some(()) = self.sweeps.recv() => true,
                () = self.wakes.sweep.notified() => true,
            };
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                done = async { if sweep { self.sweep().await } else { self.moved().await } } => done,
            };
            match done {
                Ok(()) => failures = 0,
                Err(Error::Ledger(ledger::Error::Stopped)) => return,
                // Before the opening stock was taken over, counts mean nothing.
                Err(Error::Ledger(ledger::Error::Refused(Refused::NotInitialised))) => {}
                Err(error) => {
                    failures = failures.saturating_add(1);
                    warn!(channel = %self.channel, %error, failures, "could not read counts");
                    self.metrics.feed_failed(
                        &self.channel,
                        if sweep { FeedName::Sweep } else { FeedName::Levels },
                        error.fault(),
                    );
                    tell_failure(&self.ledger, &self.channel, &error).await;
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(pause_after(&error, failures)) => {}
                    }
                    // What was missed is not left to the next turn, which may be a day off.
                    if sweep { &self.wakes.sweep } else { &self.wakes.counter }.notify_one();
                }
            }
        }
    }

    /// Counts what moved since the watermark. The watermark stays where a SKU's count had to wait.
    async fn moved(&self) -> Result<(), Error> {
        let channel = self.channel.clone();
        let (through, initialised) = self
            .ledger
            .read(move |s| (s.channels.get(&channel).and_then(|row| row.counted_through), s.initialised))
            .await?;
        if initialised.is_none() {
            return Ok(());
        }
        let Some(through) = through else { return self.sweep().await };
        let overlap = i64::try_from(self.overlap.as_millis()).unwrap_or(i64::MAX);
        let changed = self.connector.changed(through.plus_millis(-overlap)).await?;
        if !changed.items.is_empty() {
            let deferred = self.count(&Scope::Only(changed.items)).await?;
            if deferred > 0 {
                return Ok(());
            }
        }
        let through = changed.read_through;
        self.ledger.submit(Command::CountedThrough { channel: self.channel.clone(), through }).await?;
        Ok(())
    }

    async fn sweep(&self) -> Result<(), Error> {
        let before = self.connector.changed(self.clock.now()).await?.read_through;
        let deferred = self.count(&Scope::All).await?;
        if deferred == 0 {
            let channel = self.channel.clone();
            self.ledger.submit(Command::CountedThrough { channel, through: before }).await?;
        }
        self.ledger.submit(Command::Swept { channel: self.channel.clone() }).await?;
        Ok(())
    }

    /// Reads counts and takes them over. Returns how many SKUs had to wait.
    async fn count(&self, scope: &Scope) -> Result<usize, Error> {
        let begun = self.ledger.seq();
        let (lines, as_of) =
            read_counts(self.connector.as_ref(), &self.quarantine, &self.channel, scope).await?;
        let absent = self.absent(&lines).await?;
        let set = self.set().await?;
        let count = Count {
            counter: self.channel.clone(),
            measure: self.measure,
            as_of,
            begun,
            lines,
            opening: false,
            absent,
            set,
        };
        let reply = parts::submit(&self.ledger, Command::Count(count)).await?;
        let Reply::Counted { changed, deferred, held, unknown } = reply else { return Ok(0) };
        if let Some(id) = held {
            warn!(channel = %self.channel, %id, "a count is held by the brake");
        } else if changed > 0 {
            info!(channel = %self.channel, changed, deferred, unknown, "counted");
        }
        Ok(deferred)
    }

    /// Returns the locations that are counted together, if they are several.
    async fn set(&self) -> Result<BTreeSet<LocationId>, Error> {
        let channel = self.channel.clone();
        let all = move |state: &State| {
            let policy = state.policies().and_then(|policies| policies.channels.get(&channel));
            policy.map(|policy| policy.locations.clone()).filter(|all| all.len() > 1).unwrap_or_default()
        };
        Ok(self.ledger.read(all).await?.into_iter().collect())
    }

    /// Looks up, after the read, which orders the counter still holds without what raises its stock: cancellations,
    /// returns, and shipments taken back.
    async fn absent(&self, lines: &[CountLine]) -> Result<Vec<OrderKey>, Error> {
        let mut open: BTreeMap<OrderKey, Posting> = BTreeMap::new();
        for lines in lines.chunks(parts::LINES) {
            let ids: Vec<Identifiers> = lines.iter().map(|line| line.ids.clone()).collect();
            let channel = self.channel.clone();
            let some = self.ledger.read(move |state| raising(state, &channel, &ids, LOOKUPS_MAX)).await?;
            open.extend(some.into_iter().map(|posting| (posting.order.clone(), posting)));
            if open.len() >= LOOKUPS_MAX {
                break;
            }
        }
        let mut absent = Vec::new();
        for posting in open.into_values().take(LOOKUPS_MAX) {
            let held = self.connector.posted(&posting).await?;
            if lacks(&posting, &held) {
                absent.push(posting.order);
            }
        }
        Ok(absent)
    }
}

/// Reads all pages of counts. Lines that cannot be read go to quarantine and do not hold up the others.
pub async fn read_counts(
    connector: &dyn Connector,
    quarantine: &Quarantine,
    channel: &ChannelId,
    scope: &Scope,
) -> Result<(Vec<CountLine>, Timestamp), Error> {
    let mut lines = Vec::new();
    let mut as_of = None;
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let page = connector.counts(scope, after.as_ref()).await?;
        // What was counted first is the oldest that the whole can vouch for.
        as_of = as_of.or(Some(page.as_of));
        lines.extend(page.lines);
        for entry in page.unreadable {
            quarantine.keep(channel, "counts", entry.id, &entry.why, &entry.body).await?;
        }
        match page.next {
            None => return as_of.map(|as_of| (lines, as_of)).ok_or(Error::Unbounded),
            Some(next) if after.as_ref() == Some(&next) => return Err(Error::Loops),
            Some(next) => after = Some(next),
        }
    }
    Err(Error::Fault(Fault::Malformed(format!("more than {PAGES_MAX} pages of counts"))))
}
