//! What people do: shoppers order and cancel, the merchant ships and refunds, staff count and edit, and a rival app
//! writes. Each act changes the channel where it happens and, where it is about real units, the books.

use super::books::{Cause, Channel, Move, Moved};
use super::erp;
use super::faults::System;
use super::options::Span;
use super::shopify::{self, CancelReason, Refusal, Restock};
use super::world::{Event as Planned, World, signed};

/// An order that somebody wants to place.
pub(super) struct Wish<'a> {
    pub(super) channel: Channel,
    /// SKU index, units; in the shop also the index of what is made of SKUs.
    pub(super) lines: &'a [(usize, i64)],
    /// From Amazon's own warehouse.
    pub(super) fba: bool,
    /// No feed and no webhook will ever show it.
    pub(super) hidden: bool,
    /// Where it is shipped from. `None`: as the channel decides.
    pub(super) place: Option<usize>,
}

/// Places an order; returns its id and its index on the channel.
pub(super) fn place(world: &mut World, wish: &Wish<'_>, now_ms: i64) -> Result<(String, usize), Refusal> {
    if wish.place.is_some_and(|place| place >= world.places()) {
        return Err("there is no such place".into());
    }
    if wish.lines.is_empty() || wish.lines.iter().any(|(_, units)| *units <= 0) {
        return Err("an order needs lines with positive quantities".into());
    }
    let (id, order, moves) = match wish.channel {
        Channel::Shopify => {
            let mut event = shopify::Event::new(&mut world.dice, now_ms);
            let (order, moves) = world.shopify.place(wish.lines, wish.place, wish.hidden, &mut event);
            (shopify::Kind::Order.number(order as u64).to_string(), order, moves)
        }
        Channel::Amazon => {
            let listings = amazon_lines(world, wish)?;
            let (order, moves) = world.amazon.place(&listings, wish.hidden, now_ms);
            let pending = signed(world.dice.within(world.options.amazon.pending_ms));
            world.agenda.plan(now_ms + pending, Planned::AmazonOpens { order });
            (world.amazon.order_id(order).to_owned(), order, moves)
        }
        Channel::Erp => {
            let place = wish.place.unwrap_or(0);
            let sale = world.erp.staff_sells(wish.lines, place, now_ms)?;
            let sold = |(sku, quantity): &(usize, i64)| {
                let (sku, quantity) = (*sku, *quantity);
                Moved { sku, place, quantity, what: Move::Sold }
            };
            let order = usize::try_from(sale).map_err(|_| "the sale has no id".to_owned())?;
            (sale.to_string(), order, wish.lines.iter().map(sold).collect())
        }
    };
    world.books.count_order(wish.channel);
    book(world, wish.channel, &id, &moves, Cause::Order, now_ms);
    Ok((id, order))
}

fn amazon_lines(world: &World, wish: &Wish<'_>) -> Result<Vec<(usize, i64)>, Refusal> {
    let listing = |sku: usize| {
        if wish.fba { world.amazon.fba_listing(sku) } else { Some(sku) }
    };
    let lines = wish.lines.iter().map(|(sku, units)| Some((listing(*sku)?, *units)));
    lines.collect::<Option<Vec<_>>>().ok_or_else(|| "the SKU is not in Amazon's own warehouse".into())
}

fn book(world: &mut World, channel: Channel, id: &str, moves: &[Moved], cause: Cause, now_ms: i64) {
    let moves = in_skus(world, moves);
    world.books.book(channel, id, &moves, now_ms);
    for moved in &moves {
        world.show(channel, moved.sku, cause, now_ms);
    }
    erp::show_moved(world, now_ms);
}

