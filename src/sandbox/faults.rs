//! What goes wrong, and how often. A [`FaultSpec`] turns one dial; the same text works as a start option and at run
//! time. Deciding happens here, doing (delaying, refusing, cutting) in `serve` and in the webhook mailer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::options::Span;

mod poison;
mod spec;

pub use poison::Poison;
pub(super) use poison::{Asked, holds};

/// One turn of one dial, written as `amazon-outage=20s`, `shopify-errors=5%`, `latency=50ms..200ms`,
/// `webhooks-dropped=5%`.
///
/// Without a system's name, `errors`, `lost-answers`, `throttled`, `latency` and `outage` hold for all four systems.
/// An outage may start later: `amazon-outage=20s@5s`. `rival=2s` lets another writer change a random quantity every two
/// seconds. `shopify-rush=SKU` has a shopper buy one of the SKU just before each write that compares what is shown of it.
/// `poison=SKU` spoils every write that holds the SKU. `feeds-stuck=100%` keeps Amazon's feeds in the queue. `=off` takes a
/// fault back; `none` takes all back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FaultSpec {
    Outage {
        on: Target,
        lasts: Duration,
        after: Duration,
    },
    Errors {
        on: Target,
        share: f64,
    },
    LostAnswers {
        on: Target,
        share: f64,
    },
    Throttled {
        on: Target,
        share: f64,
    },
    Latency {
        on: Target,
        ms: Span,
    },
    WebhooksDropped {
        share: f64,
    },
    WebhooksDuplicated {
        share: f64,
    },
    WebhooksReordered {
        share: f64,
    },
    /// What becomes of Amazon's feeds.
    Feeds {
        kind: FeedFault,
        share: f64,
    },
    /// `None` takes back all of the kind.
    Poison {
        on: Target,
        kind: Poison,
        sku: Option<String>,
    },
    /// `None` stops the rush.
    Rush {
        sku: Option<String>,
    },
    /// `None` stops the rival.
    Rival {
        on: Target,
        every: Option<Duration>,
    },
    None,
}

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault `{text}`: {reason}")]
pub struct BadFault {
    pub text: String,
    pub reason: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    Shopify,
    Amazon,
    Erp,
    /// What Amazon's notifications come by.
    Queue,
}

impl System {
    pub(super) const ALL: [System; 4] = [System::Shopify, System::Amazon, System::Erp, System::Queue];
}

/// Which systems a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    All,
    One(System),
}

impl Target {
    fn covers(self, system: System) -> bool {
        match self {
            Target::All => true,
            Target::One(one) => one == system,
        }
    }
}

