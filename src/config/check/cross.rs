//! Checks parts of the file against each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::{
        Config,
        scope::Scope,
        settings::{Selling, Tryton},
    },
    model::{ChannelId, LocationId, Quantity, Sku, policy::Override},
};

/// Refuses two channels that are the same place behind two names.
pub(super) fn channels(config: &Config, at: &Scope<'_>) {
    let shops = config.shopify.iter().map(|(id, shopify)| (id, shopify.shop.as_str()));
    twice(shops, |id, other| {
        at.key("shopify").key(id.as_str()).key("shop").problem_fix(
            format!("is the shop of `{other}` too: each of its orders would be booked twice"),
            "keep one of the two channels",
        );
    });
    let sellers = config.amazon.iter();
    let sellers = sellers.map(|(id, amazon)| (id, (amazon.seller_id.as_str(), amazon.base_url.as_str())));
    twice(sellers, |id, other| {
        at.key("amazon").key(id.as_str()).key("seller_id").problem_fix(
            format!("is the seller of `{other}` too: a seller's stock is one number in a region"),
            "keep one channel and list all marketplaces there",
        );
    });
    tryton(&config.tryton, &at.key("tryton"));
    fba(config, &at.key("amazon"));
}

/// Stock in a channel's warehouse is shipped by that channel alone, so nothing else may draw on it or count it.
fn fba(config: &Config, at: &Scope<'_>) {
    let drawn = |location: &LocationId| {
        let shopify = config.shopify.iter().map(|(id, channel)| (id, &channel.selling.locations));
        let amazon = config.amazon.iter().map(|(id, channel)| (id, &channel.selling.locations));
        let selling = shopify.chain(amazon).find(|(_, drawn)| drawn.contains(location)).map(|(id, _)| id);
        selling.or_else(|| {
            config
                .tryton
                .iter()
                .find(|(_, erp)| erp.warehouses.iter().any(|(_, at)| at == location))
                .map(|(id, _)| id)
        })
    };
    let mut seen = BTreeMap::new();
    for (id, amazon) in &config.amazon {
        let Some(location) = &amazon.fba_location else { continue };
        let at = at.key(id.as_str()).key("fba_location");
        if let Some(other) = drawn(location) {
            at.problem_fix(
                format!("`{location}` is used by `{other}` too, and only Amazon ships what lies there"),
                "add a location of its own under `[[locations]]`",
            );
        }
        if let Some(other) = seen.insert(location, id) {
            at.problem(format!("`{location}` is the one of `{other}` already"));
        }
    }
}

fn twice<'c, K: Ord>(
    channels: impl Iterator<Item = (&'c ChannelId, K)>,
    complain: impl Fn(&ChannelId, &ChannelId),
) {
    let mut seen: BTreeMap<K, &ChannelId> = BTreeMap::new();
    for (id, key) in channels {
        match seen.get(&key) {
            Some(other) => complain(id, other),
            None => {
                seen.insert(key, id);
            }
        }
    }
}

fn tryton(channels: &BTreeMap<ChannelId, Tryton>, at: &Scope<'_>) {
    let mut stores = BTreeMap::new();
    let mut counted = BTreeMap::new();
    for (id, tryton) in channels {
        let at = at.key(id.as_str());
        for (index, (warehouse, location)) in tryton.warehouses.iter().enumerate() {
            let at = if tryton.warehouses.len() > 1 { at.key("warehouses").index(index) } else { at.clone() };
            let store = (tryton.base_url.as_str(), tryton.database.as_str(), warehouse.as_str());
            if let Some(other) = stores.insert(store, id) {
                at.key("warehouse").problem(format!("`{warehouse}` is the warehouse of `{other}` too"));
            }
            if tryton.counts.is_some()
                && let Some(other) = counted.insert(location.clone(), id)
            {
                at.key("location").problem_fix(
                    format!("`{location}` is counted by `{other}` already: their counts would fight"),
                    "set `counts = \"none\"` on one of the two",
                );
            }
        }
    }
}

/// Refuses overrides that leave a listing with `min` above `max`.
pub(super) fn overrides(list: &[(usize, Override)], config: &Config, at: &Scope<'_>) {
    let skus: BTreeSet<&Sku> = list.iter().map(|(_, one)| &one.sku).collect();
    let shopify = config.shopify.iter().map(|(id, channel)| (id, &channel.selling));
    let amazon = config.amazon.iter().map(|(id, channel)| (id, &channel.selling));
    let channels: Vec<_> = shopify.chain(amazon).collect();
    let mut told = BTreeSet::new();
    for sku in skus {
        for (id, selling) in &channels {
            let Some((index, key, min, max)) = crossed(list, sku, id, selling) else { continue };
            if told.insert((index, key)) {
                at.index(index).key(key).problem(format!(
                    "leaves `{sku}` on `{id}` with `min` above `max`: `{min}` above `{max}`"
                ));
            }
        }
    }
}

/// Returns the override that sets the later of two bounds that exclude each other.
fn crossed(
    list: &[(usize, Override)],
    sku: &Sku,
    channel: &ChannelId,
    selling: &Selling,
) -> Option<(usize, &'static str, Quantity, Quantity)> {
    let mut bounds = (selling.min, selling.max);
    let mut last = None;
    for (index, one) in list {
        let meant = one.sku == *sku && one.channel.as_ref().is_none_or(|only| only == channel);
        if !meant {
            continue;
        }
        if let Some(min) = one.min {
            bounds.0 = min;
            last = Some((*index, "min"));
        }
        if let Some(max) = one.max {
            bounds.1 = Some(max);
            last = Some((*index, "max"));
        }
    }
    let (min, max) = (bounds.0, bounds.1?);
    let (index, key) = last?;
    (min > max).then_some((index, key, min, max))
}
