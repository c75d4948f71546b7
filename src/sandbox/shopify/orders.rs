//! What happens to orders, and what that does to the inventory states: an order moves units from `available` to
//! `committed`, a fulfilment takes them out of `committed` and off the shelf, a cancel or return with restock brings
//! them back to `available`.

use std::collections::BTreeMap;

use crate::sandbox::books::{Move, Moved};

use super::made::LineGroup;
use super::routes::Route;
use super::store::Store;
use super::webhooks::{Event, Subject};

pub(super) struct Order {
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) cancelled: Option<(i64, CancelReason)>,
    pub(super) lines: Vec<Line>,
    /// The bundles that were sold.
    pub(super) groups: Vec<LineGroup>,
    pub(super) fulfilments: Vec<Fulfilment>,
    pub(super) refunds: Vec<Refund>,
    pub(super) routes: Vec<Route>,
    pub(super) edited: bool,
    /// No feed and no webhook ever shows it.
    pub(super) hidden: bool,
}

pub(super) struct Line {
    pub(super) id: u64,
    pub(super) item: usize,
    pub(super) quantity: i64,
    /// Index of the group that it was sold in.
    pub(super) group: Option<usize>,
    /// Taken off the order before fulfilment, by a cancel, a refund or an edit.
    pub(super) removed: i64,
    pub(super) fulfilled: i64,
    /// Refunded after fulfilment.
    pub(super) refunded: i64,
}

pub(super) struct Fulfilment {
    pub(super) id: u64,
    pub(super) place: usize,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) cancelled: bool,
    /// Index of the line, units.
    pub(super) lines: Vec<(usize, i64)>,
}

pub(super) struct Refund {
    pub(super) id: u64,
    pub(super) created_ms: i64,
    pub(super) lines: Vec<RefundLine>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RefundLine {
    pub(super) id: u64,
    pub(super) line: usize,
    pub(super) quantity: i64,
    pub(super) restock: Restock,
    /// Where it is on sale again.
    pub(super) place: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names are Shopify's")]
pub(in crate::sandbox) enum Restock {
    /// Not yet fulfilled; sellable again.
    Cancel,
    /// Fulfilled, and back on the shelf.
    Return,
    /// Not sellable again.
    NoRestock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::sandbox) enum CancelReason {
    #[default]
    Customer,
    Inventory,
    Fraud,
    Declined,
    Staff,
    Other,
}

impl CancelReason {
    pub(super) fn name(self) -> &'static str {
        match self {
            CancelReason::Customer => "customer",
            CancelReason::Inventory => "inventory",
            CancelReason::Fraud => "fraud",
            CancelReason::Declined => "declined",
            CancelReason::Staff => "staff",
            CancelReason::Other => "other",
        }
    }
}

/// Why the shop cannot do what a person asked.
pub(in crate::sandbox) type Refusal = String;

impl Line {
    pub(super) fn unfulfilled(&self) -> i64 {
        self.quantity - self.removed - self.fulfilled
    }

    /// Units ordered, without those removed or refunded.
    pub(super) fn current(&self) -> i64 {
        self.quantity - self.removed - self.refunded
    }
}

impl Order {
    pub(super) fn fulfilled(&self) -> i64 {
        self.lines.iter().map(|line| line.fulfilled).sum()
    }

    pub(super) fn unfulfilled(&self) -> i64 {
        self.lines.iter().map(Line::unfulfilled).sum()
    }

    /// The fulfilment status as webhook bodies write it.
    pub(super) fn fulfilment_status(&self) -> Option<&'static str> {
        match (self.fulfilled(), self.unfulfilled()) {
            (0, _) => None,
            (_, 0) => Some("fulfilled"),
            (_, _) => Some("partial"),
        }
    }
}

