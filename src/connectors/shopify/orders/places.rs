//! Where the units of an order's lines lie, as far as Shopify says it.
//!
//! - A fulfillment order says from which location its units are to be shipped. Staff may move it, whole or in part; it, or
//!   the one that is made of the part, then names another location.
//! - A fulfillment says from where its units were shipped, a refund where they were restocked. A return that names no location is
//!   taken to lie where its units were shipped from.
//! - Nothing says where units lay that were taken off without a restock: a refund mostly names no location then, and the fulfillment order
//!   that they were of forgets them (its `totalQuantity` falls, as it does when a part of it is moved). So they are told as units
//!   that lie nowhere, and the ledger books them where they were still open by what was told before. Where that is not known, they
//!   are taken to lie where the latest fulfillment order of the line was to be shipped from.
//!
//! What lies at a location of the shop that is not configured is left out: the ledger books it at the channel's first.

use std::collections::BTreeMap;

use crate::{
    connectors::shopify::{
        options::Locations,
        orders::{Order, Refunded, Restock, Shipping},
    },
    model::{LocationId, Overflow, Quantity, Totals},
};

/// How a line's totals lie on our locations, and where those are taken to lie that were taken off nobody says where.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) places: Vec<(LocationId, Totals)>,
    pub(super) unplaced_at: Option<LocationId>,
}

impl Order {
    /// Tells whether a push leaves open where units lie, although there are several places.
    pub(in crate::connectors::shopify) fn is_unplaced(&self, locations: &Locations) -> bool {
        locations.are_several() && self.routes.is_none() && self.sold_at.is_none()
    }

    /// Returns how a line's totals lie on our locations; empty where that is not known, or there is only one.
    pub(super) fn places(&self, line: u64, totals: Totals, locations: &Locations) -> Placed {
        if !locations.are_several() || self.is_unplaced(locations) {
            return Placed::default();
        }
        // Sums of what was bounded one by one: a line that does not fit is one whose place is not known.
        self.placed(line, totals, locations).unwrap_or_default()
    }

    fn placed(&self, line: u64, totals: Totals, locations: &Locations) -> Result<Placed, Overflow> {
        let known = |number: Option<u64>| number.filter(|number| locations.numbered(*number).is_some());
        let mut all = self.told(line, totals, known)?;
        let routes = self.routes.iter().flatten().filter(|route| route.line == line);
        let latest = routes.max_by_key(|route| route.of).and_then(|route| route.location);
        let latest = known(latest.or(self.sold_at));
        if let Some(number) = latest {
            let told = all.values().try_fold(Totals::default(), |sum, at| sum.plus(*at))?;
            let left = left(totals, told)?;
            // What was taken off is told as units that lie nowhere; all else that nobody says lies there.
            let ordered = left.ordered.sub(left.released)?.sub(left.written_off)?.or_zero();
            let at = all.entry(number).or_default();
            at.ordered = at.ordered.add(ordered)?;
            at.fulfilled = at.fulfilled.add(left.fulfilled)?;
            at.returned = at.returned.add(left.returned)?;
        }
        let id = |number: u64| Some(locations.numbered(number)?.id.clone());
        let mut places: Vec<_> = all.into_iter().filter_map(|(number, at)| Some((id(number)?, at))).collect();
        places.retain(|(_, at)| *at != Totals::default());
        // The first is where it was sold from, as far as one place is named.
        let open = |at: &Totals| std::cmp::Reverse(at.open().unwrap_or_default());
        places.sort_by_key(|(_, at)| open(at));
        Ok(Placed { places, unplaced_at: latest.and_then(id) })
    }

