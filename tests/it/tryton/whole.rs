//! The whole way on real input: `evenkeel sandbox`, a real Tryton, and `evenkeel run` with the README's configuration
//! as processes of their own; Shopify's sample webhooks, sales on both channels, and what became of each unit, entry by
//! entry.

mod free;
mod late;
mod stage;

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use stage::{Expected, Stage};

use super::*;
use crate::{
    live::{Home, Live, file},
    readme::BUFFER,
    support::{World, number, order, text, until_empty, webhook},
};

#[rustfmt::skip]
const LEDGER: [Expected; 10] = [
    // Sold on both channels.
    ("SKU-0001", &[("count", 100), ("sale", 3), ("sale", 2)], [100, 95]),
    // Cancelled.
    ("SKU-0002", &[("count", 100), ("sale", 4), ("cancel", 4)], [100, 100]),
    // Shipped, and one came back.
    ("SKU-0003", &[("count", 100), ("sale", 3), ("ship", 3), ("return", 1)], [98, 98]),
    // Sold while it was counted in the ERP.
    ("SKU-0004", &[("count", 100), ("sale", 5), ("count", -10)], [90, 85]),
    // Its post to the ERP lost the answer.
    ("SKU-0005", &[("count", 100), ("sale", 2)], [100, 98]),
    // Two orders that only Shopify's samples tell of. The first is placed; one unit is shipped and comes back, one
    // is added and one is taken off. The second is cancelled before anything else is heard of it.
    ("SKU-0006", &[("count", 100), ("sale", 1), ("ship", 1), ("return", 1), ("sale", 1), ("cancel", 1)], [100, 100]),
    ("SKU-0007", &[("count", 100), ("sale", 1), ("sale", 1), ("sale", 1), ("cancel", 1)], [100, 98]),
    ("SKU-0008", &[("count", 100), ("sale", 1), ("cancel", 1), ("sale", 1), ("cancel", 1)], [100, 100]),
    ("SKU-0009", &[("count", 100), ("sale", 1), ("sale", 1), ("cancel", 1)], [100, 99]),
    // And somebody types another quantity into the shop.
    ("SKU-0010", &[("count", 100), ("sale", 1), ("sale", 1), ("cancel", 1)], [100, 99]),
];

/// The first SKU that the samples are about. An order of theirs has five lines.
const SAMPLED: usize = 5;
/// The order that the samples are about, as they stand.
const SAMPLE_ORDER: &str = "820982911946154500";

/// The topics of the samples that we follow.
const FOLLOWED: [&str; 7] = [
    "app/uninstalled",
    "fulfillments/create",
    "inventory_levels/update",
    "orders/cancelled",
    "orders/create",
    "orders/edited",
    "refunds/create",
];

/// Shopify's sample webhooks by their topics.
type Samples = BTreeMap<String, Value>;

impl Stage {
    /// Sells, and the ERP's answer to that is lost.
    async fn sell_unanswered(&self, n: usize, quantity: i64, entries: usize) {
        self.lose.store(true, Ordering::SeqCst);
        let order = self.sell(n, "shopify", quantity).await;
        self.booked(n, entries).await;
        assert!(!self.lose.load(Ordering::SeqCst), "an answer was lost");
        let told = self.home.ask(&["order", "main", &order]).await.json();
        let posting = &told["postings"][0];
        assert!(
            posting["state"] == "done" && number(&posting["sequence"]) > 1,
            "it was told again: {told:#}"
        );
    }

    /// Sends a webhook as Shopify does, and returns the status of the answer.
    async fn send(&self, topic: &str, body: &Value, secret: &str) -> u16 {
        webhook(&self.home.hooks(), secret, topic, body.to_string().as_bytes()).await
    }

    async fn secret(&self) -> String {
        text(&self.world.get("systems").await["shopify"]["client_secret"]).to_owned()
    }

    /// Returns how many webhooks became what, by the daemon's own figures.
    async fn pushes(&self, result: &str) -> usize {
        let figures = self.home.figures().await;
        let wanted = format!("evenkeel_webhooks_total{{channel=\"main\",result=\"{result}\"}} ");
        let count = figures.lines().find_map(|line| line.strip_prefix(wanted.as_str()));
        count.map_or(0, |count| count.parse().expect("a number"))
    }

