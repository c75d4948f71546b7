//! What a person wants of several listings or places at once: all of it, or nothing.

mod again;
mod all_or_nothing;
mod fallen;

use super::world::{AMZ, ERP, Luck, SHOP, WH, World, ch, ms, policies, q, sku, wh};
use crate::{
    core::{
        Command, Record, Refused, Reply,
        allocation::Pause,
        command::Count,
        decide::intents::{
            judge,
            plan::{AtPlace, Shown},
        },
        intent::{
            Phase, Undone,
            ask::{Ask, Receipt, Row, What},
        },
        ledger::{Cause, Kind},
        record::{AlertKind, PauseScope},
    },
    model::{CountLine, LocationId, Mode, Outcome, Policies, Quantity, Seq, policy},
};

pub(super) fn store() -> LocationId {
    LocationId::new("store").expect("a good name")
}

/// The shop sells from the warehouse, Amazon from `amz`.
pub(super) fn places(amz: &[LocationId]) -> Policies {
    let mut policies = policies();
    policies.locations = vec![wh(), store()];
    policies.channels.get_mut(&ch(AMZ)).expect("configured").locations = amz.to_vec();
    policies
}

/// `wh` and `store` units of A (and as many of B), counted in both places and shown.
pub(super) fn stocked(policies: Policies, at: [i64; 2]) -> World {
    let mut world = World::open_with(policies, &[("A", at[0]), ("B", at[0])]);
    let line = |of| CountLine { ids: World::ids_of(ERP, of), location: store(), quantity: q(at[1]) };
    let lines = vec![line("A"), line("B")];
    let count = Count { opening: true, lines, ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    world.quiesce();
    world
}

fn row(what: What) -> Row {
    Row { line: None, what }
}

fn set(of: &str, channel: &str, most: Option<i64>) -> Row {
    row(What::Set { sku: sku(of), channel: ch(channel), most: most.map(q) })
}

fn shift(of: &str, units: i64, from: &str, to: &str) -> Row {
    row(What::Shift { sku: sku(of), quantity: q(units), from: ch(from), to: ch(to) })
}

pub(super) fn go(of: &str, units: i64) -> Row {
    row(What::Move { sku: sku(of), quantity: q(units), from: wh(), to: store() })
}

pub(super) fn ask(rows: Vec<Row>) -> Ask {
    Ask { rows, ..Ask::default() }
}

pub(super) fn open(world: &mut World, ask: Ask) -> Seq {
    let reply = world.run(Command::Intend(Box::new(ask))).expect("opened");
    let Reply::Intent { id, again: false, .. } = reply else { panic!("not opened: {reply:?}") };
    id
}

#[track_caller]
pub(super) fn refused(world: &mut World, ask: Ask, why: &str) {
    let got = world.run(Command::Intend(Box::new(ask))).expect_err("refused").to_string();
    assert!(got.contains(why), "`{got}` does not say `{why}`");
}

pub(super) fn phase(world: &World, id: Seq) -> Phase {
    world.state.intents[&id].phase
}

fn allotted(world: &World, of: &str, channel: &str) -> Option<i64> {
    world.held(of, channel).allotted.map(Quantity::units)
}

/// On hand and incoming in the warehouse and in the store.
pub(super) fn stock(world: &World, of: &str) -> [[i64; 2]; 2] {
    let at = |place: LocationId| {
        let held = world.state.skus[&sku(of)].place(&place).map(|place| place.stock).unwrap_or_default();
        [held.on_hand.units(), held.incoming.units()]
    };
    [at(wh()), at(store())]
}

fn says_no() -> Luck {
    Luck::Says(Outcome::Rejected { reason: "it says no".into() })
}

/// Lets both channels work until nothing more happens at this time, or an intent is in this phase.
pub(super) fn until(world: &mut World, id: Seq, wanted: Phase) {
    for _ in 0..4_000 {
        if phase(world, id) == wanted {
            return;
        }
        for channel in [SHOP, AMZ] {
            world.lane(channel, &mut || Luck::Fine);
            world.feed(channel);
        }
        world.now += 250;
        world.run(Command::Tick).expect("ticks");
    }
    panic!("it does not become {wanted:?}: {:#?}", world.state.intents[&id]);
}

#[test]
fn a_limit_is_shown_and_taken_away_again() {
    let mut world = World::open(&[("A", 10)]);
    let id = open(&mut world, ask(vec![set("A", SHOP, Some(4))]));
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (4, 10));
    // It is a limit and no stock: what is sold elsewhere lowers only what is above it.
    world.sell(AMZ, "1", "A", 3);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (4, 7));
    let id = open(&mut world, ask(vec![set("A", SHOP, None)]));
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", SHOP), allotted(&world, "A", SHOP)), (7, None));
}

