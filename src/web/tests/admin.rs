use std::sync::Arc;

use axum::{Router, body::Body, extract::Request, middleware::from_fn, routing::post};
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::ServiceExt;

use super::world::{OPENED, Served, channel, configured, count, item, opened, order, run, serve, sku};
use crate::{
    core::{Command, Reply, State, circuit::Circuit, state::Quarantined},
    model::{
        DeliveryId, IdKind, Mode, Outcome, Policies, Quantity, Returns::Quarantine, Seq, Timestamp, Totals,
        policy::Part,
    },
    web::admin::to_its_end,
    web::view::{
        DeadLetters, LettersDone, Mapping, OrderView, Outbox, Returns, SkuView, Status,
        made::{Bundles, Corrected},
    },
};

fn push(state: &mut State, id: &str, code: &str, units: i64) {
    let delivery = DeliveryId::new(&format!("d-{id}")).expect("an id");
    let orders = vec![order(id, code, units)];
    let command =
        Command::Push { channel: channel("main"), delivery, orders, fetch: Vec::new(), look: Vec::new() };
    run(state, command);
}

/// The orders of the shop are read: what it shows is known.
fn fed(state: &mut State) {
    for name in ["main", "us"] {
        let (begun, through) = (state.seq, Timestamp::from_millis(OPENED));
        run(state, Command::Fed { channel: channel(name), begun, begun_at: through, through });
    }
}

/// Lets a channel refuse its next write.
fn refuse(state: &mut State, name: &str) {
    let take = Command::Take { channel: channel(name), limit: 10, apart: 4 };
    let Reply::Work { puts, .. } = run(state, take) else { panic!("no work") };
    assert!(!puts.is_empty(), "nothing to write");
    let refused = || Outcome::Rejected { reason: "no such item".to_owned() };
    let answers = puts.into_iter().map(|(listing, put)| (listing, put.key, refused())).collect();
    run(state, Command::Answer { channel: channel(name), answers });
}

async fn read<T: serde::de::DeserializeOwned>(served: &Served, path: &str) -> T {
    serde_json::from_value(served.get(path).await).expect("the shape of the view")
}

#[tokio::test]
async fn what_was_begun_is_ended_although_who_asked_has_gone() {
    let (begun, go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait, over) = (begun.clone(), go.clone(), done.clone());
    let slow = async move || {
        tell.notify_one();
        wait.notified().await;
        over.notify_one();
    };
    let router = Router::new().route("/", post(slow)).layer(from_fn(to_its_end));
    let request = Request::post("/").body(Body::empty()).expect("a request");
    let asked = router.oneshot(request);
    tokio::select! {
        _ = asked => panic!("it waits"),
        () = begun.notified() => {}
    }
    go.notify_one();
    done.notified().await;
}

#[tokio::test]
async fn status_tells_each_channel_and_what_waits() {
    let mut state = opened();
    fed(&mut state);
    refuse(&mut state, "main");
    push(&mut state, "1001", "MUG", 2);
    push(&mut state, "1002", "CUP", 1);
    let served = serve(state, |_| {}).await;
    let status: Status = read(&served, "/v1/status").await;
    assert_eq!((status.instance.as_str(), status.skus, status.orders, status.unmatched), ("test", 2, 2, 1));
    assert_eq!((status.queued, status.uptime_ms, status.dead_letters), (3, 1_500, 1));
    assert_eq!(status.initialised_at.map(|at| at.millis()), Some(OPENED));
    let main = status.channels.iter().find(|c| c.channel.as_str() == "main").expect("it is configured");
    assert_eq!((main.kind.as_str(), main.listings, main.unmapped_orders), ("shopify", 2, 1));
    assert_eq!(main.legs.get("parked"), Some(&1), "{:?}", main.legs);
    assert_eq!(main.unconfirmed, 1, "the mug: {:?}", main.legs);
    assert_eq!(main.oldest_unconfirmed.as_ref().map(|oldest| oldest.sku.clone()), Some(sku("MUG")));
    assert_eq!(main.lag_ms, 60_000);
    let erp = status.channels.iter().find(|c| c.channel.as_str() == "erp").expect("it is configured");
    assert_eq!((erp.postings_waiting, erp.kind.as_str()), (1, "tryton"));
}

