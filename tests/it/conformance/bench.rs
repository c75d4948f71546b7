//! One connector in front of its simulated system, and what can be asked of any connector.

use std::time::Duration;

use evenkeel::{
    connectors::{By, Connector, Cursor, Fault, Observed, Outcome, Posting, PostingLine, Put, Scope, http},
    model::{
        ChannelId, IdempotencyKey, Identifiers, LocationId, OrderId, OrderKey, Quantity, Timestamp, Totals,
    },
    sandbox::{Options, Running, Sandbox, Span},
};
use serde_json::{Value, json};

use super::{
    front::{Asked, Front},
    subjects::{At, Subject},
};

/// How long a connector waits that is to see no end.
const HASTY: Duration = Duration::from_millis(1_500);

/// The largest answer that a connector of these tests reads.
pub(super) const BODY_MAX: usize = 8 << 20;

/// How often it is looked for what takes its time, ten milliseconds apart.
const LOOKS: usize = 1_000;

pub(super) struct Bench {
    pub subject: Subject,
    pub front: Front,
    running: Running,
}

/// A listing, or an item, and what is shown of it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub ids: Identifiers,
    pub shown: i64,
}

/// What there is to be read.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub items: Vec<Item>,
    pub order: OrderId,
}

/// What was read, in an order of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Got {
    pub told: Vec<String>,
    /// How many entries could not be read.
    pub odd: usize,
    pub next: Option<Cursor>,
    /// The channel's time up to which, or as of which, it was read.
    pub at: Option<Timestamp>,
}

/// Everything that can be read of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Read {
    Back,
    Orders(By),
    Order,
    Catalogue,
    Snapshot,
    Items,
    Changed,
    Counts,
    Count,
    Posted,
}

pub(super) const READS: [Read; 11] = [
    Read::Back,
    Read::Orders(By::Change),
    Read::Orders(By::Placement),
    Read::Order,
    Read::Catalogue,
    Read::Snapshot,
    Read::Items,
    Read::Changed,
    Read::Counts,
    Read::Count,
    Read::Posted,
];

impl Read {
    /// Tells whether it comes page by page.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Read::Orders(_) | Read::Catalogue | Read::Counts | Read::Changed)
    }
}

impl Bench {
    pub(super) async fn start(subject: Subject) -> Bench {
        Bench::with_codes(subject, &[]).await
    }

    /// Starts with goods that the merchant calls so.
    pub(super) async fn with_codes(subject: Subject, codes: &[&str]) -> Bench {
        let mut options = Options { seed: 7, ..Options::default() };
        options.catalogue.codes = codes.iter().map(|code| (*code).to_owned()).collect();
        options.catalogue.skus = codes.len().max(4);
        options.catalogue.opening = Span::new(50, 50);
        options.catalogue.fba_twins = 2;
        options.amazon.visibility_ms = Span::new(0, 0);
        options.amazon.pending_ms = Span::new(0, 0);
        options.amazon.order_lag_ms = 0;
        options.amazon.rate_scale = 1_000_000.0;
        options.shopify.bucket = 1_000_000.0;
        let running = Sandbox::start(options).await.expect("the sandbox starts");
        let front = Front::start((subject.system)(&running.addresses())).await;
        Bench { subject, front, running }
    }

    pub(super) fn at(&self) -> At {
        let http = http::Options { body_max: BODY_MAX, ..http::Options::default() };
        At { base: self.front.base(), tokens: self.front.base(), http }
    }

    pub(super) fn connector(&self) -> Box<dyn Connector> {
        (self.subject.build)(&self.at())
    }

    /// Returns a connector that has been at work: it has its token, and knows what there is.
    pub(super) async fn at_work(&self) -> (Box<dyn Connector>, Known) {
        let connector = self.connector();
        let known = self.known(&*connector).await;
        (connector, known)
    }

    /// Returns one that soon gives up waiting.
    pub(super) async fn hasty(&self) -> (Box<dyn Connector>, Known) {
        let (_, known) = self.at_work().await;
        let mut at = self.at();
        at.http.timeout = HASTY;
        let connector = (self.subject.build)(&at);
        for _ in 0..20 {
            // A busy machine may take longer.
            if read(&*connector, Read::Catalogue, &known, None).await.is_ok()
                && read(&*connector, Read::Back, &known, None).await.is_ok()
            {
                break;
            }
        }
        (connector, known)
    }

