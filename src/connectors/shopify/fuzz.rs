//! Whatever a shop, or somebody who found out its secret, may send.

use std::cell::RefCell;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    decode::{items, levels, set_quantities},
    encode::tests::{location, one, two},
    feed,
    graphql::{reply, tests::answer},
    orders::tests::{fetched, pushed},
    webhook,
};
use crate::{
    connectors::{Fact, Push, Received, Refusal, shopify::options::Locations, specs},
    core::Command,
    fuzz,
    web::tests::world::{channel, configured, run},
};

const SHOP: &str = "example.myshopify.com";
const TOPICS: [&str; 13] = [
    "orders/create",
    "orders/updated",
    "orders/paid",
    "orders/cancelled",
    "orders/fulfilled",
    "orders/edited",
    "orders/delete",
    "refunds/create",
    "fulfillments/create",
    "fulfillments/update",
    "inventory_levels/update",
    "fulfillment_orders/moved",
    "products/update",
];

/// Returns the published samples whose names begin so, and what is given besides.
fn samples(begin: &str, more: Vec<Value>) -> Vec<Value> {
    let Some(dir) = specs::path("shopify/samples") else { return more };
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("the samples are there")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(begin) && name.ends_with(".json"))
        .collect();
    names.sort();
    let read = |name: &String| specs::json(&format!("shopify/samples/{name}"));
    names.iter().filter_map(read).chain(more).collect()
}

fn push(topic: &str, body: &[u8]) -> Push {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hush").expect("any length");
    mac.update(body);
    let headers = [
        ("x-shopify-topic", topic.to_owned()),
        ("x-shopify-shop-domain", SHOP.to_owned()),
        ("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043".to_owned()),
        ("x-shopify-hmac-sha256", STANDARD.encode(mac.finalize().into_bytes())),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Push { headers, body: Bytes::copy_from_slice(body) }
}

/// What is signed is read, or kept with the reason why it cannot be; the ledger takes in whatever is read.
fn taken(push: &Push, locations: &Locations, topic: &str) -> usize {
    match webhook::read(push, locations) {
        Ok(Received { delivery, facts, .. }) => {
            assert!(!topic.starts_with("orders/") || !facts.is_empty(), "{topic} tells of an order");
            let mut orders = Vec::new();
            for fact in &facts {
                if let Fact::Order(order) = fact {
                    orders.push(order.clone());
                }
            }
            let mut state = configured();
            let (fetch, look) = (Vec::new(), Vec::new());
            run(&mut state, Command::Push { channel: channel("main"), delivery, orders, fetch, look });
            facts.len()
        }
        Err(Refusal::Unparsable { why, .. }) => {
            assert!(!why.is_empty() && why.len() < 10_000, "{} bytes of reason", why.len());
            0
        }
        Err(Refusal::NotFollowed { .. }) => 0,
        Err(other) => panic!("it was signed: {other:?}"),
    }
}

#[test]
fn webhooks() {
    let (one, two, told) = (one(), two(), RefCell::new(0));
    fuzz::json(bolero::check!(), &samples("webhook-", vec![pushed()]), |body| {
        for topic in TOPICS {
            let push = push(topic, body);
            let secrets = [SecretString::from("hush")];
            assert_eq!(webhook::verify(&push, &secrets, SHOP), Ok(()));
            *told.borrow_mut() += taken(&push, &one, topic) + taken(&push, &two, topic);
        }
    });
    assert!(told.into_inner() > 0, "nothing was ever understood");
}

#[test]
fn headers_of_webhooks() {
    let body = pushed().to_string();
    let whole = push("orders/create", body.as_bytes());
    let samples: Vec<&[u8]> = whole.headers.values().map(|value| value.as_bytes()).collect();
    let names: Vec<&String> = whole.headers.keys().collect();
    let words = ["orders/", "\u{0}", "\r\n", "=", "ä", "9999999999999999999999"];
    let draw = |drawn: &mut fuzz::Drawn<'_>| {
        let name = drawn.pick(&names).as_str();
        [name.as_bytes(), b"=", &fuzz::changed(drawn, &samples, &words)].concat()
    };
    let secrets = [SecretString::from("hush")];
    fuzz::drawn(bolero::check!(), draw, |text: &Vec<u8>| {
        let text = String::from_utf8_lossy(text);
        let (name, value) = text.split_once('=').expect("it has both");
        let mut push = whole.clone();
        let had = push.headers.insert(name.to_owned(), value.to_owned()).expect("it was there");
        let verified = webhook::verify(&push, &secrets, SHOP);
        let same =
            had == value.trim() || (name.ends_with("domain") && had.eq_ignore_ascii_case(value.trim()));
        let vouched = name.ends_with("topic") || name.ends_with("id");
        assert_eq!(verified.is_ok(), same || vouched, "{name}: {value:?}");
        drop(webhook::read(&push, &one()));
    });
}

#[test]
fn answers() {
    let done = json!({"hasNextPage": false, "endCursor": null});
    let item = json!({
        "__typename": "InventoryItem", "id": "gid://shopify/InventoryItem/93", "sku": "TSHIRT", "tracked": true,
        "variants": {"nodes": [{"id": "gid://shopify/ProductVariant/92", "barcode": "4006381333931",
            "displayName": "T-shirt", "requiresComponents": false}]},
        "inventoryLevel": {"isActive": true, "updatedAt": "2026-06-25T01:33:55Z", "quantities": [
            {"name": "available", "quantity": -1}, {"name": "on_hand", "quantity": 4},
            {"name": "committed", "quantity": 5}]},
    });
    let cost = json!({"requestedQueryCost": 12, "actualQueryCost": 10, "throttleStatus": {
        "maximumAvailable": 2000.0, "currentlyAvailable": 1990, "restoreRate": 100.0}});
    let ours = vec![
        json!({"data": {"nodes": [item, null], "inventoryItems": {"nodes": [item], "pageInfo": done}},
            "extensions": {"cost": cost}}),
        json!({"data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": null, "userErrors": [
            {"code": "CHANGE_FROM_QUANTITY_STALE", "field": ["input", "quantities", "0"], "message": "m"}]}}}),
        json!({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}),
    ];
    let here = location("main", 5);
    fuzz::json(bolero::check!(), &samples("graphql-", ours), |body| {
        let text = String::from_utf8_lossy(body);
        for status in [200, 429, 500] {
            let Ok(data) = reply(&answer(status, &[], &text)).data else { continue };
            if let Ok(levels) = levels(&data, 2, &here) {
                assert_eq!(levels.len(), 2);
            }
            if let Ok(page) = items(&data, &here) {
                let nodes = data["inventoryItems"]["nodes"].as_array().map_or(0, Vec::len);
                assert_eq!(page.items.len() + page.unread.len(), nodes, "an item vanished");
            }
        }
        if let super::decode::Said::Each(outcomes) = set_quantities(reply(&answer(200, &[], &text)).data, 3) {
            assert_eq!(outcomes.len(), 3);
        }
    });
}

#[test]
fn orders_of_the_feed() {
    let (one, two) = (one(), two());
    fuzz::json(bolero::check!(), &[fetched()], |body| {
        for locations in [&one, &two] {
            match feed::reread(body, locations) {
                Ok(facts) => assert_eq!(facts.len(), 1),
                Err(why) => assert!(!why.is_empty()),
            }
        }
    });
}
