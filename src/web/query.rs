//! From the state to what people ask about it. Pure; bounded in what it gives out, so that the ledger is not held up.

pub(super) mod commits;
pub(super) mod drift;
pub(super) mod letters;
pub(super) mod mapping;
pub(super) mod order;
pub(super) mod outbox;
pub(super) mod quarantine;
pub(super) mod returns;
pub(super) mod sku;
pub(super) mod status;

use crate::{
    core::{
        State,
        allocation::Pause,
        circuit::{Circuit, Failing},
        decide::{lane::waits_for, listing::is_gone, suspects::fails_alone},
        index::{Kind, Work},
        leg,
        state::{Alert, AlertKey, ChannelRow, Listing, ListingRef},
    },
    model::{ChannelId, Mode, Quantity, Timestamp, counted},
    web::view::{AlertView, Alerts, LetterId, Time},
};

/// Returns every alert: those that fire first, the oldest first.
pub(super) fn alerts(state: &State, now: Timestamp) -> Alerts {
    let mut alerts: Vec<AlertView> =
        state.alerts.iter().map(|(key, alert)| alert_view(key, alert, now)).collect();
    alerts.sort_by_key(|alert| (!alert.firing, alert.since));
    Alerts { alerts, disk: None }
}

fn alert_view(key: &AlertKey, alert: &Alert, now: Timestamp) -> AlertView {
    let told = alert.told.filter(|(firing, _)| *firing == alert.firing);
    AlertView {
        kind: key.kind.name().to_owned(),
        subject: key.subject.clone(),
        text: alert.text.clone(),
        firing: alert.firing,
        since: alert.raised_at.into(),
        age_ms: now.since(alert.raised_at),
        told_at: told.map(|(_, at)| at.into()),
        tries: alert.tries,
    }
}

/// Returns the listings of one kind of work on a channel.
fn listings<'a>(
    state: &'a State,
    kind: Kind,
    channel: &'a ChannelId,
) -> impl Iterator<Item = &'a ListingRef> + 'a {
    state.index.of(kind, channel).filter_map(|work| match work {
        Work::Ready { listing, .. }
        | Work::Retry { listing, .. }
        | Work::Look { listing, .. }
        | Work::Fencing { listing, .. }
        | Work::Unsettled { listing, .. }
        | Work::Bulked { listing, .. }
        | Work::InFlight { listing, .. }
        | Work::Unseen { listing, .. }
        | Work::Parked { listing, .. }
        | Work::Dropped { listing, .. }
        | Work::Suspect { listing, .. }
        | Work::Drifts { listing, .. }
        | Work::Drifted { listing, .. } => Some(listing),
        Work::Fetch { .. }
        | Work::Unmapped { .. }
        | Work::UnmappedItem { .. }
        | Work::Unbound { .. }
        | Work::Ignored { .. }
        | Work::Post { .. }
        | Work::Posting { .. }
        | Work::PostLate { .. }
        | Work::PostParked { .. }
        | Work::Unposted { .. }
        | Work::Older { .. } => None,
    })
}

/// Returns the orders of one kind of work on a channel.
fn orders<'a>(
    state: &'a State,
    kind: Kind,
    channel: &'a ChannelId,
) -> impl Iterator<Item = &'a crate::model::OrderKey> + 'a {
    state.index.of(kind, channel).filter_map(|work| match work {
        Work::Fetch { order, .. }
        | Work::Unmapped { order, .. }
        | Work::UnmappedItem { order, .. }
        | Work::Unbound { order, .. }
        | Work::Ignored { order, .. }
        | Work::Post { order, .. }
        | Work::Posting { order, .. }
        | Work::PostLate { order, .. }
        | Work::PostParked { order, .. }
        | Work::Unposted { order, .. }
        | Work::Older { order, .. } => Some(order),
        Work::Ready { .. }
        | Work::Retry { .. }
        | Work::Look { .. }
        | Work::Fencing { .. }
        | Work::Unsettled { .. }
        | Work::Bulked { .. }
        | Work::InFlight { .. }
        | Work::Unseen { .. }
        | Work::Parked { .. }
        | Work::Dropped { .. }
        | Work::Suspect { .. }
        | Work::Drifts { .. }
        | Work::Drifted { .. } => None,
    })
}

/// Returns when a leg is next sent or looked at, if that is known.
fn next_at(leg: &leg::Leg) -> Option<Timestamp> {
    match &leg.state {
        leg::State::Retry { at } => Some(*at),
        leg::State::Accepted { look_at, .. }
        | leg::State::Probing { look_at, .. }
        | leg::State::Looking { look_at, .. } => Some(*look_at),
        leg::State::Pending
        | leg::State::InFlight(_)
        | leg::State::Confirmed
        | leg::State::Parked { .. }
        | leg::State::Dropped => None,
    }
}

