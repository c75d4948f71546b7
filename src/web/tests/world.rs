//! A desk over a state in this process, a door that says what it is told to, and clients for both.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::UnixStream, sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    connectors::{CataloguePage, Push},
    core::{
        Command, Reply, State,
        command::{Count, Tally},
        decide,
        decide::trial::{Effect, try_out},
        state::{Note, Quarantined},
    },
    model::{
        Abilities, CatalogueItem, ChannelId, CountLine, DeliveryId, FulfilledBy, IdKind, Identifiers,
        Instance, Levels, LineId, LineSnapshot, LocationId, Measure, Mode, OrderId, OrderSnapshot, Policies,
        Quantity, Rest, Retry, Returns, Seq, Sku, Timestamp, Totals, Visible,
        policy::{
            AlertPolicy, Allocation, Brake, ChannelDrift, ChannelKind, ChannelPolicy, DriftPolicy,
            MappingRow, MappingRules, Posts,
        },
    },
    telemetry::Metrics,
    web::{
        Counting, Desk, Door, Failure, Open, Options, Read, Taken, Vitals, Web,
        view::{InitDone, InitPreview, ReloadRequest, Reloaded, ReplayedItem},
    },
};

/// When the stock of [`opened`] was counted.
pub(crate) const OPENED: i64 = 1_700_000_000_000;

/// A ledger without a journal: commands are decided at once.
pub(crate) struct FakeDesk {
    pub state: Mutex<State>,
    now: AtomicI64,
    pub stopping: Mutex<bool>,
    pub polled: Mutex<Vec<ChannelId>>,
    /// The catalogue of every channel; without any, none can be read.
    pub pages: Mutex<Vec<CataloguePage>>,
}

impl FakeDesk {
    pub(crate) fn new(state: State) -> Arc<FakeDesk> {
        Arc::new(FakeDesk {
            state: Mutex::new(state),
            now: AtomicI64::new(OPENED + 60_000),
            stopping: Mutex::new(false),
            polled: Mutex::default(),
            pages: Mutex::default(),
        })
    }

    pub(crate) fn do_now(&self, command: Command) -> Reply {
        let now = self.vitals().now;
        decide(&mut self.state.lock().expect("unpoisoned"), command, now).1.expect("taken")
    }

    fn up(&self) -> Result<(), Failure> {
        if *self.stopping.lock().expect("unpoisoned") { Err(Failure::Stopping) } else { Ok(()) }
    }
}

#[async_trait]
impl Desk for FakeDesk {
    fn vitals(&self) -> Vitals {
        Vitals {
            now: Timestamp::from_millis(self.now.load(Ordering::SeqCst)),
            uptime: Duration::from_millis(1_500),
            seq: self.state.lock().expect("unpoisoned").seq,
            beat: 0,
            queued: 3,
            refuses: None,
            disk: None,
        }
    }

    async fn submit(&self, command: Command) -> Result<Reply, Failure> {
        self.up()?;
        let now = self.vitals().now;
        Ok(decide(&mut self.state.lock().expect("unpoisoned"), command, now).1?)
    }

    async fn read(&self, read: Read) -> Result<(), Failure> {
        self.up()?;
        read(&self.state.lock().expect("unpoisoned"));
        Ok(())
    }

    async fn checkpoint(&self) -> Result<(Seq, String), Failure> {
        self.up().map(|()| (self.vitals().seq, "abc123".to_owned()))
    }

    fn footprint(&self) -> crate::store::Footprint {
        crate::store::Footprint { bytes: 4_096, built: Some((OPENED, 1_024)) }
    }

    fn poll(&self, channel: &ChannelId) -> bool {
        self.polled.lock().expect("unpoisoned").push(channel.clone());
        channel.as_str() != "nowhere"
    }

    async fn catalogue(
        &self,
        channel: &ChannelId,
        after: Option<String>,
    ) -> Result<(Timestamp, CataloguePage), Failure> {
        let n = after.map_or(0, |after| after.parse().expect("a number"));
        let page = self.pages.lock().expect("unpoisoned").get(n).cloned();
        let none = || Failure::Channel { channel: channel.clone(), why: "no answer".to_owned() };
        page.map(|page| (self.vitals().now, page)).ok_or_else(none)
    }

    async fn preview(&self, from: &ChannelId, _: Option<&LocationId>) -> Result<InitPreview, Failure> {
        Err(Failure::Channel { channel: from.clone(), why: "no answer".to_owned() })
    }

