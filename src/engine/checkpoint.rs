//! A checkpoint, written while the ledger goes on.
//!
//! The ledger's thread encodes rows in slices between its groups, and asks for no disk. A thread of its own keeps them
//! in a spool, asks for the next slice, and in the end writes and proves the checkpoint.
//!
//! Rows that are touched meanwhile are encoded again, pass after pass, until few are left. Those are the last slice,
//! with the position and the chain's hash at that moment. So the spool holds every row as it is there, beside older
//! versions of some, and the checkpoint is the last version of each.

use std::{
    collections::{BTreeMap, BTreeSet, btree_set},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;

use crate::{
    core::{State, state::RowKey},
    engine::{
        ledger::Failure,
        rows::{self, Change},
    },
    store::Head,
};

/// The most rows of one slice, and about the most bytes.
const SLICE_ROWS: usize = 256;
const SLICE_BYTES: usize = 256 * 1024;
/// So few rows that were touched are encoded at once, as the last slice.
const LAST_ROWS: usize = 512;
/// After so many passes the last slice is taken as it is: where rows are touched faster than they are encoded, more
/// passes would not make it smaller.
const PASSES_MAX: u32 = 8;

/// Where a checkpoint's rows are kept until it is written. Used by a thread of its own.
pub trait Spool: Send {
    /// Takes versions of rows. `again`: other versions of them may have been taken before.
    fn put(&mut self, changes: &[Change], again: bool) -> Result<(), Failure>;
    /// Writes the last version of each row as the checkpoint at `head`, and proves it.
    fn finish(&mut self, head: Head) -> Result<(), Failure>;
    /// Does what is to follow once those are answered who waited for the checkpoint.
    fn follow(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

/// Who waits for a checkpoint: told its position, and the chain's hash there.
pub(super) type Answer = oneshot::Sender<Result<Head, Failure>>;

/// What the ledger's thread hands over. There is never more than one under way.
struct Slice {
    rows: Vec<Change>,
    again: bool,
    last: Option<(Head, Vec<Answer>)>,
}

/// A walk over all rows.
pub(super) struct Walk {
    slices: SyncSender<Slice>,
    thread: JoinHandle<Result<(), Failure>>,
    at: At,
    passes: u32,
    /// Rows that were touched since the walk, or its pass, began.
    touched: BTreeSet<RowKey>,
}

enum At {
    /// Of all rows, those after this one are left.
    All(Option<RowKey>),
    /// Of the rows that were touched, these are left.
    Again(btree_set::IntoIter<RowKey>),
    /// All is handed over.
    End,
}

/// What is next in a walk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Slice,
    /// The pass is over: tell what was touched, then go on.
    Turn,
    /// The checkpoint is written, or could not be.
    Over,
}

impl Walk {
    /// Begins a walk over rows none of which is noted as touched. `go` asks for the next slice.
    pub(super) fn begin(spool: Box<dyn Spool>, go: impl Fn() + Send + 'static) -> io::Result<Walk> {
        let (slices, taken) = sync_channel(1);
        let thread =
            thread::Builder::new().name("checkpoint".into()).spawn(move || write(spool, &taken, go))?;
        Ok(Walk { slices, thread, at: At::All(None), passes: 1, touched: BTreeSet::new() })
    }

    /// Begins a walk over these rows alone.
    pub(super) fn over(
        rows: BTreeSet<RowKey>,
        spool: Box<dyn Spool>,
        go: impl Fn() + Send + 'static,
    ) -> io::Result<Walk> {
        Ok(Walk { at: At::Again(rows.into_iter()), ..Walk::begin(spool, go)? })
    }

    /// Notes rows that were touched.
    pub(super) fn touch(&mut self, keys: &BTreeSet<RowKey>) {
        self.touched.extend(keys.iter().cloned());
    }

    pub(super) fn next(&self, state: &State) -> Next {
        match &self.at {
            At::All(after) if rows::keys_after(state, after.as_ref()).next().is_some() => Next::Slice,
            At::Again(left) if left.len() > 0 => Next::Slice,
            At::All(_) | At::Again(_) => Next::Turn,
            At::End => Next::Over,
        }
    }

    /// Hands the next slice over.
    pub(super) fn slice(&mut self, state: &State) -> Result<(), Failure> {
        let mut rows = Vec::new();
        let again = match &mut self.at {
            At::All(after) => {
                let last = encode(state, rows::keys_after(state, after.as_ref()), &mut rows)?;
                *after = last.or(after.take());
                false
            }
            At::Again(left) => {
                encode(state, left.by_ref(), &mut rows)?;
                true
            }
            At::End => return Ok(()),
        };
        self.hand_over(Slice { rows, again, last: None })
    }

    /// Begins the next pass, over what was touched, if that is much; hands it over as the last slice otherwise. `head`
    /// is the journal's end, which `state` reflects, and no touched row is untold.
    pub(super) fn turn(&mut self, state: &State, head: Head, asked: &mut Vec<Answer>) -> Result<(), Failure> {
        let touched = std::mem::take(&mut self.touched);
        if touched.len() > LAST_ROWS && self.passes < PASSES_MAX {
            self.passes += 1;
            self.at = At::Again(touched.into_iter());
            return self.slice(state);
        }
        let rows = rows::changes(state, &touched).map_err(|e| Failure::of(&e))?;
        self.at = At::End;
        self.hand_over(Slice { rows, again: true, last: Some((head, std::mem::take(asked))) })
    }

    /// Says whether all is handed over, so that the checkpoint is being written.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.at, At::End)
    }

    /// Waits until the thread has ended. What it has not finished by then is no checkpoint. Returns the rows that were
    /// touched since the last slice, if it has.
    pub(super) fn end(self) -> Result<BTreeSet<RowKey>, Failure> {
        drop(self.slices);
        // A panic there has been logged, and made no checkpoint.
        let ended = self.thread.join().unwrap_or_else(|_| Err(Failure("its thread has panicked".to_owned())));
        ended.map(|()| self.touched)
    }

    fn hand_over(&self, slice: Slice) -> Result<(), Failure> {
        let sent = self.slices.try_send(slice);
        sent.map_err(|_| Failure("the thread that writes checkpoints has ended".to_owned()))
    }
}

/// Encodes rows until a slice is full. Returns the last key.
fn encode(
    state: &State,
    keys: impl Iterator<Item = RowKey>,
    rows: &mut Vec<Change>,
) -> Result<Option<RowKey>, Failure> {
    let mut bytes = 0;
    let mut last = None;
    for key in keys.take(SLICE_ROWS) {
        let changes = rows::changes(state, [&key]).map_err(|e| Failure::of(&e))?;
        bytes += changes.iter().map(|(_, value)| value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        rows.extend(changes);
        last = Some(key);
        if bytes >= SLICE_BYTES {
            break;
        }
    }
    Ok(last)
}

/// Keeps slices, asking for the next after each, and writes the checkpoint after the last.
fn write(mut spool: Box<dyn Spool>, slices: &Receiver<Slice>, go: impl Fn()) -> Result<(), Failure> {
    let mut kept = Ok(());
    while let Ok(slice) = slices.recv() {
        if kept.is_ok() {
            kept = spool.put(&slice.rows, slice.again);
        }
        if let Some((head, asked)) = slice.last {
            let written = kept.and_then(|()| spool.finish(head)).map(|()| head);
            for answer in asked {
                // Who asked may have gone.
                drop(answer.send(written.clone()));
            }
            let ended = written.and_then(|_| spool.follow());
            go();
            return ended;
        }
        go();
    }
    Err(Failure("it was not written to its end".to_owned()))
}

/// A spool's content: versions of rows one after the other, in a file or in memory.
pub(super) struct Versions<F: Read + Write + Seek> {
    file: BufWriter<F>,
    /// How many versions there are.
    count: u64,
    /// The last version of each row that was put again, by the row's id.
    last: BTreeMap<Vec<u8>, u64>,
}

impl<F: Read + Write + Seek> Versions<F> {
    pub(super) fn new(file: F) -> Versions<F> {
        Versions { file: BufWriter::new(file), count: 0, last: BTreeMap::new() }
    }

    /// Adds versions of rows, the pieces of each one after the other.
    pub(super) fn put(&mut self, changes: &[Change], again: bool) -> io::Result<()> {
        for (key, value) in changes {
            if rows::begins(key) {
                self.count += 1;
                if again {
                    self.last.insert(rows::id_of(key).to_vec(), self.count);
                }
            }
            write_len(&mut self.file, Some(key.len()))?;
            write_len(&mut self.file, value.as_ref().map(Vec::len))?;
            self.file.write_all(key)?;
            self.file.write_all(value.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    /// Returns the last version of each row. Memory is bounded by what was put again.
    pub(super) fn rows(self) -> io::Result<impl Iterator<Item = io::Result<(Vec<u8>, Vec<u8>)>>> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let end = file.stream_position()?;
        file.seek(SeekFrom::Start(0))?;
        let (mut file, last) = (BufReader::new(file.take(end)), self.last);
        let mut nth = 0;
        Ok(std::iter::from_fn(move || {
            loop {
                let (key, value) = match read_change(&mut file).transpose()? {
                    Ok(change) => change,
                    Err(error) => return Some(Err(error)),
                };
                nth += u64::from(rows::begins(&key));
                let newest = last.get(rows::id_of(&key)).is_none_or(|last| *last == nth);
                if let Some(value) = value.filter(|_| newest) {
                    return Some(Ok((key, value)));
                }
            }
        }))
    }
}

/// Stands for a row that is gone.
const NONE: u32 = u32::MAX;

fn write_len(file: &mut impl Write, len: Option<usize>) -> io::Result<()> {
    let len = len.map_or(NONE, |len| u32::try_from(len).expect("a piece of a row is far below 4 GB"));
    file.write_all(&len.to_le_bytes())
}

fn read_change(file: &mut impl io::BufRead) -> io::Result<Option<Change>> {
    if file.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut lens = [[0; 4]; 2];
    file.read_exact(&mut lens[0])?;
    file.read_exact(&mut lens[1])?;
    let [key, value] = lens.map(u32::from_le_bytes);
    let mut read = |len: u32| {
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        file.read_exact(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    let key = read(key)?;
    Ok(Some((key, if value == NONE { None } else { Some(read(value)?) })))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn change(id: &str, piece: u32, value: Option<&str>) -> Change {
        let key = [id.as_bytes(), &piece.to_be_bytes()].concat();
        (key, value.map(|value| value.as_bytes().to_vec()))
    }

    #[test]
    fn of_each_row_the_last_version_is_kept_whole_and_nothing_of_the_others() {
        let mut versions = Versions::new(Cursor::new(Vec::new()));
        let all = [
            change("same", 0, Some("s")),
            change("long", 0, Some("l0")),
            change("long", 1, Some("l1")),
            change("gone", 0, Some("g")),
            change("short", 0, Some("h")),
        ];
        versions.put(&all, false).expect("put");
        let again = [change("long", 0, Some("L")), change("gone", 0, None), change("new", 0, None)];
        versions.put(&again, true).expect("put");
        let more =
            [change("new", 0, Some("n")), change("short", 0, Some("h0")), change("short", 1, Some("h1"))];
        versions.put(&more, true).expect("put");
        let mut rows: Vec<Change> = versions
            .rows()
            .expect("rewound")
            .map(|row| row.expect("whole"))
            .map(|(k, v)| (k, Some(v)))
            .collect();
        rows.sort();
        let mut want = [
            change("same", 0, Some("s")),
            change("long", 0, Some("L")),
            change("new", 0, Some("n")),
            change("short", 0, Some("h0")),
            change("short", 1, Some("h1")),
        ];
        want.sort();
        assert_eq!(rows, want);
    }

    #[test]
    fn a_spool_that_is_cut_short_is_an_error_and_no_end() {
        let mut versions = Versions::new(Cursor::new(Vec::new()));
        versions.put(&[change("a", 0, Some("value"))], false).expect("put");
        let mut file = versions.file.into_inner().expect("flushed");
        let bytes = file.get_mut();
        bytes.truncate(bytes.len() - 1);
        let cut = Versions { file: BufWriter::new(file), count: 1, last: BTreeMap::new() };
        assert!(cut.rows().expect("rewound").any(|row| row.is_err()));
    }
}
