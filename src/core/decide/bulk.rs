//! A lane's bulk: which raises leave as one, what became of them, and what is looked at when it has ended.
//!
//! Only raises go into a bulk: a lower never waits in a queue (I5). A bulk without a definite answer stays open until the
//! channel tells whether it has it.

use std::collections::BTreeMap;

use crate::{
    core::{
        bulk::{self, Act, Bulk, CANCEL_MS, Ended, How, Stage, Told},
        circuit::Allowed,
        command::{Refused, Reply},
        decide::{
            Draft,
            answers::trust_from,
            lane::{Turn, Way},
            suspects::suspect,
        },
        index::{Kind, Work},
        leg::{Event, State as LegState},
        record::{Record, Why},
        state::{ChannelRow, Listing, ListingRef},
    },
    model::{ChannelId, IdKind, Policies, Put, Timestamp, policy::ChannelPolicy, which},
};

/// How many listings of a bulk that has ended one call goes through.
const ENDED_MAX: usize = 500;

impl Draft<'_> {
    pub(super) fn bulk(&mut self, channel: &ChannelId, act: Act) -> Result<Reply, Refused> {
        match act {
            Act::Take { limit, more } => self.take_bulk(channel, limit, more),
            Act::Told(told) => self.bulk_told(channel, told),
        }
    }

    fn take_bulk(&mut self, channel: &ChannelId, limit: usize, more: bool) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        let taking = match self.state.channels.get(channel).and_then(ChannelRow::bulk).cloned() {
            Some(bulk) if bulk.stage == Stage::Taking && more => Some(bulk),
            Some(bulk) if bulk.stage == Stage::Taking => {
                // Whoever put it together is gone, and may have sent it.
                let bulk = Bulk { stage: Stage::Unsure, ..bulk };
                self.emit(Record::BulkTaken { channel: channel.clone(), bulk: bulk.clone() });
                return Ok(Reply::Bulk(bulk::Turn::Ask(bulk)));
            }
            Some(bulk) => return Ok(Reply::Bulk(bulk::Turn::Ask(bulk))),
            None => None,
        };
        self.end_bulked(channel, &policy);
        let due = self.due_for_bulk(channel, &policy, limit, taking.is_some());
        if due.is_empty() {
            return Ok(Reply::Bulk(bulk::Turn::Nothing));
        }
        let mut bulk = taking.unwrap_or(Bulk {
            seq: self.seq,
            at: self.now,
            id: None,
            listings: 0,
            stage: Stage::Taking,
            found: false,
        });
        let puts = self.send_in_bulk(&policies, &policy, due, &mut bulk);
        self.emit(Record::BulkTaken { channel: channel.clone(), bulk });
        Ok(Reply::Bulk(bulk::Turn::Write(puts)))
    }

    /// Returns raises that may go at once, if there are so many that a bulk is worth it, or some are in it already.
    fn due_for_bulk(
        &self,
        channel: &ChannelId,
        policy: &ChannelPolicy,
        limit: usize,
        taking: bool,
    ) -> Vec<ListingRef> {
        let Some(above) = policy.bulk_above.and_then(|above| usize::try_from(above).ok()) else {
            return Vec::new();
        };
        let bulks = self.state.channels.get(channel).and_then(|row| row.bulks.as_deref());
        let too_soon = bulks.is_some_and(|bulks| self.now < bulks.not_before);
        let unended = self.state.index.of(Kind::Bulked, channel).next().is_some();
        let may = self.may_write(channel, policy) && self.allowed(channel) == Allowed::All;
        let blind = !policy.abilities.compare_and_set;
        if !may || !blind || (!taking && (too_soon || unended)) {
            return Vec::new();
        }
        // What waits is not gone through further than to where a bulk would be full.
        let most = above.saturating_add(limit);
        if !taking && self.state.index.raises(channel).take(above.saturating_add(1)).count() <= above {
            return Vec::new();
        }
        let ready = |listing: &&ListingRef| {
            let held = self.state.listing(listing).filter(|held| suspect(self.state, held).is_none());
            matches!(held.and_then(|held| self.turn(policy, held)), Some(((true, _), Turn::Write(_))))
        };
        let ready = self.state.index.raises(channel).take(most).filter(ready);
        let ready: Vec<ListingRef> = ready.cloned().collect();
        if !taking && ready.len() <= above {
            return Vec::new();
        }
        ready.into_iter().take(limit).collect()
    }

    fn send_in_bulk(
        &mut self,
        policies: &Policies,
        policy: &ChannelPolicy,
        due: Vec<ListingRef>,
        bulk: &mut Bulk,
    ) -> Vec<(ListingRef, Put)> {
        let (mut puts, mut nth) = (Vec::with_capacity(due.len()), 0);
        let way = Way::Set { compare: None };
        for listing in due {
            let put = self.send(policies, policy, listing, way, &mut nth, Some(bulk.listings));
            bulk.listings += u32::from(put.is_some());
            puts.extend(put);
        }
        puts
    }

    /// Takes in what became known of the open bulk. What is told of one that is not open any more is left out.
    fn bulk_told(&mut self, channel: &ChannelId, told: Told) -> Result<Reply, Refused> {
        self.known(channel)?;
        let Some(bulk) = self.state.channels.get(channel).and_then(ChannelRow::bulk).cloned() else {
            return Ok(Reply::Done);
        };
        let next = match told {
            Told::Taken { id } => Bulk { id: Some(id), stage: Stage::Queued, ..bulk.clone() },
            Told::Unsure => Bulk { stage: Stage::Unsure, ..bulk.clone() },
            Told::Found { id } => Bulk { id: Some(id), stage: Stage::Queued, found: true, ..bulk.clone() },
            Told::At(stage) => Bulk { stage, ..bulk.clone() },
            Told::Refused(rows) => {
                self.refused_of_bulk(channel, &bulk, rows);
                return Ok(Reply::Done);
            }
            Told::Ended { how, why, again_ms } => {
                let ended = Ended { id: bulk.id, how, why, at: self.now };
                let (channel, not_before) = (channel.clone(), self.now.plus_millis(again_ms.max(0)));
                return self.note(Record::BulkEnded { channel, ended, not_before });
            }
        };
        if next != bulk {
            self.emit(Record::BulkTaken { channel: channel.clone(), bulk: next });
        }
        Ok(Reply::Done)
    }

    /// Parks what the channel refused. A write that was passed over by a newer one since cannot land any more, and its leg
    /// goes on.
    fn refused_of_bulk(&mut self, channel: &ChannelId, bulk: &Bulk, rows: Vec<bulk::Refused>) {
        // Of a bulk that may be another's nothing is believed.
        if bulk.found {
            return;
        }
        let numbers: BTreeMap<u32, ListingRef> = self
            .bulked(channel)
            .flat_map(|listing| {
                let held = self.state.listing(listing).map(|held| &held.writes.unsettled);
                held.into_iter().flatten().filter_map(|write| Some((write.bulk?, listing.clone())))
            })
            .collect();
        for row in rows {
            let named = row
                .sku
                .as_deref()
                .map(|sku| self.state.index.listings(self.state, channel, IdKind::Sku, sku));
            let numbered = row.number.and_then(|number| numbers.get(&number)).cloned();
            // What it calls by its name is that, whatever its number.
            let listing = match (numbered, named) {
                (Some(listing), Some(named)) if named.is_empty() || named.contains(&listing) => Some(listing),
                (Some(listing), None) => Some(listing),
                (_, Some(named)) => named.into_iter().next(),
                (None, None) => None,
            };
            if let Some(listing) = listing {
                self.refused_in_bulk(&listing, row.reason);
            }
        }
    }

    fn refused_in_bulk(&mut self, listing: &ListingRef, reason: String) {
        let Some(held) = self.state.listing(listing).filter(|held| held.writes.in_bulk()) else { return };
        let (now, awaited) = (self.now, is_awaited(held));
        if awaited {
            let event = Event::Rejected { reason: reason.clone() };
            self.advance(listing, event, Why::Rejected, Some(reason), |writes| {
                writes.refused_in_bulk(now, true)
            });
        } else {
            self.learn(listing, Why::Settled, |writes| writes.refused_in_bulk(now, false));
        }
    }

    fn bulked<'a>(&'a self, channel: &'a ChannelId) -> impl Iterator<Item = &'a ListingRef> + 'a {
        let listing =
            |work: &'a Work| if let Work::Bulked { listing, .. } = work { Some(listing) } else { None };
        self.state.index.of(Kind::Bulked, channel).filter_map(listing)
    }

    /// Has the listings of a bulk that is not open any more looked at, in portions: what was in it is to show now, or never,
    /// and may have landed over what was written after it.
    pub(super) fn end_bulked(&mut self, channel: &ChannelId, policy: &ChannelPolicy) {
        if self.state.channels.get(channel).and_then(ChannelRow::bulk).is_some() {
            return;
        }
        let in_flight = |listing: &&ListingRef| {
            let held = self.state.listing(listing);
            held.is_some_and(|held| is_awaited(held) && is_in_flight(held))
        };
        // The answer to what is in flight is about to come.
        let ended = self.bulked(channel).filter(|listing| !in_flight(listing));
        let ended: Vec<ListingRef> = ended.take(ENDED_MAX).cloned().collect();
        let now = self.now;
        let last = self.state.channels.get(channel).and_then(|row| row.bulks.as_ref()?.last.as_ref());
        // What was taken back does not show any more, and it need not be waited for.
        let trust_from = match last.map(|last| last.how) {
            Some(How::Cancelled | How::NotBegun) => now.plus_millis(policy.abilities.stale_ms),
            Some(How::Done | How::Failed | How::Lost) | None => trust_from(&policy.abilities, now),
        };
        let look_at = now.plus_millis(policy.abilities.look_ms);
        for listing in ended {
            let Some(held) = self.state.listing(&listing) else { continue };
            let seen = held.leg.as_ref().is_some_and(|leg| matches!(leg.state, LegState::Confirmed));
            if seen || is_awaited(held) {
                self.advance(&listing, Event::BulkEnded { look_at }, Why::Expected, None, |writes| {
                    writes.bulk_ended(now, trust_from);
                });
            } else {
                self.learn(&listing, Why::Expected, |writes| writes.bulk_ended(now, trust_from));
            }
        }
    }

    /// What was being put together when the process ended may have been sent.
    pub(super) fn restart_bulks(&mut self) {
        let taking = self.state.channels.iter().filter_map(|(channel, row)| {
            let bulk = row.bulk().filter(|bulk| bulk.stage == Stage::Taking)?;
            Some((channel.clone(), Bulk { stage: Stage::Unsure, ..bulk.clone() }))
        });
        for (channel, bulk) in taking.collect::<Vec<_>>() {
            self.emit(Record::BulkTaken { channel, bulk });
        }
    }
}

