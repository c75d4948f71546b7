//! The beginning and the end of a run: the shop is opened, and when all mishaps are over everything comes to rest, with every
//! party knowing what is true.

use crate::{
    core::{
        Command,
        command::{Count, DeadLetter, DriftAct, Verdict},
        decide::lane::waits_for,
        drift::Done,
        index::{Kind, Work},
        leg,
    },
    model::{LocationId, Measure, Quantity, Timestamp},
    sim::{
        Figures,
        backup::ask_for_postings,
        check::Checks,
        daemon::{Fate, Mishap},
        loops::Loop,
        market::number,
        plan::{self, AMAZON, ERP, NAMES, SHOP},
        wide::{KEPT, place, place_number},
        world::{Event, Then, World},
    },
};

/// How often it is looked, after the last mishap, whether all is at rest.
const ROUNDS: u32 = 24;
/// How long ago at most a count was read that is taken over.
const COUNT_MS: i64 = 300_000;
/// How many differences are told.
const TOLD: usize = 12;

impl World {
    /// Lists everything, opens with what the ERP counts, and lets people in.
    pub(super) fn open(&mut self) {
        self.rename_late();
        for channel in [SHOP, AMAZON] {
            for n in 0..self.plan.parts.len() * self.plan.shows_at(channel) {
                let shown = self.may_show(channel, n);
                let shown = if self.random.chance(800) { shown } else { self.random.between(0, 9) };
                let shelf = &mut self.markets[channel].listed[n].now;
                (shelf.shown, shelf.on_hand) = (shown, shown);
            }
        }
        let mut read = Vec::new();
        if self.plan.before > 0 {
            read = self.trade_before();
            // Longer than any two clocks are apart.
            self.now += 60_000;
        }
        self.happen_now(Event::Boot { power: false, whim: 0 });
        for channel in [ERP, SHOP, AMAZON] {
            self.list(channel);
        }
        for (channel, order) in read {
            let orders = vec![self.markets[channel].snapshot(order, true)];
            let (channel, begun) = (plan::channel(channel), self.daemon.durable.seq);
            self.directly(Command::Orders { channel, begun, orders });
        }
        let opening = self.opening();
        self.directly(opening);
        self.directly(Command::Initialise);
        self.checks.touched.clear();
        self.checks.raised.clear();
        let soon = self.now + 60_000;
        let plan = &self.plan;
        let people = [
            (plan.shoppers[SHOP], Event::Shopper(SHOP)),
            (plan.shoppers[AMAZON], Event::Shopper(AMAZON)),
            (plan.staff, Event::Staff),
            (plan.operator, Event::Operator),
            (plan.rival, Event::Rival),
            (plan.own_sales, Event::OwnSale),
            (plan.limits, Event::Limit),
            (plan.by_hand, Event::Look { all: false }),
            (plan.checkpoint, Event::Checkpoint),
        ];
        if let Some((made, restored)) = plan.backup {
            self.at(soon + made, Event::Backup);
            self.at(soon + restored, Event::Restore);
        }
        for (mean, event) in people.into_iter().filter(|(mean, _)| *mean > 0) {
            let first = self.random.about(mean);
            self.at(soon + first, event);
        }
        self.begin_wide(soon);
        self.open_office(soon);
    }

    /// Counts all there is, before anything else is known of it.
    fn opening(&self) -> Command {
        if self.plan.by_hand > 0 {
            return self.opening_by_hand();
        }
        Command::Count(Count {
            counter: plan::channel(ERP),
            measure: Measure::OnHand,
            as_of: self.erp.as_of(self.now),
            begun: self.daemon.durable.seq,
            lines: self.erp.counts(None),
            opening: true,
            absent: Vec::new(),
            set: self.counted_together(),
        })
    }

    fn list(&mut self, channel: usize) {
        let mut from = 0;
        loop {
            let (items, more) = match channel {
                ERP => self.erp.catalogue(from, 200, self.plan.kinds),
                _ => self.markets[channel].catalogue(from, 200, self.now),
            };
            from += items.len();
            let read_at = Timestamp::from_millis(self.now);
            let channel = plan::channel(channel);
            self.directly(Command::Catalogue {
                channel: channel.clone(),
                read_at,
                items,
                unread: Vec::new(),
            });
            if !more {
                return self.directly(Command::Catalogued { channel });
            }
        }
    }

    /// Has a command decided without the queue, and without mishap.
    fn directly(&mut self, command: Command) {
        match self.daemon.submit(vec![command], self.now, Mishap::None, &mut self.checks) {
            Ok(Fate::Replies(replies)) => {
                for reply in replies {
                    if let Err(refused) = reply {
                        self.fail(format!("refused while opening: {refused}"));
                    }
                }
            }
            Ok(Fate::NoRoom | Fate::Died(_)) => self.fail("it died while opening".into()),
            Err(why) => self.fail(why),
        }
    }

