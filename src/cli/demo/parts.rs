//! The demo's two processes: their configuration, their start, their end.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    cli::{
        Failure,
        client::{Client, part},
        demo::books::{Control, Sale},
        failure::Kind,
    },
    model::ChannelId,
    web::view::{InitDone, InitRequest, ListingView, Outbox, SkuView},
};

/// What the demo shortens, said where its figures are.
pub(super) const NOTES: [&str; 3] = [
    "Amazon's limits are multiplied by 200 and its quantities show after 0.2 to 1.5 s; in life it is minutes to hours",
    "its orders are listed after 0.2 s instead of two minutes and pend for 2 s at most; it tells what a cancelled order was for, \
     which in life it does not always",
    "oversold units are sales that two channels made before they could know of each other; see the README's limits",
];

/// How long a process has to come up or to end.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Setup {
    pub dir: PathBuf,
    pub skus: usize,
    pub seed: u64,
}

/// A child that does not outlive us.
struct Process {
    name: &'static str,
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(super) struct Parts {
    sandbox: Process,
    daemon: Process,
    pub control: Control,
    socket: PathBuf,
    web: String,
}

/// What the daemon says of its work.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub writes: u64,
    pub again: u64,
    pub visible_ms: BTreeMap<String, [i64; 2]>,
}

impl Parts {
    pub(super) async fn start(setup: &Setup) -> Result<Parts, Failure> {
        write(setup, "sandbox.toml", &sandbox_toml(setup))?;
        let (sandbox, addresses) = start_sandbox(setup).await?;
        let control = Control::new(addresses["control"].as_str().unwrap_or_default())?;
        let systems = control.systems().await?;
        let web = free_address()?;
        for (name, secret) in [
            ("shopify-token", &systems["shopify"]["access_token"]),
            ("shopify-webhook", &systems["shopify"]["client_secret"]),
            ("amazon-secret", &systems["amazon"]["client_secret"]),
            ("amazon-refresh", &systems["amazon"]["refresh_token"]),
            ("erp-key", &systems["erp"]["key"]),
        ] {
            write(setup, name, secret.as_str().unwrap_or_default())?;
        }
        write(setup, "evenkeel.toml", &daemon_toml(setup, &systems, &web))?;
        let daemon = start_daemon(setup)?;
        let mut parts = Parts { sandbox, daemon, control, socket: setup.dir.join("evenkeel.sock"), web };
        parts.wait_ready().await?;
        let from = ChannelId::new("erp").map_err(|bad| Failure::new(Kind::Failed, bad))?;
        let _: InitDone = parts.ask("/v1/init/apply", Some(json!(InitRequest { from, at: None }))).await?;
        let hooks = format!("http://{}/webhooks/shopify/shop", parts.web);
        parts.control.webhooks(&hooks).await?;
        parts.wait_known().await?;
        Ok(parts)
    }

