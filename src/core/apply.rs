//! Puts one record into the state. Has no opinions, and does not fail on what `decide` made.

mod left;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    core::{
        bulk::Bulks,
        count::Edits,
        drift::Drifted,
        index::Index,
        intent::{self, Change, Intent, Line, Moving, Phase},
        ledger::{Booked, Cause, Entry, Kind},
        leg::{self, Leg, Writes},
        moves::{LastCount, Moves, When, absent_until, effect},
        order::{Ignore, Order},
        oversold::Oversell,
        posting::PostState,
        recipe::Made,
        record::{Envelope, HandCounted, HeldCount, PauseScope, Record},
        state::{
            ChannelRow, Commit, HeldConfig, Ignorable, Ignored, Listing, ListingRef, Opened, RowKey, SkuRow,
            State,
        },
    },
    model::{
        ChannelId, Counter, LocationId, Measure, OrderKey, Quantity, Revision, Seq, Sku, Timestamp,
        policy::MappingRow,
    },
};

/// How many entries a SKU's row keeps for people to look at; the journal has all.
pub const RECENT: usize = 6;
/// How many open commits a SKU's row keeps; where more are open, those in the middle are told with the newest.
const COMMITS: usize = 32;
/// How many intents that have ended are kept for people to look at.
const ENDED: usize = 200;

/// Applies all records of the envelope at position `seq`.
pub fn apply(state: &mut State, seq: Seq, envelope: &Envelope) {
    for record in &envelope.records {
        one(state, seq, envelope.at, record);
    }
    state.seq = seq;
    state.dirty.insert(RowKey::Meta);
}

