//! What waits for a person, and what people do with it.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use tracing::info;

use super::{Asked, LIMIT, Told, heard_of, id, query_of, read, rows};
use crate::{
    core::{
        Command,
        command::{DeadLetter, Verdict},
        state::Note,
    },
    model::ChannelId,
    web::{
        Desk, Failure,
        desk::ask,
        peer::Peer,
        problem::{Answer, helped},
        query::{self, letters::Wanted},
        view::{DeadLetters, Done, LetterId, LettersDone, LettersRequest},
    },
};

/// How many dead letters are dealt with at once.
const AT_ONCE: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LettersQuery {
    channel: Option<ChannelId>,
    reason: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/dead-letters`
pub(super) async fn list(
    State(desk): Asked,
    asked: Result<Query<LettersQuery>, QueryRejection>,
) -> Told<DeadLetters> {
    let asked = query_of(asked)?;
    heard_of(&desk, asked.channel.as_ref()).await?;
    let limit = rows(asked.limit);
    let wanted = Wanted::new(asked.channel, asked.reason.as_deref());
    Ok(Json(ask(desk.as_ref(), move |state| query::letters::letters(state, &wanted, limit)).await?))
}

/// `POST /v1/dead-letters/retry`
pub(super) async fn retry_all(
    State(desk): Asked,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Told<LettersDone> {
    deal_with_all(&desk, peer, read(&body)?, Verdict::Retry).await
}

/// `POST /v1/dead-letters/discard`
pub(super) async fn discard_all(
    State(desk): Asked,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Told<LettersDone> {
    deal_with_all(&desk, peer, read(&body)?, Verdict::Discard).await
}

/// Deals with all dead letters that fit, a bounded number of them.
async fn deal_with_all(
    desk: &Arc<dyn Desk>,
    peer: Peer,
    asked: LettersRequest,
    verdict: Verdict,
) -> Told<LettersDone> {
    let LettersRequest { channel, reason, all, dry_run } = asked;
    if all == (channel.is_some() || reason.is_some()) {
        return Err(Answer::bad(
            "name a channel, a part of the reason or both, or else all",
            "give `channel` or `reason`, or `all` alone",
        ));
    }
    heard_of(desk, channel.as_ref()).await?;
    let but_asked = reason.is_none();
    let wanted = Wanted { but_counts: true, but_asked, ..Wanted::new(channel, reason.as_deref()) };
    let find = move |state: &crate::core::State| {
        let found = query::letters::letters(state, &wanted, LIMIT);
        let left = query::letters::left_out(state, &wanted, LIMIT);
        let letters: Vec<_> = found
            .letters
            .into_iter()
            .filter_map(|letter| Some((query::letters::find(state, &letter.id)?, letter)))
            .filter(|(letter, _)| verdict == Verdict::Discard || query::letters::may_retry(state, letter))
            .collect();
        (letters, found.more, left)
    };
    let (found, more, [left_counts, left_asked]) = ask(desk.as_ref(), find).await?;
    let mut letters = Vec::with_capacity(found.len());
    for portion in found.chunks(AT_ONCE) {
        let done = portion.iter().map(|(letter, told)| async move {
            if dry_run {
                return Ok(Some(told.clone()));
            }
            match deal(desk, peer, letter.clone(), verdict).await {
                Ok(stays) => Ok(stays.is_none().then(|| told.clone())),
                // Somebody else has dealt with it meanwhile.
                Err(Failure::Refused(crate::core::Refused::Nothing(_))) => Ok(None),
                Err(failure) => Err(failure),
            }
        });
        for done in futures::future::join_all(done).await {
            letters.extend(done?);
        }
    }
    if !dry_run {
        info!(count = letters.len(), ?verdict, "a person has dealt with dead letters");
    }
    Ok(Json(LettersDone { letters, more, dry_run, left_counts, left_asked }))
}

/// `POST /v1/dead-letters/{id}/retry`
pub(super) async fn retry(
    State(desk): Asked,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
) -> Told<Done> {
    deal_with(&desk, peer, &id, Verdict::Retry, "goes again").await
}

/// `POST /v1/dead-letters/{id}/discard`
pub(super) async fn discard(
    State(desk): Asked,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
) -> Told<Done> {
    deal_with(&desk, peer, &id, Verdict::Discard, "is given up").await
}

async fn deal_with(desk: &Arc<dyn Desk>, peer: Peer, text: &str, verdict: Verdict, said: &str) -> Told<Done> {
    let letter: LetterId = id(text)?;
    let wanted = letter.clone();
    let found = ask(desk.as_ref(), move |state| query::letters::find(state, &wanted)).await?;
    let Some(found) = found else {
        return Err(Answer::missing(
            format!("there is no dead letter `{letter}`"),
            "`evenkeel dead-letters list` shows those that there are; it may have been dealt with",
        ));
    };
    let helps = |failure| {
        let again = query::letters::command("retry", &letter);
        let next = format!(
            "`evenkeel dead-letters list` shows what waits; `{again}` takes up again what was given up"
        );
        helped(failure, &next)
    };
    if let Some(what) = deal(desk, peer, found, verdict).await.map_err(helps)? {
        let next = "`evenkeel quarantine show` prints what was kept".to_owned();
        return Err(Failure::Conflict { what, next }.into());
    }
    info!(%letter, ?verdict, "a person has dealt with a dead letter");
    Ok(Json(Done { done: format!("`{letter}` {said}") }))
}

/// Deals with one dead letter. Returns why it stays, if it does: a message that still cannot be read.
async fn deal(
    desk: &Arc<dyn Desk>,
    peer: Peer,
    letter: DeadLetter,
    verdict: Verdict,
) -> Result<Option<String>, Failure> {
    match (letter, verdict) {
        (DeadLetter::Quarantine(id), Verdict::Retry) => {
            let replayed = desk.replay(id, false).await?;
            Ok((!replayed.done).then_some(replayed.told))
        }
        (DeadLetter::Quarantine(id), Verdict::Discard) => {
            let reason = "discarded among the dead letters".to_owned();
            desk.give_up(id, Note { by: peer.named(None), reason }).await?;
            Ok(None)
        }
        (letter, verdict) => {
            let erp = match &letter {
                DeadLetter::Posting { channel, .. } => Some(channel.clone()),
                DeadLetter::Leg(_) | DeadLetter::Count(_) | DeadLetter::Quarantine(_) => None,
            };
            desk.submit(Command::Dead { letter, verdict }).await?;
            // What it has counted may mean something else from here on.
            if let Some(erp) = erp {
                let _polled = desk.poll(&erp);
            }
            Ok(None)
        }
    }
}
