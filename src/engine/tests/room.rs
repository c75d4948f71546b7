//! A full disk: nothing is acknowledged that is not recorded, and all goes on when there is room.

use super::world::start;
use crate::{
    config::{RoomLimits, StopAt},
    core::{Command, Reply, State, index::Kind},
    engine::{ledger::Error, room::Measured, rows},
    model::{DeliveryId, Seq, Timestamp},
    web::tests::world::{OPENED, busy, channel, opened, order, policies},
};

fn push(n: u64) -> Command {
    let delivery = DeliveryId::new(&format!("d-{n}")).expect("good");
    let orders = vec![order(&n.to_string(), "MUG", 1)];
    Command::Push { channel: channel("main"), delivery, orders, fetch: vec![], look: vec![] }
}

fn all(state: &State) -> Vec<rows::Change> {
    let mut rows = rows::all(state).expect("encodes");
    rows.sort();
    rows
}

#[tokio::test]
async fn while_the_disk_is_full_nothing_is_acknowledged_and_with_room_all_goes_on() {
    let world = start(State::default(), 64).await;
    let configure = Command::Configure(Box::new(policies()));
    world.ledger.submit(configure).await.expect("there is room");
    world.ledger.submit(push(1)).await.expect("there is room");
    let (durable, seq, head) = (world.store.len(), world.ledger.seq(), world.ledger.head());
    world.store.fill(true);
    // The first may still be recorded, the others were not even looked at.
    assert!(matches!(world.ledger.submit(push(2)).await, Err(Error::NoRoom)));
    for n in 3..5 {
        assert!(matches!(world.ledger.submit(push(n)).await, Err(Error::Closed)), "push {n}");
    }
    let take = Command::Take { channel: channel("main"), limit: 5, apart: 0 };
    assert!(matches!(world.ledger.submit(take).await, Err(Error::Closed)), "nothing leaves either");
    assert!(matches!(world.ledger.checkpoint().await, Ok(Err(_))), "no checkpoint of what is not durable");
    assert_eq!(world.ledger.room().standing().name(), "full");
    assert!(world.ledger.room().standing().refuses().is_some_and(|why| why.contains("no space left")));
    world.ledger.read(|_| ()).await.expect("it lives");
    assert_eq!((world.store.len(), world.ledger.seq(), world.ledger.head()), (durable, seq, head));

    world.store.fill(false);
    let again = async {
        while world.ledger.submit(push(2)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("it goes on by itself");
    world.ledger.submit(push(3)).await.expect("there is room");
    assert_eq!(world.ledger.room().standing().name(), "enough");
    world.ledger.checkpoint().await.expect("it runs").expect("it is written");
    let live = world.ledger.read(State::clone).await.expect("it answers");
    let journal = world.store.restart().expect("it reads");
    assert!(all(&live) == all(&journal), "the state is what the journal adds up to");
    assert_eq!(world.ledger.head(), crate::engine::ledger::Durable::head(&world.store));
}

/// Who took the work was told that there is no room, so nobody sends it.
#[tokio::test]
async fn what_was_taken_while_there_was_no_room_is_in_flight_for_nobody_and_is_looked_at() {
    let world = start(opened(), 64).await;
    for name in ["main", "us"] {
        let (begun, at) = (world.ledger.seq(), Timestamp::from_millis(OPENED));
        let fed = Command::Fed { channel: channel(name), begun, begun_at: at, through: at };
        world.ledger.submit(fed).await.expect("there is room");
    }
    let sold = Command::Orders { channel: channel("us"), begun: Seq(1), orders: vec![order("1", "MUG", 1)] };
    world.ledger.submit(sold).await.expect("there is room");
    let in_flight = || world.ledger.read(|state| state.index.all(Kind::InFlight).count());
    let take = || Command::Take { channel: channel("main"), limit: 5, apart: 0 };
    world.store.fill(true);
    assert!(matches!(world.ledger.submit(take()).await, Err(Error::NoRoom)));
    assert!(in_flight().await.expect("it answers") > 0, "there was work");
    world.store.fill(false);
    let paid = async {
        while world.ledger.submit(Command::Tick).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), paid).await.expect("it goes on by itself");
    assert_eq!(in_flight().await.expect("it answers"), 0);
    let Reply::Work { looks, .. } = world.ledger.submit(take()).await.expect("there is room") else {
        panic!("work is answered with work")
    };
    assert!(!looks.is_empty(), "it is looked at before it is written");
}

#[tokio::test]
async fn with_too_little_room_nothing_is_taken_in_and_what_is_under_way_goes_on() {
    let world = start(busy(), 64).await;
    let limits = RoomLimits { alarm_percent: 20, stop: StopAt::Bytes(100) };
    world.ledger.room().measured(Measured { free: 99, total: 1_000 }, limits);
    assert!(matches!(world.ledger.submit(push(1)).await, Err(Error::Closed)));
    let through = Command::FedThrough { channel: channel("main"), through: crate::model::Timestamp::ZERO };
    assert!(matches!(world.ledger.submit(through).await, Err(Error::Closed)), "no watermark moves");
    let take = Command::Take { channel: channel("main"), limit: 5, apart: 0 };
    world.ledger.submit(take).await.expect("writes go on");
    world.ledger.submit(Command::Tick).await.expect("alerts go on");
    world.ledger.room().measured(Measured { free: 100, total: 1_000 }, limits);
    world.ledger.submit(push(1)).await.expect("there is room");
}
