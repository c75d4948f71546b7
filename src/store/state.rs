//! The state: the rows as they were after some journal record, kept by sled.
//!
//! It is materialised from the journal and is never the point of durability. A state that is missing, damaged,
//! from another version or not trusted after a power cut is set aside and built again from checkpoint and
//! journal; nothing is ever repaired. It knows nothing of what rows mean.
//!
//! On disk: `state/mark` says how far to trust `state/sled/`. A rebuild happens in `state.new/`, which is
//! renamed when it is whole; what was set aside lies in `state.aside-<n>`. While a state that was built beside the live
//! one takes its place (see [`fresh`]), the latter lies in `state.old`.
//!
//! One row is the store's own: its key is a single zero byte, its value the journal position that the rows
//! reflect, and the sum of all other rows. Every batch writes it, and the last batch of a rebuild: without it no state is
//! whole. Where something is damaged, sled may leave rows out, or give back older ones: each is whole, and the sum alone
//! shows that they are not the rows that were written.

mod fresh;
mod mark;
mod place;
#[cfg(test)]
pub(in crate::store) mod tests;
mod tree;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) use fresh::{Fresh, Placed};
pub use mark::Reason;
pub use place::{Footprint, footprint};
pub use tree::Fault;

use mark::{Mark, Run, judge};
use place::{Place, sled_dir};
use tree::{Scan, Tree, within};

use super::crash::crash_point;
use super::disk::{self, Disk, make_dir};
use super::journal::ChainHash;
use super::rows::{PackedRows, Row, RowChange};
use value::Sum;

/// Most bytes of a value: sled puts larger ones into files that it never syncs.
pub const VALUE_MAX: usize = 64 * 1024;
/// Most bytes of a key.
pub const KEY_MAX: usize = 1024;

/// Key of the store's own row. Keys of the caller begin with another byte.
const POSITION_KEY: &[u8] = &[0];
/// Rows and bytes of a batch where there are many.
const LOAD_ROWS: usize = 1000;
const LOAD_BYTES: usize = 512 * 1024;

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// sled's page cache. It bounds sled's memory only roughly.
    pub cache_bytes: u64,
    /// How long opening and reading all rows may take; beyond that sled counts as hanging.
    pub open_limit: Duration,
    /// Version of the rows, by the caller's count: rows of another version are built anew.
    pub rows_version: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { cache_bytes: 4 << 20, open_limit: Duration::from_secs(300), rows_version: 1 }
    }
}

/// The journal position that the rows reflect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub seq: u64,
    /// The chain's hash there, if it was known.
    pub hash: Option<ChainHash>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Disk(#[from] disk::Fault),
    #[error("the state in `{}` cannot be used", dir.display())]
    Unusable {
        dir: PathBuf,
        #[source]
        source: Broken,
    },
    #[error("the state did not open in time and was set aside as `{}`; restart to build it again", aside.display())]
    Hung {
        aside: PathBuf,
        #[source]
        source: Fault,
    },
    #[error("the state has stopped after an error; a restart builds it again")]
    Dead(#[source] Arc<Broken>),
    #[error("a row with {len} bytes of {part} does not fit the state, at most {max} do")]
    TooLarge { part: &'static str, len: usize, max: usize },
    #[error("the key of a row must not be empty or begin with a zero byte")]
    ReservedKey,
    #[error("there is no state; load all rows first")]
    Missing,
    #[error("rows as of record {seq} cannot be written: the journal is durable up to record {last} only")]
    NotDurable { seq: u64, last: u64 },
}

/// What ended the use of a state.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error(transparent)]
    Tree(#[from] Fault),
    #[error("{0}")]
    Damaged(String),
    /// A fresh state could not be built.
    #[error("a fresh one could not be built: {0}")]
    NotBuilt(String),
    /// A batch was refused; the rows stay as they were before it.
    #[error("a batch was refused: {0}")]
    Refused(String),
    #[error(
        "{broken}; its mark cannot be changed either ({fault}): run `evenkeel rebuild` before the next start"
    )]
    Unmarked { broken: Arc<Broken>, fault: disk::Fault },
}

/// How to come by a state in a store's directory.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    place: Place,
    boot_id: Option<String>,
    options: Options,
}

/// What [`Opener::open`] found.
#[derive(Debug)]
pub(super) enum Opened {
    /// It opened, and every row is what was written.
    Trusted { state: State, at: Position, rows: PackedRows },
    /// There is none to use; what there was lies in `aside`.
    Rebuild { reason: Reason, aside: Option<PathBuf> },
}

