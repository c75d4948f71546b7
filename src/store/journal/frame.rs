//! The bytes of a segment: its header, groups, records, and the hash chain. Pure, no I/O.
//!
//! All numbers are little-endian. Every byte is covered by a magic number or a CRC-32.
//!
//! ```text
//! segment header  64  magic 8 | crc 4 | version 4 | first seq 8 | first seq of the segment before 8 | hash 32
//! group header    24  magic 4 | crc 4 | body length 4 | records 4 | first seq 8
//! record     48 + n   crc 4 | payload length 4 | seq 8 | hash 32 | payload n
//! ```
//!
//! A crc covers what follows it in its header; a record's covers the payload too. The hash in a segment header
//! is the chain's before the segment's first record. A group without records is a *note*: see
//! [`super`].

use std::fmt;

use sha2::{Digest, Sha256};

use crate::store::bytes::{is_sealed, seal, u32_at, u64_at};

pub(super) const SEGMENT_HEADER: usize = 64;
pub(super) const GROUP_HEADER: usize = 24;
pub(super) const RECORD_HEADER: usize = 48;
pub(super) const GROUP_MAGIC: [u8; 4] = *b"EvkG";
const SEGMENT_MAGIC: [u8; 8] = *b"EvkJrnl\n";
const VERSION: u32 = 1;

/// The hash chain at a record: SHA-256 over the hash before, the seq (8 bytes, little-endian) and the payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// The hash before the first record of all.
    pub const START: ChainHash = ChainHash([0; 32]);

    pub const fn from_bytes(bytes: [u8; 32]) -> ChainHash {
        ChainHash(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the hash after the record `seq`.
    #[must_use]
    pub fn then(self, seq: u64, payload: &[u8]) -> ChainHash {
        let digest = Sha256::new().chain_update(self.0).chain_update(seq.to_le_bytes()).chain_update(payload);
        ChainHash(digest.finalize().into())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place in the journal: a record, and the chain's hash at it. Seq 0 is the place before the first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: ChainHash,
}

impl Head {
    pub const START: Head = Head { seq: 0, hash: ChainHash::START };

    /// Returns the place after the next record.
    #[must_use]
    pub(super) fn then(self, payload: &[u8]) -> Head {
        let seq = self.seq + 1;
        Head { seq, hash: self.hash.then(seq, payload) }
    }
}

/// What is wrong with a piece of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    SegmentHeader,
    GroupHeader,
    CutShort,
    Length,
    Checksum,
    Sequence,
    Chain,
    /// A compressed block of an archived segment.
    Block,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::SegmentHeader => "the header of the segment is unreadable",
            Flaw::GroupHeader => "no group of records begins here",
            Flaw::CutShort => "the group is cut short",
            Flaw::Length => "the length of the record does not fit its group",
            Flaw::Checksum => "the checksum of the record is wrong",
            Flaw::Sequence => "the number of the record is not the next one",
            Flaw::Block => "a compressed block is not what was written",
            Flaw::Chain => "the hash does not continue the chain",
        })
    }
}

/// First bytes of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) first_seq: u64,
    /// First seq of the segment before; 0 if this is the first of all.
    pub(super) before: u64,
    pub(super) hash: ChainHash,
}

/// Why bytes are not a segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    Damaged,
    /// The header is whole, of a format that this program does not know.
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[12..16].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.before.to_le_bytes());
        bytes[32..].copy_from_slice(self.hash.as_bytes());
        seal(&mut bytes, 8);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<SegmentHeader, NoHeader> {
        let bytes: &[u8; SEGMENT_HEADER] = bytes.try_into().map_err(|_| NoHeader::Damaged)?;
        if bytes[..8] != SEGMENT_MAGIC || !is_sealed(bytes, 8) {
            return Err(NoHeader::Damaged);
        }
        match u32_at(bytes, 12) {
            VERSION => Ok(SegmentHeader {
                first_seq: u64_at(bytes, 16),
                before: u64_at(bytes, 24),
                hash: hash_at(bytes, 32),
            }),
            version => Err(NoHeader::Version(version)),
        }
    }
}

/// First bytes of a group, and all of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub(super) body_len: u32,
    pub(super) records: u32,
    pub(super) first_seq: u64,
}

impl GroupHeader {
    /// The note that says: all before `next_seq` is durable.
    pub(super) fn note(next_seq: u64) -> GroupHeader {
        GroupHeader { body_len: 0, records: 0, first_seq: next_seq }
    }

    pub(super) fn is_note(&self) -> bool {
        self.records == 0
    }

    pub(super) fn encode(&self) -> [u8; GROUP_HEADER] {
        let mut bytes = [0; GROUP_HEADER];
        bytes[..4].copy_from_slice(&GROUP_MAGIC);
        bytes[8..12].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.records.to_le_bytes());
        bytes[16..].copy_from_slice(&self.first_seq.to_le_bytes());
        seal(&mut bytes, 4);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<GroupHeader> {
        let bytes: &[u8; GROUP_HEADER] = bytes.try_into().ok()?;
        (bytes[..4] == GROUP_MAGIC && is_sealed(bytes, 4)).then(|| GroupHeader {
            body_len: u32_at(bytes, 8),
            records: u32_at(bytes, 12),
            first_seq: u64_at(bytes, 16),
        })
    }
}

