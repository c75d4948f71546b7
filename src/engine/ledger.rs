//! The one writer. A thread of its own drains a bounded queue in groups: it decides each command, makes the group
//! durable with one fsync, and only then answers. What is read is read here too, between groups.
//!
//! The rows in sled are written behind, when the queue is empty or enough has gathered; nobody's answer waits for them.
//! Of a checkpoint only a slice is encoded here at a time; see [`checkpoint`].

mod swap;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::{error, info, warn};

use crate::{
    clock::Clock,
    core::{Command, Envelope, Refused, Reply, State, decide, state::RowKey},
    engine::{
        checkpoint::{self, Next as Due, Spool, Walk},
        room::Room,
        rows::{self, Change},
        wake::Wakes,
    },
    model::Seq,
    store::Head,
    telemetry::{Metrics, causes},
};

/// What the ledger needs of a store. A test or a simulation may give another.
pub trait Durable: Send {
    /// Appends payloads to the journal; not durable yet.
    fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), Failure>;
    /// Says whether the last append failed for want of room alone: none of it was recorded, and it may be tried again.
    fn waits_for_room(&self) -> bool {
        false
    }
    /// Makes all that was appended durable. After an error nothing more is promised.
    fn sync(&mut self) -> Result<(), Failure>;
    /// Writes rows that reflect the journal up to `seq`.
    fn apply(&mut self, changes: &[Change], seq: u64) -> Result<(), Failure>;
    /// Begins a checkpoint. What it returns is used by another thread.
    fn spool(&mut self) -> Result<Box<dyn Spool>, Failure>;
    /// Begins a checkpoint out of which a fresh state is built beside the live one. What it returns is used by another
    /// thread, as with the next two.
    fn builder(&mut self) -> Result<Box<dyn Spool>, Failure> {
        Err(Failure("this store keeps no state that could be built anew".to_owned()))
    }
    /// Takes the rows that a fresh state still lacks.
    fn rest(&mut self) -> Result<Box<dyn Spool>, Failure> {
        Err(Failure("no fresh state was built".to_owned()))
    }
    /// Lets the fresh state take the live one's place. Until that is `done`, rows cannot be written.
    fn swap(&mut self, done: Box<dyn FnOnce() + Send>) -> Result<(), Failure> {
        drop(done);
        Err(Failure("no fresh state was built".to_owned()))
    }
    /// Returns what that has led to, once it is done: an error if there is no state any more, a failure within if the one
    /// to go on with is not the fresh one.
    fn swapped(&mut self, wait: bool) -> Option<Result<Option<Failure>, Failure>> {
        let _ = wait;
        None
    }
    /// Removes a fresh state that does not come to its place.
    fn give_up_swap(&mut self) {}
    /// Ends the building of a fresh state that is under way, and lets none begin.
    fn stop_building(&mut self) {}
    /// Returns the end of the journal.
    fn head(&self) -> Head;
    /// Closes the state so that the next start trusts it.
    fn close(self: Box<Self>) -> Result<(), Failure>;
    /// Returns the most bytes that one payload may have.
    fn payload_max(&self) -> usize {
        PAYLOAD_MAX
    }
    /// Builds the state again that all durable records add up to; the rows that were not written yet are noted in it.
    fn read_back(&mut self) -> Result<State, Failure> {
        Err(Failure("this store cannot be read back".to_owned()))
    }
}

/// Half of what the journal takes: far more than any command should ever record.
const PAYLOAD_MAX: usize = 64 << 20;

/// An error of the store, told with all its causes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    pub(super) fn of(error: &dyn std::error::Error) -> Failure {
        Failure(causes(error))
    }
}

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

/// Rows are written behind when this many wait, so that none who asks meanwhile waits long for it...
const BEHIND_MAX: usize = 512;
/// ...or when nobody asks and the last were written this long ago: written one by one, rows cost the most.
const BEHIND_AFTER: Duration = Duration::from_millis(20);
/// How often it is tried again to record what there was no room for.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How often it is found out whether a feed is wanted, which looks at much. The feeds find out by themselves too.
const FEEDS_AFTER: Duration = Duration::from_millis(20);

