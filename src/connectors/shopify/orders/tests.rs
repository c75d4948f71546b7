use proptest::prelude::*;
use serde_json::json;

use super::{graphql::More, rest::Pushed, *};
use crate::{
    connectors::{
        shopify::{
            encode::tests::{one, two},
            tests::{any_json, mutated},
        },
        specs,
    },
    model::{LocationId, Seen, Seq},
};

/// The records of a line as a query tells them, by name; everything else is zero.
fn units(ordered: i64, current: i64, fulfillable: i64) -> Units {
    Units { ordered, current, fulfillable, settled: true, ..Units::default() }
}

/// `released written_off fulfilled returned`; what is left of the ordered units is still to be shipped.
#[track_caller]
fn check(units: Units, want: [i64; 4]) {
    let totals = units.totals();
    let got = [totals.released, totals.written_off, totals.fulfilled, totals.returned].map(Quantity::units);
    assert_eq!(got, want, "{units:?}");
    assert_eq!(totals.ordered.units(), units.ordered);
}

#[test]
fn an_order_that_only_ships_releases_nothing() {
    check(units(3, 3, 3), [0, 0, 0, 0]);
    check(Units { shipped: 1, ..units(3, 3, 2) }, [0, 0, 1, 0]);
    check(Units { shipped: 3, ..units(3, 3, 0) }, [0, 0, 3, 0]);
    // Handed to a fulfillment service: no longer fulfillable, not gone.
    check(Units { under_way: 2, ..units(3, 3, 1) }, [0, 0, 0, 0]);
    check(Units { under_way: 2, shipped: 1, ..units(3, 3, 0) }, [0, 0, 1, 0]);
}

#[test]
fn units_cancelled_before_shipping_are_released() {
    check(Units { cancel: 1, ..units(3, 2, 2) }, [1, 0, 0, 0]);
    check(Units { cancel: 3, ..units(3, 0, 0) }, [3, 0, 0, 0]);
    check(Units { cancel: 2, shipped: 1, ..units(3, 1, 0) }, [2, 0, 1, 0]);
    // The retired formula `quantity - max(refunded, fulfilled)` says two are still fulfillable; the row knows better.
    check(Units { cancel: 1, shipped: 1, ..units(3, 2, 2) }, [1, 0, 1, 0]);
}

#[test]
fn units_taken_off_without_restock_are_written_off_once_they_will_not_be_shipped() {
    // Refunded, and still to be shipped: the buyer keeps the goods.
    check(units(1, 0, 1), [0, 0, 0, 0]);
    // Refunded and removed: not there.
    check(units(1, 0, 0), [0, 1, 0, 0]);
    check(units(3, 1, 1), [0, 2, 0, 0]);
    check(Units { cancel: 1, ..units(3, 1, 1) }, [1, 1, 0, 0]);
    check(Units { cancel: 1, shipped: 1, ..units(3, 1, 0) }, [1, 1, 1, 0]);
}

#[test]
fn units_refunded_after_shipping_come_back_only_if_restocked() {
    check(Units { shipped: 2, back: 1, ..units(2, 1, 0) }, [0, 0, 2, 1]);
    check(Units { shipped: 2, back: 2, ..units(2, 0, 0) }, [0, 0, 2, 2]);
    // Money back, goods kept. Nothing moves.
    check(Units { shipped: 2, ..units(2, 1, 0) }, [0, 0, 2, 0]);
    check(Units { shipped: 2, back: 1, ..units(2, 0, 0) }, [0, 0, 2, 1]);
    // One of two shipped and refunded without coming back; the other is still to be shipped.
    check(Units { shipped: 1, ..units(2, 1, 1) }, [0, 0, 1, 0]);
    // The same, and the other was cancelled.
    check(Units { shipped: 1, cancel: 1, ..units(2, 0, 0) }, [1, 0, 1, 0]);
    // The same, and the other was taken off because it is not there.
    check(Units { shipped: 1, ..units(2, 0, 0) }, [0, 1, 1, 0]);
}

#[test]
fn a_restock_that_does_not_fit_its_units_is_still_a_restock() {
    // Recorded: a refund of type RETURN on an order of which nothing was shipped.
    check(Units { back: 1, ..units(2, 1, 1) }, [1, 0, 0, 0]);
    check(Units { back: 2, shipped: 1, ..units(2, 0, 0) }, [1, 0, 1, 1]);
    check(Units { cancel: 1, shipped: 2, ..units(2, 1, 0) }, [0, 0, 2, 1]);
    // The fulfillment was cancelled after the goods had come back.
    check(Units { back: 1, ..units(1, 0, 0) }, [1, 0, 0, 0]);
}

#[test]
fn a_legacy_restock_goes_to_the_units_that_it_can_be_about() {
    check(Units { legacy: 1, ..units(2, 1, 1) }, [1, 0, 0, 0]);
    check(Units { legacy: 1, shipped: 2, ..units(2, 1, 0) }, [0, 0, 2, 1]);
    check(Units { legacy: 2, shipped: 1, ..units(2, 0, 0) }, [1, 0, 1, 1]);
    check(Units { legacy: 1, ..units(1, 0, 1) }, [1, 0, 0, 0]);
}

#[test]
fn an_edit_that_left_no_row_is_not_believed_to_have_restocked() {
    // Recorded: quantity 3 set to 1 by an edit.
    check(units(3, 1, 1), [0, 2, 0, 0]);
    // Recorded: a line set to 0 by an edit.
    check(units(1, 0, 0), [0, 1, 0, 0]);
}

