//! Counts: taken over with what the counter did not know replayed on top, held if they would change too much.

mod held;
mod theirs;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        command::{Count, Refused, Reply},
        count::{self, ByPlace, Change, Untold, left_to_others, on_hand},
        decide::Draft,
        ledger::{Cause, Entry, Kind, Stock, book},
        mapping::resolve,
        order::{Line as OrderLine, Order},
        posting::{self, Item, OLDER, PostState, Step, is_older},
        record::Record,
        share::Share,
        state::{COUNTS, Listing, Quarantined, SkuRow, State},
    },
    model::{
        ChannelId, Identifiers, LocationId, OrderKey, Overflow, Posting, Quantity, Returns, Seq, Sku,
        Timestamp, Totals,
    },
};

use theirs::oldest_first;

/// What one count would do to one SKU at one place.
struct Line {
    sku: Sku,
    location: LocationId,
    before: Stock,
    on_hand: Quantity,
    opened: bool,
    /// Units that are seen to be off what is counted, of orders that are left to others.
    seen: Vec<(OrderKey, Quantity)>,
}

/// What is counted, summed per SKU and place.
type Sums = BTreeMap<(Sku, LocationId), Quantity>;

/// A count, summed: how many lines have no SKU, and how many sums wait because only a part of them was told.
#[derive(Default)]
struct Summed {
    sums: Sums,
    unknown: usize,
    partial: usize,
    /// What was told of a SKU at a place and is out of range: nothing of it is believed.
    unfit: Sums,
}

/// Returns what a part of a count would change of stock that is open already, without recording anything: the brake
/// judges the changes of all parts together.
pub fn changes(state: &State, count: &Count) -> Result<ByPlace, Refused> {
    let judge = Judge { state };
    let summed = judge.sum(count)?;
    Ok(changes_of(&judge.lines(count, &summed.sums)?.0))
}

/// Returns why the brake holds a count that would make these changes, if it does.
pub fn braked(state: &State, changes: &ByPlace) -> Option<String> {
    changes.held_by(&state.policies()?.brake, state.index.opened())
}

/// Returns the orders with raising movements that a counter has not acknowledged, for the items named: they are looked up
/// there after its counts were read. At most `most` of them.
pub fn raising(state: &State, counter: &ChannelId, ids: &[Identifiers], most: usize) -> Vec<Posting> {
    let skus: BTreeSet<_> =
        ids.iter().filter_map(|ids| resolve(state, counter, ids).sku().cloned()).collect();
    let orders: BTreeSet<&OrderKey> = skus.iter().flat_map(|sku| state.index.unposted(sku)).collect();
    // What others have entered is not found by our reference.
    let ours = |key: &&OrderKey| {
        let posting = state.orders.get(*key).and_then(|order| order.posting(counter));
        posting.is_some_and(|posting| !posting.is_theirs())
    };
    let postings = orders.into_iter().filter(ours).filter_map(|key| state.posting(counter, key));
    postings.filter(|(_, raises)| *raises).map(|(posting, _)| posting).take(most).collect()
}

/// Tells whether a counter that holds this of an order still lacks all that raises its stock and that it has not acknowledged:
/// cancellations, returns, and shipments taken back. Where it holds a part of that, nothing of it is replayed (I10): so it is
/// after a restore, where what it was told since the backup is not known.
pub fn lacks(posting: &Posting, held: &[Totals]) -> bool {
    posting.lines.iter().zip(held).all(|(line, held)| {
        let (target, told, acked) = (line.target, line.told, line.acked.unwrap_or_default());
        let taken_back = told.fulfilled > target.fulfilled || told.written_off > target.written_off;
        if target.released.is_zero() && target.returned.is_zero() && !taken_back {
            return true;
        }
        let more = held.released > acked.released || held.returned > acked.returned;
        let less = held.fulfilled < acked.fulfilled || held.written_off < acked.written_off;
        let in_part = more || taken_back && less;
        let lacking = held.released < target.released
            || held.returned < target.returned
            || held.fulfilled > target.fulfilled
            || held.written_off > target.written_off;
        lacking && !in_part
    })
}

