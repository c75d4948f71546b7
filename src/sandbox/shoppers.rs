//! Shoppers, and the merchant behind them. They see what a channel shows and buy only what is there; what two channels
//! show of the same unit they cannot know.

use super::books::Channel;
use super::dice::Dice;
use super::options::{ShopperOptions, Span};
use super::people::{self, Wish};
use super::shopify::{CancelReason, Restock};
use super::world::{Event, World, signed};

/// Shoppers who find nothing, per order that is to be placed, before they stop coming.
const VISITS_PER_ORDER: u64 = 20;

/// Who is still to come.
pub(super) struct Shoppers {
    options: ShopperOptions,
    dice: Dice,
    per_second: f64,
    orders_left: u64,
    visits_left: u64,
    /// Whether a visit is on the agenda.
    coming: bool,
}

impl Shoppers {
    pub(super) fn new(options: &ShopperOptions, seed: u64) -> Shoppers {
        Shoppers {
            options: options.clone(),
            dice: Dice::new(seed, 6),
            per_second: 0.0,
            orders_left: 0,
            visits_left: 0,
            coming: false,
        }
    }

    /// From one visit to the next: arrivals are a Poisson process.
    fn pause_ms(&mut self) -> i64 {
        let pause = -(1.0 - self.dice.unit()).ln() / self.per_second * 1000.0;
        pause.min(1e9) as i64
    }
}

/// Lets shoppers come until they have placed so many orders.
pub(super) fn invite(world: &mut World, orders: u64, per_second: f64, now_ms: i64) {
    let shoppers = &mut world.shoppers;
    shoppers.orders_left = shoppers.orders_left.saturating_add(orders);
    shoppers.visits_left = shoppers.orders_left.saturating_mul(VISITS_PER_ORDER).saturating_add(100);
    shoppers.per_second = per_second;
    if per_second > 0.0 && orders > 0 && !shoppers.coming {
        shoppers.coming = true;
        let next_ms = now_ms + shoppers.pause_ms();
        world.agenda.plan(next_ms, Event::ShopperComes);
    }
}

/// One shopper comes, and the next is on the way.
pub(super) fn visit(world: &mut World, now_ms: i64) {
    world.shoppers.visits_left = world.shoppers.visits_left.saturating_sub(1);
    if buy(world, now_ms) {
        world.shoppers.orders_left -= 1;
    } else {
        world.books.turned_away += 1;
    }
    let shoppers = &mut world.shoppers;
    shoppers.coming = shoppers.orders_left > 0 && shoppers.visits_left > 0;
    if shoppers.coming {
        let next_ms = now_ms + shoppers.pause_ms();
        world.agenda.plan(next_ms, Event::ShopperComes);
    }
}

/// Buys something that is shown; false when nothing of what the shopper looked at was.
fn buy(world: &mut World, now_ms: i64) -> bool {
    let World { shoppers, catalogue, shopify, amazon, .. } = world;
    let channel =
        if shoppers.dice.chance(shoppers.options.amazon_share) { Channel::Amazon } else { Channel::Shopify };
    let wanted = shoppers.dice.within(Span::new(1, shoppers.options.lines_max.max(1)));
    let fba = channel == Channel::Amazon && shoppers.dice.chance(0.1);
    let mut lines: Vec<(usize, i64)> = Vec::new();
    for _ in 0..wanted {
        // Few SKUs sell most: the cube makes the first eighth of the catalogue half of all looks.
        let listed = if channel == Channel::Shopify { catalogue.listed() } else { catalogue.skus.len() };
        let sku = (shoppers.dice.unit().powi(3) * listed as f64) as usize;
        let shown = match channel {
            Channel::Amazon if fba => amazon.fba(sku).unwrap_or(0),
            Channel::Amazon => amazon.live(sku),
            Channel::Shopify | Channel::Erp => shopify.available(sku),
        };
        // What a bundle is made of may be in another line: together they might be more than is shown.
        let alone = |listed: usize| channel == Channel::Shopify && shopify.is_bundle(listed);
        let fits = lines.is_empty() || !alone(sku);
        if shown > 0 && fits && lines.iter().all(|(own, _)| *own != sku && !alone(*own)) {
            let most = shoppers.options.quantity_max.min(shown.unsigned_abs()).max(1);
            lines.push((sku, signed(shoppers.dice.within(Span::new(1, most)))));
        }
    }
    let wish = Wish { channel, lines: &lines, fba, hidden: false, place: None };
    match people::place(world, &wish, now_ms) {
        Ok((_, order)) => {
            plan_next_step(world, channel, order, now_ms);
            true
        }
        Err(_) => false,
    }
}

