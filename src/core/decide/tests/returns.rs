//! Returned units that are held back, and what a person makes of them.

use super::world::{AMZ, SHOP, World, policies, q, sku, wh};
use crate::{
    core::{
        Command,
        command::{Fate, Refused, Reply},
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
