//! Drift: what waits for a person, and what was done lately.

use crate::{
    core::{
        State,
        assumption::{Assumption, BOUNDS_MS, Measures},
        count::Edits,
        decide::drift::{Compared, Means, compare},
        drift::{Done, Drifted, Found},
        index::Kind,
        leg,
        state::{Listing, ListingRef},
    },
    model::{Abilities, CatalogueItem, ChannelId, LocationId, Quantity, Timestamp},
    web::{
        query::{listings, outbox::shown},
        view::{
            AssumptionView, DriftView, Drifts, LetterId, ReconcilePage, ReconcileRow, Time, TooSoonRow,
            ids_of,
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
pub(super) fn named(state: &State, listing: &ListingRef) -> Vec<String> {
    state.listing_name(listing).iter().map(|id| format!("{}={}", id.kind.name(), id.value)).collect()
}

/// Returns the same, and whether there are others.
pub(super) fn told_apart(state: &State, listing: &ListingRef) -> (Vec<String>, bool) {
    let others = |held: &Listing| {
        let row = state.skus.get(&listing.sku);
        let all = row.into_iter().flat_map(|row| &row.listings);
        all.filter(|other| other.channel == held.channel && !other.given_away()).nth(1).is_some()
    };
    (named(state, listing), state.listing(listing).is_some_and(others))
}

/// Returns where a listing draws its stock from.
pub(super) fn drawn(state: &State, listing: &ListingRef) -> Vec<LocationId> {
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
    let now_shown = now_shown(held, drift);
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
        expected: now_shown.expected,
        observed: now_shown.observed,
        done: drift.done,
        unwritten: state.still().is_some() && held.repair_waits(),
        why: now_shown.why,
        ours_seen_at: now_shown.ours_seen_at.map(Into::into),
        repairs: drift.repairs.len(),
        dead_letter: (drift.is_open() && parked).then(letter),
    })
}

/// What is told of a drift by now.
struct NowShown {
    expected: Quantity,
    observed: Quantity,
    why: Option<String>,
    ours_seen_at: Option<Timestamp>,
}

/// Returns what a drift that waits for a person comes to by now. A listing that is held is told as it stands; what a person is
/// asked about stays as it was found, because that is the question, and it is said what became of it.
fn now_shown(held: &Listing, drift: &Drifted) -> NowShown {
    let ours = held.writes.confirmed.filter(|_| drift.is_open() && held.shows_ours_since());
    let left = drift.done == Done::Left && drift.theirs;
    let mut told = NowShown {
        expected: drift.expected,
        observed: drift.observed,
        why: drift.why.clone().or_else(|| left.then(|| "`theirs` of `[drift]` leaves it".to_owned())),
        ours_seen_at: ours.map(|ours| ours.at),
    };
    let shown = shown(held).or(ours.map(|ours| ours.quantity));
    let now = ours.and(shown);
    if drift.done == Done::Held {
        told.expected = held.leg.as_ref().map_or(told.expected, |leg| leg.quantity);
        told.observed = now.unwrap_or(told.observed);
    }
    if let (Some(ours), Some(now)) = (ours, now) {
        let at = Time(ours.at);
        let why = match (drift.done, told.why) {
            (Done::Held, _) => format!(
                "a lower of ours went over the {} of the other writer, and was seen there at {at}; nothing is raised before it is \
                 released",
                drift.observed
            ),
            (_, Some(why)) => format!("{why}; ours was seen there at {at}: it shows {now} now"),
            (_, None) => format!("ours was seen there at {at}: it shows {now} now"),
        };
        told.why = Some(why);
    }
    told
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
                    unwritten: state.still().is_some() && drift.done == Done::Repaired,
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
