//! What leaves as one of a channel's bulk, and what its end makes of it.

use crate::{
    core::{
        leg::Sent,
        writes::{Unsettled, Writes},
    },
    model::{Quantity, Timestamp},
};

impl Writes {
    /// Notes that the write that was counted last leaves as one of a bulk.
    pub fn sending_in_bulk(&mut self, number: u32) {
        if let Some(write) = self.unsettled.last_mut() {
            write.bulk = Some(number);
        }
    }

    /// Tells whether a write of an open bulk may still land.
    pub fn in_bulk(&self) -> bool {
        self.unsettled.iter().any(|write| write.bulk.is_some())
    }

    /// Tells whether a write of an open bulk would make the channel show more than this.
    pub fn bulk_may_land_above(&self, quantity: Quantity) -> bool {
        self.unsettled.iter().any(|write| write.bulk.is_some() && write.quantity > quantity)
    }

    /// Returns the write of an open bulk that left as `sent`.
    pub fn bulk_of(&self, sent: &Sent) -> Option<&Unsettled> {
        self.unsettled.iter().find(|write| write.bulk.is_some() && write.key == sent.key)
    }

    /// The channel refused what left in a bulk: it cannot land. `awaited`: nothing has left since, so what it showed before is
    /// what it shows.
    pub fn refused_in_bulk(&mut self, now: Timestamp, awaited: bool) {
        self.unsettled.retain(|write| write.bulk.is_none());
        if awaited {
            self.base = self.shown.take().map(|shown| shown.quantity);
            self.trust_from = self.trust_from.min(now);
        }
    }

    /// The bulk has ended: from here on its writes settle as others do, and what was to show at its end is to show by
    /// `trust_from`.
    pub fn bulk_ended(&mut self, now: Timestamp, trust_from: Timestamp) {
        for write in self.unsettled.iter_mut().filter(|write| write.bulk.is_some()) {
            (write.bulk, write.at) = (None, now);
        }
        if self.trust_from == Timestamp::MAX {
            self.trust_from = trust_from;
        }
    }
}
