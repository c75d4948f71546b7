//! Reading a journal from a record on, through all its segments, and verifying it offline.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::archive::{self, Shelf, shelf};
use super::frame::{ChainHash, Flaw, Head};
use super::segment::{self, Segment};
use super::walk::{Step, Survey, Walk, survey};
use super::{Error, Record, TornTail};
use crate::store::backup::Shelved;
use crate::store::disk::{Disk, File, Named};

/// How often a last segment that seems damaged is read again: a daemon may be writing to it.
const LOOKS: usize = 3;

/// Records in their order, each proven by its checksum and the hash chain. Memory is bounded by the largest
/// record and one buffer. After an error there are no more.
#[derive(Debug)]
pub struct Records {
    disk: Arc<dyn Disk>,
    /// Segments still to be read.
    segments: VecDeque<Segment>,
    walk: Option<(Walk, Segment)>,
    /// Place of the last record read.
    head: Option<Head>,
    next: u64,
    last: u64,
}

impl Records {
    /// Prepares reading the records `from..=last` out of `segments`, the last of which holds `last`.
    pub(super) fn new(disk: Arc<dyn Disk>, segments: &[Segment], from: u64, last: u64) -> Records {
        let before = segments.partition_point(|segment| segment.header.first_seq <= from);
        let segments = segments[before.saturating_sub(1)..].iter().cloned().collect();
        Records { disk, segments, walk: None, head: None, next: from.max(1), last }
    }

    fn step(&mut self) -> Result<Record, Error> {
        loop {
            let (mut walk, segment) = match self.walk.take() {
                Some(open) => open,
                None => self.open_next()?,
            };
            match walk.step().map_err(|error| segment.failed(error, self.head.map_or(0, |h| h.seq) + 1))? {
                Step::Record(record) => {
                    self.walk = Some((walk, segment));
                    self.head = Some(record.head());
                    if record.seq >= self.next {
                        return Ok(record);
                    }
                }
                Step::End => {}
                Step::Bad(bad) => return Err(segment.damaged(bad.offset, bad.seq, bad.flaw)),
            }
        }
    }

    fn open_next(&mut self) -> Result<(Walk, Segment), Error> {
        let segment = self.segments.pop_front().ok_or(Error::Short { last: self.last })?;
        let start = segment.start();
        match self.head {
            None if start.seq >= self.next => return Err(Error::Gap { before: segment.path }),
            Some(head) if head.seq != start.seq => return Err(Error::Gap { before: segment.path }),
            Some(head) if head.hash != start.hash => {
                return Err(segment.damaged(0, start.seq + 1, Flaw::Chain));
            }
            _ => {}
        }
        self.head = Some(start);
        Ok((Walk::new(&self.disk, &segment)?, segment))
    }
}

impl Iterator for Records {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.last {
            return None;
        }
        let step = self.step();
        self.next = match &step {
            Ok(record) => record.seq + 1,
            Err(_) => u64::MAX,
        };
        Some(step)
    }
}

/// What [`verify`] has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub segments: usize,
    /// How many of them are in the archive.
    pub archived: usize,
    pub bytes: u64,
    pub records: u64,
    /// First record that is there; more than 1 if older segments are kept elsewhere, or were given up.
    pub first_seq: u64,
    /// The chain's hash before it.
    pub before: ChainHash,
    /// First record that is not in the archive.
    pub live_seq: u64,
    /// Last record, and the hash to compare with one that was noted elsewhere.
    pub head: Head,
    /// Unfinished bytes at the end. Normal while a daemon runs or after a crash: never acknowledged.
    pub tail: Option<TornTail>,
}

