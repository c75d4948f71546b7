//! What was read of listings: confirms what is seen live, explains what can be explained, and leaves the rest to the
//! fence.

use crate::{
    core::{
        command::{Refused, Reply},
        decide::{Draft, drift::may_be_seen_by},
        drift::{Verdict, corrected, judge, observe},
        leg::{self, Confirmed, Event, Leg, Look, Sent},
        record::Why,
        state::{Listing, ListingRef},
        writes::{Reading, Writes, shows},
    },
    model::{
        Abilities, ChannelId, Levels, Observed, Quantity, Revision, Timestamp, Visible, policy::ChannelPolicy,
    },
};

impl Draft<'_> {
    pub(super) fn looked(
        &mut self,
        channel: &ChannelId,
        read_at: Timestamp,
        seen: Vec<(ListingRef, Observed)>,
    ) -> Result<Reply, Refused> {
        let policy = self.channel(channel)?;
        let heard = seen.iter().any(|(_, observed)| !matches!(observed, Observed::Unread { .. }));
        for (listing, observed) in seen {
            if self.state.listing(&listing).is_some_and(Listing::given_away) {
                // It was given to another SKU meanwhile, and is looked at there.
                continue;
            }
            match observed {
                Observed::Seen(levels) => self.seen(&policy, &listing, read_at, levels),
                Observed::Absent => self.unwritable(&listing, "the channel does not list it (any more)"),
                Observed::Unwritable { why } => self.unwritable(&listing, &why),
                Observed::Unread { why } => self.not_read(&policy.abilities, &listing, why),
            }
        }
        if heard {
            self.heard(channel);
        }
        Ok(Reply::Done)
    }

    /// Takes in what a channel was read to show. `read_at`: our clock when the read was sent.
    pub(super) fn seen(
        &mut self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        read_at: Timestamp,
        levels: Levels,
    ) {
        let Some(held) = self.state.listing(listing) else { return };
        let look = held.writes.look(levels, read_at, self.seq, policy.abilities.stale_ms);
        self.note_old_copy(policy, listing, look);
        let Some(held) = self.state.listing(listing) else { return };
        let Some(leg) = held.leg.clone() else { return self.take_look(policy, listing, look) };
        let trusted = read_at >= held.writes.trust_from;
        self.note_stale(policy, listing, look, false);
        match &leg.state {
            // A read that began before the write was answered says nothing about it.
            leg::State::InFlight(_) => {}
            leg::State::Accepted { sent, .. } | leg::State::Probing { sent, .. } if read_at < sent.at => {
                self.look_again(&policy.abilities, listing);
            }
            leg::State::Accepted { sent, .. } | leg::State::Probing { sent, .. }
                // What a delta comes to is also shown by what was sold in its place: an old copy says nothing.
                if shows(look.seen, sent.quantity) && (sent.delta.is_none() || trusted) =>
            {
                self.seen_sent(policy, listing, &leg, sent, look);
            }
            leg::State::Probing { .. } if lowers(policy, &leg, look) => {
                self.advance(listing, Event::SeenHigher, Why::Looked, None, |_| {});
            }
            leg::State::Confirmed => self.take_look(policy, listing, look),
            leg::State::Accepted { .. }
            | leg::State::Probing { .. }
            | leg::State::Looking { .. }
            | leg::State::Pending
            | leg::State::Retry { .. }
            | leg::State::Parked { .. }
            | leg::State::Dropped
                if trusted && shows(look.seen, leg.quantity) =>
            {
                self.confirm(policy, listing, Event::SeenWanted, leg.revision, look);
            }
            leg::State::Accepted { .. }
            | leg::State::Probing { .. }
            | leg::State::Looking { .. }
            | leg::State::Pending
            | leg::State::Retry { .. }
            | leg::State::Parked { .. }
            | leg::State::Dropped => {
                self.take_look(policy, listing, look);
                self.look_again(&policy.abilities, listing);
            }
        }
    }

    /// The channel shows what was sent: that revision is confirmed, whether or not it is still what is wanted.
    fn seen_sent(
        &mut self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        leg: &Leg,
        sent: &Sent,
        look: Look,
    ) {
        if shows(look.seen, leg.quantity) {
            self.confirm(policy, listing, Event::SeenWanted, leg.revision, look);
        } else {
            self.confirm(policy, listing, Event::SeenSent, sent.revision, look);
        }
    }

    fn confirm(
        &mut self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        event: Event,
        revision: Revision,
        look: Look,
    ) {
        let (now, stale_ms) = (self.now, policy.abilities.stale_ms);
        let reading = self.reading(policy, listing);
        let landed = self.landed_blind(policy, listing, look);
        let held = self.state.listing(listing);
        let newer = held.and_then(|held| held.writes.confirmed).is_none_or(|held| held.revision < revision);
        let leg =
            held.and_then(|held| held.leg.as_ref().filter(|leg| refuted(leg, held.writes.base)).cloned());
        let waited = self.state.listing(listing).and_then(|held| held.writes.look.as_deref().copied());
        if let Some(waited) = waited.filter(|waited| waited.at < look.at) {
            self.note_stale(policy, listing, waited, true);
        }
        let wanted = event == Event::SeenWanted;
        self.advance(listing, event, Why::Seen, None, |writes| {
            // A confirmed revision never goes backwards (I4).
            if writes.confirmed.is_none_or(|held| held.revision <= revision) {
                writes.confirmed = Some(Confirmed { quantity: look.seen, revision, at: now });
            }
            // It shows by now. A copy that a later read is answered from may still be that much behind.
            writes.trust_from = writes.trust_from.min(look.at.plus_millis(stale_ms));
            match landed {
                Some(shown) => writes.believe(shown, &look, stale_ms),
                // What is wanted shows, but not because what was expected did.
                None if leg.is_some() => believe_refuted(writes, look, reading, leg.as_ref()),
                None => drop(observe(writes, look, reading)),
            }
        });
        if wanted {
            self.drift_gone(listing, newer);
        }
        self.end_commits(&listing.sku);
        self.fence_at_once(policy, listing);
        self.refresh(&listing.sku, self.now);
    }

    /// Returns what a blind channel shows if a look finds there what was sent: the write has landed over whatever the
    /// channel did to its quantity before, so that this is known as of the look and not as of the request.
    fn landed_blind(&self, policy: &ChannelPolicy, listing: &ListingRef, look: Look) -> Option<Quantity> {
        let leg = self.state.listing(listing)?.leg.as_ref()?;
        let sent = leg.sent().filter(|sent| shows(look.seen, sent.quantity))?;
        let blind = !policy.abilities.compare_and_set && look.at >= sent.at;
        blind.then(|| look.shown().ok()).flatten()
    }

    /// Has a listing looked at again that still waits to be seen.
    fn look_again(&mut self, abilities: &Abilities, listing: &ListingRef) {
        if let Some(look_at) = self.next_look(abilities, listing) {
            self.advance(listing, Event::SeenOther { look_at }, Why::Looked, None, |_| {});
        }
    }

    /// One listing could not be read while others were: it waits longer and longer by itself, and counts as tried in
    /// vain.
    fn not_read(&mut self, abilities: &Abilities, listing: &ListingRef, why: String) {
        if let Some(look_at) = self.next_look(abilities, listing) {
            self.advance(listing, Event::Unread { look_at }, Why::Looked, Some(why), |_| {});
        }
    }

    /// Returns when a listing that waits to be seen is looked at next, further and further apart.
    fn next_look(&self, abilities: &Abilities, listing: &ListingRef) -> Option<Timestamp> {
        /// The longest pause between two looks at the same listing.
        const LONGEST_MS: i64 = 600_000;
        use leg::State::{Accepted, Looking, Probing};
        let held = self.state.listing(listing)?;
        let leg = held.leg.as_ref()?;
        // Nothing is to be seen of a bulk before its end.
        if matches!(&leg.state, Accepted { sent, .. } if held.writes.bulk_of(sent).is_some()) {
            return None;
        }
        let (Accepted { looks, .. } | Probing { looks, .. } | Looking { looks, .. }) = &leg.state else {
            return None;
        };
        let step = abilities.look_ms.max(100).saturating_mul(1 << (*looks).min(12)).min(LONGEST_MS);
        Some(self.now.plus_millis(step))
    }

    /// Takes in a look that does not show what is wanted.
    fn take_look(&mut self, policy: &ChannelPolicy, listing: &ListingRef, look: Look) {
        let Some(held) = self.state.listing(listing) else { return };
        if look.at < held.writes.trust_from {
            return self.look_too_soon(policy, listing, &look);
        }
        let (mut writes, stale_ms) = (held.writes.clone(), policy.abilities.stale_ms);
        // The channel itself said that it does not show what is expected: a read that says so is an old copy, or it was only
        // for a moment. Writing the same at once would be refused again.
        if held.leg.as_ref().is_some_and(|leg| refuted(leg, held.writes.base)) {
            return self.look_refuted(policy, listing, writes, look);
        }
        let (reading, leg) = (self.reading(policy, listing), held.leg.clone());
        let Some(verdict) = observe(&mut writes, look, reading) else { return };
        // It tells whether all is known by now that the channel has committed, once the orders are read past it.
        if verdict == Verdict::Explained && may_be_seen_by(held, &look) {
            writes.look = Some(held.writes.look.clone().unwrap_or_else(|| Box::new(look)));
        }
        if let Verdict::Landed { shown } = verdict {
            self.note_landed(policy, listing, shown, look);
        }
        self.learn(listing, Why::Looked, |held| *held = writes);
        match verdict {
            Verdict::Explained | Verdict::Landed { .. } | Verdict::Corrected { .. } => self.go_on(listing),
            Verdict::Learnt { shown } | Verdict::Unexplained { shown, .. }
                if self.lowers_to(listing, shown) =>
            {
                self.learn(listing, Why::Looked, |writes| {
                    writes.pass_over(shown, &look, stale_ms, leg.as_ref());
                });
                self.go_on(listing);
                self.fence_at_once(policy, listing);
            }
            Verdict::Learnt { .. } | Verdict::Unexplained { .. } => self.fence_at_once(policy, listing),
        }
    }

    /// What a look shows may be an old copy: it says nothing. Nobody would look again at what was seen live, so it becomes due
    /// for when a read tells.
    fn look_too_soon(&mut self, policy: &ChannelPolicy, listing: &ListingRef, look: &Look) {
        let Some(writes) = self.state.listing(listing).map(|held| &held.writes) else { return };
        // When the bulk that it is in ends, it is looked at anyhow.
        if writes.trust_from == Timestamp::MAX {
            return;
        }
        if judge(writes, look, self.reading(policy, listing)) != Ok(Verdict::Explained) {
            let look_at = writes.trust_from;
            self.advance(listing, Event::Expected { look_at }, Why::Looked, None, |_| {});
        }
    }

    /// Takes in a look after a write that was refused because the channel does not show what is expected.
    fn look_refuted(&mut self, policy: &ChannelPolicy, listing: &ListingRef, mut writes: Writes, look: Look) {
        let stale_ms = policy.abilities.stale_ms;
        if let Some(expected) = corrected(&writes, &look, self.reading(policy, listing)) {
            writes.correct(expected, &look, stale_ms);
            writes.heed(&look);
            self.learn(listing, Why::Looked, |held| *held = writes);
            return self.go_on(listing);
        }
        let Ok(shown) = look.shown() else { return };
        if let (Some(_), Ok(most)) = (&writes.look, look.most()) {
            writes.may_show(most, look.at);
        }
        let other = writes.base != Some(shown);
        writes.look.get_or_insert_with(|| Box::new(look));
        self.learn(listing, Why::Looked, |held| *held = writes);
        if other && self.lowers_to(listing, shown) {
            let leg = self.state.listing(listing).and_then(|held| held.leg.clone());
            self.learn(listing, Why::Looked, |writes| {
                writes.pass_over(shown, &look, stale_ms, leg.as_ref());
            });
            self.go_on(listing);
            self.fence_at_once(policy, listing);
        }
    }

    /// Returns how a listing is read, and what is wanted of it.
    pub(super) fn reading(&self, policy: &ChannelPolicy, listing: &ListingRef) -> Reading {
        let leg = self.state.listing(listing).and_then(|held| held.leg.as_ref());
        Reading::of(&policy.abilities, leg)
    }

    /// Tells whether a leg that has not been sent lowers what a channel shows: it goes at once, whatever explains what is
    /// shown (I5).
    fn lowers_to(&self, listing: &ListingRef, shown: Quantity) -> bool {
        use leg::State::{Looking, Pending, Retry};
        let leg = self.state.listing(listing).and_then(|held| held.leg.as_ref());
        leg.is_some_and(|leg| {
            matches!(leg.state, Pending | Retry { .. } | Looking { .. }) && leg.quantity < shown
        })
    }

    /// What a channel shows is explained: a leg that waited for that goes on.
    pub(super) fn go_on(&mut self, listing: &ListingRef) {
        let Some(held) = self.state.listing(listing) else { return };
        let Some(leg) = &held.leg else { return };
        let shown = held.writes.base.is_some_and(|base| shows(base, leg.quantity));
        match &leg.state {
            // It should show what is wanted, so it is looked at until it does.
            leg::State::Accepted { .. } | leg::State::Probing { .. } | leg::State::Looking { .. }
                if shown => {}
            leg::State::Accepted { .. } | leg::State::Probing { .. } | leg::State::Looking { .. } => {
                self.advance(listing, Event::Fenced, Why::Fenced, None, |_| {});
            }
            leg::State::Confirmed => self.refresh(&listing.sku, self.now),
            leg::State::Pending
            | leg::State::InFlight(_)
            | leg::State::Retry { .. }
            | leg::State::Parked { .. }
            | leg::State::Dropped => {}
        }
    }

    pub(super) fn unwritable(&mut self, listing: &ListingRef, why: &str) {
        let Some(held) = self.state.listing(listing) else { return };
        let awaited = held.leg.as_ref().is_some_and(|leg| leg.look_at().is_some());
        if awaited {
            let note = Some(why.to_owned());
            self.advance(listing, Event::Rejected { reason: why.to_owned() }, Why::Absent, note, |_| {});
        }
    }

    /// A read came back: the channel answers. Whether it takes writes shows at the next one, which may go at once.
    pub(super) fn heard(&mut self, channel: &ChannelId) {
        let Some(row) = self.state.channels.get(channel).filter(|row| row.circuit.is_open()) else { return };
        let circuit = row.circuit.heard(self.waiting(channel), self.now);
        self.set_circuit(channel, circuit);
    }
}

