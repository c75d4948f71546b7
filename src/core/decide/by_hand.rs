//! Counts by people: brought from their as-of up to now, held by the brake as any other.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry as Slot},
    ops::Range,
};

use crate::{
    core::{
        command::{ByHand, HandLine, LeftOut, NAMED, Refused, Reply, Tally, Why},
        count::{ByPlace, Change},
        decide::{Draft, counts::braked, recipes::unaccounted},
        ledger::{Cause, Entry, Kind, Stock, book},
        moves::{LastCount, REACH_MS, Transferred, When, in_count},
        record::{HandCounted, HeldCount, Record},
        state::State,
        wrong::{Why as Reason, Wrong, refused},
    },
    model::{Counter, LocationId, Measure, Overflow, Policies, Quantity, Seq, Sku, Timestamp},
};

/// What a count by a person would do to one stock.
#[derive(Debug, Clone)]
pub struct Judged {
    line: HandLine,
    before: Stock,
    on_hand: Quantity,
    opens: bool,
    transferred: Transferred,
}

/// What a count by a person would do, line by line, and what is left out of it.
pub type Outcome = (Vec<Judged>, Vec<LeftOut>);

/// Works out what a count by a person would do. Refused as a whole if a line makes no sense.
pub fn judge(state: &State, count: &ByHand, now: Timestamp) -> Result<Outcome, Refused> {
    let (outcome, wrong) = look_over(state, count, now)?;
    if wrong.is_empty() { Ok(outcome) } else { Err(refused(&wrong)) }
}

