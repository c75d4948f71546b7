//! Snapshots against a small shop whose bulk operations go as a test wants.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use apollo_compiler::ExecutableDocument;
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use tokio::net::TcpListener;

use super::*;
use crate::{
    connectors::{
        Connector as _,
        shopify::{Shopify, encode::tests::two, graphql::tests::schema, tests::options},
    },
    model::IdKind,
};

const LONG_AGO: &str = "2024-01-01T00:00:00Z";
const IN_A_YEAR: &str = "2999-01-01T00:00:00Z";

/// What the shop does.
#[derive(Clone)]
struct Plan {
    variants: u64,
    /// What beginning an operation says, if it is refused.
    errors: Value,
    /// What is told of the operation, one after the other; the last one for good.
    told: Vec<Value>,
    file: Bytes,
    /// The status of the file, unless it is there.
    gone: Option<StatusCode>,
    knows_parts: bool,
}

#[derive(Clone)]
struct Shop {
    plan: Arc<Plan>,
    asked: Arc<Mutex<Vec<String>>>,
    polls: Arc<Mutex<usize>>,
    address: SocketAddr,
}

impl Plan {
    /// A shop with these rows, whose operation is done at once.
    fn of(rows: &[String]) -> Plan {
        let file: String = rows.iter().map(|row| format!("{row}\n")).collect();
        Plan {
            variants: 10_000,
            errors: json!([]),
            told: vec![completed(rows.len(), file.len())],
            file: file.into(),
            gone: None,
            knows_parts: true,
        }
    }
}

fn completed(rows: usize, size: usize) -> Value {
    json!({"status": "COMPLETED", "errorCode": null, "rootObjectCount": rows.to_string(),
           "fileSize": size.to_string(), "url": "FILE"})
}

fn row(n: u64, updated_at: &str) -> String {
    let level = json!({"isActive": true, "updatedAt": updated_at, "quantities": [
        {"name": "available", "quantity": n}, {"name": "on_hand", "quantity": n}, {"name": "committed", "quantity": 0}]});
    json!({
        "id": format!("gid://shopify/ProductVariant/{}", n + 1_000_000), "barcode": null, "displayName": format!("Thing {n}"),
        "requiresComponents": false,
        "inventoryItem": {"id": format!("gid://shopify/InventoryItem/{n}"), "sku": format!("SKU-{n}"), "tracked": true,
                          "at5": level},
    })
    .to_string()
}

async fn start(plan: Plan) -> (Shopify, Shop) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let shop = Shop { plan: Arc::new(plan), asked: Arc::default(), polls: Arc::default(), address };
    let router = Router::new()
        .route("/admin/api/2026-10/graphql.json", post(graphql))
        .route("/file", get(file))
        .with_state(shop.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Shopify::new(options(&format!("http://{address}"))).expect("it can be built"), shop)
}

async fn graphql(State(shop): State<Shop>, Json(body): Json<Value>) -> Json<Value> {
    let query = body["query"].as_str().expect("a document");
    let name = query.split_whitespace().nth(1).unwrap_or_default();
    let name = name.split('(').next().unwrap_or_default().to_owned();
    shop.asked.lock().expect("unpoisoned").push(name.clone());
    let plan = &shop.plan;
    let data = match name.as_str() {
        "Count" => json!({"productVariantsCount": {"count": plan.variants}}),
        "BulkBegin" => {
            let done = plan.errors.as_array().is_none_or(Vec::is_empty);
            let begun =
                shop.asked.lock().expect("unpoisoned").iter().filter(|what| *what == "BulkBegin").count();
            let id = done.then(|| json!({"id": format!("gid://shopify/BulkOperation/{begun}")}));
            json!({"bulkOperationRunQuery": {"bulkOperation": id, "userErrors": plan.errors}})
        }
        "Bulk" => {
            let mut polls = shop.polls.lock().expect("unpoisoned");
            let mut told = plan.told[(*polls).min(plan.told.len() - 1)].clone();
            *polls += 1;
            if told["url"] == "FILE" {
                told["url"] = json!(format!("http://{}/file?signature=x", shop.address));
            }
            json!({"bulkOperation": told})
        }
        "Levels" => {
            let ids = body["variables"]["ids"].as_array().expect("ids").iter();
            let node = |id: &Value| {
                let number = id.as_str().and_then(|id| id.rsplit('/').next()).expect("a number");
                let level = json!({"isActive": true, "updatedAt": IN_A_YEAR, "quantities": [
                    {"name": "available", "quantity": 77}]});
                json!({"__typename": "InventoryItem", "id": id, "sku": format!("SKU-{number}"), "tracked": true,
                       "variants": {"nodes": []}, "inventoryLevel": level})
            };
            json!({"nodes": ids.map(node).collect::<Vec<_>>()})
        }
        "Catalogue" => {
            json!({"inventoryItems": {"nodes": [], "pageInfo": {"hasNextPage": false, "endCursor": null}}})
        }
        other => panic!("`{other}` is not expected"),
    };
    Json(json!({"data": data}))
}

