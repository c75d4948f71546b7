//! The inventory mutations: compare-and-set, all-or-nothing calls, and the store of idempotency keys. Messages and
//! field paths are those of recorded answers where there are any.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::sandbox::books::{Cause, Channel};
use crate::sandbox::people::{self, Wish};
use crate::sandbox::world::World;

use super::ids::{self, Kind};
use super::store::{Level, Store};
use super::webhooks::Event;

/// How long a key is remembered after its first use.
const KEY_LIFE_MS: i64 = 24 * 3600 * 1000;
const ARRAY_MAX: usize = 250;
const SET_MAX: i64 = 1_000_000_000;
const ADJUST_MAX: i64 = 2_000_000_000;
const REASONS: &str = "correction, cycle_count_available, damaged, movement_canceled, movement_created, \
                       movement_received, movement_updated, other, promotion, quality_control, received, \
                       reservation_created, reservation_deleted, reservation_updated, restock, safety_stock, shrinkage";

/// One mutation as it was asked for.
pub(super) struct Call<'a> {
    pub(super) mutation: &'a str,
    pub(super) arguments: Value,
    /// The key of its `@idempotent` directive.
    pub(super) key: Option<&'a str>,
}

pub(super) type Mutation = fn(&mut World, &Call<'_>, i64) -> Outcome;

/// A payload.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) group: Option<Arc<Group>>,
    pub(super) level: Option<(usize, usize)>,
    /// The number of a webhook subscription that was made or changed, or deleted.
    pub(super) subscription: Option<u64>,
    pub(super) deleted: Option<u64>,
    pub(super) errors: Vec<UserError>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) created_ms: i64,
    pub(super) reason: String,
    pub(super) reference: Option<String>,
    pub(super) changes: Vec<Change>,
}

#[derive(Debug)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) delta: i64,
    pub(super) item: usize,
    pub(super) place: usize,
    pub(super) ledger: Option<String>,
}

#[derive(Debug)]
pub(super) struct UserError {
    pub(super) code: &'static str,
    pub(super) field: Vec<String>,
    pub(super) message: String,
}

/// A top-level error instead of a payload.
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// The idempotency keys of the last day, and those of calls under way.
#[derive(Default)]
pub(super) struct Keys {
    kept: BTreeMap<String, (u64, Arc<Outcome>)>,
    ages: VecDeque<(i64, String)>,
    running: BTreeSet<String>,
}

impl Keys {
    /// Marks calls as under way; false when one with such a key already is.
    pub(super) fn start(&mut self, keys: &[String]) -> bool {
        if keys.iter().any(|key| self.running.contains(key)) {
            return false;
        }
        self.running.extend(keys.iter().cloned());
        true
    }

    pub(super) fn finish(&mut self, keys: &[String]) {
        for key in keys {
            self.running.remove(key);
        }
    }

    fn keep(&mut self, key: &str, call: u64, outcome: &Arc<Outcome>, now_ms: i64) {
        self.kept.insert(key.to_owned(), (call, Arc::clone(outcome)));
        self.ages.push_back((now_ms, key.to_owned()));
    }

    fn forget_old(&mut self, now_ms: i64) {
        while self.ages.front().is_some_and(|(at_ms, _)| *at_ms + KEY_LIFE_MS <= now_ms) {
            if let Some((_, key)) = self.ages.pop_front() {
                self.kept.remove(&key);
            }
        }
    }
}

/// Carries a call out unless its key says that this was done, or cannot be.
pub(super) fn once(
    world: &mut World,
    call: &Call<'_>,
    act: Mutation,
    concurrent: bool,
    now_ms: i64,
) -> Result<Arc<Outcome>, Refused> {
    let Some(key) = call.key else {
        let message =
            "The @idempotent directive is required for this mutation but was not provided.".to_owned();
        return Err(Refused { code: "BAD_REQUEST", message });
    };
    check_shape(&call.arguments)?;
    if concurrent {
        let message = "This request is currently in progress, please try again.";
        return Ok(refuse("IDEMPOTENCY_CONCURRENT_REQUEST", message));
    }
    let mut hasher = DefaultHasher::new();
    (call.mutation, call.arguments.to_string()).hash(&mut hasher);
    let fingerprint = hasher.finish();
    world.shopify.keys.forget_old(now_ms);
    if let Some((known, outcome)) = world.shopify.keys.kept.get(key) {
        return Ok(if *known != fingerprint {
            let message = "The same idempotency key cannot be used with different operation parameters.";
            refuse("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", message)
        } else if outcome.errors.is_empty() {
            Arc::clone(outcome)
        } else {
            let message =
                "A previous request with this idempotency key failed. Retry with a new idempotency key.";
            refuse("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", message)
        });
    }
    rush(world, call, now_ms);
    let outcome = Arc::new(act(world, call, now_ms));
    world.shopify.keys.keep(key, fingerprint, &outcome, now_ms);
    Ok(outcome)
}

