use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn places(names: &str) -> Vec<LocationId> {
    names
        .chars()
        .map(|name| LocationId::new(&name.to_ascii_lowercase().to_string()).expect("a good name"))
        .collect()
}

/// What is available at places A, B, C, ..., and what listings draw on -> what each of them may show.
#[track_caller]
fn check(available: &[i64], sellers: &[&str], want: &[i64]) {
    assert_eq!(shown(available, sellers), want, "{available:?} {sellers:?}");
}

fn shown(available: &[i64], sellers: &[&str]) -> Vec<i64> {
    let all = places(&"ABCDEFGH"[..available.len()]);
    let units = available.iter().map(|units| Quantity::new(*units));
    let heaps: Vec<Heap<'_>> = all.iter().zip(units).map(|(at, units)| Heap::at(at, units)).collect();
    let drawn: Vec<Vec<LocationId>> = sellers.iter().map(|names| places(names)).collect();
    let drawn: Vec<&[LocationId]> = drawn.iter().map(Vec::as_slice).collect();
    let sum = |drawn: &[LocationId]| {
        let here = heaps.iter().filter(|heap| within(heap, drawn));
        Quantity::new(here.map(|heap| heap.units.units()).sum())
    };
    let owed = Owed::new(&heaps, &drawn);
    let shown = |of: &&[LocationId]| {
        let shown = owed.unowed(of, sum(of));
        assert_eq!(shown, unowed(&heaps, &drawn, of, sum(of)), "{heaps:?} {drawn:?} {of:?}");
        shown.units().max(0)
    };
    drawn.iter().map(shown).collect()
}

fn within(heap: &Heap<'_>, drawn: &[LocationId]) -> bool {
    drawn.contains(heap.from) && drawn.contains(heap.to)
}

