//! The effective configuration of everything that decides. It enters the journal as a record, whole.
//!
//! Holds no address, secret or path: those belong to the process, not to its decisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Abilities, ChannelId, IdKind, Identifiers, Instance, LocationId, Quantity, Sku};

/// Everything that `decide` depends on besides the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policies {
    pub instance: Instance,
    pub mode: Mode,
    pub locations: Vec<LocationId>,
    pub channels: BTreeMap<ChannelId, ChannelPolicy>,
    pub allocation: Allocation,
    /// Deviations for single SKUs; the last matching entry wins, field by field.
    pub overrides: Vec<Override>,
    pub returns: Returns,
    pub mapping: MappingRules,
    /// What bundles are made of. A recipe that was imported counts before one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<Recipe>,
    pub brake: Brake,
    pub retry: Retry,
    pub alerts: AlertPolicy,
    pub drift: DriftPolicy,
    /// How long after its last change a finished order is kept whole, in milliseconds. `None`: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_orders_ms: Option<i64>,
}

impl Policies {
    /// Returns the channel that tells counts of a location. `None`: people count there.
    pub fn counter_of(&self, location: &LocationId) -> Option<&ChannelId> {
        let counts =
            |policy: &ChannelPolicy| policy.abilities.counts.is_some() && policy.locations.contains(location);
        self.channels.iter().find(|(_, policy)| counts(policy)).map(|(channel, _)| channel)
    }
}

/// Whether writes leave the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Live,
    /// Computes and records everything, writes nothing to any channel.
    Shadow,
}

/// One channel as decisions see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelPolicy {
    pub kind: ChannelKind,
    pub abilities: Abilities,
    /// Where its listings draw from, and where its sales are booked (the first one).
    pub locations: Vec<LocationId>,
    /// Where the stock lies that the channel itself ships (FBA): never written, never drawn from by a listing of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_location: Option<LocationId>,
    /// The channel's own locations, where it has such: each shows what it draws on, and its sales are booked at the first
    /// of that. `locations` then are all of these. Empty: every listing draws from `locations`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlets: Vec<Outlet>,
    /// The warehouses of an ERP, and which of our locations each is. Empty: it has none, or that was not recorded yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warehouses: Vec<Warehouse>,
    /// Kept back on this channel, in units per listing.
    pub buffer: Quantity,
    /// Bounds of what a listing shows.
    pub min: Quantity,
    pub max: Option<Quantity>,
    /// For a channel that posts: which movements are posted to it.
    pub posts: Posts,
    /// A feed that was not read for this long alerts, in milliseconds.
    pub feed_late_ms: i64,
    /// What it does about drift in another way than all channels do.
    #[serde(default, skip_serializing_if = "ChannelDrift::is_none")]
    pub drift: ChannelDrift,
    /// Which shop, seller or database it is, by the name that it has outside: another one needs a channel of its own.
    /// `None`: recorded before that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// With more raises than this due, they leave as one, where the channel takes that. `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk_above: Option<u32>,
}

/// One of a channel's own locations, and which of ours it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlet {
    /// What the channel calls it; [`IdKind::Location`] of its listings.
    pub id: String,
    /// What its listings draw from; its sales are booked at the first.
    pub locations: Vec<LocationId>,
}

/// A warehouse of an ERP, and which of our locations it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warehouse {
    /// What the ERP calls it.
    pub code: String,
    pub location: LocationId,
}

/// Returns each set of places that listings of a channel with these draw on together.
pub fn draws<'a>(
    locations: &'a [LocationId],
    outlets: &'a [Outlet],
) -> impl Iterator<Item = &'a [LocationId]> {
    let all = outlets.is_empty().then_some(locations);
    all.into_iter().chain(outlets.iter().map(|outlet| outlet.locations.as_slice()))
}

impl ChannelPolicy {
    /// Returns the outlet of a listing, by what it goes by: one that names none is the first one's. `None`: the channel has
    /// no outlets, or it is one that is not configured (any more).
    pub fn outlet(&self, ids: &Identifiers) -> Option<&Outlet> {
        match ids.get(IdKind::Location) {
            Some(id) => self.outlets.iter().find(|outlet| outlet.id == id),
            None => self.outlets.first(),
        }
    }

