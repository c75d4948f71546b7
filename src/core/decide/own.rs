//! What orders make the selling channel do to its own listings: it lowers its quantity when it sells, and may raise it
//! again when units are cancelled or come back.
//!
//! A channel with several outlets does so where the units lie. Until a source has told where that is, the order moves no
//! listing: a look that it changed is then explained when the place is known.

use crate::{
    core::{
        decide::Draft,
        drift::{Verdict, judge},
        leg::State as LegState,
        mapping::{Resolved, resolve},
        order::Line,
        record::Why,
        share::{Share, Shares},
        state::ListingRef,
        writes,
    },
    model::{
        Abilities, ChannelId, FulfilledBy, IdKind, Identifiers, LineId, LocationId, OrderKey, Overflow,
        Quantity, Timestamp, Totals,
        policy::{ChannelPolicy, Outlet},
    },
};

/// What an order made the selling channel do to one of its own listings.
pub(super) struct OwnMove {
    listing: ListingRef,
    moved: writes::OwnMove,
}

/// What is known of a line by now: its totals, where they lie as far as that was told, and its shares.
pub(super) struct Known<'a> {
    pub(super) totals: Totals,
    pub(super) places: &'a [(LocationId, Totals)],
    pub(super) shares: &'a [Share],
}

/// When a line was sold, and when it changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// When the order was placed.
    pub(super) placed_at: Timestamp,
    /// When what is booked now was ordered.
    pub(super) sold_at: Timestamp,
    pub(super) changed_at: Timestamp,
}

impl Draft<'_> {
    /// Notes how the selling channel has moved its own listings' quantities with this line, and when.
    pub(super) fn note_own(
        &self,
        key: &OrderKey,
        policy: &ChannelPolicy,
        (id, line): (&LineId, &Line),
        known: &Known<'_>,
        times: Times,
        own: &mut Vec<OwnMove>,
    ) -> Result<(), Overflow> {
        if !policy.abilities.sells || line.by == FulfilledBy::Channel {
            return Ok(());
        }
        if policy.outlets.len() > 1 {
            return self.note_own_by_outlet(key, policy, (id, line), known, times, own);
        }
        let at = [times.sold_at, times.changed_at];
        let moved = moved(policy.abilities, line.booked, known.totals, at)?;
        if let Some(listing) = self.own_listing(&key.channel, line) {
            own.extend(moved.into_iter().map(|moved| OwnMove { listing: listing.clone(), moved }));
        }
        Ok(())
    }

    /// Like [`Draft::note_own`], where each outlet has a listing of its own.
    fn note_own_by_outlet(
        &self,
        key: &OrderKey,
        policy: &ChannelPolicy,
        (id, line): (&LineId, &Line),
        known: &Known<'_>,
        times: Times,
        own: &mut Vec<OwnMove>,
    ) -> Result<(), Overflow> {
        let before = self.state.order(key);
        let before = before.as_deref().and_then(|order| Some((order, order.lines.get(id)?)));
        let was_told = before.is_some_and(|(order, line)| is_located(line, order.is_placed(line)));
        let shares = if was_told { line.shares() } else { Shares::Kept(&[]) };
        let told = is_located(line, !known.places.is_empty());
        let at = match (was_told, line.booked == Totals::default()) {
            (true, _) => [times.changed_at, times.changed_at],
            (false, true) => [times.sold_at, times.changed_at],
            // It was booked before anybody told where it lies.
            (false, false) => [times.placed_at, times.changed_at],
        };
        for outlet in &policy.outlets {
            let from = at_outlet(policy, outlet, &shares)?;
            let to = if told { at_outlet(policy, outlet, known.shares)? } else { from };
            let moved = moved(policy.abilities, from, to, at)?;
            if moved.is_empty() {
                continue;
            }
            let Some(listing) = self.listing_at(&key.channel, policy, line, outlet) else { continue };
            own.extend(moved.into_iter().map(|moved| OwnMove { listing: listing.clone(), moved }));
        }
        Ok(())
    }

    /// Finds the listing that a line was sold from. An ASIN may name several; the channel's own stock is not meant.
    fn own_listing(&self, channel: &ChannelId, line: &Line) -> Option<ListingRef> {
        let ours = |listing: &ListingRef| self.is_ours(channel, listing);
        if let Resolved::Listing(listing) = resolve(self.state, channel, &line.ids)
            && ours(&listing)
        {
            return Some(listing);
        }
        let sku = &line.bound.as_ref()?.sku;
        let count = u16::try_from(self.state.skus.get(sku)?.listings.len()).ok()?;
        (0..count).map(|at| ListingRef { sku: sku.clone(), at }).find(ours)
    }

    /// Finds the listing that units of a line were sold from, by where they lie.
    pub(super) fn sold_from(
        &self,
        channel: &ChannelId,
        line: &Line,
        location: &LocationId,
    ) -> Option<ListingRef> {
        let policy = self.state.policies()?.channels.get(channel)?;
        if policy.outlets.len() < 2 {
            return self.own_listing(channel, line);
        }
        let outlet = policy.outlet_at(location).or(policy.outlets.first())?;
        self.listing_at(channel, policy, line, outlet)
    }

    /// Finds the listing of what a line sells at one of the channel's outlets.
    fn listing_at(
        &self,
        channel: &ChannelId,
        policy: &ChannelPolicy,
        line: &Line,
        outlet: &Outlet,
    ) -> Option<ListingRef> {
        let place = Identifiers::new([(IdKind::Location, outlet.id.as_str())]).ok()?;
        let ids = line.ids.without(IdKind::Location).and(&place);
        let here = |listing: &ListingRef| {
            let held = self.state.listing(listing);
            self.is_ours(channel, listing) && held.is_some_and(|held| policy.same_outlet(&held.ids, &ids))
        };
        match resolve(self.state, channel, &ids) {
            Resolved::Listing(listing) => Some(listing).filter(here),
            Resolved::Sku(sku) => {
                let count = u16::try_from(self.state.skus.get(&sku)?.listings.len()).ok()?;
                (0..count).map(|at| ListingRef { sku: sku.clone(), at }).find(here)
            }
            Resolved::Ambiguous(_) | Resolved::Unknown => None,
        }
    }

    fn is_ours(&self, channel: &ChannelId, listing: &ListingRef) -> bool {
        let held = self.state.listing(listing);
        held.is_some_and(|held| held.by != FulfilledBy::Channel && held.channel == *channel)
    }

    /// Takes in what the selling channel did to its own listing. A look that this explains need not wait any more.
    pub(super) fn own_move(&mut self, policy: &ChannelPolicy, own: &OwnMove) {
        let Some(held) = self.state.listing(&own.listing) else { return };
        let unseen = |state: &LegState| matches!(state, LegState::InFlight(_) | LegState::Accepted { .. });
        let overwritten =
            !policy.abilities.compare_and_set && held.leg.as_ref().is_some_and(|leg| unseen(&leg.state));
        let (now, waited) = (self.now, held.writes.look.is_some());
        let reading = self.reading(policy, &own.listing);
        self.learn(&own.listing, Why::OwnSale, |writes| {
            writes.own_move(own.moved, overwritten, now, reading.stale_ms);
            let Some(look) = writes.look.as_deref().copied() else { return };
            match judge(writes, &look, reading) {
                Ok(Verdict::Explained) => writes.look = None,
                Ok(Verdict::Corrected { expected }) => writes.correct(expected, look.at, reading.stale_ms),
                Ok(Verdict::Landed { .. } | Verdict::Learnt { .. } | Verdict::Unexplained { .. })
                | Err(_) => {}
            }
        });
        if waited && self.state.listing(&own.listing).is_some_and(|held| held.writes.look.is_none()) {
            self.go_on(&own.listing);
        }
    }
}

