//! What an opening would do, read off a state that has been opened.

use std::collections::BTreeMap;

use crate::{
    core::{
        State,
        allocation::shelves::Shelves,
        decide::listing::uncounted,
        index::{Kind, Work},
        mapping::{Resolved, resolve},
        order::Line,
        posting::{PostState, target},
        state::{Listing, SkuRow},
    },
    model::{ChannelId, FulfilledBy, Mode, Policies, Quantity, Sku, counted, policy::ChannelPolicy, which},
    web::view::{Difference, InitChannel, InitPreview, OpenOrders},
};

/// How many SKUs are named.
const SOME: usize = 20;

/// Returns how many SKUs have an opening stock, and of how many units.
fn opened(state: &State) -> (usize, Quantity) {
    let on_hand = state.skus.values().filter_map(opening_of);
    on_hand.fold((0, Quantity::ZERO), |(skus, units), more| (skus + 1, plus(units, more)))
}

/// Returns what is on hand where the SKU was opened. `None`: nowhere.
fn opening_of(row: &SkuRow) -> Option<Quantity> {
    let mut places = row.stock.iter().filter(|place| place.opened.is_some()).map(|place| place.stock.on_hand);
    places.next().map(|first| places.fold(first, plus))
}

/// Returns, for each ERP, the orders of which a person is asked whether it has them.
pub(super) fn open_orders(state: &State) -> Vec<OpenOrders> {
    let Some(policies) = state.policies() else { return Vec::new() };
    let of = |(id, policy): (&ChannelId, &ChannelPolicy)| {
        let mut open = OpenOrders { channel: id.clone(), orders: 0, units: Quantity::ZERO, some: Vec::new() };
        for work in state.index.of(Kind::PostParked, id) {
            let Work::PostParked { order: key, .. } = work else { continue };
            let Some(order) = state.orders.get(key) else { continue };
            if !order.posting(id).is_some_and(PostState::is_asked) {
                continue;
            }
            let items = target(order, policy.posts, &policy.locations).unwrap_or_default();
            let units = items.iter().filter_map(|item| item.totals.open().ok());
            open.orders += 1;
            open.units = units.fold(open.units, plus);
            if open.some.len() < SOME {
                open.some.push(key.clone());
            }
        }
        (open.orders > 0).then_some(open)
    };
    policies.channels.iter().filter_map(of).collect()
}

/// Returns, for each channel, the open orders that sell something of which it is not known what it is.
pub(super) fn unmapped(state: &State) -> Vec<OpenOrders> {
    let Some(policies) = state.policies() else { return Vec::new() };
    let of = |id: &ChannelId| {
        let mut lost = OpenOrders { channel: id.clone(), orders: 0, units: Quantity::ZERO, some: Vec::new() };
        for key in state.index.of(Kind::Unmapped, id).filter_map(Work::order) {
            let Some(order) = state.orders.get(key) else { continue };
            let lines = order.lines.values().filter(|line| line.is_unmapped() && !is_known(state, id, line));
            let open = lines.filter_map(|line| order.totals(line).ok()?.open().ok());
            let units = open.fold(Quantity::ZERO, plus);
            if units <= Quantity::ZERO {
                continue;
            }
            lost.orders += 1;
            lost.units = plus(lost.units, units);
            if lost.some.len() < SOME {
                lost.some.push(key.clone());
            }
        }
        (lost.orders > 0).then_some(lost)
    };
    policies.channels.keys().filter_map(of).collect()
}

/// Tells whether a line is only to be looked at again to be booked.
fn is_known(state: &State, channel: &ChannelId, line: &Line) -> bool {
    line.shipped_by() != FulfilledBy::Unknown
        && matches!(resolve(state, channel, &line.ids), Resolved::Listing(_) | Resolved::Sku(_))
}

/// Adds for people: a sum out of range is told as the first summand.
fn plus(a: Quantity, b: Quantity) -> Quantity {
    a.add(b).unwrap_or(a)
}