struct Writer {
    state: State,
    store: Box<dyn Durable>,
    clock: Arc<dyn Clock>,
    wakes: Arc<Wakes>,
    metrics: Arc<Metrics>,
    durable: Arc<AtomicU64>,
    beat: Arc<AtomicU64>,
    group_max: usize,
    room: Arc<Room>,
    head: Arc<Mutex<Head>>,
    /// Payloads whose records are in the state and for which the journal had no room. Until they are durable nothing
    /// else is decided, and what is read may include them.
    owed: Vec<Vec<u8>>,
    /// When they were tried last.
    tried: Pace,
    /// The way to this thread's own queue, for the thread that writes a checkpoint.
    queue: mpsc::WeakSender<Request>,
    /// The checkpoint that is under way.
    walk: Option<Walk>,
    /// Who waits for a checkpoint.
    asked: Vec<checkpoint::Answer>,
    /// The swap that is wanted or under way.
    swap: Option<swap::Swap>,
    /// Rows are written no more: the state store has failed and is rebuilt at the next start.
    state_store_failed: bool,
    behind: Pace,
    feeds: Pace,
}

/// Something that is not to be done too often.
#[derive(Default)]
struct Pace(Option<Instant>);

impl Pace {
    fn due(&self, after: Duration) -> bool {
        self.0.is_none_or(|last| last.elapsed() >= after)
    }

    fn done(&mut self) {
        self.0 = Some(Instant::now());
    }
}

/// Commands that were decided together, and are answered together once their payloads are durable.
#[derive(Default)]
struct Decided {
    payloads: Vec<Vec<u8>>,
    answers: Vec<(Answer, Result<Reply, Refused>)>,
    /// Whether there was anything to record, durable by now or still in `payloads`.
    recorded: bool,
}

/// What became of the group that was under way.
enum Next {
    Go,
    Stop,
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

impl Writer {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), Failure> {
        let outcome = loop {
            let Some(first) = requests.blocking_recv() else { break Ok(()) };
            let mut group = vec![first];
            while group.len() < self.group_max {
                match requests.try_recv() {
                    Ok(request) => group.push(request),
                    Err(_) => break,
                }
            }
            match self.group(group) {
                Ok(Next::Go) => {}
                Ok(Next::Stop) => break Ok(()),
                Err(failure) => break Err(failure),
            }
            if !self.owed.is_empty() {
                continue;
            }
            let quiet = requests.is_empty() && self.behind.due(BEHIND_AFTER);
            if quiet || self.state.dirty.len() >= BEHIND_MAX {
                self.write_behind();
                self.behind.done();
            }
        };
        requests.close();
        match outcome {
            Ok(()) => self.close(),
            Err(failure) => {
                error!(%failure, "the journal failed: nothing is acknowledged any more; restart after mending the disk");
                Err(failure)
            }
        }
    }

    fn group(&mut self, group: Vec<Request>) -> Result<Next, Failure> {
        self.beat.fetch_add(1, Ordering::Relaxed);
        self.metrics.set_queue(group.len());
        self.pay()?;
        if self.owed.is_empty() {
            self.land(false);
        }
        let mut decided = Decided::default();
        let mut reads = Vec::new();
        let mut slice = false;
        let mut next = Next::Go;
        for request in group {
            match request {
                Request::Decide(command, answer) if self.takes(&command) => {
                    self.decide(command, answer, &mut decided)?;
                }
                Request::Decide(_, answer) => drop(answer.send(Err(Error::NoRoom))),
                Request::Read(read) => reads.push(read),
                Request::Checkpoint(answer) => {
                    self.asked.push(answer);
                    slice |= self.walk.is_none();
                }
                Request::Swap(answer) => {
                    self.want_swap(answer);
                    slice |= self.walk.is_none();
                }
                Request::Slice => slice = true,
                Request::Stop => next = Next::Stop,
            }
        }
        self.make_durable(&decided.payloads, self.state.seq)?;
        let durable = self.owed.is_empty();
        for (answer, reply) in decided.answers {
            // Who asked may have gone; what was recorded stays recorded.
            drop(answer.send(if durable { reply.map_err(Error::Refused) } else { Err(Error::NoRoom) }));
        }
        for read in reads {
            read(&self.state);
        }
        if !durable {
            if slice && self.walk.as_ref().is_some_and(Walk::is_ending) {
                self.end_walk();
            }
            let failure = Failure("there is no room to record anything".to_owned());
            for answer in self.asked.drain(..) {
                drop(answer.send(Err(failure.clone())));
            }
            if self.walk.is_none() {
                self.fail_swap(&failure);
            }
        } else if slice {
            self.checkpoint();
        }
        if decided.recorded && durable {
            self.wakes.after(&self.state);
            if self.feeds.due(FEEDS_AFTER) {
                self.wakes.feeds(&self.state, self.clock.now());
                self.feeds.done();
            }
        }
        Ok(next)
    }

