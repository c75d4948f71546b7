//! Counts by people: whatever happens before, between and after, nothing that was sold comes back with them.

use proptest::prelude::*;

use super::world::{AMZ, ERP, ERP_CAN, Luck, SHOP, World, ch, ids, ms, placed, policies, q, sku, wh};
use crate::{
    core::{
        Command, Refused, Reply,
        command::{ByHand, DeadLetter, Fate, HandLine, Tally, Verdict, Why},
        index::Index,
        intent::ask::{Ask, Row, What},
        ledger::{Cause, Kind},
        moves::{REACH_MS, Transferred},
        oversold::Class,
    },
    model::{
        Abilities, Counter, DeliveryId, IdKind, LocationId, Measure, Policies, Returns,
        policy::{MappingRow, Part, Recipe},
    },
};

/// An ERP that is told and does not count.
pub(super) fn uncounted() -> Policies {
    let mut policies = policies();
    let erp = policies.channels.get_mut(&ch(ERP)).expect("configured");
    erp.abilities = Abilities { counts: None, ..ERP_CAN };
    policies
}

/// Listed everywhere, with plenty shown; nothing is opened.
fn listed(policies: Policies, skus: &[&str]) -> World {
    let mut world = World::bare(policies);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, skus);
    }
    for of in skus {
        world.set_shown(of, SHOP, 50);
        world.set_shown(of, AMZ, 50);
    }
    world
}

pub(super) fn line(of: &str, units: i64, as_of: i64) -> HandLine {
    let (quantity, as_of, note) = (q(units), ms(as_of), "by hand".to_owned());
    HandLine { sku: sku(of), location: wh(), quantity, as_of, note, line: None }
}

pub(super) fn by_hand(lines: Vec<HandLine>) -> ByHand {
    ByHand { by: Counter::Person, measure: Measure::OnHand, lines, opening: false, believed: false }
}

pub(super) fn run(world: &mut World, count: ByHand) -> Tally {
    match world.run(Command::CountByHand(count)) {
        Ok(Reply::CountedByHand(tally)) => tally,
        other => panic!("not counted: {other:?}"),
    }
}

fn count(world: &mut World, of: &str, units: i64, as_of: i64) -> Tally {
    run(world, by_hand(vec![line(of, units, as_of)]))
}

/// Opened by a person with ten units of each SKU.
fn opened_with(policies: Policies, skus: &[&str]) -> World {
    let mut world = listed(policies, skus);
    let lines = skus.iter().map(|of| line(of, 10, world.now)).collect();
    run(&mut world, ByHand { opening: true, ..by_hand(lines) });
    world.run(Command::Initialise).expect("initialised");
    world.now += 1_000;
    world
}

fn opened(skus: &[&str]) -> World {
    opened_with(uncounted(), skus)
}

#[test]
fn a_person_opens_the_stock_and_counts_it_again() {
    let mut world = opened(&["A", "B"]);
    assert_eq!([world.stock("A"), world.stock("B")], [[10, 0, 0]; 2]);
    let place = world.state.skus[&sku("A")].place(&wh()).expect("opened").clone();
    assert_eq!(place.opened.map(|opened| opened.counter), Some(Counter::Person));
    world.sell(SHOP, "1", "A", 3);
    let now = world.now;
    let tally = count(&mut world, "A", 8, now);
    assert_eq!(world.stock("A"), [8, 3, 0], "what is sold and not shipped was counted with the rest");
    assert_eq!((tally.changed, tally.down, tally.down_units), (1, 1, q(-2)));
    assert_eq!(tally.some, vec![(sku("A"), wh(), q(10), q(8))]);
    let last = world.state.skus[&sku("A")].recent.last().expect("booked").entry.clone();
    assert_eq!((last.kind, last.event_at), (Kind::Count, ms(now)));
    assert_eq!(last.cause, Cause::Operator { note: "by hand".to_owned() });
    let tally = count(&mut world, "B", 0, now);
    assert_eq!((tally.zeroed, world.stock("B")), (1, [0, 0, 0]));
}

