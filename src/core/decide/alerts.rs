//! Who is told of what: alerts follow conditions, one per kind and subject, and end when the condition ends.

mod oversells;

use std::collections::BTreeMap;

use oversells::grown;

use crate::{
    core::{
        allocation::Pause,
        assumption::{Assumption, Measured},
        backoff::{self, digest},
        circuit::Circuit,
        command::{Refused, Reply},
        decide::{Draft, bulk},
        drift::{Done, Drifted},
        index::{Kind, Work},
        intent::{Intent, Leg, Phase, Step, Undone},
        leg,
        record::{AlertKind, Record},
        state::{Alert, AlertKey, ChannelRow, Listing, ListingRef, State},
    },
    model::{self, ChannelId, Counter, Mode, Notice, Policies, Seq, Timestamp, policy::ChannelPolicy, which},
};

/// How long a push is remembered. Shopify repeats one for four hours.
const REMEMBER_MS: i64 = 48 * 3_600_000;
/// How many deliveries are forgotten together.
const FORGET: usize = 1_000;
/// How long it is tried to tell people that something is over.
const UNTOLD_MS: i64 = 7 * 24 * 3_600_000;
/// How many SKUs one tick rechecks.
const RECHECK: usize = 500;
/// How long people are told of an intent that was rolled back.
const TOLD_MS: i64 = 24 * 3_600_000;
/// The subject of the alert about a configuration that is held. No channel can have it: see [`conditions`].
const CONFIGURATION: &str = "the configuration";
/// How far an alert counts.
const COUNT_MAX: usize = 1_000;

