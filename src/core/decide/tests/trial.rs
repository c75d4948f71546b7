//! What a change would do, and the brake on it.

use proptest::prelude::*;

use super::{
    outlets::{opened_as, store, two},
    world::{AMZ, ERP, SHOP, World, ch, ids, placed, policies, q, sku, wh},
};
use crate::{
    core::{
        Command, State,
        command::Count,
        decide::trial::{Effect, copy, try_out},
        leg::Look,
    },
    model::{
        CatalogueItem, CountLine, IdKind, LocationId, Policies, Timestamp,
        policy::{MappingRow, Mode, Override, Part},
    },
};

const NAMES: [&str; 6] = ["A", "B", "C", "D", "E", "F"];

/// Six SKUs of so many units each, shown everywhere.
fn world(units: i64) -> World {
    let mut world = World::open(&NAMES.map(|name| (name, units)));
    world.now += 60_000;
    world.quiesce();
    world
}

fn tried(world: &World, policies: Policies) -> Effect {
    tried_out(world, Command::Configure(Box::new(policies)))
}

/// Tries a command out on a copy of everything, and on one of what it may go by: both tell the same.
fn tried_out(world: &World, command: Command) -> Effect {
    let mut whole: State = world.state.clone();
    let now = Timestamp::from_millis(world.now);
    let commands = vec![command];
    let mut part = copy(&world.state, &commands);
    let effect = try_out(&mut whole, commands.clone(), now).expect("decided");
    assert_eq!(try_out(&mut part, commands, now).as_ref(), Ok(&effect));
    effect
}

/// What would change on the shop, by SKU: what it shows and what it will show.
fn told(effect: &Effect) -> Vec<(&str, i64, i64)> {
    let some = effect.channels.get(&ch(SHOP)).map(|moved| moved.some.as_slice()).unwrap_or_default();
    some.iter().map(|of| (of.listing.sku.as_str(), of.shows.units(), of.will_show.units())).collect()
}

/// `lowered raised zeroed` on the shop, and whether the brake holds it.
#[track_caller]
fn check(change: impl FnOnce(&mut Policies), want: [usize; 3], held: bool) {
    let world = world(10);
    let mut changed = policies();
    change(&mut changed);
    let effect = tried(&world, changed);
    let moved = effect.channels.get(&ch(SHOP)).cloned().unwrap_or_default();
    assert_eq!([moved.lowered, moved.raised, moved.zeroed], want, "{effect:?}");
    assert_eq!(effect.held(&policies().brake).is_some(), held, "{:?}", effect.held(&policies().brake));
}

#[test]
fn a_configuration_is_judged_channel_by_channel() {
    let buffer =
        |units: i64| move |p: &mut Policies| p.channels.get_mut(&ch(SHOP)).expect("it").buffer = q(units);
    check(|_| {}, [0, 0, 0], false);
    check(buffer(1), [6, 0, 0], false);
    check(buffer(6), [6, 0, 0], true); // moves more than half of the units
    check(buffer(10), [6, 0, 6], true);
    check(|p| p.allocation.safety_stock = q(10), [6, 0, 6], true);
    check(|p| p.channels.get_mut(&ch(AMZ)).expect("it").buffer = q(10), [0, 0, 0], true);
    check(|p| p.retry.base_ms = 5, [0, 0, 0], false);
    let one = |name: &str| Override {
        sku: sku(name),
        channel: None,
        safety_stock: None,
        buffer: Some(q(99)),
        min: None,
        max: None,
    };
    check(move |p| p.overrides = vec![one("A")], [1, 0, 1], false);
    check(move |p| p.overrides = NAMES.map(one).to_vec(), [6, 0, 6], true);
    // Fewer than `min_skus` are never held.
    check(move |p| p.overrides = vec![one("A"), one("B")], [2, 0, 2], false);
    check(move |p| p.overrides = vec![one("A"), one("B"), one("C")], [3, 0, 3], true);
}

#[test]
fn nothing_moves_in_shadow_mode_and_going_live_is_judged_by_what_is_shown() {
    check(|p| (p.mode, p.allocation.safety_stock) = (Mode::Shadow, q(10)), [0, 0, 0], false);
    let mut shadow = Policies { mode: Mode::Shadow, ..policies() };
    shadow.allocation.safety_stock = q(10);
    let mut world = world(10);
    world.run(Command::Configure(Box::new(shadow.clone()))).expect("configured");
    let effect = tried(&world, Policies { mode: Mode::Live, ..shadow });
    assert_eq!(effect.channels[&ch(SHOP)].zeroed, 6, "{effect:?}");
    assert!(effect.held(&policies().brake).is_some_and(|why| why.contains("on `shop`")));
}

