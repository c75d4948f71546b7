//! A simulated ERP that speaks the REST dialect of Tryton 8: generic records over
//! `/<database>/rest/model/<model>[/<id>[/<button>]]`, a bearer key, and the workflows of sales, shipments, returns,
//! write-offs and counts.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::books::{Cause, Channel};
use super::faults::{Asked, System, holds};
use super::options::ErpOptions;
use super::serve::{BODY_MAX, Manners};
use super::world::{Shared, World};

mod buttons;
mod counts;
mod db;
mod domain;
mod read;
mod sales;
mod schema;
mod seed;
mod shipments;
mod staff;
mod write;

pub(super) use db::{Database, Levels};
use read::{Paths, Scope};
use schema::Model;

pub(super) const MANNERS: Manners = Manners { system: System::Erp, refused, throttled, unfit, asked };

/// What a client needs to be told to find its way; the ids of a fresh company.
pub(super) fn facts(places: usize) -> Value {
    json!({
        "company": seed::COMPANY, "currency": seed::CURRENCY, "warehouse": seed::WAREHOUSE, "storage": seed::STORAGE,
        "lost_found": seed::LOST_FOUND, "customer": seed::CUSTOMER, "customer_code": "2", "address": seed::ADDRESS,
        "unit": seed::UNIT, "warehouse_code": "WH",
        "warehouse_codes": (0..places).map(seed::warehouse_code).collect::<Vec<_>>(),
    })
}

/// Why a request is not served.
#[derive(Debug)]
enum Failure {
    Unauthorized,
    NotFound,
    Forbidden,
    BadRequest,
    /// What a user is told; nothing was done.
    User {
        message: String,
        description: String,
    },
    /// A Python error.
    Internal(String),
}

impl Failure {
    fn user(message: String) -> Failure {
        Failure::User { message, description: String::new() }
    }

    fn text(&self) -> String {
        match self {
            Failure::Unauthorized => "unauthorized".into(),
            Failure::NotFound => "not found".into(),
            Failure::Forbidden => "forbidden".into(),
            Failure::BadRequest => "bad request".into(),
            Failure::User { message, .. } | Failure::Internal(message) => message.clone(),
        }
    }

    fn answer(self) -> Response {
        let page = |status: StatusCode, text: &str| {
            let reason = status.canonical_reason().unwrap_or("");
            let body = format!(
                "<!doctype html>\n<html lang=en>\n<title>{} {reason}</title>\n<h1>{reason}</h1>\n<p>{text}</p>\n",
                status.as_u16()
            );
            (status, Html(body)).into_response()
        };
        match self {
            Failure::Unauthorized => page(StatusCode::UNAUTHORIZED, "The server could not verify the key."),
            Failure::NotFound => page(StatusCode::NOT_FOUND, "The requested URL was not found."),
            Failure::Forbidden => page(StatusCode::FORBIDDEN, "You don't have the permission."),
            Failure::BadRequest => page(StatusCode::BAD_REQUEST, "Unable to read JSON request"),
            Failure::Internal(text) => page(StatusCode::INTERNAL_SERVER_ERROR, &text),
            Failure::User { message, description } => {
                let body = json!({"status": 400, "message": message, "description": description});
                (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
            }
        }
    }
}

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/rpc/", axum::routing::post(version))
        .fallback(call)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

/// `common.server.version`, which needs no key.
async fn version(body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if asked["method"] == "common.server.version" {
        axum::Json(json!("8.2")).into_response()
    } else {
        Failure::Forbidden.answer()
    }
}

/// One request, taken apart.
struct Request {
    model: &'static Model,
    id: Option<i64>,
    action: Option<String>,
    query: Vec<(String, String)>,
    scope: Scope,
    is_json: bool,
    body: Bytes,
}

impl Request {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn paths(&self) -> Paths {
        let fields: Vec<String> =
            self.query.iter().filter(|(name, _)| name == "f").map(|(_, field)| field.clone()).collect();
        Paths::read(&fields)
    }

    fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|_| Failure::BadRequest)
    }

    fn packed(&self, name: &str) -> Result<Option<Value>, Failure> {
        self.query(name).map(unpack).transpose()
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Failure> {
        let bad = || Failure::Internal(format!("'{name}' is not a number"));
        self.query(name).map(|text| text.parse().map_err(|_| bad())).transpose()
    }
}

fn unpack(text: &str) -> Result<Value, Failure> {
    let bad = || Failure::Internal("Incorrect padding, or no JSON".into());
    serde_json::from_slice(&URL_SAFE.decode(text).map_err(|_| bad())?).map_err(|_| bad())
}

async fn call(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // A client that hangs up does not stop what it asked for.
    let served = tokio::spawn(async move {
        let options = &shared.options.erp;
        let request = read_request(options, &method, &uri, &headers, body)?;
        shared.with(|world, now_ms| {
            let answer = serve(&mut world.erp, &method, request, now_ms);
            show_moved(world, now_ms);
            answer
        })
    })
    .await;
    let mut response = match served {
        Ok(Ok(Some(answer))) => axum::Json(answer).into_response(),
        Ok(Ok(None)) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(failure)) => failure.answer(),
        Err(_) => Failure::Internal("the worker died".into()).answer(),
    };
    // The built-in server closes after every answer.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    response
}

