//! Rows of a report: what a channel said of its listings at a moment that nobody can tell.
//!
//! They bind what is not known yet. Of what is known they change nothing, because any read or write of it may be newer:
//! they only tell what is to be read again.

use crate::{
    core::{
        command::{Refused, Reply},
        decide::Draft,
        leg::{Leg, State},
        mapping::{Resolved, resolve},
        state::{Listing, ListingRef},
    },
    model::{CatalogueItem, ChannelId, FulfilledBy, IdKind, Identifiers},
};

impl Draft<'_> {
    pub(super) fn reported(
        &mut self,
        channel: &ChannelId,
        rows: Vec<CatalogueItem>,
    ) -> Result<Reply, Refused> {
        let master = self.policies()?.mapping.master.as_ref() == Some(channel);
        let compares = self.channel(channel)?.abilities.quantities;
        let (mut bound, mut unmatched, mut again) = (0, 0, Vec::new());
        let mut grown = false;
        for row in rows {
            if let Some(held) = self.held(channel, &row) {
                bound += 1;
                let doubted = is_in_doubt(held, &row, compares);
                self.matched(channel, &row.ids);
                if doubted {
                    again.push(row.ids);
                }
                continue;
            }
            let item = self.waiting_under(channel, &row).unwrap_or(CatalogueItem { levels: None, ..row });
            match self.place_item(channel, master, &item) {
                Ok((_, new)) => {
                    bound += 1;
                    grown |= new;
                }
                Err(why) => {
                    unmatched += 1;
                    self.unmatched(channel, item, why);
                }
            }
        }
        if grown {
            self.recheck_orders();
        }
        Ok(Reply::Reported { bound, unmatched, again })
    }

    /// Returns the listing that a row is about, if it is known.
    fn held(&self, channel: &ChannelId, row: &CatalogueItem) -> Option<&Listing> {
        let resolved = resolve(self.state, channel, &row.ids);
        let same = |listing: &ListingRef| self.names_same(channel, listing, row);
        match &resolved {
            Resolved::Listing(listing) if same(listing) => self.state.listing(listing),
            Resolved::Listing(_) | Resolved::Sku(_) | Resolved::Ambiguous(_) | Resolved::Unknown => None,
        }
    }

    /// Returns what waits for a SKU under the code of a row: read by itself, it may name more than the row.
    fn waiting_under(&self, channel: &ChannelId, row: &CatalogueItem) -> Option<CatalogueItem> {
        let code = row.ids.get(IdKind::Sku)?;
        let from = (channel.clone(), Identifiers::new([(IdKind::Sku, code)]).ok()?);
        let ((of, ids), waiting) = self.state.unmatched.range(from..).next()?;
        let same = of == channel && ids.get(IdKind::Sku) == Some(code);
        same.then(|| CatalogueItem { levels: None, ..waiting.item.clone() })
    }
}

/// Tells whether a row says other of a listing than what is known, so that only another read tells.
fn is_in_doubt(held: &Listing, row: &CatalogueItem, compares: bool) -> bool {
    if row.ids.iter().any(|id| held.ids.get(id.kind) != Some(id.value)) {
        return true;
    }
    match (held.by, row.by) {
        (FulfilledBy::Merchant, FulfilledBy::Merchant) => {
            held.unwritable.is_some() != row.unwritable.is_some() || (compares && shows_other(held, row))
        }
        // Without a quantity it offers nothing, and is told as the merchant's: what groups variations, say.
        (FulfilledBy::Unknown, FulfilledBy::Merchant) => row.levels.is_some(),
        (held, told) => held != told,
    }
}

/// Tells whether nothing is to be written, so that nothing is looked at before.
fn rests(leg: &Leg) -> bool {
    matches!(leg.state, State::Confirmed | State::Dropped | State::Parked { .. })
}

/// Tells whether a row has another quantity than the one that is expected, or none is known: after a restore nothing is, and nothing
/// else may ever look there. What is looked at anyway is left to that.
fn shows_other(held: &Listing, row: &CatalogueItem) -> bool {
    let told = row.levels.as_ref().map(|levels| levels.available).unwrap_or_default();
    let looked_at = |leg: &Leg| leg.look_at().is_some() || matches!(leg.state, State::InFlight(_));
    let other = match held.writes.base {
        Some(base) => base.or_zero() != told,
        None => held.writable() && held.leg.as_ref().is_some_and(rests),
    };
    other && !held.leg.as_ref().is_some_and(looked_at)
}
