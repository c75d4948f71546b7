//! Webhooks: what they are about, and their REST-shaped bodies. A body is made when a webhook is first sent, not at its
//! event, so two quick changes may both show the second.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::sandbox::clock::iso_shop_zone;
use crate::sandbox::dice::Dice;

use super::app::Subscription;
use super::ids::{self, Kind};
use super::orders::{Fulfilment, Line, Order, Restock};
use super::store::Store;

/// The shop's own number.
const SHOP: u64 = 89_012_345_678;

/// Something that happened in the shop; all webhooks of one event share its id.
pub(in crate::sandbox) struct Event<'a> {
    pub(in crate::sandbox) now_ms: i64,
    id: String,
    dice: &'a mut Dice,
}

impl<'a> Event<'a> {
    pub(in crate::sandbox) fn new(dice: &'a mut Dice, now_ms: i64) -> Event<'a> {
        Event { now_ms, id: dice.uuid(), dice }
    }

    pub(super) fn letter(&mut self, topic: &'static str, subject: Subject) -> Letter {
        let (webhook_id, event_id) = (self.dice.uuid(), self.id.clone());
        Letter { topic, subject, to: None, webhook_id, event_id, triggered_ms: self.now_ms }
    }
}

/// One webhook that is due.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) topic: &'static str,
    pub(super) subject: Subject,
    /// The subscription that it is for. `None`: one that was made in the admin.
    pub(super) to: Option<Arc<Subscription>>,
    /// The same on every try of this webhook.
    pub(super) webhook_id: String,
    pub(super) event_id: String,
    pub(super) triggered_ms: i64,
}

#[derive(Debug, Clone)]
pub(super) enum Subject {
    Order(usize),
    /// Lines with the units added and removed.
    Edit {
        order: usize,
        edit: u64,
        additions: Vec<(usize, i64)>,
        removals: Vec<(usize, i64)>,
    },
    Refund {
        order: usize,
        refund: usize,
    },
    Fulfilment {
        order: usize,
        fulfilment: usize,
    },
    Level {
        item: usize,
        place: usize,
    },
    /// The shop itself.
    Shop,
    /// What an app may do.
    Scopes {
        previous: Vec<String>,
        current: Vec<String>,
        updated_ms: i64,
    },
    /// Indexes of two of the order's fulfillment orders.
    Rerouted {
        order: usize,
        source: usize,
        target: usize,
    },
}

impl Store {
    /// Makes a webhook's body from the present state.
    pub(super) fn body(&self, subject: &Subject) -> Value {
        match subject {
            Subject::Order(order) => self.order_body(*order),
            Subject::Edit { order, edit, additions, removals } => {
                self.edit_body(*order, *edit, additions, removals)
            }
            Subject::Refund { order, refund } => self.refund_body(*order, *refund),
            Subject::Fulfilment { order, fulfilment } => self.fulfilment_body(*order, *fulfilment),
            Subject::Level { item, place } => self.level_body(*item, *place),
            Subject::Shop => json!({"id": SHOP, "name": "Evenkeel sandbox", "email": "owner@example.com"}),
            Subject::Scopes { previous, current, updated_ms } => json!({
                "id": SHOP,
                "previous": previous,
                "current": current,
                "updated_at": iso_shop_zone(*updated_ms),
            }),
            Subject::Rerouted { order, source, target } => self.rerouted_body(*order, *source, *target),
        }
    }

    fn rerouted_body(&self, order: usize, source: usize, target: usize) -> Value {
        let routes = &self.orders[order].routes;
        let about = |route: &super::routes::Route| json!({"id": Kind::FulfillmentOrder.gid(route.id), "status": route.status().to_lowercase()});
        let (source, target) = (&routes[source], &routes[target]);
        let lines: Vec<Value> = target
            .lines
            .iter()
            .map(|line| {
                json!({"id": Kind::FulfillmentOrderLineItem.gid(line.id), "quantity": line.total.to_string()})
            })
            .collect();
        json!({
            "original_fulfillment_order": about(source),
            "moved_fulfillment_order": about(target),
            "destination_location_id": ids::location_gid(target.place),
            "fulfillment_order_line_items_requested": lines,
            "source_location": {"id": ids::location_gid(source.place), "name": format!("Place {}", source.place + 1)},
        })
    }

    fn level_body(&self, item: usize, place: usize) -> Value {
        let level = self.level(item, place);
        json!({
            "inventory_item_id": Kind::InventoryItem.number(item as u64),
            "location_id": ids::location(place),
            "available": level.available,
            "updated_at": iso_shop_zone(level.updated_ms),
            "admin_graphql_api_id": ids::level_gid(item, place),
        })
    }