impl Store {
    /// Takes an order: (item, units) per line. `at`: where it is shipped from; else the shop decides.
    pub(in crate::sandbox) fn place(
        &mut self,
        wanted: &[(usize, i64)],
        at: Option<usize>,
        hidden: bool,
        event: &mut Event<'_>,
    ) -> (usize, Vec<Moved>) {
        let order = self.orders.len();
        let (lines, groups) = self.lines_of(wanted);
        let sold: Vec<(usize, i64)> = lines.iter().map(|line| (line.item, line.quantity)).collect();
        self.orders.push(Order {
            created_ms: event.now_ms,
            updated_ms: event.now_ms,
            cancelled: None,
            lines,
            groups,
            fulfilments: Vec::new(),
            refunds: Vec::new(),
            routes: Vec::new(),
            edited: false,
            hidden,
        });
        let mut moves = Vec::with_capacity(sold.len());
        let mut shares = Vec::with_capacity(sold.len());
        for (line, (item, quantity)) in sold.into_iter().enumerate() {
            for (place, units) in self.route(item, quantity, at) {
                shares.push((line, place, units));
                moves.push(Moved { sku: item, place, quantity: units, what: Move::Sold });
                self.shift(item, place, -units, units, event);
            }
        }
        self.add_routes(order, &shares, event.now_ms);
        self.touch(order, event);
        self.tell(order, event, &[("orders/create", Subject::Order(order))]);
        (order, moves)
    }

    /// Cancels a whole order; one with fulfilled units cannot be cancelled.
    pub(in crate::sandbox) fn cancel(
        &mut self,
        order: usize,
        restock: bool,
        reason: CancelReason,
        event: &mut Event<'_>,
    ) -> Result<Vec<Moved>, Refusal> {
        self.live(order)?;
        if self.orders[order].fulfilled() > 0 {
            return Err("the order has fulfilled units".into());
        }
        let restock_type = if restock { Restock::Cancel } else { Restock::NoRestock };
        let open: Vec<(usize, i64)> = self.open_units(order);
        let moves = self.take_off(order, &open, (restock_type, None), event);
        self.orders[order].cancelled = Some((event.now_ms, reason));
        self.touch(order, event);
        let mut topics =
            vec![("orders/cancelled", Subject::Order(order)), ("orders/updated", Subject::Order(order))];
        if !open.is_empty() {
            let refund = self.orders[order].refunds.len() - 1;
            topics.push(("refunds/create", Subject::Refund { order, refund }));
        }
        self.tell(order, event, &topics);
        Ok(moves)
    }

    /// Ships all open units, or those of `wanted` (item, units).
    pub(in crate::sandbox) fn fulfil(
        &mut self,
        order: usize,
        wanted: Option<&[(usize, i64)]>,
        event: &mut Event<'_>,
    ) -> Result<Vec<Moved>, Refusal> {
        self.live(order)?;
        let lines = match wanted {
            None => self.open_units(order),
            Some(wanted) => self.lines_for(order, wanted, Line::unfulfilled)?,
        };
        if lines.is_empty() {
            return Err("nothing is open on the order".into());
        }
        let mut moves = Vec::with_capacity(lines.len());
        let mut by_place: BTreeMap<usize, Vec<(usize, i64)>> = BTreeMap::new();
        for (line, quantity) in lines.iter().copied() {
            self.orders[order].lines[line].fulfilled += quantity;
            let item = self.orders[order].lines[line].item;
            for (place, quantity) in self.unroute(order, line, quantity, event.now_ms) {
                self.items[item].levels[place].committed -= quantity;
                moves.push(Moved { sku: item, place, quantity, what: Move::Shipped });
                by_place.entry(place).or_default().push((line, quantity));
            }
        }
        let mut topics = Vec::new();
        for (place, lines) in by_place {
            let id = self.next_line();
            let (created_ms, updated_ms) = (event.now_ms, event.now_ms);
            let fulfilment = self.orders[order].fulfilments.len();
            self.fulfilments.insert(id, (order, fulfilment));
            self.orders[order].fulfilments.push(Fulfilment {
                id,
                place,
                created_ms,
                updated_ms,
                cancelled: false,
                lines,
            });
            topics.push(("fulfillments/create", Subject::Fulfilment { order, fulfilment }));
        }
        self.touch(order, event);
        let all = self.orders[order].unfulfilled() == 0;
        let progress = if all { "orders/fulfilled" } else { "orders/partially_fulfilled" };
        topics.extend([("orders/updated", Subject::Order(order)), (progress, Subject::Order(order))]);
        self.tell(order, event, &topics);
        Ok(moves)
    }