    /// Sends every sample as it stands: all are taken, and move nothing, because their order is of years ago, of SKUs
    /// that nobody sells, and the shop does not know it.
    async fn send_samples_as_they_stand(&self) {
        let secret = self.secret().await;
        let before = self.pushes("taken").await;
        for (topic, body) in &self.samples {
            assert_eq!(self.send(topic, body, "another secret").await, 401, "{topic}");
        }
        assert_eq!(self.pushes("forged").await, self.samples.len());
        assert_eq!(self.pushes("taken").await, before);
        for (topic, body) in &self.samples {
            assert_eq!(self.send(topic, body, &secret).await, 200, "{topic}");
        }
        assert_eq!(self.pushes("taken").await, before + FOLLOWED.len());
        assert_eq!(self.pushes("not_followed").await, self.samples.len() - FOLLOWED.len());
        let told = self.home.ask(&["order", "main", SAMPLE_ORDER]).await.json();
        let lines = told["lines"].as_array().expect("a list");
        assert!(lines.len() == 5 && lines.iter().all(|line| line["bound"].is_null()), "{told:#}");
        self.home.rest(&self.world).await;
        for n in 0..LEDGER.len() {
            assert_eq!(self.entries(n).await, [("count".to_owned(), 100)]);
        }
    }

    /// Places an order of one unit of each of five SKUs. Returns its id, its time, and the ids of its lines.
    async fn order_of_five(&self) -> (Value, Value, Vec<Value>) {
        let lines: Vec<Value> =
            self.codes[SAMPLED..].iter().map(|code| json!({"sku": code, "quantity": 1})).collect();
        let placed = self.world.post("order", json!({"channel": "shopify", "lines": lines})).await;
        let id = text(&placed["order"]).to_owned();
        let systems = self.world.get("systems").await;
        let shop = |key: &str| text(&systems["shopify"][key]).to_owned();
        let gid = format!("gid://shopify/Order/{id}");
        let ask = "query($id: ID!) { order(id: $id) { createdAt lineItems(first: 9) { nodes { id sku } } } }";
        let answer = reqwest::Client::new()
            .post(format!("{}/admin/api/2026-10/graphql.json", shop("base_url").trim_end_matches('/')))
            .header("x-shopify-access-token", shop("access_token"))
            .json(&json!({"query": ask, "variables": {"id": gid}}));
        let told: Value = answer.send().await.expect("it answers").json().await.expect("JSON");
        let order = &told["data"]["order"];
        let nodes = order["lineItems"]["nodes"].as_array().unwrap_or_else(|| panic!("{told:#}")).iter();
        let number = |gid: &Value| -> Value {
            let number = text(gid).rsplit('/').next().and_then(|number| number.parse::<u64>().ok());
            json!(number.expect("a number"))
        };
        let nodes: Vec<Value> = nodes.map(|node| number(&node["id"])).collect();
        assert_eq!(nodes.len(), 5, "{told:#}");
        (json!(id.parse::<u64>().expect("a number")), order["createdAt"].clone(), nodes)
    }

    /// Sends a sample about this order, of now.
    async fn send_of_order(&self, topic: &str, (id, at, lines): &(Value, Value, Vec<Value>)) {
        let mut body = self.samples[topic].clone();
        match topic {
            "orders/edited" => body["order_edit"]["order_id"] = id.clone(),
            "fulfillments/create" | "refunds/create" => body["order_id"] = id.clone(),
            _ => {
                body["id"] = id.clone();
                body["created_at"] = at.clone();
                body["updated_at"] = at.clone();
                let codes = &self.codes[SAMPLED..];
                let items = body["line_items"].as_array_mut().expect("a list");
                assert_eq!(items.len(), codes.len(), "the sample has another number of lines");
                for ((item, code), line) in items.iter_mut().zip(codes).zip(lines) {
                    item["sku"] = json!(code);
                    item["id"] = line.clone();
                }
            }
        }
        if topic == "orders/create" {
            // As it stands, the order is cancelled already.
            body["cancelled_at"] = Value::Null;
            body["cancel_reason"] = Value::Null;
        }
        let secret = self.secret().await;
        assert_eq!(self.send(topic, &body, &secret).await, 200, "{topic}");
        // Shopify sends everything at least once.
        assert_eq!(self.send(topic, &body, &secret).await, 200, "{topic}");
        assert_eq!(self.send(topic, &body, "another secret").await, 401, "{topic}");
    }