/// Fills in everything that follows from the opened state.
pub(super) fn tell(state: &State, preview: &mut InitPreview) {
    let Some(policies) = state.policies() else { return };
    let mut channels: BTreeMap<&ChannelId, InitChannel> =
        policies.channels.iter().map(|(id, policy)| (id, empty(state, id, policy))).collect();
    (preview.skus, preview.units) = opened(state);
    let mut below_zero = 0;
    for (sku, row) in &state.skus {
        let mut shelves = Shelves::of(state, sku, row);
        for listing in &row.listings {
            let policy = policies.channels.get(&listing.channel);
            if let (Some(policy), Some(channel)) = (policy, channels.get_mut(&listing.channel)) {
                let uncounted = !uncounted(&mut shelves, policies, listing).is_empty();
                add(channel, policy, sku, uncounted, listing);
            }
        }
        let Some(on_hand) = opening_of(row) else { continue };
        preview.empty += usize::from(on_hand <= Quantity::ZERO);
        below_zero += usize::from(on_hand < Quantity::ZERO);
        if !is_listed(policies, row) {
            preview.unlisted += 1;
            if preview.unlisted_some.len() < SOME {
                preview.unlisted_some.push(sku.clone());
            }
        }
    }
    preview.channels = channels.into_values().map(sorted).collect();
    warn(policies, preview, below_zero);
}

fn empty(state: &State, id: &ChannelId, policy: &ChannelPolicy) -> InitChannel {
    InitChannel {
        channel: id.clone(),
        kind: policy.kind.name().to_owned(),
        bound: 0,
        unmatched: state.waiting_items().filter(|(channel, _)| channel == id).count(),
        unwritable: 0,
        uncounted: 0,
        uncounted_some: Vec::new(),
        differing: 0,
        differences: Vec::new(),
        lowered_units: Quantity::ZERO,
        raised_units: Quantity::ZERO,
    }
}

fn is_listed(policies: &Policies, row: &SkuRow) -> bool {
    let shows = |listing: &Listing| {
        policies.channels.get(&listing.channel).is_some_and(|policy| policy.abilities.quantities)
    };
    row.listings.iter().any(shows)
}

fn add(channel: &mut InitChannel, policy: &ChannelPolicy, sku: &Sku, uncounted: bool, listing: &Listing) {
    channel.bound += 1;
    if !policy.abilities.quantities {
        return;
    }
    if !listing.writable() {
        channel.unwritable += 1;
        return;
    }
    let Some(leg) = &listing.leg else {
        if uncounted {
            channel.uncounted += 1;
            if channel.uncounted_some.len() < SOME {
                channel.uncounted_some.push(sku.clone());
            }
        }
        return;
    };
    let looked = listing.writes.look.as_ref().map(|look| plus(look.seen, look.since));
    let Some(shows) = looked.or(listing.writes.base) else { return };
    let Ok(moved) = leg.quantity.sub(shows) else { return };
    if moved > Quantity::ZERO {
        channel.raised_units = plus(channel.raised_units, moved);
    } else if let Ok(less) = moved.neg() {
        channel.lowered_units = plus(channel.lowered_units, less);
    }
    if !moved.is_zero() {
        channel.differing += 1;
        let locations = policy.drawn(&listing.ids).unwrap_or_default().to_vec();
        channel.differences.push(Difference { sku: sku.clone(), locations, shows, will_show: leg.quantity });
    }
}

/// The largest differences come first.
fn sorted(mut channel: InitChannel) -> InitChannel {
    let size = |difference: &Difference| difference.will_show.units().abs_diff(difference.shows.units());
    channel.differences.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.sku.cmp(&b.sku)));
    channel
}

fn warn(policies: &Policies, preview: &mut InitPreview, below_zero: usize) {
    let warnings = &mut preview.warnings;
    if policies.mode == Mode::Shadow {
        warnings.push("mode is `shadow`: nothing will be written to any channel".to_owned());
    }
    if preview.skus == 0 {
        warnings.push(format!("`{}` told no stock that fits a SKU", preview.from));
    }
    if below_zero > 0 {
        warnings.push(format!(
            "{} {} less than nothing on hand; channels show 0",
            counted(below_zero, "SKU"),
            which(below_zero, "has", "have")
        ));
    }
    if preview.unknown > 0 {
        let unknown = preview.unknown;
        warnings.push(format!(
            "{} {} no SKU; {} stock is left out",
            counted(unknown, "counted item"),
            which(unknown, "matches", "match"),
            which(unknown, "its", "their")
        ));
    }
    for channel in &preview.channels {
        let id = &channel.channel;
        if channel.unmatched > 0 {
            warnings.push(format!(
                "{} of `{id}` {} no SKU and {} left alone; see `evenkeel map list --unmatched`",
                counted(channel.unmatched, "item"),
                which(channel.unmatched, "matches", "match"),
                which(channel.unmatched, "is", "are")
            ));
        }
        if channel.uncounted > 0 {
            warnings.push(format!(
                "{} of `{id}` {} no counted stock and {} left alone",
                counted(channel.uncounted, "listing"),
                which(channel.uncounted, "has", "have"),
                which(channel.uncounted, "is", "are")
            ));
        }
    }
}
