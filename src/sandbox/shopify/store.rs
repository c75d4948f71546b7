//! What the simulated shop holds: inventory items with their states at each location, orders, and the webhooks that are
//! due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use url::Url;

use crate::sandbox::catalogue::Catalogue;
use crate::sandbox::dice::Dice;
use crate::sandbox::options::ShopifyOptions;
use crate::sandbox::world::signed;

use super::app::App;
use super::bulk::Bulk;
use super::inventory::Keys;
use super::orders::Order;
use super::points::Points;
use super::webhooks::Letter;

/// How many undelivered webhooks may wait; more are lost, as by any overloaded sender.
const MAIL_MAX: usize = 100_000;

pub(in crate::sandbox) struct Store {
    pub(super) opened_ms: i64,
    pub(super) items: Vec<Item>,
    pub(super) orders: Vec<Order>,
    /// Orders that a feed may show, in the order of their (updated second, index).
    pub(super) by_update: BTreeSet<(i64, usize)>,
    /// Where a fulfilment or refund of this id is: order, index.
    pub(super) fulfilments: BTreeMap<u64, (usize, usize)>,
    pub(super) refunds: BTreeMap<u64, (usize, usize)>,
    /// The same of fulfillment orders; and these in the order of their (updated second, order, index).
    pub(super) routes: BTreeMap<u64, (usize, usize)>,
    pub(super) routes_by_update: BTreeSet<(i64, usize, usize)>,
    /// How many locations the shop has.
    pub(super) places: usize,
    pub(super) points: Points,
    pub(super) keys: Keys,
    pub(super) groups: u64,
    pub(super) bulks: Vec<Bulk>,
    lines: u64,
    /// Granted tokens with their end.
    tokens: BTreeMap<String, i64>,
    /// Where webhooks go that were made in the admin, of every topic; without it there are none.
    pub(super) webhook_url: Option<Url>,
    pub(in crate::sandbox) app: App,
    pub(super) mail: VecDeque<Letter>,
    /// Webhooks that were taken from `mail` and are neither delivered nor given up.
    pub(super) mail_in_hand: usize,
    pub(super) mail_lost: u64,
    pub(super) mail_given_up: u64,
    pub(super) mail_delivered: u64,
}

/// One inventory item with its variant and product, which all share an index.
pub(super) struct Item {
    pub(super) sku: String,
    pub(super) title: String,
    pub(super) price_cents: i64,
    /// At each location.
    pub(super) levels: Vec<Level>,
    /// The items that a bundle is made of, with the units of each; empty for an ordinary item.
    pub(super) parts: Vec<(usize, i64)>,
}

/// The states of an item at a location. `on_hand` is their sum, without `incoming`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// Not stocked there.
    pub(super) absent: bool,
    pub(super) available: i64,
    pub(super) committed: i64,
    pub(super) reserved: i64,
    pub(super) damaged: i64,
    pub(super) safety_stock: i64,
    pub(super) quality_control: i64,
    pub(super) incoming: i64,
    pub(super) updated_ms: i64,
}

impl Level {
    pub(super) fn on_hand(&self) -> i64 {
        self.available
            + self.committed
            + self.reserved
            + self.damaged
            + self.safety_stock
            + self.quality_control
    }

    /// Returns the quantity with this name, as the API knows it.
    pub(super) fn get(&self, name: &str) -> Option<i64> {
        Some(match name {
            "available" => self.available,
            "committed" => self.committed,
            "reserved" => self.reserved,
            "damaged" => self.damaged,
            "safety_stock" => self.safety_stock,
            "quality_control" => self.quality_control,
            "incoming" => self.incoming,
            "on_hand" => self.on_hand(),
            _ => return None,
        })
    }

    /// The state of this name, if a client may adjust it.
    pub(super) fn adjustable(&mut self, name: &str) -> Option<&mut i64> {
        Some(match name {
            "available" => &mut self.available,
            "reserved" => &mut self.reserved,
            "damaged" => &mut self.damaged,
            "safety_stock" => &mut self.safety_stock,
            "quality_control" => &mut self.quality_control,
            "incoming" => &mut self.incoming,
            _ => return None,
        })
    }
}

impl Store {
    pub(in crate::sandbox) fn new(catalogue: &Catalogue, options: &ShopifyOptions, now_ms: i64) -> Store {
        let places = catalogue.skus.first().map_or(1, |sku| sku.openings.len());
        let singles = catalogue.skus.iter().map(|sku| Item {
            sku: sku.code.clone(),
            title: sku.title.clone(),
            price_cents: sku.price_cents,
            levels: sku
                .openings
                .iter()
                .map(|units| Level { available: *units, updated_ms: now_ms, ..Level::default() })
                .collect(),
            parts: Vec::new(),
        });
        let bundles = catalogue.bundles.iter().map(|bundle| Item {
            sku: bundle.code.clone(),
            title: format!("Bundle {}", bundle.code),
            price_cents: 1999,
            levels: vec![Level { updated_ms: now_ms, ..Level::default() }; places],
            parts: bundle.parts.to_vec(),
        });
        let sets = catalogue.sets.iter().map(|set| Item {
            sku: set.code.clone(),
            title: format!("Set {}", set.code),
            price_cents: 2499,
            levels: (0..places)
                .map(|place| {
                    let there =
                        set.parts.iter().map(|(sku, units)| catalogue.skus[*sku].openings[place] / units);
                    Level { available: there.min().unwrap_or(0), updated_ms: now_ms, ..Level::default() }
                })
                .collect(),
            parts: Vec::new(),
        });
        Store {
            opened_ms: now_ms,
            items: singles.chain(bundles).chain(sets).collect(),
            orders: Vec::new(),
            by_update: BTreeSet::new(),
            fulfilments: BTreeMap::new(),
            refunds: BTreeMap::new(),
            routes: BTreeMap::new(),
            routes_by_update: BTreeSet::new(),
            places,
            points: Points::new(options, now_ms),
            keys: Keys::default(),
            groups: 0,
            bulks: Vec::new(),
            lines: 0,
            tokens: BTreeMap::new(),
            webhook_url: options.webhook_url.clone(),
            app: App::default(),
            mail: VecDeque::new(),
            mail_in_hand: 0,
            mail_lost: 0,
            mail_given_up: 0,
            mail_delivered: 0,
        }
    }

