//! A lane's work: what may be written now, and what its answers mean.

use crate::{
    core::{
        allocation::Pause,
        backoff::{self, digest},
        circuit::{Allowed, Health},
        command::{Refused, Reply},
        decide::{Draft, listing::strictest},
        index::{Kind, Work},
        leg::{Event, Sent, Unsettled},
        record::{Record, Why},
        state::{Listing, ListingRef},
    },
    model::{
        Abilities, ChannelId, IdempotencyKey, Identifiers, Mode, Outcome, Policies, Put, Quantity, Timestamp,
        policy::ChannelPolicy,
    },
};

/// How many gated raises one call looks at before it leaves the rest for the next.
const GATED_MAX: usize = 2_000;

/// What to do with a leg whose turn has come.
enum Turn {
    Write {
        compare: Option<Quantity>,
    },
    /// The channel should show it already, or what it shows is not known: look first.
    Look,
    Wait,
}

impl Draft<'_> {
    pub(super) fn take(&mut self, channel: &ChannelId, limit: usize) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        self.settle_old(channel, &policy.abilities);
        let looks = self.due_looks(channel, limit);
        let row = self.state.channels.get(channel);
        let frozen = row.and_then(|row| row.pause) == Some(Pause::Frozen);
        let allowed = row.map_or(Allowed::All, |row| row.circuit.allows(self.now));
        let limit = match allowed {
            Allowed::All => limit.min(usize::try_from(policy.abilities.batch).unwrap_or(1)),
            Allowed::Probe => 1,
            Allowed::None => 0,
        };
        let mut puts = Vec::new();
        let live = policies.mode == Mode::Live && self.state.initialised.is_some();
        if policy.abilities.quantities && live && !frozen && limit > 0 {
            for (listing, turn) in self.turns(channel, &policy, limit) {
                match turn {
                    Turn::Write { compare } => {
                        puts.extend(self.send(&policies, &policy, listing, compare, puts.len()))
                    }
                    Turn::Look => {
                        let event = Event::Expected { look_at: self.now };
                        self.advance(&listing, event, Why::Expected, None, |_| {});
                    }
                    Turn::Wait => {}
                }
            }
        }
        let looks = if looks.is_empty() { self.due_looks(channel, limit.max(1)) } else { looks };
        Ok(Reply::Work { puts, looks })
    }

    fn due_looks(&self, channel: &ChannelId, limit: usize) -> Vec<(ListingRef, Identifiers)> {
        let due = self.state.index.of(Kind::Look, channel).map_while(|work| match work {
            Work::Look { at, listing, .. } if *at <= self.now => Some(listing),
            _ => None,
        });
        due.take(limit)
            .filter_map(|listing| Some((listing.clone(), self.state.listing(listing)?.ids.clone())))
            .collect()
    }

    /// Returns the legs whose turn it is: lowers first, lowest stock first.
    fn turns(&self, channel: &ChannelId, policy: &ChannelPolicy, limit: usize) -> Vec<(ListingRef, Turn)> {
        let again = self.state.index.of(Kind::Retry, channel).map_while(|work| match work {
            Work::Retry { at, listing, .. } if *at <= self.now => Some(listing),
            _ => None,
        });
        let ready = self.state.index.of(Kind::Ready, channel).filter_map(|work| match work {
            Work::Ready { listing, .. } => Some(listing),
            _ => None,
        });
        let mut turns: Vec<((bool, Quantity), ListingRef, Turn)> = Vec::new();
        for source in
            [&mut again.take(limit) as &mut dyn Iterator<Item = &ListingRef>, &mut ready.take(GATED_MAX)]
        {
            let mut taken = 0;
            for listing in source {
                if taken == limit {
                    break;
                }
                let Some(held) = self.state.listing(listing) else { continue };
                let Some((rank, turn)) = self.turn(policy, listing, held) else { continue };
                if !matches!(turn, Turn::Wait) {
                    taken += 1;
                    turns.push((rank, listing.clone(), turn));
                }
            }
        }
        turns.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        turns.truncate(limit);
        turns.into_iter().map(|(_, listing, turn)| (listing, turn)).collect()
    }

    fn turn(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        held: &Listing,
    ) -> Option<((bool, Quantity), Turn)> {
        let leg = held.leg.as_ref()?;
        let pause = self.state.skus.get(&listing.sku).and_then(|row| row.pause);
        let raise = held.writes.base.is_none_or(|base| leg.quantity > base);
        let turn = if !held.writable() || strictest(None, pause) == Some(Pause::Frozen) {
            Turn::Wait
        } else {
            match held.writes.base {
                None => Turn::Look,
                Some(base) if base == leg.quantity => Turn::Look,
                // A lower may go on stale knowledge; a raise waits for what is being found out.
                Some(_) if raise && held.writes.look.is_some() => Turn::Wait,
                Some(_) if raise && !self.raise_explained(&held.channel, policy, held) => Turn::Wait,
                Some(base) => Turn::Write { compare: policy.abilities.compare_and_set.then_some(base) },
            }
        };
        Some(((raise, leg.quantity), turn))
    }

    /// I5: a raise is sent only when the channel's orders were read past what explains it.
    fn raise_explained(&self, channel: &ChannelId, policy: &ChannelPolicy, held: &Listing) -> bool {
        let Some(leg) = &held.leg else { return false };
        if !policy.abilities.sells {
            return true;
        }
        let fed = self.state.channels.get(channel).and_then(|row| row.fed);
        fed.is_some_and(|fed| fed.begun >= leg.cause)
    }

    /// Makes a leg in flight, with its exact payload and key, before a byte leaves.
    fn send(
        &mut self,
        policies: &Policies,
        policy: &ChannelPolicy,
        listing: ListingRef,
        compare: Option<Quantity>,
        nth: usize,
    ) -> Option<(ListingRef, Put)> {
        let held = self.state.listing(&listing)?;
        let leg = held.leg.clone()?;
        let key = format!("{}-{}-{}-{nth}", policies.instance, self.state.epoch, self.seq);
        let key = IdempotencyKey::new(&key).ok()?;
        let put = Put {
            ids: held.ids.clone(),
            location: policy.locations.first()?.clone(),
            quantity: leg.quantity,
            compare,
            key: key.clone(),
            reference: format!("{}/{}", self.seq, leg.revision),
        };
        let sent = Sent { quantity: leg.quantity, revision: leg.revision, compare, key, at: self.now };
        let unsettled = Unsettled { quantity: leg.quantity, compare, at: self.now };
        self.advance(&listing, Event::Sending(sent), Why::Sending, None, |writes| {
            writes.unsettled.push(unsettled)
        });
        Some((listing, put))
    }

    /// Settles by age what can no longer land.
    fn settle_old(&mut self, channel: &ChannelId, abilities: &Abilities) {
        let limit = self.now.plus_millis(-abilities.late_ms);
        let awaited = self.state.index.of(Kind::Look, channel).filter_map(|work| match work {
            Work::Look { at, listing, .. } if *at <= self.now => Some(listing.clone()),
            _ => None,
        });
        for listing in awaited.take(64).collect::<Vec<_>>() {
            self.learn(&listing, Why::Settled, |writes| writes.unsettled.retain(|write| write.at > limit));
        }
    }

    pub(super) fn answer(
        &mut self,
        channel: &ChannelId,
        answers: Vec<(ListingRef, IdempotencyKey, Outcome)>,
    ) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        let mut health = None;
        for (listing, key, outcome) in answers {
            health = worse(health, health_of(&outcome));
            let awaited = self.state.listing(&listing).and_then(|l| l.leg.as_ref()?.sent().cloned());
            let Some(sent) = awaited.filter(|sent| sent.key == key) else { continue };
            self.outcome(&policies, &policy.abilities, &listing, &sent, outcome);
        }
        if let Some(health) = health {
            self.judge(channel, &policies, &health);
        }
        Ok(Reply::Done)
    }

    pub(super) fn read_failed(&mut self, channel: &ChannelId, health: &Health) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        self.channel(channel)?;
        self.judge(channel, &policies, health);
        Ok(Reply::Done)
    }

    /// Records what a channel as a whole turned out to be.
    pub(super) fn judge(&mut self, channel: &ChannelId, policies: &Policies, health: &Health) {
        let before = self.state.channels.get(channel).map(|row| row.circuit.clone()).unwrap_or_default();
        let circuit = before.after(health, &policies.retry, self.now);
        if circuit != before {
            self.emit(Record::Circuit { channel: channel.clone(), circuit });
        }
    }

    fn outcome(
        &mut self,
        policies: &Policies,
        abilities: &Abilities,
        listing: &ListingRef,
        sent: &Sent,
        outcome: Outcome,
    ) {
        let tries = self.state.listing(listing).and_then(|l| l.leg.as_ref()).map_or(0, |leg| leg.tries);
        let seed = digest(&[listing.sku.as_str(), sent.key.as_str()]);
        let again = backoff::next(&policies.retry, tries + 1, seed, self.now);
        let look_at = self.now.plus_millis(abilities.look_ms);
        let quantity = sent.quantity;
        let at = sent.at;
        let settled = |writes: &mut crate::core::leg::Writes| {
            writes.unsettled.retain(|write| write.at != at || write.quantity != quantity);
        };
        match outcome {
            Outcome::Applied => {
                self.advance(listing, Event::Applied { look_at }, Why::Applied, None, |writes| {
                    settled(writes);
                    writes.base = Some(quantity);
                })
            }
            Outcome::Accepted { submission } => {
                self.advance(listing, Event::Accepted { look_at }, Why::Accepted, submission, |writes| {
                    writes.base = Some(quantity);
                });
            }
            Outcome::Stale => {
                self.advance(listing, Event::Stale { look_at: self.now }, Why::Stale, None, settled);
            }
            Outcome::Rejected { reason } => {
                let event = Event::Rejected { reason: reason.clone() };
                self.advance(listing, event, Why::Rejected, Some(reason), settled);
            }
            Outcome::Throttled { retry_after_ms } => {
                let until = self.now.plus_millis(retry_after_ms.max(0));
                self.advance(listing, Event::Deferred { until }, Why::Throttled, None, settled);
            }
            Outcome::Unauthorized { reason } => {
                let until = self.now.plus_millis(policies.retry.circuit_open_ms);
                self.advance(listing, Event::Deferred { until }, Why::Unauthorized, Some(reason), settled);
            }
            Outcome::NotSent { reason } => {
                self.advance(listing, Event::NotSent { until: again }, Why::NotSent, Some(reason), settled);
            }
            Outcome::Unknown { fault } => {
                let look_at = if tries == 0 { look_at } else { again };
                self.advance(listing, Event::Unknown { look_at }, Why::Unknown, Some(fault), |_| {});
            }
        }
    }

    /// Makes everything that was in flight when the process ended unknown.
    pub(super) fn start(&mut self, epoch: u32) -> Result<Reply, Refused> {
        self.emit(Record::Started { epoch });
        let channels: Vec<ChannelId> =
            self.state.policies.iter().flat_map(|p| p.channels.keys().cloned()).collect();
        for channel in channels {
            let listings: Vec<ListingRef> = self
                .state
                .index
                .of(Kind::InFlight, &channel)
                .filter_map(|work| match work {
                    Work::InFlight { listing, .. } => Some(listing.clone()),
                    _ => None,
                })
                .collect();
            for listing in listings {
                self.advance(&listing, Event::Unknown { look_at: self.now }, Why::Restarted, None, |_| {});
            }
            self.restart_postings(&channel);
        }
        Ok(Reply::Done)
    }
}

