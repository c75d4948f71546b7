//! Intents and commits that are under way.

use std::collections::BTreeMap;

use crate::{
    core::{
        State,
        decide::intents::plan::{AtPlace, Moves, Plan, Shown},
        intent::{Intent, Leg, Line, Phase, Step, Undone, Way},
        leg,
        state::{Commit, Listing, ListingRef, SkuRow},
    },
    model::{ChannelId, Quantity, Seq, Sku, Timestamp},
    web::{
        query::{self, why},
        view::intents::{
            ChannelSummary, CommitLeg, Commits, IntentAnswer, IntentLegView, IntentLineView, IntentView,
            MovedView, OpenCommit, PlaceChange, ShownView,
        },
    },
};

/// How many lines and legs an intent in a list is told with.
const BRIEF: usize = 50;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Wanted {
    pub(in crate::web) open: bool,
    pub(in crate::web) sku: Option<Sku>,
    pub(in crate::web) intent: Option<Seq>,
    pub(in crate::web) limit: usize,
}

pub(in crate::web) fn commits(state: &State, wanted: &Wanted, now: Timestamp) -> Commits {
    let limit = wanted.limit;
    let most = if wanted.intent.is_some() { limit } else { BRIEF };
    let names = wanted.sku.as_ref().map(|sku| state.names_of(sku)).unwrap_or_default();
    let concerns = |(id, held): &(&Seq, &Intent)| {
        wanted.intent.is_none_or(|intent| intent == **id)
            && !(wanted.open && held.phase.ended())
            && (wanted.sku.is_none() || held.lines.iter().any(|line| names.contains(line.sku())))
    };
    let of = state.intents.iter().rev().filter(concerns);
    let mut intents: Vec<IntentView> =
        of.take(limit.saturating_add(1)).map(|(id, held)| intent(state, *id, held, most, now)).collect();
    let rows: Box<dyn Iterator<Item = (&Sku, &SkuRow)>> = match &wanted.sku {
        Some(_) => Box::new(names.iter().filter_map(|sku| state.skus.get_key_value(sku))),
        None => Box::new(state.skus.iter()),
    };
    let all = rows.flat_map(|(sku, row)| row.commits.iter().map(move |held| (sku, row, held)));
    let same = |(_, _, held): &(&Sku, &SkuRow, &Commit)| wanted.intent.is_none_or(|id| id == held.id);
    let mut names = Names::new();
    let mut commits: Vec<OpenCommit> = all
        .filter(same)
        .take(limit.saturating_add(1))
        .map(|(sku, row, held)| commit(state, &mut names, (sku, row), held, now))
        .collect();
    let more = intents.len() > limit || commits.len() > limit;
    intents.truncate(limit);
    commits.truncate(limit);
    let now = wanted.sku.as_ref().filter(|sku| state.canonical(sku) != *sku);
    Commits { now: now.map(|sku| state.canonical(sku).clone()), intents, commits, more }
}

pub(in crate::web) fn find(state: &State, id: Seq, now: Timestamp) -> Option<IntentView> {
    state.intents.get(&id).map(|held| intent(state, id, held, BRIEF, now))
}

fn intent(state: &State, id: Seq, held: &Intent, most: usize, now: Timestamp) -> IntentView {
    let waits = held.legs.iter().filter(|leg| held.awaits(leg));
    let parked = |leg: &&Leg| {
        let of = state.listing(&leg.listing).and_then(|listing| listing.leg.as_ref());
        of.is_some_and(|of| matches!(of.state, leg::State::Parked { .. }))
    };
    IntentView {
        id,
        name: held.request.clone(),
        phase: held.phase,
        since: held.since.into(),
        opened_at: held.opened_at.into(),
        in_transit: held.travels,
        note: held.note.clone(),
        until: held.until.map(Into::into),
        undone: held.undone.as_ref().map(|undone| told(state, undone)),
        lines: held.lines.iter().take(most).map(|of| line(state, held, of)).collect(),
        legs: held.legs.iter().take(most).map(|of| leg_view(state, held, of, now)).collect(),
        line_count: held.lines.len(),
        leg_count: held.legs.len(),
        waiting: waits.clone().count(),
        stuck: waits.clone().any(|leg| parked(&leg)),
    }
}

