//! Large catalogues: no command makes a record that does not fit, or holds up the ledger for long.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    clock::{Clock, ManualClock},
    core::{
        Command, Envelope, Record, Refused, Reply, State,
        command::{Count, DeadLetter, ROWS_MAX, Verdict},
        decide,
    },
    engine::{
        disk,
        ledger::{Durable, Error, Ledger, Options, encode},
        memory::MemoryStore,
        parts::{self, LINES, ROWS},
        rows,
        wake::Wakes,
    },
    model::{
        CountLine, IdKind, Identifiers, LocationId, Measure, Policies, Quantity, Seq, Sku, Timestamp,
        policy::{Allocation, MappingRow},
    },
    store,
    telemetry::Metrics,
    web::{
        Desk,
        tests::world::{OPENED, channel, item, policies, sku},
    },
};

use super::world::{World, start};

/// SKUs of the catalogue: several parts, the last of them not full.
const SKUS: usize = 5_100;
/// What no record of these tests is longer than, in bytes.
const RECORD: usize = 3 << 20;

fn code(n: usize) -> String {
    format!("SKU-{n:06}")
}

fn ids(kind: IdKind, value: &str) -> Identifiers {
    Identifiers::new([(kind, value)]).expect("good")
}

fn line(n: usize, location: &str, units: i64) -> CountLine {
    CountLine {
        ids: ids(IdKind::Sku, &code(n)),
        location: LocationId::new(location).expect("a name"),
        quantity: Quantity::new(units),
    }
}

fn count(lines: Vec<CountLine>) -> Command {
    Command::Count(Count {
        counter: channel("erp"),
        measure: Measure::OnHand,
        as_of: Timestamp::from_millis(OPENED),
        begun: Seq(u64::MAX),
        lines,
        opening: false,
        absent: Vec::new(),
        set: Default::default(),
    })
}

/// An ERP and a shop that list all SKUs, ten units of each.
async fn listed() -> World {
    let world = start(State::default(), 64).await;
    for name in ["erp", "main"] {
        let of = |n: usize| {
            let (code, record) = (code(n), format!("{name}-{n}"));
            item(
                &[(IdKind::Sku, code.as_str()), (IdKind::Record, record.as_str())],
                (name == "main").then_some(10),
            )
        };
        let all: Vec<_> = (0..SKUS).map(of).collect();
        *world.lists[name].pages.lock().expect("unpoisoned") = all.chunks(500).map(<[_]>::to_vec).collect();
    }
    let lines = (0..SKUS).map(|n| line(n, "warehouse", 10)).collect();
    *world.lists["erp"].counts.lock().expect("unpoisoned") = lines;
    world
}

/// The same, opened.
async fn opened() -> World {
    let world = listed().await;
    world.handles.initialise(&channel("erp"), None).await.expect("opened");
    world
}

/// Returns the records since the one before `from`, none of which may be large.
fn since(world: &World, from: usize) -> Vec<Envelope> {
    let envelopes = world.store.records().expect("readable").split_off(from);
    let longest = envelopes.iter().map(|envelope| encode(envelope).len()).max().unwrap_or(0);
    assert!(longest < RECORD, "a record of {longest} bytes");
    envelopes
}

/// Returns the SKUs of each record of a count.
fn counted(envelopes: &[Envelope]) -> Vec<BTreeSet<Sku>> {
    let skus = |record: &Record| {
        let Record::Counted { entries, .. } = record else { return None };
        Some(entries.iter().map(|entry| entry.sku.clone()).collect())
    };
    envelopes.iter().flat_map(|envelope| &envelope.records).filter_map(skus).collect()
}

async fn on_hand(world: &World, n: usize) -> i64 {
    let of = sku(&code(n));
    world.read(move |state| state.skus[&of].stock.iter().map(|place| place.stock.on_hand.units()).sum()).await
}

#[tokio::test]
async fn an_opening_stock_is_taken_over_in_parts_and_its_preview_says_the_same() {
    let world = listed().await;
    world.lists["erp"].counts.lock().expect("unpoisoned").push(line(SKUS + 1, "warehouse", 1));
    let preview = world.handles.preview(&channel("erp"), None).await.expect("told");
    let before = world.store.len();
    let done = world.handles.initialise(&channel("erp"), None).await.expect("opened");
    assert_eq!((done.skus, done.units.units(), done.unknown), (SKUS, 10 * SKUS as i64, 1));
    assert_eq!((preview.skus, preview.units, preview.unknown), (done.skus, done.units, done.unknown));
    let parts = counted(&since(&world, before));
    assert_eq!(parts.iter().map(BTreeSet::len).collect::<Vec<_>>(), [LINES, LINES, SKUS - 2 * LINES]);
}

