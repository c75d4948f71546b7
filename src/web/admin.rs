//! The admin API. Who can open the socket may do everything; there is no other check.

mod change;
mod count;
mod letters;
mod map;
mod pauses;
mod quarantine;
mod returns;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, Request, State, rejection::QueryRejection},
    http::{Method, StatusCode, Uri},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::info;

use crate::{
    core::{decide::trial::Effect, which::Called},
    model::{ChannelId, OrderKey, Sku, shell},
    web::{
        Desk, Vitals,
        desk::ask,
        drift, made,
        problem::Answer,
        query,
        view::{
            Alerts, Checkpoint, Done, InitDone, InitPreview, InitRequest, Mapping, OrderView, Outbox,
            PollRequest, SkuView, Status,
        },
    },
};

/// The largest request: a mapping table of some hundred thousand rows.
const BODY_MAX: usize = 64 << 20;
/// Rows of a listing where nothing else is asked for, and at most.
const LIMIT: usize = 1_000;
/// How many differences of a channel a preview names where not all are asked for.
const DIFFERENCES: usize = 20;
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
        .route("/v1/orders/{order}", get(called))
        .route("/v1/outbox", get(outbox))
        .route("/v1/dead-letters", get(letters::list))
        .route("/v1/dead-letters/retry", post(letters::retry_all))
        .route("/v1/dead-letters/discard", post(letters::discard_all))
        .route("/v1/dead-letters/{id}/retry", post(letters::retry))
        .route("/v1/dead-letters/{id}/discard", post(letters::discard))
        .route("/v1/drift", get(drift::drifts))
        .route("/v1/drift/accept", post(drift::accept))
        .route("/v1/drift/repair", post(drift::repair))
        .route("/v1/drift/release", post(drift::release))
        .route("/v1/reconcile", post(drift::reconcile))
        .route("/v1/alerts", get(alerts))
        .route("/v1/map", get(mapping).post(map::import))
        .route("/v1/map/ignore", post(change::ignore))
        .route("/v1/map/remove", post(map::remove))
        .route("/v1/reload", post(change::reload))
        .route("/v1/quarantine", get(quarantine::list))
        .route("/v1/quarantine/replay", post(quarantine::replay))
        .route("/v1/quarantine/discard", post(quarantine::discard))
        .route("/v1/quarantine/{id}", get(quarantine::show))
        .merge(made::router())
        .route("/v1/pause", post(pauses::pause))
        .route("/v1/resume", post(pauses::resume))
        .route("/v1/live", post(pauses::live))
        .route("/v1/returns", get(returns::list).post(returns::returned))
        .route("/v1/poll", post(poll))
        .route("/v1/checkpoint", post(checkpoint))
        .route("/v1/count", post(count::count))
        .route("/v1/count/preview", post(count::preview))
        .route("/v1/count/opening", post(count::open))
        .route("/v1/count/opening/preview", post(count::preview_opening))
        .route("/v1/init/preview", post(preview))
        .route("/v1/init/apply", post(initialise))
        .merge(crate::web::intents::routes())
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(CatchPanicLayer::new())
        .layer(from_fn(to_its_end))
        .with_state(desk)
}

/// Who asks may go: what changes something is carried out to its end, so that nothing of several steps stays half done.
pub(super) async fn to_its_end(request: Request, next: Next) -> Response {
    if request.method() == Method::GET {
        return next.run(request).await;
    }
    let ended = tokio::spawn(next.run(request)).await;
    ended.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
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
    let bad = |error: String| {
        Answer::bad(format!("the request cannot be read: {error}"), "mend the value that is named")
    };
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| bad(error.to_string()))?;
    json.end().map_err(|error| bad(error.to_string()))?;
    Ok(read)
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
    let view = ask(desk.as_ref(), move |state| {
        query::sku::sku(state, &wanted, now).ok_or_else(|| query::sku::like(state, &wanted))
    });
    view.await?.map(Json).map_err(|like| {
        let next = like.map_or(
            "see how it is written in the ERP; `evenkeel map list --unmatched` shows what waits for a SKU"
                .to_owned(),
            |like| format!("capital letters count: `evenkeel sku {}` shows `{like}`", shell(&like)),
        );
        Answer::missing(format!("there is no SKU `{sku}`"), &next)
    })
}

async fn order(State(desk): Asked, Path((channel, order)): Path<(String, String)>) -> Told<OrderView> {
    the_order(&desk, Called::on(id(&channel)?, &order)).await
}

async fn called(State(desk): Asked, Path(order): Path<String>) -> Told<OrderView> {
    the_order(&desk, Called::read(&order)).await
}

/// Finds the one order that is called so.
async fn the_order(desk: &Arc<dyn Desk>, called: Called) -> Told<OrderView> {
    heard_of(desk, called.channel()).await?;
    let found = query::order::find(desk.as_ref(), &called).await?;
    let [key] = &found[..] else { return Err(none_or_many(&called, &found)) };
    let key = key.clone();
    let view = ask(desk.as_ref(), move |state| query::order::order(state, &key)).await?;
    view.map(Json).ok_or_else(|| none_or_many(&called, &[]))
}

