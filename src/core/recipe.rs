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
    /// Those that are no bundles, but became part of what they are made of.
    merged: BTreeSet<Sku>,
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
            all.take_in(sku, made);
        }
        all
    }

    /// Takes in why a SKU has no stock of its own.
    pub fn take_in(&mut self, sku: &Sku, made: &Made) {
        match made {
            Made::Of(parts) => self.set(sku, Some(parts.clone())),
            Made::Merged(into) => {
                self.set(sku, Some(vec![Part { sku: into.clone(), units: Quantity::new(1) }]));
                self.merged.insert(sku.clone());
            }
        }
    }

    /// Changes what a bundle is made of. `None`: itself.
    pub fn set(&mut self, sku: &Sku, parts: Option<Vec<Part>>) {
        self.merged.remove(sku);
        for part in self.parts.remove(sku).into_iter().flatten() {
            if let Some(users) = self.used_in.get_mut(&part.sku) {
                users.remove(sku);
                if users.is_empty() {
                    self.used_in.remove(&part.sku);
                }
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
    /// itself; so is one whose recipe comes back to it. However deep bundles lie, they are followed: what was taken in once
    /// must not sell a bundle as if it were a thing.
    pub fn flat(&self, sku: &Sku) -> Result<Vec<Part>, Overflow> {
        if self.direct(sku).is_none() {
            return Ok(vec![Part { sku: sku.clone(), units: Quantity::new(1) }]);
        }
        let walk = self.below(sku);
        let at: BTreeMap<&Sku, usize> = walk.iter().copied().zip(0..).collect();
        let mut needed = vec![Quantity::ZERO; walk.len()];
        let mut out: BTreeMap<&Sku, Quantity> = BTreeMap::new();
        if let Some(last) = needed.last_mut() {
            *last = Quantity::new(1);
        }
        // What holds a SKU stands behind it, so that all that is needed of it is known when its turn comes.
        for (n, sku) in walk.iter().enumerate().rev() {
            let units = needed[n];
            let Some(parts) = self.direct(sku) else {
                let sum = out.entry(sku).or_default();
                *sum = sum.add(units)?;
                continue;
            };
            for part in parts {
                let sum = match at.get(&part.sku) {
                    Some(of) if *of < n => &mut needed[*of],
                    // It comes back to what it is held by.
                    Some(_) | None => out.entry(&part.sku).or_default(),
                };
                *sum = sum.add(units.times(part.units)?)?;
            }
        }
        Ok(out.into_iter().map(|(sku, units)| Part { sku: sku.clone(), units }).collect())
    }

    /// Returns a SKU and all that it is made of, each once and behind what it is made of.
    pub(super) fn below<'a>(&'a self, sku: &'a Sku) -> Vec<&'a Sku> {
        walk(sku, |sku| self.components(sku))
    }

    fn components<'a>(&'a self, sku: &Sku) -> impl Iterator<Item = &'a Sku> {
        self.parts.get(sku).into_iter().flatten().map(|part| &part.sku)
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
        let users = self.users(sku);
        let circle = parts.iter().find(|part| part.sku == *sku || users.contains(&part.sku));
        if let Some(part) = circle {
            return Some(format!("{sku} would hold itself by way of {}", part.sku));
        }
        let below = parts.iter().map(|part| self.depth(&part.sku)).max().unwrap_or(0);
        if below >= DEPTH_MAX {
            return Some(format!("{sku} would hold bundles more than {DEPTH_MAX} deep"));
        }
        let deep = self.height(sku) + 1 + below > DEPTH_MAX;
        deep.then(|| {
            format!("{sku} would lie in bundles more than {DEPTH_MAX} deep, with what it holds itself")
        })
    }

    /// Returns how many bundles lie in one another from `sku` on. What comes back to itself, as a recipe of the
    /// configuration and an imported one may, lies too deep.
    fn depth(&self, sku: &Sku) -> usize {
        self.levels(sku, |sku| self.components(sku), DEPTH_MAX)
    }

    /// Returns how many bundles lie around `sku`, whatever it is made of itself.
    fn height(&self, sku: &Sku) -> usize {
        let users = |of: &Sku| self.used_in.get(of).into_iter().flatten().filter(|user| *user != sku);
        self.levels(sku, users, 0) - usize::from(self.is_bundle(sku))
    }

    /// Returns the most bundles that are met one after the other on any way from `sku` on; `circle`: how many lie behind
    /// a SKU that was met on the way.
    fn levels<'a, I: Iterator<Item = &'a Sku>>(
        &self,
        sku: &'a Sku,
        next: impl Fn(&'a Sku) -> I,
        circle: usize,
    ) -> usize {
        let mut levels: BTreeMap<&Sku, usize> = BTreeMap::new();
        let mut most = 0;
        for sku in walk(sku, &next) {
            let behind = next(sku).map(|of| levels.get(of).copied().unwrap_or(circle)).max();
            most = behind.unwrap_or(0) + usize::from(self.is_bundle(sku));
            levels.insert(sku, most);
        }
        most
    }

    /// Tells whether a SKU is made of others and is not just another name of one, as often as it may have been renamed.
    fn is_bundle(&self, sku: &Sku) -> bool {
        self.parts.contains_key(sku) && !self.merged.contains(sku)
    }
}

/// Returns a SKU and all that is reached from it, each once and behind what it leads to, unless that leads back to it.
fn walk<'a, I: Iterator<Item = &'a Sku>>(from: &'a Sku, next: impl Fn(&'a Sku) -> I) -> Vec<&'a Sku> {
    let mut met = BTreeSet::from([from]);
    let mut path = vec![(from, next(from))];
    let mut all = Vec::new();
    while let Some((sku, ways)) = path.last_mut() {
        match ways.find(|to| met.insert(*to)) {
            Some(to) => path.push((to, next(to))),
            None => {
                all.push(*sku);
                path.pop();
            }
        }
    }
    all
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

    /// B0 holds B1, that holds B2, and so on: so many bundles lie in one another.
    fn chain(bundles: usize) -> Vec<(Sku, Vec<Part>)> {
        let one = |n: usize| (sku(&format!("B{n}")), parts(&[(&format!("B{}", n + 1), 1)]));
        (0..bundles).map(one).collect()
    }

    /// Returns whether all of these may be told, one after the other.
    fn told<'a>(rows: impl IntoIterator<Item = &'a (Sku, Vec<Part>)>) -> bool {
        let mut known = Recipes::default();
        rows.into_iter().all(|(of, parts)| {
            let good = known.refuse(of, parts).is_none();
            known.set(of, Some(parts.clone()));
            good
        })
    }

    #[test]
    fn how_deep_bundles_lie_is_judged_whatever_order_they_are_told_in() {
        for (bundles, good) in [(DEPTH_MAX, true), (DEPTH_MAX + 1, false)] {
            let rows = chain(bundles);
            let from_the_middle = rows[3..].iter().chain(&rows[..3]);
            let last = rows[..3].iter().chain(&rows[4..]).chain(&rows[3..4]);
            let told = [told(&rows), told(rows.iter().rev()), told(from_the_middle), told(last)];
            assert_eq!(told, [good; 4], "{bundles} bundles");
        }
    }

    #[test]
    fn a_bundle_that_would_join_what_is_deep_above_with_what_is_deep_below_is_refused() {
        let rows = chain(DEPTH_MAX);
        let mut known = Recipes::default();
        rows.iter().for_each(|(of, parts)| known.set(of, Some(parts.clone())));
        assert_eq!(known.refuse(&sku("B3"), &parts(&[("B4", 2)])), None, "it lies as deep as before");
        assert_eq!(known.refuse(&sku("B3"), &parts(&[("A", 2)])), None);
        let last = sku(&format!("B{DEPTH_MAX}"));
        let why = known.refuse(&last, &parts(&[("A", 1)])).expect("it is what all the others hold");
        assert!(why.contains("lie in bundles more than 8 deep"), "{why}");
    }

    #[test]
    fn bundles_that_lie_too_deep_already_are_made_of_what_lies_at_the_bottom() {
        let mut known = Recipes::default();
        chain(50).iter().for_each(|(of, parts)| known.set(of, Some(parts.clone())));
        assert_eq!(known.flat(&sku("B0")), Ok(parts(&[("B50", 1)])));
    }

    #[test]
    fn a_merged_sku_is_another_name_and_no_bundle() {
        let mut known = Recipes::default();
        for (of, _) in chain(50) {
            let n: usize = of.as_str()[1..].parse().expect("a number");
            known.take_in(&of, &Made::Merged(sku(&format!("B{}", n + 1))));
        }
        assert_eq!(known.flat(&sku("B0")), Ok(parts(&[("B50", 1)])));
        // It may be part of a bundle, and become one.
        assert_eq!(known.refuse(&sku("X"), &parts(&[("B0", 2)])), None);
        known.set(&sku("X"), Some(parts(&[("B0", 2)])));
        assert_eq!(known.refuse(&sku("B50"), &parts(&[("A", 3)])), None);
        known.set(&sku("B50"), Some(parts(&[("A", 3)])));
        assert_eq!(known.flat(&sku("X")), Ok(parts(&[("A", 6)])));
    }

    /// Each of six bundles holds all six of the level below, seven levels deep: there are 6^7 ways from the top to the bottom.
    #[test]
    fn each_bundle_is_met_once_by_however_many_ways_it_is_held() {
        let level = |level: usize| (0..6).map(|n| format!("L{level}-{n}")).collect::<Vec<_>>();
        let mut known = Recipes::default();
        for of in 1..=7 {
            let below = level(of - 1);
            let list: Vec<(&str, i64)> = below.iter().map(|name| (name.as_str(), 1)).collect();
            for name in level(of) {
                assert_eq!(known.refuse(&sku(&name), &parts(&list)), None);
                known.set(&sku(&name), Some(parts(&list)));
            }
        }
        let top = sku("L7-0");
        assert_eq!(known.below(&top).len(), 1 + 7 * 6);
        assert_eq!((known.depth(&top), known.height(&sku("L0-0"))), (7, 7));
        let ways = 6_i64.pow(6);
        let want: Vec<Part> =
            level(0).iter().map(|name| Part { sku: sku(name), units: Quantity::new(ways) }).collect();
        assert_eq!(known.flat(&top), Ok(want));
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