#[tokio::test]
async fn what_is_not_paused_is_said_to_be_so_when_it_is_to_go_on() {
    let served = serve(opened(), |_| {}).await;
    let resume = async |what: &str| served.post("/v1/resume", what).await["done"].clone();
    let (sku, main) = (r#"{"sku": "MUG"}"#, r#"{"channel": "main"}"#);
    assert_eq!(resume(sku).await, "SKU `MUG` is not paused; nothing was changed");
    assert_eq!(resume(main).await, "channel `main` is not paused; nothing was changed");
    served.post("/v1/pause", r#"{"sku": "MUG", "mode": "stopped"}"#).await;
    assert_eq!(resume(sku).await, "SKU `MUG` goes on");
    assert_eq!(resume(sku).await, "SKU `MUG` is not paused; nothing was changed");
}

#[tokio::test]
async fn a_pause_tells_what_becomes_of_bundles_and_a_merge_what_it_pauses() {
    let mut state = opened();
    let parts = vec![Part { sku: sku("MUG"), units: Quantity::new(2) }];
    run(&mut state, Command::Recipes { rows: vec![(sku("SET"), parts)] });
    let served = serve(state, |_| {}).await;
    let say =
        async |path: &str, body: &str| served.post(path, body).await["done"].as_str().map(str::to_owned);
    let said = say("/v1/pause", r#"{"sku": "MUG", "mode": "stopped"}"#).await.expect("done");
    assert!(said.ends_with("; so is what is made of it: `SET`"), "{said}");
    let told: SkuView = read(&served, "/v1/skus/SET").await;
    assert_eq!((told.paused, told.stopped_part), (None, Some(sku("MUG"))));
    let still = "SKU `SET` is not paused; nothing was changed; it shows none while `MUG`, which it is made of, is stopped";
    assert_eq!(say("/v1/resume", r#"{"sku": "SET"}"#).await.as_deref(), Some(still));
    let merge = json!({"from": "CUP", "into": "MUG", "dry_run": true}).to_string();
    let tried: Corrected = serde_json::from_value(served.post("/v1/merge", &merge).await).expect("the shape");
    assert!(tried.notes.iter().any(|note| note.starts_with("`MUG` is paused (stopped)")), "{tried:?}");
    let said = say("/v1/resume", r#"{"sku": "MUG"}"#).await;
    assert_eq!(said.as_deref(), Some("SKU `MUG` goes on; so does what is made of it: `SET`"));
    let told: SkuView = read(&served, "/v1/skus/SET").await;
    assert_eq!(told.stopped_part, None);
}

/// The desk of these tests reads nothing: whoever gets as far is told that no channel answers.
#[tokio::test]
async fn an_opening_count_that_makes_no_sense_is_refused_before_anything_is_read() {
    let mut state = configured();
    let mut policies = state.policies().expect("configured").clone();
    policies.locations.push("store".parse().expect("a name"));
    run(&mut state, Command::Configure(Box::new(policies)));
    let served = serve(state, |_| {}).await;
    let of = |place: &str| {
        let line = json!({"line": 2, "sku": "MUG", "location": place, "quantity": 4, "note": ""});
        json!({"lines": [line], "measure": "on_hand"}).to_string()
    };
    for path in ["/v1/count/opening/preview", "/v1/count/opening"] {
        let (_, told) = served.ask(Method::POST, path, &of("nowhere")).await;
        let unset = "the opening stock was not taken over yet, so nothing is written to any channel";
        assert_eq!(told["error"], format!("{unset}\nline 2: there is no location `nowhere`"), "{told}");
        assert!(told["next"].as_str().is_some_and(|next| next.contains("[[locations]]")), "{told}");
        served.refused(Method::POST, path, &of("warehouse"), 409, "`erp` counts location `warehouse`").await;
    }
    served.refused(Method::POST, "/v1/count/opening/preview", &of("store"), 502, "no answer").await;
}

#[tokio::test]
async fn what_a_person_ignores_is_not_counted_as_unmatched() {
    let served = serve(opened(), |_| {}).await;
    let status: Status = read(&served, "/v1/status").await;
    assert_eq!(status.unmatched, 1);
    served.post("/v1/map/ignore", r#"{"channel": "main", "ids": {"inventory_item": "13"}}"#).await;
    let status: Status = read(&served, "/v1/status").await;
    assert_eq!(status.unmatched, 0);
}

#[tokio::test]
async fn status_before_any_configuration_says_to_wait() {
    let served = serve(State::default(), |_| {}).await;
    served.refused(Method::GET, "/v1/status", "", 503, "configuration").await;
}

#[tokio::test]
async fn a_sku_is_found_by_its_encoded_name_with_balances_listings_and_entries() {
    let mut state = opened();
    push(&mut state, "1001", "TSHIRT/BL", 2);
    fed(&mut state);
    refuse(&mut state, "main");
    let served = serve(state, |_| {}).await;
    let view: SkuView = read(&served, "/v1/skus/TSHIRT%2FBL").await;
    let place = &view.stock[0];
    let balances = [place.on_hand, place.committed, place.reserved, place.available].map(|q| q.units());
    assert_eq!(balances, [10, 2, 0, 8]);
    assert_eq!(place.opened.as_ref().map(|opened| opened.counter.clone()), Some(channel("erp").into()));
    let listing = view.listings.iter().find(|l| l.channel.as_str() == "main").expect("it is listed");
    assert_eq!(listing.ids["inventory_item"], "11");
    assert_eq!((listing.state.as_deref(), listing.desired.map(|q| q.units())), (Some("parked"), Some(8)));
    assert_eq!(
        listing.dead_letter.as_ref().map(ToString::to_string).as_deref(),
        Some("leg:main:TSHIRT/BL:1")
    );
    assert!(listing.waits_for.as_deref().is_some_and(|why| why.contains("no such item")), "{listing:?}");
    let kinds: Vec<&str> = view.recent.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["count", "sale"]);
    assert_eq!(view.recent[1].order.as_ref().map(ToString::to_string).as_deref(), Some("main:1001"));
    assert_eq!(view.commits.len(), 2);
    served.refused(Method::GET, "/v1/skus/HAT", "", 404, "`HAT`").await;
    served.refused(Method::GET, "/v1/skus/%20HAT", "", 400, "white space").await;
}

#[tokio::test]
async fn an_order_tells_its_lines_and_what_each_erp_knows() {
    let mut state = opened();
    push(&mut state, "10/01", "MUG", 2);
    push(&mut state, "1002", "CUP", 1);
    let served = serve(state, |_| {}).await;
    let view: OrderView = read(&served, "/v1/orders/main/10%2F01").await;
    assert_eq!(view.name.as_deref(), Some("#10/01"));
    let line = &view.lines[0];
    assert_eq!((line.totals.ordered.units(), line.booked.ordered.units(), line.open.units()), (2, 2, 2));
    assert_eq!(line.bound.as_ref().map(|b| (b.sku.clone(), b.baseline)), Some((sku("MUG"), false)));
    assert_eq!(line.unmapped, None);
    let posting = &view.postings[0];
    assert_eq!((posting.channel.as_str(), posting.state.as_str()), ("erp", "pending"));
    assert_eq!(posting.reference, "test:main:10/01");
    let view: OrderView = read(&served, "/v1/orders/main/1002").await;
    assert_eq!(view.lines[0].unmapped.as_deref(), Some("no SKU has this code"));
    served.refused(Method::GET, "/v1/orders/main/9", "", 404, "`main:9`").await;
}

#[tokio::test]
async fn the_outbox_tells_what_has_not_arrived_and_why() {
    let mut state = opened();
    push(&mut state, "1001", "MUG", 2);
    let served = serve(state, |_| {}).await;
    let all: Outbox = read(&served, "/v1/outbox").await;
    let told: Vec<String> =
        all.rows.iter().map(|row| format!("{} {} {}", row.channel, row.subject, row.state)).collect();
    assert_eq!(
        told,
        ["erp main:1001 pending", "main MUG pending", "main TSHIRT/BL pending", "us MUG pending"]
    );
    assert!(!all.more);
    let mug = &all.rows[1];
    assert_eq!((mug.quantity.map(|q| q.units()), mug.age_ms), (Some(3), 60_000));
    assert_eq!(mug.why.as_deref(), Some("the channel's quantity and orders must be read first"));
    let some: Outbox = read(&served, "/v1/outbox?channel=main&limit=1").await;
    assert_eq!((some.rows.len(), some.more), (1, true));
    served.refused(Method::GET, "/v1/outbox?channel=nowhere", "", 404, "`nowhere`").await;
    served.refused(Method::GET, "/v1/outbox?limit=many", "", 400, "limit").await;
}

#[tokio::test]
async fn the_outbox_tells_that_a_circuit_is_open_also_of_what_is_looked_at() {
    let mut state = opened();
    fed(&mut state);
    let take = Command::Take { channel: channel("main"), limit: 10, apart: 4 };
    let Reply::Work { puts, .. } = run(&mut state, take) else { panic!("no work") };
    let lost = || Outcome::Unknown { fault: "lost".to_owned() };
    let answers = puts.into_iter().map(|(listing, put)| (listing, put.key, lost())).collect();
    run(&mut state, Command::Answer { channel: channel("main"), answers });
    let until = Timestamp::from_millis(OPENED).plus_millis(3_600_000);
    state.change_channel(&channel("main"), |row| {
        row.circuit = Circuit::Open { until, unauthorized: None, alone: false, failing: None };
    });
    let served = serve(state, |_| {}).await;
    let outbox: Outbox = read(&served, "/v1/outbox?channel=main").await;
    let probing = outbox.rows.iter().find(|row| row.state == "probing").expect("one has no answer");
    let why = "the channel's circuit is open, and nothing is looked at: the answer is not known; it is looked at \
               before it is sent again";
    assert_eq!(probing.why.as_deref(), Some(why));
}

#[tokio::test]
async fn in_shadow_the_outbox_tells_what_would_be_written() {
    let mut state = opened();
    let policies = state.policies.as_deref().cloned().expect("configured");
    run(&mut state, Command::Configure(Box::new(Policies { mode: Mode::Shadow, ..policies })));
    let served = serve(state, |_| {}).await;
    let outbox: Outbox = read(&served, "/v1/outbox?channel=main").await;
    assert!(outbox.shadow, "{outbox:?}");
    let told: Vec<String> = outbox
        .rows
        .iter()
        .map(|row| format!("{} {:?} {:?}", row.subject, row.shown.map(Quantity::units), row.why))
        .collect();
    // The mug shows what it should, so nothing would be written.
    let raised = "TSHIRT/BL Some(7) Some(\"shadow mode writes nothing; it would be raised by 3\")";
    assert_eq!(told, [raised]);
    let said = served.post("/v1/pause", r#"{"sku": "MUG", "mode": "stopped"}"#).await;
    assert!(said["done"].as_str().is_some_and(|said| said.contains("shadow mode")), "{said}");
}

#[tokio::test]
async fn dead_letters_are_listed_retried_and_discarded_by_their_id() {
    let mut state = opened();
    fed(&mut state);
    refuse(&mut state, "main");
    run(&mut state, count(&[("TSHIRT/BL", 0), ("MUG", 0)], false));
    run(
        &mut state,
        Command::Quarantine(Quarantined {
            channel: channel("main"),
            topic: "orders/create".to_owned(),
            id: Some("w7".to_owned()),
            why: "no line items".to_owned(),
            sha256: "ab".to_owned(),
            at: Timestamp::from_millis(OPENED),
        }),
    );
    let quarantined = format!("quarantine:{}", state.seq);
    let held = format!("count:{}", state.seq.0 - 1);
    let served = serve(state, |_| {}).await;
    let all: DeadLetters = read(&served, "/v1/dead-letters").await;
    let ids: Vec<String> = all.letters.iter().map(|letter| letter.id.to_string()).collect();
    assert_eq!(ids, [held.as_str(), quarantined.as_str(), "leg:main:TSHIRT/BL:1"]);
    assert!(all.letters[0].reason.contains("to zero"), "{:?}", all.letters[0]);

    served.post("/v1/dead-letters/leg%3Amain%3ATSHIRT%2FBL%3A1/retry", "").await;
    served.post(&format!("/v1/dead-letters/{quarantined}/discard"), "").await;
    served.post(&format!("/v1/dead-letters/{held}/retry"), "").await;
    let none: DeadLetters = read(&served, "/v1/dead-letters").await;
    assert_eq!(none.letters, []);
    let view: SkuView = read(&served, "/v1/skus/MUG").await;
    assert_eq!(view.stock[0].on_hand.units(), 0, "the held count was taken over");

    served.refused(Method::POST, "/v1/dead-letters/count:1/retry", "", 404, "`count:1`").await;
    served.refused(Method::POST, "/v1/dead-letters/letter:1/retry", "", 400, "`letter:1`").await;
    // The right listing on the wrong channel is none.
    served.refused(Method::POST, "/v1/dead-letters/leg:us:MUG:1/discard", "", 404, "leg:us:MUG:1").await;
}

#[tokio::test]
async fn dead_letters_are_dealt_with_by_channel_and_reason_and_tried_out_first() {
    let mut state = opened();
    fed(&mut state);
    refuse(&mut state, "main");
    run(&mut state, count(&[("TSHIRT/BL", 0), ("MUG", 0)], false));
    let served = serve(state, |_| {}).await;
    let all: DeadLetters = read(&served, "/v1/dead-letters").await;
    let of_main: DeadLetters = read(&served, "/v1/dead-letters?channel=main&reason=NO%20SUCH").await;
    assert_eq!((all.letters.len(), of_main.letters.len()), (2, 1));
    let letter = &of_main.letters[0];
    let told = (letter.tries, letter.command.as_str());
    assert_eq!(told, (1, "evenkeel dead-letters retry leg:main:TSHIRT/BL:1"));
    let bulk = async |verb: &str, body: &str| -> LettersDone {
        let told = served.post(&format!("/v1/dead-letters/{verb}"), body).await;
        serde_json::from_value(told).expect("the shape of the view")
    };
    let nothing = bulk("discard", r#"{"reason": "something else"}"#).await;
    assert_eq!(nothing.letters, []);
    let tried = bulk("retry", r#"{"all": true, "dry_run": true}"#).await;
    assert_eq!((tried.letters, tried.more), (of_main.letters.clone(), false));
    assert_eq!((tried.left_counts, tried.left_asked), (1, 0), "the held count is told of");
    let left: DeadLetters = read(&served, "/v1/dead-letters").await;
    assert_eq!(left, all, "a dry run does nothing");
    let done = bulk("retry", r#"{"channel": "main"}"#).await;
    assert_eq!(done.letters, of_main.letters);
    let left: DeadLetters = read(&served, "/v1/dead-letters").await;
    let kinds: Vec<&str> = left.letters.iter().map(|letter| letter.kind.as_str()).collect();
    assert_eq!(kinds, ["count"], "a held count is judged by itself");
    for body in ["{}", r#"{"all": true, "channel": "main"}"#] {
        served.refused(Method::POST, "/v1/dead-letters/retry", body, 400, "name a channel").await;
    }
    let nowhere = r#"{"channel": "nowhere"}"#;
    served.refused(Method::POST, "/v1/dead-letters/discard", nowhere, 404, "`nowhere`").await;
}

#[tokio::test]
async fn the_mapping_is_listed_in_pages_and_imported() {
    let mut state = opened();
    push(&mut state, "1002", "CUP", 1);
    let served = serve(state, |_| {}).await;
    let waiting: Mapping = read(&served, "/v1/map?unmatched=true").await;
    assert_eq!(waiting.unmatched[0].ids["inventory_item"], "13");
    assert_eq!(waiting.unmapped[0].ids["channel_sku"], "CUP");
    let first: Mapping = read(&served, "/v1/map?unmatched=true&limit=1").await;
    assert_eq!((first.unmatched.len(), first.unmapped.len(), first.next.as_deref()), (1, 0, Some("1")));
    let second: Mapping = read(&served, "/v1/map?unmatched=true&limit=1&after=1").await;
    assert_eq!((second.unmatched.len(), second.unmapped.len(), second.next), (0, 1, None));

    let rows = json!({"rows": [
        {"sku": "TSHIRT/BL", "channel": "main", "ids": {"inventory_item": "13"}},
        {"sku": "MUG", "channel": "main", "ids": {"channel_sku": "CUP"}},
    ]});
    let told = served.post("/v1/map", &rows.to_string()).await;
    assert_eq!([&told["rows"], &told["bound"], &told["unmatched"]], [&json!(2), &json!(1), &json!(0)]);
    assert_eq!([&told["effect"]["mapped_lines"], &told["effect"]["mapped_orders"]], [&json!(1), &json!(1)]);
    let waiting: Mapping = read(&served, "/v1/map?unmatched=true").await;
    assert_eq!((waiting.unmatched.len(), waiting.unmapped.len()), (0, 0));
    let view: SkuView = read(&served, "/v1/skus/MUG").await;
    assert_eq!(view.stock[0].committed.units(), 1, "the waiting line was booked");

    let table: Mapping = read(&served, "/v1/map").await;
    let from: Vec<Value> = table.rows.iter().map(|row| json!(row.from)).collect();
    assert_eq!(from, [json!("config"), json!("imported"), json!("imported")]);
    let page: Mapping = read(&served, "/v1/map?listings=true&limit=2").await;
    assert!(page.rows.iter().all(|row| row.sku == sku("MUG")), "{page:?}");
    let next = page.next.expect("there is another SKU");
    let rest: Mapping = read(&served, &format!("/v1/map?listings=true&after={next}")).await;
    assert_eq!((rest.rows.len(), rest.next), (3, None));
    let main: Mapping = read(&served, "/v1/map?listings=true&channel=us").await;
    assert_eq!(main.rows.len(), 1);
}

#[tokio::test]
async fn recipes_that_would_empty_too_much_are_held_until_a_person_confirms_them() {
    let mut state = opened();
    let read_at = Timestamp::from_millis(OPENED);
    let cup = |id: Option<&str>, shown: Option<i64>| {
        let ids = id.map(|id| (IdKind::InventoryItem, id));
        item(&[[(IdKind::Sku, "CUP")].as_slice(), ids.as_slice()].concat(), shown)
    };
    for (name, items) in [("erp", vec![cup(None, None)]), ("main", vec![cup(Some("14"), Some(3))])] {
        run(&mut state, Command::Catalogue { channel: channel(name), read_at, items, unread: vec![] });
    }
    run(&mut state, count(&[("CUP", 3)], false));
    let served = serve(state, |_| {}).await;
    let import = async |more: Value| -> Corrected {
        let rows =
            ["MUG", "CUP"].map(|sku| json!({"sku": sku, "parts": [{"sku": "TSHIRT/BL", "units": 99}]}));
        let mut body = json!({"rows": rows, "set_aside": true});
        body.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        serde_json::from_value(served.post("/v1/bundles", &body.to_string()).await)
            .expect("the shape of the view")
    };
    let held = import(json!({})).await;
    assert!(held.held.as_ref().is_some_and(|why| why.contains("on `main`")), "{held:?}");
    assert_eq!(import(json!({"dry_run": true})).await, Corrected { dry_run: true, ..held.clone() });
    let none: Bundles = read(&served, "/v1/bundles").await;
    assert_eq!(none.rows, []);
    let done = import(json!({"confirm": true})).await;
    assert_eq!((done.changed, done.held, done.effect), (2, None, held.effect));
    let all: Bundles = read(&served, "/v1/bundles").await;
    assert_eq!(all.rows.len(), 2);
}

#[tokio::test]
async fn rows_that_cannot_be_are_refused_and_nothing_is_imported() {
    let served = serve(opened(), |_| {}).await;
    for (body, status, says) in [
        (r#"{"rows": []}"#, 400, "no rows"),
        (r#"{"rows": [{"sku": "MUG", "channel": "main", "ids": {"upc": "1"}}]}"#, 400, "row 1"),
        (r#"{"rows": [{"sku": "MUG", "channel": "main", "ids": {}}]}"#, 400, "no identifier"),
        (r#"{"rows": [{"sku": "HAT", "channel": "us", "ids": {"asin": "B0XYZ12345"}}]}"#, 404, "HAT"),
        (r#"{"rows": [{"sku": "MUG", "channel": "us", "ids": {"asin": "B0"}}]}"#, 409, "ten characters"),
        (
            r#"{"rows": [{"sku": "MUG", "channel": "nowhere", "ids": {"asin": "B0XYZ12345"}}]}"#,
            404,
            "nowhere",
        ),
        (r#"{"rows": [{"sku": " ", "channel": "main", "ids": {}}]}"#, 400, "rows[0].sku"),
        (r#"{"row": []}"#, 400, "row"),
        ("no json", 400, "cannot be read"),
        (r#"{"rows": []} {"rows": []}"#, 400, "trailing characters"),
    ] {
        served.refused(Method::POST, "/v1/map", body, status, says).await;
    }
    let table: Mapping = read(&served, "/v1/map").await;
    assert_eq!(table.rows.len(), 1);
}

#[tokio::test]
async fn returned_units_wait_for_a_person() {
    let mut state = opened();
    let policies = state.policies().expect("configured").clone();
    run(&mut state, Command::Configure(Box::new(Policies { returns: Quarantine, ..policies })));
    let mut back = order("1001", "MUG", 2);
    back.lines[0].totals =
        Totals { fulfilled: Quantity::new(2), returned: Quantity::new(2), ..back.lines[0].totals };
    let delivery = DeliveryId::new("d-1001").expect("an id");
    let (orders, fetch, look) = (vec![back], Vec::new(), Vec::new());
    run(&mut state, Command::Push { channel: channel("main"), delivery, orders, fetch, look });
    let served = serve(state, |_| {}).await;
    let held: Returns = read(&served, "/v1/returns").await;
    assert_eq!(
        held.rows.iter().map(|row| (row.sku.clone(), row.reserved)).collect::<Vec<_>>(),
        [(sku("MUG"), Quantity::new(2))]
    );
    for (body, status, says) in [
        (r#"{"sku": "MUG", "fate": "sell"}"#, 400, "sell"),
        (r#"{"sku": "HAT", "fate": "restock"}"#, 404, "HAT"),
        (r#"{"sku": "TSHIRT/BL", "fate": "restock"}"#, 409, "no units"),
        (r#"{"sku": "MUG", "quantity": 3, "fate": "discard"}"#, 409, "only 2"),
        (r#"{"sku": "MUG", "quantity": -1, "fate": "discard"}"#, 422, "MUG"),
    ] {
        served.refused(Method::POST, "/v1/returns", body, status, says).await;
    }
    served.post("/v1/returns", r#"{"sku": "MUG", "quantity": 1, "fate": "discard", "note": "torn"}"#).await;
    let view: SkuView = read(&served, "/v1/skus/MUG").await;
    assert_eq!((view.stock[0].on_hand.units(), view.stock[0].reserved.units()), (4, 1));
}

#[tokio::test]
async fn a_row_and_an_ignore_of_what_is_bound_to_another_sku_say_so_and_name_the_command() {
    let served = serve(opened(), |_| {}).await;
    let row = |sku: &str| json!({"rows": [{"sku": sku, "channel": "main", "ids": {"inventory_item": "11"}}]});
    for dry_run in [true, false] {
        let mut asked = row("MUG");
        asked["dry_run"] = json!(dry_run);
        let told = served.post("/v1/map", &asked.to_string()).await;
        let note = told["notes"][0].as_str().expect("a note");
        assert!(
            note.contains("inventory_item=11 on `main` is a listing of SKU `TSHIRT/BL` already"),
            "{note}"
        );
        assert!(note.contains("`evenkeel rebind main inventory_item=11 MUG`"), "{note}");
    }
    let told = served.post("/v1/map", &row("TSHIRT/BL").to_string()).await;
    assert_eq!(told["notes"], json!(null), "it is its own");

    let mut asked = json!({"channel": "main", "ids": {"inventory_item": "11"}});
    let told = served.post("/v1/map/ignore", &asked.to_string()).await;
    let note = told["notes"][0].as_str().expect("a note");
    assert!(note.contains("is a listing of SKU `TSHIRT/BL`, and goes on as that"), "{note}");
    assert!(note.contains("`evenkeel rebind main inventory_item=11 SKU`"), "{note}");
    asked["undo"] = json!(true);
    assert_eq!(served.post("/v1/map/ignore", &asked.to_string()).await["notes"], json!(null));
}

#[tokio::test]
async fn a_listing_that_was_given_to_another_sku_is_told_of_with_that_one_alone() {
    let served = serve(opened(), |_| {}).await;
    let listed = async |of: &str| -> Vec<(String, u16)> {
        let view: SkuView = read(&served, &format!("/v1/skus/{of}")).await;
        view.listings.iter().map(|listing| (listing.channel.to_string(), listing.n)).collect()
    };
    let main = |listed: &[(String, u16)]| listed.iter().filter(|(channel, _)| channel == "main").count();
    let (shirt, mug) = (listed("TSHIRT%2FBL").await, listed("MUG").await);
    assert_eq!((main(&shirt), main(&mug)), (1, 1));
    let before: Mapping = read(&served, "/v1/map?listings=true&channel=main").await;
    let (all, of_main): (Status, _) = (read(&served, "/v1/status").await, before.rows.len());
    let rebind = json!({"channel": "main", "ids": {"inventory_item": "11"}, "sku": "MUG"});
    served.post("/v1/rebind", &rebind.to_string()).await;
    let (shirt, mug) = (listed("TSHIRT%2FBL").await, listed("MUG").await);
    assert_eq!((main(&shirt), main(&mug)), (0, 2), "{shirt:?} {mug:?}");
    let mapping: Mapping = read(&served, "/v1/map?listings=true&channel=main").await;
    assert_eq!(mapping.rows.len(), of_main);
    assert!(mapping.rows.iter().all(|row| row.sku == sku("MUG") && !row.ids.is_empty()), "{mapping:?}");
    let status: Status = read(&served, "/v1/status").await;
    let listings = |status: &Status| status.channels.iter().map(|of| of.listings).sum::<usize>();
    assert_eq!(listings(&status), listings(&all));
}

#[tokio::test]
async fn a_channel_or_a_sku_is_paused_and_resumed() {
    let served = serve(opened(), |_| {}).await;
    served.post("/v1/pause", r#"{"sku": "MUG", "mode": "stopped"}"#).await;
    let view: SkuView = read(&served, "/v1/skus/MUG").await;
    assert_eq!(json!(view.paused), json!("stopped"));
    assert!(view.listings.iter().filter_map(|l| l.desired).all(|q| q.units() == 0), "{:?}", view.listings);
    let status: Status = read(&served, "/v1/status").await;
    assert_eq!(json!(status.paused_skus), json!({"count": 1, "some": [{"sku": "MUG", "mode": "stopped"}]}));
    served.post("/v1/resume", r#"{"sku": "MUG"}"#).await;
    served.post("/v1/pause", r#"{"channel": "main", "mode": "frozen"}"#).await;
    let status: Status = read(&served, "/v1/status").await;
    assert_eq!(json!(status.paused_skus), json!({"count": 0, "some": []}));
    assert_eq!(
        json!(status.channels.iter().map(|c| c.paused).collect::<Vec<_>>()),
        json!([null, "frozen", null])
    );
    let outbox: Outbox = read(&served, "/v1/outbox?channel=main").await;
    assert!(outbox.rows[0].why.as_deref().is_some_and(|why| why.contains("frozen")), "{outbox:?}");

    for (path, body, status, says) in [
        ("/v1/pause", r#"{"mode": "frozen"}"#, 400, "either"),
        ("/v1/pause", r#"{"channel": "main", "sku": "MUG", "mode": "frozen"}"#, 400, "either"),
        ("/v1/pause", r#"{"sku": "HAT", "mode": "frozen"}"#, 404, "HAT"),
        ("/v1/pause", r#"{"sku": "MUG", "mode": "asleep"}"#, 400, "asleep"),
        ("/v1/resume", r#"{"channel": "nowhere"}"#, 404, "nowhere"),
    ] {
        served.refused(Method::POST, path, body, status, says).await;
    }
}

#[tokio::test]
async fn a_poll_wakes_one_channel_or_all() {
    let served = serve(opened(), |_| {}).await;
    served.post("/v1/poll", r#"{"channel": "us"}"#).await;
    served.post("/v1/poll", "").await;
    let polled: Vec<String> =
        served.desk.polled.lock().expect("unpoisoned").iter().map(ToString::to_string).collect();
    assert_eq!(polled, ["us", "erp", "main", "us"]);
    served.refused(Method::POST, "/v1/poll", r#"{"channel": "nowhere"}"#, 404, "nowhere").await;
}

#[tokio::test]
async fn alerts_are_listed_with_the_firing_ones_first() {
    let mut state = opened();
    push(&mut state, "1002", "CUP", 1);
    let served = serve(state, |_| {}).await;
    assert_eq!(served.get("/v1/alerts").await, json!({"alerts": []}));
    served.desk.do_now(Command::Tick);
    let alerts = served.get("/v1/alerts").await;
    let kinds: Vec<&str> =
        alerts["alerts"].as_array().expect("a list").iter().filter_map(|a| a["kind"].as_str()).collect();
    assert_eq!(kinds, ["late", "late", "unmapped"], "{alerts}");
    assert_eq!(alerts["alerts"][2]["subject"], "main");
    assert_eq!(alerts["alerts"][2]["firing"], true);
}

#[tokio::test]
async fn a_checkpoint_tells_where_it_is_and_the_hash_there() {
    let served = serve(opened(), |_| {}).await;
    let seq = served.desk.state.lock().expect("unpoisoned").seq;
    assert_eq!(served.post("/v1/checkpoint", "").await, json!({"seq": seq, "head": "abc123"}));
    *served.desk.stopping.lock().expect("unpoisoned") = true;
    served.refused(Method::POST, "/v1/checkpoint", "", 503, "stopping").await;
}

#[tokio::test]
async fn what_goes_wrong_with_the_opening_stock_is_told_with_its_own_status() {
    let served = serve(configured(), |_| {}).await;
    served.refused(Method::POST, "/v1/init/preview", r#"{"from": "erp"}"#, 502, "`erp`").await;
    served.refused(Method::POST, "/v1/init/apply", r#"{"from": "erp"}"#, 409, "already").await;
    served.refused(Method::POST, "/v1/init/apply", "", 400, "from").await;
}

#[tokio::test]
async fn what_is_not_part_of_the_api_is_told_in_its_own_words() {
    let served = serve(opened(), |_| {}).await;
    served.refused(Method::GET, "/v2/status", "", 404, "`GET /v2/status`").await;
    served.refused(Method::DELETE, "/v1/status", "", 404, "`DELETE /v1/status`").await;
}

#[tokio::test]
async fn many_skus_are_counted_in_portions() {
    let mut state = configured();
    let items =
        (0..11_000).map(|n| super::world::item(&[(crate::model::IdKind::Sku, &format!("S{n:05}"))], None));
    let read_at = Timestamp::from_millis(OPENED);
    run(
        &mut state,
        Command::Catalogue { channel: channel("erp"), read_at, items: items.collect(), unread: vec![] },
    );
    assert!(state.seq > Seq(1));
    let served = serve(state, |_| {}).await;
    let status: Status = read(&served, "/v1/status").await;
    let erp = status.channels.iter().find(|c| c.channel.as_str() == "erp").expect("it is configured");
    assert_eq!((status.skus, erp.listings), (11_000, 11_000));
}

#[tokio::test]
async fn what_is_in_quarantine_is_listed_shown_and_given_up_with_a_reason() {
    let mut state = opened();
    for topic in ["orders/create", "orders"] {
        let (channel, why) = (channel("main"), "it is no order".to_owned());
        let (topic, sha256, at) = (topic.to_owned(), "ab".repeat(32), Timestamp::from_millis(OPENED));
        run(&mut state, Command::Quarantine(Quarantined { channel, topic, id: None, why, sha256, at }));
    }
    let served = serve(state, |_| {}).await;
    let all = served.get("/v1/quarantine").await;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2), "{all}");
    let one = served.get("/v1/quarantine?topic=orders").await;
    let id = one["items"][0]["id"].clone();
    assert_eq!((one["items"].as_array().map(Vec::len), &one["items"][0]["kept"]), (Some(1), &json!(true)));
    let shown = served.get(&format!("/v1/quarantine/{id}")).await;
    assert_eq!((&shown["text"], &shown["intact"]), (&json!("{}"), &json!(false)), "its digest is another");
    for (body, status) in [
        (json!({"meant": {"ids": [id]}, "reason": " "}), 400),
        (json!({"meant": {}, "reason": "why"}), 400),
        (json!({"meant": {"ids": [id], "all": true}, "reason": "why"}), 400),
        (json!({"meant": {"ids": [999_999]}, "reason": "why"}), 404),
        (json!({"meant": {"ids": [id]}, "reason": "why", "dry_run": true}), 200),
        (json!({"meant": {"ids": [id]}, "reason": "why", "by": "ann"}), 200),
        (json!({"meant": {"ids": [id]}, "reason": "why"}), 404),
    ] {
        let (told, said) = served.ask(Method::POST, "/v1/quarantine/discard", &body.to_string()).await;
        assert_eq!(told.as_u16(), status, "{body} {said}");
    }
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_told_apart_from_all_else() {
    let served = serve(opened(), |_| {}).await;
    let (status, told) = served.ask(Method::POST, "/v1/reload", "").await;
    assert_eq!((status.as_u16(), &told["error"]), (412, &json!("evenkeel.toml:1:1: nothing is right")));
}

#[tokio::test]
async fn what_is_ignored_is_told_with_how_much_of_it_waits() {
    let mut state = opened();
    push(&mut state, "7", "GIFT", 1);
    let served = serve(state, |_| {}).await;
    for (code, waiting) in [("GIFT", 1), ("GIFT", 0), ("GFIT", 0)] {
        let asked = json!({"channel": "main", "ids": {"channel_sku": code}});
        let done = served.post("/v1/map/ignore", &asked.to_string()).await;
        assert_eq!(
            (&done["waiting"], &done["dry_run"]),
            (&json!(waiting), &json!(false)),
            "{code}: {done:#}"
        );
    }
}
