//! Every command of the command line against a live daemon: none is without a failure that is told as JSON, and those
//! that no other test asks for their values are asked here.

use std::collections::BTreeSet;

use clap::CommandFactory;
use serde_json::{Value, json};

use crate::{
    live::{Home, bare, file, run},
    support::{World, order, text, until_empty},
};

/// Every command that can be called: its words.
fn commands() -> BTreeSet<String> {
    fn collect(command: &clap::Command, above: &str, into: &mut BTreeSet<String>) {
        for one in command.get_subcommands().filter(|one| one.get_name() != "help") {
            let words = format!("{above} {}", one.get_name()).trim().to_owned();
            if !one.is_subcommand_required_set() {
                into.insert(words.clone());
            }
            collect(one, &words, into);
        }
    }
    let mut all = BTreeSet::new();
    collect(&evenkeel::cli::Cli::command(), "", &mut all);
    all
}

/// A way in which each command fails: its words, what follows them, its exit code, and a part of what it says. `@` stands
/// for the directory of the daemon's home.
const FAILURES: &[(&str, &[&str], i32, &str)] = &[
    ("alerts", &["--socket", "@/none"], 3, "no daemon answers at"),
    ("audit", &["--config", "@/none"], 78, "cannot be read"),
    ("backup", &["@/none/backup"], 1, "No such file or directory"),
    ("build-state", &["@/none", "1"], 1, "there is no whole checkpoint of record 1"),
    ("bundles import", &["@/empty.csv"], 5, "the file is empty"),
    ("bundles list", &["--socket", "@/none"], 3, "no daemon answers at"),
    ("bundles remove", &["NONE"], 4, "NONE"),
    ("check", &["--config", "@/none"], 78, "cannot be read"),
    ("checkpoint", &["--socket", "@/none"], 3, "no daemon answers at"),
    ("commits", &["--socket", "@/none"], 3, "no daemon answers at"),
    ("commits cancel", &["NO-NAME"], 4, "`NO-NAME`"),
    ("count", &["NONE", "nowhere", "1", "--yes"], 4, "nowhere"),
    ("count import", &["@/empty.csv"], 5, "the file is empty"),
    ("dead-letters discard", &["count:99999"], 4, "there is no dead letter"),
    ("dead-letters list", &["--channel", "nope"], 4, "nope"),
    ("dead-letters retry", &["count:99999"], 4, "there is no dead letter"),
    ("drift", &["--channel", "nope"], 4, "nope"),
    ("drift accept", &["NONE", "shop"], 4, "SKU `NONE` does not exist"),
    ("drift release", &["NONE", "shop"], 4, "SKU `NONE` does not exist"),
    ("drift repair", &["NONE", "shop"], 4, "SKU `NONE` does not exist"),
    ("explain", &["NONE"], 4, "neither a SKU nor an order"),
    ("init", &["--from", "erp", "--yes"], 5, "taken over already"),
    ("init", &["--from", "market", "--at", "warehouse", "--dry-run"], 5, "taken over already"),
    ("map export", &["--channel", "nope"], 4, "channel `nope` is not configured"),
    ("map ignore", &["shop", "NONE", "--undo"], 4, "NONE"),
    ("map import", &["@/empty.csv"], 5, "the file is empty"),
    ("map list", &["--channel", "nope"], 4, "channel `nope` is not configured"),
    ("map remove", &["shop", "NONE"], 4, "no row of the mapping table"),
    ("map set", &["shop", "NONE", "NONE"], 4, "there is no SKU `NONE`"),
    ("merge", &["OLD", "NONE", "--yes"], 4, "SKU `NONE` does not exist"),
    ("order", &["shops", "1"], 4, "channel `shops` is not configured"),
    ("outbox", &["--channel", "nope"], 4, "channel `nope` is not configured"),
    ("pause", &["--channel", "nope"], 4, "channel `nope` is not configured"),
    ("poll", &["nope"], 4, "channel `nope` is not configured"),
    ("quarantine discard", &["99999", "--reason", "none"], 4, "there is no quarantined item"),
    ("quarantine list", &["--channel", "nope"], 4, "channel `nope` is not configured"),
    ("quarantine replay", &["99999"], 4, "there is no quarantined item"),
    ("quarantine show", &["99999"], 4, "there is no quarantined item"),
    ("rebind", &["market", "asin=B0NONE", "NONE", "--yes"], 4, "NONE"),
    ("rebuild", &[], 5, "is in use"),
    ("receive", &["999999"], 4, "intent `999999` does not exist"),
    ("reconcile", &["nope"], 4, "nope"),
    ("reload", &["--socket", "@/none"], 3, "no daemon answers at"),
    ("restore", &["@/none", "--dry-run"], 1, "No such file or directory"),
    ("resume", &["--channel", "nope"], 4, "channel `nope` is not configured"),
    ("returns discard", &["NONE"], 4, "SKU `NONE` does not exist"),
    ("returns list", &["--socket", "@/none"], 3, "no daemon answers at"),
    ("returns restock", &["NONE"], 4, "SKU `NONE` does not exist"),
    ("run", &[], 5, "is in use"),
    ("run", &["--renamed", "shop"], 5, "is in use"),
    ("run", &["--renamed", "nope"], 78, "channel `nope` is not configured"),
    ("sandbox", &["--skus", "0"], 78, "must be at least 1"),
    ("sandbox", &["--options", "@/none"], 78, "cannot read"),
    ("set", &["NONE", "shop", "1"], 4, "there is no SKU `NONE`"),
    ("set import", &["@/empty.csv"], 5, "the file is empty"),
    ("sku", &["NONE"], 4, "there is no SKU"),
    ("status", &["--socket", "@/none"], 3, "no daemon answers at"),
    ("transfer", &["NONE", "1", "--from", "warehouse", "--to", "nowhere"], 4, "`nowhere` is not configured"),
    ("transfer import", &["@/empty.csv"], 5, "the file is empty"),
    ("verify", &["--store", "@/none"], 4, "there is no store in"),
];

