//! What the engine's parts tell the metrics, in their own words.

use std::time::Duration;

use crate::{
    connectors::{Fault, Observed, Outcome},
    core::{
        Envelope, Record, State,
        assumption::Assumption,
        circuit::Circuit,
        drift::Done,
        exposure,
        index::Kind as Work,
        ledger::{Entry, Kind},
        record::{AlertKind, Why},
        state::ListingRef,
    },
    engine::intake::Taken,
    model::{ChannelId, Quantity, Timestamp},
    telemetry::{AlertPost, Drift, Feed, Lane, LegState, Metrics, Polled, Push, ReadBack, Via},
};

/// The most legs of one state that are counted; more are told as this many.
const COUNT_MAX: usize = 10_000;

impl Metrics {
    /// Tells what a command recorded.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most records are no figure")]
    pub(super) fn recorded(&self, state: &State, envelope: &Envelope) {
        for record in &envelope.records {
            for entry in record.entries() {
                self.ledger_entries(entry.kind.name(), 1);
            }
            self.timed(state, envelope.at, record);
            match record {
                Record::Order { key, .. } => {
                    let pushed = envelope.records.iter().any(|r| matches!(r, Record::Delivered { .. }));
                    self.order_merged(&key.channel, if pushed { Via::Push } else { Via::Fetch });
                }
                Record::Commit { .. } => self.commit_opened(),
                Record::Committed { .. } => self.commit_committed(),
                Record::Moved {
                    listing,
                    why: Why::NotSent | Why::Unknown | Why::Throttled | Why::Stale,
                    ..
                } => {
                    if let Some(held) = state.listing(listing) {
                        self.retry(&held.channel);
                    }
                }
                Record::Moved { listing, why: Why::Seen, writes, .. } => {
                    self.seen(state, listing, writes.confirmed.map(|c| c.at));
                }
                Record::Drift { listing, repaired, found, .. } => {
                    let before = if *repaired { Drift::Repaired } else { Drift::Asked };
                    let what = found.as_ref().map_or(before, |drifted| drift(drifted.done));
                    self.drift_of(state, listing, what);
                }
                Record::DriftEnded { listing, drifted } => {
                    self.drift_of(state, listing, drift(drifted.done));
                }
                Record::Oversold { units, class, .. } => {
                    self.oversold(class.name(), u64::try_from(units.units()).unwrap_or(0));
                }
                Record::Measured { channel, assumption, stated_ms, measured_ms, .. } => {
                    let broken = measured_ms > stated_ms;
                    self.measured(channel, assumption.name(), millis(*measured_ms), broken);
                }
                Record::Quarantined { item } => self.quarantined(&item.channel),
                Record::Alert { key, alert: Some(alert) }
                    if alert.firing && alert.tries == 0 && alert.told.is_none() =>
                {
                    self.alert_raised(AlertKind::name(key.kind));
                }
                _ => {}
            }
        }
    }

    fn drift_of(&self, state: &State, listing: &ListingRef, what: Drift) {
        if let Some(held) = state.listing(listing) {
            self.drift(&held.channel, what);
        }
    }

    /// Tells how late orders came to light, and how long writes waited for their answers.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most records tell no time")]
    fn timed(&self, state: &State, at: Timestamp, record: &Record) {
        match record {
            Record::Order { key, entries, .. } => {
                let sold = |entry: &&Entry| entry.kind == Kind::Sale && entry.quantity > Quantity::ZERO;
                if let Some(first) = entries.iter().filter(sold).map(|entry| entry.event_at).min() {
                    self.order_news(&key.channel, millis(at.since(first)));
                }
            }
            Record::Moved {
                listing,
                why: Why::Applied | Why::Accepted | Why::Unknown,
                leg: Some(leg),
                ..
            } => {
                if let (Some(sent), Some(held)) = (leg.sent(), state.listing(listing)) {
                    self.answered_after(&held.channel, millis(at.since(sent.at)));
                }
            }
            _ => {}
        }
    }

    /// Tells what the channels may still sell.
    pub(super) fn exposed(&self, tally: &exposure::Tally) {
        for (channel, units) in &tally.channels {
            self.set_exposure(channel, *units);
        }
        self.set_short(tally.short_skus, tally.short_units);
    }

