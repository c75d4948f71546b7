//! Orders as webhooks tell them: the shape of the retired REST API.

use serde::Deserialize;

use crate::connectors::{
    http,
    shopify::orders::{Line, Order, Refunded, Restock, Shipped, Shipping, time},
};

#[derive(Debug, Deserialize)]
struct Body {
    id: u64,
    name: Option<String>,
    created_at: String,
    updated_at: String,
    cancelled_at: Option<String>,
    /// Where it was sold over the counter.
    location_id: Option<u64>,
    /// `None` where the subscription leaves the field out; the order must then be fetched.
    line_items: Option<Vec<LineItem>>,
    fulfillments: Option<Vec<Fulfillment>>,
    refunds: Option<Vec<Refund>>,
}

#[derive(Debug, Deserialize)]
struct LineItem {
    id: u64,
    sku: Option<String>,
    variant_id: Option<u64>,
    #[serde(default)]
    gift_card: bool,
    quantity: i64,
    current_quantity: Option<i64>,
    fulfillable_quantity: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Fulfillment {
    status: Option<String>,
    location_id: Option<u64>,
    #[serde(default)]
    line_items: Vec<ShippedItem>,
}

#[derive(Debug, Deserialize)]
struct ShippedItem {
    id: u64,
    quantity: i64,
}

#[derive(Debug, Deserialize)]
struct Refund {
    #[serde(default)]
    refund_line_items: Vec<RefundedItem>,
}

#[derive(Debug, Deserialize)]
struct RefundedItem {
    line_item_id: u64,
    quantity: i64,
    location_id: Option<u64>,
    restock_type: String,
}

/// What an order body tells.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::connectors::shopify) enum Pushed {
    Whole(Order),
    /// Only which order it is about: fields that are needed were left out.
    Partial(u64),
}

/// Reads an order body.
pub(in crate::connectors::shopify) fn order(body: &[u8]) -> Result<Pushed, String> {
    let body: Body = http::json(body)?;
    let (Some(lines), Some(fulfillments), Some(refunds)) = (body.line_items, body.fulfillments, body.refunds)
    else {
        return Ok(Pushed::Partial(body.id));
    };
    let lines = lines.into_iter().map(|line| Line {
        id: line.id,
        sku: line.sku,
        variant: line.variant_id,
        item: None,
        gift_card: line.gift_card,
        quantity: line.quantity,
        current: line.current_quantity,
        fulfillable: line.fulfillable_quantity,
    });
    let shipped = fulfillments.into_iter().flat_map(|fulfillment| {
        let state = Shipping::read(fulfillment.status.as_deref().unwrap_or_default());
        let location = fulfillment.location_id;
        let items = fulfillment.line_items.into_iter();
        items.map(move |item| Shipped { line: item.id, quantity: item.quantity, location, state })
    });
    let refunded = refunds.into_iter().flat_map(|refund| refund.refund_line_items).map(|item| Refunded {
        line: item.line_item_id,
        quantity: item.quantity,
        location: item.location_id,
        restock: Restock::read(&item.restock_type),
    });
    let updated_at = time(&body.updated_at)?;
    Ok(Pushed::Whole(Order {
        id: body.id,
        name: body.name,
        created_at: time(&body.created_at)?,
        updated_at,
        changed_at: updated_at,
        cancelled: body.cancelled_at.is_some(),
        lines: lines.collect(),
        shipped: shipped.collect(),
        refunded: refunded.collect(),
        sold_at: body.location_id,
        routes: None,
    }))
}
