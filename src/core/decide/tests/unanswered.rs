//! Writes that a shop applies and does not answer, while it sells, and cancels what it sold: nobody has edited anything.

use super::{
    drift::{ask, theirs, with},
    world::*,
};
use crate::{
    core::{
        Command, Refused,
        circuit::Health,
        command::DriftAct,
        decide::lane::feed_wanted,
        drift::{Done, Drifted, Found},
        state::{Ignorable, Note},
    },
    model::{IdKind, Levels, Observed, OrderSnapshot, policy::DriftPolicy},
};

/// A shop that tells what is committed there, and people who are asked about every difference.
struct Shop {
    world: World,
    committed: i64,
    answers: bool,
    /// Writes that get no answer are applied all the same.
    lands: bool,
    /// Webhooks that are under way: when they come in.
    hooks: Vec<(i64, OrderSnapshot)>,
}

/// The second that a moment falls in, as a shop tells it.
fn second(now: i64) -> i64 {
    now / 1_000 * 1_000
}

impl Shop {
    /// `phase`: how far into a second it begins, in milliseconds. `quick`: what has no answer is soon taken not to land any more.
    fn new(phase: i64, quick: bool) -> Shop {
        Shop::with(ask(), phase, quick)
    }

    fn with(drift: DriftPolicy, phase: i64, quick: bool) -> Shop {
        let mut policies = with(drift);
        let abilities = &mut policies.channels.get_mut(&ch(SHOP)).expect("configured").abilities;
        abilities.look_ms = 500;
        (abilities.late_ms, abilities.stale_ms) = if quick { (3_000, 0) } else { (120_000, 5_000) };
        let mut shop = Shop {
            world: World::open_with(policies, &[("A", 36)]),
            committed: 0,
            answers: true,
            lands: true,
            hooks: vec![],
        };
        shop.world.now = second(shop.world.now) + 20_000;
        shop.read();
        shop.pass(4_000);
        shop.world.now = second(shop.world.now) + phase;
        shop
    }

    fn levels(&self) -> Levels {
        let shown = self.world.shows("A", SHOP);
        let (on_hand, committed) = (Some(q(shown + self.committed)), Some(q(self.committed)));
        Levels { on_hand, committed, ..Levels::of(q(shown)) }
    }

    fn read(&mut self) {
        let seen = vec![(self.world.listing("A", SHOP), Observed::Seen(self.levels()))];
        let read_at = ms(self.world.now);
        self.world.run(Command::Looked { channel: ch(SHOP), read_at, seen }).expect("a look");
    }

    fn tell(&mut self, order: &str, after: i64) {
        let snapshot = self.world.market(SHOP).orders[&key(SHOP, order).order].clone();
        self.hooks.push((self.world.now + after, snapshot));
    }

    fn sell(&mut self, units: i64, told_after: i64) {
        let shown = self.world.shows("A", SHOP);
        self.world.set_shown("A", SHOP, shown - units);
        self.committed += units;
        let sold = placed("s", second(self.world.now), &[(World::ids_of(SHOP, "A"), [units, 0, 0, 0, 0])]);
        self.world.market(SHOP).place(sold);
        self.tell("s", told_after);
    }

    /// The shop cancels what it sold, and puts nothing back on sale.
    fn cancel(&mut self, units: i64, told_after: i64) {
        self.committed -= units;
        let mut order = self.world.market(SHOP).orders[&key(SHOP, "s").order].clone();
        order.version = ms(second(self.world.now));
        order.lines[0].totals = totals([units, 0, units, 0, 0]);
        self.world.market(SHOP).place(order);
        self.tell("s", told_after);
    }

    /// Lets everything run for a while. Without answers, the shop's orders and what it shows cannot be read either.
    fn pass(&mut self, millis: i64) {
        let until = self.world.now + millis;
        while self.world.now < until {
            let now = self.world.now;
            let (due, later): (Vec<_>, Vec<_>) = self.hooks.drain(..).partition(|(at, _)| *at <= now);
            self.hooks = later;
            due.into_iter().for_each(|(_, order)| self.world.push_snapshot(SHOP, order));
            self.lane();
            self.world.lane(AMZ, &mut || Luck::Fine);
            for channel in [SHOP, AMZ] {
                let answers = self.answers || channel == AMZ;
                if answers && feed_wanted(&self.world.state, &ch(channel), ms(now)) {
                    self.world.feed(channel);
                }
            }
            self.world.run(Command::Tick).expect("ticks");
            self.world.now += if millis > 30_000 { 500 } else { 100 };
        }
    }

