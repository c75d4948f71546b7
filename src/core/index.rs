//! What is derived from the rows so that decisions find their work without looking at every row.
//!
//! Never stored. [`Index::of_row`] and [`Index::of_order`] say what a row contributes; replacing what it did by
//! what it does keeps the index true.

mod intents;
mod short;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        backoff::digest,
        count::Catalogue,
        mapping::fold,
        order::Order,
        recipe::Recipes,
        state::{Listing, ListingRef, Quarantined, SkuRow, State},
    },
    model::{
        ChannelId, DeliveryId, IdKind, Identifiers, LocationId, OrderKey, Policies, Quantity, Seq, Sku,
        Timestamp,
        policy::{MappingRow, Override},
    },
};

pub use short::Short;
pub use work::{Kind, Work};
use work::{first_listing, first_order, of_listing, of_order};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    work: BTreeSet<Work>,
    /// The SKUs with a listing, on whatever channel, that carries an identifier.
    ids: BTreeSet<(u64, Sku)>,
    folded: BTreeSet<(u64, Sku)>,
    /// The channels that ever had a listing. None of them goes: see [`ListingRef`].
    listed: BTreeSet<ChannelId>,
    /// The rows of the mapping tables by their first identifier, those that count least first.
    mapped: BTreeSet<(u64, Rank)>,
    /// Where the deviations of a SKU are in the policies.
    overrides: BTreeMap<Sku, Vec<usize>>,
    deliveries: BTreeSet<(Timestamp, ChannelId, DeliveryId)>,
    /// What is in quarantine of orders that were read from a channel.
    unread: BTreeSet<(ChannelId, Seq)>,
    /// What has an opening count.
    opened: Catalogue,
    /// What SKUs are made of, by the configuration and by their rows.
    pub recipes: Recipes,
    awaited: intents::Awaited,
    /// What is missing of oversold SKUs.
    pub short: Short,
}

/// Which row of the mapping tables, by how much it counts: the configured ones from the last to the first, then the
/// imported ones from the oldest to the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Configured(std::cmp::Reverse<usize>),
    Imported(usize),
}

/// What one SKU's row contributes, apart from the identifiers of its listings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OfRow {
    work: Vec<Work>,
    /// Where it has an opening count.
    opened: Vec<LocationId>,
}

fn id_digest(kind: IdKind, value: &str) -> u64 {
    digest(&[kind.name(), value])
}

fn fold_digest(policies: &Policies, sku: &Sku) -> u64 {
    digest(&[&fold(&policies.mapping, sku.as_str())])
}

impl Index {
    pub fn of_row(policies: Option<&Policies>, sku: &Sku, row: &SkuRow) -> OfRow {
        let opened = row.stock.iter().filter(|place| place.opened.is_some());
        let mut opened: Vec<LocationId> = opened.map(|place| place.location.clone()).collect();
        opened.sort_unstable();
        let mut out = OfRow { work: Vec::new(), opened };
        for (at, listing) in row.listings.iter().enumerate() {
            let at = u16::try_from(at).expect("a SKU has fewer than 65,536 listings: `decide` refuses more");
            let place = || ListingRef { sku: sku.clone(), at };
            of_listing(&mut out.work, policies, row.pause, listing, &place);
        }
        out
    }

    /// Returns the identifiers by which a SKU is found. They change only when a listing is bound, and digests cost.
    pub fn of_ids(row: &SkuRow) -> BTreeSet<u64> {
        let all = row.listings.iter().flat_map(|listing| listing.ids.iter());
        // What very many share finds nothing.
        let all = all.filter(|id| id.kind != IdKind::Location);
        all.map(|id| id_digest(id.kind, id.value)).collect()
    }

    /// Takes in that a channel has a listing.
    pub fn list(&mut self, channel: &ChannelId) {
        if !self.listed.contains(channel) {
            self.listed.insert(channel.clone());
        }
    }

