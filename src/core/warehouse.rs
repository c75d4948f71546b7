//! What an ERP has had to do with its warehouses: one that it has counted, or was told of orders in, stays what it is.

use crate::{
    core::{
        ledger::Cause,
        order::Order,
        state::{Place, SkuRow, State},
    },
    model::{ChannelId, Counter, Seq, Totals, policy::Warehouse},
};

/// Says what an ERP has had to do with one of our places as this warehouse. `None`: nothing.
pub fn told_at(state: &State, erp: &ChannelId, warehouse: &Warehouse) -> Option<String> {
    let place = &warehouse.location;
    let counter = Counter::Channel(erp.clone());
    let counts = counts(state, erp, warehouse);
    // A count that changed nothing of what people had opened is not recorded.
    let opened =
        |held: &Place| held.opened.as_ref().is_some_and(|opened| counts || opened.counter == counter);
    let booked = |row: &SkuRow| {
        row.recent
            .iter()
            .map(|booked| &booked.entry)
            .filter(|entry| entry.location == *place)
            .any(|entry| matches!(&entry.cause, Cause::Count { counter: by, .. } if by == erp))
    };
    if state.skus.values().any(|row| row.place(place).is_some_and(opened) || booked(row)) {
        return Some("it has counted there".to_owned());
    }
    let here = |order: &Order| {
        let mut told = order.posting(erp).into_iter().flat_map(|held| held.acked.iter().chain(&held.sent));
        told.any(|item| item.location == *place && item.totals != Totals::default())
    };
    let held = state.orders.iter().find(|(_, order)| here(order)).map(|(key, _)| key);
    // Most often there is none, and what is left of orders is much.
    let posted = || state.skus.values().any(|row| row.posted > Seq::ZERO && row.place(place).is_some());
    let old = || {
        let all = Some(&state.tombstones).filter(|_| posted()).into_iter().flatten();
        all.map(|(key, old)| (key, old.order())).find(|(_, order)| here(order)).map(|(key, _)| key)
    };
    let key = held.or_else(old)?;
    Some(format!("it was told of orders there, such as `{}` of `{}`", key.order, key.channel))
}

/// Tells whether counts by an ERP were read that may be of this warehouse.
fn counts(state: &State, erp: &ChannelId, warehouse: &Warehouse) -> bool {
    let policy = state.policies().and_then(|policies| policies.channels.get(erp));
    let is_swept = policy.is_some_and(|policy| policy.abilities.counts.is_some());
    let row = state.channels.get(erp).filter(|row| !row.uncounted.contains(warehouse));
    row.is_some_and(|row| row.counted_through.is_some() || is_swept && row.swept_at.is_some())
}
