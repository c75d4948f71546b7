//! The store: a journal that is the truth, and a state that is materialised from it.
//!
//! It owns one directory and every file in it, and knows nothing of the domain: journal payloads are bytes,
//! rows of the state are pairs of bytes. The caller keeps all rows in memory, decides what to append, and
//! writes its rows through. In this order, by one writer, on a thread that may block:
//!
//! 1. [`Store::append`] a group of records, [`Store::sync`]: only then may anyone be answered;
//! 2. [`Store::apply_batch`]: the rows that the group changed, any time later.
//!
//! [`Store::open`] gives back rows that reflect some record of the journal. The caller replays the records
//! after it ([`Store::read_from`]), and if the rows did not come out of the state, it hands all of them back
//! ([`Store::load`]), for a new state.
//!
//! An error of the journal ends everything: nothing more is acknowledged, the process restarts. An error of the
//! state ends nothing: the caller goes on from memory, and the next start builds the state again.
//!
//! ```text
//! lock                  held by the one process that uses the directory
//! journal/              segments, see `journal`
//! archive/              older segments, compressed; may be elsewhere
//! checkpoints/          all rows as of some record, see `checkpoint`
//! state/, state.aside-n what sled keeps, and what is not trusted any more, see `state`
//! state.new, state.old  a state that is being built, and one whose place it takes
//! ```

pub mod backup;
mod bytes;
pub mod checkpoint;
pub mod crash;
pub mod disk;
pub mod journal;
pub mod lock;
mod rows;
pub mod state;
mod swap;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use checkpoint::Checkpoints;
pub use journal::{Archived, ChainHash, Head, Record, Records, Report};
pub use rows::{Row, RowChange};
pub use state::{Footprint, footprint};
pub use swap::{Fresh, Leaving, Swapped, Swapper, build_fresh};

use checkpoint::{Checkpoint, Flaw, Skipped};
use crash::crash_point;
use disk::{Disk, Fault, Named, RealDisk, make_dir};
use journal::{Journal, TornTail};
use lock::Lock;
use rows::PackedRows;
use state::{Opened, Opener, Position, Reason, RowScan, State};

/// How to open a store.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub journal: journal::Options,
    pub state: state::Options,
    /// Where archived segments lie; below the store's directory unless another place is named.
    pub archive: Option<PathBuf>,
    /// The program that builds a fresh state in a process of its own, so that the memory that this takes is given back: see
    /// [`build_fresh`]. `None`: it is built here.
    pub builder: Option<PathBuf>,
    /// Sets the state aside whatever it is worth.
    pub force_rebuild: bool,
    /// Takes a journal that ends before the state or a checkpoint for what there is, when the state is set aside.
    pub give_up: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Disk(#[from] Fault),
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    #[error(
        "{what} reflects record {seq}, but the journal ends at record {last}: acknowledged records are missing \
         ({} of them); put the files of `journal/` back that are gone, or restore a backup; only `evenkeel rebuild \
         --give-up-records` goes on without them, for good",
        seq.saturating_sub(*last)
    )]
    Ahead { what: &'static str, seq: u64, last: u64 },
    #[error(
        "{what} reflects record {seq}, and the journal is empty: nothing can be rebuilt from it; put the files of \
         `journal/` back, or restore a backup"
    )]
    NoJournal { what: &'static str, seq: u64 },
    #[error(
        "the restore into `{}` did not come to its end; run `evenkeel restore` with the same backup again",
        dir.display()
    )]
    Restoring { dir: PathBuf },
    #[error(
        "the journal begins at record {first_seq} and no checkpoint holds what came before{}; restore the older \
         journal files or a checkpoint from a backup",
        why.iter().map(|why| format!(" ({why})")).collect::<String>()
    )]
    NoBase { first_seq: u64, why: Vec<String> },
}

/// Where the rows of a [`Start`] come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    State,
    /// From here and from `Empty`, the caller hands all rows back with [`Store::load`].
    Checkpoint,
    Empty,
}

/// What a store opens with.
#[derive(Debug)]
pub struct Start {
    pub source: Source,
    /// The journal record that the rows reflect. The caller replays the records after it.
    pub applied_seq: u64,
    pub rows: Rows,
    /// What whoever runs this should know.
    pub notes: Vec<Note>,
}

