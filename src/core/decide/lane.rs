//! A lane's work: what may be written now, and what is to be looked at.

use crate::{
    core::{
        allocation::Pause,
        circuit::Allowed,
        command::{Apart, Refused, Reply},
        decide::{Draft, fence::passes, listing::strictest, missing::missing, suspects},
        drift::{Verdict, judge},
        index::{Kind, Work},
        leg::{Event, Leg, Look, Sent, State, Writes},
        record::Why,
        state::{ChannelRow, Fed, Listing, ListingRef},
        writes::{PassedOver, Reading, shows},
    },
    model::{
        Abilities, ChannelId, IdempotencyKey, Identifiers, Mode, Policies, Put, Quantity, Timestamp,
        policy::ChannelPolicy,
    },
};

/// How many legs that must wait one call looks at before it leaves the rest for the next.
const WAITING_MAX: usize = 500;
/// How many listings one call settles by age.
const SETTLED_MAX: usize = 64;
/// How many SKUs one call rechecks.
const RECHECK: usize = 100;

/// How many listings whose look is due one call goes through.
const LOOKS_MAX: usize = 2_000;

/// What was put in flight.
#[derive(Debug, Default)]
struct Sending {
    puts: Vec<(ListingRef, Put)>,
    /// Requests with what may be why requests fail.
    apart: Vec<Vec<(ListingRef, Put)>>,
    /// How many writes there are.
    nth: usize,
}

/// What to do with a leg whose turn has come.
pub(super) enum Turn {
    Write(Way),
    /// The channel should show it already, or what it shows is not known: look first.
    Look,
    Wait,
}

/// How a quantity is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// It is set, if the channel shows what is compared with.
    Set { compare: Option<Quantity> },
    /// What is shown is changed by so much, whatever it is.
    Change { delta: Quantity },
}

