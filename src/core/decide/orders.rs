//! Orders: merged, mapped, booked, and passed on to the listings and the ERPs.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        command::{Refused, Reply},
        decide::Draft,
        index::{Kind as WorkKind, Work},
        ledger::{Cause, Entry, Kind, Stock, book, movements},
        mapping::{Resolved, resolve},
        order::{Binding, Line, Order},
        posting::{PostState, Step, behind, target},
        record::{Record, Why},
        state::ListingRef,
    },
    model::{
        ChannelId, DeliveryId, FulfilledBy, Identifiers, LocationId, Measure, OrderId, OrderKey,
        OrderSnapshot, Overflow, Quantity, Seen, Seq, Sku, Timestamp, Totals,
    },
};

/// How far the quantity of the selling channel's own listing moves with an order.
type OwnMoves = BTreeMap<ListingRef, Quantity>;

impl Draft<'_> {
    pub(super) fn push(
        &mut self,
        channel: &ChannelId,
        delivery: &DeliveryId,
        orders: Vec<OrderSnapshot>,
        fetch: Vec<OrderId>,
        look: &[Identifiers],
    ) -> Result<Reply, Refused> {
        self.channel(channel)?;
        if self.state.deliveries.contains_key(&(channel.clone(), delivery.clone())) {
            return Ok(Reply::Duplicate);
        }
        for order in &orders {
            self.merge(channel, order, Seen::Pushed)?;
        }
        for order in fetch {
            self.want_fetch(channel, order);
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

    pub(super) fn read_orders(
        &mut self,
        channel: &ChannelId,
        begun: Seq,
        orders: &[OrderSnapshot],
    ) -> Result<Reply, Refused> {
        self.channel(channel)?;
        for order in orders {
            self.merge(channel, order, Seen::Fetched { begun })?;
        }
        Ok(Reply::Done)
    }

    /// An order that nobody knows needs no further fetch. What was booked for it stays.
    pub(super) fn no_order(&mut self, channel: ChannelId, order: OrderId) -> Result<Reply, Refused> {
        let key = OrderKey { channel, order };
        if let Some(mut order) = self.state.orders.get(&key).cloned() {
            order.fetch_due = None;
            self.emit(Record::Order { key, order: Box::new(order), entries: Vec::new() });
        }
        Ok(Reply::Done)
    }

    fn want_fetch(&mut self, channel: &ChannelId, order: OrderId) {
        let key = OrderKey { channel: channel.clone(), order };
        let mut order = self.state.orders.get(&key).cloned().unwrap_or_default();
        order.fetch_due = Some(self.seq);
        self.emit(Record::Order { key, order: Box::new(order), entries: Vec::new() });
    }

    /// Merges a snapshot and books the difference.
    fn merge(&mut self, channel: &ChannelId, snapshot: &OrderSnapshot, seen: Seen) -> Result<(), Refused> {
        let key = OrderKey { channel: channel.clone(), order: snapshot.order.clone() };
        let before = self.state.orders.get(&key);
        let mut order = before.cloned().unwrap_or_default();
        order.merge(snapshot, seen, self.seq);
        if before.is_some_and(|before| *before == order) {
            return Ok(());
        }
        let event_at = if before.is_none() { snapshot.placed_at } else { snapshot.version };
        self.settle_order(key, order, event_at)
    }

    /// Binds the lines of an order, books what is not booked yet, and passes it on.
    pub(super) fn settle_order(
        &mut self,
        key: OrderKey,
        mut order: Order,
        event_at: Timestamp,
    ) -> Result<(), Refused> {
        let out_of_range = |_: Overflow| Refused::OutOfRange(format!("order {key}"));
        self.bind(&key.channel, &mut order)?;
        let mut own = OwnMoves::new();
        let entries = self.entries(&key, &mut order, event_at, &mut own).map_err(out_of_range)?;
        self.note_postings(&key, &mut order).map_err(out_of_range)?;
        if self.state.orders.get(&key) == Some(&order) {
            return Ok(());
        }
        let touched: BTreeSet<Sku> = entries.iter().map(|entry| entry.sku.clone()).collect();
        let placed_at = order.placed_at;
        self.emit(Record::Order { key, order: Box::new(order), entries });
        for (listing, moved) in own {
            self.learn(&listing, Why::OwnSale, |writes| {
                writes.base = writes.base.and_then(|base| base.add(moved).ok());
                if let Some(look) = writes.look.as_mut().filter(|look| placed_at > look.at) {
                    look.since = look.since.add(moved).unwrap_or(look.since);
                }
            });
        }
        for sku in touched {
            self.refresh(&sku, event_at);
        }
        Ok(())
    }

    /// Binds lines to SKUs and places, where that is possible and not done.
    ///
    /// Before the opening stock nothing is bound: whether an order is older than it, and so part of it, is not known.
    fn bind(&self, channel: &ChannelId, order: &mut Order) -> Result<(), Refused> {
        let policy = self.channel(channel)?;
        if self.state.initialised.is_none() {
            return Ok(());
        }
        for line in order.lines.values_mut().filter(|line| line.bound.is_none()) {
            if line.by == FulfilledBy::Channel {
                continue;
            }
            let Some(sku) = resolve(self.state, channel, &line.ids).sku().cloned() else { continue };
            let Some(location) = line.location.clone().or_else(|| policy.locations.first().cloned()) else {
                continue;
            };
            let opened = self.state.skus.get(&sku).and_then(|row| row.place(&location)?.opened.clone());
            let baseline = opened.is_some_and(|opened| order.placed_at < opened.as_of);
            line.bound = Some(Binding { sku, location, baseline });
        }
        Ok(())
    }

    /// Books the difference between the totals of each bound line and what is booked.
    fn entries(
        &self,
        key: &OrderKey,
        order: &mut Order,
        event_at: Timestamp,
        own: &mut OwnMoves,
    ) -> Result<Vec<Entry>, Overflow> {
        let mut stocks: BTreeMap<(Sku, LocationId), Stock> = BTreeMap::new();
        let mut entries = Vec::new();
        let totals: Vec<Totals> =
            order.lines.values().map(|line| order.totals(line)).collect::<Result<_, Overflow>>()?;
        let placed_at = order.placed_at;
        for ((id, line), totals) in order.lines.iter_mut().zip(totals) {
            let Some(bound) = line.bound.clone() else { continue };
            let first = line.booked == Totals::default();
            let moves = if bound.baseline && first {
                self.baseline(&key.channel, &bound, totals)?
            } else {
                self.note_own(key, line, totals, own)?;
                movements(line.booked, totals, self.returns())?
            };
            let place = (bound.sku.clone(), bound.location.clone());
            let stock = stocks.entry(place).or_insert_with(|| self.stock(&bound));
            for (kind, quantity) in moves {
                *stock = book(*stock, kind, quantity)?;
                let event_at = if kind == Kind::Sale { placed_at } else { event_at };
                let cause = Cause::Order { order: key.clone(), line: id.clone() };
                let (sku, location) = (bound.sku.clone(), bound.location.clone());
                entries.push(Entry { sku, location, kind, quantity, cause, event_at, after: *stock });
            }
            line.booked = totals;
        }
        Ok(entries)
    }

    fn stock(&self, bound: &Binding) -> Stock {
        let place = self.state.skus.get(&bound.sku).and_then(|row| row.place(&bound.location));
        place.map(|place| place.stock).unwrap_or_default()
    }

    fn returns(&self) -> crate::model::Returns {
        self.state.policies().map(|p| p.returns).unwrap_or_default()
    }

    /// Returns what a line of an order older than the opening count adds when it is first seen: only its open units.
    ///
    /// A free count told by the selling channel itself had left them out, so they are put on the shelf and promised
    /// at once; any other opening count still held them.
    fn baseline(
        &self,
        channel: &ChannelId,
        bound: &Binding,
        totals: Totals,
    ) -> Result<Vec<(Kind, Quantity)>, Overflow> {
        let row = self.state.skus.get(&bound.sku);
        let opened = row.and_then(|row| row.place(&bound.location)?.opened.as_ref());
        let left_out = opened.is_some_and(|o| o.measure == Measure::Free && o.counter == *channel);
        let open = totals.ordered.sub(totals.released)?.sub(totals.written_off)?.sub(totals.fulfilled)?;
        let kind = if left_out { Kind::Baseline } else { Kind::Sale };
        Ok(if open > Quantity::ZERO { vec![(kind, open)] } else { Vec::new() })
    }

    /// Notes how the selling channel has moved its own listing's quantity with this line.
    fn note_own(&self, key: &OrderKey, line: &Line, to: Totals, own: &mut OwnMoves) -> Result<(), Overflow> {
        let Ok(policy) = self.channel(&key.channel) else { return Ok(()) };
        let abilities = policy.abilities;
        if !abilities.sells {
            return Ok(());
        }
        let mut moved = line.booked.ordered.sub(to.ordered)?;
        if abilities.restocks_cancels {
            moved = moved.add(to.released.sub(line.booked.released)?)?;
        }
        if abilities.restocks_returns {
            moved = moved.add(to.returned.sub(line.booked.returned)?)?;
        }
        let Some(listing) = self.own_listing(&key.channel, line) else { return Ok(()) };
        if !moved.is_zero() {
            let sum = own.entry(listing).or_default();
            *sum = sum.add(moved)?;
        }
        Ok(())
    }

    fn own_listing(&self, channel: &ChannelId, line: &Line) -> Option<ListingRef> {
        match resolve(self.state, channel, &line.ids) {
            Resolved::Listing(listing) => Some(listing),
            Resolved::Sku(sku) => {
                let row = self.state.skus.get(&sku)?;
                let at = row.listings.iter().position(|l| l.channel == *channel)?;
                Some(ListingRef { sku, at: u16::try_from(at).ok()? })
            }
            Resolved::Ambiguous(_) | Resolved::Unknown => None,
        }
    }

    /// Notes for each ERP whether it is behind.
    pub(super) fn note_postings(&self, key: &OrderKey, order: &mut Order) -> Result<(), Overflow> {
        let Some(policies) = self.state.policies.clone() else { return Ok(()) };
        for (channel, policy) in &policies.channels {
            if !policy.abilities.posts || *channel == key.channel {
                continue;
            }
            let target = target(order, policy.posts, &policy.locations)?;
            match order.posting_mut(channel) {
                Some(posting) => {
                    if matches!(posting.step, Step::Done | Step::Dropped) && behind(&posting.acked, &target) {
                        posting.step = Step::Pending;
                        posting.since = self.now;
                        posting.tries = 0;
                    }
                }
                None if behind(&[], &target) => order.postings.push(PostState {
                    channel: channel.clone(),
                    step: Step::Pending,
                    sequence: 0,
                    acked: Vec::new(),
                    acked_at: Seq::ZERO,
                    tries: 0,
                    since: self.now,
                }),
                None => {}
            }
        }
        Ok(())
    }

    /// Tries the unmapped lines of a channel's orders again, after the mapping grew.
    pub(super) fn retry_unmapped(&mut self, channel: &ChannelId) -> Result<(), Refused> {
        let keys: Vec<OrderKey> = self
            .state
            .index
            .of(WorkKind::Unmapped, channel)
            .filter_map(|work| match work {
                Work::Unmapped { order, .. } => Some(order.clone()),
                _ => None,
            })
            .collect();
        for key in keys {
            let Some(order) = self.state.orders.get(&key).cloned() else { continue };
            let placed_at = order.placed_at;
            self.settle_order(key, order, placed_at)?;
        }
        Ok(())
    }
}
