//! Checks `[channels.amazon.<name>]`.

use std::time::Duration;

use url::Url;

use crate::config::{
    check::{
        Names,
        channels::{self, Defaults, RawSelling},
    },
    raw,
    schedule::Schedule,
    scope::Scope,
    settings::{Amazon, Queue, Rate, Rates, Selling},
    span,
};
use crate::model::Timestamp;

/// One host for all regions.
const LWA_URL: &str = "https://api.amazon.com/auth/o2/token";

/// A page of Amazon's own stock takes half a second of its plan.
const FBA_EVERY: Duration = Duration::from_mins(15);

const REPORT_ABOVE: u64 = 5_000;
const REPORT_NEVER: i64 = 100_000_000;
/// So many patches take seventeen minutes at Amazon's rate, and a feed half an hour at best.
const FEED_ABOVE: u32 = 5_000;

const DEFAULTS: Defaults = Defaults {
    // The usage plan of `searchOrders` allows one call in 179 seconds.
    orders_every: Duration::from_mins(3),
    overlap: Duration::from_mins(5),
    lookback: Duration::from_hours(30 * 24),
};

/// Which marketplaces each regional endpoint serves.
static REGIONS: [Region; 3] = [
    Region {
        name: "na",
        url: "https://sellingpartnerapi-na.amazon.com/",
        marketplaces: &["A2EUQ1WTGCTBG2", "ATVPDKIKX0DER", "A1AM78C64UM0Y8", "A2Q3Y263D00KWC"],
    },
    Region {
        name: "eu",
        url: "https://sellingpartnerapi-eu.amazon.com/",
        marketplaces: &[
            "A1RKKUPIHCS9HS",
            "A1F83G8C2ARO7P",
            "AMEN7PMS3EDWL",
            "A13V1IB3VIYZZH",
            "A1805IZSGTT6HS",
            "A1PA6795UKMFR9",
            "APJ6JRA9NG5V4",
            "A2NODRKZP88ZB9",
            "A1C3SOZRARQ6R3",
            "A33AVAJ2PDY3EV",
            "A2VIGQ35RCS4UG",
            "A21TJRUUN4KGV",
            "A28R8C7NBKEWEA",
            "A17E79C6D8DWNP",
            "ARBP9OOSHTCHU",
            "AE08WJ6YKNBMC",
        ],
    },
    Region {
        name: "fe",
        url: "https://sellingpartnerapi-fe.amazon.com/",
        marketplaces: &["A19VAU5U5O7RUS", "A39IBJ37TRP1C6", "A1VC38T7YXB528"],
    },
];

struct Region {
    name: &'static str,
    url: &'static str,
    marketplaces: &'static [&'static str],
}

pub(super) fn amazon(
    raw: raw::Amazon,
    at: &Scope<'_>,
    names: &Names,
    reconcile: &Schedule,
) -> Option<Amazon> {
    let addresses = addresses((raw.region, raw.environment), raw.base_url, raw.lwa_url, at);
    let region = addresses.as_ref().and_then(|addresses| addresses.region);
    let marketplaces = marketplaces(raw.marketplaces, &at.key("marketplaces"), region);
    let seller_id = at.required("seller_id", raw.seller_id, "\"A1B2C3D4E5F6G7\"");
    let seller_id = seller_id.and_then(|id| code("seller_id", id, "the merchant token of the account", at));
    let client_id = at.required("client_id", raw.client_id, "\"amzn1.application-oa2-client.0123\"");
    let client_id = at.text("client_id", client_id);
    let secret = at.required("client_secret", raw.client_secret, "{ credential = \"amazon-us-secret\" }");
    let client_secret = secret.and_then(|secret| at.key("client_secret").secret(secret));
    let client_secret_since = day("client_secret_since", raw.client_secret_since, at);
    let token = at.required("refresh_token", raw.refresh_token, "{ credential = \"amazon-us-token\" }");
    let refresh_token = token.and_then(|token| at.key("refresh_token").secret(token));
    let selling = RawSelling {
        locations: channels::locations(raw.locations, &at.key("locations"), names),
        buffer: raw.buffer,
        min: raw.min,
        max: raw.max,
        orders: (raw.orders_every, raw.orders_cron),
        overlap: raw.orders_overlap,
        lookback: raw.orders_lookback,
        reconcile: (raw.reconcile_every, raw.reconcile_cron),
        drift: raw.drift,
    };
    let selling = channels::selling(selling, at, &DEFAULTS, reconcile);
    let fba_location = raw.fba_location.and_then(|name| names.location(&name, &at.key("fba_location")));
    let fba = Schedule::Every(FBA_EVERY);
    let fba = at.schedule(["fba_every", "fba_cron"], (raw.fba_every, raw.fba_cron), fba);
    let report_above = at.whole("report_above", raw.report_above, REPORT_ABOVE, 0..=REPORT_NEVER);
    let feed_above = at.whole("feed_above", raw.feed_above, FEED_ABOVE, 0..=1_000_000);
    let queue = queue(raw.queue, &at.key("queue"));
    let rates = rates(raw.rates, &at.key("rates"));
    pace(&selling, &rates, at);
    let timeouts = channels::timeouts(raw.connect_timeout, raw.timeout, at);
    let assume = channels::assume(raw.assume, &at.key("assume"));
    let addresses = addresses?;
    Some(Amazon {
        base_url: addresses.base_url,
        lwa_url: addresses.lwa_url,
        seller_id: seller_id?,
        marketplaces,
        client_id: client_id?,
        client_secret: client_secret?,
        client_secret_since,
        refresh_token: refresh_token?,
        rates,
        report_above,
        feed_above,
        fba_location,
        fba,
        queue,
        selling,
        timeouts,
        assume,
    })
}

