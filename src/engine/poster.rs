//! Tells an ERP of orders: one posting under way per order, several orders at once.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::Clock,
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
/// How long after an order was placed its first posting is a late one.
const LATE_MS: i64 = 600_000;

pub struct Poster {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub wakes: Arc<ChannelWakes>,
    pub metrics: Arc<Metrics>,
}

impl Poster {
    /// Posts until `shutdown`, and ends the postings that are under way first. One that takes long takes one place and
    /// delays no other (I8).
    pub async fn run(self, shutdown: CancellationToken) {
        let poster = Arc::new(self);
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = poster.wakes.poster.notified() => {}
                () = tokio::time::sleep(TICK) => {}
                Some(_) = under_way.join_next() => {}
            }
            while !shutdown.is_cancelled() && under_way.len() < AT_ONCE {
                match poster.take(AT_ONCE - under_way.len()).await {
                    Ok(postings) if postings.is_empty() => break,
                    Ok(postings) => {
                        for posting in postings {
                            let poster = Arc::clone(&poster);
                            under_way.spawn(async move {
                                if let Err(error) = poster.post(posting).await {
                                    warn!(channel = %poster.channel, %error, "a posting's answer was not noted");
                                }
                            });
                        }
                    }
                    Err(Error::Stopped) => return,
                    Err(error) => {
                        warn!(channel = %poster.channel, %error, "posting waits");
                        break;
                    }
                }
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn take(&self, limit: usize) -> Result<Vec<Posting>, Error> {
        let take = Command::TakePostings { channel: self.channel.clone(), limit };
        let reply = self.ledger.submit(take).await?;
        Ok(if let Reply::Postings(postings) = reply { postings } else { Vec::new() })
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
        // What it holds of an order that was kept back until now may be its own, and in what it has counted.
        let late = self.clock.now().since(posting.placed_at) > LATE_MS;
        let counted_before = outcome == Outcome::Applied && sequence == 1 && late;
        let (channel, order) = (channel.clone(), posting.order);
        let posted = Command::Posted { channel, order, sequence, outcome, found };
        self.ledger.submit(posted).await?;
        if counted_before {
            self.wakes.sweep.notify_one();
        }
        Ok(())
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
