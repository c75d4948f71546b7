//! The state on a real disk: trust, damage, and the order of what is made durable.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use super::*;
use crate::store::disk::{File, Open, RealDisk};

const BOOT: Option<&str> = Some("boot-1");

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn opener(root: &Path, boot_id: Option<&str>) -> Opener {
    let options = Options { cache_bytes: 1 << 20, rows_version: 3, ..Options::default() };
    Opener::new(Arc::new(RealDisk), root, boot_id, options)
}

fn at(seq: u64) -> Position {
    Position { seq, hash: Some(ChainHash::from_bytes([9; 32])) }
}

fn rows(count: usize) -> Rows {
    (0..count).map(|n| (format!("s{n:06}").into_bytes(), vec![(n % 251) as u8; 1 + n % 90])).collect()
}

fn load(root: &Path, rows: &Rows, seq: u64) -> State {
    opener(root, BOOT).load(rows.clone().into_iter().map(Ok::<_, Error>), at(seq)).unwrap()
}

#[track_caller]
fn check_trusted(opened: Opened, want: &Rows, seq: u64) -> State {
    match opened {
        Opened::Trusted { state, at, rows } => {
            assert_eq!((at.seq, &rows.collect::<Rows>()), (seq, want));
            state
        }
        Opened::Rebuild { reason, .. } => panic!("not trusted: {reason}"),
    }
}

/// Expects the state to be set aside for this reason, and nothing to be left in its place.
#[track_caller]
fn check_rejected(root: &Path, opened: Opened, want: impl Fn(&Reason) -> bool) {
    let Opened::Rebuild { reason, aside } = opened else { panic!("it was trusted") };
    assert!(want(&reason), "{reason:?}");
    assert!(!root.join("state").exists());
    assert!(aside.unwrap().join("sled/db").exists());
    assert!(matches!(
        opener(root, BOOT).open(false).unwrap(),
        Opened::Rebuild { reason: Reason::Missing, aside: None }
    ));
}

/// Copies a directory as it is at this moment: what a process that is killed now leaves behind.
pub(in crate::store) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn batches_are_there_after_a_clean_stop_whatever_the_boot() {
    let dir = tempfile::tempdir().unwrap();
    let mut want = rows(2500);
    let mut state = load(dir.path(), &want, 10);
    for n in 0..300u64 {
        let (gone, set) = (format!("s{n:06}"), format!("s{:06}", n + 200));
        let changes = [(gone.clone().into_bytes(), None), (set.clone().into_bytes(), Some(vec![7; 30]))];
        state.apply(&changes, at(11 + n)).unwrap();
        want.remove(gone.as_bytes());
        want.insert(set.into_bytes(), vec![7; 30]);
    }
    assert_eq!(state.get(b"s000400").unwrap(), Some(vec![7; 30]));
    assert_eq!(state.get(b"s000001").unwrap(), None);
    let scanned: Rows = state.scan_prefix(b"s0003").unwrap().map(Result::unwrap).collect();
    let all: Rows = state.scan_prefix(b"").unwrap().map(Result::unwrap).collect();
    assert_eq!(scanned, want.range(b"s0003".to_vec()..b"s0004".to_vec()).map(owned).collect());
    assert_eq!(all, want, "the store's own row is not among them");
    state.close_clean().unwrap();
    let opened = opener(dir.path(), Some("another boot")).open(false).unwrap();
    drop(check_trusted(opened, &want, 310));
    // It is open under that boot by now, so its mark no longer speaks for a third one.
    let opened = opener(dir.path(), Some("a third boot")).open(false).unwrap();
    check_rejected(dir.path(), opened, |reason| *reason == Reason::PowerCut);
}

#[test]
fn many_changes_go_in_parts_and_are_trusted_when_the_last_is_in() {
    let dir = tempfile::tempdir().unwrap();
    for count in [LOAD_ROWS - 1, LOAD_ROWS, LOAD_ROWS + 1, 2 * LOAD_ROWS, 2 * LOAD_ROWS + 7] {
        let root = dir.path().join(count.to_string());
        let mut state = load(&root, &rows(10), 10);
        let want = rows(count);
        let changes: Vec<RowChange> =
            want.clone().into_iter().map(|(key, value)| (key, Some(value))).collect();
        state.apply(&changes, at(11)).unwrap();
        drop(state);
        drop(check_trusted(opener(&root, BOOT).open(false).unwrap(), &want, 11));
    }
}

