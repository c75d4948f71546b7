//! A small world around the state: channels that show quantities and sell, an ERP that is told and counts.
//!
//! Every record is sent through JSON and applied to a second state, and the invariants are checked against that one.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        Command, Envelope, Record, Refused, Reply, State, apply,
        command::Count,
        decide,
        decide::lane::feed_wanted,
        index::Index,
        ledger::{Entry, Stock, book},
        leg,
        record::Why,
        state::{Listing, ListingRef},
    },
    model::{
        Abilities, CatalogueItem, ChannelId, CountLine, DeliveryId, FulfilledBy, IdKind, IdempotencyKey,
        Identifiers, Instance, Levels, LineId, LineSnapshot, LocationId, Measure, Observed, OrderId,
        OrderKey, OrderSnapshot, Outcome, Policies, Posting, Put, Quantity, Rest, Revision, Seq, Sku,
        Timestamp, Totals, Visible, policy,
    },
};

pub(super) const SHOP: &str = "shop";
pub(super) const AMZ: &str = "amz";
pub(super) const ERP: &str = "erp";
pub(super) const WH: &str = "wh";

pub(super) fn q(units: i64) -> Quantity {
    Quantity::new(units)
}

pub(super) fn ch(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a good name")
}

pub(super) fn sku(text: &str) -> Sku {
    Sku::new(text).expect("a good sku")
}

pub(super) fn wh() -> LocationId {
    LocationId::new(WH).expect("a good name")
}

pub(super) fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn ids(pairs: &[(IdKind, &str)]) -> Identifiers {
    Identifiers::new(pairs.iter().copied()).expect("good ids")
}

pub(super) fn key(channel: &str, order: &str) -> OrderKey {
    OrderKey { channel: ch(channel), order: OrderId::new(order).expect("a good id") }
}

pub(super) fn totals([ordered, released, written_off, fulfilled, returned]: [i64; 5]) -> Totals {
    Totals {
        ordered: q(ordered),
        released: q(released),
        written_off: q(written_off),
        fulfilled: q(fulfilled),
        returned: q(returned),
    }
}

/// Compares, shows at once, sells, restocks what is cancelled or returned.
pub(super) const SHOP_CAN: Abilities = Abilities {
    quantities: true,
    compare_and_set: true,
    delta: true,
    visible: Visible::AtOnce,
    sells: true,
    restocks_cancels: true,
    restocks_returns: true,
    posts: false,
    counts: None,
    batch: 5,
    late_ms: 60_000,
    stale_ms: 2_000,
    feed_lag_ms: 3_000,
    visible_ms: 0,
    look_ms: 100,
};

/// Blind, shows later, sells.
pub(super) const AMZ_CAN: Abilities = Abilities {
    compare_and_set: false,
    delta: false,
    visible: Visible::Later,
    restocks_returns: false,
    batch: 1,
    late_ms: 600_000,
    stale_ms: 1_000,
    feed_lag_ms: 5_000,
    visible_ms: 20_000,
    look_ms: 1_000,
    ..SHOP_CAN
};

/// Takes postings and tells what is on hand.
pub(super) const ERP_CAN: Abilities = Abilities {
    quantities: false,
    delta: false,
    sells: false,
    restocks_cancels: false,
    restocks_returns: false,
    posts: true,
    counts: Some(Measure::OnHand),
    late_ms: 30_000,
    stale_ms: 0,
    feed_lag_ms: 0,
    ..SHOP_CAN
};

fn channel(kind: policy::ChannelKind, abilities: Abilities) -> policy::ChannelPolicy {
    policy::ChannelPolicy {
        kind,
        abilities,
        locations: vec![wh()],
        own_location: None,
        outlets: Vec::new(),
        warehouses: Vec::new(),
        buffer: q(0),
        min: q(0),
        max: None,
        posts: policy::Posts { sales: true, shipments: true, returns: true },
        feed_late_ms: 600_000,
        drift: policy::ChannelDrift::default(),
        account: None,
        bulk_above: None,
    }
}

