//! A flash sale: shoppers are quicker than every write that compares, so the lower goes as a change of so many units, once.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::{
    conformance::front::{Asked, Front, Strike},
    live::{Home, Live},
    support::{World, number, order, text, until_empty},
};

/// Opens with much of everything, and the shop behind a front. Returns what is there of the first SKU.
async fn open() -> (World, Home, Live, Front, (String, i64)) {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 60, max: 80 };
    })
    .await;
    let base = text(&world.get("systems").await["shopify"]["base_url"]).to_owned();
    let address = base.trim_start_matches("http://").trim_end_matches('/');
    let front = Front::start(address.parse().expect("an address")).await;
    let home = Home::new(&world).await;
    home.configure(&base, &front.base());
    let live = home.open(&world).await;
    home.settle(&world).await;
    crate::drift::known(&home).await;
    let book = world.get("books").await["skus"][0].clone();
    let hot = (text(&book["sku"]).to_owned(), number(&book["physical"]));
    (world, home, live, front, hot)
}

fn changes(asked: &Asked) -> bool {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    body["query"].as_str().is_some_and(|query| query.contains("inventoryAdjustQuantities"))
}

/// The deltas that were sent, as the shop was asked.
fn deltas(front: &Front) -> Vec<Value> {
    let body =
        |asked: &Asked| serde_json::from_slice::<Value>(&asked.body).expect("JSON")["variables"].clone();
    front.asked().iter().filter(|asked| changes(asked)).map(body).collect()
}

async fn shown(world: &World, channel: &str) -> i64 {
    number(&world.get("books").await["skus"][0][channel]["shown"])
}

/// Waits until so many deltas were sent, and returns all.
async fn until_changed(front: &Front) -> Vec<Value> {
    let all = RefCell::new(Vec::new());
    let all = &all;
    until_empty("a delta is sent", async || {
        all.borrow_mut().extend(deltas(front));
        if all.borrow().is_empty() { vec!["none yet".to_owned()] } else { vec![] }
    })
    .await;
    all.take()
}

/// The rush is over: all agree, no unit is lost or there twice, and nobody is suspected.
async fn end(world: &World, home: &Home, live: Live, sku: &str, units: i64, elsewhere: i64) {
    world.post("faults", json!({"faults": ["shopify-rush=off"]})).await;
    home.settle(world).await;
    let book = world.get("books").await["skus"][0].clone();
    let sold = number(&book["shopify"]["units"]["sold"]);
    assert!(sold >= 3, "three came too late: {book:#}");
    let left = units - elsewhere - sold;
    for channel in ["shopify", "amazon"] {
        assert_eq!(shown(world, channel).await, left, "{channel}: {book:#}");
    }
    let told = home.ask(&["sku", sku]).await.json();
    assert_eq!(told["available"], left, "{told:#}");
    let drift = home.ask(&["drift"]).await.json();
    let drifted = drift["rows"].as_array().expect("a list").iter().any(|row| row["sku"] == sku);
    assert!(!drifted, "nobody else wrote: {drift:#}");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_that_always_comes_too_late_goes_as_a_change_of_so_many_units() {
    let (world, home, live, front, (sku, units)) = open().await;
    world.post("faults", json!({"faults": [format!("shopify-rush={sku}")]})).await;
    front.asked();
    order(&world, "amazon", &sku, 5).await;
    let sent = until_changed(&front).await;
    // Each write that compares has a shopper buy, and each sale may have us write: that would only end with the stock.
    world.post("faults", json!({"faults": ["shopify-rush=off"]})).await;
    assert_eq!(sent.len(), 1, "{sent:#?}");
    let change = &sent[0]["input"]["changes"][0];
    // A unit that is known to be sold there by then may be in what is wanted already, and not in what is expected.
    assert!((-5..0).contains(&number(&change["delta"])), "{sent:#?}");
    assert_eq!(change["changeFromQuantity"], Value::Null, "{sent:#?}");
    assert!(
        text(&sent[0]["input"]["referenceDocumentUri"]).starts_with("gid://evenkeel/Commit"),
        "{sent:#?}"
    );
    until_empty("it is seen live", async || {
        let told = home.ask(&["outbox"]).await.json();
        told["rows"].as_array().expect("a list").iter().map(Value::to_string).collect()
    })
    .await;
    let story = crate::live::run(home.command().args(["explain", &sku])).await.out;
    assert!(story.contains("by a change of -"), "{story}");
    end(&world, &home, live, &sku, units, 5).await;
    let again = deltas(&front);
    assert!(again.iter().all(|one| one["key"] != sent[0]["key"]), "it was sent once: {again:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_answer_is_lost_is_not_sent_again() {
    let (world, home, live, front, (sku, units)) = open().await;
    world.post("faults", json!({"faults": [format!("shopify-rush={sku}")]})).await;
    front.strike(changes, 0, Strike::Lost);
    front.asked();
    order(&world, "amazon", &sku, 5).await;
    let sent = until_changed(&front).await;
    assert_eq!(sent.len(), 1, "{sent:#?}");
    end(&world, &home, live, &sku, units, 5).await;
    let again = deltas(&front);
    assert_eq!(again, Vec::<Value>::new(), "it had landed, and was looked for");
}
