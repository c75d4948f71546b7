//! A shop that wants tokens of the client credentials grant.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;

use super::*;

/// Serves a shop that grants tokens `t1`, `t2`, ..., and takes those that `good` takes. Returns the connector, what it asked
/// of the token endpoint, and the tokens that its documents carried.
async fn granting(good: fn(&str) -> bool) -> (Shopify, Asked, Asked) {
    let (grants, documents) = (Asked::default(), Asked::default());
    let (asked, sent, count) = (grants.clone(), documents.clone(), Arc::new(AtomicUsize::new(0)));
    let grant = move |headers: HeaderMap, body: Body| async move {
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        let form: Value = String::from_utf8_lossy(&body).as_ref().into();
        asked.0.lock().expect("unpoisoned").push(form);
        let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
        json!({"access_token": format!("t{nth}"), "scope": "read_orders", "expires_in": 86_399}).to_string()
    };
    let graphql = move |headers: HeaderMap| async move {
        let token = headers["x-shopify-access-token"].to_str().expect("text").to_owned();
        sent.0.lock().expect("unpoisoned").push(token.as_str().into());
        if good(&token) {
            said(&json!({"data": {"order": null}}))
        } else {
            let text = "[API] Invalid API key or access token (unrecognized login or wrong password)";
            (StatusCode::UNAUTHORIZED, json!({"errors": text}).to_string()).into_response()
        }
    };
    let router = Router::new()
        .route("/admin/oauth/access_token", axum::routing::post(grant))
        .route("/admin/api/2026-10/graphql.json", axum::routing::post(graphql));
    let mut options = options(&format!("http://{}", serve(router).await));
    options.access = options::Access::Client { id: "id+1".to_owned(), secret: SecretString::from("hush&1") };
    options.webhook_secrets.clear();
    (Shopify::new(options).expect("it can be built"), grants, documents)
}

fn order() -> OrderId {
    OrderId::new("7").expect("good")
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_carried_by_all() {
    let (shop, grants, sent) = granting(|token| token == "t1").await;
    let all = futures::future::join_all((0..20).map(|_| async { shop.order(&order()).await })).await;
    assert!(all.iter().all(|read| read == &Ok(None)), "{all:?}");
    let form = "grant_type=client_credentials&client_id=id%2B1&client_secret=hush%261";
    assert_eq!(grants.all(), [json!(form)]);
    assert_eq!(sent.all(), vec![json!("t1"); 20]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_exchanged_once() {
    let (shop, grants, sent) = granting(|token| token == "t2").await;
    assert_eq!(shop.order(&order()).await, Ok(None));
    assert_eq!(shop.order(&order()).await, Ok(None));
    assert_eq!((grants.all().len(), sent.all()), (2, vec![json!("t1"), json!("t2"), json!("t2")]));

    let (shop, grants, sent) = granting(|_| false).await;
    assert!(matches!(shop.order(&order()).await, Err(Fault::Unauthorized(_))));
    assert_eq!(sent.all(), [json!("t1"), json!("t2")], "twice, and not for ever");
    let written = shop.write(&puts([1])).await;
    assert_eq!(letters(&written), "U");
    assert_eq!(grants.all().len(), 4, "what was refused is not used again");
}

#[tokio::test]
async fn a_refusal_of_the_grant_says_what_to_do() {
    let refuse = || async {
        let body = json!({"error": "app_not_installed", "error_description": "The app is not installed"});
        (StatusCode::BAD_REQUEST, body.to_string())
    };
    let router = Router::new().route("/admin/oauth/access_token", axum::routing::post(refuse));
    let mut options = options(&format!("http://{}", serve(router).await));
    options.access = options::Access::Client { id: "id".to_owned(), secret: SecretString::from("hush") };
    let shop = Shopify::new(options).expect("it can be built");
    let Err(Fault::Unauthorized(why)) = shop.order(&order()).await else { panic!("it is refused") };
    assert!(
        why.contains("`app_not_installed`") && why.contains("install it from the Dev Dashboard"),
        "{why}"
    );
    assert!(!why.contains("hush"));
}

#[tokio::test]
async fn the_client_secret_signs_webhooks() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let (shop, ..) = granting(|_| true).await;
    let signed = |secret: &str| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(b"{}");
        let headers = [
            ("x-shopify-hmac-sha256", STANDARD.encode(mac.finalize().into_bytes())),
            ("x-shopify-shop-domain", "example.myshopify.com".to_owned()),
            ("x-shopify-topic", "app/uninstalled".to_owned()),
            ("x-shopify-webhook-id", "w1".to_owned()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        shop.receive(&Push { headers, body: Bytes::from_static(b"{}") })
    };
    let received = signed("hush&1").expect("it is authentic");
    assert_eq!(received.facts, [Fact::Tend]);
    assert!(matches!(signed("other"), Err(Refusal::Forged(_))));
}
