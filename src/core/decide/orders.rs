//! Orders: merged, mapped, booked, and passed on to the listings and the ERPs.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    core::{
        command::{Refused, Reply},
        decide::{
            Draft,
            by_hand::{by_hand, had},
            own::{Known, OwnMove, Times},
        },
        ledger::{Cause, Entry, Kind, Stock, book, movements, settled_returns},
        mapping::{Resolved, listed_by, resolve},
        moves::{Absent, When, absent_until},
        order::{Binding, First, Ignore, Line, Order},
        posting::{ADDED, OLDER, PostState, Step, behind, is_older, news, target},
        record::Record,
        share::{Share, keep_before, spread as spread_over},
        state::{ChannelRow, FETCHED, Fed, Quarantined, READ, State},
    },
    model::{
        ChannelId, DeliveryId, FulfilledBy, Identifiers, LineId, LocationId, Measure, Mode, OrderId,
        OrderKey, OrderSnapshot, Overflow, Quantity, Returns, Seen, Seq, Sku, Timestamp, Totals,
        policy::{ChannelKind, ChannelPolicy, Part},
    },
};

/// Movements of one share, lowering ones first.
pub(super) type Moves = Vec<(Kind, Quantity)>;

/// When what is booked of a line happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// When it was sold, and when all else had happened by.
    pub(super) sold_at: Timestamp,
    pub(super) changed_at: Timestamp,
    /// By then it surely had not; and that it was cancelled, which nobody knew who did not know of the sale.
    pub(super) absent: Absent,
}

/// Entries of one command, each with the balances that the ones before it leave: lines that share a component are
/// booked together.
pub(super) struct Booking<'a> {
    state: &'a State,
    stocks: BTreeMap<(Sku, LocationId), Stock>,
    now: Timestamp,
    pub(super) entries: Vec<Entry>,
}

impl<'a> Booking<'a> {
    /// `now`: when it is booked.
    pub(super) fn new(state: &'a State, now: Timestamp) -> Booking<'a> {
        Booking { state, stocks: BTreeMap::new(), now, entries: Vec::new() }
    }

    /// Books movements of one share, in units of its SKU.
    pub(super) fn book(
        &mut self,
        share: &Share,
        moves: Moves,
        cause: &Cause,
        span: Span,
    ) -> Result<(), Overflow> {
        let (sku, location) = (self.state.canonical(&share.sku).clone(), share.location.clone());
        let held = || {
            let place = self.state.skus.get(&sku).and_then(|row| row.place(&location));
            place.map(|place| place.stock).unwrap_or_default()
        };
        let stock = self.stocks.entry((sku.clone(), location.clone())).or_insert_with(held);
        for (kind, quantity) in settled_returns(*stock, moves)? {
            *stock = book(*stock, kind, quantity)?;
            let event_at = if kind == Kind::Sale { span.sold_at } else { span.changed_at };
            let (sku, location, cause) = (sku.clone(), location.clone(), cause.clone());
            let entry = Entry { sku, location, kind, quantity, cause, event_at, after: *stock };
            let when = When { told: span.changed_at, absent: span.absent.of(kind), recorded: self.now };
            let had = had(self.state, &entry, when)?;
            self.entries.push(entry);
            *stock = had.as_ref().map_or(*stock, |had| had.after);
            self.entries.extend(had);
        }
        Ok(())
    }
}

/// How far the clocks of a channel and of a counter may be apart.
const CLOCKS_MS: i64 = 10_000;

/// How far the clock of a counter may be fast, so that what it counted at the opening seems to be of later.
const FAST_MS: i64 = 3_600_000;

/// When what an order tells has happened, as far as that is known.
#[derive(Clone, Copy)]
pub(super) struct Happened {
    pub(super) placed_at: Timestamp,
    /// When the order last changed, as far as any source said; zero if none did.
    pub(super) told_at: Timestamp,
    /// It was read from the channel before, and not only told by webhooks.
    pub(super) was_read: bool,
    /// It was heard of before, though perhaps not what all of it sells.
    pub(super) was_known: bool,
    /// How far the channel's list of orders may be behind.
    pub(super) feed_lag_ms: i64,
    /// When the latest whole read of that list began, if there was one.
    pub(super) listed_at: Option<Timestamp>,
}

impl Happened {
    pub(super) fn of(
        order: &Order,
        before: Option<&Order>,
        policy: &ChannelPolicy,
        fed: Option<Fed>,
    ) -> Happened {
        Happened {
            placed_at: order.placed_at,
            told_at: order.changed_at(),
            was_read: before.is_some_and(|before| before.whole_fetch.is_some()),
            was_known: before.is_some_and(|before| !before.lines.is_empty()),
            feed_lag_ms: policy.abilities.feed_lag_ms,
            listed_at: fed.map(|fed| fed.begun_at),
        }
    }

