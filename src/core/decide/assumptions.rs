//! Measures what is assumed of a channel's delays, each time that it shows.

use crate::{
    core::{
        assumption::Assumption,
        decide::Draft,
        drift::Done,
        leg::{self, Look},
        record::{Record, Why},
        state::ListingRef,
        writes::SKEW_MS,
    },
    model::{ChannelId, OrderKey, OrderSnapshot, Quantity, Visible, policy::ChannelPolicy},
};

/// For how long a write that was settled by age is still recognised.
const LAPSED_MS: i64 = 24 * 3_600_000;

impl Draft<'_> {
    /// Measures how long orders that come to light hid from the feed: the latest whole read of it had begun after they
    /// were placed, and did not tell of them. One that hid longer than is assumed has broken a fence: what was judged by
    /// it may be wrong. Such an order lowers what is available as any other; the look after it tells what is shown.
    pub(super) fn note_lag(&mut self, channel: &ChannelId, orders: &[OrderSnapshot]) {
        let Some(policies) = self.state.policies.clone() else { return };
        let Some(policy) = policies.channels.get(channel).filter(|policy| policy.abilities.sells) else {
            return;
        };
        let fed = self.state.channels.get(channel).and_then(|row| row.fed);
        let (Some(fed), Some(opened)) = (fed, self.state.initialised) else { return };
        // What is older than the opening stock is in it, wherever it was.
        let fresh = |order: &&OrderSnapshot| {
            let key = OrderKey { channel: channel.clone(), order: order.order.clone() };
            order.placed_at > opened && self.state.order(&key).is_none_or(|held| held.lines.is_empty())
        };
        let hid = |order: &OrderSnapshot| fed.begun_at.since(order.placed_at);
        let longest = orders.iter().filter(fresh).max_by_key(|order| hid(order));
        let Some(order) = longest.filter(|order| hid(order) > 0) else { return };
        self.measured(channel, policy, Assumption::FeedLag, hid(order), order.order.to_string());
    }

    /// Measures how late a write landed that a look shows. Zero is no proof of one: it shows for many reasons, such as a pause.
    pub(super) fn note_landed(
        &mut self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        shown: Quantity,
        look: Look,
    ) {
        let Some(held) = self.state.listing(listing).filter(|_| shown > Quantity::ZERO) else { return };
        let awaited = held.leg.as_ref().filter(|leg| matches!(leg.state, leg::State::InFlight(_)));
        let awaited = awaited.and_then(|leg| leg.sent()).map(|sent| sent.key.clone());
        let base = held.writes.base;
        let landed = |write: &&leg::Unsettled| {
            // How long a bulk takes says nothing of that.
            let alone = write.bulk.is_none() && Some(&write.key) != awaited.as_ref();
            alone && shows(write.quantity, write.delta, base, shown)
        };
        let Some(late) = held.writes.unsettled.iter().rfind(landed).map(|write| look.at.since(write.at))
        else {
            return;
        };
        let channel = held.channel.clone();
        self.measured(&channel, policy, Assumption::Late, late, listing.sku.to_string());
    }

    /// Measures a write that nobody waited for any more, if that is what a look shows instead of what is expected. Zero is
    /// no proof of it; nor is anything where the write would have been refused, as it compared with something else.
    pub(super) fn note_lapsed(
        &mut self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        [expected, shown]: [Quantity; 2],
        look: Look,
    ) {
        let Some(held) = self.state.listing(listing) else { return };
        let is_it = |lapsed: &&leg::Lapsed| {
            let fits = lapsed.compare.is_none_or(|compare| compare == expected) && shown > Quantity::ZERO;
            fits && shows(lapsed.quantity, lapsed.delta, held.writes.base, shown)
        };
        let Some(lapsed) = held.writes.lapsed.as_deref().filter(is_it) else { return };
        let late = look.at.since(lapsed.at);
        if late < LAPSED_MS {
            let channel = held.channel.clone();
            self.measured(&channel, policy, Assumption::Late, late, listing.sku.to_string());
        }
    }

    /// Measures how old a read was that showed what a write had replaced by then. `proven`: a later read shows the write.
    pub(super) fn note_stale(
        &mut self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        look: Look,
        proven: bool,
    ) {
        let Some(held) = self.state.listing(listing) else { return };
        let Some(leg::State::Accepted { sent, .. }) = held.leg.as_ref().map(|leg| &leg.state) else { return };
        if policy.abilities.visible != Visible::AtOnce || sent.compare != Some(look.seen) {
            return;
        }
        // From the acknowledgement on the channel shows it; what is trusted begins one bound later.
        let acknowledged = held.writes.trust_from.plus_millis(-policy.abilities.stale_ms);
        let old = look.at.since(acknowledged);
        if old > 0 && sent.quantity != look.seen && (proven || look.at < held.writes.trust_from) {
            let channel = held.channel.clone();
            self.measured(&channel, policy, Assumption::Stale, old, listing.sku.to_string());
        }
    }

    /// Measures how old a read was that showed what a write of ours had replaced by then, and that passed for a change by somebody
    /// else: a later look shows what was expected then, with nothing in between that would explain it. What it was taken for
    /// is over, and what the later look shows is believed.
    pub(super) fn note_old_copy(&mut self, policy: &ChannelPolicy, listing: &ListingRef, look: Look) {
        let Some(old_ms) = self.old_copy(policy, listing, look) else { return };
        let Some(held) = self.state.listing(listing) else { return };
        let (channel, over) = (held.channel.clone(), held.writes.passed_over.is_some());
        let accepted = held.drift.as_deref().is_some_and(|drift| drift.done == Done::Accepted);
        self.measured(&channel, policy, Assumption::Stale, old_ms, listing.sku.to_string());
        let asked = !over && self.drift_was_old(listing, old_ms);
        if over || !accepted {
            let Ok(shown) = look.shown() else { return };
            self.learn(listing, Why::Looked, |writes| {
                writes.passed_over = None;
                writes.believe(shown, &look, policy.abilities.stale_ms);
                writes.heed(&look);
            });
        }
        if asked {
            self.go_again(listing);
        }
    }

    /// Returns how old a read was at least that was taken for a change by somebody else, if `look` shows that there was none.
    fn old_copy(&self, policy: &ChannelPolicy, listing: &ListingRef, look: Look) -> Option<i64> {
        let held = self.state.listing(listing)?;
        let (writes, shown) = (&held.writes, look.shown().ok()?);
        let sent = held.leg.as_ref().and_then(|leg| leg.sent());
        if sent.is_some() || !writes.unsettled.is_empty() || look.at < writes.trust_from {
            return None;
        }
        let (read_at, observed, expected) = match (writes.passed_over.as_deref(), held.drift.as_deref()) {
            (Some(over), _) => (over.look.at, over.look.seen, over.expected),
            (None, Some(drift)) => {
                // What the channel has sold itself since, it is expected to show.
                let since = writes.base?.sub(drift.observed).ok()?;
                (drift.read_at?, drift.observed, drift.expected.add(since).ok()?)
            }
            (None, None) => return None,
        };
        let replaced_at = writes.trust_from.plus_millis(-policy.abilities.stale_ms);
        let old_ms = read_at.since(replaced_at);
        // Where sales have made what is expected what was read, it proves nothing.
        let differs = expected != observed;
        let proven = look.at > read_at && differs && shown == expected && writes.replaced == Some(observed);
        (proven && old_ms > 0).then_some(old_ms)
    }

    fn measured(
        &mut self,
        channel: &ChannelId,
        policy: &ChannelPolicy,
        assumption: Assumption,
        measured_ms: i64,
        subject: String,
    ) {
        // The clocks may differ by as much, where one time is the channel's and one is ours.
        let skew = if assumption == Assumption::FeedLag { SKEW_MS } else { 0 };
        let measured_ms = measured_ms.saturating_sub(skew);
        if measured_ms > 0 {
            let (channel, stated_ms) = (channel.clone(), assumption.stated(&policy.abilities));
            self.emit(Record::Measured { channel, assumption, stated_ms, measured_ms, subject });
        }
    }
}

/// Tells whether this is what a write would make a channel show of which `base` is expected.
fn shows(quantity: Quantity, delta: Option<Quantity>, base: Option<Quantity>, shown: Quantity) -> bool {
    match delta {
        Some(delta) => base.is_some_and(|base| base.add(delta) == Ok(shown)),
        None => quantity == shown,
    }
}
