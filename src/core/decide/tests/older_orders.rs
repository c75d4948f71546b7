//! What counts as older than the opening stock, and what of it was over by then, where clocks, places and SKUs are not plain.

use super::{outlets, world::*};
use crate::{
    core::{
        Command, Record, Refused,
        command::{Count, DeadLetter, Reply, Verdict},
        posting::{RESTORED, Step},
    },
    model::{CountLine, IdKind, LocationId, OrderSnapshot, Outcome, Policies, policy, policy::Mode},
};

const HOUR: i64 = 3_600_000;
const OPEN: [i64; 5] = [2, 0, 0, 0, 0];
const SHIPPED: [i64; 5] = [2, 0, 0, 2, 0];

fn bare(policies: Policies, skus: &[&str]) -> World {
    let mut world = World::bare(policies);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, skus);
    }
    world
}

/// The ERP counts, and the stock is open.
fn open(world: &mut World, lines: &[(&str, i64)]) {
    let count = Count { opening: true, ..world.count_of(ERP, lines) };
    opened_by(world, count);
}

fn opened_by(world: &mut World, count: Count) {
    world.run(Command::Count(count)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
}

/// Order 1 of A, as it was at a moment.
fn order(placed_at: i64, version: i64, units: [i64; 5]) -> OrderSnapshot {
    let order = placed("1", placed_at, &[(World::ids_of(SHOP, "A"), units)]);
    OrderSnapshot { version: ms(version), ..order }
}

fn tell(world: &mut World, placed_at: i64, units: [i64; 5]) {
    let told = order(placed_at, world.now, units);
    world.push_snapshot(SHOP, told);
}

fn step(world: &World) -> Step {
    world.state.orders[&key(SHOP, "1")].posting(&ch(ERP)).expect("the ERP is told").step.clone()
}

/// What the ERP is to hold of the order, of all SKUs and places together.
fn target(world: &World) -> crate::model::Totals {
    let posting = world.state.posting(&ch(ERP), &key(SHOP, "1"));
    let lines = posting.map(|(posting, _)| posting.lines).unwrap_or_default();
    lines
        .iter()
        .fold(Default::default(), |sum: crate::model::Totals, line| sum.plus(line.target).expect("small"))
}

#[test]
fn a_sale_that_came_in_while_the_count_was_read_is_none_of_it_however_early_its_page_was_asked_for() {
    let mut world = bare(policies(), &["A"]);
    let (begun, read) = (world.state.seq, world.count_of(ERP, &[("A", 10)]));
    world.now += 20_000;
    let orders = vec![order(world.now, world.now, SHIPPED)];
    world.run(Command::Orders { channel: ch(SHOP), begun, orders }).expect("read");
    opened_by(&mut world, Count { opening: true, ..read });
    assert_eq!(world.stock("A"), [8, 0, 0]);
    assert_eq!(target(&world), totals(SHIPPED));
}

#[test]
fn an_order_stays_known_from_when_it_was_first_heard_of() {
    let mut world = bare(policies(), &["A"]);
    let placed_at = world.now;
    tell(&mut world, placed_at, [2, 0, 0, 1, 0]);
    // The ERP's clock is a minute slow, and the order is told again while it is read.
    let slow = Count { opening: true, as_of: ms(world.now - 60_000), ..world.count_of(ERP, &[("A", 10)]) };
    world.now += 1_000;
    tell(&mut world, placed_at, [2, 0, 0, 1, 0]);
    opened_by(&mut world, slow);
    assert_eq!(world.stock("A"), [10, 1, 0]);
    assert!(matches!(step(&world), Step::Parked { .. }));
}

/// The ERP's clock is a minute fast; the order ships half a minute after the opening. `early`: it was read before.
#[track_caller]
fn check_fast(early: bool) {
    let mut world = bare(policies(), &["A"]);
    let placed_at = world.now - HOUR;
    let count = |world: &World| Count {
        opening: true,
        as_of: ms(world.now + 60_000),
        ..world.count_of(ERP, &[("A", 10)])
    };
    if early {
        tell(&mut world, placed_at, OPEN);
    }
    let fast = count(&world);
    opened_by(&mut world, fast);
    world.now += 5_000;
    outlets::fetch(&mut world, order(placed_at, placed_at, OPEN));
    world.now += 30_000;
    let shipped = order(placed_at, world.now, SHIPPED);
    outlets::fetch(&mut world, shipped);
    assert_eq!(world.stock("A"), [8, 0, 0], "early: {early}");
}

#[test]
fn a_clock_that_is_fast_swallows_no_shipment() {
    check_fast(true);
    check_fast(false);
}

#[test]
fn a_merge_judges_no_order_anew() {
    let mut world = bare(policies(), &["A", "B"]);
    let placed_at = world.now - HOUR;
    tell(&mut world, placed_at, OPEN);
    open(&mut world, &[("A", 10)]);
    world.now += 60_000;
    let shipped_at = world.now;
    tell(&mut world, placed_at, SHIPPED);
    world.now += 600_000;
    let later = Count { opening: true, ..world.count_of(ERP, &[("B", 5)]) };
    world.run(Command::Count(later)).expect("opens");
    world.run(Command::Merge { from: sku("A"), into: sku("B") }).expect("merges");
    outlets::fetch(&mut world, order(placed_at, shipped_at, SHIPPED));
    assert_eq!(world.stock("B"), [13, 0, 0]);
}

#[test]
fn a_place_that_a_merge_opens_knows_the_orders_from_before() {
    let mut world = bare(policies(), &["A", "B"]);
    let placed_at = world.now - HOUR;
    let of_b = |version: i64, units: [i64; 5]| {
        let order = placed("1", placed_at, &[(World::ids_of(SHOP, "B"), units)]);
        OrderSnapshot { version: ms(version), ..order }
    };
    world.push_snapshot(SHOP, of_b(placed_at, OPEN));
    open(&mut world, &[("A", 10)]);
    world.now += 60_000;
    world.run(Command::Merge { from: sku("A"), into: sku("B") }).expect("merges");
    world.now += 60_000;
    let shipped = of_b(world.now, SHIPPED);
    world.push_snapshot(SHOP, shipped);
    let count = world.count_of(ERP, &[("A", 10), ("B", 0)]);
    world.run(Command::Count(count)).expect("counts");
    assert_eq!(world.stock("B"), [8, 0, 0]);
}

/// An order of a set of three was half shipped by the opening, and turns out to be the store's. `early`: it was read before.
#[track_caller]
fn check_moved(early: bool) {
    let mut policies = outlets::two();
    let both: Vec<LocationId> = vec![wh(), outlets::store()];
    policies.channels.get_mut(&ch(ERP)).expect("configured").locations = both.clone();
    let parts = vec![policy::Part { sku: sku("A"), units: q(3) }];
    policies.bundles = vec![policy::Recipe { bundle: sku("SET"), parts }];
    let mut world = bare(policies, &["A"]);
    world.list(SHOP, &["SET"]);
    let placed_at = world.now - 24 * HOUR;
    let at = |place: LocationId, version: i64| {
        let mut order = placed("1", placed_at, &[(World::ids_of(SHOP, "SET"), [2, 0, 0, 1, 0])]);
        order.version = ms(version);
        order.lines[0].places = vec![(place, totals([2, 0, 0, 1, 0]))];
        order
    };
    if early {
        outlets::fetch(&mut world, at(wh(), placed_at));
    }
    let line = |location| CountLine { ids: World::ids_of(ERP, "A"), location, quantity: q(50) };
    let lines = both.into_iter().map(line).collect();
    let count = Count { opening: true, lines, ..world.count_of(ERP, &[]) };
    opened_by(&mut world, count);
    outlets::fetch(&mut world, at(wh(), placed_at));
    assert_eq!(outlets::stock(&world), [[50, 3], [50, 0]], "early: {early}");
    world.now += 60_000;
    let moved = at(outlets::store(), world.now);
    outlets::fetch(&mut world, moved);
    assert_eq!(outlets::stock(&world), [[50, 0], [50, 3]], "early: {early}");
    assert_eq!(target(&world), totals([3, 0, 0, 0, 0]), "early: {early}");
}

#[test]
fn an_older_set_that_lies_elsewhere_stays_older() {
    check_moved(true);
    check_moved(false);
}

#[test]
fn what_was_shipped_since_goes_along_with_a_listing_that_is_given_to_another_sku() {
    let mut world = bare(policies(), &["A", "B"]);
    let placed_at = world.now - HOUR;
    tell(&mut world, placed_at, OPEN);
    open(&mut world, &[("A", 10), ("B", 10)]);
    world.quiesce();
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict: Verdict::Retry }).expect("asked");
    world.now += 60_000;
    tell(&mut world, placed_at, SHIPPED);
    world.post_all();
    world.quiesce();
    let ids = World::ids_of(SHOP, "A");
    world.run(Command::Rebind { channel: ch(SHOP), ids, sku: sku("B") }).expect("rebinds");
    assert_eq!(world.stock("B"), [8, 0, 0]);
    let posting = world.postings().remove(0);
    let told = |of: &str| {
        let line = posting.lines.iter().find(|line| line.ids == World::ids_of(ERP, of));
        line.map(|line| line.target)
    };
    assert_eq!((told("A"), told("B")), (Some(totals([0; 5])), Some(totals(SHIPPED))));
    world.posted(&posting, Outcome::Applied);
}

