//! What a person says: pause, go on, try again, leave it.

use crate::{
    core::{
        allocation::Pause,
        command::{DeadLetter, Refused, Reply, Verdict},
        decide::{Draft, listing::is_gone},
        leg::{self, Event},
        posting::{PostState, Step, news},
        record::{PauseScope, Record, Why},
        state::{Listing, ListingRef},
    },
    model::{ChannelId, OrderKey, Sku},
};

impl Draft<'_> {
    /// Lets a restored store write. What the channels show was forgotten when it was restored, so nothing is raised before
    /// they are looked at and their orders are read.
    pub(super) fn live(&mut self) -> Result<Reply, Refused> {
        if self.state.restored.is_none() {
            return Err(Refused::NotSo("the store was not restored, or writes again already".to_owned()));
        }
        self.note(Record::Live)
    }

    pub(super) fn pause(&mut self, scope: PauseScope, pause: Option<Pause>) -> Result<Reply, Refused> {
        match &scope {
            PauseScope::Sku(sku) if !self.state.skus.contains_key(sku) => {
                return Err(Refused::Nothing(format!("SKU `{sku}`")));
            }
            PauseScope::Sku(_) => {}
            PauseScope::Channel(channel) => self.known(channel)?,
        }
        match scope {
            // It is listed by each of its names.
            PauseScope::Sku(sku) => {
                for sku in self.state.names_of(&sku) {
                    self.emit(Record::Paused { scope: PauseScope::Sku(sku.clone()), pause });
                    self.refresh(&sku, self.now);
                }
            }
            PauseScope::Channel(_) => {
                self.emit(Record::Paused { scope, pause });
                self.recheck_skus();
            }
        }
        Ok(Reply::Done)
    }

    /// Has all names of a SKU be under the pause of any of them.
    pub(super) fn pause_alike(&mut self, sku: &Sku) {
        let (names, pause) = self.state.paused_unlike(sku);
        for name in names {
            self.emit(Record::Paused { scope: PauseScope::Sku(name), pause });
        }
    }

    pub(super) fn dead(&mut self, letter: DeadLetter, verdict: Verdict) -> Result<Reply, Refused> {
        match letter {
            DeadLetter::Leg(listing) => self.dead_leg(&listing, verdict),
            DeadLetter::Posting { channel, order } => self.dead_posting(&channel, &order, verdict),
            DeadLetter::Count(id) => self.unhold(id, verdict == Verdict::Retry),
            DeadLetter::Quarantine(id) => match verdict {
                Verdict::Retry => self.note_quarantine_over(id),
                Verdict::Discard => self.unquarantine(id, None),
            },
        }
    }

    fn dead_leg(&mut self, listing: &ListingRef, verdict: Verdict) -> Result<Reply, Refused> {
        let held = self.state.listing(listing);
        let state = held.and_then(|held| held.leg.as_ref()).map(|leg| &leg.state);
        if let (Some(leg::State::Parked { .. } | leg::State::Dropped), Verdict::Retry, Some(held)) =
            (state, verdict, held.filter(|held| is_gone(self.state.policies(), held)))
        {
            let what = if self.state.is_configured(&held.channel) { "that place of" } else { "channel" };
            return Err(not_configured(what, &held.channel));
        }
        if let (Some(leg::State::Parked { .. }), Verdict::Retry, Some(held)) = (state, verdict, held)
            && let Some(why) = held.why_unwritable()
        {
            return Err(Refused::NotSo(format!(
                "SKU `{}` must not be written on `{}`: {why}; once it may be, the next read of the catalogue takes it up by itself",
                listing.sku, held.channel
            )));
        }
        let (event, why) = match (state, verdict) {
            (Some(leg::State::Parked { .. }), Verdict::Retry) => (Event::Retried, Why::Retried),
            (Some(leg::State::Parked { .. }), Verdict::Discard) => (Event::Discarded, Why::Discarded),
            // A person has thought better of it.
            (Some(leg::State::Dropped), Verdict::Retry) if held.is_some_and(Listing::writable) => {
                (Event::Repair { cause: self.seq }, Why::Retried)
            }
            (Some(leg::State::Dropped), Verdict::Discard) => {
                let on = held.map_or("", |held| held.channel.as_str());
                return Err(Refused::NotSo(format!("SKU `{}` is given up on `{on}` already", listing.sku)));
            }
            _ => return Err(Refused::Nothing(format!("dead letter of SKU `{}`", listing.sku))),
        };
        self.advance(listing, event, why, None, |_| {});
        self.drift_answered(listing, verdict == Verdict::Retry);
        // What was given up keeps no commit open.
        self.end_commits(&listing.sku);
        Ok(Reply::Done)
    }

    fn dead_posting(
        &mut self,
        channel: &ChannelId,
        order: &OrderKey,
        verdict: Verdict,
    ) -> Result<Reply, Refused> {
        let nothing = || Refused::Nothing(format!("dead letter of order `{order}`"));
        let row = self.state.orders.get(order).ok_or_else(nothing)?;
        let held = row.posting(channel).cloned().ok_or_else(nothing)?;
        let gone = !self.state.is_configured(channel);
        if gone && verdict == Verdict::Retry {
            return Err(not_configured("channel", channel));
        }
        let waits = match held.step {
            Step::Parked { .. } => true,
            // Nobody will ever tell it of this.
            Step::Pending | Step::InFlight { .. } | Step::Retry { .. } => gone,
            Step::Done | Step::Dropped | Step::Theirs | Step::Watched => false,
        };
        if verdict == Verdict::Discard && (held.is_asked() || held.is_unseen(row)) {
            return self.left_to_others(order, held);
        }
        if !waits {
            return Err(nothing());
        }
        let step = if verdict == Verdict::Retry { Step::Pending } else { Step::Dropped };
        // What it was not told of is in its counts until somebody books it there.
        let by_hand = step == Step::Dropped && self.counts(channel);
        let news = if by_hand { news(row) } else { Ok(Vec::new()) };
        let news = news.map_err(|_| Refused::OutOfRange(format!("order `{order}`")))?;
        let locations = self.channel(channel).map(|policy| policy.locations).unwrap_or_default();
        let mut posting = PostState { step, tries: 0, since: self.now, fault: None, by_hand, ..held };
        posting.take_elsewhere(news, &locations);
        self.note(Record::Posting { key: order.clone(), posting })
    }

    /// A person says that an ERP has an order, as it stands, by other hands. Counts that were read before wait for the next.
    fn left_to_others(&mut self, key: &OrderKey, held: PostState) -> Result<Reply, Refused> {
        let order = self.state.orders.get(key).ok_or_else(|| Refused::Nothing(format!("order `{key}`")))?;
        let out_of_range = |_| Refused::OutOfRange(format!("order `{key}`"));
        let (acked, acked_at) = (news(order).map_err(out_of_range)?, self.seq);
        let step = if self.counts(&held.channel) { Step::Watched } else { Step::Theirs };
        let (tries, since, fault, unsure, by_hand) = (0, self.now, None, false, false);
        let posting = PostState { step, acked, acked_at, tries, since, fault, unsure, by_hand, ..held };
        self.note(Record::Posting { key: key.clone(), posting })
    }

    fn counts(&self, channel: &ChannelId) -> bool {
        let policy = self.state.policies().and_then(|policies| policies.channels.get(channel));
        policy.is_some_and(|policy| policy.abilities.counts.is_some())
    }
}

fn not_configured(what: &str, channel: &ChannelId) -> Refused {
    Refused::NotSo(format!(
        "{what} `{channel}` is not configured any more, so nothing is sent there; discard what waits for it"
    ))
}
