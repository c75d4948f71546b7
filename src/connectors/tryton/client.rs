//! Requests to one Tryton database: addresses, headers, and what may have happened to a request.

use std::time::Duration;

use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use crate::{
    connectors::{
        Fault,
        http::{self, Answer, BadSetting, Client, NoAnswer, secret_header},
        tryton::{
            decode,
            encode::{Request, Search, packed},
        },
    },
    model::Timestamp,
};

const CONTEXT: HeaderName = HeaderName::from_static("x-tryton-context");

/// The status of a success without a body.
const NO_CONTENT: u16 = 204;

/// What became of a write that was not done, or not certainly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// Tryton does not know of it, or knows and refused: nothing was done.
    Not(Fault),
    /// It may have been done, or may still be.
    Maybe(Fault),
}

/// A body, and the server's time at which its reading began at the latest.
#[derive(Debug)]
pub(super) struct Read {
    pub body: bytes::Bytes,
    pub at: Timestamp,
}

/// One Tryton database.
#[derive(Debug)]
pub(super) struct Api {
    http: Client,
    /// The server's own address, ending in `/`.
    server: Url,
    database: String,
    key: HeaderValue,
}

impl Api {
    /// `setting` is the beginning of the configuration keys that an error names.
    pub(super) fn new(
        setting: &str,
        server: Url,
        database: &str,
        key: &SecretString,
        options: http::Options,
    ) -> Result<Api, BadSetting> {
        let bearer = SecretString::from(format!("bearer {}", key.expose_secret()));
        let key = secret_header(&format!("{setting}.key"), &bearer)?;
        let http = Client::new(&server, options)?;
        Ok(Api { http, server, database: database.to_owned(), key })
    }

    /// Reads a list in a context; `company` 0 means the key's own.
    pub(super) async fn search(&self, search: &Search, context: &Value) -> Result<Read, Fault> {
        let url = self.url([search.model], &search.query());
        self.read(Method::GET, url, None, context).await
    }

    /// Calls a method that only reads.
    pub(super) async fn ask(&self, model: &str, method: &str, arguments: &Value) -> Result<Read, Fault> {
        let url = self.url([model, method], &[]);
        self.read(Method::POST, url, Some(arguments), &json!({})).await
    }

    /// Returns the server's version. Needs no key, and sends none.
    pub(super) async fn version(&self) -> Result<String, Fault> {
        let mut url = self.server.clone();
        segments(&mut url, ["rpc", ""]);
        let body = json!({ "method": "common.server.version", "params": [] });
        let request = self.http.request(Method::POST, url);
        let answer =
            self.http.send(request.header(CONTENT_TYPE, "application/json").body(body.to_string())).await?;
        Ok(decode::json(decode::success(&answer)?)?)
    }

    /// Sends a request that changes something, once. Returns the record's state after it, if it has one.
    pub(super) async fn write(&self, request: &Request, company: i64) -> Result<Option<String>, Failed> {
        // Only buttons act on a state; on other records the field need not exist.
        let pressed = request.path.len() == 3;
        let fields: &[(&str, String)] = if pressed { &[("f", "state".to_owned())] } else { &[] };
        let url = self.url(request.path.iter().map(String::as_str), fields);
        let context = json!({ "company": company });
        let answer = self.send(request.method.clone(), url, Some(&request.body), &context).await;
        let answer = answer.map_err(|none| match none {
            NoAnswer::NotSent(_) => Failed::Not(none.into()),
            NoAnswer::Timeout(_) | NoAnswer::Disconnected(_) | NoAnswer::TooLarge { .. } => {
                Failed::Maybe(none.into())
            }
        })?;
        match decode::success(&answer) {
            Ok(body) if pressed => {
                let pressed: decode::Pressed = decode::json(body).map_err(|e| Failed::Maybe(e.into()))?;
                Ok(Some(pressed.state))
            }
            // Tryton says nothing, or tells the record. Any other answer is of somebody who stands between.
            Ok(_) if answer.status == NO_CONTENT => Ok(None),
            Ok(body) => {
                let told = decode::json::<decode::Id>(body);
                told.map(|_| None).map_err(|e| Failed::Maybe(e.into()))
            }
            Err(fault @ (Fault::Refused(_) | Fault::Unauthorized(_) | Fault::Throttled { .. })) => {
                Err(Failed::Not(fault))
            }
            // Tryton rolls a failed request back, but a gateway's 5xx says nothing of what Tryton goes on to do.
            Err(fault) => Err(Failed::Maybe(fault)),
        }
    }

    async fn read(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        context: &Value,
    ) -> Result<Read, Fault> {
        let start = Instant::now();
        let answer = self.send(method, url, body, context).await?;
        let took: Duration = start.elapsed();
        decode::success(&answer)?;
        let at = decode::begun(&answer, took)?;
        Ok(Read { body: answer.body, at })
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        context: &Value,
    ) -> Result<Answer, NoAnswer> {
        let mut request = self.http.request(method, url).header(AUTHORIZATION, self.key.clone());
        request = request.header(CONTEXT, packed(context));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        self.http.send(request).await
    }

    fn url<'a>(&self, path: impl IntoIterator<Item = &'a str>, query: &[(&str, String)]) -> Url {
        let mut url = self.server.clone();
        segments(&mut url, [self.database.as_str(), "rest", "model"]);
        segments(&mut url, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn segments<'a>(url: &mut Url, path: impl IntoIterator<Item = &'a str>) {
    url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(path);
}
