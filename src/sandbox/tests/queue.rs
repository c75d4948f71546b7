//! The queue and what is put into it, held against the published schemas.

use super::*;

impl Lab {
    async fn sqs(&self, action: &str, mut body: Value) -> (StatusCode, Value) {
        body["QueueUrl"] = json!(format!("{}/000000000000/evenkeel", self.url("queue", "")));
        self.sqs_as("AKIASANDBOX", action, body).await
    }

    async fn sqs_as(&self, key: &str, action: &str, body: Value) -> (StatusCode, Value) {
        let request = self
            .client
            .post(self.url("queue", "/"))
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sqs/aws4_request"),
            )
            .body(body.to_string());
        let answer = request.send().await.expect("the queue answers");
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.expect("text")).expect("JSON"))
    }

    async fn receive(&self, more: Value) -> Vec<Value> {
        let (status, told) = self.sqs("ReceiveMessage", more).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        told["Messages"].as_array().cloned().unwrap_or_default()
    }
}

fn told() -> Options {
    let mut options = quick();
    options.amazon.subscribed = true;
    options.queue.delay_ms = Span::new(0, 0);
    options
}

#[tokio::test]
async fn a_message_is_hidden_comes_again_and_is_gone_once_deleted() {
    let lab = Lab::start(told()).await;
    lab.sqs("SendMessage", json!({"MessageBody": "one"})).await;
    let first = lab.receive(json!({"VisibilityTimeout": 1})).await;
    assert_eq!((first.len(), first[0]["Body"].as_str()), (1, Some("one")));
    assert_eq!(first[0]["MD5OfBody"], "f97c5d29941bfb1b2fdab0874906ab82");
    assert_eq!(lab.receive(json!({})).await, Vec::<Value>::new(), "it is hidden");
    let again = lab.receive(json!({"WaitTimeSeconds": 20, "VisibilityTimeout": 600})).await;
    assert_eq!(again[0]["MessageId"], first[0]["MessageId"]);
    assert_ne!(again[0]["ReceiptHandle"], first[0]["ReceiptHandle"]);
    let entries =
        json!([{"Id": "0", "ReceiptHandle": again[0]["ReceiptHandle"]}, {"Id": "1", "ReceiptHandle": "x"}]);
    let (_, done) = lab.sqs("DeleteMessageBatch", json!({"Entries": entries})).await;
    assert_eq!((&done["Successful"], &done["Failed"][0]["Id"]), (&json!([{"Id": "0"}]), &json!("1")));
    let report = lab.look("/queue").await;
    assert_eq!(
        (&report["waiting"], &report["hidden"], &report["deleted"]),
        (&json!(0), &json!(0), &json!(1))
    );
}

#[tokio::test]
async fn a_long_poll_waits_for_what_comes() {
    let lab = Lab::start(told()).await;
    let waiting = lab.receive(json!({"WaitTimeSeconds": 20, "MaxNumberOfMessages": 10}));
    let placing = lab.order("amazon", "TSHIRT-BL-M", 1);
    let (messages, _) = tokio::join!(waiting, placing);
    assert_eq!(messages.len(), 1);
}