/// Until its orders are read past the look, what a channel shows is not believed; but it is there to be zeroed.
#[test]
fn going_live_is_judged_by_what_was_read_though_its_orders_were_not() {
    let mut shadow = Policies { mode: Mode::Shadow, ..policies() };
    shadow.allocation.safety_stock = q(10);
    let mut world = world(10);
    world.run(Command::Configure(Box::new(shadow.clone()))).expect("configured");
    for name in NAMES {
        let at = usize::from(world.listing(name, SHOP).at);
        let look = Look::bare(q(7), Timestamp::from_millis(world.now), world.state.seq);
        let row = world.state.skus.get_mut(&sku(name)).expect("a SKU");
        row.listings[at].writes.base = None;
        row.listings[at].writes.look = Some(Box::new(look));
    }
    let effect = tried(&world, Policies { mode: Mode::Live, ..shadow });
    assert_eq!(effect.channels[&ch(SHOP)].zeroed, 6, "{effect:?}");
    assert!(effect.held(&policies().brake).is_some());
}

#[test]
fn a_channel_that_is_taken_out_leaves_its_listings_as_they_are() {
    let world = world(10);
    let mut changed = policies();
    changed.channels.remove(&ch(SHOP));
    let effect = tried(&world, changed);
    let moved = &effect.channels[&ch(SHOP)];
    assert_eq!([moved.left, moved.lowered, moved.zeroed], [6, 0, 0], "{effect:?}");
    assert_eq!(effect.held(&policies().brake), None);
}

#[test]
fn a_mapping_is_told_with_the_orders_it_books_and_those_are_never_held() {
    let mut world = world(10);
    let at = world.now;
    for (n, name) in NAMES.iter().enumerate() {
        let line = (ids(&[(IdKind::Sku, &format!("old-{name}"))]), [10, 0, 0, 0, 0]);
        world.push_snapshot(SHOP, placed(&n.to_string(), at, &[line]));
    }
    let row = |name: &&str| MappingRow {
        sku: sku(name),
        channel: ch(SHOP),
        ids: ids(&[(IdKind::Sku, &format!("old-{name}"))]),
    };
    let rows: Vec<MappingRow> = NAMES.iter().map(row).collect();
    let mut copy = world.state.clone();
    let map = vec![Command::Map { rows: rows.clone() }];
    let effect = try_out(&mut copy, map, Timestamp::from_millis(world.now)).expect("decided");
    assert_eq!((effect.mapped_lines, effect.mapped_orders, effect.bound), (6, 6, 0), "{effect:?}");
    assert_eq!(effect.channels[&ch(AMZ)].zeroed, 6, "all of it is sold");
    assert_eq!(effect.held(&policies().brake), None);
    assert_eq!(effect.mapped_units.len(), 6);
    assert!(effect.mapped_units.iter().all(|(_, units)| *units == q(10)), "{effect:?}");
    // What was told is what happens.
    world.run(Command::Map { rows }).expect("mapped");
    assert_eq!(world.stock("A"), [10, 10, 0]);
}

/// In shadow mode no listing is written, so none would change; the stock does.
#[test]
fn a_mapping_is_told_with_what_its_orders_take_off_sale_also_in_shadow_mode() {
    let mut world = world(10);
    world
        .run(Command::Configure(Box::new(Policies { mode: Mode::Shadow, ..policies() })))
        .expect("configured");
    for (order, units) in [("1", [2, 0, 0, 0, 0]), ("2", [3, 1, 0, 1, 0])] {
        world.push_snapshot(SHOP, placed(order, world.now, &[(ids(&[(IdKind::Sku, "old")]), units)]));
    }
    let row = MappingRow { sku: sku("B"), channel: ch(SHOP), ids: ids(&[(IdKind::Sku, "old")]) };
    let effect = tried_out(&world, Command::Map { rows: vec![row.clone()] });
    assert_eq!((effect.mapped_lines, effect.channels[&ch(SHOP)].lowered), (2, 0), "{effect:?}");
    assert_eq!(effect.mapped_units, [(sku("B"), q(4))]);
    world.run(Command::Map { rows: vec![row] }).expect("mapped");
    assert_eq!(world.state.skus[&sku("B")].stock[0].stock.available(), Ok(q(6)));
    assert_eq!(tried(&world, policies()).mapped_units, []);
}

