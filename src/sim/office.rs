//! What people at their desks do in a part of the runs: they map what no SKU was found for, retry dead letters or give them up, and change
//! what the channels may show. And credentials end for a while.

use crate::{
    core::{
        Command,
        command::{DeadLetter, Verdict},
        index::{Kind, Work},
        leg,
        state::ListingRef,
    },
    model::{IdKind, Identifiers, Quantity, Sku, policy::MappingRow},
    sim::{
        market::late_code,
        plan::{self, AMAZON, SHOP},
        world::{Event, Then, World},
    },
};

/// After how long a mapping is said again that nobody has taken in.
const AGAIN: i64 = 60_000;

impl World {
    /// Has all that people at their desks do begin.
    pub(super) fn open_office(&mut self, soon: i64) {
        let all =
            [(self.plan.wide.dead_letters, Event::DeadLetters), (self.plan.wide.reloads, Event::Reload)];
        for (mean, event) in all.into_iter().filter(|(mean, _)| *mean > 0) {
            let first = self.random.about(mean);
            self.at(soon + first, event);
        }
        for (n, wait) in self.plan.wide.late.clone() {
            self.at(soon + wait, Event::Map(n));
        }
    }

    /// What Amazon calls by a name of its own, which no SKU has, until a person says what it is.
    pub(super) fn rename_late(&mut self) {
        for n in self.plan.wide.late.keys() {
            let listed = &mut self.markets[AMAZON].listed[*n];
            let code = late_code(*n);
            let asin = listed.ids.get(IdKind::Asin).unwrap_or_default().to_owned();
            listed.ids = Identifiers::new([(IdKind::Sku, code.as_str()), (IdKind::Asin, asin.as_str())])
                .expect("digits and letters are good ids");
        }
    }

    /// A person says what something is that Amazon lists.
    pub(super) fn map(&mut self, n: usize) {
        if self.listing(AMAZON, n).is_some() {
            return;
        }
        self.after(AGAIN, Event::Map(n));
        if self.daemon.read().is_none() {
            return;
        }
        let code = late_code(n);
        let ids = Identifiers::new([(IdKind::Sku, code.as_str())]).expect("good ids");
        let row = MappingRow { sku: plan::sku(n), channel: plan::channel(AMAZON), ids };
        self.tell(|| format!("operator: maps {code}"));
        self.mapped += 1;
        self.submit_fact(Command::Map { rows: vec![row] }, Then::Nothing);
    }

    /// A person looks through the dead letters: some are tried again, some given up.
    pub(super) fn dead_letters(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.wide.dead_letters);
        self.after(next, Event::DeadLetters);
        for listing in self.parked() {
            let verdict = if self.random.chance(300) { Verdict::Discard } else { Verdict::Retry };
            self.tell(|| format!("operator: {verdict:?} {listing:?}"));
            self.submit(Command::Dead { letter: DeadLetter::Leg(listing), verdict }, Then::Nothing);
        }
    }

    fn parked(&self) -> Vec<ListingRef> {
        let parked = self.daemon.durable.index.all(Kind::Parked);
        let legs = parked
            .filter_map(|work| if let Work::Parked { listing, .. } = work { Some(listing) } else { None });
        legs.cloned().collect()
    }

    /// Tells what a person tries again who has thought better of giving it up.
    pub(super) fn given_up(&self) -> Vec<Command> {
        let rows = self.daemon.durable.skus.iter();
        let all =
            rows.flat_map(|(sku, row)| row.listings.iter().zip(0..).map(move |(held, at)| (sku, held, at)));
        let dropped = all.filter(|(_, held, _)| {
            held.writable() && held.leg.as_ref().is_some_and(|leg| matches!(leg.state, leg::State::Dropped))
        });
        let retry = |(sku, _, at): (&Sku, _, u16)| {
            let letter = DeadLetter::Leg(ListingRef { sku: sku.clone(), at });
            Command::Dead { letter, verdict: Verdict::Retry }
        };
        dropped.map(retry).collect()
    }

    /// The merchant changes what is kept back, or what a channel shows at most and at least.
    pub(super) fn reload_policies(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.wide.reloads);
        self.after(next, Event::Reload);
        let (what, units) = (self.random.below(4), Quantity::new(self.random.between(0, 3)));
        let channel = if self.random.chance(500) { SHOP } else { AMAZON };
        let policies = &mut self.plan.policies;
        if what == 0 {
            policies.allocation.safety_stock = units;
        } else if let Some(policy) = policies.channels.get_mut(&plan::channel(channel)) {
            match what {
                1 => policy.buffer = units,
                2 => policy.min = units,
                _ => policy.max = (units > Quantity::ZERO).then_some(Quantity::new(units.units() * 3)),
            }
        }
        self.tell(|| format!("operator: configures {what} of {channel} to {units}"));
        self.submit(Command::Configure(Box::new(self.plan.policies.clone())), Then::Nothing);
    }

    /// Tells whether a channel's credentials have ended.
    pub(super) fn is_locked(&self, channel: usize) -> bool {
        let since = self.now - self.began - 60_000;
        let ended = |(of, from, to): (usize, i64, i64)| of == channel && since >= from && since < to;
        !self.calm && self.plan.wide.locked.is_some_and(ended)
    }
}
