//! Bulks: a JSON listings feed takes many quantities as one document, and Amazon works it off when it comes to it.
//!
//! A feed costs few calls and lands minutes to days later; that it is done says of no listing that it shows what was sent. So
//! it is for first loads and mass repair, and what it was to do is looked at as after any write. Each message merges one
//! quantity, as a patch does, so that handling times stay. Nothing is repeated here.
//! <https://developer-docs.amazon.com/sp-api/docs/feeds-api-best-practices>

use std::{
    io::Read as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use tracing::{info, warn};

use super::{
    Amazon,
    call::throttled,
    documents,
    encode::{self, FEED, Message},
    passing,
};
use crate::{
    clock::Clock,
    connectors::{
        Fault, Outcome, Put,
        bulk::{Begun, Bulks},
        http,
    },
    core::bulk::{Bulk, How, Refused, Stage, Told},
    model::{IdKind, Timestamp},
};

#[cfg(test)]
mod tests;

/// The most messages that Amazon takes in one feed.
const MESSAGES_MAX: usize = 25_000;
/// The largest document that Amazon recommends, less some room.
const BYTES_MAX: usize = 10_000_000;
/// How far apart feeds of one type are to begin, by Amazon's best practices.
const APART_MS: i64 = 20 * 60_000;
/// How long no feed is tried after Amazon has refused one.
const REFUSED_MS: i64 = 6 * 3_600_000;
/// How long no feed is tried after one could not be sent.
const FAILED_MS: i64 = 5 * 60_000;
/// How many listings are read for a feed to know who fulfils them. The others leave with another, or by themselves.
const READ_MAX: usize = 5_000;
/// After how long a feed that is not in Amazon's list was never taken.
const LISTED_MS: i64 = 15 * 60_000;
/// By how much Amazon's clock may be behind ours.
const SKEW_MS: i64 = 60_000;
/// The largest processing report that is unpacked.
const REPORT_MAX: u64 = 64 << 20;
/// How many refusals one answer tells.
const TOLD_MAX: usize = 2_000;
/// What lies at the addresses that are told, in words.
const DOCUMENT: &str = "a feed's document";
/// How often a processing report is tried to be read.
const REPORT_TRIES: u32 = 5;

/// What is known of feeds beyond what the state knows.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    /// Why Amazon does not take them, if so.
    refused: Mutex<Option<String>>,
    /// One was taken, or looked at, since the start.
    heard: AtomicBool,
    /// How often the report of the latest one could not be read.
    unread: Mutex<(String, u32)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    feed_document_id: String,
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    feed_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feed {
    feed_id: String,
    feed_type: String,
    created_time: jiff::Timestamp,
    processing_status: String,
    result_feed_document_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    feeds: Vec<Feed>,
}

/// What a feed's processing report tells, as far as it is used.
#[derive(Debug, Deserialize)]
struct Report {
    issues: Option<Vec<Issue>>,
    summary: Option<Summary>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issue {
    message_id: Option<u64>,
    sku: Option<String>,
    code: Option<String>,
    severity: String,
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    messages_processed: Option<u64>,
    messages_accepted: Option<u64>,
    messages_invalid: Option<u64>,
}

/// Reads the answer to an operation about feeds.
#[cfg(test)]
pub(super) fn readable(operation: &str, body: &[u8]) -> Result<(), String> {
    match operation {
        "createFeedDocument" => http::json::<Created>(body).map(drop),
        "createFeed" => http::json::<Taken>(body).map(drop),
        "getFeed" => http::json::<Feed>(body).map(drop),
        "getFeeds" => http::json::<Listed>(body).map(drop),
        "getFeedDocument" => http::json::<documents::Told>(body).map(drop),
        "cancelFeed" => Ok(()),
        other => Err(format!("`{other}` is not about feeds")),
    }
}

impl Feeds {
    /// Returns why Amazon does not take feeds, if so.
    pub(super) fn wrong(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whether nothing is known of them since the start, so that what was told before stands.
    pub(super) fn is_unsure(&self) -> bool {
        !self.heard.load(Ordering::Relaxed)
    }

    fn note(&self, refused: Option<String>) {
        self.heard.store(true, Ordering::Relaxed);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// Counts that a report could not be read. Tells whether it is worth another try.
    fn again(&self, feed: &str) -> bool {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if unread.0 != feed {
            *unread = (feed.to_owned(), 0);
        }
        unread.1 += 1;
        unread.1 < REPORT_TRIES
    }
}

/// Why no feed came to be. Nothing of it can land.
struct NotBegun {
    why: String,
    again_ms: i64,
    /// Amazon does not let us.
    refused: bool,
}

impl From<Fault> for NotBegun {
    fn from(fault: Fault) -> NotBegun {
        let refused = matches!(fault, Fault::Unauthorized(_) | Fault::Refused(_));
        let again_ms = match &fault {
            Fault::Throttled { retry_after } => i64::try_from(retry_after.as_millis()).unwrap_or(i64::MAX),
            Fault::Unauthorized(_) | Fault::Refused(_) => REFUSED_MS,
            Fault::Timeout(_)
            | Fault::Disconnected(_)
            | Fault::Server { .. }
            | Fault::Malformed(_)
            | Fault::NotOffered(_) => FAILED_MS,
        };
        NotBegun { why: fault.to_string(), again_ms, refused }
    }
}

/// What came of asking for a feed.
enum Asked {
    Taken(String),
    /// It may have been taken.
    Unsure(String),
    Not(NotBegun),
}

#[async_trait]
impl Bulks for Amazon {
    fn most(&self) -> usize {
        MESSAGES_MAX
    }

    async fn begin(&self, puts: &[Put]) -> Begun {
        let mut outcomes = vec![throttled(Duration::ZERO); puts.len()];
        let within = self.within_reach(puts);
        let ready = self.pass(&puts[..within]).await;
        let mut body = encode::Feed::new(&self.options.seller_id);
        let mut sent = Vec::new();
        for (n, (put, ready)) in puts.iter().zip(&ready).enumerate() {
            match ready {
                Ok(ready) => {
                    let number = u32::try_from(n + 1).unwrap_or(u32::MAX);
                    let message = Message { number, sku: ready.sku, quantity: put.quantity };
                    if body.add(&message, &self.options.product_type, BYTES_MAX) {
                        sent.push(n);
                    }
                }
                Err(outcome) => outcomes[n] = outcome.clone(),
            }
        }
        if sent.is_empty() {
            let told = Told::Ended { how: How::NotBegun, why: None, again_ms: FAILED_MS };
            return Begun { told, outcomes };
        }
        let (told, outcome) = match self.send_feed(body.end()).await {
            Asked::Taken(id) => {
                info!(feed = id, listings = sent.len(), "Amazon took a feed");
                self.feeds.note(None);
                (Told::Taken { id: id.clone() }, Outcome::Accepted { submission: Some(id) })
            }
            Asked::Unsure(fault) => {
                warn!(fault, "whether Amazon took a feed is not known");
                (Told::Unsure, Outcome::Unknown { fault })
            }
            Asked::Not(NotBegun { why, again_ms, refused }) => {
                warn!(why, "Amazon took no feed: its quantities are written one by one");
                if refused {
                    self.feeds.note(Some(format!(
                        "Amazon takes no feeds: {why}; quantities are written one by one. Feeds need the role `Product \
                         Listing`: grant it, authorise the app again, replace `refresh_token`; or take `feed_above` out"
                    )));
                }
                let told = Told::Ended { how: How::NotBegun, why: Some(why), again_ms };
                (told, throttled(Duration::ZERO))
            }
        };
        for n in sent {
            outcomes[n] = outcome.clone();
        }
        Begun { told, outcomes }
    }

    async fn ask(&self, bulk: &Bulk) -> Result<Vec<Told>, Fault> {
        let Some(id) = &bulk.id else { return self.find(bulk).await };
        let request = encode::feed(id).map_err(|e| Fault::Malformed(e.to_string()))?;
        let told = self.caller.send(&request).await?;
        if told.answer.status == 404 {
            let why = "Amazon does not know of it any more".to_owned();
            return Ok(vec![ended(How::Lost, Some(why))]);
        }
        if !told.answer.is_success() {
            return Err(told.fault());
        }
        let feed: Feed = http::json(&told.answer.body).map_err(Fault::Malformed)?;
        match feed.processing_status.as_str() {
            "IN_QUEUE" if bulk.is_to_be_cancelled(self.clock.now()) => self.cancel(id).await,
            "IN_QUEUE" => Ok(vec![Told::At(Stage::Queued)]),
            "IN_PROGRESS" => Ok(vec![Told::At(Stage::Working)]),
            "CANCELLED" => Ok(vec![ended(How::Cancelled, None)]),
            "DONE" => self.done(id, feed.result_feed_document_id.as_deref(), How::Done).await,
            "FATAL" => self.done(id, feed.result_feed_document_id.as_deref(), How::Failed).await,
            other => {
                let status = http::excerpt(other.as_bytes());
                Err(Fault::Malformed(format!("feed `{id}` has the status `{status}`, which is not known")))
            }
        }
    }
}

fn ended(how: How, why: Option<String>) -> Told {
    Told::Ended { how, why, again_ms: APART_MS }
}

impl Amazon {
    /// Returns how many of the puts are looked at: no more than a few of which it is not known who fulfils them.
    fn within_reach(&self, puts: &[Put]) -> usize {
        let unknown =
            |put: &Put| put.ids.get(IdKind::Sku).is_some_and(|sku| self.guard.allowed(sku).is_none());
        let mut left = READ_MAX;
        let within = puts.iter().take(MESSAGES_MAX).take_while(|put| {
            let reads = usize::from(unknown(put));
            let fits = reads <= left;
            left = left.saturating_sub(reads);
            fits
        });
        within.count()
    }

    /// Uploads a document and has it worked off. Only the last step makes anything of it.
    async fn send_feed(&self, body: Bytes) -> Asked {
        let document = match self.upload(body).await {
            Ok(document) => document,
            Err(fault) => return Asked::Not(fault.into()),
        };
        let request = encode::create_feed(&document, &self.options.marketplace_ids);
        let told = match self.caller.send(&request).await {
            Ok(told) => told,
            Err(failed) => {
                return match failed.clone().outcome() {
                    Outcome::Unknown { fault } => Asked::Unsure(fault),
                    Outcome::Applied
                    | Outcome::Accepted { .. }
                    | Outcome::Stale
                    | Outcome::Rejected { .. }
                    | Outcome::Throttled { .. }
                    | Outcome::Unauthorized { .. }
                    | Outcome::NotSent { .. } => Asked::Not(Fault::from(failed).into()),
                };
            }
        };
        match told.answer.status {
            200..=299 => match http::json::<Taken>(&told.answer.body) {
                Ok(taken) => Asked::Taken(taken.feed_id),
                Err(why) => Asked::Unsure(format!("answer not understood: {why}")),
            },
            400..=499 => Asked::Not(told.fault().into()),
            _ => Asked::Unsure(told.fault().to_string()),
        }
    }

    async fn upload(&self, body: Bytes) -> Result<String, Fault> {
        let answer = self.caller.read(&encode::create_feed_document()).await?;
        let created: Created = http::json(&answer.body).map_err(Fault::Malformed)?;
        let url = documents::address(&self.caller, &created.url, DOCUMENT)?;
        let request = self.caller.http().request(Method::PUT, url);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static(encode::FEED_CONTENT)).body(body);
        documents::send(&self.caller, request).await?;
        Ok(created.feed_document_id)
    }

    /// Looks for a feed that may be the one of which no answer came: the latest that was made from then on.
    async fn find(&self, bulk: &Bulk) -> Result<Vec<Told>, Fault> {
        let since = bulk.at.plus_millis(-SKEW_MS);
        let answer = self.caller.read(&encode::feeds(since, 100)).await?;
        let listed: Listed = http::json(&answer.body).map_err(Fault::Malformed)?;
        let made = |feed: &Feed| Timestamp::from_millis(feed.created_time.as_millisecond());
        let feeds = listed.feeds.into_iter().filter(|feed| feed.feed_type == FEED && made(feed) >= since);
        match feeds.max_by_key(made) {
            Some(feed) => {
                warn!(feed = feed.feed_id, "a feed without an answer was found in Amazon's list");
                Ok(vec![Told::Found { id: feed.feed_id }])
            }
            None if self.clock.now().since(bulk.at) >= LISTED_MS => {
                Ok(vec![ended(How::Lost, Some("Amazon lists no such feed".to_owned()))])
            }
            None => Ok(vec![Told::At(Stage::Unsure)]),
        }
    }

    /// Takes a feed back that Amazon does not begin with.
    async fn cancel(&self, id: &str) -> Result<Vec<Told>, Fault> {
        let request = encode::cancel_feed(id).map_err(|e| Fault::Malformed(e.to_string()))?;
        let told = self.caller.send(&request).await?;
        match told.answer.status {
            200..=299 => {
                warn!(feed = id, "a feed was taken back: Amazon did not begin with it");
                // How it ended shows at the next look.
                Ok(vec![Told::At(Stage::Queued)])
            }
            // It has been begun with meanwhile.
            400..=499 if told.answer.status != 429 => Ok(vec![Told::At(Stage::Working)]),
            _ => Err(told.fault()),
        }
    }

    /// Reads what became of the messages.
    async fn done(&self, id: &str, document: Option<&str>, how: How) -> Result<Vec<Told>, Fault> {
        let Some(document) = document else {
            let why = "it has no processing report: nobody can tell what was refused".to_owned();
            return Ok(vec![ended(how, Some(why))]);
        };
        let report = match self.report(document).await {
            Ok(report) => report,
            Err(fault) if passing(&fault) || self.feeds.again(id) => return Err(fault),
            Err(fault) => {
                warn!(feed = id, %fault, "the processing report of a feed cannot be read");
                return Ok(vec![ended(how, Some(format!("its processing report cannot be read: {fault}")))]);
            }
        };
        if let Some(Summary { messages_processed, messages_accepted, messages_invalid }) = &report.summary {
            info!(feed = id, ?messages_processed, ?messages_accepted, ?messages_invalid, "a feed has ended");
        }
        let (refused, of_all) = report.errors();
        for told in refused.iter().take(20) {
            warn!(feed = id, message = told.number, sku = told.sku, reason = told.reason, "refused");
        }
        let parts = refused.chunks(TOLD_MAX).map(|part| Told::Refused(part.to_vec()));
        Ok(parts.chain([ended(how, of_all)]).collect())
    }

    async fn report(&self, document: &str) -> Result<Report, Fault> {
        let (url, packing) = documents::ask(&self.caller, encode::feed_document(document), DOCUMENT).await?;
        let request = self.caller.http().request(Method::GET, url);
        let answer = documents::send(&self.caller, request).await?;
        let body = match packing.as_deref() {
            None => answer.body.to_vec(),
            Some("GZIP") => unpacked(&answer.body)?,
            Some(other) => {
                let packing = other.escape_debug();
                return Err(Fault::Malformed(format!("a processing report is packed with `{packing}`")));
            }
        };
        http::json(&body).map_err(Fault::Malformed)
    }

    /// Asks whether feeds are let in. Reads only.
    pub(super) async fn feeds_are_let_in(&self) -> Result<(), Fault> {
        let since = self.clock.now().plus_millis(-APART_MS);
        self.caller.read(&encode::feeds(since, 1)).await.map(drop)
    }
}

/// Unpacks a report, up to a size that is believed in.
fn unpacked(body: &[u8]) -> Result<Vec<u8>, Fault> {
    let malformed = |why: String| Fault::Malformed(format!("a processing report cannot be unpacked: {why}"));
    let mut out = Vec::new();
    let mut gzip = MultiGzDecoder::new(body).take(REPORT_MAX + 1);
    gzip.read_to_end(&mut out).map_err(|e| malformed(e.to_string()))?;
    if out.len() as u64 > REPORT_MAX {
        return Err(malformed(format!("it is larger than {REPORT_MAX} bytes")));
    }
    Ok(out)
}

impl Report {
    /// Returns what was refused, each message once, and what was said of the feed as a whole.
    fn errors(self) -> (Vec<Refused>, Option<String>) {
        let (mut refused, mut whole): (Vec<Refused>, _) = (Vec::new(), None);
        let errors = self.issues.into_iter().flatten().filter(|issue| issue.severity == "ERROR");
        for Issue { message_id, sku, code, message, .. } in errors {
            let message = http::excerpt(message.as_bytes());
            let reason =
                code.map_or(message.clone(), |code| format!("{}: {message}", http::excerpt(code.as_bytes())));
            let number = message_id.and_then(|id| u32::try_from(id.checked_sub(1)?).ok());
            if number.is_none() && sku.is_none() {
                whole.get_or_insert(reason);
                continue;
            }
            let same = |told: &Refused| told.number == number && told.sku == sku;
            match refused.last_mut().filter(|told| same(told)) {
                Some(told) => told.reason = format!("{}; {reason}", told.reason),
                None => refused.push(Refused { number, sku, reason }),
            }
        }
        (refused, whole)
    }
}
