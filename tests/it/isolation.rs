//! A channel that is down delays no other, and a person hears of it once, and once that it is over.

use serde_json::{Value, json};

use crate::{
    alerts::{receiver, told},
    drift::known,
    live::Home,
    support::{Shop, World, config, number, order, text, until_empty, writes},
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

/// Returns what the daemon still has to do on a channel.
async fn outbox(home: &Home, channel: &str) -> Vec<Value> {
    let told = home.ask(&["outbox", "--channel", channel]).await.json();
    told["rows"].as_array().expect("a list").clone()
}

/// It takes every request and answers none: what waits for that is Amazon's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amazon_hangs_and_the_others_go_on() {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::new(&world).await;
    home.configure("\ntimeout = \"5s\"", "\ntimeout = \"5m\"");
    let live = home.open(&world).await;
    home.settle(&world).await;
    // Nothing is written to a blind channel before it is known what it shows, and reads hang too.
    known(&home).await;

    world.post("faults", json!({"faults": ["amazon-latency=10m"]})).await;
    let shelf = shelf(&world, 4).await;
    order(&world, "shopify", &shelf[0].0, 2).await;
    let hanging = async || {
        let rows = outbox(&home, "market").await.into_iter();
        rows.filter(|row| row["state"] == "in_flight").collect::<Vec<Value>>()
    };
    until_empty("a write to Amazon awaits its answer", async || match hanging().await.as_slice() {
        [] => vec!["not yet".to_owned()],
        _ => vec![],
    })
    .await;
    let first = hanging().await;
    assert_eq!((first.len(), text(&first[0]["subject"])), (1, shelf[0].0.as_str()), "{first:#?}");

    order(&world, "shopify", &shelf[1].0, 2).await;
    let counter = order(&world, "erp", &shelf[2].0, 1).await;
    world.post("fulfil", json!({"channel": "erp", "order": counter})).await;
    let counts = json!([{"sku": shelf[3].0, "quantity": shelf[3].1 + 5}]);
    world.post("erp/count", json!({"counts": counts})).await;
    until_empty("Shopify and the ERP agree, and the daemon has seen it", async || {
        let mut left = behind(&world).await;
        for channel in ["shop", "erp"] {
            left.extend(outbox(&home, channel).await.iter().map(Value::to_string));
        }
        left
    })
    .await;
    let shown = world.get("books").await["skus"][3]["shopify"]["shown"].clone();
    assert_eq!(number(&shown), shelf[3].1 + 5);
    let still = hanging().await;
    assert_eq!(still.len(), 1, "{still:#?}");
    for key in ["subject", "revision", "since", "tries"] {
        assert_eq!(still[0][key], first[0][key], "the same write still awaits its answer: {still:#?}");
    }
    let written = writes(&world).await;
    assert!(written.iter().all(|change| change["channel"] != "amazon"), "none has landed: {written:#?}");

    // What is under way when it dies is looked at by the next one.
    live.kill().await;
    world.post("faults", json!({"faults": ["amazon-latency=off"]})).await;
    let live = home.serve().await;
    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
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