    fn decide(&mut self, command: Command, answer: Answer, decided: &mut Decided) -> Result<(), Failure> {
        if matches!(command, Command::Tick) {
            self.metrics.standing(&self.state, self.clock.now());
        }
        let (envelope, mut reply) = decide(&mut self.state, command, self.clock.now());
        if let Some(envelope) = envelope {
            let payload = encode(&envelope);
            let most = self.store.payload_max();
            if payload.len() > most {
                self.undo(decided)?;
                error!(
                    bytes = payload.len(),
                    most, "a command was refused: its record does not fit the journal"
                );
                reply = Err(Refused::TooLarge { bytes: payload.len(), most });
            } else {
                self.metrics.recorded(&self.state, &envelope);
                decided.payloads.push(payload);
                decided.recorded = true;
            }
        }
        decided.answers.push((answer, reply));
        Ok(())
    }

    /// Takes back the last command, whose records are in the state and cannot be in the journal. Takes as long as a
    /// start; nothing should ever come to this, and if it does, it must not end the process.
    fn undo(&mut self, decided: &mut Decided) -> Result<(), Failure> {
        let before = Seq(self.state.seq.0 - 1);
        self.make_durable(&decided.payloads, before)?;
        if !self.owed.is_empty() {
            return Err(Failure(
                "a record does not fit the journal, and there is no room for those before it".into(),
            ));
        }
        decided.payloads.clear();
        self.state = self.store.read_back()?;
        debug_assert_eq!(self.state.seq, before, "the records of all commands before it are durable");
        Ok(())
    }

    /// Says whether a command may be decided as things stand.
    fn takes(&self, command: &Command) -> bool {
        self.owed.is_empty() && (self.room.is_open() || !command.takes_in())
    }

    /// Tries again to record what there was no room for.
    fn pay(&mut self) -> Result<(), Failure> {
        if self.owed.is_empty() || !self.tried.due(RETRY_AFTER) {
            return Ok(());
        }
        let owed = std::mem::take(&mut self.owed);
        self.make_durable(&owed, self.state.seq)?;
        if self.owed.is_empty() {
            self.restart()?;
        }
        if self.owed.is_empty() {
            self.room.recovered();
            info!(seq = self.state.seq.0, "there is room again: what was owed is recorded, and all goes on");
            self.wakes.after(&self.state);
        }
        Ok(())
    }

    /// Makes unknown what is in flight, as after a restart: what was owed may have put it there with nobody to send it, and
    /// answers were turned away.
    fn restart(&mut self) -> Result<(), Failure> {
        let mut decided = Decided::default();
        let (nobody, _) = oneshot::channel();
        self.decide(Command::Start { epoch: self.state.epoch }, nobody, &mut decided)?;
        self.make_durable(&decided.payloads, self.state.seq)
    }

    /// Makes payloads durable, the last of which is the record `seq`. Those for which there is no room are owed.
    fn make_durable(&mut self, payloads: &[Vec<u8>], seq: Seq) -> Result<(), Failure> {
        if payloads.is_empty() {
            return Ok(());
        }
        let mut appended = 0;
        // What one fsync covers may be more than the journal takes in one piece.
        for portion in portions(payloads) {
            match self.store.append(portion) {
                Ok(()) => appended += portion.len(),
                Err(failure) if self.store.waits_for_room() => {
                    self.owe(&payloads[appended..], &failure);
                    return Ok(());
                }
                Err(failure) => return Err(failure),
            }
        }
        let begun = Instant::now();
        self.store.sync()?;
        self.metrics.fsynced(payloads.len(), begun.elapsed());
        self.durable.store(seq.0, Ordering::Release);
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = self.store.head();
        Ok(())
    }

    fn owe(&mut self, payloads: &[Vec<u8>], failure: &Failure) {
        self.owed = payloads.to_vec();
        self.tried.done();
        if self.room.failed(&failure.0) {
            error!(%failure, "the disk is full or read-only: nothing is acknowledged until it takes more; nothing that was is lost");
        }
        // It would have to be of the journal's end, which the state is ahead of. Its thread ends by itself: it may wait
        // for this one.
        self.walk.take_if(|walk| !walk.is_ending());
        for answer in self.asked.drain(..) {
            drop(answer.send(Err(failure.clone())));
        }
        if self.walk.is_none() {
            self.fail_swap(failure);
        }
    }

