use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    connectors::{
        shopify::{
            encode::tests::location,
            graphql::{reply, tests::answer},
            tests::{any_json, mutated},
        },
        specs,
    },
    model::Timestamp,
};

fn here() -> Location {
    location("main", 5)
}

/// Reads a whole answer to a call with `entries` quantities.
fn said(body: &Value, entries: usize) -> Said {
    set_quantities(reply(&answer(200, &[], &body.to_string())).data, entries)
}

/// One letter for each entry; `.` stands for one that is to be sent again without the others.
fn letters(said: &Said, entries: usize) -> String {
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
    match said {
        Said::Each(outcomes) => outcomes.iter().map(letter).collect(),
        Said::Blamed(blamed) => (0..entries).map(|n| blamed.get(&n).map_or('.', letter)).collect(),
        Said::Split => "split".to_owned(),
    }
}

/// `errors` as (code, index), read as the answer to three entries.
#[track_caller]
fn check(errors: &[(&str, Option<&str>)], want: &str) {
    let errors: Vec<Value> = errors
        .iter()
        .map(|(code, index)| {
            let field = match index {
                Some(index) => json!(["input", "quantities", index, "changeFromQuantity"]),
                None => json!(["input", "quantities"]),
            };
            json!({"code": code, "field": field, "message": "why"})
        })
        .collect();
    let body = json!({"data": {"inventorySetQuantities": {
        "inventoryAdjustmentGroup": null, "userErrors": errors}}});
    assert_eq!(letters(&said(&body, 3), 3), want, "{errors:?}");
}

#[test]
fn an_error_goes_to_its_entry_and_the_others_are_sent_again() {
    check(&[], "AAA");
    check(&[("CHANGE_FROM_QUANTITY_STALE", Some("1"))], ".S.");
    check(&[("COMPARE_QUANTITY_STALE", Some("2"))], "..S");
    check(&[("INVALID_INVENTORY_ITEM", Some("0"))], "R..");
    check(&[("NON_MUTABLE_INVENTORY_ITEM", Some("0"))], "R..");
    check(&[("ITEM_NOT_STOCKED_AT_LOCATION", Some("0"))], "R..");
    check(&[("A_CODE_OF_TOMORROW", Some("2"))], "..R");
    check(&[("CHANGE_FROM_QUANTITY_STALE", Some("0")), ("INVALID_QUANTITY_TOO_HIGH", Some("2"))], "S.R");
    check(&[("CHANGE_FROM_QUANTITY_STALE", Some("0")), ("INVALID_QUANTITY_TOO_HIGH", Some("0"))], "S..");
    check(&[("CHANGE_FROM_QUANTITY_STALE", Some("1")), ("CHANGE_FROM_QUANTITY_STALE", None)], ".S.");
}

#[test]
fn an_error_without_a_usable_index_makes_it_send_parts() {
    check(&[("CHANGE_FROM_QUANTITY_STALE", None)], "split");
    check(&[("CHANGE_FROM_QUANTITY_STALE", Some("3"))], "split");
    check(&[("CHANGE_FROM_QUANTITY_STALE", Some("-1"))], "split");
    check(&[("CHANGE_FROM_QUANTITY_STALE", Some("x"))], "split");
    check(&[("NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", None)], "split");
}

#[test]
fn an_error_about_the_call_is_everybodys() {
    check(&[("IDEMPOTENCY_CONCURRENT_REQUEST", None)], "???");
    check(&[("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", None)], "???");
    check(&[("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", None)], "NNN");
    check(&[("INVALID_REASON", None)], "RRR");
    check(&[("INVALID_REFERENCE_DOCUMENT", None)], "RRR");
}

/// The code of the error in an answer to a delta -> what became of it.
#[track_caller]
fn check_delta(code: Option<&str>, want: char) {
    let error = |code: &str| json!([{"code": code, "field": ["input", "changes", "0"], "message": "why"}]);
    let errors = code.map_or(json!([]), error);
    let body = json!({"data": {"inventoryAdjustQuantities": {"userErrors": errors}}});
    let outcome = adjust_quantities(reply(&answer(200, &[], &body.to_string())).data);
    assert_eq!(letters(&Said::Each(vec![outcome]), 1), want.to_string(), "{code:?}");
}

