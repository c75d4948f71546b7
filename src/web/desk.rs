//! What the web asks of the daemon. The engine implements it; a test may, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{
    connectors::{CataloguePage, Push},
    core::{
        Command, Refused, Reply, State,
        command::{ByHand, Tally},
        decide::trial::Effect,
        state::Note,
    },
    model::{ChannelId, DeliveryId, LocationId, Seq, Timestamp},
    store::Footprint,
    web::view::{InitDone, InitPreview, ReloadRequest, Reloaded, ReplayedItem},
};

/// Something to be done with a consistent state, all of it durable. Holds up the ledger for as long as it takes.
pub type Read = Box<dyn FnOnce(&State) + Send>;

/// Where everything but pushes is asked.
#[async_trait]
pub trait Desk: Send + Sync {
    fn vitals(&self) -> Vitals;

    /// Has a command decided, and waits until its records are durable.
    async fn submit(&self, command: Command) -> Result<Reply, Failure>;

    /// Has a state read. After an error it may have been, or not.
    async fn read(&self, read: Read) -> Result<(), Failure>;

    /// Writes a checkpoint. Returns its position, and the hash of the journal's chain there, in hex.
    async fn checkpoint(&self) -> Result<(Seq, String), Failure>;

    /// Tells how large the state is on disk, and since when.
    fn footprint(&self) -> Footprint;

    /// Has a channel's feeds read soon. `false`: there is no such channel.
    fn poll(&self, channel: &ChannelId) -> bool;

    /// Reads one page of a channel's catalogue. Returns when the read was sent, too.
    async fn catalogue(
        &self,
        channel: &ChannelId,
        after: Option<String>,
    ) -> Result<(Timestamp, CataloguePage), Failure>;

    /// Tells what taking over the opening stock from `from` would do. Takes as long as reading all catalogues.
    async fn preview(&self, from: &ChannelId, at: Option<&LocationId>) -> Result<InitPreview, Failure>;

    /// Takes over the opening stock from `from`.
    async fn initialise(&self, from: &ChannelId, at: Option<&LocationId>) -> Result<InitDone, Failure>;

    /// Tells what a count by a person would do.
    async fn try_count(&self, asked: Counting) -> Result<Tally, Failure>;

    /// Takes over a count by a person, or holds it. `None`: it was done before for the same request.
    async fn count(&self, asked: Counting) -> Result<Option<Tally>, Failure>;

    /// Tells what taking over the opening stock that a person has counted would do.
    async fn preview_counted(&self, asked: Counting) -> Result<InitPreview, Failure>;

    /// Takes over the opening stock that a person has counted.
    async fn initialise_counted(&self, asked: Counting) -> Result<InitDone, Failure>;

    /// Tells what commands would do to what listings show, without recording anything.
    async fn try_out(&self, commands: Vec<Command>) -> Result<Effect, Failure>;

    /// Makes a changed configuration effective, or tells what it would do.
    async fn reload(&self, asked: &ReloadRequest) -> Result<Reloaded, Failure>;

    /// Reads a quarantined item again; with `dry_run` it is only told whether that would go well.
    async fn replay(&self, id: Seq, dry_run: bool) -> Result<ReplayedItem, Failure>;

    /// Gives a quarantined item up, with its body.
    async fn give_up(&self, id: Seq, note: Note) -> Result<(), Failure>;

    /// Returns a body in quarantine. `None`: it is gone.
    async fn body(&self, sha256: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// Tells whether a body in quarantine is still kept.
    fn has_body(&self, sha256: &str) -> bool;

    /// Returns all metrics in the OpenMetrics text format.
    async fn figures(&self) -> String;
}

/// A count by a person as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    /// By this a repeat is recognised.
    pub request: Option<DeliveryId>,
    pub count: ByHand,
    /// Where everything was counted, so that what is not named is not there...
    pub full: BTreeSet<LocationId>,
    /// ...as of then.
    pub as_of: Timestamp,
    /// Lines of SKUs that are not known are left out. Otherwise nothing is taken over where there are such.
    pub skip_unknown: bool,
}

/// The doors for pushes. Which there are may change.
pub trait Doors: Send + Sync {
    /// Returns the door at `/webhooks/shopify/{channel}`.
    fn shopify(&self, channel: &ChannelId) -> Option<Arc<dyn Door>>;
}

impl Doors for BTreeMap<ChannelId, Arc<dyn Door>> {
    fn shopify(&self, channel: &ChannelId) -> Option<Arc<dyn Door>> {
        self.get(channel).cloned()
    }
}

/// One channel's door for pushes.
#[async_trait]
pub trait Door: Send + Sync {
    /// Takes a push in. What it answers is durable.
    async fn push(&self, push: &Push) -> Taken;
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Durable, or nothing to record.
    Yes,
    Duplicate,
    /// Authentic but unreadable: kept in quarantine.
    Quarantined,
    NotFollowed,
    Forged,
    /// The queue is full; nothing was recorded.
    Busy,
    /// The daemon stops; whether it was recorded is not known.
    Stopped,
}

/// How the daemon is, without asking its ledger.
#[derive(Debug, Clone)]
pub struct Vitals {
    pub now: Timestamp,
    pub uptime: Duration,
    /// The position up to which the journal is durable.
    pub seq: Seq,
    /// Grows while the ledger makes progress.
    pub beat: u64,
    /// Requests that wait for the ledger.
    pub queued: usize,
    /// Why nothing is taken in, if nothing is: there is too little room, or none.
    pub refuses: Option<String>,
    /// How it stands with the room on the store's disk, if that is not plain good.
    pub disk: Option<String>,
}

/// Why something that was asked was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the daemon is busy: its queue is full")]
    Busy,
    #[error("there is no room to record anything; what was asked may still be recorded once there is")]
    NoRoom,
    #[error("there is no room to take it in, and it is not kept for later: ask again once there is")]
    Closed,
    #[error("the daemon is stopping")]
    Stopping,
    /// It makes no sense as things stand.
    #[error("{what}")]
    Conflict { what: String, next: String },
    /// A channel did not tell what was needed.
    #[error("`{channel}` could not be read: {why}")]
    Channel { channel: ChannelId, why: String },
    /// The configuration is wrong; nothing was changed.
    #[error("{0}")]
    Config(String),
    /// Who asks may not.
    #[error("{what}")]
    Forbidden { what: String, next: String },
    #[error("{0}")]
    Failed(String),
}

/// Reads from a consistent state. `read` holds up the ledger, so it must be bounded.
pub(super) async fn ask<T: Send + 'static>(
    desk: &dyn Desk,
    read: impl FnOnce(&State) -> T + Send + 'static,
) -> Result<T, Failure> {
    let (answer, answered) = oneshot::channel();
    desk.read(Box::new(move |state| drop(answer.send(read(state))))).await?;
    answered.await.map_err(|_| Failure::Stopping)
}
