//! Whatever may be asked for through the admin socket.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    runtime::Runtime,
    time::timeout,
};

use super::world::{Served, busy, serve};
use crate::fuzz;

/// What a socket takes in without anybody reading it.
const BODY_MAX: usize = 60_000;

/// Requests that are good, or nearly.
fn requests() -> Vec<Value> {
    let asks = [
        ("status", json!(null)),
        ("skus/MUG", json!(null)),
        ("orders/main/79", json!(null)),
        ("outbox?channel=main&limit=5", json!(null)),
        ("map?limit=1&after=MUG", json!(null)),
        ("commits?open=true", json!(null)),
        ("drift", json!(null)),
        ("bundles", json!(null)),
        ("dead-letters/retry", json!({"all": true, "dry_run": true})),
        ("dead-letters/discard", json!({"channel": "main", "reason": "no", "note": "n"})),
        ("dead-letters/leg%3Amain%3AMUG%3A1/retry", json!({})),
        ("drift/accept", json!({"sku": "MUG", "channel": "main", "note": "n"})),
        ("drift/repair", json!({"sku": "MUG", "channel": "main", "seq": 3})),
        ("reconcile", json!({"channel": "main", "dry_run": true})),
        ("map", json!({"rows": [{"sku": "MUG", "channel": "us", "ids": {"asin": "B0XYZ12345"}}]})),
        ("map/ignore", json!({"channel": "main", "ids": {"sku": "NOWHERE"}, "note": "n"})),
        ("map/remove", json!({"rows": [{"sku": "MUG", "channel": "us"}]})),
        ("quarantine/replay", json!({"all": true})),
        ("quarantine/discard", json!({"ids": [1], "note": "n"})),
        ("pause", json!({"sku": "MUG", "mode": "stopped"})),
        ("resume", json!({"channel": "main"})),
        ("returns", json!({"sku": "MUG", "quantity": 1, "fate": "discard", "note": "torn"})),
        ("poll", json!({"channel": "us"})),
        (
            "count",
            json!({"lines": [{"sku": "MUG", "location": "warehouse", "quantity": 4, "note": "n"}],
            "measure": "on_hand", "full": false, "note": "n", "confirm": true}),
        ),
        (
            "count/preview",
            json!({"lines": [{"sku": "MUG", "location": "warehouse", "quantity": 4, "note": "n"}],
            "measure": "on_hand", "as_of": "2026-11-23T08:00:00Z"}),
        ),
        ("init/preview", json!({"from": "erp"})),
        (
            "intents",
            json!({"rows": [{"sku": "MUG", "channel": "main", "quantity": 2}], "note": "n", "yes": true}),
        ),
        ("intents/3/cancel", json!({"note": "n"})),
        ("bundles", json!({"rows": [{"sku": "MUG", "parts": [{"sku": "TSHIRT/BL", "units": 2}]}]})),
        ("merge", json!({"from": "MUG", "into": "TSHIRT/BL", "dry_run": true})),
        ("rebind", json!({"channel": "main", "order": "79", "line": "1", "sku": "MUG", "note": "n"})),
    ];
    asks.map(|(path, body)| json!({"path": path, "body": body})).to_vec()
}

async fn sane(served: &Served) {
    served.get("/v1/status").await;
}

#[test]
fn socket_requests() {
    let runtime = Runtime::new().expect("a runtime");
    let served = runtime.block_on(serve(busy(), |_| {}));
    fuzz::json(bolero::check!(), &requests(), |text| {
        let asked: Value = serde_json::from_slice(text).unwrap_or_default();
        let path: String = asked["path"]
            .as_str()
            .unwrap_or("status")
            .chars()
            .filter(char::is_ascii_graphic)
            .take(900)
            .collect();
        let path = format!("/v1/{path}");
        // A door that says no before it has read all of a long body hangs up on who still sends it.
        if path.parse::<hyper::Uri>().is_err() || text.len() > BODY_MAX {
            return;
        }
        // What was no JSON any more is sent as it is.
        let body =
            asked.get("body").map_or_else(|| String::from_utf8_lossy(text).into_owned(), Value::to_string);
        for method in [Method::GET, Method::POST] {
            let before = served.desk.state.lock().expect("nothing has panicked").seq;
            let (status, told) = runtime.block_on(served.ask(method, &path, &body));
            assert_ne!(status.as_u16(), 500, "{told}");
            if status.is_client_error() {
                assert!(told["error"].is_string() && told["next"].is_string(), "{told}");
                let after = served.desk.state.lock().expect("nothing has panicked").seq;
                assert_eq!(before, after, "refused, and recorded all the same: {told}");
            }
        }
    });
    runtime.block_on(sane(&served));
}

/// Bytes that are hardly HTTP: each connection ends by itself once its other end is closed.
#[test]
fn socket_bytes() {
    let runtime = Runtime::new().expect("a runtime");
    let served = runtime.block_on(serve(busy(), |_| {}));
    let samples = [
        "GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /v1/pause HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 31\r\n\r\n\
         {\"sku\":\"MUG\",\"mode\":\"stopped\"}\n",
        "POST /v1/poll HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let words = [
        "\r\n",
        "%00",
        "%2F",
        "../",
        "content-length: 99999999999999999999\r\n",
        "HTTP/9.9",
        "ffffffffff\r\n",
    ];
    fuzz::bytes(bolero::check!(), &samples, &words, |bytes| {
        runtime.block_on(async {
            let mut stream = UnixStream::connect(&served.socket).await.expect("it listens");
            // It may have said no, and hung up, before all was sent.
            drop(stream.write_all(bytes).await);
            drop(stream.shutdown().await);
            let mut answer = Vec::new();
            let read = timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
            drop(read.expect("the connection ends"));
            assert!(!answer.starts_with(b"HTTP/1.1 500"), "{}", answer.escape_ascii());
        });
    });
    runtime.block_on(sane(&served));
}
