//! Accepts connections and answers them, over TCP and Unix sockets alike: bounded in number, in idle time, and in how
//! long they may hold up the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, serve::Listener};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::web::peer::Peer;

/// What a door allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub headers_within: Duration,
    pub connections_max: usize,
    pub drain: Duration,
}

/// Requests under way at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// How often a quiet HTTP/2 connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Answers with `router` until `stop`, then waits for what is under way.
pub(super) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    limits: Limits,
    peer: impl Fn(&L::Io) -> Peer,
    stop: CancellationToken,
) {
    let builder = builder(limits.headers_within);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let (io, place) = tokio::select! {
            () = stop.cancelled() => break,
            Some(accepted) = accept(&mut listener, &places) => accepted,
        };
        let begun = Arc::new(AtomicBool::new(false));
        let (router, seen, peer) = (router.clone(), Arc::clone(&begun), peer(&io));
        let service = service_fn(move |mut request: Request<Incoming>| {
            seen.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let connection = builder.serve_connection(TokioIo::new(io), service).into_owned();
        tokio::spawn(answer(graceful.watch(connection), begun, limits.headers_within, place));
    }
    drop(listener);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        warn!("some requests did not end in time; they are cut off");
    }
}

async fn accept<L: Listener>(
    listener: &mut L,
    places: &Arc<Semaphore>,
) -> Option<(L::Io, OwnedSemaphorePermit)> {
    // Never closed, so there is always a place in the end.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (io, _) = listener.accept().await;
    Some((io, place))
}

/// Drives one connection to its end. One that has not begun a request in time is cut off, whatever it dribbles.
async fn answer<E: std::fmt::Debug>(
    connection: impl Future<Output = Result<(), E>>,
    begun: Arc<AtomicBool>,
    headers_within: Duration,
    place: OwnedSemaphorePermit,
) {
    let mut connection = std::pin::pin!(connection);
    let ended = match timeout(headers_within, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_) if begun.load(Ordering::Relaxed) => connection.await,
        Err(_) => {
            debug!("a connection sent no request in time");
            Ok(())
        }
    };
    if let Err(error) = ended {
        // Who hangs up early, or speaks no HTTP, is nobody's concern.
        debug!(?error, "a connection ended early");
    }
    drop(place);
}

fn builder(headers_within: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(headers_within);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    builder
}
