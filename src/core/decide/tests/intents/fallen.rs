//! What may show more than it is to, for whatever reason, has fallen before anything rises.

use super::*;
use crate::core::{
    bulk::How,
    command::{DeadLetter, Verdict},
    decide::tests::world::AMZ_CAN,
    intent::Step,
    leg,
};

fn depot() -> LocationId {
    LocationId::new("depot").expect("a good name")
}

/// Lets both channels work for a while, so that nothing is unsettled any more.
fn settle(world: &mut World) {
    for _ in 0..10 {
        world.now += AMZ_CAN.late_ms;
        for channel in [SHOP, AMZ] {
            world.lane(channel, &mut || Luck::Fine);
            world.feed(channel);
        }
        world.quiesce();
    }
    for channel in [SHOP, AMZ] {
        assert!(world.held("A", channel).writes.unsettled.is_empty());
    }
}

/// Lets Amazon alone work.
fn only_amazon(world: &mut World) {
    for _ in 0..3 {
        world.now += 10_000;
        world.feed(AMZ);
        world.lane(AMZ, &mut || Luck::Fine);
        world.run(Command::Tick).expect("ticks");
    }
}

fn pause(world: &mut World, pause: Option<Pause>) {
    let scope = PauseScope::Channel(ch(SHOP));
    world.run(Command::Pause { scope, pause }).expect("said");
}

/// The shop, which sells from the warehouse, is to show none of its 10 and was not reached so far.
fn stopped() -> World {
    let mut world = stocked(places(&[store()]), [10, 2]);
    settle(&mut world);
    pause(&mut world, Some(Pause::Stopped));
    assert_eq!((world.leg("A", SHOP).quantity, world.shows("A", SHOP)), (q(0), 10));
    world
}

#[test]
fn a_transfer_waits_for_a_lower_that_was_on_its_way_before_it() {
    for travels in [false, true] {
        let mut world = stopped();
        let id = open(&mut world, Ask { travels, ..ask(vec![go("A", 10)]) });
        only_amazon(&mut world);
        assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (10, 2), "22 of 12 otherwise");
        assert_eq!(phase(&world, id), Phase::Lowering);
        until(&mut world, id, if travels { Phase::InTransit } else { Phase::Done });
        assert_eq!(world.shows("A", SHOP), 0);
    }
}

#[test]
fn a_transfer_waits_for_a_bundle_that_was_falling_before_it() {
    let mut world = with_set();
    settle(&mut world);
    let scope = PauseScope::Sku(sku("SET"));
    world.run(Command::Pause { scope, pause: Some(Pause::Stopped) }).expect("paused");
    let limit = vec![set("A", SHOP, Some(0)), set("A", AMZ, Some(0))];
    let limits = open(&mut world, Ask { seen_is_enough: true, ..ask(limit) });
    let id = open(&mut world, Ask { seen_is_enough: true, ..ask(vec![go("A", 4)]) });
    only_amazon(&mut world);
    assert_eq!((world.shows("SET", SHOP), phase(&world, id)), (10, Phase::Lowering));
    until(&mut world, id, Phase::Done);
    until(&mut world, limits, Phase::Done);
    assert_eq!(world.shows("SET", SHOP), 0);
}

#[test]
fn a_transfer_waits_for_nothing_that_shows_what_it_is_to_or_sells_from_elsewhere() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    let limits = open(&mut world, ask(vec![set("A", SHOP, Some(3))]));
    until(&mut world, limits, Phase::Done);
    settle(&mut world);
    let id = open(&mut world, ask(vec![go("A", 4)]));
    assert_eq!(phase(&world, id), Phase::Raising, "{:#?}", world.state.intents[&id]);
}

#[test]
fn what_sells_from_where_units_leave_and_cannot_fall_is_told_from_the_start() {
    let mut world = stopped();
    pause(&mut world, Some(Pause::Frozen));
    refused(&mut world, ask(vec![go("A", 10)]), "`A` on `shop` is frozen and could not fall");
    pause(&mut world, Some(Pause::Stopped));
    world.lane(SHOP, &mut says_no);
    assert!(matches!(world.leg("A", SHOP).state, leg::State::Parked { .. }));
    refused(&mut world, ask(vec![go("A", 10)]), "is a dead letter, so nothing lowers it");
    let letter = DeadLetter::Leg(world.listing("A", SHOP));
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("given up");
    let notes = judge(&world.state, &ask(vec![go("A", 10)])).expect("it can be done").notes;
    assert!(notes.iter().any(|note| note.contains("was given up and may show more than 0")), "{notes:?}");
    let id = open(&mut world, ask(vec![go("A", 10)]));
    assert_eq!(phase(&world, id), Phase::Raising);
}

