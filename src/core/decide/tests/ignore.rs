//! What sells nothing that is kept in stock: nothing waits for it any more.

use super::world::{AMZ, SHOP, World, ch, ids, key, placed, policies, sku};
use crate::{
    core::{
        Command, Refused, Reply,
        state::{Ignorable, Note},
    },
    model::{IdKind, Identifiers, LineId, Policies, policy::MappingRow},
};

fn gift() -> Identifiers {
    ids(&[(IdKind::Sku, "GIFT")])
}

fn item() -> Ignorable {
    Ignorable::Item { channel: ch(SHOP), ids: gift() }
}

/// An order of one A and one gift card, of which no SKU is known.
fn sold() -> World {
    let mut world = World::open(&[("A", 10)]);
    world.now += 60_000;
    let at = world.now;
    let lines = [(World::ids_of(SHOP, "A"), [1, 0, 0, 0, 0]), (gift(), [1, 0, 0, 0, 0])];
    world.push_snapshot(SHOP, placed("1", at, &lines));
    world
}

fn say(world: &mut World, what: Ignorable, ignored: bool) -> Result<Reply, Refused> {
    let note = Note { by: "uid 0".to_owned(), reason: "a gift card".to_owned() };
    let said = world.run(Command::Ignore { what, ignored, note });
    world.same_rows();
    world.index_is_true();
    said
}

fn waiting(world: &World) -> usize {
    let lines = world.state.orders.values().flat_map(|order| order.lines.values());
    lines.filter(|line| line.is_unmapped()).count()
}

fn alerts(world: &mut World) -> Vec<String> {
    world.run(Command::Tick).expect("ticked");
    world.state.alerts.keys().map(|key| key.kind.name().to_owned()).collect()
}

#[test]
fn a_line_that_is_ignored_waits_for_nothing_until_that_is_taken_back() {
    let mut world = sold();
    assert_eq!((waiting(&world), alerts(&mut world)), (1, vec!["unmapped".to_owned()]));
    let text = world.state.alerts.values().next().expect("it fires").text.clone();
    assert!(text.contains("`evenkeel map list --lines`"), "lines, and not catalogue items: {text}");
    assert_eq!(say(&mut world, item(), true), Ok(Reply::Done));
    assert_eq!((waiting(&world), world.stock("A")), (0, [10, 1, 0]));
    let held = world.state.ignored.values().next().expect("it is kept");
    assert_eq!((held.note.by.as_str(), held.note.reason.as_str()), ("uid 0", "a gift card"));
    world.run(Command::Tick).expect("ticked");
    assert!(world.state.alerts.values().all(|alert| !alert.firing), "{:?}", world.state.alerts);
    // Those that come later are left out too.
    let at = world.now;
    world.push_snapshot(SHOP, placed("2", at, &[(gift(), [3, 0, 0, 0, 0])]));
    assert_eq!(waiting(&world), 0);
    assert_eq!(say(&mut world, item(), true), Ok(Reply::Duplicate));
    assert_eq!(say(&mut world, item(), false), Ok(Reply::Done));
    assert_eq!(waiting(&world), 2);
    assert!(matches!(say(&mut world, item(), false), Err(Refused::Nothing(_))));
}

#[test]
fn only_what_goes_by_all_that_is_named_on_that_channel_is_ignored() {
    for (channel, named, ignored) in [
        (SHOP, vec![(IdKind::Sku, "GIFT")], true),
        (SHOP, vec![(IdKind::Sku, "GIFT"), (IdKind::Variant, "7")], false),
        (SHOP, vec![(IdKind::Sku, "GIF")], false),
        (AMZ, vec![(IdKind::Sku, "GIFT")], false),
    ] {
        let mut world = sold();
        say(&mut world, Ignorable::Item { channel: ch(channel), ids: ids(&named) }, true).expect("said");
        assert_eq!(waiting(&world) == 0, ignored, "{channel} {named:?}");
    }
}