/// Tells whether any source has said where the units of a line lie.
fn is_located(line: &Line, is_placed: bool) -> bool {
    line.location.is_some() || is_placed
}

/// Returns what of a line lies at an outlet, in units of the line. What lies where no outlet is, is the first one's.
fn at_outlet(policy: &ChannelPolicy, outlet: &Outlet, shares: &[Share]) -> Result<Totals, Overflow> {
    // Each SKU that the line is made of lies as the others do.
    let first = shares.first().map(|share| &share.sku);
    let here = |share: &&Share| {
        let at = policy.outlet_at(&share.location).or(policy.outlets.first());
        Some(&share.sku) == first && at == Some(outlet)
    };
    shares.iter().filter(here).try_fold(Totals::default(), |sum, share| sum.plus(share.booked))
}

/// Returns what a change of totals did to the quantity that the channel shows and to what it has committed, and when.
fn moved(
    abilities: Abilities,
    from: Totals,
    to: Totals,
    [sold_at, changed_at]: [Timestamp; 2],
) -> Result<Vec<writes::OwnMove>, Overflow> {
    let sold = from.ordered.sub(to.ordered)?;
    let mut back = Quantity::ZERO;
    if abilities.restocks_cancels {
        back = back.add(to.released.sub(from.released)?)?;
    }
    if abilities.restocks_returns {
        back = back.add(to.returned.sub(from.returned)?)?;
    }
    let gone = |totals: Totals| totals.fulfilled.add(totals.released)?.add(totals.written_off);
    let moved = [
        writes::OwnMove { quantity: sold, gone: Quantity::ZERO, at: sold_at },
        writes::OwnMove { quantity: back, gone: gone(to)?.sub(gone(from)?)?, at: changed_at },
    ];
    Ok(moved.into_iter().filter(|moved| !moved.quantity.is_zero() || !moved.gone.is_zero()).collect())
}