/// Says of sets what happens to their components: only these lie on a shelf.
fn in_skus(world: &World, moves: &[Moved]) -> Vec<Moved> {
    let mut all = Vec::with_capacity(moves.len());
    for moved in moves {
        match world.catalogue.set(moved.sku) {
            None => all.push(*moved),
            Some(set) => all.extend(set.parts.iter().map(|(sku, units)| Moved {
                sku: *sku,
                quantity: moved.quantity * units,
                ..*moved
            })),
        }
    }
    all
}

/// The index behind an order's id.
fn find(world: &World, channel: Channel, id: &str) -> Result<usize, Refusal> {
    let unknown = || format!("no order `{id}` on this channel");
    match channel {
        Channel::Shopify => {
            let number: u64 = id.parse().map_err(|_| unknown())?;
            shopify::Kind::Order.index(number).ok_or_else(unknown)
        }
        Channel::Amazon => world.amazon.find_order(id).ok_or_else(unknown),
        Channel::Erp => id.parse().map_err(|_| unknown()),
    }
}

pub(super) fn cancel(
    world: &mut World,
    channel: Channel,
    id: &str,
    restock: bool,
    reason: CancelReason,
    now_ms: i64,
) -> Result<(), Refusal> {
    let order = find(world, channel, id)?;
    let moves = match channel {
        Channel::Shopify => {
            let mut event = shopify::Event::new(&mut world.dice, now_ms);
            world.shopify.cancel(order, restock, reason, &mut event)?
        }
        Channel::Amazon => {
            let by = if reason == CancelReason::Customer { "BUYER" } else { "MERCHANT" };
            world.amazon.cancel(order, restock, by, now_ms)?
        }
        Channel::Erp => {
            let freed = world.erp.staff_cancels(signed(order as u64), now_ms)?;
            let place = world.erp.sale_place(signed(order as u64));
            let released = |(sku, quantity)| Moved { sku, place, quantity, what: Move::Released };
            freed.into_iter().map(released).collect()
        }
    };
    book(world, channel, id, &moves, Cause::Cancel, now_ms);
    Ok(())
}

/// Ships what is open, or (SKU, units) of it.
pub(super) fn fulfil(
    world: &mut World,
    channel: Channel,
    id: &str,
    lines: Option<&[(usize, i64)]>,
    now_ms: i64,
) -> Result<(), Refusal> {
    let order = find(world, channel, id)?;
    let moves = match channel {
        Channel::Shopify => {
            let mut event = shopify::Event::new(&mut world.dice, now_ms);
            world.shopify.fulfil(order, lines, &mut event)?
        }
        Channel::Amazon => world.amazon.ship(order, lines, now_ms)?,
        Channel::Erp => {
            let sent = world.erp.staff_ships(signed(order as u64), now_ms)?;
            let place = world.erp.sale_place(signed(order as u64));
            sent.into_iter()
                .map(|(sku, quantity)| Moved { sku, place, quantity, what: Move::Shipped })
                .collect()
        }
    };
    book(world, channel, id, &moves, Cause::Ship, now_ms);
    Ok(())
}

/// Undoes the last fulfilment of a Shopify order.
pub(super) fn undo_fulfilment(world: &mut World, id: &str, now_ms: i64) -> Result<(), Refusal> {
    let order = find(world, Channel::Shopify, id)?;
    let mut event = shopify::Event::new(&mut world.dice, now_ms);
    let moves = world.shopify.undo_fulfilment(order, &mut event)?;
    book(world, Channel::Shopify, id, &moves, Cause::Ship, now_ms);
    Ok(())
}

/// Refunds units; Amazon knows only returns. What comes back comes to `place`, or to where it was shipped from.
pub(super) fn refund(
    world: &mut World,
    channel: Channel,
    id: &str,
    lines: &[(usize, i64)],
    (restock, place): (Restock, Option<usize>),
    now_ms: i64,
) -> Result<(), Refusal> {
    let order = find(world, channel, id)?;
    let moves = match channel {
        Channel::Shopify => {
            let mut event = shopify::Event::new(&mut world.dice, now_ms);
            world.shopify.refund(order, lines, (restock, place), &mut event)?
        }
        Channel::Amazon if restock == Restock::Cancel => {
            return Err("on Amazon a whole order is cancelled, not a part".into());
        }
        Channel::Amazon => world.amazon.take_back(order, lines, restock == Restock::Return)?,
        Channel::Erp => return Err("the sandbox's ERP takes nothing back over the counter".into()),
    };
    book(world, channel, id, &moves, Cause::Return, now_ms);
    Ok(())
}