#[test]
fn a_delta_is_unknown_unless_the_answer_surely_says_what_became_of_it() {
    check_delta(None, 'A');
    check_delta(Some("INVALID_QUANTITY_TOO_LOW"), 'R');
    check_delta(Some("NON_MUTABLE_INVENTORY_ITEM"), 'R');
    check_delta(Some("INVALID_REASON"), 'R');
    check_delta(Some("IDEMPOTENCY_CONCURRENT_REQUEST"), '?');
    check_delta(Some("IDEMPOTENCY_KEY_PARAMETER_MISMATCH"), '?');
    check_delta(Some("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"), '?');
    check_delta(Some("ADJUST_QUANTITIES_FAILED"), '?');
    check_delta(Some("SERVICE_UNAVAILABLE"), '?');
    let told = |body: &Value| adjust_quantities(reply(&answer(200, &[], &body.to_string())).data);
    for body in [json!({"data": {}}), json!({"data": {"inventoryAdjustQuantities": null}}), json!({})] {
        assert!(matches!(told(&body), Outcome::Unknown { .. }), "{body}");
    }
}

#[test]
fn a_single_entry_takes_every_error_upon_itself() {
    let one = |code: &str, field: Value| {
        let body = json!({"data": {"inventorySetQuantities": {
            "userErrors": [{"code": code, "field": field, "message": "why"}]}}});
        letters(&said(&body, 1), 1)
    };
    assert_eq!(one("CHANGE_FROM_QUANTITY_STALE", Value::Null), "S");
    assert_eq!(one("INVALID_QUANTITY_NEGATIVE", json!([])), "R");
    assert_eq!(one("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", Value::Null), "N");
}

#[test]
fn an_index_may_be_a_number_and_a_code_may_be_missing() {
    let body = json!({"data": {"inventorySetQuantities": {
        "userErrors": [{"field": ["input", "quantities", 1], "message": "why"}]}}});
    assert_eq!(letters(&said(&body, 2), 2), ".R");
}

#[test]
fn an_answer_that_does_not_say_what_was_done_leaves_it_unknown() {
    assert_eq!(letters(&said(&json!({"data": {}}), 2), 2), "??");
    assert_eq!(letters(&said(&json!({"data": {"inventorySetQuantities": null}}), 2), 2), "??");
    assert_eq!(letters(&said(&json!({"data": {"inventorySetQuantities": {"userErrors": 5}}}), 2), 2), "??");
    let failed =
        json!({"errors": [{"message": "Internal error", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]});
    assert_eq!(letters(&said(&failed, 2), 2), "??");
    let throttled = json!({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]});
    assert_eq!(letters(&said(&throttled, 2), 2), "TT");
    let denied =
        json!({"errors": [{"message": "no", "extensions": {"code": "ACCESS_DENIED"}}], "data": null});
    assert_eq!(letters(&said(&denied, 2), 2), "UU");
}

