//! What the shop sells and is made of SKUs: its own bundles arrive as components, sets as what they are called.

use super::*;

const ORDERS: &str = "{ orders(first: 5) { nodes { lineItems(first: 5) { nodes { id sku quantity variant { id }
  lineItemGroup { id title quantity productId variantId variantSku customAttributes { key value } } } } } } }";

fn with_made() -> Options {
    let mut options = quick();
    options.catalogue.bundles = 1;
    options.catalogue.sets = 2;
    options
}

/// Available on the shelf, and what each system shows.
async fn levels(lab: &Lab, sku: &str) -> [i64; 3] {
    let book = lab.book(sku).await;
    let of = |value: &Value| value.as_i64().expect("a number");
    [of(&book["available"]), of(&book["shopify"]["shown"]), of(&book["amazon"]["shown"])]
}

/// How many there truly are, and how many are shown.
async fn made(lab: &Lab, kind: &str, n: usize) -> [i64; 2] {
    let row = lab.look("/books").await[kind][n].clone();
    [&row["available"], &row["shopify"]["shown"]].map(|units| units.as_i64().expect("a number"))
}

#[tokio::test]
async fn a_bundle_is_sold_as_its_components_in_one_group() {
    let lab = Lab::start(with_made()).await;
    assert_eq!(made(&lab, "bundles", 0).await, [5, 5]);
    let id = lab.order("shopify", "BUNDLE-1", 2).await;
    let (first, second) = ("TSHIRT-BL-M", "TSHIRT-BL-S");
    assert_eq!(levels(&lab, first).await, [8, 8, 10]);
    assert_eq!(levels(&lab, second).await, [6, 6, 10]);
    assert_eq!(made(&lab, "bundles", 0).await, [3, 3]);
    let told = lab.graphql(ORDERS, json!({})).await;
    let lines = told["data"]["orders"]["nodes"][0]["lineItems"]["nodes"].as_array().expect("lines").clone();
    let units: Vec<_> = lines.iter().map(|line| (&line["sku"], &line["quantity"])).collect();
    assert_eq!(units, [(&json!(first), &json!(2)), (&json!(second), &json!(4))], "{told}");
    let group = &lines[0]["lineItemGroup"];
    assert_eq!((&group["variantSku"], &group["quantity"]), (&json!("BUNDLE-1"), &json!(2)));
    assert_eq!(group, &lines[1]["lineItemGroup"]);
    assert_ne!(group["variantId"], lines[0]["variant"]["id"]);
    lab.control("/fulfil", json!({"channel": "shopify", "order": id})).await;
    let book = lab.book(second).await;
    assert_eq!((&book["physical"], &book["committed"]), (&json!(6), &json!(0)));
}

#[tokio::test]
async fn webhooks_tell_the_group_of_a_line() {
    let (receiver, url) = Receiver::start(0).await;
    let mut options = with_made();
    options.shopify.webhook_url = Some(url.parse().expect("a URL"));
    let lab = Lab::start(options).await;
    lab.order("shopify", "BUNDLE-1", 1).await;
    let body = receiver.wait("orders/create", 1).await.remove(0).json();
    let group = &body["line_item_groups"][0];
    assert!(group["id"].is_u64(), "{body}");
    assert_eq!((&group["variant_sku"], &group["quantity"]), (&json!("BUNDLE-1"), &json!(1)));
    let lines = body["line_items"].as_array().expect("lines");
    assert!(lines.iter().all(|line| line["sales_line_item_group_id"] == group["id"]), "{body}");
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn a_set_has_a_quantity_of_its_own_and_takes_its_components_off_the_shelf() {
    let lab = Lab::start(with_made()).await;
    let (first, second) = ("TSHIRT-BL-M", "TSHIRT-BL-S");
    assert_eq!(made(&lab, "sets", 0).await, [5, 5]);
    let id = lab.order("shopify", "SET-1", 2).await;
    // The shop does not know of the components, nor of the other set that takes one of them.
    assert_eq!(levels(&lab, first).await, [8, 10, 10]);
    assert_eq!(levels(&lab, second).await, [6, 10, 10]);
    assert_eq!((made(&lab, "sets", 0).await, made(&lab, "sets", 1).await), ([3, 3], [5, 5]));
    lab.order("shopify", second, 5).await;
    assert_eq!((made(&lab, "sets", 0).await, made(&lab, "sets", 1).await), ([0, 3], [1, 5]));
    let told = lab.graphql(ORDERS, json!({})).await;
    let line = &told["data"]["orders"]["nodes"][0]["lineItems"]["nodes"][0];
    assert_eq!((&line["sku"], &line["lineItemGroup"]), (&json!("SET-1"), &Value::Null), "{told}");
    lab.control("/cancel", json!({"channel": "shopify", "order": id})).await;
    assert_eq!(levels(&lab, first).await, [10, 10, 10]);
    assert_eq!(made(&lab, "sets", 0).await, [2, 5]);
}

#[tokio::test]
async fn a_set_that_becomes_a_bundle_is_written_no_more_and_sold_as_its_components() {
    let lab = Lab::start(with_made()).await;
    let id = lab.order("shopify", "SET-1", 1).await;
    let (status, _) = lab.try_control("/bundle", json!({"set": "SET-1"})).await;
    assert_eq!(status, StatusCode::CONFLICT, "one is to be shipped");
    lab.control("/fulfil", json!({"channel": "shopify", "order": id})).await;
    lab.control("/bundle", json!({"set": "SET-1"})).await;
    // The shop's own quantities of the components have not been lowered for the first one.
    assert_eq!(made(&lab, "sets", 0).await, [4, 5]);
    let (status, _) = lab.try_control("/bundle", json!({"set": "TSHIRT-BL-M"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    lab.order("shopify", "SET-1", 1).await;
    assert_eq!(levels(&lab, "TSHIRT-BL-S").await, [6, 8, 10]);
    let told =
        lab.graphql("{ productVariants(first: 50) { nodes { sku requiresComponents } } }", json!({})).await;
    let all = told["data"]["productVariants"]["nodes"].as_array().expect("variants");
    let bundles: Vec<_> = all.iter().filter(|variant| variant["requiresComponents"] == true).collect();
    assert_eq!(bundles.iter().map(|one| &one["sku"]).collect::<Vec<_>>(), ["BUNDLE-1", "SET-1"]);
}

#[tokio::test]
async fn only_the_shop_sells_what_is_made_of_skus_and_no_edit_adds_a_bundle() {
    let lab = Lab::start(with_made()).await;
    let lines = json!([{"sku": "SET-1", "quantity": 1}]);
    for channel in ["amazon", "erp"] {
        let (status, _) = lab.try_control("/order", json!({"channel": channel, "lines": lines})).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    let id = lab.order("shopify", "TSHIRT-BL-M", 1).await;
    let edit = |sku: &str| json!({"order": id, "sku": sku, "delta": 1});
    let (status, told) = lab.try_control("/edit-order", edit("BUNDLE-1")).await;
    assert_eq!(
        (status, &told["error"]),
        (StatusCode::CONFLICT, &json!("a bundle is not added to an order by an edit"))
    );
    lab.control("/edit-order", edit("SET-1")).await;
    assert_eq!(levels(&lab, "TSHIRT-BL-M").await, [8, 9, 10]);
}
