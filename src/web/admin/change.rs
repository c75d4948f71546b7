//! Reloads, and what no SKU is waited for.

use axum::{Extension, Json, body::Bytes, extract::State};
use tracing::info;

use super::{Asked, NOTE_MAX, Told, read};
use crate::{
    core::{
        Command,
        state::{Ignorable, Note},
    },
    model::OrderKey,
    web::{
        desk::ask,
        peer::Peer,
        problem::{Answer, helped},
        query,
        view::{IgnoreDone, IgnoreRequest, ReloadRequest, Reloaded, ids_from},
    },
};

pub(super) async fn reload(
    State(desk): Asked,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Told<Reloaded> {
    let asked: ReloadRequest = read(&body)?;
    let reloaded = desk.reload(&asked).await?;
    if reloaded.done {
        info!(by = peer.named(None), confirmed = asked.confirm, "a person has reloaded the configuration");
    }
    Ok(Json(reloaded))
}

pub(super) async fn ignore(
    State(desk): Asked,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Told<IgnoreDone> {
    let asked: IgnoreRequest = read(&body)?;
    let note = Note { by: peer.named(asked.by.as_deref()), reason: asked.note };
    if note.reason.len() > NOTE_MAX {
        return Err(Answer::bad(format!("a note has at most {NOTE_MAX} bytes"), "shorten it"));
    }
    let channel = asked.channel;
    let what = match (asked.order, asked.line, asked.ids.is_empty()) {
        (Some(order), Some(line), true) => Ignorable::Line { order: OrderKey { channel, order }, line },
        (None, None, false) => {
            let ids = ids_from(&asked.ids);
            let ids = ids.map_err(|bad| Answer::bad(bad, "name it as `evenkeel map list --lines` does"))?;
            Ignorable::Item { channel, ids }
        }
        _ => return Err(Answer::bad("name identifiers, or an order and its line", "give one of the two")),
    };
    let command = Command::Ignore { what: what.clone(), ignored: !asked.undo, note: note.clone() };
    let waits = |failure| {
        let next = "`evenkeel map list --lines` shows the lines that wait, `evenkeel map list --ignored` what is left out";
        helped(failure, next)
    };
    let effect = desk.try_out(vec![command.clone()]).await.map_err(waits)?;
    let of = what.clone();
    let undo = asked.undo;
    let looked = move |state: &crate::core::State| {
        let notes = if undo { Vec::new() } else { query::mapping::ignored_in_vain(state, &of) };
        (query::mapping::waiting_of(state, &of), notes)
    };
    let (waiting, notes) = ask(desk.as_ref(), looked).await?;
    if !asked.dry_run {
        desk.submit(command).await?;
        info!(?what, undone = asked.undo, by = note.by, "a person has said what no SKU is waited for");
    }
    Ok(Json(IgnoreDone { dry_run: asked.dry_run, waiting, effect: (&effect).into(), notes }))
}
