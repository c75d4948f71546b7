//! Stocking items at a location, where they are to show something there and are not stocked.
//!
//! Shopify has no quantity of an item at a location where it is not stocked. Where the operator lets us, such an item counts
//! as one that shows 0, and is stocked with the first quantity that it is to show.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::connectors::{
    Fault, Observed, Outcome,
    http::{self, excerpt},
    shopify::{
        call::Caller,
        decode::{Standing, standings},
        encode::{self, Entry},
        gid::gid,
        graphql::{ACTIVATE, Trouble},
        items,
        options::Locations,
        write::stops,
    },
    token,
};

/// How many items one write stocks: each is a call of its own.
const MOST: usize = 20;
/// When the others go.
const NEXT_MS: i64 = 1_000;

/// Tells whether an entry may have to be stocked before it can be written.
pub(super) fn is_doubtful(entry: &Entry<'_>) -> bool {
    entry.location.stocks && entry.put.compare.is_some_and(|from| from.units() == 0)
}

/// Stocks what must be, with its quantity. Returns what is to be written as ever, and the outcomes of the rest.
pub(super) async fn stock<'a>(
    caller: &Caller,
    locations: &Locations,
    doubtful: Vec<Entry<'a>>,
) -> (Vec<Entry<'a>>, BTreeMap<usize, Outcome>) {
    let (mut rest, mut outcomes) = (Vec::new(), BTreeMap::new());
    let spot = |entry: &Entry<'_>| (entry.location.number, entry.item);
    let mut seen = match items::at_places(caller, locations, doubtful.iter().map(spot), standings).await {
        Ok(seen) => seen,
        Err(fault) => {
            outcomes.extend(doubtful.iter().map(|entry| (entry.index, unread(&fault))));
            return (rest, outcomes);
        }
    };
    let (mut calls, mut stopped) = (0, None);
    for entry in doubtful {
        match seen.remove(&spot(&entry)) {
            Some(Standing::Unstocked) => {}
            Some(Standing::Known(Observed::Unwritable { .. })) => {
                // It is another thing than what 0 was written to: the next look tells what.
                outcomes.insert(entry.index, Outcome::Stale);
                continue;
            }
            Some(Standing::Known(_)) | None => {
                rest.push(entry);
                continue;
            }
        }
        calls += 1;
        let outcome = match &stopped {
            Some(reason) => Outcome::NotSent { reason: String::clone(reason) },
            None if calls > MOST => Outcome::Throttled { retry_after_ms: NEXT_MS },
            None => activate(caller, &entry).await,
        };
        stopped = stopped.or_else(|| stops(&outcome).filter(|_| calls <= MOST));
        outcomes.insert(entry.index, outcome);
    }
    (rest, outcomes)
}

/// Returns what a read that failed means for a write that waited for it, which was not sent.
fn unread(fault: &Fault) -> Outcome {
    match fault {
        Fault::Unauthorized(reason) => Outcome::Unauthorized { reason: reason.clone() },
        Fault::Throttled { retry_after } => token::NoToken::Throttled(*retry_after).outcome(),
        Fault::Timeout(_)
        | Fault::Disconnected(_)
        | Fault::Server { .. }
        | Fault::Refused(_)
        | Fault::Malformed(_)
        | Fault::NotOffered(_) => {
            Outcome::NotSent { reason: format!("whether it is stocked could not be read: {fault}") }
        }
    }
}

async fn activate(caller: &Caller, entry: &Entry<'_>) -> Outcome {
    let variables = json!({
        "item": gid("InventoryItem", entry.item),
        "location": entry.location.gid(),
        "available": entry.put.quantity.units(),
        "key": encode::call_key(std::slice::from_ref(entry)),
    });
    let data = caller.call(&ACTIVATE, &variables).await.map(|said| said.data);
    outcome(data)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default)]
    user_errors: Vec<UserError>,
}

#[derive(Debug, Deserialize)]
struct UserError {
    #[serde(default)]
    field: Option<Vec<String>>,
    #[serde(default)]
    message: String,
}

/// Reads the answer to one `inventoryActivate`.
pub(super) fn outcome(data: Result<Value, Trouble>) -> Outcome {
    let data = match data {
        Ok(data) => data,
        Err(trouble) => return trouble.outcome(),
    };
    let Ok(payload) = http::json_part::<Payload>(&data["inventoryActivate"]) else {
        return Outcome::Unknown { fault: "the answer does not say what was done".to_owned() };
    };
    let Some(error) = payload.user_errors.first() else { return Outcome::Applied };
    let about = error.field.as_deref().unwrap_or_default();
    // Only where it is stocked by now is there something wrong with the quantity.
    if about.first().is_some_and(|field| field == "available") {
        return Outcome::Stale;
    }
    Outcome::Rejected { reason: format!("it cannot be stocked there: {}", excerpt(error.message.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means() {
        let check = |data: Value, want: fn(&Outcome) -> bool| {
            let got = outcome(Ok(json!({"inventoryActivate": data})));
            assert!(want(&got), "{got:?}");
        };
        check(json!({"inventoryLevel": {"id": "x"}, "userErrors": []}), |got| *got == Outcome::Applied);
        let error = |field: &str| json!({"inventoryLevel": null, "userErrors": [{"field": [field], "message": "no"}]});
        check(error("available"), |got| *got == Outcome::Stale);
        check(error("inventoryItemId"), |got| matches!(got, Outcome::Rejected { .. }));
        check(Value::Null, |got| matches!(got, Outcome::Unknown { .. }));
        let lost = outcome(Err(Trouble::Lost("cut".to_owned())));
        assert!(matches!(lost, Outcome::Unknown { .. }), "it may be stocked by now: {lost:?}");
    }
}
