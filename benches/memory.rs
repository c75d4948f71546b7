//! What a daemon with a large catalogue holds in memory, and how soon it is ready again.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Size,
    daemon::{Home, Live},
    machine::{memory, mib},
    report::{Report, short},
    settings::{self, Channels},
};

pub(crate) fn run(size: Size, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(measure(size, report));
}

async fn measure(size: Size, report: &mut Report) {
    let skus = size.of(100_000, 2_000);
    let (empty, empty_ready) = empty().await;
    let beside = format!("an empty store: {}", mib(empty));

    let (channels, outlet) = (Channels::start("bench", skus).await, Channels::start("outlet", skus).await);
    let home = Home::new(&channels.systems(Some(&outlet)).await, settings::OUTLET);
    let live = home.start().await;
    home.init().await;
    live.settled().await;
    let seen = live.figure("evenkeel_read_backs_total{", |line| line.contains("wanted")).await;
    assert!(
        seen >= (2 * skus) as f64,
        "each SKU has two listings that are shown to buyers, {seen} were seen"
    );
    let loading = memory(live.id(), "VmHWM");
    let what = format!("{skus} SKUs, resident at most while loading");
    report.add(&what, &mib(loading), &beside, "< 400 MB", Some(loading < 400_000_000));
    report.add("the same, when it is done", &mib(memory(live.id(), "VmRSS")), &beside, "", None);
    live.stop().await;

    let live = home.start().await;
    let clean = live.ready;
    resident("restarted", &live, &beside, report).await;
    live.stop().await;
    let beside = format!("an empty store: {}", short(empty_ready));
    report.add(
        "restart after a clean end",
        &short(clean),
        &beside,
        "< 2 s",
        Some(clean < Duration::from_secs(2)),
    );

    for part in ["state", "checkpoints"] {
        let path = home.store().join(part);
        if path.exists() {
            std::fs::remove_dir_all(path).expect("removed");
        }
    }
    let live = home.start().await;
    let rebuilt = live.ready;
    let good = rebuilt < Duration::from_secs(20);
    report.add("restart, rebuilt from the journal", &short(rebuilt), &beside, "< 20 s", Some(good));
    let most = mib(memory(live.id(), "VmHWM"));
    report.add("the same, resident at most", &most, "", "", None);
    live.stop().await;
}

/// Returns what a daemon holds that has nothing, and how soon it is ready.
async fn empty() -> (u64, Duration) {
    let systems: Value = settings::nowhere();
    let home = Home::new(&systems, settings::OUTLET);
    let live = home.start().await;
    sleep(Duration::from_secs(2)).await;
    let resident = memory(live.id(), "VmRSS");
    let ready = live.ready;
    live.stop().await;
    (resident, ready)
}

/// Tells what a daemon holds that has been started anew: when it is ready, and when its channels have been read.
async fn resident(what: &str, live: &Live, beside: &str, report: &mut Report) {
    let ready = memory(live.id(), "VmRSS");
    report.add(&format!("{what}, resident"), &mib(ready), beside, "< 150 MB", Some(ready < 150_000_000));
    let peak = memory(live.id(), "VmHWM");
    report.add(&format!("{what}, resident at most until ready"), &mib(peak), beside, "", None);
    sleep(Duration::from_secs(20)).await;
    let later = memory(live.id(), "VmRSS");
    report.add(&format!("{what}, resident 20 s later"), &mib(later), beside, "", None);
}