pub(super) fn policies() -> Policies {
    use policy::ChannelKind::{Amazon, Shopify, Tryton};
    let channels = [(SHOP, Shopify, SHOP_CAN), (AMZ, Amazon, AMZ_CAN), (ERP, Tryton, ERP_CAN)];
    Policies {
        instance: Instance::new("test").expect("a good name"),
        mode: policy::Mode::Live,
        locations: vec![wh()],
        channels: channels.into_iter().map(|(id, kind, can)| (ch(id), channel(kind, can))).collect(),
        allocation: policy::Allocation::default(),
        overrides: Vec::new(),
        returns: policy::Returns::Restock,
        bundles: Vec::new(),
        mapping: policy::MappingRules { master: Some(ch(ERP)), ..policy::MappingRules::default() },
        brake: policy::Brake { zero_percent: 20, move_percent: 50, min_skus: 3 },
        retry: policy::Retry { base_ms: 1_000, cap_ms: 8_000, circuit_failures: 3, circuit_open_ms: 10_000 },
        alerts: policy::AlertPolicy {
            after_tries: 4,
            after_ms: 60_000,
            repeat_ms: 0,
            webhook: true,
            oversold_units: 1,
        },
        drift: policy::DriftPolicy::default(),
        keep_orders_ms: None,
    }
}

/// What a channel is really like, behind its API.
#[derive(Debug, Default)]
pub(super) struct Market {
    pub(super) shows: BTreeMap<ListingRef, i64>,
    pub(super) orders: BTreeMap<OrderId, OrderSnapshot>,
    /// Every state that an order ever had, oldest first.
    pub(super) past: BTreeMap<OrderId, Vec<OrderSnapshot>>,
    /// Writes that will land: when, where, what they expect, what they set.
    pub(super) landing: Vec<(i64, ListingRef, Change)>,
    /// Units sold that were not shown any more, by the moment of the sale.
    pub(super) oversold: i64,
}

impl Market {
    /// An order is placed, or has changed.
    pub(super) fn place(&mut self, snapshot: OrderSnapshot) {
        self.past.entry(snapshot.order.clone()).or_default().push(snapshot.clone());
        self.orders.insert(snapshot.order.clone(), snapshot);
    }
}

/// What a write does to what a channel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Set { from: Option<i64>, to: i64 },
    By(i64),
}

impl Change {
    pub(super) fn of(put: &Put) -> Change {
        let from = put.compare.map(Quantity::units);
        put.delta.map_or(Change::Set { from, to: put.quantity.units() }, |delta| Change::By(delta.units()))
    }

    /// Returns whether it was done.
    fn lands(self, shown: &mut i64) -> bool {
        match self {
            Change::Set { from: Some(from), .. } if from != *shown => return false,
            Change::Set { to, .. } => *shown = to,
            Change::By(delta) => *shown += delta,
        }
        true
    }
}

/// What becomes of a write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Luck {
    /// Applied or queued, and answered so.
    Fine,
    /// Never arrives; no answer.
    Lost,
    /// Arrives; its answer is lost.
    Unheard,
    /// Lands this many milliseconds after it was given up; no answer.
    Late(i64),
    Says(Outcome),
}

pub(super) struct World {
    pub(super) state: State,
    pub(super) journal: Vec<Envelope>,
    pub(super) now: i64,
    pub(super) markets: BTreeMap<ChannelId, Market>,
    /// How long a blind channel takes to show what it accepted.
    pub(super) visible_after: i64,
    /// Nobody but the daemon writes: no raise may meet a sale that was not seen.
    pub(super) alone: bool,
    replica: State,
    ledger: BTreeMap<(Sku, LocationId), Stock>,
    keys: BTreeSet<IdempotencyKey>,
    deliveries: u32,
}

