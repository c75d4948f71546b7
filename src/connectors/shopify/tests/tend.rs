//! Tending a shop, against the simulated one.

use super::*;
use crate::{
    connectors::{Notice, Tended},
    model::Instance,
    sandbox::{Options as Simulated, Running, Sandbox, Span},
};

/// A simulated shop, the connector to it, and the way to meddle with it.
pub(super) struct Lab {
    running: Running,
    pub(super) shop: Shopify,
    client: reqwest::Client,
}

impl Lab {
    async fn start(change: impl FnOnce(&mut Options)) -> Lab {
        Lab::with(change, |_| {}).await
    }

    /// The same, with other options of the simulated shop.
    pub(super) async fn with(
        change: impl FnOnce(&mut Options),
        simulate: impl FnOnce(&mut Simulated),
    ) -> Lab {
        let mut simulated = Simulated::default();
        simulated.catalogue.skus = 2;
        simulated.shopify.bucket = 1_000_000.0;
        simulated.catalogue.opening = Span::new(10, 10);
        simulate(&mut simulated);
        let shop = simulated.shopify.shop.clone();
        let running = Sandbox::start(simulated).await.expect("the sandbox starts");
        let mut options = options(&format!("http://{}", running.addresses().shopify));
        options.shop = shop;
        options.access =
            options::Access::Client { id: "sandbox-client".into(), secret: "sandbox-secret".into() };
        options.webhook_secrets.clear();
        options.hooks = Some(options::Hooks {
            uri: "http://127.0.0.1:9/webhooks/shopify/main".parse().expect("a URL"),
            instance: Instance::new("test").expect("a name"),
        });
        change(&mut options);
        Lab { running, shop: Shopify::new(options).expect("it can be built"), client: reqwest::Client::new() }
    }

    async fn app(&self, body: Value) -> Value {
        self.post("app", body).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("http://{}/{path}", self.running.addresses().control);
        let answer = self.client.post(url).json(&body).send().await.expect("it answers");
        assert!(answer.status().is_success(), "{path}");
        answer.json().await.expect("JSON")
    }

    pub(super) async fn look(&self, path: &str) -> Value {
        let url = format!("http://{}/{path}", self.running.addresses().control);
        self.client.get(url).send().await.expect("it answers").json().await.expect("JSON")
    }

    async fn topics(&self) -> Vec<String> {
        let report = self.app(json!({})).await;
        let all = report["subscriptions"].as_array().expect("a list").iter();
        let mut topics: Vec<String> =
            all.map(|there| there["topic"].as_str().expect("a topic").to_owned()).collect();
        topics.sort();
        topics
    }

    /// Runs a document of another client of the same app.
    async fn graphql(&self, query: &str, variables: Value) -> Value {
        let url = format!("http://{}/admin/api/2026-10/graphql.json", self.running.addresses().shopify);
        let asked = self.client.post(url).header("x-shopify-access-token", "shpat_sandbox");
        let answer = asked.json(&json!({"query": query, "variables": variables})).send().await;
        answer.expect("it answers").json().await.expect("JSON")
    }

    async fn tend(&self) -> Tended {
        self.shop.tend().await.expect("it is tended")
    }

    /// Tends it, and returns the kinds of what a person should know.
    async fn kinds(&self) -> Vec<String> {
        self.tend().await.notices.into_iter().map(|notice| notice.kind).collect()
    }
}

fn text<'t>(tended: &'t Tended, kind: &str) -> &'t Notice {
    let found = tended.notices.iter().find(|notice| notice.kind == kind);
    found.unwrap_or_else(|| panic!("no notice of {kind}: {tended:?}"))
}

#[tokio::test]
async fn what_is_missing_is_subscribed_to_once_and_buyers_are_left_out() {
    let lab = Lab::start(|_| {}).await;
    let tended = lab.tend().await;
    assert_eq!((tended.notices, tended.missed), (vec![], false));
    let mut want: Vec<&str> = hooks::followed(false).map(|topic| topic.name).collect();
    want.sort_unstable();
    assert_eq!(lab.topics().await, want);
    let report = lab.app(json!({})).await;
    let created =
        report["subscriptions"].as_array().expect("a list").iter().find(|s| s["topic"] == "ORDERS_CREATE");
    let fields = created.expect("it is there")["fields"].to_string();
    assert!(fields.contains("line_items") && !fields.contains("email"), "{fields}");
    lab.tend().await;
    assert_eq!(lab.app(json!({})).await, report, "nothing is done twice");
}

#[tokio::test]
async fn without_an_address_nothing_is_subscribed_to() {
    let lab = Lab::start(|options| options.hooks = None).await;
    assert_eq!(lab.kinds().await, Vec::<String>::new());
    assert_eq!(lab.topics().await, Vec::<String>::new());
    let facts = lab.shop.check().await.expect("it answers").facts;
    assert!(facts.iter().any(|fact| fact.contains("web.public_url")), "{facts:?}");
}

#[tokio::test]
async fn what_vanished_is_made_anew_told_and_read_back() {
    let lab = Lab::start(|_| {}).await;
    lab.tend().await;
    lab.app(json!({"unsubscribe": true})).await;
    let tended = lab.tend().await;
    assert!(tended.missed);
    let told = text(&tended, "webhooks");
    assert!(told.text.contains("ORDERS_CREATE") && told.text.contains("127.0.0.1:9"), "{told:?}");
    assert!(!told.stops);
    assert_eq!(lab.topics().await.len(), 13);
    let again = lab.tend().await;
    assert_eq!(
        (again.missed, text(&again, "webhooks")),
        (false, told),
        "it is told for a while, in the same words"
    );
}

