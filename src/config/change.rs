//! What differs between two configurations, and what of it can change while the daemon runs.

use secrecy::ExposeSecret;

use crate::{
    config::{Config, Secrets, Selling, Tryton},
    model::{
        ChannelId, Quantity,
        policy::{ChannelDrift, ChannelPolicy, Policies, Posts},
    },
};

impl Config {
    /// Names what differs from `running` and cannot be changed without a restart, each with the reason.
    pub fn needs_restart(&self, running: &Config) -> Vec<String> {
        let (store, web) = ((&self.store, &running.store), (&self.web, &running.web));
        // By default the archive lies below the path.
        let same_path = store.0.path == store.1.path;
        let differs = [
            ("instance", self.instance != running.instance, "it is part of every idempotency key"),
            ("store.path", store.0.path != store.1.path, OPEN),
            ("store.archive", same_path && store.0.archive != store.1.archive, OPEN),
            ("store.segment_bytes", store.0.segment_bytes != store.1.segment_bytes, OPEN),
            ("store.cache_bytes", store.0.cache_bytes != store.1.cache_bytes, OPEN),
            ("store.group_max", store.0.group_max != store.1.group_max, OPEN),
            ("web.listen", web.0.listen != web.1.listen, LISTENS),
            ("web.body_max_bytes", web.0.body_max_bytes != web.1.body_max_bytes, LISTENS),
            ("web.queue_max", web.0.queue_max != web.1.queue_max, LISTENS),
            ("web.answer_within", web.0.answer_within != web.1.answer_within, LISTENS),
            ("socket.path", self.socket != running.socket, LISTENS),
            ("log.format", self.log.format != running.log.format, "the log is open"),
        ];
        let fixed = differs.into_iter().filter(|(_, differs, _)| *differs);
        fixed.map(|(key, _, why)| format!("`{key}` ({why})")).collect()
    }

    /// Tells whether what serves a channel must be made anew. Policies are not part of it.
    pub fn serves_otherwise(&self, running: &Config, id: &ChannelId) -> bool {
        let shopify = |config: &Config| {
            let mut held = config.shopify.get(id).cloned();
            held.iter_mut().for_each(|held| held.selling.forget_policies());
            held
        };
        let amazon = |config: &Config| {
            let mut held = config.amazon.get(id).cloned();
            held.iter_mut().for_each(|held| held.selling.forget_policies());
            held
        };
        let tryton = |config: &Config| {
            let mut held = config.tryton.get(id).cloned();
            held.iter_mut().for_each(Tryton::forget_policies);
            held
        };
        let pushed = self.shopify.contains_key(id) && self.web.public_url != running.web.public_url;
        pushed
            || self.tend != running.tend
            || shopify(self) != shopify(running)
            || amazon(self) != amazon(running)
            || tryton(self) != tryton(running)
    }

