//! What Tryton's answers say. Pure.
//!
//! Tryton answers 400 with `{"status", "message", "description"}` where it understood and refused, with nothing done:
//! a wrong state, a missing right, an invalid value. These differ only in text, in the reader's language, so they are
//! not told apart here; the caller looks at the record instead. Faults of the request itself (an unknown model or
//! field) are 500 with HTML, as are true server errors.

use std::{collections::BTreeMap, time::Duration};

use jiff::fmt::rfc2822;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    connectors::{
        Fault,
        http::{Answer, excerpt},
        tryton::{
            books::{
                Fate, Goods, Internal, InternalState, Kind, Line, Move, MoveState, Name, Pick, Receipt,
                ReceiptState, Sale, SaleState, Shipment, ShipmentState,
            },
            encode::Product,
        },
    },
    model::{Quantity, Timestamp},
};

#[cfg(test)]
mod tests;

/// The pause where Tryton (or a proxy before it) throttles and names none.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How far a quantity may be from a whole number and still be taken for it: Tryton adds up floating-point numbers.
const FRACTION_MAX: f64 = 1e-6;

/// An answer that is not what Tryton gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("`{path}`: {why}")]
    Shape { path: String, why: String },
    #[error("{what} has the quantity {quantity}, which is not a whole number of units")]
    NotWhole { what: String, quantity: String },
    #[error("no `Date` header that can be read")]
    NoDate,
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Fault {
        Fault::Malformed(malformed.to_string())
    }
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    description: String,
}

/// Returns the body of a success, or what another status means.
pub(super) fn success(answer: &Answer) -> Result<&[u8], Fault> {
    if answer.is_success() {
        return Ok(&answer.body);
    }
    let detail = excerpt(&answer.body);
    let retry_after = answer.retry_after();
    Err(match (answer.status, retry_after) {
        (401, _) => Fault::Unauthorized("the ERP does not accept the key".to_owned()),
        (429, _) => Fault::Throttled { retry_after: retry_after.unwrap_or(RETRY_AFTER) },
        (503, Some(retry_after)) => Fault::Throttled { retry_after },
        (400, _) => Fault::Refused(refusal(&answer.body).unwrap_or(detail)),
        (404, _) => Fault::Refused(format!("no such record, or no such database: {detail}")),
        (status @ 400..=499, _) => Fault::Refused(format!("status {status}: {detail}")),
        (status, _) => Fault::Server { status, detail },
    })
}

fn refusal(body: &[u8]) -> Option<String> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let text = [refusal.message, refusal.description].join(" ");
    Some(excerpt(text.as_bytes()))
}

/// Returns the server's time at which the answer was begun at the latest, from its `Date` header and the time that
/// the request took. The header has whole seconds, cut off.
pub(super) fn begun(answer: &Answer, took: Duration) -> Result<Timestamp, Malformed> {
    let parser = rfc2822::DateTimeParser::new();
    let date = answer.header("date").ok_or(Malformed::NoDate)?;
    let date = parser.parse_timestamp(date).map_err(|_| Malformed::NoDate)?;
    let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_millis(date.as_millisecond().saturating_sub(took)))
}

/// Parses an answer's body.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Malformed> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut parser)
        .map_err(|e| Malformed::Shape { path: e.path().to_string(), why: e.inner().to_string() })?;
    // What comes behind would be lost without a word.
    parser.end().map_err(|e| Malformed::Shape { path: ".".to_owned(), why: e.to_string() })?;
    Ok(read)
}

/// Returns a quantity as whole units.
pub(super) fn units(quantity: f64) -> Option<i64> {
    let whole = quantity.round();
    let near = (quantity - whole).abs() <= FRACTION_MAX;
    // Within these bounds every whole number is exact, so the cast loses nothing.
    let bounded = whole.abs() <= Quantity::LIMIT as f64;
    (near && bounded).then_some(whole as i64)
}

fn whole(what: &str, id: i64, quantity: f64) -> Result<i64, Malformed> {
    let odd = || Malformed::NotWhole { what: format!("{what} {id}"), quantity: quantity.to_string() };
    units(quantity).ok_or_else(odd)
}

/// Reads the id out of a reference such as `stock.shipment.out,2`, if it is to that model.
fn reference_to(model: &str, text: Option<&str>) -> Option<i64> {
    text?.strip_prefix(model)?.strip_prefix(',')?.parse().ok()
}

/// A record's id, where nothing else of it matters.
#[derive(Debug, Deserialize)]
pub(super) struct Id {
    pub id: i64,
}

#[derive(Deserialize)]
struct RawSale {
    id: i64,
    reference: Option<String>,
    warehouse: Option<i64>,
    state: SaleState,
    shipment_state: String,
    lines: Vec<RawLine>,
    shipments: Vec<RawShipment>,
    shipment_returns: Vec<RawReceipt>,
}

