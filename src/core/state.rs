//! The state: what the journal adds up to. Rows are what the store keeps; the index is derived from them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    ops::Bound,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use thin_vec::ThinVec;

use crate::{
    core::{
        allocation::Pause,
        assumption::Measures,
        bulk::{Bulk, Bulks},
        circuit::Circuit,
        count::Edits,
        drift::{Done, Drifted},
        index::Index,
        intent::{Intent, Moving},
        ledger::{Booked, Stock},
        leg::{self, Leg, Writes},
        moves::{LastCount, Moves},
        order::{Order, Still},
        oversold::Oversell,
        recipe::Made,
        record::{AlertKind, HeldCount},
        tombstone::Tombstone,
    },
    model::{
        CatalogueItem, ChannelId, Counter, DeliveryId, FulfilledBy, IdKind, Identifiers, LineId, LocationId,
        Measure, Mode, Notice, OrderKey, Overflow, Policies, Quantity, Revision, Seq, Sku, Timestamp,
        policy::{ChannelKind, ChannelPolicy, MappingRow, Outlet, Warehouse, draws},
    },
};

/// Everything that is known, as of `seq`.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The last record applied.
    pub seq: Seq,
    /// Part of every idempotency key; grows when a backup may have been restored.
    pub epoch: u32,
    /// When the opening stock was taken over; before that, counts do not open anything.
    pub initialised: Option<Timestamp>,
    /// When it was restored from a backup; until a person lets it write, it is in shadow mode.
    pub restored: Option<Timestamp>,
    pub policies: Option<Arc<Policies>>,
    pub skus: BTreeMap<Sku, SkuRow>,
    /// Those that were not finished long ago. Whoever asks for what may be an old one asks [`State::order`].
    pub orders: BTreeMap<OrderKey, Order>,
    /// What is left of orders that were finished long ago. An order is here or above; see [`State::order`].
    pub tombstones: BTreeMap<OrderKey, Tombstone>,
    pub channels: BTreeMap<ChannelId, ChannelRow>,
    /// Pushes that had an effect, so that their repeats are recognised.
    pub deliveries: BTreeMap<(ChannelId, DeliveryId), Timestamp>,
    /// The mapping table as imported, oldest row first.
    pub table: Vec<MappingRow>,
    pub alerts: BTreeMap<AlertKey, Alert>,
    /// Counts that the brake holds, by the position of their record.
    pub held: BTreeMap<Seq, HeldCount>,
    /// Authentic input that could not be read, by the position of its record.
    pub quarantine: BTreeMap<Seq, Quarantined>,
    /// Catalogue items that no SKU was found for.
    pub unmatched: BTreeMap<(ChannelId, Identifiers), Unmatched>,
    /// What persons want of several listings at once, by the position of its record; the latest that have ended, too.
    pub intents: BTreeMap<Seq, Intent>,
    /// What a person said that no SKU is to be waited for.
    pub ignored: BTreeMap<(ChannelId, Identifiers), Ignored>,
    /// The SKUs of which units were sold that are not there, until they are.
    pub oversold: BTreeMap<Sku, Oversell>,
    /// The configuration file would change too much to be believed, and is not in effect.
    pub held_config: Option<HeldConfig>,
    /// Derived; see [`Index`].
    pub index: Index,
    /// Not stored: after a start everything is looked at again once.
    pub recheck: Recheck,
    /// Rows touched since [`State::take_dirty`].
    pub dirty: BTreeSet<RowKey>,
}

/// What is to be looked at again because something changed that concerns all of it. Taken up in portions, so that one
/// command stays short and its records small.
#[derive(Debug, Clone, Default)]
pub struct Recheck {
    /// What each SKU should show.
    pub skus: Todo<Sku>,
    /// Catalogue items that no SKU was found for.
    pub items: Todo<(ChannelId, Identifiers)>,
    /// Orders with lines that no SKU was found for.
    pub orders: Todo<OrderKey>,
    /// Legs that intents wait for, over and over.
    pub legs: Todo<(Sku, Seq, u32)>,
    /// Orders with lines that a person has left out.
    pub ignored: Todo<OrderKey>,
    /// Open orders of bundles that were sold while they had no recipe.
    pub sold: Todo<OrderKey>,
    /// Orders that may be so old that a tombstone is enough, over and over.
    pub finished: Todo<OrderKey>,
    /// When that walk began.
    pub finished_at: Timestamp,
}