#[test]
fn a_push_without_the_row_of_an_edit_concludes_nothing() {
    let pushed = |units| Units { settled: false, ..units };
    check(pushed(units(3, 1, 1)), [0, 0, 0, 0]);
    check(pushed(Units { rows: 1, ..units(3, 1, 1) }), [0, 1, 0, 0]);
    check(pushed(Units { cancel: 1, rows: 1, ..units(3, 1, 1) }), [1, 0, 0, 0]);
    check(pushed(Units { cancel: 1, rows: 2, ..units(3, 1, 1) }), [1, 1, 0, 0]);
    check(pushed(Units { shipped: 1, ..units(2, 1, 0) }), [0, 0, 1, 0]);
}

#[test]
fn a_cancelled_order_without_rows_is_given_up_only_when_it_was_fetched() {
    let cancelled = |settled| Units { cancelled: true, settled, ..units(2, 2, 0) };
    check(cancelled(false), [0, 0, 0, 0]);
    check(cancelled(true), [0, 2, 0, 0]);
    check(Units { cancelled: true, cancel: 1, ..units(2, 1, 0) }, [1, 1, 0, 0]);
    check(Units { cancelled: true, shipped: 1, ..units(2, 2, 0) }, [0, 1, 1, 0]);
    // Cancelled, yet still to be shipped: contradictory, so nothing is concluded (the documented sample is like this).
    check(Units { cancelled: true, ..units(2, 2, 2) }, [0, 0, 0, 0]);
}

#[test]
fn records_that_contradict_each_other_never_make_more_than_was_ordered() {
    check(Units { shipped: 5, ..units(2, 2, 0) }, [0, 0, 2, 0]);
    check(Units { cancel: 9, ..units(2, 0, 0) }, [2, 0, 0, 0]);
    check(Units { cancel: 9, back: 9, legacy: 9, shipped: 1, ..units(2, 0, 0) }, [1, 0, 1, 1]);
    check(Units { fulfillable: 9, ..units(2, 2, 9) }, [0, 0, 0, 0]);
    check(units(0, 0, 0), [0, 0, 0, 0]);
}

