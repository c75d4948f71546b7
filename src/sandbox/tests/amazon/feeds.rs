//! The Feeds API, from a document to what became of its messages.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::header::CONTENT_TYPE;

use super::*;
use crate::sandbox::FaultSpec;

const JSON: &str = "application/json; charset=UTF-8";

fn at_once() -> Options {
    let mut options = quick();
    options.amazon.feed_ms = Span::new(0, 0);
    options
}

fn with(fault: &str) -> Options {
    let mut options = at_once();
    options.faults.push(FaultSpec::parse(fault).expect("a fault"));
    options
}

fn message(id: u32, sku: &str, value: Value) -> Value {
    let patch = json!({"op": "merge", "path": "/attributes/fulfillment_availability", "value": value});
    json!({"messageId": id, "sku": sku, "operationType": "PATCH", "productType": "PRODUCT", "patches": [patch]})
}

fn document(messages: &[Value]) -> Value {
    json!({"header": {"sellerId": SELLER, "version": "2.0", "issueLocale": "en_US"}, "messages": messages})
}

impl Lab {
    async fn put_document(&self, document: &Value) -> String {
        let body = json!({"contentType": JSON});
        let created = self.amazon(Method::POST, "/feeds/2021-06-30/documents", Some(body)).await;
        assert_eq!(created.status, StatusCode::CREATED);
        let url = created.body["url"].as_str().expect("an address");
        let upload = |kind: &'static str| {
            self.client.put(url).header(CONTENT_TYPE, kind).body(document.to_string()).send()
        };
        assert_eq!(upload("text/plain").await.expect("answered").status(), StatusCode::FORBIDDEN);
        assert_eq!(upload(JSON).await.expect("answered").status(), StatusCode::OK);
        created.body["feedDocumentId"].as_str().expect("an id").to_owned()
    }

    async fn create_feed(&self, document: &str) -> Answered {
        let body = json!({"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": ["ATVPDKIKX0DER"],
                          "inputFeedDocumentId": document});
        self.amazon(Method::POST, "/feeds/2021-06-30/feeds", Some(body)).await
    }

    async fn feed(&self, messages: &[Value]) -> String {
        let id = self.put_document(&document(messages)).await;
        let created = self.create_feed(&id).await;
        assert_eq!(created.status, StatusCode::ACCEPTED);
        created.body["feedId"].as_str().expect("an id").to_owned()
    }

    async fn get_feed(&self, id: &str) -> Value {
        self.amazon(Method::GET, &format!("/feeds/2021-06-30/feeds/{id}"), None).await.body
    }

    /// What became of a feed.
    async fn result(&self, id: &str) -> (Value, Value) {
        let told = self.get_feed(id).await;
        let result = told["resultFeedDocumentId"].as_str().expect("a document").to_owned();
        let at = self.amazon(Method::GET, &format!("/feeds/2021-06-30/documents/{result}"), None).await.body;
        assert_eq!(at["compressionAlgorithm"], "GZIP");
        let bytes =
            self.client.get(at["url"].as_str().expect("an address")).send().await.expect("it is served");
        let bytes = bytes.bytes().await.expect("bytes");
        let mut text = String::new();
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("it is packed");
        (told, serde_json::from_str(&text).expect("JSON"))
    }

    async fn shown_on_amazon(&self, sku: &str) -> Value {
        self.book(sku).await["amazon"]["shown"].clone()
    }
}

#[tokio::test]
async fn a_feed_merges_quantities_and_its_report_names_what_was_wrong() {
    let lab = Lab::start(at_once()).await;
    let bad = json!([{"fulfillment_channel_code": "DEFAULT", "quantity": -1}]);
    let messages = [
        message(1, "TSHIRT-BL-M", quantity(4)),
        message(2, "NONE-SUCH", quantity(1)),
        message(7, "TSHIRT-BL-M", bad),
    ];
    let id = lab.feed(&messages).await;
    lab.settle().await;
    let (told, report) = lab.result(&id).await;
    assert_eq!((&told["processingStatus"], &told["feedId"]), (&json!("DONE"), &json!(id)));
    let issues = report["issues"].as_array().expect("a list");
    let named: Vec<_> =
        issues.iter().map(|issue| (&issue["messageId"], &issue["sku"], &issue["severity"])).collect();
    let (error, shirt) = (json!("ERROR"), json!("TSHIRT-BL-M"));
    assert_eq!(named, [(&json!(2), &json!("NONE-SUCH"), &error), (&json!(7), &shirt, &error)]);
    let summary = &report["summary"];
    assert_eq!([&summary["messagesProcessed"], &summary["messagesInvalid"]], [&json!(3), &json!(2)]);
    assert_eq!(lab.shown_on_amazon("TSHIRT-BL-M").await, 4);
    let item = lab.get_listing("TSHIRT-BL-M").await;
    assert_eq!(item["attributes"]["fulfillment_availability"][0]["lead_time_to_ship_max_days"], 2);
}

