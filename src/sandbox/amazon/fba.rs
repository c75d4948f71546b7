//! FBA Inventory v1: summaries of what lies in Amazon's own warehouses.

use serde_json::{Value, json};

use crate::sandbox::clock::iso_millis;
use crate::sandbox::world::World;

use super::store::Listing;
use super::{Failure, Params};

const PAGE: usize = 50;
const TOKEN_LIFE_MS: i64 = 30_000;

/// `getInventorySummaries`.
pub(super) fn summaries(world: &World, params: &Params, now_ms: i64) -> Result<Value, Failure> {
    let shop = &world.amazon;
    let marketplace = params.get("granularityId");
    let ours = params.get("granularityType") == Some("Marketplace")
        && marketplace == Some(shop.marketplace.as_str())
        && params.csv("marketplaceIds") == [shop.marketplace.clone()];
    if !ours {
        let message = "granularityType, granularityId and one marketplaceIds of the seller are required";
        return Err(Failure::invalid(message));
    }
    let skus = params.csv("sellerSkus");
    if skus.len() > PAGE {
        return Err(Failure::invalid("at most 50 sellerSkus"));
    }
    let from = params.get("nextToken").map(|token| read_token(token, now_ms)).transpose()?.unwrap_or(0);
    let found: Vec<(usize, &Listing)> = shop
        .listings
        .iter()
        .enumerate()
        .filter(|(_, own)| own.fnsku.is_some() && (skus.is_empty() || skus.contains(&own.seller_sku)))
        .collect();
    // Amazon's own Python client writes `True`.
    let details = params.get("details").is_some_and(|told| told.eq_ignore_ascii_case("true"));
    let to = (from + PAGE).min(found.len());
    let page = found.get(from.min(to)..to).unwrap_or_default();
    let page: Vec<Value> = page.iter().map(|(n, own)| summary(own, shop.reserved(*n), details)).collect();
    let mut answer = json!({"payload": {
        "granularity": {"granularityType": "Marketplace", "granularityId": shop.marketplace},
        "inventorySummaries": page,
    }});
    if to < found.len() {
        answer["pagination"] = json!({"nextToken": format!("{to}-{}", now_ms + TOKEN_LIFE_MS)});
    }
    Ok(answer)
}

fn read_token(token: &str, now_ms: i64) -> Result<usize, Failure> {
    let read = || {
        let (row, ends_ms) = token.split_once('-')?;
        (ends_ms.parse::<i64>().ok()? > now_ms).then_some(())?;
        row.parse().ok()
    };
    read().ok_or_else(|| Failure::invalid("nextToken is expired"))
}

fn summary(own: &Listing, reserved: i64, details: bool) -> Value {
    let mut json = json!({
        "asin": own.asin,
        "fnSku": own.fnsku,
        "sellerSku": own.seller_sku,
        "condition": "NewItem",
        "lastUpdatedTime": iso_millis(own.updated_ms),
        "productName": own.title,
        "totalQuantity": own.live + reserved,
        "stores": [],
    });
    if details {
        json["inventoryDetails"] = json!({
            "fulfillableQuantity": own.live,
            "inboundWorkingQuantity": 0,
            "inboundShippedQuantity": 0,
            "inboundReceivingQuantity": 0,
            "reservedQuantity": {
                "totalReservedQuantity": reserved,
                "pendingCustomerOrderQuantity": reserved,
                "pendingTransshipmentQuantity": 0,
                "fcProcessingQuantity": 0,
            },
        });
    }
    json
}
