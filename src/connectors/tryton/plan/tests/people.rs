//! What people do in Tryton beyond what they were told, or against it: it is kept, and nothing is sold for it.

use super::*;

/// Posts a target. Another look changes nothing, nor does the next posting.
#[track_caller]
fn post(mini: &mut Mini, told: [i64; 5], target: [i64; 5], sequence: u32) {
    follow(mini, &wants_after(told, target), sequence);
    assert_eq!(follow(mini, &wants_after(target, target), sequence + 1), 0, "{target:?} after {told:?}");
}

/// Two units were told to be written off, and a person found three broken.
#[test]
fn what_a_person_adds_to_a_write_off_is_not_found_again() {
    #[track_caller]
    fn check(targets: &[([i64; 5], i64)]) {
        for state in [InternalState::Waiting, InternalState::Assigned, InternalState::Done] {
            let mut mini = Mini::default();
            follow(&mut mini, &wants([5, 0, 0, 0, 0]), 1);
            let name = Name { kind: Kind::WriteOff, sequence: 2 };
            let goods = vec![Goods { id: 900, product: 7, quantity: 3 }];
            mini.books.internals.push(Internal { id: 901, name, state, goods });
            let mut told = [5, 0, 2, 0, 0];
            for (n, (target, off)) in (1..).zip(targets) {
                post(&mut mini, told, *target, 10 * n);
                let sums = mini.books.sums(7);
                assert_eq!((sums.lost, sums.off), (*off, *off), "{target:?} of {targets:?}, {state:?}");
                told = *target;
            }
        }
    }
    check(&[([5, 0, 2, 0, 0], 3), ([5, 0, 3, 0, 0], 3), ([5, 0, 4, 0, 0], 4)]);
    // What was told and is not any more comes back; the third does not.
    check(&[([5, 1, 1, 0, 0], 2), ([5, 2, 0, 0, 0], 1)]);
    check(&[([0; 5], 1), ([0; 5], 1)]);
}

/// One unit was told to be sent back, and a person received two.
#[test]
fn what_a_person_adds_to_a_return_is_not_taken_off() {
    #[track_caller]
    fn check(targets: &[([i64; 5], i64)]) {
        let mut mini = Mini::default();
        let mut told = [3, 0, 0, 3, 1];
        follow(&mut mini, &wants(told), 1);
        let back = mini.books.sales.iter_mut().find(|sale| sale.name.kind == Kind::Return);
        let line = &mut back.expect("it was made").lines[0];
        (line.quantity, line.moves[0].quantity) = (2, 2);
        for (n, (target, back)) in (1..).zip(targets) {
            post(&mut mini, told, *target, 10 * n);
            assert_eq!(mini.books.sums(7).back, *back, "{target:?} of {targets:?}");
            told = *target;
        }
    }
    check(&[([3, 0, 0, 3, 1], 2), ([3, 0, 0, 3, 2], 2), ([3, 0, 0, 3, 3], 3)]);
    check(&[([3, 0, 0, 3, 0], 1), ([3, 0, 0, 3, 0], 1)]);
}