    fn order_body(&self, n: usize) -> Value {
        let order = &self.orders[n];
        let cancelled_at = order.cancelled.map(|(ms, _)| iso_shop_zone(ms));
        let total = money(order.lines.iter().map(|line| self.cents(line) * line.quantity).sum());
        let current_total = money(order.lines.iter().map(|line| self.cents(line) * line.current()).sum());
        let refunded = !order.refunds.is_empty();
        let financial = if order.lines.iter().all(|line| line.current() == 0) {
            "refunded"
        } else if refunded {
            "partially_refunded"
        } else {
            "paid"
        };
        let lines: Vec<Value> = order.lines.iter().map(|line| self.line_body(order, line)).collect();
        let fulfilments: Vec<Value> =
            (0..order.fulfilments.len()).map(|f| self.fulfilment_body(n, f)).collect();
        let refunds: Vec<Value> = (0..order.refunds.len()).map(|r| self.refund_body(n, r)).collect();
        let number = n + 1;
        let mut body = json!({
            "id": Kind::Order.number(n as u64),
            "admin_graphql_api_id": Kind::Order.gid(n as u64),
            "app_id": 580_111,
            "buyer_accepts_marketing": false,
            "cancel_reason": order.cancelled.map(|(_, reason)| reason.name()),
            "cancelled_at": cancelled_at,
            "closed_at": cancelled_at,
            "confirmed": true,
            "created_at": iso_shop_zone(order.created_ms),
            "currency": "USD",
            "current_total_price": current_total,
            "current_total_price_set": money_set(&current_total),
            "customer_locale": "en",
            "financial_status": financial,
            "fulfillment_status": order.fulfilment_status(),
            "location_id": null,
            "name": order_name(n),
            "note": null,
            "number": number,
            "order_number": 1000 + number,
            "payment_gateway_names": ["bogus"],
            "presentment_currency": "USD",
            "processed_at": iso_shop_zone(order.created_ms),
            "source_name": "web",
            "subtotal_price": total,
            "tags": "",
            "tax_lines": [],
            "taxes_included": false,
            "test": false,
            "total_price": total,
            "total_price_set": money_set(&total),
            "updated_at": iso_shop_zone(order.updated_ms),
        });
        let rest = json!({
            "discount_applications": [],
            "fulfillments": fulfilments,
            "line_items": lines,
            "payment_terms": null,
            "refunds": refunds,
            "returns": [],
            "shipping_lines": [],
            "line_item_groups": self.group_bodies(order),
            "email": buyer(n),
            "contact_email": buyer(n),
            "shipping_address": address(),
            "billing_address": address(),
        });
        merge(&mut body, rest);
        body
    }

    fn cents(&self, line: &Line) -> i64 {
        self.items[line.item].price_cents
    }

    fn line_body(&self, order: &Order, line: &Line) -> Value {
        let group = line.group.map(|group| Kind::LineItemGroup.number(order.groups[group].id));
        let price = money(self.cents(line));
        let status = match (line.fulfilled, line.unfulfilled()) {
            (0, _) => None,
            (_, 0) => Some("fulfilled"),
            (_, _) => Some("partial"),
        };
        let item = &self.items[line.item];
        json!({
            "id": Kind::LineItem.number(line.id),
            "admin_graphql_api_id": Kind::LineItem.gid(line.id),
            "attributed_staffs": [],
            "current_quantity": line.current(),
            "fulfillable_quantity": line.unfulfilled(),
            "fulfillment_service": "manual",
            "fulfillment_status": status,
            "gift_card": false,
            "grams": 100,
            "name": item.title,
            "price": price,
            "price_set": money_set(&price),
            "product_exists": true,
            "product_id": Kind::Product.number(line.item as u64),
            "properties": [],
            "quantity": line.quantity,
            "requires_shipping": true,
            "sales_line_item_group_id": group,
            "sku": item.sku,
            "taxable": true,
            "title": item.title,
            "total_discount": "0.00",
            "total_discount_set": money_set("0.00"),
            "variant_id": Kind::ProductVariant.number(line.item as u64),
            "variant_inventory_management": "shopify",
            "variant_title": null,
            "vendor": "Evenkeel sandbox",
            "tax_lines": [],
            "duties": [],
            "discount_allocations": [],
        })
    }

