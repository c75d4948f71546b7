//! What an intent would do, worked out on copies of the rows that it touches. Pure: the same is asked by a dry run.

mod names;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        State,
        allocation::{
            Pause,
            shelves::{Shelves, sellers, unmet},
        },
        count::{Change, fewest_held, held_by},
        decide::listing::{pause_of, should_show},
        index::Index,
        intent::{
            Intent, Line, Moving,
            ask::{Ask, What},
        },
        ledger::Stock,
        leg,
        order::Still,
        state::{Listing, ListingRef, SkuRow},
        wrong::{Why, Wrong},
    },
    model::{
        ChannelId, LocationId, Policies, Quantity, Seq, Sku, counted, policy::ChannelPolicy, shell, which,
    },
};

/// What an intent would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub lines: Vec<Line>,
    /// What the places that units go between have, line by line.
    pub moves: Vec<Moves>,
    /// The listings that would show something else, or may show less.
    pub shown: Vec<Shown>,
    /// The listings of what leaves a place, and of all that is made of it, which may show what lies there: what they show too much
    /// must have fallen. A shop that was pointed elsewhere shows yet what it sold from there before.
    pub draws: Vec<ListingRef>,
    /// What is worth to be known before it is done.
    pub notes: Vec<String>,
    /// Why the brake holds it, if it does.
    pub brake: Option<String>,
}

/// Units that would go from one place to another, after the lines before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moves {
    pub sku: Sku,
    pub quantity: Quantity,
    pub from: AtPlace,
    pub to: AtPlace,
}

/// What a place has before units go, and once they have arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtPlace {
    pub location: LocationId,
    pub before: Stock,
    pub after: Stock,
}

impl AtPlace {
    fn of([before, after]: [&SkuRow; 2], location: &LocationId) -> AtPlace {
        let stock = |row: &SkuRow| row.place(location).map(|place| place.stock).unwrap_or_default();
        AtPlace { location: location.clone(), before: stock(before), after: stock(after) }
    }
}

/// What one listing shows, and would show. `None`: it is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub listing: ListingRef,
    pub channel: ChannelId,
    /// What was seen there last, if a drift waits for a person, or else what it is to show. It is only told.
    pub shows: Option<Quantity>,
    pub before: Option<Quantity>,
    /// Until everything that must fall has fallen.
    pub lowered: Option<Quantity>,
    pub after: Option<Quantity>,
}

impl Shown {
    pub fn lowers(&self) -> bool {
        self.lowered < self.before
    }

    pub fn raises(&self) -> bool {
        self.after > self.lowered
    }
}

/// Works out what an intent would do, or everything that is wrong with it.
pub fn plan(state: &State, policies: &Policies, ask: &Ask) -> Result<Plan, Vec<Wrong>> {
    let mut planning = Planning::new(state, policies, ask);
    let mut wrong = Vec::new();
    for row in &ask.rows {
        let done = planning.row(&row.what);
        wrong.extend(done.err().map(|why| Wrong { line: row.line, why }));
        // What is merged is concerned by whichever of its names.
        for name in state.names_of(sku_of(&row.what)) {
            planning.lines_of.entry(name).or_insert(row.line);
        }
    }
    if wrong.is_empty() {
        wrong = planning.show();
    }
    if wrong.is_empty() { Ok(planning.plan()) } else { Err(wrong) }
}

/// Tells whether a limit falls. None is the highest.
pub(super) fn falls(before: Option<Quantity>, after: Option<Quantity>) -> bool {
    match (before, after) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(before), Some(after)) => after < before,
    }
}

/// Returns what a listing with a drift that waits for a person shows, as far as is known: what was found there, until a lower of ours
/// was seen to go over that.
fn drifted_to(held: &Listing) -> Option<Quantity> {
    let drift = held.drift.as_deref().filter(|drift| drift.is_open())?;
    if !held.ours_since(drift) {
        return Some(drift.observed);
    }
    let looked = || held.writes.look.as_ref().and_then(|look| look.shown().ok());
    looked().or(held.writes.base).or(held.writes.confirmed.map(|ours| ours.quantity))
}