    /// Returns what is said of each of the shop's locations that is known.
    fn told(
        &self,
        line: u64,
        totals: Totals,
        known: impl Fn(Option<u64>) -> Option<u64>,
    ) -> Result<BTreeMap<u64, Totals>, Overflow> {
        let mut all: BTreeMap<u64, Totals> = BTreeMap::new();
        for shipped in self.shipped.iter().filter(|shipped| shipped.line == line) {
            let Some(number) = known(shipped.location) else { continue };
            let at = all.entry(number).or_default();
            match shipped.state {
                Shipping::Done => at.fulfilled = at.fulfilled.add(units(shipped.quantity))?,
                Shipping::UnderWay => at.ordered = at.ordered.add(units(shipped.quantity))?,
                Shipping::Void => {}
            }
        }
        let refunds = self.refunded.iter().filter(|refund| refund.line == line);
        let refunds: Vec<&Refunded> = refunds.collect();
        restocked(&refunds, totals, &known, &mut all)?;
        for route in self.routes.iter().flatten().filter(|route| route.line == line) {
            let Some(number) = known(route.location) else { continue };
            let at = all.entry(number).or_default();
            at.ordered = at.ordered.add(units(route.remaining))?;
        }
        // Open units were summed up so far; what became of the others was ordered there too.
        for at in all.values_mut() {
            at.ordered = at.ordered.add(at.fulfilled)?.add(at.released)?.add(at.written_off)?;
        }
        Ok(all)
    }
}

fn units(quantity: i64) -> Quantity {
    Quantity::new(quantity).or_zero()
}

/// Says where units were restocked. What a refund calls its units does not always fit: a restock that is more than was taken off, or
/// more than was shipped, is one of the others, as it is in the totals.
fn restocked(
    refunds: &[&Refunded],
    totals: Totals,
    known: impl Fn(Option<u64>) -> Option<u64>,
    all: &mut BTreeMap<u64, Totals>,
) -> Result<(), Overflow> {
    let (mut released, mut returned) = (totals.released, totals.returned);
    let mut rows: Vec<(&Refunded, Quantity)> =
        refunds.iter().map(|refund| (*refund, units(refund.quantity))).collect();
    for pass in [[Restock::Cancel, Restock::Return], [Restock::Return, Restock::Cancel], [Restock::Legacy; 2]]
    {
        let [cancels, returns] = pass;
        for (refund, left) in &mut rows {
            let number = known(refund.location);
            if refund.restock == cancels {
                let here = take(&mut released, left)?;
                if let Some(number) = number {
                    let at = all.entry(number).or_default();
                    at.released = at.released.add(here)?;
                }
            }
            if refund.restock == returns {
                let here = take(&mut returned, left)?;
                put_back(number, here, all)?;
            }
        }
    }
    let mut written_off = totals.written_off;
    for (refund, left) in rows.iter_mut().filter(|(refund, _)| refund.restock == Restock::No) {
        let Some(number) = known(refund.location) else { continue };
        let here = take(&mut written_off, left)?;
        let at = all.entry(number).or_default();
        at.written_off = at.written_off.add(here)?;
    }
    Ok(())
}

/// Puts units back where they were restocked, or else to where they were shipped from.
fn put_back(
    number: Option<u64>,
    mut units: Quantity,
    all: &mut BTreeMap<u64, Totals>,
) -> Result<(), Overflow> {
    if let Some(number) = number {
        let at = all.entry(number).or_default();
        at.returned = at.returned.add(units)?;
        return Ok(());
    }
    for at in all.values_mut() {
        let here = take(&mut at.fulfilled.sub(at.returned)?.or_zero(), &mut units)?;
        at.returned = at.returned.add(here)?;
    }
    Ok(())
}

/// Takes of two amounts what both have, from both.
fn take(one: &mut Quantity, other: &mut Quantity) -> Result<Quantity, Overflow> {
    let both = (*one).min(*other).or_zero();
    (*one, *other) = (one.sub(both)?, other.sub(both)?);
    Ok(both)
}

/// Returns what of the totals no place accounts for.
fn left(totals: Totals, told: Totals) -> Result<Totals, Overflow> {
    Ok(Totals {
        ordered: totals.ordered.sub(told.ordered)?.or_zero(),
        released: totals.released.sub(told.released)?.or_zero(),
        written_off: totals.written_off.sub(told.written_off)?.or_zero(),
        fulfilled: totals.fulfilled.sub(told.fulfilled)?.or_zero(),
        returned: totals.returned.sub(told.returned)?.or_zero(),
    })
}