#[test]
fn one_line_can_be_ignored_by_itself_where_it_goes_by_nothing() {
    let mut world = sold();
    let at = world.now;
    for order in ["2", "3"] {
        world.push_snapshot(SHOP, placed(order, at, &[(Identifiers::default(), [1, 0, 0, 0, 0])]));
    }
    assert_eq!(waiting(&world), 3);
    let line = world.state.orders[&key(SHOP, "2")].lines.keys().next().expect("a line").clone();
    let what = Ignorable::Line { order: key(SHOP, "2"), line: line.clone() };
    say(&mut world, what.clone(), true).expect("said");
    assert_eq!(waiting(&world), 2);
    // A later state of the order changes nothing about it.
    let at = world.now + 5_000;
    world.push_snapshot(SHOP, placed("2", at, &[(Identifiers::default(), [2, 0, 0, 0, 0])]));
    assert_eq!(waiting(&world), 2);
    say(&mut world, what, false).expect("taken back");
    assert_eq!(waiting(&world), 3);
    let bound = world.state.orders[&key(SHOP, "1")].lines.keys().next().expect("a line").clone();
    let what = Ignorable::Line { order: key(SHOP, "1"), line: bound };
    assert!(matches!(say(&mut world, what, true), Err(Refused::NotSo(_))), "it has a SKU");
    let line = LineId::new("nowhere").expect("an id");
    let what = Ignorable::Line { order: key(SHOP, "1"), line };
    assert!(matches!(say(&mut world, what, true), Err(Refused::Nothing(_))));
}

#[test]
fn a_mapping_goes_before_it() {
    let mut world = sold();
    say(&mut world, item(), true).expect("said");
    let row = MappingRow { sku: sku("A"), channel: ch(SHOP), ids: gift() };
    world.run(Command::Map { rows: vec![row] }).expect("mapped");
    assert_eq!(world.stock("A"), [10, 2, 0]);
    world.same_rows();
    world.index_is_true();
}

#[test]
fn what_names_nothing_or_no_channel_is_refused() {
    let mut world = sold();
    let nothing = Ignorable::Item { channel: ch(SHOP), ids: Identifiers::default() };
    assert!(matches!(say(&mut world, nothing, true), Err(Refused::NotSo(_))));
    let nowhere = Ignorable::Item { channel: ch("nowhere"), ids: gift() };
    assert!(matches!(say(&mut world, nowhere, true), Err(Refused::NoChannel(_))));
    assert!(world.state.ignored.is_empty());
}

#[test]
fn a_finished_order_with_what_is_left_out_is_pruned_like_any_other() {
    let day = 86_400_000;
    let keep = Policies { keep_orders_ms: Some(30 * day), ..policies() };
    let mut world = World::open_with(keep, &[("A", 10)]);
    let lines = |also: Option<Identifiers>| {
        let all = [Some(World::ids_of(SHOP, "A")), also];
        all.into_iter().flatten().map(|ids| (ids, [1, 0, 0, 1, 0])).collect::<Vec<_>>()
    };
    for (order, lines) in [("gift", lines(Some(gift()))), ("plain", lines(None))] {
        world.now += 1;
        let order = placed(order, world.now, &lines);
        world.market(SHOP).place(order.clone());
        world.push_snapshot(SHOP, order);
    }
    world.feed(SHOP);
    world.post_all();
    let later = |world: &mut World, days: i64| {
        world.now += days * day;
        world.run(Command::Tick).expect("ticks");
    };
    later(&mut world, 31);
    let left: Vec<String> = world.state.tombstones.keys().map(|key| key.order.to_string()).collect();
    assert_eq!(left, ["plain"], "the other waits for a SKU");
    say(&mut world, item(), true).expect("said");
    later(&mut world, 1);
    assert!(world.state.orders.is_empty(), "{:?}", world.state.orders.keys());
    world.index_is_true();
}
