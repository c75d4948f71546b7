//! What SKUs are made of, and corrections of what is what: recipes, merged SKUs, listings that belong to another SKU.
//!
//! A correction carries everything along. A merged SKU keeps its row, its listings and what is known of them; its stock
//! and what is promised of it go over at once, and what is booked on it from then on is booked on the other. A listing
//! that is rebound takes its quantity, its limit, its writes that may still land and its order lines with it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use crate::{
    core::{
        command::{ROWS_MAX, Refused, Reply},
        decide::{
            Draft,
            catalogue::LISTINGS_MAX,
            orders::{Booking, Happened, Span},
            recheck::AT_ONCE,
        },
        drift::{Done, Drifted},
        intent::{Intent, Line},
        ledger::{Cause, Entry, Kind, Stock, book, movements},
        leg,
        mapping::{Resolved, resolve},
        moves::Absent,
        order::{self, Binding, Order},
        recipe::Made,
        record::{Record, Why},
        share::Share,
        state::{Listing, ListingRef, Opened, Place, SkuRow, State, Todo},
        writes::Writes,
        wrong::{Why as Reason, Wrong, refused},
    },
    model::{
        ChannelId, IdKind, Identifiers, LineId, LocationId, OrderKey, Overflow, Policies, Quantity, Returns,
        Sku, Totals, counted,
        policy::{ChannelPolicy, MappingRow, Part},
        shell, which,
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
    // What was sold of it is taken from its components then.
    let policies = state.policies();
    let taken = row.is_only_sold(policies);
    let stays = |place: &&Place| {
        !taken || policies.is_some_and(|policies| policies.kept_by(&place.location).is_some())
    };
    let held = |place: &Place| {
        let Stock { on_hand, committed, reserved, incoming } = place.stock;
        let all =
            [("on hand", on_hand), ("sold", committed), ("held back", reserved), ("on the way", incoming)];
        let all = all.into_iter().filter(|(_, units)| !units.is_zero());
        let all: Vec<String> = all.map(|(what, units)| format!("{units} {what}")).collect();
        (!all.is_empty()).then(|| format!("{} at `{}`", all.join(", "), place.location))
    };
    let held: Vec<String> = row.stock.iter().filter(stays).filter_map(held).collect();
    let held = (!held.is_empty()).then(|| held.join("; "))?;
    Some(format!(
        "`{sku}` has stock of its own ({held}): a bundle does not sell that, and no count changes it any more"
    ))
}

/// Says what was shipped of SKUs that become bundles while they had no recipe, and what to do about it.
pub fn shipped_of(state: &State, rows: &[(Sku, Vec<Part>)]) -> Vec<String> {
    let becomes = |sku: &Sku| state.index.recipes.direct(sku).is_none();
    let becoming: BTreeMap<&Sku, &[Part]> =
        rows.iter().filter(|(sku, _)| becomes(sku)).map(|(sku, parts)| (sku, parts.as_slice())).collect();
    let short = unaccounted_of(state, &becoming.keys().copied().collect());
    short.iter().filter_map(|(sku, places)| shipped_text(sku, places, becoming.get(sku)?, false)).collect()
}

/// Returns how many units of a SKU that was never counted were shipped from which place of ours, and no component accounts for. What an
/// open order has shipped is taken from the components together with the rest of its line, once there is a recipe.
pub fn unaccounted(state: &State, sku: &Sku) -> Vec<(LocationId, Quantity)> {
    unaccounted_of(state, &BTreeSet::from([sku])).remove(sku).into_iter().flatten().collect()
}

