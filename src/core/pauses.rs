//! Pauses of SKUs: of all the names of one, and of what others are made of.

use crate::{
    core::{allocation::Pause, decide::listing::strictest, recipe::Made, state::State},
    model::Sku,
};

/// How many bundles are named.
const NAMED: usize = 5;

impl State {
    /// Returns the pause that a SKU is under, by whichever of its names.
    pub fn sku_pause(&self, sku: &Sku) -> Option<Pause> {
        self.pause_of_all(&self.names_of(sku))
    }

    fn pause_of_all(&self, names: &[Sku]) -> Option<Pause> {
        let pauses = names.iter().filter_map(|name| self.skus.get(name)).map(|row| row.pause);
        pauses.fold(None, strictest)
    }

    /// Returns the names of a SKU that are not under the pause that it is under by another one, and that pause. A journal may hold
    /// such: a pause did not go along when SKUs were merged.
    pub(super) fn paused_unlike(&self, sku: &Sku) -> (Vec<Sku>, Option<Pause>) {
        let mut names = self.names_of(sku);
        let pause = self.pause_of_all(&names);
        names.retain(|name| self.skus.get(name).is_some_and(|row| row.pause != pause));
        (names, pause)
    }

    /// Tells whether a SKU is an old name of one that is paused otherwise.
    pub(super) fn is_paused_unlike(&self, sku: &Sku) -> bool {
        let Some(row) = self.skus.get(sku) else { return false };
        matches!(row.made.as_deref(), Some(Made::Merged(_)))
            && self.skus.get(self.canonical(sku)).is_some_and(|now| now.pause != row.pause)
    }

    /// Returns what a SKU is made of that is stopped, a bundle in it included. What is frozen goes on selling, and so does what is made
    /// of it.
    pub fn stopped_part<'a>(&'a self, sku: &'a Sku) -> Option<&'a Sku> {
        let recipes = &self.index.recipes;
        recipes.direct(sku)?;
        let stopped = |of: &Sku| self.skus.get(of).is_some_and(|row| row.pause == Some(Pause::Stopped));
        recipes.below(sku).into_iter().find(|of| *of != sku && stopped(of))
    }

    /// Returns the bundles that a SKU is a part of, by whichever of its names.
    pub fn bundles_of(&self, sku: &Sku) -> Vec<Sku> {
        let now = self.canonical(sku);
        let users = self.index.recipes.users(now);
        users.into_iter().filter(|user| self.canonical(user) == user).collect()
    }

    /// Says what a pause of a SKU does, or its end, to what is made of it.
    pub fn pause_of_bundles(&self, sku: &Sku, pause: Option<Pause>) -> Option<String> {
        let named = |skus: &[Sku]| {
            let some: Vec<String> = skus.iter().take(NAMED).map(|sku| format!("`{sku}`")).collect();
            let more = skus.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", some.join(", "))
        };
        let bundles = self.bundles_of(sku);
        if bundles.is_empty() {
            return None;
        }
        if pause == Some(Pause::Frozen) {
            return Some(format!("what is made of it is not frozen: {}", named(&bundles)));
        }
        let frozen = |of: &Sku| self.sku_pause(of) == Some(Pause::Frozen);
        let (stay, follow): (Vec<Sku>, Vec<Sku>) = match pause {
            Some(_) => bundles.into_iter().partition(frozen),
            None => bundles
                .into_iter()
                .partition(|of| self.sku_pause(of).is_some() || self.stopped_part(of).is_some()),
        };
        let [follow, stay] = [follow, stay].map(|skus| (!skus.is_empty()).then(|| named(&skus)));
        let (does, but) = match pause {
            Some(_) => ("so is what is made of it", "frozen itself, and left as it is"),
            None => {
                ("so does what is made of it", "paused itself or by something else in it, and left as it is")
            }
        };
        let follow = follow.map(|skus| format!("{does}: {skus}"));
        let stay = stay.map(|skus| format!("{but}: {skus}"));
        Some([follow, stay].into_iter().flatten().collect::<Vec<_>>().join("; "))
    }

    /// Says what a pause does if one of two SKUs becomes part of the other.
    pub fn pause_of_merged(&self, from: &Sku, into: &Sku) -> Option<String> {
        let [of_from, of_into] = [from, into].map(|sku| self.sku_pause(sku));
        let pause = strictest(of_from, of_into)?;
        let paused = match (of_from.is_some(), of_into.is_some()) {
            (true, true) => format!("`{from}` and `{into}` are paused"),
            (true, false) => format!("`{from}` is paused"),
            (false, _) => format!("`{into}` is paused"),
        };
        let then = match pause {
            Pause::Stopped => "(stopped), and a pause is of all names: all listings of both show none",
            Pause::Frozen => {
                "(frozen), and a pause is of all names: nothing is written to any listing of both"
            }
        };
        Some(format!("{paused} {then} until one of them is resumed"))
    }
}
