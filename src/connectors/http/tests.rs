use std::net::SocketAddr;

use axum::{Router, response::Redirect, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

#[test]
fn an_address_is_https_or_loopback() {
    #[track_caller]
    fn check(text: &str, want: Result<&str, &str>) {
        let got = base_url("channels.shopify.main.base_url", text).map(|url| url.to_string());
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(got), Err(want)) => {
                let got = got.to_string();
                assert!(got.contains("channels.shopify.main.base_url"), "{got}");
                assert!(got.contains(want), "{got}");
                assert!(!got.contains("secret"), "{got}");
            }
            (got, want) => panic!("`{text}`: {got:?}, wanted {want:?}"),
        }
    }
    check("https://a.myshopify.com", Ok("https://a.myshopify.com/"));
    check("https://a.example:8443/api", Ok("https://a.example:8443/api/"));
    check("http://127.0.0.1:9000", Ok("http://127.0.0.1:9000/"));
    check("http://127.8.8.8/x/", Ok("http://127.8.8.8/x/"));
    check("http://[::1]:9000", Ok("http://[::1]:9000/"));
    check("http://[::ffff:127.0.0.1]", Ok("http://[::ffff:7f00:1]/"));
    check("http://localhost:1", Ok("http://localhost:1/"));
    check("http://shop.localhost.", Ok("http://shop.localhost./"));
    check("http://a.myshopify.com", Err("https://"));
    check("http://localhost.evil.example", Err("https://"));
    check("http://10.0.0.1", Err("https://"));
    check("http://0.0.0.0", Err("https://"));
    check("ftp://127.0.0.1", Err("https://"));
    check("file:///etc/passwd", Err("https://"));
    check("https://me:secret@a.example", Err("no user"));
    check("https://a.example/?token=secret", Err("no user"));
    check("https://a.example/#x", Err("no user"));
    check("a.example", Err("absolute URL"));
    check("https://", Err("absolute URL"));
    check("https://me:secret@", Err("absolute URL"));
}

#[test]
fn retry_after_is_seconds_or_a_date_and_bounded() {
    #[track_caller]
    fn check(value: &str, date: Option<&str>, want_ms: Option<u64>) {
        assert_eq!(retry_after(value, date), want_ms.map(Duration::from_millis), "{value} {date:?}");
    }
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    check("2", None, Some(2_000));
    check(" 2.5 ", None, Some(2_500));
    check("0", None, Some(0));
    check("-4", None, Some(0));
    check("NaN", None, None);
    check("inf", None, Some(3_600_000));
    check("999999999999999999999999", None, Some(3_600_000));
    check("Sun, 06 Nov 1994 08:49:47 GMT", date, Some(10_000));
    check("Sun, 06 Nov 1994 08:49:27 GMT", date, Some(0));
    check("Mon, 07 Nov 1994 08:49:37 GMT", date, Some(3_600_000));
    check("Sun, 06 Nov 1994 08:49:47 GMT", None, None);
    check("soon", date, None);
    check("", date, None);
}

#[test]
fn an_excerpt_is_one_short_line() {
    assert_eq!(excerpt(b" a\n\tb\x00\xff "), "a  b \u{fffd}");
    assert_eq!(excerpt(b""), "no body");
    assert_eq!(excerpt("ü".repeat(5_000).as_bytes()).chars().count(), EXCERPT_CHARS);
}

