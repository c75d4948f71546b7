//! The daemon's state with the channels that it speaks to, and every step that may come next.

use crate::{
    core::{
        Command, Reply, State,
        command::Count,
        decide,
        decide::lane::feed_wanted,
        leg,
        state::{Listing, ListingRef},
    },
    model::{
        Abilities, CatalogueItem, ChannelId, CountLine, DeliveryId, FulfilledBy, Instance, Levels,
        LocationId, Measure, Observed, Outcome, Policies, Put, Quantity, Retry, Returns, Revision, Sku,
        Timestamp, Visible, policy,
    },
};

use super::market::{Market, SKU, Write};

/// What may happen, and how often.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Left {
    /// Units sold, on all channels together.
    pub(super) sales: u8,
    /// Orders that are cancelled, whose unit the channel puts back on its shelf by itself.
    pub(super) cancels: u8,
    /// Writes whose answer is lost.
    pub(super) lost: u8,
    /// Reads that the daemon's lanes did not ask for.
    pub(super) glances: u8,
    /// So many times that much time may pass, in milliseconds.
    pub(super) pass: Vec<(i64, u8)>,
}

/// What may come next. Channels, orders and writes are named by their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Sell(usize),
    Cancel(usize, usize),
    /// A webhook tells of an order as it stands.
    Push(usize, usize),
    /// The order feed is read whole. `hidden`: without what is younger than it may lag.
    Feed {
        channel: usize,
        hidden: bool,
    },
    /// The lane takes work: writes leave, and what is to be looked at is asked for.
    Take(usize),
    Glance(usize),
    /// The read is answered with this.
    Look(usize, i64),
    Land(usize, usize),
    Answer(usize, usize),
    /// The answer is given up.
    Lose(usize, usize),
    Pass(i64),
}

/// A rule that is broken on purpose, to see that the search would find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// A read of the wanted quantity settles the write: the rule that was refuted.
    ReadBackSettles,
    /// A write without an answer is taken for one that failed.
    UnknownSettles,
    /// The order feed is said to be read when it was not.
    FeedUnread,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) state: State,
    pub(super) now: i64,
    /// When each time began: it passes in long steps, and within one every step takes a millisecond.
    pub(super) began: Vec<i64>,
    pub(super) markets: Vec<Market>,
    pub(super) left: Left,
    pub(super) stock: i64,
    pub(super) broken: Broken,
    /// What is counted must also hold where a read was mistaken for a write that has not landed.
    pub(super) strict: bool,
}

/// Compares, and shows at once what it took.
pub(super) const COMPARES: Abilities = Abilities {
    quantities: true,
    compare_and_set: true,
    delta: true,
    visible: Visible::AtOnce,
    sells: true,
    restocks_cancels: true,
    restocks_returns: true,
    posts: false,
    counts: None,
    batch: 1,
    late_ms: 60_000,
    stale_ms: 0,
    feed_lag_ms: 0,
    visible_ms: 0,
    look_ms: 0,
};

/// Takes absolute quantities, and shows them later.
pub(super) const BLIND: Abilities = Abilities {
    compare_and_set: false,
    delta: false,
    visible: Visible::Later,
    visible_ms: 5_500,
    ..COMPARES
};

fn location() -> LocationId {
    LocationId::new("wh").expect("a good name")
}

fn named(n: usize) -> ChannelId {
    ChannelId::new(["one", "two"][n]).expect("a good name")
}

