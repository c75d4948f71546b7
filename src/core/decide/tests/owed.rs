//! Several places that are drawn on together: what is short at one is not for sale at the others.

use super::{
    intents::{open, phase, until},
    outlets::{fetch, opened, order, shown, stock, store, two},
    world::{AMZ, ERP, Market, SHOP, World, ch, ids, placed, q, sku, wh},
};
use crate::{
    core::{
        Command, Record,
        command::Count,
        explain::{Fact, Story, Subject},
        intent::{
            Phase,
            ask::{Ask, Receipt, Row, What},
        },
        oversold::Class,
    },
    model::{
        CatalogueItem, CountLine, FulfilledBy, IdKind, Identifiers, LocationId, Policies,
        policy::{Part, Recipe, Returns},
    },
};

/// All is read that Amazon may have sold from where it drew before.
fn read_on(world: &mut World) {
    world.now += 2 * 86_400_000;
    world.feed(AMZ);
}

/// Amazon sells, and does not say where from: it is booked at the first place that it draws on.
fn amazon_sells(world: &mut World, id: &str, of: &str, units: i64) {
    let told = placed(id, world.now, &[(World::ids_of(AMZ, of), [units, 0, 0, 0, 0])]);
    let begun = world.state.seq;
    let command = Command::Orders { channel: ch(AMZ), begun, orders: vec![told] };
    world.run(command).expect("taken in");
    let listing = world.listing(of, AMZ);
    *world.market(AMZ).shows.get_mut(&listing).expect("listed") -= units;
}

#[test]
fn what_amazon_sold_beyond_the_first_place_is_not_for_sale_at_the_others() {
    let mut world = opened();
    assert_eq!(shown(&world), [10, 4, 14]);
    amazon_sells(&mut world, "9", "A", 9);
    world.quiesce();
    assert_eq!(shown(&world), [1, 4, 5], "the warehouse has it all");
    amazon_sells(&mut world, "10", "A", 3);
    world.quiesce();
    assert_eq!(shown(&world), [0, 2, 2], "two of the store's are owed");
    assert_eq!(told(&world, "A"), ["shop 2 of 2 owed"]);
    // What the store sells itself leaves as many owed.
    let sold = order(&world, [2, 0, 0, 0, 0], &[(store(), [2, 0, 0, 0, 0])]);
    let six = super::outlets::listing(&world, "6");
    *world.market(SHOP).shows.get_mut(&six).expect("listed") -= 2;
    fetch(&mut world, sold);
    world.quiesce();
    assert_eq!(shown(&world), [0, 0, 0]);
    // Two come back to the warehouse: nothing is owed any more.
    let lines = [(wh(), 12), (store(), 4)];
    let lines = lines.map(|(location, units)| CountLine {
        ids: World::ids_of(ERP, "A"),
        location,
        quantity: q(units),
    });
    world.run(Command::Count(Count { lines: lines.into(), ..world.count_of(ERP, &[]) })).expect("counted");
    world.quiesce();
    assert_eq!(shown(&world), [0, 2, 2]);
    assert_eq!(told(&world, "A"), ["shop 2 of 2 owed", "shop 0 of 2 owed"]);
}

/// A listing of a bundle joins places that nobody drew on together before: what is short at one is owed by the other from
/// then on, wherever the component itself is sold.
#[test]
fn a_new_listing_of_a_bundle_lowers_what_its_component_shows_elsewhere() {
    let (web, mut policies) = (ch("web"), two());
    policies.channels.insert(web.clone(), policies.channels[&ch(AMZ)].clone());
    policies.channels.get_mut(&ch(AMZ)).expect("configured").locations = vec![wh()];
    let parts = vec![Part { sku: sku("A"), units: q(1) }];
    policies.bundles = vec![Recipe { bundle: sku("B"), parts }];
    let mut world = opened();
    world.markets.insert(web.clone(), Market::default());
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    world.list(ERP, &["B"]);
    world.run(Command::Tick).expect("ticks");
    world.quiesce();
    read_on(&mut world);
    amazon_sells(&mut world, "9", "A", 12);
    world.quiesce();
    assert_eq!(shown(&world)[..2], [0, 4], "nobody draws on both");
    world.list("web", &["B"]);
    world.quiesce();
    assert_eq!((shown(&world)[1], world.shows("B", "web")), (2, 2));
}

