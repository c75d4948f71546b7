//! What was read of listings, and what it means once the channel's orders have been read past it.

use crate::{
    core::{
        backoff::{self, digest},
        command::{Refused, Reply},
        decide::Draft,
        drift::{Verdict, judge},
        index::{Kind, Work},
        leg::{self, Confirmed, Event, Look},
        record::{Record, Why},
        state::{Fed, ListingRef},
    },
    model::{Abilities, ChannelId, Levels, Observed, Quantity, Seq, Timestamp, Visible, policy::Repair},
};

impl Draft<'_> {
    pub(super) fn looked(
        &mut self,
        channel: &ChannelId,
        read_at: Timestamp,
        seen: Vec<(ListingRef, Observed)>,
    ) -> Result<Reply, Refused> {
        let policy = self.channel(channel)?;
        for (listing, observed) in seen {
            match observed {
                Observed::Seen(levels) => self.seen(&policy.abilities, &listing, read_at, levels),
                Observed::Absent => self.unwritable(&listing, "the channel does not list it (any more)"),
                Observed::Unwritable { why } => self.unwritable(&listing, &why),
            }
        }
        Ok(Reply::Done)
    }

    fn seen(&mut self, abilities: &Abilities, listing: &ListingRef, read_at: Timestamp, levels: Levels) {
        let Some(held) = self.state.listing(listing) else { return };
        let Some(leg) = held.leg.clone() else { return self.note_look(listing, read_at, levels) };
        let shown = levels.available;
        let started = leg.sent().map_or(leg.since, |sent| sent.at);
        match &leg.state {
            // A read that began before the write was answered says nothing about it.
            leg::State::InFlight(_) => {}
            leg::State::Accepted { sent, .. } | leg::State::Probing { sent, .. } if read_at < sent.at => {}
            leg::State::Accepted { .. } | leg::State::Probing { .. } | leg::State::Looking { .. }
                if shown == leg.quantity =>
            {
                self.confirm(listing, shown);
            }
            leg::State::Accepted { sent, looks, .. } | leg::State::Probing { sent, looks, .. } => {
                let (sent_quantity, looks) = (sent.quantity, *looks);
                if shown == sent_quantity {
                    self.advance(listing, Event::SeenSent, Why::Seen, None, |writes| {
                        writes.base = Some(shown)
                    });
                    return;
                }
                let waited = self.now.since(started);
                self.look_again(abilities, listing, looks);
                // A channel that shows writes at once, or that had its time, shows something else: find out why.
                if abilities.visible == Visible::AtOnce || waited >= abilities.visible_ms {
                    self.note_look(listing, read_at, levels);
                }
            }
            leg::State::Looking { looks, .. } => {
                let looks = *looks;
                self.look_again(abilities, listing, looks);
                self.note_look(listing, read_at, levels);
            }
            leg::State::Confirmed => {
                if held.writes.base != Some(shown) {
                    self.note_look(listing, read_at, levels);
                }
            }
            leg::State::Pending
            | leg::State::Retry { .. }
            | leg::State::Parked { .. }
            | leg::State::Dropped => self.note_look(listing, read_at, levels),
        }
    }

    fn confirm(&mut self, listing: &ListingRef, shown: Quantity) {
        let now = self.now;
        let Some(revision) = self.state.listing(listing).and_then(|l| Some(l.leg.as_ref()?.revision)) else {
            return;
        };
        self.advance(listing, Event::SeenWanted, Why::Seen, None, |writes| {
            writes.base = Some(shown);
            writes.look = None;
            // A confirmed revision never goes backwards (I4).
            if writes.confirmed.is_none_or(|held| held.revision <= revision) {
                writes.confirmed = Some(Confirmed { quantity: shown, revision, at: now });
            }
        });
        self.end_commits(&listing.sku);
    }

    fn look_again(&mut self, abilities: &Abilities, listing: &ListingRef, looks: u32) {
        /// The longest pause between two looks at the same listing.
        const LONGEST_MS: i64 = 600_000;
        let step = abilities.look_ms.max(100).saturating_mul(1 << looks.min(12)).min(LONGEST_MS);
        let look_at = self.now.plus_millis(step);
        self.advance(listing, Event::SeenOther { look_at }, Why::Looked, None, |_| {});
    }

    /// Keeps what was read until the channel's orders have been read past it.
    fn note_look(&mut self, listing: &ListingRef, read_at: Timestamp, levels: Levels) {
        let look = Look {
            seen: levels.available,
            at: read_at,
            seq: self.seq,
            since: Quantity::ZERO,
            on_hand: levels.on_hand,
            committed: levels.committed,
        };
        self.learn(listing, Why::Looked, |writes| {
            // The same sight again does not push the fence away.
            let same = writes.look.is_some_and(|held| {
                held.seen.add(held.since) == Ok(look.seen) && held.on_hand == look.on_hand
            });
            if !same {
                writes.look = Some(look);
            }
        });
    }

    pub(super) fn unwritable(&mut self, listing: &ListingRef, why: &str) {
        let Some(held) = self.state.listing(listing) else { return };
        let awaited = held.leg.as_ref().is_some_and(|leg| leg.look_at().is_some());
        if awaited {
            let note = Some(why.to_owned());
            self.advance(listing, Event::Rejected { reason: why.to_owned() }, Why::Absent, note, |_| {});
        }
    }

    /// The order feed was read whole: every order up to `begun` is in, so the reads before it can be judged.
    pub(super) fn fed(
        &mut self,
        channel: &ChannelId,
        begun: Seq,
        begun_at: Timestamp,
        through: Timestamp,
    ) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        let held = self.state.channels.get(channel).and_then(|row| row.fed);
        let fed = Fed {
            begun: held.map_or(begun, |held| held.begun.max(begun)),
            begun_at: held.map_or(begun_at, |held| held.begun_at.max(begun_at)),
            through: held.map_or(through, |held| held.through.max(through)),
            at: self.now,
        };
        self.emit(Record::Fed { channel: channel.clone(), fed });
        let fenced: Vec<ListingRef> = self
            .state
            .index
            .of(Kind::Fencing, channel)
            .filter_map(|work| match work {
                Work::Fencing { listing, .. } => Some(listing),
                _ => None,
            })
            .filter(|listing| {
                let look = self.state.listing(listing).and_then(|l| l.writes.look);
                look.is_some_and(|look| look.seq <= fed.begun)
            })
            .cloned()
            .collect();
        for listing in fenced {
            self.fence(&policy.abilities, policies.drift.repair, &listing);
        }
        Ok(Reply::Done)
    }

    /// Judges a read whose fence has passed.
    fn fence(&mut self, abilities: &Abilities, repair: Repair, listing: &ListingRef) {
        let Some(held) = self.state.listing(listing) else { return };
        let Ok(Some(verdict)) = judge(&held.writes) else { return };
        let confirmed = matches!(held.leg.as_ref().map(|leg| &leg.state), Some(leg::State::Confirmed));
        let (base, drift) = match verdict {
            Verdict::Explained { base } | Verdict::Learnt { base } => (base, None),
            Verdict::Drift { expected, base } => (base, Some(expected)),
        };
        // Units below zero are sold already; they are no stock to count on.
        let known = move |writes: &mut leg::Writes| {
            writes.base = Some(base);
            writes.look = None;
        };
        if let Some(expected) = drift {
            let repaired = !confirmed || repair == Repair::Ours;
            let record = Record::Drift {
                listing: listing.clone(),
                expected: Some(expected),
                observed: base,
                repaired,
            };
            self.emit(record);
        }
        match (confirmed, drift, repair) {
            (true, Some(_), Repair::Ours) => {
                let cause = self.seq;
                self.advance(listing, Event::Repair { cause }, Why::Repair, None, known);
            }
            (true, Some(_), Repair::Ask) => {
                let reason =
                    format!("the channel shows {base}, which nothing explains; retry to write ours again");
                let note = Some(reason.clone());
                let cause = self.seq;
                self.advance(listing, Event::Repair { cause }, Why::Repair, None, known);
                self.advance(listing, Event::Parked { reason }, Why::Repair, note, |_| {});
            }
            (true, None, _) => {
                self.learn(listing, Why::Fenced, known);
                self.refresh(&listing.sku, self.now);
            }
            (false, _, _) => self.fence_open(abilities, listing, known),
        }
    }

    /// A leg on its way learns what the channel shows, and goes on from there.
    fn fence_open(
        &mut self,
        abilities: &Abilities,
        listing: &ListingRef,
        known: impl FnOnce(&mut leg::Writes),
    ) {
        let Some(leg) = self.state.listing(listing).and_then(|l| l.leg.clone()) else {
            self.learn(listing, Why::Fenced, known);
            return;
        };
        match &leg.state {
            leg::State::Accepted { sent, .. } if abilities.visible == Visible::Later => {
                // Accepted, never applied: it is written again, and counts as a failed try.
                let policies = self.state.policies.clone();
                let seed = digest(&[listing.sku.as_str(), sent.key.as_str()]);
                let until =
                    policies.map_or(self.now, |p| backoff::next(&p.retry, leg.tries + 1, seed, self.now));
                self.advance(listing, Event::GiveUpLooking { until }, Why::GaveUp, None, known);
            }
            leg::State::Accepted { .. } | leg::State::Probing { .. } | leg::State::Looking { .. } => {
                self.advance(listing, Event::Fenced, Why::Fenced, None, known);
            }
            leg::State::Pending
            | leg::State::InFlight(_)
            | leg::State::Retry { .. }
            | leg::State::Confirmed
            | leg::State::Parked { .. }
            | leg::State::Dropped => self.learn(listing, Why::Fenced, known),
        }
    }
}
