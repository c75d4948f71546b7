//! What people get wrong, and what the commands say to it: paths, files, permissions.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::{
    live::{Home, Told, bare, file, run},
    support::World,
};

/// Returns what `check` says of a key of the configuration.
#[track_caller]
fn place<'a>(told: &'a Value, key: &str) -> &'a Value {
    let mut all = told["places"].as_array().expect("a list").iter();
    all.find(|place| place["key"] == key).unwrap_or_else(|| panic!("no {key} in {told:#}"))
}

/// Expects that `check` refuses, and says this of a key.
#[track_caller]
fn refuses(told: &Told, key: &str, text: &str) {
    told.fails(5, "of what the daemon needs of this machine");
    let told: Value = serde_json::from_str(&told.out).expect("JSON");
    let answer = place(&told, key)["answer"].as_str().expect("a text");
    assert!(answer.contains(text), "{told:#}");
}

/// Returns the names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut all: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

/// Runs a command as a user who may do nothing that is not allowed to all. `None` where the kernel makes no namespaces.
#[expect(clippy::print_stdout, reason = "a test that skips something says so")]
async fn as_nobody(home: &Home, args: &[&str]) -> Option<Told> {
    let mut can = std::process::Command::new("unshare");
    can.args(["-U", "true"]).stdin(Stdio::null());
    if !can.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        // Said aloud, so that nobody takes it for seen.
        println!("skipped: no user namespaces here");
        return None;
    }
    let mut command = tokio::process::Command::new("unshare");
    command.args(["-U", env!("CARGO_BIN_EXE_evenkeel"), "--json", "--config"]);
    command.arg(home.path("evenkeel.toml")).args(args);
    command.env("CREDENTIALS_DIRECTORY", home.path("secrets"));
    Some(run(&mut command).await)
}

