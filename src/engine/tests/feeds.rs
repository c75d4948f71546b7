//! How often an order feed is read, whatever asks for it.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use super::world::{Listed, start};
use crate::{
    core::State,
    engine::{feed::Feed, intake::Quarantine, wake::Wakes},
    web::tests::world::channel,
};

/// Lets many things ask for a read for 1.5 s, and returns the milliseconds between the reads that were made.
async fn gaps(orders_gap: Duration) -> Vec<u128> {
    let world = start(State::default(), 64).await;
    let list: Arc<Listed> = Arc::clone(&world.lists["us"]);
    *list.orders_gap.lock().expect("unpoisoned") = orders_gap;
    let wakes = Wakes::new([channel("us")]).channel(&channel("us")).expect("just named");
    let (tick, ticks) = mpsc::channel(1);
    let clock = world.handles.clock.clone();
    let feed = Feed {
        channel: channel("us"),
        connector: list.clone(),
        ledger: world.ledger.clone(),
        clock: clock.clone(),
        wakes: wakes.clone(),
        metrics: world.metrics.clone(),
        quarantine: Arc::new(Quarantine::new(world.dir.path().join("q"), world.ledger.clone(), clock)),
        ticks,
        lookback: Duration::ZERO,
        overlap: Duration::ZERO,
    };
    let task = tokio::spawn(feed.run(world.stop.clone()));
    for n in 0..75 {
        // A raise becomes due, and at times the schedule asks as well.
        wakes.feed.notify_one();
        if n % 10 == 0 {
            tick.try_send(()).unwrap_or(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    // The last one that asked is not forgotten.
    sleep(orders_gap + Duration::from_millis(800)).await;
    world.stop.cancel();
    task.await.expect("it ends");
    let reads = list.reads.lock().expect("unpoisoned").clone();
    reads.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect()
}

#[tokio::test]
async fn all_that_ask_share_one_read_for_each_gap_of_the_channel_and_none_is_forgotten() {
    let gaps = gaps(Duration::from_millis(600)).await;
    assert!(gaps.iter().all(|gap| *gap >= 600), "{gaps:?}");
    assert!((2..=4).contains(&gaps.len()), "{gaps:?}");
}

#[tokio::test]
async fn a_channel_that_needs_no_gap_is_read_as_often_as_something_asks() {
    let gaps = gaps(Duration::ZERO).await;
    assert!(gaps.len() >= 4, "{gaps:?}");
}
