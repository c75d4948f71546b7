//! Reads everything that a channel lists: binds what is new, and finds where it shows something else than it should.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::Clock,
    connectors::{Connector, Cursor, Fault},
    core::{Command, Reply},
    engine::{
        feed::{Error, passes, pause_after},
        ledger::{self, Ledger},
        wake::ChannelWakes,
    },
    model::{ChannelId, Timestamp},
};

/// The most pages of one catalogue.
const PAGES_MAX: usize = 10_000;
/// How often in a row a page may fail before the catalogue is begun anew.
const PAGE_TRIES: u32 = 5;
/// How much longer each time it is waited before a catalogue is begun anew that was given up, and at most how often longer.
const ANEW: (Duration, u32) = (Duration::from_secs(60), 15);

pub struct Reconcile {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub wakes: Arc<ChannelWakes>,
    pub ticks: mpsc::Receiver<()>,
}

/// A catalogue that is being read. One that breaks off goes on at its page: a large one is thousands of requests.
#[derive(Debug, Default)]
pub struct Sweep {
    after: Option<Cursor>,
    pages: usize,
    /// How often the page after `after` has failed.
    failures: u32,
    bound: usize,
    unmatched: usize,
}

impl Reconcile {
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (mut failures, mut given_up): (u32, u32) = (0, 0);
        let mut sweep = Sweep::default();
        loop {
            // What was missed is not left to the next turn, which may be a day off.
            let missed = failures > 0;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = std::future::ready(()), if missed => {}
                Some(()) = self.ticks.recv() => {}
                () = self.wakes.reconcile.notified() => {}
            }
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                done = sweep.read(self.connector.as_ref(), &self.ledger, self.clock.as_ref(), &self.channel) => done,
            };
            let error = match done {
                Ok((bound, unmatched)) => {
                    info!(channel = %self.channel, bound, unmatched, "catalogue read");
                    (failures, given_up, sweep) = (0, 0, Sweep::default());
                    continue;
                }
                Err(Error::Ledger(ledger::Error::Stopped)) => return,
                Err(error) => error,
            };
            failures = failures.saturating_add(1);
            let mut pause = pause_after(&error, failures).max(Duration::from_secs(1));
            let pages = sweep.pages;
            if !sweep.goes_on(&error) {
                (sweep, given_up) = (Sweep::default(), given_up.saturating_add(1));
                let (longer, most) = ANEW;
                pause = pause.max(longer * given_up.min(most));
            }
            warn!(
                channel = %self.channel, %error, failures, pages,
                "could not read the catalogue; it goes on in {} s", pause.as_secs()
            );
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

impl Sweep {
    /// Reads on to the catalogue's end, page by page. Returns how many items are bound to a SKU, and how many are not.
    pub async fn read(
        &mut self,
        connector: &dyn Connector,
        ledger: &Ledger,
        clock: &dyn Clock,
        channel: &ChannelId,
    ) -> Result<(usize, usize), Error> {
        while self.pages < PAGES_MAX {
            let asked_at = clock.now();
            let page = connector.snapshot(self.after.as_ref()).await?;
            let age = i64::try_from(page.age.as_millis()).unwrap_or(i64::MAX);
            let read_at = Timestamp::from_millis(asked_at.millis().saturating_sub(age));
            let page_of = Command::Catalogue {
                channel: channel.clone(),
                read_at,
                items: page.items,
                unread: page.unread,
            };
            if let Reply::Catalogue { bound, unmatched } = ledger.submit(page_of).await? {
                self.bound += bound;
                self.unmatched += unmatched;
            }
            match page.next {
                None => {
                    ledger.submit(Command::Catalogued { channel: channel.clone() }).await?;
                    ledger.submit(Command::Swept { channel: channel.clone() }).await?;
                    return Ok((self.bound, self.unmatched));
                }
                Some(next) if self.after.as_ref() == Some(&next) => return Err(Error::Loops),
                Some(next) => (self.after, self.failures) = (Some(next), 0),
            }
            self.pages += 1;
        }
        Err(Error::Fault(Fault::Malformed(format!("more than {PAGES_MAX} pages of a catalogue"))))
    }

    /// Tells whether it may go on at its page after a failure.
    pub(super) fn goes_on(&mut self, error: &Error) -> bool {
        self.failures += 1;
        passes(error) && self.failures < PAGE_TRIES
    }
}
