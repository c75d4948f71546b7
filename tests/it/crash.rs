//! The daemon dies, at named points and at any moment, and nothing is lost or counted twice.

pub(crate) mod witness;

use std::{collections::BTreeMap, os::unix::process::ExitStatusExt, path::Path, time::Duration};

use evenkeel::{engine::disk, sandbox::Span, store};
use serde_json::{Value, json};

use crate::{
    golden::{copy, told::told},
    live::{Home, Live},
    support::{World, until_empty},
};
use witness::Witness;

/// The same shop as a process of its own, which sends webhooks whatever becomes of the daemon.
async fn world_apart() -> World {
    World::apart("cancelled_zeroed_share = 0.0\n[catalogue]\nskus = 8\nopening = { min = 400, max = 500 }")
        .await
}

/// Shelves so full that little is oversold while the daemon is away. Amazon tells what a cancelled order was for: with
/// zeros, nobody could know of a unit that was written off before the order was first read.
async fn world() -> World {
    World::start(|options| {
        options.amazon.cancelled_zeroed_share = 0.0;
        options.catalogue.skus = 8;
        options.catalogue.opening = Span { min: 400, max: 500 };
    })
    .await
}

/// On hand and committed of each SKU, as the daemon holds them.
async fn balances(home: &Home, world: &World) -> BTreeMap<String, [i64; 2]> {
    let mut held = BTreeMap::new();
    for sku in skus(world).await {
        let told = home.ask(&["sku", &sku]).await.json();
        let places = told["stock"].as_array().cloned().unwrap_or_default();
        let sum = |key: &str| places.iter().filter_map(|place| place[key].as_i64()).sum();
        held.insert(sku, [sum("on_hand"), sum("committed")]);
    }
    held
}

async fn skus(world: &World) -> Vec<String> {
    let books = world.get("books").await;
    let all = books["skus"].as_array().into_iter().flatten();
    all.filter_map(|sku| sku["sku"].as_str().map(str::to_owned)).collect()
}

/// The same as [`balances`], as it is in truth.
async fn truth(world: &World) -> BTreeMap<String, [i64; 2]> {
    let books = world.get("books").await;
    let all = books["skus"].as_array().into_iter().flatten();
    let units = |of: &Value| of.as_i64().expect("a number");
    all.map(|sku| {
        let code = sku["sku"].as_str().expect("a code").to_owned();
        (code, [units(&sku["physical"]), units(&sku["committed"])])
    })
    .collect()
}

/// Starts it again, waits until all agree, and proves the balances and the journal.
async fn recovers(home: &Home, world: &World, after: &str) {
    let live = home.serve().await;
    home.settle(world).await;
    assert_eq!(balances(home, world).await, truth(world).await, "after {after}");
    live.stop().await;
    let proof = home.verify().await;
    assert!(proof["entries"].as_u64() > Some(0), "after {after}: {proof}");
}

/// Waits until every order is in, and returns how many there are. One that was cancelled before it was read moves nothing,
/// so that balances do not tell.
async fn all_read(home: &Home, world: &World) -> Value {
    let held = async || home.ask(&["status"]).await.json()["orders"].clone();
    until_empty("every order is in", async || {
        let placed = world.get("books").await["orders"].clone();
        let sold = ["shopify", "amazon"].map(|channel| placed[channel].as_u64().expect("a number"));
        let held = held().await;
        if held.as_u64() == Some(sold.iter().sum()) { vec![] } else { vec![format!("{held} of {placed}")] }
    })
    .await;
    held().await
}