/// Has a shopper buy one of what is in the rush, if the call compares what is shown of it. One that compares nothing cannot come too
/// late.
fn rush(world: &mut World, call: &Call<'_>, now_ms: i64) {
    let rush = world.faults.rush().and_then(|sku| world.catalogue.find(sku));
    let Some(rush) = rush else { return };
    let entries = ["quantities", "changes"].into_iter();
    let mut entries = entries.filter_map(|list| call.arguments["input"][list].as_array()).flatten();
    let is_rush =
        |entry: &Value| entry["inventoryItemId"].as_str().and_then(|id| Kind::InventoryItem.read(id));
    if entries.any(|entry| is_rush(entry) == Some(rush) && entry["changeFromQuantity"].is_i64()) {
        let lines = [(rush, 1)];
        let wish = Wish { channel: Channel::Shopify, lines: &lines, fba: false, hidden: false, place: None };
        // Where none is left, nobody is in a rush any more.
        let _bought = people::place(world, &wish, now_ms);
    }
}

fn refuse(code: &'static str, message: &str) -> Arc<Outcome> {
    let error = UserError { code, field: Vec::new(), message: message.to_owned() };
    Arc::new(Outcome { errors: vec![error], ..Outcome::default() })
}

/// What is checked when the call runs although the schema does not ask for it.
fn check_shape(arguments: &Value) -> Result<(), Refused> {
    for (list, owner) in [("quantities", "InventoryQuantityInput"), ("changes", "InventoryChangeInput")] {
        let Some(entries) = arguments["input"][list].as_array() else { continue };
        if entries.len() > ARRAY_MAX {
            let message = format!(
                "The input array size of {} is greater than the maximum allowed of {ARRAY_MAX}.",
                entries.len()
            );
            return Err(Refused { code: "MAX_INPUT_SIZE_EXCEEDED", message });
        }
        if entries.iter().any(|entry| entry.get("changeFromQuantity").is_none()) {
            let message = format!("{owner} must include the following argument: changeFromQuantity.");
            return Err(Refused { code: "INVALID_FIELD_ARGUMENTS", message });
        }
    }
    Ok(())
}

/// Collects user errors with their paths.
#[derive(Default)]
struct Errors(Vec<UserError>);

impl Errors {
    fn add(&mut self, code: &'static str, field: &[&str], message: impl Into<String>) {
        let field = field.iter().map(|part| (*part).to_owned()).collect();
        self.0.push(UserError { code, field, message: message.into() });
    }

    fn check_reason(&mut self, reason: &str) {
        if !REASONS.split(", ").any(|known| known == reason) {
            let message = format!("The specified reason is invalid. Valid values are: {REASONS}.");
            self.add("INVALID_REASON", &["input", "reason"], message);
        }
    }

    fn check_reference(&mut self, reference: Option<&str>) {
        let fine = |uri: &str| match uri.split_once("://") {
            Some(("gid", rest)) => {
                rest.split('/').count() >= 3 && rest.split('/').all(|part| !part.is_empty())
            }
            Some((scheme, rest)) => !scheme.is_empty() && !rest.is_empty(),
            None => false,
        };
        if !reference.is_none_or(fine) {
            let message = "The specified reference document is invalid.";
            self.add("INVALID_REFERENCE_DOCUMENT", &["input", "referenceDocumentUri"], message);
        }
    }

    /// The item of an entry and its place, if it can be written.
    fn item(&mut self, shop: &Store, entry: &Value, at: [&str; 3]) -> Option<(usize, usize)> {
        let [input, list, n] = at;
        let item = entry["inventoryItemId"].as_str().and_then(|id| Kind::InventoryItem.read(id));
        let item = item.filter(|item| *item < shop.items.len());
        let place = entry["locationId"].as_str().and_then(ids::read_location_gid);
        let Some(place) = place.filter(|place| *place < shop.places) else {
            let message = "The specified location could not be found.";
            self.add("INVALID_LOCATION", &[input, list, n, "locationId"], message);
            return None;
        };
        let Some(item) = item else {
            let message = "The specified inventory item could not be found.";
            self.add("INVALID_INVENTORY_ITEM", &[input, list, n, "inventoryItemId"], message);
            return None;
        };
        if !shop.has_level(item) {
            let message = "The specified inventory item is not allowed to be adjusted via API. Example: if the \
                           inventory item is a parent bundle.";
            self.add("NON_MUTABLE_INVENTORY_ITEM", &[input, list, n, "inventoryItemId"], message);
            return None;
        }
        if !input.is_empty() && !shop.is_stocked(item, place) {
            let message = "The quantity couldn't be set because the item isn't stocked at the location.";
            // 2026-10 has no code of its own for this.
            self.add("INVALID_LOCATION", &[input, list, n, "locationId"], message);
            return None;
        }
        Some((item, place))
    }

