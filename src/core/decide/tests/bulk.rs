//! Bulks: many raises that leave as one, land late and in any order, and end in every way that a channel knows.

use super::world::*;
use crate::{
    core::{
        Command, Reply,
        bulk::{Act, Bulk, CANCEL_MS, How, LOST_MS, Refused, STUCK_MS, Stage, Told, Turn},
        decide::lane::waits_for,
        exposure,
        leg::State as LegState,
        state::{ChannelRow, ListingRef},
    },
    model::{Outcome, Put},
};

/// What leaves with one bulk.
pub(super) type Puts = Vec<(ListingRef, Put)>;

const SKUS: [&str; 4] = ["A", "B", "C", "D"];

impl World {
    /// A world in which Amazon takes a bulk of more than so many raises.
    pub(super) fn with_bulks(above: u32, stock: &[(&str, i64)]) -> World {
        let mut policies = policies();
        policies.channels.get_mut(&ch(AMZ)).expect("configured").bulk_above = Some(above);
        (policies.brake.zero_percent, policies.brake.move_percent) = (100, 100);
        World::open_with(policies, stock)
    }

    fn turn(&mut self, limit: usize, more: bool) -> Turn<(ListingRef, Put)> {
        let act = Act::Take { limit, more };
        let reply = self.run(Command::Bulk { channel: ch(AMZ), act }).expect("a bulk is asked for");
        let Reply::Bulk(turn) = reply else { panic!("no turn: {reply:?}") };
        turn
    }

    /// Puts a bulk together, if one is due.
    pub(super) fn take_bulk(&mut self) -> Puts {
        let (mut puts, mut more) = (Puts::new(), false);
        while let Turn::Write(some) = self.turn(3, more) {
            assert!(!some.is_empty() && some.len() <= 3);
            puts.extend(some);
            more = true;
        }
        puts
    }

    pub(super) fn tell(&mut self, told: Told) {
        self.run(Command::Bulk { channel: ch(AMZ), act: Act::Told(told) })
            .expect("what is told of a bulk is taken in");
    }

    /// The channel takes a bulk.
    pub(super) fn taken(&mut self, puts: &Puts, id: &str) {
        self.tell(Told::Taken { id: id.to_owned() });
        self.bulk_answered(puts, &Outcome::Accepted { submission: Some(id.to_owned()) });
    }

    pub(super) fn bulk_answered(&mut self, puts: &Puts, outcome: &Outcome) {
        for put in puts {
            self.answer(AMZ, put, outcome.clone());
        }
    }

    pub(super) fn ended(&mut self, how: How) {
        self.tell(Told::Ended { how, why: None, again_ms: 60_000 });
    }

    pub(super) fn bulk(&self) -> Option<&Bulk> {
        self.state.channels.get(&ch(AMZ)).and_then(ChannelRow::bulk)
    }

    pub(super) fn bulk_lands(&mut self, puts: &Puts) {
        for (listing, put) in puts {
            let units = put.quantity.units();
            self.market(AMZ).shows.insert(listing.clone(), units);
        }
    }

    /// The shelf is filled up to so many units of each, and Amazon's orders are read past that.
    fn fill(&mut self, units: i64) {
        let count = self.count_of(ERP, &SKUS.map(|of| (of, units)));
        self.run(Command::Count(count)).expect("a count is taken in");
        self.now += 10_000;
        self.feed(AMZ);
    }

    /// What the lane writes one by one.
    fn take_all(&mut self) -> Puts {
        std::iter::from_fn(|| Some(self.take(AMZ).puts).filter(|puts| !puts.is_empty())).flatten().collect()
    }

    fn alert(&mut self, kind: &str) -> Option<String> {
        self.run(Command::Tick).expect("a tick");
        let mut of = self
            .state
            .alerts
            .iter()
            .filter(|(key, alert)| key.kind.name() == kind && key.subject == AMZ && alert.firing);
        of.next().map(|(_, alert)| alert.text.clone())
    }
}

