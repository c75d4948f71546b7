use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::world::{Served, configured, opened, serve};
use crate::{core::State, web::Taken};

async fn push(served: &Served, channel: &str, body: Vec<u8>) -> reqwest::Response {
    let request = Client::new().post(format!("{}/webhooks/shopify/{channel}", served.base)).body(body);
    request.header("X-Shopify-Webhook-Id", "w1").send().await.expect("an answer")
}

#[tokio::test]
async fn a_push_is_answered_by_what_became_of_it() {
    let served = serve(opened(), |_| {}).await;
    for (taken, status) in [
        (Taken::Yes, 200),
        (Taken::Duplicate, 200),
        (Taken::Quarantined, 200),
        (Taken::NotFollowed, 200),
        (Taken::Forged, 401),
        (Taken::Busy, 503),
        (Taken::Stopped, 503),
    ] {
        served.door.says(Some(taken));
        let answer = push(&served, "main", b"{}".to_vec()).await;
        assert_eq!(answer.status().as_u16(), status, "{taken:?}");
        assert_eq!(answer.headers().contains_key("retry-after"), status == 503, "{taken:?}");
        assert!(answer.headers().contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn the_door_gets_the_raw_body_and_headers_in_lower_case() {
    let served = serve(opened(), |_| {}).await;
    let body = b"{ \"a\" :\t1 }\n\xff".to_vec();
    assert_eq!(push(&served, "main", body.clone()).await.status(), StatusCode::OK);
    let pushes = served.door.pushes.lock().expect("unpoisoned").clone();
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0].body, body);
    assert_eq!(pushes[0].headers.get("x-shopify-webhook-id").map(String::as_str), Some("w1"));
}

#[tokio::test]
async fn a_channel_that_is_not_configured_is_not_found_and_counted_without_its_name() {
    let served = serve(opened(), |_| {}).await;
    for name in ["other", "us", "No%20Name"] {
        assert_eq!(push(&served, name, b"{}".to_vec()).await.status(), StatusCode::NOT_FOUND, "{name}");
    }
    let figures = served.metrics.encode();
    assert!(figures.contains("evenkeel_webhooks_stray_total 3"), "{figures}");
    assert!(!figures.contains("other"));
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken_and_a_larger_one_gets_413() {
    let served = serve(opened(), |options| options.body_max = 1_000).await;
    assert_eq!(push(&served, "main", vec![b'x'; 1_000]).await.status(), StatusCode::OK);
    assert_eq!(push(&served, "main", vec![b'x'; 1_001]).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(push(&served, "main", vec![b'x'; 3_000_000]).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(served.door.pushes.lock().expect("unpoisoned").len(), 1);
    let large = "evenkeel_webhooks_total{channel=\"main\",result=\"too_large\"} 2";
    assert!(served.metrics.encode().contains(large));
}

#[tokio::test]
async fn a_push_that_is_not_answered_in_time_gets_503() {
    let served = serve(opened(), |options| options.answer_within = Duration::from_millis(50)).await;
    served.door.shut();
    let answer = push(&served, "main", b"{}".to_vec()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_panic_is_answered_and_the_next_request_too() {
    let served = serve(opened(), |_| {}).await;
    served.door.says(None);
    assert_eq!(push(&served, "main", b"{}".to_vec()).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    served.door.says(Some(Taken::Yes));
    assert_eq!(push(&served, "main", b"{}".to_vec()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn http2_is_spoken_too() {
    let served = serve(opened(), |_| {}).await;
    let client = Client::builder().http2_prior_knowledge().build().expect("a client");
    let answer = client.get(format!("{}/healthz", served.base)).send().await.expect("an answer");
    assert_eq!((answer.version(), answer.status()), (reqwest::Version::HTTP_2, StatusCode::OK));
}

/// Sends the beginning of a request and nothing more; the server must hang up.
async fn dribble(served: &Served, beginning: &[u8]) {
    let mut stream = TcpStream::connect(served.address).await.expect("connected");
    stream.write_all(beginning).await.expect("sent");
    let mut told = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut told)).await;
    ended.unwrap_or_else(|_| panic!("still open after {beginning:?}")).ok();
    assert!(!told.starts_with(b"HTTP/1.1 2"), "{told:?}");
}

#[tokio::test]
async fn who_does_not_finish_the_headers_is_cut_off() {
    let served = serve(opened(), |options| options.headers_within = Duration::from_millis(100)).await;
    dribble(&served, b"").await;
    dribble(&served, b"P").await;
    dribble(&served, b"POST /webhooks/shopify/main HTTP/1.1\r\nhost: x\r\n").await;
    dribble(&served, b"PRI * HTTP/2.0\r\n").await;
}

#[tokio::test]
async fn a_connection_that_stays_idle_is_closed_after_its_answer() {
    let served = serve(opened(), |options| options.headers_within = Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(served.address).await.expect("connected");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut told = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut told)).await;
    ended.expect("still open").expect("readable");
    assert!(told.starts_with(b"HTTP/1.1 200"), "{told:?}");
}

#[tokio::test]
async fn places_are_given_back() {
    let served = serve(opened(), |options| options.connections_max = 1).await;
    for _ in 0..3 {
        // A new connection each time; the one before must have given its place back.
        assert_eq!(push(&served, "main", b"{}".to_vec()).await.status(), StatusCode::OK);
    }
}

async fn told(served: &Served, path: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("{}{path}", served.base)).await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn health_is_of_the_ledger_and_readiness_of_the_state() {
    let served = serve(State::default(), |_| {}).await;
    assert_eq!(told(&served, "/healthz").await, (200, json!({"alive": true})));
    assert_eq!(told(&served, "/readyz").await.0, 503);
    *served.desk.state.lock().expect("unpoisoned") = configured();
    let (status, ready) = told(&served, "/readyz").await;
    assert_eq!((status, &ready["initialised"], &ready["mode"]), (200, &json!(false), &json!("live")));
    *served.desk.state.lock().expect("unpoisoned") = opened();
    assert_eq!(told(&served, "/readyz").await.1["initialised"], json!(true));
    *served.desk.stopping.lock().expect("unpoisoned") = true;
    assert_eq!(told(&served, "/healthz").await, (503, json!({"alive": false})));
    assert_eq!(told(&served, "/readyz").await.0, 503);
}

#[tokio::test]
async fn metrics_are_open_metrics() {
    let served = serve(opened(), |_| {}).await;
    let answer = reqwest::get(format!("{}/metrics", served.base)).await.expect("an answer");
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert_eq!(answer.text().await.expect("a body"), "# EOF\n");
}

#[tokio::test]
async fn a_request_under_way_is_answered_at_the_end_and_no_new_one_is_taken() {
    let served = serve(opened(), |_| {}).await;
    served.door.shut();
    let url = format!("{}/webhooks/shopify/main", served.base);
    let under_way = tokio::spawn(async move { Client::new().post(url).body("{}").send().await });
    served.door.arrived.acquire().await.expect("open").forget();
    served.stop.cancel();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    served.door.gate.add_permits(1);
    let answer = under_way.await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    served.task.await.expect("it ends");
    assert!(!served.socket.exists());
}