impl Opener {
    pub(super) fn new(disk: Arc<dyn Disk>, root: &Path, boot_id: Option<&str>, options: Options) -> Opener {
        Opener { place: Place::new(disk, root), boot_id: boot_id.map(str::to_owned), options }
    }

    /// Opens the state if it may be trusted and reads all of it; otherwise sets it aside.
    pub(super) fn open(&self, force_rebuild: bool) -> Result<Opened, Error> {
        self.place.recover()?;
        if !self.place.exists()? {
            return Ok(Opened::Rebuild { reason: Reason::Missing, aside: None });
        }
        if force_rebuild {
            return self.reject(Reason::Forced);
        }
        let mark = self.place.read_mark(&self.place.live())?;
        if let Err(reason) = judge(mark.as_ref(), self.boot_id.as_deref(), self.options.rows_version) {
            return self.reject(reason);
        }
        // A clean mark that came back after a power cut would vouch for a state it never saw.
        let live = self.place.live();
        self.place.write_mark(&live, &self.open_mark())?;
        self.place.remove_torn_snapshots()?;
        match self.open_tree(&live, read_rows) {
            Ok((tree, (Held { at, sum }, rows))) => {
                Ok(Opened::Trusted { state: self.state(tree, sum), at, rows })
            }
            Err(Broken::Tree(source @ Fault::Hung(_))) => {
                Err(Error::Hung { aside: self.place.set_aside()?, source })
            }
            Err(Broken::Tree(fault)) if fault.is_environment() => Err(self.unusable(fault.into())),
            Err(Broken::Tree(fault)) => self.reject(Reason::Refused(fault.to_string())),
            Err(damage) => self.reject(Reason::Damaged(damage.to_string())),
        }
    }

    fn reject(&self, reason: Reason) -> Result<Opened, Error> {
        Ok(Opened::Rebuild { reason, aside: Some(self.place.set_aside()?) })
    }

    /// Builds a state out of all rows, apart from the live one, and puts it in place when it is whole.
    pub(super) fn load<E: From<Error>>(
        &self,
        rows: impl Iterator<Item = Result<Row, E>>,
        at: Position,
    ) -> Result<State, E> {
        let tree = self.begin()?;
        self.fill(&tree, rows, at)?;
        Ok(self.finish(tree)?)
    }

    /// Makes an empty tree beside the live one.
    fn begin(&self) -> Result<Tree, Error> {
        self.place.remove_half_built()?;
        let building = self.place.building();
        make_dir(self.place.disk(), &building)?;
        self.place.write_mark(&building, &self.open_mark())?;
        let opened = self.open_tree(&building, |_| Ok(()));
        opened.map(|(tree, ())| tree).map_err(|broken| self.unusable(broken))
    }

    /// Puts the tree in place that was begun and filled.
    fn finish(&self, tree: Tree) -> Result<State, Error> {
        let building = self.place.building();
        let closed = tree.flush().and_then(|()| tree.close(&sled_dir(&building)));
        closed.map_err(|fault| self.unusable(fault.into()))?;
        self.place.note_built(&building)?;
        if self.place.exists()? {
            self.place.set_aside()?;
        }
        self.place.put_in_place()?;
        let reopened = self.open_tree(&self.place.live(), read_position);
        let (tree, held) = reopened.map_err(|broken| self.unusable(broken))?;
        Ok(self.state(tree, held.sum))
    }

