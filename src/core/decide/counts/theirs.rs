//! Orders that are left to others: what of them a count turns out to have in it.

use crate::{
    core::{
        command::Count,
        count::{acked, seen},
        decide::Draft,
        posting::{self, Item},
        record::Record,
    },
    model::{LocationId, OrderKey, Overflow, Quantity, Sku, Timestamp, Totals},
};

impl Draft<'_> {
    /// Takes in that a count has so many units of an order in it that is left to others.
    pub(super) fn seen_booked(
        &mut self,
        count: &Count,
        sku: &Sku,
        location: &LocationId,
        key: &OrderKey,
        mut units: Quantity,
    ) -> Result<(), Overflow> {
        let (Some(order), Some(policies)) = (self.state.orders.get(key), &self.state.policies) else {
            return Ok(());
        };
        let (Some(held), Some(policy)) =
            (order.posting(&count.counter), policies.channels.get(&count.counter))
        else {
            return Ok(());
        };
        let mut posting = held.clone();
        for item in posting::news(order)? {
            if item.location != *location || self.state.canonical(&item.sku) != sku {
                continue;
            }
            let had = acked(&held.acked, &item.sku, location);
            let told = |totals| posting::told(totals, policy.posts);
            let booked = told(item.totals);
            let seen = seen(count.measure, told(had), booked, &mut units)?;
            // What it is never told of, it learns by itself.
            let totals = if seen == booked { item.totals } else { seen };
            // Of what was given up, what came back is posted once something else becomes of it.
            let (released, returned) = (had.released, had.returned);
            let totals = if posting.by_hand { Totals { released, returned, ..totals } } else { totals };
            posting.take(Item { totals, ..item });
        }
        if posting.acked != held.acked {
            self.emit(Record::Posting { key: key.clone(), posting });
        }
        Ok(())
    }
}

/// Spreads units over orders that have left so many each, the oldest first. One that has left none is booked as it is.
pub(super) fn oldest_first(
    mut left: Vec<(Timestamp, OrderKey, Quantity)>,
    mut booked: Quantity,
) -> Result<Vec<(OrderKey, Quantity)>, Overflow> {
    left.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut seen = Vec::new();
    for (_, key, off) in left {
        let units = off.min(booked);
        booked = booked.sub(units)?;
        if units > Quantity::ZERO || off.is_zero() {
            seen.push((key, units));
        }
    }
    Ok(seen)
}
