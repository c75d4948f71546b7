//! What the answers to writes mean, for the leg and for the channel as a whole.

use crate::{
    core::{
        backoff::{self, digest},
        circuit::{Circuit, Health, Subject},
        command::{Refused, Reply},
        decide::{Draft, lane::explained},
        index::{Kind, Work},
        leg::{self, Event, Sent},
        record::{Record, Why},
        state::ListingRef,
    },
    model::{
        Abilities, ChannelId, IdempotencyKey, Outcome, Policies, Timestamp, Visible, policy::ChannelPolicy,
    },
};

impl Draft<'_> {
    pub(super) fn answer(
        &mut self,
        channel: &ChannelId,
        answers: Vec<(ListingRef, IdempotencyKey, Outcome)>,
    ) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        let health = answers.iter().map(|(_, _, outcome)| health_of(outcome)).reduce(worse);
        let told = Told::of(&answers);
        let alone = if let [(listing, ..)] = answers.as_slice() {
            Some(Subject::Listing(listing.clone()))
        } else {
            None
        };
        for (listing, key, outcome) in answers {
            let leg = self.state.listing(&listing).and_then(|held| held.leg.as_ref());
            let in_flight = leg.filter(|leg| matches!(leg.state, leg::State::InFlight(_)));
            let sent = in_flight.and_then(|leg| leg.sent()).filter(|sent| sent.key == key).cloned();
            let Some(sent) = sent else { continue };
            self.outcome(&policies, &policy, &listing, &sent, outcome, told);
        }
        if let Some(health) = health {
            self.judge(channel, &policies, &health, alone.as_ref());
        }
        Ok(Reply::Done)
    }

    /// Takes in one answer.
    fn outcome(
        &mut self,
        policies: &Policies,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        sent: &Sent,
        outcome: Outcome,
        told: Told,
    ) {
        let (now, abilities) = (self.now, &policy.abilities);
        let tries = self.state.listing(listing).and_then(|l| l.leg.as_ref()).map_or(0, |leg| leg.tries);
        let seed = digest(&[listing.sku.as_str(), sent.key.as_str()]);
        let again = |attempt: u32| backoff::next(&policies.retry, attempt, seed, now);
        let bulk = self.state.listing(listing).is_some_and(|held| held.writes.bulk_of(sent).is_some());
        let taken = bulk && matches!(outcome, Outcome::Accepted { .. });
        // What a bulk holds is to show when that has ended.
        let look_at = if taken { Timestamp::MAX } else { now.plus_millis(abilities.look_ms) };
        let trust_from = if taken { Timestamp::MAX } else { trust_from(abilities, now) };
        let (event, why, note) = match outcome {
            Outcome::Applied => (Event::Applied { look_at }, Why::Applied, None),
            Outcome::Accepted { submission } => (Event::Accepted { look_at }, Why::Accepted, submission),
            Outcome::Stale => {
                let explained = self.state.listing(listing).is_some_and(explained);
                (Event::Stale { look_at: now, explained }, Why::Stale, None)
            }
            Outcome::Rejected { reason } => {
                (Event::Rejected { reason: reason.clone() }, Why::Rejected, Some(reason))
            }
            Outcome::Throttled { retry_after_ms } => {
                let until = now.plus_millis(retry_after_ms.max(0));
                (Event::Deferred { until }, Why::Throttled, None)
            }
            Outcome::Unauthorized { reason } => {
                let until = now.plus_millis(policies.retry.circuit_open_ms);
                (Event::Deferred { until }, Why::Unauthorized, Some(reason))
            }
            // A sibling in the batch was bad, not this one.
            Outcome::NotSent { reason } if told.heard && told.unsent > 1 => {
                (Event::Deferred { until: again(1) }, Why::NotSent, Some(reason))
            }
            Outcome::NotSent { reason } => {
                // The only one that was kept from being sent was so for a reason of its own.
                let among = usize::from(told.unsent == 1);
                (Event::NotSent { until: again(tries + 1), among }, Why::NotSent, Some(reason))
            }
            Outcome::Unknown { fault } => {
                let look_at = if tries == 0 { look_at } else { again(tries + 1) };
                (Event::Unknown { look_at, among: told.unknown }, Why::Unknown, Some(fault))
            }
        };
        self.advance(listing, event, why, note, |writes| {
            if matches!(why, Why::Applied | Why::Accepted) {
                let at_once = abilities.visible == Visible::AtOnce;
                writes.acknowledged(sent, now, trust_from, at_once);
            }
            // Unknown or queued, it may land yet, whatever follows.
            if why == Why::Unknown {
                writes.given_up(sent, now, trust_from);
            } else if why != Why::Accepted {
                writes.settle(sent);
            }
        });
    }

    pub(super) fn read_failed(
        &mut self,
        channel: &ChannelId,
        health: &Health,
        alone: Option<ListingRef>,
    ) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        self.known(channel)?;
        self.judge(channel, &policies, health, alone.map(Subject::Listing).as_ref());
        Ok(Reply::Done)
    }

    /// Records what a channel as a whole turned out to be. `alone`: what was asked for, if that was one thing.
    pub(super) fn judge(
        &mut self,
        channel: &ChannelId,
        policies: &Policies,
        health: &Health,
        alone: Option<&Subject>,
    ) {
        let before = self.state.channels.get(channel).map(|row| row.circuit.clone()).unwrap_or_default();
        self.set_circuit(channel, before.after(health, alone, &policies.retry, self.now));
    }

    pub(super) fn set_circuit(&mut self, channel: &ChannelId, circuit: Circuit) {
        let before = self.state.channels.get(channel).map(|row| row.circuit.clone()).unwrap_or_default();
        if circuit != before {
            self.emit(Record::Circuit { channel: channel.clone(), circuit });
        }
    }

    /// Makes everything that was in flight when the process ended unknown.
    pub(super) fn start(&mut self, epoch: u32) -> Result<Reply, Refused> {
        self.emit(Record::Started { epoch });
        let in_flight = self.state.index.all(Kind::InFlight).filter_map(|work| {
            if let Work::InFlight { listing, .. } = work { Some(listing.clone()) } else { None }
        });
        let now = self.now;
        for listing in in_flight.collect::<Vec<_>>() {
            let Some(held) = self.state.listing(&listing) else { continue };
            let Some(sent) = held.leg.as_ref().and_then(|leg| leg.sent()).cloned() else { continue };
            let abilities = self.channel(&held.channel).map(|policy| policy.abilities);
            let trust_from = abilities.map_or(now, |abilities| trust_from(&abilities, now));
            let event = Event::Unknown { look_at: now, among: 0 };
            self.advance(&listing, event, Why::Restarted, None, |writes| {
                writes.given_up(&sent, now, trust_from);
            });
        }
        self.restart_postings();
        self.restart_bulks();
        Ok(Reply::Done)
    }
}