/// A world in which Amazon may show 3 of 10 units.
fn limited() -> World {
    let mut world = World::open(&[("A", 10)]);
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(3))]));
    until(&mut world, id, Phase::Done);
    world
}

#[test]
fn what_one_channel_gives_another_gets_only_once_it_is_seen_to_have_fallen() {
    let mut world = limited();
    let id = open(&mut world, ask(vec![shift("A", 4, SHOP, AMZ)]));
    assert_eq!((phase(&world, id), allotted(&world, "A", SHOP)), (Phase::Lowering, Some(6)));
    for _ in 0..5 {
        world.lane(AMZ, &mut || Luck::Fine);
        world.feed(AMZ);
        world.now += 1_000;
    }
    // The shop's lower is lost, so nothing may rise.
    world.lane(SHOP, &mut || Luck::Lost);
    assert_eq!((allotted(&world, "A", AMZ), world.shows("A", AMZ)), (Some(3), 3));
    assert_eq!(phase(&world, id), Phase::Lowering);
    until(&mut world, id, Phase::Raising);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (6, 3));
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (6, 7));
}

#[test]
fn a_lower_that_is_refused_for_good_puts_back_what_was_lowered_and_tells() {
    let mut world = World::open(&[("A", 10), ("B", 8)]);
    let id = open(&mut world, ask(vec![set("A", SHOP, Some(2)), set("B", AMZ, Some(1))]));
    world.lane(SHOP, &mut || Luck::Fine);
    world.lane(SHOP, &mut || Luck::Fine);
    assert_eq!(world.shows("A", SHOP), 2);
    world.lane(AMZ, &mut says_no);
    assert_eq!(phase(&world, id), Phase::RollingBack);
    assert_eq!((allotted(&world, "A", SHOP), allotted(&world, "B", AMZ)), (None, None));
    world.sell(SHOP, "1", "A", 1);
    until(&mut world, id, Phase::RolledBack);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ), world.shows("B", AMZ)), (9, 9, 8));
    let undone = world.state.intents[&id].undone.clone();
    assert!(matches!(undone, Some(Undone::Refused { reason, .. }) if reason == "it says no"));
    let told = |world: &World| {
        let mut alerts = world.state.alerts.iter();
        alerts.find(|(key, _)| key.kind == AlertKind::Intent).map(|(_, alert)| alert.text.clone())
    };
    let text = told(&world).expect("a person is told");
    assert!(text.contains("amz refuses to lower SKU B: it says no"), "{text}");
    world.now += 25 * 3_600_000;
    world.run(Command::Tick).expect("ticks");
    assert!(world.state.alerts.iter().all(|(key, alert)| key.kind != AlertKind::Intent || !alert.firing));
}

#[test]
fn a_blind_write_counts_as_made_when_no_earlier_one_can_land_any_more_or_when_a_person_says_that_seen_is_enough()
 {
    for (seen_is_enough, waits) in [(false, true), (true, false)] {
        let mut world = limited();
        let lower_amazon = vec![set("A", AMZ, Some(1)), set("A", SHOP, Some(9))];
        let first = open(&mut world, Ask { seen_is_enough, ..ask(lower_amazon) });
        let begun = world.now;
        until(&mut world, first, Phase::Done);
        assert_eq!(world.now - begun >= 600_000, waits, "{} ms", world.now - begun);
    }
}

#[test]
fn sales_on_and_on_do_not_keep_a_lower_from_being_made() {
    let mut world = World::open(&[("A", 5_000)]);
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(4_000))]));
    let begun = world.now;
    for n in 0.. {
        // Every sale writes to Amazon again, so some write of the last minutes can always land.
        world.sell(SHOP, &format!("{n}"), "A", 20);
        for _ in 0..60 {
            world.lane(SHOP, &mut || Luck::Fine);
            world.lane(AMZ, &mut || Luck::Fine);
            world.now += 500;
        }
        world.feed(SHOP);
        world.feed(AMZ);
        world.run(Command::Tick).expect("ticks");
        if phase(&world, id) == Phase::Done {
            break;
        }
        assert!(world.now - begun < 1_800_000, "{:#?}", world.state.intents[&id]);
    }
}

#[test]
fn units_go_from_place_to_place_lowers_first() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (10, 2));
    let id = open(&mut world, ask(vec![go("A", 4)]));
    assert_eq!(stock(&world, "A"), [[6, 0], [2, 4]]);
    world.lane(AMZ, &mut || Luck::Fine);
    assert_eq!((world.shows("A", AMZ), phase(&world, id)), (2, Phase::Lowering));
    // A sale in between stays one.
    world.sell(SHOP, "1", "A", 1);
    until(&mut world, id, Phase::Done);
    world.quiesce();
    assert_eq!(stock(&world, "A"), [[6, 0], [6, 0]]);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (5, 6));
}