#[test]
fn what_left_the_shelf_after_the_as_of_is_replayed_and_what_left_before_is_not() {
    let mut world = opened(&["A"]);
    world.sell(SHOP, "1", "A", 2);
    world.sell(SHOP, "2", "A", 1);
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    world.now += 1_000;
    let as_of = world.now;
    world.now += 1_000;
    world.change(SHOP, "2", [1, 0, 0, 1, 0], 0);
    world.push(SHOP, "2");
    count(&mut world, "A", 8, as_of);
    assert_eq!(world.stock("A"), [7, 0, 0]);
}

/// An order of two units that was shipped at 0 or after the as-of, told before the count or after it -> on hand after a
/// count of eight.
#[track_caller]
fn check_late(shipped_after: bool, told_after: bool, want: i64) {
    let mut world = opened(&["A"]);
    world.buy(SHOP, "1", "A", 2);
    world.now += 1_000;
    let as_of = world.now + i64::from(!shipped_after) * 1_000;
    world.now += 500;
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.now += 5_000;
    if !told_after {
        world.push(SHOP, "1");
    }
    count(&mut world, "A", 8, as_of);
    if told_after {
        world.push(SHOP, "1");
    }
    assert_eq!(world.stock("A"), [want, 0, 0], "shipped after {shipped_after}, told after {told_after}");
}

#[test]
fn an_order_that_comes_late_lowers_once_and_only_if_it_left_after_the_count() {
    check_late(false, false, 8);
    check_late(false, true, 8);
    check_late(true, false, 6);
    check_late(true, true, 6);
}

#[test]
fn an_order_older_than_the_opening_that_left_after_it_lowers_too() {
    let mut world = listed(uncounted(), &["A"]);
    world.buy(SHOP, "1", "A", 2);
    world.buy(SHOP, "2", "A", 1);
    world.now += 1_000;
    world.change(SHOP, "2", [1, 0, 0, 1, 0], 0);
    world.now += 1_000;
    let as_of = world.now;
    world.now += 1_000;
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    run(&mut world, ByHand { opening: true, ..by_hand(vec![line("A", 9, as_of)]) });
    world.run(Command::Initialise).expect("initialised");
    world.push(SHOP, "1");
    world.push(SHOP, "2");
    assert_eq!(world.stock("A"), [7, 0, 0]);
    assert!(world.postings().is_empty(), "no ERP is told of orders from before the opening");
}

/// A return that came before or after the as-of, after a feed that was read before or after it -> on hand after a count
/// of eight.
#[track_caller]
fn check_return(after: bool, read_between: bool, want: i64) {
    let mut world = opened(&["A"]);
    world.sell(SHOP, "1", "A", 2);
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    let mut as_of = world.now + 1_000;
    world.now += 10_000;
    if read_between {
        world.feed(SHOP);
        world.now += 10_000;
    }
    if !after {
        world.change(SHOP, "1", [2, 0, 0, 2, 1], 1);
        as_of = world.now + 1_000;
    }
    world.now += 5_000;
    count(&mut world, "A", 8, as_of);
    if after {
        world.change(SHOP, "1", [2, 0, 0, 2, 1], 1);
    }
    world.push(SHOP, "1");
    assert_eq!(world.stock("A"), [want, 0, 0], "after {after}, read between {read_between}");
}

#[test]
fn a_return_raises_only_if_it_surely_came_after_the_count() {
    check_return(true, true, 9);
    check_return(true, false, 8);
    check_return(false, true, 8);
    check_return(false, false, 8);
}

#[test]
fn a_count_of_what_is_free_leaves_out_what_was_promised_then() {
    let mut world = opened(&["A"]);
    world.sell(SHOP, "1", "A", 2);
    world.now += 1_000;
    let as_of = world.now;
    world.now += 1_000;
    world.sell(AMZ, "2", "A", 1);
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    run(&mut world, ByHand { measure: Measure::Free, ..by_hand(vec![line("A", 8, as_of)]) });
    assert_eq!((world.stock("A"), world.available("A")), ([8, 1, 0], 7));
}

#[test]
fn an_older_count_does_not_undo_a_later_one() {
    let mut world = opened(&["A"]);
    let early = world.now;
    world.now += 1_000;
    let late = world.now;
    count(&mut world, "A", 7, late);
    let tally = count(&mut world, "A", 9, early);
    assert_eq!((tally.changed, tally.left_out[0].why.clone()), (0, Why::CountedLater(ms(late))));
    assert_eq!(world.stock("A"), [7, 0, 0]);
    count(&mut world, "A", 6, late);
    assert_eq!(world.stock("A"), [6, 0, 0], "a slip is put right with the same as-of");
}

