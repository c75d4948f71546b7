//! One listing that a channel fails to tell of.

use super::world::{AMZ, Luck, SHOP, World, ch, ms, q};
use crate::{
    core::Command,
    model::{Levels, Observed},
};

#[test]
fn it_waits_longer_and_longer_by_itself_and_people_hear_of_it_while_the_others_go_on() {
    let mut world = World::open(&[("A", 10), ("B", 10)]);
    for (order, of) in [("o1", "A"), ("o2", "B")] {
        world.sell(SHOP, order, of, 1);
    }
    world.now += 10;
    while world.leg("A", AMZ).sent().is_none() || world.leg("B", AMZ).sent().is_none() {
        let work = world.take(AMZ);
        for put in &work.puts {
            world.answer(AMZ, put, crate::model::Outcome::Accepted { submission: None });
        }
        world.now += 10;
    }
    let mut looked_at = Vec::new();
    let mut alerted = false;
    for _ in 0..80 {
        world.now += 500;
        let due = world.take(AMZ).looks;
        let seen: Vec<_> = due
            .into_iter()
            .map(|(listing, _)| match listing.sku.as_str() {
                "A" => {
                    looked_at.push(world.now);
                    (listing, Observed::Unread { why: "status 503".into() })
                }
                _ => (listing, Observed::Seen(Levels::of(q(9)))),
            })
            .collect();
        if !seen.is_empty() {
            let looked = Command::Looked { channel: ch(AMZ), read_at: ms(world.now), seen };
            world.run(looked).expect("looks are taken in");
        }
        world.run(Command::Tick).expect("a tick");
        alerted |= world.state.alerts.iter().any(|(key, alert)| alert.firing && key.subject == AMZ);
    }
    assert_eq!(world.leg("B", AMZ).name(), "confirmed");
    assert_eq!((world.leg("A", AMZ).name(), alerted), ("accepted", true), "{looked_at:?}");
    let pauses: Vec<i64> = looked_at.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(pauses.len() >= 3 && pauses.is_sorted() && pauses.last() > pauses.first(), "{pauses:?}");
    // Amazon tells of it again.
    world.set_shown("A", AMZ, 9);
    world.now += 700_000;
    world.lane(AMZ, &mut || Luck::Fine);
    assert_eq!((world.leg("A", AMZ).name(), world.leg("A", AMZ).tries), ("confirmed", 0));
}