    fn write_behind(&mut self) {
        if self.state.dirty.is_empty() || self.state_store_failed {
            self.take_dirty();
            return;
        }
        if self.keep_touched() {
            return;
        }
        let dirty = self.take_dirty();
        let changes = rows::changes(&self.state, &dirty).map_err(|e| Failure::of(&e));
        let written = changes.and_then(|changes| self.store.apply(&changes, self.state.seq.0));
        if let Err(failure) = written {
            warn!(%failure, "the state store failed; going on from memory, it is rebuilt at the next start");
            self.state_store_failed = true;
        }
    }

    /// Takes the rows that were touched; a checkpoint that is under way is told of them.
    fn take_dirty(&mut self) -> BTreeSet<RowKey> {
        let dirty = self.state.take_dirty();
        if let Some(walk) = &mut self.walk {
            walk.touch(&dirty);
        }
        dirty
    }

    /// Goes on with the checkpoint or the swap that somebody asked for, by one slice.
    fn checkpoint(&mut self) {
        if let Err(failure) = self.go_on() {
            self.end_walk();
            for answer in self.asked.drain(..) {
                drop(answer.send(Err(failure.clone())));
            }
            self.fail_swap(&failure);
        }
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        if self.walk.as_ref().is_some_and(|walk| walk.next(&self.state) == Due::Over)
            && let Some(walk) = self.walk.take()
        {
            let ended = walk.end();
            self.swap_goes_on(ended);
        }
        if self.walk.is_none() && (!self.asked.is_empty() || self.wants_swap()) {
            self.begin_walk()?;
        }
        let Some(walk) = &mut self.walk else { return Ok(()) };
        if walk.next(&self.state) == Due::Slice {
            return walk.slice(&self.state);
        }
        self.write_behind();
        // Who waits for a checkpoint does not get it by a walk that makes none.
        let mut nobody = Vec::new();
        let asked = if self.is_catching_up() { &mut nobody } else { &mut self.asked };
        match &mut self.walk {
            Some(walk) => walk.turn(&self.state, self.store.head(), asked),
            None => Ok(()),
        }
    }

    fn begin_walk(&mut self) -> Result<(), Failure> {
        self.write_behind();
        let go = self.go()?;
        let swaps = self.wants_swap();
        let spool = if swaps { self.store.builder()? } else { self.store.spool()? };
        let walk = Walk::begin(spool, go);
        self.walk = Some(walk.map_err(|error| Failure(format!("no thread for a checkpoint: {error}")))?);
        if swaps {
            self.swap_began();
        }
        Ok(())
    }

    /// Returns what another thread calls when it has done its part.
    fn go(&self) -> Result<impl Fn() + Send + 'static, Failure> {
        let queue = self.queue.clone();
        if queue.upgrade().is_none() {
            return Err(Failure("the daemon is stopping".to_owned()));
        }
        // A ledger that has ended needs no slice, and is not kept going by one that waits for it.
        Ok(move || {
            if let Some(queue) = queue.upgrade() {
                drop(queue.blocking_send(Request::Slice));
            }
        })
    }

    /// Ends the walk that is under way before its end, and with it the swap that waits for it.
    fn end_walk(&mut self) {
        if let Some(walk) = self.walk.take() {
            drop(walk.end());
            if !self.wants_swap() {
                self.fail_swap(&Failure("it was not written to its end".to_owned()));
            }
        }
    }

    fn close(mut self) -> Result<(), Failure> {
        self.store.stop_building();
        self.end_walk();
        self.tried = Pace::default();
        self.pay()?;
        if !self.owed.is_empty() {
            // None of it was acknowledged to anybody. Rows that reflect it must not be written.
            warn!(records = self.owed.len(), "stopped without room for what was under way; it comes again");
            return Ok(());
        }
        self.land(true);
        self.write_behind();
        info!(seq = self.state.seq.0, head = %self.store.head().hash, "journal closed");
        if self.state_store_failed { Ok(()) } else { self.store.close() }
    }
}

/// The most bytes that are appended in one piece, a single payload that is longer aside.
const PORTION_BYTES: usize = 8 << 20;

fn portions(payloads: &[Vec<u8>]) -> impl Iterator<Item = &[Vec<u8>]> {
    let mut rest = payloads;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |payload: &&Vec<u8>| {
            bytes += payload.len();
            bytes <= PORTION_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (portion, left) = rest.split_at(count);
        rest = left;
        (!portion.is_empty()).then_some(portion)
    })
}

/// Encodes what the journal keeps of one command.
pub fn encode(envelope: &Envelope) -> Vec<u8> {
    serde_json::to_vec(envelope)
        .expect("records hold no map with keys that are not text, and nothing that fails")
}
