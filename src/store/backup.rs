//! Backups: one file that holds the newest checkpoint, the journal's own segments and a manifest, and if it is asked for
//! the archive too. The file is a tar compressed with zstd, so that any machine can look into it.
//!
//! A backup counts when it was written, synced, unpacked again beside its place, and proven there like a store. What is
//! restored is proven in the same way, before anything may start from it.

use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::checkpoint::Checkpoints;
use super::disk::{Disk, Fault, File, Named, Open, RealDisk, make_dir, sync_parent};
use super::journal::{self, ChainHash, Head, Report};

/// In a store's directory: its restore has not come to its end.
pub(super) const RESTORING: &str = "restoring";
/// In a store's directory: it was restored, and its journal does not say so yet.
pub const RESTORED: &str = "restored";
const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;
/// The largest manifest: some ten thousand files.
const MANIFEST_MAX: u64 = 16 << 20;
const LEVEL: i32 = 3;
/// What every file compressed with zstd begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Disk(#[from] Fault),
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error("`{}` is not a backup: {what}", file.display())]
    NotOne { file: PathBuf, what: String },
    #[error("the backup `{}` is damaged at about byte {at}: {what}", file.display())]
    Damaged { file: PathBuf, at: u64, what: String },
    #[error("`{}` has format {format}; use the newer evenkeel that wrote it", file.display())]
    Format { file: PathBuf, format: u32 },
    #[error("the checkpoint at record {seq} was not made from the journal beside it")]
    Foreign { seq: u64 },
    #[error("the journal begins at record {first_seq} and there is no whole checkpoint")]
    NoBase { first_seq: u64 },
    #[error("`{}` is not empty", dir.display())]
    NotEmpty { dir: PathBuf },
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The evenkeel that wrote it.
    pub version: String,
    /// The last record, and the chain's hash there.
    pub seq: u64,
    pub head: String,
    /// The record that the checkpoint reflects.
    pub checkpoint: Option<u64>,
    pub files: Vec<Piece>,
    /// The archive as it was, whether it is in the backup or not.
    pub archive: Vec<Shelved>,
    pub with_archive: bool,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// An archived segment, and the chain's hashes before its first and after its last record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelved {
    pub name: String,
    pub first_seq: u64,
    pub last_seq: u64,
    pub before: String,
    pub after: String,
}

/// Where a store lies.
#[derive(Debug, Clone)]
pub struct Source {
    pub store: PathBuf,
    pub archive: PathBuf,
    pub rows_version: u32,
}

/// A file to be packed: so many bytes from its beginning.
struct Packing {
    name: String,
    file: Box<dyn File>,
    bytes: u64,
}

/// Writes a backup and proves it. A daemon may go on meanwhile: it holds what was complete when it began.
pub fn write(from: &Source, to: &Path, with_archive: bool) -> Result<Manifest, Error> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (mut packings, checkpoint) = gather_checkpoint(&disk, from)?;
    let export = journal::export(&disk, &from.store.join("journal"), &from.archive)?;
    if checkpoint.is_none() && export.first_seq > 1 && !with_archive {
        return Err(Error::NoBase { first_seq: export.first_seq });
    }
    for (name, file, bytes) in export.segments {
        packings.push(Packing { name: format!("journal/{name}"), file, bytes });
    }
    if with_archive {
        for shelved in &export.archive {
            let path = from.archive.join(&shelved.name);
            let file = disk.open(&path, Open::Read).named("open", &path)?;
            let bytes = file.size().named("read the size of", &path)?;
            packings.push(Packing { name: format!("archive/{}", shelved.name), file, bytes });
        }
    }
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seq: export.head.seq,
        head: export.head.hash.to_string(),
        checkpoint: checkpoint.map(|head| head.seq),
        files: Vec::new(),
        archive: export.archive,
        with_archive,
    };
    let unfinished = super::disk::temporary_name(to);
    let written = pack(&unfinished, packings, manifest).and_then(|manifest| {
        check(&unfinished, from.rows_version)?;
        Ok(manifest)
    });
    if written.is_err() {
        // The failure to report is the first one.
        fs::remove_file(&unfinished).unwrap_or(());
    }
    let manifest = written?;
    disk.rename(&unfinished, to).named("rename into place", to)?;
    sync_parent(disk.as_ref(), to)?;
    Ok(manifest)
}

