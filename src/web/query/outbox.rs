//! What has not arrived yet, channel by channel: legs, then postings. What waits for a person is a dead letter.

use std::collections::BTreeMap;

use crate::{
    core::{
        State,
        allocation::{Pause, shelves::Shelves},
        decide::listing::uncounted,
        index::Kind,
        leg,
        posting::{PostState, Step},
        state::{Listing, ListingRef},
        writes::shows,
    },
    model::{ChannelId, LocationId, Mode, OrderKey, Quantity, Sku, Timestamp},
    web::{
        Desk, Failure,
        desk::ask,
        query::{
            self, circuit_open,
            letters::{command, left_of_gone},
            listings, next_at,
            order::step,
            orders, why,
        },
        view::{GivenUp, GivenUpView, LetterId, Outbox, OutboxKind, OutboxRow, UncountedView},
    },
};

/// The kinds of work that stand for an unconfirmed leg; each such leg has exactly one.
const LEGS: [Kind; 4] = [Kind::InFlight, Kind::Look, Kind::Retry, Kind::Ready];
const POSTINGS: [Kind; 2] = [Kind::Posting, Kind::Post];

/// How many SKUs are looked at in one go; between two goes the ledger does its work.
const PORTION: usize = 5_000;
/// How many SKUs are named that were not counted at a place.
const NAMED: usize = 5;

/// How many listings are not written, or show none, for want of a count, and the first of their SKUs, by where they draw from.
type Uncounted = BTreeMap<Drawn, (usize, Vec<Sku>)>;

/// Listings of a channel that draw from the same places, and whether they show none for it.
type Drawn = (ChannelId, Vec<LocationId>, bool);

/// Asks for at most `limit` rows, of one channel or of all. What was not counted is looked for in portions, so it may be of a
/// slightly different moment.
pub(in crate::web) async fn outbox(
    desk: &dyn Desk,
    only: Option<ChannelId>,
    limit: usize,
    now: Timestamp,
) -> Result<Outbox, Failure> {
    let channel = only.clone();
    let mut told = ask(desk, move |state| waiting(state, channel.as_ref(), limit, now)).await?;
    // Before that nothing is to be shown anywhere.
    if told.unopened {
        return Ok(told);
    }
    let (mut all, mut after) = (Uncounted::new(), None);
    loop {
        let only = only.clone();
        let portion = move |state: &State| {
            let last = count(state, only.as_ref(), after.as_ref(), &mut all);
            (all, last)
        };
        (all, after) = ask(desk, portion).await?;
        if after.is_none() {
            break;
        }
    }
    told.uncounted =
        ask(desk, move |state| all.into_iter().map(|one| uncounted_view(state, one)).collect()).await?;
    Ok(told)
}

/// Counts the listings of one portion of SKUs that show nothing of ours because nothing was counted where they draw from. Returns
/// the last SKU looked at, if there may be more.
fn count(state: &State, only: Option<&ChannelId>, after: Option<&Sku>, all: &mut Uncounted) -> Option<Sku> {
    use std::ops::Bound::{Excluded, Unbounded};
    let policies = state.policies()?;
    let (mut last, mut seen) = (None, 0);
    for (sku, row) in state.skus.range::<Sku, _>((after.map_or(Unbounded, Excluded), Unbounded)).take(PORTION)
    {
        (last, seen) = (Some(sku), seen + 1);
        let mut shelves = Shelves::of(state, sku, row);
        for held in &row.listings {
            let asked = only.is_none_or(|only| *only == held.channel);
            // What was ours once shows none meanwhile; what never was is left alone.
            let shows_none = held.leg.is_some();
            if !asked || held.given_away() {
                continue;
            }
            let places = uncounted(&mut shelves, policies, held);
            if places.is_empty() {
                continue;
            }
            let (listings, some) =
                all.entry((held.channel.clone(), places.to_vec(), shows_none)).or_default();
            *listings += 1;
            if some.len() < NAMED {
                some.push(sku.clone());
            }
        }
    }
    last.filter(|_| seen == PORTION).cloned()
}

