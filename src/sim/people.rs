//! Everybody outside: shoppers who buy what is shown, staff, the merchant, another writer, the ERP's own customers, and the
//! channels' messages.

use crate::{
    core::{
        Command, Refused, Reply,
        allocation::Pause,
        intent::{
            Intent,
            ask::{Ask, Row, What},
        },
        record::PauseScope,
    },
    model::{DeliveryId, OrderSnapshot, Put, Quantity},
    sim::{
        Workload,
        check::{Booked, Checks},
        loops::Loop,
        market::{Kind, open, order_id},
        plan::{self, AMAZON, ERP, SHOP},
        truth::Seller,
        world::{Event, Then, World},
    },
};

/// A webhook on its way.
#[derive(Debug, Clone)]
pub(super) struct Push {
    channel: usize,
    delivery: String,
    tries: usize,
    tells: Tells,
}

#[derive(Debug, Clone)]
enum Tells {
    /// The order as it was when the webhook was made.
    Order(Box<OrderSnapshot>),
    /// The order as it stands when the webhook is sent.
    Latest(usize),
    /// Something happened to the order that the body does not tell.
    Fetch(usize),
    /// The listing's quantity has changed.
    Level(usize),
    /// Amazon's order has changed, and what of that is believed without reading it.
    Notified(usize, Option<Box<OrderSnapshot>>),
}

/// After how long a webhook that was not taken comes again, in seconds: eight times in four hours.
const AGAIN: [i64; 8] = [10, 60, 180, 600, 1_800, 3_600, 3_600, 4_500];
/// Of how many of the latest orders something may become yet.
const LATEST: usize = 120;
/// Hints beyond this are dropped, as in the engine.
const HINTS_MAX: usize = 1_024;

impl World {
    // ---- shoppers -------------------------------------------------------------------------------------------------

    pub(super) fn shopper(&mut self, channel: usize) {
        if self.calm {
            return;
        }
        let mean = self.plan.shoppers[channel];
        let next = self.random.about(mean);
        self.after(next, Event::Shopper(channel));
        let first = self.random.below(self.plan.parts.len());
        let mut wanted = vec![first];
        if self.random.chance(150) {
            wanted.push((first + 1) % self.plan.parts.len());
            wanted.dedup();
        }
        if self.plan.shows_at(channel) > 1 {
            wanted = wanted.into_iter().map(|n| self.any_slot(channel, n)).collect();
        }
        self.order(channel, wanted);
    }

    /// Somebody orders what is shown of some listings, one to three units of each.
    pub(super) fn order(&mut self, channel: usize, wanted: Vec<usize>) {
        let mut lines = Vec::new();
        for n in wanted {
            let shown = self.markets[channel].listed[n].now.shown;
            let beyond = channel == SHOP && self.plan.beyond > 0 && self.random.chance(self.plan.beyond);
            let units = self.random.between(1, 3);
            let units = if beyond { units } else { units.min(shown) };
            if units > 0 {
                lines.push((n, units));
            }
        }
        if !lines.is_empty() {
            self.buy(channel, &lines);
        }
    }

    /// Orders come in before the stock is opened. Returns those that the daemon is to read before it, some of which are
    /// shipped, cancelled or sent back by then. The ERP is not told of any, but its books are right.
    pub(super) fn trade_before(&mut self) -> Vec<(usize, usize)> {
        let mut read = Vec::new();
        for _ in 0..self.plan.before {
            let channel = if self.random.chance(500) { SHOP } else { AMAZON };
            let n = self.random.below(self.plan.parts.len());
            let order = self.markets[channel].sales();
            self.order(channel, vec![n]);
            // Before the opening the orders are read; Amazon's list leaves out the latest.
            let hidden = channel == AMAZON && self.random.chance(500);
            if self.markets[channel].sales() > order && !hidden {
                read.push((channel, order));
                if self.random.chance(500) {
                    self.work_on(channel, order, 0);
                }
            }
        }
        for (books, goods) in self.erp.books.iter_mut().zip(&self.truth.goods) {
            *books = goods.shelf;
        }
        read
    }

