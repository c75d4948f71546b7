//! From puts to the variables of `inventorySetQuantities`, and of `inventoryAdjustQuantities` where one is a delta.
//!
//! One call of the first carries up to 250 quantities, each of an item at a location, under one key, and succeeds or fails as a whole.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    connectors::{
        Outcome, Put,
        shopify::{
            gid::{self, gid},
            options::{Location, Locations},
        },
    },
    model::{IdKind, Identifiers, Quantity},
};

/// The most quantities that one call may carry (Shopify's limit for any array).
pub(super) const BATCH: usize = 250;

/// How the change is named in the merchant's inventory history. The list of reasons is Shopify's.
const REASON: &str = "correction";

/// One put that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Which of the puts it is.
    pub(super) index: usize,
    pub(super) item: u64,
    pub(super) location: &'a Location,
    pub(super) put: &'a Put,
}

/// The puts that can be sent, sorted by item and location, and the outcomes of those that cannot.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) refused: Vec<(usize, Outcome)>,
}

/// Sorts out what can be sent at all.
pub(super) fn plan<'a>(puts: &'a [Put], locations: &'a Locations) -> Plan<'a> {
    let mut plan = Plan::default();
    let mut seen = BTreeSet::new();
    for (index, put) in puts.iter().enumerate() {
        match entry(index, put, locations) {
            Ok(entry) if seen.insert((entry.item, entry.location.number)) => plan.entries.push(entry),
            Ok(_) => {
                let reason = format!("`{}` is in one batch twice; the first goes first", put.ids);
                plan.refused.push((index, Outcome::NotSent { reason }));
            }
            Err(reason) => plan.refused.push((index, Outcome::Rejected { reason })),
        }
    }
    // The same entries make the same call, and so the same key, in whatever order they come.
    plan.entries.sort_by_key(|entry| (entry.item, entry.location.number));
    plan
}

fn entry<'a>(index: usize, put: &'a Put, locations: &'a Locations) -> Result<Entry<'a>, String> {
    let item = item(&put.ids)?;
    let location = locations.of(&put.ids)?;
    if put.location != location.id {
        let (number, ours) = (location.number, &location.id);
        return Err(format!("the shop's location `{number}` is `{ours}` here, not `{}`", put.location));
    }
    for quantity in [Some(put.quantity), put.compare, put.delta].into_iter().flatten() {
        Quantity::bounded(quantity.units()).map_err(|e| format!("{e}: `{quantity}`"))?;
    }
    Ok(Entry { index, item, location, put })
}

/// Returns the inventory item that a listing is.
pub(super) fn item(ids: &Identifiers) -> Result<u64, String> {
    let text = ids.get(IdKind::InventoryItem);
    text.and_then(gid::parse).ok_or_else(|| format!("no Shopify inventory item id is known of `{ids}`"))
}

