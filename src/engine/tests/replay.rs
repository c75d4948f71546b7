//! Quarantined messages are read again: from the body that was kept, or from the channel.

use serde_json::json;

use super::world::{World, start};
use crate::{
    connectors::Fault,
    core::state::Note,
    model::{Seq, Timestamp},
    web::{
        Desk,
        tests::world::{channel, opened, order, sku},
    },
};

async fn keep(world: &World, topic: &str, id: Option<&str>, body: &str) -> Seq {
    let quarantine = &world.handles.opening.quarantine;
    let id = id.map(str::to_owned);
    quarantine.keep(&channel("main"), topic, id, "unknown", body.as_bytes()).await.expect("kept");
    world.read(|state| *state.quarantine.keys().next_back().expect("one")).await
}

fn body(id: u64) -> String {
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

async fn committed(world: &World) -> i64 {
    world.read(|state| state.skus[&sku("MUG")].stock[0].stock.committed.units()).await
}

async fn left(world: &World) -> Vec<(Seq, String)> {
    world.read(|state| state.quarantine.iter().map(|(id, item)| (*id, item.why.clone())).collect()).await
}

fn bodies(world: &World) -> usize {
    std::fs::read_dir(world.dir.path().join("quarantine")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_body_that_can_be_read_by_now_is_booked_once_and_is_gone() {
    let world = start(opened(), 64).await;
    let id = keep(&world, "orders/create", Some("w1"), &body(7)).await;
    let dry = world.handles.replay(id, true).await.expect("told");
    assert!(dry.done && dry.told.contains("order 7"), "{dry:?}");
    assert_eq!((committed(&world).await, bodies(&world)), (0, 1), "a dry run changes nothing");
    let done = world.handles.replay(id, false).await.expect("told");
    assert!(done.done, "{done:?}");
    assert_eq!((committed(&world).await, bodies(&world), left(&world).await), (2, 0, vec![]));
    world.handles.replay(id, false).await.expect_err("it is over");
}

#[tokio::test]
async fn a_body_that_still_cannot_be_read_stays_with_the_new_reason() {
    let world = start(opened(), 64).await;
    let id = keep(&world, "orders/create", Some("w1"), "{").await;
    let told = world.handles.replay(id, false).await.expect("told");
    assert!(!told.done, "{told:?}");
    assert_eq!((left(&world).await, bodies(&world)), (vec![(id, told.told.clone())], 1));
    assert_ne!(told.told, "unknown");
    let unknown = keep(&world, "themes/publish", Some("w2"), "{}").await;
    let told = world.handles.replay(unknown, false).await.expect("told");
    assert!(!told.done && told.told.contains("is not followed"), "{told:?}");
}

#[tokio::test]
async fn an_order_whose_body_is_gone_is_read_from_its_channel() {
    let world = start(opened(), 64).await;
    let id = keep(&world, "orders", Some("7"), "{}").await;
    std::fs::remove_dir_all(world.dir.path().join("quarantine")).expect("removed");
    let single = || world.lists["main"].single.lock().expect("unpoisoned");
    let told = world.handles.replay(id, false).await.expect("told");
    assert!(!told.done && told.told.contains("knows no order 7"), "{told:?}");
    single().insert("7".to_owned(), Err(Fault::Disconnected("down".to_owned())));
    let told = world.handles.replay(id, false).await.expect("told");
    assert!(!told.done && told.told.contains("down"), "{told:?}");
    single().insert("7".to_owned(), Ok(order("7", "MUG", 3)));
    let told = world.handles.replay(id, false).await.expect("told");
    assert!(told.done, "{told:?}");
    assert_eq!((committed(&world).await, left(&world).await), (3, vec![]));
}

#[tokio::test]
async fn a_push_whose_body_is_gone_says_what_is_left_to_do() {
    let world = start(opened(), 64).await;
    let id = keep(&world, "orders/create", Some("w1"), &body(7)).await;
    std::fs::remove_dir_all(world.dir.path().join("quarantine")).expect("removed");
    let told = world.handles.replay(id, false).await.expect("told");
    assert!(!told.done && told.told.contains("evenkeel poll"), "{told:?}");
    assert!(!world.handles.has_body("../../etc/passwd"));
}

#[tokio::test]
async fn counts_are_never_taken_from_what_was_kept() {
    let world = start(opened(), 64).await;
    let id = keep(&world, "counts", Some("MUG"), "").await;
    let told = world.handles.replay(id, false).await.expect("told");
    assert!(told.done, "{told:?}");
    let wakes = world.handles.wakes.channel(&channel("main")).expect("it runs");
    wakes.sweep.notified().await;
}

#[tokio::test]
async fn what_is_given_up_takes_its_body_along_unless_another_entry_has_the_same() {
    let world = start(opened(), 64).await;
    let first = keep(&world, "orders/create", Some("w1"), "{").await;
    let second = keep(&world, "orders/create", Some("w2"), "{").await;
    let note = || Note { by: "uid 0".to_owned(), reason: "a test".to_owned() };
    Desk::give_up(world.handles.as_ref(), first, note()).await.expect("given up");
    assert_eq!(bodies(&world), 1);
    Desk::give_up(world.handles.as_ref(), second, note()).await.expect("given up");
    assert_eq!((bodies(&world), left(&world).await), (0, vec![]));
    assert!(world.handles.clock.now() > Timestamp::ZERO);
}
