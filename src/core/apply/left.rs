//! What a changed configuration or recipe leaves behind: what a channel was that is taken out, the warehouses that an ERP had, and from
//! which places was sold what is owed there yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        allocation::shelves::{sellers, sold_by},
        index::Index,
        ledger::{Cause, Entry},
        state::{ChannelRow, Drew, SkuRow, State, StoodFor},
        warehouse::told_at,
    },
    model::{
        ChannelId, LocationId, Policies, Quantity, Sku, Timestamp,
        policy::{ChannelPolicy, Outlet, Part, Recipe, Warehouse},
    },
};

/// How long a channel may still show, and sell, what lay at places that it does not draw on any more: it is to be lowered at once,
/// but may be out of reach.
const STILL_SHOWN_MS: i64 = 86_400_000;

/// Keeps in mind what the channels were that these policies leave out, for when they come again.
pub(super) fn stands_for(state: &mut State, policies: &Policies) {
    let before = state.policies.clone();
    for (id, policy) in before.iter().flat_map(|before| &before.channels) {
        if !policies.channels.contains_key(id) {
            let was = StoodFor {
                kind: policy.kind,
                account: policy.account.clone(),
                locations: policy.locations.clone(),
                outlets: policy.outlets.clone(),
            };
            state.change_channel(id, |row| row.stood_for = Some(Box::new(was)));
        }
    }
    for id in policies.channels.keys() {
        if state.channels.get(id).is_some_and(|row| row.stood_for.is_some()) {
            state.change_channel(id, |row| row.stood_for = None);
        }
    }
}

/// Keeps in mind which warehouses an ERP had that these policies leave out, for when their codes or their places come again, and which
/// are new since it has counted. One that it has had nothing to do with is no warehouse that it had: its code may have been mistyped.
pub(super) fn keep_warehouses(state: &mut State, policies: &Policies) {
    let before = state.policies.clone();
    let before = before.as_deref().map(|before| &before.channels);
    let of = |policy: Option<&ChannelPolicy>| policy.map_or(Vec::new(), |policy| policy.warehouses.clone());
    let ids: BTreeSet<&ChannelId> =
        before.into_iter().flatten().map(|(id, _)| id).chain(policies.channels.keys()).collect();
    for id in ids {
        let was = of(before.and_then(|before| before.get(id)));
        let now = of(policies.channels.get(id));
        let row = state.channels.get(id);
        let held = row.map_or(&[][..], |row| row.had.as_slice());
        let is_out =
            |was: &Warehouse| now.iter().all(|now| now.code != was.code && now.location != was.location);
        let mut had: Vec<Warehouse> = held.iter().filter(|was| is_out(was)).cloned().collect();
        for was in was.iter().filter(|was| is_out(was) && told_at(state, id, was).is_some()) {
            if !had.contains(was) {
                had.push(was.clone());
            }
        }
        let has_counted = row.is_some_and(|row| row.counted_through.is_some() || row.swept_at.is_some());
        // Where none was recorded so far, those that it has are taken for those that it had.
        let tells = has_counted && !(was.is_empty() && held.is_empty());
        let new = |of: &&Warehouse| {
            let waits = row.is_some_and(|row| row.uncounted.contains(of));
            waits || tells && !was.contains(of) && !held.contains(of)
        };
        let uncounted: Vec<Warehouse> = now.iter().chain(&had).filter(new).cloned().collect();
        let same = |row: &ChannelRow| row.had == had && row.uncounted == uncounted;
        if !row.map_or(had.is_empty() && uncounted.is_empty(), same) {
            state.change_channel(id, |row| (row.had, row.uncounted) = (had, uncounted));
        }
    }
}

