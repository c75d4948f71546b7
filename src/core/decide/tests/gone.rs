//! A channel that was taken out of the configuration: what is left of it can be dealt with.

use super::world::*;
use crate::{
    core::{
        Command, Refused, Reply, State,
        command::{DeadLetter, Verdict},
        decide::prune::is_finished,
        posting::Step,
    },
    model::{ChannelId, Outcome, Policies},
};

fn without(channel: &str) -> Policies {
    let mut policies = policies();
    policies.channels.remove(&ch(channel));
    policies
}

fn configure(world: &mut World, policies: Policies) {
    world.run(Command::Configure(Box::new(policies))).expect("configures");
}

fn refused(why: &str) -> Outcome {
    Outcome::Rejected { reason: why.to_owned() }
}

#[track_caller]
fn check_refused(told: Result<Reply, Refused>) {
    assert!(matches!(&told, Err(Refused::NotSo(why)) if why.contains("not configured")), "{told:?}");
}

#[test]
fn a_dead_letter_of_a_channel_that_is_gone_can_be_given_up_and_not_tried_again() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(AMZ, "1", "A", 3);
    world.now += 10_000;
    let work = world.take(SHOP);
    world.answer(SHOP, &work.puts[0], refused("not stocked"));
    assert_eq!(world.leg("A", SHOP).name(), "parked");
    configure(&mut world, without(SHOP));
    let letter = DeadLetter::Leg(world.listing("A", SHOP));
    check_refused(world.run(Command::Dead { letter: letter.clone(), verdict: Verdict::Retry }));
    world.run(Command::Dead { letter: letter.clone(), verdict: Verdict::Discard }).expect("given up");
    assert_eq!(world.leg("A", SHOP).name(), "dropped");
    check_refused(world.run(Command::Dead { letter, verdict: Verdict::Retry }));
    // It comes again, and is taken up with the next change.
    configure(&mut world, policies());
    world.sell(AMZ, "2", "A", 1);
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 6);
}

/// The step that a posting is in when its ERP is taken out.
#[track_caller]
fn check_posting(until: impl Fn(&mut World)) {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    until(&mut world);
    world.now += 1_000;
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    configure(&mut world, without(ERP));
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    check_refused(world.run(Command::Dead { letter: letter.clone(), verdict: Verdict::Retry }));
    let finished = |state: &State| is_finished(&key(SHOP, "1"), &state.orders[&key(SHOP, "1")]);
    assert!(!finished(&world.state));
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("given up");
    assert!(finished(&world.state), "nothing of it waits any more");
    // It comes again, and is told of what changes from then on.
    configure(&mut world, policies());
    assert_eq!(world.postings(), []);
    world.now += 1_000;
    world.change(SHOP, "1", [2, 0, 0, 2, 1], 1);
    world.push(SHOP, "1");
    assert_eq!(world.postings().len(), 1);
}

#[test]
fn what_an_erp_that_is_gone_was_not_told_can_be_given_up_whatever_became_of_it() {
    check_posting(|_| {});
    check_posting(|world| drop(world.postings()));
    check_posting(|world| {
        let posting = world.postings().remove(0);
        world.posted(&posting, Outcome::Unknown { fault: "no answer".into() });
    });
    check_posting(|world| {
        let posting = world.postings().remove(0);
        world.posted(&posting, refused("no such customer"));
    });
}

#[test]
fn a_posting_that_is_under_way_to_an_erp_that_is_there_is_not_given_up() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    let told = world.run(Command::Dead { letter, verdict: Verdict::Discard });
    assert!(matches!(told, Err(Refused::Nothing(_))), "{told:?}");
    assert_eq!(world.state.orders[&key(SHOP, "1")].postings[0].step, Step::Pending);
}

#[test]
fn a_name_stands_for_a_channel_once_anything_is_known_by_it() {
    let mut world = World::bare(policies());
    let heard = |world: &World, name: &str| world.state.has_heard_of(&ch(name));
    assert!(!heard(&world, SHOP) && !heard(&world, AMZ) && !heard(&world, ERP));
    world.list(SHOP, &["A"]);
    world.list(ERP, &["A"]);
    assert!(heard(&world, SHOP) && heard(&world, ERP) && !heard(&world, AMZ));
    let sold = placed("1", 10, &[(World::ids_of(AMZ, "A"), [1, 0, 0, 0, 0])]);
    world.push_snapshot(AMZ, sold);
    assert!(heard(&world, AMZ) && !heard(&world, "am") && !heard(&world, "amz-2"));
    configure(&mut world, without(AMZ));
    world.restart();
    assert!(heard(&world, AMZ) && heard(&world, SHOP));
    let gone: Vec<&ChannelId> = world.state.gone_channels().collect();
    assert_eq!(gone, [&ch(AMZ)]);
}
