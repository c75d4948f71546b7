//! Rows of the mapping table, and what shares an identifier with what they name.

use super::world::{AMZ, World, ch, ms, sku};
use crate::{
    core::{Command, Reply, decide::trial::try_out},
    model::{CatalogueItem, IdKind, Identifiers, policy::MappingRow},
};

fn item(code: &str, asin: &str) -> CatalogueItem {
    let ids = Identifiers::new([(IdKind::Sku, code), (IdKind::Asin, asin)]).expect("good");
    CatalogueItem { ids, ..World::item(AMZ, "A") }
}

#[test]
fn what_waits_for_what_a_row_names_is_bound_and_counted_with_it() {
    let mut world = World::open(&[("A", 10)]);
    let items = [("X-1", "B0SHARED01"), ("X-1-FBA", "B0SHARED01"), ("X-2", "B0OTHER001")];
    world.catalogue(AMZ, items.map(|(code, asin)| item(code, asin)).to_vec());
    assert_eq!(world.state.unmatched.len(), 3);
    // The one that is named comes after the one that shares its ASIN.
    let ids = Identifiers::new([(IdKind::Sku, "X-1-FBA")]).expect("good");
    let map = Command::Map { rows: vec![MappingRow { sku: sku("A"), channel: ch(AMZ), ids }] };
    let effect = try_out(&mut world.state.clone(), vec![map.clone()], ms(world.now)).expect("tried");
    let mut found: Vec<_> =
        effect.found.iter().map(|(_, of, ids)| (of.as_str(), ids.get(IdKind::Sku))).collect();
    found.sort_unstable();
    assert_eq!((effect.bound, &found[..]), (2, &[("A", Some("X-1")), ("A", Some("X-1-FBA"))][..]));
    let told = world.run(map).expect("mapped");
    assert!(matches!(told, Reply::Catalogue { bound: 2, unmatched: 1 }), "{told:?}");
    assert_eq!(world.state.unmatched.len(), 1);
}
