//! Golden journals: what a release wrote must add up to the same state for ever.
//!
//! `tests/data/store/NAME/` holds a journal and a checkpoint as they were written, the journal's head, and the state
//! that they add up to, told as text. One of a released version is never rewritten; see docs/TESTING.md.

mod kinds;
mod script;
pub(crate) mod told;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use evenkeel::{
    core::{Envelope, State, apply},
    engine::{disk, rows},
    model::{Seq, Timestamp},
    store::{self, Source, Store, checkpoint},
};
use tempfile::TempDir;

use crate::live::{bare, run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/store")
}

/// Returns the directory of every golden journal.
fn goldens() -> Vec<PathBuf> {
    let entries = fs::read_dir(root()).expect("tests/data/store is there");
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    dirs.sort();
    assert!(!dirs.is_empty(), "there is at least one golden journal");
    dirs
}

/// Copies a directory with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("it is there") {
        let path = entry.expect("readable").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() { copy(&path, &to) } else { assert!(fs::copy(&path, &to).is_ok()) }
    }
}

/// Returns a copy of a golden journal as a store, with its checkpoint or without.
fn store_of(golden: &Path, checkpoints: bool) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    copy(&golden.join("journal"), &dir.path().join("journal"));
    if checkpoints {
        copy(&golden.join("checkpoints"), &dir.path().join("checkpoints"));
    }
    dir
}

fn options(rows_version: u32) -> store::Options {
    store::Options {
        state: store::state::Options { rows_version, ..store::state::Options::default() },
        ..store::Options::default()
    }
}

/// Proves a journal and replays it. Returns its envelopes, what they add up to, and the head.
fn replay(store: &Path) -> (Vec<Envelope>, State, String) {
    let (mut state, mut envelopes) = (State::default(), Vec::new());
    let report = store::verify_journal(store, Some(&store::archive_of(store)), &mut |record| {
        let envelope = disk::decode(record.seq, &record.payload).unwrap_or_else(|error| panic!("{error}"));
        apply(&mut state, Seq(record.seq), &envelope);
        envelopes.push(envelope);
    });
    let report = report.unwrap_or_else(|error| panic!("{}: {error}", store.display()));
    assert_eq!(report.tail, None);
    (envelopes, state, format!("{} {}\n", report.head.seq, report.head.hash))
}

/// Compares two texts and shows the first lines that differ.
#[track_caller]
fn same(what: &str, told: &str, want: &str) {
    let differ = told.lines().zip(want.lines()).find(|(a, b)| a != b);
    assert_eq!(differ, None, "{what}: told and expected");
    assert_eq!(told.lines().count(), want.lines().count(), "{what}: lines");
}

#[tokio::test]
async fn every_golden_journal_still_adds_up_to_the_state_it_had() {
    for golden in goldens() {
        let name = golden.display().to_string();
        let text = |file: &str| fs::read_to_string(golden.join(file)).expect("a text");
        let dir = store_of(&golden, false);
        assert!(fs::read_dir(golden.join("journal")).expect("there").count() > 2, "{name}: several segments");
        let (_, state, head) = replay(dir.path());
        assert_eq!(head, text("head.txt"), "{name}");
        same(&name, &told::told(&state), &text("state.txt"));
        let opened = disk::read(dir.path(), store::Options::default()).expect("it opens");
        same(&name, &told::told(&opened), &text("state.txt"));
        let asked = bare().args(["--json", "verify", "--store"]).arg(dir.path()).output().await;
        let asked = asked.expect("it runs");
        assert!(asked.status.success(), "{name}: {}", String::from_utf8_lossy(&asked.stderr));
    }
}

#[test]
fn the_golden_journals_hold_every_kind_of_record_and_of_what_is_in_them() {
    let mut seen = BTreeSet::new();
    for golden in goldens() {
        replay(store_of(&golden, false).path())
            .0
            .iter()
            .for_each(|envelope| kinds::note(envelope, &mut seen));
    }
    let missing: Vec<String> = kinds::all().into_iter().filter(|kind| !seen.contains(kind)).collect();
    assert!(missing.is_empty(), "in no golden journal; docs/TESTING.md tells how to make one: {missing:#?}");
}

/// Rows may be built anew, so their encoding may change, but not under the same version: what the last release wrote
/// is either read as it was meant, or known to be of another version.
#[test]
fn a_golden_checkpoint_gives_the_same_state_or_is_of_another_version() {
    for golden in goldens() {
        let dir = store_of(&golden, true);
        let (_, state, _) = replay(dir.path());
        let (store, start) = Store::open(dir.path(), options(rows::ROWS_VERSION)).expect("it opens");
        let passed_over = start.notes.iter().any(of_another_version);
        assert_ne!(start.source == Source::Checkpoint, passed_over, "{:?}", start.notes);
        drop((store, start));
        let opened = disk::read(dir.path(), store::Options::default()).expect("bump `ROWS_VERSION`");
        same("with its checkpoint", &told::told(&opened), &told::told(&state));
    }
}

/// Removes the segments that a store's checkpoint holds the sum of. Returns the record that the checkpoint is of.
fn lose_what_the_checkpoint_holds(store: &Path) -> u64 {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name");
    let files =
        |what: &str| fs::read_dir(store.join(what)).expect("there").map(|e| name(e.expect("readable")));
    let seq =
        |name: &String| name.trim_start_matches("checkpoint-").trim_end_matches(".journal").parse::<u64>();
    let held = files("checkpoints").filter_map(|name| seq(&name).ok()).max().expect("a checkpoint");
    let mut segments: Vec<(u64, String)> =
        files("journal").filter_map(|name| Some((seq(&name).ok()?, name))).collect();
    segments.sort();
    let needed = segments.iter().rposition(|(first, _)| *first <= held).expect("one reaches back to it");
    assert!(needed > 0, "{}: there is something to lose", store.display());
    for (_, gone) in &segments[..needed] {
        fs::remove_file(store.join("journal").join(gone)).expect("removed");
    }
    held
}