    fn fulfilment_body(&self, n: usize, fulfilment: usize) -> Value {
        let order: &Order = &self.orders[n];
        let Fulfilment { id, place, created_ms, updated_ms, cancelled, lines } =
            &order.fulfilments[fulfilment];
        let lines: Vec<Value> = lines
            .iter()
            .map(|(line, quantity)| {
                let mut body = self.line_body(order, &order.lines[*line]);
                body["quantity"] = json!(quantity);
                body
            })
            .collect();
        json!({
            "id": Kind::Fulfillment.number(*id),
            "admin_graphql_api_id": Kind::Fulfillment.gid(*id),
            "order_id": Kind::Order.number(n as u64),
            "status": if *cancelled { "cancelled" } else { "success" },
            "created_at": iso_shop_zone(*created_ms),
            "service": "manual",
            "updated_at": iso_shop_zone(*updated_ms),
            "tracking_company": null,
            "shipment_status": null,
            "location_id": ids::location(*place),
            "origin_address": null,
            "line_items": lines,
            "tracking_number": null,
            "tracking_numbers": [],
            "tracking_url": null,
            "tracking_urls": [],
            "receipt": {},
            "name": format!("{}.{}", order_name(n), fulfilment + 1),
        })
    }

    fn refund_body(&self, n: usize, refund: usize) -> Value {
        let order = &self.orders[n];
        let refund = &order.refunds[refund];
        let lines: Vec<Value> = refund
            .lines
            .iter()
            .map(|line| {
                let source = &order.lines[line.line];
                let subtotal = money(self.cents(source) * line.quantity);
                let location = (line.restock != Restock::NoRestock).then(|| ids::location(line.place));
                json!({
                    "id": Kind::RefundLineItem.number(line.id),
                    "quantity": line.quantity,
                    "line_item_id": Kind::LineItem.number(source.id),
                    "location_id": location,
                    "restock_type": restock_name(line.restock),
                    "subtotal": subtotal.parse::<f64>().unwrap_or(0.0),
                    "total_tax": 0,
                    "subtotal_set": money_set(&subtotal),
                    "total_tax_set": money_set("0.00"),
                    "line_item": self.line_body(order, source),
                })
            })
            .collect();
        json!({
            "id": Kind::Refund.number(refund.id),
            "admin_graphql_api_id": Kind::Refund.gid(refund.id),
            "order_id": Kind::Order.number(n as u64),
            "created_at": iso_shop_zone(refund.created_ms),
            "note": null,
            "user_id": null,
            "processed_at": iso_shop_zone(refund.created_ms),
            "duties": [],
            "total_duties_set": money_set("0.00"),
            "return": null,
            "refund_shipping_lines": [],
            "restock": refund.lines.iter().any(|line| line.restock != Restock::NoRestock),
            "order_adjustments": [],
            "refund_line_items": lines,
            "transactions": [],
        })
    }

    fn edit_body(&self, n: usize, edit: u64, added: &[(usize, i64)], removed: &[(usize, i64)]) -> Value {
        let order = &self.orders[n];
        let deltas = |lines: &[(usize, i64)]| -> Vec<Value> {
            lines
                .iter()
                .map(|(line, delta)| json!({"id": Kind::LineItem.number(order.lines[*line].id), "delta": delta}))
                .collect()
        };
        json!({"order_edit": {
            "id": Kind::OrderEdit.number(edit),
            "app_id": null,
            "created_at": iso_shop_zone(order.updated_ms),
            "committed_at": iso_shop_zone(order.updated_ms),
            "notify_customer": false,
            "order_id": Kind::Order.number(n as u64),
            "staff_note": "",
            "user_id": null,
            "line_items": {"additions": deltas(added), "removals": deltas(removed)},
            "discounts": {"line_item": {"additions": [], "removals": []}},
            "shipping_lines": {"additions": [], "removals": []},
        }})
    }
}

pub(super) fn order_name(n: usize) -> String {
    format!("#{}", 1001 + n)
}

fn restock_name(restock: Restock) -> &'static str {
    match restock {
        Restock::Cancel => "cancel",
        Restock::Return => "return",
        Restock::NoRestock => "no_restock",
    }
}

/// A made-up buyer, so that a client can be seen to drop what it must not keep.
fn buyer(n: usize) -> String {
    format!("shopper{n}@example.com")
}

fn address() -> Value {
    json!({
        "first_name": "Example", "last_name": "Shopper", "name": "Example Shopper", "address1": "1 Example Street",
        "phone": "555-0100", "city": "Exampleville", "zip": "00000", "province": "Kentucky", "province_code": "KY",
        "country": "United States", "country_code": "US", "company": null, "address2": null,
    })
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn money_set(amount: &str) -> Value {
    let money = json!({"amount": amount, "currency_code": "USD"});
    json!({"shop_money": money, "presentment_money": money})
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
