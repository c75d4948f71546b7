//! Carries intents on: after each command the legs are judged that it moved, and an intent whose legs have all ended
//! comes to its next phase. Nothing is remembered but what is recorded, so a restart goes on by itself.

use std::collections::BTreeSet;

use super::{Booking, falls, leaving, skus_of};
use crate::{
    core::{
        decide::{Draft, listing::is_gone},
        intent::{Change, Event, Intent, Leg, Line, Phase, Step, Undone, Way, step},
        ledger::Kind,
        leg,
        order::Still,
        record::Record,
        state::{Listing, ListingRef, Todo},
    },
    model::{Policies, Quantity, Seq, Sku},
};

/// How many legs one tick judges.
const PORTION: usize = 1_000;

impl Draft<'_> {
    /// Judges the legs that the records of this command have moved, until nothing follows any more.
    pub(in crate::core::decide) fn drive_intents(&mut self) {
        let mut from = 0;
        while from < self.records.len() && self.state.index.awaits_any() {
            let touched: BTreeSet<Sku> = self.records[from..].iter().filter_map(moves).cloned().collect();
            from = self.records.len();
            let of = |sku: &Sku| self.state.index.awaited_of(sku).collect::<Vec<_>>();
            let legs: Vec<(Seq, u32)> = touched.iter().flat_map(of).collect();
            self.judge_legs(legs);
        }
    }

    /// Gives up intents whose time is over, and judges legs that only wait for time to pass, a portion with each tick.
    pub(in crate::core::decide) fn tick_intents(&mut self) {
        let late = |held: &Intent| {
            held.phase == Phase::Lowering && held.until.is_some_and(|until| until <= self.now)
        };
        let expired = self.state.intents.iter().filter(|(_, held)| late(held)).map(|(id, _)| *id);
        for id in expired.collect::<Vec<_>>() {
            self.undo(id, Undone::Expired);
        }
        let after = match &self.state.recheck.legs {
            Todo::After(last) => Some(last.clone()),
            Todo::All | Todo::Nothing => None,
        };
        let legs: Vec<(Sku, Seq, u32)> =
            self.state.index.awaited_after(after.as_ref()).take(PORTION).cloned().collect();
        self.state.recheck.legs = Todo::after(&legs, PORTION);
        self.judge_legs(legs.into_iter().map(|(_, id, n)| (id, n)).collect());
    }

    fn judge_legs(&mut self, legs: Vec<(Seq, u32)>) {
        let ids: BTreeSet<Seq> = legs.iter().map(|(id, _)| *id).collect();
        for (id, n) in legs {
            self.judge_leg(id, n);
        }
        for id in ids {
            self.drive(id);
        }
    }

    /// Records how far a leg has come. A lower that is refused for good rolls the intent back.
    fn judge_leg(&mut self, id: Seq, n: u32) {
        let Some(intent) = self.state.intents.get(&id) else { return };
        let Some(leg) = usize::try_from(n).ok().and_then(|n| intent.legs.get(n)) else { return };
        let Some(held) = self.state.listing(&leg.listing).filter(|_| intent.awaits(leg)) else { return };
        let refused = refused(self.state.policies(), held);
        let more = leg.way == Way::Lower && shows_more(intent, held);
        let next = match (leg.way, leg.step, &refused) {
            (_, Step::Waiting, _) if leg.is_seen(held) && !more => self.seen_step(intent, leg, held),
            (Way::Lower, Step::Seen { .. }, _) if !more => self.seen_step(intent, leg, held),
            (Way::Lower, Step::Seen { .. }, Some(_)) => Step::GivenUp,
            (Way::Lower | Way::PutBack, Step::Waiting, Some(_)) => Step::GivenUp,
            // What may rise rises once a person has dealt with the dead letter.
            (Way::Raise, Step::Waiting, Some(Never::ForGood(_))) => Step::GivenUp,
            (_, step, _) => step,
        };
        if next == leg.step {
            return;
        }
        let (lower, listing) = (leg.way == Way::Lower, leg.listing.clone());
        self.emit(Record::Intent { id, change: Change::Leg { n, step: next } });
        if let (true, Step::GivenUp, Some(never)) = (lower, next, refused) {
            let (Never::ForGood(reason) | Never::Parked(reason)) = never;
            self.undo(id, Undone::Refused { listing, reason });
        }
    }

    /// Returns how far a leg is that was seen live.
    fn seen_step(&self, intent: &Intent, leg: &Leg, held: &Listing) -> Step {
        let at = if let Step::Seen { at } = leg.step { at } else { self.now };
        let late = || {
            let policy = self.state.policies().and_then(|p| p.channels.get(&held.channel));
            policy.map_or(0, |policy| policy.abilities.late_ms)
        };
        // A write from before it was seen lands within the bound or never; those that follow keep to the new limit.
        if leg.way != Way::Lower || intent.seen_is_enough {
            return Step::Settled;
        }
        // What may land until a bulk has ended settles from then on.
        if leg.step == Step::Waiting && bulk_may_undo(held) {
            return Step::Waiting;
        }
        let settled = held.writes.unsettled.is_empty() || self.now >= at.plus_millis(late());
        if settled { Step::Settled } else { Step::Seen { at } }
    }

    /// Brings an intent to its next phase if its legs have ended.
    pub(super) fn drive(&mut self, id: Seq) {
        while let Some(held) = self.state.intents.get(&id).filter(|_| !self.state.index.awaits(id)) {
            match held.phase {
                Phase::Lowering => {
                    let travels = held.travels && !held.arrived();
                    self.move_on(id, Event::Lowered { travels }, None);
                    if travels {
                        return;
                    }
                    self.raise_all(id);
                }
                Phase::Raising | Phase::RollingBack => self.move_on(id, Event::Ended, None),
                Phase::InTransit | Phase::Done | Phase::RolledBack => return,
            }
        }
    }

    pub(super) fn move_on(&mut self, id: Seq, event: Event, undone: Option<Undone>) {
        let Some(held) = self.state.intents.get(&id) else { return };
        if let Ok(phase) = step(held.phase, event) {
            self.emit(Record::Intent { id, change: Change::Moved { phase, undone } });
        }
    }

    /// Everything has fallen: what may rise, rises.
    fn raise_all(&mut self, id: Seq) {
        let Some(lines) = self.state.intents.get(&id).map(|held| held.lines.clone()) else { return };
        let arrives = |line: &Line| match line {
            Line::Allot { .. } => None,
            Line::Move { sku, quantity, to, .. } => {
                let (sku, location, note) = (sku.clone(), to.clone(), String::new());
                Some(Booking { sku, location, kind: Kind::TransferIn, quantity: *quantity, note })
            }
        };
        let bookings = lines.iter().filter_map(arrives).collect();
        self.make(id, bookings, raised(&lines), &skus_of(&lines), Way::Raise, Vec::new());
    }

    /// Takes back what an intent has lowered: its entries and its limits, never what else has happened since.
    pub(super) fn undo(&mut self, id: Seq, undone: Undone) {
        let Some(held) = self.state.intents.get(&id) else { return };
        if step(held.phase, Event::Undone).is_err() {
            return;
        }
        let lines = held.lines.clone();
        self.move_on(id, Event::Undone, Some(undone));
        let mut bookings = Vec::new();
        let mut rows = Vec::new();
        for line in &lines {
            match line {
                Line::Allot { listing, before, after } if falls(*before, *after) => {
                    rows.push((listing.clone(), *before));
                }
                Line::Allot { .. } => {}
                // What a count has found since may be these very units.
                Line::Move { quantity, counted, .. } => {
                    let back = leaving(line, quantity.neg().unwrap_or_default());
                    let stays = |booking: &Booking| !counted || booking.kind != Kind::TransferOut;
                    bookings.extend(back.into_iter().filter(stays));
                }
            }
        }
        self.make(id, bookings, rows, &skus_of(&lines), Way::PutBack, Vec::new());
        self.drive(id);
    }

    /// Has an intent wait for the listings that the records from `from` on give something else to show, and for `also`. In shadow mode
    /// what is shown is somebody else's doing, and nothing of ours is waited for.
    pub(super) fn await_listings(&mut self, id: Seq, way: Way, from: usize, also: Vec<ListingRef>) {
        if self.state.still() == Some(Still::Shadow) {
            return;
        }
        let commits = self.records[from..].iter().filter_map(|record| {
            if let Record::Commit { sku, legs, .. } = record { Some((sku, legs)) } else { None }
        });
        let moved = commits
            .flat_map(|(sku, legs)| legs.iter().map(move |(at, _)| ListingRef { sku: sku.clone(), at: *at }));
        let listings: BTreeSet<ListingRef> = moved.chain(also).collect();
        let legs: Vec<Leg> = listings.into_iter().filter_map(|listing| self.leg_of(way, listing)).collect();
        if !legs.is_empty() {
            self.emit(Record::Intent { id, change: Change::Awaits(legs) });
        }
    }

    /// Tells whether a listing may come to show what it is to show, with nothing but time.
    pub(super) fn may_fall(&self, listing: &ListingRef) -> bool {
        self.state.listing(listing).is_some_and(|held| refused(self.state.policies(), held).is_none())
    }

    fn leg_of(&self, way: Way, listing: ListingRef) -> Option<Leg> {
        let held = self.state.listing(&listing)?;
        let leg = held.leg.as_ref()?;
        let confirmed = matches!(leg.state, leg::State::Confirmed);
        let revision = leg.revision;
        let step = match way {
            Way::Lower if stays_below(held, leg) => return None,
            Way::Lower if confirmed && held.writes.shows_at_most(leg.quantity) && !bulk_may_undo(held) => {
                Step::Seen { at: self.now }
            }
            Way::Raise | Way::PutBack if confirmed => return None,
            Way::Lower | Way::Raise | Way::PutBack => Step::Waiting,
        };
        Some(Leg { listing, way, revision, step })
    }
}

