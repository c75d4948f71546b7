//! Pauses of channels and SKUs, and the word that a restored store may write.

use std::sync::Arc;

use axum::{Json, body::Bytes, extract};
use tracing::info;

use super::{Asked, Told, read};
use crate::{
    core::{Command, State, allocation::Pause, record::PauseScope},
    model::{ChannelId, Mode, Sku},
    web::{
        Desk, Failure,
        desk::ask,
        problem::{Answer, helped},
        view::{Done, PauseRequest, ResumeRequest},
    },
};

/// Takes the one subject that was named.
fn scope(channel: Option<ChannelId>, sku: Option<Sku>) -> Result<(PauseScope, String), Answer> {
    match (channel, sku) {
        (Some(channel), None) => {
            let name = format!("channel `{channel}`");
            Ok((PauseScope::Channel(channel), name))
        }
        (None, Some(sku)) => {
            let name = format!("SKU `{sku}`");
            Ok((PauseScope::Sku(sku), name))
        }
        (None, None) | (Some(_), Some(_)) => {
            Err(Answer::bad("name either a channel or a SKU", "give one of `channel` and `sku`"))
        }
    }
}

/// `POST /v1/pause`
pub(super) async fn pause(extract::State(desk): Asked, body: Bytes) -> Told<Done> {
    let asked: PauseRequest = read(&body)?;
    let (scope, name) = scope(asked.channel, asked.sku)?;
    let means = means(&desk, &scope, asked.mode).await?;
    let renamed = renamed(&desk, &scope).await?;
    let (of, pause) = (scope.clone(), Some(asked.mode));
    desk.submit(Command::Pause { scope, pause }).await.map_err(no_subject)?;
    info!(subject = %name, mode = ?asked.mode, "paused by a person");
    let bundles = bundles(&desk, &of, pause).await?;
    Ok(Json(Done { done: format!("{renamed}{name} is {means}{bundles}") }))
}

/// Says what a SKU is called besides, if anything: all of its listings are meant, by whichever name.
async fn renamed(desk: &Arc<dyn Desk>, scope: &PauseScope) -> Result<String, Answer> {
    let PauseScope::Sku(sku) = scope.clone() else { return Ok(String::new()) };
    let told = ask(desk.as_ref(), move |state| {
        let others: Vec<String> =
            state.names_of(&sku).iter().skip(1).map(|name| format!("`{name}`")).collect();
        match (state.renamed(&sku), others.as_slice()) {
            (Some(renamed), _) => format!("{renamed}, and both names are meant; "),
            (None, []) => String::new(),
            (None, others) => {
                format!("`{sku}` is also known as {}, and all names are meant; ", others.join(", "))
            }
        }
    })
    .await?;
    Ok(told)
}

/// Says what becomes of what is made of a SKU that is paused, or goes on.
async fn bundles(desk: &Arc<dyn Desk>, of: &PauseScope, pause: Option<Pause>) -> Result<String, Answer> {
    let PauseScope::Sku(sku) = of.clone() else { return Ok(String::new()) };
    let told = ask(desk.as_ref(), move |state| state.pause_of_bundles(&sku, pause)).await?;
    Ok(told.map(|told| format!("; {told}")).unwrap_or_default())
}

/// Says so if a bundle that is not paused shows none, because something in it is stopped.
async fn still_stopped(desk: &Arc<dyn Desk>, of: &PauseScope) -> Result<String, Answer> {
    let PauseScope::Sku(sku) = of.clone() else { return Ok(String::new()) };
    let part = ask(desk.as_ref(), move |state| state.stopped_part(&sku).cloned()).await?;
    Ok(part.map_or(String::new(), |part| {
        format!("; it shows none while `{part}`, which it is made of, is stopped")
    }))
}

/// Says what a pause does. What shows no quantities is told nothing, in either way of pausing.
async fn means(desk: &Arc<dyn Desk>, scope: &PauseScope, pause: Pause) -> Result<&'static str, Answer> {
    let scope = scope.clone();
    let (shows, writes) = ask(desk.as_ref(), move |state| {
        let policies = state.policies();
        let shows = match &scope {
            PauseScope::Channel(channel) => policies
                .and_then(|policies| policies.channels.get(channel))
                .is_none_or(|policy| policy.abilities.quantities),
            PauseScope::Sku(_) => true,
        };
        (shows, state.mode() != Some(Mode::Shadow))
    })
    .await?;
    Ok(match (shows, pause, writes) {
        (false, _, _) => "paused: no order is posted to it until it goes on; its counts are read as before",
        (true, Pause::Frozen, _) => "frozen: nothing is written, what is shown still sells",
        (true, Pause::Stopped, true) => "stopped: it is set to zero",
        (true, Pause::Stopped, false) => "stopped: it is set to zero once it is written (now: shadow mode)",
    })
}

/// `POST /v1/resume`
pub(super) async fn resume(extract::State(desk): Asked, body: Bytes) -> Told<Done> {
    let asked: ResumeRequest = read(&body)?;
    let (scope, name) = scope(asked.channel, asked.sku)?;
    let of = scope.clone();
    let paused = ask(desk.as_ref(), move |state| pause_of(state, &of)).await?;
    // What does not exist is refused as ever.
    if paused == Some(None) {
        let still = still_stopped(&desk, &scope).await?;
        return Ok(Json(Done { done: format!("{name} is not paused; nothing was changed{still}") }));
    }
    let renamed = renamed(&desk, &scope).await?;
    let of = scope.clone();
    desk.submit(Command::Pause { scope, pause: None }).await.map_err(no_subject)?;
    info!(subject = %name, "resumed by a person");
    let still = still_stopped(&desk, &of).await?;
    let bundles = bundles(&desk, &of, None).await?;
    Ok(Json(Done { done: format!("{renamed}{name} goes on{still}{bundles}") }))
}

/// Returns how something is paused, if it is. `None`: it is not known.
fn pause_of(state: &State, scope: &PauseScope) -> Option<Option<Pause>> {
    match scope {
        PauseScope::Sku(sku) => {
            state.skus.get(sku)?;
            let names = state.names_of(sku);
            Some(names.iter().find_map(|name| state.skus.get(name)?.pause))
        }
        PauseScope::Channel(channel) => {
            state.policies()?.channels.get(channel)?;
            Some(state.channels.get(channel).and_then(|row| row.pause))
        }
    }
}

fn no_subject(failure: Failure) -> Answer {
    helped(failure, "write the SKU as `evenkeel sku` takes it")
}

/// `POST /v1/live`
pub(super) async fn live(extract::State(desk): Asked) -> Told<Done> {
    let written = |failure| {
        helped(
            failure,
            "nothing is to be done; `evenkeel status` tells the mode, `evenkeel outbox` what is under way",
        )
    };
    desk.submit(Command::Live).await.map_err(written)?;
    info!("a person lets the restored store write");
    let configured = ask(desk.as_ref(), |state| state.policies().map(|policies| policies.mode)).await?;
    let done = match configured {
        Some(Mode::Shadow) => "the restored store may write, once `mode` is `live`",
        Some(Mode::Live) | None => "the restored store writes again, each channel once it was looked at",
    };
    let missed = |state: &crate::core::State| {
        state.missed_orders().map(|channel| format!("`{channel}`")).collect::<Vec<_>>().join(", ")
    };
    let missed = ask(desk.as_ref(), missed).await?;
    let then = if missed.is_empty() {
        String::new()
    } else {
        format!("; counts wait until the orders of {missed} from before the restore are read")
    };
    Ok(Json(Done { done: format!("{done}{then}") }))
}
