//! `evenkeel run`: the daemon.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    cli::{
        Failure, Global,
        client::{load, secrets},
        failure::Kind,
    },
    config::process_env,
    engine, telemetry,
};

pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let config = load(global)?;
    let env = process_env();
    let secrets = secrets(global, &config)?;
    telemetry::Logs::start(&config.log, &env).map_err(|error| {
        Failure::of(Kind::Failed, &error).next("see `[log]` in docs/CONFIG.md").as_json(global.json)
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        stop_on_signals(shutdown.clone())?;
        info!(version = env!("CARGO_PKG_VERSION"), config = %global.config.display(), "starting");
        engine::run(config, secrets, shutdown).await.map_err(|failed| {
            error!(error = %telemetry::causes(&failed), "the daemon ends");
            Failure::of(Kind::Failed, &failed)
                .next("see docs/OPERATIONS.md#when-it-does-not-start")
                .as_json(global.json)
        })
    })
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
