//! Several daemons with one app draw on one bucket of points.

use std::time::Duration;

use evenkeel::{
    connectors::{Connector as _, Cursor, Fault, Outcome, Put, http, shopify},
    model::{IdKind, IdempotencyKey, Identifiers, LocationId, OrderId, Quantity},
    sandbox::Span,
};
use serde_json::{Value, json};

use crate::support::{World, number, text};

/// How many items each daemon writes, and how many pages it reads meanwhile.
const ITEMS: usize = 6;
const PAGES: usize = 20;

/// A shop with few points, which come back slowly.
async fn poor() -> World {
    World::start(|options| {
        options.catalogue.opening = Span::new(10, 10);
        options.shopify.bucket = 1000.0;
        options.shopify.restore_per_second = 200.0;
    })
    .await
}

/// A connector to it; each is another daemon's.
async fn daemon(world: &World) -> shopify::Shopify {
    let told = world.get("systems").await["shopify"].clone();
    let number: u64 = told["location_id"].to_string().trim_matches('"').parse().expect("a number");
    let main = LocationId::new("main").expect("good");
    let here = shopify::options::Location { id: main, number, stocks: false };
    let options = shopify::Options {
        shop: text(&told["shop"]).to_owned(),
        base_url: http::base_url("base_url", text(&told["base_url"])).expect("good"),
        api_version: shopify::options::API_VERSION.to_owned(),
        access: shopify::options::Access::Token(text(&told["access_token"]).into()),
        webhook_secrets: Vec::new(),
        hooks: None,
        locations: shopify::options::Locations::new(vec![here]).expect("one"),
        bulk_above: shopify::options::BULK_ABOVE,
        http: http::Options::default(),
    };
    shopify::Shopify::new(options).expect("it can be built")
}

/// The inventory items of the first SKUs.
async fn items(world: &World) -> Vec<String> {
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter();
    all.map(|book| book["shopify"]["inventory_item_id"].to_string()).collect()
}

fn put(item: &str, quantity: i64, from: i64, key: &str) -> Put {
    Put {
        ids: Identifiers::new([(IdKind::InventoryItem, item)]).expect("good"),
        location: LocationId::new("main").expect("good"),
        quantity: Quantity::new(quantity),
        compare: Some(Quantity::new(from)),
        delta: None,
        key: IdempotencyKey::new(key).expect("good"),
        reference: "test-1".to_owned(),
    }
}

/// Writes, and again for as long as the shop throttles, as the lane does. Returns how often it was throttled.
async fn write(shop: &shopify::Shopify, put: Put) -> usize {
    for tries in 0..100 {
        match &shop.write(std::slice::from_ref(&put)).await[..] {
            [Outcome::Applied] => return tries,
            [Outcome::Throttled { retry_after_ms }] => {
                tokio::time::sleep(Duration::from_millis(retry_after_ms.unsigned_abs())).await;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("it is starved");
}

/// Reads a page of the catalogue, and again for as long as the shop throttles.
async fn read(shop: &shopify::Shopify) {
    for _ in 0..100 {
        match shop.catalogue(None::<&Cursor>).await {
            Ok(page) => return assert!(page.items.len() >= ITEMS),
            Err(Fault::Throttled { retry_after }) => tokio::time::sleep(retry_after).await,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("it is starved");
}

/// Asks for something as an app that minds no limits does. Returns what is left in its bucket.
async fn ask(world: &World, token: &str) -> i64 {
    let told = world.get("systems").await["shopify"].clone();
    let url = format!("{}/admin/api/{}/graphql.json", text(&told["base_url"]), shopify::options::API_VERSION);
    let query = "{ inventoryItems(first: 250) { nodes { id variants(first: 50) { nodes { id } } } } }";
    let asked = reqwest::Client::new().post(url).header("x-shopify-access-token", token);
    let answer: Value =
        asked.json(&json!({"query": query})).send().await.expect("it answers").json().await.expect("JSON");
    number(&answer["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"])
}

/// Has the bucket of the daemons' app drained by somebody else with its token.
async fn drain(world: &World) {
    let told = world.get("systems").await["shopify"].clone();
    let token = text(&told["access_token"]);
    for _ in 0..1_000 {
        if ask(world, token).await < 150 {
            return;
        }
    }
    panic!("it is never drained");
}

async fn points(world: &World) -> [i64; 2] {
    let told = world.get("points").await["own"].clone();
    [number(&told["served"]), number(&told["throttled"])]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_of_one_app_both_get_on_and_are_seldom_refused() {
    let world = poor().await;
    let (one, other, items) = (daemon(&world).await, daemon(&world).await, items(&world).await);
    drain(&world).await;
    let [before, refused_before] = points(&world).await;
    let work = async |shop: &shopify::Shopify, items: &[String]| {
        let mut refused = 0;
        let reads = async {
            for _ in 0..PAGES {
                read(shop).await;
            }
        };
        let writes = async {
            for (n, item) in items.iter().enumerate() {
                refused += write(shop, put(item, 7, 10, &format!("k{n}{item}"))).await;
            }
        };
        tokio::join!(reads, writes);
        refused
    };
    let (mine, theirs) = items.split_at(ITEMS);
    let refused = tokio::join!(work(&one, mine), work(&other, &theirs[..ITEMS]));
    // Until the first answer nobody knows of the other; then what reads leave is enough for writes.
    assert!(refused.0 <= 3 && refused.1 <= 3, "{refused:?}");
    let [served, throttled] = points(&world).await;
    let (served, throttled) = (served - before, throttled - refused_before);
    let asked = i64::try_from(2 * (PAGES + ITEMS)).expect("small");
    assert!(served >= asked && throttled * 5 <= served, "{served} served, {throttled} throttled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_goes_before_reads_where_another_has_drained_the_bucket() {
    let world = poor().await;
    let (one, other, items) = (daemon(&world).await, daemon(&world).await, items(&world).await);
    drain(&world).await;
    let order = OrderId::new("7").expect("good");
    for (shop, item) in [(&one, &items[0]), (&other, &items[1])] {
        // It learns how things stand.
        shop.order(&order).await.expect("it answers");
        tokio::select! {
            biased;
            () = read(shop) => panic!("the read went first"),
            tries = write(shop, put(item, 7, 10, &format!("k{item}"))) => assert!(tries <= 3, "{tries}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_drains_the_bucket_for_ever_starves_nobody() {
    let world = poor().await;
    let (one, other, items) = (daemon(&world).await, daemon(&world).await, items(&world).await);
    let told = world.get("systems").await["shopify"].clone();
    let token = text(&told["access_token"]).to_owned();
    let rude = async {
        loop {
            ask(&world, &token).await;
            tokio::task::yield_now().await;
        }
    };
    let work = async |shop: &shopify::Shopify, items: &[String]| {
        for (n, item) in items.iter().enumerate() {
            write(shop, put(item, 7, 10, &format!("k{n}{item}"))).await;
        }
    };
    let (mine, theirs) = items.split_at(ITEMS);
    tokio::select! {
        biased;
        () = rude => {}
        _ = async { tokio::join!(work(&one, mine), work(&other, &theirs[..ITEMS])) } => {}
    }
}

#[tokio::test]
async fn another_app_of_the_shop_has_points_of_its_own() {
    let world = poor().await;
    drain(&world).await;
    let other = ask(&world, "shpat_sandbox_other").await;
    assert!(other > 500, "{other}");
}