fn plan_next_step(world: &mut World, channel: Channel, order: usize, now_ms: i64) {
    let pause = signed(world.shoppers.dice.within(world.shoppers.options.next_step_ms));
    world.agenda.plan(now_ms + pause, Event::NextStep { channel, order });
}

/// The next thing that happens to a shopper's order: it is cancelled, shipped whole or in part, sent back in part, or
/// left as it is.
pub(super) fn next_step(world: &mut World, channel: Channel, order: usize, now_ms: i64) {
    if channel == Channel::Amazon && world.amazon.is_pending(order) {
        plan_next_step(world, channel, order, now_ms);
        return;
    }
    let (id, open, shipped) = match channel {
        Channel::Amazon => {
            let id = world.amazon.order_id(order).to_owned();
            (id, world.amazon.is_open(order), world.amazon.returnable(order))
        }
        Channel::Shopify | Channel::Erp => {
            let id = super::shopify::Kind::Order.number(order as u64).to_string();
            (id, world.shopify.is_open(order), world.shopify.returnable(order))
        }
    };
    let draw = world.shoppers.dice.unit();
    let options = &world.shoppers.options;
    let (cancelled, fulfilled) = (options.cancelled_share, options.fulfilled_share);
    let returned = options.returned_share;
    if open && shipped.is_empty() && draw < cancelled {
        // What lies on no shelf cannot be found broken there: nothing is written off of what was oversold.
        let restock = !world.shoppers.dice.chance(0.2) || is_oversold(world, channel, order);
        let reason = if restock { CancelReason::Customer } else { CancelReason::Inventory };
        drop(people::cancel(world, channel, &id, restock, reason, now_ms));
    } else if open && (!shipped.is_empty() || draw < cancelled + fulfilled) {
        let part = first_unit(world, channel, order).filter(|_| world.shoppers.dice.chance(0.2));
        let lines = part.map(|line| vec![line]);
        if people::fulfil(world, channel, &id, lines.as_deref(), now_ms).is_ok() {
            plan_next_step(world, channel, order, now_ms);
        }
    } else if let Some((sku, _)) =
        shipped.first().filter(|_| !open && draw < returned && channel != Channel::Amazon)
    {
        // Amazon's order feed tells nothing of what comes back: staff would count it in the ERP.
        let restock = if world.shoppers.dice.chance(0.8) { Restock::Return } else { Restock::NoRestock };
        drop(people::refund(world, channel, &id, &[(*sku, 1)], (restock, None), now_ms));
    }
}

/// Tells whether units of an order were sold that are not there.
fn is_oversold(world: &World, channel: Channel, order: usize) -> bool {
    let items = match channel {
        Channel::Amazon => world.amazon.open_items(order),
        Channel::Shopify | Channel::Erp => world.shopify.open_items(order),
    };
    let missing = |sku: &usize| world.books.skus()[*sku].available() < 0;
    items.iter().any(|listed| match world.catalogue.set(*listed) {
        Some(set) => set.parts.iter().any(|(sku, _)| missing(sku)),
        None => missing(listed),
    })
}

/// One unit of an order's first open line.
fn first_unit(world: &World, channel: Channel, order: usize) -> Option<(usize, i64)> {
    match channel {
        Channel::Amazon => world.amazon.first_open(order),
        Channel::Shopify | Channel::Erp => world.shopify.first_open(order),
    }
    .map(|sku| (sku, 1))
}