    /// Waits until the daemon knows what every channel shows, so that faults strike a shop at work.
    async fn wait_known(&mut self) -> Result<(), Failure> {
        let books = self.control.books().await?;
        let Some(last) = books.skus.last() else { return Ok(()) };
        let path = format!("/v1/skus/{}", part(&last.sku));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.alive()?;
            let view: SkuView = self.ask(&path, None).await?;
            let unknown = |l: &ListingView| l.desired.is_some() && l.base.is_none();
            if !view.listings.iter().any(unknown) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::new(Kind::Failed, format!("the channels were not read within {PATIENCE:?}")))
    }

    async fn wait_ready(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.alive()?;
            if self.ask::<Value>("/v1/status", None).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Failure::new(Kind::Failed, format!("the daemon was not ready within {PATIENCE:?}")))
    }

    /// Asks the daemon; the client blocks, so it is asked on a thread of its own.
    async fn ask<A: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        body: Option<Value>,
    ) -> Result<A, Failure> {
        let (client, path) = (Client::at(self.socket.clone()), path.to_owned());
        let asked = tokio::task::spawn_blocking(move || match body {
            Some(body) => client.post(&path, &body),
            None => client.get(&path),
        });
        asked.await.map_err(anyhow::Error::from)?
    }

    /// Returns how much the daemon still has to do.
    pub(super) async fn waiting(&self) -> Result<usize, Failure> {
        Ok(self.ask::<Outbox>("/v1/outbox?limit=1", None).await?.rows.len())
    }

    /// Fails if one of the two has ended.
    pub(super) fn alive(&mut self) -> Result<(), Failure> {
        for process in [&mut self.sandbox, &mut self.daemon] {
            if let Some(status) = process.child.try_wait()? {
                return Err(Failure::new(Kind::Failed, format!("the {} has ended: {status}", process.name)));
            }
        }
        Ok(())
    }

    /// Collects what the daemon's metrics and the sandbox's books tell.
    pub(super) async fn figures(&self) -> Figures {
        let text = match reqwest::get(format!("http://{}/metrics", self.web)).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        let sum = |with: &dyn Fn(&str) -> bool| {
            let lines = text.lines().filter(|line| line.starts_with("evenkeel_writes_total") && with(line));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
        };
        let again = sum(&|line| !line.contains("\"applied\"") && !line.contains("\"accepted\""));
        let sales = self.control.sales().await.unwrap_or_default();
        Figures { writes: sum(&|_| true), again, visible_ms: visible(&sales) }
    }

    /// Ends both, the daemon first and in an orderly way.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        let Parts { sandbox, mut daemon, .. } = self;
        let pid = daemon.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let begun = Instant::now();
        loop {
            if let Some(status) = daemon.child.try_wait()? {
                drop(sandbox);
                return if status.success() {
                    Ok(())
                } else {
                    Err(Failure::new(Kind::Failed, format!("the daemon ended badly: {status}")))
                };
            }
            if begun.elapsed() > PATIENCE {
                return Err(Failure::new(
                    Kind::Failed,
                    format!("the daemon did not end within {PATIENCE:?}"),
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Proves the journal that the demo left.
pub(super) fn verify(setup: &Setup) -> Result<(), Failure> {
    let store = setup.dir.join("store");
    let output =
        Command::new(own_binary()?).arg("verify").arg("--store").arg(store).arg("--json").output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new(Kind::Disagrees, format!("the journal does not verify: {told}")))
}

/// Returns, for each system, the median and the 99th percentile of the time until a sale elsewhere showed there.
fn visible(sales: &[Sale]) -> BTreeMap<String, [i64; 2]> {
    let mut spans: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for sale in sales {
        for (system, at) in &sale.reflected_ms {
            if let Some(at) = at.filter(|_| *system != sale.channel) {
                spans.entry(system.clone()).or_default().push((at - sale.at_ms).max(0));
            }
        }
    }
    let rank = |spans: &mut Vec<i64>| {
        spans.sort_unstable();
        let at = |percent: usize| spans[(spans.len() * percent / 100).min(spans.len() - 1)];
        [at(50), at(99)]
    };
    spans.into_iter().map(|(system, mut all)| (system, rank(&mut all))).collect()
}

fn own_binary() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?)
}

/// Returns a loopback address that nobody listens on at this moment.
fn free_address() -> Result<String, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn write(setup: &Setup, name: &str, text: &str) -> Result<(), Failure> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(setup.dir.join(name))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

fn log(setup: &Setup, name: &str) -> Result<Stdio, Failure> {
    let path = setup.dir.join(name);
    Ok(OpenOptions::new().create(true).append(true).mode(0o600).open(path)?.into())
}

async fn start_sandbox(setup: &Setup) -> Result<(Process, Value), Failure> {
    let child = Command::new(own_binary()?)
        .args(["sandbox", "--options"])
        .arg(setup.dir.join("sandbox.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log(setup, "sandbox.log")?)
        .spawn()?;
    let mut process = Process { name: "sandbox", child };
    let out =
        process.child.stdout.take().ok_or_else(|| Failure::new(Kind::Failed, "the sandbox has no output"))?;
    let read = tokio::task::spawn_blocking(move || {
        let mut first = String::new();
        BufReader::new(out).read_line(&mut first).map(|_| first)
    });
    let first = read.await.map_err(anyhow::Error::from)??;
    let addresses = serde_json::from_str(&first)
        .map_err(|_| Failure::new(Kind::Failed, "the sandbox did not start; see sandbox.log"))?;
    Ok((process, addresses))
}

fn start_daemon(setup: &Setup) -> Result<Process, Failure> {
    let child = Command::new(own_binary()?)
        .arg("--config")
        .arg(setup.dir.join("evenkeel.toml"))
        .arg("run")
        .stdin(Stdio::null())
        .stdout(log(setup, "daemon.log")?)
        .stderr(log(setup, "daemon.log")?)
        .spawn()?;
    Ok(Process { name: "daemon", child })
}

fn sandbox_toml(setup: &Setup) -> String {
    format!(
        r#"seed = {seed}

[catalogue]
skus = {skus}

[shopify]
webhook_retry_scale = 0.0002

[amazon]
visibility_ms = {{ min = 200, max = 1500 }}
order_lag_ms = 200
pending_ms = {{ min = 300, max = 2000 }}
cancelled_zeroed_share = 0.0
rate_scale = 200.0

[shoppers]
next_step_ms = {{ min = 300, max = 3000 }}
"#,
        seed = setup.seed,
        skus = setup.skus,
    )
}

fn daemon_toml(setup: &Setup, systems: &Value, web: &str) -> String {
    let text = |system: &str, key: &str| systems[system][key].as_str().unwrap_or_default().to_owned();
    let dir = setup.dir.display();
    let location = systems["shopify"]["location_id"].clone();
    let ids = &systems["erp"]["ids"];
    let erp = |key: &str| ids[key].as_str().map_or_else(|| ids[key].to_string(), str::to_owned);
    include_str!("evenkeel.toml")
        .replace("@DIR@", &dir.to_string())
        .replace("@WEB@", web)
        .replace("@SHOP@", &text("shopify", "shop"))
        .replace("@SHOPIFY@", &text("shopify", "base_url"))
        .replace("@LOCATION@", location.to_string().trim_matches('"'))
        .replace("@AMAZON@", &text("amazon", "base_url"))
        .replace("@LWA@", &text("amazon", "lwa_url"))
        .replace("@SELLER@", &text("amazon", "seller_id"))
        .replace("@MARKETPLACE@", &text("amazon", "marketplace_id"))
        .replace("@CLIENT@", &text("amazon", "client_id"))
        .replace("@ERP@", &text("erp", "base_url"))
        .replace("@DATABASE@", &text("erp", "database"))
        .replace("@WAREHOUSE@", &erp("warehouse_code"))
        .replace("@CUSTOMER@", &erp("customer_code"))
}
