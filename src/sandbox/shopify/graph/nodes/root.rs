//! The query root, the shop, the app and the API versions.

use std::rc::Rc;

use apollo_compiler::resolvers::{FieldError, ResolvedValue};
use apollo_compiler::response::JsonValue;

use crate::sandbox::shopify::graph::paging::{Place, Wanted};
use crate::sandbox::shopify::graph::search::{self, Fact};
use crate::sandbox::shopify::ids::{self, Kind};
use crate::sandbox::shopify::store::Store;

use super::{Node, Resolved, Selected, Thing, text_argument};

const ORDER_FIELDS: [&str; 6] = ["id", "name", "created_at", "processed_at", "updated_at", "status"];

impl<'a> Node<'a, '_> {
    pub(super) fn query<'r>(&self, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let by_id = |kind: Kind| text_argument(field, "id").and_then(|id| self.find(kind, id));
        Some(Ok(match field.name {
            "bulkOperation" => {
                let number = text_argument(field, "id").and_then(|id| Kind::BulkOperation.read(id));
                self.maybe(number.filter(|n| self.read(|shop| *n < shop.bulks.len())).map(Thing::Bulk))
            }
            "currentAppInstallation" => self.node(Thing::App),
            "fulfillment" => self.maybe(by_id(Kind::Fulfillment)),
            "inventoryItem" => self.maybe(by_id(Kind::InventoryItem)),
            "inventoryItems" => return Some(self.items("InventoryItemConnection", "inventoryItems", field)),
            "inventoryLevel" => self.maybe(
                text_argument(field, "id")
                    .and_then(|id| self.any(id))
                    .filter(|thing| matches!(thing, Thing::Level(..))),
            ),
            "fulfillmentOrder" => self.maybe(by_id(Kind::FulfillmentOrder)),
            "fulfillmentOrders" => return Some(self.routes(field)),
            "location" => {
                let place = text_argument(field, "id").map_or(Some(0), ids::read_location_gid);
                let place = place.filter(|place| self.read(|shop| *place < shop.places));
                self.maybe(place.map(Thing::Location))
            }
            "locations" => {
                let places = 0..self.read(|shop| shop.places);
                return Some(self.short_connection("LocationConnection", field, places.map(Thing::Location)));
            }
            "node" => self.maybe(text_argument(field, "id").and_then(|id| self.any(id))),
            "nodes" => self.nodes(field),
            "order" => self.maybe(by_id(Kind::Order)),
            "orders" => return Some(self.orders(field)),
            "productVariant" => self.maybe(by_id(Kind::ProductVariant)),
            "productVariants" => {
                return Some(self.items("ProductVariantConnection", "productVariants", field));
            }
            "productVariantsCount" => {
                let limit = field.arguments.get("limit").and_then(JsonValue::as_i64);
                let limit = limit.and_then(|limit| usize::try_from(limit).ok());
                self.node(Thing::Count(self.read(|shop| shop.items.len()), limit))
            }
            "publicApiVersions" => {
                self.list(self.read(|shop| shop.app.versions.clone()).into_iter().map(Thing::Version))
            }
            "refund" => self.maybe(by_id(Kind::Refund)),
            "shop" => self.node(Thing::Shop),
            "webhookSubscriptions" => return Some(self.subscriptions(field)),
            _ => return None,
        }))
    }

    fn nodes<'r>(&self, field: &Selected<'_>) -> ResolvedValue<'r>
    where
        'a: 'r,
    {
        let ids = field.arguments.get("ids").and_then(JsonValue::as_array).map_or(&[][..], Vec::as_slice);
        let found = ids.iter().map(|id| id.as_str().and_then(|id| self.any(id)));
        let nodes: Vec<ResolvedValue<'r>> = found.map(|thing| self.maybe(thing)).collect();
        ResolvedValue::list(nodes)
    }

    /// The thing behind a global id.
    fn any(&self, id: &str) -> Option<Thing> {
        if let Some(place) = ids::read_location_gid(id) {
            return self.read(|shop| place < shop.places).then_some(Thing::Location(place));
        }
        if let Some((item, place)) = ids::read_level_gid(id) {
            return self.read(|shop| shop.is_stocked(item, place)).then_some(Thing::Level(item, place));
        }
        [
            Kind::InventoryItem,
            Kind::ProductVariant,
            Kind::Product,
            Kind::Order,
            Kind::Fulfillment,
            Kind::FulfillmentOrder,
            Kind::Refund,
        ]
        .into_iter()
        .find_map(|kind| self.find(kind, id))
    }

    fn find(&self, kind: Kind, id: &str) -> Option<Thing> {
        let index = kind.read(id)?;
        self.read(|shop| {
            let shown = |order: usize| shop.orders.get(order).is_some_and(|order| !order.hidden);
            let item = |thing: Thing| (index < shop.items.len()).then_some(thing);
            match kind {
                Kind::InventoryItem => item(Thing::Item(index)),
                Kind::ProductVariant => item(Thing::Variant(index)),
                Kind::Product => item(Thing::Product(index)),
                Kind::Order => shown(index).then_some(Thing::Order(index)),
                Kind::Fulfillment => {
                    let (order, fulfilment) = *shop.fulfilments.get(&(index as u64))?;
                    shown(order).then_some(Thing::Fulfilment { order, fulfilment })
                }
                Kind::Refund => {
                    let (order, refund) = *shop.refunds.get(&(index as u64))?;
                    shown(order).then_some(Thing::Refund { order, refund })
                }
                Kind::FulfillmentOrder => {
                    let (order, route) = *shop.routes.get(&(index as u64))?;
                    shown(order).then_some(Thing::Route { order, route })
                }
                Kind::BulkOperation => (index < shop.bulks.len()).then_some(Thing::Bulk(index)),
                Kind::LineItem
                | Kind::LineItemGroup
                | Kind::FulfillmentOrderLineItem
                | Kind::FulfillmentLineItem
                | Kind::RefundLineItem
                | Kind::InventoryAdjustmentGroup
                | Kind::OrderEdit => None,
            }
        })
    }

    fn orders<'r>(&self, field: &Selected<'_>) -> Result<ResolvedValue<'r>, FieldError>
    where
        'a: 'r,
    {
        let wanted = self.desk.wanted(field.arguments)?;
        let filter = search::parse(wanted.query);
        if let Some(warning) = search::warnings(&filter, &ORDER_FIELDS, "orders", wanted.query) {
            self.desk.warn(warning);
        }
        let by_update = text_argument(field, "sortKey") == Some("UPDATED_AT");
        let page = self.read(|shop| {
            let places = order_places(shop, by_update, filter.lower_bound("updated_at"), &wanted);
            let found = places.filter(|place| filter.matches(&|name| order_fact(shop, place.row, name)));
            wanted.page(found.map(|place| (place, Thing::Order(place.row))))
        });
        Ok(self.node(Thing::Connection("OrderConnection", Rc::new(page))))
    }

    pub(super) fn shop<'r>(&self, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf("gid://shopify/Shop/89012345678"),
            "name" => ResolvedValue::leaf("Evenkeel sandbox"),
            "myshopifyDomain" => ResolvedValue::leaf(self.desk.options.shop.as_str()),
            "currencyCode" => ResolvedValue::leaf("USD"),
            "ianaTimezone" => ResolvedValue::leaf("America/New_York"),
            "plan" => self.node(Thing::ShopPlan),
            _ => return None,
        }))
    }

    pub(super) fn shop_plan<'r>(&self, field: &Selected<'_>) -> Option<Resolved<'r>> {
        Some(Ok(match field.name {
            "partnerDevelopment" => ResolvedValue::leaf(true),
            "publicDisplayName" => ResolvedValue::leaf("Development"),
            "shopifyPlus" => ResolvedValue::leaf(false),
            _ => return None,
        }))
    }

    pub(super) fn app<'r>(&self, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "accessScopes" => {
                self.list(self.read(|shop| shop.app.scopes.clone()).into_iter().map(Thing::Scope))
            }
            "id" => ResolvedValue::leaf("gid://shopify/AppInstallation/612345678901"),
            _ => return None,
        }))
    }

    pub(super) fn scope<'r>(&self, handle: &str, field: &Selected<'_>) -> Option<Resolved<'r>> {
        Some(Ok(match field.name {
            "handle" => ResolvedValue::leaf(handle),
            "description" => ResolvedValue::leaf(handle.replace('_', " ")),
            _ => return None,
        }))
    }

    pub(super) fn version<'r>(&self, handle: &str, field: &Selected<'_>) -> Option<Resolved<'r>> {
        Some(Ok(match field.name {
            "handle" | "displayName" => ResolvedValue::leaf(handle),
            "supported" => ResolvedValue::leaf(true),
            _ => return None,
        }))
    }
}

