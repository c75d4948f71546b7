//! Whatever happens for a while, everything ends seen live at what is available, and nothing sold comes back.

use proptest::prelude::*;

use super::{
    prune::prune_now,
    world::{AMZ, Change, ERP, Luck, SHOP, World, key, sku},
};
use crate::{
    core::{
        Command,
        bulk::{How, Refused, Told},
        command::{DeadLetter, Verdict},
        leg::State,
    },
    model::{Outcome, Posting},
};

#[derive(Debug, Clone)]
enum Op {
    Buy(bool, usize, i64),
    /// Delivers the order of that number (again).
    Push(usize),
    Ship(usize),
    Cancel(usize),
    Lose(usize),
    Return(usize),
    /// A shipment that was told is undone.
    Unship(usize),
    /// Somebody finds or breaks units on the shelf, and the ERP is told.
    Adjust(usize, i64),
    Count,
    Post(Luck),
    Lane(bool, Luck),
    Feed(bool, bool),
    Wait(i64),
    /// Somebody else writes.
    Rival(bool, usize, i64),
    /// The daemon dies between a write and its answer.
    Crash(bool, bool),
    Sweep(bool),
    /// All raises that are due on Amazon leave as one, and land one by one, so far apart.
    Bulk(Luck, i64),
    /// It ends.
    BulkEnd(How),
}

fn any_luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        6 => Just(Luck::Fine),
        1 => Just(Luck::Lost),
        1 => Just(Luck::Unheard),
        1 => (0..9_000_i64).prop_map(Luck::Late),
        1 => Just(Luck::Says(Outcome::NotSent { reason: "refused".into() })),
        1 => Just(Luck::Says(Outcome::Throttled { retry_after_ms: 700 })),
        1 => Just(Luck::Says(Outcome::Unauthorized { reason: "403".into() })),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (any::<bool>(), 0..2_usize, 1..4_i64).prop_map(|(c, s, n)| Op::Buy(c, s, n)),
        8 => any::<usize>().prop_map(Op::Push),
        2 => any::<usize>().prop_map(Op::Ship),
        3 => any::<usize>().prop_map(Op::Cancel),
        1 => any::<usize>().prop_map(Op::Lose),
        2 => any::<usize>().prop_map(Op::Return),
        1 => any::<usize>().prop_map(Op::Unship),
        2 => (0..2_usize, -3..4_i64).prop_map(|(s, n)| Op::Adjust(s, n)),
        2 => Just(Op::Count),
        3 => any_luck().prop_map(Op::Post),
        12 => (any::<bool>(), any_luck()).prop_map(|(c, luck)| Op::Lane(c, luck)),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(c, lags)| Op::Feed(c, lags)),
        8 => prop::sample::select(vec![1, 50, 400, 3_000, 20_000]).prop_map(Op::Wait),
        1 => (any::<bool>(), 0..2_usize, 0..15_i64).prop_map(|(c, s, n)| Op::Rival(c, s, n)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(c, wrote)| Op::Crash(c, wrote)),
        1 => any::<bool>().prop_map(Op::Sweep),
    ]
}

fn any_bulk_op() -> impl Strategy<Value = Op> {
    use How::{Cancelled, Done, Failed, Lost};
    prop_oneof![
        12 => any_op(),
        3 => (any_luck(), 0..30_000_i64).prop_map(|(luck, apart)| Op::Bulk(luck, apart)),
        2 => prop::sample::select(vec![Done, Done, Failed, Cancelled, Lost]).prop_map(Op::BulkEnd),
    ]
}

const SKUS: [&str; 2] = ["A", "B"];

/// What is true, whatever the daemon believes.
struct Truth {
    world: World,
    /// Channel and number of each order, with its totals.
    orders: Vec<(&'static str, String, &'static str, [i64; 5])>,
    shelf: [i64; 2],
    /// What the ERP's books say is on hand.
    books: [i64; 2],
    /// What the ERP has taken in of each order: shipped, lost and returned units.
    told: Vec<[i64; 3]>,
    /// What the channel refuses of the open bulk.
    refused: Option<u32>,
}

fn channel(first: bool) -> &'static str {
    if first { SHOP } else { AMZ }
}

impl Truth {
    fn new() -> Truth {
        Truth::of(World::open(&[("A", 10), ("B", 4)]))
    }

    /// Every raise on Amazon may leave with a bulk.
    fn with_bulks() -> Truth {
        Truth::of(World::with_bulks(0, &[("A", 10), ("B", 4)]))
    }

