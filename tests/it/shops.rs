//! The main job against the sandbox: one sale reaches every channel, whatever happens on the way.

use serde_json::json;

use crate::support::{Shop, World, until_empty};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoppers_buy_on_both_channels_and_all_books_agree_in_the_end() {
    // Amazon tells what a cancelled order was for: with zeros, nobody could know of a unit that was written off before the
    // order was first read.
    let world = World::start(|options| options.amazon.cancelled_zeroed_share = 0.0).await;
    let shop = Shop::start(&world).await;
    shop.open().await;
    world.post("shop", json!({"orders": 60, "per_second": 40.0})).await;
    until_empty("orders are placed", async || {
        let books = world.get("books").await;
        let orders = ["shopify", "amazon"].iter().filter_map(|c| books["orders"][c].as_u64()).sum::<u64>();
        let away = books["turned_away"].as_u64().unwrap_or(0);
        if orders + away >= 60 { vec![] } else { vec![format!("{orders} orders")] }
    })
    .await;
    until_empty("the books agree", async || {
        let mut left = world.disagreements().await;
        let quiet = world.get("quiet").await;
        if quiet["quiet"] != json!(true) {
            left.push(quiet.to_string());
        }
        left
    })
    .await;
    shop.end().await;
}
