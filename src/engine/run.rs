//! Puts the daemon together, runs it, and takes it apart in the right order.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use crate::{
    clock::{Clock, SystemClock},
    config::{AlertTarget, Config, Retention, Secrets},
    core::{
        Command, Refused, State,
        decide::stands::{self, Stands},
    },
    engine::{
        alerter::{Alerter, Logged, Target},
        channels::{Channels, Shared},
        disk,
        handles::Handles,
        init::Opening,
        intake::Quarantine,
        ledger::{self, Failure, Ledger},
        registry::{self, Connectors},
        reload::{self, Effective, Reloader, Source},
        resident, room,
        schedule::Ticker,
        teller::{Teller, Told, Way},
        upkeep,
        wake::Wakes,
    },
    model::{ChannelId, Policies, Timestamp},
    store,
    telemetry::{Metrics, causes},
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
    /// Names that would stand for another shop than they have stood for so far. `renamed`: some of them may be the same one
    /// under a new name.
    #[error("{told}")]
    OtherShop { told: String, renamed: bool },
    /// Something is kept under what the configuration takes away.
    #[error("{0}")]
    Stands(String),
    #[error("the scheduler failed")]
    Scheduler(#[from] tokio_cron_scheduler::JobSchedulerError),
    #[error(transparent)]
    Web(#[from] web::Error),
    #[error("the journal failed: {0}")]
    Journal(Failure),
    #[error("the ledger's thread panicked")]
    Panicked,
    /// It has ended in order, and is to be started again.
    #[error(
        "the process held as much memory as `memory.restart_bytes` allows, and has ended to be started again"
    )]
    Outgrown,
}

/// What all tasks of the daemon share.
pub(super) struct Parts {
    pub(super) ledger: Ledger,
    pub(super) clock: Arc<dyn Clock>,
    wakes: Arc<Wakes>,
    metrics: Arc<Metrics>,
    quarantine: Arc<Quarantine>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// The process holds more memory than it may.
    outgrown: CancellationToken,
    told: Told,
    logged: Logged,
    started: Instant,
    /// The store's directory.
    store: PathBuf,
}

/// A daemon whose tasks run. It serves nobody by itself: see [`run`].
pub struct Daemon {
    parts: Arc<Parts>,
    channels: Arc<Channels>,
    ticker: Arc<Ticker>,
    reloader: Arc<Reloader>,
    thread: JoinHandle<Result<(), Failure>>,
}

/// Where the configuration of a daemon comes from.
#[derive(Default)]
pub struct Origin {
    /// Where a changed one is read from. `None`: it cannot be reloaded.
    pub source: Option<Arc<dyn Source>>,
    /// Channels that are the same shop as before although they name another one, as a person says.
    pub renamed: Vec<ChannelId>,
}