/// Applies one record of the envelope at position `seq`, recorded at `at`.
pub fn one(state: &mut State, seq: Seq, at: Timestamp, record: &Record) {
    match record {
        Record::Configured { policies } => configured(state, at, policies),
        Record::Started { epoch } => started(state, *epoch),
        Record::Restored => state.restored = Some(at),
        Record::Live => live(state),
        Record::Initialised => state.initialised = Some(at),
        Record::Delivered { channel, delivery } => {
            state.deliveries.insert((channel.clone(), delivery.clone()), at);
            state.index.add_delivery(at, channel, delivery);
            state.dirty.insert(RowKey::Delivery(channel.clone(), delivery.clone()));
        }
        Record::Forgot { before } => forgot(state, *before),
        Record::Order { key, order, entries } => {
            let absent: Vec<Timestamp> =
                entries.iter().map(|entry| absent(state, at, key, order, entry)).collect();
            state.put_order(key, Order::clone(order));
            let entries = entries.iter().zip(absent.into_iter().map(Some));
            book(state, seq, at, entries);
        }
        Record::Reread { channel } => reread(state, seq, channel),
        Record::Pruned { orders } => orders.iter().for_each(|key| state.bury(key)),
        Record::Posting { key, posting } => posted(state, seq, key, posting),
        Record::Counted { counter, as_of, measure, opened, entries, left } => {
            for (sku, location) in opened {
                let opened = Opened { as_of: *as_of, counter: counter.clone(), measure: *measure };
                state.change_sku(sku, |row| row.place_mut(location).opened = Some(opened));
            }
            book(state, seq, at, entries.iter().map(|entry| (entry, None)));
            counted_since(state, left);
        }
        Record::CountedByHand { by, measure, places, entries } => {
            let by = by.clone().map_or(Counter::Person, Counter::Channel);
            places.iter().for_each(|place| by_hand(state, &by, *measure, place));
            let left = left_by(state, places);
            counted_since(state, &left);
            book(state, seq, at, entries.iter().map(|entry| (entry, None)));
        }
        Record::Adjusted { entries } => {
            book(state, seq, at, entries.iter().map(|entry| (entry, None)));
            entries.iter().for_each(|entry| taken(state, entry));
        }
        Record::Held { count } => {
            state.held.insert(seq, count.clone());
            state.dirty.insert(RowKey::Held(seq));
        }
        Record::Outdated { id, lines } => {
            if let Some(held) = state.held.get_mut(id) {
                held.outdated.extend(lines.iter().cloned());
            }
            state.dirty.insert(RowKey::Held(*id));
        }
        Record::Unheld { id, .. } => {
            state.held.remove(id);
            state.dirty.insert(RowKey::Held(*id));
        }
        Record::Commit { sku, revision, event_at, legs, owed: _ } => {
            commit(
                state,
                sku,
                Commit {
                    id: seq,
                    revision: *revision,
                    opened_at: at,
                    event_at: *event_at,
                    legs: legs.iter().map(|(n, _)| *n).collect(),
                },
                legs,
            );
        }
        Record::Moved { listing, leg, writes, .. } => moved(state, listing, leg.as_ref(), writes),
        Record::Committed { sku, revision } => {
            state.change_sku(sku, |row| row.commits.retain(|commit| commit.revision > *revision));
        }
        Record::Drift { listing, found, edits, .. } => {
            drifted(state, listing, found.as_deref(), edits.clone())
        }
        Record::DriftEnded { listing, drifted: ended } => drifted(state, listing, Some(ended), None),
        Record::Oversold { sku, units, class, beyond, cause, .. } => {
            let since = state.oversold.get(sku).map_or(seq, |held| held.since);
            let last =
                Oversell { since, units: *units, class: *class, beyond: *beyond, cause: cause.clone() };
            state.oversold.insert(sku.clone(), last);
            state.note_short(sku);
            state.dirty.insert(RowKey::Oversold(sku.clone()));
        }
        Record::MadeGood { sku } => {
            state.oversold.remove(sku);
            state.index.short.forget(sku);
            state.dirty.insert(RowKey::Oversold(sku.clone()));
        }
        Record::Measured { channel, assumption, stated_ms, measured_ms, .. } => {
            state.change_channel(channel, |row| {
                row.measures.note(*assumption, *stated_ms, *measured_ms, at);
            });
        }
        Record::Bound { .. } => bound(state, record),
        Record::Unmatched { channel, ids, unmatched } => {
            let key = (channel.clone(), ids.clone());
            match unmatched {
                Some(unmatched) => drop(state.unmatched.insert(key, unmatched.clone())),
                None => drop(state.unmatched.remove(&key)),
            }
            state.dirty.insert(RowKey::Unmatched(channel.clone(), ids.clone()));
        }
        Record::Mapped { rows } => mapped(state, rows),
        Record::MappingRemoved { channel, ids } => {
            state.table.retain(|row| row.channel != *channel || row.ids != *ids);
            state.index.map_tables(state.policies.as_deref(), &state.table);
            state.dirty.insert(RowKey::Table);
        }
        Record::Made { sku, made: new } => {
            if let Some(Made::Merged(into)) = new {
                join_counts(state, at, sku, into);
            }
            made(state, sku, new.as_ref());
        }
        Record::Quarantined { item } => {
            state.quarantine.insert(seq, item.clone());
            state.index.quarantine(seq, item);
            state.dirty.insert(RowKey::Quarantine(seq));
        }
        Record::Unquarantined { id, .. } | Record::Replayed { id, why: None } => {
            if let Some(item) = state.quarantine.remove(id) {
                state.index.unquarantine(*id, &item);
            }
            state.dirty.insert(RowKey::Quarantine(*id));
        }
        Record::Replayed { id, why: Some(why) } => {
            if let Some(item) = state.quarantine.get_mut(id) {
                item.why.clone_from(why);
            }
            state.dirty.insert(RowKey::Quarantine(*id));
        }
        Record::Ignored { what, ignored } => ignore(state, what, ignored.as_ref()),
        Record::ConfigHeld { why } => {
            state.held_config = Some(HeldConfig { why: why.clone(), at });
            state.dirty.insert(RowKey::Meta);
        }
        Record::Alert { key, alert } => {
            match alert {
                Some(alert) => drop(state.alerts.insert(key.clone(), alert.clone())),
                None => drop(state.alerts.remove(key)),
            }
            state.dirty.insert(RowKey::Alert(key.clone()));
        }
        Record::Paused { scope: PauseScope::Sku(sku), pause } => {
            state.change_sku(sku, |row| row.pause = *pause);
        }
        Record::Paused { scope: PauseScope::Channel(channel), pause } => {
            state.change_channel(channel, |row| row.pause = *pause);
        }
        Record::Intent { id, change } => intended(state, *id, at, change),
        Record::Allotted { rows } => {
            for (listing, allotted) in rows {
                state.change_sku(&listing.sku, |row| {
                    if let Some(held) = row.listings.get_mut(usize::from(listing.at)) {
                        held.allotted = *allotted;
                    }
                });
            }
        }
        Record::Noticed { channel, notices } => {
            state.change_channel(channel, |row| row.notices.clone_from(notices));
        }
        Record::BulkTaken { channel, bulk } => {
            state.change_channel(channel, |row| {
                row.bulks.get_or_insert_default().open = Some(bulk.clone());
            });
        }
        Record::BulkEnded { channel, ended, not_before } => {
            state.change_channel(channel, |row| {
                let (last, not_before) = (Some(ended.clone()), *not_before);
                row.bulks = Some(Box::new(Bulks { open: None, not_before, last }));
            });
        }
        Record::Catalogued { channel }
        | Record::Fed { channel, .. }
        | Record::FedThrough { channel, .. }
        | Record::CountedThrough { channel, .. }
        | Record::Swept { channel }
        | Record::Circuit { channel, .. } => {
            state.change_channel(channel, |row| on_channel(row, at, record));
            caught_up(state, channel);
            if matches!(record, Record::Fed { .. }) {
                left::forget_draws(state, channel);
            }
        }
    }
}

