//! Reads everything that a channel lists: binds what is new, and finds where it shows something else than it should.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::Clock,
    connectors::{Connector, Fault},
    core::{Command, Reply},
    engine::{
        feed::{Error, pause_after},
        ledger::{self, Ledger},
    },
    model::ChannelId,
};

/// The most pages of one catalogue.
const PAGES_MAX: usize = 10_000;

pub struct Reconcile {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub ticks: mpsc::Receiver<()>,
}

impl Reconcile {
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut failures: u32 = 0;
        loop {
            // What was missed is not left to the next turn, which may be a day off.
            let missed = failures > 0;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = std::future::ready(()), if missed => {}
                Some(()) = self.ticks.recv() => {}
            }
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                done = read_catalogue(self.connector.as_ref(), &self.ledger, self.clock.as_ref(), &self.channel) => done,
            };
            match done {
                Ok((bound, unmatched)) => {
                    failures = 0;
                    info!(channel = %self.channel, bound, unmatched, "catalogue read");
                }
                Err(Error::Ledger(ledger::Error::Stopped)) => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    warn!(channel = %self.channel, %error, failures, "could not read the catalogue");
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(pause_after(&error, failures).max(Duration::from_secs(1))) => {}
                    }
                }
            }
        }
    }
}

/// Reads a channel's catalogue page by page. Returns how many items are bound to a SKU, and how many are not.
pub async fn read_catalogue(
    connector: &dyn Connector,
    ledger: &Ledger,
    clock: &dyn Clock,
    channel: &ChannelId,
) -> Result<(usize, usize), Error> {
    let (mut all_bound, mut all_unmatched) = (0, 0);
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let read_at = clock.now();
        let page = connector.catalogue(after.as_ref()).await?;
        let page_of =
            Command::Catalogue { channel: channel.clone(), read_at, items: page.items, unread: page.unread };
        if let Reply::Catalogue { bound, unmatched } = ledger.submit(page_of).await? {
            all_bound += bound;
            all_unmatched += unmatched;
        }
        match page.next {
            None => {
                ledger.submit(Command::Catalogued { channel: channel.clone() }).await?;
                ledger.submit(Command::Swept { channel: channel.clone() }).await?;
                return Ok((all_bound, all_unmatched));
            }
            Some(next) if after.as_ref() == Some(&next) => return Err(Error::Loops),
            Some(next) => after = Some(next),
        }
    }
    Err(Error::Fault(Fault::Malformed(format!("more than {PAGES_MAX} pages of a catalogue"))))
}
