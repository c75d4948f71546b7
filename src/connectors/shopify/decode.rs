//! From answers to outcomes, levels and catalogue items.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    connectors::{
        CatalogueItem, Observed, Outcome,
        http::{self, excerpt},
        shopify::{
            gid,
            graphql::Trouble,
            options::Location,
            orders::{graphql::Connection, time},
        },
    },
    model::{FulfilledBy, IdKind, Identifiers, Levels, Quantity},
};

/// What the answer to one `inventorySetQuantities` says of its entries.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// One outcome for each entry, in their order.
    Each(Vec<Outcome>),
    /// Nothing was done because of these entries (by index): send the others without them.
    Blamed(BTreeMap<usize, Outcome>),
    /// Nothing was done, and it does not say which entry is to blame: send parts of it.
    Split,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default)]
    user_errors: Vec<UserError>,
}

#[derive(Debug, Deserialize)]
struct UserError {
    code: Option<String>,
    #[serde(default)]
    field: Option<Vec<Value>>,
    #[serde(default)]
    message: String,
}

impl UserError {
    /// Returns the entry that it is about: `["input", "quantities", "0", ...]`, the index as text.
    fn entry(&self, entries: usize) -> Option<usize> {
        let [_, list, index, ..] = self.field.as_deref()? else { return None };
        if list.as_str() != Some("quantities") {
            return None;
        }
        let index = match index {
            Value::String(text) => text.parse().ok()?,
            Value::Number(number) => usize::try_from(number.as_u64()?).ok()?,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        (index < entries).then_some(index)
    }

    fn text(&self) -> String {
        let code = self.code.as_deref().unwrap_or("no code");
        format!("`{code}`: {}", excerpt(self.message.as_bytes()))
    }

    /// Returns what the error does to the entry that it is about.
    fn outcome(&self) -> Outcome {
        match self.code.as_deref() {
            Some("CHANGE_FROM_QUANTITY_STALE" | "COMPARE_QUANTITY_STALE") => Outcome::Stale,
            _ => Outcome::Rejected { reason: self.text() },
        }
    }

    /// Returns what the error does to the whole call, if it is about the call and not about an entry.
    fn call(&self) -> Option<Outcome> {
        Some(match self.code.as_deref()? {
            // The first request with this key is still at work: it may land.
            "IDEMPOTENCY_CONCURRENT_REQUEST" => Outcome::Unknown { fault: self.text() },
            // The key stands for other variables, so it does not say what became of these.
            "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" => Outcome::Unknown { fault: self.text() },
            // Done for with this key; another one may go.
            "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" => Outcome::NotSent { reason: self.text() },
            "INVALID_NAME"
            | "INVALID_REASON"
            | "INVALID_REFERENCE_DOCUMENT"
            | "COMPARE_QUANTITY_REQUIRED" => Outcome::Rejected { reason: self.text() },
            _ => return None,
        })
    }
}

/// Reads the answer to a call with `entries` quantities.
pub(super) fn set_quantities(data: Result<Value, Trouble>, entries: usize) -> Said {
    let each = |outcome: Outcome| Said::Each(vec![outcome; entries]);
    let data = match data {
        Ok(data) => data,
        Err(Trouble::Refused(_) | Trouble::TooCostly(_)) if entries > 1 => return Said::Split,
        Err(trouble) => return each(trouble.outcome()),
    };
    let Ok(payload) = Payload::deserialize(&data["inventorySetQuantities"]) else {
        return each(Outcome::Unknown { fault: "the answer does not say what was done".to_owned() });
    };
    if payload.user_errors.is_empty() {
        return each(Outcome::Applied);
    }
    if let Some(outcome) = payload.user_errors.iter().find_map(UserError::call) {
        return each(outcome);
    }
    blame(&payload.user_errors, entries)
}

/// Reads the answer to a call that changes one quantity by so much. What it does not surely say is not known: it must not go again
/// before somebody has looked, whatever the key is good for.
pub(super) fn adjust_quantities(data: Result<Value, Trouble>) -> Outcome {
    let data = match data {
        Ok(data) => data,
        Err(trouble) => return trouble.outcome(),
    };
    let Ok(payload) = Payload::deserialize(&data["inventoryAdjustQuantities"]) else {
        return Outcome::Unknown { fault: "the answer does not say what was done".to_owned() };
    };
    let Some(error) = payload.user_errors.first() else { return Outcome::Applied };
    match error.code.as_deref() {
        // An earlier request with this key may have done it, or the same one halfway.
        Some("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" | "ADJUST_QUANTITIES_FAILED" | "SERVICE_UNAVAILABLE") => {
            Outcome::Unknown { fault: error.text() }
        }
        _ => error.call().unwrap_or_else(|| error.outcome()),
    }
}

/// Gives each error to its entry. Of several about one entry, the first counts.
fn blame(errors: &[UserError], entries: usize) -> Said {
    if entries == 1 {
        return Said::Each(errors.first().map(UserError::outcome).into_iter().collect());
    }
    let mut blamed = BTreeMap::new();
    for error in errors {
        if let Some(entry) = error.entry(entries) {
            blamed.entry(entry).or_insert_with(|| error.outcome());
        }
    }
    if blamed.is_empty() { Said::Split } else { Said::Blamed(blamed) }
}

/// An inventory item as queries tell it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemNode {
    id: String,
    sku: Option<String>,
    tracked: bool,
    variants: Option<Variants>,
    inventory_level: Option<LevelNode>,
}

