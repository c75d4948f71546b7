//! Durable intake over HTTP: how many orders a second, and how late the answers are at a steady rate.
//!
//! The daemon's channels cannot be reached, so that no processor time goes into simulating them; its lanes are woken
//! and have legs waiting all the same.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use evenkeel::{
    connectors::{Connector, Push, http, shopify},
    model::LocationId,
};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{
    Size, catalogue,
    daemon::Home,
    load::{self, Load, Requests},
    machine, order,
    report::{Report, Times, short},
    settings,
};

/// The argument that makes this process serve the yardstick.
pub(crate) const YARDSTICK: &str = "serve-yardstick";
const CONNECTIONS: usize = 32;
const SKUS: usize = 5_000;
const STEADY_PER_SECOND: u32 = 1_000;

pub(crate) fn run(size: Size, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(size, report));
}

async fn measure(size: Size, report: &mut Report) {
    let home = Home::new(&settings::nowhere(), settings::MARKET);
    catalogue::store(home.path(), SKUS);
    let mut orders = 0;
    let mut requests = |count: usize| -> Requests {
        let from = orders;
        orders += count;
        (from..orders).map(|n| request(home.web(), n)).collect()
    };
    let (warm, all, steady) =
        (requests(size.of(2_000, 200)), requests(size.of(30_000, 2_000)), requests(size.of(15_000, 1_000)));
    println!("  a request is {} bytes", requests(1)[0].len());

    let fsync = fsyncs(size.of(1_000, 100));
    let (bare, bare_cpu) = yardstick(&warm, &all).await;
    let live = home.start().await;
    load::full(home.web(), &warm, CONNECTIONS).await;
    let before = live.cpu();
    let durable = load::full(home.web(), &all, CONNECTIONS).await;
    let cpu = (live.cpu() - before) / u32::try_from(all.len()).expect("few");
    let calm = load::steady(home.web(), &steady, CONNECTIONS, STEADY_PER_SECOND).await;
    let taken = live.figure("evenkeel_orders_merged_total{", |line| line.contains("push")).await;
    assert!(
        taken >= (warm.len() + all.len() + steady.len()) as f64,
        "all orders were new, {taken} were taken"
    );
    let group = live.figure("evenkeel_journal_group_records_sum", |_| true).await
        / live.figure("evenkeel_journal_group_records_count", |_| true).await;
    live.stop().await;

    let share = durable.per_second() / bare.per_second();
    let figure = format!("{:.0}/s, {} of processor each", durable.per_second(), short(cpu));
    let beside = format!("{:.0}/s, {} each", bare.per_second(), short(bare_cpu));
    report.add(
        "durable intake, 32 connections",
        &figure,
        &beside,
        "3,000/s",
        Some(durable.per_second() >= 3_000.0),
    );
    let figure = format!("{:.0} % of the yardstick", share * 100.0);
    report.add("durable intake, share", &figure, &beside, "50 %", Some(share >= 0.5));
    let beside = format!("{}", bare.times);
    report.add("its latency, as fast as it goes", &durable.times.to_string(), &beside, "", None);
    let good = calm.times.at(0.99) < Duration::from_millis(20);
    let beside = format!("fsync of a record: {fsync}");
    report.add("its latency at 1,000/s", &calm.times.to_string(), &beside, "p99 < 20 ms", Some(good));
    println!("  {group:.1} records in a group; the steady load took {}", short(calm.took));
}

fn request(web: &str, n: usize) -> Vec<u8> {
    let systems = settings::nowhere();
    let text = |key: &str| systems["shopify"][key].as_str().expect("a text").to_owned();
    let sku = n % SKUS;
    let item = order::Item { code: &catalogue::code(sku), variant: Some(catalogue::variant(sku)) };
    order::request(web, &text("shop"), &text("client_secret"), n as u64, &item)
}

/// Appends a record's worth of bytes to a file and syncs it, again and again.
fn fsyncs(count: usize) -> Times {
    let dir = machine::fresh_dir();
    let mut file = std::fs::File::create(dir.path().join("journal")).expect("a file");
    let (record, mut times) = (vec![0xA5; 1_500], Times::new());
    for _ in 0..count {
        let begun = Instant::now();
        file.write_all(&record).expect("written");
        file.sync_data().expect("synced");
        times.record(begun.elapsed());
    }
    times
}

/// Puts the same load on a server that does all but store. Returns what came of it, and the processor time of each.
async fn yardstick(warm: &Requests, all: &Requests) -> (Load, Duration) {
    let program = std::env::current_exe().expect("this program");
    let served = Command::new(program).arg(YARDSTICK).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut served = served.expect("it starts");
    let mut web = String::new();
    let out = served.stdout.take().expect("it is piped");
    BufReader::new(out).read_line(&mut web).expect("it tells its address");
    let web = web.trim();
    load::full(web, warm, CONNECTIONS).await;
    let before = machine::cpu(served.id());
    let load = load::full(web, all, CONNECTIONS).await;
    let cpu = (machine::cpu(served.id()) - before) / u32::try_from(all.len()).expect("few");
    // Its input ends, and so does it.
    drop(served.stdin.take());
    served.wait().expect("it ends");
    (load, cpu)
}

/// Verifies, parses and reduces webhooks and stores nothing, until the input ends.
pub(crate) fn serve_yardstick() {
    let systems = settings::nowhere();
    let text = |key: &str| systems["shopify"][key].as_str().expect("a text").to_owned();
    let options = shopify::Options {
        shop: text("shop"),
        base_url: text("base_url").parse().expect("a URL"),
        api_version: shopify::options::API_VERSION.to_owned(),
        access: shopify::options::Access::Token(SecretString::from(text("access_token"))),
        webhook_secrets: vec![SecretString::from(text("client_secret"))],
        hooks: None,
        locations: shopify::options::Locations::new(vec![shopify::options::Location {
            id: LocationId::new("warehouse").expect("a name"),
            number: 655_441_491,
            stocks: false,
        }])
        .expect("one"),
        bulk_above: shopify::options::BULK_ABOVE,
        http: http::Options::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let shop = Arc::new(shopify::Shopify::new(options).expect("good settings"));
        let app = Router::new().route("/webhooks/shopify/shop", post(reduce)).with_state(shop);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
        println!("{}", listener.local_addr().expect("it is bound"));
        let ended =
            tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        tokio::select! {
            served = axum::serve(listener, app) => served.expect("it serves"),
            ended = ended => drop(ended.expect("no panic").expect("an input")),
        }
    });
}

async fn reduce(State(shop): State<Arc<shopify::Shopify>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers: BTreeMap<String, String> =
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    match shop.receive(&Push { headers, body }) {
        Ok(received) if !received.facts.is_empty() => StatusCode::OK,
        Ok(_) | Err(_) => StatusCode::BAD_REQUEST,
    }
}
