//! Alerts reach a person, although the daemon dies while it tells.

use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};

use crate::{
    live::Home,
    support::{World, order, until_empty},
};

pub(crate) type Heard = Arc<Mutex<Vec<Value>>>;

/// Starts a receiver of alerts on loopback, and returns its address and what it has heard.
pub(crate) async fn receiver() -> (String, Heard) {
    let heard = Heard::default();
    let hear = async |State(heard): State<Heard>, Json(alert): Json<Value>| {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(alert);
    };
    let app = Router::new().route("/alerts", post(hear)).with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let url = format!("http://{}/alerts", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    (url, heard)
}

/// Returns the states that were told of each of a subject's alerts, in the order they were told.
pub(crate) fn told(heard: &Heard, subject: &str) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for alert in heard.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if alert["subject"] == subject {
            let text = |key: &str| alert[key].as_str().expect("a text").to_owned();
            let mark = if alert["state"] == "firing" { "[ALERT]" } else { "[RECOVERED]" };
            assert!(text("text").starts_with(mark), "{alert}");
            told.entry(text("dedup_key")).or_default().push(text("state"));
        }
    }
    told
}

/// Waits until a person was told of these states of an alert, in this order, whatever came after.
pub(crate) async fn hears(heard: &Heard, subject: &str, kind: &str, states: &[&str]) {
    let wanted: Vec<String> = states.iter().map(|state| (*state).to_owned()).collect();
    until_empty("a person hears of it", async || {
        let told = told(heard, subject);
        let of_kind = told.iter().find(|(key, _)| key.split('/').nth(1) == Some(kind));
        if of_kind.is_some_and(|(_, told)| told.starts_with(&wanted)) {
            vec![]
        } else {
            vec![format!("{told:?}")]
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_whose_telling_was_not_recorded_is_told_again() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let (url, heard) = receiver().await;
    home.configure("after_tries = 8", &format!("after_tries = 8\nwebhook_url = \"{url}\""));
    let live = home.open(&world).await;
    home.settle(&world).await;
    live.stop().await;
    assert_eq!(told(&heard, "market"), BTreeMap::new());

    world.post("faults", json!({"faults": ["amazon-outage=10m"]})).await;
    let sku = world.get("books").await["skus"][0]["sku"].as_str().expect("a code").to_owned();
    order(&world, "shopify", &sku, 1).await;
    let ended = home.start(Some("after_alert")).dies(async || {}).await;
    assert_eq!(ended.signal(), Some(6), "{ended}");
    let (key, states) = told(&heard, "market").pop_first().expect("it was told");
    assert_eq!(states, ["firing"], "{key}: it died at the first telling");
    let kind = key.split('/').nth(1).expect("a key names a kind").to_owned();

    let live = home.serve().await;
    hears(&heard, "market", &kind, &["firing", "firing"]).await;
    world.post("faults", json!({"faults": ["amazon-outage=off"]})).await;
    hears(&heard, "market", &kind, &["firing", "firing", "recovered"]).await;
    home.settle(&world).await;
    live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_whose_telling_was_not_recorded_is_told_again() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let (url, heard) = receiver().await;
    home.configure("after_tries = 8", &format!("after_tries = 8\nwebhook_url = \"{url}\""));
    let live = home.open(&world).await;
    home.settle(&world).await;
    let secret = world.get("systems").await["shopify"]["client_secret"].as_str().expect("one").to_owned();
    let status = crate::support::webhook(&home.hooks(), &secret, "orders/create", b"{").await;
    assert_eq!(status, 200);
    hears(&heard, "shop", "quarantine", &["firing"]).await;
    live.stop().await;

    let live = home.start(Some("after_alert"));
    home.ready().await;
    // It is not new: the log says since when it is open.
    let logged = |level: &str, text: &str| {
        let log = home.whole_log();
        let of = |line: &&str| line.contains(level) && line.contains("quarantine") && line.contains(text);
        log.lines().filter(of).count()
    };
    until_empty("what is open is named in the log", async || {
        if logged("WARN", "open since") == 1 { vec![] } else { vec![home.whole_log()] }
    })
    .await;
    assert_eq!(logged("ERROR", "alert="), 1, "{}", home.whole_log());
    let letters = home.ask(&["dead-letters", "list"]).await.json();
    let id = letters["letters"][0]["id"].as_str().expect("an id").to_owned();
    home.ask(&["dead-letters", "discard", &id]).await.json();
    let ended = live.dies(async || {}).await;
    assert_eq!(ended.signal(), Some(6), "{ended}");
    hears(&heard, "shop", "quarantine", &["firing", "recovered"]).await;

    let live = home.serve().await;
    hears(&heard, "shop", "quarantine", &["firing", "recovered", "recovered"]).await;
    live.stop().await;
}

/// Some library keeps memory that only the end of the process gives back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_memory_is_told_and_given_back_by_a_restart_that_is_planned() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let (url, heard) = receiver().await;
    let told = format!("runbook_url = \"https://example.com/help\"\nwebhook_url = \"{url}\"");
    home.configure("after_tries = 8", &format!("after_tries = 8\n{told}"));
    home.configure("[web]", "[memory]\nalarm_bytes = 1\n\n[web]");
    let live = home.open(&world).await;
    home.settle(&world).await;
    hears(&heard, "process", "memory", &["firing"]).await;
    // Who was told is told that it is over, whatever made it so.
    home.configure("alarm_bytes = 1", "alarm_bytes = 0");
    home.ask(&["reload"]).await.json();
    hears(&heard, "process", "memory", &["firing", "recovered"]).await;
    home.configure("alarm_bytes = 0", "alarm_bytes = 1");
    let all = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let of_memory = all.iter().find(|alert| alert["kind"] == "memory").expect("it was heard");
    let text = of_memory["text"].as_str().expect("a text");
    assert!(text.ends_with("(https://example.com/help#memory)"), "{text}");
    let figures = home.figures().await;
    let resident = figures.lines().find_map(|line| line.strip_prefix("evenkeel_resident_bytes "));
    let resident: u64 = resident.and_then(|bytes| bytes.parse().ok()).expect("a figure");
    assert!(resident > 1 << 20, "{figures}");
    live.stop().await;

    home.configure("alarm_bytes = 1", "restart_bytes = 1\nrestart_after = \"1s\"");
    let sku = world.get("books").await["skus"][0]["sku"].as_str().expect("a code").to_owned();
    let live = home.start(None);
    order(&world, "shopify", &sku, 1).await;
    let ended = live.dies(async || {}).await;
    assert_eq!(ended.code(), Some(75), "{}", home.log());

    home.configure("restart_bytes = 1", "restart_bytes = 0");
    let live = home.serve().await;
    home.settle(&world).await;
    assert_eq!(world.disagreements().await, Vec::<String>::new());
    live.stop().await;
}