fn uncounted_view(state: &State, (of, (listings, some)): (Drawn, (usize, Vec<Sku>))) -> UncountedView {
    let (channel, locations, shows_none) = of;
    let policies = state.policies();
    let counts = |place: &LocationId| policies.and_then(|policies| policies.counter_of(place));
    let counter = locations.iter().find_map(counts).cloned();
    UncountedView { channel, locations, listings, some, counter, shows_none }
}

fn waiting(state: &State, only: Option<&ChannelId>, limit: usize, now: Timestamp) -> Outbox {
    let channels = || {
        let all = state.policies().into_iter().flat_map(|policies| policies.channels.keys());
        all.filter(|channel| only.is_none_or(|only| only == *channel))
    };
    let shadow = state.mode() == Some(Mode::Shadow);
    let rows = channels().flat_map(|channel| {
        let legs = LEGS.into_iter().flat_map(move |kind| listings(state, kind, channel));
        let drifts =
            listings(state, Kind::Drifts, channel).filter(move |listing| waits_for_drift(state, listing));
        let postings = POSTINGS.into_iter().flat_map(move |kind| orders(state, kind, channel));
        legs.chain(drifts)
            .filter_map(move |listing| leg(state, listing, shadow, now))
            .chain(postings.filter_map(move |key| posting(state, channel, key, now)))
    });
    let mut rows: Vec<OutboxRow> = rows.take(limit.saturating_add(1)).collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let parked = |channel| {
        let parked = [Kind::Parked, Kind::PostParked].into_iter();
        parked.map(|kind| state.index.of(kind, channel).count()).sum::<usize>()
    };
    let opened = state.initialised.is_some();
    Outbox {
        rows,
        more,
        dead_letters: channels().map(parked).sum::<usize>()
            + if only.is_none() { left_of_gone(state) } else { 0 },
        shadow,
        unopened: !opened,
        given_up: given_up(state, channels(), limit),
        uncounted: Vec::new(),
    }
}

/// Tells whether a listing is not raised because a drift waits for a person: there is no work to do for it until then.
fn waits_for_drift(state: &State, listing: &ListingRef) -> bool {
    let Some(held) = state.listing(listing).filter(|held| held.writable() && held.drifts()) else {
        return false;
    };
    held.leg.as_ref().is_some_and(|leg| {
        let raise = held.writes.floor().is_none_or(|floor| leg.quantity > floor);
        raise && matches!(leg.state, leg::State::Pending | leg::State::Retry { .. })
    })
}

/// Returns what persons have given up, or the policy leaves to another writer, and shows something else than it should.
fn given_up<'a>(
    state: &State,
    channels: impl Iterator<Item = &'a ChannelId>,
    limit: usize,
) -> Option<GivenUp> {
    let (mut count, mut some) = (0, Vec::new());
    for channel in channels {
        for listing in listings(state, Kind::Dropped, channel) {
            let Some(held) = state.listing(listing).filter(|held| held.writable()) else { continue };
            let Some(leg) = &held.leg else { continue };
            let shown = shown(held);
            if shown.is_some_and(|shown| shows(shown, leg.quantity)) {
                continue;
            }
            count += 1;
            if some.len() < limit {
                let (channel, sku, n) = (channel.clone(), listing.sku.clone(), listing.at);
                let id = LetterId::Leg { channel: channel.clone(), sku: sku.clone(), n };
                let (quantity, command) = (leg.quantity, command("retry", &id));
                let why = query::given_up(held);
                let (name, several) = query::drift::told_apart(state, listing);
                some.push(GivenUpView {
                    channel,
                    sku,
                    listing: name,
                    several,
                    shown,
                    quantity,
                    why,
                    command,
                });
            }
        }
    }
    (count > 0).then_some(GivenUp { count, some })
}