fn policies(channels: &[Abilities]) -> Policies {
    let channel = |kind, abilities| policy::ChannelPolicy {
        kind,
        abilities,
        locations: vec![location()],
        own_location: None,
        outlets: Vec::new(),
        warehouses: Vec::new(),
        buffer: Quantity::ZERO,
        min: Quantity::ZERO,
        max: None,
        posts: policy::Posts { sales: false, shipments: false, returns: false },
        feed_late_ms: i64::MAX,
        drift: policy::ChannelDrift::default(),
        account: None,
        bulk_above: None,
    };
    let erp = Abilities { quantities: false, sells: false, counts: Some(Measure::OnHand), ..COMPARES };
    let kind = |can: &Abilities| {
        if can.compare_and_set { policy::ChannelKind::Shopify } else { policy::ChannelKind::Amazon }
    };
    let selling = channels.iter().enumerate().map(|(n, can)| (named(n), channel(kind(can), *can)));
    Policies {
        instance: Instance::new("test").expect("a good name"),
        mode: policy::Mode::Live,
        locations: vec![location()],
        channels: selling.chain([(erp_id(), channel(policy::ChannelKind::Tryton, erp))]).collect(),
        allocation: policy::Allocation::default(),
        overrides: Vec::new(),
        returns: Returns::Restock,
        bundles: Vec::new(),
        mapping: policy::MappingRules { master: Some(erp_id()), ..policy::MappingRules::default() },
        brake: policy::Brake { zero_percent: 100, move_percent: 100, min_skus: 3 },
        // Every pause is one millisecond, so that two ways to the same state do not differ by chance.
        retry: Retry { base_ms: 1, cap_ms: 1, circuit_failures: u32::MAX, circuit_open_ms: 1 },
        alerts: policy::AlertPolicy {
            after_tries: u32::MAX,
            after_ms: i64::MAX,
            repeat_ms: 0,
            webhook: false,
            oversold_units: 0,
        },
        drift: policy::DriftPolicy::default(),
        keep_orders_ms: None,
    }
}

fn erp_id() -> ChannelId {
    ChannelId::new("erp").expect("a good name")
}

impl Model {
    /// The stock is shown on all channels, was seen there, and nothing that was written can land any more.
    pub(super) fn new(channels: &[Abilities], stock: i64, left: Left) -> Model {
        let policies = policies(channels);
        let none = Left { sales: 0, cancels: 0, lost: 0, glances: 0, pass: Vec::new() };
        let mut model = Model {
            state: State::default(),
            now: 1_000_000,
            began: Vec::new(),
            markets: Vec::new(),
            left: none,
            stock,
            broken: Broken::Nothing,
            strict: false,
        };
        model.run(Command::Configure(Box::new(policies)));
        model.run(Command::Start { epoch: 1 });
        for channel in [erp_id()].into_iter().chain((0..channels.len()).map(named)) {
            let item = CatalogueItem {
                ids: Market::ids(),
                title: None,
                by: FulfilledBy::Merchant,
                levels: None,
                unwritable: None,
            };
            let (read_at, unread) = (Timestamp::from_millis(model.now), Vec::new());
            model.run(Command::Catalogue { channel: channel.clone(), read_at, items: vec![item], unread });
            model.run(Command::Catalogued { channel });
        }
        let line = CountLine { ids: Market::ids(), location: location(), quantity: Quantity::new(stock) };
        model.run(Command::Count(Count {
            counter: erp_id(),
            measure: Measure::OnHand,
            as_of: Timestamp::from_millis(model.now),
            begun: model.state.seq,
            lines: vec![line],
            opening: true,
            absent: Vec::new(),
            set: Default::default(),
        }));
        model.run(Command::Initialise);
        let sku = Sku::new(SKU).expect("a good sku");
        for (n, can) in channels.iter().enumerate() {
            let row = &model.state.skus[&sku];
            let at = row.listings.iter().position(|held| held.channel == named(n)).expect("it is listed");
            let listing = ListingRef { sku: sku.clone(), at: u16::try_from(at).expect("few") };
            model.markets.push(Market::new(&named(n), *can, listing));
        }
        model.rest().expect("it comes to rest");
        model.pass(channels.iter().map(|can| can.late_ms).max().unwrap_or(0));
        model.rest().expect("what can no longer land is looked at");
        // What was before is so long ago that it makes no difference when it was.
        model.pass(1_000_000);
        model.began = vec![model.now];
        Model { left, ..model }
    }

