use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, StatusCode};
use serde_json::json;
use sha2::Sha256;

use super::world::{SECRET, SHOP, World, start};
use crate::web::{
    Desk,
    tests::world::{channel, opened, sku},
};

fn sign(body: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// An order of two mugs.
fn order(id: u64) -> String {
    let line = json!({
        "id": 1, "sku": "MUG", "variant_id": 5, "quantity": 2, "current_quantity": 2, "fulfillable_quantity": 2,
        "fulfillment_status": null, "gift_card": false,
    });
    let at = "2023-11-14T22:14:00Z";
    let order = json!({
        "id": id, "name": "#1", "created_at": at, "updated_at": at, "cancelled_at": null,
        "line_items": [line], "fulfillments": [], "refunds": [],
    });
    order.to_string()
}

fn request(world: &World, delivery: &str, body: &str, secret: &str) -> reqwest::RequestBuilder {
    Client::new()
        .post(format!("http://{}/webhooks/shopify/main", world.address))
        .header("X-Shopify-Topic", "orders/create")
        .header("X-Shopify-Shop-Domain", SHOP)
        .header("X-Shopify-Webhook-Id", delivery)
        .header("X-Shopify-Hmac-Sha256", sign(body, secret))
        .body(body.to_owned())
}

async fn push(world: &World, delivery: &str, body: &str, secret: &str) -> StatusCode {
    request(world, delivery, body, secret).send().await.expect("an answer").status()
}

async fn committed(world: &World) -> i64 {
    world.read(|state| state.skus[&sku("MUG")].stock[0].stock.committed.units()).await
}

#[tokio::test]
async fn a_signed_order_is_booked_once_and_survives_a_crash() {
    let world = start(opened(), 64).await;
    assert_eq!(push(&world, "w1", &order(1001), SECRET).await, StatusCode::OK);
    assert_eq!(push(&world, "w1", &order(1001), SECRET).await, StatusCode::OK);
    assert_eq!(push(&world, "w2", &order(1001), SECRET).await, StatusCode::OK);
    assert_eq!(committed(&world).await, 2);
    assert!(
        world.metrics.encode().contains("evenkeel_webhooks_total{channel=\"main\",result=\"duplicate\"} 1")
    );
    // The store began after `opened`, so a replay of it knows the order and no opening stock.
    let after = world.store.restart().expect("a journal");
    assert_eq!(after.orders.keys().map(ToString::to_string).collect::<Vec<_>>(), ["main:1001"]);
}

#[tokio::test]
async fn what_was_not_signed_with_the_secret_is_refused_and_leaves_no_trace() {
    let world = start(opened(), 64).await;
    let before = world.store.len();
    assert_eq!(push(&world, "w1", &order(1001), "guess").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.store.len(), before);
    assert!(world.metrics.encode().contains("evenkeel_webhooks_total{channel=\"main\",result=\"forged\"} 1"));
}

#[tokio::test]
async fn no_push_is_answered_before_it_is_durable() {
    let world = start(opened(), 64).await;
    world.store.hold();
    let durable = world.store.len();
    let answer = tokio::spawn(request(&world, "w1", &order(1001), SECRET).send());
    while world.store.pending() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished());
    world.store.release();
    let answer = answer.await.expect("no panic").expect("an answer");
    assert_eq!((answer.status(), world.store.len()), (StatusCode::OK, durable + 1));
}

#[tokio::test]
async fn a_full_queue_turns_pushes_away_and_what_was_in_it_is_answered() {
    let world = start(opened(), 2).await;
    world.store.hold();
    let send = |n: u64| tokio::spawn(request(&world, &format!("w{n}"), &order(n), SECRET).send());
    let mut taken = vec![send(1)];
    while world.store.pending() == 0 {
        tokio::task::yield_now().await;
    }
    taken.extend([send(2), send(3)]);
    while world.ledger.queued() < 2 {
        tokio::task::yield_now().await;
    }
    let answer = send(4).await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    world.store.release();
    for answer in taken {
        assert_eq!(answer.await.expect("no panic").expect("an answer").status(), StatusCode::OK);
    }
    assert_eq!(committed(&world).await, 6);
}

