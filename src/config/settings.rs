//! The configuration once it is known to be good: typed, complete, in pieces that are handed down.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use url::Url;

use crate::{
    config::{Schedule, SecretRef, span},
    model::{
        Abilities, ChannelId, Instance, LocationId, Measure, Quantity, Timestamp,
        policy::{
            AlertPolicy, Allocation, Brake, ChannelDrift, ChannelKind, ChannelPolicy, DriftPolicy,
            MappingRules, Mode, Outlet, Override, Policies, Posts, Recipe, Retry, Returns, Warehouse,
        },
    },
};

/// Everything that the file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub mode: Mode,
    pub instance: Instance,
    pub store: Store,
    pub memory: MemoryLimits,
    pub web: Web,
    pub socket: Socket,
    pub log: Log,
    /// In the order of the file.
    pub locations: Vec<LocationId>,
    pub allocation: Allocation,
    pub overrides: Vec<Override>,
    pub returns: Returns,
    pub mapping: MappingRules,
    pub bundles: Vec<Recipe>,
    pub brake: Brake,
    pub retry: Retry,
    pub alerts: Alerts,
    pub drift: DriftPolicy,
    /// How often each channel is tended: its pushes, our rights there, its API.
    pub tend: Schedule,
    pub retention: Retention,
    pub shopify: BTreeMap<ChannelId, Shopify>,
    pub amazon: BTreeMap<ChannelId, Amazon>,
    pub tryton: BTreeMap<ChannelId, Tryton>,
}

/// The journal and the state beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The directory that holds everything durable.
    pub path: PathBuf,
    /// Where older journal segments are kept, compressed.
    pub archive: PathBuf,
    pub room: RoomLimits,
    /// A journal segment is closed and a new one begun when it is this long.
    pub segment_bytes: u64,
    /// What the state may keep in memory as its cache.
    pub cache_bytes: u64,
    /// The largest number of commands that share one fsync.
    pub group_max: usize,
    /// How old the state may become before a fresh one takes its place. `None`: any age.
    pub swap_every: Option<Duration>,
}

/// How much room must be left on the store's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomLimits {
    /// With less than this percentage free, people are told. 0: never.
    pub alarm_percent: u8,
    pub stop: StopAt,
}

/// With less room than this, nothing more is taken in. 0: as long as anything can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopAt {
    Percent(u8),
    Bytes(u64),
}

/// How much memory the process may hold, in bytes of its resident set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// From here on people are told. 0: never.
    pub alarm_bytes: u64,
    /// From here on the process ends, to be started again. 0: never.
    pub restart_bytes: u64,
    /// Not before it has run for so long.
    pub restart_after: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    pub listen: SocketAddr,
    /// Where `listen` is reached from the internet. It ends in `/`.
    pub public_url: Option<Url>,
    /// A larger request gets 413.
    pub body_max_bytes: usize,
    /// Commands that may wait for the ledger; when it is full, a webhook gets 503.
    pub queue_max: usize,
    /// A request that is not answered by then gets 503.
    pub answer_within: Duration,
}

impl Web {
    /// Returns the door of a shop as it is reached from the internet.
    pub fn hooks(&self, channel: &ChannelId) -> Option<Url> {
        self.public_url.as_ref()?.join(&format!("webhooks/shopify/{channel}")).ok()
    }
}

/// Where the command line meets the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    pub path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// A level, or directives such as `info,evenkeel::engine=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Journald under systemd, text elsewhere.
    #[default]
    Auto,
    Text,
    Json,
    Journald,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    pub policy: AlertPolicy,
    /// Where alerts are posted to.
    pub target: Option<AlertTarget>,
    /// Linked to in alerts, with the alert's kind as the fragment.
    pub runbook_url: Option<Url>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertTarget {
    Plain(Url),
    /// The address itself is the credential, as Slack's is.
    Secret(SecretRef),
}

/// How long what is done with is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Archived journal segments. `None`: for ever.
    pub archive: Option<Duration>,
    /// Bodies that could not be read.
    pub quarantine: Duration,
    /// Finished orders, after which a tombstone is left. `None`: for ever.
    pub orders: Option<Duration>,
}

/// What every channel that sells has.
#[derive(Debug, Clone, PartialEq)]
pub struct Selling {
    /// Where its listings draw from; its sales are booked at the first unless the channel says where they are shipped from.
    pub locations: Vec<LocationId>,
    pub buffer: Quantity,
    pub min: Quantity,
    pub max: Option<Quantity>,
    pub orders: Feed,
    /// How far back the orders are read when the feed has no watermark yet.
    pub orders_lookback: Duration,
    /// The full comparison of what the channel shows with what was confirmed.
    pub reconcile: Schedule,
    /// What it does about drift in another way than all channels do.
    pub drift: ChannelDrift,
}