impl Recheck {
    /// Tells whether everything has been looked at again. Legs of intents and old orders are looked at over and over.
    pub fn is_over(&self) -> bool {
        let Recheck { skus, items, orders, ignored, sold, legs: _, finished: _, finished_at: _ } = self;
        let over = [skus.from().is_none(), items.from().is_none(), orders.from().is_none()];
        over == [true; 3] && ignored.from().is_none() && sold.from().is_none()
    }
}

/// How far a walk over all keys has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Todo<K> {
    #[default]
    All,
    After(K),
    Nothing,
}

impl<K: Clone> Todo<K> {
    /// Returns from where the walk goes on, if it is not over.
    pub fn from(&self) -> Option<Bound<&K>> {
        match self {
            Todo::All => Some(Bound::Unbounded),
            Todo::After(key) => Some(Bound::Excluded(key)),
            Todo::Nothing => None,
        }
    }

    /// Returns what is left after `keys`, of which `portion` were asked for.
    pub fn after(keys: &[K], portion: usize) -> Todo<K> {
        match keys.last() {
            Some(last) if keys.len() >= portion => Todo::After(last.clone()),
            Some(_) | None => Todo::Nothing,
        }
    }
}

/// One SKU: its balances, its listings and what is under way for it. Lists are thin, because most of them are empty and
/// there are very many.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SkuRow {
    pub revision: Revision,
    pub stock: ThinVec<Place>,
    pub listings: ThinVec<Listing>,
    #[serde(default)]
    pub pause: Option<Pause>,
    /// Commits that are not yet confirmed everywhere, oldest first.
    #[serde(default)]
    pub commits: ThinVec<Commit>,
    /// The latest entries, oldest first; all of them are in the journal.
    #[serde(default)]
    pub recent: ThinVec<Booked>,
    /// The latest position at which an ERP acknowledged a posting that moves this SKU.
    #[serde(default)]
    pub posted: Seq,
    /// Why it has no stock of its own, if that was said of it; see [`State::made_of`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Box<Made>>,
    /// Units on their way between two places on paper only.
    #[serde(default, skip_serializing_if = "ThinVec::is_empty")]
    pub moving: ThinVec<Moving>,
    /// The latest position at which a part of a transfer was booked.
    #[serde(default, skip_serializing_if = "is_never")]
    pub transferred: Seq,
    /// Places that it was sold from together as a part of what is made of something else now, or by a listing that is another SKU's
    /// now, while any of it is sold or short there.
    #[serde(default, skip_serializing_if = "ThinVec::is_empty")]
    pub drew: ThinVec<Vec<LocationId>>,
}

fn is_never(seq: &Seq) -> bool {
    *seq == Seq::ZERO
}

/// Stock at one location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub location: LocationId,
    pub stock: Stock,
    /// The opening count, once there was one. Before it nothing is shown anywhere.
    pub opened: Option<Opened>,
    /// The latest count by a person, where no other came after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<LastCount>,
    /// What moved lately, where people count. `None`: a channel counts, or nothing moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<Box<Moves>>,
}

/// An opening count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    pub as_of: Timestamp,
    pub counter: Counter,
    pub measure: Measure,
}

/// A SKU on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    pub channel: ChannelId,
    pub ids: Identifiers,
    pub by: FulfilledBy,
    /// Why it must not be written, if so.
    #[serde(default)]
    pub unwritable: Option<Arc<str>>,
    /// The most that it may show, by a person's intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allotted: Option<Quantity>,
    #[serde(default)]
    pub leg: Option<Leg>,
    #[serde(default)]
    pub writes: Writes,
    /// Its latest drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Box<Drifted>>,
}

/// One stock change on its way to all listings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The position of its record: its id.
    pub id: Seq,
    pub revision: Revision,
    pub opened_at: Timestamp,
    /// When the cause happened, by the source's clock.
    pub event_at: Timestamp,
    /// The listings that changed, by their place in the row.
    pub legs: Vec<u16>,
}