#[tokio::test]
async fn a_full_count_is_taken_over_in_parts_and_all_lines_of_a_sku_are_in_one() {
    let world = opened().await;
    let before = world.store.len();
    // Each SKU lies in two places of the same location, told far apart.
    let lines: Vec<CountLine> =
        [4, 5].into_iter().flat_map(|units| (0..SKUS).map(move |n| line(n, "warehouse", units))).collect();
    let reply = parts::submit(&world.ledger, count(lines)).await.expect("counted");
    assert_eq!(reply, Reply::Counted { changed: SKUS, deferred: 0, held: None, unknown: 0 });
    let parts = counted(&since(&world, before));
    assert!(parts.len() > 2 && parts.iter().all(|part| part.len() <= LINES / 2), "{}", parts.len());
    assert_eq!(parts.iter().map(BTreeSet::len).sum::<usize>(), SKUS, "no SKU is in two parts");
    assert_eq!((on_hand(&world, 0).await, on_hand(&world, SKUS - 1).await), (9, 9));
}

#[tokio::test]
async fn the_brake_judges_a_count_as_a_whole_and_what_it_holds_is_released_in_parts() {
    let world = opened().await;
    let before = world.store.len();
    // A quarter of the catalogue: in no part enough, together too much.
    let lines = (0..SKUS).map(|n| line(n, "warehouse", if n % 4 == 0 { 0 } else { 10 })).collect();
    let reply = parts::submit(&world.ledger, count(lines)).await.expect("judged");
    let Reply::Counted { changed: 0, held: Some(id), .. } = reply else { panic!("{reply:?}") };
    assert_eq!(counted(&since(&world, before)), [], "nothing of it was taken over");
    assert_eq!(on_hand(&world, 0).await, 10);
    let release = Command::Dead { letter: DeadLetter::Count(id), verdict: Verdict::Retry };
    let reply = Desk::submit(world.handles.as_ref(), release.clone()).await.expect("released");
    assert_eq!(reply, Reply::Counted { changed: SKUS.div_ceil(4), deferred: 0, held: None, unknown: 0 });
    assert_eq!((on_hand(&world, 0).await, on_hand(&world, 1).await), (0, 10));
    assert!(counted(&since(&world, before)).len() > 2);
    assert!(world.read(|state| state.held.is_empty()).await);
    assert!(Desk::submit(world.handles.as_ref(), release).await.is_err(), "once");
}

#[tokio::test]
async fn a_mapping_table_is_imported_in_parts_or_not_at_all() {
    let world = opened().await;
    let row = |n: usize| MappingRow {
        sku: sku(&code(n % SKUS)),
        channel: channel("us"),
        ids: ids(IdKind::Asin, &format!("B{n:09}")),
    };
    let rows: Vec<MappingRow> = (0..ROWS + 10).map(row).collect();
    let before = world.store.len();
    let mut wrong = rows.clone();
    wrong.last_mut().expect("there are some").sku = sku("NO-SUCH");
    let refused = Desk::submit(world.handles.as_ref(), Command::Map { rows: wrong }).await;
    assert!(refused.is_err());
    assert_eq!(world.store.len(), before, "nothing was imported");
    Desk::submit(world.handles.as_ref(), Command::Map { rows: rows.clone() }).await.expect("imported");
    let mapped = |envelope: &Envelope| {
        envelope
            .records
            .iter()
            .find_map(|of| if let Record::Mapped { rows } = of { Some(rows.len()) } else { None })
    };
    assert_eq!(since(&world, before).iter().filter_map(mapped).collect::<Vec<_>>(), [ROWS, 10]);
    assert_eq!(world.read(|state| state.table.clone()).await, rows);
}

