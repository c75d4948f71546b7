//! One call: the operation's pace, a token, the request, and its answer.
//!
//! Owns when a call may leave and with which token. Repeats a call once, and only after Amazon refused its token,
//! which proves that it was not executed. Knows no listing and no order.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use url::Url;

use super::{
    decode,
    encode::{Operation, Request},
    options::Options,
    pace::Paces,
};
use crate::connectors::{
    Fault, Outcome,
    http::{self, Answer, Client, NoAnswer},
    token::{NoToken, Token, Tokens},
};

/// Sends requests.
#[derive(Debug)]
pub(super) struct Caller {
    http: Client,
    base_url: Url,
    user_agent: HeaderValue,
    tokens: ByGrant,
    paces: Paces,
    /// What answers said of the end of an operation, by its name.
    sunsets: Mutex<BTreeMap<String, String>>,
}

/// Tokens in the name of the seller, and of the app itself.
#[derive(Debug)]
pub(super) struct ByGrant {
    pub(super) seller: Tokens,
    pub(super) app: Tokens,
}

/// Headers by which an API says that it is about to end (RFC 8594 and RFC 9745).
const SUNSETS: [&str; 2] = ["sunset", "deprecation"];

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// Our own limit: it was not sent.
    Paced(Duration),
    Token(NoToken),
    NoAnswer(NoAnswer),
}

impl Failed {
    /// Returns what it means for a write.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Failed::Paced(wait) => throttled(wait),
            Failed::Token(none) => none.outcome(),
            Failed::NoAnswer(none) => none.outcome(),
        }
    }
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Fault {
        match failed {
            Failed::Paced(retry_after) => Fault::Throttled { retry_after },
            Failed::Token(none) => none.into(),
            Failed::NoAnswer(none) => none.into(),
        }
    }
}

/// Returns the outcome of a write that was not executed and must wait.
pub(super) fn throttled(wait: Duration) -> Outcome {
    Outcome::Throttled { retry_after_ms: i64::try_from(wait.as_millis()).unwrap_or(i64::MAX) }
}

/// An answer, and how long its operation pauses where Amazon throttled it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) answer: Answer,
    pub(super) hold: Duration,
}

impl Told {
    /// Returns what an answer that is not a success means for a read.
    pub(super) fn fault(&self) -> Fault {
        decode::fault(self.answer.status, &self.answer.body, self.hold)
    }
}

impl Caller {
    pub(super) fn new(http: Client, options: &Options, user_agent: HeaderValue, tokens: ByGrant) -> Caller {
        let mut base_url = options.base_url.clone();
        if !base_url.path().ends_with('/') {
            let path = format!("{}/", base_url.path());
            base_url.set_path(&path);
        }
        let (paces, sunsets) = (Paces::new(&options.rates), Mutex::default());
        Caller { http, base_url, user_agent, tokens, paces, sunsets }
    }

    /// Returns the client for what lies elsewhere and takes no token.
    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    /// Tells whether an address that Amazon names may be read from: https, or this machine where Amazon itself is simulated
    /// on it.
    pub(super) fn may_fetch(&self, url: &Url) -> bool {
        let simulated = http::is_loopback(&self.base_url);
        url.scheme() == "https" || (url.scheme() == "http" && http::is_loopback(url) && simulated)
    }

    /// Returns what answers said of the end of operations.
    pub(super) fn sunsets(&self) -> BTreeMap<String, String> {
        self.sunsets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request. Any status is an answer; a refused token is exchanged once.
    pub(super) async fn send(&self, request: &Request) -> Result<Told, Failed> {
        let tokens = if request.by_app { &self.tokens.app } else { &self.tokens.seller };
        let token = tokens.get().await.map_err(Failed::Token)?;
        let told = self.once(request, &token).await?;
        if !decode::token_refused(told.answer.status, &told.answer.body) {
            return Ok(told);
        }
        tokens.refused(&token).await;
        let token = tokens.get().await.map_err(Failed::Token)?;
        let told = self.once(request, &token).await?;
        if decode::token_refused(told.answer.status, &told.answer.body) {
            // The next call begins with a new one.
            tokens.refused(&token).await;
        }
        Ok(told)
    }

    /// Sends a read and returns its answer if it is a success.
    pub(super) async fn read(&self, request: &Request) -> Result<Answer, Fault> {
        let told = self.send(request).await?;
        if told.answer.is_success() { Ok(told.answer) } else { Err(told.fault()) }
    }

    async fn once(&self, request: &Request, token: &Token) -> Result<Told, Failed> {
        let pace = self.paces.of(request.operation);
        pace.enter(request.operation.patience()).await.map_err(Failed::Paced)?;
        let url = self.base_url.join(&request.path).map_err(|e| {
            Failed::NoAnswer(NoAnswer::NotSent(format!("`{}` is not a path: {e}", request.path)))
        })?;
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .header("x-amz-access-token", token.header.clone())
            .header(USER_AGENT, self.user_agent.clone());
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let answer = self.http.send(builder).await.map_err(Failed::NoAnswer)?;
        if let Some(rate) = answer.header("x-amzn-ratelimit-limit") {
            pace.told(rate);
        }
        self.note_sunset(request.operation, &answer);
        let mut hold = Duration::ZERO;
        if answer.status == 429 {
            hold = pace.throttled(answer.retry_after());
        }
        if !answer.is_success() {
            tracing::debug!(
                operation = ?request.operation,
                status = answer.status,
                request_id = answer.header("x-amzn-requestid"),
                "not a success"
            );
        }
        Ok(Told { answer, hold })
    }

    fn note_sunset(&self, operation: Operation, answer: &Answer) {
        let said = |name: &str| Some(format!("{name}: {}", http::excerpt(answer.header(name)?.as_bytes())));
        let said: Vec<String> = SUNSETS.iter().filter_map(|name| said(name)).collect();
        if !said.is_empty() {
            let mut sunsets = self.sunsets.lock().unwrap_or_else(PoisonError::into_inner);
            sunsets.insert(format!("{operation:?}"), said.join(", "));
        }
    }
}