#[test]
fn who_sells_from_both_places_shows_the_same_all_the_while() {
    let mut world = stocked(places(&[wh(), store()]), [10, 2]);
    assert_eq!(world.shows("A", AMZ), 12);
    let id = open(&mut world, ask(vec![go("A", 4)]));
    until(&mut world, id, Phase::Done);
    let writes = world.journal.iter().flat_map(|envelope| &envelope.records);
    let amz = world.listing("A", AMZ).at;
    let legs = writes.filter(|record| {
        matches!(record, Record::Commit { sku: of, legs, .. } if *of == sku("A") && legs.iter().any(|(n, _)| *n == amz))
    });
    assert_eq!(legs.count(), 2, "opened in one place, then in the other, and nothing since");
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (6, 12));
}

#[test]
fn a_transfer_that_cannot_be_made_or_is_cancelled_is_booked_back() {
    for refuse in [true, false] {
        let mut world = stocked(places(&[store()]), [10, 2]);
        let id = open(&mut world, ask(vec![go("A", 4)]));
        if refuse {
            world.lane(SHOP, &mut says_no);
        } else {
            world.run(Command::CancelIntent { id }).expect("cancelled");
        }
        assert_eq!(stock(&world, "A"), [[10, 0], [2, 0]]);
        until(&mut world, id, Phase::RolledBack);
        world.quiesce();
        assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (10, 2));
        assert!(matches!(world.run(Command::CancelIntent { id }), Err(Refused::NotSo(_))));
    }
}

pub(super) fn receive(
    world: &mut World,
    id: Seq,
    of: Option<&str>,
    units: Option<i64>,
    lost: bool,
) -> Result<Reply, Refused> {
    let receipt = Receipt { sku: of.map(sku), quantity: units.map(q), lost, ..Receipt::default() };
    world.run(Command::Receive { id, receipt })
}

#[test]
fn units_that_travel_are_sold_nowhere_until_they_are_received() {
    let mut world = stocked(places(&[wh(), store()]), [10, 2]);
    let id = open(&mut world, Ask { travels: true, ..ask(vec![go("A", 4), go("B", 1)]) });
    let early = receive(&mut world, id, None, None, false).expect_err("too early");
    assert!(early.to_string().contains("still lowers"), "{early}");
    until(&mut world, id, Phase::InTransit);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (6, 8));
    assert!(receive(&mut world, id, None, Some(1), false).is_err(), "of which SKU?");
    assert!(receive(&mut world, id, Some("A"), Some(5), false).is_err(), "more than are on the way");
    receive(&mut world, id, Some("A"), Some(3), false).expect("received");
    assert_eq!((stock(&world, "A"), phase(&world, id)), ([[6, 0], [5, 1]], Phase::InTransit));
    assert!(matches!(world.run(Command::CancelIntent { id }), Err(Refused::NotSo(_))));
    assert_eq!(
        receive(&mut world, id, Some("NOPE"), None, false),
        Err(Refused::Unknown("there is no SKU `NOPE`".to_owned()))
    );
    receive(&mut world, id, Some("A"), None, true).expect("written off");
    receive(&mut world, id, None, None, false).expect("received");
    until(&mut world, id, Phase::Done);
    world.quiesce();
    assert_eq!((stock(&world, "A"), stock(&world, "B")), ([[6, 0], [5, 0]], [[9, 0], [3, 0]]));
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (6, 11));
}

#[test]
fn what_a_person_says_of_units_that_have_come_stands_with_what_is_booked() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    let id = open(&mut world, Ask { travels: true, ..ask(vec![go("A", 4)]) });
    until(&mut world, id, Phase::InTransit);
    let some = Receipt { quantity: Some(q(3)), note: "by van".to_owned(), ..Receipt::default() };
    world.run(Command::Receive { id, receipt: some }).expect("received");
    let rest = Receipt { lost: true, note: "one fell off".to_owned(), ..Receipt::default() };
    world.run(Command::Receive { id, receipt: rest }).expect("written off");
    let all = world.journal.iter().flat_map(|envelope| &envelope.records).flat_map(Record::entries);
    let told: Vec<_> = all
        .filter_map(|entry| {
            let Cause::Intent { intent, note } = &entry.cause else { return None };
            (*intent == id).then_some((entry.kind, note.as_str()))
        })
        .collect();
    let none = [(Kind::TransferOut, ""), (Kind::Incoming, "")];
    let said = [(Kind::TransferIn, "by van"), (Kind::TransferLost, "one fell off")];
    assert_eq!(told, [none, said].concat());
    // Those of older journals say nothing, and are written as they were.
    let old = r#"{"intent":{"intent":7}}"#;
    let cause: Cause = serde_json::from_str(old).expect("an older one");
    assert_eq!(serde_json::to_string(&cause).expect("a text"), old);
}

