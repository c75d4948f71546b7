//! Tells an ERP of orders: one posting under way per order, several orders at once.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    connectors::{Connector, Outcome, Posting},
    core::{Command, Reply},
    engine::{
        ledger::{Error, Ledger},
        wake::ChannelWakes,
    },
    model::{ChannelId, Totals},
    telemetry::Metrics,
};

/// How many orders are posted at once.
const AT_ONCE: usize = 4;
const TICK: Duration = Duration::from_millis(500);

pub struct Poster {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub wakes: Arc<ChannelWakes>,
    pub metrics: Arc<Metrics>,
}

impl Poster {
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wakes.poster.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            while !shutdown.is_cancelled() {
                match self.round().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(Error::Stopped) => return,
                    Err(error) => {
                        warn!(channel = %self.channel, %error, "posting waits");
                        break;
                    }
                }
            }
        }
    }

    /// Takes a portion of postings and carries them out. `false`: there was none.
    async fn round(&self) -> Result<bool, Error> {
        let take = Command::TakePostings { channel: self.channel.clone(), limit: AT_ONCE };
        let Reply::Postings(postings) = self.ledger.submit(take).await? else { return Ok(false) };
        if postings.is_empty() {
            return Ok(false);
        }
        let mut done = stream::iter(postings).map(|posting| self.post(posting)).buffer_unordered(AT_ONCE);
        while let Some(posted) = done.next().await {
            posted?;
        }
        Ok(true)
    }

    async fn post(&self, posting: Posting) -> Result<(), Error> {
        let outcome = self.connector.post(&posting).await;
        crate::store::crash::crash_point("after_post");
        let (channel, order, sequence) = (&self.channel, &posting.order, posting.sequence);
        if outcome == Outcome::Applied {
            info!(%channel, %order, sequence, "posted");
        } else {
            warn!(%channel, %order, sequence, ?outcome, "posting not confirmed");
        }
        self.metrics.write(channel, &outcome);
        let found = self.found(&posting, &outcome).await;
        let (channel, order) = (channel.clone(), posting.order);
        let posted = Command::Posted { channel, order, sequence, outcome, found };
        self.ledger.submit(posted).await.map(drop)
    }

    /// Looks what the ERP holds after it refused a posting, which may stand half made.
    async fn found(&self, posting: &Posting, outcome: &Outcome) -> Option<Vec<Totals>> {
        if !matches!(outcome, Outcome::Rejected { .. }) {
            return None;
        }
        let found = self.connector.posted(posting).await;
        found
            .inspect_err(
                |fault| warn!(channel = %self.channel, order = %posting.order, %fault, "not looked at"),
            )
            .ok()
    }
}