impl Draft<'_> {
    pub(super) fn take(&mut self, channel: &ChannelId, limit: usize, apart: usize) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        self.settle_old(channel, &policy.abilities);
        self.end_bulked(channel, &policy);
        self.pass_fences(channel, &policy);
        self.recheck(RECHECK);
        let writes = self.may_write(channel, &policy);
        let allowed = self.allowed(channel);
        let batch = limit.min(usize::try_from(policy.abilities.batch).unwrap_or(1));
        let mut work = Sending::default();
        let (mut looks, mut looks_apart) = (Vec::new(), Vec::new());
        match allowed {
            Allowed::None => {}
            Allowed::Probe => {
                // One write tries whether it takes them again; what is to be looked at must not keep it from going.
                if writes {
                    work = self.send_due(&policies, &policy, channel, 1, 0);
                    if work.puts.is_empty() {
                        // Nothing else tells: what may be why requests fail tries it.
                        work = self.send_due(&policies, &policy, channel, 0, 1);
                    }
                }
                let most = if work.nth == 0 { 1 } else { limit };
                looks = self.due_looks(channel, most, false);
                looks_apart = self.due_looks(channel, most, true);
            }
            Allowed::All => {
                if writes {
                    work = self.send_due(&policies, &policy, channel, batch, apart);
                }
                looks = self.due_looks(channel, limit, false);
                looks_apart = self.due_looks(channel, limit, true);
            }
        }
        Ok(Reply::Work { puts: work.puts, looks, apart: Apart { puts: work.apart, looks: looks_apart } })
    }

    /// Tells whether anything is to be written to a channel at all.
    pub(super) fn may_write(&self, channel: &ChannelId, policy: &ChannelPolicy) -> bool {
        let row = self.state.channels.get(channel);
        let frozen = row.and_then(|row| row.pause) == Some(Pause::Frozen);
        let stopped = row.is_some_and(|row| row.stopped().is_some());
        policy.abilities.quantities
            && self.state.mode() == Some(Mode::Live)
            && self.state.initialised.is_some()
            && !frozen
            && !stopped
    }

    pub(super) fn allowed(&self, channel: &ChannelId) -> Allowed {
        self.state.channels.get(channel).map_or(Allowed::All, |row| row.circuit.allows(self.now))
    }

    /// Puts legs in flight whose turn it is: at most `limit` together, and what may be why requests fail in at most
    /// `apart` requests. Those that are only to be looked at become due for that.
    fn send_due(
        &mut self,
        policies: &Policies,
        policy: &ChannelPolicy,
        channel: &ChannelId,
        limit: usize,
        apart: usize,
    ) -> Sending {
        let mut work = Sending::default();
        for (listing, turn) in self.turns(channel, policy, limit, false) {
            if let Some(way) = self.written_or_looked(&listing, turn) {
                let put = self.send(policies, policy, listing, way, &mut work.nth, None);
                work.puts.extend(put);
            }
        }
        if apart == 0 || !self.any_suspect(channel) {
            return work;
        }
        let mut suspects = Vec::new();
        for (listing, turn) in self.turns(channel, policy, WAITING_MAX, true) {
            let most = self.suspect(&listing).unwrap_or(1);
            if let Some(way) = self.written_or_looked(&listing, turn) {
                suspects.push((most, (listing, way)));
            }
        }
        for request in suspects::requests(suspects, apart) {
            let send = |(listing, way)| self.send(policies, policy, listing, way, &mut work.nth, None);
            let puts: Vec<_> = request.into_iter().filter_map(send).collect();
            work.apart.extend(Some(puts).filter(|puts| !puts.is_empty()));
        }
        work
    }

    /// Returns how it is written, if it is. What is only to be looked at becomes due for that.
    fn written_or_looked(&mut self, listing: &ListingRef, turn: Turn) -> Option<Way> {
        match turn {
            Turn::Write(way) => Some(way),
            Turn::Look => {
                let event = Event::Expected { look_at: self.now };
                self.advance(listing, event, Why::Expected, None, |_| {});
                None
            }
            Turn::Wait => None,
        }
    }

    /// Returns what is to be looked at: of what may be why requests fail (`apart`) one request, or of the others.
    fn due_looks(&self, channel: &ChannelId, limit: usize, apart: bool) -> Vec<(ListingRef, Identifiers)> {
        if apart && !self.any_suspect(channel) {
            return Vec::new();
        }
        let due = self.state.index.of(Kind::Look, channel).map_while(|work| {
            if let Work::Look { at, listing, .. } = work
                && *at <= self.now
            {
                Some(listing)
            } else {
                None
            }
        });
        let due = due.take(LOOKS_MAX).map(|listing| (self.suspect(listing), listing));
        let named = |listing: &ListingRef| Some((listing.clone(), self.state.listing(listing)?.ids.clone()));
        if !apart {
            let clean = due.filter(|(suspect, _)| suspect.is_none()).take(limit);
            return clean.filter_map(|(_, listing)| named(listing)).collect();
        }
        let suspects = due.filter_map(|(suspect, listing)| Some((suspect?.min(limit), listing))).collect();
        let first = suspects::requests(suspects, 1).into_iter().flatten();
        first.filter_map(named).collect()
    }

    /// Returns the legs whose turn it is: lowers first, lowest stock first. `apart`: those that may be why requests fail,
    /// or the others.
    fn turns(
        &self,
        channel: &ChannelId,
        policy: &ChannelPolicy,
        limit: usize,
        apart: bool,
    ) -> Vec<(ListingRef, Turn)> {
        let again = self.state.index.of(Kind::Retry, channel).map_while(|work| {
            if let Work::Retry { at, listing, .. } = work
                && *at <= self.now
            {
                Some(listing)
            } else {
                None
            }
        });
        let ready = self.state.index.of(Kind::Ready, channel).map_while(|work| {
            if let Work::Ready { waits: false, listing, .. } = work { Some(listing) } else { None }
        });
        let turn = |listing: &ListingRef| {
            let held = self.state.listing(listing)?;
            if suspects::suspect(self.state, held).is_some() != apart {
                return None;
            }
            let (rank, turn) = self.turn(policy, held)?;
            (!matches!(turn, Turn::Wait)).then(|| (rank, listing.clone(), turn))
        };
        let again = again.take(WAITING_MAX).filter_map(turn).take(limit);
        let ready = ready.take(WAITING_MAX).filter_map(turn).take(limit);
        let mut turns: Vec<((bool, Quantity), ListingRef, Turn)> = again.chain(ready).collect();
        turns.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        turns.truncate(limit);
        turns.into_iter().map(|(_, listing, turn)| (listing, turn)).collect()
    }

    pub(super) fn turn(&self, policy: &ChannelPolicy, held: &Listing) -> Option<((bool, Quantity), Turn)> {
        let leg = held.leg.as_ref()?;
        let writes = &held.writes;
        let raise = writes.floor().is_none_or(|floor| leg.quantity > floor);
        let turn = match writes.base {
            None => Turn::Look,
            Some(base) if writes.look.is_none() && shows(base, leg.quantity) => Turn::Look,
            // What it shows is being found out. A compared write would be refused.
            Some(_) if writes.look.is_some() && (raise || policy.abilities.compare_and_set) => Turn::Wait,
            Some(_) if raise && !self.may_raise(policy, held) => Turn::Wait,
            Some(base) => Turn::Write(match leg.quantity.sub(base) {
                Ok(delta) if !raise && is_contended(policy, held) => Way::Change { delta },
                Ok(_) | Err(_) => Way::Set { compare: policy.abilities.compare_and_set.then_some(base) },
            }),
        };
        Some(((raise, leg.quantity), turn))
    }

    /// I5: the channel's orders were read past what explains the raise, and none of them is missing.
    fn may_raise(&self, policy: &ChannelPolicy, held: &Listing) -> bool {
        let fed = self.fed_of(&held.channel);
        !may_land(policy, held)
            && raise_explained(fed, policy, held)
            && !held.writes.in_bulk()
            && (!policy.abilities.sells || missing(self.state, held, fed).is_none())
    }

    pub(super) fn fed_of(&self, channel: &ChannelId) -> Option<Fed> {
        self.state.channels.get(channel).and_then(|row| row.fed)
    }

    /// Makes a leg in flight, with its exact payload and key, before a byte leaves. `bulk`: its number in the open bulk, if it
    /// leaves with that.
    pub(super) fn send(
        &mut self,
        policies: &Policies,
        policy: &ChannelPolicy,
        listing: ListingRef,
        way: Way,
        nth: &mut usize,
        bulk: Option<u32>,
    ) -> Option<(ListingRef, Put)> {
        let held = self.state.listing(&listing)?;
        let leg = held.leg.clone()?;
        let key = format!("{}-{}-{}-{nth}", policies.instance, self.state.epoch, self.seq);
        let key = IdempotencyKey::new(&key).ok()?;
        *nth += 1;
        let (compare, delta) = match way {
            Way::Set { compare } => (compare, None),
            Way::Change { delta } => (None, Some(delta)),
        };
        let put = Put {
            ids: held.ids.clone(),
            location: policy.drawn(&held.ids)?.first()?.clone(),
            quantity: leg.quantity,
            compare,
            delta,
            key: key.clone(),
            reference: format!("{}-{}", policies.instance, leg.cause),
        };
        let (quantity, revision, at) = (leg.quantity, leg.revision, self.now);
        let sent = Sent { quantity, revision, compare, delta, key, at };
        let counted = sent.clone();
        let event = Event::Sending(Box::new(sent));
        self.advance(&listing, event, Why::Sending, None, |writes| {
            writes.sending(&counted);
            if let Some(number) = bulk {
                writes.sending_in_bulk(number);
            }
        });
        Some((listing, put))
    }

    /// Settles by age what can no longer land.
    fn settle_old(&mut self, channel: &ChannelId, abilities: &Abilities) {
        let limit = self.now.plus_millis(-abilities.late_ms);
        let old = self.state.index.of(Kind::Unsettled, channel).map_while(|work| {
            if let Work::Unsettled { at, listing, .. } = work
                && *at <= limit
            {
                Some(listing.clone())
            } else {
                None
            }
        });
        for listing in old.take(SETTLED_MAX).collect::<Vec<_>>() {
            let leg = self.state.listing(&listing).and_then(|held| held.leg.clone());
            let sent = leg.as_ref().filter(|leg| matches!(leg.state, State::InFlight(_))).and_then(Leg::sent);
            let (now, mut look) = (self.now, false);
            self.learn(&listing, Why::Settled, |writes| {
                let before = writes.unsettled.len();
                look = writes.settle_older(limit, sent, now);
                if abilities.compare_and_set && writes.unsettled.len() < before {
                    writes.known_from(now);
                }
            });
            // Nobody would look again at what was seen live before it may have landed.
            if look && leg.is_some_and(|leg| matches!(leg.state, State::Confirmed)) {
                self.advance(&listing, Event::Expected { look_at: now }, Why::Expected, None, |_| {});
            }
        }
    }
}

