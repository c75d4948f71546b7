//! People think again: orders are edited, fulfilments undone. All systems end at the sandbox's own books.

use serde_json::{Value, json};

use crate::{
    live::Home,
    support::{World, order},
};

/// Returns the code of the first SKU, and the row of the sandbox's books about it.
async fn book(world: &World) -> (String, Value) {
    let sku = world.get("books").await["skus"][0].clone();
    (sku["sku"].as_str().expect("a code").to_owned(), sku)
}

/// Returns `on_hand committed reserved` of a SKU in the daemon's ledger.
async fn ledger(home: &Home, sku: &str) -> [i64; 3] {
    let told = home.ask(&["sku", sku]).await.json();
    let place = &told["stock"][0];
    ["on_hand", "committed", "reserved"].map(|key| place[key].as_i64().unwrap_or_else(|| panic!("{told}")))
}

/// Does these things to an order of 4 units, settles after each, and compares the ledger with the books.
async fn check(steps: &[(&str, Value)]) {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    home.settle(&world).await;
    let (sku, _) = book(&world).await;
    let id = order(&world, "shopify", &sku, 4).await;
    home.settle(&world).await;
    for (act, more) in steps {
        let mut body = json!({"order": id});
        for (key, value) in more.as_object().expect("an object") {
            body[key] = if value == "SKU" { json!(sku) } else { value.clone() };
        }
        world.post(act, body).await;
        home.settle(&world).await;
        let (_, row) = book(&world).await;
        let want = [row["physical"].as_i64(), row["committed"].as_i64(), Some(0)];
        assert_eq!(ledger(&home, &sku).await.map(Some), want, "after {act}");
    }
    assert_eq!(home.ask(&["dead-letters", "list"]).await.json()["letters"], json!([]));
    home.verify().await;
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_an_edit_takes_off_an_order_are_for_sale_again_if_it_says_so() {
    let edit =
        |delta: i64, restock: bool| ("edit-order", json!({"sku": "SKU", "delta": delta, "restock": restock}));
    check(&[edit(-1, true), edit(2, true), edit(-1, false)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undone_fulfilment_puts_its_units_back_on_the_shelf_and_promises_them_again() {
    check(&[("fulfil", json!({"channel": "shopify"})), ("undo-fulfilment", json!({}))]).await;
}
