//! Bits that flip at rest, in every kind of file that a store has.
//!
//! Whatever flipped: the store opens with what it held, or refuses and names the file; built again from what is left it
//! does the same. What the journal and its archive lost is always told by `evenkeel verify`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use evenkeel::{
    engine::{disk, rows},
    store,
    telemetry::causes,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use super::{
    first_seed,
    history::{Ended, History, options},
    quick_dir, rounds,
};
use crate::{
    golden::{copy, told::told},
    live::{bare, run},
};

/// What may be hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Journal,
    Archive,
    Checkpoint,
    State,
}

const KINDS: [Kind; 4] = [Kind::Journal, Kind::Archive, Kind::Checkpoint, Kind::State];

impl Kind {
    fn of(file: &Path) -> Option<Kind> {
        let first = file.components().next()?.as_os_str().to_str()?;
        match first {
            "journal" => Some(Kind::Journal),
            "archive" => Some(Kind::Archive),
            "checkpoints" => Some(Kind::Checkpoint),
            "state" => Some(Kind::State),
            _ => None,
        }
    }
}

/// A copy of a history in which something flipped.
struct Hit {
    dir: TempDir,
    kind: Kind,
    file: PathBuf,
    told: String,
}

impl Hit {
    fn new(history: &History, seed: u64) -> Hit {
        let mut dice = StdRng::seed_from_u64(seed);
        let kind = KINDS[dice.random_range(0..KINDS.len())];
        let files: Vec<PathBuf> =
            history.files().into_iter().filter(|file| Kind::of(file) == Some(kind)).collect();
        let file = files[dice.random_range(0..files.len())].clone();
        let dir = quick_dir();
        copy(history.dir.path(), dir.path());
        let path = dir.path().join(&file);
        let mut content = fs::read(&path).expect("readable");
        let mut told = String::new();
        for _ in 0..[1, 1, 1, 2, 8][dice.random_range(0..5)] {
            // sled's files are mostly room: what is hit is to lie where something is written.
            let used: Vec<usize> = (0..content.len()).filter(|at| content[*at] != 0).collect();
            if used.is_empty() {
                continue;
            }
            let (at, bit) = (used[dice.random_range(0..used.len())], dice.random_range(0..8));
            content[at] ^= 1 << bit;
            told += &format!(" byte {at} bit {bit},");
        }
        fs::write(&path, content).expect("written");
        Hit { dir, kind, file, told }
    }

    fn file_name(&self) -> String {
        self.file.file_name().expect("a name").to_string_lossy().into_owned()
    }

    fn name(&self) -> String {
        format!("{}:{}", self.file.display(), self.told)
    }
}

/// Opens a store: what it holds is what it held, or it is refused, and the refusal helps. Returns whether it opened.
fn opens(dir: &Path, history: &History, hit: &Hit, what: &str) -> bool {
    match disk::read(dir, options()) {
        Ok(state) => {
            let now = told(&state);
            let differs = now.lines().zip(history.told.lines()).find(|(now, held)| now != held);
            assert!(now == history.told, "{what}: silently wrong: {differs:?}");
            true
        }
        Err(error) => {
            let why = causes(&error);
            assert!(hit.kind == Kind::Journal, "{what}: nothing that is missing is needed: {why}");
            assert!(why.contains(&hit.file_name()) && why.contains("evenkeel verify"), "{what}: {why}");
            false
        }
    }
}

/// The journal and its archive are proven offline: what was hit there is named.
fn proves(hit: &Hit, what: &str) {
    let archive = store::archive_of(hit.dir.path());
    match store::verify_journal(hit.dir.path(), Some(&archive), &mut |_| {}) {
        Err(error) => {
            assert!(matches!(hit.kind, Kind::Journal | Kind::Archive), "{what}: {error}");
            assert!(error.to_string().contains(&hit.file_name()), "{what}: {error}");
        }
        Ok(report) => {
            // The note behind the last group is no record.
            let tail = report.tail.is_some_and(|tail| tail.file.ends_with(&hit.file));
            assert!(hit.kind != Kind::Archive && (hit.kind != Kind::Journal || tail), "{what}: not noticed");
        }
    }
}

/// A checkpoint that was hit is named by whoever looks at it.
fn names_checkpoint(hit: &Hit, what: &str) {
    let found = store::survey_checkpoints(hit.dir.path(), rows::ROWS_VERSION).expect("readable");
    let unused: Vec<String> =
        found.iter().filter_map(|found| Some(found.as_ref().err()?.to_string())).collect();
    assert_eq!(unused.len(), usize::from(hit.kind == Kind::Checkpoint), "{what}: {unused:?}");
    assert!(unused.iter().all(|unused| unused.contains(&hit.file_name())), "{what}: {unused:?}");
}

fn check(history: &History, seed: u64) {
    let hit = Hit::new(history, seed);
    let what = format!("EVENKEEL_BLOWS_SEED={seed} {}", hit.name());
    proves(&hit, &what);
    names_checkpoint(&hit, &what);
    let alone = quick_dir();
    copy(hit.dir.path(), alone.path());
    fs::remove_dir_all(alone.path().join("state")).expect("there is one");
    let as_it_is = opens(hit.dir.path(), history, &hit, &what);
    let from_the_journal = opens(alone.path(), history, &hit, &what);
    assert!(as_it_is || !from_the_journal, "{what}: whole without its state, and refused with it");
}

/// The same, as a person meets it: `evenkeel verify` and `evenkeel rebuild`.
async fn check_commands(history: &History, seed: u64) {
    let hit = Hit::new(history, seed);
    let what = format!("EVENKEEL_BLOWS_SEED={seed} {}", hit.name());
    let ask = async |command: &str| {
        let told = run(bare().args(["--json", command, "--store"]).arg(hit.dir.path())).await;
        assert!(told.code == Some(0) || told.err.contains("\"next\""), "{what}: {told:#?}");
        told
    };
    let verified = ask("verify").await;
    match hit.kind {
        Kind::Archive => verified.fails(65, &hit.file_name()),
        Kind::Journal if verified.code == Some(0) => {
            assert!(verified.json()["unfinished"].is_string(), "{what}")
        }
        Kind::Journal => verified.fails(65, &hit.file_name()),
        Kind::Checkpoint => {
            let unused = verified.json()["checkpoints_unused"][0].to_string();
            assert!(unused.contains(&hit.file_name()), "{what}: {unused}");
        }
        Kind::State => assert_eq!(verified.json()["checkpoints"], 2, "{what}"),
    }
    let rebuilt = ask("rebuild").await;
    match hit.kind {
        Kind::Journal if rebuilt.code != Some(0) => rebuilt.fails(1, &hit.file_name()),
        // The epoch that begins with a rebuild is a record.
        Kind::Journal | Kind::Archive | Kind::Checkpoint | Kind::State => {
            assert_eq!(rebuilt.json()["seq"], history.seq + 1, "{what}")
        }
    }
}

#[test]
fn whatever_flips_at_rest_the_store_is_as_it_was_or_is_refused_by_name() {
    let first = first_seed();
    for ended in [Ended::Stopped, Ended::Killed] {
        let history = History::write(ended);
        (first..first + rounds(100)).for_each(|seed| check(&history, seed));
    }
}

#[tokio::test]
async fn whatever_flips_at_rest_the_commands_name_it() {
    let history = History::write(Ended::Stopped);
    let first = first_seed();
    for seed in first..first + rounds(12) {
        check_commands(&history, seed).await;
    }
}
