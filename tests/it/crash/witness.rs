//! Who keeps a list of what the daemon has acknowledged: it stands between the shop and the daemon, passes webhooks on,
//! and notes those that were answered with 2xx. What it noted must be in the journal, whenever the daemon dies.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use evenkeel::{
    core::{
        Record,
        ledger::{Cause, Entry, Kind},
    },
    engine::disk,
    store,
};
use serde_json::Value;

/// A webhook that was answered with 2xx.
#[derive(Debug, Clone)]
struct Acked {
    id: String,
    topic: String,
    order: String,
    /// Units ordered, where the body is an order's.
    ordered: i64,
    /// How long the log beside the daemon was by then.
    at: u64,
}

struct Way {
    to: String,
    beside: Option<PathBuf>,
    client: reqwest::Client,
    acked: Arc<Mutex<Vec<Acked>>>,
}

/// The list, and the address that webhooks are to be sent to. It ends with the runtime of its test.
pub(crate) struct Witness {
    pub(crate) url: String,
    acked: Arc<Mutex<Vec<Acked>>>,
}

/// What a journal says of one order: the units that its row counts as booked, and those of its sale entries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Booked {
    ordered_most: i64,
    booked: i64,
    sold: i64,
}

impl Witness {
    pub(crate) async fn start(web: &str) -> Witness {
        Witness::noting(web, None).await
    }

    /// Notes how long a log is that is written beside the daemon, whenever something is acknowledged.
    pub(crate) async fn beside(web: &str, log: &Path) -> Witness {
        Witness::noting(web, Some(log.to_path_buf())).await
    }

    async fn noting(web: &str, beside: Option<PathBuf>) -> Witness {
        let acked = Arc::default();
        let to = format!("http://{web}/webhooks/shopify/shop");
        let way = Way { to, beside, client: reqwest::Client::new(), acked: Arc::clone(&acked) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let app = Router::new().route("/", post(pass)).with_state(Arc::new(way));
        tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Witness { url, acked }
    }

    fn list(&self) -> Vec<Acked> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.list().len()
    }

    /// Of what was acknowledged while the log beside it was no longer than `end`, all is in the journal.
    pub(crate) fn check_promised(&self, store: &Path, end: u64, what: &str) {
        let promised: Vec<Acked> = self.list().into_iter().filter(|ack| ack.at <= end).collect();
        let (deliveries, orders) = read(store);
        let lost = lost(&promised, &deliveries, &orders);
        assert!(lost.is_empty(), "{what}: acknowledged and lost: {lost:#?}");
    }

    /// Reads the journal of a dead daemon: all that was acknowledged is in it, and no unit is booked twice.
    pub(crate) fn check(&self, store: &Path) {
        let (deliveries, orders) = read(store);
        let lost = lost(&self.list(), &deliveries, &orders);
        assert!(lost.is_empty(), "acknowledged and lost: {lost:#?}");
        let twice: Vec<_> = orders.iter().filter(|(_, order)| order.booked != order.sold).collect();
        assert!(twice.is_empty(), "booked otherwise than counted: {twice:?}");
    }
}

/// Names what was acknowledged and is not in the journal. A webhook that brought nothing new leaves no trace but the
/// order that was known already.
fn lost(acked: &[Acked], deliveries: &BTreeSet<String>, orders: &BTreeMap<String, Booked>) -> Vec<String> {
    let known = |ack: &Acked| orders.get(&ack.order).is_some_and(|held| held.ordered_most >= ack.ordered);
    let gone = acked.iter().filter(|ack| !deliveries.contains(&ack.id) && !known(ack));
    gone.map(|Acked { id, topic, order, ordered, .. }| {
        format!("{topic} {id}: {ordered} units in order {order}")
    })
    .collect()
}

async fn pass(State(way): State<Arc<Way>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut request = way.client.post(&way.to).body(body.clone());
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("x-shopify-")) {
        request = request.header(name, value);
    }
    // Whoever gets no answer was promised nothing.
    let Ok(answer) = request.send().await else { return StatusCode::BAD_GATEWAY };
    if answer.status().is_success() {
        let text = |name: &str| headers[name].to_str().expect("plain text").to_owned();
        let (id, topic) = (text("x-shopify-webhook-id"), text("x-shopify-topic"));
        let body: Value = serde_json::from_slice(&body).expect("the sandbox sends JSON");
        let beside = way.beside.as_ref().map(|log| std::fs::metadata(log).expect("it is written").len());
        if let Some(ack) = acked(id, topic, &body, beside.unwrap_or(0)) {
            way.acked.lock().unwrap_or_else(PoisonError::into_inner).push(ack);
        }
    }
    answer.status()
}

/// Takes down what concerns an order. A quantity is only a reason to look.
fn acked(id: String, topic: String, body: &Value, at: u64) -> Option<Acked> {
    let order = if topic.starts_with("orders/") { &body["id"] } else { &body["order_id"] };
    let order = order.as_u64()?.to_string();
    let lines = body["line_items"].as_array().filter(|_| topic.starts_with("orders/"));
    let ordered = lines.into_iter().flatten().filter_map(|line| line["quantity"].as_i64()).sum();
    Some(Acked { id, topic, order, ordered, at })
}

/// Returns the deliveries and the shop's orders that a journal holds.
fn read(store: &Path) -> (BTreeSet<String>, BTreeMap<String, Booked>) {
    let (mut deliveries, mut orders) = (BTreeSet::new(), BTreeMap::<String, Booked>::new());
    let report = store::verify_journal(store, Some(&store::archive_of(store)), &mut |record| {
        let envelope = disk::decode(record.seq, &record.payload).expect("a record of ours");
        for record in envelope.records {
            if let Record::Delivered { delivery, .. } = &record {
                deliveries.insert(delivery.to_string());
            }
            if let Record::Order { key, order, entries } = record
                && key.channel.as_str() == "shop"
            {
                let held = orders.entry(key.order.to_string()).or_default();
                held.ordered_most = order.lines.values().map(|line| line.ordered_most.units()).sum();
                held.booked = order.lines.values().map(|line| line.booked.ordered.units()).sum();
                held.sold +=
                    entries.iter().filter(|entry| is_sale(entry)).map(|e| e.quantity.units()).sum::<i64>();
            }
        }
    });
    report.expect("the journal is whole");
    (deliveries, orders)
}

fn is_sale(entry: &Entry) -> bool {
    entry.kind == Kind::Sale && matches!(entry.cause, Cause::Order { .. })
}

#[test]
fn a_webhook_that_is_not_in_the_journal_is_missed() {
    let deliveries = BTreeSet::from(["known".to_owned()]);
    let orders = BTreeMap::from([("7".to_owned(), Booked { ordered_most: 2, booked: 2, sold: 2 })]);
    let missed = |id: &str, order: &str, ordered: i64| {
        let topic = "orders/updated".to_owned();
        let ack = Acked { id: id.to_owned(), topic, order: order.to_owned(), ordered, at: 0 };
        !lost(&[ack], &deliveries, &orders).is_empty()
    };
    assert!(!missed("known", "7", 2) && !missed("known", "8", 1), "it left its own record");
    assert!(!missed("late", "7", 2), "the feed had brought it");
    assert!(missed("late", "8", 0), "its order is not there");
    assert!(missed("late", "7", 3), "its order is there as it was before");
}