#[test]
fn what_cannot_be_is_refused_at_once_and_changes_nothing() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    let seq = world.state.seq;
    refused(&mut world, ask(vec![go("A", 11)]), "only 10 units of `A` are on hand");
    refused(
        &mut world,
        ask(vec![go("A", 6), go("A", 5)]),
        "only 10 units of `A` are on hand at `wh`, and lines before this one take 6",
    );
    refused(&mut world, ask(vec![set("X", SHOP, Some(1))]), "there is no SKU `X`");
    refused(&mut world, ask(vec![set("A", ERP, Some(1))]), "no quantities are written to `erp`");
    refused(&mut world, ask(vec![set("A", SHOP, Some(1)), set("A", SHOP, Some(2))]), "named twice");
    refused(&mut world, ask(vec![shift("A", 11, SHOP, AMZ)]), "may show only 10 units");
    let both = ask(vec![set("X", SHOP, Some(1)), set("Y", SHOP, Some(1))]);
    let told = world.run(Command::Intend(Box::new(both))).expect_err("refused").to_string();
    assert!(told.contains("`X`") && told.contains("`Y`"), "all problems at once: {told}");
    assert_eq!(world.state.seq, seq);
}

#[test]
fn sold_units_leave_a_place_only_by_force() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    world.sell(SHOP, "1", "A", 7);
    world.quiesce();
    refused(&mut world, ask(vec![go("A", 4)]), "only 3 units of `A` are available");
    let id = open(&mut world, Ask { force: true, ..ask(vec![go("A", 4)]) });
    until(&mut world, id, Phase::Done);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (0, 6));
}

#[test]
fn sold_units_that_travel_by_force_are_not_missing() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    world.sell(SHOP, "1", "A", 7);
    world.quiesce();
    let travels = Ask { travels: true, ..ask(vec![go("A", 10)]) };
    refused(&mut world, travels.clone(), "only 3 units of `A` are available");
    let id = open(&mut world, Ask { force: true, ..travels });
    until(&mut world, id, Phase::InTransit);
    assert_eq!((stock(&world, "A"), world.oversells()), ([[0, 0], [2, 10]], vec![]));
}

#[test]
fn a_listing_that_is_frozen_cannot_fall_and_one_that_freezes_later_can_be_waited_for_or_cancelled() {
    let freeze = |pause| Command::Pause { scope: PauseScope::Channel(ch(SHOP)), pause };
    let mut world = stocked(places(&[store()]), [10, 2]);
    world.run(freeze(Some(Pause::Frozen))).expect("paused");
    refused(&mut world, ask(vec![set("A", SHOP, Some(1))]), "is frozen");
    refused(&mut world, ask(vec![go("A", 1)]), "is frozen and could not fall");
    world.run(freeze(None)).expect("resumed");
    let id = open(&mut world, ask(vec![go("A", 1)]));
    world.run(freeze(Some(Pause::Frozen))).expect("paused");
    for _ in 0..40 {
        world.lane(SHOP, &mut || Luck::Fine);
        world.now += 2_000;
        world.run(Command::Tick).expect("ticks");
    }
    assert_eq!((phase(&world, id), world.shows("A", SHOP)), (Phase::Lowering, 10));
    assert!(
        world.state.alerts.keys().any(|key| key.kind == AlertKind::Intent && key.subject == id.to_string())
    );
    world.run(Command::CancelIntent { id }).expect("cancelled");
    assert_eq!(stock(&world, "A"), [[10, 0], [2, 0]]);
    world.run(freeze(None)).expect("resumed");
    until(&mut world, id, Phase::RolledBack);
}

