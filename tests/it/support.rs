//! A daemon and a sandbox in one process, and the ways to look at both.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use evenkeel::{
    config::{Config, Secrets},
    connectors::Scope,
    core::{Command, State, command::Count, posting::Step},
    engine::{Daemon, reconcile::Sweep},
    model::{ChannelId, CountLine, Measure, Timestamp},
    sandbox::{Options, Running, Sandbox},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up. Nothing waits this long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The sandbox's delays, shortened.
const SHORT: &str = r#"
shopify = { webhook_retry_scale = 0.0001 }
shoppers = { next_step_ms = { min = 50, max = 500 } }
queue = { hidden_scale = 0.02 }

[amazon]
visibility_ms = { min = 50, max = 200 }
order_lag_ms = 50
pending_ms = { min = 100, max = 500 }
rate_scale = 500.0
"#;

/// A sandbox.
pub(crate) struct World {
    _runs: Runs,
    /// Where it is looked at and meddled with.
    control: String,
    client: reqwest::Client,
}

/// What ends the sandbox when it is dropped.
enum Runs {
    Here { _running: Running },
    Apart { _child: Child },
}

impl World {
    /// Starts a sandbox in this process; `change` may alter its options.
    pub(crate) async fn start(change: impl FnOnce(&mut Options)) -> World {
        let mut options: Options = toml::from_str(SHORT).expect("good options");
        options.catalogue.skus = 12;
        options.catalogue.fba_twins = 1;
        change(&mut options);
        let running = Sandbox::start(options).await.expect("the sandbox starts");
        let control = running.addresses().control.to_string();
        World { _runs: Runs::Here { _running: running }, control, client: reqwest::Client::new() }
    }

    /// Starts `evenkeel sandbox` as a process of its own, with these options in addition.
    pub(crate) async fn apart(more: &str) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let options = crate::live::file(dir.path(), "sandbox.toml", &format!("{SHORT}\n{more}"));
        let mut command = crate::live::bare();
        command.args(["sandbox", "--options", &options]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the sandbox starts");
        let mut told = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut first = String::new();
        timeout(PATIENCE, told.read_line(&mut first)).await.expect("it tells in time").expect("text");
        let at: Value = serde_json::from_str(&first).unwrap_or_else(|error| panic!("{error}: {first}"));
        let control = at["control"].as_str().expect("an address").to_owned();
        World { _runs: Runs::Apart { _child: child }, control, client: reqwest::Client::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}/{path}", self.control);
        let answer = self.client.get(url).send().await.expect("the sandbox answers");
        answer.json().await.expect("JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("http://{}/{path}", self.control);
        let answer = self.client.post(url).json(&body).send().await.expect("the sandbox answers");
        let status = answer.status();
        let told: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{path}: {status} {told}");
        told
    }

    /// Asks for something that may be refused, and returns the status.
    pub(crate) async fn try_post(&self, path: &str, body: Value) -> reqwest::StatusCode {
        let url = format!("http://{}/{path}", self.control);
        self.client.post(url).json(&body).send().await.expect("the sandbox answers").status()
    }

    /// Posts a body as it is.
    pub(crate) async fn post_text(&self, path: &str, body: &str) {
        let url = format!("http://{}/{path}", self.control);
        let sent = self.client.post(url).body(body.to_owned()).send().await.expect("the sandbox answers");
        assert!(sent.status().is_success(), "{path}: {}", sent.status());
    }

    /// Returns what the SKUs do not agree on; empty: the books of all systems agree.
    pub(crate) async fn disagreements(&self) -> Vec<String> {
        let books = self.get("books").await;
        let skus = books["skus"].as_array().expect("a list").clone();
        let shown = |sku: &Value, system: &str| sku[system]["shown"].as_i64().unwrap_or(-1).max(0);
        let sets = books["sets"].as_array().expect("a list").iter();
        let sets = sets.filter(|set| set["available"] != shown(set, "shopify"));
        let sets: Vec<String> =
            sets.map(|set| format!("{}: {} {}", set["sku"], set["available"], set["shopify"])).collect();
        let singles = skus
            .iter()
            .filter(|sku| {
                let available = sku["available"].as_i64().unwrap_or(-1).max(0);
                shown(sku, "shopify") != available
                    || shown(sku, "amazon") != available
                    || sku["erp"]["on_hand"] != sku["physical"]
            })
            .map(|sku| {
                format!(
                    "{}: available {} physical {} shopify {} amazon {} erp {}",
                    sku["sku"],
                    sku["available"],
                    sku["physical"],
                    sku["shopify"]["shown"],
                    sku["amazon"]["shown"],
                    sku["erp"]["on_hand"]
                )
            });
        singles.chain(sets).collect()
    }
}

/// A daemon in this process, with a directory of its own.
pub(crate) struct Shop {
    pub daemon: Daemon,
    pub stop: CancellationToken,
    pub dir: TempDir,
}

pub(crate) fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a name")
}