    fn check_stale(&mut self, level: &Level, name: &str, entry: &Value, at: [&str; 3]) {
        let [input, list, n] = at;
        let expected = entry["changeFromQuantity"].as_i64();
        if expected.is_some_and(|expected| level.get(name) != Some(expected)) {
            let message = "The changeFromQuantity argument no longer matches the persisted quantity.";
            self.add("CHANGE_FROM_QUANTITY_STALE", &[input, list, n, "changeFromQuantity"], message);
        }
    }
}

/// `inventorySetQuantities`: `available` or `on_hand` of up to 250 items, all or none.
pub(super) fn set_quantities(world: &mut World, call: &Call<'_>, now_ms: i64) -> Outcome {
    let input = &call.arguments["input"];
    let name = input["name"].as_str().unwrap_or_default();
    let mut errors = Errors::default();
    if !["available", "on_hand"].contains(&name) {
        let message = "The quantity name must be either 'available' or 'on_hand'.";
        errors.add("INVALID_NAME", &["input", "name"], message);
    }
    errors.check_reason(input["reason"].as_str().unwrap_or_default());
    errors.check_reference(input["referenceDocumentUri"].as_str());
    let mut seen = BTreeSet::new();
    let mut changes = Vec::new();
    for (n, entry) in input["quantities"].as_array().into_iter().flatten().enumerate() {
        let n = n.to_string();
        let at = ["input", "quantities", n.as_str()];
        let Some((item, place)) = errors.item(&world.shopify, entry, at) else { continue };
        if !seen.insert((item, place)) {
            let message = "The combination of inventoryItemId and locationId must be unique.";
            errors.add("NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", &["input", "quantities", &n], message);
        }
        let quantity = entry["quantity"].as_i64().unwrap_or_default();
        check_bounds(&mut errors, name, quantity, &["input", "quantities", &n, "quantity"]);
        let level = world.shopify.level(item, place);
        errors.check_stale(level, name, entry, at);
        let delta = quantity - level.get(name).unwrap_or(quantity);
        changes.push(Change { name: "available".into(), delta, item, place, ledger: None });
    }
    finish(world, input, errors, changes, now_ms)
}

fn check_bounds(errors: &mut Errors, name: &str, quantity: i64, field: &[&str]) {
    if quantity > SET_MAX {
        errors.add("INVALID_QUANTITY_TOO_HIGH", field, "The quantity can't be higher than 1,000,000,000.");
    } else if quantity < -SET_MAX {
        errors.add("INVALID_QUANTITY_TOO_LOW", field, "The quantity can't be lower than -1,000,000,000.");
    } else if name == "on_hand" && quantity < 0 {
        errors.add("INVALID_QUANTITY_NEGATIVE", field, "The quantity can't be negative.");
    }
}

/// `inventoryAdjustQuantities`: deltas on one state, all or none.
pub(super) fn adjust_quantities(world: &mut World, call: &Call<'_>, now_ms: i64) -> Outcome {
    let input = &call.arguments["input"];
    let name = input["name"].as_str().unwrap_or_default();
    let mut errors = Errors::default();
    if Level::default().adjustable(name).is_none() {
        let message = "The specified quantity name is invalid. Valid values are: available, damaged, incoming, \
                       quality_control, reserved, safety_stock.";
        errors.add("INVALID_QUANTITY_NAME", &["input", "name"], message);
        return Outcome { errors: errors.0, ..Outcome::default() };
    }
    errors.check_reason(input["reason"].as_str().unwrap_or_default());
    errors.check_reference(input["referenceDocumentUri"].as_str());
    let mut changes: Vec<Change> = Vec::new();
    for (n, entry) in input["changes"].as_array().into_iter().flatten().enumerate() {
        let n = n.to_string();
        let at = ["input", "changes", n.as_str()];
        let ledger = entry["ledgerDocumentUri"].as_str();
        check_ledger(&mut errors, name, ledger, &["input", "changes", &n, "ledgerDocumentUri"]);
        let Some((item, place)) = errors.item(&world.shopify, entry, at) else { continue };
        let delta = entry["delta"].as_i64().unwrap_or_default();
        if delta.abs() > ADJUST_MAX {
            let (code, bound) = if delta > 0 {
                ("INVALID_QUANTITY_TOO_HIGH", "higher than 2,000,000,000")
            } else {
                ("INVALID_QUANTITY_TOO_LOW", "lower than -2,000,000,000")
            };
            errors.add(code, &["input", "changes", &n, "delta"], format!("The quantity can't be {bound}."));
        }
        errors.check_stale(world.shopify.level(item, place), name, entry, at);
        changes.push(Change { name: name.to_owned(), delta, item, place, ledger: ledger.map(str::to_owned) });
    }
    if changes.iter().any(|change| change.ledger != changes[0].ledger) {
        let message = "All changes must have the same ledger document URI or, in the case of adjusting available, no \
                       ledger document URI.";
        errors.add("MAX_ONE_LEDGER_DOCUMENT", &["input", "changes"], message);
    }
    finish(world, input, errors, changes, now_ms)
}