    /// Tells whether a whole read of the channel's orders would have told of it before it was first heard of now.
    fn would_be_known(&self) -> bool {
        let listed = self.placed_at.plus_millis(self.feed_lag_ms + CLOCKS_MS);
        !self.was_known && self.listed_at.is_some_and(|at| at >= listed)
    }
}

/// Tells whether it is known where units of an order lie. A push does not tell that, or not as surely: units would be booked at
/// another place for a moment, and those that are gone from one would be sold there.
fn would_misplace(held: &Order) -> bool {
    held.lines.values().any(|line| held.is_placed(line))
}

/// Tells whether a push of Amazon's tells of fewer units than were told before. It does not say what became of them: they may be
/// gone, and would be put on sale.
fn would_free(held: &Order, told: &OrderSnapshot) -> bool {
    held.lines.iter().any(|(id, line)| match told.lines.iter().find(|told| told.line == *id) {
        Some(told) => told.totals.ordered < line.ordered_most,
        None => told.complete && line.ordered_most > Quantity::ZERO,
    })
}

impl Draft<'_> {
    pub(super) fn push(
        &mut self,
        channel: &ChannelId,
        delivery: &DeliveryId,
        orders: &[OrderSnapshot],
        fetch: Vec<OrderId>,
        look: &[Identifiers],
    ) -> Result<Reply, Refused> {
        self.known(channel)?;
        in_range(channel, orders)?;
        if self.state.deliveries.contains_key(&(channel.clone(), delivery.clone())) {
            return Ok(Reply::Duplicate);
        }
        self.note_lag(channel, orders);
        for order in orders {
            if self.is_to_be_read(channel, order) {
                self.want_fetch(channel, order.order.clone());
            } else {
                self.merge(channel, order, Seen::Pushed);
            }
        }
        for order in fetch {
            if !orders.iter().any(|told| told.order == order && self.was_read_since(channel, told)) {
                self.want_fetch(channel, order);
            }
        }
        if !self.records.is_empty() {
            self.emit(Record::Delivered { channel: channel.clone(), delivery: delivery.clone() });
        }
        let known = look.iter().filter_map(|ids| match resolve(self.state, channel, ids) {
            Resolved::Listing(listing) => Some((listing, ids.clone())),
            Resolved::Sku(_) | Resolved::Ambiguous(_) | Resolved::Unknown => None,
        });
        Ok(Reply::Pushed { look: known.collect() })
    }

    /// Tells whether the order that a push is about must be read instead of believing the push.
    pub(super) fn is_to_be_read(&self, channel: &ChannelId, told: &OrderSnapshot) -> bool {
        let policy = self.state.policies().and_then(|policies| policies.channels.get(channel));
        let Some(policy) = policy else { return false };
        let amazon = policy.kind == ChannelKind::Amazon;
        if policy.outlets.len() < 2 && !amazon {
            return false;
        }
        let key = OrderKey { channel: channel.clone(), order: told.order.clone() };
        let Some(held) = self.state.order(&key) else { return false };
        (policy.outlets.len() > 1 && would_misplace(&held)) || (amazon && would_free(&held, told))
    }