fn allow(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_says_why_to_the_end() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let taken = std::net::TcpListener::bind(&home.web).expect("free");
    let told = home.ask(&["run"]).await;
    let lines: Vec<&str> = told.err.lines().collect();
    let last = Told { err: lines.last().expect("a line").to_string(), ..told };
    last.fails(1, "(web.listen): Address already in use");
    assert!(lines.iter().any(|line| line.contains("the daemon ends") && line.contains("already in use")));
    drop(taken);
    let store = home.path("store");
    fs::rename(&store, home.path("held")).expect("moved");
    fs::write(&store, "").expect("written");
    let told = home.ask(&["run"]).await;
    let last = Told { err: told.err.lines().last().expect("a line").to_owned(), ..told };
    last.fails(1, &format!("`{}`: File exists", store.display()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tells_whether_the_daemon_could_start_here_and_leaves_nothing_behind() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let before = names(home.dir.path());
    let told = home.ask(&["check"]).await.json();
    for key in ["store.path", "socket.path", "web.listen"] {
        assert_eq!(place(&told, key)["answer"], "good", "{told:#}");
    }
    assert_eq!(place(&told, "store.path")["notes"], json!(["is not there yet: it is made at the start"]));
    assert_eq!(names(home.dir.path()), before);

    let taken = std::net::TcpListener::bind(&home.web).expect("free");
    refuses(&home.ask(&["check"]).await, "web.listen", "another program listens there");
    drop(taken);
    let store = home.path("store");
    fs::write(&store, "").expect("written");
    refuses(&home.ask(&["check"]).await, "store.path", "is no directory");
    fs::remove_file(&store).expect("removed");
    fs::write(home.path("evenkeel.sock"), "").expect("written");
    refuses(&home.ask(&["check"]).await, "socket.path", "is no socket");
    fs::remove_file(home.path("evenkeel.sock")).expect("removed");
    home.configure("evenkeel.sock", "none/evenkeel.sock");
    refuses(&home.ask(&["check"]).await, "socket.path", "make the directory");
    home.configure("none/evenkeel.sock", "evenkeel.sock");

    let live = home.serve().await;
    let told = home.ask(&["check"]).await.json();
    let notes = &place(&told, "web.listen")["notes"];
    assert_eq!(notes, &json!(["is in use, as it must be while the daemon runs"]), "{told:#}");
    live.stop().await;

    allow(home.dir.path(), 0o755);
    allow(&store, 0o500);
    if let Some(told) = as_nobody(&home, &["check"]).await {
        refuses(&told, "store.path", "cannot be written by user");
    }
    allow(&store, 0o700);
    allow(&store.join("lock"), 0o400);
    if let Some(told) = as_nobody(&home, &["check"]).await {
        refuses(&told, "store.path", "store/lock` cannot be written by user");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_path_does_not_become_a_store() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let (none, empty) = (home.path("none"), home.path("empty"));
    fs::create_dir(&empty).expect("made");
    let out = home.path("backup.tar.zst");
    let (none, empty, out) = (text(&none), text(&empty), text(&out));
    for (path, why) in [(none, "there is no such directory"), (empty, "has no `journal` in it")] {
        for args in [
            &["rebuild", "--store", path][..],
            &["verify", "--store", path],
            &["verify", "--live", "--store", path],
            &["backup", out, "--store", path],
        ] {
            let told = home.ask(args).await;
            told.fails(4, &format!("there is no store in `{path}`: "));
            told.fails(4, why);
            assert!(told.err.contains("--store"), "{told:#?}");
        }
    }
    let before = names(home.dir.path());
    for args in [&["rebuild"][..], &["verify"], &["backup", out]] {
        let told = home.ask(args).await;
        told.fails(4, "there is no store in");
        assert!(told.err.contains("correct `store.path` in"), "{told:#?}");
    }
    assert_eq!(names(home.dir.path()), before);
    assert_eq!(names(Path::new(empty)), [""; 0]);

    home.serve().await.stop().await;
    home.ask(&["verify", "--archive", none]).await.fails(4, "there is no archive in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_not_called_corrupt() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.serve().await.stop().await;
    let store = home.path("store");
    allow(home.dir.path(), 0o755);
    allow(&store, 0o000);
    let store_text = text(&store);
    if let Some(told) = as_nobody(&home, &["verify", "--store", store_text]).await {
        told.fails(1, "Permission denied");
        as_nobody(&home, &["rebuild", "--store", store_text])
            .await
            .expect("as before")
            .fails(1, "Permission");
    }
    allow(&store, 0o700);
    let journal = store.join("journal");
    let name = names(&journal).remove(0);
    fs::rename(journal.join(&name), home.path("kept")).expect("moved");
    home.ask(&["verify"]).await.fails(4, "there is no journal in");
    fs::create_dir(journal.join(&name)).expect("made");
    home.ask(&["verify"]).await.fails(1, "Is a directory");
    home.ask(&["backup", text(&home.path("b"))]).await.fails(1, "Is a directory");
    fs::remove_dir(journal.join(&name)).expect("removed");
    let mut bytes = fs::read(home.path("kept")).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(journal.join(&name), bytes).expect("written");
    home.ask(&["verify"]).await.fails(65, "is damaged at byte");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_is_no_text_or_has_many_problems_is_told_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let bad = file(dir.path(), "bad.toml", "[web]\nlistn = \"x\"\n");
    let told = run(bare().args(["--config", &bad, "check"])).await;
    let lines: Vec<&str> = told.err.lines().collect();
    assert_eq!(lines[0], "evenkeel: 3 problems:", "{told:#?}");
    assert!(lines[1..4].iter().all(|line| line.starts_with(&bad)), "{told:#?}");

    // What only asks the daemon needs nothing of it but the socket's path.
    let told = run(bare().args(["--json", "--config", &bad, "status"])).await;
    told.fails(78, "bad.toml");
    assert!(told.err.contains("--socket PATH"), "{told:#?}");

    let path = dir.path().join("latin.toml");
    fs::write(&path, b"mode = \"live\"\n# Gr\xfc\xdfe\n").expect("written");
    let told = run(bare().args(["--json", "--config", text(&path), "check"])).await;
    told.fails(78, "latin.toml:2:5: this is not UTF-8 text; save the file as UTF-8");
    let told = run(bare().args(["--json", "--config", text(dir.path()), "check"])).await;
    told.fails(78, "Is a directory (os error 21); give the path of the file in it");

    let world = World::start(|_| {}).await;
    let home = Home::like_readme(&world, "").await;
    let config = home.path("evenkeel.toml");
    let mut check = bare();
    check.env_remove("CREDENTIALS_DIRECTORY").args(["--json", "--config", text(&config), "check"]);
    let told = run(&mut check).await;
    told.fails(78, "`CREDENTIALS_DIRECTORY` is not set");
    assert!(told.err.contains("CREDENTIALS_DIRECTORY=/etc/evenkeel/secrets evenkeel check"), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_use_the_socket_is_told_so() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let live = home.serve().await;
    allow(&home.path("evenkeel.sock"), 0o000);
    if let Some(told) = as_nobody(&home, &["status"]).await {
        told.fails(3, "Permission denied");
        assert!(told.err.contains("member of the daemon's group"), "{told:#?}");
    }
    home.ask(&["map", "import", text(&home.path("none.csv"))]).await.fails(1, "cannot read");
    live.stop().await;
}

/// Every problem of a file is told at once, whoever finds it: the command, which reads it, or the daemon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_judged_in_one_go_by_the_command_and_the_daemon() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.configure("sweep_every = \"10s\"", "sweep_every = \"10s\"\ncounts = \"none\"");
    let live = home.serve().await;
    home.ask(&["init", "--from", "shop", "--yes"]).await.json();
    let sku = world.get("books").await["skus"][0]["sku"].as_str().expect("a code").to_owned();
    let check = async |words: &[&str], csv: &str, begins: &[&str]| {
        let path = file(home.dir.path(), "rows.csv", &csv.replace("SKU", &sku));
        let told = home.ask(&[words, &["import", &path]].concat()).await;
        told.fails(5, "line 2: ");
        let failure: Value = serde_json::from_str(&told.err).expect("JSON");
        let lines: Vec<&str> = failure["error"].as_str().expect("a text").lines().collect();
        assert_eq!(lines.len(), begins.len(), "{words:?}: {lines:#?}");
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(begin), "{words:?}: {lines:#?}");
        }
    };
    let set = "sku,channel,quantity\nNONE,shop,1\nSKU,shop,x\nSKU,nowhere,1\n";
    check(
        &["set"],
        set,
        &["line 2: there is no SKU `NONE`", "line 3: quantity `x`", "line 4: channel `nowhere`"],
    )
    .await;
    let moves = "sku,quantity,from,to\nNONE,1,warehouse,store\nSKU,0,warehouse,store\nSKU,1,warehouse,moon\n";
    let wrong = ["line 2: ", "line 3: quantity `0`", "line 4: location `moon`"];
    check(&["transfer"], moves, &wrong).await;
    let counts = "sku,location,quantity\nNONE,warehouse,1\nSKU,warehouse,-1\nSKU,moon,1\nSKU,\"warehouse,2\n";
    let wrong = [
        "line 2: there is no SKU `NONE`",
        "line 3: `quantity` must be",
        "line 4: there is no location `moon`",
        "line 5: a quote is opened there and never closed",
    ];
    let moonless = counts.replace("SKU,moon,1\n", "SKU,WH,1\n");
    let bad = [wrong[0], wrong[1], "line 4: ", wrong[3]];
    check(&["count"], &moonless, &bad).await;
    check(
        &["count"],
        &counts.replace("NONE,warehouse", "NONE,moon"),
        &[
            "line 2: there is no SKU `NONE`",
            "line 2: there is no location `moon`",
            wrong[1],
            wrong[2],
            wrong[3],
        ],
    )
    .await;
    let rows = "sku,channel,asin,channel_sku\nNONE,shop,,A\nSKU,shop,,\nSKU,market,B0,\n";
    let wrong = ["line 2: there is no SKU `NONE`", "line 3: it names no identifier", "line 4: `asin`: "];
    check(&["map"], rows, &wrong).await;
    let bundles = "sku,component,units\nSET,NONE,1\nDUO,SKU,0\nSKU,SKU,1\n";
    let wrong = ["line 2: there is no SKU `NONE`", "line 3: units must be", "line 4: "];
    check(&["bundles"], bundles, &wrong).await;
    live.stop().await;
}

#[track_caller]
fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_without_a_question_tells_what_to_look_at_all_the_same() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.configure("instance = ", "mode = \"shadow\"\ninstance = ");
    let live = home.serve().await;
    let told = run(home.command().args(["init", "--from", "erp", "--yes"])).await;
    assert_eq!(told.code, Some(0), "{told:#?}");
    assert!(
        told.out.contains("warning: mode is `shadow`: nothing will be written to any channel"),
        "{told:#?}"
    );
    let backup = home.ask(&["backup", "-"]).await;
    backup.fails(5, "a backup is not written to standard output");
    assert!(!Path::new("-").exists(), "no file is called so");
    home.ask(&["audit", "--html", "-"]).await.fails(5, "written to standard output");
    home.ask(&["restore", "-", "--dry-run"]).await.fails(5, "a backup is not read from standard input");
    for empty in [
        &["order", ""][..],
        &["order", "shop", ""],
        &["explain", ""],
        &["receive", ""],
        &["commits", "cancel", ""],
    ] {
        home.ask(empty).await.usage("a value is required");
    }
    for units in ["0", "-1", "1.5", "1000000001", "99999999999999999999"] {
        let told = home.ask(&["transfer", "A", units, "--from", "warehouse", "--to", "store"]).await;
        told.usage("must be a whole number from 1 to 1000000000");
    }
    let told = home.ask(&["sku", "tshirt-bl-m"]).await;
    told.fails(4, "there is no SKU `tshirt-bl-m`");
    assert!(told.err.contains("capital letters count: `evenkeel sku TSHIRT-BL-M`"), "{told:#?}");
    live.stop().await;
}
