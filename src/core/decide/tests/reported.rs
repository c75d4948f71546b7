//! Rows of a report, which are of a moment that nobody can tell.

use super::world::{AMZ, ERP, SHOP, World, ch, ids, ms, q, sku};
use crate::{
    core::{Command, Record, Reply, state::Unmatched},
    model::{CatalogueItem, FulfilledBy, IdKind, Levels, policy::MappingRow},
};

fn row(code: &str, asin: &str, by: FulfilledBy, quantity: Option<i64>) -> CatalogueItem {
    CatalogueItem {
        ids: ids(&[(IdKind::Sku, code), (IdKind::Asin, asin)]),
        title: None,
        by,
        levels: quantity.map(|units| Levels::of(q(units))),
        unwritable: (by != FulfilledBy::Merchant).then(|| "not the merchant's".to_owned()),
    }
}

/// Has rows taken in. Returns how many are bound and unmatched, and the codes of those to be read again.
fn report(world: &mut World, rows: Vec<CatalogueItem>) -> (usize, usize, Vec<String>) {
    let told = world.run(Command::Reported { channel: ch(AMZ), rows }).expect("a report is read");
    let Reply::Reported { bound, unmatched, again } = told else { panic!("{told:?}") };
    let code = |ids: &crate::model::Identifiers| ids.get(IdKind::Sku).expect("a code").to_owned();
    (bound, unmatched, again.iter().map(code).collect())
}

fn lists(code: &str) -> String {
    format!("B0-{code}")
}

#[test]
fn what_is_as_known_changes_nothing_and_what_is_not_is_read_again() {
    use FulfilledBy::{Channel, Merchant, Unknown};
    #[track_caller]
    fn check(asin: &str, by: FulfilledBy, quantity: Option<i64>, doubted: bool) {
        let mut world = World::open(&[("A", 10)]);
        let (before, at) = (world.held("A", AMZ).clone(), world.state.seq);
        let again = if doubted { vec!["A".to_owned()] } else { vec![] };
        assert_eq!(report(&mut world, vec![row("A", asin, by, quantity)]), (1, 0, again));
        assert_eq!((world.held("A", AMZ), world.state.seq), (&before, at), "nothing is recorded");
    }
    let same = lists("A");
    check(&same, Merchant, Some(10), false);
    check(&same, Merchant, Some(9), true);
    check(&same, Merchant, Some(11), true);
    check(&same, Merchant, None, true);
    check("B0-OTHER", Merchant, Some(10), true);
    check(&same, Channel, None, true);
    check(&same, Unknown, None, true);
}

#[test]
fn where_nothing_is_known_since_a_restore_everything_is_read_again() {
    let mut world = World::open(&[("A", 10)]);
    let epoch = world.state.epoch + 1;
    world.inject(&Record::Started { epoch });
    for units in [10, 50] {
        let row = row("A", &lists("A"), FulfilledBy::Merchant, Some(units));
        assert_eq!(report(&mut world, vec![row]), (1, 0, vec!["A".to_owned()]), "{units}");
    }
}

#[test]
fn an_old_row_never_undoes_what_is_known_by_now() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "o1", "A", 4);
    world.quiesce();
    world.now += 60_000;
    assert_eq!(world.shows("A", AMZ), 6);
    let before = world.held("A", AMZ).clone();
    // As it was before that sale, and as it was in between.
    for units in [10, 8] {
        let again = vec!["A".to_owned()];
        assert_eq!(
            report(&mut world, vec![row("A", &lists("A"), FulfilledBy::Merchant, Some(units))]),
            (1, 0, again)
        );
    }
    assert_eq!((world.held("A", AMZ), world.shows("A", AMZ)), (&before, 6));
    assert!(world.held("A", AMZ).drift.is_none());
    // What is read again is as of now.
    let read = CatalogueItem { levels: Some(Levels::of(q(6))), ..World::item(AMZ, "A") };
    world.catalogue(AMZ, vec![read]);
    assert!(world.held("A", AMZ).drift.is_none());
}

#[test]
fn what_is_looked_at_anyway_is_not_read_again() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "o1", "A", 4);
    let rows = || vec![row("A", &lists("A"), FulfilledBy::Merchant, Some(10))];
    let work = world.take(AMZ);
    assert_eq!(world.leg("A", AMZ).name(), "in_flight");
    assert_eq!(report(&mut world, rows()), (1, 0, vec![]));
    world.answer(AMZ, &work.puts[0], crate::model::Outcome::Accepted { submission: None });
    assert_eq!(world.leg("A", AMZ).name(), "accepted");
    assert_eq!(report(&mut world, rows()), (1, 0, vec![]));
}