/// Adds units (SKU, units) to a Shopify order, or takes unfulfilled ones off it, with or without restock.
pub(super) fn edit_order(
    world: &mut World,
    id: &str,
    change: (usize, i64),
    restock: bool,
    now_ms: i64,
) -> Result<(), Refusal> {
    let order = find(world, Channel::Shopify, id)?;
    let mut event = shopify::Event::new(&mut world.dice, now_ms);
    let moves = world.shopify.edit(order, change, restock, &mut event)?;
    book(world, Channel::Shopify, id, &moves, Cause::Order, now_ms);
    Ok(())
}

/// Has units (SKU, units) of a Shopify order shipped from another place.
pub(super) fn reroute(
    world: &mut World,
    id: &str,
    units: (usize, i64),
    to: usize,
    now_ms: i64,
) -> Result<(), Refusal> {
    let order = find(world, Channel::Shopify, id)?;
    let mut event = shopify::Event::new(&mut world.dice, now_ms);
    let moves = world.shopify.move_units(order, units, to, &mut event)?;
    book(world, Channel::Shopify, id, &moves, Cause::Order, now_ms);
    Ok(())
}

/// Somebody types another quantity into a channel; nothing real has changed.
pub(super) fn edit_quantity(
    world: &mut World,
    channel: Channel,
    (sku, place): (usize, usize),
    quantity: i64,
    cause: Cause,
    now_ms: i64,
) -> Result<(), Refusal> {
    if place >= world.places() {
        return Err("there is no such place".into());
    }
    match channel {
        Channel::Shopify => {
            let mut event = shopify::Event::new(&mut world.dice, now_ms);
            world.shopify.set_available(sku, place, quantity, &mut event);
        }
        Channel::Amazon => world.amazon.edit(sku, quantity, now_ms),
        Channel::Erp => world.erp.staff_counts(&[(sku, quantity)], place, now_ms)?,
    }
    world.show(channel, sku, cause, now_ms);
    erp::show_moved(world, now_ms);
    Ok(())
}

/// Somebody counts the shelf of a place, and enters the count in the ERP.
pub(super) fn count(
    world: &mut World,
    counted: &[(usize, i64)],
    place: usize,
    now_ms: i64,
) -> Result<(), Refusal> {
    if place >= world.places() {
        return Err("there is no such place".into());
    }
    if counted.iter().any(|(_, units)| *units < 0) {
        return Err("a count is not negative".into());
    }
    world.erp.staff_counts(counted, place, now_ms)?;
    for (sku, units) in counted.iter().copied() {
        world.books.count(sku, place, units, now_ms);
        world.show(Channel::Erp, sku, Cause::Count, now_ms);
    }
    erp::show_moved(world, now_ms);
    Ok(())
}

/// Another writer puts some quantity on some listing.
pub(super) fn rival_writes(world: &mut World, on: System, now_ms: i64) {
    let sku = world.dice.below(world.catalogue.skus.len());
    let opening = u64::try_from(world.catalogue.skus[sku].opening).unwrap_or(0);
    let quantity = signed(world.dice.within(Span::new(0, opening)));
    let channel = match on {
        System::Shopify => Channel::Shopify,
        System::Amazon => Channel::Amazon,
        System::Erp | System::Queue => return,
    };
    // Only the ERP can refuse an edit.
    drop(edit_quantity(world, channel, (sku, 0), quantity, Cause::Rival, now_ms));
}