#[test]
fn in_shadow_nothing_can_be_seen_to_fall_so_nothing_is_begun() {
    let mut world = World::open(&[("A", 10)]);
    let shadow = Policies { mode: Mode::Shadow, ..policies() };
    world.run(Command::Configure(Box::new(shadow))).expect("configures");
    refused(&mut world, ask(vec![set("A", SHOP, Some(1))]), "shadow mode writes nothing");
    // What lowers nothing may be.
    let id = open(&mut world, ask(vec![set("A", SHOP, None)]));
    assert_eq!(phase(&world, id), Phase::Done);
    // Nor does a limit above what is to be shown, or one that rises: there is nothing to wait for, and the next may be said at once.
    for (most, id) in [(Some(12), SHOP), (Some(10), SHOP), (Some(15), SHOP), (None, SHOP), (Some(10), AMZ)] {
        let done = open(&mut world, ask(vec![set("A", id, most)]));
        assert_eq!((phase(&world, done), allotted(&world, "A", id)), (Phase::Done, most));
    }
    refused(&mut world, ask(vec![set("A", SHOP, Some(9))]), "shadow mode writes nothing");
    // A restored store writes nothing either, whatever is configured.
    let mut world = World::open(&[("A", 10)]);
    world.run(Command::Restored).expect("restored");
    refused(&mut world, ask(vec![set("A", SHOP, Some(1))]), "`evenkeel resume --live`");
    world.run(Command::Live).expect("a person says so");
    open(&mut world, ask(vec![set("A", SHOP, Some(1))]));
}

#[test]
fn what_rises_in_shadow_is_not_waited_for_and_is_shown_once_it_is_live() {
    let mut world = limited();
    let shadow = Policies { mode: Mode::Shadow, ..policies() };
    world.run(Command::Configure(Box::new(shadow))).expect("configures");
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(7))]));
    assert_eq!((phase(&world, id), world.shows("A", AMZ)), (Phase::Done, 3));
    world.now += 24 * 3_600_000;
    world.run(Command::Tick).expect("ticks");
    assert!(world.state.alerts.keys().all(|key| key.kind != AlertKind::Intent));
    world.run(Command::Configure(Box::new(policies()))).expect("configures");
    world.quiesce();
    assert_eq!(world.shows("A", AMZ), 7);
}

/// SET is made of one A and sold by both, the shop from the warehouse and Amazon from the store.
fn with_set() -> World {
    let parts = vec![policy::Part { sku: sku("A"), units: q(1) }];
    let bundles = vec![policy::Recipe { bundle: sku("SET"), parts }];
    let mut world = stocked(Policies { bundles, ..places(&[store()]) }, [10, 2]);
    world.list(SHOP, &["SET"]);
    world.list(AMZ, &["SET"]);
    world.quiesce();
    world
}

#[test]
fn what_is_made_of_units_that_go_is_planned_with_them() {
    let world = with_set();
    let plan = judge(&world.state, &ask(vec![go("A", 3)])).expect("it can be done");
    let of = |shown: &Shown| {
        let units = [shown.before, shown.lowered, shown.after].map(|units| units.map(Quantity::units));
        (shown.listing.sku.to_string(), shown.channel.to_string(), units)
    };
    let shown: Vec<_> = plan.shown.iter().map(of).collect();
    let (falls, rises) = ([Some(10), Some(7), Some(7)], [Some(2), Some(2), Some(5)]);
    let want = [("A", SHOP, falls), ("A", AMZ, rises), ("SET", SHOP, falls), ("SET", AMZ, rises)];
    let want = want.map(|(of, on, units)| (of.to_owned(), on.to_owned(), units));
    assert_eq!(shown, want);
}

#[test]
fn a_bundle_that_is_frozen_cannot_fall_with_what_it_is_made_of() {
    let mut world = with_set();
    let freeze = |pause| Command::Pause { scope: PauseScope::Sku(sku("SET")), pause };
    world.run(freeze(Some(Pause::Frozen))).expect("paused");
    refused(&mut world, ask(vec![go("A", 1)]), "`SET` on `shop` is frozen and could not fall");
    // What it is not made of may go.
    open(&mut world, ask(vec![go("B", 1)]));
    world.run(freeze(None)).expect("resumed");
    let id = open(&mut world, ask(vec![go("A", 1)]));
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("SET", SHOP), world.shows("SET", AMZ)), (9, 3));
}

#[test]
fn a_time_that_is_over_rolls_back_and_a_repeated_request_is_the_same_intent() {
    let mut world = limited();
    let wanted = Ask {
        until: Some(ms(world.now + 5_000)),
        request: Some("r1".into()),
        ..ask(vec![shift("A", 4, SHOP, AMZ)])
    };
    let id = open(&mut world, wanted.clone());
    let again = world.run(Command::Intend(Box::new(wanted)));
    assert_eq!(again, Ok(Reply::Intent { id, phase: Phase::Lowering, again: true }));
    for other in [set("A", SHOP, Some(1)), shift("B", 4, SHOP, AMZ), go("A", 4)] {
        let other = Ask { request: Some("r1".into()), ..ask(vec![other]) };
        let told = world.run(Command::Intend(Box::new(other)));
        assert!(matches!(&told, Err(Refused::NotSo(why)) if why.contains("something else")), "{told:?}");
    }
    world.now += 6_000;
    world.run(Command::Tick).expect("ticks");
    until(&mut world, id, Phase::RolledBack);
    assert_eq!(world.state.intents[&id].undone, Some(Undone::Expired));
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (10, 3));
}