proptest! {
    #[test]
    fn totals_never_exceed_what_they_are_part_of(
        n in proptest::array::uniform9(0_i64..6),
        [cancelled, settled] in any::<[bool; 2]>(),
    ) {
        let [ordered, current, fulfillable, shipped, under_way, cancel, back, legacy, no] = n;
        let rows = cancel + back + legacy + no;
        let units = Units {
            ordered, current, fulfillable, shipped, under_way, cancel, back, legacy, rows, cancelled, settled,
        };
        let t = units.totals();
        let [released, written_off, fulfilled, returned] =
            [t.released, t.written_off, t.fulfilled, t.returned].map(Quantity::units);
        prop_assert!([released, written_off, fulfilled, returned].iter().all(|n| *n >= 0), "{:?}", t);
        prop_assert!(released + written_off + fulfilled <= ordered, "{:?}", t);
        prop_assert!(returned <= fulfilled, "{:?}", t);
        // Nothing is put on sale without a row that says so.
        prop_assert!(released + returned <= cancel + back + legacy, "{:?}", t);
    }

    #[test]
    fn no_json_makes_it_panic(json in any_json()) {
        if let Ok((order, _)) = graphql::order(&json) {
            let _snapshot = order.snapshot(Told::Fetched, &one());
        }
        if let Ok(Pushed::Whole(order)) = rest::order(json.to_string().as_bytes()) {
            let _snapshot = (order.snapshot(Told::Pushed, &one()), order.is_halfway());
        }
        let _id = id_of(&json);
    }

    #[test]
    fn no_damaged_order_makes_it_panic(fetched in mutated(fetched()), pushed in mutated(pushed())) {
        if let Ok((order, _)) = graphql::order(&fetched) {
            let _snapshot = order.snapshot(Told::Fetched, &one());
        }
        if let Ok(Pushed::Whole(order)) = rest::order(pushed.to_string().as_bytes()) {
            let _snapshot = (order.snapshot(Told::Pushed, &one()), order.is_halfway());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _order = rest::order(&body);
    }
}

/// One order as a query tells it: two units of one line shipped of four, one cancelled, one sent back.
pub(in crate::connectors::shopify) fn fetched() -> Value {
    let done = json!({"hasNextPage": false, "endCursor": null});
    json!({
        "id": "gid://shopify/Order/9407199254740993", "name": "#1001",
        "createdAt": "2026-06-25T01:33:55Z", "updatedAt": "2026-06-26T01:33:55Z", "cancelledAt": null,
        "lineItems": {"pageInfo": done, "nodes": [
            {"id": "gid://shopify/LineItem/9507199254740993", "sku": "TSHIRT-BL-M", "isGiftCard": false,
             "quantity": 4, "currentQuantity": 2, "fulfillableQuantity": 1,
             "variant": {"id": "gid://shopify/ProductVariant/9207199254740993",
                         "inventoryItem": {"id": "gid://shopify/InventoryItem/9307199254740993"}}},
            {"id": "gid://shopify/LineItem/2", "sku": null, "isGiftCard": false, "quantity": 1,
             "currentQuantity": 1, "fulfillableQuantity": 0, "variant": null},
        ]},
        "fulfillments": [
            {"id": "gid://shopify/Fulfillment/1", "status": "SUCCESS", "fulfillmentLineItems": {"pageInfo": done,
             "nodes": [{"quantity": 2, "lineItem": {"id": "gid://shopify/LineItem/9507199254740993"}}]}},
            {"id": "gid://shopify/Fulfillment/2", "status": "CANCELLED", "fulfillmentLineItems": {"pageInfo": done,
             "nodes": [{"quantity": 1, "lineItem": {"id": "gid://shopify/LineItem/9507199254740993"}}]}},
        ],
        "refunds": [{"id": "gid://shopify/Refund/1", "refundLineItems": {"pageInfo": done, "nodes": [
            {"quantity": 1, "restockType": "CANCEL", "lineItem": {"id": "gid://shopify/LineItem/9507199254740993"}},
            {"quantity": 1, "restockType": "RETURN", "lineItem": {"id": "gid://shopify/LineItem/9507199254740993"}},
        ]}}],
    })
}

/// The same order as a webhook tells it, with a buyer who must not be kept.
pub(in crate::connectors::shopify) fn pushed() -> Value {
    json!({
        "id": 9_407_199_254_740_993_u64, "name": "#1001", "email": "jon@example.com", "note": "ring twice",
        "created_at": "2026-06-24T21:33:55-04:00", "updated_at": "2026-06-25T21:33:55-04:00", "cancelled_at": null,
        "shipping_address": {"name": "Jon Example", "phone": "555-0100"},
        "line_items": [
            {"id": 9_507_199_254_740_993_u64, "sku": "TSHIRT-BL-M", "gift_card": false, "quantity": 4,
             "current_quantity": 2, "fulfillable_quantity": 1, "variant_id": 9_207_199_254_740_993_u64},
            {"id": 2, "sku": "", "gift_card": false, "quantity": 1, "current_quantity": 1,
             "fulfillable_quantity": 0, "variant_id": null},
        ],
        "fulfillments": [
            {"status": "success", "line_items": [{"id": 9_507_199_254_740_993_u64, "quantity": 2}]},
            {"status": "cancelled", "line_items": [{"id": 9_507_199_254_740_993_u64, "quantity": 1}]},
        ],
        "refunds": [{"refund_line_items": [
            {"line_item_id": 9_507_199_254_740_993_u64, "quantity": 1, "restock_type": "cancel"},
            {"line_item_id": 9_507_199_254_740_993_u64, "quantity": 1, "restock_type": "return"},
        ]}],
    })
}

fn whole(body: &Value) -> Order {
    match rest::order(body.to_string().as_bytes()).expect("it can be read") {
        Pushed::Whole(order) => order,
        Pushed::Partial(id) => panic!("{id} is partial"),
    }
}

#[test]
fn both_shapes_of_an_order_give_the_same_snapshot() {
    let (order, more) = graphql::order(&fetched()).expect("it can be read");
    assert_eq!(more, []);
    let fetched = order.snapshot(Told::Fetched, &one()).expect("it can be read");
    let mut pushed = whole(&pushed()).snapshot(Told::Pushed, &one()).expect("it can be read");
    // A webhook does not tell the inventory item.
    assert_eq!(pushed.lines[0].ids.to_string(), "channel_sku=TSHIRT-BL-M variant=9207199254740993");
    pushed.lines[0].ids = pushed.lines[0].ids.and(&fetched.lines[0].ids);
    assert_eq!(pushed, fetched);

    let totals = fetched.lines[0].totals;
    let got = [totals.ordered, totals.released, totals.written_off, totals.fulfilled, totals.returned];
    assert_eq!(got.map(Quantity::units), [4, 1, 0, 2, 1]);
    assert_eq!(fetched.order.as_str(), "9407199254740993");
    assert_eq!(fetched.lines[0].line.as_str(), "9507199254740993");
    assert_eq!(
        (fetched.placed_at.millis(), fetched.version.millis()),
        (1_782_351_235_000, 1_782_437_635_000)
    );
    let ids = "channel_sku=TSHIRT-BL-M variant=9207199254740993 inventory_item=9307199254740993";
    assert_eq!(fetched.lines[0].ids.to_string(), ids);
}

/// An order of four units of one line, all still to be shipped: fulfillment orders as (number, status, location, remaining).
fn routed(routes: &[(u64, &str, u64, i64)]) -> Value {
    let done = json!({"hasNextPage": false, "endCursor": null});
    let mut order = fetched();
    order["lineItems"]["nodes"].as_array_mut().expect("a list").truncate(1);
    order["lineItems"]["nodes"][0]["currentQuantity"] = json!(4);
    order["lineItems"]["nodes"][0]["fulfillableQuantity"] = json!(4);
    (order["fulfillments"], order["refunds"]) = (json!([]), json!([]));
    let line = json!({"id": "gid://shopify/LineItem/9507199254740993"});
    let nodes: Vec<Value> = routes
        .iter()
        .map(|(number, status, location, remaining)| {
            json!({
                "id": format!("gid://shopify/FulfillmentOrder/{number}"), "status": status,
                "updatedAt": "2026-06-27T01:33:55Z",
                "assignedLocation": {"location": {"id": format!("gid://shopify/Location/{location}")}},
                "lineItems": {"pageInfo": done, "nodes": [{"remainingQuantity": remaining, "lineItem": line}]},
            })
        })
        .collect();
    order["fulfillmentOrders"] = json!({"pageInfo": done, "nodes": nodes});
    order
}

/// Returns where units lie: `place: ordered released written_off fulfilled returned`, those with most to be shipped first.
fn placed(order: &Value) -> Vec<String> {
    placed_after(std::slice::from_ref(order))
}

/// Returns where units lie by what was read, one after another.
fn placed_after(reads: &[Value]) -> Vec<String> {
    let (mut order, mut last) = (crate::core::order::Order::default(), Vec::new());
    for (begun, read) in (1..).zip(reads) {
        let (read, more) = graphql::order(read).expect("it can be read");
        assert_eq!(more, []);
        let snapshot = read.snapshot(Told::Fetched, &two()).expect("it can be read");
        last = snapshot.lines[0].places.iter().map(|(place, _)| place.clone()).collect();
        order.merge(&snapshot, Seen::Fetched { begun: Seq(begun) }, Seq(100));
    }
    let line = order.lines.values().next().expect("it has a line");
    let mut places = order.places(line).expect("small");
    let nth = |place: &LocationId| last.iter().position(|known| known == place).unwrap_or(usize::MAX);
    places.sort_by_key(|(place, _)| (nth(place), place.clone()));
    let told = |(place, t): &(LocationId, Totals)| {
        let units = [t.ordered, t.released, t.written_off, t.fulfilled, t.returned].map(Quantity::units);
        format!("{place}: {}", units.map(|n| n.to_string()).join(" "))
    };
    places.iter().map(told).collect()
}

#[test]
fn units_lie_where_fulfillment_orders_fulfillments_and_refunds_say() {
    #[track_caller]
    fn check(routes: &[(u64, &str, u64, i64)], change: impl FnOnce(&mut Value), want: &[&str]) {
        let mut order = routed(routes);
        change(&mut order);
        assert_eq!(placed(&order), want);
    }
    let done = || json!({"hasNextPage": false, "endCursor": null});
    let line = || json!({"id": "gid://shopify/LineItem/9507199254740993"});
    let at = |n: u64| json!({"id": format!("gid://shopify/Location/{n}")});
    let line_of = |order: &mut Value, current: i64, fulfillable: i64| {
        order["lineItems"]["nodes"][0]["currentQuantity"] = json!(current);
        order["lineItems"]["nodes"][0]["fulfillableQuantity"] = json!(fulfillable);
    };
    let ship = |order: &mut Value, place: u64, quantity: i64| {
        order["fulfillments"] = json!([{"id": "gid://shopify/Fulfillment/1", "status": "SUCCESS",
            "location": at(place), "fulfillmentLineItems": {"pageInfo": done(),
            "nodes": [{"quantity": quantity, "lineItem": line()}]}}]);
    };
    let refund = |order: &mut Value, kind: &str, place: Option<u64>, quantity: i64| {
        order["refunds"] = json!([{"id": "gid://shopify/Refund/1", "refundLineItems": {"pageInfo": done(),
            "nodes": [{"quantity": quantity, "restockType": kind, "location": place.map(at), "lineItem": line()}]}}]);
    };
    check(&[(1, "OPEN", 5, 4)], |_| {}, &["main: 4 0 0 0 0"]);
    check(&[(1, "OPEN", 6, 4)], |_| {}, &["store: 4 0 0 0 0"]);
    // Split by the routing, or by a person who moved a part.
    check(&[(1, "OPEN", 5, 1), (2, "ON_HOLD", 6, 3)], |_| {}, &["store: 3 0 0 0 0", "main: 1 0 0 0 0"]);
    // Moved whole: the first is closed.
    check(&[(1, "CLOSED", 5, 4), (2, "OPEN", 6, 4)], |_| {}, &["store: 4 0 0 0 0"]);
    // A location that is not configured: what lies there is left out.
    check(&[(1, "OPEN", 7, 3), (2, "CLOSED", 5, 0)], |_| {}, &["main: 4 0 0 0 0"]);
    check(&[(1, "OPEN", 5, 1), (2, "OPEN", 7, 3)], |_| {}, &["main: 1 0 0 0 0"]);
    // Two shipped from one place, two still to be shipped from another.
    let shipped = |order: &mut Value| {
        line_of(order, 4, 2);
        ship(order, 6, 2);
    };
    check(&[(1, "CLOSED", 6, 0), (2, "OPEN", 5, 2)], shipped, &["main: 2 0 0 0 0", "store: 2 0 0 2 0"]);
    // All were to be shipped from one place, and came from the other.
    let elsewhere = |order: &mut Value| {
        line_of(order, 4, 0);
        ship(order, 6, 4);
    };
    check(&[(1, "CLOSED", 5, 0)], elsewhere, &["store: 4 0 0 4 0"]);
    // One cancelled and restocked, one not there.
    let cancelled = |order: &mut Value| {
        line_of(order, 3, 3);
        refund(order, "CANCEL", Some(6), 1);
    };
    check(&[(1, "OPEN", 6, 3)], cancelled, &["store: 4 1 0 0 0"]);
    let lost = |order: &mut Value| {
        line_of(order, 3, 3);
        refund(order, "NO_RESTOCK", None, 1);
    };
    check(&[(1, "OPEN", 6, 3)], lost, &["store: 4 0 1 0 0"]);
    // Shipped from one place, sent back to the other.
    let back = |order: &mut Value| {
        line_of(order, 3, 0);
        ship(order, 5, 4);
        refund(order, "RETURN", Some(6), 1);
    };
    check(&[(1, "CLOSED", 5, 0)], back, &["main: 4 0 0 4 0", "store: 0 0 0 0 1"]);
    // Sold over the counter: there may be no fulfillment order.
    let counter = |order: &mut Value| order["retailLocation"] = at(6);
    check(&[], counter, &["store: 4 0 0 0 0"]);
    check(&[], |_| {}, &[]);
}

/// An order of four units: fulfillment orders as in [`routed`], shipments (location, units), and refunds (type, location, units). How many
/// are still on it, and how many of them are to be shipped.
fn changed(
    routes: &[(u64, &str, u64, i64)],
    shipped: &[(u64, i64)],
    refunds: &[(&str, Option<u64>, i64)],
    [current, fulfillable]: [i64; 2],
) -> Value {
    let done = json!({"hasNextPage": false, "endCursor": null});
    let line = json!({"id": "gid://shopify/LineItem/9507199254740993"});
    let at = |n: u64| json!({"id": format!("gid://shopify/Location/{n}")});
    let mut order = routed(routes);
    order["lineItems"]["nodes"][0]["currentQuantity"] = json!(current);
    order["lineItems"]["nodes"][0]["fulfillableQuantity"] = json!(fulfillable);
    let shipped = shipped.iter().zip(1..).map(|((place, units), n)| {
        json!({"id": format!("gid://shopify/Fulfillment/{n}"), "status": "SUCCESS", "location": at(*place),
               "fulfillmentLineItems": {"pageInfo": done, "nodes": [{"quantity": units, "lineItem": line}]}})
    });
    order["fulfillments"] = shipped.collect();
    let refunds = refunds.iter().zip(1..).map(|((kind, place, units), n)| {
        json!({"id": format!("gid://shopify/Refund/{n}"), "refundLineItems": {"pageInfo": done, "nodes": [
            {"quantity": units, "restockType": kind, "location": place.map(at), "lineItem": line}]}})
    });
    order["refunds"] = refunds.collect();
    order
}

#[test]
fn a_refund_concerns_the_units_where_they_were() {
    #[track_caller]
    fn check(reads: &[Value], want: &[&str]) {
        assert_eq!(placed_after(reads), want);
    }
    let placed = || changed(&[(1, "OPEN", 5, 4)], &[], &[], [4, 4]);
    let moved = || changed(&[(1, "OPEN", 5, 2), (2, "OPEN", 6, 2)], &[], &[], [4, 4]);
    // Two were moved, those and one of the others are shipped, and the last is not there.
    let three = [(6, 2), (5, 1)];
    let gone = |refund| changed(&[(1, "CLOSED", 5, 0), (2, "CLOSED", 6, 0)], &three, &[refund], [3, 0]);
    let lost = || gone(("NO_RESTOCK", None, 1));
    let (main, store) = ("main: 2 0 1 1 0", "store: 2 0 0 2 0");
    check(&[placed(), moved(), lost()], &[main, store]);
    check(&[placed(), moved(), lost(), lost()], &[main, store]);
    check(&[placed(), lost()], &[main, store]);
    // Nobody has read it before.
    check(&[lost()], &["main: 1 0 0 1 0", "store: 3 0 1 2 0"]);
    // The refund names where it was.
    check(&[gone(("NO_RESTOCK", Some(5), 1))], &[main, store]);
    // The same unit is free again: where it is restocked, if that is named, and else where it was.
    check(&[placed(), moved(), gone(("CANCEL", Some(5), 1))], &["main: 2 1 0 1 0", store]);
    check(&[placed(), moved(), gone(("CANCEL", Some(6), 1))], &["main: 1 0 0 1 0", "store: 3 1 0 2 0"]);
    check(&[placed(), moved(), gone(("CANCEL", None, 1))], &["main: 2 1 0 1 0", store]);
    check(&[placed(), moved(), gone(("LEGACY_RESTOCK", Some(5), 1))], &["main: 2 1 0 1 0", store]);
    check(&[placed(), moved(), gone(("LEGACY_RESTOCK", None, 1))], &["main: 2 1 0 1 0", store]);
}

#[test]
fn a_refund_of_units_that_were_shipped_moves_what_comes_back_and_nothing_else() {
    #[track_caller]
    fn check(refunds: &[(&str, Option<u64>, i64)], want: &[&str]) {
        let routes = [(1, "CLOSED", 5, 0), (2, "CLOSED", 6, 0)];
        let units: i64 = refunds.iter().map(|(.., units)| units).sum();
        let order = changed(&routes, &[(5, 3), (6, 1)], refunds, [4 - units, 0]);
        assert_eq!(placed(&order), want);
    }
    check(&[("NO_RESTOCK", None, 2)], &["main: 3 0 0 3 0", "store: 1 0 0 1 0"]);
    check(&[("NO_RESTOCK", Some(5), 2)], &["main: 3 0 0 3 0", "store: 1 0 0 1 0"]);
    check(&[("RETURN", Some(6), 2)], &["main: 3 0 0 3 0", "store: 1 0 0 1 2"]);
    check(&[("RETURN", None, 2)], &["main: 3 0 0 3 2", "store: 1 0 0 1 0"]);
    check(&[("RETURN", None, 4)], &["main: 3 0 0 3 3", "store: 1 0 0 1 1"]);
    check(&[("LEGACY_RESTOCK", Some(5), 1)], &["main: 3 0 0 3 1", "store: 1 0 0 1 0"]);
    check(&[("LEGACY_RESTOCK", None, 1)], &["main: 3 0 0 3 1", "store: 1 0 0 1 0"]);
    // A restock that is said to be of unshipped units, of which there are none.
    check(&[("CANCEL", Some(6), 1)], &["main: 3 0 0 3 0", "store: 1 0 0 1 1"]);
}

#[test]
fn a_return_of_units_that_were_never_shipped_is_free_again_where_it_was_restocked() {
    let order =
        |at: Option<u64>| changed(&[(1, "OPEN", 5, 2), (2, "OPEN", 6, 1)], &[], &[("RETURN", at, 1)], [3, 3]);
    assert_eq!(placed(&order(Some(6))), ["main: 2 0 0 0 0", "store: 2 1 0 0 0"]);
    assert_eq!(placed(&order(Some(5))), ["main: 3 1 0 0 0", "store: 1 0 0 0 0"]);
    // A location that is not configured: where it was, as far as that was read.
    let before = changed(&[(1, "OPEN", 5, 3), (2, "OPEN", 6, 1)], &[], &[], [4, 4]);
    assert_eq!(placed_after(&[before, order(Some(7))]), ["main: 3 1 0 0 0", "store: 1 0 0 0 0"]);
}

#[test]
fn an_order_of_which_all_was_taken_off_lay_where_it_was() {
    let routes = [(1, "CLOSED", 5, 0), (2, "CLOSED", 6, 0)];
    let cancelled = changed(&routes, &[], &[("NO_RESTOCK", None, 4)], [0, 0]);
    let moved = changed(&[(1, "OPEN", 5, 3), (2, "OPEN", 6, 1)], &[], &[], [4, 4]);
    assert_eq!(placed_after(&[moved, cancelled.clone()]), ["main: 3 0 3 0 0", "store: 1 0 1 0 0"]);
    assert_eq!(placed(&cancelled), ["store: 4 0 4 0 0"]);
}

#[test]
fn an_order_that_is_shipped_from_elsewhere_is_newer_for_it_and_a_push_says_nothing_of_places() {
    let (order, _) = graphql::order(&routed(&[(1, "OPEN", 6, 4)])).expect("it can be read");
    let snapshot = order.snapshot(Told::Fetched, &two()).expect("it can be read");
    assert_eq!(snapshot.version.millis(), order.updated_at.millis() + 86_400_000);
    assert_eq!(snapshot.lines[0].location.as_ref().map(|place| place.as_str()), Some("store"));
    // With one place, none is told.
    let single = order.snapshot(Told::Fetched, &one()).expect("it can be read");
    assert_eq!((single.lines[0].location.as_ref(), single.lines[0].places.len()), (None, 0));

    let push = whole(&pushed());
    assert_eq!((push.is_unplaced(&one()), push.is_unplaced(&two())), (false, true));
    assert_eq!(push.snapshot(Told::Pushed, &two()).expect("it can be read").lines[0].places, []);
    let mut counter = pushed();
    counter["location_id"] = json!(6);
    let push = whole(&counter);
    assert!(!push.is_unplaced(&two()), "sold over the counter there");
    assert_eq!(push.snapshot(Told::Pushed, &two()).expect("it can be read").lines[0].places.len(), 1);
}

#[test]
fn further_pages_of_where_units_are_shipped_from_are_named_and_added() {
    let more = json!({"hasNextPage": true, "endCursor": "c"});
    let done = json!({"hasNextPage": false});
    let mut node = routed(&[(1, "OPEN", 6, 1)]);
    node["fulfillmentOrders"]["pageInfo"] = more.clone();
    node["fulfillmentOrders"]["nodes"][0]["lineItems"]["pageInfo"] = more;
    let (mut order, open) = graphql::order(&node).expect("it can be read");
    let named: Vec<(&str, &str)> = open.iter().map(|more| (more.of.field(), more.gid.as_str())).collect();
    let wanted = [
        ("order", "gid://shopify/Order/9407199254740993"),
        ("fulfillmentOrder", "gid://shopify/FulfillmentOrder/1"),
    ];
    assert_eq!(named, wanted);
    let line = json!({"id": "gid://shopify/LineItem/9507199254740993"});
    let page = json!({"fulfillmentOrder": {"more": {"pageInfo": done, "nodes": [
        {"remainingQuantity": 1, "lineItem": line}]}}});
    assert_eq!(order.add(&open[1], &page), Ok(Vec::new()));
    let routes = routed(&[(2, "OPEN", 5, 2)])["fulfillmentOrders"].clone();
    assert_eq!(order.add(&open[0], &json!({"order": {"more": routes}})), Ok(Vec::new()));
    let snapshot = order.snapshot(Told::Fetched, &two()).expect("it can be read");
    let places = snapshot.lines[0].places.iter().map(|(place, t)| format!("{place} {}", t.ordered));
    assert_eq!(places.collect::<Vec<_>>(), ["main 2", "store 2"]);
}

#[test]
fn nothing_of_the_buyer_is_kept() {
    let text = format!("{:?}", whole(&pushed()));
    for secret in ["jon", "Jon", "555", "ring"] {
        assert!(!text.contains(secret), "{text}");
    }
    let mut odd = pushed();
    odd["line_items"][0]["id"] = json!("jon@example.com");
    let error = rest::order(odd.to_string().as_bytes()).expect_err("it cannot be read");
    assert_eq!(error, "`line_items[0].id`: is of an unexpected type or size");
}

#[test]
fn lines_that_are_not_about_stock_are_left_out() {
    #[track_caller]
    fn check(sku: Option<&str>, variant: Option<u64>, gift_card: bool, want: Option<&str>) {
        let mut order = whole(&pushed());
        order.lines.truncate(1);
        let line = &mut order.lines[0];
        (line.sku, line.variant, line.gift_card) = (sku.map(str::to_owned), variant, gift_card);
        let snapshot = order.snapshot(Told::Pushed, &one()).expect("it can be read");
        let ids: Vec<String> = snapshot.lines.iter().map(|line| line.ids.to_string()).collect();
        assert_eq!(ids, Vec::from_iter(want));
    }
    check(Some("A"), Some(1), false, Some("channel_sku=A variant=1"));
    // The product was deleted since, or the line was typed in with a SKU.
    check(Some("A"), None, false, Some("channel_sku=A"));
    check(None, Some(1), false, Some("variant=1"));
    check(Some("a\tb"), Some(1), false, Some("variant=1"));
    check(None, None, false, None);
    check(Some(""), None, false, None);
    check(None, Some(1), true, None);
    check(Some("CARD"), Some(1), true, Some("channel_sku=CARD variant=1"));
}

#[test]
fn an_order_that_cannot_be_read_whole_is_not_read_in_part() {
    #[track_caller]
    fn check(change: fn(&mut Order), why: &str) {
        let mut order = whole(&pushed());
        change(&mut order);
        let error = order.snapshot(Told::Pushed, &one()).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
    check(|order| order.lines[0].quantity = -1, "`quantity`");
    check(|order| order.lines[0].quantity = Quantity::LIMIT + 1, "`quantity`");
    check(|order| order.shipped[0].quantity = -1, "`fulfilled quantity`");
    check(|order| order.refunded[0].quantity = i64::MIN, "`refunded quantity`");
    check(|order| order.lines[1] = order.lines[0].clone(), "twice");
    check(
        |order| {
            order.lines[0].variant = None;
            order.lines[0].sku = Some("a\tb".to_owned());
        },
        "`channel_sku`",
    );
}

#[test]
fn pages_that_were_not_in_the_answer_are_named_and_added() {
    let mut node = fetched();
    let more = json!({"hasNextPage": true, "endCursor": "c"});
    node["lineItems"]["pageInfo"] = more.clone();
    node["fulfillments"][0]["fulfillmentLineItems"]["pageInfo"] = more.clone();
    node["refunds"][0]["refundLineItems"]["pageInfo"] = more.clone();
    let (mut order, open) = graphql::order(&node).expect("it can be read");
    let named: Vec<(&str, &str)> = open.iter().map(|more| (more.of.field(), more.gid.as_str())).collect();
    let wanted = [
        ("order", "gid://shopify/Order/9407199254740993"),
        ("fulfillment", "gid://shopify/Fulfillment/1"),
        ("refund", "gid://shopify/Refund/1"),
    ];
    assert_eq!(named, wanted);

    let line = json!({"id": "gid://shopify/LineItem/9507199254740993"});
    let done = json!({"hasNextPage": false});
    let page =
        json!({"fulfillment": {"more": {"pageInfo": more, "nodes": [{"quantity": 1, "lineItem": line}]}}});
    assert_eq!(order.add(&open[1], &page), Ok(vec![More { after: "c".to_owned(), ..open[1].clone() }]));
    let page = json!({"refund": {"more": {"pageInfo": done, "nodes": [
        {"quantity": 1, "restockType": "RETURN", "lineItem": line}]}}});
    assert_eq!(order.add(&open[2], &page), Ok(Vec::new()));
    let totals = order.snapshot(Told::Fetched, &one()).expect("it can be read").lines[0].totals;
    assert_eq!((totals.fulfilled.units(), totals.returned.units()), (3, 2));
    assert!(order.add(&open[0], &page).is_err(), "the page of another kind is not taken");
}

#[test]
fn a_push_without_the_needed_fields_only_says_which_order_it_is_about() {
    for field in ["line_items", "fulfillments", "refunds"] {
        let mut body = pushed();
        body.as_object_mut().expect("an object").remove(field);
        let read = rest::order(body.to_string().as_bytes()).expect("it can be read");
        assert_eq!(read, Pushed::Partial(9_407_199_254_740_993));
    }
}

#[test]
fn a_push_in_the_middle_of_an_edit_asks_to_be_fetched() {
    let mut order = whole(&pushed());
    assert!(!order.is_halfway());
    order.lines[0].fulfillable = Some(0);
    order.lines[0].current = Some(1);
    assert!(order.is_halfway());
    let line = order.lines[0].id;
    order.refunded.push(Refunded { line, quantity: 1, location: None, restock: Restock::No });
    assert!(!order.is_halfway());
}

#[test]
fn a_push_in_the_middle_of_a_cancellation_asks_to_be_fetched() {
    #[track_caller]
    fn check(change: fn(&mut Order), want: bool) {
        let mut order = whole(&pushed());
        order.cancelled = true;
        change(&mut order);
        assert_eq!(order.is_halfway(), want);
    }
    check(|_| {}, true);
    check(|order| order.cancelled = false, false);
    check(
        |order| {
            let line = order.lines[0].id;
            order.refunded.push(Refunded { line, quantity: 1, location: None, restock: Restock::Cancel })
        },
        false,
    );
}

#[test]
fn times_are_read_with_their_offset_and_written_by_the_second() {
    assert_eq!(time("2021-12-31T19:00:00-05:00"), Ok(Timestamp::from_millis(1_640_995_200_000)));
    assert!(time("yesterday").is_err());
    assert_eq!(search_time(Timestamp::from_millis(1_640_995_200_999)), "2022-01-01T00:00:00Z");
    assert_eq!(search_time(Timestamp::from_millis(-5)), "1970-01-01T00:00:00Z");
    assert_eq!(search_time(Timestamp::MAX), "9999-12-30T22:00:00Z");
}

/// The components of two of the shop's own bundles, and one of them sold by itself too, as a query tells it. `group`: what a
/// line says of the bundle.
fn bundled(group: impl Fn(u64, u64) -> [Value; 2]) -> [Value; 2] {
    let done = json!({"hasNextPage": false, "endCursor": null});
    let lines = [(1, "A", Some(7), 2), (2, "B", Some(7), 4), (3, "A", None, 1), (4, "A", Some(8), 1)];
    let line = |(id, sku, of, quantity): (u64, &str, Option<u64>, i64)| {
        let [fetched, pushed] = of.map_or([Value::Null, Value::Null], |of| group(of, id));
        let variant = 100 + sku.len() as u64;
        let both = json!({"sku": sku, "quantity": quantity});
        let mut one = json!({
            "id": format!("gid://shopify/LineItem/{id}"), "isGiftCard": false, "currentQuantity": quantity,
            "fulfillableQuantity": quantity, "lineItemGroup": fetched,
            "variant": {"id": format!("gid://shopify/ProductVariant/{variant}"), "inventoryItem": null},
        });
        let mut other = json!({
            "id": id, "gift_card": false, "current_quantity": quantity, "fulfillable_quantity": quantity,
            "sales_line_item_group_id": pushed, "variant_id": variant,
        });
        for told in [&mut one, &mut other] {
            told.as_object_mut().expect("an object").extend(both.as_object().cloned().expect("an object"));
        }
        [one, other]
    };
    let (one, other): (Vec<Value>, Vec<Value>) = lines.map(line).into_iter().map(|[a, b]| (a, b)).unzip();
    let (mut fetched, mut pushed) = (fetched(), pushed());
    fetched["lineItems"] = json!({"pageInfo": done, "nodes": one});
    (fetched["fulfillments"], fetched["refunds"]) = (json!([]), json!([]));
    pushed["line_items"] = json!(other);
    pushed["line_item_groups"] = json!([{"id": 7, "title": "Set", "quantity": 2, "variant_sku": "SET"}]);
    (pushed["fulfillments"], pushed["refunds"]) = (json!([]), json!([]));
    [fetched, pushed]
}

#[test]
fn the_components_of_the_shops_own_bundles_are_lines_like_any_other() {
    let of_bundle = |of: u64, _: u64| {
        let group = json!({"id": format!("gid://shopify/LineItemGroup/{of}"), "title": "Set", "quantity": 2,
                           "variantId": "gid://shopify/ProductVariant/99", "variantSku": "SET"});
        [group, json!(of)]
    };
    let [fetched, pushed] = bundled(of_bundle);
    let (order, more) = graphql::order(&fetched).expect("it can be read");
    assert_eq!(more, []);
    let fetched = order.snapshot(Told::Fetched, &one()).expect("it can be read");
    let pushed = whole(&pushed).snapshot(Told::Pushed, &one()).expect("it can be read");
    for (told, how) in [(fetched, "fetched"), (pushed, "pushed")] {
        let got = told.lines.iter().map(|l| (l.ids.get(IdKind::Sku), l.totals.ordered.units()));
        let want = [("A", 2), ("B", 4), ("A", 1), ("A", 1)].map(|(sku, units)| (Some(sku), units));
        assert_eq!(got.collect::<Vec<_>>(), want, "{how}: the bundle itself is no line");
    }
}

#[test]
fn the_documented_sample_is_an_order_of_five_open_lines() {
    let Some(body) = specs::read("shopify/samples/webhook-2026-07-orders__create.json") else { return };
    let Ok(Pushed::Whole(order)) = rest::order(&body) else { panic!("the sample must be read whole") };
    let snapshot = order.snapshot(Told::Pushed, &one()).expect("it can be read");
    let lines: Vec<(String, Totals)> = snapshot.lines.iter().map(|l| (l.ids.to_string(), l.totals)).collect();
    let one = Totals { ordered: Quantity::new(1), ..Totals::default() };
    let skus = ["SKU2006-001", "LENS-PROTECT-2YR", "CASE-LEATHER-PREM", "SKU2006-020", "SKU2006-035"];
    assert_eq!(lines, skus.map(|sku| (format!("channel_sku={sku}"), one)));
    assert_eq!((snapshot.order.as_str(), snapshot.name.as_deref()), ("820982911946154500", Some("#9999")));
    assert_eq!(snapshot.placed_at, Timestamp::from_millis(1_640_995_200_000));
    // The sample says cancelled and fulfillable at once.
    assert!(order.is_halfway());
}
