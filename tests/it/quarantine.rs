//! Quarantine and unmapped lines are worked off from the command line.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live},
    support::{World, text, until_empty, webhook},
};

async fn open() -> (World, Home, Live, String) {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    home.settle(&world).await;
    let secret = text(&world.get("systems").await["shopify"]["client_secret"]).to_owned();
    (world, home, live, secret)
}

/// A webhook of an order that the shop itself does not know.
fn order(id: u64, code: &str, units: i64) -> String {
    let at = "2026-01-01T00:00:00Z";
    let line = json!({
        "id": id * 10, "sku": code, "variant_id": null, "quantity": units, "current_quantity": units,
        "fulfillable_quantity": units, "fulfillment_status": null, "gift_card": false,
    });
    json!({
        "id": id, "name": "#1", "created_at": at, "updated_at": at, "cancelled_at": null,
        "line_items": [line], "fulfillments": [], "refunds": [],
    })
    .to_string()
}

async fn list(home: &Home) -> Vec<Value> {
    home.ask(&["quarantine", "list"]).await.json()["items"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_cannot_be_read_are_shown_tried_again_and_given_up() {
    let (_world, home, live, secret) = open().await;
    for body in ["{\"id\": ", "{\"id\": 1"] {
        assert_eq!(webhook(&home.hooks(), &secret, "orders/create", body.as_bytes()).await, 200);
    }
    let held = list(&home).await;
    assert_eq!(held.len(), 2, "{held:#?}");
    let ids: Vec<String> = held.iter().map(|item| item["id"].to_string()).collect();
    assert_eq!((&held[0]["channel"], &held[0]["kept"]), (&json!("shop"), &json!(true)));
    // The tests run as the daemon's own user.
    let shown = home.ask(&["quarantine", "show", &ids[0]]).await.json();
    assert_eq!((&shown["text"], &shown["intact"]), (&json!("{\"id\": "), &json!(true)), "{shown:#}");
    assert_eq!(shown["sha256"], held[0]["sha256"]);
    home.ask(&["quarantine", "show", "99999"]).await.fails(4, "there is no quarantined item 99999");

    let dry = home.ask(&["quarantine", "replay", "--all", "--dry-run", "--channel", "shop"]).await;
    assert_eq!(dry.code, Some(5), "{dry:#?}");
    let told: Value = serde_json::from_str(&dry.out).expect("JSON");
    assert_eq!(told["items"].as_array().map(Vec::len), Some(2), "{told:#}");
    assert_eq!(list(&home).await, held, "a dry run changes nothing");
    home.ask(&["dead-letters", "retry", &format!("quarantine:{}", ids[0])]).await.fails(5, "");
    assert_eq!(list(&home).await.len(), 2);

    home.ask(&["quarantine", "discard", &ids[0]]).await.usage("--reason");
    let discard = ["quarantine", "discard", &ids[0], "--reason", "cut off on its way"];
    assert_eq!(home.ask(&discard).await.json()["ids"], json!([held[0]["id"]]));
    assert_eq!(list(&home).await.len(), 1);
    home.ask(&["quarantine", "show", &ids[0]]).await.fails(4, "there is no quarantined item");
    let all = ["quarantine", "discard", "--all", "--topic", "orders/create", "--reason", "the same"];
    assert_eq!(home.ask(&all).await.json()["ids"], json!([held[1]["id"]]));
    let bodies = std::fs::read_dir(home.path("store").join("quarantine")).map_or(0, Iterator::count);
    assert_eq!((list(&home).await.len(), bodies), (0, 0));
    live.stop().await;
    home.verify().await;
}

async fn lines(home: &Home) -> Vec<Value> {
    let told = home.ask(&["map", "list", "--lines"]).await.json();
    told["unmapped"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_without_a_sku_is_mapped_by_hand_or_left_out() {
    let (world, home, live, secret) = open().await;
    let (first, second) = (order(901, "OLD-CODE", 2), order(902, "GIFT-CARD", 1));
    for body in [&first, &second] {
        assert_eq!(webhook(&home.hooks(), &secret, "orders/create", body.as_bytes()).await, 200);
    }
    assert_eq!(lines(&home).await.len(), 2);
    assert_eq!(home.ask(&["dead-letters", "list"]).await.json()["unmapped_orders"], 2);

    let book = world.get("books").await["skus"][0].clone();
    let (sku, units) = (text(&book["sku"]), book["available"].as_i64().expect("a number"));
    let set = ["map", "set", "shop", "channel_sku=OLD-CODE", sku];
    let dry = home.ask(&[&set[..], &["--dry-run"]].concat()).await.json();
    let booked =
        |told: &Value| (told["effect"]["mapped_lines"].clone(), told["effect"]["mapped_orders"].clone());
    assert_eq!(booked(&dry), (json!(1), json!(1)), "{dry:#}");
    assert_eq!(lines(&home).await.len(), 2, "a dry run changes nothing");
    let told = home.ask(&set).await.json();
    assert_eq!((booked(&told), &told["rows"]), ((json!(1), json!(1)), &json!(1)), "{told:#}");
    assert_eq!(lines(&home).await.len(), 1);
    until_empty("the sale is passed on", async || {
        let book = world.get("books").await["skus"][0].clone();
        if book["amazon"]["shown"] == units - 2 { vec![] } else { vec![book.to_string()] }
    })
    .await;
    home.ask(&["map", "set", "shop", "OLD-CODE", "NO-SUCH-SKU"]).await.fails(4, "SKU `NO-SUCH-SKU`");

    let ignore = ["map", "ignore", "shop", "GIFT-CARD", "--note", "a gift card"];
    let dry = home.ask(&[&ignore[..], &["--dry-run"]].concat()).await.json();
    assert_eq!(dry["effect"]["ignored_lines"], 1, "{dry:#}");
    assert_eq!(home.ask(&ignore).await.json()["effect"]["ignored_lines"], 1);
    assert_eq!(lines(&home).await, Vec::<Value>::new());
    let held = home.ask(&["map", "list", "--ignored"]).await.json();
    assert_eq!(
        (&held["ignored"][0]["ids"]["channel_sku"], &held["ignored"][0]["note"]),
        (&json!("GIFT-CARD"), &json!("a gift card")),
        "{held:#}"
    );
    // It survives a restart, and can be taken back.
    live.stop().await;
    let live = home.serve().await;
    assert_eq!(lines(&home).await, Vec::<Value>::new());
    let undone = home.ask(&["map", "ignore", "shop", "GIFT-CARD", "--undo"]).await.json();
    assert_eq!(undone["effect"]["ignored_lines"], -1, "{undone:#}");
    let line = lines(&home).await[0].clone();
    let (order, line) = (text(&line["order"]).to_owned(), text(&line["line"]).to_owned());
    home.ask(&["map", "ignore", "shop", "--order", &order, "--line", &line]).await.json();
    assert_eq!(lines(&home).await, Vec::<Value>::new());
    home.ask(&["map", "ignore", "shop", "GIFT-CARD", "--undo"]).await.fails(4, "ignored");
    live.stop().await;
    home.verify().await;
}
