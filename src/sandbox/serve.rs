//! Listeners, connections, and the faults that strike a whole request.

use std::convert::Infallible;
use std::fmt::{self, Display, Formatter};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::Error;
use super::faults::{Asked, Outcome, Poison, System};
use super::world::{Shared, World};

/// How long a client may take to send its request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request hangs at most that is never answered.
const HANG: Duration = Duration::from_secs(600);
/// The largest request body that any system takes.
pub(super) const BODY_MAX: usize = 4 << 20;

pub(super) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Accepts connections until the shutdown, then lets those that are under way finish.
pub(super) async fn accept(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, router.clone(), shutdown.clone()));
            }
            // Out of file descriptors, say: it passes, or the next accept fails again.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    connections.close();
    connections.wait().await;
}

fn connection(
    stream: TcpStream,
    router: Router,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let Ok::<Response, Infallible>(response) = answer.await;
            // An error makes hyper close the connection without a byte of answer.
            if response.extensions().get::<CutOff>().is_some() { Err(CutOff) } else { Ok(response) }
        }
    });
    async move {
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        // How a connection ends is its client's business: every failure was already answered or meant.
        tokio::select! {
            ended = connection.as_mut() => drop(ended),
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                drop(connection.await);
            }
        }
    }
}

/// Marks a response that must never reach the client.
#[derive(Debug, Clone, Copy)]
struct CutOff;

impl Display for CutOff {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut on purpose")
    }
}

impl std::error::Error for CutOff {}

/// A system's own way to say no.
#[derive(Clone, Copy)]
pub(super) struct Manners {
    pub(super) system: System,
    pub(super) refused: fn() -> Response,
    pub(super) throttled: fn() -> Response,
    /// A refusal of what was sent that does not say what of it is wrong.
    pub(super) unfit: fn() -> Response,
    /// What a request asks for, and whether it names this SKU.
    pub(super) asked: fn(&World, usize, &Parts, &[u8]) -> Asked,
}

#[derive(Clone)]
struct Gate {
    shared: Arc<Shared>,
    manners: Manners,
}

/// Puts the faults of a system in front of its routes.
pub(super) fn with_faults(router: Router, shared: Arc<Shared>, manners: Manners) -> Router {
    router.layer(middleware::from_fn_with_state(Gate { shared, manners }, strike))
}

async fn strike(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let fate = gate.shared.with(|world, now_ms| world.faults.fate(gate.manners.system, now_ms));
    if !fate.delay.is_zero() {
        tokio::time::sleep(fate.delay).await;
    }
    let (request, poison) = match poisoned(&gate, request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    match poison {
        Some(Poison::Fails | Poison::Reads) => return (gate.manners.refused)(),
        Some(Poison::Refused) => return (gate.manners.unfit)(),
        Some(Poison::Hangs) => {
            tokio::select! {
                () = tokio::time::sleep(HANG) => {}
                () = gate.shared.shutdown.cancelled() => {}
            }
            return cut();
        }
        None => {}
    }
    match fate.outcome {
        Outcome::Served => next.run(request).await,
        Outcome::Refused => (gate.manners.refused)(),
        Outcome::Throttled => (gate.manners.throttled)(),
        Outcome::CutBefore => cut(),
        Outcome::LostAnswer => {
            drop(next.run(request).await);
            cut()
        }
    }
}

/// Tells whether a request names a SKU that spoils it. Only then is it read before its time.
async fn poisoned(gate: &Gate, request: Request) -> Result<(Request, Option<Poison>), Response> {
    let system = gate.manners.system;
    if gate.shared.with(|world, _| world.faults.poisons(system).next().is_none()) {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_MAX)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
    let poison = gate.shared.with(|world, _| {
        let strikes = |(poison, sku): (Poison, &str)| {
            let asked = (gate.manners.asked)(world, world.catalogue.find(sku)?, &parts, &body);
            (asked.named && poison.strikes(asked.writes)).then_some(poison)
        };
        world.faults.poisons(system).find_map(strikes)
    });
    Ok((Request::from_parts(parts, Body::from(body)), poison))
}

fn cut() -> Response {
    let mut response = StatusCode::OK.into_response();
    response.extensions_mut().insert(CutOff);
    response
}