impl World {
    /// Configured and started; nothing is known yet.
    pub(super) fn bare(policies: Policies) -> World {
        let mut world = World {
            state: State::default(),
            journal: Vec::new(),
            now: 1_000_000,
            markets: policies.channels.keys().map(|id| (id.clone(), Market::default())).collect(),
            visible_after: 2_000,
            alone: false,
            replica: State::default(),
            ledger: BTreeMap::new(),
            keys: BTreeSet::new(),
            deliveries: 0,
        };
        world.run(Command::Configure(Box::new(policies))).expect("configures");
        world.run(Command::Start { epoch: 1 }).expect("starts");
        world
    }

    /// With these SKUs and units, listed on the shop and on Amazon, opened, and seen live everywhere.
    pub(super) fn open(stock: &[(&str, i64)]) -> World {
        World::open_with(policies(), stock)
    }

    pub(super) fn open_with(policies: Policies, stock: &[(&str, i64)]) -> World {
        let mut world = World::bare(policies);
        world.list(ERP, &stock.iter().map(|(sku, _)| *sku).collect::<Vec<_>>());
        world.list(SHOP, &stock.iter().map(|(sku, _)| *sku).collect::<Vec<_>>());
        world.list(AMZ, &stock.iter().map(|(sku, _)| *sku).collect::<Vec<_>>());
        let opening = Count { opening: true, ..world.count_of(ERP, stock) };
        world.run(Command::Count(opening)).expect("opens");
        world.run(Command::Initialise).expect("initialises");
        world.quiesce();
        world
    }

    /// Decides a command, and checks everything that must hold.
    pub(super) fn run(&mut self, command: Command) -> Result<Reply, Refused> {
        let (envelope, reply) = decide(&mut self.state, command, ms(self.now));
        let Some(envelope) = envelope else {
            self.same_rows();
            return reply;
        };
        assert!(reply.is_ok(), "a refused command records nothing");
        let bytes = serde_json::to_vec(&envelope).expect("encodes");
        let read: Envelope = serde_json::from_slice(&bytes).expect("decodes");
        assert_eq!(read, envelope, "a record survives the journal");
        assert_eq!(serde_json::to_vec(&read).expect("encodes"), bytes, "byte for byte");
        let seq = self.replica.seq.next();
        for record in &read.records {
            self.check_record(record);
            apply::one(&mut self.replica, seq, read.at, record);
        }
        self.replica.seq = seq;
        self.same_rows();
        self.journal.push(envelope);
        reply
    }

    /// Applies a record that no command decides at this moment, and that takes no position.
    pub(super) fn inject(&mut self, record: &Record) {
        for state in [&mut self.state, &mut self.replica] {
            let seq = state.seq;
            apply::one(state, seq, ms(self.now), record);
        }
        self.same_rows();
    }

    /// The process ends and starts again: all that is left is the journal.
    pub(super) fn restart(&mut self) {
        let mut state = State::default();
        for envelope in &self.journal {
            let seq = state.seq.next();
            apply::apply(&mut state, seq, envelope);
        }
        self.state = state;
        self.same_rows();
        self.run(Command::Start { epoch: 1 }).expect("starts");
    }

    /// The state that decided and the one that only replayed hold the same.
    pub(super) fn same_rows(&self) {
        let (a, b) = (&self.state, &self.replica);
        assert_eq!((a.seq, a.epoch, a.initialised), (b.seq, b.epoch, b.initialised));
        assert_eq!(a.policies, b.policies);
        assert_eq!(a.skus, b.skus);
        assert_eq!(a.orders, b.orders);
        assert_eq!(a.tombstones, b.tombstones);
        assert_eq!(a.channels, b.channels);
        assert_eq!(a.deliveries, b.deliveries);
        assert_eq!(a.table, b.table);
        assert_eq!(a.alerts, b.alerts);
        assert_eq!((&a.held, &a.quarantine, &a.unmatched), (&b.held, &b.quarantine, &b.unmatched));
        assert_eq!((&a.intents, &a.oversold), (&b.intents, &b.oversold));
        assert_eq!(a.index, b.index);
    }

    /// The index that was kept step by step is the one that the rows give.
    pub(super) fn index_is_true(&self) {
        let mut rebuilt = self.state.clone();
        Index::rebuild(&mut rebuilt);
        assert_eq!(self.state.index, rebuilt.index);
    }

