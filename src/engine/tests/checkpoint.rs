//! Checkpoints: written while everything goes on, and as of one position all the same.

use std::{sync::Arc, time::Duration};

use super::world::{World, start};
use crate::{
    core::{Command, State},
    engine::{
        disk::{self, DiskStore},
        ledger::{Durable, Failure, Ledger, Options, encode},
        rows,
        wake::Wakes,
    },
    model::{DeliveryId, OrderId, OrderSnapshot, Seq},
    store::{self, Row},
    telemetry::Metrics,
    web::tests::world::{OPENED, busy, channel, order},
};

pub(super) fn orders(range: std::ops::Range<u64>) -> Vec<OrderSnapshot> {
    range.map(|n| order(&n.to_string(), "NOWHERE", 1)).collect()
}

async fn read(world: &World, range: std::ops::Range<u64>) {
    let command = Command::Orders { channel: channel("main"), begun: Seq(1), orders: orders(range) };
    world.ledger.submit(command).await.expect("taken");
}

/// A ledger with so many orders that they are several slices.
async fn large() -> World {
    let world = start(busy(), 64).await;
    for n in 0..4 {
        read(&world, n * 500..(n + 1) * 500).await;
    }
    world
}

/// All rows of a state, in order.
pub(super) fn all(state: &State) -> Vec<Row> {
    let rows = rows::all(state).expect("encodes").into_iter();
    let mut rows: Vec<Row> = rows.filter_map(|(key, value)| Some((key, value?))).collect();
    rows.sort();
    rows
}

fn checkpointed(world: &World) -> (u64, Vec<Row>) {
    let (head, mut rows) = world.store.checkpointed().expect("there is one");
    rows.sort();
    (head.seq, rows)
}

/// Changes rows of every kind that a walk has passed or has still before it: some new, some longer, some gone.
async fn stir(world: &World, n: u64) {
    let fetch = vec![OrderId::new(&format!("{}", n % 2_000)).expect("good")];
    let delivery = DeliveryId::new(&format!("s-{n}")).expect("good");
    let orders = vec![order(&format!("{}", 3_000 + n), "MUG", 1)];
    let push = Command::Push { channel: channel("main"), delivery, orders, fetch, look: vec![] };
    world.ledger.submit(push).await.expect("taken");
    if n.is_multiple_of(7) {
        world
            .ledger
            .submit(Command::Take { channel: channel("main"), limit: 2, apart: 4 })
            .await
            .expect("taken");
    }
    if let Some(id) = world.read(|state| state.quarantine.keys().next().copied()).await
        && n.is_multiple_of(5)
    {
        let letter = crate::core::command::DeadLetter::Quarantine(id);
        let verdict = crate::core::command::Verdict::Discard;
        world.ledger.submit(Command::Dead { letter, verdict }).await.expect("taken");
    }
}

#[tokio::test]
async fn while_a_checkpoint_is_written_everyone_is_answered() {
    let world = large().await;
    world.store.hold_checkpoints();
    let ledger = world.ledger.clone();
    let written = tokio::spawn(async move { ledger.checkpoint().await });
    while world.store.slices() == 0 {
        tokio::task::yield_now().await;
    }
    for n in 0..20 {
        tokio::time::timeout(Duration::from_secs(5), stir(&world, n)).await.expect("it is answered");
    }
    assert!(!written.is_finished());
    world.store.release();
    let head = written.await.expect("no panic").expect("it runs").expect("it is written");
    let (seq, rows) = checkpointed(&world);
    assert_eq!(head, world.store.head());
    assert_eq!(seq, world.store.len() as u64, "as of its end, so that nothing of it is replayed twice");
    assert!(rows == all(&world.read(State::clone).await), "every row as of one position");
    assert!(world.store.slices() > 8, "in slices: {}", world.store.slices());
}

