//! Takes notifications out of a channel's queue: read, decided, durable, and only then deleted.
//!
//! Holds nothing. What is not deleted comes again, and is known by its id then. The order feed is read as ever, whatever becomes of
//! the queue.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    connectors::{
        Connector, Fault, MESSAGE_ID, Push,
        queue::{Message, Queue},
    },
    engine::{
        feed::{Error, pause_after},
        intake::{Intake, Taken},
        restored::{is_restored, until_live},
    },
    model::ChannelId,
    store::crash::crash_point,
    telemetry::{Feed as FeedName, Metrics},
};

/// The shortest time between two answers without a message, where the queue does not wait for one by itself.
const EMPTY: Duration = Duration::from_secs(1);
/// How long nothing more is asked for where what was received could not be taken in.
const BUSY: Duration = Duration::from_secs(1);

pub struct Listener {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub intake: Arc<Intake>,
    pub metrics: Arc<Metrics>,
}

/// What became of the messages of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    Empty,
    Taken,
    /// Some could not be taken in now, and come again.
    Busy,
    /// The daemon stops.
    Stopped,
}

/// Why a round was not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    #[error("the queue of notifications could not be read: {0}")]
    Receive(Fault),
    /// What they led to is durable.
    #[error(
        "notifications that were taken in could not be deleted from the queue, so they come again, which does no harm: {0}"
    )]
    Delete(Fault),
}

impl Listener {
    pub async fn run(self, shutdown: CancellationToken) {
        let connector = self.connector.clone();
        let Some(queue) = connector.queue() else { return };
        tokio::select! {
            () = shutdown.cancelled() => return,
            live = self.live() => if !live { return },
        }
        let mut failures: u32 = 0;
        loop {
            let begun = Instant::now();
            let round = tokio::select! {
                () = shutdown.cancelled() => return,
                round = self.round(queue) => round,
            };
            let until = match round {
                Ok(Round::Stopped) => return,
                Ok(round) => {
                    if failures > 0 {
                        info!(channel = %self.channel, failures, "the queue of notifications works again");
                    }
                    failures = 0;
                    self.metrics.feed_read(&self.channel, FeedName::Notifications);
                    match round {
                        Round::Empty => begun + EMPTY,
                        Round::Busy => Instant::now() + BUSY,
                        Round::Taken | Round::Stopped => begun,
                    }
                }
                Err(failed) => {
                    failures = failures.saturating_add(1);
                    warn!(channel = %self.channel, failures, "{failed}");
                    let fault = match failed {
                        Failed::Delete(fault) => fault,
                        Failed::Receive(fault) => {
                            self.metrics.feed_failed(&self.channel, FeedName::Notifications, Some(&fault));
                            fault
                        }
                    };
                    Instant::now() + pause_after(&Error::Fault(fault), failures)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Waits until the queue may be read: what a restored store took out of it, the daemon that it is a copy of would miss.
    /// `false`: the daemon stops.
    async fn live(&self) -> bool {
        let ledger = &self.intake.ledger;
        if is_restored(ledger).await.unwrap_or_default() {
            warn!(channel = %self.channel, "the store was restored: the queue of notifications is not read until \
                `evenkeel resume --live`");
        }
        until_live(ledger).await.is_ok()
    }

    /// Takes in the messages of one answer and deletes those that need not come again.
    pub async fn round(&self, queue: &dyn Queue) -> Result<Round, Failed> {
        let messages = queue.receive().await.map_err(Failed::Receive)?;
        // Together, so that they share an fsync.
        let taken = join_all(messages.iter().map(|message| self.take(message))).await;
        let done = |(message, taken): (&Message, &Taken)| is_done(*taken).then(|| message.receipt.clone());
        let receipts: Vec<String> = messages.iter().zip(&taken).filter_map(done).collect();
        if !receipts.is_empty() {
            crash_point("before_delete");
            queue.delete(&receipts).await.map_err(Failed::Delete)?;
        }
        Ok(if taken.contains(&Taken::Stopped) {
            Round::Stopped
        } else if receipts.len() < messages.len() {
            Round::Busy
        } else if messages.is_empty() {
            Round::Empty
        } else {
            Round::Taken
        })
    }

    async fn take(&self, message: &Message) -> Taken {
        let headers = BTreeMap::from([(MESSAGE_ID.to_owned(), message.id.clone())]);
        self.intake.push(&Push { headers, body: message.body.clone() }).await
    }
}

/// Tells whether a message need not come again: what it led to is durable, or it leads to nothing.
fn is_done(taken: Taken) -> bool {
    match taken {
        Taken::Yes | Taken::Duplicate | Taken::Quarantined | Taken::NotFollowed | Taken::Forged => true,
        Taken::Busy | Taken::Stopped => false,
    }
}
