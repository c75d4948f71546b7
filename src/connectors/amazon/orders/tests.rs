use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::connectors::amazon::testing::{hostile, spec};

const SINCE: Timestamp = Timestamp::from_millis(1_000);

/// One line: status, `ordered fulfilled unfulfilled` (-1: absent), who cancelled and why.
type Told<'a> = (&'a str, [i64; 3], Option<(&'a str, &'a str)>);

fn raw_item((_, [ordered, fulfilled, unfulfilled], cancelled): Told<'_>) -> Value {
    let mut item = json!({
        "orderItemId": "1",
        "quantityOrdered": ordered,
        "product": {"sellerSku": "TSHIRT-BL-M", "asin": "B0XYZ123"},
        "fulfillment": {},
    });
    for (name, units) in [("quantityFulfilled", fulfilled), ("quantityUnfulfilled", unfulfilled)] {
        if units >= 0 {
            item["fulfillment"][name] = json!(units);
        }
    }
    if let Some((by, why)) = cancelled {
        item["cancellation"] = json!({"cancellationExecution": {"cancelledBy": by, "cancelReason": why}});
    }
    item
}

fn raw_order(told: Told<'_>) -> Value {
    json!({
        "orderId": "250-1234567-8901234",
        "createdTime": "2024-12-25T02:30:00Z",
        "lastUpdatedTime": "2024-12-25T06:45:00.123Z",
        "salesChannel": {"channelName": "AMAZON"},
        "fulfillment": {"fulfillmentStatus": told.0, "fulfilledBy": "MERCHANT"},
        "orderItems": [raw_item(told)],
    })
}

/// `ordered released written_off fulfilled` and what became of the rest.
#[track_caller]
fn check(told: Told<'_>, want: ([i64; 4], Rest)) {
    let order = order(&raw_order(told)).expect("readable");
    let line = &order.lines[0];
    let t = line.totals;
    let got = [t.ordered, t.released, t.written_off, t.fulfilled].map(Quantity::units);
    assert_eq!((got, line.rest), want, "{told:?}");
    assert_eq!(t.returned, Quantity::ZERO);
}

#[test]
fn a_placed_order_reserves_all_of_it_whatever_its_quantities_say() {
    check(("PENDING", [2, -1, -1], None), ([2, 0, 0, 0], Rest::Open));
    check(("PENDING", [2, 0, 0], None), ([2, 0, 0, 0], Rest::Open));
    check(("PENDING_AVAILABILITY", [2, 0, 2], None), ([2, 0, 0, 0], Rest::Open));
    check(("PENDING", [2, 0, 0], Some(("BUYER", ""))), ([2, 0, 0, 0], Rest::Open));
}

#[test]
fn an_open_order_ships_by_and_by() {
    check(("UNSHIPPED", [3, 0, 3], None), ([3, 0, 0, 0], Rest::Open));
    check(("UNSHIPPED", [3, -1, -1], None), ([3, 0, 0, 0], Rest::Open));
    check(("PARTIALLY_SHIPPED", [3, 1, 2], None), ([3, 0, 0, 1], Rest::Open));
    check(("PARTIALLY_SHIPPED", [3, 3, 0], None), ([3, 0, 0, 3], Rest::Released));
    check(("SHIPPED", [3, 3, 0], None), ([3, 0, 0, 3], Rest::Released));
    check(("SHIPPED", [3, -1, -1], None), ([3, 0, 0, 3], Rest::Released));
}

#[test]
fn units_that_are_neither_shipped_nor_cancelled_stay_open() {
    check(("UNSHIPPED", [3, 0, 0], None), ([3, 0, 0, 0], Rest::Open));
    check(("PARTIALLY_SHIPPED", [3, 1, 0], None), ([3, 0, 0, 1], Rest::Open));
    check(("SHIPPED", [3, 1, 2], None), ([3, 0, 0, 1], Rest::Open));
}

