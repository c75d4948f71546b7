//! Counts that come while something is held, parked or half done.

use std::collections::BTreeSet;

use super::world::{ERP, SHOP, WH, World, ch, ids, key, ms, policies, q, sku, totals, wh};
use crate::{
    core::{
        Command, Reply,
        command::{Count, DeadLetter, Fate, Verdict},
        decide::counts::lacks,
        record::AlertKind,
        state::Quarantined,
    },
    model::{CountLine, LocationId, Outcome, Policies, Posting, PostingLine, Quantity, Returns, Seq},
};

fn count(world: &mut World, lines: &[(&str, i64)]) -> Option<Seq> {
    let count = world.count_of(ERP, lines);
    match world.run(Command::Count(count)) {
        Ok(Reply::Counted { held, .. }) => held,
        other => panic!("not counted: {other:?}"),
    }
}

fn stocks(world: &World) -> [i64; 4] {
    ["A", "B", "C", "D"].map(|of| world.stock(of)[0])
}

/// Four SKUs of ten units each, and a count that would empty them all, which is held.
fn held() -> (World, DeadLetter) {
    let mut world = World::open(&[("A", 10), ("B", 10), ("C", 10), ("D", 10)]);
    world.now += 1_000;
    let id = count(&mut world, &[("A", 0), ("B", 0), ("C", 0), ("D", 0)]).expect("it is held");
    assert_eq!(stocks(&world), [10; 4]);
    world.now += 1_000;
    (world, DeadLetter::Count(id))
}

#[test]
fn a_held_count_that_is_released_leaves_what_was_counted_later() {
    let (mut world, letter) = held();
    assert_eq!(count(&mut world, &[("A", 4), ("B", 10)]), None);
    world.run(Command::Dead { letter, verdict: Verdict::Retry }).expect("released");
    assert_eq!(stocks(&world), [4, 10, 0, 0]);
    assert!(world.state.held.is_empty());
    world.same_rows();
}

#[test]
fn a_held_count_that_is_discarded_moves_nothing() {
    let (mut world, letter) = held();
    world.run(Command::Dead { letter: letter.clone(), verdict: Verdict::Discard }).expect("discarded");
    assert_eq!(stocks(&world), [10; 4]);
    assert!(world.run(Command::Dead { letter, verdict: Verdict::Retry }).is_err());
}

#[test]
fn sales_while_a_count_is_held_are_replayed_on_top_of_it() {
    let mut world = World::open(&[("A", 10), ("B", 10), ("C", 10), ("D", 10)]);
    world.now += 1_000;
    let id = count(&mut world, &[("A", 1), ("B", 1), ("C", 1), ("D", 1)]).expect("it is held");
    world.sell(SHOP, "1", "A", 1);
    world.change(SHOP, "1", [1, 0, 0, 1, 0], 0);
    world.push(SHOP, "1");
    world.run(Command::Dead { letter: DeadLetter::Count(id), verdict: Verdict::Retry }).expect("released");
    assert_eq!(stocks(&world), [0, 1, 1, 1], "the unit that was shipped since is not on the shelf");
}

#[test]
fn units_taken_off_the_books_while_a_count_is_held_do_not_come_back_with_it() {
    let policies = Policies { returns: Returns::Quarantine, ..policies() };
    let mut world = World::open_with(policies, &[("A", 10), ("B", 10), ("C", 10), ("D", 10)]);
    world.sell(SHOP, "1", "A", 2);
    world.change(SHOP, "1", [2, 0, 0, 2, 2], 2);
    world.push(SHOP, "1");
    world.post_all();
    world.now += 1_000;
    assert_eq!(world.stock("A"), [10, 0, 2]);
    let id = count(&mut world, &[("A", 4), ("B", 4), ("C", 4), ("D", 4)]).expect("it is held");
    let (location, quantity) = (None, Some(q(1)));
    let note = "torn".to_owned();
    let torn = Command::Returned { sku: sku("A"), location, quantity, fate: Fate::Discard, note };
    world.run(torn).expect("taken off the books");
    world.run(Command::Dead { letter: DeadLetter::Count(id), verdict: Verdict::Retry }).expect("released");
    assert_eq!(
        world.stock("A"),
        [3, 0, 1],
        "the unit that was thrown away after the count is not on the shelf"
    );
}