    fn buy(&mut self, channel: usize, lines: &[(usize, i64)]) {
        for (n, units) in lines {
            let seller = Seller {
                uncontrolled: false,
                frozen: self.frozen(channel, *n),
                rival: self.markets[channel].listed[*n].rival,
                beyond: 0,
            };
            let beyond = (units - self.markets[channel].listed[*n].now.shown.max(0)).max(0);
            for (goods, each) in self.goods_sold(channel, *n) {
                self.truth.sell(goods, units * each, Seller { beyond: beyond * each, ..seller });
            }
        }
        let lag = self.lag(channel);
        let order = self.markets[channel].place(self.now, lines, lag);
        self.orders += 1;
        self.tell(|| format!("{}: sold {lines:?} as order o{order}", plan::NAMES[channel]));
        for (n, _) in lines {
            self.exposed(channel, *n);
        }
        self.announce(channel, order);
    }

    /// Returns how long the list of orders is behind with a change.
    pub(super) fn lag(&mut self, channel: usize) -> i64 {
        let most = self.markets[channel].can.feed_lag_ms * 9 / 10;
        if self.calm || self.random.chance(600) { 500.min(most) } else { self.random.between(0, most) }
    }

    /// Tells whether a person has a listing frozen.
    fn frozen(&self, channel: usize, n: usize) -> bool {
        let state = &self.daemon.durable;
        let of_channel = state.channels.get(&plan::channel(channel)).and_then(|row| row.pause);
        let of_sku = state.skus.get(&self.sku_of(channel, n)).and_then(|row| row.pause);
        of_channel == Some(Pause::Frozen) || of_sku == Some(Pause::Frozen)
    }

    // ---- staff ----------------------------------------------------------------------------------------------------