fn filled(units: i64) -> World {
    let mut world = World::with_bulks(2, &SKUS.map(|of| (of, 10)));
    world.fill(units);
    world
}

fn of(puts: &Puts) -> Vec<(String, i64)> {
    puts.iter().map(|(listing, put)| (listing.sku.to_string(), put.quantity.units())).collect()
}

/// Four raises to 30 that Amazon has taken as feed `F1`.
fn open() -> (World, Puts) {
    let mut world = filled(30);
    let puts = world.take_bulk();
    assert_eq!(puts.len(), 4);
    world.taken(&puts, "F1");
    (world, puts)
}

#[test]
fn more_raises_than_configured_leave_as_one_and_fewer_do_not() {
    let (world, _) = open();
    let bulk = world.bulk().expect("open");
    assert_eq!((bulk.id.as_deref(), bulk.listings, bulk.stage), (Some("F1"), 4, Stage::Queued));
    let mut world = World::with_bulks(4, &SKUS.map(|of| (of, 10)));
    world.fill(30);
    assert_eq!(of(&world.take_bulk()), []);
    assert_eq!(world.take_all().len(), 4);
    let mut world = World::with_bulks(2, &SKUS.map(|of| (of, 10)));
    let mut policies = policies();
    (policies.brake.zero_percent, policies.brake.move_percent) = (100, 100);
    world.run(Command::Configure(Box::new(policies))).expect("configures");
    world.fill(30);
    assert_eq!(of(&world.take_bulk()), [], "never, where it is not configured");
}

#[test]
fn a_bulk_waits_for_the_orders_as_every_raise_does_and_takes_no_lower() {
    let mut world = World::with_bulks(2, &SKUS.map(|of| (of, 10)));
    let count = world.count_of(ERP, &[("A", 30), ("B", 30), ("C", 30), ("D", 4)]);
    world.run(Command::Count(count)).expect("a count is taken in");
    assert_eq!(of(&world.take_bulk()), []);
    world.now += 10_000;
    world.feed(AMZ);
    assert_eq!(of(&world.take_bulk()), [("A".into(), 30), ("B".into(), 30), ("C".into(), 30)]);
    assert_eq!(world.take(AMZ).quantities(), [("D".into(), 4)]);
}

#[test]
fn nothing_of_a_bulk_is_looked_at_or_late_before_it_has_ended_and_then_all_is() {
    let (mut world, puts) = open();
    world.now += 3_600_000;
    world.feed(AMZ);
    assert_eq!((world.take(AMZ).looks.len(), world.alert("late")), (0, None));
    world.look("A", AMZ); // a reconcile
    assert!(matches!(world.leg("A", AMZ).state, LegState::Accepted { .. }));
    world.bulk_lands(&puts);
    world.ended(How::Done);
    world.take(AMZ);
    world.now += AMZ_CAN.look_ms;
    assert_eq!(world.take(AMZ).looks.len(), 4);
    world.quiesce();
    assert!(SKUS.iter().all(|of| world.shows(of, AMZ) == 30));
}

#[test]
fn a_lower_passes_an_open_bulk_and_what_that_lands_over_it_is_lowered_again() {
    let (mut world, puts) = open();
    world.sell(SHOP, "1", "A", 3);
    let work = world.take(AMZ);
    assert_eq!(work.quantities(), [("A".into(), 27)]);
    world.answer(AMZ, &work.puts[0], Outcome::Accepted { submission: None });
    world.set_shown("A", AMZ, 27);
    world.now += 30_000;
    world.look("A", AMZ);
    assert!(matches!(world.leg("A", AMZ).state, LegState::Confirmed));
    let exposed = exposure::of(&world.held("A", AMZ).writes).expect("small");
    assert!(exposed >= Some(q(57)), "27 are shown and 30 may land: {exposed:?}");
    world.bulk_lands(&puts);
    world.ended(How::Done);
    world.quiesce();
    assert_eq!(world.shows("A", AMZ), 27);
}

