//! `evenkeel run`: the daemon.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    cli::{
        Failure, Global,
        client::{load, secrets},
        failure::Kind,
        store::in_use,
    },
    config::{Config, Env, Problems, Secrets, process_env},
    engine,
    model::ChannelId,
    telemetry,
};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// This channel is the same shop, seller or database as before, which has another name now. Needed at one start only.
    #[arg(long, value_name = "CHANNEL")]
    renamed: Vec<ChannelId>,
}

pub(super) fn run(global: &Global, run: Run) -> Result<(), Failure> {
    let config = load(global)?;
    let env = process_env();
    known(&config, &run.renamed).map_err(|unknown| unknown.as_json(global.json))?;
    let secrets = secrets(global, &config)?;
    let logs = telemetry::Logs::start(&config.log, &env).map_err(|error| {
        Failure::of(Kind::Failed, &error).next("see `[log]` in docs/CONFIG.md").as_json(global.json)
    })?;
    let source = Arc::new(File { path: global.config.clone(), env, logs });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        stop_on_signals(shutdown.clone())?;
        info!(version = env!("CARGO_PKG_VERSION"), config = %global.config.display(), "starting");
        let origin = engine::Origin { source: Some(source), renamed: run.renamed };
        engine::run(config, secrets, origin, shutdown).await.map_err(|failed| {
            error!(error = %telemetry::causes(&failed), "the daemon ends");
            let (kind, next) = helps(&failed);
            Failure::of(kind, &failed).next(next).as_json(global.json)
        })
    })
}

/// Refuses names that no channel has: what is meant would stay another shop.
fn known(config: &Config, renamed: &[ChannelId]) -> Result<(), Failure> {
    let channels = config.channels();
    let Some(unknown) = renamed.iter().find(|id| !channels.contains_key(id)) else { return Ok(()) };
    let names: Vec<&str> = channels.into_keys().map(ChannelId::as_str).collect();
    Err(Failure::new(Kind::Config, format!("--renamed: channel `{unknown}` is not configured"))
        .next(format!("name one that is: {}", names.join(", "))))
}

/// Says what to do where the daemon did not start, or ended.
fn helps(failed: &engine::Error) -> (Kind, &'static str) {
    if matches!(failed, engine::Error::Store(error) if in_use(error)) {
        (Kind::Refused, "a daemon runs there already: `evenkeel status` asks it how it is")
    } else if let engine::Error::OtherShop { renamed, .. } = failed {
        (Kind::Config, if *renamed { RENAMED } else { ANOTHER })
    } else if matches!(failed, engine::Error::Stands(_)) {
        (Kind::Config, "see docs/OPERATIONS.md#what-a-configuration-cannot-take-away")
    } else if matches!(failed, engine::Error::Outgrown) {
        (Kind::Again, "start it again; systemd does by itself")
    } else {
        (Kind::Failed, "see docs/OPERATIONS.md#when-it-does-not-start")
    }
}

/// What to do where a name would stand for another shop; and where it may be the same one.
const ANOTHER: &str =
    "give another shop a table with a name of its own, and take the old table out; or put back what it was";
const RENAMED: &str = "give another shop a table with a name of its own, and take the old table out; or put back what it was; \
    only if it is the same one under a new name, start once with `evenkeel run --renamed CHANNEL`";

/// The configuration file that the daemon was started with.
struct File {
    path: PathBuf,
    env: Env,
    logs: telemetry::Logs,
}

impl engine::Source for File {
    fn load(&self) -> Result<(Config, Secrets), Problems> {
        let config = Config::load(&self.path, &self.env)?;
        let secrets = Secrets::load(&config, &self.env)?;
        Ok((config, secrets))
    }

    fn set_log_level(&self, level: &str) {
        if let Err(error) = self.logs.set_level(level) {
            warn!(%error, "what is logged stays as it was");
        }
    }
}

/// Stops in an orderly way on SIGTERM and SIGINT.
pub(super) fn stop_on_signals(shutdown: CancellationToken) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_of_another_kind_is_not_said_to_be_renamed() {
        let check = |renamed: bool| {
            let (kind, next) = helps(&engine::Error::OtherShop { told: String::new(), renamed });
            assert_eq!(kind, Kind::Config);
            assert_eq!(next.contains("--renamed"), renamed, "{next}");
        };
        check(true);
        check(false);
    }
}