/// One unit was told to be found again, or to be taken off again, and a person has made it two; before or after the answer.
#[test]
fn what_a_person_adds_to_what_undoes_is_kept() {
    #[track_caller]
    fn check(before: [i64; 5], less: [i64; 5], kind: Kind, targets: &[([i64; 5], i64)]) {
        use InternalState::{Done, Draft, Waiting};
        for (state, answered) in
            [(Draft, false), (Waiting, false), (Waiting, true), (Done, false), (Done, true)]
        {
            let mut mini = Mini::default();
            follow(&mut mini, &wants(before), 1);
            let goods = vec![Goods { id: 900, product: 7, quantity: 2 }];
            mini.books.internals.push(Internal { id: 901, name: Name { kind, sequence: 2 }, state, goods });
            if !answered {
                let unanswered = vec![Told { sequence: 2, totals: totals(less) }];
                let line = PostingLine { unanswered, ..wants_after(before, less)[&7].clone() };
                follow(&mut mini, &BTreeMap::from([(7, line)]), 3);
            }
            let mut told = less;
            for (n, (target, shelf)) in (1..).zip(targets) {
                post(&mut mini, told, *target, 10 * n);
                assert_eq!(mini.shelf(), *shelf, "{target:?} of {targets:?}, {state:?}, {answered}");
                told = *target;
            }
        }
    }
    let (off, found) = ([5, 0, 3, 0, 0], [5, 1, 2, 0, 0]);
    check(off, found, Kind::Found, &[(found, -1), ([5, 0, 4, 0, 0], -3), ([5, 4, 0, 0, 0], 0)]);
    let (back, gone) = ([4, 0, 0, 4, 3], [4, 0, 0, 4, 2]);
    check(back, gone, Kind::Gone, &[(gone, -3), ([4, 0, 0, 4, 4], -1), ([4, 0, 0, 4, 4], -1)]);
}

#[test]
fn of_what_a_person_ships_ahead_only_what_was_told_is_undone() {
    let mut mini = Mini::default();
    let told = [3, 0, 0, 2, 0];
    follow(&mut mini, &wants(told), 1);
    let shipment = mini.books.sales[0].shipments.iter().find(|s| is_open(s)).expect("a unit is left").id;
    for button in [Button::AssignForce, Button::Pick, Button::Pack, Button::Do] {
        mini.press_shipment(shipment, button).expect("the buttons are in order");
    }
    post(&mut mini, told, [3, 0, 0, 1, 0], 2);
    let sums = mini.books.sums(7);
    assert_eq!((sums.fulfilled - sums.undone_back, sums.open), (2, 1));
}

/// Cancels what is open, for good.
pub(super) fn cancel_open(mini: &mut Mini) {
    for sale in mini.books.sales.clone() {
        for shipment in sale.shipments.iter().filter(|s| is_open(s)) {
            mini.apply(&Call::Press(On::Shipment, shipment.id, Button::Cancel)).expect("it is open");
        }
        for line in mini.sale(sale.id).lines.clone() {
            let moves = line.moves.iter().filter(|m| m.is_loose()).map(|m| m.id).collect();
            mini.apply(&Call::Ignore { line: line.id, moves }).expect("they are cancelled");
        }
        if sale.is_processed() {
            mini.apply(&Call::Press(On::Sale, sale.id, Button::Process)).expect("it is processed");
        }
    }
}

/// Posts all targets but the last; then a person cancels what is open. The last leaves as much open as it adds.
#[test]
fn what_a_person_cancelled_is_not_sold_again_by_a_later_posting() {
    #[track_caller]
    fn check(targets: &[[i64; 5]], open: i64) {
        for direct in [false, true] {
            let mut mini = Mini { direct, ..Mini::default() };
            let mut told = [0; 5];
            let (last, before) = targets.split_last().expect("there are some");
            for (n, target) in (1..).zip(before) {
                follow(&mut mini, &wants_after(told, *target), n);
                told = *target;
            }
            cancel_open(&mut mini);
            follow(&mut mini, &wants_after(told, *last), 10);
            assert_eq!(mini.books.sums(7).open, open, "{targets:?}, direct: {direct}");
        }
    }
    // A shipment is undone, or units are added.
    check(&[[2, 0, 0, 1, 0], [2, 0, 0, 0, 0]], 1);
    check(&[[2, 0, 0, 1, 0], [3, 0, 0, 1, 0]], 1);
    check(&[[2, 0, 0, 1, 0], [3, 0, 0, 0, 0]], 2);
    check(&[[2, 0, 0, 0, 0], [4, 0, 0, 0, 0]], 2);
    // Units come back that were at another warehouse.
    check(&[[3, 0, 0, 0, 0], [1, 0, 0, 0, 0], [3, 0, 0, 0, 0]], 2);
}
