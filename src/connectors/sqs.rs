//! Amazon's Simple Queue Service, as far as a reader of notifications needs it.
//!
//! Signing, credentials and their renewal are the AWS SDK's. Repeats are not: who asks decides when to ask again.

use std::{
    error::Error,
    mem::discriminant,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::error::CredentialsError};
use aws_sdk_sqs::{
    Client,
    config::StalledStreamProtectionConfig,
    error::{ProvideErrorMetadata, SdkError},
    types::{BatchResultErrorEntry, DeleteMessageBatchRequestEntry, QueueAttributeName},
};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Notify, OnceCell};
use url::Url;

use super::{
    Checked, Fault, http,
    queue::{BATCH, Message, Queue},
};
use crate::telemetry::causes;

/// How long the service holds a request open where no message is there.
const WAIT_SECS: i32 = 20;
/// After how many failures in a row that may pass a person is told.
const TOLD_AFTER: u32 = 10;
/// How long a message that was received is hidden, unless told otherwise: taking it in takes a moment.
pub const HIDDEN: Duration = Duration::from_secs(60);

/// Where a queue is, and as whom it is asked.
#[derive(Debug, Clone)]
pub struct Options {
    pub url: Url,
    pub region: String,
    /// `None`: what the environment, the AWS configuration files or the machine's role give.
    pub key: Option<AccessKey>,
    /// How long a message that was received and not deleted is kept from coming again.
    pub hidden: Duration,
    pub http: http::Options,
}

#[derive(Debug, Clone)]
pub struct AccessKey {
    pub id: String,
    pub secret: SecretString,
}

/// One queue.
#[derive(Debug)]
pub struct Sqs {
    options: Options,
    client: OnceCell<Client>,
    /// How receiving and deleting go.
    health: Mutex<[Health; 2]>,
    /// Rung when what [`Sqs::wrong`] says is another thing.
    changed: Notify,
}

/// How one kind of call goes.
#[derive(Debug, Default)]
struct Health {
    /// Failures in a row.
    failures: u32,
    /// What is told, as it was first said.
    wrong: Option<Failure>,
}

/// Why a call failed.
#[derive(Debug, Clone)]
struct Failure {
    fault: Fault,
    /// What the service calls it, if it was the service that failed it.
    code: String,
}

impl Failure {
    /// Tells whether it is the same in other words: those differ from answer to answer, by request ids and times.
    fn is_like(&self, other: &Failure) -> bool {
        self.code == other.code && discriminant(&self.fault) == discriminant(&other.fault)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure { fault, code: String::new() }
    }
}

/// A kind of call.
#[derive(Debug, Clone, Copy)]
enum Call {
    Receive,
    Delete,
}

impl Health {
    /// Notes how a call ended. Returns whether something else is wrong now.
    fn note<T>(&mut self, ended: &Result<T, Failure>) -> bool {
        let Err(failure) = ended else {
            self.failures = 0;
            return self.wrong.take().is_some();
        };
        self.failures = self.failures.saturating_add(1);
        let told = match failure.fault {
            Fault::Unauthorized(_) | Fault::Refused(_) | Fault::Malformed(_) | Fault::NotOffered(_) => true,
            Fault::Timeout(_) | Fault::Disconnected(_) | Fault::Server { .. } | Fault::Throttled { .. } => {
                // It may pass; and what is told already is not told in other words.
                self.failures >= TOLD_AFTER && self.wrong.is_none()
            }
        };
        if !told || self.wrong.as_ref().is_some_and(|held| held.is_like(failure)) {
            return false;
        }
        self.wrong = Some(failure.clone());
        true
    }
}

impl Sqs {
    /// Touches no network and no file.
    pub fn new(options: Options) -> Sqs {
        Sqs { options, client: OnceCell::new(), health: Mutex::default(), changed: Notify::new() }
    }