    async fn initialise(&self, from: &ChannelId, _: Option<&LocationId>) -> Result<InitDone, Failure> {
        let what = format!("taken over from {from} already");
        Err(Failure::Conflict { what, next: "go on".to_owned() })
    }

    async fn try_count(&self, asked: Counting) -> Result<Tally, Failure> {
        let now = self.vitals().now;
        let mut state = self.state.lock().expect("unpoisoned").clone();
        let reply = decide(&mut state, Command::CountByHand(asked.count), now).1?;
        let Reply::CountedByHand(tally) = reply else { panic!("not counted: {reply:?}") };
        Ok(tally)
    }

    async fn count(&self, asked: Counting) -> Result<Option<Tally>, Failure> {
        let mut command = Command::CountByHand(asked.count);
        if let Some(request) = asked.request {
            command = Command::Once { request, command: command.into() };
        }
        let Reply::CountedByHand(tally) = self.submit(command).await? else { return Ok(None) };
        Ok(Some(tally))
    }

    async fn preview_counted(&self, _: Counting) -> Result<InitPreview, Failure> {
        Err(Failure::Channel { channel: channel("main"), why: "no answer".to_owned() })
    }

    async fn initialise_counted(&self, _: Counting) -> Result<InitDone, Failure> {
        Err(Failure::Conflict { what: "taken over already".to_owned(), next: "go on".to_owned() })
    }

    async fn try_out(&self, commands: Vec<Command>) -> Result<Effect, Failure> {
        let now = self.vitals().now;
        let mut state = self.state.lock().expect("unpoisoned").clone();
        Ok(try_out(&mut state, commands, now)?)
    }

    async fn reload(&self, _: &ReloadRequest) -> Result<Reloaded, Failure> {
        Err(Failure::Config("evenkeel.toml:1:1: nothing is right".to_owned()))
    }

    async fn replay(&self, id: Seq, _: bool) -> Result<ReplayedItem, Failure> {
        let told = "it is no order".to_owned();
        Ok(ReplayedItem {
            id,
            channel: channel("main"),
            topic: "orders/create".to_owned(),
            done: false,
            told,
        })
    }

    async fn give_up(&self, id: Seq, note: Note) -> Result<(), Failure> {
        self.submit(Command::Unquarantine { id, note }).await.map(drop)
    }

    async fn body(&self, _: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(Some(b"{}".to_vec()))
    }

    fn has_body(&self, _: &str) -> bool {
        true
    }

    async fn figures(&self) -> String {
        "# EOF\n".to_owned()
    }
}

/// How many pushes a door lets through until it is told more.
const PUSHES: usize = 1_000;

/// A door that answers as it is told, and keeps what it was given.
pub(crate) struct FakeDoor {
    pub answer: Mutex<Option<Taken>>,
    pub pushes: Mutex<Vec<Push>>,
    /// Each push waits for a permit.
    pub gate: Semaphore,
    pub arrived: Semaphore,
}

impl FakeDoor {
    pub(crate) fn new() -> Arc<FakeDoor> {
        Arc::new(FakeDoor {
            answer: Mutex::new(Some(Taken::Yes)),
            pushes: Mutex::default(),
            gate: Semaphore::new(PUSHES),
            arrived: Semaphore::new(0),
        })
    }

    /// Lets no push through any more.
    pub(crate) fn shut(&self) {
        assert_eq!(self.gate.forget_permits(PUSHES), PUSHES, "shut before any push");
    }

    /// Says what the next pushes are answered; `None`: it panics.
    pub(crate) fn says(&self, taken: Option<Taken>) {
        *self.answer.lock().expect("unpoisoned") = taken;
    }
}

#[async_trait]
impl Door for FakeDoor {
    async fn push(&self, push: &Push) -> Taken {
        self.pushes.lock().expect("unpoisoned").push(push.clone());
        self.arrived.add_permits(1);
        self.gate.acquire().await.expect("open").forget();
        let answer = *self.answer.lock().expect("unpoisoned");
        answer.unwrap_or_else(|| panic!("asked to"))
    }
}

/// Both doors, served.
pub(crate) struct Served {
    pub desk: Arc<FakeDesk>,
    pub door: Arc<FakeDoor>,
    pub metrics: Arc<Metrics>,
    pub base: String,
    pub address: std::net::SocketAddr,
    pub socket: PathBuf,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
    _dir: TempDir,
}

