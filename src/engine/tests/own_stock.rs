//! What lies in a channel's own warehouses: read as soon as it means something, and told as the channel's.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::world::{World, start};
use crate::{
    clock::ManualClock,
    connectors::Fault,
    core::{Command, ledger::Cause},
    engine::{intake::Quarantine, own_stock::OwnStock},
    model::{CountLine, Counter, IdKind, Identifiers, LocationId, Quantity, Timestamp},
    web::tests::world::{OPENED, channel, item, policies, sku},
};

fn fba() -> LocationId {
    LocationId::new("fba").expect("a name")
}

/// Lets the shop `main` keep seven mugs by itself, and reads them at one tick.
async fn reading(world: &World) -> CancellationToken {
    let mut policies = policies();
    policies.locations.push(fba());
    policies.channels.get_mut(&channel("main")).expect("configured").own_location = Some(fba());
    world.ledger.submit(Command::Configure(Box::new(policies))).await.expect("configured");
    let items = vec![item(&[(IdKind::Sku, "MUG")], None)];
    let catalogue = Command::Catalogue {
        channel: channel("erp"),
        read_at: Timestamp::from_millis(OPENED),
        items,
        unread: Vec::new(),
    };
    world.ledger.submit(catalogue).await.expect("taken");
    let ids = Identifiers::new([(IdKind::Sku, "MUG")]).expect("good");
    let line = CountLine { ids, location: fba(), quantity: Quantity::new(7) };
    *world.lists["main"].counts.lock().expect("unpoisoned") = vec![line];
    let ((tick, ticks), (recount, recounts)) = (mpsc::channel(1), mpsc::channel(8));
    tick.send(()).await.expect("there is room");
    let opening = &world.handles.opening;
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(OPENED + 60_000)));
    let own_stock = OwnStock {
        channel: channel("main"),
        connector: world.lists["main"].clone(),
        ledger: world.ledger.clone(),
        clock: clock.clone(),
        metrics: world.metrics.clone(),
        quarantine: Arc::new(Quarantine::new(world.dir.path().join("q"), world.ledger.clone(), clock)),
        ticks,
        recounts,
    };
    assert!(opening.turn.try_lock().is_ok());
    let stop = world.stop.clone();
    let run = own_stock.run(stop.clone());
    tokio::spawn(async move {
        run.await;
        drop((tick, recount));
    });
    stop
}

/// Waits until the mugs are counted, and returns who did and why they moved.
async fn counted(world: &World) -> (Counter, Vec<Cause>) {
    let told = async {
        loop {
            let told = world.read(|state| {
                let row = state.skus.get(&sku("MUG"))?;
                let counter = row.place(&fba())?.opened.as_ref()?.counter.clone();
                Some((counter, row.recent.iter().map(|booked| booked.entry.cause.clone()).collect()))
            });
            match told.await {
                Some(told) => return told,
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(Duration::from_secs(30), told).await.expect("it is read")
}

#[tokio::test]
async fn what_was_due_before_the_opening_stock_is_read_at_once_after_it_as_the_channels() {
    let world = start(Default::default(), 64).await;
    reading(&world).await;
    // The one tick is taken before there is an opening stock.
    while world.read(|state| state.skus.is_empty()).await {
        sleep(Duration::from_millis(10)).await;
    }
    world.ledger.submit(Command::Initialise).await.expect("initialised");
    let (counter, causes) = counted(&world).await;
    assert_eq!(counter, Counter::Channel(channel("main")));
    let by_main =
        |cause: &Cause| matches!(cause, Cause::Count { counter, .. } if *counter == channel("main"));
    assert!(!causes.is_empty() && causes.iter().all(by_main), "{causes:?}");
}

#[tokio::test]
async fn a_read_that_fails_is_due_again_without_a_tick() {
    let world = start(Default::default(), 64).await;
    let down = Fault::Server { status: 503, detail: "down".to_owned() };
    *world.lists["main"].fault.lock().expect("unpoisoned") = Some(down);
    world.ledger.submit(Command::Initialise).await.expect("initialised");
    reading(&world).await;
    while !world.metrics.encode().lines().any(|line| line.contains("sweep")) {
        sleep(Duration::from_millis(10)).await;
    }
    *world.lists["main"].fault.lock().expect("unpoisoned") = None;
    counted(&world).await;
}