/// Returns the same of several SKUs, where there is any.
fn unaccounted_of(state: &State, skus: &BTreeSet<&Sku>) -> BTreeMap<Sku, BTreeMap<LocationId, Quantity>> {
    let Some(policies) = state.policies() else { return BTreeMap::new() };
    let is_short = |place: &&Place| {
        place.opened.is_none()
            && place.stock.on_hand < Quantity::ZERO
            && policies.kept_by(&place.location).is_none()
    };
    let short = |sku: &&Sku| -> Option<(Sku, BTreeMap<LocationId, Quantity>)> {
        let places = state.skus.get(*sku)?.stock.iter().filter(is_short);
        let of = |place: &Place| (place.location.clone(), place.stock.on_hand.neg().unwrap_or_default());
        Some((Sku::clone(sku), places.map(of).collect()))
    };
    let mut all: BTreeMap<_, _> =
        skus.iter().filter_map(short).filter(|(_, places)| !places.is_empty()).collect();
    let becoming: Vec<Sku> =
        all.keys().filter(|sku| state.index.recipes.direct(sku).is_none()).cloned().collect();
    if !becoming.is_empty() {
        let of: BTreeSet<&Sku> = becoming.iter().collect();
        let sold = sold_as_own(state, &of, Bound::Unbounded, usize::MAX).into_iter();
        for Gone { sku, location, units, .. } in sold.flat_map(|(key, lines)| gone(state, &key, &lines, &of))
        {
            if let Some(short) = all.get_mut(&sku).and_then(|places| places.get_mut(&location)) {
                *short = short.sub(units).unwrap_or(*short);
            }
        }
    }
    for places in all.values_mut() {
        places.retain(|_, short| *short > Quantity::ZERO);
    }
    all.retain(|_, places| !places.is_empty());
    all
}

/// Units that a line of an order has taken off a shelf.
struct Gone {
    sku: Sku,
    line: LineId,
    location: LocationId,
    units: Quantity,
}

/// Returns how many units of these SKUs these lines of an order have taken off which shelf, where any.
fn gone(state: &State, key: &OrderKey, lines: &BTreeSet<LineId>, skus: &BTreeSet<&Sku>) -> Vec<Gone> {
    let (Some(order), Some(policies)) = (state.orders.get(key), state.policies()) else { return Vec::new() };
    let mut all = Vec::new();
    for (id, line) in order.lines.iter().filter(|(id, _)| lines.contains(*id)) {
        let returns = line.returns_by(policies.returns);
        for share in line.shares().iter() {
            let Some(sku) = skus.get(state.canonical(&share.sku)) else { continue };
            let moves = movements(Totals::default(), share.booked, returns).unwrap_or_default();
            let stock = moves.into_iter().try_fold(Stock::default(), |stock, (kind, units)| {
                book(stock, kind, units.times(share.units)?)
            });
            let units = stock.and_then(|stock| stock.on_hand.neg()).unwrap_or_default();
            if units > Quantity::ZERO && !share.baseline {
                let (sku, line, location) = (Sku::clone(sku), id.clone(), share.location.clone());
                all.push(Gone { sku, line, location, units });
            }
        }
    }
    all
}

/// Says of a bundle what was shipped of it while it had no recipe, that its components do not account for, and what to do.
pub fn shipped_as_own(state: &State, sku: &Sku) -> Option<String> {
    let parts = state.index.recipes.direct(sku)?;
    shipped_text(sku, &unaccounted(state, sku).into_iter().collect(), parts, true)
}

/// `made`: it has its recipe already.
fn shipped_text(
    sku: &Sku,
    places: &BTreeMap<LocationId, Quantity>,
    parts: &[Part],
    made: bool,
) -> Option<String> {
    if places.is_empty() || parts.is_empty() {
        return None;
    }
    let units = places.values().try_fold(Quantity::ZERO, |sum, short| sum.add(*short)).ok()?;
    let at: Vec<String> = places.keys().map(|place| format!("`{place}`")).collect();
    let settle: Vec<String> =
        places.keys().map(|place| format!("`evenkeel count {} {place} 0`", shell(sku))).collect();
    let parts: Vec<String> = parts.iter().map(|part| format!("`{}`", part.sku)).collect();
    Some(format!(
        "{} of `{sku}` {} shipped from {} while it had no recipe, and its components do not account for {}: count {} there, \
         unless that was done since; then{} {} says that it is done",
        counted(units, "unit"),
        which(units.units(), "was", "were"),
        at.join(", "),
        which(units.units(), "it", "them"),
        parts.join(", "),
        if made { "" } else { ", and not before it has its recipe," },
        settle.join(", ")
    ))
}

