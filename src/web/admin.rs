//! The admin API. Who can open the socket may do everything; there is no other check.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State, rejection::QueryRejection},
    http::{Method, Uri},
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::info;

use crate::{
    core::{Command, Reply, allocation::Pause, command::Verdict, record::PauseScope},
    model::{ChannelId, OrderId, OrderKey, Sku, policy::MappingRow},
    web::{
        Desk,
        desk::ask,
        made,
        problem::Answer,
        query,
        view::{
            Alerts, Checkpoint, DeadLetters, Done, InitDone, InitPreview, InitRequest, LetterId, MapImport,
            MapImported, Mapping, OrderView, Outbox, PauseRequest, PollRequest, ResumeRequest, ReturnedDone,
            ReturnedRequest, Returns, SkuView, Status, ids_from,
        },
    },
};

/// The largest request: a mapping table of some hundred thousand rows.
const BODY_MAX: usize = 64 << 20;
/// Rows of a listing where nothing else is asked for, and at most.
const LIMIT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;
/// The longest note that a person leaves in the journal, in bytes.
pub(super) const NOTE_MAX: usize = 500;

pub(super) type Asked = State<Arc<dyn Desk>>;
pub(super) type Told<T> = Result<Json<T>, Answer>;

pub(super) fn router(desk: Arc<dyn Desk>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/skus/{sku}", get(sku))
        .route("/v1/orders/{channel}/{order}", get(order))
        .route("/v1/outbox", get(outbox))
        .route("/v1/dead-letters", get(dead_letters))
        .route("/v1/dead-letters/{id}/retry", post(retry))
        .route("/v1/dead-letters/{id}/discard", post(discard))
        .route("/v1/alerts", get(alerts))
        .route("/v1/map", get(mapping).post(import))
        .merge(made::router())
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/returns", get(returns).post(returned))
        .route("/v1/poll", post(poll))
        .route("/v1/checkpoint", post(checkpoint))
        .route("/v1/init/preview", post(preview))
        .route("/v1/init/apply", post(initialise))
        .merge(crate::web::intents::routes())
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(CatchPanicLayer::new())
        .with_state(desk)
}

async fn nothing(method: Method, uri: Uri) -> Answer {
    Answer::missing(
        format!("`{method} {}` is not part of this API", uri.path()),
        "the command line and the daemon may be of different versions: compare `evenkeel --version` and `evenkeel status`",
    )
}

/// Reads a request's body. An empty one stands for `{}`.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Answer> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    let mut json = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        Answer::bad(format!("the request cannot be read: {error}"), "mend the value that is named")
    })
}

/// Reads a part of a path.
pub(super) fn id<T: std::str::FromStr>(text: &str) -> Result<T, Answer>
where
    T::Err: ToString,
{
    text.parse()
        .map_err(|bad: T::Err| Answer::bad(bad, "give the name as `evenkeel status` or the channel shows it"))
}

pub(super) fn query_of<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Answer> {
    query
        .map(|Query(asked)| asked)
        .map_err(|bad| Answer::bad(bad.body_text(), "mend the value that is named"))
}

pub(super) fn rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
}

async fn status(State(desk): Asked) -> Told<Status> {
    Ok(Json(query::status::status(desk.as_ref()).await?))
}

async fn sku(State(desk): Asked, Path(sku): Path<String>) -> Told<SkuView> {
    let (sku, now): (Sku, _) = (id(&sku)?, desk.vitals().now);
    let wanted = sku.clone();
    let view = ask(desk.as_ref(), move |state| query::sku::sku(state, &wanted, now)).await?;
    view.map(Json).ok_or_else(|| {
        Answer::missing(
            format!("there is no SKU `{sku}`"),
            "see how it is written in the ERP; `evenkeel map list --unmatched` shows what waits for a SKU",
        )
    })
}

