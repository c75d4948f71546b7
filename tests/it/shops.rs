//! The main job against the sandbox: one sale reaches every channel, whatever happens on the way.

use evenkeel::{
    core::{State, drift::Found, state::Listing},
    sandbox::{Options, Span},
};
use serde_json::json;

use crate::support::{Shop, World, config, until_empty};

/// Tells whether somebody else is said to have changed a listing. A sale that is seen before its order is read is found as that.
fn is_edited(listing: &Listing) -> bool {
    listing.drift.as_ref().is_some_and(|drift| matches!(drift.found, Found::Edit | Found::Rival))
}

/// Waits until sixty shoppers have come.
async fn placed(world: &World) {
    until_empty("orders are placed", async || {
        let books = world.get("books").await;
        let orders = ["shopify", "amazon"].iter().filter_map(|c| books["orders"][c].as_u64()).sum::<u64>();
        let away = books["turned_away"].as_u64().unwrap_or(0);
        if orders + away >= 60 { vec![] } else { vec![format!("{orders} orders")] }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoppers_buy_on_both_channels_and_all_books_agree_in_the_end() {
    // Amazon tells what a cancelled order was for: with zeros, nobody could know of a unit that was written off before the
    // order was first read.
    let world = World::start(|options| options.amazon.cancelled_zeroed_share = 0.0).await;
    let shop = Shop::start(&world).await;
    shop.open().await;
    world.post("shop", json!({"orders": 60, "per_second": 40.0})).await;
    placed(&world).await;
    until_empty("the books agree", async || {
        let mut left = shop.disagreements(&world).await;
        let quiet = world.get("quiet").await;
        if quiet["quiet"] != json!(true) {
            left.push(quiet.to_string());
        }
        left
    })
    .await;
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_is_compared_by_bulk_operations_sells_on_meanwhile_and_no_sale_is_taken_for_an_edit() {
    let world = World::start(|options| {
        options.amazon.cancelled_zeroed_share = 0.0;
        options.shopify.bulk_ms.min = 300;
        options.shopify.bulk_ms.max = 600;
    })
    .await;
    let dir = tempfile::tempdir().expect("a directory");
    let text = config(&world, dir.path()).await;
    let bulk = "[channels.shopify.shop]\nbulk_above = 0\nreconcile_every = \"1s\"";
    let shop = Shop::with(&text.replace("[channels.shopify.shop]", bulk), dir).await;
    shop.open().await;
    world.post("shop", json!({"orders": 60, "per_second": 10.0})).await;
    placed(&world).await;
    until_empty("the books agree", async || shop.disagreements(&world).await).await;
    let ledger = shop.daemon.ledger();
    let drifted = async || {
        let listings = |state: &State| {
            let all = state.skus.values().flat_map(|row| row.listings.iter());
            all.filter(|held| held.channel.as_str() == "shop" && is_edited(held)).count()
        };
        ledger.read(listings).await.expect("it runs")
    };
    assert_eq!(drifted().await, 0, "nobody but buyers and we changed anything");

    // What somebody does edit is found by the file as well.
    world.post("edit-quantity", json!({"channel": "shopify", "sku": "TSHIRT-BL-M", "quantity": 500})).await;
    until_empty(
        "the edit is found",
        async || {
            if drifted().await > 0 { vec![] } else { vec!["no drift".to_owned()] }
        },
    )
    .await;
    shop.end().await;
}

/// More listings than can be paged through, all made at one moment; some codes do not survive the report's encoding.
fn large(options: &mut Options) {
    options.catalogue.skus = 1_050;
    options.catalogue.opening = Span { min: 5, max: 5 };
    options.amazon.cancelled_zeroed_share = 0.0;
    options.amazon.report_ms = Span { min: 200, max: 800 };
    // A report shows what was seconds ago, and sales go on.
    options.amazon.report_kept_ms = 3_000;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_compared_by_reports_sells_on_meanwhile_and_no_sale_is_taken_for_an_edit() {
    let world = World::start(large).await;
    let dir = tempfile::tempdir().expect("a directory");
    let text = config(&world, dir.path()).await;
    let reports = "[channels.amazon.market]\nreport_above = 0\nreconcile_every = \"12s\"";
    // Nothing else reads the whole catalogue again and again meanwhile.
    let text = [
        ("[channels.amazon.market]", reports),
        ("[reconcile]\nevery = \"5s\"", "[reconcile]\nevery = \"10m\""),
        ("sweep_every = \"10s\"", "sweep_every = \"10m\""),
    ]
    .into_iter()
    .fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let shop = Shop::with(&text, dir).await;
    shop.open().await;
    let ledger = shop.daemon.ledger();
    let count = async |drifted: bool| {
        let listings = move |state: &State| {
            let all = state.skus.values().flat_map(|row| row.listings.iter());
            let all = all.filter(|held| held.channel.as_str() == "market");
            all.filter(|held| !drifted || is_edited(held)).count()
        };
        ledger.read(listings).await.expect("it runs")
    };
    until_empty("every listing is bound", async || {
        let bound = count(false).await;
        if bound == 1_051 { vec![] } else { vec![format!("{bound} are")] }
    })
    .await;
    world.post("shop", json!({"orders": 60, "per_second": 10.0})).await;
    placed(&world).await;
    until_empty("the books agree", async || shop.disagreements(&world).await).await;
    assert_eq!(count(true).await, 0, "nobody but buyers and we changed anything");

    world.post("edit-quantity", json!({"channel": "amazon", "sku": "TSHIRT-BL-M", "quantity": 500})).await;
    until_empty("the edit is found", async || {
        if count(true).await > 0 { vec![] } else { vec!["no drift".to_owned()] }
    })
    .await;
    shop.end().await;
}