/// Returns the limits that rise once everything has fallen.
pub(super) fn raised(lines: &[Line]) -> Vec<(ListingRef, Option<Quantity>)> {
    let rises = |line: &Line| match line {
        Line::Allot { listing, before, after } if !falls(*before, *after) => Some((listing.clone(), *after)),
        Line::Allot { .. } | Line::Move { .. } => None,
    };
    lines.iter().filter_map(rises).collect()
}

/// Tells whether a listing shows no more than it is to show, whatever of our writes may still land: there is nothing to be
/// lowered.
fn stays_below(held: &Listing, leg: &leg::Leg) -> bool {
    let confirmed = matches!(leg.state, leg::State::Confirmed);
    let less = confirmed || held.writes.base.is_some_and(|base| base < leg.quantity);
    less && held.writes.stays_at_most(leg.quantity)
}

/// Tells whether a bulk that is open may still make a listing show more than it is to show.
fn bulk_may_undo(held: &Listing) -> bool {
    held.leg.as_ref().is_some_and(|leg| held.writes.bulk_may_land_above(leg.quantity))
}

/// Tells whether a listing may show more than it is to show, or than it was seen to show since the intent was opened: it goes on
/// falling with each sale, and must not be waited for because of that. What nobody knows, as after a restore, may be more.
fn shows_more(intent: &Intent, held: &Listing) -> bool {
    let since = held.writes.confirmed.filter(|confirmed| confirmed.at > intent.opened_at);
    let wanted = held.leg.as_ref().map(|leg| leg.quantity);
    let limit = since.map(|confirmed| confirmed.quantity).into_iter().chain(wanted).max();
    limit.is_none_or(|limit| !held.writes.shows_at_most(limit))
}