async fn file(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    assert!(!headers.contains_key("x-shopify-access-token"), "the token goes to the shop alone");
    if let Some(status) = shop.plan.gone {
        return status.into_response();
    }
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).expect("a range").to_owned();
    shop.asked.lock().expect("unpoisoned").push(range.clone());
    if !shop.plan.knows_parts {
        return Body::from(shop.plan.file.clone()).into_response();
    }
    let (from, to) = range.trim_start_matches("bytes=").split_once('-').expect("both ends");
    let from: usize = from.parse().expect("a number");
    let to = (to.parse::<usize>().expect("a number") + 1).min(shop.plan.file.len());
    (StatusCode::PARTIAL_CONTENT, Body::from(shop.plan.file.slice(from.min(to)..to))).into_response()
}

/// Reads a snapshot to its end. Returns its pages.
async fn read(shop: &Shopify) -> Result<Vec<CataloguePage>, Fault> {
    let mut pages = vec![shop.snapshot(None).await?];
    while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
        assert!(pages.len() < 100, "it ends");
        pages.push(shop.snapshot(Some(&next)).await?);
    }
    Ok(pages)
}

/// Returns item and available of all that was read.
fn items(pages: &[CataloguePage]) -> Vec<(u64, i64)> {
    let number = |item: &crate::model::CatalogueItem| {
        let number = item.ids.get(IdKind::InventoryItem).and_then(|n| n.parse().ok()).expect("a number");
        (number, item.levels.as_ref().expect("levels").available.units())
    };
    pages.iter().flat_map(|page| &page.items).map(number).collect()
}

#[tokio::test]
async fn a_large_shop_is_read_from_a_file_part_by_part() {
    let rows: Vec<String> = (1..=3_000).map(|n| row(n, LONG_AGO)).collect();
    let (shop, seen) = start(Plan::of(&rows)).await;
    let pages = read(&shop).await.expect("it is read");
    let all: Vec<(u64, i64)> = (1..=3_000_u64).map(|n| (n, n as i64)).collect();
    assert_eq!(items(&pages), all);
    assert!(pages.iter().filter(|page| !page.items.is_empty()).all(|page| page.age > Duration::ZERO));
    let asked = seen.asked.lock().expect("unpoisoned").clone();
    assert!(asked.iter().filter(|what| what.starts_with("bytes=")).count() >= 2, "{asked:?}");
    assert_eq!(asked.iter().filter(|what| *what == "BulkBegin").count(), 1, "{asked:?}");
}

#[tokio::test]
async fn what_changed_since_the_begin_is_read_again_and_as_of_now() {
    let rows = [row(1, LONG_AGO), row(2, IN_A_YEAR), row(3, LONG_AGO)];
    let (shop, _) = start(Plan::of(&rows)).await;
    let pages = read(&shop).await.expect("it is read");
    assert_eq!(items(&pages), [(1, 1), (3, 3), (2, 77)]);
    let again = pages.iter().find(|page| page.items.len() == 1).expect("a page of its own");
    assert_eq!(again.age, Duration::ZERO);
}

#[tokio::test]
async fn an_operation_is_waited_for() {
    let rows = [row(1, LONG_AGO)];
    let runs = json!({"status": "RUNNING", "errorCode": null, "rootObjectCount": "0", "fileSize": null, "url": null});
    let plan = Plan::of(&rows);
    let (shop, _) = start(Plan { told: vec![runs, plan.told[0].clone()], ..plan }).await;
    let pages = read(&shop).await.expect("it is read");
    assert_eq!(items(&pages), [(1, 1)]);
    let age = pages.iter().find(|page| !page.items.is_empty()).expect("a page").age;
    assert!(age >= POLL.0, "it counts from the begin: {age:?}");
}

