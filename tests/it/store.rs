//! The store under blows: a full disk, an archive, backups and what is made of them.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::{
    blows::power::watched,
    live::{Home, bare, run},
    support::{World, number, order, text, until_empty},
};

async fn open() -> (World, Home) {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    (world, home)
}

async fn first(world: &World) -> String {
    text(&world.get("books").await["skus"][0]["sku"]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_store_is_proven_and_writes_nothing_until_a_person_says_so() {
    let (world, home) = open().await;
    let live = home.open(&world).await;
    let sku = first(&world).await;
    order(&world, "amazon", &sku, 1).await;
    home.settle(&world).await;
    let file = home.path("backup.tar.zst");
    let file = file.to_str().expect("text");
    let made = home.ask(&["backup", file]).await.json();
    assert!(made["seq"].as_u64() > Some(0) && text(&made["head"]).len() == 64, "{made:#}");
    assert!(made["checkpoint"].is_u64(), "it holds a fresh checkpoint: {made:#}");
    live.stop().await;
    let offline = home.ask(&["backup", home.dir.path().to_str().expect("text")]).await.json();
    assert!(Path::new(text(&offline["file"])).exists());

    let proven = run(bare().args(["--json", "restore", file, "--dry-run"])).await.json();
    assert_eq!((&proven["seq"], &proven["head"]), (&made["seq"], &made["head"]));
    let store = home.path("store");
    let to = store.to_str().expect("text");
    run(bare().args(["--json", "restore", file, "--to", to])).await.fails(5, "is not empty");
    fs::rename(&store, home.path("lost")).expect("moved");
    let restored = run(bare().args(["--json", "restore", file, "--to", to])).await.json();
    assert_eq!((&restored["skus"], &restored["orders"]), (&json!(12), &json!(1)));
    home.verify().await;

    let live = home.serve().await;
    let status = home.ask(&["status"]).await.json();
    assert_eq!(status["mode"], "shadow");
    assert!(status["restored_at"].is_string(), "{status:#}");
    order(&world, "amazon", &sku, 1).await;
    until_empty("the order is read", async || {
        let books = home.ask(&["status"]).await.json();
        if books["orders"] == 2 { vec![] } else { vec![books.to_string()] }
    })
    .await;
    assert!(!world.disagreements().await.is_empty(), "nothing is written");
    home.ask(&["resume", "--live"]).await.json();
    home.settle(&world).await;
    assert_eq!(world.disagreements().await, Vec::<String>::new());
    home.ask(&["resume", "--live"]).await.fails(5, "was not restored");
    live.stop().await;
    let status: Value = home.verify().await;
    assert_eq!(status["orders"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_damaged_is_named_and_makes_no_store() {
    let (world, home) = open().await;
    home.open(&world).await.stop().await;
    let file = home.path("backup.tar.zst");
    home.ask(&["backup", file.to_str().expect("text")]).await.json();
    let mut content = fs::read(&file).expect("readable");
    let middle = content.len() / 2;
    content[middle] ^= 8;
    fs::write(&file, content).expect("written");
    let to = home.path("new");
    let args = ["--json", "restore", file.to_str().expect("text"), "--to", to.to_str().expect("text")];
    run(bare().args(args)).await.fails(65, "is damaged at about byte");
    home.configure(&home.path("store").display().to_string(), &to.display().to_string());
    let told = home.ask(&["rebuild"]).await;
    told.fails(1, "did not come to its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_orders_leave_tombstones_and_a_late_return_is_booked_once() {
    let (world, home) = open().await;
    let quiet = "[store]";
    home.configure(quiet, &format!("[retention]\norders = \"1s\"\n\n{quiet}"));
    let live = home.open(&world).await;
    let sku = first(&world).await;
    let stock = async || {
        let told = home.ask(&["sku", &sku]).await.json();
        let of = |key: &str| told["stock"][0][key].as_i64().expect("a number");
        [of("on_hand"), of("committed")]
    };
    let before = stock().await;
    let id = order(&world, "shopify", &sku, 2).await;
    order(&world, "amazon", &sku, 1).await;
    world.post("fulfil", json!({"channel": "shopify", "order": id})).await;
    home.settle(&world).await;
    let pruned = async |want: u64| {
        until_empty("the finished order is pruned", async || {
            let told = home.ask(&["status"]).await.json();
            let seen = (&told["orders_pruned"], &told["orders"]);
            if seen == (&json!(want), &json!(2)) { vec![] } else { vec![told.to_string()] }
        })
        .await;
    };
    pruned(1).await;
    let told = home.ask(&["order", "shop", &id]).await.json();
    assert_eq!(
        (&told["pruned"], &told["lines"][0]["booked"]["fulfilled"]),
        (&json!(true), &json!(2)),
        "{told:#}"
    );
    home.ask(&["poll"]).await.json();
    assert_eq!(stock().await, [before[0] - 2, 1], "read again, and booked once");

    let lines = json!([{"sku": sku, "quantity": 1}]);
    world
        .post("refund", json!({"channel": "shopify", "order": id, "lines": lines, "restock": "return"}))
        .await;
    home.settle(&world).await;
    assert_eq!(stock().await, [before[0] - 1, 1], "one unit came back");
    pruned(1).await;
    live.kill().await;
    fs::remove_dir_all(home.path("store/state")).expect("the state is there");
    let live = home.serve().await;
    pruned(1).await;
    assert_eq!(stock().await, [before[0] - 1, 1], "from the journal alone");
    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
}

/// The values of a field in the lines of the log that have this text.
fn logged(log: &str, line: &str, field: &str) -> Vec<String> {
    let lines = log.lines().filter(|one| one.contains(line));
    let value = |one: &str| {
        let (_, rest) = one.split_once(&format!("{field}="))?;
        Some(rest.split_whitespace().next()?.trim_matches('"').to_owned())
    };
    lines.filter_map(value).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_behind_the_checkpoints_is_archived_with_its_head_in_the_log_and_is_all_that_a_start_needs()
{
    let world = World::start(|options| options.catalogue.skus = 600).await;
    let home = Home::new(&world).await;
    let room = "stop_bytes = 268435456";
    home.configure(room, &format!("{room}\nsegment_bytes = 1048576"));
    let live = home.open(&world).await;
    let sku = first(&world).await;
    order(&world, "amazon", &sku, 1).await;
    home.settle(&world).await;
    let journal = || fs::read_dir(home.path("store/journal")).expect("it is there").count();
    assert!(journal() > 1, "more than one segment was written");
    // The one before the last must be behind it too.
    for _ in 0..2 {
        order(&world, "shopify", &sku, 1).await;
        home.settle(&world).await;
        home.ask(&["checkpoint"]).await.json();
    }
    until_empty("it is archived", async || {
        let told = logged(&home.whole_log(), "journal segment archived", "head");
        if told.is_empty() || journal() > 1 { vec![home.log()] } else { vec![] }
    })
    .await;
    let view = async || {
        let told = home.ask(&["sku", &sku]).await.json();
        (told["stock"].clone(), told["revision"].clone())
    };
    let held = view().await;
    live.stop().await;
    let proof = home.verify().await;
    let (archived, log) = (number(&proof["archived"]), home.whole_log());
    assert!(archived > 0 && proof["first_seq"] == 1 && number(&proof["live_seq"]) > 1, "{proof:#}");
    let heads = logged(&log, "journal segment archived", "head");
    assert_eq!(i64::try_from(heads.len()).expect("few"), archived, "{heads:?}");
    assert!(heads.iter().all(|head| head.len() == 64), "{heads:?}");
    // The head that was logged last, with no record since, is the one that is proven.
    assert_eq!(logged(&log, "journal closed", "head"), [text(&proof["head"])], "{proof:#}");
    let written = logged(&log, "checkpoint written", "head");
    assert!(written.len() >= 2 && written.iter().all(|head| head.len() == 64), "{written:?}");

    // Without state and checkpoints, what is archived is read from its first record on.
    fs::remove_dir_all(home.path("store/state")).expect("the state is there");
    fs::remove_dir_all(home.path("store/checkpoints")).expect("they are there");
    let live = home.serve().await;
    assert_eq!(view().await, held);
    home.settle(&world).await;
    live.stop().await;

    // Without its first archived segment, nothing tells what came before, and that is said.
    let mut all: Vec<_> = fs::read_dir(home.path("store/archive")).expect("it is there").flatten().collect();
    all.sort_by_key(fs::DirEntry::path);
    fs::rename(all[0].path(), home.path("gone")).expect("moved");
    home.ask(&["verify"]).await.fails(65, "and no checkpoint holds what came before");
}

/// A file system of eight megabytes, in a namespace of its own: `None` where the kernel lets nobody make one.
fn small(home: &Home, then: &str) -> Option<tokio::process::Command> {
    let store = home.path("store");
    fs::create_dir_all(&store).expect("made");
    let can = std::process::Command::new("unshare")
        .args(["-Urm", "sh", "-c", "mount -t tmpfs none /mnt"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !can {
        return None;
    }
    let script = format!("mount -t tmpfs -o size=8m none '{}' && {then}", store.display());
    let mut command = tokio::process::Command::new("unshare");
    command.args(["-Urm", "sh", "-c", &script]).env("CREDENTIALS_DIRECTORY", home.path("secrets"));
    Some(command)
}

/// The daemon, beside something that fills its disk when it is told to, and makes room again: both live in the namespace.
fn filler(home: &Home, full: &Path, room: &Path) -> String {
    let daemon = format!(
        "'{}' --config '{}' run 2>'{}'",
        env!("CARGO_BIN_EXE_evenkeel"),
        home.path("evenkeel.toml").display(),
        home.path("daemon.log").display()
    );
    format!(
        "(while [ ! -e '{full}' ]; do sleep 0.1; done; dd if=/dev/zero of='{store}/ballast' bs=4k 2>/dev/null; \
         touch '{full}.done'; while [ ! -e '{room}' ]; do sleep 0.1; done; rm '{store}/ballast') & exec {daemon}",
        full = full.display(),
        room = room.display(),
        store = home.path("store").display(),
    )
}

async fn ready(home: &Home) -> (u16, Value) {
    let answer = reqwest::get(format!("http://{}/readyz", home.web)).await.expect("it answers");
    (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_while_it_runs_is_waited_out() {
    let (world, home) = open().await;
    let stop = format!("path = \"{}\"", home.path("store").display());
    home.configure("stop_bytes = 268435456", "stop_bytes = 0");
    assert!(fs::read_to_string(home.path("evenkeel.toml")).expect("readable").contains(&stop));
    let (full, room) = (home.path("fill"), home.path("room"));
    let filler = filler(&home, &full, &room);
    let Some(mut command) = small(&home, &filler) else {
        // Said aloud, so that nobody takes it for seen: the same is tried on a simulated disk.
        println!("skipped: no user namespaces here");
        return;
    };
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().expect("it starts");
    home.ready().await;
    home.ask(&["init", "--from", "erp", "--yes"]).await.json();
    world.post("webhooks", json!({"url": home.hooks()})).await;
    let sku = first(&world).await;
    order(&world, "amazon", &sku, 1).await;
    home.settle(&world).await;

    fs::write(&full, "").expect("written");
    until_empty("the disk is full", async || {
        if full.with_extension("done").exists() { vec![] } else { vec!["not yet"] }
            .into_iter()
            .map(str::to_owned)
            .collect()
    })
    .await;
    // Whatever is recorded next finds no room.
    for _ in 0..40 {
        order(&world, "shopify", &sku, 1).await;
        home.ask(&["pause", "--sku", &sku]).await;
        home.ask(&["resume", "--sku", &sku]).await;
        if ready(&home).await.0 == 503 {
            break;
        }
    }
    let (status, told) = ready(&home).await;
    assert_eq!((status, &told["ready"]), (503, &json!(false)), "{told:#}");
    assert!(text(&told["reason"]).contains("nothing can be recorded"), "{told:#}");
    assert!(home.log().contains("the disk is full"), "{}", home.log());
    assert!(home.figures().await.contains("evenkeel_store_refuses 1"));
    home.ask(&["pause", "--sku", &sku]).await.fails(5, "there is no room");
    assert!(child.try_wait().expect("asked").is_none(), "it lives");

    fs::write(&room, "").expect("written");
    until_empty("it goes on by itself", async || {
        let (status, told) = ready(&home).await;
        if status == 200 { vec![] } else { vec![told.to_string()] }
    })
    .await;
    // A pause that was refused may have been recorded since.
    home.ask(&["resume", "--sku", &sku]).await.json();
    home.settle(&world).await;
    assert_eq!(world.disagreements().await, Vec::<String>::new());
    home.ask(&["checkpoint"]).await.json();
    child.start_kill().expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_that_becomes_read_only_while_it_runs_is_waited_out() {
    let (world, home) = open().await;
    fs::create_dir_all(home.path("store")).expect("made");
    let barred = home.path("barred");
    let mut under = watched(&home);
    under.push(("EVENKEEL_POWER_BARRED", barred.clone().into()));
    let mut live = home.start_under(&under);
    home.ready().await;
    home.ask(&["init", "--from", "erp", "--yes"]).await.json();
    world.post("webhooks", json!({"url": home.hooks()})).await;
    let sku = first(&world).await;
    order(&world, "amazon", &sku, 1).await;
    home.settle(&world).await;

    fs::write(&barred, "").expect("written");
    order(&world, "shopify", &sku, 1).await;
    until_empty("nothing can be recorded", async || {
        home.ask(&["pause", "--sku", &sku]).await;
        let (status, told) = ready(&home).await;
        if status == 503 { vec![] } else { vec![told.to_string()] }
    })
    .await;
    home.ask(&["pause", "--sku", &sku]).await.fails(5, "there is no room");
    home.ask(&["checkpoint"]).await.fails(1, "no room");
    assert!(live.has_ended().is_none(), "it lives: {}", home.log());

    fs::remove_file(&barred).expect("it was there");
    until_empty("it goes on by itself", async || {
        let (status, told) = ready(&home).await;
        if status == 200 { vec![] } else { vec![told.to_string()] }
    })
    .await;
    // A pause that was refused may have been recorded since.
    home.ask(&["resume", "--sku", &sku]).await.json();
    home.settle(&world).await;
    assert_eq!(world.disagreements().await, Vec::<String>::new());
    live.kill().await;
    let live = home.serve().await;
    home.settle(&world).await;
    live.stop().await;
    home.verify().await;
}