struct Addresses {
    base_url: Url,
    lwa_url: Url,
    region: Option<&'static Region>,
}

/// Takes a region, or the addresses of something that stands in for Amazon.
fn addresses(
    (region, environment): (Option<String>, Option<String>),
    base_url: Option<String>,
    lwa_url: Option<String>,
    at: &Scope<'_>,
) -> Option<Addresses> {
    if region.is_none() && base_url.is_none() {
        at.required::<String>("region", None, "\"na\"");
    }
    if region.is_some() && base_url.is_some() {
        at.key("base_url").problem_fix("must not be given together with `region`", "remove one of the two");
    }
    let sandbox = at.choice("environment", environment, false, &[("production", false), ("sandbox", true)]);
    if base_url.is_some() && sandbox {
        at.key("environment")
            .problem_fix("must not be given together with `base_url`", "remove one of the two");
    }
    if base_url.is_some() && lwa_url.is_none() {
        let message = "is missing: with `base_url`, tokens must not be asked of Amazon itself";
        at.key("lwa_url").problem(message);
    }
    let words: [(&str, Option<&'static Region>); 3] =
        REGIONS.each_ref().map(|region| (region.name, Some(region)));
    let region = at.choice("region", region, None, &words);
    let known = |url: &str| Url::parse(url).expect("the built-in addresses are valid");
    let lwa_url = match lwa_url {
        Some(url) => at.url("lwa_url", Some(url))?,
        None => known(LWA_URL),
    };
    let base_url = match (base_url, region) {
        (Some(url), _) => at.url("base_url", Some(url))?,
        (None, Some(region)) if sandbox => known(&region.url.replacen("://", "://sandbox.", 1)),
        (None, Some(region)) => known(region.url),
        (None, None) => return None,
    };
    Some(Addresses { base_url, lwa_url, region })
}

/// Takes a day, as the midnight that it begins with.
fn day(key: &str, text: Option<String>, at: &Scope<'_>) -> Option<Timestamp> {
    let text = text?;
    let day = text.parse::<jiff::civil::Date>();
    let midnight = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC));
    match midnight {
        Ok(midnight) => Some(Timestamp::from_millis(midnight.timestamp().as_millisecond())),
        Err(_) => {
            let shown = text.escape_debug();
            at.key(key).problem_fix(format!("must be a day, is `{shown}`"), "write it like `2026-11-30`");
            None
        }
    }
}

/// Takes the queue of notifications, if there is one.
fn queue(raw: raw::Queue, at: &Scope<'_>) -> Option<Queue> {
    let any = raw.region.is_some() || raw.access_key_id.is_some() || raw.secret_access_key.is_some();
    if raw.url.is_none() && !any {
        return None;
    }
    let url = at.required("url", raw.url, "\"https://sqs.us-east-1.amazonaws.com/123456789012/evenkeel\"");
    let url = at.url("url", url);
    if url.as_ref().is_some_and(|url| url.path_segments().is_none_or(|parts| parts.count() != 2)) {
        at.key("url")
            .problem("must end in the account and the name of the queue, as in `…/123456789012/evenkeel`");
    }
    let told = url.as_ref().and_then(|url| region(url.host_str()?)).map(str::to_owned);
    let region = at.text("region", raw.region).or(told);
    if region.is_none() && url.is_some() {
        at.required::<String>("region", None, "\"us-east-1\"");
    }
    let secret = raw.secret_access_key.and_then(|secret| at.key("secret_access_key").secret(secret));
    let key = match (at.text("access_key_id", raw.access_key_id), secret) {
        (Some(id), Some(secret)) => Some((id, secret)),
        (Some(_), None) if !at.key("secret_access_key").is_spoilt() => {
            at.key("secret_access_key").problem("is missing: `access_key_id` is given");
            None
        }
        (None, Some(_)) => {
            at.key("access_key_id").problem("is missing: `secret_access_key` is given");
            None
        }
        (_, None) => None,
    };
    Some(Queue { url: url?, region: region?, key })
}

