//! Bundles that lie deep in one another, SKUs that were renamed often, and components that many bundles hold.

use std::collections::BTreeMap;

use super::world::{AMZ, ERP, SHOP, World, ch, ms, placed, policies, q, sku};
use crate::{
    core::{Command, Refused, command::Count, decide::Draft, recipe::Made, record::Record, state::Todo},
    model::{
        Policies, Sku,
        policy::{Part, Recipe},
    },
};

fn part(of: &str) -> Vec<Part> {
    vec![Part { sku: sku(of), units: q(1) }]
}

/// B0 holds B1, that holds B2, and so on down to B10, as one would tell of them from the outside in.
fn deep() -> Vec<(Sku, Vec<Part>)> {
    (0..10).map(|n| (sku(&format!("B{n}")), part(&format!("B{}", n + 1)))).collect()
}

#[test]
fn bundles_that_would_lie_too_deep_are_refused_in_whatever_order_they_are_told() {
    let mut world = World::open(&[("B10", 10)]);
    let inside_out: Vec<_> = deep().into_iter().rev().collect();
    for rows in [deep(), inside_out] {
        let told = world.run(Command::Recipes { rows });
        assert!(matches!(&told, Err(Refused::Wrong(why)) if why.contains("8 deep")), "{told:?}");
    }
    // Told in one import each, they are refused from where they would lie too deep on.
    let told = deep().into_iter().rev().map(|row| world.run(Command::Recipes { rows: vec![row] }).is_ok());
    assert_eq!(told.filter(|good| *good).count(), 8);
}

/// Journals may hold such recipes, which were taken in once.
#[test]
fn a_sale_of_a_bundle_takes_units_off_the_shelf_however_deep_it_lies() {
    let mut world = World::open(&[("B10", 10)]);
    for (sku, parts) in deep() {
        world.inject(&Record::Made { sku, made: Some(Made::Of(parts)) });
    }
    world.list(SHOP, &["B0"]);
    world.quiesce();
    assert_eq!(world.shows("B0", SHOP), 10);
    let order = placed("1", world.now, &[(World::ids_of(SHOP, "B0"), [3, 0, 0, 0, 0])]);
    world.market(SHOP).place(order.clone());
    world.push_snapshot(SHOP, order);
    assert_eq!(world.available("B10"), 7, "three of them were sold, in what they are part of");
    world.quiesce();
    assert_eq!((world.shows("B0", SHOP), world.shows("B10", SHOP)), (7, 7));
}

#[test]
fn a_sku_that_was_renamed_nine_times_still_sells() {
    let names: Vec<String> = (0..10).map(|n| format!("S{n}")).collect();
    let stock: Vec<(&str, i64)> =
        names.iter().enumerate().map(|(n, of)| (of.as_str(), if n == 0 { 10 } else { 0 })).collect();
    let mut policies = policies();
    (policies.brake.zero_percent, policies.brake.move_percent) = (100, 100);
    let mut world = World::open_with(policies, &stock);
    for pair in names.windows(2) {
        let (from, into) = (sku(&pair[0]), sku(&pair[1]));
        world.run(Command::Merge { from, into }).expect("taken in");
        world.quiesce();
        let last = &pair[1];
        assert_eq!(world.available(last), 10);
        assert_eq!((world.shows(last, SHOP), world.shows("S0", SHOP)), (10, 10), "it is {last} now");
    }
    world.sell(SHOP, "1", "S0", 2);
    world.quiesce();
    assert_eq!((world.available("S9"), world.shows("S0", SHOP), world.shows("S9", SHOP)), (8, 8, 8));
}