/// Something that was found or done while opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Bytes at the end of the journal that were never acknowledged were cut off.
    TailCut(TornTail),
    /// There is no state to use, and why.
    StateUnused {
        reason: Reason,
        aside: Option<PathBuf>,
    },
    CheckpointUnused(Skipped),
    /// The checkpoint of this record was written by an older release, and the journal does not reach back to its beginning.
    OlderRows {
        seq: u64,
    },
    /// Records from `first` to `last` were acknowledged, are not in the journal any more, and were given up.
    GivenUp {
        first: u64,
        last: u64,
    },
    /// Older records cannot be had out of the archive, and why. Nothing needs them as long as there is a checkpoint.
    ArchiveUnused(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::TailCut(tail) => write!(f, "an unfinished end of the journal was cut off, {tail}"),
            Note::StateUnused { reason, aside: None } => write!(f, "the state is built anew: {reason}"),
            Note::StateUnused { reason, aside: Some(aside) } => {
                write!(f, "the state is built anew: {reason}; it was set aside as `{}`", aside.display())
            }
            Note::CheckpointUnused(skipped) => skipped.fmt(f),
            Note::OlderRows { seq } => write!(
                f,
                "the checkpoint of record {seq} is an older release's, and the journal from before it is gone: stock, orders and \
                 listings are taken over from it; what that release did not keep, such as drift, begins anew"
            ),
            Note::GivenUp { first, last } => {
                write!(
                    f,
                    "the records {first} to {last} are not in the journal any more, and are given up for good"
                )
            }
            Note::ArchiveUnused(why) => write!(f, "the archive cannot be used: {why}"),
        }
    }
}

/// Rows to start with. Rows of a state have been checked; a checkpoint that has been checked may still fail to
/// be read again.
#[derive(Debug)]
pub struct Rows(RowSource);

#[derive(Debug)]
enum RowSource {
    Packed(PackedRows),
    Checkpoint(checkpoint::Reader),
}

impl Iterator for Rows {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            RowSource::Packed(rows) => rows.next().map(Ok),
            RowSource::Checkpoint(rows) => rows.next().map(|row| row.map_err(Error::from)),
        }
    }
}

/// A store that is open. There is one per directory.
#[derive(Debug)]
pub struct Store {
    journal: Journal,
    checkpoints: Checkpoints,
    archiver: Archiver,
    state: Slot,
    swapper: Option<Swapper>,
    _lock: Option<Lock>,
}

#[derive(Debug)]
enum Slot {
    Live(State),
    /// A fresh one is taking its place.
    Swapping,
    /// None yet: the caller has to load all rows.
    Missing(Opener),
    /// This store keeps none.
    Off,
}

impl Store {
    /// Opens the store in a directory, or creates it.
    pub fn open(path: &Path, options: Options) -> Result<(Store, Start), Error> {
        make_root(path)?;
        let lock = Lock::acquire(path)?;
        if path.join(backup::RESTORING).exists() {
            return Err(Error::Restoring { dir: path.to_path_buf() });
        }
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let boot_id = boot_id();
        let opener = Opener::new(Arc::clone(&disk), path, boot_id.as_deref(), options.state);
        Store::start(disk, path, options, Some(opener), Some(lock))
    }

    /// Opens a store that keeps no state and takes no lock: every start is from checkpoint and journal. For
    /// simulations and for trying things out on a disk of their own.
    pub fn open_without_state(
        disk: Arc<dyn Disk>,
        path: &Path,
        options: Options,
    ) -> Result<(Store, Start), Error> {
        make_dir(disk.as_ref(), path)?;
        Store::start(disk, path, options, None, None)
    }

