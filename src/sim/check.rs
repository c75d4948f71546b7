//! What must hold after every record, and what a start must find again. The numbers are those of docs/ARCHITECTURE.md's
//! invariants and of the design.

mod intents;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        Record, State,
        allocation::Pause,
        exposure,
        intent::Change,
        ledger::{Cause, Entry, Kind, Stock, book},
        leg,
        order::{Line, Order},
        oversold::Class,
        record::Why,
        state::{Listing, ListingRef},
    },
    model::{
        ChannelId, FulfilledBy, IdKind, IdempotencyKey, Identifiers, LocationId, OrderKey, Overflow,
        Quantity, Revision, Seq, Sku, Timestamp, Totals, policy::ChannelPolicy,
    },
    sim::{market, wide::place},
};

/// Goods of a kind, at a place.
pub(super) type At = (Sku, LocationId);

/// What a run does, which tells what must not come of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Causes {
    /// Somebody else writes.
    pub(super) rival: bool,
    /// Somebody has something frozen.
    pub(super) frozen: bool,
    /// Units are found or lost.
    pub(super) physical: bool,
    /// The ERP has customers of its own.
    pub(super) own_sales: bool,
    /// The shop sells what it does not show.
    pub(super) beyond: bool,
    /// What is said goes wrong on its way: what a channel shows may take the daemon by surprise.
    pub(super) surprises: bool,
}

/// What orders did to a listing, as far as the daemon has booked it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Booked {
    pub(super) sold: i64,
    pub(super) restocked: i64,
}

/// What orders did to the shelf, as far as the daemon has booked it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shipped {
    pub(super) left: i64,
    pub(super) back: i64,
}

#[derive(Clone, Default)]
pub(super) struct Checks {
    pub(super) causes: Causes,
    ledger: BTreeMap<At, Stock>,
    keys: BTreeSet<IdempotencyKey>,
    /// What was sent to each listing, and when: the daemon counts the oldest of many writes as one.
    sent: BTreeMap<ListingRef, Vec<(Quantity, Timestamp)>>,
    /// What counts and transfers have put on hand, by goods.
    pub(super) counted: BTreeMap<At, i64>,
    /// Listings of which a channel has told less than it did: what it shows may surprise.
    pub(super) puzzling: BTreeSet<(ChannelId, Sku)>,
    /// Listings of which Amazon put units back on sale for an order that changed again. It tells of the latest change alone, and
    /// two minutes later, so nobody knows when it put them back.
    pub(super) retold: BTreeSet<(ChannelId, Sku)>,
    /// What a channel may have put back on sale by itself, and sold before that was told.
    pub(super) put_back: BTreeSet<Sku>,
    /// Goods that were counted since it was last looked, and when that was recorded first. A start may find what was recorded
    /// before the process died.
    pub(super) touched: BTreeMap<At, Timestamp>,
    /// Those of them that a count has raised.
    pub(super) raised: BTreeSet<At>,
    /// By channel, listing, and which of the channel's own locations it is of.
    pub(super) booked: BTreeMap<(ChannelId, (usize, usize)), Booked>,
    /// What is booked to have left the shelf, and to have come back, by goods; and which of that is new.
    pub(super) shipped: BTreeMap<At, Shipped>,
    pub(super) moved: BTreeSet<At>,
    /// As of when a person last counted.
    pub(super) by_hand: BTreeMap<At, Timestamp>,
    pub(super) hand_counts: u64,
    /// Orders that must be fetched.
    unread: BTreeSet<OrderKey>,
    /// Units that the daemon itself says were oversold.
    pub(super) oversold: BTreeMap<Class, i64>,
    /// The brake has held a count.
    pub(super) held: bool,
    /// A person has let counts go on that were held.
    pub(super) released: bool,
    /// Where goods are on their way to.
    incoming: BTreeSet<At>,
    /// The most that each listing may show which an intent has lowered and waits for.
    awaited: BTreeMap<Seq, BTreeMap<ListingRef, Quantity>>,
    /// Since when lowers could go, because nothing keeps them back.
    lowers: BTreeMap<ListingRef, Timestamp>,
    pub(super) drifts: u64,
    pub(super) writes: u64,
    pub(super) deltas: u64,
}

