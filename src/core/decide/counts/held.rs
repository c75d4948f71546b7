//! Counts that the brake holds: kept for a person, said anew by later ones, taken over after all or thrown away.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{Line, Sums};
use crate::{
    core::{
        command::{Count, ROWS_MAX, Refused, Reply},
        count::Change,
        decide::Draft,
        record::{HeldCount, Record},
    },
    model::{Counter, LocationId, Overflow, Quantity, Seq, Sku},
};

impl Draft<'_> {
    /// Keeps a count for a person, unless a held one says all of it. Of the same counter, one that covers an older one
    /// takes its place.
    pub(super) fn hold(
        &mut self,
        count: &Count,
        lines: Vec<(Sku, LocationId, Quantity)>,
        why: String,
    ) -> Option<Seq> {
        let same = |held: &&HeldCount| held.counter == count.counter && held.measure == count.measure;
        let said = |held: &HeldCount| {
            let stands = |(sku, at, _): &&(Sku, LocationId, Quantity)| {
                held.outdated.is_empty() || !held.outdated.contains(&(sku.clone(), at.clone()))
            };
            let standing: BTreeSet<_> = held.lines.iter().filter(stands).collect();
            lines.iter().all(|line| standing.contains(line))
        };
        if self.state.held.values().filter(same).any(said) {
            return None;
        }
        let covered: BTreeSet<(&Sku, &LocationId)> = lines.iter().map(|(sku, at, _)| (sku, at)).collect();
        let is_covered =
            |held: &HeldCount| held.lines.iter().all(|(sku, at, _)| covered.contains(&(sku, at)));
        let replaced: Vec<Seq> = self
            .state
            .held
            .iter()
            .filter(|(_, held)| same(held) && is_covered(held))
            .map(|(id, _)| *id)
            .collect();
        for id in replaced {
            self.emit(Record::Unheld { id, released: false });
        }
        let (counter, measure) = (count.counter.clone().into(), count.measure);
        let (as_of, begun) = (count.as_of, count.begun);
        let (outdated, taken, by_hand) = (BTreeSet::new(), Vec::new(), Vec::new());
        let held = HeldCount { counter, measure, as_of, begun, lines, why, outdated, taken, by_hand };
        self.emit(Record::Held { count: held });
        Some(self.seq)
    }

    /// Takes out of a count what a person is asked about already: lines that would do what an earlier one is held for. They wait
    /// for that person, however few of them are left; what the counter has corrected since does not.
    pub(super) fn without_held(&self, count: &Count, lines: Vec<Line>) -> Vec<Line> {
        let Some(policies) = self.state.policies() else { return lines };
        let held: BTreeMap<(&Sku, &LocationId), Quantity> = self
            .state
            .held
            .values()
            .filter(|held| held.counter == count.counter && held.measure == count.measure)
            .flat_map(|held| {
                let stands = |(sku, at, _): &&(Sku, LocationId, Quantity)| {
                    !held.outdated.contains(&(sku.clone(), at.clone()))
                };
                held.lines.iter().filter(stands).map(|(sku, at, units)| ((sku, at), *units))
            })
            .collect();
        let asked = |line: &Line| {
            let change = Change { before: line.before.on_hand, after: line.on_hand };
            let held = held.get(&(&line.sku, &line.location));
            line.opened && held.is_some_and(|held| change.is_as_held(*held, &policies.brake))
        };
        // No raise comes from a part of what lies at several places.
        let torn: BTreeSet<Sku> =
            lines.iter().filter(|line| asked(line)).map(|line| line.sku.clone()).collect();
        let waits =
            |line: &Line| asked(line) || (line.on_hand > line.before.on_hand && torn.contains(&line.sku));
        lines.into_iter().filter(|line| !waits(line)).collect()
    }

    /// What a count tells of, an earlier one that is held says nothing of any more.
    pub(super) fn outdate(&mut self, count: &Count, told: &BTreeSet<(Sku, LocationId)>) {
        let earlier = |held: &HeldCount| held.counter == count.counter && held.begun < count.begun;
        let outdated = |held: &HeldCount| -> Vec<(Sku, LocationId)> {
            let lines = held.lines.iter().map(|(sku, at, _)| (sku.clone(), at.clone()));
            lines.filter(|line| told.contains(line) && !held.outdated.contains(line)).collect()
        };
        let held = self.state.held.iter().filter(|(_, held)| earlier(held));
        let all: Vec<(Seq, Vec<_>)> = held.map(|(id, held)| (*id, outdated(held))).collect();
        for (id, lines) in all.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            self.emit(Record::Outdated { id, lines });
            // One that says nothing any more asks nobody.
            if self.state.held.get(&id).is_some_and(HeldCount::is_outdated) {
                self.emit(Record::Unheld { id, released: false });
            }
        }
    }

    /// Takes a held count over after all, or throws it away.
    ///
    /// It is judged anew against what is known today, because sales went on while it was held. SKUs that the counter
    /// was told of since it was read are left to the next count; what it has told of since, stays.
    pub(in crate::core::decide) fn unhold(&mut self, id: Seq, release: bool) -> Result<Reply, Refused> {
        let Some(held) = self.state.held.get(&id).cloned() else {
            return Err(Refused::Nothing(format!("held count {id}")));
        };
        if !release {
            self.emit(Record::Unheld { id, released: false });
            return Ok(Reply::Done);
        }
        if held.lines.len() > ROWS_MAX {
            return Err(Refused::TooMany { rows: held.lines.len(), most: ROWS_MAX });
        }
        let all = 0..held.lines.len();
        self.release(id, held, all)
    }

    pub(in crate::core::decide) fn release_part(
        &mut self,
        id: Seq,
        lines: Range<usize>,
    ) -> Result<Reply, Refused> {
        let held =
            self.state.held.get(&id).filter(|held| lines.start <= lines.end && lines.end <= held.lines.len());
        let held = held.cloned().ok_or_else(|| Refused::Nothing(format!("held count {id}")))?;
        self.release(id, held, lines)
    }

    /// Takes over lines of a held count, and releases it with the last of them.
    fn release(&mut self, id: Seq, held: HeldCount, part: Range<usize>) -> Result<Reply, Refused> {
        let Counter::Channel(counter) = held.counter.clone() else {
            return self.release_by_hand(id, held, part);
        };
        self.known(&counter)?;
        if let Some(channel) = self.state.missed_orders().next() {
            return Err(Refused::NotSo(format!(
                "the orders of `{channel}` from before the store was restored are not read yet, so nothing is counted; wait for \
                 them, then release it"
            )));
        }
        let HeldCount { measure, as_of, begun, lines, outdated, taken, .. } = held;
        let last = part.end == lines.len();
        let lines = lines.into_iter().skip(part.start).take(part.len());
        let mut sums = Sums::new();
        for (sku, location, quantity) in lines {
            let place = (sku, location);
            if !outdated.contains(&place) {
                let sku = self.state.canonical(&place.0).clone();
                let out_of_range = |_: Overflow| Refused::OutOfRange(format!("count of {sku}"));
                let sum = sums.entry((sku.clone(), place.1)).or_default();
                *sum = sum.add(quantity).map_err(out_of_range)?;
            }
        }
        let (opening, absent) = (false, Vec::new());
        let set = BTreeSet::new();
        let count = Count { counter, measure, as_of, begun, lines: Vec::new(), opening, absent, set };
        let (mut judged, deferred) = self.judging().lines(&count, &sums)?;
        for line in &mut judged {
            // What a person has taken off the shelf since does not come back with it.
            let here = taken.iter().filter(|(_, at, _)| *at == line.location);
            let here = here.filter(|(sku, ..)| *self.state.canonical(sku) == line.sku);
            for (.., units) in here {
                let out_of_range = |_: Overflow| Refused::OutOfRange(format!("count of {}", line.sku));
                line.on_hand = line.on_hand.add(*units).map_err(out_of_range)?;
            }
        }
        let changed = self.take_over(&count, judged)?;
        if last {
            self.emit(Record::Unheld { id, released: true });
        }
        Ok(Reply::Counted { changed, deferred, held: None, unknown: 0 })
    }
}
