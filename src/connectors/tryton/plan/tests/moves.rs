//! Lines that move to another warehouse, or shrink where they are, after documents of theirs were done.

use super::*;

/// What a warehouse is left with: open, shipped, written off, back; and what came onto its shelf in all.
fn left(mini: &Mini, product: i64) -> [i64; 5] {
    let (sums, held) = (mini.books.sums(product), mini.books.totals(product));
    let [fulfilled, written_off, returned] =
        [held.fulfilled, held.written_off, held.returned].map(|q| q.units());
    [sums.open, fulfilled, written_off, returned, mini.shelf_of(product)]
}

/// The same, of a target.
fn due([ordered, released, written_off, fulfilled, returned]: [i64; 5]) -> [i64; 5] {
    let open = ordered - released - written_off - fulfilled;
    [open, fulfilled, written_off, returned, returned - fulfilled - written_off]
}

/// Posts each target in turn, and looks at what the warehouse is left with after each.
#[track_caller]
fn check(targets: &[[i64; 5]]) {
    for direct in [false, true] {
        let mut mini = Mini { direct, ..Mini::default() };
        let mut told = [0; 5];
        for (n, target) in (1..).zip(targets) {
            follow(&mut mini, &wants_after(told, *target), n);
            assert_eq!(left(&mini, 7), due(*target), "{target:?} of {targets:?}, direct: {direct}");
            told = *target;
        }
    }
}

/// Each kind of document, done, and its line gone elsewhere; then back.
#[test]
fn what_moves_away_after_it_was_done_is_undone_and_is_done_anew_when_it_comes_back() {
    let away = [0; 5];
    // A sale, written off, shipped, sent back; and everything at once.
    for done in
        [[2, 0, 0, 0, 0], [2, 2, 0, 0, 0], [2, 0, 2, 0, 0], [2, 0, 0, 2, 0], [2, 0, 0, 2, 2], [9, 2, 1, 4, 2]]
    {
        check(&[done, away]);
        check(&[done, away, done]);
        check(&[done, away, done, away, done]);
    }
}

#[test]
fn what_moves_away_in_part_is_undone_in_part() {
    // Two write-offs, one after the other, of which one unit moves; then the rest.
    check(&[[4, 0, 1, 0, 0], [4, 0, 3, 0, 0], [3, 0, 2, 0, 0], [1, 0, 0, 0, 0], [4, 0, 3, 0, 0]]);
    check(&[[4, 0, 0, 4, 3], [2, 0, 0, 2, 1], [1, 0, 0, 1, 1], [4, 0, 0, 4, 4]]);
    check(&[[6, 1, 2, 3, 1], [3, 0, 1, 2, 1], [5, 1, 2, 2, 0], [5, 1, 2, 2, 2]]);
}

#[test]
fn what_shrinks_where_it_is_is_undone() {
    // Written off, and freed, shipped, or to be shipped after all.
    check(&[[2, 0, 2, 0, 0], [2, 2, 0, 0, 0]]);
    check(&[[2, 0, 2, 0, 0], [2, 1, 0, 1, 0]]);
    check(&[[2, 0, 2, 0, 0], [2, 0, 0, 0, 0], [2, 0, 2, 0, 0]]);
    // Cancelled, and wanted after all.
    check(&[[3, 3, 0, 0, 0], [3, 1, 0, 0, 0], [3, 1, 0, 2, 0], [3, 3, 0, 0, 0], [3, 0, 0, 3, 0]]);
    // Sent back, and not.
    check(&[[2, 0, 0, 2, 2], [2, 0, 0, 2, 0], [2, 0, 0, 2, 1], [2, 0, 0, 2, 0]]);
}

/// Returns the internal shipments: kind, state and units of the product 7.
fn internals(mini: &Mini) -> Vec<(Kind, InternalState, i64)> {
    mini.books.internals.iter().map(|i| (i.name.kind, i.state, i.quantity_of(7))).collect()
}

#[test]
fn a_write_off_that_is_not_done_is_made_smaller() {
    use InternalState::{Assigned, Cancelled, Done, Draft, Waiting};
    #[track_caller]
    fn check(state: InternalState, left: i64, want: &[(Kind, InternalState, i64)]) {
        let mut mini = Mini::default();
        follow(&mut mini, &wants([3, 0, 0, 0, 0]), 1);
        let goods =
            vec![Goods { id: 900, product: 7, quantity: 2 }, Goods { id: 901, product: 7, quantity: 1 }];
        let name = Name { kind: Kind::WriteOff, sequence: 2 };
        mini.books.internals.push(Internal { id: 902, name, state, goods });
        follow(&mut mini, &wants_after([3, 0, 3, 0, 0], [left, 0, left, 0, 0]), 3);
        assert_eq!(internals(&mini), want, "{state:?}");
        assert_eq!(mini.shelf(), -left);
        follow(&mut mini, &wants_after([left, 0, left, 0, 0], [3, 0, 3, 0, 0]), 4);
        assert_eq!(mini.shelf(), -3);
    }
    for state in [Draft, Waiting, Assigned] {
        check(state, 0, &[(Kind::WriteOff, Cancelled, 0)]);
        check(state, 2, &[(Kind::WriteOff, Done, 2)]);
    }
    check(Done, 2, &[(Kind::WriteOff, Done, 3), (Kind::Found, Done, 1)]);
    check(Done, 0, &[(Kind::WriteOff, Done, 3), (Kind::Found, Done, 3)]);
}