    async fn known(&self, connector: &dyn Connector) -> Known {
        let page = connector.catalogue(None).await.expect("the catalogue can be read");
        let items = page.items.into_iter().filter(|item| item.unwritable.is_none());
        let items = items.filter_map(|item| {
            let shown = item.levels?.available.units();
            Some(Item { ids: item.ids, shown })
        });
        Known { items: items.collect(), order: OrderId::new("1").expect("an id") }
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://{}{path}", self.running.addresses().control);
        let answer = client.post(url).json(&body).send().await.expect("control answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// Returns what the merchant calls the goods.
    pub(super) async fn codes(&self) -> Vec<String> {
        let url = format!("http://{}/books", self.running.addresses().control);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let books: Value = client.get(url).send().await.expect("books").json().await.expect("JSON");
        let skus = books["skus"].as_array().expect("a list");
        skus.iter().map(|book| book["sku"].as_str().expect("a code").to_owned()).collect()
    }

    /// Has some orders placed, or posted, so that there is something to be read.
    pub(super) async fn busy(&self) -> (Box<dyn Connector>, Known) {
        let (connector, mut known) = self.at_work().await;
        if let Some(channel) = self.subject.channel {
            for sku in self.codes().await.iter().take(3) {
                let lines = json!([{"sku": sku, "quantity": 1}]);
                let placed = self.control("/order", json!({"channel": channel, "lines": lines})).await;
                known.order = OrderId::new(placed["order"].as_str().expect("an id")).expect("an id");
            }
        } else {
            let outcomes = write(&*connector, &known.items, 0, 1).await;
            assert_eq!(outcomes, [Outcome::Applied]);
        }
        (connector, known)
    }

    /// Returns the reads that the connector offers, each seen to work.
    pub(super) async fn reads(&self, connector: &dyn Connector, known: &Known) -> Vec<Read> {
        let mut offered = Vec::new();
        for kind in READS {
            if matches!(kind, Read::Orders(by) if !connector.order_lists().contains(&by)) {
                continue;
            }
            match read(connector, kind, known, None).await {
                Ok(_) => offered.push(kind),
                Err(Fault::NotOffered(_)) => {}
                Err(fault) => panic!("{}: {kind:?}: {fault}", self.subject.name),
            }
        }
        offered
    }

    /// Returns what is struck where everything is: all requests but those for tokens.
    pub(super) fn all(&self) -> impl Fn(&Asked) -> bool + Send + Sync + 'static {
        let asks_token = self.subject.asks_token;
        move |asked| !asks_token(asked)
    }

    /// Returns what is struck where only writes are.
    pub(super) fn changes(&self) -> impl Fn(&Asked) -> bool + Send + Sync + 'static {
        let (changes, asks_token) = (self.subject.changes, self.subject.asks_token);
        move |asked| changes(asked) && !asks_token(asked)
    }

    /// Returns how many of the requests since the last call are such.
    pub(super) fn count(&self, which: impl Fn(&Asked) -> bool) -> usize {
        self.front.asked().iter().filter(|asked| which(asked)).count()
    }

    /// Checks that a text holds no secret.
    #[track_caller]
    pub(super) fn is_discreet(&self, text: &str) {
        for secret in self.subject.secrets {
            assert!(!text.contains(secret), "{}: `{secret}` is told: {text}", self.subject.name);
        }
    }
}

fn place() -> LocationId {
    LocationId::new("main").expect("a name")
}

/// The posting of an order of these items.
fn posting(items: &[Item], nth: usize, units: i64) -> Posting {
    let channel = ChannelId::new("shop").expect("a name");
    let ordered = Totals { ordered: Quantity::new(units), ..Totals::default() };
    let line = |item: &Item| PostingLine {
        ids: item.ids.clone(),
        location: place(),
        target: ordered,
        told: ordered,
        acked: None,
        unanswered: Vec::new(),
    };
    Posting {
        order: OrderKey { channel, order: OrderId::new(&format!("order-{nth}")).expect("an id") },
        reference: format!("evk-test:shop:order-{nth}"),
        sequence: 1,
        placed_at: Timestamp::from_millis(1_795_446_000_000),
        lines: items.iter().map(line).collect(),
    }
}

pub(super) fn puts(connector: &dyn Connector, items: &[Item], nth: usize, units: i64) -> Vec<Put> {
    let compares = connector.abilities().compare_and_set;
    let put = |(i, item): (usize, &Item)| Put {
        ids: item.ids.clone(),
        location: place(),
        quantity: Quantity::new(units),
        compare: compares.then(|| Quantity::new(item.shown)),
        delta: None,
        key: IdempotencyKey::new(&format!("key-{nth}-{i}")).expect("a key"),
        reference: "test".to_owned(),
    };
    items.iter().enumerate().map(put).collect()
}