    /// Tells whether an order of Amazon's was read with a change that is later than the one that is told of: that one was in it. Two may
    /// fall into the same moment. Elsewhere versions go back, so they prove nothing.
    fn was_read_since(&self, channel: &ChannelId, told: &OrderSnapshot) -> bool {
        let policy = self.state.policies().and_then(|policies| policies.channels.get(channel));
        if policy.is_none_or(|policy| policy.kind != ChannelKind::Amazon) {
            return false;
        }
        let key = OrderKey { channel: channel.clone(), order: told.order.clone() };
        let read = self.state.order(&key).and_then(|held| held.whole_fetch);
        read.is_some_and(|read| read.version > told.version)
    }

    pub(super) fn read_orders(
        &mut self,
        channel: &ChannelId,
        begun: Seq,
        orders: &[OrderSnapshot],
    ) -> Result<Reply, Refused> {
        self.known(channel)?;
        in_range(channel, orders)?;
        self.note_lag(channel, orders);
        for order in orders {
            self.merge(channel, order, Seen::Fetched { begun });
        }
        Ok(Reply::Done)
    }

    /// Part of the feed was read. The next read begins there; what waits for a whole read goes on waiting.
    pub(super) fn fed_through(&mut self, channel: ChannelId, through: Timestamp) -> Result<Reply, Refused> {
        self.known(&channel)?;
        let held = self.state.channels.get(&channel).and_then(ChannelRow::watermark);
        if held.is_none_or(|held| held < through) {
            self.emit(Record::FedThrough { channel, through });
        }
        Ok(Reply::Done)
    }

    pub(super) fn unread(&mut self, channel: &ChannelId, orders: Vec<OrderId>) -> Result<Reply, Refused> {
        self.known(channel)?;
        for order in orders {
            self.want_fetch(channel, order);
        }
        Ok(Reply::Done)
    }

    /// An order that nobody knows needs no further fetch. What was booked for it stays.
    pub(super) fn no_order(&mut self, channel: ChannelId, order: OrderId) -> Result<Reply, Refused> {
        let unread = |item: &Quarantined| {
            item.channel == channel && item.topic == FETCHED && item.id.as_deref() == Some(order.as_str())
        };
        let over: Vec<Seq> =
            self.state.quarantine.iter().filter(|(_, item)| unread(item)).map(|(id, _)| *id).collect();
        for id in over {
            self.emit(Record::Unquarantined { id, note: None });
        }
        let key = OrderKey { channel, order };
        if let Some(mut order) = self.state.orders.get(&key).filter(|o| o.fetch_due.is_some()).cloned() {
            order.want_fetch(None);
            self.emit(Record::Order { key, order: Box::new(order), entries: Vec::new() });
        }
        Ok(Reply::Done)
    }

    pub(super) fn want_fetch(&mut self, channel: &ChannelId, order: OrderId) {
        let key = OrderKey { channel: channel.clone(), order };
        let mut order = self.state.order(&key).map(Cow::into_owned).unwrap_or_default();
        order.want_fetch(Some(self.seq));
        self.emit(Record::Order { key, order: Box::new(order), entries: Vec::new() });
    }

    /// Merges a snapshot and books the difference. An order that cannot be booked does not hold up the others.
    pub(super) fn merge(&mut self, channel: &ChannelId, snapshot: &OrderSnapshot, seen: Seen) {
        let key = OrderKey { channel: channel.clone(), order: snapshot.order.clone() };
        let before = self.state.order(&key);
        let mut order = before.as_deref().cloned().unwrap_or_default();
        if before.as_deref().is_none_or(|before| before.lines.is_empty() && before.first.is_none()) {
            let (opened, still) = (self.state.initialised.is_some(), self.state.still());
            order.first = Some(First { seq: self.seq, opened, shadow: still.is_some(), still });
        }
        order.merge(snapshot, seen, self.seq);
        if before.is_some_and(|before| *before == order) {
            return;
        }
        if let Err(Overflow) = self.settle_order(key, order) {
            let id = Some(snapshot.order.to_string());
            let why = "its quantities do not fit the ledger; its body was not kept".to_owned();
            let (channel, topic, at) = (channel.clone(), READ.to_owned(), self.now);
            let item = Quarantined { channel, topic, id, why, sha256: String::new(), at };
            self.emit(Record::Quarantined { item });
        }
    }