    /// Undoes the last fulfilment that still holds.
    pub(in crate::sandbox) fn undo_fulfilment(
        &mut self,
        order: usize,
        event: &mut Event<'_>,
    ) -> Result<Vec<Moved>, Refusal> {
        self.live(order)?;
        let held = |f: &Fulfilment| !f.cancelled;
        let fulfilment = self.orders[order]
            .fulfilments
            .iter()
            .rposition(held)
            .ok_or("no fulfilment holds on the order")?;
        self.orders[order].fulfilments[fulfilment].cancelled = true;
        self.orders[order].fulfilments[fulfilment].updated_ms = event.now_ms;
        let lines = self.orders[order].fulfilments[fulfilment].lines.clone();
        let place = self.orders[order].fulfilments[fulfilment].place;
        let mut moves = Vec::with_capacity(lines.len());
        for (line, quantity) in lines {
            self.orders[order].lines[line].fulfilled -= quantity;
            let item = self.orders[order].lines[line].item;
            self.items[item].levels[place].committed += quantity;
            self.reroute(order, line, place, quantity, event.now_ms);
            moves.push(Moved { sku: item, place, quantity, what: Move::Unshipped });
        }
        self.touch(order, event);
        let topics = [
            ("fulfillments/update", Subject::Fulfilment { order, fulfilment }),
            ("orders/updated", Subject::Order(order)),
        ];
        self.tell(order, event, &topics);
        Ok(moves)
    }

    /// Refunds units (item, units). Without restock, unfulfilled units go first: they are taken off the order and not
    /// put back on sale.
    pub(in crate::sandbox) fn refund(
        &mut self,
        order: usize,
        wanted: &[(usize, i64)],
        (restock, at): (Restock, Option<usize>),
        event: &mut Event<'_>,
    ) -> Result<Vec<Moved>, Refusal> {
        self.live(order)?;
        if at.is_some_and(|place| place >= self.places) {
            return Err("there is no such place".into());
        }
        let refundable: fn(&Line) -> i64 = match restock {
            Restock::Cancel => Line::unfulfilled,
            Restock::Return => |line| line.fulfilled - line.refunded,
            Restock::NoRestock => Line::current,
        };
        let lines = self.lines_for(order, wanted, refundable)?;
        let moves = self.take_off(order, &lines, (restock, at), event);
        self.touch(order, event);
        let refund = self.orders[order].refunds.len() - 1;
        let topics = [
            ("refunds/create", Subject::Refund { order, refund }),
            ("orders/updated", Subject::Order(order)),
        ];
        self.tell(order, event, &topics);
        Ok(moves)
    }

    /// Adds units of an item to an order, or takes unfulfilled ones off, which leaves a refund without money: only
    /// that tells whether they are on sale again.
    pub(in crate::sandbox) fn edit(
        &mut self,
        order: usize,
        (item, delta): (usize, i64),
        restock: bool,
        event: &mut Event<'_>,
    ) -> Result<Vec<Moved>, Refusal> {
        self.live(order)?;
        if delta < 0 {
            let lines = self.lines_for(order, &[(item, -delta)], Line::unfulfilled)?;
            let restock = if restock { Restock::Cancel } else { Restock::NoRestock };
            let moves = self.take_off(order, &lines, (restock, None), event);
            self.finish_edit(order, Vec::new(), &lines, event);
            return Ok(moves);
        }
        if delta == 0 {
            return Err("the edit changes nothing".into());
        }
        if !self.has_level(item) {
            return Err("a bundle is not added to an order by an edit".into());
        }
        let line = self.new_line(item, delta, None);
        self.orders[order].lines.push(line);
        let line = self.orders[order].lines.len() - 1;
        let (mut moves, mut shares) = (Vec::new(), Vec::new());
        for (place, units) in self.route(item, delta, None) {
            shares.push((line, place, units));
            moves.push(Moved { sku: item, place, quantity: units, what: Move::Sold });
            self.shift(item, place, -units, units, event);
        }
        self.add_routes(order, &shares, event.now_ms);
        self.finish_edit(order, vec![(line, delta)], &[], event);
        Ok(moves)
    }

