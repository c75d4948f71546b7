//! The connector against small servers that say, or fail to say, what a test wants.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes as Body,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use proptest::prelude::*;
use secrecy::SecretString;
use tokio::net::TcpListener;

use bytes::Bytes;
use serde_json::Value;

use super::{
    encode::tests::{one, put, two},
    orders::tests::{fetched, pushed},
    *,
};
use crate::{
    connectors::http,
    model::{IdKind, Quantity},
};

mod access;
mod failing;
mod places;
mod stocked;
mod tended;

pub(super) fn options(base: &str) -> Options {
    Options {
        shop: "example.myshopify.com".to_owned(),
        base_url: http::base_url("base_url", base).expect("good"),
        api_version: options::API_VERSION.to_owned(),
        access: options::Access::Token(SecretString::from("shpat_test")),
        webhook_secrets: vec![SecretString::from("hush")],
        hooks: None,
        locations: one(),
        bulk_above: options::BULK_ABOVE,
        http: http::Options::default(),
    }
}

/// Any JSON, with the keys of real answers now and then.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![any::<i64>().prop_map(|n| json!(n)), any::<f64>().prop_map(|n| json!(n))];
    let text = prop_oneof![
        ".{0,8}".prop_map(|text| json!(text)),
        Just(json!("gid://shopify/Order/1")),
        Just(json!("THROTTLED")),
        Just(json!("2026-06-25T01:33:55Z")),
    ];
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), number, text];
    let key = proptest::sample::select(&KEYS);
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

const KEYS: [&str; 20] = [
    "id",
    "nodes",
    "pageInfo",
    "errors",
    "extensions",
    "code",
    "message",
    "cost",
    "throttleStatus",
    "field",
    "userErrors",
    "inventorySetQuantities",
    "inventoryItems",
    "inventoryLevel",
    "quantities",
    "lineItems",
    "refunds",
    "quantity",
    "line_items",
    "order_id",
];

/// A document of which one part was replaced by something else.
pub(super) fn mutated(valid: Value) -> impl Strategy<Value = Value> {
    (any::<proptest::sample::Index>(), any_json()).prop_map(move |(index, other)| {
        let mut value = valid.clone();
        let count = parts(&mut value).len();
        if let Some(part) = parts(&mut value).into_iter().nth(index.index(count.max(1))) {
            value.pointer_mut(&part).map(|part| *part = other).expect("it is a path of the document");
        }
        value
    })
}