impl Draft<'_> {
    pub(super) fn tick(&mut self) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        self.note_made_good();
        let wanted = conditions(self.state, &policies, self.now);
        for (key, condition) in &wanted {
            self.raise(&policies, key, condition);
        }
        let over: Vec<AlertKey> =
            self.state.alerts.keys().filter(|key| !wanted.contains_key(key)).cloned().collect();
        for key in over {
            self.clear(&policies, &key);
        }
        let tired = |alert: &Alert| !alert.firing && self.now.since(alert.changed_at) >= UNTOLD_MS;
        let untold = self.state.alerts.iter().filter(|(_, alert)| tired(alert));
        for key in untold.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.emit(Record::Alert { key, alert: None });
        }
        let before = self.now.plus_millis(-REMEMBER_MS);
        // Forgotten in portions, so that the journal is not filled with small records.
        let old = self.state.index.old_deliveries(before, FORGET);
        if old >= FORGET || (old > 0 && self.state.deliveries.len() < 2 * FORGET) {
            self.emit(Record::Forgot { before });
        }
        self.prune(&policies);
        self.thin_quarantine();
        self.recheck(RECHECK);
        self.tick_intents();
        Ok(Reply::Done)
    }

    fn raise(&mut self, policies: &Policies, key: &AlertKey, condition: &Condition) {
        let held = self.state.alerts.get(key);
        let repeat = policies.alerts.repeat_ms;
        let Condition { text, waiting, asks, about } = condition.clone();
        let alert = match held {
            Some(held) if held.firing => {
                let told_at = held.told.filter(|(firing, _)| *firing).map(|(_, at)| at);
                let repeats = repeat > 0 && told_at.is_some_and(|at| self.now.since(at) >= repeat);
                let other = (asks && waiting == held.waiting && text != held.text) || about > held.about;
                // It fired before there was anywhere to tell it.
                let untold = policies.alerts.webhook && told_at.is_none() && held.send_at.is_none();
                let again = waiting > held.waiting || other || untold || (repeats && held.send_at.is_none());
                // How many units are missing, or shown too much, by now is in the text; people are told when they are many more.
                let counts = matches!(key.kind, AlertKind::Oversold | AlertKind::Drift);
                let same = text == held.text || !counts;
                if !again && waiting == held.waiting && same {
                    return;
                }
                let send_at = if again && policies.alerts.webhook { Some(self.now) } else { held.send_at };
                let tries = if again { 0 } else { held.tries };
                Alert { text, waiting, about: about.max(held.about), send_at, tries, ..held.clone() }
            }
            Some(_) | None => Alert {
                text,
                waiting,
                about,
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
        let alert = (told && policies.alerts.webhook).then_some(Alert {
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

    pub(super) fn alert_sent(
        &mut self,
        key: &AlertKey,
        firing: bool,
        (waiting, about): (usize, Seq),
        sent: bool,
    ) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let Some(held) = self.state.alerts.get(key).cloned() else {
            return Ok(self.over_while_told(&policies, key, firing && sent));
        };
        let seed = digest(&[&key.subject, key.kind.name()]);
        let alert = if !sent {
            let at = backoff::next(&policies.retry, held.tries + 1, seed, self.now);
            Some(Alert { tries: held.tries.saturating_add(1), send_at: Some(at), ..held })
        } else if held.firing != firing || held.waiting > waiting || held.about > about {
            // It changed while it was being told: what is true is still to be told.
            Some(Alert { told: Some((firing, self.now)), ..held })
        } else {
            firing.then_some(Alert { told: Some((true, self.now)), send_at: None, tries: 0, ..held })
        };
        self.note(Record::Alert { key: key.clone(), alert })
    }

    /// People were told of an alert that was over, and forgotten, by then: they are told that too.
    fn over_while_told(&mut self, policies: &Policies, key: &AlertKey, told: bool) -> Reply {
        if told && policies.alerts.webhook {
            let alert = Some(Alert {
                text: "it was over when it was told".to_owned(),
                waiting: 0,
                about: Seq::ZERO,
                raised_at: self.now,
                changed_at: self.now,
                firing: false,
                told: Some((true, self.now)),
                tries: 0,
                send_at: Some(self.now),
            });
            self.emit(Record::Alert { key: key.clone(), alert });
        }
        Reply::Done
    }
}

/// Something that people are to know.
#[derive(Debug, Clone)]
struct Condition {
    text: String,
    /// How many things wait for a person; zero where that is not counted.
    waiting: usize,
    /// Another text is another question, of which people are told: a notice that says something else.
    asks: bool,
    /// The record of the latest question, where each has one: people are told of a later one.
    about: Seq,
}

impl From<String> for Condition {
    fn from(text: String) -> Condition {
        Condition { text, waiting: 0, asks: false, about: Seq::ZERO }
    }
}

/// Returns every alert whose condition holds.
fn conditions(state: &State, policies: &Policies, now: Timestamp) -> BTreeMap<AlertKey, Condition> {
    let mut out = BTreeMap::new();
    if let Some(held) = &state.held_config {
        let text = format!(
            "the configuration file is not in effect: {}; see `evenkeel reload --dry-run`, then `evenkeel reload --confirm`",
            held.why
        );
        out.insert(AlertKey { kind: AlertKind::Brake, subject: CONFIGURATION.to_owned() }, text.into());
    }
    for (channel, policy) in &policies.channels {
        let row = state.channels.get(channel);
        let said = [
            (AlertKind::Late, late(state, channel, now).map(Condition::from)),
            (AlertKind::PostingLate, postings_late(state, policies, channel, now).map(Condition::from)),
            (AlertKind::DeadLetters, dead_letters(state, channel)),
            (AlertKind::Unmapped, unmapped(state, channel)),
            (AlertKind::Quarantine, quarantined(state, channel)),
            (AlertKind::Brake, braked(state, &channel.clone().into())),
            (AlertKind::FeedLate, feed_late(state, channel, policy, now).map(Condition::from)),
            (AlertKind::Drift, drifts(state, channel)),
            (AlertKind::AssumptionBroken, broken(row, policy, now)),
            (AlertKind::BulkLate, row.and_then(|row| bulk::late(row, now)).map(Condition::from)),
        ];
        for (kind, condition) in said.into_iter().chain(row.and_then(circuit)) {
            if let Some(condition) = condition {
                out.insert(AlertKey { kind, subject: channel.to_string() }, condition);
            }
        }
    }
    out.extend(policies.channels.keys().flat_map(|channel| notices(state, channel)));
    if let Some(condition) = braked(state, &Counter::Person) {
        let subject = String::from(Counter::Person);
        out.insert(AlertKey { kind: AlertKind::Brake, subject }, condition);
    }
    out.extend(oversells::conditions(state));
    for (id, intent) in &state.intents {
        if let Some(text) = stuck(state, policies, intent, now) {
            let text = format!("{text}; see `evenkeel commits --intent {id}`");
            out.insert(AlertKey { kind: AlertKind::Intent, subject: id.to_string() }, text.into());
        }
    }
    out
}

/// Says what a person must know of an intent: it waits for too long, or was rolled back by itself not long ago.
fn stuck(state: &State, policies: &Policies, intent: &Intent, now: Timestamp) -> Option<String> {
    let waits = match intent.phase {
        Phase::Lowering | Phase::Raising | Phase::RollingBack => true,
        Phase::RolledBack | Phase::InTransit | Phase::Done => false,
    };
    let name = |listing| state.listing(listing).map_or("", |held| held.channel.as_str());
    if waits {
        let late = now.since(intent.since) >= policies.alerts.after_ms;
        let waiting = |leg: &&Leg| intent.awaits(leg) && late && !on_time(state, policies, leg, now);
        let leg = intent.legs.iter().find(waiting)?;
        let (sku, phase) = (&leg.listing.sku, intent.phase.name());
        let on = name(&leg.listing);
        let seen = state.listing(&leg.listing).is_some_and(|held| leg.is_seen(held));
        let how = if seen { "was seen live on" } else { "is not seen live on" };
        let again = if seen { " and may show more again" } else { "" };
        return Some(format!("what a person wants is still {phase}: SKU {sku} {how} {on}{again}"));
    }
    if intent.phase != Phase::RolledBack || now.since(intent.since) >= TOLD_MS {
        return None;
    }
    match intent.undone.as_ref()? {
        Undone::Refused { listing, reason } => {
            let (sku, on) = (&listing.sku, name(listing));
            Some(format!("what a person wants was rolled back: {on} refuses to lower SKU {sku}: {reason}"))
        }
        Undone::Expired => {
            Some("what a person wants was rolled back: it was not lowered in the time given".to_owned())
        }
        Undone::Cancelled => None,
    }
}

/// Tells whether a lower that is seen only settles, or waits for a bulk to end that is not late itself: how long that takes is the
/// channel's.
fn on_time(state: &State, policies: &Policies, leg: &Leg, now: Timestamp) -> bool {
    let Some(held) = state.listing(&leg.listing) else { return false };
    let ends = || state.channels.get(&held.channel).is_none_or(|row| bulk::late(row, now).is_none());
    let waits_for_bulk = leg.is_seen(held) && held.writes.in_bulk() && ends();
    match leg.step {
        Step::Seen { at } => {
            let late_ms = policies.channels.get(&held.channel).map_or(0, |policy| policy.abilities.late_ms);
            waits_for_bulk || now.since(at) < late_ms.saturating_add(policies.alerts.after_ms)
        }
        Step::Waiting | Step::Settled | Step::GivenUp => waits_for_bulk,
    }
}

/// Counts work of a kind, up to [`COUNT_MAX`], and says how many there are.
fn counted<'a>(work: impl Iterator<Item = &'a Work>, say: impl Fn(usize) -> String) -> Option<Condition> {
    let waiting = work.take(COUNT_MAX).count();
    (waiting > 0).then(|| Condition { waiting, ..say(waiting).into() })
}

/// Returns a count as people read it, with the words that go with one and with many.
fn spoken(count: usize, one: &str, many: &str) -> String {
    if count < COUNT_MAX {
        return format!("{count} {}", which(count, one, many));
    }
    format!("{COUNT_MAX} or more {many}")
}

/// Tells whether nothing is meant to leave for a channel, so that nothing can be late.
fn rests(state: &State, channel: &ChannelId, pauses: &[Pause]) -> bool {
    let pause = state.channels.get(channel).and_then(|row| row.pause);
    state.mode() != Some(Mode::Live) || pause.is_some_and(|pause| pauses.contains(&pause))
}

fn late(state: &State, channel: &ChannelId, now: Timestamp) -> Option<String> {
    if rests(state, channel, &[Pause::Frozen]) {
        return None;
    }
    let due = |work: &&Work| matches!(work, Work::Unseen { deadline, .. } if *deadline <= now);
    let Some(Work::Unseen { listing, .. }) = state.index.of(Kind::Unseen, channel).find(due) else {
        return None;
    };
    let count = state.index.of(Kind::Unseen, channel).take_while(due).take(COUNT_MAX).count();
    let (late, sku) = (spoken(count, "stock change is", "stock changes are"), &listing.sku);
    let oldest = if count == 1 { "it is" } else { "the oldest" };
    let told = state.listing(listing).map_or_else(String::new, unshown);
    Some(format!("{late} not seen live yet, {oldest} for SKU {sku}{told}; see `evenkeel outbox`"))
}

/// Says of what is not seen live what the channel did with it, where it took it: it was written, and it does not show.
fn unshown(listing: &Listing) -> String {
    let Some(leg) = &listing.leg else { return String::new() };
    let written = listing.writes.unsettled.iter().filter(|write| write.quantity == leg.quantity).count();
    match (&leg.state, written) {
        (leg::State::Accepted { .. }, 0 | 1) => ", which the channel accepted and has not applied".to_owned(),
        (_, 0 | 1) => String::new(),
        (_, many) => format!(", which was written {many} times and has not been applied"),
    }
}

fn postings_late(state: &State, policies: &Policies, channel: &ChannelId, now: Timestamp) -> Option<String> {
    if rests(state, channel, &[Pause::Frozen, Pause::Stopped]) {
        return None;
    }
    let limit = now.plus_millis(-policies.alerts.after_ms);
    let due = |work: &&Work| matches!(work, Work::PostLate { deadline, .. } if *deadline <= limit);
    let late = || state.index.of(Kind::PostLate, channel).take_while(due).take(COUNT_MAX);
    let fault = late().find_map(|work| {
        let Work::PostLate { order, .. } = work else { return None };
        state.orders.get(order)?.posting(channel)?.fault.clone()
    });
    let (late, why) = (late().count(), fault.map_or(String::new(), |fault| format!(" ({fault})")));
    let say = || spoken(late, "order is", "orders are");
    (late > 0).then(|| format!("{} not posted yet{why}; see `evenkeel outbox`", say()))
}

/// What waits because of a drift is told as that.
fn dead_letters(state: &State, channel: &ChannelId) -> Option<Condition> {
    let drifts = |work: &&Work| matches!(work, Work::Parked { listing, .. } if state.listing(listing).is_some_and(Listing::drifts));
    let legs = state.index.of(Kind::Parked, channel).filter(move |work| !drifts(work));
    let all = legs.chain(state.index.of(Kind::PostParked, channel));
    counted(all, |count| {
        format!("{}; see `evenkeel dead-letters list`", spoken(count, "dead letter", "dead letters"))
    })
}

fn drifts(state: &State, channel: &ChannelId) -> Option<Condition> {
    let drift = |work: &Work| {
        let Work::Drifts { listing, .. } = work else { return None };
        Some((listing.clone(), state.listing(listing)?.drift.as_deref()?))
    };
    let open: Vec<(ListingRef, &Drifted)> =
        state.index.of(Kind::Drifts, channel).take(COUNT_MAX).filter_map(drift).collect();
    if open.is_empty() {
        return None;
    }
    // The latest question, and the latest that is held: neither hides the other.
    let latest = |held: bool| {
        open.iter().filter(|of| (of.1.done == Done::Held) == held).max_by_key(|(_, drift)| drift.seq)
    };
    let (held, asked) = (latest(true), latest(false));
    let held = held.map(|(of, _)| format!("SKU {} is held because two writers undo each other", of.sku));
    let question = asked
        .map(|(of, drift)| format!("SKU {} shows {} and not {}", of.sku, drift.observed, drift.expected));
    let last = question.into_iter().chain(held).collect::<Vec<_>>().join(", and ");
    let (waiting, about) = (open.len(), asked.map_or(Seq::ZERO, |(_, drift)| drift.seq));
    let text = format!(
        "{} changed by another writer and {} for a person, of late: {last}{}; see `evenkeel drift`",
        spoken(waiting, "listing was", "listings were"),
        which(waiting, "waits", "wait"),
        shown_too_much(state, &open)
    );
    // Told again when it has doubled, and not with each number of another writer's.
    let over = open.iter().map(|(_, drift)| drift.over_most.units()).fold(0, i64::saturating_add);
    let over = grown(usize::try_from(over).unwrap_or(usize::MAX));
    Some(Condition { waiting: waiting.saturating_add(over), about, ..text.into() })
}

/// Says by how many units held listings show more than ours would, of the one that does most, and what to do.
fn shown_too_much(state: &State, open: &[(ListingRef, &Drifted)]) -> String {
    // Ours may have gone over it since: a lower does.
    let still = |of: &(ListingRef, &Drifted)| !state.listing(&of.0).is_some_and(Listing::shows_ours_since);
    let over = open.iter().filter(|of| !of.1.over().is_zero() && still(of));
    let Some((listing, drift)) = over.clone().max_by_key(|(_, drift)| drift.over()) else {
        return String::new();
    };
    let (sku, over, others) = (&listing.sku, drift.over(), over.count() - 1);
    let others = match others {
        0 => String::new(),
        _ => format!(" ({} too)", spoken(others, "other listing shows more", "other listings show more")),
    };
    let units = which(usize::try_from(over.units()).unwrap_or(usize::MAX), "unit", "units");
    format!(
        "; SKU {sku} shows {over} {units} more than the {} that ours would, which may not be there{others}: lower it on the channel, \
         stop the other writer, then run `evenkeel drift release`",
        drift.expected
    )
}

/// A channel whose delays are longer than assumed: what rests on the assumptions may be wrong.
fn broken(row: Option<&ChannelRow>, policy: &ChannelPolicy, now: Timestamp) -> Option<Condition> {
    let measures = &row?.measures;
    let of = |assumption: &Assumption| {
        let (stated, measured) = (assumption.stated(&policy.abilities), measures.of(*assumption));
        measured.is_broken(stated, now).then(|| broken_by(*assumption, stated, measured))
    };
    let all: Vec<String> = Assumption::ALL.iter().filter_map(of).collect();
    let text = format!("{}; look through its oversells", all.join("; "));
    (!all.is_empty()).then(|| Condition { waiting: all.len(), ..text.into() })
}

fn broken_by(assumption: Assumption, stated_ms: i64, measured: &Measured) -> String {
    let what = match assumption {
        Assumption::FeedLag => "fence broken: an order appeared in its feed only after",
        Assumption::Late => "a write landed after it was given up by",
        Assumption::Stale => "a read was older than",
    };
    format!(
        "{what} {} s, assumed are {} s ({} so far); set `assume.{}` of the channel higher",
        seconds(measured.broken_ms),
        seconds(stated_ms),
        model::counted(measured.broken, "time"),
        assumption.name()
    )
}

/// Returns milliseconds as whole seconds, rounded up.
fn seconds(millis: i64) -> i64 {
    millis.saturating_add(999) / 1_000
}

fn unmapped(state: &State, channel: &ChannelId) -> Option<Condition> {
    counted(state.index.of(Kind::Unmapped, channel), |count| {
        format!(
            "{} lines of which it is not known what, or whose stock, they sell; see `evenkeel map list --lines`",
            spoken(count, "order has", "orders have")
        )
    })
}

fn quarantined(state: &State, channel: &ChannelId) -> Option<Condition> {
    let waiting = state.quarantine.values().filter(|item| item.channel == *channel).count();
    let text = || {
        format!("{} could not be read; see `evenkeel quarantine list`", model::counted(waiting, "message"))
    };
    (waiting > 0).then(|| Condition { waiting, ..text().into() })
}

fn braked(state: &State, counter: &Counter) -> Option<Condition> {
    let mut held = state.held.values().filter(|held| held.counter == *counter);
    let waiting = held.clone().count();
    let why = &held.next_back()?.why;
    let text = format!("a count is held: {why}; see `evenkeel dead-letters list`");
    Some(Condition { waiting, ..text.into() })
}

fn circuit(row: &ChannelRow) -> Option<(AlertKind, Option<Condition>)> {
    match &row.circuit {
        Circuit::Open { unauthorized: Some(reason), .. } => {
            Some((AlertKind::LaneStopped, Some(format!("credentials are refused: {reason}").into())))
        }
        Circuit::Open { unauthorized: None, failing, .. } => {
            let why = failing.as_ref().map_or(String::new(), |failing| format!(" ({})", failing.last));
            Some((AlertKind::CircuitOpen, Some(format!("it does not answer{why}; writes wait").into())))
        }
        Circuit::Closed { .. } => None,
    }
}

/// Each kind of notice is an alert of its own.
fn notices<'a>(
    state: &'a State,
    channel: &'a ChannelId,
) -> impl Iterator<Item = (AlertKey, Condition)> + use<'a> {
    let held = state.channels.get(channel).map_or(&[][..], |row| row.notices.as_slice());
    held.iter().map(move |Notice { kind, text, stops }| {
        let stopped = if *stops { "; nothing is written there until then" } else { "" };
        let key = AlertKey { kind: AlertKind::Notice, subject: format!("{channel}/{kind}") };
        (key, Condition { asks: true, ..format!("{text}{stopped}").into() })
    })
}

/// What was never read is late from the opening stock on.
fn feed_late(state: &State, channel: &ChannelId, policy: &ChannelPolicy, now: Timestamp) -> Option<String> {
    if policy.feed_late_ms <= 0 {
        return None;
    }
    let row = state.channels.get(channel);
    let late = |what: &str, read: Option<Timestamp>| {
        let age = now.since(read.or(state.initialised)?);
        let told = match read {
            Some(_) => format!("its {what} were last read {} s ago; see `evenkeel status`", age / 1_000),
            None => format!("its {what} were never read; see `evenkeel status`"),
        };
        Some(told).filter(|_| age > policy.feed_late_ms)
    };
    if policy.abilities.sells {
        return late("orders", row.and_then(|row| row.fed).map(|fed| fed.at));
    }
    policy.abilities.counts?;
    // What was recorded before our own clock was kept goes by the ERP's.
    late("counts", row.and_then(|row| row.counted_at.or(row.counted_through).max(row.swept_at)))
}
