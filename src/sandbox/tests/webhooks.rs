//! Webhooks: headers, signature, bodies, retries and faults.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;

async fn lab_with(receiver: &str, change: impl FnOnce(&mut Options)) -> Lab {
    let mut options = quick();
    options.shopify.webhook_url = Some(receiver.parse().expect("a URL"));
    options.shopify.webhook_retry_scale = 0.0;
    change(&mut options);
    Lab::start(options).await
}

#[tokio::test]
async fn an_order_is_told_with_all_headers_and_a_signature_over_the_raw_body() {
    let (receiver, url) = Receiver::start(0).await;
    let lab = lab_with(&url, |_| {}).await;
    let id = lab.order("shopify", "TASSE-GRÜN-Ø1", 2).await;
    let arrived = receiver.wait("orders/create", 1).await.remove(0);
    let mut mac = Hmac::<Sha256>::new_from_slice(b"sandbox-secret").expect("any key");
    mac.update(&arrived.body);
    assert_eq!(arrived.header("X-Shopify-Hmac-Sha256"), STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(arrived.header("X-Shopify-Shop-Domain"), "evenkeel-sandbox.myshopify.com");
    assert_eq!(arrived.header("X-Shopify-API-Version"), "2026-10");
    assert_eq!(arrived.header("X-Shopify-Webhook-Id").len(), 36);
    let body = arrived.json();
    assert_eq!(body["id"].as_u64().map(|id| id.to_string()), Some(id));
    let line = &body["line_items"][0];
    assert_eq!((line["sku"].as_str(), line["quantity"].as_i64()), (Some("TASSE-GRÜN-Ø1"), Some(2)));
    let level = receiver.wait("inventory_levels/update", 1).await.remove(0);
    assert_eq!(level.json()["available"], 8);
    assert_eq!(level.header("X-Shopify-Event-Id"), arrived.header("X-Shopify-Event-Id"));
    assert_ne!(level.header("X-Shopify-Webhook-Id"), arrived.header("X-Shopify-Webhook-Id"));
}

#[tokio::test]
async fn what_happens_to_an_order_is_told_under_its_own_topic() {
    let (receiver, url) = Receiver::start(0).await;
    let lab = lab_with(&url, |_| {}).await;
    let order = lab.order("shopify", "TSHIRT-BL-M", 3).await;
    let one = json!([{"sku": "TSHIRT-BL-M", "quantity": 1}]);
    lab.control("/edit-order", json!({"order": order, "sku": "TSHIRT-BL-S", "delta": 2})).await;
    let edited = receiver.wait("orders/edited", 1).await.remove(0).json();
    assert_eq!(edited["order_edit"]["line_items"]["additions"][0]["delta"], 2);
    lab.control("/fulfil", json!({"channel": "shopify", "order": order, "lines": one})).await;
    let shipped = receiver.wait("fulfillments/create", 1).await.remove(0).json();
    assert_eq!(shipped["line_items"][0]["quantity"], 1);
    assert_eq!(shipped["status"], "success");
    lab.control("/refund", json!({"channel": "shopify", "order": order, "lines": one, "restock": "return"}))
        .await;
    let refund = receiver.wait("refunds/create", 1).await.remove(0).json();
    assert_eq!(refund["restock"], true);
    assert_eq!(refund["refund_line_items"][0]["restock_type"], "return");
    let other = lab.order("shopify", "TSHIRT-BL-S", 1).await;
    lab.control("/fulfil", json!({"channel": "shopify", "order": other})).await;
    lab.control("/undo-fulfilment", json!({"order": other})).await;
    assert_eq!(receiver.wait("fulfillments/update", 1).await.remove(0).json()["status"], "cancelled");
    lab.control("/cancel", json!({"channel": "shopify", "order": other})).await;
    let cancelled = receiver.wait("orders/cancelled", 1).await.remove(0).json();
    assert_eq!(cancelled["cancel_reason"], "customer");
    assert_eq!(cancelled["line_items"][0]["current_quantity"], 0);
    lab.settle().await;
}

/// Every field that the sandbox sends, the documentation's example has too.
#[tokio::test]
async fn bodies_have_no_field_that_the_samples_lack() {
    let Some(specs) = specs() else { return };
    let (receiver, url) = Receiver::start(0).await;
    let lab = lab_with(&url, |_| {}).await;
    let order = lab.order("shopify", "TSHIRT-BL-M", 3).await;
    let one = json!([{"sku": "TSHIRT-BL-M", "quantity": 1}]);
    lab.control("/fulfil", json!({"channel": "shopify", "order": order, "lines": one})).await;
    lab.control("/refund", json!({"channel": "shopify", "order": order, "lines": one, "restock": "return"}))
        .await;
    lab.control("/edit-order", json!({"order": order, "sku": "TSHIRT-BL-M", "delta": -1})).await;
    for (topic, sample) in [
        ("orders/create", "orders__create"),
        ("orders/edited", "orders__edited"),
        ("fulfillments/create", "fulfillments__create"),
        ("refunds/create", "refunds__create"),
        ("inventory_levels/update", "inventory_levels__update"),
    ] {
        let path = specs.join(format!("shopify/samples/webhook-2026-07-{sample}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let sample: Value = serde_json::from_str(&text).expect("the samples are JSON");
        let body = receiver.wait(topic, 1).await.remove(0).json();
        for (field, value) in body.as_object().expect("an object") {
            let known =
                sample.get(field).unwrap_or_else(|| panic!("{topic}: `{field}` is not in the sample"));
            let alike = known.is_null()
                || value.is_null()
                || std::mem::discriminant(known) == std::mem::discriminant(value);
            assert!(alike, "{topic}: `{field}` is {value}, in the sample {known}");
        }
        for list in ["line_items", "refund_line_items"] {
            let (Some(known), Some(own)) = (sample[list][0].as_object(), body[list][0].as_object()) else {
                continue;
            };
            let missing: Vec<&String> = known.keys().filter(|field| !own.contains_key(*field)).collect();
            assert!(missing.is_empty(), "{topic}: {list} lacks {missing:?}");
        }
    }
}

#[tokio::test]
async fn a_webhook_is_sent_again_with_the_same_id_until_it_is_taken() {
    let (receiver, url) = Receiver::start(5).await;
    let lab = lab_with(&url, |_| {}).await;
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    lab.settle().await;
    let report = lab.look("/books").await["webhooks"].clone();
    assert_eq!((report["delivered"].as_i64(), report["given_up"].as_i64()), (Some(2), Some(0)));
    let tries = receiver.all();
    assert_eq!(tries.len(), 7, "two webhooks and five refusals");
    let creates = receiver.of("orders/create");
    let first = &creates[0];
    assert!(creates.iter().all(|t| t.header("X-Shopify-Webhook-Id") == first.header("X-Shopify-Webhook-Id")));
    assert!(creates.iter().all(|t| t.body == first.body));
}

#[tokio::test]
async fn a_webhook_is_given_up_after_eight_retries() {
    let (receiver, url) = Receiver::start(usize::MAX).await;
    let lab = lab_with(&url, |_| {}).await;
    lab.control("/edit-quantity", json!({"channel": "shopify", "sku": "TSHIRT-BL-M", "quantity": 3})).await;
    lab.settle().await;
    assert_eq!(receiver.all().len(), 9);
    assert_eq!(lab.look("/books").await["webhooks"]["given_up"], 1);
}

#[tokio::test]
async fn faults_drop_and_duplicate_webhooks() {
    let (receiver, url) = Receiver::start(0).await;
    let faults = vec![FaultSpec::parse("webhooks-duplicated=100%").expect("a fault")];
    let lab = lab_with(&url, |options| options.faults = faults).await;
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    let twice = receiver.wait("orders/create", 2).await;
    assert_eq!(twice[0].header("X-Shopify-Webhook-Id"), twice[1].header("X-Shopify-Webhook-Id"));
    lab.control("/faults", json!({"faults": ["webhooks-duplicated=off", "webhooks-dropped=100%"]})).await;
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    lab.settle().await;
    assert_eq!(receiver.of("orders/create").len(), 2);
    assert_eq!(lab.look("/books").await["webhooks"]["lost"], 2);
}

#[tokio::test]
async fn a_clients_own_write_echoes_and_a_hidden_order_only_moves_a_level() {
    let (receiver, url) = Receiver::start(0).await;
    let lab = lab_with(&url, |_| {}).await;
    let lines = json!([{"sku": "TSHIRT-BL-M", "quantity": 1}]);
    lab.control("/drop-order", json!({"channel": "shopify", "lines": lines})).await;
    assert_eq!(receiver.wait("inventory_levels/update", 1).await[0].json()["available"], 9);
    lab.settle().await;
    assert!(receiver.of("orders/create").is_empty());
}

#[tokio::test]
async fn webhooks_can_be_turned_to_another_receiver() {
    let (receiver, url) = Receiver::start(0).await;
    let lab = Lab::start(quick()).await;
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    lab.control("/webhooks", json!({"url": url})).await;
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    receiver.wait("orders/create", 1).await;
    lab.settle().await;
    assert_eq!(receiver.of("orders/create").len(), 1);
    let (status, _) = lab.try_control("/webhooks", json!({"url": "http://example.com/"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

const SUBSCRIBE: &str = "mutation($topic: WebhookSubscriptionTopic!, $hook: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $hook) {
    webhookSubscription { id topic uri name format filter includeFields createdAt updatedAt apiVersion { handle } }
    userErrors { field message }
  }
}";

async fn subscribe(lab: &Lab, topic: &str, hook: Value) -> Value {
    let answer = lab.graphql(SUBSCRIBE, json!({"topic": topic, "hook": hook})).await;
    answer["data"]["webhookSubscriptionCreate"].clone()
}

/// What is subscribed to by API comes by itself, cut down to its fields, under its name.
#[tokio::test]
async fn a_subscription_gets_its_topic_with_the_fields_it_wants() {
    let (receiver, url) = Receiver::start(0).await;
    let lab = Lab::start(quick()).await;
    let hook = json!({"uri": url, "name": "ours", "includeFields": ["id", "line_items.sku"]});
    let made = subscribe(&lab, "ORDERS_CREATE", hook).await;
    assert_eq!(made["userErrors"], json!([]), "{made}");
    assert_eq!(made["webhookSubscription"]["apiVersion"]["handle"], "2026-10");
    let id = lab.order("shopify", "TSHIRT-BL-M", 2).await;
    let arrived = receiver.wait("orders/create", 1).await.remove(0);
    assert_eq!(arrived.header("X-Shopify-Name"), "ours");
    let id: u64 = id.parse().expect("a number");
    assert_eq!(arrived.json(), json!({"id": id, "line_items": [{"sku": "TSHIRT-BL-M"}]}));
    lab.settle().await;
    assert_eq!(receiver.of("orders/updated").len(), 0, "no other topic");
}

#[tokio::test]
async fn a_subscription_is_deleted_after_eight_failures_in_a_row() {
    let (receiver, url) = Receiver::start(7).await;
    let lab = lab_with(&url, |options| options.shopify.webhook_url = None).await;
    subscribe(&lab, "ORDERS_CREATE", json!({"uri": url})).await;
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    receiver.wait("orders/create", 1).await;
    lab.settle().await;
    let there = async || lab.look("/app").await["subscriptions"].as_array().map_or(0, Vec::len);
    assert_eq!(there().await, 1, "seven failed, and then one arrived");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    subscribe(&lab, "ORDERS_CREATE", json!({"uri": format!("http://{nobody}/")})).await;
    assert_eq!(there().await, 2);
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    lab.settle().await;
    assert_eq!(there().await, 1, "the one that failed is gone, the other stays");
}

#[tokio::test]
async fn names_addresses_and_scopes_are_checked() {
    let lab = Lab::start(quick()).await;
    let check = async |topic: &str, hook: Value, want: &str| {
        let made = subscribe(&lab, topic, hook).await;
        let told = made["userErrors"][0]["message"].as_str().unwrap_or_default();
        assert!(told.contains(want) && told.is_empty() == want.is_empty(), "{made}");
    };
    let uri = "http://127.0.0.1:9/a";
    check("ORDERS_CREATE", json!({"uri": uri, "name": "one"}), "").await;
    check("ORDERS_CREATE", json!({"uri": uri}), "has already been taken").await;
    check("ORDERS_UPDATED", json!({"uri": uri, "name": "one"}), "Name has already been taken").await;
    check("ORDERS_UPDATED", json!({"uri": uri, "name": "n".repeat(51)}), "at most 50").await;
    check("ORDERS_UPDATED", json!({"uri": "https://example.com/"}), "not allowed").await;
    lab.control("/app", json!({"scopes": ["write_inventory"]})).await;
    check("ORDERS_UPDATED", json!({"uri": uri}), "do not have permission").await;
    check("INVENTORY_LEVELS_UPDATE", json!({"uri": uri}), "").await;
}

#[tokio::test]
async fn subscriptions_are_listed_changed_and_deleted() {
    let lab = Lab::start(quick()).await;
    let made = subscribe(&lab, "ORDERS_CREATE", json!({"uri": "http://127.0.0.1:9/a"})).await;
    let id = made["webhookSubscription"]["id"].as_str().expect("an id").to_owned();
    let change = "mutation($id: ID!, $hook: WebhookSubscriptionInput!) {
        webhookSubscriptionUpdate(id: $id, webhookSubscription: $hook) { webhookSubscription { id } userErrors { message } } }";
    let hook = json!({"uri": "http://127.0.0.1:9/b", "includeFields": ["id"], "filter": null});
    lab.graphql(change, json!({"id": id, "hook": hook})).await;
    let list = "{ webhookSubscriptions(first: 10) { nodes { id topic uri includeFields } pageInfo { hasNextPage } } }";
    let listed = lab.graphql(list, json!({})).await["data"]["webhookSubscriptions"]["nodes"].clone();
    let want =
        json!([{"id": id, "topic": "ORDERS_CREATE", "uri": "http://127.0.0.1:9/b", "includeFields": ["id"]}]);
    assert_eq!(listed, want);
    let delete = "mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { message } } }";
    let deleted = lab.graphql(delete, json!({"id": id})).await["data"]["webhookSubscriptionDelete"].clone();
    assert_eq!(deleted, json!({"deletedWebhookSubscriptionId": id, "userErrors": []}));
    let again = lab.graphql(delete, json!({"id": id})).await["data"]["webhookSubscriptionDelete"].clone();
    assert_eq!(again["userErrors"][0]["message"], "Webhook subscription does not exist");
}

#[tokio::test]
async fn an_app_that_is_taken_out_is_told_and_refused() {
    let (receiver, url) = Receiver::start(0).await;
    let lab = Lab::start(quick()).await;
    subscribe(&lab, "APP_UNINSTALLED", json!({"uri": url})).await;
    lab.control("/app", json!({"installed": false})).await;
    receiver.wait("app/uninstalled", 1).await;
    let status = async || lab.raw_graphql("2026-10", "{ shop { name } }", json!({})).await.status();
    assert_eq!(status().await, StatusCode::UNAUTHORIZED);
    lab.control("/app", json!({"installed": true})).await;
    assert_eq!(status().await, StatusCode::OK);
    assert_eq!(lab.look("/app").await["subscriptions"], json!([]));
}
