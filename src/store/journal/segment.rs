//! Segment files: their names, their headers, and how each continues the one before.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{Flaw, Head, NoHeader, SEGMENT_HEADER, SegmentHeader};
use super::packed::{BadBlock, Unpacked};
use super::{Error, archive};
use crate::store::disk::{Disk, Fault, File, Named, Open, TEMPORARY, put_file, read_full_at};

const ENDING: &str = ".journal";
/// Ending of a segment in the archive.
pub(super) const ARCHIVED: &str = ".archive";

/// A segment file whose header was read and found whole.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    /// Where it is to be found once it is not here any more.
    pub(super) archived: Option<PathBuf>,
}

impl Segment {
    /// Returns the place before the segment's first record.
    pub(super) fn start(&self) -> Head {
        Head { seq: self.header.first_seq - 1, hash: self.header.hash }
    }

    /// Opens the segment as it was written, wherever it lies by now: one that the archive has proven is removed.
    pub(super) fn open(&self, disk: &Arc<dyn Disk>) -> Result<Box<dyn File>, Error> {
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let path = match (disk.open(&self.path, Open::Read), &self.archived) {
            (Err(error), Some(archived)) if gone(&error) => archived,
            (Ok(file), _) if !self.is_packed() => return Ok(file),
            (Ok(_), _) => &self.path,
            (Err(error), _) => return Err(Fault::of("open", &self.path, error).into()),
        };
        let seq = self.header.first_seq;
        let anchors = archive::anchors(disk, path, seq)?;
        let file = disk.open(path, Open::Read).named("open", path)?;
        let unpacked = Unpacked::open(file, &anchors).map_err(|error| failed(path, error, seq))?;
        Ok(Box::new(unpacked))
    }

    /// Returns where an archive keeps it.
    pub(super) fn place_in(&self, archive: &Path) -> PathBuf {
        archive.join(name_of(self.header.first_seq, ARCHIVED))
    }

    pub(super) fn is_packed(&self) -> bool {
        self.path.to_string_lossy().ends_with(ARCHIVED)
    }

    /// Names what failed while the record `seq` was read.
    pub(super) fn failed(&self, error: io::Error, seq: u64) -> Error {
        failed(&self.path, error, seq)
    }

    pub(super) fn damaged(&self, offset: u64, seq: u64, flaw: Flaw) -> Error {
        Error::Damaged { file: self.path.clone(), offset, seq, flaw }
    }
}

fn failed(path: &Path, error: io::Error, seq: u64) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<BadBlock>()) {
        Some(BadBlock { offset }) => {
            Error::Damaged { file: path.to_path_buf(), offset: *offset, seq, flaw: Flaw::Block }
        }
        None => Fault::of("read", path, error).into(),
    }
}

/// Lists the segments of a journal in their order. Checks that every header is whole and names the segment
/// before it as the one before; the hashes are compared by whoever reads the records.
pub(super) fn list(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<Segment>, Error> {
    let mut segments: Vec<Segment> = Vec::new();
    for name in disk.list(dir).named("list", dir)? {
        let Some(first_seq) = seq_of(&name, ENDING) else { continue };
        let segment = read_header(disk, dir.join(&name), first_seq)?;
        if segment.header.before != segments.last().map_or(segment.header.before, |s| s.header.first_seq) {
            return Err(Error::Gap { before: segment.path });
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn read_header(disk: &Arc<dyn Disk>, path: PathBuf, first_seq: u64) -> Result<Segment, Error> {
    let mut bytes = [0; SEGMENT_HEADER];
    let file = disk.open(&path, Open::Read).named("open", &path)?;
    let read = read_full_at(file.as_ref(), &mut bytes, 0).named("read", &path)?;
    let damaged = |flaw| Error::Damaged { file: path.clone(), offset: 0, seq: first_seq, flaw };
    let header = SegmentHeader::decode(&bytes[..read]).map_err(|error| match error {
        NoHeader::Damaged => damaged(Flaw::SegmentHeader),
        NoHeader::Version(version) => Error::Version { file: path.clone(), version },
    })?;
    if header.first_seq != first_seq {
        return Err(damaged(Flaw::Sequence));
    }
    if (first_seq == 1) != (header.before == 0) || (first_seq == 1 && header.hash != Head::START.hash) {
        return Err(damaged(Flaw::Chain));
    }
    Ok(Segment { path, header, archived: None })
}

/// Creates a segment; when this returns, the file and its name are durable.
pub(super) fn create(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    header: SegmentHeader,
) -> Result<(Segment, Box<dyn File>), Fault> {
    let path = dir.join(name_of(header.first_seq, ENDING));
    let file = put_file(disk.as_ref(), &path, &header.encode())?;
    Ok((Segment { path, header, archived: None }, file))
}

/// Removes segments whose creation was cut short. They were never renamed into place: no record is in them.
pub(super) fn remove_unfinished(disk: &Arc<dyn Disk>, dir: &Path) -> Result<(), Fault> {
    for name in disk.list(dir).named("list", dir)? {
        if name.strip_suffix(TEMPORARY).and_then(|name| seq_of(name, ENDING)).is_some() {
            let path = dir.join(name);
            disk.remove_file(&path).named("remove", &path)?;
        }
    }
    Ok(())
}

/// Returns the name of the file whose first record is `first_seq`.
pub(super) fn name_of(first_seq: u64, ending: &str) -> String {
    format!("{first_seq:020}{ending}")
}

/// Returns the first record of the file that has this name.
pub(super) fn seq_of(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?;
    let seq =
        (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?;
    seq.filter(|seq| *seq > 0)
}