/// Tells whether a lower goes as a delta: comparing, it came too late again and again because the channel sold on, and all that was
/// read there is explained by orders. It is sent once, and nothing else of ours may land (ADR 031).
fn is_contended(policy: &ChannelPolicy, held: &Listing) -> bool {
    let (can, writes) = (&policy.abilities, &held.writes);
    let Some(leg) = held.leg.as_ref().filter(|_| can.delta && can.compare_and_set) else { return false };
    leg.contended_since().is_some()
        && explained(held)
        && writes.look.is_none()
        && writes.unsettled.is_empty()
        && writes.passed_over.as_deref().is_none_or(|over| sold(writes, over, Reading::of(can, None)))
}

/// Tells whether nobody but the channel itself is known to have changed what it shows since a lower is refused there.
pub(super) fn explained(held: &Listing) -> bool {
    let since = held.leg.as_ref().and_then(|leg| Some(leg.contended.as_deref()?.since));
    let found = held.drift.as_deref().is_some_and(|drift| since.is_some_and(|since| drift.at >= since));
    !found && !held.drifts()
}

/// Tells whether orders that were learnt since explain what a lower went over.
fn sold(now: &Writes, over: &PassedOver, reading: Reading) -> bool {
    matches!(judge(&over.writes(now), &over.look, reading), Ok(Verdict::Explained))
}

