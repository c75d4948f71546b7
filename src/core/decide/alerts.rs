//! Who is told of what: alerts follow conditions, one per kind and subject, and end when the condition ends.

use std::collections::BTreeMap;

use crate::{
    core::{
        circuit::Circuit,
        command::{Refused, Reply},
        decide::Draft,
        index::{Kind, Work},
        record::{AlertKind, Record},
        state::{Alert, AlertKey, State},
    },
    model::{ChannelId, Policies, Timestamp},
};

/// How long a push is remembered. Shopify repeats one for four hours.
const REMEMBER_MS: i64 = 48 * 3_600_000;
/// How many late legs are counted before an alert says "at least".
const COUNT_MAX: usize = 10_000;

impl Draft<'_> {
    pub(super) fn tick(&mut self) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let wanted = conditions(self.state, &policies, self.now);
        for (key, text) in &wanted {
            self.raise(&policies, key, text);
        }
        let over: Vec<AlertKey> =
            self.state.alerts.keys().filter(|key| !wanted.contains_key(key)).cloned().collect();
        for key in over {
            self.clear(&policies, &key);
        }
        let before = self.now.plus_millis(-REMEMBER_MS);
        // Forgotten in portions, so that the journal is not filled with small records.
        let old = self.state.deliveries.values().filter(|at| **at < before).take(1_000).count();
        if old >= 1_000 || (old > 0 && self.state.deliveries.len() < 2_000) {
            self.emit(Record::Forgot { before });
        }
        Ok(Reply::Done)
    }

    fn raise(&mut self, policies: &Policies, key: &AlertKey, text: &str) {
        let held = self.state.alerts.get(key);
        let repeat = policies.alerts.repeat_ms;
        let alert = match held {
            Some(held) if held.firing => {
                let told_at = held.told.filter(|(firing, _)| *firing).map(|(_, at)| at);
                let again = repeat > 0 && told_at.is_some_and(|at| self.now.since(at) >= repeat);
                if !again || held.send_at.is_some() {
                    return;
                }
                Alert { text: text.to_owned(), send_at: Some(self.now), tries: 0, ..held.clone() }
            }
            Some(_) | None => Alert {
                text: text.to_owned(),
                raised_at: self.now,
                changed_at: self.now,
                firing: true,
                told: held.and_then(|held| held.told),
                tries: 0,
                send_at: policies.alerts.webhook.then_some(self.now),
            },
        };
        self.emit(Record::Alert { key: key.clone(), alert: Some(alert) });
    }

    fn clear(&mut self, policies: &Policies, key: &AlertKey) {
        let Some(held) = self.state.alerts.get(key).filter(|held| held.firing).cloned() else { return };
        // Only people who were told that it began are told that it ended; a telling under way may have arrived.
        let told = held.told.is_some_and(|(firing, _)| firing) || held.tries > 0;
        let alert = (told && policies.alerts.webhook).then(|| Alert {
            changed_at: self.now,
            firing: false,
            tries: 0,
            send_at: Some(self.now),
            ..held
        });
        self.emit(Record::Alert { key: key.clone(), alert });
    }

    pub(super) fn take_alerts(&mut self, limit: usize) -> Result<Reply, Refused> {
        let due = |alert: &&Alert| alert.send_at.is_some_and(|at| at <= self.now);
        let due: Vec<(AlertKey, Alert)> = self
            .state
            .alerts
            .iter()
            .filter(|(_, alert)| due(alert))
            .take(limit)
            .map(|(key, alert)| (key.clone(), alert.clone()))
            .collect();
        Ok(Reply::Alerts(due))
    }

    pub(super) fn alert_sent(&mut self, key: &AlertKey, firing: bool, sent: bool) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let Some(held) = self.state.alerts.get(key).cloned() else { return Ok(Reply::Done) };
        let seed = crate::core::backoff::digest(&[&key.subject, key.kind.name()]);
        let alert = if !sent {
            let at = crate::core::backoff::next(&policies.retry, held.tries + 1, seed, self.now);
            Some(Alert { tries: held.tries.saturating_add(1), send_at: Some(at), ..held })
        } else if held.firing != firing {
            // It changed while it was being told: what is true is still to be told.
            Some(Alert { told: Some((firing, self.now)), ..held })
        } else {
            firing.then(|| Alert { told: Some((true, self.now)), send_at: None, tries: 0, ..held })
        };
        self.note(Record::Alert { key: key.clone(), alert })
    }
}

