//! What SKUs are made of: bundles of their components, a merged SKU of the one that it became part of.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    core::state::State,
    model::{Overflow, Policies, Quantity, Sku, policy::Part},
};

/// The most components that a bundle may have.
pub const PARTS_MAX: usize = 100;
/// How deep bundles may lie in bundles.
pub const DEPTH_MAX: usize = 8;

/// Why a SKU has no stock of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Made {
    /// A bundle by an imported recipe.
    Of(Vec<Part>),
    /// It became part of another SKU, with its stock and what is promised of it.
    Merged(Sku),
}

/// The recipes in force, both ways. Derived from the configuration and the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipes {
    parts: BTreeMap<Sku, Vec<Part>>,
    used_in: BTreeMap<Sku, BTreeSet<Sku>>,
}

impl Recipes {
    /// Collects what the configuration says, then what the rows say, which counts before it.
    pub fn collect<'a>(
        policies: Option<&Policies>,
        rows: impl Iterator<Item = (&'a Sku, &'a Made)>,
    ) -> Recipes {
        let mut all = Recipes::default();
        for recipe in policies.iter().flat_map(|policies| &policies.bundles) {
            all.set(&recipe.bundle, Some(recipe.parts.clone()));
        }
        for (sku, made) in rows {
            all.set(sku, Some(made.parts()));
        }
        all
    }

    /// Changes what a SKU is made of. `None`: itself.
    pub fn set(&mut self, sku: &Sku, parts: Option<Vec<Part>>) {
        for part in self.parts.remove(sku).into_iter().flatten() {
            if let Some(users) = self.used_in.get_mut(&part.sku) {
                users.remove(sku);
            }
        }
        for part in parts.iter().flatten() {
            self.used_in.entry(part.sku.clone()).or_default().insert(sku.clone());
        }
        if let Some(parts) = parts {
            self.parts.insert(sku.clone(), parts);
        }
    }

    pub fn direct(&self, sku: &Sku) -> Option<&[Part]> {
        self.parts.get(sku).map(Vec::as_slice)
    }

    /// Returns every SKU that is made of other ones, with what it is made of.
    pub fn all(&self) -> impl Iterator<Item = (&Sku, &[Part])> {
        self.parts.iter().map(|(sku, parts)| (sku, parts.as_slice()))
    }

    /// Returns the SKUs with stock of their own that one unit is made of, each once. A SKU without a recipe is made of
    /// itself; so is one whose recipe comes back to it, or lies too deep.
    pub fn flat(&self, sku: &Sku) -> Result<Vec<Part>, Overflow> {
        let mut out: BTreeMap<Sku, Quantity> = BTreeMap::new();
        self.flatten(sku, Quantity::new(1), &mut Vec::new(), &mut out)?;
        Ok(out.into_iter().map(|(sku, units)| Part { sku, units }).collect())
    }

    fn flatten(
        &self,
        sku: &Sku,
        units: Quantity,
        path: &mut Vec<Sku>,
        out: &mut BTreeMap<Sku, Quantity>,
    ) -> Result<(), Overflow> {
        let parts = self.direct(sku).filter(|_| path.len() < DEPTH_MAX && !path.contains(sku));
        let Some(parts) = parts else {
            let sum = out.entry(sku.clone()).or_default();
            *sum = sum.add(units)?;
            return Ok(());
        };
        path.push(sku.clone());
        for part in parts {
            self.flatten(&part.sku, units.times(part.units)?, path, out)?;
        }
        path.pop();
        Ok(())
    }

    /// Returns the SKUs whose quantities follow from this one's: bundles that hold it, and what was merged into it.
    pub fn users(&self, sku: &Sku) -> BTreeSet<Sku> {
        let mut found = BTreeSet::new();
        let mut next = vec![sku];
        while let Some(sku) = next.pop() {
            for user in self.used_in.get(sku).into_iter().flatten() {
                if found.insert(user.clone()) {
                    next.push(user);
                }
            }
        }
        found
    }

    /// Tells why a SKU cannot be made of these parts, if so.
    pub fn refuse(&self, sku: &Sku, parts: &[Part]) -> Option<String> {
        let bad = parts.iter().find(|part| part.units <= Quantity::ZERO || part.units.units() > 1_000_000);
        if let Some(part) = bad {
            return Some(format!("{sku} cannot hold {} units of {}", part.units, part.sku));
        }
        if parts.is_empty() || parts.len() > PARTS_MAX {
            let count = parts.len();
            return Some(format!("{sku} must have 1 to {PARTS_MAX} components, has {count}"));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = parts.iter().find(|part| !seen.insert(&part.sku)) {
            return Some(format!("{sku} names the component {} twice", twice.sku));
        }
        let circle = parts.iter().find(|part| part.sku == *sku || self.users(sku).contains(&part.sku));
        if let Some(part) = circle {
            return Some(format!("{sku} would hold itself by way of {}", part.sku));
        }
        let depth = parts.iter().map(|part| self.depth(&part.sku, DEPTH_MAX)).max().unwrap_or(0);
        (depth >= DEPTH_MAX).then(|| format!("{sku} would hold bundles more than {DEPTH_MAX} deep"))
    }

    /// Returns how many bundles lie in one another from `sku` on, counting no further than `most`: a recipe of the
    /// configuration and an imported one may hold each other.
    fn depth(&self, sku: &Sku, most: usize) -> usize {
        match self.direct(sku) {
            Some(parts) if most > 0 => {
                1 + parts.iter().map(|part| self.depth(&part.sku, most - 1)).max().unwrap_or(0)
            }
            Some(_) | None => 0,
        }
    }
}

