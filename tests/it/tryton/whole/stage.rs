//! Everything that takes part, and what people do with it.

use super::*;

/// A SKU, its ledger entries (kind and units) in the end, and the units on hand and free.
pub(super) type Expected = (&'static str, &'static [(&'static str, i64)], [i64; 2]);

/// How many SKUs the shops sell: enough that they call as many otherwise than Tryton does as a table has.
const SOLD: usize = 20;

/// Everything that takes part.
pub(super) struct Stage {
    /// What is to become of each SKU.
    pub(super) table: &'static [Expected],
    /// The ERP counts what is free. Such a count is made of two reads, and may be too low until the next one.
    pub(super) free: bool,
    /// The real ERP; without it, the sandbox's.
    pub(super) tryton: Option<Box<Both>>,
    /// Set: the answer to the next sale that the ERP is told of is lost.
    pub(super) lose: Arc<AtomicBool>,
    /// Set: no sale that the ERP is told of reaches it, and nobody learns that.
    pub(super) fail: Arc<AtomicBool>,
    pub(super) world: World,
    pub(super) home: Home,
    /// The SKUs in the order of the table, by what the ERP calls them.
    pub(super) skus: Vec<String>,
    /// The same by what the channels call them.
    pub(super) codes: Vec<String>,
    pub(super) samples: Samples,
    _proxy: Proxy,
}

/// Starts a Tryton of its own, with the opening stock. `None`, with a message, where this machine cannot run one.
pub(super) fn tryton() -> Option<Box<Both>> {
    let server = Server::start()?;
    let (on_hand, free) = (connect(&server, Measure::OnHand), connect(&server, Measure::Free));
    Some(Box::new(Both { server: Arc::new(server), on_hand, free }))
}

impl Stage {
    /// Sets it up for a table. `more` changes the README's configuration.
    pub(super) async fn set(tryton: Option<Box<Both>>, table: &'static [Expected], more: &str) -> Stage {
        let catalogue = format!("skus = {SOLD}\nopening = {{ min = 100, max = 100 }}\nfba_twins = 0");
        let world = World::apart(&format!("[catalogue]\n{catalogue}")).await;
        let systems = world.get("systems").await;
        let (lose, fail) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (armed, cut) = (Arc::clone(&lose), Arc::clone(&fail));
        let real = tryton.as_ref().map(|both| both.server.base_url.as_str());
        let erp = real.unwrap_or_else(|| text(&systems["erp"]["base_url"]));
        let proxy = Proxy::start(erp, move |line| {
            let sale = line.starts_with("POST") && line.contains("sale.sale");
            match sale {
                true if cut.load(Ordering::SeqCst) => Fate::LoseRequest,
                true if armed.swap(false, Ordering::SeqCst) => Fate::LoseAnswer,
                true | false => Fate::Pass,
            }
        })
        .await;
        let books = world.get("books").await;
        let codes = books["skus"].as_array().expect("a list").iter().map(|sku| text(&sku["sku"]).to_owned());
        let mut over = format!(
            "mode = \"live\"\nchannels.tryton.erp.base_url = \"{}\"\nchannels.tryton.erp.timeout = \"5s\"\n{more}\n",
            proxy.base_url
        );
        let (skus, codes): (Vec<String>, Vec<String>) = match &tryton {
            None => codes.map(|code| (code.clone(), code)).take(table.len()).unzip(),
            Some(both) => {
                let facts = &both.server.facts;
                over.push_str("channels.tryton.erp.database = \"lab\"\n");
                over.push_str(&format!("channels.tryton.erp.customer = \"{}\"\n", facts.customer_code));
                // Those that the shops call otherwise than Tryton does.
                let codes = codes.filter(|code| !facts.products.contains_key(code));
                table.iter().map(|(sku, _, _)| (*sku).to_owned()).zip(codes).unzip()
            }
        };
        assert_eq!(codes.len(), table.len());
        let home = Home::like_readme(&world, &over).await;
        if let Some(both) = &tryton {
            crate::support::secret(&home.path("secrets"), "tryton-erp-key", &both.server.facts.key);
        }
        let samples = Samples::new();
        Stage {
            table,
            free: more == free::COUNTS,
            tryton,
            lose,
            fail,
            world,
            home,
            skus,
            codes,
            samples,
            _proxy: proxy,
        }
    }

    pub(super) fn with(self, samples: Samples) -> Stage {
        Stage { samples, ..self }
    }

    /// Opens the stock from the ERP, and waits until all three agree.
    pub(super) async fn open(&self) -> Live {
        let live = self.home.open(&self.world).await;
        self.map().await;
        self.home.rest(&self.world).await;
        live
    }

    /// Tells the daemon what the channels call Tryton's products.
    async fn map(&self) {
        if self.tryton.is_none() {
            return;
        }
        let mut csv = "sku,channel,channel_sku\n".to_owned();
        for (sku, code) in self.skus.iter().zip(&self.codes) {
            csv.push_str(&format!("{sku},main,{code}\n{sku},us,{code}\n"));
        }
        let csv = file(self.home.dir.path(), "map.csv", &csv);
        let told = self.home.ask(&["map", "import", &csv]).await.json();
        let all = 2 * self.table.len();
        assert_eq!((&told["rows"], &told["bound"]), (&json!(all), &json!(all)), "{told}");
    }

    /// Returns the kinds and units of a SKU's entries.
    pub(super) async fn entries(&self, n: usize) -> Vec<(String, i64)> {
        let told = self.home.ask(&["sku", &self.skus[n]]).await.json();
        let recent = told["recent"].as_array().expect("a list").iter();
        recent.map(|entry| (text(&entry["kind"]).to_owned(), number(&entry["quantity"]))).collect()
    }

    /// Waits until a SKU has this many entries.
    pub(super) async fn held(&self, n: usize, entries: usize) {
        until_empty("it is booked", async || {
            let held = self.entries(n).await;
            if held.len() >= entries { vec![] } else { vec![format!("{held:?}")] }
        })
        .await;
    }

    /// Waits until a SKU has this many entries and all of it has arrived.
    pub(super) async fn booked(&self, n: usize, entries: usize) {
        self.held(n, entries).await;
        self.home.rest(&self.world).await;
    }

    /// Waits until everything of the table is booked and has arrived, compares all with the table, and ends the daemon.
    pub(super) async fn end(&self, live: Live) {
        self.agree().await;
        live.stop().await;
        self.home.verify().await;
    }

    /// Waits until everything of the table is booked and has arrived, and compares all with the table.
    pub(super) async fn agree(&self) {
        for n in 0..self.table.len() {
            let want = self.compared(&self.wanted(n));
            until_empty("all of the table is booked", async || {
                let held = self.entries(n).await;
                if held.len() >= want.len() && (!self.free || self.compared(&held) == want) {
                    vec![]
                } else {
                    vec![format!("{held:?}")]
                }
            })
            .await;
        }
        self.home.rest(&self.world).await;
        self.check().await;
    }

    pub(super) async fn sell(&self, n: usize, on: &str, quantity: i64) -> String {
        order(&self.world, on, &self.codes[n], quantity).await
    }

    /// Counts a product as a person does in the ERP.
    pub(super) async fn count(&self, n: usize, quantity: i64) {
        let sku = self.skus[n].as_str();
        let Some(both) = &self.tryton else {
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

    /// Returns what the sandbox's books say of a SKU.
    pub(super) async fn book(&self, n: usize) -> Value {
        let books = self.world.get("books").await;
        let mut skus = books["skus"].as_array().expect("a list").iter();
        skus.find(|book| book["sku"] == *self.codes[n]).expect("it is sold").clone()
    }

    /// Ships what is open of an order on Shopify.
    pub(super) async fn ship(&self, order: &str) {
        self.world.post("fulfil", json!({"channel": "shopify", "order": order})).await;
    }

    /// Compares what the ERP holds of a SKU: on hand and free.
    pub(super) async fn erp_holds(&self, n: usize, [on_hand, free]: [i64; 2]) {
        let sku = self.skus[n].as_str();
        match &self.tryton {
            Some(both) => both.see(sku, on_hand, free).await,
            None => {
                let book = self.book(n).await;
                let held = (&book["erp"]["on_hand"], &book["erp"]["available"]);
                assert_eq!(held, (&json!(on_hand), &json!(free)), "{sku}");
            }
        }
    }

    /// Returns the kinds and units of a SKU's entries in the end, by the table.
    pub(super) fn wanted(&self, n: usize) -> Vec<(String, i64)> {
        self.table[n].1.iter().map(|(kind, units)| ((*kind).to_owned(), *units)).collect()
    }

    /// Returns entries as they are compared: counts in a row as one, where one may be too low.
    fn compared(&self, entries: &[(String, i64)]) -> Vec<(String, i64)> {
        let mut all: Vec<(String, i64)> = Vec::new();
        for (kind, units) in entries {
            match all.last_mut() {
                Some((last, sum)) if self.free && last == "count" && kind == "count" => *sum += units,
                Some(_) | None => all.push((kind.clone(), *units)),
            }
        }
        all
    }

    /// Compares the ledger, the ERP and both shops with the table.
    async fn check(&self) {
        for (n, (_, _, [on_hand, free])) in self.table.iter().enumerate() {
            let (sku, code) = (self.skus[n].as_str(), &self.codes[n]);
            let (got, want) = (self.entries(n).await, self.wanted(n));
            let why = async || self.home.ask(&["explain", sku]).await.out;
            let same = self.compared(&got) == self.compared(&want);
            assert!(same, "{sku}: {got:?}, not {want:?}: {}", why().await);
            self.erp_holds(n, [*on_hand, *free]).await;
            let book = self.book(n).await;
            let truth = [number(&book["physical"]), number(&book["available"])];
            // A person's count in the real Tryton is not in the sandbox's books.
            assert!(truth == [*on_hand, *free] || self.tryton.is_some(), "{sku}: {truth:?}");
            let shown = [number(&book["shopify"]["shown"]), number(&book["amazon"]["shown"])];
            assert_eq!(shown, [*free, *free - BUFFER], "{sku} as {code}");
        }
    }
}
