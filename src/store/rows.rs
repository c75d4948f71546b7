//! Rows, packed: the form in which they are kept in a checkpoint and handed over at the start.

use std::collections::VecDeque;

/// A key and its value, both opaque to the store.
pub type Row = (Vec<u8>, Vec<u8>);

/// A row to write: a value, or `None` to remove the key.
pub type RowChange = (Vec<u8>, Option<Vec<u8>>);

/// Bytes of a chunk of rows in memory. Allocators map blocks above 32 MB and unmap them when they are freed;
/// smaller ones would stay with the thread that opened the state. What is not written to takes no memory.
const CHUNK_BYTES: usize = 40 * 1024 * 1024;

/// Appends a row: length of the key, length of the value, key, value.
pub(super) fn pack(chunk: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("rows are far below 4 GB").to_le_bytes();
    chunk.extend_from_slice(&len(key));
    chunk.extend_from_slice(&len(value));
    chunk.extend_from_slice(key);
    chunk.extend_from_slice(value);
}

/// Takes the row at `*at`, and moves `*at` behind it. `None` if the bytes hold no whole row.
pub(super) fn unpack(chunk: &[u8], at: &mut usize) -> Option<Row> {
    let rest = chunk.get(*at..)?;
    let (key_len, rest) = take_len(rest)?;
    let (value_len, rest) = take_len(rest)?;
    let key = rest.get(..key_len)?;
    let value = rest.get(key_len..key_len.checked_add(value_len)?)?;
    *at += 8 + key_len + value_len;
    Some((key.to_vec(), value.to_vec()))
}

fn take_len(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*len)).ok()?, rest))
}

/// Rows in memory, packed into chunks that are freed as they are taken out: a hundred thousand small vectors
/// would cost more than what is in them.
#[derive(Debug, Default)]
pub(super) struct PackedRows {
    chunks: VecDeque<Vec<u8>>,
    at: usize,
}

impl PackedRows {
    /// Takes over a chunk that was packed before; its rows begin at `at`.
    pub(super) fn from_chunk(chunk: Vec<u8>, at: usize) -> PackedRows {
        PackedRows { chunks: VecDeque::from([chunk]), at }
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_BYTES => pack(chunk, key, value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_BYTES + 128 * 1024);
                pack(&mut chunk, key, value);
                self.chunks.push_back(chunk);
            }
        }
    }
}

impl Iterator for PackedRows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        loop {
            let chunk = self.chunks.front()?;
            if let Some(row) = unpack(chunk, &mut self.at) {
                return Some(row);
            }
            self.chunks.pop_front();
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_as_they_went_in_across_chunks() {
        let rows: Vec<Row> = (0..700u32)
            .map(|n| (n.to_be_bytes().to_vec(), vec![0xA5; usize::try_from(n % 9).unwrap() * 15_000]))
            .chain([(vec![1], vec![2; CHUNK_BYTES]), (vec![], vec![])])
            .collect();
        let mut packed = PackedRows::default();
        for (key, value) in &rows {
            packed.push(key, value);
        }
        assert!(packed.chunks.len() > 1);
        assert!(packed.eq(rows));
    }

    #[test]
    fn cut_bytes_hold_no_row() {
        let mut chunk = Vec::new();
        pack(&mut chunk, b"key", b"value");
        for len in 0..chunk.len() {
            assert_eq!(unpack(&chunk[..len], &mut 0), None, "{len} bytes");
        }
        assert_eq!(unpack(&[0xFF; 12], &mut 0), None);
    }
}