    /// Mishaps and people are over: everything has to come to rest, with all that is true known to all.
    pub(super) fn come_to_rest(&mut self) {
        self.calm = true;
        self.daemon.make_room();
        self.tell(|| "all mishaps are over".to_owned());
        let can = |n: usize| self.plan.policies.channels[&plan::channel(n)].abilities;
        let slowest = (0..NAMES.len()).map(|n| can(n).late_ms.max(can(n).visible_ms)).max().unwrap_or(0);
        let round = (slowest / 4).max(900_000);
        let mut wrong = Vec::new();
        for nth in 0..ROUNDS {
            self.unpause();
            self.unlimit();
            self.attend();
            self.run_until(self.now + round);
            if self.broken.is_some() {
                return;
            }
            wrong = self.wrong();
            // What was given up long ago may land until its bound is over.
            let over = i64::from(nth + 1) * round > slowest;
            if wrong.is_empty() && over {
                break;
            }
        }
        if !wrong.is_empty() {
            let told = wrong.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
            let more = wrong.len().saturating_sub(TOLD);
            let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
            return self.fail(format!("it does not come to rest: {told}{rest}"));
        }
        let rotten = self.daemon.rot(&mut self.random);
        self.heed(rotten);
    }

    /// The merchant does what waits for a person.
    fn attend(&mut self) {
        let state = &self.daemon.durable;
        // What a merchant changed and was told that it failed, is tried again.
        let mut commands = vec![Command::Configure(Box::new(self.plan.policies.clone()))];
        for work in state.index.all(Kind::Parked) {
            if let Work::Parked { listing, .. } = work {
                let letter = DeadLetter::Leg(listing.clone());
                commands.push(Command::Dead { letter, verdict: Verdict::Retry });
            }
        }
        commands.extend(self.given_up());
        // Of what was sold before the opening, the ERP has nothing.
        commands.extend(ask_for_postings(state));
        self.checks.released = true;
        for (id, held) in &state.held {
            let untrue = self.untrue.contains(&held.as_of) || self.is_misdated(held);
            let verdict = if untrue { Verdict::Discard } else { Verdict::Retry };
            commands.push(Command::Dead { letter: DeadLetter::Count(*id), verdict });
        }
        for work in state.index.all(Kind::Drifts) {
            if let Work::Drifts { channel, listing } = work {
                let drift = state.listing(listing).and_then(|held| held.drift.as_deref());
                let held = drift.is_some_and(|drift| drift.done == Done::Held);
                let act = if held { DriftAct::Release } else { DriftAct::Repair };
                let (sku, channel) = (listing.sku.clone(), channel.clone());
                let listing = state.listing_name(listing);
                commands.push(Command::Drift { sku, channel, listing, seq: None, act });
            }
        }
        for command in commands {
            self.submit(command, Then::Nothing);
        }
        for n in self.plan.wide.late.clone().into_keys() {
            self.after(1, Event::Map(n));
        }
        for channel in [SHOP, AMAZON] {
            self.wake_at(channel, Loop::Poll, self.now + 1);
        }
        self.wake_at(ERP, Loop::Sweep, self.now + 1);
        self.wake_at(AMAZON, Loop::Kept, self.now + 1);
        if self.plan.by_hand > 0 {
            self.after(10_000, Event::Look { all: true });
        }
    }

