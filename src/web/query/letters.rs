//! Dead letters: everything that waits for a person, under one kind of id.

use crate::{
    core::{
        State,
        command::DeadLetter as Letter,
        decide::listing::is_gone,
        index::Kind,
        leg,
        posting::{ADDED, IN_SHADOW, OLDER, PostState, RESTORED, Step, WHILE_STILL, said},
        record::HeldCount,
        state::{Listing, ListingRef, Quarantined},
    },
    model::{ChannelId, OrderKey, Seq, Sku, counted, shell},
    web::{
        query::{listings, orders},
        view::{DeadLetter, DeadLetters, LetterId},
    },
};

/// How far a channel's orders with unmapped lines are counted, and its drifts.
const COUNT_MAX: usize = 10_000;

/// Which dead letters are meant.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Wanted {
    pub(in crate::web) channel: Option<ChannelId>,
    /// A part of the reason, in lower case.
    pub(in crate::web) reason: Option<String>,
    /// Not the held counts: each of them is judged by itself.
    pub(in crate::web) but_counts: bool,
    /// Not the orders that an ERP may have already: a person answers for them.
    pub(in crate::web) but_asked: bool,
}

impl Wanted {
    pub(in crate::web) fn new(channel: Option<ChannelId>, reason: Option<&str>) -> Wanted {
        Wanted { channel, reason: reason.map(str::to_lowercase), but_counts: false, but_asked: false }
    }

    fn fits(&self, letter: &DeadLetter) -> bool {
        let of_channel = self.channel.as_ref().is_none_or(|channel| letter.channel == *channel);
        let reason = || letter.reason.to_lowercase();
        of_channel
            && self.reason.as_ref().is_none_or(|part| reason().contains(part))
            && !(self.but_counts && matches!(letter.id, LetterId::Count(_)))
            && !(self.but_asked
                && [OLDER, ADDED, IN_SHADOW, RESTORED, WHILE_STILL].contains(&letter.reason.as_str()))
    }
}

/// Returns at most `limit` of those that are meant: held counts and quarantined messages first, because they are few. What is
/// left of channels that are not configured any more comes last.
pub(in crate::web) fn letters(state: &State, wanted: &Wanted, limit: usize) -> DeadLetters {
    let channels = || state.policies().into_iter().flat_map(|policies| policies.channels.keys());
    let all_channels = || channels().chain(state.gone_channels());
    let held = state.held.iter().map(|(id, held)| count(*id, held));
    let quarantined = state.quarantine.iter().map(|(id, item)| message(*id, item));
    let legs = all_channels()
        .flat_map(|channel| listings(state, Kind::Parked, channel))
        .filter_map(|listing| leg_letter(state, listing));
    let postings = all_channels().flat_map(|channel| {
        let kinds = waiting(state, channel).iter();
        let keys = kinds.flat_map(move |kind| orders(state, *kind, channel));
        keys.filter_map(move |key| posting(state, channel, key))
    });
    let all = held.chain(quarantined).chain(legs).chain(postings).filter(|letter| wanted.fits(letter));
    let mut letters: Vec<DeadLetter> = all.take(limit.saturating_add(1)).collect();
    let more = letters.len() > limit;
    letters.truncate(limit);
    let unmapped = channels().map(|channel| state.index.of(Kind::Unmapped, channel).take(COUNT_MAX).count());
    DeadLetters {
        unmapped_orders: unmapped.sum(),
        drifts: drifts(state, wanted.channel.as_ref()),
        letters,
        more,
    }
}

/// Counts, among so many that fit otherwise, the held counts and the orders that are left out because they are to be.
pub(in crate::web) fn left_out(state: &State, wanted: &Wanted, limit: usize) -> [usize; 2] {
    let all = letters(state, &Wanted { but_counts: false, but_asked: false, ..wanted.clone() }, limit);
    let left = all.letters.iter().filter(|letter| !wanted.fits(letter));
    let (counts, asked): (Vec<&DeadLetter>, Vec<&DeadLetter>) =
        left.partition(|letter| matches!(letter.id, LetterId::Count(_)));
    [counts.len(), asked.len()]
}

/// Returns what of a channel's postings waits for a person: of an ERP that is not configured any more, all that it was not told.
fn waiting(state: &State, channel: &ChannelId) -> &'static [Kind] {
    if state.is_configured(channel) {
        &[Kind::PostParked]
    } else {
        &[Kind::PostParked, Kind::Post, Kind::Posting]
    }
}

/// Counts what is left of channels that are not configured any more.
pub(super) fn left_of_gone(state: &State) -> usize {
    let of = |channel| {
        let postings = waiting(state, channel).iter().map(|kind| state.index.of(*kind, channel).count());
        postings.sum::<usize>() + state.index.of(Kind::Parked, channel).count()
    };
    state.gone_channels().map(of).sum()
}

