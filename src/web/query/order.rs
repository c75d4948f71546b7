//! One order: what was told, what is booked, and what each ERP knows of it.

use crate::{
    core::{
        State,
        mapping::{Resolved, resolve},
        order::{Line, Order},
        posting::{PostState, Step, reference, said},
        which::Called,
    },
    model::{ChannelId, FulfilledBy, Identifiers, LineId, OrderKey, Overflow, Sku},
    web::{
        Desk, Failure,
        desk::ask,
        query::letters::{command, waits_for},
        view::{BindingView, ItemView, LetterId, LineView, OrderView, PostingView, ids_of},
    },
};

/// How many orders are looked at in one go; between two goes the ledger does its work.
const PORTION: usize = 5_000;
/// The most orders that one text may mean.
const FOUND_MAX: usize = 10;

/// Finds the orders that are called so. Those that were pruned go by their id alone.
pub(in crate::web) async fn find(desk: &dyn Desk, called: &Called) -> Result<Vec<OrderKey>, Failure> {
    use std::ops::Bound::{Excluded, Unbounded};
    let of = called.clone();
    let by_id = ask(desk, move |state| {
        let configured = state.policies().into_iter().flat_map(|policies| policies.channels.keys());
        let named = of.channel().filter(|channel| !state.is_configured(channel));
        let gone = state.gone_channels().filter(|channel| Some(*channel) != named);
        let keys = configured.chain(gone).chain(named).filter_map(|channel| of.by_id(channel));
        keys.filter(|key| state.order(key).is_some()).collect::<Vec<OrderKey>>()
    });
    let mut found = called.meant(by_id.await?);
    if called.channel().is_some() && !found.is_empty() {
        return Ok(found);
    }
    let mut after: Option<OrderKey> = None;
    loop {
        let (of, from) = (called.clone(), after.take());
        let portion = ask(desk, move |state| {
            let rows = state.orders.range((from.map_or(Unbounded, Excluded), Unbounded)).take(PORTION);
            let (mut fits, mut last, mut seen) = (Vec::new(), None, 0);
            for (key, order) in rows {
                (last, seen) = (Some(key), seen + 1);
                fits.extend(of.fits(key, order.name.as_deref()).then(|| key.clone()));
            }
            (fits, last.filter(|_| seen == PORTION).cloned())
        });
        let fits;
        (fits, after) = portion.await?;
        found.extend(fits.into_iter().filter(|key| !found.contains(key)).collect::<Vec<_>>());
        found.truncate(FOUND_MAX);
        if after.is_none() || found.len() == FOUND_MAX {
            return Ok(found);
        }
    }
}

pub(in crate::web) fn order(state: &State, key: &OrderKey) -> Option<OrderView> {
    let order = state.order(key)?;
    let order = &*order;
    let lines = order.lines.iter().map(|(id, held)| line(state, &key.channel, order, id, held));
    Some(OrderView {
        channel: key.channel.clone(),
        order: key.order.clone(),
        name: order.name.clone(),
        placed_at: order.placed_at.into(),
        fetch_due: order.fetch_due.is_some(),
        pruned: state.tombstones.contains_key(key),
        // What does not fit into a quantity was refused before it was merged.
        lines: lines.collect::<Result<_, Overflow>>().ok()?,
        postings: order.postings.iter().map(|posting| self::posting(state, key, posting)).collect(),
    })
}

fn line(
    state: &State,
    channel: &ChannelId,
    order: &Order,
    id: &LineId,
    line: &Line,
) -> Result<LineView, Overflow> {
    Ok(LineView {
        line: id.clone(),
        ids: ids_of(&line.ids),
        by: line.by,
        totals: order.totals(line)?,
        booked: line.booked,
        open: line.booked.open()?,
        bound: line.bound.as_ref().map(|bound| BindingView {
            sku: bound.sku.clone(),
            location: bound.location.clone(),
            baseline: bound.baseline,
        }),
        unmapped: unmapped(state, channel, line),
    })
}

/// Returns why a line waits for what it sells to become known, if it does.
pub(super) fn unmapped(state: &State, channel: &ChannelId, line: &Line) -> Option<String> {
    line.is_unmapped().then(|| match line.shipped_by() {
        FulfilledBy::Unknown => "neither the order nor its listing says who ships it".to_owned(),
        FulfilledBy::Merchant | FulfilledBy::Channel => no_sku(state, channel, &line.ids),
    })
}

fn no_sku(state: &State, channel: &ChannelId, ids: &Identifiers) -> String {
    match resolve(state, channel, ids) {
        Resolved::Ambiguous(skus) => {
            let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
            format!("fits several SKUs: {}", names.join(", "))
        }
        Resolved::Unknown => "no SKU has this code".to_owned(),
        Resolved::Listing(_) | Resolved::Sku(_) if state.initialised.is_none() => {
            "the opening stock was not taken over yet".to_owned()
        }
        Resolved::Listing(_) | Resolved::Sku(_) => "it is booked when it is next read".to_owned(),
    }
}

fn posting(state: &State, key: &OrderKey, posting: &PostState) -> PostingView {
    let (name, next_at, reason) = step(&posting.step);
    let behind = !matches!(posting.step, Step::Done | Step::Dropped | Step::Theirs | Step::Watched);
    let waits = waits_for(state, posting);
    PostingView {
        channel: posting.channel.clone(),
        state: name.to_owned(),
        reference: state.policies().map(|policies| reference(policies, key)).unwrap_or_default(),
        sequence: posting.sequence,
        tries: posting.tries,
        since: behind.then_some(posting.since.into()),
        next_at: next_at.map(Into::into),
        reason: waits
            .clone()
            .or(reason)
            .or_else(|| posting.fault.clone())
            .or_else(|| unseen(state, key, posting)),
        acknowledged: posting
            .acked
            .iter()
            .map(|item| ItemView {
                sku: item.sku.clone(),
                location: item.location.clone(),
                totals: item.totals,
            })
            .collect(),
        dead_letter: waits
            .map(|_| LetterId::Posting { channel: posting.channel.clone(), order: key.clone() }),
    }
}

/// Says of an order that is left to others that they may not have booked all of it.
fn unseen(state: &State, key: &OrderKey, posting: &PostState) -> Option<String> {
    let id = LetterId::Posting { channel: posting.channel.clone(), order: key.clone() };
    let said = || {
        let command = command("discard", &id);
        format!("its counts do not show yet that all of it is booked there; `{command}` says that it is")
    };
    posting.is_unseen(&*state.order(key)?).then(said)
}

/// Returns a step's name, when it goes on, and why it waits for a person.
pub(super) fn step(step: &Step) -> (&'static str, Option<crate::model::Timestamp>, Option<String>) {
    match step {
        Step::Done => ("done", None, None),
        Step::Pending => ("pending", None, None),
        Step::InFlight { .. } => ("in_flight", None, None),
        Step::Retry { at } => ("retry", Some(*at), None),
        Step::Parked { reason } => ("parked", None, Some(said(reason).to_owned())),
        Step::Dropped => ("dropped", None, None),
        Step::Theirs | Step::Watched => ("theirs", None, None),
    }
}