#[test]
fn recorded_answers_are_understood() {
    let name = "shopify/samples/graphql-recorded-2026-04-inventory-quantity-contracts-2026-04.json";
    let Some(recorded) = specs::json(name) else { return };
    #[track_caller]
    fn check(body: &Value, entries: usize, want: &str, text: &str) {
        assert!(body.is_object(), "the recording has changed");
        let said = said(body, entries);
        assert_eq!(letters(&said, entries), want);
        assert!(format!("{said:?}").contains(text), "{said:?}");
    }
    let unknown = &recorded["unknownIdValidation"];
    check(&recorded["inventorySetQuantities"]["response"], 1, "A", "");
    check(&recorded["missingSetIdempotency"]["response"], 1, "R", "@idempotent directive is required");
    check(&recorded["missingSetIdempotency"]["response"], 2, "split", "");
    check(&recorded["missingSetChangeFromQuantity"]["response"], 1, "R", "INVALID_FIELD_ARGUMENTS");
    check(&recorded["legacySetShape"]["response"], 1, "R", "INVALID_VARIABLE");
    check(&unknown["setUnknownInventoryItem"]["response"], 1, "R", "INVALID_INVENTORY_ITEM");
    check(&unknown["setUnknownInventoryItem"]["response"], 2, "R.", "could not be found");
    check(&unknown["setUnknownLocation"]["response"], 2, "R.", "INVALID_LOCATION");

    let name = "shopify/samples/graphql-recorded-2026-04-inventory-reason-validation.json";
    let Some(recorded) = specs::json(name) else { return };
    let body = &recorded["invalidReasonCases"]["unknownReasonSet"]["response"];
    check(body, 2, "RR", "INVALID_REASON");
}

fn item() -> Value {
    json!({
        "__typename": "InventoryItem",
        "id": "gid://shopify/InventoryItem/9307199254740993",
        "sku": "TSHIRT/BL M",
        "tracked": true,
        "variants": {"nodes": [{"id": "gid://shopify/ProductVariant/9207199254740993", "barcode": "4006381333931",
            "displayName": "T-shirt - Blue / M", "requiresComponents": false}]},
        "inventoryLevel": {"isActive": true, "updatedAt": "2026-06-25T01:33:55Z", "quantities": [
            {"name": "available", "quantity": -1}, {"name": "on_hand", "quantity": 4},
            {"name": "committed", "quantity": 5}]},
    })
}

fn wanted() -> Levels {
    Levels {
        available: Quantity::new(-1),
        on_hand: Some(Quantity::new(4)),
        committed: Some(Quantity::new(5)),
        changed_at: Some(Timestamp::from_millis(1_782_351_235_000)),
    }
}

#[test]
fn levels_come_in_the_order_asked_for() {
    let other = json!({"__typename": "Order", "id": "gid://shopify/Order/1"});
    let data = json!({"nodes": [item(), null, other]});
    assert_eq!(
        levels(&data, 3, &here()),
        Ok(vec![Observed::Seen(wanted()), Observed::Absent, Observed::Absent])
    );
    assert!(levels(&data, 2, &here()).is_err(), "an answer of another length cannot be matched");
    assert!(levels(&json!({}), 0, &here()).is_err());
}

#[test]
fn an_item_that_cannot_be_read_holds_up_no_other() {
    let spoil = |part: &str, value: Value| {
        let mut odd = item();
        *odd.pointer_mut(part).expect("it is there") = value;
        odd
    };
    for odd in [
        spoil("/tracked", json!("maybe")),
        spoil("/inventoryLevel/quantities", json!([])),
        spoil("/inventoryLevel/quantities", json!([{"name": "available", "quantity": 5_000_000_000_i64}])),
    ] {
        let told = levels(&json!({"nodes": [odd, item()]}), 2, &here()).expect("the others can be read");
        assert!(matches!(told[0], Observed::Unread { .. }), "{told:?}");
        assert_eq!(told[1], Observed::Seen(wanted()));
    }
}

#[test]
fn what_must_not_be_written_says_why() {
    #[track_caller]
    fn check(change: fn(&mut Value), why: &str) {
        let mut item = item();
        change(&mut item);
        match levels(&json!({"nodes": [item.clone()]}), 1, &here()).expect("it can be read").as_slice() {
            [Observed::Unwritable { why: got }] => assert!(got.contains(why), "{got}"),
            other => panic!("{other:?}"),
        }
        let page = json!({"inventoryItems": {"nodes": [item], "pageInfo": {"hasNextPage": false}}});
        let got =
            items(&page, &here()).expect("it can be read").items[0].unwritable.clone().expect("it says why");
        assert!(got.contains(why), "{got}");
    }
    check(|item| item["tracked"] = json!(false), "does not track");
    check(|item| item["inventoryLevel"] = Value::Null, "not stocked");
    check(|item| item["inventoryLevel"]["isActive"] = json!(false), "no longer stocked");
    check(|item| item["variants"]["nodes"][0]["requiresComponents"] = json!(true), "a bundle");
}

