//! Where the state lies on disk: its mark, setting it aside, clearing what a crash left, making it durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mark::{Mark, Run};
use crate::store::disk::{Disk, Fault, Named, Open, put_file, read_full_at, sync_parent};

/// How many states that were set aside are kept, for whoever wants to look at them.
const ASIDE_KEPT: usize = 2;
const ASIDE: &str = "state.aside-";
/// Longest mark: longer files are none.
const MARK_MAX: usize = 256;

/// The places of a state below the store's directory.
#[derive(Debug, Clone)]
pub(super) struct Place {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl Place {
    pub(super) fn new(disk: Arc<dyn Disk>, root: &Path) -> Place {
        Place { disk, root: root.to_path_buf() }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    /// Directory of the state in use.
    pub(super) fn live(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Directory of a state that is being built.
    pub(super) fn building(&self) -> PathBuf {
        self.root.join("state.new")
    }

    pub(super) fn exists(&self) -> Result<bool, Fault> {
        let live = self.live();
        self.disk.exists(&live).named("look for", &live)
    }

    /// Returns the live state's mark; `None` if it is missing or unreadable.
    pub(super) fn read_mark(&self) -> Result<Option<Mark>, Fault> {
        let path = mark_path(&self.live());
        let file = match self.disk.open(&path, Open::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.named("open", &path)?,
        };
        let mut bytes = [0; MARK_MAX];
        let read = read_full_at(file.as_ref(), &mut bytes, 0).named("read", &path)?;
        Ok(Mark::decode(&bytes[..read]))
    }

    /// Writes a mark into `dir`; when this returns it is durable.
    pub(super) fn write_mark(&self, dir: &Path, mark: &Mark) -> Result<(), Fault> {
        put_file(self.disk.as_ref(), &mark_path(dir), mark.encode().as_bytes()).map(|_| ())
    }

    /// Sees to it that the live state is not trusted again: marks it broken, or, where that cannot be written,
    /// takes the mark away.
    pub(super) fn distrust(&self, rows_version: u32) -> Result<(), Fault> {
        let live = self.live();
        self.write_mark(&live, &Mark { rows_version, run: Run::Broken }).or_else(|_| {
            let path = mark_path(&live);
            self.disk.remove_file(&path).named("remove", &path)?;
            sync_parent(self.disk.as_ref(), &path)
        })
    }

    /// Renames the live state out of the way and returns its new name; removes all but the newest few.
    pub(super) fn set_aside(&self) -> Result<PathBuf, Fault> {
        let mut numbers = self.numbers_aside()?;
        let next = numbers.last().map_or(1, |n| n + 1);
        let aside = self.aside(next);
        self.disk.rename(&self.live(), &aside).named("set aside as", &aside)?;
        self.disk.sync_dir(&self.root).named("sync the directory", &self.root)?;
        numbers.push(next);
        for old in &numbers[..numbers.len().saturating_sub(ASIDE_KEPT)] {
            self.remove_dir(&self.aside(*old))?;
        }
        Ok(aside)
    }

    fn aside(&self, n: u64) -> PathBuf {
        self.root.join(format!("{ASIDE}{n}"))
    }

    fn numbers_aside(&self) -> Result<Vec<u64>, Fault> {
        let names = self.disk.list(&self.root).named("list", &self.root)?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| name.strip_prefix(ASIDE)?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Removes a state whose building was cut short.
    pub(super) fn remove_half_built(&self) -> Result<(), Fault> {
        let building = self.building();
        if self.disk.exists(&building).named("look for", &building)? {
            self.remove_dir(&building)?;
        }
        Ok(())
    }

    /// Puts the state that was built into its place.
    pub(super) fn put_in_place(&self) -> Result<(), Fault> {
        let live = self.live();
        self.disk.rename(&self.building(), &live).named("rename into place", &live)?;
        self.disk.sync_dir(&self.root).named("sync the directory", &self.root)
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), Fault> {
        self.disk.remove_dir_all(dir).named("remove", dir)
    }

    /// Deletes snapshots that a kill left half written: sled takes such a file for its newest snapshot and then
    /// refuses to open for good. None was ever in use, because it was never renamed.
    pub(super) fn remove_torn_snapshots(&self) -> Result<(), Fault> {
        let dir = sled_dir(&self.live());
        if !self.disk.exists(&dir).named("look for", &dir)? {
            return Ok(());
        }
        for name in self.disk.list(&dir).named("list", &dir)? {
            if name.starts_with("snap.") && name.ends_with(".generating") {
                let path = dir.join(name);
                self.disk.remove_file(&path).named("remove", &path)?;
            }
        }
        Ok(())
    }

    /// Syncs every file and directory of the live state. sled has let go of them; it syncs less than this.
    pub(super) fn sync_all(&self) -> Result<(), Fault> {
        let sled = sled_dir(&self.live());
        let blobs = sled.join("blobs");
        for dir in [&blobs, &sled] {
            for name in self.disk.list(dir).named("list", dir)? {
                let path = dir.join(name);
                if path != blobs {
                    let mut file = self.disk.open(&path, Open::Edit).named("open", &path)?;
                    file.sync().named("sync", &path)?;
                }
            }
            self.disk.sync_dir(dir).named("sync the directory", dir)?;
        }
        sync_parent(self.disk.as_ref(), &sled)?;
        sync_parent(self.disk.as_ref(), &self.live())
    }
}

/// Directory of sled's files in a state's directory.
pub(super) fn sled_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("sled")
}

fn mark_path(state_dir: &Path) -> PathBuf {
    state_dir.join("mark")
}
