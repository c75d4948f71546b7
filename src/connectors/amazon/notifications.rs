//! Notifications of the Selling Partner API, as pure functions.
//!
//! A notification is a hint: it comes late, twice, in any order or not at all. What it says of a new order is taken as said,
//! where it says enough and only keeps units off sale; the order itself is read in any case, and that is the truth.
//!
//! Owns both casings of the envelope, and the one that EventBridge puts around it. No personal data is read.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    connectors::{Fact, MESSAGE_ID, Push, Received, Refusal, http},
    model::{
        DeliveryId, FulfilledBy, IdKind, Identifiers, LineId, LineSnapshot, OrderId, OrderSnapshot, Quantity,
        Rest, Timestamp, Totals,
    },
};

#[cfg(test)]
mod tests;

/// An order changed.
pub(super) const ORDER_CHANGE: &str = "ORDER_CHANGE";
/// What lies in Amazon's warehouses changed.
pub(super) const FBA_CHANGE: &str = "FBA_INVENTORY_AVAILABILITY_CHANGES";
/// What a message is filed under that does not tell its type.
const UNTOLD: &str = "notification";

/// Whose notifications are followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) seller_id: &'a str,
    pub(super) marketplaces: &'a [String],
    /// What Amazon ships itself is followed.
    pub(super) own_stock: bool,
}

/// Tells whether an entry in quarantine was a notification.
pub(super) fn is_one(topic: &str) -> bool {
    [ORDER_CHANGE, FBA_CHANGE, UNTOLD].contains(&topic)
}

/// Reads one message of the queue. Only Amazon may put one there.
pub(super) fn receive(push: &Push, account: Account<'_>) -> Result<Received, Refusal> {
    let message = push.headers.get(MESSAGE_ID).and_then(|id| DeliveryId::new(id).ok());
    let unparsable = |delivery: Option<DeliveryId>, topic: &str, why: String| Refusal::Unparsable {
        delivery: delivery.or_else(|| message.clone()),
        topic: topic.to_owned(),
        why,
    };
    let envelope = Envelope::read(&push.body).map_err(|why| unparsable(None, UNTOLD, why))?;
    let delivery = envelope.delivery.clone().or_else(|| message.clone());
    let topic = envelope.topic.as_str();
    match facts(&envelope, account) {
        Ok(Some(facts)) => match delivery {
            Some(delivery) => Ok(Received { delivery, topic: topic.to_owned(), facts }),
            None => Err(unparsable(None, topic, "neither it nor its message has an id".to_owned())),
        },
        // The type is a word of Amazon's, but it goes no further than the counters.
        Ok(None) => Err(Refusal::NotFollowed { delivery, topic: http::excerpt(topic.as_bytes()) }),
        Err(why) => Err(unparsable(delivery, topic, why)),
    }
}

/// Reads a message that was kept.
pub(super) fn reread(body: &[u8], account: Account<'_>) -> Result<Vec<Fact>, String> {
    let envelope = Envelope::read(body)?;
    facts(&envelope, account)?.ok_or_else(|| "it is nothing that is followed".to_owned())
}

/// What is around every notification.
struct Envelope {
    topic: String,
    delivery: Option<DeliveryId>,
    payload: Value,
}

impl Envelope {
    fn read(body: &[u8]) -> Result<Envelope, String> {
        let mut told: Value = http::json(body)?;
        let mut outer = None;
        // EventBridge puts what it forwards into an envelope of its own.
        if told.get("detail-type").is_some() {
            outer = told["id"].as_str().map(str::to_owned);
            told = told["detail"].take();
        }
        let topic = text(&told, "NotificationType").ok_or("`NotificationType` is missing")?.to_owned();
        let id = member(&told, "NotificationMetadata").and_then(|about| text(about, "NotificationId"));
        let delivery = id.or(outer.as_deref()).and_then(|id| DeliveryId::new(id).ok());
        let payload = member(&told, "Payload").cloned().ok_or("`Payload` is missing")?;
        Ok(Envelope { topic, delivery, payload })
    }
}

/// Returns a member by its name in PascalCase, or the same in camelCase: which of the two is used differs by type.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let mut camel = name.to_owned();
    if let Some(first) = camel.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    value.get(name).or_else(|| value.get(camel)).filter(|found| !found.is_null())
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    member(value, name)?.as_str()
}