impl Checks {
    pub(super) fn of(causes: Causes) -> Checks {
        Checks { causes, ..Checks::default() }
    }

    /// What is recorded is what was when a backup was made. What was sent since was sent.
    pub(super) fn go_back(&mut self, backup: &Checks) {
        let now = std::mem::replace(self, backup.clone());
        (self.keys, self.writes, self.deltas, self.drifts) = (now.keys, now.writes, now.deltas, now.drifts);
        (self.puzzling, self.retold, self.put_back) = (now.puzzling, now.retold, now.put_back);
        self.sent = now.sent;
        (self.held, self.released) = (now.held, now.released);
        self.hand_counts = now.hand_counts;
    }

    /// Checks a record on the state before it.
    pub(super) fn before(&mut self, state: &State, at: Timestamp, record: &Record) -> Result<(), String> {
        for entry in record.entries() {
            self.entry(entry, at)?;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing is checked of the others")]
        match record {
            Record::Order { key, order, entries } => {
                apart(state, key, order, entries)?;
                if order.fetch_since.is_some() {
                    self.unread.insert(key.clone());
                } else {
                    self.unread.remove(key);
                }
                self.order(state, key, order)
            }
            Record::Held { .. } => {
                self.held = true;
                Ok(())
            }
            Record::Counted { opened, entries, .. } if opened.is_empty() && !self.released => {
                braked(state, entries)
            }
            Record::Intent { id, change: Change::Moved { phase, .. } } => {
                self.goes_on(state, *id, *phase, at)
            }
            Record::Commit { sku, revision, .. } => {
                let before = state.skus.get(sku).map_or(Revision::ZERO, |row| row.revision);
                sure(*revision > before, || format!("the revision of {sku} does not grow"))
            }
            Record::Moved { listing, why, leg, writes, .. } => {
                let held = state.listing(listing).ok_or("a leg moved that is not there")?;
                let revision = |of: &leg::Writes| of.confirmed.map_or(Revision::ZERO, |c| c.revision);
                sure(revision(writes) >= revision(&held.writes), || {
                    format!("I4: the confirmed revision of {listing:?} falls")
                })?;
                if *why == Why::Fenced {
                    fenced(state, held, writes)?;
                }
                if let (Why::Sending, Some(leg::State::InFlight(sent))) =
                    (why, leg.as_ref().map(|l| &l.state))
                {
                    self.writes += 1;
                    self.sending(state, listing, held, sent, at)?;
                }
                Ok(())
            }
            Record::Drift { listing, expected, observed, .. } => {
                self.drifts += 1;
                let channel = state.listing(listing).map(|held| held.channel.clone());
                let of = channel.map(|channel| (channel, listing.sku.clone()));
                let puzzling = of.is_some_and(|of| self.puzzling.contains(&of) || self.retold.contains(&of));
                sure(self.causes.rival || self.causes.surprises || puzzling, || {
                    format!(
                        "nobody else writes, and yet {listing:?} drifts: {expected:?} expected, {observed} seen"
                    )
                })
            }
            Record::Oversold { class, units, sku, beyond, .. } => self.oversold(*class, *beyond, *units, sku),
            Record::CountedByHand { places, .. } => {
                self.hand_counts += 1;
                for place in places {
                    let at = (place.sku.clone(), place.location.clone());
                    self.by_hand.insert(at.clone(), place.as_of);
                    self.moved.insert(at);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks a record on the state after it.
    pub(super) fn after(&mut self, state: &State, at: Timestamp, record: &Record) -> Result<(), String> {
        self.note_lowers(state, at, record);
        self.note_awaited(state, record);
        for entry in record.entries() {
            let place = state.skus.get(&entry.sku).and_then(|row| row.place(&entry.location));
            let stock = place.map(|place| place.stock).unwrap_or_default();
            let known = self.ledger.get(&(entry.sku.clone(), entry.location.clone()));
            sure(Some(&stock) == known, || {
                format!("I2: the balances of {} are not its entries'", entry.sku)
            })?;
        }
        Ok(())
    }

    /// Units are oversold by who could have done it.
    fn oversold(&mut self, class: Class, beyond: bool, units: Quantity, sku: &Sku) -> Result<(), String> {
        *self.oversold.entry(class).or_default() += units.units();
        let causes = self.causes;
        let may = causes.beyond || causes.rival || causes.surprises || self.put_back.contains(sku);
        sure(!beyond || may, || {
            format!("{units} units of {sku} are said to be sold beyond what was shown, which nobody did")
        })?;
        let may = match class {
            Class::Sync => true,
            Class::Physical => causes.physical,
            Class::Override => causes.frozen,
            Class::RivalWriter => {
                causes.rival || causes.surprises || !self.puzzling.is_empty() || !self.retold.is_empty()
            }
            // What the staff misses is told as what the ERP sells is: by its count.
            Class::Uncontrolled => beyond || causes.own_sales || causes.physical,
        };
        sure(may, || format!("{units} units of {sku} are said to be oversold as {class:?}, which nobody did"))
    }

    /// I2: every balance is the fold of its entries.
    fn entry(&mut self, entry: &Entry, at: Timestamp) -> Result<(), String> {
        let at_place = (entry.sku.clone(), entry.location.clone());
        let place = self.ledger.entry(at_place.clone()).or_default();
        *place = booked(*place, entry.kind, entry.quantity).map_err(|e| e.to_string())?;
        sure(*place == entry.after, || format!("I2: the balances after {entry:?} do not follow"))?;
        let shipped = self.shipped.entry(at_place.clone()).or_default();
        if matches!(entry.kind, Kind::Ship | Kind::WriteOff) {
            shipped.left += entry.quantity.units();
        } else if entry.kind == Kind::Return {
            shipped.back += entry.quantity.units();
        }
        if place.incoming.is_zero() {
            self.incoming.remove(&at_place);
        } else {
            self.incoming.insert(at_place.clone());
        }
        self.moved.insert(at_place.clone());
        let by = match (entry.kind, &entry.cause) {
            (Kind::Incoming | Kind::TransferLost, _) => 0,
            (Kind::TransferOut, _) => -entry.quantity.units(),
            (Kind::TransferIn, _) | (_, Cause::Count { .. }) => entry.quantity.units(),
            _ => return Ok(()),
        };
        *self.counted.entry(at_place.clone()).or_default() += by;
        if let Cause::Count { .. } = entry.cause {
            if by > 0 {
                self.raised.insert(at_place.clone());
            }
            self.touched.entry(at_place).or_insert(at);
        }
        Ok(())
    }

    /// Notes what an order made the channel do to its listings, as it is booked by now.
    fn order(&mut self, state: &State, key: &OrderKey, order: &Order) -> Result<(), String> {
        let before = state.order(key);
        let policy = state.policies().and_then(|p| p.channels.get(&key.channel));
        let Some(abilities) = policy.map(|policy| policy.abilities) else { return Ok(()) };
        let slots = policy.map_or(1, |policy| policy.outlets.len().max(1));
        let back = |t: Totals| {
            let cancelled = if abilities.restocks_cancels { t.released.units() } else { 0 };
            cancelled + if abilities.restocks_returns { t.returned.units() } else { 0 }
        };
        for (id, line) in order.lines.iter().filter(|(_, line)| line.by != FulfilledBy::Channel) {
            let held = before.as_deref().and_then(|order| Some((order, order.lines.get(id)?)));
            for slot in 0..slots {
                let at = |(order, line): (&Order, &Line)| {
                    if slots > 1 { booked_at(order, line, slot) } else { line.booked }
                };
                let (now, then) = (at((order, line)), held.map(at).unwrap_or_default());
                let sold = now.ordered.units() - then.ordered.units();
                let restocked = back(now) - back(then);
                if sold == 0 && restocked == 0 {
                    continue;
                }
                let code = line.ids.get(IdKind::Sku).and_then(market::number);
                let n = code.ok_or("an order names a listing that is not there")?;
                let booked = self.booked.entry((key.channel.clone(), (n, slot))).or_default();
                (booked.sold, booked.restocked) = (booked.sold + sold, booked.restocked + restocked);
            }
        }
        Ok(())
    }

    /// I4 and I5, for a write that is about to leave.
    fn sending(
        &mut self,
        state: &State,
        listing: &ListingRef,
        held: &Listing,
        sent: &leg::Sent,
        at: Timestamp,
    ) -> Result<(), String> {
        sure(self.keys.insert(sent.key.clone()), || format!("the key {} is used twice", sent.key))?;
        self.sent.entry(listing.clone()).or_default().push((sent.quantity, sent.at));
        let leg = held.leg.as_ref().ok_or("a write without a leg")?;
        let waits = matches!(leg.state, leg::State::Pending | leg::State::Retry { .. });
        sure(waits, || format!("I4: two writes of {listing:?} under way at {}", at.millis()))?;
        let may = held.writable() && state.initialised.is_some() && state.restored.is_none();
        sure(may, || format!("{listing:?} must not be written"))?;
        let policy = &state.policies().ok_or("not configured")?.channels[&held.channel];
        let base =
            held.writes.base.ok_or_else(|| format!("{listing:?} is written before it was ever seen"))?;
        if let Some(delta) = sent.delta {
            self.deltas += 1;
            return changes(listing, held, policy, sent, delta);
        }
        let compares = policy.abilities.compare_and_set.then_some(base);
        sure(sent.compare == compares, || format!("{listing:?} compares with what is not believed"))?;
        let look = held.writes.look.as_ref().and_then(|look| look.shown().ok());
        let shown = look.map_or(base, |look| look.min(base));
        if sent.quantity <= shown {
            return Ok(());
        }
        sure(held.writes.look.is_none(), || {
            format!("I5: {listing:?} is raised while it is found out what it shows")
        })?;
        let fed = state.channels[&held.channel].fed.ok_or("I5: a raise before any order was read")?;
        sure(fed.begun >= leg.cause, || format!("I5: {listing:?} is raised before its cause was read past"))?;
        let lag = policy.abilities.feed_lag_ms;
        // What does not compare would undo every sale up to now that is not known.
        let known_at =
            if compares.is_some() { held.writes.known_at } else { held.writes.known_at.max(leg.caused_at) };
        sure(fed.begun_at >= known_at.plus_millis(lag), || {
            format!("I5: {listing:?} is raised before the orders up to what is known were read")
        })?;
        let mut unread = self.unread.iter().filter_map(|key| state.orders.get_key_value(key));
        let missing = unread.find(|(key, order)| {
            let unread = order.fetch_since.is_some_and(|since| since <= fed.begun);
            let number = |ids: &Identifiers| ids.get(IdKind::Sku).and_then(market::number);
            let sold = |line: &Line| number(&line.ids) == number(&held.ids);
            let may_hold = order.lines.is_empty() || order.lines.values().any(sold);
            key.channel == held.channel && unread && may_hold
        });
        sure(missing.is_none(), || {
            format!("fence: {listing:?} is raised while {:?} is unread", missing.map(|(key, _)| &key.order))
        })
    }

    /// Notes since when lowers could go.
    fn note_lowers(&mut self, state: &State, at: Timestamp, record: &Record) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others move no leg")]
        let touched: Vec<ListingRef> = match record {
            Record::Moved { listing, .. } => vec![listing.clone()],
            Record::Commit { sku, legs, .. } => {
                legs.iter().map(|(at, _)| ListingRef { sku: sku.clone(), at: *at }).collect()
            }
            // Something may have kept them back until now.
            Record::Paused { .. }
            | Record::Circuit { .. }
            | Record::Noticed { .. }
            | Record::Configured { .. }
            | Record::Started { .. }
            | Record::Live
            | Record::Bound { .. } => return self.lowers.values_mut().for_each(|since| *since = at),
            _ => return,
        };
        for listing in touched {
            if may_lower(state, &listing) {
                self.lowers.entry(listing).or_insert(at);
            } else {
                self.lowers.remove(&listing);
            }
        }
    }

    /// I5: whatever could be lowered when a lane asked for work, and had room for it, has left.
    pub(super) fn lowers_left(&self, state: &State, channel: &ChannelId, asked: i64) -> Result<(), String> {
        let frozen = |row: Option<Pause>| row == Some(Pause::Frozen);
        let row = state.channels.get(channel);
        if state.restored.is_some() || row.is_some_and(|row| row.circuit.is_open() || frozen(row.pause)) {
            return Ok(());
        }
        let waits = self.lowers.iter().find(|(listing, since)| {
            let here = state.listing(listing).is_some_and(|held| held.channel == *channel);
            let sku = state.skus.get(&listing.sku).and_then(|row| row.pause);
            since.millis() < asked && here && !frozen(sku)
        });
        sure(waits.is_none(), || format!("I5: a lower waits although nothing keeps it back: {waits:?}"))
    }

    /// Returns the most that a listing may sell, by all that the daemon knows. `None`: it does not know.
    pub(super) fn exposure(state: &State, listing: &ListingRef) -> Option<i64> {
        let held = state.listing(listing)?;
        exposure::of(&held.writes).ok().flatten().map(Quantity::units)
    }

    /// I1 and I3: what a start finds is what was recorded.
    pub(super) fn same(&self, found: &State, durable: &State) -> Result<(), String> {
        Checks::identical(found, durable)
    }

    pub(super) fn identical(a: &State, b: &State) -> Result<(), String> {
        let differ = [
            ("position", (a.seq, a.epoch, a.initialised) != (b.seq, b.epoch, b.initialised)),
            ("configuration", a.policies != b.policies),
            ("SKUs", a.skus != b.skus),
            ("orders", a.orders != b.orders),
            ("tombstones", a.tombstones != b.tombstones),
            ("channels", a.channels != b.channels),
            ("deliveries", a.deliveries != b.deliveries),
            ("alerts", a.alerts != b.alerts),
            ("held counts", a.held != b.held),
            ("intents", a.intents != b.intents),
            ("what is oversold", a.oversold != b.oversold),
            ("index", a.index != b.index),
        ];
        let wrong: Vec<&str> = differ.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        sure(wrong.is_empty(), || format!("what was replayed differs in {}", wrong.join(", ")))
    }
}

/// Returns what of a line is booked at the place of one of the channel's own locations. Until somebody has said where it lies, that
/// is nothing.
fn booked_at(order: &Order, line: &Line, slot: usize) -> Totals {
    if line.location.is_none() && !order.is_placed(line) {
        return Totals::default();
    }
    let shares = line.shares();
    let of = shares.first().map(|share| share.sku.clone());
    let here = shares.iter().filter(|share| Some(&share.sku) == of.as_ref() && share.location == place(slot));
    here.fold(Totals::default(), |sum, share| sum.plus(share.booked).unwrap_or(sum))
}

/// What lies with a channel and what lies with the merchant are never mixed: orders that the channel ships move its own place alone,
/// and all others never do.
fn apart(state: &State, key: &OrderKey, order: &Order, entries: &[Entry]) -> Result<(), String> {
    let policy = state.policies().and_then(|policies| policies.channels.get(&key.channel));
    let Some(own) = policy.and_then(|policy| policy.own_location.as_ref()) else { return Ok(()) };
    let mixed = entries.iter().find(|entry| {
        let Cause::Order { line, .. } = &entry.cause else { return false };
        let kept = order.lines.get(line).is_some_and(|line| line.by == FulfilledBy::Channel);
        kept != (entry.location == *own)
    });
    sure(mixed.is_none(), || format!("FBA: an order moves what is not where it is shipped from: {mixed:?}"))
}

/// Section 6, fence: a look is believed, or done with, only once the orders of its channel up to it are in.
fn fenced(state: &State, held: &Listing, writes: &leg::Writes) -> Result<(), String> {
    let can = state.policies().ok_or("not configured")?.channels[&held.channel].abilities;
    let Some(look) = held.writes.look.as_deref().filter(|_| writes.look.is_none() && can.sells) else {
        return Ok(());
    };
    let fed = state.channels.get(&held.channel).and_then(|row| row.fed);
    let read = fed.is_some_and(|f| f.begun >= look.seq && f.begun_at >= look.at.plus_millis(can.feed_lag_ms));
    sure(read, || format!("fence: a look at {:?} is believed before the orders up to it are in", held.ids))
}

/// Section 5: a delta lowers, by what is missing to what is wanted, and only where nothing of ours may land that it does not know of: so
/// none is ever sent again.
fn changes(
    listing: &ListingRef,
    held: &Listing,
    policy: &ChannelPolicy,
    sent: &leg::Sent,
    delta: Quantity,
) -> Result<(), String> {
    let writes = &held.writes;
    let exact = writes.base.is_some_and(|base| base.add(delta) == Ok(sent.quantity));
    let may = policy.abilities.delta && sent.compare.is_none() && delta < Quantity::ZERO && exact;
    sure(may, || format!("deltas: {listing:?} is changed by {delta}, with {:?} expected", writes.base))?;
    sure(writes.unsettled.is_empty(), || {
        format!("deltas: {listing:?} is changed while this may land: {:?}", writes.unsettled)
    })?;
    sure(writes.look.is_none() && !held.drifts(), || {
        format!("deltas: {listing:?} is changed while it is not known who else has changed it")
    })
}

/// Books a movement as the design says, apart from the core: what both had wrong, a count would put right and nobody notice.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are not simulated")]
fn booked(stock: Stock, kind: Kind, quantity: Quantity) -> Result<Stock, Overflow> {
    let Stock { on_hand, committed, incoming, .. } = stock;
    Ok(match kind {
        Kind::Sale => Stock { committed: committed.add(quantity)?, ..stock },
        Kind::Cancel => Stock { committed: committed.sub(quantity)?, ..stock },
        Kind::Ship | Kind::WriteOff => {
            Stock { on_hand: on_hand.sub(quantity)?, committed: committed.sub(quantity)?, ..stock }
        }
        Kind::Return | Kind::Count => Stock { on_hand: on_hand.add(quantity)?, ..stock },
        Kind::TransferOut => Stock { on_hand: on_hand.sub(quantity)?, ..stock },
        Kind::Incoming => Stock { incoming: incoming.add(quantity)?, ..stock },
        Kind::TransferIn => {
            Stock { on_hand: on_hand.add(quantity)?, incoming: incoming.sub(quantity)?, ..stock }
        }
        Kind::TransferLost => Stock { incoming: incoming.sub(quantity)?, ..stock },
        other => book(stock, other, quantity)?,
    })
}

/// Tells whether a listing is to be lowered, and nothing keeps that back.
fn may_lower(state: &State, listing: &ListingRef) -> bool {
    let Some(held) = state.listing(listing).filter(|held| held.writable()) else { return false };
    let Some(leg) = held.leg.as_ref().filter(|leg| leg.suspect.is_none()) else { return false };
    let known = held.writes.look.is_none() && held.writes.base.is_some_and(|base| leg.quantity < base);
    known && matches!(leg.state, leg::State::Pending)
}

/// I11: no count is taken over that empties more of the catalogue, or of what lies at one location, than is allowed, unless a
/// person said so.
fn braked(state: &State, entries: &[Entry]) -> Result<(), String> {
    let brake = state.policies().ok_or("not configured")?.brake;
    let emptied = |entry: &&Entry| {
        let before = entry.after.on_hand.sub(entry.quantity).unwrap_or_default();
        before > Quantity::ZERO && entry.after.on_hand <= Quantity::ZERO
    };
    let catalogue = state.index.opened();
    let may = |emptied: usize, all: usize, small: usize| {
        let least = usize::try_from(brake.min_skus).unwrap_or(usize::MAX).min(small.div_ceil(2).max(3));
        let share = usize::from(brake.zero_percent).saturating_mul(all);
        emptied < least || emptied.saturating_mul(100) <= share
    };
    let mut places: BTreeMap<&LocationId, usize> = BTreeMap::new();
    entries.iter().filter(emptied).for_each(|entry| *places.entry(&entry.location).or_default() += 1);
    let (all, stocks) = (places.values().sum(), catalogue.stocks());
    sure(may(all, stocks, stocks), || format!("I11: a count empties {all} of {stocks} stocks"))?;
    for (location, emptied) in places {
        let here = catalogue.at(location);
        sure(may(emptied, here, catalogue.skus()), || {
            format!("I11: a count empties {emptied} of {here} SKUs at {location}")
        })?;
    }
    Ok(())
}

/// Fails with what is told unless it holds.
pub(super) fn sure(holds: bool, told: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(told()) }
}
