//! The whole store, used as its caller uses it.

mod backup;
mod children;
mod swap;

use std::collections::BTreeMap;

use super::disk::sim::SimDisk;
use super::state::tests::copy_dir;
use super::*;

const BOOT: Option<&str> = Some("boot-1");

/// A caller: rows in memory, changed by records of the form `key=value` or `key=` (remove).
#[derive(Debug, Default, Clone, PartialEq)]
struct Caller {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    seq: u64,
}

impl Caller {
    fn apply(&mut self, record: &Record) -> RowChange {
        assert_eq!(record.seq, self.seq + 1, "records are replayed in order, none twice");
        self.seq = record.seq;
        let cut = record.payload.iter().position(|byte| *byte == b'=').unwrap();
        let (key, value) = (record.payload[..cut].to_vec(), record.payload[cut + 1..].to_vec());
        if value.is_empty() {
            self.rows.remove(&key);
            return (key, None);
        }
        self.rows.insert(key.clone(), value.clone());
        (key, Some(value))
    }

    /// Takes the rows of a start, replays what is missing, and brings the state up to date.
    fn begin(store: &mut Store, start: Start) -> Caller {
        let mut caller = Caller { rows: start.rows.map(Result::unwrap).collect(), seq: start.applied_seq };
        let mut changes = Vec::new();
        for record in store.read_from(caller.seq + 1) {
            changes.push(caller.apply(&record.unwrap()));
        }
        match start.source {
            Source::State if changes.is_empty() => {}
            Source::State => store.apply_batch(&changes, caller.seq).unwrap(),
            Source::Checkpoint | Source::Empty => {
                store.load(caller.rows.clone().into_iter().map(Ok::<_, state::Error>), caller.seq).unwrap();
            }
        }
        caller
    }

    /// Writes a group as the engine does: append, sync, apply, batch.
    fn group(&mut self, store: &mut Store, payloads: &[String]) {
        store.append(payloads).unwrap();
        store.sync().unwrap();
        let records: Vec<Record> = store.read_from(self.seq + 1).map(Result::unwrap).collect();
        let changes: Vec<RowChange> = records.iter().map(|record| self.apply(record)).collect();
        store.apply_batch(&changes, self.seq).unwrap();
    }

    fn groups(&mut self, store: &mut Store, count: usize) {
        for _ in 0..count {
            let n = self.seq;
            let gone = format!("s{}=", n / 2);
            self.group(store, &[format!("s{n}=on hand {n}"), format!("l{}=shown {n}", n % 7), gone]);
        }
    }
}

fn options() -> Options {
    let journal = journal::Options { segment_bytes: 2000, ..journal::Options::default() };
    let state = state::Options { cache_bytes: 1 << 20, ..state::Options::default() };
    Options { journal, state, ..Options::default() }
}

fn open_as(root: &Path, boot_id: Option<&str>, options: Options) -> Result<(Store, Start), Error> {
    make_dir(&RealDisk, root)?;
    let lock = Lock::acquire(root)?;
    let opener = Opener::new(Arc::new(RealDisk), root, boot_id, options.state);
    Store::start(Arc::new(RealDisk), root, options, Some(opener), Some(lock))
}

fn open(root: &Path) -> (Store, Start) {
    open_as(root, BOOT, options()).unwrap()
}

/// Opens the store, expects rows from this source, and gives back the store and its caller.
#[track_caller]
fn begin(root: &Path, source: Source) -> (Store, Caller) {
    let (mut store, start) = open(root);
    assert_eq!(start.source, source, "{:?}", start.notes);
    let caller = Caller::begin(&mut store, start);
    (store, caller)
}

/// A store with some history, closed cleanly, and what its caller knew.
fn closed_store(root: &Path) -> Caller {
    let (mut store, mut caller) = begin(root, Source::Empty);
    caller.groups(&mut store, 40);
    store.close_clean().unwrap();
    caller
}

#[test]
fn a_clean_stop_and_start_replays_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let before = closed_store(dir.path());
    let (store, start) = open(dir.path());
    assert_eq!((start.source, start.applied_seq), (Source::State, store.head().seq));
    assert_eq!(start.notes, []);
    assert_eq!(start.rows.map(Result::unwrap).collect::<BTreeMap<_, _>>(), before.rows);
    assert!(store.has_state());
}

#[test]
fn a_store_can_move_to_the_thread_of_its_writer() {
    fn check<T: Send>() {}
    check::<Store>();
    check::<Start>();
    check::<Records>();
    check::<Checkpoints>();
}