#[test]
fn a_json_error_says_where_and_quotes_nothing() {
    #[derive(Debug, Deserialize)]
    struct Order {
        #[expect(dead_code, reason = "only read")]
        lines: Vec<Line>,
    }
    #[derive(Debug, Deserialize)]
    struct Line {
        #[expect(dead_code, reason = "only read")]
        id: u64,
    }
    #[track_caller]
    fn check(body: &str, want: &str) {
        let error = json::<Order>(body.as_bytes()).expect_err("it does not fit");
        assert_eq!(error, want);
    }
    check(
        r#"{"lines": [{"id": 1}, {"id": "jon@example.com"}]}"#,
        "`lines[1].id`: is of an unexpected type or size",
    );
    check(r#"{"lines": [{}]}"#, "`lines[0]`: missing field `id` at line 1 column 13");
    check(r#"{"lines": [{"id": 1}"#, "`lines`: ends too early");
    check("<html>", "is not JSON at line 1 column 1");
    let two = json::<Vec<u8>>(b"[1] [2]");
    assert_eq!(two, Err("something follows its end".to_owned()));
    assert_eq!(json::<Vec<u8>>(b"[1] \n"), Ok(vec![1]));
    let part = serde_json::json!({"lines": [{"id": "jon@example.com"}]});
    let error = json_part::<Order>(&part).expect_err("it does not fit");
    assert_eq!(error, "`lines[0].id`: is of an unexpected type or size");
}

#[test]
fn a_secret_becomes_a_header_that_debug_does_not_show() {
    let value = secret_header("token", &SecretString::from("shpat_1")).expect("it is plain");
    assert_eq!(value.to_str().expect("it is text"), "shpat_1");
    assert!(!format!("{value:?}").contains("shpat_1"));
    for bad in ["", " a", "a\n", "a\r\nX: y"] {
        let error = secret_header("token", &SecretString::from(bad)).expect_err(bad).to_string();
        assert!(error.contains("`token`"), "{error}");
    }
}

#[test]
fn a_status_maps_to_a_fault() {
    #[track_caller]
    fn check(status: u16, retry_after: Option<&str>, want: Fault) {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).expect("it is plain"));
        }
        let answer = Answer { status, headers, body: Bytes::from_static(b"why") };
        assert_eq!(answer.fault(Duration::from_secs(2)), want);
    }
    check(401, None, Fault::Unauthorized("status 401: why".to_owned()));
    check(403, None, Fault::Unauthorized("status 403: why".to_owned()));
    check(404, None, Fault::Refused("status 404: why".to_owned()));
    check(429, None, Fault::Throttled { retry_after: Duration::from_secs(2) });
    check(429, Some("9"), Fault::Throttled { retry_after: Duration::from_secs(9) });
    check(503, Some("9"), Fault::Throttled { retry_after: Duration::from_secs(9) });
    check(503, None, Fault::Server { status: 503, detail: "why".to_owned() });
    check(302, None, Fault::Server { status: 302, detail: "why".to_owned() });
}

/// Serves each connection the same way: reads some of the request, then hands over the socket.
async fn raw<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(tokio::net::TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let read = socket.read(&mut request).await;
            if read.is_ok() {
                tokio::spawn(serve(socket));
            }
        }
    });
    address
}

async fn send(address: SocketAddr, options: Options) -> Result<Answer, NoAnswer> {
    let url = base_url("base_url", &format!("http://{address}")).expect("loopback");
    let client = Client::new(&url, options).expect("it can be built");
    let url = url.join("x?token=secret").expect("it is relative");
    let result = client.send(client.request(Method::POST, url).body("{}")).await;
    if let Err(none) = &result {
        assert!(!none.to_string().contains("secret"), "{none}");
    }
    result
}

#[tokio::test]
async fn a_refused_connection_was_certainly_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let none = send(address, Options::default()).await.expect_err("nobody listens");
    assert!(matches!(none, NoAnswer::NotSent(_)), "{none:?}");
    assert!(matches!(none.outcome(), Outcome::NotSent { .. }));
}

#[tokio::test]
async fn an_unknown_host_was_certainly_not_sent() {
    let url = base_url("base_url", "https://host.invalid").expect("it is an address");
    let client = Client::new(&url, Options::default()).expect("it can be built");
    let none = client.send(client.request(Method::GET, url)).await.expect_err("there is no such host");
    assert!(matches!(none, NoAnswer::NotSent(_)), "{none:?}");
}

#[tokio::test]
async fn a_connection_cut_before_or_within_the_answer_leaves_the_write_unknown() {
    for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\":"] {
        let address = raw(move |mut socket| async move {
            socket.write_all(part.as_bytes()).await.expect("the client listens");
        })
        .await;
        let none = send(address, Options::default()).await.expect_err("the answer is cut");
        assert!(matches!(none, NoAnswer::Disconnected(_)), "{part:?}: {none:?}");
        assert!(matches!(none.outcome(), Outcome::Unknown { .. }));
    }
}