/// One channel: how far its feed is read, and whether it is worth sending to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChannelRow {
    pub circuit: Circuit,
    /// The latest complete read of the order feed.
    #[serde(default)]
    pub fed: Option<Fed>,
    /// The channel's time up to which every change was read, if that is more than the latest complete read tells.
    #[serde(default)]
    pub fed_through: Option<Timestamp>,
    /// The counter's time up to which movements were read.
    #[serde(default)]
    pub counted_through: Option<Timestamp>,
    /// Our clock when that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Timestamp>,
    /// When a full sweep of counts, or a reconcile, was last ended.
    #[serde(default)]
    pub swept_at: Option<Timestamp>,
    #[serde(default)]
    pub pause: Option<Pause>,
    /// Whether its catalogue has been read whole.
    #[serde(default)]
    pub catalogued_at: Option<Timestamp>,
    /// Edits of its stock that were taken over lately, for the brake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<Edits>,
    /// How late it turned out to be, against what is assumed.
    #[serde(default, skip_serializing_if = "Measures::is_none")]
    pub measures: Box<Measures>,
    /// When the store was restored, if it was let write before the channel's orders from before that were read, until they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Timestamp>,
    /// What it was when it was taken out of the configuration, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stood_for: Option<Box<StoodFor>>,
    /// Places that it drew on together, and does not by what is configured now: what it sold may come from each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drew: Vec<Drew>,
    /// Places that listings of it drew on, and that not all of them draw on by what is configured now: one that was not seen to fall
    /// since may show what lies there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LocationId>,
    /// Warehouses that it had and has not by what is configured now, neither by their codes nor at their places, where they were counted
    /// or it was told of orders there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub had: Vec<Warehouse>,
    /// Warehouses that it got, and that it has not counted since while it had them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncounted: Vec<Warehouse>,
    /// What a person should know of it, by its kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// What is, or was lately, written there many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulks: Option<Box<Bulks>>,
}

/// Places that a channel drew on together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drew {
    pub places: Vec<LocationId>,
    /// Our clock when a configuration ended that.
    pub until: Timestamp,
}

/// What a channel was when it was taken out of the configuration: the shop, seller or database that its name stands for, and where
/// its orders lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoodFor {
    pub kind: ChannelKind,
    /// `None`: it was not said.
    pub account: Option<String>,
    /// As in its [`ChannelPolicy`].
    pub locations: Vec<LocationId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlets: Vec<Outlet>,
}

/// A complete read of an order feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fed {
    /// The journal's position when the read began: every order of before is in.
    pub begun: Seq,
    /// Our clock when the read began.
    pub begun_at: Timestamp,
    /// The channel's time that it was read up to: the next read's watermark.
    pub through: Timestamp,
    pub at: Timestamp,
}

/// A listing's place: its SKU and its number in the SKU's row. Listings are never removed from a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListingRef {
    pub sku: Sku,
    #[serde(rename = "n")]
    pub at: u16,
}

/// What an alert is about; one is open per key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlertKey {
    pub kind: AlertKind,
    /// The channel, or another subject's name.
    pub subject: String,
}

/// An alert and how far people have been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub text: String,
    /// How many things wait for a person, where they can be counted: people are told again when there are more.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub waiting: usize,
    /// The record of the latest question that people were told, where each has one.
    #[serde(default, skip_serializing_if = "is_never")]
    pub about: Seq,
    pub raised_at: Timestamp,
    pub changed_at: Timestamp,
    pub firing: bool,
    /// The state that people were last told, and when.
    pub told: Option<(bool, Timestamp)>,
    pub tries: u32,
    /// When it is to be sent; `None`: nothing to send.
    pub send_at: Option<Timestamp>,
}

fn is_nothing(waiting: &usize) -> bool {
    *waiting == 0
}

/// The topic of quarantined orders that a feed told of.
pub const READ: &str = "orders";
/// The topic of quarantined answers to a request for one order, which stays wanted.
pub const FETCHED: &str = "order";
/// The topic of quarantined counts.
pub const COUNTS: &str = "counts";

/// Authentic input that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    pub channel: ChannelId,
    pub topic: String,
    pub id: Option<String>,
    pub why: String,
    /// SHA-256 of the body, in hex; the body lies in a file of that name.
    pub sha256: String,
    pub at: Timestamp,
}

impl Quarantined {
    /// Tells whether it is an order that was read from the channel. A push that cannot be read hides nothing: what it
    /// told of is in the feed.
    pub fn holds_orders(&self) -> bool {
        matches!(self.topic.as_str(), READ | FETCHED)
    }
}

