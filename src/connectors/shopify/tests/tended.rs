//! Webhook subscriptions that cannot be looked at hold up nothing of what is to be told.

use super::*;
use crate::model::Instance;

#[tokio::test]
async fn what_is_to_be_told_and_what_is_over_is_not_held_up_by_webhooks() {
    let (shop, _) = shop(|variables| {
        if variables.get("first").is_some() {
            let denied = json!({"message": "not yours", "extensions": {"code": "ACCESS_DENIED"}});
            return said(&json!({"errors": [denied]}));
        }
        let scopes: Vec<Value> =
            ["write_inventory", "read_locations", "read_orders", "read_products", "read_fulfillments"]
                .map(|handle| json!({"handle": handle}))
                .into();
        said(&json!({"data": {
            "shop": {"myshopifyDomain": "example.myshopify.com"},
            "currentAppInstallation": {"accessScopes": scopes},
            "publicApiVersions": [{"handle": "2026-10", "supported": true}],
        }}))
    })
    .await;
    let uri = "https://hooks.example.org/webhooks/shopify/main".parse().expect("a URL");
    let hooks = options::Hooks { uri, instance: Instance::new("test").expect("a name") };
    let shop = Shopify::new(Options { hooks: Some(hooks), ..shop.options.clone() }).expect("it can be built");
    let tended = shop.tend().await.expect("the shop itself answers");
    assert!(tended.again && !tended.missed, "{tended:?}");
    assert!(tended.unsure.contains(&"webhooks") && tended.unsure.contains(&"webhook_version"), "{tended:?}");
    assert!(tended.notices.iter().all(|notice| !notice.stops), "{tended:?}");
}
