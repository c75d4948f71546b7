//! Two SKUs turn out to be one, with the real binary: stock, open orders, listings and the ERP go along.

use std::fs;

use serde_json::{Value, json};

use crate::{
    live::Home,
    support::{World, number, order, text, until_empty},
};

/// On hand and committed, as the daemon holds them.
async fn held(home: &Home, sku: &str) -> [i64; 2] {
    let told = home.ask(&["sku", sku]).await.json();
    ["on_hand", "committed"].map(|key| number(&told["stock"][0][key]))
}

/// What all systems say of the first two SKUs.
async fn books(world: &World) -> [Value; 2] {
    let books = world.get("books").await;
    [0, 1].map(|n| books["skus"][n].clone())
}

/// Waits until the daemon holds all of both as the one, every listing shows what is left of both, and the ERP's two codes
/// together hold as much as lies there.
async fn agree(world: &World, home: &Home, into: &str) {
    until_empty("they are one", async || {
        let both = books(world).await;
        let sum = |of: &dyn Fn(&Value) -> i64| both.iter().map(of).sum::<i64>();
        let [physical, committed] = ["physical", "committed"].map(|key| sum(&|book| number(&book[key])));
        let left = physical - committed;
        let shown = ["shopify", "amazon"];
        let shown = both.iter().flat_map(|book| shown.map(|channel| number(&book[channel]["shown"])));
        let shown: Vec<i64> = shown.collect();
        let erp = ["on_hand", "available"].map(|key| sum(&|book| number(&book["erp"][key])));
        let held = held(home, into).await;
        let quiet = world.get("quiet").await["quiet"] == json!(true);
        if (held, shown.as_slice(), erp, quiet) == ([physical, committed], &[left; 4], [physical, left], true)
        {
            return vec![];
        }
        vec![format!("{physical} - {committed}: held {held:?}, shown {shown:?}, ERP {erp:?}"), home.log()]
    })
    .await;
    home.rest(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stocked_skus_that_are_merged_go_on_as_one_with_their_orders_and_listings() {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 30 };
        options.catalogue.fba_twins = 0;
    })
    .await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    home.settle(&world).await;
    let [into, from] = books(&world).await.map(|book| text(&book["sku"]).to_owned());
    let first = order(&world, "shopify", &from, 3).await;
    order(&world, "amazon", &from, 2).await;
    order(&world, "shopify", &into, 1).await;
    home.settle(&world).await;
    let before = [held(&home, &into).await, held(&home, &from).await];
    assert_eq!([before[0][1], before[1][1]], [1, 5]);

    let dry = home.ask(&["merge", &from, &into, "--dry-run"]).await.json();
    assert!(dry["entries"].as_array().is_some_and(|all| !all.is_empty()), "{dry:#}");
    assert_eq!([held(&home, &into).await, held(&home, &from).await], before, "a dry run changes nothing");
    home.ask(&["merge", &from, &into, "--yes"]).await.json();
    let [a, b] = before;
    let both = [a[0] + b[0], a[1] + b[1]];
    assert_eq!([held(&home, &into).await, held(&home, &from).await], [both; 2], "the old name is followed");
    agree(&world, &home, &into).await;
    let told = home.ask(&["sku", &from]).await.json();
    assert_eq!(told["made_of"], json!([{"sku": into, "units": 1}]), "{told:#}");
    home.ask(&["merge", &into, &from, "--yes"]).await.fails(5, "was merged into");

    // What was sold under the old name is shipped, comes back, is sold anew and is counted: all of it is the other one's.
    let one = json!([{"sku": from, "quantity": 1}]);
    world.post("fulfil", json!({"channel": "shopify", "order": first, "lines": one})).await;
    agree(&world, &home, &into).await;
    world.post("fulfil", json!({"channel": "shopify", "order": first})).await;
    world
        .post("refund", json!({"channel": "shopify", "order": first, "lines": one, "restock": "return"}))
        .await;
    agree(&world, &home, &into).await;
    order(&world, "amazon", &from, 4).await;
    order(&world, "shopify", &into, 2).await;
    agree(&world, &home, &into).await;
    let lies = number(&books(&world).await[1]["physical"]);
    world.post("erp/count", json!({"counts": [{"sku": from, "quantity": lies + 6}]})).await;
    agree(&world, &home, &into).await;

    // From the journal alone it is the same.
    let views = async || {
        let mut all = Vec::new();
        for sku in [&into, &from] {
            let told = home.ask(&["sku", sku]).await.json();
            all.push((told["stock"].clone(), told["made_of"].clone(), told["available"].clone()));
        }
        all
    };
    let held = views().await;
    live.kill().await;
    fs::remove_dir_all(home.path("store/state")).expect("the state is there");
    let live = home.serve().await;
    agree(&world, &home, &into).await;
    assert_eq!(views().await, held);
    live.stop().await;
    home.verify().await;
}
