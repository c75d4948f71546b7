//! What a changed configuration must leave as it is because something is kept under it: the name of a channel, a place where stock
//! lies, and what the channel's own locations mean to us where its orders lie.

use crate::{
    core::{
        ledger::Stock,
        order::Order,
        state::{SkuRow, State},
        warehouse,
    },
    model::{
        ChannelId, Instance, LocationId, OrderKey, Policies, Quantity, Seq, Sku, Totals,
        policy::{ChannelKind, ChannelPolicy, Outlet, Warehouse},
    },
};

/// Something that a configuration must not change, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stands {
    pub what: String,
    pub next: String,
}

/// Returns for what a configuration is refused. Empty: it may take effect.
pub fn refused(state: &State, policies: &Policies) -> Vec<Stands> {
    instance(state, &policies.instance)
        .into_iter()
        .chain(accounts(state, policies))
        .chain(places(state, policies))
        .chain(outlets(state, policies))
        .chain(warehouses(state, policies))
        .collect()
}

/// Returns why an installation keeps its name, where it is to get another: what an ERP is told of an order bears it, and is looked up
/// by it. By another it would be told of everything again.
pub fn instance(state: &State, name: &Instance) -> Option<Stands> {
    let was = state.policies().map(|before| &before.instance).filter(|was| *was != name)?;
    let mut postings = state.orders.values().flat_map(|order| &order.postings);
    // What was acknowledged long ago is known of the SKUs.
    let told =
        postings.any(|posting| posting.sequence > 0) || state.skus.values().any(|row| row.posted > Seq::ZERO);
    let why = if told {
        "an ERP was told of orders under that name, and would book what they shipped once more".to_owned()
    } else {
        let (open, _) = state.orders.iter().find(|(_, order)| order.is_open())?;
        format!(
            "order `{}` of `{}` is open, and an ERP may be told of it under both",
            open.order, open.channel
        )
    };
    Some(Stands {
        what: format!("`instance` is `{name}`, and was `{was}` so far: {why}"),
        next: format!(
            "keep `{was}`, and do not restart the daemon with another: where two stores must not share a name, the new one gets its \
             own before it reads orders"
        ),
    })
}

/// Returns which account a name stands for, once anything was read by it: also where it was taken out of the configuration.
pub fn stood_for<'a>(state: &'a State, id: &ChannelId) -> Option<(ChannelKind, Option<&'a str>)> {
    let held = state.policies().and_then(|before| before.channels.get(id));
    let row = state.channels.get(id);
    let stood_for = match held {
        Some(held) => (held.kind, held.account.as_deref()),
        None => row?.stood_for.as_deref().map(|was| (was.kind, was.account.as_deref()))?,
    };
    Some(stood_for).filter(|_| state.has_heard_of(id))
}

/// An account that was known by another name: all of its orders would be new ones.
fn accounts(state: &State, policies: &Policies) -> Vec<Stands> {
    let known =
        state.policies().into_iter().flat_map(|before| before.channels.keys()).chain(state.channels.keys());
    let gone: Vec<&ChannelId> = known.filter(|id| !policies.channels.contains_key(*id)).collect();
    let renamed = |(id, policy): (&ChannelId, &ChannelPolicy)| {
        let account = policy.account.as_deref()?;
        let was = |old: &&&ChannelId| stood_for(state, old) == Some((policy.kind, Some(account)));
        let old = gone.iter().find(was)?;
        let key = format!("channels.{}.{id}.{}", policy.kind.name(), policy.kind.account());
        Some(Stands {
            what: format!(
                "`{key}` is `{account}`, and this is the account that was `{old}`: each of its orders would be booked twice"
            ),
            next: format!("keep the name `{old}`: what is known of a channel is kept under it for good"),
        })
    };
    policies.channels.iter().filter(|(id, _)| !state.has_heard_of(id)).filter_map(renamed).collect()
}

/// A place that is left out while stock lies there. What a channel keeps by itself is only read, and told anew.
fn places(state: &State, policies: &Policies) -> Vec<Stands> {
    let Some(before) = state.policies() else { return Vec::new() };
    let gone = before.locations.iter().filter(|place| !policies.locations.contains(place));
    let gone = gone.filter(|place| before.kept_by(place).is_none());
    gone.filter_map(|place| {
        let lies = lies(state, place)?;
        let what = format!("location `{place}` is not there any more, and {lies}");
        let next = "keep it, under that name; or first transfer what lies there or count it to zero, and let what is sold \
                    from there be shipped or cancelled"
            .to_owned();
        Some(Stands { what, next })
    })
    .collect()
}