#[tokio::test]
async fn strangers_and_other_queues_are_refused() {
    let lab = Lab::start(told()).await;
    let (status, told) = lab.sqs_as("AKIAOTHER", "ReceiveMessage", json!({})).await;
    assert_eq!(
        (status, told["__type"].as_str()),
        (StatusCode::FORBIDDEN, Some("com.amazonaws.sqs#UnrecognizedClientException"))
    );
    let (status, told) =
        lab.sqs_as("AKIASANDBOX", "ReceiveMessage", json!({"QueueUrl": "http://x/1/other"})).await;
    assert_eq!(
        (status, told["__type"].as_str()),
        (StatusCode::BAD_REQUEST, Some("com.amazonaws.sqs#QueueDoesNotExist"))
    );
    let (status, _) = lab.sqs("Dance", json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

/// Checks a notification against its published schema.
fn conforms(specs: &std::path::Path, name: &str, body: &Value) {
    let path = specs.join(format!("amazon/notification-schemas/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let schema: Value = serde_json::from_str(&text).expect("the schemas are JSON");
    let validator = jsonschema::validator_for(&schema).unwrap_or_else(|e| panic!("{name}: {e}"));
    let errors: Vec<String> =
        validator.iter_errors(body).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}\n{body}");
}

#[tokio::test]
async fn what_happens_to_orders_is_told_as_published() {
    let Some(specs) = specs() else { return };
    let lab = Lab::start(told()).await;
    let lines = json!([{"sku": "TSHIRT-BL-M", "quantity": 2}]);
    lab.control("/order", json!({"channel": "amazon", "lines": lines, "fba": true})).await;
    let cancelled = lab.order("amazon", "CABLE/USB-C/1M", 2).await;
    let shipped = lab.order("amazon", "TSHIRT-BL-M", 2).await;
    lab.settle().await;
    lab.control("/cancel", json!({"channel": "amazon", "order": cancelled})).await;
    lab.control("/fulfil", json!({"channel": "amazon", "order": shipped})).await;
    lab.control("/drop-order", json!({"channel": "amazon", "lines": lines})).await;
    let bodies = lab.look("/queue/messages").await;
    let mut statuses = std::collections::BTreeMap::<String, Vec<String>>::new();
    for body in bodies.as_array().expect("a list") {
        let body: Value = serde_json::from_str(body.as_str().expect("text")).expect("JSON");
        if body["NotificationType"] == "ORDER_CHANGE" {
            conforms(&specs, "OrderChangeNotification", &body);
            let told = &body["Payload"]["OrderChangeNotification"];
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let status = text(&told["Summary"]["OrderStatus"]);
            statuses.entry(text(&told["AmazonOrderId"])).or_default().push(status);
        } else {
            conforms(&specs, "FBAInventoryAvailabilityChangeNotification", &body);
        }
    }
    assert_eq!(statuses.len(), 3, "a dropped order is told by nobody: {statuses:?}");
    assert_eq!(statuses[&cancelled], ["Pending", "Unshipped", "Canceled"]);
    assert_eq!(statuses[&shipped], ["Pending", "Unshipped", "Shipped"]);
}

#[tokio::test]
async fn a_queue_is_subscribed_by_the_api() {
    let lab = Lab::start(quick()).await;
    let ask = async |token: &str, method: Method, path: &str, body: Option<Value>| {
        let mut request = lab
            .client
            .request(method, lab.url("amazon", &format!("/notifications/v1/{path}")))
            .header("x-amz-access-token", token)
            .header("user-agent", "evenkeel-tests/1 (Language=Rust)");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("Amazon answers");
        (answer.status(), answer.json::<Value>().await.expect("JSON"))
    };
    let token = async |grant: Value| {
        let mut form = json!({"client_id": "amzn1.application-oa2-client.sandbox", "client_secret": "amzn1.oa2-cs.v1.sandbox"});
        form.as_object_mut().expect("an object").extend(grant.as_object().expect("an object").clone());
        let answer =
            lab.client.post(lab.url("amazon", "/auth/o2/token")).json(&form).send().await.expect("LWA");
        answer.json::<Value>().await.expect("JSON")["access_token"].as_str().expect("a token").to_owned()
    };
    let seller = token(json!({"grant_type": "refresh_token", "refresh_token": "Atzr|sandbox"})).await;
    let app =
        token(json!({"grant_type": "client_credentials", "scope": "sellingpartnerapi::notifications"})).await;
    let arn = "arn:aws:sqs:us-east-1:000000000000:evenkeel";
    let named = json!({"name": "x", "resourceSpecification": {"sqs": {"arn": arn}}});
    assert_eq!(
        ask(&seller, Method::POST, "destinations", Some(named.clone())).await.0,
        StatusCode::FORBIDDEN
    );
    let (status, made) = ask(&app, Method::POST, "destinations", Some(named.clone())).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert_eq!(ask(&app, Method::POST, "destinations", Some(named)).await.0, StatusCode::CONFLICT);
    let (_, all) = ask(&app, Method::GET, "destinations", None).await;
    let destination = all["payload"][0]["destinationId"].clone();
    let path = "subscriptions/ORDER_CHANGE";
    assert_eq!(ask(&seller, Method::GET, path, None).await.0, StatusCode::NOT_FOUND);
    let mut body = json!({"payloadVersion": "1.0", "destinationId": destination});
    assert_eq!(ask(&seller, Method::POST, path, Some(body.clone())).await.0, StatusCode::BAD_REQUEST);
    body["processingDirective"] = json!({"eventFilter": {"eventFilterType": "ORDER_CHANGE"}});
    assert_eq!(ask(&seller, Method::POST, path, Some(body)).await.0, StatusCode::OK);
    let (_, held) = ask(&seller, Method::GET, path, None).await;
    assert_eq!(held["payload"]["destinationId"], destination);
    assert_eq!(lab.look("/queue").await["subscribed"], json!(["ORDER_CHANGE"]));
    if let Some(specs) = specs() {
        super::amazon::check_model(&specs, "notifications", "GetSubscriptionResponse", &held);
        super::amazon::check_model(&specs, "notifications", "GetDestinationsResponse", &all);
        super::amazon::check_model(&specs, "notifications", "CreateDestinationResponse", &made);
    }
}