/// Counts the listings whose drift waits for a person and that are no dead letter besides.
fn drifts(state: &State, only: Option<&ChannelId>) -> usize {
    let channels = state.policies().into_iter().flat_map(|policies| policies.channels.keys());
    let channels = channels.filter(|channel| only.is_none_or(|only| only == *channel));
    let open = channels.flat_map(|channel| listings(state, Kind::Drifts, channel).take(COUNT_MAX));
    open.filter(|listing| leg_letter(state, listing).is_none()).count()
}

/// Returns what an id stands for. `None`: there is no such dead letter.
pub(in crate::web) fn find(state: &State, id: &LetterId) -> Option<Letter> {
    match id {
        LetterId::Leg { channel, sku, n } => {
            let listing = ListingRef { sku: sku.clone(), at: *n };
            let held = state.listing(&listing).filter(|held| held.channel == *channel)?;
            // What was given up is no dead letter any more, and may be taken up again.
            let stands = |leg: &leg::Leg| match leg.state {
                leg::State::Parked { .. } => true,
                leg::State::Dropped => held.writable(),
                leg::State::Pending
                | leg::State::InFlight(_)
                | leg::State::Accepted { .. }
                | leg::State::Probing { .. }
                | leg::State::Looking { .. }
                | leg::State::Retry { .. }
                | leg::State::Confirmed => false,
            };
            held.leg.as_ref().is_some_and(stands).then_some(Letter::Leg(listing))
        }
        LetterId::Posting { channel, order } => {
            let held = state.orders.get(order)?;
            let posting = held.posting(channel)?;
            // Of an order that is left to others it may be said that they have booked it.
            let stands = waits_for(state, posting).is_some() || posting.is_unseen(held);
            stands.then(|| Letter::Posting { channel: channel.clone(), order: order.clone() })
        }
        LetterId::Count(id) => state.held.contains_key(id).then_some(Letter::Count(*id)),
        LetterId::Quarantine(id) => state.quarantine.contains_key(id).then_some(Letter::Quarantine(*id)),
    }
}

/// Tells whether it can be tried again at all: what must not be written is taken up by itself once it may be.
pub(in crate::web) fn may_retry(state: &State, letter: &Letter) -> bool {
    match letter {
        Letter::Leg(listing) => state.listing(listing).is_some_and(|held| may_write(state, held)),
        Letter::Posting { channel, .. } => state.is_configured(channel),
        Letter::Count(_) | Letter::Quarantine(_) => true,
    }
}

fn may_write(state: &State, held: &Listing) -> bool {
    held.writable() && !is_gone(state.policies(), held)
}

/// Returns a command that can be given to a shell.
pub(in crate::web) fn command(verb: &str, id: &LetterId) -> String {
    format!("evenkeel dead-letters {verb} {}", shell(id))
}

fn count(id: Seq, held: &HeldCount) -> DeadLetter {
    DeadLetter {
        tries: 0,
        command: command("retry", &LetterId::Count(id)),
        other: Some(command("discard", &LetterId::Count(id))),
        id: LetterId::Count(id),
        kind: "count".to_owned(),
        channel: held.counter.clone(),
        subject: format!("a count of {}", counted(held.lines.len(), "SKU")),
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
        tries: 0,
        command: command("retry", &LetterId::Quarantine(id)),
        other: None,
        id: LetterId::Quarantine(id),
        kind: "quarantine".to_owned(),
        channel: item.channel.clone().into(),
        subject,
        reason: format!("{}; see `evenkeel quarantine show {id}`", item.why),
        since: item.at.into(),
        retry: format!("reads it again; `evenkeel quarantine replay {id}` does the same, with --dry-run"),
        discard: format!("gives it up; `evenkeel quarantine discard {id} --reason WHY` says why"),
    }
}

fn leg_letter(state: &State, listing: &ListingRef) -> Option<DeadLetter> {
    let held = state.listing(listing)?;
    let leg = held.leg.as_ref()?;
    let leg::State::Parked { reason, at } = &leg.state else { return None };
    let (channel, sku): (ChannelId, Sku) = (held.channel.clone(), listing.sku.clone());
    let id = LetterId::Leg { channel: channel.clone(), sku, n: listing.at };
    let gone = is_gone(state.policies(), held);
    Some(DeadLetter {
        tries: leg.tries,
        command: command(if may_write(state, held) { "retry" } else { "discard" }, &id),
        other: None,
        subject: listing.sku.to_string(),
        id,
        kind: "leg".to_owned(),
        channel: channel.into(),
        reason: if gone {
            format!("{}; before that: {reason}", gone_text(state, held))
        } else {
            reason.to_string()
        },
        since: (*at).into(),
        retry: match held.writable() {
            _ if gone => WHEN_BACK.to_owned(),
            true => "writes the quantity again".to_owned(),
            false => "does nothing: once it may be written, it is taken up by itself".to_owned(),
        },
        discard: match held.writable() {
            _ if gone => "leaves the listing as it is".to_owned(),
            true => "leaves the listing as it is until its quantity changes".to_owned(),
            false => {
                "leaves it to the channel, which is right for a bundle of its own, until it may be written"
                    .to_owned()
            }
        },
    })
}

