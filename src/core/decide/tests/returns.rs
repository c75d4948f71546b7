//! Returned units that are held back, and what a person makes of them.

use super::{
    outlets,
    world::{AMZ, ERP, SHOP, World, ch, key, placed, policies, q, sku, wh},
};
use crate::{
    core::{
        Command,
        command::{Count, Fate, Refused, Reply},
    },
    model::{Policies, Returns},
};

/// Ten units, of which two were sold on the shop, shipped, and have come back.
fn returned() -> World {
    let mut world = World::open_with(Policies { returns: Returns::Quarantine, ..policies() }, &[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    world.change(SHOP, "1", [2, 0, 0, 2, 2], 0);
    world.push(SHOP, "1");
    world.quiesce();
    world
}

fn deal(world: &mut World, of: &str, units: Option<i64>, fate: Fate) -> Result<Reply, Refused> {
    world.run(Command::Returned {
        sku: sku(of),
        location: None,
        quantity: units.map(q),
        fate,
        note: "looked at".into(),
    })
}

/// What a person does with the units -> on hand, committed and reserved, and what the channels show in the end.
#[track_caller]
fn check(deals: &[(Option<i64>, Fate)], stock: [i64; 3], shown: i64) {
    let mut world = returned();
    for (units, fate) in deals {
        deal(&mut world, "A", *units, *fate).expect("taken");
    }
    world.quiesce();
    assert_eq!(world.stock("A"), stock);
    assert_eq!([world.shows("A", SHOP), world.shows("A", AMZ)], [shown, shown]);
    assert!(world.all_confirmed());
}

#[test]
fn returned_units_are_held_back_until_a_person_has_dealt_with_them() {
    check(&[], [10, 0, 2], 8);
    check(&[(None, Fate::Restock)], [10, 0, 0], 10);
    check(&[(Some(1), Fate::Restock)], [10, 0, 1], 9);
    check(&[(None, Fate::Discard)], [8, 0, 0], 8);
    check(&[(Some(1), Fate::Restock), (Some(1), Fate::Discard)], [9, 0, 0], 9);
}

#[test]
fn no_more_is_dealt_with_than_is_held_back() {
    let mut world = returned();
    assert!(
        matches!(deal(&mut world, "A", Some(3), Fate::Restock), Err(Refused::NotSo(why)) if why.contains("only 2"))
    );
    assert!(matches!(deal(&mut world, "A", Some(0), Fate::Restock), Err(Refused::OutOfRange(_))));
    assert!(matches!(deal(&mut world, "X", None, Fate::Restock), Err(Refused::Nothing(_))));
    let done = deal(&mut world, "A", None, Fate::Restock);
    assert_eq!(done, Ok(Reply::Returned { location: wh(), quantity: q(2), left: q(0) }));
    assert!(matches!(deal(&mut world, "A", None, Fate::Restock), Err(Refused::NotSo(_))));
}

/// A line whose units came back under one policy and is moved under another -> on hand at the two places before and after.
#[track_caller]
fn check_moved(before: Returns, after: Returns, want: [[i64; 2]; 2]) {
    let mut world = outlets::opened_as(Policies { returns: before, ..outlets::two() });
    let all = [2, 0, 0, 2, 2];
    let told = outlets::order(&world, all, &[(wh(), all)]);
    outlets::fetch(&mut world, told);
    let on_hand = |world: &World| outlets::stock(world).map(|[on_hand, _]| on_hand);
    world
        .run(Command::Configure(Box::new(Policies { returns: after, ..outlets::two() })))
        .expect("configures");
    let left = on_hand(&world);
    world.now += 1_000;
    let told = outlets::order(&world, all, &[(outlets::store(), all)]);
    outlets::fetch(&mut world, told);
    assert_eq!([left, on_hand(&world)], want, "{before:?}, then {after:?}");
}

#[test]
fn what_came_back_is_moved_as_it_was_booked_whatever_the_policy_is_by_then() {
    use Returns::{Ignore, Quarantine, Restock};
    check_moved(Ignore, Restock, [[8, 4], [10, 2]]);
    check_moved(Ignore, Ignore, [[8, 4], [10, 2]]);
    check_moved(Restock, Ignore, [[10, 4], [10, 4]]);
    check_moved(Quarantine, Ignore, [[10, 4], [10, 4]]);
}

/// An order of two lines whose units came back under one policy each, and a count by an ERP that knows of A's alone.
#[track_caller]
fn check_counted(first: Returns, then: Returns) {
    let mut world = World::open_with(Policies { returns: first, ..policies() }, &[("A", 10), ("B", 10)]);
    let take = |world: &mut World, back: i64| {
        let line = |of: &str, back: i64| (World::ids_of(AMZ, of), [1, 0, 0, 1, back]);
        let told = placed("1", world.now, &[line("A", 1), line("B", back)]);
        let begun = world.state.seq;
        world.run(Command::Orders { channel: ch(AMZ), begun, orders: vec![told] }).expect("taken in");
        world.now += 1_000;
    };
    take(&mut world, 0);
    world.post_all();
    world.run(Command::Configure(Box::new(Policies { returns: then, ..policies() }))).expect("configures");
    take(&mut world, 1);
    let want = ["A", "B"].map(|of| world.stock(of));
    let absent = vec![key(AMZ, "1")];
    let a = if first == Returns::Ignore { 9 } else { 10 };
    let count = Count { absent, ..world.count_of(ERP, &[("A", a), ("B", 9)]) };
    world.run(Command::Count(count)).expect("counted");
    assert_eq!(["A", "B"].map(|of| world.stock(of)), want, "{first:?}, then {then:?}");
}

#[test]
fn a_count_judges_each_line_by_what_its_own_returns_did() {
    for first in [Returns::Restock, Returns::Quarantine, Returns::Ignore] {
        for then in [Returns::Restock, Returns::Quarantine, Returns::Ignore] {
            check_counted(first, then);
        }
    }
}
