//! Several places: which goods a listing sells, what of them it may show, orders that are shipped from elsewhere than was thought,
//! and goods that are carried from place to place.

use std::collections::BTreeSet;

use crate::{
    core::state::ListingRef,
    model::{CountLine, LocationId, Sku},
    sim::{
        loops::Loop,
        market::{number, open},
        plan::{self, AMAZON, SHOP},
        wide::{KEPT, place, place_number},
        world::{Event, World},
    },
};

impl World {
    /// Returns which listing of a channel shows the `n`-th thing at one of the channel's own locations.
    pub(super) fn slot(&self, n: usize, slot: usize) -> usize {
        slot * self.plan.parts.len() + n
    }

    /// Returns what a listing shows, and at which of the channel's own locations.
    pub(super) fn market_item(&self, channel: usize, n: usize) -> (usize, usize) {
        let items = self.markets[channel].items;
        (n % items, n / items)
    }

    pub(super) fn any_slot(&mut self, channel: usize, n: usize) -> usize {
        let slot = self.random.below(self.plan.shows_at(channel));
        self.slot(n, slot)
    }

    /// Returns the SKU that a listing is of.
    pub(super) fn sku_of(&self, channel: usize, n: usize) -> Sku {
        plan::sku(self.market_item(channel, n).0)
    }

    /// Finds a listing in what the daemon knows.
    pub(super) fn listing(&self, channel: usize, n: usize) -> Option<ListingRef> {
        let sku = self.sku_of(channel, n);
        let (id, market) = (plan::channel(channel), &self.markets[channel]);
        let listings = &self.daemon.durable.skus.get(&sku)?.listings;
        let at = listings.iter().position(|l| l.channel == id && market.find(&l.ids) == Some(n))?;
        Some(ListingRef { sku, at: u16::try_from(at).ok()? })
    }

    /// Returns which goods a SKU at a location is.
    pub(super) fn goods_of(&self, sku: &Sku, location: &LocationId) -> Option<usize> {
        Some(self.plan.goods_at(number(sku.as_str())?, place_number(location)?))
    }

    /// Returns what a sale of a listing takes, and from where: goods and units.
    pub(super) fn goods_sold(&self, channel: usize, n: usize) -> Vec<(usize, i64)> {
        let (item, slot) = self.market_item(channel, n);
        let at = if self.markets[channel].keeps(n) { KEPT } else { self.plan.drawn(channel, slot)[0] };
        self.plan.parts[item].iter().map(|(kind, units)| (self.plan.goods_at(*kind, at), *units)).collect()
    }

    /// Returns how many units a listing may show, what is kept back aside.
    pub(super) fn may_show(&self, channel: usize, n: usize) -> i64 {
        let (item, slot) = self.market_item(channel, n);
        let (drawn, shared) = (self.plan.drawn(channel, slot), self.plan.is_shared());
        let other = (0..self.plan.wide.places).find(|at| !drawn.contains(at));
        let of = |(kind, units): &(usize, i64)| {
            let goods: Vec<usize> = drawn.iter().map(|at| self.plan.goods_at(*kind, *at)).collect();
            let free = self.truth.free(&goods, other.map(|at| self.plan.goods_at(*kind, at)), shared);
            (free - self.plan.policies.allocation.safety_stock.units()).max(0) / units
        };
        self.plan.parts[item].iter().map(of).min().unwrap_or(0)
    }

    /// Returns the places that the ERP counts together, if they are several.
    pub(super) fn counted_together(&self) -> BTreeSet<LocationId> {
        if self.plan.wide.places > 1 {
            (0..self.plan.wide.places).map(place).collect()
        } else {
            BTreeSet::new()
        }
    }

    /// A count lacks a line: a page of one warehouse could not be read.
    pub(super) fn tear(&mut self, lines: &mut Vec<CountLine>) {
        if !self.calm && self.plan.wide.torn > 0 && self.random.chance(self.plan.wide.torn) && lines.len() > 1
        {
            let gone = lines.remove(self.random.below(lines.len()));
            self.tell(|| format!("erp: a count lacks {} at {}", gone.ids, gone.location));
        }
    }

