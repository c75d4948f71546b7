//! A shop is looked after: tokens that end, subscriptions that Shopify deletes, an app that is taken out, a version that is
//! retired.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    alerts::{Heard, hears, receiver},
    live::{Home, Live},
    support::{World, order, text, until_empty, writes},
};

/// A daemon at rest that a shop knows as an app, and whose alerts are heard.
struct Scene {
    world: World,
    home: Home,
    live: Live,
    heard: Heard,
    sku: String,
}

/// How a shop's orders are read and all is compared, and what takes its place where nothing but a push, or tending it, is
/// to lead to a read.
const OFTEN: [(&str, &str); 2] = [
    ("[reconcile]\nevery = \"5s\"", "[reconcile]\nevery = \"1h\""),
    (
        "orders_every = \"2s\"\norders_overlap = \"5s\"\ntimeout = \"5s\"\nconnect_timeout = \"2s\"\n\n[channels.shopify.shop.assume]",
        "orders_every = \"1h\"\norders_overlap = \"5s\"\ntimeout = \"5s\"\nconnect_timeout = \"2s\"\n\n[channels.shopify.shop.assume]",
    ),
];

impl Scene {
    async fn set(token_secs: u64, change: impl FnOnce(&Home)) -> Scene {
        let world = World::start(|options| options.shopify.token_secs = token_secs).await;
        let home = Home::new(&world).await;
        let (url, heard) = receiver().await;
        home.configure("after_tries = 8", &format!("after_tries = 8\nwebhook_url = \"{url}\""));
        let (dir, web) = (home.dir.path().display().to_string(), home.web.clone());
        home.configure(
            &format!(
                "access_token = {{ file = \"{dir}/shopify-token\" }}\nwebhook_secrets = [{{ file = \"{dir}/shopify-webhook\" }}]"
            ),
            &format!(
                "client_id = \"sandbox-client\"\nclient_secret = {{ file = \"{dir}/shopify-webhook\" }}"
            ),
        );
        let listen = format!("listen = \"{web}\"");
        home.configure(&listen, &format!("{listen}\npublic_url = \"http://{web}\""));
        change(&home);
        let live = home.serve().await;
        home.ask(&["init", "--from", "erp", "--yes"]).await.json();
        home.settle(&world).await;
        let sku = text(&world.get("books").await["skus"][0]["sku"]).to_owned();
        Scene { world, home, live, heard, sku }
    }

    async fn app(&self, body: Value) -> Value {
        self.world.post("app", body).await
    }

    /// Waits until the app is subscribed to all that is followed.
    async fn subscribed(&self) {
        until_empty("all topics are subscribed to", async || {
            let report = self.world.get("app").await;
            let all = report["subscriptions"].as_array().expect("a list");
            let topics: BTreeSet<&str> = all.iter().map(|there| text(&there["topic"])).collect();
            let here = all.iter().all(|there| there["uri"] == self.home.hooks());
            if topics.len() == 13 && here { vec![] } else { vec![report.to_string()] }
        })
        .await;
    }

    /// Waits until an order of the shop is booked.
    async fn booked(&self, order: &str) {
        until_empty("the order is booked", async || {
            let told = self.home.ask(&["order", "shop", order]).await;
            if told.code == Some(0) { vec![] } else { vec![told.err] }
        })
        .await;
    }

