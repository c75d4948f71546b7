//! Webhook subscriptions that cannot be looked at hold up nothing of what is to be told.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::model::Instance;

/// A shop of this name, which lists no webhook subscription, or refuses to. Returns the connector, which has webhooks looked after.
async fn told(name: &'static str, lists: bool) -> (Shopify, Asked) {
    let answer = if lists { none() } else { failed("ACCESS_DENIED") };
    listing(name, move |_| answer.clone()).await
}

/// No subscription.
fn none() -> Value {
    let none = json!({"nodes": [], "pageInfo": {"hasNextPage": false, "endCursor": null}});
    json!({"data": {"webhookSubscriptions": none}})
}

fn failed(code: &str) -> Value {
    json!({"errors": [{"message": "not yours", "extensions": {"code": code}}]})
}

/// The same, which answers the nth time that it is asked for subscriptions, from 0 on, as `list` says.
async fn listing(
    name: &'static str,
    list: impl Fn(usize) -> Value + Clone + Send + Sync + 'static,
) -> (Shopify, Asked) {
    let times = Arc::new(AtomicUsize::new(0));
    let (shop, asked) = shop(move |variables| {
        if variables.get("first").is_some() {
            return said(&list(times.fetch_add(1, Ordering::SeqCst)));
        }
        if variables.get("hook").is_some() {
            return said(&json!({"data": {"made": {"userErrors": []}}}));
        }
        let scopes: Vec<Value> =
            ["write_inventory", "read_locations", "read_orders", "read_products", "read_fulfillments"]
                .map(|handle| json!({"handle": handle}))
                .into();
        said(&json!({"data": {
            "shop": {"myshopifyDomain": name},
            "currentAppInstallation": {"accessScopes": scopes},
            "publicApiVersions": [{"handle": "2026-10", "supported": true}],
        }}))
    })
    .await;
    let uri = "https://hooks.example.org/webhooks/shopify/main".parse().expect("a URL");
    let hooks = options::Hooks { uri, instance: Instance::new("test").expect("a name") };
    let shop = Shopify::new(Options { hooks: Some(hooks), ..shop.options.clone() }).expect("it can be built");
    (shop, asked)
}

/// How many subscriptions were changed, or made.
fn changed(asked: &Asked) -> usize {
    asked.all().iter().filter(|body| body["variables"].get("hook").is_some()).count()
}

#[tokio::test]
async fn what_is_to_be_told_and_what_is_over_is_not_held_up_by_webhooks() {
    let (shop, _) = told("example.myshopify.com", false).await;
    let tended = shop.tend(Tending::Mend).await.expect("the shop itself answers");
    assert!(tended.again && !tended.missed, "{tended:?}");
    assert!(tended.unsure.contains(&"webhook_version") && !tended.unsure.contains(&"webhooks"), "{tended:?}");
    assert!(tended.notices.iter().all(|notice| !notice.stops), "{tended:?}");
}

/// What is told of webhooks.
fn of_webhooks(tended: &Tended) -> Option<&str> {
    tended.notices.iter().find(|notice| notice.kind == "webhooks").map(|notice| notice.text.as_str())
}

#[tokio::test]
async fn subscriptions_that_will_not_be_seen_are_told_at_once_and_those_that_may_when_it_lasts() {
    let check = async |list: Value, first: Option<&str>, last: &str| {
        let (shop, _) =
            listing("example.myshopify.com", move |nth| if nth < 12 { list.clone() } else { none() }).await;
        let mut told = Vec::new();
        for _ in 0..12 {
            let tended = shop.tend(Tending::Mend).await.expect("the shop itself answers");
            let text = of_webhooks(&tended).map(str::to_owned);
            assert!(tended.again && tended.unsure.contains(&"webhooks") == text.is_none(), "{tended:?}");
            told.push(text);
        }
        let holds = |told: &Option<String>, part: &str| told.as_ref().is_some_and(|text| text.contains(part));
        assert!(
            first.map_or(told[..9].iter().all(Option::is_none), |part| holds(&told[0], part)),
            "{told:?}"
        );
        assert!(told[9..].iter().all(|told| holds(told, last)), "{told:?}");
        let over = shop.tend(Tending::Mend).await.expect("it answers");
        assert!(!over.again && of_webhooks(&over).is_none() && over.unsure != ["webhooks"], "{over:?}");
    };
    check(failed("ACCESS_DENIED"), Some("not yours"), "not yours").await;
    check(failed("BAD_REQUEST"), Some("not yours"), "not yours").await;
    check(
        json!({"data": {"webhookSubscriptions": 7}}),
        Some("cannot be looked after"),
        "cannot be looked after",
    )
    .await;
    check(failed("INTERNAL_SERVER_ERROR"), None, "not yours").await;
}

#[tokio::test]
async fn nothing_is_written_to_another_shop_than_the_one_that_is_meant() {
    let (shop, asked) = told("other.myshopify.com", true).await;
    let tended = shop.tend(Tending::Mend).await.expect("the shop itself answers");
    assert!(tended.notices.iter().any(|notice| notice.kind == "shop" && notice.stops), "{tended:?}");
    assert!(tended.unsure.contains(&"webhooks") && !tended.again, "{tended:?}");
    assert_eq!(letters(&shop.write(&[put("1", 5, Some(0), "k1")]).await), "N");
    assert_eq!(asked.all().len(), 1, "it was asked which shop it is, and nothing more");
}

#[tokio::test]
async fn a_restored_store_looks_at_subscriptions_and_changes_none() {
    let (shop, asked) = told("example.myshopify.com", true).await;
    let tended = shop.tend(Tending::Look).await.expect("it answers");
    let [notice] = &tended.notices[..] else { panic!("{tended:?}") };
    assert!(notice.kind == "webhooks" && notice.text.contains("`evenkeel resume --live`"), "{notice:?}");
    assert!(notice.text.contains("ORDERS_CREATE is not subscribed to"), "{notice:?}");
    assert_eq!((changed(&asked), tended.missed), (0, false));
    let tended = shop.tend(Tending::Mend).await.expect("it answers");
    assert_eq!((changed(&asked), tended.notices), (13, vec![]));
}

#[tokio::test]
async fn who_hears_nothing_any_more_is_not_over_with_a_restart() {
    for (name, lists) in
        [("example.myshopify.com", true), ("example.myshopify.com", false), ("other.myshopify.com", true)]
    {
        let (shop, _) = told(name, lists).await;
        let tended = shop.tend(Tending::Mend).await.expect("it answers");
        assert!(tended.unsure.contains(&"webhooks_moved"), "{name}: {tended:?}");
    }
}
