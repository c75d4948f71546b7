//! `evenkeel simulate`: plays seeds of the simulator, and tells what breaks.

use std::{
    panic,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    cli::{Failure, Global, failure::Kind, print},
    model::{counted, which},
    sim::{self, Figures, Options, Report, Workload},
};

/// How many lines of the story of a seed that breaks are told.
const STORY: usize = 60;
/// How many seeds that break are told; the others are only named.
const TOLD: usize = 3;
/// How many seeds that break are looked for. More would tell nothing that these do not.
const BROKEN_MAX: usize = 50;

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// The first seed. One seed always plays the same, on every machine.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds are played, from the first one on.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// What kind of business: steady, flash, hot-sku, many-skus, bundles, returns or months. The seed draws it unless it is
    /// named.
    #[arg(long)]
    workload: Option<Workload>,
    /// How many days people are at work, in place of the workload's own time.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=3_650))]
    days: Option<i64>,
    /// Let nothing go wrong.
    #[arg(long)]
    calm: bool,
    /// Let all clocks agree.
    #[arg(long)]
    exact_clocks: bool,
    /// Tell the last lines of what happened, whether or not it breaks.
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    story: usize,
}

/// What came of all seeds.
#[derive(Debug, Serialize)]
struct Summary {
    version: &'static str,
    seeds: u64,
    /// Seeds that broke something, with what happened last.
    broken: Vec<Report>,
    /// Stories that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stories: Vec<Report>,
    figures: Figures,
    took_ms: u64,
    events_per_second: u64,
}

pub(super) fn run(global: &Global, args: &Simulate) -> Result<(), Failure> {
    // What panics in a run is told with its seed.
    panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let played = play(args, &progress(args.seeds, global.json));
    drop(panic::take_hook());
    let summary = played.into_summary(args, begun.elapsed());
    let broken: Vec<u64> = summary.broken.iter().map(|report| report.seed).collect();
    print::answer(global.json, &summary, tell)?;
    let Some(first) = broken.first() else { return Ok(()) };
    let failure = Failure::new(
        Kind::Disagrees,
        format!(
            "{} of {} {} something",
            broken.len(),
            counted(args.seeds, "seed"),
            which(broken.len(), "breaks", "break")
        ),
    );
    Err(failure.next(format!("report it with this version and `--seed {first}`")).as_json(global.json))
}

/// What the threads have found so far.
#[derive(Default)]
struct Played {
    figures: Figures,
    seeds: u64,
    broken: Vec<Report>,
    stories: Vec<Report>,
}

fn options(args: &Simulate, seed: u64, story: usize) -> Options {
    let Simulate { workload, days, calm, exact_clocks, .. } = *args;
    Options { seed, workload, days, calm, exact_clocks, story }
}

/// A bar where there is more than one seed to wait for.
fn progress(seeds: u64, json: bool) -> ProgressBar {
    if json || seeds < 2 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} seeds, {eta} left");
    ProgressBar::new(seeds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Plays all seeds, as many at once as there are cores.
fn play(args: &Simulate, bar: &ProgressBar) -> Played {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(0);
    let played = Mutex::new(Played::default());
    let lock = || played.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= args.seeds || lock().broken.len() >= BROKEN_MAX {
                return;
            }
            let report = sim::run(options(args, args.seed.wrapping_add(nth), args.story));
            bar.inc(1);
            let mut all = lock();
            all.seeds += 1;
            all.figures.add(&report.figures);
            if report.broken.is_some() {
                all.broken.push(report);
            } else if args.story > 0 {
                all.stories.push(report);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    played.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Played {
    fn into_summary(mut self, args: &Simulate, took: Duration) -> Summary {
        self.broken.sort_by_key(|report| report.seed);
        self.stories.sort_by_key(|report| report.seed);
        // A seed plays the same again, this time with its story.
        for report in self.broken.iter_mut().take(TOLD).filter(|report| report.story.is_empty()) {
            *report = sim::run(options(args, report.seed, STORY));
        }
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Summary {
            version: env!("CARGO_PKG_VERSION"),
            seeds: self.seeds,
            broken: self.broken,
            stories: self.stories,
            events_per_second: self.figures.events.saturating_mul(1_000) / took_ms.max(1),
            figures: self.figures,
            took_ms,
        }
    }
}

fn tell(summary: &Summary) {
    for report in summary.stories.iter().chain(&summary.broken) {
        for line in &report.story {
            print::line(line);
        }
        if let Some(why) = &report.broken {
            print::line(&format!("seed {} ({}) breaks: {why}", report.seed, report.workload.name()));
        }
    }
    let Figures { events, commands, records, orders, writes, deltas, starts, virtual_ms, oversold, .. } =
        &summary.figures;
    print::line(&format!(
        "version {}: {}, of which {} {}; {} of virtual time in {}, {} a second",
        summary.version,
        counted(summary.seeds, "seed"),
        summary.broken.len(),
        which(summary.broken.len(), "breaks", "break"),
        print::span(*virtual_ms),
        print::span(i64::try_from(summary.took_ms).unwrap_or(i64::MAX)),
        counted(summary.events_per_second, "event"),
    ));
    print::line(&format!(
        "{}, {}, {}, {}, {} ({}), {}",
        counted(events, "event"),
        counted(commands, "command"),
        counted(records, "record"),
        counted(orders, "order"),
        counted(writes, "write"),
        counted(deltas, "delta"),
        counted(starts, "start")
    ));
    let classes: Vec<String> = oversold.iter().map(|(class, units)| format!("{units} {class}")).collect();
    if !classes.is_empty() {
        print::line(&format!("units oversold, as the reference model classes them: {}", classes.join(", ")));
    }
}
