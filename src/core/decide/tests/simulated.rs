//! What the simulator has found, each as small as it goes. Its seeds are in `tests/data/sim/seeds.txt`.

use super::world::{AMZ, Luck, SHOP, World, q, sku};
use crate::{
    core::{apply::ended, state::Commit},
    model::Seq,
};

/// A read may come from a copy that is as old as is assumed, also when a newer one was met before.
#[test]
fn an_old_copy_that_is_met_after_a_write_was_seen_is_no_drift() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(AMZ, "1", "A", 1);
    world.lane(SHOP, &mut || Luck::Fine);
    world.now += 500;
    world.look("A", SHOP);
    assert_eq!(world.leg("A", SHOP).name(), "confirmed");
    let soon = world.now + 300;
    world.look_at("A", SHOP, 10, soon);
    let writes = &world.held("A", SHOP).writes;
    assert_eq!((writes.look.as_deref(), writes.base), (None, Some(q(9))), "it may be the copy from before");
    let later = world.now + 2_000;
    world.look_at("A", SHOP, 10, later);
    assert_eq!(world.held("A", SHOP).writes.waiting().count(), 1, "no copy is that old");
}

/// What a read shows too soon after ours was seen says nothing, and is not forgotten: it may be another writer's.
#[test]
fn what_was_read_too_soon_is_looked_at_again() {
    for of in [SHOP, AMZ] {
        let mut world = World::open(&[("A", 10)]);
        world.now += 700_000;
        world.sell(if of == SHOP { AMZ } else { SHOP }, "1", "A", 1);
        world.quiesce();
        let seen = world.held("A", of).writes.confirmed.expect("it was seen").at.millis();
        world.now = seen + 300;
        world.set_shown("A", of, 50);
        world.look("A", of);
        assert_eq!(world.held("A", of).writes.look, None, "{of}: it may be an old copy");
        for _ in 0..20 {
            world.now += 500;
            world.lane(of, &mut || Luck::Fine);
            world.feed(of);
        }
        world.quiesce();
        assert_eq!(world.shows("A", of), 9, "{of}");
        assert!(world.held("A", of).drift.is_some(), "{of}");
    }
}

/// Where many commits are open, those in the middle are told with the newest, in which a leg may have no part.
#[test]
fn a_commit_that_holds_others_ends_when_the_newest_of_each_leg_is_seen() {
    let world = World::open(&[("A", 10)]);
    let row = world.state.skus[&sku("A")].clone();
    let at = world.listing("A", AMZ).at;
    let newest = world.leg("A", AMZ).revision;
    let now = crate::model::Timestamp::from_millis(world.now);
    let later =
        Commit { id: Seq(99), revision: newest.next(), opened_at: now, event_at: now, legs: vec![at] };
    assert!(ended(&row, &later, |_| false), "nothing newer is on its way to it");
    let mut waits = row.clone();
    let leg = waits.listings[usize::from(at)].leg.as_mut().expect("it has a leg");
    leg.revision = newest.next();
    assert!(!ended(&waits, &later, |_| false), "what is on its way is still to be seen");
}