/// Like [`judge`], with everything that makes no sense: a count that comes in parts is refused for that of all of them.
pub fn look_over(state: &State, count: &ByHand, now: Timestamp) -> Result<(Outcome, Vec<Wrong>), Refused> {
    let policies = state.policies().ok_or(Refused::NotConfigured)?;
    may_count(state, count.opening)?;
    let mut seen: BTreeMap<(&Sku, &LocationId), Option<u64>> = BTreeMap::new();
    let (mut judged, mut left_out, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for held in &count.lines {
        let (sku, location) = (state.canonical(&held.sku), &held.location);
        let line = HandLine { sku: sku.clone(), ..held.clone() };
        let mut why = senseless(policies, &count.by, &line, now, settles(state, &line));
        match seen.entry((sku, location)) {
            Slot::Vacant(free) => drop(free.insert(line.line)),
            Slot::Occupied(first) => {
                let first = first.get().map_or(String::new(), |first| format!(", first on line {first}"));
                why.push(format!("SKU `{sku}` is counted twice at `{location}`{first}").into());
            }
        }
        if !why.is_empty() {
            // An opening may be judged before any catalogue was read: that a SKU is not known then says nothing.
            let known = (count.opening && !knows_skus(state, policies)) || state.skus.contains_key(sku);
            wrong
                .extend(unknown_first(known, sku, why).into_iter().map(|why| Wrong { line: line.line, why }));
            continue;
        }
        match one(state, count.measure, &line) {
            Ok(Ok(line)) => judged.push(line),
            Ok(Err(why)) => {
                let HandLine { sku, location, line, .. } = line;
                left_out.push(LeftOut { line, sku, location, why });
            }
            Err(why) => wrong.push(Wrong { line: line.line, why }),
        }
    }
    Ok((whole_sets(judged, left_out), wrong))
}

/// Tells whether the catalogue that says which SKUs there are was read once.
pub fn knows_skus(state: &State, policies: &Policies) -> bool {
    let read = |master| state.channels.get(master).is_some_and(|row| row.catalogued_at.is_some());
    policies.mapping.master.as_ref().map_or(!state.skus.is_empty(), read)
}

/// Leaves out what would rise where another place of the same SKU is left out: what is more here may be what is missing
/// there.
fn whole_sets(judged: Vec<Judged>, mut left_out: Vec<LeftOut>) -> Outcome {
    let lacking: BTreeSet<Sku> = left_out.iter().map(|of| of.sku.clone()).collect();
    let rises = |held: &Judged| held.on_hand > held.before.on_hand;
    let (partial, kept): (Vec<_>, _) =
        judged.into_iter().partition(|held| rises(held) && lacking.contains(&held.line.sku));
    left_out.extend(partial.into_iter().map(|held| {
        let HandLine { sku, location, line, .. } = held.line;
        LeftOut { line, sku, location, why: Why::Partial }
    }));
    (kept, left_out)
}

/// Leaves of what is wrong with a line only what does not exist, if anything: nothing else can be said of that.
fn unknown_first(known: bool, sku: &Sku, why: Vec<Reason>) -> Vec<Reason> {
    let no_sku = (!known).then(|| Reason::Unknown(format!("there is no SKU `{sku}`")));
    let unknown = |why: &Reason| matches!(why, Reason::Unknown(_));
    if no_sku.is_none() && !why.iter().any(unknown) {
        return why;
    }
    no_sku.into_iter().chain(why.into_iter().filter(unknown)).collect()
}

/// Returns the figures of what was worked out.
pub fn tally(judged: &[Judged], left_out: Vec<LeftOut>) -> Tally {
    let mut tally = Tally { left_out, ..Tally::default() };
    for line in judged {
        if line.transferred != Transferred::default() {
            tally.transferred.push((line.line.sku.clone(), line.line.location.clone(), line.transferred));
        }
        let (before, after) = (line.before.on_hand, line.on_hand);
        let moved = after.sub(before).unwrap_or_default();
        tally.opened += usize::from(line.opens);
        tally.zeroed += usize::from(before > Quantity::ZERO && after <= Quantity::ZERO);
        if moved.is_zero() {
            tally.unchanged += 1;
            continue;
        }
        tally.changed += 1;
        if tally.some.len() < NAMED {
            tally.some.push((line.line.sku.clone(), line.line.location.clone(), before, after));
        }
        let (of, units) = if moved > Quantity::ZERO {
            (&mut tally.up, &mut tally.up_units)
        } else {
            (&mut tally.down, &mut tally.down_units)
        };
        *of += 1;
        *units = units.add(moved).unwrap_or(*units);
    }
    tally
}

/// Returns the changes of stock that was open already: the brake judges them.
pub fn changes(judged: &[Judged]) -> ByPlace {
    let mut changes = ByPlace::default();
    for held in judged.iter().filter(|held| !held.opens) {
        changes.add(&held.line.location, Change { before: held.before.on_hand, after: held.on_hand });
    }
    changes
}

impl Tally {
    /// Adds what another part of the same count does.
    pub fn plus(mut self, other: Tally) -> Tally {
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.up += other.up;
        self.down += other.down;
        self.up_units = self.up_units.add(other.up_units).unwrap_or(self.up_units);
        self.down_units = self.down_units.add(other.down_units).unwrap_or(self.down_units);
        self.zeroed += other.zeroed;
        self.opened += other.opened;
        self.transferred.extend(other.transferred);
        self.left_out.extend(other.left_out);
        self.some.extend(other.some);
        self.some.truncate(NAMED);
        self.brake = self.brake.or(other.brake);
        self.held = self.held.or(other.held);
        self
    }
}

fn may_count(state: &State, opening: bool) -> Result<(), Refused> {
    match (state.initialised, opening) {
        (None, false) => Err(Refused::NotInitialised),
        (Some(_), true) => Err(Refused::NotSo("the opening stock was taken over already".to_owned())),
        (None, true) | (Some(_), false) => Ok(()),
    }
}

/// Tells whether a line says that what a bundle is made of was counted since units of it were shipped without a recipe: none is on
/// hand of the bundle itself, and nobody else says so.
fn settles(state: &State, line: &HandLine) -> bool {
    let made = state.index.recipes.direct(&line.sku).is_some();
    made && line.quantity.is_zero()
        && unaccounted(state, &line.sku).iter().any(|(at, _)| *at == line.location)
}

/// Returns everything for which a line makes no sense. `settles`: it is none that a counter tells of.
fn senseless(
    policies: &Policies,
    by: &Counter,
    line: &HandLine,
    now: Timestamp,
    settles: bool,
) -> Vec<Reason> {
    let HandLine { sku, location, quantity, as_of, .. } = line;
    let mut why = Vec::new();
    if !policies.locations.contains(location) {
        why.push(Reason::Unknown(format!("there is no location `{location}`")));
    }
    if let Some(channel) = policies.kept_by(location).filter(|channel| *by != **channel) {
        why.push(Reason::Bad(format!(
            "`{channel}` keeps and ships what lies at location `{location}`, and tells by itself how much that is: it is \
             only read, never counted here"
        )));
    } else if let Some(channel) = policies.counter_of(location).filter(|_| !settles) {
        why.push(Reason::Bad(format!(
            "`{channel}` counts location `{location}`, and its next count would take this one back: count there"
        )));
    }
    if *quantity < Quantity::ZERO || Quantity::bounded(quantity.units()).is_err() {
        why.push(out_of_range(sku));
    }
    if *as_of > now {
        why.push(Reason::Bad(format!("the as-of of SKU `{sku}` lies in the future")));
    }
    if *as_of < now.plus_millis(-REACH_MS) {
        let days = REACH_MS / 86_400_000;
        why.push(Reason::Bad(format!("the as-of of SKU `{sku}` is older than {days} days: count again")));
    }
    why
}

fn out_of_range(sku: &Sku) -> Reason {
    Reason::Bad(format!("the quantity of SKU `{sku}` is out of range"))
}

fn one(state: &State, measure: Measure, line: &HandLine) -> Result<Result<Judged, Why>, Reason> {
    let Some(row) = state.skus.get(&line.sku) else { return Ok(Err(Why::NoSku)) };
    if settles(state, line) {
        let before = row.place(&line.location).map(|place| place.stock).unwrap_or_default();
        let (line, on_hand, transferred) = (line.clone(), Quantity::ZERO, Transferred::default());
        return Ok(Ok(Judged { line, before, on_hand, opens: false, transferred }));
    }
    if state.index.recipes.direct(&line.sku).is_some() {
        return Ok(Err(Why::Bundle(state.parts_of(&line.sku))));
    }
    let place = row.place(&line.location);
    if let Some(held) = place.and_then(|place| place.by_hand).filter(|held| held.as_of > line.as_of) {
        return Ok(Err(Why::CountedLater(held.as_of)));
    }
    let from = row.known_from(&line.location);
    if line.as_of < from {
        return Ok(Err(Why::NotKnown(from)));
    }
    let big = || out_of_range(&line.sku);
    let before = place.map(|place| place.stock).unwrap_or_default();
    let moves = place.and_then(|place| place.moves.as_deref());
    let moved = moves.map_or(Some(Quantity::ZERO), |moves| moves.after(measure, line.as_of));
    let on_hand = now_on_hand(measure, line.quantity, moved.ok_or_else(big)?, before);
    let on_hand = on_hand.map_err(|_| big())?;
    let opens = place.is_none_or(|place| place.opened.is_none());
    let transferred = moves.map(|moves| moves.transferred(line.as_of)).unwrap_or_default();
    Ok(Ok(Judged { line: line.clone(), before, on_hand, opens, transferred }))
}

/// Returns what is on hand by a count, with what `moved` since on top.
fn now_on_hand(
    measure: Measure,
    counted: Quantity,
    moved: Quantity,
    now: Stock,
) -> Result<Quantity, Overflow> {
    let counted = counted.add(moved)?;
    match measure {
        Measure::OnHand => Ok(counted),
        Measure::Free => counted.add(now.committed)?.add(now.reserved),
    }
}

impl Draft<'_> {
    pub(super) fn count_by_hand(&mut self, count: &ByHand) -> Result<Reply, Refused> {
        let (judged, left_out) = judge(self.state, count, self.now)?;
        let brake = (!count.opening && !count.believed).then(|| braked(self.state, &changes(&judged)));
        if let Some(why) = brake.flatten() {
            return self.hold_by_hand(count, why);
        }
        let tally = tally(&judged, left_out);
        self.take_over_by_hand(count, judged)?;
        Ok(Reply::CountedByHand(tally))
    }

    /// Books the differences, opens what was not open, and passes the change on. On an error nothing is recorded.
    fn take_over_by_hand(&mut self, count: &ByHand, judged: Vec<Judged>) -> Result<(), Refused> {
        let (mut entries, mut places) = (Vec::new(), Vec::new());
        let mut opened: BTreeMap<Timestamp, Vec<(Sku, LocationId)>> = BTreeMap::new();
        let mut touched = BTreeSet::new();
        let latest = judged.iter().map(|judged| judged.line.as_of).max().unwrap_or(self.now);
        for Judged { line, before, on_hand, opens, transferred: _ } in judged {
            let out_of_range = |_: Overflow| Refused::OutOfRange(format!("count of {}", line.sku));
            let quantity = on_hand.sub(before.on_hand).map_err(out_of_range)?;
            let after = book(before, Kind::Count, quantity).map_err(out_of_range)?;
            let HandLine { sku, location, as_of, note, .. } = line;
            if opens {
                opened.entry(as_of).or_default().push((sku.clone(), location.clone()));
            }
            if opens || !quantity.is_zero() {
                touched.insert(sku.clone());
            }
            // Of a bundle nothing lies there that was counted.
            if self.state.index.recipes.direct(&sku).is_none() {
                places.push(HandCounted { sku: sku.clone(), location: location.clone(), as_of, opens });
            }
            if !quantity.is_zero() {
                let cause = match &count.by {
                    Counter::Person => Cause::Operator { note },
                    Counter::Channel(counter) => Cause::Count { counter: counter.clone(), as_of },
                };
                let kind = Kind::Count;
                entries.push(Entry { sku, location, kind, quantity, cause, event_at: as_of, after });
            }
        }
        if !places.is_empty() || !entries.is_empty() {
            let by = match &count.by {
                Counter::Person => None,
                Counter::Channel(channel) => Some(channel.clone()),
            };
            self.emit(Record::CountedByHand { by, measure: count.measure, places, entries });
            self.end_outdated();
        }
        for (as_of, places) in opened {
            self.place_before(as_of, None, &places);
        }
        self.refresh_all(touched, latest);
        Ok(())
    }

    /// Ends the held counts by people of which every place was counted later: they say nothing any more.
    fn end_outdated(&mut self) {
        let state = &*self.state;
        let later = |(sku, location): (&Sku, &LocationId), as_of: Timestamp| {
            let place = state.skus.get(state.canonical(sku)).and_then(|row| row.place(location));
            place.and_then(|place| place.by_hand).is_some_and(|last| last.as_of > as_of)
        };
        let over = |held: &HeldCount| {
            let mut lines = held.lines.iter().zip(&held.by_hand);
            held.counter == Counter::Person
                && lines.all(|((sku, at, _), (as_of, _))| later((sku, at), *as_of))
        };
        let over = state.held.iter().filter(|(_, held)| over(held)).map(|(id, _)| *id);
        for id in over.collect::<Vec<_>>() {
            self.emit(Record::Unheld { id, released: false });
        }
    }

    /// Keeps a count for a person, unless it is held already. One that it covers gives way to it.
    pub(super) fn hold_by_hand(&mut self, count: &ByHand, why: String) -> Result<Reply, Refused> {
        let (judged, left_out) = judge(self.state, count, self.now)?;
        let mut tally = tally(&judged, left_out);
        tally.brake = Some(why.clone());
        let mut all = count.lines.clone();
        all.sort();
        let lines: Vec<_> = all.iter().map(|l| (l.sku.clone(), l.location.clone(), l.quantity)).collect();
        let by_hand: Vec<_> = all.iter().map(|line| (line.as_of, line.note.clone())).collect();
        let same = |held: &HeldCount| held.counter == Counter::Person && held.measure == count.measure;
        let said = |held: &HeldCount| same(held) && held.lines == lines && held.by_hand == by_hand;
        tally.held = self.state.held.iter().find(|(_, held)| said(held)).map(|(id, _)| *id);
        if tally.held.is_some() {
            return Ok(Reply::CountedByHand(tally));
        }
        let told: BTreeSet<_> = all.iter().map(|line| (&line.sku, &line.location)).collect();
        let covered = |held: &HeldCount| held.lines.iter().all(|(sku, at, _)| told.contains(&(sku, at)));
        let replaced = self.state.held.iter().filter(|(_, held)| same(held) && covered(held));
        for id in replaced.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.emit(Record::Unheld { id, released: false });
        }
        let as_of = all.iter().map(|line| line.as_of).max().unwrap_or(self.now);
        let (counter, measure) = (Counter::Person, count.measure);
        let (begun, outdated, taken) = (self.seq, BTreeSet::new(), Vec::new());
        let held = HeldCount { counter, measure, as_of, begun, lines, why, outdated, taken, by_hand };
        self.emit(Record::Held { count: held });
        tally.held = Some(self.seq);
        Ok(Reply::CountedByHand(tally))
    }

    /// Takes over lines of a held count, and releases it with the last of them. It is judged anew from its as-of.
    pub(super) fn release_by_hand(
        &mut self,
        id: Seq,
        held: HeldCount,
        part: Range<usize>,
    ) -> Result<Reply, Refused> {
        let last = part.end == held.lines.len();
        let HeldCount { measure, lines, by_hand, .. } = held;
        let lines = lines.into_iter().zip(by_hand).skip(part.start).take(part.len());
        let line = |((sku, location, quantity), (as_of, note))| HandLine {
            sku,
            location,
            quantity,
            as_of,
            note,
            line: None,
        };
        let lines = lines.map(line).collect();
        let by = Counter::Person;
        let count = ByHand { by, measure, lines, opening: false, believed: true };
        let (judged, left_out) = judge(self.state, &count, self.now)?;
        let tally = tally(&judged, left_out);
        self.take_over_by_hand(&count, judged)?;
        if last {
            self.emit(Record::Unheld { id, released: true });
        }
        let (changed, deferred) = (tally.changed, tally.left_out.len());
        Ok(Reply::Counted { changed, deferred, held: None, unknown: 0 })
    }
}

/// Returns what a count by a person says of the past of a place, where none but people count.
pub(super) fn by_hand(state: &State, sku: &Sku, location: &LocationId) -> Option<LastCount> {
    let policies = state.policies()?;
    let place = state.skus.get(state.canonical(sku))?.place(location)?;
    place.by_hand.filter(|_| policies.counter_of(location).is_none())
}

/// Returns what takes back the part of an entry that the count by a person had taken in: a shipment from before the
/// count, told of after it, was missing on the shelf already.
pub(super) fn had(state: &State, entry: &Entry, when: When) -> Result<Option<Entry>, Overflow> {
    let Some(count) = by_hand(state, &entry.sku, &entry.location) else { return Ok(None) };
    let quantity = in_count(count, entry.kind, entry.quantity, when).neg()?;
    if quantity.is_zero() {
        return Ok(None);
    }
    let after = book(entry.after, Kind::InCount, quantity)?;
    Ok(Some(Entry { kind: Kind::InCount, quantity, after, ..entry.clone() }))
}
