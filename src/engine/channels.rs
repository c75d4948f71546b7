//! The channels that run: the tasks of each, which can be started and ended while the others go on.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio_cron_scheduler::JobSchedulerError;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    config::{Config, Feed as FeedConfig},
    connectors::Connector,
    engine::{
        counter::Counter,
        feed::Feed,
        intake::{Intake, Quarantine},
        lane::{HINTS_MAX, Hint, Lane},
        ledger::Ledger,
        own_stock::{OwnStock, RECOUNTS_MAX},
        poster::Poster,
        queue::Listener,
        reconcile::Reconcile,
        registry::Connectors,
        schedule::Ticker,
        tend::Tender,
        wake::Wakes,
    },
    model::{ChannelId, Identifiers, Measure},
    telemetry::Metrics,
    web,
};

/// How far back the orders of a channel are read.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    pub lookback: Duration,
    pub overlap: Duration,
}

/// What the tasks of all channels share.
#[derive(Clone)]
pub struct Shared {
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub wakes: Arc<Wakes>,
    pub metrics: Arc<Metrics>,
    pub quarantine: Arc<Quarantine>,
    /// All tasks of the daemon, and what ends them.
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

/// All channels that run.
pub struct Channels {
    shared: Shared,
    all: RwLock<BTreeMap<ChannelId, Running>>,
}

/// One channel that runs.
struct Running {
    connector: Arc<dyn Connector>,
    /// How its orders are read, if it sells.
    reach: Option<Reach>,
    /// Its door, and whether pushes come to it.
    intake: Arc<Intake>,
    pushes: bool,
    hints: mpsc::Sender<Hint>,
    tasks: Tasks,
}

/// The tasks of one channel, within those of the daemon.
#[derive(Clone)]
struct Tasks {
    shared: Shared,
    own: TaskTracker,
    stop: CancellationToken,
}

impl Channels {
    pub fn new(shared: Shared) -> Channels {
        Channels { shared, all: RwLock::default() }
    }

    /// Starts the tasks of a channel. It must not run.
    pub async fn start(
        &self,
        config: &Config,
        ticker: &Ticker,
        id: &ChannelId,
        connector: Arc<dyn Connector>,
    ) -> Result<(), JobSchedulerError> {
        self.shared.wakes.add(id.clone());
        let (hint, hints) = mpsc::channel(HINTS_MAX);
        let (recount, recounts) = mpsc::channel(RECOUNTS_MAX);
        let (own, stop) = (TaskTracker::new(), self.shared.stop.child_token());
        let tasks = Tasks { shared: self.shared.clone(), own, stop };
        let intake = self.intake_of(id, &connector, hint, Some(recount));
        tasks.start(config, ticker, id, &connector, hints).await?;
        if let Some(amazon) = config.amazon.get(id).filter(|amazon| amazon.fba_location.is_some()) {
            tasks.own_stock(id, &connector, ticker.every(&amazon.fba).await?, recounts);
        }
        if connector.queue().is_some() {
            tasks.listener(id, &connector, &intake);
        }
        let selling = config.selling(id);
        let reach = selling
            .map(|selling| Reach { lookback: selling.orders_lookback, overlap: selling.orders.overlap });
        self.put(id, reach, config.shopify.contains_key(id), intake, tasks);
        Ok(())
    }

    fn intake_of(
        &self,
        id: &ChannelId,
        connector: &Arc<dyn Connector>,
        hints: mpsc::Sender<Hint>,
        recounts: Option<mpsc::Sender<Identifiers>>,
    ) -> Arc<Intake> {
        Arc::new(Intake {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.shared.ledger.clone(),
            quarantine: self.shared.quarantine.clone(),
            hints,
            recounts,
            wakes: self.shared.wakes.channel(id).unwrap_or_default(),
            metrics: self.shared.metrics.clone(),
        })
    }

