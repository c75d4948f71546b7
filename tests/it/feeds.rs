//! First loads by Amazon's feeds, against the sandbox: what goes wrong on the way, and what is sold meanwhile.

use evenkeel::{
    core::{
        Command, State,
        bulk::{Bulk, Ended, How},
        command::{DeadLetter, Verdict},
        leg,
        state::ListingRef,
    },
    sandbox::{FaultSpec, Options, Span},
};
use serde_json::{Value, json};

use crate::support::{Shop, World, channel, config, number, order, text, until_empty};

const SKUS: usize = 150;

/// A shop whose listings on Amazon all show one, while there is more of all.
async fn world(faults: &[&str], takes_ms: u64) -> World {
    let faults: Vec<FaultSpec> =
        faults.iter().map(|fault| FaultSpec::parse(fault).expect("a fault")).collect();
    let world = World::start(|options: &mut Options| {
        options.catalogue.skus = SKUS;
        options.catalogue.opening = Span { min: 20, max: 40 };
        options.amazon.feed_ms = Span { min: takes_ms, max: takes_ms };
        options.faults = faults;
    })
    .await;
    for book in books(&world).await {
        let edit = json!({"channel": "amazon", "sku": text(&book["sku"]), "quantity": 1});
        world.post("edit-quantity", edit).await;
    }
    world
}

async fn books(world: &World) -> Vec<Value> {
    world.get("books").await["skus"].as_array().expect("a list").clone()
}

/// A daemon that writes more than twenty raises as a feed, at the rate that Amazon documents for single ones.
async fn settings(world: &World, dir: &std::path::Path) -> String {
    let patches = "patch_listings_item = { per_second = 500.0, burst = 500 }";
    let text = config(world, dir).await;
    assert!(text.contains(patches) && text.contains("[channels.amazon.market]\n"));
    text.replace(patches, "patch_listings_item = { per_second = 5.0, burst = 5 }")
        .replace("[channels.amazon.market]\n", "[channels.amazon.market]\nfeed_above = 20\n")
}

async fn start(world: &World) -> Shop {
    let dir = tempfile::tempdir().expect("a directory");
    let text = settings(world, dir.path()).await;
    let shop = Shop::with(&text, dir).await;
    shop.open().await;
    shop
}

/// The open feed, and how the last one ended.
async fn bulks(shop: &Shop) -> (Option<Bulk>, Option<Ended>) {
    let market = channel("market");
    let read = move |state: &State| {
        let bulks = state.channels.get(&market).and_then(|row| row.bulks.clone());
        bulks.map_or((None, None), |bulks| (bulks.open, bulks.last))
    };
    shop.daemon.ledger().read(read).await.expect("it runs")
}

/// Waits until Amazon has a feed, and returns it.
async fn open(shop: &Shop) -> Bulk {
    until_empty("a feed is taken", async || match bulks(shop).await {
        (Some(bulk), _) if bulk.id.is_some() => vec![],
        other => vec![format!("{other:?}")],
    })
    .await;
    let (bulk, _) = bulks(shop).await;
    bulk.expect("a feed is open")
}

async fn ended(shop: &Shop) -> Ended {
    until_empty("the feed ends", async || match bulks(shop).await {
        (None, Some(_)) => vec![],
        other => vec![format!("{other:?}")],
    })
    .await;
    bulks(shop).await.1.expect("it has ended")
}

async fn agree(world: &World) {
    until_empty("the books agree", async || world.disagreements().await).await;
}

/// The legs on Amazon that wait for a person, with Amazon's words.
async fn letters(shop: &Shop) -> Vec<(ListingRef, String)> {
    let read = |state: &State| {
        let all =
            state.skus.iter().flat_map(|(sku, row)| row.listings.iter().zip(0..).map(move |of| (sku, of)));
        let parked = all.filter_map(|(sku, (held, at))| match held.leg.as_ref().map(|leg| &leg.state) {
            Some(leg::State::Parked { reason, .. }) if held.channel.as_str() == "market" => {
                Some((ListingRef { sku: sku.clone(), at }, reason.to_string()))
            }
            _ => None,
        });
        parked.collect::<Vec<_>>()
    };
    shop.daemon.ledger().read(read).await.expect("it runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_load_is_one_feed_and_a_sale_meanwhile_is_a_patch_and_what_is_refused_a_dead_letter() {
    let world = world(&[], 3_000).await;
    let all = books(&world).await;
    // The last of all, so that the lane does not come to it before the feed.
    let most = all.iter().max_by_key(|book| number(&book["physical"])).expect("some");
    let bad = text(&most["sku"]).to_owned();
    let poison = |to: &str| json!({"faults": [format!("amazon-poison-refused={to}")]});
    world.post("faults", poison(&bad)).await;
    let shop = start(&world).await;
    let bulk = open(&shop).await;
    assert!(bulk.listings > 100, "most of it leaves as one: {bulk:?}");
    let sold = text(&all[0]["sku"]).to_owned();
    order(&world, "shopify", &sold, 2).await;
    let ended = ended(&shop).await;
    assert_eq!((ended.how, ended.id.as_deref()), (How::Done, bulk.id.as_deref()));

    until_empty("what is refused waits for a person", async || match letters(&shop).await.as_slice() {
        [(listing, _)] if listing.sku.as_str() == bad => vec![],
        other => vec![format!("{other:?}")],
    })
    .await;
    let (listing, reason) = letters(&shop).await.remove(0);
    assert_eq!(reason, "90220: 'item_name' is required but not supplied.");
    until_empty("all else agrees", async || {
        let mut left = world.disagreements().await;
        left.retain(|line| !line.starts_with(&format!("\"{bad}\":")));
        left
    })
    .await;
    world.post("faults", poison("off")).await;
    let retry = Command::Dead { letter: DeadLetter::Leg(listing), verdict: Verdict::Retry };
    shop.daemon.ledger().submit(retry).await.expect("it is tried again");
    agree(&world).await;
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_while_a_feed_is_open_waits_for_that_feed() {
    let world = world(&["feeds-stuck=100%"], 500).await;
    let shop = start(&world).await;
    let bulk = open(&shop).await;
    let sold = text(&books(&world).await[0]["sku"]).to_owned();
    let dir = shop.end().await;
    order(&world, "shopify", &sold, 1).await;
    let text = settings(&world, dir.path()).await;
    let shop = Shop::with(&text, dir).await;
    assert_eq!(open(&shop).await.id, bulk.id);
    world.post("faults", json!({"faults": ["none"]})).await;
    assert_eq!(ended(&shop).await.id, bulk.id);
    agree(&world).await;
    shop.end().await;
}

/// A first load whose feed goes this way, and ends so, ends with every listing right.
async fn check_in_vain(faults: &[&str], how: How) {
    let world = world(faults, 500).await;
    let shop = start(&world).await;
    open(&shop).await;
    assert_eq!(ended(&shop).await.how, how);
    agree(&world).await;
    assert_eq!(letters(&shop).await, []);
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_feed_that_amazon_gave_up_did_not_do_is_done_one_by_one() {
    check_in_vain(&["feeds-fatal=100%"], How::Failed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_is_done_without_an_error_is_not_believed() {
    check_in_vain(&["feeds-ignored=40%"], How::Done).await;
}
