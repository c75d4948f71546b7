//! What one sale costs the core, with more and more SKUs in the state.

use std::time::Duration;

use evenkeel::{
    clock::{Clock, SystemClock},
    core::{Command, State, decide},
    model::{
        DeliveryId, FulfilledBy, IdKind, Identifiers, LineId, LineSnapshot, OrderId, OrderSnapshot, Quantity,
        Rest, Timestamp, Totals,
    },
};
use tokio::time::Instant;

use crate::{
    Size,
    catalogue::{channel, code, fill, policies, variant},
    machine,
    report::{Report, Times, short},
    settings,
};

pub(crate) fn run(size: Size, report: &mut Report) {
    let sizes = size.of(&[1_000, 10_000, 100_000, 1_000_000][..], &[1_000, 10_000][..]);
    let events = size.of(50_000, 5_000);
    let dir = machine::fresh_dir();
    settings::write(dir.path(), dir.path(), "127.0.0.1:0", &settings::nowhere(), settings::MARKET);
    let policies = policies(dir.path());
    let mut smallest = None;
    for skus in sizes {
        let mut state = State::default();
        fill(&mut state, policies.clone(), *skus, drop);
        let (mean, times) = sales(&mut state, *skus, events);
        let smallest = *smallest.get_or_insert(mean);
        let growth = mean.as_secs_f64() / smallest.as_secs_f64();
        let figure = format!("{} ({times})", short(mean));
        let yardstick = format!("{} with {}: {growth:.2} times", short(smallest), sizes[0]);
        let what = format!("decide and apply a sale, {skus} SKUs");
        report.add(&what, &figure, &yardstick, "flat: below 2 times", Some(growth < 2.0));
    }
}

/// Has sales of random SKUs decided, each of another order. Returns the mean time and all of them.
fn sales(state: &mut State, skus: usize, events: usize) -> (Duration, Times) {
    let now = SystemClock.now();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut commands: Vec<Command> = Vec::with_capacity(events);
    for n in 0..events {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let sku = usize::try_from(random >> 33).expect("31 bits") % skus;
        commands.push(sale(n, sku, now));
    }
    let mut times = Times::new();
    let mut sum = Duration::ZERO;
    for (n, command) in commands.into_iter().enumerate() {
        let begun = Instant::now();
        let (envelope, reply) = decide(state, command, now);
        let took = begun.elapsed();
        assert!(envelope.is_some() && reply.is_ok(), "every sale is news");
        times.record(took);
        sum += took;
        if n % 256 == 0 {
            drop(state.take_dirty());
        }
    }
    (sum / u32::try_from(events).expect("few"), times)
}

fn sale(n: usize, sku: usize, now: Timestamp) -> Command {
    let (code, variant) = (code(sku), variant(sku).to_string());
    let ids = Identifiers::new([(IdKind::Sku, code.as_str()), (IdKind::Variant, variant.as_str())]);
    let line = LineSnapshot {
        line: LineId::new(&n.to_string()).expect("an id"),
        ids: ids.expect("good identifiers"),
        location: None,
        unplaced_at: None,
        places: Vec::new(),
        by: FulfilledBy::Merchant,
        totals: Totals { ordered: Quantity::new(1), ..Totals::default() },
        rest: Rest::Open,
    };
    let order = OrderSnapshot {
        order: OrderId::new(&format!("5600000{n:07}")).expect("an id"),
        name: Some(format!("#{n}")),
        version: now,
        placed_at: now,
        complete: true,
        lines: vec![line],
    };
    Command::Push {
        channel: channel("shop"),
        delivery: DeliveryId::new(&format!("{n:032x}")).expect("an id"),
        orders: vec![order],
        fetch: Vec::new(),
        look: Vec::new(),
    }
}