fn recipes(names: &[&str], units: i64) -> Command {
    let part = || vec![Part { sku: sku("A"), units: q(units) }];
    Command::Recipes { rows: names.iter().map(|name| (sku(name), part())).collect() }
}

#[test]
fn recipes_are_judged_like_a_configuration() {
    let world = world(10);
    let effect = tried_out(&world, recipes(&["B", "C"], 11));
    assert_eq!((effect.changed, told(&effect)), (2, vec![("B", 10, 0), ("C", 10, 0)]));
    assert_eq!(effect.held(&policies().brake), None, "fewer than `min_skus`");
    let effect = tried_out(&world, recipes(&["B", "C", "D"], 11));
    assert!(effect.held(&policies().brake).is_some_and(|why| why.contains("3 of 6")));
    // One that makes as many as before changes nothing.
    let effect = tried_out(&world, recipes(&["B", "C", "D"], 1));
    assert_eq!((effect.changed, told(&effect), effect.held(&policies().brake)), (3, vec![], None));
}

#[test]
fn a_merge_is_told_with_what_it_books_and_with_every_listing() {
    let mut world = world(10);
    world.sell(SHOP, "1", "B", 3);
    world.quiesce();
    let merge = Command::Merge { from: sku("B"), into: sku("A") };
    let effect = tried_out(&world, merge.clone());
    let carried: i64 = effect.entries.iter().filter(|e| e.sku == sku("A")).map(|e| e.quantity.units()).sum();
    assert_eq!((effect.changed, carried), (1, 13), "ten on hand and three promised");
    assert_eq!(told(&effect), [("B", 7, 17), ("A", 10, 17)]);
    world.run(merge).expect("taken in");
    assert_eq!(world.stock("A"), [20, 3, 0]);
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 17);
}

#[test]
fn a_listing_that_is_given_to_another_sku_is_told_with_its_lines_and_its_quantity() {
    let mut world = world(10);
    world.sell(SHOP, "1", "A", 2);
    world.sell(SHOP, "2", "C", 1);
    world.quiesce();
    let rebind = Command::Rebind { channel: ch(SHOP), ids: World::ids_of(SHOP, "A"), sku: sku("B") };
    let effect = tried_out(&world, rebind.clone());
    assert_eq!((effect.changed, effect.bound), (2, 0), "the listing, and its line: {effect:?}");
    // Its own, under its new SKU, shows 8 as before; the one that B has had gives the sale back.
    assert_eq!(told(&effect), [("B", 10, 8)]);
    assert_eq!(effect.channels[&ch(SHOP)].left, 0);
    assert_eq!(effect.channels[&ch(AMZ)].some.len(), 2, "A rises and B falls there");
    world.run(rebind).expect("taken in");
    assert_eq!((world.stock("A"), world.stock("B")), ([10, 0, 0], [10, 2, 0]));
}

#[test]
fn a_listing_that_a_shop_has_at_two_locations_is_told_as_what_it_is_when_it_goes_to_another_sku() {
    let mut world = opened_as(two());
    world.list(ERP, &["B"]);
    let rebind =
        Command::Rebind { channel: ch(SHOP), ids: ids(&[(IdKind::InventoryItem, "i-A")]), sku: sku("B") };
    let nothing = try_out(&mut world.state.clone(), Vec::new(), Timestamp::from_millis(world.now));
    let shown = nothing.expect("nothing to refuse").channels[&ch(SHOP)].listings;
    let effect = tried_out(&world, rebind);
    assert_eq!((effect.changed, effect.bound), (2, 0), "{effect:?}");
    assert_eq!(effect.channels[&ch(SHOP)].listings, shown, "{effect:?}");
}

