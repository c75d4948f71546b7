//! A changed configuration takes effect while the daemon runs: checked, tried out on a copy, judged by the brake,
//! journalled, and only then carried out. What cannot change live is refused by name, and then nothing changes.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::{Config, Problems, Retention, Secrets},
    core::{
        Command, State,
        decide::{
            recipes::{own_stock, shipped_of},
            stands::{self, Stands},
            trial::{self, Effect},
        },
    },
    engine::{
        channels::Channels,
        ledger::{self, Ledger},
        registry::{self, Connectors},
        run::{Parts, notify},
        schedule::Ticker,
        trial::try_out,
    },
    model::{ChannelId, Policies, Sku, Timestamp, policy::ChannelPolicy},
    web::{
        Failure,
        view::{ReloadRequest, Reloaded},
    },
};

/// Where a changed configuration comes from.
pub trait Source: Send + Sync {
    /// Reads the file and the secrets, and tells every problem of them.
    fn load(&self) -> Result<(Config, Secrets), Problems>;

    /// Changes what is logged.
    fn set_log_level(&self, level: &str);
}

/// What is in effect, and how it is changed.
pub(super) struct Reloader {
    pub(super) source: Option<Arc<dyn Source>>,
    pub(super) parts: Arc<Parts>,
    pub(super) channels: Arc<Channels>,
    pub(super) ticker: Arc<Ticker>,
    pub(super) keep: watch::Sender<Retention>,
    /// One reload at a time.
    pub(super) effective: Mutex<Effective>,
}

/// What is in effect.
pub(super) struct Effective {
    pub(super) config: Config,
    pub(super) secrets: Secrets,
    pub(super) alerter: CancellationToken,
}

/// A configuration that could take effect, and what differs.
struct Plan {
    config: Config,
    secrets: Secrets,
    connectors: Connectors,
    policies: Policies,
    changes: Vec<String>,
    added: Vec<ChannelId>,
    removed: Vec<ChannelId>,
    restarted: Vec<ChannelId>,
}

impl Reloader {
    /// Reads the file and makes it effective, if it is good, can be, and is believed.
    pub(super) async fn reload(&self, asked: &ReloadRequest) -> Result<Reloaded, Failure> {
        let mut effective = self.effective.try_lock().map_err(|_| Failure::Conflict {
            what: "a reload is under way already".to_owned(),
            next: "wait until it has ended".to_owned(),
        })?;
        let plan = self.plan(&effective).await?;
        let (held, now_in_effect, opened) = self.stands(&plan).await?;
        let effect = if now_in_effect || !opened {
            Effect::default()
        } else {
            let configure = vec![Command::Configure(Box::new(plan.policies.clone()))];
            try_out(&self.parts.ledger, self.parts.clock.as_ref(), configure).await?
        };
        let brake = self.parts.ledger.read(|state| state.policies().map(|policies| policies.brake)).await?;
        let braked = brake.and_then(|brake| effect.held(&brake));
        let mut told = plan.told(&effect, braked.clone());
        told.notes = self.notes(&plan).await?;
        told.unchanged = plan.changes.is_empty() && now_in_effect && !held;
        if asked.dry_run {
            return Ok(told);
        }
        if let Some(why) = braked.filter(|_| !asked.confirm) {
            warn!(%why, "the configuration is held: it would change too much; see `evenkeel reload --dry-run`");
            self.parts.ledger.submit(Command::HoldConfig { why }).await?;
            return Ok(told);
        }
        self.carry_out(&mut effective, plan).await?;
        told.notes.iter().for_each(|note| warn!("{note}"));
        info!(changes = ?told.changes, "the configuration was reloaded");
        told.done = true;
        told.held = None;
        Ok(told)
    }

    /// Says which SKUs with stock of their own become bundles, and where nothing is shown because nobody has counted.
    async fn notes(&self, plan: &Plan) -> Result<Vec<String>, Failure> {
        let policies = plan.policies.clone();
        let notes = move |state: &State| {
            let bundles: Vec<&Sku> = policies.bundles.iter().map(|recipe| &recipe.bundle).collect();
            let own = bundles.into_iter().filter_map(|sku| own_stock(state, sku));
            let recipes = policies.bundles.iter().map(|recipe| (recipe.bundle.clone(), recipe.parts.clone()));
            let shipped = shipped_of(state, &recipes.collect::<Vec<_>>());
            own.chain(shipped).chain(stands::uncounted(state, &policies)).collect()
        };
        Ok(self.parts.ledger.read(notes).await?)
    }

    /// Tells whether a configuration is held, whether these policies are in effect, and whether stock is shown at all.
    async fn stands(&self, plan: &Plan) -> Result<(bool, bool, bool), Failure> {
        let policies = plan.policies.clone();
        let read = move |state: &State| {
            let same = state.policies() == Some(&policies);
            (state.held_config.is_some(), same, state.initialised.is_some())
        };
        Ok(self.parts.ledger.read(read).await?)
    }

