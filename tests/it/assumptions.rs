//! A channel that is later than is assumed of it: a person hears of it, and that it is over once more is assumed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use evenkeel::sandbox::Options;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    alerts::{Heard, hears, receiver},
    drift::known,
    live::{Home, Live},
    support::{World, number, order, text, until_empty},
    tryton::proxy::{Fate, Proxy},
};

/// What is assumed of Amazon by the configuration.
const ASSUMED: &str = "[channels.amazon.market.assume]\nlate = \"5s\"\nstale = \"0s\"\nfeed_lag = \"1s\"";

/// What takes its place.
fn assumed(late: &str, feed_lag: &str) -> String {
    ASSUMED.replace("5s", late).replace("1s", feed_lag)
}

/// A daemon at rest whose alerts are heard, and the first SKU.
struct Scene {
    channel: &'static str,
    world: World,
    home: Home,
    live: Live,
    heard: Heard,
    sku: String,
}

impl Scene {
    async fn set(channel: &'static str, world: World, change: impl FnOnce(&Home)) -> Scene {
        let home = Home::new(&world).await;
        let (url, heard) = receiver().await;
        home.configure("after_tries = 8", &format!("after_tries = 8\nwebhook_url = \"{url}\""));
        change(&home);
        let live = home.open(&world).await;
        home.settle(&world).await;
        known(&home).await;
        let sku = text(&world.get("books").await["skus"][0]["sku"]).to_owned();
        Scene { channel, world, home, live, heard, sku }
    }

    /// Expects that people are told of this assumption, in these words, and of none besides.
    async fn is_broken(&self, assumption: &str, words: &str) {
        hears(&self.heard, self.channel, "assumption_broken", &["firing"]).await;
        let told = self.home.ask(&["alerts"]).await.json();
        let mut alerts = told["alerts"].as_array().expect("a list").iter();
        let alert = alerts.find(|alert| alert["kind"] == "assumption_broken").expect("it is told");
        assert!(alert["subject"] == self.channel && text(&alert["text"]).contains(words), "{alert:#}");
        let status = self.home.ask(&["status"]).await.json();
        let channels = status["channels"].as_array().expect("a list").iter();
        let assumed = channels.flat_map(|channel| channel["assumptions"].as_array().into_iter().flatten());
        let broken = assumed.filter(|assumed| number(&assumed["broken"]) > 0);
        let broken: Vec<&Value> = broken.collect();
        assert!(broken.len() == 1 && broken[0]["name"] == assumption, "{broken:#?}");
        let figure = format!(
            "evenkeel_assumptions_broken_total{{channel=\"{}\",assumption=\"{assumption}\"}} {}\n",
            self.channel, broken[0]["broken"]
        );
        let figures = self.home.figures().await;
        assert!(figures.contains(&figure), "{figure}: {figures}");
    }

    /// Assumes more from here on, and expects that people hear that it is over.
    async fn assume_more(self, from: &str, to: &str) {
        self.home.settle(&self.world).await;
        self.home.configure(from, to);
        let told = self.home.ask(&["reload"]).await.json();
        assert_eq!(told["done"], true, "{told:#}");
        hears(&self.heard, self.channel, "assumption_broken", &["firing", "recovered"]).await;
        self.home.settle(&self.world).await;
        self.live.stop().await;
        self.home.verify().await;
    }
}

