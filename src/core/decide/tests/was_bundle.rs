//! Bundles whose recipe is taken away or names what does not exist: what they show, and what becomes of what they sell.

use super::{
    by_hand,
    world::{AMZ, ERP, SHOP, World, ch, ms, placed, policies, q, sku},
};
use crate::{
    core::{
        Command, State,
        command::{ByHand, HandLine},
        decide::{
            recipes::judge,
            stands,
            trial::{copy, try_out},
        },
        record::AlertKind,
    },
    model::{
        Counter, LocationId, Policies, Sku,
        policy::{Part, Recipe},
    },
};

fn parts(list: &[(&str, i64)]) -> Vec<Part> {
    list.iter().map(|(of, units)| Part { sku: sku(of), units: q(*units) }).collect()
}

fn configured(list: &[(&str, i64)]) -> Policies {
    let recipe = Recipe { bundle: sku("SET"), parts: parts(list) };
    let mut policies = policies();
    policies.bundles = if list.is_empty() { Vec::new() } else { vec![recipe] };
    policies
}

fn rows(list: &[(&str, i64)]) -> Vec<(Sku, Vec<Part>)> {
    vec![(sku("SET"), parts(list))]
}

const RECIPE: [(&str, i64); 2] = [("A", 1), ("B", 2)];

/// Ten of A and nine of B; SET is one A and two B, and is listed on the shop and on Amazon, where it shows four.
fn bundled(policies: Policies) -> World {
    let mut world = World::open_with(policies, &[("A", 10), ("B", 9)]);
    if world.state.index.recipes.direct(&sku("SET")).is_none() {
        world.run(Command::Recipes { rows: rows(&RECIPE) }).expect("taken in");
    }
    world.list(SHOP, &["SET"]);
    world.list(AMZ, &["SET"]);
    world.quiesce();
    assert_eq!([SHOP, AMZ].map(|channel| world.shows("SET", channel)), [4, 4]);
    world
}

/// An order of the shop that is not told to it by what it shows: units that were sold although it shows none.
fn sold(world: &mut World, order: &str, units: i64) {
    let order = placed(order, world.now, &[(World::ids_of(SHOP, "SET"), [units, 0, 0, 0, 0])]);
    world.market(SHOP).place(order.clone());
    world.push_snapshot(SHOP, order);
}

/// A change that takes the recipe away is told as one that lowers all its listings to zero, and does so.
#[track_caller]
fn goes_to_zero(world: &mut World, command: Command) {
    let now = ms(world.now);
    let mut whole: State = world.state.clone();
    let effect = try_out(&mut whole, vec![command.clone()], now).expect("decided");
    for channel in [SHOP, AMZ] {
        let moved = &effect.channels[&ch(channel)];
        assert_eq!((moved.lowered, moved.zeroed, moved.left), (1, 1, 0), "{channel}: {moved:?}");
        let some: Vec<_> = moved.some.iter().map(|of| (of.shows.units(), of.will_show.units())).collect();
        assert_eq!(some, [(4, 0)], "{channel}");
    }
    world.run(command).expect("taken in");
    world.quiesce();
    assert_eq!([SHOP, AMZ].map(|channel| world.shows("SET", channel)), [0, 0]);
}

#[test]
fn a_bundle_whose_recipe_is_taken_away_shows_none() {
    goes_to_zero(&mut bundled(policies()), Command::Recipes { rows: rows(&[]) });
    goes_to_zero(&mut bundled(configured(&RECIPE)), Command::Configure(Box::new(policies())));
}

#[test]
fn a_bundle_of_a_component_that_was_never_counted_shows_none() {
    let mistyped = configured(&[("AAAA", 1)]);
    goes_to_zero(&mut bundled(configured(&RECIPE)), Command::Configure(Box::new(mistyped)));
}