fn channel(state: &State, listing: &ListingRef) -> ChannelId {
    let held = state.listing(listing).map(|held| held.channel.clone());
    held.unwrap_or_else(|| ChannelId::new("unknown").expect("a valid name"))
}

/// Names the channel of a listing, with what tells it from others of its SKU there.
fn place(state: &State, listing: &ListingRef) -> String {
    let on = channel(state, listing);
    match query::drift::told_apart(state, listing) {
        (name, true) => format!("{on} ({})", name.join(" ")),
        (_, false) => on.to_string(),
    }
}

fn told(state: &State, undone: &Undone) -> String {
    match undone {
        Undone::Refused { listing, reason } => {
            let (sku, on) = (&listing.sku, place(state, listing));
            format!("`{on}` refuses to lower `{sku}`: {reason}")
        }
        Undone::Cancelled => "a person has cancelled it".to_owned(),
        Undone::Expired => "it was not lowered in the time given".to_owned(),
    }
}

fn line(state: &State, held: &Intent, line: &Line) -> IntentLineView {
    let said = |most: &Option<Quantity>| most.map_or_else(|| "no limit".to_owned(), |most| most.to_string());
    let (what, on_the_way) = match line {
        Line::Allot { listing, before, after } => {
            let on = place(state, listing);
            let shows =
                after.map_or("has no limit of its own".to_owned(), |most| format!("shows at most {most}"));
            (format!("{shows} on {on} (before: {})", said(before)), None)
        }
        Line::Move { quantity, from, to, received, lost, .. } if held.travels => (
            format!("{quantity} from {from} to {to}, {received} received, {lost} lost"),
            Some(line.on_the_way()),
        ),
        Line::Move { quantity, from, to, .. } => (format!("{quantity} from {from} to {to}"), None),
    };
    let what = what + &counted_since(held, line).unwrap_or_default();
    IntentLineView { sku: line.sku().clone(), what, on_the_way }
}

/// Says that units are not put back, if they are not.
fn counted_since(held: &Intent, line: &Line) -> Option<String> {
    let Line::Move { from, counted: true, .. } = line else { return None };
    match held.phase {
        Phase::Lowering | Phase::InTransit => {
            Some(format!("; {from} was counted since they left, so a cancel puts none back"))
        }
        Phase::RollingBack | Phase::RolledBack => {
            Some(format!("; none were put back, as {from} was counted since they left"))
        }
        Phase::Raising | Phase::Done => None,
    }
}

fn leg_view(state: &State, held: &Intent, leg: &Leg, now: Timestamp) -> IntentLegView {
    let on = channel(state, &leg.listing);
    let waits_for = match leg.step {
        Step::Waiting if held.awaits(leg) => {
            let of = state.listing(&leg.listing);
            of.and_then(|of| why(state, &leg.listing, of, now).or_else(|| may_rise(leg, of)))
        }
        Step::Seen { at } if held.awaits(leg) => {
            let policy = state.policies().and_then(|policies| policies.channels.get(&on));
            let late = policy.map_or(0, |policy| policy.abilities.late_ms);
            let until = crate::web::view::Time(at.plus_millis(late));
            Some(format!("a write from before may still land, until {until} at the latest"))
        }
        Step::Waiting | Step::Seen { .. } | Step::Settled | Step::GivenUp => None,
    };
    let step = match leg.step {
        // It was not seen when the intent was given up, and what it had lowered is taken back.
        Step::Waiting if !held.awaits(leg) => "taken_back",
        Step::Waiting => "waiting",
        Step::Seen { .. } => "seen",
        Step::Settled => "settled",
        Step::GivenUp => "given_up",
    };
    let (name, several) = query::drift::told_apart(state, &leg.listing);
    IntentLegView {
        sku: leg.listing.sku.clone(),
        channel: on,
        listing: name,
        several,
        way: leg.way,
        revision: leg.revision,
        step: step.to_owned(),
        waits_for,
    }
}