fn changes_of(lines: &[Line]) -> ByPlace {
    let mut changes = ByPlace::default();
    for line in lines.iter().filter(|line| line.opened) {
        changes.add(&line.location, Change { before: line.before.on_hand, after: line.on_hand });
    }
    changes
}

impl Draft<'_> {
    pub(super) fn count(&mut self, count: &Count) -> Result<Reply, Refused> {
        self.may_count(count)?;
        let Summed { sums: lines, unknown, partial, unfit } = self.judging().sum(count)?;
        let (judged, deferred) = self.judging().lines(count, &lines)?;
        let deferred = deferred + partial;
        let held = if count.opening { None } else { braked(self.state, &changes_of(&judged)) };
        if let Some(why) = held {
            let lines = lines.into_iter().map(|((sku, location), quantity)| (sku, location, quantity));
            let held = self.hold(count, lines.collect(), why);
            self.tell_unfit(count, &unfit);
            return Ok(Reply::Counted { changed: 0, deferred, held, unknown });
        }
        let judged = self.without_held(count, judged);
        let changed = self.take_over(count, judged)?;
        self.tell_unfit(count, &unfit);
        Ok(Reply::Counted { changed, deferred, held: None, unknown })
    }

    pub(super) fn count_part(&mut self, count: &Count) -> Result<Reply, Refused> {
        self.may_count(count)?;
        let Summed { sums: lines, unknown, partial, unfit } = self.judging().sum(count)?;
        let (judged, deferred) = self.judging().lines(count, &lines)?;
        let deferred = deferred + partial;
        let judged = self.without_held(count, judged);
        let changed = self.take_over(count, judged)?;
        self.tell_unfit(count, &unfit);
        Ok(Reply::Counted { changed, deferred, held: None, unknown })
    }

    pub(super) fn hold_whole(&mut self, count: &Count, why: String) -> Result<Reply, Refused> {
        self.may_count(count)?;
        let Summed { sums: lines, unknown, partial, unfit } = self.judging().sum(count)?;
        let lines = lines.into_iter().map(|((sku, location), quantity)| (sku, location, quantity));
        let held = self.hold(count, lines.collect(), why);
        self.tell_unfit(count, &unfit);
        Ok(Reply::Counted { changed: 0, deferred: partial, held, unknown })
    }

    /// Has a person told what of a count is out of range, once for the same SKUs.
    fn tell_unfit(&mut self, count: &Count, unfit: &Sums) {
        const NAMED: usize = 10;
        if unfit.is_empty() {
            return;
        }
        let skus: BTreeSet<&str> = unfit.keys().map(|(sku, _)| sku.as_str()).collect();
        let listed = |named: Vec<String>, all: usize| match all.checked_sub(named.len()) {
            Some(more) if more > 0 => format!("{} and {more} more", named.join(", ")),
            Some(_) | None => named.join(", "),
        };
        let id = Some(listed(skus.iter().take(NAMED).map(|sku| (*sku).to_owned()).collect(), skus.len()));
        let channel = count.counter.clone();
        let told = |item: &Quarantined| item.channel == channel && item.topic == COUNTS && item.id == id;
        if self.state.quarantine.values().any(told) {
            return;
        }
        let rows = unfit.iter().take(NAMED);
        let rows = rows.map(|((sku, location), units)| format!("`{sku}` at `{location}` ({units})"));
        let rows = listed(rows.collect(), unfit.len());
        let why = format!("out of range, so left out of the count, the rest of which stands: {rows}");
        let (topic, sha256, at) = (COUNTS.to_owned(), String::new(), self.now);
        self.emit(Record::Quarantined { item: Quarantined { channel, topic, id, why, sha256, at } });
    }

    fn may_count(&self, count: &Count) -> Result<(), Refused> {
        self.known(&count.counter)?;
        if self.state.initialised.is_none() && !count.opening {
            return Err(Refused::NotInitialised);
        }
        Ok(())
    }

    fn judging(&self) -> Judge<'_> {
        Judge { state: self.state }
    }
}

/// Works out what a count would do.
struct Judge<'a> {
    state: &'a State,
}

