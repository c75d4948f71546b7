//! A channel's orders: how they come about and change there, and how its feed tells them.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use crate::{
    connectors::By,
    model::{
        IdKind, Identifiers, LineId, LineSnapshot, OrderId, OrderSnapshot, Quantity, Rest, Timestamp, Totals,
    },
    sim::{
        market::{Kind, Market},
        wide::place,
    },
};

/// One line of an order: `[ordered, released, written off, fulfilled, returned]`, since it was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) struct Line {
    pub(in crate::sim) listing: usize,
    pub(in crate::sim) units: [i64; 5],
    /// What of them lies at the channel's other location.
    pub(in crate::sim) away: [i64; 5],
}

impl Line {
    /// Returns what of it lies where it was sold, or at the channel's other location.
    pub(in crate::sim) fn part(&self, away: bool) -> [i64; 5] {
        if away { self.away } else { std::array::from_fn(|n| self.units[n] - self.away[n]) }
    }
}

/// Returns how many units are neither shipped nor cancelled.
pub(in crate::sim) fn open([ordered, released, written_off, fulfilled, _]: [i64; 5]) -> i64 {
    ordered - released - written_off - fulfilled
}

/// An order as it stands.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Sale {
    pub(in crate::sim) placed_at: i64,
    pub(in crate::sim) version: i64,
    pub(in crate::sim) lines: Vec<Line>,
    /// What the feed tells of it yet: its version and lines, if it tells it at all.
    listed: Option<(i64, Vec<Line>)>,
    /// The feed has told of it.
    told: bool,
}

/// All orders of a channel, and its list of them, which is behind.
#[derive(Debug, Default)]
pub(super) struct Book {
    sales: Vec<Sale>,
    list: BTreeSet<(i64, usize)>,
    /// The same orders by when they were placed.
    placed: BTreeSet<(i64, usize)>,
    /// What the list is still to take in: when, and which order.
    behind: BinaryHeap<Reverse<(i64, usize)>>,
    /// Listings of orders that were cancelled before the feed told of them: it tells that nothing of them was ordered.
    unheard_of: Vec<usize>,
}

/// One page of the feed.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Page {
    pub(in crate::sim) orders: Vec<OrderSnapshot>,
    /// Where it goes on.
    pub(in crate::sim) next: Option<(i64, usize)>,
    pub(in crate::sim) read_through: Option<i64>,
}

impl Market {
    /// Returns the listings of which the list told, since it was last asked, less than the channel did.
    pub(in crate::sim) fn unheard_of(&mut self) -> Vec<usize> {
        let of = std::mem::take(&mut self.book.unheard_of);
        if self.kind == Kind::Amazon { of } else { Vec::new() }
    }

    pub(in crate::sim) fn sales(&self) -> usize {
        self.book.sales.len()
    }

    pub(in crate::sim) fn sale(&self, n: usize) -> &Sale {
        &self.book.sales[n]
    }

    /// Somebody buys. `lag`: how long until the list of orders has it.
    pub(in crate::sim) fn place(&mut self, now: i64, lines: &[(usize, i64)], lag: i64) -> usize {
        for (listing, units) in lines {
            self.change(now, *listing, |shelf| {
                shelf.shown -= units;
                shelf.committed += units;
            });
            self.listed[*listing].sold += units;
        }
        let line = |(listing, units): &(usize, i64)| Line {
            listing: *listing,
            units: [*units, 0, 0, 0, 0],
            away: [0; 5],
        };
        let at = self.clock(now);
        let lines = lines.iter().map(line).collect();
        self.book.sales.push(Sale { placed_at: at, version: at, lines, listed: None, told: false });
        let n = self.book.sales.len() - 1;
        self.book.behind.push(Reverse((now + lag, n)));
        n
    }