/// Tells whether nothing but open sales is booked with us on a SKU that was never counted there: what a recipe says takes them over.
pub(super) fn waits_for_recipe(policies: Option<&Policies>, row: &SkuRow) -> bool {
    let sold = |place: &Place| place.stock.committed > Quantity::ZERO;
    row.with_us(policies).any(sold) && row.is_only_sold(policies)
}

/// Tells whether units were sold of a bundle that its components are still to be told of.
pub(super) fn is_to_be_rebooked(state: &State, sku: &Sku, row: &SkuRow) -> bool {
    let bundle = state.index.recipes.direct(sku).is_some() && state.canonical(sku) == sku;
    bundle && waits_for_recipe(state.policies(), row)
}

/// Returns the lines of which open units are booked on any of these SKUs, but for what a channel ships from where it keeps it, of at
/// most `most` orders from `from` on.
pub(super) fn sold_as_own(
    state: &State,
    skus: &BTreeSet<&Sku>,
    from: Bound<&OrderKey>,
    most: usize,
) -> BTreeMap<OrderKey, BTreeSet<LineId>> {
    let own = |share: &Share| {
        let open = share.booked.open().is_ok_and(|open| open > Quantity::ZERO);
        let theirs = || state.policies().is_some_and(|held| held.kept_by(&share.location).is_some());
        open && skus.contains(state.canonical(&share.sku)) && !theirs()
    };
    let of = |order: &Order| -> BTreeSet<LineId> {
        let lines = order.lines.iter().filter(|(_, line)| line.shares().iter().any(own));
        lines.map(|(id, _)| id.clone()).collect()
    };
    let orders = state.orders.range::<OrderKey, _>((from, Bound::Unbounded));
    let lines = orders.filter(|(_, order)| order.is_open()).map(|(key, order)| (key.clone(), of(order)));
    lines.filter(|(_, lines)| !lines.is_empty()).take(most).collect()
}

/// Returns the listings that a person gives to another SKU: the one that goes by this, and the same thing at the channel's
/// other outlets.
pub fn rebinds(state: &State, channel: &ChannelId, ids: &Identifiers, sku: &Sku) -> Vec<ListingRef> {
    same_thing(state, channel, ids).into_iter().filter(|listing| listing.sku != *sku).collect()
}

/// Returns the listing that goes by this, and the same thing at the channel's other outlets.
pub(super) fn same_thing(state: &State, channel: &ChannelId, ids: &Identifiers) -> Vec<ListingRef> {
    let Resolved::Listing(listing) = resolve(state, channel, ids) else { return Vec::new() };
    state.listing(&listing).map(|held| siblings(state, &listing, held)).unwrap_or_default()
}

/// Returns a listing with those that are the same thing at the channel's other outlets.
fn siblings(state: &State, listing: &ListingRef, held: &Listing) -> Vec<ListingRef> {
    let own = held.ids.without(IdKind::Location);
    let same = |other: &Listing| {
        other.channel == held.channel && !own.is_empty() && other.ids.without(IdKind::Location) == own
    };
    let row = state.skus.get(&listing.sku);
    let all = row.into_iter().flat_map(|row| row.listings.iter().zip(0..));
    let others = all.filter(|(other, at)| *at == listing.at || same(other));
    others.map(|(_, at)| ListingRef { sku: listing.sku.clone(), at }).collect()
}

/// As what order lines are booked anew.
#[derive(Clone, Copy)]
enum Rebook<'a> {
    /// As another SKU.
    As(&'a Sku),
    /// As what they are, with what each of these is made of in its place. All else that a line sells stays what it was when it was sold.
    MadeOf(&'a BTreeSet<&'a Sku>),
}

