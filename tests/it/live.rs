//! The real `evenkeel` binary as a child: the daemon, and the commands that ask it.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::support::{PATIENCE, World, config, until_empty};

const TICK: std::time::Duration = std::time::Duration::from_millis(50);

/// The directory of a daemon: its configuration, its secrets, its store.
pub(crate) struct Home {
    pub dir: TempDir,
    pub web: String,
    /// The name of its shop.
    shop: &'static str,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Told {
    /// Returns the answer of a command that must have gone well.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:#?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Expects a failure with this exit code, whose message has this text, and which says what to do next.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, text: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let failure: Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:#?}"));
        assert_eq!(failure["code"], code, "{self:#?}");
        assert!(failure["error"].as_str().is_some_and(|error| error.contains(text)), "{self:#?}");
        assert!(failure["next"].is_string(), "{self:#?}");
    }
}

impl Told {
    /// Expects that the brake held it: the answer tells what it would do, and the failure why.
    #[track_caller]
    pub(crate) fn held(&self, why: &str) {
        let told: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"));
        assert_eq!(told["done"], false, "{self:#?}");
        self.fails(5, why);
    }

    /// Expects that the command line itself is wrong, and that this is named.
    #[track_caller]
    pub(crate) fn usage(&self, text: &str) {
        assert_eq!(self.code, Some(2), "{self:#?}");
        assert!(self.err.contains(text), "{self:#?}");
    }
}

impl Home {
    /// Makes one with the demo's configuration.
    pub(crate) async fn new(world: &World) -> Home {
        let (dir, web) = fresh();
        let text = config(world, dir.path()).await;
        let text = text.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{web}\""));
        file(dir.path(), "evenkeel.toml", &text);
        Home { dir, web, shop: "shop" }
    }

    /// Makes one with the README's configuration; `over` changes it.
    pub(crate) async fn like_readme(world: &World, over: &str) -> Home {
        let (dir, web) = fresh();
        crate::readme::write(world, dir.path(), &web, over).await;
        Home { dir, web, shop: "main" }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns where Shopify's webhooks are sent.
    pub(crate) fn hooks(&self) -> String {
        format!("http://{}/webhooks/shopify/{}", self.web, self.shop)
    }

    /// Changes the configuration, before the daemon starts.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.path("evenkeel.toml");
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(text.contains(from), "{from}");
        std::fs::write(path, text.replace(from, to)).expect("written");
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = bare();
        command.env("CREDENTIALS_DIRECTORY", self.path("secrets"));
        command.arg("--config").arg(self.path("evenkeel.toml"));
        command
    }

    /// Runs a command to its end, with `--json`.
    pub(crate) async fn ask(&self, args: &[&str]) -> Told {
        run(self.command().arg("--json").args(args)).await
    }

    /// Starts the daemon, which may die at a named point.
    pub(crate) fn start(&self, crash_at: Option<&str>) -> Live {
        let crash_at = crash_at.map(|point| ("EVENKEEL_CRASH_AT", point.into()));
        self.start_under(crash_at.as_slice())
    }

    /// Starts the daemon in an environment.
    pub(crate) fn start_under(&self, variables: &[(&str, OsString)]) -> Live {
        self.start_with(variables, &[])
    }

    /// Starts the daemon in an environment and with arguments.
    pub(crate) fn start_with(&self, variables: &[(&str, OsString)], args: &[&str]) -> Live {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("daemon.log"));
        let log = log.expect("a log");
        let mut command = self.command();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let out = log.try_clone().expect("a log");
        let child = command.arg("run").args(args).stdin(Stdio::null()).stdout(out).stderr(log).spawn();
        Live { child: child.expect("the daemon starts") }
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) async fn serve(&self) -> Live {
        let live = self.start(None);
        self.ready().await;
        live
    }

    /// Waits until the daemon answers.
    pub(crate) async fn ready(&self) {
        until_empty("the daemon answers", async || {
            let told = self.ask(&["status"]).await;
            if told.code == Some(0) { vec![] } else { vec![told.err, self.log()] }
        })
        .await;
    }

    /// Starts the daemon, takes over the ERP's stock, and has the world's webhooks sent here.
    pub(crate) async fn open(&self, world: &World) -> Live {
        let live = self.serve().await;
        self.ask(&["init", "--from", "erp", "--yes"]).await.json();
        world.post("webhooks", serde_json::json!({"url": self.hooks()})).await;
        live
    }

    /// Waits until every system shows what the world's books say, and nothing is under way.
    pub(crate) async fn settle(&self, world: &World) {
        until_empty("all agree", async || {
            let mut left = world.disagreements().await;
            let quiet = world.get("quiet").await;
            if quiet["quiet"] != serde_json::json!(true) {
                left.push(quiet.to_string());
            }
            if keep() {
                let sales = world.get("sales").await.to_string();
                std::fs::write(self.path("sales.json"), sales).expect("written");
            }
            if left.is_empty() {
                let waiting = self.ask(&["outbox"]).await.json();
                left.extend(waiting["rows"].as_array().into_iter().flatten().map(Value::to_string));
            }
            if !left.is_empty() {
                left.push(self.ask(&["dead-letters", "list"]).await.out);
            }
            left
        })
        .await;
    }

    /// Waits until nothing is under way.
    pub(crate) async fn rest(&self, world: &World) {
        until_empty("nothing is under way", async || {
            let quiet = world.get("quiet").await;
            let outbox = self.ask(&["outbox"]).await.json();
            let rows = outbox["rows"].as_array().expect("a list");
            let left = rows.iter().map(Value::to_string);
            left.chain((quiet["quiet"] != serde_json::json!(true)).then(|| quiet.to_string())).collect()
        })
        .await;
    }

    /// Returns the daemon's metrics.
    pub(crate) async fn figures(&self) -> String {
        let answer = reqwest::get(format!("http://{}/metrics", self.web)).await.expect("the daemon answers");
        answer.text().await.expect("text")
    }

    pub(crate) async fn verify(&self) -> Value {
        self.ask(&["verify"]).await.json()
    }

    /// Returns all that the daemon has logged.
    pub(crate) fn whole_log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    pub(crate) fn log(&self) -> String {
        let text = self.whole_log();
        text.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    }
}