    fn check_record(&mut self, record: &Record) {
        record.entries().iter().for_each(|entry| self.check_entry(entry));
        match record {
            Record::Commit { sku, revision, .. } => {
                let before = self.replica.skus.get(sku).map_or(Revision::ZERO, |row| row.revision);
                assert!(*revision > before, "a revision grows");
            }
            Record::Moved { listing, why, leg, writes, .. } => {
                let before = self.replica.listing(listing).expect("it is listed").clone();
                let revision = |of: &leg::Writes| of.confirmed.map_or(Revision::ZERO, |c| c.revision);
                assert!(
                    revision(writes) >= revision(&before.writes),
                    "a confirmed revision never falls (I4)"
                );
                if let (Why::Sending, Some(leg::State::InFlight(sent))) =
                    (why, leg.as_ref().map(|l| &l.state))
                {
                    self.check_sending(&before, sent);
                }
            }
            _ => {}
        }
    }

    /// I2: every balance is the fold of its entries.
    fn check_entry(&mut self, entry: &Entry) {
        let place = self.ledger.entry((entry.sku.clone(), entry.location.clone())).or_default();
        *place = book(*place, entry.kind, entry.quantity).expect("small");
        assert_eq!(*place, entry.after, "{entry:?}");
    }

    /// I4 and I5, for a write that is about to leave.
    fn check_sending(&mut self, before: &Listing, sent: &leg::Sent) {
        assert!(self.keys.insert(sent.key.clone()), "every attempt has a key of its own");
        let leg = before.leg.as_ref().expect("it has a leg");
        let waits = matches!(leg.state, leg::State::Pending | leg::State::Retry { .. });
        assert!(waits, "one write in flight per listing: {leg:?}");
        assert!(before.writable() && self.replica.initialised.is_some());
        let policy = &self.replica.policies().expect("configured").channels[&before.channel];
        let base = before.writes.base.expect("never written before it is known what it shows");
        if let Some(delta) = sent.delta {
            assert!(policy.abilities.delta && delta < q(0) && base.add(delta) == Ok(sent.quantity));
            assert!(before.writes.unsettled.is_empty(), "nothing else may land: {:?}", before.writes);
            assert!(leg.contended_since().is_some() && before.writes.look.is_none());
            return;
        }
        assert_eq!(sent.compare, policy.abilities.compare_and_set.then_some(base));
        let shown = before.writes.look.as_ref().map_or(base, |look| look.shown().expect("small").min(base));
        if sent.quantity > shown {
            assert_eq!(before.writes.look, None, "a raise waits for what is being found out");
            let fed = self.replica.channels[&before.channel].fed.expect("a raise waits for the orders");
            assert!(fed.begun >= leg.cause, "a raise waits until the orders are read past its cause");
            let lag = policy.abilities.feed_lag_ms;
            assert!(fed.begun_at >= before.writes.known_at.plus_millis(lag), "and past what is known");
        }
    }

    // ---- what is there ------------------------------------------------------------------------------------------

    /// What an item goes by on a channel.
    pub(super) fn ids_of(channel: &str, of: &str) -> Identifiers {
        match channel {
            SHOP => ids(&[(IdKind::Sku, of), (IdKind::InventoryItem, &format!("i-{of}"))]),
            AMZ => ids(&[(IdKind::Sku, of), (IdKind::Asin, &format!("B0-{of}"))]),
            _ => ids(&[(IdKind::Sku, of), (IdKind::Record, &format!("r-{of}"))]),
        }
    }

    pub(super) fn item(channel: &str, of: &str) -> CatalogueItem {
        CatalogueItem {
            ids: World::ids_of(channel, of),
            title: None,
            by: FulfilledBy::Merchant,
            levels: None,
            unwritable: None,
        }
    }

    /// Reads a catalogue with these items.
    pub(super) fn list(&mut self, channel: &str, skus: &[&str]) {
        let items = skus.iter().map(|of| World::item(channel, of)).collect();
        self.catalogue(channel, items);
    }

