//! What own sales that were told about the time of what is known may explain, and what ends that.

use super::world::*;
use crate::{
    core::{
        Command,
        drift::{Done, Found},
    },
    model::{Levels, Observed, policy::Repair},
};

/// A world that asks a person about every difference. `most`: what Amazon and the shop show at most. What Amazon took cannot
/// land any more, but where that is `late`.
fn asking_late(most: Option<i64>, late: bool) -> World {
    let mut policies = policies();
    policies.drift.repair = Repair::Ask;
    if !late {
        policies.channels.get_mut(&ch(AMZ)).expect("configured").abilities.late_ms = 1_000;
    }
    for channel in [SHOP, AMZ] {
        policies.channels.get_mut(&ch(channel)).expect("configured").max = most.map(q);
    }
    let mut world = World::open_with(policies, &[("A", 10)]);
    world.quiesce();
    world.now += 2_000;
    world.take(AMZ);
    assert_eq!(world.held("A", AMZ).writes.unsettled.is_empty(), !late);
    world
}

fn asking(most: Option<i64>) -> World {
    asking_late(most, false)
}

impl World {
    /// When it is known as of what a channel shows.
    fn known_at(&self, channel: &str) -> i64 {
        let writes = &self.held("A", channel).writes;
        if writes.exact_from.millis() == 0 { writes.known_at.millis() } else { writes.exact_from.millis() }
    }

    /// An order is learnt now that tells this time. What the channel shows is left as it is.
    fn learn_sale(&mut self, channel: &str, order: &str, told: i64, units: i64) {
        let sold = placed(order, told, &[(World::ids_of(channel, "A"), [units, 0, 0, 0, 0])]);
        self.market(channel).place(sold.clone());
        self.push_snapshot(channel, sold);
    }

    /// Reads what is shown of A, and what is committed there with it.
    fn look_told(&mut self, channel: &str, shown: i64, committed: i64) {
        self.set_shown("A", channel, shown);
        let (on_hand, committed) = (Some(q(shown + committed)), Some(q(committed)));
        let levels = Levels { on_hand, committed, ..Levels::of(q(shown)) };
        let seen = vec![(self.listing("A", channel), Observed::Seen(levels))];
        self.run(Command::Looked { channel: ch(channel), read_at: ms(self.now), seen }).expect("a look");
    }

    /// Somebody writes a number there, and it is looked at.
    fn rival(&mut self, channel: &str, shown: i64) {
        self.set_shown("A", channel, shown);
        self.look("A", channel);
    }

    /// What is made of it in the end: what is shown, and the drift.
    fn outcome(&mut self, channel: &str) -> (i64, Option<(Found, Done)>) {
        for _ in 0..15 {
            self.now += 5_000;
            for channel in [SHOP, AMZ] {
                self.feed(channel);
                self.lane(channel, &mut || Luck::Fine);
            }
        }
        let drift = self.held("A", channel).drift.as_deref().map(|drift| (drift.found, drift.done));
        (self.shows("A", channel), drift)
    }
}

const ASKED: Option<(Found, Done)> = Some((Found::Rival, Done::Asked));

/// The write compared, and was applied: what it replaced was what was shown.
#[test]
fn what_an_applied_write_has_borne_out_explains_nothing_later() {
    let mut world = asking(None);
    let known = world.known_at(SHOP);
    world.now += 1_000;
    world.learn_sale(SHOP, "1", known - 1_000, 3);
    world.now += 200;
    assert!(world.lane(SHOP, &mut || Luck::Fine), "it compares with ten");
    assert_eq!(world.shows("A", SHOP), 7);
    world.now += 8_000;
    world.rival(SHOP, 4);
    assert_eq!(world.outcome(SHOP), (4, ASKED));
}

/// A sale was learnt while the write was under way, so that nothing is known of it by that.
#[test]
fn what_was_learnt_under_way_may_still_be_in_what_was_read() {
    let mut world = asking(None);
    let known = world.known_at(SHOP);
    world.now += 1_000;
    world.sell(AMZ, "0", "A", 1);
    let work = world.take(SHOP);
    assert_eq!(work.quantities(), [("A".into(), 9)]);
    // It was sold before the read: the shop's clock is ahead.
    world.learn_sale(SHOP, "1", known + 500, 3);
    world.set_shown("A", SHOP, 9);
    world.answer(SHOP, &work.puts[0], crate::model::Outcome::Applied);
    world.now += 8_000;
    world.look("A", SHOP);
    assert_eq!(world.outcome(SHOP), (6, None), "lowered, and no drift");
}

