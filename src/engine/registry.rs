//! From the configuration to connectors: one line per kind of channel.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use crate::{
    config::{self, Config, Secrets, Timeouts},
    connectors::{Connector, amazon, http, limit, shopify, sqs, tryton},
    model::{Abilities, ChannelId, LocationId, Measure, Visible, policy::Outlet},
    telemetry::causes,
};

/// Why a connector could not be made.
#[derive(Debug, thiserror::Error)]
#[error("channels.{kind}.{channel}: {why}")]
pub struct Error {
    kind: &'static str,
    channel: ChannelId,
    why: String,
}

/// All connectors, by channel.
pub type Connectors = BTreeMap<ChannelId, Arc<dyn Connector>>;

/// Makes the connector of every configured channel; touches no network.
pub fn build(config: &Config, secrets: &Secrets) -> Result<Connectors, Error> {
    let mut all = Connectors::new();
    for (id, channel) in &config.shopify {
        all.insert(id.clone(), shopify(id, channel, config, secrets).map_err(|why| bad("shopify", id, why))?);
    }
    for (id, channel) in &config.amazon {
        all.insert(id.clone(), amazon(id, channel, secrets).map_err(|why| bad("amazon", id, why))?);
    }
    for (id, channel) in &config.tryton {
        all.insert(id.clone(), tryton(id, channel, secrets).map_err(|why| bad("tryton", id, why))?);
    }
    Ok(all)
}

fn bad(kind: &'static str, channel: &ChannelId, why: String) -> Error {
    Error { kind, channel: channel.clone(), why }
}

const NO_SECRET: &str = "its secrets were not loaded";
const NO_LOCATION: &str = "it has no location";

fn http_of(timeouts: Timeouts) -> http::Options {
    http::Options { connect_timeout: timeouts.connect, timeout: timeouts.total, ..http::Options::default() }
}

fn first(locations: &[LocationId]) -> Result<LocationId, String> {
    locations.first().cloned().ok_or_else(|| NO_LOCATION.to_owned())
}

fn shopify(
    id: &ChannelId,
    channel: &config::Shopify,
    config: &Config,
    secrets: &Secrets,
) -> Result<Arc<dyn Connector>, String> {
    let secret = secrets.shopify.get(id).ok_or(NO_SECRET)?;
    let location = |outlet: &Outlet| {
        let number = outlet.id.parse().map_err(|_| "location_id must be a number".to_owned())?;
        Ok::<_, String>(shopify::options::Location {
            id: first(&outlet.locations)?,
            number,
            stocks: channel.stock_items,
        })
    };
    let locations = channel.outlets.iter().map(location).collect::<Result<Vec<_>, _>>()?;
    let options = shopify::Options {
        shop: channel.shop.clone(),
        base_url: channel.base_url.clone(),
        api_version: channel.api_version.clone(),
        access: match &channel.access {
            config::Access::Token(_) => shopify::options::Access::Token(secret.access.clone()),
            config::Access::Client { id, .. } => {
                shopify::options::Access::Client { id: id.clone(), secret: secret.access.clone() }
            }
        },
        webhook_secrets: secret.webhook_secrets.clone(),
        hooks: config
            .web
            .hooks(id)
            .map(|uri| shopify::options::Hooks { uri, instance: config.instance.clone() }),
        locations: shopify::options::Locations::new(locations).ok_or(NO_LOCATION)?,
        bulk_above: channel.bulk_above,
        http: http_of(channel.timeouts),
    };
    Ok(Arc::new(shopify::Shopify::new(options).map_err(|e| causes(&e))?))
}