/// Keeps in mind which places the channels of these policies drew on together and do not any more. Of a channel that is taken
/// out, what it was is kept.
pub(super) fn keep_draws(state: &mut State, at: Timestamp, policies: &Policies) {
    let mut all: Vec<(ChannelId, Vec<Drew>)> = Vec::new();
    for (id, policy) in &policies.channels {
        let row = state.channels.get(id);
        let before = state.policies().and_then(|before| before.channels.get(id));
        let before =
            before.filter(|before| before.abilities.sells).into_iter().flat_map(ChannelPolicy::draws);
        let gone = row.and_then(|row| row.stood_for.as_deref()).into_iter().flat_map(|was| was.draws());
        let held = row.iter().flat_map(|row| &row.drew).map(|drew| (drew.places.as_slice(), drew.until));
        let sells = policy.abilities.sells;
        let draws = |drew: &[LocationId]| {
            sells && policy.draws().any(|now| drew.iter().all(|place| now.contains(place)))
        };
        let ends = before.chain(gone).map(|places| (places, at));
        let drew: BTreeMap<&[LocationId], Timestamp> = held.chain(ends).collect();
        let drew = drew.into_iter().filter(|(places, _)| places.len() > 1 && !draws(places));
        let drew: Vec<Drew> = drew.map(|(places, until)| Drew { places: places.to_vec(), until }).collect();
        if row.map_or(&[][..], |row| row.drew.as_slice()) != drew.as_slice() {
            all.push((id.clone(), drew));
        }
    }
    for (id, drew) in all {
        state.change_channel(&id, |row| row.drew = drew);
    }
}

/// Keeps in mind which places listings of the channels of these policies drew on, each of its outlets, and do not any more. It is
/// never forgotten: how long a listing goes on showing what it does is not known, nor is it what lay where when it was written.
pub(super) fn keep_left(state: &mut State, policies: &Policies) {
    let mut all: Vec<(ChannelId, Vec<LocationId>)> = Vec::new();
    for (id, policy) in &policies.channels {
        let row = state.channels.get(id);
        let before = state.policies().and_then(|before| before.channels.get(id));
        let before = before.into_iter().flat_map(|before| by_outlet(&before.locations, &before.outlets));
        let gone = row.and_then(|row| row.stood_for.as_deref());
        let gone = gone.into_iter().flat_map(|was| by_outlet(&was.locations, &was.outlets));
        let now = by_outlet(&policy.locations, &policy.outlets);
        let others = before.chain(gone).filter(|drew| !now.contains(drew)).flat_map(|(_, places)| places);
        let held = row.map_or(&[][..], |row| row.left.as_slice());
        // What all of them draw on needs no memory.
        let left = held.iter().chain(others).filter(|place| policy.draws().any(|now| !now.contains(place)));
        let left: Vec<LocationId> = left.collect::<BTreeSet<_>>().into_iter().cloned().collect();
        if left != held {
            all.push((id.clone(), left));
        }
    }
    for (id, left) in all {
        state.change_channel(&id, |row| row.left = left);
    }
}

/// Returns what the listings of each outlet draw on; `None`: those of a channel without any.
fn by_outlet<'a>(
    locations: &'a [LocationId],
    outlets: &'a [Outlet],
) -> Vec<(Option<&'a str>, &'a [LocationId])> {
    if outlets.is_empty() {
        return vec![(None, locations)];
    }
    outlets.iter().map(|outlet| (Some(outlet.id.as_str()), outlet.locations.as_slice())).collect()
}

/// Keeps in mind from where things are sold as parts of bundles that these policies make of something else.
pub(super) fn keep_sellers(state: &mut State, policies: &Policies) {
    let Some(before) = state.policies.clone() else { return };
    let now: BTreeMap<&Sku, &Vec<Part>> =
        policies.bundles.iter().map(|recipe| (&recipe.bundle, &recipe.parts)).collect();
    let changed = |recipe: &&Recipe| now.get(&recipe.bundle) != Some(&&recipe.parts);
    for recipe in before.bundles.iter().filter(changed) {
        keep_sold(state, &recipe.bundle);
    }
}

/// Keeps in mind from where the parts of a bundle are sold, for when it is made of something else.
pub(super) fn keep_sold(state: &mut State, bundle: &Sku) {
    let Some(row) = state.skus.get(bundle).filter(|_| state.index.recipes.direct(bundle).is_some()) else {
        return;
    };
    let together = sellers(state, bundle, row).into_iter().filter(|places| places.len() > 1);
    let together: Vec<Vec<LocationId>> = together.map(<[LocationId]>::to_vec).collect();
    keep_together(state, bundle, &together);
}