fn drifted(state: &mut State, listing: &ListingRef, drifted: Option<&Drifted>, edits: Option<Edits>) {
    let Some(drifted) = drifted else { return };
    let mut channel = None;
    state.change_sku(&listing.sku, |row| {
        if let Some(held) = row.listings.get_mut(usize::from(listing.at)) {
            held.drift = Some(Box::new(drifted.clone()));
            channel = Some(held.channel.clone());
        }
    });
    if let (Some(channel), Some(edits)) = (channel, edits) {
        state.change_channel(&channel, |row| row.edits = Some(edits));
    }
}

fn on_channel(row: &mut ChannelRow, at: Timestamp, record: &Record) {
    if let Record::Circuit { circuit, .. } = record {
        row.circuit = circuit.clone();
    }
    if let Record::Fed { fed, .. } = record {
        row.fed = Some(*fed);
    }
    if let Record::FedThrough { through, .. } = record {
        row.fed_through = Some(*through);
    }
    if let Record::CountedThrough { through, .. } = record {
        (row.counted_through, row.counted_at) = (Some(*through), Some(at));
        row.has_counted();
    }
    if let Record::Swept { .. } = record {
        row.swept_at = Some(at);
        row.has_counted();
    }
    if let Record::Catalogued { .. } = record {
        row.catalogued_at = Some(at);
    }
}

fn configured(state: &mut State, at: Timestamp, policies: &crate::model::Policies) {
    let renamed = state.policies().is_some_and(|held| held.instance != policies.instance);
    left::keep_warehouses(state, policies);
    left::keep_left(state, policies);
    left::keep_draws(state, at, policies);
    left::keep_sellers(state, policies);
    left::stands_for(state, policies);
    state.policies = Some(Arc::new(policies.clone()));
    state.held_config = None;
    state.dirty.insert(RowKey::Policies);
    // A bundle is a SKU, whether or not anything lists it yet.
    for recipe in &policies.bundles {
        state.change_sku(&recipe.bundle, |_| {});
    }
    if renamed {
        forget_bases(state);
    }
    Index::rebuild(state);
}

/// Ends that orders from before a restore are missing, once they were read.
fn caught_up(state: &mut State, channel: &ChannelId) {
    let missed = state.channels.get(channel).is_some_and(|row| row.missed.is_some());
    if missed && !state.missed_orders().any(|of| of == channel) {
        state.change_channel(channel, |row| row.missed = None);
    }
}