async fn order(State(desk): Asked, Path((channel, order)): Path<(String, String)>) -> Told<OrderView> {
    let key = OrderKey { channel: id::<ChannelId>(&channel)?, order: id::<OrderId>(&order)? };
    let wanted = key.clone();
    let view = ask(desk.as_ref(), move |state| query::order::order(state, &wanted)).await?;
    view.map(Json).ok_or_else(|| {
        Answer::missing(
            format!("there is no order `{key}`"),
            "give the channel's own id of the order, not its number; `evenkeel poll` reads the latest ones",
        )
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutboxQuery {
    channel: Option<ChannelId>,
    limit: Option<usize>,
}

async fn outbox(State(desk): Asked, asked: Result<Query<OutboxQuery>, QueryRejection>) -> Told<Outbox> {
    let (asked, now) = (query_of(asked)?, desk.vitals().now);
    known(&desk, asked.channel.as_ref()).await?;
    let limit = rows(asked.limit);
    let read =
        move |state: &crate::core::State| query::outbox::outbox(state, asked.channel.as_ref(), limit, now);
    Ok(Json(ask(desk.as_ref(), read).await?))
}

/// Fails if a channel that is named is not configured.
async fn known(desk: &Arc<dyn Desk>, channel: Option<&ChannelId>) -> Result<(), Answer> {
    let Some(channel) = channel.cloned() else { return Ok(()) };
    let wanted = channel.clone();
    let there = ask(desk.as_ref(), move |state| {
        state.policies().is_some_and(|policies| policies.channels.contains_key(&wanted))
    });
    if there.await? {
        return Ok(());
    }
    Err(crate::web::Failure::Refused(crate::core::Refused::NoChannel(channel)).into())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LettersQuery {
    limit: Option<usize>,
}

async fn dead_letters(
    State(desk): Asked,
    asked: Result<Query<LettersQuery>, QueryRejection>,
) -> Told<DeadLetters> {
    let limit = rows(query_of(asked)?.limit);
    Ok(Json(ask(desk.as_ref(), move |state| query::letters::letters(state, limit)).await?))
}

async fn retry(State(desk): Asked, Path(id): Path<String>) -> Told<Done> {
    deal_with(&desk, &id, Verdict::Retry, "goes again").await
}

async fn discard(State(desk): Asked, Path(id): Path<String>) -> Told<Done> {
    deal_with(&desk, &id, Verdict::Discard, "is given up").await
}

async fn deal_with(desk: &Arc<dyn Desk>, text: &str, verdict: Verdict, said: &str) -> Told<Done> {
    let letter: LetterId = id(text)?;
    let wanted = letter.clone();
    let found = ask(desk.as_ref(), move |state| query::letters::find(state, &wanted)).await?;
    let Some(found) = found else {
        return Err(Answer::missing(
            format!("there is no dead letter `{letter}`"),
            "`evenkeel dead-letters list` shows those that there are; it may have been dealt with",
        ));
    };
    desk.submit(Command::Dead { letter: found, verdict }).await?;
    info!(%letter, ?verdict, "a person has dealt with a dead letter");
    Ok(Json(Done { done: format!("`{letter}` {said}") }))
}

async fn alerts(State(desk): Asked) -> Told<Alerts> {
    let now = desk.vitals().now;
    Ok(Json(ask(desk.as_ref(), move |state| query::alerts(state, now)).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MapQuery {
    #[serde(default)]
    unmatched: bool,
    #[serde(default)]
    listings: bool,
    channel: Option<ChannelId>,
    limit: Option<usize>,
    after: Option<String>,
}

async fn mapping(State(desk): Asked, asked: Result<Query<MapQuery>, QueryRejection>) -> Told<Mapping> {
    let asked = query_of(asked)?;
    known(&desk, asked.channel.as_ref()).await?;
    let wanted = query::mapping::Wanted { channel: asked.channel, limit: rows(asked.limit) };
    let page = if asked.listings {
        let after: Option<Sku> = asked.after.as_deref().map(id).transpose()?;
        ask(desk.as_ref(), move |state| query::mapping::bound(state, &wanted, after.as_ref())).await?
    } else {
        let from: usize = asked.after.as_deref().map_or(Ok(0), id)?;
        let page = if asked.unmatched { query::mapping::waiting } else { query::mapping::table };
        ask(desk.as_ref(), move |state| page(state, &wanted, from)).await?
    };
    Ok(Json(page))
}

async fn import(State(desk): Asked, body: Bytes) -> Told<MapImported> {
    let asked: MapImport = read(&body)?;
    let mut rows = Vec::with_capacity(asked.rows.len());
    for (n, row) in asked.rows.into_iter().enumerate() {
        let bad =
            |error| Answer::bad(format!("row {}: {error}", n + 1), "mend the row; nothing was imported");
        let ids = ids_from(&row.ids).map_err(bad)?;
        rows.push(MappingRow { sku: row.sku, channel: row.channel, ids });
    }
    let count = rows.len();
    if count == 0 {
        return Err(Answer::bad("there are no rows", "name at least one"));
    }
    let reply = desk.submit(Command::Map { rows }).await?;
    let (bound, unmatched) =
        if let Reply::Catalogue { bound, unmatched } = reply { (bound, unmatched) } else { (0, 0) };
    info!(rows = count, bound, unmatched, "mapping rows imported");
    Ok(Json(MapImported { rows: count, bound, unmatched }))
}

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

async fn pause(State(desk): Asked, body: Bytes) -> Told<Done> {
    let asked: PauseRequest = read(&body)?;
    let (scope, name) = scope(asked.channel, asked.sku)?;
    let means = match asked.mode {
        Pause::Frozen => "frozen: nothing is written, what is shown still sells",
        Pause::Stopped => "stopped: it is set to zero",
    };
    desk.submit(Command::Pause { scope, pause: Some(asked.mode) }).await?;
    info!(subject = %name, mode = ?asked.mode, "paused by a person");
    Ok(Json(Done { done: format!("{name} is {means}") }))
}

async fn resume(State(desk): Asked, body: Bytes) -> Told<Done> {
    let asked: ResumeRequest = read(&body)?;
    let (scope, name) = scope(asked.channel, asked.sku)?;
    desk.submit(Command::Pause { scope, pause: None }).await?;
    info!(subject = %name, "resumed by a person");
    Ok(Json(Done { done: format!("{name} goes on") }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReturnsQuery {
    limit: Option<usize>,
}

async fn returns(State(desk): Asked, asked: Result<Query<ReturnsQuery>, QueryRejection>) -> Told<Returns> {
    let limit = rows(query_of(asked)?.limit);
    Ok(Json(ask(desk.as_ref(), move |state| query::returns::returns(state, limit)).await?))
}

async fn returned(State(desk): Asked, body: Bytes) -> Told<ReturnedDone> {
    let ReturnedRequest { sku, location, quantity, fate, note } = read(&body)?;
    if note.len() > NOTE_MAX {
        return Err(Answer::bad(format!("a note has at most {NOTE_MAX} bytes"), "shorten it"));
    }
    let command = Command::Returned { sku: sku.clone(), location, quantity, fate, note };
    let Reply::Returned { location, quantity, left } = desk.submit(command).await? else {
        unreachable!("returned units are answered with what is left")
    };
    info!(%sku, %location, %quantity, ?fate, "a person has dealt with returned units");
    Ok(Json(ReturnedDone { sku, location, quantity, left }))
}

async fn poll(State(desk): Asked, body: Bytes) -> Told<Done> {
    let asked: PollRequest = read(&body)?;
    let all = ask(desk.as_ref(), |state| {
        state.policies().map(|policies| policies.channels.keys().cloned().collect::<Vec<_>>())
    });
    let channels = match asked.channel {
        Some(channel) => vec![channel],
        None => all.await?.unwrap_or_default(),
    };
    for channel in &channels {
        if !desk.poll(channel) {
            return Err(crate::web::Failure::Refused(crate::core::Refused::NoChannel(channel.clone())).into());
        }
    }
    let names: Vec<String> = channels.iter().map(|channel| format!("`{channel}`")).collect();
    Ok(Json(Done { done: format!("{} will be read now", names.join(", ")) }))
}

async fn checkpoint(State(desk): Asked) -> Told<Checkpoint> {
    let (seq, head) = desk.checkpoint().await?;
    Ok(Json(Checkpoint { seq, head }))
}

async fn preview(State(desk): Asked, body: Bytes) -> Told<InitPreview> {
    let asked: InitRequest = read(&body)?;
    Ok(Json(desk.preview(&asked.from).await?))
}

async fn initialise(State(desk): Asked, body: Bytes) -> Told<InitDone> {
    let asked: InitRequest = read(&body)?;
    let done = desk.initialise(&asked.from).await?;
    info!(from = %done.from, skus = done.skus, units = %done.units, "the opening stock was taken over");
    Ok(Json(done))
}