    pub(super) fn staff(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.staff);
        self.after(next, Event::Staff);
        if self.random.chance(100) {
            return self.find();
        }
        self.work();
    }

    /// Something becomes of one of the latest orders.
    fn work(&mut self) {
        let channel = if self.random.chance(600) { SHOP } else { AMAZON };
        let count = self.markets[channel].sales();
        if count == 0 {
            return;
        }
        let order = count - 1 - self.random.below(count.min(LATEST));
        let line = self.random.below(self.markets[channel].sale(order).lines.len());
        self.work_on(channel, order, line);
    }

    /// Something becomes of one line of an order.
    fn work_on(&mut self, channel: usize, order: usize, line: usize) {
        let held = self.markets[channel].sale(order).lines[line];
        // What went to the other place is worked on there.
        let away = held.away[0] > 0 && self.random.chance(500);
        let part = held.part(away);
        let parts = self.goods_sold(channel, self.markets[channel].lies_at(order, line, away));
        let back = part[3] - part[4];
        let returns = if self.plan.workload == Workload::Returns { 600 } else { 250 };
        if back > 0 && self.random.chance(returns) {
            let units = self.random.between(1, back);
            return self.move_on(channel, (order, line, away), 4, units, &parts);
        }
        if open(part) == 0 {
            return;
        }
        let units = self.random.between(1, open(part));
        let there = parts.iter().all(|(goods, each)| self.truth.goods[*goods].shelf >= units * each);
        let to = match self.random.below(10) {
            0 | 1 => 1,
            2 if there => 2,
            _ if there => 3,
            // What is not there is cancelled.
            _ => 1,
        };
        self.move_on(channel, (order, line, away), to, units, &parts);
    }

    fn move_on(
        &mut self,
        channel: usize,
        (order, line, away): (usize, usize, bool),
        to: usize,
        units: i64,
        parts: &[(usize, i64)],
    ) {
        for (goods, each) in parts {
            match to {
                1 => self.truth.release(*goods, units * each),
                4 => self.truth.come_back(self.now, *goods, units * each),
                _ => self.truth.leave(self.now, *goods, units * each),
            }
            if to > 1 {
                self.spoil(*goods);
            }
        }
        let lag = self.lag(channel);
        if channel == AMAZON {
            let lines = self.markets[channel].sale(order).lines.iter();
            let back = lines.filter(|line| line.units[1] > 0 && !self.markets[channel].keeps(line.listing));
            let retold = back.map(|line| (plan::channel(channel), plan::sku(line.listing)));
            self.checks.retold.extend(retold);
        }
        if matches!(to, 1 | 4) {
            let (item, _) = self.market_item(channel, self.markets[channel].sale(order).lines[line].listing);
            let put_back = self.plan.parts[item].iter().map(|(kind, _)| plan::sku(*kind));
            self.checks.put_back.extend(put_back);
        }
        self.markets[channel].move_on(self.now, (order, line, away), to, units, lag);
        let what = ["", "cancelled", "lost", "shipped", "returned"][to];
        self.tell(|| format!("{}: {units} of line {line} of order o{order} {what}", plan::NAMES[channel]));
        self.announce(channel, order);
    }

    /// Units are found on the shelf, or missing there, and the ERP is told.
    fn find(&mut self) {
        let goods = self.random.below(self.plan.own_goods());
        let units = self.random.between(-2, 3).max(-self.truth.goods[goods].shelf.max(0));
        if units != 0 {
            self.truth.find(self.now, goods, units);
            self.erp.move_by(self.now, goods, units);
            self.tell(|| format!("staff: {units} of goods {goods} found"));
        }
    }

    /// The ERP has customers of its own, who take what they buy with them.
    pub(super) fn own_sale(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.own_sales);
        self.after(next, Event::OwnSale);
        let goods = self.random.below(self.plan.own_goods());
        let units = self.random.between(1, 2);
        if self.truth.goods[goods].shelf >= units {
            self.truth.take_home(self.now, goods, units);
            self.erp.move_by(self.now, goods, -units);
            self.tell(|| format!("erp: sold {units} of goods {goods} itself"));
        }
    }

    // ---- the merchant, and another writer ---------------------------------------------------------------------------

    pub(super) fn operator(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.operator);
        self.after(next, Event::Operator);
        match self.random.below(5) {
            0 | 1 => self.pause(),
            2 => self.unpause(),
            3 => self.reload(),
            _ => {
                let channel = self.random.below(2);
                self.wake_at(channel, Loop::Poll, self.now);
                self.wake_at(ERP, Loop::Sweep, self.now);
            }
        }
    }

    /// A person limits what listings may show, by one or two rows at once, or lets one channel show what another one may not;
    /// or takes such a wish back.
    pub(super) fn limit(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.limits);
        self.after(next, Event::Limit);
        // What others have sent they take back themselves.
        let is_limit = |intent: &Intent| !intent.phase.ended() && intent.request.is_none();
        let open = self.daemon.durable.intents.iter().find(|(_, intent)| is_limit(intent));
        if let Some(id) = open.map(|(id, _)| *id).filter(|_| self.random.chance(200)) {
            self.tell(|| format!("operator: takes intent {id} back"));
            return self.submit(Command::CancelIntent { id }, Then::Nothing);
        }
        let rows = (0..self.random.between(1, 2)).map(|_| Row { line: None, what: self.wish() }).collect();
        let ask = Ask { rows, seen_is_enough: self.random.chance(500), confirmed: true, ..Ask::default() };
        self.tell(|| format!("operator: wants {:?}", ask.rows));
        self.submit(Command::Intend(Box::new(ask)), Then::Nothing);
    }

    fn wish(&mut self) -> What {
        let sku = plan::sku(self.random.below(self.plan.parts.len()));
        let [channel, other] = if self.random.chance(500) { [SHOP, AMAZON] } else { [AMAZON, SHOP] };
        let (from, to) = (plan::channel(channel), plan::channel(other));
        let quantity = Quantity::new(self.random.between(1, 9));
        match self.random.below(4) {
            0 => What::Shift { sku, quantity, from, to },
            1 => What::Set { sku, channel: from, most: None },
            _ => What::Set { sku, channel: from, most: Some(quantity) },
        }
    }

    /// Every limit that a person has set ends, but for what is still on its way.
    pub(super) fn unlimit(&mut self) {
        let limited = self.daemon.durable.skus.iter().flat_map(|(sku, row)| {
            let listings = row.listings.iter().filter(|listing| listing.allotted.is_some());
            listings.map(|listing| What::Set {
                sku: sku.clone(),
                channel: listing.channel.clone(),
                most: None,
            })
        });
        let rows: Vec<Row> = limited.map(|what| Row { line: None, what }).collect();
        for row in rows {
            let ask = Ask { rows: vec![row], confirmed: true, ..Ask::default() };
            self.submit(Command::Intend(Box::new(ask)), Then::Nothing);
        }
    }

    fn pause(&mut self) {
        let pause = Some(if self.random.chance(500) { Pause::Frozen } else { Pause::Stopped });
        let scope = if self.random.chance(400) {
            PauseScope::Channel(plan::channel(self.random.below(2)))
        } else {
            PauseScope::Sku(plan::sku(self.random.below(self.plan.parts.len())))
        };
        self.tell(|| format!("operator: {scope:?} {pause:?}"));
        self.submit(Command::Pause { scope, pause }, Then::Nothing);
    }

    /// Ends every pause.
    pub(super) fn unpause(&mut self) {
        let state = &self.daemon.durable;
        let channels = state.channels.iter().filter(|(_, row)| row.pause.is_some());
        let skus = state.skus.iter().filter(|(_, row)| row.pause.is_some());
        let scopes: Vec<PauseScope> = channels
            .map(|(id, _)| PauseScope::Channel(id.clone()))
            .chain(skus.map(|(sku, _)| PauseScope::Sku(sku.clone())))
            .collect();
        for scope in scopes {
            self.submit(Command::Pause { scope, pause: None }, Then::Nothing);
        }
    }

    /// The merchant keeps more or less back on Amazon.
    fn reload(&mut self) {
        let buffer = Quantity::new(self.random.between(0, 3));
        if let Some(policy) = self.plan.policies.channels.get_mut(&plan::channel(AMAZON)) {
            policy.buffer = buffer;
        }
        self.tell(|| format!("operator: keeps {buffer} back on amazon"));
        self.submit(Command::Configure(Box::new(self.plan.policies.clone())), Then::Nothing);
    }

    pub(super) fn rival(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.rival);
        self.after(next, Event::Rival);
        let channel = self.random.below(2);
        let mut n = self.random.below(self.plan.parts.len());
        if self.plan.shows_at(channel) > 1 {
            n = self.any_slot(channel, n);
        }
        let quantity = self.random.between(0, 20);
        let only_shown = self.random.chance(400);
        let market = &mut self.markets[channel];
        let before = market.listed[n].now.shown;
        market.change(self.now, n, |shelf| {
            shelf.on_hand += if only_shown { 0 } else { quantity - shelf.shown };
            shelf.shown = quantity;
        });
        let listed = &mut market.listed[n];
        (listed.rival, listed.disturbed) = (quantity > before, true);
        self.tell(|| format!("{}: another writer sets listing {n} to {quantity}", plan::NAMES[channel]));
        self.level_changed(channel, n);
    }

    // ---- what our writes do -----------------------------------------------------------------------------------------

    fn booked(&self, channel: usize, n: usize) -> Booked {
        self.checks
            .booked
            .get(&(plan::channel(channel), self.market_item(channel, n)))
            .copied()
            .unwrap_or_default()
    }

    /// A write that compares is about to be carried out: a raise must not meet sales that were not seen (I5).
    pub(super) fn about_to_set(&mut self, channel: usize, n: usize, put: &Put) {
        let listed = &self.markets[channel].listed[n];
        let (Some(compare), quantity) = (put.compare, put.quantity) else { return };
        if listed.disturbed || compare.units() != listed.now.shown {
            return;
        }
        let booked = self.booked(channel, n);
        let unseen = (listed.sold - booked.sold) - (listed.restocked - booked.restocked);
        if unseen != 0 {
            // It shows what was believed by coincidence, so what is believed from here on is wrong by what was not seen.
            self.puzzle(channel, n);
        }
        if unseen > 0 && quantity > compare && self.exact() {
            self.fail(format!(
                "I5: listing {n} on {} is raised from {compare} to {quantity}, and {unseen} units sold there were not seen",
                plan::NAMES[channel]
            ));
        }
    }

    /// Tells whether all clocks agree. Where they do not, what is believed of a channel may be off by the sales about the time of
    /// a read, within what is assumed of clocks.
    pub(super) fn exact(&self) -> bool {
        self.plan.skew == [0; 3] && !self.plan.whole_seconds
    }

    /// What a listing shows may surprise the daemon from here on: no check can tell that from another writer.
    pub(super) fn puzzle(&mut self, channel: usize, n: usize) {
        let sku = self.sku_of(channel, n);
        self.checks.puzzling.insert((plan::channel(channel), sku));
    }

    /// In a rush somebody buys one just before a lower that compares is carried out, which then comes too late.
    pub(super) fn rush(&mut self, channel: usize, n: usize, put: &Put) {
        let rush = self.plan.rush;
        let lowers = put.compare.is_some_and(|compare| put.quantity < compare);
        let shown = self.markets[channel].listed[n].now.shown;
        if rush > 0 && lowers && shown > 0 && !self.calm && self.random.chance(rush) {
            self.buy(channel, &[(n, 1)]);
        }
    }

    /// A delta of ours has landed on whatever was shown.
    pub(super) fn changed(&mut self, channel: usize, n: usize) {
        let shown = self.markets[channel].listed[n].now.shown;
        self.tell(|| format!("{}: listing {n} is changed, and shows {shown}", plan::NAMES[channel]));
        self.exposed(channel, n);
        self.level_changed(channel, n);
    }

    /// A write of ours has landed.
    pub(super) fn ours_landed(&mut self, channel: usize, n: usize, quantity: i64) {
        self.tell(|| format!("{}: listing {n} shows {quantity}", plan::NAMES[channel]));
        self.markets[channel].listed[n].rival = false;
        self.exposed(channel, n);
        self.level_changed(channel, n);
    }

    /// What a listing may sell is never more than what the daemon counts as exposed, what the channel put back by itself aside:
    /// of that it may not have been told, or have read a copy that lacked it.
    pub(super) fn exposed(&mut self, channel: usize, n: usize) {
        let listed = &self.markets[channel].listed[n];
        let state = &self.daemon.durable;
        let counted = self.listing(channel, n).and_then(|l| Checks::exposure(state, &l));
        let of = (plan::channel(channel), self.sku_of(channel, n));
        let puzzling = !self.exact() || self.checks.puzzling.contains(&of);
        // Nothing is counted before the daemon has started on a backup that was put back.
        let puzzling = puzzling || self.daemon.is_put_back();
        let Some(counted) = counted.filter(|_| !listed.disturbed && !puzzling) else { return };
        let (shown, restocked) = (listed.now.shown, listed.restocked + listed.moved_off);
        if shown > counted + restocked {
            let known = self.listing(channel, n).and_then(|l| state.listing(&l)).map(|held| &held.writes);
            self.fail(format!(
                "exposure: listing {n} on {} may sell {shown} units; {counted} are counted, {restocked} were put back; {known:?}",
                plan::NAMES[channel]
            ));
        }
    }

    // ---- webhooks ---------------------------------------------------------------------------------------------------

    /// A channel tells of an order, and of the listings that it moved.
    pub(super) fn announce(&mut self, channel: usize, order: usize) {
        if self.markets[channel].kind == Kind::Amazon {
            return self.notify(channel, order);
        }
        let partial = self.chance(self.plan.rates.push_partial);
        let tells = match self.random.below(4) {
            0 if partial => Tells::Fetch(order),
            _ if partial => Tells::Order(Box::new(self.markets[channel].pushed(order, false))),
            1 => Tells::Latest(order),
            _ => Tells::Order(Box::new(self.markets[channel].pushed(order, true))),
        };
        self.push(channel, tells);
    }

    /// Amazon sends a message about an order, of all of its lines or of one.
    fn notify(&mut self, channel: usize, order: usize) {
        if !self.plan.notified {
            return;
        }
        let whole = !self.chance(self.plan.rates.push_partial);
        let told = self.markets[channel].notified(order, whole).map(Box::new);
        self.push(channel, Tells::Notified(order, told));
    }

    pub(super) fn level_changed(&mut self, channel: usize, n: usize) {
        if self.markets[channel].kind == Kind::Shopify && self.random.chance(500) {
            self.push(channel, Tells::Level(n));
        }
    }

    fn chance(&mut self, permille: u32) -> bool {
        !self.calm && self.random.chance(permille)
    }

    fn push(&mut self, channel: usize, tells: Tells) {
        if self.chance(self.plan.rates.push_lost) {
            return;
        }
        let number = self.number();
        let delivery = format!("d{number}");
        let wait = if self.chance(self.plan.rates.push_late) {
            self.random.between(2_000, 3_600_000)
        } else {
            self.random.between(50, 1_500)
        };
        let doubled = self.chance(self.plan.rates.push_doubled) || self.plan.twice;
        self.pushes.insert(number, Push { channel, delivery, tries: 0, tells });
        self.after(wait, Event::Webhook(number));
        if doubled {
            let copy = self.number();
            self.pushes.insert(copy, self.pushes[&number].clone());
            let later = wait + self.random.between(1, 60_000);
            self.after(later, Event::Webhook(copy));
        }
    }

    /// A webhook comes to the daemon's door.
    pub(super) fn deliver(&mut self, number: u64) {
        if self.daemon.read().is_none() {
            return self.refused_push(number);
        }
        let Some(Push { channel, delivery, tells, .. }) = self.pushes.get(&number).cloned() else { return };
        let (mut orders, mut fetch, mut look) = (Vec::new(), Vec::new(), Vec::new());
        match tells {
            Tells::Order(snapshot) => orders.push(*snapshot),
            Tells::Latest(order) => orders.push(self.markets[channel].pushed(order, true)),
            Tells::Fetch(order) => fetch.push(order_id(order)),
            Tells::Level(n) => look.push(self.markets[channel].listed[n].ids.clone()),
            Tells::Notified(order, told) => {
                orders.extend(told.map(|told| *told));
                fetch.push(order_id(order));
            }
        }
        if self.markets[channel].has_outlets() {
            // It does not say where the units lie.
            fetch.extend(orders.iter().map(|told| told.order.clone()));
        }
        let Ok(delivery) = DeliveryId::new(&delivery) else { return };
        let push = Command::Push { channel: plan::channel(channel), delivery, orders, fetch, look };
        self.submit(push, Then::Pushed(number));
    }

    pub(super) fn pushed(&mut self, number: u64, reply: Result<Reply, Refused>) {
        let Some(push) = self.pushes.remove(&number) else { return };
        match reply {
            Ok(Reply::Pushed { look }) => {
                let hints = &mut self.desks[push.channel].hints;
                let room = HINTS_MAX.saturating_sub(hints.len());
                hints.extend(look.into_iter().take(room));
                self.wake_at(push.channel, Loop::Lane, self.now + 1);
            }
            Ok(_) => {}
            Err(refused) => self.fail(format!("a webhook was refused: {refused}")),
        }
    }

    /// A webhook was not taken: it comes again, eight times, and then no more.
    pub(super) fn refused_push(&mut self, number: u64) {
        let Some(push) = self.pushes.get_mut(&number) else { return };
        let Some(wait) = AGAIN.get(push.tries).copied() else {
            self.pushes.remove(&number);
            return;
        };
        push.tries += 1;
        self.after(wait * 1_000, Event::Webhook(number));
    }
}