/// What is told of units that are owed, of the commits of a SKU.
fn told(world: &World, of: &str) -> Vec<String> {
    let mut story = Story::of(Subject::Sku(sku(of)));
    for (n, envelope) in world.journal.iter().enumerate() {
        story.add(crate::model::Seq(n as u64 + 1), envelope);
    }
    let events = story.events().expect("it has a story");
    let legs = events
        .filter_map(|event| if let Fact::Commit { legs, .. } = &event.fact { Some(legs) } else { None });
    let owed = legs.flatten().filter(|leg| !leg.owed.is_zero());
    owed.map(|leg| format!("{} {} of {} owed", leg.channel, leg.quantity, leg.owed)).collect()
}

#[test]
fn bundles_are_made_of_what_is_not_owed() {
    let mut world = opened();
    world.list(SHOP, &["A"]);
    let mut policies = two();
    policies.bundles = vec![crate::model::policy::Recipe {
        bundle: sku("B"),
        parts: vec![crate::model::policy::Part { sku: sku("A"), units: q(2) }],
    }];
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    world.list(ERP, &["B"]);
    let at = |outlet: &str| World::ids_of(SHOP, "B").and(&ids(&[(IdKind::Location, outlet)]));
    let item = |ids: Identifiers| CatalogueItem { ids, ..World::item(SHOP, "B") };
    world.catalogue(SHOP, vec![item(at("5")), item(at("6"))]);
    world.list(AMZ, &["B"]);
    world.run(Command::Tick).expect("ticks");
    world.quiesce();
    let wanted = |world: &World| -> Vec<i64> {
        let row = &world.state.skus[&sku("B")];
        row.listings.iter().filter_map(|held| held.leg.as_ref()).map(|leg| leg.quantity.units()).collect()
    };
    assert_eq!(wanted(&world), [5, 2, 7]);
    // Six bundles take twelve, of which the warehouse has ten.
    amazon_sells(&mut world, "9", "B", 6);
    world.quiesce();
    assert_eq!(wanted(&world), [0, 1, 1]);
    assert_eq!(shown(&world), [0, 2, 2]);
}

#[test]
fn what_nobody_sells_from_both_is_not_owed() {
    let mut policies = two();
    policies.channels.get_mut(&ch(AMZ)).expect("configured").locations = vec![wh()];
    let mut world = opened();
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    world.run(Command::Tick).expect("ticks");
    world.quiesce();
    read_on(&mut world);
    amazon_sells(&mut world, "9", "A", 12);
    world.quiesce();
    assert_eq!(shown(&world)[..2], [0, 4]);
    let owed = |record: &Record| matches!(record, Record::Commit { owed, .. } if !owed.is_empty());
    assert!(!world.journal.iter().flat_map(|envelope| &envelope.records).any(owed));
}

fn depot() -> LocationId {
    LocationId::new("depot").expect("a good name")
}

