use super::*;
use crate::model::{IdKind, Instance, Seq, policy};

fn ids(pairs: &[(IdKind, &str)]) -> Identifiers {
    Identifiers::new(pairs.iter().copied()).expect("good ids")
}

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a good name")
}

fn row(sku: &str, on: &str, pairs: &[(IdKind, &str)]) -> MappingRow {
    MappingRow { sku: Sku::new(sku).expect("a good sku"), channel: channel(on), ids: ids(pairs) }
}

fn policies(table: Vec<MappingRow>) -> Policies {
    let retry = policy::Retry { base_ms: 1, cap_ms: 1, circuit_failures: 1, circuit_open_ms: 1 };
    let alerts =
        policy::AlertPolicy { after_tries: 1, after_ms: 1, repeat_ms: 0, webhook: false, oversold_units: 1 };
    Policies {
        instance: Instance::new("test").expect("a good name"),
        mode: policy::Mode::Live,
        locations: Vec::new(),
        channels: BTreeMap::new(),
        allocation: policy::Allocation::default(),
        overrides: Vec::new(),
        returns: policy::Returns::Restock,
        bundles: Vec::new(),
        mapping: policy::MappingRules { table, ..policy::MappingRules::default() },
        brake: policy::Brake { zero_percent: 0, move_percent: 0, min_skus: 0 },
        retry,
        alerts,
        drift: policy::DriftPolicy::default(),
        keep_orders_ms: None,
    }
}

/// Identifiers on the channel `amz` -> the SKU that the tables say.
#[track_caller]
fn check(state: &State, pairs: &[(IdKind, &str)], want: Option<&str>) {
    let got = state.index.mapped(state, &channel("amz"), &ids(pairs));
    assert_eq!(got.as_ref().map(Sku::as_str), want);
}

#[test]
fn the_newest_imported_row_that_fits_wins_then_the_first_configured_one() {
    use IdKind::{Asin, Sku as Code};
    let configured = policies(vec![
        row("C1", "amz", &[(Asin, "B1")]),
        row("C2", "amz", &[(Asin, "B1")]),
        row("C3", "amz", &[(Asin, "B2")]),
        row("C4", "other", &[(Asin, "B4")]),
    ]);
    let table = vec![
        row("I1", "amz", &[(Asin, "B2")]),
        row("I2", "amz", &[(Code, "x"), (Asin, "B2")]),
        row("I3", "amz", &[(Code, "y"), (Asin, "B3")]),
    ];
    let mut state = State { policies: Some(std::sync::Arc::new(configured)), table, ..State::default() };
    Index::rebuild(&mut state);
    check(&state, &[(Asin, "B1")], Some("C1"));
    check(&state, &[(Asin, "B2")], Some("I1"));
    check(&state, &[(Code, "x"), (Asin, "B2")], Some("I2"));
    check(&state, &[(Code, "z"), (Asin, "B2")], Some("I1"));
    check(&state, &[(Code, "y")], None); // the row names an ASIN too
    check(&state, &[(Asin, "B4")], None);
    check(&state, &[], None);
}

#[test]
fn old_deliveries_are_found_without_a_scan_and_forgotten_oldest_first() {
    let mut index = Index::default();
    let delivery = |n: i64| DeliveryId::new(&format!("d{n}")).expect("a good id");
    for n in [5, 1, 3] {
        index.add_delivery(Timestamp::from_millis(n), &channel("amz"), &delivery(n));
    }
    let before = Timestamp::from_millis(4);
    assert_eq!((index.old_deliveries(before, 1), index.old_deliveries(before, 9)), (1, 2));
    let gone: Vec<DeliveryId> = index.forget_deliveries(before).into_iter().map(|(_, id)| id).collect();
    assert_eq!(gone, [delivery(1), delivery(3)]);
    assert_eq!(index.old_deliveries(Timestamp::MAX, 9), 1);
}

#[test]
fn work_of_one_kind_and_channel_does_not_run_into_its_neighbours() {
    let mut index = Index::default();
    let order = |on: &str, id: &str| OrderKey {
        channel: channel(on),
        order: crate::model::OrderId::new(id).expect("a good id"),
    };
    let fetch = |on: &str, id: &str| Work::Fetch { channel: channel(on), order: order(on, id) };
    let unmapped = |on: &str, id: &str| Work::Unmapped { channel: channel(on), order: order(on, id) };
    let fencing = |seq: u64| {
        let listing = ListingRef { sku: Sku::new("A").expect("a good sku"), at: 0 };
        Work::Fencing { channel: channel("b"), seq: Seq(seq), listing }
    };
    let all =
        vec![fetch("a", "1"), fetch("b", "1"), fetch("b", "2"), unmapped("b", "1"), fencing(7), fencing(3)];
    index.replace_work(&[], all);
    let found = |kind: Kind, on: &str| index.of(kind, &channel(on)).cloned().collect::<Vec<_>>();
    assert_eq!(found(Kind::Fetch, "b"), [fetch("b", "1"), fetch("b", "2")]);
    assert_eq!(found(Kind::Fetch, "c"), []);
    assert_eq!(found(Kind::Fencing, "b"), [fencing(3), fencing(7)]);
    assert_eq!(index.all(Kind::Fetch).count(), 3);
    assert_eq!(index.all(Kind::Unmapped).cloned().collect::<Vec<_>>(), [unmapped("b", "1")]);
}

#[test]
fn a_listing_is_found_by_its_new_identifiers_and_not_by_its_old_ones() {
    let mut state = State { policies: Some(std::sync::Arc::new(policies(Vec::new()))), ..State::default() };
    let bind = |state: &mut State, pairs: &[(IdKind, &str)]| {
        let record = crate::core::Record::Bound {
            sku: Sku::new("A").expect("a good sku"),
            at: 0,
            channel: channel("amz"),
            ids: ids(pairs),
            by: crate::model::FulfilledBy::Merchant,
            unwritable: None,
        };
        crate::core::apply::one(state, Seq(1), Timestamp::ZERO, &record);
    };
    bind(&mut state, &[(IdKind::Sku, "a"), (IdKind::Asin, "B1")]);
    bind(&mut state, &[(IdKind::Sku, "a"), (IdKind::Asin, "B2")]);
    let found = |kind, value| state.index.listings(&state, &channel("amz"), kind, value).len();
    assert_eq!((found(IdKind::Asin, "B1"), found(IdKind::Asin, "B2"), found(IdKind::Sku, "a")), (0, 1, 1));
    let kept = state.index.clone();
    let mut anew = state.clone();
    Index::rebuild(&mut anew);
    assert_eq!(kept, anew.index);
}
