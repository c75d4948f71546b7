//! The story of a SKU, or of an order, from the journal alone.
//!
//! Takes the records one after another and keeps what concerns its subject: what was booked, what followed from it, what
//! was written and seen where, and whose doing it is if units were sold that are not there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    core::{
        allocation::Pause,
        drift::Drifted,
        ledger::{Cause, Entry},
        leg::Leg,
        named::{fewest, first_outlet},
        order::Order,
        oversold::Class,
        posting::PostState,
        recipe::{Made, Recipes},
        record::{Envelope, PauseScope, Record, Why},
        state::ListingRef,
    },
    model::{
        ChannelId, Identifiers, OrderKey, Policies, Quantity, Revision, Seq, Sku, Timestamp, policy::Recipe,
    },
};

/// The most facts that are kept of one story; the oldest go.
const FACTS_MAX: usize = 10_000;
/// How many changes that are not seen live are kept of one listing.
const WAITING_MAX: usize = 64;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub seq: Seq,
    pub at: Timestamp,
    pub fact: Fact,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// An order came in and changed something; pushed, or fetched.
    Came {
        order: OrderKey,
        pushed: bool,
    },
    Booked(Entry),
    /// What the listings are to show changed.
    Commit {
        sku: Sku,
        revision: Revision,
        event_at: Timestamp,
        legs: Vec<ToShow>,
    },
    Moved {
        sku: Sku,
        /// The number of the listing within the SKU.
        n: u16,
        channel: ChannelId,
        why: Why,
        leg: Option<Leg>,
        base: Option<Quantity>,
        note: Option<String>,
    },
    /// A change was seen live on a channel.
    Seen {
        sku: Sku,
        n: u16,
        channel: ChannelId,
        quantity: Quantity,
        revision: Revision,
    },
    /// A change was seen live everywhere.
    Everywhere {
        sku: Sku,
        revision: Revision,
    },
    Drift {
        listing: ListingRef,
        channel: ChannelId,
        drifted: Drifted,
        ended: bool,
    },
    Oversold {
        sku: Sku,
        units: Quantity,
        class: Class,
        beyond: bool,
        channel: Option<ChannelId>,
        late: Option<Late>,
    },
    Bound {
        listing: ListingRef,
        channel: ChannelId,
    },
    Paused {
        scope: PauseScope,
        pause: Option<Pause>,
    },
    Posting(PostState),
}

/// What a listing is to show from a commit on.
#[derive(Debug, Clone, PartialEq)]
pub struct ToShow {
    pub listing: ListingRef,
    pub channel: ChannelId,
    pub quantity: Quantity,
    /// How many units fewer that is because they are owed to what was sold at other places.
    pub owed: Quantity,
}

/// A change that was not there yet when the channel sold.
#[derive(Debug, Clone, PartialEq)]
pub struct Late {
    /// The SKU of the listing: what was sold, or something else that is made of what is missing.
    pub sku: Sku,
    /// The record that it came from.
    pub seq: Seq,
    pub at: Timestamp,
    pub quantity: Quantity,
    /// When it was sent last. `None`: not yet.
    pub sent_at: Option<Timestamp>,
}

/// A listing, with what it goes by, or went by before it was given away.
#[derive(Debug)]
struct Listed {
    channel: ChannelId,
    ids: Identifiers,
}

/// What a story is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Sku(Sku),
    Order(OrderKey),
}

/// A story as far as it was read.
#[derive(Debug)]
pub struct Story {
    subject: Subject,
    events: VecDeque<Event>,
    /// How many were left out at the beginning.
    pub forgotten: usize,
    listings: BTreeMap<ListingRef, Listed>,
    /// How the first of a channel's own locations is named there: a listing that does not say where it is, is there.
    first: BTreeMap<ChannelId, Identifiers>,
    /// Changes that are not seen live yet, for each listing, oldest first.
    waiting: BTreeMap<ListingRef, Vec<(Revision, Late)>>,
    /// Of an order: the revisions that it caused, until they are seen live.
    caused: BTreeMap<ListingRef, BTreeSet<Revision>>,
    /// What SKUs are made of by now, and what the configuration alone says of that.
    recipes: Recipes,
    configured: Vec<Recipe>,
    imported: BTreeMap<Sku, Made>,
    /// What the SKU was merged into, and that again: its story goes on as theirs.
    became: Vec<Sku>,
    found: bool,
}