/// I5: a raise is sent only when the channel's orders were read past what explains it, and past the time that its
/// quantity is known as of.
fn raise_explained(fed: Option<Fed>, policy: &ChannelPolicy, held: &Listing) -> bool {
    let Some(leg) = &held.leg else { return false };
    !policy.abilities.sells
        || fed.is_some_and(|fed| fed.begun >= leg.cause && fed.begun_at >= explained_from(policy, held, leg))
}

/// Tells whether a write without an answer may still land on a channel that compares. What it sold by then would look
/// as if the write had never been, so a raise waits until it is settled, and the orders are read past that (I4).
fn may_land(policy: &ChannelPolicy, held: &Listing) -> bool {
    policy.abilities.sells && policy.abilities.compare_and_set && !held.writes.unsettled.is_empty()
}

/// Returns when a read of the orders must have begun, by our clock, to explain a raise. A write that compares is
/// refused if an order came since the quantity was known; a blind one would undo it, so it waits for those too.
fn explained_from(policy: &ChannelPolicy, held: &Listing, leg: &Leg) -> Timestamp {
    let known_at = held.writes.known_at;
    let from = if policy.abilities.compare_and_set { known_at } else { known_at.max(leg.caused_at) };
    from.plus_millis(policy.abilities.feed_lag_ms)
}