/// What is missing of the orders from before the restore is missing all the same.
fn live(state: &mut State) {
    let missed: Vec<ChannelId> = state.missed_orders().cloned().collect();
    let at = state.restored.take();
    for channel in missed {
        state.change_channel(&channel, |row| row.missed = at);
    }
}

/// A new epoch means a restored backup, as a new instance means another daemon: what the channels show is not known.
fn started(state: &mut State, epoch: u32) {
    if state.epoch != epoch {
        state.epoch = epoch;
        forget_bases(state);
    }
}

fn forget_bases(state: &mut State) {
    let known =
        |row: &SkuRow| row.listings.iter().any(|l| l.writes.base.is_some() || l.writes.look.is_some());
    let skus: Vec<Sku> =
        state.skus.iter().filter(|(_, row)| known(row)).map(|(sku, _)| sku.clone()).collect();
    for sku in skus {
        state.change_sku(&sku, |row| {
            for listing in &mut row.listings {
                let writes = &mut listing.writes;
                (writes.base, writes.look) = (None, None);
                writes.replaced = None;
                (writes.known_at, writes.exact_from) = (Timestamp::ZERO, Timestamp::ZERO);
                writes.sure_to = Timestamp::ZERO;
                (writes.shown, writes.passed_over) = (None, None);
            }
        });
    }
}

/// Wants every open order of a channel to be fetched.
fn reread(state: &mut State, seq: Seq, channel: &ChannelId) {
    let here = state.orders.iter().filter(|(key, order)| key.channel == *channel && order.is_open());
    let open: Vec<_> = here.map(|(key, order)| (key.clone(), order.clone())).collect();
    for (key, mut order) in open {
        order.want_fetch(Some(seq));
        state.put_order(&key, order);
    }
}

/// A row that names the same identifiers as an older one replaces it.
fn mapped(state: &mut State, rows: &[MappingRow]) {
    let key = |row: &MappingRow| (row.channel.clone(), row.ids.clone());
    let mut seen = BTreeSet::new();
    let mut fresh: Vec<MappingRow> = rows.iter().rev().filter(|row| seen.insert(key(row))).cloned().collect();
    fresh.reverse();
    state.table.retain(|held| !seen.contains(&key(held)));
    state.table.extend(fresh);
    state.index.map_tables(state.policies.as_deref(), &state.table);
    state.dirty.insert(RowKey::Table);
}

fn made(state: &mut State, sku: &Sku, made: Option<&Made>) {
    left::keep_sold(state, sku);
    state.change_sku(sku, |row| row.made = made.cloned().map(Box::new));
    match made {
        Some(made) => state.index.recipes.take_in(sku, made),
        None => {
            let configured = state.configured_recipe(sku);
            state.index.recipes.set(sku, configured);
        }
    }
    // What it is made of tells where it is missing.
    state.note_short(sku);
    if let Some(Made::Merged(into)) = made {
        state.note_short(into);
    }
}

/// What people have counted of a SKU holds for the one that it becomes part of; what moved before is not known of both.
fn join_counts(state: &mut State, at: Timestamp, from: &Sku, into: &Sku) {
    let places = state.skus.get(from).map(|row| row.stock.clone()).unwrap_or_default();
    for old in places {
        let counter = state.policies().and_then(|policies| policies.counter_of(&old.location));
        if counter.is_some() {
            continue;
        }
        state.change_sku(into, |row| {
            let place = row.place_mut(&old.location);
            place.by_hand = LastCount::join(place.by_hand, old.by_hand);
            place.moves = Some(Moves::since(at).into());
        });
    }
}

fn forgot(state: &mut State, before: Timestamp) {
    for key in state.index.forget_deliveries(before) {
        state.deliveries.remove(&key);
        state.dirty.insert(RowKey::Delivery(key.0, key.1));
    }
}