#[test]
fn a_cancelled_order_gives_its_units_back() {
    check(("CANCELLED", [2, 0, 0], None), ([2, 0, 0, 0], Rest::Released));
    check(("CANCELLED", [2, 0, 2], None), ([2, 0, 0, 0], Rest::Released));
    check(("CANCELLED", [0, 0, 0], None), ([0, 0, 0, 0], Rest::Released));
    check(("CANCELLED", [2, 1, 0], Some(("BUYER", "Changed mind"))), ([2, 0, 0, 1], Rest::Released));
    check(("CANCELLED", [2, 0, 0], Some(("MERCHANT", "Buyer requested"))), ([2, 0, 0, 0], Rest::Released));
}

#[test]
fn units_cancelled_because_they_are_not_there_are_written_off() {
    for reason in ["Out of stock", "OUT_OF_STOCK", "NoInventory", "item is not in stock"] {
        check(("CANCELLED", [2, 0, 0], Some(("MERCHANT", reason))), ([2, 0, 0, 0], Rest::WrittenOff));
    }
    check(("CANCELLED", [0, 0, 0], Some(("AMAZON", "NoInventory"))), ([0, 0, 0, 0], Rest::WrittenOff));
    check(("CANCELLED", [2, 0, 0], Some(("BUYER", "out of stock"))), ([2, 0, 0, 0], Rest::Released));
    check(("UNFULFILLABLE", [2, 0, 2], None), ([2, 0, 0, 0], Rest::WrittenOff));
}

#[test]
fn a_part_may_be_cancelled_while_the_rest_is_open() {
    let buyer = Some(("BUYER", "Changed mind"));
    let stock = Some(("MERCHANT", "Out of stock"));
    check(("UNSHIPPED", [3, 0, 1], buyer), ([3, 2, 0, 0], Rest::Open));
    check(("PARTIALLY_SHIPPED", [3, 1, 1], stock), ([3, 0, 1, 1], Rest::Open));
    check(("UNSHIPPED", [3, 0, 0], buyer), ([3, 0, 0, 0], Rest::Released));
    check(("UNSHIPPED", [0, 0, 0], stock), ([0, 0, 0, 0], Rest::WrittenOff));
    check(("SHIPPED", [3, 1, 0], stock), ([3, 0, 0, 1], Rest::WrittenOff));
}

#[test]
fn what_was_shipped_was_ordered_even_if_amazon_zeroes_it() {
    check(("SHIPPED", [0, 2, 0], None), ([2, 0, 0, 2], Rest::Released));
}

/// Changes a good order and names what makes it unreadable.
#[track_caller]
fn check_unreadable(change: impl FnOnce(&mut Value), want: &str) {
    let mut raw = raw_order(("PARTIALLY_SHIPPED", [3, 1, 2], None));
    change(&mut raw);
    let why = order(&raw).expect_err("not readable");
    assert!(why.contains(want), "{why}");
}

#[test]
fn what_is_not_understood_is_not_guessed() {
    check_unreadable(
        |o| o["fulfillment"]["fulfillmentStatus"] = json!("LOST"),
        "`fulfillmentStatus` is `LOST`",
    );
    check_unreadable(|o| o["fulfillment"] = json!(null), "`fulfillment` is missing");
    check_unreadable(|o| o["createdTime"] = json!("yesterday"), "`createdTime`: is of an unexpected type");
    check_unreadable(|o| o["orderId"] = json!(""), "`order` must not be empty");
    check_unreadable(|o| o["orderItems"][0]["quantityOrdered"] = json!(-1), "`quantityOrdered` is -1");
    check_unreadable(|o| o["orderItems"][0]["quantityOrdered"] = json!(i64::MAX), "`quantityOrdered` is");
    check_unreadable(
        |o| o["orderItems"][0]["quantityOrdered"] = json!(1.5),
        "`orderItems[0].quantityOrdered`: is of an unexpected type",
    );
    check_unreadable(|o| o["orderItems"][0]["fulfillment"] = json!({}), "`quantityFulfilled` is missing");
    check_unreadable(|o| o["orderItems"][0]["product"]["sellerSku"] = json!("a\u{0}"), "channel_sku");
}