/// A catalogue item that no SKU was found for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    pub item: CatalogueItem,
    pub why: String,
    pub at: Timestamp,
}

/// Who did something by hand, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Note {
    /// The user who asked, as the socket and the command line tell.
    pub by: String,
    pub reason: String,
}

/// Something that no SKU is waited for, by a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    pub at: Timestamp,
    pub note: Note,
}

/// What a person may say that no SKU is to be waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ignorable {
    /// Everything on a channel that goes by these identifiers, all of them.
    Item { channel: ChannelId, ids: Identifiers },
    /// One line of one order.
    Line { order: OrderKey, line: LineId },
}

impl std::fmt::Display for Ignorable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ignorable::Item { channel, ids } => write!(f, "{ids} on `{channel}`"),
            Ignorable::Line { order, line } => write!(f, "line {line} of order {order}"),
        }
    }
}

/// A configuration that the brake holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldConfig {
    pub why: String,
    pub at: Timestamp,
}

/// Names a row, for the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    Meta,
    Policies,
    Table,
    Sku(Sku),
    Order(OrderKey),
    Channel(ChannelId),
    Delivery(ChannelId, DeliveryId),
    Alert(AlertKey),
    Held(Seq),
    Quarantine(Seq),
    Unmatched(ChannelId, Identifiers),
    Intent(Seq),
    Ignored(ChannelId, Identifiers),
    Tombstone(OrderKey),
    Oversold(Sku),
}

impl State {
    pub fn listing(&self, listing: &ListingRef) -> Option<&Listing> {
        self.skus.get(&listing.sku)?.listings.get(usize::from(listing.at))
    }

    /// Tells whether a SKU is a thing that people can name. The row of a bundle whose recipe was taken back, and that was
    /// never anything else, stays and is none.
    pub fn is_thing(&self, sku: &Sku) -> bool {
        let Some(row) = self.skus.get(sku) else { return false };
        let known = !row.stock.is_empty() || !row.listings.is_empty() || row.made.is_some();
        let told = !row.recent.is_empty() || !row.commits.is_empty() || row.pause.is_some();
        known || told || row.posted > Seq::ZERO || self.index.recipes.direct(sku).is_some()
    }

    pub fn policies(&self) -> Option<&Policies> {
        self.policies.as_deref()
    }

    /// Returns the mode that is in effect, whatever is configured.
    pub fn mode(&self) -> Option<Mode> {
        let configured = self.policies()?.mode;
        Some(if self.restored.is_some() { Mode::Shadow } else { configured })
    }

    /// Returns why nothing is written anywhere, if so.
    pub fn still(&self) -> Option<Still> {
        let shadow = self.policies().is_some_and(|policies| policies.mode == Mode::Shadow);
        let configured = shadow.then_some(Still::Shadow);
        self.restored.map_or(configured, |_| Some(Still::Restored))
    }

    /// Tells whether a person said that what goes by `ids` is not to be waited for: all that an entry names is the same.
    pub fn ignores(&self, channel: &ChannelId, ids: &Identifiers) -> bool {
        let all = self.ignored.range((channel.clone(), Identifiers::default())..);
        all.take_while(|((of, _), _)| of == channel)
            .any(|((_, held), _)| held.iter().all(|id| ids.get(id.kind) == Some(id.value)))
    }

    /// Returns the catalogue items that wait for a SKU: those that a person has not said to be ignored.
    pub fn waiting_items(&self) -> impl Iterator<Item = &(ChannelId, Identifiers)> {
        // By the first that each names, because there may be many of both.
        let mut ignored: BTreeMap<(&ChannelId, IdKind, &str), Vec<&Identifiers>> = BTreeMap::new();
        for (channel, ids) in self.ignored.keys() {
            if let Some(first) = ids.iter().next() {
                ignored.entry((channel, first.kind, first.value)).or_default().push(ids);
            }
        }
        self.unmatched.keys().filter(move |(channel, ids)| {
            let named = ids.iter().filter_map(|id| ignored.get(&(channel, id.kind, id.value))).flatten();
            let same = |held: &Identifiers| held.iter().all(|id| ids.get(id.kind) == Some(id.value));
            !named.into_iter().any(|held| same(held))
        })
    }

