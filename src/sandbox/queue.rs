//! A simulated queue service (SQS) with one standard queue: at least once, in no promised order. What is received is hidden for a
//! while, and comes again unless it is deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::dice::Dice;
use super::faults::{Asked, System};
use super::options::{QueueOptions, Span};
use super::serve::{BODY_MAX, Manners};
use super::world::{Shared, World, signed};

pub(super) const MANNERS: Manners = Manners { system: System::Queue, refused, throttled, unfit, asked };

/// Where the queue lies in the service's address.
pub(super) const PATH: &str = "/000000000000/evenkeel";
/// The region that it is in.
pub(super) const REGION: &str = "us-east-1";
/// The account that Amazon's notifications come from.
const SENDER: &str = "437568002678";
/// How much later a notification struck by the `reordered` fault comes.
const REORDERED: Span = Span::new(200, 2_000);
/// How long a message that was received is hidden where nothing else is asked for.
const HIDDEN_SECS: i64 = 30;
const WAIT_SECS_MAX: u64 = 20;
const BATCH: usize = 10;

/// The name that others know the queue by.
pub(super) fn arn() -> String {
    format!("arn:aws:sqs:{REGION}{}", PATH.replace('/', ":"))
}

/// What the queue holds.
pub(super) struct Store {
    messages: BTreeMap<u64, Message>,
    sent: u64,
    deleted: u64,
    max: usize,
    hidden_scale: f64,
    delay_ms: Span,
    dice: Dice,
}

struct Message {
    id: String,
    body: String,
    visible_ms: i64,
    received: u32,
}

impl Store {
    pub(super) fn new(options: &QueueOptions, seed: u64) -> Store {
        Store {
            messages: BTreeMap::new(),
            sent: 0,
            deleted: 0,
            max: options.messages_max,
            hidden_scale: options.hidden_scale,
            delay_ms: options.delay_ms,
            dice: Dice::new(seed, 6),
        }
    }

    /// Takes a notification, with the faults that strike those on their way.
    pub(super) fn publish(&mut self, body: &str, faults: super::faults::WebhookDials, now_ms: i64) {
        if self.dice.chance(faults.dropped) {
            return;
        }
        let copies = if self.dice.chance(faults.duplicated) { 2 } else { 1 };
        for _ in 0..copies {
            let mut delay = self.dice.within(self.delay_ms);
            if self.dice.chance(faults.reordered) {
                delay += self.dice.within(REORDERED);
            }
            self.send(body.to_owned(), now_ms + signed(delay));
        }
    }

    /// Takes a message, which shows at `visible_ms`. Returns its id.
    pub(super) fn send(&mut self, body: String, visible_ms: i64) -> String {
        self.sent += 1;
        let id = self.dice.uuid();
        self.messages.insert(self.sent, Message { id: id.clone(), body, visible_ms, received: 0 });
        // What nobody reads does not stay for ever.
        while self.messages.len() > self.max {
            self.messages.pop_first();
        }
        id
    }

    /// Gives out up to `max` messages that show, and hides them.
    fn receive(&mut self, max: usize, hidden_secs: i64, now_ms: i64) -> Vec<Value> {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a day at most, scaled")]
        let hidden_ms = (hidden_secs.clamp(0, 43_200) as f64 * 1000.0 * self.hidden_scale) as i64;
        let showing = self.messages.iter_mut().filter(|(_, message)| message.visible_ms <= now_ms);
        let give = |(nth, message): (&u64, &mut Message)| {
            message.visible_ms = now_ms + hidden_ms;
            message.received += 1;
            json!({
                "MessageId": message.id,
                "ReceiptHandle": format!("{nth}-{}", message.received),
                "MD5OfBody": digest(&message.body),
                "Body": message.body,
                "Attributes": {"ApproximateReceiveCount": message.received.to_string()},
            })
        };
        showing.take(max).map(give).collect()
    }

    /// When the next message shows.
    fn next_ms(&self) -> Option<i64> {
        self.messages.values().map(|message| message.visible_ms).min()
    }

