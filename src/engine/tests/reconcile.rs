//! How a channel's catalogue is read, whatever breaks it off.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::world::{World, start};
use crate::{
    connectors::Fault,
    core::{Command, State},
    engine::reconcile::{Reconcile, Sweep},
    model::{CatalogueItem, FulfilledBy, IdKind, Identifiers},
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

/// A row that says who ships one of the shop's listings.
fn row(code: &str, item: &str, by: FulfilledBy) -> CatalogueItem {
    let ids = Identifiers::new([(IdKind::Sku, code), (IdKind::InventoryItem, item)]).expect("good");
    let unwritable = (by == FulfilledBy::Channel).then(|| "the channel ships it".to_owned());
    CatalogueItem { ids, title: None, by, levels: None, unwritable }
}

async fn by(world: &World, item: &'static str) -> Option<FulfilledBy> {
    let find = move |state: &State| {
        let mut all = state.skus.values().flat_map(|row| row.listings.iter());
        all.find(|held| held.ids.get(IdKind::InventoryItem) == Some(item)).map(|held| held.by)
    };
    world.ledger.read(find).await.expect("it runs")
}

#[tokio::test]
async fn what_a_report_says_otherwise_is_read_by_itself_and_only_that_counts() {
    use FulfilledBy::{Channel, Merchant};
    let world = breaks(&[]).await;
    let (list, clock) = (&world.lists["main"], &world.handles.clock);
    let told = || vec![row("MUG", "12", Channel), row("TSHIRT/BL", "11", Channel)];
    *list.reported.lock().expect("unpoisoned") = told();
    list.items.lock().expect("unpoisoned").extend([Err(server()), Ok(vec![row("MUG", "12", Channel)])]);
    let mut sweep = Sweep::default();
    let failed = sweep.read(list.as_ref(), &world.ledger, clock.as_ref(), &channel("main")).await;
    assert!(sweep.goes_on(&failed.expect_err("it breaks off")));
    assert_eq!((by(&world, "12").await, browsed(&world)), (Some(Merchant), vec![0]));
    // It goes on where it was, and what other pages report of the same is not read again.
    *list.reported.lock().expect("unpoisoned") = told();
    sweep.read(list.as_ref(), &world.ledger, clock.as_ref(), &channel("main")).await.expect("it is read");
    assert_eq!(*list.items_asked.lock().expect("unpoisoned"), [2, 2]);
    assert_eq!((by(&world, "12").await, by(&world, "11").await), (Some(Channel), Some(Merchant)));
    assert_eq!(browsed(&world), [0, 1, 2]);
}

#[tokio::test]
async fn much_that_is_to_be_read_again_is_read_in_parts() {
    let world = breaks(&[]).await;
    let (list, clock) = (&world.lists["main"], &world.handles.clock);
    let rows = (0..50).map(|n| row("MUG", &format!("{}", 1_000 + n), FulfilledBy::Merchant));
    let known = Command::Catalogue {
        channel: channel("main"),
        read_at: clock.now(),
        items: rows.clone().collect(),
        unread: vec![],
    };
    world.ledger.submit(known).await.expect("they are listed");
    let others = rows.map(|row| CatalogueItem { by: FulfilledBy::Channel, ..row });
    *list.reported.lock().expect("unpoisoned") = others.collect();
    let mut sweep = Sweep::default();
    sweep.read(list.as_ref(), &world.ledger, clock.as_ref(), &channel("main")).await.expect("it is read");
    assert_eq!(*list.items_asked.lock().expect("unpoisoned"), [20, 20, 10]);
}
