//! Webhooks of orders, as a shop sends them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use evenkeel::clock::{Clock, SystemClock};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// What is sold.
pub(crate) struct Item<'a> {
    pub(crate) code: &'a str,
    pub(crate) variant: Option<u64>,
}

/// Returns the body of `orders/create` for one unit of an item, with all that a shop tells beside.
fn body(order: u64, item: &Item<'_>) -> Vec<u8> {
    let millis = SystemClock.now().millis();
    let at = jiff::Timestamp::from_millisecond(millis).expect("a time of this age").to_string();
    let id = 5_600_000_000_000 + order;
    let mut all = json!({
        "id": id, "admin_graphql_api_id": format!("gid://shopify/Order/{id}"), "name": format!("#{order}"),
        "created_at": at, "updated_at": at, "processed_at": at, "cancelled_at": null, "closed_at": null,
        "number": order, "order_number": order, "fulfillments": [], "refunds": [], "tax_lines": [],
        "discount_codes": [], "discount_applications": [], "note_attributes": [], "payment_terms": null,
        "line_items": [line(id + 1, item)], "shipping_lines": [shipping(id + 2)],
        "billing_address": address(), "shipping_address": address(),
        "customer": {
            "id": 7_000_000_000_000_u64 + order, "admin_graphql_api_id": "gid://shopify/Customer/7000000000000",
            "created_at": at, "updated_at": at, "state": "disabled", "verified_email": true, "currency": "EUR",
            "first_name": "Nobody", "last_name": "Atall", "email": "nobody@example.com", "phone": null,
            "tax_exempt": false, "tax_exemptions": [], "default_address": address(),
        },
    });
    let fields = all.as_object_mut().expect("an object");
    for name in ["total_price", "subtotal_price", "total_discounts", "total_line_items_price", "total_tax"] {
        fields.insert(name.to_owned(), json!("89.99"));
        fields.insert(format!("{name}_set"), money());
        fields.insert(format!("current_{name}"), json!("89.99"));
        fields.insert(format!("current_{name}_set"), money());
    }
    for name in
        ["app_id", "browser_ip", "cancel_reason", "cart_token", "checkout_token", "client_details", "note"]
    {
        fields.insert(name.to_owned(), Value::Null);
    }
    for name in
        ["landing_site", "location_id", "phone", "po_number", "referring_site", "source_url", "user_id"]
    {
        fields.insert(name.to_owned(), Value::Null);
    }
    for (name, text) in [
        ("currency", "EUR"),
        ("customer_locale", "en"),
        ("email", "nobody@example.com"),
        ("financial_status", "paid"),
        ("presentment_currency", "EUR"),
        ("source_name", "web"),
        ("tags", "first, gift"),
        (
            "order_status_url",
            "https://bench.example.com/548380009/orders/123456abcd/authenticate?key=abcdefg",
        ),
    ] {
        fields.insert(name.to_owned(), json!(text));
    }
    serde_json::to_vec(&all).expect("JSON")
}

fn line(id: u64, item: &Item<'_>) -> Value {
    json!({
        "id": id, "admin_graphql_api_id": format!("gid://shopify/LineItem/{id}"), "sku": item.code,
        "variant_id": item.variant, "product_id": 8_000_000_000_000_u64, "quantity": 1, "current_quantity": 1,
        "fulfillable_quantity": 1, "fulfillment_service": "manual", "fulfillment_status": null, "gift_card": false,
        "grams": 100, "name": "A thing of a certain colour - M", "title": "A thing of a certain colour",
        "variant_title": "M", "variant_inventory_management": "shopify", "vendor": "bench", "price": "89.99",
        "price_set": money(), "total_discount": "0.00", "total_discount_set": money(), "product_exists": true,
        "properties": [], "requires_shipping": true, "taxable": true, "tax_lines": [], "duties": [],
        "attributed_staffs": [], "discount_allocations": [],
    })
}

fn shipping(id: u64) -> Value {
    json!({
        "id": id, "carrier_identifier": null, "code": "standard", "title": "Standard", "price": "0.00",
        "price_set": money(), "discounted_price": "0.00", "discounted_price_set": money(), "source": "shopify",
        "tax_lines": [], "discount_allocations": [],
    })
}

fn money() -> Value {
    let amount = json!({"amount": "89.99", "currency_code": "EUR"});
    json!({"shop_money": amount, "presentment_money": amount})
}

fn address() -> Value {
    json!({
        "first_name": "Nobody", "last_name": "Atall", "name": "Nobody Atall", "company": null,
        "address1": "1 Long Street", "address2": null, "city": "Nowhere", "zip": "00000", "province": "None",
        "province_code": "NO", "country": "Utopia", "country_code": "UT", "phone": "000-000-0000",
        "latitude": null, "longitude": null,
    })
}

/// Returns the webhook of an order as the bytes of one request, signed with `secret`.
pub(crate) fn request(web: &str, shop: &str, secret: &str, order: u64, item: &Item<'_>) -> Vec<u8> {
    let body = body(order, item);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length");
    mac.update(&body);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let mut request = format!(
        "POST /webhooks/shopify/shop HTTP/1.1\r\nhost: {web}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nuser-agent: Shopify-Captain-Hook\r\nx-shopify-topic: orders/create\r\n\
         x-shopify-hmac-sha256: {signature}\r\nx-shopify-shop-domain: {shop}\r\nx-shopify-api-version: 2026-10\r\n\
         x-shopify-webhook-id: {order:032x}\r\nx-shopify-event-id: {order:032x}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    request
}
