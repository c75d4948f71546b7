//! Checks what all kinds of channel have in common.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    config::{
        check::{Names, amazon, general, shopify, tryton},
        raw,
        schedule::Schedule,
        scope::{RawSchedule, Scope},
        settings::{Amazon, Assume, Feed, Selling, Shopify, Timeouts, Tryton},
    },
    model::{ChannelId, LocationId, Quantity},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The channels that are good so far.
pub(super) struct Channels {
    pub shopify: BTreeMap<ChannelId, Shopify>,
    pub amazon: BTreeMap<ChannelId, Amazon>,
    pub tryton: BTreeMap<ChannelId, Tryton>,
}

pub(super) fn channels(raw: raw::Channels, at: &Scope<'_>, names: &Names, reconcile: &Schedule) -> Channels {
    if names.channels.is_empty() && !at.is_partly_spoilt() {
        at.problem_fix("is missing", "describe a channel, for example below `[channels.shopify.main]`");
    }
    unique_names(&raw, at);
    let each = |kind: &str, name: &str| -> Option<(ChannelId, Scope<'_>)> {
        let at = at.key(kind).key(name);
        match name.parse() {
            Ok(id) => Some((id, at)),
            Err(why) => {
                at.problem(format!("{why}"));
                None
            }
        }
    };
    let shopify = raw.shopify.into_iter().filter_map(|(name, raw)| {
        let (id, at) = each("shopify", &name)?;
        Some((id, shopify::shopify(raw, &at, names, reconcile)?))
    });
    let shopify = shopify.collect();
    let amazon = raw.amazon.into_iter().filter_map(|(name, raw)| {
        let (id, at) = each("amazon", &name)?;
        Some((id, amazon::amazon(raw, &at, names, reconcile)?))
    });
    let amazon = amazon.collect();
    let tryton = raw.tryton.into_iter().filter_map(|(name, raw)| {
        let (id, at) = each("tryton", &name)?;
        Some((id, tryton::tryton(raw, &at, names)?))
    });
    Channels { shopify, amazon, tryton: tryton.collect() }
}

fn unique_names(raw: &raw::Channels, at: &Scope<'_>) {
    let shopify = raw.shopify.keys().map(|name| ("shopify", name));
    let amazon = raw.amazon.keys().map(|name| ("amazon", name));
    let tryton = raw.tryton.keys().map(|name| ("tryton", name));
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (kind, name) in shopify.chain(amazon).chain(tryton) {
        if let Some(other) = seen.insert(name, kind) {
            let message = format!("the name `{name}` is taken by `channels.{other}.{name}`");
            at.key(kind).key(name).problem_fix(message, "give each channel a name of its own");
        }
    }
}

/// What a channel that sells has, as written.
pub(super) struct RawSelling {
    pub locations: Vec<LocationId>,
    pub buffer: Option<i64>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub orders: RawSchedule,
    pub overlap: Option<raw::Span>,
    pub lookback: Option<raw::Span>,
    pub reconcile: RawSchedule,
    pub drift: raw::ChannelDrift,
}

/// What a kind of channel starts from.
pub(super) struct Defaults {
    pub orders_every: Duration,
    pub overlap: Duration,
    pub lookback: Duration,
}

pub(super) fn selling(raw: RawSelling, at: &Scope<'_>, defaults: &Defaults, reconcile: &Schedule) -> Selling {
    let min = at.units("min", raw.min).unwrap_or(Quantity::ZERO);
    let max = at.units("max", raw.max);
    if max.is_some_and(|max| min > max) {
        at.key("min").problem("must not be above `max`");
    }
    let orders = Schedule::Every(defaults.orders_every);
    Selling {
        locations: raw.locations,
        buffer: at.units("buffer", raw.buffer).unwrap_or(Quantity::ZERO),
        min,
        max,
        orders: Feed {
            schedule: at.schedule(["orders_every", "orders_cron"], raw.orders, orders),
            overlap: overlap("orders_overlap", raw.overlap, at, defaults.overlap),
        },
        orders_lookback: at.span("orders_lookback", raw.lookback, defaults.lookback, HOUR..=365 * DAY),
        reconcile: at.schedule(["reconcile_every", "reconcile_cron"], raw.reconcile, reconcile.clone()),
        drift: general::channel_drift(raw.drift, &at.key("drift")),
    }
}

pub(super) fn overlap(key: &str, raw: Option<raw::Span>, at: &Scope<'_>, default: Duration) -> Duration {
    at.span(key, raw, default, Duration::ZERO..=DAY)
}

pub(super) fn locations(list: Vec<String>, at: &Scope<'_>, names: &Names) -> Vec<LocationId> {
    if list.is_empty() {
        at.problem_fix(
            "is missing",
            "name the locations it draws from, for example `locations = [\"warehouse\"]`",
        );
    }
    let mut locations = Vec::new();
    for (index, name) in list.iter().enumerate() {
        let at = at.index(index);
        let Some(location) = names.location(name, &at) else { continue };
        if locations.contains(&location) {
            at.problem(format!("`{location}` is given twice"));
            continue;
        }
        locations.push(location);
    }
    locations
}

pub(super) fn timeouts(connect: Option<raw::Span>, total: Option<raw::Span>, at: &Scope<'_>) -> Timeouts {
    let least = Duration::from_millis(100);
    let most = Duration::from_mins(5);
    let total = at.span("timeout", total, 30 * SECOND, least..=most);
    let connect = at.span("connect_timeout", connect, total.min(10 * SECOND), least..=most);
    let timeouts = Timeouts { connect, total };
    if timeouts.connect > timeouts.total {
        at.key("connect_timeout").problem("must not be longer than `timeout`");
    }
    timeouts
}

pub(super) fn assume(raw: raw::Assume, at: &Scope<'_>) -> Assume {
    let bounds = || Duration::ZERO..=7 * DAY;
    let assume = Assume {
        late: at.span_or_none("late", raw.late, bounds()),
        stale: at.span_or_none("stale", raw.stale, bounds()),
        feed_lag: at.span_or_none("feed_lag", raw.feed_lag, bounds()),
        visible: at.span_or_none("visible", raw.visible, bounds()),
        look: at.span_or_none("look", raw.look, bounds()),
    };
    if let (Some(look), Some(visible)) = (assume.look, assume.visible)
        && look > visible
    {
        at.key("look").problem("must not be longer than `visible`");
    }
    assume
}
