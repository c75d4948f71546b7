//! One SKU: balances, listings, what is under way, what moved last.

use crate::{
    core::{
        State,
        allocation::{Pause, shelves::Shelves},
        decide::listing::{is_gone, never_counted, pause_of, should_show, uncounted},
        exposure,
        ledger::{Booked, Cause},
        leg,
        state::{Commit, Listing, ListingRef, Place},
    },
    model::{Quantity, Sku, Timestamp, policy::Part},
    web::{
        query::{self, next_at, why},
        view::{
            CommitView, ComponentView, EntryView, LetterId, ListingView, OpenedView, PlaceView, SkuView,
            UnsettledView, ids_of,
        },
    },
};

pub(in crate::web) fn sku(state: &State, sku: &Sku, now: Timestamp) -> Option<SkuView> {
    let asked = state.skus.get(sku).filter(|_| state.is_thing(sku))?;
    let canonical = state.canonical(sku);
    let row = state.skus.get(canonical)?;
    let (mut listings, mut commits) = (Vec::new(), Vec::new());
    for name in state.names_of(sku) {
        let Some(row) = state.skus.get(&name) else { continue };
        let mut shelves = Shelves::of(state, &name, row);
        let held_here = row.listings.iter().enumerate().filter(|(_, held)| !held.given_away());
        let numbered = held_here.filter_map(|(n, held)| Some((u16::try_from(n).ok()?, held)));
        listings.extend(numbered.map(|(n, held)| listing(&mut shelves, n, held, now)));
        commits.extend(row.commits.iter().map(|held| commit(&name, held, now)));
    }
    let exposed = exposure::of_sku(state, canonical).ok().flatten();
    let made_of = state.index.recipes.direct(sku).and_then(|_| state.made_of(sku).ok()).unwrap_or_default();
    let bundle = canonical == sku && !made_of.is_empty();
    let components: Vec<ComponentView> =
        made_of.iter().filter(|_| bundle).map(|part| component(state, part)).collect();
    let makes = components.iter().map(|part| part.enough_for).min().flatten();
    let available = exposed.map(|exposed| exposed.available).or(makes);
    Some(SkuView {
        sku: sku.clone(),
        now: (canonical != sku).then(|| canonical.clone()),
        revision: asked.revision,
        paused: state.sku_pause(sku),
        stopped_part: state.stopped_part(sku).filter(|_| bundle).cloned(),
        made_of,
        components,
        stock: row.stock.iter().map(place).collect(),
        listings,
        commits,
        recent: row.recent.iter().map(entry).collect(),
        available: available.unwrap_or_default(),
        exposure: exposed.filter(|of| of.unknown == 0 || !of.exposure.is_zero()).map(|of| of.exposure),
        slack: exposed.and_then(|exposed| exposed.slack()),
    })
}

/// Finds a SKU that is written the same but for capital letters.
pub(in crate::web) fn like(state: &State, sku: &Sku) -> Option<Sku> {
    let lower = sku.as_str().to_lowercase();
    let same = |other: &&Sku| other.as_str().to_lowercase() == lower && state.is_thing(other);
    state.skus.keys().find(same).cloned()
}

fn component(state: &State, part: &Part) -> ComponentView {
    let available = exposure::of_sku(state, &part.sku).ok().flatten().map(|exposed| exposed.available);
    let enough_for = available.and_then(|units| units.or_zero().whole(part.units));
    ComponentView { sku: part.sku.clone(), units: part.units, available, enough_for }
}

fn place(place: &Place) -> PlaceView {
    let stock = place.stock;
    let opened = place.opened.as_ref().map(|opened| OpenedView {
        as_of: opened.as_of.into(),
        counter: opened.counter.clone(),
        measure: opened.measure,
    });
    PlaceView {
        location: place.location.clone(),
        on_hand: stock.on_hand,
        committed: stock.committed,
        reserved: stock.reserved,
        incoming: stock.incoming,
        // Balances that are booked are in range, and so is their difference.
        available: stock.available().unwrap_or(Quantity::ZERO),
        opened,
    }
}

