//! Names what a command has sold, or promised, beyond what is there.

use std::collections::BTreeMap;

use crate::{
    core::{
        allocation::Pause,
        decide::{Draft, listing::strictest},
        drift::Done,
        ledger::{Cause, Entry, Kind},
        oversold::{Class, more_missing, moved, there},
        record::Record,
        state::{Listing, SkuRow},
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
        let found: Vec<[Option<Record>; 2]> =
            lowered.filter_map(|(sku, by, last)| self.oversold(sku, by, last, &places)).collect();
        for record in found.into_iter().flatten().flatten() {
            self.emit(record);
        }
    }

    /// Returns what is recorded of a SKU of which units are missing by the changes of a command: that it was made good before
    /// it, where nobody has noticed yet, and the oversell.
    fn oversold(
        &self,
        sku: &Sku,
        by: Quantity,
        last: &Entry,
        places: &[LocationId],
    ) -> Option<[Option<Record>; 2]> {
        let row = self.state.skus.get(sku)?;
        let there = there(row, places).ok()??;
        let units = more_missing(there, by).ok()?;
        if units.is_zero() {
            return None;
        }
        let anew = self.state.oversold.contains_key(sku) && there.sub(by).ok()? >= Quantity::ZERO;
        let (class, channel) = self.class(row, last);
        let oversold = Record::Oversold {
            sku: sku.clone(),
            location: last.location.clone(),
            units,
            class,
            cause: last.cause.clone(),
            channel,
        };
        Some([anew.then(|| Record::MadeGood { sku: sku.clone() }), Some(oversold)])
    }

    /// Tells whose doing it is that the stock fell below zero by this entry.
    fn class(&self, row: &SkuRow, last: &Entry) -> (Class, Option<ChannelId>) {
        let (order, line) = match &last.cause {
            Cause::Order { order, line } => (order, line),
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
        // It may have been sold as a part of something else.
        let line = self.state.orders.get(order).and_then(|order| order.lines.get(line));
        let sold = line.and_then(|line| self.sold_from(channel, line, &last.location));
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
    let seen_since = listing.writes.confirmed.is_some_and(|confirmed| confirmed.at > drift.at);
    match drift.done {
        Done::Asked | Done::Held | Done::Left | Done::Repaired | Done::Released => !seen_since,
        Done::Accepted | Done::Gone => false,
    }
}
