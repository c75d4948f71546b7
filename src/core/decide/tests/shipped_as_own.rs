//! Units of a bundle that were shipped while it had no recipe: who is told of them, and what ends that.

use proptest::prelude::*;

use super::{
    by_hand,
    world::{AMZ, ERP, SHOP, World, placed, policies, q, sku},
};
use crate::{
    core::{
        Command,
        command::Why,
        decide::recipes::{judge, shipped_of},
        record::AlertKind,
    },
    model::{
        Policies, Returns, Sku,
        policy::{Part, Recipe},
    },
};

fn rows(list: &[(&str, i64)]) -> Vec<(Sku, Vec<Part>)> {
    let part = |(of, units): &(&str, i64)| Part { sku: sku(of), units: q(*units) };
    vec![(sku("SET"), list.iter().map(part).collect())]
}

/// Three of SET, which is one A, are sold while it has no recipe, and so many of them are shipped before it has one again.
fn sold_as_own(shipped: i64) -> World {
    let mut world = World::open_with(policies(), &[("A", 10)]);
    world.run(Command::Recipes { rows: rows(&[("A", 1)]) }).expect("taken in");
    world.list(SHOP, &["SET"]);
    world.list(AMZ, &["SET"]);
    world.quiesce();
    world.run(Command::Recipes { rows: rows(&[]) }).expect("taken out");
    world.quiesce();
    let order = placed("1", world.now, &[(World::ids_of(SHOP, "SET"), [3, 0, 0, 0, 0])]);
    world.market(SHOP).place(order.clone());
    world.push_snapshot(SHOP, order);
    world.now += 1_000;
    world.change(SHOP, "1", [3, 0, 0, shipped, 0], 0);
    world.push(SHOP, "1");
    assert_eq!(world.stock("SET"), [-shipped, 3 - shipped, 0]);
    world
}

/// The texts of the alerts about oversells that fire.
fn alerts(world: &mut World) -> Vec<String> {
    world.run(Command::Tick).expect("ticks");
    let all = world.state.alerts.iter().filter(|(key, held)| key.kind == AlertKind::Oversold && held.firing);
    all.map(|(_, held)| held.text.clone()).collect()
}

#[test]
fn what_was_shipped_whole_is_told_until_a_person_says_that_its_components_were_counted() {
    let mut world = sold_as_own(3);
    judge(&world.state, &rows(&[("A", 1)]), &[None], false).expect("it stands in no way");
    let told = shipped_of(&world.state, &rows(&[("A", 1)]));
    let needed = ["3 units of `SET` were shipped from `wh`", "count `A` there", "`evenkeel count SET wh 0`"];
    assert!(told.iter().all(|one| one.contains("not before it has its recipe")), "{told:?}");
    assert!(matches!(&told[..], [one] if needed.iter().all(|part| one.contains(part))), "{told:?}");
    world.run(Command::Recipes { rows: rows(&[("A", 1)]) }).expect("taken in");
    world.quiesce();
    let told = alerts(&mut world);
    assert!(matches!(&told[..], [one] if needed.iter().all(|part| one.contains(part))), "{told:?}");
    // A count of the component alone does not tell whether the shelf was looked at since.
    let count = world.count_of(ERP, &[("A", 7), ("SET", 0)]);
    world.run(Command::Count(count)).expect("counted");
    assert_eq!((world.available("A"), alerts(&mut world).len()), (7, 1));
    // It has no stock that could be counted otherwise.
    let count = by_hand::by_hand(vec![by_hand::line("SET", 0, world.now)]);
    let tally = by_hand::run(&mut world, count);
    assert_eq!((tally.changed, tally.opened, tally.left_out.len()), (1, 0, 0));
    assert_eq!((world.stock("SET"), world.stock("A")), ([0, 0, 0], [7, 0, 0]));
    assert_eq!(alerts(&mut world), Vec::<String>::new());
    assert!(world.state.skus[&sku("SET")].never_counted());
    world.index_is_true();
}

#[test]
fn nothing_else_is_counted_of_a_bundle() {
    let mut world = sold_as_own(3);
    world.run(Command::Recipes { rows: rows(&[("A", 1)]) }).expect("taken in");
    let policies = world.state.policies.clone().expect("configured");
    let told = |units: i64| {
        let count = by_hand::by_hand(vec![by_hand::line("SET", units, world.now)]);
        crate::core::decide::by_hand::judge(&world.state, &count, super::world::ms(world.now))
    };
    assert!(policies.counter_of(&super::world::wh()).is_some(), "the ERP counts there");
    assert!(told(0).is_ok_and(|(judged, left_out)| (judged.len(), left_out.len()) == (1, 0)));
    assert!(told(2).is_err(), "the ERP counts there");
    // Once it is settled, it is a bundle as any other.
    let mut world = sold_as_own(0);
    world.run(Command::Recipes { rows: rows(&[("A", 1)]) }).expect("taken in");
    let count = by_hand::by_hand(vec![by_hand::line("SET", 0, world.now)]);
    let refused = crate::core::decide::by_hand::judge(&world.state, &count, super::world::ms(world.now));
    assert!(match refused {
        Ok((judged, left_out)) =>
            judged.is_empty() && matches!(&left_out[..], [one] if matches!(one.why, Why::Bundle(_))),
        Err(_) => true,
    });
}

