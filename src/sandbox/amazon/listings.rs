//! Listings Items 2021-08-01. A write is validated, accepted, and live some time later; a live quantity is absolute and
//! overwrites what Amazon had taken off for orders by itself.

use serde_json::{Map, Value, json};

use crate::sandbox::books::{Cause, Channel};
use crate::sandbox::clock::iso_millis;
use crate::sandbox::options::AmazonOptions;
use crate::sandbox::world::{Event, World, signed};

use super::store::{FBA, Listing, MERCHANT, Store};
use super::{Failure, Params};

const AVAILABILITY: &str = "fulfillment_availability";
const PAGE_MAX: usize = 20;
/// How many items paging reaches.
const REACH: usize = 1000;
const DATASETS: [&str; 8] = [
    "summaries",
    "attributes",
    "issues",
    "offers",
    "fulfillmentAvailability",
    "procurement",
    "relationships",
    "productTypes",
];

/// A submission on its way to being live.
pub(super) struct Landing {
    at_ms: i64,
    /// Channel code, quantity.
    quantities: Vec<(String, i64)>,
}

/// `patchListingsItem`.
pub(super) fn patch(
    world: &mut World,
    options: &AmazonOptions,
    seller_sku: &str,
    params: &Params,
    body: &[u8],
    now_ms: i64,
) -> Result<Value, Failure> {
    check_marketplace(&world.amazon, params)?;
    let preview = match params.get("mode") {
        None => false,
        Some("VALIDATION_PREVIEW") => true,
        Some(_) => return Err(Failure::invalid("mode has an unknown value")),
    };
    let request: Value =
        serde_json::from_slice(body).map_err(|_| Failure::invalid("the request body is not JSON"))?;
    let product_type = request["productType"].as_str().filter(|name| !name.is_empty());
    let patches = request["patches"].as_array().filter(|patches| !patches.is_empty());
    let (Some(_), Some(patches)) = (product_type, patches) else {
        return Err(Failure::invalid("productType and patches are required"));
    };
    let Some(listing) = world.amazon.by_seller_sku.get(seller_sku).copied() else {
        let issue = issue("13013", "This SKU is not in the Amazon catalog.", &[]);
        return Ok(submission(world, seller_sku, "INVALID", vec![issue]));
    };
    let mut attributes = world.amazon.listings[listing].attributes.clone();
    let mut issues = Vec::new();
    for patch in patches {
        apply(&mut attributes, patch, &mut issues)?;
    }
    let quantities = quantities(&attributes, &world.amazon.listings[listing], &mut issues);
    if !issues.is_empty() {
        return Ok(submission(world, seller_sku, "INVALID", issues));
    }
    if preview {
        return Ok(submission(world, seller_sku, "VALID", issues));
    }
    submit(world, options, listing, attributes, quantities, now_ms);
    Ok(submission(world, seller_sku, "ACCEPTED", issues))
}

/// What a feed's message does to the attributes of a listing.
pub(super) enum Change {
    Patches(Vec<Value>),
    /// The attributes that are named are replaced whole.
    Some(Map<String, Value>),
    /// All others are erased.
    All(Map<String, Value>),
}

/// The attributes of a listing, and the quantities in them by channel code.
pub(super) type Changed = (Map<String, Value>, Vec<(String, i64)>);

/// Returns the attributes after a change, and the quantities in them. Err: what is wrong with it.
pub(super) fn changed(shop: &Store, listing: usize, change: &Change) -> Result<Changed, Vec<Value>> {
    let own = &shop.listings[listing];
    let (mut attributes, mut issues) = (own.attributes.clone(), Vec::new());
    match change {
        Change::Patches(patches) => {
            for patch in patches {
                if let Err(failure) = apply(&mut attributes, patch, &mut issues) {
                    issues.push(issue("4000001", &failure.details, &[]));
                }
            }
        }
        Change::Some(new) => attributes.extend(new.clone()),
        Change::All(new) => attributes = new.clone(),
    }
    let quantities = quantities(&attributes, own, &mut issues);
    if issues.is_empty() { Ok((attributes, quantities)) } else { Err(issues) }
}

/// Plans the landing; submissions of one listing land in the order in which they came.
pub(super) fn submit(
    world: &mut World,
    options: &AmazonOptions,
    listing: usize,
    attributes: Map<String, Value>,
    quantities: Vec<(String, i64)>,
    now_ms: i64,
) {
    let delay = signed(world.dice.within(options.visibility_ms));
    let own = &mut world.amazon.listings[listing];
    own.attributes = attributes;
    own.updated_ms = now_ms;
    let at_ms = (now_ms + delay).max(own.landing.back().map_or(0, |landing| landing.at_ms));
    own.landing.push_back(Landing { at_ms, quantities });
    world.agenda.plan(at_ms, Event::AmazonLands { listing });
}

