//! People who count the shelf, in runs in which no ERP does: they look at some of it or at all of it, and enter later what they
//! saw and when that was. Some say a wrong moment.

use std::collections::BTreeMap;

use crate::{
    core::{
        Command, Refused, Reply,
        command::{ByHand, HandLine},
        record::HeldCount,
    },
    model::{Counter, DeliveryId, LocationId, Measure, Quantity, Sku, Timestamp},
    sim::{
        plan::{self, Plan},
        wide::{KEPT, place},
        world::{Event, Then, World},
    },
};

/// What a person saw on the shelf.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    seen_at: i64,
    /// When they say that this was.
    said: i64,
    /// How many units, by goods.
    lines: BTreeMap<usize, i64>,
    /// They mean it, whatever the brake says.
    believed: bool,
}

/// How long before and after a count nothing of the same goods is shipped or put back: clocks differ.
const APART: i64 = 6_000;
/// After how long without an answer a count is entered again.
const AGAIN: i64 = 120_000;

impl World {
    /// Returns the opening count.
    pub(super) fn opening_by_hand(&self) -> Command {
        let own = self.truth.goods.iter().take(self.plan.own_goods());
        let lines = own.enumerate().map(|(n, goods)| (n, goods.shelf)).collect();
        let sheet = Sheet { seen_at: self.now, said: self.now, lines, believed: false };
        Command::CountByHand(ByHand { opening: true, ..sheet.count(&self.plan) })
    }

    /// How long goods must not have moved before they are counted, nor move after it.
    fn apart(&self) -> i64 {
        if self.exact() { 1 } else { APART }
    }

    /// A person looks at the shelf and notes what lies there, but of goods that are just being packed.
    pub(super) fn look_at_shelf(&mut self, all: bool) {
        if self.calm != all {
            return;
        }
        if !all {
            let next = self.random.about(self.plan.by_hand);
            self.after(next, Event::Look { all });
        }
        let goods = self.plan.own_goods();
        let seen: Vec<usize> = if all || self.random.chance(300) {
            (0..goods).collect()
        } else {
            (0..self.random.between(1, 3)).map(|_| self.random.below(goods)).collect()
        };
        let still =
            |n: &usize| self.now - self.truth.goods[*n].moved_at >= self.apart() && !self.is_pending(*n);
        let lines = seen.into_iter().filter(still).map(|n| (n, self.truth.goods[n].shelf)).collect();
        let wait =
            self.apart() + if all { 0 } else { self.random.between(0, 1_200_000).min(self.plan.span / 8) };
        let mut sheet = Sheet { seen_at: self.now, said: self.now, lines, believed: all };
        if !all {
            sheet.believed = self.random.chance(300);
            if self.random.chance(100) {
                sheet.said = self.random.between(self.now - 600_000, self.now + wait);
            }
        }
        let number = self.number();
        self.tell(|| format!("staff: sees {:?} on the shelf, sheet {number}", sheet.lines));
        self.sheets.insert(number, sheet);
        self.after(wait, Event::Enter(number));
    }

    /// Goods are moved: who has just counted them crosses that line out.
    pub(super) fn spoil(&mut self, goods: usize) {
        let since = self.now - self.apart();
        for sheet in self.sheets.values_mut().filter(|sheet| sheet.seen_at > since) {
            sheet.lines.remove(&goods);
        }
    }

    /// A person enters what they saw, and does so again until they are answered.
    pub(super) fn enter(&mut self, number: u64) {
        let Some(sheet) = self.sheets.get(&number).cloned() else { return };
        self.after(AGAIN, Event::Enter(number));
        if self.daemon.read().is_none() {
            return;
        }
        let said = Timestamp::from_millis(sheet.said);
        if sheet.said != sheet.seen_at {
            self.misdated.extend(sheet.lines.keys().map(|goods| (*goods, said)));
        }
        let request = DeliveryId::new(&format!("sheet {number}")).expect("a good id");
        let wrong = sheet.said - sheet.seen_at;
        self.tell(|| format!("staff: enters sheet {number}, {wrong} ms off"));
        let command = Command::CountByHand(sheet.count(&self.plan)).into();
        self.submit_fact(Command::Once { request, command }, Then::Entered(number));
    }

    pub(super) fn entered(&mut self, number: u64, reply: Result<Reply, Refused>) {
        match reply {
            Err(refused) => self.fail(format!("a count by a person was refused: {refused}")),
            // The answer may be lost.
            Ok(_) if !self.calm && self.random.chance(self.plan.rates.unheard) => {}
            Ok(_) => drop(self.sheets.remove(&number)),
        }
    }

    /// Tells whether a person has said a wrong moment of a part of a held count.
    pub(super) fn is_misdated(&self, held: &HeldCount) -> bool {
        let mut lines = held.lines.iter().zip(&held.by_hand);
        lines.any(|((sku, location, _), (as_of, _))| {
            self.goods_of(sku, location).is_some_and(|goods| self.misdated.contains(&(goods, *as_of)))
        })
    }

    /// Checks what counts by people have made of the stock, wherever all that orders moved is booked: no more is on hand than lies
    /// there, what was lost since the last count aside (I10). Less may be there until the next one: what came back about the time
    /// of a count may have been in it.
    pub(super) fn hand_counts_are_true(&mut self) {
        let moved = std::mem::take(&mut self.checks.moved);
        for (sku, location) in moved {
            // Amazon counts at any moment, also while something of it is being shipped.
            let counted = if location == place(KEPT) { self.exact() } else { self.plan.by_hand > 0 };
            if !counted {
                continue;
            }
            if let Err(why) = self.hand_count_is_true(&sku, &location) {
                return self.fail(why);
            }
        }
    }

    fn hand_count_is_true(&self, sku: &Sku, location: &LocationId) -> Result<(), String> {
        let at = (sku.clone(), location.clone());
        let (Some(n), Some(as_of)) = (self.goods_of(sku, location), self.checks.by_hand.get(&at)) else {
            return Ok(());
        };
        let (goods, shipped) = (&self.truth.goods[n], self.checks.shipped.get(&at).copied());
        let shipped = shipped.unwrap_or_default();
        if self.is_pending(n) {
            return Ok(());
        }
        if (shipped.left, shipped.back) != (goods.left, goods.back) || self.misdated.contains(&(n, *as_of)) {
            return Ok(());
        }
        let place = self.daemon.durable.skus.get(sku).and_then(|row| row.place(location));
        let held = place.map_or(0, |place| place.stock.on_hand.units());
        // A loss in the very moment of the look may have come after it.
        let lost = goods.most_found(as_of.millis() - 1) - goods.found();
        if held <= goods.shelf + lost {
            return Ok(());
        }
        Err(format!(
            "I10: {held} of {sku} are on hand, on the shelf are {}, and {lost} were lost since it was counted",
            goods.shelf
        ))
    }
}

impl Sheet {
    fn count(&self, plan: &Plan) -> ByHand {
        let line = |(goods, units): (&usize, &i64)| HandLine {
            sku: plan::sku(plan.kind_of(*goods).0),
            location: place(plan.kind_of(*goods).1),
            line: None,
            quantity: Quantity::new(*units),
            as_of: Timestamp::from_millis(self.said),
            note: "counted".into(),
        };
        ByHand {
            by: Counter::Person,
            measure: Measure::OnHand,
            lines: self.lines.iter().map(line).collect(),
            opening: false,
            believed: self.believed,
        }
    }
}
