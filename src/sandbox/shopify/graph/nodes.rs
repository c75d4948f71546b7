//! The objects that the executor walks over. A [`Thing`] names what an object is; its fields are read from the world
//! when they are selected.

use std::rc::Rc;
use std::sync::Arc;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::{JsonMap, JsonValue};

use crate::sandbox::clock::iso_seconds;
use crate::sandbox::shopify::inventory::{Group, Outcome};
use crate::sandbox::shopify::store::Store;

use super::Desk;
use super::paging::Page;
use bulk::Begun;

mod bulk;
mod hooks;
mod orders;
mod root;
mod routes;
mod stock;
mod writes;

#[derive(Clone)]
pub(super) enum Thing {
    Query,
    Mutation,
    Shop,
    ShopPlan,
    App,
    Scope(String),
    Version(String),
    /// A webhook subscription, by its number.
    Subscription(u64),
    Location(usize),
    /// Item, place.
    Level(usize, usize),
    Quantity(usize, usize, String),
    Item(usize),
    Variant(usize),
    Product(usize),
    Order(usize),
    Line {
        order: usize,
        line: usize,
    },
    /// A bundle that was sold.
    LineGroup {
        order: usize,
        group: usize,
    },
    Fulfilment {
        order: usize,
        fulfilment: usize,
    },
    FulfilmentLine {
        order: usize,
        fulfilment: usize,
        row: usize,
    },
    Route {
        order: usize,
        route: usize,
    },
    RouteLine {
        order: usize,
        route: usize,
        row: usize,
    },
    Assigned(usize),
    Refund {
        order: usize,
        refund: usize,
    },
    RefundLine {
        order: usize,
        refund: usize,
        row: usize,
    },
    Connection(&'static str, Rc<Page>),
    Edge(&'static str, Rc<Page>, usize),
    PageInfo(Rc<Page>),
    Payload(&'static str, Arc<Outcome>),
    UserError(&'static str, Arc<Outcome>, usize),
    Group(Arc<Group>),
    Change(Arc<Group>, usize),
    Bulk(usize),
    /// What came of beginning a bulk operation.
    BulkBegun(Rc<Begun>),
    BulkError(Rc<Begun>),
    /// How many there are, counted up to a limit.
    Count(usize, Option<usize>),
}

/// A thing within reach of the world.
pub(super) struct Node<'a, 'w> {
    desk: &'a Desk<'w>,
    thing: Thing,
}

type Resolved<'r> = Result<ResolvedValue<'r>, FieldError>;

/// One selected field: its name and arguments.
struct Selected<'r> {
    name: &'r str,
    arguments: &'r JsonMap,
}

pub(super) fn root<'a, 'w>(desk: &'a Desk<'w>, mutation: bool) -> Node<'a, 'w> {
    Node { desk, thing: if mutation { Thing::Mutation } else { Thing::Query } }
}

impl ObjectValue for Node<'_, '_> {
    fn type_name(&self) -> &str {
        match &self.thing {
            Thing::Query => "QueryRoot",
            Thing::Mutation => "Mutation",
            Thing::Shop => "Shop",
            Thing::ShopPlan => "ShopPlan",
            Thing::App => "AppInstallation",
            Thing::Scope(_) => "AccessScope",
            Thing::Version(_) => "ApiVersion",
            Thing::Subscription(_) => "WebhookSubscription",
            Thing::Location(_) => "Location",
            Thing::Level(..) => "InventoryLevel",
            Thing::Quantity(..) => "InventoryQuantity",
            Thing::Item(_) => "InventoryItem",
            Thing::Variant(_) => "ProductVariant",
            Thing::Product(_) => "Product",
            Thing::Order(_) => "Order",
            Thing::Line { .. } => "LineItem",
            Thing::LineGroup { .. } => "LineItemGroup",
            Thing::Fulfilment { .. } => "Fulfillment",
            Thing::FulfilmentLine { .. } => "FulfillmentLineItem",
            Thing::Route { .. } => "FulfillmentOrder",
            Thing::RouteLine { .. } => "FulfillmentOrderLineItem",
            Thing::Assigned(_) => "FulfillmentOrderAssignedLocation",
            Thing::Refund { .. } => "Refund",
            Thing::RefundLine { .. } => "RefundLineItem",
            Thing::Connection(name, _)
            | Thing::Edge(name, ..)
            | Thing::Payload(name, _)
            | Thing::UserError(name, ..) => name,
            Thing::PageInfo(_) => "PageInfo",
            Thing::Group(_) => "InventoryAdjustmentGroup",
            Thing::Change(..) => "InventoryChange",
            Thing::Bulk(_) => "BulkOperation",
            Thing::BulkBegun(_) => "BulkOperationRunQueryPayload",
            Thing::BulkError(_) => "BulkOperationUserError",
            Thing::Count(..) => "Count",
        }
    }

    fn resolve_field<'r>(&'r self, info: &'r ResolveInfo<'r>) -> Resolved<'r> {
        let field = Selected { name: info.field_name(), arguments: info.arguments() };
        let resolved = match &self.thing {
            Thing::Query => self.query(&field),
            Thing::Mutation => self.mutation(&field, info),
            Thing::Shop => self.shop(&field),
            Thing::ShopPlan => self.shop_plan(&field),
            Thing::App => self.app(&field),
            Thing::Scope(handle) => self.scope(handle, &field),
            Thing::Version(handle) => self.version(handle, &field),
            Thing::Subscription(number) => self.subscription(*number, &field),
            Thing::Location(place) => self.location(*place, &field),
            Thing::Level(item, place) => self.level(*item, *place, &field),
            Thing::Quantity(item, place, name) => self.quantity(*item, *place, name, &field),
            Thing::Item(item) => self.item(*item, &field),
            Thing::Variant(item) => self.variant(*item, &field),
            Thing::Product(item) => self.product(*item, &field),
            Thing::Order(order) => self.order(*order, &field),
            Thing::Line { order, line } => self.line(*order, *line, &field),
            Thing::LineGroup { order, group } => self.line_group(*order, *group, &field),
            Thing::Fulfilment { order, fulfilment } => self.fulfilment(*order, *fulfilment, &field),
            Thing::FulfilmentLine { order, fulfilment, row } => {
                self.fulfilment_line(*order, *fulfilment, *row, &field)
            }
            Thing::Route { order, route } => self.route(*order, *route, &field),
            Thing::RouteLine { order, route, row } => self.route_line(*order, *route, *row, &field),
            Thing::Assigned(place) => self.assigned(*place, &field),
            Thing::Refund { order, refund } => self.refund(*order, *refund, &field),
            Thing::RefundLine { order, refund, row } => self.refund_line(*order, *refund, *row, &field),
            Thing::Connection(name, page) => self.connection(name, page, &field),
            Thing::Edge(_, page, row) => self.edge(page, *row, &field),
            Thing::PageInfo(page) => self.page_info(page, &field),
            Thing::Payload(_, outcome) => self.payload(outcome, &field),
            Thing::UserError(_, outcome, n) => self.user_error(outcome, *n, &field),
            Thing::Group(group) => self.group(group, &field),
            Thing::Change(group, n) => self.change(group, *n, &field),
            Thing::Bulk(number) => self.bulk(*number, &field),
            Thing::BulkBegun(begun) => self.bulk_begun(begun, &field),
            Thing::BulkError(begun) => self.bulk_error(begun, &field),
            Thing::Count(all, limit) => self.count(*all, *limit, &field),
        };
        resolved.unwrap_or_else(|| Err(self.unknown_field_error(info)))
    }
}

impl<'a> Node<'a, '_> {
    /// Reads from the shop.
    fn read<R>(&self, look: impl FnOnce(&Store) -> R) -> R {
        look(&self.desk.world.borrow().shopify)
    }

