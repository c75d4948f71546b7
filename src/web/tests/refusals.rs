//! What is refused, with all that is wrong and the command that helps; and what is told of what was replaced or given up.

use hyper::Method;
use serde_json::{Value, json};

use super::world::{OPENED, Served, channel, configured, item, opened, order, policies, run, serve};
use crate::{
    core::{
        Command, Reply, State,
        command::{DeadLetter, Verdict},
        state::ListingRef,
    },
    model::{DeliveryId, IdKind, LocationId, Outcome, Policies, Timestamp},
};

/// [`opened`], where nobody but people counts.
fn uncounted() -> State {
    let mut state = opened();
    let mut policies = policies();
    policies.channels.get_mut(&channel("erp")).expect("configured").abilities.counts = None;
    run(&mut state, Command::Configure(Box::new(policies)));
    state
}

fn push(state: &mut State, id: &str) {
    let delivery = DeliveryId::new(&format!("d-{id}")).expect("an id");
    let orders = vec![order(id, "MUG", 1)];
    let (fetch, look) = (Vec::new(), Vec::new());
    run(state, Command::Push { channel: channel("main"), delivery, orders, fetch, look });
}

/// Lets `main` refuse what it is told of the shirt, which it shows with 7 units in place of 10.
fn refused_shirt(state: &mut State) -> ListingRef {
    let (begun, through) = (state.seq, Timestamp::from_millis(OPENED));
    run(state, Command::Fed { channel: channel("main"), begun, begun_at: through, through });
    let take = Command::Take { channel: channel("main"), limit: 10, apart: 4 };
    let Reply::Work { puts, .. } = run(state, take) else { panic!("no work") };
    let listing = puts.first().expect("a write").0.clone();
    let refused = || Outcome::Rejected { reason: "no such item".to_owned() };
    let answers = puts.into_iter().map(|(listing, put)| (listing, put.key, refused())).collect();
    run(state, Command::Answer { channel: channel("main"), answers });
    listing
}