/// Says why a lower that was seen live does not count as seen.
fn may_rise(leg: &Leg, of: &Listing) -> Option<String> {
    let why = if of.writes.in_bulk() {
        "a bulk that is open may raise it again"
    } else {
        "it may show more than it is to, until a read tells"
    };
    (leg.way == Way::Lower && leg.is_seen(of)).then(|| why.to_owned())
}

/// The names of listings, each worked out once: a SKU may have many, and many commits.
type Names = BTreeMap<ListingRef, (Vec<String>, bool)>;

fn commit(
    state: &State,
    names: &mut Names,
    (sku, row): (&Sku, &SkuRow),
    held: &Commit,
    now: Timestamp,
) -> OpenCommit {
    let leg = |n: &u16| {
        let of = row.listings.get(usize::from(*n))?;
        let listing = ListingRef { sku: sku.clone(), at: *n };
        let name = names.entry(listing.clone()).or_insert_with(|| query::drift::told_apart(state, &listing));
        let (name, several) = name.clone();
        let seen = of.writes.confirmed.is_some_and(|confirmed| confirmed.revision >= held.revision);
        let dropped = matches!(of.leg.as_ref().map(|leg| &leg.state), Some(leg::State::Dropped));
        Some(CommitLeg {
            channel: of.channel.clone(),
            n: *n,
            listing: name,
            several,
            desired: of.leg.as_ref().map(|leg| leg.quantity),
            state: of.leg.as_ref().map(|leg| leg.name().to_owned()),
            ended: seen || dropped,
            waits_for: why(state, &listing, of, now).filter(|_| !seen),
        })
    };
    OpenCommit {
        id: held.id,
        sku: sku.clone(),
        revision: held.revision,
        opened_at: held.opened_at.into(),
        event_at: held.event_at.into(),
        age_ms: now.since(held.opened_at),
        intent: state.intents.contains_key(&held.id).then_some(held.id),
        legs: held.legs.iter().filter_map(leg).collect(),
    }
}

/// Tells what an intent would do, with at most `limit` listings.
pub(in crate::web) fn preview(state: &State, plan: &Plan, limit: usize) -> IntentAnswer {
    let mut channels: BTreeMap<ChannelId, ChannelSummary> = BTreeMap::new();
    for shown in &plan.shown {
        let channel = shown.channel.clone();
        let none = ChannelSummary { channel: channel.clone(), lowers: 0, raises: 0, zeroed: 0 };
        let of = channels.entry(channel).or_insert(none);
        of.lowers += usize::from(shown.lowered < shown.shows);
        let less = shown.shows.is_some() && shown.lowered > shown.shows;
        of.raises += usize::from(less || shown.raises());
        let zero = |units: Option<Quantity>| units.is_some_and(|units| units.is_zero());
        of.zeroed += usize::from(shown.shows > Some(Quantity::ZERO) && zero(shown.after));
    }
    let view = |shown: &Shown| ShownView {
        sku: shown.listing.sku.clone(),
        channel: shown.channel.clone(),
        listing: query::drift::named(state, &shown.listing),
        locations: query::drift::drawn(state, &shown.listing),
        before: shown.shows,
        lowered: shown.lowered,
        after: shown.after,
    };
    let at = |place: &AtPlace| PlaceChange {
        location: place.location.clone(),
        on_hand: [place.before.on_hand, place.after.on_hand],
        available: [place.before, place.after].map(|stock| stock.available().unwrap_or_default()),
    };
    let moved = |moves: &Moves| MovedView {
        sku: moves.sku.clone(),
        quantity: moves.quantity,
        from: at(&moves.from),
        to: at(&moves.to),
    };
    IntentAnswer {
        dry_run: true,
        moves: plan.moves.iter().take(limit).map(moved).collect(),
        channels: channels.into_values().collect(),
        shown: plan.shown.iter().take(limit).map(view).collect(),
        more: plan.shown.len() > limit,
        notes: plan.notes.clone(),
        brake: plan.brake.clone(),
        intent: None,
    }
}
