//! The ledger's thread: decides in groups, makes each durable with one fsync, and only then answers.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::{error, info, warn};

use super::{Answer, Durable, Error, Failure, Request, encode, swap};
use crate::{
    clock::Clock,
    core::{Command, Refused, Reply, State, decide, state::RowKey},
    engine::{
        checkpoint::{self, Next as Due, Walk},
        room::Room,
        rows,
        wake::Wakes,
    },
    model::Seq,
    store::Head,
    telemetry::Metrics,
};

/// Rows are written behind when this many wait, so that none who asks meanwhile waits long for it...
const BEHIND_MAX: usize = 512;
/// ...or when nobody asks and the last were written this long ago: written one by one, rows cost the most.
const BEHIND_AFTER: Duration = Duration::from_millis(20);
/// How often it is tried again to record what there was no room for.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How often it is found out whether a feed is wanted, which looks at much. The feeds find out by themselves too.
const FEEDS_AFTER: Duration = Duration::from_millis(20);

pub(super) struct Writer {
    pub(super) state: State,
    pub(super) store: Box<dyn Durable>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wakes: Arc<Wakes>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) durable: Arc<AtomicU64>,
    pub(super) beat: Arc<AtomicU64>,
    pub(super) group_max: usize,
    pub(super) room: Arc<Room>,
    pub(super) head: Arc<Mutex<Head>>,
    /// Payloads whose records are in the state and for which the journal had no room. Until they are durable nothing
    /// else is decided, and what is read may include them.
    pub(super) owed: Vec<Vec<u8>>,
    /// When they were tried last.
    pub(super) tried: Pace,
    /// The way to this thread's own queue, for the thread that writes a checkpoint.
    pub(super) queue: mpsc::WeakSender<Request>,
    /// The checkpoint that is under way.
    pub(super) walk: Option<Walk>,
    /// Who waits for a checkpoint.
    pub(super) asked: Vec<checkpoint::Answer>,
    /// The swap that is wanted or under way.
    pub(super) swap: Option<swap::Swap>,
    /// Rows are written no more: the state store has failed and is rebuilt at the next start.
    pub(super) state_store_failed: bool,
    pub(super) behind: Pace,
    pub(super) feeds: Pace,
}

/// Something that is not to be done too often.
#[derive(Default)]
pub(super) struct Pace(Option<Instant>);

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

impl Writer {
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), Failure> {
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
                Request::Decide(_, answer) => drop(answer.send(Err(Error::Closed))),
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

    pub(super) fn write_behind(&mut self) {
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
    pub(super) fn take_dirty(&mut self) -> BTreeSet<RowKey> {
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
    pub(super) fn go(&self) -> Result<impl Fn() + Send + 'static, Failure> {
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
