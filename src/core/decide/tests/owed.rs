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
        CatalogueItem, CountLine, IdKind, Identifiers, LocationId,
        policy::{Part, Recipe},
    },
};

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
            let receipt = Receipt { sku: None, to: None, quantity: Some(q(units)), lost };
            world.run(Command::Receive { id, receipt }).expect("received");
        };
        if lost < 4 {
            receive(&mut world, 4 - lost, lost > 0);
        } else {
            let receipt = Receipt { sku: None, to: None, quantity: None, lost: true };
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
    let receipt = Receipt { sku: None, to: None, quantity: None, lost: false };
    world.run(Command::Receive { id, receipt }).expect("received");
    world.run(Command::Tick).expect("ticks");
    assert_eq!(
        (world.oversells(), world.state.index.short.missing(&sku("A"))),
        (vec![(1, Class::Sync)], q(1))
    );
}