#[test]
fn what_the_warehouse_never_had_need_not_be_written_off_once_it_has_moved() {
    let mut mini = Mini { bare: true, ..Mini::default() };
    let first = wants([2, 0, 2, 0, 0]);
    let mut last = Step::Done;
    // Until the step that is refused comes again.
    for _ in 0..20 {
        let step = next(&mini.books, &first, 1);
        let Step::Go(calls) = &step else { panic!("{step:?}") };
        if step == last {
            break;
        }
        for call in calls {
            if mini.apply(call).is_err() {
                break;
            }
        }
        last = step;
    }
    assert_eq!(internals(&mini), [(Kind::WriteOff, InternalState::Waiting, 2)]);
    // It was told, and never acknowledged.
    let (none, told) = (totals([0; 5]), totals([2, 0, 2, 0, 0]));
    follow(&mut mini, &BTreeMap::from([(7, line(none, told, Some(none)))]), 2);
    assert_eq!(internals(&mini), [(Kind::WriteOff, InternalState::Cancelled, 0)]);
    assert_eq!(mini.shelf(), 0);
}

#[test]
fn what_a_person_cancelled_took_nothing_and_brings_nothing_back() {
    let mut mini = Mini::default();
    follow(&mut mini, &wants([3, 0, 1, 0, 0]), 1);
    let name = Name { kind: Kind::WriteOff, sequence: 2 };
    let goods = vec![Goods { id: 900, product: 7, quantity: 1 }];
    mini.books.internals.push(Internal { id: 901, name, state: InternalState::Cancelled, goods });
    // That person knows that there was no such unit; what is done of the rest is undone.
    follow(&mut mini, &wants([3, 1, 2, 0, 0]), 3);
    assert_eq!(internals(&mini).len(), 2);
    follow(&mut mini, &wants_after([3, 1, 2, 0, 0], [0; 5]), 4);
    let off = |mini: &Mini| mini.books.sums(7).off;
    assert_eq!((internals(&mini).len(), off(&mini)), (3, 0));
    assert_eq!(follow(&mut mini, &wants([0; 5]), 5), 0);
}

#[test]
fn of_doubled_reversals_one_is_kept() {
    for [before, after] in [[[2, 0, 2, 0, 0], [2, 2, 0, 0, 0]], [[2, 0, 0, 2, 2], [2, 0, 0, 2, 0]]] {
        let mut mini = Mini::default();
        follow(&mut mini, &wants(before), 1);
        let wants = wants_after(before, after);
        let Step::Go(calls) = next(&mini.books, &wants, 2) else { panic!("{before:?}") };
        for _ in 0..3 {
            mini.apply(&calls[0]).expect("nothing stops a second one");
        }
        follow(&mut mini, &wants, 2);
        assert_eq!(left(&mini, 7), due(after));
        // One that lands only now changes nothing.
        mini.apply(&calls[0]).expect("nothing stops another one");
        assert_eq!(follow(&mut mini, &wants, 2), 1);
        assert_eq!(left(&mini, 7), due(after));
    }
}

/// What an order is to have at two places, of two products.
type Wanted = [[[i64; 5]; 2]; 2];
const PRODUCTS: [i64; 2] = [7, 8];

#[derive(Debug, Clone, Copy)]
enum Change {
    /// A product's targets at a place are whatever.
    Becomes { place: usize, product: usize, totals: [i64; 5] },
    /// Some of each of a product's units go to the other place.
    Moves { product: usize, from: usize, units: i64 },
}

fn change() -> impl Strategy<Value = Change> {
    let totals = (0..3_i64, 0..3_i64, 0..3_i64, 0..3_i64, 0..3_i64).prop_map(
        |(open, released, written_off, fulfilled, returned)| {
            let ordered = open + released + written_off + fulfilled;
            [ordered, released, written_off, fulfilled, returned.min(fulfilled)]
        },
    );
    prop_oneof![
        (0..2_usize, 0..2_usize, totals).prop_map(|(place, product, totals)| Change::Becomes {
            place,
            product,
            totals
        }),
        (0..2_usize, 0..2_usize, 0..4_i64).prop_map(|(product, from, units)| Change::Moves {
            product,
            from,
            units
        }),
    ]
}

