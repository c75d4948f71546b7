//! One listing that spoils every request which holds it: the others go, people hear of the one, and it comes through once
//! it is healed.

use std::collections::BTreeMap;

use evenkeel::sandbox::Span;
use serde_json::{Value, json};

use crate::{
    live::{Home, Live},
    support::{World, number, order, text, until_empty, writes},
};

const SKUS: usize = 50;

async fn open() -> (World, Home, Live, Vec<(String, i64)>) {
    let world = World::start(|options| {
        options.catalogue.skus = SKUS;
        options.catalogue.opening = Span { min: 20, max: 40 };
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

/// Turns one dial, with a SKU or `off`.
async fn fault(world: &World, name: &str, value: &str) {
    world.post("faults", json!({"faults": [format!("{name}={value}")]})).await;
}

/// One unit of each SKU is sold in one order, so that all their writes are due together.
async fn sell_all(world: &World, on: &str, skus: &[(String, i64)]) {
    let lines: Vec<Value> = skus.iter().map(|(sku, _)| json!({"sku": sku, "quantity": 1})).collect();
    world.post("order", json!({"channel": on, "lines": lines})).await;
}

/// Waits until all but one show what is left on a channel, and returns what that one shows.
async fn others_are_live(world: &World, on: &str, bad: &str, skus: &[(String, i64)], sold: i64) -> i64 {
    let shown = async || {
        let books = world.get("books").await;
        let all = books["skus"].as_array().expect("a list").clone();
        let one = |book: &Value| (text(&book["sku"]).to_owned(), number(&book[on]["shown"]));
        all.iter().map(one).collect::<BTreeMap<_, _>>()
    };
    until_empty("all others show what is left", async || {
        let shown = shown().await;
        let behind = skus.iter().filter(|(sku, units)| sku != bad && shown[sku] != units - sold);
        behind.map(|(sku, units)| format!("{sku}: {} of {units}", shown[sku])).collect()
    })
    .await;
    shown().await[bad]
}

async fn outbox(home: &Home, sku: &str) -> Option<Value> {
    let told = home.ask(&["outbox"]).await.json();
    let all = told["rows"].as_array().unwrap_or_else(|| panic!("a list: {told:#}")).clone();
    all.into_iter().find(|entry| entry.to_string().contains(sku))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_whose_requests_fail_waits_alone_and_is_tried_until_it_is_healed() {
    let (world, home, live, skus) = open().await;
    let (bad, units) = skus[7].clone();
    let before = writes(&world).await.len();
    fault(&world, "shopify-poison", &bad).await;
    sell_all(&world, "amazon", &skus).await;
    assert_eq!(others_are_live(&world, "shopify", &bad, &skus, 1).await, units, "it still fails");
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for write in writes(&world).await[before..].iter().filter(|write| write["channel"] == "shopify") {
        *times.entry(text(&write["sku"]).to_owned()).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1) && times.len() == SKUS - 1, "once each: {times:?}");
    until_empty("people can see that it is alone", async || match outbox(&home, &bad).await {
        Some(entry) if entry["why"].as_str().is_some_and(|why| why.contains("goes by itself")) => vec![],
        entry => vec![format!("{entry:?}")],
    })
    .await;
    // What is sold next does not wait for it, and its channel is not taken for one that is down.
    order(&world, "amazon", &skus[3].0, 2).await;
    until_empty("another one is live while it fails", async || {
        let shown = number(&world.get("books").await["skus"][3]["shopify"]["shown"]);
        if shown == skus[3].1 - 3 { vec![] } else { vec![shown.to_string()] }
    })
    .await;
    let status = home.ask(&["status"]).await.json();
    let channels = status["channels"].as_array().expect("a list").clone();
    let shop = channels.iter().find(|channel| channel["id"] == "shop" || channel["channel"] == "shop");
    let shop = shop.unwrap_or_else(|| panic!("{status:#}"));
    assert!(shop["circuit"].to_string().contains("closed"), "{shop:#}");
    assert_eq!(number(&world.get("books").await["skus"][7]["shopify"]["shown"]), units);

    fault(&world, "shopify-poison", "off").await;
    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_spoils_its_batch_without_a_name_is_parked_alone_and_retried_by_its_reason() {
    let (world, home, live, skus) = open().await;
    let (bad, units) = skus[31].clone();
    fault(&world, "shopify-poison-refused", &bad).await;
    sell_all(&world, "amazon", &skus).await;
    assert_eq!(others_are_live(&world, "shopify", &bad, &skus, 1).await, units);
    until_empty("it waits for a person", async || {
        let told = home.ask(&["dead-letters", "list", "--channel", "shop"]).await.json();
        let letters = told["letters"].as_array().expect("a list");
        if letters.len() == 1 && letters[0]["subject"] == bad { vec![] } else { vec![told.to_string()] }
    })
    .await;
    until_empty("people are told", async || {
        let told = home.ask(&["alerts"]).await.json().to_string();
        if told.contains("dead_letters") { vec![] } else { vec![told] }
    })
    .await;
    let told = home.ask(&["dead-letters", "list"]).await.json();
    let letter = &told["letters"][0];
    assert_eq!((number(&letter["tries"]), &letter["kind"]), (1, &json!("leg")), "{letter:#}");
    assert!(text(&letter["command"]).starts_with("evenkeel dead-letters retry "), "{letter:#}");
    assert!(text(&letter["reason"]).contains("INVALID_VARIABLE"), "{letter:#}");
    let waiting = home.ask(&["outbox", "--channel", "shop"]).await.json();
    assert_eq!(waiting, json!({"rows": [], "more": false, "dead_letters": 1}));

    let by = ["--channel", "shop", "--reason", "invalid_variable"];
    let dry = home.ask(&[&["dead-letters", "retry", "--dry-run"][..], &by].concat()).await.json();
    assert_eq!((&dry["dry_run"], &dry["letters"][0]["subject"]), (&json!(true), &json!(bad)));
    fault(&world, "shopify-poison-refused", "off").await;
    let left = home.ask(&["dead-letters", "list"]).await.json();
    assert_eq!(left["letters"].as_array().map(Vec::len), Some(1), "a dry run does nothing");
    let done = home.ask(&[&["dead-letters", "retry"][..], &by].concat()).await.json();
    assert_eq!(done["letters"].as_array().map(Vec::len), Some(1), "{done:#}");
    home.settle(&world).await;
    assert_eq!(home.ask(&["dead-letters", "list"]).await.json()["letters"], json!([]));
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_that_cannot_be_read_or_written_on_amazon_and_an_order_that_fails_in_the_erp_hold_up_no_other()
 {
    let (world, home, live, skus) = open().await;
    let (bad, units) = skus[5].clone();
    for name in ["amazon-poison", "amazon-poison-reads", "shopify-poison-reads", "erp-poison"] {
        fault(&world, name, &bad).await;
    }
    sell_all(&world, "shopify", &skus[10..]).await;
    order(&world, "shopify", &bad, 1).await;
    for (sku, _) in &skus[11..15] {
        order(&world, "shopify", sku, 1).await;
    }
    let expect = |n: usize| skus[n].1 - i64::from(n >= 10) - i64::from((11..15).contains(&n) || n == 5);
    until_empty("all others agree everywhere", async || {
        let books = world.get("books").await;
        let all = books["skus"].as_array().expect("a list").iter().enumerate().filter(|(n, _)| *n != 5);
        let behind = all.filter(|(n, book)| {
            book["amazon"]["shown"] != expect(*n) || book["erp"]["available"] != expect(*n)
        });
        behind.map(|(_, book)| book.to_string()).collect()
    })
    .await;
    let books = world.get("books").await;
    let one = &books["skus"][5];
    assert_eq!(
        (number(&one["amazon"]["shown"]), number(&one["erp"]["available"])),
        (units, units),
        "{one:#}"
    );
    world.post("faults", json!({"faults": ["none"]})).await;
    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
}
