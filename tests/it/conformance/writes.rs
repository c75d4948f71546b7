//! What is known of a write, whatever the system answers.

use axum::body::Bytes;
use evenkeel::connectors::{Outcome, Scope};

use super::{
    bench::{Bench, Item, all_are, is_done, shows, write},
    front::Strike,
    reads::{Broken, SLOW, broken, says},
};

fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown { .. })
}

/// How many requests that change something one write takes.
async fn requests(bench: &Bench, nth: usize) -> usize {
    let (connector, known) = bench.at_work().await;
    bench.front.asked();
    all_are(&write(&*connector, &known.items, nth, 9).await, is_done, "a write");
    bench.count(bench.changes())
}

pub(super) async fn a_write_without_a_whole_answer_is_unknown_and_can_go_again(bench: Bench) {
    let steps = requests(&bench, 1).await;
    // Each put of a batch may be a request of its own: then all from some point on are struck.
    let steps = if bench.connector().abilities().posts { steps } else { 1 };
    let mut nth = 10;
    for Broken { name, strike, .. } in broken() {
        for skip in 0..steps {
            nth += 1;
            let units = i64::try_from(nth).expect("small");
            let (connector, known) = bench.at_work().await;
            bench.front.strike(bench.changes(), skip, strike.clone());
            let outcomes = write(&*connector, &known.items, nth, units).await;
            bench.front.pass();
            all_are(&outcomes, is_unknown, &format!("{name}, after {skip} requests"));
            bench.is_discreet(&format!("{outcomes:?}"));
            all_are(&write(&*connector, &known.items, nth, units).await, is_done, &format!("{name}, again"));
            shows(&*connector, &known.items, nth, units).await;
        }
    }
}

pub(super) async fn a_write_whose_answer_takes_too_long_is_unknown(bench: Bench) {
    for (nth, (name, strike)) in (10..).zip(SLOW) {
        let (connector, known) = bench.hasty().await;
        bench.front.strike(bench.changes(), 0, strike);
        let outcomes = write(&*connector, &known.items, nth, 5).await;
        bench.front.pass();
        all_are(&outcomes, is_unknown, name);
    }
}

pub(super) async fn a_write_whose_answer_is_lost_has_landed_once(bench: Bench) {
    let steps = requests(&bench, 1).await;
    let steps = if bench.connector().abilities().posts { steps } else { 1 };
    for skip in 0..steps {
        for (strike, nth) in [(Strike::Lost, 100 + skip), (Strike::Half, 200 + skip)] {
            let units = i64::try_from(nth).expect("small");
            let (connector, known) = bench.at_work().await;
            bench.front.strike(bench.changes(), skip, strike);
            let outcomes = write(&*connector, &known.items, nth, units).await;
            bench.front.pass();
            all_are(&outcomes, is_unknown, "lost");
            if connector.abilities().quantities {
                shows(&*connector, &known.items, nth, units).await;
            }
            // The same write may go again: it is known by its key, or by what is there.
            all_are(&write(&*connector, &known.items, nth, units).await, is_done, "again");
            shows(&*connector, &known.items, nth, units).await;
        }
    }
}

pub(super) async fn a_throttled_write_says_until_when(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    bench.front.strike(bench.changes(), 0, says(429, &[("retry-after", "7")], "{}"));
    let outcomes = write(&*connector, &known.items, 1, 5).await;
    // The rest of it where others wait already, or a little more, so that not all come back at once.
    let until = |outcome: &Outcome| matches!(outcome, Outcome::Throttled { retry_after_ms: 1..=10_000 });
    all_are(&outcomes, until, bench.subject.name);
    bench.front.pass();
    let (connector, known) = bench.at_work().await;
    all_are(&write(&*connector, &known.items, 1, 5).await, is_done, "afterwards");
}

pub(super) async fn a_write_that_is_refused_for_its_credentials_stops_the_lane(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    let (status, body) = bench.subject.refusal;
    bench.front.strike(
        bench.changes(),
        0,
        Strike::Says(status, Vec::new(), Bytes::from_static(body.as_bytes())),
    );
    let outcomes = write(&*connector, &known.items, 1, 5).await;
    all_are(&outcomes, |outcome| matches!(outcome, Outcome::Unauthorized { .. }), bench.subject.name);
    bench.is_discreet(&format!("{outcomes:?}"));
    bench.front.pass();
    all_are(&write(&*connector, &known.items, 1, 5).await, is_done, "afterwards");
}

pub(super) async fn a_batch_with_a_bad_entry_names_that_one(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    let mut items = known.items.clone();
    assert!(items.len() > 3, "{items:?}");
    items[2] = Item { ids: (bench.subject.unknown)(), shown: items[2].shown };
    let outcomes = write(&*connector, &items, 1, 6).await;
    if !connector.abilities().quantities {
        // One order is one document: nothing of it is made.
        all_are(&outcomes, |outcome| matches!(outcome, Outcome::Rejected { .. }), "an order");
        return shows(&*connector, &known.items, 1, 0).await;
    }
    for (nth, outcome) in outcomes.iter().enumerate() {
        let right = if nth == 2 { matches!(outcome, Outcome::Rejected { .. }) } else { is_done(outcome) };
        assert!(right, "{nth}: {outcomes:?}");
    }
    let good: Vec<Item> =
        items.into_iter().enumerate().filter(|(nth, _)| *nth != 2).map(|(_, i)| i).collect();
    shows(&*connector, &good, 1, 6).await;
    shows(&*connector, &known.items[2..3], 1, known.items[2].shown).await;
}

pub(super) async fn a_refused_compare_is_stale(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    let mut items = known.items.clone();
    items[1].shown += 1;
    let outcomes = write(&*connector, &items, 1, 6).await;
    for (nth, outcome) in outcomes.iter().enumerate() {
        let right = if nth == 1 { *outcome == Outcome::Stale } else { is_done(outcome) };
        assert!(right, "{nth}: {outcomes:?}");
    }
    shows(&*connector, &known.items[1..2], 1, known.items[1].shown).await;
}

pub(super) async fn the_same_write_twice_is_one(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    let before = bench.counted(&*connector).await;
    for _ in 0..2 {
        all_are(&write(&*connector, &known.items, 1, 6).await, is_done, bench.subject.name);
        shows(&*connector, &known.items, 1, 6).await;
    }
    if let (Some(before), Some(after)) = (before, bench.counted(&*connector).await) {
        let want: Vec<i64> = before.iter().map(|units| units - 6).collect();
        assert_eq!(after, want, "what was posted twice is promised once");
    }
}

impl Bench {
    /// Returns what is counted, where it is the ERP's part.
    async fn counted(&self, connector: &dyn evenkeel::connectors::Connector) -> Option<Vec<i64>> {
        connector.abilities().counts?;
        let page = connector.counts(&Scope::All, None).await.expect("it can be counted");
        Some(page.lines.iter().map(|line| line.quantity.units()).collect())
    }
}
