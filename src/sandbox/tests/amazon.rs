//! The Selling Partner API: tokens, plans, listings, orders and FBA, held against the published models.

use super::*;

mod feeds;
mod reports;

const SELLER: &str = "A2SANDBOXSELLER";
const MARKET: &str = "marketplaceIds=ATVPDKIKX0DER";

/// What a call gave.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Lab {
    async fn token(&self) -> String {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "Atzr|sandbox"),
            ("client_id", "amzn1.application-oa2-client.sandbox"),
            ("client_secret", "amzn1.oa2-cs.v1.sandbox"),
        ];
        let answer = self.client.post(self.url("amazon", "/auth/o2/token")).form(&form).send().await;
        let answer: Value = answer.expect("LWA answers").json().await.expect("LWA answers JSON");
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    async fn amazon(&self, method: Method, path: &str, body: Option<Value>) -> Answered {
        let token = self.token().await;
        self.amazon_with(&token, method, path, body).await
    }

    async fn amazon_with(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answered {
        let mut request = self
            .client
            .request(method, self.url("amazon", path))
            .header("x-amz-access-token", token)
            .header("user-agent", "evenkeel-tests/1 (Language=Rust)");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("Amazon answers");
        let (status, headers) = (response.status(), response.headers().clone());
        Answered { status, headers, body: response.json().await.expect("Amazon answers JSON") }
    }

    async fn get_listing(&self, sku: &str) -> Value {
        let included = "includedData=summaries,attributes,fulfillmentAvailability,issues";
        let path = format!("/listings/2021-08-01/items/{SELLER}/{sku}?{MARKET}&{included}");
        self.amazon(Method::GET, &path, None).await.body
    }

    async fn patch(&self, sku: &str, op: &str, value: Value) -> Value {
        let path = format!("/listings/2021-08-01/items/{SELLER}/{sku}?{MARKET}");
        let patch = json!({"op": op, "path": "/attributes/fulfillment_availability", "value": value});
        let body = json!({"productType": "PRODUCT", "patches": [patch]});
        self.amazon(Method::PATCH, &path, Some(body)).await.body
    }
}

fn quantity(units: i64) -> Value {
    json!([{"fulfillment_channel_code": "DEFAULT", "quantity": units}])
}

#[tokio::test]
async fn a_merge_sets_the_quantity_and_a_replace_wipes_the_lead_time() {
    let lab = Lab::start(quick()).await;
    let accepted = lab.patch("TSHIRT-BL-M", "merge", quantity(4)).await;
    assert_eq!(accepted["status"], "ACCEPTED");
    lab.settle().await;
    let item = lab.get_listing("TSHIRT-BL-M").await;
    assert_eq!(
        item["fulfillmentAvailability"],
        json!([{"fulfillmentChannelCode": "DEFAULT", "quantity": 4}])
    );
    assert_eq!(item["attributes"]["fulfillment_availability"][0]["lead_time_to_ship_max_days"], 2);
    lab.patch("TSHIRT-BL-M", "replace", quantity(3)).await;
    let item = lab.get_listing("TSHIRT-BL-M").await;
    assert_eq!(item["attributes"]["fulfillment_availability"], quantity(3));
    lab.patch("TSHIRT-BL-M", "delete", Value::Null).await;
    lab.settle().await;
    assert_eq!(lab.book("TSHIRT-BL-M").await["amazon"]["shown"], 0);
}

#[tokio::test]
async fn a_write_is_live_only_later_and_overwrites_what_was_sold_meanwhile() {
    let mut options = quick();
    options.amazon.visibility_ms = Span::new(150, 150);
    let lab = Lab::start(options).await;
    lab.patch("TSHIRT-BL-M", "merge", quantity(6)).await;
    let item = lab.get_listing("TSHIRT-BL-M").await;
    assert_eq!(item["attributes"]["fulfillment_availability"][0]["quantity"], 6);
    assert_eq!(item["fulfillmentAvailability"][0]["quantity"], 10);
    lab.order("amazon", "TSHIRT-BL-M", 3).await;
    assert_eq!(lab.book("TSHIRT-BL-M").await["amazon"]["shown"], 7);
    lab.settle().await;
    assert_eq!(lab.book("TSHIRT-BL-M").await["amazon"]["shown"], 6);
}