/// Two units are shipped and one comes back; the ERP takes the shipment and refuses the return. The look after that
/// finds the shipment, or fails; then the ERP counts the eight units that it knows of.
#[track_caller]
fn check_half_made(found: bool, absent: bool) {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    world.change(SHOP, "1", [2, 0, 0, 2, 1], 1);
    world.push(SHOP, "1");
    assert_eq!(world.stock("A"), [9, 0, 0]);
    world.now += 1_000;
    let posting = world.postings().remove(0);
    let found = found.then(|| vec![totals([2, 0, 0, 2, 0])]);
    world.posted_and_found(&posting, Outcome::Rejected { reason: "no return".into() }, found);
    world.now += 1_000;
    let counted = world.count_of(ERP, &[("A", 8)]);
    let absent = if absent { vec![key(SHOP, "1")] } else { Vec::new() };
    world.run(Command::Count(Count { absent, ..counted })).expect("counted");
    assert!(world.stock("A")[0] <= 9, "never more than there is: {:?}", world.stock("A"));
    assert!(world.stock("A")[0] >= 8, "what was shipped is gone once: {:?}", world.stock("A"));
}

#[test]
fn what_a_refused_posting_did_already_is_not_taken_off_a_count_again() {
    check_half_made(true, true);
    check_half_made(true, false);
    check_half_made(false, true);
    check_half_made(false, false);
}

#[test]
fn a_refused_posting_that_is_retried_goes_on_from_what_was_found() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    let posting = world.postings().remove(0);
    let rejected = Outcome::Rejected { reason: "no".into() };
    world.posted_and_found(&posting, rejected, Some(vec![totals([2, 0, 0, 0, 0])]));
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict: Verdict::Retry }).expect("goes again");
    assert_eq!(world.postings().len(), 0, "it holds all there is to hold");
    assert_eq!(count(&mut world, &[("A", 10)]), None);
    assert_eq!(world.stock("A"), [10, 2, 0]);
}

#[test]
fn what_people_did_in_the_erp_is_not_taken_for_what_it_was_told() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    world.post_all();
    // Staff ship it in the ERP before the shop knows, and the ERP counts what is left.
    world.now += 1_000;
    assert_eq!(count(&mut world, &[("A", 8)]), None);
    // The shop cancels the order; the ERP refuses, because it has shipped.
    world.change(SHOP, "1", [2, 2, 0, 0, 0], 2);
    world.push(SHOP, "1");
    let posting = world.postings().remove(0);
    let found = Some(vec![totals([2, 0, 0, 2, 0])]);
    world.posted_and_found(&posting, Outcome::Rejected { reason: "shipped".into() }, found);
    world.now += 1_000;
    let counted = world.count_of(ERP, &[("A", 8)]);
    world.run(Command::Count(Count { absent: vec![key(SHOP, "1")], ..counted })).expect("counted");
    assert_eq!(world.stock("A"), [8, 0, 0], "what was shipped is gone");
    let letter = DeadLetter::Posting { channel: ch(ERP), order: key(SHOP, "1") };
    world.run(Command::Dead { letter, verdict: Verdict::Retry }).expect("goes again");
    let again = world.postings().remove(0);
    assert_eq!(again.lines[0].told.fulfilled.units(), 0, "a shipment that it was never told is not undone");
}

