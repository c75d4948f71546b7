use apollo_compiler::{ExecutableDocument, Schema, validation::Valid};
use bytes::Bytes;
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::*;
use crate::connectors::{shopify::tests::any_json, specs};

const OPERATIONS: [&Operation; 24] = [
    &SET_QUANTITIES,
    &ADJUST_QUANTITIES,
    &ACTIVATE,
    &LEVELS,
    &CATALOGUE,
    &COUNT,
    &BULK_BEGIN,
    &BULK,
    &ORDERS,
    &ORDER,
    &ORDER_LINES,
    &FULFILLMENT_LINES,
    &REFUND_LINES,
    &ROUTED_ORDERS,
    &ROUTED_ORDER,
    &MORE_ROUTES,
    &ROUTE_LINES,
    &MOVED,
    &HEALTH,
    &STANDING,
    &HOOKS,
    &HOOK_CREATE,
    &HOOK_UPDATE,
    &HOOK_DELETE,
];

/// Makes an answer; `headers` as `name: value` lines.
pub(in crate::connectors::shopify) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("good");
        map.insert(name, HeaderValue::from_str(value).expect("good"));
    }
    Answer { status, headers: map, body: Bytes::copy_from_slice(body.as_bytes()) }
}

/// Returns a published schema.
pub(in crate::connectors::shopify) fn schema(version: &str) -> Option<Valid<Schema>> {
    let sdl = specs::read(&format!("shopify/schema-{version}.graphql"))?;
    let sdl = String::from_utf8(sdl).expect("the schema is text");
    // The published text uses this newer built-in directive without defining it.
    let sdl = format!("directive @oneOf on INPUT_OBJECT\n{sdl}");
    Some(
        Schema::parse_and_validate(sdl, "schema.graphql")
            .unwrap_or_else(|e| panic!("{version}: {}", e.errors)),
    )
}

#[test]
fn every_document_is_valid_in_the_pinned_and_in_the_former_version() {
    for version in ["2026-10", "2026-07"] {
        let Some(schema) = schema(version) else { return };
        for operation in OPERATIONS {
            let parsed = ExecutableDocument::parse_and_validate(&schema, operation.document, operation.name);
            let document = parsed.unwrap_or_else(|e| panic!("{} in {version}: {}", operation.name, e.errors));
            let named: Vec<&str> = document.operations.named.keys().map(|name| name.as_str()).collect();
            assert_eq!(named, [operation.name]);
        }
        let wrong = SET_QUANTITIES.document.replace("inventoryAdjustmentGroup", "inventoryAdjustmentGroups");
        assert!(ExecutableDocument::parse_and_validate(&schema, wrong, "wrong").is_err());
    }
}

#[derive(Debug, PartialEq)]
enum Kind {
    Data,
    Throttled(u64),
    Unauthorized,
    TooCostly,
    Refused,
    Server,
    Unclear,
}

fn kind(reply: Result<Value, Trouble>) -> Kind {
    match reply {
        Ok(_) => Kind::Data,
        Err(Trouble::Throttled(wait)) => Kind::Throttled(wait.as_millis().try_into().expect("short")),
        Err(Trouble::Unauthorized(_)) => Kind::Unauthorized,
        Err(Trouble::TooCostly(_)) => Kind::TooCostly,
        Err(Trouble::Refused(_)) => Kind::Refused,
        Err(Trouble::Server { .. }) => Kind::Server,
        Err(Trouble::Unclear(_)) => Kind::Unclear,
        Err(other @ (Trouble::NotSent(_) | Trouble::Timeout(_) | Trouble::Lost(_))) => {
            panic!("not from an answer: {other:?}")
        }
    }
}

#[track_caller]
fn check(status: u16, headers: &[(&str, &str)], body: &str, want: Kind) {
    assert_eq!(kind(reply(&answer(status, headers, body)).data), want, "{status} {body}");
}