    fn of(world: World) -> Truth {
        let (orders, told) = (Vec::new(), Vec::new());
        Truth { world, orders, shelf: [10, 4], books: [10, 4], told, refused: None }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Buy(c, s, units) => self.buy(channel(c), s, units),
            Op::Push(n) => {
                if let Some((channel, order, ..)) = self.pick(n) {
                    self.world.push(channel, &order);
                }
            }
            Op::Ship(n) => self.change(n, 3, 1),
            Op::Cancel(n) => self.change(n, 1, 1),
            Op::Lose(n) => self.change(n, 2, 1),
            Op::Return(n) => self.change(n, 4, 1),
            Op::Unship(n) => self.change(n, 3, -1),
            Op::Adjust(s, units) => {
                self.shelf[s] += units;
                self.books[s] += units;
            }
            Op::Count => self.count(),
            Op::Post(luck) => self.post(&luck),
            Op::Lane(c, luck) => drop(self.world.lane(channel(c), &mut || luck.clone())),
            Op::Feed(c, lags) => {
                let channel = channel(c);
                // An order may hide for as long as the channel admits, less the clocks' difference.
                let lag = if channel == SHOP { 2_900 } else { 4_900 };
                self.world.feed_with(channel, if lags { lag } else { 0 });
            }
            Op::Wait(millis) => self.world.now += millis,
            Op::Rival(c, s, units) => self.world.set_shown(SKUS[s], channel(c), units),
            Op::Crash(c, wrote) => self.crash(channel(c), wrote),
            Op::Sweep(c) => {
                for of in SKUS {
                    self.world.look(of, channel(c));
                }
            }
            Op::Bulk(luck, apart) => self.bulk(&luck, apart),
            Op::BulkEnd(how) => self.bulk_end(how),
        }
    }

    fn bulk(&mut self, luck: &Luck, apart: i64) {
        let puts = self.world.take_bulk();
        if puts.is_empty() {
            return;
        }
        let from = match luck {
            Luck::Says(_) => {
                self.world.ended(How::NotBegun);
                return self.world.bulk_answered(&puts, &Outcome::Throttled { retry_after_ms: 0 });
            }
            Luck::Lost => None,
            Luck::Late(after) => Some(*after),
            Luck::Fine | Luck::Unheard => Some(0),
        };
        let now = self.world.now;
        self.refused = (*luck == Luck::Fine && apart % 5 == 0).then_some(0);
        let lands = puts.iter().skip(usize::from(self.refused.is_some())).zip(1..);
        for ((listing, put), n) in lands.filter(|_| from.is_some()) {
            let landing = (now + from.unwrap_or(0) + n * apart, listing.clone(), Change::of(put));
            self.world.market(AMZ).landing.push(landing);
        }
        if *luck == Luck::Fine {
            self.world.taken(&puts, "F1");
        } else if apart % 2 == 0 {
            self.world.tell(Told::Unsure);
            self.world.bulk_answered(&puts, &Outcome::Unknown { fault: "cut".into() });
        } else {
            self.world.run(Command::Start { epoch: 1 }).expect("starts again");
        }
    }

    /// What has not landed yet does so soon, but for what was taken back or given up.
    fn bulk_end(&mut self, how: How) {
        if self.world.bulk().is_none() {
            return;
        }
        self.world.land(AMZ);
        if let Some(number) = self.refused.take() {
            let (sku, reason) = (None, "no".to_owned());
            self.world.tell(Told::Refused(vec![Refused { number: Some(number), sku, reason }]));
        }
        // What was written one by one lands all the same: later than what is here counts as of the bulk.
        let late = self.world.now + self.world.visible_after;
        let keeps = |n: usize| match how {
            How::Done | How::NotBegun | How::Lost => true,
            How::Cancelled => false,
            How::Failed => n.is_multiple_of(2),
        };
        let mut n = 0;
        self.world.market(AMZ).landing.retain(|(at, ..)| {
            n += usize::from(*at > late);
            *at <= late || keeps(n)
        });
        self.world.ended(how);
    }

    fn pick(&self, n: usize) -> Option<(&'static str, String, &'static str, [i64; 5])> {
        let count = self.orders.len();
        (count > 0).then(|| self.orders[n % count].clone())
    }

    /// Shoppers buy what is shown.
    fn buy(&mut self, channel: &'static str, s: usize, units: i64) {
        self.world.land(channel);
        let units = units.min(self.world.shows(SKUS[s], channel));
        if units > 0 {
            let order = format!("o{}", self.orders.len());
            self.world.buy(channel, &order, SKUS[s], units);
            self.orders.push((channel, order, SKUS[s], [units, 0, 0, 0, 0]));
            self.told.push([0; 3]);
        }
    }

    /// Moves one unit of an order on, where that makes sense.
    fn change(&mut self, n: usize, to: usize, by: i64) {
        if self.orders.is_empty() {
            return;
        }
        let n = n % self.orders.len();
        let (channel, order, of, mut units) = self.orders[n].clone();
        let open = units[0] - units[1] - units[2] - units[3];
        let may = if to == 4 || by < 0 { units[3] > units[4] } else { open > 0 };
        if !may {
            return;
        }
        units[to] += by;
        let s = usize::from(of == "B");
        self.shelf[s] += match to {
            2 | 3 => -by,
            4 => 1,
            _ => 0,
        };
        let restocked = i64::from(to == 1 || (to == 4 && channel == SHOP));
        self.world.now += 1;
        self.world.land(channel);
        self.world.change(channel, &order, units, restocked);
        self.orders[n].3 = units;
    }

    /// Reads the ERP's books, then looks up which raising movements they lack.
    fn count(&mut self) {
        let lines = [("A", self.books[0]), ("B", self.books[1])];
        let mut count = self.world.count_of(ERP, &lines);
        count.absent = self
            .orders
            .iter()
            .zip(&self.told)
            .filter(|((.., units), told)| units[4] > told[2] || units[3] < told[0])
            .map(|((channel, order, ..), _)| key(channel, order))
            .collect();
        self.world.run(Command::Count(count)).expect("a count is taken in");
    }

    fn post(&mut self, luck: &Luck) {
        for posting in self.world.postings() {
            let (arrives, outcome) = match luck {
                Luck::Fine => (true, Outcome::Applied),
                Luck::Unheard | Luck::Late(_) => (true, Outcome::Unknown { fault: "cut".into() }),
                Luck::Lost => (false, Outcome::Unknown { fault: "cut".into() }),
                Luck::Says(outcome) => (false, outcome.clone()),
            };
            if arrives {
                self.book_in_erp(&posting);
            }
            self.world.posted(&posting, outcome);
        }
    }

    /// The ERP looks up what it holds, and takes only the missing steps.
    fn book_in_erp(&mut self, posting: &Posting) {
        let of = |(channel, order, ..): &(&str, String, &str, [i64; 5])| key(channel, order) == posting.order;
        let n = self.orders.iter().position(of).expect("the ERP is told of orders that exist");
        let s = usize::from(self.orders[n].2 == "B");
        for line in &posting.lines {
            let target = [
                line.target.fulfilled.units(),
                line.target.written_off.units(),
                line.target.returned.units(),
            ];
            let held = self.told[n];
            self.books[s] += (target[2] - held[2]) - (target[0] - held[0]) - (target[1] - held[1]);
            self.told[n] = target;
        }
    }

    fn crash(&mut self, channel: &str, wrote: bool) {
        let work = self.world.take(channel);
        if wrote {
            for (listing, put) in work.puts {
                let landing = (self.world.now + 1, listing, Change::of(&put));
                self.world.market(channel).landing.push(landing);
            }
        }
        self.world.run(Command::Start { epoch: 1 }).expect("starts again");
    }

    /// Every fault is over: polls, sweeps and retries do the rest.
    fn end(&mut self) {
        self.bulk_end(How::Done);
        self.world.now += 700_000;
        self.retry_letters();
        for round in 0..4 {
            for channel in [SHOP, AMZ] {
                self.world.land(channel);
                self.world.feed(channel);
                for of in SKUS {
                    self.world.look(of, channel);
                }
            }
            for _ in 0..6 {
                self.post(&Luck::Fine);
                self.world.now += 40_000;
            }
            self.count();
            self.world.quiesce();
            if round < 3 {
                self.world.now += 700_000;
            }
        }
    }

    /// A person has what was refused tried again.
    fn retry_letters(&mut self) {
        for of in SKUS {
            if matches!(self.world.leg(of, AMZ).state, State::Parked { .. }) {
                let letter = DeadLetter::Leg(self.world.listing(of, AMZ));
                let verdict = Verdict::Retry;
                self.world.run(Command::Dead { letter, verdict }).expect("it is tried again");
            }
        }
    }

    fn check(&self) {
        for (s, of) in SKUS.into_iter().enumerate() {
            let mine = self.orders.iter().filter(|(.., sold, _)| *sold == of);
            let open: i64 = mine.map(|(.., t)| t[0] - t[1] - t[2] - t[3]).sum();
            assert_eq!(self.world.stock(of), [self.shelf[s], open, 0], "the ledger of {of} is true");
            let want = (self.shelf[s] - open).max(0);
            for channel in [SHOP, AMZ] {
                let shown = self.world.shows(of, channel);
                assert!(
                    shown == want || (want == 0 && shown < 0),
                    "{channel} shows {shown} of {of}, not {want}"
                );
                assert_eq!(self.world.leg(of, channel).quantity.units(), want);
            }
            let row = &self.world.state.skus[&sku(of)];
            assert!(row.commits.is_empty(), "every commit ends: {:?}", row.commits);
        }
        self.world.index_is_true();
    }
}