    /// Deletes by a receipt. One of an earlier delivery deletes as well.
    fn delete(&mut self, receipt: &str) -> bool {
        let Some(nth) = number(receipt) else { return false };
        self.deleted += u64::from(self.messages.remove(&nth).is_some());
        true
    }

    /// The bodies of what is not deleted, oldest first, for the control API.
    pub(super) fn bodies(&self) -> Vec<&str> {
        self.messages.values().map(|message| message.body.as_str()).collect()
    }

    /// For the control API.
    pub(super) fn report(&self, now_ms: i64) -> Value {
        let hidden = self.messages.values().filter(|message| message.visible_ms > now_ms).count();
        json!({
            "waiting": self.messages.len() - hidden,
            "hidden": hidden,
            "sent": self.sent,
            "deleted": self.deleted,
        })
    }
}

fn number(receipt: &str) -> Option<u64> {
    receipt.split_once('-')?.0.parse().ok()
}

fn digest(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new().route("/", post(call)).layer(DefaultBodyLimit::max(BODY_MAX)).with_state(shared)
}

/// A call that did not succeed.
struct Failure {
    status: StatusCode,
    /// In the JSON protocol, and in the older one.
    code: [&'static str; 2],
    message: String,
}

impl Failure {
    fn new(code: [&'static str; 2], message: &str) -> Failure {
        Failure { status: StatusCode::BAD_REQUEST, code, message: message.to_owned() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let [json, query] = self.code;
        let body = json!({"__type": format!("com.amazonaws.sqs#{json}"), "message": self.message});
        let fault = if self.status.is_server_error() { "Receiver" } else { "Sender" };
        let headers = [
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("x-amzn-query-error", format!("{query};{fault}")),
        ];
        (self.status, headers, body.to_string()).into_response()
    }
}

async fn call(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let answered = answer(&shared, &headers, &body).await;
    let headers = [
        ("content-type", "application/x-amz-json-1.0".to_owned()),
        ("x-amzn-requestid", shared.with(|world, _| world.dice.uuid())),
    ];
    match answered {
        Ok(told) => (headers, told.to_string()).into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn answer(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Value, Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let target = text("x-amz-target").to_owned();
    let Some(action) = target.strip_prefix("AmazonSQS.") else {
        return Err(Failure::new(["UnknownOperationException", "InvalidAction"], "the JSON protocol only"));
    };
    let options = &shared.options.queue;
    let signed = format!("AWS4-HMAC-SHA256 Credential={}/", options.access_key_id);
    if !text("authorization").starts_with(&signed) {
        let code = ["UnrecognizedClientException", "InvalidClientTokenId"];
        let told = "The security token included in the request is invalid.";
        return Err(Failure { status: StatusCode::FORBIDDEN, ..Failure::new(code, told) });
    }
    let asked: Value = serde_json::from_slice(body)
        .map_err(|_| Failure::new(["SerializationException", "MalformedInput"], "the body is not JSON"))?;
    if !asked["QueueUrl"].as_str().is_some_and(|url| url.ends_with(PATH)) {
        let code = ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];
        return Err(Failure::new(code, "The specified queue does not exist."));
    }
    if action == "ReceiveMessage" {
        return Ok(receive(shared, &asked).await);
    }
    shared.with(|world, now_ms| serve(&mut world.queue, action, &asked, now_ms))
}

/// Waits for messages as long as it was asked to.
async fn receive(shared: &Shared, asked: &Value) -> Value {
    let wait = asked["WaitTimeSeconds"].as_u64().unwrap_or(0).min(WAIT_SECS_MAX);
    let until = Instant::now() + Duration::from_secs(wait);
    let max = asked["MaxNumberOfMessages"].as_u64().map_or(1, |max| max.clamp(1, BATCH as u64) as usize);
    let hidden = asked["VisibilityTimeout"].as_i64().unwrap_or(HIDDEN_SECS);
    loop {
        let changed = shared.queued.notified();
        let (messages, next_ms) =
            shared.with(|world, now_ms| (world.queue.receive(max, hidden, now_ms), world.queue.next_ms()));
        if !messages.is_empty() {
            return json!({"Messages": messages});
        }
        let due = next_ms.map_or(until, |ms| shared.clock.instant(ms).min(until));
        tokio::select! {
            () = sleep_until(due) => {}
            () = changed => {}
            () = shared.shutdown.cancelled() => return json!({}),
        }
        if Instant::now() >= until {
            return json!({});
        }
    }
}

fn serve(queue: &mut Store, action: &str, asked: &Value, now_ms: i64) -> Result<Value, Failure> {
    let bad_receipt =
        || Failure::new(["ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"], "no such receipt");
    match action {
        "SendMessage" => {
            let body = asked["MessageBody"].as_str().unwrap_or_default().to_owned();
            let md5 = digest(&body);
            Ok(json!({"MessageId": queue.send(body, now_ms), "MD5OfMessageBody": md5}))
        }
        "DeleteMessage" => {
            let done = queue.delete(asked["ReceiptHandle"].as_str().unwrap_or_default());
            if done { Ok(json!({})) } else { Err(bad_receipt()) }
        }
        "DeleteMessageBatch" => {
            let entries = asked["Entries"].as_array().cloned().unwrap_or_default();
            if !(1..=BATCH).contains(&entries.len()) {
                let code =
                    ["TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"];
                return Err(Failure::new(code, "a batch has 1 to 10 entries"));
            }
            let delete = |entry: &Value| queue.delete(entry["ReceiptHandle"].as_str().unwrap_or_default());
            let (done, failed): (Vec<Value>, Vec<Value>) = entries.into_iter().partition(delete);
            let failed = failed.iter().map(
                |entry| json!({"Id": entry["Id"], "SenderFault": true, "Code": "ReceiptHandleIsInvalid"}),
            );
            let done = done.iter().map(|entry| json!({"Id": entry["Id"]}));
            Ok(json!({"Successful": done.collect::<Vec<_>>(), "Failed": failed.collect::<Vec<_>>()}))
        }
        "ChangeMessageVisibility" => {
            let nth = number(asked["ReceiptHandle"].as_str().unwrap_or_default());
            let message = nth.and_then(|nth| queue.messages.get_mut(&nth)).ok_or_else(bad_receipt)?;
            let secs = asked["VisibilityTimeout"].as_i64().unwrap_or(0).clamp(0, 43_200);
            message.visible_ms = now_ms + secs * 1000;
            Ok(json!({}))
        }
        "GetQueueAttributes" => Ok(json!({"Attributes": attributes(queue, now_ms)})),
        _ => Err(Failure::new(["UnknownOperationException", "InvalidAction"], "not simulated")),
    }
}

fn attributes(queue: &Store, now_ms: i64) -> Value {
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{SENDER}:root")},
        "Action": ["sqs:SendMessage", "sqs:GetQueueAttributes"],
        "Resource": arn(),
    }]});
    let report = queue.report(now_ms);
    json!({
        "QueueArn": arn(),
        "ApproximateNumberOfMessages": report["waiting"].to_string(),
        "ApproximateNumberOfMessagesNotVisible": report["hidden"].to_string(),
        "VisibilityTimeout": HIDDEN_SECS.to_string(),
        "MessageRetentionPeriod": "345600",
        "Policy": policy.to_string(),
    })
}

fn refused() -> Response {
    let failure = Failure::new(["InternalError", "InternalError"], "We encountered an internal error.");
    Failure { status: StatusCode::INTERNAL_SERVER_ERROR, ..failure }.into_response()
}

fn throttled() -> Response {
    Failure::new(["RequestThrottled", "RequestThrottled"], "Rate exceeded").into_response()
}

fn unfit() -> Response {
    Failure::new(["InvalidParameterValue", "InvalidParameterValue"], "it is not valid").into_response()
}

/// No message of the queue is named by a request.
fn asked(_: &World, _: usize, _: &Parts, _: &[u8]) -> Asked {
    Asked { writes: false, named: false }
}
