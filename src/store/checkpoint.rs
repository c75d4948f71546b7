//! Checkpoints: all rows as they were after one journal record, in one file each.
//!
//! A checkpoint bounds the time of a rebuild. It is written under a temporary name, synced, renamed, and read
//! again before it counts. The newest whole one wins; a damaged one is named and passed over. It knows nothing
//! of what rows mean.

mod format;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use format::Reader;

use format::{Header, Trouble};

use super::disk::{Disk, Fault, Named, Open, TEMPORARY, make_dir, sync_parent, temporary_name};
use super::journal::Head;

const PREFIX: &str = "checkpoint-";
/// Ending of one that was set aside.
const ASIDE: &str = ".aside";
/// How many checkpoints are kept.
const KEPT: usize = 2;

/// What a checkpoint reflects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    pub head: Head,
    pub rows: u64,
}

/// Why a checkpoint file is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    Header,
    Version,
    RowsVersion,
    CutShort,
    Checksum,
    Trailer,
    Name,
    OtherJournal,
    AheadOfJournal,
    TooOld,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Header => "its header is unreadable",
            Flaw::Version => "it has another format",
            Flaw::RowsVersion => "its rows are of another version",
            Flaw::CutShort => "it is cut short",
            Flaw::Checksum => "a checksum is wrong",
            Flaw::Trailer => "its end does not fit its content",
            Flaw::Name => "its name does not fit its content",
            Flaw::OtherJournal => "it was not made from this journal",
            Flaw::AheadOfJournal => "the journal ends before it",
            Flaw::TooOld => "the journal does not reach back to it",
        })
    }
}

/// A checkpoint that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub file: PathBuf,
    pub flaw: Flaw,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoint `{}` is of no use: {}", self.file.display(), self.flaw)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Disk(#[from] Fault),
    #[error("the checkpoint `{}` did not come back as it was written: {flaw}", file.display())]
    Unproven { file: PathBuf, flaw: Flaw },
    #[error("there is no whole checkpoint of record {seq}")]
    Missing { seq: u64 },
    #[error("a row of {len} bytes does not fit a checkpoint")]
    RowTooLarge { len: usize },
    #[error("the rows for a checkpoint could not be read")]
    Rows(#[source] io::Error),
}

/// The checkpoints of a store. Independent of the store's writer: another thread may write one, out of a copy
/// of the rows, but only one thread at a time.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    rows_version: u32,
    /// Whether rows of an older version will do.
    older: bool,
}

/// A checkpoint that was proven whole.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) info: Info,
    pub(super) rows: Reader,
}