impl Story {
    pub fn of(subject: Subject) -> Story {
        Story {
            subject,
            events: VecDeque::new(),
            forgotten: 0,
            listings: BTreeMap::new(),
            first: BTreeMap::new(),
            waiting: BTreeMap::new(),
            caused: BTreeMap::new(),
            recipes: Recipes::default(),
            configured: Vec::new(),
            imported: BTreeMap::new(),
            became: Vec::new(),
            found: false,
        }
    }

    /// Returns what happened, oldest first. `None`: the journal does not know the subject.
    pub fn events(&self) -> Option<impl Iterator<Item = &Event>> {
        self.found.then(|| self.events.iter())
    }

    /// Takes in one record of the journal.
    pub fn add(&mut self, seq: Seq, envelope: &Envelope) {
        // One page of a feed is one record with many orders, of which one may be meant.
        let booked =
            envelope.records.iter().flat_map(Record::entries).filter(|entry| self.is_of_order(entry));
        let booked: BTreeSet<Sku> = booked.map(|entry| entry.sku.clone()).collect();
        for record in &envelope.records {
            self.bind(record);
            self.one(seq, envelope, record, &booked);
        }
    }

    /// Tells whether the order that is meant booked an entry.
    fn is_of_order(&self, entry: &Entry) -> bool {
        matches!((&self.subject, &entry.cause), (Subject::Order(of), Cause::Order { order, .. }) if of == order)
    }

    /// Tells whether what a SKU shows follows from what was booked: it is one of these, or made of one.
    fn follows(&self, sku: &Sku, booked: &BTreeSet<Sku>) -> bool {
        let made_of = || self.recipes.flat(sku).unwrap_or_default();
        !booked.is_empty()
            && (booked.contains(sku) || made_of().iter().any(|part| booked.contains(&part.sku)))
    }

    /// Learns which channels listings are on, and what SKUs are made of, whatever the subject: an order may touch any SKU.
    fn bind(&mut self, record: &Record) {
        if let Record::Configured { policies } = record {
            self.configure(policies);
        }
        if let Record::Made { sku, made } = record {
            let configured = self.configured.iter().find(|recipe| recipe.bundle == *sku);
            match made {
                Some(made) => self.recipes.take_in(sku, made),
                None => self.recipes.set(sku, configured.map(|recipe| recipe.parts.clone())),
            }
            if let Some(Made::Merged(into)) = made
                && self.is_sku(sku)
            {
                self.became.push(into.clone());
            }
            match made {
                Some(made) => drop(self.imported.insert(sku.clone(), made.clone())),
                None => drop(self.imported.remove(sku)),
            }
        }
        if let Record::Bound { sku, at, channel, ids, .. } = record {
            let place = ListingRef { sku: sku.clone(), at: *at };
            if ids.is_empty() {
                // It is given away: nothing is shown there any more.
                self.waiting.remove(&place);
            }
            let held = self.listings.get_mut(&place);
            let new = held.is_none();
            match held {
                Some(held) => {
                    held.channel.clone_from(channel);
                    if !ids.is_empty() {
                        held.ids.clone_from(ids);
                    }
                }
                None => {
                    let listed = Listed { channel: channel.clone(), ids: ids.clone() };
                    self.listings.insert(place, listed);
                }
            }
            if new && self.is_sku(sku) {
                self.found = true;
            }
        }
    }

    fn configure(&mut self, policies: &Policies) {
        self.configured.clone_from(&policies.bundles);
        self.recipes = Recipes::collect(Some(policies), self.imported.iter());
        let first = policies.channels.iter().map(|(channel, policy)| (channel.clone(), first_outlet(policy)));
        self.first = first.filter(|(_, first)| !first.is_empty()).collect();
    }

