//! Feeds against an account whose feeds go as a test wants.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::{
    connectors::{
        Connector as _,
        amazon::{
            options::Options,
            testing::{Fake, denied, quick, spec},
        },
    },
    core::bulk::{CANCEL_MS, STUCK_MS},
    model::{IdempotencyKey, Identifiers, LocationId, Quantity, Seq},
};

/// What the account answers: a status, and what goes with it.
#[derive(Clone)]
struct Plan {
    document: (u16, Value),
    upload: u16,
    create: (u16, Value),
    feed: (u16, Value),
    feeds: Value,
    cancel: u16,
    report: Vec<u8>,
    packing: Option<&'static str>,
}

#[derive(Clone)]
struct Account {
    plan: Arc<Plan>,
    base: Arc<str>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

fn feed(status: &str) -> Value {
    let done = matches!(status, "DONE" | "FATAL");
    json!({"feedId": "F1", "feedType": FEED, "createdTime": "2026-11-30T10:00:00.000Z", "processingStatus": status,
           "resultFeedDocumentId": done.then_some("D2")})
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("to memory");
    encoder.finish().expect("to memory")
}

fn report(issues: Value) -> String {
    let header = json!({"sellerId": "A1SELLER", "version": "2.0", "feedId": "F1"});
    let summary = json!({"errors": 1, "warnings": 0, "messagesProcessed": 3, "messagesAccepted": 2, "messagesInvalid": 1});
    json!({"header": header, "issues": issues, "summary": summary}).to_string()
}

impl Plan {
    fn good() -> Plan {
        Plan {
            document: (201, Value::Null),
            upload: 200,
            create: (202, json!({"feedId": "F1"})),
            feed: (200, feed("DONE")),
            feeds: json!([]),
            cancel: 200,
            report: zipped(&report(json!([]))),
            packing: Some("GZIP"),
        }
    }

    async fn start(self) -> (Account, Amazon) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let account = Account { plan: Arc::new(self), base: Arc::from(base.as_str()), seen: Arc::default() };
        let app = Router::new().fallback(serve).with_state(account.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let amazon = Amazon::new(Options { feeds: true, ..quick(&base) }).expect("good options");
        ["A", "B", "C"].iter().for_each(|sku| amazon.guard.allow(sku, "ATVPDKIKX0DER"));
        (account, amazon)
    }
}

impl Account {
    fn answer(&self, request: &str, headers: &HeaderMap) -> Response {
        let told = |(status, body): (u16, Value)| {
            (StatusCode::from_u16(status).expect("a status"), body.to_string()).into_response()
        };
        let (plan, base) = (&self.plan, &self.base);
        if request.contains("/auth/") {
            return told((200, json!({"access_token": "t", "expires_in": 3600})));
        }
        if request.contains("/there") {
            assert!(!headers.contains_key("x-amz-access-token"), "no token goes to a document");
        }
        match request {
            "POST /feeds/2021-06-30/documents" => {
                let body = match &plan.document {
                    (201, Value::Null) => json!({"feedDocumentId": "D1", "url": format!("{base}/there")}),
                    (_, body) => body.clone(),
                };
                told((plan.document.0, body))
            }
            "PUT /there" => told((plan.upload, Value::Null)),
            "GET /there" => (StatusCode::OK, plan.report.clone()).into_response(),
            "POST /feeds/2021-06-30/feeds" => told(plan.create.clone()),
            "GET /feeds/2021-06-30/feeds/F1" => told(plan.feed.clone()),
            "DELETE /feeds/2021-06-30/feeds/F1" => told((plan.cancel, json!({}))),
            "GET /feeds/2021-06-30/documents/D2" => {
                let url = format!("{base}/there");
                told((200, json!({"feedDocumentId": "D2", "url": url, "compressionAlgorithm": plan.packing})))
            }
            other if other.starts_with("GET /feeds/2021-06-30/feeds?feedTypes=JSON_LISTINGS_FEED") => {
                told((200, json!({"feeds": plan.feeds})))
            }
            // What is fulfilled by Amazon, or not listed.
            other if other.starts_with("GET /listings/") && other.contains("FBA") => told((
                200,
                json!({"sku": "FBA", "fulfillmentAvailability": [{"fulfillmentChannelCode": "AMAZON_NA"}]}),
            )),
            _ => told((404, json!({"errors": []}))),
        }
    }