    /// Says what is wrong with the queue, if a person should know of it.
    pub fn wrong(&self) -> Option<String> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        told(&health)
    }

    /// Resolves when what is wrong is another thing than before.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn note<T>(&self, call: Call, ended: Result<T, Failure>) -> Result<T, Fault> {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health[call as usize].note(&ended) {
            self.changed.notify_one();
        }
        ended.map_err(|failure| failure.fault)
    }

    /// Returns the queue's name among all of AWS, by its address.
    pub fn arn(&self) -> Option<String> {
        let mut parts = self.options.url.path_segments()?;
        let (account, name) = (parts.next()?, parts.next()?);
        Some(format!("arn:aws:sqs:{}:{account}:{name}", self.options.region))
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| self.connect()).await
    }

    async fn connect(&self) -> Client {
        let Options { url, region, key, http, .. } = &self.options;
        // An answer may be as late as the service holds the request.
        let attempt = http.timeout + Duration::from_secs(WAIT_SECS.unsigned_abs().into());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(http.connect_timeout)
            .operation_attempt_timeout(attempt)
            .operation_timeout(attempt * 2)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts);
        if let Some(AccessKey { id, secret }) = key {
            let secret = secret.expose_secret().to_owned();
            loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "configuration"));
        }
        let loaded = loader.load().await;
        let mut config = aws_sdk_sqs::config::Builder::from(&loaded);
        // The queue's address begins with the service's.
        config.set_endpoint_url(Some(url.origin().ascii_serialization()));
        Client::from_conf(config.build())
    }

    fn url(&self) -> &str {
        self.options.url.as_str()
    }

    /// Says what a failed call means. `needs`: the permission that it takes.
    fn failure<E>(&self, error: SdkError<E, Response>, needs: &str) -> Failure
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if no_credentials(&error) {
            let text = format!("there are no credentials for the queue: {}", causes(&error));
            return Fault::Unauthorized(text).into();
        }
        let fault = match &error {
            SdkError::TimeoutError(_) => Fault::Timeout(self.options.http.timeout),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Fault::Timeout(self.options.http.timeout)
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                Fault::Disconnected(causes(&error))
            }
            SdkError::ServiceError(told) => {
                let (code, message) = (told.err().code().unwrap_or("?"), told.err().message().unwrap_or(""));
                let message = http::excerpt(message.as_bytes());
                return self.refused(told.raw().status().as_u16(), code, &message, needs);
            }
            SdkError::ResponseError(_) => Fault::Malformed(causes(&error)),
            _ => Fault::Malformed(causes(&error)),
        };
        fault.into()
    }

    fn refused(&self, status: u16, code: &str, message: &str, needs: &str) -> Failure {
        let told = format!("{code}: {message}");
        let fault = match Refused::of(code) {
            Refused::Permission => {
                Fault::Unauthorized(format!("{told}; allow `{needs}` on {} to the key's user", self.url()))
            }
            Refused::Key => Fault::Unauthorized(format!("{told}; the access key is wrong, or has ended")),
            Refused::NoQueue => {
                Fault::Refused(format!("there is no queue {} in {}: {told}", self.url(), self.options.region))
            }
            Refused::Throttled => Fault::Throttled { retry_after: Duration::from_secs(1) },
            Refused::Other if status == 429 => Fault::Throttled { retry_after: Duration::from_secs(1) },
            Refused::Other if status >= 500 => Fault::Server { status, detail: told },
            Refused::Other => Fault::Refused(told),
        };
        Failure { fault, code: code.to_owned() }
    }

    /// Looks whether the queue is there, and whether it is one that Amazon can put notifications into.
    pub async fn look_over(&self, checked: &mut Checked) {
        let asked = [QueueAttributeName::All];
        let request = self.client().await.get_queue_attributes().queue_url(self.url());
        let answer = request.set_attribute_names(Some(asked.to_vec())).send().await;
        let told = match answer {
            Ok(told) => told.attributes.unwrap_or_default(),
            Err(error) => {
                checked
                    .problems
                    .push(format!("queue: {}", self.failure(error, "sqs:GetQueueAttributes").fault));
                return;
            }
        };
        let text = |name: QueueAttributeName| told.get(&name).map_or("", String::as_str);
        let waiting = text(QueueAttributeName::ApproximateNumberOfMessages);
        checked.facts.push(format!("the queue can be read, about {waiting} messages wait"));
        if text(QueueAttributeName::FifoQueue) == "true" {
            let told =
                "the queue is a FIFO queue, which Amazon's notifications do not reach: make a standard one";
            checked.problems.push(told.to_owned());
        }
        let policy = text(QueueAttributeName::Policy);
        if !policy.contains(SENDER) {
            checked.problems.push(format!(
                "the queue's policy does not let Amazon's account {SENDER} send to it (`sqs:SendMessage` and \
                 `sqs:GetQueueAttributes`)"
            ));
        }
    }
}

/// Says what is wrong with receiving, and with deleting.
fn told(health: &[Health; 2]) -> Option<String> {
    let wrong = |call: Call| health[call as usize].wrong.as_ref().map(|failure| &failure.fault);
    let receive = wrong(Call::Receive).map(|fault| {
        format!("the queue of notifications cannot be read: {fault}; orders are polled meanwhile")
    });
    let delete = wrong(Call::Delete).map(|fault| {
        format!(
            "notifications that were taken in cannot be deleted from the queue: {fault}; nothing is booked twice, but they come \
             again until they expire there, and new ones may come late behind them: see that the key's user may \
             `sqs:DeleteMessage`"
        )
    });
    let all: Vec<String> = receive.into_iter().chain(delete).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// The account that Amazon sends notifications from.
const SENDER: &str = "437568002678";

type Response = aws_sdk_sqs::config::http::HttpResponse;

/// Tells whether a call failed because nobody gave a key for it.
fn no_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Why the service refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// The key may not do this.
    Permission,
    /// The key is none.
    Key,
    NoQueue,
    Throttled,
    Other,
}

