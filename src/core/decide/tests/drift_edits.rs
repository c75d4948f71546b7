//! Edits on a channel: what is taken over, what a person is asked, and what is asked although a lower went over it.

use super::{
    drift::{ask, theirs, with},
    world::*,
};
use crate::{
    core::{
        Command, Refused,
        command::{ByHand, DriftAct, HandLine},
        decide::drift::{Means, compare},
        drift::{Done, Found},
        leg,
        record::AlertKind,
    },
    model::{
        Abilities, CatalogueItem, Counter, Identifiers, Levels, LocationId, Measure, Observed, Seq,
        policy::{DriftPolicy, Repair},
    },
};

impl World {
    /// Lets everything run that waits for no person.
    pub(super) fn run_on(&mut self) {
        for _ in 0..20 {
            self.lane(SHOP, &mut || Luck::Fine);
            self.lane(AMZ, &mut || Luck::Fine);
            self.now += 4_000;
            self.feed(SHOP);
            self.feed(AMZ);
        }
    }

    #[track_caller]
    pub(super) fn is_asked(&self, of: &str, why: &str) {
        let drift = self.drift(of);
        assert_eq!(drift.done, Done::Asked, "{drift:?}");
        assert!(drift.why.as_ref().is_some_and(|text| text.contains(why)), "{drift:?}");
    }
}

#[test]
fn accepting_books_all_that_was_edited_and_not_the_last_of_it() {
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [0, 0, 0]);
    world.read("A", [3, 3, 0]);
    let drift = world.drift("A");
    assert_eq!((drift.expected, drift.observed, drift.found), (q(10), q(3), Found::Edit));
    world.act("A", DriftAct::Accept).expect("it is taken over");
    world.run_on();
    assert_eq!(world.stock("A"), [3, 0, 0]);
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (3, 3));
}

#[test]
fn what_is_sold_while_a_person_is_asked_is_no_part_of_the_edit() {
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [6, 6, 0]);
    world.sell(SHOP, "1", "A", 1);
    world.read("A", [7, 8, 1]); // it showed 5, and two more were found
    assert_eq!((world.drift("A").expected, world.drift("A").observed), (q(9), q(7)));
    world.act("A", DriftAct::Accept).expect("it is taken over");
    assert_eq!(world.stock("A"), [8, 1, 0]);
}

#[test]
fn an_answer_to_a_question_that_is_another_by_now_is_refused() {
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [3, 3, 0]);
    assert_eq!(world.alerts(), [AlertKind::Drift]);
    let told = |world: &World| {
        let alert = world.state.alerts.values().next().expect("it fires");
        (alert.text.clone(), alert.send_at)
    };
    let (text, _) = told(&world);
    assert!(text.contains("shows 3 and not 10"), "{text}");
    let first = world.drift("A").seq;

    world.read("A", [300, 300, 0]);
    world.alerts();
    let (text, send_at) = told(&world);
    assert!(text.contains("shows 300 and not 10"), "{text}");
    assert_eq!(send_at, Some(ms(world.now)), "people are told again");
    let leg::State::Parked { reason, .. } = &world.leg("A", SHOP).state else { panic!("it waits") };
    assert!(reason.contains("shows 300 and not 10"), "{reason}");

    let say = |world: &mut World, seq: Seq| {
        let act = DriftAct::Accept;
        world
            .run(Command::Drift {
                sku: sku("A"),
                channel: ch(SHOP),
                listing: Identifiers::default(),
                seq: Some(seq),
                act,
            })
            .map(drop)
    };
    let refused = say(&mut world, first).expect_err("that is over");
    assert!(matches!(&refused, Refused::NotSo(why) if why.contains("shows 300 and not 10")), "{refused:?}");
    assert_eq!(world.stock("A"), [10, 0, 0]);
    let now = world.drift("A").seq;
    say(&mut world, now).expect("it is taken over");
    assert_eq!(world.stock("A"), [300, 0, 0]);
}

#[test]
fn the_shelfs_number_is_not_taken_over_while_units_sold_elsewhere_lie_there() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.sell(AMZ, "1", "A", 2);
    world.quiesce();
    world.now += 600_000;
    world.read("A", [8, 8, 0]); // ours, seen since
    world.read("A", [10, 10, 0]); // what lies on the shelf
    world.is_asked("A", "lie there yet");
    assert_eq!(world.available("A"), 8);
    // What it has sold itself it keeps apart.
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    world.now += 600_000;
    world.read("A", [8, 10, 2]);
    world.read("A", [12, 14, 2]);
    assert_eq!((world.drift("A").done, world.stock("A")), (Done::Accepted, [14, 2, 0]));
}