#[test]
fn a_line_that_an_old_order_gets_later_is_sold_then() {
    let mut world = bare(policies(), &["A", "B"]);
    let placed_at = world.now - HOUR;
    tell(&mut world, placed_at, OPEN);
    open(&mut world, &[("A", 10), ("B", 10)]);
    world.now += 60_000;
    let lines = [(World::ids_of(SHOP, "A"), OPEN), (World::ids_of(SHOP, "B"), [3, 0, 0, 3, 0])];
    let more = OrderSnapshot { version: ms(world.now), ..placed("1", placed_at, &lines) };
    world.push_snapshot(SHOP, more);
    assert_eq!((world.stock("A"), world.stock("B")), ([10, 2, 0], [7, 0, 0]));
}

#[test]
fn a_sku_that_sells_before_its_first_count_is_posted_without_a_question() {
    let mut world = bare(policies(), &["A", "B"]);
    open(&mut world, &[("B", 10)]);
    world.now += 60_000;
    let sold_at = world.now;
    tell(&mut world, sold_at, SHIPPED);
    world.now += 1_000;
    let first = world.count_of(ERP, &[("A", 10)]);
    world.run(Command::Count(first)).expect("counts");
    assert_eq!(world.stock("A"), [8, 0, 0], "the ERP does not know yet");
    assert_eq!(world.postings().len(), 1);
}

