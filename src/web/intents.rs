//! The admin API of intents and commits: what a person wants of several listings or places at once.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    routing::{get, post},
};
use serde::Deserialize;
use tracing::info;

use crate::{
    core::{
        Command, Refused, Reply,
        decide::intents::{asked_before, judge, named, plan::Plan},
        intent::ask::{Ask, Receipt, Row, What},
    },
    model::{Seq, Sku, shell},
    web::{
        Desk, Failure,
        admin::{NOTE_MAX, query_of, read, rows},
        desk::ask,
        problem::{Answer, helped},
        query::commits::{self, Wanted},
        view::intents::{Commits, IntentAnswer, IntentRequest, IntentRow, IntentView, ReceiveRequest},
    },
};

type Asked = State<Arc<dyn Desk>>;
type Told<T> = Result<Json<T>, Answer>;

/// The listings that a dry run tells one by one.
const SHOWN_MAX: usize = 1_000;
/// The longest time that an intent may be given, in milliseconds: a month.
const WITHIN_MAX: i64 = 31 * 24 * 3_600_000;

pub(super) fn routes() -> Router<Arc<dyn Desk>> {
    Router::new()
        .route("/v1/commits", get(list))
        .route("/v1/intents", post(intend))
        .route("/v1/intents/{id}/cancel", post(cancel))
        .route("/v1/intents/{id}/receive", post(receive))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitsQuery {
    #[serde(default)]
    open: bool,
    sku: Option<Sku>,
    intent: Option<String>,
    limit: Option<usize>,
}

async fn list(State(desk): Asked, asked: Result<Query<CommitsQuery>, QueryRejection>) -> Told<Commits> {
    let (asked, now) = (query_of(asked)?, desk.vitals().now);
    let intent = match &asked.intent {
        Some(text) => Some(which(&desk, text).await?),
        None => None,
    };
    if let Some(sku) = asked.sku.clone() {
        let wanted = sku.clone();
        if !ask(desk.as_ref(), move |state| state.is_thing(&wanted)).await? {
            let next = "write it as `evenkeel sku` takes it";
            return Err(Answer::missing(format!("there is no SKU `{sku}`"), next));
        }
    }
    let wanted = Wanted { open: asked.open, sku: asked.sku, intent, limit: rows(asked.limit) };
    let told = ask(desk.as_ref(), move |state| commits::commits(state, &wanted, now)).await?;
    match intent.filter(|_| told.intents.is_empty() && told.commits.is_empty()) {
        Some(id) => Err(missing(&id.to_string())),
        None => Ok(Json(told)),
    }
}

/// Finds what a text means: an intent's id or name, or the id of an open commit.
async fn which(desk: &Arc<dyn Desk>, text: &str) -> Result<Seq, Answer> {
    let wanted = text.to_owned();
    let found = ask(desk.as_ref(), move |state| named(state, &wanted)).await?;
    let both =
        |refused| helped(Failure::Refused(refused), "name it by its id; `evenkeel commits` lists both");
    let found = found.map_err(both)?;
    found.or_else(|| text.parse().ok().map(Seq)).ok_or_else(|| missing(text))
}

fn missing(id: &str) -> Answer {
    Answer::missing(
        format!("there is no intent or open commit `{id}`"),
        "`evenkeel commits` lists them; of those that have ended, the latest are kept",
    )
}

async fn intend(State(desk): Asked, body: Bytes) -> Told<IntentAnswer> {
    let asked: IntentRequest = read(&body)?;
    let (dry_run, now) = (asked.dry_run, desk.vitals().now);
    let wanted = ask_of(asked, now)?;
    let tried = wanted.clone();
    // What is asked again has been done, so that it may make no sense any more.
    let told = ask(desk.as_ref(), move |state| {
        let plan = match asked_before(state, &tried)? {
            Some(_) => Plan::default(),
            None => judge(state, &tried)?,
        };
        Ok(commits::preview(state, &plan, SHOWN_MAX))
    });
    let told = told.await?.map_err(|refused| asked_wrong(Failure::Refused(refused)))?;
    if dry_run {
        return Ok(Json(told));
    }
    let rows = wanted.rows.len();
    let reply = desk.submit(Command::Intend(Box::new(wanted))).await.map_err(asked_wrong)?;
    let Reply::Intent { id, phase, again } = reply else { unreachable!("an intent is answered with its id") };
    info!(%id, rows, phase = phase.name(), again, "a person wants stock moved or limited");
    Ok(Json(IntentAnswer { dry_run: false, intent: Some(view(&desk, id).await?), ..told }))
}

fn asked_wrong(failure: Failure) -> Answer {
    // What names something that does not exist says so itself.
    if let Failure::Refused(Refused::NotSo(_)) = &failure {
        return helped(
            failure,
            "`evenkeel commits` lists what was asked before; say a new request with another --id",
        );
    }
    failure.into()
}

/// Reads what is asked.
fn ask_of(asked: IntentRequest, now: crate::model::Timestamp) -> Result<Ask, Answer> {
    const ID_MAX: usize = 100;
    if asked.note.len() > NOTE_MAX {
        return Err(Answer::bad(format!("a note has at most {NOTE_MAX} bytes"), "shorten it"));
    }
    if asked.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > ID_MAX) {
        return Err(Answer::bad(format!("an id has 1 to {ID_MAX} bytes"), "mend `id`"));
    }
    if asked.within_ms.is_some_and(|within| !(1..=WITHIN_MAX).contains(&within)) {
        return Err(Answer::bad("the time given must be above zero and at most 31 days", "mend `within_ms`"));
    }
    let rows: Result<Vec<Row>, Answer> = asked.rows.into_iter().map(row_of).collect();
    Ok(Ask {
        rows: rows?,
        travels: asked.in_transit,
        seen_is_enough: asked.seen,
        until: asked.within_ms.map(|within| now.plus_millis(within)),
        note: asked.note,
        request: asked.id,
        force: asked.force,
        confirmed: asked.yes,
    })
}