/// Writes a file that only we can read.
pub(crate) fn secret(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    path
}

/// Returns the configuration of a daemon whose channels are the sandbox's.
pub(crate) async fn config(world: &World, dir: &Path) -> String {
    let systems = world.get("systems").await;
    let text = |system: &str, key: &str| systems[system][key].as_str().unwrap_or_default().to_owned();
    secret(dir, "shopify-token", &text("shopify", "access_token"));
    secret(dir, "shopify-webhook", &text("shopify", "client_secret"));
    secret(dir, "amazon-secret", &text("amazon", "client_secret"));
    secret(dir, "amazon-refresh", &text("amazon", "refresh_token"));
    secret(dir, "erp-key", &text("erp", "key"));
    filled(include_str!("../../src/cli/demo/evenkeel.toml"), &systems)
        .replace("@DIR@", &dir.display().to_string())
        .replace("@WEB@", "127.0.0.1:0")
}

/// Fills in where the sandbox's systems are and what they are called.
pub(crate) fn filled(template: &str, systems: &Value) -> String {
    let text = |system: &str, key: &str| systems[system][key].as_str().unwrap_or_default().to_owned();
    let ids = &systems["erp"]["ids"];
    template
        .replace("@SHOP@", &text("shopify", "shop"))
        .replace("@SHOPIFY@", &text("shopify", "base_url"))
        .replace("@LOCATION@", systems["shopify"]["location_id"].to_string().trim_matches('"'))
        .replace("@AMAZON@", &text("amazon", "base_url"))
        .replace("@LWA@", &text("amazon", "lwa_url"))
        .replace("@SELLER@", &text("amazon", "seller_id"))
        .replace("@MARKETPLACE@", &text("amazon", "marketplace_id"))
        .replace("@CLIENT@", &text("amazon", "client_id"))
        .replace("@ERP@", &text("erp", "base_url"))
        .replace("@DATABASE@", &text("erp", "database"))
        .replace("@WAREHOUSE@", ids["warehouse_code"].as_str().unwrap_or_default())
        .replace("@CUSTOMER@", ids["customer_code"].as_str().unwrap_or_default())
}

impl Shop {
    pub(crate) async fn start(world: &World) -> Shop {
        let dir = tempfile::tempdir().expect("a directory");
        let text = config(world, dir.path()).await;
        Shop::with(&text, dir).await
    }

    /// Starts a daemon. With `EVENKEEL_TEST_KEEP` its directory stays, for `evenkeel explain` to be asked.
    pub(crate) async fn with(text: &str, mut dir: TempDir) -> Shop {
        if std::env::var_os("EVENKEEL_TEST_KEEP").is_some() {
            dir.disable_cleanup(true);
            drop(secret(dir.path(), "evenkeel.toml", text));
        }
        let env = Default::default();
        let config = Config::parse("evenkeel.toml", text, &env).unwrap_or_else(|p| panic!("{p}"));
        let secrets = Secrets::load(&config, &env).unwrap_or_else(|p| panic!("{p}"));
        let stop = CancellationToken::new();
        let daemon = Daemon::start(config, secrets, &stop).await.expect("the daemon starts");
        Shop { daemon, stop, dir }
    }