/// Runs the daemon until `shutdown`, or until the journal fails.
pub async fn run(
    config: Config,
    secrets: Secrets,
    origin: Origin,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let daemon = Daemon::start_from(config, secrets, origin, &shutdown).await?;
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
        secrets: Secrets,
        shutdown: &CancellationToken,
    ) -> Result<Daemon, Error> {
        Daemon::start_from(config, secrets, Origin::default(), shutdown).await
    }

    /// Like [`Daemon::start`], with a configuration that comes from somewhere.
    pub async fn start_from(
        mut config: Config,
        secrets: Secrets,
        Origin { source, renamed }: Origin,
        shutdown: &CancellationToken,
    ) -> Result<Daemon, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::new());
        let policies = |config: &Config| {
            let connectors = registry::build(config, &secrets)?;
            Ok(config.policies(|id| registry::abilities(&connectors, id)))
        };
        let named = policies(&config)?;
        let (state, store) = open(&config, clock.now()).await?;
        same_shops(&state, &named, &renamed)?;
        let held = reload::at_start(&mut config, &state, policies, clock.now())?;
        let connectors = registry::build(&config, &secrets)?;
        let epoch = if state.epoch == 0 { state.next_epoch(clock.now()) } else { state.epoch };
        let wakes = Arc::new(Wakes::new(connectors.keys().cloned()));
        let options = ledger::Options { queue_max: config.web.queue_max, group_max: config.store.group_max };
        let started =
            Ledger::start(state, Box::new(store), clock.clone(), wakes.clone(), metrics.clone(), &options);
        let (ledger, thread) = started.map_err(Error::Thread)?;
        reload::begin(&ledger, policies(&config)?, held).await?;
        ledger.submit(Command::Start { epoch }).await?;
        let quarantine =
            Arc::new(Quarantine::new(config.store.path.join("quarantine"), ledger.clone(), clock.clone()));
        let (tasks, stop) = (TaskTracker::new(), shutdown.child_token());
        let parts = Arc::new(Parts {
            ledger,
            clock,
            wakes,
            metrics,
            quarantine,
            tasks,
            stop,
            outgrown: CancellationToken::new(),
            told: Told::default(),
            logged: Logged::default(),
            started: Instant::now(),
            store: config.store.path.clone(),
        });
        let ticker = Arc::new(Ticker::new().await?);
        let channels = Arc::new(Channels::new(parts.shared()));
        for (id, connector) in connectors {
            channels.start(&config, &ticker, &id, connector).await?;
        }
        let alerter = parts.alerter(&config, &secrets);
        let keep = parts.upkeep(&config);
        ticker.start().await?;
        let effective = Mutex::new(Effective { config, secrets, alerter });
        let (of, lent) = (parts.clone(), channels.clone());
        let reloader =
            Reloader { source, parts: of, channels: lent, ticker: ticker.clone(), keep, effective };
        let reloader = Arc::new(reloader);
        if reloader.source.is_some() {
            parts.tasks.spawn(reloader.clone().on_signal(parts.stop.clone()));
        }
        Ok(Daemon { parts, channels, ticker, reloader, thread })
    }

    /// Opens the doors: HTTP for pushes, health and metrics, the socket for the command line. Returns the address of
    /// the former.
    pub async fn serve(&self) -> Result<SocketAddr, web::Error> {
        let effective = self.reloader.effective.lock().await;
        let (options, socket) = (&effective.config.web, &effective.config.socket);
        let web = web::Web {
            desk: Arc::new(self.handles()),
            doors: self.channels.clone(),
            metrics: self.parts.metrics.clone(),
            options: web::Options {
                body_max: options.body_max_bytes,
                answer_within: options.answer_within,
                ..web::Options::new(options.listen, socket.path.clone())
            },
        };
        let open = web.open().await?;
        let address = open.address();
        self.parts.tasks.spawn(open.serve(self.parts.stop.clone()));
        Ok(address)
    }

    fn handles(&self) -> Handles {
        let parts = &self.parts;
        let opening = Opening {
            channels: self.channels.clone(),
            ledger: parts.ledger.clone(),
            clock: parts.clock.clone(),
            wakes: parts.wakes.clone(),
            metrics: parts.metrics.clone(),
            quarantine: parts.quarantine.clone(),
            turn: Mutex::new(()),
        };
        Handles {
            ledger: parts.ledger.clone(),
            clock: parts.clock.clone(),
            wakes: parts.wakes.clone(),
            metrics: parts.metrics.clone(),
            channels: self.channels.clone(),
            opening,
            reloader: Some(self.reloader.clone()),
            started: parts.started,
            store: parts.store.clone(),
        }
    }

    /// Returns the way to the ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.parts.ledger
    }

    pub fn connectors(&self) -> Connectors {
        self.channels.connectors()
    }

    /// Watches over the daemon until `shutdown`, then ends it in order.
    pub async fn run(self, shutdown: &CancellationToken) -> Result<(), Error> {
        if !shutdown.is_cancelled() {
            info!(channels = self.channels.connectors().len(), "ready");
            notify(&[sd_notify::NotifyState::Ready]);
        }
        let ended = self.parts.watch(self.thread, shutdown).await;
        self.ticker.stop().await;
        ended
    }
}

/// Refuses names that would stand for another shop than they have stood for, but for those that a person says are the same, and
/// whatever else something is kept under.
pub(super) fn same_shops(state: &State, named: &Policies, renamed: &[ChannelId]) -> Result<(), Error> {
    let others = reload::other_shops(state, named, renamed);
    if others.is_empty() {
        let stands = stands::refused(state, named).into_iter();
        let told: Vec<String> = stands.map(|Stands { what, next }| format!("{what} ({next})")).collect();
        return if told.is_empty() { Ok(()) } else { Err(Error::Stands(told.join("; "))) };
    }
    let all: Vec<ChannelId> = named.channels.keys().cloned().collect();
    let renamed = reload::other_shops(state, named, &all).len() < others.len();
    Err(Error::OtherShop { told: others.join("; "), renamed })
}

