//! Tells people: one ERROR line in the log and one POST for each alert, and again when it is over. What is open at a start was
//! told when it began: the log says so once, as a warning.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
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
    model::{Instance, Seq, Timestamp},
    telemetry::Metrics,
    web::view::Time,
};

const TICK: Duration = Duration::from_secs(1);
/// How many alerts are posted in one go.
const AT_ONCE: usize = 20;
/// How many that are open at a start have a line in the log each.
const OPEN: usize = 10;

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
    pub logged: Logged,
}

/// The alerts that fire.
type Firing = BTreeMap<AlertKey, Alert>;

/// What the log was told of each alert. It outlives a reload; nothing before the first look.
#[derive(Clone, Default)]
pub struct Logged(Arc<Mutex<Option<Known>>>);

/// How many things waited, and the latest question, as the log was told.
type Known = BTreeMap<AlertKey, (usize, Seq)>;

/// What the log is to be told.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// It began, or grew.
    Raised(AlertKey, String),
    /// It began before this start.
    Open(AlertKey, String),
    /// So many did.
    Many(String),
    Over(AlertKey),
}

impl Logged {
    /// Returns what the log is to be told of what fires, and keeps that it was.
    fn lines(&self, firing: &Firing) -> Vec<Line> {
        // What a panic left behind is whole: every change is a single step.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(logged) = held.as_mut() else {
            *held =
                Some(firing.iter().map(|(key, alert)| (key.clone(), (alert.waiting, alert.about))).collect());
            return open(firing);
        };
        let mut lines = Vec::new();
        for (key, Alert { text, waiting, about, .. }) in firing {
            let before = logged.insert(key.clone(), (*waiting, *about));
            if before.is_none_or(|(before, told)| before < *waiting || told < *about) {
                lines.push(Line::Raised(key.clone(), text.clone()));
            }
        }
        logged.retain(|key, _| {
            let still = firing.contains_key(key);
            if !still {
                lines.push(Line::Over(key.clone()));
            }
            still
        });
        lines
    }
}

/// Returns what the log is told of the alerts that are open at a start.
fn open(firing: &Firing) -> Vec<Line> {
    if firing.len() > OPEN {
        let oldest = firing.values().map(|alert| alert.raised_at).min().unwrap_or(Timestamp::ZERO);
        let many = format!(
            "{} alerts are open since before this start, the oldest since {}: `evenkeel alerts` lists them",
            firing.len(),
            Time(oldest)
        );
        return vec![Line::Many(many)];
    }
    let one = |(key, alert): (&AlertKey, &Alert)| {
        Line::Open(key.clone(), format!("open since {}: {}", Time(alert.raised_at), alert.text))
    };
    firing.iter().map(one).collect()
}

impl Alerter {
    /// Judges and tells until `shutdown`, each at its own pace: where alerts go may hang for minutes.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::join!(self.judge(&shutdown), self.tell(&shutdown));
    }

    async fn judge(&self, shutdown: &CancellationToken) {
        // Before anything is judged, only what was open at the last stop is there.
        if self.log().await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
            if matches!(self.ledger.submit(Command::Tick).await, Err(Error::Stopped)) {
                return;
            }
            if self.log().await.is_err() {
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

    /// Writes one line for each alert that began, grew or ended since the last call; at a start, of what is open.
    async fn log(&self) -> Result<(), Error> {
        let firing: Firing = self
            .ledger
            .read(|state| {
                let firing = state.alerts.iter().filter(|(_, alert)| alert.firing);
                firing.map(|(key, alert)| (key.clone(), alert.clone())).collect()
            })
            .await?;
        self.metrics.set_alerts_firing(firing.len());
        for line in self.logged.lines(&firing) {
            match line {
                Line::Raised(key, text) => {
                    error!(alert = key.kind.name(), subject = %key.subject, runbook = self.link(&key), "{text}");
                }
                Line::Open(key, text) => {
                    warn!(alert = key.kind.name(), subject = %key.subject, runbook = self.link(&key), "{text}");
                }
                Line::Many(text) => warn!("{text}"),
                Line::Over(key) => info!(alert = key.kind.name(), subject = %key.subject, "recovered"),
            }
        }
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
            let Alert { firing, waiting, about, .. } = alert;
            self.ledger.submit(Command::AlertSent { key, firing, told: (waiting, about), sent }).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::AlertKind;

    /// Alerts of this many channels; of each, so many things wait.
    fn firing(channels: usize, waiting: usize) -> Firing {
        let one = |n: usize| {
            let key = AlertKey { kind: AlertKind::Quarantine, subject: format!("shop{n:02}") };
            let at = Timestamp::from_millis(i64::try_from(n).expect("few") * 1_000);
            let alert = Alert {
                text: format!("{waiting} wait"),
                waiting,
                about: Seq::ZERO,
                raised_at: at,
                changed_at: at,
                firing: true,
                told: None,
                tries: 0,
                send_at: None,
            };
            (key, alert)
        };
        (0..channels).map(one).collect()
    }

    fn key(n: usize) -> AlertKey {
        AlertKey { kind: AlertKind::Quarantine, subject: format!("shop{n:02}") }
    }

    #[test]
    fn what_is_open_at_a_start_is_told_once_with_its_begin_and_what_begins_then_as_ever() {
        let logged = Logged::default();
        let open = |n: usize| Line::Open(key(n), format!("open since 1970-01-01T00:00:0{n}.000Z: 1 wait"));
        assert_eq!(logged.lines(&firing(2, 1)), [open(0), open(1)]);
        assert_eq!(logged.lines(&firing(2, 1)), []);
        // After a reload the same is known.
        let logged = logged.clone();
        let raised = |n: usize, waiting: usize| Line::Raised(key(n), format!("{waiting} wait"));
        assert_eq!(logged.lines(&firing(3, 1)), [raised(2, 1)]);
        assert_eq!(logged.lines(&firing(2, 2)), [raised(0, 2), raised(1, 2), Line::Over(key(2))]);
        assert_eq!(logged.lines(&firing(3, 2)), [raised(2, 2)]);
    }

    #[test]
    fn where_nothing_is_open_at_a_start_all_that_comes_is_new() {
        let logged = Logged::default();
        assert_eq!(logged.lines(&firing(0, 1)), []);
        assert_eq!(logged.lines(&firing(1, 1)), [Line::Raised(key(0), "1 wait".to_owned())]);
    }

    #[test]
    fn very_many_that_are_open_at_a_start_are_one_line() {
        let logged = Logged::default();
        let [Line::Many(text)] = &logged.lines(&firing(11, 1))[..] else { panic!("one line") };
        assert_eq!(
            text,
            "11 alerts are open since before this start, the oldest since 1970-01-01T00:00:00.000Z: `evenkeel alerts` \
             lists them"
        );
        assert_eq!(logged.lines(&firing(10, 1)), [Line::Over(key(10))]);
    }
}
