//! Reads everything that a channel lists: binds what is new, and finds where it shows something else than it should.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::Clock,
    connectors::{CataloguePage, Connector, Cursor, Fault},
    core::{Command, Reply},
    engine::{
        feed::{Error, passes, pause_after},
        ledger::{self, Ledger},
        wake::ChannelWakes,
    },
    model::{ChannelId, Identifiers, Timestamp},
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

/// How many listings are read by themselves in one go.
const AGAIN: usize = 20;

/// A catalogue that is being read. One that breaks off goes on at its page: a large one is thousands of requests.
#[derive(Debug, Default)]
pub struct Sweep {
    /// It is read as `catalogue` has it, and not as `snapshot` does.
    by_pages: bool,
    after: Option<Cursor>,
    pages: usize,
    /// The last page was read.
    ended: bool,
    /// Of which a report says other than what is known: they are read before it goes on.
    again: Vec<Identifiers>,
    /// What was read again by now. Several reports may say the same of it.
    reread: BTreeSet<Identifiers>,
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
    /// One that reads page by page, which waits for no report.
    pub fn by_pages() -> Sweep {
        Sweep { by_pages: true, ..Sweep::default() }
    }

    /// Reads on to the catalogue's end, page by page. Returns how many items are bound to a SKU, and how many are not.
    pub async fn read(
        &mut self,
        connector: &dyn Connector,
        ledger: &Ledger,
        clock: &dyn Clock,
        channel: &ChannelId,
    ) -> Result<(usize, usize), Error> {
        while self.pages < PAGES_MAX {
            while !self.again.is_empty() {
                self.read_again(connector, ledger, clock, channel).await?;
            }
            if self.ended {
                ledger.submit(Command::Catalogued { channel: channel.clone() }).await?;
                ledger.submit(Command::Swept { channel: channel.clone() }).await?;
                return Ok((self.bound, self.unmatched));
            }
            let asked_at = clock.now();
            let after = self.after.as_ref();
            let page = if self.by_pages { connector.catalogue(after) } else { connector.snapshot(after) };
            let mut page = page.await?;
            let (rows, next) = (std::mem::take(&mut page.reported), page.next.take());
            if let Reply::Catalogue { bound, unmatched } = take_in(page, asked_at, ledger, channel).await? {
                self.bound += bound;
                self.unmatched += unmatched;
            }
            if !rows.is_empty() {
                let reported = Command::Reported { channel: channel.clone(), rows };
                if let Reply::Reported { bound, unmatched, again } = ledger.submit(reported).await? {
                    self.bound += bound;
                    self.unmatched += unmatched;
                    let reread = &mut self.reread;
                    self.again.extend(again.into_iter().filter(|ids| reread.insert(ids.clone())));
                }
            }
            match next {
                None => self.ended = true,
                Some(next) if self.after.as_ref() == Some(&next) => return Err(Error::Loops),
                Some(next) => (self.after, self.failures) = (Some(next), 0),
            }
            self.pages += 1;
        }
        Err(Error::Fault(Fault::Malformed(format!("more than {PAGES_MAX} pages of a catalogue"))))
    }

    /// Reads some listings by themselves of which a report says other than what is known.
    async fn read_again(
        &mut self,
        connector: &dyn Connector,
        ledger: &Ledger,
        clock: &dyn Clock,
        channel: &ChannelId,
    ) -> Result<(), Error> {
        let asked_at = clock.now();
        let some = &self.again[..self.again.len().min(AGAIN)];
        let page = connector.items(some).await?;
        let read = some.len();
        take_in(page, asked_at, ledger, channel).await?;
        self.again.drain(..read);
        self.failures = 0;
        Ok(())
    }

    /// Tells whether anything was read.
    pub(super) fn is_begun(&self) -> bool {
        self.pages > 0
    }

    /// Tells whether it may go on at its page after a failure.
    pub(super) fn goes_on(&mut self, error: &Error) -> bool {
        self.failures += 1;
        passes(error) && self.failures < PAGE_TRIES
    }
}

/// Has the ledger take in what was read of a catalogue. `asked_at`: our clock when it was asked for.
async fn take_in(
    page: CataloguePage,
    asked_at: Timestamp,
    ledger: &Ledger,
    channel: &ChannelId,
) -> Result<Reply, Error> {
    let age = i64::try_from(page.age.as_millis()).unwrap_or(i64::MAX);
    let read_at = Timestamp::from_millis(asked_at.millis().saturating_sub(age));
    let page =
        Command::Catalogue { channel: channel.clone(), read_at, items: page.items, unread: page.unread };
    Ok(ledger.submit(page).await?)
}
