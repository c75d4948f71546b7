//! A disk in memory that can lose power, tear writes, fill up and fail.
//!
//! It is meaner than real disks. Content becomes durable by [`File::sync`] only, names by [`Disk::sync_dir`]
//! only. A power cut keeps, for every sector of 512 bytes that was written since the last sync, any one of its
//! versions, independently of all others, and any of the sizes that the file had. A sync that fails forgets
//! what it should have written, as Linux does: the content can still be read, but no later sync saves it.
//! Everything is reproducible from the seeds passed in. Directories are durable at once.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, File, Open};

const SECTOR: usize = 512;

/// A simulated disk. Clones are handles to the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    inodes: Vec<Inode>,
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that no `sync_dir` covered yet, in their order.
    renames: Vec<NameChange>,
    /// Counts power cuts; handles from before one are dead.
    epoch: u64,
    operations: u64,
    fail_at: Option<(u64, ErrorKind)>,
    cut_at: Option<u64>,
    powerless: bool,
    capacity: Option<usize>,
    fail_reads: bool,
}

#[derive(Debug, Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

/// One change of a file since its last sync: the new size and the new content of the sectors it touched.
#[derive(Debug, Clone)]
struct Change {
    size: usize,
    sectors: Vec<(usize, Vec<u8>)>,
}

/// One change in a directory: what each path stands for afterwards.
#[derive(Debug, Clone)]
struct NameChange {
    dir: PathBuf,
    paths: Vec<(PathBuf, Option<usize>)>,
}

impl SimDisk {
    /// Creates an empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// Returns how many changing operations (writes, syncs, renames and so on) there have been.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Lets the `n`-th changing operation from here fail once (0 is the next); a write is half done.
    pub fn fail_after(&self, n: u64, kind: ErrorKind) {
        let mut inner = self.lock();
        inner.fail_at = Some((inner.operations + n, kind));
    }

    /// Takes the power away at the `n`-th changing operation from here: it and all later ones fail until
    /// [`SimDisk::power_cut`] brings the power back.
    pub fn cut_after(&self, n: u64) {
        let mut inner = self.lock();
        inner.cut_at = Some(inner.operations + n);
    }

    /// Forgets all planned failures.
    pub fn heal(&self) {
        let mut inner = self.lock();
        (inner.fail_at, inner.cut_at, inner.capacity, inner.fail_reads) = (None, None, None, false);
    }

    /// Limits the bytes that all files may hold together; beyond that writes fail with `StorageFull`.
    pub fn set_capacity(&self, bytes: usize) {
        self.lock().capacity = Some(bytes);
    }

    /// Lets every read fail, or work again.
    pub fn fail_reads(&self, fail: bool) {
        self.lock().fail_reads = fail;
    }

    /// Says whether the power is on.
    pub fn has_power(&self) -> bool {
        !self.lock().powerless
    }

    /// Cuts the power and brings it back: what was not synced survives by the whim of `seed`.
    pub fn power_cut(&self, seed: u64) {
        let mut random = Random(seed);
        self.restart(|choices| random.below(choices));
    }

    /// Cuts the power and brings it back: nothing survives that was not synced.
    pub fn power_cut_losing_all(&self) {
        self.restart(|_| 0);
    }

    fn restart(&self, mut choose: impl FnMut(usize) -> usize) {
        let mut inner = self.lock();
        inner.epoch += 1;
        (inner.fail_at, inner.cut_at, inner.powerless) = (None, None, false);
        let kept = choose(inner.renames.len() + 1);
        let renames: Vec<NameChange> = inner.renames.drain(..).take(kept).collect();
        for change in renames {
            apply_names(&mut inner.durable_names, change.paths);
        }
        inner.names = inner.durable_names.clone();
        for inode in &mut inner.inodes {
            inode.restart(&mut choose);
        }
    }

