//! What was quarantined is read again, or given up.

use crate::{
    core::{
        command::{Refused, Reply},
        decide::{Draft, orders::in_range},
        mapping::{Resolved, resolve},
        record::Record,
        state::{FETCHED, Note, Quarantined, READ},
    },
    model::{Identifiers, OrderId, OrderSnapshot, Seen, Seq},
};

impl Draft<'_> {
    fn quarantined(&self, id: Seq) -> Result<Quarantined, Refused> {
        let held = self.state.quarantine.get(&id).cloned();
        held.ok_or_else(|| Refused::Nothing(format!("quarantined item `{id}`")))
    }

    /// Takes in what it tells, and ends it, all in one record.
    pub(super) fn replay(
        &mut self,
        id: Seq,
        orders: &[OrderSnapshot],
        fetch: Vec<OrderId>,
        look: &[Identifiers],
        seen: Seen,
    ) -> Result<Reply, Refused> {
        let item = self.quarantined(id)?;
        let channel = &item.channel;
        self.channel(channel)?;
        in_range(channel, orders)?;
        self.emit(Record::Replayed { id, why: None });
        for order in orders {
            if seen == Seen::Pushed && self.is_to_be_read(channel, order) {
                self.want_fetch(channel, order.order.clone());
                continue;
            }
            self.merge(channel, order, seen);
            // The body is as old as its entry. How the order stands by now, only the channel knows.
            if item.topic == READ && seen == Seen::Pushed {
                self.want_fetch(channel, order.order.clone());
            }
        }
        for order in fetch {
            self.want_fetch(channel, order);
        }
        let known = look.iter().filter_map(|ids| match resolve(self.state, channel, ids) {
            Resolved::Listing(listing) => Some((listing, ids.clone())),
            Resolved::Sku(_) | Resolved::Ambiguous(_) | Resolved::Unknown => None,
        });
        Ok(Reply::Pushed { look: known.collect() })
    }

    pub(super) fn unreplayed(&mut self, id: Seq, why: String) -> Result<Reply, Refused> {
        if self.quarantined(id)?.why == why {
            return Ok(Reply::Duplicate);
        }
        self.note(Record::Replayed { id, why: Some(why) })
    }

    /// Ends the entry, and nothing else.
    pub(super) fn note_quarantine_over(&mut self, id: Seq) -> Result<Reply, Refused> {
        self.quarantined(id)?;
        self.note(Record::Unquarantined { id, note: None })
    }

    /// Gives it up. An order that was given up need not be fetched any more.
    pub(super) fn unquarantine(&mut self, id: Seq, note: Option<Note>) -> Result<Reply, Refused> {
        let item = self.quarantined(id)?;
        self.emit(Record::Unquarantined { id, note });
        match item.id.as_deref().map(OrderId::new) {
            Some(Ok(order)) if item.topic == FETCHED => self.no_order(item.channel, order),
            Some(_) | None => Ok(Reply::Done),
        }
    }
}
