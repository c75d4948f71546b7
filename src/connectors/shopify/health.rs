//! Whether a shop can be worked with: scopes, versions, location.

use serde::Deserialize;

use crate::{
    connectors::{
        http,
        shopify::{
            gid,
            options::{Options, release},
        },
    },
    model::Timestamp,
};

/// The scopes that the connector cannot do without, and what for. A write scope implies its read scope.
const SCOPES: [(&str, &str); 4] = [
    ("write_inventory", "reading and writing quantities"),
    ("read_locations", "finding the shop's locations"),
    ("read_orders", "reading orders, and their webhooks"),
    ("read_products", "finding variants and their SKUs"),
];

/// The scope that the webhooks it follows need besides.
const PUSH_SCOPE: (&str, &str) = ("read_fulfillments", "webhooks about shipments");

/// How long before the end of a version's life it is a problem: time enough for a release.
const WARN_MONTHS: i32 = 3;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    locations: Places,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    shop: Shop,
    current_app_installation: Installation,
    public_api_versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Places {
    nodes: Vec<Place>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shop {
    myshopify_domain: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Installation {
    access_scopes: Vec<Scope>,
}

#[derive(Debug, Deserialize)]
struct Scope {
    handle: String,
}

#[derive(Debug, Deserialize)]
struct Version {
    handle: String,
    supported: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    id: String,
    name: String,
    is_active: bool,
    fulfills_online_orders: bool,
}

/// The scope without which it is not told where orders are shipped from.
const ROUTE_SCOPE: (&str, &str) = (
    "read_merchant_managed_fulfillment_orders",
    "telling from which of the shop's locations orders are shipped",
);

/// Returns what is worth knowing: the shop ships from places that are not configured.
pub(super) fn facts(data: &serde_json::Value, options: &Options) -> Result<Vec<String>, String> {
    let health: Health = http::json_part(data)?;
    let Some(home) = options.locations.nth(0) else { return Ok(Vec::new()) };
    let other = |place: &&Place| {
        let known = place.number().is_some_and(|number| options.locations.numbered(number).is_some());
        place.is_active && place.fulfills_online_orders && !known
    };
    let told = |place: &Place| {
        let (number, name, home) = (place.number().unwrap_or_default(), &place.name, &home.id);
        format!(
            "the shop ships from its location `{number}` (`{name}`) too: what it sells there is booked at `{home}`"
        )
    };
    Ok(health.locations.nodes.iter().filter(other).map(told).collect())
}

/// Returns the problems that a person should see to; none is good. `at` is the shop's clock.
pub(super) fn problems(
    data: &serde_json::Value,
    options: &Options,
    at: Option<Timestamp>,
) -> Result<Vec<String>, String> {
    let mut all: Vec<String> = other_shop(data, options)?.into_iter().collect();
    all.extend(missing_scopes(data, options)?);
    all.extend(version(data, &options.api_version, at)?);
    let health: Health = http::json_part(data)?;
    for location in options.locations.iter() {
        let number = location.number;
        match health.locations.nodes.iter().find(|place| place.number() == Some(number)) {
            None => all.push(format!(
                "the shop has no location `{number}`: set `location_id` to one of its locations"
            )),
            Some(place) if !place.is_active => {
                all.push(format!("location `{number}` (`{}`) is deactivated in Shopify", place.name));
            }
            Some(_) => {}
        }
    }
    Ok(all)
}

impl Place {
    fn number(&self) -> Option<u64> {
        gid::number("Location", &self.id)
    }
}

/// Says that the token is for another shop than the configured one.
pub(super) fn other_shop(data: &serde_json::Value, options: &Options) -> Result<Option<String>, String> {
    let standing: Standing = http::json_part(data)?;
    let domain = &standing.shop.myshopify_domain;
    let same = domain.eq_ignore_ascii_case(&options.shop);
    Ok((!same).then(|| format!("the token is for `{domain}`, but `shop` is `{}`", options.shop)))
}

/// Says which scopes are missing, and what each is for.
pub(super) fn missing_scopes(data: &serde_json::Value, options: &Options) -> Result<Vec<String>, String> {
    let standing: Standing = http::json_part(data)?;
    let pushes = options.is_pushed_to().then_some(&PUSH_SCOPE);
    let routes = options.locations.are_several().then_some(&ROUTE_SCOPE);
    let missing = SCOPES.iter().chain(pushes).chain(routes).filter(|(scope, _)| !standing.has(scope));
    let told = |(scope, what): &(&str, &str)| {
        format!("scope `{scope}` is missing, for {what}: grant it to the app and install the app again")
    };
    Ok(missing.map(told).collect())
}

/// Says that the pinned version's life is over, or when it ends, if that is not far off. `at` is the shop's clock.
pub(super) fn version(
    data: &serde_json::Value,
    pinned: &str,
    at: Option<Timestamp>,
) -> Result<Option<String>, String> {
    let standing: Standing = http::json_part(data)?;
    let listed = standing.public_api_versions.iter().find(|version| version.handle == pinned);
    if !listed.is_some_and(|version| version.supported) {
        return Ok(Some(format!("API version `{pinned}` is not supported by the shop: set `api_version`")));
    }
    let left = at.and_then(|at| months_left(pinned, at));
    Ok(left.filter(|(months, _)| *months < WARN_MONTHS).map(|(_, end)| {
        format!(
            "API version `{pinned}` ends on {end}: update Evenkeel before that, or set `api_version` to a later one \
             that it knows"
        )
    }))
}

impl Standing {
    fn has(&self, scope: &str) -> bool {
        let implied = scope.strip_prefix("read_").map(|what| format!("write_{what}"));
        self.current_app_installation
            .access_scopes
            .iter()
            .any(|granted| granted.handle == scope || Some(&granted.handle) == implied.as_ref())
    }
}

/// Returns the whole months until a version ends, a year after its release, and that day.
fn months_left(version: &str, at: Timestamp) -> Option<(i32, jiff::civil::Date)> {
    let (year, month) = release(version)?;
    let end = jiff::civil::Date::new(year + 1, month, 1).ok()?;
    let now = jiff::Timestamp::from_millisecond(at.millis()).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date();
    let months = now.until((jiff::Unit::Month, end)).ok()?.get_months();
    Some((months, end))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::*;
    use crate::connectors::shopify::{encode::tests::two, tests::options};

    /// 2026-11-23.
    const NOW: Timestamp = Timestamp::from_millis(1_795_392_000_000);

    fn healthy() -> Value {
        let scopes = ["write_inventory", "read_locations", "read_orders", "write_products"];
        json!({
            "shop": {"myshopifyDomain": "example.myshopify.com"},
            "currentAppInstallation": {"accessScopes": scopes.map(|handle| json!({"handle": handle}))},
            "publicApiVersions": [{"handle": "2026-10", "supported": true}, {"handle": "2025-07", "supported": false}],
            "locations": {"nodes": [
                {"id": "gid://shopify/Location/5", "name": "Shop location", "isActive": true, "fulfillsOnlineOrders": true},
            ]},
        })
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value, &mut Options), now: Timestamp, want: &[&str]) {
        let (mut data, mut options) = (healthy(), options("http://127.0.0.1:1"));
        options.webhook_secrets.clear();
        change(&mut data, &mut options);
        let got = problems(&data, &options, Some(now)).expect("it can be read");
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.contains(want), "{got}");
        }
    }

    #[test]
    fn a_healthy_shop_has_no_problems_and_every_lack_is_named() {
        check(|_, _| {}, NOW, &[]);
        check(|data, _| data["shop"]["myshopifyDomain"] = json!("other.myshopify.com"), NOW, &["`other.my"]);
        let none =
            |data: &mut Value, _: &mut Options| data["currentAppInstallation"]["accessScopes"] = json!([]);
        check(none, NOW, &SCOPES.map(|(scope, _)| scope));
        check(none, NOW, &SCOPES.map(|(_, what)| what));
        check(
            |_, options| options.webhook_secrets = vec![SecretString::from("s")],
            NOW,
            &["`read_fulfillments`"],
        );
        check(|_, options| options.api_version = "2025-07".to_owned(), NOW, &["not supported"]);
        check(|_, options| options.api_version = "2024-01".to_owned(), NOW, &["not supported"]);
        check(|data, _| data["locations"]["nodes"] = json!([]), NOW, &["no location `5`"]);
        check(|data, _| data["locations"]["nodes"][0]["isActive"] = json!(false), NOW, &["deactivated"]);
        let several = |_: &mut Value, options: &mut Options| options.locations = two();
        check(several, NOW, &["`read_merchant_managed_fulfillment_orders`", "no location `6`"]);
    }

    #[test]
    fn a_place_that_ships_too_and_is_not_configured_is_told() {
        let mut data = healthy();
        let nodes = data["locations"]["nodes"].as_array_mut().expect("a list");
        for (number, active, ships) in [(6, true, true), (7, false, true), (8, true, false)] {
            nodes.push(json!({"id": format!("gid://shopify/Location/{number}"), "name": "Attic",
                "isActive": active, "fulfillsOnlineOrders": ships}));
        }
        let told = facts(&data, &options("http://127.0.0.1:1")).expect("it can be read");
        let want =
            "the shop ships from its location `6` (`Attic`) too: what it sells there is booked at `main`";
        assert_eq!(told, [want]);
    }

    #[test]
    fn the_end_of_a_version_is_announced_months_ahead() {
        // 2027-07-02 is less than three months before 2027-10-01, 2027-07-01 is not.
        let july = |day: i8| {
            let date = jiff::civil::date(2027, 7, day).to_zoned(jiff::tz::TimeZone::UTC).expect("a day");
            Timestamp::from_millis(date.timestamp().as_millisecond())
        };
        check(|_, _| {}, july(1), &[]);
        check(|_, _| {}, july(2), &["ends on 2027-10-01"]);
    }
}