/// Returns the paths of all parts of a document.
fn parts(value: &mut Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut inner = |key: String, value: &mut Value| {
        all.extend(parts(value).into_iter().map(|path| format!("/{key}{path}")));
    };
    match value {
        Value::Array(list) => list.iter_mut().enumerate().for_each(|(n, value)| inner(n.to_string(), value)),
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| inner(key.clone(), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all
}

/// What a server was asked, in order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Value>>>);

impl Asked {
    fn all(&self) -> Vec<Value> {
        self.0.lock().expect("no test panics while it holds this").clone()
    }
}

/// Serves a shop that answers each request with what `answer` makes of its variables.
async fn shop(answer: impl Fn(&Value) -> Response + Clone + Send + Sync + 'static) -> (Shopify, Asked) {
    let asked = Asked::default();
    let heard = asked.clone();
    let router = Router::new().route(
        "/admin/api/2026-10/graphql.json",
        axum::routing::post(move |headers: HeaderMap, body: Body| async move {
            assert_eq!(headers["x-shopify-access-token"], "shpat_test");
            assert_eq!(headers["content-type"], "application/json");
            let body: Value = serde_json::from_slice(&body).expect("the body is JSON");
            let response = answer(&body["variables"]);
            heard.0.lock().expect("no test panics while it holds this").push(body);
            response
        }),
    );
    (connector(serve(router).await), asked)
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn connector(address: SocketAddr) -> Shopify {
    Shopify::new(options(&format!("http://{address}"))).expect("it can be built")
}

fn said(body: &Value) -> Response {
    ([("x-shopify-api-version", "2026-10")], body.to_string()).into_response()
}

/// The answer to `inventorySetQuantities` with these errors.
fn set(errors: &Value) -> Response {
    said(
        &json!({"data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": null, "userErrors": errors}}}),
    )
}

fn puts(items: impl IntoIterator<Item = u64>) -> Vec<Put> {
    items.into_iter().map(|item| put(&item.to_string(), 1, Some(2), &format!("k{item}"))).collect()
}

fn letters(outcomes: &[Outcome]) -> String {
    let letter = |outcome: &Outcome| match outcome {
        Outcome::Applied => 'A',
        Outcome::Accepted { .. } => 'Q',
        Outcome::Stale => 'S',
        Outcome::Rejected { .. } => 'R',
        Outcome::Throttled { .. } => 'T',
        Outcome::Unauthorized { .. } => 'U',
        Outcome::NotSent { .. } => 'N',
        Outcome::Unknown { .. } => '?',
    };
    outcomes.iter().map(letter).collect()
}

fn ids(item: &str) -> Identifiers {
    Identifiers::new([(IdKind::InventoryItem, item)]).expect("good")
}

#[test]
fn the_stated_batch_is_the_one_that_is_sent() {
    assert_eq!(ABILITIES.batch as usize, encode::BATCH);
}

#[tokio::test]
async fn a_write_goes_in_batches_of_250_and_answers_in_order() {
    let (shop, asked) = shop(|_| set(&json!([]))).await;
    let outcomes = shop.write(&puts(1..=501)).await;
    assert_eq!(letters(&outcomes), "A".repeat(501));
    let asked = asked.all();
    let sizes: Vec<usize> = asked
        .iter()
        .map(|body| body["variables"]["input"]["quantities"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(sizes, [250, 250, 1]);
    assert_eq!(asked[0]["query"], graphql::SET_QUANTITIES.document);
    let keys: BTreeSet<String> = asked.iter().map(|body| body["variables"]["key"].to_string()).collect();
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn the_same_batch_sent_again_has_the_same_key() {
    let (shop, asked) = shop(|_| set(&json!([]))).await;
    let mut puts = puts([1, 2, 3]);
    shop.write(&puts).await;
    puts.rotate_left(1);
    let outcomes = shop.write(&puts).await;
    assert_eq!(letters(&outcomes), "AAA");
    let asked = asked.all();
    assert_eq!(asked[0], asked[1]);
}

/// Refuses, without saying which entry is to blame, any call that holds a quantity for one of these items.
fn spoiled_by(bad: &'static [&'static str]) -> impl Fn(&Value) -> Response + Clone + Send + Sync {
    move |variables| {
        let quantities = variables["input"]["quantities"].as_array().expect("a list");
        let item =
            |q: &Value| q["inventoryItemId"].as_str().expect("an id").rsplit('/').next().map(str::to_owned);
        let spoiled = quantities.iter().any(|q| bad.contains(&item(q).unwrap_or_default().as_str()));
        let stale = json!([{"code": "CHANGE_FROM_QUANTITY_STALE", "field": ["input"], "message": "stale"}]);
        set(&if spoiled { stale } else { json!([]) })
    }
}

#[tokio::test]
async fn a_batch_that_an_unnamed_entry_spoils_is_halved_until_it_is_found() {
    let (shop, asked) = shop(spoiled_by(&["3", "7"])).await;
    let outcomes = shop.write(&puts(1..=8)).await;
    assert_eq!(letters(&outcomes), "AASAAASA");
    let keys: BTreeSet<String> =
        asked.all().iter().map(|body| body["variables"]["key"].to_string()).collect();
    assert_eq!(keys.len(), asked.all().len(), "every part has its own key");
}

#[tokio::test]
async fn entries_that_are_named_are_left_out_and_the_others_go_at_once() {
    let (shop, asked) = shop(|variables| {
        let quantities = variables["input"]["quantities"].as_array().expect("a list");
        let bad = |q: &Value| {
            q["inventoryItemId"].as_str().is_some_and(|id| id.ends_with("/3") || id.ends_with("/7"))
        };
        let errors: Vec<Value> = (0..quantities.len())
            .filter(|n| bad(&quantities[*n]))
            .map(|n| {
                json!({"code": "CHANGE_FROM_QUANTITY_STALE", "message": "stale",
                "field": ["input", "quantities", n.to_string(), "changeFromQuantity"]})
            })
            .collect();
        set(&json!(errors))
    })
    .await;
    let outcomes = shop.write(&puts(1..=8)).await;
    assert_eq!(letters(&outcomes), "AASAAASA");
    let asked = asked.all();
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0]["variables"]["key"], asked[1]["variables"]["key"]);
}

#[tokio::test]
async fn halving_ends_after_a_fixed_number_of_calls() {
    let (shop, asked) =
        shop(|_| set(&json!([{"code": "SOMETHING_NEW", "field": null, "message": "why"}]))).await;
    let outcomes = shop.write(&puts(1..=250)).await;
    assert_eq!(asked.all().len(), 16);
    let letters = letters(&outcomes);
    assert!(letters.chars().all(|c| c == 'R' || c == 'N'), "{letters}");
    assert!(letters.contains('R') && letters.ends_with('N'), "{letters}");
}

#[tokio::test]
async fn after_a_throttle_nothing_more_is_sent() {
    let (shop, asked) =
        shop(|_| said(&json!({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]})))
            .await;
    let outcomes = shop.write(&puts(1..=300)).await;
    assert_eq!(asked.all().len(), 1);
    assert_eq!(letters(&outcomes), "T".repeat(250) + &"N".repeat(50));
}

