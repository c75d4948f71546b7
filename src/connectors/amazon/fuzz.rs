//! Whatever Amazon may answer.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde_json::Value;

use super::{
    decode::{self, errors, fault, written},
    notifications::{self, Account},
    orders::{self, Place},
    testing::spec,
};
use crate::{
    connectors::{By, Fact, Push},
    fuzz,
    model::{LineSnapshot, Quantity, Rest, Timestamp, Totals},
};

const HOLD: Duration = Duration::from_millis(1500);

/// Returns the recorded answers of the static sandbox to requests of these APIs.
fn recorded(apis: &[&str]) -> Vec<Value> {
    let Some(pairs) = spec("samples/static-sandbox-pairs.json") else { return vec![Value::Null] };
    let all = pairs.as_object().expect("pairs by operation").iter();
    let ours = all.filter(|(operation, _)| apis.iter().any(|api| operation.starts_with(api)));
    let answers = ours.flat_map(|(_, pairs)| pairs.as_array().into_iter().flatten());
    answers.map(|pair| pair["response"].clone()).collect()
}

/// Returns how many there are in a list of a body that is read at all.
fn listed(body: &[u8], key: &str) -> Option<usize> {
    // What nobody asks for may lie deeper than a reader of all goes.
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body[key].as_array().map_or(0, Vec::len))
}

#[test]
fn pages_of_orders() {
    let place = Place::of(None).expect("the first");
    fuzz::json(bolero::check!(), &recorded(&["orders_2026"]), |body| {
        for by in [By::Change, By::Placement] {
            let Ok(page) = orders::page(body, by, Timestamp::from_millis(1_000), &place) else { continue };
            let told = page.orders.len() + page.unreadable.len() + page.unread.len();
            assert_eq!(told, listed(body, "orders").unwrap_or(told), "an order vanished");
            assert!(page.next.is_some() || page.read_through.is_some());
        }
        drop(orders::one(body));
        drop(orders::reread(body));
    });
}

#[test]
fn listings_and_submissions() {
    let markets = ["ATVPDKIKX0DER".to_owned()];
    fuzz::json(bolero::check!(), &recorded(&["listingsItems", "fbaInventory"]), |body| {
        if let Ok(page) = decode::page(body, &markets) {
            let told = page.listings.len();
            assert_eq!(told, listed(body, "items").unwrap_or(told), "a listing vanished");
            for listing in page.listings.into_iter().flatten() {
                drop((listing.observed(), listing.row()));
            }
        }
        for status in [200, 207, 400, 401, 403, 404, 413, 429, 500, 503] {
            drop(written(status, body, HOLD));
            drop(fault(status, body, HOLD));
        }
        assert!(errors(body).len() < 10_000, "what is told of an answer is bounded");
    });
}

#[test]
fn messages_of_the_queue() {
    let names =
        ["OrderChangeNotification", "FeedProcessingFinishedNotification-0", "ListingsItemMfnQuantityChange"];
    let samples = names.map(|name| spec(&format!("samples/{name}.json")).unwrap_or_default());
    let markets = ["ATVPDKIKX0DER".to_owned()];
    let account = Account { seller_id: "A3TH9S8BH6GOGM", marketplaces: &markets, own_stock: true };
    fuzz::json(bolero::check!(), &samples, |body| {
        let push = Push { headers: BTreeMap::new(), body: Bytes::copy_from_slice(body) };
        let facts = match notifications::receive(&push, account) {
            Ok(received) => received.facts,
            Err(_) => notifications::reread(body, account).unwrap_or_default(),
        };
        for fact in &facts {
            let Fact::Order(order) = fact else { continue };
            // What a message says only keeps units off sale, and is read in any case.
            let open = |line: &LineSnapshot| {
                let Totals { ordered, released, written_off, fulfilled, returned } = line.totals;
                let others = [released, written_off, fulfilled, returned];
                line.rest == Rest::Open && ordered > Quantity::ZERO && others == [Quantity::ZERO; 4]
            };
            assert!(!order.lines.is_empty() && order.lines.iter().all(open), "{order:?}");
            assert!(facts.contains(&Fact::Fetch(order.order.clone())));
        }
    });
}
