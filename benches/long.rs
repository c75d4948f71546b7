//! A journal of very many records: what it weighs on disk, how soon a daemon is ready with it, and what an event costs with
//! all of it behind.
//!
//! It is made by deciding, as the ledger does: 500 orders a day, each sold, written to both other channels, posted,
//! shipped and posted again, one record after the other, with a checkpoint and the archive behind it now and then.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use evenkeel::{
    core::{Command, Reply, State, decide},
    engine::{
        disk::{self, DiskStore},
        ledger::{Durable, encode},
        rows,
    },
    model::{
        DeliveryId, FulfilledBy, IdKind, Identifiers, Levels, LineId, LineSnapshot, Observed, OrderId,
        OrderSnapshot, Outcome, Quantity, Rest, Timestamp, Totals,
    },
    store::{self, Options},
};
use tokio::time::{Instant, sleep};

use crate::{
    Size, catalogue,
    catalogue::{channel, code, variant},
    daemon::Home,
    machine::{self, memory, mib},
    report::{Report, Times, short},
    settings,
};

/// How many records, if it is not ten million.
const RECORDS: &str = "EVENKEEL_BENCH_RECORDS";
const SKUS: usize = 5_000;
/// Years ago, so that nothing of it lies before the daemon's clock.
const BEGIN: Timestamp = Timestamp::from_millis(1_500_000_000_000);
/// Between two orders.
const STEP_MS: i64 = 86_400_000 / 500;
/// An order is shipped when so many more were placed.
const SHIPPED_AFTER: u64 = 1_000;
/// Records that share an fsync.
const GROUP: usize = 256;
/// Records between two checkpoints.
const CHECKPOINT: u64 = 400_000;
/// Rows of a slice of a checkpoint.
const SLICE: usize = 1_000;
/// Orders in the windows that are compared, and how many of them are played in one go.
const WINDOW: u64 = 1_000;
const TURN: u64 = 100;

pub(crate) fn run(size: Size, report: &mut Report) {
    let asked = std::env::var(RECORDS).ok().map(|text| text.parse().expect("a number of records"));
    let records = asked.unwrap_or(size.of(10_000_000, 60_000));
    let home = Home::new(&settings::nowhere(), settings::MARKET);
    catalogue::store_at(home.path(), SKUS, BEGIN);
    let begun = Instant::now();
    let mut shop = Shop::open(&home.store());
    while shop.state.seq.0 + WINDOW * 12 < records {
        shop.order();
        if shop.n.is_multiple_of(100_000) {
            let (seq, load) = (shop.state.seq.0, machine::load_average());
            println!("  {} orders, {seq} records after {} (load {load})", shop.n, short(begun.elapsed()));
        }
    }
    shop.checkpoint();
    let made = begun.elapsed();
    let early = Home::new(&settings::nowhere(), settings::MARKET);
    catalogue::store_at(early.path(), SKUS, BEGIN);
    let mut young = Shop::open(&early.store());
    let (first, last) = compare(&mut young, &mut shop);
    drop(young.close());
    shop.tell(report, records, made, &first, &last);
    let state = shop.close();
    tell_disk(report, &home.store(), &state);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(restarts(&home, report));
}

/// What orders of one window cost: deciding a sale, and all records of an order, made durable and written to the state.
struct Window {
    sales: Times,
    spent: Duration,
    records: u64,
    all: Duration,
}

impl Window {
    fn new() -> Window {
        Window { sales: Times::new(), spent: Duration::ZERO, records: 0, all: Duration::ZERO }
    }

    fn mean(&self) -> Duration {
        self.spent / u32::try_from(WINDOW).expect("few")
    }
}

/// Plays a window of each in turns, so that both have the same machine: its load differs from one hour to the next.
fn compare(young: &mut Shop, old: &mut Shop) -> (Window, Window) {
    let (mut first, mut last) = (Window::new(), Window::new());
    for _ in 0..WINDOW / TURN {
        young.turn(&mut first);
        old.turn(&mut last);
    }
    (first, last)
}

/// What drives the state.
struct Shop {
    state: State,
    store: DiskStore,
    now: Timestamp,
    /// Orders placed.
    n: u64,
    random: u64,
    payloads: Vec<Vec<u8>>,
    bytes: u64,
    checkpointed: u64,
}

impl Shop {
    fn open(path: &Path) -> Shop {
        let now = BEGIN.plus_millis(3_600_000);
        let (state, store) = disk::open(path, Options::default(), now).expect("it opens");
        let checkpointed = state.seq.0;
        Shop {
            state,
            store,
            now,
            n: 0,
            random: 0x2545_F491_4F6C_DD1D,
            payloads: Vec::new(),
            bytes: 0,
            checkpointed,
        }
    }

    /// Plays some orders of a window, and adds what they cost.
    fn turn(&mut self, window: &mut Window) {
        let (from, begun) = (self.state.seq.0, Instant::now());
        for _ in 0..TURN {
            let took = self.order();
            window.sales.record(took);
            window.spent += took;
        }
        self.flush();
        window.records += self.state.seq.0 - from;
        window.all += begun.elapsed();
    }

