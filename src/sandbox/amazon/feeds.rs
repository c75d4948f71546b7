//! Feeds 2021-06-30: a document of many messages, uploaded to an address that is good for five minutes, taken into a queue,
//! and worked off some time later. What a message changes is live some time after that, as with a patch.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::sandbox::clock::iso_millis;
use crate::sandbox::faults::{Poison, System};
use crate::sandbox::options::AmazonOptions;
use crate::sandbox::world::{Event, World, signed};

use super::documents::{self, Addresses};
use super::listings::{self, Change};
use super::store::Store;
use super::{Failure, Params};

const FEED: &str = "JSON_LISTINGS_FEED";
const MESSAGES_MAX: usize = 25_000;
/// How long a feed that is stuck stays so before it is looked at again.
const STUCK_MS: i64 = 100;

/// A document: of a feed, or of what became of one.
#[derive(Default)]
pub(super) struct Document {
    kind: String,
    content: Option<Bytes>,
    gzip: bool,
    addresses: Addresses,
}

/// One feed.
pub(super) struct Feed {
    created_ms: i64,
    stage: Stage,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    document: usize,
    result: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Working,
    Done,
    Fatal,
    Cancelled,
}

impl Feed {
    fn status(&self) -> &'static str {
        match self.stage {
            Stage::Queued => "IN_QUEUE",
            Stage::Working => "IN_PROGRESS",
            Stage::Done => "DONE",
            Stage::Fatal => "FATAL",
            Stage::Cancelled => "CANCELLED",
        }
    }

    fn told(&self, number: usize, marketplace: &str) -> Value {
        let mut told = json!({
            "feedId": feed_id(number),
            "feedType": FEED,
            "marketplaceIds": [marketplace],
            "createdTime": iso_millis(self.created_ms),
            "processingStatus": self.status(),
        });
        if let Some(at) = self.started_ms {
            told["processingStartTime"] = json!(iso_millis(at));
        }
        if let Some(at) = self.ended_ms {
            told["processingEndTime"] = json!(iso_millis(at));
        }
        if let Some(document) = self.result {
            told["resultFeedDocumentId"] = json!(document_id(document));
        }
        told
    }
}

fn feed_id(number: usize) -> String {
    format!("{}", 70_000 + number)
}

fn document_id(number: usize) -> String {
    format!("amzn1.tortuga.4.na.{number:08}")
}

fn document_of(text: &str, store: &Store) -> Result<usize, Failure> {
    let found = (0..store.feed_documents.len()).find(|number| document_id(*number) == text);
    found.ok_or_else(|| Failure::not_found("the requested document was not found"))
}

fn feed_of(text: &str, store: &Store) -> Result<usize, Failure> {
    let found = (0..store.feeds.len()).find(|number| feed_id(*number) == text);
    found.ok_or_else(|| Failure::not_found("the requested feed was not found"))
}

fn body_of(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure::invalid("the request body is not JSON"))
}

/// `createFeedDocument`.
pub(super) fn create_document(
    world: &mut World,
    body: &[u8],
    host: &str,
    now_ms: i64,
) -> Result<Value, Failure> {
    let request = body_of(body)?;
    let Some(kind) = request["contentType"].as_str().filter(|kind| !kind.is_empty()) else {
        return Err(Failure::invalid("contentType is required"));
    };
    let number = world.amazon.feed_documents.len();
    world.amazon.feed_documents.push(Document { kind: kind.to_owned(), ..Document::default() });
    let url = address(world, number, host, now_ms);
    Ok(json!({"feedDocumentId": document_id(number), "url": url}))
}

fn address(world: &mut World, number: usize, host: &str, now_ms: i64) -> String {
    let signature = world.dice.uuid();
    let addresses = &mut world.amazon.feed_documents[number].addresses;
    addresses.add(host, &format!("feed-documents/{number}"), signature, now_ms)
}

/// Takes a document in, or serves it, for whoever has a good address.
pub(super) fn store_or_serve(
    store: &mut Store,
    number: usize,
    query: &str,
    headers: &HeaderMap,
    upload: Option<Bytes>,
    now_ms: i64,
) -> Response {
    let document = store.feed_documents.get_mut(number);
    let document = match documents::let_in(document, |document| &document.addresses, query, headers, now_ms) {
        Ok(document) => document,
        Err(refused) => return refused.into_response(),
    };
    let Some(bytes) = upload else {
        let content = document.content.clone().unwrap_or_default();
        let content = if document.gzip { documents::zipped(&content) } else { content };
        return ([(header::CONTENT_TYPE, document.kind.clone())], Body::from(content)).into_response();
    };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind != Some(document.kind.as_str()) {
        return (StatusCode::FORBIDDEN, "SignatureDoesNotMatch").into_response();
    }
    document.content = Some(bytes);
    StatusCode::OK.into_response()
}