impl Draft<'_> {
    /// Takes recipes in, all or none. One without parts ends what was imported for the SKU.
    pub(super) fn recipes(&mut self, rows: Vec<(Sku, Vec<Part>)>) -> Result<Reply, Refused> {
        judge(self.state, &rows, &[], true)?;
        let mut changed = Vec::new();
        for (sku, parts) in rows {
            let made = (!parts.is_empty()).then_some(Made::Of(parts));
            if self.made(&sku) != made.as_ref() {
                self.emit(Record::Made { sku: sku.clone(), made });
                changed.push(sku);
            }
        }
        if !changed.is_empty() {
            self.state.recheck.sold = Todo::All;
            self.rebook_sold(AT_ONCE);
            changed.iter().for_each(|sku| self.refresh_sellers(sku));
            self.recheck_unmapped();
        }
        Ok(Reply::Changed { changed: changed.len() })
    }

    /// Takes from the components what is open of bundles that were sold while they had no recipe, and were never counted: so nothing of
    /// their own was sold. What has left by then stays where it was booked. The next portion, of at most `portion` orders in one
    /// command; until it is over, such a bundle shows what it did.
    pub(super) fn rebook_sold(&mut self, portion: usize) {
        let Some(policies) = self.state.policies.clone() else { return };
        let portion = portion.saturating_sub(self.rebooked);
        let Some(from) = self.state.recheck.sold.from().filter(|_| portion > 0) else { return };
        let state = &*self.state;
        let waits = |sku: &&Sku| state.skus.get(*sku).is_some_and(|row| is_to_be_rebooked(state, sku, row));
        let waiting: Vec<Sku> =
            state.index.recipes.all().map(|(sku, _)| sku).filter(waits).cloned().collect();
        let of: BTreeSet<&Sku> = waiting.iter().collect();
        let sold = if of.is_empty() { BTreeMap::new() } else { sold_as_own(state, &of, from, portion) };
        let keys: Vec<OrderKey> = sold.keys().cloned().collect();
        self.state.recheck.sold = Todo::after(&keys, portion);
        self.rebooked += keys.len();
        for (key, lines) in sold {
            let Some(policy) = policies.channels.get(&key.channel) else { continue };
            let gone = gone(self.state, &key, &lines, &of);
            self.rebind_lines(key.clone(), &lines, policy, policies.returns, Rebook::MadeOf(&of));
            self.accounted(&key, gone);
        }
        waiting.iter().for_each(|sku| self.refresh_sellers(sku));
    }

    /// Takes off bundles what their lines had shipped of them, once that is booked on their components. They were never counted, so no
    /// count can have told of it.
    fn accounted(&mut self, key: &OrderKey, gone: Vec<Gone>) {
        let Some(order) = self.state.orders.get(key) else { return };
        let still = |gone: &Gone| {
            let of = |share: &Share| *self.state.canonical(&share.sku) == gone.sku;
            order.lines.get(&gone.line).is_some_and(|line| line.shares().iter().any(of))
        };
        let mut stocks: BTreeMap<(Sku, LocationId), Stock> = BTreeMap::new();
        let mut entries = Vec::new();
        for one in gone.into_iter().filter(|one| !still(one)) {
            let Gone { sku, line, location, units: quantity } = one;
            let place = self.state.skus.get(&sku).and_then(|row| row.place(&location));
            let stock = stocks
                .entry((sku.clone(), location.clone()))
                .or_insert_with(|| place.map(|place| place.stock).unwrap_or_default());
            let Ok(after) = book(*stock, Kind::Correction, quantity) else { continue };
            *stock = after;
            let cause = Cause::Order { order: key.clone(), line };
            let (kind, event_at) = (Kind::Correction, self.now);
            entries.push(Entry { sku, location, kind, quantity, cause, event_at, after });
        }
        if !entries.is_empty() {
            self.emit(Record::Adjusted { entries });
        }
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
        self.not_intended([&from, &into])?;
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
        self.pause_alike(&into);
        self.refresh(&into, self.now);
        self.recheck_unmapped();
        Ok(Reply::Changed { changed: 1 })
    }

    /// Fails while something that a person wants of one of these SKUs is under way: it goes by the listings and places that the SKU
    /// has, by whichever of its names, and by what it is made of.
    fn not_intended(&self, skus: [&Sku; 2]) -> Result<(), Refused> {
        let state = &*self.state;
        let parts = |sku| state.made_of(sku).unwrap_or_default().into_iter().map(|part| part.sku);
        let of = |sku| parts(sku).chain([sku.clone()]).flat_map(|sku| state.names_of(&sku));
        let concerned: BTreeSet<Sku> = skus.into_iter().flat_map(of).collect();
        let named = |intent: &Intent| {
            let lines = intent.lines.iter().map(Line::sku);
            let mut all = lines.chain(intent.legs.iter().map(|leg| &leg.listing.sku));
            all.find(|sku| concerned.contains(*sku)).cloned()
        };
        let open = state.intents.iter().filter(|(_, intent)| !intent.phase.ended());
        let Some((id, intent, sku)) = open
            .map(|(id, held)| (id, held, named(held)))
            .find_map(|(id, held, named)| Some((id, held, named?)))
        else {
            return Ok(());
        };
        let first = match intent.may_be_undone() {
            true => format!("let it end first, or take it back with `evenkeel commits cancel {id}`"),
            false => "let it end first".to_owned(),
        };
        Err(Refused::NotSo(format!("intent {id} is under way for {sku}: {first}")))
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
        let siblings = siblings(self.state, &old, &held);
        let in_flight = |listing: &ListingRef| {
            let leg = self.state.listing(listing).and_then(|held| held.leg.as_ref());
            leg.is_some_and(|leg| matches!(leg.state, leg::State::InFlight(_)))
        };
        if siblings.iter().any(in_flight) {
            let why = "a write of it is under way; say it again in a moment";
            return Err(Refused::NotSo(why.to_owned()));
        }
        self.not_intended([&old.sku, sku])?;
        if count + siblings.len() > LISTINGS_MAX {
            return Err(Refused::NotSo(format!("{sku} has {LISTINGS_MAX} listings already")));
        }
        let moved = self.lines_of(channel, &siblings);
        let lines: usize = moved.values().map(BTreeSet::len).sum();
        if lines > ROWS_MAX {
            return Err(Refused::TooMany { rows: lines, most: ROWS_MAX });
        }
        self.say_whose(&held, sku);
        let mut written = Vec::new();
        for (sibling, at) in siblings.iter().zip(count..) {
            let Ok(at) = u16::try_from(at) else { continue };
            let new = ListingRef { sku: sku.clone(), at };
            let was_written = self.state.listing(sibling).is_some_and(|held| held.leg.is_some());
            written.extend(was_written.then(|| new.clone()));
            self.move_listing(sibling, new);
        }
        for (key, lines) in moved {
            self.rebind_lines(key, &lines, &policy, returns, Rebook::As(sku));
        }
        self.refresh_sellers(&old.sku);
        self.end_commits(&old.sku);
        self.refresh_sellers(sku);
        self.show_none(sku, &written);
        Ok(Reply::Changed { changed: siblings.len() + lines })
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

    /// Books lines anew. What is not shipped is taken back where it was; what has left the shelf is not,
    /// because a count may have told of it since: the next count of that SKU does. On what is new, everything is booked; what
    /// was booked already where it is booked now stays so. Lines that cannot be booked stay as they are.
    fn rebind_lines(
        &mut self,
        key: OrderKey,
        lines: &BTreeSet<LineId>,
        policy: &ChannelPolicy,
        returns: Returns,
        to: Rebook<'_>,
    ) {
        let Some(mut order) = self.state.order(&key).map(Cow::into_owned) else { return };
        let Ok(entries) = self.rebound(&key, &mut order, lines, policy, returns, to) else { return };
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
        to: Rebook<'_>,
    ) -> Result<Vec<Entry>, Overflow> {
        let mut booking = Booking::new(self.state, self.now);
        let whole = order.clone();
        // All of it was told before, and nobody knows more exactly when it was.
        let span = Span {
            sold_at: self.now,
            changed_at: whole.changed_at(),
            absent: Absent::but_cancel(self.now, whole.placed_at),
        };
        let when = Happened::of(&whole, Some(&whole), policy, self.fed_of(&key.channel));
        let same = |a: &Share, b: &Share| {
            self.state.canonical(&a.sku) == self.state.canonical(&b.sku) && a.location == b.location
        };
        for (id, line) in order.lines.iter_mut().filter(|(id, _)| lines.contains(*id)) {
            let cause = Cause::Order { order: key.clone(), line: id.clone() };
            let (booked, mut old) = (line.booked, line.shares().to_vec());
            let returns = line.returns_by(returns);
            let parts = self.parts_anew(line, to)?;
            let Some(Binding { sku, location, .. }) = line.bound.take() else { continue };
            let sku = if let Rebook::As(other) = to { other.clone() } else { sku };
            let (baseline, early) = self.opening(whole.placed_at, &sku, &location);
            let bound = Binding { sku, location, baseline, early };
            line.bound = Some(bound.clone());
            (line.booked, line.shares) = (Totals::default(), Vec::new());
            let home = self.home(policy, line, &bound);
            let mut wanted = Vec::new();
            if let Some(home) = &home {
                let places = whole.places(line)?;
                wanted = self.shares_of(parts, &when, line, &bound, (booked, &places), home)?;
            }
            for share in &mut wanted {
                if let Some(held) = old.iter().find(|old| same(old, share)) {
                    (share.baseline, share.early, share.before) = (held.baseline, held.early, held.before);
                    continue;
                }
                // What was over by the opening of the one is over by that of the other.
                let other = old.iter().find(|old| old.baseline && old.location == share.location);
                if let Some(other) = other.filter(|_| share.baseline) {
                    share.before = Some(other.before()?);
                }
            }
            let stays = |share: &Share| wanted.iter().any(|new| same(share, new));
            for share in old.iter().filter(|share| !stays(share)) {
                let open = share.booked.open()?.times(share.units)?;
                let kind = self.baseline_kind(&key.channel, share);
                let moves = if open.is_zero() { Vec::new() } else { vec![(kind, open.neg()?)] };
                booking.book(share, moves, &cause, span)?;
            }
            old.retain(stays);
            line.shares = old;
            for (share, moves) in self.rebooked(&key.channel, line, &wanted, returns)? {
                booking.book(&share, moves, &cause, span)?;
            }
            line.shares = Vec::new();
            if home.is_some() {
                line.booked = booked;
                line.set_shares(wanted);
            }
        }
        Ok(booking.entries)
    }

    /// Returns what one unit of a line is made of once it is booked anew.
    fn parts_anew(&self, line: &order::Line, to: Rebook<'_>) -> Result<Vec<Part>, Overflow> {
        let skus = match to {
            Rebook::As(sku) => return self.state.made_of(sku),
            Rebook::MadeOf(skus) => skus,
        };
        let mut all: BTreeMap<Sku, Quantity> = BTreeMap::new();
        for part in line.made_of().unwrap_or_default() {
            let made = skus.contains(self.state.canonical(&part.sku));
            let itself = || vec![Part { sku: part.sku.clone(), units: Quantity::new(1) }];
            for of in if made { self.state.made_of(&part.sku)? } else { itself() } {
                let sum = all.entry(of.sku).or_default();
                *sum = sum.add(of.units.times(part.units)?)?;
            }
        }
        Ok(all.into_iter().map(|(sku, units)| Part { sku, units }).collect())
    }
}
