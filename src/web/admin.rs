//! The admin API. Who can open the socket may do everything; there is no other check.

mod change;
mod count;
mod map;
mod quarantine;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
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
    core::{
        Command, Reply,
        allocation::Pause,
        command::{DeadLetter, Verdict},
        decide::trial::Effect,
        record::PauseScope,
        state::Note,
        which::Called,
    },
    model::{ChannelId, LocationId, Mode, OrderKey, Quantity, Sku},
    web::{
        Desk,
        desk::ask,
        drift, made,
        peer::Peer,
        problem::{Answer, helped},
        query::{self, letters::Wanted},
        view::{
            Alerts, Checkpoint, DeadLetters, Done, InitDone, InitPreview, InitRequest, LetterId, LettersDone,
            LettersRequest, Mapping, OrderView, Outbox, PauseRequest, PollRequest, ResumeRequest,
            ReturnedDone, ReturnedRequest, Returns, SkuView, Status,
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
/// How many dead letters are dealt with at once.
const AT_ONCE: usize = 32;
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
        .route("/v1/dead-letters", get(dead_letters))
        .route("/v1/dead-letters/retry", post(retry_all))
        .route("/v1/dead-letters/discard", post(discard_all))
        .route("/v1/dead-letters/{id}/retry", post(retry))
        .route("/v1/dead-letters/{id}/discard", post(discard))
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
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/live", post(live))
        .route("/v1/returns", get(returns).post(returned))
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
    let view = ask(desk.as_ref(), move |state| query::sku::sku(state, &wanted, now)).await?;
    view.map(Json).ok_or_else(|| {
        Answer::missing(
            format!("there is no SKU `{sku}`"),
            "see how it is written in the ERP; `evenkeel map list --unmatched` shows what waits for a SKU",
        )
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
    known(desk, called.channel()).await?;
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
    let read =
        move |state: &crate::core::State| query::outbox::outbox(state, asked.channel.as_ref(), limit, now);
    Ok(Json(ask(desk.as_ref(), read).await?))
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LettersQuery {
    channel: Option<ChannelId>,
    reason: Option<String>,
    limit: Option<usize>,
}

async fn dead_letters(
    State(desk): Asked,
    asked: Result<Query<LettersQuery>, QueryRejection>,
) -> Told<DeadLetters> {
    let asked = query_of(asked)?;
    known(&desk, asked.channel.as_ref()).await?;
    let limit = rows(asked.limit);
    let wanted = Wanted::new(asked.channel, asked.reason.as_deref());
    Ok(Json(ask(desk.as_ref(), move |state| query::letters::letters(state, &wanted, limit)).await?))
}

async fn retry_all(State(desk): Asked, Extension(peer): Extension<Peer>, body: Bytes) -> Told<LettersDone> {
    deal_with_all(&desk, peer, read(&body)?, Verdict::Retry).await
}

async fn discard_all(State(desk): Asked, Extension(peer): Extension<Peer>, body: Bytes) -> Told<LettersDone> {
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
    known(desk, channel.as_ref()).await?;
    let but_asked = reason.is_none();
    let wanted = Wanted { but_counts: true, but_asked, ..Wanted::new(channel, reason.as_deref()) };
    let find = move |state: &crate::core::State| {
        let found = query::letters::letters(state, &wanted, LIMIT);
        let letters: Vec<_> = found
            .letters
            .into_iter()
            .filter_map(|letter| Some((query::letters::find(state, &letter.id)?, letter)))
            .collect();
        (letters, found.more)
    };
    let (found, more) = ask(desk.as_ref(), find).await?;
    let mut letters = Vec::with_capacity(found.len());
    for portion in found.chunks(AT_ONCE) {
        let done = portion.iter().map(|(letter, told)| async move {
            if dry_run {
                return Ok(Some(told.clone()));
            }
            match deal(desk, peer, letter.clone(), verdict).await {
                Ok(stays) => Ok(stays.is_none().then(|| told.clone())),
                // Somebody else has dealt with it meanwhile.
                Err(crate::web::Failure::Refused(crate::core::Refused::Nothing(_))) => Ok(None),
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
    Ok(Json(LettersDone { letters, more, dry_run }))
}

async fn retry(State(desk): Asked, Extension(peer): Extension<Peer>, Path(id): Path<String>) -> Told<Done> {
    deal_with(&desk, peer, &id, Verdict::Retry, "goes again").await
}

async fn discard(State(desk): Asked, Extension(peer): Extension<Peer>, Path(id): Path<String>) -> Told<Done> {
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
        let next = format!(
            "`evenkeel dead-letters list` shows what waits; `evenkeel dead-letters retry {letter}` takes up again what was \
             given up"
        );
        helped(failure, &next)
    };
    if let Some(what) = deal(desk, peer, found, verdict).await.map_err(helps)? {
        let next = "`evenkeel quarantine show` prints what was kept".to_owned();
        return Err(crate::web::Failure::Conflict { what, next }.into());
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
) -> Result<Option<String>, crate::web::Failure> {
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
    let means = means(&desk, &scope, asked.mode).await?;
    desk.submit(Command::Pause { scope, pause: Some(asked.mode) }).await.map_err(no_subject)?;
    info!(subject = %name, mode = ?asked.mode, "paused by a person");
    Ok(Json(Done { done: format!("{name} is {means}") }))
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

async fn resume(State(desk): Asked, body: Bytes) -> Told<Done> {
    let asked: ResumeRequest = read(&body)?;
    let (scope, name) = scope(asked.channel, asked.sku)?;
    let of = scope.clone();
    let paused = ask(desk.as_ref(), move |state| pause_of(state, &of)).await?;
    // What does not exist is refused as ever.
    if paused == Some(None) {
        return Ok(Json(Done { done: format!("{name} is not paused; nothing was changed") }));
    }
    desk.submit(Command::Pause { scope, pause: None }).await.map_err(no_subject)?;
    info!(subject = %name, "resumed by a person");
    Ok(Json(Done { done: format!("{name} goes on") }))
}

/// Returns how something is paused, if it is. `None`: it is not known.
fn pause_of(state: &crate::core::State, scope: &PauseScope) -> Option<Option<Pause>> {
    match scope {
        PauseScope::Sku(sku) => state.skus.get(sku).map(|row| row.pause),
        PauseScope::Channel(channel) => {
            state.policies()?.channels.get(channel)?;
            Some(state.channels.get(channel).and_then(|row| row.pause))
        }
    }
}

fn no_subject(failure: crate::web::Failure) -> Answer {
    helped(failure, "write the SKU as `evenkeel sku` takes it")
}

async fn live(State(desk): Asked) -> Told<Done> {
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
        Some(crate::model::Mode::Shadow) => "the restored store may write, once `mode` is `live`",
        Some(crate::model::Mode::Live) | None => {
            "the restored store writes again, each channel once it was looked at"
        }
    };
    Ok(Json(Done { done: done.to_owned() }))
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
    let ReturnedRequest { sku, location, quantity, fate, note, request } = read(&body)?;
    if note.len() > NOTE_MAX {
        return Err(Answer::bad(format!("a note has at most {NOTE_MAX} bytes"), "shorten it"));
    }
    let (of, named) = (sku.clone(), location.clone());
    let mut command = Command::Returned { sku: of, location, quantity, fate, note };
    if let Some(request) = count::request(request)? {
        command = Command::Once { request, command: command.into() };
    }
    let held = |failure| helped(failure, "`evenkeel returns list` shows what is held back, and where");
    let Reply::Returned { location, quantity, left } = desk.submit(command).await.map_err(held)? else {
        return returned_before(&desk, sku, named).await;
    };
    info!(%sku, %location, %quantity, ?fate, "a person has dealt with returned units");
    Ok(Json(ReturnedDone { sku, location, quantity, left, again: false }))
}

/// Answers a request that was carried out before.
async fn returned_before(desk: &Arc<dyn Desk>, sku: Sku, location: Option<LocationId>) -> Told<ReturnedDone> {
    let of = sku.clone();
    let left = ask(desk.as_ref(), move |state| {
        let places = &state.skus.get(&of)?.stock;
        let named = places.iter().find(|place| location.as_ref().is_none_or(|at| place.location == *at))?;
        Some((named.location.clone(), named.stock.reserved))
    });
    let Some((location, left)) = left.await? else {
        return Err(Answer::missing(format!("there is no SKU `{sku}`"), "see how it is written in the ERP"));
    };
    Ok(Json(ReturnedDone { sku, location, quantity: Quantity::ZERO, left, again: true }))
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
