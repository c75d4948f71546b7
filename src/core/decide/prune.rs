//! What is kept of things that are over, or that nobody cares for: all that grows has a bound.
//!
//! Of orders that were finished long ago, a tombstone is kept. When that happens changes nothing that is decided later:
//! a tombstone holds all that its order did.

use std::{collections::BTreeMap, ops::Bound};

use crate::{
    core::{
        decide::Draft,
        index::{Index, Work},
        order::{Line, Order},
        record::Record,
        state::{Note, Quarantined, Todo},
    },
    model::{OrderKey, Policies, Quantity, Seq, Timestamp, Totals},
};

/// How many orders one tick looks at.
const PORTION: usize = 500;
/// Of how many it leaves tombstones. Their rows, two for each, must fit one batch of the state's: between several, a crash
/// costs a rebuild.
const BURIED: usize = 200;
/// How often all orders are looked at.
const EVERY_MS: i64 = 3_600_000;
/// How many messages that could not be read wait for a person. The journal has all.
const QUARANTINED: usize = 10_000;
/// How many of them one tick gives up.
const GIVEN_UP: usize = 500;

impl Draft<'_> {
    /// Gives up the oldest messages that could not be read, where there are too many. One that may hide what was sold is
    /// never given up unless the same order came again.
    pub(super) fn thin_quarantine(&mut self) {
        let surplus = self.state.quarantine.len().saturating_sub(QUARANTINED).min(GIVEN_UP);
        if surplus == 0 {
            return;
        }
        let mut latest = BTreeMap::new();
        for (id, item) in &self.state.quarantine {
            latest.insert((&item.channel, &item.topic, &item.id), *id);
        }
        let again = |(id, item): &(&Seq, &Quarantined)| {
            item.id.is_some() && latest.get(&(&item.channel, &item.topic, &item.id)) != Some(*id)
        };
        let hides = |of: &(&Seq, &Quarantined)| of.1.holds_orders() && !again(of);
        let given_up = self.state.quarantine.iter().filter(|of| !hides(of)).take(surplus);
        for id in given_up.map(|(id, _)| *id).collect::<Vec<_>>() {
            let note = Note { by: "evenkeel".to_owned(), reason: "too many wait".to_owned() };
            self.emit(Record::Unquarantined { id, note: Some(note) });
        }
    }

    /// Looks at the next portion of orders, and leaves a tombstone of those that were finished long enough ago.
    pub(super) fn prune(&mut self, policies: &Policies) {
        let Some(keep) = policies.keep_orders_ms else { return };
        let recheck = &mut self.state.recheck;
        let age = self.now.since(recheck.finished_at);
        // A clock that was set back must not put it off.
        if recheck.finished == Todo::Nothing && (age < 0 || age >= keep.min(EVERY_MS)) {
            recheck.finished = Todo::All;
        }
        if recheck.finished == Todo::All {
            recheck.finished_at = self.now;
        }
        let Some(from) = self.state.recheck.finished.from() else { return };
        let before = self.now.plus_millis(-keep);
        let rest = self.state.orders.range::<OrderKey, _>((from, Bound::Unbounded)).take(PORTION);
        let (mut looked_at, mut last, mut orders) = (0, None, Vec::new());
        for (key, order) in rest {
            (looked_at, last) = (looked_at + 1, Some(key));
            if changed(order) <= before && is_finished(key, order) {
                orders.push(key.clone());
            }
            if orders.len() >= BURIED {
                break;
            }
        }
        let last = last.filter(|_| looked_at == PORTION || orders.len() >= BURIED).cloned();
        self.state.recheck.finished = last.map_or(Todo::Nothing, Todo::After);
        if !orders.is_empty() {
            self.emit(Record::Pruned { orders });
        }
    }
}

fn changed(order: &Order) -> Timestamp {
    order.changed_at().max(order.placed_at)
}

/// Tells whether nothing of an order is under way: it waits for nobody, every unit of it is shipped or cancelled, and all
/// that was told of it is booked.
pub fn is_finished(key: &OrderKey, order: &Order) -> bool {
    let settled = |line: &Line| match order.totals(line) {
        // What a person has left out is not ours to book, unless a SKU is found for it while units of it are open.
        Ok(totals) if line.lacks_sku() => totals.open().is_ok_and(|open| open <= Quantity::ZERO),
        // Nor is what the channel ships.
        Ok(_) if line.bound.is_none() => true,
        Ok(totals) => totals == booked(line, totals) && totals.open() == Ok(Quantity::ZERO),
        Err(_) => false,
    };
    // What a person has left out waits for nobody.
    let idle = |work: &Work| matches!(work, Work::Ignored { .. });
    order.lines.values().all(settled) && Index::of_order(key, order).iter().all(idle)
}

/// Returns what a line has booked. What turned out to be the channel's own stock is told and never booked.
fn booked(line: &Line, told: Totals) -> Totals {
    if line.booked == Totals::default() && line.shares.is_empty() { told } else { line.booked }
}
