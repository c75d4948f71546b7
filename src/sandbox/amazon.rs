//! A simulated Amazon marketplace: Login with Amazon, Orders 2026-01-01, Listings Items 2021-08-01, FBA summaries, Reports and Feeds
//! 2021-06-30, with the documented usage plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::faults::{Asked, System};
use super::options::AmazonOptions;
use super::serve::{BODY_MAX, Manners};
use super::world::{Shared, World, signed};

mod documents;
mod fba;
mod feeds;
mod limits;
mod listings;
mod notifications;
mod orders;
mod reports;
mod store;

pub(super) use feeds::work;
use limits::Operation;
pub(super) use listings::land;
pub(super) use store::Store;

pub(super) const MANNERS: Manners = Manners { system: System::Amazon, refused, throttled, unfit, asked };

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/auth/o2/token", axum::routing::post(token))
        .route("/report-documents/{number}", axum::routing::get(report_document))
        .route("/feed-documents/{number}", axum::routing::get(feed_document).put(feed_document))
        .fallback(call)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

/// A call that did not succeed.
struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: String,
}

impl Failure {
    fn invalid(details: &str) -> Failure {
        let (code, message) = ("InvalidInput", "Invalid Input".to_owned());
        Failure { status: StatusCode::BAD_REQUEST, code, message, details: details.to_owned() }
    }

    fn not_found(message: &str) -> Failure {
        let (code, message) = ("NOT_FOUND", message.to_owned());
        Failure { status: StatusCode::NOT_FOUND, code, message, details: String::new() }
    }

    fn conflict(message: &str) -> Failure {
        let (code, message) = ("Conflict", message.to_owned());
        Failure { status: StatusCode::CONFLICT, code, message, details: String::new() }
    }

    fn denied(details: &str) -> Failure {
        let (code, message) = ("Unauthorized", "Access to requested resource is denied.".to_owned());
        Failure { status: StatusCode::FORBIDDEN, code, message, details: details.to_owned() }
    }

    fn throttled() -> Failure {
        let (code, message) =
            ("QuotaExceeded", "You exceeded your quota for the requested resource.".to_owned());
        Failure { status: StatusCode::TOO_MANY_REQUESTS, code, message, details: String::new() }
    }

    fn answer(self) -> Response {
        let error = json!({"code": self.code, "message": self.message, "details": self.details});
        (self.status, axum::Json(json!({"errors": [error]}))).into_response()
    }
}

/// The query of a request; lists are comma-joined, or repeated.
struct Params(Vec<(String, String)>);

impl Params {
    fn read(query: &str) -> Params {
        Params(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn csv(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(own, _)| own == name);
        let parts = values.flat_map(|(_, value)| value.split(','));
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// All other parameters as one text.
    fn without(&self, name: &str) -> String {
        let rest: Vec<String> = self
            .0
            .iter()
            .filter(|(own, _)| own != name)
            .map(|(own, value)| format!("{own}={value}"))
            .collect();
        rest.join("&")
    }
}

/// What a path and method ask for.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    SearchOrders,
    GetOrder(String),
    PatchItem { seller: String, sku: String },
    GetItem { seller: String, sku: String },
    SearchItems { seller: String },
    FbaSummaries,
    Destinations,
    CreateDestination,
    GetSubscription(String),
    Subscribe(String),
    CreateReport,
    GetReports,
    GetReport(String),
    CancelReport(String),
    GetReportDocument(String),
    CreateFeedDocument,
    CreateFeed,
    GetFeeds,
    GetFeed(String),
    CancelFeed(String),
    GetFeedDocument(String),
}

impl Route {
    /// Splits the path before decoding it, so `%2F` stays inside a SKU and a bare slash does not.
    fn read(method: &Method, path: &str) -> Option<Route> {
        let parts: Option<Vec<String>> = path
            .strip_prefix('/')?
            .split('/')
            .map(|part| Some(percent_decode_str(part).decode_utf8().ok()?.into_owned()))
            .collect();
        let parts = parts?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(match (method.as_str(), parts.as_slice()) {
            ("GET", ["orders", "2026-01-01", "orders"]) => Route::SearchOrders,
            ("GET", ["orders", "2026-01-01", "orders", id]) => Route::GetOrder((*id).to_owned()),
            ("PATCH", ["listings", "2021-08-01", "items", seller, sku]) => {
                Route::PatchItem { seller: (*seller).to_owned(), sku: (*sku).to_owned() }
            }
            ("GET", ["listings", "2021-08-01", "items", seller, sku]) => {
                Route::GetItem { seller: (*seller).to_owned(), sku: (*sku).to_owned() }
            }
            ("GET", ["listings", "2021-08-01", "items", seller]) => {
                Route::SearchItems { seller: (*seller).to_owned() }
            }
            ("GET", ["notifications", "v1", "destinations"]) => Route::Destinations,
            ("POST", ["notifications", "v1", "destinations"]) => Route::CreateDestination,
            ("GET", ["notifications", "v1", "subscriptions", kind]) => {
                Route::GetSubscription((*kind).to_owned())
            }
            ("POST", ["notifications", "v1", "subscriptions", kind]) => Route::Subscribe((*kind).to_owned()),
            ("GET", ["fba", "inventory", "v1", "summaries"]) => Route::FbaSummaries,
            ("POST", ["reports", "2021-06-30", "reports"]) => Route::CreateReport,
            ("GET", ["reports", "2021-06-30", "reports"]) => Route::GetReports,
            ("GET", ["reports", "2021-06-30", "reports", id]) => Route::GetReport((*id).to_owned()),
            ("DELETE", ["reports", "2021-06-30", "reports", id]) => Route::CancelReport((*id).to_owned()),
            ("GET", ["reports", "2021-06-30", "documents", id]) => Route::GetReportDocument((*id).to_owned()),
            ("POST", ["feeds", "2021-06-30", "documents"]) => Route::CreateFeedDocument,
            ("POST", ["feeds", "2021-06-30", "feeds"]) => Route::CreateFeed,
            ("GET", ["feeds", "2021-06-30", "feeds"]) => Route::GetFeeds,
            ("GET", ["feeds", "2021-06-30", "feeds", id]) => Route::GetFeed((*id).to_owned()),
            ("DELETE", ["feeds", "2021-06-30", "feeds", id]) => Route::CancelFeed((*id).to_owned()),
            ("GET", ["feeds", "2021-06-30", "documents", id]) => Route::GetFeedDocument((*id).to_owned()),
            _ => return None,
        })
    }