/// Returns up to when it is known that what an order has booked had not happened.
fn absent(state: &State, at: Timestamp, key: &OrderKey, order: &Order, entry: &Entry) -> Timestamp {
    let Cause::Order { line, .. } = &entry.cause else { return order.placed_at };
    let Some(now) = order.lines.get(line) else { return order.placed_at };
    absent_until(state, key, order.placed_at, (line, now.bound.as_ref(), &now.shares()), at).of(entry.kind)
}

/// Books entries, each with up to when it is known that it had not happened, if that is not its own time.
fn book<'a>(
    state: &mut State,
    seq: Seq,
    at: Timestamp,
    entries: impl Iterator<Item = (&'a Entry, Option<Timestamp>)>,
) {
    let policies = state.policies.clone();
    let mut drew = BTreeSet::new();
    for (entry, absent) in entries {
        left::keep_drew(state, entry);
        let counter = policies.as_ref().and_then(|policies| policies.counter_of(&entry.location));
        let absent = absent.or_else(|| put_back_since(state, entry)).unwrap_or(entry.event_at);
        state.change_sku(&entry.sku, |row| {
            let known = row.known_from(&entry.location);
            let place = row.place_mut(&entry.location);
            place.stock = entry.after;
            let when = When { told: entry.event_at, absent, recorded: at };
            match counter {
                // A channel that counts knows what moved.
                Some(_) => (place.moves, place.by_hand) = (None, None),
                None => {
                    let moves = place.moves.get_or_insert_with(|| Moves::since(known).into());
                    moves.note(entry.kind, entry.quantity, when);
                }
            }
            if entry.kind.transfers() {
                row.transferred = seq;
            }
            row.recent.drain(..(row.recent.len() + 1).saturating_sub(RECENT));
            row.recent.reserve_exact(1);
            row.recent.push(Booked { seq, recorded_at: at, entry: entry.clone() });
            if !row.drew.is_empty() {
                drew.insert(&entry.sku);
            }
        });
    }
    // What is moved is first taken back: only what all entries come to tells what is sold.
    for sku in drew {
        state.change_sku(sku, |row| {
            let drew = std::mem::take(&mut row.drew);
            row.drew = drew.into_iter().filter(|places| row.is_sold_at(places)).collect();
        });
    }
}

fn by_hand(state: &mut State, by: &Counter, measure: Measure, counted: &HandCounted) {
    let HandCounted { sku, location, as_of, opens } = counted;
    state.change_sku(sku, |row| {
        let place = row.place_mut(location);
        if *opens {
            place.opened = Some(Opened { as_of: *as_of, counter: by.clone(), measure });
        }
        place.by_hand = Some(LastCount::new(*as_of, measure));
    });
}

/// Returns the lines of intents whose units had left the places that a person has counted, as of then.
fn left_by(state: &State, places: &[HandCounted]) -> Vec<(Seq, u32)> {
    let as_of: BTreeMap<(&Sku, &LocationId), Timestamp> =
        places.iter().map(|place| ((state.canonical(&place.sku), &place.location), place.as_of)).collect();
    let since = |held: &Intent, line: &Line| {
        let Line::Move { sku, from, .. } = line else { return false };
        as_of.get(&(sku, from)).is_some_and(|as_of| *as_of >= held.opened_at)
    };
    intent::left(state, since)
}

/// Notes with lines of intents that the place which their units have left was counted since.
fn counted_since(state: &mut State, left: &[(Seq, u32)]) {
    for (id, n) in left {
        let lines = state.intents.get_mut(id).map(|held| &mut held.lines);
        let line = lines.and_then(|lines| lines.get_mut(usize::try_from(*n).ok()?));
        if let Some(Line::Move { counted, .. }) = line {
            *counted = true;
            state.dirty.insert(RowKey::Intent(*id));
        }
    }
}

/// Returns from when on units that are put back may have been where they are put: since they had left.
fn put_back_since(state: &State, entry: &Entry) -> Option<Timestamp> {
    let Cause::Intent { intent, .. } = &entry.cause else { return None };
    let back = entry.kind == Kind::TransferOut && entry.quantity < Quantity::ZERO;
    // Whoever counted at the moment that they left may have them.
    state.intents.get(intent).filter(|_| back).map(|held| held.opened_at.plus_millis(-1))
}