/// A count -> why it is refused.
#[track_caller]
fn check_refused(count: ByHand, why: &str) {
    let mut world = opened(&["A"]);
    let got = world.run(Command::CountByHand(count)).expect_err("refused").to_string();
    assert!(got.contains(why), "{got}");
}

#[test]
fn what_makes_no_sense_is_refused_as_a_whole() {
    let now = opened(&["A"]).now;
    let with = |lines| by_hand(lines);
    check_refused(with(vec![line("A", -1, now)]), "out of range");
    check_refused(with(vec![line("A", 1, now + 1)]), "future");
    check_refused(with(vec![line("A", 1, now - REACH_MS - 1)]), "older than 7 days");
    check_refused(with(vec![line("A", 1, now), line("A", 2, now)]), "twice");
    let moon = LocationId::new("moon").expect("a name");
    check_refused(with(vec![HandLine { location: moon, ..line("A", 1, now) }]), "location `moon`");
    check_refused(ByHand { opening: true, ..with(vec![line("A", 1, now)]) }, "already");
    let mut world = World::open(&[("A", 10)]);
    let now = world.now;
    let refused = world.run(Command::CountByHand(with(vec![line("A", 1, now)])));
    assert!(matches!(refused, Err(Refused::Wrong(why)) if why.contains("`erp` counts location")));
}

#[test]
fn what_a_channel_keeps_by_itself_is_counted_by_it_alone() {
    let fba = LocationId::new("fba").expect("a name");
    let mut policies = uncounted();
    policies.locations.push(fba.clone());
    policies.channels.get_mut(&ch(AMZ)).expect("configured").own_location = Some(fba.clone());
    let mut world = opened_with(policies, &["A"]);
    let line = HandLine { location: fba.clone(), ..line("A", 5, world.now) };
    let refused = world.run(Command::CountByHand(by_hand(vec![line.clone()])));
    assert!(
        matches!(&refused, Err(Refused::Wrong(why)) if why.contains("`amz` keeps and ships what lies at location `fba`")),
        "{refused:?}"
    );
    let told = ByHand { by: Counter::Channel(ch(AMZ)), ..by_hand(vec![line]) };
    run(&mut world, told);
    let row = &world.state.skus[&sku("A")];
    let place = row.place(&fba).expect("it is stocked");
    assert_eq!(place.opened.as_ref().map(|opened| opened.counter.clone()), Some(Counter::Channel(ch(AMZ))));
    let cause = row.recent.last().map(|booked| booked.entry.cause.clone());
    assert!(matches!(cause, Some(Cause::Count { counter, .. }) if counter == ch(AMZ)));
}

#[test]
fn nothing_rises_at_one_place_while_the_line_for_another_is_left_out() {
    let store = LocationId::new("store").expect("a name");
    let policies = Policies { locations: vec![wh(), store.clone()], ..uncounted() };
    let mut world = opened_with(policies, &["A", "B"]);
    let at_store = |of: &str, units, as_of| HandLine { location: store.clone(), ..line(of, units, as_of) };
    let now = world.now;
    run(&mut world, by_hand(vec![at_store("A", 10, now), at_store("B", 10, now)]));
    world.now += 10_000;
    let (early, late) = (world.now - 5_000, world.now);
    let on_hand = |world: &World, of: &str| {
        let row = &world.state.skus[&sku(of)];
        [wh(), store.clone()].map(|place| row.place(&place).expect("counted").stock.on_hand.units())
    };
    // The store is counted once more; a list from before that says that five units are now in the warehouse.
    run(&mut world, by_hand(vec![at_store("A", 10, late), at_store("B", 10, late)]));
    let moved = |of| [line(of, 15, early), at_store(of, 5, early)];
    let tally = run(&mut world, by_hand(moved("A").into()));
    assert_eq!((on_hand(&world, "A"), tally.changed, tally.up), ([10, 10], 0, 0));
    let why: Vec<Why> = tally.left_out.iter().map(|line| line.why.clone()).collect();
    assert_eq!(why, [Why::CountedLater(ms(late)), Why::Partial]);
    // What falls falls, and another SKU is not concerned.
    let lines = vec![line("A", 8, early), at_store("A", 5, early), line("B", 12, early)];
    let tally = run(&mut world, by_hand(lines));
    assert_eq!((on_hand(&world, "A"), on_hand(&world, "B")), ([8, 10], [12, 10]));
    assert_eq!((tally.changed, tally.left_out.len()), (2, 1));
    // Counted again, both count.
    world.now += 1_000;
    let now = world.now;
    run(&mut world, by_hand(vec![line("A", 15, now), at_store("A", 5, now)]));
    assert_eq!(on_hand(&world, "A"), [15, 5]);
}