    /// Tells whether a channel has, or had, a listing.
    pub fn lists(&self, channel: &ChannelId) -> bool {
        self.listed.contains(channel)
    }

    /// Returns what sorts before all orders of a channel.
    pub fn first_order(channel: &ChannelId) -> OrderKey {
        OrderKey { channel: channel.clone(), ..first_order() }
    }

    /// Takes in that a SKU is found by other identifiers than before.
    pub fn rebind(&mut self, sku: &Sku, before: &BTreeSet<u64>, after: &BTreeSet<u64>) {
        for id in before.difference(after) {
            self.ids.remove(&(*id, sku.clone()));
        }
        self.ids.extend(after.difference(before).map(|id| (*id, sku.clone())));
    }

    pub fn of_order(key: &OrderKey, order: &Order) -> Vec<Work> {
        of_order(key, order)
    }

    pub fn replace(&mut self, before: &OfRow, after: OfRow) {
        self.opened.replace(&before.opened, &after.opened);
        self.replace_work(&before.work, after.work);
    }

    pub fn replace_work(&mut self, before: &[Work], after: Vec<Work>) {
        if before == after.as_slice() {
            return;
        }
        for work in before {
            self.work.remove(work);
        }
        self.work.extend(after);
    }

    pub fn add_sku(&mut self, policies: Option<&Policies>, sku: &Sku) {
        if let Some(policies) = policies {
            self.folded.insert((fold_digest(policies, sku), sku.clone()));
        }
    }

    pub fn add_delivery(&mut self, at: Timestamp, channel: &ChannelId, delivery: &DeliveryId) {
        self.deliveries.insert((at, channel.clone(), delivery.clone()));
    }

    /// Takes in what came into quarantine.
    pub fn quarantine(&mut self, id: Seq, item: &Quarantined) {
        if item.holds_orders() {
            self.unread.insert((item.channel.clone(), id));
        }
    }

    /// Takes in that something left the quarantine.
    pub fn unquarantine(&mut self, id: Seq, item: &Quarantined) {
        self.unread.remove(&(item.channel.clone(), id));
    }

    /// Tells whether orders that were read from a channel lie in quarantine.
    pub fn has_unread(&self, channel: &ChannelId) -> bool {
        let from = (channel.clone(), Seq::ZERO);
        self.unread.range(from..).next().is_some_and(|(of, _)| of == channel)
    }

    /// Removes the deliveries recorded before `before`, and returns them.
    pub fn forget_deliveries(&mut self, before: Timestamp) -> Vec<(ChannelId, DeliveryId)> {
        let mut old = Vec::new();
        while self.deliveries.first().is_some_and(|(at, ..)| *at < before) {
            old.extend(self.deliveries.pop_first().map(|(_, channel, delivery)| (channel, delivery)));
        }
        old
    }

    /// Returns how many deliveries were recorded before `before`, counting no further than `most`.
    pub fn old_deliveries(&self, before: Timestamp, most: usize) -> usize {
        self.deliveries.iter().take_while(|(at, ..)| *at < before).take(most).count()
    }

    /// Takes in the mapping tables as they are.
    pub fn map_tables(&mut self, policies: Option<&Policies>, imported: &[MappingRow]) {
        self.mapped.clear();
        let configured = policies.iter().flat_map(|p| p.mapping.table.iter().enumerate());
        let configured = configured.map(|(at, row)| (Rank::Configured(std::cmp::Reverse(at)), row));
        let imported = imported.iter().enumerate().map(|(at, row)| (Rank::Imported(at), row));
        for (rank, row) in configured.chain(imported) {
            if let Some(id) = row.ids.iter().next() {
                self.mapped.insert((id_digest(id.kind, id.value), rank));
            }
        }
    }