    /// Goods are carried from place to place, and the ERP is told.
    pub(super) fn carry(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.wide.carries);
        self.after(next, Event::Carry);
        let (kind, from) = (self.random.below(self.plan.kinds), self.random.below(2));
        let [from, to] = [from, 1 - from].map(|at| self.plan.goods_at(kind, at));
        let units = self.random.between(1, 4).min(self.truth.goods[from].shelf);
        if units < 1 {
            return;
        }
        for (goods, by) in [(from, -units), (to, units)] {
            self.truth.carry(self.now, goods, by);
            self.spoil(goods);
            self.erp.move_by(self.now, goods, by);
        }
        self.carried += 1;
        self.tell(|| format!("staff: carries {units} of goods {from} to {to}"));
    }

    /// The shop's staff has an order shipped from the shop's other location.
    pub(super) fn reroute(&mut self) {
        let Some(mean) = self.plan.wide.outlets.filter(|_| !self.calm) else { return };
        let next = self.random.about(mean);
        self.after(next, Event::Reroute);
        let count = self.markets[SHOP].sales();
        if count == 0 {
            return;
        }
        let order = count - 1 - self.random.below(count.min(30));
        let line = self.random.below(self.markets[SHOP].sale(order).lines.len());
        let held = self.markets[SHOP].sale(order).lines[line];
        let back = open(held.away) > 0 && self.random.chance(300);
        let most = open(held.part(back));
        if most == 0 {
            return;
        }
        let units = self.random.between(1, most);
        let [from, to] = [back, !back].map(|away| self.markets[SHOP].lies_at(order, line, away));
        for ((from, each), (to, _)) in self.goods_sold(SHOP, from).into_iter().zip(self.goods_sold(SHOP, to))
        {
            self.truth.reroute(from, to, units * each);
        }
        let lag = self.lag(SHOP);
        self.markets[SHOP].reroute(self.now, (order, line, back), units, lag);
        self.rerouted += 1;
        if back || held.away[0] > 0 {
            // It went to and fro: the order tells of its latest change alone.
            let of = (plan::channel(SHOP), self.sku_of(SHOP, from));
            self.checks.retold.insert(of);
        }
        self.tell(|| {
            format!("shop: {units} of line {line} of order o{order} go from listing {from} to {to}")
        });
        self.exposed(SHOP, to);
        self.announce(SHOP, order);
    }

    /// Checks what counts have put on hand at all places together: no raise comes of a part of a set (I10).
    pub(super) fn counted_in_all(&self, kind: usize, since: i64) -> Result<(), String> {
        let (mut counted, mut opened) = (0, 0);
        let mut moved: Vec<(i64, i64)> = Vec::new();
        for at in 0..self.plan.wide.places {
            let n = self.plan.goods_at(kind, at);
            opened += self.plan.stock[n];
            counted += self.checks.counted.get(&(plan::sku(kind), place(at))).copied().unwrap_or(0);
            moved.extend(self.truth.goods[n].by());
        }
        moved.sort_unstable();
        let before: i64 = moved.iter().filter(|(at, _)| *at <= since).map(|(_, by)| by).sum();
        let (mut now, mut most) = (before, before);
        // What happens at one moment happens together.
        let later: Vec<(i64, i64)> = moved.into_iter().filter(|(at, _)| *at > since).collect();
        for at in later.chunk_by(|a, b| a.0 == b.0) {
            now += at.iter().map(|(_, by)| by).sum::<i64>();
            most = most.max(now);
        }
        if counted <= opened + most {
            return Ok(());
        }
        let sku = plan::sku(kind);
        Err(format!(
            "I10: counts have put {counted} of {sku} on hand in all; they opened with {opened}, and {most} were found"
        ))
    }

    /// Has all that only wide runs have begin.
    pub(super) fn begin_wide(&mut self, soon: i64) {
        let wide = &self.plan.wide;
        let all = [
            (wide.outlets.unwrap_or(0), Event::Reroute),
            (wide.carries, Event::Carry),
            (wide.transfers, Event::Transfer),
            (wide.kept, Event::KeptShopper),
        ];
        for (mean, event) in all.into_iter().filter(|(mean, _)| *mean > 0) {
            let first = self.random.about(mean);
            self.at(soon + first, event);
        }
        if self.plan.wide.kept > 0 {
            self.wake_at(AMAZON, Loop::Kept, soon);
        }
    }
}
