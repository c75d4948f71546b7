//! `evenkeel backup` and `evenkeel restore`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        Failure, Global,
        client::Client,
        failure::Kind,
        print,
        store::{judge, places},
    },
    clock::{Clock, SystemClock},
    engine::{disk, rows::ROWS_VERSION},
    model::counted,
    store::{
        self, Note,
        backup::{self, Manifest, Source},
        lock::{self, Lock},
    },
    web::view::Checkpoint,
};

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write, or a directory for a file that is named after the journal's position.
    target: PathBuf,
    /// The store's directory, if it is not the one that the configuration names.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The archive's directory, if it is not the one that the configuration names, or `archive` below the store's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Put the archived segments in too. Without them a backup names them, and the archive must be kept elsewhere.
    #[arg(long)]
    with_archive: bool,
    /// Replace the file if there is one.
    #[arg(long, visible_alias = "force")]
    overwrite: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "evenkeel restore FILE --to DIR      makes a store of the backup there\n       \
                            evenkeel restore FILE --dry-run     only proves the backup")]
pub(super) struct Restore {
    /// The backup.
    file: PathBuf,
    /// The directory to make a store of: empty, or missing.
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    to: Option<PathBuf>,
    /// Only prove the backup. Needs room beside it for what it holds.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Written {
    file: PathBuf,
    bytes: u64,
    seq: u64,
    head: String,
    checkpoint: Option<u64>,
    segments: usize,
    /// Archived segments, and whether the backup holds them.
    archived: usize,
    with_archive: bool,
}

pub(super) fn backup(global: &Global, asked: &Backup) -> Result<(), Failure> {
    if asked.target == Path::new("-") {
        return Err(Failure::new(Kind::Refused, "a backup is not written to standard output")
            .next(
                "it counts once it was proven where it lies: name a file or a directory (a file that is called `-` is `./-`), \
                 and send that",
            )
            .as_json(global.json));
    }
    let (path, archive) = places(global, asked.store.as_ref(), asked.archive.as_ref())?;
    let file = if asked.target.is_dir() {
        let name = SystemClock.now().millis() / 1_000;
        asked.target.join(format!("evenkeel-{name}.tar.zst"))
    } else {
        asked.target.clone()
    };
    if file.exists() && !asked.overwrite {
        return Err(Failure::new(Kind::Refused, format!("`{}` is there already", file.display()))
            .next("name a directory or another file, or replace it with --overwrite")
            .as_json(global.json));
    }
    let _lock = hold(global, &path)?;
    let source = Source { store: path, archive, rows_version: ROWS_VERSION };
    let manifest = backup::write(&source, &file, asked.with_archive).map_err(|error| told(&error, global))?;
    let bytes = std::fs::metadata(&file).map_or(0, |about| about.len());
    let count = |dir: &str| manifest.files.iter().filter(|piece| piece.name.starts_with(dir)).count();
    let written = Written {
        file,
        bytes,
        seq: manifest.seq,
        head: manifest.head.clone(),
        checkpoint: manifest.checkpoint,
        segments: count("journal/"),
        archived: manifest.archive.len(),
        with_archive: manifest.with_archive,
    };
    print::answer(global.json, &written, |w| {
        print::line(&format!(
            "good: `{}`, {}, {}; head {} {}",
            w.file.display(),
            counted(w.bytes, "byte"),
            counted(w.segments, "segment"),
            w.seq,
            w.head
        ));
        if w.archived > 0 && !w.with_archive {
            print::line(&format!(
                "named in it and not held: {}; keep the archive too",
                counted(w.archived, "archived segment")
            ));
        }
    })
}

/// Takes the store's lock, so that no daemon begins meanwhile. One that runs already is asked for a fresh checkpoint.
fn hold(global: &Global, path: &Path) -> Result<Option<Lock>, Failure> {
    let held = match Lock::acquire(path) {
        Ok(lock) => return Ok(Some(lock)),
        Err(held) => held,
    };
    let fresh = || Client::new(global)?.post::<_, Checkpoint>("/v1/checkpoint", &serde_json::json!({}));
    match held {
        lock::Error::Held { .. } => fresh().map(|_| None).map_err(|failed| {
            Failure::new(Kind::Failed, format!("{held}, and no checkpoint could be had of it: {failed}"))
                .next("name the running daemon's socket with --socket, or stop the daemon")
                .as_json(global.json)
        }),
        lock::Error::Disk(_) => Err(Failure::of(Kind::Failed, &held)
            .next("run this as root or as the service's user: `sudo -u evenkeel evenkeel backup …`")
            .as_json(global.json)),
    }
}