    /// Binds the lines of an order, books what is not booked yet, and passes it on. On an error nothing is recorded.
    pub(super) fn settle_order(&mut self, key: OrderKey, mut order: Order) -> Result<(), Overflow> {
        let Some(policies) = self.state.policies.clone() else { return Ok(()) };
        let Some(policy) = policies.channels.get(&key.channel) else { return Ok(()) };
        let first = order.lines.values().all(|line| line.booked == Totals::default());
        let event_at = if first { order.placed_at } else { order.changed_at() };
        let before = self.state.order(&key);
        self.bind(&key.channel, policy, &mut order, before.as_deref());
        let mut own = Vec::new();
        let entries = self.entries(&key, policy, &mut order, policies.returns, &mut own)?;
        self.note_postings(&key, &mut order)?;
        if self.state.order(&key).as_deref() == Some(&order) {
            return Ok(());
        }
        let touched: BTreeSet<Sku> = entries.iter().map(|entry| entry.sku.clone()).collect();
        self.emit(Record::Order { key, order: Box::new(order), entries });
        for own in own {
            self.own_move(policy, &own);
        }
        self.refresh_with_users(&touched, event_at);
        Ok(())
    }

    /// Binds lines to SKUs and places, where that is possible and not done.
    fn bind(&self, channel: &ChannelId, policy: &ChannelPolicy, order: &mut Order, before: Option<&Order>) {
        let placed_at = placed(order, before);
        for (id, line) in order.lines.iter_mut().filter(|(_, line)| line.bound.is_none()) {
            line.listed = match line.by {
                FulfilledBy::Unknown => listed_by(self.state, channel, &line.ids),
                FulfilledBy::Merchant | FulfilledBy::Channel => None,
            };
            // The channel's own stock (FBA) never mixes with the merchant's. Whose it is, is not guessed either.
            self.ignore(channel, line);
            if line.ignored == Some(Ignore::Line) {
                continue;
            }
            let home = match line.shipped_by() {
                FulfilledBy::Merchant => line.location.clone().or_else(|| policy.locations.first().cloned()),
                FulfilledBy::Channel => policy.own_location.clone(),
                FulfilledBy::Unknown => None,
            };
            let (Some(location), Some(sku)) = (home, resolve(self.state, channel, &line.ids).sku().cloned())
            else {
                continue;
            };
            let (baseline, early) = self.opening(placed_at(id), &sku, &location);
            line.bound = Some(Binding { sku, location, baseline, early });
            line.ignored = None;
        }
    }

    /// Tells whether what was placed at `placed_at` is older than the opening count of a SKU at a location, and whether
    /// that count is still to come.
    pub(super) fn opening(&self, placed_at: Timestamp, sku: &Sku, location: &LocationId) -> (bool, bool) {
        let row = self.state.skus.get(self.state.canonical(sku));
        let opened = row.and_then(|row| row.place(location)?.opened.as_ref());
        (opened.is_some_and(|opened| placed_at < opened.as_of), opened.is_none())
    }