    /// Places an order, brings everything to rest, and ships an earlier one. Returns what deciding the sale took.
    fn order(&mut self) -> Duration {
        self.now = self.now.plus_millis(STEP_MS);
        let n = self.n;
        self.n += 1;
        let push = self.push(n, 0, false);
        let begun = Instant::now();
        drop(self.decide(push));
        let took = begun.elapsed();
        self.rest();
        if let Some(shipped) = n.checked_sub(SHIPPED_AFTER) {
            let push = self.push(shipped, 1, true);
            self.run(push);
            self.rest();
        }
        if n.is_multiple_of(100) {
            for name in ["shop", "market"] {
                let (begun, at) = (self.state.seq, self.now);
                self.run(Command::Fed { channel: channel(name), begun, begun_at: at, through: at });
            }
        }
        if n.is_multiple_of(10) {
            self.run(Command::Tick);
        }
        if self.state.seq.0 >= self.checkpointed + CHECKPOINT {
            self.checkpoint();
        }
        took
    }

    /// Sends, looks and posts until nothing is due.
    fn rest(&mut self) {
        for name in ["market", "shop"] {
            loop {
                let take = Command::Take { channel: channel(name), limit: 5, apart: 0 };
                let Reply::Work { puts, looks, .. } = self.run(take) else { panic!("a lane is given work") };
                if puts.is_empty() && looks.is_empty() {
                    break;
                }
                if !puts.is_empty() {
                    let answers =
                        puts.into_iter().map(|(listing, put)| (listing, put.key, Outcome::Applied)).collect();
                    self.run(Command::Answer { channel: channel(name), answers });
                    self.now = self.now.plus_millis(100);
                }
                if !looks.is_empty() {
                    let shown = |listing: &_| {
                        let held = self.state.listing(listing).and_then(|held| held.leg.as_ref());
                        Observed::Seen(Levels::of(held.map_or(Quantity::ZERO, |leg| leg.quantity)))
                    };
                    let seen = looks.iter().map(|(listing, _)| (listing.clone(), shown(listing))).collect();
                    self.run(Command::Looked { channel: channel(name), read_at: self.now, seen });
                }
            }
        }
        let take = Command::TakePostings { channel: channel("erp"), limit: 5 };
        let Reply::Postings(postings) = self.run(take) else { panic!("postings are taken") };
        for posting in postings {
            let (order, sequence) = (posting.order, posting.sequence);
            let outcome = Outcome::Applied;
            self.run(Command::Posted { channel: channel("erp"), order, sequence, outcome, found: None });
        }
    }

