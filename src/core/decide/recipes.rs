//! What SKUs are made of, and corrections of what is what: recipes, merged SKUs, listings that belong to another SKU.
//!
//! A correction carries everything along. A merged SKU keeps its row, its listings and what is known of them; its stock
//! and what is promised of it go over at once, and what is booked on it from then on is booked on the other. A listing
//! that is rebound takes its quantity, its limit, its writes that may still land and its order lines with it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    core::{
        command::{ROWS_MAX, Refused, Reply},
        decide::{
            Draft,
            catalogue::LISTINGS_MAX,
            orders::{Booking, Happened, Span},
        },
        drift::{Done, Drifted},
        intent::{Intent, Line},
        ledger::{Cause, Entry, Kind, Stock, book},
        leg,
        mapping::{Resolved, resolve},
        order::{Binding, Order},
        recipe::Made,
        record::{Record, Why},
        state::{Listing, ListingRef, Opened, Place, State},
        writes::Writes,
        wrong::{Why as Reason, Wrong, refused},
    },
    model::{
        ChannelId, IdKind, Identifiers, LineId, LocationId, OrderKey, Overflow, Returns, Sku, Totals,
        policy::{ChannelPolicy, MappingRow, Part},
    },
};

/// Tells everything for which recipes cannot be taken in, if anything. `lines`: where each stands in a file. `aside`: stock of its own
/// that a SKU has may be set aside.
pub fn judge(
    state: &State,
    rows: &[(Sku, Vec<Part>)],
    lines: &[Option<u64>],
    aside: bool,
) -> Result<(), Refused> {
    let mut known = state.index.recipes.clone();
    let named: BTreeSet<&Sku> = rows.iter().filter(|row| !row.1.is_empty()).map(|row| &row.0).collect();
    let mut wrong = Vec::new();
    for (n, (sku, parts)) in rows.iter().enumerate() {
        let line = lines.get(n).copied().flatten();
        let mut say = |why| wrong.push(Wrong { line, why });
        let made = state.skus.get(sku).and_then(|row| row.made.as_deref());
        if let Some(Made::Merged(into)) = made {
            say(format!("{sku} was merged into {into} and cannot be a bundle").into());
            continue;
        }
        if parts.is_empty() {
            match made {
                Some(_) => known.set(sku, state.configured_recipe(sku)),
                None => say(Reason::Unknown(format!("there is no imported recipe for `{sku}`"))),
            }
            continue;
        }
        let missing = |part: &&Part| !state.is_thing(&part.sku) && !named.contains(&part.sku);
        for part in parts.iter().filter(missing) {
            say(Reason::Unknown(format!("there is no SKU `{}`, a component of `{sku}`", part.sku)));
        }
        let own = || own_stock(state, sku).filter(|_| !aside);
        match known.refuse(sku, parts) {
            Some(why) => say(why.into()),
            None => {
                known.set(sku, Some(parts.clone()));
                if let Some(why) = own() {
                    let next = "count it to 0 first if these are its components, or import with --set-aside, which keeps it \
                                in the books and out of sale";
                    say(format!("{why}; {next}").into());
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(refused(&wrong)) }
}

/// Says what becomes of the stock of a SKU that is not made of others so far, if it has any and becomes a bundle.
pub fn own_stock(state: &State, sku: &Sku) -> Option<String> {
    let row = state.skus.get(sku).filter(|_| state.index.recipes.direct(sku).is_none())?;
    let held = |place: &Place| {
        let Stock { on_hand, committed, reserved, incoming } = place.stock;
        let all =
            [("on hand", on_hand), ("sold", committed), ("held back", reserved), ("on the way", incoming)];
        let all = all.into_iter().filter(|(_, units)| !units.is_zero());
        let all: Vec<String> = all.map(|(what, units)| format!("{units} {what}")).collect();
        (!all.is_empty()).then(|| format!("{} at `{}`", all.join(", "), place.location))
    };
    let held: Vec<String> = row.stock.iter().filter_map(held).collect();
    let held = (!held.is_empty()).then(|| held.join("; "))?;
    Some(format!(
        "`{sku}` has stock of its own ({held}): a bundle does not sell that, and no count changes it any more"
    ))
}

impl Draft<'_> {
    /// Takes recipes in, all or none. One without parts ends what was imported for the SKU.
    pub(super) fn recipes(&mut self, rows: Vec<(Sku, Vec<Part>)>) -> Result<Reply, Refused> {
        judge(self.state, &rows, &[], true)?;
        let mut changed = 0;
        for (sku, parts) in rows {
            let made = (!parts.is_empty()).then_some(Made::Of(parts));
            if self.made(&sku) != made.as_ref() {
                changed += 1;
                self.emit(Record::Made { sku: sku.clone(), made });
                self.refresh_sellers(&sku);
            }
        }
        if changed > 0 {
            self.recheck_unmapped();
        }
        Ok(Reply::Changed { changed })
    }

    fn made(&self, sku: &Sku) -> Option<&Made> {
        self.state.skus.get(sku)?.made.as_deref()
    }

    fn is_sku(&self, sku: &Sku) -> bool {
        self.state.skus.contains_key(sku)
    }

    /// Makes one SKU part of another. One that does not exist yet becomes another name of it.
    pub(super) fn merge_sku(&mut self, from: Sku, into: Sku) -> Result<Reply, Refused> {
        if !self.is_sku(&into) {
            return Err(Refused::Nothing(format!("SKU `{into}`")));
        }
        if self.made(&from) == Some(&Made::Merged(into.clone())) {
            return Ok(Reply::Duplicate);
        }
        let not_so = |why: String| Err(Refused::NotSo(why));
        if from == into {
            return not_so(format!("{from} is {into} already"));
        }
        self.not_intended(&from)?;
        let recipes = &self.state.index.recipes;
        if let Some(bundle) = [&from, &into].into_iter().find(|sku| recipes.direct(sku).is_some()) {
            return not_so(match self.made(bundle) {
                Some(Made::Merged(other)) => format!("{bundle} was merged into {other}: name that"),
                Some(Made::Of(_)) | None => format!("{bundle} is a bundle, which has no stock to merge"),
            });
        }
        let entries = self.carried(&from, &into);
        let entries = entries.map_err(|_| Refused::OutOfRange(format!("stock of {from} and {into}")))?;
        let unopened = |location: &LocationId| {
            let row = self.state.skus.get(&into).and_then(|row| row.place(location));
            row.is_none_or(|place| place.opened.is_none())
        };
        let places = self.state.skus.get(&from).map(|row| row.stock.clone()).unwrap_or_default();
        let opened: Vec<(LocationId, Opened)> = places
            .into_iter()
            .filter_map(|place| Some((place.location, place.opened?)))
            .filter(|(location, _)| unopened(location))
            .collect();
        for (location, Opened { as_of, counter, measure }) in opened {
            let (opened, entries) = (vec![(into.clone(), location)], Vec::new());
            let places = opened.clone();
            self.emit(Record::Counted { counter, as_of, measure, opened, entries, left: Vec::new() });
            self.place_before(as_of, None, &places);
        }
        if !entries.is_empty() {
            self.emit(Record::Adjusted { entries });
        }
        self.emit(Record::Made { sku: from, made: Some(Made::Merged(into.clone())) });
        self.refresh(&into, self.now);
        self.recheck_unmapped();
        Ok(Reply::Changed { changed: 1 })
    }

    /// Fails while something that a person wants of a SKU is under way: it goes by the SKU's listings and places.
    fn not_intended(&self, sku: &Sku) -> Result<(), Refused> {
        let names = |intent: &Intent| {
            intent.lines.iter().any(|line| match line {
                Line::Allot { listing, .. } => listing.sku == *sku,
                Line::Move { sku: of, .. } => of == sku,
            })
        };
        let open = self.state.intents.iter().find(|(_, intent)| !intent.phase.ended() && names(intent));
        match open {
            Some((id, _)) => Err(Refused::NotSo(format!(
                "`{id}` of `evenkeel commits` is under way for {sku}; let it end first"
            ))),
            None => Ok(()),
        }
    }

    /// Returns the entries that carry all stock of one SKU over to another.
    fn carried(&self, from: &Sku, into: &Sku) -> Result<Vec<Entry>, Overflow> {
        let mut entries = Vec::new();
        let stock_of = |sku: &Sku, location: &LocationId| {
            let place = self.state.skus.get(sku).and_then(|row| row.place(location));
            place.map(|place| place.stock).unwrap_or_default()
        };
        let places = self.state.skus.get(from).map(|row| row.stock.as_slice()).unwrap_or_default();
        for place in places {
            // Nothing is on its way: while a transfer is under way, nothing is merged.
            let Stock { on_hand, committed, reserved, incoming: _ } = place.stock;
            let moves = [
                (Kind::Sale, committed),
                (Kind::ReturnQuarantined, reserved),
                (Kind::Correction, on_hand.sub(reserved)?),
            ];
            for (sku, back) in [(from, true), (into, false)] {
                let mut stock = stock_of(sku, &place.location);
                for (kind, quantity) in moves.into_iter().filter(|(_, quantity)| !quantity.is_zero()) {
                    let quantity = if back { quantity.neg()? } else { quantity };
                    stock = book(stock, kind, quantity)?;
                    entries.push(Entry {
                        sku: sku.clone(),
                        location: place.location.clone(),
                        kind,
                        quantity,
                        cause: Cause::Merged { from: from.clone(), into: into.clone() },
                        event_at: self.now,
                        after: stock,
                    });
                }
            }
        }
        Ok(entries)
    }

    /// Gives a listing to another SKU, with its quantity, its writes that may still land, and its order lines.
    pub(super) fn rebind_listing(
        &mut self,
        channel: &ChannelId,
        ids: &Identifiers,
        sku: &Sku,
    ) -> Result<Reply, Refused> {
        let policy = self.channel(channel)?;
        let returns = self.policies()?.returns;
        let old = match resolve(self.state, channel, ids) {
            Resolved::Listing(listing) => listing,
            Resolved::Ambiguous(_) => {
                return Err(Refused::NotSo("several listings go by that; name one by its own id".to_owned()));
            }
            Resolved::Sku(_) | Resolved::Unknown => {
                return Err(Refused::Nothing(format!("a listing on `{channel}` that goes by {ids}")));
            }
        };
        let held =
            self.state.listing(&old).cloned().ok_or_else(|| Refused::Nothing("the listing".to_owned()))?;
        if old.sku == *sku {
            return Ok(Reply::Duplicate);
        }
        if self.state.canonical(sku) != sku {
            let now = self.state.canonical(sku);
            return Err(Refused::NotSo(format!("{sku} was merged into {now}: name that")));
        }
        let count = self.state.skus.get(sku).map(|row| row.listings.len());
        let count = count.ok_or_else(|| Refused::Nothing(format!("SKU `{sku}`")))?;
        let siblings = self.siblings(&old, &held);
        let in_flight = |listing: &ListingRef| {
            let leg = self.state.listing(listing).and_then(|held| held.leg.as_ref());
            leg.is_some_and(|leg| matches!(leg.state, leg::State::InFlight(_)))
        };
        if siblings.iter().any(in_flight) {
            let why = "a write of it is under way; say it again in a moment";
            return Err(Refused::NotSo(why.to_owned()));
        }
        self.not_intended(&old.sku)?;
        if count + siblings.len() > LISTINGS_MAX {
            return Err(Refused::NotSo(format!("{sku} has {LISTINGS_MAX} listings already")));
        }
        let moved = self.lines_of(channel, &siblings);
        let lines: usize = moved.values().map(BTreeSet::len).sum();
        if lines > ROWS_MAX {
            return Err(Refused::TooMany { rows: lines, most: ROWS_MAX });
        }
        self.say_whose(&held, sku);
        for (sibling, at) in siblings.iter().zip(count..) {
            let Ok(at) = u16::try_from(at) else { continue };
            self.move_listing(sibling, ListingRef { sku: sku.clone(), at });
        }
        for (key, lines) in moved {
            self.rebind_lines(key, &lines, &policy, returns, sku);
        }
        self.refresh_sellers(&old.sku);
        self.end_commits(&old.sku);
        self.refresh_sellers(sku);
        Ok(Reply::Changed { changed: lines })
    }

    /// Returns a listing with those that are the same thing at the channel's other outlets.
    fn siblings(&self, listing: &ListingRef, held: &Listing) -> Vec<ListingRef> {
        let own = held.ids.without(IdKind::Location);
        let same = |other: &Listing| {
            other.channel == held.channel && !own.is_empty() && other.ids.without(IdKind::Location) == own
        };
        let row = self.state.skus.get(&listing.sku);
        let all = row.into_iter().flat_map(|row| row.listings.iter().zip(0..));
        let others = all.filter(|(other, at)| *at == listing.at || same(other));
        others.map(|(_, at)| ListingRef { sku: listing.sku.clone(), at }).collect()
    }

    /// Returns the order lines that were sold from any of these listings.
    fn lines_of(&self, channel: &ChannelId, listings: &[ListingRef]) -> BTreeMap<OrderKey, BTreeSet<LineId>> {
        let mut all: BTreeMap<OrderKey, BTreeSet<_>> = BTreeMap::new();
        for (key, order) in self.state.orders_of(channel) {
            for (id, line) in &order.lines {
                let bound = line.bound.as_ref().is_some_and(|b| listings.iter().any(|l| l.sku == b.sku));
                let of = |listing: &ListingRef| listings.contains(listing);
                if bound && matches!(resolve(self.state, channel, &line.ids), Resolved::Listing(l) if of(&l))
                {
                    all.entry(key.clone()).or_default().insert(id.clone());
                }
            }
        }
        all
    }

    /// Has the mapping say which SKU a listing is, at whichever outlet.
    fn say_whose(&mut self, held: &Listing, sku: &Sku) {
        let ids = held.ids.without(IdKind::Location);
        let row = MappingRow { sku: sku.clone(), channel: held.channel.clone(), ids };
        self.emit(Record::Mapped { rows: vec![row] });
    }

    fn move_listing(&mut self, old: &ListingRef, new: ListingRef) {
        let Some(held) = self.state.listing(old).cloned() else { return };
        let bound = |to: &ListingRef, ids: Identifiers, unwritable: Option<String>| Record::Bound {
            sku: to.sku.clone(),
            at: to.at,
            channel: held.channel.clone(),
            ids,
            by: held.by,
            unwritable,
        };
        let gone = format!("it belongs to {} now", new.sku);
        self.emit(bound(old, Identifiers::default(), Some(gone)));
        self.emit(bound(&new, held.ids.clone(), None));
        if held.allotted.is_some() {
            // What a person wants of it is wanted of it, whatever SKU it is.
            let rows = vec![(new.clone(), held.allotted), (old.clone(), None)];
            self.emit(Record::Allotted { rows });
        }
        let writes = Writes { confirmed: None, ..held.writes.clone() };
        self.emit(Record::Moved { listing: new.clone(), why: Why::Rebound, leg: None, writes, note: None });
        let dropped = held.leg.clone().map(|leg| leg::Leg { state: leg::State::Dropped, ..leg });
        let writes = Writes { confirmed: held.writes.confirmed, ..Writes::default() };
        self.emit(Record::Moved {
            listing: old.clone(),
            why: Why::Rebound,
            leg: dropped,
            writes,
            note: None,
        });
        // What waits for a person waits on, where it is now.
        if let Some(drift) = held.drift.as_deref().filter(|drift| drift.is_open()) {
            self.emit(Record::DriftEnded { listing: new, drifted: Box::new(drift.clone()) });
            let drifted = Box::new(Drifted { done: Done::Gone, ..drift.clone() });
            self.emit(Record::DriftEnded { listing: old.clone(), drifted });
        }
    }

    /// Books lines on another SKU. What is not shipped is taken back where it was; what has left the shelf is not,
    /// because a count may have told of it since: the next count of that SKU does. On the new SKU everything is booked.
    /// Lines that cannot be booked stay as they are.
    fn rebind_lines(
        &mut self,
        key: OrderKey,
        lines: &BTreeSet<LineId>,
        policy: &ChannelPolicy,
        returns: Returns,
        sku: &Sku,
    ) {
        let Some(mut order) = self.state.order(&key).map(Cow::into_owned) else { return };
        let Ok(entries) = self.rebound(&key, &mut order, lines, policy, returns, sku) else { return };
        if self.note_postings(&key, &mut order).is_ok() {
            self.emit(Record::Order { key, order: Box::new(order), entries });
        }
    }

    fn rebound(
        &self,
        key: &OrderKey,
        order: &mut Order,
        lines: &BTreeSet<LineId>,
        policy: &ChannelPolicy,
        returns: Returns,
        sku: &Sku,
    ) -> Result<Vec<Entry>, Overflow> {
        let mut booking = Booking::new(self.state, self.now);
        let whole = order.clone();
        // All of it was told before, and nobody knows more exactly when it was.
        let span = Span {
            sold_at: self.now,
            changed_at: whole.changed_at(),
            absent: whole.placed_at,
            cancel_absent: self.now,
        };
        let when = Happened::of(&whole, Some(&whole), policy, self.fed_of(&key.channel));
        for (id, line) in order.lines.iter_mut().filter(|(id, _)| lines.contains(*id)) {
            let cause = Cause::Order { order: key.clone(), line: id.clone() };
            let (booked, old) = (line.booked, line.shares().to_vec());
            for share in &old {
                let open = share.booked.open()?.times(share.units)?;
                let kind = self.baseline_kind(&key.channel, share);
                let moves = if open.is_zero() { Vec::new() } else { vec![(kind, open.neg()?)] };
                booking.book(share, moves, &cause, span)?;
            }
            let Some(Binding { location, .. }) = line.bound.take() else { continue };
            let (baseline, early) = self.opening(whole.placed_at, sku, &location);
            line.bound = Some(Binding { sku: sku.clone(), location, baseline, early });
            (line.booked, line.shares) = (Totals::default(), Vec::new());
            let bound = line.bound.clone();
            let home = bound.as_ref().and_then(|bound| self.home(policy, line, bound));
            if let (Some(bound), Some(home)) = (bound, home) {
                let places = whole.places(line)?;
                let mut wanted = self.shares(&when, line, &bound, (booked, &places), &home)?;
                // What was over by the opening of the one is over by that of the other.
                for share in wanted.iter_mut().filter(|share| share.baseline) {
                    let same = old.iter().find(|old| old.baseline && old.location == share.location);
                    if let Some(same) = same {
                        share.before = Some(same.before()?);
                    }
                }
                for (share, moves) in self.rebooked(&key.channel, line, &wanted, returns)? {
                    booking.book(&share, moves, &cause, span)?;
                }
                line.booked = booked;
                line.set_shares(wanted);
            }
        }
        Ok(booking.entries)
    }
}
