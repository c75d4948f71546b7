//! The sandbox driven by the official clients: what they do not accept, or take for something else, is wrong in the sandbox,
//! and with it in every test that rests on it.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::support::{PATIENCE, World, set_up};

/// Runs a client against a sandbox, and returns what it made of the answers.
async fn drive(world: &World, client: &Path, script: &Path) -> Value {
    let control = world.get("systems").await["control"]["base_url"].as_str().expect("an address").to_owned();
    let mut command = Command::new(client);
    command.arg(script).arg(control).stdin(Stdio::null()).kill_on_drop(true);
    let ran = timeout(PATIENCE * 2, command.output()).await.expect("the client ends in time");
    let ran = ran.expect("the client can be run");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {said}", script.display());
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shopifys_own_client_takes_the_sandbox_for_shopify() {
    let Some(clients) = set_up("clients", None) else { return };
    let world = World::start(|options| options.shopify.webhook_delay_ms.max = 0).await;

    let told = drive(&world, Path::new("node"), &clients.join("shopify.mjs")).await;

    let grant = &told["grant"];
    assert!(grant["scope"].as_str().is_some_and(|scope| scope.contains("write_inventory")), "{told:#}");
    assert_eq!((&grant["expires"], &grant["token"]), (&json!(true), &json!(true)), "{told:#}");
    assert_eq!(told["wrongSecret"]["status"], 400, "{told:#}");
    assert_eq!(told["wrongToken"]["status"], 401, "{told:#}");
    assert_eq!(told["items"].as_array().map(Vec::len), Some(3), "{told:#}");
    assert_eq!(told["applied"], json!({"done": true, "codes": [], "cost": true}), "{told:#}");
    let stale = json!({"done": false, "codes": ["CHANGE_FROM_QUANTITY_STALE"], "cost": true});
    assert_eq!(told["stale"], stale, "{told:#}");
    assert_eq!(told["unkeyed"]["name"], "GraphqlQueryError", "{told:#}");
    assert_eq!(told["unknownField"], json!({"graphql": true}), "{told:#}");
    let delivery = &told["delivery"];
    assert_eq!(delivery["genuine"]["valid"], true, "{told:#}");
    assert_eq!(delivery["genuine"]["apiVersion"], "2026-10", "{told:#}");
    for forged in ["changed", "otherSecret"] {
        assert_eq!(delivery[forged], json!({"valid": false, "reason": "invalid_hmac"}), "{told:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amazons_own_client_takes_the_sandbox_for_amazon() {
    let Some(clients) = set_up("clients", None) else { return };
    let world = World::start(|options| options.amazon.feed_ms.max = 5_000).await;

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/clients/amazon.py");
    let told = drive(&world, &clients.join("venv/bin/python"), &script).await;

    let asked = &told["asked"];
    assert_eq!(told["accepted"], json!({"status": "ACCEPTED", "sku": asked, "issues": []}), "{told:#}");
    assert_eq!(told["invalid"], json!({"status": "INVALID", "sku": asked, "issues": ["ERROR"]}), "{told:#}");
    assert_eq!(told["none_such"], json!({"status": 404, "codes": ["NOT_FOUND"]}), "{told:#}");
    assert_eq!(told["page"]["skus"], 5, "{told:#}");
    assert_eq!(told["page"]["next"], true, "{told:#}");
    let books = world.get("books").await;
    let sku = &books["skus"][0]["amazon"]["seller_sku"];
    assert_eq!(told["order"]["by"], "MERCHANT", "{told:#}");
    assert_eq!(told["order"]["lines"], json!([[sku, 2]]), "{told:#}");
    assert_eq!(told["same"], true, "{told:#}");
    assert_eq!(told["both_times"]["status"], 400, "{told:#}");
    let feed = json!({"packed": "GZIP", "issues": [[2, "NONE-SUCH", "ERROR"]], "listed": true});
    assert_eq!(told["feed"], feed, "{told:#}");
    let fba = &books["skus"][0]["fba"];
    assert_eq!(told["fba"], json!([[fba["seller_sku"], fba["fulfillable"]]]), "{told:#}");
    assert_eq!(books["fba_violations"], 0);
}