/// Opened with five boxes; each of so many bundles holds one.
fn boxes(many: usize, configured: bool) -> World {
    let bundles = if configured { sets(many) } else { Vec::new() };
    let bundles = bundles.into_iter().map(|(bundle, parts)| Recipe { bundle, parts }).collect();
    let mut world = World::bare(Policies { bundles, ..policies() });
    world.list(ERP, &["BOX"]);
    let opening = Count { opening: true, ..world.count_of(ERP, &[("BOX", 5)]) };
    world.run(Command::Count(opening)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    world
}

fn sets(many: usize) -> Vec<(Sku, Vec<Part>)> {
    (0..many).map(|n| (sku(&format!("N{n}")), part("BOX"))).collect()
}

/// Returns how often each SKU is committed by the last command.
fn commits(world: &World) -> BTreeMap<Sku, usize> {
    let mut all = BTreeMap::new();
    for record in &world.journal.last().expect("it recorded something").records {
        if let Record::Commit { sku, .. } = record {
            *all.entry(sku.clone()).or_default() += 1;
        }
    }
    all
}

/// What the users of a component show is worked out once for a command, and not once for each of them that is found.
#[test]
fn a_catalogue_of_many_bundles_of_one_component_refreshes_each_of_them_once() {
    let many = 200;
    let mut world = boxes(many, true);
    let items = || (0..many).map(|n| World::item(SHOP, &format!("N{n}"))).collect();
    let mut copy = world.state.clone();
    let mut draft = Draft::new(&mut copy, ms(world.now));
    draft.catalogue(&ch(SHOP), ms(world.now), items(), Vec::new()).expect("read");
    assert_eq!((draft.sellers.len(), draft.concerned().len()), (many, many + 1));
    let read_at = ms(world.now);
    let read = Command::Catalogue { channel: ch(SHOP), read_at, items: items(), unread: Vec::new() };
    world.run(read).expect("read");
    assert_eq!(commits(&world), sets(many).into_iter().map(|(of, _)| (of, 1)).collect());
    world.quiesce();
    assert!((0..many).all(|n| world.shows(&format!("N{n}"), SHOP) == 5));
}

#[test]
fn recipes_of_many_bundles_of_one_component_refresh_each_of_them_once() {
    let many = 200;
    let mut world = boxes(many, false);
    let mut copy = world.state.clone();
    let mut draft = Draft::new(&mut copy, ms(world.now));
    draft.recipes(sets(many)).expect("taken in");
    assert_eq!((draft.sellers.len(), draft.concerned().len()), (many, many + 1));
    world.run(Command::Recipes { rows: sets(many) }).expect("taken in");
    let names: Vec<String> = (0..many).map(|n| format!("N{n}")).collect();
    world.list(SHOP, &names.iter().map(String::as_str).collect::<Vec<_>>());
    world.quiesce();
    assert!(names.iter().all(|of| world.shows(of, SHOP) == 5));
    // Each holds two from now on.
    let rows = names.iter().map(|of| (sku(of), vec![Part { sku: sku("BOX"), units: q(2) }])).collect();
    world.run(Command::Recipes { rows }).expect("taken in");
    assert_eq!(commits(&world), sets(many).into_iter().map(|(of, _)| (of, 1)).collect());
    world.quiesce();
    assert!(names.iter().all(|of| world.shows(of, SHOP) == 2));
}

/// A hundred bundles hold a hundred components each, which are counted with one command: each bundle is refreshed once, and not once
/// for each of its components.
#[test]
fn a_count_of_many_components_of_the_same_bundles_refreshes_each_of_them_once() {
    let named = |of: &str| (0..100).map(|n| format!("{of}{n}")).collect::<Vec<_>>();
    let (sets, of) = (named("N"), named("P"));
    let parts: Vec<Part> = of.iter().map(|of| Part { sku: sku(of), units: q(1) }).collect();
    let bundles = sets.iter().map(|of| Recipe { bundle: sku(of), parts: parts.clone() }).collect();
    let mut world = World::bare(Policies { bundles, ..policies() });
    let texts = |all: &'_ [String]| all.iter().map(|of| World::item(ERP, of)).collect::<Vec<_>>();
    world.catalogue(ERP, texts(&of));
    for channel in [SHOP, AMZ] {
        world.list(channel, &sets.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for _ in 0..20 {
        world.run(Command::Tick).expect("ticks");
    }
    assert_eq!(world.state.recheck.skus, Todo::Nothing);
    let lines: Vec<(&str, i64)> = of.iter().map(|of| (of.as_str(), 5)).collect();
    let opening = Count { opening: true, ..world.count_of(ERP, &lines) };
    world.run(Command::Count(opening)).expect("opens");
    assert_eq!(world.state.recheck.skus, Todo::Nothing, "all of it at once");
    assert_eq!(commits(&world), sets.iter().map(|of| (sku(of), 1)).collect());
}