/// Plays operations that once ended badly, where nobody but the daemon writes.
fn replay(ops: Vec<Op>) {
    let mut truth = Truth::new();
    truth.world.alone = true;
    ops.into_iter().for_each(|op| truth.step(op));
    truth.end();
    truth.check();
}

#[test]
fn a_raise_that_landed_unheard_and_was_sold_is_not_written_again() {
    use super::world::Luck::{Fine, Unheard};
    use Op::{Adjust, Buy, Cancel, Count, Crash, Feed, Lane, Lose, Wait};
    replay(vec![
        Adjust(1, 1),
        Buy(false, 0, 1),
        Buy(true, 1, 3),
        Buy(true, 1, 1),
        Feed(true, false),
        Count,
        Feed(true, false),
        Lane(true, Unheard),
        Buy(true, 1, 1),
        Buy(false, 0, 1),
        Lose(0),
        Buy(false, 0, 1),
        Buy(false, 0, 1),
        Wait(3_000),
        Lane(true, Fine),
        Lane(true, Fine),
    ]);
    replay(vec![
        Buy(false, 0, 1),
        Buy(false, 0, 1),
        Buy(false, 0, 1),
        Buy(false, 1, 1),
        Buy(false, 0, 1),
        Buy(false, 1, 3),
        Feed(false, false),
        Buy(false, 0, 1),
        Cancel(8_368_349_583_130_914_114),
        Crash(true, true),
        Wait(1),
        Lane(true, Fine),
        Wait(20_000),
        Feed(false, false),
        Feed(true, false),
        Lane(true, Unheard),
        Buy(true, 1, 1),
        Wait(3_000),
        Lane(true, Fine),
        Lane(true, Fine),
    ]);
}

