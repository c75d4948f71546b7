//! Amazon's notifications through the queue: taken in before they are deleted, never twice, and not needed.

use std::{collections::BTreeSet, os::unix::process::ExitStatusExt};

use evenkeel::sandbox::Span;
use serde_json::{Value, json};

use crate::{
    live::{Home, Live},
    support::{World, number, order, secret, text, until_empty},
};

/// Where a queue is, and the key that reads it.
pub(crate) struct Queue {
    pub url: String,
    pub region: String,
    pub key: [String; 2],
}

impl Queue {
    /// Returns the sandbox's.
    pub(crate) async fn of(world: &World) -> Queue {
        let told = world.get("systems").await["queue"].clone();
        let text = |key: &str| text(&told[key]).to_owned();
        Queue {
            url: text("url"),
            region: text("region"),
            key: [text("access_key_id"), text("secret_access_key")],
        }
    }

    /// Has the daemon read it.
    pub(crate) fn configure(&self, home: &Home) {
        let Queue { url, region, key: [id, key] } = self;
        let path = secret(home.dir.path(), "queue-key", key);
        let table = format!(
            "[channels.amazon.market.queue]\nurl = \"{url}\"\nregion = \"{region}\"\naccess_key_id = \"{id}\"\n\
             secret_access_key = {{ file = \"{}\" }}\n\n[channels.amazon.market.assume]",
            path.display()
        );
        home.configure("[channels.amazon.market.assume]", &table);
    }
}

/// A sandbox of which nothing but notifications tells Amazon's orders.
async fn silent() -> World {
    World::start(|options| options.amazon.order_lag_ms = 3_600_000).await
}

/// A daemon that reads the sandbox's queue, opened, and subscribed to what it follows.
async fn opened(world: &World) -> (Home, Live) {
    let home = Home::new(world).await;
    Queue::of(world).await.configure(&home);
    let online = home.ask(&["check", "--online"]).await.json().to_string();
    for fact in ["the queue can be read", "ORDER_CHANGE will be subscribed to when the daemon starts"] {
        assert!(online.contains(fact), "{online}");
    }
    let live = home.open(world).await;
    subscribed(world, &["ORDER_CHANGE"]).await;
    (home, live)
}

/// Waits until these types are subscribed to.
async fn subscribed(world: &World, kinds: &[&str]) {
    until_empty("it is subscribed to", async || {
        let told = world.get("queue").await["subscribed"].clone();
        if told == json!(kinds) { vec![] } else { vec![told.to_string()] }
    })
    .await;
}

/// Waits until the queue has nothing that is not deleted.
async fn drained(world: &World) -> Value {
    until_empty("all is deleted", async || {
        let told = world.get("queue").await;
        if told["waiting"] == 0 && told["hidden"] == 0 { vec![] } else { vec![told.to_string()] }
    })
    .await;
    world.get("queue").await
}

/// Returns how many units of a SKU are sold and not shipped, by the daemon.
pub(crate) async fn committed(home: &Home, sku: &str) -> i64 {
    held(home, sku, "committed").await
}

async fn held(home: &Home, sku: &str, what: &str) -> i64 {
    let told = home.ask(&["sku", sku]).await.json();
    told["stock"].as_array().into_iter().flatten().map(|place| number(&place[what])).sum()
}

async fn until_committed(home: &Home, sku: &str, units: i64) {
    until_empty("it is booked", async || match committed(home, sku).await {
        booked if booked == units => vec![],
        booked => vec![format!("{booked} are booked"), home.log()],
    })
    .await;
}