/// What the answers to one batch tell together.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// The channel answered something.
    heard: bool,
    /// How many had no answer.
    unknown: usize,
    /// How many were not sent.
    unsent: usize,
}

impl Told {
    fn of(answers: &[(ListingRef, IdempotencyKey, Outcome)]) -> Told {
        let count = |is: fn(&Outcome) -> bool| answers.iter().filter(|(.., outcome)| is(outcome)).count();
        Told {
            heard: answers.iter().map(|(.., outcome)| health_of(outcome)).reduce(worse)
                == Some(Health::Answered),
            unknown: count(|outcome| matches!(outcome, Outcome::Unknown { .. })),
            unsent: count(|outcome| matches!(outcome, Outcome::NotSent { .. })),
        }
    }
}

/// Returns from when on a read tells whether a write that was answered, or given up, at `now` shows.
pub(super) fn trust_from(abilities: &Abilities, now: Timestamp) -> Timestamp {
    let visible = match abilities.visible {
        Visible::AtOnce => 0,
        Visible::Later => abilities.visible_ms,
    };
    now.plus_millis(abilities.stale_ms.max(visible))
}

pub(super) fn health_of(outcome: &Outcome) -> Health {
    match outcome {
        Outcome::Applied
        | Outcome::Accepted { .. }
        | Outcome::Stale
        | Outcome::Rejected { .. }
        | Outcome::Throttled { .. } => Health::Answered,
        Outcome::Unauthorized { reason } => Health::Unauthorized(reason.clone()),
        Outcome::NotSent { reason: why } | Outcome::Unknown { fault: why } => Health::Silent(why.clone()),
    }
}

/// A batch answers once: any answer means that the channel is there, unless credentials failed.
fn worse(held: Health, new: Health) -> Health {
    match (held, new) {
        (Health::Unauthorized(reason), _) | (_, Health::Unauthorized(reason)) => Health::Unauthorized(reason),
        (Health::Answered, _) | (_, Health::Answered) => Health::Answered,
        (Health::Silent(_), Health::Silent(why)) => Health::Silent(why),
    }
}