    /// Books the difference between the totals of each bound line and what is booked.
    fn entries(
        &self,
        key: &OrderKey,
        policy: &ChannelPolicy,
        order: &mut Order,
        returns: Returns,
        own: &mut Vec<OwnMove>,
    ) -> Result<Vec<Entry>, Overflow> {
        let told_at = order.changed_at().max(order.placed_at);
        let mut booking = Booking::new(self.state, self.now);
        let told: Vec<(Totals, Vec<(LocationId, Totals)>)> = order
            .lines
            .values()
            .map(|line| Ok((order.totals(line)?, order.places(line)?)))
            .collect::<Result<_, Overflow>>()?;
        let (placed_at, changed_at) = (order.placed_at, told_at);
        let before = self.state.order(key);
        let when = Happened::of(order, before.as_deref(), policy, self.fed_of(&key.channel));
        let line_placed = placed(order, before.as_deref());
        let mut left = order.left;
        for ((id, line), (totals, places)) in order.lines.iter_mut().zip(told) {
            let Some(bound) = line.bound.clone() else { continue };
            let home = self.home(policy, line, &bound);
            // What turned out to be the channel's own stock was never ours to sell.
            let totals = if home.is_some() { totals } else { Totals::default() };
            let first = line.booked == Totals::default();
            let sold_at = if first { placed_at } else { changed_at };
            let wanted = match home {
                Some(home) => {
                    let when = Happened { placed_at: line_placed(id), ..when };
                    self.shares(&when, line, &bound, (totals, &places), &home)?
                }
                None => Vec::new(),
            };
            let known = Known { totals, places: &places, shares: &wanted };
            let times = Times { placed_at, sold_at, changed_at };
            self.note_own(key, policy, (id, line), &known, times, own)?;
            let cause = Cause::Order { order: key.clone(), line: id.clone() };
            let returns = line.returns_by(returns);
            let rebooked = self.rebooked(&key.channel, line, &wanted, returns)?;
            let absent = if rebooked.is_empty() {
                Absent::default()
            } else {
                absent_until(self.state, key, placed_at, (id, line.bound.as_ref(), &wanted), self.now)
            };
            let span = Span { sold_at, changed_at, absent };
            for (share, moves) in rebooked {
                booking.book(&share, moves, &cause, span)?;
            }
            if wanted.iter().any(|share| share.early) && totals.closed()? != line.booked.closed()? {
                left = Some(self.seq);
            }
            line.booked = totals;
            line.returns = (totals.returned > Quantity::ZERO).then_some(returns);
            line.set_shares(wanted);
        }
        order.left = left;
        Ok(booking.entries)
    }

    /// Returns where the units of a line lie that no place accounts for. `None`: not where we keep books.
    pub(super) fn home(&self, policy: &ChannelPolicy, line: &Line, bound: &Binding) -> Option<LocationId> {
        let own = policy.own_location.as_ref();
        match line.by {
            FulfilledBy::Channel => own.cloned(),
            FulfilledBy::Merchant if own == Some(&bound.location) => policy.locations.first().cloned(),
            FulfilledBy::Merchant | FulfilledBy::Unknown => Some(bound.location.clone()),
        }
    }

    /// Returns the shares that a line should have: one for each SKU that it is made of, at each location.
    pub(super) fn shares(
        &self,
        when: &Happened,
        line: &Line,
        bound: &Binding,
        (totals, places): (Totals, &[(LocationId, Totals)]),
        home: &LocationId,
    ) -> Result<Vec<Share>, Overflow> {
        let parts = match line.made_of() {
            Some(parts) => parts,
            None => self.state.made_of(&bound.sku)?,
        };
        self.shares_of(parts, when, line, bound, (totals, places), home)
    }

    /// Like [`Draft::shares`] of a line of which one unit is made of these.
    pub(super) fn shares_of(
        &self,
        parts: Vec<Part>,
        when: &Happened,
        line: &Line,
        bound: &Binding,
        (totals, places): (Totals, &[(LocationId, Totals)]),
        home: &LocationId,
    ) -> Result<Vec<Share>, Overflow> {
        let (held, first) = (line.shares(), line.booked == Totals::default());
        let placed_at = when.placed_at;
        let spread = if line.by == FulfilledBy::Channel { Vec::new() } else { places.to_vec() };
        let spread = spread_over(totals, &spread, home)?;
        let mut shares: Vec<Share> = Vec::new();
        for part in parts {
            let from = shares.len();
            for (location, booked) in &spread {
                let of_part = || held.iter().filter(|share| share.sku == part.sku);
                let old = of_part().find(|share| share.location == *location);
                // It was older than the opening count where it lay before, or it was not.
                let (baseline, early) = match old.or_else(|| of_part().next()) {
                    Some(old) if !first => (old.baseline, old.early),
                    Some(_) | None if first => self.opening(placed_at, &part.sku, location),
                    Some(_) | None => (bound.baseline, false),
                };
                let (sku, location) = (part.sku.clone(), location.clone());
                let (units, booked, before) = (part.units, *booked, None);
                shares.push(Share { sku, location, units, booked, baseline, early, before });
            }
            if !first {
                let of_part: Vec<&Share> = held.iter().filter(|share| share.sku == part.sku).collect();
                keep_before(&of_part, &mut shares[from..])?;
            }
            for share in shares[from..].iter_mut().filter(|share| share.baseline) {
                self.place_in_time(share, line, when);
            }
        }
        Ok(shares)
    }

