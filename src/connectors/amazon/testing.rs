//! What the tests of this connector share: good options, the published descriptions, hostile bodies, a fake API.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::{
    Amazon,
    options::{APPLICATION, Options, PRODUCT_TYPE, REPORT_ABOVE, Rates, Timing},
};
use crate::{
    connectors::{http, limit::Rate, specs},
    model::LocationId,
};

/// Options that are good, for a server at `base`.
pub(super) fn options(base: &str) -> Options {
    let base_url = Url::parse(base).expect("a URL");
    Options {
        lwa_url: base_url.join("/auth/o2/token").expect("a path"),
        base_url,
        seller_id: "A1SELLER".to_owned(),
        marketplace_ids: vec!["ATVPDKIKX0DER".to_owned()],
        client_id: "amzn1.application-oa2-client.x".to_owned(),
        client_secret: SecretString::from("client-secret"),
        refresh_token: SecretString::from("Atzr|refresh"),
        location: LocationId::new("main").expect("a name"),
        own_location: None,
        product_type: PRODUCT_TYPE.to_owned(),
        report_above: REPORT_ABOVE,
        feeds: false,
        application: APPLICATION.to_owned(),
        rates: Rates::default(),
        timing: Timing::default(),
        secret_since: None,
        queue: None,
        http: http::Options::default(),
    }
}

/// Reads one of the published API descriptions, if they are at hand.
pub(super) fn spec(name: &str) -> Option<Value> {
    specs::json(&format!("amazon/{name}"))
}

/// Bodies that look like Amazon's and are not.
pub(super) fn hostile() -> impl Strategy<Value = String> {
    const KEYS: [&str; 28] = [
        "orders",
        "order",
        "orderId",
        "createdTime",
        "lastUpdatedTime",
        "lastUpdatedBefore",
        "fulfillment",
        "fulfillmentStatus",
        "fulfilledBy",
        "orderItems",
        "orderItemId",
        "quantityOrdered",
        "product",
        "sellerSku",
        "quantityFulfilled",
        "quantityUnfulfilled",
        "pagination",
        "nextToken",
        "items",
        "numberOfResults",
        "sku",
        "summaries",
        "attributes",
        "fulfillmentAvailability",
        "fulfillmentChannelCode",
        "quantity",
        "errors",
        "status",
    ];
    const WORDS: [&str; 9] = [
        "ACCEPTED",
        "INVALID",
        "PENDING",
        "SHIPPED",
        "MERCHANT",
        "DEFAULT",
        "AMAZON_NA",
        "",
        "2024-12-25T02:30:00Z",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        (0i64..5).prop_map(Value::from),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(&KEYS[..]), inner, 0..8)
                .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    });
    prop_oneof![1 => ".{0,80}", 4 => tree.prop_map(|v| v.to_string())]
}

type Answerer = dyn Fn(&str, &str) -> (u16, Value) + Send + Sync;

/// A Selling Partner API that answers as a test says, with a token endpoint. It keeps the requests (`METHOD path?query`)
/// that came with a valid token.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) base: Arc<str>,
    answer: Arc<Answerer>,
    seen: Arc<Mutex<Vec<String>>>,
    /// How many tokens were given out.
    pub(super) tokens: Arc<Mutex<u32>>,
    /// Tokens up to this one are refused.
    pub(super) refused: Arc<Mutex<u32>>,
}

impl Fake {
    /// Starts it. `answer` is given the request and its body.
    pub(super) async fn start(
        answer: impl Fn(&str, &str) -> (u16, Value) + Send + Sync + 'static,
    ) -> (Fake, Amazon) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let fake = Fake {
            base: Arc::from(base.as_str()),
            answer: Arc::new(answer),
            seen: Arc::default(),
            tokens: Arc::default(),
            refused: Arc::default(),
        };
        let app = Router::new().fallback(serve).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (fake, Amazon::new(quick(&base)).expect("good options"))
    }

    /// Returns the requests since the last call.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("not poisoned"))
    }
}

/// The status of an answer that never comes.
pub(super) const HANGS: u16 = 0;

/// Options without pauses between calls.
pub(super) fn quick(base: &str) -> Options {
    let rate = Rate { every: Duration::from_micros(1), burst: NonZeroU32::new(100).expect("not zero") };
    let rates = Rates {
        patch_listing: rate,
        get_listing: rate,
        search_listings: rate,
        search_orders: rate,
        get_order: rate,
        summaries: rate,
    };
    Options { rates, ..options(base) }
}

async fn serve(
    State(fake): State<Fake>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let (status, body) = if uri.path() == "/auth/o2/token" {
        let mut tokens = fake.tokens.lock().expect("not poisoned");
        *tokens += 1;
        (200, json!({"access_token": tokens.to_string(), "expires_in": 3600}))
    } else {
        let token: u32 = headers["x-amz-access-token"].to_str().expect("text").parse().expect("ours");
        let agent = headers["user-agent"].to_str().expect("text");
        assert!(agent.contains("(Language=Rust/"), "{agent}");
        if token <= *fake.refused.lock().expect("not poisoned") {
            (403, denied("The access token you provided has expired."))
        } else {
            let request = format!("{method} {uri}");
            let answer = (fake.answer)(&request, &String::from_utf8_lossy(&body));
            fake.seen.lock().expect("not poisoned").push(request);
            if answer.0 == HANGS {
                std::future::pending::<()>().await;
            }
            answer
        }
    };
    (StatusCode::from_u16(status).expect("a status"), body.to_string())
}

/// Returns the body that Amazon refuses access with.
pub(super) fn denied(details: &str) -> Value {
    let message = "Access to requested resource is denied.";
    json!({"errors": [{"code": "Unauthorized", "message": message, "details": details}]})
}
