//! The survey before the first sync.

use std::collections::BTreeMap;

use super::world::*;
use crate::{
    core::decide::survey::{OfChannel, Read, Survey, survey},
    model::{
        CatalogueItem, CountLine, FulfilledBy, IdKind, Identifiers, Levels, Timestamp, policy::MappingRow,
    },
};

/// `kind value, kind value`, what is shown there.
fn item(ids: &[(IdKind, &str)], shown: i64) -> CatalogueItem {
    CatalogueItem {
        ids: Identifiers::new(ids.iter().copied()).expect("good identifiers"),
        title: ids.first().map(|(_, text)| format!("A thing called {text}")),
        by: FulfilledBy::Merchant,
        levels: Some(Levels::of(q(shown))),
        unwritable: None,
    }
}

fn sku(text: &str, shown: i64) -> CatalogueItem {
    item(&[(IdKind::Sku, text)], shown)
}

fn counted(text: &str, quantity: i64) -> CountLine {
    let ids = Identifiers::new([(IdKind::Sku, text)]).expect("an identifier");
    CountLine { ids, location: wh(), quantity: q(quantity) }
}

/// An ERP with these items and counts, and what the shop and the marketplace list.
fn look(erp: &[(&str, i64)], shop: Vec<CatalogueItem>, amazon: Vec<CatalogueItem>) -> Survey {
    let items = erp.iter().map(|(code, _)| CatalogueItem { levels: None, ..sku(code, 0) }).collect();
    let counts = erp.iter().map(|(code, quantity)| counted(code, *quantity)).collect();
    let read = BTreeMap::from([
        (ch(ERP), Read { items, counts }),
        (ch(SHOP), Read { items: shop, counts: Vec::new() }),
        (ch(AMZ), Read { items: amazon, counts: Vec::new() }),
    ]);
    survey(&policies(), &[], &read, Timestamp::from_millis(1_000)).expect("nothing is refused")
}

fn of<'a>(survey: &'a Survey, channel: &str) -> &'a OfChannel {
    survey.channels.iter().find(|found| found.channel == ch(channel)).expect("it was read")
}

#[test]
fn what_would_be_bound_and_shown_is_what_the_daemon_would_do() {
    let found =
        look(&[("A", 5), ("B", 3), ("C", 9)], vec![sku("A", 5), sku("B", 7), sku("X", 1)], vec![sku("C", 2)]);
    assert_eq!(found.skus, 3);
    let shop = of(&found, SHOP);
    assert_eq!((shop.items, shop.unmatched, shop.agree), (3, 1, 1));
    assert_eq!(shop.bound, BTreeMap::from([("same text", 2)]));
    let differ: Vec<_> =
        shop.differ.rows.iter().map(|row| (row.sku.as_str(), row.shown, row.would_be)).collect();
    assert_eq!(differ, [("B", 7, 3)]);
    let missing: Vec<_> = shop.missing.rows.iter().map(|sku| sku.as_str()).collect();
    assert_eq!(missing, ["C"]);
    assert_eq!(of(&found, ERP).missing.count, 0, "what does not sell lists nothing");
    let differ: Vec<_> = of(&found, AMZ).differ.rows.iter().map(|row| (row.shown, row.would_be)).collect();
    assert_eq!(differ, [(2, 9)]);
}

#[test]
fn what_would_fall_most_comes_first() {
    let shop = vec![sku("A", 5), sku("B", 90), sku("C", 0)];
    let found = look(&[("A", 4), ("B", 1), ("C", 9)], shop, vec![]);
    let order: Vec<_> = of(&found, SHOP).differ.rows.iter().map(|row| row.sku.to_string()).collect();
    assert_eq!(order, ["B", "A", "C"]);
}

/// What is proposed for an item that nothing binds: the SKU, and why.
#[track_caller]
fn check(
    erp: &[(&str, i64)],
    unmatched: CatalogueItem,
    others: Vec<CatalogueItem>,
    want: (Option<&str>, &str),
) {
    let found = look(erp, vec![unmatched], others);
    let proposals: Vec<_> = found.proposals.rows.iter().filter(|row| row.channel == ch(SHOP)).collect();
    let [proposal] = proposals.as_slice() else { panic!("{proposals:?}") };
    assert_eq!(proposal.sku.as_ref().map(|sku| sku.as_str()), want.0, "{proposal:?}");
    assert!(proposal.why.contains(want.1), "{proposal:?}");
}