/// Returns what a notification tells. `None`: nothing that is followed, or of another account.
fn facts(envelope: &Envelope, account: Account<'_>) -> Result<Option<Vec<Fact>>, String> {
    match envelope.topic.as_str() {
        ORDER_CHANGE => order_change(&envelope.payload, account),
        FBA_CHANGE => stock_change(&envelope.payload, account),
        _ => Ok(None),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OrderChange {
    notification_level: Option<String>,
    seller_id: String,
    amazon_order_id: String,
    order_change_type: Option<String>,
    order_change_trigger: Option<Trigger>,
    summary: Option<Summary>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trigger {
    time_of_order_change: Option<jiff::Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    marketplace_id: Option<String>,
    order_status: Option<String>,
    purchase_date: Option<jiff::Timestamp>,
    fulfillment_type: Option<String>,
    #[serde(default)]
    order_items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "OrderItemId")]
    id: String,
    #[serde(rename = "SellerSKU")]
    sku: String,
    #[serde(rename = "Quantity")]
    ordered: i64,
    #[serde(rename = "QuantityShipped")]
    shipped: Option<i64>,
}

fn order_change(payload: &Value, account: Account<'_>) -> Result<Option<Vec<Fact>>, String> {
    let told = member(payload, "OrderChangeNotification").ok_or("`OrderChangeNotification` is missing")?;
    let told: OrderChange = http::json_part(told)?;
    let elsewhere = |summary: &Summary| {
        summary.marketplace_id.as_ref().is_some_and(|id| !account.marketplaces.contains(id))
    };
    let tip = told.order_change_type.as_deref() == Some("DeliveryTipChange");
    if told.seller_id != account.seller_id || tip || told.summary.as_ref().is_some_and(elsewhere) {
        return Ok(None);
    }
    let id = OrderId::new(&told.amazon_order_id).map_err(|e| e.to_string())?;
    let mut facts: Vec<Fact> = snapshot(&told, &id).map(Fact::Order).into_iter().collect();
    facts.push(Fact::Fetch(id));
    Ok(Some(facts))
}

/// Returns what is said of an order that holds units and has shipped none. Anything else could put units back on sale that
/// are not there, and is left to the order itself.
fn snapshot(told: &OrderChange, id: &OrderId) -> Option<OrderSnapshot> {
    let summary = told.summary.as_ref()?;
    if !matches!(summary.order_status.as_deref(), Some("Pending" | "PendingAvailability" | "Unshipped")) {
        return None;
    }
    let by = match summary.fulfillment_type.as_deref() {
        Some("MFN") => FulfilledBy::Merchant,
        Some("AFN") => FulfilledBy::Channel,
        Some(_) | None => return None,
    };
    let version = told.order_change_trigger.as_ref()?.time_of_order_change?;
    let placed_at = summary.purchase_date?;
    let complete = told.notification_level.as_deref() == Some("OrderLevel");
    let lines: Option<Vec<LineSnapshot>> = summary.order_items.iter().map(|item| line(item, by)).collect();
    Some(OrderSnapshot {
        order: id.clone(),
        name: None,
        version: Timestamp::from_millis(version.as_millisecond()),
        placed_at: Timestamp::from_millis(placed_at.as_millisecond()),
        complete,
        lines: lines.filter(|lines| !lines.is_empty())?,
    })
}

fn line(item: &Item, by: FulfilledBy) -> Option<LineSnapshot> {
    let units = (1..=Quantity::LIMIT).contains(&item.ordered) && item.shipped.unwrap_or(0) == 0;
    let ids = Identifiers::new([(IdKind::Sku, item.sku.as_str())]).ok()?;
    ids.get(IdKind::Sku)?;
    units.then_some(LineSnapshot {
        line: LineId::new(&item.id).ok()?,
        ids,
        location: None,
        unplaced_at: None,
        places: Vec::new(),
        by,
        totals: Totals { ordered: Quantity::new(item.ordered), ..Totals::default() },
        rest: Rest::Open,
    })
}

/// What lies in Amazon's warehouses is read there: messages overtake each other.
fn stock_change(payload: &Value, account: Account<'_>) -> Result<Option<Vec<Fact>>, String> {
    let seller = text(payload, "SellerId").ok_or("`SellerId` is missing")?;
    if seller != account.seller_id || !account.own_stock {
        return Ok(None);
    }
    let sku = text(payload, "SKU").ok_or("`SKU` is missing")?;
    let ids = Identifiers::new([(IdKind::Sku, sku)]).map_err(|e| e.to_string())?;
    ids.get(IdKind::Sku).ok_or("`SKU` is empty")?;
    Ok(Some(vec![Fact::Recount(ids)]))
}
