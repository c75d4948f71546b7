//! What becomes of each field on its way, and what flows where: told from the configuration.

use serde::Serialize;

use crate::{
    config::Config,
    model::{Abilities, ChannelId, LocationId, Measure, Quantity, counted},
};

/// What becomes of a field.
#[derive(Serialize)]
pub(super) struct Rule {
    pub(super) from: String,
    pub(super) field: String,
    pub(super) becomes: String,
}

/// Who sends what to whom.
#[derive(Serialize)]
pub(super) struct Flow {
    /// What comes from each channel, and what goes there.
    pub(super) ways: Vec<Way>,
}

#[derive(Serialize)]
pub(super) struct Way {
    pub(super) channel: String,
    pub(super) kind: &'static str,
    /// Whether it sells; what does not is an ERP.
    pub(super) sells: bool,
    pub(super) comes: Vec<String>,
    pub(super) goes: Vec<String>,
}

fn rule(from: &ChannelId, field: &str, becomes: String) -> Rule {
    Rule { from: from.to_string(), field: field.to_owned(), becomes }
}

/// Returns the rules of all channels.
pub(super) fn of(config: &Config) -> Vec<Rule> {
    let mut all = Vec::new();
    for (id, erp) in &config.tryton {
        let measure = match erp.counts {
            Some(Measure::OnHand) => "on hand; what was sold and not shipped is taken off",
            Some(Measure::Free) => "free; what others have sold and the ERP was not told of is taken off",
            None => "not read as a count",
        };
        let names: Vec<String> =
            erp.warehouses.iter().map(|(code, at)| format!("{code} is `{at}`")).collect();
        all.push(rule(id, "quantity of a product", format!("{measure} ({})", names.join(", "))));
        all.push(rule(id, "code of a product", master(config, id)));
    }
    for id in config.shopify.keys() {
        let outlets = config.shopify.get(id).map(|shop| shop.outlets.as_slice()).unwrap_or_default();
        for outlet in outlets {
            let field = format!("available at location {}", outlet.id);
            all.push(rule(id, &field, shown(config, id, &outlet.locations)));
        }
        all.push(rule(
            id,
            "order line",
            "committed, until it is shipped or cancelled; its SKU by the mapping".to_owned(),
        ));
        all.push(rule(
            id,
            "refund",
            format!("restocked units by `returns = \"{}\"`; others leave the shelf", returns(config)),
        ));
    }
    for (id, amazon) in &config.amazon {
        all.push(rule(
            id,
            "quantity of a listing that the merchant ships",
            shown(config, id, &amazon.selling.locations),
        ));
        let fba = match &amazon.fba_location {
            Some(at) => format!("read only, at `{at}`; never written"),
            None => "left alone".to_owned(),
        };
        all.push(rule(id, "stock that Amazon ships (FBA)", fba));
        all.push(rule(
            id,
            "order item",
            "committed from the moment it is pending; its SKU by the mapping".to_owned(),
        ));
    }
    all
}

fn returns(config: &Config) -> &'static str {
    match config.returns {
        crate::model::policy::Returns::Restock => "restock",
        crate::model::policy::Returns::Quarantine => "quarantine",
        crate::model::policy::Returns::Ignore => "ignore",
    }
}

fn master(config: &Config, id: &ChannelId) -> String {
    let table = counted(config.mapping.table.len(), "row");
    if config.mapping.master.as_ref() == Some(id) {
        format!(
            "the SKU; other channels' texts are matched with it, then by the rules and {table} of the mapping table"
        )
    } else {
        "matched with the SKUs".to_owned()
    }
}

/// Says what a listing shows.
fn shown(config: &Config, id: &ChannelId, locations: &[LocationId]) -> String {
    let Some(selling) = config.selling(id) else { return String::new() };
    let places: Vec<&str> = locations.iter().map(LocationId::as_str).collect();
    let mut text = format!("on hand less committed and reserved of {}", places.join(" and "));
    let mut less = |what: &str, units: Quantity| {
        if units != Quantity::ZERO {
            text.push_str(&format!(", less {what} {units}"));
        }
    };
    less("safety stock", config.allocation.safety_stock);
    less("buffer", selling.buffer);
    if selling.min != Quantity::ZERO {
        text.push_str(&format!("; 0 where that is below {}", selling.min));
    }
    if let Some(max) = selling.max {
        text.push_str(&format!("; at most {max}"));
    }
    let own = config
        .overrides
        .iter()
        .filter(|row| row.channel.as_ref().is_none_or(|channel| channel == id))
        .count();
    if own > 0 {
        text.push_str(&format!("; {} set other bounds", counted(own, "override")));
    }
    text
}

/// Tells a channel's limits, and what they mean for so many listings.
pub(super) fn limits(config: &Config, id: &ChannelId, abilities: &Abilities, listings: usize) -> Vec<String> {
    if !abilities.quantities {
        return Vec::new();
    }
    let Some(amazon) = config.amazon.get(id) else {
        return vec![format!("writes {} a call", counted(abilities.batch, "quantity"))];
    };
    let per_second = amazon.rates.patch_listings_item.per_second;
    let take = at_least(listings, per_second);
    vec![format!("writes one quantity a call, {per_second} a second: all {listings} take {take}")]
}

/// Says how long so many calls take at least, at so many a second.
fn at_least(calls: usize, per_second: f64) -> String {
    let seconds = calls as f64 / per_second.max(1e-6);
    if seconds < 1.0 {
        "less than a second".to_owned()
    } else if seconds < 60.0 {
        format!("{} at least", counted(seconds.floor(), "second"))
    } else {
        format!("{} at least", counted((seconds / 60.0).floor(), "minute"))
    }
}

impl Flow {
    pub(super) fn of(config: &Config) -> Flow {
        let text = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut ways = Vec::new();
        for (id, erp) in &config.tryton {
            let posts = [
                (erp.posts.sales, "sales"),
                (erp.posts.shipments, "shipments"),
                (erp.posts.returns, "returns"),
            ];
            let comes =
                if erp.counts.is_some() { text(&["products", "counts"]) } else { text(&["products"]) };
            let goes = posts.into_iter().filter(|(told, _)| *told).map(|(_, what)| what.to_owned()).collect();
            ways.push(Way { channel: id.to_string(), kind: "tryton", sells: false, comes, goes });
        }
        for (id, shop) in &config.shopify {
            let pushes =
                if shop.webhook_secrets.is_empty() { "orders" } else { "orders, by webhook and by polling" };
            let comes = text(&[pushes, "items and what they show"]);
            ways.push(Way {
                channel: id.to_string(),
                kind: "shopify",
                sells: true,
                comes,
                goes: text(&["quantities"]),
            });
        }
        for (id, amazon) in &config.amazon {
            let orders =
                if amazon.queue.is_some() { "orders, by notifications and by polling" } else { "orders" };
            let mut comes = text(&[orders, "listings and what they show"]);
            if amazon.fba_location.is_some() {
                comes.push("FBA stock".to_owned());
            }
            ways.push(Way {
                channel: id.to_string(),
                kind: "amazon",
                sells: true,
                comes,
                goes: text(&["quantities"]),
            });
        }
        Flow { ways }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_all_writes_take_is_not_rounded_up_to_a_minute() {
        for (calls, per_second, said) in [
            (14, 50.0, "less than a second"),
            (50, 50.0, "1 second at least"),
            (2_999, 50.0, "59 seconds at least"),
            (3_000, 50.0, "1 minute at least"),
            (1_000, 5.0, "3 minutes at least"),
        ] {
            assert_eq!(at_least(calls, per_second), said, "{calls}");
        }
    }
}