fn row_of(row: IntentRow) -> Result<Row, Answer> {
    let IntentRow { line, sku, quantity, channel, from_channel, to_channel, from, to } = row;
    let what = match (channel, from_channel, to_channel, from, to) {
        (Some(channel), None, None, None, None) => {
            Some(What::Set { sku: sku.clone(), channel, most: quantity })
        }
        (None, Some(from), Some(to), None, None) => {
            quantity.map(|quantity| What::Shift { sku: sku.clone(), quantity, from, to })
        }
        (None, None, None, Some(from), Some(to)) => {
            quantity.map(|quantity| What::Move { sku: sku.clone(), quantity, from, to })
        }
        _ => None,
    };
    let what = what.ok_or_else(|| {
        let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        Answer::bad(
            format!("{at}it is not plain what is wanted of `{sku}`"),
            "give `channel`, or `quantity` with `from` and `to`, or with `from_channel` and `to_channel`",
        )
    })?;
    Ok(Row { line, what })
}

async fn view(desk: &Arc<dyn Desk>, id: Seq) -> Result<IntentView, Answer> {
    let now = desk.vitals().now;
    ask(desk.as_ref(), move |state| commits::find(state, id, now))
        .await?
        .ok_or_else(|| missing(&id.to_string()))
}

/// Says what shows how an intent stands that was not cancelled or received.
fn stands(failure: Failure, text: &str) -> Answer {
    if matches!(failure, Failure::Refused(Refused::Nothing(_))) {
        return helped(
            failure,
            "`evenkeel commits` lists them; of those that have ended, the latest are kept",
        );
    }
    let intent = shell(text);
    let shows = format!("`evenkeel commits --intent {intent}` shows how far it is, and what is on the way");
    helped(failure, &shows)
}

async fn cancel(State(desk): Asked, Path(text): Path<String>) -> Told<IntentView> {
    let id = which(&desk, &text).await?;
    desk.submit(Command::CancelIntent { id }).await.map_err(|failure| stands(failure, &text))?;
    info!(%id, "a person has cancelled an intent");
    Ok(Json(view(&desk, id).await?))
}

async fn receive(State(desk): Asked, Path(text): Path<String>, body: Bytes) -> Told<IntentView> {
    let id = which(&desk, &text).await?;
    let ReceiveRequest { sku, from, to, quantity, lost, note } = read(&body)?;
    if note.len() > NOTE_MAX {
        return Err(Answer::bad(format!("a note has at most {NOTE_MAX} bytes"), "shorten it"));
    }
    let receipt = Receipt { sku, from, to, quantity, lost, note };
    desk.submit(Command::Receive { id, receipt }).await.map_err(|failure| stands(failure, &text))?;
    info!(%id, lost, "a person has received units of a transfer");
    Ok(Json(view(&desk, id).await?))
}
