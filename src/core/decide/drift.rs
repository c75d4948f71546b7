//! What is done about a difference that nothing explains: ours is written again, theirs is taken over, or a person is
//! asked. Two writers that undo each other are kept apart.

use std::collections::BTreeSet;

use crate::{
    core::{
        command::{DriftAct, Refused, Reply},
        count::Edits,
        decide::Draft,
        drift::{Done, Drifted, Found, Repaired, repair},
        ledger::{Cause, Entry, Kind, book},
        leg::{self, Event, Look},
        record::{Record, Why},
        state::{Listing, ListingRef},
        writes::Told,
    },
    model::{
        ChannelId, Identifiers, LocationId, Overflow, Quantity, Seq, Sku, Timestamp, counted,
        policy::{ChannelPolicy, Repair},
    },
};

mod compare;
mod judge;
mod meant;

pub use compare::{Compared, Means, compare};
pub(super) use judge::lowers;
use judge::{Judge, WENT_OVER};
pub use meant::meant;

/// A difference whose fence has passed.
pub(super) struct Difference {
    pub(super) expected: Quantity,
    /// What else it should have shown, if a write of ours without an answer is in it.
    pub(super) or: BTreeSet<Quantity>,
    pub(super) observed: Quantity,
    pub(super) look: Look,
    /// The least that the channel had committed at the look by all orders that are known.
    pub(super) open: Option<Quantity>,
    /// What the channel told with the last quantity that was explained.
    pub(super) told: Option<Told>,
    /// The time as of which it was known what to expect.
    pub(super) known_at: Timestamp,
    /// A lower has gone over it already.
    pub(super) passed_over: bool,
}