impl Refused {
    /// Reads the code of an error, as the JSON or the older query protocol names it.
    fn of(code: &str) -> Refused {
        match code.rsplit('.').next().unwrap_or(code) {
            "AccessDenied"
            | "AccessDeniedException"
            | "KmsAccessDenied"
            | "OptInRequired"
            | "KmsOptInRequired"
            | "InvalidSecurity" => Refused::Permission,
            "AuthFailure"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InvalidAccessKeyId"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException" => Refused::Key,
            "QueueDoesNotExist" | "NonExistentQueue" | "QueueDeletedRecently" => Refused::NoQueue,
            "Throttling"
            | "ThrottlingException"
            | "RequestThrottled"
            | "RequestLimitExceeded"
            | "OverLimit"
            | "KmsThrottled"
            | "TooManyRequestsException"
            | "SlowDown" => Refused::Throttled,
            _ => Refused::Other,
        }
    }
}

impl Sqs {
    /// Says why one message of a call that went well was not deleted.
    fn not_deleted(&self, failed: &BatchResultErrorEntry) -> Failure {
        let told = http::excerpt(failed.message.as_deref().unwrap_or_default().as_bytes());
        // Without a status of its own: whose fault it is says what that would be.
        let status = if failed.sender_fault { 400 } else { 500 };
        self.refused(status, &failed.code, &told, "sqs:DeleteMessage")
    }

