//! The whole way on real input: a real Tryton, Shopify's sample webhooks, sales on both channels, and what became of
//! each unit, entry by entry.

use std::sync::atomic::AtomicBool;

use evenkeel::sandbox::Span;

use super::*;
use crate::{
    live::{Home, file},
    support::{World, order, secret, until_empty, webhook},
};

/// What the ledger holds of a SKU in the end, and the units on hand and free.
const LEDGER: [(&str, &[(&str, i64)], [i64; 2]); 10] = [
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
    // Shopify's sample order.
    ("SKU-0006", &[("count", 100), ("sale", 1)], [100, 99]),
    ("SKU-0007", &[("count", 100), ("sale", 1)], [100, 99]),
    ("SKU-0008", &[("count", 100), ("sale", 1)], [100, 99]),
    ("SKU-0009", &[("count", 100), ("sale", 1)], [100, 99]),
    ("SKU-0010", &[("count", 100), ("sale", 1)], [100, 99]),
];

/// Everything that takes part.
struct Stage {
    erp: Both,
    world: World,
    home: Home,
    /// The SKUs by what the channels call them, in the order of [`LEDGER`].
    codes: Vec<String>,
}

impl Stage {
    /// Points a daemon's configuration at Tryton, behind a proxy, and at the sandbox's shops.
    async fn set(erp: Both, proxy: &Proxy) -> Stage {
        let world = World::start(|options| {
            options.catalogue.skus = 2 * LEDGER.len();
            options.catalogue.opening = Span { min: 100, max: 100 };
            options.catalogue.fba_twins = 0;
        })
        .await;
        let home = Home::new(&world).await;
        let systems = world.get("systems").await;
        let old = systems["erp"]["base_url"].as_str().expect("an address");
        let customer =
            format!("customer = \"{}\"", systems["erp"]["ids"]["customer_code"].as_str().expect("a code"));
        let text = std::fs::read_to_string(home.path("evenkeel.toml")).expect("it was written");
        let text = text
            .replace(old, &proxy.base_url)
            .replace("database = \"sandbox\"", "database = \"lab\"")
            .replace(&customer, &format!("customer = \"{}\"", erp.server.facts.customer_code));
        std::fs::write(home.path("evenkeel.toml"), text).expect("written");
        secret(home.dir.path(), "erp-key", &erp.server.facts.key);
        let books = world.get("books").await;
        let all = books["skus"].as_array().expect("a list").iter();
        // Those that the shops call otherwise than Tryton does.
        let codes: Vec<String> = all
            .map(|sku| sku["sku"].as_str().expect("a code").to_owned())
            .filter(|code| !erp.server.facts.products.contains_key(code))
            .take(LEDGER.len())
            .collect();
        assert_eq!(codes.len(), LEDGER.len());
        Stage { erp, world, home, codes }
    }

    /// Tells the daemon what the channels call Tryton's products.
    async fn map(&self) {
        let mut csv = "sku,channel,channel_sku\n".to_owned();
        for ((sku, _, _), code) in LEDGER.iter().zip(&self.codes) {
            csv.push_str(&format!("{sku},shop,{code}\n{sku},market,{code}\n"));
        }
        let csv = file(self.home.dir.path(), "map.csv", &csv);
        let told = self.home.ask(&["map", "import", &csv]).await.json();
        let all = 2 * LEDGER.len();
        assert_eq!((&told["rows"], &told["bound"]), (&json!(all), &json!(all)), "{told}");
    }

    /// Waits until nothing waits to be told.
    async fn settle(&self) {
        until_empty("nothing is under way", async || {
            let quiet = self.world.get("quiet").await;
            let outbox = self.home.ask(&["outbox"]).await.json();
            let rows = outbox["rows"].as_array().expect("a list");
            let left = rows.iter().map(Value::to_string);
            left.chain((quiet["quiet"] != json!(true)).then(|| quiet.to_string())).collect()
        })
        .await;
    }

    /// Waits until a SKU has this many entries and all of it has arrived.
    async fn booked(&self, sku: &str, entries: usize) {
        until_empty("it is booked", async || {
            let told = self.home.ask(&["sku", sku]).await.json();
            let held = told["recent"].as_array().map_or(0, Vec::len);
            if held >= entries { vec![] } else { vec![told["recent"].to_string()] }
        })
        .await;
        self.settle().await;
    }

    async fn sell(&self, n: usize, on: &str, quantity: i64) -> String {
        order(&self.world, on, &self.codes[n], quantity).await
    }

    /// Counts a product as a person does in Tryton.
    async fn count(&self, sku: &str, quantity: f64) {
        let facts = &self.erp.server.facts;
        let today = self.erp.person("POST", "ir.date/today", json!({})).await;
        let inventory = json!({"location": facts.storage, "date": today, "company": facts.company,
            "empty_quantity": "keep",
            "lines": [["create", [{"product": facts.products[sku], "quantity": quantity}]]]});
        let inventory = self.erp.person("POST", "stock.inventory", inventory).await;
        self.erp.person("POST", &format!("stock.inventory/{}/confirm", inventory["id"]), json!({})).await;
    }