#[derive(Deserialize)]
struct RawLine {
    id: i64,
    /// None on lines that are only text.
    product: Option<i64>,
    quantity: Option<f64>,
    moves: Vec<RawMove>,
    moves_ignored: Vec<i64>,
    moves_recreated: Vec<i64>,
}

#[derive(Deserialize)]
struct RawMove {
    id: i64,
    state: MoveState,
    quantity: f64,
    shipment: Option<String>,
}

#[derive(Deserialize)]
struct RawShipment {
    id: i64,
    state: ShipmentState,
    warehouse_storage: i64,
    warehouse_output: i64,
    outgoing_moves: Vec<RawOpen>,
    inventory_moves: Vec<RawPick>,
}

#[derive(Deserialize)]
struct RawOpen {
    id: i64,
    state: MoveState,
}

#[derive(Deserialize)]
struct RawPick {
    id: i64,
    state: MoveState,
    quantity: f64,
    origin: Option<String>,
}

#[derive(Deserialize)]
struct RawReceipt {
    id: i64,
    state: ReceiptState,
}

/// Reads the sales and return sales of the order with this reference; others that the search found are left out.
/// `warehouse`: only those that are shipped from there.
pub(super) fn sales(body: &[u8], reference: &str, warehouse: Option<i64>) -> Result<Vec<Sale>, Malformed> {
    let all: Vec<RawSale> = json(body)?;
    let here = |raw: &RawSale| warehouse.is_none() || raw.warehouse == warehouse;
    let named = all.into_iter().filter(here).filter_map(|raw| {
        let name = Name::parse(raw.reference.as_deref()?, reference)?;
        Some((name, raw))
    });
    named.map(|(name, raw)| sale(name, raw)).collect()
}

fn sale(name: Name, raw: RawSale) -> Result<Sale, Malformed> {
    let lines = raw.lines.into_iter().filter_map(|raw| line(raw).transpose());
    Ok(Sale {
        id: raw.id,
        name,
        state: raw.state,
        exception: raw.shipment_state == "exception",
        lines: lines.collect::<Result<_, _>>()?,
        shipments: raw.shipments.into_iter().map(shipment).collect::<Result<_, _>>()?,
        receipts: raw.shipment_returns.into_iter().map(|r| Receipt { id: r.id, state: r.state }).collect(),
    })
}

fn line(raw: RawLine) -> Result<Option<Line>, Malformed> {
    let (Some(product), Some(quantity)) = (raw.product, raw.quantity) else { return Ok(None) };
    let moves = raw.moves.into_iter().map(|m| {
        let fate = match m.id {
            id if raw.moves_ignored.contains(&id) => Fate::Ignored,
            id if raw.moves_recreated.contains(&id) => Fate::Recreated,
            _ => Fate::Undecided,
        };
        let quantity = whole("move", m.id, m.quantity)?;
        let shipment = reference_to("stock.shipment.out", m.shipment.as_deref());
        Ok(Move { id: m.id, state: m.state, quantity, shipment, fate })
    });
    let moves = moves.collect::<Result<_, Malformed>>()?;
    let quantity = whole("sale line", raw.id, quantity)?.abs();
    Ok(Some(Line { id: raw.id, product, quantity, moves }))
}

fn shipment(raw: RawShipment) -> Result<Shipment, Malformed> {
    let picks = raw.inventory_moves.into_iter().map(|m| {
        let quantity = whole("move", m.id, m.quantity)?;
        Ok(Pick { id: m.id, state: m.state, quantity, of: reference_to("stock.move", m.origin.as_deref()) })
    });
    Ok(Shipment {
        id: raw.id,
        state: raw.state,
        direct: raw.warehouse_storage == raw.warehouse_output,
        outgoing: raw.outgoing_moves.iter().filter(|m| m.state.is_open()).map(|m| m.id).collect(),
        picks: picks.collect::<Result<_, Malformed>>()?,
    })
}

#[derive(Deserialize)]
struct RawInternal {
    id: i64,
    reference: Option<String>,
    from_location: Option<i64>,
    to_location: Option<i64>,
    state: InternalState,
    moves: Vec<RawGoods>,
}

#[derive(Deserialize)]
struct RawGoods {
    id: i64,
    product: i64,
    quantity: f64,
}