    fn finish_edit(
        &mut self,
        order: usize,
        additions: Vec<(usize, i64)>,
        removals: &[(usize, i64)],
        event: &mut Event<'_>,
    ) {
        self.orders[order].edited = true;
        self.touch(order, event);
        let edit = self.next_line();
        let removals = removals.to_vec();
        let refund = (!removals.is_empty()).then(|| self.orders[order].refunds.len() - 1);
        let mut topics = vec![
            ("orders/edited", Subject::Edit { order, edit, additions, removals }),
            ("orders/updated", Subject::Order(order)),
        ];
        topics.extend(refund.map(|refund| ("refunds/create", Subject::Refund { order, refund })));
        self.tell(order, event, &topics);
    }

    /// Takes units off an order, books the refund that goes with it, and says what that did. What comes back comes to `at`,
    /// or to where it was shipped from.
    fn take_off(
        &mut self,
        order: usize,
        lines: &[(usize, i64)],
        (restock, at): (Restock, Option<usize>),
        event: &mut Event<'_>,
    ) -> Vec<Moved> {
        if lines.is_empty() {
            return Vec::new();
        }
        let mut moves = Vec::new();
        let mut refunded = Vec::with_capacity(lines.len());
        for (line, quantity) in lines.iter().copied() {
            let target = &mut self.orders[order].lines[line];
            let item = target.item;
            let open = if restock == Restock::Return { 0 } else { quantity.min(target.unfulfilled()) };
            target.removed += open;
            target.refunded += quantity - open;
            let mut parts = self.unroute(order, line, open, event.now_ms);
            let shipped = quantity - open;
            if shipped > 0 {
                parts.push((at.unwrap_or_else(|| self.shipped_from(order, line)), shipped));
            }
            let mut open = open;
            for (place, quantity) in parts {
                refunded.push(RefundLine { id: self.next_line(), line, quantity, restock, place });
                let what = match restock {
                    Restock::Cancel => Move::Released,
                    Restock::Return => Move::Returned,
                    Restock::NoRestock => Move::WrittenOff,
                };
                match restock {
                    Restock::Cancel => self.shift(item, place, quantity, -quantity, event),
                    Restock::Return => self.shift(item, place, quantity, 0, event),
                    Restock::NoRestock if open > 0 => self.items[item].levels[place].committed -= quantity,
                    Restock::NoRestock => continue,
                }
                open -= quantity;
                moves.push(Moved { sku: item, place, quantity, what });
            }
        }
        let id = self.next_line();
        self.refunds.insert(id, (order, self.orders[order].refunds.len()));
        self.orders[order].refunds.push(Refund { id, created_ms: event.now_ms, lines: refunded });
        moves
    }

    /// Where units of a line were shipped from.
    fn shipped_from(&self, order: usize, line: usize) -> usize {
        let mut fulfilments =
            self.orders[order].fulfilments.iter().filter(|fulfilment| !fulfilment.cancelled);
        let of_line = |fulfilment: &&Fulfilment| fulfilment.lines.iter().any(|(of, _)| *of == line);
        fulfilments.find(of_line).map_or(0, |fulfilment| fulfilment.place)
    }