    /// Returns an epoch that was never used: the clock's seconds, because the same backup may be restored twice, and
    /// the second time knows nothing of the epoch that the first one began.
    pub fn next_epoch(&self, now: Timestamp) -> u32 {
        let seconds = u32::try_from(now.millis() / 1_000).unwrap_or(0);
        seconds.max(self.epoch.saturating_add(1))
    }

    /// Takes the keys of all rows touched since the last call.
    pub fn take_dirty(&mut self) -> BTreeSet<RowKey> {
        std::mem::take(&mut self.dirty)
    }

    /// Changes a SKU's row, keeping the index and the touched rows true.
    pub fn change_sku<T>(&mut self, sku: &Sku, change: impl FnOnce(&mut SkuRow) -> T) -> T {
        let policies = self.policies.as_deref();
        let row = match self.skus.entry(sku.clone()) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(none) => {
                self.index.add_sku(policies, sku);
                none.insert(SkuRow::default())
            }
        };
        let before = Index::of_row(policies, sku, row);
        let out = change(row);
        self.index.replace(&before, Index::of_row(policies, sku, row));
        self.dirty.insert(RowKey::Sku(sku.clone()));
        self.note_short(sku);
        out
    }

    /// Returns an order, however long ago it was finished.
    pub fn order(&self, key: &OrderKey) -> Option<Cow<'_, Order>> {
        let held = self.orders.get(key).map(Cow::Borrowed);
        held.or_else(|| Some(Cow::Owned(self.tombstones.get(key)?.order())))
    }

    /// Returns all orders of a channel. Unpacks every tombstone, which takes its time.
    pub fn orders_of<'a>(
        &'a self,
        channel: &'a ChannelId,
    ) -> impl Iterator<Item = (&'a OrderKey, Cow<'a, Order>)> + 'a {
        let held = self.orders.iter().filter(|(key, _)| key.channel == *channel);
        let old = self.tombstones.iter().filter(|(key, _)| key.channel == *channel);
        let held = held.map(|(key, order)| (key, Cow::Borrowed(order)));
        held.chain(old.map(|(key, tombstone)| (key, Cow::Owned(tombstone.order()))))
    }

    /// Returns how many orders are known, however long ago they were finished.
    pub fn orders_known(&self) -> usize {
        self.orders.len() + self.tombstones.len()
    }

    /// Leaves a tombstone of an order.
    pub fn bury(&mut self, key: &OrderKey) {
        let Some(order) = self.orders.remove(key) else { return };
        self.index.replace_work(&Index::of_order(key, &order), Vec::new());
        self.tombstones.insert(key.clone(), Tombstone::of(&order));
        self.dirty.insert(RowKey::Order(key.clone()));
        self.dirty.insert(RowKey::Tombstone(key.clone()));
    }

    /// Changes an order's row, keeping the index and the touched rows true.
    pub fn put_order(&mut self, key: &OrderKey, order: Order) {
        if self.tombstones.remove(key).is_some() {
            self.dirty.insert(RowKey::Tombstone(key.clone()));
        }
        let before = self.orders.get(key).map(|o| Index::of_order(key, o)).unwrap_or_default();
        self.index.replace_work(&before, Index::of_order(key, &order));
        self.orders.insert(key.clone(), order);
        self.dirty.insert(RowKey::Order(key.clone()));
    }

    /// Tells whether anything is known of a channel by what it told itself: from then on its name stands for it.
    pub fn has_heard_of(&self, channel: &ChannelId) -> bool {
        let from = Index::first_order(channel);
        let has = |key: Option<&OrderKey>| key.is_some_and(|key| key.channel == *channel);
        self.channels.get(channel).is_some_and(ChannelRow::was_read)
            || self.index.lists(channel)
            || has(self.orders.range(&from..).next().map(|(key, _)| key))
            || has(self.tombstones.range(&from..).next().map(|(key, _)| key))
    }

    /// Returns the channels whose orders from before the store was restored are still to be read.
    pub fn missed_orders(&self) -> impl Iterator<Item = &ChannelId> {
        let channels = self.policies().into_iter().flat_map(|policies| &policies.channels);
        let missed = |channel: &ChannelId, policy: &ChannelPolicy| {
            let row = self.channels.get(channel);
            let restored = self.restored.or(row.and_then(|row| row.missed));
            let fed = row.and_then(|row| row.fed);
            restored.is_some_and(|at| {
                fed.is_none_or(|fed| fed.begun_at < at.plus_millis(policy.abilities.feed_lag_ms))
            })
        };
        let sells = channels.filter(|(_, policy)| policy.abilities.sells);
        sells.filter(move |(channel, policy)| missed(channel, policy)).map(|(channel, _)| channel)
    }

    /// Tells whether a channel is configured.
    pub fn is_configured(&self, channel: &ChannelId) -> bool {
        self.policies().is_some_and(|policies| policies.channels.contains_key(channel))
    }

    /// Returns the channels that were taken out of the configuration: what is known of them stays.
    pub fn gone_channels(&self) -> impl Iterator<Item = &ChannelId> {
        self.channels.keys().filter(|channel| !self.is_configured(channel))
    }

    pub fn change_channel(&mut self, channel: &ChannelId, change: impl FnOnce(&mut ChannelRow)) {
        change(self.channels.entry(channel.clone()).or_default());
        self.dirty.insert(RowKey::Channel(channel.clone()));
    }
}

