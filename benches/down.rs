//! A webhook's answer when everything else is down and much waits, beside the same with channels that are idle.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Size,
    daemon::{Home, Live},
    load::{self, Load, Requests},
    order::{self, Item},
    report::Report,
    settings::{self, Channels},
};

/// Long enough that no answer waits for another, short enough that lanes are at work in between.
const PER_SECOND: u32 = 50;

pub(crate) fn run(size: Size, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(measure(size, report));
}

async fn measure(size: Size, report: &mut Report) {
    let (skus, orders) = (size.of(5_000, 200), size.of(500, 50));
    let (channels, outlet) = (Channels::start("bench", skus).await, Channels::start("outlet", skus).await);
    let systems = channels.systems(Some(&outlet)).await;
    let home = Home::new(&systems, settings::OUTLET);
    let live = home.start().await;
    home.init().await;
    live.settled().await;
    let codes = channels.codes().await;
    let idle = push(&home, &systems, &codes[..orders], 0).await;

    for shop in [&channels, &outlet] {
        shop.post("faults", &json!({"faults": ["shopify-outage=10m"]})).await;
    }
    let books = channels.get("books").await;
    let more =
        |sku: &Value| json!({"sku": sku["sku"], "quantity": sku["physical"].as_i64().expect("a number") + 5});
    let counts: Vec<Value> = books["skus"].as_array().expect("a list").iter().map(more).collect();
    channels.post("erp/count", &json!({"counts": counts})).await;
    let waiting = |line: &str| !line.contains("confirmed");
    let wanted = (2 * skus) as f64;
    live.until("legs wait", "evenkeel_legs{", waiting, |legs| legs >= wanted).await;
    channels.post("faults", &json!({"faults": ["erp-outage=10m"]})).await;
    // The lanes find out, and their circuits open.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let legs = live.figure("evenkeel_legs{", waiting).await;
    let down = push(&home, &systems, &codes[skus - orders..], orders).await;
    end(live).await;

    let what = format!("webhook with all channels down, {legs} legs waiting");
    let good = down.times.max() < Duration::from_millis(500);
    let beside = format!("idle channels: {}", idle.times);
    report.add(&what, &down.times.to_string(), &beside, "< 500 ms", Some(good));
}

/// Sends a webhook of an order for each of the SKUs, which the shop itself knows nothing of.
async fn push(home: &Home, systems: &Value, codes: &[String], from: usize) -> Load {
    let text = |key: &str| systems["shopify"][key].as_str().expect("a text").to_owned();
    let (shop, secret) = (text("shop"), text("client_secret"));
    let one = |(n, code): (usize, &String)| {
        order::request(home.web(), &shop, &secret, n as u64, &Item { code, variant: None })
    };
    let requests: Requests = (from..).zip(codes).map(one).collect();
    load::steady(home.web(), &requests, 1, PER_SECOND).await
}

/// Everything is down, so an end in order would wait for what is under way.
async fn end(live: Live) {
    drop(live);
}
