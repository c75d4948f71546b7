//! Orders that are open when the stock is opened, and those that came in while nothing was written: nobody knows whether
//! an ERP has them already.

use super::world::*;
use crate::{
    core::{
        Command,
        command::{ByHand, Count, DeadLetter, HandLine, Verdict},
        order::Order,
        posting::{IN_SHADOW, OLDER, STILL, Step, in_shadow},
    },
    model::{
        Counter, IdKind, Measure, OrderSnapshot, Policies,
        policy::{self, Mode},
    },
};

/// One SKU of ten units in the ERP, and an order of the shop that nobody has told the ERP of, as it was before.
pub(super) fn opened(measure: Measure, units: [i64; 5], early: bool) -> World {
    let mut policies = policies();
    policies.channels.get_mut(&ch(ERP)).expect("configured").abilities.counts = Some(measure);
    let mut world = World::bare(policies);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    let old = old(units, ms(world.now));
    world.now += 1_000;
    if early {
        world.push_snapshot(SHOP, old.clone());
    }
    let count = Count { opening: true, measure, ..world.count_of(ERP, &[("A", 10)]) };
    world.run(Command::Count(count)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    world.now += 1_000;
    world.push_snapshot(SHOP, old);
    world
}

fn old(units: [i64; 5], version: crate::model::Timestamp) -> OrderSnapshot {
    let order = placed("1", 10, &[(World::ids_of(SHOP, "A"), units)]);
    OrderSnapshot { version, ..order }
}

/// The shop tells what became of the order.
pub(super) fn tell(world: &mut World, units: [i64; 5]) {
    world.now += 1_000;
    let told = old(units, ms(world.now));
    world.push_snapshot(SHOP, told);
}

/// The ERP is read, and tells this.
pub(super) fn count(world: &mut World, measure: Measure, units: i64) {
    world.now += 1_000;
    let count = Count { measure, ..world.count_of(ERP, &[("A", units)]) };
    world.run(Command::Count(count)).expect("counted");
}

pub(super) fn answer(world: &mut World, verdict: Verdict) {
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict }).expect("a person is asked");
}

fn step(world: &World) -> Step {
    world.state.orders[&key(SHOP, "1")].posting(&ch(ERP)).expect("the ERP is told of it").step.clone()
}

fn asked(why: &str) -> Step {
    Step::Parked { reason: why.to_owned() }
}

/// Whether the ERP tells what is on hand or what is free, and whether the order was read before it or after.
const ALL: [(Measure, bool); 4] =
    [(Measure::OnHand, true), (Measure::OnHand, false), (Measure::Free, true), (Measure::Free, false)];

#[test]
fn what_an_open_order_ships_does_not_come_back_with_the_next_count() {
    for (measure, early) in ALL {
        let mut world = opened(measure, [2, 0, 0, 0, 0], early);
        assert_eq!(world.stock("A"), [10, 2, 0], "{measure:?} {early}");
        assert_eq!(step(&world), asked(OLDER));
        assert!(world.postings().is_empty(), "nothing is posted before a person has said so");
        count(&mut world, measure, 10);
        assert_eq!(world.available("A"), 8);
        tell(&mut world, [2, 0, 0, 2, 0]);
        assert_eq!(world.stock("A"), [8, 0, 0]);
        // The ERP was not told: its ten are ours of before the shipment.
        count(&mut world, measure, 10);
        assert_eq!(world.stock("A"), [8, 0, 0], "{measure:?} {early}");
    }
}

#[test]
fn an_open_order_that_the_erp_lacks_is_posted_when_a_person_says_so() {
    for (measure, early) in ALL {
        let mut world = opened(measure, [5, 0, 0, 2, 1], early);
        assert_eq!(world.stock("A"), [10, 3, 0], "what was over by the opening is in the count");
        answer(&mut world, Verdict::Retry);
        let posting = world.postings().remove(0);
        assert_eq!(posting.lines[0].target, totals([3, 0, 0, 0, 0]), "only what is open");
        world.posted(&posting, crate::model::Outcome::Applied);
        tell(&mut world, [5, 0, 0, 5, 2]);
        assert_eq!(world.stock("A"), [8, 0, 0]);
        let posting = world.postings().remove(0);
        assert_eq!(posting.lines[0].target, totals([3, 0, 0, 3, 1]));
        world.posted(&posting, crate::model::Outcome::Applied);
        count(&mut world, measure, 8);
        assert_eq!(world.stock("A"), [8, 0, 0], "{measure:?} {early}");
    }
}