#[tokio::test]
async fn a_put_that_cannot_be_sent_costs_no_call() {
    let (shop, asked) = shop(|_| set(&json!([]))).await;
    let mut puts = puts([1]);
    puts[0].ids = Identifiers::new([(IdKind::Sku, "A")]).expect("good");
    assert_eq!(letters(&shop.write(&puts).await), "R");
    assert_eq!(letters(&shop.write(&[]).await), "");
    assert_eq!(asked.all(), Vec::<Value>::new());
}

fn level(item: u64) -> Value {
    json!({"__typename": "InventoryItem", "id": gid::gid("InventoryItem", item), "sku": "A", "tracked": true,
        "variants": null, "inventoryLevel": {"isActive": true, "updatedAt": null,
        "quantities": [{"name": "available", "quantity": item}]}})
}

#[tokio::test]
async fn levels_are_read_in_the_order_asked_for_and_in_smaller_parts_if_they_cost_too_much() {
    let (shop, asked) = shop(|variables| {
        let ids = variables["ids"].as_array().expect("a list");
        if ids.len() > 100 {
            let error = json!({"message": "too costly", "extensions": {"code": "MAX_COST_EXCEEDED"}});
            return said(&json!({"errors": [error]}));
        }
        let number =
            |id: &Value| gid::number("InventoryItem", id.as_str().unwrap_or_default()).unwrap_or_default();
        said(&json!({"data": {"nodes": ids.iter().map(|id| level(number(id))).collect::<Vec<_>>()}}))
    })
    .await;
    let mut listings: Vec<Identifiers> = (1..=130).rev().map(|n| ids(&n.to_string())).collect();
    listings.push(ids("130"));
    listings.push(Identifiers::new([(IdKind::Sku, "no-id")]).expect("good"));
    let seen = shop.read_back(&listings).await.expect("it answers");
    assert_eq!(seen.len(), listings.len());
    for (observed, want) in seen.iter().zip((1..=130).rev().chain([130])) {
        assert!(
            matches!(observed, Observed::Seen(l) if l.available == Quantity::new(want)),
            "{observed:?} {want}"
        );
    }
    assert!(matches!(seen.last(), Some(Observed::Unwritable { .. })));
    // 130 and then 125 are too many; 62 fit. The next time it begins with those.
    assert_eq!(asked.all().len(), 5);
    shop.read_back(&listings).await.expect("it answers");
    assert_eq!(asked.all().len(), 8);
}

