//! Puts the daemon together, runs it, and takes it apart in the right order.

use std::{
    collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration,
};

use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use crate::{
    clock::{Clock, SystemClock},
    config::{AlertTarget, Config, Feed as FeedConfig, Secrets},
    connectors::Connector,
    core::{Command, Refused},
    engine::{
        alerter::{Alerter, Target},
        counter::Counter,
        disk,
        feed::Feed,
        handles::Handles,
        init::{Opening, Reach},
        intake::{Intake, Quarantine},
        lane::{HINTS_MAX, Lane},
        ledger::{self, Failure, Ledger},
        poster::Poster,
        reconcile::Reconcile,
        registry, room,
        schedule::Ticker,
        upkeep,
        wake::Wakes,
    },
    model::{ChannelId, Timestamp},
    store,
    telemetry::Metrics,
    web,
};

/// How long the tasks have to end what is under way. A write that is cut off is unknown, not lost.
const DRAIN: Duration = Duration::from_secs(20);
/// How often a checkpoint is written, across restarts; after a failure it is tried again this soon.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(6 * 3_600);
const CHECKPOINT_AGAIN: Duration = Duration::from_secs(15 * 60);
/// How often bodies in quarantine are looked at for their age, from the start on.
const EXPIRE_EVERY: Duration = Duration::from_secs(15 * 60);