/// What a count of A tells at two places, of which ten units were counted at each -> units at each after it, and how
/// many lines wait.
#[track_caller]
fn check_set(lines: &[(&str, i64)], want: [i64; 2], wait: usize) {
    let places = [WH, "shop-floor"].map(|name| LocationId::new(name).expect("a name"));
    let mut policies = policies();
    policies.locations = places.to_vec();
    policies.channels.get_mut(&ch(ERP)).expect("configured").locations = places.to_vec();
    let mut world = World::open_with(policies, &[("A", 10)]);
    let set: BTreeSet<LocationId> = places.iter().cloned().collect();
    let line = |(at, units): &(&str, i64)| CountLine {
        ids: World::ids_of(ERP, "A"),
        location: LocationId::new(at).expect("a name"),
        quantity: q(*units),
    };
    let mut count = |lines: &[(&str, i64)], set: &BTreeSet<LocationId>| {
        world.now += 1_000;
        let lines = lines.iter().map(line).collect();
        let count = Count { lines, set: set.clone(), ..world.count_of(ERP, &[]) };
        world.run(Command::Count(count)).expect("counted")
    };
    count(&[(WH, 10), ("shop-floor", 10)], &set);
    let Reply::Counted { deferred, .. } = count(lines, &set) else { panic!("not counted") };
    let row = &world.state.skus[&sku("A")];
    let units = places.map(|at| row.place(&at).map_or(0, |place| place.stock.on_hand.units()));
    assert_eq!((units, deferred), (want, wait), "{lines:?}");
}

#[test]
fn of_a_set_of_locations_that_is_not_whole_nothing_is_raised() {
    check_set(&[(WH, 4), ("shop-floor", 16)], [4, 16], 0);
    check_set(&[("shop-floor", 16)], [10, 10], 1);
    check_set(&[(WH, 4)], [4, 10], 0);
}

#[test]
fn while_a_person_is_asked_about_one_place_of_a_sku_nothing_is_raised_at_another() {
    let places = [WH, "shop-floor"].map(|name| LocationId::new(name).expect("a name"));
    let mut policies = policies();
    policies.locations = places.to_vec();
    policies.channels.get_mut(&ch(ERP)).expect("configured").locations = places.to_vec();
    let mut world = World::open_with(policies, &[("A", 10), ("B", 10), ("C", 10)]);
    let mut count = |lines: &[(&str, [i64; 2])]| {
        world.now += 1_000;
        let of = |(of, units): &(&str, [i64; 2])| {
            places
                .iter()
                .zip(*units)
                .map(|(at, units)| CountLine {
                    ids: World::ids_of(ERP, of),
                    location: at.clone(),
                    quantity: q(units),
                })
                .collect::<Vec<_>>()
        };
        let (lines, set) = (lines.iter().flat_map(of).collect(), places.iter().cloned().collect());
        let count = Count { lines, set, ..world.count_of(ERP, &[]) };
        world.run(Command::Count(count)).expect("counted");
        ["A", "B", "C"].map(|of| {
            let row = &world.state.skus[&sku(of)];
            places.each_ref().map(|at| row.place(at).map_or(0, |place| place.stock.on_hand.units()))
        })
    };
    let all = [[10, 10]; 3];
    assert_eq!(count(&[("A", [10, 10]), ("B", [10, 10]), ("C", [10, 10])]), all);
    assert_eq!(count(&[("A", [0, 0]), ("B", [0, 0]), ("C", [0, 0])]), all, "a person is asked");
    // All of A lies at the other place by now; of B some do; C is as it was, and a part is gone.
    assert_eq!(count(&[("A", [0, 20]), ("B", [9, 11]), ("C", [10, 9])]), [[10, 10], [9, 11], [10, 9]]);
}

/// What an order is to hold, what of it the ERP has acknowledged, and what a look-up finds there -> whether all that raises is
/// absent.
#[track_caller]
fn check_lacks(target: [i64; 5], acked: [i64; 5], found: [i64; 5], want: bool) {
    let (target, acked) = (totals(target), totals(acked));
    let line = PostingLine {
        ids: ids(&[]),
        location: wh(),
        target,
        told: target.most(acked),
        acked: Some(acked),
        unanswered: Vec::new(),
    };
    let posting = Posting {
        order: key(SHOP, "1"),
        reference: "r".into(),
        sequence: 1,
        placed_at: ms(0),
        lines: vec![line],
    };
    assert_eq!(lacks(&posting, &[totals(found)]), want, "{target:?} {acked:?} {found:?}");
}

