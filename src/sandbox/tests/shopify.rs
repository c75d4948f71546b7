//! The Admin API: reads, compare-and-set, idempotency, limits, and agreement with the published schema.

use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Schema};

use super::*;

const SET: &str = "mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id createdAt reason referenceDocumentUri
      changes { name delta quantityAfterChange item { id sku } location { id } } }
    userErrors { code field message }
  }
}";

const ADJUST: &str = "mutation Adjust($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id changes { name delta } }
    userErrors { code field message }
  }
}";

const LEVELS: &str = "query Levels($location: ID!, $first: Int!, $after: String, $query: String) {
  location(id: $location) { id isActive
    inventoryLevels(first: $first, after: $after, query: $query) {
      nodes { id updatedAt isActive item { id sku tracked }
        quantities(names: [\"available\", \"on_hand\", \"committed\"]) { name quantity updatedAt } }
      pageInfo { hasNextPage endCursor } } }
}";

const ORDERS: &str = "query Orders($query: String!, $first: Int!, $after: String) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes { ...order }
    pageInfo { hasNextPage endCursor }
  }
}
fragment order on Order { id name createdAt updatedAt cancelledAt cancelReason
  displayFulfillmentStatus displayFinancialStatus
  lineItems(first: 50) { nodes { id sku quantity currentQuantity unfulfilledQuantity variant { inventoryItem { id } } } }
  fulfillments(first: 5) { id status fulfillmentLineItems(first: 5) { edges { node { quantity lineItem { id } } } } }
  refunds(first: 20) { id createdAt refundLineItems(first: 50) {
    nodes { quantity restockType restocked location { id } lineItem { id sku } } } } }";

const LOCATION: &str = "gid://shopify/Location/106318430514";

fn item(n: u64) -> String {
    format!("gid://shopify/InventoryItem/{}", 9_307_199_254_740_993 + n)
}

fn entry(n: u64, quantity: i64, from: Value) -> Value {
    json!({"inventoryItemId": item(n), "locationId": LOCATION, "quantity": quantity, "changeFromQuantity": from})
}

fn input(entries: Vec<Value>) -> Value {
    json!({"name": "available", "reason": "correction", "referenceDocumentUri": "gid://evenkeel/Leg/1",
           "quantities": entries})
}

impl Lab {
    async fn set(&self, entries: Vec<Value>, key: &str) -> Value {
        let answer = self.graphql(SET, json!({"input": input(entries), "key": key})).await;
        answer["data"]["inventorySetQuantities"].clone()
    }

    async fn orders(&self, query: &str) -> Vec<Value> {
        let answer = self.graphql(ORDERS, json!({"query": query, "first": 50})).await;
        answer["data"]["orders"]["nodes"].as_array().expect("orders").clone()
    }
}

#[tokio::test]
async fn a_write_with_the_expected_quantity_moves_available_and_on_hand() {
    let lab = Lab::start(quick()).await;
    let payload = lab.set(vec![entry(0, 7, json!(10)), entry(1, 10, json!(null))], "k1").await;
    assert_eq!(payload["userErrors"], json!([]));
    let changes = &payload["inventoryAdjustmentGroup"]["changes"];
    assert_eq!(
        changes[0],
        json!({"name": "available", "delta": -3, "quantityAfterChange": null,
        "item": {"id": item(0), "sku": "TSHIRT-BL-M"}, "location": {"id": LOCATION}})
    );
    assert_eq!(changes[1]["name"], "on_hand");
    assert_eq!(changes.as_array().map(Vec::len), Some(2), "an unchanged entry is no change");
    let book = lab.book("TSHIRT-BL-M").await;
    assert_eq!((book["shopify"]["shown"].as_i64(), book["shopify"]["on_hand"].as_i64()), (Some(7), Some(7)));
    assert_eq!(book["available"], 10, "a write does not change what is true");
}

