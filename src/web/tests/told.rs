//! What is told of listings is as it stands now, with whose doing it is.

use serde_json::{Value, json};

use super::world::{OPENED, channel, count, opened, order, run, serve, sku};
use crate::{
    core::{Command, State, drift::Drifted, leg},
    model::{DeliveryId, Quantity, Timestamp},
};

/// Where `MUG` is listed on `main`.
const MAIN: usize = 1;

/// [`opened`], with a drift of `MUG` on `main` that was found a minute after the opening: 9 were expected, and 5 shown.
fn drifted(drift: &Value, change: impl FnOnce(&mut crate::core::state::Listing)) -> State {
    let mut state = opened();
    let mut told = json!({"seq": 3, "at": OPENED + 60_000, "found": "rival", "expected": 9, "observed": 5});
    let more = drift.as_object().expect("fields").clone();
    told.as_object_mut().expect("fields").extend(more);
    let drift: Drifted = serde_json::from_value(told).expect("a drift");
    state.change_sku(&sku("MUG"), |row| {
        let listing = &mut row.listings[MAIN];
        listing.drift = Some(Box::new(drift));
        change(listing);
    });
    state
}

/// Ours, 4, was seen there so many seconds after the drift.
fn ours_seen(listing: &mut crate::core::state::Listing, after: i64) {
    let q = Quantity::new(4);
    let at = Timestamp::from_millis(OPENED + 60_000 + after * 1_000);
    let leg = listing.leg.as_mut().expect("it has a leg");
    (leg.quantity, leg.state) = (q, leg::State::Confirmed);
    listing.writes.confirmed = Some(leg::Confirmed { quantity: q, revision: leg.revision, at });
    (listing.writes.base, listing.writes.look) = (Some(q), None);
}

#[tokio::test]
async fn a_drift_that_a_lower_went_over_is_told_as_it_stands_now() {
    let held = json!({"done": "held"});
    let over_at = OPENED + 55_000;
    let over_before = json!({"done": "held", "passed_over": true, "over_at": over_at});
    let asked = json!({"done": "asked", "passed_over": true, "why": "it went over it"});
    for (drift, after, shown, why) in [
        (&held, -1, [4, 5], None),
        (&over_before, -1, [4, 4], Some("a lower of ours went over the 5 of the other writer")),
        (&held, 1, [4, 4], Some("a lower of ours went over the 5 of the other writer")),
        (&asked, 1, [9, 5], Some("it went over it; ours was seen there at ")),
        (&json!({"done": "gone"}), 1, [9, 5], None),
    ] {
        let served = serve(drifted(drift, |listing| ours_seen(listing, after)), |_| {}).await;
        let told = served.get("/v1/drift?channel=main").await;
        let row = &told["rows"][0];
        assert_eq!([&row["expected"], &row["observed"]], [&json!(shown[0]), &json!(shown[1])], "{told:#}");
        assert_eq!(row["ours_seen_at"].is_string(), why.is_some(), "{told:#}");
        let said = row["why"].as_str().unwrap_or_default();
        assert!(said.contains(why.unwrap_or_default()) && said.is_empty() == why.is_none(), "{told:#}");
    }
}

#[tokio::test]
async fn what_the_policy_leaves_to_another_writer_is_not_said_to_be_a_persons_doing() {
    for (theirs, says) in [
        (true, "`theirs` of `[drift]` leaves the lower 5 that another writer has set there"),
        (false, "a person gave it up"),
    ] {
        let drift = json!({"done": "left", "theirs": theirs});
        let state = drifted(&drift, |listing| {
            ours_seen(listing, -1);
            let leg = listing.leg.as_mut().expect("it has a leg");
            (leg.quantity, leg.state) = (Quantity::new(9), leg::State::Dropped);
        });
        let served = serve(state, |_| {}).await;
        let outbox = served.get("/v1/outbox?channel=main").await;
        assert_eq!(outbox["given_up"]["some"][0]["why"], says, "{outbox:#}");
        let view = served.get("/v1/skus/MUG").await;
        let why = &view["listings"][MAIN]["drift"]["why"];
        assert_eq!(why.is_string(), theirs, "{view:#}");
        let waits = view["listings"][MAIN]["waits_for"].as_str().expect("it says why");
        assert!(waits.starts_with(says) && waits.contains("evenkeel dead-letters retry"), "{waits}");
    }
}