    pub(super) fn catalogue(&mut self, channel: &str, items: Vec<CatalogueItem>) -> Reply {
        let read = Command::Catalogue { channel: ch(channel), read_at: ms(self.now), items, unread: vec![] };
        let reply = self.run(read).expect("a catalogue is read");
        self.run(Command::Catalogued { channel: ch(channel) }).expect("and read whole");
        reply
    }

    pub(super) fn listing(&self, of: &str, channel: &str) -> ListingRef {
        let row = &self.state.skus[&sku(of)];
        let at = row.listings.iter().position(|l| l.channel == ch(channel)).expect("it is listed");
        ListingRef { sku: sku(of), at: u16::try_from(at).expect("few") }
    }

    pub(super) fn held(&self, of: &str, channel: &str) -> &Listing {
        self.state.listing(&self.listing(of, channel)).expect("it is listed")
    }

    pub(super) fn leg(&self, of: &str, channel: &str) -> &leg::Leg {
        self.held(of, channel).leg.as_ref().expect("it has a leg")
    }

    pub(super) fn shows(&self, of: &str, channel: &str) -> i64 {
        self.markets[&ch(channel)].shows.get(&self.listing(of, channel)).copied().unwrap_or(0)
    }

    pub(super) fn set_shown(&mut self, of: &str, channel: &str, units: i64) {
        let listing = self.listing(of, channel);
        self.market(channel).shows.insert(listing, units);
    }

    pub(super) fn market(&mut self, channel: &str) -> &mut Market {
        self.markets.get_mut(&ch(channel)).expect("a configured channel")
    }

    /// `on_hand committed reserved` of a SKU.
    pub(super) fn stock(&self, of: &str) -> [i64; 3] {
        let place = self.state.skus.get(&sku(of)).and_then(|row| row.place(&wh()));
        let stock = place.map(|place| place.stock).unwrap_or_default();
        [stock.on_hand, stock.committed, stock.reserved].map(Quantity::units)
    }

    pub(super) fn available(&self, of: &str) -> i64 {
        let [on_hand, committed, reserved] = self.stock(of);
        on_hand - committed - reserved
    }

    // ---- orders -------------------------------------------------------------------------------------------------

    /// A shopper buys: the channel lowers what it shows, and has an order that nobody was told of yet.
    pub(super) fn buy(&mut self, channel: &str, order: &str, of: &str, units: i64) {
        let listing = self.listing(of, channel);
        let now = self.now;
        let market = self.market(channel);
        let shown = market.shows.entry(listing).or_default();
        market.oversold += (units - (*shown).max(0)).clamp(0, units);
        *shown -= units;
        let snapshot = placed(order, now, &[(World::ids_of(channel, of), [units, 0, 0, 0, 0])]);
        market.place(snapshot);
    }

    /// Changes an order at its source. `restocked`: what the channel puts back on its own shelf.
    pub(super) fn change(&mut self, channel: &str, order: &str, units: [i64; 5], restocked: i64) {
        let now = self.now;
        let market = self.market(channel);
        let snapshot = market.orders.get_mut(&key(channel, order).order).expect("it was placed");
        snapshot.version = ms(now);
        snapshot.lines[0].totals = totals(units);
        let snapshot = snapshot.clone();
        market.place(snapshot.clone());
        let bought = snapshot.lines[0].ids.get(IdKind::Sku).expect("it has a code").to_owned();
        let listing = self.listing(&bought, channel);
        *self.market(channel).shows.entry(listing).or_default() += restocked;
    }

    /// Delivers an order as it stands at its source, as a webhook does.
    pub(super) fn push(&mut self, channel: &str, order: &str) {
        let snapshot = self.market(channel).orders[&key(channel, order).order].clone();
        self.push_snapshot(channel, snapshot);
    }