/// Why a listing will not come to show what is wanted.
enum Never {
    /// Until a person says otherwise.
    Parked(String),
    ForGood(String),
}

fn refused(policies: Option<&Policies>, held: &Listing) -> Option<Never> {
    if let Some(why) = held.why_unwritable() {
        return Some(Never::ForGood(format!("it must not be written any more: {why}")));
    }
    if is_gone(policies, held) {
        return Some(Never::ForGood("the channel, or its outlet, is not configured any more".to_owned()));
    }
    match held.leg.as_ref().map(|leg| &leg.state) {
        Some(leg::State::Parked { reason, .. }) => Some(Never::Parked(reason.to_string())),
        Some(leg::State::Dropped) if held.left_to_theirs() => {
            Some(Never::ForGood("another writer's lower number was left there, by `[drift]`".to_owned()))
        }
        Some(leg::State::Dropped) => Some(Never::ForGood("a person has given it up".to_owned())),
        Some(_) | None => None,
    }
}

/// Returns the SKU of whose listings a record tells something.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others move no listing")]
fn moves(record: &Record) -> Option<&Sku> {
    match record {
        Record::Moved { listing, .. } => Some(&listing.sku),
        Record::Commit { sku, .. } | Record::Bound { sku, .. } => Some(sku),
        _ => None,
    }
}