    /// Returns the SKU of the row of the mapping tables that fits best: every identifier that it names is the same.
    pub fn mapped(&self, state: &State, channel: &ChannelId, ids: &Identifiers) -> Option<Sku> {
        let row = |rank: Rank| match rank {
            Rank::Imported(at) => state.table.get(at),
            Rank::Configured(at) => state.policies()?.mapping.table.get(at.0),
        };
        let fits = |row: &&MappingRow| {
            row.channel == *channel && row.ids.iter().all(|id| ids.get(id.kind) == Some(id.value))
        };
        let best = |hash: u64| {
            let least = (hash, Rank::Configured(std::cmp::Reverse(usize::MAX)));
            let near = self.mapped.range(least..=(hash, Rank::Imported(usize::MAX)));
            near.rev().map(|(_, rank)| *rank).find(|rank| row(*rank).as_ref().is_some_and(&fits))
        };
        let best = ids.iter().filter_map(|id| best(id_digest(id.kind, id.value))).max()?;
        row(best).map(|row| row.sku.clone())
    }

    /// Returns the deviations of a SKU, in the order in which they count.
    pub fn overrides<'a>(&'a self, policies: &'a Policies, sku: &Sku) -> impl Iterator<Item = &'a Override> {
        self.overrides.get(sku).into_iter().flatten().filter_map(|at| policies.overrides.get(*at))
    }

    /// Returns how much has an opening count.
    pub fn opened(&self) -> &Catalogue {
        &self.opened
    }

    /// Returns the SKUs whose folded text may be `folded` (compare again: digests may collide).
    pub fn folded(&self, folded: &str) -> impl Iterator<Item = &Sku> {
        let hash = digest(&[folded]);
        let least = first_listing().sku;
        self.folded.range((hash, least)..).take_while(move |(h, _)| *h == hash).map(|(_, sku)| sku)
    }

    /// Returns the listings on `channel` that carry the identifier.
    pub fn listings(&self, state: &State, channel: &ChannelId, kind: IdKind, value: &str) -> Vec<ListingRef> {
        let hash = id_digest(kind, value);
        let least = first_listing().sku;
        let near = self.ids.range((hash, least)..).take_while(|(h, _)| *h == hash).map(|(_, sku)| sku);
        let same = |listing: &Listing| listing.channel == *channel && listing.ids.get(kind) == Some(value);
        let of = |sku: &Sku| {
            let listings = state.skus.get(sku).map(|row| row.listings.iter().zip(0..));
            let same = listings.into_iter().flatten().filter(|(listing, _)| same(listing));
            same.map(|(_, at)| ListingRef { sku: sku.clone(), at }).collect::<Vec<_>>()
        };
        near.flat_map(of).collect()
    }