#[test]
fn a_trial_says_which_units_go_and_what_both_places_have_before_and_after() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    world.sell(SHOP, "1", "A", 3);
    world.quiesce();
    for travels in [false, true] {
        let asked = Ask { travels, ..ask(vec![go("A", 4), go("A", 1), go("B", 2)]) };
        let plan = judge(&world.state, &asked).expect("it can be done");
        let at = |place: &AtPlace| {
            let figures = [place.before, place.after]
                .map(|stock| [stock.on_hand, stock.available().expect("small")].map(Quantity::units));
            (place.location.to_string(), figures)
        };
        let told: Vec<_> = plan
            .moves
            .iter()
            .map(|moves| (moves.sku.to_string(), moves.quantity.units(), at(&moves.from), at(&moves.to)))
            .collect();
        let (wh, store) = (|figures| (WH.to_owned(), figures), |figures| ("store".to_owned(), figures));
        let want = [
            ("A".to_owned(), 4, wh([[10, 7], [6, 3]]), store([[2, 2], [6, 6]])),
            ("A".to_owned(), 1, wh([[6, 3], [5, 2]]), store([[6, 6], [7, 7]])),
            ("B".to_owned(), 2, wh([[10, 10], [8, 8]]), store([[2, 2], [4, 4]])),
        ];
        assert_eq!(told, want, "travels: {travels}");
    }
}

#[test]
fn the_brake_asks_before_too_much_is_emptied() {
    let brake = policy::Brake { zero_percent: 20, move_percent: 50, min_skus: 1 };
    let mut world = World::open_with(Policies { brake, ..policies() }, &[("A", 10), ("B", 8)]);
    let all = ask(vec![set("A", SHOP, Some(0))]);
    let held = world.run(Command::Intend(Box::new(all.clone())));
    assert!(
        matches!(held, Err(Refused::Braked(why)) if why.contains("on `shop` it would set 1 of 2 listings to zero"))
    );
    let id = open(&mut world, Ask { confirmed: true, ..all });
    until(&mut world, id, Phase::Done);
}

#[test]
fn the_brake_asks_before_half_of_a_small_shop_is_emptied() {
    let brake = policy::Brake { zero_percent: 20, move_percent: 50, min_skus: 10 };
    let stock = [("A", 10), ("B", 8), ("C", 5), ("D", 5), ("E", 5), ("F", 5)];
    let mut world = World::open_with(Policies { brake, ..policies() }, &stock);
    let empty = |of: &[&str]| ask(of.iter().map(|sku| set(sku, SHOP, Some(0))).collect());
    let held = world.run(Command::Intend(Box::new(empty(&["A", "B", "C"]))));
    assert!(
        matches!(&held, Err(Refused::Braked(why)) if why.contains("on `shop` it would set 3 of 6 listings to zero")),
        "{held:?}"
    );
    let id = open(&mut world, empty(&["A", "B"]));
    until(&mut world, id, Phase::Done);
}

#[test]
fn a_count_that_was_read_before_or_while_units_move_waits_for_the_next() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    let before = world.count_of(ERP, &[("A", 10)]);
    let id = open(&mut world, ask(vec![go("A", 4)]));
    let deferred = |reply| matches!(reply, Reply::Counted { changed: 0, deferred: 1, .. });
    assert!(deferred(world.run(Command::Count(before.clone())).expect("taken")));
    let during = world.count_of(ERP, &[("A", 10)]);
    assert!(deferred(world.run(Command::Count(during.clone())).expect("taken")));
    until(&mut world, id, Phase::Done);
    assert!(deferred(world.run(Command::Count(during)).expect("taken")), "the arrival came after it");
    let after = world.count_of(ERP, &[("A", 5)]);
    let reply = world.run(Command::Count(after)).expect("taken");
    assert!(matches!(reply, Reply::Counted { changed: 1, deferred: 0, .. }), "{reply:?}");
    assert_eq!(stock(&world, "A"), [[5, 0], [6, 0]]);
}

/// Takes a channel out of the configuration, and lets time pass.
fn without(world: &mut World, channel: &str) {
    let mut policies = world.state.policies().expect("configured").clone();
    policies.channels.remove(&ch(channel)).expect("configured");
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    for _ in 0..3 {
        world.now += 1_000;
        world.run(Command::Tick).expect("ticks");
    }
}