#[tokio::test]
async fn what_a_frozen_listing_would_show_is_told_and_that_it_is_frozen() {
    let served = serve(opened(), |_| {}).await;
    let main = async || served.get("/v1/skus/MUG").await["listings"][MAIN].clone();
    for scope in [json!({"sku": "MUG", "mode": "frozen"}), json!({"channel": "main", "mode": "frozen"})] {
        served.post("/v1/pause", &scope.to_string()).await;
        let before = main().await["desired"].as_i64().expect("a quantity");
        let delivery = DeliveryId::new(&format!("d-{before}")).expect("an id");
        let (orders, fetch, look) = (vec![order(&before.to_string(), "MUG", 1)], Vec::new(), Vec::new());
        served.desk.do_now(Command::Push { channel: channel("us"), delivery, orders, fetch, look });
        let told = main().await;
        assert_eq!((&told["desired"], &told["frozen"]), (&json!(before - 1), &json!(true)), "{told:#}");
        assert!(told["waits_for"].as_str().is_some_and(|why| why.contains("paused (frozen)")), "{told:#}");
        let mut resumed = scope.clone();
        resumed.as_object_mut().expect("fields").remove("mode");
        served.post("/v1/resume", &resumed.to_string()).await;
        assert_eq!(main().await["frozen"], Value::Null);
    }
}

#[tokio::test]
async fn a_listing_that_goes_to_another_sku_is_named_with_what_it_shows() {
    let mut state = opened();
    let delivery = DeliveryId::new("d-1").expect("an id");
    let (orders, fetch, look) = (vec![order("1", "TSHIRT/BL", 1)], Vec::new(), Vec::new());
    run(&mut state, Command::Push { channel: channel("main"), delivery, orders, fetch, look });
    let served = serve(state, |_| {}).await;
    let rebind = |dry_run: bool| json!({"channel": "main", "ids": {"inventory_item": "11"}, "sku": "MUG", "dry_run": dry_run});
    let ids = json!({"channel_sku": "TSHIRT/BL", "inventory_item": "11"});
    let mut moved = json!({"channel": "main", "ids": ids, "from": "TSHIRT/BL", "to": "MUG", "unsettled": 0});
    for dry_run in [true, false] {
        let told = served.post("/v1/rebind", &rebind(dry_run).to_string()).await;
        for figure in ["shows", "desired"] {
            assert!(told["moved"][0][figure].is_i64(), "{told:#}");
            moved[figure] = told["moved"][0][figure].clone();
        }
        assert_eq!((&told["moved"], &told["changed"]), (&json!([moved]), &json!(2)), "{told:#}");
    }
    let again = served.post("/v1/rebind", &rebind(false).to_string()).await;
    assert_eq!((&again["moved"], &again["changed"]), (&Value::Null, &json!(0)), "{again:#}");
}

#[tokio::test]
async fn a_lower_of_an_intent_that_was_taken_back_waits_for_nothing() {
    let mut state = opened();
    run(&mut state, count(&[("MUG", 5)], false));
    let served = serve(state, |_| {}).await;
    let rows = json!([{"sku": "MUG", "channel": "main", "quantity": 3}]);
    served.post("/v1/intents", &json!({"id": "one", "rows": rows}).to_string()).await;
    let legs = async || served.get("/v1/commits?intent=one").await["intents"][0]["legs"].clone();
    let steps = |legs: &Value| {
        let all = legs.as_array().expect("a list").iter();
        all.map(|leg| [&leg["way"], &leg["step"]].map(|text| text.as_str().unwrap_or_default().to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(&legs().await), [["lower", "waiting"]]);
    served.post("/v1/intents/one/cancel", "{}").await;
    let told = legs().await;
    assert_eq!(steps(&told)[0], ["lower", "taken_back"], "{told:#}");
    assert_eq!(told[0]["waits_for"], Value::Null);
}

#[tokio::test]
async fn the_outbox_names_what_is_not_raised_because_a_drift_waits() {
    for done in ["asked", "held"] {
        let state = drifted(&json!({"done": done, "passed_over": true}), |listing| {
            ours_seen(listing, 1);
            let leg = listing.leg.as_mut().expect("it has a leg");
            (leg.quantity, leg.state) = (Quantity::new(8), leg::State::Pending);
        });
        let outbox = serve(state, |_| {}).await.get("/v1/outbox?channel=main").await;
        let all = outbox["rows"].as_array().expect("rows").iter();
        let rows: Vec<&Value> = all.filter(|row| row["subject"] == "MUG").collect();
        let [row] = &rows[..] else { panic!("{outbox:#}") };
        assert_eq!([&row["shown"], &row["quantity"]], [&json!(4), &json!(8)], "{outbox:#}");
        assert_eq!(row["why"], "another writer changed it there: see `evenkeel drift`", "{outbox:#}");
    }
}
