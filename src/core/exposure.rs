//! Exposure: the most that the channels may still sell that is not known of (design: allocation and escrow).
//!
//! Counted for every listing under every policy. Only escrow lets nothing be raised beyond the slack; elsewhere it tells
//! people how far what is shown goes beyond what is there.

use std::collections::BTreeMap;

use crate::{
    core::{
        leg::Writes,
        state::{Listing, SkuRow, State},
    },
    model::{ChannelId, FulfilledBy, Overflow, Policies, Quantity, Sku},
};

/// Returns the most that a listing may still sell: what it shows at most, and what writes that are not settled may add.
/// `None`: it is not known what it shows.
///
/// What was observed counts at once where it is more than what is believed.
pub fn of(writes: &Writes) -> Result<Option<Quantity>, Overflow> {
    let Some(shown) = writes.most().filter(|_| writes.base.is_some()) else { return Ok(None) };
    let shown = shown.or_zero();
    writes.unsettled.iter().try_fold(shown, |sum, write| sum.add(write.exposure())).map(Some)
}

/// What the listings of one SKU may still sell, against what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposed {
    /// Over all places but those whose stock a channel holds by itself.
    pub available: Quantity,
    /// What is known of; `unknown` listings may sell more.
    pub exposure: Quantity,
    pub unknown: usize,
}

impl Exposed {
    /// Returns what may still be raised without promising more than there is; below zero, that much is promised too
    /// often. `None`: it is not known what all listings show.
    pub fn slack(&self) -> Option<Quantity> {
        if self.unknown > 0 { None } else { self.available.sub(self.exposure).ok() }
    }
}

impl Exposed {
    /// Adds the listings of one row, each unit of which takes `needed` of the SKU.
    fn add(&mut self, policies: &Policies, row: &SkuRow, needed: Quantity) -> Result<(), Overflow> {
        for listing in row.listings.iter().filter(|listing| sells(policies, listing)) {
            match of(&listing.writes)? {
                Some(units) => self.exposure = self.exposure.add(units.times(needed)?)?,
                None => self.unknown += 1,
            }
        }
        Ok(())
    }
}

/// Tells whether a listing sells the merchant's stock. What was given to another SKU is counted there, with all of its writes that
/// may still land.
pub fn sells(policies: &Policies, listing: &Listing) -> bool {
    let sells = policies.channels.get(&listing.channel).is_some_and(|policy| policy.abilities.sells);
    sells && listing.by == FulfilledBy::Merchant && !listing.given_away()
}

/// Adds up what may still be sold of a SKU with stock of its own: by its listings, and by those of everything that is made
/// of it, with the units that each needs. `None`: it has no stock of its own, or was never counted.
pub fn of_sku(state: &State, sku: &Sku) -> Result<Option<Exposed>, Overflow> {
    let (Some(policies), Some(row)) = (state.policies(), state.skus.get(sku)) else { return Ok(None) };
    if state.index.recipes.direct(sku).is_some() {
        return Ok(None);
    }
    let Some(available) = row.available(&policies.own_places())? else { return Ok(None) };
    let mut exposed = Exposed { available, exposure: Quantity::ZERO, unknown: 0 };
    exposed.add(policies, row, Quantity::new(1))?;
    for user in state.index.recipes.users(sku) {
        let Some(row) = state.skus.get(&user) else { continue };
        let parts = state.made_of(&user)?;
        let needed = parts.iter().find(|part| part.sku == *sku).map(|part| part.units);
        exposed.add(policies, row, needed.unwrap_or(Quantity::ZERO))?;
    }
    Ok(Some(exposed))
}

/// What a walk over the SKUs has added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub channels: BTreeMap<ChannelId, i64>,
    /// SKUs of which the listings may sell more than there is, and by how many units.
    pub short_skus: usize,
    pub short_units: i64,
}

impl Tally {
    /// Adds a portion of SKUs. Returns the last one looked at, if there may be more.
    pub fn add(&mut self, state: &State, after: Option<&Sku>, portion: usize) -> Option<Sku> {
        use std::ops::Bound::{Excluded, Unbounded};
        let policies = state.policies()?;
        let from = after.map_or(Unbounded, Excluded);
        let (mut last, mut seen) = (None, 0);
        for (sku, row) in state.skus.range::<Sku, _>((from, Unbounded)).take(portion) {
            (last, seen) = (Some(sku), seen + 1);
            self.add_sku(state, policies, sku, row);
        }
        last.filter(|_| seen == portion).cloned()
    }

    fn add_sku(&mut self, state: &State, policies: &Policies, sku: &Sku, row: &SkuRow) {
        for listing in row.listings.iter().filter(|listing| sells(policies, listing)) {
            let units = of(&listing.writes).ok().flatten().map_or(0, Quantity::units);
            let sum = self.channels.entry(listing.channel.clone()).or_default();
            *sum = sum.saturating_add(units);
        }
        let slack = of_sku(state, sku).ok().flatten().and_then(|exposed| exposed.slack());
        if let Some(short) = slack.filter(|slack| *slack < Quantity::ZERO) {
            self.short_skus += 1;
            self.short_units = self.short_units.saturating_add(short.units().saturating_neg());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::writes::{Look, Unsettled},
        model::{IdempotencyKey, Seq, Timestamp},
    };

    fn q(units: i64) -> Quantity {
        Quantity::new(units)
    }

    /// Base, a look that nothing explains yet, unsettled writes (from, to, times) -> the exposure.
    #[track_caller]
    fn check(base: Option<i64>, seen: Option<i64>, writes: &[(Option<i64>, i64, u32)], want: Option<i64>) {
        let at = Timestamp::ZERO;
        let unsettled = |(compare, quantity, times): &(Option<i64>, i64, u32)| Unsettled {
            quantity: q(*quantity),
            compare: compare.map(q),
            delta: None,
            key: IdempotencyKey::new("k").expect("a good key"),
            at,
            times: *times,
            bulk: None,
        };
        let look = |seen: i64| Look::bare(q(seen), at, Seq::ZERO);
        let writes = Writes {
            base: base.map(q),
            look: seen.map(look).map(Box::new),
            unsettled: writes.iter().map(unsettled).collect(),
            ..Writes::default()
        };
        assert_eq!(of(&writes), Ok(want.map(q)));
    }

    #[test]
    fn exposure_is_what_is_shown_and_what_may_still_land() {
        check(Some(5), None, &[], Some(5));
        check(Some(-2), None, &[], Some(0)); // below zero nothing is sold
        check(Some(5), Some(8), &[], Some(8)); // an excess that was observed counts at once
        check(Some(5), Some(3), &[], Some(5)); // less that was observed counts once it is explained
        check(Some(5), None, &[(Some(5), 8, 1)], Some(8)); // a raise may land
        check(Some(5), None, &[(Some(5), 2, 1)], Some(5)); // a lower may not
        check(Some(5), None, &[(None, 4, 1)], Some(9)); // a blind write may undo the sales before it
        check(Some(0), None, &[(None, 4, 3)], Some(12));
        check(None, Some(3), &[], None);
    }
}