/// Returns what the shop and Amazon show of a SKU.
async fn shown(world: &World, sku: &str) -> [i64; 2] {
    let books = world.get("books").await;
    let all = books["skus"].as_array().expect("a list");
    let one = all.iter().find(|book| book["sku"] == sku).expect("it is in the books");
    ["shopify", "amazon"].map(|system| number(&one[system]["shown"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_only_a_notification_tells_is_booked_and_lowers_the_shop() {
    let world = silent().await;
    let (home, live) = opened(&world).await;
    let sku = "TSHIRT-BL-M";
    let [before, _] = shown(&world, sku).await;
    let id = order(&world, "amazon", sku, 2).await;
    until_committed(&home, sku, 2).await;
    until_empty("the shop shows it", async || match shown(&world, sku).await {
        [shop, _] if shop == before - 2 => vec![],
        other => vec![format!("{other:?}")],
    })
    .await;
    // What a cancellation frees is told by the order itself.
    world.post("cancel", json!({"channel": "amazon", "order": id})).await;
    until_committed(&home, sku, 0).await;
    let told = home.ask(&["order", &format!("market:{id}")]).await.json();
    assert_eq!(number(&told["lines"][0]["totals"]["released"]), 2, "{told:#}");
    let other = order(&world, "amazon", sku, 1).await;
    until_committed(&home, sku, 1).await;
    until_empty("it can be shipped", async || {
        let asked = json!({"channel": "amazon", "order": other});
        let status = world.try_post("fulfil", asked).await;
        if status.is_success() { vec![] } else { vec![status.to_string()] }
    })
    .await;
    until_committed(&home, sku, 0).await;
    let told = drained(&world).await;
    assert!(number(&told["deleted"]) >= 5, "{told}");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_and_late_ones_book_nothing_twice() {
    let world = World::start(|options| {
        options.amazon.cancelled_zeroed_share = 0.0;
        options.shoppers.amazon_share = 1.0;
        options.catalogue.opening = Span { min: 40, max: 60 };
    })
    .await;
    let (home, live) = opened(&world).await;
    let faults =
        ["webhooks-duplicated=50%", "webhooks-reordered=50%", "queue-lost-answers=10%", "queue-errors=10%"];
    world.post("faults", json!({"faults": faults})).await;
    world.post("shop", json!({"orders": 40, "per_second": 40.0})).await;
    home.settle(&world).await;
    let told = drained(&world).await;
    let orders = world.get("books").await["orders"]["amazon"].clone();
    assert!(number(&told["deleted"]) > number(&orders), "{told}, {orders} orders");
    for book in world.get("books").await["skus"].as_array().expect("a list") {
        let sku = text(&book["sku"]);
        let ours = [held(&home, sku, "on_hand").await, committed(&home, sku).await];
        assert_eq!(ours, [number(&book["physical"]), number(&book["committed"])], "{sku}");
    }
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_dies_between_receiving_and_deleting_and_loses_nothing() {
    let world = silent().await;
    let (home, live) = opened(&world).await;
    live.stop().await;
    let sku = "TSHIRT-BL-S";
    let live = home.start(Some("before_delete"));
    let mut placed = false;
    let ended = live
        .dies(async || {
            if !placed {
                order(&world, "amazon", sku, 3).await;
                placed = true;
            }
        })
        .await;
    assert_eq!(ended.signal(), Some(6), "{ended}");
    let told = world.get("queue").await;
    assert_eq!(told["deleted"], 0, "nothing was deleted: {told}");
    let live = home.serve().await;
    drained(&world).await;
    assert_eq!(committed(&home, sku).await, 3);
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_queue_orders_are_searched_for() {
    let world = World::start(|_| {}).await;
    let (home, live) = opened(&world).await;
    world.post("faults", json!({"faults": ["queue-outage=10m"]})).await;
    let sku = "TSHIRT-BL-M";
    order(&world, "amazon", sku, 2).await;
    until_committed(&home, sku, 2).await;
    let told = world.get("queue").await;
    assert_eq!(told["deleted"], 0, "{told}");
    world.post("faults", json!({"faults": ["none"]})).await;
    home.settle(&world).await;
    drained(&world).await;
    assert_eq!(committed(&home, sku).await, 2);
    live.stop().await;
    home.verify().await;
}

/// Returns the notices of Amazon's channel.
async fn notices(home: &Home) -> Vec<String> {
    let told = home.ask(&["alerts"]).await.json();
    let alerts = told["alerts"].as_array().cloned().unwrap_or_default().into_iter();
    alerts.filter(|alert| alert["kind"] == "notice").map(|alert| alert["text"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_read_the_queue_is_told_and_nothing_else_stops() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let queue = Queue { key: ["AKIAOTHER".to_owned(), "x".to_owned()], ..Queue::of(&world).await };
    queue.configure(&home);
    let online = home.ask(&["check", "--online"]).await;
    assert!(online.out.contains("queue: credentials refused"), "{online:#?}");
    let live = home.open(&world).await;
    until_empty("a person is told", async || {
        let told = notices(&home).await;
        let found = told.iter().any(|text| text.contains("the queue of notifications cannot be read"));
        if found { vec![] } else { told.into_iter().chain([home.log()]).collect() }
    })
    .await;
    order(&world, "amazon", "TSHIRT-BL-M", 1).await;
    home.settle(&world).await;
    assert_eq!(committed(&home, "TSHIRT-BL-M").await, 1);
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_kept_and_what_is_of_others_is_left() {
    let world = silent().await;
    let (home, live) = opened(&world).await;
    let other = json!({
        "NotificationType": "ORDER_CHANGE",
        "Payload": {"OrderChangeNotification": {"SellerId": "A0OTHER", "AmazonOrderId": "902-0-0"}},
        "NotificationMetadata": {"NotificationId": "n-other"},
    });
    for body in ["no JSON".to_owned(), "{}".to_owned(), other.to_string()] {
        world.post_text("queue", &body).await;
    }
    drained(&world).await;
    let kept = home.ask(&["quarantine", "list"]).await.json();
    let topics = kept["items"].as_array().expect("a list").iter().map(|row| text(&row["topic"]));
    assert_eq!(topics.collect::<Vec<_>>(), ["notification", "notification"], "{kept:#}");
    let figures = home.figures().await;
    let results: BTreeSet<&str> = figures
        .lines()
        .filter(|line| line.contains("channel=\"market\"") && line.contains("result=\"not_followed\""))
        .collect();
    assert!(!results.is_empty(), "{figures}");
    // A sale goes on meanwhile.
    order(&world, "amazon", "TSHIRT-BL-M", 1).await;
    until_committed(&home, "TSHIRT-BL-M", 1).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_amazons_own_warehouse_follows_and_the_merchants_does_not() {
    let world = silent().await;
    let home = Home::new(&world).await;
    Queue::of(&world).await.configure(&home);
    home.configure("id = \"warehouse\"\n", "id = \"warehouse\"\n\n[[locations]]\nid = \"fba\"\n");
    // Read once at the start, and then only when something is told.
    let both =
        "locations = [\"warehouse\"]\nfba_location = \"fba\"\nfba_every = \"7d\"\norders_every = \"2s\"";
    home.configure("locations = [\"warehouse\"]\norders_every = \"2s\"", both);
    let live = home.open(&world).await;
    subscribed(&world, &["FBA_INVENTORY_AVAILABILITY_CHANGES", "ORDER_CHANGE"]).await;
    let sku = "TSHIRT-BL-M";
    let fba = async || {
        let told = home.ask(&["sku", sku]).await.json();
        let places = told["stock"].as_array().cloned().unwrap_or_default();
        let own = places.into_iter().find(|place| place["location"] == "fba");
        own.map(|own| [number(&own["on_hand"]), number(&own["committed"])])
    };
    let until = async |want: [i64; 2]| {
        until_empty("the books of Amazon's warehouse agree", async || match fba().await {
            Some(held) if held == want => vec![],
            other => vec![format!("{other:?} is not {want:?}"), home.log()],
        })
        .await;
    };
    let start = number(&world.get("books").await["skus"][0]["fba"]["fulfillable"]);
    until([start, 0]).await;
    let lines = json!([{"sku": sku, "quantity": 2}]);
    let placed = world.post("order", json!({"channel": "amazon", "lines": lines, "fba": true})).await;
    until([start, 2]).await;
    until_empty("it can be shipped", async || {
        let status = world.try_post("fulfil", json!({"channel": "amazon", "order": placed["order"]})).await;
        if status.is_success() { vec![] } else { vec![status.to_string()] }
    })
    .await;
    until([start - 2, 0]).await;
    assert_eq!(world.get("books").await["fba_violations"], 0);
    live.stop().await;
    home.verify().await;
}