    fn start(
        disk: Arc<dyn Disk>,
        path: &Path,
        options: Options,
        opener: Option<Opener>,
        lock: Option<Lock>,
    ) -> Result<(Store, Start), Error> {
        let archive = options.archive.unwrap_or_else(|| archive_of(path));
        let dir = path.join("journal");
        let (journal, recovered) = Journal::open(Arc::clone(&disk), &dir, &archive, options.journal)?;
        let checkpoints =
            Checkpoints::new(Arc::clone(&disk), &path.join("checkpoints"), options.state.rows_version);
        let archiver = Archiver { disk, dir, archive, checkpoints: checkpoints.clone() };
        let swapper = opener.clone().map(|opener| Swapper::new(opener, path, &checkpoints, options.builder));
        let mut notes: Vec<Note> = recovered.cut.map(Note::TailCut).into_iter().collect();
        notes.extend(recovered.archive.map(Note::ArchiveUnused));
        let mut ahead = Ahead { give_up: options.force_rebuild && options.give_up, furthest: 0 };
        let opened = match &opener {
            Some(opener) if options.force_rebuild => set_aside(opener, &journal, &mut ahead)?,
            Some(opener) => reject_if_foreign(opener.open(false)?, &journal)?,
            None => Opened::Rebuild { reason: Reason::Missing, aside: None },
        };
        let (state, start) = match opened {
            Opened::Trusted { state, at, rows } => {
                let rows = Rows(RowSource::Packed(rows));
                (Slot::Live(state), Start { source: Source::State, applied_seq: at.seq, rows, notes })
            }
            Opened::Rebuild { reason, aside } => {
                if opener.is_some() {
                    notes.push(Note::StateUnused { reason, aside });
                }
                let base = find_base(&journal, &checkpoints, &mut ahead, notes)?;
                (opener.map_or(Slot::Off, Slot::Missing), base)
            }
        };
        Ok((Store { journal, checkpoints, archiver, state, swapper, _lock: lock }, start))
    }

    /// Writes a group of records, whole or not at all. Nobody may be answered before [`Store::sync`].
    pub fn append<P: AsRef<[u8]>>(&mut self, payloads: &[P]) -> Result<RangeInclusive<u64>, journal::Error> {
        let seqs = self.journal.append(payloads)?;
        crash_point("after_append");
        Ok(seqs)
    }

    /// Makes all that was appended durable.
    pub fn sync(&mut self) -> Result<(), journal::Error> {
        self.journal.sync()?;
        crash_point("after_sync");
        Ok(())
    }

    /// Returns the last durable record. Its hash is what proves, elsewhere and later, that no record is gone.
    pub fn head(&self) -> Head {
        self.journal.head()
    }

    /// Returns the first record that the journal still has, or will have.
    pub fn first_seq(&self) -> u64 {
        self.journal.first_seq()
    }

    /// Reads the durable records from `seq` on, up to the last one of this moment.
    pub fn read_from(&self, seq: u64) -> Records {
        self.journal.read_from(seq)
    }

    /// Writes the rows that the records up to `applied_seq` changed, in one batch. After an error the caller
    /// goes on from memory: this state takes nothing more, and is not trusted at the next start.
    pub fn apply_batch(&mut self, changes: &[RowChange], applied_seq: u64) -> Result<(), state::Error> {
        let at = self.position(applied_seq)?;
        match &mut self.state {
            Slot::Live(state) => state.apply(changes, at)?,
            Slot::Missing(_) | Slot::Swapping => return Err(state::Error::Missing),
            Slot::Off => {}
        }
        crash_point("after_batch");
        Ok(())
    }

    /// Builds a new state out of all rows, as of `applied_seq`, if there is none. A crash meanwhile leaves none.
    pub fn load<E: From<state::Error>>(
        &mut self,
        rows: impl Iterator<Item = Result<Row, E>>,
        applied_seq: u64,
    ) -> Result<(), E> {
        let at = self.position(applied_seq)?;
        if let Slot::Missing(opener) = &self.state {
            self.state = Slot::Live(opener.load(rows, at)?);
        }
        Ok(())
    }