/// Notes what a person has taken off the shelf with the counts that are held: they do not bring it back.
fn taken(state: &mut State, entry: &Entry) {
    let units = effect(Measure::OnHand, entry.kind, entry.quantity);
    if units >= Quantity::ZERO || !matches!(entry.cause, Cause::Operator { .. }) {
        return;
    }
    let (sku, location) = (&entry.sku, &entry.location);
    let names =
        |held: &HeldCount| held.lines.iter().any(|(of, at, _)| at == location && state.canonical(of) == sku);
    let held: Vec<Seq> = state.held.iter().filter(|(_, held)| names(held)).map(|(id, _)| *id).collect();
    for id in held {
        if let Some(held) = state.held.get_mut(&id) {
            held.taken.push((sku.clone(), location.clone(), units));
            state.dirty.insert(RowKey::Held(id));
        }
    }
}

fn ignore(state: &mut State, what: &Ignorable, ignored: Option<&Ignored>) {
    match what {
        Ignorable::Item { channel, ids } => {
            let key = (channel.clone(), ids.clone());
            match ignored {
                Some(ignored) => drop(state.ignored.insert(key, ignored.clone())),
                None => drop(state.ignored.remove(&key)),
            }
            state.dirty.insert(RowKey::Ignored(channel.clone(), ids.clone()));
        }
        Ignorable::Line { order: key, line } => {
            let Some(mut order) = state.orders.get(key).cloned() else { return };
            if let Some(line) = order.lines.get_mut(line) {
                line.ignored = ignored.map(|_| Ignore::Line);
            }
            state.put_order(key, order);
        }
    }
}

fn posted(state: &mut State, seq: Seq, key: &OrderKey, posting: &PostState) {
    let Some(mut order) = state.orders.get(key).cloned() else { return };
    order.postings.retain(|held| held.channel != posting.channel);
    order.postings.push(posting.clone());
    state.put_order(key, order);
    // What was acknowledged earlier was noted then.
    if posting.acked_at == seq {
        for item in &posting.acked {
            state.change_sku(&item.sku, |row| row.posted = row.posted.max(seq));
        }
    }
}

fn commit(state: &mut State, sku: &Sku, mut commit: Commit, legs: &[(u16, Leg)]) {
    state.change_sku(sku, |row| {
        row.revision = commit.revision;
        for (at, leg) in legs {
            if let Some(listing) = row.listings.get_mut(usize::from(*at)) {
                listing.leg = Some(leg.clone());
            }
        }
        if row.commits.len() >= COMMITS
            && let Some(newest) = row.commits.pop()
        {
            commit.legs.extend(newest.legs);
            commit.legs.sort_unstable();
            commit.legs.dedup();
        }
        row.commits.push(commit);
    });
}

fn moved(state: &mut State, listing: &ListingRef, leg: Option<&Leg>, writes: &Writes) {
    state.change_sku(&listing.sku, |row| {
        if let Some(held) = row.listings.get_mut(usize::from(listing.at)) {
            if let Some(leg) = leg {
                held.leg = Some(leg.clone());
            }
            held.writes = writes.clone();
        }
    });
}

fn bound(state: &mut State, record: &Record) {
    let Record::Bound { sku, at, channel, ids, by, unwritable } = record else { return };
    let channel: ChannelId = state
        .policies
        .as_ref()
        .and_then(|p| p.channels.get_key_value(channel))
        .map_or_else(|| channel.clone(), |(shared, _)| shared.clone());
    state.index.list(&channel);
    if ids.is_empty() {
        left::keep_given(state, sku, *at);
    }
    let (before, after) = state.change_sku(sku, |row| {
        let before = Index::of_ids(row);
        let unwritable = unwritable.as_deref().map(Arc::from);
        match row.listings.get_mut(usize::from(*at)) {
            Some(held) => (held.ids, held.by, held.unwritable) = (ids.clone(), *by, unwritable),
            None => {
                let (ids, writes) = (ids.clone(), Writes::default());
                row.listings.reserve_exact(1);
                row.listings.push(Listing {
                    channel,
                    ids,
                    by: *by,
                    unwritable,
                    allotted: None,
                    leg: None,
                    writes,
                    drift: None,
                });
            }
        }
        (before, Index::of_ids(row))
    });
    if let Some((sku, _)) = state.skus.get_key_value(sku) {
        state.index.rebind(sku, &before, &after);
    }
}