#[test]
fn an_order_that_came_in_in_shadow_is_asked_about_although_it_was_mapped_later() {
    let mut world = World::bare(Policies { mode: Mode::Shadow, ..policies() });
    world.list(ERP, &["A"]);
    open(&mut world, &[("A", 10)]);
    let odd = ids(&[(IdKind::Sku, "odd")]);
    let sold = placed("1", world.now, &[(odd.clone(), OPEN)]);
    world.push_snapshot(SHOP, sold);
    world.run(Command::Configure(Box::new(policies()))).expect("goes live");
    let row = policy::MappingRow { sku: sku("A"), channel: ch(SHOP), ids: odd };
    world.run(Command::Map { rows: vec![row] }).expect("maps");
    world.run(Command::Tick).expect("rechecks");
    assert_eq!(world.stock("A"), [10, 2, 0]);
    assert!(world.postings().is_empty(), "the ERP may have it");
}

#[test]
fn an_order_that_left_the_erps_places_in_shadow_and_came_back_is_asked_about() {
    let mut world = bare(Policies { mode: Mode::Shadow, ..outlets::two() }, &["A"]);
    open(&mut world, &[("A", 10)]);
    let placed_at = world.now;
    for place in [wh(), outlets::store(), wh()] {
        world.now += 1_000;
        let told = outlets::order(&world, OPEN, &[(place, OPEN)]);
        outlets::fetch(&mut world, OrderSnapshot { placed_at: ms(placed_at), ..told });
    }
    world.run(Command::Configure(Box::new(outlets::two()))).expect("goes live");
    assert!(world.postings().is_empty());
}