#[test]
fn what_a_person_finds_missing_is_no_sale_of_others() {
    let mut world = opened(&["A", "B", "C"]);
    world.sell(SHOP, "1", "A", 4);
    world.now += 1_000;
    let now = world.now;
    count(&mut world, "A", 1, now);
    assert_eq!(world.oversells(), [(3, Class::Physical)]);
}

#[test]
fn a_sku_that_is_not_known_is_left_out() {
    let mut world = opened(&["A"]);
    let now = world.now;
    let tally = run(&mut world, by_hand(vec![line("A", 9, now), line("X", 1, now)]));
    assert_eq!((tally.changed, tally.left_out.len(), tally.left_out[0].why.clone()), (1, 1, Why::NoSku));
}

#[test]
fn the_brake_holds_a_count_and_a_release_replays_what_moved_meanwhile() {
    let returns = Policies { returns: Returns::Quarantine, ..uncounted() };
    let mut world = opened_with(returns, &["A", "B", "C", "D"]);
    world.sell(SHOP, "1", "A", 2);
    world.change(SHOP, "1", [2, 0, 0, 2, 1], 0);
    world.push(SHOP, "1");
    world.now += 1_000;
    assert_eq!(world.stock("A"), [9, 0, 1]);
    let as_of = world.now;
    let lines: Vec<_> = ["A", "B", "C", "D"].iter().map(|of| line(of, 1, as_of)).collect();
    let tally = run(&mut world, by_hand(lines.clone()));
    let id = tally.held.expect("it is held");
    assert_eq!(run(&mut world, by_hand(lines.clone())).held, Some(id), "the same is held once");
    world.now += 1_000;
    let (location, quantity) = (None, Some(q(1)));
    let torn =
        Command::Returned { sku: sku("A"), location, quantity, fate: Fate::Discard, note: String::new() };
    world.run(torn).expect("taken off the books");
    world.sell(SHOP, "2", "B", 1);
    world.change(SHOP, "2", [1, 0, 0, 1, 0], 0);
    world.push(SHOP, "2");
    world.run(Command::Tick).expect("ticks");
    assert!(world.state.alerts.keys().any(|key| key.subject == "@person"), "people are told");
    world.run(Command::Dead { letter: DeadLetter::Count(id), verdict: Verdict::Retry }).expect("released");
    assert_eq!(["A", "B", "C", "D"].map(|of| world.stock(of)[0]), [0, 0, 1, 1]);
    assert!(world.state.held.is_empty());
    let again = lines.into_iter().map(|line| HandLine { quantity: q(10), ..line }).collect();
    let tally = run(&mut world, ByHand { believed: true, ..by_hand(again) });
    assert_eq!((tally.changed, tally.held), (4, None), "whoever has seen what the brake says is believed");
}

#[test]
fn a_request_is_carried_out_once() {
    let mut world = opened_with(Policies { returns: Returns::Quarantine, ..uncounted() }, &["A"]);
    world.sell(SHOP, "1", "A", 4);
    world.change(SHOP, "1", [4, 0, 0, 4, 4], 0);
    world.push(SHOP, "1");
    let request = DeliveryId::new("r1").expect("an id");
    let one = |request: &DeliveryId| {
        let (location, quantity, fate) = (None, Some(q(1)), Fate::Restock);
        let command = Command::Returned { sku: sku("A"), location, quantity, fate, note: String::new() };
        Command::Once { request: request.clone(), command: command.into() }
    };
    assert!(matches!(world.run(one(&request)), Ok(Reply::Returned { .. })));
    assert_eq!(world.run(one(&request)), Ok(Reply::Duplicate));
    assert_eq!(world.stock("A")[2], 3);
    world.run(one(&DeliveryId::new("r2").expect("an id"))).expect("another request");
    assert_eq!(world.stock("A")[2], 2);
    let torn = Command::Once {
        request: DeliveryId::new("r3").expect("an id"),
        command: Command::CountByHand(by_hand(vec![line("A", -1, 0)])).into(),
    };
    assert!(world.run(torn.clone()).is_err());
    assert!(world.run(torn).is_err(), "what was refused was not carried out");
}