    /// Plays what only the samples tell of: the shop's own webhooks go nowhere, and its orders are not polled.
    async fn play_samples(&self) {
        self.world.post("webhooks", json!({"url": null})).await;
        let [shipped, added, removed, _, edited] = [0, 1, 2, 3, 4].map(|n| SAMPLED + n);
        let first = self.order_of_five().await;
        let id = first.0.to_string();
        self.home.ask(&["order", "main", &id]).await.fails(4, "there is no order");
        self.send_of_order("orders/create", &first).await;
        let told = self.home.ask(&["order", "main", &id]).await.json();
        assert_eq!(
            told["lines"].as_array().map(Vec::len),
            Some(5),
            "it was booked when it was answered: {told:#}"
        );
        self.booked(edited, 2).await;

        let unit = |n: usize| json!([{"sku": self.codes[n], "quantity": 1}]);
        self.world.post("fulfil", json!({"channel": "shopify", "order": id, "lines": unit(shipped)})).await;
        self.send_of_order("fulfillments/create", &first).await;
        self.booked(shipped, 3).await;
        let back = json!({"channel": "shopify", "order": id, "lines": unit(shipped), "restock": "return"});
        self.world.post("refund", back).await;
        self.send_of_order("refunds/create", &first).await;
        self.booked(shipped, 4).await;
        for (n, delta) in [(added, 1), (removed, -1)] {
            let edit = json!({"order": id, "sku": self.codes[n], "delta": delta});
            self.world.post("edit-order", edit).await;
            self.send_of_order("orders/edited", &first).await;
            self.booked(n, 3).await;
        }

        let second = self.order_of_five().await;
        let id = second.0.to_string();
        self.world.post("cancel", json!({"channel": "shopify", "order": id})).await;
        self.send_of_order("orders/cancelled", &second).await;
        for (n, (_, entries, _)) in LEDGER.into_iter().enumerate().skip(SAMPLED) {
            self.booked(n, entries.len()).await;
        }

        let code = &self.codes[edited];
        let typed = json!({"channel": "shopify", "sku": code, "quantity": 7});
        self.world.post("edit-quantity", typed).await;
        let told = self.home.ask(&["sku", &self.skus[edited]]).await.json();
        let mut listings = told["listings"].as_array().expect("a list").iter();
        let listing = listings.find(|listing| listing["channel"] == "main").expect("it is listed");
        let item: u64 = text(&listing["ids"]["inventory_item"]).parse().expect("a number");
        let mut level = self.samples["inventory_levels/update"].clone();
        level["inventory_item_id"] = json!(item);
        level["location_id"] = self.world.get("systems").await["shopify"]["location_id"].clone();
        let secret = self.secret().await;
        assert_eq!(self.send("inventory_levels/update", &level, &secret).await, 200);
        until_empty("the quantity is put right", async || {
            let shown = self.book(edited).await["shopify"]["shown"].clone();
            if shown == json!(LEDGER[edited].2[1]) { vec![] } else { vec![shown.to_string()] }
        })
        .await;
        self.home.rest(&self.world).await;
    }
}

/// Reads Shopify's sample webhooks. `None`, with a message, where the published descriptions are not at hand.
fn samples() -> Option<Samples> {
    let Some(specs) = std::env::var_os("EVENKEEL_SPECS") else {
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!must, "under CI `EVENKEEL_SPECS` must name the published API descriptions");
        eprintln!("SKIPPED: `EVENKEEL_SPECS` does not name the published API descriptions");
        return None;
    };
    let mut samples = Samples::new();
    let dir = std::path::Path::new(&specs).join("shopify/samples");
    for entry in std::fs::read_dir(dir).expect("the samples are there").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        let topic = name.strip_prefix("webhook-2026-07-").and_then(|name| name.strip_suffix(".json"));
        if let Some(topic) = topic {
            let body = std::fs::read(entry.path()).expect("readable");
            samples.insert(topic.replace("__", "/"), serde_json::from_slice(&body).expect("JSON"));
        }
    }
    for topic in FOLLOWED {
        assert!(samples.contains_key(topic), "there is no sample of {topic}");
    }
    Some(samples)
}

/// Plays the table's story from the opening stock to its end.
async fn play(stage: &Stage) {
    let live = stage.open().await;
    stage.send_samples_as_they_stand().await;

    stage.sell(0, "shopify", 3).await;
    stage.booked(0, 2).await;
    stage.sell(0, "amazon", 2).await;
    let cancelled = stage.sell(1, "shopify", 4).await;
    let returned = stage.sell(2, "shopify", 3).await;
    stage.booked(0, 3).await;
    stage.booked(1, 2).await;
    stage.booked(2, 2).await;
    stage.world.post("cancel", json!({"channel": "shopify", "order": cancelled})).await;
    stage.ship(&returned).await;
    stage.booked(2, 3).await;
    let back = json!([{"sku": stage.codes[2], "quantity": 1}]);
    let refund = json!({"channel": "shopify", "order": returned, "lines": back, "restock": "return"});
    stage.world.post("refund", refund).await;

    stage.sell(3, "shopify", 5).await;
    stage.count(3, 90).await;
    stage.booked(3, 3).await;
    stage.sell_unanswered(4, 2, 2).await;
    stage.play_samples().await;

    stage.end(live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sale_moves_the_stock_in_all_three_systems_as_the_table_says() {
    let (Some(samples), Some(tryton)) = (samples(), stage::tryton()) else { return };
    play(&Stage::set(Some(tryton), &LEDGER, "").await.with(samples)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_story_ends_the_same_with_the_sandbox_as_erp() {
    let Some(samples) = samples() else { return };
    play(&Stage::set(None, &LEDGER, "").await.with(samples)).await;
}