/// Reads the internal shipments of the order with this reference.
/// `storage`: only those that take from there what goes, or bring there what comes back.
pub(super) fn internals(
    body: &[u8],
    reference: &str,
    storage: Option<i64>,
) -> Result<Vec<Internal>, Malformed> {
    let all: Vec<RawInternal> = json(body)?;
    let named = all.into_iter().filter_map(|raw| {
        let name = Name::parse(raw.reference.as_deref()?, reference)?;
        let at = if name.kind == Kind::Found { raw.to_location } else { raw.from_location };
        (storage.is_none() || at == storage).then_some((name, raw))
    });
    named.map(|(name, raw)| internal(name, raw)).collect()
}

fn internal(name: Name, raw: RawInternal) -> Result<Internal, Malformed> {
    let goods = raw.moves.into_iter().map(|m| {
        let quantity = whole("move", m.id, m.quantity)?;
        Ok(Goods { id: m.id, product: m.product, quantity })
    });
    Ok(Internal { id: raw.id, name, state: raw.state, goods: goods.collect::<Result<_, Malformed>>()? })
}

#[derive(Deserialize)]
struct Decimal {
    decimal: String,
}

#[derive(Deserialize)]
struct RawProduct {
    id: i64,
    code: Option<String>,
    default_uom: i64,
    list_price_used: Option<Decimal>,
}

/// Reads what a document's lines need to know of their products.
pub(super) fn products(body: &[u8]) -> Result<Vec<Product>, Malformed> {
    let all: Vec<RawProduct> = json(body)?;
    let read = all.into_iter().map(|raw| Product {
        id: raw.id,
        code: raw.code,
        unit: raw.default_uom,
        price: raw.list_price_used.map_or_else(|| "0".to_owned(), |price| price.decimal),
    });
    Ok(read.collect())
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unread {
    /// Its id, if that much could be read.
    pub id: Option<i64>,
    pub why: String,
}

/// Reads a page of records one by one. One that cannot be read does not hold up the others.
pub(super) fn each<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<Result<T, Unread>>, Malformed> {
    let all: Vec<Value> = json(body)?;
    let one = |row: Value| {
        let id = row["id"].as_i64();
        serde_path_to_error::deserialize(row)
            .map_err(|e| Unread { id, why: format!("`{}`: {}", e.path(), e.inner()) })
    };
    Ok(all.into_iter().map(one).collect())
}

/// A product and what lies in the counted location.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Level {
    pub id: i64,
    pub code: Option<String>,
    pub name: Option<String>,
    pub quantity: f64,
}

#[derive(Deserialize)]
struct RawLeaving {
    id: i64,
    product: i64,
    internal_quantity: Value,
}

/// Adds up the units that are about to leave, by product. Returns how many moves there were, and the largest id.
pub(super) fn leaving(body: &[u8], sums: &mut BTreeMap<i64, f64>) -> Result<(usize, i64), Malformed> {
    let all: Vec<RawLeaving> = json(body)?;
    for m in &all {
        // No number at all makes the product one that cannot be counted; the others are.
        *sums.entry(m.product).or_insert(0.0) += m.internal_quantity.as_f64().unwrap_or(f64::NAN);
    }
    Ok((all.len(), all.iter().map(|m| m.id).max().unwrap_or(0)))
}

#[derive(Deserialize)]
struct RawTouched {
    id: i64,
    product: RawCoded,
}

#[derive(Deserialize)]
struct RawCoded {
    id: i64,
    code: Option<String>,
}

/// Collects the products (id and code) that moves touched. Returns as [`leaving`] does. A move that does not tell its
/// product holds up no other: the next count of everything takes in what it moved.
pub(super) fn touched(
    body: &[u8],
    products: &mut BTreeMap<i64, Option<String>>,
) -> Result<(usize, i64), Malformed> {
    let all = each::<RawTouched>(body)?;
    let id = |row: &Result<RawTouched, Unread>| row.as_ref().map_or_else(|row| row.id, |m| Some(m.id));
    let (count, last) = (all.len(), all.iter().filter_map(id).max().unwrap_or(0));
    products.extend(all.into_iter().flatten().map(|m| (m.product.id, m.product.code)));
    Ok((count, last))
}

/// Who the key belongs to.
#[derive(Debug, Deserialize)]
pub(super) struct Preferences {
    pub company: Option<i64>,
    #[serde(default)]
    pub companies: Vec<i64>,
    #[serde(default)]
    pub groups: Vec<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Company {
    pub id: i64,
    pub currency: i64,
    pub party: Named,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub id: i64,
    pub name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Location {
    pub id: i64,
    #[serde(rename = "type")]
    pub kind: String,
    pub storage_location: Option<i64>,
    pub lost_found_location: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Party {
    pub id: i64,
    pub addresses: Vec<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ButtonRule {
    /// The groups that may press it; empty means all.
    pub groups: Vec<Named>,
}

/// A record's state after a button was pressed.
#[derive(Debug, Deserialize)]
pub(super) struct Pressed {
    pub state: String,
}