    /// Lowers were refused so often on all channels that the next ones go as deltas.
    pub(super) fn contended(mut self) -> Model {
        let contended = leg::Contended {
            times: u32::MAX,
            compared: Quantity::new(self.stock),
            since: Timestamp::from_millis(self.now),
        };
        for market in &self.markets {
            let at = usize::from(market.listing.at);
            self.state.change_sku(&market.listing.sku, |row| {
                if let Some(leg) = &mut row.listings[at].leg {
                    leg.contended = Some(Box::new(contended));
                }
            });
        }
        self
    }

    pub(super) fn run(&mut self, command: Command) -> Reply {
        let (_, reply) = decide(&mut self.state, command, Timestamp::from_millis(self.now));
        self.state.dirty.clear();
        reply.unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    pub(super) fn held(&self, market: &Market) -> &Listing {
        self.state.listing(&market.listing).expect("it is listed")
    }

    /// Returns what may come next.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (c, market) in self.markets.iter().enumerate() {
            steps.push(Step::Take(c));
            for (w, write) in market.writes.iter().enumerate() {
                steps.extend(write.landed.is_none().then_some(Step::Land(c, w)));
                let answers = write.landed.is_some() || market.can.visible == Visible::Later;
                let waits = write.given_up.is_none();
                steps.extend((waits && answers).then_some(Step::Answer(c, w)));
                steps.extend((waits && self.left.lost > 0).then_some(Step::Lose(c, w)));
            }
            let answers = market.read.iter().flat_map(|read| &read.answers);
            steps.extend(answers.map(|units| Step::Look(c, *units)));
            let untold: Vec<usize> =
                (0..market.orders.len()).filter(|n| market.is_untold(&self.state, *n)).collect();
            if !untold.is_empty() || feed_wanted(&self.state, &market.id, Timestamp::from_millis(self.now)) {
                steps.push(Step::Feed { channel: c, hidden: false });
                let lags = market.snapshots(self.now) != market.snapshots(self.now - market.can.feed_lag_ms);
                steps.extend(lags.then_some(Step::Feed { channel: c, hidden: true }));
            }
            steps.extend(untold.into_iter().map(|n| Step::Push(c, n)));
            steps.extend((self.left.sales > 0 && market.shown > 0).then_some(Step::Sell(c)));
            if self.left.cancels > 0 {
                let open =
                    market.orders.iter().enumerate().filter(|(_, placed)| placed.cancelled_at.is_none());
                steps.extend(open.map(|(n, _)| Step::Cancel(c, n)));
            }
            steps.extend((self.left.glances > 0 && market.read.is_none()).then_some(Step::Glance(c)));
        }
        steps.extend(self.left.pass.iter().filter(|(_, times)| *times > 0).map(|(ms, _)| Step::Pass(*ms)));
        steps
    }

    /// Makes a step. Tells what does not hold while it is made.
    pub(super) fn step(&mut self, step: Step) -> Result<(), String> {
        self.now += 1;
        let now = self.now;
        match step {
            Step::Sell(c) => {
                self.left.sales -= 1;
                self.markets[c].sell(now);
            }
            Step::Cancel(c, order) => {
                self.left.cancels -= 1;
                self.markets[c].cancel(order, now);
            }
            Step::Push(c, order) => self.push(c, order),
            Step::Feed { channel, hidden } => self.feed(channel, hidden),
            Step::Take(c) => self.work(c)?,
            Step::Glance(c) => {
                self.left.glances -= 1;
                let now = self.now;
                self.markets[c].ask(now);
            }
            Step::Look(c, units) => self.look(c, units),
            Step::Land(c, write) => self.land(c, write)?,
            Step::Answer(c, write) => self.answer(c, write),
            Step::Lose(c, write) => {
                self.left.lost -= 1;
                self.lose(c, write);
            }
            Step::Pass(ms) => {
                let left = self.left.pass.iter_mut().find(|(of, _)| *of == ms).expect("it may pass");
                left.1 -= 1;
                let began = self.began.last().map_or(now, |began| began + ms);
                self.began.push(began);
                self.pass(began - now);
            }
        }
        Ok(())
    }

    pub(super) fn pass(&mut self, ms: i64) {
        self.now += ms;
        let now = self.now;
        self.markets.iter_mut().for_each(|market| market.expire(now));
    }

    pub(super) fn push(&mut self, c: usize, order: usize) {
        let snapshot = self.markets[c].snapshot(order, self.now).expect("it was placed");
        let delivery = format!("{order}-{}", snapshot.version.millis());
        let delivery = DeliveryId::new(&delivery).expect("a good id");
        let (channel, orders) = (self.markets[c].id.clone(), vec![snapshot]);
        self.run(Command::Push { channel, delivery, orders, fetch: Vec::new(), look: Vec::new() });
    }

    pub(super) fn feed(&mut self, c: usize, hidden: bool) {
        let market = &self.markets[c];
        let then = self.now - if hidden { market.can.feed_lag_ms } else { 0 };
        let (channel, begun, orders) = (market.id.clone(), self.state.seq, market.snapshots(then));
        if self.broken != Broken::FeedUnread {
            self.run(Command::Orders { channel: channel.clone(), begun, orders });
        }
        let (begun_at, through) = (Timestamp::from_millis(self.now), Timestamp::from_millis(then));
        self.run(Command::Fed { channel, begun, begun_at, through });
    }

    pub(super) fn work(&mut self, c: usize) -> Result<(), String> {
        let market = &self.markets[c];
        let take = Command::Take { channel: market.id.clone(), limit: 1, apart: 1 };
        let waits = market.writes.iter().any(|write| write.given_up.is_none());
        let Reply::Work { puts, looks, apart } = self.run(take) else { panic!("no work") };
        for (_, put) in puts.into_iter().chain(apart.puts.into_iter().flatten()) {
            if waits {
                return Err(format!("I4: {} is written while a write awaits its answer", self.markets[c].id));
            }
            self.may_leave(c, &put)?;
            self.markets[c].writes.push(Write {
                key: put.key.as_str().to_owned(),
                compare: put.compare.map(Quantity::units),
                delta: put.delta.map(Quantity::units),
                quantity: put.quantity.units(),
                landed: None,
                given_up: None,
            });
        }
        if self.markets[c].read.is_none() && !(looks.is_empty() && apart.looks.is_empty()) {
            let now = self.now;
            self.markets[c].ask(now);
        }
        Ok(())
    }

    /// I5: a raise leaves only when the orders were read past its cause and past what is known.
    fn may_leave(&self, c: usize, put: &Put) -> Result<(), String> {
        let market = &self.markets[c];
        let held = self.held(market);
        let (writes, leg) = (&held.writes, held.leg.as_ref().expect("it has a leg"));
        let base = writes.base.expect("never written before it is known what it shows");
        if let Some(delta) = put.delta {
            let exact = base.add(delta) == Ok(put.quantity) && delta < Quantity::ZERO;
            let alone = writes.unsettled.iter().all(|write| write.key == put.key) && writes.look.is_none();
            let told = || format!("{} is changed by {delta} from {base}, and {writes:?}", market.id);
            return if exact && alone { Ok(()) } else { Err(told()) };
        }
        if put.compare != market.can.compare_and_set.then_some(base) {
            return Err(format!("{} is written with another quantity to compare than {base}", market.id));
        }
        if put.quantity <= writes.floor().unwrap_or(base) {
            return Ok(());
        }
        let fed = self.state.channels.get(&market.id).and_then(|row| row.fed);
        let lag = market.can.feed_lag_ms;
        let read =
            fed.is_some_and(|fed| fed.begun >= leg.cause && fed.begun_at >= writes.known_at.plus_millis(lag));
        let settled = !market.can.compare_and_set || writes.unsettled.len() == 1;
        if writes.look.is_some() || !read || !settled {
            return Err(format!("I5: {} is raised to {} without an explanation", market.id, put.quantity));
        }
        Ok(())
    }

    pub(super) fn look(&mut self, c: usize, units: i64) {
        let mistaken = self.is_mistaken(c, units);
        let market = &mut self.markets[c];
        market.mistaken |= mistaken;
        let read_at = Timestamp::from_millis(market.read.take().expect("a read is under way").sent);
        let seen = vec![(market.listing.clone(), Observed::Seen(Levels::of(Quantity::new(units))))];
        let (channel, listing) = (market.id.clone(), market.listing.clone());
        self.run(Command::Looked { channel, read_at, seen });
        if self.broken == Broken::ReadBackSettles {
            self.settle(&listing, |write| write.quantity.units() == units);
        }
    }

    /// Tells whether a read shows by coincidence what a write that compares would make of it.
    fn is_mistaken(&self, c: usize, units: i64) -> bool {
        let market = &self.markets[c];
        let unsettled = &self.held(market).writes.unsettled;
        let mut alike = unsettled
            .iter()
            .filter(|write| write.compare.is_some() && write.quantity.units() == units)
            .peekable();
        alike.peek().is_some()
            && alike.all(|write| market.applied.iter().all(|key| key != write.key.as_str()))
    }

    fn settle(&mut self, listing: &ListingRef, settles: impl Fn(&leg::Unsettled) -> bool) {
        let at = usize::from(listing.at);
        let in_flight = self.state.listing(listing).and_then(|held| match &held.leg.as_ref()?.state {
            leg::State::InFlight(sent) => Some(sent.key.clone()),
            leg::State::Pending
            | leg::State::Accepted { .. }
            | leg::State::Probing { .. }
            | leg::State::Looking { .. }
            | leg::State::Retry { .. }
            | leg::State::Confirmed
            | leg::State::Parked { .. }
            | leg::State::Dropped => None,
        });
        self.state.change_sku(&listing.sku, |row| {
            let writes = &mut row.listings[at].writes;
            writes.unsettled.retain(|write| Some(&write.key) == in_flight.as_ref() || !settles(write));
        });
    }

    pub(super) fn land(&mut self, c: usize, write: usize) -> Result<(), String> {
        let market = &mut self.markets[c];
        let Write { compare, quantity, .. } = market.writes[write];
        let unseen = market.unseen(&self.state);
        if compare == Some(market.shown) && Some(quantity) > compare && unseen > 0 {
            return Err(format!(
                "I5: {} is raised to {quantity} over {unseen} units sold that were not seen",
                market.id
            ));
        }
        market.land(write, self.now);
        Ok(())
    }

    pub(super) fn answer(&mut self, c: usize, write: usize) {
        let market = &mut self.markets[c];
        let outcome = match (market.can.visible, market.writes[write].landed) {
            (Visible::Later, _) => Outcome::Accepted { submission: None },
            (Visible::AtOnce, Some(true)) => Outcome::Applied,
            (Visible::AtOnce, _) => Outcome::Stale,
        };
        let key = market.writes[write].key.clone();
        if market.can.visible == Visible::Later {
            market.give_up(write, self.now);
        } else {
            market.writes.remove(write);
        }
        self.answered(c, &key, outcome);
    }

    pub(super) fn lose(&mut self, c: usize, write: usize) {
        let key = self.markets[c].writes[write].key.clone();
        self.markets[c].give_up(write, self.now);
        self.answered(c, &key, Outcome::Unknown { fault: "no answer".to_owned() });
        if self.broken == Broken::UnknownSettles {
            let listing = self.markets[c].listing.clone();
            self.settle(&listing, |write| write.key.as_str() == key);
        }
    }

    fn answered(&mut self, c: usize, key: &str, outcome: Outcome) {
        let market = &self.markets[c];
        let key = crate::model::IdempotencyKey::new(key).expect("a good key");
        let (channel, answers) = (market.id.clone(), vec![(market.listing.clone(), key, outcome)]);
        self.run(Command::Answer { channel, answers });
    }

    /// What the ledger knows to be there.
    pub(super) fn available(&self) -> i64 {
        let row = &self.state.skus[&self.markets[0].listing.sku];
        row.available(&[location()]).expect("small").expect("it was counted").units()
    }

    /// The newest revision seen live of every listing.
    pub(super) fn confirmed(&self) -> Vec<Revision> {
        let of =
            |market: &Market| self.held(market).writes.confirmed.map_or(Revision::ZERO, |seen| seen.revision);
        self.markets.iter().map(of).collect()
    }
}