#[tokio::test]
async fn a_wrong_write_is_invalid_inside_a_200() {
    let lab = Lab::start(quick()).await;
    let check = async |sku: &str, op: &str, value: Value, code: &str| {
        let answer = lab.patch(sku, op, value).await;
        assert_eq!(answer["status"], "INVALID", "{answer}");
        assert_eq!(answer["issues"][0]["code"], code);
        assert_eq!(answer["issues"][0]["severity"], "ERROR");
    };
    check("NO-SUCH", "merge", quantity(1), "13013").await;
    check("TSHIRT-BL-M", "merge", json!([{"quantity": 1}]), "90220").await;
    check("TSHIRT-BL-M", "merge", quantity(-1), "90000900").await;
    check("TSHIRT-BL-M", "merge", json!([{"fulfillment_channel_code": "AMAZON_NA"}]), "90000900").await;
    check("TSHIRT-BL-M", "replace", Value::Null, "90220").await;
    assert_eq!(lab.book("TSHIRT-BL-M").await["amazon"]["shown"], 10);
    let path = format!("/listings/2021-08-01/items/{SELLER}/TSHIRT-BL-M?{MARKET}&mode=VALIDATION_PREVIEW");
    let patch = json!({"op": "merge", "path": "/attributes/fulfillment_availability", "value": quantity(1)});
    let body = json!({"productType": "PRODUCT", "patches": [patch]});
    assert_eq!(lab.amazon(Method::PATCH, &path, Some(body)).await.body["status"], "VALID");
    lab.settle().await;
    assert_eq!(lab.book("TSHIRT-BL-M").await["amazon"]["shown"], 10);
}