    pub(super) fn push_snapshot(&mut self, channel: &str, snapshot: OrderSnapshot) {
        self.deliveries += 1;
        let delivery = DeliveryId::new(&format!("d{}", self.deliveries)).expect("a good id");
        let (fetch, look) = (Vec::new(), Vec::new());
        let push = Command::Push { channel: ch(channel), delivery, orders: vec![snapshot], fetch, look };
        self.run(push).expect("a push is taken in");
    }

    /// Buys, and delivers the order at once.
    pub(super) fn sell(&mut self, channel: &str, order: &str, of: &str, units: i64) {
        self.buy(channel, order, of, units);
        self.push(channel, order);
    }

    /// Reads the feed whole, as things stood `hidden` milliseconds ago.
    pub(super) fn feed_with(&mut self, channel: &str, hidden: i64) {
        let (begun, begun_at) = (self.state.seq, ms(self.now));
        let seen = begun_at.plus_millis(-hidden);
        let past = self.market(channel).past.values();
        let then = past.filter_map(|past| past.iter().rfind(|order| order.version <= seen));
        let orders: Vec<OrderSnapshot> = then.cloned().collect();
        self.run(Command::Orders { channel: ch(channel), begun, orders }).expect("orders are taken in");
        let fed = Command::Fed { channel: ch(channel), begun, begun_at, through: seen };
        self.run(fed).expect("a feed is read");
    }

    pub(super) fn feed(&mut self, channel: &str) {
        self.feed_with(channel, 0);
    }

    // ---- counts and postings ------------------------------------------------------------------------------------

    /// A count of what is on hand, read at this moment.
    pub(super) fn count_of(&self, counter: &str, lines: &[(&str, i64)]) -> Count {
        let line = |(of, units): &(&str, i64)| CountLine {
            ids: World::ids_of(counter, of),
            location: wh(),
            quantity: q(*units),
        };
        Count {
            counter: ch(counter),
            measure: Measure::OnHand,
            as_of: ms(self.now),
            begun: self.state.seq,
            lines: lines.iter().map(line).collect(),
            opening: false,
            absent: Vec::new(),
            set: Default::default(),
        }
    }

    pub(super) fn postings(&mut self) -> Vec<Posting> {
        let take = Command::TakePostings { channel: ch(ERP), limit: 10 };
        match self.run(take).expect("postings are taken") {
            Reply::Postings(postings) => postings,
            other => panic!("no postings: {other:?}"),
        }
    }

    pub(super) fn posted(&mut self, posting: &Posting, outcome: Outcome) {
        self.posted_and_found(posting, outcome, None);
    }

    /// Answers a posting. `found`: what a look after a refusal found.
    pub(super) fn posted_and_found(
        &mut self,
        posting: &Posting,
        outcome: Outcome,
        found: Option<Vec<Totals>>,
    ) {
        let (order, sequence) = (posting.order.clone(), posting.sequence);
        let posted = Command::Posted { channel: ch(ERP), order, sequence, outcome, found };
        self.run(posted).expect("an answer is taken in");
    }

    /// Tells the ERP everything that it has to know.
    pub(super) fn post_all(&mut self) {
        for _ in 0..10 {
            for posting in self.postings() {
                self.posted(&posting, Outcome::Applied);
            }
        }
    }

    // ---- lanes --------------------------------------------------------------------------------------------------

    pub(super) fn take(&mut self, channel: &str) -> Work {
        let take = Command::Take { channel: ch(channel), limit: 100, apart: 4 };
        match self.run(take).expect("work is taken") {
            Reply::Work { puts, looks, apart } => {
                let requests: Vec<_> =
                    std::iter::once(puts).chain(apart.puts).filter(|puts| !puts.is_empty()).collect();
                let puts = requests.iter().flatten().cloned().collect();
                Work { puts, requests, looks: looks.into_iter().chain(apart.looks).collect() }
            }
            other => panic!("no work: {other:?}"),
        }
    }

    pub(super) fn answer(&mut self, channel: &str, put: &(ListingRef, Put), outcome: Outcome) {
        let answers = vec![(put.0.clone(), put.1.key.clone(), outcome)];
        self.run(Command::Answer { channel: ch(channel), answers }).expect("an answer is taken in");
    }