/// `createFeed`.
pub(super) fn create(
    world: &mut World,
    options: &AmazonOptions,
    body: &[u8],
    now_ms: i64,
) -> Result<Value, Failure> {
    let request = body_of(body)?;
    if request["feedType"] != FEED {
        return Err(Failure::invalid("Invalid Feed Type"));
    }
    let marketplaces = request["marketplaceIds"].as_array().map_or(&[][..], Vec::as_slice);
    if marketplaces.is_empty() || marketplaces.iter().any(|id| *id != world.amazon.marketplace.as_str()) {
        return Err(Failure::invalid("marketplaceIds must name marketplaces of the seller"));
    }
    let document = document_of(request["inputFeedDocumentId"].as_str().unwrap_or_default(), &world.amazon)?;
    if world.amazon.feed_documents[document].content.is_none() {
        return Err(Failure::invalid("the feed document was not uploaded"));
    }
    let takes_ms = signed(world.dice.within(options.feed_ms));
    let number = world.amazon.feeds.len();
    world.amazon.feeds.push(Feed {
        created_ms: now_ms,
        stage: Stage::Queued,
        started_ms: None,
        ended_ms: None,
        document,
        result: None,
    });
    world
        .agenda
        .plan(now_ms + takes_ms / 2, Event::AmazonWorks { feed: number, rest_ms: takes_ms - takes_ms / 2 });
    Ok(json!({"feedId": feed_id(number)}))
}

/// `getFeeds`.
pub(super) fn list(store: &Store, params: &Params) -> Result<Value, Failure> {
    let types = params.csv("feedTypes");
    if types.is_empty() && params.get("nextToken").is_none() {
        return Err(Failure::invalid("feedTypes or nextToken is required"));
    }
    let since = match params.get("createdSince") {
        None => i64::MIN,
        Some(text) => text
            .parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|_| Failure::invalid("createdSince is not a time"))?,
    };
    let size = match params.get("pageSize").map(str::parse::<usize>) {
        None => 10,
        Some(Ok(size)) if (1..=100).contains(&size) => size,
        Some(_) => return Err(Failure::invalid("pageSize must be between 1 and 100")),
    };
    let statuses = params.csv("processingStatuses");
    let wanted = |feed: &Feed| {
        let status = statuses.is_empty() || statuses.iter().any(|status| status == feed.status());
        status && feed.created_ms >= since && types.iter().any(|of| of == FEED)
    };
    let found = store.feeds.iter().enumerate().rev().filter(|(_, feed)| wanted(feed));
    let told = found.take(size).map(|(number, feed)| feed.told(number, &store.marketplace));
    Ok(json!({"feeds": told.collect::<Vec<_>>()}))
}

/// `getFeed`.
pub(super) fn get(store: &Store, id: &str) -> Result<Value, Failure> {
    let number = feed_of(id, store)?;
    Ok(store.feeds[number].told(number, &store.marketplace))
}

/// `cancelFeed`: only one that is still in the queue.
pub(super) fn cancel(store: &mut Store, id: &str, now_ms: i64) -> Result<Value, Failure> {
    let number = feed_of(id, store)?;
    let feed = &mut store.feeds[number];
    if feed.stage != Stage::Queued {
        return Err(Failure::invalid("only a feed in the queue can be cancelled"));
    }
    (feed.stage, feed.ended_ms) = (Stage::Cancelled, Some(now_ms));
    Ok(json!({}))
}

/// `getFeedDocument`.
pub(super) fn document(world: &mut World, id: &str, host: &str, now_ms: i64) -> Result<Value, Failure> {
    let number = document_of(id, &world.amazon)?;
    let url = address(world, number, host, now_ms);
    let mut told = json!({"feedDocumentId": id, "url": url});
    if world.amazon.feed_documents[number].gzip {
        told["compressionAlgorithm"] = json!("GZIP");
    }
    Ok(told)
}

/// A feed's time has come: it is begun with, or is done.
pub(in crate::sandbox) fn work(world: &mut World, feed: usize, rest_ms: i64, now_ms: i64) {
    let stuck = world.faults.feeds.stuck;
    let Some(held) = world.amazon.feeds.get_mut(feed) else { return };
    match held.stage {
        Stage::Queued if world.dice.chance(stuck) => {
            world.agenda.plan(now_ms + STUCK_MS, Event::AmazonWorks { feed, rest_ms });
        }
        Stage::Queued => {
            (held.stage, held.started_ms) = (Stage::Working, Some(now_ms));
            world.agenda.plan(now_ms + rest_ms, Event::AmazonWorks { feed, rest_ms });
        }
        Stage::Working => finish(world, feed, now_ms),
        Stage::Done | Stage::Fatal | Stage::Cancelled => {}
    }
}

