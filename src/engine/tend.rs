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
        feed::{Error, pause_after, tell_failure},
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
    /// A part of it is to be tried again before its turn.
    again: bool,
}

impl Tender {
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (mut failures, mut looked) = (0_u32, false);
        // What failed is not left to the next turn, unless that comes first.
        let mut again = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => {}
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
                    again = done.again.then(|| part_again(failures));
                    GAP
                }
                Err(Error::Ledger(ledger::Error::Stopped)) => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    warn!(channel = %self.channel, %error, failures, "the channel could not be tended");
                    tell_failure(&self.ledger, &self.channel, &error).await;
                    again = Some(Duration::ZERO);
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

/// Returns how much longer than the shortest pause to wait until a part is tried again that failed so often in a row. It doubles
/// until the turns of the channel come sooner.
fn part_again(failures: u32) -> Duration {
    (GAP * 2_u32.pow(failures.saturating_sub(1).min(20))).saturating_sub(GAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_for_long_is_left_to_the_turns_of_the_channel() {
        let check = |failures: u32, secs: u64| assert_eq!(part_again(failures), Duration::from_secs(secs));
        check(0, 0);
        check(1, 0);
        check(2, 1);
        check(6, 31);
        check(9, 255);
        check(13, 4095);
        check(u32::MAX, (1 << 20) - 1);
    }
}
