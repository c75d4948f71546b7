//! A queue that a channel's notifications are put into by somebody else: asked for messages, and told which are done with.

use async_trait::async_trait;
use bytes::Bytes;

use super::Fault;

/// The most messages of one answer.
pub const BATCH: usize = 10;

/// A queue of notifications that delivers each message at least once, in any order.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Waits a while for messages and returns up to [`BATCH`]. One that is not deleted comes again later.
    async fn receive(&self) -> Result<Vec<Message>, Fault>;

    /// Deletes messages, by their receipts.
    async fn delete(&self, receipts: &[String]) -> Result<(), Fault>;
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same at each of its deliveries.
    pub id: String,
    /// What deletes it; another one at each delivery.
    pub receipt: String,
    pub body: Bytes,
}
