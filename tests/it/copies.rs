//! A store that was restored takes nothing from the daemon that it may be a copy of: no subscription, no message.

use std::fs;

use serde_json::{Value, json};

use crate::{
    live::{Home, Live, bare, run},
    queue::{Queue, committed},
    support::{World, number, order, text, until_empty},
};

/// A sandbox, and a daemon's home with a queue and an address for webhooks.
async fn pushed() -> (World, Home) {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    Queue::of(&world).await.configure(&home);
    let listen = format!("listen = \"{}\"", home.web);
    home.configure(&listen, &format!("{listen}\npublic_url = \"http://{}\"", home.web));
    home.configure("[reconcile]", "[tend]\nevery = \"1s\"\n\n[reconcile]");
    (world, home)
}

/// Starts the daemon and takes over the ERP's stock.
async fn opened(home: &Home) -> Live {
    let live = home.serve().await;
    home.ask(&["init", "--from", "erp", "--yes"]).await.json();
    live
}

async fn subscribed(world: &World) -> usize {
    world.get("app").await["subscriptions"].as_array().expect("a list").len()
}

/// Waits until all topics are subscribed to, and nothing waits in the queue.
async fn received(world: &World) {
    until_empty("webhooks and messages are received", async || {
        let (queue, topics) = (world.get("queue").await, subscribed(world).await);
        let left = number(&queue["waiting"]) + number(&queue["hidden"]);
        if (topics, left) == (13, 0) { vec![] } else { vec![format!("{topics} topics"), queue.to_string()] }
    })
    .await;
}

fn notice(status: &Value) -> Option<&str> {
    let shop = status["channels"].as_array()?.iter().find(|it| it["channel"] == "shop")?;
    let mut notices = shop["notices"].as_array()?.iter();
    notices.find(|it| it["kind"] == "webhooks").map(|it| text(&it["text"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_store_looks_at_subscriptions_and_reads_no_queue_until_it_is_live() {
    let (world, home) = pushed().await;
    let live = opened(&home).await;
    received(&world).await;
    let file = home.path("backup.tar.zst");
    let file = file.to_str().expect("text");
    home.ask(&["backup", file]).await.json();
    live.stop().await;
    let store = home.path("store");
    fs::rename(&store, home.path("lost")).expect("moved");
    run(bare().args(["--json", "restore", file, "--to", store.to_str().expect("text")])).await.json();
    world.post("app", json!({"unsubscribe": true})).await;
    let deleted = world.get("queue").await["deleted"].clone();

    let live = home.serve().await;
    order(&world, "amazon", "TSHIRT-BL-M", 2).await;
    until_empty("what is missing is told, and orders are read", async || {
        let status = home.ask(&["status"]).await.json();
        let told = notice(&status).is_some_and(|text| text.contains("ORDERS_CREATE is not subscribed to"));
        let booked = committed(&home, "TSHIRT-BL-M").await;
        if told && booked == 2 { vec![] } else { vec![format!("{booked} booked"), status.to_string()] }
    })
    .await;
    let said = run(home.command().arg("status")).await.out;
    let queue = world.get("queue").await;
    assert_eq!(
        (subscribed(&world).await, &queue["deleted"], &queue["hidden"]),
        (0, &deleted, &json!(0)),
        "{queue}"
    );
    assert!(number(&queue["waiting"]) > 0, "{queue}");
    for part in ["subscriptions are only looked at", "no queue is read"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let log = home.whole_log();
    assert_eq!(log.matches("the queue of notifications is not read until").count(), 1, "{log}");

    home.ask(&["resume", "--live"]).await.json();
    received(&world).await;
    home.settle(&world).await;
    assert_eq!(committed(&home, "TSHIRT-BL-M").await, 2);
    live.stop().await;
    home.verify().await;
}

/// A trial is the only daemon that there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tries_it_out_in_shadow_receives_everything() {
    let (world, home) = pushed().await;
    home.configure("returns = \"restock\"", "returns = \"restock\"\nmode = \"shadow\"");
    let live = opened(&home).await;
    received(&world).await;
    let id = order(&world, "amazon", "TSHIRT-BL-M", 1).await;
    until_empty("its message is taken in", async || {
        let queue = world.get("queue").await;
        if number(&queue["deleted"]) > 0 { vec![] } else { vec![queue.to_string()] }
    })
    .await;
    home.ask(&["order", &format!("market:{id}")]).await.json();
    live.stop().await;
    home.verify().await;
}