#[tokio::test]
async fn a_checkpoint_under_load_is_the_state_at_its_position() {
    let world = large().await;
    for round in 0..5_u64 {
        let ledger = world.ledger.clone();
        let written = tokio::spawn(async move { ledger.checkpoint().await });
        let mut n = round * 10_000;
        while !written.is_finished() {
            stir(&world, n).await;
            n += 1;
        }
        written.await.expect("no panic").expect("it runs").expect("it is written");
        let (seq, rows) = checkpointed(&world);
        assert!(
            rows == all(&world.replayed(busy(), usize::try_from(seq).expect("few"))),
            "round {round}, {n} stirred, {seq}"
        );
    }
}

#[tokio::test]
async fn who_asks_while_one_is_written_waits_for_one_that_is_not_older() {
    let world = large().await;
    world.store.hold_checkpoints();
    let ask = |ledger: Ledger| tokio::spawn(async move { ledger.checkpoint().await });
    let first = ask(world.ledger.clone());
    while world.store.slices() == 0 {
        tokio::task::yield_now().await;
    }
    read(&world, 9_000..9_001).await;
    let second = ask(world.ledger.clone());
    world.ledger.read(|_| ()).await.expect("both are asked for");
    world.store.release();
    let (first, second) = (first.await.expect("one"), second.await.expect("two"));
    assert_eq!(first.expect("it runs").expect("one"), second.expect("it runs").expect("two"));
    assert_eq!(checkpointed(&world).0, world.store.len() as u64);
}

#[tokio::test]
async fn a_checkpoint_that_fails_is_told_to_who_asked_and_the_next_one_may_succeed() {
    let (ledger, store) = on_disk();
    let spool = store.path().join("checkpoint.spool");
    std::fs::create_dir(&spool).expect("in the way");
    let failed = ledger.checkpoint().await.expect("it runs");
    assert!(matches!(&failed, Err(Failure(why)) if why.contains("spool")), "{failed:?}");
    std::fs::remove_dir(&spool).expect("out of the way");
    ledger.checkpoint().await.expect("it runs").expect("it is written");
    assert!(!spool.exists());
}

/// A ledger on a real store, with two thousand orders.
pub(super) fn on_disk() -> (Ledger, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let at = crate::model::Timestamp::from_millis(OPENED);
    let (mut state, mut store) = disk::open(dir.path(), store::Options::default(), at).expect("it opens");
    let run = |state: &mut State, store: &mut DiskStore, command| {
        let now = crate::model::Timestamp::from_millis(OPENED);
        let envelope = crate::core::decide(state, command, now).0.expect("something to record");
        store.append(&[encode(&envelope)]).and_then(|()| store.sync()).expect("durable");
    };
    let policies = Box::new(crate::web::tests::world::policies());
    run(&mut state, &mut store, Command::Configure(policies));
    let orders = orders(0..2_000);
    run(&mut state, &mut store, Command::Orders { channel: channel("main"), begun: Seq(1), orders });
    let options = Options { queue_max: 64, group_max: 8 };
    let clock = Arc::new(crate::clock::SystemClock);
    let (wakes, metrics) = (Arc::new(Wakes::new([])), Arc::new(Metrics::new()));
    let (ledger, _) =
        Ledger::start(state, Box::new(store), clock, wakes, metrics, &options).expect("a thread");
    (ledger, dir)
}

#[tokio::test]
async fn a_store_starts_from_a_checkpoint_and_what_came_after_it() {
    let (ledger, dir) = on_disk();
    ledger.checkpoint().await.expect("it runs").expect("it is written");
    assert!(disk::checkpoint_age(dir.path()).is_some_and(|age| age < Duration::from_secs(60)));
    let more = Command::Orders { channel: channel("main"), begun: Seq(2), orders: orders(5_000..5_003) };
    ledger.submit(more).await.expect("taken");
    let state = ledger.read(State::clone).await.expect("it answers");
    ledger.stop().await;
    while ledger.read(|_| ()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let copy = tempfile::tempdir().expect("another");
    for part in ["journal", "checkpoints"] {
        std::fs::create_dir(copy.path().join(part)).expect("made");
        for file in std::fs::read_dir(dir.path().join(part)).expect("there").flatten() {
            std::fs::copy(file.path(), copy.path().join(part).join(file.file_name())).expect("copied");
        }
    }
    let again = disk::read(copy.path(), store::Options::default()).expect("it opens");
    assert!(all(&again) == all(&state));
}
