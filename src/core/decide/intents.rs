//! What a person wants of several listings or places at once: opened, cancelled, received. [`drive`] carries it on.

mod drive;
pub mod plan;

use std::collections::BTreeSet;

use crate::{
    core::{
        State,
        command::{Refused, Reply},
        decide::Draft,
        intent::{
            self, Change, Event, Intent, Line, Phase, Undone, Way,
            ask::{Ask, ROWS_MAX, Receipt, What},
        },
        ledger::{Cause, Entry, Kind, book},
        record::Record,
        state::{Listing, ListingRef},
        wrong::refused,
    },
    model::{LocationId, Quantity, Seq, Sku, counted, which},
};

use drive::raised;
use plan::{Plan, falls, plan};

/// How many intents may be open at a time.
const OPEN_MAX: usize = 1_000;
/// How many listings one intent may change: all of them are in one record.
const LISTINGS_MAX: usize = 20_000;

/// One movement at one place.
struct Booking {
    sku: Sku,
    location: LocationId,
    kind: Kind,
    quantity: Quantity,
    note: String,
}

/// Works out what an intent would do, without recording anything.
pub fn judge(state: &State, ask: &Ask) -> Result<Plan, Refused> {
    let policies = state.policies().ok_or(Refused::NotConfigured)?;
    if state.initialised.is_none() {
        return Err(Refused::NotInitialised);
    }
    if ask.rows.len() > ROWS_MAX {
        return Err(Refused::TooMany { rows: ask.rows.len(), most: ROWS_MAX });
    }
    let plan = plan(state, policies, ask).map_err(|wrong| refused(&wrong))?;
    if plan.lines.is_empty() {
        return Err(Refused::Wrong("there are no rows".to_owned()));
    }
    if plan.shown.len() > LISTINGS_MAX {
        return Err(Refused::TooMany { rows: plan.shown.len(), most: LISTINGS_MAX });
    }
    Ok(plan)
}

/// Finds the intent that the same request has opened. One that goes by the same name and wants something else is refused:
/// nothing would come of it.
pub fn asked_before(state: &State, ask: &Ask) -> Result<Option<(Seq, Phase)>, Refused> {
    let Some(wanted) = &ask.request else { return Ok(None) };
    let same = |(_, held): &(&Seq, &Intent)| held.request.as_ref() == Some(wanted);
    let Some((id, held)) = state.intents.iter().find(same) else { return Ok(None) };
    let of_lines = || held.lines.iter().all(|line| ask.rows.iter().any(|row| wants(state, &row.what, line)));
    if held.asked.map_or_else(of_lines, |asked| asked == ask.digest()) {
        return Ok(Some((*id, held.phase)));
    }
    let why = format!(
        "`{wanted}` is intent {id}, which wanted something else, so nothing was done; if this is another change, give it another \
         id; what that one did: `evenkeel commits --intent {id}`"
    );
    Err(Refused::NotSo(why))
}

/// Tells whether a line of an intent may have come of what is asked. That much is known of an intent of an older journal only.
fn wants(state: &State, what: &What, line: &Line) -> bool {
    // A listing under another name is meant where there is none under this one that may be written.
    let means = |sku: &Sku, listing: &ListingRef| {
        let writable = |own: &ListingRef| state.listing(own).is_some_and(Listing::writable);
        let elsewhere = || {
            let channel = state.listing(listing).map(|held| &held.channel);
            channel.is_some_and(|channel| !state.listed(sku, channel).iter().any(writable))
        };
        *sku == listing.sku || (state.canonical(sku) == state.canonical(&listing.sku) && elsewhere())
    };
    match (what, line) {
        (What::Set { sku, channel, most }, Line::Allot { listing, after, .. }) => {
            let on = state.listing(listing).is_some_and(|held| held.channel == *channel);
            on && means(sku, listing) && most == after
        }
        (What::Shift { sku, from, to, .. }, Line::Allot { listing, .. }) => {
            let on = state.listing(listing).is_some_and(|held| [from, to].contains(&&held.channel));
            on && means(sku, listing)
        }
        (
            What::Move { sku, quantity, from, to },
            Line::Move { sku: moved, quantity: units, from: left, to: came, .. },
        ) => state.canonical(sku) == moved && (quantity, from, to) == (units, left, came),
        (What::Set { .. } | What::Shift { .. }, Line::Move { .. })
        | (What::Move { .. }, Line::Allot { .. }) => false,
    }
}