#[tokio::test]
async fn a_change_of_the_policies_reaches_every_listing_in_small_records() {
    let world = opened().await;
    let before = world.store.len();
    let changed = Policies { allocation: Allocation { safety_stock: Quantity::new(3) }, ..policies() };
    world.ledger.submit(Command::Configure(Box::new(changed))).await.expect("configured");
    for _ in 0..SKUS / 500 + 1 {
        world.ledger.submit(Command::Tick).await.expect("ticked");
    }
    since(&world, before);
    let wants_seven = |state: &State| {
        let legs =
            state.skus.values().flat_map(|row| &row.listings).filter_map(|listing| listing.leg.as_ref());
        legs.filter(|leg| leg.quantity == Quantity::new(7)).count()
    };
    assert_eq!(world.read(wants_seven).await, SKUS);
}

#[tokio::test]
async fn what_is_not_cut_and_too_much_is_refused_and_the_ledger_goes_on() {
    let world = start(State::default(), 64).await;
    let lines = (0..=ROWS_MAX).map(|n| line(n, "warehouse", 1)).collect();
    let refused = world.ledger.submit(count(lines)).await;
    let rows = ROWS_MAX + 1;
    assert!(
        matches!(refused, Err(Error::Refused(Refused::TooMany { rows: r, most: ROWS_MAX })) if r == rows)
    );
    world.ledger.submit(Command::Start { epoch: 1 }).await.expect("it goes on");
}

#[tokio::test]
async fn a_record_that_does_not_fit_the_journal_is_an_error_to_its_caller_and_leaves_nothing_behind() {
    let (store, metrics) = (MemoryStore::new(), Arc::new(Metrics::new()));
    let wakes = Arc::new(Wakes::new([channel("erp")]));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_millis(OPENED)));
    let options = Options { queue_max: 16, group_max: 16 };
    let started = Ledger::start(State::default(), Box::new(store.clone()), clock, wakes, metrics, &options);
    let (ledger, _) = started.expect("a thread");
    let submit = |command| {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.submit(command).await })
    };
    let items = |range: std::ops::Range<usize>| {
        let items = range.map(|n| item(&[(IdKind::Sku, code(n).as_str())], None)).collect();
        Command::Catalogue { channel: channel("erp"), read_at: Timestamp::ZERO, items, unread: vec![] }
    };
    ledger.submit(Command::Configure(Box::new(policies()))).await.expect("configured");
    store.limit(20_000);
    store.hold();
    // While the first is being synced the others gather, and then they are one group.
    let first = submit(items(0..5));
    while store.pending() == 0 {
        tokio::task::yield_now().await;
    }
    let others = [items(5..10), items(10..500), items(500..505)].map(submit);
    while ledger.queued() < 3 {
        tokio::task::yield_now().await;
    }
    store.release();
    first.await.expect("no panic").expect("it fits");
    let [before, large, after] = others;
    before.await.expect("no panic").expect("it fits");
    let large = large.await.expect("no panic");
    assert!(matches!(large, Err(Error::Refused(Refused::TooLarge { most: 20_000, .. }))), "{large:?}");
    after.await.expect("no panic").expect("it fits");
    let held = ledger.read(|state| (state.seq, state.skus.clone())).await.expect("it goes on");
    let replayed = store.restart().expect("readable");
    assert_eq!(held, (replayed.seq, replayed.skus));
    assert_eq!((held.0, held.1.len(), ledger.seq()), (Seq(4), 15, Seq(4)));
}

#[test]
fn a_store_on_disk_reads_back_all_that_is_durable_and_not_only_what_sled_has() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut state, store) =
        disk::open(dir.path(), store::Options::default(), Timestamp::ZERO).expect("it opens");
    let mut store: Box<dyn Durable> = Box::new(store);
    for n in 0..4 {
        let command = match n {
            0 => Command::Configure(Box::new(policies())),
            n => Command::Catalogue {
                channel: channel("erp"),
                read_at: Timestamp::ZERO,
                items: vec![item(&[(IdKind::Sku, code(n).as_str())], None)],
                unread: vec![],
            },
        };
        let (envelope, _) = decide(&mut state, command, Timestamp::ZERO);
        store.append(&[encode(&envelope.expect("something to record"))]).expect("appended");
        store.sync().expect("synced");
        if n == 1 {
            let dirty = state.take_dirty();
            store.apply(&rows::changes(&state, &dirty).expect("rows"), state.seq.0).expect("written");
        }
        let read = store.read_back().expect("read back");
        assert_eq!((read.seq, &read.skus, &read.dirty), (state.seq, &state.skus, &state.dirty), "after {n}");
    }
}