    /// Reads one row of the state.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, state::Error> {
        self.live()?.get(key)
    }

    /// Reads the rows of the state whose key begins with `prefix`. It is no snapshot: batches may land between
    /// its steps.
    pub fn scan_prefix(&mut self, prefix: &[u8]) -> Result<RowScan<'_>, state::Error> {
        self.live()?.scan_prefix(prefix)
    }

    /// Says whether rows are written through. If not, they are kept from the next start on.
    pub fn has_state(&self) -> bool {
        matches!(&self.state, Slot::Live(state) if state.is_alive())
    }

    /// Writes a checkpoint of all rows, which must reflect the last durable record exactly, and flushes the
    /// state. An error of the state alone shows at the next batch.
    pub fn checkpoint<K, V>(
        &mut self,
        rows: impl IntoIterator<Item = (K, V)>,
    ) -> Result<checkpoint::Info, checkpoint::Error>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let info = self.checkpoints.write(self.head(), rows)?;
        if let Slot::Live(state) = &mut self.state {
            // The state remembers that it failed. The checkpoint stands all the same.
            state.flush().unwrap_or(());
        }
        Ok(info)
    }

    /// Returns what writes checkpoints, for another thread that has a copy of the rows.
    pub fn checkpoints(&self) -> Checkpoints {
        self.checkpoints.clone()
    }

    /// Returns what archives segments, for another thread, one at a time.
    pub fn archiver(&self) -> Archiver {
        self.archiver.clone()
    }

    /// Closes the store so that the next start trusts the state even after a reboot, and returns the last
    /// record. A state that has failed before is left as it is.
    pub fn close_clean(self) -> Result<Head, Error> {
        let head = self.journal.close()?;
        match self.state {
            Slot::Live(state) if state.is_alive() => state.close_clean()?,
            Slot::Live(_) | Slot::Swapping | Slot::Missing(_) | Slot::Off => {}
        }
        Ok(head)
    }

    /// Returns the position of a record, which must be durable: the state never runs ahead of the journal.
    fn position(&self, applied_seq: u64) -> Result<Position, state::Error> {
        let head = self.head();
        if applied_seq > head.seq {
            return Err(state::Error::NotDurable { seq: applied_seq, last: head.seq });
        }
        Ok(Position { seq: applied_seq, hash: (applied_seq == head.seq).then_some(head.hash) })
    }

    fn live(&mut self) -> Result<&mut State, state::Error> {
        match &mut self.state {
            Slot::Live(state) => Ok(state),
            Slot::Missing(_) | Slot::Swapping | Slot::Off => Err(state::Error::Missing),
        }
    }
}

/// Moves segments that no start needs into the archive.
#[derive(Debug, Clone)]
pub struct Archiver {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    archive: PathBuf,
    checkpoints: Checkpoints,
}

impl Archiver {
    /// Archives the segments behind the oldest checkpoint that is whole, so that any of those that are kept is enough for
    /// a start without the archive. Without a checkpoint nothing is archived.
    pub fn run(&self) -> Result<Vec<Archived>, Error> {
        let Some(base) = self.checkpoints.oldest()? else { return Ok(Vec::new()) };
        Ok(journal::archive(&self.disk, &self.dir, &self.archive, base.seq)?)
    }
}

/// Removes archived segments that were archived longer ago than `keep`, oldest first. From then on the journal does not
/// reach back to its first record. Returns what is gone.
pub fn expire_archive(archive: &Path, keep: Duration) -> Result<Vec<PathBuf>, Fault> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut gone = Vec::new();
    for path in journal::archived(&disk, archive)? {
        let written = std::fs::metadata(&path).and_then(|about| about.modified());
        let age = written.named("read the age of", &path)?.elapsed().unwrap_or_default();
        if age < keep {
            break;
        }
        disk.remove_file(&path).named("remove", &path)?;
        gone.push(path);
    }
    Ok(gone)
}

/// Proves a journal offline: every checksum, the whole chain; see [`journal::verify`]. `path` is the store's.
pub fn verify_journal(
    path: &Path,
    archive: Option<&Path>,
    visit: &mut dyn FnMut(Record),
) -> Result<Report, journal::Error> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    journal::verify(&disk, &path.join("journal"), archive, visit)
}

/// Proves every checkpoint of a store, oldest first, and names those that are of no use.
pub fn survey_checkpoints(path: &Path, rows_version: u32) -> Result<Vec<Result<Head, Skipped>>, Fault> {
    Checkpoints::new(Arc::new(RealDisk), &path.join("checkpoints"), rows_version).survey()
}