fn changed(mut wanted: Wanted, change: Change) -> Wanted {
    match change {
        Change::Becomes { place, product, totals } => wanted[place][product] = totals,
        Change::Moves { product, from, units } => {
            let here = wanted[from][product];
            let open = here[0] - here[1] - here[2] - here[3];
            let [open, released, written_off, fulfilled] =
                [open, here[1], here[2], here[3]].map(|n| n.min(units));
            // What was sent back goes with what was shipped.
            let returned = (here[4] - (here[3] - fulfilled)).max(here[4].min(units)).min(fulfilled);
            let moved =
                [open + released + written_off + fulfilled, released, written_off, fulfilled, returned];
            for (n, units) in moved.into_iter().enumerate() {
                wanted[from][product][n] -= units;
                wanted[1 - from][product][n] += units;
            }
        }
    }
    wanted
}

proptest! {
    /// Whatever an order becomes, and wherever: the documents of each warehouse add up to what was told last.
    #[test]
    fn what_each_warehouse_has_is_what_was_told_last(
        changes in prop::collection::vec(change(), 1..12),
        troubles in prop::collection::vec(trouble(), 0..120),
        direct in any::<[bool; 2]>(),
    ) {
        let mut minis = direct.map(|direct| Mini { direct, ..Mini::default() });
        let mut troubles = troubles.into_iter();
        let mut told = Wanted::default();
        for (n, change) in (1..).zip(changes) {
            let wanted = changed(told, change);
            for (place, mini) in minis.iter_mut().enumerate() {
                let want = |product: usize| {
                    let (now, before) = (totals(wanted[place][product]), totals(told[place][product]));
                    (PRODUCTS[product], line(now, before, Some(before)))
                };
                let wants = BTreeMap::from([want(0), want(1)]);
                let mut steps = 0;
                loop {
                    match next(&mini.books, &wants, n) {
                        Step::Done => break,
                        Step::Go(calls) => send(mini, &calls, &mut troubles),
                        step @ (Step::Wait { .. } | Step::Refuse(_)) => {
                            prop_assert!(false, "{step:?} at {wanted:?} with {:#?}", mini.books);
                        }
                    }
                    steps += 1;
                    prop_assert!(steps < 300, "no end at {wanted:?} with {:#?}", mini.books);
                }
                for product in [0, 1] {
                    prop_assert_eq!(left(mini, PRODUCTS[product]), due(wanted[place][product]), "{:#?}", mini.books);
                }
            }
            told = wanted;
        }
    }
}

proptest! {
    /// What is written off and sent back changes while documents of it are half made, and is told under another number.
    #[test]
    fn what_is_half_made_for_another_target_is_not_in_the_way(
        targets in prop::collection::vec((0..4_i64, 0..4_i64, prop::option::of(0..5_usize)), 1..12),
        troubles in prop::collection::vec(trouble(), 0..60),
    ) {
        let mut mini = Mini::default();
        let mut troubles = troubles.into_iter();
        let (mut acked, mut told) = (totals([0; 5]), totals([0; 5]));
        let mut unanswered = Vec::new();
        let last = [(1, 1, None), (0, 0, None)];
        for (n, (written_off, returned, after)) in (1..).zip(targets.into_iter().chain(last)) {
            let target = [6, 3 - written_off, written_off, 3, returned];
            told = told.most(totals(target));
            unanswered.push(Told { sequence: n, totals: totals(target) });
            let unanswered_now = unanswered.clone();
            let line = PostingLine { unanswered: unanswered_now, ..line(totals(target), told, Some(acked)) };
            let wants = BTreeMap::from([(7, line)]);
            let mut steps = 0;
            loop {
                match next(&mini.books, &wants, n) {
                    Step::Done => {
                        (acked, told) = (totals(target), totals(target));
                        unanswered.clear();
                        prop_assert_eq!(left(&mini, 7), due(target), "{:#?}", mini.books);
                        break;
                    }
                    Step::Go(calls) => send(&mut mini, &calls, &mut troubles),
                    step @ (Step::Wait { .. } | Step::Refuse(_)) => {
                        prop_assert!(false, "{step:?} at {target:?} with {:#?}", mini.books);
                    }
                }
                steps += 1;
                prop_assert!(steps < 300, "no end at {target:?} with {:#?}", mini.books);
                // Only what is sold and shipped is always finished.
                if after.is_some_and(|after| steps > after && n > 1) {
                    break;
                }
            }
        }
    }
}