    fn lane(&mut self) {
        let work = self.world.take(SHOP);
        for (listing, put) in &work.puts {
            let luck = match (self.answers, self.lands) {
                (true, _) => Luck::Fine,
                (false, true) => Luck::Unheard,
                (false, false) => Luck::Lost,
            };
            let outcome = self.world.write(SHOP, listing, put, luck);
            self.world.answer(SHOP, &(listing.clone(), put.clone()), outcome);
        }
        match (work.looks.is_empty(), self.answers) {
            (true, _) => {}
            (false, true) => self.read(),
            (false, false) => {
                let health = Health::Silent("no answer".to_owned());
                let failed = Command::ReadFailed { channel: ch(SHOP), health, alone: None };
                self.world.run(failed).expect("a read that failed");
            }
        }
    }

    fn drift(&self) -> Option<Drifted> {
        self.world.held("A", SHOP).drift.as_deref().cloned()
    }
}

/// Amazon sells three, the shop three that it cancels, Amazon two; waiting so long after each, while no answer comes. The
/// shop's orders are told by webhooks, so long after they were placed and cancelled.
fn told(phase: i64, quick: bool, waits: [i64; 4], hooks: [i64; 2]) -> (i64, i64, Option<Drifted>) {
    let mut shop = Shop::new(phase, quick);
    shop.answers = false;
    shop.world.sell(AMZ, "a1", "A", 3);
    shop.pass(waits[0]);
    shop.sell(3, hooks[0]);
    shop.pass(waits[1]);
    shop.cancel(3, hooks[1]);
    shop.pass(waits[2]);
    shop.world.sell(AMZ, "a2", "A", 2);
    shop.pass(waits[3]);
    shop.answers = true;
    shop.pass(60_000);
    (shop.world.shows("A", SHOP), shop.world.available("A"), shop.drift())
}

#[test]
fn nobody_has_edited_what_the_shop_and_we_have_done() {
    let (mut wrong, mut all) = (Vec::new(), 0);
    let spans = [100, 600, 6_000];
    for (phase, quick) in [(0, true), (350, true), (900, true), (350, false)] {
        for first in spans {
            for [second, third] in [[100, 100], [700, 300], [3_000, 2_000]] {
                for last in [100, 7_000, 150_000] {
                    for hooks in [[100, 100], [600, 300], [5_000, 300]] {
                        all += 1;
                        let waits = [first, second, third, last];
                        let (shows, available, drift) = told(phase, quick, waits, hooks);
                        if drift.is_some() || shows != available {
                            wrong.push((phase, quick, waits, hooks, shows, available, drift));
                        }
                    }
                }
            }
        }
    }
    let some: Vec<_> = wrong.iter().take(10).collect();
    assert!(wrong.is_empty(), "{} of {all}: {some:#?}", wrong.len());
}

/// Somebody takes a unit while no answer comes: that is seen, and not taken over with what our write may have done.
#[test]
fn what_somebody_took_beside_a_write_without_an_answer_is_asked_about() {
    for drift in [ask(), theirs()] {
        for quick in [true, false] {
            let mut shop = Shop::with(drift, 350, quick);
            shop.answers = false;
            shop.world.sell(AMZ, "a1", "A", 3);
            shop.pass(600);
            shop.sell(3, 300);
            shop.pass(7_000);
            let shown = shop.world.shows("A", SHOP);
            shop.world.set_shown("A", SHOP, shown - 1);
            shop.pass(150_000);
            shop.answers = true;
            shop.pass(60_000);
            let drift = shop.drift().map(|drift| (drift.found, drift.done, drift.observed));
            assert_eq!(drift, Some((Found::Edit, Done::Asked, q(29))), "quick: {quick}");
            assert_eq!(shop.world.available("A"), 30);
        }
    }
}

