//! What needs a process that dies: the test binary runs itself as a child, with a task in its environment.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;

const TASK: &str = "EVENKEEL_TEST_STORE_TASK";
const ROOT: &str = "EVENKEEL_TEST_STORE_ROOT";

/// Not a test of its own: does nothing unless a parent below set a task.
#[test]
fn child() {
    let (Ok(task), Some(root)) = (std::env::var(TASK), std::env::var_os(ROOT)) else { return };
    match task.as_str() {
        "write" => write_until_killed(Path::new(&root)),
        "fill" => fill_until_sled_fails(Path::new(&root)),
        "swap" => swap_again_and_again(Path::new(&root)),
        task => panic!("unknown task {task}"),
    }
}

/// Returns the command that runs the task in a child; `shell` may wrap it.
fn child_command(task: &str, root: &Path, shell: Option<&str>) -> Command {
    let binary = std::env::current_exe().unwrap();
    let mut command = match shell {
        Some(script) => {
            let mut command = Command::new("sh");
            command.args(["-c", script]).arg(binary);
            command
        }
        None => Command::new(binary),
    };
    command.args(["--exact", "store::tests::children::child", "--nocapture"]);
    command.env(TASK, task).env(ROOT, root).stdout(Stdio::piped());
    command
}

/// Options for children: few segments, so that the time goes into what is tested.
fn child_options() -> Options {
    let journal = journal::Options { segment_bytes: 100_000, ..journal::Options::default() };
    Options { journal, ..options() }
}

/// Groups of records, each acknowledged on the standard output after its sync.
fn write_until_killed(root: &Path) {
    let (mut store, start) = Store::open(root, child_options()).unwrap();
    let mut caller = Caller::begin(&mut store, start);
    let mut output = std::io::stdout();
    for n in 0.. {
        let payloads: Vec<String> = (0..1 + n % 9)
            .map(|i| format!("s{}={n} {i} {}", (n * 7 + i) % 200, "x".repeat(n % 400)))
            .collect();
        store.append(&payloads).unwrap();
        store.sync().unwrap();
        writeln!(output, "\nacked {}", store.head().seq).unwrap();
        let records: Vec<Record> = store.read_from(caller.seq + 1).map(Result::unwrap).collect();
        let changes: Vec<RowChange> = records.iter().map(|record| caller.apply(record)).collect();
        store.apply_batch(&changes, caller.seq).unwrap();
        if n % 60 == 59 {
            store.checkpoint(&caller.rows).unwrap();
        }
    }
}

/// Reads acknowledgements until `count` have come or the child is gone; returns the last one.
fn read_acks(child: &mut Child, count: usize) -> u64 {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let acks = lines.filter_map(|line| line.strip_prefix("acked ")?.parse().ok());
    acks.take(count).last().unwrap_or(0)
}

/// Opens what a dead child left, and checks that nothing acknowledged is gone and the rows are what the journal
/// says. Returns where the rows came from and how far the state lagged.
fn check_left(root: &Path, acked: u64) -> (Source, u64) {
    let mut truth = Caller::default();
    let (mut store, start) = Store::open(root, child_options()).unwrap();
    let (source, lag) = (start.source, store.head().seq - start.applied_seq);
    let caller = Caller::begin(&mut store, start);
    for record in store.read_from(1) {
        truth.apply(&record.unwrap());
    }
    assert!(store.head().seq >= acked, "acknowledged {acked}, there are {}", store.head().seq);
    assert_eq!(caller, truth);
    (source, lag)
}