#[test]
fn who_fulfils_is_kept() {
    let by = |by: Value| {
        let mut raw = raw_order(("UNSHIPPED", [1, 0, 1], None));
        raw["fulfillment"]["fulfilledBy"] = by;
        order(&raw).expect("readable").lines[0].by
    };
    assert_eq!(by(json!("MERCHANT")), FulfilledBy::Merchant);
    assert_eq!(by(json!("AMAZON")), FulfilledBy::Channel);
    for other in [json!(null), json!(""), json!("DRONE")] {
        assert_eq!(by(other), FulfilledBy::Unknown);
    }
}

#[test]
fn one_unreadable_order_does_not_hold_up_the_page() {
    let mut odd = raw_order(("UNSHIPPED", [1, 0, 1], None));
    odd["fulfillment"]["fulfillmentStatus"] = json!("NEW");
    let good = raw_order(("UNSHIPPED", [1, 0, 1], None));
    let body = json!({"orders": [odd, good, 7], "lastUpdatedBefore": "1970-01-01T00:00:05Z"});
    let page = page(body.to_string().as_bytes(), By::Change, SINCE, &Place::default()).expect("readable");
    assert_eq!(page.orders.len(), 1);
    let ids: Vec<Option<&str>> = page.unreadable.iter().map(|u| u.id.as_deref()).collect();
    assert_eq!(ids, [Some("250-1234567-8901234"), None]);
    assert_eq!(page.read_through, Some(Timestamp::from_millis(5_000)));
}

#[test]
fn the_feed_is_read_through_the_earliest_bound_and_only_at_its_end() {
    let body = |token: &str, before: &str| {
        json!({"orders": [], "pagination": {"nextToken": token}, "lastUpdatedBefore": before}).to_string()
    };
    let first = page(body("t1", "1970-01-01T00:00:05Z").as_bytes(), By::Change, SINCE, &Place::default())
        .expect("readable");
    assert_eq!(first.read_through, None);
    let place = Place::of(first.next.as_ref()).expect("our own cursor");
    assert_eq!(place.token.as_deref(), Some("t1"));
    let last =
        page(body("", "1970-01-01T00:00:09Z").as_bytes(), By::Change, SINCE, &place).expect("readable");
    assert_eq!((last.next, last.read_through), (None, Some(Timestamp::from_millis(5_000))));
}

#[test]
fn a_feed_that_names_no_bound_has_been_read_no_further() {
    let check = |by: By, bounds: Value, want: i64| {
        let mut body = json!({"orders": []});
        for (name, seconds) in bounds.as_object().into_iter().flatten() {
            body[name] = json!(format!("1970-01-01T00:00:0{seconds}Z"));
        }
        let page = page(body.to_string().as_bytes(), by, SINCE, &Place::default()).expect("readable");
        assert_eq!(page.read_through, Some(Timestamp::from_millis(want)), "{by:?} {body}");
    };
    check(By::Change, json!({}), 1_000);
    check(By::Placement, json!({}), 1_000);
    // A search by one has nothing to say of the other.
    check(By::Change, json!({"lastUpdatedBefore": 5, "createdBefore": 9}), 5_000);
    check(By::Change, json!({"createdBefore": 9}), 1_000);
    check(By::Placement, json!({"lastUpdatedBefore": 5, "createdBefore": 9}), 9_000);
    check(By::Placement, json!({"lastUpdatedBefore": 5}), 1_000);
}