    fn operation(&self) -> Operation {
        match self {
            Route::SearchOrders => Operation::SearchOrders,
            Route::GetOrder(_) => Operation::GetOrder,
            Route::PatchItem { .. } => Operation::PatchListingsItem,
            Route::GetItem { .. } => Operation::GetListingsItem,
            Route::SearchItems { .. } => Operation::SearchListingsItems,
            Route::FbaSummaries => Operation::GetInventorySummaries,
            Route::Destinations => Operation::GetDestinations,
            Route::CreateDestination => Operation::CreateDestination,
            Route::GetSubscription(_) => Operation::GetSubscription,
            Route::Subscribe(_) => Operation::CreateSubscription,
            Route::CreateReport => Operation::CreateReport,
            Route::GetReports => Operation::GetReports,
            Route::GetReport(_) => Operation::GetReport,
            Route::CancelReport(_) => Operation::CancelReport,
            Route::GetReportDocument(_) => Operation::GetReportDocument,
            Route::CreateFeedDocument => Operation::CreateFeedDocument,
            Route::CreateFeed => Operation::CreateFeed,
            Route::GetFeeds => Operation::GetFeeds,
            Route::GetFeed(_) => Operation::GetFeed,
            Route::CancelFeed(_) => Operation::CancelFeed,
            Route::GetFeedDocument(_) => Operation::GetFeedDocument,
        }
    }

    fn seller(&self) -> Option<&str> {
        match self {
            Route::PatchItem { seller, .. }
            | Route::GetItem { seller, .. }
            | Route::SearchItems { seller } => Some(seller),
            Route::SearchOrders
            | Route::GetOrder(_)
            | Route::FbaSummaries
            | Route::Destinations
            | Route::CreateDestination
            | Route::GetSubscription(_)
            | Route::Subscribe(_)
            | Route::CreateReport
            | Route::GetReports
            | Route::GetReport(_)
            | Route::CancelReport(_)
            | Route::GetReportDocument(_)
            | Route::CreateFeedDocument
            | Route::CreateFeed
            | Route::GetFeeds
            | Route::GetFeed(_)
            | Route::CancelFeed(_)
            | Route::GetFeedDocument(_) => None,
        }
    }

