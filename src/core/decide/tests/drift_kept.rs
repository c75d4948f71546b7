//! What a drift must not end: a dead letter, a person's release, and an order that is still to be read.

use super::{
    drift::{ask, with},
    world::*,
};
use crate::{
    core::{
        Command,
        command::{DeadLetter, DriftAct, Verdict},
        decide::lane::waits_for,
        drift::Done,
        leg,
        oversold::Class,
        record::AlertKind,
    },
    model::{
        IdKind, Identifiers, Outcome,
        policy::{ChannelDrift, DriftPolicy, Repair},
    },
};

/// The shop refuses a lower to 7, of which a person is told.
fn refused() -> World {
    let mut world = World::open(&[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.sell(AMZ, "1", "A", 3);
    world.lane(SHOP, &mut || Luck::Says(Outcome::Rejected { reason: "not stocked".into() }));
    assert_eq!(world.alerts(), [AlertKind::DeadLetters]);
    world
}

#[test]
fn a_drift_leaves_a_dead_letter_that_it_has_not_made() {
    let mut world = refused();
    world.read("A", [9, 9, 0]);
    assert_eq!(world.drift("A").done, Done::Left);
    assert!(
        matches!(&world.leg("A", SHOP).state, leg::State::Parked { reason, .. } if &**reason == "not stocked")
    );
    assert_eq!(world.alerts(), [AlertKind::DeadLetters]);
    assert!(!world.state.skus[&sku("A")].commits.is_empty(), "it is not seen everywhere");
}

#[test]
fn a_dead_letter_whose_listing_shows_more_than_before_is_asked_about() {
    let mut world = refused();
    world.read("A", [300, 300, 0]);
    assert_eq!(world.drift("A").done, Done::Asked);
    assert!(
        matches!(&world.leg("A", SHOP).state, leg::State::Parked { reason, .. } if &**reason == "not stocked")
    );
    assert_eq!(world.alerts(), [AlertKind::Drift]);
    world.act("A", DriftAct::Repair).expect("it is written again");
    assert_eq!(world.take(SHOP).quantities(), [("A".to_owned(), 7)]);
}

#[test]
fn what_is_held_stays_held_whatever_the_other_writer_shows() {
    let mut world = World::open(&[("A", 10)]);
    world.hold("A");
    world.read("A", [10, 20, 0]); // ours, for a moment
    assert_eq!(world.drift("A").done, Done::Held);
    assert_eq!(world.alerts(), [AlertKind::Drift]);
    let count = world.count_of(ERP, &[("A", 12)]);
    world.run(Command::Count(count)).expect("a count");
    world.now += 60_000;
    world.feed(SHOP);
    assert_eq!(world.take(SHOP).quantities(), [], "a raise waits for a person");

    // A lower that is under way goes, and ends nothing.
    world.set_shown("A", SHOP, 50);
    world.sell(AMZ, "1", "A", 5);
    world.read("A", [50, 50, 0]);
    assert_eq!(world.drift("A").done, Done::Held);
    assert_eq!(world.take(SHOP).quantities(), [("A".to_owned(), 7)]);
    world.index_is_true();
}

#[test]
fn a_held_listing_that_a_lower_of_ours_went_over_is_not_said_to_show_too_much() {
    let mut world = World::open(&[("A", 10)]);
    world.hold("A");
    let too_much = |world: &mut World| {
        world.run(Command::Tick).expect("a tick");
        world.state.alerts.values().next().expect("it fires").text.contains("units more than")
    };
    world.set_shown("A", SHOP, 30);
    world.read("A", [30, 20, 0]);
    assert!(too_much(&mut world));
    world.sell(AMZ, "1", "A", 4);
    world.run_on();
    assert_eq!((world.shows("A", SHOP), world.drift("A").done), (6, Done::Held));
    assert!(!too_much(&mut world));
}

impl World {
    /// Another writer undoes ours until it is held, at 5.
    fn hold(&mut self, of: &str) {
        for n in 0..3 {
            self.read(of, [20 + n, 20, 0]);
            self.quiesce();
        }
        self.read(of, [5, 20, 0]);
        assert_eq!(self.drift(of).done, Done::Held);
    }
}

#[test]
fn a_held_listing_that_shows_too_much_tells_by_how_many_units_and_what_it_sells_is_the_other_writers_doing() {
    let mut world = World::open(&[("A", 10)]);
    world.hold("A");
    let said = |world: &mut World| {
        world.run(Command::Tick).expect("a tick");
        world.state.alerts.values().next().expect("it fires").text.clone()
    };
    assert!(!said(&mut world).contains("more than"), "it shows less than ours");
    for (shows, over) in [(30, 20), (25, 15), (60, 50)] {
        world.read("A", [shows, 20, 0]);
        let drift = world.drift("A");
        assert_eq!((drift.done, drift.expected, drift.observed), (Done::Held, q(10), q(shows)));
        let text = said(&mut world);
        let wanted = format!("shows {over} units more than the 10 that ours would");
        assert!(text.contains(&wanted) && text.contains("evenkeel drift release"), "{text}");
    }
    world.sell(SHOP, "1", "A", 12);
    assert_eq!(world.oversells(), [(2, Class::RivalWriter)]);
}

#[test]
fn people_are_told_again_of_a_held_listing_only_when_it_shows_far_more_than_ever() {
    let mut policies = policies();
    policies.alerts.webhook = true;
    let mut world = World::open_with(policies, &[("A", 10)]);
    world.hold("A");
    let mut told = |shows: i64| {
        world.read("A", [shows, 20, 0]);
        world.run(Command::Tick).expect("a tick");
        let (key, alert) = world.state.alerts.iter().next().expect("it fires");
        let (key, waiting, about) = (key.clone(), alert.waiting, alert.about);
        let due = alert.send_at.is_some();
        world
            .run(Command::AlertSent { key, firing: true, told: (waiting, about), sent: true })
            .expect("told");
        due
    };
    let got = [6, 30, 5, 30, 29, 30, 31, 90, 30, 90].map(&mut told);
    assert_eq!(got, [true, true, false, false, false, false, false, true, false, false]);
}

#[test]
fn each_question_is_told_while_another_listing_is_held() {
    let mut policies = with(ask());
    let shop = policies.channels.get_mut(&ch(SHOP)).expect("configured");
    shop.drift = ChannelDrift { repair: Some(Repair::Ours), ..ChannelDrift::default() };
    policies.alerts.webhook = true;
    let mut world = World::open_with(policies.clone(), &[("A", 10), ("B", 10)]);
    world.read("B", [10, 10, 0]);
    world.hold("A");
    policies.channels.get_mut(&ch(SHOP)).expect("configured").drift = ChannelDrift::default();
    world.run(Command::Configure(Box::new(policies))).expect("people are asked from now on");
    let mut told = |read: &[(&str, i64)]| {
        for (of, shows) in read {
            world.read(of, [*shows, *shows, 0]);
        }
        world.run(Command::Tick).expect("a tick");
        let (key, alert) = world.state.alerts.iter().next().expect("it fires");
        let (key, waiting, text) = (key.clone(), alert.waiting, alert.text.clone());
        let (about, due) = (alert.about, alert.send_at.is_some());
        world
            .run(Command::AlertSent { key, firing: true, told: (waiting, about), sent: true })
            .expect("told");
        (due, text.contains("SKU A is held"), text.contains(&format!("SKU B shows {}", read[0].1)))
    };
    let held = told(&[("A", 6)]);
    assert_eq!((held.0, held.1), (true, true));
    assert_eq!(told(&[("B", 17), ("A", 5)]), (true, true, true), "a new question");
    assert!(!told(&[("A", 6)]).0, "another number of the one that is held is none");
    assert_eq!(told(&[("B", 18), ("A", 5)]), (true, true, true), "another question");
    assert!(!told(&[("A", 6)]).0);
}

#[test]
fn a_lower_number_that_the_policy_leaves_is_no_persons_doing_until_one_gives_it_up() {
    let theirs = DriftPolicy { repair: Repair::Theirs, ..DriftPolicy::default() };
    let mut world = World::open_with(with(theirs), &[("A", 10), ("B", 10)]);
    let left = |world: &World| (world.drift("A").done, world.held("A", SHOP).left_to_theirs());
    world.read("A", [10, 10, 0]);
    world.read("A", [7, 10, 0]);
    assert_eq!(left(&world), (Done::Left, true));
    world.read("A", [6, 10, 0]);
    assert_eq!(left(&world), (Done::Left, true), "it goes on so");
    // The next change is refused, and a person gives it up.
    world.sell(AMZ, "1", "A", 5);
    assert!(!world.held("A", SHOP).left_to_theirs());
    world.lane(SHOP, &mut || Luck::Says(Outcome::Rejected { reason: "not stocked".into() }));
    let letter = DeadLetter::Leg(world.listing("A", SHOP));
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("given up");
    assert!(matches!(world.leg("A", SHOP).state, leg::State::Dropped));
    assert!(!world.held("A", SHOP).left_to_theirs());
}

#[test]
fn a_listing_that_a_person_left_and_that_shows_too_much_is_the_other_writers_doing() {
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [30, 10, 0]);
    let letter = DeadLetter::Leg(world.listing("A", SHOP));
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("it is left");
    world.read("A", [25, 10, 0]);
    let drift = world.drift("A");
    assert_eq!((drift.done, drift.expected, drift.observed), (Done::Left, q(10), q(25)));
    world.sell(SHOP, "1", "A", 12);
    assert_eq!(world.oversells(), [(2, Class::RivalWriter)]);
}

#[test]
fn a_listing_that_is_held_stays_so_as_another_skus() {
    let mut world = World::open(&[("A", 10), ("B", 10)]);
    world.hold("A");
    let ids = ids(&[(IdKind::InventoryItem, "i-A")]);
    world.run(Command::Rebind { channel: ch(SHOP), ids, sku: sku("B") }).expect("it is rebound");
    world.now += 60_000;
    world.feed(SHOP);
    assert_eq!(world.take(SHOP).quantities(), [], "nothing is raised there");
    let open = |world: &World, of: &str| {
        let drifts = world.state.skus[&sku(of)].listings.iter().filter(|listing| listing.drifts()).count();
        (of.to_owned(), drifts)
    };
    assert_eq!([open(&world, "A"), open(&world, "B")], [("A".to_owned(), 0), ("B".to_owned(), 1)]);
    assert_eq!(world.alerts(), [AlertKind::Drift]);
    world.index_is_true();
    world
        .run(Command::Drift {
            sku: sku("B"),
            channel: ch(SHOP),
            listing: Identifiers::default(),
            seq: None,
            act: DriftAct::Release,
        })
        .expect("released");
    let alerts = world.alerts();
    assert!(!alerts.contains(&AlertKind::Drift), "{alerts:?}");
    assert_eq!(world.take(SHOP).quantities(), [("B".to_owned(), 10)]);
}

#[test]
fn a_look_waits_for_an_order_that_is_missing_and_may_explain_it() {
    for channel in [SHOP, AMZ] {
        let mut world = World::open(&[("A", 10), ("B", 10)]);
        world.now += 700_000;
        let at = world.now;
        let missing = placed("9", at, &[(ids(&[(IdKind::Barcode, "777")]), [3, 0, 0, 0, 0])]);
        world.market(channel).place(missing);
        world.set_shown("A", channel, 7);
        world.now += 20_000;
        world.feed(channel);
        world.look("A", channel);
        world.now += 10_000;
        world.feed(channel);
        assert_eq!(world.held("A", channel).drift, None, "{channel}");
        let waits = waits_for(&world.state, &world.listing("A", channel), ms(world.now));
        assert!(waits.as_ref().is_some_and(|why| why.contains("order 9")), "{waits:?}");
        assert!(
            !crate::core::decide::lane::read_wanted(&world.state, &ch(channel), ms(world.now + 60_000)),
            "reading the orders again helps nothing"
        );
        // More than is expected is no sale, and does not wait.
        world.set_shown("B", channel, 50);
        world.look("B", channel);
        world.now += 10_000;
        world.feed(channel);
        assert!(world.held("B", channel).drift.is_some(), "{channel}");
        // Nor does a lower.
        world.sell(if channel == SHOP { AMZ } else { SHOP }, "1", "A", 5);
        let lowers = world.take(channel).quantities();
        assert!(lowers.contains(&("A".to_owned(), 5)), "{channel}: {lowers:?}");
    }
}

#[test]
fn a_lower_whose_answer_was_lost_goes_although_an_order_is_missing() {
    let mut world = World::open(&[("A", 10)]);
    world.now += 700_000;
    let at = world.now;
    let missing = placed("9", at, &[(ids(&[(IdKind::Barcode, "777")]), [1, 0, 0, 0, 0])]);
    world.market(SHOP).place(missing);
    world.now += 20_000;
    world.feed(SHOP);
    world.sell(AMZ, "1", "A", 5);
    world.lane(SHOP, &mut || Luck::Lost);
    world.set_shown("A", SHOP, 9);
    for _ in 0..4 {
        world.now += 10_000;
        world.look("A", SHOP);
        world.now += 10_000;
        world.feed(SHOP);
    }
    assert_eq!(world.held("A", SHOP).drift, None);
    assert_eq!(world.take(SHOP).quantities(), [("A".to_owned(), 5)]);
}