    /// Sends Shopify's sample of a new order, as of now, with SKUs that are sold here.
    async fn send_sample(&self, sample: &str) {
        let mut body: Value = serde_json::from_str(sample).expect("JSON");
        let now = jiff::Timestamp::now().to_string();
        body["created_at"] = json!(now);
        body["updated_at"] = json!(now);
        body["cancelled_at"] = Value::Null;
        body["cancel_reason"] = Value::Null;
        let lines = body["line_items"].as_array_mut().expect("a list");
        assert_eq!(lines.len(), 5, "the sample has another number of lines");
        for (line, code) in lines.iter_mut().zip(&self.codes[5..]) {
            line["sku"] = json!(code);
        }
        let secret = self.world.get("systems").await["shopify"]["client_secret"].clone();
        let secret = secret.as_str().expect("a secret");
        let body = body.to_string();
        let status = webhook(&self.home.web, secret, "orders/create", body.as_bytes()).await;
        assert_eq!(status, 200);
        // Shopify sends everything at least once.
        assert_eq!(webhook(&self.home.web, secret, "orders/create", body.as_bytes()).await, 200);
        let forged = webhook(&self.home.web, "another secret", "orders/create", body.as_bytes()).await;
        assert_eq!(forged, 401);
    }

    /// Compares the ledger, Tryton and both shops with the table.
    async fn check(&self) {
        let books = self.world.get("books").await;
        for (code, (sku, entries, [on_hand, free])) in self.codes.iter().zip(LEDGER) {
            let told = self.home.ask(&["sku", sku]).await.json();
            let recent = told["recent"].as_array().expect("a list").iter();
            let got: Vec<(&str, i64)> = recent
                .map(|e| (e["kind"].as_str().unwrap_or_default(), e["quantity"].as_i64().unwrap_or_default()))
                .collect();
            assert_eq!(got, entries, "{sku}: {:#}", told["recent"]);
            self.erp.see(sku, on_hand, free).await;
            let mut books = books["skus"].as_array().expect("a list").iter();
            let book = books.find(|book| book["sku"] == *code).expect("it is sold");
            let shown = [&book["shopify"]["shown"], &book["amazon"]["shown"]];
            assert_eq!(shown, [&json!(free), &json!(free)], "{sku} as {code}");
        }
    }
}

/// Reads Shopify's sample. `None`, with a message, where the published descriptions are not at hand.
fn sample() -> Option<String> {
    let Some(specs) = std::env::var_os("EVENKEEL_SPECS") else {
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!must, "under CI `EVENKEEL_SPECS` must name the published API descriptions");
        eprintln!("SKIPPED: `EVENKEEL_SPECS` does not name the published API descriptions");
        return None;
    };
    let path = std::path::Path::new(&specs).join("shopify/samples/webhook-2026-07-orders__create.json");
    Some(std::fs::read_to_string(path).expect("the sample is there"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sale_moves_the_stock_in_all_three_systems_as_the_table_says() {
    let (Some(sample), Some(server)) = (sample(), Server::start()) else { return };
    let (on_hand, free) = (connect(&server, Measure::OnHand), connect(&server, Measure::Free));
    let erp = Both { server: Arc::new(server), on_hand, free };
    let lose = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&lose);
    let proxy = Proxy::start(&erp.server.base_url, move |line| {
        let lost =
            line.starts_with("POST") && line.contains("sale.sale") && armed.swap(false, Ordering::SeqCst);
        if lost { Fate::LoseAnswer } else { Fate::Pass }
    })
    .await;
    let stage = Stage::set(erp, &proxy).await;
    let live = stage.home.open(&stage.world).await;
    stage.map().await;
    stage.settle().await;

    stage.sell(0, "shopify", 3).await;
    stage.booked("SKU-0001", 2).await;
    stage.sell(0, "amazon", 2).await;
    let cancelled = stage.sell(1, "shopify", 4).await;
    let returned = stage.sell(2, "shopify", 3).await;
    stage.booked("SKU-0001", 3).await;
    stage.booked("SKU-0002", 2).await;
    stage.booked("SKU-0003", 2).await;
    stage.world.post("cancel", json!({"channel": "shopify", "order": cancelled})).await;
    stage.world.post("fulfil", json!({"channel": "shopify", "order": returned})).await;
    stage.booked("SKU-0003", 3).await;
    let back = json!([{"sku": stage.codes[2], "quantity": 1}]);
    let refund = json!({"channel": "shopify", "order": returned, "lines": back, "restock": "return"});
    stage.world.post("refund", refund).await;

    stage.sell(3, "shopify", 5).await;
    stage.count("SKU-0004", 90.0).await;
    stage.booked("SKU-0004", 3).await;

    lose.store(true, Ordering::SeqCst);
    stage.sell(4, "shopify", 2).await;
    stage.booked("SKU-0005", 2).await;
    assert!(!lose.load(Ordering::SeqCst), "an answer was lost");
    stage.send_sample(&sample).await;

    for (sku, entries, _) in LEDGER {
        stage.booked(sku, entries.len()).await;
    }
    stage.check().await;
    live.stop().await;
    stage.home.verify().await;
}