impl Made {
    pub fn parts(&self) -> Vec<Part> {
        match self {
            Made::Of(parts) => parts.clone(),
            Made::Merged(into) => vec![Part { sku: into.clone(), units: Quantity::new(1) }],
        }
    }
}

impl State {
    /// Returns the SKU whose balances hold what was booked on `sku`: itself, or what it was merged into.
    pub fn canonical<'a>(&'a self, sku: &'a Sku) -> &'a Sku {
        let mut sku = sku;
        // Nothing is merged into what is merged itself, so this ends; the bound is for rows that lie.
        for _ in 0..1_000 {
            match self.skus.get(sku).and_then(|row| row.made.as_deref()) {
                Some(Made::Merged(into)) => sku = into,
                Some(Made::Of(_)) | None => break,
            }
        }
        sku
    }

    /// Returns the SKUs whose bookings are on the balances of `sku`: itself, and what was merged into it.
    pub fn known_as(&self, sku: &Sku) -> Vec<Sku> {
        let merged = self.index.recipes.users(sku).into_iter().filter(|user| self.canonical(user) == sku);
        std::iter::once(sku.clone()).chain(merged).collect()
    }

    /// Returns what a bundle is made of by the configuration alone.
    pub fn configured_recipe(&self, sku: &Sku) -> Option<Vec<Part>> {
        let recipe = self.policies()?.bundles.iter().find(|recipe| recipe.bundle == *sku)?;
        Some(recipe.parts.clone())
    }

    /// Says what a bundle is made of: `1 x A and 2 x B`.
    pub fn parts_of(&self, sku: &Sku) -> String {
        let parts = self.made_of(sku).unwrap_or_default();
        let parts: Vec<String> =
            parts.iter().map(|part| format!("{} x `{}`", part.units, part.sku)).collect();
        match parts.split_last() {
            Some((last, [])) => format!("what it is made of, {last}"),
            Some((last, others)) => format!("what it is made of, {} and {last}", others.join(", ")),
            None => "what it is made of".to_owned(),
        }
    }

    /// Returns what one unit of a SKU takes from the stock.
    pub fn made_of(&self, sku: &Sku) -> Result<Vec<Part>, Overflow> {
        self.index.recipes.flat(sku)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sku(text: &str) -> Sku {
        Sku::new(text).expect("a good sku")
    }

    fn parts(list: &[(&str, i64)]) -> Vec<Part> {
        list.iter().map(|(of, n)| Part { sku: sku(of), units: Quantity::new(*n) }).collect()
    }

    fn recipes(all: &[(&str, &[(&str, i64)])]) -> Recipes {
        let mut recipes = Recipes::default();
        for (of, list) in all {
            recipes.set(&sku(of), Some(parts(list)));
        }
        recipes
    }

    #[track_caller]
    fn check(all: &[(&str, &[(&str, i64)])], want: &[(&str, i64)]) {
        assert_eq!(recipes(all).flat(&sku("X")), Ok(parts(want)));
    }

    #[test]
    fn bundles_in_bundles_add_up() {
        check(&[], &[("X", 1)]);
        check(&[("X", &[("A", 2), ("B", 1)])], &[("A", 2), ("B", 1)]);
        check(&[("X", &[("Y", 2), ("A", 1)]), ("Y", &[("A", 3), ("B", 1)])], &[("A", 7), ("B", 2)]);
    }

    #[test]
    fn what_changes_with_a_component_is_found_through_bundles() {
        let mut all = recipes(&[("X", &[("Y", 1)]), ("Y", &[("A", 1)]), ("Z", &[("A", 1), ("B", 2)])]);
        assert_eq!(all.users(&sku("A")), ["X", "Y", "Z"].map(sku).into());
        assert_eq!(all.users(&sku("B")), [sku("Z")].into());
        all.set(&sku("Y"), None);
        assert_eq!(all.users(&sku("A")), [sku("Z")].into());
    }

    /// Parts of a new recipe for X, which Y holds already -> part of the reason.
    #[track_caller]
    fn check_refused(list: &[(&str, i64)], why: Option<&str>) {
        let all = recipes(&[("Y", &[("X", 1)])]);
        let told = all.refuse(&sku("X"), &parts(list));
        assert_eq!(told.is_some(), why.is_some(), "{told:?}");
        assert!(told.unwrap_or_default().contains(why.unwrap_or_default()));
    }

    #[test]
    fn recipes_that_hold_each_other_are_made_of_themselves_and_end_every_walk() {
        let all = recipes(&[("X", &[("Y", 1)]), ("Y", &[("X", 2), ("A", 1)])]);
        assert_eq!(all.flat(&sku("X")), Ok(parts(&[("A", 1), ("X", 2)])));
        assert_eq!(all.users(&sku("X")), ["X", "Y"].map(sku).into());
        assert!(all.refuse(&sku("Z"), &parts(&[("X", 1)])).is_some_and(|why| why.contains("deep")));
    }

    #[test]
    fn a_recipe_that_makes_no_sense_is_refused() {
        check_refused(&[("A", 1)], None);
        check_refused(&[], Some("must have 1 to"));
        check_refused(&[("A", 0)], Some("0 units of A"));
        check_refused(&[("A", 1), ("A", 2)], Some("twice"));
        check_refused(&[("X", 1)], Some("hold itself"));
        check_refused(&[("Y", 1)], Some("by way of Y"));
    }
}
