//! What a queue holds is deleted when it is durable, or leads to nothing, and not before.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::mpsc;
use url::Url;

use super::world::{World, start};
use crate::{
    clock::ManualClock,
    connectors::{
        Connector, Fault, amazon, http,
        queue::{Message, Queue},
        sqs,
    },
    engine::{
        intake::{Intake, Quarantine},
        queue::{Failed, Listener, Round},
    },
    model::{LocationId, Timestamp},
    web::tests::world::{OPENED, channel, opened, sku},
};

/// A queue that is a list. Nothing is hidden: what is not deleted is given again.
#[derive(Default)]
struct Listed {
    messages: Mutex<BTreeMap<String, String>>,
    refuses: Mutex<bool>,
}

#[async_trait]
impl Queue for Listed {
    async fn receive(&self) -> Result<Vec<Message>, Fault> {
        let held = self.messages.lock().expect("unpoisoned");
        let message = |(id, body): (&String, &String)| Message {
            id: id.clone(),
            receipt: id.clone(),
            body: Bytes::from(body.clone()),
        };
        Ok(held.iter().map(message).collect())
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), Fault> {
        if *self.refuses.lock().expect("unpoisoned") {
            return Err(Fault::Unauthorized("it may only read".to_owned()));
        }
        receipts.iter().for_each(|receipt| drop(self.messages.lock().expect("unpoisoned").remove(receipt)));
        Ok(())
    }
}

impl Listed {
    fn holding(bodies: &[&str]) -> Listed {
        let messages = bodies.iter().enumerate().map(|(n, body)| (format!("m{n}"), (*body).to_owned()));
        Listed { messages: Mutex::new(messages.collect()), ..Listed::default() }
    }

    fn left(&self) -> usize {
        self.messages.lock().expect("unpoisoned").len()
    }
}

fn seller() -> Arc<dyn Connector> {
    let url = |text: &str| Url::parse(text).expect("a URL");
    let secret = || SecretString::from("x");
    let options = amazon::Options {
        base_url: url("http://127.0.0.1:9"),
        lwa_url: url("http://127.0.0.1:9"),
        seller_id: "A1SELLER".to_owned(),
        marketplace_ids: vec!["ATVPDKIKX0DER".to_owned()],
        client_id: "x".to_owned(),
        client_secret: secret(),
        refresh_token: secret(),
        location: LocationId::new("main").expect("a name"),
        own_location: None,
        product_type: "PRODUCT".to_owned(),
        report_above: amazon::options::REPORT_ABOVE,
        feeds: false,
        application: "evenkeel".to_owned(),
        rates: amazon::Rates::default(),
        timing: amazon::Timing::default(),
        secret_since: None,
        queue: Some(sqs::Options {
            url: url("http://127.0.0.1:9/1/q"),
            region: "x".to_owned(),
            key: None,
            hidden: sqs::HIDDEN,
            http: http::Options::default(),
        }),
        http: http::Options::default(),
    };
    Arc::new(amazon::Amazon::new(options).expect("good options"))
}

/// A listener for the channel `main` of a world, as if that were Amazon.
fn listener(world: &World) -> Listener {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(OPENED + 60_000)));
    let (hints, _) = mpsc::channel(1);
    let intake = Intake {
        channel: channel("main"),
        connector: seller(),
        ledger: world.ledger.clone(),
        quarantine: Arc::new(Quarantine::new(world.dir.path().join("q"), world.ledger.clone(), clock)),
        hints,
        recounts: None,
        wakes: Arc::default(),
        metrics: world.metrics.clone(),
    };
    Listener {
        channel: channel("main"),
        connector: seller(),
        intake: Arc::new(intake),
        metrics: world.metrics.clone(),
    }
}

/// An order of mugs, as a notification tells it.
fn told(notification: &str, order: &str, units: i64) -> String {
    let at = "2023-11-14T22:14:00Z";
    let item = json!({"OrderItemId": "1", "SellerSKU": "MUG", "SupplySourceId": null, "Quantity": units});
    json!({
        "NotificationType": "ORDER_CHANGE",
        "Payload": {"OrderChangeNotification": {
            "NotificationLevel": "OrderLevel", "SellerId": "A1SELLER", "AmazonOrderId": order,
            "OrderChangeType": "OrderStatusChange", "OrderChangeTrigger": {"TimeOfOrderChange": at},
            "Summary": {"MarketplaceId": "ATVPDKIKX0DER", "OrderStatus": "Pending", "PurchaseDate": at,
                "FulfillmentType": "MFN", "OrderItems": [item]},
        }},
        "NotificationMetadata": {"NotificationId": notification},
    })
    .to_string()
}

