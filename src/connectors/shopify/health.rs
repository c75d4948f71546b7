//! Whether a shop can be worked with: scopes, versions, location.

use serde::Deserialize;

use crate::{
    connectors::{
        http,
        shopify::options::{Options, release},
    },
    model::Timestamp,
};

/// The scopes that the connector cannot do without. A write scope implies its read scope.
const SCOPES: [&str; 4] = ["write_inventory", "read_locations", "read_orders", "read_products"];

/// The scopes that the webhooks it follows need besides.
const PUSH_SCOPES: [&str; 1] = ["read_fulfillments"];

/// How long before the end of a version's life it is a problem: time enough for a release.
const WARN_MONTHS: i32 = 3;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    shop: Shop,
    current_app_installation: Installation,
    public_api_versions: Vec<Version>,
    location: Option<Place>,
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
    name: String,
    is_active: bool,
}

/// Returns the problems that a person should see to; none is good. `at` is the shop's clock.
pub(super) fn problems(
    data: &serde_json::Value,
    options: &Options,
    at: Option<Timestamp>,
) -> Result<Vec<String>, String> {
    let health: Health = http::json_part(data)?;
    let mut all = Vec::new();
    let domain = &health.shop.myshopify_domain;
    if !domain.eq_ignore_ascii_case(&options.shop) {
        all.push(format!("the token is for `{domain}`, but `shop` is `{}`", options.shop));
    }
    let wanted = SCOPES.iter().chain(if options.webhook_secrets.is_empty() { &[] } else { &PUSH_SCOPES[..] });
    for scope in wanted.filter(|scope| !health.has(scope)) {
        all.push(format!("scope `{scope}` is missing: grant it to the app and install the app again"));
    }
    all.extend(health.version(&options.api_version, at));
    let number = options.location.number;
    match &health.location {
        None => all
            .push(format!("the shop has no location `{number}`: set `location_id` to one of its locations")),
        Some(place) if !place.is_active => {
            all.push(format!("location `{number}` (`{}`) is deactivated in Shopify", place.name));
        }
        Some(_) => {}
    }
    Ok(all)
}

impl Health {
    fn has(&self, scope: &str) -> bool {
        let implied = scope.strip_prefix("read_").map(|what| format!("write_{what}"));
        self.current_app_installation
            .access_scopes
            .iter()
            .any(|granted| granted.handle == scope || Some(&granted.handle) == implied.as_ref())
    }

    fn version(&self, pinned: &str, at: Option<Timestamp>) -> Option<String> {
        let listed = self.public_api_versions.iter().find(|version| version.handle == pinned);
        if !listed.is_some_and(|version| version.supported) {
            return Some(format!("API version `{pinned}` is not supported by the shop: set `api_version`"));
        }
        let (months, end) = months_left(pinned, at?)?;
        (months < WARN_MONTHS).then(|| format!("API version `{pinned}` ends on {end}: plan the update"))
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
    use crate::connectors::shopify::tests::options;

    /// 2026-11-23.
    const NOW: Timestamp = Timestamp::from_millis(1_795_392_000_000);

    fn healthy() -> Value {
        let scopes = ["write_inventory", "read_locations", "read_orders", "write_products"];
        json!({
            "shop": {"myshopifyDomain": "example.myshopify.com"},
            "currentAppInstallation": {"accessScopes": scopes.map(|handle| json!({"handle": handle}))},
            "publicApiVersions": [{"handle": "2026-10", "supported": true}, {"handle": "2025-07", "supported": false}],
            "location": {"name": "Shop location", "isActive": true},
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
        check(|data, _| data["currentAppInstallation"]["accessScopes"] = json!([]), NOW, &SCOPES);
        check(
            |_, options| options.webhook_secrets = vec![SecretString::from("s")],
            NOW,
            &["`read_fulfillments`"],
        );
        check(|_, options| options.api_version = "2025-07".to_owned(), NOW, &["not supported"]);
        check(|_, options| options.api_version = "2024-01".to_owned(), NOW, &["not supported"]);
        check(|data, _| data["location"] = Value::Null, NOW, &["no location `5`"]);
        check(|data, _| data["location"]["isActive"] = json!(false), NOW, &["deactivated"]);
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
