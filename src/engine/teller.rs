//! Tells people beside the journal: of what may keep the journal itself from telling.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;
use tracing::{error, info, warn};
use url::Url;

use crate::{
    engine::{
        alerter::{Target, head, link},
        ledger::Ledger,
    },
    model::Instance,
};

/// Where and how people are told.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) ledger: Ledger,
    pub(super) instance: Instance,
    pub(super) target: Option<Target>,
    pub(super) runbook: Option<Url>,
    /// How often people are told again while it lasts.
    pub(super) repeat: Duration,
    pub(super) told: Told,
}

/// What people were told last, by the kind of condition. It outlives a reload.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<BTreeMap<&'static str, (&'static str, Instant)>>>);

impl Told {
    fn last(&self, kind: &'static str) -> Option<(&'static str, Instant)> {
        self.lock().get(kind).copied()
    }

    fn note(&self, kind: &'static str, state: Option<&'static str>) {
        match state {
            Some(state) => self.lock().insert(kind, (state, Instant::now())),
            None => self.lock().remove(kind),
        };
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, (&'static str, Instant)>> {
        // What a panic left behind is whole: every change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of one condition, which has states of which one is well.
pub(super) struct Teller {
    way: Way,
    kind: &'static str,
    subject: &'static str,
    /// The state that the log was told last.
    logged: Option<&'static str>,
}

impl Teller {
    pub(super) fn new(way: Way, kind: &'static str, subject: &'static str) -> Teller {
        let logged = way.told.last(kind).map(|(state, _)| state);
        Teller { way, kind, subject, logged }
    }

    /// Tells the state of the condition. `None`: all is well. What cannot be posted is tried again with the next call.
    pub(super) async fn tell(&mut self, state: Option<&'static str>, text: &str) {
        if state != self.logged {
            self.logged = state;
            match state {
                None => info!(alert = self.kind, "recovered: {text}"),
                Some(state) => error!(alert = self.kind, state, runbook = self.link(), "{text}"),
            }
        }
        let Some(target) = &self.way.target else { return };
        let told = self.way.told.last(self.kind);
        let again = state.is_some()
            && !self.way.repeat.is_zero()
            && told.is_some_and(|(_, at)| at.elapsed() >= self.way.repeat);
        if state == told.map(|(state, _)| state) && !again {
            return;
        }
        match target.post(&self.body(state.is_none(), text)).await {
            Ok(()) => self.way.told.note(self.kind, state),
            Err(why) => warn!(%why, kind = self.kind, "the alert was not delivered"),
        }
    }

    fn body(&self, over: bool, text: &str) -> serde_json::Value {
        let (mark, state) = if over { ("[RECOVERED]", "recovered") } else { ("[ALERT]", "firing") };
        let Way { instance, ledger, .. } = &self.way;
        let link = self.link().map(|link| format!(" ({link})")).unwrap_or_default();
        json!({
            "text": format!("{mark} evenkeel {instance}: {}: {text}{link}", self.subject),
            "instance": instance.as_str(),
            "kind": self.kind,
            "subject": self.subject,
            "state": state,
            "head": head(ledger),
            "dedup_key": format!("{instance}/{}/{}", self.kind, self.subject),
        })
    }

    fn link(&self) -> Option<String> {
        link(self.way.runbook.as_ref(), self.kind)
    }
}
