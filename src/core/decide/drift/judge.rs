//! Decides what is done about a difference that nothing explains.

use crate::{
    core::{
        count::{Change, Edits},
        decide::drift::Difference,
        drift::{Done, Drifted, Found, Repaired, found, repair},
        ledger::Kind,
        leg::{self, Leg},
        state::{ListingRef, State},
        writes::{Told, shows},
    },
    model::{
        Overflow, Policies, Quantity, Seq, Sku, Timestamp,
        policy::{ChannelPolicy, Repair},
    },
};

/// Judges by what is known, and records nothing.
pub(super) struct Judge<'a> {
    pub(super) state: &'a State,
    pub(super) now: Timestamp,
    /// The position that the drift will have.
    pub(super) seq: Seq,
}

impl Judge<'_> {
    /// Says what a difference is and what is to be done about it.
    pub(super) fn drifted(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        difference: &Difference,
    ) -> (Drifted, Option<Edits>) {
        let (expected, observed) = (difference.expected, difference.observed);
        let held = self.state.listing(listing);
        let before = held.and_then(|held| held.drift.as_deref());
        let mut drifted = Drifted {
            seq: self.seq,
            at: self.now,
            found: found(difference.told.as_ref(), &difference.look),
            expected,
            observed,
            done: Done::Gone,
            why: None,
            repairs: before.map(|before| before.repairs.clone()).unwrap_or_default(),
        };
        let mut edits = None;
        let leg = held.and_then(|held| held.leg.as_ref());
        if let Some(leg) = leg.filter(|leg| !shows(observed, leg.quantity)) {
            let answer = self.answer(policy, listing, leg, difference, &mut drifted);
            (drifted.done, drifted.why, edits) = answer;
        }
        (drifted, edits)
    }

    /// Decides what is done about a quantity that is not what is wanted.
    fn answer(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        leg: &Leg,
        difference: &Difference,
        drifted: &mut Drifted,
    ) -> (Done, Option<String>, Option<Edits>) {
        let Some(policies) = self.state.policies() else { return (Done::Repaired, None, None) };
        let before = self.state.listing(listing).and_then(|held| held.drift.as_deref());
        // What a person was asked about, held, parked or gave up goes on so, whatever else is written there.
        if matches!(leg.state, leg::State::Parked { .. } | leg::State::Dropped) {
            let open = before.filter(|before| before.is_open());
            return open.map_or((Done::Left, None, None), |open| (open.done, open.why.clone(), None));
        }
        let confirmed = matches!(leg.state, leg::State::Confirmed);
        // A lower that is under way is the ledger's, whatever is shown.
        let may_wait = confirmed || leg.quantity > difference.observed;
        if may_wait && before.is_some_and(|before| before.done == Done::Held) {
            return (Done::Held, None, None);
        }
        let says = policies.drift.repair(policy.drift, drifted.found == Found::Edit);
        match (drifted.found, says) {
            (Found::Unseen, _) if may_wait => {
                let why = "the channel has promised more units than its orders tell".to_owned();
                return (Done::Asked, Some(why), None);
            }
            (_, Repair::Ask) if may_wait => return (Done::Asked, None, None),
            (Found::Edit, Repair::Theirs) if self.state.initialised.is_some() => {
                match self.may_take_over(policies, policy, listing, difference) {
                    Ok(edits) => return (Done::Accepted, None, Some(edits)),
                    Err(why) if may_wait => return (Done::Asked, Some(why), None),
                    Err(_) => {}
                }
            }
            (Found::Rival, Repair::Theirs) if confirmed && difference.observed < leg.quantity => {
                return (Done::Left, None, None);
            }
            (Found::Edit | Found::Rival | Found::Unseen, Repair::Ours | Repair::Ask | Repair::Theirs) => {}
        }
        let repaired = Repaired { at: self.now, observed: difference.observed };
        let loops = repair(&policies.drift, &mut drifted.repairs, repaired);
        (if loops && may_wait { Done::Held } else { Done::Repaired }, None, None)
    }

    /// Tells why an edit of a channel's stock is not taken over into the ledger without a person, or what the brake
    /// knows with it.
    fn may_take_over(
        &self,
        policies: &Policies,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        difference: &Difference,
    ) -> Result<Edits, String> {
        let big = |_: Overflow| "it does not fit the ledger".to_owned();
        let delta = difference.observed.sub(difference.expected).map_err(big)?;
        if delta > Quantity::ZERO && self.sold_since(&listing.sku, difference.told) {
            return Err("units were sold meanwhile: a number from before that would put them back".to_owned());
        }
        if self.state.index.recipes.direct(&listing.sku).is_some() {
            return Err("it has no stock of its own".to_owned());
        }
        let row = self.state.skus.get(&listing.sku);
        let place = row.zip(policy.locations.first()).and_then(|(row, location)| row.place(location));
        let place = place.filter(|place| place.opened.is_some());
        let before = place.ok_or("its stock was never counted there")?.stock.on_hand;
        let change = Change { before, after: before.add(delta).map_err(big)? };
        let channel = self.state.listing(listing).map(|held| &held.channel);
        let held = channel.and_then(|channel| self.state.channels.get(channel)).and_then(|row| row.edits);
        let edits = Edits::with(held, change, self.now);
        match edits.changed.held_by(&policies.brake, self.state.index.opened()) {
            Some(why) => Err(format!("the brake holds it: with the edits of the last hour {why}")),
            None => Ok(edits),
        }
    }

    /// Tells whether units of a SKU may have been sold, anywhere, since a channel told its quantity.
    fn sold_since(&self, sku: &Sku, told: Option<Told>) -> bool {
        let (Some(told), Some(row)) = (told, self.state.skus.get(sku)) else { return true };
        let sale = |kind: Kind| matches!(kind, Kind::Sale | Kind::Baseline);
        let sold = row.recent.iter().any(|held| sale(held.entry.kind) && held.recorded_at >= told.at);
        // Only so many are remembered: where all of them are newer, there may have been more.
        let all = row.recent.len() >= crate::core::apply::RECENT;
        let forgotten = all && row.recent.first().is_some_and(|first| first.recorded_at >= told.at);
        sold || forgotten || told.sold > Quantity::ZERO
    }
}
