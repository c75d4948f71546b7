//! Whose stock a line sells, where the order does not say who ships it.

use super::world::{AMZ, World, ch, ids, key, placed, policies, sku, wh};
use crate::{
    core::Command,
    model::{CatalogueItem, FulfilledBy, IdKind, Identifiers, LocationId, policy::MappingRow},
};

fn listed(by: FulfilledBy, seller_sku: &str) -> CatalogueItem {
    let ids = ids(&[(IdKind::Sku, seller_sku), (IdKind::Asin, "B0-A")]);
    CatalogueItem { ids, by, ..World::item(AMZ, "A") }
}

/// A world in which `A` is also listed so on Amazon.
fn world(more: &[CatalogueItem]) -> World {
    let mut world = World::open(&[("A", 10)]);
    world.catalogue(AMZ, more.to_vec());
    world
}

fn sell(world: &mut World, bought: &Identifiers, by: FulfilledBy) {
    world.now += 1;
    let mut order = placed("o", world.now, &[(bought.clone(), [2, 0, 0, 0, 0])]);
    order.lines[0].by = by;
    world.push_snapshot(AMZ, order);
}

/// What was sold, where no source says who ships it -> the units promised, and whether a person is alerted.
#[track_caller]
fn check(more: &[CatalogueItem], bought: &Identifiers, committed: i64, alerted: bool) {
    let mut world = world(more);
    sell(&mut world, bought, FulfilledBy::Unknown);
    world.run(Command::Tick).expect("a tick");
    let unmapped = |key: &crate::core::state::AlertKey| key.kind.name() == "unmapped";
    let got = (world.stock("A")[1], world.state.alerts.keys().any(unmapped));
    assert_eq!(got, (committed, alerted), "{bought} with {more:?}");
}

#[test]
fn the_listing_tells_and_otherwise_nothing_is_guessed() {
    use FulfilledBy::{Channel, Unknown};
    let sku = |text| ids(&[(IdKind::Sku, text), (IdKind::Asin, "B0-A")]);
    check(&[], &sku("A"), 2, false);
    check(&[listed(Channel, "A-FBA")], &sku("A"), 2, false);
    check(&[listed(Channel, "A-FBA")], &sku("A-FBA"), 0, false);
    check(&[listed(Channel, "A")], &sku("A"), 0, false);
    check(&[listed(Unknown, "A")], &sku("A"), 0, true);
    // Not listed under this SKU, as far as is known: what shares its ASIN says nothing.
    check(&[], &sku("A-NEW"), 0, true);
    let asin = ids(&[(IdKind::Asin, "B0-A")]);
    check(&[], &asin, 2, false);
    check(&[listed(Channel, "A-FBA")], &asin, 0, true);
}

#[test]
fn a_line_that_waits_is_booked_when_the_order_or_the_catalogue_tells() {
    use FulfilledBy::{Channel, Merchant, Unknown};
    let new = ids(&[(IdKind::Sku, "A-NEW"), (IdKind::Asin, "B0-A")]);
    for (by, committed) in [(Merchant, 2), (Channel, 0)] {
        let mut told = world(&[]);
        sell(&mut told, &new, Unknown);
        assert!(told.state.orders[&key(AMZ, "o")].lines.values().all(|line| line.is_unmapped()));
        sell(&mut told, &new, by);
        assert_eq!(told.stock("A")[1], committed);

        let mut read = world(&[]);
        sell(&mut read, &new, Unknown);
        read.catalogue(AMZ, vec![listed(by, "A-NEW")]);
        read.run(Command::Take { channel: ch(AMZ), limit: 1, apart: 4 }).expect("work is taken");
        assert_eq!(read.stock("A")[1], committed);
        assert!(read.state.orders[&key(AMZ, "o")].lines.values().all(|line| !line.is_unmapped()));
        // What the order says itself counts more than its listing.
        sell(&mut read, &new, Channel);
        assert_eq!(read.stock("A")[1], 0);
    }
}

/// What Amazon ships was sold before it was said what SKU that is: what is open of it is promised where Amazon keeps it, as soon as
/// somebody says so. What has left is booked by no one: the next count of that place tells.
#[test]
fn open_units_of_the_channels_own_stock_are_promised_once_their_sku_is_known() {
    let fba = LocationId::new("fba").expect("a name");
    for (units, committed, waits) in [([2, 0, 0, 0, 0], 2, true), ([2, 0, 0, 2, 0], 0, false)] {
        let mut policies = policies();
        policies.locations = vec![wh(), fba.clone()];
        policies.channels.get_mut(&ch(AMZ)).expect("configured").own_location = Some(fba.clone());
        let mut world = World::open_with(policies, &[("A", 10)]);
        let odd = ids(&[(IdKind::Sku, "A-FBA")]);
        world.now += 1;
        let mut order = placed("o", world.now, &[(odd.clone(), units)]);
        order.lines[0].by = FulfilledBy::Channel;
        world.push_snapshot(AMZ, order);
        let order = world.state.orders[&key(AMZ, "o")].clone();
        assert_eq!(order.lines.values().any(|line| order.waits(line)), waits);
        assert!(order.lines.values().all(|line| !line.is_unmapped()), "nobody is asked");
        let row = MappingRow { sku: sku("A"), channel: ch(AMZ), ids: odd };
        world.run(Command::Map { rows: vec![row] }).expect("maps");
        world.run(Command::Tick).expect("rechecks");
        let place = world.state.skus[&sku("A")].place(&fba).map(|place| place.stock.committed.units());
        assert_eq!((place.unwrap_or_default(), world.stock("A")), (committed, [10, 0, 0]), "{units:?}");
        world.index_is_true();
    }
}