    /// Says what of a share of an order older than the opening count was over by that count, where the order's own times tell
    /// so: all, if it has not changed since and only late webhooks said otherwise. If it has changed since, and is first heard of
    /// now, or what it sells is known only now, nobody knows what it was like then. A whole read of the channel's orders tells
    /// of what is open: of what it did not tell, all was over. Where there was none, or none that can have told of it, nothing
    /// was: too few are shown rather than too many.
    fn place_in_time(&self, share: &mut Share, line: &Line, when: &Happened) {
        // Of one that became part of another SKU, the opening is another one.
        let row = self.state.skus.get(&share.sku).filter(|_| *self.state.canonical(&share.sku) == share.sku);
        let Some(opened) = row.and_then(|row| row.place(&share.location)?.opened.as_ref()) else { return };
        // A clock that is fast does not make later what was recorded by then. What was first counted later on is as of then.
        let initialised = self.state.initialised.filter(|at| opened.as_of.since(*at) <= FAST_MS);
        let as_of = initialised.map_or(opened.as_of, |at| at.min(opened.as_of));
        if when.told_at < as_of.plus_millis(-CLOCKS_MS) && !when.was_read {
            share.before = None;
        } else if line.booked == Totals::default()
            && (when.placed_at >= as_of.plus_millis(-when.feed_lag_ms - CLOCKS_MS)
                || (when.told_at >= as_of && !when.would_be_known()))
        {
            share.before = Some(Totals::default());
        }
    }

    /// Returns the movements from what a line has booked to what it should have, by share.
    pub(super) fn rebooked(
        &self,
        channel: &ChannelId,
        line: &Line,
        wanted: &[Share],
        returns: Returns,
    ) -> Result<Vec<(Share, Moves)>, Overflow> {
        let held = line.shares();
        let same = |a: &Share, b: &Share| a.sku == b.sku && a.location == b.location && a.units == b.units;
        let ordered =
            |of: &[Share]| of.iter().try_fold(Quantity::ZERO, |sum, share| sum.add(share.since()?.ordered));
        // What only lies elsewhere now is no sale.
        let only_moved = ordered(&held)? == ordered(wanted)?;
        let mut all = Vec::new();
        for gone in held.iter().filter(|old| !wanted.iter().any(|new| same(old, new))) {
            let moves = self.taken_back(channel, gone, returns)?;
            all.push((gone.clone(), moves));
        }
        for new in wanted {
            let old = held.iter().find(|old| same(old, new));
            let booked = old.map(|old| old.booked).unwrap_or_default();
            let moves = if !new.baseline || self.counted_by_hand(new) {
                movements(booked, new.booked, returns)?
            } else {
                let since = old.map_or(Ok(Totals::default()), Share::since)?;
                let moves = movements(since, new.since()?, returns)?;
                let first = booked == Totals::default();
                if first || only_moved { self.as_baseline(channel, new, moves) } else { moves }
            };
            all.push((new.clone(), moves));
        }
        for (share, moves) in &mut all {
            for (_, quantity) in moves {
                *quantity = quantity.times(share.units)?;
            }
        }
        all.retain(|(_, moves)| !moves.is_empty());
        Ok(all)
    }

    /// A count by a person tells by itself what it had of an order, however old that is.
    fn counted_by_hand(&self, share: &Share) -> bool {
        by_hand(self.state, &share.sku, &share.location).is_some()
    }

    /// Books the open units of an order older than the opening count as what they are.
    fn as_baseline(&self, channel: &ChannelId, share: &Share, moves: Moves) -> Moves {
        let kind = self.baseline_kind(channel, share);
        moves.into_iter().map(|(of, units)| (if of == Kind::Sale { kind } else { of }, units)).collect()
    }

