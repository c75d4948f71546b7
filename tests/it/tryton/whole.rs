//! The whole way on real input: a real Tryton, Shopify's sample webhooks, sales on both channels, and what became of
//! each unit, entry by entry.

use std::sync::atomic::AtomicBool;

use evenkeel::sandbox::Span;

use super::*;
use crate::{
    live::{Home, file},
    support::{World, order, secret, until_empty, webhook},
};

/// A SKU, its ledger entries (kind and units) in the end, and the units on hand and free.
type Expected = (&'static str, &'static [(&'static str, i64)], [i64; 2]);

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
    // Shopify's sample order.
    ("SKU-0006", &[("count", 100), ("sale", 1)], [100, 99]),
    ("SKU-0007", &[("count", 100), ("sale", 1)], [100, 99]),
    ("SKU-0008", &[("count", 100), ("sale", 1)], [100, 99]),
    ("SKU-0009", &[("count", 100), ("sale", 1)], [100, 99]),
    ("SKU-0010", &[("count", 100), ("sale", 1)], [100, 99]),
];

enum Erp {
    /// A real Tryton, behind a proxy that loses the answer to the next sale when told.
    Tryton {
        both: Box<Both>,
        proxy: Proxy,
        lose: Arc<AtomicBool>,
    },
    Sandbox,
}

/// Everything that takes part.
struct Stage {
    erp: Erp,
    world: World,
    home: Home,
    /// The SKUs in the order of [`LEDGER`], by what the ERP calls them.
    skus: Vec<String>,
    /// The same by what the channels call them.
    codes: Vec<String>,
}

impl Stage {
    async fn set(erp: Erp) -> Stage {
        let world = World::start(|options| {
            options.catalogue.skus = 2 * LEDGER.len();
            options.catalogue.opening = Span { min: 100, max: 100 };
            options.catalogue.fba_twins = 0;
        })
        .await;
        let home = Home::new(&world).await;
        let books = world.get("books").await;
        let all = books["skus"].as_array().expect("a list").iter();
        let codes = all.map(|sku| sku["sku"].as_str().expect("a code").to_owned());
        let (skus, codes): (Vec<String>, Vec<String>) = match &erp {
            Erp::Sandbox => codes.map(|code| (code.clone(), code)).take(LEDGER.len()).unzip(),
            Erp::Tryton { both, proxy, .. } => {
                let facts = &both.server.facts;
                connect_to(&home, &world, facts, proxy).await;
                // Those that the shops call otherwise than Tryton does.
                let codes = codes.filter(|code| !facts.products.contains_key(code));
                LEDGER.iter().map(|(sku, _, _)| (*sku).to_owned()).zip(codes).unzip()
            }
        };
        assert_eq!(codes.len(), LEDGER.len());
        Stage { erp, world, home, skus, codes }
    }

    /// Tells the daemon what the channels call Tryton's products.
    async fn map(&self) {
        if matches!(self.erp, Erp::Sandbox) {
            return;
        }
        let mut csv = "sku,channel,channel_sku\n".to_owned();
        for (sku, code) in self.skus.iter().zip(&self.codes) {
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
    async fn booked(&self, n: usize, entries: usize) {
        let sku = self.skus[n].as_str();
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

    /// Counts a product as a person does in the ERP.
    async fn count(&self, n: usize, quantity: i64) {
        let sku = self.skus[n].as_str();
        let Erp::Tryton { both, .. } = &self.erp else {
            let counts = json!({"counts": [{"sku": sku, "quantity": quantity}]});
            self.world.post("erp/count", counts).await;
            return;
        };
        let facts = &both.server.facts;
        let today = both.person("POST", "ir.date/today", json!({})).await;
        let inventory = json!({"location": facts.storage, "date": today, "company": facts.company,
            "empty_quantity": "keep",
            "lines": [["create", [{"product": facts.products[sku], "quantity": quantity}]]]});
        let inventory = both.person("POST", "stock.inventory", inventory).await;
        both.person("POST", &format!("stock.inventory/{}/confirm", inventory["id"]), json!({})).await;
    }

    /// Sells while the ERP's answers are lost.
    async fn sell_unanswered(&self, n: usize, quantity: i64, entries: usize) {
        let faults = async |lost: &str| {
            self.world.post("faults", json!({"faults": [format!("erp-lost-answers={lost}")]})).await;
        };
        match &self.erp {
            Erp::Tryton { lose, .. } => lose.store(true, Ordering::SeqCst),
            Erp::Sandbox => faults("25%").await,
        }
        self.sell(n, "shopify", quantity).await;
        self.booked(n, entries).await;
        match &self.erp {
            Erp::Tryton { lose, .. } => assert!(!lose.load(Ordering::SeqCst), "an answer was lost"),
            Erp::Sandbox => faults("off").await,
        }
    }

    /// Sends Shopify's sample of a new order, as of now, with SKUs that are sold here.
    async fn send_sample(&self, sample: &str) {
        let mut body: Value = serde_json::from_str(sample).expect("JSON");
        let now = self.world.get("books").await["now_ms"].as_i64().expect("a time");
        let now = jiff::Timestamp::from_millisecond(now).expect("a time").to_string();
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

    /// Compares the ledger, the ERP and both shops with the table.
    async fn check(&self) {
        let books = self.world.get("books").await;
        for (n, (_, entries, [on_hand, free])) in LEDGER.into_iter().enumerate() {
            let (sku, code) = (self.skus[n].as_str(), &self.codes[n]);
            let told = self.home.ask(&["sku", sku]).await.json();
            let recent = told["recent"].as_array().expect("a list").iter();
            let got: Vec<(&str, i64)> = recent
                .map(|e| (e["kind"].as_str().unwrap_or_default(), e["quantity"].as_i64().unwrap_or_default()))
                .collect();
            assert_eq!(got, entries, "{sku}: {:#}", told["recent"]);
            let mut books = books["skus"].as_array().expect("a list").iter();
            let book = books.find(|book| book["sku"] == *code).expect("it is sold");
            let shown = [&book["shopify"]["shown"], &book["amazon"]["shown"]];
            match &self.erp {
                Erp::Tryton { both, .. } => both.see(sku, on_hand, free).await,
                Erp::Sandbox => {
                    let held = (&book["erp"]["on_hand"], &book["erp"]["available"]);
                    assert_eq!(held, (&json!(on_hand), &json!(free)), "{sku}");
                }
            }
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

/// Points a daemon's configuration at Tryton, behind its proxy.
async fn connect_to(home: &Home, world: &World, facts: &server::Facts, proxy: &Proxy) {
    let systems = world.get("systems").await;
    let old = systems["erp"]["base_url"].as_str().expect("an address");
    let customer = systems["erp"]["ids"]["customer_code"].as_str().expect("a code");
    let text = std::fs::read_to_string(home.path("evenkeel.toml")).expect("it was written");
    let text = text
        .replace(old, &proxy.base_url)
        .replace("database = \"sandbox\"", "database = \"lab\"")
        .replace(&format!("customer = \"{customer}\""), &format!("customer = \"{}\"", facts.customer_code));
    std::fs::write(home.path("evenkeel.toml"), text).expect("written");
    secret(home.dir.path(), "erp-key", &facts.key);
}

/// Plays the table's story from the opening stock to its end.
async fn play(stage: &Stage, sample: &str) {
    let live = stage.home.open(&stage.world).await;
    stage.map().await;
    stage.settle().await;

    stage.sell(0, "shopify", 3).await;
    stage.booked(0, 2).await;
    stage.sell(0, "amazon", 2).await;
    let cancelled = stage.sell(1, "shopify", 4).await;
    let returned = stage.sell(2, "shopify", 3).await;
    stage.booked(0, 3).await;
    stage.booked(1, 2).await;
    stage.booked(2, 2).await;
    stage.world.post("cancel", json!({"channel": "shopify", "order": cancelled})).await;
    stage.world.post("fulfil", json!({"channel": "shopify", "order": returned})).await;
    stage.booked(2, 3).await;
    let back = json!([{"sku": stage.codes[2], "quantity": 1}]);
    let refund = json!({"channel": "shopify", "order": returned, "lines": back, "restock": "return"});
    stage.world.post("refund", refund).await;

    stage.sell(3, "shopify", 5).await;
    stage.count(3, 90).await;
    stage.booked(3, 3).await;
    stage.sell_unanswered(4, 2, 2).await;
    stage.send_sample(sample).await;

    for (n, (_, entries, _)) in LEDGER.into_iter().enumerate() {
        stage.booked(n, entries.len()).await;
    }
    stage.check().await;
    live.stop().await;
    stage.home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sale_moves_the_stock_in_all_three_systems_as_the_table_says() {
    let (Some(sample), Some(server)) = (sample(), Server::start()) else { return };
    let (on_hand, free) = (connect(&server, Measure::OnHand), connect(&server, Measure::Free));
    let both = Box::new(Both { server: Arc::new(server), on_hand, free });
    let lose = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&lose);
    let proxy = Proxy::start(&both.server.base_url, move |line| {
        let lost =
            line.starts_with("POST") && line.contains("sale.sale") && armed.swap(false, Ordering::SeqCst);
        if lost { Fate::LoseAnswer } else { Fate::Pass }
    })
    .await;
    play(&Stage::set(Erp::Tryton { both, proxy, lose }).await, &sample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_story_ends_the_same_with_the_sandbox_as_erp() {
    let Some(sample) = sample() else { return };
    play(&Stage::set(Erp::Sandbox).await, &sample).await;
}
