//! The connector to Shopify against the simulated shop: how it is looked after, the life of an idempotency key, and items that
//! are not stocked.

use std::collections::BTreeSet;

use evenkeel::{
    connectors::{
        Connector as _, Fault, Notice, Observed, Outcome, Put, Tended, Tending, http,
        shopify::{
            Options, Shopify,
            options::{self, Location, Locations},
        },
    },
    model::{IdKind, IdempotencyKey, Identifiers, Instance, LocationId, OrderId, Quantity},
    sandbox::{Options as Simulated, Running, Sandbox, Span},
};
use serde_json::{Value, json};

/// The simulated shop's own location, and its first items.
const LOCATION: u64 = 106_318_430_514;
const ITEMS: [&str; 2] = ["9307199254740993", "9307199254740994"];

fn location(name: &str, number: u64) -> Location {
    Location { id: LocationId::new(name).expect("good"), number, stocks: false }
}

fn options(base: &str) -> Options {
    Options {
        shop: "example.myshopify.com".to_owned(),
        base_url: http::base_url("base_url", base).expect("good"),
        api_version: options::API_VERSION.to_owned(),
        access: options::Access::Token("none".into()),
        webhook_secrets: Vec::new(),
        hooks: None,
        locations: Locations::new(vec![location("main", LOCATION)]).expect("one"),
        bulk_above: options::BULK_ABOVE,
        http: http::Options::default(),
    }
}

fn ids(item: &str) -> Identifiers {
    Identifiers::new([(IdKind::InventoryItem, item)]).expect("good")
}

fn put(item: &str, quantity: i64, compare: Option<i64>, key: &str) -> Put {
    Put {
        ids: ids(item),
        location: LocationId::new("main").expect("good"),
        quantity: Quantity::new(quantity),
        compare: compare.map(Quantity::new),
        delta: None,
        key: IdempotencyKey::new(key).expect("good"),
        reference: "test-1".to_owned(),
    }
}

fn letters(outcomes: &[Outcome]) -> String {
    let letter = |outcome: &Outcome| match outcome {
        Outcome::Applied => 'A',
        Outcome::Accepted { .. } => 'Q',
        Outcome::Stale => 'S',
        Outcome::Rejected { .. } => 'R',
        Outcome::Throttled { .. } => 'T',
        Outcome::Unauthorized { .. } => 'U',
        Outcome::NotSent { .. } => 'N',
        Outcome::Unknown { .. } => '?',
    };
    outcomes.iter().map(letter).collect()
}

/// A simulated shop, the connector to it, and the way to meddle with it.
struct Lab {
    running: Running,
    /// What the simulated shop is called.
    name: String,
    shop: Shopify,
    client: reqwest::Client,
}

impl Lab {
    async fn start(change: impl FnOnce(&mut Options)) -> Lab {
        Lab::with(change, |_| {}).await
    }

    /// The same, with other options of the simulated shop.
    async fn with(change: impl FnOnce(&mut Options), simulate: impl FnOnce(&mut Simulated)) -> Lab {
        let mut simulated = Simulated::default();
        simulated.catalogue.skus = 2;
        simulated.shopify.bucket = 1_000_000.0;
        simulated.catalogue.opening = Span::new(10, 10);
        simulate(&mut simulated);
        let shop = simulated.shopify.shop.clone();
        let running = Sandbox::start(simulated).await.expect("the sandbox starts");
        let mut options = options(&format!("http://{}", running.addresses().shopify));
        options.shop = shop.clone();
        options.access =
            options::Access::Client { id: "sandbox-client".into(), secret: "sandbox-secret".into() };
        options.webhook_secrets.clear();
        options.hooks = Some(options::Hooks {
            uri: "http://127.0.0.1:9/webhooks/shopify/main".parse().expect("a URL"),
            instance: Instance::new("test").expect("a name"),
        });
        change(&mut options);
        let connector = Shopify::new(options).expect("it can be built");
        Lab { running, name: shop, shop: connector, client: reqwest::Client::new() }
    }

    async fn app(&self, body: Value) -> Value {
        self.post("app", body).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("http://{}/{path}", self.running.addresses().control);
        let answer = self.client.post(url).json(&body).send().await.expect("it answers");
        assert!(answer.status().is_success(), "{path}");
        answer.json().await.expect("JSON")
    }

