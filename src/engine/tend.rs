//! Tends a channel: keeps its pushes coming and our rights there good, and has a person told what they should know.
//!
//! What is to be done and what it means is the connector's; this is when, and what follows for the other loops.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    connectors::{Connector, Tended, Tending},
    core::Command,
    engine::{
        feed::{Error, pause, pause_after, tell_failure},
        ledger::{self, Ledger},
        restored::{is_restored, until_live},
        wake::ChannelWakes,
    },
    model::ChannelId,
};

/// The shortest pause between two times, whatever asks for them.
const GAP: Duration = Duration::from_secs(1);

pub struct Tender {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub wakes: Arc<ChannelWakes>,
    /// Ticks of `[tend]`, the first at the start.
    pub ticks: mpsc::Receiver<()>,
}

/// How a channel was tended.
struct Done {
    tending: Tending,
    /// A part of it is to be tried again soon.
    again: bool,
}

impl Tender {
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (mut failures, mut looked) = (0_u32, false);
        loop {
            // What failed is not left to the next turn.
            let missed = failures > 0;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = std::future::ready(()), if missed => {}
                Some(()) = self.ticks.recv() => {}
                () = self.wakes.tend.notified() => {}
                () = self.connector.uneasy() => {}
                _ = until_live(&self.ledger), if looked => {}
            }
            let tended = tokio::select! {
                () = shutdown.cancelled() => return,
                tended = self.tend() => tended,
            };
            let pause = match tended {
                Ok(done) => {
                    looked = done.tending == Tending::Look;
                    failures = if done.again { failures.saturating_add(1) } else { 0 };
                    if done.again { pause(failures).max(GAP) } else { GAP }
                }
                Err(Error::Ledger(ledger::Error::Stopped)) => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    warn!(channel = %self.channel, %error, failures, "the channel could not be tended");
                    tell_failure(&self.ledger, &self.channel, &error).await;
                    pause_after(&error, failures).max(GAP)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tends the channel once, and hands over what was found.
    async fn tend(&self) -> Result<Done, Error> {
        let tending = if is_restored(&self.ledger).await? { Tending::Look } else { Tending::Mend };
        let Tended { notices, unsure, missed, again } = self.connector.tend(tending).await?;
        let (channel, unsure) = (self.channel.clone(), unsure.into_iter().map(str::to_owned).collect());
        self.ledger.submit(Command::Tended { channel, notices, unsure }).await?;
        if missed {
            // Should the process end here: a start reads and compares all of it anyway.
            info!(channel = %self.channel, "pushes may have been missed: orders are read and all is compared");
            self.wakes.feed.notify_one();
            self.wakes.reconcile.notify_one();
        }
        Ok(Done { tending, again })
    }
}