    /// Operations that no seller grants.
    fn is_grantless(&self) -> bool {
        matches!(self, Route::Destinations | Route::CreateDestination)
    }
}

async fn call(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let options = &shared.options.amazon;
    let route = Route::read(&method, uri.path());
    let mut response = shared.with(|world, now_ms| {
        // The gateway answers an unknown path as it answers a missing role.
        let Some(route) = route else { return Failure::denied("").answer() };
        let operation = route.operation();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let asked = (uri.query().unwrap_or(""), host, body.as_ref());
        let served = admit(world, options, &route, &headers, now_ms)
            .and_then(|()| serve(world, options, route, asked, now_ms));
        match served {
            Ok(answer) => {
                let mut response = axum::Json(answer).into_response();
                if matches!(operation, Operation::CreateReport | Operation::CreateFeed) {
                    *response.status_mut() = StatusCode::ACCEPTED;
                } else if operation == Operation::CreateFeedDocument {
                    *response.status_mut() = StatusCode::CREATED;
                }
                let rate = (operation.plan().0 * options.rate_scale).to_string();
                let rate = HeaderValue::from_str(&rate).expect("a number is a header value");
                response.headers_mut().insert("x-amzn-RateLimit-Limit", rate);
                response
            }
            Err(failure) => failure.answer(),
        }
    });
    let request_id = shared.with(|world, _| world.dice.uuid());
    let request_id = HeaderValue::from_str(&request_id).expect("a UUID is a header value");
    response.headers_mut().insert("x-amzn-RequestId", request_id);
    response
}

fn unfit() -> Response {
    Failure::invalid("the request is not valid").answer()
}

fn asked(world: &World, sku: usize, head: &Parts, _: &[u8]) -> Asked {
    let own = &world.catalogue.skus[sku].seller_sku;
    let (writes, named) = match Route::read(&head.method, head.uri.path()) {
        Some(Route::PatchItem { sku, .. }) => (true, sku == *own),
        Some(Route::GetItem { sku, .. }) => (false, sku == *own),
        Some(Route::SearchItems { .. }) => {
            let params = Params::read(head.uri.query().unwrap_or_default());
            (false, params.csv("identifiers").contains(own))
        }
        Some(
            Route::SearchOrders
            | Route::GetOrder(_)
            | Route::FbaSummaries
            | Route::Destinations
            | Route::CreateDestination
            | Route::GetSubscription(_)
            | Route::Subscribe(_)
            | Route::CreateReport
            | Route::GetReports
            | Route::GetReport(_)
            | Route::CancelReport(_)
            | Route::GetReportDocument(_)
            | Route::CreateFeedDocument
            | Route::CreateFeed
            | Route::GetFeeds
            | Route::GetFeed(_)
            | Route::CancelFeed(_)
            | Route::GetFeedDocument(_),
        )
        | None => (false, false),
    };
    Asked { writes, named }
}

/// Checks the caller and the usage plan.
fn admit(
    world: &mut World,
    options: &AmazonOptions,
    route: &Route,
    headers: &HeaderMap,
    now_ms: i64,
) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let agent = text("user-agent").unwrap_or_default();
    if agent.is_empty() || agent.len() > 500 {
        return Err(Failure::invalid("a User-Agent header of at most 500 characters is required"));
    }
    let Some(token) = text("x-amz-access-token") else {
        return Err(Failure::denied("Access token is missing in the request header."));
    };
    match world.amazon.tokens.get(token) {
        None => {
            return Err(Failure::denied("The access token you provided is revoked, malformed or invalid."));
        }
        Some(token) if token.ends_ms <= now_ms => {
            return Err(Failure::denied("The access token you provided has expired."));
        }
        Some(token) if token.grantless != route.is_grantless() => return Err(Failure::denied("")),
        Some(_) => {}
    }
    if route.seller().is_some_and(|seller| seller != options.seller_id) {
        return Err(Failure::denied(""));
    }
    if world.amazon.admit(route.operation(), now_ms) { Ok(()) } else { Err(Failure::throttled()) }
}

fn serve(
    world: &mut World,
    options: &AmazonOptions,
    route: Route,
    (query, host, body): (&str, &str, &[u8]),
    now_ms: i64,
) -> Result<Value, Failure> {
    let params = Params::read(query);
    match route {
        Route::SearchOrders => orders::search(world, &params, signed(options.order_lag_ms), now_ms),
        Route::GetOrder(id) => orders::get(world, &id, &params),
        Route::PatchItem { sku, .. } => listings::patch(world, options, &sku, &params, body, now_ms),
        Route::GetItem { sku, .. } => listings::get(world, &sku, &params),
        Route::SearchItems { .. } => listings::search(world, &params),
        Route::FbaSummaries => fba::summaries(world, &params, now_ms),
        Route::Destinations => Ok(world.amazon.subscriptions.destinations()),
        Route::CreateDestination => world.amazon.subscriptions.create_destination(body, &mut world.dice),
        Route::GetSubscription(kind) => world.amazon.subscriptions.subscription(&kind),
        Route::Subscribe(kind) => world.amazon.subscriptions.subscribe(&kind, body, &mut world.dice),
        Route::CreateReport => reports::create(world, options, body, now_ms),
        Route::GetReports => reports::list(&world.amazon, &params, now_ms),
        Route::GetReport(id) => reports::get(&world.amazon, &id, now_ms),
        Route::CancelReport(id) => reports::cancel(&mut world.amazon, &id, now_ms),
        Route::GetReportDocument(id) => reports::document(world, options, &id, host, now_ms),
        Route::CreateFeedDocument => feeds::create_document(world, body, host, now_ms),
        Route::CreateFeed => feeds::create(world, options, body, now_ms),
        Route::GetFeeds => feeds::list(&world.amazon, &params),
        Route::GetFeed(id) => feeds::get(&world.amazon, &id),
        Route::CancelFeed(id) => feeds::cancel(&mut world.amazon, &id, now_ms),
        Route::GetFeedDocument(id) => feeds::document(world, &id, host, now_ms),
    }
}