#[test]
fn an_open_order_that_the_erp_has_by_other_hands_is_left_to_them() {
    for (measure, early) in ALL {
        let mut world = opened(measure, [2, 0, 0, 0, 0], early);
        answer(&mut world, Verdict::Discard);
        assert_eq!(step(&world), Step::Watched);
        // A free count is without it; the other one still holds it.
        let open = if measure == Measure::Free { 8 } else { 10 };
        count(&mut world, measure, open);
        assert_eq!(world.available("A"), 8, "{measure:?} {early}");
        // People have shipped it there by the time that the shop tells.
        tell(&mut world, [2, 0, 0, 2, 0]);
        count(&mut world, measure, 8);
        assert_eq!(world.stock("A"), [8, 0, 0], "{measure:?} {early}");
        assert!(world.postings().is_empty());
        assert_eq!(step(&world), Step::Watched, "whatever becomes of it");
        let again = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
        assert!(world.run(Command::Dead { letter: again, verdict: Verdict::Retry }).is_err());
    }
}

#[test]
fn nobody_is_asked_about_an_order_that_was_over_by_the_opening() {
    for (measure, early) in ALL {
        let mut world = opened(measure, [3, 1, 0, 2, 0], early);
        let posting = world.state.orders[&key(SHOP, "1")].posting(&ch(ERP)).cloned();
        assert!(posting.is_none_or(|posting| posting.step == Step::Done), "{measure:?} {early}");
        assert_eq!(world.stock("A"), [10, 0, 0]);
        // Of a late return it may be told by those who told it of the sale.
        tell(&mut world, [3, 1, 0, 2, 1]);
        assert_eq!(world.stock("A"), [11, 0, 0]);
        assert_eq!(step(&world), asked(OLDER));
        answer(&mut world, Verdict::Retry);
        let posting = world.postings().remove(0);
        assert_eq!(posting.lines[0].target, totals([0, 0, 0, 0, 1]));
        world.posted(&posting, crate::model::Outcome::Applied);
        count(&mut world, measure, 11);
        assert_eq!(world.stock("A"), [11, 0, 0]);
    }
}