impl Judge<'_> {
    /// Sums the lines per SKU and location: an item may be counted in several places of a location.
    fn sum(&self, count: &Count) -> Result<Summed, Refused> {
        let mut summed = Summed::default();
        // Of SKUs that the counter knows by several codes, which of them it tells.
        let mut codes: BTreeMap<Sku, BTreeSet<&Identifiers>> = BTreeMap::new();
        for line in &count.lines {
            let resolved = resolve(self.state, &count.counter, &line.ids);
            let Some(sku) = resolved.sku().map(|sku| self.state.canonical(sku).clone()) else {
                summed.unknown += 1;
                continue;
            };
            // A bundle lies on no shelf of its own: what a counter tells of it follows from its components.
            if self.state.index.recipes.direct(&sku).is_some() {
                continue;
            }
            if self.codes(count, &sku) > 1 {
                codes.entry(sku.clone()).or_default().insert(&line.ids);
            }
            let at = (sku, line.location.clone());
            if Quantity::bounded(line.quantity.units()).is_err() {
                summed.unfit.insert(at, line.quantity);
                continue;
            }
            let sum = summed.sums.entry(at).or_default();
            *sum =
                sum.add(line.quantity).map_err(|_| Refused::OutOfRange(format!("count of {}", line.ids)))?;
        }
        // What else was told of the same stock is a part of it.
        let Summed { sums, unfit, .. } = &mut summed;
        sums.retain(|at, _| !unfit.contains_key(at));
        // What lies under the codes that are not told is not known: such a SKU waits for a count of all of them.
        let partial = |sku: &Sku| codes.get(sku).is_some_and(|told| told.len() < self.codes(count, sku));
        let before = summed.sums.len();
        summed.sums.retain(|(sku, _), _| !partial(sku));
        summed.partial = before - summed.sums.len();
        Ok(summed)
    }

    /// Returns by how many codes the counter knows a SKU. More than one only where SKUs were merged.
    fn codes(&self, count: &Count, sku: &Sku) -> usize {
        let names = self.state.known_as(sku);
        if names.len() < 2 {
            return 1;
        }
        let of = |name: &Sku| {
            let row = self.state.skus.get(name);
            let here = |held: &&Listing| held.channel == count.counter && !held.given_away();
            row.map_or(0, |row| row.listings.iter().filter(here).count())
        };
        names.iter().map(of).sum()
    }

    /// Works out what each line would do, and how many must wait for the next read.
    fn lines(&self, count: &Count, lines: &Sums) -> Result<(Vec<Line>, usize), Refused> {
        if !count.opening && self.missed_orders() {
            return Ok((Vec::new(), lines.len()));
        }
        let mut judged = Vec::new();
        let mut deferred = 0;
        let partial = partial(&count.set, lines);
        for ((sku, location), quantity) in lines {
            if self.being_told(&count.counter, sku, count.begun) || self.left_meanwhile(count, sku, location)
            {
                deferred += 1;
                continue;
            }
            let line = self.line(count, sku, location, *quantity);
            let line = line.map_err(|_| Refused::OutOfRange(format!("count of {sku}")))?;
            // What is more here may be what is missing where it was not counted.
            if partial.contains(sku) && line.on_hand > line.before.on_hand {
                deferred += 1;
                continue;
            }
            judged.push(line);
        }
        Ok((judged, deferred))
    }

    /// Tells whether orders that a restored store knew before are still to be read: what came back of them is in the counts of
    /// who was told of it then, and would be added once more (I10).
    fn missed_orders(&self) -> bool {
        self.state.missed_orders().next().is_some()
    }

    /// Tells whether a posting or a transfer that moves the SKU was, or may have been, under way while the counter was
    /// read.
    fn being_told(&self, counter: &ChannelId, sku: &Sku, begun: Seq) -> bool {
        let under_way = |key: &OrderKey| {
            let posting = self.state.orders.get(key).and_then(|order| order.posting(counter));
            let is = |p: &PostState| p.unsure || matches!(p.step, Step::InFlight { .. });
            posting.is_some_and(|p| !p.is_theirs() && is(p))
        };
        // So is a transfer: of what moves, nobody can say which part the counter has seen where (I10).
        let moves = |row: &SkuRow| row.posted > begun || row.transferred > begun || !row.moving.is_empty();
        self.state.known_as(sku).iter().any(|sku| {
            self.state.skus.get(sku).is_some_and(moves) || self.state.index.unposted(sku).any(under_way)
        })
    }

    /// Tells whether units of an order older than this opening count may have left while it was read: nobody can say whether they
    /// are in it. A counter that counts again is asked once more.
    fn left_meanwhile(&self, count: &Count, sku: &Sku, location: &LocationId) -> bool {
        let policy = self.state.policies().and_then(|policies| policies.channels.get(&count.counter));
        let place = self.state.skus.get(sku).and_then(|row| row.place(location));
        let opened = place.is_some_and(|place| place.opened.is_some());
        if opened || policy.is_none_or(|policy| policy.abilities.counts.is_none()) {
            return false;
        }
        let left = |key: &OrderKey| {
            let order = self.state.orders.get(key).filter(|order| order.left > Some(count.begun));
            order.is_some_and(|order| {
                order.lines.values().any(|line| {
                    let older = |share: &&Share| {
                        share.location == *location
                            && self.state.canonical(&share.sku) == sku
                            && is_baseline(share, order, count.as_of, Some(count.begun))
                    };
                    line.shares()
                        .iter()
                        .filter(older)
                        .any(|share| share.booked.closed() != Ok(Totals::default()))
                })
            })
        };
        self.state.known_as(sku).iter().any(|name| self.state.index.older(name).any(left))
    }

    fn line(
        &self,
        count: &Count,
        sku: &Sku,
        location: &LocationId,
        counted: Quantity,
    ) -> Result<Line, Overflow> {
        let place = self.state.skus.get(sku).and_then(|row| row.place(location));
        let before = place.map(|place| place.stock).unwrap_or_default();
        let opened = place.is_some_and(|place| place.opened.is_some());
        let (mut untold, mut left, mut off) = (Untold::default(), Vec::new(), Quantity::ZERO);
        let names = self.state.known_as(sku);
        let index = &self.state.index;
        let orders: BTreeSet<&OrderKey> =
            names.iter().flat_map(|name| index.unposted(name).chain(index.older(name))).collect();
        for key in orders {
            let Some(order) = self.state.orders.get(key) else { continue };
            let posting = order.posting(&count.counter);
            if posting.is_some_and(|posting| posting.step == Step::Theirs) {
                continue;
            }
            if posting.is_some_and(PostState::is_watched) {
                let theirs = self.untold(count, sku, location, (key, order), Untold::default())?;
                let units = count::off(count.measure, theirs)?;
                off = off.add(units)?;
                left.push((order.placed_at, key.clone(), units));
            } else {
                untold = self.untold(count, sku, location, (key, order), untold)?;
            }
        }
        let known = on_hand(count.measure, counted, before, untold)?;
        // With a first count there is nothing that it could put back.
        let now = if opened { before.on_hand } else { known.sub(off)? };
        let (on_hand, booked) = left_to_others(known, off, now)?;
        // What may have raised the count, or not, may hide what was taken off it.
        let seen = if opened && !untold.open { oldest_first(left, booked)? } else { Vec::new() };
        Ok(Line { sku: sku.clone(), location: location.clone(), before, on_hand, opened, seen })
    }

    /// Returns what a counter has acknowledged of a SKU at a location, under all the names that it is known as.
    fn acked(&self, items: &[Item], sku: &Sku, location: &LocationId) -> Result<Totals, Overflow> {
        let here = |item: &&Item| item.location == *location && self.state.canonical(&item.sku) == sku;
        items.iter().filter(here).try_fold(Totals::default(), |sum, item| sum.plus(item.totals))
    }

    /// Adds what one order has done to a SKU that the counter had not taken in.
    fn untold(
        &self,
        count: &Count,
        sku: &Sku,
        location: &LocationId,
        (key, order): (&OrderKey, &Order),
        untold: Untold,
    ) -> Result<Untold, Overflow> {
        let (mut booked, mut early, mut older) = (Totals::default(), Totals::default(), Quantity::ZERO);
        let (mut back, mut early_back) = (Quantity::ZERO, Quantity::ZERO);
        let here = |share: &Share| share.location == *location && self.state.canonical(&share.sku) == sku;
        let posting = order.posting(&count.counter);
        // By our reference what others have entered is not found.
        let absent = posting.is_none_or(|posting| !posting.is_theirs()) && count.absent.contains(key);
        let Some(policies) = self.state.policies() else { return Ok(untold) };
        let puts_back = |line: &OrderLine| line.returns_by(policies.returns) != Returns::Ignore;
        for line in order.lines.values() {
            let put = |totals: Totals| if puts_back(line) { totals.returned } else { Quantity::ZERO };
            for share in line.shares().iter().filter(|share| here(share)) {
                let units = share.units_booked()?;
                if share.baseline && posting.is_some() {
                    let news = share.news()?;
                    (booked, back) = (booked.plus(news)?, back.add(put(news))?);
                    continue;
                }
                if is_baseline(share, order, count.as_of, Some(count.begun)) {
                    older = older.add(units.open()?.or_zero())?;
                    continue;
                }
                (booked, back) = (booked.plus(units)?, back.add(put(units))?);
                if share.early {
                    (early, early_back) = (early.plus(units)?, early_back.add(put(units))?);
                }
            }
        }
        // The selling channel's own free count left out what it had sold. Others still held it.
        let own = key.channel == count.counter;
        let promised = if own { Quantity::ZERO } else { older };
        let untold = Untold { promised: untold.promised.add(promised)?, ..untold };
        // Where no line lies here any more, whichever lay here may have put units back.
        let lies_here = |line: &&OrderLine| line.shares().iter().any(&here);
        let any_here = order.lines.values().any(|line| lies_here(&line));
        let mut lines = order.lines.values().filter(|line| !any_here || lies_here(line));
        let puts = lines.any(puts_back);
        let Some(policy) = policies.channels.get(&count.counter) else { return Ok(untold) };
        match posting {
            Some(posting) => {
                // What the counter is never told of, it learns by itself.
                let told = posting::told(booked, policy.posts);
                let acked = posting::told(self.acked(&posting.acked, sku, location)?, policy.posts);
                let back = if policy.posts.returns { back } else { Quantity::ZERO };
                untold.add(told, acked, puts.then_some(back), absent)
            }
            None if policy.abilities.posts => Ok(untold),
            // Placed after its opening count, so all that it did came after, whatever its direction.
            None => untold.add(early, Totals::default(), puts.then_some(early_back), true),
        }
    }
}