fn gather_checkpoint(disk: &Arc<dyn Disk>, from: &Source) -> Result<(Vec<Packing>, Option<Head>), Error> {
    let dir = from.store.join("checkpoints");
    let checkpoints = Checkpoints::new(Arc::clone(disk), &dir, from.rows_version);
    let Some((path, head)) = checkpoints.newest_file()? else { return Ok((Vec::new(), None)) };
    let file = disk.open(&path, Open::Read).named("open", &path)?;
    let bytes = file.size().named("read the size of", &path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((vec![Packing { name: format!("checkpoints/{name}"), file, bytes }], Some(head)))
}

fn pack(to: &Path, packings: Vec<Packing>, mut manifest: Manifest) -> Result<Manifest, Error> {
    let file = create(to)?;
    let made = (|| {
        let mut encoder = zstd::Encoder::new(BufWriter::new(&file), LEVEL)?;
        encoder.include_checksum(true)?;
        let mut tar = tar::Builder::new(encoder);
        for Packing { name, file, bytes } in packings {
            let mut from = Hashed::new(Bytes { file: file.as_ref(), at: 0, end: bytes });
            tar.append_data(&mut header(bytes), &name, &mut from)?;
            manifest.files.push(Piece { name, bytes, sha256: from.sum() });
        }
        let text = serde_json::to_vec_pretty(&manifest)?;
        tar.append_data(&mut header(text.len() as u64), MANIFEST, text.as_slice())?;
        tar.into_inner()?.finish()?.flush()
    })();
    made.named("write", to)?;
    file.sync_all().named("sync", to)?;
    Ok(manifest)
}

fn create(path: &Path) -> Result<fs::File, Fault> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path).named("create", path)
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header
}

/// Fails for a file that is surely no backup, before anything is made of it.
fn is_one(path: &Path) -> Result<(), Error> {
    let file = fs::File::open(path).named("open", path)?;
    let mut begin = Vec::with_capacity(MAGIC.len());
    file.take(MAGIC.len() as u64).read_to_end(&mut begin).named("read", path)?;
    let what = match begin.as_slice() {
        begin if begin == MAGIC => return Ok(()),
        [] => "it is empty",
        _ => "it does not begin like one, so it is something else, or its beginning was overwritten",
    };
    Err(Error::NotOne { file: path.to_path_buf(), what: what.to_owned() })
}

/// Proves a backup: unpacks it beside its place, proves what it holds like a store, and clears away.
pub fn check(file: &Path, rows_version: u32) -> Result<Manifest, Error> {
    is_one(file)?;
    let mut name = file.as_os_str().to_owned();
    name.push(".check");
    let dir = PathBuf::from(name);
    remove(&dir)?;
    let checked = unpack(file, &dir).and_then(|manifest| prove(file, &dir, &manifest, rows_version));
    remove(&dir)?;
    checked
}

fn remove(dir: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.named("remove", dir),
    }
}

/// Unpacks a backup into an empty or missing directory and proves it there. Until a daemon has taken note of it, the
/// directory says that it was restored; while this is not done, that it must not be used.
pub fn restore(file: &Path, to: &Path, rows_version: u32) -> Result<Manifest, Error> {
    is_one(file)?;
    let disk = RealDisk;
    make_dir(&disk, to)?;
    let names = disk.list(to).named("list", to)?;
    let begun = names.iter().any(|name| name == RESTORING);
    if begun {
        for name in names.iter().filter(|name| *name != RESTORING) {
            let path = to.join(name);
            if path.is_dir() { remove(&path)? } else { disk.remove_file(&path).named("remove", &path)? }
        }
    } else if names.iter().any(|name| name != "lost+found") {
        return Err(Error::NotEmpty { dir: to.to_path_buf() });
    }
    let unfinished = to.join(RESTORING);
    super::disk::put_file(&disk, &unfinished, b"an unfinished restore\n")?;
    let manifest = unpack(file, to).and_then(|manifest| prove(file, to, &manifest, rows_version))?;
    disk.rename(&unfinished, &to.join(RESTORED)).named("rename", &unfinished)?;
    sync_parent(&disk, &unfinished)?;
    Ok(manifest)
}

/// Unpacks a backup and compares every file with the manifest. What is unpacked is durable.
fn unpack(from: &Path, to: &Path) -> Result<Manifest, Error> {
    let source = Counted { file: fs::File::open(from).named("open", from)?, at: 0 };
    let mut decoder = zstd::Decoder::new(source).named("read", from)?;
    let unpacked = unpack_entries(&mut decoder, to);
    // What lies behind the last entry is covered by the checksum of the whole, which is at its end.
    let unpacked = unpacked.and_then(|unpacked| {
        io::copy(&mut decoder, &mut io::sink()).map_err(Broken::Read)?;
        Ok(unpacked)
    });
    let at = decoder.get_ref().get_ref().at;
    let damaged = |what: String| Error::Damaged { file: from.to_path_buf(), at, what };
    let (manifest, found) = unpacked.map_err(|broken| match broken {
        Broken::Disk(fault) => fault.into(),
        Broken::Read(error) => damaged(error.to_string()),
        Broken::What(what) => damaged(what),
    })?;
    // It was read to its end, whole: it is what somebody else has packed.
    let what = "it is a whole archive without a manifest".to_owned();
    let manifest = manifest.ok_or_else(|| Error::NotOne { file: from.to_path_buf(), what })?;
    if manifest.format != FORMAT {
        return Err(Error::Format { file: from.to_path_buf(), format: manifest.format });
    }
    for (held, said) in found.iter().zip(&manifest.files) {
        if held != said {
            return Err(damaged(format!("`{}` is not what was written", said.name)));
        }
    }
    if found.len() != manifest.files.len() {
        return Err(damaged("it does not hold the files that its manifest names".to_owned()));
    }
    Ok(manifest)
}