#[derive(Serialize)]
struct Restored {
    store: Option<PathBuf>,
    seq: u64,
    head: String,
    skus: usize,
    orders: usize,
    /// Archived segments that the backup names and does not hold.
    archive_elsewhere: usize,
    /// What is otherwise than it was, and whatever else was found.
    notes: Vec<String>,
}

pub(super) fn restore(global: &Global, asked: &Restore) -> Result<(), Failure> {
    if asked.file == Path::new("-") {
        return Err(Failure::new(Kind::Refused, "a backup is not read from standard input")
            .next("it is proven before anything is made of it: put it into a file, and name that")
            .as_json(global.json));
    }
    let manifest = match (&asked.to, asked.dry_run) {
        (Some(to), false) => backup::restore(&asked.file, to, ROWS_VERSION),
        (None, _) | (_, true) => backup::check(&asked.file, ROWS_VERSION),
    };
    let manifest = manifest.map_err(|error| told(&error, global))?;
    let started = match (&asked.to, asked.dry_run) {
        (Some(to), false) => start(to, global)?,
        (None, _) | (_, true) => Started::default(),
    };
    let Manifest { seq, head, archive, with_archive, .. } = manifest;
    let elsewhere = if with_archive { 0 } else { archive.len() };
    let store = asked.to.clone().filter(|_| !asked.dry_run);
    let Started { skus, orders, notes } = started;
    let restored = Restored { store, seq, head, skus, orders, archive_elsewhere: elsewhere, notes };
    print::answer(global.json, &restored, |r| {
        let Some(store) = &r.store else {
            print::line(&format!("good: head {} {}", r.seq, r.head));
            return;
        };
        print::line(&format!(
            "restored into `{}`: {}, {}, head {} {}",
            store.display(),
            counted(r.skus, "SKU"),
            counted(r.orders, "order"),
            r.seq,
            r.head
        ));
        for note in &r.notes {
            print::line(&format!("note: {note}"));
        }
        print::line("it writes to no channel until `evenkeel resume --live`");
        if r.archive_elsewhere > 0 {
            print::line(&format!(
                "put its {} beside it, if you have the archive",
                counted(r.archive_elsewhere, "archived segment")
            ));
        }
    })
}

/// What the first start of a restored store came to.
#[derive(Default)]
struct Started {
    skus: usize,
    orders: usize,
    notes: Vec<String>,
}

/// Starts a restored store once, which proves that a daemon can, and has its journal say that it was restored.
fn start(to: &Path, global: &Global) -> Result<Started, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::of(Kind::Failed, error).next("see docs/OPERATIONS.md#restore").as_json(global.json)
    };
    let opened = disk::open(to, store::Options::default(), SystemClock.now());
    let (state, store) = opened.map_err(|error| failed(&error))?;
    // A backup never holds a state: that there is none is no news.
    let news = store.notes().iter().filter(|note| !matches!(note, Note::StateUnused { .. }));
    let notes = news.map(Note::to_string).collect();
    let started = Started { skus: state.skus.len(), orders: state.orders_known(), notes };
    crate::engine::ledger::Durable::close(Box::new(store)).map_err(|error| failed(&error))?;
    Ok(started)
}

fn told(error: &backup::Error, global: &Global) -> Failure {
    let (kind, next) = match error {
        backup::Error::NotEmpty { .. } => {
            (Kind::Refused, "name a directory that is empty or missing; a store is never written over")
        }
        backup::Error::NotOne { .. } => (Kind::Refused, "name a file that `evenkeel backup` has written"),
        backup::Error::Disk(fault) if fault.source.kind() == std::io::ErrorKind::StorageFull => {
            (Kind::Failed, "there is no room: make some there, or name a place on another disk")
        }
        backup::Error::Disk(_) => (
            Kind::Failed,
            "see that the path is right, that there is room, and that you may read and write there",
        ),
        backup::Error::Format { .. } => (Kind::Failed, "use the release that wrote it, or a newer one"),
        backup::Error::NoBase { .. } => (
            Kind::Disagrees,
            "run `evenkeel checkpoint` first, or add --with-archive; see docs/OPERATIONS.md",
        ),
        backup::Error::Journal(error) if judge(error).0 != Kind::Disagrees => judge(error),
        backup::Error::Journal(_) | backup::Error::Damaged { .. } | backup::Error::Foreign { .. } => (
            Kind::Disagrees,
            "use another backup; of a store, `evenkeel verify` names what is damaged: see docs/OPERATIONS.md",
        ),
    };
    Failure::of(kind, error).next(next).as_json(global.json)
}