#[test]
fn what_becomes_a_dead_letter_while_it_is_waited_for_rolls_back() {
    let mut world = stopped();
    let id = open(&mut world, ask(vec![go("A", 10)]));
    world.lane(SHOP, &mut says_no);
    assert_eq!(phase(&world, id), Phase::RolledBack);
    assert_eq!(stock(&world, "A"), [[10, 0], [2, 0]]);
}

/// The shop is pointed to another place and was not reached since: it shows yet what leaves the place that it sold from.
#[test]
fn a_transfer_waits_for_a_shop_that_was_pointed_elsewhere_before_it() {
    pointed_elsewhere(false);
    pointed_elsewhere(true);
}

/// `gone`: it was taken out of the configuration in between.
#[track_caller]
fn pointed_elsewhere(gone: bool) {
    let with = |shop: LocationId| {
        let mut policies = places(&[store()]);
        policies.locations.push(depot());
        policies.channels.get_mut(&ch(SHOP)).expect("configured").locations = vec![shop];
        policies
    };
    let mut world = stocked(with(wh()), [10, 2]);
    let line = |of| CountLine { ids: World::ids_of(ERP, of), location: depot(), quantity: q(0) };
    let count = Count { opening: true, lines: vec![line("A"), line("B")], ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    settle(&mut world);
    if gone {
        let mut without = with(wh());
        without.channels.remove(&ch(SHOP));
        world.run(Command::Configure(Box::new(without))).expect("configures");
    }
    world.run(Command::Configure(Box::new(with(depot())))).expect("configures");
    // What is configured again says nothing of what is shown.
    world.run(Command::Configure(Box::new(with(depot())))).expect("configures");
    for _ in 0..3 {
        world.now += 1_000;
        world.run(Command::Tick).expect("ticks");
    }
    assert_eq!((world.leg("A", SHOP).quantity, world.shows("A", SHOP)), (q(0), 10));
    pause(&mut world, Some(Pause::Frozen));
    refused(&mut world, ask(vec![go("A", 10)]), "`A` on `shop` is frozen and could not fall");
    pause(&mut world, None);
    let id = open(&mut world, ask(vec![go("A", 10)]));
    only_amazon(&mut world);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (10, 2), "20 of 12 otherwise");
    assert_eq!(phase(&world, id), Phase::Lowering);
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (0, 12));
}

/// The same where nobody has counted A at the depot.
#[test]
fn a_transfer_waits_for_a_shop_that_was_pointed_to_where_nothing_was_counted() {
    let with = |shop: LocationId| {
        let mut policies = places(&[store()]);
        policies.locations.push(depot());
        policies.channels.get_mut(&ch(SHOP)).expect("configured").locations = vec![shop];
        policies
    };
    let mut world = stocked(with(wh()), [10, 2]);
    settle(&mut world);
    world.run(Command::Configure(Box::new(with(depot())))).expect("configures");
    for _ in 0..3 {
        world.now += 1_000;
        world.run(Command::Tick).expect("ticks");
    }
    assert_eq!((world.leg("A", SHOP).quantity, world.shows("A", SHOP)), (q(0), 10));
    let id = open(&mut world, ask(vec![go("A", 10)]));
    only_amazon(&mut world);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (10, 2), "22 of 12 otherwise");
    assert_eq!(phase(&world, id), Phase::Lowering);
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (0, 12));
}

/// After a restore nobody knows what the shop shows, which was to show 3 and shows 10: it has to be seen first.
#[test]
fn what_nobody_knows_after_a_restore_is_waited_for() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    let limits = open(&mut world, ask(vec![set("A", SHOP, Some(3))]));
    until(&mut world, limits, Phase::Done);
    settle(&mut world);
    world.set_shown("A", SHOP, 10);
    world.run(Command::Start { epoch: 2 }).expect("starts");
    assert_eq!(world.held("A", SHOP).writes.base, None);
    pause(&mut world, Some(Pause::Frozen));
    refused(&mut world, ask(vec![go("A", 7)]), "`A` on `shop` is frozen and could not fall");
    pause(&mut world, None);
    let id = open(&mut world, ask(vec![go("A", 7)]));
    only_amazon(&mut world);
    assert_eq!(phase(&world, id), Phase::Lowering, "{:#?}", world.state.intents[&id]);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (10, 2));
    [SHOP, AMZ].iter().for_each(|channel| world.look("A", channel));
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (3, 9));
}

