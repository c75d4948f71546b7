//! Dead letters: everything that waits for a person, under one kind of id.

use crate::{
    core::{
        State,
        command::DeadLetter as Letter,
        index::Kind,
        leg,
        posting::Step,
        record::HeldCount,
        state::{ListingRef, Quarantined},
    },
    model::{ChannelId, OrderKey, Seq, Sku},
    web::{
        query::{listings, orders},
        view::{DeadLetter, DeadLetters, LetterId},
    },
};

/// Returns at most `limit` of them: held counts and quarantined messages first, because they are few.
pub(in crate::web) fn letters(state: &State, limit: usize) -> DeadLetters {
    let channels = || state.policies().into_iter().flat_map(|policies| policies.channels.keys());
    let held = state.held.iter().map(|(id, held)| count(*id, held));
    let quarantined = state.quarantine.iter().map(|(id, item)| message(*id, item));
    let legs = channels()
        .flat_map(|channel| listings(state, Kind::Parked, channel))
        .filter_map(|listing| leg_letter(state, listing));
    let postings = channels().flat_map(|channel| {
        orders(state, Kind::PostParked, channel).filter_map(move |key| posting(state, channel, key))
    });
    let all = held.chain(quarantined).chain(legs).chain(postings);
    let mut letters: Vec<DeadLetter> = all.take(limit.saturating_add(1)).collect();
    let more = letters.len() > limit;
    letters.truncate(limit);
    DeadLetters { letters, more }
}

/// Returns what an id stands for. `None`: there is no such dead letter.
pub(in crate::web) fn find(state: &State, id: &LetterId) -> Option<Letter> {
    match id {
        LetterId::Leg { channel, sku, n } => {
            let listing = ListingRef { sku: sku.clone(), at: *n };
            let held = state.listing(&listing).filter(|held| held.channel == *channel)?;
            let parked = held.leg.as_ref().is_some_and(|leg| matches!(leg.state, leg::State::Parked { .. }));
            parked.then_some(Letter::Leg(listing))
        }
        LetterId::Posting { channel, order } => {
            let posting = state.orders.get(order)?.posting(channel)?;
            let parked = matches!(posting.step, Step::Parked { .. });
            parked.then(|| Letter::Posting { channel: channel.clone(), order: order.clone() })
        }
        LetterId::Count(id) => state.held.contains_key(id).then_some(Letter::Count(*id)),
        LetterId::Quarantine(id) => state.quarantine.contains_key(id).then_some(Letter::Quarantine(*id)),
    }
}

fn count(id: Seq, held: &HeldCount) -> DeadLetter {
    DeadLetter {
        id: LetterId::Count(id),
        kind: "count".to_owned(),
        channel: held.counter.clone(),
        subject: format!("a count of {} SKUs", held.lines.len()),
        reason: held.why.clone(),
        since: held.as_of.into(),
        retry: "takes the count over, less what was sold since".to_owned(),
        discard: "throws the count away; the next one is judged anew".to_owned(),
    }
}

fn message(id: Seq, item: &Quarantined) -> DeadLetter {
    let subject = match &item.id {
        Some(id) => format!("{} {id}", item.topic),
        None => item.topic.clone(),
    };
    DeadLetter {
        id: LetterId::Quarantine(id),
        kind: "quarantine".to_owned(),
        channel: item.channel.clone(),
        subject,
        reason: format!("{}; its body lies in quarantine/{}", item.why, item.sha256),
        since: item.at.into(),
        retry: "closes it: what it told is read from the channel again anyway".to_owned(),
        discard: "closes it".to_owned(),
    }
}

fn leg_letter(state: &State, listing: &ListingRef) -> Option<DeadLetter> {
    let held = state.listing(listing)?;
    let leg::State::Parked { reason, at } = &held.leg.as_ref()?.state else { return None };
    let (channel, sku): (ChannelId, Sku) = (held.channel.clone(), listing.sku.clone());
    Some(DeadLetter {
        subject: sku.to_string(),
        id: LetterId::Leg { channel: channel.clone(), sku, n: listing.at },
        kind: "leg".to_owned(),
        channel,
        reason: reason.to_string(),
        since: (*at).into(),
        retry: "writes the quantity again".to_owned(),
        discard: "leaves the listing as it is until its quantity changes".to_owned(),
    })
}

fn posting(state: &State, channel: &ChannelId, key: &OrderKey) -> Option<DeadLetter> {
    let posting = state.orders.get(key)?.posting(channel)?;
    let Step::Parked { reason } = &posting.step else { return None };
    Some(DeadLetter {
        id: LetterId::Posting { channel: channel.clone(), order: key.clone() },
        kind: "posting".to_owned(),
        channel: channel.clone(),
        subject: key.to_string(),
        reason: reason.to_string(),
        since: posting.since.into(),
        retry: "looks up what the ERP holds and posts what is missing".to_owned(),
        discard: "leaves the ERP as it is until the order changes".to_owned(),
    })
}