    /// A free count told by the selling channel itself had left out the open units of its older orders, so they are put
    /// on the shelf and promised at once; any other opening count still held them.
    pub(super) fn baseline_kind(&self, channel: &ChannelId, share: &Share) -> Kind {
        let row = self.state.skus.get(self.state.canonical(&share.sku));
        let opened = row.and_then(|row| row.place(&share.location)?.opened.as_ref());
        let left_out = opened.is_some_and(|o| o.measure == Measure::Free && o.counter == *channel);
        if left_out { Kind::Baseline } else { Kind::Sale }
    }

    /// Returns the movements that undo a share. Of one older than the opening count only what came after it was booked.
    fn taken_back(&self, channel: &ChannelId, share: &Share, returns: Returns) -> Result<Moves, Overflow> {
        if !share.baseline || self.counted_by_hand(share) {
            return movements(share.booked, Totals::default(), returns);
        }
        let moves = movements(share.since()?, Totals::default(), returns)?;
        Ok(self.as_baseline(channel, share, moves))
    }

    /// Notes for each ERP whether it is behind.
    pub(super) fn note_postings(&self, key: &OrderKey, order: &mut Order) -> Result<(), Overflow> {
        let Some(policies) = self.state.policies.clone() else { return Ok(()) };
        let shadow = order.first.map_or(self.state.mode() == Some(Mode::Shadow), |first| first.shadow);
        for (channel, policy) in &policies.channels {
            if !policy.abilities.posts || *channel == key.channel {
                continue;
            }
            let of = |order: &Order| target(order, policy.posts, &policy.locations);
            let wanted = of(order)?;
            // What a person gave up stays so until it is something else.
            let given_up = order.posting(channel).is_some_and(|posting| posting.step == Step::Dropped);
            let had = self.state.order(key).as_deref().map(of).transpose()?;
            let same = given_up && had.as_ref() == Some(&wanted);
            // It was told of nothing so far, because there was nothing to tell.
            let untold = |held: &PostState| held.sequence == 0 && held.step == Step::Done;
            if !order.posting(channel).is_none_or(untold) {
                let watched = order.posting(channel).is_some_and(PostState::is_watched);
                let news = if watched { news(order)? } else { Vec::new() };
                if let Some(held) = order.posting_mut(channel) {
                    if !same {
                        held.retarget(&wanted, &policy.locations, self.now);
                    }
                    if held.is_watched() {
                        held.take_elsewhere(news, &policy.locations);
                    }
                }
                continue;
            }
            if !behind(&[], &wanted) {
                continue;
            }
            let posting = PostState::new(channel.clone(), Step::Pending, self.now);
            let older = is_older(order, policy.posts, &policy.locations);
            // There was something to tell before, and nobody was there to be told.
            let added = had.is_some_and(|had| behind(&[], &had));
            let posting = match (older, added) {
                (true, _) => posting.asked(OLDER),
                (false, true) => posting.asked(ADDED),
                (false, false) => PostState { shadow, ..posting },
            };
            match order.posting_mut(channel) {
                Some(held) => *held = posting,
                None => order.postings.push(posting),
            }
        }
        Ok(())
    }
}

/// Returns when the lines of an order were placed: with it, unless the whole of it was told before and lacked the line.
fn placed<'a>(order: &Order, before: Option<&'a Order>) -> impl Fn(&LineId) -> Timestamp + use<'a> {
    let (at, later) = (order.placed_at, order.changed_at().max(order.placed_at));
    let whole = before.filter(|before| before.whole_push.is_some() || before.whole_fetch.is_some());
    move |id| if whole.is_none_or(|whole| whole.lines.contains_key(id)) { at } else { later }
}

/// Refuses quantities that no connector lets through, before anything is recorded.
pub(super) fn in_range(channel: &ChannelId, orders: &[OrderSnapshot]) -> Result<(), Refused> {
    let bounded = |t: Totals| {
        let all = [t.ordered, t.released, t.written_off, t.fulfilled, t.returned];
        all.into_iter().all(|quantity| Quantity::bounded(quantity.units()).is_ok())
    };
    match orders.iter().find(|order| !order.lines.iter().all(|line| bounded(line.totals))) {
        Some(order) => Err(Refused::OutOfRange(format!("order {channel}:{}", order.order))),
        None => Ok(()),
    }
}