#[tokio::test]
async fn a_merchant_quantity_on_an_fba_listing_is_noticed() {
    let lab = Lab::start(quick()).await;
    assert_eq!(lab.patch("TSHIRT-BL-M-FBA", "merge", quantity(5)).await["status"], "ACCEPTED");
    lab.settle().await;
    assert_eq!(lab.look("/books").await["fba_violations"], 1);
    let item = lab.get_listing("TSHIRT-BL-M-FBA").await;
    assert_eq!(item["fulfillmentAvailability"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn skus_with_slashes_and_letters_of_all_kinds_are_found_when_encoded() {
    let lab = Lab::start(quick()).await;
    for (path, sku) in [
        ("CABLE%2FUSB-C%2F1M", "CABLE/USB-C/1M"),
        ("MUG%20WHITE%201", "MUG WHITE 1"),
        ("TASSE-GR%C3%9CN-%C3%981", "TASSE-GRÜN-Ø1"),
        ("%E7%AE%B1-1", "箱-1"),
    ] {
        assert_eq!(lab.get_listing(path).await["sku"], sku);
    }
    let bare = format!("/listings/2021-08-01/items/{SELLER}/CABLE/USB-C/1M?{MARKET}");
    let denied = lab.amazon(Method::GET, &bare, None).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    assert_eq!(denied.body["errors"][0]["code"], "Unauthorized");
}

#[tokio::test]
async fn orders_are_found_by_update_and_their_status_moves() {
    let lab = Lab::start(quick()).await;
    let id = lab.order("amazon", "CABLE/USB-C/1M", 3).await;
    let get = async || {
        let path = format!("/orders/2026-01-01/orders/{id}?includedData=FULFILLMENT,CANCELLATION");
        lab.amazon(Method::GET, &path, None).await.body["order"].clone()
    };
    lab.settle().await;
    assert_eq!(get().await["fulfillment"]["fulfillmentStatus"], "UNSHIPPED");
    let one = json!([{"sku": "CABLE/USB-C/1M", "quantity": 1}]);
    lab.control("/fulfil", json!({"channel": "amazon", "order": id, "lines": one})).await;
    let order = get().await;
    assert_eq!(order["fulfillment"]["fulfillmentStatus"], "PARTIALLY_SHIPPED");
    assert_eq!(
        order["orderItems"][0]["fulfillment"],
        json!({"quantityFulfilled": 1, "quantityUnfulfilled": 2})
    );
    assert_eq!(order["orderItems"][0]["product"]["sellerSku"], "CABLE/USB-C/1M");
    lab.control("/cancel", json!({"channel": "amazon", "order": id})).await;
    let order = get().await;
    assert_eq!(order["fulfillment"]["fulfillmentStatus"], "SHIPPED");
    assert_eq!(order["orderItems"][0]["cancellation"]["cancellationExecution"]["cancelledBy"], "BUYER");
    assert_eq!(lab.book("CABLE/USB-C/1M").await["amazon"]["shown"], 9);
    let path = "/orders/2026-01-01/orders?lastUpdatedAfter=2020-01-01T00:00:00Z&includedData=FULFILLMENT";
    let found = lab.amazon(Method::GET, path, None).await;
    assert_eq!(found.body["orders"].as_array().map(Vec::len), Some(1));
    assert!(found.body["lastUpdatedBefore"].is_string());
}

#[tokio::test]
async fn an_order_that_changed_is_found_by_its_creation_and_not_by_the_update_before() {
    let lab = Lab::start(quick()).await;
    let id = lab.order("amazon", "TSHIRT-BL-M", 5).await;
    lab.settle().await;
    let one = json!([{"sku": "TSHIRT-BL-M", "quantity": 1}]);
    // Until it is later by the clock.
    let mut order = Value::Null;
    for _ in 0..5 {
        lab.control("/fulfil", json!({"channel": "amazon", "order": id, "lines": one})).await;
        let path = format!("/orders/2026-01-01/orders/{id}");
        order = lab.amazon(Method::GET, &path, None).await.body["order"].clone();
        if order["lastUpdatedTime"] != order["createdTime"] {
            break;
        }
    }
    let created = order["createdTime"].as_str().expect("a time");
    let found = async |of: &str| {
        let path = format!("/orders/2026-01-01/orders?{of}After=2020-01-01T00:00:00Z&{of}Before={created}");
        let found = lab.amazon(Method::GET, &path, None).await.body;
        assert_eq!(found[format!("{of}Before")], created);
        found["orders"].clone()
    };
    assert_eq!(found("lastUpdated").await, json!([]), "it is in no list that ends before its latest change");
    assert_eq!(found("created").await[0]["lastUpdatedTime"], order["lastUpdatedTime"], "as it stands");
}

#[tokio::test]
async fn pages_hold_together_and_a_dropped_order_is_on_none() {
    let lab = Lab::start(quick()).await;
    for _ in 0..5 {
        lab.order("amazon", "TSHIRT-BL-M", 1).await;
    }
    let lines = json!([{"sku": "TSHIRT-BL-M", "quantity": 1}]);
    let dropped = lab.control("/drop-order", json!({"channel": "amazon", "lines": lines})).await;
    lab.settle().await;
    let first = "/orders/2026-01-01/orders?lastUpdatedAfter=2020-01-01T00:00:00Z&maxResultsPerPage=2";
    let mut path = first.to_owned();
    let mut seen = Vec::new();
    loop {
        let page = lab.amazon(Method::GET, &path, None).await.body;
        seen.extend(page["orders"].as_array().expect("orders").iter().map(|order| order["orderId"].clone()));
        let Some(token) = page["pagination"]["nextToken"].as_str() else { break };
        path = format!("{first}&paginationToken={token}");
    }
    assert_eq!(seen.len(), 5);
    assert!(!seen.contains(&dropped["order"]));
    let other = path.replace("maxResultsPerPage=2", "maxResultsPerPage=3");
    assert_eq!(lab.amazon(Method::GET, &other, None).await.status, StatusCode::BAD_REQUEST);
    let id = dropped["order"].as_str().expect("an id");
    let path = format!("/orders/2026-01-01/orders/{id}");
    assert_eq!(lab.amazon(Method::GET, &path, None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_feed_lags_and_its_parameters_are_checked() {
    let mut options = quick();
    options.amazon.order_lag_ms = 120_000;
    let lab = Lab::start(options).await;
    lab.order("amazon", "TSHIRT-BL-M", 1).await;
    let path = "/orders/2026-01-01/orders?lastUpdatedAfter=2020-01-01T00:00:00Z";
    assert_eq!(lab.amazon(Method::GET, path, None).await.body["orders"], json!([]));
    for query in [
        "",
        "lastUpdatedAfter=2020-01-01T00:00:00Z&createdAfter=2020-01-01T00:00:00Z",
        "lastUpdatedAfter=yesterday",
        "createdAfter=2020-01-01T00:00:00Z&createdBefore=2199-01-01T00:00:00Z",
        "createdAfter=2020-01-01T00:00:00Z&maxResultsPerPage=101",
        "createdAfter=2020-01-01T00:00:00Z&includedData=NONSENSE",
    ] {
        let refused = lab.amazon(Method::GET, &format!("/orders/2026-01-01/orders?{query}"), None).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(refused.body["errors"][0]["code"], "InvalidInput");
    }
    let path = "/orders/2026-01-01/orders?createdAfter=2020-01-01T00:00:00Z&includedData=BUYER";
    assert_eq!(lab.amazon(Method::GET, path, None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn tokens_end_and_grantless_ones_are_for_other_calls() {
    let mut options = quick();
    options.amazon.token_secs = 0;
    let lab = Lab::start(options).await;
    let path = "/orders/2026-01-01/orders?createdAfter=2020-01-01T00:00:00Z";
    let check = async |token: &str, details: &str| {
        let denied = lab.amazon_with(token, Method::GET, path, None).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN);
        assert_eq!(denied.body["errors"][0]["code"], "Unauthorized");
        assert_eq!(denied.body["errors"][0]["details"], details);
        assert!(denied.headers.contains_key("x-amzn-RequestId"));
    };
    check(&lab.token().await, "The access token you provided has expired.").await;
    check("Atza|other", "The access token you provided is revoked, malformed or invalid.").await;
    let ask = async |body: Value| {
        let response =
            lab.client.post(lab.url("amazon", "/auth/o2/token")).json(&body).send().await.expect("LWA");
        (response.status(), response.json::<Value>().await.expect("JSON"))
    };
    let id = json!("amzn1.application-oa2-client.sandbox");
    let secret = json!("amzn1.oa2-cs.v1.sandbox");
    let (status, body) = ask(json!({"grant_type": "refresh_token", "refresh_token": "x", "client_id": id,
        "client_secret": secret}))
    .await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_grant")));
    let (status, body) =
        ask(json!({"grant_type": "refresh_token", "client_id": id, "client_secret": "x"})).await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_client")));
    let (status, _) =
        ask(json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret,
        "scope": "sellingpartnerapi::notifications"}))
        .await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_plan_is_spent_and_says_nothing_of_it_in_the_429() {
    let mut options = quick();
    options.amazon.rate_scale = 1.0;
    let lab = Lab::start(options).await;
    let token = lab.token().await;
    let path = "/orders/2026-01-01/orders?createdAfter=2020-01-01T00:00:00Z";
    for _ in 0..20 {
        let served = lab.amazon_with(&token, Method::GET, path, None).await;
        assert_eq!(served.status, StatusCode::OK);
        assert_eq!(served.headers["x-amzn-RateLimit-Limit"], "0.0056");
    }
    let refused = lab.amazon_with(&token, Method::GET, path, None).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.body["errors"][0]["code"], "QuotaExceeded");
    assert!(!refused.headers.contains_key("x-amzn-RateLimit-Limit"));
}

#[tokio::test]
async fn a_cancelled_order_may_be_reported_with_quantity_zero() {
    let mut options = quick();
    options.amazon.cancelled_zeroed_share = 1.0;
    let lab = Lab::start(options).await;
    let id = lab.order("amazon", "TSHIRT-BL-M", 2).await;
    lab.control("/cancel", json!({"channel": "amazon", "order": id})).await;
    let path = format!("/orders/2026-01-01/orders/{id}?includedData=FULFILLMENT");
    let order = lab.amazon(Method::GET, &path, None).await.body["order"].clone();
    assert_eq!(order["fulfillment"]["fulfillmentStatus"], "CANCELLED");
    assert_eq!(order["orderItems"][0]["quantityOrdered"], 0);
}

#[tokio::test]
async fn a_search_reaches_a_thousand_listings_in_pages_of_twenty() {
    let mut options = quick();
    options.catalogue.skus = 1_100;
    let lab = Lab::start(options).await;
    let token = lab.token().await;
    let first = format!(
        "/listings/2021-08-01/items/{SELLER}?{MARKET}&pageSize=20&includedData=fulfillmentAvailability"
    );
    let mut path = first.clone();
    let mut count = 0;
    loop {
        let page = lab.amazon_with(&token, Method::GET, &path, None).await.body;
        count += page["items"].as_array().map_or(0, Vec::len);
        assert_eq!(page["numberOfResults"], 1_102);
        let Some(token) = page["pagination"]["nextToken"].as_str() else { break };
        path = format!("{first}&pageToken={token}");
    }
    assert_eq!(count, 1_000);
    let by_sku = format!("{first}&identifiersType=SKU&identifiers=TSHIRT-BL-M,TSHIRT-BL-S");
    let page = lab.amazon_with(&token, Method::GET, &by_sku, None).await.body;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
}

/// Checks a body against a definition of a published model.
pub(super) fn check_model(specs: &std::path::Path, model: &str, definition: &str, body: &Value) {
    let path = specs.join(format!("amazon/models/{model}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut schema: Value = serde_json::from_str(&text).expect("the models are JSON");
    schema["$ref"] = json!(format!("#/definitions/{definition}"));
    let validator = jsonschema::validator_for(&schema).unwrap_or_else(|e| panic!("{model}: {e}"));
    let errors: Vec<String> =
        validator.iter_errors(body).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{definition}: {errors:?}\n{body}");
    let properties = &schema["definitions"][definition]["properties"];
    for field in body.as_object().expect("an object").keys() {
        assert!(!properties[field].is_null(), "{definition} has no `{field}`");
    }
}

#[tokio::test]
async fn answers_agree_with_the_published_models() {
    let Some(specs) = specs() else { return };
    let lab = Lab::start(quick()).await;
    let id = lab.order("amazon", "CABLE/USB-C/1M", 2).await;
    lab.control("/cancel", json!({"channel": "amazon", "order": id})).await;
    lab.order("amazon", "TSHIRT-BL-M", 2).await;
    lab.settle().await;
    let get = async |path: &str| lab.amazon(Method::GET, path, None).await.body;
    let everything = "includedData=FULFILLMENT,CANCELLATION,PROCEEDS,PACKAGES";
    let orders =
        get(&format!("/orders/2026-01-01/orders?createdAfter=2020-01-01T00:00:00Z&{everything}")).await;
    check_model(&specs, "orders_2026-01-01", "SearchOrdersResponse", &orders);
    check_model(&specs, "orders_2026-01-01", "Order", &orders["orders"][0]);
    check_model(&specs, "orders_2026-01-01", "OrderItem", &orders["orders"][0]["orderItems"][0]);
    let order = get(&format!("/orders/2026-01-01/orders/{id}?{everything}")).await;
    check_model(&specs, "orders_2026-01-01", "GetOrderResponse", &order);
    let item = lab.get_listing("TSHIRT-BL-M").await;
    check_model(&specs, "listingsItems_2021-08-01", "Item", &item);
    check_model(&specs, "listingsItems_2021-08-01", "Item", &lab.get_listing("TSHIRT-BL-M-FBA").await);
    let found =
        get(&format!("/listings/2021-08-01/items/{SELLER}?{MARKET}&includedData=summaries,productTypes"))
            .await;
    check_model(&specs, "listingsItems_2021-08-01", "ItemSearchResults", &found);
    for answer in
        [lab.patch("TSHIRT-BL-M", "merge", quantity(1)).await, lab.patch("X", "merge", quantity(1)).await]
    {
        check_model(&specs, "listingsItems_2021-08-01", "ListingsItemSubmissionResponse", &answer);
    }
    let missing = lab.get_listing("NO-SUCH").await;
    check_model(&specs, "listingsItems_2021-08-01", "ErrorList", &missing);
    let granularity = "granularityType=Marketplace&granularityId=ATVPDKIKX0DER";
    let fba = get(&format!("/fba/inventory/v1/summaries?details=true&{granularity}&{MARKET}")).await;
    check_model(&specs, "fbaInventory", "GetInventorySummariesResponse", &fba);
    assert_eq!(fba["payload"]["inventorySummaries"].as_array().map(Vec::len), Some(2));
}