/// An order that came in while nothing was written, and is live now.
fn shadowed() -> World {
    let shadow = Policies { mode: Mode::Shadow, ..policies() };
    let mut world = World::bare(shadow);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    let count = Count { opening: true, ..world.count_of(ERP, &[("A", 10)]) };
    world.run(Command::Count(count)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    world.now += 1_000;
    world.sell(SHOP, "1", "A", 2);
    assert!(world.postings().is_empty());
    assert_eq!(step(&world), Step::Pending, "in shadow nobody is asked");
    world.run(Command::Configure(Box::new(policies()))).expect("goes live");
    world
}

#[test]
fn what_came_in_in_shadow_is_asked_about_when_it_is_over() {
    let mut world = shadowed();
    assert!(world.postings().is_empty());
    assert_eq!(step(&world), asked(IN_SHADOW));
    // Records of older releases do not tell why nothing was written.
    assert_eq!(in_shadow(&Order::default()), STILL);
    answer(&mut world, Verdict::Retry);
    assert_eq!(world.postings().len(), 1);

    let mut world = shadowed();
    assert!(world.postings().is_empty());
    answer(&mut world, Verdict::Discard);
    count(&mut world, Measure::OnHand, 10);
    assert_eq!(world.stock("A"), [10, 2, 0]);
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    count(&mut world, Measure::OnHand, 8);
    assert_eq!(world.stock("A"), [8, 0, 0]);
    assert_eq!(step(&world), Step::Watched);
    // One that comes in from here on is posted.
    world.sell(SHOP, "2", "A", 1);
    assert_eq!(world.postings().len(), 1);
}

#[test]
fn what_was_known_before_the_count_was_read_is_older_whatever_the_clocks_say() {
    let mut world = World::bare(policies());
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    let sold = placed("1", world.now, &[(World::ids_of(SHOP, "A"), [2, 0, 0, 1, 0])]);
    world.push_snapshot(SHOP, sold);
    // The clock of the ERP is a minute slow.
    let slow = ms(world.now - 60_000);
    let count = Count { opening: true, as_of: slow, ..world.count_of(ERP, &[("A", 10)]) };
    world.run(Command::Count(count)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    assert_eq!(world.stock("A"), [10, 1, 0]);
    assert_eq!(step(&world), asked(OLDER));
}

#[test]
fn an_order_that_came_in_while_the_count_was_read_and_was_placed_after_it_is_a_sale() {
    let mut world = World::bare(policies());
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    let read = Count { opening: true, ..world.count_of(ERP, &[("A", 10)]) };
    world.now += 1_000;
    let sold = placed("1", world.now, &[(World::ids_of(SHOP, "A"), [2, 0, 0, 0, 0])]);
    world.push_snapshot(SHOP, sold);
    world.run(Command::Count(read)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    assert_eq!(world.stock("A"), [10, 2, 0]);
    assert_eq!(world.postings().len(), 1);
}

/// Ten units, counted now, perhaps after the shop's orders were read. Returns the moment.
fn counted(read: bool) -> (World, i64) {
    let mut world = World::bare(policies());
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    if read {
        world.feed(SHOP);
    }
    let count = Count { opening: true, ..world.count_of(ERP, &[("A", 10)]) };
    world.run(Command::Count(count)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    let opened = world.now;
    world.now += 1_000;
    (world, opened)
}

/// The shop tells of an order that was placed so long before the opening, as it was at these moments, counted from it.
#[track_caller]
fn check_told(placed_at: i64, told: &[(i64, [i64; 5])], stock: [i64; 3], news: [i64; 5]) {
    check_told_by(true, placed_at, told, stock, news);
}

/// Like [`check_told`]. `read`: the shop's orders were read for the opening, and it was not among them.
#[track_caller]
fn check_told_by(read: bool, placed_at: i64, told: &[(i64, [i64; 5])], stock: [i64; 3], news: [i64; 5]) {
    let (mut world, opened) = counted(read);
    for (version, units) in told {
        let order = placed("1", opened + placed_at, &[(World::ids_of(SHOP, "A"), *units)]);
        world.push_snapshot(SHOP, OrderSnapshot { version: ms(opened + version), ..order });
    }
    assert_eq!(world.stock("A"), stock);
    let posting = world.state.posting(&ch(ERP), &key(SHOP, "1"));
    let target = posting.map(|(posting, _)| posting.lines[0].target).unwrap_or_default();
    assert_eq!(target, totals(news), "what is news to the ERP");
}

#[test]
fn what_was_over_by_the_opening_is_in_the_count_whenever_it_is_told() {
    let (open, shipped) = ([2, 0, 0, 0, 0], [2, 0, 0, 2, 0]);
    check_told(-100_000, &[(-100_000, open)], [10, 2, 0], open);
    // A late webhook tells how it was before; the next one that it was shipped by then.
    check_told(-100_000, &[(-100_000, open), (-50_000, shipped)], [10, 0, 0], [0; 5]);
    check_told(-100_000, &[(-50_000, shipped)], [10, 0, 0], [0; 5]);
    check_told(-100_000, &[(-100_000, open), (50_000, shipped)], [8, 0, 0], shipped);
    // One that is first heard of when it is shipped, and was placed so shortly before that no read can have told of it, was
    // shipped since.
    check_told(-10_000, &[(50_000, shipped)], [8, 0, 0], shipped);
    // A till sells and hands over at once; a tag is added later.
    check_told(-300_000, &[(30_000, shipped)], [10, 0, 0], [0; 5]);
    // Of an old one that something becomes of now, that is not known: it was over.
    check_told(-900_000_000, &[(50_000, [2, 0, 0, 2, 1])], [10, 0, 0], [0; 5]);
    check_told(-900_000_000, &[(50_000, shipped), (60_000, [2, 0, 0, 2, 1])], [11, 0, 0], [0, 0, 0, 0, 1]);
}

#[test]
fn where_no_read_can_have_told_of_an_order_it_was_open_at_the_opening() {
    let (open, shipped, old) = ([2, 0, 0, 0, 0], [2, 0, 0, 2, 0], -900_000_000);
    check_told_by(false, old, &[(50_000, shipped)], [8, 0, 0], shipped);
    check_told_by(false, old, &[(50_000, [2, 0, 0, 2, 1])], [9, 0, 0], [2, 0, 0, 2, 1]);
    check_told_by(false, old, &[(50_000, [2, 1, 0, 1, 0])], [9, 0, 0], [2, 1, 0, 1, 0]);
    check_told_by(false, old, &[(30_000, open), (50_000, shipped)], [8, 0, 0], shipped);
    // What has not changed since was over, whoever read it when.
    check_told_by(false, old, &[(-50_000, shipped)], [10, 0, 0], [0; 5]);
    check_told_by(false, old, &[(-50_000, shipped), (50_000, [2, 0, 0, 2, 1])], [11, 0, 0], [0, 0, 0, 0, 1]);
    // The first read after the opening tells of it.
    let (mut world, opened) = counted(false);
    let order = placed("1", opened + old, &[(World::ids_of(SHOP, "A"), shipped)]);
    world.market(SHOP).place(OrderSnapshot { version: ms(opened + 500), ..order });
    world.feed(SHOP);
    assert_eq!(world.stock("A"), [8, 0, 0]);
    // What a read did not tell of was over by then, for all that is known.
    world.now += 60_000;
    let order = placed("2", opened + old, &[(World::ids_of(SHOP, "A"), shipped)]);
    let version = ms(world.now);
    world.push_snapshot(SHOP, OrderSnapshot { version, ..order });
    assert_eq!(world.stock("A"), [8, 0, 0]);
}

/// What the ERP counts of an order that it was not told of, and what it does not, is off once.
#[test]
fn what_was_shipped_unheard_since_the_opening_is_taken_off_once_whatever_the_erp_knows() {
    for (verdict, counts) in
        [(None, 10), (Some(Verdict::Retry), 8), (Some(Verdict::Discard), 8), (Some(Verdict::Discard), 10)]
    {
        let (mut world, opened) = counted(false);
        let order = placed("1", opened - 300_000, &[(World::ids_of(SHOP, "A"), [2, 0, 0, 2, 0])]);
        world.push_snapshot(SHOP, OrderSnapshot { version: ms(opened + 500), ..order });
        assert_eq!(world.stock("A"), [8, 0, 0]);
        assert!(world.postings().is_empty());
        assert_eq!(step(&world), asked(OLDER));
        if let Some(verdict) = verdict {
            answer(&mut world, verdict);
        }
        world.post_all();
        count(&mut world, Measure::OnHand, counts);
        // Others have booked it, if one says so: then the ERP is believed.
        let left = if verdict == Some(Verdict::Discard) { counts } else { 8 };
        assert_eq!(world.stock("A"), [left, 0, 0], "{verdict:?} {counts}");
    }
}

/// Ten units that a person has counted, no ERP counting, and an order that was placed five minutes before.
#[track_caller]
fn check_by_hand(read: bool, told: &[(i64, [i64; 5])], stock: [i64; 3]) {
    let mut policies = policies();
    policies.channels.get_mut(&ch(ERP)).expect("configured").abilities.counts = None;
    let mut world = World::bare(policies);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    if read {
        world.feed(SHOP);
    }
    let (sku, location, quantity, note) = (sku("A"), wh(), crate::model::Quantity::new(10), String::new());
    let opened = world.now;
    let line = HandLine { sku, location, quantity, as_of: ms(opened), note, line: None };
    let (by, measure) = (Counter::Person, Measure::OnHand);
    let count = ByHand { by, measure, lines: vec![line], opening: true, believed: false };
    world.run(Command::CountByHand(count)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    world.now += 100_000;
    for (version, units) in told {
        let order = placed("1", opened - 300_000, &[(World::ids_of(SHOP, "A"), *units)]);
        world.push_snapshot(SHOP, OrderSnapshot { version: ms(opened + version), ..order });
    }
    assert_eq!(world.stock("A"), stock, "read: {read}");
}

#[test]
fn what_was_shipped_since_a_person_opened_the_stock_is_taken_off_once() {
    let (open, shipped) = ([2, 0, 0, 0, 0], [2, 0, 0, 2, 0]);
    for read in [true, false] {
        check_by_hand(read, &[(-100_000, open)], [10, 2, 0]);
        check_by_hand(read, &[(50_000, shipped)], [8, 0, 0]);
        check_by_hand(read, &[(-100_000, open), (50_000, shipped)], [8, 0, 0]);
        check_by_hand(read, &[(50_000, shipped), (60_000, [2, 0, 0, 2, 1])], [9, 0, 0]);
        check_by_hand(read, &[(-50_000, shipped)], [10, 0, 0]);
    }
}

/// An order whose line had no SKU at the opening is told so then, and so later; and then it is mapped.
#[track_caller]
fn check_mapped(before: [i64; 5], later: Option<[i64; 5]>, stock: [i64; 3]) {
    let mut world = World::bare(policies());
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    let odd = ids(&[(IdKind::Sku, "odd")]);
    let placed_at = world.now - 300_000;
    let told = |world: &World, units| OrderSnapshot {
        version: ms(world.now),
        ..placed("1", placed_at, &[(odd.clone(), units)])
    };
    let first = told(&world, before);
    world.market(SHOP).place(first);
    world.feed(SHOP);
    world.now += 60_000;
    let opening = Count { opening: true, ..world.count_of(ERP, &[("A", 10)]) };
    world.run(Command::Count(opening)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    world.now += 60_000;
    if let Some(units) = later {
        let told = told(&world, units);
        world.push_snapshot(SHOP, told);
    }
    let row = policy::MappingRow { sku: sku("A"), channel: ch(SHOP), ids: odd.clone() };
    world.run(Command::Map { rows: vec![row] }).expect("maps");
    world.run(Command::Tick).expect("rechecks");
    assert_eq!(world.stock("A"), stock, "{before:?} {later:?}");
}

/// A thing sells for a month without a SKU; then the ERP has it, and counts it for the first time, and only after that it is
/// mapped. Shipped so many days after the shop was opened -> the stock.
#[track_caller]
fn check_new(shipped_on: i64, stock: [i64; 3]) {
    const DAY: i64 = 24 * 3_600_000;
    let (mut world, opened) = counted(true);
    let odd = ids(&[(IdKind::Sku, "odd")]);
    let told = |day: i64, units| {
        let order = placed("1", opened + 20 * DAY, &[(odd.clone(), units)]);
        OrderSnapshot { version: ms(opened + day * DAY), ..order }
    };
    world.now = opened + 20 * DAY;
    world.push_snapshot(SHOP, told(20, [2, 0, 0, 0, 0]));
    if shipped_on < 30 {
        world.now = opened + shipped_on * DAY;
        world.push_snapshot(SHOP, told(shipped_on, [2, 0, 0, 2, 0]));
    }
    world.now = opened + 30 * DAY;
    world.list(ERP, &["A", "N"]);
    let first = world.count_of(ERP, &[("N", 10)]);
    world.run(Command::Count(first)).expect("counts");
    if shipped_on > 30 {
        world.now = opened + shipped_on * DAY;
        world.push_snapshot(SHOP, told(shipped_on, [2, 0, 0, 2, 0]));
    }
    world.now = opened + 32 * DAY;
    world.feed(SHOP);
    let row = policy::MappingRow { sku: sku("N"), channel: ch(SHOP), ids: odd.clone() };
    world.run(Command::Map { rows: vec![row] }).expect("maps");
    world.run(Command::Tick).expect("rechecks");
    assert_eq!(world.stock("N"), stock, "shipped on day {shipped_on}");
}

#[test]
fn what_left_before_the_first_count_of_its_sku_is_in_it_and_what_left_after_it_is_not() {
    check_new(25, [10, 0, 0]);
    check_new(31, [8, 0, 0]);
}

#[test]
fn what_had_no_sku_at_the_opening_and_left_since_is_taken_off_when_it_has_one() {
    let (open, shipped) = ([2, 0, 0, 0, 0], [2, 0, 0, 2, 0]);
    check_mapped(open, None, [10, 2, 0]);
    check_mapped(open, Some(shipped), [8, 0, 0]);
    check_mapped(shipped, None, [10, 0, 0]);
}
