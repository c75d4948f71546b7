//! What lies at one place and is owed to what was sold at another.
//!
//! A channel that draws on several places does not say from which of them it will ship: its sales are booked at the first.
//! What it sells beyond what lies there comes from the others in the end, so nobody may sell it there any more. A place
//! that is short is made good from the places that somebody draws on together with it, as far as they go; what a listing
//! may show is what is left of its own places then. What no place can make good is lost, and takes nothing from places
//! that have no part in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{LocationId, Quantity};

/// Units that lie at a place, or, where `to` is another one, go there on paper: who draws on both sells them all the while.
/// Below zero, so many were sold there and are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap<'a> {
    pub from: &'a LocationId,
    pub to: &'a LocationId,
    pub units: Quantity,
}

impl<'a> Heap<'a> {
    pub fn at(place: &'a LocationId, units: Quantity) -> Heap<'a> {
        Heap { from: place, to: place, units }
    }

    fn is_short(&self) -> bool {
        self.units < Quantity::ZERO
    }
}

/// The stock of one SKU, ready to tell of any of its listings what is not owed elsewhere. What is short is met once, whoever
/// asks.
#[derive(Debug)]
pub struct Owed<'a> {
    short: Vec<Heap<'a>>,
    lying: Lying<'a>,
    /// With all that is short met, as far as it can be.
    flow: Flow,
    unmet: Quantity,
}

impl<'a> Owed<'a> {
    /// `sellers`: the places that each listing of the same stock draws on.
    pub fn new(heaps: &[Heap<'a>], sellers: &[&[LocationId]]) -> Owed<'a> {
        let short: Vec<Heap<'a>> = heaps.iter().filter(|heap| heap.is_short()).copied().collect();
        let there: Vec<Heap<'a>> = heaps.iter().filter(|heap| heap.units > Quantity::ZERO).copied().collect();
        let mut flow = Flow::new(there.iter().map(|heap| heap.units.units()));
        let lying = Lying::new(&there);
        let sellers: Vec<Drawn<'_>> = sellers.iter().map(|places| places.iter().collect()).collect();
        let mut at: BTreeMap<&LocationId, Vec<&Drawn<'_>>> = BTreeMap::new();
        for seller in &sellers {
            seller.iter().for_each(|place| at.entry(place).or_default().push(seller));
        }
        let mut unmet = 0_i64;
        for heap in &short {
            let here = at.get(heap.from).into_iter().flatten().filter(|seller| seller.contains(heap.to));
            let reach: BTreeSet<usize> = here.flat_map(|seller| lying.within(seller)).collect();
            let need = heap.units.units().saturating_neg();
            let met = flow.meet(reach.into_iter().collect(), need);
            unmet = unmet.saturating_add(need.saturating_sub(met));
        }
        Owed { short, lying, flow, unmet: Quantity::new(unmet) }
    }

    /// Returns how many units of what is short nothing can meet.
    pub fn unmet(&self) -> Quantity {
        self.unmet
    }

    /// Returns what of `sum`, the units at the places that a listing draws on, is not owed to what was sold at other places.
    pub fn unowed(&self, drawn: &[LocationId], sum: Quantity) -> Quantity {
        let drawn: Drawn<'_> = drawn.iter().collect();
        let here = |heap: &Heap<'_>| drawn.contains(heap.from) && drawn.contains(heap.to);
        if sum <= Quantity::ZERO || self.short.iter().all(here) {
            return sum;
        }
        let reach: BTreeSet<usize> = self.lying.within(&drawn).collect();
        Quantity::new(self.flow.clone().meet(reach.into_iter().collect(), sum.units()))
    }
}

/// The places that a listing draws on.
type Drawn<'p> = BTreeSet<&'p LocationId>;

/// Which heaps are where: their number and other end, by the place that they are from.
#[derive(Debug)]
struct Lying<'a>(BTreeMap<&'a LocationId, Vec<(usize, &'a LocationId)>>);

impl<'a> Lying<'a> {
    fn new(heaps: &[Heap<'a>]) -> Lying<'a> {
        let mut from: BTreeMap<&LocationId, Vec<(usize, &LocationId)>> = BTreeMap::new();
        for (n, heap) in heaps.iter().enumerate() {
            from.entry(heap.from).or_default().push((n, heap.to));
        }
        Lying(from)
    }

    /// Returns the numbers of those that lie wholly at these places.
    fn within<'d>(&'d self, drawn: &'d Drawn<'d>) -> impl Iterator<Item = usize> + 'd {
        let heaps = drawn.iter().filter_map(|place| self.0.get(*place)).flatten();
        heaps.filter(|(_, to)| drawn.contains(to)).map(|(n, _)| *n)
    }
}

/// Needs that are met from what lies there. A later need never takes from an earlier one; it may have it met from elsewhere.
#[derive(Debug, Clone)]
struct Flow {
    left: Vec<i64>,
    needs: Vec<Need>,
}

#[derive(Debug, Clone)]
struct Need {
    /// What it may be met from.
    reach: Vec<usize>,
    /// What it is met with, by what that lies in.
    met: Vec<i64>,
}

impl Flow {
    fn new(lying: impl Iterator<Item = i64>) -> Flow {
        Flow { left: lying.collect(), needs: Vec::new() }
    }

    /// Meets one more need as far as that is possible, and returns how far.
    fn meet(&mut self, reach: Vec<usize>, need: i64) -> i64 {
        self.needs.push(Need { reach, met: vec![0; self.left.len()] });
        let mut met = 0;
        while met < need {
            let Some(path) = self.path() else { break };
            let (_, last) = path[0];
            let moved = path.windows(2).map(|pair| self.needs[pair[0].0].met[pair[1].1]);
            let units = moved.min().unwrap_or(i64::MAX).min(self.left[last]).min(need - met);
            self.left[last] -= units;
            for pair in path.windows(2) {
                self.needs[pair[0].0].met[pair[1].1] -= units;
            }
            for (of, lying) in path {
                self.needs[of].met[lying] += units;
            }
            met += units;
        }
        met
    }

    /// Finds how the last need may be met further: the need and where it takes from, the one that finds something left
    /// first. Each but that one takes what the one before it had.
    fn path(&self) -> Option<Vec<(usize, usize)>> {
        let mut taker: Vec<Option<usize>> = vec![None; self.left.len()];
        let mut had: Vec<Option<usize>> = vec![None; self.needs.len()];
        let newest = self.needs.len().checked_sub(1)?;
        let mut next = VecDeque::from([newest]);
        while let Some(need) = next.pop_front() {
            for &lying in &self.needs[need].reach {
                if taker[lying].is_some() {
                    continue;
                }
                taker[lying] = Some(need);
                if self.left[lying] > 0 {
                    return Some(steps(&taker, &had, lying));
                }
                for (other, held) in self.needs.iter().enumerate() {
                    if other != newest && had[other].is_none() && held.met[lying] > 0 {
                        had[other] = Some(lying);
                        next.push_back(other);
                    }
                }
            }
        }
        None
    }
}

/// Walks back from where something is left to the need that began.
fn steps(taker: &[Option<usize>], had: &[Option<usize>], last: usize) -> Vec<(usize, usize)> {
    let (mut steps, mut lying) = (Vec::new(), Some(last));
    while let Some((at, need)) = lying.and_then(|at| Some((at, taker[at]?))) {
        steps.push((need, at));
        lying = had[need];
    }
    steps
}

#[cfg(test)]
mod tests;