#[test]
fn a_raise_on_a_channel_that_is_configured_no_more_is_not_waited_for() {
    let mut world = limited();
    world.list(ERP, &["B"]);
    let id = open(&mut world, ask(vec![set("A", AMZ, None)]));
    assert_eq!(phase(&world, id), Phase::Raising);
    assert!(matches!(world.run(Command::CancelIntent { id }), Err(Refused::NotSo(_))));
    without(&mut world, AMZ);
    assert_eq!(phase(&world, id), Phase::Done);
    world.run(Command::Merge { from: sku("A"), into: sku("B") }).expect("nothing is under way for it");
}

#[test]
fn a_lower_on_a_channel_that_is_configured_no_more_rolls_the_others_back() {
    let mut world = World::open(&[("A", 10)]);
    let id = open(&mut world, ask(vec![set("A", SHOP, Some(2)), set("A", AMZ, Some(1))]));
    world.lane(SHOP, &mut || Luck::Fine);
    without(&mut world, AMZ);
    assert_eq!((phase(&world, id), allotted(&world, "A", SHOP)), (Phase::RollingBack, None));
    let undone = world.state.intents[&id].undone.clone();
    assert!(
        matches!(&undone, Some(Undone::Refused { reason, .. }) if reason.contains("not configured any more")),
        "{undone:?}"
    );
    for _ in 0..20 {
        world.lane(SHOP, &mut || Luck::Fine);
        world.feed(SHOP);
        world.now += 1_000;
        world.run(Command::Tick).expect("ticks");
    }
    assert_eq!((phase(&world, id), world.shows("A", SHOP)), (Phase::RolledBack, 10));
}

#[test]
fn what_is_put_back_is_not_waited_for_on_a_channel_that_is_configured_no_more() {
    let mut world = World::open(&[("A", 10)]);
    let id = open(&mut world, ask(vec![set("A", AMZ, Some(1))]));
    world.run(Command::CancelIntent { id }).expect("cancelled");
    assert_eq!(phase(&world, id), Phase::RollingBack);
    without(&mut world, AMZ);
    assert_eq!(phase(&world, id), Phase::RolledBack);
}

