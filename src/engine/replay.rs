//! What was quarantined is read again: by the connector as it is today, with the configuration of today.
//!
//! Where the body is kept, it is parsed again. An order that had to be fetched, or whose body is gone, is read from its
//! channel. A count is never taken from an old body: the counter is asked anew.

use std::sync::Arc;

use tracing::info;

use crate::{
    connectors::Fact,
    core::{
        Command, Reply,
        state::{COUNTS, FETCHED, Note, Quarantined, READ},
    },
    engine::{channels::Channels, handles::Handles, ledger},
    model::{Identifiers, OrderId, OrderSnapshot, Seen, Seq},
    web::{Failure, view::ReplayedItem},
};

/// What an entry tells, now that it can be read.
#[derive(Default)]
struct Read {
    orders: Vec<OrderSnapshot>,
    fetch: Vec<OrderId>,
    look: Vec<Identifiers>,
    /// Since when it is known, if it was read from the channel just now.
    begun: Option<Seq>,
    /// The counter is to be asked again.
    sweep: bool,
    told: String,
}

impl Handles {
    /// Reads an entry again. Where that fails it stays, for the new reason.
    pub(super) async fn reread(&self, id: Seq, dry_run: bool) -> Result<ReplayedItem, Failure> {
        let item = self.ledger.read(move |state| state.quarantine.get(&id).cloned()).await?;
        let item = item.ok_or_else(|| {
            Failure::Refused(crate::core::Refused::Nothing(format!("quarantined item `{id}`")))
        })?;
        let read = self.read_again(&item).await?;
        let told = |done: bool, told: String| ReplayedItem {
            id,
            channel: item.channel.clone(),
            topic: item.topic.clone(),
            done,
            told,
        };
        let read = match read {
            Ok(read) if dry_run => return Ok(told(true, format!("it can be read: {}", read.told))),
            Ok(read) => read,
            Err(why) if dry_run => return Ok(told(false, why)),
            Err(why) => {
                self.ledger.submit(Command::Unreplayed { id, why: why.clone() }).await?;
                return Ok(told(false, why));
            }
        };
        let said = read.told.clone();
        match self.take_in(id, &item, read).await {
            Ok(()) => Ok(told(true, said)),
            Err(ledger::Error::Refused(refused)) => {
                let why = refused.to_string();
                self.ledger.submit(Command::Unreplayed { id, why: why.clone() }).await?;
                Ok(told(false, why))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn take_in(&self, id: Seq, item: &Quarantined, read: Read) -> Result<(), ledger::Error> {
        let Read { orders, fetch, look, begun, sweep, told } = read;
        let seen = begun.map_or(Seen::Pushed, |begun| Seen::Fetched { begun });
        let reply = self.ledger.submit(Command::Replay { id, orders, fetch, look, seen }).await?;
        if let (Reply::Pushed { look }, Some(hints)) = (reply, self.channels.hints(&item.channel)) {
            for hint in look {
                // A full lane finds out by itself, at the next reconcile.
                drop(hints.try_send(hint));
            }
        }
        if let Some(wakes) = self.wakes.channel(&item.channel) {
            wakes.feed.notify_one();
            if sweep {
                wakes.sweep.notify_one();
            }
        }
        info!(%id, channel = %item.channel, topic = item.topic, told, "a quarantined item was read again");
        self.opening.quarantine.forget(&item.sha256).await
    }

    /// Gives an entry up, with its body.
    pub(super) async fn give_up(&self, id: Seq, note: Note) -> Result<(), Failure> {
        let body = self.ledger.read(move |s| s.quarantine.get(&id).map(|item| item.sha256.clone())).await?;
        info!(%id, by = note.by, reason = note.reason, "a quarantined item is given up");
        self.ledger.submit(Command::Unquarantine { id, note }).await?;
        if let Some(body) = body {
            self.opening.quarantine.forget(&body).await?;
        }
        Ok(())
    }

    /// Returns what an entry tells, or why it still cannot be read.
    async fn read_again(&self, item: &Quarantined) -> Result<Result<Read, String>, Failure> {
        let kept = self.opening.quarantine.body(&item.sha256).await;
        let kept = kept.map_err(|error| Failure::Failed(format!("its body cannot be read: {error}")))?;
        let order = item.id.as_deref().filter(|_| item.holds_orders()).map(OrderId::new);
        Ok(match (item.topic.as_str(), kept, order) {
            (COUNTS, ..) => Ok(Read {
                sweep: true,
                told: "the counter is asked again for all it holds".to_owned(),
                ..Read::default()
            }),
            // What is kept of these is only what went wrong.
            (FETCHED, _, Some(Ok(order))) => self.fetch(&self.channels, item, &order).await,
            (_, Some(body), _) => self.parse(&self.channels, item, &body),
            (READ, None, Some(Ok(order))) => self.fetch(&self.channels, item, &order).await,
            (_, None, _) => Err(GONE.to_owned()),
        })
    }

    fn parse(&self, channels: &Channels, item: &Quarantined, body: &[u8]) -> Result<Read, String> {
        let connector = channels.connector(&item.channel);
        let connector = connector.ok_or_else(|| format!("channel `{}` is not configured", item.channel))?;
        let mut read = Read::default();
        for fact in connector.reread(&item.topic, body)? {
            match fact {
                Fact::Order(order) => read.orders.push(order),
                Fact::Fetch(order) => read.fetch.push(order),
                Fact::Look(ids) => read.look.push(ids),
                // The feed is read again after every one, the channel is tended by itself, and what lies in its own warehouses
                // is read now and then.
                Fact::Changed | Fact::Tend | Fact::Recount(_) => {}
            }
        }
        let named = |what: &str, names: Vec<String>| {
            (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
        };
        let orders = read.orders.iter().map(|order| order.order.to_string()).collect();
        let fetch = read.fetch.iter().map(ToString::to_string).collect();
        let look = read.look.iter().map(ToString::to_string).collect();
        let all = [named("order", orders), named("to be fetched:", fetch), named("to be looked at:", look)];
        let all: Vec<String> = all.into_iter().flatten().collect();
        read.told = if all.is_empty() { "it tells nothing of ours".to_owned() } else { all.join("; ") };
        Ok(read)
    }

    async fn fetch(
        &self,
        channels: &Arc<Channels>,
        item: &Quarantined,
        order: &OrderId,
    ) -> Result<Read, String> {
        let connector = channels.connector(&item.channel);
        let connector = connector.ok_or_else(|| format!("channel `{}` is not configured", item.channel))?;
        let begun = Some(self.ledger.seq());
        match connector.order(order).await {
            Ok(Some(read)) => Ok(Read {
                orders: vec![read],
                begun,
                told: format!("order {order}, as its channel tells it now"),
                ..Read::default()
            }),
            Ok(None) => Err(format!("`{}` knows no order {order} any more; discard it", item.channel)),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

const GONE: &str = "its body is gone (retention.quarantine), and it names no order that could be read instead; \
    `evenkeel poll` reads what changed lately; then discard it";