#[test]
fn a_bundle_that_left_before_the_count_and_is_told_of_later_lowers_its_components_once() {
    let parts = vec![Part { sku: sku("A"), units: q(2) }];
    let bundles = vec![Recipe { bundle: sku("SET"), parts }];
    let mut world = opened_with(Policies { bundles, ..uncounted() }, &["A"]);
    world.list(SHOP, &["SET"]);
    world.set_shown("SET", SHOP, 5);
    world.buy(SHOP, "1", "SET", 1);
    world.buy(SHOP, "2", "SET", 1);
    world.change(SHOP, "1", [1, 0, 0, 1, 0], 0);
    world.now += 1_000;
    let as_of = world.now;
    world.now += 1_000;
    world.change(SHOP, "2", [1, 0, 0, 1, 0], 0);
    count(&mut world, "A", 8, as_of);
    world.push(SHOP, "1");
    world.push(SHOP, "2");
    assert_eq!(world.stock("A"), [6, 0, 0]);
    let now = world.now;
    assert_eq!(
        count(&mut world, "SET", 1, now).left_out[0].why,
        Why::Bundle("what it is made of, 2 x `A`".into())
    );
}

#[test]
fn a_sku_that_became_part_of_another_is_counted_with_it() {
    let mut world = opened(&["A", "B"]);
    world.buy(SHOP, "1", "B", 2);
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.now += 1_000;
    let counted = world.now;
    count(&mut world, "B", 8, counted);
    world.now += 1_000;
    world.run(Command::Merge { from: sku("B"), into: sku("A") }).expect("merged");
    assert_eq!(world.stock("A"), [18, 0, 0]);
    world.push(SHOP, "1");
    assert!(world.stock("A")[0] <= 18, "never more than there is: {:?}", world.stock("A"));
    let tally = count(&mut world, "A", 18, counted);
    assert!(matches!(tally.left_out[0].why, Why::NotKnown(_)), "what moved of both before is not known");
    world.now += 1_000;
    let now = world.now;
    let twice = by_hand(vec![line("A", 9, now), line("B", 9, now)]);
    assert!(world.run(Command::CountByHand(twice)).expect_err("refused").to_string().contains("twice"));
    assert_eq!(count(&mut world, "B", 18, now).left_out.len(), 0);
    assert_eq!(world.stock("A"), [18, 0, 0]);
    world.index_is_true();
}

#[derive(Debug, Clone)]
enum Op {
    Buy(bool, i64),
    Push(usize),
    /// Moves a unit of an order: cancelled 1, lost 2, shipped 3, returned 4.
    Change(usize, usize),
    Unship(usize),
    Feed(bool),
    Wait(i64),
    /// A person looks at the shelf, and remembers.
    Look,
    /// Takes over what was seen by one of the looks.
    Count(usize),
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<bool>(), 1..4_i64).prop_map(|(c, n)| Op::Buy(c, n)),
        6 => any::<usize>().prop_map(Op::Push),
        9 => (any::<usize>(), prop::sample::select(vec![1, 2, 3, 3, 3, 4, 4])).prop_map(|(n, to)| Op::Change(n, to)),
        1 => any::<usize>().prop_map(Op::Unship),
        3 => any::<bool>().prop_map(Op::Feed),
        4 => prop::sample::select(vec![1, 50, 3_000, 20_000]).prop_map(Op::Wait),
        4 => Just(Op::Look),
        4 => any::<usize>().prop_map(Op::Count),
    ]
}

/// A shelf, what shoppers and staff do with it, and what a person has seen of it.
struct Shelf {
    world: World,
    orders: Vec<(&'static str, String, [i64; 5])>,
    units: i64,
    looks: Vec<(i64, i64)>,
}

impl Shelf {
    fn new() -> Shelf {
        Shelf { world: listed(uncounted(), &["A"]), orders: Vec::new(), units: 30, looks: Vec::new() }
    }

