//! Which oversold SKUs people are told of, and which are not oversold any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        oversold::{as_none, there},
        state::State,
    },
    model::{LocationId, Quantity, Seq, Sku},
};

/// What is missing of each oversold SKU, so that nobody looks at all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Short {
    /// Since when each is oversold, and the units that are missing now.
    missing: BTreeMap<Sku, (Seq, Quantity)>,
    /// Those of which people are told, the one that has been oversold for longest first.
    told: BTreeSet<(Seq, Sku)>,
    made_good: BTreeSet<Sku>,
}

impl Short {
    /// Takes in what is missing of a SKU. `None`: it is not oversold. `least`: from how many units on people are told.
    fn put(&mut self, sku: &Sku, missing: Option<(Seq, Quantity)>, least: i64) {
        let before = match missing {
            Some(now) => self.missing.insert(sku.clone(), now),
            None => self.missing.remove(sku),
        };
        if before == missing {
            return;
        }
        if let Some((since, _)) = before {
            self.told.remove(&(since, sku.clone()));
            self.made_good.remove(sku);
        }
        if let Some((since, units)) = missing {
            if units.is_zero() {
                self.made_good.insert(sku.clone());
            } else if least > 0 && units.units() >= least {
                self.told.insert((since, sku.clone()));
            }
        }
    }

    /// A SKU is not oversold any more.
    pub fn forget(&mut self, sku: &Sku) {
        self.put(sku, None, 0);
    }

    /// Returns the SKUs that people are told of, the one that has been oversold for longest first.
    pub fn told(&self) -> impl ExactSizeIterator<Item = &Sku> + DoubleEndedIterator {
        self.told.iter().map(|(_, sku)| sku)
    }

    /// Returns how many units are missing of an oversold SKU.
    pub fn missing(&self, sku: &Sku) -> Quantity {
        self.missing.get(sku).map_or(Quantity::ZERO, |(_, units)| *units)
    }

    /// Returns the SKUs of which nothing is missing any more.
    pub fn made_good(&self) -> impl Iterator<Item = &Sku> {
        self.made_good.iter()
    }
}

impl State {
    /// Takes in that the stock of a SKU may have changed, or since when it is oversold. What was merged into it is missing there.
    pub(in crate::core) fn note_short(&mut self, sku: &Sku) {
        if self.oversold.is_empty() {
            return;
        }
        let Some(policies) = self.policies.clone() else { return };
        let (places, least) = (policies.own_places(), i64::from(policies.alerts.oversold_units));
        for sku in self.known_as(sku) {
            self.put_short(&sku, &places, least);
        }
    }

    /// Takes in the stock of all that is oversold.
    pub(super) fn note_all_short(&mut self) {
        self.index.short = Short::default();
        let Some(policies) = self.policies.clone() else { return };
        let (places, least) = (policies.own_places(), i64::from(policies.alerts.oversold_units));
        for sku in self.oversold.keys().cloned().collect::<Vec<_>>() {
            self.put_short(&sku, &places, least);
        }
    }

    fn put_short(&mut self, sku: &Sku, places: &[LocationId], least: i64) {
        let since = self.oversold.get(sku).map(|last| last.since);
        let missing = since.map(|since| (since, self.missing(sku, places)));
        self.index.short.put(sku, missing, least);
    }

    /// Returns how many units are sold, or promised, that are not at any of these places, nor on their way there.
    fn missing(&self, sku: &Sku, places: &[LocationId]) -> Quantity {
        // What became part of another SKU is missing there.
        let sku = self.canonical(sku);
        // What a bundle sells now is missing of what it is made of; what was shipped of it while it had no recipe is not made good by
        // one.
        let there = self.skus.get(sku).and_then(|row| match there(row, places).ok()? {
            None => as_none(row, places).ok(),
            there => there,
        });
        there.and_then(|there| there.neg().ok()).map_or(Quantity::ZERO, Quantity::or_zero)
    }
}
