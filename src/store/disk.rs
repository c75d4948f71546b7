//! The seam through which the store touches files.
//!
//! Everything that the journal, the checkpoints and the state's mark do to a disk goes through [`Disk`] and
//! [`File`], so that [`sim::SimDisk`] can tear writes, lose what was not synced, fill up and fail. It knows
//! nothing of what is in the files. sled's own files are the exception: sled opens them itself.

pub mod sim;

use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file system as the store needs it.
pub trait Disk: Debug + Send + Sync {
    /// Creates a directory and its parents; one that exists is fine.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Lists the names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Says whether a file or directory of this name exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn File>>;
    /// Renames a file, or moves a directory; a file that has the new name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all that is in it.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file.
pub trait File: Debug + Send {
    /// Returns the size in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Reads at most `buf.len()` bytes; 0 means the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `buf`, or fails having written any part of it.
    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file, or extends it with zeros.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Makes content and size durable. Never to be called again after it failed: the kernel drops the pages
    /// that it could not write, so a second call would succeed without them.
    fn sync(&mut self) -> io::Result<()>;
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Reading a file that exists.
    Read,
    /// Reading and writing a file that exists.
    Edit,
    /// Writing a new file; one of this name is emptied.
    Create,
}

/// A file operation that failed: what was attempted, on which path, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct Fault {
    pub action: &'static str,
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

impl Fault {
    pub(super) fn of(action: &'static str, path: &Path, source: io::Error) -> Fault {
        Fault { action, path: path.to_path_buf(), source }
    }

    /// Says whether writing failed for want of room, or of leave to write, and may go on once there is some. That is never
    /// so of a sync: what a failed one left behind is not known.
    pub fn waits_for_room(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, ReadOnlyFilesystem};
        let passing = self.is_full() || matches!(self.source.kind(), ReadOnlyFilesystem | FileTooLarge);
        passing && !self.action.starts_with(SYNC)
    }

    /// Says whether the disk is full (or a quota used up): making room helps.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// What every action begins with that makes something durable.
const SYNC: &str = "sync";

/// Names the operation and the path of a failed file operation.
pub(super) trait Named<T> {
    fn named(self, action: &'static str, path: &Path) -> Result<T, Fault>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, action: &'static str, path: &Path) -> Result<T, Fault> {
        self.map_err(|source| Fault { action, path: path.to_path_buf(), source })
    }
}

/// Reads until `buf` is full or the file ends, and returns how many bytes it read.
pub(super) fn read_full_at(file: &dyn File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buf.len() {
        match file.read_at(&mut buf[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Puts a whole file in place: temporary name, sync, rename, sync of the directory. After a crash the name
/// has either its old content or all of `bytes`. Returns the file, open for reading and writing.
pub(super) fn put_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<Box<dyn File>, Fault> {
    let temporary = temporary_name(path);
    let mut file = disk.open(&temporary, Open::Create).named("create", &temporary)?;
    file.write_all_at(bytes, 0).named("write", &temporary)?;
    file.sync().named("sync", &temporary)?;
    disk.rename(&temporary, path).named("rename into place", path)?;
    sync_parent(disk, path)?;
    Ok(file)
}

/// Returns the name under which a file is written before it is renamed into place.
pub(super) fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

/// Ending of files that were not yet renamed into place. Nothing ever counts on one.
pub(super) const TEMPORARY: &str = ".new";

/// Makes the entry of `path` in its directory durable.
pub(super) fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), Fault> {
    let parent = parent(path);
    disk.sync_dir(parent).named("sync the directory", parent)
}

/// Creates a directory and its parents, and makes its entry and those of the new parents durable.
pub(super) fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Fault> {
    let missing = missing(disk, dir)?;
    disk.create_dir_all(dir).named("create the directory", dir)?;
    for made in missing {
        sync_parent(disk, made)?;
    }
    sync_parent(disk, dir)
}

/// Returns the parents of a directory that do not exist, the nearest first.
fn missing<'a>(disk: &dyn Disk, dir: &'a Path) -> Result<Vec<&'a Path>, Fault> {
    let mut all = Vec::new();
    for above in dir.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        if disk.exists(above).named("look for", above)? {
            break;
        }
        all.push(above);
    }
    Ok(all)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The file system of the machine. New files and directories belong to their owner alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match how {
            Open::Read => {}
            Open::Edit => {
                options.write(true);
            }
            Open::Create => {
                options.write(true).create(true).truncate(true).mode(0o600);
            }
        }
        Ok(Box::new(RealFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without their own entries, all that is below them is gone after a power cut.
    #[test]
    fn new_parents_of_a_directory_are_made_durable_too() {
        let disk = sim::SimDisk::new();
        make_dir(&disk, Path::new("/var/lib")).unwrap();
        let dir = Path::new("/var/lib/shops/one/store");
        let above = ["/var/lib/shops/one", "/var/lib/shops"].map(Path::new);
        assert_eq!(missing(&disk, dir).unwrap(), above);
        let before = disk.operations();
        make_dir(&disk, dir).unwrap();
        assert_eq!(disk.operations() - before, 4, "made, and three entries synced");
        assert_eq!(missing(&disk, dir).unwrap(), [] as [&Path; 0]);
        assert_eq!(missing(&disk, Path::new("store")).unwrap(), [] as [&Path; 0]);
    }
}