#[test]
fn where_the_last_part_is_missing_nothing_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let state = load(dir.path(), &rows(10), 10);
    state.tree.apply(std::iter::once((POSITION_KEY.to_vec(), None))).unwrap();
    drop(state);
    let opened = opener(dir.path(), BOOT).open(false).unwrap();
    check_rejected(dir.path(), opened, |reason| matches!(reason, Reason::Damaged(_)));
}

fn owned((key, value): (&Vec<u8>, &Vec<u8>)) -> Row {
    (key.clone(), value.clone())
}

/// The table of trust, with a state that is whole in every case.
#[test]
fn what_the_mark_says_decides() {
    let mark = |run: &str| format!("evenkeel-state 2 rows 3 {run}\n");
    let cases = [
        (Some(mark("clean")), None),
        (Some(mark("open boot-1")), None),
        (Some(mark("open boot-0")), Some(Reason::PowerCut)),
        (Some(mark("open unknown")), Some(Reason::PowerCut)),
        (Some(mark("broken")), Some(Reason::Broken)),
        (Some("evenkeel-state 2 rows 2 clean\n".into()), Some(Reason::OtherVersion)),
        (Some("clean".into()), Some(Reason::NoMark)),
        (Some("x".repeat(1000)), Some(Reason::NoMark)),
        (None, Some(Reason::NoMark)),
    ];
    for (mark, want) in cases {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path(), &rows(20), 5).close_clean().unwrap();
        match &mark {
            Some(text) => fs::write(dir.path().join("state/mark"), text).unwrap(),
            None => fs::remove_file(dir.path().join("state/mark")).unwrap(),
        }
        let opened = opener(dir.path(), BOOT).open(false).unwrap();
        match want {
            None => drop(check_trusted(opened, &rows(20), 5)),
            Some(want) => check_rejected(dir.path(), opened, |reason| *reason == want),
        }
    }
}

#[test]
fn a_rebuild_can_be_forced() {
    let dir = tempfile::tempdir().unwrap();
    load(dir.path(), &rows(20), 5).close_clean().unwrap();
    let opened = opener(dir.path(), BOOT).open(true).unwrap();
    check_rejected(dir.path(), opened, |reason| *reason == Reason::Forced);
}

#[test]
fn after_a_kill_the_state_is_what_the_kernel_has_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let [live, killed] = ["live", "killed"].map(|name| dir.path().join(name));
    let mut state = load(&live, &rows(100), 5);
    state.apply(&[(b"extra".to_vec(), Some(vec![1]))], at(6)).unwrap();
    state.flush().unwrap();
    copy_dir(&live, &killed);
    let want = rows(100).into_iter().chain([(b"extra".to_vec(), vec![1])]).collect();
    check_trusted(opener(&killed, BOOT).open(false).unwrap(), &want, 6);
}

#[test]
fn a_snapshot_that_a_kill_left_half_written_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    drop(load(dir.path(), &rows(50), 5));
    let torn = dir.path().join("state/sled/snap.7FFFFFFFFFFFFFFF.generating");
    fs::write(&torn, b"half a snapsh").unwrap();
    check_trusted(opener(dir.path(), BOOT).open(false).unwrap(), &rows(50), 5);
    assert!(!torn.exists());
}

#[test]
fn a_half_built_state_is_never_taken_for_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let building = dir.path().join("state.new");
    let endless = (0u64..).map(|n| {
        assert!(n < 5000, "the power goes here");
        (format!("s{n}").into_bytes(), vec![0; 40])
    });
    let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        opener(dir.path(), BOOT).load(endless.map(Ok::<_, Error>), at(5)).map(drop)
    }));
    assert!(cut.is_err());
    assert!(building.join("mark").exists());
    // Even in place it would lack its last batch.
    copy_dir(&building, &dir.path().join("state"));
    let opened = opener(dir.path(), BOOT).open(false).unwrap();
    assert!(!building.exists());
    let lacks_position = |reason: &Reason| matches!(reason, Reason::Damaged(what) if what.contains("record"));
    check_rejected(dir.path(), opened, lacks_position);
}

/// What sled makes of a damaged file of its own: rows that are missing, and rows as they once were. Each is whole.
#[test]
fn rows_that_are_missing_or_older_than_the_last_are_noticed() {
    let older = value::wrap(b"s000001", b"as it once was");
    for lost in [None, Some(older)] {
        let dir = tempfile::tempdir().unwrap();
        let mut state = load(dir.path(), &rows(50), 5);
        state.apply(&[(b"s000001".to_vec(), Some(vec![7; 30]))], at(6)).unwrap();
        state.tree.apply(std::iter::once((b"s000001".to_vec(), lost))).unwrap();
        drop(state);
        let opened = opener(dir.path(), BOOT).open(false).unwrap();
        let tells =
            |reason: &Reason| matches!(reason, Reason::Damaged(what) if what.contains("not all the ones"));
        check_rejected(dir.path(), opened, tells);
    }
}

