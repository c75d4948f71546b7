//! One HTTP client for all connectors: bounded in time and size, and honest about what may have happened.
//!
//! Owns the question "did the request leave?": a write whose connection was refused may go again, a write that got
//! no answer may have landed. Follows no redirect and repeats no request by itself. Knows no channel: what a status
//! or a body means is decided where it is read. Secrets and query strings never get into an error text.

use std::{error::Error as _, net::IpAddr, str::FromStr, time::Duration};

use bytes::{Bytes, BytesMut};
use jiff::fmt::rfc2822;
use reqwest::{
    Method, RequestBuilder,
    header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use url::{Host, Url};

use crate::connectors::{Fault, Outcome};

#[cfg(test)]
mod tests;

/// The `User-Agent` of every request, in the form that Amazon prescribes and all others accept.
pub const USER_AGENT: &str = concat!("evenkeel/", env!("CARGO_PKG_VERSION"), " (Language=Rust)");

/// The longest pause that an answer may ask for; a longer one is taken as this. Protects a lane from a wrong clock
/// or a hostile number.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How many characters of a body an error text may quote.
const EXCERPT_CHARS: usize = 200;

/// Why a setting cannot be used. Each names its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    #[error("`{key}` must be an absolute URL such as `https://host`, is `{text}`: {why}")]
    NotAUrl { key: String, text: String, why: String },
    #[error("`{key}` must begin with `https://`; `http://` is taken for loopback hosts only, is `{text}`")]
    NotSecure { key: String, text: String },
    #[error("`{key}` must hold no user, password, query or fragment")]
    NotPlain { key: String },
    #[error("`{key}` must be printable ASCII without line breaks")]
    NotAHeader { key: String },
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
}

/// Checks the address of a channel: https, or http where the host is this machine. `key` is named in the error.
///
/// The path is made to end in `/`, so that [`Url::join`] appends to it.
pub fn base_url(key: &str, text: &str) -> Result<Url, BadSetting> {
    let plain = |url: &Url| {
        url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let mut url = Url::parse(text).map_err(|e| BadSetting::NotAUrl {
        key: key.to_owned(),
        // What does not parse may still hold a password.
        text: text.rsplit('@').next().unwrap_or_default().to_owned(),
        why: e.to_string(),
    })?;
    if !plain(&url) {
        return Err(BadSetting::NotPlain { key: key.to_owned() });
    }
    match url.scheme() {
        "https" if url.has_host() => {}
        "http" if is_loopback(&url) => {}
        _ => return Err(BadSetting::NotSecure { key: key.to_owned(), text: text.to_owned() }),
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Tells whether the host is this machine: `localhost`, a name below it, or a loopback address.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => match ip.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4).is_loopback(),
            None => ip.is_loopback(),
        },
        None => false,
    }
}

/// Makes a header value of a secret; it is left out of every debug output.
pub fn secret_header(key: &str, secret: &SecretString) -> Result<HeaderValue, BadSetting> {
    let bad = || BadSetting::NotAHeader { key: key.to_owned() };
    let text = secret.expose_secret();
    if text.is_empty() || text.trim() != text {
        return Err(bad());
    }
    let mut value = HeaderValue::from_str(text).map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Bounds of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Until the connection stands, TLS included.
    pub connect_timeout: Duration,
    /// From the first byte to connect until the last byte of the answer.
    pub timeout: Duration,
    /// The largest answer that is read, unpacked.
    pub body_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            body_max: 16 << 20,
        }
    }
}

/// A client for one channel. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    options: Options,
}

