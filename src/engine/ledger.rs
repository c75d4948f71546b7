//! The one writer. A thread of its own drains a bounded queue in groups: it decides each command, makes the group
//! durable with one fsync, and only then answers. What is read is read here too, between groups.
//!
//! The rows in sled are written behind, when the queue is empty or enough has gathered; nobody's answer waits for them.
//! Of a checkpoint only a slice is encoded here at a time; see [`checkpoint`].

mod durable;
mod swap;
mod writer;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use tokio::sync::{mpsc, oneshot};

pub use self::durable::{Durable, Failure};
use self::writer::{Pace, Writer};
use crate::{
    clock::Clock,
    core::{Command, Envelope, Refused, Reply, State},
    engine::{checkpoint, room::Room, wake::Wakes},
    model::Seq,
    store::Head,
    telemetry::Metrics,
};

/// Why a command has no reply.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The queue is full; nothing was recorded.
    #[error("the daemon is busy: its queue is full")]
    Full,
    /// There is no room for it. Whether it will be recorded is not known: it was not acknowledged.
    #[error("there is no room to record anything")]
    NoRoom,
    /// There is too little room to take it in: it was not recorded, and will not be.
    #[error("there is no room to take it in")]
    Closed,
    /// The journal failed, or the daemon stops; whether the command was recorded is not known.
    #[error("the daemon is stopping")]
    Stopped,
}

type Answer = oneshot::Sender<Result<Reply, Error>>;
type Read = Box<dyn FnOnce(&State) + Send>;

enum Request {
    Decide(Command, Answer),
    Read(Read),
    Checkpoint(checkpoint::Answer),
    Swap(swap::Answer),
    /// The thread that writes a checkpoint is done with a slice.
    Slice,
    Stop,
}

/// The way to the ledger. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Request>,
    durable: Arc<AtomicU64>,
    beat: Arc<AtomicU64>,
    room: Arc<Room>,
    head: Arc<Mutex<Head>>,
}

/// What the thread is made of.
pub struct Options {
    pub queue_max: usize,
    pub group_max: usize,
}

impl Ledger {
    /// Starts the writer on `state`, which is what the store holds. The handle that is returned ends when it ends.
    pub fn start(
        state: State,
        store: Box<dyn Durable>,
        clock: Arc<dyn Clock>,
        wakes: Arc<Wakes>,
        metrics: Arc<Metrics>,
        options: &Options,
    ) -> std::io::Result<(Ledger, thread::JoinHandle<Result<(), Failure>>)> {
        let (queue, requests) = mpsc::channel(options.queue_max);
        let durable = Arc::new(AtomicU64::new(state.seq.0));
        let beat = Arc::new(AtomicU64::new(0));
        let weak = queue.downgrade();
        let room = Arc::new(Room::default());
        let head = Arc::new(Mutex::new(store.head()));
        let ledger = Ledger {
            queue,
            durable: durable.clone(),
            beat: beat.clone(),
            room: room.clone(),
            head: head.clone(),
        };
        let group_max = options.group_max.max(1);
        let writer = Writer {
            state,
            store,
            clock,
            wakes,
            metrics,
            durable,
            beat,
            group_max,
            room,
            head,
            owed: Vec::new(),
            tried: Pace::default(),
            queue: weak,
            walk: None,
            asked: Vec::new(),
            swap: None,
            state_store_failed: false,
            behind: Pace::default(),
            feeds: Pace::default(),
        };
        let thread = thread::Builder::new().name("ledger".into()).spawn(move || writer.run(requests))?;
        Ok((ledger, thread))
    }

    /// Has a command decided and waits until its records are durable.
    pub async fn submit(&self, command: Command) -> Result<Reply, Error> {
        let (answer, reply) = oneshot::channel();
        self.queue.send(Request::Decide(command, answer)).await.map_err(|_| Error::Stopped)?;
        reply.await.map_err(|_| Error::Stopped)?
    }

    /// Like [`Ledger::submit`], but does not wait for room in the queue.
    pub async fn submit_now(&self, command: Command) -> Result<Reply, Error> {
        let (answer, reply) = oneshot::channel();
        self.queue.try_send(Request::Decide(command, answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Full,
            mpsc::error::TrySendError::Closed(_) => Error::Stopped,
        })?;
        reply.await.map_err(|_| Error::Stopped)?
    }

    /// Reads from a consistent state, all of it durable.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, reply) = oneshot::channel();
        let read = Box::new(move |state: &State| drop(answer.send(read(state))));
        self.queue.send(Request::Read(read)).await.map_err(|_| Error::Stopped)?;
        reply.await.map_err(|_| Error::Stopped)
    }

    /// Has a checkpoint written, of this position or a later one, while everything goes on. Returns its
    /// position, and the chain's hash there.
    pub async fn checkpoint(&self) -> Result<Result<Head, Failure>, Error> {
        let (answer, reply) = oneshot::channel();
        self.queue.send(Request::Checkpoint(answer)).await.map_err(|_| Error::Stopped)?;
        reply.await.map_err(|_| Error::Stopped)
    }

    /// Has a fresh state built, out of a fresh checkpoint, which takes the live one's place while everything goes on.
    pub async fn swap(&self) -> Result<Result<(), Failure>, Error> {
        let (answer, reply) = oneshot::channel();
        self.queue.send(Request::Swap(answer)).await.map_err(|_| Error::Stopped)?;
        reply.await.map_err(|_| Error::Stopped)
    }

    /// Returns the position up to which the journal is durable.
    pub fn seq(&self) -> Seq {
        Seq(self.durable.load(Ordering::Acquire))
    }

    /// Returns a number that grows while the writer makes progress. The watchdog follows it.
    pub fn beat(&self) -> u64 {
        self.beat.load(Ordering::Relaxed)
    }

    /// Returns the last durable record, and the chain's hash there.
    pub fn head(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is known of the room on the store's disk.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Returns how many requests wait.
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Ends the writer once it has answered what is queued before this.
    pub async fn stop(&self) {
        // Already stopped is what is wanted.
        drop(self.queue.send(Request::Stop).await);
    }
}

/// Encodes what the journal keeps of one command.
pub fn encode(envelope: &Envelope) -> Vec<u8> {
    serde_json::to_vec(envelope)
        .expect("records hold no map with keys that are not text, and nothing that fails")
}