#[test]
fn a_row_that_is_changed_twice_in_a_batch_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = load(dir.path(), &rows(5), 5);
    let change = |value: u8| (b"twice".to_vec(), Some(vec![value]));
    state.apply(&[change(1), change(2), (b"gone".to_vec(), None)], at(6)).unwrap();
    drop(state);
    let want = rows(5).into_iter().chain([(b"twice".to_vec(), vec![2])]).collect();
    check_trusted(opener(dir.path(), BOOT).open(false).unwrap(), &want, 6);
}

/// One flipped bit in sled's log, many places: either every row is as it was written, or a rebuild.
#[test]
fn damage_in_the_files_of_sled_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    load(&whole, &rows(600), 5).close_clean().unwrap();
    let size = fs::metadata(whole.join("state/sled/db")).unwrap().len();
    let used = fs::read(whole.join("state/sled/db")).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    assert!(size > used as u64);
    let mut rejected = 0;
    for trial in 0..40 {
        let root = dir.path().join(format!("trial-{trial}"));
        copy_dir(&whole, &root);
        let db = root.join("state/sled/db");
        let mut content = fs::read(&db).unwrap();
        content[used * trial / 40] ^= 1 << (trial % 8);
        fs::write(&db, content).unwrap();
        match opener(&root, BOOT).open(false).unwrap() {
            trusted @ Opened::Trusted { .. } => drop(check_trusted(trusted, &rows(600), 5)),
            rebuild @ Opened::Rebuild { .. } => {
                check_rejected(&root, rebuild, |_| true);
                rejected += 1;
            }
        }
    }
    assert!(rejected > 5, "the test must hit something: {rejected}");
}

#[test]
fn a_value_that_is_not_what_was_written_is_noticed_at_start_and_on_reading() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = load(dir.path(), &rows(50), 5);
    // A whole value, but of another key: sled has no reason to complain.
    let foreign = value::wrap(b"s000002", b"stock of another");
    state.tree.apply([(b"s000001".to_vec(), Some(foreign))].into_iter()).unwrap();
    assert_eq!(state.get(b"s000002").unwrap(), Some(rows(50)[b"s000002".as_slice()].clone()));
    state.tree.flush().unwrap();
    let killed = dir.path().join("killed");
    copy_dir(&dir.path().join("state"), &killed.join("state"));
    let opened = opener(&killed, BOOT).open(false).unwrap();
    check_rejected(
        &killed,
        opened,
        |reason| matches!(reason, Reason::Damaged(what) if what.contains("s000001")),
    );

    let scanned: Vec<_> = state.scan_prefix(b"s").unwrap().collect();
    assert_eq!(scanned.len(), 2, "nothing comes after an error");
    assert!(matches!(scanned[1], Err(Error::Dead(_))));
    assert!(matches!(state.get(b"s000003"), Err(Error::Dead(_))), "a state that failed once is dead");
    assert!(matches!(state.apply(&[], at(6)), Err(Error::Dead(_))));
    assert!(matches!(state.flush(), Err(Error::Dead(_))));
    assert!(matches!(state.close_clean(), Err(Error::Dead(_))));
    let opened = opener(dir.path(), BOOT).open(false).unwrap();
    check_rejected(dir.path(), opened, |reason| *reason == Reason::Broken);
}

#[test]
fn an_open_that_hangs_sets_the_state_aside_and_asks_for_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    load(dir.path(), &rows(50), 5).close_clean().unwrap();
    let mut opener = opener(dir.path(), BOOT);
    opener.options.open_limit = Duration::ZERO;
    let Err(Error::Hung { aside, .. }) = opener.open(false) else { panic!("it must not wait") };
    assert!(aside.join("mark").exists());
    // The thread that was left behind may still create files, but no mark: nothing will trust them.
    assert!(!dir.path().join("state/mark").exists());
}

#[test]
fn the_newest_two_states_set_aside_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        drop(load(dir.path(), &rows(5), 5));
        let opened = opener(dir.path(), BOOT).open(true).unwrap();
        check_rejected(dir.path(), opened, |_| true);
    }
    let mut names = RealDisk.list(dir.path()).unwrap();
    names.retain(|name| name.starts_with("state"));
    assert_eq!(names, ["state.aside-3", "state.aside-4"]);
}