impl Served {
    /// Expects a refusal with this status -> what is wrong, and what helps.
    async fn told(&self, path: &str, body: &Value, status: u16) -> [String; 2] {
        let (got, told) = self.ask(Method::POST, path, &body.to_string()).await;
        assert_eq!(got.as_u16(), status, "{path} {body}: {told}");
        ["error", "next"].map(|key| told[key].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn what_was_given_up_and_shows_something_else_is_told_with_what_takes_it_up_again() {
    let mut state = opened();
    let listing = refused_shirt(&mut state);
    run(&mut state, Command::Dead { letter: DeadLetter::Leg(listing), verdict: Verdict::Discard });
    let served = serve(state, |_| {}).await;
    let outbox = served.get("/v1/outbox?channel=main").await;
    let given_up = &outbox["given_up"];
    let command = "evenkeel dead-letters retry leg:main:TSHIRT/BL:1";
    let why = "a person gave it up";
    let listing = ["channel_sku=TSHIRT/BL"];
    let one = json!({"channel": "main", "sku": "TSHIRT/BL", "listing": listing, "shown": 7, "quantity": 10, "why": why, "command": command});
    assert_eq!(given_up, &json!({"count": 1, "some": [one]}), "{outbox:#}");
    assert_eq!(served.get("/v1/outbox?channel=us").await["given_up"], Value::Null);
    let letter = "/v1/dead-letters/leg%3Amain%3ATSHIRT%2FBL%3A1";
    let [error, _] = served.told(&format!("{letter}/discard"), &json!({}), 409).await;
    assert_eq!(error, "SKU `TSHIRT/BL` is given up on `main` already");
    served.post(&format!("{letter}/retry"), "").await;
    let outbox = served.get("/v1/outbox?channel=main").await;
    assert_eq!(outbox["given_up"], Value::Null, "{outbox:#}");
    let subjects: Vec<&Value> =
        outbox["rows"].as_array().expect("rows").iter().map(|row| &row["subject"]).collect();
    assert!(subjects.contains(&&json!("TSHIRT/BL")), "{outbox:#}");
}

#[tokio::test]
async fn an_order_is_found_by_the_number_that_people_see() {
    let mut state = opened();
    push(&mut state, "1001");
    let served = serve(state, |_| {}).await;
    for path in ["main/1001", "main/%231001", "%231001", "1001", "main%3A1001", "main%3A%231001"] {
        let view = served.get(&format!("/v1/orders/{path}")).await;
        assert_eq!((&view["order"], &view["name"]), (&json!("1001"), &json!("#1001")), "{path}: {view:#}");
    }
    served.refused(Method::GET, "/v1/orders/us/%231001", "", 404, "no order `us:#1001`").await;
    served.refused(Method::GET, "/v1/orders/%231002", "", 404, "no order `#1002`").await;
    served.refused(Method::GET, "/v1/orders/nowhere%3A1001", "", 404, "`nowhere`").await;
}

#[tokio::test]
async fn a_number_that_several_orders_have_is_none_of_them() {
    let mut state = opened();
    push(&mut state, "1001");
    let delivery = DeliveryId::new("d-us").expect("an id");
    let mut other = order("A-7", "MUG", 1);
    other.name = Some("#1001".to_owned());
    let (fetch, look) = (Vec::new(), Vec::new());
    run(&mut state, Command::Push { channel: channel("us"), delivery, orders: vec![other], fetch, look });
    let served = serve(state, |_| {}).await;
    let (status, told) = served.ask(Method::GET, "/v1/orders/%231001", "").await;
    assert_eq!(status.as_u16(), 409, "{told}");
    let error = "`#1001` may be several orders: `main:1001`, `us:A-7`";
    assert_eq!(told["error"], error, "{told}");
    assert_eq!(served.get("/v1/orders/us/%231001").await["order"], "A-7");
}

#[tokio::test]
async fn a_refusal_names_the_command_that_helps() {
    let served = serve(uncounted(), |_| {}).await;
    let set = |id: &str, units: i64| json!({"id": id, "rows": [{"sku": "MUG", "channel": "main", "quantity": units}]});
    served.post("/v1/intents", &set("one", 3).to_string()).await;
    let rebind = json!({"channel": "main", "ids": {"inventory_item": "99"}, "sku": "MUG"});
    let imported = json!({"rows": [{"sku": "MUG", "parts": []}]});
    let row = json!({"channel": "main", "ids": {"channel_sku": "NONE"}});
    for (path, body, status, helps) in [
        ("/v1/live", json!({}), 409, "`evenkeel status`"),
        ("/v1/intents", set("one", 4), 409, "--id"),
        ("/v1/intents/one/receive", json!({}), 409, "`evenkeel commits --intent one`"),
        ("/v1/intents/nobody/cancel", json!({}), 404, "`evenkeel commits`"),
        ("/v1/intents/nobody/receive", json!({}), 404, "`evenkeel commits`"),
        ("/v1/bundles", imported, 404, "`evenkeel bundles list`"),
        ("/v1/map/remove", row.clone(), 404, "`evenkeel map list`"),
        ("/v1/rebind", rebind, 404, "`evenkeel map list --listings`"),
        ("/v1/merge", json!({"from": "MUG", "into": "MUG"}), 409, "`evenkeel sku MUG`"),
        ("/v1/returns", json!({"sku": "MUG", "fate": "restock"}), 409, "`evenkeel returns list`"),
        ("/v1/drift/accept", json!({"sku": "MUG", "channel": "main"}), 404, "`evenkeel drift`"),
        (
            "/v1/map/ignore",
            json!({"channel": "main", "ids": {"channel_sku": "X"}, "undo": true}),
            404,
            "--ignored",
        ),
        ("/v1/pause", json!({"sku": "NOPE", "mode": "frozen"}), 404, "`evenkeel sku`"),
    ] {
        let [error, next] = served.told(path, &body, status).await;
        assert!(next.contains(helps), "{path}: {error}; {next}");
    }
    let cancelled = "/v1/intents/one/cancel";
    let (status, _) = served.ask(Method::POST, cancelled, "{}").await;
    assert_eq!(status.as_u16(), 200);
    let [error, next] = served.told(cancelled, &json!({}), 409).await;
    assert!(next.contains("`evenkeel commits --intent one`"), "{error}; {next}");
}

#[tokio::test]
async fn what_does_not_exist_is_quoted_by_its_name_alone() {
    let served = serve(uncounted(), |_| {}).await;
    for (path, body, error) in [
        ("/v1/pause", json!({"sku": "NOPE", "mode": "frozen"}), "SKU `NOPE` does not exist"),
        ("/v1/merge", json!({"from": "A", "into": "NOPE"}), "SKU `NOPE` does not exist"),
        ("/v1/returns", json!({"sku": "NOPE", "fate": "restock"}), "SKU `NOPE` does not exist"),
        ("/v1/drift/repair", json!({"sku": "NOPE", "channel": "main"}), "SKU `NOPE` does not exist"),
        ("/v1/intents/999/cancel", json!({}), "intent `999` does not exist"),
    ] {
        assert_eq!(served.told(path, &body, 404).await[0], error, "{path}");
    }
}

/// Counts these -> what is wrong, with this status.
async fn count(served: &Served, lines: Value, status: u16) -> String {
    served.told("/v1/count/preview", &json!({"lines": lines}), status).await[0].clone()
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_count_is_told_with_its_line() {
    let late = "2099-01-01T00:00:00Z";
    let lines = json!([
        {"line": 2, "sku": "MUG", "location": "nowhere", "quantity": 1},
        {"line": 3, "sku": "MUG", "location": "warehouse", "quantity": 1},
        {"line": 4, "sku": "MUG", "location": "warehouse", "quantity": 2},
        {"line": 5, "sku": "TSHIRT/BL", "location": "warehouse", "quantity": 2, "as_of": late},
        {"line": 6, "sku": "MUG", "location": "elsewhere", "quantity": -2},
        {"line": 7, "sku": "NOPE", "location": "nowhere", "quantity": 1, "note": "x".repeat(501)},
    ]);
    let served = serve(uncounted(), |_| {}).await;
    let told = count(&served, lines, 409).await;
    let wanted = [
        "line 2: there is no location `nowhere`",
        "line 4: SKU `MUG` is counted twice at `warehouse`, first on line 3",
        "line 5: the as-of of SKU `TSHIRT/BL` lies in the future",
        "line 6: there is no location `elsewhere`",
        "line 7: a note has at most 500 bytes",
        "line 7: there is no SKU `NOPE`",
        "line 7: there is no location `nowhere`",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), wanted);
    let served = serve(opened(), |_| {}).await;
    let one = json!([{"sku": "NOPE", "location": "warehouse", "quantity": 1}]);
    assert_eq!(count(&served, one, 404).await, "there is no SKU `NOPE`", "what is unknown comes first");
    let one = json!([{"sku": "MUG", "location": "warehouse", "quantity": 1}]);
    assert!(count(&served, one, 409).await.starts_with("`erp` counts location `warehouse`"));
}

#[tokio::test]
async fn everything_that_is_wrong_with_mapping_rows_is_told_at_once() {
    let served = serve(opened(), |_| {}).await;
    let rows = json!({"rows": [
        {"line": 2, "sku": "NOPE", "channel": "main", "ids": {"channel_sku": "A"}},
        {"line": 3, "sku": "MUG", "channel": "main", "ids": {"upc": "1"}},
        {"line": 4, "sku": "MUG", "channel": "nowhere", "ids": {"channel_sku": "A"}},
    ]});
    let [told, _] = served.told("/v1/map", &rows, 409).await;
    let begins: Vec<&str> = told.lines().map(|line| &line[..7]).collect();
    assert_eq!(begins, ["line 2:", "line 3:", "line 4:"], "{told}");
}

#[tokio::test]
async fn a_row_that_gives_what_another_row_names_to_another_sku_is_refused_with_its_line() {
    let served = serve(opened(), |_| {}).await;
    let rows = json!({"rows": [
        {"line": 2, "sku": "MUG", "channel": "main", "ids": {"channel_sku": "CUP"}},
        {"line": 3, "sku": "TSHIRT/BL", "channel": "main", "ids": {"channel_sku": "CUP"}},
    ]});
    let [told, _] = served.told("/v1/map", &rows, 409).await;
    assert_eq!(told, "line 3: `channel_sku` `CUP` means SKU `MUG` on `main` already, by line 2");
}

#[tokio::test]
async fn a_row_that_takes_the_place_of_another_says_whose_it_was() {
    let served = serve(opened(), |_| {}).await;
    let set = async |code: &str, channel: &str, ids: Value, dry_run: bool| {
        let row = json!({"sku": code, "channel": channel, "ids": ids});
        served.post("/v1/map", &json!({"rows": [row], "dry_run": dry_run}).to_string()).await
    };
    let cup = || json!({"channel_sku": "CUP"});
    assert_eq!(set("MUG", "main", cup(), false).await["replaced"], Value::Null);
    assert_eq!(set("MUG", "main", cup(), false).await["replaced"], Value::Null, "it said so before");
    let was = json!([{"sku": "MUG", "channel": "main", "ids": {"channel_sku": "CUP"}, "from": "imported"}]);
    for dry_run in [true, false] {
        assert_eq!(set("TSHIRT/BL", "main", cup(), dry_run).await["replaced"], was);
    }
    // A row of the configuration stays there, and counts no more.
    let was = json!([{"sku": "MUG", "channel": "us", "ids": {"asin": "B0MUG00001"}, "from": "config"}]);
    let mut policies: Policies = policies();
    let ids = crate::model::Identifiers::new([(crate::model::IdKind::Asin, "B0MUG00001")]).expect("good");
    policies.mapping.table[0].ids = ids;
    served.desk.do_now(Command::Configure(Box::new(policies)));
    assert_eq!(set("TSHIRT/BL", "us", json!({"asin": "B0MUG00001"}), true).await["replaced"], was);
}

#[tokio::test]
async fn a_mapping_names_what_is_bound_that_no_row_names() {
    let mut state = opened();
    let two = ["SHARED", "SHARED-FBA"];
    let items = two.map(|code| item(&[(IdKind::Sku, code), (IdKind::Asin, "B0SHARED01")], Some(3))).to_vec();
    let read_at = Timestamp::from_millis(OPENED);
    run(&mut state, Command::Catalogue { channel: channel("us"), read_at, items, unread: vec![] });
    let served = serve(state, |_| {}).await;
    let row = json!({"sku": "MUG", "channel": "us", "ids": {"channel_sku": "SHARED-FBA"}});
    for dry_run in [true, false] {
        let told = served.post("/v1/map", &json!({"rows": [row], "dry_run": dry_run}).to_string()).await;
        assert_eq!(told["bound"], json!(2), "{told:#}");
        let note = told["notes"][0].as_str().unwrap_or_default();
        let says = "channel_sku=SHARED asin=B0SHARED01 on `us`, which no row names, becomes a listing of SKU `MUG` too";
        assert!(note.starts_with(says) && told["notes"].as_array().map(Vec::len) == Some(1), "{told:#}");
    }
}

#[tokio::test]
async fn the_outbox_says_that_a_channel_refuses_the_credentials() {
    let mut state = opened();
    push(&mut state, "1001");
    let until = Timestamp::from_millis(OPENED).plus_millis(3_600_000);
    state.change_channel(&channel("main"), |row| {
        let unauthorized = Some("token expired".to_owned());
        row.circuit =
            crate::core::circuit::Circuit::Open { until, unauthorized, alone: false, failing: None };
    });
    let served = serve(state, |_| {}).await;
    let outbox = served.get("/v1/outbox?channel=main").await;
    let why = "the channel's circuit is open: it refuses the credentials (token expired)";
    assert_eq!(outbox["rows"][0]["why"], why, "{outbox:#}");
}

/// [`uncounted`], with a store that the shop has listings for and where nothing was counted.
fn with_store() -> State {
    let mut state = uncounted();
    let mut policies = state.policies().cloned().expect("configured");
    let store = LocationId::new("store").expect("a name");
    policies.locations.push(store.clone());
    policies.channels.get_mut(&channel("us")).expect("configured").locations = vec![store];
    run(&mut state, Command::Configure(Box::new(policies)));
    let item = item(&[(IdKind::Sku, "TSHIRT/BL"), (IdKind::Asin, "B0SHIRT")], Some(3));
    let read_at = Timestamp::from_millis(OPENED);
    run(
        &mut state,
        Command::Catalogue { channel: channel("us"), read_at, items: vec![item], unread: vec![] },
    );
    state
}

#[tokio::test]
async fn the_outbox_says_what_is_not_written_for_want_of_a_count() {
    let served = serve(with_store(), |_| {}).await;
    let one = json!({"channel": "us", "locations": ["store"], "listings": 1, "some": ["TSHIRT/BL"]});
    // What was shown of the mug lies at the warehouse, which this channel does not draw on any more.
    let shown =
        json!({"channel": "us", "locations": ["store"], "listings": 1, "some": ["MUG"], "shows_none": true});
    for path in ["/v1/outbox", "/v1/outbox?channel=us"] {
        let outbox = served.get(path).await;
        assert_eq!(outbox["uncounted"], json!([one, shown]), "{path}: {outbox:#}");
    }
    let main = served.get("/v1/outbox?channel=main").await;
    assert_eq!(main["uncounted"], Value::Null, "{main:#}");
    assert_eq!(main["rows"][0]["locations"], json!(["warehouse"]), "{main:#}");
    let line = |sku: &str| json!({"sku": sku, "location": "store", "quantity": 0});
    served.post("/v1/count", &json!({"lines": [line("TSHIRT/BL"), line("MUG")]}).to_string()).await;
    assert_eq!(served.get("/v1/outbox").await["uncounted"], Value::Null);
    let none = serve(configured(), |_| {}).await.get("/v1/outbox").await;
    assert_eq!((&none["unopened"], &none["uncounted"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn a_count_before_the_opening_says_so_and_what_is_wrong_with_its_lines_besides() {
    let mut state = configured();
    let mut policies = policies();
    policies.channels.get_mut(&channel("erp")).expect("configured").abilities.counts = None;
    run(&mut state, Command::Configure(Box::new(policies)));
    let (read_at, unread) = (Timestamp::from_millis(OPENED), Vec::new());
    let items = vec![item(&[(IdKind::Sku, "MUG")], None)];
    run(&mut state, Command::Catalogue { channel: channel("erp"), read_at, items, unread });
    run(&mut state, Command::Catalogued { channel: channel("erp") });
    let served = serve(state, |_| {}).await;
    let line = |n: u64, sku: &str, location: &str| json!({"line": n, "sku": sku, "location": location, "quantity": 1});
    let unset = "the opening stock was not taken over yet, so nothing is written to any channel";
    let good = json!({"lines": [line(2, "MUG", "warehouse")]});
    let bad = json!({"lines": [line(2, "MUG", "warehouse"), line(3, "NONE", "warehouse"), line(4, "MUG", "nowhere")]});
    for path in ["/v1/count", "/v1/count/preview"] {
        let [error, next] = served.told(path, &good, 409).await;
        assert_eq!(error, unset, "{path}");
        assert!(
            next.contains("`evenkeel init --from CHANNEL`") && next.contains("--opening"),
            "{path}: {next}"
        );
        let [error, next] = served.told(path, &bad, 409).await;
        let lines = ["line 3: there is no SKU `NONE`", "line 4: there is no location `nowhere`"];
        assert_eq!(error, [&[unset][..], &lines].concat().join("\n"), "{path}");
        assert!(
            next.contains("evenkeel count import FILE --opening") && next.contains("--skip-unknown"),
            "{next}"
        );
    }
    let [error, next] = served.told("/v1/count/opening/preview", &bad, 404).await;
    assert!(error.starts_with(unset) && error.contains("line 3: there is no SKU `NONE`"), "{error}");
    assert!(next.contains("--opening"), "{next}");
}

#[tokio::test]
async fn a_sku_tells_what_each_listing_is_believed_to_show_and_what_writes_under_way_may_add() {
    let mut state = opened();
    let (begun, through) = (state.seq, Timestamp::from_millis(OPENED));
    run(&mut state, Command::Fed { channel: channel("main"), begun, begun_at: through, through });
    // The shirt is shown with 7, and ten are there.
    run(&mut state, Command::Take { channel: channel("main"), limit: 10, apart: 4 });
    let served = serve(state, |_| {}).await;
    let told = served.get("/v1/skus/TSHIRT%2FBL").await;
    let listing = told["listings"].as_array().expect("a list").iter().find(|one| one["channel"] == "main");
    let listing = listing.expect("it is listed there");
    assert_eq!((&listing["base"], &listing["exposure"]), (&json!(7), &json!(10)), "{listing:#}");
    let write = &listing["unsettled"][0];
    assert_eq!(
        (&write["quantity"], &write["compare"], &write["may_add"]),
        (&json!(10), &json!(7), &json!(3)),
        "{write:#}"
    );
}