/// Plays the same operations twice, leaving tombstones after each that `prunes` in one of the two worlds: neither the
/// balances nor anything else is otherwise.
fn alike(ops: Vec<(Op, bool)>) {
    let (mut plain, mut pruned) = (Truth::new(), Truth::new());
    let same = |plain: &Truth, pruned: &Truth| {
        let (a, b) = (&plain.world.state, &pruned.world.state);
        assert_eq!(a.seq, b.seq);
        assert_eq!(a.skus, b.skus, "balances, listings, legs");
        assert_eq!((&a.channels, &a.quarantine, &a.alerts), (&b.channels, &b.quarantine, &b.alerts));
        assert_eq!(a.index, b.index);
        assert_eq!(a.orders_known(), b.orders_known());
        for (key, order) in &a.orders {
            assert_eq!(b.order(key).as_deref(), Some(order), "{key}");
        }
    };
    for (op, prunes) in ops {
        plain.step(op.clone());
        pruned.step(op);
        if prunes {
            prune_now(&mut pruned.world);
        }
        same(&plain, &pruned);
    }
    plain.end();
    pruned.end();
    same(&plain, &pruned);
    prune_now(&mut pruned.world);
    pruned.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_all_ends_seen_live_at_what_is_available(
        ops in prop::collection::vec(any_op(), 1..120),
    ) {
        let mut truth = Truth::new();
        for op in ops {
            truth.step(op);
        }
        truth.end();
        truth.check();
    }

    #[test]
    fn however_bulks_land_and_end_all_ends_seen_live_at_what_is_available(
        ops in prop::collection::vec(any_bulk_op(), 1..120),
    ) {
        let mut truth = Truth::with_bulks();
        for op in ops {
            truth.step(op);
        }
        truth.end();
        truth.check();
    }

    #[test]
    fn whenever_orders_are_pruned_nothing_is_decided_otherwise(
        ops in prop::collection::vec((any_op(), any::<bool>()), 1..120),
    ) {
        alike(ops);
    }

    #[test]
    fn where_nobody_else_writes_no_raise_that_compares_meets_an_unseen_sale(
        ops in prop::collection::vec(any_op(), 1..120),
    ) {
        let mut truth = Truth::new();
        truth.world.alone = true;
        for op in ops.into_iter().filter(|op| !matches!(op, Op::Rival(..))) {
            truth.step(op);
        }
        truth.end();
        truth.check();
    }
}
