//! The HTTP door for pushes, health and metrics, and the admin API on a Unix socket.
//!
//! Owns addresses, sizes, time limits and the shapes of answers. Decides nothing and keeps nothing: pushes go to a
//! [`Door`], everything else to the [`Desk`]; the engine lends both. Nothing that is received is logged.

mod admin;
mod body;
mod desk;
mod drift;
mod intents;
mod made;
mod peer;
mod problem;
mod public;
mod query;
mod serve;
mod socket;
#[cfg(test)]
pub(crate) mod tests;
pub mod view;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tracing::info;

use peer::Peer;

pub use desk::{Counting, Desk, Door, Doors, Failure, Read, Taken, Vitals};

use crate::telemetry::Metrics;

/// Returns the status that a failure is answered with.
#[cfg(test)]
pub(crate) fn answered(failure: Failure) -> axum::http::StatusCode {
    problem::Answer::from(failure).status
}

/// Why the doors could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on `{address}` (web.listen)")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Socket(#[from] socket::Error),
}

/// How the doors are opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where webhooks, health and metrics are served.
    pub listen: SocketAddr,
    /// Where the admin API is served.
    pub socket: PathBuf,
    /// The largest push; a larger one gets 413.
    pub body_max: usize,
    /// A push that is not answered by then gets 503.
    pub answer_within: Duration,
    /// A connection whose next request has not begun by then, headers included, is closed.
    pub headers_within: Duration,
    /// How many connections are open at once, for each door; more wait to be accepted.
    pub connections_max: usize,
    /// How long requests under way have to end at shutdown.
    pub drain: Duration,
}

impl Options {
    /// Returns options with the limits that seldom need another value.
    pub fn new(listen: SocketAddr, socket: PathBuf) -> Options {
        Options {
            listen,
            socket,
            body_max: 4 << 20,
            answer_within: Duration::from_secs(4),
            // Longer than nginx keeps an idle connection to us, so that it never sends into one that is being closed.
            headers_within: Duration::from_secs(75),
            connections_max: 1_024,
            drain: Duration::from_secs(10),
        }
    }
}

/// Everything that the doors lead to.
pub struct Web {
    pub desk: Arc<dyn Desk>,
    pub doors: Arc<dyn Doors>,
    pub metrics: Arc<Metrics>,
    pub options: Options,
}

/// Both doors, open. Connections wait until [`Open::serve`].
pub struct Open {
    web: Web,
    tcp: TcpListener,
    unix: UnixListener,
    address: SocketAddr,
    claim: socket::Claim,
}

impl Web {
    /// Takes the address and the socket.
    pub async fn open(self) -> Result<Open, Error> {
        let listen = self.options.listen;
        let failed = |source| Error::Listen { address: listen, source };
        let tcp = TcpListener::bind(listen).await.map_err(failed)?;
        let address = tcp.local_addr().map_err(failed)?;
        let (unix, claim) = socket::bind(&self.options.socket).await?;
        Ok(Open { web: self, tcp, unix, address, claim })
    }
}

impl Open {
    /// Returns the address that is listened on; the port is the real one where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets what is under way end, and removes the socket.
    pub async fn serve(self, stop: CancellationToken) {
        let Open { web, tcp, unix, address, claim } = self;
        info!(listen = %address, socket = %web.options.socket.display(), "serving");
        let limits = serve::Limits {
            headers_within: web.options.headers_within,
            connections_max: web.options.connections_max,
            drain: web.options.drain,
        };
        let owner = peer::owner(&web.options.socket);
        let admin = admin::router(Arc::clone(&web.desk));
        let public = public::router(public::Public::new(web));
        tokio::join!(
            serve::serve(tcp, public, limits, |_| Peer::default(), stop.clone()),
            serve::serve(unix, admin, limits, peer::of(owner), stop.clone()),
        );
        drop(claim);
    }
}
