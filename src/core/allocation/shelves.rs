//! What lies at the places of a SKU, looked up once for all that its listings ask.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        allocation::owed::{Heap, Owed},
        state::{ChannelRow, Listing, SkuRow, State},
    },
    model::{FulfilledBy, LocationId, Overflow, Quantity, Sku, policy::Part},
};

/// What can be sold from some places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sellable {
    /// What lies there.
    pub here: Quantity,
    /// What of it is not owed to what was sold at other places.
    pub free: Quantity,
}

/// The stock that the listings of one SKU sell: its own, or that of what it is made of.
#[derive(Debug)]
pub struct Shelves<'a> {
    pub state: &'a State,
    pub sku: &'a Sku,
    /// The SKU's row, as it is or as it would be.
    pub row: &'a SkuRow,
    /// What it is made of, once that was asked.
    parts: Vec<Part>,
    /// What of that is stopped, once that was asked.
    stopped: Option<Option<&'a Sku>>,
    /// What the SKUs with stock of their own have that were asked so far.
    held: BTreeMap<&'a Sku, Shelf<'a>>,
}

impl<'a> Shelves<'a> {
    pub fn of(state: &'a State, sku: &'a Sku, row: &'a SkuRow) -> Shelves<'a> {
        Shelves { state, sku, row, parts: Vec::new(), stopped: None, held: BTreeMap::new() }
    }

    /// Turns to another SKU of the same state, as it is. What was found of components that both are made of is kept: what is
    /// owed of one that many bundles hold is worked out once for all of them.
    pub fn turn_to(&mut self, sku: &'a Sku, row: &'a SkuRow) {
        (self.sku, self.row) = (sku, row);
        self.parts.clear();
        self.stopped = None;
    }

    /// Returns what the SKU is made of that a person has stopped, if any of it is: then none of the SKU is for sale either.
    pub fn stopped_part(&mut self) -> Option<&'a Sku> {
        let (state, sku) = (self.state, self.sku);
        *self.stopped.get_or_insert_with(|| state.stopped_part(sku))
    }

    /// Returns how many units can be sold from these places: of a bundle, as many as its scarcest component makes. `None`:
    /// not known yet. `keep` tells what is kept back of a component.
    pub fn sellable(
        &mut self,
        drawn: &[LocationId],
        keep: impl Fn(&Sku) -> Quantity,
    ) -> Result<Option<Sellable>, Overflow> {
        let state = self.state;
        if state.index.recipes.direct(self.sku).is_none() {
            let own = self.held.entry(self.sku).or_insert_with(|| Shelf::of(self.row));
            let Some(Sellable { here, free }) = own.sellable(state, self.sku, drawn)? else {
                return Ok(None);
            };
            let kept = keep(self.sku);
            return Ok(Some(Sellable { here: here.sub(kept)?, free: free.sub(kept)? }));
        }
        if self.parts.is_empty() {
            self.parts = state.made_of(self.sku)?;
        }
        let mut least: Option<Sellable> = None;
        for part in &self.parts {
            let Some((of, row)) = state.skus.get_key_value(&part.sku) else { return Ok(None) };
            let shelf = self.held.entry(of).or_insert_with(|| Shelf::of(row));
            let Some(Sellable { here, free }) = shelf.sellable(state, &part.sku, drawn)? else {
                return Ok(None);
            };
            let whole = |units: Quantity| Ok(units.sub(keep(&part.sku))?.whole(part.units));
            let (Some(here), Some(free)) = (whole(here)?, whole(free)?) else { return Ok(None) };
            let held = least.unwrap_or(Sellable { here, free });
            least = Some(Sellable { here: held.here.min(here), free: held.free.min(free) });
        }
        Ok(least)
    }
}

/// One SKU's own stock.
#[derive(Debug)]
struct Shelf<'a> {
    row: &'a SkuRow,
    /// Where each place is in the row.
    at: BTreeMap<&'a LocationId, usize>,
    /// What is owed between its places, once that was asked. Worked out only where a place is short.
    owed: Option<Owed<'a>>,
    /// What was found of each set of places.
    known: BTreeMap<Vec<LocationId>, Option<Sellable>>,
}

