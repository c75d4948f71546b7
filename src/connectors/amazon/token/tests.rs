use axum::{Router, extract::State, http::StatusCode, routing::post};
use futures::future;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, atomic::AtomicUsize};

use super::*;

/// A token endpoint that answers from a script, then with the last entry for ever, and keeps what it was asked.
#[derive(Clone)]
struct Lwa {
    script: Arc<Vec<(u16, Value)>>,
    calls: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Lwa {
    /// Starts it and returns tokens that come from it.
    async fn start(script: Vec<(u16, Value)>) -> (Lwa, Tokens) {
        let lwa = Lwa { script: Arc::new(script), calls: Arc::default(), asked: Arc::default() };
        let app = Router::new().route("/auth/o2/token", post(answer)).with_state(lwa.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}/auth/o2/token", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (lwa, tokens(&base))
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn answer(State(lwa): State<Lwa>, body: String) -> (StatusCode, String) {
    let n = lwa.calls.fetch_add(1, Ordering::SeqCst);
    lwa.asked.lock().expect("not poisoned").push(body);
    let (status, body) = lwa.script.get(n).or(lwa.script.last()).expect("a script");
    let body = body.to_string().replace("SERIAL", &(n + 1).to_string());
    (StatusCode::from_u16(*status).expect("a status"), body)
}

fn tokens(url: &str) -> Tokens {
    let lwa_url = Url::parse(url).expect("a URL");
    let http = Client::new(&lwa_url, http::Options::default()).expect("a client");
    let credentials = Credentials {
        lwa_url,
        client_id: "client+id".to_owned(),
        client_secret: SecretString::from("hush&1"),
        grant: Grant::Seller(SecretString::from("Atzr|hush")),
    };
    Tokens::new(http, credentials)
}

fn grant(expires_in: u32) -> (u16, Value) {
    (200, json!({"access_token": "Atza|SERIAL", "token_type": "bearer", "expires_in": expires_in}))
}

fn text(token: &Token) -> &str {
    token.header.to_str().expect("text")
}

#[tokio::test]
async fn callers_share_one_request_and_its_token() {
    let (lwa, tokens) = Lwa::start(vec![grant(3600)]).await;
    let all = future::join_all((0..50).map(|_| tokens.get())).await;
    for token in all {
        assert_eq!(text(&token.expect("a token")), "Atza|1");
    }
    assert_eq!(lwa.calls(), 1);
    assert_eq!(
        lwa.asked.lock().expect("not poisoned").concat(),
        "grant_type=refresh_token&refresh_token=Atzr%7Chush&client_id=client%2Bid&client_secret=hush%261"
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let (lwa, tokens) = Lwa::start(vec![grant(3600), grant(10), grant(0)]).await;
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
    assert_eq!(lwa.calls(), 4);
}

#[tokio::test]
async fn a_refused_token_is_dropped_once_and_its_successor_is_kept() {
    let (lwa, tokens) = Lwa::start(vec![grant(3600)]).await;
    let old = tokens.get().await.expect("a token");
    tokens.refused(&old).await;
    let new = tokens.get().await.expect("a token");
    assert_eq!(text(&new), "Atza|2");
    tokens.refused(&old).await;
    assert_eq!(text(&tokens.get().await.expect("a token")), "Atza|2");
    assert_eq!(lwa.calls(), 2);
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_and_a_refusal_is_not() {
    let (lwa, tokens) = Lwa::start(vec![(503, json!({})), grant(3600)]).await;
    assert!(tokens.get().await.is_ok());
    assert_eq!(lwa.calls(), 2);

    let bad =
        (400, json!({"error": "invalid_grant", "error_description": "The request has an invalid grant"}));
    let (lwa, tokens) = Lwa::start(vec![bad, grant(3600)]).await;
    let all = future::join_all((0..5).map(|_| tokens.get())).await;
    for none in all {
        let none = none.expect_err("refused").to_string();
        assert!(none.contains("`refresh_token` is wrong"), "{none}");
        assert!(!none.contains("hush"));
    }
    assert_eq!(lwa.calls(), 1, "those who waited get the same refusal");
    assert!(tokens.get().await.is_ok(), "the next one asks again");
}

/// Status and body of a token endpoint, and the start of what a write is told.
#[track_caller]
fn check(status: u16, body: &Value, want: &str) {
    let answer = Answer { status, headers: Default::default(), body: body.to_string().into() };
    let outcome = granted(&answer).expect_err("no token").outcome();
    let told = format!("{outcome:?}");
    assert!(told.starts_with(want), "{told}");
}

#[test]
fn each_failure_says_what_to_change() {
    let error = |code: &str| json!({"error": code, "error_description": "d"});
    let refused = "Unauthorized { reason: \"the token endpoint answered `";
    check(400, &error("invalid_grant"), &format!("{refused}invalid_grant`: d; `refresh_token`"));
    check(401, &error("invalid_client"), &format!("{refused}invalid_client`: d; `client_id`"));
    check(400, &error("unauthorized_client"), &format!("{refused}unauthorized_client`: d; the app"));
    check(400, &error("invalid_scope"), &format!("{refused}invalid_scope`: d; check `lwa_url`"));
    check(404, &json!("nothing"), "Unauthorized { reason: \"the token endpoint answered 404");
    check(429, &json!({}), "Throttled { retry_after_ms: 30000 }");
    check(500, &json!({}), "NotSent { reason: \"no access token: status 500");
    check(200, &json!({"access_token": "a"}), "NotSent { reason: \"no access token: the answer holds no");
    check(
        200,
        &json!({"access_token": "a\n", "expires_in": 1}),
        "NotSent { reason: \"no access token: `access_token`",
    );
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
    let (_lwa, tokens) = Lwa::start(vec![grant(3600)]).await;
    let token = tokens.get().await.expect("a token");
    let text = format!("{tokens:?} {token:?}");
    assert!(!text.contains("hush") && !text.contains("Atza"), "{text}");
}
