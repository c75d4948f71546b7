//! What the world may reach: webhooks, and for whoever runs this, health and metrics.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, debug, info_span, warn};

use crate::{
    connectors::Push,
    model::ChannelId,
    telemetry::{self, CONTENT_TYPE, Metrics},
    web::{
        Desk, Doors, Taken, Web,
        body::{Room, Unread},
        desk::ask,
    },
};

/// What Shopify and others are told to wait before they come again, in seconds. They have their own ideas.
const RETRY_AFTER: &str = "5";
/// How long the ledger may take to answer a health check.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);
/// How many of the largest bodies may be read at once.
const LARGEST_AT_ONCE: usize = 16;

/// What the public routes share.
pub(super) struct Public {
    desk: Arc<dyn Desk>,
    doors: Arc<dyn Doors>,
    metrics: Arc<Metrics>,
    body_max: usize,
    answer_within: Duration,
    room: Room,
    requests: AtomicU64,
}

impl Public {
    pub(super) fn new(web: Web) -> Arc<Public> {
        let body_max = web.options.body_max;
        Arc::new(Public {
            desk: web.desk,
            doors: web.doors,
            metrics: web.metrics,
            body_max,
            answer_within: web.options.answer_within,
            room: Room::new(body_max.saturating_mul(LARGEST_AT_ONCE)),
            requests: AtomicU64::new(0),
        })
    }
}

pub(super) fn router(public: Arc<Public>) -> Router {
    Router::new()
        .route("/webhooks/shopify/{channel}", post(webhook))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(Arc::clone(&public), named))
        .with_state(public)
}

/// Gives each request a number that its log lines and its answer carry.
async fn named(State(public): State<Arc<Public>>, request: Request, next: Next) -> Response {
    let id = public.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let span = info_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| debug!(status = response.status().as_u16(), "answered"));
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn webhook(
    State(public): State<Arc<Public>>,
    Path(channel): Path<String>,
    request: Request,
) -> Response {
    let deadline = Instant::now() + public.answer_within;
    let known = ChannelId::new(&channel).ok().and_then(|id| Some((public.doors.shopify(&id)?, id)));
    let Some((door, channel)) = known else {
        public.metrics.webhook_stray();
        return StatusCode::NOT_FOUND.into_response();
    };
    let (parts, body) = request.into_parts();
    let body = match timeout_at(deadline, public.room.read(body, public.body_max)).await {
        Ok(Ok(body)) => body,
        Ok(Err(unread)) => return unread_answer(&public, &channel, unread),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let begun = Instant::now();
    let push = Push { headers: headers(&parts.headers), body: body.bytes.clone() };
    // Cut off, it may still be recorded: the sender comes again, and the merge takes no notice.
    let taken = timeout_at(deadline, door.push(&push)).await;
    public.metrics.webhook_took(begun.elapsed());
    match taken {
        Ok(Taken::Yes | Taken::Duplicate | Taken::Quarantined | Taken::NotFollowed) => {
            StatusCode::OK.into_response()
        }
        Ok(Taken::Forged) => StatusCode::UNAUTHORIZED.into_response(),
        Ok(Taken::Busy | Taken::Stopped) => come_again(),
        Err(_) => {
            warn!(%channel, within = ?public.answer_within, "a push could not be answered in time");
            public.metrics.webhook(&channel, telemetry::Push::Busy);
            come_again()
        }
    }
}

fn unread_answer(public: &Public, channel: &ChannelId, unread: Unread) -> Response {
    match unread {
        Unread::TooLarge => {
            warn!(%channel, max = public.body_max, "a push was too large (web.body_max_bytes)");
            public.metrics.webhook(channel, telemetry::Push::TooLarge);
            StatusCode::PAYLOAD_TOO_LARGE.into_response()
        }
        Unread::NoRoom => {
            public.metrics.webhook(channel, telemetry::Push::Busy);
            come_again()
        }
        Unread::Broken => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn come_again() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)]).into_response()
}

/// Takes the headers that are text; of a repeated one the first.
fn headers(from: &HeaderMap) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in from {
        if let Ok(value) = value.to_str() {
            all.entry(name.as_str().to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    all
}

/// Tells whether the process lives: its ledger answers, or at least makes progress.
async fn healthz(State(public): State<Arc<Public>>) -> Response {
    let beat = public.desk.vitals().beat;
    let alive = match timeout(ALIVE_WITHIN, ask(public.desk.as_ref(), |_| ())).await {
        Ok(answered) => answered.is_ok(),
        Err(_) => public.desk.vitals().beat != beat,
    };
    let status = if alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "alive": alive }))).into_response()
}

/// Tells whether pushes are taken: the journal is open and the state is loaded.
async fn readyz(State(public): State<Arc<Public>>) -> Response {
    let read = |state: &crate::core::State| (state.initialised.is_some(), state.mode());
    let answered = timeout(ALIVE_WITHIN, ask(public.desk.as_ref(), read)).await;
    let (initialised, mode) = answered.ok().and_then(Result::ok).unwrap_or((false, None));
    let vitals = public.desk.vitals();
    let ready = mode.is_some() && vitals.refuses.is_none();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": ready,
        "initialised": initialised,
        "mode": mode,
        "seq": vitals.seq,
        "reason": vitals.refuses,
    });
    (status, Json(body)).into_response()
}

async fn metrics(State(public): State<Arc<Public>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], public.desk.figures().await).into_response()
}
