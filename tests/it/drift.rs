//! Other writers: an edit that is taken over, a loop that is stopped, a comparison on request, and the story of an
//! oversell.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live},
    support::{World, number, order, text, until_empty, writes},
};

const DRIFT: &str = "[reconcile]";

pub(crate) async fn open(change: impl FnOnce(&Home)) -> (World, Home, Live, Vec<(String, i64)>) {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
    })
    .await;
    let home = Home::new(&world).await;
    change(&home);
    let live = home.open(&world).await;
    home.settle(&world).await;
    known(&home).await;
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list").iter();
    let all = all.map(|book| (text(&book["sku"]).to_owned(), number(&book["physical"]))).collect();
    (world, home, live, all)
}

/// Waits until it is known what every listing shows: its orders are read past the first look.
pub(crate) async fn known(home: &Home) {
    until_empty("it is known what is shown", async || {
        let mut unknown = Vec::new();
        for channel in ["shop", "market"] {
            let told = home.ask(&["reconcile", channel, "--dry-run"]).await.json();
            if told["channels"][0]["unknown"] != 0 {
                unknown.push(told.to_string());
            }
        }
        unknown
    })
    .await;
}

async fn type_in(world: &World, channel: &str, sku: &str, quantity: i64) {
    world.post("edit-quantity", json!({"channel": channel, "sku": sku, "quantity": quantity})).await;
}

async fn shown(world: &World, sku: &str, channel: &str) -> i64 {
    let books = world.get("books").await;
    let mut skus = books["skus"].as_array().expect("a list").iter();
    number(&skus.find(|book| book["sku"] == sku).expect("it is sold")[channel]["shown"])
}

/// Waits until a SKU's latest drift is this, and returns it.
async fn drifted(home: &Home, sku: &str, done: &str) -> Value {
    let find = async || {
        let told = home.ask(&["drift"]).await.json();
        told["rows"].as_array().expect("a list").iter().find(|row| row["sku"] == sku).cloned()
    };
    until_empty("it has drifted", async || match find().await {
        Some(row) if row["done"] == done => vec![],
        other => vec![format!("{other:?}")],
    })
    .await;
    find().await.expect("it has drifted")
}