    /// Moves an item's states, and lets the world know when `available` changed.
    pub(super) fn shift(
        &mut self,
        item: usize,
        place: usize,
        available: i64,
        committed: i64,
        event: &mut Event<'_>,
    ) {
        let level = &mut self.items[item].levels[place];
        level.available += available;
        level.committed += committed;
        if available != 0 {
            level.updated_ms = event.now_ms;
            let letter = event.letter("inventory_levels/update", Subject::Level { item, place });
            self.post(letter);
        }
    }

    /// Writes a level's `available` from the outside: the merchant in the admin, or another app.
    pub(in crate::sandbox) fn set_available(
        &mut self,
        item: usize,
        place: usize,
        available: i64,
        event: &mut Event<'_>,
    ) {
        let delta = available - self.available_at(item, place);
        self.shift(item, place, delta, 0, event);
    }

    fn touch(&mut self, order: usize, event: &Event<'_>) {
        let before = self.orders[order].updated_ms;
        self.by_update.remove(&(before / 1000, order));
        self.orders[order].updated_ms = event.now_ms;
        if !self.orders[order].hidden {
            self.by_update.insert((event.now_ms / 1000, order));
        }
    }

    fn tell(&mut self, order: usize, event: &mut Event<'_>, topics: &[(&'static str, Subject)]) {
        if self.orders[order].hidden {
            return;
        }
        for (topic, subject) in topics {
            let letter = event.letter(topic, subject.clone());
            self.post(letter);
        }
    }

    pub(super) fn live(&self, order: usize) -> Result<(), Refusal> {
        let order = self.orders.get(order).ok_or("no such order")?;
        if order.cancelled.is_some() { Err("the order is cancelled".into()) } else { Ok(()) }
    }

    fn open_units(&self, order: usize) -> Vec<(usize, i64)> {
        let lines = self.orders[order].lines.iter().enumerate();
        lines.map(|(n, line)| (n, line.unfulfilled())).filter(|(_, units)| *units > 0).collect()
    }

    /// Spreads wanted units of items over the lines that have that many.
    fn lines_for(
        &self,
        order: usize,
        wanted: &[(usize, i64)],
        free: fn(&Line) -> i64,
    ) -> Result<Vec<(usize, i64)>, Refusal> {
        let mut found = Vec::new();
        for (item, mut units) in wanted.iter().copied() {
            if units <= 0 {
                return Err("quantities must be positive".into());
            }
            for (n, line) in self.orders[order].lines.iter().enumerate().filter(|(_, line)| line.item == item)
            {
                let taken = units.min(free(line)).max(0);
                if taken > 0 {
                    found.push((n, taken));
                    units -= taken;
                }
            }
            if units > 0 {
                return Err(format!(
                    "the order has {units} units of `{}` too few for that",
                    self.items[item].sku
                ));
            }
        }
        Ok(found)
    }

    /// Units of an item that shipped and were not refunded, for who sends something back.
    pub(in crate::sandbox) fn returnable(&self, order: usize) -> Vec<(usize, i64)> {
        let lines = self.orders[order].lines.iter();
        lines
            .map(|line| (line.item, line.fulfilled - line.refunded))
            .filter(|(_, units)| *units > 0)
            .collect()
    }

    /// The item of the first line with unfulfilled units.
    pub(in crate::sandbox) fn first_open(&self, order: usize) -> Option<usize> {
        self.orders[order].lines.iter().find(|line| line.unfulfilled() > 0).map(|line| line.item)
    }

    /// The items of its lines with unfulfilled units.
    pub(in crate::sandbox) fn open_items(&self, order: usize) -> Vec<usize> {
        let open = self.orders[order].lines.iter().filter(|line| line.unfulfilled() > 0);
        open.map(|line| line.item).collect()
    }

    pub(in crate::sandbox) fn is_open(&self, order: usize) -> bool {
        self.orders[order].cancelled.is_none() && self.orders[order].unfulfilled() > 0
    }
}