    fn put(&self, id: &ChannelId, reach: Option<Reach>, pushes: bool, intake: Arc<Intake>, tasks: Tasks) {
        let (connector, hints) = (intake.connector.clone(), intake.hints.clone());
        let running = Running { connector, reach, intake, pushes, hints, tasks };
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), running);
    }

    /// Adds a channel without tasks of its own; for tests.
    pub fn lend(&self, id: &ChannelId, connector: Arc<dyn Connector>, reach: Option<Reach>) {
        self.shared.wakes.add(id.clone());
        let (hints, _) = mpsc::channel(1);
        let (own, stop) = (TaskTracker::new(), self.shared.stop.child_token());
        let tasks = Tasks { shared: self.shared.clone(), own, stop };
        let intake = self.intake_of(id, &connector, hints, None);
        self.put(id, reach, false, intake, tasks);
    }

    /// Ends the tasks of channels and waits for what is under way there: writes and postings are ended, never cut off,
    /// so that their answers are known.
    pub async fn end(&self, ids: &[ChannelId]) {
        let ending: Vec<Tasks> = {
            let all = self.held();
            ids.iter().filter_map(|id| all.get(id)).map(|running| running.tasks.clone()).collect()
        };
        join_all(ending.iter().map(|tasks| async move {
            tasks.stop.cancel();
            tasks.own.close();
            tasks.own.wait().await;
        }))
        .await;
    }

    /// Forgets a channel whose tasks have ended.
    pub fn remove(&self, id: &ChannelId) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.shared.wakes.remove(id);
    }

    pub fn connectors(&self) -> Connectors {
        self.held().iter().map(|(id, running)| (id.clone(), running.connector.clone())).collect()
    }

    pub fn connector(&self, id: &ChannelId) -> Option<Arc<dyn Connector>> {
        self.held().get(id).map(|running| running.connector.clone())
    }

    /// Returns the channels whose orders are read.
    pub fn feeds(&self) -> BTreeMap<ChannelId, Reach> {
        self.held().iter().filter_map(|(id, running)| Some((id.clone(), running.reach?))).collect()
    }

    /// Returns the way to a channel's lane for what a push says may have changed.
    pub fn hints(&self, id: &ChannelId) -> Option<mpsc::Sender<Hint>> {
        self.held().get(id).map(|running| running.hints.clone())
    }

    /// Returns the door of a channel.
    pub fn intake(&self, id: &ChannelId) -> Option<Arc<Intake>> {
        self.held().get(id).map(|running| running.intake.clone())
    }

    fn held(&self) -> RwLockReadGuard<'_, BTreeMap<ChannelId, Running>> {
        // What a panic left behind is whole: every change is a single step.
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl web::Doors for Channels {
    fn shopify(&self, channel: &ChannelId) -> Option<Arc<dyn web::Door>> {
        let all = self.held();
        let running = all.get(channel).filter(|running| running.pushes)?;
        Some(running.intake.clone() as Arc<dyn web::Door>)
    }
}

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(self.own.track_future(task));
    }

    async fn start(
        &self,
        config: &Config,
        ticker: &Ticker,
        id: &ChannelId,
        connector: &Arc<dyn Connector>,
        hints: mpsc::Receiver<Hint>,
    ) -> Result<(), JobSchedulerError> {
        let abilities = connector.abilities();
        self.tender(id, connector, ticker.every(&config.tend).await?);
        if abilities.quantities {
            self.lane(id, connector, hints);
        }
        if abilities.posts {
            self.poster(id, connector);
        }
        if let Some(selling) = config.selling(id) {
            let ticks = ticker.every(&selling.orders.schedule).await?;
            self.feed(id, connector, ticks, &selling.orders, selling.orders_lookback);
            self.reconcile(id, connector, ticker.every(&selling.reconcile).await?);
        }
        if let Some(erp) = config.tryton.get(id) {
            self.reconcile(id, connector, ticker.every(&erp.sweep).await?);
            if let Some(measure) = erp.counts {
                let ticks = ticker.every(&erp.levels.schedule).await?;
                let sweeps = ticker.every(&erp.sweep).await?;
                self.counter(id, connector, measure, ticks, sweeps, erp.levels.overlap);
            }
        }
        Ok(())
    }

    fn lane(&self, id: &ChannelId, connector: &Arc<dyn Connector>, hints: mpsc::Receiver<Hint>) {
        let Some(wakes) = self.shared.wakes.channel(id) else { return };
        let lane = Lane {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.shared.ledger.clone(),
            clock: self.shared.clock.clone(),
            wakes,
            metrics: self.shared.metrics.clone(),
            hints,
        };
        self.spawn(lane.run(self.stop.clone()));
    }

    fn tender(&self, id: &ChannelId, connector: &Arc<dyn Connector>, ticks: mpsc::Receiver<()>) {
        let Some(wakes) = self.shared.wakes.channel(id) else { return };
        let tender = Tender {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.shared.ledger.clone(),
            wakes,
            ticks,
        };
        self.spawn(tender.run(self.stop.clone()));
    }

    fn poster(&self, id: &ChannelId, connector: &Arc<dyn Connector>) {
        let Some(wakes) = self.shared.wakes.channel(id) else { return };
        let poster = Poster {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.shared.ledger.clone(),
            clock: self.shared.clock.clone(),
            wakes,
            metrics: self.shared.metrics.clone(),
        };
        self.spawn(poster.run(self.stop.clone()));
    }

    fn feed(
        &self,
        id: &ChannelId,
        connector: &Arc<dyn Connector>,
        ticks: mpsc::Receiver<()>,
        config: &FeedConfig,
        lookback: Duration,
    ) {
        let Some(wakes) = self.shared.wakes.channel(id) else { return };
        let feed = Feed {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.shared.ledger.clone(),
            clock: self.shared.clock.clone(),
            wakes,
            metrics: self.shared.metrics.clone(),
            quarantine: self.shared.quarantine.clone(),
            ticks,
            lookback,
            overlap: config.overlap,
        };
        self.spawn(feed.run(self.stop.clone()));
    }

    fn listener(&self, id: &ChannelId, connector: &Arc<dyn Connector>, intake: &Arc<Intake>) {
        let listener = Listener {
            channel: id.clone(),
            connector: connector.clone(),
            intake: intake.clone(),
            metrics: self.shared.metrics.clone(),
        };
        self.spawn(listener.run(self.stop.clone()));
    }

    fn own_stock(
        &self,
        id: &ChannelId,
        connector: &Arc<dyn Connector>,
        ticks: mpsc::Receiver<()>,
        recounts: mpsc::Receiver<Identifiers>,
    ) {
        let own_stock = OwnStock {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.shared.ledger.clone(),
            clock: self.shared.clock.clone(),
            metrics: self.shared.metrics.clone(),
            quarantine: self.shared.quarantine.clone(),
            ticks,
            recounts,
        };
        self.spawn(own_stock.run(self.stop.clone()));
    }

    fn reconcile(&self, id: &ChannelId, connector: &Arc<dyn Connector>, ticks: mpsc::Receiver<()>) {
        let Some(wakes) = self.shared.wakes.channel(id) else { return };
        let reconcile = Reconcile {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.shared.ledger.clone(),
            clock: self.shared.clock.clone(),
            wakes,
            ticks,
        };
        self.spawn(reconcile.run(self.stop.clone()));
    }

    fn counter(
        &self,
        id: &ChannelId,
        connector: &Arc<dyn Connector>,
        measure: Measure,
        ticks: mpsc::Receiver<()>,
        sweeps: mpsc::Receiver<()>,
        overlap: Duration,
    ) {
        let Some(wakes) = self.shared.wakes.channel(id) else { return };
        let counter = Counter {
            channel: id.clone(),
            connector: connector.clone(),
            measure,
            ledger: self.shared.ledger.clone(),
            clock: self.shared.clock.clone(),
            metrics: self.shared.metrics.clone(),
            quarantine: self.shared.quarantine.clone(),
            wakes,
            ticks,
            sweeps,
            overlap,
        };
        self.spawn(counter.run(self.stop.clone()));
    }
}