#[tokio::test]
async fn the_order_feed_is_read_page_by_page_and_a_poisoned_order_holds_nothing_up() {
    let (shop, asked) = shop(|variables| {
        let mut poisoned = fetched();
        poisoned["id"] = json!("gid://shopify/Order/66");
        poisoned["createdAt"] = json!("yesterday");
        let first =
            json!({"nodes": [poisoned, fetched()], "pageInfo": {"hasNextPage": true, "endCursor": "c1"}});
        let last = json!({"nodes": [], "pageInfo": {"hasNextPage": false, "endCursor": null}});
        let page = if variables["after"].is_null() { first } else { last };
        let headers = [("date", "Fri, 26 Jun 2026 02:00:00 GMT")];
        (headers, json!({"data": {"orders": page}}).to_string()).into_response()
    })
    .await;
    let since = Timestamp::from_millis(1_782_351_235_999);
    let page = shop.orders(By::Change, since, None).await.expect("it answers");
    assert_eq!(page.orders.iter().map(|o| o.order.as_str()).collect::<Vec<_>>(), ["9407199254740993"]);
    assert_eq!(page.unreadable.len(), 1);
    assert_eq!(page.unreadable[0].id.as_deref(), Some("66"));
    assert!(page.unreadable[0].why.contains("not a time"), "{}", page.unreadable[0].why);
    let change = page.orders[0].version;
    assert_eq!(page.read_through, Some(change), "there is more to read, and nothing older than this");

    let page = shop.orders(By::Change, since, page.next.as_ref()).await.expect("it answers");
    assert_eq!((page.orders, page.next), (Vec::new(), None));
    // The shop's own clock: 2026-06-26T02:00:00Z.
    assert_eq!(page.read_through, Some(Timestamp::from_millis(1_782_439_200_000)));
    let asked = asked.all();
    assert_eq!(asked[0]["variables"]["query"], "updated_at:>='2026-06-25T01:33:55Z'");
    assert_eq!(asked[1]["variables"]["after"], "c1");
}

#[tokio::test]
async fn an_order_that_has_just_changed_proves_nothing_of_those_around_it() {
    let (shop, _) = shop(|_| {
        let mut fresh = fetched();
        fresh["updatedAt"] = json!("2026-06-26T01:59:00Z");
        let page = json!({"nodes": [fetched(), fresh], "pageInfo": {"hasNextPage": true, "endCursor": "c1"}});
        let headers = [("date", "Fri, 26 Jun 2026 02:00:00 GMT")];
        (headers, json!({"data": {"orders": page}}).to_string()).into_response()
    })
    .await;
    let page = shop.orders(By::Change, Timestamp::from_millis(0), None).await.expect("it answers");
    assert_eq!(page.read_through, Some(page.orders[0].version));
}