/// Once a look has told what became of the write, it explains nothing any more.
#[test]
fn what_a_look_has_told_of_a_write_without_an_answer_is_not_told_again() {
    for quick in [true, false] {
        let mut shop = Shop::new(350, quick);
        shop.answers = false;
        shop.world.sell(AMZ, "a1", "A", 3);
        shop.pass(600);
        shop.sell(3, 300);
        shop.pass(7_000);
        shop.answers = true;
        shop.pass(200_000);
        assert_eq!((shop.world.shows("A", SHOP), shop.drift()), (30, None));
        shop.world.set_shown("A", SHOP, 33);
        shop.read();
        shop.pass(60_000);
        let drift = shop.drift().map(|drift| (drift.found, drift.done, drift.observed));
        assert_eq!(drift, Some((Found::Edit, Done::Asked, q(33))), "quick: {quick}");
    }
}

/// Somebody takes units beside a write of 33 over 36 that gets no answer, and may be applied or not; three are sold there
/// meanwhile. It is asked about, and 29 show.
fn taken_beside(lands: bool, quick: bool) -> Shop {
    let mut shop = Shop::with(ask(), 350, quick);
    (shop.answers, shop.lands) = (false, lands);
    shop.world.sell(AMZ, "a1", "A", 3);
    shop.pass(600);
    shop.sell(3, 300);
    shop.pass(7_000);
    let shown = shop.world.shows("A", SHOP);
    shop.world.set_shown("A", SHOP, 29);
    assert_eq!(shown, if lands { 30 } else { 33 });
    shop.pass(150_000);
    shop.answers = true;
    shop.pass(60_000);
    shop
}

#[test]
fn beside_a_write_without_an_answer_a_person_says_how_many_units_were_edited() {
    for (lands, quick) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut shop = taken_beside(lands, quick);
        let drift = shop.drift().expect("it is asked about");
        assert_eq!((drift.done, drift.expected, drift.observed), (Done::Asked, q(33), q(29)));
        assert_eq!(drift.or, [q(30)], "{drift:?}");
        assert!(drift.why.is_some_and(|why| why.contains("it should show 30")));
        let told = shop.world.act("A", DriftAct::Accept);
        assert!(matches!(&told, Err(Refused::NotSo(why)) if why.contains("33 or 30")), "{told:?}");
        let told = shop.world.act("A", DriftAct::AcceptFrom(q(31)));
        assert!(matches!(&told, Err(Refused::NotSo(why)) if why.contains("33 or 30")), "{told:?}");
        let (from, left) = if lands { (30, 29) } else { (33, 26) };
        shop.world.act("A", DriftAct::AcceptFrom(q(from))).expect("a person has looked");
        assert_eq!(shop.world.available("A"), left, "lands: {lands}, quick: {quick}");
        shop.pass(60_000);
        assert_eq!((shop.world.shows("A", SHOP), shop.world.shows("A", AMZ)), (left, left));
    }
}

#[test]
fn beside_a_write_without_an_answer_ours_is_written_again_without_a_question() {
    for (lands, quick) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut shop = taken_beside(lands, quick);
        shop.world.act("A", DriftAct::Repair).expect("ours is written");
        shop.pass(200_000);
        assert_eq!((shop.world.shows("A", SHOP), shop.world.available("A")), (30, 30));
        // The next edit is plain.
        shop.world.set_shown("A", SHOP, 29);
        shop.read();
        shop.pass(60_000);
        let drift = shop.drift().expect("it is asked about");
        assert_eq!((drift.done, drift.expected, drift.or.len()), (Done::Asked, q(30), 0), "{drift:?}");
        shop.world.act("A", DriftAct::Accept).expect("taken over");
        assert_eq!(shop.world.available("A"), 29);
    }
}

/// What is asked about grows while nobody answers, and is in doubt as a whole.
#[test]
fn what_is_edited_next_is_in_doubt_as_the_first_edit_is() {
    let mut shop = taken_beside(true, false);
    shop.world.set_shown("A", SHOP, 27);
    shop.read();
    shop.pass(60_000);
    let drift = shop.drift().expect("it is asked about");
    assert_eq!((drift.expected, drift.observed, drift.or), (q(33), q(27), vec![q(30)]));
    shop.world.act("A", DriftAct::AcceptFrom(q(30))).expect("a person has looked");
    assert_eq!(shop.world.available("A"), 27);
}

/// A gift card is sold, of which no SKU is known: it may be anything, until a person says that it is none.
fn gift() -> crate::model::Identifiers {
    ids(&[(IdKind::Barcode, "777")])
}

