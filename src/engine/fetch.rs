//! Orders that must be fetched one by one. One that cannot be read waits longer and longer between its tries and
//! holds up nothing else; it stays wanted until it was read, the channel does not know it, or a person gives it up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;
use tracing::warn;

use crate::{
    connectors::Fault,
    core::{
        Command, State,
        decide::lane::read_wanted,
        index::{Kind, Work},
        state::FETCHED,
    },
    engine::{
        feed::{Error, Feed},
        ledger,
    },
    model::{ChannelId, OrderId},
};

/// The most orders fetched one by one between two reads of the feed.
const FETCHES_MAX: usize = 50;
/// The pause after an order's first failed try, and the longest one.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(15 * 60);
/// After how many answers in a row that could not be read people are told: the first may have been cut on its way.
const TOLD_AFTER: u32 = 3;

/// What of a channel's orders is worth reading now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    /// Single orders, which need no read of the feed.
    Orders,
    /// The feed.
    Read,
}

/// The orders that could not be read, and when each is worth another try. Lost at a restart, which costs one try each.
#[derive(Debug, Default)]
pub struct Unread(BTreeMap<OrderId, Tries>);

#[derive(Debug)]
struct Tries {
    failures: u32,
    /// Answers in a row that could not be read.
    unreadable: u32,
    again: Instant,
}

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the orders whose turn has not come.
    fn waiting(&self) -> BTreeSet<OrderId> {
        let now = Instant::now();
        self.0.iter().filter(|(_, tries)| tries.again > now).map(|(order, _)| order.clone()).collect()
    }

    /// Notes a failed try. Returns whether people must be told of the order.
    fn failed(&mut self, order: &OrderId, fault: &Fault) -> bool {
        let fresh = Tries { failures: 0, unreadable: 0, again: Instant::now() };
        let tries = self.0.entry(order.clone()).or_insert(fresh);
        let asked = if let Fault::Throttled { retry_after } = fault { *retry_after } else { Duration::ZERO };
        tries.again = Instant::now() + (AGAIN * 2_u32.pow(tries.failures.min(10))).min(AGAIN_MAX).max(asked);
        tries.failures = tries.failures.saturating_add(1);
        tries.unreadable = if is_its_own(fault) { tries.unreadable.saturating_add(1) } else { 0 };
        tries.unreadable >= TOLD_AFTER
    }
}

/// Tells whether a fault speaks of the one order that was asked for. Any other may be the channel's.
fn is_its_own(fault: &Fault) -> bool {
    match fault {
        Fault::Malformed(_) | Fault::Refused(_) | Fault::NotOffered(_) => true,
        Fault::Timeout(_)
        | Fault::Disconnected(_)
        | Fault::Server { .. }
        | Fault::Throttled { .. }
        | Fault::Unauthorized(_) => false,
    }
}

/// Returns the orders of a channel that must be fetched.
fn wanted<'a>(state: &'a State, channel: &'a ChannelId) -> impl Iterator<Item = &'a OrderId> {
    state
        .index
        .of(Kind::Fetch, channel)
        .filter_map(|work| if let Work::Fetch { order, .. } = work { Some(&order.order) } else { None })
}

impl Feed {
    /// Tells what would let something go on that waits for it.
    pub(super) async fn wanted(&self, unread: &Unread) -> Wanted {
        let (channel, now, waiting) = (self.channel.clone(), self.clock.now(), unread.waiting());
        let any = move |state: &State| {
            if read_wanted(state, &channel, now) {
                Wanted::Read
            } else if wanted(state, &channel).any(|order| !waiting.contains(order)) {
                Wanted::Orders
            } else {
                Wanted::Nothing
            }
        };
        self.ledger.read(any).await.unwrap_or(Wanted::Nothing)
    }

    /// Fetches the orders whose turn it is.
    pub(super) async fn fetch_due(&self, unread: &mut Unread) -> Result<(), ledger::Error> {
        let (channel, waiting) = (self.channel.clone(), unread.waiting());
        let split = move |state: &State| {
            let due = wanted(state, &channel).filter(|order| !waiting.contains(order)).take(FETCHES_MAX);
            let due: Vec<OrderId> = due.cloned().collect();
            let still: BTreeSet<OrderId> =
                wanted(state, &channel).filter(|order| waiting.contains(order)).cloned().collect();
            (due, still)
        };
        let (due, still) = self.ledger.read(split).await?;
        unread.0.retain(|order, _| still.contains(order) || due.contains(order));
        for order in due {
            let fault = match self.fetch(&order).await {
                Ok(()) => {
                    unread.0.remove(&order);
                    continue;
                }
                Err(Error::Fault(fault)) => fault,
                Err(Error::Ledger(error)) => return Err(error),
                Err(error @ (Error::Loops | Error::Unbounded | Error::Unended)) => {
                    Fault::Malformed(error.to_string())
                }
            };
            warn!(channel = %self.channel, %order, %fault, "could not fetch an order; it is tried again");
            if unread.failed(&order, &fault) {
                let (why, id) = (fault.to_string(), Some(order.to_string()));
                self.quarantine.keep(&self.channel, FETCHED, id, &why, why.as_bytes()).await?;
            }
            if !is_its_own(&fault) {
                // The others would meet the same; their turn comes with the next read.
                break;
            }
        }
        Ok(())
    }

    async fn fetch(&self, order: &OrderId) -> Result<(), Error> {
        let begun = self.ledger.seq();
        let (channel, read) = (self.channel.clone(), self.connector.order(order).await?);
        let command = match read {
            Some(read) => Command::Orders { channel, begun, orders: vec![read] },
            None => Command::NoOrder { channel, order: order.clone() },
        };
        match self.ledger.submit(command).await {
            Ok(_) => Ok(()),
            Err(ledger::Error::Refused(reason)) => Err(Fault::Malformed(reason.to_string()).into()),
            Err(error) => Err(error.into()),
        }
    }
}