enum Broken {
    Disk(Fault),
    Read(io::Error),
    What(String),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Broken {
        Broken::Disk(fault)
    }
}

fn unpack_entries(from: &mut impl Read, to: &Path) -> Result<(Option<Manifest>, Vec<Piece>), Broken> {
    let mut tar = tar::Archive::new(from);
    let (mut manifest, mut found) = (None, Vec::new());
    for dir in ["journal", "checkpoints", "archive"] {
        make_dir(&RealDisk, &to.join(dir))?;
    }
    for entry in tar.entries().map_err(Broken::Read)? {
        let mut entry = entry.map_err(Broken::Read)?;
        let name = entry.path().map_err(Broken::Read)?.to_string_lossy().into_owned();
        if name == MANIFEST {
            let read = serde_json::from_reader(BufReader::new(entry.take(MANIFEST_MAX)));
            manifest =
                Some(read.map_err(|error| Broken::What(format!("its manifest cannot be read: {error}")))?);
            continue;
        }
        if !is_ours(&name) {
            return Err(Broken::What(format!("it holds `{}`, which no backup does", name.escape_debug())));
        }
        let path = to.join(&name);
        let mut file = create(&path)?;
        let mut hashed = Hashed::new(&mut entry);
        let bytes = copy(&mut hashed, &mut file, &path)?;
        file.sync_all().named("sync", &path)?;
        found.push(Piece { name, bytes, sha256: hashed.sum() });
    }
    for dir in ["journal", "checkpoints", "archive"] {
        let dir = to.join(dir);
        RealDisk.sync_dir(&dir).named("sync the directory", &dir)?;
    }
    Ok((manifest, found))
}

/// Copies, telling a source that cannot be read from a place that cannot be written.
fn copy(from: &mut impl Read, to: &mut fs::File, path: &Path) -> Result<u64, Broken> {
    let (mut buffer, mut bytes) = (vec![0; 256 * 1024], 0);
    loop {
        let read = from.read(&mut buffer).map_err(Broken::Read)?;
        if read == 0 {
            return Ok(bytes);
        }
        to.write_all(&buffer[..read]).named("write", path)?;
        bytes += read as u64;
    }
}

/// Says whether a backup may hold a file of this name: a plain name in one of three directories.
fn is_ours(name: &str) -> bool {
    let plain = |name: &str| {
        !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
    };
    let part = |dir: &str| name.strip_prefix(dir).is_some_and(|name| !name.is_empty() && plain(name));
    part("journal/") || part("checkpoints/") || part("archive/")
}

/// Proves what was unpacked: every record and the chain, the checkpoint, and that both are of one store.
fn prove(file: &Path, dir: &Path, manifest: &Manifest, rows_version: u32) -> Result<Manifest, Error> {
    let damaged = |what: String| Error::Damaged { file: file.to_path_buf(), at: 0, what };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let checkpoints = Checkpoints::new(Arc::clone(&disk), &dir.join("checkpoints"), rows_version);
    let checkpoint = checkpoints.newest_file()?.map(|(_, head)| head);
    let mut at_checkpoint = None;
    let report: Report =
        journal::verify(&disk, &dir.join("journal"), Some(&dir.join("archive")), &mut |record| {
            if checkpoint.is_some_and(|head| head.seq == record.seq) {
                at_checkpoint = Some(record.hash);
            }
        })?;
    if (report.head.seq, report.head.hash.to_string()) != (manifest.seq, manifest.head.clone()) {
        return Err(damaged("the journal does not end as the manifest says".to_owned()));
    }
    match checkpoint {
        None if manifest.checkpoint.is_some() || report.first_seq > 1 => {
            return Err(Error::NoBase { first_seq: report.first_seq });
        }
        None => {}
        Some(head) => {
            let before: Option<ChainHash> = (head.seq + 1 == report.first_seq).then_some(report.before);
            if at_checkpoint.or(before) != Some(head.hash) {
                return Err(Error::Foreign { seq: head.seq });
            }
        }
    }
    Ok(manifest.clone())
}

/// So many bytes of a file, read forwards.
struct Bytes<'a> {
    file: &'a dyn File,
    at: u64,
    end: u64,
}

impl Read for Bytes<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let count = buf.len().min(left);
        let read = self.file.read_at(&mut buf[..count], self.at)?;
        self.at += read as u64;
        if read == 0 && count > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
    }
}

struct Hashed<R> {
    from: R,
    sum: Sha256,
}

impl<R> Hashed<R> {
    fn new(from: R) -> Hashed<R> {
        Hashed { from, sum: Sha256::new() }
    }

    fn sum(self) -> String {
        ChainHash::from_bytes(self.sum.finalize().into()).to_string()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buf)?;
        self.sum.update(&buf[..read]);
        Ok(read)
    }
}

/// Knows how far a file was read.
struct Counted {
    file: fs::File,
    at: u64,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buf)?;
        self.at += read as u64;
        Ok(read)
    }
}