fn none_or_many(called: &Called, found: &[OrderKey]) -> Answer {
    if found.is_empty() {
        let next = "give the channel's own id of the order, or the number that people see; `evenkeel poll` reads the \
                    latest ones, `evenkeel explain` knows the pruned ones by their number too";
        return Answer::missing(format!("there is no order `{called}`"), next);
    }
    let names: Vec<String> = found.iter().map(|key| format!("`{key}`")).collect();
    let what = format!("`{called}` may be several orders: {}", names.join(", "));
    crate::web::Failure::Conflict { what, next: "name one of them, with its channel".to_owned() }.into()
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
    Ok(Json(query::outbox::outbox(desk.as_ref(), asked.channel, limit, now).await?))
}

/// Fails if nothing is known of a channel that is named. One that is not configured any more may have left something.
pub(super) async fn heard_of(desk: &Arc<dyn Desk>, channel: Option<&ChannelId>) -> Result<(), Answer> {
    let named = channel.cloned();
    let left = move |state: &crate::core::State| {
        named.is_some_and(|channel| state.channels.contains_key(&channel) || state.has_heard_of(&channel))
    };
    if ask(desk.as_ref(), left).await? { Ok(()) } else { known(desk, channel).await }
}

/// Fails if a channel that is named is not configured.
pub(super) async fn known(desk: &Arc<dyn Desk>, channel: Option<&ChannelId>) -> Result<(), Answer> {
    let Some(channel) = channel.cloned() else { return Ok(()) };
    let there = ask(desk.as_ref(), |state| {
        let policies = state.policies();
        policies.map(|policies| policies.channels.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    });
    let there = there.await?;
    if there.contains(&channel) {
        return Ok(());
    }
    let names: Vec<&str> = there.iter().map(ChannelId::as_str).collect();
    let next = match names.as_slice() {
        [] => "no channel is configured yet".to_owned(),
        names => format!("the channels are: {}", names.join(", ")),
    };
    Err(Answer::missing(crate::core::Refused::NoChannel(channel), &next))
}

async fn alerts(State(desk): Asked) -> Told<Alerts> {
    let Vitals { now, disk, .. } = desk.vitals();
    let told = ask(desk.as_ref(), move |state| query::alerts(state, now)).await?;
    Ok(Json(Alerts { disk, ..told }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MapQuery {
    #[serde(default)]
    unmatched: bool,
    #[serde(default)]
    listings: bool,
    #[serde(default)]
    lines: bool,
    #[serde(default)]
    ignored: bool,
    channel: Option<ChannelId>,
    limit: Option<usize>,
    after: Option<String>,
}

async fn mapping(State(desk): Asked, asked: Result<Query<MapQuery>, QueryRejection>) -> Told<Mapping> {
    let asked = query_of(asked)?;
    known(&desk, asked.channel.as_ref()).await?;
    let wanted =
        query::mapping::Wanted { channel: asked.channel, limit: rows(asked.limit), lines: asked.lines };
    let page = if asked.listings {
        let after: Option<Sku> = asked.after.as_deref().map(id).transpose()?;
        ask(desk.as_ref(), move |state| query::mapping::bound(state, &wanted, after.as_ref())).await?
    } else {
        let from: usize = asked.after.as_deref().map_or(Ok(0), id)?;
        let page = match (asked.unmatched || asked.lines, asked.ignored) {
            (true, _) => query::mapping::waiting,
            (false, true) => query::mapping::ignored,
            (false, false) => query::mapping::table,
        };
        ask(desk.as_ref(), move |state| page(state, &wanted, from)).await?
    };
    Ok(Json(page))
}

/// Returns why the brake holds what was tried out, unless a person has seen it.
pub(super) async fn braked(
    desk: &Arc<dyn Desk>,
    effect: &Effect,
    confirmed: bool,
) -> Result<Option<String>, Answer> {
    let brake = ask(desk.as_ref(), |state| state.policies().map(|policies| policies.brake)).await?;
    Ok(brake.and_then(|brake| effect.held(&brake)).filter(|_| !confirmed))
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

/// How much of a preview is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewQuery {
    #[serde(default)]
    all: bool,
}

/// Leaves the largest differences of each channel, unless all are wanted.
fn shortened(wanted: Result<Query<PreviewQuery>, QueryRejection>, preview: InitPreview) -> Told<InitPreview> {
    let mut preview = preview;
    if !query_of(wanted)?.all {
        preview.channels.iter_mut().for_each(|channel| channel.differences.truncate(DIFFERENCES));
    }
    Ok(Json(preview))
}

async fn preview(
    State(desk): Asked,
    wanted: Result<Query<PreviewQuery>, QueryRejection>,
    body: Bytes,
) -> Told<InitPreview> {
    let asked: InitRequest = read(&body)?;
    shortened(wanted, desk.preview(&asked.from, asked.at.as_ref()).await?)
}

async fn initialise(State(desk): Asked, body: Bytes) -> Told<InitDone> {
    let asked: InitRequest = read(&body)?;
    let done = desk.initialise(&asked.from, asked.at.as_ref()).await?;
    info!(from = %done.from, skus = done.skus, units = %done.units, "the opening stock was taken over");
    Ok(Json(done))
}
