//! Differences that nothing explains: written over, taken over, asked about; and two writers that undo each other.

use super::world::*;
use crate::{
    core::{
        Command, Record, Refused,
        command::{DeadLetter, DriftAct, Verdict},
        drift::{Done, Drifted, Found},
        leg,
        oversold::Class,
        record::AlertKind,
    },
    model::{
        Identifiers, Levels, Mode, Observed, Policies,
        policy::{ChannelDrift, DriftPolicy, Repair},
    },
};

pub(super) fn with(drift: DriftPolicy) -> Policies {
    Policies { drift, ..policies() }
}

pub(super) fn theirs() -> DriftPolicy {
    DriftPolicy { on_hand: Some(Repair::Theirs), ..DriftPolicy::default() }
}

pub(super) fn ask() -> DriftPolicy {
    DriftPolicy { repair: Repair::Ask, ..DriftPolicy::default() }
}

impl World {
    /// Reads the shop's `available on_hand committed` of a SKU, and then its orders past that.
    pub(super) fn read(&mut self, of: &str, [available, on_hand, committed]: [i64; 3]) {
        self.set_shown(of, SHOP, available);
        self.now += 3_000;
        let (on_hand, committed) = (Some(q(on_hand)), Some(q(committed)));
        let levels = Levels { on_hand, committed, ..Levels::of(q(available)) };
        let seen = vec![(self.listing(of, SHOP), Observed::Seen(levels))];
        let read_at = ms(self.now);
        self.run(Command::Looked { channel: ch(SHOP), read_at, seen }).expect("a look");
        self.now += 4_000;
        self.feed(SHOP);
    }

    pub(super) fn drift(&self, of: &str) -> &Drifted {
        self.held(of, SHOP).drift.as_deref().expect("it has drifted")
    }

    pub(super) fn act(&mut self, of: &str, act: DriftAct) -> Result<(), Refused> {
        let (sku, channel, listing) = (sku(of), ch(SHOP), Identifiers::default());
        self.run(Command::Drift { sku, channel, listing, seq: None, act }).map(drop)
    }

    pub(super) fn alerts(&mut self) -> Vec<AlertKind> {
        self.run(Command::Tick).expect("a tick");
        self.state.alerts.iter().filter(|(_, alert)| alert.firing).map(|(key, _)| key.kind).collect()
    }

    pub(super) fn oversells(&self) -> Vec<(i64, Class)> {
        let records = self.journal.iter().flat_map(|envelope| &envelope.records);
        let found = records.filter_map(|record| match record {
            Record::Oversold { units, class, .. } => Some((units.units(), *class)),
            _ => None,
        });
        found.collect()
    }
}

#[test]
fn what_is_to_be_written_over_in_shadow_waits_until_it_is_live() {
    let mut world = World::open(&[("A", 10)]);
    world.read("A", [10, 10, 0]);
    let shadow = Policies { mode: Mode::Shadow, ..policies() };
    world.run(Command::Configure(Box::new(shadow))).expect("configures");
    world.read("A", [14, 14, 0]);
    assert_eq!((world.drift("A").done, world.held("A", SHOP).repair_waits()), (Done::Repaired, true));
    for _ in 0..5 {
        world.lane(SHOP, &mut || Luck::Fine);
    }
    assert_eq!((world.shows("A", SHOP), world.held("A", SHOP).repair_waits()), (14, true));
    world.run(Command::Configure(Box::new(policies()))).expect("configures");
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.held("A", SHOP).repair_waits()), (10, false));
}

#[test]
fn where_nothing_of_ours_is_written_nobody_undoes_it() {
    for restored in [false, true] {
        let mut world = World::open(&[("A", 10)]);
        world.read("A", [10, 10, 0]);
        let shadow = Policies { mode: Mode::Shadow, ..policies() };
        let still = if restored { Command::Restored } else { Command::Configure(Box::new(shadow)) };
        world.run(still).expect("nothing is written from then on");
        for more in [4, 5, 6, 7, 8, 9] {
            world.now += 60_000;
            world.read("A", [10 + more, 10 + more, 0]);
            let drift = world.drift("A");
            assert_eq!((drift.done, drift.repairs.len()), (Done::Repaired, 0), "{drift:?}");
        }
        world.now += 60_000;
        assert!(!world.alerts().contains(&AlertKind::Drift));
        let live = if restored { Command::Live } else { Command::Configure(Box::new(policies())) };
        world.run(live).expect("it goes live");
        world.quiesce();
        assert_eq!(world.shows("A", SHOP), 10);
        // From then on it is a quarrel.
        for more in [4, 5, 6, 7] {
            world.quiesce();
            world.now += 60_000;
            world.read("A", [10 + more, 10 + more, 0]);
        }
        assert_eq!(world.drift("A").done, Done::Held);
    }
}