    /// Returns the fewest identifiers that tell a listing from the others of its SKU on its channel, and whether there are others: by
    /// all that was read so far.
    pub fn name(&self, listing: &ListingRef) -> (Identifiers, bool) {
        let Some(held) = self.listings.get(listing) else { return (Identifiers::default(), false) };
        let first = self.first.get(&held.channel).cloned().unwrap_or_default();
        let of_sku = self.listings.range(ListingRef { sku: listing.sku.clone(), at: 0 }..);
        let of_sku = of_sku.take_while(|(other, _)| other.sku == listing.sku);
        let others: Vec<Identifiers> = of_sku
            .filter(|(other, of)| *other != listing && of.channel == held.channel)
            .map(|(_, of)| of.ids.and(&first))
            .collect();
        (fewest(&held.ids.and(&first), &others), !others.is_empty())
    }

    fn is_sku(&self, sku: &Sku) -> bool {
        matches!(&self.subject, Subject::Sku(of) if of == sku) || self.became.contains(sku)
    }

    /// Returns what the SKU is called now, if it became part of another one.
    pub fn now(&self) -> Option<&Sku> {
        self.became.last()
    }

    /// Tells whether the subject is made of a SKU that is stopped, or goes on. What is frozen concerns no other.
    fn stops_with(&self, part: &Sku, pause: Option<Pause>) -> bool {
        pause != Some(Pause::Frozen) && self.recipes.users(part).iter().any(|user| self.is_sku(user))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most records are no part of a story")]
    fn one(&mut self, seq: Seq, envelope: &Envelope, record: &Record, booked: &BTreeSet<Sku>) {
        let at = envelope.at;
        if !matches!(record, Record::Order { .. }) {
            let of_order = |entry: &&Entry| self.is_sku(&entry.sku) || self.is_of_order(entry);
            let mine = record.entries().iter().filter(of_order).cloned().collect();
            self.booked(seq, at, mine);
        }
        match record {
            Record::Order { key, order, entries } => {
                let mine = matches!(&self.subject, Subject::Order(of) if of == key);
                self.order(seq, envelope, (key, order), entries, mine);
            }
            Record::Commit { sku, revision, event_at, legs, owed } => {
                let follows = self.follows(sku, booked);
                let mine = self.is_sku(sku) || follows;
                let place = |at: u16| ListingRef { sku: sku.clone(), at };
                for (n, leg) in legs {
                    self.wait(seq, at, place(*n), *revision, leg, follows);
                }
                if mine {
                    let legs = self.to_show(sku, legs, owed);
                    let (sku, revision, event_at) = (sku.clone(), *revision, *event_at);
                    self.tell(seq, at, Fact::Commit { sku, revision, event_at, legs });
                }
            }
            Record::Moved { listing, why, leg, writes, note } => {
                self.moved(seq, at, listing, *why, leg.as_ref(), writes, note.as_ref());
            }
            Record::Committed { sku, revision } if self.is_sku(sku) => {
                self.tell(seq, at, Fact::Everywhere { sku: sku.clone(), revision: *revision });
            }
            Record::Drift { listing, found: Some(drifted), .. } if self.is_sku(&listing.sku) => {
                self.drift(seq, at, listing, drifted, false);
            }
            Record::DriftEnded { listing, drifted } if self.is_sku(&listing.sku) => {
                self.drift(seq, at, listing, drifted, !drifted.is_open());
            }
            Record::Oversold { sku, units, class, beyond, channel, cause, .. } => {
                let sold = envelope.records.iter().find_map(|record| sold_by(record, cause));
                if self.is_sku(sku) || booked.contains(sku) || sold.is_some_and(|sold| self.is_sku(sold)) {
                    let late = channel.as_ref().and_then(|channel| self.late(sku, sold, channel, seq));
                    let (sku, channel, beyond) = (sku.clone(), channel.clone(), *beyond);
                    let (units, class) = (*units, *class);
                    self.tell(seq, at, Fact::Oversold { sku, units, class, beyond, channel, late });
                }
            }
            Record::Bound { sku, at: place, channel, .. } if self.is_sku(sku) => {
                let listing = ListingRef { sku: sku.clone(), at: *place };
                self.tell(seq, at, Fact::Bound { listing, channel: channel.clone() });
            }
            Record::Paused { scope, pause } => {
                let mine = match (scope, &self.subject) {
                    (PauseScope::Sku(sku), _) => self.is_sku(sku) || self.stops_with(sku, *pause),
                    (PauseScope::Channel(of), Subject::Sku(sku)) => {
                        self.listings.iter().any(|(place, held)| place.sku == *sku && held.channel == *of)
                    }
                    (PauseScope::Channel(_), Subject::Order(_)) => false,
                };
                if mine {
                    self.tell(seq, at, Fact::Paused { scope: scope.clone(), pause: *pause });
                }
            }
            Record::Posting { key, posting } if matches!(&self.subject, Subject::Order(of) if of == key) => {
                self.tell(seq, at, Fact::Posting(posting.clone()));
            }
            _ => {}
        }
    }

    /// Tells of an order and of what it booked. What is sold as a bundle is booked on what that is made of, and is a part of the
    /// story of both.
    fn order(
        &mut self,
        seq: Seq,
        envelope: &Envelope,
        (key, order): (&OrderKey, &Order),
        entries: &[Entry],
        mine: bool,
    ) {
        let sold = |entry: &Entry| sold_as(order, &entry.cause).is_some_and(|sku| self.is_sku(sku));
        let told = entries.iter().filter(|entry| mine || self.is_sku(&entry.sku) || sold(entry));
        let told: Vec<Entry> = told.cloned().collect();
        if mine || !told.is_empty() {
            let pushed = envelope.records.iter().any(|r| matches!(r, Record::Delivered { .. }));
            self.tell(seq, envelope.at, Fact::Came { order: key.clone(), pushed });
        }
        self.booked(seq, envelope.at, told);
    }

    fn tell(&mut self, seq: Seq, at: Timestamp, fact: Fact) {
        self.found = true;
        if self.events.len() >= FACTS_MAX {
            self.events.pop_front();
            self.forgotten += 1;
        }
        self.events.push_back(Event { seq, at, fact });
    }

    fn channel(&self, listing: &ListingRef) -> Option<ChannelId> {
        self.listings.get(listing).map(|held| held.channel.clone())
    }

    fn to_show(&self, sku: &Sku, legs: &[(u16, Leg)], owed: &[(u16, Quantity)]) -> Vec<ToShow> {
        let owed_of =
            |n: u16| owed.iter().find(|(of, _)| *of == n).map_or(Quantity::ZERO, |(_, units)| *units);
        let legs = legs.iter().filter_map(|(n, leg)| {
            let listing = ListingRef { sku: sku.clone(), at: *n };
            let channel = self.channel(&listing)?;
            Some(ToShow { listing, channel, quantity: leg.quantity, owed: owed_of(*n) })
        });
        legs.collect()
    }

    fn booked(&mut self, seq: Seq, at: Timestamp, entries: Vec<Entry>) {
        for entry in entries {
            self.tell(seq, at, Fact::Booked(entry));
        }
    }

    /// Tells whether what listings of a SKU show may be a part of the story: what is missing may have been sold as a part of it.
    fn concerns(&self, sku: &Sku) -> bool {
        let Subject::Sku(of) = &self.subject else { return true };
        let holds = || self.recipes.flat(sku).is_ok_and(|parts| parts.iter().any(|part| part.sku == *of));
        of == sku || (self.recipes.direct(sku).is_some() && holds())
    }

    /// Notes a change that is to be seen live on a listing.
    fn wait(
        &mut self,
        seq: Seq,
        at: Timestamp,
        listing: ListingRef,
        revision: Revision,
        leg: &Leg,
        mine: bool,
    ) {
        if mine {
            self.caused.entry(listing.clone()).or_default().insert(revision);
        }
        if !mine && !self.concerns(&listing.sku) {
            return;
        }
        let late = Late { sku: listing.sku.clone(), seq, at, quantity: leg.quantity, sent_at: None };
        let waiting = self.waiting.entry(listing).or_default();
        // The oldest one explains most.
        if waiting.len() < WAITING_MAX {
            waiting.push((revision, late));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one record")]
    fn moved(
        &mut self,
        seq: Seq,
        at: Timestamp,
        listing: &ListingRef,
        why: Why,
        leg: Option<&Leg>,
        writes: &crate::core::leg::Writes,
        note: Option<&String>,
    ) {
        let Some(channel) = self.channel(listing) else { return };
        let seen = writes.confirmed;
        if why == Why::Sending
            && let Some(sent) = leg.and_then(Leg::sent)
            && let Some(waiting) = self.waiting.get_mut(listing)
        {
            let sent_now = waiting.iter_mut().filter(|(revision, _)| *revision <= sent.revision);
            sent_now.for_each(|(_, late)| late.sent_at = Some(sent.at));
        }
        if let (Some(seen), Some(waiting)) = (seen, self.waiting.get_mut(listing)) {
            waiting.retain(|(revision, _)| *revision > seen.revision);
            if waiting.is_empty() {
                self.waiting.remove(listing);
            }
        }
        // A newer change takes along what the order caused, when it is sent; how it fares else is not the order's.
        let carries =
            |leg: &Leg| why == Why::Sending || why == Why::Seen || self.is_caused(listing, leg.revision);
        let waits = self.caused.get(listing).is_some_and(|caused| !caused.is_empty());
        let mine = waits && leg.is_some_and(carries);
        if !mine && !self.is_sku(&listing.sku) {
            return;
        }
        let (sku, n) = (listing.sku.clone(), listing.at);
        if why == Why::Seen
            && let Some(seen) = seen
        {
            if let Some(caused) = self.caused.get_mut(listing) {
                caused.retain(|revision| *revision > seen.revision);
            }
            let (quantity, revision) = (seen.quantity, seen.revision);
            return self.tell(seq, at, Fact::Seen { sku, n, channel, quantity, revision });
        }
        let (leg, base, note) = (leg.cloned(), writes.base, note.cloned());
        self.tell(seq, at, Fact::Moved { sku, n, channel, why, leg, base, note });
    }

    fn is_caused(&self, listing: &ListingRef, revision: Revision) -> bool {
        self.caused.get(listing).is_some_and(|caused| caused.contains(&revision))
    }

    fn drift(&mut self, seq: Seq, at: Timestamp, listing: &ListingRef, drifted: &Drifted, ended: bool) {
        if let Some(channel) = self.channel(listing) {
            let listing = listing.clone();
            self.tell(seq, at, Fact::Drift { listing, channel, drifted: drifted.clone(), ended });
        }
    }

    /// Returns the oldest change that a channel did not show yet, of those from before a record: of what was sold there, or
    /// else of whatever is made of what is missing.
    fn late(&self, sku: &Sku, sold: Option<&Sku>, channel: &ChannelId, before: Seq) -> Option<Late> {
        let of_sold = sold.and_then(|sold| self.late_of(sold, channel, before));
        let of_others = || {
            let users = self.recipes.users(sku);
            let all = std::iter::once(sku).chain(&users);
            all.filter_map(|sku| self.late_of(sku, channel, before)).min_by_key(|late| late.seq)
        };
        of_sold.or_else(of_others)
    }

    fn late_of(&self, sku: &Sku, channel: &ChannelId, before: Seq) -> Option<Late> {
        let from = ListingRef { sku: sku.clone(), at: 0 };
        let of_sku = self.waiting.range(from..).take_while(|(place, _)| place.sku == *sku);
        let here =
            of_sku.filter(|(place, _)| self.listings.get(place).is_some_and(|held| held.channel == *channel));
        let late = here.flat_map(|(_, waiting)| waiting).map(|(_, late)| late);
        late.filter(|late| late.seq < before).min_by_key(|late| late.seq).cloned()
    }
}

/// Returns the SKU that a line of an order was sold as: a bundle, where the cause is of what that is made of.
fn sold_as<'a>(order: &'a Order, cause: &Cause) -> Option<&'a Sku> {
    let Cause::Order { line, .. } = cause else { return None };
    order.lines.get(line)?.bound.as_ref().map(|bound| &bound.sku)
}

/// Like [`sold_as`], if a record is of the cause's order.
fn sold_by<'a>(record: &'a Record, cause: &Cause) -> Option<&'a Sku> {
    match (record, cause) {
        (Record::Order { key, order, .. }, Cause::Order { order: of, .. }) if key == of => {
            sold_as(order, cause)
        }
        _ => None,
    }
}