impl<'a> Shelf<'a> {
    fn of(row: &'a SkuRow) -> Shelf<'a> {
        let at = row.stock.iter().enumerate().map(|(n, place)| (&place.location, n)).collect();
        Shelf { row, at, owed: None, known: BTreeMap::new() }
    }

    fn sellable(
        &mut self,
        state: &'a State,
        sku: &Sku,
        drawn: &[LocationId],
    ) -> Result<Option<Sellable>, Overflow> {
        if let Some(known) = self.known.get(drawn) {
            return Ok(*known);
        }
        let found = match self.available(drawn)? {
            Some(here) => Some(Sellable { here, free: self.unowed(state, sku, drawn, here)? }),
            None => None,
        };
        self.known.insert(drawn.to_vec(), found);
        Ok(found)
    }

    /// Like [`SkuRow::available`], but that no place is searched for.
    fn available(&self, drawn: &[LocationId]) -> Result<Option<Quantity>, Overflow> {
        let (mut sum, mut opened) = (Quantity::ZERO, false);
        let places: BTreeSet<usize> = drawn.iter().filter_map(|place| self.at.get(place)).copied().collect();
        for place in places.into_iter().map(|n| &self.row.stock[n]) {
            sum = sum.add(place.stock.available()?)?;
            opened |= place.opened.is_some();
        }
        for moving in &self.row.moving {
            if drawn.contains(&moving.from) && drawn.contains(&moving.to) {
                sum = sum.add(moving.quantity)?;
            }
        }
        Ok(opened.then_some(sum))
    }

    fn unowed(
        &mut self,
        state: &'a State,
        sku: &Sku,
        drawn: &[LocationId],
        here: Quantity,
    ) -> Result<Quantity, Overflow> {
        if self.owed.is_none() {
            self.owed = owed(state, sku, self.row)?;
        }
        Ok(self.owed.as_ref().map_or(here, |owed| owed.unowed(drawn, here)))
    }
}

/// Returns how many units of a SKU with stock of its own are sold at places that are short of them, and cannot come from any other place
/// that is sold together with those.
pub fn unmet(state: &State, sku: &Sku, row: &SkuRow) -> Result<Quantity, Overflow> {
    Ok(owed(state, sku, row)?.map_or(Quantity::ZERO, |owed| owed.unmet()))
}

/// Returns what is owed between the places of a SKU with stock of its own, if any of them is short.
fn owed<'a>(state: &'a State, sku: &Sku, row: &'a SkuRow) -> Result<Option<Owed<'a>>, Overflow> {
    let short =
        |place: &crate::core::state::Place| place.stock.available().is_ok_and(|units| units < Quantity::ZERO);
    if !row.stock.iter().any(short) {
        return Ok(None);
    }
    let mut heaps = Vec::with_capacity(row.stock.len() + row.moving.len());
    for place in &row.stock {
        heaps.push(Heap::at(&place.location, place.stock.available()?));
    }
    let moving = row.moving.iter();
    heaps.extend(moving.map(|moving| Heap { from: &moving.from, to: &moving.to, units: moving.quantity }));
    let mut sellers = sellers(state, sku, row);
    sellers.extend(row.drew.iter().map(Vec::as_slice));
    Ok(Some(Owed::new(&heaps, &sellers.into_iter().collect::<Vec<_>>())))
}

/// Returns each set of places that a SKU is sold from, by itself or as a part of others.
pub fn sellers<'a>(state: &'a State, sku: &Sku, row: &'a SkuRow) -> BTreeSet<&'a [LocationId]> {
    let users = state.index.recipes.users(sku);
    let users = users.iter().filter_map(|user| state.skus.get(user));
    std::iter::once(row).chain(users).flat_map(|row| sold_from(state, row)).collect()
}

/// Returns the places that each listing that sells draws on, and those that listings of its channel drew on: what was sold meanwhile
/// may come from all of them. One that the channel ships by now sold what lies with us as long as it was written.
fn sold_from<'a>(state: &'a State, row: &'a SkuRow) -> impl Iterator<Item = &'a [LocationId]> {
    let ours = |listing: &&Listing| {
        (listing.by != FulfilledBy::Channel || listing.leg.is_some()) && !listing.given_away()
    };
    row.listings.iter().filter(ours).flat_map(|listing| sold_by(state, listing))
}

/// Returns the places that a listing draws on, if its channel sells, and those that listings of its channel drew on.
pub fn sold_by<'a>(state: &'a State, listing: &Listing) -> impl Iterator<Item = &'a [LocationId]> + use<'a> {
    let channel = state.policies().and_then(|policies| policies.channels.get(&listing.channel));
    let sells = channel.filter(|channel| channel.abilities.sells);
    let drew = state.channels.get(&listing.channel).into_iter().flat_map(ChannelRow::drew);
    sells.and_then(|channel| channel.drawn(&listing.ids)).into_iter().chain(drew)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::ledger::Stock,
        core::state::Opened,
        model::{Counter, Measure, Timestamp},
    };

    fn place(n: usize) -> LocationId {
        LocationId::new(&format!("p{n:04}")).expect("a good name")
    }

    /// A row with these units at so many places.
    fn row(units: &[i64]) -> SkuRow {
        let mut row = SkuRow::default();
        for (n, units) in units.iter().enumerate() {
            let held = row.place_mut(&place(n));
            held.stock = Stock { on_hand: Quantity::new(*units), ..Stock::default() };
            let opened =
                Opened { as_of: Timestamp::ZERO, counter: Counter::Person, measure: Measure::OnHand };
            held.opened = Some(opened);
        }
        row
    }

    /// A thousand listings that draw on a place each, or on all of them, ask of a thousand places: the work is done once for
    /// each set of places, and what is owed once in all.
    #[test]
    fn what_many_listings_draw_on_is_worked_out_once() {
        let units: Vec<i64> = (0..1_000).map(|n| if n % 100 == 7 { -3 } else { 5 }).collect();
        let (state, sku, row) = (State::default(), Sku::new("A").expect("a good sku"), row(&units));
        let all: Vec<LocationId> = (0..1_000).map(place).collect();
        let mut shelves = Shelves::of(&state, &sku, &row);
        for n in 0..1_000 {
            let drawn = if n % 2 == 0 { &all[..] } else { &all[n % 10..=n % 10] };
            let sold = shelves.sellable(drawn, |_| Quantity::ZERO).expect("small").expect("opened");
            assert_eq!(Ok(Some(sold.here)), row.available(drawn));
        }
        assert_eq!(shelves.held[&sku].known.len(), 6, "all of them, and five by themselves");
    }

    /// A hundred bundles hold a component that is short at one place: that is asked once of it, and not once for each.
    #[test]
    fn what_is_owed_of_a_component_is_worked_out_once_for_all_that_hold_it() {
        let mut state = State::default();
        let named = |name: &str| Sku::new(name).expect("a good sku");
        let (part, all) = (Part { sku: named("BOX"), units: Quantity::new(2) }, [place(0), place(1)]);
        state.skus.insert(part.sku.clone(), row(&[-3, 9]));
        let bundles: Vec<Sku> = (0..100).map(|n| named(&format!("SET{n}"))).collect();
        for bundle in &bundles {
            state.skus.insert(bundle.clone(), SkuRow::default());
            state.index.recipes.set(bundle, Some(vec![part.clone()]));
        }
        let mut shelves = Shelves::of(&state, &part.sku, &state.skus[&part.sku]);
        for sku in std::iter::once(&part.sku).chain(&bundles) {
            shelves.turn_to(sku, &state.skus[sku]);
            let sold = shelves.sellable(&all, |_| Quantity::ZERO).expect("small").expect("opened");
            assert_eq!(sold.here.units(), if *sku == part.sku { 6 } else { 3 });
        }
        let asked: Vec<_> = shelves.held.iter().map(|(of, shelf)| (*of, shelf.known.len())).collect();
        assert_eq!(asked, [(&part.sku, 1)]);
    }
}
