use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::connectors::amazon::testing::spec;

const SELLER: &str = "A3TH9S8BH6GOGM";

fn read(body: &[u8], own_stock: bool) -> Result<Received, Refusal> {
    let headers = BTreeMap::from([(MESSAGE_ID.to_owned(), "m-1".to_owned())]);
    let push = Push { headers, body: Bytes::copy_from_slice(body) };
    receive(&push, Account { seller_id: SELLER, marketplaces: &["ATVPDKIKX0DER".to_owned()], own_stock })
}

/// Says what a message leads to.
fn told(result: &Result<Received, Refusal>) -> String {
    let fact = |fact: &Fact| match fact {
        Fact::Order(order) => {
            let lines = order.lines.iter().map(|line| {
                let sku = line.ids.get(IdKind::Sku).unwrap_or("?");
                format!(" {}={}x{sku} {:?}", line.line, line.totals.ordered, line.by)
            });
            let lines: String = lines.collect();
            let whole = if order.complete { "" } else { " in part" };
            format!("order@{}/{}{whole}:{lines}", order.placed_at.millis(), order.version.millis())
        }
        Fact::Fetch(order) => format!("fetch {order}"),
        Fact::Look(ids) => format!("look {ids}"),
        Fact::Changed | Fact::Tend => "else".to_owned(),
        Fact::Recount(ids) => format!("recount {}", ids.get(IdKind::Sku).unwrap_or("?")),
    };
    match result {
        Ok(received) => {
            let facts: Vec<String> = received.facts.iter().map(fact).collect();
            format!("{} {}: {}", received.topic, received.delivery, facts.join(", "))
        }
        Err(Refusal::NotFollowed { delivery, topic }) => {
            format!("not followed: {topic} {}", delivery.as_ref().map_or("-", |id| id.as_str()))
        }
        Err(Refusal::Unparsable { delivery, topic, why }) => {
            format!("unreadable: {topic} {} {why}", delivery.as_ref().map_or("-", |id| id.as_str()))
        }
        Err(refusal @ Refusal::Forged(_)) => refusal.to_string(),
    }
}

#[track_caller]
fn check(body: &Value, want: &str) {
    assert_eq!(told(&read(body.to_string().as_bytes(), true)), want);
}

fn order_body() -> Value {
    json!({
        "NotificationVersion": "1.0", "NotificationType": "ORDER_CHANGE", "PayloadVersion": "1.0",
        "EventTime": "1970-01-01T00:00:09Z",
        "Payload": {"OrderChangeNotification": {
            "NotificationLevel": "OrderLevel", "SellerId": SELLER, "AmazonOrderId": "902-1-1",
            "OrderChangeType": "OrderStatusChange",
            "OrderChangeTrigger": {"TimeOfOrderChange": "1970-01-01T00:00:08Z", "ChangeReason": "x"},
            "Summary": {
                "MarketplaceId": "ATVPDKIKX0DER", "OrderStatus": "Pending",
                "PurchaseDate": "1970-01-01T00:00:07Z", "DestinationPostalCode": null,
                "FulfillmentType": "MFN", "OrderType": "StandardOrder",
                "OrderItems": [{"OrderItemId": "1", "SellerSKU": "A/B 箱", "SupplySourceId": null, "Quantity": 2}],
            },
        }},
        "NotificationMetadata": {"ApplicationId": "a", "SubscriptionId": "s",
            "PublishTime": "1970-01-01T00:00:09Z", "NotificationId": "n-1"},
    })
}

/// The same with one member of the notification, its summary, its item or its trigger changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut body = order_body();
    *body.pointer_mut(&format!("/Payload/OrderChangeNotification/{pointer}")).expect("it is there") = value;
    body
}

#[test]
fn a_new_order_is_told_and_read_and_anything_else_is_only_read() {
    let new = "ORDER_CHANGE n-1: order@7000/8000: 1=2xA/B 箱 Merchant, fetch 902-1-1";
    let read = "ORDER_CHANGE n-1: fetch 902-1-1";
    check(&order_body(), new);
    check(&with("Summary/OrderStatus", json!("Unshipped")), new);
    check(&with("Summary/OrderStatus", json!("PendingAvailability")), new);
    check(
        &with("Summary/FulfillmentType", json!("AFN")),
        "ORDER_CHANGE n-1: order@7000/8000: 1=2xA/B 箱 Channel, fetch 902-1-1",
    );
    check(
        &with("NotificationLevel", json!("OrderItemLevel")),
        "ORDER_CHANGE n-1: order@7000/8000 in part: 1=2xA/B 箱 Merchant, fetch 902-1-1",
    );
    for status in ["Shipped", "PartiallyShipped", "Canceled", "Unfulfillable", "InvoiceUnconfirmed", "New"] {
        check(&with("Summary/OrderStatus", json!(status)), read);
    }
    check(&with("Summary/FulfillmentType", json!("?")), read);
    check(&with("Summary/OrderItems", json!([])), read);
    check(&with("Summary/OrderItems/0/Quantity", json!(0)), read);
    check(&with("Summary/OrderItems/0/Quantity", json!(-1)), read);
    check(&with("Summary/OrderItems/0/Quantity", json!(i64::MAX)), read);
    check(&with("Summary/OrderItems/0/SellerSKU", json!("")), read);
    // Without the time of the change it cannot be told from an older one.
    check(&with("OrderChangeTrigger/TimeOfOrderChange", Value::Null), read);
    check(&with("Summary/PurchaseDate", Value::Null), read);
    check(&with("Summary", Value::Null), read);
}

