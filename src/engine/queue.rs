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

/// How it goes, from one answer to the next.
#[derive(Debug, Default)]
struct Pace {
    /// Times in a row that nothing could be received.
    failures: u32,
    /// Times in a row that what was taken in could not be deleted.
    undeleted: u32,
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
    /// What they led to is durable. The round was good otherwise, and the messages are deleted when they come again.
    #[error(
        "notifications that were taken in could not be deleted from the queue, so they come again until they expire: {0}"
    )]
    Delete(Fault, Round),
}

impl Listener {
    pub async fn run(self, shutdown: CancellationToken) {
        let connector = self.connector.clone();
        let Some(queue) = connector.queue() else { return };
        tokio::select! {
            () = shutdown.cancelled() => return,
            live = self.live() => if !live { return },
        }
        self.listen(queue, &shutdown).await;
    }

    /// Takes out what comes, until the daemon stops.
    pub async fn listen(&self, queue: &dyn Queue, shutdown: &CancellationToken) {
        let mut pace = Pace::default();
        loop {
            let begun = Instant::now();
            let round = tokio::select! {
                () = shutdown.cancelled() => return,
                round = self.round(queue) => round,
            };
            let Some(until) = self.after(&mut pace, round, begun) else { return };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Notes how a round that began then ended. Returns when the next one begins, if there is one.
    fn after(&self, pace: &mut Pace, ended: Result<Round, Failed>, begun: Instant) -> Option<Instant> {
        let failed = ended.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let round = match ended {
            Ok(round) => {
                // A round without messages has deleted none.
                pace.undeleted = if round == Round::Taken { 0 } else { pace.undeleted };
                round
            }
            Err(Failed::Delete(_, round)) => {
                pace.undeleted = pace.undeleted.saturating_add(1);
                // It may be at every round, and these follow each other without a pause.
                if pace.undeleted.is_power_of_two() {
                    warn!(channel = %self.channel, times = pace.undeleted, "{failed}");
                }
                round
            }
            Err(Failed::Receive(fault)) => {
                pace.failures = pace.failures.saturating_add(1);
                warn!(channel = %self.channel, failures = pace.failures, "{failed}");
                self.metrics.feed_failed(&self.channel, FeedName::Notifications, Some(&fault));
                return Some(Instant::now() + pause_after(&Error::Fault(fault), pace.failures));
            }
        };
        if pace.failures > 0 {
            info!(channel = %self.channel, failures = pace.failures, "the queue of notifications works again");
        }
        pace.failures = 0;
        self.metrics.feed_read(&self.channel, FeedName::Notifications);
        match round {
            Round::Stopped => None,
            Round::Empty => Some(begun + EMPTY),
            Round::Busy => Some(Instant::now() + BUSY),
            Round::Taken => Some(begun),
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
        let round = if taken.contains(&Taken::Stopped) {
            Round::Stopped
        } else if receipts.len() < messages.len() {
            Round::Busy
        } else if messages.is_empty() {
            Round::Empty
        } else {
            Round::Taken
        };
        if !receipts.is_empty() {
            crash_point("before_delete");
            queue.delete(&receipts).await.map_err(|fault| Failed::Delete(fault, round))?;
        }
        Ok(round)
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
