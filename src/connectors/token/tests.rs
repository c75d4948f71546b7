use axum::{Router, extract::State, http::StatusCode, routing::post};
use futures::future;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, atomic::AtomicUsize};

use super::*;

/// A token endpoint that answers from a script, then with the last entry for ever, and keeps what it was asked.
#[derive(Clone)]
struct Endpoint {
    script: Arc<Vec<(u16, Value)>>,
    calls: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    /// Starts it and returns tokens that come from it.
    async fn start(script: Vec<(u16, Value)>) -> (Endpoint, Tokens) {
        let endpoint = Endpoint { script: Arc::new(script), calls: Arc::default(), asked: Arc::default() };
        let app = Router::new().route("/token", post(answer)).with_state(endpoint.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}/token", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (endpoint, tokens(&base))
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn answer(State(endpoint): State<Endpoint>, body: String) -> (StatusCode, String) {
    let n = endpoint.calls.fetch_add(1, Ordering::SeqCst);
    endpoint.asked.lock().expect("not poisoned").push(body);
    let (status, body) = endpoint.script.get(n).or(endpoint.script.last()).expect("a script");
    let body = body.to_string().replace("SERIAL", &(n + 1).to_string());
    (StatusCode::from_u16(*status).expect("a status"), body)
}

fn advice(code: &str) -> &'static str {
    if code.contains("bad") { "do this" } else { "do that" }
}

fn tokens(url: &str) -> Tokens {
    let url = Url::parse(url).expect("a URL");
    let form = vec![("who", SecretString::from("client+id")), ("secret", SecretString::from("hush&1"))];
    Tokens::new(Grant { url, form, advice }, http::Options::default()).expect("a client")
}

fn grant(expires_in: u32) -> (u16, Value) {
    (200, json!({"access_token": "Atza|SERIAL", "token_type": "bearer", "expires_in": expires_in}))
}

fn text(token: &Token) -> &str {
    token.header.to_str().expect("text")
}

#[tokio::test]
async fn callers_share_one_request_and_its_token() {
    let (endpoint, tokens) = Endpoint::start(vec![grant(3600)]).await;
    let all = future::join_all((0..50).map(|_| tokens.get())).await;
    for token in all {
        assert_eq!(text(&token.expect("a token")), "Atza|1");
    }
    assert_eq!(endpoint.calls(), 1);
    assert_eq!(endpoint.asked.lock().expect("not poisoned").concat(), "who=client%2Bid&secret=hush%261");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let (endpoint, tokens) = Endpoint::start(vec![grant(3600), grant(10), grant(0)]).await;
    let asked_at = Instant::now();
    let token = tokens.get().await.expect("a token");
    let life = token.renew_at - asked_at;
    assert!(life >= Duration::from_secs(3300) && life < Duration::from_secs(3360), "{life:?}");
    tokens.refused(&token).await;
    let asked_at = Instant::now();
    let short = tokens.get().await.expect("a token");
    assert!(short.renew_at - asked_at < Duration::from_secs(10), "at half of a short life");
    tokens.refused(&short).await;
    tokens.get().await.expect("a token");
    assert_eq!(text(&tokens.get().await.expect("a token")), "Atza|4", "one without life serves one call");
    assert_eq!(endpoint.calls(), 4);
}

#[tokio::test]
async fn a_refused_token_is_dropped_once_and_its_successor_is_kept() {
    let (endpoint, tokens) = Endpoint::start(vec![grant(3600)]).await;
    let old = tokens.get().await.expect("a token");
    tokens.refused(&old).await;
    let new = tokens.get().await.expect("a token");
    assert_eq!(text(&new), "Atza|2");
    tokens.refused(&old).await;
    assert_eq!(text(&tokens.get().await.expect("a token")), "Atza|2");
    assert_eq!(endpoint.calls(), 2);
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_and_a_refusal_is_not() {
    let (endpoint, tokens) = Endpoint::start(vec![(503, json!({})), grant(3600)]).await;
    assert!(tokens.get().await.is_ok());
    assert_eq!(endpoint.calls(), 2);

    let bad = (400, json!({"error": "bad_secret", "error_description": "It is wrong"}));
    let (endpoint, tokens) = Endpoint::start(vec![bad, grant(3600)]).await;
    let all = future::join_all((0..5).map(|_| tokens.get())).await;
    for none in all {
        let none = none.expect_err("refused").to_string();
        assert!(none.contains("`bad_secret`: It is wrong; do this"), "{none}");
        assert!(!none.contains("hush"));
    }
    assert_eq!(endpoint.calls(), 1, "those who waited get the same refusal");
    assert!(tokens.get().await.is_ok(), "the next one asks again");
}

/// Status and body of a token endpoint, and the start of what a write is told.
#[track_caller]
fn check(status: u16, body: &Value, want: &str) {
    let answer = Answer { status, headers: Default::default(), body: body.to_string().into() };
    let outcome = granted(&answer, advice).expect_err("no token").outcome();
    let told = format!("{outcome:?}");
    assert!(told.starts_with(want), "{told}");
}

#[test]
fn each_failure_says_what_to_change() {
    let error = |code: &str| json!({"error": code, "error_description": "d"});
    let refused = "Unauthorized { reason: \"the token endpoint answered ";
    check(400, &error("bad"), &format!("{refused}`bad`: d; do this"));
    check(401, &json!({"error": "other"}), &format!("{refused}`other`; do that"));
    check(404, &json!("nothing bad"), &format!("{refused}404: \\\"nothing bad\\\"; do this"));
    check(429, &json!({}), "Throttled { retry_after_ms: 30000 }");
    check(500, &json!({}), "NotSent { reason: \"no access token: status 500");
    check(200, &json!({"access_token": "a"}), "NotSent { reason: \"no access token: the answer holds no");
    check(
        200,
        &json!({"access_token": "a\n", "expires_in": 1}),
        "NotSent { reason: \"no access token: `access_token`",
    );
}

/// While no other can be had, a token goes on to its end, and not beyond it.
#[tokio::test]
async fn a_token_that_cannot_be_renewed_goes_on_while_it_lives() {
    let (endpoint, tokens) = Endpoint::start(vec![grant(600), (429, json!({}))]).await;
    let first = tokens.get().await.expect("a token");
    due(&tokens, |token| token.renew_at = Instant::now()).await;
    let held = tokens.get().await.expect("it lives");
    assert_eq!((text(&held), endpoint.calls()), (text(&first), 2));
    assert_eq!(text(&tokens.get().await.expect("it lives")), text(&first));
    assert_eq!(endpoint.calls(), 2, "not at every call");
    due(&tokens, |token| (token.renew_at, token.ends_at) = (Instant::now(), Instant::now())).await;
    assert!(matches!(tokens.get().await, Err(NoToken::Throttled(_))), "it has ended");
}

/// Changes the token that is held.
async fn due(tokens: &Tokens, change: fn(&mut Token)) {
    if let Some(Ok(token)) = &mut *tokens.latest.lock().await {
        change(token);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_means_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/", listener.local_addr().expect("bound"));
    drop(listener);
    let none = tokens(&base).get().await.expect_err("nobody listens");
    assert!(matches!(none.clone().outcome(), Outcome::NotSent { .. }), "{none:?}");
    assert!(matches!(Fault::from(none), Fault::Disconnected(_)));
}

#[tokio::test]
async fn no_secret_is_in_a_debug_text() {
    let (_endpoint, tokens) = Endpoint::start(vec![grant(3600)]).await;
    let token = tokens.get().await.expect("a token");
    let text = format!("{tokens:?} {token:?}");
    assert!(!text.contains("hush") && !text.contains("Atza"), "{text}");
}