    /// Writes all rows in batches; the last one carries the position.
    fn fill<E: From<Error>>(
        &self,
        tree: &Tree,
        rows: impl Iterator<Item = Result<Row, E>>,
        at: Position,
    ) -> Result<(), E> {
        let apply = |batch: Vec<RowChange>| {
            tree.apply(batch.into_iter()).map_err(|fault| self.unusable(fault.into()))
        };
        let mut batch = Vec::new();
        let (mut bytes, mut sum) = (0, Sum::default());
        for row in rows {
            let (key, value) = row?;
            check_row(&key, &value)?;
            bytes += key.len() + value.len();
            let wrapped = value::wrap(&key, &value);
            sum.add(&wrapped);
            batch.push((key, Some(wrapped)));
            if batch.len() >= LOAD_ROWS || bytes >= LOAD_BYTES {
                apply(std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        batch.push(position_row(at, sum));
        Ok(apply(batch)?)
    }

    /// Opens a tree and does the first reading of it, under the time limit.
    fn open_tree<T: Send + 'static>(
        &self,
        state_dir: &Path,
        read: impl FnOnce(&Tree) -> Result<T, Broken> + Send + 'static,
    ) -> Result<(Tree, T), Broken> {
        let Options { cache_bytes, open_limit, .. } = self.options;
        let dir = sled_dir(state_dir);
        within(open_limit, move || {
            let tree = Tree::open(&dir, cache_bytes)?;
            let read = read(&tree)?;
            Ok((tree, read))
        })?
    }

    fn open_mark(&self) -> Mark {
        let run = Run::Open { boot_id: self.boot_id.clone() };
        Mark { rows_version: self.options.rows_version, run }
    }

    fn unusable(&self, source: Broken) -> Error {
        Error::Unusable { dir: self.place.live(), source }
    }

    fn state(&self, tree: Tree, sum: Sum) -> State {
        State { opener: self.clone(), tree, sum, dead: None }
    }
}

/// An open state. One per store; the caller holds the store's lock. Dropped without [`State::close_clean`] it
/// is trusted again only while the same kernel runs.
#[derive(Debug)]
pub(super) struct State {
    opener: Opener,
    tree: Tree,
    /// Of all rows but the store's own.
    sum: Sum,
    dead: Option<Arc<Broken>>,
}

impl State {
    /// Applies a group's changes in one batch, together with the position that the rows then reflect. A batch
    /// that is refused is the last: later ones would hide that it is missing. The state stays as it was before.
    pub(super) fn apply(&mut self, changes: &[RowChange], at: Position) -> Result<(), Error> {
        self.check_alive()?;
        let checked =
            changes.iter().try_for_each(|(key, value)| check_row(key, value.as_deref().unwrap_or_default()));
        if let Err(error) = checked {
            self.dead = Some(Arc::new(Broken::Refused(error.to_string())));
            return Err(error);
        }
        self.write(changes, at).map_err(|fault| self.fail(fault.into()))
    }

    /// Writes checked changes, many of them in several batches: sled keeps every page that a batch has replaced until
    /// the batch has ended. Until the last one is in, the state does not say what it reflects, and is not trusted.
    fn write(&mut self, changes: &[RowChange], at: Position) -> Result<(), Fault> {
        let (most, last) = changes.split_at((changes.len().saturating_sub(1)) / LOAD_ROWS * LOAD_ROWS);
        if !most.is_empty() {
            self.tree.apply(std::iter::once((POSITION_KEY.to_vec(), None)))?;
        }
        for batch in most.chunks(LOAD_ROWS) {
            let wrapped = weigh(&self.tree, &mut self.sum, batch)?;
            self.tree.apply(wrapped.into_iter())?;
            crash_point("within_batches");
        }
        let wrapped = weigh(&self.tree, &mut self.sum, last)?;
        self.tree.apply(wrapped.into_iter().chain(std::iter::once(position_row(at, self.sum))))
    }

    /// Reads one row.
    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.check_alive()?;
        let read = self.tree.get(key).map_err(Broken::from).and_then(|found| match found {
            Some(wrapped) => Ok(Some(value::unwrap(key, &wrapped).map_err(Broken::Damaged)?.to_vec())),
            None => Ok(None),
        });
        read.map_err(|broken| self.fail(broken))
    }

    /// Reads the rows whose key begins with `prefix`. It is no snapshot: batches may land between its steps.
    pub(super) fn scan_prefix(&mut self, prefix: &[u8]) -> Result<RowScan<'_>, Error> {
        self.check_alive()?;
        Ok(RowScan { scan: self.tree.scan(prefix), state: self })
    }

    /// Hands everything to the kernel, so that a crash of the process alone costs less replay.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.check_alive()?;
        self.tree.flush().map_err(|fault| self.fail(fault.into()))
    }

    /// Closes the state so that it is trusted after a reboot too: flush, drop, sync of all files, and only then
    /// the clean mark.
    pub(super) fn close_clean(mut self) -> Result<(), Error> {
        self.flush()?;
        let State { opener, tree, .. } = self;
        let live = opener.place.live();
        let closed = tree.close(&sled_dir(&live));
        closed.map_err(|fault| opener.unusable(fault.into()))?;
        opener.place.sync_all(&live)?;
        let mark = Mark { rows_version: opener.options.rows_version, run: Run::Clean };
        Ok(opener.place.write_mark(&live, &mark)?)
    }

    /// Gives the state up although it opened, and sets it aside.
    pub(super) fn reject(self, reason: Reason) -> Result<Opened, Error> {
        let State { opener, tree, .. } = self;
        drop(tree);
        opener.reject(reason)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.dead.is_none()
    }

    fn check_alive(&self) -> Result<(), Error> {
        self.dead.as_ref().map_or(Ok(()), |broken| Err(Error::Dead(Arc::clone(broken))))
    }

    /// Ends the use of the handle: no retry, and no trust at the next start.
    fn fail(&mut self, broken: Broken) -> Error {
        let mut broken = Arc::new(broken);
        if let Err(fault) = self.opener.place.distrust(self.opener.options.rows_version) {
            broken = Arc::new(Broken::Unmarked { broken, fault });
        }
        self.dead = Some(Arc::clone(&broken));
        Error::Dead(broken)
    }
}