impl Draft<'_> {
    /// Books the differences, opens what was not open, and passes the change on. On an error nothing is recorded.
    fn take_over(&mut self, count: &Count, lines: Vec<Line>) -> Result<usize, Refused> {
        let told: BTreeSet<(Sku, LocationId)> =
            lines.iter().map(|line| (line.sku.clone(), line.location.clone())).collect();
        let (counter, as_of, measure) = (count.counter.clone(), count.as_of, count.measure);
        let mut entries = Vec::new();
        let mut opened = Vec::new();
        let mut seen = Vec::new();
        for line in lines {
            seen.extend(line.seen.into_iter().map(|of| (line.sku.clone(), line.location.clone(), of)));
            let out_of_range = |_: Overflow| Refused::OutOfRange(format!("count of {}", line.sku));
            let quantity = line.on_hand.sub(line.before.on_hand).map_err(out_of_range)?;
            let after = book(line.before, Kind::Count, quantity).map_err(out_of_range)?;
            if !line.opened {
                opened.push((line.sku.clone(), line.location.clone()));
            }
            if quantity.is_zero() {
                continue;
            }
            let cause = Cause::Count { counter: counter.clone(), as_of };
            let (sku, location) = (line.sku, line.location);
            entries.push(Entry { sku, location, kind: Kind::Count, quantity, cause, event_at: as_of, after });
        }
        let changed = entries.len();
        let touched: BTreeSet<Sku> =
            entries.iter().map(|e| e.sku.clone()).chain(opened.iter().map(|(sku, _)| sku.clone())).collect();
        let left = self.had_left(&told);
        if !touched.is_empty() || !left.is_empty() {
            let places = opened.clone();
            let counter = counter.into();
            self.emit(Record::Counted { counter, as_of, measure, opened, entries, left });
            self.place_before(as_of, Some(count.begun), &places);
        }
        for (sku, location, (key, units)) in seen {
            let out_of_range = |_: Overflow| Refused::OutOfRange(format!("count of {sku}"));
            self.seen_booked(count, &sku, &location, &key, units).map_err(out_of_range)?;
        }
        self.outdate(count, &told);
        self.refresh_all(touched, as_of);
        Ok(changed)
    }

    fn older(&self, sku: &Sku) -> Vec<OrderKey> {
        let names = self.state.known_as(sku);
        names.iter().flat_map(|name| self.state.index.older(name)).cloned().collect()
    }

    /// Tells the orders that came before an opening count whether they are older than it. What was over by then of those
    /// that are belongs to the count. Of what is open, an ERP may have been told by others: a person is asked.
    pub(super) fn place_before(
        &mut self,
        as_of: Timestamp,
        begun: Option<Seq>,
        places: &[(Sku, LocationId)],
    ) {
        let keys: BTreeSet<OrderKey> = places.iter().flat_map(|(sku, _)| self.older(sku)).collect();
        let places: BTreeSet<&(Sku, LocationId)> = places.iter().collect();
        for key in keys {
            let Some(mut order) = self.state.orders.get(&key).cloned() else { continue };
            let before = order.clone();
            for line in order.lines.values_mut() {
                let mut shares = line.shares().to_vec();
                for share in shares.iter_mut().filter(|share| share.early) {
                    let place = (self.state.canonical(&share.sku).clone(), share.location.clone());
                    if places.contains(&place) {
                        share.baseline = is_baseline(share, &before, as_of, begun);
                        share.early = false;
                    }
                }
                line.set_shares(shares);
            }
            let Some(policies) = &self.state.policies else { continue };
            for posting in
                order.postings.iter().filter(|posting| posting.sequence == 0).cloned().collect::<Vec<_>>()
            {
                let policy = policies.channels.get(&posting.channel);
                let older = policy.is_some_and(|policy| is_older(&order, policy.posts, &policy.locations));
                let waits = matches!(posting.step, Step::Pending | Step::Retry { .. });
                if let Some(held) = order.posting_mut(&posting.channel).filter(|_| older && waits) {
                    *held = posting.asked(OLDER);
                }
            }
            // The totals were booked, so summing them for the ERP cannot overflow.
            if order != before && self.note_postings(&key, &mut order).is_ok() {
                self.emit(Record::Order { key, order: Box::new(order), entries: Vec::new() });
            }
        }
    }

    pub(super) fn initialise(&mut self) -> Result<Reply, Refused> {
        if self.state.initialised.is_some() {
            return Ok(Reply::Duplicate);
        }
        self.note(Record::Initialised)
    }
}