#[tokio::test]
async fn small_shops_and_what_cannot_be_begun_or_fails_are_read_page_by_page() {
    let rows = [row(1, LONG_AGO)];
    let plan = Plan::of(&rows);
    let busy = json!([{"code": "OPERATION_IN_PROGRESS", "message": "five are under way"}]);
    let failed = json!({"status": "FAILED", "errorCode": "TIMEOUT", "rootObjectCount": "1", "fileSize": null, "url": null,
                        "partialDataUrl": "FILE"});
    let cases = [
        (Plan { variants: 5_000, ..plan.clone() }, vec!["Count", "Catalogue"]),
        (Plan { errors: busy, ..plan.clone() }, vec!["Count", "BulkBegin", "Catalogue"]),
        (Plan { told: vec![failed], ..plan }, vec!["Count", "BulkBegin", "Bulk", "Catalogue"]),
    ];
    for (plan, want) in cases {
        let (shop, seen) = start(plan).await;
        let pages = read(&shop).await.expect("it is read");
        assert_eq!(items(&pages), []);
        assert_eq!(*seen.asked.lock().expect("unpoisoned"), want);
    }
}

#[tokio::test]
async fn a_file_that_is_not_whole_or_not_there_is_never_taken_for_all_there_is() {
    let rows = [row(1, LONG_AGO), row(2, LONG_AGO)];
    let plan = Plan::of(&rows);
    let size = plan.file.len();
    let with = |key: &str, value: Value| {
        let mut told = completed(2, size);
        told[key] = value;
        Plan { told: vec![told], ..plan.clone() }
    };
    let cases = [
        ("fewer rows than were written", with("rootObjectCount", json!("3")), "before all of its rows"),
        ("fewer bytes", with("fileSize", json!((size + 10).to_string())), "bytes where"),
        ("no address", with("url", Value::Null), "has no file any more"),
        ("an address elsewhere", with("url", json!("http://example.com/file")), "not https"),
        (
            "an expired address",
            Plan { gone: Some(StatusCode::FORBIDDEN), ..plan.clone() },
            "not there any more",
        ),
        ("no rows told", with("rootObjectCount", json!("many")), "no number of its rows"),
    ];
    for (what, plan, why) in cases {
        let (shop, _) = start(plan).await;
        let fault = read(&shop).await.expect_err(what);
        assert!(matches!(&fault, Fault::Malformed(said) if said.contains(why)), "{what}: {fault}");
    }
}

#[tokio::test]
async fn who_does_not_know_of_parts_is_understood_where_one_part_is_all() {
    let rows = [row(1, LONG_AGO)];
    let (shop, _) = start(Plan { knows_parts: false, ..Plan::of(&rows) }).await;
    assert_eq!(items(&read(&shop).await.expect("it is read")), [(1, 1)]);
}

#[tokio::test]
async fn a_row_that_is_not_understood_does_not_hold_up_the_others() {
    let nonsense = r#"{"id": 7, "inventoryItem": null}"#.to_owned();
    let rows = [row(1, LONG_AGO), "{cut off".to_owned(), nonsense, row(2, LONG_AGO)];
    let (shop, _) = start(Plan::of(&rows)).await;
    let pages = read(&shop).await.expect("it is read");
    assert_eq!(items(&pages), [(1, 1), (2, 2)]);
    assert_eq!(pages.iter().map(|page| page.unread.len()).sum::<usize>(), 1);
}

#[tokio::test]
async fn two_snapshots_may_be_read_at_once() {
    let rows = [row(1, LONG_AGO)];
    let (shop, _) = start(Plan { told: vec![Plan::of(&rows).told[0].clone()], ..Plan::of(&rows) }).await;
    let first = shop.snapshot(None).await.expect("it begins");
    let second = shop.snapshot(None).await.expect("it begins");
    for begun in [first, second] {
        let page = shop.snapshot(begun.next.as_ref()).await.expect("it goes on");
        assert_eq!(items(&[page]), [(1, 1)]);
    }
}

#[tokio::test]
async fn a_cursor_of_another_operation_is_refused() {
    let rows = [row(1, LONG_AGO)];
    let (shop, _) = start(Plan::of(&rows)).await;
    let first = shop.snapshot(None).await.expect("it begins");
    let (other, _) = start(Plan::of(&rows)).await;
    assert!(matches!(other.snapshot(first.next.as_ref()).await, Err(Fault::Refused(_))));
    let nonsense = Cursor("nonsense".to_owned());
    assert!(matches!(other.snapshot(Some(&nonsense)).await, Err(Fault::Refused(_))));
}

#[test]
fn the_query_of_a_bulk_operation_is_valid_in_the_pinned_and_in_the_former_version() {
    for version in ["2026-10", "2026-07"] {
        let Some(schema) = schema(version) else { return };
        let document = ExecutableDocument::parse_and_validate(&schema, query(&two()), "bulk.graphql");
        document.unwrap_or_else(|e| panic!("{version}: {}", e.errors));
    }
}