#[test]
fn an_edit_is_written_over_where_ours_counts() {
    let mut world = World::open(&[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [14, 14, 0]);
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Edit, Done::Repaired));
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.available("A")), (10, 10));
    assert!(world.alerts().is_empty());
}

#[test]
fn an_edit_moves_the_ledger_where_theirs_counts() {
    for (edited, on_hand) in [(14, 14), (7, 7), (0, 0)] {
        let mut world = World::open_with(with(theirs()), &[("A", 10), ("B", 10), ("C", 10), ("D", 10)]);
        world.read("A", [10, 10, 0]);
        world.read("A", [edited, on_hand, 0]);
        assert_eq!(world.drift("A").done, Done::Accepted);
        assert_eq!(world.stock("A"), [on_hand, 0, 0]);
        world.quiesce();
        assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (edited, edited));
        world.index_is_true();
    }
}

#[test]
fn what_another_app_writes_is_no_edit() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [7, 10, 0]); // three were set aside
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Rival, Done::Repaired));
    assert_eq!(world.stock("A"), [10, 0, 0]);
}

#[test]
fn a_channel_may_do_it_in_another_way() {
    let mut policies = with(theirs());
    let shop = policies.channels.get_mut(&ch(SHOP)).expect("configured");
    shop.drift = ChannelDrift { on_hand: Some(Repair::Ask), ..ChannelDrift::default() };
    let mut world = World::open_with(policies, &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [14, 14, 0]);
    assert_eq!(world.drift("A").done, Done::Asked);
}

#[test]
fn an_edit_that_raises_after_a_sale_is_asked_about_because_it_may_put_the_sale_back() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.sell(AMZ, "1", "A", 2);
    world.quiesce();
    // The old number, by somebody who does not know of the sale. The sale has moved on_hand on the shop with ours.
    world.read("A", [10, 10, 0]);
    let drift = world.drift("A");
    assert_eq!((drift.done, drift.why.is_some()), (Done::Asked, true), "{drift:?}");
    assert_eq!(world.available("A"), 8);
    assert_eq!(world.alerts(), [AlertKind::Drift]);
    world.act("A", DriftAct::Accept).expect("a person knows better");
    assert_eq!(world.available("A"), 10);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (10, 10));
    assert!(world.alerts().is_empty(), "people need not be asked any more");
}