fn sku_of(what: &What) -> &Sku {
    match what {
        What::Set { sku, .. } | What::Shift { sku, .. } | What::Move { sku, .. } => sku,
    }
}

fn bad<T>(why: String) -> Result<T, Why> {
    Err(Why::Bad(why))
}

fn no_sku(sku: &Sku) -> Why {
    Why::Unknown(format!("there is no SKU `{sku}`"))
}

struct Planning<'a> {
    state: &'a State,
    policies: &'a Policies,
    ask: &'a Ask,
    plan: Plan,
    /// The rows as they would be once everything has fallen, and in the end.
    rows: BTreeMap<Sku, (SkuRow, SkuRow)>,
    lines_of: BTreeMap<Sku, Option<u64>>,
    /// Listings that this intent sets, and those that another has set and not ended with.
    set: BTreeSet<ListingRef>,
    taken: BTreeMap<ListingRef, Seq>,
}

impl<'a> Planning<'a> {
    fn new(state: &'a State, policies: &'a Policies, ask: &'a Ask) -> Planning<'a> {
        let open = state.intents.iter().filter(|(_, intent)| !intent.phase.ended());
        let lines = open.flat_map(|(id, intent)| intent.lines.iter().map(move |line| (*id, line)));
        let taken = lines.filter_map(|(id, line)| match line {
            Line::Allot { listing, .. } => Some((listing.clone(), id)),
            Line::Move { .. } => None,
        });
        Planning {
            state,
            policies,
            ask,
            plan: Plan::default(),
            rows: BTreeMap::new(),
            lines_of: BTreeMap::new(),
            set: BTreeSet::new(),
            taken: taken.collect(),
        }
    }

    fn plan(self) -> Plan {
        self.plan
    }

    fn rows(&mut self, sku: &Sku) -> Result<&mut (SkuRow, SkuRow), Why> {
        let held = self.state.skus.get(sku).ok_or_else(|| no_sku(sku))?;
        Ok(self.rows.entry(sku.clone()).or_insert_with(|| (held.clone(), held.clone())))
    }

    fn row(&mut self, what: &What) -> Result<(), Why> {
        if let Some(renamed) = self.state.renamed(sku_of(what)) {
            self.note(renamed);
        }
        match what {
            What::Set { sku, channel, most } => {
                let listings = self.listings(sku, channel)?;
                if listings.len() > 1 {
                    let count = listings.len();
                    self.note(format!("`{sku}` has {count} listings on `{channel}`: each is set"));
                }
                self.note_names(sku, channel);
                listings.into_iter().try_for_each(|listing| self.allot(listing, *most))
            }
            What::Shift { sku, quantity, from, to } => self.shift(sku, *quantity, from, to),
            What::Move { sku, quantity, from, to } => {
                let now = self.state.canonical(sku);
                self.go(now, *quantity, from, to)
            }
        }
    }

    fn note(&mut self, note: String) {
        const NOTES: usize = 100;
        if self.plan.notes.len() < NOTES && !self.plan.notes.contains(&note) {
            self.plan.notes.push(note);
        }
    }

    fn channel(&self, channel: &ChannelId) -> Result<&'a ChannelPolicy, Why> {
        let policy = self.policies.channels.get(channel);
        let policy = policy.ok_or_else(|| Why::Unknown(format!("channel `{channel}` is not configured")))?;
        if !policy.abilities.quantities {
            return bad(format!("no quantities are written to `{channel}`"));
        }
        Ok(policy)
    }

    fn allot(&mut self, listing: ListingRef, after: Option<Quantity>) -> Result<(), Why> {
        let Some(held) = self.state.listing(&listing) else { return Ok(()) };
        let (sku, channel, before) = (&listing.sku, &held.channel, held.allotted);
        if after.is_some_and(|most| most < Quantity::ZERO || most.units() > Quantity::LIMIT) {
            return bad(format!("a listing can show from 0 to {} units", Quantity::LIMIT));
        }
        if let Some(id) = self.taken.get(&listing) {
            let helps = self.helps(*id, &listing, held);
            return bad(format!("`{sku}` on `{channel}` is being changed by {id}; {helps}"));
        }
        if !self.set.insert(listing.clone()) {
            return bad(format!("`{sku}` on `{channel}` is named twice"));
        }
        if pause_of(self.state, &self.state.skus[sku], held) == Some(Pause::Frozen) {
            return bad(format!("`{sku}` on `{channel}` is frozen, so nothing is written; resume it first"));
        }
        let at = usize::from(listing.at);
        let (low, high) = self.rows(&listing.sku)?;
        if falls(before, after) {
            low.listings[at].allotted = after;
        }
        high.listings[at].allotted = after;
        self.plan.lines.push(Line::Allot { listing, before, after });
        Ok(())
    }

