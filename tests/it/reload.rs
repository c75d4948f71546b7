//! A changed configuration takes effect while the daemon runs, or is refused or held, and then nothing changes.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live, Told},
    support::{World, number, order, text, until_empty},
};

async fn open() -> (World, Home, Live, Vec<(String, i64)>) {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    home.settle(&world).await;
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter();
    let all = all.map(|book| (text(&book["sku"]).to_owned(), number(&book["physical"]))).collect();
    (world, home, live, all)
}

/// Waits until a system shows so much less of every SKU than there is, and never below nothing.
async fn shows_less(world: &World, system: &str, units: i64) {
    until_empty("all show less", async || {
        let books = world.get("books").await;
        let all = books["skus"].as_array().expect("a list").iter();
        let wrong = |book: &&Value| {
            number(&book[system]["shown"]).max(0) != (number(&book["available"]) - units).max(0)
        };
        all.filter(wrong).map(Value::to_string).collect()
    })
    .await;
}

fn of<'a>(told: &'a Value, channel: &str) -> &'a Value {
    let mut all = told["effect"]["channels"].as_array().expect("a list").iter();
    all.find(|one| one["channel"] == channel).unwrap_or_else(|| panic!("no {channel}: {told:#}"))
}

fn buffer(home: &Home, from: i64, to: i64) {
    home.configure(
        &format!("[allocation]\nsafety_stock = {from}"),
        &format!("[allocation]\nsafety_stock = {to}"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_change_live_does_and_the_rest_is_refused_by_name() {
    let (world, home, live, _) = open().await;
    assert_eq!(home.ask(&["reload"]).await.json()["unchanged"], json!(true));
    home.configure("[reconcile]", "[allocation]\nsafety_stock = 2\n\n[reconcile]");
    let dry = home.ask(&["reload", "--dry-run"]).await.json();
    assert_eq!((&dry["done"], &dry["changes"]), (&json!(false), &json!(["allocation"])), "{dry:#}");
    assert_eq!(
        (&of(&dry, "shop")["lowered"], &of(&dry, "shop")["zeroed"]),
        (&json!(12), &json!(0)),
        "{dry:#}"
    );
    assert!(world.disagreements().await.is_empty(), "a dry run changes nothing");
    let told = home.ask(&["reload"]).await.json();
    assert_eq!((&told["done"], &told["restarted"]), (&json!(true), &json!([])), "{told:#}");
    shows_less(&world, "shopify", 2).await;
    shows_less(&world, "amazon", 2).await;

    // SIGHUP does the same.
    buffer(&home, 2, 1);
    live.hang_up().await;
    shows_less(&world, "shopify", 1).await;

    // All that is wrong is told at once, and what is in effect stays.
    buffer(&home, 1, -1);
    home.configure("after_tries = 8", "after_tries = \"many\"");
    let wrong = home.ask(&["--socket", &home.path("evenkeel.sock").display().to_string(), "reload"]).await;
    wrong.fails(78, "allocation.safety_stock");
    assert!(wrong.err.contains("alerts.after_tries"), "{wrong:#?}");
    buffer(&home, -1, 1);
    home.configure("after_tries = \"many\"", "after_tries = 8");

    home.configure("instance = ", "instance = \"other\" # ");
    home.ask(&["reload"]).await.fails(5, "`instance`");
    assert_eq!(home.ask(&["status"]).await.json()["instance"], "demo");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_would_empty_the_catalogue_is_held_also_at_a_start() {
    let (world, home, live, _) = open().await;
    home.configure("[reconcile]", "[allocation]\nsafety_stock = 1000\n\n[reconcile]");
    let dry = home.ask(&["reload", "--dry-run"]).await.json();
    assert_eq!(of(&dry, "shop")["zeroed"], json!(12), "{dry:#}");
    assert!(text(&dry["held"]).contains("on `shop` it would set 12 of 12 listings to zero"), "{dry:#}");
    assert_eq!(home.ask(&["status"]).await.json()["held_configuration"], json!(null));
    home.ask(&["reload"]).await.held("it would set 12 of 12 listings to zero");
    held(&home).await;
    assert!(world.disagreements().await.is_empty(), "nothing was changed");

    // A restart goes on with what was in effect.
    live.stop().await;
    let live = home.serve().await;
    held(&home).await;
    let sku = text(&world.get("books").await["skus"][0]["sku"]).to_owned();
    order(&world, "amazon", &sku, 1).await;
    home.settle(&world).await;

    let done = home.ask(&["reload", "--confirm"]).await.json();
    assert_eq!((&done["done"], &done["held"]), (&json!(true), &json!(null)), "{done:#}");
    shows_less(&world, "shopify", 1000).await;
    shows_less(&world, "amazon", 1000).await;
    assert_eq!(home.ask(&["status"]).await.json()["held_configuration"], json!(null));

    // Confirmed once, it is what a start finds.
    live.stop().await;
    let live = home.serve().await;
    assert_eq!(home.ask(&["status"]).await.json()["held_configuration"], json!(null));
    live.stop().await;
    home.verify().await;
}

/// Waits until people are told that the file is not in effect.
async fn held(home: &Home) {
    until_empty("an alert fires", async || {
        let (alerts, status) = (home.ask(&["alerts"]).await.json(), home.ask(&["status"]).await.json());
        let mut all = alerts["alerts"].as_array().expect("a list").iter();
        let fires = all.any(|one| one["kind"] == "brake" && one["subject"] == "the configuration");
        if fires && status["held_configuration"].is_string() { vec![] } else { vec![alerts.to_string()] }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_taken_out_and_put_back_while_the_others_sell() {
    let (world, home, live, skus) = open().await;
    let sold = order(&world, "amazon", &skus[1].0, 1).await;
    home.settle(&world).await;
    let before = std::fs::read_to_string(home.path("evenkeel.toml")).expect("readable");
    let (sku, units) = &skus[0];
    let table = before.find("[channels.amazon.market]").expect("it is there");
    let after = before[table + 1..].find("\n[channels.tryton").map_or(before.len(), |at| table + 1 + at);
    let without = format!("{}{}", &before[..table], &before[after..]);
    std::fs::write(home.path("evenkeel.toml"), &without).expect("written");
    let told = home.ask(&["reload"]).await.json();
    assert_eq!((&told["removed"], &told["done"]), (&json!(["market"]), &json!(true)), "{told:#}");
    home.ask(&["poll", "market"]).await.fails(4, "market");
    order(&world, "shopify", sku, 1).await;
    until_empty("the ERP is told", async || {
        let book = world.get("books").await["skus"][0].clone();
        if book["erp"]["available"] == units - 1 { vec![] } else { vec![book.to_string()] }
    })
    .await;
    assert_eq!(world.get("books").await["skus"][0]["amazon"]["shown"], *units, "it is left as it is");
    // What is known of it is told as before.
    let told = home.ask(&["sku", sku]).await.json();
    let mut listings = told["listings"].as_array().expect("a list").iter();
    let gone = listings.find(|listing| listing["channel"] == "market").expect("it is listed");
    assert_eq!(gone["gone"], json!(true), "{told:#}");
    assert!(text(&gone["waits_for"]).contains("`market` is not configured any more"), "{told:#}");
    for named in [format!("market:{sold}"), sold.clone()] {
        assert_eq!(home.ask(&["order", &named]).await.json()["order"], json!(sold));
    }
    assert_eq!(home.ask(&["dead-letters", "list", "--channel", "market"]).await.json()["letters"], json!([]));
    home.ask(&["dead-letters", "list", "--channel", "never"]).await.fails(4, "never");
    std::fs::write(home.path("evenkeel.toml"), &before).expect("written");
    let told = home.ask(&["reload"]).await.json();
    assert_eq!(told["added"], json!(["market"]), "{told:#}");
    home.settle(&world).await;

    // A secret that was exchanged is read again, and only its channel starts anew.
    let systems = world.get("systems").await;
    crate::support::secret(home.dir.path(), "shopify-webhook", "another one");
    let told = home.ask(&["reload"]).await.json();
    assert_eq!((&told["restarted"], &told["done"]), (&json!(["shop"]), &json!(true)), "{told:#}");
    let old = text(&systems["shopify"]["client_secret"]);
    assert_eq!(crate::support::webhook(&home.hooks(), old, "orders/create", b"{}").await, 401);
    assert_eq!(crate::support::webhook(&home.hooks(), "another one", "orders/create", b"{}").await, 200);
    order(&world, "amazon", sku, 1).await;
    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadow_and_live_are_switched_without_a_restart() {
    let (world, home, live, skus) = open().await;
    let (sku, units) = &skus[0];
    home.configure("instance =", "mode = \"shadow\"\ninstance =");
    assert_eq!(home.ask(&["reload"]).await.json()["done"], json!(true));
    order(&world, "amazon", sku, 1).await;
    until_empty("the sale is seen", async || {
        let told = home.ask(&["sku", sku]).await.json();
        if told["stock"][0]["committed"] == 1 { vec![] } else { vec![told.to_string()] }
    })
    .await;
    assert_eq!(world.get("books").await["skus"][0]["shopify"]["shown"], *units);
    home.configure("mode = \"shadow\"", "mode = \"live\"");
    let told = home.ask(&["reload"]).await.json();
    assert_eq!(of(&told, "shop")["lowered"], json!(1), "{told:#}");
    home.settle(&world).await;
    assert_eq!(world.get("books").await["skus"][0]["shopify"]["shown"], units - 1);
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_stands_for_one_shop_also_after_a_restart() {
    let (_world, home, live, _) = open().await;
    let (was, is) = ("shop = \"evenkeel-sandbox.myshopify.com\"", "shop = \"other.myshopify.com\"");
    home.configure(was, is);
    home.ask(&["reload"])
        .await
        .fails(5, "`channels.shopify.shop.shop` is `other.myshopify.com`, and `shop` has stood for");
    live.stop().await;
    // What it logs comes before what it says.
    let ends = async |args: &[&str]| {
        let told = home.ask(args).await;
        Told { err: told.err.lines().last().unwrap_or_default().to_owned(), ..told }
    };
    let refused = ends(&["run"]).await;
    refused.fails(78, "`channels.shopify.shop.shop` is `other.myshopify.com`, and `shop` has stood for");
    assert!(refused.err.contains("--renamed"), "{refused:#?}");
    home.configure("seller_id = \"", "seller_id = \"X");
    ends(&["run", "--renamed", "shop"]).await.fails(78, "`channels.amazon.market.seller_id`");
    home.configure("seller_id = \"X", "seller_id = \"");

    // The same shop under a new name, as a person says: once.
    let live = home.start_with(&[], &["--renamed", "shop"]);
    home.ready().await;
    live.stop().await;
    home.serve().await.stop().await;
    home.configure(is, was);
    ends(&["run"]).await.fails(78, "has stood for `other.myshopify.com`");
    home.verify().await;
}