/// The orders behind the cursor, in the order asked for.
fn order_places<'s>(
    shop: &'s Store,
    by_update: bool,
    since_secs: Option<i64>,
    wanted: &Wanted<'_>,
) -> Box<dyn Iterator<Item = Place> + 's> {
    let (after, reverse) = (wanted.after, wanted.reverse);
    let behind = move |place: &Place| match after {
        None => true,
        Some(after) if reverse => *place < after,
        Some(after) => *place > after,
    };
    if by_update {
        let first = after.filter(|_| !reverse).map_or((i64::MIN, 0), |after| (after.value, after.row));
        let first = first.max((since_secs.unwrap_or(i64::MIN), 0));
        let places = shop.by_update.range(first..).map(|(value, row)| Place { value: *value, row: *row });
        return if reverse { Box::new(places.rev().filter(behind)) } else { Box::new(places.filter(behind)) };
    }
    let visible = (0..shop.orders.len()).filter(|row| !shop.orders[*row].hidden).map(Place::row);
    if reverse { Box::new(visible.rev().filter(behind)) } else { Box::new(visible.filter(behind)) }
}

fn order_fact(shop: &Store, n: usize, name: &str) -> Option<Fact> {
    let order = &shop.orders[n];
    Some(match name {
        "id" => Fact::Number(i64::try_from(Kind::Order.number(n as u64)).ok()?),
        "name" => Fact::Text(crate::sandbox::shopify::webhooks::order_name(n)),
        "created_at" | "processed_at" => Fact::Time(order.created_ms),
        "updated_at" => Fact::Time(order.updated_ms),
        "status" if order.cancelled.is_some() => Fact::Text("cancelled".into()),
        "status" => Fact::Text("open".into()),
        _ => return None,
    })
}