#[test]
fn what_a_restored_store_hears_of_before_it_writes_is_asked_about() {
    let mut world = bare(policies(), &["A"]);
    open(&mut world, &[("A", 10)]);
    world.quiesce();
    world.inject(&Record::Restored);
    world.sell(SHOP, "1", "A", 2);
    world.run(Command::Live).expect("goes live");
    assert!(world.postings().is_empty());
    assert_eq!(step(&world), Step::Parked { reason: RESTORED.to_owned() });
}

/// The ERP was told of a return since the backup, so it counts the units; the restored store hears of them with the orders.
#[test]
fn a_restored_store_takes_no_count_over_before_it_has_read_the_orders_that_it_missed() {
    let mut world = bare(policies(), &["A"]);
    open(&mut world, &[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    world.quiesce();
    world.inject(&Record::Restored);
    let restored_at = world.now;
    world.now += 1_000;
    let deferred = |world: &mut World| {
        let count = world.count_of(ERP, &[("A", 10)]);
        let reply = world.run(Command::Count(count)).expect("counts");
        matches!(reply, Reply::Counted { deferred: 1, .. })
    };
    assert!(deferred(&mut world), "nothing was read yet");
    world.feed(SHOP);
    assert!(deferred(&mut world), "what changed just before may not be listed yet");
    world.change(SHOP, "1", [2, 0, 0, 2, 2], 0);
    world.now = restored_at + 15 * 60_000;
    world.feed(SHOP);
    assert!(deferred(&mut world), "the other channel was not read");
    world.feed(AMZ);
    assert_eq!(world.stock("A"), [10, 0, 0]);
    assert!(!deferred(&mut world));
    assert!(world.stock("A")[0] <= 10, "the return counts once");
}

/// A person lets it write before the orders are read, because a channel does not answer: counts wait for that all the same.
#[test]
fn a_restored_store_that_was_let_write_too_soon_counts_nothing_before_it_has_read_the_orders() {
    let mut world = bare(policies(), &["A", "B", "C", "D"]);
    open(&mut world, &[("A", 10), ("B", 10), ("C", 10), ("D", 10)]);
    world.quiesce();
    let count = world.count_of(ERP, &[("A", 0), ("B", 0), ("C", 0)]);
    world.run(Command::Count(count)).expect("the brake holds it");
    let held = *world.state.held.keys().next().expect("it is held");
    world.now += 60_000;
    world.run(Command::Restored).expect("restored");
    world.feed(SHOP);
    world.run(Command::Live).expect("a person says so");
    let counted = |world: &mut World, units: i64| {
        let count = world.count_of(ERP, &[("A", units)]);
        world.run(Command::Count(count)).expect("counts");
        world.stock("A")[0] == units
    };
    let release = Command::Dead { letter: DeadLetter::Count(held), verdict: Verdict::Retry };
    let missed = |world: &World| world.state.missed_orders().cloned().collect::<Vec<_>>();
    assert_eq!(missed(&world), [ch(AMZ), ch(SHOP)]);
    assert!(!counted(&mut world, 9));
    let told = world.run(release.clone());
    assert!(matches!(&told, Err(Refused::NotSo(why)) if why.contains("restored")), "{told:?}");
    world.now += 60_000;
    world.feed(SHOP);
    assert_eq!(missed(&world), [ch(AMZ)]);
    assert!(!counted(&mut world, 9));
    // It outlives a start, and one that is not configured any more is not waited for.
    world.restart();
    assert!(!counted(&mut world, 9));
    let mut without = policies();
    without.channels.remove(&ch(AMZ));
    world.run(Command::Configure(Box::new(without))).expect("configures");
    assert!(counted(&mut world, 9));
    world.run(Command::Configure(Box::new(policies()))).expect("configures");
    assert!(!counted(&mut world, 8));
    world.feed(AMZ);
    assert_eq!(missed(&world), []);
    assert!(counted(&mut world, 8));
    world.run(release).expect("it is released");
    // What comes later was not there at the restore.
    let mut more = policies();
    let shop = more.channels[&ch(SHOP)].clone();
    more.channels.insert(ch("late"), shop);
    world.run(Command::Configure(Box::new(more))).expect("configures");
    assert_eq!(missed(&world), []);
}

#[test]
fn the_leg_of_a_listing_that_was_given_away_is_not_taken_up_again() {
    let mut world = World::open(&[("A", 10), ("B", 7)]);
    let letter = DeadLetter::Leg(world.listing("A", SHOP));
    let ids = World::ids_of(SHOP, "A");
    world.run(Command::Rebind { channel: ch(SHOP), ids, sku: sku("B") }).expect("rebinds");
    assert!(world.run(Command::Dead { letter, verdict: Verdict::Retry }).is_err());
}

/// An ERP comes to the shop when an order is under way there, or only begins to be told of orders then.
#[track_caller]
fn check_added(without: &Policies) {
    let mut world = bare(without.clone(), &["A"]);
    open(&mut world, &[("A", 10)]);
    world.now += 60_000;
    let placed_at = world.now;
    tell(&mut world, placed_at, OPEN);
    world.run(Command::Configure(Box::new(policies()))).expect("is told from here on");
    world.now += 60_000;
    tell(&mut world, placed_at, SHIPPED);
    assert!(matches!(step(&world), Step::Parked { .. }), "it may have it by other hands");
    assert!(world.postings().is_empty());
    let count = world.count_of(ERP, &[("A", 10)]);
    world.run(Command::Count(count)).expect("counts");
    assert_eq!(world.stock("A"), [8, 0, 0], "it is taken not to know");
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict: Verdict::Retry }).expect("it lacks it");
    assert_eq!(world.postings().len(), 1);
    world.now += 60_000;
    let new = placed("2", world.now, &[(World::ids_of(SHOP, "A"), OPEN)]);
    world.push_snapshot(SHOP, new);
    assert_eq!(world.postings().len(), 1, "new ones are told");
}