/// Writes so many units of each item: as quantities, or as the posting of one order. `nth` names the write.
pub(super) async fn write(connector: &dyn Connector, items: &[Item], nth: usize, units: i64) -> Vec<Outcome> {
    if connector.abilities().quantities {
        return connector.write(&puts(connector, items, nth, units)).await;
    }
    vec![connector.post(&posting(items, nth, units)).await]
}

/// Tells whether a write was done.
pub(super) fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Applied | Outcome::Accepted { .. })
}

#[track_caller]
pub(super) fn all_are(outcomes: &[Outcome], want: fn(&Outcome) -> bool, told: &str) {
    assert!(!outcomes.is_empty() && outcomes.iter().all(want), "{told}: {outcomes:?}");
}

/// Waits until the system shows what was written, and nothing else.
pub(super) async fn shows(connector: &dyn Connector, items: &[Item], nth: usize, units: i64) {
    let mut seen = String::new();
    for _ in 0..LOOKS {
        let right = if connector.abilities().quantities {
            let ids: Vec<Identifiers> = items.iter().map(|item| item.ids.clone()).collect();
            let all = connector.read_back(&ids).await.expect("it can be read");
            seen = format!("{all:?}");
            let is =
                |one: &Observed| matches!(one, Observed::Seen(levels) if levels.available.units() == units);
            all.iter().all(is)
        } else {
            let all = connector.posted(&posting(items, nth, units)).await.expect("it can be read");
            seen = format!("{all:?}");
            all.iter().all(|totals| totals.ordered.units() == units)
        };
        if right {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{units} units are not shown: {seen}");
}

/// Reads once; lists, one page.
pub(super) async fn read(
    connector: &dyn Connector,
    kind: Read,
    known: &Known,
    after: Option<&Cursor>,
) -> Result<Got, Fault> {
    let ids: Vec<Identifiers> = known.items.iter().map(|item| item.ids.clone()).collect();
    let (mut odd, mut next, mut at) = (0, None, None);
    let mut told: Vec<String> = match kind {
        Read::Back => {
            let all = connector.read_back(&ids).await?;
            odd = all.iter().filter(|one| matches!(one, Observed::Unread { .. })).count();
            all.iter()
                .filter(|one| !matches!(one, Observed::Unread { .. }))
                .map(|one| format!("{one:?}"))
                .collect()
        }
        Read::Orders(by) => {
            let page = connector.orders(by, Timestamp::from_millis(0), after).await?;
            (odd, next, at) = (page.unreadable.len() + page.unread.len(), page.next, page.read_through);
            page.orders.iter().map(|order| format!("{order:?}")).collect()
        }
        Read::Order => vec![format!("{:?}", connector.order(&known.order).await?)],
        Read::Catalogue | Read::Snapshot | Read::Items => {
            let page = if kind == Read::Snapshot {
                connector.snapshot(after).await?
            } else if kind == Read::Items {
                connector.items(&ids).await?
            } else {
                connector.catalogue(after).await?
            };
            let unread = |unwritable: &Option<String>| {
                unwritable.as_deref().is_some_and(|why| why.contains("not understood"))
            };
            let (bad, good): (Vec<_>, Vec<_>) =
                page.items.into_iter().partition(|item| item.levels.is_none() && unread(&item.unwritable));
            (odd, next) = (page.unread.len() + bad.len(), page.next);
            good.iter().map(|item| format!("{item:?}")).collect()
        }
        Read::Changed => {
            let changed = connector.changed(Timestamp::from_millis(0)).await?;
            at = Some(changed.read_through);
            changed.items.iter().map(|ids| format!("{ids:?}")).collect()
        }
        Read::Counts | Read::Count => {
            let scope = if kind == Read::Counts { Scope::All } else { Scope::Only(ids) };
            let page = connector.counts(&scope, after).await?;
            (odd, next) = (page.unreadable.len(), page.next);
            at = connector.abilities().counts.map(|_| page.as_of);
            page.lines.iter().map(|line| format!("{line:?}")).collect()
        }
        Read::Posted => {
            let all = connector.posted(&posting(&known.items, 0, 1)).await?;
            all.iter().map(|totals| format!("{totals:?}")).collect()
        }
    };
    told.sort();
    Ok(Got { told, odd, next, at })
}