/// Returns what a listing shows, as far as is known: by the latest read, or else what is expected.
pub(in crate::web) fn shown(held: &Listing) -> Option<Quantity> {
    held.writes.look.as_ref().and_then(|look| look.shown().ok()).or(held.writes.base)
}

fn leg(state: &State, listing: &ListingRef, shadow: bool, now: Timestamp) -> Option<OutboxRow> {
    let held = state.listing(listing)?;
    let leg = held.leg.as_ref()?;
    let shown = shown(held);
    // In shadow nothing goes out that would end the leg of what is as it should be.
    if shadow && shown.is_some_and(|shown| shows(shown, leg.quantity)) {
        return None;
    }
    let why = why(state, listing, held, now);
    let why = if shadow { why.map(|why| format!("{why}; {}", would(shown, leg.quantity))) } else { why };
    let (name, several) = query::drift::told_apart(state, listing);
    Some(OutboxRow {
        kind: OutboxKind::Leg,
        channel: held.channel.clone(),
        subject: listing.sku.to_string(),
        listing: name,
        several,
        locations: state.drawn(held).to_vec(),
        state: leg.name().to_owned(),
        quantity: Some(leg.quantity),
        shown,
        base: held.writes.base,
        revision: Some(leg.revision),
        tries: leg.tries,
        since: leg.since.into(),
        age_ms: now.since(leg.since),
        next_at: next_at(leg).map(Into::into),
        why,
    })
}

/// Says what a write would do.
fn would(shown: Option<Quantity>, wanted: Quantity) -> String {
    match shown.map(|shown| wanted.sub(shown).unwrap_or_default()) {
        None => "what the channel shows was not read yet".to_owned(),
        Some(more) if more > Quantity::ZERO => format!("it would be raised by {more}"),
        Some(less) => format!("it would be lowered by {}", less.neg().unwrap_or(less)),
    }
}

fn posting(state: &State, channel: &ChannelId, key: &OrderKey, now: Timestamp) -> Option<OutboxRow> {
    let posting = state.orders.get(key)?.posting(channel)?;
    let (name, next_at, _) = step(&posting.step);
    Some(OutboxRow {
        kind: OutboxKind::Posting,
        channel: channel.clone(),
        subject: key.to_string(),
        listing: Vec::new(),
        several: false,
        locations: Vec::new(),
        state: name.to_owned(),
        quantity: None,
        shown: None,
        base: None,
        revision: None,
        tries: posting.tries,
        since: posting.since.into(),
        age_ms: now.since(posting.since),
        next_at: next_at.map(Into::into),
        why: why_posting(state, channel, posting),
    })
}

fn why_posting(state: &State, channel: &ChannelId, posting: &PostState) -> Option<String> {
    let row = state.channels.get(channel);
    let gate = if state.mode() == Some(Mode::Shadow) {
        Some("shadow mode posts nothing".to_owned())
    } else if let Some(pause) = row.and_then(|row| row.pause) {
        let name = match pause {
            Pause::Frozen => "frozen",
            Pause::Stopped => "stopped",
        };
        Some(format!("the channel is paused ({name}); see `evenkeel resume`"))
    } else {
        row.and_then(circuit_open)
    };
    let last = posting.fault.as_ref().map_or(String::new(), |fault| format!("; the last try: {fault}"));
    match &posting.step {
        Step::Pending => Some(gate.unwrap_or_else(|| "it is about to be posted".to_owned())),
        Step::Retry { .. } => {
            let tries = posting.tries;
            let goes = gate.unwrap_or_else(|| match tries {
                0 => "it goes again".to_owned(),
                1 => "1 try did not go through; it goes again".to_owned(),
                _ => format!("{tries} tries in a row did not go through; it goes again"),
            });
            Some(format!("{goes}{last}"))
        }
        Step::InFlight { .. } => Some(format!("the ERP's answer is awaited{last}")),
        Step::Parked { reason } => Some(format!("waits for a person: {reason}")),
        Step::Done | Step::Dropped | Step::Theirs | Step::Watched => None,
    }
}
