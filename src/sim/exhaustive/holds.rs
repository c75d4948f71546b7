//! What must hold in every state, and what must come of every state once nothing goes wrong any more.

use super::{
    market::Market,
    model::{Broken, Model},
};
use crate::{
    core::{decide::lane::feed_wanted, exposure, leg, writes::shows},
    model::{Quantity, Revision, Timestamp},
};

/// How long after it has come to rest everything is looked at again: by then no sale is young enough to explain what is read.
const RECONCILED_MS: i64 = 10_000;

impl Model {
    /// Tells what does not hold. `before`: the newest revisions seen live before the latest step.
    pub(super) fn holds(&self, before: &[Revision]) -> Result<(), String> {
        if self.confirmed().iter().zip(before).any(|(now, before)| now < before) {
            return Err("I4: a confirmed revision has fallen".to_owned());
        }
        for market in &self.markets {
            // Where that is broken on purpose, the rest must show what comes of it.
            if self.broken == Broken::Nothing {
                self.is_counted(market)?;
            }
            self.is_exposed(market)?;
        }
        Ok(())
    }

    /// I4, I7: what may still land is counted.
    fn is_counted(&self, market: &Market) -> Result<(), String> {
        let unsettled = &self.held(market).writes.unsettled;
        let may_land = market.writes.iter().filter(|write| write.landed.is_none());
        let lost =
            may_land.into_iter().find(|write| unsettled.iter().all(|held| held.key.as_str() != write.key));
        lost.map_or(Ok(()), |write| {
            Err(format!(
                "I7: a write of {} to {} may still land and is not counted",
                write.quantity, market.id
            ))
        })
    }

    /// What was sold unseen and what may be sold of what is shown is never more than what is counted. All ways on are gone, so
    /// this is the bound on everything that may still be sold before anybody knows of it.
    fn is_exposed(&self, market: &Market) -> Result<(), String> {
        if market.mistaken && !self.strict {
            return Ok(());
        }
        let Ok(Some(counted)) = exposure::of(&self.held(market).writes) else { return Ok(()) };
        let unseen = market.unseen(&self.state);
        if market.shown.max(0) + unseen > counted.units() {
            return Err(format!(
                "exposure: {} shows {}, {unseen} were sold unseen, and {counted} are counted",
                market.id, market.shown
            ));
        }
        Ok(())
    }

    /// Lets everything land, answer and be told, until nothing is left to do and a reconcile finds nothing more: every channel
    /// then shows what is there.
    pub(super) fn rest(&mut self) -> Result<(), String> {
        const ROUNDS: usize = 60;
        let (mut pause, mut reconciled) = (1, false);
        for _ in 0..ROUNDS {
            for c in 0..self.markets.len() {
                self.round(c)?;
            }
            if self.is_at_rest() && reconciled {
                return self.shows_what_is_there();
            }
            reconciled = self.is_at_rest();
            if reconciled {
                self.reconcile();
            }
            self.pass(pause);
            pause = (pause * 2).min(60_000);
        }
        Err(format!(
            "it does not come to rest: {:?}",
            self.markets.iter().map(|m| self.held(m)).collect::<Vec<_>>()
        ))
    }

    /// Looks at every listing, as happens from time to time whatever is known.
    fn reconcile(&mut self) {
        self.pass(RECONCILED_MS);
        for c in 0..self.markets.len() {
            let shown = self.markets[c].shown;
            let now = self.now;
            self.markets[c].ask(now);
            self.look(c, shown);
        }
    }

    fn round(&mut self, c: usize) -> Result<(), String> {
        while let Some(write) = self.markets[c].writes.iter().position(|write| write.landed.is_none()) {
            self.land(c, write)?;
        }
        while !self.markets[c].writes.is_empty() {
            self.answer(c, 0);
        }
        let untold = (0..self.markets[c].orders.len()).any(|n| self.markets[c].is_untold(&self.state, n));
        if untold || feed_wanted(&self.state, &self.markets[c].id, Timestamp::from_millis(self.now)) {
            self.feed(c, false);
        }
        self.work(c)?;
        if self.markets[c].read.is_some() {
            let shown = self.markets[c].shown;
            self.look(c, shown);
        }
        Ok(())
    }

    fn is_at_rest(&self) -> bool {
        self.markets.iter().all(|market| {
            let held = self.held(market);
            let confirmed = held.leg.as_ref().is_some_and(|leg| matches!(leg.state, leg::State::Confirmed));
            confirmed
                && held.writes.look.is_none()
                && market.writes.is_empty()
                && market.unseen(&self.state) == 0
        })
    }

    fn shows_what_is_there(&self) -> Result<(), String> {
        let orders = || self.markets.iter().flat_map(|market| &market.orders);
        let sold = orders().filter(|placed| placed.cancelled_at.is_none()).count();
        let there = self.stock - i64::try_from(sold).expect("few");
        if self.available() != there {
            return Err(format!("I2: {} are available and {there} are there", self.available()));
        }
        for market in &self.markets {
            if !shows(Quantity::new(market.shown), Quantity::new(there.max(0))) {
                return Err(format!("in the end {} shows {} and {there} are there", market.id, market.shown));
            }
        }
        Ok(())
    }
}