async fn shoppers(world: &World, orders: u64) {
    world.post("shop", json!({"orders": orders, "per_second": 40.0})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_dies_at_each_named_point_and_every_unit_is_still_counted_once() {
    let world = world().await;
    let home = Home::new(&world).await;
    home.open(&world).await.stop().await;
    for point in ["after_append:9", "after_sync:7", "after_batch:2", "after_write:3", "after_post:2"] {
        let live: Live = home.start(Some(point));
        let mut asked = 0;
        let ended = live
            .dies(async || {
                if asked % 20 == 0 {
                    shoppers(&world, 6).await;
                }
                asked += 1;
            })
            .await;
        assert_eq!(ended.signal(), Some(6), "at {point}: {ended}");
        recovers(&home, &world, point).await;
    }
}

/// Returns how often a start found no state to go on with.
fn built_anew(home: &Home) -> usize {
    home.whole_log().matches("the state is built anew:").count()
}

/// Has the state swapped every second.
fn swap_often(home: &Home) {
    let room = "stop_bytes = 268435456";
    home.configure(room, &format!("{room}\nswap_every = \"1s\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_dies_at_each_point_of_a_swap_and_one_state_is_left_that_is_whole() {
    let world = world().await;
    let home = Home::new(&world).await;
    home.open(&world).await.stop().await;
    swap_often(&home);
    for point in ["swap_built", "swap_marked", "swap_closed:2", "swap_moved", "swap_placed:2", "swap_opened"]
    {
        let live = home.start(Some(point));
        shoppers(&world, 6).await;
        let ended = live.dies(async || tokio::time::sleep(Duration::from_millis(50)).await).await;
        assert_eq!(ended.signal(), Some(6), "at {point}: {ended}");
        let held = disk::read(&home.path("store"), store::Options::default());
        assert!(held.is_ok_and(|state| state.epoch > 0), "at {point}");
        recovers(&home, &world, point).await;
    }
    assert_eq!(built_anew(&home), 1, "only at the very first start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_is_swapped_again_and_again_under_load_and_loses_nothing() {
    let world = world().await;
    let home = Home::new(&world).await;
    home.open(&world).await.stop().await;
    swap_often(&home);
    let live = home.serve().await;
    let built = async || home.ask(&["status"]).await.json()["state_built_at"].clone();
    for _ in 0..3 {
        let before = built().await;
        shoppers(&world, 10).await;
        until_empty("a fresh state is in place", async || {
            let now = built().await;
            if now != before && now.is_string() { vec![] } else { vec![now.to_string()] }
        })
        .await;
    }
    home.settle(&world).await;
    let orders = all_read(&home, &world).await;
    live.kill().await;
    let state = disk::read(&home.path("store"), store::Options::default()).expect("it opens");
    assert_eq!(json!(state.orders.len()), orders);
    recovers(&home, &world, "swaps").await;
    assert_eq!(built_anew(&home), 1, "only at the very first start");
}

/// A kill that is to meet recovery comes this soon after the start, in milliseconds.
const RECOVERY: u64 = 250;

/// Rounds of kills after which everything must have come to rest.
const LEG: u32 = 10;

/// Proves offline that a dead daemon's store holds what it had acknowledged, and that it adds up to the same with sled
/// and without. Then sled is deleted. Where recovery was killed before it had built one, there is none.
fn holds_without_sled(home: &Home, witness: &Witness) {
    witness.check(&home.path("store"));
    if !home.path("store/state").exists() {
        return;
    }
    let (with, without) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    for dir in [&with, &without] {
        copy(&home.path("store"), dir.path());
    }
    std::fs::remove_dir_all(without.path().join("state")).expect("the state is there");
    let read = |dir: &Path| told(&disk::read(dir, store::Options::default()).expect("it opens"));
    let (with, without) = (read(with.path()), read(without.path()));
    assert!(with == without, "sled and the journal differ:\n{with}\n--- without sled:\n{without}");
    std::fs::remove_dir_all(home.path("store/state")).expect("the state is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_killed_at_any_moment_under_load_and_every_unit_is_still_counted_once() {
    let kills = std::env::var("EVENKEEL_TEST_KILLS").ok();
    let kills: u32 = kills.map_or(50, |text| text.parse().expect("EVENKEEL_TEST_KILLS is a number"));
    let world = world_apart().await;
    let home = Home::new(&world).await;
    home.open(&world).await.stop().await;
    let witness = Witness::start(&home.web).await;
    world.post("webhooks", json!({"url": witness.url})).await;
    let mut moments = Vec::new();
    for round in 1..=kills {
        let recovers_itself = round % 4 == 0;
        if round % 8 == 0 {
            // Recovery takes its longest way.
            std::fs::remove_dir_all(home.path("store/state")).unwrap_or(());
        }
        let live = home.start(None);
        world.post("shop", json!({"orders": 8, "per_second": 10.0})).await;
        // The moment itself is what is tried, nothing waits for it.
        let moment = rand::random_range(if recovers_itself { 1..RECOVERY } else { 20..1_500 });
        moments.push(moment);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        live.kill().await;
        witness.check(&home.path("store"));
        if round % LEG == 0 || round == kills {
            holds_without_sled(&home, &witness);
            recovers(&home, &world, &format!("kills at {moments:?} ms")).await;
        }
    }
    witness.check(&home.path("store"));
    assert!(witness.count() >= kills as usize, "{} webhooks acknowledged prove little", witness.count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_is_deleted_and_comes_back_the_same_from_the_journal() {
    let world = world().await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    shoppers(&world, 20).await;
    home.settle(&world).await;
    let orders = all_read(&home, &world).await;
    let before = balances(&home, &world).await;
    live.stop().await;
    std::fs::remove_dir_all(home.path("store/state")).expect("the state is there");
    let live = home.serve().await;
    assert_eq!(balances(&home, &world).await, before);
    assert_eq!(home.ask(&["status"]).await.json()["orders"], orders);
    live.stop().await;
    home.verify().await;
}