fn amazon(id: &ChannelId, channel: &config::Amazon, secrets: &Secrets) -> Result<Arc<dyn Connector>, String> {
    let secret = secrets.amazon.get(id).ok_or(NO_SECRET)?;
    let stated = amazon::Timing::default();
    let ms = |given: Option<Duration>, stated: i64| {
        given.map_or(stated, |span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    };
    let assume = channel.assume;
    let options = amazon::Options {
        base_url: channel.base_url.clone(),
        lwa_url: channel.lwa_url.clone(),
        seller_id: channel.seller_id.clone(),
        marketplace_ids: channel.marketplaces.clone(),
        client_id: channel.client_id.clone(),
        client_secret: secret.client_secret.clone(),
        refresh_token: secret.refresh_token.clone(),
        location: first(&channel.selling.locations)?,
        own_location: channel.fba_location.clone(),
        product_type: "PRODUCT".to_owned(),
        report_above: channel.report_above,
        feeds: channel.feed_above > 0,
        application: "Evenkeel".to_owned(),
        rates: amazon::Rates {
            patch_listing: rate(channel.rates.patch_listings_item),
            get_listing: rate(channel.rates.get_listings_item),
            search_listings: rate(channel.rates.search_listings_items),
            search_orders: rate(channel.rates.search_orders),
            get_order: rate(channel.rates.get_order),
            summaries: amazon::Rates::default().summaries,
        },
        timing: amazon::Timing {
            visible_ms: ms(assume.visible, stated.visible_ms),
            late_ms: ms(assume.late, stated.late_ms),
            look_ms: ms(assume.look, stated.look_ms),
            stale_ms: ms(assume.stale, stated.stale_ms),
            feed_lag_ms: ms(assume.feed_lag, stated.feed_lag_ms),
        },
        secret_since: channel.client_secret_since,
        queue: queue(channel, secret),
        http: http_of(channel.timeouts),
    };
    let problems =
        |all: Vec<amazon::Problem>| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Ok(Arc::new(amazon::Amazon::new(options).map_err(problems)?))
}

fn queue(channel: &config::Amazon, secret: &config::AmazonSecrets) -> Option<sqs::Options> {
    let queue = channel.queue.as_ref()?;
    let key = queue.key.as_ref().zip(secret.queue.as_ref());
    Some(sqs::Options {
        url: queue.url.clone(),
        region: queue.region.clone(),
        key: key.map(|((id, _), secret)| sqs::AccessKey { id: id.clone(), secret: secret.clone() }),
        hidden: sqs::HIDDEN,
        http: http_of(channel.timeouts),
    })
}

/// The vendor's bucket, less one: a fresh limiter lets burst and refill through in its first window.
fn rate(rate: config::Rate) -> limit::Rate {
    let burst = NonZeroU32::new(rate.burst.saturating_sub(1)).unwrap_or(NonZeroU32::MIN);
    limit::Rate { every: Duration::from_secs_f64(1.0 / rate.per_second.max(1e-6)), burst }
}

fn tryton(id: &ChannelId, channel: &config::Tryton, secrets: &Secrets) -> Result<Arc<dyn Connector>, String> {
    let secret = secrets.tryton.get(id).ok_or(NO_SECRET)?;
    let options = tryton::Options {
        base_url: channel.base_url.clone(),
        database: channel.database.clone(),
        key: secret.key.clone(),
        company: channel.company,
        warehouses: channel.warehouses.clone(),
        measure: channel.counts.unwrap_or(Measure::OnHand),
        customer: channel.customer.clone(),
        late: channel.assume.late.unwrap_or(tryton::Options::LATE),
        http: http_of(channel.timeouts),
    };
    let setting = format!("channels.tryton.{id}");
    Ok(Arc::new(tryton::Tryton::new(&setting, options).map_err(|e| causes(&e))?))
}

/// Returns what a channel can. One that is not there can nothing.
pub fn abilities(connectors: &Connectors, id: &ChannelId) -> Abilities {
    let nothing = Abilities {
        quantities: false,
        compare_and_set: false,
        delta: false,
        visible: Visible::AtOnce,
        sells: false,
        restocks_cancels: false,
        restocks_returns: false,
        posts: false,
        counts: None,
        batch: 1,
        late_ms: 0,
        stale_ms: 0,
        feed_lag_ms: 0,
        visible_ms: 0,
        look_ms: 0,
    };
    connectors.get(id).map_or(nothing, |connector| connector.abilities())
}