#[tokio::test]
async fn one_stale_entry_refuses_the_whole_call() {
    let lab = Lab::start(quick()).await;
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    let payload = lab.set(vec![entry(1, 3, json!(10)), entry(0, 3, json!(10))], "k1").await;
    assert_eq!(payload["inventoryAdjustmentGroup"], Value::Null);
    let error = &payload["userErrors"][0];
    assert_eq!(error["code"], "CHANGE_FROM_QUANTITY_STALE");
    assert_eq!(error["field"], json!(["input", "quantities", "1", "changeFromQuantity"]));
    assert_eq!(lab.book("TSHIRT-BL-S").await["shopify"]["shown"], 10);
}

#[tokio::test]
async fn refused_entries_say_which_and_why() {
    let mut options = quick();
    options.catalogue.bundles = 1;
    let lab = Lab::start(options).await;
    let check = async |entries: Vec<Value>, code: &str, field: Value| {
        let payload = lab.set(entries, &format!("{code}{field}")).await;
        assert_eq!(payload["userErrors"][0]["code"], code, "{payload}");
        assert_eq!(payload["userErrors"][0]["field"], field);
        assert_eq!(payload["inventoryAdjustmentGroup"], Value::Null);
    };
    let at = |last: &str| json!(["input", "quantities", "0", last]);
    check(vec![entry(9_999, 1, json!(1))], "INVALID_INVENTORY_ITEM", at("inventoryItemId")).await;
    check(vec![entry(20, 1, json!(0))], "NON_MUTABLE_INVENTORY_ITEM", at("inventoryItemId")).await;
    let elsewhere = json!({"inventoryItemId": item(0), "locationId": "gid://shopify/Location/1", "quantity": 1,
                           "changeFromQuantity": null});
    check(vec![elsewhere], "INVALID_LOCATION", at("locationId")).await;
    check(vec![entry(0, 1_000_000_001, json!(10))], "INVALID_QUANTITY_TOO_HIGH", at("quantity")).await;
    let twice = vec![entry(0, 1, json!(10)), entry(0, 2, json!(10))];
    check(twice, "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", json!(["input", "quantities", "1"])).await;
}

