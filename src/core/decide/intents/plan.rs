//! What an intent would do, worked out on copies of the rows that it touches. Pure: the same is asked by a dry run.

mod names;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        State,
        allocation::{
            Pause,
            shelves::{Shelves, unmet},
        },
        count::{Change, held_by},
        decide::listing::{pause_of, should_show},
        index::Index,
        intent::{
            Line, Moving,
            ask::{Ask, What},
        },
        order::Still,
        state::{ListingRef, SkuRow},
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
    /// The listings that would show something else, or may show less.
    pub shown: Vec<Shown>,
    /// What is worth to be known before it is done.
    pub notes: Vec<String>,
    /// Why the brake holds it, if it does.
    pub brake: Option<String>,
}

/// What one listing shows, and would show. `None`: it is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub listing: ListingRef,
    pub channel: ChannelId,
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
            return bad(format!(
                "`{sku}` on `{channel}` is being changed by {id}; wait for it, or `evenkeel commits cancel {id}`"
            ));
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
            return bad(format!(
                "`{sku}` was never counted at `{place}`; count it there first, if only as 0: `evenkeel count {} {place} \
                 UNITS`",
                shell(sku)
            ));
        }
        let out_of_range = |_| format!("quantity out of range for `{sku}`");
        let held = low.place(from).map(|place| place.stock).unwrap_or_default();
        let available = held.available().map_err(out_of_range)?.or_zero();
        if quantity > held.on_hand {
            let (units, are) = (counted(held.on_hand, "unit"), which(held.on_hand, "is", "are"));
            return bad(format!("only {units} of `{sku}` {are} on hand at `{from}`"));
        }
        if quantity > available && !force {
            let (units, are) = (counted(available, "unit"), which(available, "is", "are"));
            return bad(format!(
                "only {units} of `{sku}` {are} available at `{from}`, the rest is sold or reserved; --force takes it all the \
                 same"
            ));
        }
        let unmet = |row: &SkuRow| unmet(state, sku, row).map_err(out_of_range);
        let before = unmet(if travels { low } else { high })?;
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
        self.note_promised(sku, from, [quantity, available, owed])?;
        let (sku, from, to) = (sku.clone(), from.clone(), to.clone());
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
        let mut wrong = Vec::new();
        let mut all = Vec::new();
        for (sku, line) in &skus {
            let Some(row) = self.state.skus.get(sku) else { continue };
            let rows = self.rows.get(sku);
            let would = |n: usize| match &planned {
                Some(states) => (&states[n], states[n].skus.get(sku).unwrap_or(row)),
                None => (self.state, rows.map_or(row, |(low, high)| [low, high][n])),
            };
            let [mut before, mut lowered, mut after] =
                [(self.state, row), would(0), would(1)].map(|(state, row)| Shelves::of(state, sku, row));
            for (n, held) in row.listings.iter().enumerate() {
                let shows = |shelves: &mut Shelves<'_>| {
                    let held = shelves.row.listings.get(n)?;
                    should_show(shelves, self.policies, held).map(|shown| shown.quantity)
                };
                let Ok(at) = u16::try_from(n) else { continue };
                let shown = Shown {
                    listing: ListingRef { sku: sku.clone(), at },
                    channel: held.channel.clone(),
                    before: shows(&mut before),
                    lowered: shows(&mut lowered),
                    after: shows(&mut after),
                };
                let frozen = pause_of(self.state, row, held) == Some(Pause::Frozen);
                if frozen && shown.lowers() {
                    let channel = &held.channel;
                    let why = format!("`{sku}` on `{channel}` is frozen and could not fall; resume it first");
                    wrong.push(Wrong { line: *line, why: why.into() });
                }
                let set = self.set.contains(&shown.listing);
                if !frozen && (set || shown.lowers() || shown.raises() || shown.before != shown.after) {
                    all.push(shown);
                }
            }
        }
        self.plan.shown = all;
        wrong.extend(self.nothing_falls().filter(|_| wrong.is_empty()));
        self.wait_notes();
        self.plan.brake = self.brake();
        wrong
    }

    /// Says so where something would have to fall, and nothing is written.
    fn nothing_falls(&self) -> Option<Wrong> {
        let falls = |line: &Line| matches!(line, Line::Allot { before, after, .. } if falls(*before, *after));
        let lowers = self.plan.shown.iter().any(Shown::lowers) || self.plan.lines.iter().any(falls);
        let why = match self.state.still().filter(|_| lowers)? {
            Still::Shadow => "shadow mode writes nothing, so nothing could be seen to fall",
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
        let channels: BTreeSet<ChannelId> = lowered.map(|shown| shown.channel.clone()).collect();
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
        of.into_iter().find_map(|(channel, changes)| {
            let why = held_by(&self.policies.brake, &changes, self.state.index.opened())?;
            Some(format!("on `{channel}`, {why}"))
        })
    }
}

fn positive(quantity: Quantity) -> Result<(), Why> {
    if quantity > Quantity::ZERO && quantity.units() <= Quantity::LIMIT {
        return Ok(());
    }
    bad(format!("units must be from 1 to {}", Quantity::LIMIT))
}