/// The program that runs, even if its file was replaced since.
const OURSELVES: &str = "/proc/self/exe";

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] disk::Error),
    #[error(transparent)]
    Connector(#[from] registry::Error),
    #[error("the ledger's thread could not be started")]
    Thread(#[source] std::io::Error),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error("the configuration was refused: {0}")]
    Configuration(Refused),
    #[error("the scheduler failed")]
    Scheduler(#[from] tokio_cron_scheduler::JobSchedulerError),
    #[error(transparent)]
    Web(#[from] web::Error),
    #[error("the journal failed: {0}")]
    Journal(Failure),
    #[error("the ledger's thread panicked")]
    Panicked,
}

/// What all tasks of the daemon share.
struct Parts {
    config: Config,
    connectors: BTreeMap<ChannelId, Arc<dyn Connector>>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    wakes: Arc<Wakes>,
    metrics: Arc<Metrics>,
    quarantine: Arc<Quarantine>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A daemon whose tasks run. It serves nobody by itself: see [`run`].
pub struct Daemon {
    parts: Parts,
    ticker: Ticker,
    thread: JoinHandle<Result<(), Failure>>,
    /// One door for pushes per channel.
    pub intakes: BTreeMap<ChannelId, Arc<Intake>>,
}

/// Runs the daemon until `shutdown`, or until the journal fails.
pub async fn run(config: Config, secrets: Secrets, shutdown: CancellationToken) -> Result<(), Error> {
    let daemon = Daemon::start(config, &secrets, &shutdown).await?;
    let served = daemon.serve().await;
    if served.is_err() {
        shutdown.cancel();
    }
    let ended = daemon.run(&shutdown).await;
    served?;
    ended
}

impl Daemon {
    /// Opens the store, makes what was in flight unknown, and starts every task.
    pub async fn start(
        config: Config,
        secrets: &Secrets,
        shutdown: &CancellationToken,
    ) -> Result<Daemon, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::new());
        let connectors = registry::build(&config, secrets)?;
        let (state, store) = open(&config, clock.now()).await?;
        let epoch = if state.epoch == 0 { state.next_epoch(clock.now()) } else { state.epoch };
        let wakes = Arc::new(Wakes::new(connectors.keys().cloned()));
        let options = ledger::Options { queue_max: config.web.queue_max, group_max: config.store.group_max };
        let started =
            Ledger::start(state, Box::new(store), clock.clone(), wakes.clone(), metrics.clone(), &options);
        let (ledger, thread) = started.map_err(Error::Thread)?;
        let policies = config.policies(|id| registry::abilities(&connectors, id));
        ledger.submit(Command::Configure(Box::new(policies))).await?;
        ledger.submit(Command::Start { epoch }).await?;
        let quarantine =
            Arc::new(Quarantine::new(config.store.path.join("quarantine"), ledger.clone(), clock.clone()));
        let (tasks, stop) = (TaskTracker::new(), shutdown.child_token());
        let parts = Parts { config, connectors, ledger, clock, wakes, metrics, quarantine, tasks, stop };
        let ticker = Ticker::new().await?;
        let intakes = parts.channels(&ticker).await?;
        parts.alerter(secrets);
        parts.upkeep();
        ticker.start().await?;
        Ok(Daemon { parts, ticker, thread, intakes })
    }

    /// Opens the doors: HTTP for pushes, health and metrics, the socket for the command line. Returns the address of
    /// the former.
    pub async fn serve(&self) -> Result<SocketAddr, web::Error> {
        self.parts.serve(&self.intakes).await
    }

    /// Returns the way to the ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.parts.ledger
    }

    pub fn connectors(&self) -> &BTreeMap<ChannelId, Arc<dyn Connector>> {
        &self.parts.connectors
    }

    /// Watches over the daemon until `shutdown`, then ends it in order.
    pub async fn run(self, shutdown: &CancellationToken) -> Result<(), Error> {
        if !shutdown.is_cancelled() {
            info!(channels = self.parts.connectors.len(), "ready");
            notify(&[sd_notify::NotifyState::Ready]);
        }
        let ended = self.parts.watch(self.thread, shutdown).await;
        self.ticker.stop().await;
        ended
    }
}

async fn open(config: &Config, now: Timestamp) -> Result<(crate::core::State, disk::DiskStore), Error> {
    let options = store::Options {
        journal: store::journal::Options { segment_bytes: config.store.segment_bytes, ..Default::default() },
        state: store::state::Options { cache_bytes: config.store.cache_bytes, ..Default::default() },
        archive: Some(config.store.archive.clone()),
        builder: Some(PathBuf::from(OURSELVES)),
        force_rebuild: false,
    };
    let path = config.store.path.clone();
    let opened = tokio::task::spawn_blocking(move || disk::open(&path, options, now)).await;
    Ok(opened.map_err(|_| Error::Panicked)??)
}

impl Parts {
    /// Starts the tasks of every channel. Returns the doors for pushes.
    async fn channels(&self, ticker: &Ticker) -> Result<BTreeMap<ChannelId, Arc<Intake>>, Error> {
        let mut intakes = BTreeMap::new();
        for (id, connector) in &self.connectors {
            let (hint, hints) = mpsc::channel(HINTS_MAX);
            let abilities = connector.abilities();
            if abilities.quantities {
                self.lane(id, connector, hints);
            }
            if abilities.posts {
                self.poster(id, connector);
            }
            if let Some(selling) = self.config.selling(id) {
                self.feed(
                    id,
                    connector,
                    ticker.every(&selling.orders.schedule).await?,
                    &selling.orders,
                    selling.orders_lookback,
                );
                self.reconcile(id, connector, ticker.every(&selling.reconcile).await?);
            }
            if let Some(erp) = self.config.tryton.get(id) {
                self.reconcile(id, connector, ticker.every(&erp.sweep).await?);
            }
            if let Some(erp) = self.config.tryton.get(id)
                && let Some(measure) = erp.counts
            {
                let (ticks, sweeps) =
                    (ticker.every(&erp.levels.schedule).await?, ticker.every(&erp.sweep).await?);
                self.counter(id, connector, measure, ticks, sweeps, erp.levels.overlap);
            }
            let intake = Intake {
                channel: id.clone(),
                connector: connector.clone(),
                ledger: self.ledger.clone(),
                quarantine: self.quarantine.clone(),
                hints: hint,
                metrics: self.metrics.clone(),
            };
            intakes.insert(id.clone(), Arc::new(intake));
        }
        Ok(intakes)
    }

    fn lane(
        &self,
        id: &ChannelId,
        connector: &Arc<dyn Connector>,
        hints: mpsc::Receiver<crate::engine::lane::Hint>,
    ) {
        let Some(wakes) = self.wakes.channel(id) else { return };
        let lane = Lane {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            wakes,
            metrics: self.metrics.clone(),
            hints,
        };
        self.tasks.spawn(lane.run(self.stop.clone()));
    }

    fn poster(&self, id: &ChannelId, connector: &Arc<dyn Connector>) {
        let Some(wakes) = self.wakes.channel(id) else { return };
        let poster = Poster {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.ledger.clone(),
            wakes,
            metrics: self.metrics.clone(),
        };
        self.tasks.spawn(poster.run(self.stop.clone()));
    }

    fn feed(
        &self,
        id: &ChannelId,
        connector: &Arc<dyn Connector>,
        ticks: mpsc::Receiver<()>,
        config: &FeedConfig,
        lookback: Duration,
    ) {
        let Some(wakes) = self.wakes.channel(id) else { return };
        let feed = Feed {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            wakes,
            metrics: self.metrics.clone(),
            quarantine: self.quarantine.clone(),
            ticks,
            lookback,
            overlap: config.overlap,
        };
        self.tasks.spawn(feed.run(self.stop.clone()));
    }

    fn reconcile(&self, id: &ChannelId, connector: &Arc<dyn Connector>, ticks: mpsc::Receiver<()>) {
        let reconcile = Reconcile {
            channel: id.clone(),
            connector: connector.clone(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            ticks,
        };
        self.tasks.spawn(reconcile.run(self.stop.clone()));
    }

    fn counter(
        &self,
        id: &ChannelId,
        connector: &Arc<dyn Connector>,
        measure: crate::model::Measure,
        ticks: mpsc::Receiver<()>,
        sweeps: mpsc::Receiver<()>,
        overlap: Duration,
    ) {
        let Some(wakes) = self.wakes.channel(id) else { return };
        let counter = Counter {
            channel: id.clone(),
            connector: connector.clone(),
            measure,
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            quarantine: self.quarantine.clone(),
            wakes,
            ticks,
            sweeps,
            overlap,
        };
        self.tasks.spawn(counter.run(self.stop.clone()));
    }

    /// Opens the doors. Returns the address for webhooks.
    async fn serve(&self, intakes: &BTreeMap<ChannelId, Arc<Intake>>) -> Result<SocketAddr, web::Error> {
        let config = &self.config;
        let shopify = intakes.iter().filter(|(id, _)| config.shopify.contains_key(*id));
        let web = web::Web {
            desk: Arc::new(self.handles()),
            shopify: shopify.map(|(id, intake)| (id.clone(), intake.clone() as Arc<dyn web::Door>)).collect(),
            metrics: self.metrics.clone(),
            options: web::Options {
                body_max: config.web.body_max_bytes,
                answer_within: config.web.answer_within,
                ..web::Options::new(config.web.listen, config.socket.path.clone())
            },
        };
        let open = web.open().await?;
        let address = open.address();
        self.tasks.spawn(open.serve(self.stop.clone()));
        Ok(address)
    }

    fn handles(&self) -> Handles {
        let reach = |id: &ChannelId| {
            let selling = self.config.selling(id)?;
            Some((id.clone(), Reach { lookback: selling.orders_lookback, overlap: selling.orders.overlap }))
        };
        let opening = Opening {
            connectors: self.connectors.clone(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            wakes: self.wakes.clone(),
            metrics: self.metrics.clone(),
            quarantine: self.quarantine.clone(),
            feeds: self.connectors.keys().filter_map(reach).collect(),
            turn: Mutex::new(()),
        };
        Handles {
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            wakes: self.wakes.clone(),
            metrics: self.metrics.clone(),
            opening,
            started: Instant::now(),
            store: self.config.store.path.clone(),
        }
    }

    fn alerter(&self, secrets: &Secrets) {
        let url = match &self.config.alerts.target {
            Some(AlertTarget::Plain(url)) => Some(url.to_string().into()),
            Some(AlertTarget::Secret(_)) => secrets.alerts_webhook.clone(),
            None => None,
        };
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let target = match (url, client) {
            (Some(url), Ok(client)) => Some(Target { url, client }),
            (Some(_), Err(error)) => {
                error!(%error, "alerts cannot be posted");
                None
            }
            (None, _) => None,
        };
        let alerter = Alerter {
            instance: self.config.instance.clone(),
            ledger: self.ledger.clone(),
            wakes: self.wakes.clone(),
            metrics: self.metrics.clone(),
            target: target.clone(),
            runbook: self.config.alerts.runbook_url.clone(),
        };
        self.tasks.spawn(alerter.run(self.stop.clone()));
        let repeat = u64::try_from(self.config.alerts.policy.repeat_ms).unwrap_or_default();
        let watch = room::Watch {
            ledger: self.ledger.clone(),
            path: self.config.store.path.clone(),
            limits: self.config.store.room,
            metrics: self.metrics.clone(),
            instance: self.config.instance.clone(),
            target,
            repeat: Duration::from_millis(repeat),
        };
        self.tasks.spawn(watch.run(self.stop.clone()));
    }

    /// Checkpoints, and removes bodies whose time is over.
    fn upkeep(&self) {
        let (quarantine, keep) = (self.quarantine.clone(), self.config.retention.quarantine);
        self.tasks.spawn(upkeep::expire(quarantine, keep, EXPIRE_EVERY, self.stop.clone()));
        let checkpoints = upkeep::Checkpoints {
            ledger: self.ledger.clone(),
            store: self.config.store.path.clone(),
            every: CHECKPOINT_EVERY,
            again: CHECKPOINT_AGAIN,
            archive: self.config.store.archive.clone(),
            keep: self.config.retention.archive,
        };
        self.tasks.spawn(checkpoints.run(self.stop.clone()));
        if let Some(every) = self.config.store.swap_every {
            let store = self.config.store.path.clone();
            let swaps =
                upkeep::Swaps { ledger: self.ledger.clone(), clock: self.clock.clone(), store, every };
            self.tasks.spawn(swaps.run(self.stop.clone()));
        }
    }

    /// Feeds the watchdog while the ledger makes progress; ends when told to, or when the ledger has ended.
    async fn watch(
        self,
        thread: JoinHandle<Result<(), Failure>>,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let (mut beat, mut beaten) = (self.ledger.beat(), Instant::now());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            if thread.is_finished() {
                break;
            }
            // The alerter's tick passes through the ledger each second, so an idle ledger beats too.
            if self.ledger.beat() != beat {
                (beat, beaten) = (self.ledger.beat(), Instant::now());
                notify(&[sd_notify::NotifyState::Watchdog]);
            } else if beaten.elapsed() > Duration::from_secs(30) {
                error!("the ledger has made no progress for 30 seconds");
            }
        }
        info!("stopping");
        notify(&[sd_notify::NotifyState::Stopping]);
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            warn!(
                "some tasks did not end in time; what they were sending is unknown and is looked up at start"
            );
        }
        self.ledger.stop().await;
        drop(self.ledger);
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(ended)) => ended.map_err(Error::Journal),
            Ok(Err(_)) | Err(_) => Err(Error::Panicked),
        }
    }
}

/// Tells systemd, where there is one.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd could not be told");
    }
}