fn intended(state: &mut State, id: Seq, at: Timestamp, change: &Change) {
    if let Change::Opened(opened) = change {
        state.intents.insert(id, intent::Intent::clone(opened));
        move_on_paper(state, id, true);
    }
    let Some(held) = state.intents.get_mut(&id) else { return };
    match change {
        Change::Opened(_) => {}
        Change::Awaits(legs) => held.legs.extend(legs.iter().cloned()),
        Change::Leg { n, step } => {
            if let Some(leg) = usize::try_from(*n).ok().and_then(|n| held.legs.get_mut(n)) {
                leg.step = *step;
            }
        }
        Change::Moved { phase, undone } => {
            (held.phase, held.since) = (*phase, at);
            held.undone = undone.clone().or(held.undone.take());
            if matches!(phase, Phase::Raising | Phase::RollingBack) {
                move_on_paper(state, id, false);
            }
        }
        Change::Received(lines) => {
            for (n, units, gone) in lines {
                let line = usize::try_from(*n).ok().and_then(|n| held.lines.get_mut(n));
                if let Some(Line::Move { received, lost, .. }) = line {
                    *received = received.add(*units).unwrap_or(*received);
                    *lost = lost.add(*gone).unwrap_or(*lost);
                }
            }
        }
    }
    state.index.await_legs(id, state.intents.get(&id), change);
    state.dirty.insert(RowKey::Intent(id));
    if matches!(change, Change::Moved { phase, .. } if phase.ended()) {
        forget_ended(state);
    }
}

/// Notes in the rows what goes from place to place on paper, or that it does no more.
fn move_on_paper(state: &mut State, id: Seq, begins: bool) {
    let Some(held) = state.intents.get(&id).filter(|held| !held.travels) else { return };
    let moves = held.lines.iter().filter_map(|line| match line {
        Line::Move { sku, quantity, from, to, .. } => {
            let (from, to) = (from.clone(), to.clone());
            Some((sku.clone(), Moving { intent: id, from, to, quantity: *quantity }))
        }
        Line::Allot { .. } => None,
    });
    for (sku, moving) in moves.collect::<Vec<_>>() {
        state.change_sku(&sku, |row| {
            if begins {
                row.moving.push(moving);
            } else {
                row.moving.retain(|held| held.intent != id);
            }
        });
    }
}

fn forget_ended(state: &mut State) {
    let ended: Vec<Seq> =
        state.intents.iter().filter(|(_, held)| held.phase.ended()).map(|(id, _)| *id).collect();
    for id in ended.iter().take(ended.len().saturating_sub(ENDED)) {
        state.intents.remove(id);
        state.dirty.insert(RowKey::Intent(*id));
    }
}

/// Tells whether every leg of a commit is seen live, or a later one in its place, or given up by a person. Where many were
/// open, a commit is told with a newer one, in which its leg has no part: then the leg's own newest revision is enough.
/// `gone`: listings that nothing can be written to any more.
pub fn ended(row: &SkuRow, commit: &Commit, gone: impl Fn(&Listing) -> bool) -> bool {
    commit.legs.iter().all(|at| {
        row.listings.get(usize::from(*at)).is_none_or(|listing| {
            let seen = listing.writes.confirmed.map_or(Revision::ZERO, |c| c.revision);
            let leg = listing.leg.as_ref();
            let newest = leg.map_or(commit.revision, |leg| leg.revision.min(commit.revision));
            let dropped = leg.is_some_and(|leg| matches!(leg.state, leg::State::Dropped));
            seen >= newest || dropped || gone(listing)
        })
    })
}