/// Rounds of kill -9; more than a few are for a soak by hand.
fn rounds() -> usize {
    std::env::var("EVENKEEL_TEST_KILLS").map_or(6, |text| text.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_and_the_state_stays_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let mut lagged = 0;
    for round in 0..rounds() {
        let mut child = child_command("write", dir.path(), None).spawn().unwrap();
        // Without any acknowledgement to wait for, the kill comes while the child starts.
        let acked = read_acks(&mut child, (round * 37) % 150);
        child.kill().unwrap();
        child.wait().unwrap();
        let (source, lag) = check_left(dir.path(), acked);
        let trusted = source == Source::State || round < 2;
        assert!(trusted, "round {round}: {source:?}");
        lagged += lag;
    }
    assert!(lagged > 0, "the state must lag behind now and then, or the test shows nothing");
}

/// Dies at each named point; the point decides what is there afterwards.
#[cfg(debug_assertions)]
#[test]
fn each_crash_point_leaves_what_it_must() {
    for (point, counts) in [("after_append", false), ("after_sync", true), ("after_batch", true)] {
        for pass in [1, 5] {
            let dir = tempfile::tempdir().unwrap();
            let plan = format!("{point}:{pass}");
            let mut command = child_command("write", dir.path(), None);
            let mut child = command.env("EVENKEEL_CRASH_AT", &plan).spawn().unwrap();
            let acked = read_acks(&mut child, usize::MAX);
            assert!(!child.wait().unwrap().success(), "{plan}: the child must die");
            // Groups have 1, 2, 3, ... records. A group that was appended is whole after a mere kill.
            let groups: u64 = pass * (pass + 1) / 2;
            check_left(dir.path(), groups);
            let acked_want = if point == "after_batch" { groups } else { groups - pass };
            assert_eq!(acked, acked_want, "{plan} {counts}");
        }
    }
}

/// Swaps the state after every few groups.
fn swap_again_and_again(root: &Path) {
    let (mut store, start) = Store::open(root, child_options()).unwrap();
    let mut caller = Caller::begin(&mut store, start);
    for _ in 0..3 {
        caller.groups(&mut store, 4);
        store.checkpoint(&caller.rows).unwrap();
        let mut fresh = store.swapper().unwrap().build(store.head()).unwrap();
        fresh.put(&[]).unwrap();
        fresh.finish(store.head()).unwrap();
        println!("\nacked {}", store.head().seq);
        let swapped = store.let_go().unwrap().replace();
        assert!(matches!(store.swapped(swapped), Ok((_, None))));
    }
}

/// Whatever the moment, one state is there that is trusted.
#[cfg(debug_assertions)]
#[test]
fn a_swap_dies_at_each_point_and_a_state_is_there_all_the_same() {
    for point in ["swap_built", "swap_marked", "swap_closed", "swap_moved", "swap_placed", "swap_opened"] {
        for pass in [1, 2] {
            let dir = tempfile::tempdir().unwrap();
            let plan = format!("{point}:{pass}");
            let mut command = child_command("swap", dir.path(), None);
            let mut child = command.env("EVENKEEL_CRASH_AT", &plan).spawn().unwrap();
            let acked = read_acks(&mut child, usize::MAX);
            assert!(!child.wait().unwrap().success(), "{plan}: the child must die");
            let (source, _) = check_left(dir.path(), acked);
            assert_eq!(source, Source::State, "{plan}");
            let left = ["state.new", "state.old"].map(|part| dir.path().join(part).exists());
            assert_eq!(left, [false; 2], "{plan}");
        }
    }
}

/// Writes rows until sled meets the limit on file sizes that the parent has set.
fn fill_until_sled_fails(root: &Path) {
    let (mut store, start) = Store::open(root, child_options()).unwrap();
    let mut caller = Caller::begin(&mut store, start);
    let error = loop {
        let payloads: Vec<String> =
            (0..8).map(|i| format!("s{}={}", caller.seq + i, "x".repeat(3000))).collect();
        store.append(&payloads).unwrap();
        store.sync().unwrap();
        let records: Vec<Record> = store.read_from(caller.seq + 1).map(Result::unwrap).collect();
        let changes: Vec<RowChange> = records.iter().map(|record| caller.apply(record)).collect();
        if let Err(error) = store.apply_batch(&changes, caller.seq) {
            break error;
        }
        assert!(caller.seq < 100_000, "sled must fail");
    };
    let state::Error::Dead(broken) = &error else { panic!("{error}") };
    assert!(matches!(broken.as_ref(), state::Broken::Tree(state::Fault::Io(_))), "{broken}");
    assert!(!store.has_state());
    // From memory it goes on.
    store.append(&["last=one"]).unwrap();
    store.sync().unwrap();
    assert!(matches!(store.apply_batch(&[], caller.seq), Err(state::Error::Dead(_))));
    let head = store.close_clean().unwrap();
    println!("\nacked {}", head.seq);
}

#[test]
fn an_io_error_in_sled_kills_the_state_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // Segments of the journal stay far below the limit of 4 MB, sled's one file does not.
    let limited = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let mut child = child_command("fill", dir.path(), Some(limited)).spawn().unwrap();
    let acked = read_acks(&mut child, usize::MAX);
    assert!(child.wait().unwrap().success(), "the child must go on after the failure");
    let (_, start) = Store::open(dir.path(), child_options()).unwrap();
    assert!(matches!(&start.notes[..], [Note::StateUnused { reason: Reason::Broken, aside: Some(_) }]));
    let (source, _) = check_left(dir.path(), acked);
    assert_eq!(source, Source::Empty);
}
