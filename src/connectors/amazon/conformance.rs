//! Every answer that Amazon's static sandbox gives to an operation that is used here: found by walking the published models,
//! and sent through the connector.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{testing::Fake, *};
use crate::{
    connectors::specs,
    model::{IdempotencyKey, LocationId, Quantity},
};

/// What is asked so that an answer comes to the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Patch,
    Get,
    Search,
    Orders,
    Order,
    Reports,
    Feeds,
    Subscribing,
}

/// The operations that are used and have static answers. Of the stock in Amazon's own warehouses the model has none.
const USED: [(&str, &str, Asks); 19] = [
    ("listingsItems_2021-08-01.json", "patchListingsItem", Asks::Patch),
    ("listingsItems_2021-08-01.json", "getListingsItem", Asks::Get),
    ("listingsItems_2021-08-01.json", "searchListingsItems", Asks::Search),
    ("orders_2026-01-01.json", "searchOrders", Asks::Orders),
    ("orders_2026-01-01.json", "getOrder", Asks::Order),
    ("reports_2021-06-30.json", "getReports", Asks::Reports),
    ("reports_2021-06-30.json", "createReport", Asks::Reports),
    ("reports_2021-06-30.json", "getReport", Asks::Reports),
    ("reports_2021-06-30.json", "getReportDocument", Asks::Reports),
    ("feeds_2021-06-30.json", "createFeedDocument", Asks::Feeds),
    ("feeds_2021-06-30.json", "createFeed", Asks::Feeds),
    ("feeds_2021-06-30.json", "getFeeds", Asks::Feeds),
    ("feeds_2021-06-30.json", "getFeed", Asks::Feeds),
    ("feeds_2021-06-30.json", "cancelFeed", Asks::Feeds),
    ("feeds_2021-06-30.json", "getFeedDocument", Asks::Feeds),
    ("notifications.json", "getDestinations", Asks::Subscribing),
    ("notifications.json", "createDestination", Asks::Subscribing),
    ("notifications.json", "getSubscription", Asks::Subscribing),
    ("notifications.json", "createSubscription", Asks::Subscribing),
];

/// A static answer.
#[derive(Debug, Clone)]
struct Pair {
    operation: String,
    status: u16,
    body: Value,
}

/// Returns the static answers of a model, each with its operation.
fn pairs(model: &Value) -> Vec<Pair> {
    let mut all = Vec::new();
    let operations = model["paths"].as_object().expect("paths").values();
    for operation in operations.filter_map(Value::as_object).flat_map(|path| path.values()) {
        let Some(name) = operation["operationId"].as_str() else { continue };
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            let told = response["x-amzn-api-sandbox"]["static"].as_array().into_iter().flatten();
            all.extend(told.map(|pair| Pair {
                operation: name.to_owned(),
                status: status.parse().expect("a status"),
                body: pair["response"].clone(),
            }));
        }
    }
    all
}

/// Returns what is known of the code of an error, or nothing.
fn code(pair: &Pair) -> &str {
    pair.body["errors"][0]["code"].as_str().unwrap_or_default()
}

/// Returns a connector to a system that answers everything so.
async fn answered(pair: &Pair) -> Amazon {
    let answer = (pair.status, pair.body.clone());
    let (_, amazon) = Fake::start(move |_, _| answer.clone()).await;
    amazon
}

