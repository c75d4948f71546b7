//! The control API: what is true, and what people and faults do next. JSON over a listener of its own; SKUs are named
//! by the merchant's own code.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::books::{Cause, Channel};
use super::catalogue::Made;
use super::erp::Levels;
use super::faults::FaultSpec;
use super::options::check_webhook_target;
use super::people::{self, Wish};
use super::shopify::{CancelReason, Restock};
use super::world::{Shared, World};
use super::{Addresses, shoppers};

#[derive(Clone)]
struct Desk {
    shared: Arc<Shared>,
    addresses: Addresses,
}

pub(super) fn routes(shared: Arc<Shared>, addresses: Addresses) -> Router {
    Router::new()
        .route("/systems", get(systems))
        .route("/books", get(books))
        .route("/sales", get(sales))
        .route("/quiet", get(quiet))
        .route("/queue", get(queue).post(enqueue))
        .route("/queue/messages", get(messages))
        .route("/faults", get(faults).post(set_faults))
        .route("/webhooks", post(webhooks))
        .route("/app", get(app).post(set_app))
        .route("/points", get(points))
        .route("/shop", post(shop))
        .route("/order", post(order))
        .route("/drop-order", post(drop_order))
        .route("/cancel", post(cancel))
        .route("/fulfil", post(fulfil))
        .route("/undo-fulfilment", post(undo_fulfilment))
        .route("/refund", post(refund))
        .route("/edit-order", post(edit_order))
        .route("/edit-quantity", post(edit_quantity))
        .route("/reroute", post(reroute))
        .route("/stocked", post(stocked))
        .route("/carry", post(carry))
        .route("/bundle", post(bundle))
        .route("/erp/count", post(count))
        .with_state(Desk { shared, addresses })
}

/// A refused request: 404 for an unknown SKU, 409 for what cannot be done.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<String> for Refused {
    fn from(text: String) -> Refused {
        Refused(StatusCode::CONFLICT, text)
    }
}

type Answer = Result<Json<Value>, Refused>;

fn done() -> Answer {
    Ok(Json(json!({"ok": true})))
}

/// One line of an order, a shipment or a count.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sku: String,
    quantity: i64,
}

fn indexed(world: &World, lines: &[Line]) -> Result<Vec<(usize, i64)>, Refused> {
    lines.iter().map(|line| Ok((sku(world, &line.sku)?, line.quantity))).collect()
}

fn sku(world: &World, code: &str) -> Result<usize, Refused> {
    let unknown = || Refused(StatusCode::NOT_FOUND, format!("no SKU `{code}` in the catalogue"));
    world.catalogue.find(code).ok_or_else(unknown)
}

/// The same, of what can be in an order: the shop also sells what is made of SKUs.
fn sold(world: &World, channel: Channel, lines: &[Line]) -> Result<Vec<(usize, i64)>, Refused> {
    if channel != Channel::Shopify {
        return indexed(world, lines);
    }
    lines.iter().map(|line| Ok((listed(world, &line.sku)?, line.quantity))).collect()
}

fn listed(world: &World, code: &str) -> Result<usize, Refused> {
    world.catalogue.find_listed(code).map_or_else(|| sku(world, code), Ok)
}

