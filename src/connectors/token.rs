//! Access tokens that end and are asked for again: OAuth's grants, as Amazon and Shopify use them.
//!
//! Owns one token at a time: fetched by one caller while the others wait, renewed before it ends, and dropped when the channel
//! refuses it. Knows nothing of what the token is used for. Secrets leave only in the body of the token request.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Method, header::HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use crate::connectors::{
    Fault, Outcome,
    http::{self, Answer, BadSetting, Client, NoAnswer},
};

#[cfg(test)]
mod tests;

/// How long before its end a token is renewed, but never more than half its life.
const EARLY: Duration = Duration::from_secs(300);

/// How long a token that could not be renewed goes on, if it lives, before the next try.
const AGAIN: Duration = Duration::from_secs(30);

/// How often a token request is repeated after a passing failure.
const REPEATS: usize = 2;

/// How long to wait where token requests are throttled without naming a time.
const THROTTLED: Duration = Duration::from_secs(30);

/// How long a token request may take, and how long its answer may be.
const TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_MAX: usize = 1 << 16;

/// What is asked of a token endpoint.
#[derive(Debug, Clone)]
pub struct Grant {
    pub url: Url,
    /// The fields of the form, in their order.
    pub form: Vec<(&'static str, SecretString)>,
    /// What to do about a refusal, by its code, which may be any text.
    pub advice: fn(&str) -> &'static str,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The credentials are wrong; asking again cannot help.
    #[error("{0}")]
    Refused(String),
    #[error("the token endpoint throttles for {0:?}")]
    Throttled(Duration),
    #[error("no access token: {0}")]
    Unreachable(String),
}

impl NoToken {
    /// Returns what it means for a write, which has not been sent.
    pub fn outcome(self) -> Outcome {
        match self {
            NoToken::Refused(reason) => Outcome::Unauthorized { reason },
            NoToken::Throttled(wait) => {
                Outcome::Throttled { retry_after_ms: i64::try_from(wait.as_millis()).unwrap_or(i64::MAX) }
            }
            NoToken::Unreachable(_) => Outcome::NotSent { reason: self.to_string() },
        }
    }
}

impl From<NoToken> for Fault {
    fn from(none: NoToken) -> Fault {
        match none {
            NoToken::Refused(reason) => Fault::Unauthorized(reason),
            NoToken::Throttled(retry_after) => Fault::Throttled { retry_after },
            NoToken::Unreachable(_) => Fault::Disconnected(none.to_string()),
        }
    }
}

/// An access token, as the header that carries it.
#[derive(Debug, Clone)]
pub struct Token {
    pub header: HeaderValue,
    renew_at: Instant,
    ends_at: Instant,
    /// Counts the tokens, so that a refusal drops the token that was refused and not its successor.
    serial: u64,
}

/// Gives out the current token.
#[derive(Debug)]
pub struct Tokens {
    http: Client,
    grant: Grant,
    /// Counts finished token requests.
    rounds: AtomicU64,
    latest: Mutex<Option<Result<Token, NoToken>>>,
}

impl Tokens {
    /// Touches no network. `bounds` are those of the channel's requests; a token request has less of both.
    pub fn new(grant: Grant, bounds: http::Options) -> Result<Tokens, BadSetting> {
        let bounds = http::Options { timeout: TIMEOUT.min(bounds.timeout), body_max: ANSWER_MAX, ..bounds };
        let http = Client::new(&grant.url, bounds)?;
        Ok(Tokens { http, grant, rounds: AtomicU64::new(0), latest: Mutex::new(None) })
    }