    /// Takes over the ERP's stock.
    pub(crate) async fn open(&self) {
        let clock = evenkeel::clock::SystemClock;
        let erp = channel("erp");
        for name in ["erp", "shop", "market"] {
            let id = channel(name);
            let connector = self.daemon.connectors()[&id].clone();
            let read = Sweep::default().read(connector.as_ref(), self.daemon.ledger(), &clock, &id).await;
            read.expect("a catalogue");
        }
        // All of them: an order that comes before its SKU is opened is one that the ERP may have already.
        let (connector, mut after) = (self.daemon.connectors()[&erp].clone(), None);
        loop {
            let page = connector.counts(&Scope::All, after.as_ref()).await.expect("counts");
            self.count(erp.clone(), page.lines, page.as_of).await;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.daemon.ledger().submit(Command::Initialise).await.expect("initialised");
    }

    async fn count(&self, counter: ChannelId, lines: Vec<CountLine>, as_of: Timestamp) {
        let (measure, begun) = (Measure::OnHand, self.daemon.ledger().seq());
        let count = Count {
            counter,
            measure,
            as_of,
            begun,
            lines,
            opening: true,
            absent: Vec::new(),
            set: Default::default(),
        };
        self.daemon.ledger().submit(Command::Count(count)).await.expect("counted");
    }

    /// What the books do not agree on, and then what the ERP has not been told of, too.
    pub(crate) async fn disagreements(&self, world: &World) -> Vec<String> {
        let mut left = world.disagreements().await;
        if left.is_empty() {
            return left;
        }
        let untold = |state: &State| {
            let open = state.orders.iter().filter(|(_, order)| {
                order.fetch_due.is_some() || order.postings.iter().any(|posting| posting.step != Step::Done)
            });
            open.map(|(key, order)| format!("{key}: {order:?}")).collect::<Vec<_>>()
        };
        left.extend(self.daemon.ledger().read(untold).await.expect("it runs"));
        left
    }

    pub(crate) async fn end(self) -> TempDir {
        let Shop { daemon, stop, dir } = self;
        stop.cancel();
        daemon.run(&stop).await.expect("a clean end");
        dir
    }
}

/// Asks again and again until the answer is empty, and fails with the last one when patience ends.
pub(crate) async fn until_empty<F: Future<Output = Vec<String>>>(what: &str, mut ask: impl FnMut() -> F) {
    let begun = tokio::time::Instant::now();
    loop {
        let left = ask().await;
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: {left:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Returns every change of what a system shows that a client's write made, by the sandbox's own books.
pub(crate) async fn writes(world: &World) -> Vec<Value> {
    let changes = world.get("sales").await["changes"].clone();
    let changes = changes.as_array().expect("a list").iter();
    changes.filter(|change| change["cause"] == "write").cloned().collect()
}

#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("`{value}` is no text"))
}

#[track_caller]
pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("`{value}` is no number"))
}

/// Places an order and returns its id.
pub(crate) async fn order(world: &World, on: &str, sku: &str, quantity: i64) -> String {
    let told =
        world.post("order", json!({"channel": on, "lines": [{"sku": sku, "quantity": quantity}]})).await;
    told["order"].as_str().expect("an id").to_owned()
}

/// Sends a webhook to an address as Shopify does, signed with this secret, and returns the status of the answer.
pub(crate) async fn webhook(to: &str, secret: &str, topic: &str, body: &[u8]) -> u16 {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length");
    mac.update(body);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let sent = reqwest::Client::new()
        .post(to)
        .header("x-shopify-topic", topic)
        .header("x-shopify-hmac-sha256", signature)
        .header("x-shopify-shop-domain", "evenkeel-sandbox.myshopify.com")
        .header("x-shopify-webhook-id", format!("{:032x}", rand::random::<u128>()))
        .body(body.to_vec())
        .send();
    sent.await.expect("the daemon answers").status().as_u16()
}

/// Makes what the set-up script of `tests/support/NAME` makes, below `target` unless told otherwise. `None`, with a message,
/// where this machine cannot; under `CI=true` that is a failure.
pub(crate) fn set_up(name: &str, dir: Option<PathBuf>) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = dir.unwrap_or_else(|| root.join("target").join(name));
    let script = root.join("tests/support").join(name).join("setup.sh");
    let ran = std::process::Command::new("bash").arg(script).arg(&dir).output().expect("bash can be run");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    match ran.status.code() {
        Some(0) => Some(dir),
        Some(77) => {
            let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!must, "under CI the tests that need `{name}` must run: {said}");
            eprintln!("SKIPPED: {said}");
            None
        }
        code => panic!("the set-up of `{name}` failed ({code:?}): {said}"),
    }
}
