//! The real `evenkeel` as a process of its own.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{machine, settings};

/// How long a daemon may take for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A daemon's directory: its configuration, its secrets, its store.
pub(crate) struct Home {
    dir: TempDir,
    _run: TempDir,
    web: String,
}

impl Home {
    pub(crate) fn new(systems: &Value, second: &str) -> Home {
        let (dir, run) = (machine::fresh_dir(), tempfile::tempdir().expect("a directory"));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let web = free.expect("loopback has a free port").to_string();
        settings::write(dir.path(), run.path(), &web, systems, second);
        Home { dir, _run: run, web }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Returns the address that webhooks go to.
    pub(crate) fn web(&self) -> &str {
        &self.web
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        for name in ["EVENKEEL_CONFIG", "EVENKEEL_SOCKET", "EVENKEEL_CRASH_AT", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.arg("--config").arg(self.dir.path().join("evenkeel.toml")).stdin(Stdio::null());
        command
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) async fn start(&self) -> Live {
        let log = std::fs::File::create(self.dir.path().join("daemon.log")).expect("a log");
        let out = log.try_clone().expect("a log");
        let begun = Instant::now();
        let child = self.command().arg("run").stdout(out).stderr(log).spawn().expect("the daemon starts");
        let client = reqwest::Client::new();
        let mut live = Live { child, client, web: self.web.clone(), ready: Duration::ZERO };
        while live.get("readyz").await.is_none() {
            let ended = live.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the daemon ended: {}", self.log());
            assert!(begun.elapsed() < PATIENCE, "the daemon is not ready: {}", self.log());
            sleep(Duration::from_millis(2)).await;
        }
        live.ready = begun.elapsed();
        live
    }

    /// Takes over the ERP's stock.
    pub(crate) async fn init(&self) {
        let mut init = self.command();
        init.args(["--json", "init", "--from", "erp", "--yes"]);
        let told =
            tokio::task::spawn_blocking(move || init.output()).await.expect("no panic").expect("it runs");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("daemon.log")).unwrap_or_default()
    }
}

/// A running daemon. Dropping it kills it.
pub(crate) struct Live {
    child: Child,
    client: reqwest::Client,
    web: String,
    /// How long it took from the start of the process until it was ready.
    pub(crate) ready: Duration,
}

impl Live {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn cpu(&self) -> Duration {
        machine::cpu(self.id())
    }

    /// Returns what a page of the daemon says, if it serves.
    pub(crate) async fn get(&self, page: &str) -> Option<String> {
        let answer = self.client.get(format!("http://{}/{page}", self.web)).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.text().await.ok()
    }

    /// Returns the sum of a figure over all its labels that `fit`.
    pub(crate) async fn figure(&self, name: &str, fit: impl Fn(&str) -> bool) -> f64 {
        let text = self.get("metrics").await.expect("the daemon serves");
        let lines = text.lines().filter(|line| line.starts_with(name) && fit(line));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Waits until a figure is what is wanted.
    pub(crate) async fn until(
        &self,
        what: &str,
        name: &str,
        fit: impl Fn(&str) -> bool,
        good: impl Fn(f64) -> bool,
    ) {
        let begun = Instant::now();
        loop {
            let figure = self.figure(name, &fit).await;
            if good(figure) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {name} is {figure}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until no leg is under way.
    pub(crate) async fn settled(&self) {
        self.until(
            "all is confirmed",
            "evenkeel_legs{",
            |line| !line.contains("confirmed"),
            |legs| legs == 0.0,
        )
        .await;
    }

    /// Ends it as systemd does.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().expect("kill can be run");
        assert!(asked.success(), "the daemon was gone");
        let begun = Instant::now();
        while self.child.try_wait().expect("it is our child").is_none() {
            assert!(begun.elapsed() < PATIENCE, "the daemon does not end");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It has ended already, or it is to.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