    fn step(&mut self, op: Op) {
        // Two things never happen at the same moment.
        self.world.now += 1;
        match op {
            Op::Buy(first, units) => {
                let (channel, order) = (channel(first), format!("o{}", self.orders.len()));
                self.world.buy(channel, &order, "A", units);
                self.orders.push((channel, order, [units, 0, 0, 0, 0]));
            }
            Op::Push(n) => {
                if let Some((channel, order, _)) = self.pick(n) {
                    self.world.push(channel, &order);
                }
            }
            Op::Change(n, to) => self.change(n, to, 1),
            Op::Unship(n) => {
                // Told at once: of a parcel that came back and left again, its end alone would say nothing.
                self.change(n, 3, -1);
                if let Some((channel, order, _)) = self.pick(n) {
                    self.world.push(channel, &order);
                }
            }
            Op::Feed(first) => self.world.feed(channel(first)),
            Op::Wait(millis) => self.world.now += millis,
            Op::Look => self.looks.push((self.world.now, self.units)),
            Op::Count(n) => {
                if let Some((as_of, units)) = self.looks.get(n % self.looks.len().max(1)).copied() {
                    count(&mut self.world, "A", units, as_of);
                }
            }
        }
    }

    fn pick(&self, n: usize) -> Option<(&'static str, String, [i64; 5])> {
        self.orders.get(n % self.orders.len().max(1)).cloned()
    }

    fn change(&mut self, n: usize, to: usize, by: i64) {
        let Some((channel, order, mut units)) = self.pick(n) else { return };
        let open = units[0] - units[1] - units[2] - units[3];
        if (if to == 4 || by < 0 { units[3] - units[4] } else { open }) <= 0 {
            return;
        }
        units[to] += by;
        self.units += match to {
            2 | 3 => -by,
            4 => 1,
            _ => 0,
        };
        self.world.change(channel, &order, units, 0);
        let at = n % self.orders.len();
        self.orders[at].2 = units;
    }

    /// Opens with the latest look, or with one made now.
    fn open(&mut self) {
        if self.looks.is_empty() {
            self.step(Op::Look);
        }
        let (as_of, units) = *self.looks.last().expect("looked");
        run(&mut self.world, ByHand { opening: true, ..by_hand(vec![line("A", units, as_of)]) });
        self.world.run(Command::Initialise).expect("initialised");
    }

    /// Everything is told: the ledger never has more than there is, and the next count makes it true.
    fn check(mut self) {
        self.world.now += 100_000;
        self.world.feed(SHOP);
        self.world.feed(AMZ);
        let open: i64 = self.orders.iter().map(|(.., t)| t[0] - t[1] - t[2] - t[3]).sum();
        let [on_hand, committed, reserved] = self.world.stock("A");
        assert_eq!((committed, reserved), (open, 0));
        assert!(on_hand <= self.units, "{on_hand} on hand, and {} on the shelf", self.units);
        self.step(Op::Look);
        self.step(Op::Count(self.looks.len() - 1));
        assert_eq!(self.world.stock("A"), [self.units, open, 0]);
        self.world.index_is_true();
    }
}

fn channel(first: bool) -> &'static str {
    if first { SHOP } else { AMZ }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn counts_by_hand_of_any_moment_never_leave_more_in_the_ledger_than_on_the_shelf(
        before in prop::collection::vec(any_op(), 0..25),
        after in prop::collection::vec(any_op(), 0..80),
    ) {
        let mut shelf = Shelf::new();
        before.into_iter().filter(|op| !matches!(op, Op::Count(_))).for_each(|op| shelf.step(op));
        shelf.open();
        after.into_iter().for_each(|op| shelf.step(op));
        shelf.check();
    }
}

#[test]
fn a_held_count_of_places_that_were_all_counted_later_asks_nobody_any_more() {
    let names = ["A", "B", "C", "D"];
    let mut world = opened(&names);
    let held = names.iter().map(|of| line(of, 1, world.now)).collect();
    assert!(run(&mut world, by_hand(held)).held.is_some());
    world.now += 1_000;
    for (n, of) in names.iter().enumerate() {
        assert_eq!(world.state.held.len(), 1, "{n} of them were counted since");
        let as_of = world.now;
        count(&mut world, of, 9, as_of);
    }
    assert!(world.state.held.is_empty());
    world.run(Command::Tick).expect("ticks");
    assert!(world.state.alerts.values().all(|alert| !alert.firing));
}