fn finish(world: &mut World, number: usize, now_ms: i64) {
    let dials = world.faults.feeds;
    let content = world.amazon.feed_documents[world.amazon.feeds[number].document].content.clone();
    let request: Value = serde_json::from_slice(&content.unwrap_or_default()).unwrap_or_default();
    let header = &request["header"];
    let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let sound = header["sellerId"] == world.amazon.seller.as_str()
        && header["version"] == "2.0"
        && (1..=MESSAGES_MAX).contains(&messages.len());
    let (mut issues, mut invalid) = (Vec::new(), 0);
    if !sound {
        issues.push(json!({"code": "4002005", "severity": "ERROR", "message": "The header or the size of the feed is not valid."}));
    }
    let fatal = !sound || world.dice.chance(dials.fatal);
    // What is given up was done in part.
    let reached = if !sound {
        0
    } else if fatal {
        messages.len() / 2
    } else {
        messages.len()
    };
    for message in &messages[..reached] {
        let refused = world.dice.chance(dials.refused) || is_poisoned(world, message);
        let found = if refused {
            vec![listings::issue("90220", "'item_name' is required but not supplied.", &["item_name"])]
        } else {
            take(world, message, dials.ignored, now_ms)
        };
        invalid += usize::from(!found.is_empty());
        issues.extend(found.into_iter().map(|issue| {
            json!({
                "messageId": message["messageId"],
                "sku": message["sku"],
                "code": issue["code"],
                "severity": issue["severity"],
                "message": issue["message"],
            })
        }));
    }
    let report = json!({
        "header": {"sellerId": world.amazon.seller, "version": "2.0", "feedId": feed_id(number)},
        "issues": issues,
        "summary": {
            "errors": issues.len(),
            "warnings": 0,
            "messagesProcessed": reached,
            "messagesAccepted": reached - invalid,
            "messagesInvalid": invalid,
        },
    });
    let kind = "application/json; charset=UTF-8".to_owned();
    let content = Some(Bytes::from(report.to_string()));
    let store = &mut world.amazon;
    store.feed_documents.push(Document { kind, content, gzip: true, addresses: Addresses::default() });
    let feed = &mut store.feeds[number];
    feed.result = Some(store.feed_documents.len() - 1);
    (feed.stage, feed.ended_ms) = (if fatal { Stage::Fatal } else { Stage::Done }, Some(now_ms));
}

/// Tells whether a message holds a SKU that Amazon is told to refuse.
fn is_poisoned(world: &World, message: &Value) -> bool {
    let listing = message["sku"].as_str().and_then(|sku| world.amazon.by_seller_sku.get(sku));
    let Some(own) = listing.map(|listing| world.amazon.listings[*listing].sku) else { return false };
    let refuses =
        |(kind, sku): (Poison, &str)| kind == Poison::Refused && world.catalogue.find(sku) == Some(own);
    world.faults.poisons(System::Amazon).any(refuses)
}

/// Takes one message. Returns what is wrong with it.
fn take(world: &mut World, message: &Value, ignored: f64, now_ms: i64) -> Vec<Value> {
    let wrong = |what: &str| vec![listings::issue("4000001", what, &[])];
    let (Some(sku), Some(_)) = (message["sku"].as_str(), message["messageId"].as_u64()) else {
        return wrong("messageId and sku are required");
    };
    if message["productType"].as_str().is_none_or(str::is_empty) {
        return wrong("productType is required");
    }
    let attributes = || message["attributes"].as_object().cloned().unwrap_or_default();
    let change = match message["operationType"].as_str() {
        Some("PATCH") => Change::Patches(message["patches"].as_array().cloned().unwrap_or_default()),
        Some("PARTIAL_UPDATE") => Change::Some(attributes()),
        Some("UPDATE") => Change::All(attributes()),
        Some(_) | None => return wrong("operationType is not one that is taken"),
    };
    let Some(listing) = world.amazon.by_seller_sku.get(sku).copied() else {
        return vec![listings::issue("13013", "This SKU is not in the Amazon catalog.", &[])];
    };
    let (attributes, quantities): (Map<String, Value>, _) =
        match listings::changed(&world.amazon, listing, &change) {
            Ok(changed) => changed,
            Err(issues) => return issues,
        };
    // Amazon says that it is done, and nothing comes of it.
    if !world.dice.chance(ignored) {
        let options = world.options.amazon.clone();
        listings::submit(world, &options, listing, attributes, quantities, now_ms);
    }
    Vec::new()
}
