//! A simulated Shopify shop: the GraphQL Admin API, the client credentials grant, and webhooks.
//!
//! It knows nothing of the other systems; what its orders mean for the shelf is told to the books by `people`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::faults::{Asked, System, holds};
use super::serve::{BODY_MAX, Manners};
use super::world::{Shared, World};

mod bulk;
mod graph;
mod ids;
mod inventory;
mod made;
mod mailer;
mod orders;
mod routes;
mod store;
mod webhooks;

pub(super) use ids::{Kind, location};
pub(super) use mailer::Mailer;
pub(super) use orders::{CancelReason, Refusal, Restock};
pub(super) use store::Store;
pub(super) use webhooks::Event;

/// The version of webhook bodies, and the newest one served.
pub(super) const LATEST: &str = "2026-10";
/// What is served as itself; an older version is served by the first of these.
const SUPPORTED: [&str; 3] = ["2026-04", "2026-07", LATEST];
/// A granted token lives a day, less a second.
const TOKEN_SECS: u64 = 86_399;

pub(super) const MANNERS: Manners = Manners { system: System::Shopify, refused, throttled, unfit, asked };

#[derive(Clone)]
struct Front {
    shared: Arc<Shared>,
    documents: Arc<graph::Documents>,
}

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    let front = Front { shared, documents: Arc::default() };
    Router::new()
        .route("/admin/api/{version}/graphql.json", post(graphql))
        .route("/admin/oauth/access_token", post(access_token))
        .route("/bulk/{number}/{signature}", get(bulk_file))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(front)
}

async fn graphql(
    State(front): State<Front>,
    Path(version): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(version) = served_version(&version) else {
        return (StatusCode::NOT_FOUND, axum::Json(json!({"errors": "Not Found"}))).into_response();
    };
    if !authorized(&front.shared, &headers) {
        let text = "[API] Invalid API key or access token (unrecognized login or wrong password)";
        return (StatusCode::UNAUTHORIZED, axum::Json(json!({"errors": text}))).into_response();
    }
    let Ok(ask) = serde_json::from_slice::<graph::Ask>(&body) else {
        let errors = json!({"errors": {"query": "Required parameter missing or invalid"}});
        return (StatusCode::BAD_REQUEST, axum::Json(errors)).into_response();
    };
    // A client that hangs up does not stop what it asked for.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let answer = tokio::spawn(async move { answer(&front, &host, ask).await }).await;
    let mut response = axum::Json(answer.unwrap_or_else(|_| internal_error())).into_response();
    response.headers_mut().insert("X-Shopify-API-Version", HeaderValue::from_static(version));
    response
}

async fn answer(front: &Front, host: &str, ask: graph::Ask) -> Value {
    let prepared = match front.documents.prepare(ask) {
        Ok(prepared) => prepared,
        Err(refused) => return refused,
    };
    let shared = &front.shared;
    let keys: Vec<String> = prepared.keys().into_values().collect();
    let started = shared.with(|world, _| world.shopify.keys.start(&keys));
    let seat = graph::Seat { options: &shared.options.shopify, host, concurrent: !started };
    if prepared.is_mutation() {
        let think = shared.with(|world, _| world.dice.within(shared.options.shopify.write_ms));
        if think > 0 {
            tokio::time::sleep(Duration::from_millis(think)).await;
        }
    }
    shared.with(|world, now_ms| {
        bulk::progress(&front.documents, world, &seat, now_ms);
        let answer = prepared.execute(world, &seat, now_ms);
        // What was begun reads its first rows at once.
        bulk::progress(&front.documents, world, &seat, now_ms);
        if started {
            world.shopify.keys.finish(&keys);
        }
        answer
    })
}

/// What a bulk operation wrote.
async fn bulk_file(
    State(front): State<Front>,
    Path((number, signature)): Path<(usize, String)>,
    headers: HeaderMap,
) -> Response {
    front.shared.with(|world, _| bulk::serve(world, number, &signature, &headers))
}