/// Reads all of a journal, and of its archive if one is named, proves every checksum and the whole chain, and shows
/// each record to `visit`. Changes nothing and needs no lock: of a journal that is being written to, it proves what was
/// complete when it began. The first damage is the error; it names file, offset and record.
pub fn verify(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    archive: Option<&Path>,
    visit: &mut dyn FnMut(Record),
) -> Result<Report, Error> {
    let live = segment::list(disk, dir)?;
    let (Some(first), Some(last)) = (live.first(), live.last()) else {
        return Err(Error::Empty { dir: dir.to_path_buf() });
    };
    let shelf = archive.map_or_else(|| Ok(Shelf::default()), |archive| shelf(disk, archive, first))?;
    if let Some(trouble) = shelf.trouble {
        return Err(trouble);
    }
    let Survey { whole, tail } = survey_live(disk, last)?;
    let (archived, live_seq) = (shelf.segments.len(), first.header.first_seq);
    let moved = |segment: Segment| Segment { archived: archive.map(|a| segment.place_in(a)), ..segment };
    let segments: Vec<Segment> =
        shelf.segments.iter().cloned().chain(live.iter().cloned().map(moved)).collect();
    let mut bytes = 0;
    for segment in &segments {
        bytes += segment.open(disk)?.size().named("read the size of", &segment.path)?;
    }
    let first_seq = segments[0].header.first_seq;
    for record in Records::new(Arc::clone(disk), &segments, first_seq, whole.head.seq) {
        visit(record?);
    }
    if whole.head == last.start() {
        prove_link_to_empty(disk, &segments)?;
    }
    let (records, before) = (whole.head.seq + 1 - first_seq, segments[0].header.hash);
    let segments = segments.len();
    Ok(Report { segments, archived, bytes, records, first_seq, before, live_seq, head: whole.head, tail })
}

/// What of a journal belongs into a backup.
pub(in crate::store) struct Export {
    pub(in crate::store) first_seq: u64,
    pub(in crate::store) head: Head,
    /// Name, content and length of each segment that is not archived. The last one ends with a whole group.
    pub(in crate::store) segments: Vec<(String, Box<dyn File>, u64)>,
    pub(in crate::store) archive: Vec<Shelved>,
}

/// Opens the journal's own segments, the last as far as it is whole. A daemon may write on, and archive: what is open stays.
pub(in crate::store) fn export(disk: &Arc<dyn Disk>, dir: &Path, archive: &Path) -> Result<Export, Error> {
    let live = segment::list(disk, dir)?;
    let (Some(first), Some(last)) = (live.first(), live.last()) else {
        return Err(Error::Empty { dir: dir.to_path_buf() });
    };
    let shelf = shelf(disk, archive, first)?;
    let Survey { whole, .. } = survey_live(disk, last)?;
    let first_seq = first.header.first_seq;
    let mut segments = Vec::new();
    for segment in &live {
        let moved = Segment { archived: Some(segment.place_in(archive)), ..segment.clone() };
        let file = moved.open(disk)?;
        let is_last = segment.header.first_seq == last.header.first_seq;
        let size = file.size().named("read the size of", &segment.path)?;
        let name = segment.path.file_name().map(|name| name.to_string_lossy().into_owned());
        segments.push((name.unwrap_or_default(), file, if is_last { whole.last_group.1 } else { size }));
    }
    let mut shelved = Vec::new();
    for segment in &shelf.segments {
        let anchors = archive::anchors(disk, &segment.path, segment.header.first_seq)?;
        shelved.push(Shelved {
            name: segment::name_of(segment.header.first_seq, segment::ARCHIVED),
            first_seq: segment.header.first_seq,
            last_seq: anchors.last.seq,
            before: anchors.segment.hash.to_string(),
            after: anchors.last.hash.to_string(),
        });
    }
    Ok(Export { first_seq, head: whole.head, segments, archive: shelved })
}

fn survey_live(disk: &Arc<dyn Disk>, last: &Segment) -> Result<Survey, Error> {
    let mut found = survey(disk, last);
    for _ in 1..LOOKS {
        if !matches!(found, Err(Error::Damaged { .. })) {
            break;
        }
        found = survey(disk, last);
    }
    found
}

/// Proves that a last segment without records continues the one before it; for all others reading the records
/// has shown it.
fn prove_link_to_empty(disk: &Arc<dyn Disk>, segments: &[Segment]) -> Result<(), Error> {
    let [.., before, last] = segments else { return Ok(()) };
    let mut walk = Walk::new(disk, before)?;
    let mut head = before.start();
    loop {
        match walk.step().map_err(|error| before.failed(error, head.seq + 1))? {
            Step::Record(record) => head = record.head(),
            Step::End if head == last.start() => return Ok(()),
            Step::End => return Err(last.damaged(0, last.header.first_seq, Flaw::Chain)),
            Step::Bad(bad) => return Err(before.damaged(bad.offset, bad.seq, bad.flaw)),
        }
    }
}