impl Client {
    /// Builds the client for requests to `base` and below.
    pub fn new(base: &Url, options: Options) -> Result<Client, BadSetting> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout);
        if is_loopback(base) {
            // A proxy of the environment cannot reach this machine's own ports.
            builder = builder.no_proxy();
        }
        let inner = builder.build().map_err(|e| BadSetting::Client(told(e)))?;
        Ok(Client { inner, options })
    }

    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.inner.request(method, url)
    }

    /// Sends one request, once, and reads its answer whole. Any status is an answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, NoAnswer> {
        let mut response = request.send().await.map_err(|e| self.no_answer(e))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.no_answer(e))? {
            if body.len() + chunk.len() > self.options.body_max {
                return Err(NoAnswer::TooLarge { max: self.options.body_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    fn no_answer(&self, error: reqwest::Error) -> NoAnswer {
        // A request's bytes leave only after the connection stands, so an error before that proves that they did
        // not. The order matters: a time-out while connecting is both.
        if error.is_connect() || error.is_dns() || error.is_builder() {
            return NoAnswer::NotSent(told(error));
        }
        if error.is_timeout() {
            return NoAnswer::Timeout(self.options.timeout);
        }
        NoAnswer::Disconnected(told(error))
    }
}

/// Tells an error with its causes and without the URL, which may hold ids or tokens in its query.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

/// Why there is no (whole) answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No byte of the request has left: name not found, connection refused, TLS refused, request not buildable.
    #[error("not connected: {0}")]
    NotSent(String),
    /// The request left, in part or whole; what became of it is not known.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// As above.
    #[error("connection lost: {0}")]
    Disconnected(String),
    /// As above: there is an answer, but it is too large to be read.
    #[error("the answer is larger than {max} bytes")]
    TooLarge { max: usize },
}

impl NoAnswer {
    /// Returns what it means for a write.
    pub fn outcome(self) -> Outcome {
        match self {
            NoAnswer::NotSent(_) => Outcome::NotSent { reason: self.to_string() },
            NoAnswer::Timeout(_) | NoAnswer::Disconnected(_) | NoAnswer::TooLarge { .. } => {
                Outcome::Unknown { fault: self.to_string() }
            }
        }
    }
}

impl From<NoAnswer> for Fault {
    /// Returns what it means for a read.
    fn from(none: NoAnswer) -> Fault {
        match none {
            NoAnswer::Timeout(limit) => Fault::Timeout(limit),
            NoAnswer::NotSent(why) | NoAnswer::Disconnected(why) => Fault::Disconnected(why),
            NoAnswer::TooLarge { .. } => Fault::Malformed(none.to_string()),
        }
    }
}

/// A whole answer, of any status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Returns a header's value, if it is there and is text. Names are compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns how long the channel asks to wait, if it does.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.header(RETRY_AFTER.as_str())?, self.header(DATE.as_str()))
    }

    /// Maps a status that is not a success the way most APIs mean it, for a read. `retry_after` holds where a 429
    /// or 503 names no time.
    pub fn fault(&self, default_retry_after: Duration) -> Fault {
        let detail = excerpt(&self.body);
        let retry_after = self.retry_after();
        match self.status {
            401 | 403 => Fault::Unauthorized(format!("status {}: {detail}", self.status)),
            429 => Fault::Throttled { retry_after: retry_after.unwrap_or(default_retry_after) },
            503 if retry_after.is_some() => {
                Fault::Throttled { retry_after: retry_after.unwrap_or(default_retry_after) }
            }
            400..=499 => Fault::Refused(format!("status {}: {detail}", self.status)),
            status => Fault::Server { status, detail },
        }
    }
}

/// Parses `Retry-After`: seconds (with or without a fraction), or an HTTP date.
///
/// A date is measured against the answer's own `Date`, so that a wrong clock here does not matter; without that
/// header it says nothing. Never longer than [`RETRY_AFTER_MAX`].
pub fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = f64::from_str(value) {
        let bounded = seconds.clamp(0.0, RETRY_AFTER_MAX.as_secs_f64());
        return Duration::try_from_secs_f64(bounded).ok();
    }
    let parser = rfc2822::DateTimeParser::new();
    let until = parser.parse_timestamp(value).ok()?;
    let sent = parser.parse_timestamp(date?.trim()).ok()?;
    let wait = Duration::try_from(until.duration_since(sent)).unwrap_or(Duration::ZERO);
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Reads a body as JSON. The error says where it does not fit and why, but quotes nothing of it: it may be a person's.
pub fn json<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    let read = fit(&mut parser)?;
    // What comes behind would be lost without a word.
    parser.end().map_err(|_| "something follows its end".to_owned())?;
    Ok(read)
}

/// Reads a part of a JSON document, as [`json`] does.
pub fn json_part<'de, T: Deserialize<'de>>(part: &'de serde_json::Value) -> Result<T, String> {
    fit(part)
}

fn fit<'de, T, D>(from: D) -> Result<T, String>
where
    T: Deserialize<'de>,
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(from).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let text = inner.to_string();
        let what = match inner.classify() {
            // Names a field of ours, nothing of the body.
            Category::Data if text.starts_with("missing field") => text,
            Category::Data => "is of an unexpected type or size".to_owned(),
            Category::Syntax => format!("is not JSON at line {} column {}", inner.line(), inner.column()),
            Category::Eof => "ends too early".to_owned(),
            Category::Io => "cannot be read".to_owned(),
        };
        // The whole, or a place that is not known.
        if path == "." || path == "?" { what } else { format!("`{path}`: {what}") }
    })
}

/// Returns the beginning of a body as one line of printable text, for an error message.
pub fn excerpt(body: &[u8]) -> String {
    let head = &body[..body.len().min(4 * EXCERPT_CHARS)];
    let text = String::from_utf8_lossy(head);
    let line: String = text
        .chars()
        .map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c })
        .take(EXCERPT_CHARS)
        .collect();
    let line = line.trim();
    if line.is_empty() { "no body".to_owned() } else { line.to_owned() }
}