    /// Says what frees a listing that another intent sets. One that raises is not cancelled any more.
    fn helps(&self, id: Seq, listing: &ListingRef, held: &Listing) -> String {
        if self.state.intents.get(&id).is_none_or(Intent::may_be_undone) {
            return format!("wait for it, or `evenkeel commits cancel {id}`");
        }
        if !matches!(held.leg.as_ref().map(|leg| &leg.state), Some(leg::State::Parked { .. })) {
            return "wait for it".to_owned();
        }
        let letter = format!("leg:{}:{}:{}", held.channel, listing.sku, listing.at);
        let letter = shell(&letter);
        format!(
            "it waits for a dead letter there: `evenkeel dead-letters retry {letter}`, or `evenkeel dead-letters discard {letter}`"
        )
    }

    fn shift(&mut self, sku: &Sku, quantity: Quantity, from: &ChannelId, to: &ChannelId) -> Result<(), Why> {
        positive(quantity)?;
        if from == to {
            return bad(format!("`{from}` is named as both ends"));
        }
        let (source, target) = (self.one(sku, from)?, self.one(sku, to)?);
        let (has, gets) = (self.allotment(&source)?, self.allotment(&target)?);
        if quantity > has {
            let units = counted(has, "unit");
            return bad(format!("`{sku}` may show only {units} on `{from}`"));
        }
        let out_of_range = |_| format!("quantity out of range for `{sku}`");
        self.allot(source, Some(has.sub(quantity).map_err(out_of_range)?))?;
        self.allot(target, Some(gets.add(quantity).map_err(out_of_range)?))
    }

    /// Returns the most that a listing may show: its allotment, or what it shows if it has none.
    fn allotment(&mut self, listing: &ListingRef) -> Result<Quantity, Why> {
        let held = self.state.listing(listing);
        let (sku, channel) = (&listing.sku, held.map(|held| held.channel.to_string()).unwrap_or_default());
        if let Some(most) = held.and_then(|held| held.allotted) {
            return Ok(most);
        }
        let shown = held.and_then(|held| held.leg.as_ref()).map(|leg| leg.quantity);
        let shown = shown.ok_or_else(|| {
            format!("`{sku}` shows nothing on `{channel}` yet; `evenkeel sku {}` tells why", shell(sku))
        })?;
        self.note(format!(
            "`{sku}` on `{channel}` has no limit yet: what it is to show now, {}, is taken for it",
            counted(shown, "unit")
        ));
        Ok(shown)
    }

    /// Says who counts where units leave or arrive: a channel that does is not told of transfers.
    fn note_counters(&mut self, from: &LocationId, to: &LocationId) {
        for place in [from, to] {
            let Some(counter) = self.policies.counter_of(place) else { continue };
            let note = format!(
                "`{counter}` counts `{place}` and is not told of this: book the same transfer there, or its next count takes \
                 it back"
            );
            self.note(note);
        }
    }

    /// Fails if one end is a place that a channel keeps by itself: it tells how much lies there, and its next word would take
    /// a movement of ours back.
    fn not_theirs(&self, from: &LocationId, to: &LocationId) -> Result<(), Why> {
        if let Some(channel) = self.policies.kept_by(from) {
            return bad(format!(
                "`{channel}` keeps and ships what lies at `{from}`, and tells by itself how much that is, so nothing is moved \
                 out of it here; what it sends back it takes off by itself, and the next count of `{to}` takes it in"
            ));
        }
        if let Some(channel) = self.policies.kept_by(to) {
            return bad(format!(
                "`{channel}` keeps and ships what lies at `{to}`, and tells by itself how much that is, so nothing is moved \
                 into it here; the next count of `{from}` takes out what has left it, and `{channel}` tells when it has it"
            ));
        }
        Ok(())
    }