#[tokio::test]
async fn silence_and_a_body_that_never_ends_run_into_the_time_limit() {
    let options = Options { timeout: Duration::from_millis(100), ..Options::default() };
    for part in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let address = raw(move |mut socket| async move {
            socket.write_all(part.as_bytes()).await.expect("the client listens");
            // Holds the connection open until the client gives up.
            let mut rest = Vec::new();
            let _closed = socket.read_to_end(&mut rest).await;
        })
        .await;
        let none = send(address, options).await.expect_err("it takes too long");
        assert_eq!(none, NoAnswer::Timeout(options.timeout), "{part:?}");
        assert!(matches!(none.outcome(), Outcome::Unknown { .. }));
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let router = Router::new()
        .route("/x", axum::routing::post(|| async { Redirect::temporary("/y") }))
        .route("/y", axum::routing::post(|| async { "followed" }));
    let answer = send(serve(router).await, Options::default()).await.expect("it answers");
    assert_eq!((answer.status, answer.header("Location")), (307, Some("/y")));
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_even_when_it_is_packed() {
    let options = Options { body_max: 1 << 20, ..Options::default() };
    let large = Router::new().route("/x", axum::routing::post(|| async { vec![b' '; (1 << 20) + 1] }));
    let none = send(serve(large).await, options).await.expect_err("it is too large");
    assert_eq!(none, NoAnswer::TooLarge { max: 1 << 20 });
    assert!(matches!(none.clone().outcome(), Outcome::Unknown { .. }));
    assert!(matches!(Fault::from(none), Fault::Malformed(_)));

    let fits = Router::new().route("/x", axum::routing::post(|| async { vec![b' '; 1 << 20] }));
    let answer = send(serve(fits).await, options).await.expect("it fits");
    assert_eq!(answer.body.len(), 1 << 20);

    // A small packed body counts by what it unpacks to.
    let bomb = packed_zeros();
    assert!(bomb.len() < 1 << 17, "the packed body must be small for the test to mean anything");
    let packed = Router::new().route(
        "/x",
        axum::routing::post(move || {
            let bomb = bomb.clone();
            async move { ([("content-encoding", "gzip")], bomb) }
        }),
    );
    let none = send(serve(packed).await, options).await.expect_err("it is too large unpacked");
    assert_eq!(none, NoAnswer::TooLarge { max: 1 << 20 });
}

/// Returns a gzip stream of more than 2 MB of zeros.
fn packed_zeros() -> Vec<u8> {
    // One fixed-Huffman block: a literal zero, then copies of 258 bytes at distance 1 (length code 285 is
    // `11000101`, distance code 0 is `00000`), then the end of the block (`0000000`).
    let mut bits: Vec<u8> = vec![1, 1, 0];
    bits.extend([0, 0, 1, 1, 0, 0, 0, 0]);
    for _ in 0..8_200 {
        bits.extend([1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
    }
    bits.extend([0; 7]);
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for byte in bits.chunks(8) {
        let value = byte.iter().enumerate().fold(0_u8, |sum, (n, bit)| sum | (bit << n));
        out.push(value);
    }
    // The checksum is wrong on purpose: the limit must strike before the end is reached.
    out.extend([0; 8]);
    out
}

#[tokio::test]
async fn every_request_says_who_asks() {
    let router = Router::new().route(
        "/x",
        axum::routing::post(|headers: axum::http::HeaderMap| async move {
            headers.get("user-agent").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
        }),
    );
    let answer = send(serve(router).await, Options::default()).await.expect("it answers");
    assert_eq!(answer.body, USER_AGENT.as_bytes());
}

#[tokio::test]
async fn a_get_reads_its_answer() {
    let address = serve(Router::new().route("/x", get(|| async { "yes" }))).await;
    let url = base_url("base_url", &format!("http://{address}")).expect("loopback");
    let client = Client::new(&url, Options::default()).expect("it can be built");
    let url = url.join("x").expect("it is relative");
    let answer = client.send(client.request(Method::GET, url)).await.expect("it answers");
    assert!(answer.is_success());
    assert_eq!(answer.body, "yes");
}
