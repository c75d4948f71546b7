//! The log that the shim writes: every change of files, in order.

use std::path::PathBuf;

/// Bytes of a note before its parts; see `shim.c`.
const HEADER: usize = 32;

/// One change.
#[derive(Debug)]
pub(super) enum Change {
    /// A new file, or directory, and its inode.
    File {
        inode: u64,
        path: PathBuf,
    },
    Dir {
        inode: u64,
        path: PathBuf,
    },
    Write {
        inode: u64,
        at: u64,
        data: Vec<u8>,
    },
    Length {
        inode: u64,
        len: u64,
    },
    /// All of a file, or all names in a directory, was made durable.
    Sync {
        inode: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
}

/// A change, and how long the log was when it had been noted.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) change: Change,
    pub(super) end: u64,
}

pub(super) fn read(log: &[u8]) -> Vec<Note> {
    let (mut notes, mut at) = (Vec::new(), 0);
    while let Some(header) = log.get(at..at + HEADER) {
        let number =
            |from: usize| u64::from_le_bytes(header[from..from + 8].try_into().expect("eight bytes"));
        let length =
            |from: usize| u32::from_le_bytes(header[from..from + 4].try_into().expect("four bytes")) as usize;
        let (inode, offset) = (number(8), number(16));
        let (first, second) = (at + HEADER, at + HEADER + length(24));
        let end = second + length(28);
        let path =
            |from: usize, to: usize| PathBuf::from(String::from_utf8_lossy(&log[from..to]).into_owned());
        let change = match header[0] {
            b'C' => Change::File { inode, path: path(first, second) },
            b'D' => Change::Dir { inode, path: path(first, second) },
            b'W' => Change::Write { inode, at: offset, data: log[first..second].to_vec() },
            b'T' => Change::Length { inode, len: offset },
            b'S' => Change::Sync { inode },
            b'R' => Change::Rename { from: path(first, second), to: path(second, end) },
            b'U' => Change::Remove { path: path(first, second) },
            other => panic!("a note of kind {other} at byte {at}"),
        };
        notes.push(Note { change, end: end as u64 });
        at = end;
    }
    assert_eq!(at, log.len(), "the log ends within a note");
    notes
}