    /// Returns the current token, fetching one if there is none or it is about to end. Callers that come while it
    /// is fetched get its result, be it a token or a failure. One that lives on is good while no other can be had.
    pub async fn get(&self) -> Result<Token, NoToken> {
        let at_call = self.rounds.load(Ordering::Acquire);
        let mut latest = self.latest.lock().await;
        let round = self.rounds.load(Ordering::Acquire);
        let held = match &*latest {
            Some(Ok(token)) if Instant::now() < token.renew_at => return Ok(token.clone()),
            Some(Err(none)) if round != at_call => return Err(none.clone()),
            Some(Ok(token)) => Some(token.clone()),
            Some(Err(_)) | None => None,
        };
        let result = match self.fetch(round + 1).await {
            Err(none @ (NoToken::Throttled(_) | NoToken::Unreachable(_))) => {
                held.and_then(Token::prolonged).ok_or(none)
            }
            fetched => fetched,
        };
        self.rounds.store(round + 1, Ordering::Release);
        *latest = Some(result.clone());
        result
    }

    /// Drops a token that the channel has refused.
    pub async fn refused(&self, token: &Token) {
        let mut latest = self.latest.lock().await;
        if matches!(&*latest, Some(Ok(held)) if held.serial == token.serial) {
            *latest = None;
        }
    }

    async fn fetch(&self, serial: u64) -> Result<Token, NoToken> {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_times(REPEATS)
            .with_jitter();
        (|| self.ask(serial)).retry(delays).when(|none| matches!(none, NoToken::Unreachable(_))).await
    }

    async fn ask(&self, serial: u64) -> Result<Token, NoToken> {
        let form: Vec<(&str, &str)> =
            self.grant.form.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let asked_at = Instant::now();
        let request = self.http.request(Method::POST, self.grant.url.clone()).form(&form);
        let answer =
            self.http.send(request).await.map_err(|none: NoAnswer| NoToken::Unreachable(none.to_string()))?;
        let (header, life) = granted(&answer, self.grant.advice)?;
        let (renew_at, ends_at) = (asked_at + (life - EARLY.min(life / 2)), asked_at + life);
        tracing::debug!(life_secs = life.as_secs(), "fetched an access token");
        Ok(Token { header, renew_at, ends_at, serial })
    }
}

impl Token {
    /// Returns it for a while longer, if it lives.
    fn prolonged(self) -> Option<Token> {
        let now = Instant::now();
        (now < self.ends_at).then(|| Token { renew_at: (now + AGAIN).min(self.ends_at), ..self })
    }
}

/// Reads the answer to a token request: the token and its life.
pub(in crate::connectors) fn granted(
    answer: &Answer,
    advice: fn(&str) -> &'static str,
) -> Result<(HeaderValue, Duration), NoToken> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        expires_in: u32,
    }
    match answer.status {
        200..=299 => {}
        429 => return Err(NoToken::Throttled(answer.retry_after().unwrap_or(THROTTLED))),
        400..=499 => return Err(NoToken::Refused(refusal(answer, advice))),
        status => return Err(NoToken::Unreachable(format!("status {status}"))),
    }
    // A body with a token in it is not quoted.
    let granted: Granted = serde_json::from_slice(&answer.body).map_err(|_| {
        NoToken::Unreachable("the answer holds no `access_token` and `expires_in`".to_owned())
    })?;
    let header = http::secret_header("access_token", &SecretString::from(granted.access_token))
        .map_err(|e| NoToken::Unreachable(e.to_string()))?;
    Ok((header, Duration::from_secs(granted.expires_in.into())))
}

/// Says what a refused token request means and what to do about it.
fn refusal(answer: &Answer, advice: fn(&str) -> &'static str) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let Ok(told) = serde_json::from_slice::<Refusal>(&answer.body) else {
        let said = http::excerpt(&answer.body);
        let advice = advice(&said);
        return format!("the token endpoint answered {}: {said}; {advice}", answer.status);
    };
    let advice = advice(&told.error);
    let description = told.error_description.map(|d| format!(": {}", http::excerpt(d.as_bytes())));
    let code = http::excerpt(told.error.as_bytes());
    format!("the token endpoint answered `{code}`{}; {advice}", description.unwrap_or_default())
}