    /// Returns everything that is not as the truth says it should be.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let state = &self.daemon.durable;
        if self.daemon.read().is_none() {
            wrong.push("the daemon is down".to_owned());
        }
        let all = self.truth.goods.iter().enumerate();
        for (n, goods) in all.filter(|(n, _)| !self.was_undone(*n)) {
            let (kind, at) = self.plan.kind_of(n);
            let place = state.skus.get(&plan::sku(kind)).and_then(|row| row.place(&place(at)));
            let stock = place.map(|place| place.stock).unwrap_or_default();
            let held = [stock.on_hand, stock.committed, stock.reserved, stock.incoming].map(Quantity::units);
            if held != [goods.shelf, goods.open, 0, 0] {
                let (shelf, open) = (goods.shelf, goods.open);
                wrong.push(format!(
                    "the ledger holds {held:?} of goods {n}, on the shelf are {shelf}, promised {open}"
                ));
            }
            if n < self.erp.books.len() && self.erp.books[n] != goods.shelf {
                wrong.push(format!(
                    "the ERP's books say {} of goods {n}, on the shelf are {}",
                    self.erp.books[n], goods.shelf
                ));
            }
        }
        let open = state.intents.iter().filter(|(_, intent)| !intent.phase.ended());
        wrong.extend(open.map(|(id, intent)| format!("intent {id} is still {}", intent.phase.name())));
        for n in 0..self.plan.parts.len() {
            for channel in [SHOP, AMAZON] {
                let slots = 0..self.plan.shows_at(channel);
                wrong.extend(slots.filter_map(|slot| self.wrong_listing(channel, self.slot(n, slot))));
            }
            let open = state.skus.get(&plan::sku(n)).and_then(|row| Some((row, row.commits.first()?)));
            if let Some((row, commit)) = open {
                let seen = row.listings.iter().map(|l| {
                    (
                        l.writes.confirmed.map(|seen| seen.revision.0),
                        l.leg.as_ref().map(|leg| (leg.name(), leg.revision.0)),
                    )
                });
                let seen: Vec<_> = seen.collect();
                wrong.push(format!(
                    "{} is open at revision {} by {:?}, seen are {seen:?}",
                    plan::sku(n),
                    commit.revision,
                    commit.legs
                ));
            }
        }
        wrong
    }

    fn wrong_listing(&self, channel: usize, n: usize) -> Option<String> {
        let want = self.plan.shows_of(channel, self.may_show(channel, n));
        let shown = self.markets[channel].listed[n].now.shown;
        let name = NAMES[channel];
        if shown != want && !(want == 0 && shown < 0) {
            let held = self.held(channel, n);
            return Some(format!("{name} shows {shown} of listing {n}, not {want}; {held}"));
        }
        let state = &self.daemon.durable;
        let found = self.listing(channel, n);
        let leg = found.and_then(|listing| state.listing(&listing)?.leg.clone());
        match leg {
            Some(leg) if leg.state == leg::State::Confirmed && leg.quantity.units() == want => None,
            Some(leg) => Some(format!(
                "the leg of listing {n} on {name} is {} at {}, not {want}",
                leg.name(),
                leg.quantity
            )),
            None => Some(format!("listing {n} on {name} has no leg")),
        }
    }

    /// Tells what the daemon thinks of a listing.
    fn held(&self, channel: usize, n: usize) -> String {
        let state = &self.daemon.durable;
        let found = self.listing(channel, n);
        let known = found.and_then(|listing| Some((state.listing(&listing)?, listing)));
        let Some((held, listing)) = known else { return "it is not known".into() };
        let leg = held.leg.as_ref().map_or("none", |leg| leg.name());
        let base = held.writes.base.map(Quantity::units);
        let why = waits_for(state, &listing, Timestamp::from_millis(self.now));
        format!(
            "its leg is {leg}, believed is {base:?}, {}",
            why.unwrap_or_else(|| "nothing is waited for".into())
        )
    }

    /// Checks what counts have put on hand: no more than what people had found lately, so that no count puts a unit back that was
    /// sold (I10). Less may be there for a while: what raises counts only once it was looked up.
    pub(super) fn counts_are_true(&mut self) {
        for ((sku, location), at) in std::mem::take(&mut self.checks.touched) {
            // A count that was held tells of a time long ago.
            let since = if self.checks.held { 0 } else { at.millis() - COUNT_MS };
            let counted = |at: &LocationId| self.checks.counted.get(&(sku.clone(), at.clone())).copied();
            let (Some(kind), Some(at)) = (number(sku.as_str()), place_number(&location)) else { continue };
            if at == KEPT {
                continue;
            }
            let n = self.plan.goods_at(kind, at);
            let (opened, found) = (self.plan.stock[n], self.truth.goods[n].most_moved(since));
            let here = counted(&location).unwrap_or(0);
            if here > opened + found {
                return self.fail(format!(
                    "I10: counts have put {here} of {sku} on hand at {location}; it opened with {opened}, and {found} were found"
                ));
            }
            // One that lacks a place lowers all the same, though a unit from there may be in its number.
            if self.checks.raised.remove(&(sku, location)) {
                let in_all = self.counted_in_all(kind, since);
                self.heed(in_all);
            }
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let oversold = self.truth.oversold.iter().map(|(class, units)| (class.name(), *units));
        Figures {
            events: self.events,
            commands: self.daemon.decided,
            records: self.daemon.recorded,
            orders: self.orders,
            writes: self.checks.writes,
            deltas: self.checks.deltas,
            starts: self.daemon.life + 1,
            drifts: self.checks.drifts,
            hand_counts: self.checks.hand_counts,
            restores: self.restores,
            rerouted: self.rerouted,
            carried: self.carried,
            transfers: self.sent,
            kept_sold: self.kept_sold,
            mapped: self.mapped,
            refused: self.refused,
            feeds: self.feeds.len() as u64,
            virtual_ms: self.now - self.began,
            oversold: oversold.collect(),
            end: self.daemon.end(),
        }
    }

    /// What a start would find is what is known.
    pub(super) fn replays(&self) -> Result<(), String> {
        match self.daemon.read() {
            Some(state) => Checks::identical(state, &self.daemon.durable),
            None => Ok(()),
        }
    }
}