impl SkuRow {
    pub fn place(&self, location: &LocationId) -> Option<&Place> {
        self.stock.iter().find(|place| place.location == *location)
    }

    pub fn place_mut(&mut self, location: &LocationId) -> &mut Place {
        let at = self.stock.iter().position(|place| place.location == *location).unwrap_or_else(|| {
            self.stock.reserve_exact(1);
            self.stock.push(Place::new(location.clone()));
            self.stock.len() - 1
        });
        &mut self.stock[at]
    }

    /// Returns what it goes by on a channel, by the first of its listings there.
    pub fn called_on(&self, channel: &ChannelId) -> Option<&Identifiers> {
        let here = |held: &&Listing| held.channel == *channel && !held.given_away();
        self.listings.iter().find(here).map(|held| &held.ids)
    }

    /// Tells whether any of it is sold and not shipped at any of these places, or short.
    pub fn is_sold_at(&self, places: &[LocationId]) -> bool {
        let mut here = self.stock.iter().filter(|place| places.contains(&place.location));
        here.any(|place| {
            !place.stock.committed.is_zero()
                || place.stock.available().is_ok_and(|units| units < Quantity::ZERO)
        })
    }

    /// Returns from when on all that moved at a place is known.
    pub fn known_from(&self, location: &LocationId) -> Timestamp {
        let Some(place) = self.place(location) else { return Timestamp::ZERO };
        let last = || self.recent.last().map_or(Timestamp::ZERO, |booked| booked.recorded_at);
        place.moves.as_ref().map_or_else(last, |moves| moves.from)
    }

    /// Returns what is available over the locations named, and whether all of them are open.
    pub fn available(&self, locations: &[LocationId]) -> Result<Option<Quantity>, Overflow> {
        let opened = |place: &Place| place.opened.is_some() && locations.contains(&place.location);
        if self.stock.iter().any(opened) { self.booked(locations).map(Some) } else { Ok(None) }
    }

    /// Like [`SkuRow::available`], as if what was never counted were none.
    pub fn booked(&self, locations: &[LocationId]) -> Result<Quantity, Overflow> {
        let mut sum = Quantity::ZERO;
        for place in self.stock.iter().filter(|place| locations.contains(&place.location)) {
            sum = sum.add(place.stock.available()?)?;
        }
        // Who sells from both places sells what goes from one to the other on paper all the while.
        let within = |moving: &&Moving| locations.contains(&moving.from) && locations.contains(&moving.to);
        for moving in self.moving.iter().filter(within) {
            sum = sum.add(moving.quantity)?;
        }
        Ok(sum)
    }

    /// Tells whether it was never counted, at whichever place.
    pub fn never_counted(&self) -> bool {
        self.stock.iter().all(|place| place.opened.is_none())
    }

    /// Tells whether nothing is booked on it with us but sales of what was never counted, and what has left the shelf of them. What
    /// a channel keeps by itself is counted and sold there alone.
    pub fn is_only_sold(&self, policies: Option<&Policies>) -> bool {
        let sold = |place: &Place| {
            let Stock { on_hand, committed: _, reserved, incoming } = place.stock;
            place.opened.is_none() && on_hand <= Quantity::ZERO && reserved.is_zero() && incoming.is_zero()
        };
        self.moving.is_empty() && self.with_us(policies).all(sold)
    }