async fn systems(State(desk): State<Desk>) -> Json<Value> {
    let options = &desk.shared.options;
    let at = desk.addresses;
    Json(json!({
        "shopify": {
            "base_url": format!("http://{}", at.shopify),
            "shop": options.shopify.shop,
            "access_token": options.shopify.access_token,
            "client_id": options.shopify.client_id,
            "client_secret": options.shopify.client_secret,
            "location_id": super::shopify::location(0),
            "location_ids": (0..options.catalogue.places).map(super::shopify::location).collect::<Vec<_>>(),
        },
        "amazon": {
            "base_url": format!("http://{}", at.amazon),
            "lwa_url": format!("http://{}/auth/o2/token", at.amazon),
            "seller_id": options.amazon.seller_id,
            "marketplace_id": options.amazon.marketplace_id,
            "client_id": options.amazon.client_id,
            "client_secret": options.amazon.client_secret,
            "refresh_token": options.amazon.refresh_token,
        },
        "queue": {
            "base_url": format!("http://{}", at.queue),
            "url": format!("http://{}{}", at.queue, super::queue::PATH),
            "region": super::queue::REGION,
            "access_key_id": options.queue.access_key_id,
            "secret_access_key": options.queue.secret_access_key,
        },
        "erp": {
            "base_url": format!("http://{}", at.erp),
            "database": options.erp.database,
            "key": options.erp.key,
            "ids": super::erp::facts(options.catalogue.places),
        },
        "control": {"base_url": format!("http://{}", at.control)},
    }))
}

async fn books(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.shared.with(|world, now_ms| {
        let warehouses: Vec<_> = (0..world.places()).map(|place| world.erp.warehouse(place)).collect();
        let skus: Vec<Value> =
            (0..world.catalogue.skus.len()).map(|n| sku_report(world, n, &warehouses)).collect();
        let oversold: i64 = world.books.skus().iter().map(|book| book.oversold).sum();
        let [shopify, amazon, erp] = world.books.orders;
        let (singles, bundles) = (world.catalogue.skus.len(), world.catalogue.bundles.len());
        json!({
            "now_ms": now_ms,
            "skus": skus,
            "bundles": made_report(world, &world.catalogue.bundles, singles),
            "sets": made_report(world, &world.catalogue.sets, singles + bundles),
            "orders": {"shopify": shopify, "amazon": amazon, "erp": erp},
            "oversold_units": oversold,
            "turned_away": world.books.turned_away,
            "webhooks": world.shopify.mail_report(),
            "amazon_pending_visibility": world.amazon.landings_pending(),
            "fba_violations": world.amazon.fba_violations(),
        })
    }))
}

fn sku_report(world: &World, n: usize, warehouses: &[BTreeSet<i64>]) -> Value {
    let by_place: Vec<Levels> = warehouses.iter().map(|place| world.erp.levels(n, place)).collect();
    let sum = |of: fn(&Levels) -> i64| by_place.iter().map(of).sum::<i64>();
    let levels = Levels { on_hand: sum(|l| l.on_hand), available: sum(|l| l.available) };
    let book = &world.books.skus()[n];
    let mut shopify = world.shopify.level_report(n);
    let mut amazon = world.amazon.listing_report(n);
    shopify["units"] = json!(book.tallies[Channel::Shopify as usize]);
    amazon["units"] = json!(book.tallies[Channel::Amazon as usize]);
    let place = |(at, levels): (usize, &Levels)| {
        json!({
            "physical": book.places[at].physical,
            "committed": book.places[at].committed,
            "available": book.places[at].physical - book.places[at].committed,
            "shopify": world.shopify.place_report(n, at),
            "erp": {"on_hand": levels.on_hand, "available": levels.available},
        })
    };
    let places: Vec<Value> = by_place.iter().enumerate().map(place).collect();
    json!({
        "sku": world.catalogue.skus[n].code,
        "places": places,
        "travelling": book.travelling,
        "fba": world.amazon.fba_report(n),
        "opening": book.opening,
        "physical": book.physical,
        "committed": book.committed,
        "available": book.available(),
        "oversold": book.oversold,
        "shopify": shopify,
        "amazon": amazon,
        "erp": {
            "on_hand": levels.on_hand,
            "available": levels.available,
            "units": book.tallies[Channel::Erp as usize],
        },
    })
}