/// Serves a state; `change` may alter the options.
pub(crate) async fn serve(state: State, change: impl FnOnce(&mut Options)) -> Served {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("evenkeel.sock");
    let mut options = Options::new("127.0.0.1:0".parse().expect("an address"), socket.clone());
    change(&mut options);
    let (desk, door, metrics) = (FakeDesk::new(state), FakeDoor::new(), Arc::new(Metrics::new()));
    let doors: BTreeMap<ChannelId, Arc<dyn Door>> =
        [(channel("main"), Arc::clone(&door) as Arc<dyn Door>)].into();
    let web = Web { desk: desk.clone(), doors: Arc::new(doors), metrics: metrics.clone(), options };
    let open: Open = web.open().await.expect("both doors open");
    let (address, stop) = (open.address(), CancellationToken::new());
    let task = tokio::spawn(open.serve(stop.clone()));
    Served { desk, door, metrics, base: format!("http://{address}"), address, socket, stop, task, _dir: dir }
}

impl Served {
    /// Asks the admin API.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        ask(&self.socket, method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, told) = self.ask(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {told}");
        told
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Value {
        let (status, told) = self.ask(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {told}");
        told
    }

    /// Expects a refusal that says what is wrong and what to do.
    #[track_caller]
    pub(crate) fn refused(
        &self,
        method: Method,
        path: &str,
        body: &str,
        status: u16,
        says: &str,
    ) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let (got, told) = self.ask(method, path, body).await;
            assert_eq!(got.as_u16(), status, "{at}: {told}");
            let (error, next) = (told["error"].as_str().unwrap_or(""), told["next"].as_str().unwrap_or(""));
            assert!(error.contains(says), "{at}: {told}");
            assert!(!next.is_empty(), "{at}: {told}");
        }
    }
}

async fn ask(socket: &Path, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
    let stream = UnixStream::connect(socket).await.expect("the socket is there");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "evenkeel")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let status = answer.status();
    let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("no JSON: {bytes:?}")))
}

pub(crate) fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a name")
}

pub(crate) fn sku(text: &str) -> Sku {
    Sku::new(text).expect("a SKU")
}

fn ids(pairs: &[(IdKind, &str)]) -> Identifiers {
    Identifiers::new(pairs.iter().copied()).expect("good")
}

fn q(units: i64) -> Quantity {
    Quantity::new(units)
}

fn abilities(sells: bool) -> Abilities {
    Abilities {
        quantities: sells,
        compare_and_set: sells,
        delta: false,
        visible: Visible::AtOnce,
        sells,
        restocks_cancels: false,
        restocks_returns: false,
        posts: !sells,
        counts: (!sells).then_some(Measure::OnHand),
        batch: 10,
        late_ms: 1_000,
        stale_ms: 0,
        feed_lag_ms: 0,
        visible_ms: 1_000,
        look_ms: 0,
    }
}

fn policy(kind: ChannelKind) -> ChannelPolicy {
    let erp = kind == ChannelKind::Tryton;
    ChannelPolicy {
        kind,
        abilities: abilities(!erp),
        locations: vec![LocationId::new("warehouse").expect("a name")],
        own_location: None,
        outlets: Vec::new(),
        warehouses: Vec::new(),
        buffer: q(0),
        min: q(0),
        max: None,
        posts: Posts { sales: erp, shipments: erp, returns: erp },
        feed_late_ms: 0,
        drift: ChannelDrift::default(),
        account: None,
        bulk_above: None,
    }
}

/// A shop `main`, a marketplace `us` and an ERP `erp`.
pub(crate) fn policies() -> Policies {
    let channels = [
        (channel("main"), policy(ChannelKind::Shopify)),
        (channel("us"), policy(ChannelKind::Amazon)),
        (channel("erp"), policy(ChannelKind::Tryton)),
    ];
    let row = MappingRow { sku: sku("MUG"), channel: channel("us"), ids: ids(&[(IdKind::Asin, "B0MUG")]) };
    Policies {
        instance: Instance::new("test").expect("a name"),
        mode: Mode::Live,
        locations: vec![LocationId::new("warehouse").expect("a name")],
        channels: channels.into(),
        allocation: Allocation::default(),
        overrides: Vec::new(),
        returns: Returns::Restock,
        bundles: Vec::new(),
        mapping: MappingRules { master: Some(channel("erp")), table: vec![row], ..MappingRules::default() },
        brake: Brake { zero_percent: 20, move_percent: 50, min_skus: 2 },
        retry: Retry { base_ms: 1_000, cap_ms: 60_000, circuit_failures: 5, circuit_open_ms: 30_000 },
        alerts: AlertPolicy {
            after_tries: 3,
            after_ms: 60_000,
            repeat_ms: 0,
            webhook: true,
            oversold_units: 1,
        },
        drift: DriftPolicy::default(),
        keep_orders_ms: None,
    }
}