fn listing(shelves: &mut Shelves<'_>, n: u16, held: &Listing, now: Timestamp) -> ListingView {
    let Shelves { state, sku, .. } = *shelves;
    let leg = held.leg.as_ref();
    let unconfirmed = leg.filter(|leg| !matches!(leg.state, leg::State::Confirmed));
    let parked = leg.is_some_and(|leg| matches!(leg.state, leg::State::Parked { .. }));
    let place = ListingRef { sku: sku.clone(), at: n };
    let should = state.policies().and_then(|policies| should_show(shelves, policies, held));
    let frozen = should.is_some() && pause_of(state, shelves.row, held) == Some(Pause::Frozen);
    let paused = || query::paused(state, &place, held).filter(|_| frozen);
    ListingView {
        sku: sku.clone(),
        channel: held.channel.clone(),
        n,
        ids: ids_of(&held.ids),
        by: held.by,
        unwritable: held.unwritable.as_deref().map(str::to_owned),
        allotted: held.allotted,
        state: leg.map(|leg| leg.name().to_owned()),
        desired: match should.filter(|_| frozen) {
            Some(should) => Some(should.quantity),
            None => leg.map(|leg| leg.quantity),
        },
        frozen,
        owed: should.map(|should| should.owed).unwrap_or_default(),
        revision: leg.map(|leg| leg.revision),
        shown: held.writes.confirmed.map(|confirmed| confirmed.quantity),
        shown_revision: held.writes.confirmed.map(|confirmed| confirmed.revision),
        confirmed_at: held.writes.confirmed.map(|confirmed| confirmed.at.into()),
        base: held.writes.base,
        looked: held.writes.look.as_ref().and_then(|look| look.shown().ok()),
        tries: leg.map_or(0, |leg| leg.tries),
        since: unconfirmed.map(|leg| leg.since.into()),
        age_ms: unconfirmed.map(|leg| now.since(leg.since)),
        next_at: leg.and_then(next_at).map(Into::into),
        gone: is_gone(state.policies(), held),
        waits_for: why(state, &place, held, now).or_else(paused).or_else(|| no_count(shelves, held)),
        unsettled: held.writes.unsettled.iter().map(unsettled).collect(),
        exposure: state
            .policies()
            .filter(|policies| exposure::sells(policies, held))
            .and_then(|_| exposure::of(&held.writes).ok().flatten()),
        drift: query::drift::drift(state, &place, held, now),
        dead_letter: parked.then(|| LetterId::Leg { channel: held.channel.clone(), sku: sku.clone(), n }),
    }
}

/// Says where a listing draws from that was never counted: it shows nothing of ours, or none where it did.
fn no_count(shelves: &mut Shelves<'_>, held: &Listing) -> Option<String> {
    let state = shelves.state;
    let policies = state.policies().filter(|_| state.initialised.is_some())?;
    let drawn = uncounted(shelves, policies, held);
    if drawn.is_empty() {
        return None;
    }
    let places: Vec<String> = drawn.iter().map(|place| format!("`{place}`")).collect();
    let at = places.join(", ");
    Some(if held.leg.is_none() {
        format!("no count of it at {at} yet: see `evenkeel count`; it is left alone until then")
    } else if never_counted(shelves) {
        "it, or what it is made of, was never counted: it shows none until it is (`evenkeel count`), or until it has a recipe of what was \
         (`evenkeel bundles import`)"
            .to_owned()
    } else {
        format!(
            "it, or what it is made of, was not counted at {at} yet: it shows none until it is (`evenkeel count`)"
        )
    })
}

fn unsettled(write: &leg::Unsettled) -> UnsettledView {
    let (quantity, compare, delta) = (write.quantity, write.compare, write.delta);
    let (times, may_add) = (write.times, write.exposure());
    UnsettledView { quantity, compare, delta, times, may_add, sent_at: write.at.into() }
}

fn commit(sku: &Sku, commit: &Commit, now: Timestamp) -> CommitView {
    CommitView {
        id: commit.id,
        sku: sku.clone(),
        revision: commit.revision,
        opened_at: commit.opened_at.into(),
        event_at: commit.event_at.into(),
        age_ms: now.since(commit.opened_at),
        legs: commit.legs.clone(),
    }
}

fn entry(booked: &Booked) -> EntryView {
    let entry = &booked.entry;
    let (cause, order) = match &entry.cause {
        Cause::Order { order, line } => (format!("order {order} line {line}"), Some(order.clone())),
        Cause::Count { counter, as_of } => {
            (format!("count by {counter} as of {}", crate::web::view::Time(*as_of)), None)
        }
        Cause::Edit { channel, expected, observed } => {
            (format!("an edit on {channel} from {expected} to {observed}"), None)
        }
        Cause::Operator { note } if note.is_empty() => ("a person".to_owned(), None),
        Cause::Operator { note } => (format!("a person: {note}"), None),
        Cause::Merged { from, into } => (format!("{from} was merged into {into}"), None),
        Cause::Intent { intent, note } => {
            let said = if note.is_empty() { String::new() } else { format!(": {note}") };
            (format!("transfer {intent}{said}; see `evenkeel commits --intent {intent}`"), None)
        }
    };
    EntryView {
        seq: booked.seq,
        location: entry.location.clone(),
        kind: entry.kind.name().to_owned(),
        quantity: entry.quantity,
        cause,
        order,
        event_at: entry.event_at.into(),
        recorded_at: booked.recorded_at.into(),
        on_hand: entry.after.on_hand,
        committed: entry.after.committed,
        reserved: entry.after.reserved,
    }
}