    fn go(&mut self, sku: &Sku, quantity: Quantity, from: &LocationId, to: &LocationId) -> Result<(), Why> {
        positive(quantity)?;
        if from == to {
            return bad(format!("`{from}` is named as both ends"));
        }
        if let Some(place) = [from, to].into_iter().find(|place| !self.policies.locations.contains(place)) {
            return Err(Why::Unknown(format!("location `{place}` is not configured")));
        }
        self.not_theirs(from, to)?;
        self.not_made(sku)?;
        self.note_counters(from, to);
        let (state, force, travels) = (self.state, self.ask.force, self.ask.travels);
        let (low, high) = self.rows(sku)?;
        let opened = |place: &LocationId| low.place(place).is_some_and(|place| place.opened.is_some());
        if let Some(place) = [from, to].into_iter().find(|place| !opened(place)) {
            return bad(never_counted(sku, place));
        }
        let out_of_range = |_| format!("quantity out of range for `{sku}`");
        let held = low.place(from).map(|place| place.stock).unwrap_or_default();
        let available = held.available().map_err(out_of_range)?.or_zero();
        // What lines before this one take is there yet.
        let now = state.skus.get(sku).and_then(|row| row.place(from)).map_or(held, |place| place.stock);
        let taken = now.on_hand.sub(held.on_hand).map_err(out_of_range)?;
        if quantity > held.on_hand {
            return bad(format!("{} on hand at `{from}`{}", only(now.on_hand, sku), taken_before(taken)));
        }
        if quantity > available && !force {
            let free = available.add(taken).map_err(out_of_range)?;
            return bad(format!(
                "{} available at `{from}`{}, the rest is sold or reserved; --force takes it all the same",
                only(free, sku),
                taken_before(taken)
            ));
        }
        let unmet = |row: &SkuRow| unmet(state, sku, row).map_err(out_of_range);
        let (before, was) = (unmet(if travels { low } else { high })?, high.clone());
        for (row, arrived) in [(&mut *low, false), (&mut *high, true)] {
            let stock = &mut row.place_mut(from).stock;
            stock.on_hand = stock.on_hand.sub(quantity).map_err(out_of_range)?;
            if arrived {
                let stock = &mut row.place_mut(to).stock;
                stock.on_hand = stock.on_hand.add(quantity).map_err(out_of_range)?;
            } else if !travels {
                let (from, to) = (from.clone(), to.clone());
                row.moving.push(Moving { intent: Seq::ZERO, from, to, quantity });
            }
        }
        // What travels serves no order meanwhile. On paper it is there as soon as it has left.
        let owed = unmet(if travels { low } else { high })?.sub(before).map_err(out_of_range)?.or_zero();
        let [left, came] = [from, to].map(|place| AtPlace::of([&was, high], place));
        self.note_promised(sku, from, [quantity, available, owed])?;
        let (sku, from, to) = (sku.clone(), from.clone(), to.clone());
        self.plan.moves.push(Moves { sku: sku.clone(), quantity, from: left, to: came });
        let (received, lost, counted) = (Quantity::ZERO, Quantity::ZERO, false);
        self.plan.lines.push(Line::Move { sku, quantity, from, to, received, lost, counted });
        Ok(())
    }

    /// Says that units go which are promised where they are. Of what is owed to orders of another place, only if that is forced.
    fn note_promised(
        &mut self,
        sku: &Sku,
        from: &LocationId,
        [quantity, available, owed]: [Quantity; 3],
    ) -> Result<(), Why> {
        if quantity > available {
            self.note(format!(
                "`{sku}`: {} {} available at `{from}`, so units that are sold or reserved there go too",
                counted(available, "unit"),
                which(available, "is", "are")
            ));
        } else if owed > Quantity::ZERO {
            let free =
                quantity.sub(owed).map_err(|_| format!("quantity out of range for `{sku}`"))?.or_zero();
            let (free, are) = (counted(free, "unit"), which(free, "is", "are"));
            if !self.ask.force {
                return bad(format!(
                    "only {free} of `{sku}` at `{from}` {are} free, the rest is owed to orders that were booked at another place; \
                     --force takes it all the same"
                ));
            }
            self.note(format!(
                "`{sku}`: {free} {are} free at `{from}`, so units go too that are owed to orders booked at another place"
            ));
        }
        Ok(())
    }

