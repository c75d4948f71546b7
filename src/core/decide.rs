//! Decides what a command records. Has all the opinions.
//!
//! Each record is applied as soon as it is decided, so later opinions see earlier ones, within a command as well as
//! within a group of commands. The records of one command become durable together, or none does.

mod alerts;
mod answers;
mod assumptions;
mod bulk;
pub mod by_hand;
pub mod catalogue;
pub mod counts;
pub mod drift;
mod fence;
mod ignore;
pub mod intents;
pub mod lane;
pub mod listing;
mod looks;
mod missing;
mod once;
mod operator;
mod orders;
mod oversold;
mod own;
mod postings;
pub mod prune;
mod quarantine;
mod recheck;
pub mod recipes;
mod reported;
mod returns;
pub mod stands;
pub mod survey;
pub mod suspects;
mod tended;
pub mod trial;

use std::{cell::OnceCell, collections::BTreeSet};

use crate::{
    core::{
        apply,
        command::{Command, Refused, Reply},
        decide::own::OwnOf,
        record::{Envelope, Record, VERSION},
        state::{RowKey, State},
    },
    model::{ChannelId, Policies, Seq, Sku, Timestamp, policy::ChannelPolicy},
};

/// Decides a command at `now`. The envelope is `None` if there is nothing to record; otherwise it is already applied
/// and must be made durable before the reply leaves.
pub fn decide(
    state: &mut State,
    command: Command,
    now: Timestamp,
) -> (Option<Envelope>, Result<Reply, Refused>) {
    let (rows, most) = command.rows();
    if rows > most {
        return (None, Err(Refused::TooMany { rows, most }));
    }
    let mut draft = Draft::new(state, now);
    let reply = draft.run(command);
    draft.refresh_concerned();
    draft.drive_intents();
    draft.note_oversold();
    let Draft { records, seq, .. } = draft;
    debug_assert!(reply.is_ok() || records.is_empty(), "a refused command records nothing: {reply:?}");
    if records.is_empty() {
        return (None, reply);
    }
    state.seq = seq;
    state.dirty.insert(RowKey::Meta);
    (Some(Envelope { version: VERSION, at: now, records }), reply)
}

/// A command under way.
struct Draft<'a> {
    state: &'a mut State,
    now: Timestamp,
    /// The position that this command's envelope will have.
    seq: Seq,
    records: Vec<Record>,
    /// The SKUs that sell from other places than before, until everything was refreshed that this concerns.
    sellers: BTreeSet<Sku>,
    /// What the orders of a channel tell of its listings, while its looks are judged.
    own: OnceCell<(ChannelId, Option<OwnOf>)>,
    /// How many orders were taken from the components of bundles that had no recipe when they were sold.
    rebooked: usize,
}