/// A state that knows its configuration and nothing else.
pub(crate) fn configured() -> State {
    let mut state = State::default();
    run(&mut state, Command::Configure(Box::new(policies())));
    state
}

pub(crate) fn run(state: &mut State, command: Command) -> Reply {
    decide(state, command, Timestamp::from_millis(OPENED)).1.expect("taken")
}

pub(crate) fn item(pairs: &[(IdKind, &str)], shows: Option<i64>) -> CatalogueItem {
    let levels = shows.map(|units| Levels::of(q(units)));
    CatalogueItem {
        ids: ids(pairs),
        title: Some("A thing".to_owned()),
        by: FulfilledBy::Merchant,
        levels,
        unwritable: None,
    }
}

pub(crate) fn count(lines: &[(&str, i64)], opening: bool) -> Command {
    let location = || LocationId::new("warehouse").expect("a name");
    let line = |(code, units): &(&str, i64)| CountLine {
        ids: ids(&[(IdKind::Sku, code)]),
        location: location(),
        quantity: q(*units),
    };
    Command::Count(Count {
        counter: channel("erp"),
        measure: Measure::OnHand,
        as_of: Timestamp::from_millis(OPENED),
        begun: Seq(u64::MAX),
        lines: lines.iter().map(line).collect(),
        opening,
        absent: Vec::new(),
        set: Default::default(),
    })
}

/// `TSHIRT/BL` (10) and `MUG` (5) in all systems, opened; a nameless item in the shop.
pub(crate) fn opened() -> State {
    let mut state = configured();
    for (name, items) in [
        ("erp", vec![item(&[(IdKind::Sku, "TSHIRT/BL")], None), item(&[(IdKind::Sku, "MUG")], None)]),
        (
            "main",
            vec![
                item(&[(IdKind::Sku, "TSHIRT/BL"), (IdKind::InventoryItem, "11")], Some(7)),
                item(&[(IdKind::Sku, "MUG"), (IdKind::InventoryItem, "12")], Some(5)),
                item(&[(IdKind::InventoryItem, "13")], Some(1)),
            ],
        ),
        ("us", vec![item(&[(IdKind::Sku, "MUG"), (IdKind::Asin, "B0MUG")], Some(5))]),
    ] {
        let read_at = Timestamp::from_millis(OPENED);
        run(&mut state, Command::Catalogue { channel: channel(name), read_at, items, unread: vec![] });
        run(&mut state, Command::Catalogued { channel: channel(name) });
    }
    run(&mut state, count(&[("TSHIRT/BL", 10), ("MUG", 5)], true));
    run(&mut state, Command::Initialise);
    state
}

/// [`opened`], with something of every kind of row.
pub(crate) fn busy() -> State {
    let mut state = opened();
    let fetch = vec![OrderId::new("77").expect("an id"), OrderId::new("78").expect("an id")];
    let delivery = DeliveryId::new("w-77").expect("an id");
    let orders = vec![order("79", "NOWHERE", 2)];
    run(&mut state, Command::Push { channel: channel("main"), delivery, orders, fetch, look: Vec::new() });
    run(&mut state, count(&[("TSHIRT/BL", 0), ("MUG", 0)], false));
    for n in 0..2 {
        run(&mut state, Command::Quarantine(quarantined(n)));
    }
    run(&mut state, Command::Tick);
    state
}

fn quarantined(n: i64) -> Quarantined {
    Quarantined {
        channel: channel("main"),
        topic: "orders/create".to_owned(),
        id: None,
        why: "nonsense".to_owned(),
        sha256: format!("{n:064}"),
        at: Timestamp::from_millis(OPENED + n),
    }
}

/// An order of one line, placed after the opening.
pub(crate) fn order(id: &str, code: &str, units: i64) -> OrderSnapshot {
    let line = LineSnapshot {
        line: LineId::new("1").expect("an id"),
        ids: ids(&[(IdKind::Sku, code)]),
        location: None,
        unplaced_at: None,
        places: Vec::new(),
        by: FulfilledBy::Merchant,
        totals: Totals { ordered: q(units), ..Totals::default() },
        rest: Rest::Open,
    };
    let at = Timestamp::from_millis(OPENED + 1_000);
    OrderSnapshot {
        order: OrderId::new(id).expect("an id"),
        name: Some(format!("#{id}")),
        version: at,
        placed_at: at,
        complete: true,
        lines: vec![line],
    }
}