#[test]
fn a_number_that_is_raised_again_and_again_is_asked_about() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    for n in 1..4 {
        let raised = 10 + 2 * n;
        world.read("A", [raised, raised, 0]);
        assert_eq!(world.drift("A").done, Done::Accepted);
        world.quiesce();
        world.read("A", [raised, raised, 0]);
    }
    world.read("A", [18, 18, 0]);
    world.is_asked("A", "again and again");
    // Units taken one by one undo nothing.
    let mut world = World::open_with(with(theirs()), &[("A", 90), ("B", 90), ("C", 90), ("D", 90)]);
    world.read("A", [90, 90, 0]);
    for left in [89, 88, 87, 86, 85] {
        world.read("A", [left, left, 0]);
        assert_eq!((world.drift("A").done, world.stock("A")), (Done::Accepted, [left, 0, 0]));
        world.quiesce();
        world.read("A", [left, left, 0]);
    }
}

#[test]
fn our_own_write_is_no_edit_though_its_answer_was_lost() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.sell(AMZ, "1", "A", 2);
    world.lane(SHOP, &mut || Luck::Unheard);
    world.now += 100;
    world.sell(SHOP, "s", "A", 1);
    world.sell(AMZ, "2", "A", 1);
    world.now += 20_000;
    world.read("A", [7, 8, 1]);
    assert_eq!(world.held("A", SHOP).drift, None, "8 of ours, less the one that it sold");
    world.quiesce();
    assert_eq!((world.stock("A"), world.shows("A", SHOP), world.shows("A", AMZ)), ([10, 4, 0], 6, 6));
}

#[test]
fn an_edit_beside_a_write_that_may_have_landed_is_asked_about() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.sell(AMZ, "1", "A", 2);
    world.lane(SHOP, &mut || Luck::Lost);
    world.now += 3_000;
    world.read("A", [5, 5, 0]);
    world.is_asked("A", "may have landed");
}

#[test]
fn an_edit_that_a_count_may_have_in_it_is_asked_about() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.set_shown("A", SHOP, 14);
    let count = world.count_of(ERP, &[("A", 13)]);
    world.run(Command::Count(count)).expect("a count");
    world.now += 60_000;
    world.feed(SHOP);
    world.lane(SHOP, &mut || Luck::Fine); // refused: it shows 14
    world.read("A", [14, 14, 0]);
    world.is_asked("A", "counted or corrected");
    assert_eq!(world.stock("A"), [13, 0, 0]);
}

#[test]
fn an_edit_that_lowers_beside_a_sale_is_asked_about() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.sell(AMZ, "1", "A", 1);
    world.quiesce();
    world.read("A", [6, 6, 0]);
    world.is_asked("A", "they may be in it");
}

#[test]
fn an_edit_where_a_channel_draws_on_several_places_is_asked_about() {
    let store = LocationId::new("store").expect("a good name");
    let mut policies = with(theirs());
    policies.locations = vec![wh(), store.clone()];
    policies.channels.get_mut(&ch(SHOP)).expect("configured").locations = vec![wh(), store];
    let mut world = World::open_with(policies, &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [14, 14, 0]);
    world.is_asked("A", "several places");
    assert_eq!(world.stock("A"), [10, 0, 0]);
}

#[test]
fn a_count_from_before_an_edit_was_seen_has_it_in_it() {
    let mut policies = with(theirs());
    let erp = policies.channels.get_mut(&ch(ERP)).expect("configured");
    erp.abilities = Abilities { counts: None, ..ERP_CAN };
    let mut world = World::bare(policies);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    let count = |units, at: i64, opening| {
        let line = HandLine {
            sku: sku("A"),
            location: wh(),
            quantity: q(units),
            as_of: ms(at),
            note: String::new(),
            line: None,
        };
        Command::CountByHand(ByHand {
            by: Counter::Person,
            measure: Measure::OnHand,
            lines: vec![line],
            opening,
            believed: false,
        })
    };
    let now = world.now;
    world.run(count(10, now, true)).expect("it opens");
    world.run(Command::Initialise).expect("initialised");
    world.quiesce();
    world.read("A", [10, 10, 0]);
    world.now += 3_600_000; // four arrive and are typed in, in this hour
    let counted_at = world.now;
    world.now += 3_600_000;
    world.read("A", [14, 14, 0]);
    assert_eq!((world.drift("A").done, world.stock("A")), (Done::Accepted, [14, 0, 0]));
    world.now += 60_000;
    world.run(count(14, counted_at, false)).expect("what was counted before it was seen");
    assert_eq!(world.stock("A"), [14, 0, 0]);
}