#[derive(Debug, Serialize)]
pub(super) struct SetQuantities {
    input: Input,
    key: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    name: &'static str,
    reason: &'static str,
    reference_document_uri: String,
    quantities: Vec<QuantityInput>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QuantityInput {
    inventory_item_id: String,
    location_id: String,
    quantity: i64,
    /// Always written: leaving it out is an error, null means that nothing is compared.
    change_from_quantity: Option<i64>,
}

/// Returns the variables of one call.
pub(super) fn set_quantities(entries: &[Entry<'_>]) -> SetQuantities {
    let key = call_key(entries);
    let quantities = entries.iter().map(|entry| QuantityInput {
        inventory_item_id: gid("InventoryItem", entry.item),
        location_id: entry.location.gid(),
        quantity: entry.put.quantity.units(),
        change_from_quantity: entry.put.compare.map(Quantity::units),
    });
    let quantities = quantities.collect();
    let reference_document_uri = reference(entries, &key);
    SetQuantities {
        input: Input { name: "available", reason: REASON, reference_document_uri, quantities },
        key,
    }
}

#[derive(Debug, Serialize)]
pub(super) struct AdjustQuantities {
    input: AdjustInput,
    key: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdjustInput {
    name: &'static str,
    reason: &'static str,
    reference_document_uri: String,
    changes: [ChangeInput; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeInput {
    delta: i64,
    inventory_item_id: String,
    location_id: String,
    /// Always written, as above: null means that nothing is compared.
    change_from_quantity: Option<i64>,
}

/// Returns the variables of a call that changes one quantity. It is alone in its call: that several are done all or not at all
/// is nowhere stated, and what was done must not be sent again with what was not.
pub(super) fn adjust_quantities(entry: &Entry<'_>, delta: Quantity) -> AdjustQuantities {
    let entries = std::slice::from_ref(entry);
    let key = call_key(entries);
    let change = ChangeInput {
        delta: delta.units(),
        inventory_item_id: gid("InventoryItem", entry.item),
        location_id: entry.location.gid(),
        change_from_quantity: None,
    };
    let (changes, reference_document_uri) = ([change], reference(entries, &key));
    AdjustQuantities {
        input: AdjustInput { name: "available", reason: REASON, reference_document_uri, changes },
        key,
    }
}

/// Returns the key of a call: derived from its entries' keys, so that the same batch sent again has the same key, and
/// any part of it sent alone has another. Written like a UUID, the form that Shopify's own examples use.
pub(super) fn call_key(entries: &[Entry<'_>]) -> String {
    let mut hash = Sha256::new();
    for entry in entries {
        let key = entry.put.key.as_str();
        // The length keeps `a` + `bc` apart from `ab` + `c`.
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(key.as_bytes());
    }
    let hex: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// What stands in a reference as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Returns what the merchant's history shows as the cause: the instance and the commit that the entries share, or the first
/// and the last of them; one call has room for one.
fn reference(entries: &[Entry<'_>], key: &str) -> String {
    let named =
        |entity: &str, id: &str| format!("gid://evenkeel/{entity}/{}", utf8_percent_encode(id, PLAIN));
    let references = || entries.iter().map(|entry| entry.put.reference.as_str());
    let first = references().next().unwrap_or_default();
    if !first.is_empty() && references().all(|other| other == first) {
        return named("Commit", first);
    }
    let numbered = |reference: &str| {
        let (instance, commit) = reference.rsplit_once('-')?;
        Some((instance.to_owned(), commit.parse::<u64>().ok()?))
    };
    let all: Option<BTreeSet<(String, u64)>> = references().map(numbered).collect();
    let ends = all.as_ref().and_then(|all| Some((all.first()?, all.last()?)));
    match ends {
        Some(((instance, from), (last, to))) if instance == last => {
            named("Commits", &format!("{instance}-{from}-{to}"))
        }
        Some(_) | None => format!("gid://evenkeel/Batch/{key}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{IdempotencyKey, LocationId};

    pub(in crate::connectors::shopify) fn location(name: &str, number: u64) -> Location {
        Location { id: LocationId::new(name).expect("good"), number, stocks: false }
    }

    pub(in crate::connectors::shopify) fn one() -> Locations {
        Locations::new(vec![location("main", 5)]).expect("one")
    }

    pub(in crate::connectors::shopify) fn two() -> Locations {
        Locations::new(vec![location("main", 5), location("store", 6)]).expect("two")
    }

    pub(in crate::connectors::shopify) fn put(
        item: &str,
        quantity: i64,
        compare: Option<i64>,
        key: &str,
    ) -> Put {
        Put {
            ids: Identifiers::new([(IdKind::InventoryItem, item), (IdKind::Sku, "A")]).expect("good"),
            location: LocationId::new("main").expect("good"),
            quantity: Quantity::new(quantity),
            compare: compare.map(Quantity::new),
            delta: None,
            key: IdempotencyKey::new(key).expect("good"),
            reference: "order 7/ü".to_owned(),
        }
    }

    fn key_of(puts: &[Put]) -> String {
        call_key(&plan(puts, &one()).entries)
    }

    #[test]
    fn a_call_names_every_quantity_with_what_it_replaces() {
        let puts = [put("9307199254740993", 4, Some(5), "k1"), put("8", -2, None, "k2")];
        let one = one();
        let planned = plan(&puts, &one);
        assert_eq!(planned.entries.iter().map(|e| e.index).collect::<Vec<_>>(), [1, 0]);
        let variables = serde_json::to_value(set_quantities(&planned.entries)).expect("it is plain");
        assert_eq!(
            variables["input"],
            json!({
                "name": "available",
                "reason": "correction",
                "referenceDocumentUri": "gid://evenkeel/Commit/order%207%2F%C3%BC",
                "quantities": [
                    {"inventoryItemId": "gid://shopify/InventoryItem/8", "locationId": "gid://shopify/Location/5",
                     "quantity": -2, "changeFromQuantity": null},
                    {"inventoryItemId": "gid://shopify/InventoryItem/9307199254740993",
                     "locationId": "gid://shopify/Location/5", "quantity": 4, "changeFromQuantity": 5},
                ],
            })
        );
    }

    #[test]
    fn a_delta_names_what_it_changes_by_and_compares_nothing() {
        let puts = [Put { delta: Some(Quantity::new(-3)), ..put("8", 4, None, "k1") }];
        let one = one();
        let planned = plan(&puts, &one);
        let adjust = adjust_quantities(&planned.entries[0], Quantity::new(-3));
        let variables = serde_json::to_value(adjust).expect("it is plain");
        assert_eq!(
            variables,
            json!({
                "input": {
                    "name": "available",
                    "reason": "correction",
                    "referenceDocumentUri": "gid://evenkeel/Commit/order%207%2F%C3%BC",
                    "changes": [{"delta": -3, "inventoryItemId": "gid://shopify/InventoryItem/8",
                                 "locationId": "gid://shopify/Location/5", "changeFromQuantity": null}],
                },
                "key": call_key(&planned.entries),
            })
        );
    }

    #[test]
    fn a_key_follows_from_the_entries_and_not_from_their_order() {
        let (a, b, c) = (put("1", 1, None, "ka"), put("2", 1, None, "kb"), put("3", 1, None, "kc"));
        let all = key_of(&[a.clone(), b.clone(), c.clone()]);
        assert_eq!(all, key_of(&[c.clone(), a.clone(), b.clone()]));
        assert_eq!(all.len(), 36);
        assert_ne!(all, key_of(&[a.clone(), b.clone()]));
        assert_ne!(key_of(std::slice::from_ref(&a)), key_of(std::slice::from_ref(&b)));
        assert_ne!(
            key_of(&[put("1", 1, None, "a"), put("2", 1, None, "bc")]),
            key_of(&[put("1", 1, None, "ab"), put("2", 1, None, "c")])
        );
    }

    #[test]
    fn a_call_names_the_instance_and_its_commits() {
        let check = |references: &[&str], want: &str| {
            let puts: Vec<Put> = (1..)
                .zip(references)
                .map(|(n, reference): (i32, &&str)| Put {
                    reference: (*reference).to_owned(),
                    ..put(&n.to_string(), 1, None, "k")
                })
                .collect();
            let one = one();
            assert_eq!(reference(&plan(&puts, &one).entries, "KEY"), format!("gid://evenkeel/{want}"));
        };
        check(&["main-4711"], "Commit/main-4711");
        check(&["main-4711", "main-4711"], "Commit/main-4711");
        check(&["my-shop_2-4713", "my-shop_2-99", "my-shop_2-4712"], "Commits/my-shop_2-99-4713");
        check(&["main-4711", "other-4712"], "Batch/KEY");
        check(&["main-4711", "something"], "Batch/KEY");
    }

    #[test]
    fn one_call_writes_an_item_at_each_of_its_locations() {
        let at = |mut put: Put, name: &str, number: &str| {
            put.location = LocationId::new(name).expect("good");
            let place = Identifiers::new([(IdKind::Location, number)]).expect("good");
            put.ids = put.ids.and(&place);
            put
        };
        let two = two();
        let puts = [
            at(put("8", 3, Some(4), "k1"), "store", "6"),
            at(put("8", 1, Some(2), "k2"), "main", "5"),
            // Another place of ours than what the shop's location is.
            at(put("9", 1, None, "k3"), "main", "6"),
            at(put("9", 1, None, "k4"), "main", "7"),
            put("9", 1, None, "k5"),
        ];
        let planned = plan(&puts, &two);
        let rejected: Vec<usize> = planned.refused.iter().map(|(n, _)| *n).collect();
        assert_eq!(rejected, [2, 3]);
        let variables = serde_json::to_value(set_quantities(&planned.entries)).expect("it is plain");
        let rows = variables["input"]["quantities"].as_array().expect("a list").iter();
        let rows =
            rows.map(|row| format!("{} {} {}", row["inventoryItemId"], row["locationId"], row["quantity"]));
        let rows: Vec<String> = rows.map(|row| row.replace("gid://shopify/", "").replace('"', "")).collect();
        let want =
            ["InventoryItem/8 Location/5 1", "InventoryItem/8 Location/6 3", "InventoryItem/9 Location/5 1"];
        assert_eq!(rows, want);
    }

    #[test]
    fn a_put_that_cannot_be_sent_never_stops_another() {
        let mut nowhere = put("2", 1, None, "k2");
        nowhere.location = LocationId::new("other").expect("good");
        let puts = [
            put("1", 1, None, "k1"),
            nowhere,
            put("x", 1, None, "k3"),
            put("4", Quantity::LIMIT + 1, None, "k4"),
            put("5", 1, Some(-Quantity::LIMIT - 1), "k5"),
            put("1", 2, None, "k6"),
            put("7", Quantity::LIMIT, None, "k7"),
        ];
        let one = one();
        let planned = plan(&puts, &one);
        assert_eq!(planned.entries.iter().map(|e| e.index).collect::<Vec<_>>(), [0, 6]);
        let kinds: Vec<(usize, bool)> =
            planned.refused.iter().map(|(n, o)| (*n, matches!(o, Outcome::Rejected { .. }))).collect();
        assert_eq!(kinds, [(1, true), (2, true), (3, true), (4, true), (5, false)]);
    }
}