#[test]
fn units_that_the_channel_has_promised_unseen_are_neither_taken_over_nor_put_back() {
    let mut world = World::open_with(with(theirs()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [7, 10, 3]); // an order that the feed does not tell of
    assert_eq!((world.drift("A").found, world.drift("A").done), (Found::Unseen, Done::Asked));
    assert_eq!(world.stock("A"), [10, 0, 0]);
    assert!(world.take(SHOP).puts.is_empty());
}

#[test]
fn edits_that_would_empty_the_catalogue_are_held_by_the_brake() {
    let names = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
    let stock = names.map(|name| (name, 10));
    let mut world = World::open_with(with(theirs()), &stock);
    for of in names {
        world.read(of, [10, 10, 0]);
    }
    for of in names {
        world.read(of, [0, 0, 0]);
    }
    let done = names.map(|of| world.drift(of).done);
    assert_eq!(&done[..2], [Done::Accepted, Done::Accepted]);
    assert!(done[3..].iter().all(|done| *done == Done::Asked), "{done:?}");
    let why = world.drift("J").why.clone().expect("it says why");
    assert!(why.contains("brake"), "{why}");
}

#[test]
fn two_writers_that_undo_each_other_are_kept_apart_until_a_person_releases_them() {
    let mut world = World::open(&[("A", 10)]);
    for n in 0..3 {
        world.read("A", [20 + n, 20, 0]);
        assert_eq!(world.drift("A").done, Done::Repaired);
        world.quiesce();
        assert_eq!(world.shows("A", SHOP), 10);
    }
    world.read("A", [5, 20, 0]);
    assert_eq!(world.drift("A").done, Done::Held);
    assert!(matches!(world.leg("A", SHOP).state, leg::State::Parked { .. }));
    assert!(world.take(SHOP).puts.is_empty());
    assert_eq!(world.alerts(), [AlertKind::Drift], "one alert, and not one more for the dead letter");

    // It goes on: nothing is written.
    for theirs in [30, 6] {
        world.read("A", [theirs, 20, 0]);
        assert_eq!((world.drift("A").done, world.drift("A").observed), (Done::Held, q(theirs)));
        assert!(world.take(SHOP).puts.is_empty());
    }
    // A raise waits; a lower that the ledger explains goes.
    let count = world.count_of(ERP, &[("A", 12)]);
    world.run(Command::Count(count)).expect("a count");
    world.now += 60_000;
    world.feed(SHOP);
    assert!(world.take(SHOP).puts.is_empty(), "a raise waits for a person");
    world.sell(AMZ, "1", "A", 10);
    let work = world.take(SHOP);
    assert_eq!(work.quantities(), [("A".to_owned(), 2)], "a lower goes");
    world.answer(SHOP, &work.puts[0], crate::model::Outcome::Applied);
    world.set_shown("A", SHOP, 2);
    world.quiesce();

    world.read("A", [9, 20, 0]);
    assert_eq!((world.drift("A").done, world.shows("A", SHOP)), (Done::Held, 9));
    assert!(matches!(world.act("A", DriftAct::Repair), Err(Refused::NotSo(_))));
    world.act("A", DriftAct::Release).expect("it is released");
    assert!(world.alerts().is_empty());
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 2);
    assert!(world.drift("A").repairs.is_empty());
    assert!(matches!(world.act("A", DriftAct::Release), Err(Refused::Nothing(_))));
    world.index_is_true();
}

#[test]
fn a_dead_letter_that_is_tried_again_answers_the_drift() {
    for (verdict, done, shown) in [(Verdict::Retry, Done::Repaired, 10), (Verdict::Discard, Done::Left, 3)] {
        let mut world = World::open_with(with(ask()), &[("A", 10)]);
        world.read("A", [3, 3, 0]);
        assert_eq!(world.drift("A").done, Done::Asked);
        let letter = DeadLetter::Leg(world.listing("A", SHOP));
        world.run(Command::Dead { letter, verdict }).expect("it is answered");
        assert_eq!(world.drift("A").done, done);
        for _ in 0..20 {
            world.lane(SHOP, &mut || Luck::Fine);
            world.now += 4_000;
            world.feed(SHOP);
        }
        assert_eq!(world.shows("A", SHOP), shown);
        assert!(world.alerts().is_empty());
    }
}

#[test]
fn nobody_is_asked_any_more_once_it_shows_what_it_should() {
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.read("A", [3, 3, 0]);
    assert_eq!(world.alerts(), [AlertKind::Drift]);
    world.read("A", [10, 10, 0]);
    assert_eq!(world.drift("A").done, Done::Gone);
    assert!(world.alerts().is_empty());
}

#[test]
fn a_lower_number_of_theirs_is_left_and_a_higher_one_is_written_over() {
    let all = DriftPolicy { repair: Repair::Theirs, ..DriftPolicy::default() };
    let mut world = World::open_with(with(all), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [7, 10, 0]);
    assert_eq!(world.drift("A").done, Done::Left);
    world.quiesce_but_dropped();
    assert_eq!(world.shows("A", SHOP), 7);
    world.sell(AMZ, "1", "A", 1);
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 9, "the next change of the stock ends it");
    world.read("A", [30, 10, 0]);
    assert_eq!(world.drift("A").done, Done::Repaired);
}