    fn seen(&self) -> Vec<(String, String)> {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().filter(|(request, _)| !request.contains("/auth/")).cloned().collect()
    }
}

async fn serve(
    State(account): State<Account>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> Response {
    let request = format!("{method} {uri}");
    let body = String::from_utf8_lossy(&body).into_owned();
    account.seen.lock().expect("not poisoned").push((request.clone(), body));
    account.answer(&request, &headers)
}

fn put(sku: &str, units: i64) -> Put {
    Put {
        ids: Identifiers::new([(IdKind::Sku, sku)]).expect("good ids"),
        location: LocationId::new("main").expect("a name"),
        quantity: Quantity::new(units),
        compare: None,
        delta: None,
        key: IdempotencyKey::new(sku).expect("a key"),
        reference: "r".to_owned(),
    }
}

fn bulk(id: Option<&str>) -> Bulk {
    Bulk {
        seq: Seq(1),
        at: crate::clock::SystemClock.now(),
        id: id.map(str::to_owned),
        listings: 3,
        stage: Stage::Queued,
        found: false,
    }
}

#[tokio::test]
async fn a_feed_holds_what_may_be_written_and_merges_no_more_than_the_quantity() {
    let (account, amazon) = Plan::good().start().await;
    let puts = [put("A", 3), put("FBA", 4), put("B", -1), put("C", 0)];
    let Begun { told, outcomes } = amazon.begin(&puts).await;
    assert_eq!(told, Told::Taken { id: "F1".to_owned() });
    let taken = Outcome::Accepted { submission: Some("F1".to_owned()) };
    assert_eq!((&outcomes[0], &outcomes[3]), (&taken, &taken));
    for refused in &outcomes[1..3] {
        assert!(matches!(refused, Outcome::Rejected { .. }), "{refused:?}");
    }
    let seen = account.seen();
    let of = |request: &str| {
        let body = seen.iter().find(|(seen, _)| seen == request).map(|(_, body)| body.as_str());
        serde_json::from_str::<Value>(body.expect("it was asked for")).expect("JSON")
    };
    let content = "application/json; charset=UTF-8";
    assert_eq!(of("POST /feeds/2021-06-30/documents"), json!({"contentType": content}));
    assert_eq!(
        of("POST /feeds/2021-06-30/feeds"),
        json!({"feedType": FEED, "marketplaceIds": ["ATVPDKIKX0DER"], "inputFeedDocumentId": "D1"})
    );
    let document = of("PUT /there");
    let message = |number: u32, sku: &str, units: i64| {
        let value = json!([{"fulfillment_channel_code": "DEFAULT", "quantity": units}]);
        let patch = json!({"op": "merge", "path": "/attributes/fulfillment_availability", "value": value});
        json!({"messageId": number, "sku": sku, "operationType": "PATCH", "productType": "PRODUCT", "patches": [patch]})
    };
    let header = json!({"sellerId": "A1SELLER", "version": "2.0", "issueLocale": "en_US"});
    assert_eq!(document, json!({"header": header, "messages": [message(1, "A", 3), message(4, "C", 0)]}));
    if let Some(schema) = spec("feeds-schemas/listings-feed-schema-v2.json") {
        let validator = jsonschema::validator_for(&schema).expect("it is a schema");
        let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert!(!validator.is_valid(&json!({"header": {}})), "the schema can refuse");
    }
}

#[test]
fn a_feed_grows_no_larger_than_amazon_takes() {
    let mut feed = encode::Feed::new("S");
    let message = |number| Message { number, sku: "é/ \"x", quantity: Quantity::new(1) };
    let most = 700;
    let added = (1..100).take_while(|n| feed.add(&message(*n), "PRODUCT", most)).count();
    assert!(feed.add(&message(100), "PRODUCT", most + 300));
    let body = feed.end();
    let document: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(document["messages"].as_array().map(Vec::len), Some(added + 1));
    assert_eq!(document["messages"][0]["sku"], "é/ \"x");
    assert!((1..5).contains(&added) && body.len() <= most + 300, "{added} {}", body.len());
}

/// What is told of a feed that does not go well, and what becomes of its writes.
#[track_caller]
#[allow(clippy::wildcard_enum_match_arm, reason = "a test asks for some of them")]
fn check_begun(name: &str, begun: &Begun, want: &str) {
    let told = match &begun.told {
        Told::Taken { .. } => "taken".to_owned(),
        Told::Unsure => "unsure".to_owned(),
        Told::Ended { how: How::NotBegun, again_ms, .. } => format!("not begun, again {again_ms}"),
        other => format!("{other:?}"),
    };
    let outcome = match &begun.outcomes[0] {
        Outcome::Throttled { retry_after_ms: 0 } => "goes by itself",
        Outcome::Accepted { .. } => "accepted",
        Outcome::Unknown { .. } => "unknown",
        other => panic!("{other:?}"),
    };
    assert_eq!(format!("{told}: {outcome}"), want, "{name}");
}

#[tokio::test]
async fn only_an_answer_that_may_have_been_a_yes_leaves_a_feed_unknown() {
    let good = Plan::good;
    let refused = |status: u16| (status, denied(""));
    let cases = [
        ("good", good(), "taken: accepted"),
        ("no document", Plan { document: refused(500), ..good() }, "not begun, again 300000: goes by itself"),
        ("no role", Plan { document: refused(403), ..good() }, "not begun, again 21600000: goes by itself"),
        (
            "odd document",
            Plan { document: (201, json!({})), ..good() },
            "not begun, again 300000: goes by itself",
        ),
        (
            "elsewhere",
            Plan {
                document: (201, json!({"feedDocumentId": "D1", "url": "http://example.com/x"})),
                ..good()
            },
            "not begun, again 300000: goes by itself",
        ),
        ("no upload", Plan { upload: 403, ..good() }, "not begun, again 300000: goes by itself"),
        ("refused", Plan { create: refused(400), ..good() }, "not begun, again 21600000: goes by itself"),
        ("failed", Plan { create: refused(500), ..good() }, "unsure: unknown"),
        ("odd answer", Plan { create: (202, json!({"feed": 1})), ..good() }, "unsure: unknown"),
    ];
    for (name, plan, want) in cases {
        let (_, amazon) = plan.start().await;
        check_begun(name, &amazon.begin(&[put("A", 3)]).await, want);
    }
    let (_, amazon) = Plan { create: refused(403), ..good() }.start().await;
    amazon.begin(&[put("A", 3)]).await;
    let told = amazon.tend(crate::connectors::Tending::Look).await.expect("it is told");
    let text = told.notices.iter().find(|notice| notice.kind == "feeds").map(|notice| notice.text.as_str());
    assert!(
        text.is_some_and(|text| text.contains("Product Listing") && text.contains("feed_above")),
        "{text:?}"
    );
}

#[tokio::test]
async fn of_listings_that_are_not_known_a_feed_holds_no_more_than_can_be_read() {
    let (_, amazon) = Plan::good().start().await;
    let mut puts: Vec<Put> = (0..READ_MAX + 10).map(|n| put(&format!("N{n}"), 1)).collect();
    puts.insert(0, put("A", 1));
    assert_eq!(amazon.within_reach(&puts), READ_MAX + 1);
    puts.truncate(READ_MAX + 1);
    assert_eq!(amazon.within_reach(&puts), READ_MAX + 1);
}

fn refused(number: Option<u32>, sku: Option<&str>, reason: &str) -> Refused {
    Refused { number, sku: sku.map(str::to_owned), reason: reason.to_owned() }
}

#[tokio::test]
async fn a_report_names_what_was_refused_by_its_number_and_its_sku() {
    let issue = |id: Value, sku: Value, code: Value, severity: &str, message: &str| json!({"messageId": id, "sku": sku, "code": code, "severity": severity, "message": message});
    let issues = json!([
        issue(json!(1), json!("A"), json!("90220"), "ERROR", "is required"),
        issue(json!(1), json!("A"), json!("8541"), "ERROR", "no match"),
        issue(json!(2), Value::Null, Value::Null, "ERROR", "why"),
        issue(Value::Null, json!("C"), json!("1"), "ERROR", "not this"),
        issue(json!(3), json!("C"), json!("2"), "WARNING", "only so"),
        issue(Value::Null, Value::Null, json!("4002005"), "ERROR", "bad header"),
        issue(json!(0), json!("Z"), json!("3"), "ERROR", "no such number"),
    ]);
    let (_, amazon) = Plan { report: zipped(&report(issues)), ..Plan::good() }.start().await;
    let told = amazon.ask(&bulk(Some("F1"))).await.expect("it is told");
    let want = vec![
        refused(Some(0), Some("A"), "90220: is required; 8541: no match"),
        refused(Some(1), None, "why"),
        refused(None, Some("C"), "1: not this"),
        refused(None, Some("Z"), "3: no such number"),
    ];
    assert_eq!(told, [Told::Refused(want), ended(How::Done, Some("4002005: bad header".to_owned()))]);
}

/// How far a feed is, by what Amazon says.
async fn check_ask(plan: Plan, bulk: Bulk, want: &[Told]) {
    let (_, amazon) = plan.start().await;
    assert_eq!(amazon.ask(&bulk).await.expect("it is told"), want);
}

#[tokio::test]
async fn how_far_a_feed_is_is_read_from_its_status() {
    let at = |status: &str| Plan { feed: (200, feed(status)), ..Plan::good() };
    let ours = || bulk(Some("F1"));
    check_ask(at("IN_QUEUE"), ours(), &[Told::At(Stage::Queued)]).await;
    check_ask(at("IN_PROGRESS"), ours(), &[Told::At(Stage::Working)]).await;
    check_ask(at("CANCELLED"), ours(), &[ended(How::Cancelled, None)]).await;
    check_ask(at("DONE"), ours(), &[ended(How::Done, None)]).await;
    check_ask(at("FATAL"), ours(), &[ended(How::Failed, None)]).await;
    let plain = Plan { report: report(json!([])).into_bytes(), packing: None, ..Plan::good() };
    check_ask(plain, ours(), &[ended(How::Done, None)]).await;
    let gone = Plan { feed: (404, json!({"errors": []})), ..Plan::good() };
    let why = Some("Amazon does not know of it any more".to_owned());
    check_ask(gone, ours(), &[ended(How::Lost, why)]).await;
    let mut no_report = feed("DONE");
    no_report["resultFeedDocumentId"] = Value::Null;
    let why = Some("it has no processing report: nobody can tell what was refused".to_owned());
    check_ask(Plan { feed: (200, no_report), ..Plan::good() }, ours(), &[ended(How::Done, why)]).await;
    let (_, amazon) = at("ODD").start().await;
    assert!(matches!(amazon.ask(&ours()).await, Err(Fault::Malformed(_))));
}

#[tokio::test]
async fn a_feed_that_is_not_begun_with_is_taken_back_after_eight_hours() {
    let old = |ms: i64| Bulk { at: crate::clock::SystemClock.now().plus_millis(-ms), ..bulk(Some("F1")) };
    let queued = || Plan { feed: (200, feed("IN_QUEUE")), ..Plan::good() };
    let (account, amazon) = queued().start().await;
    amazon.ask(&old(STUCK_MS)).await.expect("it is told");
    assert!(account.seen().iter().all(|(request, _)| !request.starts_with("DELETE")));
    amazon.ask(&old(CANCEL_MS)).await.expect("it is told");
    assert!(account.seen().iter().any(|(request, _)| request == "DELETE /feeds/2021-06-30/feeds/F1"));
    check_ask(Plan { cancel: 400, ..queued() }, old(CANCEL_MS), &[Told::At(Stage::Working)]).await;
}

#[tokio::test]
async fn a_report_that_cannot_be_read_is_tried_again_and_then_done_without() {
    let (_, amazon) = Plan { report: b"not gzip".to_vec(), ..Plan::good() }.start().await;
    for _ in 1..REPORT_TRIES {
        assert!(matches!(amazon.ask(&bulk(Some("F1"))).await, Err(Fault::Malformed(_))));
    }
    let told = amazon.ask(&bulk(Some("F1"))).await.expect("it is told");
    assert!(matches!(told.as_slice(), [Told::Ended { how: How::Done, why: Some(_), .. }]), "{told:?}");
}

#[tokio::test]
async fn a_feed_without_an_answer_is_looked_for_in_amazons_list() {
    let made = |back_ms: i64, id: &str| {
        let at = crate::clock::SystemClock.now().plus_millis(-back_ms);
        let at = jiff::Timestamp::from_millisecond(at.millis()).expect("a time").to_string();
        json!({"feedId": id, "feedType": FEED, "createdTime": at, "processingStatus": "IN_QUEUE"})
    };
    let unsure = |back_ms: i64| Bulk {
        at: crate::clock::SystemClock.now().plus_millis(-back_ms),
        stage: Stage::Unsure,
        ..bulk(None)
    };
    let lists = |feeds: Value| Plan { feeds, ..Plan::good() };
    check_ask(lists(json!([])), unsure(60_000), &[Told::At(Stage::Unsure)]).await;
    check_ask(lists(json!([made(500_000, "OLD")])), unsure(60_000), &[Told::At(Stage::Unsure)]).await;
    let both = json!([made(500_000, "OLD"), made(30_000, "NEW")]);
    check_ask(lists(both), unsure(60_000), &[Told::Found { id: "NEW".to_owned() }]).await;
    let why = Some("Amazon lists no such feed".to_owned());
    check_ask(lists(json!([])), unsure(LISTED_MS), &[ended(How::Lost, why)]).await;
}

#[tokio::test]
async fn an_open_feed_is_asked_after_although_no_other_one_is_to_begin() {
    let (account, _) = Plan::good().start().await;
    let amazon = Amazon::new(Options { feeds: false, ..quick(&account.base) }).expect("good options");
    let bulks = amazon.bulks().expect("one may be open from before");
    let told = bulks.ask(&bulk(Some("F1"))).await.expect("an answer");
    assert!(matches!(told.last(), Some(Told::Ended { how: How::Done, .. })), "{told:?}");
}

#[tokio::test]
async fn a_check_can_tell_whether_feeds_are_let_in() {
    let (_, amazon) = Plan::good().start().await;
    assert_eq!(amazon.feeds_are_let_in().await, Ok(()));
    assert!(amazon.bulks().is_some());
}

#[tokio::test]
async fn a_check_asks_for_the_right_to_feeds_only_where_they_are_used() {
    let check = |feeds: bool, answer: (u16, Value)| async move {
        let (fake, _) = Fake::start(move |request, _| match request {
            r if r.contains("/feeds/") => answer.clone(),
            r if r.contains("/orders?") => (200, json!({"orders": []})),
            _ => (200, json!({"numberOfResults": 0, "items": []})),
        })
        .await;
        let amazon = Amazon::new(Options { feeds, ..quick(&fake.base) }).expect("good options");
        let checked = amazon.check().await.expect("it answers");
        assert_eq!(fake.seen().iter().any(|request| request.contains("/feeds/")), feeds);
        let about = |told: Vec<String>| told.into_iter().filter(|told| told.contains("feeds")).collect();
        let (facts, problems): (Vec<String>, Vec<String>) = (about(checked.facts), about(checked.problems));
        (facts, problems)
    };
    let listed = || (200, json!({"feeds": []}));
    let none = Vec::<String>::new();
    assert_eq!(check(false, (403, denied(""))).await, (none.clone(), none.clone()));
    assert_eq!(check(true, listed()).await, (vec!["feeds are permitted".to_owned()], none.clone()));
    let (facts, problems) = check(true, (403, denied(""))).await;
    let [problem] = &problems[..] else { panic!("one problem, not {problems:?}") };
    assert!(problem.starts_with("feeds are not permitted: "), "{problem}");
    assert!(
        problem.contains("the role `Product Listing`") && problem.contains("`feed_above = 0`"),
        "{problem}"
    );
    assert_eq!(facts, none);
    // What passes by itself is no problem.
    let (facts, problems) = check(true, (503, json!({}))).await;
    let [fact] = &facts[..] else { panic!("one fact, not {facts:?}") };
    assert!(fact.starts_with("whether feeds are permitted could not be told: "), "{fact}");
    assert_eq!(problems, none);
}