#[test]
fn only_one_process_may_open_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let second = Store::open(dir.path(), options()).unwrap_err();
    assert!(matches!(second, Error::Lock(lock::Error::Held { .. })));
    drop(store);
    Store::open(dir.path(), options()).unwrap();
}

#[test]
fn the_boot_id_of_this_machine_vouches_for_a_store_that_was_not_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, start) = Store::open(dir.path(), options()).unwrap();
    Caller::begin(&mut store, start).groups(&mut store, 5);
    drop(store);
    assert_eq!(Store::open(dir.path(), options()).unwrap().1.source, Source::State);
}

#[test]
fn what_the_state_lacks_after_a_kill_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let [live, killed] = ["live", "killed"].map(|name| dir.path().join(name));
    let (mut store, mut caller) = begin(&live, Source::Empty);
    caller.groups(&mut store, 20);
    store.checkpoint(&caller.rows).unwrap();
    caller.groups(&mut store, 20);
    copy_dir(&live, &killed);
    let (store, start) = open(&killed);
    assert_eq!(start.source, Source::State);
    // The last groups still lay in sled's memory.
    assert!((60..120).contains(&start.applied_seq), "{}", start.applied_seq);
    drop(store);
    assert_eq!(begin(&killed, Source::State).1, caller);
    assert_eq!(begin(&killed, Source::State).1, caller);
}

#[test]
fn a_lost_state_is_built_again_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let before = closed_store(dir.path());
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let (store, caller) = begin(dir.path(), Source::Empty);
    assert_eq!(caller, before);
    assert!(store.has_state());
    drop(store);
    assert_eq!(begin(dir.path(), Source::State).1, before);
}

#[test]
fn after_a_power_cut_checkpoint_and_journal_are_what_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut caller) = begin(dir.path(), Source::Empty);
    caller.groups(&mut store, 20);
    let info = store.checkpoint(&caller.rows).unwrap();
    assert_eq!(info, checkpoint::Info { head: store.head(), rows: caller.rows.len() as u64 });
    caller.groups(&mut store, 20);
    drop(store);
    let (mut store, start) = open_as(dir.path(), Some("boot-2"), options()).unwrap();
    assert_eq!((start.source, start.applied_seq), (Source::Checkpoint, info.head.seq));
    let aside = Some(dir.path().join("state.aside-1"));
    assert_eq!(start.notes, [Note::StateUnused { reason: Reason::PowerCut, aside }]);
    assert!(!store.has_state());
    assert!(matches!(store.apply_batch(&[], 60), Err(state::Error::Missing)));
    assert_eq!(Caller::begin(&mut store, start), caller);
    assert!(store.has_state());
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_older_one_used() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut caller) = begin(dir.path(), Source::Empty);
    for _ in 0..2 {
        caller.groups(&mut store, 10);
        store.checkpoint(&caller.rows).unwrap();
    }
    store.close_clean().unwrap();
    let newest = dir.path().join("checkpoints/checkpoint-00000000000000000060");
    let mut content = std::fs::read(&newest).unwrap();
    content[100] ^= 1;
    std::fs::write(&newest, content).unwrap();
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let (mut store, start) = open(dir.path());
    assert_eq!((start.source, start.applied_seq), (Source::Checkpoint, 30));
    assert!(start.notes.iter().any(|note| note.to_string().contains(&newest.display().to_string())));
    assert_eq!(Caller::begin(&mut store, start), caller);
}

#[test]
fn a_rebuild_that_is_asked_for_gives_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let before = closed_store(dir.path());
    let forced = Options { force_rebuild: true, ..options() };
    let (mut store, start) = open_as(dir.path(), BOOT, forced).unwrap();
    assert!(matches!(&start.notes[..], [Note::StateUnused { reason: Reason::Forced, aside: Some(_) }]));
    assert_eq!(Caller::begin(&mut store, start), before);
}

/// Cuts the journal back by whole groups, as restoring an old copy of it would.
fn lose_last_segment(root: &Path) {
    let segments = root.join("journal");
    let newest = RealDisk.list(&segments).unwrap().pop().unwrap();
    std::fs::remove_file(segments.join(newest)).unwrap();
}

