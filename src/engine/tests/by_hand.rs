//! Counts by people of large catalogues, through the desk: in parts, whole shelves, asked for twice.

use std::collections::BTreeSet;

use crate::{
    core::{
        Record, Refused, State,
        command::{ByHand, HandLine, Tally},
    },
    engine::parts::LINES,
    model::{Counter, DeliveryId, IdKind, LocationId, Measure, Quantity, Timestamp, policy::Brake},
    web::{
        Counting, Desk, Failure,
        tests::world::{OPENED, channel, item, policies, sku},
    },
};

use super::world::{World, start};

/// Several parts, the last of them not full.
const SKUS: usize = 5_100;

fn code(n: usize) -> String {
    format!("SKU-{n:06}")
}

fn warehouse() -> LocationId {
    LocationId::new("warehouse").expect("a name")
}

fn line(n: usize, units: i64) -> HandLine {
    let as_of = Timestamp::from_millis(OPENED + 1);
    let (location, quantity) = (warehouse(), Quantity::new(units));
    HandLine { sku: sku(&code(n)), location, quantity, as_of, note: String::new(), line: None }
}

fn counting(lines: Vec<HandLine>, full: bool, believed: bool) -> Counting {
    let full: BTreeSet<_> = full.then(warehouse).into_iter().collect();
    let count = ByHand { by: Counter::Person, measure: Measure::OnHand, lines, opening: false, believed };
    let as_of = Timestamp::from_millis(OPENED + 1);
    Counting { request: None, count, full, as_of, skip_unknown: false }
}

/// A shop of which an ERP names the SKUs and nobody but people counts, with ten units of each.
async fn opened() -> World {
    let world = start(State::default(), 64).await;
    let mut policies = policies();
    let erp = policies.channels.get_mut(&channel("erp")).expect("configured");
    erp.abilities.counts = None;
    policies.brake = Brake { zero_percent: 20, move_percent: 50, min_skus: 2 };
    let configure = crate::core::Command::Configure(Box::new(policies));
    world.ledger.submit(configure).await.expect("configured");
    for name in ["erp", "main"] {
        let of = |n: usize| item(&[(IdKind::Sku, code(n).as_str())], (name == "main").then_some(10));
        let all: Vec<_> = (0..SKUS).map(of).collect();
        *world.lists[name].pages.lock().expect("unpoisoned") = all.chunks(500).map(<[_]>::to_vec).collect();
    }
    let lines: Vec<_> = (0..SKUS).map(|n| line(n, 10)).collect();
    let asked = counting(lines, false, false);
    let asked = Counting { count: ByHand { opening: true, ..asked.count.clone() }, ..asked };
    let strange = HandLine { line: Some(7), ..line(SKUS, 1) };
    let with = |skip_unknown| {
        let mut count = asked.count.clone();
        count.lines.push(strange.clone());
        Counting { count, skip_unknown, ..asked.clone() }
    };
    let told = world.handles.preview_counted(with(false)).await;
    assert!(
        matches!(&told, Err(Failure::Refused(Refused::Unknown(why))) if why.starts_with("line 7: ")),
        "{told:?}"
    );
    let told = world.handles.initialise_counted(with(false)).await;
    assert!(matches!(told, Err(Failure::Refused(Refused::Unknown(_)))), "{told:?}");
    assert_eq!(world.handles.preview_counted(with(true)).await.expect("told").unknown, 1);
    let preview = world.handles.preview_counted(asked.clone()).await.expect("told");
    assert_eq!((preview.skus, preview.units.units(), preview.unknown), (SKUS, 51_000, 0));
    let done = world.handles.initialise_counted(asked.clone()).await.expect("opened");
    assert_eq!((done.skus, done.units.units()), (SKUS, 51_000));
    assert!(matches!(world.handles.initialise_counted(asked).await, Err(Failure::Conflict { .. })));
    world
}

async fn count(world: &World, asked: Counting) -> Tally {
    world.handles.count(asked).await.expect("counted").expect("for the first time")
}

async fn units(world: &World) -> i64 {
    world
        .read(|state| {
            let places = state.skus.values().flat_map(|row| &row.stock);
            places.map(|place| place.stock.on_hand.units()).sum()
        })
        .await
}

