//! Where the units of a line lie, those included that were taken off without its being said where they lay.
//!
//! A source tells where units are to be shipped from, were shipped from, and were restocked. Of units that were taken off and not
//! restocked it may tell nothing: Shopify names no location, and its fulfillment orders forget them. They lay where less is
//! accounted for than before. So of the reads between which that happened the one before and the one after are kept
//! ([`Line::trail`]): what was taken off from one to the other lay where units are missing since. Which reads are kept follows from
//! what was told, and not from when it came in.

use crate::{
    core::order::{Fetched, Line, Order, Rank, Said, Told, join},
    model::{LocationId, Overflow, Quantity, Totals},
};

/// How many reads are kept at most besides the latest.
const KEPT: usize = 16;

/// Units that were taken off, of which nobody says where they lay: those that are free again, and those that are written off.
type Off = [Quantity; 2];

/// Which of [`Off`] they are.
const RELEASED: usize = 0;
const WRITTEN_OFF: usize = 1;

/// Where units lay that were taken off, in the order in which they were.
type Lain = Vec<(LocationId, usize, Quantity)>;

impl Order {
    /// Tells whether any source has said where units of a line lie.
    pub fn is_placed(&self, line: &Line) -> bool {
        self.placing(line).is_some()
    }

    /// Returns how a line's totals lie on locations, as far as that is known. A source that does not say it takes
    /// nothing back of what a fetch said.
    pub fn places(&self, line: &Line) -> Result<Vec<(LocationId, Totals)>, Overflow> {
        let Some(said) = self.placing(line) else { return Ok(Vec::new()) };
        let mut places = said.places.to_vec();
        let left = off(self.totals(line)?, &places)?;
        if left == Off::default() {
            return Ok(places);
        }
        for (location, which, units) in line.lain(left, said.unplaced_at)? {
            let at = match places.iter().position(|(place, _)| *place == location) {
                Some(at) => at,
                None => {
                    places.push((location, Totals::default()));
                    places.len() - 1
                }
            };
            let (_, at) = &mut places[at];
            at.ordered = at.ordered.add(units)?;
            let taken = if which == RELEASED { &mut at.released } else { &mut at.written_off };
            *taken = taken.add(units)?;
        }
        Ok(places)
    }

    fn placing<'a>(&self, line: &'a Line) -> Option<Said<'a>> {
        let counts = self.counts(line).filter(Said::says_where);
        counts.or(line.fetched.as_ref().map(Said::of)).filter(Said::says_where)
    }
}

impl Line {
    /// Takes in what a read told, and keeps of the earlier ones what tells where units lay that were taken off.
    pub(super) fn take_fetched(&mut self, told: Told<Fetched>) {
        let earlier = match &self.fetched {
            Some(held) if held.rank.beats(told.rank) => Some(told.clone()),
            Some(held) if told.rank.beats(held.rank) => Some(held.clone()),
            Some(_) | None => None,
        };
        self.fetched = Some(join(self.fetched.take(), told));
        if let Some(earlier) = earlier.filter(|earlier| Said::of(earlier).says_where()) {
            match self.trail.binary_search_by_key(&earlier.rank, |held| held.rank) {
                Ok(at) => self.trail[at] = join(Some(self.trail[at].clone()), earlier),
                Err(at) => self.trail.insert(at, earlier),
            }
        }
        self.thin_trail();
    }

    /// Leaves out the reads between which nothing was taken off without its being said where it lay.
    fn thin_trail(&mut self) {
        if self.trail.is_empty() {
            return;
        }
        let off: Vec<Off> = self.placed_reads().map(|told| told.off().unwrap_or_default()).collect();
        let mut at = 0;
        self.trail.retain(|_| {
            let after = off.get(at + 1).is_some_and(|after| *after == off[at]);
            // Before a read that tells of none there is none that tells of fewer.
            let before = if at == 0 { Off::default() } else { off[at - 1] };
            let inner = after && before == off[at];
            at += 1;
            !inner
        });
        // Without the one after the first, what was taken off before and after it is looked for at once: only where units were moved
        // in between may that be elsewhere.
        while self.trail.len() > KEPT {
            self.trail.remove(1);
        }
    }

