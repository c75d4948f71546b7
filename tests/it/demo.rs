//! `evenkeel demo` as a person runs it: it agrees whatever fails on the way, and notices what should not agree.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const SIZE: [&str; 7] = ["demo", "--orders", "40", "--rate", "20", "--skus", "10"];

/// Plays the demo in a directory of its own.
fn demo(args: &[&str]) -> (Output, Value, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(SIZE)
        .arg("--json")
        .args(args)
        .env("TMPDIR", dir.path())
        .env_remove("EVENKEEL_CONFIG")
        .env_remove("EVENKEEL_SOCKET")
        .output()
        .expect("the demo runs");
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (output, told, dir)
}

/// Plays the demo with these faults, and expects every figure of an agreement.
#[track_caller]
fn agrees(faults: &[&str]) -> Value {
    let args: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let (output, told, dir) = demo(&args);
    assert_eq!(output.status.code(), Some(0), "{told:#}\n{}", String::from_utf8_lossy(&output.stderr));
    let yes = serde_json::json!(true);
    assert_eq!((&told["agrees"], &told["verified"]), (&yes, &yes), "{told:#}");
    for system in ["shopify", "amazon", "erp"] {
        assert_eq!(told["agreeing"][system], 10, "{system}: {told:#}");
    }
    assert_eq!(told["skus"], 10);
    assert_eq!(told["disagreeing"], serde_json::json!([]));
    assert_eq!(std::fs::read_dir(dir.path()).map(Iterator::count).ok(), Some(0), "nothing is left behind");
    told
}

/// Plays the demo and meddles, and expects the exit code for it and one SKU that is named.
#[track_caller]
fn notices(args: &[&str]) {
    let (output, told, dir) = demo(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{told:#}\n{said}");
    assert_eq!(told["disagreeing"].as_array().map(Vec::len), Some(1), "{told:#}");
    let failure: Value = serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(failure["code"], 65);
    assert_eq!(failure["error"], "the books do not agree");
    let kept =
        failure["next"].as_str().and_then(|next| next.split_once("are in ")).expect("it names a directory");
    let kept = std::path::Path::new(kept.1);
    assert!(kept.starts_with(dir.path()) && kept.join("daemon.log").is_file(), "{failure}");
}

#[test]
fn nothing_fails_and_all_agree_with_figures_to_show() {
    let told = agrees(&[]);
    let sum =
        |key: &str| told[key].as_object().map_or(0, |of| of.values().filter_map(Value::as_u64).sum::<u64>());
    let shoppers = sum("orders") + told["turned_away"].as_u64().unwrap_or(0);
    assert!(sum("orders") > 20 && shoppers >= 40, "{told:#}");
    assert!(told["writes"].as_u64() > Some(0), "{told:#}");
    for system in ["shopify", "amazon"] {
        let spans: Vec<i64> =
            told["visible_ms"][system].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
        assert!(matches!(spans[..], [p50, p99] if p50 <= p99), "{system}: {told:#}");
    }
    let notes = told["notes"].to_string();
    assert!(notes.contains("Amazon's limits are multiplied"), "what is shortened must be said: {notes}");
}

#[test]
fn all_agree_after_an_outage_of_amazon_of_twenty_seconds() {
    let told = agrees(&["amazon-outage=20s"]);
    assert!(told["write_tries_again"].as_u64() > Some(0), "the outage must have been felt: {told:#}");
}

#[test]
fn all_agree_although_each_system_fails_now_and_then() {
    agrees(&["shopify-errors=5%", "amazon-errors=5%", "erp-errors=5%"]);
}

#[test]
fn all_agree_although_webhooks_come_twice_not_at_all_or_out_of_order() {
    agrees(&["webhooks-duplicated=10%", "webhooks-dropped=5%", "webhooks-reordered=20%"]);
}

#[test]
fn all_agree_although_answers_are_lost() {
    agrees(&["lost-answers=5%"]);
}

#[test]
fn a_quantity_that_is_changed_behind_its_back_is_noticed() {
    notices(&["--tamper", "quantity"]);
}

#[test]
fn an_order_that_no_feed_shows_is_noticed() {
    // They never agree, so that there is no use in waiting long.
    notices(&["--tamper", "order", "--settle", "20"]);
}

/// Returns the processes whose arguments name a directory.
fn processes(of: &std::path::Path) -> Vec<String> {
    let named = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        let text = String::from_utf8_lossy(&text).replace('\0', " ");
        text.contains(&*of.to_string_lossy()).then_some(text)
    };
    std::fs::read_dir("/proc").expect("Linux").filter_map(named).collect()
}

#[tokio::test]
async fn a_signal_ends_the_demo_with_all_that_it_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["demo", "--orders", "100000", "--rate", "1", "--skus", "5", "--json"])
        .env("TMPDIR", dir.path())
        .env_remove("EVENKEEL_CONFIG")
        .env_remove("EVENKEEL_SOCKET")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the demo runs");
    crate::support::until_empty("the sandbox and the daemon run", async || {
        let running = processes(dir.path());
        if running.len() == 2 { vec![] } else { running.into_iter().chain(["not two".to_owned()]).collect() }
    })
    .await;
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("it runs").success());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(processes(dir.path()), [""; 0]);
    assert_eq!(std::fs::read_dir(dir.path()).expect("it is there").count(), 0, "nothing is left behind");
}

/// Starts a command whose sandbox has a large catalogue to make, ends it by a signal while it makes it, and returns how it
/// ended and what it said.
async fn ended_early(args: &[&str], dir: &std::path::Path, begun: impl Fn() -> bool) -> std::process::Output {
    let child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(args)
        .env("TMPDIR", dir)
        .env_remove("EVENKEEL_CONFIG")
        .env_remove("EVENKEEL_SOCKET")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let id = child.id();
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        // SIGTERM is the fifteenth.
        mask & (1 << 14) != 0
    };
    crate::support::until_empty("it hears signals", async || {
        if caught() && begun() { vec![] } else { vec!["not yet".to_owned()] }
    })
    .await;
    let sent = Command::new("kill").args(["-TERM", &id.to_string()]).status().expect("it runs");
    assert!(sent.success());
    tokio::task::spawn_blocking(|| child.wait_with_output()).await.expect("no panic").expect("it ends")
}

#[tokio::test]
async fn a_signal_is_heard_while_a_catalogue_is_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let ended = ended_early(&["sandbox", "--skus", "300000"], dir.path(), || true).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "", "it never served");

    let demo = ["demo", "--skus", "300000", "--json"];
    let ended = ended_early(&demo, dir.path(), || !processes(dir.path()).is_empty()).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("stopped before its end"), "{ended:?}");
    assert_eq!(processes(dir.path()), [""; 0]);
    assert_eq!(std::fs::read_dir(dir.path()).expect("it is there").count(), 0, "nothing is left behind");
}