#[test]
fn what_is_of_others_or_of_no_matter_is_not_followed() {
    let order = "not followed: ORDER_CHANGE n-1";
    check(&with("SellerId", json!("A2OTHER")), order);
    check(&with("Summary/MarketplaceId", json!("A1PA6795UKMFR9")), order);
    check(&with("OrderChangeType", json!("DeliveryTipChange")), order);
    let mut other = order_body();
    other["NotificationType"] = json!("FEED_PROCESSING_FINISHED");
    check(&other, "not followed: FEED_PROCESSING_FINISHED n-1");
}

#[test]
fn both_casings_and_eventbridge_are_read() {
    let camel = json!({
        "notificationVersion": "2020-09-04", "notificationType": "ORDER_CHANGE", "payloadVersion": "1.0",
        "eventTime": "1970-01-01T00:00:09Z",
        "payload": {"orderChangeNotification": order_body()["Payload"]["OrderChangeNotification"]},
        "notificationMetadata": {"notificationId": "n-2"},
    });
    check(&camel, "ORDER_CHANGE n-2: order@7000/8000: 1=2xA/B 箱 Merchant, fetch 902-1-1");
    let wrapped = |detail: Value| {
        json!({"version": "0", "id": "e-1", "detail-type": "ORDER_CHANGE", "source": "aws.partner/x",
            "account": "1", "time": "1970-01-01T00:00:09Z", "region": "us-east-1", "resources": [],
            "detail": detail})
    };
    check(&wrapped(order_body()), "ORDER_CHANGE n-1: order@7000/8000: 1=2xA/B 箱 Merchant, fetch 902-1-1");
    // What has no id of its own goes by its envelope's, or its message's.
    let mut nameless = order_body();
    nameless["NotificationMetadata"] = Value::Null;
    check(
        &wrapped(nameless.clone()),
        "ORDER_CHANGE e-1: order@7000/8000: 1=2xA/B 箱 Merchant, fetch 902-1-1",
    );
    check(&nameless, "ORDER_CHANGE m-1: order@7000/8000: 1=2xA/B 箱 Merchant, fetch 902-1-1");
}

#[test]
fn what_cannot_be_read_says_so_and_nothing_panics() {
    let mut bodies = vec![json!(null), json!([]), json!("x"), json!({}), json!({"detail-type": 1})];
    bodies.push(json!({"NotificationType": "ORDER_CHANGE"}));
    for pointer in ["SellerId", "AmazonOrderId", "Summary/OrderItems", "OrderChangeTrigger/TimeOfOrderChange"]
    {
        bodies.push(with(pointer, json!(true)));
    }
    bodies.push(with("AmazonOrderId", json!("")));
    for body in bodies {
        let told = told(&read(body.to_string().as_bytes(), true));
        assert!(told.starts_with("unreadable: "), "{body}: {told}");
    }
    assert!(told(&read(b"\xff", true)).starts_with("unreadable: notification m-1"));
    let again = reread(
        with("Summary/OrderStatus", json!("Shipped")).to_string().as_bytes(),
        Account { seller_id: SELLER, marketplaces: &["ATVPDKIKX0DER".to_owned()], own_stock: false },
    );
    assert_eq!(again.map(|facts| facts.len()), Ok(1));
}

#[test]
fn the_published_samples_are_read() {
    if let Some(sample) = spec("samples/OrderChangeNotification.json") {
        check(
            &sample,
            "ORDER_CHANGE d0e9e693-c3ad-4373-979f-ed4ec98dd746: order@1657741324284/1669750924284: \
             OIID34853450=10xSellerSKUID1 Merchant, fetch 903-8868176-2219830",
        );
    }
    if let Some(mut sample) =
        spec("samples/FBAInventoryAvailabilityChangeNotification.SYNTHESISED-from-schema.json")
    {
        sample["NotificationType"] = json!(FBA_CHANGE);
        check(&sample, &format!("{FBA_CHANGE} m-1: recount SELLERSKU-1"));
        let body = sample.to_string();
        assert_eq!(told(&read(body.as_bytes(), false)), format!("not followed: {FBA_CHANGE} m-1"));
    }
    for name in ["FeedProcessingFinishedNotification-0", "ListingsItemMfnQuantityChange"] {
        let Some(sample) = spec(&format!("samples/{name}.json")) else { continue };
        assert!(told(&read(sample.to_string().as_bytes(), true)).starts_with("not followed"), "{name}");
    }
}