fn shelves(options: &mut Options) {
    options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 40 };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_hides_from_the_feed_for_longer_than_is_assumed_breaks_a_fence() {
    // Five seconds are put down to clocks that differ.
    let world = World::start(|options| {
        shelves(options);
        options.amazon.order_lag_ms = 20_000;
    })
    .await;
    let (low, high) = (assumed("5s", "0s"), assumed("5s", "1m"));
    let scene = Scene::set("market", world, |home| home.configure(ASSUMED, &low)).await;
    order(&scene.world, "amazon", &scene.sku, 2).await;
    scene.is_broken("feed_lag", "fence broken").await;
    scene.assume_more(&low, &high).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_lands_after_it_was_given_up_for_good_was_later_than_is_assumed() {
    let world = World::start(shelves).await;
    let amazon = text(&world.get("systems").await["amazon"]["base_url"]).to_owned();
    let (hold, landing) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let proxy = {
        let (hold, landing) = (Arc::clone(&hold), Arc::clone(&landing));
        let rule = move |line: &str| match line.starts_with("PATCH ") && hold.swap(false, Ordering::SeqCst) {
            true => Fate::Hold(Arc::clone(&landing)),
            false => Fate::Pass,
        };
        Proxy::start(&amazon, rule).await
    };
    let (low, high) = (assumed("1s", "1s"), assumed("1m", "1s"));
    let scene = Scene::set("market", world, |home| {
        home.configure(&format!("base_url = \"{amazon}\""), &format!("base_url = \"{}\"", proxy.base_url));
        home.configure(ASSUMED, &low);
    })
    .await;

    hold.store(true, Ordering::SeqCst);
    let sold = order(&scene.world, "shopify", &scene.sku, 2).await;
    until_empty("a write is held up on its way", async || {
        if hold.load(Ordering::SeqCst) { vec!["not yet".to_owned()] } else { vec![] }
    })
    .await;
    // Nobody wants it any more, and nobody expects it once it was settled by its age.
    scene.world.post("cancel", json!({"channel": "shopify", "order": sold})).await;
    until_empty("it is given up for good", async || {
        let told = scene.home.ask(&["sku", &scene.sku]).await.json();
        let mut listings = told["listings"].as_array().expect("a list").iter();
        let listing = listings.find(|listing| listing["channel"] == "market").expect("it is listed");
        let none = listing["unsettled"].as_array().is_none_or(Vec::is_empty);
        let back = told["stock"][0]["committed"] == 0 && listing["state"] == "confirmed";
        if none && back { vec![] } else { vec![listing.to_string()] }
    })
    .await;
    landing.notify_one();
    landing.notified().await;
    scene.is_broken("late", "late").await;
    scene.assume_more(&low, &high).await;
}

/// The first read after the second write is answered by a copy from before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_shows_what_was_replaced_before_is_older_than_is_assumed() {
    let world = World::start(shelves).await;
    let shopify = text(&world.get("systems").await["shopify"]["base_url"]).trim_end_matches('/').to_owned();
    let writes = Arc::new(AtomicUsize::new(0));
    let proxy = {
        let (writes, mut looks) = (Arc::clone(&writes), 0);
        let rule = move |_: &str, body: &str| {
            writes.fetch_add(usize::from(body.contains("mutation SetQuantities")), Ordering::SeqCst);
            let after = writes.load(Ordering::SeqCst) == 2;
            looks += usize::from(after && body.contains("query Levels"));
            match looks {
                1 if body.contains("query Levels") => Fate::Again,
                // Once the orders are read, that copy looks like another writer's doing.
                0 | 1 if after && body.contains("query Orders") => Fate::LoseRequest,
                _ => Fate::Pass,
            }
        };
        Proxy::start_by(&shopify, rule).await
    };
    let low = "[channels.shopify.shop.assume]\nlate = \"3s\"\nstale = \"0s\"";
    let high = low.replace("0s", "1m");
    let scene = Scene::set("shop", world, |home| {
        home.configure(&format!("base_url = \"{shopify}\""), &format!("base_url = \"{}\"", proxy.base_url));
    })
    .await;
    scene.world.post("webhooks", json!({"url": null})).await;

    let units = number(&scene.world.get("books").await["skus"][0]["physical"]);
    for (nth, more) in [(1, 5), (2, 10)] {
        let counts = json!({"counts": [{"sku": scene.sku, "quantity": units + more}]});
        scene.world.post("erp/count", counts).await;
        until_empty("the count is taken over", async || {
            let told = scene.home.ask(&["sku", &scene.sku]).await.json();
            if told["available"] == units + more { vec![] } else { vec![told.to_string()] }
        })
        .await;
        scene.home.settle(&scene.world).await;
        assert_eq!(writes.load(Ordering::SeqCst), nth, "one write each");
    }
    scene.is_broken("stale", "a read was older").await;
    scene.assume_more(low, &high).await;
}