/// What is made of SKUs: how many there truly are, and how many the shop shows. `first`: its index of the first of them.
fn made_report(world: &World, made: &[Made], first: usize) -> Vec<Value> {
    let report = |(n, made): (usize, &Made)| {
        let there =
            |(sku, units): &(usize, i64)| world.books.skus()[*sku].available().max(0).div_euclid(*units);
        let part =
            |(sku, units): &(usize, i64)| json!({"sku": world.catalogue.skus[*sku].code, "units": units});
        json!({
            "sku": made.code,
            "parts": made.parts.iter().map(part).collect::<Vec<_>>(),
            "available": made.parts.iter().map(there).min(),
            "shopify": world.shopify.level_report(first + n),
        })
    };
    made.iter().enumerate().map(report).collect()
}

async fn sales(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.shared.with(|world, now_ms| {
        let code = |n: usize| world.catalogue.skus[n].code.as_str();
        let sales: Vec<Value> = world
            .books
            .sales()
            .iter()
            .map(|sale| {
                let [shopify, amazon, erp] = sale.reflected_ms;
                json!({
                    "order": sale.order,
                    "channel": sale.channel,
                    "sku": code(sale.sku),
                    "quantity": sale.quantity,
                    "at_ms": sale.at_ms,
                    "oversold": sale.oversold,
                    "reflected_ms": {"shopify": shopify, "amazon": amazon, "erp": erp},
                })
            })
            .collect();
        let changes: Vec<Value> = world
            .books
            .changes()
            .iter()
            .map(|change| {
                json!({
                    "at_ms": change.at_ms,
                    "channel": change.channel,
                    "sku": code(change.sku),
                    "shown": change.shown,
                    "cause": change.cause,
                })
            })
            .collect();
        json!({
            "now_ms": now_ms,
            "sales": sales,
            "changes": changes,
            "changes_forgotten": world.books.changes_forgotten,
        })
    }))
}

async fn quiet(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.shared.with(|world, _| {
        let (webhooks, visibility) = (world.shopify.mail_pending(), world.amazon.landings_pending());
        let events = world.agenda.busy;
        json!({
            "quiet": webhooks == 0 && visibility == 0 && events == 0,
            "webhooks": webhooks,
            "visibility": visibility,
            "events": events,
        })
    }))
}

async fn queue(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.shared.with(|world, now_ms| {
        let mut report = world.queue.report(now_ms);
        report["subscribed"] = json!(world.amazon.subscribed());
        report
    }))
}

async fn messages(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.shared.with(|world, _| json!(world.queue.bodies())))
}

/// Puts the body, as it is, into the queue.
async fn enqueue(State(desk): State<Desk>, body: String) -> Json<Value> {
    let id = desk.shared.with(|world, now_ms| world.queue.send(body, now_ms));
    desk.shared.queued.notify_waiters();
    Json(json!({"message": id}))
}