impl FaultSpec {
    /// Reads one fault.
    pub fn parse(text: &str) -> Result<FaultSpec, BadFault> {
        spec::parse(text)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Dials {
    latency_ms: Option<Span>,
    errors: f64,
    lost_answers: f64,
    throttled: f64,
    /// From, until.
    outage_ms: Option<(i64, i64)>,
    rival_every_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct WebhookDials {
    pub(super) dropped: f64,
    pub(super) duplicated: f64,
    pub(super) reordered: f64,
}

/// What goes wrong with feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedFault {
    /// They are not begun with.
    Stuck,
    /// They are given up half-way.
    Fatal,
    /// Messages are refused.
    Refused,
    /// Messages are accepted, and nothing comes of them.
    Ignored,
}

impl FeedFault {
    pub(super) const ALL: [(FeedFault, &str); 4] = [
        (FeedFault::Stuck, "feeds-stuck"),
        (FeedFault::Fatal, "feeds-fatal"),
        (FeedFault::Refused, "feeds-refused"),
        (FeedFault::Ignored, "feeds-ignored"),
    ];
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct FeedDials {
    pub(super) stuck: f64,
    pub(super) fatal: f64,
    pub(super) refused: f64,
    pub(super) ignored: f64,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fate {
    pub(super) delay: Duration,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Served,
    /// The connection is cut before anything was done.
    CutBefore,
    /// A 5xx before anything was done.
    Refused,
    Throttled,
    /// Done, and then the connection is cut.
    LostAnswer,
}

pub(super) struct Faults {
    dials: [Dials; 4],
    pub(super) webhooks: WebhookDials,
    pub(super) feeds: FeedDials,
    poisons: poison::Poisons,
    /// What shoppers are quicker to buy than Shopify is to compare, by its SKU.
    rush: Option<String>,
    dice: Dice,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Faults {
        Faults {
            dials: [Dials::default(); 4],
            webhooks: WebhookDials::default(),
            feeds: FeedDials::default(),
            poisons: poison::Poisons::default(),
            rush: None,
            dice: Dice::new(seed, 2),
        }
    }

    pub(super) fn apply(&mut self, spec: &FaultSpec, now_ms: i64) {
        match spec.clone() {
            FaultSpec::Outage { on, lasts, after } => {
                let from = now_ms + millis(after);
                let window = (!lasts.is_zero()).then_some((from, from + millis(lasts)));
                self.turn(on, |dials| dials.outage_ms = window);
            }
            FaultSpec::Errors { on, share } => self.turn(on, |dials| dials.errors = share),
            FaultSpec::LostAnswers { on, share } => self.turn(on, |dials| dials.lost_answers = share),
            FaultSpec::Throttled { on, share } => self.turn(on, |dials| dials.throttled = share),
            FaultSpec::Latency { on, ms } => {
                self.turn(on, |dials| dials.latency_ms = (ms.max > 0).then_some(ms));
            }
            FaultSpec::WebhooksDropped { share } => self.webhooks.dropped = share,
            FaultSpec::WebhooksDuplicated { share } => self.webhooks.duplicated = share,
            FaultSpec::WebhooksReordered { share } => self.webhooks.reordered = share,
            FaultSpec::Feeds { kind, share } => match kind {
                FeedFault::Stuck => self.feeds.stuck = share,
                FeedFault::Fatal => self.feeds.fatal = share,
                FeedFault::Refused => self.feeds.refused = share,
                FeedFault::Ignored => self.feeds.ignored = share,
            },
            FaultSpec::Poison { on, kind, sku } => self.poisons.apply(on, kind, sku.as_deref()),
            FaultSpec::Rush { sku } => self.rush = sku,
            FaultSpec::Rival { on, every } => {
                let every = every.map(|every| u64::try_from(millis(every)).unwrap_or(u64::MAX).max(1));
                self.turn(on, |dials| dials.rival_every_ms = every);
            }
            FaultSpec::None => {
                self.dials = [Dials::default(); 4];
                self.webhooks = WebhookDials::default();
                self.feeds = FeedDials::default();
                self.poisons.clear();
                self.rush = None;
            }
        }
    }

    fn turn(&mut self, on: Target, change: impl Fn(&mut Dials)) {
        for system in System::ALL {
            if on.covers(system) {
                change(&mut self.dials[system as usize]);
            }
        }
    }

    /// Decides what happens to a request that arrives at `now_ms`.
    pub(super) fn fate(&mut self, system: System, now_ms: i64) -> Fate {
        let dials = self.dials[system as usize];
        let delay = Duration::from_millis(dials.latency_ms.map_or(0, |span| self.dice.within(span)));
        let down = dials.outage_ms.is_some_and(|(from, until)| (from..until).contains(&now_ms));
        // Something that is down answers 503 from a proxy in front of it, or not at all.
        let outcome = if down {
            if self.dice.chance(0.5) { Outcome::CutBefore } else { Outcome::Refused }
        } else if self.dice.chance(dials.errors) {
            Outcome::Refused
        } else if self.dice.chance(dials.throttled) {
            Outcome::Throttled
        } else if self.dice.chance(dials.lost_answers) {
            Outcome::LostAnswer
        } else {
            Outcome::Served
        };
        Fate { delay, outcome }
    }

    pub(super) fn rival_every_ms(&self, system: System) -> Option<u64> {
        self.dials[system as usize].rival_every_ms
    }

    pub(super) fn rush(&self) -> Option<&str> {
        self.rush.as_deref()
    }

    /// The SKUs that spoil requests to a system, and how.
    pub(super) fn poisons(&self, system: System) -> impl Iterator<Item = (Poison, &str)> {
        self.poisons.of(system)
    }

    /// The dials as they stand, for the control API.
    pub(super) fn report(&self) -> serde_json::Value {
        let of = |system: System| {
            let mut dials = serde_json::json!(self.dials[system as usize]);
            let poisons = self.poisons(system).map(|(kind, sku)| format!("{}={sku}", kind.name()));
            dials["poisons"] = poisons.collect();
            if system == System::Shopify {
                dials["rush"] = serde_json::json!(self.rush);
            }
            dials
        };
        serde_json::json!({
            "shopify": of(System::Shopify),
            "amazon": of(System::Amazon),
            "erp": of(System::Erp),
            "queue": of(System::Queue),
            "webhooks": self.webhooks,
            "feeds": self.feeds,
        })
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
