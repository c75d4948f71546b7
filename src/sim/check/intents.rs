//! I6: what must hold of intents, and of what they have on its way.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        Record, State,
        intent::{self, Change, Phase, Way},
        state::ListingRef,
    },
    model::{LocationId, Quantity, Seq, Sku, Timestamp},
    sim::check::{Checks, sure},
};

impl Checks {
    /// I6: an intent comes to its next phase.
    pub(super) fn goes_on(
        &mut self,
        state: &State,
        id: Seq,
        phase: Phase,
        at: Timestamp,
    ) -> Result<(), String> {
        let awaited = self.awaited.remove(&id).unwrap_or_default();
        match phase {
            Phase::Raising => {
                self.lowered(state, id, at).and_then(|()| self.settled(state, id, &awaited, at))
            }
            Phase::InTransit => self.settled(state, id, &awaited, at),
            Phase::Lowering | Phase::Done | Phase::RollingBack | Phase::RolledBack => Ok(()),
        }
    }

    /// Notes what the listings may show that an intent waits for: what it has lowered them to, or more, if more came in since.
    pub(super) fn note_awaited(&mut self, state: &State, record: &Record) {
        let wanted = |listing: &ListingRef| Some(state.listing(listing)?.leg.as_ref()?.quantity);
        if let Record::Intent { id, change: Change::Awaits(legs) } = record {
            let lowers = legs.iter().filter(|leg| leg.way == Way::Lower);
            let lowers = lowers.filter_map(|leg| Some((leg.listing.clone(), wanted(&leg.listing)?)));
            self.awaited.entry(*id).or_default().extend(lowers);
        }
        if let Record::Commit { sku, legs, .. } = record {
            for (at, leg) in legs {
                let listing = ListingRef { sku: sku.clone(), at: *at };
                for limits in self.awaited.values_mut() {
                    limits.entry(listing.clone()).and_modify(|most| *most = leg.quantity.max(*most));
                }
            }
        }
    }

    /// What is on its way to each place is what open transfers have on their way there.
    pub(in crate::sim) fn on_the_way(&self, state: &State) -> Result<(), String> {
        let mut told: BTreeMap<(&Sku, &LocationId), Quantity> = BTreeMap::new();
        for intent in
            state.intents.values().filter(|held| matches!(held.phase, Phase::Lowering | Phase::InTransit))
        {
            for line in &intent.lines {
                let intent::Line::Move { sku, to, .. } = line else { continue };
                let sum = told.entry((sku, to)).or_default();
                *sum = sum.add(line.on_the_way()).unwrap_or(*sum);
            }
        }
        told.retain(|_, units| !units.is_zero());
        if told.is_empty() && self.incoming.is_empty() {
            return Ok(());
        }
        let booked = |(sku, location): (&Sku, &LocationId)| {
            let stock = self.ledger.get(&(sku.clone(), location.clone()));
            stock.map(|stock| stock.incoming).unwrap_or_default()
        };
        let all = told.keys().copied().chain(self.incoming.iter().map(|(sku, location)| (sku, location)));
        let mut all = all.collect::<BTreeSet<_>>().into_iter();
        let wrong = all.find(|at| booked(*at) != told.get(at).copied().unwrap_or_default());
        sure(wrong.is_none(), || format!("transfers: not what is on its way is called incoming: {wrong:?}"))
    }

    /// I6: nothing rises by an intent while a write may still land that shows more of what it has lowered.
    fn lowered(&self, state: &State, id: Seq, at: Timestamp) -> Result<(), String> {
        let intent = state.intents.get(&id).ok_or("an intent that is not there")?;
        for line in &intent.lines {
            let intent::Line::Allot { listing, before, after: Some(after) } = line else { continue };
            if before.is_some_and(|before| before <= *after) {
                continue;
            }
            self.ends(state, id, listing, *after, at)?;
        }
        Ok(())
    }

    /// I6: no intent goes on while a write may still land that shows more than it has lowered a listing to.
    fn settled(
        &self,
        state: &State,
        id: Seq,
        awaited: &BTreeMap<ListingRef, Quantity>,
        at: Timestamp,
    ) -> Result<(), String> {
        awaited.iter().try_for_each(|(listing, most)| self.ends(state, id, listing, *most, at))
    }

    /// I6: nothing may land any more that shows more of a listing than that.
    fn ends(
        &self,
        state: &State,
        id: Seq,
        listing: &ListingRef,
        most: Quantity,
        at: Timestamp,
    ) -> Result<(), String> {
        let intent = state.intents.get(&id).ok_or("an intent that is not there")?;
        let policies = state.policies().ok_or("not configured")?;
        let Some(held) = state.listing(listing).filter(|_| !intent.seen_is_enough) else { return Ok(()) };
        let since = at.plus_millis(-policies.channels[&held.channel].abilities.late_ms);
        let sent = || self.sent.get(listing).into_iter().flatten();
        // Of those that are counted as one, the largest may be older than the youngest.
        let was_sent = || sent().any(|(quantity, sent)| *quantity > most && *sent > since);
        let over = held
            .writes
            .unsettled
            .iter()
            .find(|write| write.quantity > most && write.at > since && (write.times == 1 || was_sent()));
        sure(over.is_none(), || {
            format!("I6: intent {id} goes on while {listing:?} may still show {over:?}, and not {most}")
        })
    }
}