    /// Returns where a listing draws from; its sales are booked at the first. `None`: its outlet is not configured.
    pub fn drawn(&self, ids: &Identifiers) -> Option<&[LocationId]> {
        if self.outlets.is_empty() {
            return Some(&self.locations);
        }
        self.outlet(ids).map(|outlet| outlet.locations.as_slice())
    }

    /// Returns each set of places that listings of it draw on together.
    pub fn draws(&self) -> impl Iterator<Item = &[LocationId]> {
        draws(&self.locations, &self.outlets)
    }

    /// Tells whether listings that go by these are of the same outlet.
    pub fn same_outlet(&self, one: &Identifiers, other: &Identifiers) -> bool {
        let id = |ids: &Identifiers| {
            let named = ids.get(IdKind::Location).map(str::to_owned);
            named.or_else(|| self.outlets.first().map(|outlet| outlet.id.clone()))
        };
        id(one) == id(other)
    }

    /// Returns the outlet whose listings draw on a location.
    pub fn outlet_at(&self, location: &LocationId) -> Option<&Outlet> {
        self.outlets.iter().find(|outlet| outlet.locations.contains(location))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    Shopify,
    Amazon,
    Tryton,
}

impl ChannelKind {
    pub fn name(self) -> &'static str {
        match self {
            ChannelKind::Shopify => "shopify",
            ChannelKind::Amazon => "amazon",
            ChannelKind::Tryton => "tryton",
        }
    }

    /// Returns the key of the configuration that says which account of this kind a channel is.
    pub fn account(self) -> &'static str {
        match self {
            ChannelKind::Shopify => "shop",
            ChannelKind::Amazon => "seller_id",
            ChannelKind::Tryton => "database",
        }
    }
}

/// Which movements of an order an ERP is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posts {
    /// Sales and cancellations.
    pub sales: bool,
    /// Shipments and write-offs.
    pub shipments: bool,
    /// Returns.
    pub returns: bool,
}

/// What every listing starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Allocation {
    /// Kept back for all channels together, in units per SKU.
    pub safety_stock: Quantity,
}

/// A deviation for one SKU, on one channel or on all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    pub sku: Sku,
    pub channel: Option<ChannelId>,
    pub safety_stock: Option<Quantity>,
    pub buffer: Option<Quantity>,
    pub min: Option<Quantity>,
    pub max: Option<Quantity>,
}

/// What a returned unit does to the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Returns {
    /// It is on hand again and may be sold.
    Restock,
    /// It is on hand but reserved, until a person has looked at it.
    #[default]
    Quarantine,
    /// It does not come back into stock; a count tells.
    Ignore,
}

/// How a channel's SKU text becomes a canonical SKU when no exact match exists.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MappingRules {
    /// The channel whose item codes are the canonical SKUs.
    pub master: Option<ChannelId>,
    /// White space around the text does not count.
    pub trim: bool,
    /// Upper and lower case are the same.
    pub ignore_case: bool,
    /// Prefixes that a channel puts before the SKU.
    pub strip_prefixes: Vec<String>,
    /// The mapping table of the configuration file. `evenkeel map import` adds to it.
    pub table: Vec<MappingRow>,
}

/// One row of the mapping table: what a SKU goes by on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingRow {
    pub sku: Sku,
    pub channel: ChannelId,
    pub ids: Identifiers,
}

/// What a bundle is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    pub bundle: Sku,
    pub parts: Vec<Part>,
}

/// So many units of a SKU in one unit of something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    pub sku: Sku,
    pub units: Quantity,
}

/// When a change is too large to be believed without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// Percent of the counted stocks, in all or at one location, that one change may set to zero.
    pub zero_percent: u8,
    /// Percent of the units of what was counted that one change may move.
    pub move_percent: u8,
    /// Below this many stocks, or listings, only half of a small catalogue is held.
    pub min_skus: u32,
}