/// Returns the record that the state of a store reflects, if a start would go on with it. Opening it changes its files, so
/// that is done with a copy, which takes room in the system's directory for such.
pub fn state_position(path: &Path, options: state::Options) -> Result<Option<u64>, Error> {
    let live = path.join("state");
    if !live.exists() {
        return Ok(None);
    }
    let copy = tempfile::tempdir().named("make a copy of", &live)?;
    copy_all(&live, &copy.path().join("state"))?;
    let opener = Opener::new(Arc::new(RealDisk), copy.path(), boot_id().as_deref(), options);
    Ok(match opener.open(false)? {
        Opened::Trusted { at, .. } => Some(at.seq),
        Opened::Rebuild { .. } => None,
    })
}

fn copy_all(from: &Path, to: &Path) -> Result<(), Fault> {
    std::fs::create_dir(to).named("make", to)?;
    for entry in std::fs::read_dir(from).named("list", from)? {
        let path = entry.named("list", from)?.path();
        let copied = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_all(&path, &copied)?;
        } else {
            std::fs::copy(&path, &copied).named("copy", &path)?;
        }
    }
    Ok(())
}

/// Returns the rows of the oldest whole checkpoint of a store to which a journal that begins with `first_seq` reaches
/// back, and the position that they reflect.
pub fn oldest_base(path: &Path, rows_version: u32, first_seq: u64) -> Result<Option<(Head, Rows)>, Error> {
    let checkpoints = Checkpoints::new(Arc::new(RealDisk), &path.join("checkpoints"), rows_version);
    let found = checkpoints.oldest_from(first_seq - 1)?;
    Ok(found.map(|found| (found.info.head, Rows(RowSource::Checkpoint(found.rows)))))
}

/// Returns where a store's archive is unless another place is named.
pub fn archive_of(path: &Path) -> PathBuf {
    path.join("archive")
}

