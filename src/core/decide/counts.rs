//! Counts: taken over with what the counter did not know replayed on top, held if they would change too much.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        command::{Count, Refused, Reply},
        count::{Change, Untold, acked, held_by, on_hand},
        decide::Draft,
        ledger::{Cause, Entry, Kind, Stock, book},
        mapping::resolve,
        posting::Step,
        record::{HeldCount, Record},
    },
    model::{
        ChannelId, LocationId, Measure, OrderKey, Overflow, Quantity, Returns, Seq, Sku, Timestamp, Totals,
    },
};

/// What one count would do to one SKU at one place.
struct Line {
    sku: Sku,
    location: LocationId,
    before: Stock,
    on_hand: Quantity,
    opened: bool,
}

impl Draft<'_> {
    pub(super) fn count(&mut self, count: &Count) -> Result<Reply, Refused> {
        self.channel(&count.counter)?;
        if self.state.initialised.is_none() && !count.opening {
            return Err(Refused::NotInitialised);
        }
        let (lines, unknown) = self.sum(count)?;
        let mut judged = Vec::new();
        let mut deferred = 0;
        for ((sku, location), quantity) in &lines {
            if self.being_told(&count.counter, sku, count.begun) {
                deferred += 1;
                continue;
            }
            let line = self.judge_line(count, sku, location, *quantity);
            judged.push(line.map_err(|_| Refused::OutOfRange(format!("count of {sku}")))?);
        }
        let held = if count.opening { None } else { self.brake(&judged) };
        if let Some(why) = held {
            let lines =
                lines.into_iter().map(|((sku, location), quantity)| (sku, location, quantity)).collect();
            let (counter, as_of, begun) = (count.counter.clone(), count.as_of, count.begun);
            if self.state.held.values().any(|held| held.counter == counter && held.lines == lines) {
                return Ok(Reply::Counted { changed: 0, deferred, held: None, unknown });
            }
            self.emit(Record::Held { count: HeldCount { counter, as_of, begun, lines, why } });
            return Ok(Reply::Counted { changed: 0, deferred, held: Some(self.seq), unknown });
        }
        let changed = self.take_over(&count.counter, count.measure, count.as_of, judged)?;
        Ok(Reply::Counted { changed, deferred, held: None, unknown })
    }

    /// Sums the lines per SKU and location: an item may be counted in several places of a location.
    fn sum(&self, count: &Count) -> Result<(BTreeMap<(Sku, LocationId), Quantity>, usize), Refused> {
        let mut sums: BTreeMap<(Sku, LocationId), Quantity> = BTreeMap::new();
        let mut unknown = 0;
        for line in &count.lines {
            let Some(sku) = resolve(self.state, &count.counter, &line.ids).sku().cloned() else {
                unknown += 1;
                continue;
            };
            let sum = sums.entry((sku.clone(), line.location.clone())).or_default();
            *sum = sum.add(line.quantity).map_err(|_| Refused::OutOfRange(format!("count of {sku}")))?;
        }
        Ok((sums, unknown))
    }

    /// Tells whether a posting that moves the SKU was, or may have been, under way while the counter was read.
    fn being_told(&self, counter: &ChannelId, sku: &Sku, begun: Seq) -> bool {
        let under_way = |key: &OrderKey| {
            let posting = self.state.orders.get(key).and_then(|order| order.posting(counter));
            posting.is_some_and(|p| match p.step {
                Step::InFlight { .. } | Step::Retry { .. } => p.sequence > 0,
                Step::Done | Step::Pending | Step::Parked { .. } | Step::Dropped => false,
            })
        };
        self.state.skus.get(sku).is_some_and(|row| row.posted > begun)
            || self.state.index.unposted(sku).any(under_way)
    }

    fn judge_line(
        &self,
        count: &Count,
        sku: &Sku,
        location: &LocationId,
        counted: Quantity,
    ) -> Result<Line, Overflow> {
        let place = self.state.skus.get(sku).and_then(|row| row.place(location));
        let before = place.map(|place| place.stock).unwrap_or_default();
        let opened = place.is_some_and(|place| place.opened.is_some());
        let mut untold = Untold::default();
        let keys: BTreeSet<&OrderKey> = self.state.index.unposted(sku).collect();
        for key in keys {
            let Some(order) = self.state.orders.get(key) else { continue };
            let Some(posting) = order.posting(&count.counter) else { continue };
            let mut booked = Totals::default();
            for line in order.lines.values() {
                let here = line
                    .bound
                    .as_ref()
                    .is_some_and(|b| b.sku == *sku && b.location == *location && !b.baseline);
                if here {
                    booked = crate::core::posting::plus(booked, line.booked)?;
                }
            }
            let acked = acked(&posting.acked, sku, location);
            let told = self.told(&count.counter, booked);
            untold = untold.add(told, acked, self.returns_policy(), count.absent.contains(key))?;
        }
        let on_hand = on_hand(count.measure, counted, before, untold)?;
        Ok(Line { sku: sku.clone(), location: location.clone(), before, on_hand, opened })
    }

    /// Leaves out what the counter is never told of: it learns of that by itself.
    fn told(&self, counter: &ChannelId, booked: Totals) -> Totals {
        match self.channel(counter) {
            Ok(policy) if policy.abilities.posts => crate::core::posting::told(booked, policy.posts),
            Ok(_) | Err(_) => booked,
        }
    }

    fn returns_policy(&self) -> Returns {
        self.state.policies().map(|p| p.returns).unwrap_or_default()
    }

    fn brake(&self, lines: &[Line]) -> Option<String> {
        let policies = self.state.policies()?;
        let changes: Vec<Change> = lines
            .iter()
            .filter(|line| line.opened)
            .map(|line| Change { before: line.before.on_hand, after: line.on_hand })
            .collect();
        held_by(&policies.brake, &changes, self.state.skus.len())
    }

    /// Books the differences, opens what was not open, and passes the change on.
    fn take_over(
        &mut self,
        counter: &ChannelId,
        measure: Measure,
        as_of: Timestamp,
        lines: Vec<Line>,
    ) -> Result<usize, Refused> {
        let mut entries = Vec::new();
        let mut opened = Vec::new();
        for line in lines {
            let out_of_range = |_: Overflow| Refused::OutOfRange(format!("count of {}", line.sku));
            let quantity = line.on_hand.sub(line.before.on_hand).map_err(out_of_range)?;
            if !line.opened {
                opened.push((line.sku.clone(), line.location.clone()));
            }
            if quantity.is_zero() {
                continue;
            }
            let after = book(line.before, Kind::Count, quantity).map_err(out_of_range)?;
            let cause = Cause::Count { counter: counter.clone(), as_of };
            let (sku, location) = (line.sku, line.location);
            entries.push(Entry { sku, location, kind: Kind::Count, quantity, cause, event_at: as_of, after });
        }
        let changed = entries.len();
        let touched: BTreeSet<Sku> =
            entries.iter().map(|e| e.sku.clone()).chain(opened.iter().map(|(sku, _)| sku.clone())).collect();
        if !touched.is_empty() {
            self.emit(Record::Counted { counter: counter.clone(), as_of, measure, opened, entries });
        }
        for sku in touched {
            self.refresh(&sku, as_of);
        }
        Ok(changed)
    }

    pub(super) fn initialise(&mut self) -> Result<Reply, Refused> {
        if self.state.initialised.is_some() {
            return Ok(Reply::Duplicate);
        }
        self.emit(Record::Initialised);
        // The orders that came in before have waited for it.
        let channels: Vec<ChannelId> =
            self.state.policies().into_iter().flat_map(|policies| policies.channels.keys().cloned()).collect();
        for channel in channels {
            self.retry_unmapped(&channel)?;
        }
        Ok(Reply::Done)
    }

    /// Takes a held count over after all, or throws it away.
    ///
    /// It is judged anew against what is known today, because sales went on while it was held.
    pub(super) fn unhold(&mut self, id: Seq, release: bool) -> Result<Reply, Refused> {
        let Some(held) = self.state.held.get(&id).cloned() else {
            return Err(Refused::Nothing(format!("held count {id}")));
        };
        self.emit(Record::Unheld { id, released: release });
        if !release {
            return Ok(Reply::Done);
        }
        let measure = self.channel(&held.counter)?.abilities.counts.unwrap_or(Measure::OnHand);
        let (counter, as_of, begun) = (held.counter.clone(), held.as_of, held.begun);
        let count =
            Count { counter, measure, as_of, begun, lines: Vec::new(), opening: false, absent: Vec::new() };
        let mut judged = Vec::new();
        for (sku, location, quantity) in &held.lines {
            let line = self.judge_line(&count, sku, location, *quantity);
            judged.push(line.map_err(|_| Refused::OutOfRange(format!("count of {sku}")))?);
        }
        let changed = self.take_over(&held.counter, measure, as_of, judged)?;
        Ok(Reply::Counted { changed, deferred: 0, held: None, unknown: 0 })
    }
}
