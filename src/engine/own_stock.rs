//! Reads what lies in a channel's own warehouses (FBA), and takes it over as a count of a place that is never written.
//!
//! The channel tells what is there at this moment, and not which orders it has in it: such a count is brought up to date as
//! one by a person is. What it does not name is not zero: its lists leave things out.
//!
//! Before the opening stock was taken over a count means nothing, so the first read waits for that, and for no tick more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::Clock,
    connectors::{Connector, CountLine, Scope},
    core::{
        Command, Reply, State,
        command::{ByHand, HandLine},
        mapping::resolve,
    },
    engine::{
        by_hand,
        counter::read_counts,
        feed::{Error, pause_after, tell_failure},
        intake::Quarantine,
        ledger::{self, Ledger},
    },
    model::{ChannelId, Counter, Identifiers, LocationId, Measure, Quantity, Sku, Timestamp},
    telemetry::{Feed as FeedName, Metrics},
};

/// How often it is looked whether the opening stock was taken over.
const LOOK: Duration = Duration::from_millis(500);
/// How long is waited for more of what changed, after the first.
const GATHER: Duration = Duration::from_secs(5);
/// How many items may wait to be counted anew.
pub(super) const RECOUNTS_MAX: usize = 500;
/// What a line of such a count says of itself in the journal.
const NOTE: &str = "told by the channel that keeps it";

pub(super) struct OwnStock {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub quarantine: Arc<Quarantine>,
    pub ticks: mpsc::Receiver<()>,
    /// Items of which the channel has said that something changed.
    pub recounts: mpsc::Receiver<Identifiers>,
}

impl OwnStock {
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let (mut failures, mut scope): (u32, Scope) = (0, Scope::All);
        loop {
            // What failed is due again when its pause is over.
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = std::future::ready(()), if failures > 0 => {}
                Some(()) = self.ticks.recv() => scope = Scope::All,
                Some(ids) = self.recounts.recv(), if failures == 0 => scope = tokio::select! {
                    () = shutdown.cancelled() => return,
                    gathered = self.gathered(ids) => gathered,
                },
            }
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                done = self.read(&scope) => done,
            };
            match done {
                Ok(()) => failures = 0,
                Err(Error::Ledger(ledger::Error::Stopped)) => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    warn!(channel = %self.channel, %error, failures, "could not read the channel's own stock");
                    self.metrics.feed_failed(&self.channel, FeedName::Sweep, error.fault());
                    tell_failure(&self.ledger, &self.channel, &error).await;
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(pause_after(&error, failures)) => {}
                    }
                }
            }
        }
    }

    /// Returns what is to be counted anew besides `first`: what is told within a moment is read together.
    async fn gathered(&mut self, first: Identifiers) -> Scope {
        let until = Instant::now() + GATHER;
        let mut items = BTreeSet::from([first]);
        while items.len() < RECOUNTS_MAX {
            match tokio::time::timeout_at(until, self.recounts.recv()).await {
                Ok(Some(ids)) => drop(items.insert(ids)),
                Ok(None) | Err(_) => break,
            }
        }
        Scope::Only(items.into_iter().collect())
    }

    async fn read(&self, scope: &Scope) -> Result<(), Error> {
        while self.ledger.read(|state| state.initialised).await?.is_none() {
            tokio::time::sleep(LOOK).await;
        }
        let as_of = self.clock.now();
        let (lines, _) = read_counts(self.connector.as_ref(), &self.quarantine, &self.channel, scope).await?;
        let channel = self.channel.clone();
        let news = move |state: &State| news(state, &channel, lines, as_of);
        let lines = self.ledger.read(news).await?;
        if lines.is_empty() {
            return Ok(());
        }
        // Nothing draws on it, so nothing can be emptied by it.
        let by = Counter::Channel(self.channel.clone());
        let count = ByHand { by, measure: Measure::OnHand, lines, opening: false, believed: true };
        for part in by_hand::cut(count) {
            if let Reply::CountedByHand(tally) = self.ledger.submit(Command::CountByHand(part)).await?
                && tally.changed + tally.opened > 0
            {
                info!(channel = %self.channel, changed = tally.changed, "the channel's own stock was counted");
            }
        }
        Ok(())
    }
}

/// Returns what of a reading is not what the ledger holds already, by SKU.
fn news(state: &State, channel: &ChannelId, lines: Vec<CountLine>, as_of: Timestamp) -> Vec<HandLine> {
    let mut sums: BTreeMap<(Sku, LocationId), Quantity> = BTreeMap::new();
    for line in lines {
        let resolved = resolve(state, channel, &line.ids);
        let Some(sku) = resolved.sku().map(|sku| state.canonical(sku).clone()) else { continue };
        if state.index.recipes.direct(&sku).is_some() {
            continue;
        }
        let sum = sums.entry((sku, line.location)).or_default();
        *sum = sum.add(line.quantity).unwrap_or(*sum);
    }
    let told = |((sku, location), quantity): ((Sku, LocationId), Quantity)| {
        let place = state.skus.get(&sku).and_then(|row| row.place(&location));
        let known = place.is_some_and(|place| place.opened.is_some() && place.stock.on_hand == quantity);
        let note = NOTE.to_owned();
        (!known).then_some(HandLine { sku, location, quantity, as_of, note, line: None })
    };
    sums.into_iter().filter_map(told).collect()
}
