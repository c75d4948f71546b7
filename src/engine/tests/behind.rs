//! The rows that are written behind.

use std::time::Duration;

use crate::{
    core::{Command, State, state::Quarantined},
    engine::tests::world::start,
    model::Timestamp,
    web::tests::world::channel,
};

fn unreadable(n: usize) -> Command {
    Command::Quarantine(Quarantined {
        channel: channel("main"),
        topic: "orders/create".to_owned(),
        id: Some(n.to_string()),
        why: "it is no JSON".to_owned(),
        sha256: n.to_string(),
        at: Timestamp::ZERO,
    })
}

#[tokio::test]
async fn rows_of_a_burst_are_all_written_soon_after_it() {
    let world = start(State::default(), 64).await;
    for n in 0..1_200 {
        world.ledger.submit(unreadable(n)).await.expect("recorded");
    }
    let written = || world.store.materialised().expect("rows that can be read").quarantine.len();
    assert!(written() >= 512, "enough had gathered in between, {} are written", written());
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Anybody who asks gives the last of them their turn; in a daemon somebody does twice a second.
    world.read(|_| ()).await;
    for _ in 0..500 {
        if written() == 1_200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} rows are written", written());
}
