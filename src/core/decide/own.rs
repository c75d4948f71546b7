//! What orders make the selling channel do to its own listings: it lowers its quantity when it sells, and may raise it
//! again when units are cancelled or come back.
//!
//! A channel with several outlets does so where the units lie. Until a source has told where that is, the order moves no
//! listing: a look that it changed is then explained when the place is known.

use std::collections::BTreeMap;

use crate::{
    core::{
        decide::Draft,
        drift::{Drifted, Found, Verdict, judge},
        index::{Index, Kind, Work},
        leg::State as LegState,
        mapping::{Resolved, resolve},
        order::Line,
        record::Why,
        share::{Share, Shares},
        state::ListingRef,
        writes::{self, Look, Told},
    },
    model::{
        Abilities, ChannelId, FulfilledBy, IdKind, Identifiers, LineId, LocationId, OrderKey, Overflow,
        Quantity, Seq, Timestamp, Totals,
        policy::{ChannelPolicy, Outlet},
    },
};

/// What an order made the selling channel do to one of its own listings.
pub(super) struct OwnMove {
    listing: ListingRef,
    moved: writes::OwnMove,
}

/// What the orders of a channel tell of one of its listings.
#[derive(Debug, Default)]
pub(super) struct OwnUnits {
    /// How many units are to be shipped yet.
    open: Quantity,
    /// What those did that were first heard of since a drift of the channel that waits for a person, and the position of that.
    moves: Vec<(Seq, writes::OwnMove)>,
}

/// The same of each of its listings.
pub(super) type OwnOf = BTreeMap<ListingRef, OwnUnits>;

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

    /// Returns [`Draft::open_at`] where what is known of the time when it was `told` leaves open whether the channel had more committed.
    pub(super) fn open_in_doubt(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        look: &Look,
        told: Option<&Told>,
    ) -> Option<Quantity> {
        let ((least, most), committed) = (told?.explained().ok()?, look.committed?);
        if committed > least && committed <= most { self.open_at(policy, listing, look) } else { None }
    }

    /// Returns the least that a channel had committed of a listing at a look, by all orders that are known: what was learnt since may not
    /// be in that.
    pub(super) fn open_at(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        look: &Look,
    ) -> Option<Quantity> {
        let open = self.with_own(policy, listing, |own| own.open)?;
        let since = look.turnover;
        open.sub(since.sold).ok()?.sub(since.sold_about).ok()?.add(since.gone).ok()
    }

    /// Returns how own orders that were learnt since have moved what a listing showed when units were taken to have been sold there
    /// unseen: those that came up to that look.
    pub(super) fn learnt_since(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        drift: &Drifted,
    ) -> Quantity {
        if drift.found != Found::Unseen {
            return Quantity::ZERO;
        }
        let seen = drift.between.map_or(drift.at, |(_, seen)| seen);
        let sum = |own: &OwnUnits| {
            let moves = own.moves.iter().filter(|(learnt, own)| *learnt > drift.seq && own.at <= seen);
            moves.fold(Quantity::ZERO, |sum, (_, own)| sum.add(own.quantity).unwrap_or(sum))
        };
        self.with_own(policy, listing, sum).unwrap_or_default()
    }

    /// Asks for what all orders that are known tell of a listing. `None`: that does not fit. The orders are gone through once for all
    /// looks that one command judges.
    fn with_own<T>(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        ask: impl FnOnce(&OwnUnits) -> T,
    ) -> Option<T> {
        let channel = &self.state.listing(listing)?.channel;
        let all = self.own.get_or_init(|| (channel.clone(), self.own_units(policy, channel).ok()));
        let other = (all.0 != *channel).then(|| self.own_units(policy, channel).ok());
        let all = other.as_ref().unwrap_or(&all.1).as_ref()?;
        Some(ask(all.get(listing).unwrap_or(&OwnUnits::default())))
    }

    /// Returns what the orders of a channel tell of each of its listings.
    fn own_units(&self, policy: &ChannelPolicy, channel: &ChannelId) -> Result<OwnOf, Overflow> {
        let asked = self.state.index.of(Kind::Drifts, channel).filter_map(|work| {
            let Work::Drifts { listing, .. } = work else { return None };
            self.state.listing(listing)?.drift.as_deref().map(|drift| drift.seq)
        });
        let asked = asked.min();
        let mut all = OwnOf::new();
        let orders = self.state.orders.range(Index::first_order(channel)..);
        for (_, order) in orders.take_while(|(key, _)| key.channel == *channel) {
            let learnt = order.first.map(|first| first.seq).filter(|seq| asked.is_some_and(|at| *seq > at));
            let open = order.is_open();
            if !open && learnt.is_none() {
                continue;
            }
            for line in order.lines.values() {
                for (listing, booked) in self.sold_at(policy, channel, line)? {
                    let own = all.entry(listing).or_default();
                    own.open = if open { own.open.add(booked.open()?)? } else { own.open };
                    let Some(learnt) = learnt else { continue };
                    let at = [order.placed_at, order.changed_at()];
                    let moves = moved(policy.abilities, Totals::default(), booked, at)?;
                    own.moves.extend(moves.into_iter().map(|moved| (learnt, moved)));
                }
            }
        }
        Ok(all)
    }

    /// Returns the listings that a line was sold from, with what is booked of it at each.
    fn sold_at(
        &self,
        policy: &ChannelPolicy,
        channel: &ChannelId,
        line: &Line,
    ) -> Result<Vec<(ListingRef, Totals)>, Overflow> {
        if line.by == FulfilledBy::Channel {
            return Ok(Vec::new());
        }
        if policy.outlets.len() < 2 {
            return Ok(self.own_listing(channel, line).map(|own| (own, line.booked)).into_iter().collect());
        }
        let (shares, mut all) = (line.shares(), Vec::new());
        for outlet in &policy.outlets {
            if let Some(listing) = self.listing_at(channel, policy, line, outlet) {
                all.push((listing, at_outlet(policy, outlet, &shares)?));
            }
        }
        Ok(all)
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
                Ok(Verdict::Corrected { expected }) => writes.correct(expected, &look, reading.stale_ms),
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
