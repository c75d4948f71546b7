//! Orders whose lines move to another warehouse after their documents were done: the ERP has in each warehouse what the
//! last posting says, and nothing is entered twice.

use evenkeel::sandbox::{CatalogueOptions, Options as SandboxOptions, Sandbox, Span};

use super::*;

const PLACES: [&str; 2] = ["main", "store"];

/// What lies in each warehouse at the beginning.
const OPENING: [i64; 2] = [100, 50];

/// An order's targets at both places, one posting after the other.
#[rustfmt::skip]
const STORY: [[[i64; 5]; 2]; 12] = [
    [[3, 0, 0, 0, 0], [0; 5]],
    // Two units are written off; then the order turns out to be the store's.
    [[3, 0, 2, 0, 0], [0; 5]],
    [[0; 5], [3, 0, 2, 0, 0]],
    // In part it is the other one's after all, and a unit is found again.
    [[2, 0, 1, 0, 0], [1, 0, 1, 0, 0]],
    [[2, 1, 0, 0, 0], [1, 0, 1, 0, 0]],
    // All of it again, shipped and in part sent back.
    [[0; 5], [3, 0, 0, 3, 2]],
    [[3, 0, 0, 3, 2], [0; 5]],
    [[3, 0, 0, 3, 1], [0; 5]],
    [[3, 0, 0, 3, 3], [0; 5]],
    [[3, 0, 0, 2, 0], [0; 5]],
    [[1, 0, 0, 1, 0], [2, 0, 2, 0, 0]],
    [[1, 1, 0, 0, 0], [2, 2, 0, 0, 0]],
];

fn at(place: &str) -> LocationId {
    LocationId::new(place).expect("a name")
}

fn line(item: &str, place: usize, target: [i64; 5], acked: [i64; 5]) -> PostingLine {
    let (target, acked) = (totals(target), totals(acked));
    let (ids, location) = (code(item), at(PLACES[place]));
    PostingLine {
        ids,
        location,
        target,
        told: acked.most(target),
        acked: Some(acked),
        unanswered: Vec::new(),
    }
}

fn posting_of(order: &str, sequence: u32, lines: Vec<PostingLine>) -> Posting {
    Posting { lines, ..posting(order, sequence, &[]) }
}

/// Returns what the connector counts of an item in each warehouse.
async fn counts(tryton: &Tryton, item: &str) -> [i64; 2] {
    let page = tryton.counts(&Scope::Only(vec![code(item)]), None).await.expect("counts can be read");
    PLACES.map(|place| {
        let line = page.lines.iter().find(|line| line.location == at(place));
        line.unwrap_or_else(|| panic!("{item} at {place}: {page:?}")).quantity.units()
    })
}

/// Posts until it stands: an answer that was lost leads to another posting, with a number of its own.
async fn post(tryton: &Tryton, order: &str, sequence: &mut u32, lines: &[PostingLine]) -> Posting {
    for _ in 0..200 {
        *sequence += 1;
        let posting = posting_of(order, *sequence, lines.to_vec());
        let outcome = tryton.post(&posting).await;
        if outcome == Outcome::Applied {
            return posting;
        }
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{lines:?}: {outcome:?}");
    }
    panic!("{lines:?} does not come to stand");
}

/// Tells the story by `teller`, or its beginning, and compares both counts of both warehouses after each posting.
async fn tell(
    teller: &Tryton,
    [on_hand, free]: [&Tryton; 2],
    item: &str,
    opening: [i64; 2],
    story: &[[[i64; 5]; 2]],
) {
    let (order, mut sequence) = (format!("moved-{item}"), 0);
    let mut acked = [[0; 5]; 2];
    for &targets in story {
        let lines = [0, 1].map(|place| line(item, place, targets[place], acked[place]));
        let posting = post(teller, &order, &mut sequence, &lines).await;
        let due = |open_too: bool| {
            [0, 1].map(|n| {
                let [ordered, released, written_off, fulfilled, returned] = targets[n];
                let open = ordered - released - written_off - fulfilled;
                opening[n] + returned - written_off - fulfilled - if open_too { open } else { 0 }
            })
        };
        assert_eq!(counts(on_hand, item).await, due(false), "on hand after {targets:?}");
        assert_eq!(counts(free, item).await, due(true), "free after {targets:?}");
        // What is read back is what was told, but for what was cancelled, or sold once more, because it moved.
        let held = teller.posted(&posting).await.expect("it can be read back");
        let moving = |t: Totals| [t.written_off, t.fulfilled, t.returned].map(Quantity::units);
        assert_eq!([0, 1].map(|n| moving(held[n])), targets.map(|t| moving(totals(t))), "{targets:?}");
        assert_eq!(teller.post(&posting).await, Outcome::Applied);
        acked = targets;
    }
}

/// A Tryton of its own, with a second warehouse.
struct Stores {
    both: Both,
    codes: [String; 2],
}

