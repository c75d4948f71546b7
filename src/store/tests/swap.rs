//! A fresh state takes the place of the one in use, and whatever cuts that short leaves one of the two.

use super::*;
use crate::store::state::Reason;

const PARTS: [&str; 3] = ["state", "state.new", "state.old"];

/// Which of the places are taken.
fn places(root: &Path) -> Vec<&'static str> {
    PARTS.into_iter().filter(|part| root.join(part).exists()).collect()
}

/// A store with a checkpoint, and a fresh state built out of it.
fn built(root: &Path) -> (Store, Caller, Fresh) {
    let (mut store, mut caller) = begin(root, Source::Empty);
    caller.groups(&mut store, 20);
    store.checkpoint(&caller.rows).unwrap();
    let fresh = store.swapper().unwrap().build(store.head()).unwrap();
    (store, caller, fresh)
}

/// Writes a group to the live state, and what it changed to the fresh one.
fn both(store: &mut Store, caller: &mut Caller, fresh: &mut Fresh) {
    let before = caller.rows.clone();
    caller.groups(store, 5);
    let gone = before.keys().filter(|key| !caller.rows.contains_key(*key)).map(|key| (key.clone(), None));
    let now = caller.rows.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let changes: Vec<RowChange> =
        gone.chain(now.map(|(key, value)| (key.clone(), Some(value.clone())))).collect();
    fresh.put(&changes).unwrap();
}

/// Rows as a new start finds them in the state.
#[track_caller]
fn starts_with(root: &Path, boot_id: Option<&str>, caller: &Caller) {
    let (mut store, start) = open_as(root, boot_id, options()).unwrap();
    assert_eq!((start.source, &start.notes[..]), (Source::State, &[][..]));
    let again = Caller::begin(&mut store, start);
    assert_eq!((&again.rows, again.seq), (&caller.rows, caller.seq));
    assert_eq!(places(root), ["state"]);
}

#[test]
fn a_fresh_state_has_all_rows_and_goes_on_as_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut caller, mut fresh) = built(dir.path());
    both(&mut store, &mut caller, &mut fresh);
    fresh.finish(store.head()).unwrap();
    let caught_up = caller.seq;
    let leaving = store.let_go().unwrap();
    assert!(matches!(store.apply_batch(&[], caller.seq), Err(state::Error::Missing)), "not now");
    let swapped = leaving.replace();
    assert!(matches!(store.swapped(swapped), Ok((seq, None)) if seq == caught_up));
    assert_eq!(places(dir.path()), ["state"]);
    assert!(footprint(dir.path()).built.is_some_and(|(_, bytes)| bytes > 0));
    let rows: BTreeMap<_, _> = store.scan_prefix(&[]).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, caller.rows);
    caller.groups(&mut store, 3);
    store.close_clean().unwrap();
    starts_with(dir.path(), Some("boot-2"), &caller);
}

#[test]
fn a_swap_that_is_cut_short_leaves_the_state_in_use_or_a_fresh_one_that_is_whole() {
    // Whether the fresh one is whole, what of the renames was done -> what is there after a power cut.
    for (whole, moved, placed, trusted) in [
        (false, false, false, None),
        (true, false, false, None),
        (true, true, false, Some("boot-2")),
        (true, true, true, Some("boot-2")),
        (false, true, false, None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (mut store, mut caller, mut fresh) = built(root);
        both(&mut store, &mut caller, &mut fresh);
        if whole {
            fresh.finish(store.head()).unwrap();
        }
        drop((fresh, store));
        if moved {
            std::fs::rename(root.join("state"), root.join("state.old")).unwrap();
        }
        if placed {
            std::fs::rename(root.join("state.new"), root.join("state")).unwrap();
        }
        let copy = tempfile::tempdir().unwrap();
        copy_dir(root, copy.path());
        starts_with(copy.path(), BOOT, &caller);
        let (_, start) = open_as(root, Some("boot-2"), options()).unwrap();
        let source = if trusted.is_some() { Source::State } else { Source::Checkpoint };
        assert_eq!(start.source, source, "{whole} {moved} {placed}: {:?}", start.notes);
        if trusted.is_none() {
            assert!(matches!(&start.notes[..], [Note::StateUnused { reason: Reason::PowerCut, .. }]));
        }
    }
}

#[test]
fn a_fresh_state_that_cannot_be_built_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, start) =
        open_as(dir.path(), BOOT, Options { builder: Some("/bin/false".into()), ..options() }).unwrap();
    let mut caller = Caller::begin(&mut store, start);
    caller.groups(&mut store, 4);
    let swapper = store.swapper().unwrap();
    store.checkpoint(&caller.rows).unwrap();
    let failed = swapper.build(store.head()).unwrap_err();
    assert!(format!("{:#}", anyhow::Error::from(failed)).contains("exit status: 1"));
    let none = super::super::build_fresh(dir.path(), 3, state::Options::default()).unwrap_err();
    assert!(none.to_string().contains("no whole checkpoint of record 3"), "{none}");
    assert_eq!(places(dir.path()), ["state"]);
    caller.groups(&mut store, 4);
    store.close_clean().unwrap();
    starts_with(dir.path(), BOOT, &caller);
}

#[test]
fn a_building_process_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("build");
    std::fs::write(&script, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let root = dir.path().join("store");
    let (mut store, start) = open_as(&root, BOOT, Options { builder: Some(script), ..options() }).unwrap();
    let caller = Caller::begin(&mut store, start);
    store.checkpoint(&caller.rows).unwrap();
    let (swapper, head) = (store.swapper().unwrap(), store.head());
    let building = std::thread::spawn({
        let swapper = swapper.clone();
        move || swapper.build(head).unwrap_err()
    });
    swapper.stop();
    let failed = building.join().unwrap();
    assert!(format!("{:#}", anyhow::Error::from(failed)).contains("it was stopped"));
}
