//! What must be stocked first holds up nothing else.

use super::*;

/// A shop in which no item is stocked; `lost` says whether stocking gets an answer. Returns the connector, which may stock.
async fn bare(lost: bool) -> (Shopify, Asked) {
    let (shop, asked) = shop(move |variables| {
        if let Some(ids) = variables["ids"].as_array() {
            let node = |id: &Value| {
                json!({"__typename": "InventoryItem", "id": id, "sku": "A", "tracked": true,
                "variants": null, "inventoryLevel": null})
            };
            return said(&json!({"data": {"nodes": ids.iter().map(node).collect::<Vec<_>>()}}));
        }
        if variables.get("item").is_some() {
            let done =
                json!({"data": {"inventoryActivate": {"inventoryLevel": {"id": "x"}, "userErrors": []}}});
            let away = (axum::http::StatusCode::BAD_GATEWAY, "away").into_response();
            return if lost { away } else { said(&done) };
        }
        set(&json!([]))
    })
    .await;
    let location = one().nth(0).cloned().expect("one");
    let here = options::Location { stocks: true, ..location };
    let locations = options::Locations::new(vec![here]).expect("one");
    let options = Options { locations, ..shop.options.clone() };
    (Shopify::new(options).expect("it can be built"), asked)
}

/// What was asked, in order: `set`, `look`, `stock`.
fn order(asked: &Asked) -> Vec<&'static str> {
    let kind = |body: &Value| match &body["variables"] {
        variables if variables.get("ids").is_some() => "look",
        variables if variables.get("item").is_some() => "stock",
        _ => "set",
    };
    asked.all().iter().map(kind).collect()
}

#[tokio::test]
async fn a_lower_goes_before_anything_is_stocked() {
    let (shop, asked) = bare(false).await;
    let puts = [put("1", 5, Some(0), "k1"), put("2", 1, Some(2), "k2"), put("3", 7, Some(0), "k3")];
    assert_eq!(letters(&shop.write(&puts).await), "AAA");
    assert_eq!(order(&asked), ["set", "look", "stock", "stock"]);
}

#[tokio::test]
async fn nothing_more_is_stocked_once_there_was_no_answer() {
    let (shop, asked) = bare(true).await;
    let puts = [put("1", 5, Some(0), "k1"), put("2", 1, Some(2), "k2"), put("3", 7, Some(0), "k3")];
    assert_eq!(letters(&shop.write(&puts).await), "?AN");
    assert_eq!(order(&asked), ["set", "look", "stock"]);
}
