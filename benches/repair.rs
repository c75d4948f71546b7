//! How much of the rate that a marketplace allows is used when all of its listings are to be lowered, and what a write takes of
//! the processor.
//!
//! Amazon allows five patches a second, so fifty thousand take three hours. All its rates are a hundred times as high here.
//! What the daemon does between two writes takes as long as ever, so it uses up a hundred times as much of the rate: what is found
//! is the least that is used of Amazon's own.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    Size,
    daemon::{Home, Live, PATIENCE},
    report::{Report, short},
    settings::{self, Channels},
};

/// How many times the documented rates.
const SCALE: f64 = 100.0;
/// Amazon's own for patches.
const PER_SECOND: f64 = 5.0;
const BURST: f64 = 5.0;

pub(crate) fn run(size: Size, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(measure(size, report));
}

async fn measure(size: Size, report: &mut Report) {
    let skus = size.of(50_000, 1_000);
    let channels = Channels::limited("bench", skus, SCALE).await;
    let home = Home::new(&channels.systems(None).await, &market());
    let live = home.start().await;
    home.init().await;
    live.settled().await;

    let (cpu, before) = (live.cpu(), written(&live).await);
    let counted = Instant::now();
    lower_all(&channels).await;
    let first = passes(&live, before + 1.0).await;
    let last = passes(&live, before + skus as f64).await;
    live.settled().await;
    let (took, settled) = (last - first, counted.elapsed());
    let each = (live.cpu() - cpu) / u32::try_from(skus).expect("few");
    let writes = written(&live).await - before;
    live.stop().await;

    let allowed = BURST + PER_SECOND * SCALE * took.as_secs_f64();
    let share = writes / allowed;
    let per_second = writes / took.as_secs_f64();
    let what = format!("{skus} listings of a marketplace lowered, writes a second");
    let beside = format!("allowed, {SCALE} times Amazon's: {:.0}/s", PER_SECOND * SCALE);
    report.add(&what, &format!("{per_second:.0}/s in {}", short(took)), &beside, "", None);
    report.add("the same as a share", &format!("{:.1} %", share * 100.0), "", "95 %", Some(share >= 0.95));
    report.add("until all are seen live", &short(settled), &format!("the writes: {}", short(took)), "", None);
    report.add("processor for each write, with its read-back", &short(each), "", "", None);
}

/// Returns the configuration of a marketplace with its rates scaled.
fn market() -> String {
    let rates = |name: &str, per_second: f64, burst: u32| {
        format!("{name} = {{ per_second = {:.4}, burst = {burst} }}\n", per_second * SCALE)
    };
    let (kept, _) = settings::MARKET.split_once("[channels.amazon.market.rates]").expect("its last table");
    let mut text = format!("{kept}[channels.amazon.market.rates]\n");
    text += &rates("search_orders", 0.0056, 20);
    text += &rates("get_order", 0.5, 30);
    text += &rates("patch_listings_item", PER_SECOND, 5);
    text += &rates("get_listings_item", 5.0, 10);
    text + &rates("search_listings_items", 5.0, 5)
}

/// Has the ERP count less of everything.
async fn lower_all(channels: &Channels) {
    let books = channels.get("books").await;
    let less =
        |sku: &Value| json!({"sku": sku["sku"], "quantity": sku["physical"].as_i64().expect("a number") - 5});
    let counts: Vec<Value> = books["skus"].as_array().expect("a list").iter().map(less).collect();
    channels.post("erp/count", &json!({"counts": counts})).await;
}

/// Returns how many writes the marketplace has answered.
async fn written(live: &Live) -> f64 {
    live.figure("evenkeel_writes_total{", |line| line.contains("market")).await
}

/// Waits until so many were answered, and returns when.
async fn passes(live: &Live, count: f64) -> Instant {
    let begun = Instant::now();
    while written(live).await < count {
        assert!(begun.elapsed() < PATIENCE, "{} of {count} writes", written(live).await);
        sleep(Duration::from_millis(20)).await;
    }
    Instant::now()
}
