use proptest::prelude::*;

use super::*;
use crate::model::{IdKind, LineSnapshot, OrderId, OrderSnapshot, Returns, Seen};

fn q(units: i64) -> Quantity {
    Quantity::new(units)
}

fn all(units: [i64; 5]) -> Totals {
    totals(units.map(q))
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn wh(name: &str) -> LocationId {
    LocationId::new(name).expect("a good name")
}

/// An order that has something in every field.
fn full() -> Order {
    let sku = Sku::new("MUG").expect("a good sku");
    let told =
        |rest| (all([3, 1, 0, 2, 1]), rest, vec![(wh("store"), all([1, 0, 0, 1, 0]))], Some(wh("home")));
    let share = |location: &str, baseline, early| Share {
        sku: sku.clone(),
        location: wh(location),
        units: q(2),
        booked: all([2, 1, 0, 1, 1]),
        baseline,
        early,
        before: baseline.then(|| all([2, 1, 0, 1, 0])),
    };
    let item = |units| Item { sku: sku.clone(), location: wh("store"), totals: all(units) };
    let (totals, rest, places, unplaced_at) = told(Rest::WrittenOff);
    let pushed =
        Told { rank: Pushed { version: ms(5), received: Seq(7) }, totals, rest, places, unplaced_at };
    let (totals, rest, places, unplaced_at) = told(Rest::Released);
    let fetched = Told { rank: Fetched { begun: Seq(8), version: ms(6) }, totals, rest, places, unplaced_at };
    let earlier =
        Told { rank: Fetched { begun: Seq(3), version: ms(4) }, unplaced_at: None, ..fetched.clone() };
    let line = Line {
        ids: Identifiers::new([(IdKind::Sku, "mug"), (IdKind::Asin, "B0")]).expect("good ids"),
        by: FulfilledBy::Unknown,
        listed: Some(FulfilledBy::Merchant),
        location: Some(wh("home")),
        pushed: Some(pushed),
        fetched: Some(fetched),
        trail: [earlier].into_iter().collect(),
        ordered_most: q(4),
        bound: Some(Binding { sku: sku.clone(), location: wh("home"), baseline: true, early: false }),
        booked: all([3, 1, 0, 2, 1]),
        ignored: Some(Ignore::Line),
        shares: vec![share("home", false, true), share("store", true, false)],
        returns: Some(Returns::Ignore),
    };
    let posting = PostState {
        channel: ChannelId::new("erp").expect("a good name"),
        step: Step::Parked { reason: "no such item".to_owned() },
        sequence: 3,
        acked: vec![item([3, 0, 0, 2, 0])],
        sent: vec![item([3, 1, 0, 2, 1])],
        unanswered: Vec::new(),
        acked_at: Seq(11),
        tries: 2,
        since: ms(12),
        unsure: true,
        fault: None,
        shadow: true,
        by_hand: false,
    };
    Order {
        name: Some("#1001".to_owned()),
        placed_at: ms(1),
        whole_push: Some(Pushed { version: ms(5), received: Seq(7) }),
        whole_fetch: Some(Fetched { begun: Seq(8), version: ms(6) }),
        lines: [(LineId::new("l1").expect("a good id"), line)].into(),
        fetch_due: Some(Seq(13)),
        fetch_since: Some(Seq(12)),
        postings: vec![posting],
        first: Some(First { seq: Seq(7), opened: true, shadow: true, still: None }),
        left: None,
    }
}

#[test]
fn an_order_comes_out_of_its_tombstone_as_it_went_in() {
    for order in [full(), Order::default()] {
        assert_eq!(Tombstone::of(&order).order(), order);
    }
}

#[test]
fn a_tombstone_is_stored_as_bytes_and_nothing_else_is_taken_for_one() {
    let tombstone = Tombstone::of(&full());
    let stored = rmp_serde::to_vec_named(&tombstone).expect("encodes");
    assert!(stored.len() <= tombstone.len() + 5, "{} of {}", stored.len(), tombstone.len());
    assert_eq!(rmp_serde::from_slice::<Tombstone>(&stored).expect("decodes"), tombstone);
    for cut in 0..tombstone.len() {
        let part = Tombstone(tombstone.0[..cut].into());
        let stored = rmp_serde::to_vec_named(&part).expect("encodes");
        assert!(rmp_serde::from_slice::<Tombstone>(&stored).is_err(), "{cut} bytes");
    }
}

#[test]
fn a_usual_order_takes_few_bytes() {
    let mut order = Order::default();
    let line = |n: usize| LineSnapshot {
        line: LineId::new(&format!("1586628331{n:04}")).expect("a good id"),
        ids: Identifiers::new([
            (IdKind::Sku, "TSHIRT-BL-M"),
            (IdKind::Variant, "44912837402"),
            (IdKind::InventoryItem, "46923873402"),
        ])
        .expect("good ids"),
        location: Some(wh("warehouse")),
        unplaced_at: None,
        places: Vec::new(),
        by: FulfilledBy::Merchant,
        totals: all([1, 0, 0, 1, 0]),
        rest: Rest::Open,
    };
    let snapshot = OrderSnapshot {
        order: OrderId::new("5678901234567").expect("a good id"),
        name: Some("#1001".to_owned()),
        version: ms(1_780_000_000_000),
        placed_at: ms(1_779_000_000_000),
        complete: true,
        lines: vec![line(0)],
    };
    order.merge(&snapshot, Seen::Pushed, Seq(1_000_000));
    order.merge(&snapshot, Seen::Fetched { begun: Seq(1_000_001) }, Seq(1_000_001));
    let bytes = Tombstone::of(&order).len();
    assert!(bytes < 250, "{bytes} bytes");
}

proptest! {
    #[test]
    fn whatever_was_told_of_an_order_comes_out_as_it_went_in(
        told in prop::collection::vec(
            (0..4_i64, prop::array::uniform5(0..4_i64), 0..3_usize, any::<bool>(), any::<bool>(), 0..2_usize), 0..6,
        ),
    ) {
        let mut order = Order::default();
        for (at, (version, units, line, complete, pushed, rest)) in (1..).zip(told) {
            let seen = if pushed { Seen::Pushed } else { Seen::Fetched { begun: Seq(at) } };
            let line = LineSnapshot {
                line: LineId::new(&format!("l{line}")).expect("a good id"),
                ids: Identifiers::default(),
                location: None,
                unplaced_at: Some(wh("home")),
                places: vec![(wh("store"), Totals { written_off: q(0), ..all(units) })],
                by: FulfilledBy::Merchant,
                totals: all(units),
                rest: [Rest::Open, Rest::Released][rest],
            };
            let id = OrderId::new("o").expect("a good id");
            let (version, placed_at) = (ms(version), ms(-version));
            let snapshot = OrderSnapshot { order: id, name: None, version, placed_at, complete, lines: vec![line] };
            order.merge(&snapshot, seen, Seq(at));
            prop_assert_eq!(&Tombstone::of(&order).order(), &order);
        }
    }
}
