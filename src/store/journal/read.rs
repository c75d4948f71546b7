//! Reading a journal from a record on, through all its segments, and verifying it offline.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::frame::{Flaw, Head};
use super::segment::{self, Segment};
use super::walk::{Step, Survey, Walk, survey};
use super::{Error, Record, TornTail};
use crate::store::disk::{Disk, Named, Open};

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
            match walk.step().named("read", &segment.path)? {
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
    pub bytes: u64,
    pub records: u64,
    /// First record that is there; more than 1 if older segments were archived.
    pub first_seq: u64,
    /// Last record, and the hash to compare with one that was noted elsewhere.
    pub head: Head,
    /// Unfinished bytes at the end. Normal while a daemon runs or after a crash: never acknowledged.
    pub tail: Option<TornTail>,
}

/// Reads all of a journal, proves every checksum and the whole chain, and shows each record to `visit`.
/// Changes nothing and needs no lock: of a journal that is being written to, it proves what was complete when
/// it began. The first damage is the error; it names file, offset and record.
pub fn verify(disk: &Arc<dyn Disk>, dir: &Path, visit: &mut dyn FnMut(Record)) -> Result<Report, Error> {
    let segments = segment::list(disk, dir)?;
    let Some(last) = segments.last() else {
        return Err(Error::Empty { dir: dir.to_path_buf() });
    };
    let Survey { whole, tail } = survey_live(disk, last)?;
    let mut bytes = 0;
    for segment in &segments {
        let file = disk.open(&segment.path, Open::Read).named("open", &segment.path)?;
        bytes += file.size().named("read the size of", &segment.path)?;
    }
    let first_seq = segments[0].header.first_seq;
    for record in Records::new(Arc::clone(disk), &segments, first_seq, whole.head.seq) {
        visit(record?);
    }
    if whole.head == last.start() {
        prove_link_to_empty(disk, &segments)?;
    }
    let records = whole.head.seq + 1 - first_seq;
    Ok(Report { segments: segments.len(), bytes, records, first_seq, head: whole.head, tail })
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
        match walk.step().named("read", &before.path)? {
            Step::Record(record) => head = record.head(),
            Step::End if head == last.start() => return Ok(()),
            Step::End => return Err(last.damaged(0, last.header.first_seq, Flaw::Chain)),
            Step::Bad(bad) => return Err(before.damaged(bad.offset, bad.seq, bad.flaw)),
        }
    }
}