fn coded(code: &str, data: &str) -> String {
    format!(r#"{{"errors": [{{"message": "m", "extensions": {{"code": "{code}"}}}}]{data}}}"#)
}

#[test]
fn the_verdict_is_in_the_body_when_the_status_is_200() {
    check(200, &[], r#"{"data": {"x": 1}}"#, Kind::Data);
    check(200, &[], r#"{"data": {"x": 1}, "errors": []}"#, Kind::Data);
    check(200, &[], r#"{"data": null}"#, Kind::Unclear);
    check(200, &[], r#"{"data": [1]}"#, Kind::Unclear);
    check(200, &[], "{}", Kind::Unclear);
    check(200, &[], "null", Kind::Unclear);
    check(200, &[], "", Kind::Unclear);
    check(200, &[], "<html>", Kind::Unclear);
    check(200, &[], r#"{"data": {"x":"#, Kind::Unclear);
    check(200, &[], r#"{"errors": "Not Found"}"#, Kind::Unclear);
    check(200, &[], &coded("THROTTLED", ""), Kind::Throttled(2_000));
    check(200, &[("retry-after", "7")], &coded("THROTTLED", ""), Kind::Throttled(7_000));
    check(200, &[], &coded("MAX_COST_EXCEEDED", ""), Kind::TooCostly);
    check(200, &[], &coded("ACCESS_DENIED", r#", "data": {"x": null}"#), Kind::Unauthorized);
    check(200, &[], &coded("SHOP_INACTIVE", ""), Kind::Unauthorized);
    check(200, &[], &coded("BAD_REQUEST", r#", "data": {"x": null}"#), Kind::Refused);
    check(200, &[], &coded("INVALID_VARIABLE", ""), Kind::Refused);
    check(200, &[], &coded("undefinedField", ""), Kind::Refused);
    // With data, an unknown code may stand for something that was half done.
    check(200, &[], &coded("SOMETHING_NEW", r#", "data": null"#), Kind::Server);
    check(200, &[], &coded("INTERNAL_SERVER_ERROR", ""), Kind::Server);
    check(200, &[], r#"{"errors": [{"message": "Internal error"}]}"#, Kind::Server);
    check(200, &[], r#"{"errors": [{}]}"#, Kind::Server);
    check(200, &[], r#"{"errors": [null]}"#, Kind::Server);
}

#[test]
fn what_may_have_been_executed_outweighs_what_was_refused() {
    let body = r#"{"errors": [{"message": "a", "extensions": {"code": "BAD_REQUEST"}},
        {"message": "b", "extensions": {"code": "INTERNAL_SERVER_ERROR"}},
        {"message": "c", "extensions": {"code": "THROTTLED"}}], "data": {"x": null}}"#;
    check(200, &[], body, Kind::Server);
}

#[test]
fn other_statuses_speak_for_themselves() {
    let errors = r#"{"errors": "[API] Invalid API key or access token"}"#;
    check(401, &[], errors, Kind::Unauthorized);
    check(403, &[], "", Kind::Unauthorized);
    check(402, &[], r#"{"errors": "Payment Required"}"#, Kind::Unauthorized);
    check(423, &[], "", Kind::Unauthorized);
    check(404, &[], r#"{"errors": "Not Found"}"#, Kind::Unauthorized);
    check(301, &[("location", "https://x.example")], "", Kind::Unauthorized);
    check(429, &[], "", Kind::Throttled(2_000));
    check(429, &[("retry-after", "2.5")], "", Kind::Throttled(2_500));
    check(429, &[], &coded("THROTTLED", ""), Kind::Throttled(2_000));
    check(430, &[], "", Kind::Throttled(60_000));
    check(400, &[], "", Kind::Refused);
    check(413, &[], "", Kind::Refused);
    check(408, &[], "", Kind::Server);
    check(500, &[], "", Kind::Server);
    check(502, &[], "<html>", Kind::Server);
    check(503, &[("retry-after", "7")], "", Kind::Server);
    check(204, &[], "", Kind::Server);
}

#[test]
fn a_throttled_query_waits_for_the_points_that_lack() {
    // As shown in the developers' forum.
    let body = json!({
        "errors": [{"message": "Throttled", "extensions": {
            "code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"}}],
        "extensions": {"cost": {"requestedQueryCost": 752, "actualQueryCost": null, "throttleStatus": {
            "maximumAvailable": 1000.0, "currentlyAvailable": 402, "restoreRate": 50.0}}},
    });
    let reply = reply(&answer(200, &[], &body.to_string()));
    assert_eq!(reply.cost.as_ref().and_then(|cost| cost.requested_query_cost), Some(752.0));
    assert_eq!(reply.data, Err(Trouble::Throttled(Duration::from_secs(7))));
}

#[test]
fn the_cost_is_read_from_a_recorded_answer_and_a_broken_one_hides_no_data() {
    let body = r#"{"data": {}, "extensions": {"cost": {"requestedQueryCost": "many"}}}"#;
    let broken = reply(&answer(200, &[], body));
    assert_eq!((broken.cost, broken.data.is_ok()), (None, true));

    let name = "shopify/samples/graphql-recorded-2026-04-inventory-quantity-contracts-2026-04.json";
    let Some(recorded) = specs::json(name) else { return };
    let body = recorded["inventorySetQuantities"]["response"].to_string();
    let status =
        ThrottleStatus { maximum_available: 2000.0, currently_available: 1986.0, restore_rate: 100.0 };
    let cost = Cost { requested_query_cost: Some(13.0), throttle_status: status };
    assert_eq!(reply(&answer(200, &[], &body)).cost, Some(cost));
}

#[test]
fn a_trouble_says_the_same_to_a_read_and_to_a_write() {
    #[track_caller]
    fn check(trouble: Trouble, outcome: fn(&Outcome) -> bool, fault: fn(&Fault) -> bool) {
        assert!(outcome(&trouble.outcome()), "{trouble:?}");
        assert!(fault(&Fault::from(trouble.clone())), "{trouble:?}");
    }
    use {Fault as F, Outcome as O};
    let text = || "why".to_owned();
    check(Trouble::NotSent(text()), |o| matches!(o, O::NotSent { .. }), |f| matches!(f, F::Disconnected(_)));
    check(
        Trouble::Timeout(Duration::from_secs(1)),
        |o| matches!(o, O::Unknown { .. }),
        |f| matches!(f, F::Timeout(_)),
    );
    check(Trouble::Lost(text()), |o| matches!(o, O::Unknown { .. }), |f| matches!(f, F::Disconnected(_)));
    check(Trouble::Unclear(text()), |o| matches!(o, O::Unknown { .. }), |f| matches!(f, F::Malformed(_)));
    check(
        Trouble::Server { status: 502, detail: text() },
        |o| matches!(o, O::Unknown { .. }),
        |f| matches!(f, F::Server { status: 502, .. }),
    );
    check(
        Trouble::Throttled(Duration::from_secs(3)),
        |o| matches!(o, O::Throttled { retry_after_ms: 3_000 }),
        |f| matches!(f, F::Throttled { .. }),
    );
    check(
        Trouble::Unauthorized(text()),
        |o| matches!(o, O::Unauthorized { .. }),
        |f| matches!(f, F::Unauthorized(_)),
    );
    check(Trouble::Refused(text()), |o| matches!(o, O::Rejected { .. }), |f| matches!(f, F::Refused(_)));
    check(Trouble::TooCostly(text()), |o| matches!(o, O::Rejected { .. }), |f| matches!(f, F::Refused(_)));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&body).into_owned();
        let _reply = reply(&answer(status, &[], &text));
    }

    #[test]
    fn no_json_makes_it_panic(errors in any_json(), data in any_json(), extensions in any_json()) {
        let body = json!({"errors": errors, "data": data, "extensions": extensions}).to_string();
        let _reply = reply(&answer(200, &[], &body));
    }
}
