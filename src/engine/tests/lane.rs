//! A lane whose channel is slow to read is not slow to write.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};

use super::world::{World, start};
use crate::{
    core::{
        Command, State,
        mapping::{Resolved, resolve},
    },
    engine::lane::{Hint, Lane},
    model::{IdKind, Identifiers, Quantity, Seq, Timestamp},
    web::tests::world::{OPENED, channel, opened, order},
};

/// The lane of `main`, and what pushes name for it.
fn lane(world: &World) -> (Lane, mpsc::Sender<Hint>) {
    let opening = &world.handles.opening;
    let (hint, hints) = mpsc::channel(8);
    let lane = Lane {
        channel: channel("main"),
        connector: opening.channels.connector(&channel("main")).expect("it runs"),
        ledger: world.ledger.clone(),
        clock: Arc::clone(&opening.clock),
        wakes: opening.wakes.channel(&channel("main")).expect("it is configured"),
        metrics: Arc::clone(&world.metrics),
        hints,
    };
    (lane, hint)
}

async fn named(world: &World, item: &'static str) -> Hint {
    let ids = Identifiers::new([(IdKind::InventoryItem, item)]).expect("good");
    let find = move |state: &State| match resolve(state, &channel("main"), &ids) {
        Resolved::Listing(listing) => Some((listing, ids)),
        Resolved::Sku(_) | Resolved::Ambiguous(_) | Resolved::Unknown => None,
    };
    world.read(find).await.expect("it is listed")
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_look_that_takes_its_time_delays_no_lower_and_is_one_at_a_time() {
    let world = start(opened(), 64).await;
    let shop = &world.lists["main"];
    let gate = Arc::new(Semaphore::new(0));
    *shop.looks.lock().expect("unpoisoned") = Some(Arc::clone(&gate));
    *shop.written.lock().expect("unpoisoned") = Some(Vec::new());
    // Its orders are read, so that what it shows is known.
    let begun_at = Timestamp::from_millis(OPENED + 1_000);
    let fed = Command::Fed { channel: channel("main"), begun: Seq(99), begun_at, through: begun_at };
    world.ledger.submit(fed).await.expect("taken");
    let (lane, hint) = lane(&world);
    tokio::spawn(lane.run(world.stop.clone()));
    hint.send(named(&world, "11").await).await.expect("it listens");
    let looked = || shop.looked.load(Ordering::SeqCst);
    until("the look is begun", || looked() == 1).await;
    let written = |units: i64| {
        let written = shop.written.lock().expect("unpoisoned");
        written.iter().flatten().any(|put| put.quantity == Quantity::new(units))
    };
    // Sold elsewhere, twice: 5 mugs, then 3, then 2.
    for (id, units, left) in [("1", 2, 3), ("2", 1, 2)] {
        let sale =
            Command::Orders { channel: channel("us"), begun: Seq(1), orders: vec![order(id, "MUG", units)] };
        world.ledger.submit(sale).await.expect("taken");
        until("the lower is written while the look hangs", || written(left)).await;
    }
    hint.send(named(&world, "12").await).await.expect("it listens");
    sleep(Duration::from_millis(50)).await;
    assert_eq!(looked(), 1);
    gate.add_permits(8);
    until("the next look is begun", || looked() >= 2).await;
}

#[tokio::test]
async fn what_takes_calls_of_its_own_holds_up_no_lower() {
    let world = start(opened(), 64).await;
    let shop = &world.lists["main"];
    let gate = Arc::new(Semaphore::new(0));
    *shop.slow.lock().expect("unpoisoned") = Some((Quantity::new(5), Arc::clone(&gate)));
    *shop.written.lock().expect("unpoisoned") = Some(Vec::new());
    let begun_at = Timestamp::from_millis(OPENED + 1_000);
    let fed = Command::Fed { channel: channel("main"), begun: Seq(99), begun_at, through: begun_at };
    world.ledger.submit(fed).await.expect("taken");
    let (lane, _hint) = lane(&world);
    tokio::spawn(lane.run(world.stop.clone()));
    let written = |units: i64| {
        let written = shop.written.lock().expect("unpoisoned");
        written.iter().flatten().any(|put| put.quantity == Quantity::new(units))
    };
    let sell = async |id: &str, code: &str, units: i64| {
        let orders = vec![order(id, code, units)];
        let sale = Command::Orders { channel: channel("us"), begun: Seq(1), orders };
        world.ledger.submit(sale).await.expect("taken");
    };
    // Of the shirts five are left, of five mugs three, and then one.
    sell("1", "TSHIRT/BL", 5).await;
    for (id, left) in [("2", 3), ("3", 1)] {
        sell(id, "MUG", 2).await;
        until("the lower is written while the slow one hangs", || written(left)).await;
    }
    assert!(!written(5));
    gate.add_permits(1);
    until("the slow one is written", || written(5)).await;
}

#[tokio::test]
async fn a_listing_that_makes_its_look_fail_does_not_blind_the_others() {
    let world = start(opened(), 64).await;
    let shop = &world.lists["main"];
    *shop.written.lock().expect("unpoisoned") = Some(Vec::new());
    *shop.looks.lock().expect("unpoisoned") = Some(Arc::new(Semaphore::new(100)));
    *shop.blind.lock().expect("unpoisoned") = vec!["11"];
    let (lane, hint) = lane(&world);
    let hints = [named(&world, "11").await, named(&world, "12").await];
    for named in hints {
        hint.send(named).await.expect("it listens");
    }
    tokio::spawn(lane.run(world.stop.clone()));
    let alone = || {
        let looks = shop.looks_at.lock().expect("unpoisoned").clone();
        looks.iter().any(|items| items == &["12"]) && looks.iter().any(|items| items == &["11"])
    };
    until("each is looked at by itself", alone).await;
    until("the other is taken", || shop.looked.load(Ordering::SeqCst) >= 1).await;
}