#[tokio::test]
async fn a_broken_disk_acknowledges_nothing_and_shows_in_the_health() {
    let world = start(opened(), 64).await;
    world.store.break_down("no space left");
    assert_eq!(push(&world, "w1", &order(1001), SECRET).await, StatusCode::SERVICE_UNAVAILABLE);
    let health = reqwest::get(format!("http://{}/healthz", world.address)).await.expect("an answer");
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_is_signed_and_unreadable_goes_to_quarantine_in_a_file_of_our_own() {
    let world = start(opened(), 64).await;
    let body = r#"{"id": "not a number", "note": "for Ann"}"#;
    assert_eq!(push(&world, "w1", body, SECRET).await, StatusCode::OK);
    assert_eq!(push(&world, "w1", body, SECRET).await, StatusCode::OK);
    let held = world.read(|state| state.quarantine.values().cloned().collect::<Vec<_>>()).await;
    assert_eq!(held.len(), 1, "its repeat is no news: {held:?}");
    assert_eq!((held[0].channel.clone(), held[0].id.as_deref()), (channel("main"), Some("w1")));
    let dir = world.dir.path().join("quarantine");
    let file = dir.join(&held[0].sha256);
    let mode = |path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&dir)), (0o600, 0o700));
    assert_eq!(fs::read_to_string(&file).expect("readable"), body);
    // A repeat does not write it anew, but has it kept for as long again.
    let inode = || fs::metadata(&file).expect("there").ino();
    let (before, long_ago) = (inode(), SystemTime::UNIX_EPOCH);
    fs::File::open(&file).expect("ours").set_modified(long_ago).expect("ours");
    assert_eq!(push(&world, "w1", body, SECRET).await, StatusCode::OK);
    let modified = fs::metadata(&file).and_then(|meta| meta.modified()).expect("there");
    assert!(inode() == before && modified > long_ago);
    // One that was lost is written again.
    fs::remove_file(&file).expect("removed");
    assert_eq!(push(&world, "w1", body, SECRET).await, StatusCode::OK);
    assert_eq!(fs::read_to_string(&file).expect("readable"), body);
}

/// Whoever sent it sends it again: nobody else has it.
#[tokio::test]
async fn what_cannot_be_kept_in_quarantine_is_not_acknowledged() {
    let world = start(opened(), 64).await;
    let dir = world.dir.path().join("quarantine");
    fs::write(&dir, "no directory").expect("written");
    let body = r#"{"id": "not a number"}"#;
    assert_eq!(push(&world, "w1", body, SECRET).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.read(|state| state.quarantine.len()).await, 0);
    fs::remove_file(&dir).expect("removed");
    assert_eq!(push(&world, "w1", body, SECRET).await, StatusCode::OK);
    assert_eq!(world.read(|state| state.quarantine.len()).await, 1);
    assert_eq!(fs::read_dir(&dir).expect("there").count(), 1, "and nothing is left lying about");
}

#[tokio::test]
async fn a_poll_wakes_every_loop_of_the_channel() {
    let world = start(opened(), 64).await;
    assert!(world.handles.poll(&channel("erp")));
    assert!(!world.handles.poll(&channel("nowhere")));
    let wakes = world.handles.wakes.channel(&channel("erp")).expect("it is configured");
    wakes.counter.notified().await;
    wakes.feed.notified().await;
    wakes.poster.notified().await;
    wakes.lane.notified().await;
}

#[tokio::test]
async fn metrics_tell_how_things_stand_when_they_are_asked_for() {
    let world = start(opened(), 64).await;
    assert_eq!(push(&world, "w1", &order(1001), SECRET).await, StatusCode::OK);
    let url = format!("http://{}/metrics", world.address);
    let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
    for line in [
        "evenkeel_webhooks_total{channel=\"main\",result=\"taken\"} 1",
        "evenkeel_webhook_seconds_count 1",
        "evenkeel_ledger_entries_total{kind=\"sale\"} 1",
        "evenkeel_legs{channel=\"main\",state=\"pending\"} 2",
        "evenkeel_ledger_queue 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}
