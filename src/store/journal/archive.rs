//! The archive: segments that a checkpoint has made unnecessary for a start, compressed, each with the chain's hash
//! before its first and after its last record.
//!
//! A segment is archived in steps that may be cut short at any point: it is proven, compressed under a temporary name,
//! synced, renamed, the directory synced, and the archived file proven by reading every record of it again. Only then is
//! the segment removed. One that is in both places is fine: the next round proves the archived file, writes it again
//! if it is damaged, and removes the segment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::frame::{Flaw, Head};
use super::packed::{Anchors, HEADER, NoAnchors, pack};
use super::segment::{self, ARCHIVED, Segment};
use super::walk::{Step, Walk};
use crate::store::crash::crash_point;
use crate::store::disk::{
    Disk, Fault, Named, Open, TEMPORARY, make_dir, read_full_at, sync_parent, temporary_name,
};

/// A segment that was archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    pub file: PathBuf,
    pub first_seq: u64,
    /// The last record, and the chain's hash there.
    pub last: Head,
    /// How long the segment was, and how long the archived file is.
    pub bytes: (u64, u64),
}

/// What an archive holds.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// Segments without a gap up to where the journal's own begin.
    pub(super) segments: Vec<Segment>,
    /// Why older ones cannot be used.
    pub(super) trouble: Option<Error>,
}

/// Finds the archived segments that lead up to the record before `next_seq`, whose segment names `before` as the one
/// before it. Damage there makes what is older unusable, and is no error: a start seldom needs any of it.
pub(super) fn shelf(disk: &Arc<dyn Disk>, archive: &Path, next: &Segment) -> Result<Shelf, Fault> {
    let mut shelf = Shelf::default();
    let mut names = names(disk, archive)?;
    names.retain(|(first_seq, _)| *first_seq < next.header.first_seq);
    let mut next = next.clone();
    while let Some((first_seq, name)) = names.pop() {
        let found = read_anchors(disk, &archive.join(name), first_seq).and_then(|(segment, last)| {
            if last.seq + 1 != next.header.first_seq || next.header.before != first_seq {
                return Err(Error::Gap { before: next.path.clone() });
            }
            if last.hash != next.header.hash {
                return Err(segment.damaged(0, first_seq, Flaw::Chain));
            }
            Ok(segment)
        });
        match found {
            Ok(segment) => {
                shelf.segments.push(segment.clone());
                next = segment;
            }
            Err(trouble) => {
                shelf.trouble = Some(trouble);
                break;
            }
        }
    }
    shelf.segments.reverse();
    Ok(shelf)
}

/// Returns the last record of an archive, for a journal that has no segment of its own any more.
pub(super) fn last_seq(disk: &Arc<dyn Disk>, archive: &Path) -> Result<Option<u64>, Error> {
    let Some((first_seq, name)) = names(disk, archive)?.pop() else { return Ok(None) };
    Ok(Some(read_anchors(disk, &archive.join(name), first_seq)?.1.seq))
}

/// Lists the files of an archive, oldest first.
pub(in crate::store) fn archived(disk: &Arc<dyn Disk>, archive: &Path) -> Result<Vec<PathBuf>, Fault> {
    Ok(names(disk, archive)?.into_iter().map(|(_, name)| archive.join(name)).collect())
}

fn names(disk: &Arc<dyn Disk>, archive: &Path) -> Result<Vec<(u64, String)>, Fault> {
    if !disk.exists(archive).named("look for", archive)? {
        return Ok(Vec::new());
    }
    let names = disk.list(archive).named("list", archive)?;
    Ok(names.into_iter().filter_map(|name| Some((segment::seq_of(&name, ARCHIVED)?, name))).collect())
}

/// Reads the header of an archived segment.
pub(super) fn anchors(disk: &Arc<dyn Disk>, path: &Path, first_seq: u64) -> Result<Anchors, Error> {
    let mut bytes = [0; HEADER];
    let file = disk.open(path, Open::Read).named("open", path)?;
    let read = read_full_at(file.as_ref(), &mut bytes, 0).named("read", path)?;
    let damaged = |flaw| Error::Damaged { file: path.to_path_buf(), offset: 0, seq: first_seq, flaw };
    let anchors = Anchors::decode(&bytes[..read]).map_err(|error| match error {
        NoAnchors::Damaged => damaged(Flaw::SegmentHeader),
        NoAnchors::Version(version) => Error::Version { file: path.to_path_buf(), version },
    })?;
    let ordered = anchors.last.seq >= first_seq && (first_seq == 1) == (anchors.segment.before == 0);
    if anchors.segment.first_seq != first_seq || !ordered {
        return Err(damaged(Flaw::Sequence));
    }
    if first_seq == 1 && anchors.segment.hash != Head::START.hash {
        return Err(damaged(Flaw::Chain));
    }
    Ok(anchors)
}