    /// Returns the reads that say where units lie, in order of rank.
    fn placed_reads(&self) -> impl Iterator<Item = &Told<Fetched>> {
        self.trail.iter().chain(&self.fetched).filter(|told| Said::of(told).says_where())
    }

    /// Returns where so many units lay that were taken off. `unplaced_at`: what no read knows better.
    fn lain(&self, left: Off, unplaced_at: Option<&LocationId>) -> Result<Lain, Overflow> {
        let mut lain = Lain::new();
        let reads: Vec<&Told<Fetched>> = self.placed_reads().collect();
        for pair in reads.windows(2) {
            follow(&mut lain, pair[0], pair[1])?;
        }
        for which in [RELEASED, WRITTEN_OFF] {
            let mut of_kind = lain.iter().filter(|(_, kind, _)| *kind == which);
            let known = of_kind.try_fold(Quantity::ZERO, |sum, (.., units)| sum.add(*units))?;
            take_back(&mut lain, which, known.sub(left[which])?)?;
            let unknown = left[which].sub(known)?.or_zero();
            lain.extend(unplaced_at.map(|at| (at.clone(), which, unknown)));
        }
        lain.retain(|(_, _, units)| !units.is_zero());
        Ok(lain)
    }
}

impl Said<'_> {
    /// Tells whether it is said where units lie. Where all were taken off, there is no place that any lie at.
    fn says_where(&self) -> bool {
        !self.places.is_empty() || self.unplaced_at.is_some()
    }
}

impl Told<Fetched> {
    fn off(&self) -> Result<Off, Overflow> {
        off(self.totals, &self.places)
    }

    fn ordered_at(&self, location: &LocationId) -> Quantity {
        let at = self.places.iter().find(|(place, _)| place == location);
        at.map_or(Quantity::ZERO, |(_, at)| at.ordered)
    }
}

/// Takes in what was taken off from one read to the next: it lay where less is accounted for than before. What was moved is missing
/// as well; where both have happened, the source's guess comes first.
fn follow(lain: &mut Lain, from: &Told<Fetched>, to: &Told<Fetched>) -> Result<(), Overflow> {
    let (before, after) = (from.off()?, to.off()?);
    let mut missing = Vec::with_capacity(from.places.len());
    for (location, at) in &from.places {
        let units = at.ordered.sub(to.ordered_at(location))?.or_zero();
        missing.push((location, units));
    }
    missing.sort_by_key(|(location, _)| to.unplaced_at.as_ref() != Some(*location));
    for which in [RELEASED, WRITTEN_OFF] {
        let mut more = after[which].sub(before[which])?;
        take_back(lain, which, more.neg()?)?;
        for (location, units) in &mut missing {
            let here = more.min(*units).or_zero();
            if !here.is_zero() {
                lain.push(((*location).clone(), which, here));
                (more, *units) = (more.sub(here)?, units.sub(here)?);
            }
        }
    }
    Ok(())
}

/// Units that were taken off are on the order again: the latest of them, if so many are more than none.
fn take_back(lain: &mut Lain, which: usize, mut units: Quantity) -> Result<(), Overflow> {
    for (_, _, held) in lain.iter_mut().rev().filter(|(_, kind, _)| *kind == which) {
        let here = units.min(*held).or_zero();
        (units, *held) = (units.sub(here)?, held.sub(here)?);
    }
    Ok(())
}

/// Returns what was taken off, of which no place accounts for.
fn off(totals: Totals, places: &[(LocationId, Totals)]) -> Result<Off, Overflow> {
    let told = places.iter().try_fold(Totals::default(), |sum, (_, at)| sum.plus(*at))?;
    let left = totals.minus(told)?;
    Ok([left.released.or_zero(), left.written_off.or_zero()])
}

#[cfg(test)]
mod tests;