#[test]
fn a_sku_is_proposed_only_where_exactly_one_comes_into_question() {
    let erp = [("TSHIRT-BL-M", 1), ("TSHIRT-BL-L", 1)];
    let with = |text: &str, barcode: &str| item(&[(IdKind::Sku, text), (IdKind::Barcode, barcode)], 1);
    check(&erp, sku("tshirt bl_m", 1), vec![], (Some("TSHIRT-BL-M"), "case, spaces and punctuation"));
    check(&erp, sku("TSHIRT-BL-M-FBM", 1), vec![], (Some("TSHIRT-BL-M"), "appended"));
    check(&erp, sku("MUG", 1), vec![], (None, "no SKU is like it"));
    check(&erp, item(&[(IdKind::Variant, "7")], 1), vec![], (None, "no SKU text"));
    let listed = vec![with("TSHIRT-BL-L", "4006381333931")];
    check(&erp, with("MUG", "4006381333931"), listed, (Some("TSHIRT-BL-L"), "the same barcode"));
    let both = vec![with("TSHIRT-BL-L", "4006381333931"), with("TSHIRT-BL-M", "4006381333931")];
    check(&erp, with("MUG", "4006381333931"), both, (None, "several SKUs: TSHIRT-BL-L, TSHIRT-BL-M"));
    check(&[("AB-1", 1), ("A-B1", 1)], sku("ab1", 1), vec![], (None, "several SKUs"));
    let called = |title: &str, item: CatalogueItem| CatalogueItem { title: Some(title.to_owned()), ..item };
    let listed = vec![called("T-shirt, blue, L", sku("TSHIRT-BL-L", 1))];
    check(&erp, called("T-Shirt blue L", sku("4711", 1)), listed, (Some("TSHIRT-BL-L"), "the same title"));
    let both = vec![called("T-shirt", sku("TSHIRT-BL-L", 1)), called("T-shirt", sku("TSHIRT-BL-M", 1))];
    check(&erp, called("T-Shirt", sku("4711", 1)), both, (None, "several SKUs"));
}

#[test]
fn a_title_that_several_items_of_a_channel_have_proposes_nothing() {
    let called = |text: &str| CatalogueItem { title: Some("T-shirt".to_owned()), ..sku(text, 1) };
    let found = look(&[("A", 1)], vec![called("4711"), called("4712")], vec![called("A")]);
    assert_eq!(found.proposals.count, 2);
    assert!(found.proposals.rows.iter().all(|row| row.sku.is_none()), "{:?}", found.proposals);
}

#[test]
fn twins_shared_and_awkward_items_are_told() {
    let own = |text: &str, by| CatalogueItem {
        by,
        ..item(&[(IdKind::Sku, text), (IdKind::Asin, "B0XYZ12345")], 4)
    };
    let amazon = vec![own("A", FulfilledBy::Merchant), own("A-FBA", FulfilledBy::Channel), sku("B/1 ü", 1)];
    let shop = vec![
        item(&[(IdKind::Sku, "A"), (IdKind::InventoryItem, "1")], 4),
        item(&[(IdKind::Sku, "A"), (IdKind::InventoryItem, "2")], 4),
        CatalogueItem { unwritable: Some("not stocked".to_owned()), ..sku("B/1 ü", 1) },
        item(&[(IdKind::Variant, "7")], 1),
    ];
    let found = look(&[("A", 4), ("B/1 ü", 1)], shop, amazon);
    let (shop, amazon) = (of(&found, SHOP), of(&found, AMZ));
    let [twin] = amazon.twins.rows.as_slice() else { panic!("{:?}", amazon.twins) };
    assert_eq!(
        (twin.asin.as_str(), &twin.merchant[..], &twin.channel[..]),
        ("B0XYZ12345", &["A".to_owned()][..], &["A-FBA".to_owned()][..])
    );
    let [shared] = shop.shared.rows.as_slice() else { panic!("{:?}", shop.shared) };
    assert_eq!((shared.sku.as_str(), shared.listings.len()), ("A", 2));
    assert_eq!(shop.unwritable, BTreeMap::from([("not stocked".to_owned(), 1)]));
    let awkward =
        |found: &OfChannel| found.awkward.rows.iter().map(|row| row.text.clone()).collect::<Vec<_>>();
    assert_eq!(awkward(amazon), ["B/1 ü"]);
    let hyphens = look(&[], vec![], vec![sku("A-B-C-D-E-F-G-H-I-J-K-LMNOPQR", 1)]);
    assert_eq!(of(&hyphens, AMZ).awkward.count, 0, "hyphens stay as they are in an address");
    assert_eq!(awkward(shop), ["7"], "a variant without a SKU text");
    let from_warehouse = amazon.unwritable.iter().find(|(why, _)| why.contains("own warehouse"));
    assert_eq!(from_warehouse.map(|(_, count)| *count), Some(1));
}