async fn check(by: Asks, pair: &Pair) {
    let amazon = answered(pair).await;
    let good = pair.status < 300;
    match by {
        Asks::Patch => check_write(&amazon, pair).await,
        Asks::Get => {
            let sku = pair.body["sku"].as_str().unwrap_or("A");
            let ids = Identifiers::new([(IdKind::Sku, sku)]).expect("a SKU");
            let seen = amazon.read_back(&[ids]).await.expect("it is told of each");
            match &seen[..] {
                [Observed::Seen(_)] => assert!(good, "{pair:?}"),
                [Observed::Unwritable { why }] => {
                    assert!(!good && why.contains(code(pair)), "{why}: {pair:?}")
                }
                _ => panic!("{seen:?}: {pair:?}"),
            }
        }
        Asks::Search => {
            let got = amazon.catalogue(None).await.map(|page| {
                let read = page.items.iter().filter(|item| !item.ids.is_empty()).count();
                assert_eq!(page.unread.len(), 0, "{pair:?}");
                read
            });
            check_read(got, pair, "items");
        }
        Asks::Orders => {
            for by in [By::Change, By::Placement] {
                let got = amazon.orders(by, Timestamp::from_millis(0), None).await.map(|page| {
                    assert_eq!(page.unreadable, []);
                    page.orders.len()
                });
                check_read(got, pair, "orders");
            }
        }
        Asks::Order => {
            let id = pair.body["order"]["orderId"].as_str().unwrap_or("1");
            let got = amazon.order(&OrderId::new(id).expect("an id")).await.map(|order| {
                let order = order.expect("it is there");
                assert_eq!(order.order.as_str(), id);
                order.lines.len()
            });
            let pair = Pair {
                body: if good { pair.body["order"].clone() } else { pair.body.clone() },
                ..pair.clone()
            };
            check_read(got, &pair, "orderItems");
        }
        Asks::Reports => check_report(&amazon, pair).await,
        Asks::Feeds => check_feed(&amazon, pair).await,
        Asks::Subscribing => assert!(good, "an answer that is not expected here: {pair:?}"),
    }
}

/// Checks that as many entries were read as there are, or that the refusal says what Amazon says.
#[track_caller]
fn check_read(got: Result<usize, Fault>, pair: &Pair, list: &str) {
    match got {
        Ok(read) => {
            assert!(pair.status < 300, "{pair:?}");
            assert_eq!(Some(read), pair.body[list].as_array().map(Vec::len), "{pair:?}");
        }
        Err(Fault::Refused(why)) => {
            assert!(pair.status >= 400 && why.contains(code(pair)), "{why}: {pair:?}");
        }
        Err(fault) => panic!("{fault}: {pair:?}"),
    }
}

async fn check_feed(amazon: &Amazon, pair: &Pair) {
    let request = match pair.operation.as_str() {
        "createFeedDocument" => encode::create_feed_document(),
        "createFeed" => encode::create_feed("D1", &["ATVPDKIKX0DER".to_owned()]),
        "getFeeds" => encode::feeds(Timestamp::from_millis(0), 100),
        "getFeed" => encode::feed("ID323").expect("a path"),
        "cancelFeed" => encode::cancel_feed("ID323").expect("a path"),
        _ => encode::feed_document("ID323").expect("a path"),
    };
    match amazon.caller.read(&request).await {
        Ok(answer) => {
            let read = feeds::readable(&pair.operation, &answer.body);
            assert!(pair.status < 300 && read == Ok(()), "{read:?}: {pair:?}");
        }
        Err(Fault::Refused(why)) => assert!(why.contains(code(pair)), "{why}: {pair:?}"),
        Err(fault) => panic!("{fault}: {pair:?}"),
    }
}

async fn check_report(amazon: &Amazon, pair: &Pair) {
    let request = match pair.operation.as_str() {
        "getReports" => encode::reports(Timestamp::from_millis(0)),
        "createReport" => encode::create_report("ATVPDKIKX0DER"),
        "getReport" => encode::report("ID323").expect("a path"),
        _ => encode::report_document("ID323").expect("a path"),
    };
    match amazon.caller.read(&request).await {
        Ok(answer) => {
            let read = reports::readable(&pair.operation, &answer.body);
            assert!(pair.status < 300 && read == Ok(()), "{read:?}: {pair:?}");
        }
        Err(Fault::Refused(why)) => assert!(why.contains(code(pair)), "{why}: {pair:?}"),
        Err(fault) => panic!("{fault}: {pair:?}"),
    }
}