/// Returns why a leg has not arrived, for people. `None`: it has.
fn why(state: &State, listing: &ListingRef, held: &Listing, now: Timestamp) -> Option<String> {
    if is_gone(state.policies(), held) {
        return Some(letters::gone_text(state, held));
    }
    let leg = held.leg.as_ref()?;
    let before_sending = |otherwise: String| {
        paused(state, listing, held).or_else(|| waits_for(state, listing, now)).unwrap_or(otherwise)
    };
    let row = state.channels.get(&held.channel);
    let open = row.and_then(circuit_open);
    let once_closed = |why: &str| match &open {
        Some(open) => format!("{open}, and nothing is looked at: {why}"),
        None => why.to_owned(),
    };
    if let Some(why) = failing(state, listing, held, leg) {
        return Some(why);
    }
    Some(match &leg.state {
        leg::State::Confirmed => return None,
        leg::State::Pending => before_sending("it is about to be sent".to_owned()),
        leg::State::Retry { .. } => before_sending(match leg.tries {
            0 => "it goes again".to_owned(),
            1 => "1 try did not go through; it goes again".to_owned(),
            tries => format!("{tries} tries in a row did not go through; it goes again"),
        }),
        leg::State::InFlight(sent) => format!("the channel's answer is awaited{}", changed(sent)),
        leg::State::Accepted { sent, .. } => {
            once_closed(&format!("the channel took it{}; it counts when it is seen live", changed(sent)))
        }
        leg::State::Probing { sent, .. } => once_closed(&match sent.delta {
            None => "the answer is not known; it is looked at before it is sent again".to_owned(),
            Some(_) => format!("the answer is not known{}, and that is never sent again", changed(sent)),
        }),
        leg::State::Looking { .. } => once_closed("what the channel shows is looked at first"),
        leg::State::Parked { reason, .. } => format!("waits for a person: {reason}"),
        leg::State::Dropped => {
            let (channel, sku) = (held.channel.clone(), listing.sku.clone());
            let again = letters::command("retry", &LetterId::Leg { channel, sku, n: listing.at });
            format!("{}; the next change starts it again, and so does `{again}`", given_up(held))
        }
    })
}

/// Says why nothing is written to a listing before its next change.
fn given_up(held: &Listing) -> String {
    match held.drift.as_deref().filter(|_| held.left_to_theirs()) {
        Some(drift) => {
            format!(
                "`theirs` of `[drift]` leaves the lower {} that another writer has set there",
                drift.observed
            )
        }
        None => "a person gave it up".to_owned(),
    }
}

/// Says of a delta by how much it changes what is shown.
fn changed(sent: &leg::Sent) -> String {
    let by = |delta: Quantity| format!(": what is shown is lowered by {}", delta.neg().unwrap_or(delta));
    sent.delta.map_or_else(String::new, by)
}

/// Says so where requests to the channel fail: it may be down, or this listing may be what makes them fail.
fn failing(state: &State, listing: &ListingRef, held: &Listing, leg: &leg::Leg) -> Option<String> {
    let row = state.channels.get(&held.channel)?;
    let open = circuit_open(row);
    let then = match &leg.state {
        leg::State::Pending | leg::State::Retry { .. } => "it goes again",
        leg::State::Probing { .. } => "it is looked at before it is sent again",
        leg::State::InFlight(_)
        | leg::State::Accepted { .. }
        | leg::State::Looking { .. }
        | leg::State::Confirmed
        | leg::State::Parked { .. }
        | leg::State::Dropped => return None,
    };
    if state.mode() != Some(Mode::Live) || paused(state, listing, held).is_some() {
        return None;
    }
    if let Some(open) = open {
        // What is looked at says so itself.
        return (!matches!(leg.state, leg::State::Probing { .. })).then_some(open);
    }
    let down = row.circuit.failing().filter(|_| leg.tries > 0 && is_down(row, leg));
    if let Some(down) = down {
        return Some(format!("{}; {then}", fails_since(down)));
    }
    fails_alone(state, held).then(|| {
        let said = row.circuit.said_of(listing);
        let last = said.map_or(String::new(), |said| format!(" (the last: {said})"));
        format!(
            "{} in a row failed{last}, while the channel answers otherwise: it goes by itself, further and further \
             apart, and no other waits for it",
            counted(leg.tries, "try")
        )
    })
}

/// Says that nothing but a probe is sent to a channel, since when its requests fail, and with what. `None`: it is not so.
pub(super) fn circuit_open(row: &ChannelRow) -> Option<String> {
    if !row.circuit.is_open() {
        return None;
    }
    let why = row.circuit.failing().map_or(String::new(), |failing| format!(" ({})", fails_since(failing)));
    Some(match &row.circuit {
        Circuit::Open { unauthorized: Some(said), .. } => {
            format!("the channel's circuit is open: it refuses the credentials ({said})")
        }
        Circuit::Open { unauthorized: None, .. } | Circuit::Closed { .. } => {
            format!("the channel's circuit is open{why}")
        }
    })
}

fn fails_since(failing: &Failing) -> String {
    format!("requests to it fail since {}, the last with: {}", Time(failing.since), failing.last)
}

/// Tells whether a channel seems to be down, and not only this listing to fail: nothing was heard of it since that failed.
fn is_down(row: &ChannelRow, leg: &leg::Leg) -> bool {
    let Some(failing) = row.circuit.failing() else { return false };
    let failed = leg.suspect.as_deref().map_or(failing.since, |suspect| suspect.at);
    row.fed.is_none_or(|fed| fed.begun_at <= failed)
}

fn paused(state: &State, listing: &ListingRef, held: &Listing) -> Option<String> {
    let of_sku = state.skus.get(&listing.sku).and_then(|row| row.pause);
    let of_channel = state.channels.get(&held.channel).and_then(|row| row.pause);
    if of_sku == Some(Pause::Frozen) {
        return Some("the SKU is paused (frozen); see `evenkeel resume`".to_owned());
    }
    (of_channel == Some(Pause::Frozen))
        .then(|| "the channel is paused (frozen); see `evenkeel resume`".to_owned())
}
