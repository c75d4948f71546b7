//! Whose doing an oversell is where it is not a change of ours that came too late: a person's, or a seller's who asks nobody.

use serde_json::{Value, json};

use crate::{
    alerts::{Heard, hears, receiver},
    drift::open,
    live::{Home, Live},
    support::{World, order, text, until_empty},
};

/// A world at rest, whose alerts are heard.
async fn at_work() -> (World, Home, Live, Vec<(String, i64)>, Heard) {
    let (url, heard) = receiver().await;
    let alerts = format!("after_tries = 8\nwebhook_url = \"{url}\"");
    let (world, home, live, skus) = open(|home| home.configure("after_tries = 8", &alerts)).await;
    (world, home, live, skus, heard)
}

async fn available(home: &Home, sku: &str, units: i64) {
    until_empty("it is booked", async || {
        let told = home.ask(&["sku", sku]).await.json();
        if told["available"] == units { vec![] } else { vec![told.to_string()] }
    })
    .await;
}

/// Expects that figures, story and alert all name these units and this class, and no other.
async fn classed(home: &Home, heard: &Heard, sku: &str, units: i64, class: &str) {
    let figures = home.figures().await;
    let counted = figures.lines().filter(|line| line.starts_with("evenkeel_oversold_units_total{"));
    let counted: Vec<&str> = counted.filter(|line| !line.ends_with(" 0")).collect();
    assert_eq!(counted, [format!("evenkeel_oversold_units_total{{class=\"{class}\"}} {units}")]);

    let told = home.ask(&["explain", sku]).await.json();
    assert_eq!(told["oversold"], json!({class: units}), "{told:#}");
    let events = told["events"].as_array().expect("a list").iter();
    let named: Vec<&Value> = events.filter(|event| event["what"] == "oversold").collect();
    let says = format!("OVERSOLD by {units}, class {class}: ");
    assert!(named.len() == 1 && text(&named[0]["text"]).starts_with(&says), "{named:#?}");

    hears(heard, sku, "oversold", &["firing"]).await;
    let told = home.ask(&["alerts"]).await.json();
    let mut all = told["alerts"].as_array().expect("a list").iter();
    let alert = all.find(|alert| alert["kind"] == "oversold" && alert["subject"] == sku);
    let alert = text(&alert.expect("it is told")["text"]);
    assert!(alert.contains(&format!("class {class}: ")), "{alert}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_keeps_shown_above_what_is_there_is_their_override() {
    let (world, home, live, skus, heard) = at_work().await;
    let (sku, units) = &skus[0];
    home.ask(&["pause", "--channel", "shop", "--mode", "frozen"]).await.json();
    order(&world, "amazon", sku, *units).await;
    available(&home, sku, 0).await;
    let shown = world.get("books").await["skus"][0]["shopify"]["shown"].clone();
    assert_eq!(shown, *units, "it is frozen above what is there");
    order(&world, "shopify", sku, 2).await;
    available(&home, sku, -2).await;
    classed(&home, &heard, sku, 2, "override").await;

    home.ask(&["resume", "--channel", "shop"]).await.json();
    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_erp_sells_of_what_others_have_sold_is_uncontrolled() {
    let (world, home, live, skus, heard) = at_work().await;
    let (sku, units) = &skus[0];
    order(&world, "shopify", sku, units - 1).await;
    home.settle(&world).await;
    let counter = order(&world, "erp", sku, 3).await;
    world.post("fulfil", json!({"channel": "erp", "order": counter})).await;
    available(&home, sku, -2).await;
    classed(&home, &heard, sku, 2, "uncontrolled").await;

    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
}