/// Returns how many records of counts there are, none of which has too many lines.
fn parts(world: &World) -> usize {
    let envelopes = world.store.records().expect("readable");
    let size = |record: &Record| {
        let Record::CountedByHand { places, .. } = record else { return None };
        Some(places.len())
    };
    let counts = envelopes.iter().flat_map(|envelope| &envelope.records).filter_map(size);
    let sizes: Vec<usize> = counts.collect();
    assert!(sizes.iter().all(|size| *size <= LINES), "{sizes:?}");
    sizes.len()
}

#[tokio::test]
async fn a_large_count_is_judged_as_a_whole_and_taken_over_in_parts_once() {
    let world = opened().await;
    let before = parts(&world);
    let lines: Vec<_> = (0..SKUS).map(|n| line(n, if n % 2 == 0 { 0 } else { 11 })).collect();
    let preview = world.handles.try_count(counting(lines.clone(), false, false)).await.expect("told");
    assert!(preview.brake.is_some() && preview.held.is_none());
    assert_eq!((preview.changed, preview.zeroed, preview.up), (SKUS, SKUS / 2, SKUS / 2));
    assert_eq!(units(&world).await, 51_000, "a preview changes nothing");
    let held = count(&world, counting(lines.clone(), false, false)).await;
    assert!(held.held.is_some());
    assert_eq!((units(&world).await, parts(&world)), (51_000, before));
    let request = Some(DeliveryId::new("r1").expect("an id"));
    let asked = Counting { request, ..counting(lines, false, true) };
    let done = count(&world, asked.clone()).await;
    assert_eq!((done.changed, done.down_units.units()), (SKUS, -25_500));
    let units_now = units(&world).await;
    assert_eq!((units_now, parts(&world)), (28_050, before + 3));
    assert_eq!(world.handles.count(asked).await.expect("answered"), None, "it was done before");
    assert_eq!((units(&world).await, parts(&world)), (units_now, before + 3));
}

#[tokio::test]
async fn what_a_full_count_does_not_name_is_not_there() {
    let world = opened().await;
    let lines: Vec<_> = (0..SKUS - 3).map(|n| line(n, 10)).collect();
    let done = count(&world, counting(lines.clone(), true, false)).await;
    assert_eq!((done.changed, done.zeroed, done.unchanged), (3, 3, SKUS - 3));
    assert_eq!(units(&world).await, 51_000 - 30);
    let mistyped = vec![HandLine { sku: sku("SKU-O"), ..line(0, 10) }];
    let refused = world.handles.count(counting([lines, mistyped].concat(), true, true)).await;
    assert!(
        matches!(&refused, Err(Failure::Refused(why)) if why.to_string().contains("`SKU-O`")),
        "{refused:?}"
    );
    let held = count(&world, counting(vec![line(0, 10)], true, false)).await;
    assert!(held.held.is_some(), "{:?}", held.brake);
    assert_eq!(units(&world).await, 51_000 - 30);
}

#[tokio::test]
async fn a_file_with_a_sku_that_is_not_known_is_taken_over_as_a_whole_or_not_at_all() {
    let world = opened().await;
    for many in [1, SKUS] {
        let at = world.store.records().expect("readable").len();
        let strange = |n: u64| HandLine { line: Some(n), sku: sku("SKU-O"), ..line(0, 3) };
        let bad = HandLine { line: Some(9), quantity: Quantity::new(-1), ..line(1, 3) };
        let mut lines: Vec<_> = (2..2 + many).filter(|n| *n < SKUS).map(|n| line(n, 12)).collect();
        lines.push(strange(4));
        let mut both = lines.clone();
        both.push(bad);
        let asked = counting(lines, false, true);
        let refused = [
            world.handles.count(asked.clone()).await.map(drop),
            world.handles.try_count(asked.clone()).await.map(drop),
        ];
        for told in refused {
            let known = "line 4: there is no SKU `SKU-O`";
            assert!(
                matches!(&told, Err(Failure::Refused(Refused::Unknown(why))) if why == known),
                "{told:?}"
            );
        }
        // Everything that is wrong is told at once.
        let told = world.handles.count(counting(both, false, true)).await;
        let all = |why: &str| why.contains("line 4: there is no SKU") && why.contains("line 9: ");
        assert!(matches!(&told, Err(Failure::Refused(Refused::Wrong(why))) if all(why)), "{told:?}");
        assert_eq!(world.store.records().expect("readable").len(), at, "nothing was recorded");
        let done = count(&world, Counting { skip_unknown: true, ..asked }).await;
        assert_eq!(done.left_out.len(), 1, "{done:?}");
        assert!(done.changed > 0);
    }
}
