//! Quarantine and unmapped lines are worked off from the command line.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use serde_json::{Value, json};

use crate::{
    live::{Home, Live},
    support::{self, World, text, until_empty, webhook},
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

/// What stands between the daemon and the shop, and garbles one order in every list of orders.
struct Garbler {
    to: String,
    client: reqwest::Client,
    order: Mutex<Option<String>>,
}

impl Garbler {
    /// Starts one in front of the shop, and returns where it listens.
    async fn start(to: &str) -> (Arc<Garbler>, String) {
        let (to, client) = (to.to_owned(), reqwest::Client::new());
        let own = Arc::new(Garbler { to, client, order: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let app = Router::new().fallback(Garbler::pass).with_state(Arc::clone(&own));
        tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        (own, url)
    }

    /// Garbles this order from now on, or none.
    fn garble(&self, order: Option<&str>) {
        let order = order.map(|order| format!("gid://shopify/Order/{order}"));
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = order;
    }

    async fn pass(
        State(own): State<Arc<Garbler>>,
        uri: Uri,
        headers: HeaderMap,
        Json(asked): Json<Value>,
    ) -> Result<Json<Value>, StatusCode> {
        let request = own.client.post(format!("{}{uri}", own.to)).json(&asked);
        let token = "x-shopify-access-token";
        let answer = request.header(token, &headers[token]).send().await;
        let answer = answer.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let mut told: Value = answer.json().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let bad = own.order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for order in told["data"]["orders"]["nodes"].as_array_mut().into_iter().flatten() {
            if bad.as_deref().is_some_and(|bad| order["id"] == bad) {
                order["createdAt"] = json!("the day before yesterday");
            }
        }
        Ok(Json(told))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_no_list_tells_readably_is_booked_when_it_is_replayed() {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::new(&world).await;
    let base_url = text(&world.get("systems").await["shopify"]["base_url"]).to_owned();
    let (garbler, before_it) = Garbler::start(&base_url).await;
    home.configure(&format!("base_url = \"{base_url}\""), &format!("base_url = \"{before_it}\""));
    let live = home.open(&world).await;
    home.settle(&world).await;
    let book = world.get("books").await["skus"][0].clone();
    let (sku, units) = (text(&book["sku"]).to_owned(), book["available"].as_i64().expect("a number"));
    // No webhook tells of it either, and no list is spared.
    world.post("webhooks", json!({"url": null})).await;
    let number = 9_407_199_254_740_993_u64;
    garbler.garble(Some(&number.to_string()));
    let id = support::order(&world, "shopify", &sku, 2).await;
    assert_eq!(id, number.to_string(), "the first order of the sandbox");
    until_empty("it is in quarantine", async || {
        let held = list(&home).await;
        if held.len() == 1 && held[0]["why"].to_string().contains("yesterday") {
            vec![]
        } else {
            vec![format!("{held:?}")]
        }
    })
    .await;
    let held = list(&home).await[0].clone();
    let item = held["id"].to_string();
    let stock = async || home.ask(&["sku", &sku]).await.json()["stock"][0]["committed"].clone();
    let told = home.ask(&["quarantine", "replay", &item]).await;
    assert_eq!(told.code, Some(5), "what is kept reads no better by now: {told:#?}");
    assert_eq!((list(&home).await.len(), stock().await), (1, json!(0)));

    // Once the body is gone, as it is after a while, the order is asked for by itself.
    let forget = |item: &Value| fs::remove_file(home.path("store/quarantine").join(text(&item["sha256"])));
    forget(&held).expect("it was kept");
    let dry = home.ask(&["quarantine", "replay", &item, "--dry-run"]).await.json();
    assert_eq!((&dry["items"][0]["done"], stock().await), (&json!(true), json!(0)), "{dry:#}");
    let done = home.ask(&["quarantine", "replay", &item]).await.json();
    assert_eq!(done["items"][0]["done"], true, "{done:#}");
    assert!(text(&done["items"][0]["told"]).contains(&id), "{done:#}");
    assert_eq!(stock().await, 2);
    // Lists that are read again meanwhile set it aside again. Whatever is read of it by now, it is booked already.
    garbler.garble(None);
    until_empty("it is worked off", async || {
        let held = list(&home).await;
        for item in &held {
            if item["kept"] == true {
                forget(item).expect("it was kept");
            }
            home.ask(&["quarantine", "replay", &item["id"].to_string()]).await.json();
        }
        held.iter().map(Value::to_string).collect()
    })
    .await;
    assert_eq!(stock().await, 2);
    until_empty("the sale is passed on", async || {
        let book = world.get("books").await["skus"][0].clone();
        if book["amazon"]["shown"] == units - 2 { vec![] } else { vec![book.to_string()] }
    })
    .await;
    live.stop().await;
    home.verify().await;
}
