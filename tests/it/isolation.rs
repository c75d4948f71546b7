//! A channel that is down delays no other, and a person hears of it once, and once that it is over.

use serde_json::{Value, json};

use crate::{
    alerts::{receiver, told},
    support::{Shop, World, config, order, until_empty},
};

/// Returns the code and the units on the shelf of the first SKUs.
async fn shelf(world: &World, skus: usize) -> Vec<(String, i64)> {
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter().take(skus);
    all.map(|sku| {
        (sku["sku"].as_str().expect("a code").to_owned(), sku["physical"].as_i64().expect("a number"))
    })
    .collect()
}

/// Returns what Shopify and the ERP do not show yet, whatever Amazon shows.
async fn behind(world: &World) -> Vec<String> {
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter();
    all.filter(|sku| {
        sku["shopify"]["shown"] != sku["available"]
            || sku["erp"]["on_hand"] != sku["physical"]
            || sku["erp"]["available"] != sku["available"]
    })
    .map(Value::to_string)
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amazon_is_down_and_the_others_go_on_and_it_catches_up_afterwards() {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let (url, heard) = receiver().await;
    let dir = tempfile::tempdir().expect("a directory");
    let text = config(&world, dir.path()).await;
    let alerts = format!("after = \"1s\"\nwebhook_url = \"{url}\"");
    let shop = Shop::with(&text.replace("after = \"30s\"", &alerts), dir).await;
    shop.open().await;
    until_empty("all agree at the start", async || world.disagreements().await).await;

    world.post("faults", json!({"faults": ["amazon-outage=10m"]})).await;
    let shelf = shelf(&world, 4).await;
    for (sku, _) in &shelf[..2] {
        order(&world, "shopify", sku, 2).await;
    }
    let counts: Vec<Value> =
        shelf[2..].iter().map(|(sku, units)| json!({"sku": sku, "quantity": units + 5})).collect();
    world.post("erp/count", json!({"counts": counts})).await;
    until_empty("Shopify and the ERP agree", async || behind(&world).await).await;
    let left = world.disagreements().await;
    assert_eq!(left.len(), 4, "Amazon is still down and can know of none of it: {left:#?}");
    until_empty("a person hears of it", async || {
        let told = told(&heard, "market");
        if told.values().any(|states| states == &["firing"]) { vec![] } else { vec![format!("{told:?}")] }
    })
    .await;

    world.post("faults", json!({"faults": ["amazon-outage=off"]})).await;
    until_empty("all agree in the end", async || world.disagreements().await).await;
    until_empty("a person hears that it is over", async || {
        let told = told(&heard, "market");
        let over = told.values().all(|states| states.last().is_some_and(|last| last == "recovered"));
        if over && !told.is_empty() { vec![] } else { vec![format!("{told:?}")] }
    })
    .await;
    for (key, states) in told(&heard, "market") {
        let turns = states.iter().enumerate().all(|(n, state)| state == ["firing", "recovered"][n % 2]);
        assert!(turns, "each turn is told once: {key}: {states:?}");
    }
    shop.end().await;
}
