//! Webhooks: who sent one, and what it tells.
//!
//! The signature covers the raw body and nothing else: topic, shop and ids in the headers are anybody's word. So the
//! shop is held against the configuration, ids come from the body, and a webhook is never more than a hint that the
//! order feed and a read of the level confirm.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use crate::{
    connectors::{
        Fact, Push, Received, Refusal, http,
        shopify::{
            options::Locations,
            orders::{
                Told,
                rest::{self, Pushed},
            },
        },
    },
    core::fault::excerpt,
    model::{DeliveryId, IdKind, Identifiers, OrderId},
};

/// The names of the headers, in lower case. Shopify's next generation of webhooks drops the `x-`.
mod header {
    pub(super) const SIGNATURE: &str = "x-shopify-hmac-sha256";
    pub(super) const SHOP: &str = "x-shopify-shop-domain";
    pub(super) const TOPIC: &str = "x-shopify-topic";
    pub(super) const DELIVERY: &str = "x-shopify-webhook-id";
    pub(in crate::connectors::shopify) const VERSION: &str = "x-shopify-api-version";
}

pub(super) use header::VERSION;

/// Checks the signature and the shop.
pub(super) fn verify<'s>(
    push: &Push,
    secrets: impl IntoIterator<Item = &'s SecretString>,
    shop: &str,
) -> Result<(), Refusal> {
    let forged = |why: &str| Refusal::Forged(why.to_owned());
    let mut secrets = secrets.into_iter().peekable();
    if secrets.peek().is_none() {
        return Err(forged("no webhook secret is configured for the channel"));
    }
    let signature = get(&push.headers, header::SIGNATURE).ok_or_else(|| forged("no signature"))?;
    let signature = STANDARD.decode(signature).map_err(|_| forged("the signature is not base64"))?;
    // Every secret is tried, whichever fits, so that the time tells nothing.
    let fits = secrets.fold(Choice::from(0), |fits, secret| fits | signed(&push.body, secret, &signature));
    if !bool::from(fits) {
        return Err(forged("the signature fits no configured secret"));
    }
    let named = get(&push.headers, header::SHOP).unwrap_or_default();
    if !named.eq_ignore_ascii_case(shop) {
        return Err(forged("signed, but for another shop than the channel's"));
    }
    Ok(())
}

fn signed(body: &Bytes, secret: &SecretString, signature: &[u8]) -> Choice {
    let key = secret.expose_secret().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.finalize().into_bytes().as_slice().ct_eq(signature)
}

/// Reads a webhook whose signature was checked.
pub(super) fn read(push: &Push, locations: &Locations) -> Result<Received, Refusal> {
    let topic = get(&push.headers, header::TOPIC).unwrap_or_default().to_owned();
    let delivery = match get(&push.headers, header::DELIVERY).map(DeliveryId::new) {
        Some(Ok(delivery)) => delivery,
        Some(Err(_)) | None => {
            let why = format!("header `{}` is missing or not an id", header::DELIVERY);
            return Err(Refusal::Unparsable { delivery: None, topic, why });
        }
    };
    match facts(&topic, &push.body, locations) {
        Some(Ok(facts)) => Ok(Received { delivery, topic, facts }),
        Some(Err(why)) => Err(Refusal::Unparsable { delivery: Some(delivery), topic, why: excerpt(&why) }),
        None => Err(Refusal::NotFollowed { delivery: Some(delivery), topic }),
    }
}

/// Reads what the body of a topic tells. `None`: the topic is not followed.
pub(super) fn facts(topic: &str, body: &[u8], locations: &Locations) -> Option<Result<Vec<Fact>, String>> {
    Some(match topic {
        "orders/create"
        | "orders/updated"
        | "orders/paid"
        | "orders/cancelled"
        | "orders/fulfilled"
        | "orders/partially_fulfilled" => order(body, locations),
        "orders/edited" => edited(body),
        "orders/delete" => fetch::<Deleted>(body, |body| body.id),
        "refunds/create" | "fulfillments/create" | "fulfillments/update" => {
            fetch::<OfOrder>(body, |body| body.order_id)
        }
        "inventory_levels/update" => level(body, locations),
        // Whether it is so is asked of the shop: a topic is anybody's word.
        "app/uninstalled" | "app/scopes_update" => Ok(vec![Fact::Tend]),
        // The bodies name no order; the list of what was moved does.
        "fulfillment_orders/moved"
        | "fulfillment_orders/order_routing_complete"
        | "fulfillment_orders/split"
        | "fulfillment_orders/merged"
        | "fulfillment_orders/cancelled" => {
            Ok(if locations.are_several() { vec![Fact::Changed] } else { Vec::new() })
        }
        _ => return None,
    })
}

fn get<'a>(headers: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.trim())
}

fn fact(order: u64) -> Result<Fact, String> {
    OrderId::new(&order.to_string()).map(Fact::Fetch).map_err(|e| e.to_string())
}

fn order(body: &[u8], locations: &Locations) -> Result<Vec<Fact>, String> {
    let order = match rest::order(body)? {
        Pushed::Whole(order) => order,
        Pushed::Partial(id) => return Ok(vec![fact(id)?]),
    };
    let mut facts = vec![Fact::Order(order.snapshot(Told::Pushed, locations)?)];
    if order.is_halfway() || order.is_unplaced(locations) {
        facts.push(fact(order.id)?);
    }
    Ok(facts)
}

#[derive(Debug, Deserialize)]
struct Edit {
    order_edit: OfOrder,
}

#[derive(Debug, Deserialize)]
struct OfOrder {
    order_id: u64,
}

#[derive(Debug, Deserialize)]
struct Deleted {
    id: u64,
}

fn edited(body: &[u8]) -> Result<Vec<Fact>, String> {
    fetch::<Edit>(body, |body| body.order_edit.order_id)
}

fn fetch<'a, T: Deserialize<'a>>(body: &'a [u8], id: fn(T) -> u64) -> Result<Vec<Fact>, String> {
    let body: T = http::json(body)?;
    Ok(vec![fact(id(body))?])
}

#[derive(Debug, Deserialize)]
struct Level {
    inventory_item_id: u64,
    location_id: u64,
}

/// The body's quantity is not taken: it may be older or newer than the event.
fn level(body: &[u8], locations: &Locations) -> Result<Vec<Fact>, String> {
    let level: Level = http::json(body)?;
    let Some(location) = locations.numbered(level.location_id) else { return Ok(Vec::new()) };
    let item = level.inventory_item_id.to_string();
    let ids = Identifiers::new([(IdKind::InventoryItem, item.as_str())]).map_err(|e| e.to_string())?;
    Ok(vec![Fact::Look(locations.named(location, ids))])
}

#[cfg(test)]
mod tests;