/// Ends with a table of its own, or prints no JSON; tested elsewhere.
const APART: [&str; 3] = ["completions", "demo", "simulate"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_is_without_a_failure_that_tells_what_to_do_next() {
    let known: BTreeSet<String> =
        FAILURES.iter().map(|(words, ..)| *words).chain(APART).map(str::to_owned).collect();
    assert_eq!(commands(), known, "each command has a line here");
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    file(home.dir.path(), "empty.csv", "");
    let mut wrong = Vec::new();
    for (words, more, code, said) in FAILURES {
        let dir = home.dir.path().display().to_string();
        let args: Vec<String> =
            words.split(' ').chain(more.iter().copied()).map(|arg| arg.replace('@', &dir)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let told = home.ask(&args).await;
        let last = told.err.lines().last().unwrap_or_default();
        let failure: Value = serde_json::from_str(last).unwrap_or_default();
        let good = told.code == Some(*code)
            && failure["code"] == *code
            && failure["error"].as_str().is_some_and(|error| error.contains(said))
            && failure["next"].as_str().is_some_and(|next| !next.is_empty());
        if !good {
            wrong.push(format!("{words}: {told:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_travel_are_received_and_what_drifted_is_accepted() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.configure("id = \"warehouse\"\n", "id = \"warehouse\"\n\n[[locations]]\nid = \"store\"\n");
    home.configure("[reconcile]", "[drift]\nrepair = \"ask\"\n\n[reconcile]");
    let live = home.open(&world).await;
    home.settle(&world).await;
    let books = world.get("books").await;
    let [a, b, c] = [0, 1, 2].map(|n| text(&books["skus"][n]["sku"]).to_owned());

    let tally = home.ask(&["count", &a, "store", "0", "--yes"]).await.json();
    assert_eq!((&tally["opened"], &tally["changed"]), (&json!(1), &json!(0)), "{tally:#}");
    let rows = file(home.dir.path(), "move.csv", &format!("sku;quantity;from;to\n{a};2;warehouse;store\n"));
    let begun = home.ask(&["transfer", "import", &rows, "--in-transit", "--wait", "--seen"]).await.json();
    let id = begun["intent"]["id"].to_string();
    assert_eq!(begun["intent"]["phase"], "in_transit", "{begun:#}");
    let received = home.ask(&["receive", &id]).await.json();
    assert_eq!(received["id"].to_string(), id, "{received:#}");
    assert!(["raising", "done"].contains(&text(&received["phase"])), "{received:#}");
    let told = home.ask(&["sku", &a]).await.json();
    let place = told["stock"].as_array().expect("a list").iter().find(|place| place["location"] == "store");
    assert_eq!(place.map(|place| &place["on_hand"]), Some(&json!(2)), "{told:#}");
    home.ask(&["receive", &id]).await.fails(5, "");

    let shown = books["skus"][1]["shopify"]["shown"].as_i64().expect("a number") + 5;
    world.post("edit-quantity", json!({"channel": "shopify", "sku": b, "quantity": shown})).await;
    until_empty("it is seen", async || {
        let drifts = home.ask(&["drift", "--channel", "shop"]).await.json();
        let mut rows = drifts["rows"].as_array().expect("a list").iter();
        let open = rows.any(|row| row["sku"] == b.as_str() && row["open"] == json!(true));
        if open { vec![] } else { vec![drifts.to_string()] }
    })
    .await;
    let old = home.ask(&["drift", "accept", &b, "shop", "--record", "1"]).await;
    old.fails(5, "the drift of record 1 is over");
    let other = home.ask(&["drift", "accept", &b, "shop", "--expected", "99999"]).await;
    other.fails(5, &format!("should have shown {}, and not 99999", shown - 5));
    let done = home.ask(&["drift", "accept", &b, "shop"]).await.json();
    assert!(text(&done["done"]).contains(&format!("SKU `{b}` on `shop`")), "{done:#}");
    home.ask(&["drift", "accept", &b, "shop"]).await.fails(4, "open drift");

    let listings = home.ask(&["sku", &c]).await.json()["listings"].clone();
    let listing = listings.as_array().expect("a list").iter().find(|one| one["channel"] == "market");
    let id = format!("channel_sku={}", text(&listing.expect("it is listed")["ids"]["channel_sku"]));
    let would = home.ask(&["rebind", "market", &id, &a, "--dry-run"]).await.json();
    assert_eq!(would["dry_run"], json!(true), "{would:#}");
    assert_eq!(home.ask(&["rebind", "market", &id, &a, "--yes"]).await.json()["dry_run"], json!(false));
    let bound = home.ask(&["map", "list", "--listings", "--channel", "market"]).await.json();
    let code = id.split_once('=').expect("as made").1;
    let mut rows = bound["rows"].as_array().expect("a list").iter();
    let row = rows.find(|row| row["ids"]["channel_sku"] == code && row["sku"] == a.as_str());
    assert!(row.is_some(), "{bound:#}");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erp_that_is_paused_is_told_nothing_and_returned_units_can_be_given_up() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.configure("returns = \"restock\"", "returns = \"quarantine\"");
    let live = home.open(&world).await;
    home.settle(&world).await;
    let paused = home.ask(&["pause", "--channel", "erp"]).await.json();
    let said =
        "channel `erp` is paused: no order is posted to it until it goes on; its counts are read as before";
    assert_eq!(paused["done"], said);
    let paused = home.ask(&["pause", "--channel", "shop"]).await.json();
    assert_eq!(paused["done"], "channel `shop` is stopped: it is set to zero");
    for channel in ["shop", "erp"] {
        let done = home.ask(&["resume", "--channel", channel]).await.json();
        assert_eq!(done["done"], format!("channel `{channel}` goes on"));
    }
    let sku = text(&world.get("books").await["skus"][0]["sku"]).to_owned();
    home.settle(&world).await;
    let id = order(&world, "shopify", &sku, 1).await;
    world.post("fulfil", json!({"channel": "shopify", "order": id})).await;
    home.settle(&world).await;
    let lines = json!([{"sku": sku, "quantity": 1}]);
    world
        .post("refund", json!({"channel": "shopify", "order": id, "lines": lines, "restock": "return"}))
        .await;
    until_empty("it is held back", async || {
        let held = home.ask(&["returns", "list"]).await.json();
        if held["rows"][0]["reserved"] == 1 { vec![] } else { vec![held.to_string()] }
    })
    .await;
    let done = home.ask(&["returns", "discard", &sku, "--note", "broken"]).await.json();
    let got = (&done["sku"], &done["quantity"], &done["left"]);
    assert_eq!(got, (&json!(sku), &json!(1), &json!(0)), "{done:#}");
    live.stop().await;
    home.verify().await;
}

#[tokio::test]
async fn every_command_has_help_that_says_what_it_is_for() {
    for words in commands() {
        let told = run(bare().args(words.split(' ')).arg("--help")).await;
        assert_eq!(told.code, Some(0), "{words}: {told:#?}");
        assert!(told.out.lines().next().is_some_and(|line| line.len() > 10), "{words}: {told:#?}");
    }
}
