//! Orders of a channel that are not in the ledger although its feed was read: a raise must not put back what they sold.

use crate::{
    core::{
        index::{Kind, Work},
        state::{Fed, Listing, Quarantined, State},
    },
    model::{ChannelId, Identifiers, OrderId, OrderKey, Seq},
};

/// How many orders, or items that no SKU was found for, one question looks at; where there are more, any of them may
/// mean the listing.
const LOOKED_AT: usize = 1_000;

/// Returns why an order of the listing's channel may have sold it unseen, for people. `fed`: how far the feed was
/// read; what became due after that is not missing yet.
pub(super) fn missing(state: &State, listing: &Listing, fed: Option<Fed>) -> Option<String> {
    let channel = &listing.channel;
    refused(state, channel)
        .or_else(|| unfetched(state, channel, fed.map(|fed| fed.begun), &listing.ids))
        .or_else(|| unmapped(state, channel, &listing.ids))
}

/// An order that was read and could not be taken in, and was not read well since.
fn refused(state: &State, channel: &ChannelId) -> Option<String> {
    let read_since = |id: Seq, item: &Quarantined| {
        let order = item.id.as_deref().and_then(|id| OrderId::new(id).ok());
        let key = order.map(|order| OrderKey { channel: channel.clone(), order });
        let fetch = key.and_then(|key| state.order(&key)?.whole_fetch);
        fetch.is_some_and(|fetch| fetch.begun >= id)
    };
    let lost = |(id, item): &(&Seq, &Quarantined)| {
        item.channel == *channel && item.holds_orders() && !read_since(**id, item)
    };
    let (id, item) = state.quarantine.iter().find(lost)?;
    let order = item.id.as_deref().map_or("an order".to_owned(), |order| format!("order {order}"));
    Some(format!(
        "{order} could not be read and may have sold it: see `quarantine:{id}` of `evenkeel dead-letters`"
    ))
}

/// An order that is to be fetched, if the feed was read since that is wanted, or if it may hold the listing by what is
/// known of it.
fn unfetched(state: &State, channel: &ChannelId, begun: Option<Seq>, ids: &Identifiers) -> Option<String> {
    let may_hold = |work: &Work| {
        let Work::Fetch { order, .. } = work else { return None };
        let held = state.orders.get(order)?;
        let read_past = held.fetch_since.or(held.fetch_due).is_some_and(|since| Some(since) <= begun);
        let lines = || held.lines.is_empty() || held.lines.values().any(|line| may_be(&line.ids, ids));
        (read_past || lines()).then(|| format!("order {}", order.order))
    };
    let mut work = state.index.of(Kind::Fetch, channel);
    let found = work.by_ref().take(LOOKED_AT).find_map(may_hold);
    let order = found.or(work.next().map(|_| "an order".to_owned()))?;
    Some(format!("{order} could not be fetched yet and may have sold it"))
}

/// An order with a line that no SKU was found for, and that may mean this listing.
fn unmapped(state: &State, channel: &ChannelId, ids: &Identifiers) -> Option<String> {
    let mut items = state.index.unmapped_items(channel);
    let found = items.by_ref().take(LOOKED_AT).find(|(item, _)| may_be(item, ids));
    let (_, order) = found.or(items.next())?;
    Some(format!(
        "order {} has a line without a SKU that may mean it; see `evenkeel map list --lines`",
        order.order
    ))
}

/// Tells whether what a line goes by may be the listing: nothing says otherwise. A line that goes by nothing sells
/// nothing that is listed.
fn may_be(line: &Identifiers, listing: &Identifiers) -> bool {
    !line.is_empty() && line.iter().all(|id| listing.get(id.kind).is_none_or(|held| held == id.value))
}