fn check_ledger(errors: &mut Errors, name: &str, ledger: Option<&str>, field: &[&str]) {
    match ledger {
        Some(_) if name == "available" => {
            let message = "A ledger document URI is not allowed when adjusting available.";
            errors.add("INVALID_AVAILABLE_DOCUMENT", field, message);
        }
        None if name != "available" => {
            let message = "A ledger document URI is required except when adjusting available.";
            errors.add("INVALID_QUANTITY_DOCUMENT", field, message);
        }
        Some(uri) if uri.starts_with("gid://shopify/") => {
            let message =
                "Internal (gid://shopify/) ledger documents are not allowed to be adjusted via API.";
            errors.add("INTERNAL_LEDGER_DOCUMENT", field, message);
        }
        Some(_) | None => {}
    }
}

/// `inventoryActivate`: stocks an item at a location. One that is stocked there keeps its quantity.
pub(super) fn activate(world: &mut World, call: &Call<'_>, now_ms: i64) -> Outcome {
    let mut errors = Errors::default();
    let found = errors.item(&world.shopify, &call.arguments, ["", "", ""]);
    let Some((item, place)) = found else {
        for error in &mut errors.0 {
            error.field.retain(|part| !part.is_empty());
        }
        return Outcome { errors: errors.0, ..Outcome::default() };
    };
    let active = world.shopify.is_stocked(item, place);
    for (argument, name) in [("available", "available"), ("onHand", "on_hand")] {
        let Some(units) = call.arguments[argument].as_i64() else { continue };
        if active {
            let message = format!(
                "Not allowed to set an {name} quantity when the item is already active at the location."
            );
            errors.add("", &[argument], message);
        } else {
            world.shopify.items[item].levels[place] =
                Level { available: units, updated_ms: now_ms, ..Level::default() };
        }
    }
    if errors.0.is_empty() {
        world.shopify.items[item].levels[place].absent = false;
        world.show(Channel::Shopify, item, Cause::Write, now_ms);
    }
    Outcome { level: Some((item, place)), errors: errors.0, ..Outcome::default() }
}

/// Applies all changes, or none when there is an error.
fn finish(world: &mut World, input: &Value, errors: Errors, changes: Vec<Change>, now_ms: i64) -> Outcome {
    if !errors.0.is_empty() {
        return Outcome { errors: errors.0, ..Outcome::default() };
    }
    let mut event = Event::new(&mut world.dice, now_ms);
    let mut shown = Vec::new();
    let mut told = Vec::new();
    for change in changes.into_iter().filter(|change| change.delta != 0) {
        let (item, place, delta) = (change.item, change.place, change.delta);
        if change.name == "available" {
            world.shopify.shift(item, place, delta, 0, &mut event);
            shown.push(item);
        } else if let Some(state) = world.shopify.items[item].levels[place].adjustable(&change.name) {
            *state += delta;
        }
        let counted = change.name != "incoming";
        told.push(change);
        if counted {
            told.push(Change { name: "on_hand".into(), delta, item, place, ledger: None });
        }
    }
    for item in shown {
        world.show(Channel::Shopify, item, Cause::Write, now_ms);
    }
    if told.is_empty() {
        return Outcome::default();
    }
    world.shopify.groups += 1;
    let group = Group {
        number: world.shopify.groups,
        created_ms: now_ms,
        reason: input["reason"].as_str().unwrap_or_default().to_owned(),
        reference: input["referenceDocumentUri"].as_str().map(str::to_owned),
        changes: told,
    };
    Outcome { group: Some(Arc::new(group)), ..Outcome::default() }
}
