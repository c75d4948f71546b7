//! Items that are not stocked at the shop's location, against the simulated shop.

use super::{encode::tests::location, options::Locations, tend::Lab, *};
use crate::sandbox::Span;

const LOCATION: u64 = 106_318_430_514;
/// Not stocked, and stocked with nothing.
const ITEMS: [&str; 2] = ["9307199254740993", "9307199254740994"];

async fn lab(stocks: bool) -> Lab {
    let here = |options: &mut Options| {
        let here = options::Location { stocks, ..location("main", LOCATION) };
        options.locations = Locations::new(vec![here]).expect("one");
    };
    let lab = Lab::with(here, |simulated| simulated.catalogue.opening = Span::new(0, 0)).await;
    let books = lab.look("books").await;
    lab.post("stocked", json!({"sku": books["skus"][0]["sku"], "place": 0, "stocked": false})).await;
    lab
}

async fn seen(lab: &Lab) -> Vec<String> {
    let seen = lab.shop.read_back(&ITEMS.map(ids)).await.expect("it answers");
    let told = |seen: &Observed| match seen {
        Observed::Seen(levels) => levels.available.to_string(),
        Observed::Unwritable { why } | Observed::Unread { why } => why.clone(),
        Observed::Absent => "absent".to_owned(),
    };
    seen.iter().map(told).collect()
}

fn both(quantity: i64, from: i64, key: &str) -> Vec<Put> {
    ITEMS.iter().map(|item| put(item, quantity, Some(from), &format!("{key}{item}"))).collect()
}

#[tokio::test]
async fn unless_it_is_wanted_nothing_is_stocked() {
    let lab = lab(false).await;
    assert_eq!(seen(&lab).await, ["not stocked at the shop's location `106318430514`", "0"]);
    let catalogue = lab.shop.catalogue(None).await.expect("it answers");
    assert!(catalogue.items[0].unwritable.is_some());
}

#[tokio::test]
async fn what_is_not_stocked_shows_nothing_and_is_stocked_with_its_first_quantity() {
    let lab = lab(true).await;
    assert_eq!(seen(&lab).await, ["0", "0"]);
    let catalogue = lab.shop.catalogue(None).await.expect("it answers");
    assert_eq!(catalogue.items[0].unwritable, None);
    assert_eq!(catalogue.items[0].levels.map(|levels| levels.available), Some(Quantity::ZERO));
    assert_eq!(letters(&lab.shop.write(&both(4, 0, "a")).await), "AA");
    assert_eq!(seen(&lab).await, ["4", "4"]);
    let again = lab.shop.write(&both(4, 0, "b")).await;
    assert_eq!(letters(&again), "SS", "both are stocked, and do not show 0: {again:?}");
    assert_eq!(letters(&lab.shop.write(&both(3, 4, "c")).await), "AA");
    assert_eq!(seen(&lab).await, ["3", "3"]);
}