/// A queue that gives each message once, ten at a time, and lets nobody delete. Where no more is there it holds the request open.
struct Kept(Mutex<Vec<Message>>);

#[async_trait]
impl Queue for Kept {
    async fn receive(&self) -> Result<Vec<Message>, Fault> {
        let given: Vec<Message> = {
            let mut left = self.0.lock().expect("unpoisoned");
            let some = left.len().min(10);
            left.drain(..some).collect()
        };
        if given.is_empty() {
            return std::future::pending().await;
        }
        Ok(given)
    }

    async fn delete(&self, _: &[String]) -> Result<(), Fault> {
        Err(Fault::Unauthorized("it may only read".to_owned()))
    }
}

async fn committed(world: &World) -> i64 {
    world.read(|state| state.skus[&sku("MUG")].stock[0].stock.committed.units()).await
}

#[tokio::test]
async fn each_message_is_taken_once_and_then_deleted() {
    let world = start(opened(), 64).await;
    let listener = listener(&world);
    let (order, other) =
        (told("n1", "902-1", 2), json!({"NotificationType": "X", "Payload": {}}).to_string());
    let queue = Listed::holding(&[&order, &order, &other, "no JSON"]);
    assert_eq!(listener.round(&queue).await, Ok(Round::Taken));
    assert_eq!((queue.left(), committed(&world).await), (0, 2));
    let wanted = world.read(|state| state.orders.values().filter(|o| o.fetch_due.is_some()).count()).await;
    let kept = world.read(|state| state.quarantine.len()).await;
    assert_eq!((wanted, kept), (1, 1), "the order is read, and what cannot be read is kept");
    assert_eq!(listener.round(&queue).await, Ok(Round::Empty));
}

#[tokio::test]
async fn what_could_not_be_deleted_comes_again_and_books_nothing() {
    let world = start(opened(), 64).await;
    let listener = listener(&world);
    let queue = Listed::holding(&[&told("n1", "902-1", 2)]);
    *queue.refuses.lock().expect("unpoisoned") = true;
    assert!(matches!(
        listener.round(&queue).await,
        Err(Failed::Delete(Fault::Unauthorized(_), Round::Taken))
    ));
    assert_eq!((queue.left(), committed(&world).await), (1, 2));
    *queue.refuses.lock().expect("unpoisoned") = false;
    assert_eq!(listener.round(&queue).await, Ok(Round::Taken));
    assert_eq!((queue.left(), committed(&world).await), (0, 2));
}

/// With pauses that grow it would take minutes.
#[tokio::test]
async fn what_cannot_be_deleted_holds_up_nothing_that_comes_after_it() {
    const SALES: i64 = 90;
    let world = start(opened(), 64).await;
    let listener = listener(&world);
    let message = |n: i64| {
        let body = Bytes::from(told(&format!("n{n}"), &format!("902-{n}"), 1));
        Message { id: format!("m{n}"), receipt: format!("m{n}"), body }
    };
    let queue = Kept(Mutex::new((0..SALES).map(message).collect()));
    let booked = async {
        while committed(&world).await != SALES {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = listener.listen(&queue, &world.stop) => panic!("it goes on"),
        booked = tokio::time::timeout(std::time::Duration::from_secs(30), booked) => booked.expect("all are booked"),
    }
    let figures = world.metrics.encode();
    let read = figures.lines().any(|line| {
        line.starts_with("evenkeel_polls_total")
            && line.contains("feed=\"notifications\"")
            && line.contains("done")
    });
    assert!(read, "{figures}");
}

#[tokio::test]
async fn what_could_not_be_recorded_is_not_deleted() {
    let world = start(opened(), 64).await;
    let listener = listener(&world);
    let queue = Listed::holding(&[&told("n1", "902-1", 2)]);
    world.store.fill(true);
    assert_eq!((listener.round(&queue).await, queue.left()), (Ok(Round::Busy), 1));
    world.store.fill(false);
    let taken = async {
        while listener.round(&queue).await != Ok(Round::Taken) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), taken).await.expect("it goes on by itself");
    assert_eq!((queue.left(), committed(&world).await), (0, 2));
}

#[tokio::test]
async fn a_body_that_cannot_be_kept_is_not_deleted() {
    let world = start(opened(), 64).await;
    let listener = listener(&world);
    // A file lies where the directory should.
    std::fs::write(world.dir.path().join("q"), "").expect("written");
    let queue = Listed::holding(&["no JSON"]);
    assert_eq!((listener.round(&queue).await, queue.left()), (Ok(Round::Busy), 1));
}
