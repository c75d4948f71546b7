//! The looks of a lane: what listings show, read by the batch. Where a read of several fails, it is read in parts, so that
//! the one that makes it fail is told from the others (I8).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tracing::warn;

use crate::{
    clock::Clock,
    connectors::{Connector, Fault, Observed},
    core::{Command, state::ListingRef},
    engine::{
        lane::{Hint, health_of},
        ledger::{self, Ledger},
    },
    model::{ChannelId, Identifiers, Timestamp},
    telemetry::Metrics,
};

/// The longest pause after looks that failed.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Into how many parts a read that failed is cut.
const PARTS: usize = 8;
/// After how many parts that failed, and none that did not, it is the channel.
const UNHEARD_MAX: usize = 3;
/// The most reads of one look. What was not reached is due as it was.
const READS_MAX: usize = 32;

/// What a look needs of a lane.
#[derive(Clone)]
pub(super) struct Eyes {
    pub(super) channel: ChannelId,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) ledger: Ledger,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
}

impl Eyes {
    /// Reads listings back. Returns the fault if nothing could be read of several. `turn`: grows with each look that
    /// failed, so that its parts are not read in the same order again.
    async fn look(self, due: Vec<Hint>, turn: usize) -> Result<Option<Fault>, ledger::Error> {
        let whole = due.len();
        let mut open = VecDeque::from([due]);
        let (mut heard, mut unheard, mut failed) = (false, 0, Vec::new());
        for _ in 0..READS_MAX {
            let Some(part) = open.pop_front() else { break };
            let read_at = self.clock.now();
            let ids: Vec<Identifiers> = part.iter().map(|(_, ids)| ids.clone()).collect();
            let fault = match self.connector.read_back(&ids).await {
                Ok(seen) => {
                    heard = true;
                    self.metrics.looked(&self.channel, &seen);
                    let seen = part.into_iter().map(|(listing, _)| listing).zip(seen).collect();
                    self.looked(read_at, seen).await?;
                    continue;
                }
                Err(fault) => fault,
            };
            // Several parts fail, and none does not: it is the channel.
            unheard += usize::from(!heard && part.len() < whole);
            if !of_few(&fault) || (!heard && unheard >= UNHEARD_MAX.min(whole)) {
                return self.failed(fault, None).await.map(Some);
            }
            if part.len() > 1 {
                let mut parts: Vec<_> =
                    part.chunks(part.len().div_ceil(PARTS)).map(<[Hint]>::to_vec).collect();
                let first = turn % parts.len();
                parts.rotate_left(first);
                open.extend(parts);
            } else {
                failed.extend(part.into_iter().map(|(listing, _)| (listing, read_at, fault.clone())));
            }
        }
        for (listing, read_at, fault) in failed {
            if !heard {
                self.failed(fault.clone(), Some(listing.clone())).await?;
            }
            warn!(channel = %self.channel, sku = %listing.sku, %fault, "one listing cannot be read");
            let why = fault.to_string();
            self.looked(read_at, vec![(listing, Observed::Unread { why })]).await?;
        }
        Ok(None)
    }

    async fn looked(
        &self,
        read_at: Timestamp,
        seen: Vec<(ListingRef, Observed)>,
    ) -> Result<(), ledger::Error> {
        let looked = Command::Looked { channel: self.channel.clone(), read_at, seen };
        self.ledger.submit(looked).await.map(drop)
    }

    /// Has it noted what a failed read says of the channel. `alone`: the one listing that was read.
    async fn failed(&self, fault: Fault, alone: Option<ListingRef>) -> Result<Fault, ledger::Error> {
        if let Some(health) = health_of(&fault) {
            let failed = Command::ReadFailed { channel: self.channel.clone(), health, alone };
            self.ledger.submit(failed).await?;
        }
        Ok(fault)
    }
}

/// Tells whether a fault may be about some of the listings that were asked for, and not about the channel as a whole.
fn of_few(fault: &Fault) -> bool {
    match fault {
        Fault::Timeout(_) | Fault::Server { .. } | Fault::Refused(_) | Fault::Malformed(_) => true,
        Fault::Disconnected(_) | Fault::Throttled { .. } | Fault::Unauthorized(_) | Fault::NotOffered(_) => {
            false
        }
    }
}

/// The looks of a lane: what is under way, and whether another one is worth its while.
pub(super) struct Looks {
    eyes: Eyes,
    /// One at most. Dropped with the lane: what was to be looked at is due again after a start.
    under_way: JoinSet<Result<Option<Fault>, ledger::Error>>,
    failures: u32,
    until: Option<Instant>,
}

impl Looks {
    pub(super) fn new(eyes: Eyes) -> Looks {
        Looks { eyes, under_way: JoinSet::new(), failures: 0, until: None }
    }

    /// Waits until the look that is under way has ended; for ever if there is none.
    pub(super) async fn ended(&mut self) {
        match self.under_way.join_next().await {
            Some(ended) => self.note(ended),
            None => std::future::pending().await,
        }
    }

    fn note(&mut self, ended: Result<Result<Option<Fault>, ledger::Error>, JoinError>) {
        match ended {
            Ok(Ok(Some(fault))) => self.failed(&fault),
            Ok(Ok(None)) => self.failures = 0,
            // Whatever keeps the ledger from answering shows at the next take.
            Ok(Err(_)) => {}
            Err(error) => warn!(channel = %self.eyes.channel, %error, "a look did not end"),
        }
    }

    /// Begins a look at what is due, and at what pushes have named, unless one is under way.
    pub(super) fn begin(&mut self, mut due: Vec<Hint>, hinted: &mut Vec<Hint>) -> bool {
        while let Some(ended) = self.under_way.try_join_next() {
            self.note(ended);
        }
        if self.paused() {
            hinted.clear();
            return false;
        }
        if !self.under_way.is_empty() {
            return false;
        }
        due.extend(hinted.drain(..).filter(|hint| !due.contains(hint)).collect::<Vec<_>>());
        if due.is_empty() {
            return false;
        }
        self.under_way.spawn(self.eyes.clone().look(due, usize::try_from(self.failures).unwrap_or(0)));
        true
    }

    fn paused(&self) -> bool {
        self.failures > 0 && self.until.is_some_and(|until| Instant::now() < until)
    }

    fn failed(&mut self, fault: &Fault) {
        self.failures = self.failures.saturating_add(1);
        let pause = match fault {
            Fault::Throttled { retry_after } => *retry_after,
            Fault::Timeout(_)
            | Fault::Disconnected(_)
            | Fault::Server { .. }
            | Fault::Unauthorized(_)
            | Fault::Refused(_)
            | Fault::Malformed(_)
            | Fault::NotOffered(_) => Duration::from_millis(250) * 2_u32.pow(self.failures.min(8)),
        };
        let pause = pause.min(PAUSE_MAX);
        warn!(channel = %self.eyes.channel, %fault, ?pause, "could not read quantities back");
        self.until = Some(Instant::now() + pause);
    }
}
