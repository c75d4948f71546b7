//! What is done about a difference that nothing explains: ours is written again, theirs is taken over, or a person is
//! asked. Two writers that undo each other are kept apart.

use crate::{
    core::{
        command::{DriftAct, Refused, Reply},
        count::Edits,
        decide::Draft,
        drift::{Done, Drifted, Found},
        ledger::{Cause, Entry, Kind, book},
        leg::{self, Event, Look},
        record::{Record, Why},
        state::ListingRef,
        writes::Told,
    },
    model::{ChannelId, LocationId, Overflow, Quantity, Sku, policy::ChannelPolicy},
};

mod compare;
mod judge;

pub use compare::{Compared, Means, compare};
use judge::Judge;

/// A difference whose fence has passed.
pub(super) struct Difference {
    pub(super) expected: Quantity,
    pub(super) observed: Quantity,
    pub(super) look: Look,
    /// What the channel told with the last quantity that was explained.
    pub(super) told: Option<Told>,
}

impl Draft<'_> {
    /// Names a difference that nothing explains, and does about it what the policy says. A lower that the ledger
    /// explains is never held back by it.
    pub(super) fn drifted(&mut self, policy: &ChannelPolicy, listing: &ListingRef, difference: &Difference) {
        let judge = Judge { state: self.state, now: self.now, seq: self.seq };
        let (drifted, edits) = judge.drifted(policy, listing, difference);
        self.act(policy, listing, drifted, edits);
    }

    /// Records a drift, and does what was decided.
    fn act(&mut self, policy: &ChannelPolicy, listing: &ListingRef, drifted: Drifted, edits: Option<Edits>) {
        let (done, expected, observed) = (drifted.done, drifted.expected, drifted.observed);
        let reason = reason(&drifted);
        let found = Some(Box::new(drifted));
        let repaired = done == Done::Repaired;
        let expected = Some(expected);
        self.emit(Record::Drift { listing: listing.clone(), expected, observed, repaired, found, edits });
        match done {
            Done::Asked | Done::Held => self.park(listing, reason),
            Done::Left => self.leave(listing, reason),
            Done::Repaired => {
                let cause = self.seq;
                self.advance(listing, Event::Repair { cause }, Why::Repair, None, |_| {});
            }
            Done::Accepted => self.take_edit(policy, listing),
            Done::Released | Done::Gone => self.go_on(listing),
        }
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
        let (Some(drift), Some(location)) = (held.drift.as_deref(), policy.locations.first()) else { return };
        let (channel, sku) = (held.channel.clone(), listing.sku.clone());
        let Ok(entry) = self.edit_entry(channel, sku, location.clone(), drift) else { return };
        self.emit(Record::Adjusted { entries: vec![entry] });
        self.refresh(&listing.sku, self.now);
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
        Ok(Entry { sku, location, kind: Kind::Adjustment, quantity, cause, event_at: self.now, after })
    }

    /// A listing shows what it should: nobody need be asked any more.
    pub(super) fn drift_gone(&mut self, listing: &ListingRef) {
        let Some(held) = self.state.listing(listing) else { return };
        if held.drift.as_ref().is_some_and(|drift| drift.done == Done::Asked) {
            self.end_drift(listing, Done::Gone);
        }
    }

    /// A person tried the dead letter again, or gave it up: that answers the drift that it came from.
    pub(super) fn drift_answered(&mut self, listing: &ListingRef, again: bool) {
        let Some(drift) = self.state.listing(listing).and_then(|held| held.drift.as_deref()) else { return };
        match (drift.done, again) {
            (Done::Asked, true) => self.end_drift(listing, Done::Repaired),
            (Done::Held, true) => self.end_drift(listing, Done::Released),
            (Done::Asked | Done::Held, false) => self.end_drift(listing, Done::Left),
            (Done::Repaired | Done::Accepted | Done::Left | Done::Released | Done::Gone, _) => {}
        }
    }

    fn end_drift(&mut self, listing: &ListingRef, done: Done) {
        let Some(drift) = self.state.listing(listing).and_then(|held| held.drift.as_deref()) else { return };
        let mut drifted = Drifted { done, ..drift.clone() };
        if done == Done::Released {
            drifted.repairs.clear();
        }
        self.emit(Record::DriftEnded { listing: listing.clone(), drifted: Box::new(drifted) });
    }

    /// Does what a person says about a drift that waits for one.
    pub(super) fn drift_act(
        &mut self,
        sku: &Sku,
        channel: &ChannelId,
        act: DriftAct,
    ) -> Result<Reply, Refused> {
        let policy = self.channel(channel)?;
        let row = self.state.skus.get(sku).ok_or_else(|| Refused::Nothing(format!("SKU {sku}")))?;
        let here = (0_u16..).zip(&row.listings).filter(|(_, held)| held.channel == *channel);
        let open: Vec<(ListingRef, Drifted)> = here
            .filter(|(_, held)| held.drifts())
            .filter_map(|(at, held)| {
                Some((ListingRef { sku: sku.clone(), at }, held.drift.as_deref()?.clone()))
            })
            .collect();
        if open.is_empty() {
            return Err(Refused::Nothing(format!("open drift of SKU `{sku}` on `{channel}`")));
        }
        for (listing, drift) in &open {
            self.may_act(&policy, listing, drift, act)?;
        }
        for (listing, drift) in open {
            self.carry_out(&policy, &listing, &drift, act);
        }
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
            (DriftAct::Release, Done::Held) | (DriftAct::Repair | DriftAct::Accept, Done::Asked) => {}
            (_, Done::Held) => {
                let why = "is held because two writers undo each other; stop the other one, then release it";
                return Err(Refused::NotSo(format!("SKU `{sku}` {why}")));
            }
            (_, _) => return Err(Refused::NotSo(format!("SKU `{sku}` is not held; accept or repair it"))),
        }
        if act == DriftAct::Accept && self.is_stock(policy, listing, drift) {
            let location = policy.locations.first().cloned();
            let location =
                location.ok_or_else(|| Refused::NotSo("the channel has no location".to_owned()))?;
            let channel = self.state.listing(listing).map(|held| held.channel.clone());
            let channel = channel.ok_or_else(|| Refused::Nothing(format!("SKU {sku}")))?;
            let entry = self.edit_entry(channel, sku.clone(), location, drift);
            entry.map_err(|_| Refused::OutOfRange(format!("the edit of {sku}")))?;
        }
        Ok(())
    }

    /// Tells whether a drift is an edit of stock that the ledger holds. A bundle has none.
    fn is_stock(&self, policy: &ChannelPolicy, listing: &ListingRef, drift: &Drifted) -> bool {
        let row = self.state.skus.get(&listing.sku);
        let place = row.zip(policy.locations.first()).and_then(|(row, location)| row.place(location));
        let made = self.state.index.recipes.direct(&listing.sku).is_some();
        drift.found == Found::Edit && !made && place.is_some_and(|place| place.opened.is_some())
    }

    fn carry_out(&mut self, policy: &ChannelPolicy, listing: &ListingRef, drift: &Drifted, act: DriftAct) {
        match act {
            DriftAct::Accept if self.is_stock(policy, listing, drift) => {
                self.end_drift(listing, Done::Accepted);
                self.take_edit(policy, listing);
                // Where the stock is not what decides, what is wanted is as it was.
                self.go_again(listing);
            }
            DriftAct::Accept => {
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

    fn go_again(&mut self, listing: &ListingRef) {
        let leg = self.state.listing(listing).and_then(|held| held.leg.as_ref());
        if leg.is_some_and(|leg| matches!(leg.state, leg::State::Parked { .. })) {
            self.advance(listing, Event::Retried, Why::Retried, None, |_| {});
        }
    }
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
            "another writer undid ours {} times, last with {observed}: nothing is raised there; stop it, then run \
             `evenkeel drift release`",
            repairs.len()
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