/// The store is restored after a lower was seen and before it has settled: what was seen then says nothing any more.
#[test]
fn a_lower_that_was_seen_before_a_restore_is_seen_again() {
    let mut world = World::open(&[("A", 10)]);
    let id = open(&mut world, ask(vec![set("A", SHOP, Some(4))]));
    until(&mut world, id, Phase::Done);
    settle(&mut world);
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(4)), set("A", SHOP, Some(9))]));
    let seen =
        |world: &World| world.state.intents[&id].legs.iter().any(|leg| matches!(leg.step, Step::Seen { .. }));
    for _ in 0..40 {
        if seen(&world) {
            break;
        }
        only_amazon(&mut world);
    }
    assert!(seen(&world), "{:#?}", world.state.intents[&id]);
    world.set_shown("A", AMZ, 10);
    world.run(Command::Start { epoch: 2 }).expect("starts");
    for _ in 0..100 {
        world.now += 30_000;
        world.lane(SHOP, &mut || Luck::Fine);
        world.feed(SHOP);
        world.run(Command::Tick).expect("ticks");
    }
    assert_eq!(phase(&world, id), Phase::Lowering);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (4, 10));
    world.look("A", AMZ);
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (9, 4));
}

/// What a blind channel shows until a write shows is more than is expected: it has to fall as well.
#[test]
fn what_shows_more_until_an_accepted_write_shows_is_waited_for() {
    let mut world = World::open(&[("A", 10)]);
    let id = open(&mut world, ask(vec![set("A", SHOP, Some(10))]));
    until(&mut world, id, Phase::Done);
    settle(&mut world);
    world.visible_after = 15_000;
    world.sell(SHOP, "1", "A", 7);
    let work = world.take(AMZ);
    assert_eq!(work.quantities(), [("A".into(), 3)]);
    let outcome = world.write(AMZ, &work.puts[0].0, &work.puts[0].1, Luck::Fine);
    world.answer(AMZ, &work.puts[0], outcome);
    world.now += 1_000;
    world.change(SHOP, "1", [7, 3, 0, 0, 0], 3);
    world.push(SHOP, "1");
    assert_eq!((world.leg("A", AMZ).quantity, world.held("A", AMZ).writes.base), (q(6), Some(q(3))));
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(5)), set("A", SHOP, None)]));
    assert_eq!((world.shows("A", AMZ), phase(&world, id)), (10, Phase::Lowering));
    until(&mut world, id, Phase::Done);
    assert_eq!(world.shows("A", AMZ), 5);
}

/// Somebody else has raised it, which a look that waits has seen: it has to fall as well.
#[test]
fn what_a_look_has_seen_above_the_limit_is_waited_for() {
    let mut world = World::open(&[("A", 4)]);
    let id = open(&mut world, ask(vec![set("A", SHOP, Some(1))]));
    until(&mut world, id, Phase::Done);
    settle(&mut world);
    world.now += 60_000;
    world.set_shown("A", AMZ, 9);
    world.look("A", AMZ);
    assert!(world.held("A", AMZ).writes.look.is_some());
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(4)), set("A", SHOP, Some(3))]));
    for _ in 0..2 {
        assert_eq!(phase(&world, id), Phase::Lowering, "Amazon was seen to show 9");
        world.run(Command::Tick).expect("ticks");
    }
    until(&mut world, id, Phase::Raising);
    assert_eq!(world.shows("A", AMZ), 4);
}

/// A feed that is open may still raise what an intent has lowered: until it has ended the lower is not settled.
#[test]
fn nothing_rises_while_an_open_feed_may_undo_a_lower() {
    let all = ["A", "B", "C", "D"];
    let mut world = World::with_bulks(2, &all.map(|of| (of, 10)));
    let id = open(&mut world, ask(vec![set("A", SHOP, Some(2))]));
    until(&mut world, id, Phase::Done);
    let count = world.count_of(ERP, &all.map(|of| (of, 30)));
    world.run(Command::Count(count)).expect("a count is taken in");
    world.now += 10_000;
    world.feed(AMZ);
    let puts = world.take_bulk();
    assert_eq!(puts.len(), 4);
    world.taken(&puts, "F1");
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(5)), set("A", SHOP, Some(25))]));
    world.quiesce_but_bulks();
    assert_eq!(world.shows("A", AMZ), 5);
    // The feed takes its time: hours, by Amazon's own word.
    for _ in 0..20 {
        world.now += AMZ_CAN.late_ms / 4;
        for channel in [AMZ, SHOP] {
            world.feed(channel);
            world.lane(channel, &mut || Luck::Fine);
        }
        world.run(Command::Tick).expect("ticks");
        assert_eq!(phase(&world, id), Phase::Lowering, "what the feed may undo is not settled");
    }
    assert!(world.held("A", AMZ).writes.in_bulk(), "30 may still land");
    world.bulk_lands(&puts);
    world.ended(How::Done);
    assert_eq!(phase(&world, id), Phase::Lowering, "from here on it settles");
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", AMZ), world.shows("A", SHOP)), (5, 25));
}

