//! What each listing of a SKU should show, and the commits that follow when that changes.

use crate::{
    core::{
        State,
        allocation::{Bounds, Pause, desired, shelves::Shelves},
        apply::ended,
        decide::Draft,
        leg::{self, Event, Leg, Writes, step},
        record::{Record, Why},
        state::{Listing, ListingRef, SkuRow},
        writes::shows,
    },
    model::{Policies, Quantity, Sku, Timestamp},
};

impl Draft<'_> {
    /// Opens commits if what any listing of `sku`, or of what is made of it, should show has changed. `event_at`: when
    /// the cause happened.
    pub(super) fn refresh(&mut self, sku: &Sku, event_at: Timestamp) {
        self.refresh_one(sku, event_at);
        for user in self.state.index.recipes.users(sku) {
            self.refresh_one(&user, event_at);
        }
    }

    /// Like [`Draft::refresh`], where a listing of `sku` draws on other places than before: what is owed between places depends
    /// on who draws on them, and so may what everything shows that the SKU is made of.
    pub(super) fn refresh_sellers(&mut self, sku: &Sku) {
        self.refresh(sku, self.now);
        if self.state.index.recipes.direct(sku).is_none() {
            return;
        }
        for part in self.state.made_of(sku).unwrap_or_default() {
            self.refresh(&part.sku, self.now);
        }
    }

    fn refresh_one(&mut self, sku: &Sku, event_at: Timestamp) {
        let (Some(policies), Some(row)) = (self.state.policies.clone(), self.state.skus.get(sku)) else {
            return;
        };
        let revision = row.revision.next();
        let mut shelves = Shelves::of(self.state, sku, row);
        let (mut legs, mut owed) = (Vec::new(), Vec::new());
        for (at, listing) in row.listings.iter().enumerate() {
            let wanted = wanted(&mut shelves, &policies, listing);
            let Some(wanted) = wanted.filter(|wanted| changes(listing, wanted.quantity)) else { continue };
            let quantity = wanted.quantity;
            let leg = match &listing.leg {
                None => Ok(Leg {
                    state: leg::State::Pending,
                    quantity,
                    revision,
                    tries: 0,
                    since: self.now,
                    suspect: None,
                    cause: self.seq,
                    caused_at: self.now,
                }),
                Some(leg) => step(leg, Event::Desired { quantity, revision, cause: self.seq }, self.now),
            };
            let (Ok(leg), Ok(at)) = (leg, u16::try_from(at)) else { continue };
            legs.push((at, leg));
            if wanted.owed > Quantity::ZERO {
                owed.push((at, wanted.owed));
            }
        }
        if !legs.is_empty() {
            self.emit(Record::Commit { sku: sku.clone(), revision, event_at, legs, owed });
        }
    }

    /// Advances the leg of a listing and records it with its writes. An event that makes no sense is left out.
    pub(super) fn advance(
        &mut self,
        listing: &ListingRef,
        event: Event,
        why: Why,
        note: Option<String>,
        change: impl FnOnce(&mut Writes),
    ) {
        let Some(held) = self.state.listing(listing) else { return };
        let Some(leg) = &held.leg else { return };
        let Ok(leg) = step(leg, event, self.now) else { return };
        let mut writes = held.writes.clone();
        change(&mut writes);
        self.emit(Record::Moved { listing: listing.clone(), why, leg: Some(leg), writes, note });
    }

    /// Records what became known of a listing, its leg unmoved.
    pub(super) fn learn(&mut self, listing: &ListingRef, why: Why, change: impl FnOnce(&mut Writes)) {
        let Some(held) = self.state.listing(listing) else { return };
        let mut writes = held.writes.clone();
        change(&mut writes);
        if writes != held.writes {
            self.emit(Record::Moved { listing: listing.clone(), why, leg: None, writes, note: None });
        }
    }

    /// Ends the commits of a SKU that are now seen live everywhere, each with all before it. A channel, or one of its outlets,
    /// that is not configured any more keeps none of them open.
    pub(super) fn end_commits(&mut self, sku: &Sku) {
        let Some(row) = self.state.skus.get(sku) else { return };
        let gone = |held: &Listing| is_gone(self.state.policies(), held);
        let done = row.commits.iter().take_while(|commit| ended(row, commit, gone)).map(|c| c.revision);
        let done = done.last();
        if let Some(revision) = done {
            self.emit(Record::Committed { sku: sku.clone(), revision });
        }
    }
}

/// Tells whether nothing can be written to a listing any more: its channel, or its outlet there, is not configured.
pub(crate) fn is_gone(policies: Option<&Policies>, listing: &Listing) -> bool {
    let channel = policies.and_then(|policies| policies.channels.get(&listing.channel));
    channel.is_none_or(|channel| channel.drawn(&listing.ids).is_none())
}

/// Tells whether showing `quantity` needs a leg: it is not what was wanted last, or the channel has moved away from
/// what was seen.
fn changes(listing: &Listing, quantity: Quantity) -> bool {
    match &listing.leg {
        None => true,
        Some(leg) if leg.quantity != quantity => true,
        // A look that nothing explains yet says that the base may be wrong.
        Some(leg) => {
            matches!(leg.state, leg::State::Confirmed)
                && listing.writes.look.is_none()
                && listing.writes.base.is_some_and(|base| !shows(base, quantity))
        }
    }
}

/// What a listing should show, and how many units fewer that is because they are owed to what was sold at other places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allocated {
    pub(crate) quantity: Quantity,
    pub(crate) owed: Quantity,
}

/// Returns what a listing should show. `None`: it is not written, or stays as it is.
pub(crate) fn wanted(shelves: &mut Shelves<'_>, policies: &Policies, listing: &Listing) -> Option<Allocated> {
    if pause_of(shelves.state, shelves.row, listing) == Some(Pause::Frozen) {
        return None;
    }
    should_show(shelves, policies, listing)
}

/// Like [`wanted`], but for a pause that freezes it.
pub(crate) fn should_show(
    shelves: &mut Shelves<'_>,
    policies: &Policies,
    listing: &Listing,
) -> Option<Allocated> {
    let Shelves { state, sku, row, .. } = *shelves;
    let channel = policies.channels.get(&listing.channel)?;
    if !channel.abilities.quantities || !listing.writable() {
        return None;
    }
    let bounds_of = |sku: &Sku| Bounds::of(policies, state.index.overrides(policies, sku), &listing.channel);
    let bounds = bounds_of(sku).at_most(listing.allotted);
    let keep = |of: &Sku| if of == sku { bounds.safety_stock } else { bounds_of(of).safety_stock };
    let sellable = shelves.sellable(channel.drawn(&listing.ids)?, keep).ok()??;
    let stopped = pause_of(state, row, listing) == Some(Pause::Stopped);
    let quantity = desired(sellable.free, bounds, stopped).ok()?;
    let owed = desired(sellable.here, bounds, stopped).and_then(|alone| alone.sub(quantity)).ok()?;
    Some(Allocated { quantity, owed })
}

/// Returns the pause that a listing is under.
pub(crate) fn pause_of(state: &State, row: &SkuRow, listing: &Listing) -> Option<Pause> {
    strictest(state.channels.get(&listing.channel).and_then(|c| c.pause), row.pause)
}

pub(crate) fn strictest(a: Option<Pause>, b: Option<Pause>) -> Option<Pause> {
    match (a, b) {
        (Some(Pause::Stopped), _) | (_, Some(Pause::Stopped)) => Some(Pause::Stopped),
        (Some(Pause::Frozen), _) | (_, Some(Pause::Frozen)) => Some(Pause::Frozen),
        (None, None) => None,
    }
}