/// Tells the books what the ERP shows now of the products that moved.
pub(super) fn show_moved(world: &mut World, now_ms: i64) {
    for sku in world.erp.take_moved() {
        world.show(Channel::Erp, sku, Cause::Write, now_ms);
    }
}

fn read_request(
    options: &ErpOptions,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Request, Failure> {
    let parts: Option<Vec<String>> = uri
        .path()
        .split('/')
        .skip(1)
        .map(|part| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned))
        .collect();
    let parts = parts.ok_or(Failure::NotFound)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (database, name, id, action) = match parts.as_slice() {
        [database, "rest", "model", name] => (database, name, None, None),
        [database, "rest", "model", name, last] => match last.parse::<i64>() {
            Ok(id) => (database, name, Some(id), None),
            Err(_) if method == Method::POST => (database, name, None, Some((*last).to_owned())),
            Err(_) => return Err(Failure::NotFound),
        },
        [database, "rest", "model", name, id, action] if method == Method::POST => {
            let id = id.parse::<i64>().map_err(|_| Failure::NotFound)?;
            (database, name, Some(id), Some((*action).to_owned()))
        }
        _ => return Err(Failure::NotFound),
    };
    if **database != *options.database {
        return Err(Failure::NotFound);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("authorization").and_then(|value| value.split_once(' '));
    if !key.is_some_and(|(kind, key)| kind.eq_ignore_ascii_case("bearer") && key == options.key) {
        return Err(Failure::Unauthorized);
    }
    let context = text("x-tryton-context").map(unpack).transpose()?.unwrap_or(Value::Null);
    let query = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()).into_owned().collect();
    let model = schema::model(name).ok_or_else(|| Failure::Internal(format!("'{name}'")))?;
    let is_json = text("content-type").is_some_and(|kind| kind.contains("json"));
    Ok(Request { model, id, action, query, scope: Scope::read(&context), is_json, body })
}

/// `None` is an answer without content.
fn serve(
    db: &mut Database,
    method: &Method,
    request: Request,
    now_ms: i64,
) -> Result<Option<Value>, Failure> {
    let model = request.model;
    if request.id.is_some_and(|id| db.row(model.name, id).is_none()) {
        return Err(Failure::NotFound);
    }
    match (method.as_str(), request.id, request.action.as_deref()) {
        ("GET", None, None) => list(db, &request).map(Some),
        ("GET", Some(id), None) => {
            let shown = db.show(model.name, id, &request.paths(), &request.scope);
            // Whatever may not be read is not found, when it is read by its id.
            shown.map(Some).map_err(|failure| {
                if matches!(failure, Failure::User { .. }) { Failure::NotFound } else { failure }
            })
        }
        ("POST", None, None) if !request.is_json => {
            Err(Failure::Internal("a byte string is no record".into()))
        }
        ("POST", None, None) => {
            let values = request.json()?;
            db.transaction(now_ms, |db| {
                let id = db.create(model, &values, Map::new())?;
                db.show(model.name, id, &request.paths(), &request.scope).map(Some)
            })
        }
        ("PUT", Some(id), None) => {
            let values = request.json()?;
            db.transaction(now_ms, |db| {
                db.modify(model, id, &values)?;
                db.show(model.name, id, &request.paths(), &request.scope).map(Some)
            })
        }
        ("DELETE", Some(id), None) => db.transaction(now_ms, |db| db.remove(model, id).map(|()| None)),
        ("POST", Some(id), Some(button)) => {
            request.json()?;
            db.transaction(now_ms, |db| {
                buttons::press(db, model, id, button)?;
                db.show(model.name, id, &request.paths(), &request.scope).map(Some)
            })
        }
        ("POST", None, Some("get_preferences")) if model.name == "res.user" => Ok(Some(seed::preferences())),
        ("POST", None, Some(_)) => Err(Failure::Forbidden),
        (_, _, _) => Err(Failure::NotFound),
    }
}

fn list(db: &Database, request: &Request) -> Result<Value, Failure> {
    let domain = request.packed("d")?.unwrap_or_else(|| json!([]));
    let order = request.packed("o")?;
    let offset = request.number("p")?.unwrap_or(0);
    let size = request.number("s")?.unwrap_or(usize::MAX);
    let paths = request.paths();
    let found = db.search(request.model.name, &domain, order.as_ref(), &request.scope)?;
    let page = found.into_iter().skip(offset).take(size);
    let shown: Result<Vec<Value>, Failure> =
        page.map(|id| db.show(request.model.name, id, &paths, &request.scope)).collect();
    Ok(Value::Array(shown?))
}

fn refused() -> Response {
    Failure::Internal("The server encountered an internal error.".into()).answer()
}

fn unfit() -> Response {
    Failure::user("The value is not valid.".to_owned()).answer()
}

/// A document names a product by its id.
fn asked(_: &World, sku: usize, head: &Parts, body: &[u8]) -> Asked {
    let product = seed::product_id(sku);
    let is = |name: Option<&str>, one: &Value| name == Some("product") && one.as_i64() == Some(product);
    let named = serde_json::from_slice(body).is_ok_and(|json: Value| holds(&json, &is));
    Asked { writes: head.method != Method::GET, named }
}

fn throttled() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Html("<!doctype html>\n<title>503 Service Unavailable</title>\n"))
        .into_response()
}