#[test]
fn a_raise_of_what_is_in_an_open_bulk_waits_for_its_end() {
    let (mut world, puts) = open();
    world.sell(SHOP, "1", "A", 3);
    world.quiesce_but_bulks();
    world.fill(40);
    world.feed(AMZ);
    assert_eq!(world.take(AMZ).quantities(), [], "neither what was lowered since, nor the others");
    let why = waits_for(&world.state, &world.listing("A", AMZ), ms(world.now)).expect("it waits");
    assert!(why.contains("feed"), "{why}");
    world.bulk_lands(&puts);
    world.ended(How::Done);
    world.quiesce();
    assert_eq!((world.shows("A", AMZ), world.shows("B", AMZ)), (37, 40));
}

#[test]
fn what_is_in_an_open_bulk_does_not_settle_by_age_and_from_its_end_on_it_does() {
    let (mut world, puts) = open();
    world.now += 10 * AMZ_CAN.late_ms;
    world.take(AMZ);
    assert!(world.held("A", AMZ).writes.in_bulk());
    world.bulk_lands(&puts);
    world.ended(How::Done);
    world.quiesce();
    assert_eq!(world.held("A", AMZ).writes.unsettled.len(), 1);
    assert!(!world.held("A", AMZ).writes.in_bulk());
    world.now += AMZ_CAN.late_ms;
    world.take(AMZ);
    assert!(world.held("A", AMZ).writes.unsettled.is_empty());
}

#[test]
fn what_a_channel_refuses_of_a_bulk_is_a_dead_letter_and_the_rest_goes_on() {
    let (mut world, puts) = open();
    let refused = |number, sku: Option<&str>| Refused {
        number,
        sku: sku.map(str::to_owned),
        reason: "90220: no".to_owned(),
    };
    world.sell(SHOP, "1", "C", 3);
    world.quiesce_but_bulks();
    let number =
        |of: &str| puts.iter().zip(0..).find(|((listing, _), _)| listing.sku == sku(of)).map(|(_, n)| n);
    let all = vec![
        refused(number("A"), None),
        refused(None, Some("B")),
        refused(number("C"), Some("C")),
        refused(Some(77), None),
        refused(None, None),
    ];
    world.tell(Told::Refused(all.clone()));
    world.tell(Told::Refused(all)); // read again after a restart
    for of in ["A", "B"] {
        assert!(
            matches!(&world.leg(of, AMZ).state, LegState::Parked { reason, .. } if &**reason == "90220: no")
        );
        assert_eq!(
            (world.held(of, AMZ).writes.base, world.held(of, AMZ).writes.in_bulk()),
            (Some(q(10)), false)
        );
    }
    assert!(!world.held("C", AMZ).writes.in_bulk());
    world.bulk_lands(&puts.iter().filter(|(listing, _)| listing.sku == sku("D")).cloned().collect());
    world.ended(How::Done);
    world.now += 60_000;
    for _ in 0..20 {
        world.lane(AMZ, &mut || Luck::Fine);
        world.now += 5_000;
        world.feed(AMZ);
    }
    assert_eq!(["A", "B", "C", "D"].map(|of| world.shows(of, AMZ)), [10, 10, 27, 30]);
    // A person has mended it, and has it tried again: by itself.
    let letter = crate::core::command::DeadLetter::Leg(world.listing("A", AMZ));
    world
        .run(Command::Dead { letter, verdict: crate::core::command::Verdict::Retry })
        .expect("it is tried again");
    let letter = crate::core::command::DeadLetter::Leg(world.listing("B", AMZ));
    world
        .run(Command::Dead { letter, verdict: crate::core::command::Verdict::Retry })
        .expect("it is tried again");
    world.quiesce();
    assert_eq!(["A", "B"].map(|of| world.shows(of, AMZ)), [30, 30]);
}