    /// Works out what each listing would show, those of what is made of the SKUs included. Returns why a lower could not be
    /// made.
    fn show(&mut self) -> Vec<Wrong> {
        let skus = self.concerned();
        // What is made of others is worked out by the rows of all of them.
        let made = skus.keys().any(|sku| self.state.index.recipes.direct(sku).is_some());
        let planned =
            made.then(|| [self.planned(&skus, |rows| &rows.0), self.planned(&skus, |rows| &rows.1)]);
        let left = self.left();
        let (mut wrong, mut all, mut draws, mut notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut shelves: Option<[Shelves<'_>; 3]> = None;
        for (sku, line) in &skus {
            let Some(row) = self.state.skus.get(sku) else { continue };
            let rows = self.rows.get(sku);
            let would = |n: usize| match &planned {
                Some(states) => (&states[n], states[n].skus.get(sku).unwrap_or(row)),
                None => (self.state, rows.map_or(row, |(low, high)| [low, high][n])),
            };
            let now = [(self.state, row), would(0), would(1)];
            let all_of = shelves.get_or_insert_with(|| now.map(|(state, row)| Shelves::of(state, sku, row)));
            all_of.iter_mut().zip(now).for_each(|(of, (_, row))| of.turn_to(sku, row));
            let [before, lowered, after] = all_of;
            for (n, held) in row.listings.iter().enumerate() {
                let shows = |shelves: &mut Shelves<'_>| {
                    let held = shelves.row.listings.get(n)?;
                    should_show(shelves, self.policies, held).map(|shown| shown.quantity)
                };
                let Ok(at) = u16::try_from(n) else { continue };
                let before = shows(before);
                let shown = Shown {
                    listing: ListingRef { sku: sku.clone(), at },
                    channel: held.channel.clone(),
                    shows: drifted_to(held).or(before),
                    before,
                    lowered: shows(lowered),
                    after: shows(after),
                };
                let frozen = pause_of(self.state, row, held) == Some(Pause::Frozen);
                let leaves = left.get(sku).is_some_and(|places| self.may_sell_at(held, places));
                draws.extend(leaves.then(|| shown.listing.clone()));
                let why = self.cannot_fall(&shown, held, frozen, leaves, &mut notes);
                wrong.extend(why.map(|why| Wrong { line: *line, why: why.into() }));
                let set = self.set.contains(&shown.listing);
                if !frozen && (set || shown.lowers() || shown.raises() || shown.before != shown.after) {
                    all.push(shown);
                }
            }
        }
        (self.plan.shown, self.plan.draws) = (all, draws);
        notes.into_iter().for_each(|note| self.note(note));
        wrong.extend(self.nothing_falls().filter(|_| wrong.is_empty()));
        self.wait_notes();
        self.plan.brake = self.brake();
        wrong
    }

    /// Returns the SKUs of which units leave a place, and all that is made of them, with the places from which those units may be
    /// sold. In shadow mode what is shown is somebody else's doing, and nothing of ours is waited for.
    fn left(&self) -> BTreeMap<Sku, BTreeSet<LocationId>> {
        let mut from: BTreeMap<&Sku, BTreeSet<LocationId>> = BTreeMap::new();
        for line in self.plan.lines.iter().filter(|_| self.state.still() != Some(Still::Shadow)) {
            if let Line::Move { sku, from: place, .. } = line {
                from.entry(sku).or_default().insert(place.clone());
            }
        }
        let mut left: BTreeMap<Sku, BTreeSet<LocationId>> = BTreeMap::new();
        for (sku, places) in from {
            let places = self.sold_with(sku, places);
            for of in self.state.index.recipes.users(sku).into_iter().chain([sku.clone()]) {
                left.entry(of).or_default().extend(places.iter().cloned());
            }
        }
        left
    }

    /// Returns the places of which anything that is sold beyond what they have is made good from these.
    fn sold_with(&self, sku: &Sku, mut places: BTreeSet<LocationId>) -> BTreeSet<LocationId> {
        let Some(row) = self.state.skus.get(sku) else { return places };
        let mut together = sellers(self.state, sku, row);
        together.extend(row.drew.iter().map(Vec::as_slice));
        loop {
            let (near, far): (BTreeSet<_>, BTreeSet<_>) =
                together.into_iter().partition(|drawn| drawn.iter().any(|place| places.contains(place)));
            if near.is_empty() {
                return places;
            }
            places.extend(near.into_iter().flatten().cloned());
            together = far;
        }
    }

    /// Tells whether a listing may show what lies at any of these places: it draws there, or one of its channel did before.
    fn may_sell_at(&self, held: &Listing, places: &BTreeSet<LocationId>) -> bool {
        let policy = self.policies.channels.get(&held.channel);
        let drawn = policy.and_then(|policy| policy.drawn(&held.ids)).unwrap_or_default();
        let before = self.state.channels.get(&held.channel).map_or(&[][..], |row| row.left.as_slice());
        drawn.iter().chain(before).any(|place| places.contains(place))
    }

    /// Says why a listing could not be seen to fall, if it is to; or if it is to have fallen already before units leave.
    fn cannot_fall(
        &self,
        shown: &Shown,
        held: &Listing,
        frozen: bool,
        leaves: bool,
        notes: &mut Vec<String>,
    ) -> Option<String> {
        let (sku, on) = (&shown.listing.sku, &shown.channel);
        let is_frozen = || format!("`{sku}` on `{on}` is frozen and could not fall; resume it first");
        if shown.lowers() {
            return frozen.then(is_frozen);
        }
        let leg = held.leg.as_ref()?;
        let most = shown.lowered.filter(|_| leaves)?;
        match &leg.state {
            _ if held.writes.stays_at_most(most) => None,
            _ if frozen => Some(is_frozen()),
            leg::State::Parked { .. } => Some(format!(
                "`{sku}` on `{on}` may show more than {most}, and so units that would leave, but is a dead letter, so nothing \
                 lowers it; retry or discard it first: `evenkeel dead-letters list`"
            )),
            leg::State::Dropped => {
                notes.push(format!(
                    "`{sku}` on `{on}` was given up and may show more than {most}: that is not waited for"
                ));
                None
            }
            leg::State::Pending
            | leg::State::InFlight(_)
            | leg::State::Accepted { .. }
            | leg::State::Probing { .. }
            | leg::State::Looking { .. }
            | leg::State::Retry { .. }
            | leg::State::Confirmed => None,
        }
    }

    /// Says so where something would have to fall, and nothing is written.
    fn nothing_falls(&self) -> Option<Wrong> {
        let falls = |line: &Line| matches!(line, Line::Allot { before, after, .. } if falls(*before, *after));
        let lowers = self.plan.shown.iter().any(Shown::lowers);
        let why = match self.state.still()? {
            Still::Shadow if lowers => "shadow mode writes nothing, so nothing could be seen to fall",
            // A limit that nothing is to fall to: what is shown is somebody else's doing, and not waited for.
            Still::Shadow => return None,
            Still::Restored if !lowers && !self.plan.lines.iter().any(falls) => return None,
            Still::Restored => {
                "the store was restored, so nothing is written, and nothing could be seen to fall, before \
                 `evenkeel resume --live`"
            }
        };
        Some(Wrong { line: None, why: why.to_owned().into() })
    }

    /// Returns the SKUs that are named, and all that is made of them, with the lines that name them.
    fn concerned(&self) -> BTreeMap<Sku, Option<u64>> {
        let mut all = BTreeMap::new();
        for sku in self.rows.keys() {
            let line = self.lines_of.get(sku).copied().flatten();
            for user in self.state.index.recipes.users(sku) {
                all.entry(user).or_insert(line);
            }
        }
        let named = self.rows.keys().map(|sku| (sku.clone(), self.lines_of.get(sku).copied().flatten()));
        all.extend(named);
        all
    }

    /// Returns a state of just the SKUs that are concerned and of what they are made of, as it would be. What else is made of
    /// those counts as well: it decides what is owed between places.
    fn planned(
        &self,
        skus: &BTreeMap<Sku, Option<u64>>,
        pick: impl Fn(&(SkuRow, SkuRow)) -> &SkuRow,
    ) -> State {
        let recipes = &self.state.index.recipes;
        let mut needed: BTreeSet<Sku> = BTreeSet::new();
        let mut next: Vec<Sku> = skus.keys().cloned().collect();
        while let Some(sku) = next.pop() {
            if needed.insert(sku.clone()) {
                next.extend(recipes.direct(&sku).into_iter().flatten().map(|part| part.sku.clone()));
                next.extend(recipes.users(&sku));
            }
        }
        let row = |sku: Sku| {
            let row = self.rows.get(&sku).map(&pick).or(self.state.skus.get(&sku))?.clone();
            Some((sku, row))
        };
        let mut state = State {
            seq: self.state.seq,
            initialised: self.state.initialised,
            policies: self.state.policies.clone(),
            channels: self.state.channels.clone(),
            skus: needed.into_iter().filter_map(row).collect(),
            ..State::default()
        };
        Index::rebuild(&mut state);
        state
    }

    /// Says where a lower counts as made only long after it is seen.
    fn wait_notes(&mut self) {
        if self.ask.seen_is_enough || !self.plan.shown.iter().any(Shown::raises) {
            return;
        }
        let lowered = self.plan.shown.iter().filter(|shown| shown.lowers());
        let mut channels: BTreeSet<ChannelId> = lowered.map(|shown| shown.channel.clone()).collect();
        let draws = self.plan.draws.iter().filter_map(|listing| self.state.listing(listing));
        let unsettled = draws
            .filter(|held| held.leg.as_ref().is_some_and(|leg| held.writes.may_land_above(leg.quantity)));
        channels.extend(unsettled.map(|held| held.channel.clone()));
        for channel in channels {
            let Some(policy) = self.policies.channels.get(&channel) else { continue };
            let minutes = policy.abilities.late_ms / 60_000;
            if !policy.abilities.compare_and_set && minutes > 0 {
                self.note(format!(
                    "a write to `{channel}` may land up to {minutes} min after its answer, and the raises wait for \
                     that; --seen does not"
                ));
            }
        }
    }

    /// Judges what would change on each channel (I11).
    fn brake(&self) -> Option<String> {
        let mut of: BTreeMap<&ChannelId, Vec<Change>> = BTreeMap::new();
        for shown in &self.plan.shown {
            let (Some(before), Some(lowered), Some(after)) = (shown.before, shown.lowered, shown.after)
            else {
                continue;
            };
            let after = if shown.lowers() { lowered } else { after };
            of.entry(&shown.channel).or_default().push(Change { before, after });
        }
        let brake = &self.policies.brake;
        // Fewer are never held, and counting what a channel lists takes its time.
        let least = fewest_held(brake);
        of.into_iter().filter(|(_, changes)| changes.len() >= least).find_map(|(channel, changes)| {
            let shown = self.shown_on(channel);
            let why = held_by(brake, &changes, shown, shown)?;
            Some(format!("on `{channel}` {why}"))
        })
    }

    /// Counts the listings of a channel that are to show a quantity.
    fn shown_on(&self, channel: &ChannelId) -> usize {
        let all = self.state.skus.values().flat_map(|row| &row.listings);
        all.filter(|held| held.channel == *channel && held.leg.is_some() && !held.given_away()).count()
    }
}

/// Says how many units there are, and no more.
fn only(units: Quantity, sku: &Sku) -> String {
    format!("only {} of `{sku}` {}", counted(units, "unit"), which(units, "is", "are"))
}

fn taken_before(taken: Quantity) -> String {
    if taken.is_zero() { String::new() } else { format!(", and lines before this one take {taken}") }
}

fn never_counted(sku: &Sku, place: &LocationId) -> String {
    format!(
        "`{sku}` was never counted at `{place}`; count it there first, if only as 0: `evenkeel count {} {place} UNITS`",
        shell(sku)
    )
}

fn positive(quantity: Quantity) -> Result<(), Why> {
    if quantity > Quantity::ZERO && quantity.units() <= Quantity::LIMIT {
        return Ok(());
    }
    bad(format!("units must be from 1 to {}", Quantity::LIMIT))
}