/// The oldest submission of a listing goes live.
pub(in crate::sandbox) fn land(world: &mut World, listing: usize, now_ms: i64) {
    let own = &mut world.amazon.listings[listing];
    let Some(landing) = own.landing.pop_front() else { return };
    let sku = own.sku;
    for (code, quantity) in landing.quantities {
        if code == MERCHANT && own.fnsku.is_some() {
            own.flipped = Some(quantity);
            world.amazon.fba_violations += 1;
            return;
        }
        if code == MERCHANT {
            own.live = quantity;
        }
    }
    if own.fnsku.is_none() {
        world.show(Channel::Amazon, sku, Cause::Write, now_ms);
    }
}

fn submission(world: &mut World, seller_sku: &str, status: &str, issues: Vec<Value>) -> Value {
    let id = world.dice.uuid();
    json!({"sku": seller_sku, "status": status, "submissionId": id, "issues": issues})
}

pub(super) fn issue(code: &str, message: &str, attributes: &[&str]) -> Value {
    let categories: &[&str] = if attributes.is_empty() { &[] } else { &["INVALID_ATTRIBUTE"] };
    json!({
        "code": code,
        "message": message,
        "severity": "ERROR",
        "attributeNames": attributes,
        "categories": categories,
    })
}

/// Applies one patch to the attributes: `merge` changes the entries with the same selector, `replace` and `add` put the
/// new value in the place of the old one, whatever it held.
fn apply(attributes: &mut Map<String, Value>, patch: &Value, issues: &mut Vec<Value>) -> Result<(), Failure> {
    let path = patch["path"].as_str().and_then(|path| path.strip_prefix("/attributes/"));
    let name = path.filter(|name| !name.is_empty() && !name.contains('/'));
    let (Some(name), Some(op)) = (name, patch["op"].as_str()) else {
        return Err(Failure::invalid("a patch needs an op and the path of a top-level attribute"));
    };
    let value = patch["value"].as_array();
    match (op, value) {
        ("delete", _) => {
            attributes.remove(name);
        }
        ("add" | "replace", Some(value)) => {
            attributes.insert(name.to_owned(), json!(value));
        }
        ("merge", Some(value)) => merge(attributes, name, value, issues),
        ("add" | "replace" | "merge", None) => {
            issues.push(issue("90220", &format!("'{name}' is required but not supplied."), &[name]));
        }
        (_, _) => return Err(Failure::invalid("op must be add, replace, merge or delete")),
    }
    Ok(())
}

fn merge(attributes: &mut Map<String, Value>, name: &str, value: &[Value], issues: &mut Vec<Value>) {
    let selector = if name == AVAILABILITY { "fulfillment_channel_code" } else { "marketplace_id" };
    let Some(entries) = attributes.entry(name).or_insert_with(|| json!([])).as_array_mut() else {
        return;
    };
    for new in value {
        let Some(selected) = new.get(selector).filter(|code| code.is_string()) else {
            issues.push(issue("90220", &format!("'{selector}' is required but not supplied."), &[name]));
            continue;
        };
        let old = entries.iter_mut().find(|old| old.get(selector) == Some(selected));
        match (old.and_then(Value::as_object_mut), new.as_object()) {
            (Some(old), Some(new)) => old.extend(new.clone()),
            (_, _) => entries.push(new.clone()),
        }
    }
}

/// Reads the quantities out of the attributes, and finds what is wrong with them.
fn quantities(attributes: &Map<String, Value>, own: &Listing, issues: &mut Vec<Value>) -> Vec<(String, i64)> {
    let Some(entries) = attributes.get(AVAILABILITY).and_then(Value::as_array) else {
        // Nothing is offered without availability.
        return vec![(MERCHANT.to_owned(), 0)];
    };
    let mut found = Vec::new();
    for entry in entries {
        let code = entry["fulfillment_channel_code"].as_str();
        let Some(code) = code.filter(|code| *code == MERCHANT || (*code == FBA && own.fnsku.is_some()))
        else {
            let message = "The 'fulfillment_channel_code' is missing or not one of this account.";
            issues.push(issue("90000900", message, &[AVAILABILITY]));
            continue;
        };
        match entry.get("quantity") {
            None => {}
            Some(quantity) => match quantity.as_i64().filter(|units| (0..=1_000_000_000).contains(units)) {
                Some(units) => found.push((code.to_owned(), units)),
                None => {
                    let message = "The 'quantity' must be a whole number that is not negative.";
                    issues.push(issue("90000900", message, &[AVAILABILITY]));
                }
            },
        }
    }
    found
}

/// `getListingsItem`.
pub(super) fn get(world: &World, seller_sku: &str, params: &Params) -> Result<Value, Failure> {
    check_marketplace(&world.amazon, params)?;
    let included = included_data(params)?;
    match world.amazon.by_seller_sku.get(seller_sku) {
        Some(listing) => Ok(item(&world.amazon, *listing, &included)),
        None => {
            let message = format!("SKU '{seller_sku}' not found in marketplace {}", world.amazon.marketplace);
            Err(Failure::not_found(&message))
        }
    }
}

