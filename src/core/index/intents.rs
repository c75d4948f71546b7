//! Which legs the open intents wait for.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        index::Index,
        intent::{Change, Intent},
    },
    model::{Seq, Sku},
};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Awaited {
    by_sku: BTreeSet<(Sku, Seq, u32)>,
    by_intent: BTreeMap<Seq, BTreeSet<u32>>,
}

impl Awaited {
    pub(super) fn put(&mut self, id: Seq, intent: &Intent) {
        for (leg, n) in intent.legs.iter().zip(0..) {
            if intent.awaits(leg) {
                self.by_sku.insert((leg.listing.sku.clone(), id, n));
                self.by_intent.entry(id).or_default().insert(n);
            }
        }
    }

    fn drop(&mut self, id: Seq, intent: &Intent) {
        for n in self.by_intent.remove(&id).into_iter().flatten() {
            if let Some(leg) = usize::try_from(n).ok().and_then(|n| intent.legs.get(n)) {
                self.by_sku.remove(&(leg.listing.sku.clone(), id, n));
            }
        }
    }

    fn end(&mut self, id: Seq, n: u32, sku: &Sku) {
        self.by_sku.remove(&(sku.clone(), id, n));
        let Some(held) = self.by_intent.get_mut(&id) else { return };
        held.remove(&n);
        if held.is_empty() {
            self.by_intent.remove(&id);
        }
    }
}

impl Index {
    /// Takes in what has changed of an intent, which is as it is after the change.
    pub fn await_legs(&mut self, id: Seq, intent: Option<&Intent>, change: &Change) {
        let Some(intent) = intent else { return };
        match change {
            Change::Opened(_) | Change::Awaits(_) | Change::Moved { .. } => {
                self.awaited.drop(id, intent);
                self.awaited.put(id, intent);
            }
            Change::Leg { n, .. } => {
                let leg = usize::try_from(*n).ok().and_then(|n| intent.legs.get(n));
                if let Some(leg) = leg.filter(|leg| !leg.waits()) {
                    self.awaited.end(id, *n, &leg.listing.sku);
                }
            }
            Change::Received(_) => {}
        }
    }

    /// Tells whether any intent waits for a leg.
    pub fn awaits_any(&self) -> bool {
        !self.awaited.by_intent.is_empty()
    }

    /// Tells whether an intent waits for a leg.
    pub fn awaits(&self, id: Seq) -> bool {
        self.awaited.by_intent.contains_key(&id)
    }

    /// Returns the legs of a SKU that intents wait for.
    pub fn awaited_of<'a>(&'a self, sku: &'a Sku) -> impl Iterator<Item = (Seq, u32)> + 'a {
        let of = self.awaited.by_sku.range((sku.clone(), Seq::ZERO, 0)..);
        of.take_while(move |(held, ..)| held == sku).map(|(_, id, n)| (*id, *n))
    }

    /// Returns all legs that intents wait for, after this one.
    pub fn awaited_after(&self, after: Option<&(Sku, Seq, u32)>) -> impl Iterator<Item = &(Sku, Seq, u32)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.awaited.by_sku.range((after.map_or(Unbounded, Excluded), Unbounded))
    }
}
