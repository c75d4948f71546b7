//! Segment files: their names, their headers, and how each continues the one before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::frame::{Flaw, Head, NoHeader, SEGMENT_HEADER, SegmentHeader};
use crate::store::disk::{Disk, Fault, File, Named, Open, TEMPORARY, put_file, read_full_at};

const ENDING: &str = ".journal";

/// A segment file whose header was read and found whole.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
}

impl Segment {
    /// Returns the place before the segment's first record.
    pub(super) fn start(&self) -> Head {
        Head { seq: self.header.first_seq - 1, hash: self.header.hash }
    }

    pub(super) fn damaged(&self, offset: u64, seq: u64, flaw: Flaw) -> Error {
        Error::Damaged { file: self.path.clone(), offset, seq, flaw }
    }
}

/// Lists the segments of a journal in their order. Checks that every header is whole and names the segment
/// before it as the one before; the hashes are compared by whoever reads the records.
pub(super) fn list(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<Segment>, Error> {
    let mut segments: Vec<Segment> = Vec::new();
    for name in disk.list(dir).named("list", dir)? {
        let Some(first_seq) = first_seq_of(&name) else { continue };
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
    Ok(Segment { path, header })
}

/// Creates a segment; when this returns, the file and its name are durable.
pub(super) fn create(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    header: SegmentHeader,
) -> Result<(Segment, Box<dyn File>), Fault> {
    let path = dir.join(format!("{:020}{ENDING}", header.first_seq));
    let file = put_file(disk.as_ref(), &path, &header.encode())?;
    Ok((Segment { path, header }, file))
}

/// Removes segments whose creation was cut short. They were never renamed into place: no record is in them.
pub(super) fn remove_unfinished(disk: &Arc<dyn Disk>, dir: &Path) -> Result<(), Fault> {
    for name in disk.list(dir).named("list", dir)? {
        if name.strip_suffix(TEMPORARY).and_then(first_seq_of).is_some() {
            let path = dir.join(name);
            disk.remove_file(&path).named("remove", &path)?;
        }
    }
    Ok(())
}

fn first_seq_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(ENDING)?;
    let seq =
        (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?;
    seq.filter(|seq| *seq > 0)
}
