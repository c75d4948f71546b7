//! `evenkeel demo`: the sandbox and the daemon as two processes that meet only over HTTP and the socket.
//!
//! Shoppers buy, faults strike, the daemon recovers; in the end the sandbox's own books are compared with what each
//! system shows. Everything lives in a fresh temporary directory and ends by itself.

mod books;
mod parts;
mod report;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Failure, Global, failure::Kind, print},
    model::{counted, which},
    sandbox::FaultSpec,
};

use books::Books;
use parts::{Parts, Setup};

/// The most SKUs that the sandbox has.
const SKUS_MAX: usize = 1_000_000;

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// How many SKUs are sold.
    #[arg(long, default_value_t = 40, value_parser = skus)]
    skus: usize,
    /// How many orders are placed.
    #[arg(long, default_value_t = 200)]
    orders: u64,
    /// Orders per second.
    #[arg(long, default_value_t = 20.0, value_parser = rate, allow_negative_numbers = true)]
    rate: f64,
    /// Drives catalogue, shoppers, delays and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A fault, such as `amazon-outage=20s`, `shopify-errors=5%`, `webhooks-dropped=5%` or `lost-answers=5%`. May be
    /// given again.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<FaultSpec>,
    /// How long the books may take to agree after the last order, in seconds.
    #[arg(long, default_value_t = 120)]
    settle: u64,
    /// Meddle behind the daemon's back at the end, to see that the comparison notices.
    #[arg(long, value_enum)]
    tamper: Option<Tamper>,
    /// Keep the directory with the configuration, the logs and the journal.
    #[arg(long)]
    keep: bool,
}

fn skus(text: &str) -> Result<usize, String> {
    let skus = text.parse::<usize>().ok().filter(|skus| (1..=SKUS_MAX).contains(skus));
    skus.ok_or_else(|| format!("must be a whole number from 1 to {SKUS_MAX}"))
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && rate.is_finite());
    rate.ok_or_else(|| "must be a number above 0".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tamper {
    /// Change one quantity on a channel after everything agreed.
    Quantity,
    /// Place one order that no feed and no webhook ever shows.
    Order,
}

pub(super) fn run(global: &Global, demo: Demo) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let json = global.json;
    runtime.block_on(play(demo, json)).map_err(|failure| failure.as_json(json))
}

async fn play(demo: Demo, json: bool) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    super::run::stop_on_signals(shutdown.clone())?;
    let dir = directory()?;
    let bar = progress(demo.orders, json);
    bar.set_message("starting the sandbox and the daemon");
    let setup = Setup { dir: dir.clone(), skus: demo.skus, seed: demo.seed };
    let started = tokio::select! {
        started = Parts::start(&setup) => Some(started),
        () = shutdown.cancelled() => None,
    };
    let Some(started) = started else {
        bar.finish_and_clear();
        return Err(stopped(&dir));
    };
    let mut parts = started.map_err(|failure| kept(failure, &dir))?;
    let played = tokio::select! {
        played = act(&demo, &mut parts, &bar) => Some(played),
        () = shutdown.cancelled() => None,
    };
    bar.finish_and_clear();
    let Some(played) = played else {
        drop(parts);
        return Err(stopped(&dir));
    };
    let figures = parts.figures().await;
    let stopped = parts.stop().await;
    let (books, agreed) = played.map_err(|failure| kept(failure, &dir))?;
    let verified = stopped.and_then(|()| parts::verify(&setup));
    let report = report::Report::new(&books, &figures, agreed, verified.is_ok());
    print::answer(json, &report, report::Report::tell)?;
    if !report.agrees {
        let failure = Failure::new(Kind::Disagrees, "the books do not agree");
        return Err(kept(failure, &dir));
    }
    verified.map_err(|failure| kept(failure, &dir))?;
    if demo.keep {
        print::progress(&format!("kept in {}", dir.display()));
    } else {
        // What is left behind is only in the way.
        drop(std::fs::remove_dir_all(&dir));
    }
    Ok(())
}

/// Ends before the end: of what was begun, nothing is left behind.
fn stopped(dir: &Path) -> Failure {
    drop(std::fs::remove_dir_all(dir));
    Failure::new(Kind::Failed, "stopped before its end; nothing was compared")
}

/// Sells, breaks, waits. Returns the books, and whether everything agreed before the time was over.
async fn act(demo: &Demo, parts: &mut Parts, bar: &ProgressBar) -> Result<(Books, bool), Failure> {
    parts.control.faults(&demo.faults).await?;
    let before = parts.control.books().await?.orders();
    parts.control.shop(demo.orders, demo.rate).await?;
    let patience = Duration::from_secs_f64(demo.orders as f64 / demo.rate.max(0.1) * 4.0 + 60.0);
    let begun = Instant::now();
    let mut dropped = false;
    loop {
        parts.alive()?;
        let books = parts.control.books().await?;
        let orders = books.orders().saturating_sub(before);
        bar.set_position(orders.min(demo.orders));
        bar.set_message(agree(&books));
        if demo.tamper == Some(Tamper::Order) && !dropped && orders * 2 >= demo.orders {
            parts.control.drop_order(&books).await?;
            dropped = true;
        }
        let done = orders + books.turned_away >= demo.orders;
        if done || begun.elapsed() > patience {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    settle(demo, parts, bar).await
}

/// Says how many SKUs agree everywhere.
fn agree(books: &Books) -> String {
    let (agreeing, all) = (books.agreeing(), books.skus.len());
    format!("{agreeing} of {} {}", counted(all, "SKU"), which(all, "agrees", "agree"))
}

/// Waits until nothing is under way and all books agree, twice in a row.
async fn settle(demo: &Demo, parts: &mut Parts, bar: &ProgressBar) -> Result<(Books, bool), Failure> {
    let begun = Instant::now();
    let limit = Duration::from_secs(demo.settle);
    let mut agreed = 0;
    loop {
        parts.alive()?;
        let books = parts.control.books().await?;
        let quiet = parts.control.quiet().await?;
        let waiting = parts.waiting().await.unwrap_or(usize::MAX);
        bar.set_message(format!("settling: {}", agree(&books)));
        agreed = if quiet && waiting == 0 && books.agree() { agreed + 1 } else { 0 };
        if agreed == 2 {
            break;
        }
        if begun.elapsed() > limit {
            return Ok((books, false));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    if demo.tamper == Some(Tamper::Quantity) {
        let books = parts.control.books().await?;
        parts.control.edit_quantity(&books).await?;
    }
    let books = parts.control.books().await?;
    let agree = books.agree();
    Ok((books, agree))
}

fn kept(failure: Failure, dir: &std::path::Path) -> Failure {
    failure.next(format!("the logs and the journal are in {}", dir.display()))
}

/// Makes a fresh directory that only we can read.
fn directory() -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let base = std::env::temp_dir();
    for n in 0..1_000 {
        let dir = base.join(format!("evenkeel-demo-{}-{n}", std::process::id()));
        match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(Kind::Failed, format!("no fresh directory could be made in `{}`", base.display())))
}

fn progress(orders: u64, json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(orders);
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} orders, {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
