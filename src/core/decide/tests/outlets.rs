//! A shop with several of its own locations: each lists its own quantity of a SKU, and orders lie where they are told to.

use super::world::{AMZ, ERP, SHOP, World, ch, ids, key, ms, placed, policies, q, sku, totals, wh};
use crate::{
    core::{
        Command, allocation::shelves::Shelves, decide::listing::uncounted, ledger::Kind, state::ListingRef,
    },
    model::{
        CatalogueItem, CountLine, IdKind, Identifiers, Levels, LocationId, OrderSnapshot, Policies,
        policy::Outlet,
    },
};

pub(super) fn store() -> LocationId {
    LocationId::new("store").expect("a good name")
}

/// The shop's location 5 draws on the warehouse, 6 on the store; Amazon on both.
pub(super) fn two() -> Policies {
    let mut policies = policies();
    policies.locations = vec![wh(), store()];
    let shop = policies.channels.get_mut(&ch(SHOP)).expect("configured");
    shop.locations = vec![wh(), store()];
    shop.outlets = vec![
        Outlet { id: "5".to_owned(), locations: vec![wh()] },
        Outlet { id: "6".to_owned(), locations: vec![store()] },
    ];
    policies.channels.get_mut(&ch(AMZ)).expect("configured").locations = vec![wh(), store()];
    policies
}

fn at(of: &str, outlet: &str) -> Identifiers {
    World::ids_of(SHOP, of).and(&ids(&[(IdKind::Location, outlet)]))
}

/// Ten units in the warehouse and four in the store, shown at the shop's two locations and on Amazon.
pub(super) fn opened() -> World {
    opened_as(two())
}

