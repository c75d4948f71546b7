//! Backups: whole or refused.

use std::fs;

use proptest::prelude::*;

use super::super::backup::{self, Source as From};
use super::*;

const VERSION: u32 = 1;

/// A store with a checkpoint, archived segments and live ones, as a daemon that died left it.
fn store_with_archive(root: &Path) -> (Caller, Head) {
    let (mut store, mut caller) = begin(root, Source::Empty);
    caller.groups(&mut store, 60);
    store.checkpoint(caller.rows.clone()).unwrap();
    caller.groups(&mut store, 40);
    assert!(!store.archiver().run().unwrap().is_empty());
    (caller, store.head())
}

fn source(root: &Path) -> From {
    From { store: root.to_path_buf(), archive: archive_of(root), rows_version: VERSION }
}

#[test]
fn a_restored_store_holds_what_the_backup_held_with_the_archive_or_without() {
    for with_archive in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let (caller, head) = store_with_archive(&root);
        let file = dir.path().join("backup");
        let manifest = backup::write(&source(&root), &file, with_archive).unwrap();
        assert_eq!((manifest.seq, manifest.head.clone()), (head.seq, head.hash.to_string()));
        assert!(!manifest.archive.is_empty());
        assert_eq!(backup::check(&file, VERSION).unwrap(), manifest_of(&file));
        let to = dir.path().join("new");
        backup::restore(&file, &to, VERSION).unwrap();
        assert!(to.join(backup::RESTORED).exists());
        let (mut store, start) = open(&to);
        assert_eq!(start.source, Source::Checkpoint);
        assert_eq!(Caller::begin(&mut store, start).rows, caller.rows);
        assert_eq!(store.first_seq() == 1, with_archive);
        assert_eq!(store.head(), head);
    }
}

fn manifest_of(file: &Path) -> backup::Manifest {
    backup::check(file, VERSION).unwrap()
}

#[test]
fn a_store_is_never_restored_over_and_an_unfinished_restore_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    store_with_archive(&root);
    let file = dir.path().join("backup");
    backup::write(&source(&root), &file, false).unwrap();
    assert!(matches!(backup::restore(&file, &root, VERSION), Err(backup::Error::NotEmpty { .. })));
    let to = dir.path().join("new");
    fs::create_dir_all(to.join("journal")).unwrap();
    fs::write(to.join("restoring"), "").unwrap();
    fs::write(to.join("journal/half"), "").unwrap();
    assert!(matches!(Store::open(&to, options()), Err(Error::Restoring { .. })));
    backup::restore(&file, &to, VERSION).unwrap();
    Store::open(&to, options()).unwrap();
}

#[test]
fn what_is_no_backup_is_called_so_and_nothing_is_made_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes.txt");
    let to = dir.path().join("new");
    let whole = tar::Builder::new(Vec::new()).into_inner().unwrap();
    let foreign = zstd::encode_all(whole.as_slice(), 1).unwrap();
    for content in [b"".as_slice(), b"what I had for lunch", &foreign] {
        fs::write(&file, content).unwrap();
        let error = backup::check(&file, VERSION).unwrap_err();
        assert!(matches!(error, backup::Error::NotOne { .. }), "{error}");
        assert!(matches!(backup::restore(&file, &to, VERSION), Err(backup::Error::NotOne { .. })));
    }
    fs::remove_dir_all(&to).unwrap();
    fs::write(&file, "something else").unwrap();
    backup::restore(&file, &to, VERSION).unwrap_err();
    assert!(!to.exists());
}

#[test]
fn a_damaged_store_makes_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    store_with_archive(&root);
    let first = fs::read_dir(root.join("journal")).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let mut content = fs::read(&first).unwrap();
    let at = content.len() / 2;
    content[at] ^= 4;
    fs::write(&first, content).unwrap();
    let file = dir.path().join("backup");
    let error = backup::write(&source(&root), &file, false).unwrap_err();
    assert!(matches!(error, backup::Error::Journal(journal::Error::Damaged { .. })), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_whole_rebuild_works_from_the_archive_alone_where_no_checkpoint_is_of_use() {
    let dir = tempfile::tempdir().unwrap();
    let (caller, _) = store_with_archive(dir.path());
    fs::remove_dir_all(dir.path().join("checkpoints")).unwrap();
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let (mut store, start) = open(dir.path());
    assert_eq!((start.source, start.applied_seq), (Source::Empty, 0));
    assert_eq!(Caller::begin(&mut store, start).rows, caller.rows);
}

#[test]
fn without_checkpoint_and_archive_a_start_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    store_with_archive(dir.path());
    for gone in ["checkpoints", "state", "archive"] {
        fs::remove_dir_all(dir.path().join(gone)).unwrap();
    }
    assert!(matches!(open_as(dir.path(), BOOT, options()), Err(Error::NoBase { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_backup_in_which_any_byte_has_changed_is_refused_or_restores_the_same(at in any::<prop::sample::Index>(), by in 1_u8..) {
        thread_local! {
            static MADE: (Vec<u8>, Head) = {
                let dir = tempfile::tempdir().unwrap();
                let root = dir.path().join("store");
                let (_, head) = store_with_archive(&root);
                let file = dir.path().join("backup");
                backup::write(&source(&root), &file, true).unwrap();
                (fs::read(&file).unwrap(), head)
            };
        }
        let (mut content, head) = MADE.with(Clone::clone);
        let offset = at.index(content.len());
        content[offset] ^= by;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("backup");
        fs::write(&file, content).unwrap();
        match backup::check(&file, VERSION) {
            Ok(manifest) => prop_assert_eq!((manifest.seq, manifest.head), (head.seq, head.hash.to_string())),
            Err(error) => prop_assert!(error.to_string().contains(&*file.to_string_lossy()), "{}", error),
        }
    }
}