/// Tells whether what a leg waits for is its write in a bulk.
fn is_awaited(held: &Listing) -> bool {
    let sent = held.leg.as_ref().and_then(|leg| leg.sent());
    sent.is_some_and(|sent| held.writes.bulk_of(sent).is_some())
}

fn is_in_flight(held: &Listing) -> bool {
    held.leg.as_ref().is_some_and(|leg| matches!(leg.state, LegState::InFlight(_)))
}

/// Says what people must know of a bulk that does not get done.
pub(super) fn late(row: &ChannelRow, now: Timestamp) -> Option<String> {
    let bulk = row.bulk().filter(|bulk| bulk.is_stuck(now))?;
    let name = bulk.id.as_ref().map_or("a feed".to_owned(), |id| format!("feed `{id}`"));
    let many = format!("{} {}", bulk.listings, which(bulk.listings, "listing waits", "listings wait"));
    let (stage, hours) = (bulk.stage.name(), now.since(bulk.at) / 3_600_000);
    let helps = match bulk.stage {
        Stage::Queued => format!(
            "it is taken back after {} h, and its quantities are written one by one",
            CANCEL_MS / 3_600_000
        ),
        Stage::Working => {
            "it cannot be taken back: if it stays so, open a case with the channel that names it".to_owned()
        }
        Stage::Taking | Stage::Unsure => {
            "the channel is asked whether it has it; see that it answers, in `evenkeel status`".to_owned()
        }
    };
    Some(format!(
        "{name} is {stage} for more than {hours} h and {many} for it to be raised, while what is lower goes at once: {helps}; see \
         `evenkeel status`"
    ))
}