    /// Returns the places that no channel keeps by itself.
    pub fn with_us<'a>(&'a self, policies: Option<&'a Policies>) -> impl Iterator<Item = &'a Place> {
        let ours = move |place: &&Place| policies.is_none_or(|held| held.kept_by(&place.location).is_none());
        self.stock.iter().filter(ours)
    }
}

impl Place {
    pub fn new(location: LocationId) -> Place {
        Place { location, stock: Stock::default(), opened: None, by_hand: None, moves: None }
    }
}

impl StoodFor {
    /// Returns each set of places that listings which sold drew on together.
    pub fn draws(&self) -> impl Iterator<Item = &[LocationId]> {
        let sold = self.kind != ChannelKind::Tryton;
        draws(&self.locations, &self.outlets).filter(move |_| sold)
    }
}

impl ChannelRow {
    /// Returns each set of places that its listings drew on together and do not any more.
    pub fn drew(&self) -> impl Iterator<Item = &[LocationId]> {
        let gone = self.stood_for.iter().flat_map(|was| was.draws()).filter(|places| places.len() > 1);
        self.drew.iter().map(|drew| drew.places.as_slice()).chain(gone)
    }

    /// Returns the channel's time from which its orders must still be read. `None`: they were never read.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.fed.map(|fed| fed.through).max(self.fed_through)
    }

    /// What is counted is counted in all warehouses that it has now.
    pub fn has_counted(&mut self) {
        let had = &self.had;
        self.uncounted.retain(|held| had.contains(held));
    }

    /// Returns the bulk that is open.
    pub fn bulk(&self) -> Option<&Bulk> {
        self.bulks.as_ref()?.open.as_ref()
    }

    /// Returns why nothing is to be written to it, if a notice says so.
    pub fn stopped(&self) -> Option<&str> {
        self.notices.iter().find(|notice| notice.stops).map(|notice| notice.text.as_str())
    }

    /// Tells whether it was ever read to some end.
    fn was_read(&self) -> bool {
        self.watermark().is_some() || self.catalogued_at.is_some() || self.counted_through.is_some()
    }
}

impl Listing {
    /// Tells whether a drift waits for a person. Until then nothing is raised there; what the ledger lowers goes.
    pub fn drifts(&self) -> bool {
        self.drift.as_ref().is_some_and(|drift| drift.is_open())
    }

    /// Tells whether ours was seen there since it last drifted: a lower goes over whatever another writer shows, and may be seen
    /// before the orders are read that could explain what it went over.
    pub fn shows_ours_since(&self) -> bool {
        self.drift.as_ref().map_or(self.writes.confirmed.is_some(), |drift| self.ours_since(drift))
    }

    /// Tells whether ours was seen there since a drift of it.
    pub fn ours_since(&self, drift: &Drifted) -> bool {
        let at = drift.over_at.unwrap_or(drift.at);
        self.writes.confirmed.is_some_and(|confirmed| confirmed.at > at)
    }

    /// Tells whether ours, which is to be written over what its drift has found, was neither sent nor seen since.
    pub fn repair_waits(&self) -> bool {
        let found = |drift: &Drifted| drift.done == Done::Repaired && !self.ours_since(drift);
        let waits = |leg: &Leg| matches!(leg.state, leg::State::Pending | leg::State::Retry { .. });
        self.drift.as_deref().is_some_and(found) && self.leg.as_ref().is_some_and(waits)
    }

    /// Tells whether it is given up because the policy leaves another writer's lower number there, by no person's word.
    pub fn left_to_theirs(&self) -> bool {
        let dropped = self.leg.as_ref().is_some_and(|leg| leg.state == leg::State::Dropped);
        dropped && self.drift.as_ref().is_some_and(|drift| drift.done == Done::Left && drift.theirs)
    }

    /// Tells whether it belongs to another SKU by now: it goes by nothing here any more, and stays so that others keep their
    /// places.
    pub fn given_away(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns why no quantity may be written to it, if none may.
    pub fn why_unwritable(&self) -> Option<&str> {
        (!self.writable()).then(|| self.unwritable.as_deref().unwrap_or("the channel fulfils it"))
    }

    /// Tells whether quantities may ever be written to it.
    pub fn writable(&self) -> bool {
        self.by == FulfilledBy::Merchant && self.unwritable.is_none()
    }
}