async fn faults(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.shared.with(|world, _| world.faults.report()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    faults: Vec<FaultSpec>,
}

async fn set_faults(State(desk): State<Desk>, Json(asked): Json<Faults>) -> Answer {
    desk.shared.with(|world, now_ms| {
        for fault in &asked.faults {
            if let Some(code) = world.unknown_sku(fault) {
                sku(world, code)?;
            }
        }
        for fault in &asked.faults {
            world.apply_fault(fault, now_ms);
        }
        Ok(Json(world.faults.report()))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhooks {
    url: Option<Url>,
}

async fn webhooks(State(desk): State<Desk>, Json(asked): Json<Webhooks>) -> Answer {
    if let Some(url) = &asked.url {
        check_webhook_target(url).map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    }
    desk.shared.with(|world, _| world.shopify.send_webhooks_to(asked.url));
    done()
}

/// What becomes of the app that the daemon is, in the shop. What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct App {
    installed: Option<bool>,
    scopes: Option<Vec<String>>,
    /// The API versions that are served from now on, the oldest first.
    versions: Option<Vec<String>>,
    /// What answers say is going away.
    deprecated: Option<String>,
    /// All its webhook subscriptions are lost.
    #[serde(default)]
    unsubscribe: bool,
    /// All tokens that it was granted end.
    #[serde(default)]
    revoke: bool,
}

async fn app(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.shared.with(|world, _| world.shopify.app.report()))
}

/// What became of requests to the shop's API, by app.
async fn points(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.shared.with(|world, _| world.shopify.points_report()))
}

async fn set_app(State(desk): State<Desk>, Json(asked): Json<App>) -> Json<Value> {
    Json(desk.shared.with(|world, now_ms| {
        match asked.installed {
            Some(true) => super::shopify::install(world),
            Some(false) => super::shopify::uninstall(world, now_ms),
            None => {}
        }
        if let Some(scopes) = asked.scopes {
            super::shopify::rescope(world, scopes, now_ms);
        }
        if asked.versions.is_some() || asked.deprecated.is_some() {
            super::shopify::serve(world, asked.versions.unwrap_or_default(), asked.deprecated);
        }
        if asked.unsubscribe {
            world.shopify.app.unsubscribe();
        }
        if asked.revoke {
            world.shopify.revoke();
        }
        world.shopify.app.report()
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shop {
    orders: u64,
    #[serde(default = "Shop::default_per_second")]
    per_second: f64,
}

impl Shop {
    fn default_per_second() -> f64 {
        10.0
    }
}

async fn shop(State(desk): State<Desk>, Json(asked): Json<Shop>) -> Answer {
    desk.shared.with(|world, now_ms| shoppers::invite(world, asked.orders, asked.per_second, now_ms));
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    channel: Channel,
    lines: Vec<Line>,
    #[serde(default)]
    fba: bool,
    /// Where it is shipped from; as the channel decides if it is not said.
    place: Option<usize>,
}

async fn order(State(desk): State<Desk>, Json(asked): Json<Order>) -> Answer {
    place(&desk, &asked, false)
}

async fn drop_order(State(desk): State<Desk>, Json(asked): Json<Order>) -> Answer {
    if asked.channel == Channel::Erp {
        return Err(Refused(StatusCode::CONFLICT, "an ERP sale cannot be hidden".into()));
    }
    place(&desk, &asked, true)
}

fn place(desk: &Desk, asked: &Order, hidden: bool) -> Answer {
    desk.shared.with(|world, now_ms| {
        let lines = sold(world, asked.channel, &asked.lines)?;
        let (channel, place) = (asked.channel, asked.place);
        let wish = Wish { channel, lines: &lines, fba: asked.fba, hidden, place };
        let (id, _) = people::place(world, &wish, now_ms)?;
        Ok(Json(json!({"order": id, "at_ms": now_ms})))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    channel: Channel,
    order: String,
    #[serde(default = "Cancel::default_restock")]
    restock: bool,
    #[serde(default)]
    reason: CancelReason,
}

impl Cancel {
    fn default_restock() -> bool {
        true
    }
}

async fn cancel(State(desk): State<Desk>, Json(asked): Json<Cancel>) -> Answer {
    desk.shared.with(|world, now_ms| {
        people::cancel(world, asked.channel, &asked.order, asked.restock, asked.reason, now_ms)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fulfil {
    channel: Channel,
    order: String,
    lines: Option<Vec<Line>>,
}

async fn fulfil(State(desk): State<Desk>, Json(asked): Json<Fulfil>) -> Answer {
    desk.shared.with(|world, now_ms| -> Result<(), Refused> {
        let lines = asked.lines.as_ref().map(|lines| sold(world, asked.channel, lines)).transpose()?;
        Ok(people::fulfil(world, asked.channel, &asked.order, lines.as_deref(), now_ms)?)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoFulfilment {
    order: String,
}

async fn undo_fulfilment(State(desk): State<Desk>, Json(asked): Json<UndoFulfilment>) -> Answer {
    desk.shared.with(|world, now_ms| people::undo_fulfilment(world, &asked.order, now_ms))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refund {
    channel: Channel,
    order: String,
    lines: Vec<Line>,
    restock: Restock,
    /// Where it comes back to.
    place: Option<usize>,
}

async fn refund(State(desk): State<Desk>, Json(asked): Json<Refund>) -> Answer {
    desk.shared.with(|world, now_ms| -> Result<(), Refused> {
        let lines = sold(world, asked.channel, &asked.lines)?;
        let how = (asked.restock, asked.place);
        Ok(people::refund(world, asked.channel, &asked.order, &lines, how, now_ms)?)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditOrder {
    order: String,
    sku: String,
    delta: i64,
    /// Whether units that are taken off are on sale again.
    #[serde(default = "Cancel::default_restock")]
    restock: bool,
}

async fn edit_order(State(desk): State<Desk>, Json(asked): Json<EditOrder>) -> Answer {
    desk.shared.with(|world, now_ms| -> Result<(), Refused> {
        let listed = listed(world, &asked.sku)?;
        Ok(people::edit_order(world, &asked.order, (listed, asked.delta), asked.restock, now_ms)?)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditQuantity {
    channel: Channel,
    sku: String,
    quantity: i64,
    #[serde(default)]
    place: usize,
}

async fn edit_quantity(State(desk): State<Desk>, Json(asked): Json<EditQuantity>) -> Answer {
    desk.shared.with(|world, now_ms| -> Result<(), Refused> {
        let sku = sku(world, &asked.sku)?;
        let at = (sku, asked.place);
        Ok(people::edit_quantity(world, asked.channel, at, asked.quantity, Cause::Edit, now_ms)?)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    counts: Vec<Line>,
    #[serde(default)]
    place: usize,
}

async fn count(State(desk): State<Desk>, Json(asked): Json<Count>) -> Answer {
    desk.shared.with(|world, now_ms| -> Result<(), Refused> {
        let counted = indexed(world, &asked.counts)?;
        Ok(people::count(world, &counted, asked.place, now_ms)?)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reroute {
    order: String,
    sku: String,
    quantity: i64,
    to: usize,
}

/// A person has units of a Shopify order shipped from another place.
async fn reroute(State(desk): State<Desk>, Json(asked): Json<Reroute>) -> Answer {
    desk.shared.with(|world, now_ms| -> Result<(), Refused> {
        let sku = sku(world, &asked.sku)?;
        Ok(people::reroute(world, &asked.order, (sku, asked.quantity), asked.to, now_ms)?)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stocked {
    sku: String,
    place: usize,
    stocked: bool,
}

/// A SKU is stocked at one of the shop's locations, or not any more.
async fn stocked(State(desk): State<Desk>, Json(asked): Json<Stocked>) -> Answer {
    desk.shared.with(|world, _| -> Result<(), Refused> {
        let sku = sku(world, &asked.sku)?;
        Ok(world.shopify.stock(sku, asked.place, asked.stocked)?)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    set: String,
}

/// The merchant makes a set one of the shop's own bundles.
async fn bundle(State(desk): State<Desk>, Json(asked): Json<Bundle>) -> Answer {
    desk.shared.with(|world, _| -> Result<(), Refused> {
        let found = world.catalogue.find_listed(&asked.set);
        let set = found.and_then(|item| Some((item, world.catalogue.set(item)?)));
        let unknown = || Refused(StatusCode::NOT_FOUND, format!("there is no set `{}`", asked.set));
        let (item, set) = set.ok_or_else(unknown)?;
        Ok(world.shopify.bundle(item, &set.parts)?)
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Carry {
    sku: String,
    quantity: i64,
    /// Left out: from the road.
    from: Option<usize>,
    /// Left out: onto the road.
    to: Option<usize>,
}

/// Somebody carries units from one place to another.
async fn carry(State(desk): State<Desk>, Json(asked): Json<Carry>) -> Answer {
    desk.shared.with(|world, now_ms| -> Result<(), Refused> {
        let sku = sku(world, &asked.sku)?;
        Ok(world.books.carry(sku, asked.quantity, [asked.from, asked.to], now_ms)?)
    })?;
    done()
}