    /// Reads a listing back as it stands.
    pub(super) fn look(&mut self, of: &str, channel: &str) {
        let shown = self.shows(of, channel);
        self.look_at(of, channel, shown, self.now);
    }

    /// Reads a listing as showing `shown`, by a read that was sent at `read_at`.
    pub(super) fn look_at(&mut self, of: &str, channel: &str, shown: i64, read_at: i64) {
        let seen = vec![(self.listing(of, channel), Observed::Seen(Levels::of(q(shown))))];
        self.run(Command::Looked { channel: ch(channel), read_at: ms(read_at), seen }).expect("a look");
    }

    /// Carries out one portion of a lane's work. Returns whether there was any.
    pub(super) fn lane(&mut self, channel: &str, luck: &mut dyn FnMut() -> Luck) -> bool {
        self.land(channel);
        let work = self.take(channel);
        for request in &work.requests {
            let write = |(listing, put): &(ListingRef, Put)| {
                let outcome = self.write(channel, listing, put, luck());
                (listing.clone(), put.key.clone(), outcome)
            };
            let answers = request.iter().map(write).collect();
            self.run(Command::Answer { channel: ch(channel), answers }).expect("answers are taken in");
        }
        let seen: Vec<_> = work
            .looks
            .iter()
            .map(|(listing, _)| {
                let shown = self.market(channel).shows.get(listing).copied().unwrap_or(0);
                (listing.clone(), Observed::Seen(Levels::of(q(shown))))
            })
            .collect();
        if !seen.is_empty() {
            let looked = Command::Looked { channel: ch(channel), read_at: ms(self.now), seen };
            self.run(looked).expect("looks are taken in");
        }
        !work.puts.is_empty() || !work.looks.is_empty()
    }

    pub(super) fn write(&mut self, channel: &str, listing: &ListingRef, put: &Put, luck: Luck) -> Outcome {
        let (now, visible_after) = (self.now, self.visible_after);
        if self.alone
            && put
                .compare
                .is_some_and(|c| c.units() == self.market(channel).shows[listing] && put.quantity > c)
        {
            assert_eq!(
                self.unseen(channel, &listing.sku),
                0,
                "a raise of {put:?} meets sales that were not seen"
            );
        }
        let change = Change::of(put);
        let market = self.market(channel);
        let shown = market.shows.entry(listing.clone()).or_default();
        let unknown = Outcome::Unknown { fault: "no answer".into() };
        let blind = change == Change::Set { from: None, to: put.quantity.units() };
        match luck {
            Luck::Says(outcome) => outcome,
            Luck::Lost => unknown,
            Luck::Late(after) => {
                market.landing.push((now + after, listing.clone(), change));
                unknown
            }
            Luck::Fine | Luck::Unheard if blind => {
                market.landing.push((now + visible_after, listing.clone(), change));
                if luck == Luck::Fine { Outcome::Accepted { submission: None } } else { unknown }
            }
            Luck::Fine if change.lands(shown) => Outcome::Applied,
            Luck::Fine => Outcome::Stale,
            Luck::Unheard => {
                change.lands(shown);
                unknown
            }
        }
    }

    /// What the orders of a channel did to its quantity of a SKU that the ledger has not booked yet.
    fn unseen(&self, channel: &str, of: &Sku) -> i64 {
        let moved = |t: &Totals| (t.released.units() + t.returned.units()) - t.ordered.units();
        let orders = self.markets[&ch(channel)].orders.values();
        let lines = orders.flat_map(|order| order.lines.iter().map(move |line| (&order.order, line)));
        let mine = lines.filter(|(_, line)| line.ids.get(IdKind::Sku) == Some(of.as_str()));
        mine.map(|(order, line)| {
            let held = self.state.orders.get(&OrderKey { channel: ch(channel), order: order.clone() });
            let booked = held.and_then(|held| held.lines.get(&line.line)).map(|line| line.booked);
            moved(&line.totals) - booked.map_or(0, |booked| moved(&booked))
        })
        .sum()
    }

