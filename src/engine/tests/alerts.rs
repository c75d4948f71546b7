//! People are told at least once, whatever hangs and whenever the process dies.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::post};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::world::{World, start};
use crate::{
    core::{
        Command, Reply, State,
        record::AlertKind,
        state::{Alert, AlertKey, Quarantined},
    },
    engine::alerter::{Alerter, Logged, Target},
    model::{Instance, Timestamp},
    web::tests::world::{OPENED, channel, opened},
};

/// Where alerts go. It tells what it was sent, and then answers, or does not.
async fn target(answers: bool) -> (Target, mpsc::UnboundedReceiver<Value>) {
    let (told, heard) = mpsc::unbounded_channel();
    let take = move |body: axum::Json<Value>| {
        let told = told.clone();
        async move {
            told.send(body.0).expect("the test listens");
            if !answers {
                std::future::pending::<()>().await;
            }
            StatusCode::OK
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let url = format!("http://{}/alerts", listener.local_addr().expect("bound"));
    let router = Router::new().route("/alerts", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
    (Target { url: url.into(), client }, heard)
}

fn alerter(world: &World, target: Target) -> JoinHandle<()> {
    let alerter = Alerter {
        instance: Instance::new("test").expect("a name"),
        ledger: world.ledger.clone(),
        wakes: Arc::clone(&world.handles.wakes),
        metrics: Arc::clone(&world.metrics),
        target: Some(target),
        runbook: None,
        logged: Logged::default(),
    };
    tokio::spawn(alerter.run(world.stop.clone()))
}

/// Makes something happen that people are told of.
async fn trouble(world: &World, name: &str) {
    let item = Quarantined {
        channel: channel(name),
        topic: "orders".to_owned(),
        id: None,
        why: "nonsense".to_owned(),
        sha256: String::new(),
        at: Timestamp::from_millis(OPENED),
    };
    world.ledger.submit(Command::Quarantine(item)).await.expect("taken");
}

async fn alert(world: &World, name: &'static str) -> Option<Alert> {
    let key = AlertKey { kind: AlertKind::Quarantine, subject: name.to_owned() };
    world.read(move |state| state.alerts.get(&key).cloned()).await
}

async fn until_told(world: &World) {
    let told = async {
        while alert(world, "main").await.is_none_or(|alert| alert.send_at.is_some()) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), told).await.expect("it is noted that people were told");
}

async fn heard(told: &mut mpsc::UnboundedReceiver<Value>) -> Value {
    timeout(Duration::from_secs(10), told.recv()).await.expect("in time").expect("it is up")
}

#[tokio::test]
async fn a_target_that_hangs_holds_up_no_judgement() {
    let world = start(opened(), 64).await;
    let (target, mut told) = target(false).await;
    let _task = alerter(&world, target);
    trouble(&world, "main").await;
    heard(&mut told).await;
    trouble(&world, "us").await;
    let judged = async {
        while alert(&world, "us").await.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), judged).await.expect("judged while the message hangs");
}

#[tokio::test]
async fn an_alert_that_was_posted_and_not_noted_before_a_crash_is_told_again_and_then_no_more() {
    let first = start(opened(), 64).await;
    let (silent, mut told) = target(false).await;
    let task = alerter(&first, silent);
    trouble(&first, "main").await;
    let before = heard(&mut told).await;
    // The process dies after the message has left, and before anyone knows.
    task.abort();
    let left: State = first.replayed(opened(), first.store.len());

    let second = start(left.clone(), 64).await;
    let (answers, mut told) = target(true).await;
    let task = alerter(&second, answers);
    let again = heard(&mut told).await;
    assert_eq!((&again["dedup_key"], &again["state"]), (&before["dedup_key"], &before["state"]));
    until_told(&second).await;
    task.abort();

    let third = start(second.replayed(left, second.store.len()), 64).await;
    let take = Command::TakeAlerts { limit: 10 };
    let due = third.ledger.submit(take).await.expect("taken");
    assert_eq!(due, Reply::Alerts(Vec::new()), "what was told is not told again");
}
