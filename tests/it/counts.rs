//! Counts by people, with the real binary: the opening stock, a correction, a whole shelf.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live, file, run},
    support::{World, number, order, text, until_empty},
};

/// Writes a file as spreadsheets do, and returns its path.
fn csv(home: &Home, name: &str, rows: &[(&str, i64)]) -> String {
    let rows = rows.iter().map(|(sku, units)| format!("{sku},{units}\r\n"));
    let text = format!("\u{feff}sku,quantity\r\n{}", rows.collect::<String>());
    file(home.dir.path(), name, &text)
}

/// Waits until both channels show so many units of a SKU.
async fn shows(world: &World, sku: &str, units: i64) {
    until_empty("both channels show it", async || {
        let books = world.get("books").await;
        let all = books["skus"].as_array().expect("a list");
        let book = all.iter().find(|book| book["sku"] == *sku).expect("it is sold");
        let shown = ["shopify", "amazon"].map(|system| book[system]["shown"].clone());
        if shown == [json!(units), json!(units)] { vec![] } else { vec![book.to_string()] }
    })
    .await;
}

async fn stock(home: &Home, sku: &str) -> Value {
    home.ask(&["sku", sku]).await.json()["stock"][0].clone()
}

/// A shop whose ERP takes orders and does not count, opened from a file.
async fn opened() -> (World, Home, Live, Vec<(String, i64)>) {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.configure("sweep_every = \"10s\"", "sweep_every = \"10s\"\ncounts = \"none\"");
    let live = home.serve().await;
    let books = world.get("books").await;
    let book = |book: &Value| (text(&book["sku"]).to_owned(), number(&book["physical"]));
    let shelf: Vec<_> = books["skus"].as_array().expect("a list").iter().map(book).collect();
    let rows: Vec<_> = shelf.iter().map(|(sku, units)| (sku.as_str(), *units)).collect();
    let all = csv(&home, "all.csv", &rows);
    home.ask(&["count", &shelf[0].0, "warehouse", "1", "--yes"]).await.fails(5, "opening stock");
    let import = ["count", "import", &all, "--location", "warehouse", "--opening"];
    let preview = home.ask(&[&import[..], &["--dry-run"]].concat()).await.json();
    assert_eq!((&preview["skus"], &preview["from"]), (&json!(shelf.len()), &json!("@person")), "{preview:#}");
    assert_eq!(preview["channels"].as_array().map(Vec::len), Some(3), "{preview:#}");
    assert!(home.ask(&["status"]).await.json()["initialised_at"].is_null(), "nothing was opened");
    let done = home.ask(&[&import[..], &["--yes"]].concat()).await.json();
    assert_eq!(done["skus"], json!(shelf.len()), "{done:#}");
    home.ask(&[&import[..], &["--yes"]].concat()).await.fails(5, "taken over already");
    world.post("webhooks", json!({"url": home.hooks()})).await;
    (world, home, live, shelf)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_opened_and_kept_true_by_people_who_count() {
    let (world, home, live, shelf) = opened().await;
    let (sku, units) = (shelf[0].0.as_str(), shelf[0].1);
    order(&world, "shopify", sku, 1).await;
    shows(&world, sku, units - 1).await;

    let count = ["count", sku, "warehouse", &(units + 4).to_string(), "--request", "r1"];
    let preview = home.ask(&[&count[..], &["--dry-run"]].concat()).await.json();
    assert_eq!((&preview["changed"], &preview["up_units"]), (&json!(1), &json!(4)), "{preview:#}");
    assert_eq!(preview["dry_run"], true, "{preview:#}");
    assert_eq!(stock(&home, sku).await["on_hand"], units);
    home.ask(&count).await.fails(5, "nothing was taken over");
    let done = home.ask(&[&count[..], &["--yes"]].concat()).await.json();
    assert_eq!((&done["changed"], &done["again"]), (&json!(1), &json!(false)), "{done:#}");
    assert_eq!(done["dry_run"], false, "{done:#}");
    shows(&world, sku, units + 3).await;
    let again = home.ask(&[&count[..], &["--yes"]].concat()).await.json();
    assert_eq!((&again["changed"], &again["again"]), (&json!(0), &json!(true)), "{again:#}");
    let told = home.ask(&["sku", sku]).await.json();
    let last = told["recent"].as_array().and_then(|recent| recent.last()).expect("an entry");
    assert_eq!((&last["kind"], &last["quantity"]), (&json!("count"), &json!(4)), "{told:#}");

    let unknown = csv(&home, "unknown.csv", &[(sku, 1), ("NOBODY-KNOWS", 1)]);
    let import = ["count", "import", &unknown, "--location", "warehouse"];
    home.ask(&[&import[..], &["--dry-run"]].concat())
        .await
        .fails(4, "line 3: there is no SKU `NOBODY-KNOWS`");
    home.ask(&[&import[..], &["--yes"]].concat()).await.fails(4, "line 3: there is no SKU `NOBODY-KNOWS`");
    let told = home.ask(&[&import[..], &["--skip-unknown", "--dry-run"]].concat()).await.json();
    assert_eq!(told["left_out"][0]["reason"], "no_sku", "{told:#}");
    home.ask(&[&import[..], &["--full", "--dry-run"]].concat()).await.fails(5, "line 3: SKU `NOBODY-KNOWS`");
    home.ask(&[&import[..], &["--full", "--yes"]].concat()).await.fails(5, "NOBODY-KNOWS");
    live.stop().await;
    home.verify().await;
}

/// The time of the sandbox, and then waits until its next second has begun: channels tell times in whole seconds.
async fn just_before(world: &World) -> String {
    let now = number(&world.get("books").await["now_ms"]);
    until_empty("the second is over", async || {
        let later = number(&world.get("books").await["now_ms"]);
        if later / 1000 > now / 1000 { vec![] } else { vec![later.to_string()] }
    })
    .await;
    jiff::Timestamp::from_millisecond(now).expect("a time of today").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_of_before_a_sale_puts_no_sold_unit_back() {
    let (world, home, live, shelf) = opened().await;
    let [(sku, units), (free, others)] = [0, 1].map(|n| (shelf[n].0.as_str(), shelf[n].1));
    shows(&world, sku, units).await;
    let counted_at = just_before(&world).await;
    let id = order(&world, "shopify", sku, 3).await;
    world
        .post("fulfil", json!({"channel": "shopify", "order": id, "lines": [{"sku": sku, "quantity": 2}]}))
        .await;
    order(&world, "amazon", free, 4).await;
    shows(&world, sku, units - 3).await;
    shows(&world, free, others - 4).await;

    // Somebody went along the shelf before all that, and types it in only now: five more than was thought.
    let count = |sku: &str, counted: i64, more: &[&str]| {
        let counted = counted.to_string();
        let args = ["count", sku, "warehouse", &counted, "--as-of", &counted_at, "--yes"];
        let all: Vec<String> = args.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        all
    };
    let ask = async |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        home.ask(&args).await
    };
    let done = ask(count(sku, units + 5, &["--request", "r1"])).await.json();
    assert_eq!(
        (&done["some"][0]["before"], &done["some"][0]["after"]),
        (&json!(units - 2), &json!(units + 3))
    );
    let told = stock(&home, sku).await;
    assert_eq!((&told["on_hand"], &told["committed"]), (&json!(units + 3), &json!(1)), "{told:#}");
    shows(&world, sku, units + 2).await;
    // What was free then is less by what was sold since.
    ask(count(free, others + 5, &["--measure", "free"])).await.json();
    let told = stock(&home, free).await;
    assert_eq!((&told["on_hand"], &told["committed"]), (&json!(others + 5), &json!(4)), "{told:#}");
    shows(&world, free, others + 1).await;

    // One of now holds what is there now, and one of before it comes too late.
    home.ask(&["count", sku, "warehouse", &units.to_string(), "--yes"]).await.json();
    shows(&world, sku, units - 1).await;
    let late = ask(count(sku, units + 9, &[])).await;
    late.fails(5, "the count was not taken over: SKU");
    late.fails(5, "a later count of it was taken over already");
    let late: Value = serde_json::from_str(&late.out).expect("JSON");
    assert_eq!(
        (&late["changed"], &late["left_out"][0]["reason"]),
        (&json!(0), &json!("counted_later")),
        "{late:#}"
    );
    live.stop().await;
    let live = home.serve().await;
    assert_eq!(stock(&home, sku).await["on_hand"], units);
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_count_that_would_empty_the_shelf_is_held_until_a_person_says_what_it_is() {
    let (world, home, live, shelf) = opened().await;
    let (sku, units) = (shelf[0].0.as_str(), shelf[0].1);
    let one = csv(&home, "one.csv", &[(sku, units)]);
    let import = ["count", "import", &one, "--location", "warehouse", "--full", "--yes"];
    let dry = run(home.command().args(&import[..6]).arg("--dry-run")).await;
    assert!(
        dry.code == Some(0) && dry.out.contains("the brake would hold it") && dry.out.contains("to zero"),
        "{dry:#?}"
    );
    home.ask(&import).await.fails(5, "to zero");
    let letters = home.ask(&["dead-letters", "list"]).await.json();
    let letter = &letters["letters"][0];
    assert_eq!((&letter["kind"], &letter["channel"]), (&json!("count"), &json!("@person")), "{letters:#}");
    assert_eq!(stock(&home, &shelf[1].0).await["on_hand"], shelf[1].1);
    home.ask(&import).await.fails(5, "to zero");
    let letters = home.ask(&["dead-letters", "list"]).await.json();
    let all = letters["letters"].as_array().expect("a list");
    assert_eq!(all.len(), 1, "the newer one takes the place of the older: {letters:#}");
    home.ask(&["dead-letters", "retry", text(&all[0]["id"])]).await.json();
    shows(&world, &shelf[1].0, 0).await;
    shows(&world, sku, units).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_wrong_with_an_opening_file_is_told_at_once() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.configure("sweep_every = \"10s\"", "sweep_every = \"10s\"\ncounts = \"none\"");
    let live = home.serve().await;
    let sku = text(&world.get("books").await["skus"][0]["sku"]).to_owned();
    until_empty("the ERP's catalogue was read", async || {
        let one = file(home.dir.path(), "one.csv", "sku,location,quantity\nNOBODY-KNOWS,nowhere,1\n");
        let told = home.ask(&["count", "import", &one, "--opening", "--dry-run"]).await;
        if told.err.contains("there is no SKU `NOBODY-KNOWS`") { vec![] } else { vec![told.err] }
    })
    .await;
    let head = "sku,location,quantity,as_of,note\n";
    let good = format!("{sku},warehouse,5,,\nNOBODY-KNOWS,warehouse,1,,\n{sku},nowhere,1,,\n");
    let more = format!("{sku},warehouse,5,,{}\n{sku},warehouse,x,,\n", "x".repeat(501));
    for (name, rows, want) in [
        (
            "daemon.csv",
            format!("{head}{good}"),
            &["line 3: there is no SKU `NOBODY-KNOWS`", "line 4: there is no location"][..],
        ),
        (
            "both.csv",
            format!("{head}{good}{more}"),
            &["line 3: there is no SKU", "line 4: there is no location", "line 5: ", "line 6: "],
        ),
    ] {
        let import = file(home.dir.path(), name, &rows);
        for last in ["--dry-run", "--yes"] {
            let told = home.ask(&["count", "import", &import, "--opening", last]).await;
            for text in want {
                told.fails(if name == "both.csv" { 5 } else { 4 }, text);
            }
        }
    }
    assert!(home.ask(&["status"]).await.json()["initialised_at"].is_null(), "nothing was opened");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_an_erp_counts_people_count_there() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    let sku = text(&world.get("books").await["skus"][0]["sku"]).to_owned();
    home.ask(&["count", &sku, "warehouse", "5", "--yes"]).await.fails(5, "`erp` counts location");
    home.ask(&["count", &sku, "nowhere", "5", "--yes"]).await.fails(4, "nowhere");
    let bad = file(home.dir.path(), "bad.csv", "sku,location,quantity\nA,warehouse,-1\nB,warehouse,x\n");
    home.ask(&["count", "import", &bad, "--yes"]).await.fails(5, "line 3");
    live.stop().await;
}

/// A buyer of Amazon's sends units back that we have shipped, and somebody lays them on the shelf.
async fn sent_back(world: &World, home: &Home, sku: &str, units: i64) {
    let id = order(world, "amazon", sku, units).await;
    let shipped = json!({"channel": "amazon", "order": id});
    until_empty("it can be shipped", async || {
        let status = world.try_post("fulfil", shipped.clone()).await;
        if status.is_success() { vec![] } else { vec![status.to_string()] }
    })
    .await;
    let fulfilled = async || {
        let told = home.ask(&["order", "market", &id]).await;
        if told.code == Some(0) { told.json()["lines"][0]["totals"]["fulfilled"].clone() } else { json!(0) }
    };
    until_empty("it is known to be shipped", async || match fulfilled().await {
        told if told == json!(units) => vec![],
        told => vec![told.to_string()],
    })
    .await;
    let lines = json!([{"sku": sku, "quantity": units}]);
    world
        .post("refund", json!({"channel": "amazon", "order": id, "lines": lines, "restock": "return"}))
        .await;
    // Amazon's orders are read again: a later one is known.
    let later = order(world, "amazon", sku, 1).await;
    until_empty("a later order is known", async || {
        let told = home.ask(&["order", "market", &later]).await;
        if told.code == Some(0) { vec![] } else { vec![told.err] }
    })
    .await;
}

async fn physical(world: &World, sku: &str) -> i64 {
    let books = world.get("books").await;
    let book = books["skus"].as_array().expect("a list").iter().find(|book| book["sku"] == *sku);
    number(&book.expect("it is sold")["physical"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_to_amazons_orders_is_on_sale_again_once_a_person_has_counted_it() {
    let (world, home, live, shelf) = opened().await;
    let (sku, units) = (shelf[0].0.as_str(), shelf[0].1);
    sent_back(&world, &home, sku, 2).await;
    shows(&world, sku, units - 3).await;
    let held = home.ask(&["returns", "list"]).await.json();
    assert_eq!(held["rows"], json!([]), "Amazon tells of none: {held:#}");
    let on_shelf = physical(&world, sku).await;
    assert_eq!(on_shelf, units, "both are back, and the later order is not shipped");
    home.ask(&["count", sku, "warehouse", &on_shelf.to_string(), "--yes"]).await.json();
    shows(&world, sku, units - 1).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_to_amazons_orders_is_on_sale_again_once_the_erp_has_taken_it_in() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    let book = world.get("books").await["skus"][0].clone();
    let (sku, units) = (text(&book["sku"]).to_owned(), number(&book["physical"]));
    sent_back(&world, &home, &sku, 2).await;
    shows(&world, &sku, units - 3).await;
    world
        .post("erp/count", json!({"counts": [{"sku": sku, "quantity": physical(&world, &sku).await}]}))
        .await;
    home.ask(&["poll", "erp"]).await.json();
    shows(&world, &sku, units - 1).await;
    live.stop().await;
    home.verify().await;
}