/// Says how much lies at a place. `None`: nothing.
fn lies(state: &State, place: &LocationId) -> Option<String> {
    let held =
        |row: &SkuRow| row.place(place).map(|place| place.stock).filter(|held| *held != Stock::default());
    let stocks: Vec<Stock> = state.skus.values().filter_map(held).collect();
    let sum = |of: fn(&Stock) -> Quantity| {
        stocks.iter().try_fold(Quantity::ZERO, |sum, held| sum.add(of(held))).unwrap_or_default()
    };
    let all = [
        ("on hand", sum(|held| held.on_hand)),
        ("sold and not shipped", sum(|held| held.committed)),
        ("held back", sum(|held| held.reserved)),
        ("on the way", sum(|held| held.incoming)),
    ];
    let all = all.into_iter().filter(|(_, units)| !units.is_zero());
    let all: Vec<String> = all.map(|(what, units)| format!("{units} {what}")).collect();
    match stocks.len() {
        0 => None,
        1 => Some(format!("1 SKU has stock there ({})", all.join(", "))),
        skus => Some(format!("{skus} SKUs have stock there ({})", all.join(", "))),
    }
}

/// One of a channel's own locations that stands for another place of ours, or none, while orders are booked at the one it stood for: they
/// would be booked anew, as they are read again, and an ERP told so.
fn outlets(state: &State, policies: &Policies) -> Vec<Stands> {
    let of = |(id, policy): (&ChannelId, &ChannelPolicy)| {
        let was = Places::before(state, id)?;
        // Of a channel with one place nobody asks where its orders lie.
        if was.outlets.len() < 2 && policy.outlets.len() < 2 {
            return None;
        }
        was.moved(policy).into_iter().find_map(|(how, place)| {
            let order = booked_at(state, id, place)?;
            let what = format!("{how}, and orders of `{id}` are booked there, such as `{}`", order.order);
            let next = "keep it as it was: orders lie there for good".to_owned();
            Some(Stands { what: format!("`channels.{}.{id}`: {what}", policy.kind.name()), next })
        })
    };
    policies.channels.iter().filter_map(of).collect()
}

/// A warehouse of an ERP that is to be another of our places, or the other way round, once the ERP has counted there or was told of
/// what moved there: it would be told of it once more, in the other warehouse.
fn warehouses(state: &State, policies: &Policies) -> Vec<Stands> {
    let of = |(id, policy): (&ChannelId, &ChannelPolicy)| {
        let held = state.policies().and_then(|before| before.channels.get(id));
        let left_out = state.channels.get(id).into_iter().flat_map(|row| &row.had);
        let mut was = held.into_iter().flat_map(|held| &held.warehouses).chain(left_out);
        was.find_map(|held| {
            let Warehouse { code, location } = held;
            let same = |now: &&Warehouse| now.code == *code;
            let how = match policy.warehouses.iter().find(same) {
                Some(now) if now.location == *location => return None,
                Some(now) => {
                    format!("its warehouse `{code}` was `{location}`, and is to be `{}`", now.location)
                }
                None => {
                    let now = policy.warehouses.iter().find(|now| now.location == *location)?;
                    format!("`{location}` was its warehouse `{code}`, and is to be `{}`", now.code)
                }
            };
            let why = warehouse::told_at(state, id, held)?;
            let next = "keep it as it was: what moved is told to the warehouse that it moved in; one that is another one gets a \
                        location of its own, and one whose code was changed in the ERP gets it back there";
            let what = format!("`channels.{}.{id}`: {how}, and {why}", policy.kind.name());
            Some(Stands { what, next: next.to_owned() })
        })
    };
    policies.channels.iter().filter_map(of).collect()
}

/// Where the orders of a channel lie.
struct Places<'a> {
    locations: &'a [LocationId],
    outlets: &'a [Outlet],
}

impl<'a> Places<'a> {
    /// Those that a channel has, or had when it was taken out. `None`: it is a new one.
    fn before(state: &'a State, id: &ChannelId) -> Option<Self> {
        let held = state.policies().and_then(|before| before.channels.get(id));
        let held = held.map(|held| Self { locations: &held.locations, outlets: &held.outlets });
        let taken_out = || state.channels.get(id)?.stood_for.as_deref();
        held.or_else(|| taken_out().map(|was| Self { locations: &was.locations, outlets: &was.outlets }))
    }