/// Tells whether a lower is to go although the answer to the write before it is not known: a blind channel takes long
/// to show what it took, and shows more than is wanted until then.
fn lowers(policy: &ChannelPolicy, leg: &Leg, look: Look) -> bool {
    policy.abilities.visible == Visible::Later
        && !policy.abilities.compare_and_set
        && look.shown().is_ok_and(|shown| leg.quantity < shown)
}

/// Tells whether the channel refused a write because it does not show what is believed.
fn refuted(leg: &Leg, base: Option<Quantity>) -> bool {
    matches!(leg.state, leg::State::Looking { refused: Some(compared), .. } if Some(compared) == base)
}

/// Takes in a look after a write that was refused because the channel does not show what is expected. What it was, if no sale
/// that is in doubt, is told after its fence.
fn believe_refuted(writes: &mut Writes, look: Look, reading: Reading, leg: Option<&Leg>) {
    if let Some(expected) = corrected(writes, &look, reading) {
        writes.correct(expected, &look, reading.stale_ms);
        writes.heed(&look);
    } else if let Ok(shown) = look.shown() {
        writes.look.get_or_insert_with(|| Box::new(look));
        let before = writes.base;
        writes.pass_over(shown, &look, reading.stale_ms, leg);
        // What made it so is still to be told: it may be sales, of which the units count until then.
        if let Some(before) = before.filter(|before| *before > shown) {
            writes.may_show(before, look.at);
        }
    }
}