fn read_anchors(disk: &Arc<dyn Disk>, path: &Path, first_seq: u64) -> Result<(Segment, Head), Error> {
    let anchors = anchors(disk, path, first_seq)?;
    let segment = Segment { path: path.to_path_buf(), header: anchors.segment, archived: None };
    Ok((segment, anchors.last))
}

/// Archives the segments of which every record is at or before `through`, oldest first. A failure leaves what was
/// archived before it, and every segment that is not.
pub fn archive(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    archive: &Path,
    through: u64,
) -> Result<Vec<Archived>, Error> {
    let segments = segment::list(disk, dir)?;
    let mut done = Vec::new();
    for pair in segments.windows(2) {
        let (segment, end) = (&pair[0], pair[1].start());
        if end.seq > through {
            break;
        }
        if done.is_empty() {
            make_dir(disk.as_ref(), archive)?;
            remove_unfinished(disk, archive)?;
        }
        done.push(archive_one(disk, segment, end, archive)?);
    }
    Ok(done)
}

fn archive_one(
    disk: &Arc<dyn Disk>,
    segment: &Segment,
    end: Head,
    archive: &Path,
) -> Result<Archived, Error> {
    let first_seq = segment.header.first_seq;
    let path = archive.join(segment::name_of(first_seq, ARCHIVED));
    let there = disk.exists(&path).named("look for", &path)?;
    if !there || prove(disk, &path, segment, end).is_err() {
        prove_records(disk, segment, end)?;
        write(disk, &path, segment, end)?;
        crash_point("archive_written");
        prove(disk, &path, segment, end)?;
    }
    crash_point("archive_proven");
    let size = |path: &Path| {
        let file = disk.open(path, Open::Read).named("open", path)?;
        file.size().named("read the size of", path)
    };
    let bytes = (size(&segment.path)?, size(&path)?);
    disk.remove_file(&segment.path).named("remove", &segment.path)?;
    sync_parent(disk.as_ref(), &segment.path)?;
    crash_point("archive_removed");
    Ok(Archived { file: path, first_seq, last: end, bytes })
}

fn write(disk: &Arc<dyn Disk>, path: &Path, segment: &Segment, end: Head) -> Result<(), Error> {
    let temporary = temporary_name(path);
    let from = disk.open(&segment.path, Open::Read).named("open", &segment.path)?;
    let mut to = disk.open(&temporary, Open::Create).named("create", &temporary)?;
    let names = (segment.path.as_path(), temporary.as_path());
    if let Err(fault) = pack(from.as_ref(), to.as_mut(), segment.header, end, names) {
        // It may be what fills the disk. The failure to report is the first one.
        disk.remove_file(&temporary).unwrap_or(());
        return Err(fault.into());
    }
    disk.rename(&temporary, path).named("rename into place", path)?;
    Ok(sync_parent(disk.as_ref(), path)?)
}

/// Proves that an archived file holds the records of `segment`, and ends as it does.
fn prove(disk: &Arc<dyn Disk>, path: &Path, segment: &Segment, end: Head) -> Result<(), Error> {
    let (archived, last) = read_anchors(disk, path, segment.header.first_seq)?;
    if archived.header != segment.header || last != end {
        return Err(archived.damaged(0, segment.header.first_seq, Flaw::Chain));
    }
    prove_records(disk, &archived, end)
}

/// Proves every record of a segment, and that the last one is `end`.
pub(super) fn prove_records(disk: &Arc<dyn Disk>, segment: &Segment, end: Head) -> Result<(), Error> {
    let mut walk = Walk::new(disk, segment)?;
    let mut head = segment.start();
    loop {
        match walk.step().map_err(|error| segment.failed(error, head.seq + 1))? {
            Step::Record(record) => head = record.head(),
            Step::End if head == end => return Ok(()),
            Step::End => return Err(segment.damaged(0, head.seq + 1, Flaw::CutShort)),
            Step::Bad(bad) => return Err(segment.damaged(bad.offset, bad.seq, bad.flaw)),
        }
    }
}

fn remove_unfinished(disk: &Arc<dyn Disk>, archive: &Path) -> Result<(), Fault> {
    for name in disk.list(archive).named("list", archive)? {
        if name.strip_suffix(TEMPORARY).and_then(|name| segment::seq_of(name, ARCHIVED)).is_some() {
            let path = archive.join(name);
            disk.remove_file(&path).named("remove", &path)?;
        }
    }
    Ok(())
}