/// What a shop lists at one of its two locations.
fn at(location: &str, item: CatalogueItem) -> CatalogueItem {
    let place = Identifiers::new([(IdKind::Location, location)]).expect("an identifier");
    CatalogueItem { ids: item.ids.and(&place), ..item }
}

#[test]
fn what_is_listed_at_several_locations_of_a_shop_is_told_once() {
    let thing = |number: &str, text: &str, shown: i64| {
        item(&[(IdKind::InventoryItem, number), (IdKind::Sku, text)], shown)
    };
    let nameless = |shown: i64| item(&[(IdKind::Variant, "9")], shown);
    let unstocked = CatalogueItem { unwritable: Some("not stocked".to_owned()), ..thing("4", "D", 0) };
    let shop = vec![
        at("5", thing("1", "A", 5)),
        at("5", thing("2", "B", 3)),
        at("5", thing("3", "X", 1)),
        at("5", nameless(1)),
        at("5", thing("4", "D", 4)),
        at("5", thing("5", "A", 5)),
        at("6", thing("1", "A", 2)),
        at("6", thing("2", "B", 7)),
        at("6", thing("3", "X", 1)),
        at("6", nameless(1)),
        at("6", unstocked),
        at("6", thing("5", "A", 2)),
    ];
    let count = |text: &str, location, quantity| CountLine { location, ..counted(text, quantity) };
    let counts = [("A", 5, 2), ("B", 3, 3), ("D", 4, 0)];
    let counts = counts.into_iter().flat_map(|(text, wh_has, store_has)| {
        [count(text, wh(), wh_has), count(text, super::outlets::store(), store_has)]
    });
    let items = ["A", "B", "D"].map(|text| CatalogueItem { levels: None, ..sku(text, 0) }).to_vec();
    let read = BTreeMap::from([
        (ch(ERP), Read { items, counts: counts.collect() }),
        (ch(SHOP), Read { items: shop, counts: Vec::new() }),
    ]);
    let policies = super::outlets::two();
    let found = survey(&policies, &[], &read, Timestamp::from_millis(1_000)).expect("nothing is refused");
    let shop = of(&found, SHOP);
    assert_eq!((shop.items, shop.unmatched, shop.bound.values().sum::<usize>()), (6, 2, 4));
    assert_eq!(shop.unwritable, BTreeMap::from([("not stocked".to_owned(), 1)]));
    let shared: Vec<_> = shop.shared.rows.iter().map(|row| (row.sku.as_str(), row.listings.len())).collect();
    assert_eq!(shared, [("A", 2)]);
    assert_eq!((shop.awkward.count, found.proposals.count, shop.missing.count), (1, 2, 0));
    let differ: Vec<_> =
        shop.differ.rows.iter().map(|row| (row.sku.as_str(), row.at.as_deref(), row.shown)).collect();
    assert_eq!((shop.agree, differ), (3, vec![("B", Some("6"), 7)]));
}

#[test]
fn what_the_mapping_table_says_is_known_as_the_daemon_knows_it() {
    let read = BTreeMap::from([
        (
            ch(ERP),
            Read {
                items: vec![CatalogueItem { levels: None, ..sku("A", 0) }],
                counts: vec![counted("A", 5)],
            },
        ),
        (ch(SHOP), Read { items: vec![sku("X", 5), sku("Y", 1)], counts: Vec::new() }),
    ]);
    let row = |text: &str, to: &str| MappingRow {
        channel: ch(SHOP),
        ids: Identifiers::new([(IdKind::Sku, text)]).expect("an identifier"),
        sku: crate::model::Sku::new(to).expect("a good sku"),
    };
    let mut policies = policies();
    // What was imported counts more than what the configuration says.
    policies.mapping.table = vec![row("X", "B")];
    let table = [row("X", "A")];
    let found = survey(&policies, &table, &read, Timestamp::from_millis(1_000)).expect("nothing is refused");
    let shop = of(&found, SHOP);
    assert_eq!((shop.bound.clone(), shop.unmatched), (BTreeMap::from([("mapping table", 1)]), 1));
    let unmatched: Vec<_> = found.proposals.rows.iter().map(|row| row.ids["channel_sku"].as_str()).collect();
    assert_eq!((unmatched, shop.agree), (vec!["Y"], 1));
}
