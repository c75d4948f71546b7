//! What a person wants of several listings at once, with the real binary: all of it is done, or nothing.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live, file, run},
    support::{World, number, text, until_empty},
};

async fn at_work(change: impl FnOnce(&Home)) -> (World, Home, Live, Vec<(String, i64)>) {
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

async fn shown(world: &World, n: usize) -> [i64; 2] {
    let book = world.get("books").await["skus"][n].clone();
    ["shopify", "amazon"].map(|system| number(&book[system]["shown"]))
}

/// Waits until both systems show this of a SKU.
async fn shows(world: &World, n: usize, units: [i64; 2]) {
    until_empty("it is shown", async || {
        let got = shown(world, n).await;
        if got == units { vec![] } else { vec![format!("{got:?} and not {units:?}")] }
    })
    .await;
}

async fn intent(home: &Home, id: &str) -> Value {
    home.ask(&["commits", "--intent", id]).await.json()["intents"][0].clone()
}

/// Waits until an intent is in this phase.
async fn phase(home: &Home, id: &str, wanted: &str) {
    until_empty("it comes to its phase", async || {
        let got = intent(home, id).await;
        if got["phase"] == wanted { vec![] } else { vec![got.to_string()] }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_tried_set_at_once_and_taken_away() {
    let (world, home, live, skus) = at_work(|_| {}).await;
    let ((a, units), (b, others)) = (&skus[0], &skus[1]);
    let rows = format!("sku,channel,quantity\n{a},shop,7\n{b},shop,3\n");
    let good = file(home.dir.path(), "set.csv", &rows);
    let tried = home.ask(&["set", "import", &good, "--dry-run"]).await.json();
    assert_eq!(tried["channels"], json!([{"channel": "shop", "lowers": 2, "raises": 0, "zeroed": 0}]));
    assert_eq!((&tried["intent"], shown(&world, 0).await), (&Value::Null, [*units, *units]));
    let done = home.ask(&["set", "import", &good, "--wait", "--note", "sale"]).await.json();
    assert_eq!(done["intent"]["phase"], "done", "{done:#}");
    assert_eq!((shown(&world, 0).await, shown(&world, 1).await), ([7, *units], [3, *others]));
    let view = home.ask(&["sku", a]).await.json();
    let listings = view["listings"].as_array().expect("a list");
    assert!(listings.iter().any(|l| l["channel"] == "shop" && l["allotted"] == 7), "{view:#}");

    let bad = file(home.dir.path(), "bad.csv", &format!("sku,channel,quantity\n{a},shop,x\n{a},,1\n"));
    let told = home.ask(&["set", "import", &bad]).await;
    told.fails(5, "line 2: quantity `x`");
    told.fails(5, "line 3: it names no `channel`");
    let unknown =
        file(home.dir.path(), "unknown.csv", &format!("sku,channel,quantity\n{a},shop,1\nNO,shop,1\n"));
    home.ask(&["set", "import", &unknown]).await.fails(4, "line 3: there is no SKU `NO`");
    home.ask(&["set", a, "erp", "1"]).await.fails(5, "no quantities are written to `erp`");
    assert_eq!(shown(&world, 0).await, [7, *units]);

    for sku in [a, b] {
        home.ask(&["set", sku, "shop", "none", "--wait"]).await.json();
    }
    home.settle(&world).await;
    home.ask(&["commits", "cancel", "999999"]).await.fails(4, "intent `999999` does not exist");
    let id = home.ask(&["commits"]).await.json()["intents"][0]["id"].to_string();
    home.ask(&["commits", "cancel", &id]).await.fails(5, "cannot be cancelled any more");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_survives_a_kill_and_raises_only_once_the_other_is_seen_to_have_fallen() {
    let (world, home, live, skus) = at_work(|_| {}).await;
    let (sku, units) = &skus[0];
    home.ask(&["set", sku, "market", "5", "--wait", "--seen"]).await.json();
    world.post("faults", json!({"faults": ["shopify-outage=10m"]})).await;
    let shift = ["transfer", sku, "4", "--from-channel", "shop", "--to-channel", "market", "--id", "once"];
    let begun = home.ask(&shift).await.json();
    let id = begun["intent"]["id"].to_string();
    assert_eq!(begun["intent"]["phase"], "lowering", "{begun:#}");
    let commits = home.ask(&["commits", "--open", "--sku", sku]).await.json();
    assert_eq!(commits["commits"][0]["intent"].to_string(), id, "{commits:#}");
    live.kill().await;
    let live = home.serve().await;
    assert_eq!(home.ask(&shift).await.json()["intent"]["id"].to_string(), id, "said again, it is the same");
    assert_eq!(
        (intent(&home, &id).await["phase"].clone(), shown(&world, 0).await),
        (json!("lowering"), [*units, 5])
    );
    world.post("faults", json!({"faults": ["shopify-outage=off"]})).await;
    phase(&home, &id, "done").await;
    assert_eq!(shown(&world, 0).await, [units - 4, 9]);
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_that_a_channel_does_not_let_be_puts_everything_back_and_says_so() {
    let (world, home, live, skus) =
        at_work(|home| home.configure("[reconcile]", "[drift]\nrepair = \"ask\"\n\n[reconcile]")).await;
    let ((a, units), (b, others)) = (&skus[0], &skus[1]);
    world.post("faults", json!({"faults": ["shopify-outage=10m"]})).await;
    // Somebody types in less than is wanted, and who is right is for a person to say.
    world.post("edit-quantity", json!({"channel": "shopify", "sku": a, "quantity": 4})).await;
    let rows = format!("sku,channel,quantity\n{a},shop,10\n{b},market,2\n");
    let path = file(home.dir.path(), "set.csv", &rows);
    let begun = home.ask(&["set", "import", &path]).await.json();
    let id = begun["intent"]["id"].to_string();
    shows(&world, 1, [*others, 2]).await;
    world.post("faults", json!({"faults": ["shopify-outage=off"]})).await;
    phase(&home, &id, "rolling_back").await;
    let told = intent(&home, &id).await;
    assert!(text(&told["undone"]).starts_with(&format!("`shop` refuses to lower `{a}`")), "{told:#}");
    told_of(&home, &id).await;
    shows(&world, 1, [*others, *others]).await;
    // What somebody else typed in is put back over once a person has said so.
    until_empty("it says what it waits for", async || {
        let told = intent(&home, &id).await;
        let legs = told["legs"].as_array().expect("a list");
        let asks = |leg: &Value| leg["waits_for"].as_str().is_some_and(|why| why.contains("evenkeel drift"));
        let one = legs.iter().any(|leg| leg["way"] == "put_back" && leg["channel"] == "shop" && asks(leg));
        if one { vec![] } else { vec![told.to_string()] }
    })
    .await;
    assert_eq!(shown(&world, 0).await[0], 4);
    home.ask(&["drift", "repair", a, "shop"]).await.json();
    phase(&home, &id, "rolled_back").await;
    shows(&world, 0, [*units, *units]).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_for_a_channel_can_be_cancelled() {
    let (world, home, live, skus) = at_work(|_| {}).await;
    let (sku, units) = &skus[0];
    world.post("faults", json!({"faults": ["shopify-outage=10m"]})).await;
    let id = home.ask(&["set", sku, "shop", "2"]).await.json()["intent"]["id"].to_string();
    let cancelled = home.ask(&["commits", "cancel", &id]).await.json();
    assert!(["rolling_back", "rolled_back"].contains(&text(&cancelled["phase"])), "{cancelled:#}");
    world.post("faults", json!({"faults": ["shopify-outage=off"]})).await;
    phase(&home, &id, "rolled_back").await;
    home.settle(&world).await;
    assert_eq!(shown(&world, 0).await, [*units, *units]);
    live.stop().await;
}

/// Waits until a person is told of an intent.
async fn told_of(home: &Home, id: &str) {
    until_empty("a person is told", async || {
        let alerts = home.ask(&["alerts"]).await.json();
        let mut all = alerts["alerts"].as_array().expect("a list").iter();
        let one = all.any(|alert| alert["kind"] == "intent" && alert["subject"] == id);
        if one { vec![] } else { vec![alerts.to_string()] }
    })
    .await;
}

/// Turns outages on or off.
async fn outage(world: &World, of: &[&str], how: &str) {
    let faults: Vec<String> = of.iter().map(|system| format!("{system}-outage={how}")).collect();
    world.post("faults", json!({"faults": faults})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_that_dies_while_it_raises_raises_once_it_lives_again() {
    let (world, home, live, skus) = at_work(|_| {}).await;
    let (sku, units) = &skus[0];
    home.ask(&["set", sku, "market", "5", "--wait", "--seen"]).await.json();
    outage(&world, &["amazon"], "10m").await;
    let shift = ["transfer", sku, "4", "--from-channel", "shop", "--to-channel", "market", "--id", "once"];
    let id = home.ask(&shift).await.json()["intent"]["id"].to_string();
    phase(&home, &id, "raising").await;
    home.ask(&["commits", "cancel", &id]).await.fails(5, "is raising and cannot be cancelled any more");
    live.kill().await;
    let live = home.serve().await;
    let again = home.ask(&shift).await.json();
    assert_eq!(
        (again["intent"]["id"].to_string(), &again["intent"]["phase"]),
        (id.clone(), &json!("raising"))
    );
    assert_eq!(shown(&world, 0).await, [units - 4, 5]);
    // What it began with is seen live, and what it raises is not.
    let said = run(home.command().args(["commits", "--intent", "once"])).await.out;
    assert!(said.contains("raise") && !said.contains("seen live everywhere"), "{said}");
    outage(&world, &["amazon"], "off").await;
    phase(&home, &id, "done").await;
    assert_eq!(shown(&world, 0).await, [units - 4, 9]);
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_dies_while_it_is_rolled_back_is_put_back_once_it_lives_again() {
    let (world, home, live, skus) = at_work(|_| {}).await;
    let ((a, units), (b, others)) = (&skus[0], &skus[1]);
    outage(&world, &["amazon"], "10m").await;
    let rows = format!("sku,channel,quantity\n{a},shop,10\n{b},market,2\n");
    let path = file(home.dir.path(), "set.csv", &rows);
    let id = home.ask(&["set", "import", &path]).await.json()["intent"]["id"].to_string();
    shows(&world, 0, [10, *units]).await;
    assert_eq!(intent(&home, &id).await["phase"], "lowering");
    outage(&world, &["shopify"], "10m").await;
    home.ask(&["commits", "cancel", &id]).await.json();
    phase(&home, &id, "rolling_back").await;
    live.kill().await;
    let live = home.serve().await;
    let told = intent(&home, &id).await;
    assert_eq!((&told["phase"], shown(&world, 0).await), (&json!("rolling_back"), [10, *units]), "{told:#}");
    outage(&world, &["shopify", "amazon"], "off").await;
    phase(&home, &id, "rolled_back").await;
    shows(&world, 0, [*units, *units]).await;
    shows(&world, 1, [*others, *others]).await;
    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_that_a_channel_refuses_for_good_puts_back_what_was_lowered() {
    let (world, home, live, skus) = at_work(|_| {}).await;
    let ((a, units), (b, others)) = (&skus[0], &skus[1]);
    outage(&world, &["shopify"], "10m").await;
    let rows = format!("sku,channel,quantity\n{a},shop,10\n{b},market,2\n");
    let path = file(home.dir.path(), "set.csv", &rows);
    let id = home.ask(&["set", "import", &path]).await.json()["intent"]["id"].to_string();
    shows(&world, 1, [*others, 2]).await;
    assert_eq!(intent(&home, &id).await["phase"], "lowering");
    world
        .post("faults", json!({"faults": [format!("shopify-poison-refused={a}"), "shopify-outage=off"]}))
        .await;
    shows(&world, 1, [*others, *others]).await;
    let told = intent(&home, &id).await;
    assert!(text(&told["undone"]).starts_with(&format!("`shop` refuses to lower `{a}`")), "{told:#}");
    assert_eq!(shown(&world, 0).await, [*units, *units]);
    told_of(&home, &id).await;
    world.post("faults", json!({"faults": ["shopify-poison-refused=off"]})).await;
    phase(&home, &id, "rolled_back").await;
    for letter in home.ask(&["dead-letters", "list"]).await.json()["letters"].as_array().expect("a list") {
        home.ask(&["dead-letters", "retry", text(&letter["id"])]).await.json();
    }
    home.settle(&world).await;
    assert_eq!(shown(&world, 0).await, [*units, *units]);
    live.stop().await;
    home.verify().await;
}