async fn open(config: &Config, now: Timestamp) -> Result<(State, disk::DiskStore), Error> {
    let options = store::Options {
        journal: store::journal::Options { segment_bytes: config.store.segment_bytes, ..Default::default() },
        state: store::state::Options { cache_bytes: config.store.cache_bytes, ..Default::default() },
        archive: Some(config.store.archive.clone()),
        builder: Some(PathBuf::from(OURSELVES)),
        ..store::Options::default()
    };
    let path = config.store.path.clone();
    let opened = tokio::task::spawn_blocking(move || disk::open(&path, options, now)).await;
    Ok(opened.map_err(|_| Error::Panicked)??)
}

impl Parts {
    fn shared(&self) -> Shared {
        Shared {
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            wakes: self.wakes.clone(),
            metrics: self.metrics.clone(),
            quarantine: self.quarantine.clone(),
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Starts to watch the room on the disk and the memory, and to tell people. Returns what ends that.
    pub(super) fn alerter(&self, config: &Config, secrets: &Secrets) -> CancellationToken {
        let url = match &config.alerts.target {
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
                error!(error = %causes(&error), "alerts cannot be posted");
                None
            }
            (None, _) => None,
        };
        let alerter = Alerter {
            instance: config.instance.clone(),
            ledger: self.ledger.clone(),
            wakes: self.wakes.clone(),
            metrics: self.metrics.clone(),
            target: target.clone(),
            runbook: config.alerts.runbook_url.clone(),
            logged: self.logged.clone(),
        };
        let stop = self.stop.child_token();
        self.tasks.spawn(alerter.run(stop.clone()));
        let repeat = u64::try_from(config.alerts.policy.repeat_ms).unwrap_or_default();
        let way = Way {
            ledger: self.ledger.clone(),
            instance: config.instance.clone(),
            target,
            runbook: config.alerts.runbook_url.clone(),
            repeat: Duration::from_millis(repeat),
            told: self.told.clone(),
        };
        let room = room::Watch {
            ledger: self.ledger.clone(),
            path: config.store.path.clone(),
            limits: config.store.room,
            metrics: self.metrics.clone(),
            teller: Teller::new(way.clone(), "room", "store"),
        };
        self.tasks.spawn(room.run(stop.clone()));
        let memory = resident::Watch {
            limits: config.memory,
            started: self.started,
            metrics: self.metrics.clone(),
            teller: Teller::new(way, "memory", "process"),
            outgrown: self.outgrown.clone(),
            much: false,
        };
        self.tasks.spawn(memory.run(stop.clone()));
        stop
    }

    /// Checkpoints, and removes what has been kept for long enough. Returns how it is told for how long that is.
    fn upkeep(&self, config: &Config) -> watch::Sender<Retention> {
        let (keep, kept) = watch::channel(config.retention);
        let quarantine = self.quarantine.clone();
        self.tasks.spawn(upkeep::expire(quarantine, kept.clone(), EXPIRE_EVERY, self.stop.clone()));
        let checkpoints = upkeep::Checkpoints {
            ledger: self.ledger.clone(),
            store: config.store.path.clone(),
            every: CHECKPOINT_EVERY,
            again: CHECKPOINT_AGAIN,
            archive: config.store.archive.clone(),
            keep: kept,
        };
        self.tasks.spawn(checkpoints.run(self.stop.clone()));
        if let Some(every) = config.store.swap_every {
            let store = config.store.path.clone();
            let swaps =
                upkeep::Swaps { ledger: self.ledger.clone(), clock: self.clock.clone(), store, every };
            self.tasks.spawn(swaps.run(self.stop.clone()));
        }
        keep
    }

    /// Feeds the watchdog while the ledger makes progress; ends when told to, or when the ledger has ended.
    async fn watch(
        &self,
        thread: JoinHandle<Result<(), Failure>>,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let (mut beat, mut beaten) = (self.ledger.beat(), Instant::now());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.outgrown.cancelled() => break,
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
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(Ok(()))) if self.outgrown.is_cancelled() => Err(Error::Outgrown),
            Ok(Ok(ended)) => ended.map_err(Error::Journal),
            Ok(Err(_)) | Err(_) => Err(Error::Panicked),
        }
    }
}

/// Tells systemd, where there is one.
pub(super) fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd could not be told");
    }
}
