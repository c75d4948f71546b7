//! Fulfillment orders: where an order's units are to be shipped from.

use std::rc::Rc;

use apollo_compiler::resolvers::{FieldError, ResolvedValue};

use crate::sandbox::shopify::graph::paging::Place;
use crate::sandbox::shopify::graph::search::{self, Fact};
use crate::sandbox::shopify::ids::{self, Kind};
use crate::sandbox::shopify::store::Store;

use super::{Node, Resolved, Selected, Thing, text_argument, time};

const FIELDS: [&str; 4] = ["id", "status", "updated_at", "assigned_location_id"];

impl<'a> Node<'a, '_> {
    /// The fulfillment orders of the shop, oldest change first if so asked.
    pub(super) fn routes<'r>(&self, field: &Selected<'_>) -> Result<ResolvedValue<'r>, FieldError>
    where
        'a: 'r,
    {
        let wanted = self.desk.wanted(field.arguments)?;
        let filter = search::parse(wanted.query);
        if let Some(warning) = search::warnings(&filter, &FIELDS, "fulfillmentOrders", wanted.query) {
            self.desk.warn(warning);
        }
        let closed = field.arguments.get("includeClosed").and_then(|value| value.as_bool()) == Some(true);
        let by_update = text_argument(field, "sortKey") == Some("UPDATED_AT");
        let page = self.read(|shop| {
            let shown = |(_, order, route): &&(i64, usize, usize)| {
                let own = &shop.orders[*order].routes[*route];
                !shop.orders[*order].hidden
                    && (closed || own.status() != "CLOSED")
                    && filter.matches(&|name| fact(shop, *order, *route, name))
            };
            let placed = |(secs, order, route): &(i64, usize, usize)| {
                let id = shop.orders[*order].routes[*route].id;
                let row = usize::try_from(id).unwrap_or(usize::MAX);
                let place = if by_update { Place { value: *secs, row } } else { Place::row(row) };
                (place, Thing::Route { order: *order, route: *route })
            };
            let mut found: Vec<_> = shop.routes_by_update.iter().filter(shown).map(placed).collect();
            found.sort_by_key(|(place, _)| *place);
            let behind =
                found.into_iter().filter(|(place, _)| wanted.after.is_none_or(|after| *place > after));
            wanted.page(behind)
        });
        Ok(self.node(Thing::Connection("FulfillmentOrderConnection", Rc::new(page))))
    }

    pub(super) fn route<'r>(&self, order: usize, n: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let (id, place, status, created_ms, updated_ms) = self.read(|shop| {
            let route = &shop.orders[order].routes[n];
            (route.id, route.place, route.status(), route.created_ms, route.updated_ms)
        });
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::FulfillmentOrder.gid(id)),
            "status" => ResolvedValue::leaf(status),
            "createdAt" => time(created_ms),
            "updatedAt" => time(updated_ms),
            "order" => self.node(Thing::Order(order)),
            "orderId" => ResolvedValue::leaf(Kind::Order.gid(order as u64)),
            "assignedLocation" => self.node(Thing::Assigned(place)),
            "lineItems" => {
                let rows = 0..self.read(|shop| shop.orders[order].routes[n].lines.len());
                let things = rows.map(|row| Thing::RouteLine { order, route: n, row });
                return Some(self.short_connection("FulfillmentOrderLineItemConnection", field, things));
            }
            _ => return None,
        }))
    }

    pub(super) fn route_line<'r>(
        &self,
        order: usize,
        route: usize,
        row: usize,
        field: &Selected<'_>,
    ) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let (id, line, total, remaining) = self.read(|shop| {
            let row = &shop.orders[order].routes[route].lines[row];
            (row.id, row.line, row.total, row.remaining)
        });
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::FulfillmentOrderLineItem.gid(id)),
            "totalQuantity" => ResolvedValue::leaf(total),
            "remainingQuantity" => ResolvedValue::leaf(remaining),
            "lineItem" => self.node(Thing::Line { order, line }),
            _ => return None,
        }))
    }

    pub(super) fn assigned<'r>(&self, place: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "name" => ResolvedValue::leaf(super::stock::place_name(place)),
            "location" => self.node(Thing::Location(place)),
            _ => return None,
        }))
    }
}

fn fact(shop: &Store, order: usize, route: usize, name: &str) -> Option<Fact> {
    let route = &shop.orders[order].routes[route];
    Some(match name {
        "id" => Fact::Number(i64::try_from(Kind::FulfillmentOrder.number(route.id)).ok()?),
        "status" => Fact::Text(route.status().to_lowercase()),
        "updated_at" => Fact::Time(route.updated_ms),
        "assigned_location_id" => Fact::Number(i64::try_from(ids::location(route.place)).ok()?),
        _ => return None,
    })
}
