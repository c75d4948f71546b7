//! Shadow computes and tells what it would write, and writes nothing; then it goes live, as the README says.

use serde_json::{Value, json};

use crate::{
    live::Home,
    readme::BUFFER,
    support::{World, number, order, text, until_empty, writes},
};

/// Returns the rows of the outbox that have not come to what they are to say: channel, kind, subject, quantity to show.
async fn missing(home: &Home, wanted: &[(&str, &str, &str, Option<i64>)]) -> Vec<String> {
    let outbox = home.ask(&["outbox"]).await.json();
    let rows = outbox["rows"].as_array().expect("a list");
    let there = |(channel, kind, subject, quantity): &(&str, &str, &str, Option<i64>)| {
        rows.iter().any(|row| {
            row["channel"] == *channel
                && row["kind"] == *kind
                && row["subject"] == *subject
                && row["quantity"].as_i64() == *quantity
                && row["why"].as_str().is_some_and(|why| why.starts_with("shadow mode"))
        })
    };
    let missing = wanted.iter().filter(|row| !there(row));
    missing.map(|row| format!("{row:?} is not in {outbox:#}")).collect()
}

/// Returns what a channel does not show as the README's configuration wants it.
async fn wrong(world: &World) -> Vec<String> {
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter();
    all.filter(|book| {
        let available = number(&book["available"]).max(0);
        number(&book["shopify"]["shown"]) != available
            || number(&book["amazon"]["shown"]) != (available - BUFFER).max(0)
            || book["erp"]["on_hand"] != book["physical"]
            || number(&book["erp"]["available"]) != available
    })
    .map(Value::to_string)
    .collect()
}

/// Expects the outbox to say what would be written of a SKU of which the shop has sold two.
async fn told(home: &Home, sku: &str, stock: i64) {
    let outbox = home.ask(&["outbox"]).await.json();
    assert_eq!(outbox["shadow"], json!(true), "{outbox:#}");
    let row = |channel: &str| {
        let mut rows = outbox["rows"].as_array().expect("a list").iter();
        rows.find(|row| row["channel"] == channel && row["subject"] == sku)
    };
    let there = row("us").expect("it would be written");
    assert_eq!(there["shown"], json!(stock), "{there:#}");
    assert_eq!(there["why"], format!("shadow mode writes nothing; it would be lowered by {}", 2 + BUFFER));
    // What a shop shows already would not be written: its own sale is in it.
    assert_eq!(row("main"), None, "{outbox:#}");
}

/// Says of all that was sold in shadow that the ERP lacks it.
async fn answered(home: &Home) {
    until_empty("a person is asked about each order", async || {
        let letters =
            home.ask(&["dead-letters", "list", "--channel", "erp", "--reason", "`shadow`"]).await.json();
        if letters["letters"].as_array().is_some_and(|all| all.len() == 2) {
            vec![]
        } else {
            vec![letters.to_string()]
        }
    })
    .await;
    home.ask(&["dead-letters", "retry", "--channel", "erp", "--reason", "`shadow`"]).await.json();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadow_tells_what_it_would_write_and_writes_nothing_until_it_goes_live() {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::like_readme(&world, "alerts.after = \"1s\"").await;
    let online = home.ask(&["check", "--online"]).await.json();
    let channels = online["channels"].as_array().expect("a list");
    assert!(channels.len() == 3 && channels.iter().all(|c| c["answer"] == "good"), "{online:#}");
    let live = home.open(&world).await;
    assert_eq!(home.ask(&["status"]).await.json()["mode"], "shadow");
    assert_eq!(home.ask(&["map", "list", "--unmatched"]).await.json()["unmatched"], json!([]));

    let books = world.get("books").await;
    let stock = |n: usize| (text(&books["skus"][n]["sku"]).to_owned(), number(&books["skus"][n]["physical"]));
    let ((one, stock_one), (two, stock_two)) = (stock(0), stock(1));
    let on_shopify = order(&world, "shopify", &one, 2).await;
    order(&world, "amazon", &two, 3).await;
    until_empty("what would be written is told", async || {
        let on_shopify = format!("main:{on_shopify}");
        let wanted = [
            ("us", "leg", one.as_str(), Some(stock_one - 2 - BUFFER)),
            ("us", "leg", two.as_str(), Some(stock_two - 3 - BUFFER)),
            ("main", "leg", two.as_str(), Some(stock_two - 3)),
            ("erp", "posting", on_shopify.as_str(), None),
        ];
        missing(&home, &wanted).await
    })
    .await;
    told(&home, &one, stock_one).await;
    let part = home.ask(&["outbox", "--limit", "1", "--channel", "us"]).await.json();
    let rows = part["rows"].as_array().expect("a list");
    assert!(rows.len() == 1 && rows[0]["channel"] == "us" && part["more"] == json!(true), "{part:#}");
    until_empty("alerts had their time", async || {
        let outbox = home.ask(&["outbox", "--channel", "main"]).await.json();
        let old = outbox["rows"]
            .as_array()
            .is_some_and(|rows| rows.iter().any(|row| number(&row["age_ms"]) > 4_000));
        if old { vec![] } else { vec![outbox.to_string()] }
    })
    .await;
    assert_eq!(home.ask(&["alerts"]).await.json(), json!({"alerts": []}), "nothing is late in shadow");

    assert_eq!(writes(&world).await, Vec::<Value>::new());
    let books = world.get("books").await;
    let shown = |n: usize, system: &str| number(&books["skus"][n][system]["shown"]);
    assert_eq!((shown(0, "amazon"), shown(1, "shopify")), (stock_one, stock_two));
    assert_eq!(books["skus"][0]["erp"]["available"], stock_one, "the ERP was told of no sale");
    let figures = home.figures().await;
    let written = figures.lines().filter(|line| line.starts_with("evenkeel_writes_total{"));
    assert_eq!(written.filter(|line| !line.ends_with(" 0")).collect::<Vec<_>>(), Vec::<&str>::new());

    live.stop().await;
    home.configure("mode = \"shadow\"", "mode = \"live\"");
    let live = home.serve().await;
    answered(&home).await;
    home.rest(&world).await;
    until_empty("all agree once it is live", async || wrong(&world).await).await;
    assert!(!writes(&world).await.is_empty(), "writes are told apart from what others do");
    live.stop().await;
    home.verify().await;
}
