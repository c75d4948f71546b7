//! Orders as queries tell them, and the pages of them that are still to be read.

use serde::Deserialize;
use serde_json::Value;

use crate::connectors::{
    http,
    shopify::{
        gid,
        orders::{Line, Order, Refunded, Restock, Route, Shipped, Shipping, time, units},
    },
};

/// A page of a connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::connectors::shopify) struct Connection<T> {
    pub(in crate::connectors::shopify) nodes: Vec<T>,
    pub(in crate::connectors::shopify) page_info: PageInfo,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::connectors::shopify) struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl PageInfo {
    /// Returns where the next page begins, if there is one. Err: there is one, but not where.
    pub(in crate::connectors::shopify) fn next(self) -> Result<Option<String>, String> {
        match (self.has_next_page, self.end_cursor) {
            (false, _) => Ok(None),
            (true, Some(cursor)) => Ok(Some(cursor)),
            (true, None) => Err("a page says that more follow, but not where".to_owned()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    name: Option<String>,
    created_at: String,
    updated_at: String,
    cancelled_at: Option<String>,
    retail_location: Option<IdNode>,
    line_items: Connection<LineNode>,
    fulfillments: Vec<FulfillmentNode>,
    refunds: Vec<RefundNode>,
    /// Asked for where the shop has several places.
    fulfillment_orders: Option<Connection<RouteNode>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RouteNode {
    id: String,
    status: String,
    updated_at: String,
    assigned_location: AssignedNode,
    line_items: Connection<RoutedNode>,
}

#[derive(Debug, Clone, Deserialize)]
struct AssignedNode {
    location: Option<IdNode>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoutedNode {
    remaining_quantity: i64,
    line_item: IdNode,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineNode {
    id: String,
    sku: Option<String>,
    is_gift_card: bool,
    quantity: i64,
    current_quantity: i64,
    fulfillable_quantity: Option<i64>,
    variant: Option<VariantNode>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VariantNode {
    id: String,
    inventory_item: Option<IdNode>,
}

#[derive(Debug, Clone, Deserialize)]
struct IdNode {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FulfillmentNode {
    id: String,
    status: String,
    location: Option<IdNode>,
    fulfillment_line_items: Connection<ShippedNode>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShippedNode {
    quantity: Option<i64>,
    line_item: IdNode,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefundNode {
    id: String,
    refund_line_items: Connection<RefundedNode>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefundedNode {
    quantity: i64,
    restock_type: String,
    location: Option<IdNode>,
    line_item: IdNode,
}

/// A page that was not in the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connectors::shopify) struct More {
    pub(in crate::connectors::shopify) of: Of,
    pub(in crate::connectors::shopify) gid: String,
    pub(in crate::connectors::shopify) after: String,
}

/// What a further page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connectors::shopify) enum Of {
    Order,
    Fulfillment(Carried),
    Refund,
    Routes,
    Route(Routing),
}

/// What holds for all lines of a fulfillment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connectors::shopify) struct Carried {
    state: Shipping,
    location: Option<u64>,
}

/// What holds for all lines of a fulfillment order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connectors::shopify) struct Routing {
    of: u64,
    location: Option<u64>,
    /// Something of it may still be shipped.
    open: bool,
}

impl Of {
    /// The field of the answer under which the page is.
    pub(in crate::connectors::shopify) fn field(self) -> &'static str {
        match self {
            Of::Order | Of::Routes => "order",
            Of::Route(_) => "fulfillmentOrder",
            Of::Fulfillment(_) => "fulfillment",
            Of::Refund => "refund",
        }
    }
}

/// Reads an order, and says which of its pages are missing.
pub(in crate::connectors::shopify) fn order(node: &Value) -> Result<(Order, Vec<More>), String> {
    let node: Node = http::json_part(node)?;
    let updated_at = time(&node.updated_at)?;
    let mut order = Order {
        id: number("Order", &node.id)?,
        name: node.name,
        created_at: time(&node.created_at)?,
        updated_at,
        changed_at: updated_at,
        cancelled: node.cancelled_at.is_some(),
        lines: Vec::new(),
        shipped: Vec::new(),
        refunded: Vec::new(),
        sold_at: place(node.retail_location.as_ref())?,
        routes: None,
    };
    let mut more = Vec::new();
    let mut wants = |of: Of, gid: String, after: Option<String>| {
        more.extend(after.map(|after| More { of, gid, after }));
    };
    wants(Of::Order, node.id.clone(), order.take_lines(node.line_items)?);
    for fulfillment in node.fulfillments {
        let state = Shipping::read(&fulfillment.status);
        let carried = Carried { state, location: place(fulfillment.location.as_ref())? };
        let after = order.take_shipped(fulfillment.fulfillment_line_items, carried)?;
        wants(Of::Fulfillment(carried), fulfillment.id, after);
    }
    for refund in node.refunds {
        wants(Of::Refund, refund.id, order.take_refunded(refund.refund_line_items)?);
    }
    if let Some(routes) = node.fulfillment_orders {
        let (after, inner) = order.take_routes(routes)?;
        wants(Of::Routes, node.id, after);
        more.extend(inner);
    }
    Ok((order, more))
}

impl Order {
    /// Adds a further page, and returns which pages are missing after it.
    pub(in crate::connectors::shopify) fn add(
        &mut self,
        more: &More,
        data: &Value,
    ) -> Result<Vec<More>, String> {
        let page = &data[more.of.field()]["more"];
        let mut inner = Vec::new();
        let after = match more.of {
            Of::Order => self.take_lines(http::json_part(page)?)?,
            Of::Fulfillment(carried) => self.take_shipped(http::json_part(page)?, carried)?,
            Of::Refund => self.take_refunded(http::json_part(page)?)?,
            Of::Route(routing) => self.take_routed(http::json_part(page)?, routing)?,
            Of::Routes => {
                let (after, lines) = self.take_routes(http::json_part(page)?)?;
                inner = lines;
                after
            }
        };
        inner.extend(after.map(|after| More { of: more.of, gid: more.gid.clone(), after }));
        Ok(inner)
    }

    fn take_lines(&mut self, page: Connection<LineNode>) -> Result<Option<String>, String> {
        for line in page.nodes {
            let (variant, item) = match line.variant {
                Some(VariantNode { id, inventory_item }) => {
                    let item = inventory_item.map(|item| number("InventoryItem", &item.id)).transpose()?;
                    (Some(number("ProductVariant", &id)?), item)
                }
                None => (None, None),
            };
            self.lines.push(Line {
                id: number("LineItem", &line.id)?,
                sku: line.sku,
                variant,
                item,
                gift_card: line.is_gift_card,
                quantity: line.quantity,
                current: Some(line.current_quantity),
                fulfillable: line.fulfillable_quantity,
            });
        }
        page.page_info.next()
    }

    fn take_shipped(
        &mut self,
        page: Connection<ShippedNode>,
        Carried { state, location }: Carried,
    ) -> Result<Option<String>, String> {
        for shipped in page.nodes {
            let line = number("LineItem", &shipped.line_item.id)?;
            let quantity = shipped.quantity.unwrap_or(0);
            self.shipped.push(Shipped { line, quantity, location, state });
        }
        page.page_info.next()
    }

    fn take_refunded(&mut self, page: Connection<RefundedNode>) -> Result<Option<String>, String> {
        for refunded in page.nodes {
            self.refunded.push(Refunded {
                line: number("LineItem", &refunded.line_item.id)?,
                quantity: refunded.quantity,
                location: place(refunded.location.as_ref())?,
                restock: Restock::read(&refunded.restock_type),
            });
        }
        page.page_info.next()
    }

    /// Returns where the next page begins, and which pages of their lines are missing.
    fn take_routes(&mut self, page: Connection<RouteNode>) -> Result<(Option<String>, Vec<More>), String> {
        let mut more = Vec::new();
        self.routes.get_or_insert_default();
        for route in page.nodes {
            let location = place(route.assigned_location.location.as_ref())?;
            let open = !matches!(route.status.as_str(), "CLOSED" | "CANCELLED");
            let routing = Routing { of: number("FulfillmentOrder", &route.id)?, location, open };
            self.changed_at = self.changed_at.max(time(&route.updated_at)?);
            let after = self.take_routed(route.line_items, routing)?;
            more.extend(after.map(|after| More { of: Of::Route(routing), gid: route.id, after }));
        }
        Ok((page.page_info.next()?, more))
    }

    fn take_routed(
        &mut self,
        page: Connection<RoutedNode>,
        Routing { of, location, open }: Routing,
    ) -> Result<Option<String>, String> {
        let routes = self.routes.get_or_insert_default();
        for routed in page.nodes {
            let line = number("LineItem", &routed.line_item.id)?;
            let remaining = if open { units("remainingQuantity", routed.remaining_quantity)? } else { 0 };
            routes.push(Route { line, of, location, remaining });
        }
        page.page_info.next()
    }
}

fn place(location: Option<&IdNode>) -> Result<Option<u64>, String> {
    location.map(|location| number("Location", &location.id)).transpose()
}

fn number(kind: &str, text: &str) -> Result<u64, String> {
    gid::number(kind, text).ok_or_else(|| format!("`{text}` is not the id of a {kind}"))
}