/// Amazon has sold two more than the warehouse has, which are owed by the store: of its four.
fn two_are_owed() -> World {
    let mut world = opened();
    let mut policies = two();
    policies.locations.push(depot());
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    let lines = vec![CountLine { ids: World::ids_of(ERP, "A"), location: depot(), quantity: q(0) }];
    let count = Count { opening: true, lines, ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    world.quiesce();
    amazon_sells(&mut world, "9", "A", 12);
    world.quiesce();
    world
}

fn from_store(to: LocationId, units: i64) -> Ask {
    let what = What::Move { sku: sku("A"), quantity: q(units), from: store(), to };
    Ask { rows: vec![Row { line: None, what }], ..Ask::default() }
}

#[test]
fn units_that_are_owed_to_another_place_travel_only_by_force() {
    let mut world = two_are_owed();
    for (to, units) in [(wh(), 3), (wh(), 4), (depot(), 3)] {
        let asked = Ask { travels: true, ..from_store(to, units) };
        let why = world.run(Command::Intend(Box::new(asked))).expect_err("refused").to_string();
        assert!(why.contains("only 2 units of `A` at `store` are free") && why.contains("--force"), "{why}");
    }
    let id = open(&mut world, Ask { travels: true, ..from_store(wh(), 2) });
    until(&mut world, id, Phase::InTransit);
    assert_eq!((stock(&world), world.oversells()), ([[10, 12], [2, 0]], vec![]));
}

#[test]
fn on_paper_units_go_to_the_place_that_they_are_owed_to_and_to_no_other() {
    let mut world = two_are_owed();
    let why = world.run(Command::Intend(Box::new(from_store(depot(), 3)))).expect_err("refused").to_string();
    assert!(why.contains("only 2 units of `A` at `store` are free"), "{why}");
    let id = open(&mut world, from_store(wh(), 4));
    until(&mut world, id, Phase::Done);
    world.quiesce();
    assert_eq!((stock(&world), shown(&world), world.oversells()), ([[14, 12], [0, 0]], [2, 0, 2], vec![]));
}

#[test]
fn sold_units_that_travel_are_on_their_way_and_missing_only_if_they_are_lost() {
    for lost in [0, 1, 4] {
        let mut world = two_are_owed();
        let id = open(&mut world, Ask { travels: true, force: true, ..from_store(wh(), 4) });
        until(&mut world, id, Phase::InTransit);
        assert_eq!((stock(&world), world.oversells()), ([[10, 12], [0, 0]], vec![]));
        let receive = |world: &mut World, units: i64, lost: bool| {
            let receipt = Receipt { quantity: Some(q(units)), lost, ..Receipt::default() };
            world.run(Command::Receive { id, receipt }).expect("received");
        };
        if lost < 4 {
            receive(&mut world, 4 - lost, lost > 0);
        } else {
            let receipt = Receipt { lost: true, ..Receipt::default() };
            world.run(Command::Receive { id, receipt }).expect("lost");
        }
        until(&mut world, id, Phase::Done);
        let missing = if lost == 4 { vec![(2, Class::Physical)] } else { vec![] };
        assert_eq!((phase(&world, id), world.oversells()), (Phase::Done, missing), "{lost}");
        world.run(Command::Tick).expect("ticks");
        assert_eq!(world.state.oversold.len(), usize::from(lost == 4));
        world.index_is_true();
    }
}

/// What was oversold before units travel stays so, by as many units, until they are made good.
#[test]
fn what_is_oversold_is_neither_more_nor_less_while_units_travel() {
    let mut world = two_are_owed();
    amazon_sells(&mut world, "10", "A", 3);
    assert_eq!(world.oversells(), [(1, Class::Sync)]);
    let id = open(&mut world, Ask { travels: true, force: true, ..from_store(wh(), 4) });
    until(&mut world, id, Phase::InTransit);
    world.run(Command::Tick).expect("ticks");
    assert_eq!(world.state.index.short.missing(&sku("A")), q(1));
    let receipt = Receipt::default();
    world.run(Command::Receive { id, receipt }).expect("received");
    world.run(Command::Tick).expect("ticks");
    assert_eq!(
        (world.oversells(), world.state.index.short.missing(&sku("A"))),
        (vec![(1, Class::Sync)], q(1))
    );
}

/// Amazon draws on these places, or is not configured.
fn with_amazon_at(places: Option<Vec<LocationId>>) -> Policies {
    let mut policies = two();
    match places {
        Some(places) => policies.channels.get_mut(&ch(AMZ)).expect("configured").locations = places,
        None => drop(policies.channels.remove(&ch(AMZ))),
    }
    policies
}

/// What the shop is to show at its two locations.
fn aims(world: &World) -> [i64; 2] {
    let aim = |outlet: &str| world.state.listing(&super::outlets::listing(world, outlet));
    ["5", "6"].map(|outlet| aim(outlet).and_then(|held| held.leg.as_ref()).expect("it").quantity.units())
}

fn configure(world: &mut World, places: Option<Vec<LocationId>>) {
    world.run(Command::Configure(Box::new(with_amazon_at(places)))).expect("configures");
    world.run(Command::Tick).expect("ticks");
    world.same_rows();
}

/// Configurations one after the other, each with where Amazon draws from -> what is owed by the store stays so.
#[track_caller]
fn check_owed(each: &[Option<Vec<LocationId>>]) {
    let mut world = opened();
    amazon_sells(&mut world, "9", "A", 12);
    world.quiesce();
    for places in each {
        configure(&mut world, places.clone());
        assert_eq!((aims(&world), world.oversells()), ([0, 2], vec![]), "{places:?}");
    }
}

#[test]
fn what_a_channel_sold_is_owed_by_where_it_sold_it_from_when_it_draws_there_no_more() {
    let both = || Some(vec![wh(), store()]);
    check_owed(&[None]);
    check_owed(&[None, both(), None]);
    check_owed(&[None, Some(vec![wh()]), None]);
    check_owed(&[Some(vec![wh()]), Some(vec![wh()])]);
    check_owed(&[Some(vec![store()]), None, both()]);
}

#[test]
fn what_was_sold_before_a_channel_drew_on_less_is_owed_also_where_it_is_told_after() {
    let mut world = opened();
    amazon_sells(&mut world, "8", "A", 1);
    world.quiesce();
    configure(&mut world, Some(vec![wh()]));
    assert_eq!(aims(&world), [9, 4]);
    amazon_sells(&mut world, "9", "A", 11);
    assert_eq!(aims(&world), [0, 2]);
}

/// The places that Amazon drew on together and does not any more.
fn drew_on(world: &World) -> Vec<Vec<LocationId>> {
    world.state.channels[&ch(AMZ)].drew().map(<[LocationId]>::to_vec).collect()
}

/// Units of both places are sold, and the configuration changes before that is read.
#[track_caller]
fn check_unread(sold_before: i64, placed_after: i64) {
    let mut world = opened();
    if sold_before > 0 {
        amazon_sells(&mut world, "8", "A", sold_before);
        world.quiesce();
    }
    let placed_at = world.now + placed_after;
    world.now += 1_000;
    configure(&mut world, Some(vec![wh()]));
    // What was read by then may lack what was sold just before.
    world.feed(AMZ);
    world.now += placed_after + 1_000;
    configure(&mut world, Some(vec![wh()]));
    let lines = [(World::ids_of(AMZ, "A"), [12 - sold_before, 0, 0, 0, 0])];
    let told = placed("9", placed_at, &lines);
    let begun = world.state.seq;
    world.run(Command::Orders { channel: ch(AMZ), begun, orders: vec![told] }).expect("taken in");
    assert_eq!(aims(&world), [0, 2], "12 of 14 are sold");
}

#[test]
fn what_was_sold_and_not_read_yet_is_owed_when_its_channel_draws_on_less() {
    check_unread(0, 0);
    check_unread(1, 0);
    check_unread(0, 60_000);
}

/// Where orders of others are open all the time, what was drawn on is forgotten all the same.
#[test]
fn what_was_drawn_on_is_forgotten_once_all_that_was_sold_so_is_over() {
    let mut world = opened();
    amazon_sells(&mut world, "8", "A", 1);
    configure(&mut world, Some(vec![wh()]));
    let read = |world: &mut World| {
        world.now += 2 * 86_400_000;
        let told = placed("later", world.now, &[(World::ids_of(AMZ, "A"), [1, 0, 0, 0, 0])]);
        let begun = world.state.seq;
        world.run(Command::Orders { channel: ch(AMZ), begun, orders: vec![told] }).expect("taken in");
        world.feed(AMZ);
        drew_on(world)
    };
    assert_eq!(read(&mut world), [[wh(), store()]]);
    let shipped = placed("8", world.now, &[(World::ids_of(AMZ, "A"), [1, 0, 0, 1, 0])]);
    let begun = world.state.seq;
    world.run(Command::Orders { channel: ch(AMZ), begun, orders: vec![shipped] }).expect("taken in");
    assert_eq!((read(&mut world), stock(&world)), (vec![], [[9, 1], [4, 0]]));
}

/// Amazon has sold twelve, two of which the store owes.
fn owed() -> World {
    let mut world = opened();
    amazon_sells(&mut world, "9", "A", 12);
    world.quiesce();
    assert_eq!(aims(&world), [0, 2]);
    world
}

#[test]
fn what_a_listing_sold_is_owed_when_the_channel_ships_it_from_then_on() {
    let mut world = owed();
    let item = CatalogueItem { by: FulfilledBy::Channel, ..World::item(AMZ, "A") };
    world.catalogue(AMZ, vec![item]);
    world.run(Command::Tick).expect("ticks");
    assert_eq!(aims(&world), [0, 2]);
}

/// Six bundles of two A each, or twelve A, were sold by a channel that draws on both places, two units of which the store owes.
fn sold_by_web(bundle: bool) -> (World, Policies) {
    let (web, mut policies) = (ch("web"), two());
    policies.channels.insert(web.clone(), policies.channels[&ch(AMZ)].clone());
    policies.channels.get_mut(&ch(AMZ)).expect("configured").locations = vec![wh()];
    policies.bundles = made_of("A");
    let mut world = opened();
    world.markets.insert(web, Market::default());
    world.run(Command::Configure(Box::new(policies.clone()))).expect("configures");
    world.list(ERP, &["B", "C", "D"]);
    world.list("web", if bundle { &["B"] } else { &["A"] });
    world.run(Command::Tick).expect("ticks");
    world.quiesce();
    read_on(&mut world);
    web_tells(&mut world, bundle, 0);
    assert_eq!((aims(&world), stock(&world)), ([0, 2], [[10, 12], [4, 0]]));
    (world, policies)
}

/// B is two of this.
fn made_of(of: &str) -> Vec<Recipe> {
    let parts = vec![Part { sku: sku(of), units: q(2) }];
    vec![Recipe { bundle: sku("B"), parts }]
}

/// The bundle is made of C since.
fn made_of_something_else() -> World {
    let (mut world, mut policies) = sold_by_web(true);
    policies.bundles = made_of("C");
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    tick(&mut world);
    world.same_rows();
    world
}

fn tick(world: &mut World) {
    for _ in 0..5 {
        world.now += 1_000;
        world.run(Command::Tick).expect("ticks");
    }
}

/// What became of what the web has sold: so much of it was shipped.
fn web_tells(world: &mut World, bundle: bool, shipped: i64) {
    let (of, units) = if bundle { ("B", 6) } else { ("A", 12) };
    web_says(world, of, [units, 0, 0, shipped, 0]);
}

fn web_says(world: &mut World, of: &str, units: [i64; 5]) {
    let told = placed("9", world.now, &[(World::ids_of("web", of), units)]);
    let begun = world.state.seq;
    world.run(Command::Orders { channel: ch("web"), begun, orders: vec![told] }).expect("taken in");
}

#[test]
fn what_a_bundle_sold_is_owed_when_it_is_made_of_something_else() {
    let mut world = made_of_something_else();
    assert_eq!((aims(&world), stock(&world)), ([0, 2], [[10, 12], [4, 0]]));
    // It is forgotten once nothing of it is sold or short there.
    assert_eq!(world.state.skus[&sku("A")].drew.as_slice(), [[wh(), store()]]);
    web_says(&mut world, "B", [6, 6, 0, 0, 0]);
    assert_eq!((aims(&world), stock(&world)), ([10, 4], [[10, 0], [4, 0]]));
    assert!(world.state.skus[&sku("A")].drew.is_empty());
}

#[test]
fn what_a_merged_component_was_sold_from_is_owed_by_what_it_became_part_of() {
    let mut world = made_of_something_else();
    world.run(Command::Merge { from: sku("A"), into: sku("D") }).expect("taken in");
    world.run(Command::Tick).expect("ticks");
    world.same_rows();
    assert_eq!(aims(&world), [0, 2]);
    let drew = |world: &World, of: &str| world.state.skus[&sku(of)].drew.to_vec();
    assert_eq!((drew(&world, "A"), drew(&world, "D")), (vec![], vec![vec![wh(), store()]]));
    web_says(&mut world, "B", [6, 6, 0, 0, 0]);
    assert_eq!((aims(&world), drew(&world, "D")), ([10, 4], vec![]));
}

/// The listing of what was shipped beyond what lies there is given to another SKU: of what was shipped nothing is put back, and the
/// store owes two of it until the places are counted.
#[track_caller]
fn check_given(bundle: bool) {
    let (mut world, _) = sold_by_web(bundle);
    let units = if bundle { 6 } else { 12 };
    web_tells(&mut world, bundle, units);
    assert_eq!((aims(&world), stock(&world)), ([0, 2], [[-2, 0], [4, 0]]));
    let ids = World::ids_of("web", if bundle { "B" } else { "A" });
    world.run(Command::Rebind { channel: ch("web"), ids, sku: sku("C") }).expect("given");
    tick(&mut world);
    assert_eq!((aims(&world), stock(&world)), ([0, 2], [[-2, 0], [4, 0]]));
    let drew = |world: &World| world.state.skus[&sku("A")].drew.to_vec();
    assert_eq!(drew(&world), [[wh(), store()]]);
    world.same_rows();
    world.index_is_true();
    world.post_all();
    world.now += 1_000;
    let line = |(location, units)| CountLine { ids: World::ids_of(ERP, "A"), location, quantity: q(units) };
    let lines = [(wh(), 1), (store(), 2)].map(line).into();
    world.run(Command::Count(Count { lines, ..world.count_of(ERP, &[]) })).expect("counted");
    world.run(Command::Tick).expect("ticks");
    assert_eq!((aims(&world), drew(&world)), ([1, 2], vec![]));
}

#[test]
fn what_was_shipped_is_owed_also_when_its_listing_is_another_skus() {
    check_given(true);
    check_given(false);
}

#[test]
fn where_nothing_is_sold_or_short_any_more_a_listing_that_is_given_away_leaves_nothing_owed() {
    let (mut world, _) = sold_by_web(false);
    let (channel, ids) = (ch("web"), World::ids_of("web", "A"));
    world.run(Command::Rebind { channel, ids, sku: sku("C") }).expect("given");
    tick(&mut world);
    assert_eq!((aims(&world), stock(&world)), ([10, 4], [[10, 0], [4, 0]]));
    assert_eq!(world.state.skus[&sku("A")].drew.to_vec(), Vec::<Vec<LocationId>>::new());
}

/// What was shipped beyond what lies there came from the others too, until they are counted; and once nothing is sold there, or
/// short, it is forgotten what was drawn on.
#[test]
fn what_a_channel_drew_on_counts_while_anything_is_sold_or_short_there() {
    let mut world = opened();
    let drew = drew_on;
    let tell = |world: &mut World, units: [i64; 5]| {
        let told = placed("9", world.now, &[(World::ids_of(AMZ, "A"), units)]);
        let begun = world.state.seq;
        world.run(Command::Orders { channel: ch(AMZ), begun, orders: vec![told] }).expect("taken in");
    };
    tell(&mut world, [12, 0, 0, 12, 0]);
    configure(&mut world, Some(vec![wh()]));
    assert_eq!((aims(&world), drew(&world)), ([0, 2], vec![vec![wh(), store()]]));
    world.post_all();
    world.now += 1_000;
    let lines = [(wh(), 1), (store(), 2)];
    let line = |(location, units)| CountLine { ids: World::ids_of(ERP, "A"), location, quantity: q(units) };
    let count = Count { lines: lines.map(line).into(), ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("counted");
    world.quiesce();
    assert_eq!(aims(&world), [1, 2]);
    let returns = |returns| Policies { returns, ..with_amazon_at(Some(vec![wh()])) };
    world.run(Command::Configure(Box::new(returns(Returns::Ignore)))).expect("configures");
    world.same_rows();
    assert_eq!(drew(&world), [[wh(), store()]], "its orders are not read yet");
    read_on(&mut world);
    world.same_rows();
    assert_eq!(drew(&world), Vec::<Vec<LocationId>>::new());
}

#[test]
fn what_bundles_took_is_owed_when_their_channel_is_gone() {
    let mut world = opened();
    let recipe = Recipe { bundle: sku("B"), parts: vec![Part { sku: sku("A"), units: q(2) }] };
    let mut policies = Policies { bundles: vec![recipe], ..two() };
    world.run(Command::Configure(Box::new(policies.clone()))).expect("configures");
    world.list(ERP, &["B"]);
    world.list(AMZ, &["B"]);
    world.run(Command::Tick).expect("ticks");
    world.quiesce();
    amazon_sells(&mut world, "9", "B", 6);
    world.quiesce();
    assert_eq!(aims(&world), [0, 2]);
    policies.channels.remove(&ch(AMZ));
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    assert_eq!(aims(&world), [0, 2]);
}