#[test]
fn what_was_shipped_of_an_open_order_is_taken_from_the_components_and_told_nowhere() {
    for shipped in [1, 2] {
        let mut world = sold_as_own(shipped);
        assert_eq!(shipped_of(&world.state, &rows(&[("A", 1)])), Vec::<String>::new());
        world.run(Command::Recipes { rows: rows(&[("A", 1)]) }).expect("taken in");
        world.quiesce();
        assert_eq!((world.stock("SET"), world.stock("A")), ([0, 0, 0], [10 - shipped, 3 - shipped, 0]));
        assert_eq!(alerts(&mut world), Vec::<String>::new());
        world.index_is_true();
    }
}

/// A set that was sold before anybody said what it is made of: nothing of ours was ever shown of it.
#[test]
fn what_was_shipped_before_the_first_recipe_is_told_too() {
    let plain = by_hand::uncounted();
    let bundles = vec![Recipe { bundle: sku("SET"), parts: rows(&[("A", 1)]).remove(0).1 }];
    let made = Policies { bundles, ..plain.clone() };
    let mut world = World::open_with(plain, &[("A", 10)]);
    world.list(ERP, &["SET"]);
    world.list(SHOP, &["SET"]);
    for (id, units) in [("1", 3), ("2", 4)] {
        let order = placed(id, world.now, &[(World::ids_of(SHOP, "SET"), [units, 0, 0, 0, 0])]);
        world.market(SHOP).place(order.clone());
        world.push_snapshot(SHOP, order);
    }
    world.now += 1_000;
    world.change(SHOP, "1", [3, 0, 0, 3, 0], 0);
    world.push(SHOP, "1");
    world.now += 1_000;
    world.run(Command::Configure(Box::new(made))).expect("configures");
    world.quiesce();
    assert_eq!((world.stock("SET"), world.stock("A")), ([-3, 0, 0], [10, 4, 0]));
    let told = alerts(&mut world);
    assert!(matches!(&told[..], [one] if one.contains("3 units of `SET` were shipped")), "{told:?}");
    let now = world.now;
    let lines = vec![by_hand::line("A", 7, now), by_hand::line("SET", 0, now)];
    by_hand::run(&mut world, by_hand::by_hand(lines));
    assert_eq!((world.stock("SET"), world.stock("A")), ([0, 0, 0], [7, 4, 0]));
    assert_eq!(alerts(&mut world), Vec::<String>::new());
}

/// What all is worth in units of A: on hand, and promised.
fn weigh(world: &World) -> [i64; 2] {
    let of = |(of, weight): (&str, i64)| world.stock(of).map(|units| weight * units);
    let all = [("A", 1), ("SET", 2), ("BIG", 5)].map(of);
    [0, 1].map(|n| all.iter().map(|stock| stock[n]).sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever recipes come and go while orders are open, shipped, cancelled, written off and returned: each unit is booked once.
    #[test]
    fn whatever_recipes_come_and_go_each_unit_is_booked_once(
        steps in proptest::collection::vec((0..8u8, 0..4usize, 1..4i64), 1..30),
        returns in proptest::sample::select(vec![Returns::Restock, Returns::Quarantine, Returns::Ignore]),
    ) {
        let mut world = World::open_with(Policies { returns, ..policies() }, &[("A", 1000)]);
        for channel in [ERP, SHOP, AMZ] {
            world.list(channel, &["SET", "BIG"]);
        }
        let mut orders: [Option<[i64; 5]>; 4] = [None; 4];
        for (step, n, units) in steps {
            world.now += 1_000;
            let bundle = ["SET", "BIG"][n % 2];
            let made = |of: &str, parts: &[(&str, i64)]| Command::Recipes { rows: of_parts(of, parts) };
            match step {
                0..4 => happens(&mut world, &mut orders[n], (&format!("o{n}"), bundle), step, units),
                4 => drop(world.run(made("SET", &[("A", 2)]))),
                5 => drop(world.run(made("SET", &[]))),
                6 => drop(world.run(made("BIG", &[("SET", 2), ("A", 1)]))),
                _ => drop(world.run(made("BIG", &[]))),
            }
            world.run(Command::Tick).expect("ticks");
            let [mut left, mut open] = [1000, 0];
            for (n, order) in orders.iter().enumerate() {
                let (weight, [ordered, released, gone, shipped, back]) = ([2, 5][n % 2], order.unwrap_or_default());
                let back = if returns == Returns::Ignore { 0 } else { back };
                left -= weight * (shipped + gone - back);
                open += weight * (ordered - released - gone - shipped);
            }
            prop_assert_eq!(weigh(&world), [left, open], "{:?}", ["A", "SET", "BIG"].map(|of| world.stock(of)));
        }
        world.index_is_true();
    }
}

fn of_parts(of: &str, parts: &[(&str, i64)]) -> Vec<(Sku, Vec<Part>)> {
    rows(parts).into_iter().map(|(_, parts)| (sku(of), parts)).collect()
}

/// An order is placed, or changes: it is shipped, released, returned or written off, as far as it can be.
fn happens(world: &mut World, order: &mut Option<[i64; 5]>, (id, of): (&str, &str), step: u8, units: i64) {
    let Some(totals) = order else {
        let totals = [units + 2, 0, 0, 0, 0];
        let placed = placed(id, world.now, &[(World::ids_of(SHOP, of), totals)]);
        world.market(SHOP).place(placed.clone());
        world.push_snapshot(SHOP, placed);
        *order = Some(totals);
        return;
    };
    let [ordered, released, gone, shipped, back] = totals;
    let open = (*ordered - *released - *gone - *shipped).min(units);
    match step {
        0 => *shipped += open,
        1 => *released += open,
        2 => *back += (*shipped - *back).min(units),
        _ => *gone += open,
    }
    let totals = *totals;
    world.change(SHOP, id, totals, 0);
    world.push(SHOP, id);
}