/// A feed that is read since a watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    pub schedule: Schedule,
    /// How far before its watermark each read begins.
    pub overlap: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// From the first byte to connect until the last byte of the answer.
    pub total: Duration,
}

/// What the operator knows better than the connector about a channel's delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assume {
    pub late: Option<Duration>,
    pub stale: Option<Duration>,
    pub feed_lag: Option<Duration>,
    pub visible: Option<Duration>,
    pub look: Option<Duration>,
}

impl Assume {
    /// Returns what the connector states, with the operator's figures where they are given.
    pub fn over(&self, stated: Abilities) -> Abilities {
        let or = |given: Option<Duration>, stated: i64| given.map_or(stated, span::millis);
        Abilities {
            late_ms: or(self.late, stated.late_ms),
            stale_ms: or(self.stale, stated.stale_ms),
            feed_lag_ms: or(self.feed_lag, stated.feed_lag_ms),
            visible_ms: or(self.visible, stated.visible_ms),
            look_ms: or(self.look, stated.look_ms),
            ..stated
        }
    }
}

/// `[channels.shopify.<name>]`
#[derive(Debug, Clone, PartialEq)]
pub struct Shopify {
    /// The shop's own domain, as webhooks name it: `example.myshopify.com`.
    pub shop: String,
    pub base_url: Url,
    pub api_version: String,
    pub access: Access,
    /// What signs webhooks besides the client's own secret.
    pub webhook_secrets: Vec<SecretRef>,
    /// Shopify's locations that quantities are written to (their ids in digits only), and what each draws on.
    pub outlets: Vec<Outlet>,
    /// A shop with more variants is compared by a bulk operation.
    pub bulk_above: u64,
    /// Items that are not stocked at a location are, once they are to show something there.
    pub stock_items: bool,
    pub selling: Selling,
    pub timeouts: Timeouts,
    pub assume: Assume,
}

/// How a shop knows who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// By a token that does not end.
    Token(SecretRef),
    /// By an app that asks for tokens by itself.
    Client { id: String, secret: SecretRef },
}

impl Access {
    /// Returns the secret that it rests on.
    pub fn secret(&self) -> &SecretRef {
        match self {
            Access::Token(secret) | Access::Client { secret, .. } => secret,
        }
    }
}

/// `[channels.amazon.<name>]`
#[derive(Debug, Clone, PartialEq)]
pub struct Amazon {
    pub base_url: Url,
    pub lwa_url: Url,
    pub seller_id: String,
    pub marketplaces: Vec<String>,
    pub client_id: String,
    pub client_secret: SecretRef,
    /// When that was made.
    pub client_secret_since: Option<Timestamp>,
    pub refresh_token: SecretRef,
    pub rates: Rates,
    /// An account with more listings is compared by reports.
    pub report_above: u64,
    /// More raises than this leave as one feed. Zero: never.
    pub feed_above: u32,
    /// Where the stock lies that Amazon ships (FBA).
    pub fba_location: Option<LocationId>,
    /// How often that is read.
    pub fba: Schedule,
    /// Where Amazon's notifications come in.
    pub queue: Option<Queue>,
    pub selling: Selling,
    pub timeouts: Timeouts,
    pub assume: Assume,
}

/// A queue of Amazon's Simple Queue Service.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    pub url: Url,
    pub region: String,
    /// The access key. `None`: what the AWS SDK finds by itself.
    pub key: Option<(String, SecretRef)>,
}

/// Amazon's usage plans, one token bucket for each operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    pub search_orders: Rate,
    pub get_order: Rate,
    pub patch_listings_item: Rate,
    pub get_listings_item: Rate,
    pub search_listings_items: Rate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: u32,
}

/// `[channels.tryton.<name>]`
#[derive(Debug, Clone, PartialEq)]
pub struct Tryton {
    pub base_url: Url,
    pub database: String,
    pub key: SecretRef,
    /// The record id of the company, where the key's user works for several.
    pub company: Option<i64>,
    /// The code of the party that sales are posted for.
    pub customer: String,
    /// The codes of the warehouses that are counted and that sales are shipped from, and what we call each.
    pub warehouses: Vec<(String, LocationId)>,
    /// Which quantity is read as a count, if any is.
    pub counts: Option<Measure>,
    pub posts: Posts,
    /// Reads what moved.
    pub levels: Feed,
    /// Reads everything.
    pub sweep: Schedule,
    pub timeouts: Timeouts,
    pub assume: Assume,
}

