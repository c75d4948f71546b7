//! Reads a file forwards through one buffer, so that memory stays bounded whatever the file's size.

use std::io;

use super::disk::{File, read_full_at};

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;

/// A view of a file that moves forwards. The size is the one at the start: what is appended later is not seen.
#[derive(Debug)]
pub(super) struct Window {
    file: Box<dyn File>,
    size: u64,
    start: u64,
    held: Vec<u8>,
}

impl Window {
    pub(super) fn new(file: Box<dyn File>) -> io::Result<Window> {
        let size = file.size()?;
        Ok(Window { file, size, start: 0, held: Vec::new() })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the `len` bytes at `offset`, or `None` if the file ends before them. The caller bounds `len`.
    pub(super) fn get(&mut self, offset: u64, len: usize) -> io::Result<Option<&[u8]>> {
        let end = offset.saturating_add(len as u64);
        if end > self.size {
            return Ok(None);
        }
        if offset < self.start || end > self.start + self.held.len() as u64 {
            self.refill(offset, len)?;
        }
        let from = usize::try_from(offset - self.start).expect("the offset lies in the buffer");
        Ok(self.held.get(from..from + len))
    }

    fn refill(&mut self, offset: u64, len: usize) -> io::Result<()> {
        let rest = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
        self.held.resize(len.max(CHUNK).min(rest), 0);
        let read = read_full_at(self.file.as_ref(), &mut self.held, offset);
        self.start = offset;
        // After a failed read the buffer must not pass for content of the file.
        self.held.truncate(*read.as_ref().unwrap_or(&0));
        read.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store::disk::sim::SimDisk;
    use crate::store::disk::{Disk, Open};

    #[test]
    fn every_span_of_a_file_longer_than_the_buffer_reads_as_written() {
        let disk = SimDisk::new();
        let path = Path::new("/file");
        let content: Vec<u8> = (0..CHUNK * 2 + 77).map(|n| u8::try_from(n % 251).unwrap()).collect();
        disk.tamper(path, content.clone());
        let mut window = Window::new(disk.open(path, Open::Read).unwrap()).unwrap();
        for (offset, len) in
            [(0, 1), (5, 100), (CHUNK - 1, 2), (3, 7), (100, CHUNK + 50), (content.len() - 1, 1)]
        {
            let got = window.get(offset as u64, len).unwrap();
            assert_eq!(got, Some(&content[offset..offset + len]), "{len} bytes at {offset}");
        }
        assert_eq!(window.get(content.len() as u64, 1).unwrap(), None);
        assert_eq!(window.get(content.len() as u64 - 1, 2).unwrap(), None);
        assert_eq!(window.get(u64::MAX, 1).unwrap(), None);
    }

    #[test]
    fn a_failed_read_is_an_error_and_leaves_nothing_behind() {
        let disk = SimDisk::new();
        let path = Path::new("/file");
        disk.tamper(path, vec![7; 100]);
        let mut window = Window::new(disk.open(path, Open::Read).unwrap()).unwrap();
        disk.fail_reads(true);
        window.get(0, 10).unwrap_err();
        disk.fail_reads(false);
        assert_eq!(window.get(0, 10).unwrap(), Some(&[7; 10][..]));
    }
}
