use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::connectors::amazon::testing::{hostile, spec};

const HOLD: Duration = Duration::from_millis(1500);

fn rejected(reason: &str) -> Outcome {
    Outcome::Rejected { reason: reason.to_owned() }
}

fn unknown(fault: &str) -> Outcome {
    Outcome::Unknown { fault: fault.to_owned() }
}

#[track_caller]
fn check(status: u16, body: &Value, want: Outcome) {
    assert_eq!(written(status, body.to_string().as_bytes(), HOLD), Written::Done(want));
}

#[test]
fn a_submission_counts_as_accepted_only_without_an_error() {
    let issue = |severity| json!({"code": "90220", "message": "'size' is missing", "severity": severity});
    let answer = |status: &str, issues: Value| json!({"sku": "A", "status": status, "submissionId": "s1", "issues": issues});
    let accepted = Outcome::Accepted { submission: Some("s1".to_owned()) };
    check(200, &answer("ACCEPTED", json!([])), accepted.clone());
    check(200, &answer("ACCEPTED", json!(null)), accepted.clone());
    check(202, &answer("ACCEPTED", json!([issue("WARNING"), issue("INFO")])), accepted);
    let why = "accepted with errors: 90220 'size' is missing";
    check(200, &answer("ACCEPTED", json!([issue("WARNING"), issue("ERROR")])), unknown(why));
    let why = "submission is invalid: 90220 'size' is missing";
    check(200, &answer("INVALID", json!([issue("ERROR")])), rejected(why));
    check(200, &answer("INVALID", json!([])), rejected("submission is invalid: no reason was given"));
    check(200, &answer("VALID", json!([])), unknown("submission status `VALID` not understood"));
    check(200, &answer("NEW", json!([])), unknown("submission status `NEW` not understood"));
}

#[test]
fn a_success_that_cannot_be_read_may_have_landed() {
    for body in ["", "{}", "[]", "<html>", "{\"status\": 1}"] {
        assert!(matches!(written(200, body.as_bytes(), HOLD), Written::Done(Outcome::Unknown { .. })));
    }
}

#[test]
fn each_status_has_one_meaning_for_a_write() {
    let body = json!({"errors": [{"code": "InvalidInput", "message": "no", "details": "why"}]});
    for status in [400, 404, 409, 413, 415, 422] {
        check(status, &body, rejected(&format!("status {status}: InvalidInput: no (why)")));
    }
    for status in [301, 408, 500, 502, 503, 504] {
        check(status, &body, unknown(&format!("status {status}: InvalidInput: no (why)")));
    }
    check(429, &body, Outcome::Throttled { retry_after_ms: 1500 });
    let reason = "a fresh access token is refused: InvalidInput: no (why)".to_owned();
    check(401, &body, Outcome::Unauthorized { reason });
    let forbidden = written(403, body.to_string().as_bytes(), HOLD);
    assert_eq!(forbidden, Written::Forbidden("InvalidInput: no (why)".to_owned()));
    let long = json!({"errors": vec![json!({"code": "x", "message": "m".repeat(10_000)}); 50]});
    assert!(errors(long.to_string().as_bytes()).len() < 1000);
}

#[test]
fn a_403_speaks_of_the_token_only_if_it_says_so() {
    let refused = |status, details: &str| {
        let message = "Access to requested resource is denied.";
        let body = json!({"errors": [{"code": "Unauthorized", "message": message, "details": details}]});
        token_refused(status, body.to_string().as_bytes())
    };
    assert!(refused(403, "The access token you provided has expired."));
    assert!(refused(403, "The access token you provided is revoked, malformed or invalid."));
    assert!(refused(401, ""));
    assert!(!refused(403, ""));
    assert!(!refused(400, "The access token you provided has expired."));
    assert!(!token_refused(403, b"access token"));
}

#[test]
fn each_status_has_one_meaning_for_a_read() {
    let check = |status: u16, want: &str| {
        let body = br#"{"errors":[{"code":"C","message":"m"}]}"#;
        assert_eq!(fault(status, body, HOLD).to_string(), want);
    };
    check(400, "refused: status 400: C: m");
    check(404, "refused: status 404: C: m");
    check(401, "credentials refused: a fresh access token is refused: C: m");
    check(429, "throttled for 1.5s");
    check(500, "channel answered 500: C: m");
    check(503, "channel answered 503: C: m");
    assert!(fault(403, b"", HOLD).to_string().contains("replace `refresh_token`"));
}