impl Config {
    /// Returns the part that decisions depend on, and that enters the journal.
    pub fn policies(&self, abilities: impl Fn(&ChannelId) -> Abilities) -> Policies {
        let mut channels = BTreeMap::new();
        for (id, channel) in &self.shopify {
            let stated = channel.assume.over(abilities(id));
            let policy = channel.selling.policy(ChannelKind::Shopify, stated);
            let (outlets, account) = (channel.outlets.clone(), Some(channel.shop.clone()));
            channels.insert(id.clone(), ChannelPolicy { outlets, account, ..policy });
        }
        for (id, channel) in &self.amazon {
            let stated = channel.assume.over(abilities(id));
            let policy = channel.selling.policy(ChannelKind::Amazon, stated);
            let (own_location, account) = (channel.fba_location.clone(), Some(channel.seller_id.clone()));
            let bulk_above = Some(channel.feed_above).filter(|above| *above > 0);
            channels.insert(id.clone(), ChannelPolicy { own_location, account, bulk_above, ..policy });
        }
        for (id, channel) in &self.tryton {
            let stated = channel.assume.over(abilities(id));
            channels.insert(id.clone(), channel.policy(Abilities { counts: channel.counts, ..stated }));
        }
        Policies {
            instance: self.instance.clone(),
            mode: self.mode,
            locations: self.locations.clone(),
            channels,
            allocation: self.allocation,
            overrides: self.overrides.clone(),
            returns: self.returns,
            mapping: self.mapping.clone(),
            bundles: self.bundles.clone(),
            brake: self.brake,
            retry: self.retry,
            alerts: self.alerts.policy,
            drift: self.drift,
            keep_orders_ms: self.retention.orders.map(span::millis),
        }
    }

    /// Returns every channel with its kind, by name.
    pub fn channels(&self) -> BTreeMap<&ChannelId, ChannelKind> {
        let shopify = self.shopify.keys().map(|id| (id, ChannelKind::Shopify));
        let amazon = self.amazon.keys().map(|id| (id, ChannelKind::Amazon));
        let tryton = self.tryton.keys().map(|id| (id, ChannelKind::Tryton));
        shopify.chain(amazon).chain(tryton).collect()
    }

    /// Returns what a channel that sells has.
    pub fn selling(&self, id: &ChannelId) -> Option<&Selling> {
        let shopify = self.shopify.get(id).map(|channel| &channel.selling);
        shopify.or_else(|| self.amazon.get(id).map(|channel| &channel.selling))
    }
}

/// A feed that missed three of its turns, and a quarter of an hour at least, is late.
fn feed_late_ms(schedule: &Schedule) -> i64 {
    const LEAST: Duration = Duration::from_mins(15);
    match schedule {
        Schedule::Every(span) => span::millis((*span * 3).max(LEAST)),
        Schedule::Cron(_) => span::millis(LEAST * 8),
    }
}

impl Selling {
    fn policy(&self, kind: ChannelKind, abilities: Abilities) -> ChannelPolicy {
        ChannelPolicy {
            kind,
            abilities,
            locations: self.locations.clone(),
            own_location: None,
            outlets: Vec::new(),
            warehouses: Vec::new(),
            buffer: self.buffer,
            min: self.min,
            max: self.max,
            posts: Posts { sales: false, shipments: false, returns: false },
            feed_late_ms: feed_late_ms(&self.orders.schedule),
            drift: self.drift,
            account: None,
            bulk_above: None,
        }
    }
}

impl Tryton {
    fn policy(&self, abilities: Abilities) -> ChannelPolicy {
        let warehouse = |(code, location): &(String, LocationId)| Warehouse {
            code: code.clone(),
            location: location.clone(),
        };
        ChannelPolicy {
            kind: ChannelKind::Tryton,
            abilities,
            locations: self.warehouses.iter().map(|(_, location)| location.clone()).collect(),
            own_location: None,
            outlets: Vec::new(),
            warehouses: self.warehouses.iter().map(warehouse).collect(),
            buffer: Quantity::ZERO,
            min: Quantity::ZERO,
            max: None,
            posts: self.posts,
            feed_late_ms: feed_late_ms(&self.levels.schedule),
            drift: ChannelDrift::default(),
            account: Some(self.database.clone()),
            bulk_above: None,
        }
    }
}
