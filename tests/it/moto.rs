//! The queue's reader against moto's server, which speaks AWS's protocol and shares no code with us or the sandbox.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use evenkeel::connectors::{
    Fault, http,
    queue::{Message, Queue as _},
    sqs::{AccessKey, Options, Sqs},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::{
    live::Home,
    queue::{Queue, committed},
    support::{World, order, set_up, until_empty},
};

const REGION: &str = "us-east-1";

/// A running server. Dropping it ends it.
struct Moto {
    child: Child,
    base_url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Moto {
    fn start() -> Option<Moto> {
        let mut child = Command::new(set_up("moto", None)?.join("venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the set-up made the program");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        let base_url = loop {
            let before = said.len();
            assert!(log.read_line(&mut said).expect("text") > 0, "moto ended: {said}");
            if let Some((_, url)) = said[before..].split_once("Running on ") {
                break url.trim().to_owned();
            }
        };
        // A full pipe would stop the server.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Some(Moto { child, base_url })
    }

    /// Calls the service. Any credentials are good.
    async fn call(&self, action: &str, body: Value) -> Value {
        let request = reqwest::Client::new()
            .post(&self.base_url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=x/20260101/{REGION}/sqs/aws4_request"),
            )
            .body(body.to_string());
        let answer = request.send().await.expect("moto answers");
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert!(status.is_success(), "{action}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Makes a queue and returns its address.
    async fn queue(&self, name: &str) -> String {
        let made = self.call("CreateQueue", json!({"QueueName": name})).await;
        let path =
            Url::parse(made["QueueUrl"].as_str().expect("an address")).expect("a URL").path().to_owned();
        format!("{}{path}", self.base_url)
    }

    async fn send(&self, url: &str, body: &str) {
        self.call("SendMessage", json!({"QueueUrl": url, "MessageBody": body})).await;
    }

    /// Returns how many messages are left, hidden or not.
    async fn left(&self, url: &str) -> i64 {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let told = self.call("GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": names})).await;
        let units =
            |name: &&str| told["Attributes"][*name].as_str().and_then(|text| text.parse::<i64>().ok());
        names.iter().map(|name| units(name).expect("a number")).sum()
    }
}

fn reader(url: &str) -> Sqs {
    Sqs::new(Options {
        url: Url::parse(url).expect("a URL"),
        region: REGION.to_owned(),
        key: Some(AccessKey { id: "AKIATEST".to_owned(), secret: SecretString::from("x") }),
        hidden: Duration::from_secs(1),
        http: http::Options::default(),
    })
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| std::str::from_utf8(&message.body).expect("text")).collect()
}

#[tokio::test]
async fn what_is_not_deleted_comes_again_and_what_is_does_not() {
    let Some(moto) = Moto::start() else { return };
    let url = moto.queue("evenkeel").await;
    let queue = reader(&url);
    moto.send(&url, "{\"one\": \"箱 & <1>\"}").await;
    let first = queue.receive().await.expect("an answer");
    assert_eq!(bodies(&first), ["{\"one\": \"箱 & <1>\"}"]);
    // The next answer waits until it shows again.
    let again = queue.receive().await.expect("an answer");
    assert_eq!((bodies(&again), &again[0].id), (bodies(&first), &first[0].id));
    assert_ne!(again[0].receipt, first[0].receipt);
    queue.delete(&[again[0].receipt.clone()]).await.expect("deleted");
    assert_eq!(moto.left(&url).await, 0);

    for n in 0..25 {
        moto.send(&url, &n.to_string()).await;
    }
    let mut got = std::collections::BTreeSet::new();
    while got.len() < 25 {
        let some = queue.receive().await.expect("an answer");
        assert!(some.len() <= 10, "{}", some.len());
        got.extend(bodies(&some).iter().map(ToString::to_string));
        let receipts: Vec<String> = some.into_iter().map(|message| message.receipt).collect();
        queue.delete(&receipts).await.expect("deleted");
    }
    assert_eq!((moto.left(&url).await, queue.wrong()), (0, None));

    let none = reader(&format!("{url}-none"));
    let fault = none.receive().await.expect_err("there is no such queue");
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("there is no queue")), "{fault}");
    assert!(none.wrong().is_some_and(|why| why.contains("there is no queue")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_takes_a_sale_from_it_and_deletes_it_afterwards() {
    let Some(moto) = Moto::start() else { return };
    let world = World::start(|options| {
        // No search tells of the order.
        options.amazon.order_lag_ms = 3_600_000;
        options.amazon.subscribed = true;
    })
    .await;
    let home = Home::new(&world).await;
    let url = moto.queue("evenkeel").await;
    Queue { url: url.clone(), region: REGION.to_owned(), key: ["AKIATEST".to_owned(), "x".to_owned()] }
        .configure(&home);
    let live = home.open(&world).await;
    order(&world, "amazon", "TSHIRT-BL-M", 2).await;
    let body = world.get("queue/messages").await[0].as_str().expect("a body").to_owned();
    moto.send(&url, &body).await;
    moto.send(&url, &body).await;
    until_empty("it is booked", async || match committed(&home, "TSHIRT-BL-M").await {
        2 => vec![],
        other => vec![other.to_string()],
    })
    .await;
    until_empty("it is deleted", async || match moto.left(&url).await {
        0 => vec![],
        other => vec![other.to_string()],
    })
    .await;
    assert_eq!(committed(&home, "TSHIRT-BL-M").await, 2);
    live.stop().await;
    home.verify().await;
}
