//! How often an order feed is read, whatever asks for it.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use super::world::{Listed, World, start};
use crate::{
    core::{Command, State, index::Kind},
    engine::{
        feed::Feed,
        intake::Quarantine,
        wake::{ChannelWakes, Wakes},
    },
    model::OrderId,
    web::tests::world::{channel, opened, order},
};

/// The feed of `us`, which is not asked by anyone, and what ticks it.
fn feed_of(world: &World, list: &Arc<Listed>) -> (Feed, Arc<ChannelWakes>, mpsc::Sender<()>) {
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
    (feed, wakes, tick)
}

/// Lets many things ask for a read for 1.5 s, and returns the milliseconds between the reads that were made.
async fn gaps(orders_gap: Duration) -> Vec<u128> {
    let world = start(State::default(), 64).await;
    let list: Arc<Listed> = Arc::clone(&world.lists["us"]);
    *list.orders_gap.lock().expect("unpoisoned") = orders_gap;
    let (feed, wakes, tick) = feed_of(&world, &list);
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

#[tokio::test]
async fn single_orders_are_fetched_without_a_read_of_the_feed() {
    let world = start(opened(), 64).await;
    let list: Arc<Listed> = Arc::clone(&world.lists["us"]);
    let (feed, _, _tick) = feed_of(&world, &list);
    let task = tokio::spawn(feed.run(world.stop.clone()));
    let reads = || list.reads.lock().expect("unpoisoned").len();
    let until = async |what: &str, done: &dyn Fn() -> bool| {
        for _ in 0..1_000 {
            if done() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}");
    };
    until("the first read", &|| reads() == 1).await;
    for id in ["7001", "7002"] {
        list.single.lock().expect("unpoisoned").insert(id.to_owned(), Ok(order(id, "MUG", 1)));
        let orders = vec![OrderId::new(id).expect("an id")];
        let wanted = Command::Unread { channel: channel("us"), orders };
        world.ledger.submit(wanted).await.expect("taken");
        let asked = || list.asked.lock().expect("unpoisoned").iter().any(|asked| asked == id);
        until("it is fetched", &asked).await;
        for _ in 0..500 {
            let left = |state: &State| state.index.of(Kind::Fetch, &channel("us")).next().is_some();
            if !world.ledger.read(left).await.expect("it answers") {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!((reads(), list.asked.lock().expect("unpoisoned").len()), (1, 2));
    world.stop.cancel();
    task.await.expect("it ends");
}
