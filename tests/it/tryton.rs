//! The Tryton connector against a real Tryton.
//!
//! All tests of this module share one server, so each uses products of its own.

/// Starts the shared Tryton, or ends the test where this machine cannot.
macro_rules! tryton_or_skip {
    () => {
        match Both::start() {
            Some(both) => both,
            None => return,
        }
    };
}

mod moved;
pub(crate) mod proxy;
mod sandbox;
pub(crate) mod server;
mod whole;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use evenkeel::{
    connectors::{
        Connector as _, Fault, Outcome, Posting, PostingLine, Scope,
        http::{self, base_url},
        tryton::{Options, Tryton},
    },
    model::{
        ChannelId, IdKind, Identifiers, LocationId, Measure, OrderId, OrderKey, Quantity, Timestamp, Totals,
    },
};
use proxy::{Fate, Proxy};
use secrecy::SecretString;
use serde_json::{Value, json};
use server::Server;
use tokio::sync::Notify;

fn options(server: &Server, address: &str, measure: Measure) -> Options {
    Options {
        base_url: base_url("base_url", address).expect("loopback"),
        database: "lab".to_owned(),
        key: SecretString::from(server.facts.key.clone()),
        company: None,
        warehouses: vec![("WH".to_owned(), LocationId::new("main").expect("a name"))],
        measure,
        customer: server.facts.customer_code.clone(),
        late: Duration::ZERO,
        http: http::Options::default(),
    }
}

fn connect(server: &Server, measure: Measure) -> Tryton {
    Tryton::new("tryton", options(server, &server.base_url, measure)).expect("the options are good")
}

fn code(code: &str) -> Identifiers {
    Identifiers::new([(IdKind::Sku, code)]).expect("a code")
}

/// `ordered released written_off fulfilled returned`
fn totals(units: [i64; 5]) -> Totals {
    let [ordered, released, written_off, fulfilled, returned] = units.map(Quantity::new);
    Totals { ordered, released, written_off, fulfilled, returned }
}

fn posting(order: &str, sequence: u32, lines: &[(&str, [i64; 5])]) -> Posting {
    let channel = ChannelId::new("shop").expect("a name");
    Posting {
        order: OrderKey { channel, order: OrderId::new(order).expect("an id") },
        reference: format!("evk-test:shop:{order}"),
        sequence,
        placed_at: Timestamp::from_millis(1_795_446_000_000),
        lines: lines
            .iter()
            .map(|(item, target)| PostingLine {
                ids: code(item),
                location: LocationId::new("main").expect("a name"),
                target: totals(*target),
                told: totals(*target),
                acked: None,
                unanswered: Vec::new(),
            })
            .collect(),
    }
}

/// Returns what the connector counts of an item.
async fn count(tryton: &Tryton, item: &str) -> i64 {
    let scope = Scope::Only(vec![code(item)]);
    let page = tryton.counts(&scope, None).await.expect("counts can be read");
    assert_eq!((page.lines.len(), &page.unreadable[..], &page.next), (1, &[][..], &None), "{item}");
    page.lines[0].quantity.units()
}

/// The same Tryton, once counting what is on hand and once what is free.
struct Both {
    server: Arc<Server>,
    on_hand: Tryton,
    free: Tryton,
}

impl Both {
    fn start() -> Option<Both> {
        let server = Server::shared()?;
        let on_hand = connect(&server, Measure::OnHand);
        let free = connect(&server, Measure::Free);
        Some(Both { server, on_hand, free })
    }

