//! Calls to one shop: the token, the bucket, and what the answers' headers say about the API version.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::fmt::rfc2822;
use reqwest::{
    Method,
    header::{ACCEPT, HeaderValue},
};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Notify, time::Instant};
use tracing::warn;
use url::Url;

use crate::{
    connectors::{
        http::{Answer, BadSetting, Client, is_loopback},
        shopify::{
            access::{Key, Keys},
            bucket::{Bucket, Refusal, until_affordable},
            graphql::{Cost, Operation, Reply, Request, Trouble, reply},
            options::Options,
            sentinel::Sentinel,
        },
    },
    model::Timestamp,
};

/// The longest that a call waits for points. The whole bucket comes back within twenty seconds; who waits longer is told
/// so instead of being held up.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// The status by which the shop refuses a token.
const REFUSED: u16 = 401;

/// Sends documents to one shop.
#[derive(Debug)]
pub(super) struct Caller {
    http: Client,
    url: Url,
    keys: Keys,
    /// The pinned API version.
    version: String,
    state: Mutex<State>,
    /// Something was noticed that a person should know soon.
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    bucket: Bucket,
    /// What each operation last was asked to have in the bucket.
    costs: BTreeMap<&'static str, f64>,
    /// Page sizes that were found to be affordable, where the first choice was not.
    sizes: BTreeMap<&'static str, usize>,
    sentinel: Sentinel,
}

/// The data of an answer, and the shop's clock.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) data: Value,
    /// When the shop answered, to the second.
    pub(super) at: Option<Timestamp>,
}

impl Caller {
    pub(super) fn new(options: &Options) -> Result<Caller, BadSetting> {
        let path = format!("admin/api/{}/graphql.json", options.api_version);
        let url = options.base_url.join(&path).map_err(|e| BadSetting::NotAUrl {
            key: "base_url".to_owned(),
            text: options.base_url.to_string(),
            why: e.to_string(),
        })?;
        Ok(Caller {
            http: Client::new(&options.base_url, options.http)?,
            url,
            keys: Keys::new(options)?,
            version: options.api_version.clone(),
            state: Mutex::default(),
            news: Notify::new(),
        })
    }

    /// Sends one document, once. Waits for the points that it may cost. Only a token that is refused is exchanged, and
    /// the document sent once more: it was not executed.
    pub(super) async fn call<V: Serialize>(
        &self,
        operation: &Operation,
        variables: &V,
    ) -> Result<Said, Trouble> {
        let ticket = self.ticket(operation).await?;
        let key = self.keys.get().await?;
        let mut answer = self.send(operation, variables, &key).await?;
        if answer.status == REFUSED && self.keys.refused(&key).await {
            let key = self.keys.get().await?;
            answer = self.send(operation, variables, &key).await?;
            if answer.status == REFUSED {
                // The next call begins with a new one.
                self.keys.refused(&key).await;
            }
        }
        let (reply, asked) = (reply(&answer), ticket.asked);
        ticket.settle(reply.cost.as_ref());
        self.watch(&answer, operation.name);
        let data = self.paced(reply, operation, asked)?;
        Ok(Said { data, at: answered_at(&answer) })
    }

    /// Has others wait too after a refusal for want of points. Returns the answer, with how long to wait for the next try.
    fn paced(&self, reply: Reply, operation: &Operation, asked: Instant) -> Result<Value, Trouble> {
        let bucket = &mut self.state().bucket;
        match reply.data {
            Err(Trouble::Throttled(wait)) => {
                let by_points = reply.cost.as_ref().and_then(until_affordable) == Some(wait);
                let refusal = Refusal { purpose: operation.purpose, asked, wait, by_points };
                Err(Trouble::Throttled(bucket.refused(refusal, rand::random(), Instant::now())))
            }
            answered => {
                bucket.served();
                answered
            }
        }
    }

    async fn send<V: Serialize>(
        &self,
        operation: &Operation,
        variables: &V,
        key: &Key,
    ) -> Result<Answer, Trouble> {
        let request = self
            .http
            .request(Method::POST, self.url.clone())
            .header("x-shopify-access-token", key.header())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .json(&Request::new(operation, variables));
        Ok(self.http.send(request).await?)
    }