#[test]
fn a_row_that_does_not_fit_ends_the_state_where_it_is() {
    let cases = [
        (b"k".to_vec(), vec![0; VALUE_MAX + 1]),
        (vec![b'k'; KEY_MAX + 1], vec![]),
        (vec![], vec![1]),
        (vec![0, 1], vec![1]),
    ];
    for (key, value) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut state = load(dir.path(), &rows(5), 5);
        let reserved = key.first().is_none_or(|first| *first == 0);
        let error = state.apply(&[(b"good".to_vec(), Some(vec![1])), (key, Some(value))], at(6)).unwrap_err();
        assert_eq!(matches!(error, Error::ReservedKey), reserved, "{error}");
        assert_eq!(matches!(error, Error::TooLarge { .. }), !reserved, "{error}");
        // A later batch would carry the position past what is missing.
        assert!(matches!(state.apply(&[], at(7)), Err(Error::Dead(_))));
        drop(state);
        check_trusted(opener(dir.path(), BOOT).open(false).unwrap(), &rows(5), 5);
    }
}

#[test]
fn the_largest_row_fits() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = load(dir.path(), &rows(5), 5);
    state.apply(&[(vec![b'k'; KEY_MAX], Some(vec![7; VALUE_MAX]))], at(6)).unwrap();
    assert_eq!(state.get(&[b'k'; KEY_MAX]).unwrap(), Some(vec![7; VALUE_MAX]));
    let too_large = [(b"k".to_vec(), vec![0; VALUE_MAX + 1])].into_iter();
    assert!(matches!(
        opener(dir.path(), BOOT).load(too_large.map(Ok::<_, Error>), at(1)),
        Err(Error::TooLarge { .. })
    ));
}

/// A real disk that writes down what is made durable, and when.
#[derive(Debug, Default)]
struct Recorder {
    root: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn note(&self, what: &str, path: &Path) {
        let path = path.strip_prefix(&self.root).unwrap_or(Path::new("outside"));
        self.log.lock().unwrap().push(format!("{what} {}", path.display()).trim_end().to_owned());
    }
}

impl Disk for Recorder {
    fn create_dir_all(&self, dir: &Path) -> std::io::Result<()> {
        RealDisk.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> std::io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn exists(&self, path: &Path) -> std::io::Result<bool> {
        RealDisk.exists(path)
    }

    fn open(&self, path: &Path, how: Open) -> std::io::Result<Box<dyn File>> {
        self.note(if how == Open::Read { "read" } else { "sync" }, path);
        RealDisk.open(path, how)
    }

    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.note("rename to", to);
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> std::io::Result<()> {
        self.note("remove", path);
        RealDisk.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> std::io::Result<()> {
        self.note("remove", dir);
        RealDisk.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        self.note("sync", dir);
        RealDisk.sync_dir(dir)
    }
}

/// The clean mark vouches for files after a reboot: all of them are synced before it. And it is gone from the
/// disk before sled is touched again.
#[test]
fn the_clean_mark_is_the_last_to_come_and_the_first_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let recorder = Recorder { root: dir.path().to_path_buf(), log: Arc::clone(&log) };
    let options = Options { rows_version: 3, ..Options::default() };
    let opener = Opener::new(Arc::new(recorder), dir.path(), BOOT, options);
    let state = opener.load(rows(50).into_iter().map(Ok::<_, Error>), at(5)).unwrap();
    log.lock().unwrap().clear();
    state.close_clean().unwrap();
    let files = ["sync state/sled/blobs", "sync state/sled/conf", "sync state/sled/db"];
    let places = ["sync state/sled", "sync state", "sync", "sync state/mark.new"];
    let mark = ["rename to state/mark", "sync state"];
    let seen = std::mem::take(&mut *log.lock().unwrap());
    let snapshots: Vec<&String> = seen.iter().filter(|step| step.contains("/snap.")).collect();
    assert_eq!(snapshots.len(), RealDisk.list(&dir.path().join("state/sled")).unwrap().len() - 3);
    let rest: Vec<&str> = seen.iter().map(String::as_str).filter(|step| !step.contains("/snap.")).collect();
    assert_eq!(rest, [&files[..], &places[..], &mark[..]].concat());
    assert!(seen.iter().position(|step| step.contains("/snap.")) < Some(rest.len() - mark.len()));

    fs::write(dir.path().join("state/sled/snap.1.generating"), b"torn").unwrap();
    drop(opener.open(false).unwrap());
    let seen = std::mem::take(&mut *log.lock().unwrap());
    let want = [
        "read state/mark",
        "sync state/mark.new",
        "rename to state/mark",
        "sync state",
        "remove state/sled/snap.1.generating",
    ];
    assert_eq!(seen, want);
    assert!(fs::read_to_string(dir.path().join("state/mark")).unwrap().contains("open boot-1"));
}
