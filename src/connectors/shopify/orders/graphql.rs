//! Orders as queries tell them, and the pages of them that are still to be read.

use serde::Deserialize;
use serde_json::Value;

use crate::connectors::{
    http,
    shopify::{
        gid,
        orders::{Line, Order, Refunded, Restock, Shipped, Shipping, time},
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
    line_items: Connection<LineNode>,
    fulfillments: Vec<FulfillmentNode>,
    refunds: Vec<RefundNode>,
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
    Fulfillment(Shipping),
    Refund,
}

impl Of {
    /// The field of the answer under which the page is.
    pub(in crate::connectors::shopify) fn field(self) -> &'static str {
        match self {
            Of::Order => "order",
            Of::Fulfillment(_) => "fulfillment",
            Of::Refund => "refund",
        }
    }
}

/// Reads an order, and says which of its pages are missing.
pub(in crate::connectors::shopify) fn order(node: &Value) -> Result<(Order, Vec<More>), String> {
    let node: Node = http::json_part(node)?;
    let mut order = Order {
        id: number("Order", &node.id)?,
        name: node.name,
        created_at: time(&node.created_at)?,
        updated_at: time(&node.updated_at)?,
        cancelled: node.cancelled_at.is_some(),
        lines: Vec::new(),
        shipped: Vec::new(),
        refunded: Vec::new(),
    };
    let mut more = Vec::new();
    let mut wants = |of: Of, gid: String, after: Option<String>| {
        more.extend(after.map(|after| More { of, gid, after }));
    };
    wants(Of::Order, node.id, order.take_lines(node.line_items)?);
    for fulfillment in node.fulfillments {
        let state = Shipping::read(&fulfillment.status);
        let after = order.take_shipped(fulfillment.fulfillment_line_items, state)?;
        wants(Of::Fulfillment(state), fulfillment.id, after);
    }
    for refund in node.refunds {
        wants(Of::Refund, refund.id, order.take_refunded(refund.refund_line_items)?);
    }
    Ok((order, more))
}

impl Order {
    /// Adds a further page, and returns where the one after it begins.
    pub(in crate::connectors::shopify) fn add(
        &mut self,
        of: Of,
        data: &Value,
    ) -> Result<Option<String>, String> {
        let page = &data[of.field()]["more"];
        match of {
            Of::Order => self.take_lines(http::json_part(page)?),
            Of::Fulfillment(state) => self.take_shipped(http::json_part(page)?, state),
            Of::Refund => self.take_refunded(http::json_part(page)?),
        }
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
        state: Shipping,
    ) -> Result<Option<String>, String> {
        for shipped in page.nodes {
            let line = number("LineItem", &shipped.line_item.id)?;
            self.shipped.push(Shipped { line, quantity: shipped.quantity.unwrap_or(0), state });
        }
        page.page_info.next()
    }

    fn take_refunded(&mut self, page: Connection<RefundedNode>) -> Result<Option<String>, String> {
        for refunded in page.nodes {
            self.refunded.push(Refunded {
                line: number("LineItem", &refunded.line_item.id)?,
                quantity: refunded.quantity,
                restock: Restock::read(&refunded.restock_type),
            });
        }
        page.page_info.next()
    }
}

fn number(kind: &str, text: &str) -> Result<u64, String> {
    gid::number(kind, text).ok_or_else(|| format!("`{text}` is not the id of a {kind}"))
}
