//! A request that is said again: the same intent if it wants the same, and refused if not.

use super::*;
use crate::core::decide::intents::asked_before;

fn by_name(rows: Vec<Row>) -> Ask {
    Ask { request: Some("r1".into()), ..ask(rows) }
}

fn twice() -> Vec<Row> {
    vec![set("A", SHOP, Some(4)), set("B", SHOP, None)]
}

/// The first request, and another by its name -> whether that is taken for a repeat.
#[track_caller]
fn check(first: Ask, then: Ask, want: bool) {
    let mut world = World::open(&[("A", 10), ("B", 10)]);
    let id = open(&mut world, first);
    let got = world.run(Command::Intend(Box::new(then)));
    match got {
        Ok(Reply::Intent { id: same, again: true, .. }) if want => assert_eq!(same, id),
        Err(Refused::NotSo(why)) if !want => {
            assert!(why.contains("give it another id") && why.contains("nothing was done"), "{why}");
        }
        got => panic!("{got:?}"),
    }
}

#[test]
fn a_repeat_is_known_in_whatever_order_its_rows_are() {
    check(by_name(twice()), by_name(twice()), true);
    check(by_name(twice()), by_name(twice().into_iter().rev().collect()), true);
    let rows = twice().into_iter().map(|row| Row { line: Some(7), ..row }).collect();
    let later = Ask { until: Some(ms(9)), note: "again".into(), confirmed: true, ..by_name(rows) };
    check(by_name(twice()), later, true);
}

#[test]
fn a_request_that_wants_more_or_less_than_the_one_of_its_name_is_refused() {
    check(by_name(vec![set("A", SHOP, Some(4))]), by_name(twice()), false);
    check(by_name(twice()), by_name(vec![set("A", SHOP, Some(4))]), false);
    check(by_name(twice()), by_name(vec![set("A", SHOP, Some(4)), set("B", SHOP, Some(0))]), false);
    check(by_name(twice()), Ask { seen_is_enough: true, ..by_name(twice()) }, false);
}

#[test]
fn a_shift_of_another_quantity_or_the_other_way_is_refused() {
    check(by_name(vec![shift("A", 2, SHOP, AMZ)]), by_name(vec![shift("A", 2, SHOP, AMZ)]), true);
    check(by_name(vec![shift("A", 2, SHOP, AMZ)]), by_name(vec![shift("A", 7, SHOP, AMZ)]), false);
    check(by_name(vec![shift("A", 2, SHOP, AMZ)]), by_name(vec![shift("A", 2, AMZ, SHOP)]), false);
}

#[test]
fn of_an_intent_of_an_older_journal_its_lines_are_compared() {
    let mut world = World::open(&[("A", 10), ("B", 10)]);
    let id = open(&mut world, by_name(twice()));
    let mut state = world.state.clone();
    state.intents.get_mut(&id).expect("open").asked = None;
    assert_eq!(asked_before(&state, &by_name(twice())), Ok(Some((id, Phase::Lowering))));
    let told = asked_before(&state, &by_name(vec![set("A", SHOP, Some(5))]));
    assert!(matches!(&told, Err(Refused::NotSo(why)) if why.contains("something else")), "{told:?}");
}