    #[track_caller]
    fn see(&self, item: &str, on_hand: i64, free: i64) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let got = (count(&self.on_hand, item).await, count(&self.free, item).await);
            assert_eq!(got, (on_hand, free), "on hand and free of {item}, {caller}");
        }
    }

    /// Posts one item's targets and expects them to be there.
    async fn post(&self, order: &str, sequence: u32, item: &str, target: [i64; 5]) {
        let posting = posting(order, sequence, &[(item, target)]);
        assert_eq!(self.on_hand.post(&posting).await, Outcome::Applied, "{order} {target:?}");
        let posted = self.on_hand.posted(&posting).await;
        assert_eq!(posted, Ok(vec![totals(target)]), "{order} {target:?}");
    }

    /// Does in Tryton what a person would, past the connector.
    async fn person(&self, method: &str, path: &str, body: Value) -> Value {
        self.as_person(&self.server.facts.key, method, path, body).await
    }

    /// The same, with the rights of another key.
    async fn as_person(&self, key: &str, method: &str, path: &str, body: Value) -> Value {
        let context = URL_SAFE.encode(json!({ "company": self.server.facts.company }).to_string());
        let method = method.parse().expect("a method");
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a plain client can be built")
            .request(method, format!("{}/lab/rest/model/{path}", self.server.base_url))
            .bearer_auth(key)
            .header("X-Tryton-Context", context)
            .json(&body)
            .send()
            .await
            .expect("Tryton answers");
        let (status, text) = (answer.status(), answer.text().await.expect("the answer has a body"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Reads the sales of an order: id, state, shipment state, and states of shipments.
    async fn sales(&self, order: &str) -> Vec<Value> {
        let like = json!([["reference", "like", format!("evk-test:shop:{order}/%")]]);
        let domain = URL_SAFE.encode(like.to_string());
        let fields = "f=reference&f=state&f=shipment_state&f=shipments.state";
        let path = format!("sale.sale?d={domain}&{fields}");
        let found = self.person("GET", &path, json!({})).await;
        found.as_array().expect("a list").clone()
    }
}

#[tokio::test]
async fn the_catalogue_lists_every_product_with_its_levels() {
    let erp = tryton_or_skip!();
    let page = erp.on_hand.catalogue(None).await.expect("the catalogue can be read");
    assert_eq!(page.next, None);
    assert_eq!(page.items.len(), erp.server.facts.products.len());
    for (item, id) in &erp.server.facts.products {
        let found = page.items.iter().find(|i| i.ids.get(IdKind::Sku) == Some(item));
        let found = found.unwrap_or_else(|| panic!("`{item}` is missing"));
        assert_eq!(found.ids.get(IdKind::Record), Some(id.to_string().as_str()));
        assert_eq!(found.title.as_deref(), Some(format!("Product {item}").as_str()));
        assert_eq!(found.unwritable, None);
        assert!(found.levels.is_some_and(|levels| levels.on_hand.is_some()));
    }
}

#[tokio::test]
async fn odd_codes_are_counted_and_unknown_ones_are_named() {
    let erp = tryton_or_skip!();
    let items = ["CABLE/USB-C/1M", "MUG WHITE 330", "TASSE-GRÜN-Ø8", "箱-01"];
    let mut asked: Vec<_> = items.into_iter().map(code).collect();
    asked.push(code("no such"));
    for tryton in [&erp.on_hand, &erp.free] {
        let page = tryton.counts(&Scope::Only(asked.clone()), None).await.expect("counts can be read");
        let mut got: Vec<_> =
            page.lines.iter().map(|line| line.ids.get(IdKind::Sku).expect("a code")).collect();
        got.sort_unstable();
        assert_eq!(got, items);
        assert!(page.lines.iter().all(|line| line.quantity == Quantity::new(100)));
        let unknown: Vec<_> = page.unreadable.iter().map(|u| u.id.as_deref()).collect();
        assert_eq!(unknown, [Some("channel_sku=no such")]);
    }
}

#[tokio::test]
async fn a_sale_lowers_free_at_once_and_on_hand_when_shipped() {
    let erp = tryton_or_skip!();
    erp.post("1001", 1, "SKU-0001", [5, 0, 0, 0, 0]).await;
    erp.see("SKU-0001", 100, 95).await;
    erp.post("1001", 1, "SKU-0001", [5, 0, 0, 0, 0]).await;
    erp.see("SKU-0001", 100, 95).await;
    erp.post("1001", 2, "SKU-0001", [5, 0, 0, 2, 0]).await;
    erp.see("SKU-0001", 98, 95).await;
    erp.post("1001", 3, "SKU-0001", [5, 0, 0, 5, 0]).await;
    erp.see("SKU-0001", 95, 95).await;
    erp.post("1001", 4, "SKU-0001", [5, 0, 0, 5, 2]).await;
    erp.see("SKU-0001", 97, 97).await;
    let sales = erp.sales("1001").await;
    let states: Vec<_> = sales.iter().map(|s| (&s["reference"], &s["shipment_state"])).collect();
    assert_eq!(sales.len(), 2, "{states:?}");
    assert!(sales.iter().all(|sale| sale["shipment_state"] == "sent"), "{states:?}");
}

#[tokio::test]
async fn a_sale_is_cancelled_whole_before_it_ships() {
    let erp = tryton_or_skip!();
    erp.post("1002", 1, "SKU-0002", [5, 0, 0, 0, 0]).await;
    erp.see("SKU-0002", 100, 95).await;
    erp.post("1002", 2, "SKU-0002", [5, 5, 0, 0, 0]).await;
    erp.see("SKU-0002", 100, 100).await;
    let sales = erp.sales("1002").await;
    assert_eq!(sales.len(), 1);
    // No exception waits for a person.
    assert_eq!(sales[0]["shipment_state"], "none");
}

#[tokio::test]
async fn a_sale_is_cancelled_in_part_and_the_rest_ships() {
    let erp = tryton_or_skip!();
    let both = |sequence, tee, mug| posting("1003", sequence, &[("SKU-0003", tee), ("MUG WHITE 330", mug)]);
    let first = both(1, [5, 0, 0, 0, 0], [2, 0, 0, 0, 0]);
    assert_eq!(erp.on_hand.post(&first).await, Outcome::Applied);
    let second = both(2, [5, 2, 0, 0, 0], [2, 2, 0, 0, 0]);
    assert_eq!(erp.on_hand.post(&second).await, Outcome::Applied);
    erp.see("SKU-0003", 100, 97).await;
    erp.see("MUG WHITE 330", 100, 100).await;
    let third = both(3, [5, 2, 0, 3, 0], [2, 2, 0, 0, 0]);
    assert_eq!(erp.on_hand.post(&third).await, Outcome::Applied);
    assert_eq!(erp.on_hand.posted(&third).await, Ok(vec![totals([5, 2, 0, 3, 0]), totals([2, 2, 0, 0, 0])]));
    erp.see("SKU-0003", 97, 97).await;
    erp.see("MUG WHITE 330", 100, 100).await;
    assert_eq!(erp.sales("1003").await[0]["shipment_state"], "sent");
}

#[tokio::test]
async fn an_order_that_was_cancelled_before_it_was_posted_reserves_nothing() {
    let erp = tryton_or_skip!();
    erp.post("1004", 1, "SKU-0004", [5, 5, 0, 0, 0]).await;
    erp.see("SKU-0004", 100, 100).await;
    assert_eq!(erp.sales("1004").await[0]["state"], "cancelled");
}

#[tokio::test]
async fn a_written_off_unit_leaves_the_stock() {
    let erp = tryton_or_skip!();
    erp.post("1005", 1, "SKU-0005", [5, 0, 0, 0, 0]).await;
    erp.post("1005", 2, "SKU-0005", [5, 1, 2, 0, 0]).await;
    erp.see("SKU-0005", 98, 96).await;
    erp.post("1005", 3, "SKU-0005", [5, 1, 2, 2, 0]).await;
    erp.see("SKU-0005", 96, 96).await;
}

/// A line may be shipped from another warehouse for a while: here it is cancelled whole, and comes back whole.
#[tokio::test]
async fn what_went_to_another_warehouse_and_comes_back_is_sold_anew() {
    let erp = tryton_or_skip!();
    erp.post("1099", 1, "SKU-0020", [3, 0, 0, 0, 0]).await;
    let before = (count(&erp.on_hand, "SKU-0020").await, count(&erp.free, "SKU-0020").await);
    for (n, [acked, wanted]) in (2..).zip([[3, 0], [0, 3], [3, 0], [0, 3]]) {
        let mut posting = posting("1099", n, &[("SKU-0020", [wanted, 0, 0, 0, 0])]);
        let line = &mut posting.lines[0];
        line.acked = Some(totals([acked, 0, 0, 0, 0]));
        line.told = totals([acked.max(wanted), 0, 0, 0, 0]);
        // Said again, as after an answer that was lost, it changes nothing.
        for _ in 0..2 {
            assert_eq!(erp.on_hand.post(&posting).await, Outcome::Applied, "{wanted}");
            erp.see("SKU-0020", before.0, before.1 + 3 - wanted).await;
        }
    }
}

#[tokio::test]
async fn units_added_to_an_order_make_another_sale() {
    let erp = tryton_or_skip!();
    erp.post("1006", 1, "SKU-0006", [2, 0, 0, 0, 0]).await;
    erp.post("1006", 2, "SKU-0006", [2, 0, 0, 1, 0]).await;
    erp.post("1006", 3, "SKU-0006", [5, 0, 0, 1, 0]).await;
    erp.see("SKU-0006", 99, 95).await;
    erp.post("1006", 4, "SKU-0006", [5, 1, 0, 4, 0]).await;
    erp.see("SKU-0006", 96, 96).await;
    assert_eq!(erp.sales("1006").await.len(), 2);
}

#[tokio::test]
async fn a_shipment_that_is_undone_comes_back_and_is_sold_once_more() {
    let erp = tryton_or_skip!();
    let item = "SKU-0019";
    erp.post("1019", 1, item, [3, 0, 0, 2, 0]).await;
    erp.see(item, 98, 97).await;
    let mut undo = posting("1019", 2, &[(item, [3, 0, 0, 0, 0])]);
    undo.lines[0].told = totals([3, 0, 0, 2, 0]);
    assert_eq!(erp.on_hand.post(&undo).await, Outcome::Applied);
    erp.see(item, 100, 97).await;
    assert_eq!(erp.on_hand.posted(&undo).await, Ok(vec![totals([5, 0, 0, 0, 0])]));
    let again = posting("1019", 3, &[(item, [3, 1, 0, 2, 0])]);
    assert_eq!(erp.on_hand.post(&again).await, Outcome::Applied);
    erp.see(item, 98, 98).await;
}

#[tokio::test]
async fn more_is_shipped_than_tryton_believes_to_have() {
    let erp = tryton_or_skip!();
    erp.post("1007", 1, "SKU-0007", [150, 0, 0, 150, 0]).await;
    erp.see("SKU-0007", -50, -50).await;
}

#[tokio::test]
async fn several_orders_are_posted_at_once() {
    let erp = tryton_or_skip!();
    let orders: Vec<_> = (0..6)
        .map(|n| {
            posting(&format!("many-{n}"), 1, &[("SKU-0016", [3, 1, 0, 1, 0]), ("SKU-0017", [2, 0, 0, 2, 1])])
        })
        .collect();
    let outcomes = futures::future::join_all(orders.iter().map(|order| erp.on_hand.post(order))).await;
    assert_eq!(outcomes, vec![Outcome::Applied; 6]);
    erp.see("SKU-0016", 94, 88).await;
    erp.see("SKU-0017", 94, 94).await;
}

/// Every kind of step, in one posting of a fresh order.
const ALL_KINDS: [i64; 5] = [9, 2, 1, 3, 1];

/// Counts the requests that change something.
fn is_write(line: &str) -> bool {
    let reads =
        line.starts_with("GET ") || line.contains("/get_preferences ") || line.starts_with("POST /rpc/");
    !reads
}

/// Posts one order through a proxy that gives every write the fate of its turn, until it stands. Returns how many
/// writes that took.
async fn post_through(erp: &Both, order: &str, item: &str, fates: [Fate; 2]) -> usize {
    let seen = Arc::new(AtomicUsize::new(0));
    let rule = {
        let seen = Arc::clone(&seen);
        move |line: &str| match is_write(line) {
            true => fates[seen.fetch_add(1, Ordering::SeqCst) % 2].clone(),
            false => Fate::Pass,
        }
    };
    let proxy = Proxy::start(&erp.server.base_url, rule).await;
    let options = options(&erp.server, &proxy.base_url, Measure::OnHand);
    let tryton = Tryton::new("tryton", options).expect("the options are good");
    let posting = posting(order, 1, &[(item, ALL_KINDS)]);
    for _ in 0..100 {
        let outcome = tryton.post(&posting).await;
        if outcome == Outcome::Applied {
            assert_eq!(tryton.posted(&posting).await, Ok(vec![totals(ALL_KINDS)]));
            return seen.load(Ordering::SeqCst);
        }
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
    panic!("the order does not come to stand");
}

#[tokio::test]
async fn with_every_answer_lost_nothing_is_done_twice() {
    let erp = tryton_or_skip!();
    let writes = post_through(&erp, "lost-0", "SKU-0008", [Fate::LoseAnswer, Fate::LoseAnswer]).await;
    assert!(writes > 15, "the order takes {writes} writes only");
    // 3 shipped, 1 back, 1 lost; 3 more promised.
    erp.see("SKU-0008", 97, 94).await;
    let mixed = post_through(&erp, "lost-1", "SKU-0008", [Fate::LoseRequest, Fate::LoseAnswer]).await;
    assert!(mixed > writes, "every lost request is made again");
    erp.see("SKU-0008", 94, 88).await;
    post_through(&erp, "lost-2", "SKU-0008", [Fate::Pass, Fate::LoseAnswer]).await;
    erp.see("SKU-0008", 91, 82).await;
}

#[tokio::test]
async fn a_request_that_lands_late_is_found_and_undone() {
    let erp = tryton_or_skip!();
    let landing = Arc::new(Notify::new());
    let rule = {
        let (landing, mut held) = (Arc::clone(&landing), false);
        move |line: &str| {
            if line.starts_with("POST /lab/rest/model/sale.sale ") && !std::mem::replace(&mut held, true) {
                return Fate::Hold(Arc::clone(&landing));
            }
            Fate::Pass
        }
    };
    let proxy = Proxy::start(&erp.server.base_url, rule).await;
    let mut options = options(&erp.server, &proxy.base_url, Measure::OnHand);
    options.late = Duration::from_secs(3600);
    let cautious = Tryton::new("tryton", options.clone()).expect("the options are good");
    let first = posting("late", 1, &[("SKU-0009", [4, 0, 0, 0, 0])]);
    assert!(matches!(cautious.post(&first).await, Outcome::Unknown { .. }));
    // While it may still land, nothing is sent for this order; others go on.
    assert!(matches!(cautious.post(&first).await, Outcome::Unknown { .. }));
    assert_eq!(erp.sales("late").await, Vec::<Value>::new());
    let other = posting("other", 1, &[("SKU-0009", [1, 0, 0, 0, 0])]);
    assert_eq!(cautious.post(&other).await, Outcome::Applied);

    // The bound was wrong: it lands after the posting was made anew.
    options.late = Duration::ZERO;
    let hasty = Tryton::new("tryton", options).expect("the options are good");
    assert_eq!(hasty.post(&first).await, Outcome::Applied);
    landing.notify_one();
    landing.notified().await;
    assert_eq!(erp.sales("late").await.len(), 2);
    erp.see("SKU-0009", 100, 95).await;
    assert_eq!(hasty.post(&first).await, Outcome::Applied);
    let states: Vec<_> = erp.sales("late").await.iter().map(|sale| sale["state"].clone()).collect();
    assert_eq!((states.len(), states.iter().filter(|s| *s == "cancelled").count()), (2, 1), "{states:?}");
    erp.see("SKU-0009", 100, 95).await;
}

#[tokio::test]
async fn a_sale_that_two_requests_planned_twice_is_planned_once_again() {
    let erp = tryton_or_skip!();
    // What two `confirm` at once lead to on SQLite: a second shipment of the whole quantity.
    erp.post("twice", 1, "SKU-0010", [3, 0, 0, 0, 0]).await;
    let sale = &erp.sales("twice").await[0];
    let shipment = &sale["shipments"][0]["id"];
    let path = format!(
        "stock.shipment.out/{shipment}?f=outgoing_moves&f=customer&f=delivery_address\
        &f=outgoing_moves.origin&f=outgoing_moves.to_location&f=warehouse_output&f=planned_date\
        &f=outgoing_moves.unit_price&f=outgoing_moves.currency&f=outgoing_moves.unit&f=warehouse_storage"
    );
    let first = erp.person("GET", &path, json!({})).await;
    let m = &first["outgoing_moves"][0];
    let facts = &erp.server.facts;
    let again = json!({"company": facts.company, "customer": first["customer"], "warehouse": facts.warehouse,
        "delivery_address": first["delivery_address"], "warehouse_storage": first["warehouse_storage"],
        "warehouse_output": first["warehouse_output"],
        "moves": [["create", [{"product": facts.products["SKU-0010"], "quantity": 3.0, "unit": m["unit"],
            "from_location": first["warehouse_output"], "to_location": m["to_location"], "origin": m["origin"],
            "unit_price": m["unit_price"], "currency": m["currency"], "company": facts.company}]]]});
    let second = erp.person("POST", "stock.shipment.out", again).await;
    erp.person("POST", &format!("stock.shipment.out/{}/wait", second["id"]), json!({})).await;
    erp.see("SKU-0010", 100, 94).await;
    erp.post("twice", 1, "SKU-0010", [3, 0, 0, 0, 0]).await;
    erp.see("SKU-0010", 100, 97).await;
    erp.post("twice", 2, "SKU-0010", [3, 0, 0, 3, 0]).await;
    erp.see("SKU-0010", 97, 97).await;
    assert_eq!(erp.sales("twice").await[0]["shipment_state"], "sent");
}

#[track_caller]
fn rejected(outcome: &Outcome, part: &str) {
    let Outcome::Rejected { reason } = outcome else {
        panic!("{outcome:?}, wanted a rejection with `{part}`")
    };
    assert!(reason.contains(part), "{reason}");
}

#[tokio::test]
async fn what_a_person_does_in_tryton_is_kept() {
    let erp = tryton_or_skip!();
    // Shipped there already: the posting of the shipment finds nothing to do.
    erp.post("person-1", 1, "SKU-0011", [3, 0, 0, 0, 0]).await;
    let shipment = erp.sales("person-1").await[0]["shipments"][0]["id"].clone();
    for button in ["assign_try", "pick", "pack", "do"] {
        erp.person("POST", &format!("stock.shipment.out/{shipment}/{button}"), json!({})).await;
    }
    erp.see("SKU-0011", 97, 97).await;
    erp.post("person-1", 2, "SKU-0011", [3, 0, 0, 3, 0]).await;
    erp.see("SKU-0011", 97, 97).await;

    // Too late to cancel: a person must know.
    let late = posting("person-1", 3, &[("SKU-0011", [3, 1, 0, 2, 0])]);
    rejected(&erp.on_hand.post(&late).await, "1 of `SKU-0011` cannot be cancelled");

    // Cancelled there: the units are free, whatever we posted, until they are shipped after all.
    erp.post("person-2", 1, "SKU-0011", [2, 0, 0, 0, 0]).await;
    let shipment = erp.sales("person-2").await[0]["shipments"][0]["id"].clone();
    erp.person("POST", &format!("stock.shipment.out/{shipment}/cancel"), json!({})).await;
    let same = posting("person-2", 1, &[("SKU-0011", [2, 0, 0, 0, 0])]);
    assert_eq!(erp.on_hand.post(&same).await, Outcome::Applied);
    assert_eq!(erp.on_hand.posted(&same).await, Ok(vec![totals([2, 2, 0, 0, 0])]));
    erp.see("SKU-0011", 97, 97).await;
    erp.post("person-2", 2, "SKU-0011", [2, 0, 0, 2, 0]).await;
    erp.see("SKU-0011", 95, 95).await;
}

#[tokio::test]
async fn a_picked_shipment_is_cancelled_whole_but_not_in_part() {
    let erp = tryton_or_skip!();
    erp.post("picked", 1, "SKU-0012", [3, 0, 0, 0, 0]).await;
    let shipment = erp.sales("picked").await[0]["shipments"][0]["id"].clone();
    for button in ["assign_try", "pick"] {
        erp.person("POST", &format!("stock.shipment.out/{shipment}/{button}"), json!({})).await;
    }
    erp.see("SKU-0012", 100, 97).await;
    let part = posting("picked", 2, &[("SKU-0012", [3, 1, 0, 0, 0])]);
    assert!(matches!(erp.on_hand.post(&part).await, Outcome::Rejected { .. }));
    erp.see("SKU-0012", 100, 97).await;
    erp.post("picked", 3, "SKU-0012", [3, 3, 0, 0, 0]).await;
    erp.see("SKU-0012", 100, 100).await;
}

#[tokio::test]
async fn a_count_by_a_person_is_in_the_feed() {
    let erp = tryton_or_skip!();
    let before =
        erp.on_hand.counts(&Scope::Only(vec![code("SKU-0013")]), None).await.expect("it can be read");
    let facts = &erp.server.facts;
    let today = erp.person("POST", "ir.date/today", json!({})).await;
    let inventory = json!({"location": facts.storage, "date": today, "company": facts.company,
        "empty_quantity": "keep",
        "lines": [["create", [{"product": facts.products["SKU-0013"], "quantity": 90.0}]]]});
    let inventory = erp.person("POST", "stock.inventory", inventory).await;
    erp.person("POST", &format!("stock.inventory/{}/confirm", inventory["id"]), json!({})).await;
    erp.see("SKU-0013", 90, 90).await;

    let changed = erp.on_hand.changed(before.as_of).await.expect("the feed can be read");
    assert!(changed.read_through >= before.as_of);
    let found = changed.items.iter().find(|ids| ids.get(IdKind::Sku) == Some("SKU-0013"));
    let found = found.expect("the counted product moved").clone();
    // What the feed names can be counted as it stands.
    let page = erp.on_hand.counts(&Scope::Only(vec![found]), None).await.expect("it can be read");
    assert_eq!(page.lines[0].quantity, Quantity::new(90));
    // The time of a read is the answer's date, which has a grain of a second, less what the answer took.
    assert!(page.as_of > before.as_of.plus_millis(-1_001));

    // The watermark is Tryton's own time, whatever was asked for.
    let later = changed.read_through.plus_millis(3_600_000);
    let none = erp.on_hand.changed(later).await.expect("the feed can be read");
    assert_eq!(none.items, Vec::new());
    assert!(none.read_through < later);
}

#[tokio::test]
async fn the_feed_of_free_also_names_what_is_only_promised() {
    let erp = tryton_or_skip!();
    let before = erp.free.counts(&Scope::Only(vec![code("SKU-0014")]), None).await.expect("it can be read");
    erp.post("promised", 1, "SKU-0014", [1, 0, 0, 0, 0]).await;
    let names = |items: Vec<Identifiers>| items.iter().any(|ids| ids.get(IdKind::Sku) == Some("SKU-0014"));
    assert!(names(erp.free.changed(before.as_of).await.expect("the feed can be read").items));
    assert!(!names(erp.on_hand.changed(before.as_of).await.expect("the feed can be read").items));
}

#[tokio::test]
async fn refusals_say_what_to_change() {
    let erp = tryton_or_skip!();
    let unknown = posting("r1", 1, &[("no such", [1, 0, 0, 0, 0])]);
    rejected(&erp.on_hand.post(&unknown).await, "no product `channel_sku=no such`");
    let mut elsewhere = posting("r2", 1, &[("SKU-0015", [1, 0, 0, 0, 0])]);
    elsewhere.lines[0].location = LocationId::new("other").expect("a name");
    rejected(&erp.on_hand.post(&elsewhere).await, "configured for `other`");
    let twice = posting("r3", 1, &[("SKU-0015", [1, 0, 0, 0, 0]), ("SKU-0015", [1, 0, 0, 0, 0])]);
    rejected(&erp.on_hand.post(&twice).await, "same product");

    let with = |change: &dyn Fn(&mut Options)| {
        let mut options = options(&erp.server, &erp.server.base_url, Measure::OnHand);
        change(&mut options);
        Tryton::new("tryton", options).expect("the options are good")
    };
    let good = posting("r4", 1, &[("SKU-0015", [1, 0, 0, 0, 0])]);
    let bad_key = with(&|o| o.key = SecretString::from("bad"));
    assert!(matches!(bad_key.post(&good).await, Outcome::Unauthorized { .. }));
    assert!(matches!(bad_key.check().await, Err(Fault::Unauthorized(_))));
    let no_rights = with(&|o| o.key = SecretString::from(erp.server.facts.reader_key.clone()));
    rejected(&no_rights.post(&good).await, "not allowed to access \"Sale\"");
    rejected(&with(&|o| o.warehouses[0].0 = "STO".to_owned()).post(&good).await, "is of type `storage`");
    rejected(
        &with(&|o| o.warehouses[0].0 = "X".to_owned()).post(&good).await,
        "no location with the code `X`",
    );
    rejected(&with(&|o| o.customer = "77".to_owned()).post(&good).await, "no party with the code `77`");
    rejected(&with(&|o| o.company = Some(9)).post(&good).await, "`company`");
    rejected(&with(&|o| o.database = "none".to_owned()).post(&good).await, "no such database");
    let nobody = with(&|o| o.base_url = base_url("base_url", "http://127.0.0.1:9").expect("loopback"));
    assert!(matches!(nobody.post(&good).await, Outcome::NotSent { .. }));
    erp.see("SKU-0015", 100, 100).await;
}

#[tokio::test]
async fn check_tells_the_version_and_missing_rights() {
    let erp = tryton_or_skip!();
    let notes = erp.on_hand.check().await.expect("all is well").facts;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("Tryton 8.2, company `Lab Company` (1), warehouse `WH`"), "{notes:?}");
    let mut options = options(&erp.server, &erp.server.base_url, Measure::OnHand);
    options.key = SecretString::from(erp.server.facts.reader_key.clone());
    let reader = Tryton::new("tryton", options).expect("the options are good");
    assert!(matches!(reader.check().await, Err(Fault::Refused(_))));
}
