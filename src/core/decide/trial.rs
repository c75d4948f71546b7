//! What a change would do to what listings show, found out on a copy of the state: no estimate, for the same commands
//! are decided there. The brake judges it (I11).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use crate::{
    core::{
        State,
        allocation::{Pause, shelves::Shelves},
        command::{Command, Refused, Reply},
        count::{Change, held_by},
        decide::{
            Draft, decide,
            listing::{pause_of, wanted},
            recipes::{same_thing, sold_as_own, waits_for_recipe},
        },
        index::{Index, Kind, Work},
        ledger::{Entry, Stock},
        mapping::{Resolved, resolve},
        record::Record,
        state::{Listing, ListingRef, SkuRow},
    },
    model::{
        ChannelId, Identifiers, LocationId, Mode, OrderKey, Policies, Quantity, Sku, Timestamp,
        policy::{Brake, ChannelPolicy},
    },
};

/// How many SKUs, items and orders are looked at again between two clearings of what came of it.
const PORTION: usize = 500;
/// How many listings are named for each channel.
const NAMED: usize = 20;

/// What a change would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effect {
    pub channels: BTreeMap<ChannelId, Moved>,
    /// Catalogue items that find their SKU.
    pub bound: usize,
    /// What these are, with the SKU of each.
    pub found: Vec<(ChannelId, Sku, Identifiers)>,
    /// Order lines that find their SKU and are booked, and how many orders they are of.
    pub mapped_lines: usize,
    pub mapped_orders: usize,
    /// How many units fewer are available of which SKU because of those lines, the most first: what they sold and still wait
    /// for, or have shipped.
    pub mapped_units: Vec<(Sku, Quantity)>,
    /// Order lines that are waited for no more, less those that are again.
    pub ignored_lines: i64,
    /// Recipes, SKUs or order lines that the commands change by themselves, and what they book.
    pub changed: usize,
    pub entries: Vec<Entry>,
}

/// What a change would do to the listings of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moved {
    /// How many show a quantity.
    pub listings: usize,
    pub lowered: usize,
    pub raised: usize,
    /// Those among the lowered that go to zero.
    pub zeroed: usize,
    pub lowered_units: Quantity,
    pub raised_units: Quantity,
    /// Those that would stay as they are and not be written any more.
    pub left: usize,
    /// Some of those that change, the largest change first.
    pub some: Vec<Difference>,
    /// What the brake judges: every listing whose quantity no order explains.
    changes: Vec<Change>,
    /// The same at each of the channel's own locations, where it has several.
    at: BTreeMap<String, Here>,
}

/// What a change would do to the listings at one of a channel's own locations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Here {
    listings: usize,
    changes: Vec<Change>,
}

/// A listing that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub listing: ListingRef,
    /// Where it draws its stock from.
    pub locations: Vec<LocationId>,
    pub shows: Quantity,
    pub will_show: Quantity,
}

/// What listings show before the change.
struct Before {
    rows: BTreeMap<Sku, Row>,
    items: BTreeMap<(ChannelId, Identifiers), Option<Quantity>>,
    /// The orders that have lines without a SKU.
    orders: BTreeMap<OrderKey, Lines>,
    given: Vec<Given>,
}

/// A listing that is given to another SKU: what it goes by, what it shows and whether it is written.
struct Given {
    key: (ChannelId, Identifiers),
    held: (Option<Quantity>, bool),
}

/// How many lines of an order have a SKU, and how many are left out.
#[derive(Clone, Copy, Default)]
struct Lines {
    bound: usize,
    ignored: usize,
}

struct Row {
    stocks: Vec<Stock>,
    listings: Vec<(Option<Quantity>, bool)>,
}

/// Decides commands on a copy, and everything that follows from them, and tells what came of it.
pub fn try_out(state: &mut State, commands: Vec<Command>, now: Timestamp) -> Result<Effect, Refused> {
    // What was still to be looked at again is not the commands' doing.
    finish(state, now);
    let before = Before::of(state, &rebound(&commands));
    let (mut changed, mut entries) = (0, Vec::new());
    // What these move from one SKU to another is told by its entries.
    let moves = |command: &Command| matches!(command, Command::Merge { .. } | Command::Rebind { .. });
    let moves = commands.iter().any(moves);
    for command in commands {
        let (envelope, reply) = decide(state, command, now);
        if let Reply::Changed { changed: more } = reply? {
            changed += more;
        }
        let records = envelope.iter().flat_map(|envelope| &envelope.records);
        entries.extend(records.flat_map(Record::entries).cloned());
    }
    finish(state, now);
    let mut effect = Effect { changed, entries, ..before.compare(state) };
    if effect.mapped_lines > 0 && !moves {
        effect.mapped_units = before.taken(state);
    }
    Ok(effect)
}

