//! What is done now and then, and at the start too.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::world::start;
use crate::{
    config::Retention,
    engine::upkeep::{Checkpoints, expire},
    web::tests::world::{channel, opened},
};

fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3_600)
}

/// Says that only bodies are removed, after so long.
fn bodies(quarantine: Duration) -> Retention {
    Retention { archive: None, quarantine, orders: None }
}

/// Makes a file look as if it was written `age` ago.
fn age(path: &Path, age: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a file's time is by the wall clock")]
    let at = std::time::SystemTime::now() - age;
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("a file");
    file.set_modified(at).expect("set");
}

/// Waits until `done` says so.
async fn until(done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it is done at once");
}

#[tokio::test]
async fn a_checkpoint_is_due_by_the_age_of_the_newest_one_whenever_the_daemon_was_started() {
    for (newest, again, due) in [
        (Some(hours(7)), 1, true),
        (Some(hours(5)), 0, false),
        (None, 1, false),
        (None, 0, true), // the first of all is not put off for as long as the others
    ] {
        let world = start(opened(), 64).await;
        let dir = tempfile::tempdir().expect("a directory");
        if let Some(newest) = newest {
            let checkpoints = dir.path().join("checkpoints");
            std::fs::create_dir(&checkpoints).expect("made");
            age(&checkpoints.join(format!("checkpoint-{:020}", 6)), newest + hours(20));
            age(&checkpoints.join(format!("checkpoint-{:020}", 7)), newest);
        }
        let checkpoints = Checkpoints {
            ledger: world.ledger.clone(),
            store: dir.path().to_owned(),
            every: hours(6),
            again: hours(again),
            archive: std::path::PathBuf::from("unused"),
            keep: watch::channel(bodies(hours(1))).1,
        };
        tokio::spawn(checkpoints.run(world.stop.clone()));
        if due {
            until(|| world.store.checkpointed().is_some()).await;
        } else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(world.store.checkpointed().is_none(), "{newest:?}");
        }
    }
}

#[tokio::test]
async fn bodies_whose_time_is_over_are_removed_at_the_start() {
    let world = start(opened(), 64).await;
    let quarantine = &world.handles.opening.quarantine;
    for body in ["old", "new"] {
        quarantine.keep(&channel("main"), "orders", None, "nonsense", body.as_bytes()).await.expect("kept");
    }
    let held =
        world.read(|state| state.quarantine.values().map(|q| q.sha256.clone()).collect::<Vec<_>>()).await;
    let file = |nth: usize| world.dir.path().join("quarantine").join(&held[nth]);
    age(&file(0), hours(30));
    let (keep, kept) = watch::channel(bodies(hours(24)));
    tokio::spawn(expire(Arc::clone(quarantine), kept, hours(6), CancellationToken::new()));
    until(|| !file(0).exists()).await;
    assert!(file(1).exists());
    // A changed configuration counts at once.
    age(&file(1), hours(2));
    keep.send(bodies(hours(1))).expect("it listens");
    until(|| !file(1).exists()).await;
}
