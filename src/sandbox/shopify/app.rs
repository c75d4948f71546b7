//! The app that a client is: whether it is installed, what it may do, which API versions there are, and what it has
//! subscribed to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::inventory::{Call, Outcome, UserError};
use super::webhooks::{Event, Subject};
use crate::sandbox::world::World;

/// The app's own setting, which shapes webhooks, and the newest version that there is.
pub(super) const LATEST: &str = "2026-10";
/// A subscription is deleted after so many failures in a row.
const FAILURES_MAX: u32 = 8;
/// What a name of a subscription may be.
const NAME_MAX: usize = 50;
const NUMBER: u64 = 9_907_199_254_740_993;

/// The topics that happen here, and the scope that each needs.
const TOPICS: [(&str, &str); 18] = [
    ("orders/create", "read_orders"),
    ("orders/updated", "read_orders"),
    ("orders/cancelled", "read_orders"),
    ("orders/fulfilled", "read_orders"),
    ("orders/partially_fulfilled", "read_orders"),
    ("orders/edited", "read_orders"),
    ("orders/delete", "read_orders"),
    ("refunds/create", "read_orders"),
    ("fulfillments/create", "read_fulfillments"),
    ("fulfillments/update", "read_fulfillments"),
    ("inventory_levels/update", "write_inventory"),
    ("app/uninstalled", ""),
    ("app/scopes_update", ""),
    ("fulfillment_orders/moved", "read_merchant_managed_fulfillment_orders"),
    ("fulfillment_orders/order_routing_complete", "read_merchant_managed_fulfillment_orders"),
    ("fulfillment_orders/split", "read_merchant_managed_fulfillment_orders"),
    ("fulfillment_orders/merged", "read_merchant_managed_fulfillment_orders"),
    ("fulfillment_orders/cancelled", "read_merchant_managed_fulfillment_orders"),
];

pub(in crate::sandbox) struct App {
    pub(super) installed: bool,
    pub(super) scopes: Vec<String>,
    /// Those that are served as themselves; an older one is served by the first.
    pub(super) versions: Vec<String>,
    /// What answers say is going away.
    pub(super) deprecated: Option<String>,
    subscriptions: BTreeMap<u64, Arc<Subscription>>,
    made: u64,
}

/// A webhook subscription.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) number: u64,
    /// As the API names it: `ORDERS_CREATE`.
    pub(super) topic: String,
    pub(super) uri: String,
    pub(super) name: Option<String>,
    pub(super) format: String,
    pub(super) filter: Option<String>,
    pub(super) include_fields: Vec<String>,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    /// Deliveries that have failed in a row.
    failures: u32,
}

impl Default for App {
    fn default() -> App {
        let scopes = [
            "read_products",
            "read_inventory",
            "write_inventory",
            "read_locations",
            "read_orders",
            "read_fulfillments",
            "read_merchant_managed_fulfillment_orders",
        ];
        App {
            installed: true,
            scopes: scopes.map(str::to_owned).to_vec(),
            versions: ["2026-04", "2026-07", LATEST].map(str::to_owned).to_vec(),
            deprecated: None,
            subscriptions: BTreeMap::new(),
            made: 0,
        }
    }
}

impl App {
    /// The version that answers: an older one than the first falls forward to it.
    pub(super) fn served(&self, asked: &str) -> Option<String> {
        if let Some(version) = self.versions.iter().find(|version| *version == asked) {
            return Some(version.clone());
        }
        let (year, month) = asked.split_once('-')?;
        let dated =
            year.len() == 4 && month.len() == 2 && [year, month].iter().all(|n| n.parse::<u32>().is_ok());
        self.versions.first().filter(|first| dated && asked < first.as_str()).cloned()
    }

    pub(super) fn subscriptions(&self) -> Vec<u64> {
        self.subscriptions.keys().copied().collect()
    }

    pub(super) fn subscription(&self, number: u64) -> Option<Arc<Subscription>> {
        self.subscriptions.get(&number).cloned()
    }

    /// Those to a topic, as webhooks name it.
    pub(super) fn subscribed(&self, topic: &str) -> Vec<Arc<Subscription>> {
        let topic = api_name(topic);
        self.subscriptions.values().filter(|there| there.topic == topic).cloned().collect()
    }

