//! From the first byte of a shop's webhook to the first byte of the write to another channel.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

use crate::{
    Size,
    daemon::{Home, PATIENCE},
    report::{Report, Times},
    settings::{self, Channels},
    tap::Tap,
};

/// From one sale to the next, so that all is idle again.
const PAUSE: Duration = Duration::from_millis(300);

pub(crate) fn run(size: Size, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(measure(size, report));
}

async fn measure(size: Size, report: &mut Report) {
    let sales = size.of(150, 15);
    let channels = Channels::start("bench", 500).await;
    let mut systems = channels.systems(None).await;
    let market = Tap::start(channels.amazon(), |bytes| bytes.starts_with(b"PATCH ")).await;
    systems["amazon"]["base_url"] = json!(format!("http://{}", market.address));
    let home = Home::new(&systems, settings::MARKET);
    let live = home.start().await;
    home.init().await;
    live.settled().await;
    let is_order = |bytes: &[u8]| {
        bytes.starts_with(b"POST ")
            && bytes.windows(13).any(|word| word.eq_ignore_ascii_case(b"orders/create"))
    };
    let hook = Tap::start(home.web().parse().expect("an address"), is_order).await;
    let url = format!("http://{}/webhooks/shopify/shop", hook.address);
    channels.post("webhooks", &json!({"url": url})).await;

    let (mut times, codes) = (Times::new(), channels.codes().await);
    for n in 0..sales {
        hook.clear();
        market.clear();
        let lines = json!([{"sku": codes[n % codes.len()], "quantity": 1}]);
        channels.post("order", &json!({"channel": "shopify", "lines": lines})).await;
        let both = async { (hook.first().await, market.first().await) };
        let (told, written) = timeout(PATIENCE, both).await.expect("the sale is passed on");
        times.record(written.saturating_duration_since(told));
        sleep(PAUSE).await;
    }
    live.stop().await;
    let trips = round_trips(size.of(1_000, 100)).await;
    let good = times.at(0.5) < Duration::from_millis(5);
    let beside = format!("a loopback round trip: {trips}");
    report.add("sale to write, idle channels", &times.to_string(), &beside, "p50 < 5 ms", Some(good));
}

/// Sends a byte to and fro.
async fn round_trips(count: usize) -> Times {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP socket");
        while let Ok(byte) = stream.read_u8().await {
            stream.write_u8(byte).await.expect("it is read");
        }
    });
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut times = Times::new();
    for _ in 0..count {
        let begun = Instant::now();
        stream.write_u8(7).await.expect("sent");
        stream.read_u8().await.expect("answered");
        times.record(begun.elapsed());
    }
    times
}