    /// Returns the work from `from` (inclusive) on, in order, while `belongs` says so.
    pub fn work<'a>(
        &'a self,
        from: Work,
        belongs: impl Fn(&Work) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Work> + 'a {
        self.work.range(from..).take_while(move |work| belongs(work))
    }

    /// Returns the work of one kind for one channel, in the order in which it is to be taken.
    pub fn of<'a>(&'a self, kind: Kind, channel: &'a ChannelId) -> impl Iterator<Item = &'a Work> + 'a {
        let from = kind.least(channel);
        let same = std::mem::discriminant(&from);
        self.work(from, move |work| {
            std::mem::discriminant(work) == same && work.channel().is_some_and(|c| c == channel)
        })
    }

    /// Returns the work of one kind for all channels.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Work> {
        let from = kind.least(&ChannelId::new("-").expect("a valid name that sorts first"));
        let same = std::mem::discriminant(&from);
        self.work(from, move |work| std::mem::discriminant(work) == same)
    }

    /// Returns the listings on a channel that are ready for a raise, lowest stock first.
    pub fn raises<'a>(&'a self, channel: &'a ChannelId) -> impl Iterator<Item = &'a ListingRef> + 'a {
        let listing = first_listing();
        let quantity = Quantity::new(i64::MIN);
        let from = Work::Ready { channel: channel.clone(), waits: false, raise: true, quantity, listing };
        self.work.range(from..).map_while(move |work| {
            if let Work::Ready { channel: of, waits: false, listing, .. } = work
                && of == channel
            {
                Some(listing)
            } else {
                None
            }
        })
    }

    /// Returns each thing that lines without a SKU go by on a channel, with one order that has it.
    pub fn unmapped_items<'a>(
        &'a self,
        channel: &'a ChannelId,
    ) -> impl Iterator<Item = (&'a Identifiers, &'a OrderKey)> + 'a {
        let mut from = Identifiers::default();
        std::iter::from_fn(move || {
            let (channel, order) = (channel.clone(), first_order());
            let least = Work::UnmappedItem { channel: channel.clone(), ids: from.clone(), order };
            match self.work.range(least..).next() {
                Some(Work::UnmappedItem { channel: of, ids, order }) if *of == channel => {
                    from = ids.next();
                    Some((ids, order))
                }
                Some(_) | None => None,
            }
        })
    }

    /// Returns the orders that some ERP does not hold whole and that move `sku`.
    pub fn unposted<'a>(&'a self, sku: &'a Sku) -> impl Iterator<Item = &'a OrderKey> + 'a {
        let order = first_order();
        let from = Work::Unposted { sku: sku.clone(), order };
        self.work.range(from..).map_while(move |work| {
            if let Work::Unposted { sku: of, order } = work
                && of == sku
            {
                Some(order)
            } else {
                None
            }
        })
    }

    /// Returns the orders of `sku` that came before its opening count, or are older than it and still open.
    pub fn older<'a>(&'a self, sku: &'a Sku) -> impl Iterator<Item = &'a OrderKey> + 'a {
        let from = Work::Older { sku: sku.clone(), order: first_order() };
        self.work.range(from..).map_while(move |work| {
            if let Work::Older { sku: of, order } = work
                && of == sku
            {
                Some(order)
            } else {
                None
            }
        })
    }

    /// Builds the index anew, after the policies or many rows changed.
    pub fn rebuild(state: &mut State) {
        let mut index = Index::default();
        let policies = state.policies.as_deref();
        for (at, over) in policies.iter().flat_map(|p| p.overrides.iter().enumerate()) {
            index.overrides.entry(over.sku.clone()).or_default().push(at);
        }
        index.map_tables(policies, &state.table);
        let made = state.skus.iter().filter_map(|(sku, row)| Some((sku, row.made.as_deref()?)));
        index.recipes = Recipes::collect(policies, made);
        // Sets that are made of all their members at once are dense; grown one by one they are half empty.
        let (mut ids, mut work) = (Vec::new(), Vec::new());
        for (sku, row) in &state.skus {
            let of = Index::of_row(policies, sku, row);
            index.opened.replace(&[], &of.opened);
            work.extend(of.work);
            row.listings.iter().for_each(|listing| index.list(&listing.channel));
            ids.extend(Index::of_ids(row).into_iter().map(|id| (id, sku.clone())));
        }
        index.ids = ids.into_iter().collect();
        let folded = |sku: &Sku| policies.map(|policies| (fold_digest(policies, sku), sku.clone()));
        index.folded = state.skus.keys().filter_map(folded).collect();
        for (key, order) in &state.orders {
            work.extend(of_order(key, order));
        }
        index.work = work.into_iter().collect();
        let delivery = |((channel, delivery), at): (&(ChannelId, DeliveryId), &Timestamp)| {
            (*at, channel.clone(), delivery.clone())
        };
        index.deliveries = state.deliveries.iter().map(delivery).collect();
        state.quarantine.iter().for_each(|(id, item)| index.quarantine(*id, item));
        for (id, intent) in &state.intents {
            index.awaited.put(*id, intent);
        }
        state.index = index;
        state.note_all_short();
    }
}

#[cfg(test)]
mod tests;