    /// A delivery of a subscription succeeded, or failed.
    pub(super) fn delivered(&mut self, number: u64, well: bool) {
        let Some(there) = self.subscriptions.get_mut(&number) else { return };
        let there = Arc::make_mut(there);
        there.failures = if well { 0 } else { there.failures + 1 };
        if there.failures >= FAILURES_MAX {
            self.subscriptions.remove(&number);
        }
    }

    /// All subscriptions are lost, as by failures.
    pub(in crate::sandbox) fn unsubscribe(&mut self) {
        self.subscriptions.clear();
    }

    /// What there is, for the control API.
    pub(in crate::sandbox) fn report(&self) -> Value {
        let subscriptions: Vec<Value> = self
            .subscriptions
            .values()
            .map(|there| {
                json!({"topic": there.topic, "uri": there.uri, "name": there.name, "fields": there.include_fields})
            })
            .collect();
        json!({
            "installed": self.installed,
            "scopes": self.scopes,
            "versions": self.versions,
            "subscriptions": subscriptions,
        })
    }

    fn put(&mut self, call: &Call<'_>, number: Option<u64>, topic: String, now_ms: i64) -> Outcome {
        let input = &call.arguments["webhookSubscription"];
        let text = |key: &str| input[key].as_str().map(str::to_owned);
        let held = number.and_then(|number| self.subscription(number));
        let uri = text("uri").or_else(|| held.as_ref().map(|held| held.uri.clone())).unwrap_or_default();
        let name = text("name").or_else(|| held.as_ref().and_then(|held| held.name.clone()));
        let others = || self.subscriptions.values().filter(|there| Some(there.number) != number);
        let refused = |key: &str, message: String| Outcome {
            errors: vec![UserError {
                code: "",
                field: ["webhookSubscription", key].map(str::to_owned).to_vec(),
                message,
            }],
            ..Outcome::default()
        };
        // This machine only, so plain http is taken; elsewhere it is not.
        let local =
            url::Url::parse(&uri).ok().filter(|url| super::super::options::check_webhook_target(url).is_ok());
        if local.is_none() {
            return refused("uri", "Address is not allowed: the sandbox calls this machine only".to_owned());
        }
        if others().any(|there| there.topic == topic && there.uri == uri) {
            return refused("uri", "Address for this topic has already been taken".to_owned());
        }
        let good = |name: &String| {
            name.len() <= NAME_MAX
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        if name.as_ref().is_some_and(|name| !good(name)) {
            return refused("name", format!("Name must be at most {NAME_MAX} letters, digits, `-` and `_`"));
        }
        if name.is_some() && others().any(|there| there.name == name) {
            return refused("name", "Name has already been taken".to_owned());
        }
        let scope = TOPICS.iter().find(|(known, _)| api_name(known) == topic).map_or("", |(_, scope)| scope);
        if !scope.is_empty() && !self.scopes.iter().any(|held| held == scope) {
            let message =
                format!("You do not have permission to create or update webhooks with {topic} topic");
            return refused("topic", message);
        }
        let list = |key: &str| input[key].as_array().cloned();
        let fields = list("includeFields")
            .map(|fields| fields.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .or_else(|| held.as_ref().map(|held| held.include_fields.clone()));
        let number = number.unwrap_or_else(|| {
            self.made += 1;
            NUMBER + self.made
        });
        let there = Subscription {
            number,
            topic,
            uri,
            name,
            format: text("format").unwrap_or_else(|| "JSON".to_owned()),
            filter: text("filter").filter(|filter| !filter.is_empty()),
            include_fields: fields.unwrap_or_default(),
            created_ms: held.as_ref().map_or(now_ms, |held| held.created_ms),
            updated_ms: now_ms,
            failures: 0,
        };
        self.subscriptions.insert(number, Arc::new(there));
        Outcome { subscription: Some(number), ..Outcome::default() }
    }
}

/// A topic as the API names it.
pub(super) fn api_name(topic: &str) -> String {
    topic.replace('/', "_").to_uppercase()
}

pub(super) fn gid(number: u64) -> String {
    format!("gid://shopify/WebhookSubscription/{number}")
}

fn number(call: &Call<'_>) -> Option<u64> {
    call.arguments["id"].as_str()?.strip_prefix("gid://shopify/WebhookSubscription/")?.parse().ok()
}

fn unknown() -> Outcome {
    let message = "Webhook subscription does not exist".to_owned();
    Outcome {
        errors: vec![UserError { code: "", field: vec!["id".to_owned()], message }],
        ..Outcome::default()
    }
}

pub(super) fn create(world: &mut World, call: &Call<'_>, now_ms: i64) -> Outcome {
    let topic = call.arguments["topic"].as_str().unwrap_or_default().to_owned();
    world.shopify.app.put(call, None, topic, now_ms)
}

pub(super) fn update(world: &mut World, call: &Call<'_>, now_ms: i64) -> Outcome {
    let app = &mut world.shopify.app;
    let Some(held) = number(call).and_then(|number| app.subscription(number)) else { return unknown() };
    app.put(call, Some(held.number), held.topic.clone(), now_ms)
}

pub(super) fn delete(world: &mut World, call: &Call<'_>, _: i64) -> Outcome {
    let Some(number) = number(call).filter(|number| world.shopify.app.subscriptions.remove(number).is_some())
    else {
        return unknown();
    };
    Outcome { deleted: Some(number), ..Outcome::default() }
}

/// The merchant takes the app out of the shop: its tokens and subscriptions end.
pub(in crate::sandbox) fn uninstall(world: &mut World, now_ms: i64) {
    let letter = Event::new(&mut world.dice, now_ms).letter("app/uninstalled", Subject::Shop);
    world.shopify.post(letter);
    world.shopify.app.installed = false;
    world.shopify.app.unsubscribe();
    world.shopify.revoke();
}

/// The merchant takes the app in again.
pub(in crate::sandbox) fn install(world: &mut World) {
    world.shopify.app.installed = true;
}

/// The app's scopes change.
pub(in crate::sandbox) fn rescope(world: &mut World, scopes: Vec<String>, now_ms: i64) {
    let previous = std::mem::replace(&mut world.shopify.app.scopes, scopes.clone());
    let subject = Subject::Scopes { previous, current: scopes, updated_ms: now_ms };
    let letter = Event::new(&mut world.dice, now_ms).letter("app/scopes_update", subject);
    world.shopify.post(letter);
}

/// Other API versions are served.
pub(in crate::sandbox) fn serve(world: &mut World, versions: Vec<String>, deprecated: Option<String>) {
    if !versions.is_empty() {
        world.shopify.app.versions = versions;
    }
    world.shopify.app.deprecated = deprecated;
}

/// Leaves of a body what a subscription wants: the fields named, `a.b` within `a`.
pub(super) fn only(body: &Value, fields: &[String]) -> Value {
    if fields.is_empty() {
        return body.clone();
    }
    let Value::Object(map) = body else {
        return match body {
            Value::Array(list) => list.iter().map(|each| only(each, fields)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                body.clone()
            }
        };
    };
    let mut kept = serde_json::Map::new();
    for (key, value) in map {
        let below: Vec<String> = fields
            .iter()
            .filter_map(|field| field.strip_prefix(key.as_str())?.strip_prefix('.'))
            .map(str::to_owned)
            .collect();
        if fields.iter().any(|field| field == key) {
            kept.insert(key.clone(), value.clone());
        } else if !below.is_empty() {
            kept.insert(key.clone(), only(value, &below));
        }
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_gone_falls_forward_and_an_unknown_one_is_not_found() {
        let app = App::default();
        let check =
            |asked, expected: Option<&str>| assert_eq!(app.served(asked).as_deref(), expected, "{asked}");
        check("2026-10", Some("2026-10"));
        check("2026-07", Some("2026-07"));
        check("2024-01", Some("2026-04"));
        check("2099-01", None);
        check("unstable", None);
        check("latest", None);
    }

    #[test]
    fn a_body_is_cut_down_to_the_fields_wanted() {
        let body = json!({"id": 1, "email": "x", "line_items": [{"id": 2, "name": "y"}], "note": null});
        let check = |fields: &[&str], want: Value| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            assert_eq!(only(&body, &fields), want, "{fields:?}");
        };
        check(&[], body.clone());
        check(&["id", "gone"], json!({"id": 1}));
        check(&["line_items"], json!({"line_items": [{"id": 2, "name": "y"}]}));
        check(&["id", "line_items.id"], json!({"id": 1, "line_items": [{"id": 2}]}));
    }
}