impl World {
    pub(super) fn quiesce_but_dropped(&mut self) {
        for _ in 0..20 {
            self.lane(SHOP, &mut || Luck::Fine);
            self.lane(AMZ, &mut || Luck::Fine);
            self.now += 4_000;
            self.feed(SHOP);
        }
    }
}

#[test]
fn an_oversell_says_whose_doing_it_is() {
    // The shop still showed what Amazon had sold.
    let mut world = World::open(&[("A", 2)]);
    world.sell(AMZ, "1", "A", 2);
    world.sell(SHOP, "1", "A", 1);
    assert_eq!(world.oversells(), [(1, Class::Sync)]);
    // Sold once more, it is one more; a cancellation takes nothing back.
    world.sell(SHOP, "2", "A", 1);
    world.change(SHOP, "2", [1, 1, 0, 0, 0], 1);
    world.push(SHOP, "2");
    assert_eq!(world.oversells(), [(1, Class::Sync), (1, Class::Sync)]);

    let mut world = World::open(&[("A", 5), ("B", 50), ("C", 50)]);
    world.sell(SHOP, "1", "A", 4);
    world.post_all();
    // The ERP has customers of its own.
    let count = world.count_of(ERP, &[("A", 1)]);
    world.run(Command::Count(count)).expect("a count");
    assert_eq!(world.oversells(), [(3, Class::Uncontrolled)]);

    let mut world = World::open(&[("A", 2)]);
    world.read("A", [9, 9, 0]);
    world.sell(SHOP, "1", "A", 5);
    assert_eq!(world.oversells(), [(3, Class::RivalWriter)]);
}

/// A shop that goes on selling when it is out of stock, or whose staff sells by hand what it does not show.
#[test]
fn what_a_channel_sells_beyond_what_it_shows_is_its_own_doing() {
    // What Amazon sells before, whether the shop has seen that when it sells, and how much it sells.
    #[track_caller]
    fn check(elsewhere: i64, seen: bool, sold: i64, want: &[(i64, Class)]) {
        let mut world = World::open(&[("A", 5)]);
        if elsewhere > 0 {
            world.sell(AMZ, "1", "A", elsewhere);
        }
        if seen {
            world.quiesce();
        }
        world.now += 60_000;
        world.sell(SHOP, "1", "A", sold);
        assert_eq!(world.oversells(), want, "{elsewhere} sold elsewhere, seen: {seen}, {sold} sold");
    }
    check(0, true, 5, &[]);
    check(0, true, 7, &[(2, Class::Uncontrolled)]);
    check(5, true, 1, &[(1, Class::Uncontrolled)]);
    check(3, true, 4, &[(2, Class::Uncontrolled)]);
    check(5, false, 3, &[(3, Class::Sync)]);
    // Of five that it still showed, three were sold elsewhere.
    check(3, false, 6, &[(3, Class::Sync), (1, Class::Uncontrolled)]);

    // It showed one unit less than nothing before.
    let mut world = World::open(&[("A", 1)]);
    world.now += 60_000;
    world.sell(SHOP, "1", "A", 2);
    world.sell(SHOP, "2", "A", 1);
    assert_eq!(world.oversells(), [(1, Class::Uncontrolled); 2]);
    world.sell(AMZ, "1", "A", 1);
    assert_eq!(world.oversells()[2..], [(1, Class::Sync)]);
}

#[test]
fn what_may_still_be_shown_was_sold_for_want_of_ours() {
    // A lower that the channel has only queued: until it is seen there, all may be sold that was there.
    let mut world = World::open(&[("A", 2)]);
    world.now += 60_000;
    world.sell(SHOP, "1", "A", 2);
    let work = world.take(AMZ);
    world.answer(AMZ, &work.puts[0], crate::model::Outcome::Accepted { submission: None });
    world.now += 60_000;
    world.sell(AMZ, "1", "A", 2);
    assert_eq!(world.oversells(), [(2, Class::Sync)]);

    // What was sold about when it was last known may be in that.
    let mut world = World::open(&[("A", 2)]);
    world.now += 60_000;
    world.read("A", [0, 0, 0]);
    world.sell(SHOP, "1", "A", 3);
    assert_eq!(world.oversells(), [(1, Class::Sync)]);
}
