//! One process per store directory.
//!
//! The lock is the kernel's, on the file `lock`: it goes when its process goes, however that ends. The file
//! holds the process id, for the message to whoever comes second; nothing is ever decided by it.

use std::fs;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::disk::{Fault, Named};

/// The right to use a store directory, for as long as the value lives.
#[derive(Debug)]
pub struct Lock {
    file: fs::File,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the store `{}` is in use by {}; stop it first", dir.display(), describe(*pid))]
    Held { dir: PathBuf, pid: Option<u32> },
    #[error(transparent)]
    Disk(#[from] Fault),
}

fn describe(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process `{pid}`"))
}

impl Lock {
    /// Takes the lock of a store directory that exists, without waiting.
    pub fn acquire(dir: &Path) -> Result<Lock, Error> {
        let path = dir.join("lock");
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .named("open the lock", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::Held { dir: dir.to_path_buf(), pid: read_pid(&mut file) });
            }
            Err(fs::TryLockError::Error(source)) => {
                return Err(Fault { action: "lock", path, source }.into());
            }
        }
        write_pid(&mut file).named("write the lock", &path)?;
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    /// A process that is being started at this moment holds a copy of the file until it runs: closing ours is not enough.
    fn drop(&mut self) {
        // Where that fails, the lock goes with the last copy.
        drop(self.file.unlock());
    }
}

fn read_pid(file: &mut fs::File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut fs::File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::acquire(dir.path()).unwrap();
        let error = Lock::acquire(dir.path()).unwrap_err();
        assert!(matches!(&error, Error::Held { pid: Some(pid), .. } if *pid == std::process::id()));
        assert!(error.to_string().contains(&format!("process `{}`", std::process::id())), "{error}");
        drop(held);
        Lock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn a_stale_or_unreadable_id_in_the_file_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lock"), b"4000000000 and more\xff").unwrap();
        let held = Lock::acquire(dir.path()).unwrap();
        fs::write(dir.path().join("lock"), b"?").unwrap();
        let error = Lock::acquire(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Held { pid: None, .. }));
        drop(held);
    }
}
