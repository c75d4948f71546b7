//! What is made of several SKUs, with the real binary: sets that only we know as such, and the shop's own bundles.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live, file, run},
    support::{World, number, order, text, until_empty},
};

/// What the sandbox's first products are called.
const A: &str = "TSHIRT-BL-M";
const B: &str = "TSHIRT-BL-S";
const C: &str = "TSHIRT-BL-L";
const D: &str = "TSHIRT-BL-XL";

/// A shop with so many bundles of its own and so many sets, and a daemon that is configured to know some of them.
async fn open(bundles: usize, sets: usize, known: &[&str]) -> (World, Home, Live) {
    let world = World::start(|options| {
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 30 };
        // With zeros, nobody could know of a unit that was written off before its order was first read.
        options.amazon.cancelled_zeroed_share = 0.0;
        (options.catalogue.bundles, options.catalogue.sets) = (bundles, sets);
    })
    .await;
    let home = Home::new(&world).await;
    let recipe = |sku: &&str| {
        let [first, second] = parts(sku);
        format!(
            "[[bundles]]\nsku = \"{sku}\"\n\
             parts = [{{ sku = \"{first}\", units = 1 }}, {{ sku = \"{second}\", units = 2 }}]\n\n"
        )
    };
    let recipes: String = known.iter().map(recipe).collect();
    home.configure("[reconcile]", &format!("{recipes}[reconcile]"));
    let live = home.open(&world).await;
    home.settle(&world).await;
    (world, home, live)
}

/// One of the first and two of the second.
fn parts(sku: &str) -> [&str; 2] {
    match sku {
        "SET-1" | "BUNDLE-1" => [A, B],
        "SET-2" => [B, C],
        "SET-3" | "BUNDLE-2" => [C, D],
        "SET-4" => [D, "TSHIRT-BL-XXL"],
        _ => unreachable!("no such set: {sku}"),
    }
}

/// On hand and committed, as the daemon holds them.
async fn held(home: &Home, sku: &str) -> [i64; 2] {
    let told = home.ask(&["sku", sku]).await.json();
    ["on_hand", "committed"].map(|key| number(&told["stock"][0][key]))
}

/// Waits until the daemon and the ERP hold this of a SKU: on hand, committed.
async fn holds(world: &World, home: &Home, sku: &str, want: [i64; 2]) {
    until_empty("it is booked", async || {
        let (got, book) = (held(home, sku).await, book(world, sku).await);
        let erp = ["on_hand", "available"].map(|key| number(&book["erp"][key]));
        if (got, erp) == (want, [want[0], want[0] - want[1]]) {
            return vec![];
        }
        vec![format!("{sku}: {got:?} and not {want:?}, the ERP {erp:?}"), home.log()]
    })
    .await;
}

async fn book(world: &World, sku: &str) -> Value {
    let books = world.get("books").await;
    let mut all = books["skus"].as_array().expect("a list").iter();
    all.find(|book| book["sku"] == sku).expect("it is sold").clone()
}

async fn units<const N: usize>(world: &World, skus: [&str; N]) -> [i64; N] {
    let mut all = [0; N];
    for (units, sku) in all.iter_mut().zip(skus) {
        *units = number(&book(world, sku).await["physical"]);
    }
    all
}

async fn set_shown(world: &World, n: usize) -> i64 {
    number(&world.get("books").await["sets"][n]["shopify"]["shown"])
}

/// Waits until the shop shows so many of a set.
async fn shows(world: &World, n: usize, want: i64) {
    until_empty("the set is shown", async || {
        let got = set_shown(world, n).await;
        if got == want { vec![] } else { vec![format!("{got} and not {want}")] }
    })
    .await;
}

