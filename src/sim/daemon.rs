//! The daemon as a process: the real core over the real journal, on a disk that tears, loses, fills up and fails.
//!
//! As in the engine, commands are decided together, made durable with one fsync, and answered only then. What is durable is
//! applied to a second state, which the checks look at and which a start must find again, whatever became of the first.

use std::{
    collections::{BTreeMap, VecDeque},
    io::ErrorKind,
    ops::Range,
    path::Path,
    sync::Arc,
};

use crate::{
    core::{Command, Envelope, Refused, Reply, State, apply, decide},
    engine::{
        disk::decode,
        ledger::encode,
        rows::{self, ROWS_VERSION},
    },
    model::{Seq, Timestamp},
    sim::{
        check::{Checks, sure},
        random::Random,
    },
    store::{Options, Store, disk::Disk, disk::sim::SimDisk, journal, state},
};

const DIR: &str = "/store";
/// Small, so that segments are begun, archived and read over.
const SEGMENT_BYTES: u64 = 256 * 1024;
/// One in so many records is read back as it was recorded. All are the same bytes to the last one, and those of a store that is put
/// back are read.
const READ_BACK: u64 = 8;

/// What was decided, and the bytes that the journal has of it.
struct Recorded {
    payload: Vec<u8>,
    envelope: Envelope,
}

pub(super) struct Daemon {
    pub(super) disk: SimDisk,
    store: Option<Store>,
    /// What it decides on. `None`: it is down.
    state: Option<State>,
    /// What is durable adds up to this.
    pub(super) durable: State,
    /// What was decided and is not known to be durable.
    pending: VecDeque<Recorded>,
    /// What is durable since the latest checkpoint, by its position.
    since: BTreeMap<u64, Recorded>,
    /// There was no room for what is pending.
    owes: bool,
    /// A backup was put back, and the journal does not say so yet.
    restored: bool,
    /// Counts its lives: what was sent in an earlier one is answered to nobody.
    pub(super) life: u64,
    pub(super) decided: u64,
    pub(super) recorded: u64,
}

/// What became of a group of commands.
pub(super) enum Fate {
    Replies(Vec<Result<Reply, Refused>>),
    /// There is no room: nothing is acknowledged.
    NoRoom,
    /// The process is gone.
    Died(String),
}

/// What goes wrong while a group is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    None,
    Power(u64),
    /// It dies: before anything is written, or once all is durable and before anybody hears of it.
    Killed {
        durable: bool,
    },
    Full,
    Error(u64),
}