/// Works it out for one listing by itself, by looking at everything: what [`Owed`] must agree with.
///
/// Returns what of `sum`, the units at the places that a listing draws on, is not owed to what was sold at other places.
/// `sellers`: the places that each listing of the same stock draws on.
fn unowed(heaps: &[Heap<'_>], sellers: &[&[LocationId]], drawn: &[LocationId], sum: Quantity) -> Quantity {
    let elsewhere = |heap: &&Heap<'_>| heap.is_short() && !within(heap, drawn);
    if sum <= Quantity::ZERO || heaps.iter().all(|heap| !elsewhere(&heap)) {
        return sum;
    }
    let lying: Vec<&Heap<'_>> = heaps.iter().filter(|heap| heap.units > Quantity::ZERO).collect();
    let reach = |places: &[&[LocationId]]| -> Vec<usize> {
        let reached = |heap: &Heap<'_>| places.iter().any(|places| within(heap, places));
        (0..lying.len()).filter(|n| reached(lying[*n])).collect()
    };
    let mut flow = Flow::new(lying.iter().map(|heap| heap.units.units()));
    for short in heaps.iter().filter(|heap| heap.is_short()) {
        let here: Vec<&[LocationId]> =
            sellers.iter().filter(|places| within(short, places)).copied().collect();
        flow.meet(reach(&here), short.units.units().saturating_neg());
    }
    Quantity::new(flow.meet(reach(&[drawn]), sum.units()))
}

#[test]
fn what_is_short_at_one_place_is_not_for_sale_at_those_that_are_sold_with_it() {
    // Amazon draws on both, and its sales are booked at the first.
    check(&[2, 3], &["A", "B", "AB"], &[2, 3, 5]);
    check(&[-2, 3], &["A", "B", "AB"], &[0, 1, 1]);
    check(&[-3, 3], &["A", "B", "AB"], &[0, 0, 0]);
    check(&[-9, 3], &["A", "B", "AB"], &[0, 0, 0]);
    check(&[4, -1], &["A", "B", "AB"], &[3, 0, 3]);
    // Nobody ships from both.
    check(&[-2, 3], &["A", "B"], &[0, 3]);
    // C has no part in what A and B share.
    check(&[-2, 3, 5], &["A", "B", "C", "AB"], &[0, 1, 5, 1]);
    // It may come from B or from C: either alone may go.
    check(&[-2, 3, 5], &["A", "B", "C", "ABC"], &[0, 3, 5, 6]);
    check(&[-6, 3, 5], &["A", "B", "C", "ABC"], &[0, 2, 2, 2]);
    // A is made good from B alone, and B's own from C.
    check(&[-2, 3, 5], &["A", "B", "C", "AB", "BC"], &[0, 1, 5, 1, 6]);
    check(&[-1, -3, 5], &["A", "B", "C", "AB", "BC"], &[0, 0, 2, 0, 2]);
    // Two are short, and only together more than C has.
    check(&[-2, 3, 3, -2], &["B", "ABC", "BCD"], &[2, 2, 2]);
    // What can never be made good takes nothing from where it could not come from.
    check(&[-9, 3, 5], &["A", "AB", "C", "BC"], &[0, 0, 5, 5]);
}

#[test]
fn what_is_on_its_way_on_paper_is_for_who_draws_on_both_ends() {
    let all = places("ABC");
    let q = Quantity::new;
    let heaps =
        [Heap::at(&all[0], q(-2)), Heap::at(&all[1], q(1)), Heap { from: &all[1], to: &all[2], units: q(3) }];
    let (one, both) = (places("B"), places("BC"));
    let sellers: [&[LocationId]; 3] = [&places("AB"), &one, &both];
    let owed = Owed::new(&heaps, &sellers);
    assert_eq!(owed.unowed(&both, q(4)), q(3), "A may be made good from what lies at B only");
    assert_eq!(owed.unowed(&one, q(1)), q(0));
}

/// Up to four places, what is available there, and who draws on which of them.
fn worlds() -> impl Strategy<Value = (Vec<i64>, Vec<BTreeSet<usize>>)> {
    (1_usize..=4).prop_flat_map(|count| {
        let seller = proptest::collection::btree_set(0..count, 1..=count);
        (proptest::collection::vec(-6_i64..8, count), proptest::collection::vec(seller, 1..6))
    })
}

/// Returns how much of what is short can be made good after `sold` more went from the places of one seller, found by
/// looking at every set of needs (Hall's condition), not by the way that is tested.
fn made_good(available: &[i64], sellers: &[BTreeSet<usize>], sold: (&BTreeSet<usize>, i64)) -> i64 {
    let mut needs: Vec<(BTreeSet<usize>, i64)> = Vec::new();
    for (place, units) in available.iter().enumerate().filter(|(_, units)| **units < 0) {
        let with = sellers.iter().filter(|seller| seller.contains(&place));
        needs.push((with.flatten().copied().collect(), -units));
    }
    needs.push((sold.0.clone(), sold.1));
    let all = 0..1_u32 << needs.len();
    let met = all.map(|set| {
        let of = |n: usize| set & (1 << n) != 0;
        let reach: BTreeSet<usize> =
            (0..needs.len()).filter(|n| of(*n)).flat_map(|n| needs[n].0.iter().copied()).collect();
        let there: i64 = reach.iter().map(|place| available[*place].max(0)).sum();
        let others: i64 = (0..needs.len()).filter(|n| !of(*n)).map(|n| needs[n].1).sum();
        there + others
    });
    met.min().expect("the empty set")
}

proptest! {
    #[test]
    fn selling_all_that_is_shown_leaves_what_is_owed_to_be_made_good(
        (available, sellers) in worlds(),
    ) {
        let names = |seller: &BTreeSet<usize>| seller.iter().map(|n| char::from(b'A' + *n as u8)).collect::<String>();
        let drawn: Vec<String> = sellers.iter().map(names).collect();
        let drawn: Vec<&str> = drawn.iter().map(String::as_str).collect();
        let shown = shown(&available, &drawn);
        for (seller, shown) in sellers.iter().zip(shown) {
            let alone: i64 = seller.iter().map(|n| available[*n]).sum();
            prop_assert!(shown <= alone.max(0), "never more than lies there");
            let before = made_good(&available, &sellers, (seller, 0));
            prop_assert_eq!(made_good(&available, &sellers, (seller, shown)), before + shown, "it takes from what is owed");
            if shown < alone {
                let more = made_good(&available, &sellers, (seller, shown + 1));
                prop_assert_eq!(more, before + shown, "one more could be sold");
            }
            // The places that are drawn on together with these, one by way of another.
            let mut group = seller.clone();
            while let Some(next) = sellers.iter().find(|s| !s.is_disjoint(&group) && !s.is_subset(&group)) {
                group.extend(next);
            }
            let in_group = |n: &usize| group.contains(n);
            let short: i64 = (0..available.len()).filter(in_group).map(|n| (-available[n]).max(0)).sum();
            let total: i64 = group.iter().map(|n| available[*n]).sum();
            let owed_here: Vec<i64> = (0..available.len()).map(|n| if in_group(&n) { available[n] } else { 0 }).collect();
            if made_good(&owed_here, &sellers, (seller, 0)) == short {
                prop_assert!(shown <= total.max(0), "more than its group has");
            }
            if seller.len() == 1 && sellers.iter().all(|s| s == seller || s.is_disjoint(seller)) {
                prop_assert_eq!(shown, alone.max(0), "nobody shares it");
            }
        }
    }

    /// Asked of all places and of any of them, with units on their way, it tells what the slow way tells.
    #[test]
    fn what_is_looked_up_once_is_what_each_would_find(
        available in proptest::collection::vec(-6_i64..8, 4),
        moving in proptest::collection::vec((0_usize..4, 0_usize..4, -3_i64..4), 0..4),
        sellers in proptest::collection::vec(proptest::collection::vec(0_usize..5, 1..5), 1..6),
        asked in proptest::collection::vec((proptest::collection::vec(0_usize..5, 0..5), -2_i64..20), 1..6),
    ) {
        let all = places("ABCDE");
        let q = Quantity::new;
        let there = all.iter().zip(available).map(|(at, units)| Heap::at(at, q(units)));
        let paper = moving.iter().map(|(from, to, n)| Heap { from: &all[*from], to: &all[*to], units: q(*n) });
        let heaps: Vec<Heap<'_>> = there.chain(paper).collect();
        let named = |of: &Vec<usize>| of.iter().map(|n| all[*n].clone()).collect::<Vec<_>>();
        let sellers: Vec<Vec<LocationId>> = sellers.iter().map(named).collect();
        let sellers: Vec<&[LocationId]> = sellers.iter().map(Vec::as_slice).collect();
        let owed = Owed::new(&heaps, &sellers);
        for (drawn, sum) in &asked {
            let drawn = named(drawn);
            prop_assert_eq!(owed.unowed(&drawn, q(*sum)), unowed(&heaps, &sellers, &drawn, q(*sum)));
        }
    }
}
