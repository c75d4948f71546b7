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

/// What keeps an item from being stocked, though it shows nothing.
async fn kept(item: Value) -> String {
    let (shop, asked) = shop(move |variables| match variables["ids"].as_array() {
        Some(ids) => {
            let mut node = json!({"__typename": "InventoryItem", "id": ids[0], "sku": "A", "tracked": true,
                "variants": null, "inventoryLevel": null});
            node.as_object_mut().expect("an object").extend(item.as_object().expect("an object").clone());
            said(&json!({"data": {"nodes": [node]}}))
        }
        None if variables.get("item").is_some() => {
            let done = json!({"inventoryLevel": {"id": "x"}, "userErrors": []});
            said(&json!({"data": {"inventoryActivate": done}}))
        }
        None => set(&json!([])),
    })
    .await;
    let location = one().nth(0).cloned().expect("one");
    let here = options::Location { stocks: true, ..location };
    let locations = options::Locations::new(vec![here]).expect("one");
    let shop = Shopify::new(Options { locations, ..shop.options.clone() }).expect("it can be built");
    let outcome = letters(&shop.write(&[put("1", 5, Some(0), "k1")]).await);
    format!("{outcome} {}", order(&asked).join(" "))
}

#[tokio::test]
async fn only_what_was_never_stocked_there_is_stocked() {
    let bundle =
        json!({"nodes": [{"id": "x", "barcode": null, "displayName": null, "requiresComponents": true}]});
    let level = |active: bool| {
        let quantities = json!([{"name": "available", "quantity": 0}]);
        json!({"isActive": active, "updatedAt": null, "quantities": quantities})
    };
    for (item, want) in [
        (json!({}), "A look stock"),
        (json!({"tracked": false}), "S look"),
        (json!({"variants": bundle}), "S look"),
        // Somebody has taken it out there.
        (json!({"inventoryLevel": level(false)}), "S look"),
        (json!({"inventoryLevel": level(true)}), "A look set"),
    ] {
        assert_eq!(kept(item.clone()).await, want, "{item}");
    }
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
