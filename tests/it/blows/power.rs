//! Power cuts of the real binary: every change that it makes to its files is noted in order, and the directory is built
//! again as it may have been at any moment, with what was not synced kept, dropped or torn.
//!
//! Whatever is left opens, and holds every webhook that had been answered by then.

mod disk;
mod log;

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use evenkeel::{engine, engine::ledger::Durable, model::Timestamp, store, telemetry::causes};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{first_seed, quick_dir, rounds};
use crate::{
    crash::witness::Witness,
    golden::told::told,
    live::{Home, bare, run},
    support::{World, until_empty},
};
use disk::{Disk, Keeps};
use log::Note;

/// How many cuts are tried in the same process, and how many of them as a person meets them.
const CUTS: u64 = 300;
const COMMANDS: u64 = 6;

/// Builds the shim; a C compiler is promised.
fn shim(dir: &Path) -> PathBuf {
    let (source, built) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/blows/power/shim.c"), dir.join("shim.so"));
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&built)
        .arg(source)
        .args(["-ldl", "-lpthread"]);
    let told = cc.output().expect("a C compiler can be run");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    built
}

/// Has what a daemon does to its store noted in `power.log`. The store's directory must be there.
pub(crate) fn watched(home: &Home) -> Vec<(&'static str, OsString)> {
    vec![
        ("LD_PRELOAD", shim(home.dir.path()).into()),
        ("EVENKEEL_POWER_DIR", home.path("store").into()),
        ("EVENKEEL_POWER_LOG", home.path("power.log").into()),
    ]
}

/// A life of the daemon: its log, and who was told what when.
struct Life {
    home: Home,
    notes: Vec<Note>,
    inode: u64,
    witness: Witness,
}

impl Life {
    /// Sells, archives, swaps the state, is killed, starts again, and is stopped.
    async fn lead() -> Life {
        let world = World::start(|options| options.catalogue.skus = 6).await;
        let home = Home::new(&world).await;
        let store = home.path("store");
        fs::create_dir(&store).expect("made");
        let inode = fs::metadata(&store).expect("there").ino();
        let room = "stop_bytes = 268435456";
        home.configure(room, &format!("{room}\nswap_every = \"2s\"\nsegment_bytes = 1048576"));
        let log = home.path("power.log");
        let under = watched(&home);
        let live = home.start_under(&under);
        home.ready().await;
        home.ask(&["init", "--from", "erp", "--yes"]).await.json();
        let witness = Witness::beside(&home.web, &log).await;
        world.post("webhooks", json!({"url": witness.url})).await;
        let sells = async |orders: u64| {
            let before = witness.count();
            world.post("shop", json!({"orders": orders, "per_second": 40.0})).await;
            until_empty("webhooks are answered", async || {
                let more = witness.count() - before;
                if more as u64 >= orders / 2 { vec![] } else { vec![format!("{more} of {orders}")] }
            })
            .await;
        };
        sells(30).await;
        home.ask(&["checkpoint"]).await.json();
        sells(30).await;
        until_empty("a fresh state is in place", async || {
            let built = home.ask(&["status"]).await.json()["state_built_at"].clone();
            if built.is_string() { vec![] } else { vec![built.to_string()] }
        })
        .await;
        live.kill().await;
        let live = home.start_under(&under);
        home.ready().await;
        sells(20).await;
        home.ask(&["checkpoint"]).await.json();
        live.stop().await;
        let notes = log::read(&fs::read(&log).expect("there is a log"));
        Life { home, notes, inode, witness }
    }

    fn disk(&self) -> Disk {
        Disk::new(&self.home.path("store"), self.inode)
    }
}

/// A moment, and what was kept.
struct Cut {
    seed: u64,
    after: usize,
    keeps: Keeps,
}

fn cuts(life: &Life, seeds: std::ops::Range<u64>) -> Vec<Cut> {
    let cut = |seed| {
        let mut dice = StdRng::seed_from_u64(seed);
        let after = dice.random_range(0..=life.notes.len());
        let keeps =
            [Keeps::Nothing, Keeps::Some, Keeps::Some, Keeps::Some, Keeps::All][dice.random_range(0..5)];
        Cut { seed, after, keeps }
    };
    let mut cuts: Vec<Cut> = seeds.map(cut).collect();
    cuts.sort_by_key(|cut| cut.after);
    cuts
}

/// After the cut the kernel is another one.
fn reboot(store: &Path) {
    for part in ["state", "state.new", "state.old"] {
        let mark = store.join(part).join("mark");
        if let Ok(text) = fs::read_to_string(&mark)
            && let Some((head, boot)) = text.split_once(" open ")
        {
            let other: String = boot.trim_end().chars().map(|c| if c == '-' { c } else { '0' }).collect();
            fs::write(&mark, format!("{head} open {other}\n")).expect("written");
        }
    }
}

/// Starts on what is left, twice, and compares with what had been promised.
fn starts(life: &Life, cut: &Cut, store: &Path) {
    let end = cut.after.checked_sub(1).map_or(0, |last| life.notes[last].end);
    let what = format!("EVENKEEL_BLOWS_SEED={} after change {} ({:?})", cut.seed, cut.after, cut.keeps);
    let (state, opened) = engine::disk::open(store, store::Options::default(), Timestamp::from_millis(1))
        .unwrap_or_else(|error| panic!("{what}: it does not open: {}", causes(&error)));
    life.witness.check_promised(store, end, &what);
    Durable::close(Box::new(opened)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let again = engine::disk::read(store, store::Options::default()).expect("it was closed in order");
    assert!(told(&again) == told(&state), "{what}: the second start finds another state");
    fs::remove_dir_all(store.join("state")).expect("there is one");
    let bare = engine::disk::read(store, store::Options::default()).expect("the journal is whole");
    assert!(told(&bare) == told(&state), "{what}: the journal adds up to something else");
}

async fn obeys(cut: &Cut, store: &Path) {
    for command in ["rebuild", "verify"] {
        let told = run(bare().args(["--json", command, "--store"]).arg(store)).await;
        // Where the power went before there was a journal, there is no store yet.
        let early = told.code == Some(4) && told.err.contains("there is no store");
        assert!(early || told.code == Some(0), "EVENKEEL_BLOWS_SEED={}: {command}: {told:#?}", cut.seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_power_goes_at_any_moment_and_what_was_answered_is_there() {
    let life = Life::lead().await;
    let first = first_seed();
    let (mut disk, mut done) = (life.disk(), 0);
    for (n, cut) in (0_u64..).zip(cuts(&life, first..first + rounds(CUTS))) {
        life.notes[done..cut.after].iter().for_each(|note| disk.change(&note.change));
        done = cut.after;
        let dir = quick_dir();
        let mut dice = StdRng::seed_from_u64(cut.seed ^ u64::MAX);
        let store = dir.path().join("store");
        disk.cut(&store, cut.keeps, &mut dice);
        reboot(&store);
        if n % (rounds(CUTS) / rounds(COMMANDS)) == 0 {
            obeys(&cut, &store).await;
        }
        starts(&life, &cut, &store);
    }
    let (count, synced) = (life.notes.len(), life.witness.count());
    assert!(count > 500 && synced > 20, "{count} changes and {synced} webhooks prove little");
}