/// Copies what decides what listings show.
pub fn copy(state: &State, commands: &[Command]) -> State {
    let orders = orders(state, &rebound(commands)).into_iter();
    let order = |key: OrderKey| state.order(&key).map(Cow::into_owned).map(|order| (key, order));
    let mut copy = State {
        skus: state.skus.clone(),
        unmatched: state.unmatched.clone(),
        orders: orders.filter_map(order).collect(),
        ..frame(state)
    };
    Index::rebuild(&mut copy);
    copy
}

/// Copies what a trial needs, but for SKUs, catalogue items and orders, of which there may be many. It has no index.
pub fn frame(state: &State) -> State {
    State {
        seq: state.seq,
        epoch: state.epoch,
        initialised: state.initialised,
        restored: state.restored,
        policies: state.policies.clone(),
        channels: state.channels.clone(),
        table: state.table.clone(),
        intents: state.intents.clone(),
        ignored: state.ignored.clone(),
        held_config: state.held_config.clone(),
        ..State::default()
    }
}

/// Returns the listings that commands give to another SKU.
pub fn rebound(commands: &[Command]) -> Vec<(ChannelId, Identifiers)> {
    let of = |command: &Command| {
        let Command::Rebind { channel, ids, .. } = command else { return None };
        Some((channel.clone(), ids.clone()))
    };
    commands.iter().filter_map(of).collect()
}

/// Returns the orders that a trial may go by: those that have lines without a SKU, waited for or not, those that
/// were sold from the SKUs of `rebound` listings, and those of which a recipe may take what is open from components.
pub fn orders(state: &State, rebound: &[(ChannelId, Identifiers)]) -> BTreeSet<OrderKey> {
    let open = state.index.all(Kind::Unmapped).chain(state.index.all(Kind::Ignored));
    let mut keys: BTreeSet<OrderKey> = open.filter_map(Work::order).cloned().collect();
    for (channel, ids) in rebound {
        let Resolved::Listing(old) = resolve(state, channel, ids) else { continue };
        let sold = state.orders_of(channel).filter(|(_, order)| {
            order.lines.values().filter_map(|line| line.bound.as_ref()).any(|bound| bound.sku == old.sku)
        });
        keys.extend(sold.map(|(key, _)| key.clone()));
    }
    let waiting =
        state.skus.iter().filter(|(_, row)| waits_for_recipe(state.policies(), row)).map(|(sku, _)| sku);
    let waiting: BTreeSet<&Sku> = waiting.collect();
    if !waiting.is_empty() {
        keys.extend(sold_as_own(state, &waiting, Bound::Unbounded, usize::MAX).into_keys());
    }
    keys
}

/// Looks at everything again that is to be.
fn finish(state: &mut State, now: Timestamp) {
    while !state.recheck.is_over() {
        let mut draft = Draft::new(state, now);
        draft.recheck(PORTION);
        draft.refresh_concerned();
    }
}