/// An order of two units is shipped, and one comes back at 5,000 after the opening; its SKU is told only later, after a person has
/// counted as of a moment after the opening -> on hand. The channel's orders are read on and on.
#[track_caller]
fn check_mapped_after(as_of: i64, counted: i64, want: i64) {
    let mut world = opened(&["A"]);
    let opened = world.now;
    let odd = ids(&[(IdKind::Sku, "odd")]);
    let mut told = placed("1", opened, &[(odd.clone(), [2, 0, 0, 2, 1])]);
    told.version = ms(opened + 5_000);
    world.now += 20_000;
    world.market(SHOP).place(told);
    world.feed(SHOP);
    world.now += 100_000;
    count(&mut world, "A", counted, opened + as_of);
    world.now += 100_000;
    world.feed(SHOP);
    let row = MappingRow { sku: sku("A"), channel: ch(SHOP), ids: odd };
    world.run(Command::Map { rows: vec![row] }).expect("maps");
    assert_eq!(world.stock("A"), [want, 0, 0], "counted {counted} as of {as_of}");
}

#[test]
fn what_came_back_long_before_its_sku_was_known_was_in_the_count() {
    // After all of it, and in the midst of it: what came back may have lain there, so no more is there than surely.
    check_mapped_after(60_000, 9, 9);
    check_mapped_after(2_000, 8, 6);
    check_mapped_after(-500, 10, 9);
}

#[test]
fn what_came_back_before_its_order_was_rebound_is_in_a_count_of_before_that() {
    let mut world = opened(&["A", "B"]);
    world.sell(SHOP, "1", "A", 2);
    world.now += 1_000;
    world.change(SHOP, "1", [2, 0, 0, 2, 1], 0);
    world.feed(SHOP);
    let as_of = world.now + 1_000;
    world.now += 100_000;
    world.feed(SHOP);
    let ids = ids(&[(IdKind::InventoryItem, "i-A")]);
    world.run(Command::Rebind { channel: ch(SHOP), ids, sku: sku("B") }).expect("rebinds");
    // The shelf held nine of B: what came back lay there.
    count(&mut world, "B", 9, as_of);
    assert_eq!(world.stock("B"), [9, 0, 0]);
}

#[test]
fn an_order_that_was_cancelled_before_its_sku_was_known_takes_nothing_off_a_count_of_what_is_free() {
    for rebound in [false, true] {
        let mut world = opened(&["A", "B"]);
        let odd = ids(&[(IdKind::Sku, "odd")]);
        let bought = if rebound { World::ids_of(SHOP, "A") } else { odd.clone() };
        let mut told = placed("1", world.now, &[(bought, [2, 2, 0, 0, 0])]);
        told.version = ms(world.now + 5_000);
        world.now += 20_000;
        world.market(SHOP).place(told);
        world.feed(SHOP);
        world.now += 100_000;
        let now = world.now;
        run(&mut world, ByHand { measure: Measure::Free, ..by_hand(vec![line("B", 10, now)]) });
        world.now += 100_000;
        world.feed(SHOP);
        if rebound {
            let ids = ids(&[(IdKind::InventoryItem, "i-A")]);
            world.run(Command::Rebind { channel: ch(SHOP), ids, sku: sku("B") }).expect("rebinds");
        } else {
            let row = MappingRow { sku: sku("B"), channel: ch(SHOP), ids: odd };
            world.run(Command::Map { rows: vec![row] }).expect("maps");
        }
        assert_eq!(world.stock("B"), [10, 0, 0], "rebound {rebound}");
    }
}

/// An order that changes in the minutes that Amazon leaves out of a list is not on it, whatever it had done before.
#[test]
fn what_came_back_of_an_order_that_a_list_left_out_is_in_the_count_of_then() {
    let mut world = opened(&["A"]);
    world.sell(AMZ, "1", "A", 3);
    world.now += 1_000;
    world.change(AMZ, "1", [3, 0, 0, 1, 0], 0);
    world.feed(AMZ);
    world.now += 10_000;
    world.change(AMZ, "1", [3, 0, 0, 1, 1], 0);
    let as_of = world.now + 5_000;
    world.now += 60_000;
    let (begun, begun_at) = (world.state.seq, ms(world.now));
    let fed = Command::Fed { channel: ch(AMZ), begun, begun_at, through: ms(world.now - 1) };
    world.run(fed).expect("a list without it");
    world.change(AMZ, "1", [3, 0, 0, 2, 1], 0);
    world.now += 1_000;
    count(&mut world, "A", 10, as_of);
    world.feed(AMZ);
    assert_eq!(world.stock("A"), [9, 1, 0], "one is shipped since, and the one that came back was counted");
}