    /// Returns the client for what lies elsewhere and takes no token.
    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    /// Tells whether an address that the shop names may be read from: https, or this machine where the shop itself is
    /// simulated on it.
    pub(super) fn may_fetch(&self, url: &Url) -> bool {
        url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url) && is_loopback(&self.url))
    }

    /// Asks for a page, and for smaller and smaller ones while the shop finds them too costly.
    pub(super) async fn page<V: Serialize>(
        &self,
        operation: &Operation,
        size: usize,
        variables: impl Fn(usize) -> V,
    ) -> Result<Said, Trouble> {
        loop {
            let size = self.page_size(operation, size);
            match self.call(operation, &variables(size)).await {
                Err(Trouble::TooCostly(_)) if size > 1 => self.shrink(operation, size),
                said => return said,
            }
        }
    }

    /// Returns the page size to ask for: `first_choice`, unless it was found too costly.
    pub(super) fn page_size(&self, operation: &Operation, first_choice: usize) -> usize {
        self.state().sizes.get(operation.name).copied().unwrap_or(first_choice)
    }

    /// Notes that pages of this size are too costly.
    pub(super) fn shrink(&self, operation: &Operation, size: usize) {
        self.state().sizes.insert(operation.name, (size / 2).max(1));
    }

    async fn ticket<'a>(&'a self, operation: &'a Operation) -> Result<Ticket<'a>, Trouble> {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let wait = {
                let mut state = self.state();
                let cost = state.costs.get(operation.name).copied().unwrap_or(operation.cost);
                let now = Instant::now();
                match state.bucket.reserve(cost, operation.purpose, now) {
                    Ok(()) => return Ok(Ticket { caller: self, operation, cost, asked: now }),
                    Err(wait) if now + wait > until => return Err(Trouble::Throttled(wait)),
                    Err(wait) => wait,
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Looks at what an answer says about the version.
    fn watch(&self, answer: &Answer, operation: &'static str) {
        let mut state = self.state();
        if !state.sentinel.watch(answer, operation, &self.version, Instant::now()) {
            return;
        }
        for notice in state.sentinel.notices(&self.version, Instant::now()) {
            warn!(kind = notice.kind, "{}", notice.text);
        }
        self.news.notify_one();
    }

    /// Notes whether another shop than the one that is meant has answered, and why that is known.
    pub(super) fn watch_shop(&self, other: Option<String>) {
        self.state().sentinel.other_shop = other;
    }

    /// Notes the version that a webhook was shaped by.
    pub(super) fn watch_push(&self, version: Option<&str>) {
        let Some(version) = version else { return };
        if self.state().sentinel.watch_push(version, &self.version) {
            self.news.notify_one();
        }
    }

    /// Returns what was noticed about API versions since the start.
    pub(super) fn sentinel(&self) -> Sentinel {
        self.state().sentinel.clone()
    }

    /// Resolves when there is something new about them.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panicking holder left is still a bucket; it corrects itself with the next answer.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Points set aside for one call; given back when it ends, however it ends.
struct Ticket<'a> {
    caller: &'a Caller,
    operation: &'a Operation,
    cost: f64,
    /// When they were set aside.
    asked: Instant,
}

impl Ticket<'_> {
    fn settle(self, cost: Option<&Cost>) {
        let Some(cost) = cost else { return };
        let mut state = self.caller.state();
        state.bucket.learn(cost, Instant::now());
        if let Some(requested) = cost.requested_query_cost.filter(|cost| cost.is_finite() && *cost >= 0.0) {
            state.costs.insert(self.operation.name, requested);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.caller.state().bucket.release(self.cost);
    }
}

fn answered_at(answer: &Answer) -> Option<Timestamp> {
    let date = rfc2822::DateTimeParser::new().parse_timestamp(answer.header("date")?.trim()).ok()?;
    Some(Timestamp::from_millis(date.as_millisecond()))
}