    /// Tells how long it took from the latest cause until the listing showed it.
    fn seen(&self, state: &State, listing: &crate::core::state::ListingRef, at: Option<Timestamp>) {
        let (Some(at), Some(row)) = (at, state.skus.get(&listing.sku)) else { return };
        let Some(held) = row.listings.get(usize::from(listing.at)) else { return };
        let since = held.leg.as_ref().map_or(at, |leg| leg.since);
        let millis = u64::try_from(at.since(since)).unwrap_or(0);
        self.visible_after(&held.channel, Duration::from_millis(millis));
    }

    /// Tells how things stand, from time to time.
    pub(super) fn standing(&self, state: &State, now: Timestamp) {
        let Some(policies) = state.policies() else { return };
        self.set_brakes_held(state.held.len());
        for channel in policies.channels.keys() {
            let count = |kind: Work| state.index.of(kind, channel).take(COUNT_MAX).count();
            self.set_legs(channel, LegState::Pending, count(Work::Ready));
            self.set_legs(channel, LegState::InFlight, count(Work::InFlight));
            self.set_legs(channel, LegState::Accepted, count(Work::Look));
            self.set_legs(channel, LegState::Retry, count(Work::Retry));
            self.set_legs(channel, LegState::Parked, count(Work::Parked));
            self.set_dead_letters(channel, count(Work::Parked) + count(Work::PostParked));
            self.set_drift_open(channel, count(Work::Drifts));
            let Some(row) = state.channels.get(channel) else { continue };
            if let Some(policy) = policies.channels.get(channel).filter(|policy| policy.abilities.sells) {
                for assumption in Assumption::ALL {
                    let stated = millis(assumption.stated(&policy.abilities));
                    let most = millis(row.measures.of(assumption).max_ms);
                    self.set_assumed(channel, assumption.name(), stated, most);
                }
            }
            self.set_lane(
                channel,
                match (&row.circuit, row.pause) {
                    (Circuit::Open { unauthorized: Some(_), .. }, _) => Lane::Unauthorized,
                    (Circuit::Open { .. }, _) => Lane::CircuitOpen,
                    (Circuit::Closed { .. }, Some(_)) => Lane::Paused,
                    (Circuit::Closed { .. }, None) => Lane::Running,
                },
            );
            if let Some(fed) = row.fed {
                let age = u64::try_from(now.since(fed.at)).unwrap_or(0);
                self.set_feed_age(channel, Feed::Orders, Duration::from_millis(age));
            }
        }
    }

    pub(super) fn wrote(&self, channel: &ChannelId, outcomes: &[Outcome]) {
        for outcome in outcomes {
            self.write(channel, outcome);
        }
    }

    pub(super) fn looked(&self, channel: &ChannelId, seen: &[Observed]) {
        for observed in seen {
            let result = match observed {
                Observed::Seen(_) => ReadBack::Wanted,
                Observed::Absent => ReadBack::Absent,
                Observed::Unwritable { .. } => ReadBack::Unwritable,
                Observed::Unread { .. } => ReadBack::Failed,
            };
            self.read_back(channel, result);
        }
    }

    pub(super) fn feed_read(&self, channel: &ChannelId, feed: Feed) {
        self.polled(channel, feed, Polled::Done);
    }

    pub(super) fn feed_failed(&self, channel: &ChannelId, feed: Feed, fault: Option<&Fault>) {
        let result = match fault {
            Some(Fault::Throttled { .. }) => Polled::Throttled,
            Some(Fault::Unauthorized(_)) => Polled::Unauthorized,
            Some(_) | None => Polled::Failed,
        };
        self.polled(channel, feed, result);
    }

    pub(super) fn pushed(&self, channel: &ChannelId, taken: Taken) {
        let result = match taken {
            Taken::Yes => Push::Taken,
            Taken::Duplicate => Push::Duplicate,
            Taken::Quarantined => Push::Unreadable,
            Taken::NotFollowed => Push::NotFollowed,
            Taken::Forged => Push::Forged,
            Taken::Busy | Taken::Stopped => Push::Busy,
        };
        self.webhook(channel, result);
    }

    pub(super) fn alerted(&self, sent: bool) {
        self.alert_posted(if sent { AlertPost::Delivered } else { AlertPost::Failed });
    }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn drift(done: Done) -> Drift {
    match done {
        Done::Repaired => Drift::Repaired,
        Done::Asked => Drift::Asked,
        Done::Accepted => Drift::Accepted,
        Done::Left => Drift::Left,
        Done::Held => Drift::Held,
        Done::Released => Drift::Released,
        Done::Gone => Drift::Gone,
    }
}
