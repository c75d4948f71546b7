//! Where units are to be shipped from: fulfillment orders, made when an order is placed, and moved by people.

use crate::sandbox::books::{Move, Moved};

use super::orders::Refusal;
use super::store::Store;
use super::webhooks::{Event, Subject};

/// A fulfillment order.
pub(super) struct Route {
    pub(super) id: u64,
    pub(super) place: usize,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) lines: Vec<RouteLine>,
}

pub(super) struct RouteLine {
    pub(super) id: u64,
    /// Index of the order's line.
    pub(super) line: usize,
    pub(super) total: i64,
    pub(super) remaining: i64,
}

impl Route {
    pub(super) fn status(&self) -> &'static str {
        let open = self.lines.iter().any(|line| line.remaining > 0);
        let begun = self.lines.iter().any(|line| line.remaining < line.total);
        match (open, begun) {
            (true, false) => "OPEN",
            (true, true) => "IN_PROGRESS",
            (false, _) => "CLOSED",
        }
    }
}

impl Store {
    /// Decides from where units of an item are shipped: the first place that has all of them, else as many from each as it
    /// has. What is nowhere is owed by the first place that stocks the item.
    pub(super) fn route(&self, item: usize, quantity: i64, at: Option<usize>) -> Vec<(usize, i64)> {
        if let Some(place) = at {
            return vec![(place, quantity)];
        }
        let stocked: Vec<usize> = (0..self.places).filter(|place| self.is_stocked(item, *place)).collect();
        let home = stocked.first().copied().unwrap_or(0);
        if let Some(place) = stocked.iter().find(|place| self.available_at(item, **place) >= quantity) {
            return vec![(*place, quantity)];
        }
        let mut left = quantity;
        let mut shares = Vec::new();
        for place in stocked {
            let units = left.min(self.available_at(item, place)).max(0);
            if units > 0 {
                shares.push((place, units));
                left -= units;
            }
        }
        if left > 0 {
            match shares.iter_mut().find(|(place, _)| *place == home) {
                Some((_, units)) => *units += left,
                None => shares.push((home, left)),
            }
        }
        shares
    }

    /// Routes lines of an order (line, place, units): one fulfillment order for each place.
    pub(super) fn add_routes(&mut self, order: usize, shares: &[(usize, usize, i64)], now_ms: i64) {
        let mut places: Vec<usize> = shares.iter().map(|(_, place, _)| *place).collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let here: Vec<_> = shares.iter().filter(|(_, at, _)| *at == place).copied().collect();
            let line = |store: &mut Store, (line, _, units)| RouteLine {
                id: store.next_line(),
                line,
                total: units,
                remaining: units,
            };
            let lines = here.into_iter().map(|share| line(self, share)).collect();
            let id = self.next_line();
            let at = self.orders[order].routes.len();
            self.routes.insert(id, (order, at));
            self.routes_by_update.insert((now_ms / 1000, order, at));
            let (created_ms, updated_ms) = (now_ms, now_ms);
            self.orders[order].routes.push(Route { id, place, created_ms, updated_ms, lines });
        }
    }

    fn touch_route(&mut self, order: usize, at: usize, now_ms: i64) {
        let route = &mut self.orders[order].routes[at];
        self.routes_by_update.remove(&(route.updated_ms / 1000, order, at));
        route.updated_ms = now_ms;
        self.routes_by_update.insert((now_ms / 1000, order, at));
    }

    /// Takes open units of a line out of their fulfillment orders, the latest first; returns (place, units).
    pub(super) fn unroute(
        &mut self,
        order: usize,
        line: usize,
        units: i64,
        now_ms: i64,
    ) -> Vec<(usize, i64)> {
        self.unroute_from(order, line, units, now_ms, |_| true)
    }

    fn unroute_from(
        &mut self,
        order: usize,
        line: usize,
        mut units: i64,
        now_ms: i64,
        from: impl Fn(usize) -> bool,
    ) -> Vec<(usize, i64)> {
        let mut taken: Vec<(usize, i64)> = Vec::new();
        for at in (0..self.orders[order].routes.len()).rev() {
            let route = &mut self.orders[order].routes[at];
            let place = route.place;
            let mut here = 0;
            for row in route.lines.iter_mut().filter(|row| row.line == line && from(place)) {
                let part = units.min(row.remaining).max(0);
                row.remaining -= part;
                units -= part;
                here += part;
            }
            if here > 0 {
                self.touch_route(order, at, now_ms);
                match taken.iter_mut().find(|(known, _)| *known == place) {
                    Some((_, sum)) => *sum += here,
                    None => taken.push((place, here)),
                }
            }
        }
        taken
    }

    /// Units of a line are to be shipped from a place again: their shipment was undone.
    pub(super) fn reroute(&mut self, order: usize, line: usize, place: usize, units: i64, now_ms: i64) {
        let routes = &mut self.orders[order].routes;
        let found = routes
            .iter()
            .rposition(|route| route.place == place && route.lines.iter().any(|row| row.line == line));
        let Some(at) = found else { return self.add_routes(order, &[(line, place, units)], now_ms) };
        if let Some(row) = routes[at].lines.iter_mut().find(|row| row.line == line) {
            row.remaining += units;
            row.total = row.total.max(row.remaining);
        }
        self.touch_route(order, at, now_ms);
    }

    /// A person has units of an item shipped from elsewhere. Only the fulfillment orders are changed by that, not the order.
    pub(in crate::sandbox) fn move_units(
        &mut self,
        order: usize,
        (item, mut units): (usize, i64),
        to: usize,
        event: &mut Event<'_>,
    ) -> Result<Vec<Moved>, Refusal> {
        self.live(order)?;
        if to >= self.places {
            return Err("there is no such place".into());
        }
        let open: i64 = self.movable(order, item, to);
        if units <= 0 || units > open {
            return Err(format!("{open} units of that are open elsewhere"));
        }
        let source = self.orders[order].routes.iter().rposition(|route| route.place != to).unwrap_or(0);
        let (mut moves, mut shares) = (Vec::new(), Vec::new());
        for line in 0..self.orders[order].lines.len() {
            if self.orders[order].lines[line].item != item {
                continue;
            }
            for (place, part) in self.unroute_from(order, line, units, event.now_ms, |at| at != to) {
                units -= part;
                shares.push((line, to, part));
                self.shift(item, place, part, -part, event);
                self.shift(item, to, -part, part, event);
                moves.push(Moved { sku: item, place, quantity: part, what: Move::Rerouted { to } });
            }
        }
        self.add_routes(order, &shares, event.now_ms);
        let target = self.orders[order].routes.len() - 1;
        let letter = event.letter("fulfillment_orders/moved", Subject::Rerouted { order, source, target });
        if !self.orders[order].hidden {
            self.post(letter);
        }
        Ok(moves)
    }

    fn movable(&self, order: usize, item: usize, to: usize) -> i64 {
        let order = &self.orders[order];
        let routes = order.routes.iter().filter(|route| route.place != to);
        let rows = routes.flat_map(|route| &route.lines);
        rows.filter(|row| order.lines[row.line].item == item).map(|row| row.remaining).sum()
    }
}