#[test]
fn what_raises_is_absent_only_if_the_counter_has_no_part_of_it() {
    let shipped = [3, 0, 0, 3, 0];
    check_lacks([3, 0, 0, 3, 3], shipped, shipped, true);
    check_lacks([3, 0, 0, 3, 3], shipped, [3, 0, 0, 3, 2], false);
    check_lacks([3, 0, 0, 3, 3], shipped, [3, 0, 0, 3, 3], false);
    check_lacks([3, 0, 0, 3, 3], [3, 0, 0, 3, 2], [3, 0, 0, 3, 2], true);
    check_lacks([3, 2, 0, 1, 0], [3, 0, 0, 1, 0], [3, 1, 0, 1, 0], false);
    check_lacks([3, 0, 0, 0, 0], shipped, shipped, true);
    check_lacks([3, 0, 0, 0, 0], shipped, [3, 0, 0, 1, 0], false);
    check_lacks(shipped, shipped, [0; 5], true);
}

/// One row of a batch holds more than a ledger takes: the others are taken, and a person is told which one it was.
#[test]
fn a_row_that_is_out_of_range_holds_up_no_other_one() {
    let much = Quantity::LIMIT + 1;
    for opening in [false, true] {
        let mut world = World::open(&[("A", 10), ("B", 10), ("C", 10), ("D", 10)]);
        for _ in 0..3 {
            world.now += 1_000;
            // Two shelves of the same place: the good one says nothing by itself.
            let lines = [("A", 7), ("B", 3), ("B", much), ("C", -much), ("D", 9)];
            let read = Count { opening, ..world.count_of(ERP, &lines) };
            let reply = world.run(Command::Count(read)).expect("counted");
            assert!(matches!(reply, Reply::Counted { held: None, deferred: 0, .. }), "{reply:?}");
        }
        assert_eq!(stocks(&world), [7, 10, 10, 9]);
        let told: Vec<&Quarantined> = world.state.quarantine.values().collect();
        let [one] = told[..] else { panic!("told once: {told:?}") };
        assert_eq!((one.topic.as_str(), one.id.as_deref()), ("counts", Some("B, C")));
        assert!(one.why.contains(&format!("`B` at `wh` ({much})")), "{}", one.why);
        world.run(Command::Tick).expect("ticks");
        let alert = world.state.alerts.keys().any(|key| key.kind == AlertKind::Quarantine);
        assert!(alert, "{:?}", world.state.alerts);
        // A count that holds others is told as well.
        world.now += 1_000;
        count(&mut world, &[("A", 7), ("D", much)]);
        assert_eq!((world.state.quarantine.len(), stocks(&world)), (2, [7, 10, 10, 9]));
    }
}

/// Of a SKU with a row that is out of range at one of the places that are counted together, nothing rises at the others.
#[test]
fn what_is_out_of_range_at_one_place_raises_nothing_at_another() {
    let store = LocationId::new("store").expect("a good name");
    let mut policies = policies();
    policies.locations = vec![wh(), store.clone()];
    let mut world = World::open_with(policies, &[("A", 10), ("B", 10)]);
    let line = |location: &LocationId, units| CountLine {
        ids: World::ids_of(ERP, "A"),
        location: location.clone(),
        quantity: q(units),
    };
    let set = BTreeSet::from([wh(), store.clone()]);
    for (units, left) in [(12, 10), (8, 8)] {
        world.now += 1_000;
        let lines = vec![line(&wh(), units), line(&store, Quantity::LIMIT + 1)];
        let read = Count { lines, set: set.clone(), ..world.count_of(ERP, &[]) };
        world.run(Command::Count(read)).expect("counted");
        assert_eq!(world.stock("A")[0], left);
    }
}
