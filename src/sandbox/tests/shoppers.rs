//! Shoppers buy what is shown, and the books balance whatever they do.

use super::*;

#[tokio::test]
async fn nobody_buys_what_is_not_shown_and_every_unit_is_accounted_for() {
    let mut options = quick();
    options.shoppers.next_step_ms = Span::new(0, 5);
    options.catalogue.bundles = 2;
    let lab = Lab::start(options).await;
    lab.control("/shop", json!({"orders": 80, "per_second": 2000.0})).await;
    lab.settle().await;
    let books = lab.look("/books").await;
    let orders = &books["orders"];
    let placed = orders["shopify"].as_u64().unwrap_or(0) + orders["amazon"].as_u64().unwrap_or(0);
    assert_eq!(placed, 80);
    for book in books["skus"].as_array().expect("books") {
        let sku = &book["sku"];
        let units = |name: &str| {
            let of = |channel: &str| book[channel]["units"][name].as_i64().expect("a number");
            of("shopify") + of("amazon") + of("erp")
        };
        let number = |name: &str| book[name].as_i64().expect("a number");
        assert_eq!(
            number("committed"),
            units("sold") - units("released") - units("written_off") - units("shipped")
        );
        let gone = units("shipped") + units("written_off") - units("returned");
        assert_eq!(number("physical"), number("opening") - gone, "{sku}");
        assert!(book["shopify"]["shown"].as_i64() >= Some(0), "{sku}");
        assert!(book["amazon"]["shown"].as_i64() >= Some(0), "{sku}");
        let on_hand = book["shopify"]["on_hand"].as_i64().expect("a number");
        let shopify = |name: &str| book["shopify"]["units"][name].as_i64().expect("a number");
        let gone = shopify("shipped") + shopify("written_off") - shopify("returned");
        assert_eq!(on_hand, number("opening") - gone, "{sku} on Shopify");
    }
}

#[tokio::test]
async fn the_same_seed_sells_the_same_first_order() {
    let first = async || {
        let mut options = quick();
        options.shoppers.fulfilled_share = 0.0;
        options.shoppers.cancelled_share = 0.0;
        let lab = Lab::start(options).await;
        lab.control("/shop", json!({"orders": 5, "per_second": 1000.0})).await;
        lab.settle().await;
        let sales = lab.look("/sales").await;
        let key = |sale: &Value| (sale["channel"].clone(), sale["sku"].clone(), sale["quantity"].clone());
        sales["sales"].as_array().expect("sales").iter().map(key).collect::<Vec<_>>()
    };
    assert_eq!(first().await, first().await);
}
