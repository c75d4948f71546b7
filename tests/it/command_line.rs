//! Every command against a live daemon: the values it tells, and how it fails.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live, bare, file, run},
    support::{World, number, order, text, until_empty},
};

async fn open() -> (World, Home, Live) {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let live = home.open(&world).await;
    (world, home, live)
}

/// Returns what the world's books say of its first SKU.
async fn first(world: &World) -> Value {
    world.get("books").await["skus"][0].clone()
}

/// Returns the element of a list that has this value.
fn find<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let mut all = list.as_array().expect("a list").iter();
    all.find(|one| one[key] == value).unwrap_or_else(|| panic!("no `{key}` is `{value}` in {list:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_and_outbox_tell_how_all_channels_are() {
    let (world, home, live) = open().await;
    home.settle(&world).await;
    let status = home.ask(&["status"]).await.json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    for (key, value) in [
        ("instance", json!("demo")),
        ("mode", json!("live")),
        ("skus", json!(12)),
        ("orders", json!(0)),
        ("dead_letters", json!(0)),
        ("alerts_firing", json!(0)),
        ("unmatched", json!(0)),
    ] {
        assert_eq!(status[key], value, "{key}: {status:#}");
    }
    assert!(status["initialised_at"].is_string(), "{status:#}");
    // Of Amazon's thirteen listings one is sent by Amazon itself and never written.
    for (channel, kind, listings, unwritable) in
        [("erp", "tryton", 12, 0), ("market", "amazon", 13, 1), ("shop", "shopify", 12, 0)]
    {
        let told = find(&status["channels"], "channel", channel);
        let got = (&told["kind"], &told["listings"], &told["unwritable"], &told["unconfirmed"]);
        assert_eq!(got, (&json!(kind), &json!(listings), &json!(unwritable), &json!(0)), "{told:#}");
        assert_eq!(told["circuit"]["state"], "closed", "{told:#}");
    }
    assert_eq!(home.ask(&["outbox"]).await.json(), json!({"rows": [], "more": false, "dead_letters": 0}));
    home.ask(&["outbox", "--channel", "nope"]).await.fails(4, "channel `nope` is not configured");
    live.stop().await;
    home.ask(&["status"]).await.fails(3, "no daemon answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sku_and_an_order_are_told_with_what_is_booked() {
    let (world, home, live) = open().await;
    let book = first(&world).await;
    let (sku, stock) = (text(&book["sku"]), book["physical"].as_i64().expect("a number"));
    let id = order(&world, "shopify", sku, 2).await;
    home.settle(&world).await;

    let told = home.ask(&["sku", sku]).await.json();
    let place = &told["stock"][0];
    let got = [&place["on_hand"], &place["committed"], &place["available"]].map(Value::as_i64);
    assert_eq!(got, [Some(stock), Some(2), Some(stock - 2)], "{told:#}");
    assert_eq!(place["opened"]["counter"], "erp");
    for channel in ["shop", "market"] {
        let listing = find(&told["listings"], "channel", channel);
        assert_eq!(
            (&listing["state"], &listing["base"]),
            (&json!("confirmed"), &json!(stock - 2)),
            "{listing:#}"
        );
    }
    let sale = find(&told["recent"], "kind", "sale");
    assert_eq!((&sale["quantity"], &sale["committed"]), (&json!(2), &json!(2)), "{sale:#}");

    let name = text(&sale["order"]["order"]);
    let told = home.ask(&["order", "shop", name]).await.json();
    // The number that people see means the same to both commands, with the channel or without.
    let number = text(&told["name"]);
    assert!(number.starts_with('#'), "{told:#}");
    for called in [number, &format!("shop:{number}"), &format!("shop:{name}")] {
        assert_eq!(home.ask(&["order", called]).await.json(), told, "{called}");
        let story = home.ask(&["explain", called]).await.json();
        assert_eq!(story["order"], json!({"channel": "shop", "order": name}), "{called}");
        let mut rows = story["events"].as_array().expect("a list").iter();
        assert!(rows.any(|row| row["what"] == "seen" && row["sku"] == sku), "{story:#}");
    }
    assert_eq!(home.ask(&["order", "shop", number]).await.json(), told);
    let line = &told["lines"][0];
    assert_eq!((&line["bound"]["sku"], &line["open"]), (&json!(sku), &json!(2)), "order {id}: {told:#}");
    assert_eq!((&line["totals"]["ordered"], &line["booked"]["ordered"]), (&json!(2), &json!(2)), "{told:#}");
    let posting = &told["postings"][0];
    assert_eq!((&posting["channel"], &posting["state"]), (&json!("erp"), &json!("done")), "{told:#}");
    assert_eq!(posting["acknowledged"][0]["totals"]["ordered"], 2, "{told:#}");

    home.ask(&["sku", "NO-SUCH-SKU"]).await.fails(4, "there is no SKU `NO-SUCH-SKU`");
    home.ask(&["order", "shop", "1"]).await.fails(4, "there is no order `shop:1`");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_shows_zero_until_it_is_resumed() {
    let (world, home, live) = open().await;
    let book = first(&world).await;
    let sku = text(&book["sku"]);
    home.settle(&world).await;
    let said = home.ask(&["pause", "--sku", sku]).await.json();
    assert_eq!(said["done"], format!("SKU `{sku}` is stopped: it is set to zero"));
    crate::support::until_empty("zero is shown", async || {
        let book = first(&world).await;
        let shown = [&book["shopify"]["shown"], &book["amazon"]["shown"]];
        if shown == [&json!(0), &json!(0)] { vec![] } else { vec![format!("{shown:?}")] }
    })
    .await;
    assert_eq!(home.ask(&["sku", sku]).await.json()["paused"], "stopped");
    let paused = json!({"count": 1, "some": [{"sku": sku, "mode": "stopped"}]});
    assert_eq!(home.ask(&["status"]).await.json()["paused_skus"], paused);
    assert_eq!(home.ask(&["resume"]).await.json(), json!({"channels": [], "skus": paused}));
    let said = home.ask(&["resume", "--sku", sku]).await.json();
    assert_eq!(said["done"], format!("SKU `{sku}` goes on"));
    home.settle(&world).await;
    assert_eq!(home.ask(&["sku", sku]).await.json()["paused"], Value::Null);
    home.ask(&["pause", "--channel", "nope"]).await.fails(4, "channel `nope` is not configured");
    home.ask(&["resume", "--channel", "nope"]).await.fails(4, "channel `nope` is not configured");

    let said = home.ask(&["poll", "shop"]).await.json();
    assert_eq!(said["done"], "`shop` will be read now");
    home.ask(&["poll", "nope"]).await.fails(4, "channel `nope` is not configured");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn returned_units_are_listed_and_put_on_sale_again_or_taken_off_the_books() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.configure("returns = \"restock\"", "returns = \"quarantine\"");
    let live = home.open(&world).await;
    let book = first(&world).await;
    let sku = text(&book["sku"]);
    let id = order(&world, "shopify", sku, 2).await;
    world.post("fulfil", json!({"channel": "shopify", "order": id})).await;
    home.settle(&world).await;
    assert_eq!(home.ask(&["returns", "list"]).await.json(), json!({"rows": [], "more": false}));
    home.ask(&["returns", "restock", sku]).await.fails(5, "no units of SKU");
    let lines = json!([{"sku": sku, "quantity": 2}]);
    world
        .post("refund", json!({"channel": "shopify", "order": id, "lines": lines, "restock": "return"}))
        .await;
    crate::support::until_empty("they are held back", async || {
        let told = home.ask(&["returns", "list"]).await.json();
        let row = &told["rows"][0];
        if (&row["sku"], &row["reserved"]) == (&json!(sku), &json!(2)) {
            vec![]
        } else {
            vec![told.to_string()]
        }
    })
    .await;

    home.ask(&["returns", "restock", sku, "3"]).await.fails(5, "only 2 units");
    home.ask(&["returns", "discard", "NO-SUCH-SKU"]).await.fails(4, "SKU `NO-SUCH-SKU`");
    assert_eq!(home.ask(&["returns", "restock", sku, "0"]).await.code, Some(2));
    let done = home.ask(&["returns", "restock", sku, "1", "--note", "as new"]).await.json();
    assert_eq!((&done["quantity"], &done["left"]), (&json!(1), &json!(1)), "{done:#}");
    let told = home.ask(&["sku", sku]).await.json();
    let entry = find(&told["recent"], "kind", "restock");
    assert_eq!(entry["cause"], "a person: as new", "{entry:#}");
    home.ask(&["returns", "restock", sku]).await.json();
    home.settle(&world).await;
    live.stop().await;
    assert_eq!(home.verify().await["orders"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mapping_goes_out_and_comes_in_as_csv() {
    let (world, home, live) = open().await;
    let book = first(&world).await;
    let sku = text(&book["sku"]);
    let bound = home.ask(&["map", "list", "--listings"]).await.json();
    let rows = bound["rows"].as_array().expect("a list");
    assert_eq!(rows.len(), 12 + 13 + 12, "{bound:#}");
    assert_eq!(rows.iter().filter(|row| row["sku"] == sku && row["channel"] == "shop").count(), 1);
    let empty = json!({"rows": [], "unmatched": [], "unmapped": [], "next": null});
    assert_eq!(home.ask(&["map", "list"]).await.json(), empty);
    assert_eq!(home.ask(&["map", "list", "--unmatched"]).await.json(), empty);

    let csv = format!("sku,channel,asin\n{sku},market,B0NEWASIN1\n");
    let good = file(home.dir.path(), "good.csv", &csv);
    assert_eq!(home.ask(&["map", "import", &good, "--dry-run"]).await.json()["rows"], 1);
    assert_eq!(home.ask(&["map", "list"]).await.json(), empty, "a dry run changes nothing");
    assert_eq!(home.ask(&["map", "import", &good]).await.json()["rows"], 1);
    let row = json!({"sku": sku, "channel": "market", "ids": {"asin": "B0NEWASIN1"}, "from": "imported"});
    assert_eq!(home.ask(&["map", "export"]).await.json()["rows"], json!([row]));
    let out = run(bare().arg("--socket").arg(home.path("evenkeel.sock")).args(["map", "export"])).await;
    assert!(out.out.starts_with("sku,channel,") && out.out.contains(&format!("{sku},market,")), "{out:#?}");

    let set = |id: &'static str| ["map", "set", "market", id, "NONE", "--dry-run"];
    home.ask(&set("asin=B0NEWASIN1")).await.fails(4, "there is no SKU `NONE`");
    home.ask(&["map", "set", "market", "asin=B0", sku]).await.fails(5, "ten characters");
    home.ask(&["map", "set", "shop", "asin=B0NEWASIN1", sku])
        .await
        .fails(5, "a thing goes by channel_sku, variant");
    assert_eq!(home.ask(&["map", "set", "market", "upc=1", sku]).await.code, Some(2));
    let would = home.ask(&["map", "remove", "market", "asin=B0NEWASIN1", "--dry-run"]).await.json();
    assert_eq!((&would["dry_run"], &would["row"]["sku"]), (&json!(true), &json!(sku)), "{would:#}");
    assert_eq!(home.ask(&["map", "export"]).await.json()["rows"], json!([row]), "nothing was removed");
    home.ask(&["map", "remove", "market", "asin=B0NEWASIN1"]).await.json();
    assert_eq!(home.ask(&["map", "list"]).await.json(), empty);
    home.ask(&["map", "remove", "market", "asin=B0NEWASIN1"]).await.fails(4, "no row of the mapping table");
    home.ask(&["commits", "--sku", "NOPE"]).await.fails(4, "there is no SKU `NOPE`");

    let bad = file(home.dir.path(), "bad.csv", "sku,channel,upc\nA,market,1\n");
    home.ask(&["map", "import", &bad]).await.fails(5, "line 1: there is no column `upc`");
    home.ask(&["map", "list", "--channel", "nope"]).await.fails(4, "channel `nope` is not configured");
    home.ask(&["map", "export", "--channel", "nope"]).await.fails(4, "channel `nope` is not configured");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_body_that_cannot_be_read_is_a_dead_letter_that_can_be_discarded() {
    let (world, home, live) = open().await;
    let none = json!({"drifts": 0, "letters": [], "more": false});
    assert_eq!(home.ask(&["dead-letters", "list"]).await.json(), none);
    let secret = text(&world.get("systems").await["shopify"]["client_secret"]).to_owned();
    let status = crate::support::webhook(&home.hooks(), &secret, "orders/create", b"{\"id\": ").await;
    assert_eq!(status, 200, "it is kept, so it need not be sent again");
    let told = home.ask(&["dead-letters", "list"]).await.json();
    let letter = &told["letters"][0];
    assert_eq!((&letter["kind"], &letter["channel"]), (&json!("quarantine"), &json!("shop")), "{told:#}");
    let id = text(&letter["id"]);
    crate::support::until_empty("an alert fires", async || {
        let alerts = home.ask(&["alerts"]).await.json();
        let mut all = alerts["alerts"].as_array().expect("a list").iter();
        let fires = all.any(|alert| {
            alert["kind"] == "quarantine" && alert["subject"] == "shop" && alert["firing"] == json!(true)
        });
        if fires { vec![] } else { vec![alerts.to_string()] }
    })
    .await;
    assert_eq!(
        home.ask(&["dead-letters", "discard", id]).await.json()["done"],
        format!("`{id}` is given up")
    );
    assert_eq!(home.ask(&["dead-letters", "list"]).await.json(), none);
    home.ask(&["dead-letters", "retry", id]).await.fails(4, "there is no dead letter");
    home.ask(&["dead-letters", "discard", "count:99999"])
        .await
        .fails(4, "there is no dead letter `count:99999`");
    live.stop().await;
    home.ask(&["alerts"]).await.fails(3, "no daemon answers");
    home.ask(&["dead-letters", "list"]).await.fails(3, "no daemon answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_opening_stock_is_shown_before_it_is_taken_over_and_only_once() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let live = home.serve().await;
    let books = world.get("books").await;
    let units: i64 =
        books["skus"].as_array().expect("a list").iter().filter_map(|s| s["physical"].as_i64()).sum();
    let preview = home.ask(&["init", "--from", "erp", "--dry-run"]).await.json();
    assert_eq!(
        (&preview["from"], &preview["skus"], &preview["units"]),
        (&json!("erp"), &json!(12), &json!(units))
    );
    assert_eq!(home.ask(&["status"]).await.json()["initialised_at"], Value::Null, "nothing was done yet");
    home.ask(&["init", "--from", "nope", "--yes"]).await.fails(4, "nope");
    // A file that cannot be read: that nothing is open yet is said first.
    let unset = "the opening stock was not taken over yet, so nothing is written to any channel";
    let bad = file(&home.path(""), "bad.csv", "sku,location,quantity\nNONE,nowhere,1\nNONE,warehouse,x\n");
    for more in [&[][..], &["--opening"]] {
        let told = home.ask(&[&["count", "import", &bad, "--yes"], more].concat()).await;
        told.fails(5, unset);
        assert!(
            told.err.contains("line 2: there is no") && told.err.contains("line 3: `quantity`"),
            "{told:#?}"
        );
        assert!(told.err.contains("--opening"), "{told:#?}");
    }
    let done = home.ask(&["init", "--from", "erp", "--yes"]).await.json();
    assert_eq!((&done["from"], &done["skus"], &done["units"]), (&json!("erp"), &json!(12), &json!(units)));
    home.ask(&["init", "--from", "erp", "--yes"]).await.fails(5, "taken over already");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_opening_stock_is_taken_from_a_shop_with_what_it_still_owes() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let book = first(&world).await;
    let (sku, stock) = (text(&book["sku"]).to_owned(), book["physical"].as_i64().expect("a number"));
    let old = order(&world, "shopify", &sku, 1).await;
    let shown = async || -> i64 {
        let books = world.get("books").await;
        let all = books["skus"].as_array().expect("a list").iter();
        all.filter_map(|book| book["shopify"]["shown"].as_i64()).sum()
    };
    let units = shown().await;
    let live = home.serve().await;
    let preview = home.ask(&["init", "--from", "shop", "--dry-run"]).await.json();
    let got = (&preview["from"], &preview["measure"], &preview["skus"]);
    assert_eq!(got, (&json!("shop"), &json!("free"), &json!(12)), "{preview:#}");
    let done = home.ask(&["init", "--from", "shop", "--yes"]).await.json();
    assert_eq!((&done["from"], &done["skus"]), (&json!("shop"), &json!(12)), "{done:#}");
    assert_eq!((done["units"].clone(), preview["units"].clone()), (json!(units + 1), json!(units + 1)));
    let told = home.ask(&["sku", &sku]).await.json();
    let place = &told["stock"][0];
    let got = [&place["on_hand"], &place["committed"], &place["available"]].map(Value::as_i64);
    assert_eq!(got, [Some(stock), Some(1), Some(stock - 1)], "order {old} is open: {told:#}");
    assert_eq!(place["opened"]["measure"], "free", "{told:#}");
    home.ask(&["init", "--from", "shop", "--yes"]).await.fails(5, "taken over already");
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_without_a_daemon_say_what_is_wrong() {
    let wrong_use = async |args: &[&str], said: &str| {
        let told = run(bare().args(args)).await;
        assert!(told.code == Some(2) && told.err.contains(said), "{args:?}: {told:#?}");
        let told = run(bare().arg("--json").args(args)).await;
        told.fails(2, "");
        let failure: Value = serde_json::from_str(&told.err).expect("it is JSON");
        let all = format!("{}\n{}", text(&failure["error"]), text(&failure["next"]));
        assert!(all.contains(said.trim_end()), "{args:?}: {told:#?}");
    };
    wrong_use(&["completions", "tcsh"], "[possible values: bash, elvish, fish, zsh]").await;
    wrong_use(&["completions"], "<SHELL>").await;
    for command in ["demo", "sandbox"] {
        wrong_use(&[command, "--fault", "amazon-outage"], "must be `name=value` or `none`").await;
        wrong_use(&[command, "--fault", "amazon-outage=20"], "the time must look like `250ms`, `20s`").await;
        wrong_use(&[command, "--fault", "shopify-errors=5"], "the share must be a percentage").await;
        wrong_use(&[command, "--fault", "erp-rival=2s"], "the faults are outage, errors").await;
    }
    wrong_use(&["demo", "--skus", "0"], "must be a whole number from 1 to 1000000").await;
    wrong_use(&["demo", "--rate", "-1"], "must be a number above 0").await;
    for (command, usage) in [
        ("transfer", "evenkeel transfer SKU UNITS --from LOCATION --to LOCATION [OPTIONS]\n"),
        ("transfer", "evenkeel transfer SKU UNITS --from-channel CHANNEL --to-channel CHANNEL [OPTIONS]\n"),
        ("restore", "evenkeel restore FILE --to DIR  "),
        ("order", "evenkeel order CHANNEL:ORDER\n"),
    ] {
        let args: &[&str] = if command == "order" { &[command] } else { &[command, "A"] };
        wrong_use(args, usage).await;
    }
    for plain in ["--help", "--version"] {
        let told = run(bare().args(["--json", plain])).await;
        assert!(told.code == Some(0) && told.out.contains("evenkeel") && told.err.is_empty(), "{told:#?}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let unknown = file(dir.path(), "unknown.toml", "sku_count = 3\n");
    let sandbox = async |args: &[&str]| run(bare().args(["--json", "sandbox"]).args(args)).await;
    sandbox(&["--options", "/no/such/file"]).await.fails(78, "cannot read `/no/such/file`");
    sandbox(&["--options", &unknown]).await.fails(78, "unknown field `sku_count`");
    sandbox(&["--webhooks", "http://example.com/"]).await.fails(78, "is not a loopback address");
    sandbox(&["--skus", "0"]).await.fails(78, "sandbox option `catalogue.skus`: must be at least 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_proved_and_rebuilt_offline() {
    let (world, home, live) = open().await;
    let sku = text(&first(&world).await["sku"]).to_owned();
    order(&world, "amazon", &sku, 1).await;
    home.settle(&world).await;
    let written = home.ask(&["checkpoint"]).await.json();
    assert!(written["seq"].as_u64() > Some(0) && text(&written["head"]).len() == 64, "{written:#}");
    home.ask(&["rebuild"]).await.fails(5, "is in use");
    live.stop().await;
    home.ask(&["checkpoint"]).await.fails(3, "no daemon answers");

    let proof = home.verify().await;
    assert_eq!(
        (&proof["skus"], &proof["orders"], &proof["unfinished"]),
        (&json!(12), &json!(1), &Value::Null)
    );
    assert!(
        proof["seq"].as_u64() >= written["seq"].as_u64() && proof["entries"].as_u64() >= Some(13),
        "{proof:#}"
    );
    let built = home.ask(&["rebuild"]).await.json();
    let next = proof["seq"].as_u64().map(|seq| seq + 1);
    assert_eq!((&built["skus"], &built["orders"]), (&json!(12), &json!(1)));
    assert_eq!(built["seq"].as_u64(), next, "a rebuild records a new epoch and nothing else");
    let again = home.verify().await;
    assert_eq!((again["seq"].as_u64(), &again["entries"]), (next, &proof["entries"]), "{again:#}");

    let segment = std::fs::read_dir(home.path("store/journal")).expect("a journal").flatten().next();
    let segment = segment.expect("a segment").path();
    // Half of the records are cut off, which the state reflects. What the rebuild itself has recorded nobody was promised.
    let whole = std::fs::read(&segment).expect("readable");
    std::fs::write(&segment, &whole[..whole.len() / 2]).expect("written");
    home.ask(&["verify"]).await.fails(65, "acknowledged records are missing (");
    home.ask(&["rebuild"]).await.fails(65, "--give-up-records");
    let built = home.ask(&["rebuild", "--give-up-records"]).await.json();
    let (gone, seq) = (built["given_up"].as_u64(), built["seq"].as_u64());
    assert!(gone > Some(0) && seq.is_some_and(|seq| Some(seq) < next), "{built:#}");
    home.verify().await;

    let mut bytes = std::fs::read(&segment).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    home.ask(&["verify"]).await.fails(65, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tells_every_problem_and_asks_every_channel() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let offline = home.ask(&["check"]).await.json();
    assert_eq!(find(&offline["channels"], "channel", "shop")["answer"], "not asked", "{offline:#}");
    let online = home.ask(&["check", "--online"]).await.json();
    for channel in ["erp", "market", "shop"] {
        assert_eq!(find(&online["channels"], "channel", channel)["answer"], "good", "{online:#}");
    }
    let erp = find(&online["channels"], "channel", "erp");
    assert!(text(&erp["notes"][0]).starts_with("Tryton 8."), "{erp:#}");
    crate::support::secret(home.dir.path(), "erp-key", "wrong");
    let refused = home.ask(&["check", "--online"]).await;
    assert_eq!(refused.code, Some(5), "{refused:#?}");

    let bad = file(home.dir.path(), "bad.toml", "[web]\nlistn = \"x\"\n");
    for command in ["check", "run", "status", "verify"] {
        let told = run(bare().args(["--config", &bad, "--json", command])).await;
        told.fails(78, "web.listn: unknown key; did you mean `listen`?");
        told.fails(78, "locations: is missing");
    }
    for shell in ["bash", "zsh", "fish", "elvish"] {
        let script = run(bare().args(["completions", shell])).await;
        assert!(script.code == Some(0) && script.out.contains("dead-letters"), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_made_of_others_and_what_is_what_is_corrected() {
    let (world, home, live) = open().await;
    home.settle(&world).await;
    let books = world.get("books").await;
    let [a, b, set] = [0, 1, 2].map(|n| books["skus"][n].clone());
    let [a_code, b_code, set_code] = [&a, &b, &set].map(|book| text(&book["sku"]).to_owned());
    assert_eq!(home.ask(&["bundles", "list"]).await.json(), json!({"rows": [], "next": null}));

    let csv = format!("sku,component,units\n{set_code},{a_code},2\n{set_code},{b_code},1\n");
    let good = file(home.dir.path(), "bundles.csv", &csv);
    let would = home.ask(&["bundles", "import", &good, "--set-aside", "--dry-run"]).await.json();
    let makes = (number(&a["available"]) / 2).min(number(&b["available"]));
    let shown = find(&would["effect"]["channels"], "channel", "shop");
    assert_eq!(find(&shown["some"], "sku", &set_code)["will_show"], json!(makes), "{would:#}");
    assert_eq!(home.ask(&["bundles", "list"]).await.json()["rows"], json!([]), "a dry run changes nothing");
    assert_eq!(home.ask(&["bundles", "import", &good, "--set-aside"]).await.json()["changed"], 1);
    let parts = json!([{"sku": a_code, "units": 2}, {"sku": b_code, "units": 1}]);
    let row = json!({"sku": set_code, "parts": parts, "from": "imported"});
    assert_eq!(home.ask(&["bundles", "list"]).await.json()["rows"], json!([row]));
    until_empty("both channels show what its components make", async || {
        let books = world.get("books").await;
        let shown = ["shopify", "amazon"].map(|system| books["skus"][2][system]["shown"].clone());
        if shown == [json!(makes), json!(makes)] { vec![] } else { vec![books["skus"][2].to_string()] }
    })
    .await;

    // One is sold: its components are promised.
    let left = [json!(number(&a["available"]) - 2), json!(number(&b["available"]) - 1)];
    order(&world, "shopify", &set_code, 1).await;
    until_empty("the components are promised", async || {
        let mut told = Vec::new();
        for code in [&a_code, &b_code] {
            told.push(home.ask(&["sku", code]).await.json()["stock"][0]["available"].clone());
        }
        if told == left { vec![] } else { vec![format!("{told:?}")] }
    })
    .await;

    // A file that would empty the catalogue is held until a person says so.
    let rest = books["skus"].as_array().expect("a list").iter().skip(1);
    let rows: String = rest.map(|book| format!("{},{a_code},1000000\n", text(&book["sku"]))).collect();
    let much = file(home.dir.path(), "much.csv", &format!("sku,component,units\n{rows}"));
    let would = home.ask(&["bundles", "import", &much, "--set-aside", "--dry-run"]).await.json();
    assert!(text(&would["held"]).contains("to zero"), "{would:#}");
    home.ask(&["bundles", "import", &much, "--set-aside"]).await.fails(5, "held: ");
    assert_eq!(home.ask(&["bundles", "list"]).await.json()["rows"], json!([row]), "nothing of it was taken");

    let circle = format!("sku,component,units\n{a_code},{set_code},1\n");
    let bad = file(home.dir.path(), "circle.csv", &circle);
    home.ask(&["bundles", "import", &bad]).await.fails(5, "would hold itself");
    let bad = file(home.dir.path(), "bad.csv", "sku,part\nA,B\n");
    home.ask(&["bundles", "import", &bad]).await.fails(5, "line 1: there is no column `part`");
    home.ask(&["bundles", "remove", &a_code]).await.fails(4, "no imported recipe");
    assert_eq!(home.ask(&["bundles", "remove", &set_code]).await.json()["changed"], 1);

    home.ask(&["merge", "OLD-NAME", "NONE", "--yes"]).await.fails(4, "SKU `NONE`");
    assert_eq!(home.ask(&["merge", "OLD-NAME", &a_code, "--dry-run"]).await.json()["entries"], json!([]));
    assert_eq!(home.ask(&["merge", "OLD-NAME", &a_code, "--yes"]).await.json()["changed"], 1);
    let old = home.ask(&["sku", "OLD-NAME"]).await.json();
    assert_eq!(old["made_of"], json!([{"sku": a_code, "units": 1}]), "{old:#}");
    home.ask(&["rebind", "market", "asin=B0NONE", &a_code, "--yes"]).await.fails(4, "goes by");
    assert_eq!(home.ask(&["rebind", "market", "upc=1", &a_code]).await.code, Some(2));
    live.stop().await;
    home.verify().await;
}
