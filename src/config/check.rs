//! From the file as written to a [`Config`] that can be relied on. Pure; tells every problem, not only the first.
//!
//! A value with a problem is replaced by its default, so that what depends on it is still checked. The result is
//! worth something only if nothing was found.

mod amazon;
mod bundles;
mod channels;
mod cross;
mod general;
mod mapping;
mod overrides;
mod shopify;
mod tryton;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::{
        Config,
        problem::{any_of, closest},
        raw,
        scope::Scope,
    },
    model::{
        ChannelId, LocationId,
        policy::{ChannelKind, Mode, Returns},
    },
};

/// Checks the whole file.
pub(super) fn check(file: raw::File, at: &Scope<'_>) -> Config {
    let locations = locations(file.locations, &at.key("locations"));
    let names = Names::new(&locations, &file.channels, at);
    let reconcile = general::reconcile(file.reconcile, &at.key("reconcile"));
    let channels = channels::channels(file.channels, &at.key("channels"), &names, &reconcile);
    let overrides = overrides::overrides(file.overrides, &at.key("overrides"), &names);
    let mapping = mapping::mapping(file.mapping, &at.key("mapping"), &names);
    let modes = [("live", Mode::Live), ("shadow", Mode::Shadow)];
    let returns =
        [("restock", Returns::Restock), ("quarantine", Returns::Quarantine), ("ignore", Returns::Ignore)];
    let config = Config {
        mode: at.choice("mode", file.mode, Mode::default(), &modes),
        instance: general::instance(file.instance, at),
        store: general::store(file.store, &at.key("store")),
        memory: general::memory(file.memory, &at.key("memory")),
        web: general::web(file.web, &at.key("web")),
        socket: general::socket(file.socket, &at.key("socket")),
        log: general::log(file.log, &at.key("log")),
        locations,
        allocation: general::allocation(file.allocation, &at.key("allocation")),
        overrides: overrides.iter().map(|(_, one)| one.clone()).collect(),
        returns: at.choice("returns", file.returns, Returns::default(), &returns),
        mapping,
        bundles: bundles::bundles(file.bundles, &at.key("bundles")),
        brake: general::brake(file.brake, &at.key("brake")),
        retry: general::retry(file.retry, &at.key("retry")),
        alerts: general::alerts(file.alerts, &at.key("alerts")),
        drift: general::drift(file.drift, &at.key("drift")),
        tend: general::tend(file.tend, &at.key("tend")),
        retention: general::retention(file.retention, &at.key("retention")),
        shopify: channels.shopify,
        amazon: channels.amazon,
        tryton: channels.tryton,
    };
    cross::channels(&config, &at.key("channels"));
    cross::overrides(&overrides, &config, &at.key("overrides"));
    config
}

fn locations(list: Vec<raw::Location>, at: &Scope<'_>) -> Vec<LocationId> {
    let mut locations = Vec::new();
    if list.is_empty() {
        at.problem_fix(
            "is missing",
            "name where the stock lies: `[[locations]]` and below it `id = \"warehouse\"`",
        );
    }
    for (index, raw) in list.into_iter().enumerate() {
        let at = at.index(index);
        let id = at.required("id", raw.id, "\"warehouse\"");
        let Some(id) = at.parsed::<LocationId>("id", id) else { continue };
        if locations.contains(&id) {
            at.key("id").problem(format!("`{id}` is given twice"));
            continue;
        }
        locations.push(id);
    }
    locations
}

/// The names that other parts of the file may refer to.
struct Names {
    locations: BTreeSet<String>,
    /// Some location was not readable, so an unknown one may be that.
    locations_unsure: bool,
    channels: BTreeMap<String, ChannelKind>,
    channels_unsure: bool,
}

impl Names {
    fn new(locations: &[LocationId], channels: &raw::Channels, at: &Scope<'_>) -> Names {
        let shopify = channels.shopify.keys().map(|name| (name.clone(), ChannelKind::Shopify));
        let amazon = channels.amazon.keys().map(|name| (name.clone(), ChannelKind::Amazon));
        let tryton = channels.tryton.keys().map(|name| (name.clone(), ChannelKind::Tryton));
        let below = |key: &str| at.key("channels").key(key).is_spoilt();
        Names {
            locations: locations.iter().map(ToString::to_string).collect(),
            locations_unsure: locations.is_empty() || at.key("locations").is_partly_spoilt(),
            channels: shopify.chain(amazon).chain(tryton).collect(),
            channels_unsure: ["shopify", "amazon", "tryton"].into_iter().any(below),
        }
    }

    /// Takes the name of a configured location.
    fn location(&self, name: &str, at: &Scope<'_>) -> Option<LocationId> {
        if self.locations.contains(name) {
            return name.parse().ok();
        }
        if !self.locations_unsure {
            let known = || self.locations.iter().map(String::as_str);
            at.problem_fix(
                format!("no `[[locations]]` has the id `{}`", name.escape_debug()),
                hint(name, known),
            );
        }
        None
    }

    /// Takes the name of a configured channel.
    fn channel(&self, name: &str, at: &Scope<'_>) -> Option<(ChannelId, ChannelKind)> {
        if let Some(kind) = self.channels.get(name) {
            return name.parse().ok().map(|id| (id, *kind));
        }
        if !self.channels_unsure {
            let known = || self.channels.keys().map(String::as_str);
            at.problem_fix(format!("no channel is named `{}`", name.escape_debug()), hint(name, known));
        }
        None
    }
}

fn hint<'n, I: Iterator<Item = &'n str>>(name: &str, known: impl Fn() -> I) -> String {
    match closest(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", any_of(known())),
    }
}