impl Draft<'_> {
    /// Names a difference that nothing explains, and does about it what the policy says. A lower that the ledger
    /// explains is never held back by it.
    pub(super) fn drifted(&mut self, policy: &ChannelPolicy, listing: &ListingRef, difference: &Difference) {
        let held = self.state.listing(listing).and_then(|held| held.drift.as_deref());
        let learnt = held.map(|drift| self.learnt_since(policy, listing, drift)).unwrap_or_default();
        let judge = Judge { state: self.state, now: self.now, seq: self.seq, edits: None, learnt };
        let (drifted, edits) = judge.drifted(policy, listing, difference);
        self.act(policy, listing, drifted, edits, difference.passed_over);
    }

    /// Records a drift, and does what was decided. `passed_over`: a lower has gone over it, so that nothing of ours is there
    /// to be held or written again.
    fn act(
        &mut self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        drifted: Drifted,
        edits: Option<Edits>,
        passed_over: bool,
    ) {
        let (done, expected, observed) = (drifted.done, drifted.expected, drifted.observed);
        let reason = reason(&drifted);
        let held = self.state.listing(listing);
        let leg = held.and_then(|held| held.leg.as_ref());
        let lowers = leg.is_some_and(|leg| lowers(leg, observed));
        // A dead letter that something else has made stays as it is.
        let open = held.is_some_and(Listing::drifts);
        let letter = !open && leg.is_some_and(|leg| matches!(leg.state, leg::State::Parked { .. }));
        let stays = letter || passed_over;
        let found = Some(Box::new(drifted));
        let repaired = done == Done::Repaired;
        let expected = Some(expected);
        self.emit(Record::Drift { listing: listing.clone(), expected, observed, repaired, found, edits });
        match done {
            Done::Accepted => self.take_edit(policy, listing),
            Done::Asked | Done::Held | Done::Left | Done::Repaired if stays => {}
            // A person is asked, and what the ledger lowers goes.
            Done::Asked | Done::Held if lowers => self.write_again(listing),
            Done::Asked | Done::Held => self.park(listing, reason),
            Done::Left => self.leave(listing, reason),
            Done::Repaired => self.write_again(listing),
            Done::Released | Done::Gone => self.go_on(listing),
        }
    }

    /// Takes up a difference again of which units may have been sold unseen, once the orders tell of all that the channel had committed at a
    /// later look, and were read past that: no sale is missing any more. What is left of it is written over where ours counts, and
    /// asked about as what it is otherwise.
    pub(super) fn seen_by_now(&mut self, policy: &ChannelPolicy, listing: &ListingRef, look: &Look) {
        let Some(held) = self.state.listing(listing).filter(|held| may_be_seen(held)) else { return };
        let (Some(drift), Some(policies)) = (held.drift.as_deref(), self.state.policies.clone()) else {
            return;
        };
        let open = self.open_at(policy, listing, look);
        if open.is_none() || open != look.committed {
            return;
        }
        let learnt = self.learnt_since(policy, listing, drift);
        let mut drift = drift.clone().but(learnt);
        (drift.found, drift.why) = (Found::Rival, None);
        if drift.expected == drift.observed && drift.or.is_empty() {
            // They were all of it.
            self.end_drift_as(listing, Done::Gone, drift);
            return self.go_again(listing);
        }
        let ours = [true, false].map(|edit| policies.drift.repair(policy.drift, edit)) == [Repair::Ours; 2];
        let repaired = Repaired { at: self.now, observed: drift.observed };
        // Nobody undoes what is not written.
        let writes = self.state.still().is_none();
        if !ours || (writes && repair(&policies.drift, &mut drift.repairs, repaired)) {
            return self.end_drift_as(listing, Done::Asked, drift);
        }
        self.end_drift_as(listing, Done::Repaired, drift);
        self.go_again(listing);
    }

    fn write_again(&mut self, listing: &ListingRef) {
        let cause = self.seq;
        self.advance(listing, Event::Repair { cause }, Why::Repair, None, |_| {});
    }

    fn park(&mut self, listing: &ListingRef, reason: String) {
        let note = Some(reason.clone());
        self.advance(listing, Event::Parked { reason }, Why::Repair, note, |_| {});
    }

    /// Leaves a listing as it is until its stock changes next.
    fn leave(&mut self, listing: &ListingRef, reason: String) {
        self.park(listing, reason);
        self.advance(listing, Event::Discarded, Why::Discarded, None, |_| {});
        self.end_commits(&listing.sku);
    }

    /// Books the edit that a listing's drift is, and passes it on.
    fn take_edit(&mut self, policy: &ChannelPolicy, listing: &ListingRef) {
        let Some(held) = self.state.listing(listing) else { return };
        let location = policy.drawn(&held.ids).and_then(<[_]>::first);
        let (Some(drift), Some(location)) = (held.drift.as_deref(), location) else { return };
        // Its stock is that of the SKU that it became part of.
        let (channel, sku) = (held.channel.clone(), self.state.canonical(&listing.sku).clone());
        let Ok(entry) = self.edit_entry(channel, sku.clone(), location.clone(), drift) else { return };
        self.emit(Record::Adjusted { entries: vec![entry] });
        self.refresh(&sku, self.now);
        self.go_on(listing);
    }

    fn edit_entry(
        &self,
        channel: ChannelId,
        sku: Sku,
        location: LocationId,
        drift: &Drifted,
    ) -> Result<Entry, Overflow> {
        let place = self.state.skus.get(&sku).and_then(|row| row.place(&location));
        let quantity = drift.delta()?;
        let stock = place.map(|place| place.stock).unwrap_or_default();
        let after = book(stock, Kind::Adjustment, quantity)?;
        after.available()?;
        let (expected, observed) = (drift.expected, drift.observed);
        let cause = Cause::Edit { channel, expected, observed };
        let event_at = drift.event_at()?;
        Ok(Entry { sku, location, kind: Kind::Adjustment, quantity, cause, event_at, after })
    }

    /// What was taken for a drift was an old copy: it is over, and counts for nothing. Returns whether it was that a person was
    /// asked about, and its leg waits for.
    pub(super) fn drift_was_old(&mut self, listing: &ListingRef, old_ms: i64) -> bool {
        let Some(held) = self.state.listing(listing) else { return false };
        let (Some(drift), parked) = (held.drift.as_deref(), held.drifts()) else { return false };
        let (done, passed_over) = (drift.done, drift.passed_over);
        let mut drifted = Drifted { read_at: None, ..drift.clone() };
        match done {
            // What is booked is corrected by the look that shows it, as any edit is; what is held is for a person to end.
            Done::Accepted | Done::Held | Done::Released => {}
            Done::Repaired | Done::Asked | Done::Left | Done::Gone => {
                drifted.done = Done::Gone;
                drifted.why =
                    Some(format!("it was a read that was {old_ms} ms old: nobody has changed anything"));
                if done == Done::Repaired {
                    drifted.repairs.pop();
                }
            }
        }
        self.emit(Record::DriftEnded { listing: listing.clone(), drifted: Box::new(drifted) });
        done == Done::Asked && parked && !passed_over
    }

    /// A listing shows what it should: nobody need be asked any more, unless it does so because ours went over what they
    /// are asked about.
    /// `newer`: what it shows is of a later revision than what was confirmed there before.
    pub(super) fn drift_gone(&mut self, listing: &ListingRef, newer: bool) {
        let Some(held) = self.state.listing(listing) else { return };
        let Some(drift) = held.drift.as_ref().filter(|drift| drift.done == Done::Asked && !drift.passed_over)
        else {
            return;
        };
        if newer && held.leg.as_ref().is_some_and(|leg| leg.quantity < drift.observed) {
            let why = Some(WENT_OVER.to_owned());
            let drift = Drifted { passed_over: true, why, ..Drifted::clone(drift) };
            return self.end_drift_as(listing, Done::Asked, drift);
        }
        self.end_drift(listing, Done::Gone);
    }

    /// A person tried the dead letter again, or gave it up: that answers the drift that it came from.
    pub(super) fn drift_answered(&mut self, listing: &ListingRef, again: bool) {
        let Some(drift) = self.state.listing(listing).and_then(|held| held.drift.as_deref()) else { return };
        match (drift.done, again) {
            (Done::Asked, true) => self.end_drift(listing, Done::Repaired),
            (Done::Held, true) => self.end_drift(listing, Done::Released),
            (Done::Asked | Done::Held, false) => self.end_drift(listing, Done::Left),
            (Done::Left, false) if drift.theirs => {
                let drift = Drifted { theirs: false, ..drift.clone() };
                self.end_drift_as(listing, Done::Left, drift);
            }
            (Done::Repaired | Done::Accepted | Done::Left | Done::Released | Done::Gone, _) => {}
        }
    }

    fn end_drift(&mut self, listing: &ListingRef, done: Done) {
        let Some(drift) = self.state.listing(listing).and_then(|held| held.drift.as_deref()) else { return };
        self.end_drift_as(listing, done, drift.clone());
    }

    fn end_drift_as(&mut self, listing: &ListingRef, done: Done, drift: Drifted) {
        let mut drifted = Drifted { done, ..drift };
        if done == Done::Released {
            drifted.repairs.clear();
        }
        if done != Done::Gone {
            drifted.lowered.clear();
        }
        self.emit(Record::DriftEnded { listing: listing.clone(), drifted: Box::new(drifted) });
    }

    /// Does what a person says about a drift that waits for one.
    pub(super) fn drift_act(
        &mut self,
        sku: &Sku,
        channel: &ChannelId,
        name: &Identifiers,
        seq: Option<Seq>,
        act: DriftAct,
    ) -> Result<Reply, Refused> {
        let policy = self.channel(channel)?;
        let listing = meant(self.state, sku, channel, name, seq)?;
        let drift = self.state.listing(&listing).and_then(|held| held.drift.as_deref()).cloned();
        let drift = drift.ok_or_else(|| Refused::Nothing(format!("open drift of SKU `{sku}`")))?;
        self.may_act(&policy, &listing, &drift, act)?;
        self.carry_out(&policy, &listing, &drift, act);
        Ok(Reply::Done)
    }

    fn may_act(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        drift: &Drifted,
        act: DriftAct,
    ) -> Result<(), Refused> {
        let sku = &listing.sku;
        match (act, drift.done) {
            (DriftAct::Release, Done::Held)
            | (DriftAct::Repair | DriftAct::Accept | DriftAct::AcceptFrom(_), Done::Asked) => {}
            (_, Done::Held) => {
                let why = "is held because two writers undo each other; stop the other one, then release it";
                return Err(Refused::NotSo(format!("SKU `{sku}` {why}")));
            }
            (_, _) => return Err(Refused::NotSo(format!("SKU `{sku}` is not held; accept or repair it"))),
        }
        let from = match act {
            DriftAct::Accept if drift.or.is_empty() => drift.expected,
            DriftAct::Accept if self.is_stock(policy, listing, drift) => {
                let why = "it is not known how many units were edited: say with `--expected` what it should have shown, \
                           as the channel's own history of the item tells it";
                return Err(Refused::NotSo(format!("SKU `{sku}` should have shown {}; {why}", ways(drift))));
            }
            DriftAct::AcceptFrom(from) if from != drift.expected && !drift.or.contains(&from) => {
                return Err(Refused::NotSo(format!(
                    "SKU `{sku}` should have shown {}, and not {from}",
                    ways(drift)
                )));
            }
            DriftAct::AcceptFrom(from) => from,
            DriftAct::Accept | DriftAct::Repair | DriftAct::Release => drift.expected,
        };
        let accepts = matches!(act, DriftAct::Accept | DriftAct::AcceptFrom(_));
        if accepts && self.is_stock(policy, listing, drift) {
            let held = self.state.listing(listing);
            let held = held.ok_or_else(|| Refused::Nothing(format!("SKU `{sku}`")))?;
            let location = policy.drawn(&held.ids).and_then(<[_]>::first).cloned();
            let location =
                location.ok_or_else(|| Refused::NotSo("the listing has no location".to_owned()))?;
            let drift = Drifted { expected: from, ..drift.clone() };
            let stock = self.state.canonical(sku).clone();
            let entry = self.edit_entry(held.channel.clone(), stock, location, &drift);
            entry.map_err(|_| Refused::OutOfRange(format!("the edit of {sku}")))?;
        }
        Ok(())
    }

    /// Tells whether a drift is an edit of stock that the ledger holds. A bundle has none.
    fn is_stock(&self, policy: &ChannelPolicy, listing: &ListingRef, drift: &Drifted) -> bool {
        let sku = self.state.canonical(&listing.sku);
        let row = self.state.skus.get(sku);
        let location = self.state.listing(listing).and_then(|held| policy.drawn(&held.ids)?.first());
        let place = row.zip(location).and_then(|(row, location)| row.place(location));
        let made = self.state.index.recipes.direct(sku).is_some();
        drift.found == Found::Edit && !made && place.is_some_and(|place| place.opened.is_some())
    }

    fn carry_out(&mut self, policy: &ChannelPolicy, listing: &ListingRef, drift: &Drifted, act: DriftAct) {
        match act {
            DriftAct::Accept | DriftAct::AcceptFrom(_) if self.is_stock(policy, listing, drift) => {
                let expected = if let DriftAct::AcceptFrom(from) = act { from } else { drift.expected };
                // What is booked is what it was by a person's word.
                let drift = Drifted { expected, or: Vec::new(), ..drift.clone() };
                self.end_drift_as(listing, Done::Accepted, drift);
                self.take_edit(policy, listing);
                // Where the stock is not what decides, what is wanted is as it was.
                self.go_again(listing);
            }
            DriftAct::Accept | DriftAct::AcceptFrom(_) => {
                self.end_drift(listing, Done::Left);
                self.advance(listing, Event::Discarded, Why::Discarded, None, |_| {});
                self.end_commits(&listing.sku);
            }
            DriftAct::Repair | DriftAct::Release => {
                let done = if act == DriftAct::Repair { Done::Repaired } else { Done::Released };
                self.end_drift(listing, done);
                self.go_again(listing);
            }
        }
    }

    pub(super) fn go_again(&mut self, listing: &ListingRef) {
        let leg = self.state.listing(listing).and_then(|held| held.leg.as_ref());
        if leg.is_some_and(|leg| matches!(leg.state, leg::State::Parked { .. })) {
            self.advance(listing, Event::Retried, Why::Retried, None, |_| {});
        }
    }
}