    /// Returns a file's content as a program would read it.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let inner = self.lock();
        inner.names.get(path).map(|&inode| inner.inodes[inode].current.clone())
    }

    /// Replaces a file's content behind everyone's back, durably; creates the file if there is none.
    pub fn tamper(&self, path: &Path, content: Vec<u8>) {
        let mut inner = self.lock();
        let inode = match inner.names.get(path) {
            Some(&inode) => inode,
            None => inner.add_inode(path),
        };
        inner.durable_names.insert(path.to_path_buf(), inode);
        inner.inodes[inode] = Inode { durable: content.clone(), current: content, unsynced: Vec::new() };
    }

    /// Returns another disk that holds what a program would read on this one, all of it durable.
    pub fn clone_content(&self) -> SimDisk {
        let (copy, inner) = (SimDisk::new(), self.lock());
        copy.lock().dirs = inner.dirs.clone();
        for (path, inode) in &inner.names {
            copy.tamper(path, inner.inodes[*inode].current.clone());
        }
        copy
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts a changing operation, and says whether it is one that fails.
    fn change(&mut self) -> io::Result<()> {
        if self.powerless {
            return Err(power_is_off());
        }
        let operation = self.operations;
        self.operations += 1;
        if self.cut_at == Some(operation) {
            self.powerless = true;
            return Err(power_is_off());
        }
        match self.fail_at {
            Some((at, kind)) if at == operation => Err(io::Error::from(kind)),
            _ => Ok(()),
        }
    }

    fn add_inode(&mut self, path: &Path) -> usize {
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(path.to_path_buf(), inode);
        inode
    }

    fn change_names(&mut self, dir: &Path, paths: Vec<(PathBuf, Option<usize>)>) {
        apply_names(&mut self.names, paths.clone());
        self.renames.push(NameChange { dir: dir.to_path_buf(), paths });
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }

    /// Returns how many bytes may be added to `inode` before the disk is full.
    fn room(&self) -> usize {
        let used: usize = self.names.values().map(|&inode| self.inodes[inode].current.len()).sum();
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(used))
    }
}

impl Inode {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.current.len() {
            self.current.resize(end, 0);
        }
        self.current[offset..end].copy_from_slice(bytes);
        let touched = if bytes.is_empty() { 0..0 } else { offset / SECTOR..(end - 1) / SECTOR + 1 };
        let sectors = touched.map(|sector| (sector, sector_of(&self.current, sector))).collect();
        self.unsynced.push(Change { size: self.current.len(), sectors });
    }

    fn set_len(&mut self, len: usize) {
        self.current.resize(len, 0);
        self.unsynced.push(Change { size: len, sectors: Vec::new() });
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            self.durable.resize(change.size, 0);
            for (sector, content) in &change.sectors {
                put_sector(&mut self.durable, *sector, content);
            }
        }
    }

    fn restart(&mut self, choose: &mut impl FnMut(usize) -> usize) {
        let changes = std::mem::take(&mut self.unsynced);
        let mut versions: BTreeMap<usize, Vec<&Vec<u8>>> = BTreeMap::new();
        for (sector, content) in changes.iter().flat_map(|change| &change.sectors) {
            versions.entry(*sector).or_default().push(content);
        }
        let size = match choose(changes.len() + 1) {
            0 => self.durable.len(),
            n => changes[n - 1].size,
        };
        self.durable.resize(size, 0);
        for (sector, contents) in versions {
            let version = choose(contents.len() + 1);
            if version > 0 {
                put_sector(&mut self.durable, sector, contents[version - 1]);
            }
        }
        self.current = self.durable.clone();
    }
}

fn sector_of(content: &[u8], sector: usize) -> Vec<u8> {
    let end = (sector * SECTOR + SECTOR).min(content.len());
    content[sector * SECTOR..end].to_vec()
}

/// Puts a sector in place as far as the file reaches.
fn put_sector(content: &mut [u8], sector: usize, bytes: &[u8]) {
    let start = (sector * SECTOR).min(content.len());
    let end = (start + bytes.len()).min(content.len());
    content[start..end].copy_from_slice(&bytes[..end - start]);
}

