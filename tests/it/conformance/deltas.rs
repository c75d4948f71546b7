//! A change of what is shown by so many units: done once, or not known, and never sent again by itself.

use evenkeel::{
    connectors::{Connector, Outcome, Put},
    model::Quantity,
};

use super::{
    bench::{Bench, Item, Known, all_are, is_done, puts, shows},
    front::Strike,
    reads::{broken, says},
};

/// Changes so many units of each item. `nth` names the write.
async fn change(connector: &dyn Connector, items: &[Item], nth: usize, by: i64) -> Vec<Outcome> {
    let delta = |(put, item): (Put, &Item)| Put {
        quantity: Quantity::new(item.shown + by),
        compare: None,
        delta: Some(Quantity::new(by)),
        ..put
    };
    let puts: Vec<Put> = puts(connector, items, nth, 0).into_iter().zip(items).map(delta).collect();
    connector.write(&puts).await
}

/// Waits until each of the items shows so many fewer.
async fn show(connector: &dyn Connector, known: &Known, by: i64) {
    for item in &known.items {
        shows(connector, std::slice::from_ref(item), 1, item.shown + by).await;
    }
}

pub(super) async fn a_delta_is_done_whatever_is_shown(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    bench.front.asked();
    all_are(&change(&*connector, &known.items, 1, -2).await, is_done, bench.subject.name);
    assert_eq!(bench.count(bench.changes()), known.items.len(), "each alone");
    show(&*connector, &known, -2).await;
    // Also below zero, where more was sold than is known.
    let most = known.items.iter().map(|item| item.shown).max().expect("there are some");
    all_are(&change(&*connector, &known.items, 2, -most).await, is_done, bench.subject.name);
    show(&*connector, &known, -2 - most).await;
}

pub(super) async fn a_delta_whose_answer_is_lost_is_done_once_and_sent_once(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    for (nth, strike) in [(1, Strike::Lost), (2, Strike::Half)] {
        bench.front.asked();
        bench.front.strike(bench.changes(), 0, strike);
        let outcomes = change(&*connector, &known.items[..1], nth, -1).await;
        bench.front.pass();
        all_are(&outcomes, |outcome| matches!(outcome, Outcome::Unknown { .. }), bench.subject.name);
        assert_eq!(bench.count(bench.changes()), 1, "nobody but the daemon may send it again");
        shows(&*connector, &known.items[..1], 1, known.items[0].shown - i64::try_from(nth).expect("small"))
            .await;
    }
}

pub(super) async fn a_delta_without_a_whole_answer_is_unknown_and_those_after_it_are_not_sent(bench: Bench) {
    for (nth, broken) in (10..).zip(broken()) {
        let (connector, known) = bench.at_work().await;
        bench.front.asked();
        bench.front.strike(bench.changes(), 0, broken.strike);
        let outcomes = change(&*connector, &known.items, nth, -1).await;
        bench.front.pass();
        bench.is_discreet(&format!("{outcomes:?}"));
        let unknown = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Unknown { .. })).count();
        assert_eq!((unknown, bench.count(bench.changes())), (1, 1), "{}: {outcomes:?}", broken.name);
        let sent = |outcome: &&Outcome| !matches!(outcome, Outcome::NotSent { .. });
        assert_eq!(outcomes.iter().filter(sent).count(), 1, "{}: {outcomes:?}", broken.name);
    }
}

pub(super) async fn a_throttled_delta_was_not_done(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    bench.front.strike(bench.changes(), 0, says(429, &[("retry-after", "1")], "{}"));
    let outcomes = change(&*connector, &known.items[..1], 1, -1).await;
    bench.front.pass();
    all_are(&outcomes, |outcome| matches!(outcome, Outcome::Throttled { .. }), bench.subject.name);
    let (connector, known) = bench.at_work().await;
    all_are(&change(&*connector, &known.items[..1], 2, -1).await, is_done, "afterwards");
    shows(&*connector, &known.items[..1], 1, known.items[0].shown - 1).await;
}