async fn alerts(home: &Home, wanted: bool) {
    until_empty("people are told", async || {
        let told = home.ask(&["alerts"]).await.json();
        let mut all = told["alerts"].as_array().expect("a list").iter();
        let firing = all.any(|alert| alert["kind"] == "drift" && alert["firing"] == true);
        if firing == wanted { vec![] } else { vec![told.to_string()] }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_the_stock_is_taken_over_where_theirs_counts() {
    let (world, home, live, skus) = open(|home| {
        home.configure(DRIFT, "[drift]\non_hand = \"theirs\"\n\n[reconcile]");
        home.configure("sweep_every = \"10s\"", "sweep_every = \"1h\"");
    })
    .await;
    let (sku, units) = &skus[0];
    type_in(&world, "shopify", sku, units + 7).await;
    let drift = drifted(&home, sku, "accepted").await;
    assert_eq!((&drift["found"], &drift["open"]), (&json!("edit"), &json!(false)), "{drift:#}");
    until_empty("it is passed on", async || {
        let shown = shown(&world, sku, "amazon").await;
        if shown == units + 7 { vec![] } else { vec![shown.to_string()] }
    })
    .await;
    let told = home.ask(&["sku", sku]).await.json();
    assert_eq!(told["stock"][0]["on_hand"], units + 7, "{told:#}");
    let recent = told["recent"].as_array().expect("a list");
    let edit = recent.iter().find(|entry| entry["kind"] == "adjustment").expect("it is booked");
    assert!(text(&edit["cause"]).contains("an edit on shop"), "{edit:#}");
    home.rest(&world).await;
    assert_eq!(shown(&world, sku, "shopify").await, units + 7, "theirs was not written over");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_that_undo_each_other_are_kept_apart_until_a_person_releases_them() {
    let (world, home, live, skus) =
        open(|home| home.configure(DRIFT, "[drift]\nloop_repairs = 3\n\n[reconcile]")).await;
    let (sku, units) = &skus[0];
    for n in 1..3 {
        type_in(&world, "shopify", sku, units + n).await;
        until_empty("ours is written again", async || {
            let told = home.ask(&["drift"]).await.json();
            let repaired = told["rows"][0]["repairs"] == n && told["rows"][0]["done"] == "repaired";
            if repaired && shown(&world, sku, "shopify").await == *units {
                vec![]
            } else {
                vec![told.to_string()]
            }
        })
        .await;
        home.settle(&world).await;
    }
    type_in(&world, "shopify", sku, units + 9).await;
    let drift = drifted(&home, sku, "held").await;
    assert_eq!((&drift["open"], &drift["observed"]), (&json!(true), &json!(units + 9)), "{drift:#}");
    alerts(&home, true).await;
    let before = writes(&world).await.len();
    type_in(&world, "shopify", sku, units + 8).await;
    home.ask(&["reconcile", "shop"]).await.json();
    until_empty("it is seen", async || {
        let told = home.ask(&["drift", "--channel", "shop"]).await.json();
        if told["rows"][0]["observed"] == units + 8 { vec![] } else { vec![told.to_string()] }
    })
    .await;
    assert_eq!(writes(&world).await.len(), before, "nothing is written against the other");
    home.ask(&["drift", "repair", sku, "shop"]).await.fails(5, "two writers undo each other");
    let done = home.ask(&["drift", "release", sku, "shop"]).await.json();
    assert_eq!(done["done"], format!("SKU `{sku}` on `shop` is released and written again"));
    home.settle(&world).await;
    alerts(&home, false).await;
    home.ask(&["drift", "release", sku, "shop"]).await.fails(4, "open drift");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rival_that_writes_at_random_is_repaired_or_held_and_released() {
    let (world, home, live, _) =
        open(|home| home.configure(DRIFT, "[drift]\nloop_repairs = 2\n\n[reconcile]")).await;
    world.post("faults", json!({"faults": ["shopify-rival=50ms"]})).await;
    until_empty("something is held", async || {
        let told = home.ask(&["drift"]).await.json();
        let mut rows = told["rows"].as_array().expect("a list").iter();
        if rows.any(|row| row["done"] == "held") { vec![] } else { vec![told.to_string()] }
    })
    .await;
    alerts(&home, true).await;
    world.post("faults", json!({"faults": ["none"]})).await;
    until_empty("all are released", async || {
        let told = home.ask(&["drift"]).await.json();
        let open: Vec<Value> = told["rows"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|row| row["open"] == true)
            .cloned()
            .collect();
        for row in &open {
            home.ask(&["drift", "release", text(&row["sku"]), "shop"]).await;
        }
        let left = world.disagreements().await;
        if open.is_empty() { left } else { open.iter().map(Value::to_string).chain(left).collect() }
    })
    .await;
    home.settle(&world).await;
    alerts(&home, false).await;
    let figures = home.figures().await;
    assert!(figures.contains("evenkeel_drift_total{channel=\"shop\",action=\"held\"}"), "{figures}");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_says_what_it_would_do_and_then_does_it() {
    let (world, home, live, skus) = open(|home| home.configure("every = \"5s\"", "every = \"1h\"")).await;
    let (sku, units) = &skus[2];
    type_in(&world, "amazon", sku, units + 5).await;
    let told = home.ask(&["reconcile", "market", "--dry-run"]).await.json();
    let differ = &told["channels"][0]["differ"];
    let got = (&differ[0]["sku"], &differ[0]["expected"], &differ[0]["shown"], &differ[0]["will_be"]);
    assert_eq!(got, (&json!(sku), &json!(units), &json!(units + 5), &json!("repaired")), "{told:#}");
    assert_eq!(differ.as_array().map(Vec::len), Some(1), "{told:#}");
    assert_eq!(home.ask(&["drift"]).await.json()["rows"], json!([]), "a dry run records nothing");
    assert_eq!(shown(&world, sku, "amazon").await, units + 5);
    home.ask(&["reconcile", "market"]).await.json();
    let drift = drifted(&home, sku, "repaired").await;
    assert_eq!(drift["found"], "rival", "Amazon does not tell what is on hand");
    home.settle(&world).await;
    home.ask(&["reconcile", "nowhere"]).await.fails(4, "nowhere");

    // One that cannot be read keeps no other from being compared.
    world.post("faults", json!({"faults": ["amazon-outage=10m"]})).await;
    let told = home.ask(&["reconcile", "--dry-run"]).await;
    told.fails(1, "`market` could not be read");
    let compared: Value = serde_json::from_str(&told.out).expect("JSON");
    let names = |list: &str| {
        let rows = compared[list].as_array().expect("a list").iter();
        rows.map(|row| text(&row["channel"]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("failed"), ["market"], "{compared:#}");
    assert!(names("channels").contains(&"shop".to_owned()), "{compared:#}");
    live.stop().await;

    // The daemon answers, and takes nothing in.
    home.configure("stop_bytes = 268435456", "stop_bytes = 1125899906842624");
    let live = home.serve().await;
    until_empty("there is too little room", async || {
        let status = home.ask(&["status"]).await.json();
        if status["refuses"].is_string() { vec![] } else { vec![status.to_string()] }
    })
    .await;
    home.ask(&["reconcile", "shop"]).await.fails(5, "there is no room to take it in");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversell_is_classed_and_told_with_its_interleaving() {
    let (world, home, live, skus) = open(|_| {}).await;
    let (sku, units) = &skus[1];
    // Both channels sell the last units while nobody looks.
    live.stop().await;
    order(&world, "amazon", sku, *units).await;
    let id = order(&world, "shopify", sku, 2).await;
    let live = home.serve().await;
    until_empty("both sales are booked", async || {
        let told = home.ask(&["sku", sku]).await.json();
        if told["available"] == -2 { vec![] } else { vec![told.to_string()] }
    })
    .await;
    let figures = home.figures().await;
    assert!(figures.contains("evenkeel_oversold_units_total{class=\"sync\"} 2"), "{figures}");
    let told = home.ask(&["explain", sku]).await.json();
    assert_eq!(told["oversold"], json!({"sync": 2}), "{told:#}");
    live.stop().await;

    // The journal alone tells it, and of each order what it caused.
    let told = home.ask(&["explain", sku]).await.json();
    let events = told["events"].as_array().expect("a list");
    let what = |name: &str| events.iter().filter(|event| event["what"] == name).count();
    assert!(
        what("booked") >= 3 && what("commit") >= 2 && what("seen") >= 2 && what("oversold") == 1,
        "{told:#}"
    );
    let oversold = events.iter().find(|event| event["what"] == "oversold").expect("it is told");
    assert!(text(&oversold["text"]).contains("OVERSOLD by 2, class sync"), "{oversold:#}");
    let told = home.ask(&["explain", &format!("shop:{id}")]).await.json();
    let events = told["events"].as_array().expect("a list");
    let booked = events.iter().find(|event| event["what"] == "booked").expect("it is booked");
    assert!(text(&booked["text"]).contains(&format!("by order shop:{id}")), "{booked:#}");
    assert!(events.iter().any(|event| event["what"] == "came"), "{told:#}");
    assert_eq!(home.ask(&["explain", &id, "--order"]).await.json()["order"], told["order"]);
    home.ask(&["explain", "NOBODY-KNOWS-IT"]).await.fails(4, "neither a SKU nor an order");
}
