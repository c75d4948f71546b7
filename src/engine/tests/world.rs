//! A daemon without its loops: a ledger on a store in memory, channels that are lists, and both doors.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::{Clock, ManualClock},
    connectors::{
        By, CataloguePage, Changed, Checked, Connector, CountPage, Cursor, Fact, Fault, Observed, OrderPage,
        Outcome, Posting, Push, Put, Received, Refusal, Scope, Tended, Tending, http, shopify,
    },
    core::{Command, State, apply},
    engine::{
        channels::{Channels, Reach, Shared},
        disk,
        handles::Handles,
        init::Opening,
        intake::{Intake, Quarantine},
        lane::Hint,
        ledger::{Ledger, Options},
        memory::MemoryStore,
        wake::Wakes,
    },
    model::{
        Abilities, CatalogueItem, CountLine, IdKind, Identifiers, LocationId, OrderId, OrderSnapshot,
        Quantity, Timestamp, Totals,
    },
    telemetry::Metrics,
    web::{
        self, Door, Web,
        tests::world::{OPENED, channel, policies},
    },
};

/// The client secret of the shop `main`.
pub(super) const SECRET: &str = "hush";
pub(super) const SHOP: &str = "example.myshopify.com";

pub(super) type FeedOf = Box<dyn Fn(Timestamp, usize) -> Result<OrderPage, Fault> + Send>;

/// A channel that is a list.
#[derive(Default)]
pub(super) struct Listed {
    pub pages: Mutex<Vec<Vec<CatalogueItem>>>,
    /// The pages of the catalogue that were asked for.
    pub browsed: Mutex<Vec<usize>>,
    /// What the second page answers at first, once each.
    pub breaks: Mutex<Vec<Fault>>,
    /// What the first page of a snapshot reports.
    pub reported: Mutex<Vec<CatalogueItem>>,
    /// What reading listings by themselves answers, time by time, and how many were asked for.
    pub items: Mutex<VecDeque<Result<Vec<CatalogueItem>, Fault>>>,
    pub items_asked: Mutex<Vec<usize>>,
    pub orders: Mutex<Vec<OrderSnapshot>>,
    /// What is answered for the order feed's page of that number, in place of `orders` on one page.
    pub feed: Mutex<Option<FeedOf>>,
    /// What the list of orders by their placement holds, if there is one.
    pub placed: Mutex<Option<Vec<OrderSnapshot>>>,
    /// The lists that were asked for, and from when on.
    pub lists: Mutex<Vec<(By, Timestamp)>>,
    /// What is answered for single orders; others are not known.
    pub single: Mutex<BTreeMap<String, Result<OrderSnapshot, Fault>>>,
    /// The single orders that were asked for.
    pub asked: Mutex<Vec<String>>,
    pub counts: Mutex<Vec<CountLine>>,
    /// What it holds of orders that it was told of.
    pub holds: Mutex<BTreeMap<String, Vec<Totals>>>,
    /// What was written, once writes are taken at all.
    pub written: Mutex<Option<Vec<Put>>>,
    /// Writes of this quantity take calls of their own, and a permit for each request.
    pub slow: Mutex<Option<(Quantity, Arc<Semaphore>)>>,
    /// Each look takes a permit and says nothing, once looks are taken at all.
    pub looks: Mutex<Option<Arc<Semaphore>>>,
    /// Looks that hold one of these fail, and the others are taken.
    pub blind: Mutex<Vec<&'static str>>,
    /// What each look held, once looks are taken at all.
    pub looks_at: Mutex<Vec<Vec<String>>>,
    /// How many looks were begun.
    pub looked: AtomicUsize,
    pub fault: Mutex<Option<Fault>>,
    /// How many reads failed by it.
    pub failed: AtomicUsize,
    pub orders_gap: Mutex<Duration>,
    /// When orders were read.
    pub reads: Mutex<Vec<Instant>>,
    /// What comes of tending it, time by time, and then always nothing.
    pub tended: Mutex<VecDeque<Result<Tended, Fault>>>,
    /// How often it was tended.
    pub tendings: AtomicUsize,
    /// How often it might mend what it found.
    pub mended: AtomicUsize,
    pub uneasy: Notify,
}

