//! `POST /v1/reconcile`, page by page: what a dry run says is what would be done.

use serde_json::{Value, json};

use super::world::{OPENED, Served, channel, item, opened, order, policies, serve, sku};
use crate::{
    connectors::{CataloguePage, Cursor},
    core::{Command, State, decide},
    model::{
        CatalogueItem, DeliveryId, IdKind, Levels, Policies, Quantity, Timestamp,
        policy::{DriftPolicy, Repair},
    },
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(OPENED).plus_millis(seconds * 1_000)
}

/// What the shop tells of a SKU of which nothing is promised there.
fn told(code: &str, inventory_item: &str, units: i64) -> CatalogueItem {
    let item = item(&[(IdKind::Sku, code), (IdKind::InventoryItem, inventory_item)], Some(units));
    let (on_hand, committed) = (Some(Quantity::new(units)), Some(Quantity::ZERO));
    CatalogueItem { levels: item.levels.map(|levels| Levels { on_hand, committed, ..levels }), ..item }
}

fn mug(units: i64) -> CatalogueItem {
    told("MUG", "12", units)
}

fn shirt(units: i64) -> CatalogueItem {
    told("TSHIRT/BL", "11", units)
}

/// [`opened`], with a shop that shows what it should and whose edits are taken over.
fn agreed() -> State {
    agreed_with(Repair::Theirs)
}

fn agreed_with(on_hand: Repair) -> State {
    let mut state = opened();
    let drift = DriftPolicy { on_hand: Some(on_hand), ..DriftPolicy::default() };
    let items = vec![mug(5), shirt(10)];
    let then = |state: &mut State, seconds: i64, command: Command| {
        decide(state, command, at(seconds)).1.expect("taken");
    };
    let fed = |state: &State, seconds: i64| {
        let (begun, begun_at, through) = (state.seq, at(seconds), at(seconds));
        Command::Fed { channel: channel("main"), begun, begun_at, through }
    };
    then(&mut state, 0, Command::Configure(Box::new(Policies { drift, ..policies() })));
    let read = fed(&state, 5);
    then(&mut state, 5, read);
    let (read_at, unread) = (at(10), Vec::new());
    then(&mut state, 10, Command::Catalogue { channel: channel("main"), read_at, items, unread });
    let read = fed(&state, 20);
    then(&mut state, 20, read);
    state
}

/// Compares the shop with these pages, as the command line does.
async fn compare(served: &Served, pages: Vec<Vec<CatalogueItem>>) -> Vec<Value> {
    let last = pages.len() - 1;
    let page = |(n, items): (usize, Vec<CatalogueItem>)| {
        let next = (n < last).then(|| Cursor((n + 1).to_string()));
        CataloguePage { items, next, ..CataloguePage::default() }
    };
    *served.desk.pages.lock().expect("unpoisoned") = pages.into_iter().enumerate().map(page).collect();
    let (mut answers, mut asked) = (Vec::new(), json!({"channel": "main", "dry_run": true}));
    loop {
        let answer = served.post("/v1/reconcile", &asked.to_string()).await;
        let (next, edits) = (answer["next"].clone(), answer["edits"].clone());
        answers.push(answer);
        if next.is_null() {
            return answers;
        }
        (asked["after"], asked["edits"]) = (next, edits);
    }
}

#[tokio::test]
async fn a_dry_run_weighs_the_edits_of_all_pages_together() {
    let served = serve(agreed(), |_| {}).await;
    let same = compare(&served, vec![vec![mug(5)], vec![shirt(10)]]).await;
    assert!(same.iter().all(|page| page["agree"] == 1), "{same:#?}");
    for pages in [vec![vec![mug(0), shirt(0)]], vec![vec![mug(0)], vec![shirt(0)]]] {
        let pages = compare(&served, pages).await;
        let rows = pages.iter().flat_map(|page| page["differ"].as_array().expect("a list"));
        let done: Vec<&Value> = rows.clone().map(|row| &row["will_be"]).collect();
        assert_eq!(done, [&json!("accepted"), &json!("asked")], "{pages:#?}");
        let why = rows.last().and_then(|row| row["why"].as_str()).expect("it says why");
        assert!(why.contains("with the edits of the last hour it would set 2 of 2 SKUs to zero"), "{why}");
    }
    let alone = compare(&served, vec![vec![shirt(0)]]).await;
    assert_eq!(alone[0]["differ"][0]["will_be"], "accepted", "a dry run is kept by nobody");
}

#[tokio::test]
async fn a_look_that_is_too_early_to_be_trusted_would_be_looked_at_again() {
    let mut state = agreed();
    state.change_sku(&sku("MUG"), |row| row.listings[1].writes.trust_from = at(600));
    let served = serve(state, |_| {}).await;
    let pages = compare(&served, vec![vec![mug(9), shirt(10)]]).await;
    let page = &pages[0];
    assert_eq!((&page["differ"], &page["agree"]), (&json!([]), &json!(1)), "{page:#}");
    let (listing, locations) = (["channel_sku=MUG"], ["warehouse"]);
    let row = json!({"sku": "MUG", "listing": listing, "locations": locations, "shown": 9, "expected": 5});
    assert_eq!(page["too_soon"], json!([row]), "{page:#}");
    // What it would show anyhow needs no second look.
    let pages = compare(&served, vec![vec![mug(5)]]).await;
    assert_eq!((&pages[0]["agree"], &pages[0]["too_soon"]), (&json!(1), &Value::Null), "{pages:#?}");
}

/// A drift of `MUG` on `main` that waits for a person.
fn asked() -> State {
    let mut state = agreed_with(Repair::Ask);
    let (read_at, items, unread) = (at(600), vec![mug(7), shirt(10)], Vec::new());
    then(&mut state, 600, Command::Catalogue { channel: channel("main"), read_at, items, unread });
    let (begun, begun_at, through) = (state.seq, at(660), at(660));
    then(&mut state, 660, Command::Fed { channel: channel("main"), begun, begun_at, through });
    state
}

fn then(state: &mut State, seconds: i64, command: Command) {
    decide(state, command, at(seconds)).1.expect("taken");
}

#[tokio::test]
async fn who_accepts_an_edit_where_an_erp_counts_is_told_that_its_next_count_outweighs_it() {
    let served = serve(asked(), |_| {}).await;
    let done = served.post("/v1/drift/accept", r#"{"sku": "MUG", "channel": "main"}"#).await;
    let said = done["done"].as_str().expect("it says");
    assert!(said.contains("`erp` counts `warehouse`") && said.contains("correct it there too"), "{said}");
}

#[tokio::test]
async fn a_drift_that_a_lower_went_over_waits_without_being_a_dead_letter() {
    let mut state = asked();
    let waits = async |state: &State, query: &str| {
        let told = serve(state.clone(), |_| {}).await.get(&format!("/v1/dead-letters{query}")).await;
        (told["letters"].as_array().map(Vec::len), told["drifts"].as_u64())
    };
    assert_eq!(waits(&state, "").await, (Some(1), Some(0)));
    let delivery = DeliveryId::new("d-9").expect("an id");
    let orders = vec![order("9", "MUG", 2)];
    let (fetch, look) = (Vec::new(), Vec::new());
    then(&mut state, 670, Command::Push { channel: channel("main"), delivery, orders, fetch, look });
    assert_eq!(waits(&state, "").await, (Some(0), Some(1)));
    assert_eq!(waits(&state, "?channel=us").await, (Some(0), Some(0)));
}