/// Keeps in mind from where a listing has sold, for when it belongs to another SKU: what it sold of this one, or of what that is made
/// of, may come from each of its places yet.
pub(super) fn keep_given(state: &mut State, sku: &Sku, at: u16) {
    let held = state.skus.get(sku).and_then(|row| row.listings.get(usize::from(at)));
    let Some(held) = held.filter(|held| !held.given_away()) else { return };
    let together = sold_by(state, held).filter(|places| places.len() > 1);
    let together: Vec<Vec<LocationId>> = together.map(<[LocationId]>::to_vec).collect();
    keep_together(state, sku, &together);
}

/// Keeps in mind that these places were sold from together, for each part of a SKU, or itself, that is sold or short there.
fn keep_together(state: &mut State, sku: &Sku, together: &[Vec<LocationId>]) {
    for part in state.made_of(sku).unwrap_or_default() {
        let Some(row) = state.skus.get(&part.sku) else { continue };
        let more = together.iter().filter(|places| row.is_sold_at(places) && !row.drew.contains(places));
        let more: Vec<_> = more.cloned().collect();
        if !more.is_empty() {
            state.change_sku(&part.sku, |row| row.drew.extend(more));
        }
    }
}

/// Has a SKU that another one becomes part of owe what that one was sold from: its stock is carried over before it is said to be
/// merged.
pub(super) fn keep_drew(state: &mut State, entry: &Entry) {
    let Cause::Merged { from, into } = &entry.cause else { return };
    if state.skus.get(from).is_none_or(|row| row.drew.is_empty()) {
        return;
    }
    let drew = state.change_sku(from, |row| std::mem::take(&mut row.drew));
    state.change_sku(into, |row| {
        let more: Vec<_> = drew.into_iter().filter(|places| !row.drew.contains(places)).collect();
        row.drew.extend(more);
    });
}

/// Forgets which places a channel drew on together, once its orders are read that were placed while it may still have shown
/// what lay at all of them, none of those is open, and none of the places is short.
pub(super) fn forget_draws(state: &mut State, channel: &ChannelId) {
    let Some(row) = state.channels.get(channel).filter(|row| !row.drew.is_empty()) else { return };
    let lag = state.policies().and_then(|policies| policies.channels.get(channel));
    let lag = lag.map_or(0, |policy| policy.abilities.feed_lag_ms);
    let begun_at = row.fed.map_or(Timestamp::ZERO, |fed| fed.begun_at);
    let unread = state.index.has_unread(channel);
    let is_over = |drew: &Drew| {
        let shown = drew.until.plus_millis(STILL_SHOWN_MS);
        let is_read = !unread && begun_at >= shown.plus_millis(lag);
        is_read && !has_open_by(state, channel, shown) && !is_short_at(state, &drew.places)
    };
    let kept: Vec<Drew> = row.drew.iter().filter(|drew| !is_over(drew)).cloned().collect();
    if kept.len() < row.drew.len() {
        state.change_channel(channel, |row| row.drew = kept);
    }
}

/// Tells whether an order of a channel is open that was placed by then.
fn has_open_by(state: &State, channel: &ChannelId, placed: Timestamp) -> bool {
    let orders = state.orders.range(Index::first_order(channel)..);
    let mut orders = orders.take_while(|(key, _)| key.channel == *channel);
    orders.any(|(_, order)| order.placed_at <= placed && order.is_open())
}

/// Tells whether any of these places is short of anything.
fn is_short_at(state: &State, places: &[LocationId]) -> bool {
    let short = |row: &SkuRow| {
        let mut here = row.stock.iter().filter(|place| places.contains(&place.location));
        here.any(|place| place.stock.available().is_ok_and(|units| units < Quantity::ZERO))
    };
    state.skus.values().any(short)
}
