//! Whatever an ERP may answer, from what a real one did.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    books::Books,
    decode::{self, Level},
};
use crate::fuzz;

const REFERENCE: &str = "evk-test:shop:1001";

#[test]
fn answers() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tryton");
    let mut samples: Vec<Value> = std::fs::read_dir(dir)
        .expect("the answers are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .filter_map(|path| serde_json::from_slice(&std::fs::read(path).expect("readable")).ok())
        .collect();
    samples.sort_by_key(Value::to_string);
    fuzz::json(bolero::check!(), &samples, |body| {
        let listed = serde_json::from_slice::<Vec<Value>>(body).map(|all| all.len());
        if let Ok(levels) = decode::each::<Level>(body) {
            assert_eq!(Some(levels.len()), listed.ok(), "a row vanished");
        }
        for place in [None, Some(1)] {
            let sales = decode::sales(body, REFERENCE, place).unwrap_or_default();
            let internals = decode::internals(body, REFERENCE, place).unwrap_or_default();
            let books = Books { sales, internals };
            for product in [1, 2] {
                std::hint::black_box((books.sums(product), books.totals(product)));
            }
        }
        drop(decode::products(body));
        drop(decode::leaving(body, &mut BTreeMap::new()));
        drop(decode::touched(body, &mut BTreeMap::new()));
    });
}
