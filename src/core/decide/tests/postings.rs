//! What a posting carries of those before it whose answers are not known.

use super::{
    outlets::{opened_as, store},
    stands::erp_of,
    world::{AMZ, ERP, SHOP, World, ch, key, placed, wh},
};
use crate::{
    core::{Command, posting::Step},
    model::{Outcome, Policies, Posting},
};

/// The next posting's number, and by which posting how many units were told to be sold and cancelled since the last answer.
fn next(world: &mut World) -> (Posting, Vec<(u32, [i64; 2])>) {
    world.now += 3_600_000;
    let posting = world.postings().pop().expect("one is due");
    let told = posting.lines[0].unanswered.iter();
    let told = told.map(|told| (told.sequence, [told.totals.ordered.units(), told.totals.released.units()]));
    let told = told.collect();
    (posting, told)
}

fn lost() -> Outcome {
    Outcome::Unknown { fault: "no answer".to_owned() }
}

#[test]
fn a_posting_carries_what_was_told_since_the_last_answer() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 3);
    let (first, told) = next(&mut world);
    assert_eq!((first.sequence, told), (1, vec![(1, [3, 0])]));
    world.posted(&first, lost());
    // The same again says nothing new.
    let (second, told) = next(&mut world);
    assert_eq!((second.sequence, told), (2, vec![(1, [3, 0])]));
    world.posted(&second, lost());
    world.change(SHOP, "1", [3, 1, 0, 0, 0], 1);
    world.push(SHOP, "1");
    let (third, told) = next(&mut world);
    assert_eq!(told, [(1, [3, 0]), (3, [3, 1])]);
    // What was not sent told nothing.
    world.posted(&third, Outcome::NotSent { reason: "no connection".to_owned() });
    let (fourth, told) = next(&mut world);
    assert_eq!(told, [(1, [3, 0]), (4, [3, 1])]);
    world.posted(&fourth, Outcome::Applied);
    let order = &world.state.orders[&key(SHOP, "1")];
    let held = order.posting(&super::world::ch(ERP)).expect("it is told of it");
    assert!(held.unanswered.is_empty());
    world.change(SHOP, "1", [3, 2, 0, 0, 0], 1);
    world.push(SHOP, "1");
    assert_eq!(next(&mut world).1, [(5, [3, 2])]);
}

#[test]
fn of_very_many_the_first_and_the_latest_are_kept() {
    let mut world = World::open(&[("A", 100)]);
    world.sell(SHOP, "1", "A", 50);
    for n in 1..=40 {
        let (posting, _) = next(&mut world);
        world.posted(&posting, lost());
        world.change(SHOP, "1", [50, n, 0, 0, 0], 1);
        world.push(SHOP, "1");
    }
    let (posting, told) = next(&mut world);
    let numbers: Vec<u32> = told.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!((posting.sequence, numbers[0]), (41, 1));
    assert_eq!(numbers[1..], (27..=41).collect::<Vec<u32>>());
}

/// What was shipped from a warehouse stays shipped from it in the ERP, also where the ERP is told of nothing there any more.
#[test]
fn of_a_warehouse_that_is_left_out_the_erp_keeps_what_it_was_told() {
    let mut world = opened_as(erp_of(&[("W", wh()), ("S", store())]));
    let take = |world: &mut World, units: [i64; 5]| {
        let told = placed("9", world.now, &[(World::ids_of(AMZ, "A"), units)]);
        let begun = world.state.seq;
        world.run(Command::Orders { channel: ch(AMZ), begun, orders: vec![told] }).expect("taken in");
        world.now += 1_000;
    };
    take(&mut world, [3, 0, 0, 3, 0]);
    world.post_all();
    let held = |world: &World| world.state.orders[&key(AMZ, "9")].posting(&ch(ERP)).cloned().expect("told");
    let acked = held(&world).acked;
    assert_eq!((acked.len(), acked[0].location.clone(), acked[0].totals.fulfilled.units()), (1, wh(), 3));
    let configure = |world: &mut World, policies: Policies| {
        world.run(Command::Configure(Box::new(policies))).expect("configures");
        world.run(Command::Tick).expect("ticks");
    };
    configure(&mut world, erp_of(&[("S", store())]));
    assert_eq!(world.postings(), []);
    take(&mut world, [4, 0, 0, 3, 1]);
    assert_eq!(world.postings(), [], "all of that is elsewhere");
    assert_eq!((held(&world).step, held(&world).acked), (Step::Done, acked));
    assert_eq!(world.state.posting(&ch(ERP), &key(AMZ, "9")).expect("told").0.lines, []);
    // Once it is there again, the ERP is told what has changed.
    configure(&mut world, erp_of(&[("W", wh()), ("S", store())]));
    take(&mut world, [4, 0, 0, 4, 1]);
    let posting = world.postings().pop().expect("one is due");
    let line = posting.lines.iter().find(|line| line.location == wh()).expect("it is told");
    assert_eq!((line.target.fulfilled.units(), line.acked.unwrap_or_default().fulfilled.units()), (4, 3));
}

/// An answer that comes once the warehouse is left out says what the ERP holds there.
#[test]
fn what_was_under_way_to_a_warehouse_that_is_left_out_is_kept_too() {
    let mut world = opened_as(erp_of(&[("W", wh()), ("S", store())]));
    let told = placed("9", world.now, &[(World::ids_of(AMZ, "A"), [3, 0, 0, 3, 0])]);
    let begun = world.state.seq;
    world.run(Command::Orders { channel: ch(AMZ), begun, orders: vec![told] }).expect("taken in");
    let posting = world.postings().pop().expect("one is due");
    world.run(Command::Configure(Box::new(erp_of(&[("S", store())])))).expect("configures");
    world.posted(&posting, Outcome::Applied);
    world.run(Command::Tick).expect("ticks");
    assert_eq!(world.postings(), []);
    let held = world.state.orders[&key(AMZ, "9")].posting(&ch(ERP)).cloned().expect("told");
    assert_eq!((held.step, held.acked.len(), held.acked[0].totals.fulfilled.units()), (Step::Done, 1, 3));
}