#[derive(Debug, Deserialize)]
struct Variants {
    nodes: Vec<VariantNode>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VariantNode {
    id: String,
    barcode: Option<String>,
    display_name: Option<String>,
    requires_components: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LevelNode {
    is_active: bool,
    updated_at: Option<String>,
    quantities: Vec<NamedQuantity>,
}

#[derive(Debug, Deserialize)]
struct NamedQuantity {
    name: String,
    quantity: i64,
}

impl ItemNode {
    fn variants(&self) -> &[VariantNode] {
        self.variants.as_ref().map(|variants| variants.nodes.as_slice()).unwrap_or_default()
    }

    /// Returns why its quantity must not be written, if so.
    fn unwritable(&self, location: &Location) -> Option<String> {
        if self.variants().iter().any(|variant| variant.requires_components) {
            return Some("a bundle: Shopify works out its quantity from the components".to_owned());
        }
        if !self.tracked {
            return Some("Shopify does not track its quantity".to_owned());
        }
        match &self.inventory_level {
            None if location.stocks => None,
            None => Some(format!("not stocked at the shop's location `{}`", location.number)),
            Some(level) if !level.is_active => {
                Some(format!("no longer stocked at the shop's location `{}`", location.number))
            }
            Some(_) => None,
        }
    }

    fn levels(&self, location: &Location) -> Result<Option<Levels>, String> {
        let Some(level) = &self.inventory_level else {
            let none = Levels { available: Quantity::ZERO, on_hand: None, committed: None, changed_at: None };
            return Ok(location.stocks.then_some(none));
        };
        let named = |name: &str| -> Result<Option<Quantity>, String> {
            let found = level.quantities.iter().find(|q| q.name == name);
            let bounded = found.map(|q| Quantity::bounded(q.quantity)).transpose();
            bounded.map_err(|e| format!("`{name}` of `{}`: {e}", self.id))
        };
        let available =
            named("available")?.ok_or_else(|| format!("`available` of `{}` is missing", self.id))?;
        let changed_at = level.updated_at.as_deref().map(time).transpose()?;
        Ok(Some(Levels { available, on_hand: named("on_hand")?, committed: named("committed")?, changed_at }))
    }

    /// Returns what the item goes by. A SKU or barcode that cannot be an identifier is left out.
    fn identifiers(&self) -> Result<Identifiers, String> {
        let number =
            gid::number("InventoryItem", &self.id).ok_or_else(|| format!("`{}` is no item", self.id))?;
        let mut ids = Identifiers::new([(IdKind::InventoryItem, number.to_string().as_str())])
            .map_err(|e| e.to_string())?;
        let variant = self.variants().first();
        let variant_number =
            variant.and_then(|v| gid::number("ProductVariant", &v.id)).map(|n| n.to_string());
        let texts = [
            (IdKind::Variant, variant_number.as_deref()),
            (IdKind::Sku, self.sku.as_deref()),
            (IdKind::Barcode, variant.and_then(|v| v.barcode.as_deref())),
        ];
        for (kind, text) in texts {
            if let Ok(more) = Identifiers::new([(kind, text.unwrap_or_default())]) {
                ids = ids.and(&more);
            }
        }
        Ok(ids)
    }

    fn catalogue(&self, location: &Location) -> Result<CatalogueItem, String> {
        let unwritable = self.unwritable(location);
        // Levels that cannot be read make the item one that must not be written; they do not hold up the page.
        let (levels, unwritable) = match self.levels(location) {
            Ok(levels) => (levels, unwritable),
            Err(why) => (None, unwritable.or(Some(why))),
        };
        Ok(CatalogueItem {
            ids: self.identifiers()?,
            title: self.variants().first().and_then(|v| v.display_name.clone()),
            by: FulfilledBy::Merchant,
            levels,
            unwritable,
        })
    }
}

/// Reads the answers for `items` inventory items, in their order. One that cannot be read does not hold up the others.
pub(super) fn levels(data: &Value, items: usize, location: &Location) -> Result<Vec<Observed>, String> {
    let told = |node| observed(node, location).unwrap_or_else(|why| Observed::Unread { why });
    Ok(nodes(data, items)?.iter().map(told).collect())
}

/// How an item stands at a location that it may have to be stocked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was never stocked there, and nothing else keeps it from being written.
    Unstocked,
    /// What is shown of it, or why it must not be written.
    Known(Observed),
}

/// Reads the same answers for items that may have to be stocked.
pub(super) fn standings(data: &Value, items: usize, location: &Location) -> Result<Vec<Standing>, String> {
    let told = |node| standing(node, location);
    Ok(nodes(data, items)?.iter().map(told).collect())
}

fn standing(node: &Value, location: &Location) -> Standing {
    let known = observed(node, location).unwrap_or_else(|why| Observed::Unread { why });
    // What must not be written has said so.
    let bare = matches!(known, Observed::Seen(_)) && node["inventoryLevel"].is_null();
    if bare { Standing::Unstocked } else { Standing::Known(known) }
}

fn nodes(data: &Value, items: usize) -> Result<&[Value], String> {
    let nodes = data["nodes"].as_array().ok_or("the answer has no `nodes`")?;
    if nodes.len() != items {
        return Err(format!("{items} items were asked for, {} were answered", nodes.len()));
    }
    Ok(nodes)
}

fn observed(node: &Value, location: &Location) -> Result<Observed, String> {
    if node.is_null() || node["__typename"].as_str().is_some_and(|kind| kind != "InventoryItem") {
        return Ok(Observed::Absent);
    }
    let item: ItemNode = http::json_part(node)?;
    if let Some(why) = item.unwritable(location) {
        return Ok(Observed::Unwritable { why });
    }
    Ok(item.levels(location)?.map_or(Observed::Absent, Observed::Seen))
}

/// One page of inventory items.
#[derive(Debug, PartialEq)]
pub(super) struct Items {
    pub(super) items: Vec<CatalogueItem>,
    /// What could not be read, as far as it could.
    pub(super) unread: Vec<CatalogueItem>,
    /// The items' numbers, in the order of the page.
    pub(super) numbers: Vec<u64>,
    pub(super) next: Option<String>,
}

/// Reads one page of the catalogue. An item that cannot be read does not hold up the others, nor does it vanish.
pub(super) fn items(data: &Value, location: &Location) -> Result<Items, String> {
    let page: Connection<Value> = http::json_part(&data["inventoryItems"])?;
    let number = |node: &Value| gid::number("InventoryItem", node["id"].as_str()?);
    let numbers = page.nodes.iter().filter_map(number).collect();
    let mut out = Items { items: Vec::new(), unread: Vec::new(), numbers, next: page.page_info.next()? };
    for node in &page.nodes {
        match item(node, location) {
            Ok(item) => out.items.push(item),
            Err(unread) => out.unread.push(*unread),
        }
    }
    Ok(out)
}

/// Reads one inventory item; the error is its row by as much of it as could be read.
pub(super) fn item(node: &Value, location: &Location) -> Result<CatalogueItem, Box<CatalogueItem>> {
    let read = http::json_part::<ItemNode>(node).and_then(|item| item.catalogue(location));
    read.map_err(|why| Box::new(unread(node, &why)))
}

/// Returns the row of an item that could not be read, by as much of it as could.
fn unread(node: &Value, why: &str) -> CatalogueItem {
    let number = node["id"].as_str().and_then(|id| gid::number("InventoryItem", id)).map(|n| n.to_string());
    let texts = [(IdKind::InventoryItem, number.as_deref()), (IdKind::Sku, node["sku"].as_str())];
    let mut ids = Identifiers::default();
    for (kind, text) in texts {
        if let Ok(more) = Identifiers::new([(kind, text.unwrap_or_default())]) {
            ids = ids.and(&more);
        }
    }
    CatalogueItem {
        ids,
        title: None,
        by: FulfilledBy::Unknown,
        levels: None,
        unwritable: Some(format!("what Shopify tells of it was not understood: {why}")),
    }
}

#[cfg(test)]
mod tests;
