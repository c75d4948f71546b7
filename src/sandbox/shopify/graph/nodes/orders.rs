//! Orders with their lines, fulfilments and refunds.

use apollo_compiler::resolvers::ResolvedValue;
use apollo_compiler::response::JsonValue;

use crate::sandbox::shopify::ids::Kind;
use crate::sandbox::shopify::orders::{Line, Order, Restock};
use crate::sandbox::shopify::webhooks::order_name;

use super::{Node, Resolved, Selected, Thing, leaf, time};

impl<'a> Node<'a, '_> {
    pub(super) fn order<'r>(&self, n: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let read =
            |look: &dyn Fn(&Order) -> JsonValue| ResolvedValue::Leaf(self.read(|shop| look(&shop.orders[n])));
        let cancelled_ms = self.read(|shop| shop.orders[n].cancelled.map(|(ms, _)| ms));
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::Order.gid(n as u64)),
            "legacyResourceId" => ResolvedValue::leaf(Kind::Order.number(n as u64).to_string()),
            "name" => ResolvedValue::leaf(order_name(n)),
            "sourceName" => ResolvedValue::leaf("web"),
            "currencyCode" => ResolvedValue::leaf("USD"),
            "confirmed" => ResolvedValue::leaf(true),
            "test" => ResolvedValue::leaf(false),
            "tags" => ResolvedValue::list(Vec::new()),
            "createdAt" | "processedAt" => time(self.read(|shop| shop.orders[n].created_ms)),
            "updatedAt" => time(self.read(|shop| shop.orders[n].updated_ms)),
            "cancelledAt" | "closedAt" => cancelled_ms.map_or_else(ResolvedValue::null, time),
            "closed" => ResolvedValue::leaf(cancelled_ms.is_some()),
            "cancelReason" => read(&|order| {
                order.cancelled.map_or(JsonValue::Null, |(_, reason)| reason.name().to_uppercase().into())
            }),
            "edited" => read(&|order| order.edited.into()),
            "restockable" => read(&|order| order.lines.iter().any(|line| line.current() > 0).into()),
            "displayFinancialStatus" => read(&|order| financial_status(order).into()),
            "displayFulfillmentStatus" => read(&|order| {
                match order.fulfilment_status() {
                    None => "UNFULFILLED",
                    Some("partial") => "PARTIALLY_FULFILLED",
                    Some(_) => "FULFILLED",
                }
                .into()
            }),
            "currentSubtotalLineItemsQuantity" => {
                read(&|order| order.lines.iter().map(Line::current).sum::<i64>().into())
            }
            "subtotalLineItemsQuantity" => {
                read(&|order| order.lines.iter().map(|line| line.quantity).sum::<i64>().into())
            }
            "lineItems" => {
                let lines = 0..self.read(|shop| shop.orders[n].lines.len());
                let things = lines.map(|line| Thing::Line { order: n, line });
                return Some(self.short_connection("LineItemConnection", field, things));
            }
            "fulfillments" => {
                let count = first(field, self.read(|shop| shop.orders[n].fulfilments.len()));
                self.list((0..count).map(|fulfilment| Thing::Fulfilment { order: n, fulfilment }))
            }
            // Nothing is sold over the counter here.
            "retailLocation" => ResolvedValue::null(),
            "fulfillmentOrders" => {
                let routes = 0..self.read(|shop| shop.orders[n].routes.len());
                let things = routes.map(|route| Thing::Route { order: n, route });
                return Some(self.short_connection("FulfillmentOrderConnection", field, things));
            }
            "refunds" => {
                let count = first(field, self.read(|shop| shop.orders[n].refunds.len()));
                self.list((0..count).map(|refund| Thing::Refund { order: n, refund }))
            }
            _ => return None,
        }))
    }

    pub(super) fn line<'r>(&self, order: usize, n: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let read = |look: &dyn Fn(&Line) -> JsonValue| {
            ResolvedValue::Leaf(self.read(|shop| look(&shop.orders[order].lines[n])))
        };
        let item = self.read(|shop| shop.orders[order].lines[n].item);
        Some(Ok(match field.name {
            "id" => read(&|line| Kind::LineItem.gid(line.id).into()),
            "quantity" => read(&|line| line.quantity.into()),
            "currentQuantity" | "refundableQuantity" => read(&|line| line.current().into()),
            "unfulfilledQuantity" | "fulfillableQuantity" => read(&|line| line.unfulfilled().into()),
            "nonFulfillableQuantity" => read(&|line| line.removed.into()),
            "fulfillmentStatus" => read(&|line| {
                match (line.fulfilled, line.unfulfilled()) {
                    (0, _) => "unfulfilled",
                    (_, 0) => "fulfilled",
                    (_, _) => "partial",
                }
                .into()
            }),
            "restockable" => read(&|line| (line.current() > 0).into()),
            "isGiftCard" => ResolvedValue::leaf(false),
            "requiresShipping" => ResolvedValue::leaf(true),
            "sku" => ResolvedValue::leaf(self.read(|shop| shop.items[item].sku.clone())),
            "name" | "title" => ResolvedValue::leaf(self.read(|shop| shop.items[item].title.clone())),
            "variantTitle" => ResolvedValue::null(),
            "vendor" => ResolvedValue::leaf("Evenkeel sandbox"),
            "product" => self.node(Thing::Product(item)),
            "variant" => self.node(Thing::Variant(item)),
            "lineItemGroup" => {
                let group = self.read(|shop| shop.orders[order].lines[n].group);
                self.maybe(group.map(|group| Thing::LineGroup { order, group }))
            }
            _ => return None,
        }))
    }

    pub(super) fn line_group<'r>(
        &self,
        order: usize,
        group: usize,
        field: &Selected<'_>,
    ) -> Option<Resolved<'r>> {
        let (id, item, quantity) = self.read(|shop| {
            let group = &shop.orders[order].groups[group];
            (group.id, group.item, group.quantity)
        });
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::LineItemGroup.gid(id)),
            "quantity" => ResolvedValue::leaf(quantity),
            "title" => ResolvedValue::leaf(self.read(|shop| shop.items[item].title.clone())),
            "productId" => ResolvedValue::leaf(Kind::Product.gid(item as u64)),
            "variantId" => ResolvedValue::leaf(Kind::ProductVariant.gid(item as u64)),
            "variantSku" => ResolvedValue::leaf(self.read(|shop| shop.items[item].sku.clone())),
            "customAttributes" => ResolvedValue::list(Vec::new()),
            _ => return None,
        }))
    }

    pub(super) fn fulfilment<'r>(&self, order: usize, n: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let id = self.read(|shop| shop.orders[order].fulfilments[n].id);
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::Fulfillment.gid(id)),
            "legacyResourceId" => ResolvedValue::leaf(Kind::Fulfillment.number(id).to_string()),
            "name" => ResolvedValue::leaf(format!("{}-F{}", order_name(order), n + 1)),
            "createdAt" => time(self.read(|shop| shop.orders[order].fulfilments[n].created_ms)),
            "updatedAt" => time(self.read(|shop| shop.orders[order].fulfilments[n].updated_ms)),
            "status" => {
                let cancelled = self.read(|shop| shop.orders[order].fulfilments[n].cancelled);
                ResolvedValue::leaf(if cancelled { "CANCELLED" } else { "SUCCESS" })
            }
            "totalQuantity" => {
                let units = |(_, units): &(usize, i64)| *units;
                let total: i64 =
                    self.read(|shop| shop.orders[order].fulfilments[n].lines.iter().map(units).sum());
                ResolvedValue::leaf(total)
            }
            "location" => {
                self.node(Thing::Location(self.read(|shop| shop.orders[order].fulfilments[n].place)))
            }
            "order" => self.node(Thing::Order(order)),
            "fulfillmentLineItems" => {
                let rows = 0..self.read(|shop| shop.orders[order].fulfilments[n].lines.len());
                let things = rows.map(|row| Thing::FulfilmentLine { order, fulfilment: n, row });
                return Some(self.short_connection("FulfillmentLineItemConnection", field, things));
            }
            _ => return None,
        }))
    }

    pub(super) fn fulfilment_line<'r>(
        &self,
        order: usize,
        fulfilment: usize,
        row: usize,
        field: &Selected<'_>,
    ) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let (id, (line, units)) = self.read(|shop| {
            let fulfilment = &shop.orders[order].fulfilments[fulfilment];
            (fulfilment.id, fulfilment.lines[row])
        });
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::FulfillmentLineItem.gid(id * 1000 + row as u64)),
            "quantity" => ResolvedValue::leaf(units),
            "lineItem" => self.node(Thing::Line { order, line }),
            _ => return None,
        }))
    }

    pub(super) fn refund<'r>(&self, order: usize, n: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let (id, created_ms) = self.read(|shop| {
            let refund = &shop.orders[order].refunds[n];
            (refund.id, refund.created_ms)
        });
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::Refund.gid(id)),
            "legacyResourceId" => ResolvedValue::leaf(Kind::Refund.number(id).to_string()),
            "note" => ResolvedValue::null(),
            "createdAt" | "processedAt" | "updatedAt" => time(created_ms),
            "order" => self.node(Thing::Order(order)),
            "refundLineItems" => {
                let rows = 0..self.read(|shop| shop.orders[order].refunds[n].lines.len());
                let things = rows.map(|row| Thing::RefundLine { order, refund: n, row });
                return Some(self.short_connection("RefundLineItemConnection", field, things));
            }
            _ => return None,
        }))
    }

    pub(super) fn refund_line<'r>(
        &self,
        order: usize,
        refund: usize,
        row: usize,
        field: &Selected<'_>,
    ) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let line = self.read(|shop| shop.orders[order].refunds[refund].lines[row]);
        let restocked = line.restock != Restock::NoRestock;
        Some(Ok(match field.name {
            "id" => leaf(Some(Kind::RefundLineItem.gid(line.id))),
            "quantity" => ResolvedValue::leaf(line.quantity),
            "restocked" => ResolvedValue::leaf(restocked),
            "restockType" => ResolvedValue::leaf(match line.restock {
                Restock::Cancel => "CANCEL",
                Restock::Return => "RETURN",
                Restock::NoRestock => "NO_RESTOCK",
            }),
            "location" => self.maybe(restocked.then_some(Thing::Location(line.place))),
            "lineItem" => self.node(Thing::Line { order, line: line.line }),
            _ => return None,
        }))
    }
}

/// A plain list's `first` argument.
fn first(field: &Selected<'_>, count: usize) -> usize {
    let first = field.arguments.get("first").and_then(JsonValue::as_i64);
    first.map_or(count, |first| count.min(usize::try_from(first).unwrap_or(0)))
}

fn financial_status(order: &Order) -> &'static str {
    if order.refunds.is_empty() {
        "PAID"
    } else if order.lines.iter().all(|line| line.current() == 0) {
        "REFUNDED"
    } else {
        "PARTIALLY_REFUNDED"
    }
}