#[tokio::test]
async fn ours_are_mended_and_those_of_others_left_alone() {
    let lab = Lab::start(|_| {}).await;
    let create = "mutation($t: WebhookSubscriptionTopic!, $s: WebhookSubscriptionInput!) {
        webhookSubscriptionCreate(topic: $t, webhookSubscription: $s) { webhookSubscription { id } userErrors { message } } }";
    for (topic, hook) in [
        // Made by hand, as it was once documented.
        ("ORDERS_CREATE", json!({"uri": "http://127.0.0.1:9/webhooks/shopify/main", "format": "JSON"})),
        ("ORDERS_CREATE", json!({"uri": "http://127.0.0.1:9/loyalty", "name": "loyalty"})),
        ("PRODUCTS_UPDATE", json!({"uri": "http://127.0.0.1:9/webhooks/shopify/main"})),
    ] {
        let made = lab.graphql(create, json!({"t": topic, "s": hook})).await;
        assert_eq!(made["data"]["webhookSubscriptionCreate"]["userErrors"], json!([]), "{made}");
    }
    lab.tend().await;
    let report = lab.app(json!({})).await;
    let all = report["subscriptions"].as_array().expect("a list");
    let of = |topic: &str| all.iter().filter(|there| there["topic"] == topic).collect::<Vec<_>>();
    assert_eq!(all.len(), 13 + 2);
    let [ours, other] = of("ORDERS_CREATE")[..] else { panic!("{all:?}") };
    assert!(ours["fields"].to_string().contains("line_items") && ours["name"].is_string(), "{ours}");
    assert_eq!((&other["name"], &other["fields"]), (&json!("loyalty"), &json!([])));
    assert_eq!(of("PRODUCTS_UPDATE")[0]["name"], Value::Null);
    let facts = lab.shop.check().await.expect("it answers").facts;
    let told = |want: &str| assert!(facts.iter().any(|fact| fact.contains(want)), "{want}: {facts:?}");
    told("13 of 13 webhook topics");
    told("1 of the app are not ours");
}

#[tokio::test]
async fn a_missing_scope_is_named_with_what_it_is_for_and_holds_up_nothing_else() {
    let lab = Lab::start(|_| {}).await;
    let scopes = ["write_inventory", "read_locations", "read_products", "read_orders"];
    lab.app(json!({"scopes": scopes})).await;
    let tended = lab.tend().await;
    let told = &text(&tended, "scopes").text;
    assert!(told.contains("`read_fulfillments`") && told.contains("webhooks about shipments"), "{told}");
    let told = &text(&tended, "webhooks").text;
    assert!(told.contains("`FULFILLMENTS_CREATE` cannot be subscribed to"), "{told}");
    assert_eq!(lab.topics().await.len(), 11);
    lab.app(json!({"scopes": scopes.iter().chain(&["read_fulfillments"]).collect::<Vec<_>>()})).await;
    let tended = lab.tend().await;
    assert_eq!((tended.notices, tended.missed), (vec![], false), "it was never there before");
    assert_eq!(lab.topics().await.len(), 13);
}

#[tokio::test]
async fn another_version_that_answers_stops_all_writes_until_the_pinned_one_is_back() {
    let lab = Lab::start(|_| {}).await;
    assert_eq!(lab.kinds().await, Vec::<String>::new());
    lab.app(json!({"versions": ["2027-01", "2027-04"]})).await;
    lab.shop.order(&OrderId::new("7").expect("good")).await.expect("it answers");
    tokio::time::timeout(std::time::Duration::from_secs(20), lab.shop.uneasy()).await.expect("it is noticed");
    assert_eq!(letters(&lab.shop.write(&puts([1])).await), "N");
    let tended = lab.tend().await;
    let told = text(&tended, "version");
    assert!(told.stops && told.text.contains("`2027-01`") && told.text.contains("`2026-10`"), "{told:?}");
    lab.app(json!({"versions": ["2026-10", "2027-01"]})).await;
    assert_eq!(lab.kinds().await, Vec::<String>::new());
    assert_ne!(letters(&lab.shop.write(&puts([1])).await), "N");
}

#[tokio::test]
async fn what_is_going_away_is_told_with_its_reason() {
    let lab = Lab::start(|_| {}).await;
    let tended = lab.tend().await;
    assert_eq!(tended.unsure, ["deprecated"], "what uses it may not have been called yet");
    lab.app(json!({"deprecated": "quantities are gone in 2027-04"})).await;
    lab.tend().await;
    let tended = lab.tend().await;
    assert!(text(&tended, "deprecated").text.contains("`Standing`: quantities are gone in 2027-04"));
    assert_eq!(tended.unsure, Vec::<&str>::new());
}

#[tokio::test]
async fn an_app_that_was_uninstalled_is_refused_with_what_to_do() {
    let lab = Lab::start(|_| {}).await;
    lab.tend().await;
    lab.app(json!({"installed": false})).await;
    let Err(Fault::Unauthorized(why)) = lab.shop.tend().await else { panic!("it is refused") };
    assert!(why.contains("`app_not_installed`") && why.contains("install it"), "{why}");
    lab.app(json!({"installed": true})).await;
    let tended = lab.tend().await;
    assert!(tended.missed, "its subscriptions went with it");
    assert_eq!(lab.topics().await.len(), 13);
}

#[tokio::test]
async fn a_token_of_another_shop_stops_all_writes() {
    let lab = Lab::start(|options| options.shop = "other.myshopify.com".to_owned()).await;
    let tended = lab.tend().await;
    let told = text(&tended, "shop");
    assert!(told.stops && told.text.contains("`other.myshopify.com`"), "{told:?}");
}
