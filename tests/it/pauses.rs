//! What is frozen is not written, while everything else goes on, and catches up when it is resumed.

use serde_json::{Value, json};

use crate::{
    live::Home,
    support::{World, number, order, text, until_empty, writes},
};

async fn at_work() -> (World, Home, crate::live::Live, Vec<(String, i64)>) {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    home.settle(&world).await;
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter();
    let all = all.map(|book| (text(&book["sku"]).to_owned(), number(&book["physical"]))).collect();
    (world, home, live, all)
}

/// Waits until a system shows this of a SKU.
async fn shows(world: &World, n: usize, system: &str, key: &str, units: i64) {
    until_empty("it is shown", async || {
        let book = world.get("books").await["skus"][n].clone();
        if book[system][key] == units { vec![] } else { vec![format!("{system} {key} {units}: {book}")] }
    })
    .await;
}

/// Sells on Amazon while Shopify is down, so that a change for Shopify waits to be tried again.
async fn sell_while_shopify_is_down(world: &World, home: &Home, sku: &str) {
    world.post("faults", json!({"faults": ["shopify-outage=10m"]})).await;
    order(world, "amazon", sku, 2).await;
    until_empty("a write was tried", async || {
        let outbox = home.ask(&["outbox", "--channel", "shop"]).await.json();
        let row = &outbox["rows"][0];
        let tried = row["subject"] == sku && row["tries"].as_i64() > Some(0);
        if tried { vec![] } else { vec![outbox.to_string()] }
    })
    .await;
}

async fn shopify_is_back(world: &World) {
    world.post("faults", json!({"faults": ["shopify-outage=off"]})).await;
}

/// Waits until the outbox says that this waits for the pause to end.
async fn waits(home: &Home, channel: &str, subject: &str) {
    until_empty("it waits for the pause to end", async || {
        let outbox = home.ask(&["outbox", "--channel", channel]).await.json();
        let mut rows = outbox["rows"].as_array().expect("a list").iter();
        let waits = rows.any(|row| {
            let frozen = |why: &str| why.ends_with("paused (frozen); see `evenkeel resume`");
            row["subject"] == subject && row["why"].as_str().is_some_and(frozen)
        });
        if waits { vec![] } else { vec![outbox.to_string()] }
    })
    .await;
}

fn on<'a>(written: &'a [Value], channel: &str) -> Vec<&'a Value> {
    written.iter().filter(|change| change["channel"] == channel).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_channel_is_not_written_and_catches_up() {
    let (world, home, live, skus) = at_work().await;
    let ((sold, units), (own, own_units)) = (&skus[0], &skus[1]);
    sell_while_shopify_is_down(&world, &home, sold).await;
    let said = home.ask(&["pause", "--channel", "shop", "--mode", "frozen"]).await.json();
    assert_eq!(said["done"], "channel `shop` is frozen: nothing is written, what is shown still sells");
    shopify_is_back(&world).await;
    // Its own sales still come in, and the others are told.
    order(&world, "shopify", own, 1).await;
    shows(&world, 1, "amazon", "shown", own_units - 1).await;
    shows(&world, 1, "erp", "available", own_units - 1).await;
    waits(&home, "shop", sold).await;
    assert_eq!(on(&writes(&world).await, "shopify"), Vec::<&Value>::new());

    // A restart does not thaw it.
    live.stop().await;
    let live = home.serve().await;
    order(&world, "amazon", own, 1).await;
    shows(&world, 1, "erp", "available", own_units - 2).await;
    waits(&home, "shop", sold).await;
    assert_eq!(on(&writes(&world).await, "shopify"), Vec::<&Value>::new());
    shows(&world, 0, "shopify", "shown", *units).await;

    home.ask(&["resume", "--channel", "shop"]).await.json();
    home.settle(&world).await;
    assert!(!on(&writes(&world).await, "shopify").is_empty(), "writes are told apart from sales");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_sku_is_not_written_while_others_are() {
    let (world, home, live, skus) = at_work().await;
    let (frozen, units) = &skus[0];
    let (other, other_units) = &skus[1];
    sell_while_shopify_is_down(&world, &home, frozen).await;
    let said = home.ask(&["pause", "--sku", frozen, "--mode", "frozen"]).await.json();
    assert_eq!(
        said["done"],
        format!("SKU `{frozen}` is frozen: nothing is written, what is shown still sells")
    );
    shopify_is_back(&world).await;
    // Another one that is sold later is written, so its turn would have come.
    order(&world, "amazon", other, 1).await;
    shows(&world, 1, "shopify", "shown", other_units - 1).await;
    order(&world, "amazon", frozen, 1).await;
    shows(&world, 0, "erp", "available", units - 3).await;
    let written = writes(&world).await;
    assert!(
        written.iter().all(|change| change["sku"] != **frozen || change["channel"] == "erp"),
        "{written:?}"
    );
    shows(&world, 0, "shopify", "shown", *units).await;
    home.ask(&["resume", "--sku", frozen]).await.json();
    home.settle(&world).await;
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_erp_is_told_nothing_and_catches_up() {
    let (world, home, live, skus) = at_work().await;
    home.ask(&["pause", "--channel", "erp", "--mode", "frozen"]).await.json();
    let (sku, units) = &skus[0];
    let id = order(&world, "shopify", sku, 2).await;
    shows(&world, 0, "amazon", "shown", units - 2).await;
    waits(&home, "erp", &format!("shop:{id}")).await;
    assert_eq!(on(&writes(&world).await, "erp"), Vec::<&Value>::new());
    shows(&world, 0, "erp", "available", *units).await;
    home.ask(&["resume", "--channel", "erp"]).await.json();
    shows(&world, 0, "erp", "available", units - 2).await;
    home.settle(&world).await;
    live.stop().await;
}
