//! Asks the running daemon over its Unix socket.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::{
    cli::{Failure, Global, failure::Kind},
    config::{Config, Secrets, process_env},
    web::view::Problem,
};

/// How long the daemon may take for an answer. A daemon that ends does so at once: its socket closes.
const LIMIT: Duration = Duration::from_secs(1_800);
/// How long it may take where it reads whole catalogues first: a large one is thousands of requests, or a report for each
/// marketplace, each of which may take hours.
const PATIENT_LIMIT: Duration = Duration::from_secs(24 * 3_600);

/// What helps as long as the configuration cannot be read.
const WITHOUT: &str =
    "until then, --socket PATH (the `socket.path` of the daemon that runs) asks it without this file";

/// The way to the daemon.
pub(super) struct Client {
    socket: PathBuf,
    json: bool,
    limit: Duration,
}

impl Client {
    /// Finds the socket: the one named, else the one in the configuration.
    pub(super) fn new(global: &Global) -> Result<Client, Failure> {
        let socket = match &global.socket {
            Some(socket) => socket.clone(),
            None => load(global).map_err(|failure| failure.also(WITHOUT))?.socket.path,
        };
        Ok(Client { socket, json: global.json, limit: LIMIT })
    }

    /// Asks the daemon at a socket.
    pub(super) fn at(socket: PathBuf) -> Client {
        Client { socket, json: false, limit: LIMIT }
    }

    /// Has it wait for as long as whole catalogues may take.
    pub(super) fn patient(self) -> Client {
        Client { limit: PATIENT_LIMIT, ..self }
    }

    pub(super) fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        self.ask(Method::GET, path, None)
    }

    pub(super) fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        asked: &Q,
    ) -> Result<A, Failure> {
        let body = serde_json::to_vec(asked).map_err(anyhow::Error::from)?;
        self.ask(Method::POST, path, Some(body))
    }

    fn ask<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<A, Failure> {
        let (runtime, limit) =
            (tokio::runtime::Builder::new_current_thread().enable_all().build()?, self.limit);
        let (status, answer) = runtime
            .block_on(async { tokio::time::timeout(limit, exchange(&self.socket, method, path, body)).await })
            .map_err(|_| Failure::new(Kind::Failed, format!("the daemon did not answer within {limit:?}")))?
            .map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            let read = serde_json::from_slice(&answer);
            return read.map_err(|e| {
                Failure::new(Kind::Failed, format!("the daemon's answer was not understood: {e}"))
            });
        }
        let told: Problem = serde_json::from_slice(&answer).unwrap_or_else(|_| Problem {
            error: format!("the daemon answered {status}"),
            next: "see the daemon's log with `journalctl -u evenkeel`".into(),
        });
        Err(Failure::new(kind(status), told.error).next(told.next).as_json(self.json))
    }

    fn unreachable(&self, error: &anyhow::Error) -> Failure {
        let forbidden = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        let next = if forbidden {
            "run this as root, or as a member of the daemon's group, mostly `evenkeel`"
        } else {
            "start it (`systemctl start evenkeel`), or name its socket with --socket"
        };
        let told = format!("no daemon answers at `{}`: {error:#}", self.socket.display());
        Failure::new(Kind::Unreachable, told).next(next).as_json(self.json)
    }
}

/// What kind of failure an answer tells.
fn kind(status: StatusCode) -> Kind {
    match status {
        StatusCode::NOT_FOUND => Kind::NotFound,
        StatusCode::CONFLICT | StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Kind::Refused,
        StatusCode::FORBIDDEN => Kind::Refused,
        StatusCode::PRECONDITION_FAILED => Kind::Config,
        StatusCode::SERVICE_UNAVAILABLE => Kind::Unreachable,
        StatusCode::INSUFFICIENT_STORAGE => Kind::NoRoom,
        _ => Kind::Failed,
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(StatusCode, Bytes), anyhow::Error> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "evenkeel")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok((status, body))
}

/// Loads the configuration, all of its problems in one failure.
pub(super) fn load(global: &Global) -> Result<Config, Failure> {
    Config::load(&global.config, &process_env()).map_err(|problems| {
        // A file that could not be read as a whole has no lines to mend.
        let unread = problems.iter().all(|problem| problem.key.is_empty() && problem.snippet.is_none());
        let next = if unread {
            "name another file with --config, or mend this one; `evenkeel check` tries again"
        } else {
            "mend the lines named; docs/CONFIG.md tells every key, `evenkeel check` tries again"
        };
        Failure::new(Kind::Config, problems).next(next).as_json(global.json)
    })
}

/// Fetches every secret that the configuration names, all problems in one failure.
pub(super) fn secrets(global: &Global, config: &Config) -> Result<Secrets, Failure> {
    Secrets::load(config, &process_env()).map_err(|problems| {
        Failure::new(Kind::Config, problems)
            .next(
                "give these secrets; systemd hands over credentials, by hand name their directory, as in \
                 `CREDENTIALS_DIRECTORY=/etc/evenkeel/secrets evenkeel check`; see docs/CONFIG.md#secrets",
            )
            .as_json(global.json)
    })
}

/// Encodes a part of a path.
pub(super) fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{self, answered};

    #[test]
    fn what_was_refused_for_lack_of_room_was_answered_and_may_be_repeated() {
        let check = |failure: web::Failure, code: u8, unanswered: bool| {
            let told = Failure::new(kind(answered(failure)), "");
            assert_eq!((told.code(), told.is_unanswered()), (code, unanswered));
        };
        check(web::Failure::NoRoom, 5, true);
        check(web::Failure::Busy, 3, true);
        check(web::Failure::Stopping, 3, true);
        let what = String::new;
        check(web::Failure::Conflict { what: what(), next: what() }, 5, false);
        check(web::Failure::Config(what()), 78, false);
        let channel = "main".parse().expect("a name");
        check(web::Failure::Channel { channel, why: what() }, 1, true);
    }
}