    /// Reads the file and finds out what differs.
    async fn plan(&self, effective: &Effective) -> Result<Plan, Failure> {
        let source = self.source.clone().ok_or_else(|| Failure::Conflict {
            what: "this daemon was not started from a file".to_owned(),
            next: "start it with `evenkeel run`".to_owned(),
        })?;
        let loaded = tokio::task::spawn_blocking(move || source.load()).await;
        let loaded = loaded.map_err(|_| Failure::Failed("reading the configuration panicked".to_owned()))?;
        let (config, secrets) = loaded.map_err(|problems| Failure::Config(problems.to_string()))?;
        let running = &effective.config;
        if config.instance != running.instance {
            self.same_instance(&config).await?;
        }
        let fixed = config.needs_restart(running);
        if !fixed.is_empty() {
            return Err(Failure::Conflict {
                what: format!("not while it runs: {}; nothing was changed", fixed.join("; ")),
                next: "restart the daemon for it (`systemctl restart evenkeel`), or undo it".to_owned(),
            });
        }
        let connectors =
            registry::build(&config, &secrets).map_err(|bad| Failure::Config(bad.to_string()))?;
        let policies = config.policies(|id| registry::abilities(&connectors, id));
        self.may_stand(&policies).await?;
        let ids = |config: &Config| config.channels().into_keys().cloned().collect::<BTreeSet<ChannelId>>();
        let (new, old) = (ids(&config), ids(running));
        let differs = |id: &&ChannelId| {
            config.serves_otherwise(running, id) || !secrets.same_of(&effective.secrets, id)
        };
        Ok(Plan {
            changes: config.differences(running, &secrets, &effective.secrets),
            added: new.difference(&old).cloned().collect(),
            removed: old.difference(&new).cloned().collect(),
            restarted: new.intersection(&old).filter(differs).cloned().collect(),
            config,
            secrets,
            connectors,
            policies,
        })
    }

    /// Refuses names that would stand for another shop than they stand for, whatever else something is kept under, and recipes of what
    /// does not exist. A start does not refuse these: what a channel lists is learnt by running.
    async fn may_stand(&self, policies: &Policies) -> Result<(), Failure> {
        let named = policies.clone();
        let refused = move |state: &State| {
            let stands =
                stands::refused(state, &named).into_iter().chain(stands::unknown_parts(state, &named));
            (other_shops(state, &named, &[]), stands.collect::<Vec<_>>())
        };
        let (others, stands) = self.parts.ledger.read(refused).await?;
        let conflict = |what: Vec<String>, next| Failure::Conflict {
            what: format!("{}; nothing was changed", what.join("; ")),
            next,
        };
        if !others.is_empty() {
            let next = "give another shop a table with a name of its own, or undo it";
            return Err(conflict(others, next.to_owned()));
        }
        let (what, mut next): (Vec<String>, Vec<String>) =
            stands.into_iter().map(|Stands { what, next }| (what, next)).unzip();
        next.dedup();
        if what.is_empty() { Ok(()) } else { Err(conflict(what, next.join("; "))) }
    }

    /// Refuses another name of the installation where a restart would be refused too.
    async fn same_instance(&self, config: &Config) -> Result<(), Failure> {
        let name = config.instance.clone();
        match self.parts.ledger.read(move |state: &State| stands::instance(state, &name)).await? {
            Some(Stands { what, next }) => {
                Err(Failure::Conflict { what: format!("{what}; nothing was changed"), next })
            }
            None => Ok(()),
        }
    }

    /// Ends what serves the channels that change, makes the configuration durable, and starts them anew.
    async fn carry_out(&self, effective: &mut Effective, plan: Plan) -> Result<(), Failure> {
        // The answers of what is under way belong to the old configuration: one of a channel that is gone would be lost.
        let ending: Vec<ChannelId> = plan.removed.iter().chain(&plan.restarted).cloned().collect();
        self.channels.end(&ending).await;
        // What has ended may have been the first to hear of a shop.
        let configured = match self.may_stand(&plan.policies).await {
            Ok(()) => {
                let configure = Command::Configure(Box::new(plan.policies.clone()));
                self.parts.ledger.submit(configure).await.map(drop).map_err(Failure::from)
            }
            other => other,
        };
        if let Err(refused) = configured {
            let old = self.channels.connectors();
            self.start(&effective.config, ending.iter(), &old).await?;
            return Err(refused);
        }
        for id in &plan.removed {
            self.channels.remove(id);
        }
        let starting = plan.added.iter().chain(&plan.restarted);
        self.start(&plan.config, starting, &plan.connectors).await?;
        self.ticker.sweep().await;
        let (running, secrets) = (&effective.config, &effective.secrets);
        let told = plan.config.alerts != running.alerts || !plan.secrets.same_alerts(secrets);
        let limits = |config: &Config| (config.store.room, config.memory);
        if told || limits(&plan.config) != limits(running) {
            effective.alerter.cancel();
            effective.alerter = self.parts.alerter(&plan.config, &plan.secrets);
        }
        self.keep.send_replace(plan.config.retention);
        if let Some(source) = &self.source
            && plan.config.log.level != running.log.level
        {
            source.set_log_level(&plan.config.log.level);
        }
        (effective.config, effective.secrets) = (plan.config, plan.secrets);
        Ok(())
    }