#[tokio::test]
async fn a_feed_in_the_queue_can_be_taken_back_and_one_that_is_stuck_stays_there() {
    let lab = Lab::start(with("feeds-stuck=100%")).await;
    let id = lab.feed(&[message(1, "TSHIRT-BL-M", quantity(4))]).await;
    assert_eq!(lab.get_feed(&id).await["processingStatus"], "IN_QUEUE");
    let path = format!("/feeds/2021-06-30/feeds/{id}");
    assert_eq!(lab.amazon(Method::DELETE, &path, None).await.status, StatusCode::OK);
    assert_eq!(lab.get_feed(&id).await["processingStatus"], "CANCELLED");
    assert_eq!(lab.amazon(Method::DELETE, &path, None).await.status, StatusCode::BAD_REQUEST);
    lab.settle().await;
    assert_eq!(lab.shown_on_amazon("TSHIRT-BL-M").await, 10);
    let listed = lab.amazon(Method::GET, "/feeds/2021-06-30/feeds?feedTypes=JSON_LISTINGS_FEED", None).await;
    assert_eq!(listed.body["feeds"][0]["feedId"], json!(id));
}

#[tokio::test]
async fn a_feed_that_is_given_up_was_done_in_part_and_a_bad_header_spoils_all_of_it() {
    let lab = Lab::start(with("feeds-fatal=100%")).await;
    let messages = [message(1, "TSHIRT-BL-M", quantity(4)), message(2, "TSHIRT-BL-M", quantity(3))];
    let id = lab.feed(&messages).await;
    lab.settle().await;
    assert_eq!(lab.result(&id).await.0["processingStatus"], "FATAL");
    assert_eq!(lab.shown_on_amazon("TSHIRT-BL-M").await, 4);
    let lab = Lab::start(at_once()).await;
    let mut bad = document(&messages);
    bad["header"]["version"] = json!("1.0");
    let created = lab.create_feed(&lab.put_document(&bad).await).await;
    lab.settle().await;
    let (told, report) = lab.result(created.body["feedId"].as_str().expect("an id")).await;
    assert_eq!(
        (&told["processingStatus"], &report["issues"][0]["code"]),
        (&json!("FATAL"), &json!("4002005"))
    );
    assert_eq!(lab.shown_on_amazon("TSHIRT-BL-M").await, 10);
}

#[tokio::test]
async fn messages_may_be_refused_or_come_to_nothing() {
    let lab = Lab::start(with("feeds-refused=100%")).await;
    let id = lab.feed(&[message(1, "TSHIRT-BL-M", quantity(4))]).await;
    lab.settle().await;
    assert_eq!(lab.result(&id).await.1["issues"][0]["messageId"], 1);
    let lab = Lab::start(with("feeds-ignored=100%")).await;
    let id = lab.feed(&[message(1, "TSHIRT-BL-M", quantity(4))]).await;
    lab.settle().await;
    assert_eq!(lab.result(&id).await.1["issues"], json!([]));
    assert_eq!(lab.shown_on_amazon("TSHIRT-BL-M").await, 10);
    let lab = Lab::start(with("amazon-poison-refused=TSHIRT-BL-M")).await;
    let id = lab.feed(&[message(1, "TSHIRT-BL-M", quantity(4))]).await;
    lab.settle().await;
    assert_eq!(lab.result(&id).await.1["issues"][0]["sku"], "TSHIRT-BL-M");
}

#[tokio::test]
async fn a_feed_needs_a_document_that_was_uploaded_and_a_type_that_is_taken() {
    let lab = Lab::start(at_once()).await;
    assert_eq!(lab.create_feed("none").await.status, StatusCode::NOT_FOUND);
    let body = json!({"contentType": JSON});
    let created = lab.amazon(Method::POST, "/feeds/2021-06-30/documents", Some(body)).await;
    let empty = created.body["feedDocumentId"].as_str().expect("an id").to_owned();
    assert_eq!(lab.create_feed(&empty).await.status, StatusCode::BAD_REQUEST);
    let document = lab.put_document(&document(&[message(1, "A", quantity(1))])).await;
    let old = json!({"feedType": "POST_INVENTORY_AVAILABILITY_DATA", "marketplaceIds": ["ATVPDKIKX0DER"],
                     "inputFeedDocumentId": document});
    let refused = lab.amazon(Method::POST, "/feeds/2021-06-30/feeds", Some(old)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}