impl Checkpoints {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: &Path, rows_version: u32) -> Checkpoints {
        Checkpoints { disk, dir: dir.to_path_buf(), rows_version, older: false }
    }

    /// Returns the same, but for rows of an older version as well. They lack what later versions keep, and nothing else: better
    /// to rebuild from a journal that reaches back to its beginning.
    pub(super) fn or_older(&self) -> Checkpoints {
        Checkpoints { older: true, ..self.clone() }
    }

    /// Writes all rows as of `head`, proves the file by reading it again, and removes all but the newest few.
    /// Memory is bounded by one block.
    pub fn write<K, V>(&self, head: Head, rows: impl IntoIterator<Item = (K, V)>) -> Result<Info, Error>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.try_write(head, rows.into_iter().map(Ok))
    }

    /// Like [`Checkpoints::write`], for rows that may fail to be read: then there is no checkpoint.
    pub fn try_write<K, V>(
        &self,
        head: Head,
        rows: impl IntoIterator<Item = io::Result<(K, V)>>,
    ) -> Result<Info, Error>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        make_dir(self.disk.as_ref(), &self.dir)?;
        self.remove_unfinished()?;
        let path = self.dir.join(name_of(head.seq));
        let temporary = temporary_name(&path);
        let file = self.disk.open(&temporary, Open::Create).named("create", &temporary)?;
        let header = Header { rows_version: self.rows_version, head };
        if let Err(error) = format::write(file, &temporary, header, rows) {
            // It may be what fills the disk. The failure to report is the first one.
            self.disk.remove_file(&temporary).unwrap_or(());
            return Err(error);
        }
        self.disk.rename(&temporary, &path).named("rename into place", &path)?;
        sync_parent(self.disk.as_ref(), &path)?;
        match self.prove(&path) {
            Ok(info) => {
                self.remove_old()?;
                Ok(info)
            }
            Err(Trouble::Disk(fault)) => Err(fault.into()),
            Err(Trouble::Flaw(flaw)) => {
                self.disk.remove_file(&path).named("remove", &path)?;
                Err(Error::Unproven { file: path, flaw })
            }
        }
    }

    /// Finds the newest checkpoint that is whole and that `judge` has nothing against, and names those that
    /// were passed over. An error of `judge` ends the search.
    pub(super) fn newest<E: From<Fault>>(
        &self,
        mut judge: impl FnMut(Head) -> Result<Option<Flaw>, E>,
    ) -> Result<(Option<Checkpoint>, Vec<Skipped>), E> {
        let mut skipped = Vec::new();
        for file in self.list()?.into_iter().rev() {
            let flaw = match self.prove(&file) {
                Ok(info) => match judge(info.head)? {
                    None => return Ok((Some(Checkpoint { info, rows: self.open(&file)? }), skipped)),
                    Some(flaw) => flaw,
                },
                Err(Trouble::Disk(fault)) => return Err(fault.into()),
                Err(Trouble::Flaw(flaw)) => flaw,
            };
            skipped.push(Skipped { file, flaw });
        }
        Ok((None, skipped))
    }

    /// Proves every checkpoint, oldest first.
    pub(super) fn survey(&self) -> Result<Vec<Result<Head, Skipped>>, Fault> {
        let mut found = Vec::new();
        for file in self.list()? {
            match self.prove(&file) {
                Ok(info) => found.push(Ok(info.head)),
                Err(Trouble::Disk(fault)) => return Err(fault),
                Err(Trouble::Flaw(flaw)) => found.push(Err(Skipped { file, flaw })),
            }
        }
        Ok(found)
    }

    /// Returns the position of the oldest checkpoint that is whole, having read it again.
    pub(super) fn oldest(&self) -> Result<Option<Head>, Fault> {
        for file in self.list()? {
            match self.prove(&file) {
                Ok(info) => return Ok(Some(info.head)),
                Err(Trouble::Disk(fault)) => return Err(fault),
                Err(Trouble::Flaw(_)) => {}
            }
        }
        Ok(None)
    }

    /// Returns the oldest whole checkpoint of the record `seq` or a later one; an older release's if there is no other.
    pub(super) fn oldest_from(&self, seq: u64) -> Result<Option<Checkpoint>, Fault> {
        for file in self.list()? {
            match self.prove(&file) {
                Ok(info) if info.head.seq >= seq => {
                    return Ok(Some(Checkpoint { info, rows: self.open(&file)? }));
                }
                Err(Trouble::Disk(fault)) => return Err(fault),
                Ok(_) | Err(Trouble::Flaw(_)) => {}
            }
        }
        if self.older { Ok(None) } else { self.or_older().oldest_from(seq) }
    }

    /// Returns the newest checkpoint that is whole, and what it reflects; an older release's if there is no other.
    pub(super) fn newest_file(&self) -> Result<Option<(PathBuf, Head)>, Fault> {
        for file in self.list()?.into_iter().rev() {
            match self.prove(&file) {
                Ok(info) => return Ok(Some((file, info.head))),
                Err(Trouble::Disk(fault)) => return Err(fault),
                Err(Trouble::Flaw(_)) => {}
            }
        }
        if self.older { Ok(None) } else { self.or_older().newest_file() }
    }

    /// Renames a checkpoint out of the way, for whoever wants to look at it.
    pub(super) fn set_aside(&self, file: &Path) -> Result<(), Fault> {
        let mut aside = file.as_os_str().to_owned();
        aside.push(ASIDE);
        let aside = PathBuf::from(aside);
        self.disk.rename(file, &aside).named("set aside as", &aside)?;
        sync_parent(self.disk.as_ref(), file)
    }

    /// Reads a whole file, and returns what it reflects.
    fn prove(&self, path: &Path) -> Result<Info, Trouble> {
        let header = self.open(path)?.header()?;
        let older = self.older && header.rows_version < self.rows_version;
        if header.rows_version != self.rows_version && !older {
            return Err(Flaw::RowsVersion.into());
        }
        if path.file_name() != Some(name_of(header.head.seq).as_ref()) {
            return Err(Flaw::Name.into());
        }
        self.open(path)?.prove()
    }

    fn open(&self, path: &Path) -> Result<Reader, Fault> {
        Reader::new(self.disk.open(path, Open::Read).named("open", path)?, path)
    }

    /// Lists the checkpoint files, oldest first.
    fn list(&self) -> Result<Vec<PathBuf>, Fault> {
        let is_checkpoint = |name: &str| seq_of(name).is_some();
        self.files(is_checkpoint)
    }

    fn files(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, Fault> {
        if !self.disk.exists(&self.dir).named("look for", &self.dir)? {
            return Ok(Vec::new());
        }
        let names = self.disk.list(&self.dir).named("list", &self.dir)?;
        Ok(names.iter().filter(|name| wanted(name)).map(|name| self.dir.join(name)).collect())
    }

    /// Removes files whose writing was cut short.
    fn remove_unfinished(&self) -> Result<(), Fault> {
        let is_unfinished = |name: &str| name.strip_suffix(TEMPORARY).and_then(seq_of).is_some();
        self.remove(self.files(is_unfinished)?)
    }

    fn remove_old(&self) -> Result<(), Fault> {
        let mut files = self.list()?;
        files.truncate(files.len().saturating_sub(KEPT));
        self.remove(files)
    }

    fn remove(&self, files: Vec<PathBuf>) -> Result<(), Fault> {
        for path in files {
            self.disk.remove_file(&path).named("remove", &path)?;
        }
        Ok(())
    }
}

fn name_of(seq: u64) -> String {
    format!("{PREFIX}{seq:020}")
}

fn seq_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}