/// What both show by a later read, that no sale is near to.
#[test]
fn what_an_exact_look_has_borne_out_explains_nothing_later() {
    for channel in [SHOP, AMZ] {
        let mut world = asking(None);
        let known = world.known_at(channel);
        world.now += 500;
        world.learn_sale(channel, "1", known + 400, 3);
        world.set_shown("A", channel, 7);
        world.now += 15_000;
        world.look("A", channel);
        world.now += 10_000;
        world.rival(channel, 10);
        let (shown, drift) = world.outcome(channel);
        assert_eq!((shown, drift), (10, ASKED), "{channel}");
    }
}

/// Once a read has shown that nothing is in doubt, a sale that is told late changes nothing any more.
#[test]
fn what_is_told_late_of_before_an_exact_look_was_in_it() {
    for channel in [SHOP, AMZ] {
        let mut world = asking(None);
        let known = world.known_at(channel);
        world.now += 15_000;
        world.look("A", channel);
        // The channel's clock is ahead: it was sold before what is known, and is in it.
        world.learn_sale(channel, "1", known + 400, 3);
        assert_eq!(world.held("A", channel).writes.base, Some(q(10)), "{channel}");
        assert_eq!(world.outcome(channel), (7, None), "{channel}");
    }
}

/// A blind write lands over all that came before it left.
#[test]
fn what_was_learnt_before_a_blind_write_left_is_in_what_it_shows() {
    for late in [false, true] {
        let mut world = asking_late(None, late);
        world.now += 200;
        let told = world.now;
        world.learn_sale(AMZ, "1", told, 3);
        world.set_shown("A", AMZ, 7);
        world.sell(SHOP, "2", "A", 1);
        world.now += 200;
        assert!(world.lane(AMZ, &mut || Luck::Fine));
        for _ in 0..4 {
            world.now += 700;
            world.lane(AMZ, &mut || Luck::Fine);
        }
        assert_eq!((world.shows("A", AMZ), world.held("A", AMZ).writes.base), (6, Some(q(6))));
        assert!(world.known_at(AMZ) - told < 5_000, "the sale was told about then");
        world.now += 4_000;
        world.rival(AMZ, 3);
        assert_eq!(world.outcome(AMZ), (3, ASKED), "may land late: {late}");
    }
}

/// Amazon shows three fewer. That may be the sale that was told about the time of the look, and may be one that is never
/// told: a raise by the one would put the units of the other back on sale.
#[test]
fn on_a_blind_channel_nothing_is_raised_by_what_may_have_another_cause() {
    for late in [false, true] {
        let mut world = asking_late(Some(5), late);
        let known = world.known_at(AMZ);
        world.now += 500;
        world.learn_sale(AMZ, "1", known - 400, 3);
        assert_eq!(world.leg("A", AMZ).quantity, q(5), "there are seven yet");
        world.now += 7_000;
        world.rival(AMZ, 2);
        assert_eq!(world.outcome(AMZ), (2, ASKED), "may land late: {late}");
    }
}

/// Where the ledger has lowered what is wanted by the same sale, nothing is raised by it: it may be corrected whenever.
#[test]
fn a_doubt_ends_by_facts_and_not_by_time() {
    for channel in [SHOP, AMZ] {
        let mut world = asking(None);
        let known = world.known_at(channel);
        world.now += 500;
        world.learn_sale(channel, "1", known + 400, 3);
        world.now += 600_000;
        world.look("A", channel);
        assert_eq!(world.outcome(channel), (7, None), "{channel}: it was in it, so it is lowered");
    }
}

/// What is committed there tells whether the sale was in what was read: the merchant took, or put, as many.
#[test]
fn an_edit_by_as_many_units_is_an_edit() {
    let mut world = asking(None);
    let known = world.known_at(SHOP);
    world.now += 200;
    world.look_told(SHOP, 10, 0);
    world.now += 200;
    world.learn_sale(SHOP, "1", known + 400, 3);
    world.now += 7_000;
    world.look_told(SHOP, 10, 3);
    assert_eq!(world.outcome(SHOP), (7, Some((Found::Edit, Done::Asked))), "three were put there");

    let mut world = asking(Some(5));
    let known = world.known_at(SHOP);
    world.now += 200;
    world.look_told(SHOP, 5, 3);
    world.now += 200;
    world.learn_sale(SHOP, "1", known - 400, 3);
    world.now += 7_000;
    world.look_told(SHOP, 2, 3);
    assert_eq!(world.outcome(SHOP), (2, Some((Found::Edit, Done::Asked))), "three were taken");
}