#[tokio::test]
async fn an_order_that_does_not_fit_into_a_page_is_read_to_its_end() {
    let (shop, asked) = shop(|variables| {
        let line = |n: u64| {
            json!({"id": gid::gid("LineItem", n), "sku": format!("S{n}"), "isGiftCard": false,
            "quantity": 1, "currentQuantity": 1, "fulfillableQuantity": 1, "variant": null})
        };
        let page = match variables["after"].as_str() {
            None => {
                let mut order = fetched();
                order["lineItems"] =
                    json!({"nodes": [line(1)], "pageInfo": {"hasNextPage": true, "endCursor": "a"}});
                return said(&json!({"data": {"order": order}}));
            }
            Some("a") => json!({"nodes": [line(2)], "pageInfo": {"hasNextPage": true, "endCursor": "b"}}),
            Some(_) => json!({"nodes": [line(3)], "pageInfo": {"hasNextPage": false, "endCursor": null}}),
        };
        said(&json!({"data": {"order": {"more": page}}}))
    })
    .await;
    let id = OrderId::new("9407199254740993").expect("good");
    let order = shop.order(&id).await.expect("it answers").expect("it is there");
    assert_eq!(order.lines.iter().map(|line| line.line.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert!(order.complete);
    assert_eq!(asked.all().len(), 3);
    assert_eq!(
        asked.all()[2]["variables"],
        json!({"id": "gid://shopify/Order/9407199254740993", "first": 250, "after": "b"})
    );
}

#[tokio::test]
async fn an_order_whose_further_pages_fail_holds_up_no_page_of_the_feed() {
    let (shop, asked) = shop(|variables| {
        if !variables["query"].is_string() {
            return axum::http::StatusCode::BAD_GATEWAY.into_response();
        }
        let order = |id: u64, more: bool| {
            let mut order = fetched();
            order["id"] = json!(gid::gid("Order", id));
            order["lineItems"]["pageInfo"] = json!({"hasNextPage": more, "endCursor": more.then_some("a")});
            order
        };
        let nodes = json!([order(1, false), order(2, true), order(3, true), order(4, false)]);
        said(&json!({"data": {"orders": {"nodes": nodes, "pageInfo": {"hasNextPage": false, "endCursor": null}}}}))
    })
    .await;
    let page = shop.orders(By::Change, Timestamp::from_millis(0), None).await.expect("the page is there");
    let names = |orders: &[OrderId]| orders.iter().map(ToString::to_string).collect::<Vec<_>>();
    let read: Vec<OrderId> = page.orders.iter().map(|order| order.order.clone()).collect();
    assert_eq!(
        (names(&read), names(&page.unread)),
        (vec!["1".into(), "4".into()], vec!["2".into(), "3".into()])
    );
    assert_eq!(page.unreadable, []);
    assert_eq!(asked.all().len(), 2, "a shop that fails is not asked once for each order");
}

#[tokio::test]
async fn an_unknown_order_is_none() {
    let (shop, asked) = shop(|_| said(&json!({"data": {"order": null}}))).await;
    assert_eq!(shop.order(&OrderId::new("7").expect("good")).await, Ok(None));
    assert_eq!(shop.order(&OrderId::new("#1001").expect("good")).await, Ok(None));
    assert_eq!(asked.all().len(), 1, "what is not a number cannot be one of Shopify's");
}

#[tokio::test]
async fn the_catalogue_is_read_page_by_page() {
    let (shop, asked) = shop(|variables| {
        let more = variables["after"].is_null();
        let page = json!({"nodes": [level(if more { 1 } else { 2 })],
            "pageInfo": {"hasNextPage": more, "endCursor": more.then_some("c")}});
        said(&json!({"data": {"inventoryItems": page}}))
    })
    .await;
    let first = shop.catalogue(None).await.expect("it answers");
    let last = shop.catalogue(first.next.as_ref()).await.expect("it answers");
    let numbers = [&first, &last].map(|page| page.items[0].ids.get(IdKind::InventoryItem).map(str::to_owned));
    assert_eq!(numbers, ["1", "2"].map(|n| Some(n.to_owned())));
    assert_eq!(last.next, None);
    assert_eq!(asked.all()[1]["variables"]["after"], "c");
    assert!(shop.catalogue(Some(&Cursor("nonsense".to_owned()))).await.is_err());
}

#[tokio::test]
async fn another_version_than_the_pinned_one_is_noticed_and_told() {
    let (shop, _) = shop(|_| {
        let headers =
            [("x-shopify-api-version", "2027-01"), ("x-shopify-api-deprecated-reason", "gone in 2027-04")];
        (headers, json!({"data": {"order": null}}).to_string()).into_response()
    })
    .await;
    assert_eq!(shop.notices(), Vec::<String>::new());
    shop.order(&OrderId::new("7").expect("good")).await.expect("it answers");
    let notices = shop.notices();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices[0].contains("`2027-01`") && notices[0].contains("`2026-10`"), "{notices:?}");
    assert!(notices[1].contains("gone in 2027-04"), "{notices:?}");
}

#[tokio::test]
async fn a_check_reads_scopes_version_and_location() {
    let (shop, _) = shop(|_| {
        said(&json!({"data": {
            "shop": {"myshopifyDomain": "example.myshopify.com"},
            "currentAppInstallation": {"accessScopes": [{"handle": "write_inventory"}]},
            "publicApiVersions": [{"handle": "2026-10", "supported": true}],
            "locations": {"nodes": []},
        }}))
    })
    .await;
    let problems = shop.check().await.expect("it answers").problems;
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert!(problems[4].contains("no location `5`"), "{problems:?}");
}

#[tokio::test]
async fn a_webhook_is_verified_before_it_is_read() {
    let shop = connector("127.0.0.1:1".parse().expect("an address"));
    let push = Push { headers: std::collections::BTreeMap::new(), body: Bytes::from(pushed().to_string()) };
    assert!(matches!(shop.receive(&push), Err(Refusal::Forged(_))));
}
