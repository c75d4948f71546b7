//! Every recorded exchange with a real shop, found by walking the recordings: what we make of the answer is what it says.

use serde_json::Value;

use super::{
    bulk,
    decode::{Said, adjust_quantities, set_quantities},
    graphql::{Trouble, reply, tests::answer},
    stock,
};
use crate::connectors::{Outcome, specs};

/// A recorded exchange.
#[derive(Debug)]
struct Exchange {
    /// Where it is in which recording.
    name: String,
    variables: Value,
    status: u16,
    body: Value,
}

/// Collects the exchanges of a recording: whatever has variables and an answer.
fn collect(value: &Value, name: &str, into: &mut Vec<Exchange>) {
    if let Some(response) = value.get("response").filter(|response| response.is_object()) {
        let inner = response.get("body").unwrap_or(response);
        let status = value["status"].as_u64().or_else(|| response["status"].as_u64()).unwrap_or(200);
        into.push(Exchange {
            name: name.to_owned(),
            variables: value["variables"].clone(),
            status: u16::try_from(status).expect("a status"),
            body: inner.clone(),
        });
    }
    match value {
        Value::Object(map) => {
            let parts = map.iter().filter(|(key, _)| *key != "response");
            parts.for_each(|(key, part)| collect(part, &format!("{name}/{key}"), into));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, part)| collect(part, &format!("{name}/{n}"), into));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn recorded() -> Option<Vec<Exchange>> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(specs::path("shopify/samples")?).expect("the samples are there") {
        let name = file.expect("readable").file_name().to_string_lossy().into_owned();
        if name.starts_with("graphql-recorded") && name.ends_with(".json") {
            collect(&specs::json(&format!("shopify/samples/{name}"))?, &name, &mut all);
        }
    }
    Some(all)
}

/// Checks one exchange. Tells whether it is one whose answer is read further than all are alike.
fn check(exchange: &Exchange) -> bool {
    let Exchange { name, variables, status, body } = exchange;
    let said = reply(&answer(*status, &[], &body.to_string()));
    if said.cost.is_none() {
        assert!(body["extensions"]["cost"].is_null(), "{name}: the cost is not read");
    }
    if body["errors"].as_array().is_some_and(|errors| !errors.is_empty()) {
        // All that were recorded refuse what was asked.
        assert!(matches!(said.data, Err(Trouble::Refused(_))), "{name}: {:?}", said.data);
    } else {
        assert_eq!(said.data.as_ref().ok(), Some(&body["data"]), "{name}");
    }
    let refused = |payload: &str| {
        let errors = body["data"][payload]["userErrors"].as_array();
        body["errors"].is_array() || errors.is_some_and(|errors| !errors.is_empty())
    };
    let is = |payload: &str| body["data"].get(payload).is_some();
    if is("inventorySetQuantities") {
        let entries = variables["input"]["quantities"].as_array().map_or(1, Vec::len);
        check_set(name, refused("inventorySetQuantities"), &set_quantities(said.data, entries), entries);
    } else if is("inventoryAdjustQuantities") {
        let outcome = adjust_quantities(said.data);
        assert_eq!(outcome != Outcome::Applied, refused("inventoryAdjustQuantities"), "{name}: {outcome:?}");
        let stands = matches!(outcome, Outcome::Applied | Outcome::Rejected { .. });
        assert!(stands, "{name}: {outcome:?}");
    } else if is("inventoryActivate") {
        let outcome = stock::outcome(said.data);
        assert_eq!(outcome != Outcome::Applied, refused("inventoryActivate"), "{name}: {outcome:?}");
        let stands = matches!(outcome, Outcome::Applied | Outcome::Stale | Outcome::Rejected { .. });
        assert!(stands, "{name}: {outcome:?}");
    } else if is("bulkOperationRunQuery") {
        let data = said.data.expect("checked above");
        let begun = bulk::begun(&data);
        assert_eq!(begun.is_err(), refused("bulkOperationRunQuery"), "{name}: {begun:?}");
    } else {
        return false;
    }
    true
}

/// Checks that what was refused is refused or stale, by name where there is but one entry, and all else was applied.
fn check_set(name: &str, refused: bool, said: &Said, entries: usize) {
    let is_no = |outcome: &Outcome| matches!(outcome, Outcome::Rejected { .. } | Outcome::Stale);
    let right = match said {
        Said::Each(outcomes) if refused => outcomes.iter().all(is_no),
        Said::Each(outcomes) => outcomes.iter().all(|outcome| *outcome == Outcome::Applied),
        Said::Blamed(blamed) => refused && !blamed.is_empty() && blamed.values().all(is_no),
        Said::Split => refused && entries > 1,
    };
    assert!(right, "{name}: {said:?}");
}

#[test]
fn every_recorded_exchange_means_what_it_says() {
    let Some(all) = recorded() else { return };
    let ours = all.iter().filter(|exchange| check(exchange)).count();
    assert!(all.len() >= 80, "{} exchanges", all.len());
    assert!(ours >= 30, "{ours} of what we ask for");
}
