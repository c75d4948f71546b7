//! Dead letters of legs and postings: listed, tried again, given up. Held counts are in [`crate::brake`], quarantined
//! messages in [`crate::command_line`].

use serde_json::{Value, json};

use crate::{
    live::{Home, Live},
    support::{World, number, order, text, until_empty},
};

async fn open(change: impl FnOnce(&Home)) -> (World, Home, Live, Vec<(String, i64)>) {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::new(&world).await;
    change(&home);
    let live = home.open(&world).await;
    home.settle(&world).await;
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter();
    let all = all.map(|book| (text(&book["sku"]).to_owned(), number(&book["physical"]))).collect();
    (world, home, live, all)
}

/// Waits until exactly one thing waits for a person, with this id, and returns it.
async fn letter(home: &Home, id: &str) -> Value {
    until_empty("it waits for a person", async || {
        let told = home.ask(&["dead-letters", "list"]).await.json();
        let one = told["letters"].as_array().map(Vec::len) == Some(1) && told["letters"][0]["id"] == id;
        if one { vec![] } else { vec![told.to_string()] }
    })
    .await;
    home.ask(&["dead-letters", "list"]).await.json()["letters"][0].clone()
}

async fn none(home: &Home) {
    until_empty("nothing waits for a person", async || {
        let told = home.ask(&["dead-letters", "list"]).await.json();
        if told["letters"] == json!([]) { vec![] } else { vec![told.to_string()] }
    })
    .await;
}

async fn book(world: &World, n: usize) -> Value {
    world.get("books").await["skus"][n].clone()
}

