//! What lies with Amazon and is shipped by it (FBA): sold, shipped, taken back and lost without anybody of the merchant's, and never
//! written by the daemon, which reads its orders and how much there is.

use std::collections::BTreeMap;

use crate::{
    core::{
        Command, State,
        command::{ByHand, HandLine},
        mapping::resolve,
    },
    model::{CountLine, Counter, Measure, Quantity, Timestamp},
    sim::{
        loops::Loop,
        plan::{self, AMAZON},
        trips::{Answer, Ask},
        wide::{KEPT, place},
        world::{Event, Then, World},
    },
};

impl World {
    /// Somebody buys what lies with Amazon; or Amazon finds some of it, or loses it.
    pub(super) fn kept_shopper(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.wide.kept);
        self.after(next, Event::KeptShopper);
        let kind = self.random.below(self.plan.kinds);
        let goods = self.plan.goods_at(kind, KEPT);
        if self.random.chance(150) {
            let units = self.random.between(-2, 4).max(-self.truth.goods[goods].available().max(0));
            if units != 0 {
                self.truth.find(self.now, goods, units);
                self.tell(|| format!("amazon: finds {units} of goods {goods}"));
            }
            return;
        }
        if self.plan.notified {
            // A message about what lies there has all of it read soon.
            let soon = self.random.between(50, 30_000);
            self.wake_at(AMAZON, Loop::Kept, self.now + soon);
        }
        let (n, there) = (self.slot(kind, 1), self.truth.goods[goods].available());
        self.markets[AMAZON].listed[n].now.shown = there;
        self.kept_sold += u64::from(there > 0);
        self.order(AMAZON, vec![n]);
    }

    /// Returns what Amazon says lies there: what is sold and not shipped is in it.
    pub(super) fn kept_stock(&self) -> Vec<CountLine> {
        let line = |kind: usize| CountLine {
            ids: self.markets[AMAZON].listed[self.slot(kind, 1)].ids.clone(),
            location: place(KEPT),
            quantity: Quantity::new(self.truth.goods[self.plan.goods_at(kind, KEPT)].shelf),
        };
        (0..self.plan.kinds).map(line).collect()
    }

    /// The daemon asks Amazon what lies there.
    pub(super) fn read_kept(&mut self) {
        if self.plan.wide.kept == 0 || self.daemon.durable.initialised.is_none() {
            return;
        }
        self.wake_at(AMAZON, Loop::Kept, self.now + self.plan.sweep);
        self.send(AMAZON, Ask::Kept);
    }

    pub(super) fn kept_answered(&mut self, sent_at: i64, answer: Answer) {
        let Answer::Counted(lines, _) = answer else { return self.again(AMAZON, Loop::Kept, &answer) };
        let Some(state) = self.daemon.read() else { return };
        let lines = news(state, lines, Timestamp::from_millis(sent_at));
        if lines.is_empty() {
            return;
        }
        let by = Counter::Channel(plan::channel(AMAZON));
        let count = ByHand { by, measure: Measure::OnHand, lines, opening: false, believed: true };
        self.submit_fact(Command::CountByHand(count), Then::Nothing);
    }
}

/// Returns what of a reading the ledger does not hold already, as the engine does.
fn news(state: &State, lines: Vec<CountLine>, as_of: Timestamp) -> Vec<HandLine> {
    let mut sums = BTreeMap::new();
    for line in lines {
        let resolved = resolve(state, &plan::channel(AMAZON), &line.ids);
        let Some(sku) = resolved.sku().map(|sku| state.canonical(sku).clone()) else { continue };
        *sums.entry((sku, line.location)).or_insert(0) += line.quantity.units();
    }
    let told = |((sku, location), units)| {
        let place = state.skus.get(&sku).and_then(|row| row.place(&location));
        let quantity = Quantity::new(units);
        let known = place.is_some_and(|place| place.opened.is_some() && place.stock.on_hand == quantity);
        let note = "told by the channel that keeps it".to_owned();
        (!known).then_some(HandLine { sku, location, quantity, as_of, note, line: None })
    };
    sums.into_iter().filter_map(told).collect()
}