/// What a feed holds, or what became of it.
async fn feed_document(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<usize>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (query, upload) = (uri.query().unwrap_or_default(), (method == Method::PUT).then_some(body));
    shared.with(|world, now_ms| {
        feeds::store_or_serve(&mut world.amazon, number, query, &headers, upload, now_ms)
    })
}

/// What a report holds.
async fn report_document(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<usize>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let (options, query) = (&shared.options.amazon, uri.query().unwrap_or_default());
    shared.with(|world, now_ms| reports::serve(&world.amazon, options, number, query, &headers, now_ms))
}

/// Login with Amazon; the fields come as a form or as JSON.
async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let fields: BTreeMap<String, String> = if is_json {
        serde_json::from_slice(&body).unwrap_or_default()
    } else {
        url::form_urlencoded::parse(&body).into_owned().collect()
    };
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let options = &shared.options.amazon;
    if field("client_id") != options.client_id || field("client_secret") != options.client_secret {
        return oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed");
    }
    let grantless = match field("grant_type") {
        "refresh_token" if field("refresh_token") == options.refresh_token => false,
        "refresh_token" => {
            let text = "The request has an invalid grant parameter : refresh_token";
            return oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", text);
        }
        "client_credentials" if field("scope").starts_with("sellingpartnerapi::") => true,
        "client_credentials" => {
            return oauth_error(StatusCode::BAD_REQUEST, "invalid_scope", "The request has an invalid scope");
        }
        _ => {
            let text = "The authorization grant type is not supported by the authorization server";
            return oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", text);
        }
    };
    let token = shared
        .with(|world, now_ms| world.amazon.grant(options.token_secs, grantless, &mut world.dice, now_ms));
    let mut answer = json!({"access_token": token, "token_type": "bearer", "expires_in": options.token_secs});
    if !grantless {
        answer["refresh_token"] = json!(options.refresh_token);
    }
    axum::Json(answer).into_response()
}

fn oauth_error(status: StatusCode, error: &str, description: &str) -> Response {
    (status, axum::Json(json!({"error": error, "error_description": description}))).into_response()
}

fn refused() -> Response {
    let message = "We encountered an internal error. Please try again.".to_owned();
    let (code, details) = ("InternalFailure", String::new());
    Failure { status: StatusCode::INTERNAL_SERVER_ERROR, code, message, details }.answer()
}

fn throttled() -> Response {
    Failure::throttled().answer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_in_a_path_is_decoded_exactly_once() {
        let check = |path: &str, expected: Option<&str>| {
            let path = format!("/listings/2021-08-01/items/S1/{path}");
            let sku = expected.map(|sku| Route::GetItem { seller: "S1".into(), sku: sku.into() });
            assert_eq!(Route::read(&Method::GET, &path), sku, "{path}");
        };
        check("TSHIRT-BL-M", Some("TSHIRT-BL-M"));
        check("CABLE%2FUSB-C%2F1M", Some("CABLE/USB-C/1M"));
        check("MUG%20WHITE%201", Some("MUG WHITE 1"));
        check("A+B", Some("A+B"));
        check("50%2525", Some("50%25"));
        check("%E7%AE%B1-1", Some("箱-1"));
        check("CABLE/USB-C/1M", None);
        check("%FF", None);
    }

    #[test]
    fn lists_are_joined_by_commas_or_repeated() {
        let params = Params::read("marketplaceIds=A,B&marketplaceIds=C&x=1%2C2");
        assert_eq!(params.csv("marketplaceIds"), ["A", "B", "C"]);
        assert_eq!(params.get("x"), Some("1,2"));
        assert_eq!(params.without("x"), "marketplaceIds=A,B&marketplaceIds=C");
    }
}