#[test]
fn a_journal_that_lost_records_is_noticed_by_state_and_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut caller) = begin(dir.path(), Source::Empty);
    caller.groups(&mut store, 40);
    store.checkpoint(&caller.rows).unwrap();
    store.close_clean().unwrap();
    lose_last_segment(dir.path());
    let error = open_as(dir.path(), BOOT, options()).unwrap_err();
    assert!(matches!(error, Error::Ahead { what: "the state", seq: 120, last } if last < 120), "{error}");
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let error = open_as(dir.path(), BOOT, options()).unwrap_err();
    assert!(matches!(error, Error::Ahead { what: "the newest checkpoint", seq: 120, .. }), "{error}");

    let forced = Options { force_rebuild: true, ..options() };
    let error = open_as(dir.path(), BOOT, forced.clone()).unwrap_err();
    assert!(matches!(error, Error::Ahead { what: "the newest checkpoint", seq: 120, .. }), "{error}");
    let given_up = Options { give_up: true, ..forced };
    let (mut store, start) = open_as(dir.path(), BOOT, given_up).unwrap();
    let first = store.head().seq + 1;
    assert!(start.notes.contains(&Note::GivenUp { first, last: 120 }), "{:?}", start.notes);
    assert_eq!(start.source, Source::Empty);
    let rebuilt = Caller::begin(&mut store, start);
    assert_eq!(rebuilt.seq, store.head().seq);
    drop(store);
    assert_eq!(begin(dir.path(), Source::State).1, rebuilt);
    records_that_were_given_up_are_given_up_for_good(dir.path(), rebuilt);
}

#[test]
fn what_a_state_has_that_the_journal_lost_is_given_up_only_when_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut caller) = begin(dir.path(), Source::Empty);
    caller.groups(&mut store, 40);
    store.close_clean().unwrap();
    lose_last_segment(dir.path());
    let forced = Options { force_rebuild: true, ..options() };
    let error = open_as(dir.path(), BOOT, forced.clone()).unwrap_err();
    assert!(matches!(error, Error::Ahead { what: "the state", seq: 120, .. }), "{error}");
    let given_up = Options { give_up: true, ..forced };
    let error = open_as(dir.path(), BOOT, Options { force_rebuild: false, ..given_up.clone() }).unwrap_err();
    assert!(matches!(error, Error::Ahead { what: "the state", .. }), "a start gives nothing up: {error}");
    let (store, start) = open_as(dir.path(), BOOT, given_up.clone()).unwrap();
    let first = store.head().seq + 1;
    assert_eq!(start.notes.last(), Some(&Note::GivenUp { first, last: 120 }));
    drop(store);

    let bare = tempfile::tempdir().unwrap();
    let (mut store, mut caller) = begin(bare.path(), Source::Empty);
    caller.groups(&mut store, 2);
    store.checkpoint(&caller.rows).unwrap();
    store.close_clean().unwrap();
    std::fs::remove_dir_all(bare.path().join("journal")).unwrap();
    std::fs::remove_dir_all(bare.path().join("state")).unwrap();
    let error = open_as(bare.path(), BOOT, given_up).unwrap_err();
    assert!(matches!(error, Error::NoJournal { seq: 6, .. }), "{error}");
}

/// A checkpoint of records that are gone neither stops a later start nor pushes newer checkpoints out.
fn records_that_were_given_up_are_given_up_for_good(root: &Path, mut caller: Caller) {
    let (mut store, _) = begin(root, Source::State);
    caller.groups(&mut store, 1);
    store.checkpoint(&caller.rows).unwrap();
    drop(store);
    std::fs::remove_dir_all(root.join("state")).unwrap();
    let (mut store, start) = open(root);
    assert_eq!((start.source, start.applied_seq), (Source::Checkpoint, caller.seq));
    assert_eq!(Caller::begin(&mut store, start), caller);
}

#[test]
fn state_and_checkpoints_of_another_journal_are_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| dir.path().join(name));
    let (mut store, mut caller) = begin(&theirs, Source::Empty);
    caller.group(&mut store, &["s1=theirs".to_owned()]);
    store.checkpoint(&caller.rows).unwrap();
    store.close_clean().unwrap();
    let (mut store, mut caller) = begin(&ours, Source::Empty);
    caller.group(&mut store, &["s1=ours".to_owned()]);
    caller.group(&mut store, &["s2=ours".to_owned()]);
    store.close_clean().unwrap();
    std::fs::remove_dir_all(ours.join("state")).unwrap();
    copy_dir(&theirs.join("state"), &ours.join("state"));
    copy_dir(&theirs.join("checkpoints"), &ours.join("checkpoints"));
    let (mut store, start) = open(&ours);
    assert_eq!(start.source, Source::Empty);
    let skipped =
        Skipped { file: ours.join("checkpoints/checkpoint-00000000000000000001"), flaw: Flaw::OtherJournal };
    let aside = Some(ours.join("state.aside-1"));
    let unused = Note::StateUnused { reason: Reason::OtherJournal, aside };
    assert_eq!(start.notes, [unused, Note::CheckpointUnused(skipped)]);
    assert_eq!(Caller::begin(&mut store, start), caller);
}