    /// What may be bought of an item, at all locations together. Of a bundle: as many as its components make.
    pub(in crate::sandbox) fn available(&self, item: usize) -> i64 {
        let parts = &self.items[item].parts;
        let most = parts.iter().map(|(part, units)| self.available(*part).max(0) / units).min();
        most.unwrap_or_else(|| self.own_available(item))
    }

    fn own_available(&self, item: usize) -> i64 {
        self.items[item].levels.iter().filter(|level| !level.absent).map(|level| level.available).sum()
    }

    pub(super) fn available_at(&self, item: usize, place: usize) -> i64 {
        self.level(item, place).available
    }

    pub(super) fn level(&self, item: usize, place: usize) -> &Level {
        &self.items[item].levels[place]
    }

    /// Whether an item is stocked at a location.
    pub(super) fn is_stocked(&self, item: usize, place: usize) -> bool {
        self.has_level(item) && self.items[item].levels.get(place).is_some_and(|level| !level.absent)
    }

    /// Stocks an item at a location, or no longer.
    pub(in crate::sandbox) fn stock(&mut self, item: usize, place: usize, here: bool) -> Result<(), String> {
        let level = self.items[item].levels.get_mut(place).ok_or("there is no such place")?;
        if !here && (level.committed != 0 || level.available != 0) {
            return Err("units of it are there: set its quantity to 0 first".into());
        }
        level.absent = !here;
        Ok(())
    }

    /// When a level of an item last changed.
    pub(super) fn item_updated_ms(&self, item: usize) -> i64 {
        self.items[item].levels.iter().map(|level| level.updated_ms).max().unwrap_or(self.opened_ms)
    }

    /// Whether the item has a stock level of its own: bundles do not.
    pub(super) fn has_level(&self, item: usize) -> bool {
        self.items.get(item).is_some_and(|item| item.parts.is_empty())
    }

    pub(super) fn next_line(&mut self) -> u64 {
        self.lines += 1;
        self.lines
    }

    pub(super) fn grant(&mut self, now_ms: i64, secs: u64, dice: &mut Dice) -> String {
        self.tokens.retain(|_, ends_ms| *ends_ms > now_ms);
        let token = format!("shpat_{}", dice.uuid().replace('-', ""));
        self.tokens.insert(token.clone(), now_ms + signed(secs * 1000));
        token
    }

    pub(super) fn grants(&self, token: &str, now_ms: i64) -> bool {
        self.tokens.get(token).is_some_and(|ends_ms| *ends_ms > now_ms)
    }

    /// Ends all tokens that were granted.
    pub(in crate::sandbox) fn revoke(&mut self) {
        self.tokens.clear();
    }

    /// Sends webhooks elsewhere from now on, or stops making them.
    pub(in crate::sandbox) fn send_webhooks_to(&mut self, url: Option<Url>) {
        self.webhook_url = url;
    }

    /// Sends a webhook to whoever is to have it.
    pub(super) fn post(&mut self, letter: Letter) {
        for there in self.app.subscribed(letter.topic) {
            let webhook_id = format!("{}-{}", letter.webhook_id, there.number);
            self.put(Letter { webhook_id, to: Some(there), ..letter.clone() });
        }
        if self.webhook_url.is_some() {
            self.put(letter);
        }
    }

    fn put(&mut self, letter: Letter) {
        if self.mail.len() < MAIL_MAX {
            self.mail.push_back(letter);
        } else {
            self.mail_lost += 1;
        }
    }

    pub(in crate::sandbox) fn mail_waiting(&self) -> bool {
        !self.mail.is_empty()
    }

    /// Webhooks that are neither delivered nor given up.
    pub(in crate::sandbox) fn mail_pending(&self) -> usize {
        self.mail.len() + self.mail_in_hand
    }

    /// States of an item for the control API.
    pub(in crate::sandbox) fn level_report(&self, item: usize) -> serde_json::Value {
        let levels = &self.items[item].levels;
        serde_json::json!({
            "shown": self.available(item),
            "on_hand": levels.iter().map(Level::on_hand).sum::<i64>(),
            "committed": levels.iter().map(|level| level.committed).sum::<i64>(),
            "inventory_item_id": super::ids::Kind::InventoryItem.number(item as u64),
        })
    }

    /// The same of one location.
    pub(in crate::sandbox) fn place_report(&self, item: usize, place: usize) -> serde_json::Value {
        let level = self.level(item, place);
        serde_json::json!({
            "location_id": super::ids::location(place),
            "shown": level.available,
            "on_hand": level.on_hand(),
            "committed": level.committed,
            "stocked": self.is_stocked(item, place),
        })
    }

    /// What became of requests to the API, for the control API.
    pub(in crate::sandbox) fn points_report(&self) -> serde_json::Value {
        self.points.report()
    }

    /// What became of the webhooks, for the control API.
    pub(in crate::sandbox) fn mail_report(&self) -> serde_json::Value {
        serde_json::json!({
            "pending": self.mail_pending(),
            "delivered": self.mail_delivered,
            "given_up": self.mail_given_up,
            "lost": self.mail_lost,
        })
    }
}