/// The version that answers: an older one than the first supported falls forward to it.
fn served_version(asked: &str) -> Option<&'static str> {
    if let Some(version) = SUPPORTED.iter().find(|version| **version == asked) {
        return Some(version);
    }
    let (year, month) = asked.split_once('-')?;
    let dated = year.len() == 4 && month.len() == 2 && [year, month].iter().all(|n| n.parse::<u32>().is_ok());
    (dated && asked < SUPPORTED[0]).then_some(SUPPORTED[0])
}

fn authorized(shared: &Shared, headers: &HeaderMap) -> bool {
    let token = headers.get("X-Shopify-Access-Token").and_then(|token| token.to_str().ok());
    token.is_some_and(|token| {
        token == shared.options.shopify.access_token
            || shared.with(|world, now_ms| world.shopify.grants(token, now_ms))
    })
}

/// The client credentials grant; the fields come as a form or as JSON.
async fn access_token(State(front): State<Front>, headers: HeaderMap, body: Bytes) -> Response {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let fields: BTreeMap<String, String> = if is_json {
        serde_json::from_slice(&body).unwrap_or_default()
    } else {
        url::form_urlencoded::parse(&body).into_owned().collect()
    };
    let options = &front.shared.options.shopify;
    let field = |name: &str| fields.get(name).map(String::as_str);
    if field("grant_type") != Some("client_credentials") {
        return oauth_error("unsupported_grant_type", "The grant type is not supported");
    }
    let known = field("client_id") == Some(options.client_id.as_str())
        && field("client_secret") == Some(options.client_secret.as_str());
    if !known {
        return oauth_error("application_cannot_be_found", "The client id or secret is wrong");
    }
    let token = front.shared.with(|world, now_ms| world.shopify.grant(now_ms, TOKEN_SECS, &mut world.dice));
    let answer = json!({
        "access_token": token,
        "scope": "read_products,write_inventory,read_locations,read_orders,read_fulfillments",
        "expires_in": TOKEN_SECS,
    });
    axum::Json(answer).into_response()
}

fn oauth_error(error: &str, description: &str) -> Response {
    let body = json!({"error": error, "error_description": description});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

fn internal_error() -> Value {
    json!({"errors": [{
        "message": "Internal error. Looks like something went wrong on our end.",
        "extensions": {"code": "INTERNAL_SERVER_ERROR"},
    }]})
}

fn refused() -> Response {
    let page = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>";
    (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "text/html")], Body::from(page)).into_response()
}

/// Status 200 and nothing done, as the API answers variables that it does not take.
fn unfit() -> Response {
    let message = "Variable $input was provided an invalid value";
    let error = json!({"message": message, "extensions": {"code": "INVALID_VARIABLE"}});
    axum::Json(json!({"errors": [error]})).into_response()
}

fn asked(_: &World, sku: usize, _: &Parts, body: &[u8]) -> Asked {
    let Ok(ask) = serde_json::from_slice::<graph::Ask>(body) else {
        return Asked { writes: false, named: false };
    };
    let gid = ids::Kind::InventoryItem.gid(sku as u64);
    let named = ask.variables.is_some_and(|all| holds(&all, &|_, one| one.as_str() == Some(gid.as_str())));
    Asked { writes: ask.query.trim_start().starts_with("mutation"), named }
}

/// Status 200, as the API answers it.
fn throttled() -> Response {
    let mut response = axum::Json(graph::throttled_answer()).into_response();
    response.headers_mut().insert("X-Shopify-API-Version", HeaderValue::from_static(LATEST));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_gone_falls_forward_and_an_unknown_one_is_not_found() {
        let check = |asked, expected: Option<&str>| assert_eq!(served_version(asked), expected, "{asked}");
        check("2026-10", Some("2026-10"));
        check("2026-07", Some("2026-07"));
        check("2024-01", Some("2026-04"));
        check("2099-01", None);
        check("unstable", None);
        check("latest", None);
    }
}