pub(super) fn health_of(outcome: &Outcome) -> Health {
    match outcome {
        Outcome::Applied
        | Outcome::Accepted { .. }
        | Outcome::Stale
        | Outcome::Rejected { .. }
        | Outcome::Throttled { .. } => Health::Answered,
        Outcome::Unauthorized { reason } => Health::Unauthorized(reason.clone()),
        Outcome::NotSent { .. } | Outcome::Unknown { .. } => Health::Silent,
    }
}

/// A batch answers once: any answer means that the channel is there, unless credentials failed.
fn worse(held: Option<Health>, new: Health) -> Option<Health> {
    match (held, new) {
        (Some(Health::Unauthorized(reason)), _) | (_, Health::Unauthorized(reason)) => {
            Some(Health::Unauthorized(reason))
        }
        (Some(Health::Answered), _) | (_, Health::Answered) => Some(Health::Answered),
        (_, Health::Silent) => Some(Health::Silent),
    }
}

/// Returns why a leg that is ready is not sent, for people.
pub fn waits_for(state: &crate::core::State, listing: &ListingRef, now: Timestamp) -> Option<String> {
    let held = state.listing(listing)?;
    let leg = held.leg.as_ref()?;
    let row = state.channels.get(&held.channel);
    if state.policies()?.mode == Mode::Shadow {
        return Some("shadow mode writes nothing".into());
    }
    if state.initialised.is_none() {
        return Some("nothing is written before the opening stock; run `evenkeel init`".into());
    }
    if row.is_some_and(|row| row.circuit.allows(now) == Allowed::None) {
        return Some("the channel's circuit is open".into());
    }
    if held.writes.look.is_some() || held.writes.base.is_none() {
        return Some("the channel's quantity and orders must be read first".into());
    }
    let raise = held.writes.base.is_some_and(|base| leg.quantity > base);
    let fed = row.and_then(|row| row.fed);
    (raise && fed.is_none_or(|fed| fed.begun < leg.cause))
        .then(|| "a raise waits until the channel's orders are read past its cause".to_owned())
}