/// Six SKUs that the shop shows at both of its locations, ten and four of each.
fn at_two() -> World {
    let mut world = World::open_with(two(), &NAMES.map(|name| (name, 10)));
    let at = |name: &str, outlet: &str| World::ids_of(SHOP, name).and(&ids(&[(IdKind::Location, outlet)]));
    let items = NAMES.iter().flat_map(|name| ["5", "6"].map(|outlet| (*name, at(name, outlet))));
    let items = items.map(|(name, ids)| CatalogueItem { ids, ..World::item(SHOP, name) }).collect();
    world.catalogue(SHOP, items);
    let line = |name: &&str| CountLine { ids: World::ids_of(ERP, name), location: store(), quantity: q(4) };
    let lines = NAMES.iter().map(line).collect();
    let count = Count { opening: true, lines, ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    world.quiesce();
    world
}

/// One of a shop's locations that is emptied, or filled, is a catastrophe, however many others it has.
#[test]
fn a_configuration_is_judged_at_each_location_of_a_shop() {
    let world = at_two();
    let at_six = |change: fn(&mut Vec<LocationId>), units: i64| {
        let mut changed = two();
        changed.locations.push(LocationId::new("attic").expect("a name"));
        let shop = changed.channels.get_mut(&ch(SHOP)).expect("it");
        change(&mut shop.outlets[1].locations);
        shop.max = Some(q(units));
        tried(&world, changed)
    };
    // It shows 14 and not 4 at the second one, which is ten of fourteen: of six of twelve.
    let effect = at_six(|places| places.push(wh()), 99);
    let moved = &effect.channels[&ch(SHOP)];
    assert_eq!([moved.listings, moved.raised, moved.lowered], [12, 6, 0], "{effect:?}");
    let told = effect.held(&two().brake).expect("held");
    assert_eq!(told, "on `shop` at its location 6 it would move 60 units of 6 listings that show 24");
    assert_eq!(at_six(|_| {}, 10).held(&two().brake), None);
    // Where all of it is held, it is told once.
    let told = at_six(|_| {}, 0).held(&two().brake).expect("held");
    assert_eq!(told, "on `shop` it would set 12 of 12 listings to zero");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What a trial tells is what the change does, and the trial itself changes nothing.
    #[test]
    fn what_is_told_is_what_happens(safety in 0..12_i64, buffer in 0..12_i64, max in 0..12_i64, units in 0..20_i64) {
        let mut world = world(units);
        let mut changed = policies();
        changed.allocation.safety_stock = q(safety);
        let shop = changed.channels.get_mut(&ch(SHOP)).expect("it");
        (shop.buffer, shop.max) = (q(buffer), Some(q(max)));
        let before: Vec<i64> = NAMES.iter().map(|name| world.leg(name, SHOP).quantity.units()).collect();
        let rows = world.state.skus.clone();
        let effect = tried(&world, changed.clone());
        prop_assert_eq!(&world.state.skus, &rows);
        world.run(Command::Configure(Box::new(changed))).expect("configured");
        let after: Vec<i64> = NAMES.iter().map(|name| world.leg(name, SHOP).quantity.units()).collect();
        let count = |is: fn(i64, i64) -> bool| before.iter().zip(&after).filter(|(b, a)| is(**b, **a)).count();
        let moved = effect.channels.get(&ch(SHOP)).cloned().unwrap_or_default();
        prop_assert_eq!(moved.lowered, count(|b, a| a < b));
        prop_assert_eq!(moved.raised, count(|b, a| a > b));
        prop_assert_eq!(moved.zeroed, count(|b, a| b > 0 && a == 0));
    }
}

#[test]
fn a_held_configuration_is_alerted_until_one_is_in_effect() {
    let mut world = world(10);
    let why = || "on `shop` it would set 6 of 6 SKUs to zero".to_owned();
    world.run(Command::HoldConfig { why: why() }).expect("held");
    world.run(Command::Tick).expect("ticked");
    world.same_rows();
    let alert = world.state.alerts.values().find(|alert| alert.text.contains(&why())).expect("it fires");
    assert!(alert.text.contains("evenkeel reload --confirm"), "{}", alert.text);
    // The file was put back: what is in effect stays, and nothing is held.
    world.run(Command::Configure(Box::new(policies()))).expect("configured");
    assert_eq!(world.state.held_config, None);
    world.run(Command::Tick).expect("ticked");
    assert!(world.state.alerts.values().all(|alert| !alert.firing));
    world.same_rows();
}

#[test]
fn a_listing_that_changes_is_told_with_the_places_that_it_draws_from() {
    let world = opened_as(two());
    let mut changed = two();
    changed.channels.get_mut(&ch(SHOP)).expect("it").buffer = q(4);
    let effect = tried(&world, changed);
    let some = effect.channels[&ch(SHOP)].some.iter();
    let told: Vec<_> = some
        .map(|of| {
            let places: Vec<&str> = of.locations.iter().map(|place| place.as_str()).collect();
            (of.listing.sku.as_str(), places, of.shows.units(), of.will_show.units())
        })
        .collect();
    let (here, there) = (("A", vec![wh().as_str().to_owned()], 10, 6), ("A", vec!["store".to_owned()], 4, 0));
    let owned = told.iter().map(|(sku, places, shows, will)| {
        (*sku, places.iter().map(|place| (*place).to_owned()).collect::<Vec<_>>(), *shows, *will)
    });
    assert_eq!(owned.collect::<Vec<_>>(), [here, there], "{effect:?}");
}