#[test]
fn a_bundle_that_was_never_written_is_left_alone_until_its_component_is_counted() {
    let mut world = World::open_with(configured(&[("AAAA", 1)]), &[("A", 10)]);
    world.list(SHOP, &["SET"]);
    world.set_shown("SET", SHOP, 7);
    world.list(SHOP, &["SET"]);
    world.quiesce();
    assert_eq!((world.shows("SET", SHOP), world.held("SET", SHOP).leg.is_none()), (7, true));
}

/// The texts of the alerts about oversells that fire.
fn alerts(world: &mut World) -> Vec<String> {
    world.run(Command::Tick).expect("ticks");
    let all = world.state.alerts.iter().filter(|(key, held)| key.kind == AlertKind::Oversold && held.firing);
    all.map(|(_, held)| held.text.clone()).collect()
}

#[test]
fn units_sold_of_what_was_never_counted_are_told_and_taken_from_the_components_when_it_has_a_recipe_again() {
    for imported in [true, false] {
        let mut world = bundled(if imported { policies() } else { configured(&RECIPE) });
        let change = |list: &[(&str, i64)]| match imported {
            true => Command::Recipes { rows: rows(list) },
            false => Command::Configure(Box::new(configured(list))),
        };
        world.sell(SHOP, "1", "SET", 1);
        world.run(change(&[])).expect("taken out");
        world.quiesce();
        sold(&mut world, "2", 3);
        world.quiesce();
        assert_eq!(
            (world.stock("SET"), world.stock("A"), world.stock("B")),
            ([0, 3, 0], [10, 1, 0], [9, 2, 0])
        );
        let told = alerts(&mut world);
        assert!(
            matches!(&told[..], [one] if one.contains("3 units") && one.contains("never counted")),
            "{told:?}"
        );
        judge(&world.state, &rows(&RECIPE), &[None], false).expect("what was only sold stands in no way");
        let (now, commands) = (ms(world.now), vec![change(&RECIPE)]);
        let effect = try_out(&mut world.state.clone(), commands.clone(), now).expect("decided");
        let part = try_out(&mut copy(&world.state, &commands), commands.clone(), now);
        assert_eq!(part.as_ref(), Ok(&effect), "a copy of what it may go by tells the same");
        world.run(change(&RECIPE)).expect("taken in");
        assert_eq!(
            (world.stock("SET"), world.stock("A"), world.stock("B")),
            ([0, 0, 0], [10, 4, 0], [9, 8, 0])
        );
        world.quiesce();
        assert_eq!(["A", "B", "SET"].map(|of| world.shows(of, AMZ)), [6, 1, 0]);
        assert_eq!(alerts(&mut world), Vec::<String>::new());
        // What was booked by the recipe is not booked again, and goes on by it.
        world.change(SHOP, "2", [3, 0, 0, 3, 0], 0);
        world.push(SHOP, "2");
        assert_eq!(
            (world.stock("SET"), world.stock("A"), world.stock("B")),
            ([0, 0, 0], [7, 1, 0], [3, 2, 0])
        );
        world.index_is_true();
    }
}

#[test]
fn units_sold_of_what_is_left_alone_are_not_told() {
    let mut world = World::open(&[("A", 10)]);
    let mut policies = policies();
    policies.bundles = vec![Recipe { bundle: sku("SET"), parts: parts(&[("SET2", 1)]) }];
    world.run(Command::Configure(Box::new(policies))).expect("taken in");
    world.list(ERP, &["SET2"]);
    world.list(SHOP, &["SET", "SET2"]);
    sold(&mut world, "1", 2);
    assert_eq!(world.available("SET2"), -2);
    assert_eq!(alerts(&mut world), Vec::<String>::new());
}

#[test]
fn units_sold_of_a_component_that_nothing_lists_are_told() {
    let mut world = World::open_with(configured(&[("AAAA", 1)]), &[("A", 10)]);
    world.list(SHOP, &["SET"]);
    sold(&mut world, "1", 2);
    let told = alerts(&mut world);
    assert!(
        matches!(&told[..], [one] if one.contains("2 units") && one.contains("never counted")),
        "{told:?}"
    );
    world.index_is_true();
}