    /// Returns the push of an order as it is placed, or shipped.
    fn push(&mut self, n: u64, fulfilled: i64, again: bool) -> Command {
        let sku = if again {
            // As it was when it was placed.
            let key = evenkeel::model::OrderKey { channel: channel("shop"), order: order_id(n) };
            let order = self.state.order(&key).expect("it was placed");
            let line = order.lines.values().next().expect("it has a line");
            line.ids.get(IdKind::Variant).and_then(|id| id.parse::<u64>().ok()).expect("a variant")
                - variant(0)
        } else {
            self.random =
                self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.random >> 33) % SKUS as u64
        };
        let at = usize::try_from(sku).expect("few");
        let (code, variant) = (code(at), variant(at).to_string());
        let ids = Identifiers::new([(IdKind::Sku, code.as_str()), (IdKind::Variant, variant.as_str())]);
        let one = Quantity::new(1);
        let line = LineSnapshot {
            line: LineId::new(&(14_000_000_000_000 + n).to_string()).expect("an id"),
            ids: ids.expect("good identifiers"),
            location: None,
            unplaced_at: None,
            places: Vec::new(),
            by: FulfilledBy::Merchant,
            totals: Totals { ordered: one, fulfilled: Quantity::new(fulfilled), ..Totals::default() },
            rest: Rest::Open,
        };
        let placed_at = BEGIN.plus_millis(i64::try_from(n).expect("few") * STEP_MS);
        let snapshot = OrderSnapshot {
            order: order_id(n),
            name: Some(format!("#{n}")),
            version: self.now,
            placed_at,
            complete: true,
            lines: vec![line],
        };
        Command::Push {
            channel: channel("shop"),
            delivery: DeliveryId::new(&format!("{:032x}", n * 2 + u64::from(again))).expect("an id"),
            orders: vec![snapshot],
            fetch: Vec::new(),
            look: Vec::new(),
        }
    }

    fn run(&mut self, command: Command) -> Reply {
        let reply = self.decide(command);
        if self.payloads.len() >= GROUP {
            self.flush();
        }
        reply
    }

    fn decide(&mut self, command: Command) -> Reply {
        let (envelope, reply) = decide(&mut self.state, command, self.now);
        if let Some(envelope) = envelope {
            let payload = encode(&envelope);
            self.bytes += payload.len() as u64;
            self.payloads.push(payload);
        }
        reply.expect("nothing is refused")
    }

    /// Makes durable what was decided, and writes its rows.
    fn flush(&mut self) {
        self.store.append(&self.payloads).expect("appended");
        self.store.sync().expect("synced");
        self.payloads.clear();
        let dirty = self.state.take_dirty();
        let changes = rows::changes(&self.state, &dirty).expect("rows");
        self.store.apply(&changes, self.state.seq.0).expect("written");
    }

    fn checkpoint(&mut self) {
        self.flush();
        let mut spool = self.store.spool().expect("a spool");
        let mut after = None;
        loop {
            let keys: Vec<_> = rows::keys_after(&self.state, after.as_ref()).take(SLICE).collect();
            let Some(last) = keys.last().cloned() else { break };
            let changes = rows::changes(&self.state, &keys).expect("rows");
            spool.put(&changes, false).expect("kept");
            after = Some(last);
        }
        spool.finish(self.store.head()).expect("a checkpoint");
        self.checkpointed = self.state.seq.0;
    }

    fn tell(&self, report: &mut Report, records: u64, made: Duration, first: &Window, last: &Window) {
        let (seq, per) = (self.state.seq.0, self.bytes / self.state.seq.0.max(1));
        let what = format!("{seq} records of {} orders made ({per} bytes each)", self.n);
        report.add(&what, &short(made), "", &format!("{records} records"), Some(seq >= records * 9 / 10));
        let growth = last.mean().as_secs_f64() / first.mean().as_secs_f64();
        report.add(
            "decide and apply a sale and encode its record, with all of it behind",
            &format!("{} ({})", short(last.mean()), last.sales),
            &format!(
                "the first {WINDOW} of another: {} ({}): {growth:.2} times",
                short(first.mean()),
                first.sales
            ),
            "flat: below 2 times",
            Some(growth < 2.0),
        );
        let each = |window: &Window| window.all / u32::try_from(window.records.max(1)).expect("few");
        let growth = each(last).as_secs_f64() / each(first).as_secs_f64();
        report.add(
            "a record, durable and its rows written",
            &short(each(last)),
            &format!("the first {} of another: {}: {growth:.2} times", first.records, short(each(first))),
            "flat: below 2 times",
            Some(growth < 2.0),
        );
        let (pid, skus) = (std::process::id(), self.state.skus.len());
        let held = (self.state.orders.len(), self.state.tombstones.len());
        let what = format!("resident then, with {skus} SKUs, {} orders and {} tombstones", held.0, held.1);
        report.add(
            &what,
            &mib(memory(pid, "VmRSS")),
            &format!("at most {}", mib(memory(pid, "VmHWM"))),
            "",
            None,
        );
    }

    fn close(self) -> State {
        Box::new(self.store).close().expect("closed");
        self.state
    }
}

fn order_id(n: u64) -> OrderId {
    OrderId::new(&format!("{}", 5_600_000_000_000 + n)).expect("an id")
}

fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |path: PathBuf| match fs::metadata(&path) {
        Ok(about) if about.is_dir() => size_of(&path),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.flatten().map(|entry| size(entry.path())).sum()
}

fn tell_disk(report: &mut Report, path: &Path, state: &State) {
    let packed: usize = state.tombstones.values().map(evenkeel::core::tombstone::Tombstone::len).sum();
    let each = packed / state.tombstones.len().max(1);
    report.add("a tombstone", &format!("{each} bytes"), "", "", None);
    for part in ["journal", "archive", "checkpoints", "state"] {
        let files = fs::read_dir(path.join(part)).map_or(0, Iterator::count);
        let figure = format!("{} in {files} files", mib(size_of(&path.join(part))));
        report.add(&format!("on disk: {part}"), &figure, "", "", None);
    }
}

async fn restarts(home: &Home, report: &mut Report) {
    let clean = restart(home, "restart after a clean end", report).await;
    fs::remove_dir_all(home.store().join("state")).expect("removed");
    let what = "restart from the newest checkpoint, the state built anew";
    restart(home, what, report).await;
    let archive = home.store().join("archive");
    fs::rename(&archive, home.path().join("elsewhere")).expect("moved");
    fs::remove_dir_all(home.store().join("state")).expect("removed");
    restart(home, "the same without the archive", report).await;
    fs::rename(home.path().join("elsewhere"), archive).expect("moved back");
    let begun = Instant::now();
    let mut records = 0;
    let archive = store::archive_of(&home.store());
    let proven = store::verify_journal(&home.store(), Some(&archive), &mut |_| records += 1);
    proven.expect("the journal is whole");
    let what = format!("the chain of {records} records proven, out of the archive");
    report.add(&what, &short(begun.elapsed()), &format!("ready: {}", short(clean)), "", None);
}

async fn restart(home: &Home, what: &str, report: &mut Report) -> Duration {
    let live = home.start().await;
    sleep(Duration::from_secs(2)).await;
    let [now, most] = ["VmRSS", "VmHWM"].map(|which| mib(memory(live.id(), which)));
    let ready = live.ready;
    report.add(what, &format!("{}, resident {now}, at most {most}", short(ready)), "", "", None);
    live.stop().await;
    ready
}
