//! Counts: what the counter was not told of is put on top of what it says, and nothing else is.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::world::{World, start};
use crate::{
    connectors::Fault,
    core::{Command, Reply},
    engine::counter::Counter,
    model::{CountLine, IdKind, Identifiers, LocationId, Measure, Outcome, Quantity, Totals},
    web::tests::world::{channel, opened, order, sku},
};

fn q(units: i64) -> Quantity {
    Quantity::new(units)
}

/// Has the shop say that of two mugs in order 1, which were shipped, so many came back.
async fn told(world: &World, returned: i64) {
    let mut snapshot = order("1", "MUG", 2);
    snapshot.version = snapshot.version.plus_millis(returned * 1_000);
    snapshot.lines[0].totals =
        Totals { ordered: q(2), fulfilled: q(2), returned: q(returned), ..Totals::default() };
    let begun = world.ledger.seq();
    let read = Command::Orders { channel: channel("main"), begun, orders: vec![snapshot] };
    world.ledger.submit(read).await.expect("taken");
}

/// Has the ERP take what it is to be told, and acknowledge it.
async fn post(world: &World) {
    let take = Command::TakePostings { channel: channel("erp"), limit: 10 };
    let Ok(Reply::Postings(postings)) = world.ledger.submit(take).await else { panic!("no postings") };
    assert_eq!(postings.len(), 1);
    for posting in postings {
        let (order, sequence) = (posting.order, posting.sequence);
        let posted = Command::Posted {
            channel: channel("erp"),
            order,
            sequence,
            outcome: Outcome::Applied,
            found: None,
        };
        world.ledger.submit(posted).await.expect("taken");
    }
}

/// Has the ERP hold so many mugs.
fn holds(world: &World, mugs: i64) {
    let line = |code: &str, units: i64| CountLine {
        ids: Identifiers::new([(IdKind::Sku, code)]).expect("good"),
        location: LocationId::new("warehouse").expect("a name"),
        quantity: q(units),
    };
    *world.lists["erp"].counts.lock().expect("unpoisoned") = vec![line("TSHIRT/BL", 10), line("MUG", mugs)];
}

/// Starts a counter, and has it count everything once.
async fn sweep(world: &World) {
    let opening = &world.handles.opening;
    let (sweep, sweeps) = mpsc::channel(1);
    let counter = Counter {
        channel: channel("erp"),
        connector: opening.channels.connector(&channel("erp")).expect("it runs"),
        measure: Measure::OnHand,
        ledger: world.ledger.clone(),
        clock: Arc::clone(&opening.clock),
        metrics: Arc::clone(&world.metrics),
        quarantine: Arc::clone(&opening.quarantine),
        wakes: opening.wakes.channel(&channel("erp")).expect("it is configured"),
        ticks: mpsc::channel(1).1,
        sweeps,
        overlap: Duration::ZERO,
    };
    tokio::spawn(counter.run(world.stop.clone()));
    sweep.send(()).await.expect("it listens");
}

async fn swept(world: &World) {
    let swept = async {
        while world.read(|s| s.channels.get(&channel("erp")).and_then(|row| row.swept_at)).await.is_none() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), swept).await.expect("it is counted");
}

/// Counts everything at the ERP, which says that there are so many mugs.
async fn count(world: &World, mugs: i64) {
    holds(world, mugs);
    sweep(world).await;
    swept(world).await;
}

/// Has a channel's reads fail.
fn fails(world: &World, of: &str, how: Option<Fault>) {
    *world.lists[of].fault.lock().expect("unpoisoned") = how;
}

async fn failed(world: &World, of: &str) {
    let failed = async {
        while world.lists[of].failed.load(Ordering::SeqCst) == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), failed).await.expect("it is read");
}

async fn on_hand(world: &World) -> Quantity {
    world.read(|state| state.skus[&sku("MUG")].stock[0].stock.on_hand).await
}

/// Two mugs of five were shipped, of which the ERP knows, and came back. The look-up finds that it holds `held` of
/// the two that came back, and its count says `mugs`.
async fn counted(held: i64, mugs: i64) -> Quantity {
    let world = start(opened(), 64).await;
    told(&world, 0).await;
    assert_eq!(on_hand(&world).await, q(3));
    post(&world).await;
    told(&world, 2).await;
    assert_eq!(on_hand(&world).await, q(5));
    let holds = Totals { ordered: q(2), fulfilled: q(2), returned: q(held), ..Totals::default() };
    world.lists["erp"].holds.lock().expect("unpoisoned").insert("main:1".to_owned(), vec![holds]);
    count(&world, mugs).await;
    on_hand(&world).await
}

#[tokio::test]
async fn what_came_back_and_the_counter_does_not_hold_is_put_on_top_of_its_count() {
    assert_eq!(counted(0, 3).await, q(5));
}

#[tokio::test]
async fn what_came_back_and_the_counter_holds_though_we_were_not_told_is_in_its_count() {
    assert_eq!(counted(2, 5).await, q(5));
}

/// The next turn may be a day off.
#[tokio::test]
async fn a_sweep_that_failed_is_made_up_for() {
    let world = start(opened(), 64).await;
    fails(&world, "erp", Some(Fault::Disconnected("nobody answers".to_owned())));
    holds(&world, 4);
    sweep(&world).await;
    failed(&world, "erp").await;
    fails(&world, "erp", None);
    swept(&world).await;
    assert_eq!(on_hand(&world).await, q(4));
}