/// Amazon has fallen and is raised by somebody else before that has settled; its orders are not read, so the look waits.
#[test]
fn a_lower_that_was_seen_and_never_settles_is_told() {
    let mut world = World::open(&[("A", 10)]);
    world.now += 600_000;
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(4)), set("A", SHOP, Some(9))]));
    let seen =
        |world: &World| world.state.intents[&id].legs.iter().any(|leg| matches!(leg.step, Step::Seen { .. }));
    for _ in 0..40 {
        if seen(&world) {
            break;
        }
        only_amazon(&mut world);
    }
    world.set_shown("A", AMZ, 9);
    world.now += 30_000;
    world.look("A", AMZ);
    assert!(seen(&world), "{:#?}", world.state.intents[&id]);
    let told = |world: &World| {
        let mut alerts = world.state.alerts.iter();
        alerts.find(|(key, _)| key.kind == AlertKind::Intent).map(|(_, alert)| alert.text.clone())
    };
    let mut pass = |minutes: i64| {
        for _ in 0..minutes {
            world.now += 60_000;
            world.run(Command::Tick).expect("ticks");
            world.lane(SHOP, &mut || Luck::Fine);
            world.feed(SHOP);
        }
        assert_eq!(phase(&world, id), Phase::Lowering);
        told(&world)
    };
    assert_eq!(pass(5), None, "it may settle yet");
    let text = pass(60).expect("a person is told");
    assert!(text.contains("SKU A was seen live on amz and may show more again"), "{text}");
}

#[test]
fn what_raises_and_is_a_dead_letter_names_the_command_that_frees_it() {
    let mut world = limited();
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(5))]));
    assert_eq!(phase(&world, id), Phase::Raising);
    refused(&mut world, ask(vec![set("A", AMZ, Some(4))]), &format!("is being changed by {id}; wait for it"));
    for _ in 0..40 {
        world.feed(AMZ);
        world.lane(AMZ, &mut says_no);
        world.now += 1_000;
        world.run(Command::Tick).expect("ticks");
    }
    assert!(matches!(world.leg("A", AMZ).state, leg::State::Parked { .. }));
    let at = world.listing("A", AMZ).at;
    let helps = format!(
        "`evenkeel dead-letters retry leg:amz:A:{at}`, or `evenkeel dead-letters discard leg:amz:A:{at}`"
    );
    refused(&mut world, ask(vec![set("A", AMZ, Some(4))]), &helps);
}

/// The shop sells from the depot alone, and Amazon from the store; nobody sells from the warehouse.
fn shop_at_the_depot() -> World {
    let mut policies = places(&[store()]);
    policies.locations.push(depot());
    policies.channels.get_mut(&ch(SHOP)).expect("configured").locations = vec![depot()];
    let mut world = stocked(policies, [10, 2]);
    let line = |of| CountLine { ids: World::ids_of(ERP, of), location: depot(), quantity: q(5) };
    let count = Count { opening: true, lines: vec![line("A"), line("B")], ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    settle(&mut world);
    pause(&mut world, Some(Pause::Stopped));
    assert_eq!((world.leg("A", SHOP).quantity, world.shows("A", SHOP)), (q(0), 5));
    world
}

#[test]
fn what_never_sold_what_leaves_is_in_no_ones_way() {
    let away = || What::Move { sku: sku("A"), quantity: q(4), from: depot(), to: store() };
    for frozen in [true, false] {
        let mut world = shop_at_the_depot();
        let why = if frozen {
            pause(&mut world, Some(Pause::Frozen));
            "`A` on `shop` is frozen and could not fall"
        } else {
            world.lane(SHOP, &mut says_no);
            assert!(matches!(world.leg("A", SHOP).state, leg::State::Parked { .. }));
            "is a dead letter, so nothing lowers it"
        };
        refused(&mut world, ask(vec![row(away())]), why);
        let id = open(&mut world, ask(vec![go("A", 10)]));
        assert_eq!(phase(&world, id), Phase::Raising, "nothing of what leaves is shown: {frozen}");
        until(&mut world, id, Phase::Done);
        assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (5, 12));
    }
}

/// Amazon draws on the warehouse and the store, so what the shop sells beyond what the store has comes from the warehouse.
#[test]
fn what_is_made_good_from_where_units_leave_must_have_fallen_too() {
    let mut policies = places(&[wh(), store()]);
    policies.locations.push(depot());
    policies.channels.get_mut(&ch(SHOP)).expect("configured").locations = vec![store()];
    let mut world = stocked(policies, [10, 2]);
    let line = |location, units| CountLine { ids: World::ids_of(ERP, "A"), location, quantity: q(units) };
    let count = Count { opening: true, lines: vec![line(depot(), 0)], ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    settle(&mut world);
    pause(&mut world, Some(Pause::Frozen));
    let count = Count { lines: vec![line(store(), 0)], ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("counted");
    let away = What::Move { sku: sku("A"), quantity: q(5), from: wh(), to: depot() };
    refused(&mut world, ask(vec![row(away)]), "`A` on `shop` is frozen and could not fall");
}