/// Finds the intent that a text means: its id, or the name that its request gave it.
pub fn named(state: &State, text: &str) -> Result<Option<Seq>, Refused> {
    let id = text.parse().ok().map(Seq).filter(|id| state.intents.contains_key(id));
    let same = |(_, held): &(&Seq, &Intent)| held.request.as_deref() == Some(text);
    let by_name = state.intents.iter().find(same).map(|(id, _)| *id);
    match (id, by_name) {
        (Some(id), Some(other)) if id != other => Err(Refused::NotSo(format!(
            "`{text}` is the id of one intent and the name of another one, which is intent {other}"
        ))),
        (id, by_name) => Ok(id.or(by_name)),
    }
}

impl Draft<'_> {
    pub(super) fn intend(&mut self, ask: &Ask) -> Result<Reply, Refused> {
        if let Some((id, phase)) = asked_before(self.state, ask)? {
            return Ok(Reply::Intent { id, phase, again: true });
        }
        let plan = judge(self.state, ask)?;
        let open = self.state.intents.values().filter(|intent| !intent.phase.ended()).count();
        if open >= OPEN_MAX {
            return Err(Refused::NotSo(format!("{open} intents are open, and no more may be")));
        }
        if let Some(why) = plan.brake.filter(|_| !ask.confirmed) {
            return Err(Refused::Braked(why));
        }
        Ok(self.open(ask, plan.lines, plan.draws))
    }

    /// Records an intent, and lowers what must fall. `draws`: what shows the units that leave must have fallen as well, for
    /// whatever reason it is to fall.
    fn open(&mut self, ask: &Ask, lines: Vec<Line>, draws: Vec<ListingRef>) -> Reply {
        let id = self.seq;
        let intent = Intent {
            lines,
            travels: ask.travels,
            seen_is_enough: ask.seen_is_enough,
            until: ask.until,
            note: ask.note.clone(),
            request: ask.request.clone(),
            asked: ask.request.is_some().then(|| ask.digest()),
            phase: Phase::Lowering,
            opened_at: self.now,
            since: self.now,
            undone: None,
            legs: Vec::new(),
        };
        let mut bookings = Vec::new();
        let mut rows = Vec::new();
        for line in &intent.lines {
            match line {
                Line::Allot { listing, before, after } if falls(*before, *after) => {
                    rows.push((listing.clone(), *after));
                }
                Line::Allot { .. } => {}
                Line::Move { quantity, .. } => bookings.extend(leaving(line, *quantity)),
            }
        }
        let mut also: Vec<ListingRef> = rows.iter().map(|(listing, _)| listing.clone()).collect();
        also.extend(draws.into_iter().filter(|listing| self.may_fall(listing)));
        let skus = skus_of(&intent.lines);
        self.emit(Record::Intent { id, change: Change::Opened(Box::new(intent)) });
        self.make(id, bookings, rows, &skus, Way::Lower, also);
        self.drive(id);
        let phase = self.state.intents.get(&id).map_or(Phase::Done, |intent| intent.phase);
        Reply::Intent { id, phase, again: false }
    }

    /// Books and allots, passes the change on to the listings, and has the intent wait for those.
    fn make(
        &mut self,
        id: Seq,
        bookings: Vec<Booking>,
        rows: Vec<(ListingRef, Option<Quantity>)>,
        skus: &BTreeSet<Sku>,
        way: Way,
        also: Vec<ListingRef>,
    ) {
        let from = self.records.len();
        self.book_transfer(id, bookings);
        if !rows.is_empty() {
            self.emit(Record::Allotted { rows });
        }
        self.refresh_with_users(skus, self.now);
        self.await_listings(id, way, from, also);
    }

    fn book_transfer(&mut self, id: Seq, bookings: Vec<Booking>) {
        let mut entries: Vec<Entry> = Vec::new();
        for Booking { sku, location, kind, quantity, note } in
            bookings.into_iter().filter(|b| !b.quantity.is_zero())
        {
            let earlier = entries.iter().rfind(|entry| entry.sku == sku && entry.location == location);
            let held = earlier.map(|entry| entry.after).or_else(|| {
                let row = self.state.skus.get(&sku)?;
                row.place(&location).map(|place| place.stock)
            });
            // Amounts are bounded where they come from, so that balances stay far from what a number holds.
            let Ok(after) = book(held.unwrap_or_default(), kind, quantity) else { continue };
            let cause = Cause::Intent { intent: id, note };
            entries.push(Entry { sku, location, kind, quantity, cause, event_at: self.now, after });
        }
        if !entries.is_empty() {
            self.emit(Record::Adjusted { entries });
        }
    }

    /// Rolls an intent back that has not raised anything yet.
    pub(super) fn cancel_intent(&mut self, id: Seq) -> Result<Reply, Refused> {
        let held = self.intent(id)?;
        match held.phase {
            Phase::Lowering => {}
            Phase::InTransit if !held.touched() => {}
            Phase::InTransit => {
                return Err(Refused::NotSo(format!(
                    "some of {id} has arrived, so it cannot be cancelled; receive the rest, or write it off"
                )));
            }
            phase @ (Phase::Raising | Phase::Done | Phase::RollingBack | Phase::RolledBack) => {
                return Err(Refused::NotSo(format!(
                    "{id} is {} and cannot be cancelled any more",
                    phase.name()
                )));
            }
        }
        self.undo(id, Undone::Cancelled);
        let phase = self.state.intents.get(&id).map_or(Phase::RolledBack, |intent| intent.phase);
        Ok(Reply::Intent { id, phase, again: false })
    }

    /// Takes in units that have come to where they were sent.
    pub(super) fn receive(&mut self, id: Seq, receipt: &Receipt) -> Result<Reply, Refused> {
        let held = self.intent(id)?.clone();
        if !held.travels {
            return Err(Refused::NotSo(format!(
                "the units of {id} do not travel, so none are to be received"
            )));
        }
        if let Some(sku) = receipt.sku.as_ref().filter(|sku| !self.state.skus.contains_key(*sku)) {
            return Err(Refused::Unknown(format!("there is no SKU `{sku}`")));
        }
        match held.phase {
            Phase::InTransit => {}
            Phase::Lowering => {
                return Err(Refused::NotSo(format!(
                    "{id} still lowers what the place that sends may sell, so nothing may rise yet; \
                     `evenkeel commits --intent {id}` shows what it waits for"
                )));
            }
            phase @ (Phase::Raising | Phase::Done | Phase::RollingBack | Phase::RolledBack) => {
                return Err(Refused::NotSo(format!("{id} is {}: nothing is on the way", phase.name())));
            }
        }
        let sku = receipt.sku.as_ref().map(|sku| self.state.canonical(sku).clone());
        let lines = chosen(id, &held, &Receipt { sku, ..receipt.clone() })?;
        let mut bookings = Vec::new();
        for (n, received, lost) in &lines {
            let line = usize::try_from(*n).ok().and_then(|n| held.lines.get(n));
            let Some(Line::Move { sku, to, .. }) = line else { continue };
            for (kind, quantity) in [(Kind::TransferIn, *received), (Kind::TransferLost, *lost)] {
                let (sku, location, note) = (sku.clone(), to.clone(), receipt.note.clone());
                bookings.push(Booking { sku, location, kind, quantity, note });
            }
        }
        let last = {
            self.emit(Record::Intent { id, change: Change::Received(lines) });
            self.intent(id)?.arrived()
        };
        if last {
            self.move_on(id, Event::Arrived, None);
            self.make(id, bookings, raised(&held.lines), &skus_of(&held.lines), Way::Raise, Vec::new());
            self.drive(id);
        } else {
            let skus: BTreeSet<Sku> = bookings.iter().map(|booking| booking.sku.clone()).collect();
            self.book_transfer(id, bookings);
            self.refresh_with_users(&skus, self.now);
        }
        let phase = self.state.intents.get(&id).map_or(Phase::Done, |intent| intent.phase);
        Ok(Reply::Intent { id, phase, again: false })
    }

    /// Returns the lines of intents whose units had left one of these places, of which a count tells now. A count that was
    /// read before they left waits for the next one.
    pub(super) fn had_left(&self, told: &BTreeSet<(Sku, LocationId)>) -> Vec<(Seq, u32)> {
        intent::left(self.state, |_, line| match line {
            Line::Move { sku, from, counted, .. } => !counted && told.contains(&(sku.clone(), from.clone())),
            Line::Allot { .. } => false,
        })
    }

    fn intent(&self, id: Seq) -> Result<&Intent, Refused> {
        self.state.intents.get(&id).ok_or_else(|| Refused::Nothing(format!("intent `{id}`")))
    }
}