/// How writes are tried again. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    pub base_ms: i64,
    pub cap_ms: i64,
    /// Failures in a row after which a channel's circuit opens.
    pub circuit_failures: u32,
    /// How long an open circuit waits before one probe.
    pub circuit_open_ms: i64,
}

/// When a person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertPolicy {
    /// A leg alerts after this many tries...
    pub after_tries: u32,
    /// ...or when it is unconfirmed for this long, whichever comes first.
    pub after_ms: i64,
    /// A firing alert is repeated after this long; zero means never.
    pub repeat_ms: i64,
    /// Whether there is anywhere to send alerts to.
    pub webhook: bool,
    /// A SKU of which so many units are sold that are not there alerts; zero means never.
    #[serde(default = "AlertPolicy::oversold_units", skip_serializing_if = "AlertPolicy::is_oversold_units")]
    pub oversold_units: u32,
}

impl AlertPolicy {
    pub const fn oversold_units() -> u32 {
        1
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_oversold_units(units: &u32) -> bool {
        *units == AlertPolicy::oversold_units()
    }
}

/// What to do about differences that nothing explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftPolicy {
    /// Where nothing else is said.
    pub repair: Repair,
    /// Where on_hand moved with it: somebody edited the stock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<Repair>,
    /// This many repairs of one listing...
    #[serde(default = "DriftPolicy::loop_repairs", skip_serializing_if = "DriftPolicy::is_loop_repairs")]
    pub loop_repairs: u32,
    /// ...within this time are a loop between two writers: the listing is held. In milliseconds.
    #[serde(default = "DriftPolicy::loop_within_ms", skip_serializing_if = "DriftPolicy::is_loop_within_ms")]
    pub loop_within_ms: i64,
}

/// What one channel does in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChannelDrift {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<Repair>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// The ledger is right: write it again.
    #[default]
    Ours,
    /// Leave it and alert.
    Ask,
    /// The channel is right: an edit of the stock moves the ledger, and a lower quantity is left as it is.
    Theirs,
}

impl Policies {
    /// Returns the places of the merchant's own stock: all but those whose stock a channel holds by itself (FBA).
    pub fn own_places(&self) -> Vec<LocationId> {
        self.locations.iter().filter(|place| self.kept_by(place).is_none()).cloned().collect()
    }

    /// Returns the channel that keeps and ships what lies at a place, and tells by itself how much that is (FBA).
    pub fn kept_by(&self, place: &LocationId) -> Option<&ChannelId> {
        let theirs = |channel: &ChannelPolicy| channel.own_location.as_ref() == Some(place);
        self.channels.iter().find(|(_, channel)| theirs(channel)).map(|(id, _)| id)
    }
}

impl DriftPolicy {
    /// The most repairs that are remembered of one listing.
    pub const LOOP_REPAIRS_MAX: u32 = 16;

    pub const fn loop_repairs() -> u32 {
        4
    }

    pub const fn loop_within_ms() -> i64 {
        3_600_000
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_loop_repairs(repairs: &u32) -> bool {
        *repairs == DriftPolicy::loop_repairs()
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_loop_within_ms(within: &i64) -> bool {
        *within == DriftPolicy::loop_within_ms()
    }

    /// Returns what one channel does about a difference. `on_hand`: the stock was edited.
    pub fn repair(&self, channel: ChannelDrift, on_hand: bool) -> Repair {
        let of_all = channel.repair.unwrap_or(self.repair);
        if on_hand { channel.on_hand.or(self.on_hand).unwrap_or(of_all) } else { of_all }
    }
}

impl Default for DriftPolicy {
    fn default() -> DriftPolicy {
        DriftPolicy {
            repair: Repair::default(),
            on_hand: None,
            loop_repairs: DriftPolicy::loop_repairs(),
            loop_within_ms: DriftPolicy::loop_within_ms(),
        }
    }
}

impl ChannelDrift {
    fn is_none(&self) -> bool {
        *self == ChannelDrift::default()
    }
}