impl Effect {
    /// Returns why the brake holds it, if it does. Each channel is judged by itself, and each of its own locations: one that is
    /// emptied is a catastrophe, however many others there are.
    pub fn held(&self, brake: &Brake) -> Option<String> {
        let of =
            |(channel, moved): (&ChannelId, &Moved)| Some(format!("on `{channel}` {}", moved.held(brake)?));
        let all: Vec<String> = self.channels.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Returns the lines of every order that has one without a SKU, waited for or not.
fn lines(state: &State) -> BTreeMap<OrderKey, Lines> {
    let keys = state.index.all(Kind::Unmapped).chain(state.index.all(Kind::Ignored));
    keys.filter_map(Work::order)
        .cloned()
        .map(|key| {
            let lines = lines_of(state, &key);
            (key, lines)
        })
        .collect()
}

fn lines_of(state: &State, key: &OrderKey) -> Lines {
    let Some(order) = state.order(key) else { return Lines::default() };
    Lines {
        bound: order.lines.values().filter(|line| line.bound.is_some()).count(),
        ignored: order.lines.values().filter(|line| line.ignored.is_some()).count(),
    }
}

/// Returns what a listing shows, or is about to. In shadow mode nothing is about to, and what was read there may still
/// wait for its orders: it is what going live would go over. `None`: nobody knows.
fn shows(mode: Mode, listing: &Listing) -> Option<Quantity> {
    let aimed = listing.leg.as_ref().map(|leg| leg.quantity);
    match mode {
        Mode::Live => aimed.or(listing.writes.base),
        Mode::Shadow => {
            let look = listing.writes.look.as_ref().and_then(|look| look.shown().ok());
            look.or(listing.writes.base)
        }
    }
}

/// Returns the shelves of all SKUs of a state, turned to this one: what is owed of a component that many bundles hold is worked out
/// once for all of them.
fn turned<'s, 'a>(
    all_of: &'s mut Option<Shelves<'a>>,
    state: &'a State,
    sku: &'a Sku,
    row: &'a SkuRow,
) -> &'s mut Shelves<'a> {
    let shelves = all_of.get_or_insert_with(|| Shelves::of(state, sku, row));
    shelves.turn_to(sku, row);
    shelves
}

fn is_written(shelves: &mut Shelves<'_>, policies: &Policies, listing: &Listing) -> bool {
    pause_of(shelves.state, shelves.row, listing) == Some(Pause::Frozen)
        || wanted(shelves, policies, listing).is_some()
}

impl Before {
    fn of(state: &State, rebound: &[(ChannelId, Identifiers)]) -> Before {
        let policies = state.policies.clone();
        let mode = state.mode().unwrap_or(Mode::Live);
        let listing = |shelves: &mut Shelves<'_>, listing: &Listing| {
            let written = policies.as_ref().is_some_and(|p| is_written(shelves, p, listing));
            (shows(mode, listing), written)
        };
        let mut shelves_of = None;
        let given = |old: ListingRef| {
            let ((sku, row), moved) = (state.skus.get_key_value(&old.sku)?, state.listing(&old)?);
            let held = listing(turned(&mut shelves_of, state, sku, row), moved);
            Some(Given { key: (moved.channel.clone(), moved.ids.clone()), held })
        };
        let go = rebound.iter().flat_map(|(channel, ids)| same_thing(state, channel, ids));
        let given = go.filter_map(given).collect();
        let mut all_of = None;
        let row = |(sku, row)| {
            let shelves = turned(&mut all_of, state, sku, row);
            let listings = row.listings.iter().map(|held| listing(shelves, held)).collect();
            let stocks = row.stock.iter().map(|place| place.stock).collect();
            (sku.clone(), Row { stocks, listings })
        };
        let items = state.unmatched.iter().map(|(key, held)| {
            let shown = held.item.levels.map(|levels| levels.available);
            (key.clone(), shown)
        });
        let (rows, items) = (state.skus.iter().map(row).collect(), items.collect());
        Before { rows, items, orders: lines(state), given }
    }

    fn compare(&self, state: &State) -> Effect {
        let mut effect = Effect::default();
        let Some(policies) = state.policies() else { return effect };
        let mut all_of = None;
        for (sku, row) in &state.skus {
            let before = self.rows.get(sku);
            let sold = self.sold(state, sku);
            let shelves = turned(&mut all_of, state, sku, row);
            for (n, listing) in (0..).zip(&row.listings) {
                if listing.given_away() {
                    continue;
                }
                let held = before.and_then(|before| before.listings.get(usize::from(n)).copied());
                let given = if held.is_none() { self.given(listing) } else { None };
                // What was given to a SKU that was not counted there shows none.
                let shows_none = given.is_some() && listing.leg.is_some();
                let held = held.or(given);
                if held.is_none() {
                    effect.bound += 1;
                    effect.found.push((listing.channel.clone(), sku.clone(), listing.ids.clone()));
                }
                let (shown, written) = held.unwrap_or_else(|| (self.listed(listing), false));
                let kept = is_written(shelves, policies, listing) || shows_none;
                // In shadow mode nothing that is wanted is ever written.
                let after =
                    if state.mode() == Some(Mode::Shadow) { shown } else { shows(Mode::Live, listing) };
                let moved = effect.channels.entry(listing.channel.clone()).or_default();
                moved.left += usize::from(written && !kept);
                let outlet =
                    policies.channels.get(&listing.channel).and_then(|policy| policy.outlet(&listing.ids));
                moved.add_at(outlet.map(|outlet| outlet.id.as_str()), shown, after, sold);
                moved.add(|| ListingRef { sku: sku.clone(), at: n }, shown, after, sold);
            }
        }
        effect.channels.retain(|channel, moved| moved.finish(state, policies.channels.get(channel)));
        self.compare_lines(state, &mut effect);
        effect
    }

    /// Tells whether orders explain what is shown of a SKU: its stock moved, or, of a bundle, that of a component.
    fn sold(&self, state: &State, sku: &Sku) -> bool {
        let moved = |sku: &Sku| match (self.rows.get(sku), state.skus.get(sku)) {
            (Some(before), Some(row)) => !before.stocks.iter().eq(row.stock.iter().map(|place| &place.stock)),
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        moved(sku) || state.made_of(sku).is_ok_and(|parts| parts.iter().any(|part| moved(&part.sku)))
    }

    /// Returns what a listing shows that another SKU had before.
    fn given(&self, listing: &Listing) -> Option<(Option<Quantity>, bool)> {
        let same = |given: &&Given| given.key.0 == listing.channel && given.key.1 == listing.ids;
        self.given.iter().find(same).map(|given| given.held)
    }

    /// Returns what the channel's catalogue said that a listing shows, which was bound only now.
    fn listed(&self, listing: &Listing) -> Option<Quantity> {
        self.items.get(&(listing.channel.clone(), listing.ids.clone())).copied().flatten()
    }

    fn compare_lines(&self, state: &State, effect: &mut Effect) {
        let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        for (key, before) in &self.orders {
            let after = lines_of(state, key);
            effect.mapped_lines += after.bound.saturating_sub(before.bound);
            effect.mapped_orders += usize::from(after.bound > before.bound);
            // A line that is booked now waits for nothing.
            let again = before.ignored.saturating_sub(after.ignored);
            let again = again.saturating_sub(after.bound.saturating_sub(before.bound));
            effect.ignored_lines += signed(after.ignored.saturating_sub(before.ignored)) - signed(again);
        }
    }

    /// Returns how many units fewer are available, of each SKU of which there are.
    fn taken(&self, state: &State) -> Vec<(Sku, Quantity)> {
        let sum = |sum: Quantity, stock: &Stock| sum.add(stock.available()?);
        let of = |(sku, row): (&Sku, &SkuRow)| {
            let before = self.rows.get(sku).map_or(&[][..], |row| row.stocks.as_slice());
            let before = before.iter().try_fold(Quantity::ZERO, sum).ok()?;
            let after = row.stock.iter().map(|place| &place.stock).try_fold(Quantity::ZERO, sum).ok()?;
            let less = before.sub(after).ok()?;
            (!less.is_zero()).then(|| (sku.clone(), less))
        };
        let mut taken: Vec<(Sku, Quantity)> = state.skus.iter().filter_map(of).collect();
        taken.sort_by_key(|(_, units)| std::cmp::Reverse(*units));
        taken
    }
}

impl Moved {
    /// Returns why the brake holds it, if it does.
    fn held(&self, brake: &Brake) -> Option<String> {
        let whole = held_by(brake, &self.changes, self.listings, self.listings);
        if whole.is_some() || self.at.len() < 2 {
            return whole;
        }
        // Small is the shop, not each of its locations.
        let most = self.at.values().map(|here| here.listings).max().unwrap_or_default();
        let at = |(outlet, here): (&String, &Here)| {
            let why = held_by(brake, &here.changes, here.listings, most)?;
            Some(format!("at its location {outlet} {why}"))
        };
        let all: Vec<String> = self.at.iter().filter_map(at).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    fn add_at(&mut self, outlet: Option<&str>, shown: Option<Quantity>, after: Option<Quantity>, sold: bool) {
        let (Some(outlet), Some(before), Some(after)) = (outlet, shown, after) else { return };
        let here = self.at.entry(outlet.to_owned()).or_default();
        here.listings += 1;
        if !sold {
            here.changes.push(Change { before, after });
        }
    }

    fn add(
        &mut self,
        listing: impl FnOnce() -> ListingRef,
        shown: Option<Quantity>,
        after: Option<Quantity>,
        sold: bool,
    ) {
        let (Some(shown), Some(after)) = (shown, after) else { return };
        self.listings += 1;
        if !sold {
            self.changes.push(Change { before: shown, after });
        }
        let Ok(by) = after.sub(shown) else { return };
        let sum = |held: Quantity, units: Quantity| held.add(units).unwrap_or(held);
        if by < Quantity::ZERO {
            self.lowered += 1;
            self.zeroed += usize::from(after <= Quantity::ZERO && shown > Quantity::ZERO);
            self.lowered_units = sum(self.lowered_units, Quantity::new(by.units().saturating_neg()));
        } else if by > Quantity::ZERO {
            self.raised += 1;
            self.raised_units = sum(self.raised_units, by);
        } else {
            return;
        }
        let (listing, locations) = (listing(), Vec::new());
        self.some.push(Difference { listing, locations, shows: shown, will_show: after });
    }

    /// Keeps the largest changes. `false`: nothing is to be told of the channel.
    fn finish(&mut self, state: &State, policy: Option<&ChannelPolicy>) -> bool {
        self.some.sort_by_key(|of| {
            std::cmp::Reverse(of.will_show.units().saturating_sub(of.shows.units()).unsigned_abs())
        });
        self.some.truncate(NAMED);
        for of in &mut self.some {
            of.locations =
                state.listing(&of.listing).map_or_else(Vec::new, |held| state.drawn(held).to_vec());
        }
        policy.map_or(self.left > 0, |policy| policy.abilities.quantities)
    }
}