#[test]
fn what_is_not_known_is_bound_or_waits_and_is_looked_at_before_it_is_written() {
    let mut world = World::open(&[("A", 10)]);
    world.list(ERP, &["NEW"]);
    let rows = || {
        vec![
            row("NEW", "B0-NEW", FulfilledBy::Merchant, Some(3)),
            row("NEW-FBA", "B0-NEW", FulfilledBy::Channel, None),
            row("NOBODYS", "B0-NO", FulfilledBy::Merchant, Some(3)),
        ]
    };
    assert_eq!(report(&mut world, rows()), (2, 1, vec![]));
    let held = world.held("NEW", AMZ);
    assert_eq!(
        (held.by, held.writes.base),
        (FulfilledBy::Merchant, None),
        "the number is of some time or other"
    );
    let by: Vec<FulfilledBy> = world.state.skus[&sku("NEW")]
        .listings
        .iter()
        .filter(|held| held.channel == ch(AMZ))
        .map(|held| held.by)
        .collect();
    assert_eq!(by, [FulfilledBy::Merchant, FulfilledBy::Channel], "twins are told apart");
    let at = world.state.seq;
    assert_eq!(report(&mut world, rows()), (2, 1, vec![]));
    assert_eq!(world.state.seq, at, "the same again says nothing");
}

#[test]
fn what_waits_under_more_names_waits_once_and_is_bound_once_it_can_be() {
    let mut world = World::open(&[("A", 10)]);
    let whole = CatalogueItem {
        ids: ids(&[(IdKind::Sku, "X-FBA"), (IdKind::Asin, "B0-X"), (IdKind::Fnsku, "X001234567")]),
        ..row("X-FBA", "B0-X", FulfilledBy::Channel, None)
    };
    world.catalogue(AMZ, vec![whole.clone()]);
    let rows = || vec![row("X-FBA", "B0-X", FulfilledBy::Channel, None)];
    assert_eq!(report(&mut world, rows()), (0, 1, vec![]));
    assert_eq!(world.state.unmatched.keys().map(|(_, ids)| ids).collect::<Vec<_>>(), [&whole.ids]);
    // A code that another one begins with is another one.
    assert_eq!(report(&mut world, vec![row("X", "B0-XX", FulfilledBy::Merchant, Some(1))]), (0, 1, vec![]));
    assert_eq!(world.state.unmatched.len(), 2);
    let mapped = MappingRow { channel: ch(AMZ), ids: ids(&[(IdKind::Fnsku, "X001234567")]), sku: sku("A") };
    world.run(Command::Map { rows: vec![mapped] }).expect("it is mapped");
    assert_eq!(report(&mut world, rows()), (1, 0, vec![]));
}

/// A report tells less of it than it tells itself, and waits first: with the whole of it, it still waits once.
#[test]
fn what_waits_under_fewer_names_first_is_over_under_all_of_them() {
    let whole = || CatalogueItem {
        ids: ids(&[(IdKind::Sku, "X-FBA"), (IdKind::Asin, "B0-X"), (IdKind::Fnsku, "X001234567")]),
        ..row("X-FBA", "B0-X", FulfilledBy::Channel, None)
    };
    let rows = || vec![row("X-FBA", "B0-X", FulfilledBy::Channel, None)];
    let mut world = World::open(&[("A", 10)]);
    assert_eq!(report(&mut world, rows()), (0, 1, vec![]));
    world.catalogue(AMZ, vec![whole()]);
    let waits =
        |world: &World| -> Vec<_> { world.state.unmatched.keys().map(|(_, ids)| ids.clone()).collect() };
    assert_eq!(waits(&world), [whole().ids]);

    // Of an earlier release, it waits twice.
    let (channel, fewer) = (ch(AMZ), rows()[0].ids.clone());
    let unmatched = Unmatched { item: rows().remove(0), why: "no SKU has this code".to_owned(), at: ms(0) };
    world.inject(&Record::Unmatched { channel, ids: fewer, unmatched: Some(unmatched) });
    assert_eq!(waits(&world).len(), 2);
    let mapped = MappingRow { channel: ch(AMZ), ids: ids(&[(IdKind::Fnsku, "X001234567")]), sku: sku("A") };
    world.run(Command::Map { rows: vec![mapped] }).expect("it is mapped");
    assert_eq!(waits(&world), []);
}

#[test]
fn what_offers_nothing_is_not_read_again_each_time() {
    let mut world = World::open(&[("A", 10)]);
    world.list(ERP, &["PARENT"]);
    let read = CatalogueItem {
        ids: ids(&[(IdKind::Sku, "PARENT"), (IdKind::Asin, "B0-P")]),
        ..row("PARENT", "B0-P", FulfilledBy::Unknown, None)
    };
    world.catalogue(AMZ, vec![read]);
    assert_eq!(report(&mut world, vec![row("PARENT", "B0-P", FulfilledBy::Merchant, None)]), (1, 0, vec![]));
    let offers = vec![row("PARENT", "B0-P", FulfilledBy::Merchant, Some(2))];
    assert_eq!(report(&mut world, offers), (1, 0, vec!["PARENT".to_owned()]));
}

#[test]
fn a_channel_that_is_not_configured_reports_nothing() {
    let mut world = World::open(&[("A", 10)]);
    let rows = Command::Reported { channel: ch("elsewhere"), rows: vec![] };
    assert!(world.run(rows).is_err());
}
