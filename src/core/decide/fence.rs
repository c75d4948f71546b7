//! The fence: a look that nothing explains is believed once all orders of the channel up to it are in.

use crate::{
    core::{
        backoff::{self, digest},
        command::{Refused, Reply},
        decide::{
            Draft,
            drift::{Difference, lowers},
            missing::missing,
        },
        drift::{Verdict, judge_fenced},
        index::{Kind, Work},
        leg::{self, Event, Leg, Look, Writes},
        record::{Record, Why},
        state::{Fed, ListingRef},
        writes::{PassedOver, Reading},
    },
    model::{ChannelId, Quantity, Seq, Timestamp, Visible, policy::ChannelPolicy},
};

/// How many looks one command judges at most; the rest is judged with the next.
const PORTION: usize = 500;
/// How many looks one command goes through for that.
const LOOKED_AT: usize = 5_000;

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
                let looks = self.state.listing(listing).into_iter().flat_map(|held| held.writes.waiting());
                looks.into_iter().any(|look| passes(policy, fed, look))
            })
            .take(LOOKED_AT)
            .cloned()
            .collect();
        let mut judged = 0;
        for listing in passed {
            let before = self.records.len();
            self.fence(policy, &listing, Some(fed));
            // What waits for an order that is missing leaves the others their turn.
            judged += usize::from(self.records.len() > before);
            if judged == PORTION {
                break;
            }
        }
        self.own.take();
    }

    /// Judges a look of a channel that sells nothing: there are no orders to wait for.
    pub(super) fn fence_at_once(&mut self, policy: &ChannelPolicy, listing: &ListingRef) {
        if !policy.abilities.sells {
            self.fence(policy, listing, None);
            self.own.take();
        }
    }

    /// Judges the looks of a listing whose fence has passed. `fed`: how far the orders were read, where there are any.
    fn fence(&mut self, policy: &ChannelPolicy, listing: &ListingRef, fed: Option<Fed>) {
        let passed = |look: &Look| fed.is_none_or(|fed| passes(policy, fed, look));
        let Some(held) = self.state.listing(listing) else { return };
        // Its answer says more, and voids the look.
        if matches!(held.leg.as_ref().map(|leg| &leg.state), Some(leg::State::InFlight(_))) {
            return;
        }
        if let Some(over) = held.writes.passed_over.as_deref().filter(|over| passed(&over.look)).cloned() {
            self.fence_passed_over(policy, listing, &over, fed);
        }
        let Some(held) = self.state.listing(listing) else { return };
        let Some(look) = held.writes.look.as_deref().copied().filter(passed) else { return };
        let (leg, stale_ms) = (held.leg.clone(), policy.abilities.stale_ms);
        let Ok(verdict) = judge_fenced(&held.writes, &look, self.reading(policy, listing)) else { return };
        match verdict {
            Verdict::Explained => {
                self.learn(listing, Why::Fenced, |writes| explained(writes, &look, stale_ms));
                self.seen_by_now(policy, listing, &look);
                self.go_on(listing);
            }
            Verdict::Landed { shown } | Verdict::Learnt { shown } => {
                self.note_landed(policy, listing, shown, look);
                self.believe(policy, listing, shown, look);
                self.go_on(listing);
            }
            Verdict::Corrected { expected } => {
                self.learn(listing, Why::Fenced, |writes| {
                    writes.correct(expected, &look, stale_ms);
                    writes.heed(&look);
                });
                self.go_on(listing);
            }
            Verdict::Unexplained { expected, shown }
                if self.may_be_missing(listing, expected, shown, fed) =>
            {
                // A lower waits for nothing.
                if let Some(leg) = leg.filter(|leg| lowers(leg, shown)) {
                    self.learn(listing, Why::Fenced, |writes| {
                        writes.pass_over(shown, &look, stale_ms, Some(&leg));
                    });
                    self.go_on(listing);
                }
            }
            Verdict::Unexplained { expected, shown } => {
                let (told, known_at) = (held.writes.told.as_deref().copied(), held.writes.known_at);
                let or = held.writes.if_landed(leg.as_ref(), shown);
                let open = self.open_in_doubt(policy, listing, &look, told.as_ref());
                self.note_lapsed(policy, listing, [expected, shown], look);
                self.believe(policy, listing, shown, look);
                match leg {
                    Some(leg) if never_applied(policy, &leg) => self.give_up(listing, &leg),
                    Some(_) | None => {
                        let difference = Difference {
                            expected,
                            or,
                            observed: shown,
                            look,
                            open,
                            told,
                            known_at,
                            passed_over: false,
                        };
                        self.drifted(policy, listing, &difference);
                    }
                }
            }
        }
    }

    /// Names a difference that a lower went over, if nothing explains it now that the orders are in.
    fn fence_passed_over(
        &mut self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        over: &PassedOver,
        fed: Option<Fed>,
    ) {
        let Some(held) = self.state.listing(listing) else { return };
        // Ours was lowered since, whatever it was: nothing is raised by it.
        let reading = Reading::of(&policy.abilities, None);
        let known = over.writes(&held.writes);
        let verdict = judge_fenced(&known, &over.look, reading);
        let difference = match verdict {
            Ok(Verdict::Unexplained { expected, shown: observed }) => {
                if self.may_be_missing(listing, expected, observed, fed) {
                    return;
                }
                Some(Difference {
                    expected,
                    or: known.if_landed(None, observed),
                    observed,
                    look: over.look,
                    open: self.open_in_doubt(policy, listing, &over.look, over.told.as_ref()),
                    told: over.told,
                    known_at: over.known_at,
                    passed_over: true,
                })
            }
            Ok(
                Verdict::Explained
                | Verdict::Landed { .. }
                | Verdict::Corrected { .. }
                | Verdict::Learnt { .. },
            )
            | Err(_) => None,
        };
        self.learn(listing, Why::Fenced, |writes| writes.passed_over = None);
        if let Some(difference) = difference {
            let between = [difference.expected, difference.observed];
            self.note_lapsed(policy, listing, between, over.look);
            self.drifted(policy, listing, &difference);
        }
    }

    /// Tells whether an order that is known to be missing may have sold what a listing shows less than it should.
    fn may_be_missing(
        &self,
        listing: &ListingRef,
        expected: Quantity,
        shown: Quantity,
        fed: Option<Fed>,
    ) -> bool {
        let held = self.state.listing(listing).filter(|_| fed.is_some() && shown < expected);
        held.is_some_and(|held| missing(self.state, held, fed).is_some())
    }

    fn believe(&mut self, policy: &ChannelPolicy, listing: &ListingRef, shown: Quantity, look: Look) {
        self.learn(listing, Why::Fenced, |writes| {
            writes.believe(shown, &look, policy.abilities.stale_ms);
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

/// Tells whether all orders of a channel up to a look were read.
pub(super) fn passes(policy: &ChannelPolicy, fed: Fed, look: &Look) -> bool {
    look.seq <= fed.begun && fed.begun_at >= look.at.plus_millis(policy.abilities.feed_lag_ms)
}

/// Takes in a look that all orders up to it explain.
fn explained(writes: &mut Writes, look: &Look, stale_ms: i64) {
    writes.look = None;
    writes.look_bears_out(look.seen, look.at, stale_ms);
    // Explained by what may not be in it, it may show as much as it did.
    if look.most().is_ok_and(|most| writes.base.is_some_and(|base| most <= base)) {
        writes.saw(look.at);
    }
    writes.heed(look);
}