    async fn end(self) {
        self.home.settle(&self.world).await;
        self.live.stop().await;
        self.home.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_end_and_tokens_that_are_revoked_hold_nothing_up() {
    let scene = Scene::set(2, |_| {}).await;
    scene.world.post("shop", json!({"orders": 20, "per_second": 10.0})).await;
    for _ in 0..3 {
        scene.app(json!({"revoke": true})).await;
        order(&scene.world, "amazon", &scene.sku, 1).await;
        scene.home.settle(&scene.world).await;
    }
    let alerts = scene.home.ask(&["alerts"]).await.json();
    let alerts = alerts["alerts"].as_array().expect("a list").iter();
    let stopped: Vec<&Value> = alerts.filter(|alert| alert["subject"] == "shop").collect();
    assert_eq!(stopped, Vec::<&Value>::new());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_ordered_while_subscriptions_were_gone_is_booked_when_they_are_made_anew() {
    let scene = Scene::set(86_399, |home| {
        OFTEN.iter().for_each(|(from, to)| home.configure(from, to));
        home.configure("[reconcile]", "[tend]\nevery = \"1s\"\n\n[reconcile]");
    })
    .await;
    scene.subscribed().await;
    let told = scene.home.ask(&["check", "--online"]).await;
    assert!(told.out.contains("13 of 13 webhook topics are subscribed to"), "{told:#?}");
    // By webhook.
    let first = order(&scene.world, "shopify", &scene.sku, 1).await;
    scene.booked(&first).await;
    scene.home.settle(&scene.world).await;
    // Not by webhook.
    scene.world.post("faults", json!({"faults": ["webhooks-dropped=100%"]})).await;
    let second = order(&scene.world, "shopify", &scene.sku, 1).await;
    until_empty("its webhooks are lost", async || {
        let quiet = scene.world.get("quiet").await;
        if quiet["webhooks"] == 0 { vec![] } else { vec![quiet.to_string()] }
    })
    .await;
    scene.world.post("faults", json!({"faults": ["none"]})).await;
    let unread = scene.home.ask(&["order", "shop", &second]).await;
    assert_eq!(unread.code, Some(4), "nobody has told of it: {unread:#?}");
    scene.app(json!({"unsubscribe": true})).await;
    scene.booked(&second).await;
    scene.subscribed().await;
    hears(&scene.heard, "shop/webhooks", "notice", &["firing"]).await;
    let status = scene.home.ask(&["status"]).await.json();
    let notices = status["channels"].as_array().expect("a list").iter().find(|it| it["channel"] == "shop");
    let told = text(&notices.expect("the shop")["notices"][0]["text"]).to_owned();
    assert!(told.contains("subscriptions were gone"), "{told}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_taken_out_stops_its_lane_and_goes_on_when_it_is_back() {
    let scene = Scene::set(86_399, |home| OFTEN.iter().for_each(|(from, to)| home.configure(from, to))).await;
    scene.subscribed().await;
    // Nothing is read by now but on a push.
    scene.app(json!({"installed": false})).await;
    hears(&scene.heard, "shop", "lane_stopped", &["firing"]).await;
    let alerts = scene.home.ask(&["alerts"]).await.json();
    let mut all = alerts["alerts"].as_array().expect("a list").iter();
    let why = all.find(|alert| alert["kind"] == "lane_stopped").expect("it is told");
    assert!(text(&why["text"]).contains("`app_not_installed`"), "{why}");
    // What is sold meanwhile waits.
    order(&scene.world, "amazon", &scene.sku, 1).await;
    scene.app(json!({"installed": true})).await;
    scene.subscribed().await;
    hears(&scene.heard, "shop", "lane_stopped", &["firing", "recovered"]).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_retired_stops_writes_and_no_reads() {
    let scene = Scene::set(86_399, |_| {}).await;
    scene.app(json!({"versions": ["2027-01", "2027-04"]})).await;
    hears(&scene.heard, "shop/version", "notice", &["firing"]).await;
    let shop = |all: &[Value]| all.iter().filter(|change| change["channel"] == "shopify").count();
    let before = shop(&writes(&scene.world).await);
    order(&scene.world, "amazon", &scene.sku, 1).await;
    let sold = order(&scene.world, "shopify", &scene.sku, 1).await;
    scene.booked(&sold).await;
    until_empty("it says why it waits", async || {
        let outbox = scene.home.ask(&["outbox", "--channel", "shop"]).await.out;
        if outbox.contains("nothing is written there: API version `2027-01`") { vec![] } else { vec![outbox] }
    })
    .await;
    assert_eq!(shop(&writes(&scene.world).await), before);
    scene.app(json!({"versions": ["2026-10", "2027-01"]})).await;
    hears(&scene.heard, "shop/version", "notice", &["firing", "recovered"]).await;
    scene.end().await;
}

/// The daemon is down for longer than Shopify tries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_that_failed_while_nobody_was_there_are_made_anew_at_the_start() {
    let Scene { world, home, live, heard, sku } =
        Scene::set(86_399, |home| OFTEN.iter().for_each(|(from, to)| home.configure(from, to))).await;
    live.stop().await;
    let missed = order(&world, "shopify", &sku, 1).await;
    until_empty("Shopify has deleted what failed", async || {
        let report = world.get("app").await;
        let all = report["subscriptions"].as_array().expect("a list");
        let left: Vec<String> =
            all.iter().filter(|it| it["topic"] == "ORDERS_CREATE").map(Value::to_string).collect();
        left
    })
    .await;
    let live = home.serve().await;
    let scene = Scene { world, home, live, heard, sku };
    scene.subscribed().await;
    scene.booked(&missed).await;
    scene.end().await;
}