async fn type_in(world: &World, sku: &str, quantity: i64) {
    world.post("edit-quantity", json!({"channel": "shopify", "sku": sku, "quantity": quantity})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quantity_that_somebody_typed_in_is_written_over_or_left() {
    let (world, home, live, skus) =
        open(|home| home.configure("[reconcile]", "[drift]\nrepair = \"ask\"\n\n[reconcile]")).await;
    let (sku, units) = &skus[0];
    type_in(&world, sku, units + 7).await;
    let id = format!("leg:shop:{sku}:{}", listing(&home, sku).await);
    let told = letter(&home, &id).await;
    let got = (&told["kind"], &told["channel"], &told["subject"]);
    assert_eq!(got, (&json!("leg"), &json!("shop"), &json!(sku)), "{told:#}");
    assert!(text(&told["reason"]).contains(&(units + 7).to_string()), "{told:#}");
    assert_eq!(home.ask(&["status"]).await.json()["dead_letters"], 1);
    let done = home.ask(&["dead-letters", "retry", &id]).await.json();
    assert_eq!(done["done"], format!("`{id}` goes again"));
    home.settle(&world).await;
    assert_eq!(book(&world, 0).await["shopify"]["shown"], *units);
    home.ask(&["dead-letters", "retry", &id]).await.fails(4, &format!("there is no dead letter `{id}`"));

    let (sku, units) = &skus[1];
    type_in(&world, sku, 3).await;
    let id = format!("leg:shop:{sku}:{}", listing(&home, sku).await);
    letter(&home, &id).await;
    let done = home.ask(&["dead-letters", "discard", &id]).await.json();
    assert_eq!(done["done"], format!("`{id}` is given up"));
    none(&home).await;
    home.rest(&world).await;
    assert_eq!(book(&world, 1).await["shopify"]["shown"], 3);
    // The next change of what it is to show starts again.
    order(&world, "amazon", sku, 1).await;
    home.settle(&world).await;
    assert_eq!(book(&world, 1).await["shopify"]["shown"], units - 1);
    live.stop().await;
}

/// Returns the number of a SKU's listing on Shopify.
async fn listing(home: &Home, sku: &str) -> i64 {
    let told = home.ask(&["sku", sku]).await.json();
    let mut listings = told["listings"].as_array().expect("a list").iter();
    number(&listings.find(|listing| listing["channel"] == "shop").expect("it is listed")["n"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_erp_refuses_is_posted_again_or_left() {
    let customer = |code: &str| format!("customer = \"{code}\"");
    let (world, home, live, skus) = open(|_| {}).await;
    let systems = world.get("systems").await;
    let good = text(&systems["erp"]["ids"]["customer_code"]);
    live.stop().await;
    home.configure(&customer(good), &customer("77"));
    let live = home.serve().await;
    let ((sku, units), (left, left_units)) = (&skus[0], &skus[1]);
    let id = order(&world, "shopify", sku, 1).await;
    let posting = format!("posting:erp:shop:{id}");
    let told = letter(&home, &posting).await;
    let got = (&told["kind"], &told["channel"], &told["subject"]);
    assert_eq!(got, (&json!("posting"), &json!("erp"), &json!(format!("shop:{id}"))), "{told:#}");
    assert!(text(&told["reason"]).contains("no party with the code `77`"), "{told:#}");
    let sequence = async || {
        let told = home.ask(&["order", "shop", &id]).await.json();
        (text(&told["postings"][0]["state"]).to_owned(), number(&told["postings"][0]["sequence"]))
    };
    assert_eq!(sequence().await, ("parked".to_owned(), 1));
    home.ask(&["dead-letters", "retry", &posting]).await.json();
    until_empty("it is refused again", async || {
        let now = sequence().await;
        if now == ("parked".to_owned(), 2) { vec![] } else { vec![format!("{now:?}")] }
    })
    .await;

    live.stop().await;
    home.configure(&customer("77"), &customer(good));
    let live = home.serve().await;
    assert_eq!(letter(&home, &posting).await["reason"], told["reason"], "a restart tries nothing by itself");
    let done = home.ask(&["dead-letters", "retry", &posting]).await.json();
    assert_eq!(done["done"], format!("`{posting}` goes again"));
    home.settle(&world).await;
    none(&home).await;
    assert_eq!(sequence().await, ("done".to_owned(), 3));
    assert_eq!(book(&world, 0).await["erp"]["available"], units - 1);

    live.stop().await;
    home.configure(&customer(good), &customer("77"));
    let live = home.serve().await;
    let id = order(&world, "shopify", left, 1).await;
    let posting = format!("posting:erp:shop:{id}");
    letter(&home, &posting).await;
    let done = home.ask(&["dead-letters", "discard", &posting]).await.json();
    assert_eq!(done["done"], format!("`{posting}` is given up"));
    none(&home).await;
    home.settle(&world).await;
    assert_eq!(home.ask(&["order", "shop", &id]).await.json()["postings"][0]["state"], "dropped");
    assert_eq!(book(&world, 1).await["erp"]["available"], *left_units, "the ERP was told nothing");
    live.stop().await;
    home.verify().await;
}

/// A channel is taken out while things wait there for a person, and an ERP that was not told of an order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_channel_that_was_taken_out_is_shown_and_given_up() {
    let (world, home, live, skus) =
        open(|home| home.configure("[reconcile]", "[drift]\nrepair = \"ask\"\n\n[reconcile]")).await;
    let (sku, units) = &skus[0];
    type_in(&world, sku, units + 7).await;
    let leg = format!("leg:shop:{sku}:{}", listing(&home, sku).await);
    letter(&home, &leg).await;
    home.ask(&["pause", "--channel", "erp"]).await.json();
    let id = order(&world, "shopify", &skus[1].0, 1).await;
    let posting = format!("posting:erp:shop:{id}");
    until_empty("it is to be posted", async || {
        let told = home.ask(&["order", &format!("shop:{id}")]).await;
        if told.code == Some(0) { vec![] } else { vec![told.err] }
    })
    .await;
    let path = home.path("evenkeel.toml");
    let before = std::fs::read_to_string(&path).expect("readable");
    let after = without(&without(&before, "[channels.shopify.shop]"), "[channels.tryton.erp]");
    std::fs::write(&path, after.replace("master = \"erp\"", "")).expect("written");
    home.ask(&["reload", "--confirm"]).await.json();
    let told = home.ask(&["dead-letters", "list"]).await.json();
    let letters = told["letters"].as_array().expect("a list");
    assert_eq!(letters.iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&json!(leg), &json!(posting)]);
    for letter in letters {
        assert!(text(&letter["reason"]).contains("is not configured any more"), "{told:#}");
        assert!(text(&letter["command"]).contains(" discard "), "{told:#}");
    }
    assert_eq!(home.ask(&["status"]).await.json()["dead_letters"], 2);
    for id in [&leg, &posting] {
        home.ask(&["dead-letters", "retry", id]).await.fails(5, "not configured any more");
    }
    let retried = home.ask(&["dead-letters", "retry", "--all"]).await.json();
    assert_eq!(retried["letters"], json!([]), "{retried:#}");
    let view = home.ask(&["order", &format!("shop:{id}")]).await.json();
    assert_eq!(view["postings"][0]["dead_letter"], json!(posting), "{view:#}");
    let done = home.ask(&["dead-letters", "discard", "--channel", "shop"]).await.json();
    assert_eq!(done["letters"].as_array().map(Vec::len), Some(1), "{done:#}");
    home.ask(&["dead-letters", "discard", &posting]).await.json();
    none(&home).await;
    live.stop().await;
    home.verify().await;
}

/// Leaves a table, and those below it, out of a configuration.
fn without(text: &str, table: &str) -> String {
    let from = text.find(table).expect("it is there");
    let below = table.replace(']', ".");
    let rest = &text[from + 1..];
    let mut ends = rest.match_indices("\n[").map(|(at, _)| at + 1);
    let end = ends.find(|at| !rest[*at..].starts_with(&below));
    let end = end.map_or(text.len(), |at| from + 1 + at);
    format!("{}{}", &text[..from], &text[end..])
}