/// Returns why a leg that is ready is not sent, for people.
pub fn waits_for(state: &crate::core::State, listing: &ListingRef, now: Timestamp) -> Option<String> {
    let held = state.listing(listing)?;
    let leg = held.leg.as_ref()?;
    let row = state.channels.get(&held.channel);
    if state.restored.is_some() {
        return Some("the store was restored; `evenkeel resume --live` lets it write".into());
    }
    if state.policies()?.mode == Mode::Shadow {
        return Some("shadow mode writes nothing".into());
    }
    if row.is_some_and(|row| row.circuit.allows(now) == Allowed::None) {
        return Some("the channel's circuit is open".into());
    }
    if let Some(why) = row.and_then(ChannelRow::stopped) {
        return Some(format!("nothing is written there: {why}"));
    }
    if state.initialised.is_none() {
        return Some("the opening stock was not taken over yet".into());
    }
    let policy = state.policies()?.channels.get(&held.channel)?;
    let pause = strictest(row.and_then(|row| row.pause), state.skus.get(&listing.sku)?.pause);
    if pause == Some(Pause::Frozen) {
        return Some("it is paused".into());
    }
    let fed = row.and_then(|row| row.fed);
    let fenced = |look: &Look| fed.is_some_and(|fed| passes(policy, fed, look));
    if policy.abilities.sells
        && held.writes.look.as_deref().is_some_and(fenced)
        && let Some(why) = missing(state, held, fed)
    {
        return Some(format!("it shows what it should not, and may have sold it: {why}"));
    }
    if held.writes.look.is_some() || held.writes.base.is_none() {
        return Some("the channel's quantity and orders must be read first".into());
    }
    let raise = held.writes.floor().is_some_and(|floor| leg.quantity > floor);
    if raise && held.drifts() {
        return Some("another writer changed it there: see `evenkeel drift`".to_owned());
    }
    if raise && held.writes.in_bulk() {
        return Some(
            "a raise waits until the feed that it is in already has ended: see `evenkeel status`".to_owned(),
        );
    }
    if !raise || !policy.abilities.sells {
        return None;
    }
    if may_land(policy, held) {
        return Some("a raise waits until a write without an answer can no longer land".to_owned());
    }
    if !raise_explained(fed, policy, held) {
        return Some("a raise waits until the channel's orders are read past its cause".to_owned());
    }
    missing(state, held, fed).map(|why| format!("a raise waits: {why}"))
}

/// Tells whether a read of a channel's orders that began at `now` would let something go on: a look waits for its
/// fence, a raise for its explanation, or an order must be fetched.
pub fn feed_wanted(state: &crate::core::State, channel: &ChannelId, now: Timestamp) -> bool {
    state.index.of(Kind::Fetch, channel).next().is_some() || read_wanted(state, channel, now)
}

/// Like [`feed_wanted`], but for the orders that must be fetched.
pub fn read_wanted(state: &crate::core::State, channel: &ChannelId, now: Timestamp) -> bool {
    feed_due(state, channel).is_some_and(|due| due <= now)
}

/// Returns the earliest time at which such a read helps.
fn feed_due(state: &crate::core::State, channel: &ChannelId) -> Option<Timestamp> {
    let policy = state.policies()?.channels.get(channel)?;
    let fed = state.channels.get(channel).and_then(|row| row.fed);
    // What was judged and waits for an order that is missing waits for no read.
    let unread = |look: &&Look| fed.is_none_or(|fed| !passes(policy, fed, look));
    let fenced = state.index.of(Kind::Fencing, channel).filter_map(|work| {
        let Work::Fencing { listing, .. } = work else { return None };
        state.listing(listing)?.writes.waiting().filter(unread).map(|look| look.at).min()
    });
    let fenced = fenced.take(WAITING_MAX).map(|at| at.plus_millis(policy.abilities.feed_lag_ms));
    let again = state
        .index
        .of(Kind::Retry, channel)
        .filter_map(|work| if let Work::Retry { listing, .. } = work { Some(listing) } else { None });
    let waiting = state.index.raises(channel).take(WAITING_MAX).chain(again.take(WAITING_MAX));
    let raised = waiting.filter_map(|listing| {
        let held = state.listing(listing)?;
        let leg = held.leg.as_ref()?;
        let raise = held.writes.floor().is_some_and(|floor| leg.quantity > floor);
        (raise && !raise_explained(fed, policy, held)).then(|| explained_from(policy, held, leg))
    });
    fenced.chain(raised).min()
}
