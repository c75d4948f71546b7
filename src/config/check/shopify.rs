//! Checks `[channels.shopify.<name>]`.

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
    secret::SecretRef,
    settings::{Access, Shopify},
};
use crate::model::policy::Outlet;

/// The version that the queries are written for.
const API_VERSION: &str = "2026-10";
/// The oldest version that the queries are valid in.
const API_VERSION_MIN: &str = "2026-07";
/// Up to how many variants a shop is compared page by page, unless configured; and from how many on it always is: Shopify counts to
/// 10,000.
const BULK_ABOVE: u64 = 5_000;
const BULK_NEVER: i64 = 10_000;
/// Secrets that may sign webhooks at one time: the app's, its former one, and a store's own.
const WEBHOOK_SECRETS_MAX: usize = 5;

const DEFAULTS: Defaults = Defaults {
    orders_every: Duration::from_mins(1),
    overlap: Duration::from_mins(2),
    // Without the scope `read_all_orders`, Shopify tells no older ones.
    lookback: Duration::from_hours(60 * 24),
};

pub(super) fn shopify(
    raw: raw::Shopify,
    at: &Scope<'_>,
    names: &Names,
    reconcile: &Schedule,
) -> Option<Shopify> {
    let shop = at.required("shop", raw.shop, "\"example.myshopify.com\"");
    let shop = shop.and_then(|shop| domain(shop, raw.base_url.is_some(), at));
    let base_url = match (raw.base_url, &shop) {
        (Some(url), _) => at.url("base_url", Some(url)),
        (None, Some(shop)) => Url::parse(&format!("https://{shop}/")).ok(),
        (None, None) => None,
    };
    let access = access(raw.access_token, raw.client_id, raw.client_secret, at);
    let webhook_secrets = webhook_secrets(raw.webhook_secrets, &at.key("webhook_secrets"));
    let outlets = if raw.outlets.is_empty() {
        let location = at.required("location_id", raw.location_id, "655441491");
        let id = location.and_then(|location| location_id(&location.0, &at.key("location_id")));
        let locations = channels::locations(raw.locations, &at.key("locations"), names);
        id.map(|id| vec![Outlet { id, locations }])
    } else {
        for (key, given) in
            [("location_id", raw.location_id.is_some()), ("locations", !raw.locations.is_empty())]
        {
            if given {
                let fix = "move it to the first of the `outlets`";
                at.key(key).problem_fix("is not for a channel with `outlets`", fix);
            }
        }
        outlets(raw.outlets, &at.key("outlets"), names)
    };
    let outlets = outlets.unwrap_or_default();
    let selling = RawSelling {
        locations: outlets.iter().flat_map(|outlet| outlet.locations.clone()).collect(),
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
    let timeouts = channels::timeouts(raw.connect_timeout, raw.timeout, at);
    let assume = channels::assume(raw.assume, &at.key("assume"));
    let api_version = api_version(raw.api_version, at);
    let bulk_above = at.whole("bulk_above", raw.bulk_above, BULK_ABOVE, 0..=BULK_NEVER);
    Some(Shopify {
        api_version,
        shop: shop?,
        base_url: base_url?,
        access: access?,
        webhook_secrets,
        outlets: Some(outlets).filter(|outlets| !outlets.is_empty())?,
        bulk_above,
        stock_items: raw.stock_items.unwrap_or(false),
        selling,
        timeouts,
        assume,
    })
}

/// Takes the shop's own domain. A shop elsewhere than at Shopify may have another.
fn domain(shop: String, elsewhere: bool, at: &Scope<'_>) -> Option<String> {
    let label = |part: &str| {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty() && part.chars().all(good)
    };
    let valid = shop.split('.').all(label);
    let own = shop.strip_suffix(".myshopify.com").is_some_and(label);
    if own || (elsewhere && valid) {
        return Some(shop);
    }
    at.key("shop").problem_fix(
        format!("must be the shop's own domain in lower case, is `{}`", shop.escape_debug()),
        "write it like `example.myshopify.com`, without `https://`",
    );
    None
}

/// Takes a token, or an app's id and secret.
fn access(
    token: Option<raw::Secret>,
    id: Option<String>,
    secret: Option<raw::Secret>,
    at: &Scope<'_>,
) -> Option<Access> {
    if token.is_some() {
        for (key, given) in [("client_id", id.is_some()), ("client_secret", secret.is_some())] {
            if given {
                at.key(key)
                    .problem_fix("must not be given together with `access_token`", "remove one of the two");
            }
        }
    }
    if id.is_none() && secret.is_none() {
        let example = "{ credential = \"shopify-main-token\" }";
        let token = at.required("access_token", token, example);
        return token.and_then(|token| at.key("access_token").secret(token)).map(Access::Token);
    }
    let id = at.required("client_id", id, "\"0123456789abcdef0123456789abcdef\"");
    let id = at.text("client_id", id);
    let secret = at.required("client_secret", secret, "{ credential = \"shopify-main-client-secret\" }");
    let secret = secret.and_then(|secret| at.key("client_secret").secret(secret));
    Some(Access::Client { id: id?, secret: secret? })
}

fn api_version(raw: Option<String>, at: &Scope<'_>) -> String {
    let Some(version) = raw else { return API_VERSION.to_owned() };
    let quarterly = matches!(
        version.as_bytes(),
        [y, e, a, r, b'-', b'0', b'1' | b'4' | b'7'] | [y, e, a, r, b'-', b'1', b'0']
            if [y, e, a, r].into_iter().all(u8::is_ascii_digit)
    );
    if quarterly && version.as_str() >= API_VERSION_MIN {
        return version;
    }
    let message =
        format!("must be a version like `{API_VERSION}`, `{API_VERSION_MIN}` or later, is `{version}`");
    at.key("api_version").problem(message);
    API_VERSION.to_owned()
}

fn webhook_secrets(list: Vec<raw::Secret>, at: &Scope<'_>) -> Vec<SecretRef> {
    if list.len() > WEBHOOK_SECRETS_MAX {
        at.problem(format!("must be at most `{WEBHOOK_SECRETS_MAX}` secrets, is `{}`", list.len()));
    }
    let each = |(index, secret)| at.index(index).secret(secret);
    list.into_iter().enumerate().filter_map(each).collect()
}

/// Takes the shop's locations. No location of ours is drawn on by two of them: the shop would sell each unit twice.
fn outlets(list: Vec<raw::Outlet>, at: &Scope<'_>, names: &Names) -> Option<Vec<Outlet>> {
    let mut outlets: Vec<Outlet> = Vec::new();
    let count = list.len();
    for (index, raw) in list.into_iter().enumerate() {
        let at = at.index(index);
        let id = at.required("location_id", raw.location_id, "655441491");
        let id = id.and_then(|id| location_id(&id.0, &at.key("location_id")));
        let locations = channels::locations(raw.locations, &at.key("locations"), names);
        for location in &locations {
            if outlets.iter().any(|outlet| outlet.locations.contains(location)) {
                at.key("locations").problem_fix(
                    format!(
                        "`{location}` is drawn on by an earlier one: the shop would show its units twice"
                    ),
                    "let each of the shop's locations draw on others of yours",
                );
            }
        }
        let Some(id) = id else { continue };
        if outlets.iter().any(|outlet| outlet.id == id) {
            at.key("location_id").problem(format!("`{id}` is given twice"));
        }
        outlets.push(Outlet { id, locations });
    }
    (outlets.len() == count).then_some(outlets)
}

/// Takes `gid://shopify/Location/123` or `123`.
fn location_id(text: &str, at: &Scope<'_>) -> Option<String> {
    let digits = text.strip_prefix("gid://shopify/Location/").unwrap_or(text);
    match digits.parse::<u64>() {
        Ok(id) if id > 0 => Some(id.to_string()),
        Ok(_) | Err(_) => {
            let message = format!("must be the id of a Shopify location, is `{}`", text.escape_debug());
            at.problem_fix(message, "write the number at the end of its address in the admin");
            None
        }
    }
}