    /// Lets land what is due to land.
    pub(super) fn land(&mut self, channel: &str) {
        let now = self.now;
        let market = self.market(channel);
        let mut landing = std::mem::take(&mut market.landing);
        landing.sort_by_key(|(at, ..)| *at);
        for (at, listing, change) in landing {
            if at > now {
                market.landing.push((at, listing, change));
            } else {
                change.lands(market.shows.entry(listing).or_default());
            }
        }
    }

    pub(super) fn selling(&self) -> Vec<String> {
        let policies = self.state.policies().expect("configured");
        let selling = policies.channels.iter().filter(|(_, policy)| policy.abilities.quantities);
        selling.map(|(id, _)| id.to_string()).collect()
    }

    /// Lets everything run without mishap until nothing is left to do.
    pub(super) fn quiesce(&mut self) {
        for _ in 0..2_000 {
            let mut busy = false;
            for channel in self.selling() {
                busy |= self.lane(&channel, &mut || Luck::Fine);
                if feed_wanted(&self.state, &ch(&channel), ms(self.now)) {
                    self.feed(&channel);
                    busy = true;
                }
            }
            self.now += 250;
            if !busy && self.all_confirmed() {
                return;
            }
        }
        panic!("it does not come to rest: {:#?}", self.unconfirmed());
    }

    /// Lets everything run for a while without mishap, whatever is left to do.
    pub(super) fn quiesce_but_bulks(&mut self) {
        for _ in 0..200 {
            for channel in self.selling() {
                self.lane(&channel, &mut || Luck::Fine);
                if feed_wanted(&self.state, &ch(&channel), ms(self.now)) {
                    self.feed(&channel);
                }
            }
            self.now += 250;
        }
    }

    pub(super) fn all_confirmed(&self) -> bool {
        self.unconfirmed().is_empty()
    }

    fn unconfirmed(&self) -> Vec<(&Sku, &Listing)> {
        let listings =
            self.state.skus.iter().flat_map(|(sku, row)| row.listings.iter().map(move |l| (sku, l)));
        let done = |listing: &Listing| {
            listing.writes.look.is_none()
                && listing.leg.as_ref().is_none_or(|leg| match leg.state {
                    leg::State::Confirmed => true,
                    // It belongs to another SKU, and goes by nothing any more.
                    leg::State::Dropped => listing.ids.is_empty(),
                    _ => false,
                })
        };
        listings.filter(|(_, listing)| !done(listing)).collect()
    }
}

/// What a lane was given to do.
pub(super) struct Work {
    pub(super) puts: Vec<(ListingRef, Put)>,
    /// The same, request by request.
    pub(super) requests: Vec<Vec<(ListingRef, Put)>>,
    pub(super) looks: Vec<(ListingRef, Identifiers)>,
}

impl Work {
    /// The quantities to be written, in order.
    pub(super) fn quantities(&self) -> Vec<(String, i64)> {
        self.puts.iter().map(|(listing, put)| (listing.sku.to_string(), put.quantity.units())).collect()
    }
}

/// An order as placed, complete, one line for each item.
pub(super) fn placed(order: &str, at: i64, lines: &[(Identifiers, [i64; 5])]) -> OrderSnapshot {
    let line = |(n, (ids, units)): (usize, &(Identifiers, [i64; 5]))| LineSnapshot {
        line: LineId::new(&format!("l{n}")).expect("a good id"),
        ids: ids.clone(),
        location: None,
        unplaced_at: None,
        places: Vec::new(),
        by: FulfilledBy::Merchant,
        totals: totals(*units),
        rest: Rest::Open,
    };
    OrderSnapshot {
        order: OrderId::new(order).expect("a good id"),
        name: None,
        version: ms(at),
        placed_at: ms(at),
        complete: true,
        lines: lines.iter().enumerate().map(line).collect(),
    }
}

/// The journal's position before anything.
pub(super) const START: Seq = Seq::ZERO;