#[tokio::test]
async fn what_a_call_lacks_is_a_top_level_error() {
    let lab = Lab::start(quick()).await;
    let check = async |query: &str, input: Value, code: &str, message: &str| {
        let answer = lab.graphql(query, json!({"input": input, "key": "k"})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{answer}");
        assert_eq!(answer["errors"][0]["message"], message);
        answer
    };
    let bare = SET.replace("@idempotent(key: $key)", "").replace(", $key: String!", "");
    let message = "The @idempotent directive is required for this mutation but was not provided.";
    let answer = check(&bare, input(vec![entry(0, 1, json!(10))]), "BAD_REQUEST", message).await;
    assert_eq!(answer["data"], json!({"inventorySetQuantities": null}));
    assert_eq!(answer["errors"][0]["path"], json!(["inventorySetQuantities"]));
    let mut unsure = entry(0, 1, json!(10));
    unsure.as_object_mut().expect("an entry").remove("changeFromQuantity");
    let message = "InventoryQuantityInput must include the following argument: changeFromQuantity.";
    check(SET, input(vec![unsure]), "INVALID_FIELD_ARGUMENTS", message).await;
    let many = (0..251).map(|n| entry(n, 1, json!(10))).collect();
    let message = "The input array size of 251 is greater than the maximum allowed of 250.";
    check(SET, input(many), "MAX_INPUT_SIZE_EXCEEDED", message).await;
    let mut old = input(vec![entry(0, 1, json!(10))]);
    old["ignoreCompareQuantity"] = json!(true);
    let message = "Variable $input of type InventorySetQuantitiesInput! was provided invalid value for \
                   ignoreCompareQuantity (Field is not defined on InventorySetQuantitiesInput)";
    let answer = check(SET, old, "INVALID_VARIABLE", message).await;
    let problem = &answer["errors"][0]["extensions"]["problems"][0];
    assert_eq!(problem["explanation"], "Field is not defined on InventorySetQuantitiesInput");
    let answer = lab.graphql("{ shop { moonPhase } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
}

#[tokio::test]
async fn a_key_is_good_for_one_call() {
    let lab = Lab::start(quick()).await;
    let code = |payload: &Value| payload["userErrors"][0]["code"].as_str().map(str::to_owned);
    let first = lab.set(vec![entry(0, 7, json!(10))], "k1").await;
    lab.order("shopify", "TSHIRT-BL-M", 2).await;
    assert_eq!(lab.set(vec![entry(0, 7, json!(10))], "k1").await, first, "a replay gives the first answer");
    assert_eq!(lab.book("TSHIRT-BL-M").await["shopify"]["shown"], 5, "and does nothing");
    let other = lab.set(vec![entry(0, 6, json!(10))], "k1").await;
    assert_eq!(code(&other).as_deref(), Some("IDEMPOTENCY_KEY_PARAMETER_MISMATCH"));
    let stale = vec![entry(0, 1, json!(99))];
    assert_eq!(code(&lab.set(stale.clone(), "k2").await).as_deref(), Some("CHANGE_FROM_QUANTITY_STALE"));
    assert_eq!(code(&lab.set(stale, "k2").await).as_deref(), Some("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"));
}

#[tokio::test]
async fn a_call_is_carried_out_although_its_client_hung_up() {
    let mut options = quick();
    options.shopify.write_ms = Span::new(60, 60);
    let lab = Lab::start(options).await;
    let body =
        json!({"query": SET, "variables": {"input": input(vec![entry(0, 7, json!(10))]), "key": "k1"}});
    let request = lab
        .client
        .post(lab.url("shopify", "/admin/api/2026-10/graphql.json"))
        .header("X-Shopify-Access-Token", "shpat_sandbox")
        .timeout(Duration::from_millis(30))
        .json(&body);
    assert!(request.send().await.expect_err("no answer in time").is_timeout());
    let payload = lab.set(vec![entry(0, 7, json!(10))], "k1").await;
    assert!(
        payload["userErrors"][0]["code"] == "IDEMPOTENCY_CONCURRENT_REQUEST"
            || payload["userErrors"] == json!([]),
        "{payload}"
    );
    let again = lab.set(vec![entry(0, 7, json!(10))], "k1").await;
    assert_eq!(again["userErrors"], json!([]));
    assert_eq!(lab.book("TSHIRT-BL-M").await["shopify"]["shown"], 7);
}

#[tokio::test]
async fn a_delta_may_go_below_zero_and_other_states_need_a_document() {
    let lab = Lab::start(quick()).await;
    let change = |delta: i64, ledger: Option<&str>| {
        let mut change = json!({"inventoryItemId": item(0), "locationId": LOCATION, "delta": delta,
                                "changeFromQuantity": null});
        if let Some(ledger) = ledger {
            change["ledgerDocumentUri"] = json!(ledger);
        }
        change
    };
    let adjust = async |name: &str, change: Value, key: &str| {
        let input = json!({"name": name, "reason": "correction", "changes": [change]});
        lab.graphql(ADJUST, json!({"input": input, "key": key})).await["data"]["inventoryAdjustQuantities"]
            .clone()
    };
    assert_eq!(adjust("available", change(-12, None), "k1").await["userErrors"], json!([]));
    assert_eq!(lab.book("TSHIRT-BL-M").await["shopify"]["shown"], -2);
    let refused = adjust("damaged", change(1, None), "k2").await;
    assert_eq!(refused["userErrors"][0]["code"], "INVALID_QUANTITY_DOCUMENT");
    let refused = adjust("on_hand", change(1, None), "k3").await;
    assert_eq!(refused["userErrors"][0]["code"], "INVALID_QUANTITY_NAME");
    let taken = adjust("incoming", change(5, Some("https://erp.example/po/1")), "k4").await;
    assert_eq!(taken["inventoryAdjustmentGroup"]["changes"], json!([{"name": "incoming", "delta": 5}]));
}

#[tokio::test]
async fn an_order_moves_units_between_the_states() {
    let lab = Lab::start(quick()).await;
    let states = async || {
        let shopify = &lab.book("TSHIRT-BL-M").await["shopify"];
        let state = |name: &str| shopify[name].as_i64().expect("a number");
        (state("shown"), state("committed"), state("on_hand"))
    };
    let order = lab.order("shopify", "TSHIRT-BL-M", 4).await;
    assert_eq!(states().await, (6, 4, 10));
    let one = json!([{"sku": "TSHIRT-BL-M", "quantity": 1}]);
    let on = |more: Value| {
        let mut body = json!({"channel": "shopify", "order": order});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    lab.control("/fulfil", on(json!({"lines": one}))).await;
    assert_eq!(states().await, (6, 3, 9));
    lab.control("/refund", on(json!({"lines": one, "restock": "cancel"}))).await;
    assert_eq!(states().await, (7, 2, 9));
    lab.control("/refund", on(json!({"lines": one, "restock": "return"}))).await;
    assert_eq!(states().await, (8, 2, 10));
    lab.control("/refund", on(json!({"lines": one, "restock": "no_restock"}))).await;
    assert_eq!(states().await, (8, 1, 9));
    lab.control("/edit-order", json!({"order": order, "sku": "TSHIRT-BL-M", "delta": -1})).await;
    assert_eq!(states().await, (9, 0, 9));
    let book = lab.book("TSHIRT-BL-M").await;
    assert_eq!((book["physical"].as_i64(), book["available"].as_i64()), (Some(9), Some(9)));

    let shown = lab.orders("").await;
    let by_id = "query($refund: ID!, $fulfilment: ID!) {
        refund(id: $refund) { refundLineItems(first: 1) { nodes { quantity } } }
        fulfillment(id: $fulfilment) { fulfillmentLineItems(first: 1) { nodes { quantity } pageInfo { hasNextPage } } }
    }";
    let ids =
        json!({"refund": shown[0]["refunds"][0]["id"], "fulfilment": shown[0]["fulfillments"][0]["id"]});
    let found = lab.graphql(by_id, ids).await["data"].clone();
    assert_eq!(found["refund"]["refundLineItems"]["nodes"][0]["quantity"], 1);
    assert_eq!(found["fulfillment"]["fulfillmentLineItems"]["nodes"][0]["quantity"], 1);
    let line = &shown[0]["lineItems"]["nodes"][0];
    assert_eq!(line["quantity"], 4);
    assert_eq!(line["unfulfilledQuantity"], 0);
    assert_eq!(line["currentQuantity"], 0);
    let kinds: Vec<&Value> = shown[0]["refunds"]
        .as_array()
        .expect("refunds")
        .iter()
        .map(|refund| &refund["refundLineItems"]["nodes"][0]["restockType"])
        .collect();
    assert_eq!(kinds, ["CANCEL", "RETURN", "NO_RESTOCK", "CANCEL"]);
    assert_eq!(shown[0]["fulfillments"][0]["fulfillmentLineItems"]["edges"][0]["node"]["quantity"], 1);
}

#[tokio::test]
async fn a_cancelled_order_restocks_only_when_asked() {
    let lab = Lab::start(quick()).await;
    let with = lab.order("shopify", "TSHIRT-BL-M", 2).await;
    let without = lab.order("shopify", "TSHIRT-BL-M", 3).await;
    lab.control("/cancel", json!({"channel": "shopify", "order": with})).await;
    let inventory = json!({"channel": "shopify", "order": without, "restock": false, "reason": "inventory"});
    lab.control("/cancel", inventory.clone()).await;
    let book = lab.book("TSHIRT-BL-M").await;
    assert_eq!((book["physical"].as_i64(), book["available"].as_i64()), (Some(7), Some(7)));
    assert_eq!((book["shopify"]["shown"].as_i64(), book["shopify"]["on_hand"].as_i64()), (Some(7), Some(7)));
    let orders = lab.orders("").await;
    assert_eq!(orders[1]["cancelReason"], "INVENTORY");
    assert_eq!(orders[1]["refunds"][0]["refundLineItems"]["nodes"][0]["restockType"], "NO_RESTOCK");
    let (status, _) = lab.try_control("/cancel", inventory).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn lists_are_paged_to_their_end() {
    let lab = Lab::start(quick()).await;
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let variables = json!({"location": LOCATION, "first": 6, "after": after});
        let page = lab.graphql(LEVELS, variables).await["data"]["location"]["inventoryLevels"].clone();
        for level in page["nodes"].as_array().expect("levels") {
            seen.push(level["item"]["sku"].as_str().expect("a SKU").to_owned());
            assert_eq!(level["quantities"][0]["quantity"], 10);
        }
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(seen.len(), 20);
    seen.dedup();
    assert_eq!(seen.len(), 20);
}

#[tokio::test]
async fn orders_come_by_time_of_update_and_a_dropped_one_never_comes() {
    let lab = Lab::start(quick()).await;
    let first = lab.order("shopify", "TSHIRT-BL-M", 1).await;
    let lines = json!([{"sku": "TSHIRT-BL-M", "quantity": 1}]);
    let dropped = lab.control("/drop-order", json!({"channel": "shopify", "lines": lines})).await;
    lab.order("shopify", "TSHIRT-BL-S", 1).await;
    assert_eq!(lab.orders("updated_at:>=2020-01-01T00:00:00Z").await.len(), 2);
    assert_eq!(lab.orders("updated_at:>2199-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(lab.orders(&format!("id:{first}")).await.len(), 1);
    let id = format!("gid://shopify/Order/{}", dropped["order"].as_str().expect("an id"));
    let answer = lab.graphql("query($id: ID!) { order(id: $id) { id } }", json!({"id": id})).await;
    assert_eq!(answer["data"]["order"], Value::Null);
    assert_eq!(lab.book("TSHIRT-BL-M").await["shopify"]["shown"], 8);
}

#[tokio::test]
async fn levels_are_read_back_by_id_and_by_what_changed() {
    let lab = Lab::start(quick()).await;
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on InventoryLevel { id item { sku }
        location { id } quantities(names: [\"available\"]) { quantity } } } }";
    let level = "gid://shopify/InventoryLevel/143273001266?inventory_item_id=9307199254740993";
    let answer = lab.graphql(query, json!({"ids": [level, "gid://shopify/InventoryLevel/1"]})).await;
    assert_eq!(answer["data"]["nodes"][0]["quantities"][0]["quantity"], 10);
    assert_eq!(answer["data"]["nodes"][0]["__typename"], "InventoryLevel");
    assert_eq!(answer["data"]["nodes"][1], Value::Null);
    let by_sku = "{ inventoryItems(first: 5, query: \"sku:'CABLE/USB-C/1M'\") { nodes { sku id
        variant { id product { totalInventory } } inventoryLevels(first: 1) { nodes { id } } } } }";
    let answer = lab.graphql(by_sku, json!({})).await;
    assert_eq!(answer["data"]["inventoryItems"]["nodes"][0]["sku"], "CABLE/USB-C/1M");
    let odd =
        lab.graphql("{ inventoryItems(first: 1, query: \"colour:red\") { nodes { id } } }", json!({})).await;
    assert_eq!(odd["extensions"]["search"][0]["warnings"][0]["field"], "colour");
}

#[tokio::test]
async fn points_are_charged_as_recorded_and_run_out() {
    let mut options = quick();
    options.shopify.bucket = 1000.0;
    options.shopify.restore_per_second = 0.001;
    let lab = Lab::start(options).await;
    let check = async |query: &str, variables: Value, requested: i64, actual: i64| {
        let cost = lab.graphql(query, variables).await["extensions"]["cost"].clone();
        assert_eq!(cost["requestedQueryCost"], requested, "{query}");
        assert_eq!(cost["actualQueryCost"], actual, "{query}");
    };
    check(SET, json!({"input": input(vec![entry(0, 9, json!(10))]), "key": "k"}), 13, 13).await;
    let id = item(0);
    let read = format!(
        "{{ inventoryItem(id: \"{id}\") {{ id inventoryLevels(first: 5) {{ nodes {{ location {{ id name }}
            quantities(names: [\"available\"]) {{ name }} }} }} }} }}"
    );
    check(&read, json!({}), 12, 6).await;
    let costly =
        "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { variant { product { id } } } }
        refunds { refundLineItems(first: 250) { nodes { lineItem { id } } } } } } }";
    let mut throttled = None;
    for _ in 0..400 {
        let answer =
            lab.graphql("{ inventoryItems(first: 250) { nodes { id variant { id } } } }", json!({})).await;
        if answer.get("errors").is_some() {
            throttled = Some(answer);
            break;
        }
    }
    let answer = throttled.expect("1000 points end");
    assert_eq!(answer["errors"][0]["message"], "Throttled");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "THROTTLED");
    assert_eq!(answer["extensions"]["cost"]["actualQueryCost"], Value::Null);
    assert!(answer.get("data").is_none());
    assert!(lab.graphql(costly, json!({})).await.get("errors").is_some());
}

#[tokio::test]
async fn tokens_and_versions_are_checked() {
    let lab = Lab::start(quick()).await;
    let query = "{ currentAppInstallation { accessScopes { handle } } publicApiVersions { handle supported }
        shop { myshopifyDomain plan { publicDisplayName } } }";
    for (asked, served) in [("2026-10", "2026-10"), ("2026-07", "2026-07"), ("2025-01", "2026-04")] {
        let response = lab.raw_graphql(asked, query, json!({})).await;
        assert_eq!(response.headers()["X-Shopify-API-Version"], served);
    }
    assert_eq!(lab.raw_graphql("2099-10", query, json!({})).await.status(), StatusCode::NOT_FOUND);
    let url = lab.url("shopify", "/admin/api/2026-10/graphql.json");
    let with = |token: &str| {
        lab.client.post(&url).header("X-Shopify-Access-Token", token).json(&json!({"query": query})).send()
    };
    assert_eq!(with("wrong").await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    let grant = [
        ("grant_type", "client_credentials"),
        ("client_id", "sandbox-client"),
        ("client_secret", "sandbox-secret"),
    ];
    let oauth = lab.url("shopify", "/admin/oauth/access_token");
    let granted: Value =
        lab.client.post(&oauth).form(&grant).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(granted["expires_in"], 86_399);
    let token = granted["access_token"].as_str().expect("a token");
    assert_eq!(with(token).await.expect("an answer").status(), StatusCode::OK);
    let wrong =
        json!({"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "no"});
    let refused = lab.client.post(&oauth).json(&wrong).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

/// Each of the sandbox's types, fields, arguments and values is in the published schema, with the same type.
#[test]
fn the_schema_is_a_part_of_the_published_one() {
    let Some(specs) = specs() else { return };
    let read =
        |path: PathBuf| std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    // The published text uses this built-in directive without defining it.
    let text = read(specs.join("shopify/schema-2026-10.graphql"));
    let whole = Schema::parse_and_validate(format!("directive @oneOf on INPUT_OBJECT\n{text}"), "whole");
    let whole = whole.unwrap_or_else(|e| panic!("the published schema: {}", e.errors));
    let ours =
        Schema::parse_and_validate(include_str!("../shopify/schema.graphql"), "ours").expect("ours is valid");
    for (name, own) in &ours.types {
        if own.is_built_in() {
            continue;
        }
        let published = whole.types.get(name).unwrap_or_else(|| panic!("{name} is not published"));
        match (own, published) {
            (ExtendedType::Object(own), ExtendedType::Object(published)) => {
                for (field, own) in &own.fields {
                    let published = published.fields.get(field).unwrap_or_else(|| panic!("{name}.{field}"));
                    assert_eq!(own.ty, published.ty, "{name}.{field}");
                    for argument in &own.arguments {
                        let published = published.argument_by_name(&argument.name);
                        assert_eq!(
                            Some(&argument.ty),
                            published.map(|argument| &argument.ty),
                            "{name}.{field}"
                        );
                    }
                }
            }
            (ExtendedType::InputObject(own), ExtendedType::InputObject(published)) => {
                for (field, own) in &own.fields {
                    assert_eq!(
                        Some(&own.ty),
                        published.fields.get(field).map(|field| &field.ty),
                        "{name}.{field}"
                    );
                }
            }
            (ExtendedType::Enum(own), ExtendedType::Enum(published)) => {
                for value in own.values.keys() {
                    assert!(published.values.contains_key(value), "{name}.{value}");
                }
            }
            (ExtendedType::Interface(_), ExtendedType::Interface(_))
            | (ExtendedType::Scalar(_), ExtendedType::Scalar(_)) => {}
            (_, _) => panic!("{name} is of another kind"),
        }
    }
    for (path, document) in [("set", SET), ("adjust", ADJUST), ("levels", LEVELS), ("orders", ORDERS)] {
        ExecutableDocument::parse_and_validate(&whole, document, path)
            .unwrap_or_else(|e| panic!("{path} is not valid on the published schema: {}", e.errors));
    }
}

/// The operations published for the daemon run here, as far as the sandbox serves them.
#[tokio::test]
async fn the_published_operations_run() {
    let Some(specs) = specs() else { return };
    let all = std::fs::read_to_string(specs.join("shopify/ops-2026.graphql")).expect("the operations");
    let lab = Lab::start(quick()).await;
    lab.order("shopify", "TSHIRT-BL-M", 1).await;
    let level = "gid://shopify/InventoryLevel/143273001266?inventory_item_id=9307199254740993";
    for (operation, variables) in [
        ("SetQty", json!({"input": input(vec![entry(0, 5, json!(9))]), "key": "a"})),
        (
            "AdjQty",
            json!({"input": {"name": "available", "reason": "correction", "changes": [{
            "inventoryItemId": item(0), "locationId": LOCATION, "delta": 1, "changeFromQuantity": 5}]}, "key": "b"}),
        ),
        ("Activate", json!({"item": item(0), "loc": LOCATION, "key": "c"})),
        ("LevelsAt", json!({"loc": LOCATION, "q": "updated_at:>=2020-01-01T00:00:00Z"})),
        ("ReadPairs", json!({"ids": [level]})),
        ("OrdersSince", json!({"q": "updated_at:>=2020-01-01T00:00:00Z"})),
        ("Health", json!({})),
    ] {
        let document = operation_of(&all, operation);
        let answer = lab.graphql(&document, variables).await;
        assert!(answer.get("errors").is_none(), "{operation}: {answer}");
        assert!(!answer["data"].is_null(), "{operation}");
    }
    assert_eq!(lab.book("TSHIRT-BL-M").await["shopify"]["shown"], 6);
}

/// Cuts one operation out of a document.
fn operation_of(all: &str, name: &str) -> String {
    let start = |line: &str| line.starts_with("query") || line.starts_with("mutation");
    let mut lines = all.lines().skip_while(|line| !(start(line) && line.contains(name)));
    let first = lines.next().unwrap_or_else(|| panic!("no operation {name}"));
    let rest = lines.take_while(|line| !start(line));
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}