/// Returns what a receipt says of each line that it concerns: line, received, lost.
fn chosen(id: Seq, held: &Intent, receipt: &Receipt) -> Result<Vec<(u32, Quantity, Quantity)>, Refused> {
    let concerns = |line: &Line| match line {
        Line::Move { sku, from, to, .. } => {
            receipt.sku.as_ref().is_none_or(|wanted| wanted == sku)
                && receipt.from.as_ref().is_none_or(|wanted| wanted == from)
                && receipt.to.as_ref().is_none_or(|wanted| wanted == to)
        }
        Line::Allot { .. } => false,
    };
    let open = held.lines.iter().zip(0..).filter(|(line, _)| concerns(line) && !line.on_the_way().is_zero());
    let open: Vec<(&Line, u32)> = open.collect();
    if open.is_empty() {
        return Err(Refused::NotSo(format!("no such units of {id} are on the way")));
    }
    let Some(quantity) = receipt.quantity else {
        let all = |(line, n): (&Line, u32)| {
            let left = line.on_the_way();
            if receipt.lost { (n, Quantity::ZERO, left) } else { (n, left, Quantity::ZERO) }
        };
        return Ok(open.into_iter().map(all).collect());
    };
    let way = |line: &Line| match line {
        Line::Move { sku, from, to, .. } => Some((sku.clone(), from.clone(), to.clone())),
        Line::Allot { .. } => None,
    };
    let ways: BTreeSet<_> = open.iter().filter_map(|(line, _)| way(line)).collect();
    let Some((sku, ..)) = ways.first().filter(|_| ways.len() == 1) else {
        return Err(Refused::NotSo(format!(
            "{} lines of {id} are on the way: name the SKU, and with --from and --to the places if it comes from several or goes to \
             several",
            open.len()
        )));
    };
    let sum = |sum: Quantity, (line, _): &(&Line, u32)| sum.add(line.on_the_way());
    let left = open.iter().try_fold(Quantity::ZERO, sum);
    let left = left.map_err(|_| Refused::OutOfRange(format!("what is on the way of {sku}")))?;
    if quantity <= Quantity::ZERO || quantity > left {
        let (units, are) = (counted(left, "unit"), which(left, "is", "are"));
        return Err(Refused::NotSo(format!(
            "{units} of `{sku}` {are} on the way; what came beyond that is for a count to tell"
        )));
    }
    // Several lines that say the same are one after the other.
    let mut more = quantity;
    let mut all = Vec::new();
    for (line, n) in open {
        let came = line.on_the_way().min(more);
        more = more.sub(came).unwrap_or_default();
        let rest = line.on_the_way().sub(came).unwrap_or_default();
        let lost = if receipt.lost { rest } else { Quantity::ZERO };
        all.push((n, came, lost));
    }
    all.retain(|(_, came, lost)| !came.is_zero() || !lost.is_zero());
    Ok(all)
}

fn skus_of(lines: &[Line]) -> BTreeSet<Sku> {
    lines.iter().map(|line| line.sku().clone()).collect()
}

/// Returns the movements by which units leave a place for another; below zero takes them back.
fn leaving(line: &Line, quantity: Quantity) -> Vec<Booking> {
    let Line::Move { sku, from, to, .. } = line else { return Vec::new() };
    let at = |location: &LocationId, kind| Booking {
        sku: sku.clone(),
        location: location.clone(),
        kind,
        quantity,
        note: String::new(),
    };
    vec![at(from, Kind::TransferOut), at(to, Kind::Incoming)]
}
