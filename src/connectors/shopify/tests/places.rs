//! A shop with several places.

use super::*;
use crate::connectors::shopify::orders::tests::fetched;

/// Serves a shop of which two places are configured.
async fn shop(answer: impl Fn(&Value) -> Response + Clone + Send + Sync + 'static) -> (Shopify, Asked) {
    let asked = Asked::default();
    let heard = asked.clone();
    let router = Router::new().route(
        "/admin/api/2026-10/graphql.json",
        axum::routing::post(move |body: Body| async move {
            let body: Value = serde_json::from_slice(&body).expect("the body is JSON");
            let response = answer(&body);
            heard.0.lock().expect("no test panics while it holds this").push(body);
            response
        }),
    );
    let base = format!("http://{}", serve(router).await);
    let shop = Shopify::new(Options { locations: two(), ..options(&base) }).expect("it can be built");
    (shop, asked)
}

fn at(item: &str, place: &str) -> Identifiers {
    Identifiers::new([(IdKind::InventoryItem, item), (IdKind::Location, place)]).expect("good")
}

fn here(body: &Value) -> i64 {
    if body["variables"]["location"] == "gid://shopify/Location/5" { 50 } else { 60 }
}

#[tokio::test]
async fn each_listing_is_read_at_its_own_place() {
    let (shop, asked) = shop(|body| {
        let ids = body["variables"]["ids"].as_array().expect("a list");
        let node = |id: &Value| {
            let mut node = level(gid::number("InventoryItem", id.as_str()?)?);
            node["inventoryLevel"]["quantities"][0]["quantity"] = json!(here(body));
            Some(node)
        };
        said(&json!({"data": {"nodes": ids.iter().map(node).collect::<Vec<_>>()}}))
    })
    .await;
    let listings = [at("1", "6"), at("1", "5"), ids("2"), at("2", "6"), at("2", "7")];
    let seen = shop.read_back(&listings).await.expect("it answers");
    let shown = |observed: &Observed| match observed {
        Observed::Seen(levels) => levels.available.to_string(),
        Observed::Unwritable { why } => why.clone(),
        other @ (Observed::Absent | Observed::Unread { .. }) => panic!("{other:?}"),
    };
    let odd = "the shop's location `7` is not configured for the channel";
    assert_eq!(seen.iter().map(shown).collect::<Vec<_>>(), ["60", "50", "50", "60", odd]);
    assert_eq!(asked.all().len(), 2, "one request for each place");
}

#[tokio::test]
async fn the_catalogue_lists_every_item_at_every_place() {
    let (shop, asked) = shop(|body| {
        let first = body["variables"]["after"].is_null();
        let mut node = level(if first { 1 } else { 2 });
        node["inventoryLevel"]["quantities"][0]["quantity"] = json!(here(body));
        if here(body) == 60 && !first {
            node["inventoryLevel"] = Value::Null;
        }
        let info = json!({"hasNextPage": first, "endCursor": first.then_some("c")});
        said(&json!({"data": {"inventoryItems": {"nodes": [node], "pageInfo": info}}}))
    })
    .await;
    let (mut after, mut told) = (None, Vec::new());
    loop {
        let page = shop.catalogue(after.as_ref()).await.expect("it answers");
        for item in page.items {
            let shown = item.levels.map(|levels| levels.available.to_string());
            told.push(format!("{} {}", item.ids, shown.or(item.unwritable).unwrap_or_default()));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let want = [
        "channel_sku=A inventory_item=1 location_id=5 50",
        "channel_sku=A inventory_item=2 location_id=5 50",
        "channel_sku=A inventory_item=1 location_id=6 60",
        "channel_sku=A inventory_item=2 location_id=6 not stocked at the shop's location `6`",
    ];
    assert_eq!(told, want);
    assert_eq!(asked.all().len(), 4);
}

#[tokio::test]
async fn what_was_moved_is_read_after_the_orders_and_fetched_where_they_do_not_tell_it() {
    let order = |number: u64, at: &str| json!({"id": gid::gid("Order", number), "updatedAt": at});
    let (shop, asked) = shop(move |body| {
        let done = json!({"hasNextPage": false});
        if body["query"].as_str().is_some_and(|query| query.starts_with("query Moved")) {
            let (old, new) = ("2026-06-20T00:00:00Z", "2026-06-26T01:33:55Z");
            let node = |order: Value| json!({"updatedAt": "2026-06-26T02:00:00Z", "order": order});
            // One that has not changed itself is there with both its parts; another one was told already.
            let nodes = [node(order(7, old)), node(order(8, new)), node(order(7, old))];
            return said(&json!({"data": {"fulfillmentOrders": {"nodes": nodes, "pageInfo": done}}}));
        }
        said(&json!({"data": {"orders": {"nodes": [fetched()], "pageInfo": done}}}))
    })
    .await;
    let since = Timestamp::from_millis(1_782_300_000_000);
    let first = shop.orders(By::Change, since, None).await.expect("it answers");
    assert_eq!((first.orders.len(), first.read_through), (1, None), "it is not the end yet");
    let last = shop.orders(By::Change, since, first.next.as_ref()).await.expect("it answers");
    let unread: Vec<&str> = last.unread.iter().map(OrderId::as_str).collect();
    assert_eq!((unread, last.next), (vec!["7"], None));
    assert!(last.read_through.is_some_and(|through| through >= since));
    let queries = asked.all();
    assert!(queries[0]["query"].as_str().is_some_and(|query| query.starts_with("query RoutedOrders")));
    assert_eq!(queries[1]["variables"]["query"], queries[0]["variables"]["query"]);
}