/// Returns the SKUs of which a count does not tell all locations of the set that it declares.
fn partial(set: &BTreeSet<LocationId>, lines: &Sums) -> BTreeSet<Sku> {
    if set.is_empty() {
        return BTreeSet::new();
    }
    let told = |sku: &Sku, location: &LocationId| lines.contains_key(&(sku.clone(), location.clone()));
    let lacks = |sku: &&Sku| set.iter().any(|location| !told(sku, location));
    lines.keys().map(|(sku, _)| sku).filter(lacks).cloned().collect()
}

/// Tells whether an order is older than the opening count of the place it is bound to, which may be the one of
/// `as_of`, read from `begun` on. What an ERP was told of, or is still to be told of, is not: its count has it, or will. What was known before the count was
/// read is, whatever the clocks of the two say.
fn is_baseline(share: &Share, order: &Order, as_of: Timestamp, begun: Option<Seq>) -> bool {
    let told = order.postings.iter().any(|posting| posting.sequence > 0);
    // Of what comes in while the shop is open, the ERP is told by us.
    let to_tell =
        order.first.is_some_and(|first| first.opened && !first.shadow) && !order.postings.is_empty();
    let known = || begun.is_some_and(|begun| order.first.is_some_and(|first| first.seq <= begun));
    share.baseline || (share.early && !told && !to_tell && (order.placed_at < as_of || known()))
}