    async fn ask(&self) -> Result<Vec<Message>, Failure> {
        let request = self.client().await.receive_message().queue_url(self.url());
        let request = request
            .max_number_of_messages(i32::try_from(BATCH).unwrap_or(1))
            .wait_time_seconds(WAIT_SECS)
            .visibility_timeout(i32::try_from(self.options.hidden.as_secs()).unwrap_or(i32::MAX));
        let answer = request.send().await.map_err(|error| self.failure(error, "sqs:ReceiveMessage"))?;
        let message = |told: aws_sdk_sqs::types::Message| {
            let receipt = told.receipt_handle?;
            let body = Bytes::from(told.body.unwrap_or_default());
            Some(Message { id: told.message_id.unwrap_or_default(), receipt, body })
        };
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(message).take(BATCH).collect())
    }

    async fn remove(&self, receipts: &[String]) -> Result<(), Failure> {
        for receipts in receipts.chunks(BATCH) {
            let entry = |(nth, receipt): (usize, &String)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(nth.to_string());
                entry.receipt_handle(receipt).build().map_err(|error| Fault::Refused(error.to_string()))
            };
            let entries: Vec<_> = receipts.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
            let request = self.client().await.delete_message_batch().queue_url(self.url());
            let answer = request.set_entries(Some(entries)).send().await;
            let answer = answer.map_err(|error| self.failure(error, "sqs:DeleteMessage"))?;
            // What is our doing, and so lasts, before what may pass.
            if let Some(failed) = answer.failed.iter().max_by_key(|failed| failed.sender_fault) {
                return Err(self.not_deleted(failed));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Queue for Sqs {
    async fn receive(&self) -> Result<Vec<Message>, Fault> {
        self.note(Call::Receive, self.ask().await)
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), Fault> {
        self.note(Call::Delete, self.remove(receipts).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_at_once_and_what_may_pass_when_it_does_not() {
        let (mut health, down) = (Health::default(), failed(Fault::Disconnected("x".to_owned()), ""));
        let refused = |code: &str| failed(Fault::Unauthorized(code.to_owned()), code);
        let told: Vec<bool> = (1..=12).map(|_| health.note(&down)).collect();
        assert_eq!(told.iter().position(|told| *told), Some(9));
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(health.note(&refused("a")) && !health.note(&refused("a")) && health.note(&refused("b")));
        assert!(!health.note(&down), "what is told stands");
        let wrong = health.wrong.as_ref().map(|failure| failure.fault.to_string());
        assert_eq!(wrong.as_deref(), Some("credentials refused: b"));
        assert!(health.note(&Ok(())) && !health.note(&Ok(())) && !health.note(&down));
        assert!(health.note(&refused("b")));
    }

    fn failed(fault: Fault, code: &str) -> Result<(), Failure> {
        Err(Failure { fault, code: code.to_owned() })
    }

    #[test]
    fn the_same_fault_in_other_words_is_told_once_and_another_one_again() {
        let mut health = Health::default();
        let mut check = |fault: Fault, code: &str, news: bool, want: &str| {
            assert_eq!(health.note(&failed(fault, code)), news, "{want}");
            assert_eq!(health.wrong.as_ref().map(|held| held.fault.to_string()).as_deref(), Some(want));
        };
        let denied = |text: &str| Fault::Unauthorized(text.to_owned());
        check(denied("request 1"), "AccessDenied", true, "credentials refused: request 1");
        check(denied("request 2"), "AccessDenied", false, "credentials refused: request 1");
        check(denied("request 3"), "ExpiredToken", true, "credentials refused: request 3");
        check(Fault::Refused("request 4".to_owned()), "ExpiredToken", true, "refused: request 4");
        check(Fault::Malformed("at 10:00".to_owned()), "", true, "answer not understood: at 10:00");
        check(Fault::Malformed("at 10:01".to_owned()), "", false, "answer not understood: at 10:00");
    }

    #[test]
    fn what_cannot_be_deleted_is_told_as_such() {
        let mut health: [Health; 2] = Default::default();
        assert_eq!(told(&health), None);
        health[Call::Delete as usize]
            .note(&failed(Fault::Unauthorized("it may only read".to_owned()), "AccessDenied"));
        let text = told(&health).expect("it is told");
        assert!(text.contains("cannot be deleted") && text.contains("it may only read"), "{text}");
        for part in ["again until they expire", "new ones may come late", "`sqs:DeleteMessage`"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("no harm") && !text.contains("cannot be read"), "{text}");
        health[Call::Receive as usize].note(&failed(Fault::Refused("gone".to_owned()), "QueueDoesNotExist"));
        let text = told(&health).expect("both are told");
        assert!(
            text.contains("cannot be read: refused: gone") && text.contains("cannot be deleted"),
            "{text}"
        );
    }

    #[test]
    fn a_message_that_the_service_fails_to_delete_may_be_deleted_later() {
        let url = Url::parse("https://sqs.eu-west-1.amazonaws.com/123456789012/orders").expect("a URL");
        let http = http::Options::default();
        let queue = Sqs::new(Options { url, region: "x".to_owned(), key: None, hidden: HIDDEN, http });
        let fault = |code: &str, sender: bool| {
            let entry = BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender).message("m");
            queue.not_deleted(&entry.build().expect("whole")).fault
        };
        let server = |detail: &str| Fault::Server { status: 500, detail: detail.to_owned() };
        assert_eq!(fault("InternalError", false), server("InternalError: m"));
        assert_eq!(fault("", false), server(": m"));
        assert_eq!(
            fault("ReceiptHandleIsInvalid", true),
            Fault::Refused("ReceiptHandleIsInvalid: m".to_owned())
        );
        assert!(matches!(fault("RequestThrottled", false), Fault::Throttled { .. }));
        assert!(matches!(fault("AccessDenied", true), Fault::Unauthorized(_)));
    }

    #[track_caller]
    fn check(code: &str, want: Refused) {
        assert_eq!(Refused::of(code), want, "{code}");
    }

    #[test]
    fn codes_are_told_apart_in_both_protocols() {
        check("AccessDenied", Refused::Permission);
        check("AccessDeniedException", Refused::Permission);
        check("KMS.AccessDeniedException", Refused::Permission);
        check("InvalidClientTokenId", Refused::Key);
        check("ExpiredToken", Refused::Key);
        check("QueueDoesNotExist", Refused::NoQueue);
        check("AWS.SimpleQueueService.NonExistentQueue", Refused::NoQueue);
        check("RequestThrottled", Refused::Throttled);
        check("InternalError", Refused::Other);
        check("", Refused::Other);
    }

    #[test]
    fn a_queue_is_named_by_its_address() {
        let check = |url: &str, region: &str, want: Option<&str>| {
            let url = Url::parse(url).expect("a URL");
            let http = http::Options::default();
            let queue = Sqs::new(Options { url, region: region.to_owned(), key: None, hidden: HIDDEN, http });
            assert_eq!(queue.arn().as_deref(), want);
        };
        check(
            "https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
            "eu-west-1",
            Some("arn:aws:sqs:eu-west-1:123456789012:orders"),
        );
        check("http://127.0.0.1:9/000000000000/q", "x", Some("arn:aws:sqs:x:000000000000:q"));
        check("https://sqs.eu-west-1.amazonaws.com/orders", "eu-west-1", None);
    }
}
