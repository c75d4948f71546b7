//! Where the state lies on disk: its mark, setting it aside, clearing what a crash left, making it durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::mark::{Mark, Run};
use crate::store::crash::crash_point;
use crate::store::disk::{Disk, Fault, Named, Open, put_file, read_full_at, sync_parent};

/// How many states that were set aside are kept, for whoever wants to look at them.
const ASIDE_KEPT: usize = 2;
const ASIDE: &str = "state.aside-";
/// Says how large the state was when it was built.
const BUILT: &str = "built";
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

    /// Where the live state lies while one that was built beside it takes its place.
    fn old(&self) -> PathBuf {
        self.root.join("state.old")
    }

    pub(super) fn exists(&self) -> Result<bool, Fault> {
        let live = self.live();
        self.disk.exists(&live).named("look for", &live)
    }

    /// Returns the mark of the state in `dir`; `None` if it is missing or unreadable.
    pub(super) fn read_mark(&self, dir: &Path) -> Result<Option<Mark>, Fault> {
        let path = mark_path(dir);
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

    /// Puts the state that was built beside the live one into its place. Nobody has either of them open. At any moment
    /// one of the two is where [`Place::recover`] finds it.
    pub(super) fn swap(&self) -> Result<(), Fault> {
        let (live, old) = (self.live(), self.old());
        self.disk.rename(&live, &old).named("move out of the way", &live)?;
        crash_point("swap_moved");
        self.put_in_place()?;
        crash_point("swap_placed");
        Ok(())
    }

    /// Puts the live state back whose place was not taken.
    pub(super) fn put_back(&self) -> Result<(), Fault> {
        let (live, old) = (self.live(), self.old());
        if !self.exists()? && self.disk.exists(&old).named("look for", &old)? {
            self.disk.rename(&old, &live).named("put back", &live)?;
            self.disk.sync_dir(&self.root).named("sync the directory", &self.root)?;
        }
        Ok(())
    }

    /// Removes the state whose place another one has taken.
    pub(super) fn remove_old(&self) -> Result<(), Fault> {
        let old = self.old();
        if self.disk.exists(&old).named("look for", &old)? {
            self.remove_dir(&old)?;
        }
        Ok(())
    }

    /// Ends what a crash cut short: a swap between its two renames is completed, a state half built is removed.
    pub(super) fn recover(&self) -> Result<(), Fault> {
        let building = self.building();
        if !self.exists()? {
            // Only a state that is whole, every file of it synced, has a clean mark.
            let whole = self.read_mark(&building)?.is_some_and(|mark| mark.run == Run::Clean);
            if whole { self.put_in_place()? } else { self.put_back()? }
        }
        self.remove_half_built()?;
        self.remove_old()
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), Fault> {
        self.disk.remove_dir_all(dir).named("remove", dir)
    }

    /// Notes in `dir` how large the state in it is now that it is built; the time of the note is that of the building.
    /// For people and schedules only.
    pub(super) fn note_built(&self, dir: &Path) -> Result<(), Fault> {
        let text = format!("{}\n", size_of(&sled_dir(dir)));
        put_file(self.disk.as_ref(), &dir.join(BUILT), text.as_bytes()).map(|_| ())
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

    /// Syncs every file and directory of the state in `dir`. sled has let go of them; it syncs less than this.
    pub(super) fn sync_all(&self, dir: &Path) -> Result<(), Fault> {
        let sled = sled_dir(dir);
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
        sync_parent(self.disk.as_ref(), dir)
    }
}

/// How large a store's state is on disk, and what is known of when it was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Footprint {
    pub bytes: u64,
    /// When it was built anew, in milliseconds of UTC, and how large it was then.
    pub built: Option<(i64, u64)>,
}

/// Looks at the live state below a store's directory. What cannot be read counts as nothing.
pub fn footprint(root: &Path) -> Footprint {
    let live = root.join("state");
    let note = live.join(BUILT);
    let built = std::fs::read_to_string(&note).ok().and_then(|bytes| {
        let at = std::fs::metadata(&note).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some((i64::try_from(at.as_millis()).ok()?, bytes.trim_end().parse().ok()?))
    });
    Footprint { bytes: size_of(&sled_dir(&live)), built }
}

/// Adds up the files in sled's directory, which has one directory within.
fn size_of(dir: &Path) -> u64 {
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let all = entries(dir).chain(entries(&dir.join("blobs")));
    all.filter_map(|entry| entry.metadata().ok())
        .filter(|about| about.is_file())
        .map(|about| about.len())
        .sum()
}

/// Directory of sled's files in a state's directory.
pub(super) fn sled_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("sled")
}

fn mark_path(state_dir: &Path) -> PathBuf {
    state_dir.join("mark")
}