impl Listed {
    fn up(&self) -> Result<(), Fault> {
        let fault = self.fault.lock().expect("unpoisoned").clone();
        self.failed.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
        fault.map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Connector for Listed {
    fn abilities(&self) -> Abilities {
        policies().channels[&channel("main")].abilities
    }

    fn is_slow(&self, put: &Put) -> bool {
        self.slow.lock().expect("unpoisoned").as_ref().is_some_and(|(slow, _)| put.quantity == *slow)
    }

    async fn write(&self, puts: &[Put]) -> Vec<Outcome> {
        let slow = self.slow.lock().expect("unpoisoned").clone();
        if let Some((_, gate)) = slow.filter(|_| puts.iter().any(|put| self.is_slow(put))) {
            gate.acquire().await.expect("it is never closed").forget();
        }
        let mut written = self.written.lock().expect("unpoisoned");
        written.as_mut().expect("nothing is to be written here").extend_from_slice(puts);
        vec![Outcome::Applied; puts.len()]
    }

    async fn read_back(&self, listings: &[Identifiers]) -> Result<Vec<Observed>, Fault> {
        let item = |ids: &Identifiers| ids.get(IdKind::InventoryItem).unwrap_or_default().to_owned();
        let items: Vec<String> = listings.iter().map(item).collect();
        self.looks_at.lock().expect("unpoisoned").push(items.clone());
        let blind = self.blind.lock().expect("unpoisoned").clone();
        if items.iter().any(|item| blind.contains(&item.as_str())) {
            return Err(Fault::Server { status: 500, detail: "no reason given".to_owned() });
        }
        let gate = self.looks.lock().expect("unpoisoned").clone();
        let Some(gate) = gate else { return Err(Fault::NotOffered("read_back")) };
        self.looked.fetch_add(1, Ordering::SeqCst);
        gate.acquire().await.expect("it is never closed").forget();
        Ok(vec![Observed::Absent; listings.len()])
    }

    fn order_lists(&self) -> &'static [By] {
        let two = self.placed.lock().expect("unpoisoned").is_some();
        if two { &[By::Change, By::Placement] } else { &[By::Change] }
    }

    async fn orders(&self, by: By, since: Timestamp, after: Option<&Cursor>) -> Result<OrderPage, Fault> {
        self.reads.lock().expect("unpoisoned").push(Instant::now());
        self.lists.lock().expect("unpoisoned").push((by, since));
        self.up()?;
        if by == By::Placement {
            let orders = self.placed.lock().expect("unpoisoned").clone().expect("such a list");
            let read_through = Some(Timestamp::from_millis(OPENED + 60_000));
            return Ok(OrderPage { orders, read_through, ..OrderPage::default() });
        }
        if let Some(feed) = self.feed.lock().expect("unpoisoned").as_ref() {
            return feed(since, after.map_or(0, |cursor| cursor.0.parse().expect("our own")));
        }
        let orders = self.orders.lock().expect("unpoisoned").clone();
        Ok(OrderPage { orders, read_through: Some(Timestamp::from_millis(OPENED)), ..OrderPage::default() })
    }

    async fn tend(&self, tending: Tending) -> Result<Tended, Fault> {
        self.tendings.fetch_add(1, Ordering::SeqCst);
        self.mended.fetch_add(usize::from(tending == Tending::Mend), Ordering::SeqCst);
        self.tended.lock().expect("unpoisoned").pop_front().unwrap_or_else(|| Ok(Tended::default()))
    }

    async fn uneasy(&self) {
        self.uneasy.notified().await;
    }

    fn orders_gap(&self) -> Duration {
        *self.orders_gap.lock().expect("unpoisoned")
    }

    async fn order(&self, order: &OrderId) -> Result<Option<OrderSnapshot>, Fault> {
        self.asked.lock().expect("unpoisoned").push(order.to_string());
        self.single.lock().expect("unpoisoned").get(order.as_str()).cloned().transpose()
    }

    async fn catalogue(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        self.up()?;
        let at: usize = after.map_or(0, |cursor| cursor.0.parse().expect("our own"));
        self.browsed.lock().expect("unpoisoned").push(at);
        if at == 1
            && let Some(fault) = self.breaks.lock().expect("unpoisoned").pop()
        {
            return Err(fault);
        }
        let pages = self.pages.lock().expect("unpoisoned");
        let next = (at + 1 < pages.len()).then(|| Cursor((at + 1).to_string()));
        Ok(CataloguePage { items: pages.get(at).cloned().unwrap_or_default(), next, ..Default::default() })
    }

    async fn snapshot(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        let page = self.catalogue(after).await?;
        let reported = std::mem::take(&mut *self.reported.lock().expect("unpoisoned"));
        Ok(CataloguePage { reported, ..page })
    }

    async fn items(&self, ids: &[Identifiers]) -> Result<CataloguePage, Fault> {
        self.items_asked.lock().expect("unpoisoned").push(ids.len());
        let items = self.items.lock().expect("unpoisoned").pop_front().unwrap_or_else(|| Ok(vec![]))?;
        Ok(CataloguePage { items, ..CataloguePage::default() })
    }

    fn receive(&self, _: &Push) -> Result<Received, Refusal> {
        Err(Refusal::Forged("nobody pushes here".to_owned()))
    }

    fn reread(&self, topic: &str, body: &[u8]) -> Result<Vec<Fact>, String> {
        shop().reread(topic, body)
    }

    async fn changed(&self, _: Timestamp) -> Result<Changed, Fault> {
        Ok(Changed::default())
    }

    async fn counts(&self, _: &Scope, _: Option<&Cursor>) -> Result<CountPage, Fault> {
        self.up()?;
        let lines = self.counts.lock().expect("unpoisoned").clone();
        Ok(CountPage { lines, as_of: Timestamp::from_millis(OPENED), ..CountPage::default() })
    }

    async fn posted(&self, posting: &Posting) -> Result<Vec<Totals>, Fault> {
        let holds = self.holds.lock().expect("unpoisoned");
        Ok(holds.get(&posting.order.to_string()).cloned().unwrap_or_default())
    }

    async fn post(&self, posting: &Posting) -> Outcome {
        panic!("nothing is to be posted here: {posting:?}")
    }

    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }
}