    /// Returns where orders lie that would be booked elsewhere, and why.
    fn moved(&self, policy: &ChannelPolicy) -> Vec<(String, &'a LocationId)> {
        let mut all = Vec::new();
        for old in self.outlets {
            let Some(place) = old.locations.first() else { continue };
            let (id, now) = (&old.id, policy.outlets.iter().find(|outlet| outlet.id == old.id));
            let how = match now.and_then(|now| now.locations.first()) {
                Some(now) if now == place => continue,
                Some(now) => format!("its location {id} stood for `{place}`, and is to stand for `{now}`"),
                None => format!("its location {id}, which stands for `{place}`, is not there any more"),
            };
            all.push((how, place));
        }
        if let (Some(first), Some(now)) = (self.locations.first(), policy.locations.first())
            && first != now
        {
            all.push((format!("`{first}` was the first of its places, and `{now}` is to be"), first));
        }
        all
    }
}

/// Returns an order of a channel that is booked at a place.
fn booked_at<'a>(state: &'a State, channel: &'a ChannelId, place: &LocationId) -> Option<&'a OrderKey> {
    // Most often there is none, and orders are many.
    state.skus.values().find(|row| row.place(place).is_some())?;
    let here = |order: &Order| {
        order.lines.values().any(|line| {
            line.shares().iter().any(|share| share.location == *place && share.booked != Totals::default())
        })
    };
    state.orders_of(channel).find(|(_, order)| here(order)).map(|(key, _)| key)
}

/// Names the places that a channel draws on alone and that nobody has counted: nothing is shown of what lies there.
pub fn uncounted(state: &State, policies: &Policies) -> Vec<String> {
    if state.initialised.is_none() {
        return Vec::new();
    }
    let counted = |place: &LocationId| -> bool {
        let opened = |row: &SkuRow| row.place(place).is_some_and(|place| place.opened.is_some());
        state.skus.values().any(opened)
    };
    let mut told = Vec::new();
    for (id, policy) in policies.channels.iter().filter(|(_, policy)| policy.abilities.quantities) {
        let drawn: Vec<&[LocationId]> = match policy.outlets.as_slice() {
            [] => vec![&policy.locations],
            outlets => outlets.iter().map(|outlet| outlet.locations.as_slice()).collect(),
        };
        for places in drawn.into_iter().filter(|places| !places.iter().any(counted)) {
            let names: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
            told.push(format!(
                "nothing was ever counted at {}, and `{id}` has listings that draw on nothing else: what was written there \
                 shows none, and the rest is left alone, until it is (`evenkeel count import`, or the next count of an ERP)",
                names.join(", ")
            ));
        }
    }
    told
}

/// Returns for which components a recipe of the configuration is refused while the daemon runs: no SKU of that name is known. Before any
/// is known nothing can be told, and what is in effect already stands.
pub fn unknown_parts(state: &State, policies: &Policies) -> Vec<Stands> {
    let known = |row: &SkuRow| !row.stock.is_empty() || !row.listings.is_empty();
    if !state.skus.values().any(known) {
        return Vec::new();
    }
    let before = state.policies().map(|before| before.bundles.as_slice()).unwrap_or_default();
    let missing =
        |part: &Sku| !state.is_thing(part) && !policies.bundles.iter().any(|recipe| recipe.bundle == *part);
    let new = policies.bundles.iter().filter(|recipe| !before.contains(recipe));
    new.flat_map(|recipe| recipe.parts.iter().map(|part| (&recipe.bundle, &part.sku)))
        .filter(|(_, part)| missing(part))
        .map(|(bundle, part)| Stands {
            what: format!("there is no SKU `{part}`, a component of `{bundle}`"),
            next: "write it as `evenkeel sku` takes it; one that is new is known once its channel's catalogue was read \
                   (`evenkeel reconcile`)"
                .to_owned(),
        })
        .collect()
}

/// Tells whether a channel's orders may lie elsewhere than they did, because its own locations stand for others or are more: what
/// is known of where they lie is to be told anew.
pub(super) fn lies_elsewhere(before: Option<&ChannelPolicy>, now: &ChannelPolicy) -> bool {
    let of = |policy: &ChannelPolicy| -> Vec<(String, Option<LocationId>)> {
        policy.outlets.iter().map(|outlet| (outlet.id.clone(), outlet.locations.first().cloned())).collect()
    };
    now.outlets.len() > 1 && before.map(of) != Some(of(now))
}