/// What `retry` does where nothing can be sent.
const WHEN_BACK: &str = "does nothing until it is configured again";

/// Says that nothing can be written to a listing any more.
pub(super) fn gone_text(state: &State, held: &Listing) -> String {
    let channel = &held.channel;
    match state.is_configured(channel) {
        true => format!("this place of `{channel}` is not configured any more, so nothing is written there"),
        false => format!("`{channel}` is not configured any more, so nothing is read or written there"),
    }
}

/// Returns why a posting waits for a person, if it does.
pub(super) fn waits_for(state: &State, posting: &PostState) -> Option<String> {
    let channel = &posting.channel;
    match &posting.step {
        Step::Parked { reason } => Some(said(reason).to_owned()),
        Step::Pending | Step::InFlight { .. } | Step::Retry { .. } if !state.is_configured(channel) => {
            Some(format!("`{channel}` is not configured any more, so it is not told of this"))
        }
        Step::Pending
        | Step::InFlight { .. }
        | Step::Retry { .. }
        | Step::Done
        | Step::Dropped
        | Step::Theirs
        | Step::Watched => None,
    }
}

fn posting(state: &State, channel: &ChannelId, key: &OrderKey) -> Option<DeadLetter> {
    let posting = state.orders.get(key)?.posting(channel)?;
    let reason = waits_for(state, posting)?;
    let gone = !state.is_configured(channel);
    let id = LetterId::Posting { channel: channel.clone(), order: key.clone() };
    Some(DeadLetter {
        tries: posting.tries,
        command: command(if gone { "discard" } else { "retry" }, &id),
        other: (posting.is_asked() && !gone).then(|| command("discard", &id)),
        id,
        kind: "posting".to_owned(),
        channel: channel.clone().into(),
        subject: key.to_string(),
        reason,
        since: posting.since.into(),
        retry: match gone {
            true => WHEN_BACK.to_owned(),
            false => "looks up what the ERP holds and posts what is missing".to_owned(),
        },
        discard: match posting.is_asked() {
            true => "leaves it to whoever enters it in the ERP, for good".to_owned(),
            false => "leaves the ERP as it is until the order changes".to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{core::posting::STILL, model::Timestamp};

    #[test]
    fn orders_that_an_erp_may_have_are_left_out_and_the_words_fit_a_restore_too() {
        let letter = |reason: &str| DeadLetter {
            id: "posting:erp:main:1".parse().expect("an id"),
            kind: "posting".to_owned(),
            channel: "erp".parse::<ChannelId>().expect("a name").into(),
            subject: "main:1".to_owned(),
            reason: said(reason).to_owned(),
            since: Timestamp::ZERO.into(),
            tries: 0,
            command: String::new(),
            other: None,
            retry: String::new(),
            discard: String::new(),
        };
        let all = Wanted { but_asked: true, ..Wanted::default() };
        for reason in [OLDER, ADDED, IN_SHADOW, RESTORED, STILL] {
            assert!(!all.fits(&letter(reason)), "{reason}");
        }
        assert!(all.fits(&letter("the ERP refuses it")));
        let still = letter(STILL).reason;
        assert!(still.contains("mode was `shadow`") && still.contains("`evenkeel resume --live`"), "{still}");
        assert_eq!(said(OLDER), OLDER);
    }

    #[test]
    fn the_command_that_helps_can_be_given_to_a_shell() {
        let check = |sku: &str, want: &str| {
            let (channel, sku) = ("main".parse().expect("a name"), sku.parse().expect("a SKU"));
            let command = command("retry", &LetterId::Leg { channel, sku, n: 0 });
            assert_eq!(command, format!("evenkeel dead-letters retry {want}"));
        };
        check("TSHIRT/BL-M", "leg:main:TSHIRT/BL-M:0");
        check("A B", "'leg:main:A B:0'");
        check("12' $x", r#""leg:main:12' "'$x:0'"#);
        check("a|b", "'leg:main:a|b:0'");
    }
}