#[test]
fn a_sale_that_the_feed_hides_is_not_masked_by_a_shipment() {
    let mut world = World::open(&[("A", 10)]);
    world.now += 700_000;
    world.sell(SHOP, "1", "A", 3);
    world.quiesce();
    world.read("A", [7, 10, 3]);
    // The first order is shipped; the second is sold and hides from the feed for a minute.
    world.change(SHOP, "1", [3, 0, 0, 3, 0], 0);
    world.push(SHOP, "1");
    world.now += 60_000;
    world.buy(SHOP, "2", "A", 3);
    world.now += 10_000;
    let (on_hand, committed) = (Some(q(7)), Some(q(3)));
    let levels = Levels { on_hand, committed, ..Levels::of(q(4)) };
    let seen = vec![(world.listing("A", SHOP), Observed::Seen(levels))];
    let read_at = ms(world.now);
    world.run(Command::Looked { channel: ch(SHOP), read_at, seen }).expect("a look");
    world.now += 4_000;
    world.feed_with(SHOP, 20_000);
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Unseen, Done::Asked));
    world.now += 10_000;
    world.feed_with(SHOP, 40_000);
    assert_eq!(world.take(SHOP).quantities(), [], "the three are not put back");
}

#[test]
fn what_was_left_once_is_guarded_all_the_same() {
    let left = DriftPolicy { repair: Repair::Theirs, ..DriftPolicy::default() };
    let mut world = World::open_with(with(left), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [7, 10, 0]);
    assert_eq!(world.drift("A").done, Done::Left);
    world.read("A", [5, 10, 0]);
    world.read("A", [8, 10, 0]);
    assert_eq!(world.drift("A").done, Done::Left, "no more than is there");
    world.read("A", [300, 10, 0]);
    assert_eq!(world.drift("A").done, Done::Repaired);
    world.run_on();
    assert_eq!(world.shows("A", SHOP), 10);

    // What a person has accepted stays, and no more than that.
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [14, 10, 0]);
    world.act("A", DriftAct::Accept).expect("it may stay");
    world.read("A", [13, 10, 0]);
    assert_eq!(world.drift("A").done, Done::Left);
    world.read("A", [300, 10, 0]);
    assert_eq!(world.drift("A").done, Done::Asked);
    assert_eq!(world.alerts(), [AlertKind::Drift]);
    world.act("A", DriftAct::Repair).expect("ours is written");
    world.run_on();
    assert_eq!(world.shows("A", SHOP), 10);
}

#[test]
fn a_dry_run_says_of_all_together_what_the_brake_would_hold() {
    let names = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
    let mut world = World::open_with(with(theirs()), &names.map(|name| (name, 10)));
    for of in names {
        world.read(of, [10, 10, 0]);
    }
    let mut edits = None;
    let done = names.map(|of| {
        let levels = Levels { on_hand: Some(q(0)), committed: Some(q(0)), ..Levels::of(q(0)) };
        let item = CatalogueItem { levels: Some(levels), ..World::item(SHOP, of) };
        let now = ms(world.now);
        let compared = compare(&world.state, &ch(SHOP), &item, now, now, &mut edits).expect("compared");
        let Means::Differs(drift) = compared.means else { panic!("{compared:?}") };
        drift.done
    });
    assert_eq!(&done[..2], [Done::Accepted, Done::Accepted]);
    assert!(done[3..].iter().all(|done| *done == Done::Asked), "{done:?}");
}

#[test]
fn a_dry_run_says_of_a_look_too_soon_what_the_real_one_does() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.sell(AMZ, "1", "A", 2);
    world.quiesce();
    let trusted = world.held("A", SHOP).writes.trust_from;
    let levels = Levels { on_hand: Some(q(10)), committed: Some(q(0)), ..Levels::of(q(10)) };
    let item = CatalogueItem { levels: Some(levels), ..World::item(SHOP, "A") };
    let means = |world: &World, at: i64| {
        let compared = compare(&world.state, &ch(SHOP), &item, ms(at), ms(world.now), &mut None);
        compared.expect("compared").means
    };
    assert_eq!(means(&world, trusted.millis() - 1), Means::TooSoon);
    assert!(matches!(means(&world, trusted.millis()), Means::Differs(_)));
    let (read_at, items) = (trusted.plus_millis(-1), vec![item.clone()]);
    let read = Command::Catalogue { channel: ch(SHOP), read_at, items, unread: Vec::new() };
    world.run(read).expect("taken in");
    assert!(matches!(world.leg("A", SHOP).state, leg::State::Looking { .. }), "{:?}", world.leg("A", SHOP));
    assert_eq!(world.held("A", SHOP).drift, None);
}
