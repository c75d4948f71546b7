//! Notifications v1: destinations, subscriptions, and the bodies of what is published.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sandbox::clock::iso_millis;
use crate::sandbox::dice::Dice;
use crate::sandbox::queue;

use super::Failure;
use super::orders::Change;
use super::store::Store;

pub(super) const ORDER_CHANGE: &str = "ORDER_CHANGE";
pub(super) const FBA_CHANGE: &str = "FBA_INVENTORY_AVAILABILITY_CHANGES";

/// Who is told of what.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// The queues that were named, by id.
    destinations: BTreeMap<String, Destination>,
    /// By type.
    subscriptions: BTreeMap<String, Subscription>,
    /// What is to be published.
    pub(super) outbox: Vec<String>,
}

struct Destination {
    name: String,
    arn: String,
}

struct Subscription {
    id: String,
    destination: String,
    directive: Value,
}

impl Subscriptions {
    /// Is subscribed from the start.
    pub(super) fn all(dice: &mut Dice) -> Subscriptions {
        let mut own = Subscriptions::default();
        let destination = dice.uuid();
        let named = Destination { name: "evenkeel".to_owned(), arn: queue::arn() };
        own.destinations.insert(destination.clone(), named);
        for kind in [ORDER_CHANGE, FBA_CHANGE] {
            let directive = Value::Null;
            let subscription = Subscription { id: dice.uuid(), destination: destination.clone(), directive };
            own.subscriptions.insert(kind.to_owned(), subscription);
        }
        own
    }

    /// The id of the subscription that has a type put into the sandbox's queue.
    fn to_us(&self, kind: &str) -> Option<&str> {
        let subscription = self.subscriptions.get(kind)?;
        let destination = self.destinations.get(&subscription.destination)?;
        (destination.arn == queue::arn()).then_some(subscription.id.as_str())
    }

    pub(super) fn subscribed(&self) -> Vec<&str> {
        self.subscriptions.keys().map(String::as_str).filter(|kind| self.to_us(kind).is_some()).collect()
    }

    fn destination(&self, id: &str) -> Value {
        let own = &self.destinations[id];
        json!({"destinationId": id, "name": own.name, "resource": {"sqs": {"arn": own.arn}}})
    }

    pub(super) fn destinations(&self) -> Value {
        let all: Vec<Value> = self.destinations.keys().map(|id| self.destination(id)).collect();
        json!({"payload": all})
    }

    pub(super) fn create_destination(&mut self, body: &[u8], dice: &mut Dice) -> Result<Value, Failure> {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let arn = asked["resourceSpecification"]["sqs"]["arn"].as_str();
        let (Some(name), Some(arn)) = (asked["name"].as_str(), arn) else {
            return Err(Failure::invalid("name and resourceSpecification.sqs.arn are required"));
        };
        if self.destinations.values().any(|own| own.arn == arn) {
            return Err(Failure::conflict("a destination with this resource exists"));
        }
        let id = dice.uuid();
        let own = Destination { name: name.to_owned(), arn: arn.to_owned() };
        self.destinations.insert(id.clone(), own);
        Ok(json!({"payload": self.destination(&id)}))
    }

    pub(super) fn subscription(&self, kind: &str) -> Result<Value, Failure> {
        let missing = || Failure::not_found(&format!("no subscription to {kind}"));
        let own = self.subscriptions.get(kind).ok_or_else(missing)?;
        let mut told = json!({
            "subscriptionId": own.id,
            "payloadVersion": "1.0",
            "destinationId": own.destination,
        });
        if !own.directive.is_null() {
            told["processingDirective"] = own.directive.clone();
        }
        Ok(json!({"payload": told}))
    }

    pub(super) fn subscribe(&mut self, kind: &str, body: &[u8], dice: &mut Dice) -> Result<Value, Failure> {
        if ![ORDER_CHANGE, FBA_CHANGE].contains(&kind) {
            return Err(Failure::invalid("this type is not simulated"));
        }
        if self.subscriptions.contains_key(kind) {
            return Err(Failure::conflict("a subscription to this type exists"));
        }
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let destination = asked["destinationId"].as_str().unwrap_or_default().to_owned();
        if asked["payloadVersion"] != "1.0" || !self.destinations.contains_key(&destination) {
            return Err(Failure::invalid("payloadVersion 1.0 and an existing destinationId are required"));
        }
        let directive = asked["processingDirective"].clone();
        // People got 400 for an order subscription without one.
        if kind == ORDER_CHANGE && directive["eventFilter"]["eventFilterType"] != ORDER_CHANGE {
            return Err(Failure::invalid("processingDirective.eventFilter is required"));
        }
        self.subscriptions.insert(kind.to_owned(), Subscription { id: dice.uuid(), destination, directive });
        self.subscription(kind)
    }
}

impl Store {
    /// Plans what is to be told of an order that changed.
    pub(super) fn notify(&mut self, order: usize, change: Change, now_ms: i64) {
        if let Some(subscription) = self.subscriptions.to_us(ORDER_CHANGE) {
            let body = self.order_change(order, change, now_ms);
            let body = enveloped(ORDER_CHANGE, body, subscription, self.notified, now_ms);
            self.notified += 1;
            self.subscriptions.outbox.push(body);
        }
        for listing in self.fba_listings(order) {
            let Some(subscription) = self.subscriptions.to_us(FBA_CHANGE) else { return };
            let body = enveloped(FBA_CHANGE, self.fba_change(listing), subscription, self.notified, now_ms);
            self.notified += 1;
            self.subscriptions.outbox.push(body);
        }
    }

    fn fba_change(&self, listing: usize) -> Value {
        let own = &self.listings[listing];
        json!({
            "SellerId": self.seller,
            "FNSKU": own.fnsku,
            "ASIN": own.asin,
            "SKU": own.seller_sku,
            "FulfillmentInventoryByMarketplace": [{
                "MarketplaceId": self.marketplace,
                "ItemName": own.title,
                "FulfillmentInventory": {
                    "InboundQuantityBreakdown": {"Working": 0, "Shipped": 0, "Receiving": 0},
                    "Fulfillable": own.live,
                    "Unfulfillable": 0,
                    "Researching": 0,
                    "ReservedQuantityBreakdown": {
                        "WarehouseProcessing": 0,
                        "WarehouseTransfer": 0,
                        "PendingCustomerOrder": self.reserved(listing),
                    },
                    "FutureSupplyBuyable": 0,
                    "PendingCustomerOrderInTransit": 0,
                },
                "Stores": [],
            }],
        })
    }
}

fn enveloped(kind: &str, payload: Value, subscription: &str, nth: u64, now_ms: i64) -> String {
    let told = json!({
        "NotificationVersion": "1.0",
        "NotificationType": kind,
        "PayloadVersion": "1.0",
        "EventTime": iso_millis(now_ms),
        "Payload": payload,
        "NotificationMetadata": {
            "ApplicationId": "app-id-sandbox",
            "SubscriptionId": subscription,
            "PublishTime": iso_millis(now_ms),
            "NotificationId": format!("00000000-0000-4000-8000-{nth:012}"),
        },
    });
    told.to_string()
}