/// The listing of a SKU in the shop.
async fn in_shop(home: &Home, sku: &str) -> Value {
    let told = home.ask(&["sku", sku]).await.json();
    let mut all = told["listings"].as_array().expect("a list").iter();
    all.find(|listing| listing["channel"] == "shop").unwrap_or_else(|| panic!("{told:#}")).clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_is_sold_lowers_its_components_on_both_channels_and_in_the_erp() {
    let (world, home, live) = open(0, 1, &["SET-1"]).await;
    let [a, b] = units(&world, [A, B]).await;
    let told = home.ask(&["sku", "SET-1"]).await.json();
    assert_eq!(told["made_of"], json!([{"sku": A, "units": 1}, {"sku": B, "units": 2}]), "{told:#}");
    assert_eq!(told["stock"], json!([]), "it has no stock of its own: {told:#}");
    let listed = home.ask(&["bundles", "list"]).await.json();
    assert_eq!((&listed["rows"][0]["sku"], &listed["rows"][0]["from"]), (&json!("SET-1"), &json!("config")));

    let id = order(&world, "shopify", "SET-1", 2).await;
    home.settle(&world).await;
    holds(&world, &home, A, [a, 2]).await;
    holds(&world, &home, B, [b, 4]).await;
    for (sku, left) in [(A, a - 2), (B, b - 4)] {
        let book = book(&world, sku).await;
        let shown = ["shopify", "amazon"].map(|channel| number(&book[channel]["shown"]));
        assert_eq!(shown, [left; 2], "{sku}");
    }
    // A component that another channel sells is not there for the set.
    order(&world, "amazon", B, b - 7).await;
    home.settle(&world).await;
    assert_eq!(set_shown(&world, 0).await, 1);

    world.post("fulfil", json!({"channel": "shopify", "order": id})).await;
    home.settle(&world).await;
    holds(&world, &home, A, [a - 2, 0]).await;
    holds(&world, &home, B, [b - 4, b - 7]).await;
    let lines = json!([{"sku": "SET-1", "quantity": 1}]);
    world
        .post("refund", json!({"channel": "shopify", "order": id, "lines": lines, "restock": "return"}))
        .await;
    home.settle(&world).await;
    holds(&world, &home, A, [a - 1, 0]).await;
    holds(&world, &home, B, [b - 2, b - 7]).await;
    assert_eq!(set_shown(&world, 0).await, 2);
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_is_stopped_takes_its_set_off_sale_and_one_that_is_frozen_does_not() {
    let (world, home, live) = open(0, 1, &["SET-1"]).await;
    let [a, b] = units(&world, [A, B]).await;
    let most = |a: i64, b: i64| a.min(b / 2);
    let says = async |args: &[&str], wanted: &str| {
        let told = home.ask(args).await.json();
        assert!(told["done"].as_str().is_some_and(|done| done.contains(wanted)), "{args:?}: {told}");
    };
    says(&["pause", "--sku", B, "--mode", "frozen"], "what is made of it is not frozen: `SET-1`").await;
    order(&world, "amazon", A, a - 1).await;
    shows(&world, 0, most(1, b)).await;
    says(&["resume", "--sku", B], "goes on").await;
    says(&["pause", "--sku", B, "--mode", "stopped"], "so is what is made of it: `SET-1`").await;
    shows(&world, 0, 0).await;
    says(&["resume", "--sku", B], "so does what is made of it: `SET-1`").await;
    shows(&world, 0, most(1, b)).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipe_from_a_file_books_what_was_sold_before_it_came() {
    let (world, home, live) = open(0, 2, &["SET-1"]).await;
    let [a, b, c] = units(&world, [A, B, C]).await;
    order(&world, "shopify", "SET-2", 1).await;
    until_empty("the line is known to be nothing of ours", async || {
        let told = home.ask(&["map", "list", "--lines"]).await.json();
        if told["unmapped"].as_array().is_some_and(|all| all.len() == 1) {
            vec![]
        } else {
            vec![told.to_string()]
        }
    })
    .await;
    assert_eq!((held(&home, B).await, held(&home, C).await), ([b, 0], [c, 0]));

    let bad = file(home.dir.path(), "bad.csv", &format!("sku,component,units\nSET-2,{B},1\nSET-2,NO,2\n"));
    home.ask(&["bundles", "import", &bad])
        .await
        .fails(4, "line 2: there is no SKU `NO`, a component of `SET-2`");
    let rows = format!("sku,component,units\nSET-2,{B},1\nSET-2,{C},2\n");
    let good = file(home.dir.path(), "good.csv", &rows);
    let dry = home.ask(&["bundles", "import", &good, "--dry-run"]).await.json();
    assert_eq!((&dry["changed"], held(&home, B).await), (&json!(1), [b, 0]), "{dry:#}");
    home.ask(&["bundles", "import", &good]).await.json();
    home.settle(&world).await;
    holds(&world, &home, B, [b, 1]).await;
    holds(&world, &home, C, [c, 2]).await;
    let listed = home.ask(&["bundles", "list"]).await.json();
    let from: Vec<&Value> =
        listed["rows"].as_array().expect("a list").iter().map(|row| &row["from"]).collect();
    assert_eq!(from, ["config", "imported"], "{listed:#}");

    // What both sets need is there once.
    order(&world, "shopify", "SET-1", 3).await;
    order(&world, "shopify", "SET-2", 2).await;
    home.settle(&world).await;
    holds(&world, &home, A, [a, 3]).await;
    holds(&world, &home, B, [b, 9]).await;
    holds(&world, &home, C, [c, 6]).await;
    live.stop().await;
    let live = home.serve().await;
    home.settle(&world).await;
    holds(&world, &home, B, [b, 9]).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lines_that_share_a_component_are_one_oversell_of_what_is_missing_in_all() {
    let (world, home, live) = open(0, 1, &["SET-1"]).await;
    let [a, b] = units(&world, [A, B]).await;
    // Each of the two lines fits what is there. Together they are one unit too many.
    let sets = b / 2 - 2;
    let lines = json!([{"sku": "SET-1", "quantity": sets}, {"sku": B, "quantity": b + 1 - 2 * sets}]);
    let told = world.post("order", json!({"channel": "shopify", "lines": lines})).await;
    let id = text(&told["order"]).to_owned();
    let oversold = async || {
        let alerts = home.ask(&["alerts"]).await.json();
        let all = alerts["alerts"].as_array().expect("a list").iter();
        all.filter(|alert| alert["kind"] == "oversold").cloned().collect::<Vec<_>>()
    };
    until_empty(
        "the oversell is told",
        async || {
            if oversold().await.is_empty() { vec![home.log()] } else { vec![] }
        },
    )
    .await;
    let alerts = oversold().await;
    assert_eq!((alerts.len(), &alerts[0]["subject"]), (1, &json!(B)), "{alerts:#?}");
    let said = text(&alerts[0]["text"]);
    for part in ["1 unit is sold that is not there", &format!("by order shop:{id}")] {
        assert!(said.contains(part), "`{part}`: {said}");
    }
    home.settle(&world).await;
    holds(&world, &home, A, [a, sets]).await;
    holds(&world, &home, B, [b, b + 1]).await;
    assert_eq!((set_shown(&world, 0).await, number(&world.get("books").await["oversold_units"])), (0, 1));
    world.post("cancel", json!({"channel": "shopify", "order": id})).await;
    home.settle(&world).await;
    holds(&world, &home, A, [a, 0]).await;
    holds(&world, &home, B, [b, 0]).await;
    until_empty("it is over", async || oversold().await.iter().map(Value::to_string).collect()).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shops_own_bundles_arrive_as_components_whether_we_know_a_recipe_or_not() {
    let (world, home, live) = open(2, 0, &["BUNDLE-1"]).await;
    let [a, b, c, d] = units(&world, [A, B, C, D]).await;
    let parent = in_shop(&home, "BUNDLE-1").await;
    assert!(
        text(&parent["unwritable"]).starts_with("a bundle: Shopify works out its quantity"),
        "{parent:#}"
    );

    let id = order(&world, "shopify", "BUNDLE-1", 2).await;
    order(&world, "shopify", "BUNDLE-2", 1).await;
    home.settle(&world).await;
    for (sku, want) in [(A, [a, 2]), (B, [b, 4]), (C, [c, 1]), (D, [d, 2])] {
        holds(&world, &home, sku, want).await;
    }
    world.post("fulfil", json!({"channel": "shopify", "order": id})).await;
    home.settle(&world).await;
    for (sku, want) in [(A, [a - 2, 0]), (B, [b - 4, 0]), (C, [c, 1]), (D, [d, 2])] {
        holds(&world, &home, sku, want).await;
    }
    let told = home.ask(&["order", "shop", &id]).await.json();
    let lines: Vec<&Value> = told["lines"].as_array().expect("a list").iter().collect();
    assert_eq!(lines.len(), 2, "{told:#}");
    assert_eq!(home.ask(&["map", "list", "--lines"]).await.json()["unmapped"], json!([]));
    assert_eq!(home.ask(&["dead-letters", "list"]).await.json()["letters"], json!([]));
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_the_shop_makes_a_bundle_of_its_own_is_written_no_more_and_says_why() {
    let (world, home, live) = open(0, 1, &["SET-1"]).await;
    let [a, b] = units(&world, [A, B]).await;
    assert_eq!(in_shop(&home, "SET-1").await["unwritable"], Value::Null);
    // While nobody can reach the shop, something comes to be due on it.
    world.post("faults", json!({"faults": ["shopify-outage=10m"]})).await;
    world.post("bundle", json!({"set": "SET-1"})).await;
    order(&world, "amazon", B, 3).await;
    until_empty("the set is to be lowered", async || {
        let listing = in_shop(&home, "SET-1").await;
        if listing["desired"] == (b - 3) / 2 { vec![] } else { vec![listing.to_string()] }
    })
    .await;
    world.post("faults", json!({"faults": ["shopify-outage=off"]})).await;
    until_empty("it says why", async || {
        let listing = in_shop(&home, "SET-1").await;
        let why = listing["unwritable"].as_str().unwrap_or_default();
        if why.starts_with("a bundle: Shopify works out") { vec![] } else { vec![listing.to_string()] }
    })
    .await;
    home.settle(&world).await;
    let letters = async || home.ask(&["dead-letters", "list"]).await.json()["letters"].clone();
    let left = letters().await;
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left:#}");
    assert_eq!((&left[0]["subject"], &left[0]["channel"]), (&json!("SET-1"), &json!("shop")));
    assert!(text(&left[0]["reason"]).starts_with("a bundle: Shopify works out its quantity"), "{left:#}");
    until_empty("people are told", async || {
        let told = home.ask(&["alerts"]).await.json().to_string();
        if told.contains("dead_letters") { vec![] } else { vec![told] }
    })
    .await;
    home.ask(&["dead-letters", "discard", text(&left[0]["id"])]).await.json();
    // It is sold as its components from now on, and nothing is due on it any more.
    order(&world, "shopify", "SET-1", 1).await;
    home.settle(&world).await;
    assert_eq!(letters().await, json!([]));
    holds(&world, &home, A, [a, 1]).await;
    holds(&world, &home, B, [b, 5]).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipe_that_changes_between_sale_and_shipment_leaves_what_was_sold() {
    let (world, home, live) = open(0, 1, &["SET-1"]).await;
    let [a, b] = units(&world, [A, B]).await;
    let id = order(&world, "shopify", "SET-1", 2).await;
    home.settle(&world).await;
    let other = file(home.dir.path(), "other.csv", &format!("sku,component,units\nSET-1,{A},3\n"));
    home.ask(&["bundles", "import", &other]).await.json();
    shows(&world, 0, (a - 2) / 3).await;
    // One of them is shipped, and the other one cancelled.
    let one = json!([{"sku": "SET-1", "quantity": 1}]);
    world.post("fulfil", json!({"channel": "shopify", "order": id, "lines": one})).await;
    holds(&world, &home, A, [a - 1, 1]).await;
    holds(&world, &home, B, [b - 2, 2]).await;
    world.post("refund", json!({"channel": "shopify", "order": id, "lines": one, "restock": "cancel"})).await;
    holds(&world, &home, A, [a - 1, 0]).await;
    holds(&world, &home, B, [b - 2, 0]).await;
    shows(&world, 0, (a - 1) / 3).await;
    // Without what was imported, the configured recipe counts again.
    home.ask(&["bundles", "remove", "SET-1"]).await.json();
    home.settle(&world).await;
    order(&world, "shopify", "SET-1", 1).await;
    home.settle(&world).await;
    holds(&world, &home, A, [a - 1, 1]).await;
    holds(&world, &home, B, [b - 2, 2]).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoppers_buy_sets_bundles_and_what_they_are_made_of_and_all_books_agree() {
    let (world, home, live) = open(2, 4, &["SET-1", "SET-2", "SET-3", "SET-4", "BUNDLE-1"]).await;
    let shop = async |orders: u64| {
        let placed = async || number(&world.get("books").await["orders"]["shopify"]);
        let before = placed().await;
        world.post("shop", json!({"orders": orders, "per_second": 30.0})).await;
        until_empty("the shop has sold something", async || {
            if placed().await > before { vec![] } else { vec![before.to_string()] }
        })
        .await;
    };
    shop(40).await;
    live.kill().await;
    shop(20).await;
    let live = home.serve().await;
    home.settle(&world).await;
    let books = world.get("books").await;
    for book in books["skus"].as_array().expect("a list") {
        let want = ["physical", "committed"].map(|key| number(&book[key]));
        holds(&world, &home, text(&book["sku"]), want).await;
    }
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_is_told_by_its_components_and_nothing_is_done_to_stock_that_it_does_not_have() {
    let (world, home, live) = open(0, 1, &["SET-1"]).await;
    let [a, b] = units(&world, [A, B]).await;
    let told = home.ask(&["sku", "SET-1"]).await.json();
    let makes = a.min(b / 2);
    assert_eq!(told["available"], json!(makes), "{told:#}");
    let want = json!([
        {"sku": A, "units": 1, "available": a, "enough_for": a},
        {"sku": B, "units": 2, "available": b, "enough_for": b / 2},
    ]);
    assert_eq!(told["components"], want, "{told:#}");
    let table = run(home.command().args(["sku", "SET-1"])).await.out;
    assert!(
        table.contains("ENOUGH FOR") && table.contains(&format!("available {makes}: what its scarcest")),
        "{table}"
    );

    let made = format!("made of, 1 x `{A}` and 2 x `{B}`");
    let moved = home.ask(&["transfer", "SET-1", "1", "--from", "warehouse", "--to", "warehouse2"]).await;
    moved.fails(4, "`warehouse2` is not configured");

    // What has stock of its own is not made a bundle by the way.
    let rows = format!("sku,component,units\n{C},{A},1\n");
    let import = file(home.dir.path(), "own.csv", &rows);
    let lies = units(&world, [C]).await[0];
    for more in [&["--dry-run"][..], &["--yes"]] {
        let refused = home.ask(&[&["bundles", "import", &import], more].concat()).await;
        refused.fails(5, &format!("line 2: `{C}` has stock of its own ({lies} on hand at `warehouse`)"));
    }
    assert_eq!(held(&home, C).await, [lies, 0]);
    home.ask(&["bundles", "import", &import, "--yes", "--set-aside"]).await.json();
    let told = home.ask(&["sku", C]).await.json();
    assert_eq!((&told["available"], &told["stock"][0]["on_hand"]), (&json!(a), &json!(lies)), "{told:#}");
    let table = run(home.command().args(["sku", C])).await.out;
    assert!(table.contains("stock of its own, which it does not sell as a bundle"), "{table}");
    live.stop().await;

    home.configure("id = \"warehouse\"\n", "id = \"warehouse\"\n\n[[locations]]\nid = \"warehouse2\"\n");
    let live = home.serve().await;
    let moved = home.ask(&["transfer", "SET-1", "1", "--from", "warehouse", "--to", "warehouse2"]).await;
    moved.fails(5, &format!("`SET-1` is a bundle and has no stock of its own: transfer what it is {made}"));
    let recipe =
        format!("[[bundles]]\nsku = \"{D}\"\nparts = [{{ sku = \"{A}\", units = 1 }}]\n\n[reconcile]");
    home.configure("[reconcile]", &recipe);
    let told = home.ask(&["reload", "--dry-run"]).await.json();
    let note = told["notes"][0].as_str().unwrap_or_default();
    assert!(note.starts_with(&format!("`{D}` has stock of its own (")), "{told:#}");
    live.stop().await;
    home.verify().await;
}