impl Draft<'_> {
    fn new(state: &mut State, now: Timestamp) -> Draft<'_> {
        let (seq, records, sellers) = (state.seq.next(), Vec::new(), BTreeSet::new());
        Draft { seq, state, now, records, sellers, own: OnceCell::new(), rebooked: 0 }
    }

    fn run(&mut self, command: Command) -> Result<Reply, Refused> {
        match command {
            Command::Configure(policies) => self.configure(*policies),
            Command::Start { epoch } => self.start(epoch),
            Command::Restored => self.note(Record::Restored),
            Command::Live => self.live(),
            Command::Push { channel, delivery, orders, fetch, look } => {
                self.push(&channel, &delivery, &orders, fetch, &look)
            }
            Command::Orders { channel, begun, orders } => self.read_orders(&channel, begun, &orders),
            Command::Unread { channel, orders } => self.unread(&channel, orders),
            Command::NoOrder { channel, order } => self.no_order(channel, order),
            Command::Fed { channel, begun, begun_at, through } => {
                self.fed(&channel, begun, begun_at, through)
            }
            Command::FedThrough { channel, through } => self.fed_through(channel, through),
            Command::ReadFailed { channel, health, alone } => self.read_failed(&channel, &health, alone),
            Command::Tended { channel, notices, unsure } => self.tended(channel, notices, &unsure),
            Command::Catalogue { channel, read_at, items, unread } => {
                self.catalogue(&channel, read_at, items, unread)
            }
            Command::Reported { channel, rows } => self.reported(&channel, rows),
            Command::Catalogued { channel } => self.catalogued(channel),
            Command::Looked { channel, read_at, seen } => self.looked(&channel, read_at, seen),
            Command::Swept { channel } => self.note(Record::Swept { channel }),
            Command::Count(count) => self.count(&count),
            Command::CountPart(count) => self.count_part(&count),
            Command::HoldCount { count, why } => self.hold_whole(&count, why),
            Command::CountByHand(count) => self.count_by_hand(&count),
            Command::HoldByHand { count, why } => self.hold_by_hand(&count, why),
            Command::Once { request, command } => self.once(request, *command),
            Command::ReleasePart { id, lines } => self.release_part(id, lines),
            Command::CountedThrough { channel, through } => {
                self.note(Record::CountedThrough { channel, through })
            }
            Command::Initialise => self.initialise(),
            Command::Take { channel, limit, apart } => self.take(&channel, limit, apart),
            Command::Answer { channel, answers } => self.answer(&channel, answers),
            Command::Bulk { channel, act } => self.bulk(&channel, act),
            Command::TakePostings { channel, limit } => self.take_postings(&channel, limit),
            Command::Posted { channel, order, sequence, outcome, found } => {
                self.posted(&channel, &order, sequence, outcome, found)
            }
            Command::Quarantine(item) => self.note(Record::Quarantined { item }),
            Command::Replay { id, orders, fetch, look, seen } => self.replay(id, &orders, fetch, &look, seen),
            Command::Unreplayed { id, why } => self.unreplayed(id, why),
            Command::Unquarantine { id, note } => self.unquarantine(id, Some(note)),
            Command::Ignore { what, ignored, note } => self.ignore_by_hand(what, ignored, note),
            Command::HoldConfig { why } => self.hold_config(why),
            Command::Tick => self.tick(),
            Command::TakeAlerts { limit } => self.take_alerts(limit),
            Command::AlertSent { key, firing, told, sent } => self.alert_sent(&key, firing, told, sent),
            Command::Pause { scope, pause } => self.pause(scope, pause),
            Command::Map { rows } => self.map(rows),
            Command::Unmap { channel, ids } => self.unmap(&channel, &ids),
            Command::Recipes { rows } => self.recipes(rows),
            Command::Merge { from, into } => self.merge_sku(from, into),
            Command::Rebind { channel, ids, sku } => self.rebind_listing(&channel, &ids, &sku),
            Command::Returned { sku, location, quantity, fate, note } => {
                self.returned(&sku, location.as_ref(), quantity, fate, note)
            }
            Command::Drift { sku, channel, listing, seq, act } => {
                self.drift_act(&sku, &channel, &listing, seq, act)
            }
            Command::Dead { letter, verdict } => self.dead(letter, verdict),
            Command::Intend(ask) => self.intend(&ask),
            Command::CancelIntent { id } => self.cancel_intent(id),
            Command::Receive { id, receipt } => self.receive(id, &receipt),
        }
    }

    /// Records and applies.
    fn emit(&mut self, record: Record) {
        apply::one(self.state, self.seq, self.now, &record);
        self.records.push(record);
    }

    fn note(&mut self, record: Record) -> Result<Reply, Refused> {
        self.emit(record);
        Ok(Reply::Done)
    }

    fn policies(&self) -> Result<std::sync::Arc<Policies>, Refused> {
        self.state.policies.clone().ok_or(Refused::NotConfigured)
    }

    fn channel(&self, channel: &ChannelId) -> Result<ChannelPolicy, Refused> {
        let policies = self.policies()?;
        policies.channels.get(channel).cloned().ok_or_else(|| Refused::NoChannel(channel.clone()))
    }

    /// Refuses a channel that is not configured.
    fn known(&self, channel: &ChannelId) -> Result<(), Refused> {
        let known = self.policies()?.channels.contains_key(channel);
        if known { Ok(()) } else { Err(Refused::NoChannel(channel.clone())) }
    }
}

#[cfg(test)]
mod tests;