/// Rows of [`State::scan_prefix`]. After an error there are no more.
pub struct RowScan<'a> {
    scan: Scan,
    state: &'a mut State,
}

impl Iterator for RowScan<'_> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state.dead.is_some() {
            return None;
        }
        loop {
            return match checked(self.scan.next()?) {
                Ok((key, _)) if key == POSITION_KEY => continue,
                Ok(row) => Some(Ok(row)),
                Err(broken) => Some(Err(self.state.fail(broken))),
            };
        }
    }
}

/// Wraps the values of changes, the last one of each key, and keeps the sum: what they replace goes out of it.
fn weigh(tree: &Tree, sum: &mut Sum, changes: &[RowChange]) -> Result<Vec<RowChange>, Fault> {
    let last: BTreeMap<&[u8], Option<&[u8]>> =
        changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
    let mut wrapped = Vec::with_capacity(last.len());
    for (key, value) in last {
        if let Some(held) = tree.get(key)? {
            sum.take(&held);
        }
        let value = value.map(|value| value::wrap(key, value));
        value.iter().for_each(|value| sum.add(value));
        wrapped.push((key.to_vec(), value));
    }
    Ok(wrapped)
}

/// What the store's own row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    at: Position,
    sum: Sum,
}

fn checked<B: AsRef<[u8]>>(row: Result<(B, B), Fault>) -> Result<Row, Broken> {
    let (key, wrapped) = row?;
    let value = value::unwrap(key.as_ref(), wrapped.as_ref()).map_err(Broken::Damaged)?;
    Ok((key.as_ref().to_vec(), value.to_vec()))
}

/// Reads every row and checks it, and that all are there: opening alone misses damage.
fn read_rows(tree: &Tree) -> Result<(Held, PackedRows), Broken> {
    let mut rows = PackedRows::default();
    let (mut held, mut sum) = (None, Sum::default());
    for row in tree.scan(&[]) {
        let (key, wrapped) = row?;
        tree.touch(&key)?;
        let value = value::unwrap(&key, &wrapped).map_err(Broken::Damaged)?;
        if key == POSITION_KEY {
            held = decode_position(value);
        } else {
            sum.add(&wrapped);
            rows.push(&key, value);
        }
    }
    let held = held.ok_or_else(no_position)?;
    if held.sum != sum {
        return Err(Broken::Damaged("its rows are not all the ones that were written last".to_owned()));
    }
    Ok((held, rows))
}

fn read_position(tree: &Tree) -> Result<Held, Broken> {
    let wrapped = tree.get(POSITION_KEY)?.ok_or_else(no_position)?;
    let value = value::unwrap(POSITION_KEY, &wrapped).map_err(Broken::Damaged)?;
    decode_position(value).ok_or_else(no_position)
}

fn no_position() -> Broken {
    Broken::Damaged("it does not say which journal record it reflects".to_owned())
}

fn check_row(key: &[u8], value: &[u8]) -> Result<(), Error> {
    if key.first().is_none_or(|first| *first == POSITION_KEY[0]) {
        return Err(Error::ReservedKey);
    }
    for (part, len, max) in [("key", key.len(), KEY_MAX), ("value", value.len(), VALUE_MAX)] {
        if len > max {
            return Err(Error::TooLarge { part, len, max });
        }
    }
    Ok(())
}

fn position_row(at: Position, sum: Sum) -> RowChange {
    let mut value = at.seq.to_le_bytes().to_vec();
    value.extend_from_slice(&sum.to_bytes());
    value.extend_from_slice(at.hash.as_ref().map_or(&[], |hash| hash.as_bytes().as_slice()));
    (POSITION_KEY.to_vec(), Some(value::wrap(POSITION_KEY, &value)))
}

fn decode_position(value: &[u8]) -> Option<Held> {
    let (seq, rest) = value.split_first_chunk::<8>()?;
    let (sum, hash) = rest.split_first_chunk::<8>()?;
    let hash = match hash {
        [] => None,
        hash => Some(ChainHash::from_bytes(hash.try_into().ok()?)),
    };
    let at = Position { seq: u64::from_le_bytes(*seq), hash };
    Some(Held { at, sum: Sum::from_bytes(*sum) })
}