/// A bulk that ends this way and of which nothing was applied is written one by one.
#[track_caller]
fn check_in_vain(how: How) {
    let (mut world, _) = open();
    world.ended(how);
    assert_eq!(of(&world.take_bulk()), [], "no other one at once");
    world.quiesce();
    assert!(SKUS.iter().all(|of| world.shows(of, AMZ) == 30), "{how:?}");
}

#[test]
fn what_a_bulk_did_not_do_is_done_one_by_one() {
    [How::Done, How::Cancelled, How::Failed, How::Lost].into_iter().for_each(check_in_vain);
}

#[test]
fn a_bulk_that_was_not_begun_leaves_its_raises_to_the_lane_at_once() {
    let mut world = filled(30);
    let puts = world.take_bulk();
    world.ended(How::NotBegun);
    world.bulk_answered(&puts, &Outcome::Throttled { retry_after_ms: 0 });
    assert_eq!(of(&world.take_bulk()), []);
    assert_eq!(world.take_all().len(), 4);
}

#[test]
fn a_bulk_that_is_cut_off_is_asked_after_and_nothing_of_it_is_sent_meanwhile() {
    let mut world = filled(30);
    let puts = world.take_bulk();
    world.restart();
    let Turn::Ask(bulk) = world.turn(3, false) else { panic!("it is open") };
    assert_eq!((bulk.stage, bulk.id.as_deref(), bulk.listings), (Stage::Unsure, None, 4));
    for _ in 0..50 {
        world.now += 30_000;
        world.feed(AMZ);
        assert_eq!(world.take(AMZ).quantities(), []);
        SKUS.iter().for_each(|of| world.look(of, AMZ));
    }
    world.tell(Told::Found { id: "F1".to_owned() });
    world.tell(Told::At(Stage::Working));
    let bulk = world.bulk().expect("open");
    assert_eq!((bulk.id.as_deref(), bulk.found, bulk.stage), (Some("F1"), true, Stage::Working));
    let row = Refused { number: Some(0), sku: None, reason: "another's".to_owned() };
    world.tell(Told::Refused(vec![row]));
    world.bulk_lands(&puts);
    world.ended(How::Done);
    world.quiesce();
}

#[test]
fn a_bulk_whose_lane_died_is_asked_after_too() {
    let mut world = filled(30);
    assert!(matches!(world.turn(3, false), Turn::Write(_)));
    assert!(matches!(world.turn(3, false), Turn::Ask(Bulk { stage: Stage::Unsure, .. })));
}

#[test]
fn a_restart_while_a_bulk_is_open_loses_nothing() {
    let (mut world, puts) = open();
    world.restart();
    assert!(matches!(world.turn(3, false), Turn::Ask(Bulk { stage: Stage::Queued, .. })));
    world.bulk_lands(&puts);
    world.ended(How::Done);
    world.restart();
    world.quiesce();
}

#[test]
fn a_bulk_that_does_not_get_done_is_told_of_by_its_name() {
    let (mut world, _) = open();
    world.now += STUCK_MS - 1;
    assert_eq!(world.alert("bulk_late"), None);
    world.now += 1;
    let text = world.alert("bulk_late").expect("it is told");
    assert!(text.contains("`F1`") && text.contains("4 listings") && text.contains("in the queue"), "{text}");
    let bulk = world.bulk().expect("open").clone();
    assert!(!bulk.is_to_be_cancelled(ms(world.now)));
    assert!(
        bulk.is_to_be_cancelled(bulk.at.plus_millis(CANCEL_MS)) && bulk.is_lost(bulk.at.plus_millis(LOST_MS))
    );
    let working = Bulk { stage: Stage::Working, ..bulk };
    assert!(!working.is_to_be_cancelled(working.at.plus_millis(CANCEL_MS)));
    world.ended(How::Cancelled);
    assert_eq!(world.alert("bulk_late"), None);
}