impl World {
    /// The merchant edits the stock after a while, and it is read; nothing else is committed.
    fn edited(&mut self, shown: i64, committed: i64) -> Option<(Found, Done)> {
        self.now += 20_000;
        self.look_told(SHOP, shown, committed);
        self.outcome(SHOP).1
    }
}

const EDITED: Option<(Found, Done)> = Some((Found::Edit, Done::Asked));

/// A channel tells of a shipment by the second: what it had committed when it was read may be less by that already.
#[test]
fn what_was_shipped_about_a_read_hides_no_edit() {
    for shipped in [-300, 300] {
        let mut world = asking(None);
        world.now += 10_000;
        world.sell(SHOP, "1", "A", 3);
        world.now += 10_000;
        let read = world.now;
        world.look_told(SHOP, 7, 0);
        world.now = read + shipped;
        world.change(SHOP, "1", [3, 0, 0, 3, 0], 0);
        world.now = read + 500;
        world.push(SHOP, "1");
        assert_eq!(world.edited(6, 0), EDITED, "one was taken");
    }
}

/// The order came while the read was under way, so that it may not be in what was read.
#[test]
fn what_was_sold_while_a_read_was_under_way_hides_no_edit() {
    for told in [-300, 300] {
        let mut world = asking(None);
        world.now += 10_000;
        world.look_told(SHOP, 10, 0);
        world.now += 10_000;
        let read = world.now;
        world.learn_sale(SHOP, "1", read + told, 3);
        world.now += 500;
        let levels = Levels { on_hand: Some(q(10)), committed: Some(q(0)), ..Levels::of(q(10)) };
        let seen = vec![(world.listing("A", SHOP), Observed::Seen(levels))];
        world.run(Command::Looked { channel: ch(SHOP), read_at: ms(read), seen }).expect("a look");
        world.set_shown("A", SHOP, 7);
        assert_eq!(world.edited(6, 3), EDITED, "one was taken");
    }
}

/// Met by the kill test: an order that was placed, cancelled and told of while nobody listened, and one that was placed after
/// our write and shipped before the look after the next, all in two seconds.
#[test]
fn what_happens_within_two_seconds_of_a_restart_is_found_out() {
    let mut world = asking(None);
    world.now = world.now / 1_000 * 1_000 + 100_000;
    let second = world.now;
    let ids = World::ids_of(SHOP, "A");
    let order = |order: &str, version: i64, totals: [i64; 5]| {
        let mut told = placed(order, second, &[(ids.clone(), totals)]);
        told.version = ms(version);
        told
    };
    world.now = second + 560;
    world.push_snapshot(SHOP, order("1", second, [1, 0, 0, 0, 0]));
    world.now = second + 575;
    world.look_told(SHOP, 10, 0);
    world.feed(SHOP);
    world.now = second + 580;
    world.sell(AMZ, "0", "A", 1);
    assert!(world.lane(SHOP, &mut || Luck::Fine));
    world.now = second + 711;
    world.push_snapshot(SHOP, order("1", second, [1, 1, 0, 0, 0]));
    let bought = world.shows("A", SHOP) - 3;
    world.set_shown("A", SHOP, bought);
    world.now = second + 930;
    world.push_snapshot(SHOP, order("2", second, [3, 0, 0, 0, 0]));
    assert!(world.lane(SHOP, &mut || Luck::Fine), "refused");
    world.now = second + 1_060;
    world.look_told(SHOP, bought, 0);
    world.now = second + 1_090;
    world.push_snapshot(SHOP, order("2", second + 1_000, [3, 0, 0, 3, 0]));
    world.now += 9_000;
    world.look_told(SHOP, world.shows("A", SHOP), 0);
    let (shown, drift) = world.outcome(SHOP);
    assert_eq!((shown, drift), (world.available("A"), None));
}