impl Stores {
    async fn start() -> Option<Stores> {
        let server = Server::start()?;
        let (on_hand, free) = (connect(&server, Measure::OnHand), connect(&server, Measure::Free));
        let both = Both { server: Arc::new(server), on_hand, free };
        let facts = &both.server.facts;
        let create = async |values: Value| {
            let made = both.as_person(&facts.admin_key, "POST", "stock.location", values).await;
            made["id"].as_i64().expect("an id")
        };
        let mut zones = Vec::new();
        for zone in ["Input", "Output", "Storage"] {
            let code = format!("STORE {zone}");
            zones.push(create(json!({"name": zone, "code": code, "type": "storage"})).await);
        }
        create(json!({"name": "Store", "code": "STORE", "type": "warehouse", "input_location": zones[0],
            "output_location": zones[1], "storage_location": zones[2], "lost_found_location": facts.lost_found}))
        .await;
        let today = both.person("POST", "ir.date/today", json!({})).await;
        let products = ["SKU-0001", "SKU-0002"].map(|item| facts.products[item]);
        let lines = products.map(|product| json!({"product": product, "quantity": OPENING[1]}));
        let inventory = json!({"location": zones[2], "date": today, "company": facts.company,
            "empty_quantity": "keep", "lines": [["create", lines]]});
        let inventory = both.person("POST", "stock.inventory", inventory).await;
        both.person("POST", &format!("stock.inventory/{}/confirm", inventory["id"]), json!({})).await;
        Some(Stores { both, codes: ["WH".to_owned(), "STORE".to_owned()] })
    }

    fn connect(&self, address: &str, measure: Measure) -> Tryton {
        let options = options(&self.both.server, address, measure);
        let warehouses = self.codes.iter().cloned().zip(PLACES.map(at)).collect();
        Tryton::new("tryton", Options { warehouses, ..options }).expect("the options are good")
    }
}

#[tokio::test]
async fn what_moves_to_another_warehouse_is_there_once_and_not_where_it_was() {
    let Some(stores) = Stores::start().await else { return };
    let address = stores.both.server.base_url.clone();
    let (on_hand, free) =
        (stores.connect(&address, Measure::OnHand), stores.connect(&address, Measure::Free));
    tell(&on_hand, [&on_hand, &free], "SKU-0001", OPENING, &STORY).await;
    assert_eq!(counts(&on_hand, "SKU-0001").await, OPENING, "nothing of it is left");

    // The same where every second write is lost, and the answer to every other.
    let writes = Arc::new(AtomicUsize::new(0));
    let rule = move |line: &str| match is_write(line) {
        true if writes.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => Fate::LoseAnswer,
        true => Fate::LoseRequest,
        false => Fate::Pass,
    };
    let proxy = Proxy::start(&address, rule).await;
    let unlucky = stores.connect(&proxy.base_url, Measure::OnHand);
    tell(&unlucky, [&on_hand, &free], "SKU-0002", OPENING, &STORY[..7]).await;
}

#[tokio::test]
async fn a_write_off_of_what_a_warehouse_never_had_waits_for_nobody_once_it_has_moved() {
    let Some(stores) = Stores::start().await else { return };
    let tryton = stores.connect(&stores.both.server.base_url, Measure::OnHand);
    let item = "SKU-0003";
    let lines =
        |store: [i64; 5], main: [i64; 5]| vec![line(item, 1, store, [0; 5]), line(item, 0, main, [0; 5])];
    let first = posting_of("bare", 1, lines([2, 0, 2, 0, 0], [0; 5]));
    rejected(&tryton.post(&first).await, "too little stock");
    assert_eq!(counts(&tryton, item).await, [100, 0]);
    let mut moved = posting_of("bare", 2, lines([0; 5], [2, 0, 2, 0, 0]));
    // It was told, and never acknowledged.
    moved.lines[0].told = first.lines[0].target;
    assert_eq!(tryton.post(&moved).await, Outcome::Applied);
    assert_eq!(counts(&tryton, item).await, [98, 0]);
}

#[tokio::test]
async fn what_moves_between_places_is_there_once_in_the_sandbox_too() {
    let catalogue =
        CatalogueOptions { skus: 3, places: 2, opening: Span::new(100, 100), ..CatalogueOptions::default() };
    let options = SandboxOptions { catalogue, ..SandboxOptions::default() };
    let (database, key) = (options.erp.database.clone(), options.erp.key.clone());
    let sandbox = Sandbox::start(options).await.expect("the sandbox starts");
    let address = format!("http://{}", sandbox.addresses().erp);
    let connect = |measure| {
        let options = Options {
            base_url: base_url("base_url", &address).expect("loopback"),
            database: database.clone(),
            key: SecretString::from(key.clone()),
            company: None,
            warehouses: ["WH", "WH2"].map(str::to_owned).into_iter().zip(PLACES.map(at)).collect(),
            measure,
            customer: "2".to_owned(),
            late: Duration::ZERO,
            http: http::Options::default(),
        };
        Tryton::new("tryton", options).expect("the options are good")
    };
    let (on_hand, free) = (connect(Measure::OnHand), connect(Measure::Free));
    let page = on_hand.catalogue(None).await.expect("the catalogue can be read");
    let item = page.items[0].ids.get(IdKind::Sku).expect("a code").to_owned();
    tell(&on_hand, [&on_hand, &free], &item, [100, 100], &STORY).await;
    sandbox.stop().await;
}