#[test]
fn nothing_is_moved_out_of_or_into_what_a_channel_keeps_by_itself() {
    let fba = LocationId::new("fba").expect("a good name");
    let mut policies = policies();
    policies.locations = vec![wh(), fba.clone()];
    policies.channels.get_mut(&ch(AMZ)).expect("configured").own_location = Some(fba.clone());
    let mut world = World::open_with(policies, &[("A", 10)]);
    let line = CountLine { ids: World::ids_of(ERP, "A"), location: fba.clone(), quantity: q(30) };
    let count = Count { opening: true, lines: vec![line], ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    let go = |from: LocationId, to: LocationId| row(What::Move { sku: sku("A"), quantity: q(4), from, to });
    for force in [false, true] {
        let out = Ask { force, ..ask(vec![go(fba.clone(), wh())]) };
        refused(&mut world, out, "`amz` keeps and ships what lies at `fba`");
        let into = Ask { travels: true, force, ..ask(vec![go(wh(), fba.clone())]) };
        refused(&mut world, into, "`amz` keeps and ships what lies at `fba`");
    }
    let at = |place| world.state.skus[&sku("A")].place(&place).map(|held| held.stock.on_hand.units());
    assert_eq!((at(wh()), at(fba)), (Some(10), Some(30)));
}

#[test]
fn limits_that_are_asked_with_units_that_travel_rise_when_these_have_arrived() {
    let mut world = stocked(places(&[store()]), [10, 2]);
    let id = open(&mut world, ask(vec![set("A", SHOP, Some(3))]));
    until(&mut world, id, Phase::Done);
    let both = Ask { travels: true, ..ask(vec![go("A", 4), set("A", SHOP, Some(5))]) };
    let id = open(&mut world, both);
    until(&mut world, id, Phase::InTransit);
    assert_eq!(allotted(&world, "A", SHOP), Some(3));
    receive(&mut world, id, None, Some(1), false).expect("taken in");
    assert_eq!(allotted(&world, "A", SHOP), Some(3));
    receive(&mut world, id, None, None, false).expect("taken in");
    until(&mut world, id, Phase::Done);
    assert_eq!((allotted(&world, "A", SHOP), world.shows("A", SHOP)), (Some(5), 5));
}

#[test]
fn where_no_units_travel_nothing_is_waited_for() {
    let mut world = World::open(&[("A", 10)]);
    let id = open(&mut world, Ask { travels: true, ..ask(vec![set("A", SHOP, Some(4))]) });
    until(&mut world, id, Phase::Done);
    assert_eq!((world.shows("A", SHOP), allotted(&world, "A", SHOP)), (4, Some(4)));
}

#[test]
fn whoever_moves_stock_is_told_of_an_erp_that_counts_there_and_is_not_told() {
    let world = stocked(places(&[wh()]), [10, 5]);
    let notes =
        |rows| crate::core::decide::intents::judge(&world.state, &ask(rows)).expect("it can be done").notes;
    let told = |notes: Vec<String>| notes.iter().filter(|note| note.contains("is not told of this")).count();
    assert_eq!(told(notes(vec![go("A", 2), go("B", 1)])), 1, "once");
    assert_eq!(told(notes(vec![set("A", SHOP, Some(3))])), 0);
}

#[test]
fn what_a_channel_shows_while_a_drift_is_open_is_what_was_seen_there() {
    let drift = policy::DriftPolicy { repair: policy::Repair::Ask, ..policy::DriftPolicy::default() };
    let mut world = World::open_with(Policies { drift, ..policies() }, &[("A", 20)]);
    world.now += 600_000;
    world.set_shown("A", SHOP, 2);
    world.look("A", SHOP);
    for _ in 0..3 {
        world.now += 10_000;
        world.feed(SHOP);
        world.run(Command::Tick).expect("ticks");
    }
    assert!(world.held("A", SHOP).drifts(), "{:?}", world.held("A", SHOP));
    let plan = judge(&world.state, &ask(vec![set("A", SHOP, Some(6))])).expect("it can be done");
    let of = |shown: &Shown| [shown.shows, shown.before, shown.lowered, shown.after];
    let [shown] = &plan.shown[..] else { panic!("{:?}", plan.shown) };
    assert_eq!(of(shown), [Some(q(2)), Some(q(20)), Some(q(6)), Some(q(6))]);
    // A lower of ours goes over it, and what is there again is not raised.
    for units in [1, 20] {
        world.now += 10_000;
        let count = world.count_of(ERP, &[("A", units)]);
        world.run(Command::Count(count)).expect("counted");
        world.run_on();
    }
    assert_eq!((world.shows("A", SHOP), world.held("A", SHOP).drifts()), (1, true));
    let plan = judge(&world.state, &ask(vec![set("A", SHOP, Some(6))])).expect("it can be done");
    let [shown] = &plan.shown[..] else { panic!("{:?}", plan.shown) };
    assert_eq!(of(shown), [Some(q(1)), Some(q(20)), Some(q(6)), Some(q(6))]);
}

#[test]
fn units_that_come_from_several_places_or_by_several_lines_are_received_in_part() {
    let depot = LocationId::new("depot").expect("a good name");
    let mut policies = places(&[wh(), store()]);
    policies.locations.push(depot.clone());
    let mut world = stocked(policies, [10, 2]);
    let line = CountLine { ids: World::ids_of(ERP, "A"), location: depot.clone(), quantity: q(5) };
    let count = Count { opening: true, lines: vec![line], ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("opens");
    let from = |from: &LocationId, units: i64| {
        row(What::Move { sku: sku("A"), quantity: q(units), from: from.clone(), to: store() })
    };
    let rows = vec![from(&wh(), 1), from(&depot, 2), from(&wh(), 2)];
    let id = open(&mut world, Ask { travels: true, ..ask(rows) });
    until(&mut world, id, Phase::InTransit);
    let receive = |world: &mut World, from: Option<&LocationId>, units: i64, lost: bool| {
        let of = Receipt { sku: Some(sku("A")), to: Some(store()), lost, ..Receipt::default() };
        let receipt = Receipt { from: from.cloned(), quantity: Some(q(units)), ..of };
        world.run(Command::Receive { id, receipt })
    };
    let told = receive(&mut world, None, 1, false).expect_err("from where?").to_string();
    assert!(told.contains("3 lines") && told.contains("--from"), "{told}");
    receive(&mut world, Some(&depot), 1, false).expect("one of two has come");
    assert!(receive(&mut world, Some(&wh()), 4, false).is_err(), "three are on the way");
    receive(&mut world, Some(&wh()), 2, true).expect("one of both lines, and the rest is lost");
    assert_eq!((stock(&world, "A")[1], phase(&world, id)), ([5, 1], Phase::InTransit));
    receive(&mut world, Some(&depot), 1, false).expect("the last has come");
    assert_eq!(stock(&world, "A")[1], [6, 0]);
    assert_eq!(world.state.skus[&sku("A")].place(&depot).map(|place| place.stock.on_hand), Some(q(3)));
}
