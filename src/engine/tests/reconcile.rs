//! How a channel's catalogue is read, whatever breaks it off.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::world::{World, start};
use crate::{
    connectors::Fault,
    engine::reconcile::{Reconcile, Sweep},
    web::tests::world::{channel, opened},
};

fn server() -> Fault {
    Fault::Server { status: 500, detail: "no reason given".to_owned() }
}

/// A catalogue of three pages of which the second fails like this, once each.
async fn breaks(faults: &[Fault]) -> World {
    let world = start(opened(), 64).await;
    let list = &world.lists["main"];
    *list.pages.lock().expect("unpoisoned") = vec![vec![]; 3];
    *list.breaks.lock().expect("unpoisoned") = faults.to_vec();
    world
}

fn browsed(world: &World) -> Vec<usize> {
    world.lists["main"].browsed.lock().expect("unpoisoned").clone()
}

#[tokio::test]
async fn a_catalogue_that_broke_off_goes_on_at_its_page() {
    let world = breaks(&[Fault::Disconnected("nobody answers".to_owned()), server()]).await;
    let opening = &world.handles.opening;
    let (tick, ticks) = mpsc::channel(1);
    let reconcile = Reconcile {
        channel: channel("main"),
        connector: opening.channels.connector(&channel("main")).expect("it runs"),
        ledger: world.ledger.clone(),
        clock: Arc::clone(&opening.clock),
        wakes: Arc::default(),
        ticks,
    };
    tokio::spawn(reconcile.run(world.stop.clone()));
    tick.send(()).await.expect("it listens");
    let read = async {
        while browsed(&world).len() < 5 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), read).await.expect("it is read to its end");
    assert_eq!(browsed(&world), [0, 1, 1, 1, 2]);
}

#[tokio::test]
async fn a_catalogue_goes_on_only_where_that_may_help() {
    let malformed = || Fault::Malformed("no such page".to_owned());
    let check = async |faults: &[Fault], goes_on: bool| {
        let world = breaks(faults).await;
        let (connector, clock) = (&world.lists["main"], &world.handles.clock);
        let mut sweep = Sweep::default();
        let mut last = None;
        for _ in faults {
            let read = sweep.read(connector.as_ref(), &world.ledger, clock.as_ref(), &channel("main")).await;
            last = Some(sweep.goes_on(&read.expect_err("it breaks off")));
        }
        assert_eq!(last, Some(goes_on), "{faults:?}");
    };
    check(&[server()], true).await;
    check(&vec![server(); 4], true).await;
    check(&vec![server(); 5], false).await;
    check(&[malformed()], false).await;
}