fn apply_names(names: &mut BTreeMap<PathBuf, usize>, paths: Vec<(PathBuf, Option<usize>)>) {
    for (path, inode) in paths {
        match inode {
            Some(inode) => names.insert(path, inode),
            None => names.remove(&path),
        };
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
}

impl Disk for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.change()?;
        inner.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let inner = self.lock();
        if !inner.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let children = inner.names.keys().chain(&inner.dirs).filter(|path| path.parent() == Some(dir));
        let names: BTreeSet<String> =
            children.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        Ok(names.into_iter().collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let inner = self.lock();
        Ok(inner.names.contains_key(path) || inner.dirs.contains(path))
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        let mut inner = self.lock();
        let inode = match how {
            Open::Read | Open::Edit => inner.find(path)?,
            Open::Create => {
                inner.change()?;
                if !inner.dirs.contains(&parent(path)) {
                    return Err(ErrorKind::NotFound.into());
                }
                let inode = inner.add_inode(path);
                inner.change_names(&parent(path), vec![(path.to_path_buf(), Some(inode))]);
                inode
            }
        };
        Ok(Box::new(SimFile { disk: self.clone(), inode, epoch: inner.epoch }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.change()?;
        let inode = inner.find(from)?;
        if parent(from) != parent(to) {
            return Err(ErrorKind::Unsupported.into());
        }
        let paths = vec![(from.to_path_buf(), None), (to.to_path_buf(), Some(inode))];
        inner.change_names(&parent(to), paths);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.change()?;
        inner.find(path)?;
        inner.change_names(&parent(path), vec![(path.to_path_buf(), None)]);
        Ok(())
    }

    fn remove_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.change()?;
        let (synced, rest) = std::mem::take(&mut inner.renames).into_iter().partition(|c| c.dir == dir);
        inner.renames = rest;
        let synced: Vec<NameChange> = synced;
        for change in synced {
            apply_names(&mut inner.durable_names, change.paths);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
    epoch: u64,
}

impl SimFile {
    /// Returns the disk for a change of this file, and whether the change is to fail.
    fn change(&self) -> (MutexGuard<'_, Inner>, io::Result<()>) {
        let mut inner = self.disk.lock();
        let verdict = if inner.epoch == self.epoch { inner.change() } else { Err(power_is_off()) };
        (inner, verdict)
    }
}

impl File for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.lock().inodes[self.inode].current.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.disk.lock();
        if inner.fail_reads || inner.powerless || inner.epoch != self.epoch {
            return Err(io::Error::other("the disk cannot read"));
        }
        let content = &inner.inodes[self.inode].current;
        let start = usize::try_from(offset).map_or(content.len(), |offset| offset.min(content.len()));
        let n = buf.len().min(content.len() - start);
        buf[..n].copy_from_slice(&content[start..start + n]);
        Ok(n)
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let (mut inner, verdict) = self.change();
        let live = inner.epoch == self.epoch;
        let grown = (offset + buf.len()).saturating_sub(inner.inodes[self.inode].current.len());
        let missing = grown.saturating_sub(inner.room());
        match verdict {
            Err(error) => {
                if live {
                    inner.inodes[self.inode].write(&buf[..buf.len() / 2], offset);
                }
                Err(error)
            }
            Ok(()) if missing > 0 => {
                inner.inodes[self.inode].write(&buf[..buf.len() - missing], offset);
                Err(ErrorKind::StorageFull.into())
            }
            Ok(()) => {
                inner.inodes[self.inode].write(buf, offset);
                Ok(())
            }
        }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let (mut inner, verdict) = self.change();
        verdict?;
        inner.inodes[self.inode].set_len(len);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut inner, verdict) = self.change();
        let live = inner.epoch == self.epoch && !inner.powerless;
        match verdict {
            Ok(()) => inner.inodes[self.inode].sync(),
            Err(error) => {
                if live {
                    inner.inodes[self.inode].unsynced.clear();
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

/// SplitMix64: small, seeded and good enough to choose what a power cut destroys.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, choices: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        usize::try_from(z % choices.max(1) as u64).expect("the remainder is below a usize")
    }
}