async fn check_write(amazon: &Amazon, pair: &Pair) {
    amazon.guard.allow("A", "ATVPDKIKX0DER");
    let put = Put {
        ids: Identifiers::new([(IdKind::Sku, "A")]).expect("a SKU"),
        location: LocationId::new("main").expect("a name"),
        quantity: Quantity::new(1),
        compare: None,
        delta: None,
        key: IdempotencyKey::new("k").expect("a key"),
        reference: "test".to_owned(),
    };
    let outcomes = amazon.write(&[put]).await;
    let status = pair.body["status"].as_str().unwrap_or_default();
    let right = match (&outcomes[..], pair.status, status) {
        ([Outcome::Accepted { submission }], 200, "ACCEPTED") => {
            submission.as_deref() == pair.body["submissionId"].as_str()
        }
        ([Outcome::Rejected { .. }], 200, "INVALID") => true,
        // The answer to a dry run, which a write is none.
        ([Outcome::Unknown { .. }], 200, "VALID") => true,
        ([Outcome::Rejected { reason }], 400.., _) => reason.contains(code(pair)),
        _ => false,
    };
    assert!(right, "{outcomes:?}: {pair:?}");
}

#[tokio::test]
async fn every_static_answer_to_an_operation_that_is_used_is_read() {
    let Some(dir) = specs::path("amazon/models") else { return };
    let mut met = BTreeSet::new();
    let mut count = 0;
    for file in std::fs::read_dir(dir).expect("the models are there") {
        let name = file.expect("readable").file_name().to_string_lossy().into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        let Some(model) = specs::json(&format!("amazon/models/{name}")) else { return };
        for pair in pairs(&model) {
            let used = USED.iter().find(|(file, operation, _)| *file == name && *operation == pair.operation);
            let Some((_, operation, by)) = used else { continue };
            check(*by, &pair).await;
            met.insert(*operation);
            count += 1;
        }
    }
    assert_eq!(met.len(), USED.len(), "an operation has no answer any more: {met:?}");
    assert!(count >= 28, "{count} answers");
}

#[tokio::test]
async fn the_static_answers_about_notifications_lead_to_a_subscription() {
    let Some(model) = specs::json("amazon/models/notifications.json") else { return };
    let answers: BTreeMap<String, Value> = pairs(&model).into_iter().map(|p| (p.operation, p.body)).collect();
    let arn = "arn:aws:sqs:us-east-2:444455556666:queue1";
    let known = answers["getDestinations"]["payload"][0]["destinationId"].clone();
    let (fake, amazon) = Fake::start(move |request, body| {
        let operation = match (&request[..4], request.contains("/subscriptions/")) {
            ("POST", false) => "createDestination",
            ("POST", true) => "createSubscription",
            (_, true) => "getSubscription",
            _ => "getDestinations",
        };
        if operation == "createSubscription" {
            assert!(body.contains("TEST_CASE_200_DESTINATION_ID"), "{body}");
        }
        (200, answers[operation].clone())
    })
    .await;
    let found = amazon.subscriptions(arn).await.expect("it can be read");
    assert_eq!(known, json!("TEST_CASE_200"));
    // It is sent to another destination than the queue's own.
    assert_eq!(found.missing, Vec::<&str>::new());
    assert_eq!(found.elsewhere.len(), 1, "{found:?}");
    let other =
        amazon.subscriptions("arn:aws:sqs:us-east-2:444455556666:other").await.expect("it can be read");
    let mut wanted = other;
    wanted.missing = vec![notifications::ORDER_CHANGE];
    amazon.subscribe("arn:aws:sqs:us-east-2:444455556666:other", &wanted).await.expect("it can be made");
    let made = fake.seen().into_iter().filter(|request| request.starts_with("POST")).count();
    assert_eq!(made, 2, "a destination, and what is sent there");
}
