//! The bytes of an archived segment: what the segment's file held, in compressed blocks, behind the chain's anchors.
//!
//! ```text
//! header  120  magic 8 | crc 4 | version 4 | first seq 8 | last seq 8 | first seq of the segment before 8
//!              | length of the segment 8 | blocks 4 | zero 4 | hash before the first record 32 | hash after the last 32
//! block        crc 4 | compressed length 4 | length 4 | zero 4 | a zstd frame
//! ```
//!
//! Numbers are little-endian; a crc covers what follows it in its piece. Every block stands for itself, so reading
//! takes the memory of one, and damage is known by the byte at which its block begins.

use std::io;
use std::path::Path;

use super::frame::{ChainHash, Head, SegmentHeader};
use crate::store::bytes::{is_sealed, seal, u32_at, u64_at};
use crate::store::disk::{Fault, File, Named, read_full_at};

const MAGIC: [u8; 8] = *b"EvkArch\n";
const VERSION: u32 = 1;
pub(super) const HEADER: usize = 120;
const BLOCK_HEADER: usize = 16;
/// Bytes of the segment in one block.
const BLOCK: usize = 1024 * 1024;
/// The longest compressed block: zstd adds little to what it cannot compress.
const PACKED_MAX: usize = BLOCK + BLOCK / 16;
/// zstd's own default: about a tenth of the size for what records look like, at more than a disk's speed.
const LEVEL: i32 = 3;

/// First bytes of an archived segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchors {
    pub(super) segment: SegmentHeader,
    /// The segment's last record, and the chain's hash there.
    pub(super) last: Head,
    /// Length of the segment's file.
    pub(super) len: u64,
    blocks: u32,
}

/// Why bytes are not the header of an archived segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnchors {
    Damaged,
    Version(u32),
}

impl Anchors {
    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[12..16].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.segment.first_seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.last.seq.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.segment.before.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.len.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[56..88].copy_from_slice(self.segment.hash.as_bytes());
        bytes[88..].copy_from_slice(self.last.hash.as_bytes());
        seal(&mut bytes, 8);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Anchors, NoAnchors> {
        let bytes: &[u8; HEADER] = bytes.try_into().map_err(|_| NoAnchors::Damaged)?;
        if bytes[..8] != MAGIC || !is_sealed(bytes, 8) {
            return Err(NoAnchors::Damaged);
        }
        let hash = |at: usize| {
            let bytes: [u8; 32] = bytes[at..at + 32].try_into().expect("thirty-two bytes");
            ChainHash::from_bytes(bytes)
        };
        match u32_at(bytes, 12) {
            VERSION => Ok(Anchors {
                segment: SegmentHeader {
                    first_seq: u64_at(bytes, 16),
                    before: u64_at(bytes, 32),
                    hash: hash(56),
                },
                last: Head { seq: u64_at(bytes, 24), hash: hash(88) },
                len: u64_at(bytes, 40),
                blocks: u32_at(bytes, 48),
            }),
            version => Err(NoAnchors::Version(version)),
        }
    }
}

/// Writes all of a segment's file into `to`, and syncs it. The header comes last: without it nothing counts.
pub(super) fn pack(
    from: &dyn File,
    to: &mut dyn File,
    segment: SegmentHeader,
    last: Head,
    names: (&Path, &Path),
) -> Result<(), Fault> {
    let len = from.size().named("read the size of", names.0)?;
    let (mut read, mut at, mut blocks) = (0, HEADER as u64, 0);
    let mut raw = vec![0; BLOCK];
    while read < len {
        let count = read_full_at(from, &mut raw, read).named("read", names.0)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).named("read", names.0);
        }
        let block = block(&raw[..count]).named("compress", names.0)?;
        to.write_all_at(&block, at).named("write", names.1)?;
        read += count as u64;
        at += block.len() as u64;
        blocks += 1;
    }
    let anchors = Anchors { segment, last, len: read, blocks };
    to.write_all_at(&anchors.encode(), 0).named("write", names.1)?;
    to.sync().named("sync", names.1)
}

