//! Cron and intervals. They only wake: a tick is a hint on a channel that holds one, so ticks never pile up.
//!
//! tokio-cron-scheduler is used here and nowhere else. What it is weak at (local time, overlap, shutdown) is not
//! asked of it.

use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use tracing::debug;
use uuid::Uuid;

use crate::config::Schedule;

/// Wakes loops by the clock.
pub struct Ticker {
    scheduler: JobScheduler,
    /// The jobs, and whom each wakes.
    jobs: Mutex<Vec<(Uuid, mpsc::Sender<()>)>>,
}

impl Ticker {
    pub async fn new() -> Result<Ticker, JobSchedulerError> {
        Ok(Ticker { scheduler: JobScheduler::new().await?, jobs: Mutex::default() })
    }

    /// Returns a channel that a tick arrives on whenever `schedule` is due, and once at once.
    pub async fn every(&self, schedule: &Schedule) -> Result<mpsc::Receiver<()>, JobSchedulerError> {
        let (tick, ticks) = mpsc::channel(1);
        // The first tick is due at start, whatever the schedule says.
        prod(&tick);
        match schedule {
            Schedule::Every(span) if *span < Duration::from_secs(1) => sub_second(*span, tick),
            Schedule::Every(span) => {
                let wakes = tick.clone();
                self.add(Job::new_repeated(*span, move |_, _| prod(&wakes))?, tick).await?;
            }
            Schedule::Cron(cron) => {
                let wakes = tick.clone();
                self.add(Job::new(cron.as_str(), move |_, _| prod(&wakes))?, tick).await?;
            }
        }
        Ok(ticks)
    }

    async fn add(&self, job: Job, tick: mpsc::Sender<()>) -> Result<(), JobSchedulerError> {
        let id = self.scheduler.add(job).await?;
        self.jobs.lock().await.push((id, tick));
        Ok(())
    }

    /// Removes the jobs that wake nobody any more.
    pub async fn sweep(&self) {
        let mut jobs = self.jobs.lock().await;
        let (over, on) = std::mem::take(&mut *jobs).into_iter().partition(|(_, tick)| tick.is_closed());
        *jobs = on;
        let over: Vec<(Uuid, mpsc::Sender<()>)> = over;
        for (id, _) in over {
            if let Err(error) = self.scheduler.remove(&id).await {
                debug!(%error, "a schedule that is over could not be removed");
            }
        }
    }

    pub async fn start(&self) -> Result<(), JobSchedulerError> {
        self.scheduler.start().await
    }

    pub async fn stop(&self) {
        // Its jobs only wake loops that have ended by now.
        drop(self.scheduler.clone().shutdown().await);
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