/// `searchListingsItems`: by identifiers, or all in pages of which a thousand items are in reach.
pub(super) fn search(world: &World, params: &Params) -> Result<Value, Failure> {
    let shop = &world.amazon;
    check_marketplace(shop, params)?;
    let included = included_data(params)?;
    let size = match params.get("pageSize").map(str::parse::<usize>) {
        None => 10,
        Some(Ok(size)) if (1..=PAGE_MAX).contains(&size) => size,
        Some(_) => return Err(Failure::invalid("pageSize must be between 1 and 20")),
    };
    let from = match params.get("pageToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("from-")
            .and_then(|row| row.parse::<usize>().ok())
            .ok_or_else(|| Failure::invalid("pageToken is not one of ours"))?,
    };
    let found = matches(shop, params)?;
    let reach = found.len().min(REACH);
    let to = (from + size).min(reach);
    let page = found.get(from.min(to)..to).unwrap_or_default();
    let mut answer = json!({
        "numberOfResults": found.len(),
        "items": page.iter().map(|listing| item(shop, *listing, &included)).collect::<Vec<_>>(),
    });
    let mut pagination = Map::new();
    if to < reach {
        pagination.insert("nextToken".into(), json!(format!("from-{to}")));
    }
    if from > 0 {
        pagination.insert("previousToken".into(), json!(format!("from-{}", from.saturating_sub(size))));
    }
    if !pagination.is_empty() {
        answer["pagination"] = Value::Object(pagination);
    }
    Ok(answer)
}

/// The listings that a search is about.
fn matches(shop: &Store, params: &Params) -> Result<Vec<usize>, Failure> {
    let identifiers = params.csv("identifiers");
    let kind = params.get("identifiersType");
    if identifiers.is_empty() != kind.is_none() {
        return Err(Failure::invalid("identifiers and identifiersType go together"));
    }
    if identifiers.len() > PAGE_MAX {
        return Err(Failure::invalid("at most 20 identifiers"));
    }
    let has = |own: &Listing, identifier: &String| match kind {
        Some("SKU") => own.seller_sku == *identifier,
        Some("ASIN") => own.asin == *identifier,
        Some("FNSKU") => own.fnsku.as_ref() == Some(identifier),
        Some(_) | None => false,
    };
    if kind == Some("SKU") {
        return Ok(identifiers.iter().filter_map(|sku| shop.by_seller_sku.get(sku).copied()).collect());
    }
    let all = shop.listings.iter().enumerate();
    let found = all.filter(|(_, own)| {
        identifiers.is_empty() || identifiers.iter().any(|identifier| has(own, identifier))
    });
    Ok(found.map(|(n, _)| n).collect())
}

fn item(shop: &Store, listing: usize, included: &[String]) -> Value {
    let own = &shop.listings[listing];
    let mut json = json!({"sku": own.seller_sku});
    for name in included {
        json[name] = match name.as_str() {
            "summaries" => json!([summary(shop, own)]),
            "attributes" => json!(own.attributes),
            "fulfillmentAvailability" => availability(own),
            "productTypes" => json!([{"marketplaceId": shop.marketplace, "productType": "PRODUCT"}]),
            _ => json!([]),
        };
    }
    json
}

fn summary(shop: &Store, own: &Listing) -> Value {
    let status: &[&str] = if own.live > 0 { &["BUYABLE", "DISCOVERABLE"] } else { &["DISCOVERABLE"] };
    let mut json = json!({
        "marketplaceId": shop.marketplace,
        "asin": own.asin,
        "productType": "PRODUCT",
        "conditionType": "new_new",
        "status": status,
        "itemName": own.title,
        "createdDate": iso_millis(shop.opened_ms),
        "lastUpdatedDate": iso_millis(own.updated_ms),
    });
    if let Some(fnsku) = &own.fnsku {
        json["fnSku"] = json!(fnsku);
    }
    json
}

/// What is live, by channel. Amazon does not tell the quantity in its own warehouses here.
fn availability(own: &Listing) -> Value {
    let mut channels = Vec::new();
    if own.fnsku.is_some() {
        channels.push(json!({"fulfillmentChannelCode": FBA}));
        channels
            .extend(own.flipped.map(|units| json!({"fulfillmentChannelCode": MERCHANT, "quantity": units})));
    } else {
        channels.push(json!({"fulfillmentChannelCode": MERCHANT, "quantity": own.live.max(0)}));
    }
    json!(channels)
}

fn check_marketplace(shop: &Store, params: &Params) -> Result<(), Failure> {
    if params.csv("marketplaceIds").contains(&shop.marketplace) {
        Ok(())
    } else {
        Err(Failure::invalid("marketplaceIds must name a marketplace of the seller"))
    }
}

fn included_data(params: &Params) -> Result<Vec<String>, Failure> {
    let included = params.csv("includedData");
    if included.iter().any(|name| !DATASETS.contains(&name.as_str())) {
        return Err(Failure::invalid("includedData has an unknown value"));
    }
    Ok(if included.is_empty() { vec!["summaries".to_owned()] } else { included })
}
