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

impl Listener {
    pub async fn run(self, shutdown: CancellationToken) {
        let connector = self.connector.clone();
        let Some(queue) = connector.queue() else { return };
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
                        info!(channel = %self.channel, failures, "the queue of notifications can be read again");
                    }
                    failures = 0;
                    self.metrics.feed_read(&self.channel, FeedName::Notifications);
                    match round {
                        Round::Empty => begun + EMPTY,
                        Round::Busy => Instant::now() + BUSY,
                        Round::Taken | Round::Stopped => begun,
                    }
                }
                Err(fault) => {
                    failures = failures.saturating_add(1);
                    warn!(channel = %self.channel, %fault, failures, "the queue of notifications could not be read");
                    self.metrics.feed_failed(&self.channel, FeedName::Notifications, Some(&fault));
                    Instant::now() + pause_after(&Error::Fault(fault), failures)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Takes in the messages of one answer and deletes those that need not come again.
    pub async fn round(&self, queue: &dyn Queue) -> Result<Round, Fault> {
        let messages = queue.receive().await?;
        // Together, so that they share an fsync.
        let taken = join_all(messages.iter().map(|message| self.take(message))).await;
        let done = |(message, taken): (&Message, &Taken)| is_done(*taken).then(|| message.receipt.clone());
        let receipts: Vec<String> = messages.iter().zip(&taken).filter_map(done).collect();
        if !receipts.is_empty() {
            crash_point("before_delete");
            queue.delete(&receipts).await?;
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
