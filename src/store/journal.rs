//! The journal: append-only segment files that are the truth. It knows nothing of what its payloads mean.
//!
//! **Groups.** [`Journal::append`] writes a group of records by one write. A group is whole or it is not there:
//! records that were decided together are never found without each other. A group is only written when all
//! before it has been synced, so the header of a later group *proves* that the ones before it were durable.
//!
//! **Notes.** After a sync a *note*, a group without records, is put behind the group, unsynced; the next group
//! is written over it. It proves the same about the last group. After `kill -9` it is there; after a power cut
//! it may be missing, and then what it would have vouched for had been synced anyway.
//!
//! **A torn tail** is a last group that is not whole, with nothing behind it that proves it was durable. It was
//! never acknowledged; [`Journal::open`] cuts it off and says so. A group that is not whole *and* has a proof
//! behind it is damage: it is reported with file and offset, and nothing is changed.
//!
//! **Durable** means that a sync of the file succeeded after the write. A sync is never tried again after it
//! failed, because the kernel forgets the pages that it could not write: after any I/O error the journal is
//! poisoned for good. On open a last group without proof is written once more and synced, for the same reason.
//!
//! **The archive** holds older segments, compressed, each with the chain's hash before and after it; see [`archive`].
//! Reading goes through it as if they were still here.
//!
//! Damage in older segments shows when they are read: in a rebuild, or by [`verify`].

mod archive;
mod frame;
mod packed;
mod read;
mod segment;
#[cfg(test)]
mod tests;
mod walk;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use archive::archived;
pub use archive::{Archived, archive};
pub use frame::{ChainHash, Flaw, Head};
pub(super) use read::export;
pub use read::{Records, Report, verify};

use frame::{GROUP_HEADER, GroupHeader, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader, encode_group};
use segment::Segment;
use walk::{Survey, Whole, survey};

use super::disk::{Disk, Fault, File, Named, Open, make_dir, read_full_at};
use archive::{Shelf, shelf};

/// Most bytes that a group may take, so that a reader can hold one in memory.
pub const GROUP_BYTES_MAX: usize = 256 * 1024 * 1024;

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Size at which a new segment is begun. At start all of the last segment is read.
    pub segment_bytes: u64,
    /// Most bytes that one payload may have.
    pub payload_max: usize,
    /// Most bytes that one group may take, not above [`GROUP_BYTES_MAX`].
    pub group_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 32 * 1024 * 1024,
            payload_max: GROUP_BYTES_MAX / 2,
            group_max: GROUP_BYTES_MAX,
        }
    }
}

/// One record, proven by its checksum and the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub seq: u64,
    pub hash: ChainHash,
    pub payload: Vec<u8>,
}

impl Record {
    pub fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }
}

/// What [`Journal::open`] found. All records up to `head` are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// First record that is there; more than 1 if older segments were archived.
    pub first_seq: u64,
    /// Last record; the next one gets the seq after it.
    pub head: Head,
    /// What was cut off.
    pub cut: Option<TornTail>,
    /// Why some of the archive cannot be used. A start seldom needs it.
    pub archive: Option<String>,
}

impl Recovered {
    pub fn next_seq(&self) -> u64 {
        self.head.seq + 1
    }
}

/// The end of a journal that was written but never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    pub file: PathBuf,
    /// Offset from which on the file is torn.
    pub at: u64,
    pub bytes: u64,
    /// The record that would have been the next.
    pub seq: u64,
}

impl std::fmt::Display for TornTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TornTail { file, at, bytes, seq } = self;
        write!(f, "`{}`: {bytes} bytes from byte {at} on, before record {seq} was complete", file.display())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Disk(#[from] Fault),
    #[error(
        "the journal file `{}` is damaged at byte {offset}, record {seq}: {flaw}; `evenkeel verify` checks all \
         files, restore the damaged ones from a backup",
        file.display()
    )]
    Damaged { file: PathBuf, offset: u64, seq: u64, flaw: Flaw },
    #[error(
        "records are missing before the journal file `{}`; restore the journal files before it from a backup",
        before.display()
    )]
    Gap { before: PathBuf },
    #[error("the journal ends before record {last}; restore its last files from a backup")]
    Short { last: u64 },
    #[error("there is no journal in `{}`; check `store.path`", dir.display())]
    Empty { dir: PathBuf },
    #[error("the journal file `{}` has format {version}; use the newer evenkeel that wrote it", file.display())]
    Version { file: PathBuf, version: u32 },
    #[error("a payload of {len} bytes does not fit the journal, at most {max} do")]
    PayloadTooLarge { len: usize, max: usize },
    #[error("a group of {len} bytes does not fit the journal, at most {GROUP_BYTES_MAX} do")]
    GroupTooLarge { len: usize },
    #[error("there is no room for what is to be recorded")]
    NoRoom(#[source] Fault),
    #[error("the journal has stopped after an I/O error; nothing more is accepted until a restart")]
    Poisoned(#[source] Arc<Error>),
}

/// A journal that is open for writing. One per directory: the caller holds the store's lock.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    archive: PathBuf,
    options: Options,
    /// All segments, those in the archive too; the last is written to.
    segments: Vec<Segment>,
    file: Box<dyn File>,
    /// Where the next group goes; until then a note may lie there.
    end: u64,
    /// Last record written.
    written: Head,
    /// Last record proven durable.
    durable: Head,
    buffer: Vec<u8>,
    /// Something may lie behind `end` that was never acknowledged: a write that failed for want of room.
    torn: bool,
    poison: Option<Arc<Error>>,
}

