//! A count that would empty most of the catalogue is held, and told, until a person says what it is.

use serde_json::{Value, json};

use crate::{
    alerts::{Heard, hears, receiver},
    live::{Home, Live},
    support::{World, number, order, text, until_empty, writes},
};

/// Returns the SKUs and the units on their shelves.
async fn shelves(world: &World) -> Vec<(String, i64)> {
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter();
    all.map(|book| (text(&book["sku"]).to_owned(), number(&book["physical"]))).collect()
}

async fn count(world: &World, counts: &[(String, i64)]) {
    let lines = counts.iter().map(|(sku, units)| json!({"sku": sku, "quantity": units}));
    world.post("erp/count", json!({"counts": lines.collect::<Vec<_>>()})).await;
}

/// Opens a shop, and has somebody enter zero in the ERP for all SKUs but the last. Returns the held count's id.
async fn hold() -> (World, Home, Live, Heard, Vec<(String, i64)>, String) {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let (url, heard) = receiver().await;
    home.configure("after_tries = 8", &format!("after_tries = 8\nwebhook_url = \"{url}\""));
    home.configure("sweep_every = \"10s\"", "sweep_every = \"1h\"");
    let live = home.open(&world).await;
    until_empty("everything was counted once", async || {
        let status = home.ask(&["status"]).await.json();
        let erp = status["channels"].as_array().expect("a list").iter().find(|one| one["channel"] == "erp");
        if erp.is_some_and(|erp| erp["counted_through"].is_string()) {
            vec![]
        } else {
            vec![status.to_string()]
        }
    })
    .await;
    home.settle(&world).await;
    assert_eq!(writes(&world).await, Vec::<Value>::new(), "everything was shown as it is from the start");
    let before = shelves(&world).await;
    let zeros: Vec<(String, i64)> = before[..11].iter().map(|(sku, _)| (sku.clone(), 0)).collect();
    count(&world, &zeros).await;
    hears(&heard, "erp", "brake", &["firing"]).await;

    let told = home.ask(&["dead-letters", "list"]).await.json();
    let letter = &told["letters"][0];
    assert_eq!(told["letters"].as_array().map(Vec::len), Some(1), "{told:#}");
    assert_eq!((&letter["kind"], &letter["channel"]), (&json!("count"), &json!("erp")), "{told:#}");
    assert_eq!(letter["subject"], "a count of 11 SKUs", "{told:#}");
    assert_eq!(letter["reason"], "it would set 11 of 12 SKUs to zero", "{told:#}");
    let status = home.ask(&["status"]).await.json();
    assert_eq!((&status["held_counts"], &status["dead_letters"]), (&json!(1), &json!(1)), "{status:#}");
    let id = text(&letter["id"]).to_owned();
    unmoved(&world, &home, &before).await;
    (world, home, live, heard, before, id)
}

/// Expects that nothing came of the count: not in the ledger, not on a channel.
async fn unmoved(world: &World, home: &Home, before: &[(String, i64)]) {
    let books = world.get("books").await;
    for (n, (sku, units)) in before.iter().enumerate() {
        let told = home.ask(&["sku", sku]).await.json();
        assert_eq!(told["stock"][0]["on_hand"], *units, "{told:#}");
        assert_eq!(told["recent"].as_array().map(Vec::len), Some(1), "only the opening count: {told:#}");
        let book = &books["skus"][n];
        for system in ["shopify", "amazon"] {
            assert_eq!(book[system]["shown"], *units, "{book:#}");
        }
    }
    assert_eq!(writes(world).await, Vec::<Value>::new());
    assert_eq!(home.ask(&["outbox"]).await.json()["rows"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_count_is_released_and_takes_effect() {
    let (world, home, live, heard, before, id) = hold().await;
    // Orders go on meanwhile.
    let (sku, units) = &before[11];
    order(&world, "shopify", sku, 1).await;
    until_empty("the sale is passed on", async || {
        let shown = world.get("books").await["skus"][11]["amazon"]["shown"].clone();
        if shown == json!(units - 1) { vec![] } else { vec![shown.to_string()] }
    })
    .await;
    let done = home.ask(&["dead-letters", "retry", &id]).await.json();
    assert_eq!(done["done"], format!("`{id}` goes again"));
    home.settle(&world).await;
    for book in &world.get("books").await["skus"].as_array().expect("a list")[..11] {
        assert_eq!((&book["shopify"]["shown"], &book["amazon"]["shown"]), (&json!(0), &json!(0)), "{book:#}");
    }
    let (sku, units) = &before[0];
    let told = home.ask(&["sku", sku]).await.json();
    let last = told["recent"].as_array().and_then(|recent| recent.last()).expect("an entry");
    assert_eq!((&last["kind"], &last["quantity"]), (&json!("count"), &json!(-units)), "{told:#}");
    hears(&heard, "erp", "brake", &["firing", "recovered"]).await;
    home.ask(&["dead-letters", "retry", &id]).await.fails(4, "there is no dead letter");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_count_is_discarded_and_nothing_comes_of_it() {
    let (world, home, live, heard, before, id) = hold().await;
    // It was a mistake, and is put right in the ERP.
    count(&world, &before).await;
    let done = home.ask(&["dead-letters", "discard", &id]).await.json();
    assert_eq!(done["done"], format!("`{id}` is given up"));
    hears(&heard, "erp", "brake", &["firing", "recovered"]).await;
    home.settle(&world).await;
    unmoved(&world, &home, &before).await;
    let none = json!({"drifts": 0, "letters": [], "more": false});
    assert_eq!(home.ask(&["dead-letters", "list"]).await.json(), none);
    live.stop().await;
    home.verify().await;
}