    /// Moves units of one line on: from open to released, written off or fulfilled (1, 2, 3), or from there to returned (4).
    /// `away`: those at the channel's other location. Does to the channel's own shelf what the channel does by itself.
    pub(in crate::sim) fn move_on(
        &mut self,
        now: i64,
        (order, line, away): (usize, usize, bool),
        to: usize,
        units: i64,
        lag: i64,
    ) {
        let at = self.clock(now);
        let sale = &mut self.book.sales[order];
        sale.lines[line].units[to] += units;
        sale.lines[line].away[to] += if away { units } else { 0 };
        // Versions of a transaction that began earlier go back.
        sale.version = at.max(sale.placed_at);
        let listing = self.lies_at(order, line, away);
        let back = match to {
            1 => self.can.restocks_cancels,
            4 => self.can.restocks_returns,
            _ => false,
        };
        self.change(now, listing, |shelf| {
            let (shown, on_hand, committed) = match (to, back) {
                (1, true) => (units, 0, -units),
                (1, false) | (2 | 3, _) => (0, -units, -units),
                (_, true) => (units, units, 0),
                (_, false) => (0, 0, 0),
            };
            shelf.shown += shown;
            shelf.on_hand += on_hand;
            shelf.committed += committed;
        });
        if back {
            self.listed[listing].restocked += units;
        }
        self.book.behind.push(Reverse((now + lag, order)));
    }

    /// Returns the listing of the units of a line that lie where it was sold, or at the channel's other location.
    pub(in crate::sim) fn lies_at(&self, order: usize, line: usize, away: bool) -> usize {
        let listing = self.book.sales[order].lines[line].listing;
        if away { self.elsewhere(listing) } else { listing }
    }

    /// Has open units of a line shipped from the channel's other location. `back`: they come from there.
    pub(in crate::sim) fn reroute(
        &mut self,
        now: i64,
        (order, line, back): (usize, usize, bool),
        units: i64,
        lag: i64,
    ) {
        let at = self.clock(now);
        let [from, to] = [back, !back].map(|away| self.lies_at(order, line, away));
        let sale = &mut self.book.sales[order];
        sale.lines[line].away[0] += if back { -units } else { units };
        sale.version = at.max(sale.placed_at);
        for (listing, units) in [(from, units), (to, -units)] {
            self.change(now, listing, |shelf| {
                shelf.shown += units;
                shelf.committed -= units;
            });
            self.listed[listing].sold -= units;
        }
        self.listed[from].moved_off += units;
        self.book.behind.push(Reverse((now + lag, order)));
    }

    /// Returns an order as it stands. `whole`: all of its lines, or only the first.
    pub(in crate::sim) fn snapshot(&self, order: usize, whole: bool) -> OrderSnapshot {
        let sale = &self.book.sales[order];
        self.told(order, sale.version, &sale.lines, whole)
    }

    /// Returns an order as a webhook tells it: where its units lie it does not say.
    pub(in crate::sim) fn pushed(&self, order: usize, whole: bool) -> OrderSnapshot {
        let mut told = self.snapshot(order, whole);
        told.lines.iter_mut().for_each(|line| (line.location, line.places) = (None, Vec::new()));
        told
    }

    /// Returns what of Amazon's message about an order is believed: what is still ordered, where nothing was shipped.
    pub(in crate::sim) fn notified(&self, order: usize, whole: bool) -> Option<OrderSnapshot> {
        let told = self.snapshot(order, whole);
        let line = |line: LineSnapshot| {
            let Totals { ordered, released, written_off, fulfilled, .. } = line.totals;
            let held = ordered.sub(released).and_then(|left| left.sub(written_off)).ok()?;
            let ids = Identifiers::new([(IdKind::Sku, line.ids.get(IdKind::Sku)?)]).ok()?;
            let totals = Totals { ordered: held, ..Totals::default() };
            let open = held > Quantity::ZERO && fulfilled.is_zero();
            open.then_some(LineSnapshot { ids, totals, rest: Rest::Open, ..line })
        };
        let lines: Option<Vec<LineSnapshot>> = told.lines.into_iter().map(line).collect();
        Some(OrderSnapshot { lines: lines?, ..told })
    }

    fn told(&self, order: usize, version: i64, lines: &[Line], whole: bool) -> OrderSnapshot {
        let told = lines.iter().enumerate().take(if whole { usize::MAX } else { 1 });
        OrderSnapshot {
            order: order_id(order),
            name: None,
            version: Timestamp::from_millis(version),
            placed_at: Timestamp::from_millis(self.book.sales[order].placed_at),
            complete: whole,
            lines: told.map(|(n, line)| self.line(n, line)).collect(),
        }
    }