/// Tells whether a listing waits for a person because units may have been sold there unseen.
fn may_be_seen(held: &Listing) -> bool {
    let unseen =
        |drift: &Drifted| drift.found == Found::Unseen && drift.done == Done::Asked && !drift.passed_over;
    held.drifts() && held.drift.as_deref().is_some_and(unseen)
}

/// Tells whether that may be over by a look, if the orders tell of all that it has committed: that has moved by nothing since the channel
/// last told it but by what they tell. What was shipped and is not told yet would hide as many that were sold unseen.
pub(super) fn may_be_seen_by(held: &Listing, look: &Look) -> bool {
    let told = held.writes.told.as_deref().and_then(|told| told.explained().ok());
    let moved = told.zip(look.committed);
    may_be_seen(held) && moved.is_some_and(|((least, most), now)| least <= now && now <= most)
}

/// Names all that a listing may have been meant to show.
fn ways(drift: &Drifted) -> String {
    let all = std::iter::once(&drift.expected).chain(&drift.or).map(Quantity::to_string);
    all.collect::<Vec<_>>().join(" or ")
}

/// Says why a listing waits for a person.
fn reason(drift: &Drifted) -> String {
    let Drifted { expected, observed, done, why, repairs, .. } = drift;
    let what = match drift.found {
        Found::Edit => "somebody edited the stock there",
        Found::Rival => "another writer, as far as can be told",
        Found::Unseen => "it may have sold units that it does not tell of",
    };
    match (done, why) {
        (Done::Held, _) => format!(
            "another writer undid ours {}, last with {observed}: nothing is raised there; stop it, then run \
             `evenkeel drift release`",
            counted(repairs.len(), "time")
        ),
        (_, Some(why)) => format!(
            "the channel shows {observed} and not {expected}, which nothing explains ({what}); {why}; retry to write \
             ours again, or run `evenkeel drift accept`"
        ),
        (_, None) => format!(
            "the channel shows {observed} and not {expected}, which nothing explains ({what}); retry to write ours \
             again, or run `evenkeel drift accept`"
        ),
    }
}