impl Daemon {
    pub(super) fn new() -> Daemon {
        Daemon {
            disk: SimDisk::new(),
            store: None,
            state: None,
            durable: State::default(),
            pending: VecDeque::new(),
            since: BTreeMap::new(),
            owes: false,
            restored: false,
            life: 0,
            decided: 0,
            recorded: 0,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.is_some()
    }

    pub(super) fn owes(&self) -> bool {
        self.owes
    }

    /// Returns the state as it is read between groups. Empty while it is down.
    pub(super) fn read(&self) -> Option<&State> {
        self.state.as_ref().filter(|_| !self.owes)
    }

    /// Decides commands, makes what they record durable, and returns their replies.
    pub(super) fn submit(
        &mut self,
        commands: Vec<Command>,
        now: i64,
        mishap: Mishap,
        checks: &mut Checks,
    ) -> Result<Fate, String> {
        let Some(state) = &mut self.state else { return Ok(Fate::Died("it is down".into())) };
        let (mut replies, before) = (Vec::new(), self.pending.len());
        for command in commands {
            let (envelope, reply) = decide(state, command, Timestamp::from_millis(now));
            self.decided += 1;
            self.pending.extend(envelope.map(|envelope| Recorded { payload: encode(&envelope), envelope }));
            replies.push(reply);
        }
        self.recorded += (self.pending.len() - before) as u64;
        match mishap {
            Mishap::None => {}
            Mishap::Power(after) => self.disk.cut_after(after),
            Mishap::Error(after) => self.disk.fail_after(after, ErrorKind::Other),
            Mishap::Full => self.disk.set_capacity(0),
            Mishap::Killed { durable: false } => return Ok(self.die("killed")),
            Mishap::Killed { durable: true } => {
                self.pay(checks)?;
                return Ok(self.die("killed"));
            }
        }
        match self.pay(checks)? {
            Fate::Replies(_) => Ok(Fate::Replies(replies)),
            fate @ (Fate::NoRoom | Fate::Died(_)) => Ok(fate),
        }
    }

    /// Writes what is pending and makes it durable.
    pub(super) fn pay(&mut self, checks: &mut Checks) -> Result<Fate, String> {
        let Some(store) = &mut self.store else { return Ok(Fate::Died("it is down".into())) };
        if !self.pending.is_empty() {
            let payloads: Vec<&Vec<u8>> = self.pending.iter().map(|recorded| &recorded.payload).collect();
            match store.append(&payloads) {
                Ok(_) => {}
                Err(journal::Error::NoRoom(_)) => {
                    self.owes = true;
                    return Ok(Fate::NoRoom);
                }
                Err(error) => return Ok(self.die(&error.to_string())),
            }
            if let Err(error) = store.sync() {
                return Ok(self.die(&error.to_string()));
            }
        }
        self.owes = false;
        let all = self.pending.len();
        self.settle(all, checks)?;
        Ok(Fate::Replies(Vec::new()))
    }

    /// The first `count` pending payloads are durable: they are checked, and applied to what is durable.
    fn settle(&mut self, count: usize, checks: &mut Checks) -> Result<(), String> {
        for recorded in self.pending.drain(..count) {
            let seq = self.durable.seq.next();
            let envelope = &recorded.envelope;
            if seq.0.is_multiple_of(READ_BACK) {
                let read = decode(seq.0, &recorded.payload);
                let read = read.map_err(|e| format!("what was recorded cannot be read: {e}"))?;
                sure(read == *envelope, || {
                    format!("record {} is read as {read:?}, and was {envelope:?}", seq.0)
                })?;
            }
            for record in &envelope.records {
                checks.before(&self.durable, envelope.at, record)?;
                apply::one(&mut self.durable, seq, envelope.at, record);
                checks.after(&self.durable, envelope.at, record)?;
            }
            self.durable.seq = seq;
            checks.on_the_way(&self.durable)?;
            self.since.insert(seq.0, recorded);
        }
        self.durable.dirty.clear();
        Ok(())
    }

    /// The process is gone. What it had not made durable may be there or not.
    pub(super) fn die(&mut self, why: &str) -> Fate {
        (self.store, self.state, self.owes) = (None, None, false);
        self.life += 1;
        Fate::Died(why.to_owned())
    }

    /// Puts a backup in place of all that there is.
    pub(super) fn put_back(&mut self, disk: SimDisk, durable: State) {
        drop(self.die("stopped"));
        self.pending.clear();
        self.since.clear();
        (self.disk, self.durable, self.restored) = (disk, durable, true);
    }

    /// Tells whether a backup was put in place of what there was, and it has not started since.
    pub(super) fn is_put_back(&self) -> bool {
        self.restored
    }

    /// Gives the disk room again.
    pub(super) fn make_room(&mut self) {
        self.disk.heal();
    }

    /// Starts it on what the disk holds. `power`: it was off, and what was not synced went by the whim. Returns why it does
    /// not start.
    pub(super) fn start(
        &mut self,
        now: i64,
        (power, whim): (bool, u64),
        state_lost: bool,
        configure: Command,
        checks: &mut Checks,
    ) -> Result<Option<String>, String> {
        if power || !self.disk.has_power() {
            self.disk.power_cut(whim);
        }
        self.disk.heal();
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let (store, start) = Store::open_without_state(disk, Path::new(DIR), options())
            .map_err(|error| format!("the store does not open: {error}"))?;
        let mut state = rows::load(start.rows.map(|row| row.map_err(|e| Broken(e.to_string()))))
            .map_err(|error| format!("the rows of a checkpoint cannot be read: {}", error.0))?;
        state.seq = Seq(start.applied_seq);
        let held = self.durable.seq;
        for record in store.read_from(state.seq.0 + 1) {
            let record = record.map_err(|error| format!("the journal cannot be read: {error}"))?;
            let (seq, nth) = (record.seq, record.seq.checked_sub(held.0 + 1));
            let nth = nth.map(|nth| usize::try_from(nth).unwrap_or(usize::MAX));
            let known = nth.map_or_else(|| self.since.get(&seq), |nth| self.pending.get(nth));
            match known {
                Some(known) if known.payload == record.payload => {
                    apply(&mut state, Seq(seq), &known.envelope);
                }
                None if nth.is_none() => {
                    let envelope = decode(seq, &record.payload).map_err(|e| e.to_string())?;
                    apply(&mut state, Seq(seq), &envelope);
                }
                Some(_) | None => return Err(format!("record {seq} is not what was recorded")),
            }
        }
        if state.seq < held {
            return Err(format!(
                "I1: records up to {held} were acknowledged, the journal ends at {}",
                state.seq
            ));
        }
        let found = usize::try_from(state.seq.0 - held.0).unwrap_or(usize::MAX);
        self.settle(found, checks)?;
        self.pending.clear();
        state.dirty.clear();
        checks.same(&state, &self.durable)?;
        let fresh = state.epoch == 0 || state_lost || self.restored;
        let epoch = if fresh { state.next_epoch(Timestamp::from_millis(now)) } else { state.epoch };
        (self.store, self.state) = (Some(store), Some(state));
        let mut commands = vec![configure, Command::Start { epoch }];
        commands.extend(self.restored.then_some(Command::Restored));
        match self.submit(commands, now, Mishap::None, checks)? {
            Fate::Replies(_) => {
                self.restored = false;
                Ok(None)
            }
            Fate::NoRoom => Ok(Some("there is no room".into())),
            Fate::Died(why) => Ok(Some(why)),
        }
    }

    /// Returns the chain's hash at the end of the journal.
    pub(super) fn end(&self) -> String {
        self.store.as_ref().map_or_else(String::new, |store| store.head().hash.to_string())
    }

    /// Writes a checkpoint, and archives what it has made unnecessary.
    pub(super) fn checkpoint(&mut self) -> Result<(), String> {
        let (Some(store), Some(state)) = (&mut self.store, &self.state) else { return Ok(()) };
        if self.owes || !self.pending.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = rows::each(state).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        store.checkpoint(rows).map_err(|e| format!("no checkpoint: {e}"))?;
        store.archiver().run().map_err(|e| format!("nothing archived: {e}"))?;
        self.since.clear();
        Ok(())
    }

    /// Flips a bit in a copy of the journal: it must say so, or add up to the same. A forged record it must name.
    pub(super) fn rot(&self, random: &mut Random) -> Result<(), String> {
        let copy = self.disk.clone_content();
        let dir = Path::new(DIR).join("journal");
        let names = copy.list(&dir).map_err(|e| e.to_string())?;
        let Some(name) = random.pick(&names) else { return Ok(()) };
        let path = dir.join(name);
        let Some(mut content) = copy.content(&path) else { return Ok(()) };
        let records = records(&content);
        if let Some(record) = random.pick(&records).cloned().filter(|_| random.chance(300)) {
            forge(&mut content[record.clone()]);
            copy.tamper(&path, content);
            let told =
                || format!("the record at byte {} of `{name}` was forged, and nobody noticed", record.start);
            return sure(read_whole(Arc::new(copy)).is_err(), told);
        }
        let at = random.below(content.len());
        if let Some(byte) = content.get_mut(at) {
            *byte ^= 1 << random.below(8);
        }
        copy.tamper(&path, content);
        match replay(Arc::new(copy)) {
            // It is named, with the place.
            Err(_) => Ok(()),
            Ok(state) if state.seq == self.durable.seq => Checks::identical(&state, &self.durable)
                .map_err(|why| format!("bit {at} of `{name}` rotted, and nobody noticed: {why}")),
            Ok(state) => Err(format!("byte {at} of `{name}` rotted, and the journal ends at {}", state.seq)),
        }
    }
}

/// Returns where the records of a segment lie, by the layout that is written down for it.
fn records(segment: &[u8]) -> Vec<Range<usize>> {
    const HEADERS: [usize; 3] = [64, 24, 48];
    let [mut at, group, record] = HEADERS;
    let number = |at: usize| {
        let bytes = segment.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let mut found = Vec::new();
    // What follows the last group is a note: a group without records.
    while let Some(count) = number(at + 12).filter(|count| *count > 0) {
        at += group;
        for _ in 0..count {
            let Some(end) = number(at + 4).map(|len| at + record + len).filter(|end| *end <= segment.len())
            else {
                return found;
            };
            found.push(at..end);
            at = end;
        }
    }
    found
}

/// Changes the end of a record, and makes its checksum right again.
fn forge(record: &mut [u8]) {
    if let Some(byte) = record.last_mut() {
        *byte ^= 1;
    }
    let sum = crc32fast::hash(&record[4..]);
    record[..4].copy_from_slice(&sum.to_le_bytes());
}

/// Reads all records of a journal.
fn read_whole(disk: Arc<dyn Disk>) -> Result<(), String> {
    let (store, _) =
        Store::open_without_state(disk, Path::new(DIR), options()).map_err(|error| error.to_string())?;
    let mut records = store.read_from(store.first_seq());
    records.try_for_each(|record| record.map(drop)).map_err(|error| error.to_string())
}

/// Returns what a store adds up to.
fn replay(disk: Arc<dyn Disk>) -> Result<State, String> {
    let (store, start) =
        Store::open_without_state(disk, Path::new(DIR), options()).map_err(|error| error.to_string())?;
    let mut state =
        rows::load(start.rows.map(|row| row.map_err(|e| Broken(e.to_string())))).map_err(|e| e.0)?;
    state.seq = Seq(start.applied_seq);
    for record in store.read_from(state.seq.0 + 1) {
        let record = record.map_err(|error| error.to_string())?;
        let envelope = decode(record.seq, &record.payload).map_err(|e| e.to_string())?;
        apply(&mut state, Seq(record.seq), &envelope);
    }
    Ok(state)
}

fn options() -> Options {
    let journal = journal::Options { segment_bytes: SEGMENT_BYTES, ..journal::Options::default() };
    let state = state::Options { rows_version: ROWS_VERSION, ..state::Options::default() };
    Options { journal, state, ..Options::default() }
}

/// Why rows could not be read.
struct Broken(String);

impl From<rows::Error> for Broken {
    fn from(error: rows::Error) -> Broken {
        Broken(error.to_string())
    }
}