fn block(raw: &[u8]) -> io::Result<Vec<u8>> {
    let small = |len: usize| u32::try_from(len).map_err(io::Error::other);
    let packed = zstd::bulk::compress(raw, LEVEL)?;
    let mut out = vec![0; BLOCK_HEADER];
    out[4..8].copy_from_slice(&small(packed.len())?.to_le_bytes());
    out[8..12].copy_from_slice(&small(raw.len())?.to_le_bytes());
    out.extend_from_slice(&packed);
    seal(&mut out, 0);
    Ok(out)
}

/// A block of an archived segment is not what was written.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the block at byte {offset} is damaged")]
pub(super) struct BadBlock {
    pub(super) offset: u64,
}

/// The file of a segment, as it was before it was archived. Read forwards, it unpacks each block once.
#[derive(Debug)]
pub(super) struct Unpacked {
    file: Box<dyn File>,
    len: u64,
    /// Where each block lies in the file, and how long it is there.
    blocks: Vec<(u64, usize)>,
    held: std::sync::Mutex<(usize, Vec<u8>)>,
}

impl Unpacked {
    /// Finds the blocks. The anchors have been checked before.
    pub(super) fn open(file: Box<dyn File>, anchors: &Anchors) -> io::Result<Unpacked> {
        let size = file.size()?;
        let (mut at, mut len, mut blocks) = (HEADER as u64, 0, Vec::new());
        while len < anchors.len {
            let mut header = [0; BLOCK_HEADER];
            let bad = || io::Error::other(BadBlock { offset: at });
            if read_full_at(file.as_ref(), &mut header, at)? < BLOCK_HEADER {
                return Err(bad());
            }
            let (packed, raw) = (u32_at(&header, 4) as usize, u64::from(u32_at(&header, 8)));
            let whole = raw == (BLOCK as u64).min(anchors.len - len);
            if packed > PACKED_MAX || !whole || at + (BLOCK_HEADER + packed) as u64 > size {
                return Err(bad());
            }
            blocks.push((at, packed));
            at += (BLOCK_HEADER + packed) as u64;
            len += raw;
        }
        if at != size || u32::try_from(blocks.len()) != Ok(anchors.blocks) {
            return Err(io::Error::other(BadBlock { offset: at }));
        }
        Ok(Unpacked { file, len, blocks, held: std::sync::Mutex::new((usize::MAX, Vec::new())) })
    }

    fn unpack(&self, n: usize) -> io::Result<Vec<u8>> {
        let (offset, packed) = self.blocks[n];
        let mut bytes = vec![0; BLOCK_HEADER + packed];
        let read = read_full_at(self.file.as_ref(), &mut bytes, offset)?;
        let bad = || io::Error::other(BadBlock { offset });
        if read < bytes.len() || !is_sealed(&bytes, 0) || u32_at(&bytes, 12) != 0 {
            return Err(bad());
        }
        let raw = zstd::bulk::decompress(&bytes[BLOCK_HEADER..], BLOCK).map_err(|_| bad())?;
        if raw.len() == u32_at(&bytes, 8) as usize { Ok(raw) } else { Err(bad()) }
    }
}

impl File for Unpacked {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.len || buf.is_empty() {
            return Ok(0);
        }
        let n = usize::try_from(offset / BLOCK as u64).map_err(io::Error::other)?;
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.0 != n {
            *held = (usize::MAX, Vec::new());
            *held = (n, self.unpack(n)?);
        }
        let from = usize::try_from(offset % BLOCK as u64).map_err(io::Error::other)?;
        let count = buf.len().min(held.1.len().saturating_sub(from));
        buf[..count].copy_from_slice(&held.1[from..from + count]);
        Ok(count)
    }

    fn write_all_at(&mut self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
