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

mod app;
mod bulk;
mod graph;
mod ids;
mod inventory;
mod made;
mod mailer;
mod orders;
mod points;
mod routes;
mod store;
mod webhooks;

pub(super) use app::{install, rescope, serve, uninstall};
pub(super) use ids::{Kind, location};
pub(super) use mailer::Mailer;
use points::Client;

pub(super) use orders::{CancelReason, Refusal, Restock};
pub(super) use store::Store;
pub(super) use webhooks::Event;

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
    let (served, deprecated) = front
        .shared
        .with(|world, _| (world.shopify.app.served(&version), world.shopify.app.deprecated.clone()));
    let Some(version) = served else {
        return (StatusCode::NOT_FOUND, axum::Json(json!({"errors": "Not Found"}))).into_response();
    };
    let Some(client) = client(&front.shared, &headers) else {
        let text = "[API] Invalid API key or access token (unrecognized login or wrong password)";
        return (StatusCode::UNAUTHORIZED, axum::Json(json!({"errors": text}))).into_response();
    };
    let Ok(ask) = serde_json::from_slice::<graph::Ask>(&body) else {
        let errors = json!({"errors": {"query": "Required parameter missing or invalid"}});
        return (StatusCode::BAD_REQUEST, axum::Json(errors)).into_response();
    };
    // A client that hangs up does not stop what it asked for.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let answer = tokio::spawn(async move { answer(&front, &host, client, ask).await }).await;
    let mut response = axum::Json(answer.unwrap_or_else(|_| internal_error())).into_response();
    let mut tell = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name, value);
        }
    };
    tell("x-shopify-api-version", &version);
    deprecated.iter().for_each(|reason| tell("x-shopify-api-deprecated-reason", reason));
    response
}

async fn answer(front: &Front, host: &str, client: Client, ask: graph::Ask) -> Value {
    let prepared = match front.documents.prepare(ask) {
        Ok(prepared) => prepared,
        Err(refused) => return refused,
    };
    let shared = &front.shared;
    let keys: Vec<String> = prepared.keys().into_values().collect();
    let started = shared.with(|world, _| world.shopify.keys.start(&keys));
    let seat = graph::Seat { options: &shared.options.shopify, host, client, concurrent: !started };
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

/// Tells which app a token is of. `None`: of none.
fn client(shared: &Shared, headers: &HeaderMap) -> Option<Client> {
    let token = headers.get("X-Shopify-Access-Token")?.to_str().ok()?;
    let options = &shared.options.shopify;
    if token == options.other_access_token {
        return Some(Client::Other);
    }
    let own = shared.with(|world, now_ms| {
        let fixed = token == options.access_token && world.shopify.app.installed;
        fixed || world.shopify.grants(token, now_ms)
    });
    own.then_some(Client::Own)
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
    let secs = options.token_secs;
    let granted = front.shared.with(|world, now_ms| {
        let (installed, scopes) = (world.shopify.app.installed, world.shopify.app.scopes.join(","));
        installed.then(|| (world.shopify.grant(now_ms, secs, &mut world.dice), scopes))
    });
    let Some((token, scopes)) = granted else {
        return oauth_error("app_not_installed", "The application is not installed on this shop");
    };
    let answer = json!({"access_token": token, "scope": scopes, "expires_in": secs});
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
    response.headers_mut().insert("X-Shopify-API-Version", HeaderValue::from_static(app::LATEST));
    response
}