impl Journal {
    /// Opens the journal in `dir`, or begins one. Cuts a torn tail off; proves everything else durable. Segments that are
    /// not there any more are read out of `archive`.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        archive: &Path,
        options: Options,
    ) -> Result<(Journal, Recovered), Error> {
        make_dir(disk.as_ref(), dir)?;
        segment::remove_unfinished(&disk, dir)?;
        let mut segments = segment::list(&disk, dir)?;
        if segments.is_empty() {
            if let Some(last) = archive::last_seq(&disk, archive)? {
                return Err(Error::Short { last: last + 1 });
            }
            let header = SegmentHeader { first_seq: 1, before: 0, hash: ChainHash::START };
            segments.push(segment::create(&disk, dir, header)?.0);
        }
        let Shelf { segments: mut all, trouble } = shelf(&disk, archive, &segments[0])?;
        for segment in &mut segments {
            segment.archived = Some(segment.place_in(archive));
        }
        all.append(&mut segments);
        let segments = all;
        let last = segments.last().expect("there is one by now");
        let Survey { whole, tail } = survey(&disk, last)?;
        let mut file = disk.open(&last.path, Open::Edit).named("open", &last.path)?;
        prove_durable(file.as_mut(), whole, tail.as_ref()).named("recover", &last.path)?;
        disk.sync_dir(dir).named("sync the directory", dir)?;
        let recovered = Recovered {
            first_seq: segments[0].header.first_seq,
            head: whole.head,
            cut: tail,
            archive: trouble.map(|trouble| trouble.to_string()),
        };
        let mut journal = Journal {
            disk,
            dir: dir.to_path_buf(),
            archive: archive.to_path_buf(),
            options,
            segments,
            file,
            end: whole.last_group.1,
            written: whole.head,
            durable: whole.head,
            buffer: Vec::new(),
            torn: false,
            poison: None,
        };
        journal.note()?;
        Ok((journal, recovered))
    }

    /// Writes a group of records, by one write, and returns their seqs. They are not durable until
    /// [`Journal::sync`] has returned; a group that was not synced yet is synced first. No payloads, no group.
    ///
    /// After [`Error::NoRoom`] nothing of the group is in the journal, and it may be tried again: all before it is synced,
    /// and what a write left behind is cut off before anything else is written.
    pub fn append<P: AsRef<[u8]>>(&mut self, payloads: &[P]) -> Result<RangeInclusive<u64>, Error> {
        let len = self.group_len(payloads)?;
        self.sync()?;
        let first = self.written.seq + 1;
        if !payloads.is_empty() {
            self.roomed(|journal| {
                journal.cut_torn()?;
                if journal.end > SEGMENT_HEADER as u64
                    && journal.end + len as u64 > journal.options.segment_bytes
                {
                    journal.rotate()?;
                }
                journal.write_group(payloads)
            })?;
        }
        Ok(first..=self.written.seq)
    }

    /// Proves all that was appended durable. Does nothing if it is already.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.check_poison()?;
        if self.durable == self.written {
            return Ok(());
        }
        self.guarded(|journal| {
            journal.file.sync().named("sync", journal.path())?;
            journal.durable = journal.written;
            Ok(())
        })?;
        // The group is durable whatever becomes of the note: a failure stops the next append.
        self.note().unwrap_or(());
        Ok(())
    }

    /// Writes a note. One for which there is no room is done without, as after a power cut.
    fn note(&mut self) -> Result<(), Error> {
        match self.roomed(Journal::write_note) {
            Err(Error::NoRoom(_)) => Ok(()),
            written => written,
        }
    }

    /// Cuts off what a write that failed has left behind.
    fn cut_torn(&mut self) -> Result<(), Error> {
        if self.torn {
            self.file.set_len(self.end).named("cut the unfinished end of", self.path())?;
            self.torn = false;
        }
        Ok(())
    }

    /// Runs an operation that writes. If it fails for want of room alone, it may be tried again; any other failure is
    /// the last thing that this journal does.
    fn roomed(&mut self, operation: impl FnOnce(&mut Journal) -> Result<(), Error>) -> Result<(), Error> {
        self.check_poison()?;
        match operation(self) {
            Err(Error::Disk(fault)) if fault.waits_for_room() => {
                self.torn = true;
                // Nothing depends on it yet: the next append does it, or fails.
                self.cut_torn().unwrap_or(());
                Err(Error::NoRoom(fault))
            }
            done => self.guarded(|_| done),
        }
    }

    /// Syncs, and makes the closing note durable too: from then on any damage of the last group is recognised.
    pub fn close(mut self) -> Result<Head, Error> {
        self.sync()?;
        self.guarded(|journal| Ok(journal.file.sync().named("sync", journal.path())?))?;
        Ok(self.durable)
    }

    /// Returns the last durable record.
    pub fn head(&self) -> Head {
        self.durable
    }

    /// Returns the first record that is there, or will be.
    pub fn first_seq(&self) -> u64 {
        self.segments[0].header.first_seq
    }

    /// Reads the durable records from `seq` on, up to the last one of this moment.
    pub fn read_from(&self, seq: u64) -> Records {
        Records::new(Arc::clone(&self.disk), &self.segments, seq, self.durable.seq)
    }

    /// Returns the chain's hash at a durable record, or `None` if the journal does not know it (any more).
    /// May read a whole segment.
    pub fn hash_at(&self, seq: u64) -> Result<Option<ChainHash>, Error> {
        if seq == self.durable.seq {
            return Ok(Some(self.durable.hash));
        }
        if let Some(segment) = self.segments.iter().find(|segment| segment.header.first_seq == seq + 1) {
            return Ok(Some(segment.header.hash));
        }
        if seq < self.first_seq() {
            return Ok(None);
        }
        self.read_from(seq).next().transpose().map(|record| record.map(|record| record.hash))
    }

    fn group_len<P: AsRef<[u8]>>(&self, payloads: &[P]) -> Result<usize, Error> {
        let group_max = self.options.group_max.min(GROUP_BYTES_MAX);
        let max = self.options.payload_max.min(group_max);
        let mut len = GROUP_HEADER;
        for payload in payloads {
            let payload = payload.as_ref().len();
            if payload > max {
                return Err(Error::PayloadTooLarge { len: payload, max });
            }
            len += RECORD_HEADER + payload;
        }
        if len > group_max { Err(Error::GroupTooLarge { len }) } else { Ok(len) }
    }

    fn write_group<P: AsRef<[u8]>>(&mut self, payloads: &[P]) -> Result<(), Error> {
        self.buffer.clear();
        let head = encode_group(&mut self.buffer, self.written, payloads);
        self.file.write_all_at(&self.buffer, self.end).named("write", self.path())?;
        self.end += self.buffer.len() as u64;
        self.written = head;
        Ok(())
    }

    fn write_note(&mut self) -> Result<(), Error> {
        let note = GroupHeader::note(self.written.seq + 1).encode();
        Ok(self.file.write_all_at(&note, self.end).named("write", self.path())?)
    }

    /// Begins a new segment. All that was written is durable; the old segment's note becomes so.
    fn rotate(&mut self) -> Result<(), Error> {
        self.file.sync().named("sync", self.path())?;
        let before = self.segments.last().map_or(0, |segment| segment.header.first_seq);
        let header = SegmentHeader { first_seq: self.written.seq + 1, before, hash: self.written.hash };
        let (segment, file) = segment::create(&self.disk, &self.dir, header)?;
        self.segments.push(Segment { archived: Some(segment.place_in(&self.archive)), ..segment });
        self.file = file;
        self.end = SEGMENT_HEADER as u64;
        Ok(())
    }

    fn path(&self) -> &Path {
        &self.segments.last().expect("a journal has a segment").path
    }

    fn check_poison(&self) -> Result<(), Error> {
        self.poison.as_ref().map_or(Ok(()), |first| Err(Error::Poisoned(Arc::clone(first))))
    }

    /// Runs an operation that writes; its failure is the last thing that this journal does.
    fn guarded<T>(&mut self, operation: impl FnOnce(&mut Journal) -> Result<T, Error>) -> Result<T, Error> {
        self.check_poison()?;
        operation(self).map_err(|error| {
            let first = Arc::new(error);
            self.poison = Some(Arc::clone(&first));
            Error::Poisoned(first)
        })
    }
}

/// Makes the last segment durable as far as it is whole: cuts the tail off, writes a last group that nothing
/// vouches for once more, syncs.
fn prove_durable(file: &mut dyn File, whole: Whole, tail: Option<&TornTail>) -> std::io::Result<()> {
    if let Some(tail) = tail {
        file.set_len(tail.at)?;
    }
    let (start, end) = whole.last_group;
    if !whole.noted && start < end {
        let len = usize::try_from(end - start).map_err(std::io::Error::other)?;
        let mut group = vec![0; len];
        let read = read_full_at(file, &mut group, start)?;
        file.write_all_at(&group[..read], start)?;
    }
    file.sync()
}