/// Tells whether a read of a channel's orders that began at `now` would let something go on: a look waits for its
/// fence, a raise for its explanation, or an order must be fetched.
pub fn feed_wanted(state: &crate::core::State, channel: &ChannelId, now: Timestamp) -> bool {
    feed_due(state, channel).is_some_and(|due| due <= now)
}

/// Returns the earliest time at which such a read helps. A look must be older than the feed's lag.
fn feed_due(state: &crate::core::State, channel: &ChannelId) -> Option<Timestamp> {
    if state.index.of(Kind::Fetch, channel).next().is_some() {
        return Some(Timestamp::ZERO);
    }
    let lag = state.policies()?.channels.get(channel)?.abilities.feed_lag_ms;
    let fenced = state.index.of(Kind::Fencing, channel).take(GATED_MAX).filter_map(|work| match work {
        Work::Fencing { listing, .. } => {
            state.listing(listing)?.writes.look.map(|look| look.at.plus_millis(lag))
        }
        _ => None,
    });
    let fed = state.channels.get(channel).and_then(|row| row.fed).map(|fed| fed.begun);
    let raised = state.index.raises(channel).take(GATED_MAX).filter_map(|listing| {
        let cause = state.listing(listing)?.leg.as_ref()?.cause;
        fed.is_none_or(|begun| begun < cause).then_some(Timestamp::ZERO)
    });
    fenced.chain(raised).min()
}
