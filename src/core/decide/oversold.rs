//! Names what a command has sold, or promised, beyond what is there.

use std::collections::BTreeMap;

use crate::{
    core::{
        allocation::Pause,
        decide::{Draft, listing::strictest},
        drift::Done,
        ledger::{Cause, Entry, Kind},
        oversold::{Class, as_none, more_missing, moved, there},
        record::Record,
        state::{Listing, ListingRef, SkuRow},
    },
    model::{ChannelId, LocationId, Policies, Quantity, Sku},
};

impl Draft<'_> {
    /// Records what this command's entries leave missing. Over all places together: what lies at another place is there, and so is
    /// what is on its way; but for what a channel holds by itself.
    pub(super) fn note_oversold(&mut self) {
        if self.state.initialised.is_none() {
            return;
        }
        let mut moves: BTreeMap<&Sku, (Quantity, Option<&Entry>)> = BTreeMap::new();
        // What a merge moves was missing before.
        let merged = |entry: &&Entry| matches!(entry.cause, Cause::Merged { .. });
        let Some(places) = self.state.policies().map(Policies::own_places) else { return };
        let entries = self.records.iter().flat_map(Record::entries).filter(|entry| !merged(entry));
        for entry in entries.filter(|entry| places.contains(&entry.location)) {
            let Ok(by) = moved(entry) else { continue };
            let (sum, last) = moves.entry(&entry.sku).or_default();
            *sum = sum.add(by).unwrap_or(*sum);
            if by < Quantity::ZERO {
                *last = Some(entry);
            }
        }
        let lowered = moves.into_iter().filter_map(|(sku, (by, last))| Some((sku, by, last?)));
        let found: Vec<[Option<Record>; 3]> =
            lowered.filter_map(|(sku, by, last)| self.oversold(sku, by, last, &places)).collect();
        for record in found.into_iter().flatten().flatten() {
            self.emit(record);
        }
    }

    /// Returns what is recorded of a SKU of which units are missing by the changes of a command: that it was made good before
    /// it, where nobody has noticed yet, and the oversell; what the channel sold beyond what it showed is one by itself.
    fn oversold(
        &self,
        sku: &Sku,
        by: Quantity,
        last: &Entry,
        places: &[LocationId],
    ) -> Option<[Option<Record>; 3]> {
        let row = self.state.skus.get(sku)?;
        let there = match there(row, places).ok()? {
            None if self.is_shown(sku, row) => as_none(row, places).ok()?,
            there => there?,
        };
        let units = more_missing(there, by).ok()?;
        if units.is_zero() {
            return None;
        }
        let anew = self.state.oversold.contains_key(sku) && there.sub(by).ok()? >= Quantity::ZERO;
        let (class, channel) = self.class(row, last);
        let theirs = if class == Class::Uncontrolled {
            Quantity::ZERO
        } else {
            self.sold_beyond(sku, last).min(units)
        };
        let oversold = |class, units: Quantity, beyond| {
            (!units.is_zero()).then(|| Record::Oversold {
                sku: sku.clone(),
                location: last.location.clone(),
                units,
                class,
                beyond,
                cause: last.cause.clone(),
                channel: channel.clone(),
            })
        };
        let ours = oversold(class, units.sub(theirs).ok()?, false);
        let made_good = anew.then(|| Record::MadeGood { sku: sku.clone() });
        Some([made_good, ours, oversold(Class::Uncontrolled, theirs, true)])
    }

    /// Tells whether ours is shown of a SKU that was never counted, which is none, by itself or in a bundle; or nothing but a bundle
    /// knows its name. What nothing of ours is shown of is left alone until it is counted, and sells as its channel has it.
    fn is_shown(&self, sku: &Sku, row: &SkuRow) -> bool {
        let users = self.state.index.recipes.users(sku);
        let written = |row: &SkuRow| row.listings.iter().any(|listing| listing.leg.is_some());
        let in_bundle = users.iter().filter_map(|user| self.state.skus.get(user)).any(written);
        written(row) || in_bundle || (row.listings.is_empty() && !users.is_empty())
    }

    /// Returns how many units of a SKU the channel that sold them last has sold, by this command, beyond what it can have shown.
    fn sold_beyond(&self, sku: &Sku, last: &Entry) -> Quantity {
        let Cause::Order { order, .. } = &last.cause else { return Quantity::ZERO };
        let Some(sold) = self.sold_listing(last) else { return Quantity::ZERO };
        let here = |entry: &&Entry| {
            let by = matches!(&entry.cause, Cause::Order { order: of, .. } if of.channel == order.channel);
            by && entry.kind == Kind::Sale && entry.sku == *sku
        };
        let entries = self.records.iter().flat_map(Record::entries).filter(here);
        let most = entries.fold(Quantity::ZERO, |sum, entry| sum.add(entry.quantity).unwrap_or(sum));
        let beyond = self.state.listing(&sold).and_then(|listing| listing.writes.sold_beyond().ok());
        // A bundle takes several units of it.
        let parts = self.state.made_of(&sold.sku).unwrap_or_default();
        let needed = parts.iter().find(|part| part.sku == *sku).map_or(Quantity::new(1), |part| part.units);
        beyond.and_then(|beyond| beyond.times(needed).ok()).unwrap_or_default().min(most)
    }

    /// Returns the listing that was sold, maybe as a part of something else.
    fn sold_listing(&self, last: &Entry) -> Option<ListingRef> {
        let Cause::Order { order, line } = &last.cause else { return None };
        let line = self.state.orders.get(order).and_then(|order| order.lines.get(line));
        line.and_then(|line| self.sold_from(&order.channel, line, &last.location))
    }

    /// Tells whose doing it is that the stock fell below zero by this entry.
    fn class(&self, row: &SkuRow, last: &Entry) -> (Class, Option<ChannelId>) {
        let order = match &last.cause {
            Cause::Order { order, .. } => order,
            // An ERP tells of its own customers by nothing else, and does not say whether what is missing was sold.
            Cause::Count { counter, .. } => return (Class::Uncontrolled, Some(counter.clone())),
            Cause::Edit { .. } | Cause::Operator { .. } | Cause::Merged { .. } | Cause::Intent { .. } => {
                return (Class::Physical, None);
            }
        };
        if last.kind != Kind::Sale {
            return (Class::Physical, None);
        }
        let channel = &order.channel;
        let sold = self.sold_listing(last);
        let held = sold.and_then(|sold| self.state.listing(&sold)).filter(|listing| listing.writable());
        let class = match held {
            None => Class::Uncontrolled,
            Some(_) if !self.writes_to(channel) => Class::Uncontrolled,
            Some(listing) if shown_by_another(listing) => Class::RivalWriter,
            Some(_) if self.is_frozen(row, channel) => Class::Override,
            Some(_) => Class::Sync,
        };
        (class, Some(channel.clone()))
    }

    fn writes_to(&self, channel: &ChannelId) -> bool {
        let policy = self.state.policies().and_then(|policies| policies.channels.get(channel));
        policy.is_some_and(|policy| policy.abilities.quantities)
    }

    /// Tells whether a person keeps what is shown there as it is.
    fn is_frozen(&self, row: &SkuRow, channel: &ChannelId) -> bool {
        let paused = self.state.channels.get(channel).and_then(|held| held.pause);
        strictest(paused, row.pause) == Some(Pause::Frozen)
    }
}

/// Tells whether somebody else has raised what a listing shows, and ours was not seen there since.
fn shown_by_another(listing: &Listing) -> bool {
    let Some(drift) = listing.drift.as_ref().filter(|drift| drift.observed > drift.expected) else {
        return false;
    };
    match drift.done {
        Done::Asked | Done::Held | Done::Left | Done::Repaired | Done::Released => {
            !listing.shows_ours_since()
        }
        Done::Accepted | Done::Gone => false,
    }
}
