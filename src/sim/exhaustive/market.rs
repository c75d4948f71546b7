//! A channel as it is behind its API: what it shows, what was ordered there, and the writes that are under way to it.

use serde::Serialize;

use crate::{
    core::{State, state::ListingRef},
    model::{
        Abilities, ChannelId, FulfilledBy, IdKind, Identifiers, LineId, LineSnapshot, OrderId, OrderKey,
        OrderSnapshot, Quantity, Rest, Timestamp, Totals,
    },
};

/// The one SKU.
pub(super) const SKU: &str = "A";

#[derive(Debug, Clone)]
pub(super) struct Market {
    pub(super) id: ChannelId,
    pub(super) listing: ListingRef,
    pub(super) can: Abilities,
    pub(super) shown: i64,
    /// Writes that may land yet, or whose answer is still to come.
    pub(super) writes: Vec<Write>,
    pub(super) orders: Vec<Placed>,
    pub(super) read: Option<Read>,
    /// What it showed as long ago as a read may be old, and until when it did.
    pub(super) past: Vec<(i64, i64)>,
    /// Writes that were applied after they were given up.
    pub(super) applied: Vec<String>,
    /// What it showed was taken for a write that has not landed: from then on what is believed of it may be wrong.
    pub(super) mistaken: bool,
}

/// A write that left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) compare: Option<i64>,
    /// It changes what is shown by so much instead.
    pub(super) delta: Option<i64>,
    pub(super) quantity: i64,
    /// Whether it was applied or refused, once it has arrived.
    pub(super) landed: Option<bool>,
    /// When it was given up, or taken to be shown later: it may arrive until the `late` bound from here.
    pub(super) given_up: Option<i64>,
}

/// A read that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Read {
    /// Our clock when it was sent.
    pub(super) sent: i64,
    /// What it may be answered with.
    pub(super) answers: Vec<i64>,
    /// What comes now may be in it yet. It is assumed that an answer is no more than five seconds younger than its question.
    pub(super) open: bool,
}

impl Read {
    fn may_be(&mut self, units: i64) {
        if !self.answers.contains(&units) {
            self.answers.push(units);
        }
    }
}

/// An order of one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Placed {
    pub(super) at: i64,
    /// The channel put the unit back on its own shelf.
    pub(super) cancelled_at: Option<i64>,
}

impl Market {
    pub(super) fn new(id: &ChannelId, can: Abilities, listing: ListingRef) -> Market {
        let (writes, orders, past) = (Vec::new(), Vec::new(), Vec::new());
        Market {
            id: id.clone(),
            listing,
            can,
            shown: 0,
            writes,
            orders,
            read: None,
            past,
            applied: Vec::new(),
            mistaken: false,
        }
    }

    /// What the SKU goes by there.
    pub(super) fn ids() -> Identifiers {
        Identifiers::new([(IdKind::Sku, SKU)]).expect("good ids")
    }

    fn show(&mut self, units: i64, now: i64) {
        if self.can.stale_ms > 0 {
            self.past.push((now, self.shown));
            self.forget(now);
        }
        self.shown = units;
        if let Some(read) = self.read.as_mut().filter(|read| read.open) {
            read.may_be(units);
        }
    }

    /// Forgets what no read can be answered with any more.
    fn forget(&mut self, now: i64) {
        let stale = self.can.stale_ms;
        self.past.retain(|(until, _)| *until >= now - stale);
    }

    /// It is asked what it shows.
    pub(super) fn ask(&mut self, now: i64) {
        self.forget(now);
        let mut read = Read { sent: now, answers: vec![self.shown], open: true };
        self.past.iter().for_each(|(_, units)| read.may_be(*units));
        self.read = Some(read);
    }

    pub(super) fn sell(&mut self, now: i64) {
        self.show(self.shown - 1, now);
        self.orders.push(Placed { at: now, cancelled_at: None });
    }

