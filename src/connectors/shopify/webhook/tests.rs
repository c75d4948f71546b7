use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::connectors::{
    shopify::{
        encode::tests::{location, one, two},
        orders::tests::pushed,
        tests::mutated,
    },
    specs,
};

const SHOP: &str = "example.myshopify.com";
const LOCATION: u64 = 5;

fn secrets(all: &[&str]) -> Vec<SecretString> {
    all.iter().map(|secret| SecretString::from(*secret)).collect()
}

fn sign(body: &[u8], secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

fn push(topic: &str, body: &[u8], secret: &str) -> Push {
    let headers = [
        (header::TOPIC, topic.to_owned()),
        (header::SHOP, SHOP.to_owned()),
        (header::DELIVERY, "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043".to_owned()),
        (header::SIGNATURE, sign(body, secret)),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Push { headers, body: Bytes::copy_from_slice(body) }
}

#[test]
fn the_signature_is_hmac_sha256_of_the_raw_body_in_base64() {
    // Worked out with another implementation: printf '{"id":1}' | openssl dgst -sha256 -hmac hush -binary | base64
    let mut push = push("orders/create", br#"{"id":1}"#, "hush");
    assert_eq!(push.headers[header::SIGNATURE], KNOWN);
    assert_eq!(verify(&push, &secrets(&["hush"]), SHOP), Ok(()));
    push.body = Bytes::from_static(br#"{"id": 1}"#);
    assert!(verify(&push, &secrets(&["hush"]), SHOP).is_err(), "one space more");
}

const KNOWN: &str = "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY=";

#[test]
fn only_what_the_shop_signed_is_believed() {
    #[track_caller]
    fn check(change: fn(&mut Push), configured: &[&str], shop: &str, want: Result<(), &str>) {
        let mut push = push("orders/create", b"{}", "hush");
        change(&mut push);
        match (verify(&push, &secrets(configured), shop), want) {
            (Ok(()), Ok(())) => {}
            (Err(Refusal::Forged(why)), Err(want)) => {
                assert!(why.contains(want), "{why}");
                assert!(!why.contains("hush"), "{why}");
            }
            (got, want) => panic!("{got:?}, wanted {want:?}"),
        }
    }
    let unfit = Err("fits no configured secret");
    check(|_| {}, &["hush"], SHOP, Ok(()));
    check(|_| {}, &["new", "hush"], SHOP, Ok(()));
    check(|_| {}, &["hush", "old"], SHOP, Ok(()));
    check(|_| {}, &["new", "old"], SHOP, unfit);
    check(|_| {}, &["hush "], SHOP, unfit);
    check(|_| {}, &[""], SHOP, unfit);
    check(|_| {}, &[], SHOP, Err("no webhook secret"));
    check(|p| p.body = Bytes::from_static(b"{ }"), &["hush"], SHOP, unfit);
    check(|p| p.body = Bytes::new(), &["hush"], SHOP, unfit);
    check(|p| drop(p.headers.remove(header::SIGNATURE)), &["hush"], SHOP, Err("no signature"));
    check(|p| drop(p.headers.insert(header::SIGNATURE.into(), "%%%".into())), &["hush"], SHOP, Err("base64"));
    check(|p| drop(p.headers.insert(header::SIGNATURE.into(), String::new())), &["hush"], SHOP, unfit);
    check(|p| drop(p.headers.insert(header::SIGNATURE.into(), "AAAA".into())), &["hush"], SHOP, unfit);
    check(
        |p| {
            let mut longer = STANDARD.decode(&p.headers[header::SIGNATURE]).expect("it is base64");
            longer.push(0);
            let longer = STANDARD.encode(longer);
            p.headers.insert(header::SIGNATURE.into(), longer);
        },
        &["hush"],
        SHOP,
        unfit,
    );
    check(|p| drop(p.headers.insert(header::SHOP.into(), SHOP.to_uppercase())), &["hush"], SHOP, Ok(()));
    check(|_| {}, &["hush"], "other.myshopify.com", Err("another shop"));
    check(|p| drop(p.headers.remove(header::SHOP)), &["hush"], SHOP, Err("another shop"));
}

/// Reads a push, in short: the facts, or why there are none.
fn short(topic: &str, body: &[u8]) -> String {
    short_of(topic, body, &one())
}

fn short_of(topic: &str, body: &[u8], locations: &Locations) -> String {
    match read(&push(topic, body, "hush"), locations) {
        Ok(received) => {
            assert_eq!(received.delivery.as_str(), "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043");
            assert_eq!(received.topic, topic);
            let facts = received.facts.iter().map(|fact| match fact {
                Fact::Order(order) => format!("order {} of {} lines", order.order, order.lines.len()),
                Fact::Fetch(order) => format!("fetch {order}"),
                Fact::Look(ids) => format!("look {ids}"),
                Fact::Recount(_) => "recount".to_owned(),
                Fact::Changed => "changed".to_owned(),
                Fact::Tend => "tend".to_owned(),
            });
            facts.collect::<Vec<_>>().join(", ")
        }
        Err(Refusal::NotFollowed { delivery: Some(_), topic: told }) if told == topic => {
            "not followed".to_owned()
        }
        Err(Refusal::Unparsable { delivery: Some(_), topic: told, why }) if told == topic => {
            format!("unparsable: {why}")
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn every_topic_tells_what_it_can() {
    #[track_caller]
    fn check(topic: &str, body: &Value, want: &str) {
        assert_eq!(short(topic, body.to_string().as_bytes()), want, "{topic}");
    }
    let order = pushed();
    for topic in ["create", "updated", "paid", "cancelled", "fulfilled", "partially_fulfilled"] {
        check(&format!("orders/{topic}"), &order, "order 9407199254740993 of 1 lines");
    }
    let mut cancelled = order.clone();
    cancelled["cancelled_at"] = json!("2026-06-26T00:00:00Z");
    check("orders/updated", &cancelled, "order 9407199254740993 of 1 lines, fetch 9407199254740993");
    check("orders/updated", &json!({"id": 7, "created_at": "x", "updated_at": "y"}), "fetch 7");
    check("orders/delete", &json!({"id": u64::MAX}), "fetch 18446744073709551615");
    check("orders/edited", &json!({"order_edit": {"order_id": 7}}), "fetch 7");
    check("refunds/create", &json!({"id": 1, "order_id": 7}), "fetch 7");
    check("fulfillments/create", &json!({"id": 1, "order_id": 7}), "fetch 7");
    check("fulfillments/update", &json!({"id": 1, "order_id": 7}), "fetch 7");
    let level = |location: u64| json!({"inventory_item_id": 8, "location_id": location, "available": null});
    check("inventory_levels/update", &level(LOCATION), "look inventory_item=8");
    check("inventory_levels/update", &level(LOCATION + 1), "");
    check("app/uninstalled", &json!({"id": 1}), "tend");
    check("app/scopes_update", &json!({"id": 1, "previous": [], "current": []}), "tend");
    for topic in ["products/update", "orders/risk_assessment_changed", "inventory_levels/connect", ""] {
        check(topic, &json!({}), "not followed");
    }
}

#[test]
fn a_shop_with_several_places_tells_which_one_or_has_the_order_read() {
    #[track_caller]
    fn check(topic: &str, body: &Value, want: &str) {
        assert_eq!(short_of(topic, body.to_string().as_bytes(), &two()), want, "{topic}");
    }
    let level = |location: u64| json!({"inventory_item_id": 8, "location_id": location, "available": null});
    check("inventory_levels/update", &level(5), "look inventory_item=8 location_id=5");
    check("inventory_levels/update", &level(6), "look inventory_item=8 location_id=6");
    check("inventory_levels/update", &level(7), "");
    let order = pushed();
    check("orders/create", &order, "order 9407199254740993 of 1 lines, fetch 9407199254740993");
    let mut counter = order;
    counter["location_id"] = json!(6);
    check("orders/create", &counter, "order 9407199254740993 of 1 lines");
    for topic in ["moved", "order_routing_complete", "split", "merged", "cancelled"] {
        check(&format!("fulfillment_orders/{topic}"), &json!({}), "changed");
        assert_eq!(short(&format!("fulfillment_orders/{topic}"), b"{}"), "");
    }
}

#[test]
fn what_is_signed_but_cannot_be_read_says_where() {
    assert_eq!(short("orders/create", b"{"), "unparsable: ends too early");
    assert_eq!(short("orders/edited", b"{}"), "unparsable: missing field `order_edit` at line 1 column 2");
    let big = br#"{"order_id": 18446744073709551616}"#;
    assert_eq!(short("refunds/create", big), "unparsable: `order_id`: is of an unexpected type or size");
    let rounded = br#"{"order_id": 8.209829119461545e17}"#;
    assert_eq!(short("refunds/create", rounded), "unparsable: `order_id`: is of an unexpected type or size");
    // A captured body sent again under another topic.
    let level = br#"{"inventory_item_id": 8, "location_id": 1}"#;
    assert!(short("orders/create", level).starts_with("unparsable"));
}

#[test]
fn a_push_without_an_id_cannot_be_recognised_again() {
    let mut push = push("orders/create", pushed().to_string().as_bytes(), "hush");
    for id in [None, Some(""), Some("a\nb")] {
        push.headers.remove(header::DELIVERY);
        push.headers.extend(id.map(|id| (header::DELIVERY.to_owned(), id.to_owned())));
        let refused = read(&push, &one()).expect_err("it has no id");
        assert!(matches!(refused, Refusal::Unparsable { delivery: None, .. }), "{refused:?}");
    }
}

#[test]
fn the_documented_samples_are_understood() {
    #[track_caller]
    fn check(file: &str, topic: &str, want: &str) {
        let Some(body) = specs::read(&format!("shopify/samples/webhook-2026-07-{file}.json")) else { return };
        let push = push(topic, &body, "hush");
        assert_eq!(verify(&push, &secrets(&["hush"]), SHOP), Ok(()));
        // The location that the samples name.
        let locations = Locations::new(vec![location("main", 24_826_418)]).expect("one");
        assert_eq!(short_of(topic, &body, &locations), want);
    }
    // The numeric ids of the samples are rounded; each is taken as it stands.
    let order = "order 820982911946154500 of 5 lines, fetch 820982911946154500";
    check("orders__create", "orders/create", order);
    check("orders__cancelled", "orders/cancelled", order);
    check("orders__create", "orders/paid", order);
    check("orders__edited", "orders/edited", "fetch 820982911946154500");
    check("refunds__create", "refunds/create", "fetch 820982911946154500");
    check("fulfillments__create", "fulfillments/create", "fetch 820982911946154500");
    check("inventory_levels__update", "inventory_levels/update", "look inventory_item=271878346596884000");
    check("inventory_levels__connect", "inventory_levels/connect", "not followed");
    check("products__update", "products/update", "not followed");
    check("bulk_operations__finish", "bulk_operations/finish", "not followed");
    check("app__uninstalled", "app/uninstalled", "tend");
}

const TOPICS: [&str; 7] = [
    "orders/create",
    "orders/edited",
    "orders/delete",
    "refunds/create",
    "fulfillments/create",
    "inventory_levels/update",
    "shop/update",
];

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        topic in proptest::sample::select(&TOPICS),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        signature in ".{0,60}",
    ) {
        let mut push = push(topic, &body, "hush");
        let _read = read(&push, &one());
        push.headers.insert(header::SIGNATURE.to_owned(), signature);
        prop_assert!(verify(&push, &secrets(&["hush"]), SHOP).is_err());
    }

    #[test]
    fn no_damaged_order_makes_it_panic(body in mutated(pushed())) {
        let _read = read(&push("orders/updated", body.to_string().as_bytes(), "hush"), &one());
    }
}
