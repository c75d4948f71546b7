//! A channel is tended at the start, when something asks for it, and again after it failed.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::world::{World, start};
use crate::{
    connectors::{Fault, Notice, Tended},
    core::{Command, State, circuit::Circuit},
    engine::tend::Tender,
    model::Timestamp,
    web::tests::world::{OPENED, channel, opened},
};

fn tended(kinds: &[&str], missed: bool) -> Tended {
    let notice =
        |kind: &&str| Notice { kind: (*kind).to_owned(), text: format!("see to {kind}"), stops: false };
    Tended { notices: kinds.iter().map(notice).collect(), missed, ..Tended::default() }
}

/// A world whose shop is tended, with what comes of it time by time.
async fn tends(results: Vec<Result<Tended, Fault>>) -> (World, mpsc::Sender<()>) {
    tends_on(opened(), results).await
}

/// The same, of a store that holds this.
async fn tends_on(state: State, results: Vec<Result<Tended, Fault>>) -> (World, mpsc::Sender<()>) {
    let world = start(state, 64).await;
    *world.lists["main"].tended.lock().expect("unpoisoned") = results.into();
    let (tick, ticks) = mpsc::channel(1);
    let opening = &world.handles.opening;
    let tender = Tender {
        channel: channel("main"),
        connector: opening.channels.connector(&channel("main")).expect("it runs"),
        ledger: world.ledger.clone(),
        wakes: world.handles.wakes.channel(&channel("main")).expect("it can be woken"),
        ticks,
    };
    tokio::spawn(tender.run(world.stop.clone()));
    tick.send(()).await.expect("it listens");
    (world, tick)
}

/// Waits until this holds of the state.
async fn until(world: &World, holds: fn(&State) -> bool) {
    let held = async {
        while !world.read(holds).await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), held).await.expect("it comes to hold");
}

fn kinds(state: &State) -> Vec<&str> {
    let row = state.channels.get(&channel("main"));
    row.iter().flat_map(|row| &row.notices).map(|notice| notice.kind.as_str()).collect()
}

#[tokio::test]
async fn what_is_found_is_recorded_and_what_was_missed_is_read() {
    let (world, _tick) = tends(vec![Ok(tended(&["version", "webhooks"], true))]).await;
    until(&world, |state| kinds(state) == ["version", "webhooks"]).await;
    let wakes = world.handles.wakes.channel(&channel("main")).expect("it can be woken");
    let woken = async {
        wakes.feed.notified().await;
        wakes.reconcile.notified().await;
    };
    timeout(Duration::from_secs(30), woken).await.expect("both are woken");
}

#[tokio::test]
async fn it_is_tended_again_when_something_asks_for_it() {
    let (world, tick) = tends(vec![
        Ok(tended(&["one"], false)),
        Ok(tended(&["two"], false)),
        Ok(tended(&["three"], false)),
        Ok(tended(&["four"], false)),
    ])
    .await;
    until(&world, |state| kinds(state) == ["one"]).await;
    world.handles.wakes.channel(&channel("main")).expect("it can be woken").tend.notify_one();
    until(&world, |state| kinds(state) == ["two"]).await;
    world.lists["main"].uneasy.notify_one();
    until(&world, |state| kinds(state) == ["three"]).await;
    tick.send(()).await.expect("it listens");
    until(&world, |state| kinds(state) == ["four"]).await;
    assert_eq!(world.lists["main"].tendings.load(Ordering::SeqCst), 4, "and not without");
}

#[tokio::test]
async fn what_was_found_in_part_is_recorded_and_the_rest_is_found_out_soon() {
    let part = Tended { unsure: vec!["webhooks"], again: true, ..tended(&["scopes"], false) };
    let whole = tended(&["webhooks"], false);
    let (world, _tick) = tends(vec![Ok(tended(&["version"], false)), Ok(part), Ok(whole)]).await;
    until(&world, |state| kinds(state) == ["version"]).await;
    world.handles.wakes.channel(&channel("main")).expect("it can be woken").tend.notify_one();
    until(&world, |state| kinds(state) == ["webhooks"]).await;
    assert_eq!(world.lists["main"].tendings.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_restored_store_only_looks_until_a_person_lets_it_go_live() {
    let mut state = opened();
    state.restored = Some(Timestamp::from_millis(OPENED));
    let (world, _tick) = tends_on(state, vec![Ok(tended(&["webhooks"], false))]).await;
    let times = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    let list = &world.lists["main"];
    until(&world, |state| kinds(state) == ["webhooks"]).await;
    assert_eq!((times(&list.tendings), times(&list.mended)), (1, 0));
    world.ledger.submit(Command::Live).await.expect("a person says so");
    until(&world, |state| kinds(state).is_empty()).await;
    assert_eq!((times(&list.tendings), times(&list.mended)), (2, 1), "at once, whatever its turn");
}

#[tokio::test]
async fn what_failed_is_tried_again_and_refused_credentials_are_told() {
    let refused = || Err(Fault::Unauthorized("the app was uninstalled".to_owned()));
    let silent = Err(Fault::Disconnected("nobody answers".to_owned()));
    let (world, _tick) = tends(vec![silent, refused(), Ok(tended(&["scopes"], false))]).await;
    until(&world, |state| kinds(state) == ["scopes"]).await;
    let circuit = world.read(|state| state.channels[&channel("main")].circuit.clone()).await;
    let Circuit::Open { unauthorized: Some(why), .. } = circuit else { panic!("{circuit:?}") };
    assert_eq!(why, "the app was uninstalled");
}