/// Why there is no store to work on.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    #[error("there is no store in `{}`: {why}", dir.display())]
    Nothing { dir: PathBuf, why: &'static str },
    #[error(transparent)]
    Disk(#[from] Fault),
}

/// Fails unless a directory holds a store. For what works on one that is there: a wrong path must not become one.
pub fn find(dir: &Path) -> Result<(), Absent> {
    let about = |path: &Path| match std::fs::metadata(path) {
        Ok(about) => Ok(Some(about)),
        Err(source) if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(Fault::of("look for", path, source)),
    };
    let nothing = |why| Err(Absent::Nothing { dir: dir.to_path_buf(), why });
    match about(dir)? {
        None => return nothing("there is no such directory"),
        Some(about) if !about.is_dir() => return nothing("it is no directory"),
        Some(_) => {}
    }
    let journal = about(&dir.join("journal"))?.is_some_and(|about| about.is_dir());
    if journal || about(&dir.join(backup::RESTORING))?.is_some() {
        return Ok(());
    }
    nothing("the directory has no `journal` in it")
}

/// Creates the store's directory. A directory that lies in one we may not read was made by someone else, who
/// saw to its durability.
fn make_root(path: &Path) -> Result<(), Fault> {
    match make_dir(&RealDisk, path) {
        Err(fault) if fault.source.kind() == ErrorKind::PermissionDenied && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Sets a state aside that opened, but was made from another journal than this.
fn reject_if_foreign(opened: Opened, journal: &Journal) -> Result<Opened, Error> {
    let Opened::Trusted { state, at, rows } = opened else { return Ok(opened) };
    let reason = match fit(journal, at)? {
        Fit::Good => return Ok(Opened::Trusted { state, at, rows }),
        Fit::Ahead => return Err(ahead("the state", at.seq, journal)),
        Fit::TooOld => Reason::TooOld,
        Fit::OtherJournal => Reason::OtherJournal,
    };
    Ok(state.reject(reason)?)
}

/// What becomes of records that the journal has no more, but from which something was made.
struct Ahead {
    give_up: bool,
    /// The latest that were given up.
    furthest: u64,
}

impl Ahead {
    /// Gives up the records after the journal's end up to `seq`, from which `what` was made, or fails.
    fn give_up(&mut self, what: &'static str, seq: u64, journal: &Journal) -> Result<(), Error> {
        if !self.give_up {
            return Err(ahead(what, seq, journal));
        }
        if journal.head().seq == 0 {
            return Err(Error::NoJournal { what, seq });
        }
        self.furthest = self.furthest.max(seq);
        Ok(())
    }
}

/// Sets the state aside, which is asked for. One that holds what the journal has no more stays, unless that is given up.
fn set_aside(opener: &Opener, journal: &Journal, lost: &mut Ahead) -> Result<Opened, Error> {
    match opener.open(false) {
        Ok(Opened::Trusted { state, at, .. }) => {
            if journal.head().seq < at.seq {
                lost.give_up("the state", at.seq, journal)?;
            }
            Ok(state.reject(Reason::Forced)?)
        }
        Ok(unused) => Ok(unused),
        // What it holds cannot be told.
        Err(_) => Ok(opener.open(true)?),
    }
}

/// Finds rows to begin a rebuild with: the newest checkpoint that is of use, or none if the journal is whole.
fn find_base(
    journal: &Journal,
    checkpoints: &Checkpoints,
    lost: &mut Ahead,
    mut notes: Vec<Note>,
) -> Result<Start, Error> {
    let mut judge = |head: Head| {
        Ok::<_, Error>(match fit(journal, Position { seq: head.seq, hash: Some(head.hash) })? {
            Fit::Good => None,
            Fit::Ahead => {
                lost.give_up("the newest checkpoint", head.seq, journal)?;
                Some(Flaw::AheadOfJournal)
            }
            Fit::TooOld => Some(Flaw::TooOld),
            Fit::OtherJournal => Some(Flaw::OtherJournal),
        })
    };
    let (mut found, mut skipped) = checkpoints.newest(&mut judge)?;
    if found.is_none() && journal.first_seq() > 1 {
        (found, skipped) = checkpoints.or_older().newest(&mut judge)?;
        notes.extend(found.iter().map(|found| Note::OlderRows { seq: found.info.head.seq }));
    }
    if lost.furthest > journal.head().seq {
        notes.push(Note::GivenUp { first: journal.head().seq + 1, last: lost.furthest });
    }
    // Records that were given up must not stop later starts, nor stand in the way of newer checkpoints.
    for ahead in skipped.iter().filter(|skipped| skipped.flaw == Flaw::AheadOfJournal) {
        checkpoints.set_aside(&ahead.file)?;
    }
    notes.extend(skipped.into_iter().map(Note::CheckpointUnused));
    match found {
        Some(Checkpoint { info, rows }) => {
            let rows = Rows(RowSource::Checkpoint(rows));
            Ok(Start { source: Source::Checkpoint, applied_seq: info.head.seq, rows, notes })
        }
        None if journal.first_seq() == 1 => {
            let rows = Rows(RowSource::Packed(PackedRows::default()));
            Ok(Start { source: Source::Empty, applied_seq: 0, rows, notes })
        }
        None => {
            let why =
                notes.iter().filter(|note| matches!(note, Note::CheckpointUnused(_))).map(Note::to_string);
            Err(Error::NoBase { first_seq: journal.first_seq(), why: why.collect() })
        }
    }
}

/// How rows that reflect some position fit a journal.
enum Fit {
    Good,
    Ahead,
    TooOld,
    OtherJournal,
}

fn fit(journal: &Journal, at: Position) -> Result<Fit, journal::Error> {
    if at.seq > journal.head().seq {
        return Ok(Fit::Ahead);
    }
    if at.seq + 1 < journal.first_seq() {
        return Ok(Fit::TooOld);
    }
    match at.hash {
        Some(hash) if journal.hash_at(at.seq)? != Some(hash) => Ok(Fit::OtherJournal),
        _ => Ok(Fit::Good),
    }
}

fn ahead(what: &'static str, seq: u64, journal: &Journal) -> Error {
    Error::Ahead { what, seq, last: journal.head().seq }
}

/// Returns the id of this boot of the kernel; without one no state that was open at a crash is trusted.
fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty() && !id.contains(char::is_whitespace))
}
