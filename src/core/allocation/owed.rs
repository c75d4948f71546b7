//! What lies at one place and is owed to what was sold at another.
//!
//! A channel that draws on several places does not say from which of them it will ship: its sales are booked at the first.
//! What it sells beyond what lies there comes from the others in the end, so nobody may sell it there any more. A place
//! that is short is made good from the places that somebody draws on together with it, as far as they go; what a listing
//! may show is what is left of its own places then. What no place can make good is lost, and takes nothing from places
//! that have no part in it.

use std::collections::VecDeque;

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

    fn within(&self, drawn: &[LocationId]) -> bool {
        drawn.contains(self.from) && drawn.contains(self.to)
    }
}

/// Returns what of `sum`, the units at the places that a listing draws on, is not owed to what was sold at other places.
/// `sellers`: the places that each listing of the same stock draws on.
pub fn unowed(
    heaps: &[Heap<'_>],
    sellers: &[&[LocationId]],
    drawn: &[LocationId],
    sum: Quantity,
) -> Quantity {
    let elsewhere = |heap: &&Heap<'_>| heap.is_short() && !heap.within(drawn);
    if sum <= Quantity::ZERO || heaps.iter().all(|heap| !elsewhere(&heap)) {
        return sum;
    }
    let lying: Vec<&Heap<'_>> = heaps.iter().filter(|heap| heap.units > Quantity::ZERO).collect();
    let reach = |places: &[&[LocationId]]| -> Vec<usize> {
        let reached = |heap: &Heap<'_>| places.iter().any(|places| heap.within(places));
        (0..lying.len()).filter(|n| reached(lying[*n])).collect()
    };
    let mut flow = Flow::new(lying.iter().map(|heap| heap.units.units()));
    for short in heaps.iter().filter(|heap| heap.is_short()) {
        let here: Vec<&[LocationId]> =
            sellers.iter().filter(|places| short.within(places)).copied().collect();
        flow.meet(reach(&here), short.units.units().saturating_neg());
    }
    Quantity::new(flow.meet(reach(&[drawn]), sum.units()))
}

/// Needs that are met from what lies there. A later need never takes from an earlier one; it may have it met from elsewhere.
#[derive(Debug)]
struct Flow {
    left: Vec<i64>,
    needs: Vec<Need>,
}

#[derive(Debug)]
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