#[test]
fn a_catalogue_page_names_each_item_in_every_way() {
    let mut odd = item();
    odd["id"] = json!("gid://shopify/InventoryItem/8");
    odd["sku"] = json!("a\tb");
    odd["variants"] = Value::Null;
    odd["inventoryLevel"]["quantities"] = json!([{"name": "available", "quantity": 5_000_000_000_i64}]);
    let data = json!({"inventoryItems": {
        "nodes": [item(), odd], "pageInfo": {"hasNextPage": true, "endCursor": "abc"}}});
    let page = items(&data, &here()).expect("it can be read");
    assert_eq!((page.next.as_deref(), page.numbers), (Some("abc"), vec![9_307_199_254_740_993, 8]));
    let ids = "channel_sku=TSHIRT/BL M variant=9207199254740993 inventory_item=9307199254740993 barcode=4006381333931";
    assert_eq!(page.items[0].ids.to_string(), ids);
    assert_eq!(page.items[0].levels, Some(wanted()));
    assert_eq!(page.items[0].title.as_deref(), Some("T-shirt - Blue / M"));
    assert_eq!(page.items[0].unwritable, None);
    // A SKU that cannot be one and a quantity that cannot be one cost the item its SKU and its writes, nothing else.
    assert_eq!(page.items[1].ids.to_string(), "inventory_item=8");
    assert!(page.items[1].unwritable.as_deref().is_some_and(|why| why.contains("out of range")));
}

#[test]
fn an_odd_item_does_not_hold_up_its_page_and_does_not_vanish() {
    let odd = json!({"id": "gid://shopify/InventoryItem/8", "sku": "MUG", "tracked": "perhaps"});
    let data = json!({"inventoryItems": {
        "nodes": [odd, null, item()], "pageInfo": {"hasNextPage": true, "endCursor": "abc"}}});
    let page = items(&data, &here()).expect("the page can be read");
    assert_eq!((page.items.len(), page.next.as_deref()), (1, Some("abc")));
    let [mug, nothing] = page.unread.as_slice() else { panic!("two are odd: {:?}", page.unread) };
    assert_eq!(mug.ids.to_string(), "channel_sku=MUG inventory_item=8");
    assert!(mug.unwritable.as_deref().is_some_and(|why| why.contains("not understood")), "{mug:?}");
    assert!(nothing.ids.is_empty());
    assert_eq!(page.numbers, [8, 9_307_199_254_740_993], "paging goes on behind it");
}

#[test]
fn a_page_that_hides_the_next_one_is_an_error() {
    let data = json!({"inventoryItems": {"nodes": [], "pageInfo": {"hasNextPage": true, "endCursor": null}}});
    assert!(items(&data, &here()).is_err());
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(json in any_json(), entries in 1_usize..4) {
        let _levels = levels(&json, entries, &here());
        let _items = items(&json, &here());
        let said = set_quantities(Ok(json), entries);
        if let Said::Each(outcomes) = said {
            prop_assert_eq!(outcomes.len(), entries);
        }
    }

    #[test]
    fn no_damaged_answer_makes_it_panic(
        data in mutated(json!({"inventorySetQuantities": {"inventoryAdjustmentGroup": null, "userErrors": [
            {"code": "CHANGE_FROM_QUANTITY_STALE", "field": ["input", "quantities", "0"], "message": "m"}]}})),
        page in mutated(json!({"nodes": [item()], "inventoryItems": {
            "nodes": [item()], "pageInfo": {"hasNextPage": false, "endCursor": null}}})),
    ) {
        let _said = set_quantities(Ok(data), 2);
        let _levels = levels(&page, 1, &here());
        let _items = items(&page, &here());
    }
}
