//! The bytes of a checkpoint file, written and read as a stream.
//!
//! ```text
//! header   64  magic 8 | crc 4 | version 4 | version of the rows 4 | zero 4 | seq 8 | chain hash 32
//! block         crc 4 | length of the rows 4 | rows
//! trailer  48  crc 4 | zero 4 | count of rows 8 | SHA-256 of all before the trailer 32
//! ```
//!
//! Numbers are little-endian; a crc covers what follows it in its piece. The trailer is a block without rows.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Error, Flaw, Info};
use crate::store::bytes::{is_sealed, seal, u32_at, u64_at};
use crate::store::disk::{Fault, File, Named};
use crate::store::journal::{ChainHash, Head};
use crate::store::rows::{PackedRows, Row, pack};
use crate::store::window::Window;

const MAGIC: [u8; 8] = *b"EvkChkp\n";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const BLOCK_HEADER: usize = 8;
const TRAILER: usize = 48;
/// Most bytes of a row, far above what the state takes.
const ROW_MAX: usize = 512 * 1024;
/// Size at which a block is closed.
const BLOCK_FULL: usize = 64 * 1024;
/// Longest block: one that is almost full, and one more row.
const BLOCK_MAX: usize = BLOCK_FULL + ROW_MAX;

#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) rows_version: u32,
    pub(super) head: Head,
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[12..16].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.rows_version.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.head.seq.to_le_bytes());
        bytes[32..].copy_from_slice(self.head.hash.as_bytes());
        seal(&mut bytes, 8);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Header, Flaw> {
        if bytes[..8] != MAGIC || !is_sealed(bytes, 8) {
            return Err(Flaw::Header);
        }
        if u32_at(bytes, 12) != VERSION {
            return Err(Flaw::Version);
        }
        let hash = ChainHash::from_bytes(bytes[32..].try_into().map_err(|_| Flaw::Header)?);
        Ok(Header { rows_version: u32_at(bytes, 16), head: Head { seq: u64_at(bytes, 24), hash } })
    }
}

/// Writes a whole checkpoint into `file` and syncs it. Memory is bounded by one block.
pub(super) fn write<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    file: Box<dyn File>,
    path: &Path,
    header: Header,
    rows: impl IntoIterator<Item = io::Result<(K, V)>>,
) -> Result<(), Error> {
    let mut writer = Writer { file, path, at: 0, sum: Sha256::new() };
    writer.put(&header.encode())?;
    let mut block = vec![0; BLOCK_HEADER];
    let mut count: u64 = 0;
    for row in rows {
        let (key, value) = row.map_err(Error::Rows)?;
        let (key, value) = (key.as_ref(), value.as_ref());
        let len = key.len() + value.len();
        if len + 8 > ROW_MAX {
            return Err(Error::RowTooLarge { len });
        }
        pack(&mut block, key, value);
        count += 1;
        if block.len() >= BLOCK_FULL {
            writer.put_block(&mut block)?;
        }
    }
    if block.len() > BLOCK_HEADER {
        writer.put_block(&mut block)?;
    }
    writer.put_trailer(count)?;
    Ok(writer.file.sync().named("sync", path)?)
}

struct Writer<'a> {
    file: Box<dyn File>,
    path: &'a Path,
    at: u64,
    sum: Sha256,
}

impl Writer<'_> {
    fn put_block(&mut self, block: &mut Vec<u8>) -> Result<(), Fault> {
        let len = u32::try_from(block.len() - BLOCK_HEADER).expect("a block is below 4 GB");
        block[4..8].copy_from_slice(&len.to_le_bytes());
        seal(block, 0);
        self.put(block)?;
        block.truncate(BLOCK_HEADER);
        Ok(())
    }

    fn put_trailer(&mut self, rows: u64) -> Result<(), Fault> {
        let mut trailer = [0; TRAILER];
        trailer[8..16].copy_from_slice(&rows.to_le_bytes());
        trailer[16..].copy_from_slice(&self.sum.clone().finalize());
        seal(&mut trailer, 0);
        self.put(&trailer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all_at(bytes, self.at).named("write", self.path)?;
        self.at += bytes.len() as u64;
        self.sum.update(bytes);
        Ok(())
    }
}

/// Why a file could not be read as a checkpoint.
#[derive(Debug)]
pub(super) enum Trouble {
    Disk(Fault),
    Flaw(Flaw),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Trouble {
        Trouble::Disk(fault)
    }
}

impl From<Flaw> for Trouble {
    fn from(flaw: Flaw) -> Trouble {
        Trouble::Flaw(flaw)
    }
}

/// The rows of a checkpoint file, read block by block. After an error there are no more.
#[derive(Debug)]
pub(in crate::store) struct Reader {
    window: Window,
    path: PathBuf,
    at: u64,
    rows: PackedRows,
    failed: bool,
}

impl Reader {
    pub(super) fn new(file: Box<dyn File>, path: &Path) -> Result<Reader, Fault> {
        let window = Window::new(file).named("read", path)?;
        let path = path.to_path_buf();
        Ok(Reader { window, path, at: HEADER as u64, rows: PackedRows::default(), failed: false })
    }

    pub(super) fn header(&mut self) -> Result<Header, Trouble> {
        Ok(Header::decode(self.get(0, HEADER)?)?)
    }

    /// Reads the whole file, and proves that it is what was written.
    pub(super) fn prove(mut self) -> Result<Info, Trouble> {
        let head = self.header()?.head;
        let mut sum = Sha256::new();
        sum.update(self.get(0, HEADER)?);
        let mut rows: u64 = 0;
        while let Some(block) = self.next_block()? {
            sum.update(&block);
            rows += PackedRows::from_chunk(block, BLOCK_HEADER).count() as u64;
        }
        let end = self.at + TRAILER as u64;
        let trailer = self.get(self.at, TRAILER)?;
        if !is_sealed(trailer, 0) {
            return Err(Flaw::Checksum.into());
        }
        let fits = u64_at(trailer, 8) == rows && trailer[16..] == sum.finalize()[..];
        if fits && end == self.window.size() { Ok(Info { head, rows }) } else { Err(Flaw::Trailer.into()) }
    }

    /// Reads the next block, or `None` at the trailer.
    fn next_block(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        let len = u32_at(self.get(self.at, BLOCK_HEADER)?, 4) as usize;
        if len == 0 {
            return Ok(None);
        }
        if len > BLOCK_MAX {
            return Err(Flaw::Checksum.into());
        }
        let block = self.get(self.at, BLOCK_HEADER + len)?.to_vec();
        if !is_sealed(&block, 0) {
            return Err(Flaw::Checksum.into());
        }
        self.at += block.len() as u64;
        Ok(Some(block))
    }

    fn get(&mut self, at: u64, len: usize) -> Result<&[u8], Trouble> {
        let bytes = self.window.get(at, len).named("read", &self.path)?;
        bytes.ok_or(Trouble::Flaw(Flaw::CutShort))
    }
}

impl Iterator for Reader {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            if self.failed {
                return None;
            }
            let error = match self.next_block() {
                Ok(Some(block)) => {
                    self.rows = PackedRows::from_chunk(block, BLOCK_HEADER);
                    continue;
                }
                Ok(None) => return None,
                Err(Trouble::Flaw(flaw)) => Error::Unproven { file: self.path.clone(), flaw },
                Err(Trouble::Disk(fault)) => fault.into(),
            };
            self.failed = true;
            return Some(Err(error));
        }
    }
}