    pub(super) fn cancel(&mut self, order: usize, now: i64) {
        self.show(self.shown + 1, now);
        self.orders[order].cancelled_at = Some(now);
    }

    /// A write arrives. Where it compares, it is refused unless the channel shows what it compares with.
    pub(super) fn land(&mut self, write: usize, now: i64) {
        let Write { compare, delta, quantity, given_up, .. } = self.writes[write];
        let applied = compare.is_none_or(|compare| compare == self.shown);
        if applied {
            self.show(delta.map_or(quantity, |delta| self.shown + delta), now);
        }
        self.writes[write].landed = Some(applied);
        if given_up.is_some() {
            let write = self.writes.remove(write);
            self.applied.extend(applied.then_some(write.key));
        }
    }

    /// Nothing more is heard of a write: it may arrive until the `late` bound from here, or never.
    pub(super) fn give_up(&mut self, write: usize, now: i64) {
        self.writes[write].given_up = Some(now);
        if let Some(applied) = self.writes[write].landed {
            let write = self.writes.remove(write);
            self.applied.extend(applied.then_some(write.key));
        }
    }

    /// A long time passes. What can no longer arrive is gone, and no read is answered with what comes after it.
    pub(super) fn expire(&mut self, now: i64) {
        let late = self.can.late_ms;
        self.writes.retain(|write| write.given_up.is_none_or(|at| now - at < late));
        self.read.iter_mut().for_each(|read| read.open = false);
        self.forget(now);
    }

    pub(super) fn key(&self, order: usize) -> OrderKey {
        let order = OrderId::new(&format!("o{order}")).expect("a good id");
        OrderKey { channel: self.id.clone(), order }
    }

    /// Returns an order as it stood at `then`, if it was placed by then.
    pub(super) fn snapshot(&self, order: usize, then: i64) -> Option<OrderSnapshot> {
        let placed = self.orders.get(order).filter(|placed| placed.at <= then)?;
        let cancelled_at = placed.cancelled_at.filter(|at| *at <= then);
        let released = Quantity::new(i64::from(cancelled_at.is_some()));
        let totals = Totals { ordered: Quantity::new(1), released, ..Totals::default() };
        let line = LineSnapshot {
            line: LineId::new("l").expect("a good id"),
            ids: Market::ids(),
            location: None,
            unplaced_at: None,
            places: Vec::new(),
            by: FulfilledBy::Merchant,
            totals,
            rest: Rest::Open,
        };
        Some(OrderSnapshot {
            order: self.key(order).order,
            name: None,
            version: Timestamp::from_millis(cancelled_at.unwrap_or(placed.at)),
            placed_at: Timestamp::from_millis(placed.at),
            complete: true,
            lines: vec![line],
        })
    }

    pub(super) fn snapshots(&self, then: i64) -> Vec<OrderSnapshot> {
        (0..self.orders.len()).filter_map(|order| self.snapshot(order, then)).collect()
    }

    /// Tells whether the ledger lacks an order as it stands.
    pub(super) fn is_untold(&self, state: &State, order: usize) -> bool {
        let booked = booked(state, &self.key(order));
        let cancelled = self.orders[order].cancelled_at.is_some();
        (booked.ordered.units(), booked.released.units()) != (1, i64::from(cancelled))
    }

    /// How many units were sold there that the ledger does not know of, less those put back that it does not know of.
    pub(super) fn unseen(&self, state: &State) -> i64 {
        let net = |(n, placed): (usize, &Placed)| {
            let booked = booked(state, &self.key(n));
            let known = booked.ordered.units() - booked.released.units();
            1 - i64::from(placed.cancelled_at.is_some()) - known
        };
        self.orders.iter().enumerate().map(net).sum()
    }
}

fn booked(state: &State, key: &OrderKey) -> Totals {
    let line = state.orders.get(key).and_then(|order| order.lines.values().next());
    line.map(|line| line.booked).unwrap_or_default()
}