#[test]
fn an_archived_journal_needs_a_checkpoint_that_it_continues() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut caller) = begin(dir.path(), Source::Empty);
    caller.groups(&mut store, 5);
    store.checkpoint(&caller.rows).unwrap();
    caller.groups(&mut store, 35);
    let segments = dir.path().join("journal");
    let first = RealDisk.list(&segments).unwrap().remove(0);
    store.close_clean().unwrap();
    std::fs::remove_file(segments.join(first)).unwrap();
    // The state is up to date and needs none of what is gone.
    let (store, _) = begin(dir.path(), Source::State);
    assert!(store.first_seq() > 16);
    drop(store);
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let error = open_as(dir.path(), BOOT, options()).unwrap_err();
    assert!(matches!(error, Error::NoBase { first_seq, .. } if first_seq > 16), "{error}");
}

#[test]
fn a_state_that_lags_behind_an_archived_journal_is_of_no_use() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut caller) = begin(dir.path(), Source::Empty);
    caller.group(&mut store, &["s1=x".to_owned()]);
    store.append(&["s2=x"]).unwrap();
    store.sync().unwrap();
    store.apply_batch(&[], 1).unwrap();
    for n in 0..20 {
        store.append(&[format!("s{n}={}", "x".repeat(300))]).unwrap();
    }
    store.close_clean().unwrap();
    let segments = dir.path().join("journal");
    let first = RealDisk.list(&segments).unwrap().remove(0);
    std::fs::remove_file(segments.join(first)).unwrap();
    let error = open_as(dir.path(), BOOT, options()).unwrap_err();
    assert!(matches!(error, Error::NoBase { first_seq, .. } if first_seq > 2), "{error}");
    assert!(dir.path().join("state.aside-1").exists());
}

#[test]
fn rows_never_run_ahead_of_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = begin(dir.path(), Source::Empty);
    store.append(&["s1=x"]).unwrap();
    let early = store.apply_batch(&[(b"s1".to_vec(), Some(b"x".to_vec()))], 1);
    assert!(matches!(early, Err(state::Error::NotDurable { seq: 1, last: 0 })));
    store.sync().unwrap();
    store.apply_batch(&[(b"s1".to_vec(), Some(b"x".to_vec()))], 1).unwrap();
    assert_eq!(store.get(b"s1").unwrap(), Some(b"x".to_vec()));
    assert_eq!(store.scan_prefix(b"s").unwrap().map(Result::unwrap).count(), 1);
}

#[test]
fn a_journal_is_verified_offline() {
    let dir = tempfile::tempdir().unwrap();
    let before = closed_store(dir.path());
    let mut replayed = Caller::default();
    let report = verify_journal(dir.path(), None, &mut |record| drop(replayed.apply(&record))).unwrap();
    assert_eq!((replayed, report.records, report.tail), (before, 120, None));
    let segment = dir.path().join("journal/00000000000000000001.journal");
    let mut content = std::fs::read(&segment).unwrap();
    content[300] ^= 4;
    std::fs::write(&segment, content).unwrap();
    let error = verify_journal(dir.path(), None, &mut |_| {}).unwrap_err();
    assert!(matches!(error, journal::Error::Damaged { file, .. } if file == segment));
}

/// The simulation's way: no sled and no lock, every start from checkpoint and journal, on a disk that forgets.
#[test]
fn without_a_state_every_start_is_from_checkpoint_and_journal() {
    let disk = SimDisk::new();
    let root = Path::new("/store");
    let open = || Store::open_without_state(Arc::new(disk.clone()), root, options()).unwrap();
    let (mut store, start) = open();
    let mut caller = Caller::begin(&mut store, start);
    caller.groups(&mut store, 20);
    store.checkpoint(&caller.rows).unwrap();
    caller.groups(&mut store, 20);
    store.append(&["s1=never acknowledged"]).unwrap();
    disk.power_cut_losing_all();
    let (mut store, start) = open();
    assert_eq!((start.source, start.applied_seq), (Source::Checkpoint, 60));
    assert_eq!(Caller::begin(&mut store, start), caller);
    assert!(!store.has_state());
}
