//! Drift: what waits for a person, and what was done lately.

use crate::{
    core::{
        State,
        assumption::{Assumption, BOUNDS_MS, Measures},
        count::Edits,
        decide::drift::{Compared, Means, compare},
        drift::Found,
        index::Kind,
        leg,
        state::{Listing, ListingRef},
    },
    model::{Abilities, CatalogueItem, ChannelId, LocationId, Timestamp},
    web::{
        query::listings,
        view::{
            AssumptionView, DriftView, Drifts, LetterId, ReconcilePage, ReconcileRow, TooSoonRow, ids_of,
        },
    },
};

/// Returns at most `limit`: what waits for a person first, then the latest ones of each channel.
pub(in crate::web) fn drifts(
    state: &State,
    only: Option<&ChannelId>,
    limit: usize,
    now: Timestamp,
) -> Drifts {
    let wanted = |channel: &&ChannelId| only.is_none_or(|only| only == *channel);
    let channels = || state.policies().into_iter().flat_map(|p| p.channels.keys()).filter(wanted);
    let open = channels().flat_map(|channel| listings(state, Kind::Drifts, channel));
    let most = limit.saturating_add(1);
    let of = |listing: &ListingRef| drift(state, listing, state.listing(listing)?, now);
    let mut rows: Vec<DriftView> = open.filter_map(of).take(most).collect();
    let mut past: Vec<DriftView> = channels()
        .flat_map(|channel| {
            let latest = listings(state, Kind::Drifted, channel).filter_map(of);
            latest.filter(|drift| !drift.open).take(most).collect::<Vec<_>>()
        })
        .collect();
    past.sort_by_key(|drift| std::cmp::Reverse(drift.at));
    rows.extend(past);
    let more = rows.len() > limit;
    rows.truncate(limit);
    Drifts { rows, more }
}

/// Returns who counts the place whose stock is moved if the open drift of a listing is accepted, and that place.
/// `None`: no stock is moved, or people count there.
pub(in crate::web) fn recounted(state: &State, listing: &ListingRef) -> Option<(ChannelId, LocationId)> {
    let policies = state.policies()?;
    let held = state.listing(listing)?;
    held.drift.as_deref().filter(|drift| drift.is_open() && drift.found == Found::Edit)?;
    let location = state.drawn(held).first()?;
    policies.counter_of(location).map(|counter| (counter.clone(), location.clone()))
}

/// Returns what tells a listing from the others of its SKU on its channel.
fn named(state: &State, listing: &ListingRef) -> Vec<String> {
    state.listing_name(listing).iter().map(|id| format!("{}={}", id.kind.name(), id.value)).collect()
}

/// Returns where a listing draws its stock from.
fn drawn(state: &State, listing: &ListingRef) -> Vec<LocationId> {
    state.listing(listing).map_or_else(Vec::new, |held| state.drawn(held).to_vec())
}

/// Returns the latest drift of a listing, if it ever had one.
pub(in crate::web) fn drift(
    state: &State,
    listing: &ListingRef,
    held: &Listing,
    now: Timestamp,
) -> Option<DriftView> {
    let drift = held.drift.as_deref()?;
    let parked = held.leg.as_ref().is_some_and(|leg| matches!(leg.state, leg::State::Parked { .. }));
    let letter = || LetterId::Leg { channel: held.channel.clone(), sku: listing.sku.clone(), n: listing.at };
    Some(DriftView {
        channel: held.channel.clone(),
        sku: listing.sku.clone(),
        n: listing.at,
        listing: named(state, listing),
        ids: ids_of(&held.ids),
        locations: state.drawn(held).to_vec(),
        open: drift.is_open(),
        seq: drift.seq,
        at: drift.at.into(),
        age_ms: now.since(drift.at),
        found: drift.found,
        expected: drift.expected,
        observed: drift.observed,
        done: drift.done,
        why: drift.why.clone(),
        repairs: drift.repairs.len(),
        dead_letter: (drift.is_open() && parked).then(letter),
    })
}

/// Compares one page of a catalogue with what the channel should show. `edits`: what the brake would know of the pages
/// before it.
pub(in crate::web) fn page(
    state: &State,
    channel: &ChannelId,
    items: &[CatalogueItem],
    [read_at, now]: [Timestamp; 2],
    mut edits: Option<Edits>,
) -> ReconcilePage {
    let mut page = ReconcilePage {
        channel: channel.clone(),
        items: items.len(),
        skipped: 0,
        agree: 0,
        under_way: 0,
        unknown: 0,
        too_soon: Vec::new(),
        differ: Vec::new(),
        next: None,
        edits: None,
    };
    for item in items {
        match compare(state, channel, item, read_at, now, &mut edits) {
            None => page.skipped += 1,
            Some(Compared { means: Means::Agrees, .. }) => page.agree += 1,
            Some(Compared { means: Means::UnderWay, .. }) => page.under_way += 1,
            Some(Compared { means: Means::Unknown, .. }) => page.unknown += 1,
            Some(Compared { listing, shown, expected, means: Means::TooSoon, .. }) => {
                let (named, locations) = (named(state, &listing), drawn(state, &listing));
                page.too_soon.push(TooSoonRow {
                    sku: listing.sku,
                    listing: named,
                    locations,
                    shown,
                    expected,
                });
            }
            Some(Compared { listing, shown, wanted, means: Means::Differs(drift), .. }) => {
                let (named, locations) = (named(state, &listing), drawn(state, &listing));
                page.differ.push(ReconcileRow {
                    sku: listing.sku,
                    listing: named,
                    locations,
                    shown,
                    expected: drift.expected,
                    wanted,
                    found: drift.found,
                    will_be: drift.done,
                    why: drift.why,
                });
            }
        }
    }
    page.edits = edits;
    page
}

/// Returns what is assumed of a channel that sells, and what was measured.
pub(in crate::web) fn assumptions(abilities: &Abilities, measures: &Measures) -> Vec<AssumptionView> {
    if !abilities.sells {
        return Vec::new();
    }
    let of = |assumption: &Assumption| {
        let measured = measures.of(*assumption);
        AssumptionView {
            name: assumption.name().to_owned(),
            stated_ms: assumption.stated(abilities),
            max_ms: measured.max_ms,
            measured: measured.count(),
            broken: measured.broken,
            broken_at: measured.broken_at.map(Into::into),
            buckets: measured.buckets.to_vec(),
            bounds_ms: BOUNDS_MS.to_vec(),
        }
    };
    Assumption::ALL.iter().map(of).collect()
}