    async fn start<'a>(
        &self,
        config: &Config,
        ids: impl Iterator<Item = &'a ChannelId>,
        connectors: &Connectors,
    ) -> Result<(), Failure> {
        for id in ids {
            let Some(connector) = connectors.get(id) else { continue };
            let started = self.channels.start(config, &self.ticker, id, connector.clone()).await;
            started.map_err(|error| Failure::Failed(format!("channel `{id}` was not started: {error}")))?;
        }
        Ok(())
    }

    /// Reloads as often as SIGHUP comes. What comes of it goes to the log.
    pub(super) async fn on_signal(self: Arc<Self>, stop: CancellationToken) {
        let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
        let mut hangup = match hangup {
            Ok(hangup) => hangup,
            Err(error) => return error!(%error, "SIGHUP cannot be waited for; use `evenkeel reload`"),
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = hangup.recv() => {}
            }
            let asked = ReloadRequest { dry_run: false, confirm: false };
            if let Err(failure) = self.told(&asked).await {
                error!(%failure, "the configuration was not reloaded; what was in effect stays so");
            }
        }
    }

    /// Reloads, and tells systemd.
    pub(super) async fn told(&self, asked: &ReloadRequest) -> Result<Reloaded, Failure> {
        if asked.dry_run {
            return self.reload(asked).await;
        }
        match sd_notify::NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[sd_notify::NotifyState::Reloading, now]),
            Err(error) => warn!(%error, "systemd could not be told"),
        }
        let reloaded = self.reload(asked).await;
        notify(&[sd_notify::NotifyState::Ready]);
        reloaded
    }
}

impl Plan {
    fn told(&self, effect: &Effect, held: Option<String>) -> Reloaded {
        Reloaded {
            done: false,
            unchanged: false,
            changes: self.changes.clone(),
            added: self.added.clone(),
            removed: self.removed.clone(),
            restarted: self.restarted.clone(),
            effect: effect.into(),
            notes: Vec::new(),
            held,
        }
    }
}

/// Judges the configuration of a start against what was in effect when the daemon ended. Returns why it is held, if it
/// is: then what moves stock is put back to what it was, and the rest counts.
pub(super) fn at_start(
    config: &mut Config,
    state: &State,
    abilities: impl Fn(&Config) -> Result<Policies, registry::Error>,
    now: Timestamp,
) -> Result<Option<String>, registry::Error> {
    let Some(before) = state.policies.clone().filter(|_| state.initialised.is_some()) else {
        return Ok(None);
    };
    let policies = abilities(config)?;
    if *before == policies {
        return Ok(None);
    }
    let configure = vec![Command::Configure(Box::new(policies))];
    let mut copy = trial::copy(state, &configure);
    let effect = trial::try_out(&mut copy, configure, now).unwrap_or_default();
    let held = effect.held(&before.brake);
    if let Some(why) = &held {
        error!(%why, "the configuration would change too much, so what moves stock stays as it was; \
            `evenkeel reload --dry-run` tells more, `evenkeel reload --confirm` takes it over");
        config.keep(&before);
    }
    Ok(held)
}

/// Names the channels that would be another shop at a start under a name that stands for one already, but for those of which
/// a person says that they are the same. One of which nothing was ever read stands for none.
pub(super) fn other_shops(state: &State, policies: &Policies, renamed: &[ChannelId]) -> Vec<String> {
    let other = |(id, policy): (&ChannelId, &ChannelPolicy)| {
        let (kind, account) = stands::stood_for(state, id)?;
        if kind != policy.kind {
            let (is, was) = (policy.kind.name(), kind.name());
            return Some(format!("`channels.{is}.{id}`: `{id}` was a {was} channel so far"));
        }
        let (is, was) = (policy.account.as_ref()?, account?);
        let key = format!("channels.{}.{id}.{}", policy.kind.name(), policy.kind.account());
        let same = is == was || renamed.contains(id);
        (!same).then(|| format!("`{key}` is `{is}`, and `{id}` has stood for `{was}` so far"))
    };
    policies.channels.iter().filter_map(other).collect()
}

/// Makes the configuration of a start effective, or tells that it is held.
pub(super) async fn begin(
    ledger: &Ledger,
    policies: Policies,
    held: Option<String>,
) -> Result<(), ledger::Error> {
    ledger.submit(Command::Configure(Box::new(policies))).await?;
    if let Some(why) = held {
        ledger.submit(Command::HoldConfig { why }).await?;
    }
    Ok(())
}