/// Live codes with quantities, submitted codes, and whose stock that is.
#[track_caller]
fn check_stock(live: &[(&str, Option<i64>)], submitted: &[&str], want: &Stock) {
    let live: Vec<Value> = live
        .iter()
        .map(|(code, quantity)| json!({"fulfillmentChannelCode": code, "quantity": quantity}))
        .collect();
    let submitted: Vec<Value> = submitted.iter().map(|c| json!({"fulfillment_channel_code": c})).collect();
    let value = json!({
        "sku": "A",
        "fulfillmentAvailability": live,
        "attributes": {"fulfillment_availability": submitted, "item_name": [{"value": "x"}]},
    });
    let got = listing(&value, &[]).expect("readable").stock;
    assert_eq!(got, *want);
    let writable = matches!(want, Stock::Merchant(_));
    assert_eq!(got.unwritable().is_none(), writable);
}

#[test]
fn only_what_the_merchant_alone_fulfils_may_be_written() {
    let merchant = |units| Stock::Merchant(Quantity::new(units));
    let amazon = |code: &str| Stock::ByAmazon(code.to_owned());
    let other = |why: &str| Stock::Unknown(why.to_owned());
    check_stock(&[("DEFAULT", Some(7))], &[], &merchant(7));
    check_stock(&[("DEFAULT", Some(7))], &["DEFAULT"], &merchant(7));
    check_stock(&[("DEFAULT", None)], &[], &merchant(0));
    check_stock(&[("AMAZON_NA", Some(7))], &[], &amazon("AMAZON_NA"));
    check_stock(&[("AMAZON_EU", None)], &["AMAZON_EU"], &amazon("AMAZON_EU"));
    check_stock(&[("DEFAULT", Some(7)), ("AMAZON_NA", Some(1))], &[], &amazon("AMAZON_NA"));
    check_stock(&[("DEFAULT", Some(7))], &["AMAZON_NA"], &amazon("AMAZON_NA"));
    check_stock(&[], &[], &other("Amazon names no fulfilment channel"));
    check_stock(&[], &["DEFAULT"], &other("Amazon names no fulfilment channel"));
    check_stock(&[("default", Some(1))], &[], &other("it has the fulfilment channel `default`"));
    check_stock(
        &[("DEFAULT", Some(0)), ("supply-1", Some(1))],
        &[],
        &other("it has the fulfilment channel `supply-1`"),
    );
    let twice = "Amazon names the merchant's fulfilment channel more than once";
    check_stock(&[("DEFAULT", Some(1)), ("DEFAULT", Some(2))], &[], &other(twice));
    check_stock(&[("DEFAULT", Some(i64::MAX))], &[], &other("quantity out of range"));
}

#[test]
fn what_was_submitted_is_never_taken_for_what_is_for_sale() {
    let value = json!({
        "sku": "A",
        "fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT", "quantity": 3}],
        "attributes": {"fulfillment_availability": [{"fulfillment_channel_code": "DEFAULT", "quantity": 9}]},
    });
    let seen = listing(&value, &[]).expect("readable").observed();
    assert_eq!(seen, Observed::Seen(Levels::of(Quantity::new(3))));
}

#[test]
fn a_listing_is_named_by_the_first_configured_marketplace_it_is_in() {
    let summary = |market: &str, asin: &str, created: &str| json!({"marketplaceId": market, "asin": asin, "itemName": asin, "createdDate": created});
    let value = json!({"sku": "A", "summaries": [
        summary("CA", "B0CA", "2021-02-02T00:00:00Z"),
        summary("US", "B0US", "2021-02-03T00:00:00Z"),
        summary("MX", "B0MX", "2021-02-01T00:00:00Z"),
    ]});
    let read = |markets: &[&str]| {
        let markets: Vec<String> = markets.iter().map(|m| (*m).to_owned()).collect();
        let listing = listing(&value, &markets).expect("readable");
        (listing.marketplace.clone(), listing.created.clone(), listing.row().ids.to_string())
    };
    let earliest = Some("2021-02-01T00:00:00Z".to_owned());
    assert_eq!(read(&["US", "CA"]), (Some("US".into()), earliest.clone(), "channel_sku=A asin=B0US".into()));
    assert_eq!(read(&["CA", "US"]), (Some("CA".into()), earliest.clone(), "channel_sku=A asin=B0CA".into()));
    assert_eq!(read(&["DE"]), (None, earliest, "channel_sku=A asin=B0CA".into()));
}

