//! Shops that fail in the middle of an answer, and what a write and a read must make of it.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Serves a shop that answers with these bytes and then closes the connection, or holds it open.
async fn raw(bytes: Vec<u8>, close: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let _begun = socket.read(&mut request).await;
                let _wrote = socket.write_all(&bytes).await;
                if close {
                    let _ended = socket.shutdown().await;
                }
                // Until the client is done: closing earlier could overtake what was just written.
                let _rest = socket.read_to_end(&mut request).await;
            });
        }
    });
    address
}

fn limited(address: SocketAddr) -> Shopify {
    patient(address, http::Options::default().timeout)
}

fn patient(address: SocketAddr, timeout: Duration) -> Shopify {
    let mut options = options(&format!("http://{address}"));
    options.http.timeout = timeout;
    options.http.body_max = 64 << 10;
    Shopify::new(options).expect("it can be built")
}

/// What a write and a read make of an answer: the write's letter, and whether the read may be tried again as it is.
#[track_caller]
fn check(
    name: &str,
    write: &[Outcome],
    read: Result<Vec<Observed>, Fault>,
    letter: char,
    fault: fn(&Fault) -> bool,
) {
    assert_eq!(letters(write), letter.to_string(), "{name}: {write:?}");
    let read = read.expect_err(name);
    assert!(fault(&read), "{name}: {read:?}");
    for text in [format!("{write:?}"), format!("{read:?} {read}")] {
        assert!(!text.contains("shpat_test"), "{name}: {text}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_a_write_unknown() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
    let whole =
        |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes();
    type Case<'a> = (&'a str, Vec<u8>, bool, fn(&Fault) -> bool);
    let cases: [Case<'_>; 6] = [
        ("no answer", Vec::new(), true, |f| matches!(f, Fault::Disconnected(_))),
        ("half a head", b"HTTP/1.1 200 OK\r\n".to_vec(), true, |f| matches!(f, Fault::Disconnected(_))),
        ("half a body", format!("{head}{{\"data\":").into_bytes(), true, |f| {
            matches!(f, Fault::Disconnected(_))
        }),
        ("half a document", whole(r#"{"data": {"inventorySetQuantities":"#), true, |f| {
            matches!(f, Fault::Malformed(_))
        }),
        ("silence", Vec::new(), false, |f| matches!(f, Fault::Timeout(_))),
        ("a slow body", format!("{head}{{").into_bytes(), false, |f| matches!(f, Fault::Timeout(_))),
    ];
    for (name, bytes, close, fault) in cases {
        let address = raw(bytes, close).await;
        // Only a shop that never ends its answer may run into the limit.
        let shop = if close { limited(address) } else { patient(address, Duration::from_millis(150)) };
        let write = shop.write(&puts([1])).await;
        check(name, &write, shop.read_back(&[ids("1")]).await, '?', fault);
    }
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let shop = limited(address);
    let write = shop.write(&puts([1])).await;
    check("refused", &write, shop.read_back(&[ids("1")]).await, 'N', |f| matches!(f, Fault::Disconnected(_)));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let (address, _) = fixed(200, vec![b' '; 65 << 10]).await;
    let shop = limited(address);
    let write = shop.write(&puts([1])).await;
    check("huge", &write, shop.read_back(&[ids("1")]).await, '?', |f| matches!(f, Fault::Malformed(_)));
}

#[tokio::test]
async fn a_status_means_the_same_to_both() {
    type Case = (u16, char, fn(&Fault) -> bool);
    let cases: [Case; 7] = [
        (302, 'U', |f| matches!(f, Fault::Unauthorized(_))),
        (401, 'U', |f| matches!(f, Fault::Unauthorized(_))),
        (404, 'U', |f| matches!(f, Fault::Unauthorized(_))),
        (422, 'R', |f| matches!(f, Fault::Refused(_))),
        (429, 'T', |f| matches!(f, Fault::Throttled { .. })),
        (500, '?', |f| matches!(f, Fault::Server { status: 500, .. })),
        (503, '?', |f| matches!(f, Fault::Server { status: 503, .. })),
    ];
    for (status, letter, fault) in cases {
        let (address, asked) = fixed(status, Vec::new()).await;
        let shop = limited(address);
        let write = shop.write(&puts([1])).await;
        check(&status.to_string(), &write, shop.read_back(&[ids("1")]).await, letter, fault);
        assert_eq!(asked.all().len(), 2, "nothing is sent twice, and no redirect is followed");
    }
}

/// Serves a shop that always gives this answer.
async fn fixed(status: u16, body: Vec<u8>) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let heard = asked.clone();
    let router = Router::new().fallback(move || async move {
        heard.0.lock().expect("no test panics while it holds this").push(Value::Null);
        let status = axum::http::StatusCode::from_u16(status).expect("a status");
        (status, [("location", "/elsewhere")], body).into_response()
    });
    (serve(router).await, asked)
}

#[tokio::test]
async fn a_call_that_would_wait_too_long_for_points_is_not_sent_and_says_how_long() {
    // One point is left, and the next comes in ten seconds: 13 for a write take longer than it may wait.
    let slow = json!({"cost": {"requestedQueryCost": 13, "actualQueryCost": 13, "throttleStatus": {
        "maximumAvailable": 2000.0, "currentlyAvailable": 1, "restoreRate": 0.1}}});
    let (shop, asked) = shop(move |_| {
        said(&json!({"data": {"inventorySetQuantities": {"userErrors": []}}, "extensions": slow}))
    })
    .await;
    assert_eq!(letters(&shop.write(&puts([1])).await), "A");
    let outcomes = shop.write(&puts([1])).await;
    assert!(matches!(outcomes[..], [Outcome::Throttled { retry_after_ms: 60_000 }]), "{outcomes:?}");
    assert_eq!(asked.all().len(), 1, "the second write was not sent");
}

#[tokio::test]
async fn a_read_that_was_refused_for_points_holds_up_no_write_that_can_be_paid_for() {
    // The read lacks points for longer than anything may wait; a write has what it needs.
    let cost = |requested: i64| {
        json!({"cost": {"requestedQueryCost": requested, "throttleStatus": {
            "maximumAvailable": 2000.0, "currentlyAvailable": 1500, "restoreRate": 0.1}}})
    };
    let (shop, asked) = shop(move |variables| {
        if variables.get("input").is_none() {
            let refused = json!([{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]);
            return said(&json!({"errors": refused, "extensions": cost(1900)}));
        }
        said(&json!({"data": {"inventorySetQuantities": {"userErrors": []}}, "extensions": cost(13)}))
    })
    .await;
    let order = OrderId::new("7").expect("good");
    assert!(matches!(shop.order(&order).await, Err(Fault::Throttled { .. })));
    assert_eq!(letters(&shop.write(&puts([1])).await), "A");
    assert!(matches!(shop.order(&order).await, Err(Fault::Throttled { .. })));
    assert_eq!(asked.all().len(), 2, "the read is not asked again yet");
}