/// Returns the region of an address such as `sqs.eu-west-1.amazonaws.com`.
fn region(host: &str) -> Option<&str> {
    let rest = host.strip_prefix("sqs.")?;
    rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
}

fn marketplaces(list: Vec<String>, at: &Scope<'_>, region: Option<&'static Region>) -> Vec<String> {
    if list.is_empty() {
        at.problem_fix(
            "is missing",
            "name the marketplaces, for example `marketplaces = [\"ATVPDKIKX0DER\"]`",
        );
    }
    let mut marketplaces: Vec<String> = Vec::new();
    for (index, id) in list.into_iter().enumerate() {
        let at = at.index(index);
        let well_formed = (10..=14).contains(&id.len()) && is_code(&id);
        let home = REGIONS.iter().find(|region| region.marketplaces.contains(&id.as_str()));
        if !well_formed {
            at.problem_fix(
                format!("must be the id of a marketplace, is `{}`", id.escape_debug()),
                "write it like `ATVPDKIKX0DER`, not as a country",
            );
        } else if marketplaces.contains(&id) {
            at.problem(format!("`{id}` is given twice"));
        } else if let (Some(home), Some(region)) = (home, region)
            && home.name != region.name
        {
            at.problem_fix(
                format!("`{id}` belongs to the region `{}`, not to `{}`", home.name, region.name),
                "a seller account has one channel for each region",
            );
        }
        marketplaces.push(id);
    }
    marketplaces
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

fn code(key: &str, text: String, what: &str, at: &Scope<'_>) -> Option<String> {
    if text.len() <= 32 && is_code(&text) {
        return Some(text);
    }
    let shown = text.escape_debug();
    at.key(key).problem(format!("must be {what}, of `A-Z` and `0-9` only, is `{shown}`"));
    None
}

fn rates(raw: raw::Rates, at: &Scope<'_>) -> Rates {
    let one =
        |key: &str, raw: raw::Rate, per_second: f64, burst: u32| rate(raw, &at.key(key), per_second, burst);
    Rates {
        search_orders: one("search_orders", raw.search_orders, 0.0056, 20),
        get_order: one("get_order", raw.get_order, 0.5, 30),
        patch_listings_item: one("patch_listings_item", raw.patch_listings_item, 5.0, 5),
        get_listings_item: one("get_listings_item", raw.get_listings_item, 5.0, 10),
        search_listings_items: one("search_listings_items", raw.search_listings_items, 5.0, 5),
    }
}

fn rate(raw: raw::Rate, at: &Scope<'_>, per_second: f64, burst: u32) -> Rate {
    let given = raw.per_second.unwrap_or(per_second);
    let good = (0.0001..=1000.0).contains(&given);
    if !good {
        at.key("per_second").problem(format!("must be from `0.0001` to `1000`, is `{given}`"));
    }
    Rate {
        per_second: if good { given } else { per_second },
        burst: at.whole("burst", raw.burst, burst, 1..=10_000),
    }
}

/// Refuses to ask for orders more often than the usage plan allows in the long run.
fn pace(selling: &Selling, rates: &Rates, at: &Scope<'_>) {
    let Schedule::Every(every) = &selling.orders.schedule else { return };
    let least = Duration::from_secs_f64(1.0 / rates.search_orders.per_second);
    if *every < least {
        let seconds = Duration::from_secs(least.as_secs() + 1);
        at.key("orders_every").problem_fix(
            format!(
                "must be at least `{}`, since `rates.search_orders` allows `{}` calls a second; is `{}`",
                span::human(seconds),
                rates.search_orders.per_second,
                span::human(*every),
            ),
            "raise it; webhooks and other channels are not slowed by it",
        );
    }
}