/// Returns every alert whose condition holds, with its text.
fn conditions(state: &State, policies: &Policies, now: Timestamp) -> BTreeMap<AlertKey, String> {
    let mut out = BTreeMap::new();
    for (channel, policy) in &policies.channels {
        let mut say = |kind: AlertKind, text: Option<String>| {
            if let Some(text) = text {
                out.insert(AlertKey { kind, subject: channel.to_string() }, text);
            }
        };
        let row = state.channels.get(channel);
        say(AlertKind::Late, late(state, channel, now));
        say(AlertKind::PostingLate, postings_late(state, policies, channel, now));
        let parked = state.index.of(Kind::Parked, channel).take(COUNT_MAX).count()
            + state.index.of(Kind::PostParked, channel).take(COUNT_MAX).count();
        say(
            AlertKind::DeadLetters,
            (parked > 0).then(|| format!("{parked} dead letters; see `evenkeel dead-letters`")),
        );
        let unmapped = state.index.of(Kind::Unmapped, channel).take(COUNT_MAX).count();
        // Before the opening stock every line waits.
        let unmapped = if state.initialised.is_some() { unmapped } else { 0 };
        say(AlertKind::Unmapped, (unmapped > 0).then(|| {
            format!("{unmapped} orders have lines that no SKU was found for; see `evenkeel map list --unmatched`")
        }));
        let quarantined = state.quarantine.values().filter(|q| q.channel == *channel).count();
        say(
            AlertKind::Quarantine,
            (quarantined > 0)
                .then(|| format!("{quarantined} messages could not be read; see `evenkeel dead-letters`")),
        );
        let held = state.held.values().filter(|held| held.counter == *channel);
        say(
            AlertKind::Brake,
            held.last().map(|held| format!("a count is held: {}; see `evenkeel dead-letters`", held.why)),
        );
        match row.map(|row| &row.circuit) {
            Some(Circuit::Open { unauthorized: Some(reason), .. }) => {
                say(AlertKind::LaneStopped, Some(format!("credentials are refused: {reason}")));
            }
            Some(Circuit::Open { unauthorized: None, .. }) => {
                say(AlertKind::CircuitOpen, Some("it does not answer; writes wait".to_owned()));
            }
            Some(Circuit::Closed { .. }) | None => {}
        }
        if policy.abilities.sells && policy.feed_late_ms > 0 {
            let fed = row.and_then(|row| row.fed).map(|fed| fed.at);
            let age = fed.map(|at| now.since(at)).filter(|age| *age > policy.feed_late_ms);
            say(
                AlertKind::FeedLate,
                age.map(|age| format!("its orders were last read {} s ago", age / 1_000)),
            );
        }
    }
    out
}

fn late(state: &State, channel: &ChannelId, now: Timestamp) -> Option<String> {
    let mut first = None;
    let mut count = 0_usize;
    for work in state.index.of(Kind::Unseen, channel).take(COUNT_MAX) {
        let Work::Unseen { deadline, listing, .. } = work else { continue };
        if *deadline > now {
            break;
        }
        count += 1;
        first = first.or(Some(listing));
    }
    let listing = first?;
    Some(format!(
        "{count} stock changes are not seen live yet, the oldest for SKU {}; see `evenkeel outbox`",
        listing.sku
    ))
}

fn postings_late(state: &State, policies: &Policies, channel: &ChannelId, now: Timestamp) -> Option<String> {
    let limit = now.plus_millis(-policies.alerts.after_ms);
    let late = state.index.of(Kind::PostLate, channel).take(COUNT_MAX).filter(|work| match work {
        Work::PostLate { deadline, .. } => *deadline <= limit,
        _ => false,
    });
    let count = late.count();
    (count > 0).then(|| format!("{count} orders are not posted yet; see `evenkeel outbox`"))
}