    fn line(&self, n: usize, line: &Line) -> LineSnapshot {
        let mut totals = totals_of(line.units);
        let mut rest = Rest::Open;
        // Amazon tells of a line that was cancelled whole that nothing is ordered any more.
        if self.kind == Kind::Amazon && line.units[1] == line.units[0] {
            (totals, rest) = (Totals::default(), Rest::Released);
        }
        let mut places = Vec::new();
        if self.has_outlets() {
            let at = |away: bool| usize::from(line.listing >= self.items) ^ usize::from(away);
            places = [false, true].map(|away| (at(away), line.part(away))).to_vec();
            places.retain(|(_, part)| part[0] > 0);
            // The first is where most is to be shipped from.
            places.sort_by_key(|(_, part)| Reverse(open(*part)));
        }
        let places: Vec<_> = places.into_iter().map(|(at, part)| (place(at), totals_of(part))).collect();
        LineSnapshot {
            line: LineId::new(&format!("l{n}")).expect("a good id"),
            ids: self.listed[line.listing].ids.without(IdKind::Location),
            location: places.first().map(|(location, _)| location.clone()),
            unplaced_at: None,
            places,
            by: self.shipped_by(line.listing),
            totals,
            rest,
        }
    }

    /// Lets the list take in what it was behind with.
    fn catch_up(&mut self, now: i64) {
        while let Some(Reverse((due, order))) = self.book.behind.peek().copied() {
            if due > now {
                return;
            }
            self.book.behind.pop();
            let sale = &mut self.book.sales[order];
            // It has the order as it stands by now, whichever change brought it there.
            if let Some((listed, _)) = sale.listed.replace((sale.version, sale.lines.clone())) {
                self.book.list.remove(&(listed, order));
            }
            self.book.list.insert((sale.version, order));
            self.book.placed.insert((sale.placed_at, order));
        }
    }

    /// Reads a page of the orders changed, or placed, since `since`, the oldest first. `after`: where the last page ended.
    pub(in crate::sim) fn orders(
        &mut self,
        now: i64,
        by: By,
        since: i64,
        after: Option<(i64, usize)>,
        size: usize,
    ) -> Page {
        self.catch_up(now);
        // Amazon leaves out the latest two minutes of either list.
        let bound = match self.kind {
            Kind::Shopify => i64::MAX,
            Kind::Amazon => self.clock(now) - 120_000,
        };
        let from = after.map_or((since, 0), |(version, order)| (version, order + 1));
        let list = match by {
            By::Change => &self.book.list,
            By::Placement => &self.book.placed,
        };
        let mut found: Vec<(i64, usize)> =
            list.range(from..).take_while(|(at, _)| *at <= bound).take(size + 1).copied().collect();
        let more = found.len() > size;
        found.truncate(size);
        for (_, n) in &found {
            let sale = &mut self.book.sales[*n];
            if !std::mem::replace(&mut sale.told, true) {
                let lines = sale.listed.iter().flat_map(|(_, lines)| lines);
                let gone = lines.filter(|line| line.units[1] == line.units[0]);
                self.book.unheard_of.extend(gone.map(|line| line.listing));
            }
        }
        let order = |(_, n): &(i64, usize)| {
            let sale = &self.book.sales[*n];
            let (version, lines) = sale.listed.as_ref()?;
            // Where the shop has several locations the list names the orders, and tells them as they stand: what is said there of
            // where units lie goes by no version.
            let (version, lines) =
                if self.has_outlets() { (sale.version, &sale.lines) } else { (*version, lines) };
            Some(self.told(*n, version, lines, true))
        };
        let orders = found.iter().filter_map(order).collect();
        let next = found.last().copied().filter(|_| more);
        let through = bound.min(self.clock(now)).max(since);
        Page { orders, next, read_through: next.is_none().then_some(through) }
    }
}

fn totals_of(units: [i64; 5]) -> Totals {
    let [ordered, released, written_off, fulfilled, returned] = units.map(Quantity::new);
    Totals { ordered, released, written_off, fulfilled, returned }
}

/// Returns what the `n`-th order of a channel is called.
pub(in crate::sim) fn order_id(n: usize) -> OrderId {
    OrderId::new(&format!("o{n}")).expect("a good id")
}

/// Returns which order this is.
pub(in crate::sim) fn number(order: &OrderId) -> Option<usize> {
    order.as_str().strip_prefix('o')?.parse().ok()
}