#[test]
fn a_configured_recipe_of_what_no_sku_is_known_of_is_refused_once_any_is_known() {
    let told = |world: &World, policies: &Policies| -> Vec<String> {
        let stands = stands::unknown_parts(&world.state, policies);
        stands.into_iter().map(|stands| stands.what).collect()
    };
    let mistyped = configured(&[("A", 1), ("AAAA", 1)]);
    assert_eq!(told(&World::bare(policies()), &mistyped), Vec::<String>::new(), "nothing is known yet");
    let world = World::open(&[("A", 10)]);
    assert_eq!(told(&world, &mistyped), ["there is no SKU `AAAA`, a component of `SET`"]);
    assert_eq!(told(&world, &configured(&[("A", 2)])), Vec::<String>::new());
    // A bundle of a bundle that is told with it.
    let mut nested = configured(&[("A", 2)]);
    nested.bundles.push(Recipe { bundle: sku("BIG"), parts: parts(&[("SET", 2)]) });
    assert_eq!(told(&world, &nested), Vec::<String>::new());
    // What is in effect already refuses nothing else.
    let world = World::open_with(mistyped.clone(), &[("A", 10)]);
    assert_eq!(told(&world, &mistyped), Vec::<String>::new());
}

fn fba() -> LocationId {
    LocationId::new("fba").expect("a name")
}

/// Ten of A. SET is one A, and Amazon may keep packed ones in its own warehouse.
fn with_fba() -> World {
    let mut policies = policies();
    policies.locations.push(fba());
    policies.channels.get_mut(&ch(AMZ)).expect("configured").own_location = Some(fba());
    let mut world = World::open_with(policies, &[("A", 10)]);
    world.list(SHOP, &["SET"]);
    world
}

/// Amazon tells of five SET in its own warehouse.
fn count_fba(world: &mut World) {
    let line = HandLine { location: fba(), ..by_hand::line("SET", 5, world.now) };
    let count = ByHand { by: Counter::Channel(ch(AMZ)), ..by_hand::by_hand(vec![line]) };
    assert_eq!(by_hand::run(world, count).opened, 1);
}

fn fba_of(world: &World, of: &str) -> [i64; 2] {
    let held = world.state.skus[&sku(of)].place(&fba()).map(|place| place.stock).unwrap_or_default();
    [held.on_hand.units(), held.committed.units()]
}

/// Whether Amazon has counted its own units before SET had a recipe, or after it was taken away.
#[track_caller]
fn check_fba(before: bool) {
    let mut world = with_fba();
    if before {
        world.list(ERP, &["SET"]);
        count_fba(&mut world);
    }
    world.run(Command::Recipes { rows: rows(&[("A", 1)]) }).expect("taken in");
    world.quiesce();
    assert_eq!(world.shows("SET", SHOP), 10);
    world.run(Command::Recipes { rows: rows(&[]) }).expect("taken out");
    world.quiesce();
    assert_eq!(world.shows("SET", SHOP), 0, "nothing of it lies where the shop sells from");
    sold(&mut world, "1", 3);
    if !before {
        count_fba(&mut world);
    }
    let why = judge(&world.state, &rows(&[("A", 1)]), &[None], false).expect_err("those would be set aside");
    let told = format!("{why:?}");
    assert!(told.contains("(5 on hand at `fba`)"), "{told}");
    world.run(Command::Recipes { rows: rows(&[("A", 1)]) }).expect("taken in");
    world.quiesce();
    assert_eq!((world.stock("A"), fba_of(&world, "A"), fba_of(&world, "SET")), ([10, 3, 0], [0, 0], [5, 0]));
    assert_eq!(world.shows("SET", SHOP), 7);
    world.index_is_true();
}

#[test]
fn what_a_channel_keeps_of_a_bundle_by_itself_is_neither_shown_elsewhere_nor_in_the_way_of_its_recipe() {
    check_fba(true);
    check_fba(false);
}
