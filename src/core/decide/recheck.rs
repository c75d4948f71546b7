//! What is looked at again because something changed that concerns all of it, a portion with each command.
//!
//! How far it has come is not recorded: after a start everything is looked at once more, which records nothing where
//! nothing has changed.

use std::{collections::BTreeSet, ops::Bound};

use crate::{
    core::{
        decide::Draft,
        index::{Kind, Work},
        state::Todo,
    },
    model::{ChannelId, Identifiers, OrderKey, Sku, Timestamp},
};

/// How many SKUs one command refreshes at most; where more changed, all are rechecked.
pub(super) const AT_ONCE: usize = 500;
/// How many listings these may have together, whatever the number of SKUs: each may get a leg in the command's record.
const LISTINGS: usize = 20_000;

impl Draft<'_> {
    /// Refreshes what SKUs should show, all now or, if they are many, in portions.
    pub(super) fn refresh_all(&mut self, skus: BTreeSet<Sku>, event_at: Timestamp) {
        let all: Vec<Sku> = skus.into_iter().collect();
        let now = self.at_once(&all, AT_ONCE);
        self.refresh_with_users(&all[..now], event_at);
        if now < all.len() {
            self.state.recheck.skus = Todo::All;
        }
    }

    /// Returns how many of these SKUs one command refreshes: at least one.
    fn at_once(&self, skus: &[Sku], most: usize) -> usize {
        let (mut listings, mut met) = (0, BTreeSet::new());
        let fits = |sku: &&Sku| {
            let users = self.state.index.recipes.users(sku);
            for of in users.into_iter().chain([Sku::clone(sku)]) {
                let held = self.state.skus.get(&of).map_or(0, |row| row.listings.len());
                // What is made of several of them is refreshed once.
                listings += if met.insert(of) { held } else { 0 };
            }
            listings <= LISTINGS
        };
        skus.iter().take(most).take_while(fits).count().max(1).min(skus.len())
    }

    /// Begins to recheck what every SKU should show.
    pub(super) fn recheck_skus(&mut self) {
        self.state.recheck.skus = Todo::All;
        self.state.recheck.sold = Todo::All;
        self.recheck(AT_ONCE);
    }

    /// Begins to try everything again that no SKU was found for.
    pub(super) fn recheck_unmapped(&mut self) {
        self.state.recheck.items = Todo::All;
        self.state.recheck.orders = Todo::All;
        self.recheck(AT_ONCE);
    }

    /// Begins to try the orders again that have lines without a SKU.
    pub(super) fn recheck_orders(&mut self) {
        self.state.recheck.orders = Todo::All;
        self.recheck(AT_ONCE);
    }

    /// Begins to look again at the orders with lines that a person has left out.
    pub(super) fn recheck_ignored(&mut self) {
        self.state.recheck.ignored = Todo::All;
        self.recheck(AT_ONCE);
    }

    /// Takes up the next portion, of at most `portion` SKUs, items and orders each.
    pub(super) fn recheck(&mut self, portion: usize) {
        self.rebook_sold(portion);
        // What a bundle shows is known once its components are told of what was sold of it.
        let booked = self.state.recheck.sold.from().is_none();
        if let Some(from) = self.state.recheck.skus.from().filter(|_| booked) {
            let rest = self.state.skus.range::<Sku, _>((from, Bound::Unbounded));
            let keys: Vec<Sku> = rest.take(portion).map(|(sku, _)| sku.clone()).collect();
            let now = self.at_once(&keys, portion);
            let cut = if now < keys.len() { now } else { portion };
            self.state.recheck.skus = Todo::after(&keys[..now], cut);
            for sku in &keys[..now] {
                if self.state.is_paused_unlike(sku) {
                    self.pause_alike(sku);
                    self.refresh(&self.state.canonical(sku).clone(), self.now);
                }
            }
            // What is made of them comes by itself.
            self.refresh_each(&keys[..now], self.now);
            keys[..now].iter().for_each(|sku| self.end_commits(sku));
        }
        if let Some(from) = self.state.recheck.items.from() {
            type Key = (ChannelId, Identifiers);
            let rest = self.state.unmatched.range::<Key, _>((from, Bound::Unbounded));
            let keys: Vec<Key> = rest.take(portion).map(|(key, _)| key.clone()).collect();
            self.state.recheck.items = Todo::after(&keys, portion);
            for key in keys {
                let Some(held) = self.state.unmatched.get(&key).cloned() else { continue };
                // What still fits no SKU goes on waiting.
                drop(self.place_item(&key.0, false, &held.item));
            }
        }
        if let Some(from) = self.state.recheck.orders.from() {
            let keys: Vec<OrderKey> = self.orders_of(Kind::Unbound, from).take(portion).cloned().collect();
            self.state.recheck.orders = Todo::after(&keys, portion);
            self.settle_again(keys);
        }
        if let Some(from) = self.state.recheck.ignored.from() {
            let keys: Vec<OrderKey> = self.orders_of(Kind::Ignored, from).take(portion).cloned().collect();
            self.state.recheck.ignored = Todo::after(&keys, portion);
            self.settle_again(keys);
        }
    }

    fn settle_again(&mut self, keys: Vec<OrderKey>) {
        if keys.is_empty() {
            return;
        }
        // What follows from an order is told as such, and not what followed from the listings that were found.
        self.refresh_concerned();
        for key in keys {
            let Some(order) = self.state.orders.get(&key).cloned() else { continue };
            if self.settle_order(key, order).is_err() {
                // It does not fit the ledger, and stays unmapped, as people are told.
                continue;
            }
        }
    }

    /// Returns the orders with such lines, in their order, from somewhere on. `kind` is one whose work names orders only.
    fn orders_of<'a>(
        &'a self,
        kind: Kind,
        from: Bound<&'a OrderKey>,
    ) -> impl Iterator<Item = &'a OrderKey> + 'a {
        let index = &self.state.index;
        let last = match from {
            Bound::Excluded(key) | Bound::Included(key) => Some(key),
            Bound::Unbounded => None,
        };
        let named = |key: &OrderKey| {
            let (channel, order) = (key.channel.clone(), key.clone());
            if kind == Kind::Ignored {
                Work::Ignored { channel, order }
            } else {
                Work::Unbound { channel, order }
            }
        };
        let work: Box<dyn Iterator<Item = &Work>> = match last {
            Some(key) => {
                let from = named(key);
                let same = std::mem::discriminant(&from);
                Box::new(index.work(from, move |work| std::mem::discriminant(work) == same))
            }
            None => Box::new(index.all(kind)),
        };
        work.filter_map(Work::order).filter(move |key| Some(*key) != last)
    }
}
