//! What each listing of a SKU should show, and the commits that follow when that changes.

use std::collections::BTreeSet;

use crate::{
    core::{
        State,
        allocation::{Bounds, Pause, desired, shelves::Shelves},
        apply::ended,
        decide::{Draft, recipes::is_to_be_rebooked},
        leg::{self, Event, Leg, Writes, step},
        record::{Record, Why},
        state::{Listing, ListingRef, SkuRow},
        writes::shows,
    },
    model::{LocationId, Policies, Quantity, Revision, Sku, Timestamp},
};

impl Draft<'_> {
    /// Opens commits if what any listing of `sku`, or of what is made of it, should show has changed. `event_at`: when
    /// the cause happened.
    pub(super) fn refresh(&mut self, sku: &Sku, event_at: Timestamp) {
        let users = self.state.index.recipes.users(sku);
        let others = users.iter().filter(|user| *user != sku);
        self.refresh_each(std::iter::once(sku).chain(others), event_at);
    }

    /// Like [`Draft::refresh`] of each of these, where what is made of several of them is refreshed once.
    pub(super) fn refresh_with_users<'s>(
        &mut self,
        skus: impl IntoIterator<Item = &'s Sku>,
        event_at: Timestamp,
    ) {
        let with_users = |sku: &Sku| self.state.index.recipes.users(sku).into_iter().chain([sku.clone()]);
        let all: BTreeSet<Sku> = skus.into_iter().flat_map(with_users).collect();
        self.refresh_each(&all, event_at);
    }

    /// Like [`Draft::refresh`], where a listing of `sku` draws on other places than before: what is owed between places depends
    /// on who draws on them, and so may what everything shows that the SKU is made of. All that is not the SKU itself waits for
    /// [`Draft::refresh_concerned`]: what many bundles of one command hold is refreshed once.
    pub(super) fn refresh_sellers(&mut self, sku: &Sku) {
        self.refresh_each([sku], self.now);
        self.sellers.insert(sku.clone());
    }

    /// Refreshes everything that is concerned by the SKUs that sell from other places than before.
    pub(super) fn refresh_concerned(&mut self) {
        let concerned = self.concerned();
        self.sellers.clear();
        self.refresh_each(&concerned, self.now);
    }

    /// Returns the SKUs that sell from other places than before, what they are made of, and all that is made of either.
    pub(super) fn concerned(&self) -> BTreeSet<Sku> {
        let recipes = &self.state.index.recipes;
        let mut concerned = self.sellers.clone();
        for sku in self.sellers.iter().filter(|sku| recipes.direct(sku).is_some()) {
            concerned.extend(self.state.made_of(sku).unwrap_or_default().into_iter().map(|part| part.sku));
        }
        let users: Vec<BTreeSet<Sku>> = concerned.iter().map(|sku| recipes.users(sku)).collect();
        concerned.extend(users.into_iter().flatten());
        concerned
    }

    /// Opens commits of SKUs, each named once. None of them changes what another one should show.
    pub(super) fn refresh_each<'s>(&mut self, skus: impl IntoIterator<Item = &'s Sku>, event_at: Timestamp) {
        let Some(policies) = self.state.policies.clone() else { return };
        let state = &*self.state;
        let mut rows = skus.into_iter().filter_map(|sku| Some((sku, state.skus.get(sku)?))).peekable();
        let Some((sku, row)) = rows.peek() else { return };
        let mut shelves = Shelves::of(state, sku, row);
        let mut commits = Vec::new();
        for (sku, row) in rows {
            shelves.turn_to(sku, row);
            commits.extend(self.commit(&mut shelves, &policies, event_at));
        }
        commits.into_iter().for_each(|commit| self.emit(commit));
    }

    /// Returns the commit of what the listings of a SKU should show, if any of that has changed.
    fn commit(&self, shelves: &mut Shelves<'_>, policies: &Policies, event_at: Timestamp) -> Option<Record> {
        let Shelves { state, sku, row, .. } = *shelves;
        // Its components are told of what was sold of it in portions: so many are not there.
        if state.recheck.sold.from().is_some() && is_to_be_rebooked(state, sku, row) {
            return None;
        }
        let revision = row.revision.next();
        let (mut legs, mut owed) = (Vec::new(), Vec::new());
        for (at, listing) in row.listings.iter().enumerate() {
            let wanted = wanted(shelves, policies, listing);
            let Some(wanted) = wanted.filter(|wanted| changes(listing, wanted.quantity)) else { continue };
            let quantity = wanted.quantity;
            let leg = match &listing.leg {
                None => Ok(self.first_leg(quantity, revision)),
                Some(leg) => step(leg, Event::Desired { quantity, revision, cause: self.seq }, self.now),
            };
            let (Ok(leg), Ok(at)) = (leg, u16::try_from(at)) else { continue };
            legs.push((at, leg));
            if wanted.owed > Quantity::ZERO {
                owed.push((at, wanted.owed));
            }
        }
        let changed = !legs.is_empty();
        changed.then(|| Record::Commit { sku: sku.clone(), revision, event_at, legs, owed })
    }

    fn first_leg(&self, quantity: Quantity, revision: Revision) -> Leg {
        Leg {
            state: leg::State::Pending,
            quantity,
            revision,
            tries: 0,
            since: self.now,
            contended: None,
            suspect: None,
            cause: self.seq,
            caused_at: self.now,
        }
    }

    /// Has listings show none that were written for another SKU, where nothing says what they should show: nobody has counted
    /// theirs where they draw from, and what they show would stay on sale.
    pub(super) fn show_none(&mut self, sku: &Sku, written: &[ListingRef]) {
        let Some(row) = self.state.skus.get(sku) else { return };
        let policies = self.state.policies();
        let is_shown = |held: &Listing| {
            let policy = policies.and_then(|policies| policies.channels.get(&held.channel));
            let writes = policy.is_some_and(|policy| policy.abilities.quantities);
            writes && held.writable() && held.leg.is_none() && !is_gone(policies, held)
        };
        let revision = row.revision.next();
        let shown = written.iter().filter(|listing| self.state.listing(listing).is_some_and(is_shown));
        let legs: Vec<(u16, Leg)> =
            shown.map(|listing| (listing.at, self.first_leg(Quantity::ZERO, revision))).collect();
        if !legs.is_empty() {
            let (sku, event_at, owed) = (sku.clone(), self.now, Vec::new());
            self.emit(Record::Commit { sku, revision, event_at, legs, owed });
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
        self.follow_unwritable(listing);
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

/// Returns where a listing draws from, if it would show something but that nothing was ever counted there.
pub(crate) fn uncounted<'p>(
    shelves: &mut Shelves<'_>,
    policies: &'p Policies,
    listing: &Listing,
) -> &'p [LocationId] {
    let channel = policies.channels.get(&listing.channel);
    let shows = channel.filter(|channel| channel.abilities.quantities && listing.writable());
    let drawn = shows.and_then(|channel| channel.drawn(&listing.ids)).unwrap_or_default();
    match shelves.sellable(drawn, |_| Quantity::ZERO) {
        Ok(None) => drawn,
        Ok(Some(_)) | Err(_) => &[],
    }
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
    let sellable = match shelves.sellable(channel.drawn(&listing.ids)?, keep).ok()? {
        Some(sellable) => sellable,
        // What is ours there would stay on sale, and nothing bounds it. What was never ours is left alone.
        None if listing.leg.is_some() => {
            return Some(Allocated { quantity: Quantity::ZERO, owed: Quantity::ZERO });
        }
        None => return None,
    };
    let paused = pause_of(state, row, listing);
    let stopped = paused == Some(Pause::Stopped) || shelves.stopped_part().is_some();
    let quantity = desired(sellable.free, bounds, stopped).ok()?;
    let owed = desired(sellable.here, bounds, stopped).and_then(|alone| alone.sub(quantity)).ok()?;
    Some(Allocated { quantity, owed })
}

/// Tells whether a SKU, or what it is made of, was never counted at any place: so is a bundle whose recipe was taken back, and one of a
/// component that does not exist.
pub(crate) fn never_counted(shelves: &Shelves<'_>) -> bool {
    let Shelves { state, sku, row, .. } = *shelves;
    let uncounted = |part: &Sku| {
        let row = if part == sku { Some(row) } else { state.skus.get(part) };
        row.is_none_or(SkuRow::never_counted)
    };
    state.made_of(sku).is_ok_and(|parts| parts.iter().any(|part| uncounted(&part.sku)))
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