#[test]
fn an_erp_that_is_told_of_orders_later_is_asked_about_those_that_were_there() {
    let mut without = policies();
    let none = policy::Posts { sales: false, shipments: false, returns: false };
    without.channels.get_mut(&ch(ERP)).expect("configured").posts = none;
    check_added(&without);
    let erp = without.channels.get_mut(&ch(ERP)).expect("configured");
    erp.abilities.posts = false;
    check_added(&without);
}

/// It was told as open before the count was read, and as shipped before that was taken over.
#[test]
fn what_shipped_while_the_opening_count_was_read_is_on_no_shelf() {
    for later in [1_000, 30_000] {
        let mut world = bare(policies(), &["A"]);
        let placed_at = world.now - HOUR;
        tell(&mut world, placed_at, OPEN);
        let read = Count { opening: true, ..world.count_of(ERP, &[("A", 10)]) };
        world.now += later;
        tell(&mut world, placed_at, SHIPPED);
        world.now += 1_000;
        opened_by(&mut world, read);
        assert!(world.state.skus[&sku("A")].place(&wh()).is_none_or(|place| place.opened.is_none()));
        let again = world.count_of(ERP, &[("A", 8)]);
        world.run(Command::Count(again)).expect("counts");
        assert_eq!(world.stock("A"), [8, 0, 0], "{later} ms later");
    }
}
