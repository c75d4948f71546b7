//! Walks through one segment, record by record, and judges what is not whole.

use std::io;
use std::sync::Arc;

use super::frame::{
    Flaw, GROUP_HEADER, GROUP_MAGIC, GroupHeader, Head, RECORD_HEADER, SEGMENT_HEADER, check_record,
    record_len,
};
use super::segment::Segment;
use super::{Error, Record, TornTail};
use crate::store::disk::{Disk, Named};
use crate::store::window::Window;

/// No journal gets as far. Numbers below it have a zero byte, which text has not.
const SEQ_END: u64 = 1 << 56;

/// A walk through one segment. After [`Step::Bad`] there is nothing to go on with.
#[derive(Debug)]
pub(super) struct Walk {
    window: Window,
    at: u64,
    head: Head,
    group: Option<Group>,
    whole: Whole,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    start: u64,
    end: u64,
    records_left: u32,
}

/// How far a segment consists of whole groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    /// Place after the last whole group.
    pub(super) head: Head,
    /// Where that group begins, and where it ends.
    pub(super) last_group: (u64, u64),
    /// Whether a note follows it.
    pub(super) noted: bool,
}

impl Whole {
    /// Returns the size of the file if it ended with its last whole group or note.
    fn size(&self) -> u64 {
        self.last_group.1 + if self.noted { GROUP_HEADER as u64 } else { 0 }
    }
}

#[derive(Debug)]
pub(super) enum Step {
    Record(Record),
    End,
    Bad(Bad),
}

/// The first piece of a segment that is not what was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bad {
    pub(super) offset: u64,
    pub(super) seq: u64,
    pub(super) flaw: Flaw,
}

impl Walk {
    pub(super) fn new(disk: &Arc<dyn Disk>, segment: &Segment) -> Result<Walk, Error> {
        let file = segment.open(disk)?;
        let window = Window::new(file).named("read", &segment.path)?;
        let at = SEGMENT_HEADER as u64;
        let head = segment.start();
        let whole = Whole { head, last_group: (at, at), noted: false };
        Ok(Walk { window, at, head, group: None, whole })
    }

    /// Goes on to the next record.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        loop {
            match self.group {
                Some(group) if group.records_left > 0 => return self.record(group),
                Some(group) if self.at < group.end => return Ok(self.bad(Flaw::Length)),
                Some(group) => {
                    self.group = None;
                    self.whole =
                        Whole { head: self.head, last_group: (group.start, group.end), noted: false };
                }
                None if self.at >= self.window.size() => return Ok(Step::End),
                None => {
                    if let Err(flaw) = self.group_header()? {
                        return Ok(self.bad(flaw));
                    }
                }
            }
        }
    }

    fn group_header(&mut self) -> io::Result<Result<(), Flaw>> {
        let bytes = self.window.get(self.at, GROUP_HEADER)?;
        // Nothing ever follows a note: the next group is written over it.
        let Some(header) = bytes.and_then(GroupHeader::decode).filter(|_| !self.whole.noted) else {
            return Ok(Err(Flaw::GroupHeader));
        };
        if header.first_seq != self.head.seq + 1 {
            return Ok(Err(Flaw::Sequence));
        }
        let start = self.at;
        let end = start + (GROUP_HEADER as u64) + u64::from(header.body_len);
        if header.is_note() {
            self.whole.noted = true;
        } else {
            self.group = Some(Group { start, end, records_left: header.records });
        }
        self.at += GROUP_HEADER as u64;
        Ok(Ok(()))
    }

    fn record(&mut self, group: Group) -> io::Result<Step> {
        let rest = group.end - self.at;
        let Some(header) = self.window.get(self.at, RECORD_HEADER)? else {
            return Ok(self.bad(Flaw::CutShort));
        };
        let len = record_len(header);
        if len as u64 > rest {
            return Ok(self.bad(Flaw::Length));
        }
        let Some(bytes) = self.window.get(self.at, len)? else {
            return Ok(self.bad(Flaw::CutShort));
        };
        let head = match check_record(bytes, self.head) {
            Ok(head) => head,
            Err(flaw) => return Ok(self.bad(flaw)),
        };
        let record = Record { seq: head.seq, hash: head.hash, payload: bytes[RECORD_HEADER..].to_vec() };
        self.head = head;
        self.at += len as u64;
        self.group = Some(Group { records_left: group.records_left - 1, ..group });
        Ok(Step::Record(record))
    }

    fn bad(&self, flaw: Flaw) -> Step {
        Step::Bad(Bad { offset: self.at, seq: self.head.seq + 1, flaw })
    }

    /// Says whether anything behind the last whole group proves that it was durable with more records behind
    /// it: the header of a later group, or a note. Such a header is only written after the sync of all that
    /// lies before it. Text in a payload must not pass for one, or whoever can put text into a record could make a
    /// torn tail look like damage.
    fn is_more_proven(&mut self) -> io::Result<bool> {
        let next_seq = self.whole.head.seq + 1;
        let later = |header: GroupHeader| (next_seq + 1..SEQ_END).contains(&header.first_seq);
        let mut at = self.whole.size();
        while let Some(bytes) = self.window.get(at, GROUP_HEADER)? {
            if bytes.starts_with(&GROUP_MAGIC) && GroupHeader::decode(bytes).is_some_and(later) {
                return Ok(true);
            }
            at += 1;
        }
        Ok(false)
    }
}

/// What was found in the last segment of a journal.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) whole: Whole,
    /// What follows the last whole group and was never acknowledged.
    pub(super) tail: Option<TornTail>,
}

/// Reads all of the last segment. A group that is not whole is a torn tail if nothing behind it shows that it
/// was durable once; otherwise the journal is damaged.
pub(super) fn survey(disk: &Arc<dyn Disk>, segment: &Segment) -> Result<Survey, Error> {
    let mut walk = Walk::new(disk, segment)?;
    let bad = loop {
        match walk.step().named("read", &segment.path)? {
            Step::Record(_) => {}
            Step::End => return Ok(Survey { whole: walk.whole, tail: None }),
            Step::Bad(bad) => break bad,
        }
    };
    if walk.is_more_proven().named("read", &segment.path)? {
        return Err(segment.damaged(bad.offset, bad.seq, bad.flaw));
    }
    let whole = walk.whole;
    let at = whole.size();
    let bytes = walk.window.size() - at;
    let tail = TornTail { file: segment.path.clone(), at, bytes, seq: whole.head.seq + 1 };
    Ok(Survey { whole, tail: Some(tail) })
}