#[test]
fn a_listing_whose_sku_cannot_be_used_keeps_its_row() {
    let row = listing(&json!({"sku": "a\u{7}b"}), &[]).expect("readable").row();
    assert!(row.ids.is_empty());
    assert!(row.unwritable.is_some_and(|why| why.contains("control characters")));
}

#[test]
fn the_static_sandbox_answers_of_the_listings_api_are_read() {
    let Some(pairs) = spec("samples/static-sandbox-pairs.json") else { return };
    let markets = ["ATVPDKIKX0DER".to_owned()];
    let pair = |operation: &str, n: usize| {
        let pair = pairs[format!("listingsItems_2021-08-01.json {operation}")][n].clone();
        let status = u16::try_from(pair["status"].as_u64().expect("a status")).expect("small");
        (status, pair["response"].clone())
    };
    let patch = |n| {
        let (status, body) = pair("PATCH /listings/2021-08-01/items/{sellerId}/{sku}", n);
        written(status, body.to_string().as_bytes(), HOLD)
    };
    let submission = Some("f1dc2914-75dd-11ea-bc55-0242ac130003".to_owned());
    assert_eq!(patch(0), Written::Done(Outcome::Accepted { submission }));
    assert_eq!(patch(1), Written::Done(unknown("submission status `VALID` not understood")));
    let invalid = "submission is invalid: 90000900 The attributes are invalid.";
    assert_eq!(patch(2), Written::Done(rejected(invalid)));
    let bad = "status 400: BAD_REQUEST: Invalid input (Invalid input)";
    assert_eq!(patch(3), Written::Done(rejected(bad)));

    let (_, body) = pair("GET /listings/2021-08-01/items/{sellerId}/{sku}", 0);
    let one = listing(&body, &markets).expect("readable");
    assert_eq!(one.observed(), Observed::Seen(Levels::of(Quantity::new(100))));
    assert_eq!(one.marketplace.as_deref(), Some("ATVPDKIKX0DER"));
    let row = one.row();
    assert_eq!(row.ids.to_string(), "channel_sku=GM-ZDPI-9B4E asin=B071VG5N9D");
    assert_eq!(row.title.as_deref(), Some("Hardside Carry-On Spinner Suitcase Luggage"));
    assert_eq!((row.by, row.unwritable), (FulfilledBy::Merchant, None));

    let (_, body) = pair("GET /listings/2021-08-01/items/{sellerId}", 0);
    let page = page(body.to_string().as_bytes(), &markets).expect("readable");
    assert_eq!((page.total, page.next.is_some(), page.listings.len()), (3, true, 1));
    let (status, body) = pair("GET /listings/2021-08-01/items/{sellerId}", 1);
    assert_eq!(fault(status, body.to_string().as_bytes(), HOLD), Fault::Refused(bad.to_owned()));
}

#[test]
fn one_listing_that_cannot_be_read_does_not_hold_up_the_page() {
    let body = json!({"numberOfResults": 3, "items": [{"sku": "A"}, {"sku": "B", "summaries": 1}, 7]});
    let page = page(body.to_string().as_bytes(), &[]).expect("readable");
    let read: Vec<Result<&str, Option<&str>>> = page
        .listings
        .iter()
        .map(|l| l.as_ref().map(|l| l.sku.as_str()).map_err(|unread| unread.sku.as_deref()))
        .collect();
    assert_eq!(read, [Ok("A"), Err(Some("B")), Err(None)]);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in 0u16..1000, body in hostile()) {
        let verdict = written(status, body.as_bytes(), HOLD);
        if let Written::Done(Outcome::Accepted { .. }) = verdict {
            prop_assert!((200..300).contains(&status));
        }
        drop((fault(status, body.as_bytes(), HOLD), token_refused(status, body.as_bytes())));
        if let Ok(page) = page(body.as_bytes(), &[]) {
            for listing in page.listings.into_iter().flatten() {
                drop((listing.observed(), listing.row()));
            }
        }
        if let Ok(value) = serde_json::from_str(&body) && let Ok(listing) = listing(&value, &[]) {
            drop((listing.observed(), listing.row()));
        }
    }
}
