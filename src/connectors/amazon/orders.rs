//! Orders of the Orders API 2026-01-01 as snapshots with cumulative quantities, as pure functions.
//!
//! Owns what each fulfilment status means for the units of a line. Knows no network. No personal data is asked for;
//! what a body holds besides the fields below is not kept.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    connectors::{By, Cursor, Fault, OrderPage, Unreadable, http, onward},
    model::{
        FulfilledBy, IdKind, Identifiers, LineId, LineSnapshot, OrderId, OrderSnapshot, Quantity, Rest,
        Timestamp, Totals,
    },
};

#[cfg(test)]
mod tests;

/// Where a search goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) token: Option<String>,
    /// The earliest bound that any page named: everything before it has been searched.
    through: Option<i64>,
}

impl Place {
    pub(super) fn of(cursor: Option<&Cursor>) -> Result<Place, Fault> {
        let Some(Cursor(text)) = cursor else { return Ok(Place::default()) };
        serde_json::from_str(text)
            .map_err(|_| Fault::Refused(format!("`{text}` is not a cursor of this feed")))
    }

    fn cursor(&self) -> Cursor {
        Cursor(serde_json::to_string(self).expect("texts and numbers always serialize"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPage {
    orders: Vec<Value>,
    pagination: Option<RawPagination>,
    last_updated_before: Option<jiff::Timestamp>,
    created_before: Option<jiff::Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPagination {
    next_token: Option<String>,
}

/// Reads one page of the search by `by` that began at `since` and has come to `place`.
///
/// Amazon promises no order among pages; within one the oldest change comes first.
/// The list has been read up to the `lastUpdatedBefore`, or `createdBefore`, that Amazon names. Where it names none, it has been
/// read no further than `since`: the orders count, and are read again.
pub(super) fn page(body: &[u8], by: By, since: Timestamp, place: &Place) -> Result<OrderPage, Fault> {
    let raw: RawPage = http::json(body).map_err(Fault::Malformed)?;
    let bound = match by {
        By::Change => raw.last_updated_before,
        By::Placement => raw.created_before,
    };
    let bound = bound.map(jiff::Timestamp::as_millisecond);
    let through = [place.through, bound].into_iter().flatten().min();
    let mut page = OrderPage::default();
    for value in raw.orders {
        match order(&value) {
            Ok(order) => page.orders.push(order),
            Err(why) => page.unreadable.push(Unreadable {
                id: value.get("orderId").and_then(Value::as_str).map(str::to_owned),
                why,
                body: Bytes::from(value.to_string()),
            }),
        }
    }
    page.orders.sort_by_key(|order| order.version);
    let next = raw.pagination.and_then(|p| p.next_token).filter(|token| !token.is_empty());
    match onward(place.token.as_ref(), next)? {
        Some(token) => page.next = Some(Place { token: Some(token), through }.cursor()),
        None => page.read_through = Some(through.map_or(since, Timestamp::from_millis)),
    }
    Ok(page)
}

/// Reads one order that was kept as the feed told it.
pub(super) fn reread(body: &[u8]) -> Result<OrderSnapshot, String> {
    order(&http::json(body)?)
}

/// Reads the answer to a request for one order.
pub(super) fn one(body: &[u8]) -> Result<OrderSnapshot, Fault> {
    #[derive(Deserialize)]
    struct Answer {
        order: Value,
    }
    let answer: Answer = http::json(body).map_err(Fault::Malformed)?;
    order(&answer.order).map_err(Fault::Malformed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOrder {
    order_id: String,
    created_time: jiff::Timestamp,
    last_updated_time: jiff::Timestamp,
    fulfillment: Option<RawFulfillment>,
    order_items: Vec<RawItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFulfillment {
    fulfillment_status: String,
    fulfilled_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawItem {
    order_item_id: String,
    quantity_ordered: i64,
    product: RawProduct,
    fulfillment: Option<RawItemFulfillment>,
    cancellation: Option<RawCancellation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProduct {
    seller_sku: Option<String>,
    asin: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawItemFulfillment {
    quantity_fulfilled: Option<i64>,
    quantity_unfulfilled: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCancellation {
    cancellation_execution: Option<RawExecution>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawExecution {
    cancelled_by: Option<String>,
    cancel_reason: Option<String>,
}

/// Reads one order. The items of an order always come with it, so the snapshot is complete.
fn order(value: &Value) -> Result<OrderSnapshot, String> {
    let raw: RawOrder = http::json_part(value)?;
    let fulfillment = raw.fulfillment.ok_or("`fulfillment` is missing")?;
    let status = Status::named(&fulfillment.fulfillment_status)?;
    let by = match fulfillment.fulfilled_by.as_deref() {
        Some("MERCHANT") => FulfilledBy::Merchant,
        Some("AMAZON") => FulfilledBy::Channel,
        // Its listing may tell. If not, the order is kept and waits, and a person is alerted.
        None | Some(_) => FulfilledBy::Unknown,
    };
    Ok(OrderSnapshot {
        order: OrderId::new(&raw.order_id).map_err(|e| e.to_string())?,
        name: None,
        version: Timestamp::from_millis(raw.last_updated_time.as_millisecond()),
        placed_at: Timestamp::from_millis(raw.created_time.as_millisecond()),
        complete: true,
        lines: raw.order_items.iter().map(|item| line(item, status, by)).collect::<Result<_, _>>()?,
    })
}

fn line(item: &RawItem, status: Status, by: FulfilledBy) -> Result<LineSnapshot, String> {
    let told =
        |e: &dyn std::fmt::Display| format!("item `{}`: {e}", http::excerpt(item.order_item_id.as_bytes()));
    let pairs = [(IdKind::Sku, &item.product.seller_sku), (IdKind::Asin, &item.product.asin)];
    let pairs = pairs.into_iter().filter_map(|(kind, value)| Some((kind, value.as_deref()?)));
    let (totals, rest) = units(item, status).map_err(|e| told(&e))?;
    Ok(LineSnapshot {
        line: LineId::new(&item.order_item_id).map_err(|e| e.to_string())?,
        ids: Identifiers::new(pairs).map_err(|e| told(&e))?,
        location: None,
        unplaced_at: None,
        places: Vec::new(),
        by,
        totals,
        rest,
    })
}

/// Where an order is between placement and carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// PENDING, PENDING_AVAILABILITY: placed, and Amazon has taken the units off sale. Nothing can be shipped yet.
    Placed,
    /// UNSHIPPED, PARTIALLY_SHIPPED.
    Open {
        shipped: bool,
    },
    Shipped,
    Cancelled,
    /// Only of orders that Amazon fulfils for other shops.
    Unfulfillable,
}

impl Status {
    fn named(text: &str) -> Result<Status, String> {
        Ok(match text {
            "PENDING" | "PENDING_AVAILABILITY" => Status::Placed,
            "UNSHIPPED" => Status::Open { shipped: false },
            "PARTIALLY_SHIPPED" => Status::Open { shipped: true },
            "SHIPPED" => Status::Shipped,
            "CANCELLED" => Status::Cancelled,
            "UNFULFILLABLE" => Status::Unfulfillable,
            other => return Err(format!("`fulfillmentStatus` is `{}`", http::excerpt(other.as_bytes()))),
        })
    }
}

/// Works out what became of the units of one item.
///
/// Where Amazon contradicts itself, units stay open: that keeps them off sale until a later answer settles it.
fn units(item: &RawItem, status: Status) -> Result<(Totals, Rest), String> {
    let told = item.fulfillment.as_ref();
    let amount = |name: &str, units: i64| match u32::try_from(units) {
        Ok(units) if i64::from(units) <= Quantity::LIMIT => Ok(i64::from(units)),
        _ => Err(format!("`{name}` is {units}")),
    };
    let ordered = amount("quantityOrdered", item.quantity_ordered)?;
    let fulfilled = match (told.and_then(|f| f.quantity_fulfilled), status) {
        (Some(units), _) => amount("quantityFulfilled", units)?,
        (None, Status::Shipped) => ordered,
        (None, Status::Open { shipped: true }) => return Err("`quantityFulfilled` is missing".to_owned()),
        (
            None,
            Status::Placed | Status::Open { shipped: false } | Status::Cancelled | Status::Unfulfillable,
        ) => 0,
    };
    let unfulfilled = told
        .and_then(|f| f.quantity_unfulfilled)
        .map(|units| amount("quantityUnfulfilled", units))
        .transpose()?;
    let execution = item.cancellation.as_ref().and_then(|c| c.cancellation_execution.as_ref());
    // A source may zero what was ordered; what it shipped was ordered all the same.
    let ordered = ordered.max(fulfilled);
    let left = ordered - fulfilled;
    let open = match status {
        Status::Placed => left,
        Status::Open { .. } if execution.is_none() => left,
        Status::Open { .. } | Status::Shipped => unfulfilled.unwrap_or(0).min(left),
        Status::Cancelled | Status::Unfulfillable => 0,
    };
    let gone = match status {
        Status::Unfulfillable => Rest::WrittenOff,
        Status::Placed | Status::Open { .. } | Status::Shipped | Status::Cancelled => {
            if execution.is_some_and(RawExecution::lacks_stock) { Rest::WrittenOff } else { Rest::Released }
        }
    };
    let mut totals =
        Totals { ordered: Quantity::new(ordered), fulfilled: Quantity::new(fulfilled), ..Totals::default() };
    if open == 0 {
        return Ok((totals, gone));
    }
    let lost = Quantity::new(left - open);
    if gone == Rest::WrittenOff {
        totals.written_off = lost
    } else {
        totals.released = lost
    }
    Ok((totals, Rest::Open))
}

/// Cancel reasons, reduced to lower-case letters, that say that the unit is not there.
const NO_STOCK: [&str; 6] =
    ["outofstock", "noinventory", "nostock", "notinstock", "inventoryunavailable", "insufficientinventory"];

impl RawExecution {
    /// Tells whether it was cancelled because the goods are not there. A buyer cannot know that.
    fn lacks_stock(&self) -> bool {
        if self.cancelled_by.as_deref() == Some("BUYER") {
            return false;
        }
        let reason = self.cancel_reason.as_deref().unwrap_or_default();
        let letters: String =
            reason.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
        NO_STOCK.iter().any(|words| letters.contains(words))
    }
}
