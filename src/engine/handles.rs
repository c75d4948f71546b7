//! What the engine lends to the web: the ledger, the wake-ups and the opening stock behind [`web::Desk`], each
//! channel's intake behind [`web::Door`].

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, timeout};

use crate::{
    clock::Clock,
    connectors::{CataloguePage, Cursor, Push},
    core::{Command, Refused, Reply, command::Tally, decide::trial::Effect, exposure, state::Note},
    engine::{
        by_hand,
        channels::Channels,
        init::Opening,
        intake::Intake,
        ledger::{self, Ledger},
        parts,
        reload::Reloader,
        trial::try_out,
        wake::Wakes,
    },
    model::{ChannelId, LocationId, Seq, Timestamp},
    store::{self, Footprint},
    telemetry::Metrics,
    web::{
        self, Counting, Failure, Read, Taken, Vitals,
        view::{InitDone, InitPreview, ReloadRequest, Reloaded, ReplayedItem},
    },
};

/// How long the ledger may take to tell the gauges; after that the old ones are published.
const FIGURES_WITHIN: Duration = Duration::from_secs(2);

/// The handles behind the admin API, health and metrics.
pub struct Handles {
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub wakes: Arc<Wakes>,
    pub metrics: Arc<Metrics>,
    pub channels: Arc<Channels>,
    pub opening: Opening,
    pub(super) reloader: Option<Arc<Reloader>>,
    pub started: Instant,
    /// The store's directory.
    pub store: PathBuf,
}

impl From<ledger::Error> for Failure {
    fn from(error: ledger::Error) -> Failure {
        match error {
            ledger::Error::Refused(refused) => Failure::Refused(refused),
            ledger::Error::Full => Failure::Busy,
            ledger::Error::NoRoom => Failure::NoRoom,
            ledger::Error::Closed => Failure::Closed,
            ledger::Error::Stopped => Failure::Stopping,
        }
    }
}

#[async_trait]
impl web::Desk for Handles {
    fn vitals(&self) -> Vitals {
        let standing = self.ledger.room().standing();
        Vitals {
            now: self.clock.now(),
            uptime: self.started.elapsed(),
            seq: self.ledger.seq(),
            beat: self.ledger.beat(),
            queued: self.ledger.queued(),
            refuses: standing.refuses().map(str::to_owned),
            disk: standing.lacks().map(str::to_owned),
        }
    }

    async fn submit(&self, command: Command) -> Result<Reply, Failure> {
        Ok(parts::submit(&self.ledger, command).await?)
    }

    async fn read(&self, read: Read) -> Result<(), Failure> {
        Ok(self.ledger.read(read).await?)
    }

    async fn checkpoint(&self) -> Result<(Seq, String), Failure> {
        let written = self.ledger.checkpoint().await?;
        let head = written.map_err(|failure| Failure::Failed(failure.to_string()))?;
        Ok((Seq(head.seq), head.hash.to_string()))
    }

    fn footprint(&self) -> Footprint {
        store::footprint(&self.store)
    }

    fn poll(&self, channel: &ChannelId) -> bool {
        let Some(wakes) = self.wakes.channel(channel) else { return false };
        wakes.feed.notify_one();
        wakes.counter.notify_one();
        wakes.sweep.notify_one();
        wakes.poster.notify_one();
        wakes.lane.notify_one();
        true
    }

    async fn catalogue(
        &self,
        channel: &ChannelId,
        after: Option<String>,
    ) -> Result<(Timestamp, CataloguePage), Failure> {
        let connector = self.channels.connector(channel);
        let connector = connector.ok_or_else(|| Refused::NoChannel(channel.clone()))?;
        let read_at = self.clock.now();
        let page = connector.catalogue(after.map(Cursor).as_ref()).await;
        page.map(|page| (read_at, page))
            .map_err(|fault| Failure::Channel { channel: channel.clone(), why: fault.to_string() })
    }