pub(super) struct World {
    pub store: MemoryStore,
    pub ledger: Ledger,
    pub metrics: Arc<Metrics>,
    pub lists: BTreeMap<&'static str, Arc<Listed>>,
    pub handles: Arc<Handles>,
    pub address: SocketAddr,
    pub stop: CancellationToken,
    _hints: mpsc::Receiver<Hint>,
    pub dir: TempDir,
}

/// The shop as Shopify's connector sees it; only its pushes are used.
fn shop() -> shopify::Shopify {
    let options = shopify::Options {
        shop: SHOP.to_owned(),
        base_url: "https://example.myshopify.com/".parse().expect("a URL"),
        api_version: shopify::options::API_VERSION.to_owned(),
        access: shopify::options::Access::Token(SecretString::from("token")),
        webhook_secrets: vec![SecretString::from(SECRET)],
        hooks: None,
        locations: shopify::options::Locations::new(vec![shopify::options::Location {
            id: LocationId::new("warehouse").expect("a name"),
            number: 1,
            stocks: false,
        }])
        .expect("one"),
        bulk_above: shopify::options::BULK_ABOVE,
        http: http::Options::default(),
    };
    shopify::Shopify::new(options).expect("good settings")
}

/// Starts on `state`, with room for `queue_max` commands.
pub(super) async fn start(state: State, queue_max: usize) -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, metrics) = (MemoryStore::new(), Arc::new(Metrics::new()));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_millis(OPENED + 60_000)));
    let names = ["erp", "main", "us"];
    let wakes = Arc::new(Wakes::new(names.map(channel)));
    let options = Options { queue_max, group_max: 1 };
    let boxed = Box::new(store.clone());
    let (ledger, _) = Ledger::start(state, boxed, clock.clone(), wakes.clone(), metrics.clone(), &options)
        .expect("a thread");
    ledger.submit(Command::Configure(Box::new(policies()))).await.expect("configured");
    let lists: BTreeMap<&'static str, Arc<Listed>> = names.map(|name| (name, Arc::default())).into();
    let quarantine = Arc::new(Quarantine::new(dir.path().join("quarantine"), ledger.clone(), clock.clone()));
    let reach = Reach { lookback: Duration::from_secs(3_600), overlap: Duration::ZERO };
    let shared = Shared {
        ledger: ledger.clone(),
        clock: clock.clone(),
        wakes: wakes.clone(),
        metrics: metrics.clone(),
        quarantine: quarantine.clone(),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    let channels = Arc::new(Channels::new(shared));
    for (name, list) in &lists {
        channels.lend(&channel(name), list.clone(), (*name != "erp").then_some(reach));
    }
    let opening = Opening {
        channels: channels.clone(),
        ledger: ledger.clone(),
        clock: clock.clone(),
        wakes: wakes.clone(),
        metrics: metrics.clone(),
        quarantine: quarantine.clone(),
        turn: tokio::sync::Mutex::new(()),
    };
    let handles = Arc::new(Handles {
        ledger: ledger.clone(),
        clock,
        wakes,
        metrics: metrics.clone(),
        channels,
        opening,
        reloader: None,
        started: Instant::now(),
        store: dir.path().to_owned(),
    });
    let (hint, hints) = mpsc::channel(8);
    let intake = Intake {
        channel: channel("main"),
        connector: Arc::new(shop()),
        ledger: ledger.clone(),
        quarantine,
        hints: hint,
        recounts: None,
        wakes: Arc::default(),
        metrics: metrics.clone(),
    };
    let web = Web {
        desk: handles.clone(),
        doors: Arc::new(BTreeMap::from([(channel("main"), Arc::new(intake) as Arc<dyn Door>)])),
        metrics: metrics.clone(),
        options: web::Options::new("127.0.0.1:0".parse().expect("an address"), dir.path().join("s")),
    };
    let open = web.open().await.expect("both doors open");
    let (address, stop) = (open.address(), CancellationToken::new());
    tokio::spawn(open.serve(stop.clone()));
    World { store, ledger, metrics, lists, handles, address, stop, _hints: hints, dir }
}

impl World {
    pub(super) async fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> T + Send + 'static) -> T {
        self.ledger.read(read).await.expect("the ledger answers")
    }

    /// Returns what `state`, on which it was started, and the first `count` durable records add up to.
    pub(super) fn replayed(&self, mut state: State, count: usize) -> State {
        for payload in self.store.payloads().iter().take(count) {
            let seq = state.seq.next();
            apply(&mut state, seq, &disk::decode(seq.0, payload).expect("a record"));
        }
        state
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A held store would keep the ledger's thread.
        self.store.release();
        self.stop.cancel();
    }
}
