//! Where the units of an order's lines lie, as far as Shopify says it.
//!
//! - A fulfillment order says from which location its units are to be shipped. Staff may move it, whole or in part; it, or
//!   the one that is made of the part, then names another location.
//! - A fulfillment says from where its units were shipped, a refund where they were restocked.
//! - Nothing says where units lay that were taken off without a restock: they are taken to lie where the latest fulfillment
//!   order of the line was to be shipped from.
//!
//! What lies at a location of the shop that is not configured is left out: the ledger books it at the channel's first.

use std::collections::BTreeMap;

use crate::{
    connectors::shopify::{
        options::Locations,
        orders::{Order, Restock, Shipping},
    },
    model::{LocationId, Overflow, Quantity, Totals},
};

impl Order {
    /// Tells whether a push leaves open where units lie, although there are several places.
    pub(in crate::connectors::shopify) fn is_unplaced(&self, locations: &Locations) -> bool {
        locations.are_several() && self.routes.is_none() && self.sold_at.is_none()
    }

    /// Returns how a line's totals lie on our locations; empty where that is not known, or there is only one.
    pub(super) fn places(
        &self,
        line: u64,
        totals: Totals,
        locations: &Locations,
    ) -> Vec<(LocationId, Totals)> {
        if !locations.are_several() || self.is_unplaced(locations) {
            return Vec::new();
        }
        // Sums of what was bounded one by one: a line that does not fit is one whose place is not known.
        self.sums(line, totals, locations).unwrap_or_default()
    }

    fn sums(
        &self,
        line: u64,
        totals: Totals,
        locations: &Locations,
    ) -> Result<Vec<(LocationId, Totals)>, Overflow> {
        let mut all: BTreeMap<u64, Totals> = BTreeMap::new();
        let known = |number: Option<u64>| number.filter(|number| locations.numbered(*number).is_some());
        let units = |quantity: i64| Quantity::new(quantity).or_zero();
        let routes = || self.routes.iter().flatten().filter(|route| route.line == line);
        for shipped in self.shipped.iter().filter(|shipped| shipped.line == line) {
            let Some(number) = known(shipped.location) else { continue };
            let at = all.entry(number).or_default();
            match shipped.state {
                Shipping::Done => at.fulfilled = at.fulfilled.add(units(shipped.quantity))?,
                Shipping::UnderWay => at.ordered = at.ordered.add(units(shipped.quantity))?,
                Shipping::Void => {}
            }
        }
        for refund in self.refunded.iter().filter(|refund| refund.line == line) {
            let Some(number) = known(refund.location) else { continue };
            let at = all.entry(number).or_default();
            match refund.restock {
                Restock::Cancel => at.released = at.released.add(units(refund.quantity))?,
                Restock::Return => at.returned = at.returned.add(units(refund.quantity))?,
                Restock::Legacy | Restock::No => {}
            }
        }
        for route in routes() {
            let Some(number) = known(route.location) else { continue };
            let at = all.entry(number).or_default();
            at.ordered = at.ordered.add(units(route.remaining))?;
        }
        // Open units were summed up so far; what became of the others was ordered there too.
        for at in all.values_mut() {
            at.ordered = at.ordered.add(at.fulfilled)?.add(at.released)?.add(at.written_off)?;
        }
        let latest = routes().max_by_key(|route| route.of).and_then(|route| route.location);
        if let Some(number) = known(latest.or(self.sold_at)) {
            let told = all.values().try_fold(Totals::default(), |sum, at| sum.plus(*at))?;
            let at = all.entry(number).or_default();
            *at = at.plus(left(totals, told)?)?;
        }
        let named = |(number, at): (u64, Totals)| Some((locations.numbered(number)?.id.clone(), at));
        let mut places: Vec<_> = all.into_iter().filter_map(named).collect();
        places.retain(|(_, at)| *at != Totals::default());
        // The first is where it was sold from, as far as one place is named.
        let open = |at: &Totals| std::cmp::Reverse(at.open().unwrap_or_default());
        places.sort_by_key(|(_, at)| open(at));
        Ok(places)
    }
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