    async fn look(&self, path: &str) -> Value {
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
        self.shop.tend(Tending::Mend).await.expect("it is tended")
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
    let topics = lab.topics().await;
    assert_eq!(topics.len(), 13, "{topics:?}");
    assert!(topics.contains(&"ORDERS_CREATE".to_owned()) && topics.contains(&"APP_UNINSTALLED".to_owned()));
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
    assert_eq!(letters(&lab.shop.write(&[put(ITEMS[0], 1, Some(2), "k1")]).await), "N");
    let tended = lab.tend().await;
    let told = text(&tended, "version");
    assert!(told.stops && told.text.contains("`2027-01`") && told.text.contains("`2026-10`"), "{told:?}");
    lab.app(json!({"versions": ["2026-10", "2027-01"]})).await;
    assert_eq!(lab.kinds().await, Vec::<String>::new());
    assert_ne!(letters(&lab.shop.write(&[put(ITEMS[0], 1, Some(2), "k1")]).await), "N");
}

#[tokio::test]
async fn what_is_going_away_is_told_with_its_reason() {
    let lab = Lab::start(|_| {}).await;
    let tended = lab.tend().await;
    assert_eq!(tended.unsure, ["deprecated", "webhooks_moved"], "what uses it may not have been called yet");
    lab.app(json!({"deprecated": "quantities are gone in 2027-04"})).await;
    lab.tend().await;
    let tended = lab.tend().await;
    assert!(text(&tended, "deprecated").text.contains("`Standing`: quantities are gone in 2027-04"));
    assert_eq!(tended.unsure, ["webhooks_moved"], "it may have happened before the start");
}

#[tokio::test]
async fn an_app_that_was_uninstalled_is_refused_with_what_to_do() {
    let lab = Lab::start(|_| {}).await;
    lab.tend().await;
    lab.app(json!({"installed": false})).await;
    let Err(Fault::Unauthorized(why)) = lab.shop.tend(Tending::Mend).await else { panic!("it is refused") };
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
    assert_eq!(letters(&lab.shop.write(&[put(ITEMS[0], 1, Some(10), "k1")]).await), "N");
    assert_eq!(lab.topics().await, Vec::<String>::new(), "nothing is subscribed to there");
}

#[tokio::test]
async fn subscriptions_of_ours_that_pointed_elsewhere_are_taken_and_told_with_both_addresses() {
    let lab = Lab::start(|_| {}).await;
    // Another daemon of the same name.
    let base = format!("http://{}", lab.running.addresses().shopify);
    let access = || options::Access::Client { id: "sandbox-client".into(), secret: "sandbox-secret".into() };
    let hooks = options::Hooks {
        uri: "http://127.0.0.1:8/webhooks/shopify/main?key=hush".parse().expect("a URL"),
        instance: Instance::new("test").expect("a name"),
    };
    let other = Options { access: access(), hooks: Some(hooks), ..options(&base) };
    let other = Shopify::new(Options { shop: lab.name.clone(), ..other }).expect("it can be built");
    other.tend(Tending::Mend).await.expect("it is tended");
    let tended = lab.tend().await;
    let told = &text(&tended, "webhooks_moved").text;
    for part in
        ["from `http://127.0.0.1:8/webhooks/shopify/main` (", "to `http://127.0.0.1:9/", "ORDERS_CREATE"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(tended.missed && !told.contains("hush"), "{tended:?}");
    let again = lab.tend().await;
    assert_eq!((again.missed, &text(&again, "webhooks_moved").text), (false, told), "it is told for a while");
    assert!(again.unsure.iter().all(|kind| *kind != "webhooks_moved"), "{again:?}");
    let report = lab.app(json!({})).await;
    let mut all = report["subscriptions"].as_array().expect("a list").iter();
    assert!(all.all(|there| there["uri"] == "http://127.0.0.1:9/webhooks/shopify/main"), "{report}");
}

async fn slow(write_ms: u64) -> Lab {
    let here = |options: &mut Options| {
        options.locations = Locations::new(vec![location("main", LOCATION)]).expect("one");
    };
    Lab::with(here, |simulated| simulated.shopify.write_ms = Span::new(write_ms, write_ms)).await
}

async fn write(lab: &Lab, quantity: i64, from: i64, key: &str) -> String {
    letters(&lab.shop.write(&[put(ITEMS[0], quantity, Some(from), key)]).await)
}

async fn shown(lab: &Lab) -> i64 {
    let seen = lab.shop.read_back(&[ids(ITEMS[0])]).await.expect("it answers");
    let [Observed::Seen(levels)] = &seen[..] else { panic!("{seen:?}") };
    levels.available.units()
}

#[tokio::test]
async fn a_write_that_is_sent_again_after_it_was_done_is_answered_as_before() {
    let lab = slow(0).await;
    assert_eq!(write(&lab, 7, 10, "k1").await, "A");
    // Without the key, it would be stale: 10 is not what it replaces any more.
    assert_eq!((write(&lab, 7, 10, "k1").await, shown(&lab).await), ("A".to_owned(), 7));
    assert_eq!(write(&lab, 7, 10, "k2").await, "S");
}

#[tokio::test]
async fn a_key_whose_first_try_failed_is_done_for_and_another_may_go() {
    let lab = slow(0).await;
    assert_eq!(write(&lab, 7, 9, "k1").await, "S");
    let again = lab.shop.write(&[put(ITEMS[0], 7, Some(9), "k1")]).await;
    let [Outcome::NotSent { reason }] = &again[..] else { panic!("{again:?}") };
    assert!(reason.contains("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"), "{reason}");
    assert_eq!(write(&lab, 7, 10, "k2").await, "A");
}

#[tokio::test]
async fn a_key_that_stands_for_something_else_leaves_it_open_what_became_of_this() {
    let lab = slow(0).await;
    assert_eq!(write(&lab, 7, 10, "k1").await, "A");
    let other = lab.shop.write(&[put(ITEMS[0], 3, Some(7), "k1")]).await;
    let [Outcome::Unknown { fault }] = &other[..] else { panic!("{other:?}") };
    assert!(fault.contains("IDEMPOTENCY_KEY_PARAMETER_MISMATCH"), "{fault}");
    assert_eq!(shown(&lab).await, 7);
}

#[tokio::test]
async fn a_key_that_is_in_use_leaves_it_open_and_the_first_counts() {
    let lab = slow(300).await;
    let (one, other) = tokio::join!(write(&lab, 7, 10, "k1"), write(&lab, 7, 10, "k1"));
    let both: BTreeSet<String> = [one, other].into();
    assert_eq!(both, BTreeSet::from(["A".to_owned(), "?".to_owned()]));
    assert_eq!(shown(&lab).await, 7);
}

/// The first item is not stocked, the second is with nothing.
async fn bare(stocks: bool) -> Lab {
    let here = |options: &mut Options| {
        let here = options::Location { stocks, ..location("main", LOCATION) };
        options.locations = Locations::new(vec![here]).expect("one");
    };
    let lab = Lab::with(here, |simulated| simulated.catalogue.opening = Span::new(0, 0)).await;
    let books = lab.look("books").await;
    lab.post("stocked", json!({"sku": books["skus"][0]["sku"], "place": 0, "stocked": false})).await;
    lab
}

async fn seen(lab: &Lab) -> Vec<String> {
    let seen = lab.shop.read_back(&ITEMS.map(ids)).await.expect("it answers");
    let told = |seen: &Observed| match seen {
        Observed::Seen(levels) => levels.available.to_string(),
        Observed::Unwritable { why } | Observed::Unread { why } => why.clone(),
        Observed::Absent => "absent".to_owned(),
    };
    seen.iter().map(told).collect()
}

fn both(quantity: i64, from: i64, key: &str) -> Vec<Put> {
    ITEMS.iter().map(|item| put(item, quantity, Some(from), &format!("{key}{item}"))).collect()
}

#[tokio::test]
async fn unless_it_is_wanted_nothing_is_stocked() {
    let lab = bare(false).await;
    assert_eq!(seen(&lab).await, ["not stocked at the shop's location `106318430514`", "0"]);
    let catalogue = lab.shop.catalogue(None).await.expect("it answers");
    assert!(catalogue.items[0].unwritable.is_some());
}

#[tokio::test]
async fn what_is_not_stocked_shows_nothing_and_is_stocked_with_its_first_quantity() {
    let lab = bare(true).await;
    assert_eq!(seen(&lab).await, ["0", "0"]);
    let catalogue = lab.shop.catalogue(None).await.expect("it answers");
    assert_eq!(catalogue.items[0].unwritable, None);
    assert_eq!(catalogue.items[0].levels.map(|levels| levels.available), Some(Quantity::ZERO));
    assert_eq!(letters(&lab.shop.write(&both(4, 0, "a")).await), "AA");
    assert_eq!(seen(&lab).await, ["4", "4"]);
    let again = lab.shop.write(&both(4, 0, "b")).await;
    assert_eq!(letters(&again), "SS", "both are stocked, and do not show 0: {again:?}");
    assert_eq!(letters(&lab.shop.write(&both(3, 4, "c")).await), "AA");
    assert_eq!(seen(&lab).await, ["3", "3"]);
}