    async fn preview(&self, from: &ChannelId, at: Option<&LocationId>) -> Result<InitPreview, Failure> {
        self.opening.preview(from, at).await
    }

    async fn initialise(&self, from: &ChannelId, at: Option<&LocationId>) -> Result<InitDone, Failure> {
        self.opening.initialise(from, at).await
    }

    async fn try_count(&self, asked: Counting) -> Result<Tally, Failure> {
        Ok(by_hand::preview(&self.ledger, self.clock.now(), asked).await?)
    }

    async fn count(&self, asked: Counting) -> Result<Option<Tally>, Failure> {
        Ok(by_hand::count(&self.ledger, self.clock.now(), asked).await?)
    }

    async fn preview_counted(&self, asked: Counting) -> Result<InitPreview, Failure> {
        self.opening.preview_counted(asked).await
    }

    async fn initialise_counted(&self, asked: Counting) -> Result<InitDone, Failure> {
        self.opening.initialise_counted(asked).await
    }

    async fn try_out(&self, commands: Vec<Command>) -> Result<Effect, Failure> {
        Ok(try_out(&self.ledger, self.clock.as_ref(), commands).await?)
    }

    async fn reload(&self, asked: &ReloadRequest) -> Result<Reloaded, Failure> {
        let reloader = self.reloader.as_ref().ok_or_else(|| Failure::Conflict {
            what: "this daemon was not started from a file".to_owned(),
            next: "start it with `evenkeel run`".to_owned(),
        })?;
        // Who asks may go; what was begun is ended.
        let (reloader, asked) = (reloader.clone(), asked.clone());
        let done = tokio::spawn(async move { reloader.told(&asked).await });
        done.await.map_err(|_| Failure::Failed("the reload panicked".to_owned()))?
    }

    async fn replay(&self, id: Seq, dry_run: bool) -> Result<ReplayedItem, Failure> {
        self.reread(id, dry_run).await
    }

    async fn give_up(&self, id: Seq, note: Note) -> Result<(), Failure> {
        Handles::give_up(self, id, note).await
    }

    async fn body(&self, sha256: &str) -> Result<Option<Vec<u8>>, Failure> {
        let body = self.opening.quarantine.body(sha256).await;
        body.map_err(|error| Failure::Failed(format!("the body cannot be read: {error}")))
    }

    fn has_body(&self, sha256: &str) -> bool {
        self.opening.quarantine.has(sha256)
    }

    async fn figures(&self) -> String {
        let (metrics, now) = (Arc::clone(&self.metrics), self.clock.now());
        // Figures that are a little old are better than none.
        drop(timeout(FIGURES_WITHIN, self.ledger.read(move |state| metrics.standing(state, now))).await);
        if let Ok(Some(exposed)) = timeout(FIGURES_WITHIN, self.exposed()).await {
            self.metrics.exposed(&exposed);
        }
        self.metrics.set_queue(self.ledger.queued());
        let room = self.ledger.room();
        let free = room.last().map_or(0, |measured| measured.free);
        self.metrics.set_room(free, room.standing().refuses().is_some());
        self.metrics.encode()
    }
}

impl Handles {
    /// Adds up what the channels may still sell, in portions, so that the ledger does its work in between.
    async fn exposed(&self) -> Option<exposure::Tally> {
        /// How many SKUs are looked at in one go.
        const PORTION: usize = 5_000;
        let (mut tally, mut after) = (exposure::Tally::default(), None);
        loop {
            let portion = move |state: &crate::core::State| {
                let last = tally.add(state, after.as_ref(), PORTION);
                (tally, last)
            };
            (tally, after) = self.ledger.read(portion).await.ok()?;
            if after.is_none() {
                return Some(tally);
            }
        }
    }
}

#[async_trait]
impl web::Door for Intake {
    async fn push(&self, push: &Push) -> Taken {
        Intake::push(self, push).await
    }
}