#[test]
fn a_count_of_before_a_transfer_says_what_is_taken_off_and_what_is_not_added() {
    let store = LocationId::new("store").expect("a name");
    let policies = Policies { locations: vec![wh(), store.clone()], ..uncounted() };
    let mut world = opened_with(policies, &["A"]);
    let at_store = |units, as_of| HandLine { location: store.clone(), ..line("A", units, as_of) };
    let before = world.now;
    run(&mut world, by_hand(vec![at_store(2, before)]));
    world.now += 60_000;
    let goes = What::Move { sku: sku("A"), quantity: q(4), from: wh(), to: store.clone() };
    let ask = Ask { rows: vec![Row { line: None, what: goes }], ..Ask::default() };
    world.run(Command::Intend(Box::new(ask))).expect("opened");
    for _ in 0..100 {
        for channel in [SHOP, AMZ] {
            world.lane(channel, &mut || Luck::Fine);
            world.feed(channel);
        }
        world.now += 60_000;
        world.run(Command::Tick).expect("ticks");
    }
    let on_hand = |world: &World| {
        let row = &world.state.skus[&sku("A")];
        [wh(), store.clone()].map(|place| row.place(&place).expect("counted").stock.on_hand.units())
    };
    assert_eq!(on_hand(&world), [6, 6], "it has arrived");
    let tally = run(&mut world, by_hand(vec![line("A", 10, before), at_store(2, before)]));
    assert_eq!(on_hand(&world), [6, 2], "what came may have been counted, and nothing is sold twice");
    let left = Transferred { left: q(4), came: q(0) };
    let came = Transferred { left: q(0), came: q(4) };
    assert_eq!(tally.transferred, vec![(sku("A"), wh(), left), (sku("A"), store.clone(), came)]);
    // What was counted after it has it.
    let now = world.now;
    let tally = run(&mut world, by_hand(vec![line("A", 6, now), at_store(6, now)]));
    assert_eq!((on_hand(&world), tally.transferred), ([6, 6], vec![]));
}

#[test]
fn the_brake_measures_stocks_against_stocks_and_names_the_location_that_is_emptied() {
    let store = LocationId::new("store").expect("a name");
    let policies = Policies { locations: vec![wh(), store.clone()], ..uncounted() };
    let skus = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
    let mut world = opened_with(policies, &skus);
    let at_store = |of: &str, units, as_of| HandLine { location: store.clone(), ..line(of, units, as_of) };
    let now = world.now;
    run(&mut world, by_hand(skus.iter().map(|of| at_store(of, 10, now)).collect()));
    let opened = world.state.index.opened();
    assert_eq!((opened.skus(), opened.stocks(), opened.at(&store), opened.at(&wh())), (10, 20, 10, 10));
    let mut anew = world.state.clone();
    Index::rebuild(&mut anew);
    assert_eq!(anew.index, world.state.index);

    // What is emptied in the warehouse, and in the store.
    let zeros = |world: &mut World, here: usize, there: usize| {
        world.now += 1_000;
        let now = world.now;
        let mut lines: Vec<HandLine> = skus.iter().take(here).map(|of| line(of, 0, now)).collect();
        lines.extend(skus.iter().take(there).map(|of| at_store(of, 0, now)));
        let tally = run(world, by_hand(lines));
        (tally.held.is_some(), tally.brake)
    };
    let both = "it would set 6 of 20 stocks (a SKU at a location) to zero";
    assert_eq!(zeros(&mut world, 3, 3), (true, Some(both.to_owned())));
    let one = "at `store` it would set 3 of 10 SKUs to zero";
    assert_eq!(
        zeros(&mut world, 0, 3),
        (true, Some(one.to_owned())),
        "15 percent of all, and 30 of the store"
    );
    assert_eq!(
        zeros(&mut world, 2, 2),
        (false, None),
        "a fifth of all stocks, though of two fifths of all SKUs"
    );
}
