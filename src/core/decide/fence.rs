//! The fence: a look that nothing explains is believed once all orders of the channel up to it are in.

use crate::{
    core::{
        backoff::{self, digest},
        command::{Refused, Reply},
        decide::{Draft, drift::Difference},
        drift::{Verdict, judge},
        index::{Kind, Work},
        leg::{self, Event, Leg, Look},
        record::{Record, Why},
        state::{Fed, ListingRef},
    },
    model::{ChannelId, Quantity, Seq, Timestamp, Visible, policy::ChannelPolicy},
};

/// How many looks one command judges at most; the rest is judged with the next.
const PORTION: usize = 500;

impl Draft<'_> {
    /// The order feed was read whole: every order up to `begun` is in, so the looks before it can be judged.
    pub(super) fn fed(
        &mut self,
        channel: &ChannelId,
        begun: Seq,
        begun_at: Timestamp,
        through: Timestamp,
    ) -> Result<Reply, Refused> {
        let policy = self.channel(channel)?;
        let held = self.state.channels.get(channel).and_then(|row| row.fed);
        let fed = Fed {
            begun: held.map_or(begun, |held| held.begun.max(begun)),
            begun_at: held.map_or(begun_at, |held| held.begun_at.max(begun_at)),
            through: held.map_or(through, |held| held.through.max(through)),
            at: self.now,
        };
        self.emit(Record::Fed { channel: channel.clone(), fed });
        self.pass_fences(channel, &policy);
        self.heard(channel);
        Ok(Reply::Done)
    }

    /// Judges looks whose fence has passed, in portions.
    pub(super) fn pass_fences(&mut self, channel: &ChannelId, policy: &ChannelPolicy) {
        let Some(fed) = self.state.channels.get(channel).and_then(|row| row.fed) else { return };
        let limit = fed.begun_at.plus_millis(-policy.abilities.feed_lag_ms);
        let passed: Vec<ListingRef> = self
            .state
            .index
            .of(Kind::Fencing, channel)
            .map_while(|work| {
                if let Work::Fencing { seq, listing, .. } = work
                    && *seq <= fed.begun
                {
                    Some(listing)
                } else {
                    None
                }
            })
            .filter(|listing| {
                let look = self.state.listing(listing).and_then(|l| l.writes.look.as_ref());
                look.is_some_and(|look| look.at <= limit)
            })
            .take(PORTION)
            .cloned()
            .collect();
        for listing in passed {
            self.fence(policy, &listing);
        }
    }

    /// Judges a look of a channel that sells nothing: there are no orders to wait for.
    pub(super) fn fence_at_once(&mut self, policy: &ChannelPolicy, listing: &ListingRef) {
        if !policy.abilities.sells {
            self.fence(policy, listing);
        }
    }

    /// Judges a look whose fence has passed.
    fn fence(&mut self, policy: &ChannelPolicy, listing: &ListingRef) {
        let Some(held) = self.state.listing(listing) else { return };
        let Some(look) = held.writes.look.as_deref().copied() else { return };
        let leg = held.leg.clone();
        // Its answer says more, and voids the look.
        if matches!(leg.as_ref().map(|leg| &leg.state), Some(leg::State::InFlight(_))) {
            return;
        }
        let Ok(verdict) = judge(&held.writes, &look, policy.abilities.stale_ms) else { return };
        match verdict {
            Verdict::Explained => {
                self.learn(listing, Why::Fenced, |writes| {
                    writes.look = None;
                    writes.heed(&look);
                });
                self.go_on(listing);
            }
            Verdict::Landed { shown } | Verdict::Learnt { shown } => {
                self.note_landed(policy, listing, shown, look);
                self.believe(listing, shown, look);
                self.go_on(listing);
            }
            Verdict::Unexplained { expected, shown } => {
                let told = held.writes.told.as_deref().copied();
                self.note_lapsed(policy, listing, shown, look);
                self.believe(listing, shown, look);
                match leg {
                    Some(leg) if never_applied(policy, &leg) => self.give_up(listing, &leg),
                    Some(_) | None => {
                        let difference = Difference { expected, observed: shown, look, told };
                        self.drifted(policy, listing, &difference);
                    }
                }
            }
        }
    }

    fn believe(&mut self, listing: &ListingRef, shown: Quantity, look: Look) {
        self.learn(listing, Why::Fenced, |writes| {
            writes.believe(shown, look.at);
            writes.heed(&look);
        });
    }

    /// Accepted, never applied: it is written again, and counts as a failed try.
    fn give_up(&mut self, listing: &ListingRef, leg: &Leg) {
        let Some(policies) = self.state.policies.clone() else { return };
        let key = leg.sent().map_or("", |sent| sent.key.as_str());
        let seed = digest(&[listing.sku.as_str(), key]);
        let until = backoff::next(&policies.retry, leg.tries + 1, seed, self.now);
        self.advance(listing, Event::GiveUpLooking { until }, Why::GaveUp, None, |_| {});
    }
}

/// Tells whether a look shows that a write, which a channel took to show it later, was never applied.
fn never_applied(policy: &ChannelPolicy, leg: &Leg) -> bool {
    policy.abilities.visible == Visible::Later && matches!(leg.state, leg::State::Accepted { .. })
}