#[test]
fn orders_of_a_page_come_oldest_change_first() {
    let at = |time: &str| {
        let mut order = raw_order(("UNSHIPPED", [1, 0, 1], None));
        order["lastUpdatedTime"] = json!(time);
        order
    };
    let body = json!({"orders": [at("2024-12-25T00:00:02Z"), at("2024-12-25T00:00:01Z")]});
    let page = page(body.to_string().as_bytes(), By::Change, SINCE, &Place::default()).expect("readable");
    assert!(page.orders[0].version < page.orders[1].version);
}

#[test]
fn a_foreign_cursor_is_refused() {
    assert!(matches!(Place::of(Some(&Cursor("x".to_owned()))), Err(Fault::Refused(_))));
}

#[test]
fn the_static_sandbox_answers_of_the_orders_api_are_read() {
    let Some(pairs) = spec("samples/static-sandbox-pairs.json") else { return };
    let bodies = |operation: &str| -> Vec<Value> {
        let pairs = pairs[format!("orders_2026-01-01.json GET {operation}")].as_array().expect("pairs");
        pairs.iter().filter(|p| p["status"] == 200).map(|p| p["response"].clone()).collect()
    };
    let mut lines = Vec::new();
    let mut keep = |order: &OrderSnapshot| {
        for line in &order.lines {
            let t = line.totals;
            let units = [t.ordered, t.fulfilled].map(Quantity::units);
            lines.push((line.ids.get(IdKind::Sku).unwrap_or_default().to_owned(), line.by, units, line.rest));
        }
    };
    for body in bodies("/orders/2026-01-01/orders") {
        let page = page(body.to_string().as_bytes(), By::Change, SINCE, &Place::default()).expect("readable");
        assert_eq!(page.unreadable, []);
        page.orders.iter().for_each(&mut keep);
    }
    for body in bodies("/orders/2026-01-01/orders/{orderId}") {
        keep(&one(body.to_string().as_bytes()).expect("readable"));
    }
    let want = [
        ("ECHO-DOT-4-JP-CHARCOAL", FulfilledBy::Channel, [1, 1], Rest::Released),
        ("FIRE-TV-4K-MAX-JP", FulfilledBy::Channel, [2, 2], Rest::Released),
        ("ECHO-DOT-4-UK-CHARCOAL-SINGLE", FulfilledBy::Merchant, [1, 1], Rest::Released),
        ("DELL-I15-BR-001", FulfilledBy::Merchant, [1, 0], Rest::Open),
        ("ECHO-DOT-4-BR-PRETO", FulfilledBy::Merchant, [1, 0], Rest::Open),
        ("FIRE-HD10-TR-BLK", FulfilledBy::Merchant, [2, 2], Rest::Released),
        ("ECHO-POP-US-BLK", FulfilledBy::Merchant, [1, 0], Rest::Open),
    ];
    let want = want.map(|(sku, by, units, rest)| (sku.to_owned(), by, units, rest));
    assert_eq!(lines, want);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(body in hostile()) {
        drop(page(body.as_bytes(), By::Change, SINCE, &Place::default()));
        drop(one(body.as_bytes()));
        if let Ok(value) = serde_json::from_str::<Value>(&body) {
            drop(order(&value));
        }
    }

    #[test]
    fn the_units_of_a_line_always_add_up(
        status in prop::sample::select(vec![
            "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNFULFILLABLE",
        ]),
        units in prop::array::uniform3(-1i64..20),
        cancelled in prop::option::of(prop::sample::select(vec![("BUYER", ""), ("MERCHANT", "no inventory")])),
    ) {
        let told = (status, units, cancelled);
        prop_assume!(units[0] >= 0);
        if let Ok(order) = order(&raw_order(told)) {
            let line = &order.lines[0];
            let t = line.totals;
            let left = t.ordered.units() - t.released.units() - t.written_off.units() - t.fulfilled.units();
            prop_assert!(left >= 0, "{told:?}");
            prop_assert!(line.rest != Rest::Open || left > 0, "{told:?}");
        }
    }
}
