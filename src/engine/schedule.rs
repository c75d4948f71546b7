//! Cron and intervals. They only wake: a tick is a hint on a channel that holds one, so ticks never pile up.
//!
//! tokio-cron-scheduler is used here and nowhere else. What it is weak at (local time, overlap, shutdown) is not
//! asked of it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::config::Schedule;

/// Wakes loops by the clock.
pub struct Ticker {
    scheduler: JobScheduler,
}

impl Ticker {
    pub async fn new() -> Result<Ticker, JobSchedulerError> {
        Ok(Ticker { scheduler: JobScheduler::new().await? })
    }

    /// Returns a channel that a tick arrives on whenever `schedule` is due, and once at once.
    pub async fn every(&self, schedule: &Schedule) -> Result<mpsc::Receiver<()>, JobSchedulerError> {
        let (tick, ticks) = mpsc::channel(1);
        // The first tick is due at start, whatever the schedule says.
        prod(&tick);
        match schedule {
            Schedule::Every(span) if *span < Duration::from_secs(1) => sub_second(*span, tick),
            Schedule::Every(span) => {
                let job = Job::new_repeated(*span, move |_, _| prod(&tick))?;
                self.scheduler.add(job).await?;
            }
            Schedule::Cron(cron) => {
                let job = Job::new(cron.as_str(), move |_, _| prod(&tick))?;
                self.scheduler.add(job).await?;
            }
        }
        Ok(ticks)
    }

    pub async fn start(&self) -> Result<(), JobSchedulerError> {
        self.scheduler.start().await
    }

    pub async fn stop(mut self) {
        // Its jobs only wake loops that have ended by now.
        drop(self.scheduler.shutdown().await);
    }
}

/// Leaves a tick, unless one waits already.
fn prod(tick: &mpsc::Sender<()>) {
    tick.try_send(()).unwrap_or(());
}

/// The scheduler looks at its jobs twice a second; shorter intervals (demo, tests) are slept. Ends when nobody
/// listens.
fn sub_second(span: Duration, tick: mpsc::Sender<()>) {
    tokio::spawn(async move {
        while !tick.is_closed() {
            tokio::time::sleep(span).await;
            prod(&tick);
        }
    });
}
