//! Tells people: one ERROR line in the log and one POST for each alert, and again when it is over.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};
use url::Url;

use crate::{
    core::{
        Command, Reply,
        state::{Alert, AlertKey},
    },
    engine::{
        ledger::{Error, Ledger},
        wake::Wakes,
    },
    model::Instance,
    telemetry::Metrics,
};

const TICK: Duration = Duration::from_secs(1);
/// How many alerts are posted in one go.
const AT_ONCE: usize = 20;

/// Where alerts go.
#[derive(Clone)]
pub struct Target {
    pub url: SecretString,
    pub client: reqwest::Client,
}

pub struct Alerter {
    pub instance: Instance,
    pub ledger: Ledger,
    pub wakes: Arc<Wakes>,
    pub metrics: Arc<Metrics>,
    pub target: Option<Target>,
    pub runbook: Option<Url>,
}

impl Alerter {
    /// Judges and tells until `shutdown`, each at its own pace: where alerts go may hang for minutes.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::join!(self.judge(&shutdown), self.tell(&shutdown));
    }

    async fn judge(&self, shutdown: &CancellationToken) {
        let mut logged: BTreeMap<AlertKey, usize> = BTreeMap::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
            if matches!(self.ledger.submit(Command::Tick).await, Err(Error::Stopped)) {
                return;
            }
            if self.log(&mut logged).await.is_err() {
                return;
            }
        }
    }

    /// A message that is cut off by the shutdown is told again after the start: it is still to be sent.
    async fn tell(&self, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wakes.alerts.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            let sent = tokio::select! {
                () = shutdown.cancelled() => return,
                sent = self.send() => sent,
            };
            if matches!(sent, Err(Error::Stopped)) {
                return;
            }
        }
    }

    /// Writes one line for each alert that began, grew or ended since the last call.
    async fn log(&self, logged: &mut BTreeMap<AlertKey, usize>) -> Result<(), Error> {
        let firing = self
            .ledger
            .read(|state| {
                let firing = state.alerts.iter().filter(|(_, alert)| alert.firing);
                firing.map(|(key, alert)| (key.clone(), alert.clone())).collect::<BTreeMap<_, _>>()
            })
            .await?;
        self.metrics.set_alerts_firing(firing.len());
        for (key, Alert { text, waiting, .. }) in &firing {
            if logged.insert(key.clone(), *waiting).is_none_or(|before| before < *waiting) {
                error!(alert = key.kind.name(), subject = %key.subject, runbook = self.link(key), "{text}");
            }
        }
        logged.retain(|key, _| {
            let still = firing.contains_key(key);
            if !still {
                info!(alert = key.kind.name(), subject = %key.subject, "recovered");
            }
            still
        });
        Ok(())
    }

    async fn send(&self) -> Result<(), Error> {
        let Some(target) = &self.target else { return Ok(()) };
        let take = Command::TakeAlerts { limit: AT_ONCE };
        let Reply::Alerts(due) = self.ledger.submit(take).await? else { return Ok(()) };
        for (key, alert) in due {
            let body = self.body(&key, &alert);
            let sent = match target.post(&body).await {
                Ok(()) => true,
                Err(why) => {
                    debug!(alert = key.kind.name(), %why, "alert not delivered");
                    false
                }
            };
            crate::store::crash::crash_point("after_alert");
            self.metrics.alerted(sent);
            let (firing, waiting) = (alert.firing, alert.waiting);
            self.ledger.submit(Command::AlertSent { key, firing, waiting, sent }).await?;
        }
        Ok(())
    }

    /// Returns the message: text for Slack, and the facts for who reads JSON.
    fn body(&self, key: &AlertKey, alert: &Alert) -> serde_json::Value {
        let (mark, state) = if alert.firing { ("[ALERT]", "firing") } else { ("[RECOVERED]", "recovered") };
        let link = self.link(key).map(|link| format!(" ({link})")).unwrap_or_default();
        let text = format!("{mark} evenkeel {}: {}: {}{link}", self.instance, key.subject, alert.text);
        json!({
            "text": text,
            "instance": self.instance.as_str(),
            "kind": key.kind.name(),
            "subject": key.subject,
            "state": state,
            "since_ms": alert.raised_at.millis(),
            "head": head(&self.ledger),
            "dedup_key": format!("{}/{}/{}", self.instance, key.kind.name(), key.subject),
        })
    }

    fn link(&self, key: &AlertKey) -> Option<String> {
        link(self.runbook.as_ref(), key.kind.name())
    }
}

/// Returns where people read of a kind of alert.
pub(super) fn link(runbook: Option<&Url>, kind: &str) -> Option<String> {
    let mut url = runbook.cloned()?;
    url.set_fragment(Some(kind));
    Some(url.to_string())
}

/// The journal's end, for whoever keeps messages: compared later, it proves that no record is gone.
pub(super) fn head(ledger: &Ledger) -> serde_json::Value {
    let head = ledger.head();
    json!({ "seq": head.seq, "hash": head.hash.to_string() })
}

impl Target {
    /// Posts once, trying briefly again; the outbox tries again later and for ever.
    pub(super) async fn post(&self, body: &serde_json::Value) -> Result<(), String> {
        let once = || async {
            let request = self.client.post(self.url.expose_secret()).json(body);
            let answer = request.send().await.map_err(|e| e.without_url().to_string())?;
            let status = answer.status();
            if status.is_success() { Ok(()) } else { Err(format!("the alert target answered {status}")) }
        };
        once.retry(ExponentialBuilder::default().with_max_times(2)).await
    }
}
