//! What lies in quarantine: listed, shown to who may see it, read again, given up.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tracing::info;

use super::{Asked, LIMIT_MAX, NOTE_MAX, Told, heard_of, id, query_of, read, rows};
use crate::{
    core::state::{FETCHED, Note, READ},
    model::{ChannelId, Seq},
    web::{
        Desk, Failure,
        desk::ask,
        peer::Peer,
        problem::Answer,
        query::quarantine::items,
        view::{
            DiscardRequest, Discarded, Meant, QuarantineBody, QuarantineItem, QuarantineList, ReplayRequest,
            Replayed,
        },
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    channel: Option<ChannelId>,
    topic: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(desk): Asked,
    asked: Result<Query<ListQuery>, QueryRejection>,
) -> Told<QuarantineList> {
    let asked = query_of(asked)?;
    heard_of(&desk, asked.channel.as_ref()).await?;
    let limit = rows(asked.limit);
    let meant = Meant { all: true, channel: asked.channel, topic: asked.topic, ids: Vec::new() };
    let (mut found, more) = ask(desk.as_ref(), move |state| items(state, &meant, limit)).await?;
    for item in &mut found {
        item.kept = desk.has_body(&item.sha256);
    }
    Ok(Json(QuarantineList { items: found, more }))
}

pub(super) async fn show(
    State(desk): Asked,
    Extension(peer): Extension<Peer>,
    Path(named): Path<String>,
) -> Told<QuarantineBody> {
    let named: Seq = number(&named)?;
    if !peer.trusted {
        return Err(Failure::Forbidden {
            what: "a body may hold buyers' data: only root and the daemon's own user may see it".to_owned(),
            next: "run it with `sudo`".to_owned(),
        }
        .into());
    }
    let meant = Meant { ids: vec![named], ..Meant::default() };
    let mut item = chosen(&desk, meant).await?.remove(0);
    let Some(body) = desk.body(&item.sha256).await? else {
        return Err(Answer::missing(
            format!("the body of {named} is gone, or none was kept ({})", item.why),
            without_body(&item.topic),
        ));
    };
    item.kept = true;
    info!(id = %named, by = peer.named(None), "a body in quarantine is shown");
    let sha256: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    let intact = sha256 == item.sha256;
    let (text, base64) = match String::from_utf8(body) {
        Ok(text) => (Some(text), None),
        Err(bytes) => (None, Some(STANDARD.encode(bytes.as_bytes()))),
    };
    Ok(Json(QuarantineBody { item, intact, text, base64 }))
}

/// Says what helps with an item whose body is not there, by what it is of.
fn without_body(topic: &str) -> &'static str {
    match topic {
        READ | FETCHED => {
            "`evenkeel quarantine replay` reads the order from its channel, if its number is known; otherwise discard it"
        }
        "counts" => "`evenkeel quarantine replay` has the counter asked again",
        _ => "nothing can be read of it any more, and the feeds tell of orders by themselves: discard it",
    }
}

fn number(text: &str) -> Result<Seq, Answer> {
    let text = text.strip_prefix("quarantine:").unwrap_or(text);
    id::<u64>(text).map(Seq)
}

/// Returns the items that are meant. It is an error if one that is named is not there.
async fn chosen(desk: &Arc<dyn Desk>, meant: Meant) -> Result<Vec<QuarantineItem>, Answer> {
    if meant.all != meant.ids.is_empty() {
        return Err(Answer::bad("name items, or say that all are meant", "give ids, or `--all`"));
    }
    heard_of(desk, meant.channel.as_ref()).await?;
    let wanted = meant.clone();
    let (found, _) = ask(desk.as_ref(), move |state| items(state, &wanted, LIMIT_MAX)).await?;
    match meant.ids.iter().find(|id| !found.iter().any(|item| item.id == **id)) {
        Some(id) => Err(Answer::missing(
            format!("there is no quarantined item {id}"),
            "`evenkeel quarantine list` shows those that there are; it may have been dealt with",
        )),
        None => Ok(found),
    }
}

pub(super) async fn replay(State(desk): Asked, body: Bytes) -> Told<Replayed> {
    let ReplayRequest { meant, dry_run } = read(&body)?;
    let mut done = Vec::new();
    for item in chosen(&desk, meant).await? {
        match desk.replay(item.id, dry_run).await {
            Ok(replayed) => done.push(replayed),
            // Somebody else has dealt with it meanwhile.
            Err(Failure::Refused(crate::core::Refused::Nothing(_))) => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(Json(Replayed { dry_run, items: done }))
}

pub(super) async fn discard(
    State(desk): Asked,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Told<Discarded> {
    let DiscardRequest { meant, reason, by, dry_run } = read(&body)?;
    if reason.trim().is_empty() || reason.len() > NOTE_MAX {
        let what = format!("a reason is needed, of at most {NOTE_MAX} bytes");
        return Err(Answer::bad(what, "say why it is given up"));
    }
    let note = Note { by: peer.named(by.as_deref()), reason };
    let mut ids = Vec::new();
    for item in chosen(&desk, meant).await? {
        if !dry_run {
            desk.give_up(item.id, note.clone()).await?;
        }
        ids.push(item.id);
    }
    Ok(Json(Discarded { dry_run, ids }))
}