pub(super) fn opened_as(policies: Policies) -> World {
    let mut world = World::open_with(policies, &[("A", 10)]);
    let item = |outlet: &str| CatalogueItem { ids: at("A", outlet), ..World::item(SHOP, "A") };
    world.catalogue(SHOP, vec![item("5"), item("6")]);
    let lines = vec![CountLine { ids: World::ids_of(ERP, "A"), location: store(), quantity: q(4) }];
    let count = crate::core::command::Count { opening: true, lines, ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    world.quiesce();
    world
}

/// Where nothing was counted that a listing draws on, it says so, whatever lies at the channel's other places.
#[test]
fn a_listing_is_uncounted_where_its_own_places_are() {
    let mut world = World::open_with(two(), &[("A", 10)]);
    let item = |outlet: &str| CatalogueItem { ids: at("A", outlet), ..World::item(SHOP, "A") };
    world.catalogue(SHOP, vec![item("5"), item("6")]);
    for (outlet, want) in [("5", vec![]), ("6", vec![store()])] {
        let row = &world.state.skus[&sku("A")];
        let (of, found) = (sku("A"), listing(&world, outlet));
        let mut shelves = Shelves::of(&world.state, &of, row);
        let held = &row.listings[usize::from(found.at)];
        let policies = world.state.policies().expect("configured");
        assert_eq!(uncounted(&mut shelves, policies, held), want, "{outlet}");
    }
}

/// The listing of A at one of the shop's locations.
pub(super) fn listing(world: &World, outlet: &str) -> ListingRef {
    let row = &world.state.skus[&sku("A")];
    let here = |ids: &Identifiers| ids.get(IdKind::Location) == Some(outlet);
    let found = row.listings.iter().position(|listing| here(&listing.ids)).expect("it is listed there");
    ListingRef { sku: sku("A"), at: u16::try_from(found).expect("few") }
}

pub(super) fn shown(world: &World) -> [i64; 3] {
    let shows = |channel: &str, listing: &ListingRef| world.markets[&ch(channel)].shows[listing];
    let [five, six] = ["5", "6"].map(|outlet| shows(SHOP, &listing(world, outlet)));
    [five, six, world.shows("A", AMZ)]
}

/// What the channel is believed to show at its two locations.
pub(super) fn bases(world: &World) -> [i64; 2] {
    let base = |outlet: &str| world.state.listing(&listing(world, outlet)).and_then(|held| held.writes.base);
    ["5", "6"].map(|outlet| base(outlet).expect("it is known").units())
}

/// `on_hand committed` in the warehouse, and in the store.
pub(super) fn stock(world: &World) -> [[i64; 2]; 2] {
    let row = &world.state.skus[&sku("A")];
    [wh(), store()].map(|at| {
        let stock = row.place(&at).map(|place| place.stock).unwrap_or_default();
        [stock.on_hand.units(), stock.committed.units()]
    })
}

pub(super) fn order(world: &World, units: [i64; 5], places: &[(LocationId, [i64; 5])]) -> OrderSnapshot {
    let mut order = placed("1", world.now, &[(World::ids_of(SHOP, "A"), units)]);
    let line = &mut order.lines[0];
    line.places = places.iter().map(|(place, units)| (place.clone(), totals(*units))).collect();
    line.location = line.places.first().map(|(place, _)| place.clone());
    order
}

pub(super) fn fetch(world: &mut World, order: OrderSnapshot) {
    let begun = world.state.seq;
    world.run(Command::Orders { channel: ch(SHOP), begun, orders: vec![order] }).expect("taken in");
}

#[test]
fn each_location_of_a_shop_shows_what_it_draws_on() {
    let mut world = opened();
    assert_eq!(shown(&world), [10, 4, 14]);
    assert_eq!(world.state.skus[&sku("A")].listings.iter().filter(|l| l.channel == ch(SHOP)).count(), 2);
    // Writes go to the place that the location stands for.
    let told = order(&world, [3, 0, 0, 0, 0], &[(store(), [3, 0, 0, 0, 0])]);
    fetch(&mut world, told);
    let locations: Vec<LocationId> =
        world.take(AMZ).puts.iter().map(|(_, put)| put.location.clone()).collect();
    assert_eq!(locations, [wh()]);
    world.index_is_true();
}

#[test]
fn a_sale_lowers_the_place_that_it_is_shipped_from_and_moves_with_it() {
    let mut world = opened();
    let six = listing(&world, "6");
    *world.market(SHOP).shows.get_mut(&six).expect("listed") -= 3;
    let first = order(&world, [3, 0, 0, 0, 0], &[(store(), [3, 0, 0, 0, 0])]);
    fetch(&mut world, first.clone());
    assert_eq!((stock(&world), bases(&world)), ([[10, 0], [4, 3]], [10, 1]));
    world.quiesce();
    assert_eq!(shown(&world), [10, 1, 11], "nothing was written where it was sold");

    // A person moves two of them to the warehouse: the shop lowers there, and raises here.
    let five = listing(&world, "5");
    world.now += 60_000;
    *world.market(SHOP).shows.get_mut(&five).expect("listed") -= 2;
    *world.market(SHOP).shows.get_mut(&six).expect("listed") += 2;
    let places = [(wh(), [2, 0, 0, 0, 0]), (store(), [1, 0, 0, 0, 0])];
    let moved = OrderSnapshot {
        version: ms(world.now),
        placed_at: first.placed_at,
        ..order(&world, [3, 0, 0, 0, 0], &places)
    };
    fetch(&mut world, moved);
    assert_eq!((stock(&world), bases(&world)), ([[10, 2], [4, 1]], [8, 3]));
    world.quiesce();
    assert_eq!(shown(&world), [8, 3, 11]);
    let kinds: Vec<(Kind, i64, String)> = world
        .journal
        .iter()
        .flat_map(|envelope| &envelope.records)
        .flat_map(|record| record.entries())
        .filter(|entry| entry.kind == Kind::Sale)
        .map(|entry| (entry.kind, entry.quantity.units(), entry.location.to_string()))
        .collect();
    let sale = |units: i64, place: &str| (Kind::Sale, units, place.to_owned());
    assert_eq!(kinds, [sale(3, "store"), sale(-2, "store"), sale(2, "wh")]);
}

#[test]
fn a_push_that_does_not_say_where_is_booked_at_once_and_moves_no_listing_until_that_is_known() {
    let mut world = opened();
    let pushed = order(&world, [3, 0, 0, 0, 0], &[]);
    world.push_snapshot(SHOP, pushed.clone());
    assert_eq!((stock(&world), bases(&world)), ([[10, 3], [4, 0]], [10, 4]));
    let told = order(&world, [3, 0, 0, 0, 0], &[(store(), [3, 0, 0, 0, 0])]);
    fetch(&mut world, told);
    assert_eq!((stock(&world), bases(&world)), ([[10, 0], [4, 3]], [10, 1]));
    // What comes by push afterwards is read, not booked: it would lie at the wrong place for a moment.
    let seq = world.state.seq;
    let shipped = OrderSnapshot { version: ms(world.now + 1), ..order(&world, [3, 0, 0, 3, 0], &[]) };
    world.push_snapshot(SHOP, shipped);
    assert_eq!(stock(&world), [[10, 0], [4, 3]]);
    assert!(world.state.orders[&key(SHOP, "1")].fetch_due.is_some_and(|due| due >= seq));
}

#[test]
fn what_is_shipped_and_sent_back_lies_where_the_shop_says() {
    let mut world = opened();
    let places = [(store(), [2, 0, 0, 2, 0]), (wh(), [1, 0, 0, 0, 1])];
    let told = order(&world, [3, 0, 0, 2, 1], &places);
    fetch(&mut world, told);
    // Two left the store's shelf; one came back to the warehouse, which also owes one.
    assert_eq!(stock(&world), [[11, 1], [2, 0]]);
    assert_eq!(bases(&world), [10, 2]);
}

#[test]
fn an_erp_with_both_places_is_told_that_a_line_has_moved() {
    let mut policies = two();
    policies.channels.get_mut(&ch(ERP)).expect("configured").locations = vec![wh(), store()];
    let mut world = World::open_with(policies, &[("A", 10)]);
    let told = order(&world, [3, 0, 0, 0, 0], &[(store(), [3, 0, 0, 0, 0])]);
    fetch(&mut world, told.clone());
    let lines = |world: &mut World| {
        let postings = world.postings();
        let line =
            |line: &crate::model::PostingLine| (line.location.to_string(), line.target.ordered.units());
        let lines: Vec<(String, i64)> =
            postings.iter().flat_map(|posting| posting.lines.iter().map(line)).collect();
        for posting in &postings {
            world.posted(posting, crate::model::Outcome::Applied);
        }
        lines
    };
    assert_eq!(lines(&mut world), [("store".to_owned(), 3)]);
    world.now += 60_000;
    let places = [(wh(), [3, 0, 0, 0, 0])];
    let moved = OrderSnapshot { version: ms(world.now), ..order(&world, [3, 0, 0, 0, 0], &places) };
    fetch(&mut world, OrderSnapshot { placed_at: told.placed_at, ..moved });
    // It is not only told of the new place: the old one is to hold nothing any more.
    assert_eq!(lines(&mut world), [("store".to_owned(), 0), ("wh".to_owned(), 3)]);
    assert_eq!(lines(&mut world), []);
    world.now += 60_000;
    let places = [(store(), [3, 0, 0, 0, 0])];
    let back = OrderSnapshot { version: ms(world.now), ..order(&world, [3, 0, 0, 0, 0], &places) };
    fetch(&mut world, OrderSnapshot { placed_at: told.placed_at, ..back });
    assert_eq!(lines(&mut world), [("store".to_owned(), 3), ("wh".to_owned(), 0)]);
}

#[test]
fn a_location_that_is_not_configured_any_more_is_not_written() {
    let mut world = opened();
    let mut policies = two();
    policies.channels.get_mut(&ch(SHOP)).expect("configured").outlets.truncate(1);
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    let told = order(&world, [1, 0, 0, 0, 0], &[(store(), [1, 0, 0, 0, 0])]);
    fetch(&mut world, told);
    let puts = world.take(SHOP).puts;
    assert!(puts.iter().all(|(listing_at, _)| *listing_at != listing(&world, "6")), "{puts:?}");
    // The catalogue, which now tells of one location without naming it, means the one that is left.
    world.list(SHOP, &["A"]);
    assert_eq!(world.state.skus[&sku("A")].listings.iter().filter(|l| l.channel == ch(SHOP)).count(), 2);
}

#[test]
fn a_look_means_the_listing_of_its_own_location() {
    let mut world = opened();
    let delivery = crate::model::DeliveryId::new("d").expect("good");
    let look = vec![ids(&[(IdKind::InventoryItem, "i-A"), (IdKind::Location, "6")])];
    let push = Command::Push { channel: ch(SHOP), delivery, orders: vec![], fetch: vec![], look };
    let crate::core::Reply::Pushed { look } = world.run(push).expect("taken") else { panic!("not pushed") };
    assert_eq!(look.into_iter().map(|(at, _)| at).collect::<Vec<_>>(), [listing(&world, "6")]);
    // The catalogue of one location says nothing of the other.
    let item = CatalogueItem { ids: at("A", "6"), levels: Some(Levels::of(q(4))), ..World::item(SHOP, "A") };
    world.catalogue(SHOP, vec![item]);
    assert_eq!(bases(&world), [10, 4]);
}

#[test]
fn a_thing_is_the_same_sku_at_all_locations() {
    let mut world = opened();
    world.list(ERP, &["B"]);
    let rebind =
        Command::Rebind { channel: ch(SHOP), ids: ids(&[(IdKind::InventoryItem, "i-A")]), sku: sku("B") };
    world.run(rebind).expect("taken in");
    let of = |of: &str| {
        let row = &world.state.skus[&sku(of)];
        row.listings.iter().filter(|l| l.channel == ch(SHOP) && !l.ids.is_empty()).count()
    };
    assert_eq!((of("A"), of("B")), (0, 2));
    assert_eq!(world.state.table.len(), 1, "the mapping says so once, for every location");
    assert_eq!(world.state.table[0].ids, World::ids_of(SHOP, "A"));
    world.index_is_true();
}

/// A line's totals, how they lie, where the rest is taken to, and what the shop shows then.
type Stage = ([i64; 5], Vec<(LocationId, [i64; 5])>, LocationId, [i64; 2]);

/// Four are sold at the first place, two of them go to the second, both of those and one of the others are shipped, and the last is not
/// there.
fn not_there() -> [Stage; 4] {
    [
        ([4, 0, 0, 0, 0], vec![(wh(), [4, 0, 0, 0, 0])], wh(), [6, 4]),
        ([4, 0, 0, 0, 0], vec![(wh(), [2, 0, 0, 0, 0]), (store(), [2, 0, 0, 0, 0])], store(), [8, 2]),
        ([4, 0, 0, 3, 0], vec![(wh(), [2, 0, 0, 1, 0]), (store(), [2, 0, 0, 2, 0])], store(), [8, 2]),
        ([4, 0, 1, 3, 0], vec![(wh(), [1, 0, 0, 1, 0]), (store(), [2, 0, 0, 2, 0])], store(), [8, 2]),
    ]
}

#[test]
fn a_unit_that_is_not_there_is_written_off_where_it_was_still_open() {
    let mut world = opened();
    let placed_at = ms(world.now);
    for (units, places, unplaced_at, shown_there) in not_there() {
        world.now += 60_000;
        for (outlet, units) in ["5", "6"].into_iter().zip(shown_there) {
            let listing = listing(&world, outlet);
            *world.market(SHOP).shows.get_mut(&listing).expect("listed") = units;
        }
        let mut told = OrderSnapshot { version: ms(world.now), placed_at, ..order(&world, units, &places) };
        told.lines[0].unplaced_at = Some(unplaced_at);
        fetch(&mut world, told);
        assert_eq!(bases(&world), shown_there);
        world.quiesce();
        assert_eq!(shown(&world)[..2], shown_there, "nothing is written over the shop's right numbers");
    }
    assert_eq!(stock(&world), [[8, 0], [2, 0]]);
    world.index_is_true();
}