/// Reads how long a record is, out of its header. Nothing is proven until [`check_record`] has seen all of it.
pub(super) fn record_len(header: &[u8]) -> usize {
    RECORD_HEADER.saturating_add(usize::try_from(u32_at(header, 4)).unwrap_or(usize::MAX))
}

/// Checks a whole record that must follow `before`, and returns the place after it.
pub(super) fn check_record(record: &[u8], before: Head) -> Result<Head, Flaw> {
    if !is_sealed(record, 0) {
        return Err(Flaw::Checksum);
    }
    let (header, payload) = record.split_first_chunk::<RECORD_HEADER>().ok_or(Flaw::Length)?;
    let head = before.then(payload);
    if u64_at(header, 8) != head.seq {
        return Err(Flaw::Sequence);
    }
    if hash_at(header, 16) != head.hash {
        return Err(Flaw::Chain);
    }
    Ok(head)
}

/// Appends a group of records that follows `before`, and returns the place after it. The caller has checked
/// that lengths and count fit a `u32`.
pub(super) fn encode_group<P: AsRef<[u8]>>(out: &mut Vec<u8>, before: Head, payloads: &[P]) -> Head {
    let small = |n: usize| u32::try_from(n).expect("group limits are far below 4 GB");
    let start = out.len();
    out.extend_from_slice(&[0; GROUP_HEADER]);
    let mut head = before;
    for payload in payloads.iter().map(AsRef::as_ref) {
        head = head.then(payload);
        let record = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&small(payload.len()).to_le_bytes());
        out.extend_from_slice(&head.seq.to_le_bytes());
        out.extend_from_slice(head.hash.as_bytes());
        out.extend_from_slice(payload);
        seal(&mut out[record..], 0);
    }
    let header = GroupHeader {
        body_len: small(out.len() - start - GROUP_HEADER),
        records: small(payloads.len()),
        first_seq: before.seq + 1,
    };
    out[start..start + GROUP_HEADER].copy_from_slice(&header.encode());
    head
}

fn hash_at(bytes: &[u8], at: usize) -> ChainHash {
    ChainHash(bytes[at..at + 32].try_into().expect("thirty-two bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format is frozen: what was written once must be readable for ever.
    #[test]
    fn the_bytes_of_version_1_stay_as_they_are() {
        let mut bytes = SegmentHeader { first_seq: 1, before: 0, hash: ChainHash::START }.encode().to_vec();
        let head = encode_group(&mut bytes, Head::START, &[b"one".as_slice(), b""]);
        bytes.extend_from_slice(&GroupHeader::note(head.seq + 1).encode());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN.concat());
    }

    /// Computed apart from this code: segment header, group header, two records, note.
    const GOLDEN: [&str; 8] = [
        "45766b4a726e6c0a611f56980100000001000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "45766b4721eca3dc63000000020000000100000000000000",
        "9354e904030000000100000000000000",
        "9a06e2a1330ae21e361c1edfd5d8cf90a0f33aa89a9ca84a6e56722ac4b13e966f6e65",
        "e3a9f44d000000000200000000000000",
        "d5a6684c30600c1aa8be61dbbc6bf108b81c380bea17d9e82c72d7fde7f2ef4a",
        "45766b47b64c346200000000000000000300000000000000",
    ];

    #[test]
    fn headers_come_out_as_they_went_in_and_no_flipped_bit_passes() {
        let segment = SegmentHeader { first_seq: 7, before: 3, hash: ChainHash([9; 32]) };
        assert_eq!(SegmentHeader::decode(&segment.encode()), Ok(segment));
        let group = GroupHeader { body_len: 51, records: 1, first_seq: 7 };
        assert_eq!(GroupHeader::decode(&group.encode()), Some(group));
        for bit in 0..SEGMENT_HEADER * 8 {
            let mut bytes = segment.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bytes), Err(NoHeader::Damaged), "bit {bit}");
        }
        for bit in 0..GROUP_HEADER * 8 {
            let mut bytes = group.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(GroupHeader::decode(&bytes), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_that_was_rewritten_with_a_right_checksum_still_breaks_the_chain() {
        let mut bytes = Vec::new();
        encode_group(&mut bytes, Head::START, &[b"sold 1"]);
        let record = &mut bytes[GROUP_HEADER..];
        assert!(check_record(record, Head::START).is_ok());
        record[RECORD_HEADER + 5] = b'9';
        assert_eq!(check_record(record, Head::START), Err(Flaw::Checksum));
        seal(record, 0);
        assert_eq!(check_record(record, Head::START), Err(Flaw::Chain));
        assert_eq!(check_record(record, Head { seq: 4, hash: ChainHash::START }), Err(Flaw::Sequence));
    }

    #[test]
    fn a_newer_format_is_named_rather_than_called_damaged() {
        let mut bytes = SegmentHeader { first_seq: 1, before: 0, hash: ChainHash::START }.encode();
        bytes[12] = 2;
        seal(&mut bytes, 8);
        assert_eq!(SegmentHeader::decode(&bytes), Err(NoHeader::Version(2)));
    }
}