/// As [`taken_beside`], with an order that may have taken the units; and Amazon sells five more, so that a lower goes over what was taken
/// before it is known whether somebody took it.
fn lowered_over(lands: bool, quick: bool) -> Shop {
    let mut shop = Shop::with(ask(), 350, quick);
    let at = second(shop.world.now);
    shop.world.push_snapshot(SHOP, placed("gift", at, &[(gift(), [1, 0, 0, 0, 0])]));
    (shop.answers, shop.lands) = (false, lands);
    shop.world.sell(AMZ, "a1", "A", 3);
    shop.pass(600);
    shop.sell(3, 300);
    shop.pass(7_000);
    shop.world.set_shown("A", SHOP, 29);
    shop.world.sell(AMZ, "a2", "A", 5);
    shop.pass(150_000);
    shop.answers = true;
    shop.pass(60_000);
    assert_eq!((shop.drift(), shop.world.shows("A", SHOP)), (None, 25), "the lower waits for nothing");
    assert!(shop.world.held("A", SHOP).writes.passed_over.is_some());
    let note = Note { by: "uid 0".to_owned(), reason: "a gift card".to_owned() };
    let what = Ignorable::Item { channel: ch(SHOP), ids: gift() };
    shop.world.run(Command::Ignore { what, ignored: true, note }).expect("a person says so");
    shop.pass(60_000);
    shop
}

#[test]
fn what_a_lower_went_over_is_in_doubt_as_well() {
    for (lands, quick) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut shop = lowered_over(lands, quick);
        let drift = shop.drift().expect("it is asked about");
        assert_eq!((drift.done, drift.expected, drift.observed), (Done::Asked, q(33), q(29)));
        assert_eq!(drift.or, [q(30)], "lands: {lands}, quick: {quick}: {drift:?}");
        let told = shop.world.act("A", DriftAct::Accept);
        assert!(matches!(&told, Err(Refused::NotSo(why)) if why.contains("33 or 30")), "{told:?}");
        let (from, left) = if lands { (30, 24) } else { (33, 21) };
        shop.world.act("A", DriftAct::AcceptFrom(q(from))).expect("a person has looked");
        assert_eq!(shop.world.available("A"), left, "lands: {lands}, quick: {quick}");
    }
}

/// What a write of ours that may have landed explains, once the orders that came late are known, is nobody's edit.
#[test]
fn what_a_lower_went_over_and_our_own_write_explains_is_no_edit() {
    for quick in [true, false] {
        let mut shop = Shop::with(ask(), 350, quick);
        shop.answers = false;
        shop.world.sell(AMZ, "a1", "A", 3);
        shop.pass(600);
        // Two are sold on the shop, and its webhook is long under way.
        shop.sell(2, 400_000);
        shop.world.sell(AMZ, "a2", "A", 5);
        shop.pass(150_000);
        shop.answers = true;
        shop.pass(400_000);
        assert_eq!((shop.drift(), shop.world.available("A")), (None, 26), "quick: {quick}");
        assert_eq!(shop.world.shows("A", SHOP), 26);
    }
}

/// A write is lost, and the next one of the same lands: the first is not in what shows besides. A look follows after so long, if any.
fn lost_and_written_again(quick: bool, wait: i64, look: bool) -> Drifted {
    let mut shop = Shop::with(ask(), 350, quick);
    (shop.answers, shop.lands) = (false, false);
    shop.world.sell(AMZ, "a1", "A", 3);
    shop.pass(600);
    assert_eq!(shop.world.held("A", SHOP).writes.unsettled.len(), 1);
    shop.answers = true;
    shop.pass(wait);
    assert_eq!(shop.world.shows("A", SHOP), 33);
    if look {
        shop.read();
    }
    shop.pass(20_000);
    shop.world.set_shown("A", SHOP, 29);
    shop.read();
    shop.pass(60_000);
    shop.drift().expect("it is asked about")
}

#[test]
fn an_edit_after_a_lost_write_that_was_written_again_is_plain() {
    for quick in [true, false] {
        for wait in [10_000, 200_000] {
            for look in [true, false] {
                let drift = lost_and_written_again(quick, wait, look);
                assert_eq!((drift.done, drift.expected, drift.observed), (Done::Asked, q(33), q(29)));
                assert!(drift.or.is_empty(), "quick: {quick}, {wait}, looked at: {look}: {drift:?}");
            }
        }
    }
}