    fn node(&self, thing: Thing) -> ResolvedValue<'a> {
        ResolvedValue::object(Node { desk: self.desk, thing })
    }

    fn maybe(&self, thing: Option<Thing>) -> ResolvedValue<'a> {
        ResolvedValue::nullable_object(thing.map(|thing| Node { desk: self.desk, thing }))
    }

    fn list(&self, things: impl IntoIterator<Item = Thing>) -> ResolvedValue<'a> {
        let nodes: Vec<_> = things.into_iter().map(|thing| self.node(thing)).collect();
        ResolvedValue::list(nodes)
    }

    /// A connection over a short list without filters.
    fn short_connection(
        &self,
        name: &'static str,
        field: &Selected<'_>,
        things: impl Iterator<Item = Thing>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let page = self.desk.wanted(field.arguments)?.page_of(things);
        Ok(self.node(Thing::Connection(name, Rc::new(page))))
    }

    fn connection<'r>(&self, name: &str, page: &Rc<Page>, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "nodes" => self.list(page.rows.iter().map(|(_, thing)| thing.clone())),
            "edges" => {
                let edge = edge_name(name);
                self.list((0..page.rows.len()).map(|row| Thing::Edge(edge, Rc::clone(page), row)))
            }
            "pageInfo" => self.node(Thing::PageInfo(Rc::clone(page))),
            _ => return None,
        }))
    }

    fn edge<'r>(&self, page: &Page, row: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let (place, thing) = &page.rows[row];
        Some(Ok(match field.name {
            "cursor" => ResolvedValue::leaf(place.cursor()),
            "node" => self.node(thing.clone()),
            _ => return None,
        }))
    }

    fn page_info<'r>(&self, page: &Page, field: &Selected<'_>) -> Option<Resolved<'r>> {
        let cursor = |row: Option<&(super::paging::Place, Thing)>| leaf(row.map(|(place, _)| place.cursor()));
        Some(Ok(match field.name {
            "startCursor" => cursor(page.rows.first()),
            "endCursor" => cursor(page.rows.last()),
            "hasNextPage" => ResolvedValue::leaf(page.has_next),
            "hasPreviousPage" => ResolvedValue::leaf(page.has_previous),
            _ => return None,
        }))
    }
}

/// The edge type of a connection type.
fn edge_name(connection: &str) -> &'static str {
    match connection {
        "InventoryLevelConnection" => "InventoryLevelEdge",
        "InventoryItemConnection" => "InventoryItemEdge",
        "ProductVariantConnection" => "ProductVariantEdge",
        "OrderConnection" => "OrderEdge",
        "LineItemConnection" => "LineItemEdge",
        "FulfillmentLineItemConnection" => "FulfillmentLineItemEdge",
        "RefundLineItemConnection" => "RefundLineItemEdge",
        "FulfillmentOrderConnection" => "FulfillmentOrderEdge",
        "FulfillmentOrderLineItemConnection" => "FulfillmentOrderLineItemEdge",
        "WebhookSubscriptionConnection" => "WebhookSubscriptionEdge",
        _ => "LocationEdge",
    }
}

fn leaf<'r>(value: Option<impl Into<JsonValue>>) -> ResolvedValue<'r> {
    ResolvedValue::Leaf(value.map_or(JsonValue::Null, Into::into))
}

fn time<'r>(ms: i64) -> ResolvedValue<'r> {
    ResolvedValue::leaf(iso_seconds(ms))
}

fn text_argument<'m>(field: &Selected<'m>, name: &str) -> Option<&'m str> {
    field.arguments.get(name).and_then(JsonValue::as_str)
}
