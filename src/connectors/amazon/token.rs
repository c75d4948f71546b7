//! Access tokens of Login with Amazon (LWA).
//!
//! Owns one token at a time: fetched by one caller while the others wait, renewed before it ends, and dropped when
//! Amazon refuses it. Knows nothing of what the token is used for. Refresh token and client secret leave only in the
//! body of the token request.

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

use super::call::throttled;
use crate::connectors::{
    Fault, Outcome,
    http::{self, Answer, Client, NoAnswer},
};

#[cfg(test)]
mod tests;

/// How long before its end a token is renewed, but never more than half its life.
const EARLY: Duration = Duration::from_secs(300);

/// How often a token request is repeated after a passing failure.
const REPEATS: usize = 2;

/// How long to wait where Amazon throttles token requests without naming a time.
const THROTTLED: Duration = Duration::from_secs(30);

/// Who asks for tokens.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) lwa_url: Url,
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
    pub(super) grant: Grant,
}

/// What a token is asked for.
#[derive(Debug, Clone)]
pub(super) enum Grant {
    /// In the name of the seller who gave this refresh token.
    Seller(SecretString),
    /// In the app's own name, for the operations of a scope.
    App(&'static str),
}

/// The operations that make destinations of notifications.
pub(super) const NOTIFICATIONS: &str = "sellingpartnerapi::notifications";

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoToken {
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
    pub(super) fn outcome(self) -> Outcome {
        match self {
            NoToken::Refused(reason) => Outcome::Unauthorized { reason },
            NoToken::Throttled(wait) => throttled(wait),
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
pub(super) struct Token {
    pub(super) header: HeaderValue,
    renew_at: Instant,
    /// Counts the tokens, so that a refusal drops the token that was refused and not its successor.
    serial: u64,
}

/// Gives out the current token.
#[derive(Debug)]
pub(super) struct Tokens {
    http: Client,
    credentials: Credentials,
    /// Counts finished token requests.
    rounds: AtomicU64,
    latest: Mutex<Option<Result<Token, NoToken>>>,
}

impl Tokens {
    pub(super) fn new(http: Client, credentials: Credentials) -> Tokens {
        Tokens { http, credentials, rounds: AtomicU64::new(0), latest: Mutex::new(None) }
    }

    /// Returns the current token, fetching one if there is none or it is about to end. Callers that come while it
    /// is fetched get its result, be it a token or a failure.
    pub(super) async fn get(&self) -> Result<Token, NoToken> {
        let at_call = self.rounds.load(Ordering::Acquire);
        let mut latest = self.latest.lock().await;
        let round = self.rounds.load(Ordering::Acquire);
        match &*latest {
            Some(Ok(token)) if Instant::now() < token.renew_at => return Ok(token.clone()),
            Some(Err(none)) if round != at_call => return Err(none.clone()),
            Some(_) | None => {}
        }
        let result = self.fetch(round + 1).await;
        self.rounds.store(round + 1, Ordering::Release);
        *latest = Some(result.clone());
        result
    }

    /// Drops a token that Amazon has refused.
    pub(super) async fn refused(&self, token: &Token) {
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
        let credentials = &self.credentials;
        let grant = match &credentials.grant {
            Grant::Seller(token) => {
                [("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())]
            }
            Grant::App(scope) => [("grant_type", "client_credentials"), ("scope", *scope)],
        };
        let [kind, what] = grant;
        let form = [
            kind,
            what,
            ("client_id", &credentials.client_id),
            ("client_secret", credentials.client_secret.expose_secret()),
        ];
        let asked_at = Instant::now();
        let request = self.http.request(Method::POST, credentials.lwa_url.clone()).form(&form);
        let answer =
            self.http.send(request).await.map_err(|none: NoAnswer| NoToken::Unreachable(none.to_string()))?;
        let (header, life) = granted(&answer)?;
        let renew_at = asked_at + (life - EARLY.min(life / 2));
        tracing::debug!(life_secs = life.as_secs(), "fetched an access token");
        Ok(Token { header, renew_at, serial })
    }
}

/// Reads the answer to a token request: the token and its life.
fn granted(answer: &Answer) -> Result<(HeaderValue, Duration), NoToken> {
    #[derive(Deserialize)]
    struct Grant {
        access_token: String,
        expires_in: u32,
    }
    match answer.status {
        200..=299 => {}
        429 => return Err(NoToken::Throttled(answer.retry_after().unwrap_or(THROTTLED))),
        400..=499 => return Err(NoToken::Refused(refusal(answer))),
        status => return Err(NoToken::Unreachable(format!("status {status}"))),
    }
    // A body with a token in it is not quoted.
    let grant: Grant = serde_json::from_slice(&answer.body).map_err(|_| {
        NoToken::Unreachable("the answer holds no `access_token` and `expires_in`".to_owned())
    })?;
    let header = http::secret_header("access_token", &SecretString::from(grant.access_token))
        .map_err(|e| NoToken::Unreachable(e.to_string()))?;
    Ok((header, Duration::from_secs(grant.expires_in.into())))
}

/// Says what a refused token request means and what to do about it.
fn refusal(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let Ok(told) = serde_json::from_slice::<Refusal>(&answer.body) else {
        return format!("the token endpoint answered {}: {}", answer.status, http::excerpt(&answer.body));
    };
    let advice = match told.error.as_str() {
        "invalid_grant" => {
            "`refresh_token` is wrong, was revoked or belongs to another app: authorise the app again and replace it"
        }
        "invalid_client" => {
            "`client_id` or `client_secret` is wrong; a secret ends after 180 days: take the current one"
        }
        "unauthorized_client" => "the app may not use this grant: check its registration and `client_id`",
        _ => "check `lwa_url`, `client_id`, `client_secret` and `refresh_token`",
    };
    let description = told.error_description.map(|d| format!(": {}", http::excerpt(d.as_bytes())));
    let code = http::excerpt(told.error.as_bytes());
    format!("the token endpoint answered `{code}`{}; {advice}", description.unwrap_or_default())
}
