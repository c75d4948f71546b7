//! Bundles that were sold before anybody said what they are made of, and are made of bundles themselves.

use super::world::{AMZ, ERP, SHOP, World, placed, policies, q, sku};
use crate::{
    core::{Command, Record},
    model::{
        Policies, Sku,
        policy::{self, Part},
    },
};

type Recipe<'a> = (&'a str, &'a [(&'a str, i64)]);

fn rows(list: &[Recipe<'_>]) -> Vec<(Sku, Vec<Part>)> {
    let part = |(of, units): &(&str, i64)| Part { sku: sku(of), units: q(*units) };
    list.iter().map(|(of, parts)| (sku(of), parts.iter().map(part).collect())).collect()
}

const SET: Recipe<'_> = ("SET", &[("A", 1)]);
const BIG: Recipe<'_> = ("BIG", &[("SET", 2), ("C", 1)]);

/// An order of the shop, of three units, of what it does not show.
fn sold(world: &mut World, order: &str, of: &str) {
    let order = placed(order, world.now, &[(World::ids_of(SHOP, of), [3, 0, 0, 0, 0])]);
    world.market(SHOP).place(order.clone());
    world.push_snapshot(SHOP, order);
    world.quiesce();
}

/// Twenty of A and of C. Three BIG were sold before anybody said what it is made of.
fn unknown() -> World {
    let mut world = World::open_with(policies(), &[("A", 20), ("C", 20)]);
    world.list(ERP, &["BIG", "SET"]);
    world.list(SHOP, &["BIG", "SET"]);
    sold(&mut world, "1", "BIG");
    world
}

/// The same of a BIG that is known to hold SET, while nobody says what SET is made of.
fn half_known() -> World {
    let mut world = World::open_with(policies(), &[("A", 20), ("C", 20)]);
    world.run(Command::Recipes { rows: rows(&[SET, BIG]) }).expect("taken in");
    world.list(SHOP, &["BIG"]);
    world.list(AMZ, &["BIG"]);
    world.quiesce();
    assert_eq!(world.shows("BIG", SHOP), 10);
    world.run(Command::Recipes { rows: rows(&[("SET", &[])]) }).expect("taken out");
    world.quiesce();
    sold(&mut world, "1", "BIG");
    assert_eq!(["A", "SET", "C"].map(|of| world.stock(of)), [[20, 0, 0], [0, 6, 0], [20, 3, 0]]);
    world
}

#[track_caller]
fn all_is_taken(world: &mut World) {
    assert_eq!(
        ["A", "SET", "BIG", "C"].map(|of| world.stock(of)),
        [[20, 6, 0], [0, 0, 0], [0, 0, 0], [20, 3, 0]]
    );
    world.quiesce();
    // It goes on as what it is.
    world.change(SHOP, "1", [3, 0, 0, 3, 0], 0);
    world.push(SHOP, "1");
    assert_eq!(["A", "SET", "C"].map(|of| world.stock(of)), [[14, 0, 0], [0, 0, 0], [17, 0, 0]]);
    world.index_is_true();
}

#[test]
fn a_bundle_of_a_bundle_is_taken_from_all_its_components_in_whatever_order_they_are_told() {
    for told in [[BIG, SET], [SET, BIG]] {
        let mut world = unknown();
        let rows = rows(&told);
        crate::core::decide::recipes::judge(&world.state, &rows, &[None, None], false)
            .expect("nothing stands in its way");
        world.run(Command::Recipes { rows }).expect("taken in");
        all_is_taken(&mut world);
    }
}

#[test]
fn a_bundle_keeps_its_units_and_its_other_components_when_one_of_them_is_made_of_something() {
    let mut world = half_known();
    world.run(Command::Recipes { rows: rows(&[SET, BIG]) }).expect("taken in");
    all_is_taken(&mut world);
}

#[test]
fn what_else_a_bundle_held_when_it_was_sold_stays_sold_whatever_it_is_made_of_by_then() {
    for of_big in [&[][..], &[("SET", 1)]] {
        let mut world = half_known();
        world.run(Command::Recipes { rows: rows(&[("BIG", of_big), SET]) }).expect("taken in");
        all_is_taken(&mut world);
    }
}

#[test]
fn what_has_left_of_another_component_leaves_once() {
    let mut world = half_known();
    world.change(SHOP, "1", [3, 0, 0, 1, 0], 0);
    world.push(SHOP, "1");
    assert_eq!(world.stock("C"), [19, 2, 0]);
    world.run(Command::Recipes { rows: rows(&[SET]) }).expect("taken in");
    assert_eq!(world.stock("C"), [19, 2, 0]);
    world.change(SHOP, "1", [3, 0, 0, 3, 0], 0);
    world.push(SHOP, "1");
    assert_eq!(world.stock("C"), [17, 0, 0]);
}

#[test]
fn a_component_that_a_bundle_holds_by_itself_and_by_way_of_another_is_taken_for_both() {
    let mut world = World::open_with(policies(), &[("A", 20)]);
    world.list(ERP, &["SET"]);
    world.run(Command::Recipes { rows: rows(&[("BIG", &[("SET", 2), ("A", 1)])]) }).expect("taken in");
    world.list(SHOP, &["BIG"]);
    sold(&mut world, "1", "BIG");
    assert_eq!(["A", "SET"].map(|of| world.stock(of)), [[20, 3, 0], [0, 6, 0]]);
    world.run(Command::Recipes { rows: rows(&[SET]) }).expect("taken in");
    assert_eq!(["A", "SET"].map(|of| world.stock(of)), [[20, 9, 0], [0, 0, 0]]);
    world.change(SHOP, "1", [3, 0, 0, 3, 0], 0);
    world.push(SHOP, "1");
    assert_eq!(["A", "SET"].map(|of| world.stock(of)), [[11, 0, 0], [0, 0, 0]]);
}

/// So many orders of a bundle that nobody had said anything of, of one unit each.
const MANY: usize = 603;

/// Six hundred and three of SET and PAIR were sold, of two thousand A, and nothing was told to be made of anything.
fn many() -> World {
    let mut world = World::open_with(policies(), &[("A", 2_000)]);
    world.list(ERP, &["SET", "PAIR"]);
    world.list(SHOP, &["SET", "PAIR"]);
    for n in 0..MANY {
        let ids = World::ids_of(SHOP, if n % 2 == 0 { "SET" } else { "PAIR" });
        let order = placed(&format!("{n}"), world.now, &[(ids, [1, 0, 0, 0, 0])]);
        world.push_snapshot(SHOP, order);
    }
    world
}

/// Takes the command, and then goes on from tick to tick. No record is large, and nothing shows units that were sold.
#[track_caller]
fn in_portions(world: &mut World, command: Command) {
    let mut left = vec![Command::Tick; 4];
    left.push(command);
    let (mut orders, mut first) = (0, 0);
    while let Some(command) = left.pop() {
        let from = world.journal.len();
        world.run(command).expect("taken");
        let records = || world.journal[from..].iter().flat_map(|envelope| &envelope.records);
        let rebooked = records().filter(|record| matches!(record, Record::Order { .. })).count();
        assert!(rebooked <= 500, "{rebooked} orders in one record");
        (orders, first) = (orders + rebooked, if orders == 0 { rebooked } else { first });
        for of in ["SET", "PAIR"] {
            let row = &world.state.skus[&sku(of)];
            let shown = row.listings.iter().filter_map(|held| held.leg.as_ref()).map(|leg| leg.quantity);
            let free = 2_000 - i64::try_from(MANY).expect("few");
            assert!(shown.clone().all(|shown| shown <= q(free)), "{of}: {:?}", shown.collect::<Vec<_>>());
        }
    }
    assert_eq!((first, orders), (500, MANY), "each once");
    assert_eq!(world.stock("A"), [2_000, 603, 0]);
    let shown = |of: &str, channel: &str| world.leg(of, channel).quantity.units();
    assert_eq!([shown("SET", SHOP), shown("PAIR", SHOP), shown("A", AMZ)], [1_397; 3]);
}

#[test]
fn very_many_orders_are_taken_from_the_components_in_portions() {
    let recipes: [Recipe<'_>; 2] = [SET, ("PAIR", &[("A", 1)])];
    in_portions(&mut many(), Command::Recipes { rows: rows(&recipes) });
    let bundles =
        rows(&recipes).into_iter().map(|(bundle, parts)| policy::Recipe { bundle, parts }).collect();
    let configured = Policies { bundles, ..policies() };
    in_portions(&mut many(), Command::Configure(Box::new(configured)));
}