/// A running daemon. Dropping it kills it.
pub(crate) struct Live {
    child: Child,
}

impl Live {
    /// Ends it as systemd does.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill can be run");
        assert!(asked.success());
        let ended = self.ended().await;
        assert!(ended.success(), "{ended}");
    }

    /// Has it read its configuration again, as a person does who knows the process only.
    pub(crate) async fn hang_up(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        let asked = Command::new("kill").args(["-HUP", &pid]).status().await.expect("kill can be run");
        assert!(asked.success());
    }

    /// Ends it as a power cut does.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().expect("it is our child");
        assert_eq!(self.ended().await.signal(), Some(9));
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("it is our child")
    }

    /// Waits until it has died by itself, doing this again and again meanwhile.
    pub(crate) async fn dies(mut self, mut meanwhile: impl AsyncFnMut()) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.has_ended() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the daemon does not die");
            meanwhile().await;
            sleep(TICK).await;
        }
    }
}

/// Tells whether a person wants to look at what a test leaves behind, and at the sales that it made.
fn keep() -> bool {
    std::env::var_os("EVENKEEL_TEST_KEEP").is_some()
}

/// Returns a directory, and an address that nobody listens on.
fn fresh() -> (TempDir, String) {
    let mut dir = tempfile::tempdir().expect("a directory");
    dir.disable_cleanup(keep());
    (dir, free_address())
}

/// Returns an address of our own for a daemon that starts again and again: below the ports that the kernel gives to whoever
/// asks for any, so that nothing else takes it between two lives.
fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let mut ports = (0..12_000).map(|_| 20_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 12_000);
    let free =
        ports.find_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok()?.local_addr().ok());
    free.expect("loopback has a free port").to_string()
}

/// Returns the binary with nothing that the environment adds.
pub(crate) fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    for name in ["EVENKEEL_CONFIG", "EVENKEEL_SOCKET", "EVENKEEL_CRASH_AT"] {
        command.env_remove(name);
    }
    command.kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn run(command: &mut Command) -> Told {
    let output = timeout(PATIENCE, command.stdin(Stdio::null()).output()).await;
    let output = output.expect("it ends in time").expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Writes a file and returns its path as text.
pub(crate) fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}