/// Who restores a backup of an older release hears what of it begins anew: the daemon that starts on it does not tell again.
#[tokio::test]
async fn who_restores_a_checkpoint_of_an_older_release_is_told_what_begins_anew() {
    let dir = store_of(&root().join("v1"), true);
    let held = lose_what_the_checkpoint_holds(dir.path());
    let (file, to) = (dir.path().join("backup.tar.zst"), dir.path().join("restored"));
    let backup = run(bare().args(["--json", "backup", "--store"]).arg(dir.path()).arg(&file)).await.json();
    assert!(backup["segments"].as_u64() > Some(0), "{backup}");
    let restored = run(bare().args(["--json", "restore"]).arg(&file).arg("--to").arg(&to)).await.json();
    let notes = restored["notes"].as_array().expect("a list");
    let told = store::Note::OlderRows { seq: held }.to_string();
    assert_eq!(notes, &[serde_json::Value::from(told.clone())], "{restored:#}");

    fs::remove_dir_all(&to).expect("removed");
    let text = run(bare().arg("restore").arg(&file).arg("--to").arg(&to)).await;
    assert!(text.code == Some(0) && text.out.contains(&format!("note: {told}\n")), "{text:#?}");
}

/// Where the segments from before it are gone for good, nothing but the checkpoint of an older release holds the stock.
#[test]
fn a_checkpoint_of_an_older_release_stands_in_for_what_is_gone() {
    for golden in goldens() {
        let dir = store_of(&golden, true);
        let (_, whole, _) = replay(dir.path());
        lose_what_the_checkpoint_holds(dir.path());
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (state, store) = disk::open(dir.path(), store::Options::default(), now).expect("it opens");
        let books = |state: &State| {
            let told = told::told(state);
            let kept = |line: &&str| {
                line.contains(" stock ") || line.starts_with("order ") && line.contains(" line ")
            };
            told.lines().filter(kept).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(books(&state), books(&whole), "{}", golden.display());
        evenkeel::engine::ledger::Durable::close(Box::new(store)).expect("closed");
        // What this release has written since stands in one journal with what the older one wrote.
        let again = disk::read(dir.path(), store::Options::default()).expect("it opens again");
        assert!(again.seq > whole.seq, "an epoch was begun");
        assert_eq!(books(&again), books(&whole), "{}", golden.display());
    }
}

fn of_another_version(note: &store::Note) -> bool {
    matches!(note, store::Note::CheckpointUnused(skipped) if skipped.flaw == checkpoint::Flaw::RowsVersion)
}

#[test]
fn rows_of_another_version_are_recognised_and_built_anew() {
    let golden = goldens().pop().expect("there is one");
    let dir = store_of(&golden, true);
    let (state, store) =
        disk::open(dir.path(), store::Options::default(), Timestamp::ZERO).expect("it opens");
    evenkeel::engine::ledger::Durable::close(Box::new(store)).expect("closed");
    let (store, start) = Store::open(dir.path(), options(rows::ROWS_VERSION + 1)).expect("it opens");
    assert_eq!(start.source, Source::Empty);
    let reason = |note: &store::Note| match note {
        store::Note::StateUnused { reason, .. } => reason.to_string(),
        store::Note::CheckpointUnused(skipped) => skipped.flaw.to_string(),
        store::Note::OlderRows { .. } | store::Note::GivenUp { .. } => note.to_string(),
        store::Note::TailCut(tail) => tail.to_string(),
        store::Note::ArchiveUnused(why) => why.clone(),
    };
    let reasons: Vec<String> = start.notes.iter().map(reason).collect();
    assert_eq!(reasons, ["its rows are of another version"; 2]);
    drop((store, start));
    let again = disk::read(dir.path(), store::Options::default()).expect("it opens");
    same("built anew", &told::told(&again), &told::told(&state));
}

/// Plays the script, which must always work, and keeps what comes of it where `EVENKEEL_GOLDEN` names a golden journal
/// that is not there yet. Of one that is there, only a missing `state.txt` is written.
#[test]
fn a_new_one_is_written_if_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    script::play(dir.path());
    let (envelopes, ..) = replay(dir.path());
    let mut seen = BTreeSet::new();
    envelopes.iter().for_each(|envelope| kinds::note(envelope, &mut seen));
    let missing: Vec<String> = kinds::all().into_iter().filter(|kind| !seen.contains(kind)).collect();
    assert!(missing.is_empty(), "the script makes no {missing:#?}");
    let Some(name) = std::env::var_os("EVENKEEL_GOLDEN") else { return };
    let golden = root().join(name);
    if !golden.join("journal").exists() {
        copy(&dir.path().join("journal"), &golden.join("journal"));
        copy(&dir.path().join("checkpoints"), &golden.join("checkpoints"));
        fs::write(golden.join("head.txt"), replay(dir.path()).2).expect("written");
    }
    let told = golden.join("state.txt");
    assert!(!told.exists(), "{} is there and is not rewritten", golden.display());
    fs::write(told, told::told(&replay(store_of(&golden, false).path()).1)).expect("written");
}