    /// Names what differs from `running`, by table.
    pub fn differences(&self, running: &Config, secrets: &Secrets, held: &Secrets) -> Vec<String> {
        let tables = [
            ("mode", self.mode != running.mode),
            ("returns", self.returns != running.returns),
            ("locations", self.locations != running.locations),
            ("log.level", self.log.level != running.log.level),
            ("allocation", self.allocation != running.allocation),
            ("overrides", self.overrides != running.overrides),
            ("mapping", self.mapping != running.mapping),
            ("bundles", self.bundles != running.bundles),
            ("brake", self.brake != running.brake),
            ("retry", self.retry != running.retry),
            ("alerts", self.alerts != running.alerts || !secrets.same_alerts(held)),
            ("drift", self.drift != running.drift),
            ("web.public_url", self.web.public_url != running.web.public_url),
            ("tend", self.tend != running.tend),
            ("memory", self.memory != running.memory),
            ("store", self.store.room != running.store.room),
            ("retention", self.retention != running.retention),
        ];
        let tables = tables.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key.to_owned());
        let all: std::collections::BTreeMap<_, _> =
            running.channels().into_iter().chain(self.channels()).collect();
        let channels = all.into_iter().flat_map(|(id, kind)| {
            let table = format!("channels.{}.{id}", kind.name());
            let differs = self.shopify.get(id) != running.shopify.get(id)
                || self.amazon.get(id) != running.amazon.get(id)
                || self.tryton.get(id) != running.tryton.get(id);
            let secret = !differs && !secrets.same_of(held, id);
            [differs.then(|| table.clone()), secret.then(|| format!("the secrets of {table}"))]
        });
        tables.chain(channels.flatten()).collect()
    }

    /// Puts back what moves stock to what it was.
    pub fn keep(&mut self, before: &Policies) {
        self.mode = before.mode;
        // What is put back may name places that the file does not name any more.
        let gone: Vec<_> = before.locations.iter().filter(|place| !self.locations.contains(place)).collect();
        self.locations.extend(gone.into_iter().cloned());
        self.allocation = before.allocation;
        self.drift = before.drift;
        self.overrides.clone_from(&before.overrides);
        self.mapping.clone_from(&before.mapping);
        self.bundles.clone_from(&before.bundles);
        let selling = self.shopify.iter_mut().map(|(id, channel)| (id, &mut channel.selling));
        let selling = selling.chain(self.amazon.iter_mut().map(|(id, channel)| (id, &mut channel.selling)));
        for (id, selling) in selling {
            if let Some(held) = before.channels.get(id) {
                selling.keep(held);
            }
        }
        for (id, shop) in &mut self.shopify {
            match before.channels.get(id) {
                Some(held) if !held.outlets.is_empty() => shop.outlets.clone_from(&held.outlets),
                // A journal from when a shop had one location, which was not said there.
                Some(held) => shop.outlets.iter_mut().take(1).for_each(|outlet| {
                    outlet.locations.clone_from(&held.locations);
                }),
                None => {}
            }
        }
        for (id, seller) in &mut self.amazon {
            if let Some(held) = before.channels.get(id) {
                seller.fba_location.clone_from(&held.own_location);
            }
        }
        for (id, erp) in &mut self.tryton {
            if let Some(held) = before.channels.get(id) {
                erp.keep(held);
            }
        }
    }
}

const OPEN: &str = "the store is open";
const LISTENS: &str = "it is listened there";

impl Selling {
    fn forget_policies(&mut self) {
        (self.buffer, self.min, self.max) = (Quantity::ZERO, Quantity::ZERO, None);
        self.drift = ChannelDrift::default();
    }

    fn keep(&mut self, before: &ChannelPolicy) {
        self.locations.clone_from(&before.locations);
        (self.buffer, self.min, self.max) = (before.buffer, before.min, before.max);
        self.drift = before.drift;
    }
}

impl Tryton {
    /// Puts back which places it counts. Of a journal that does not say what the warehouse of a place is called in the ERP, the file
    /// alone tells that.
    fn keep(&mut self, before: &ChannelPolicy) {
        if !before.warehouses.is_empty() {
            let held = before.warehouses.iter();
            self.warehouses = held.map(|held| (held.code.clone(), held.location.clone())).collect();
            return;
        }
        let before = &before.locations;
        if self.warehouses.len() == before.len() {
            let places = self.warehouses.iter_mut().zip(before);
            places.for_each(|((_, location), held)| location.clone_from(held));
        } else if self.warehouses.iter().any(|(_, location)| before.contains(location)) {
            self.warehouses.retain(|(_, location)| before.contains(location));
        }
    }

    fn forget_policies(&mut self) {
        self.posts = Posts { sales: false, shipments: false, returns: false };
    }
}

impl Secrets {
    /// Tells whether the secrets of a channel are the same.
    pub fn same_of(&self, other: &Secrets, id: &ChannelId) -> bool {
        let shopify = |of: &Secrets| {
            let held = of.shopify.get(id)?;
            let signing: Vec<String> =
                held.webhook_secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect();
            Some((held.access.expose_secret().to_owned(), signing))
        };
        let amazon = |of: &Secrets| {
            let held = of.amazon.get(id)?;
            Some((
                held.client_secret.expose_secret().to_owned(),
                held.refresh_token.expose_secret().to_owned(),
                held.queue.as_ref().map(|key| key.expose_secret().to_owned()),
            ))
        };
        let tryton = |of: &Secrets| Some(of.tryton.get(id)?.key.expose_secret().to_owned());
        shopify(self) == shopify(other) && amazon(self) == amazon(other) && tryton(self) == tryton(other)
    }

    /// Tells whether alerts go to the same secret address.
    pub fn same_alerts(&self, other: &Secrets) -> bool {
        let of =
            |secrets: &Secrets| secrets.alerts_webhook.as_ref().map(|url| url.expose_secret().to_owned());
        of(self) == of(other)
    }
}
