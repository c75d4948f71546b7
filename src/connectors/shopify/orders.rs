//! What became of an order's units: from Shopify's records to cumulative totals.
//!
//! Webhooks tell an order in the shape of the retired REST API, queries in GraphQL's; `rest` and `graphql` read both
//! into [`Order`], and everything after that is the same. People's data is never read.
//!
//! What Shopify's fields mean (and do not):
//!
//! - `quantity` is what was ever ordered on the line, edits included; it never sinks.
//! - `current_quantity` is that less everything refunded or edited away, shipped or not.
//! - `fulfillable_quantity` is what is still to be shipped. GraphQL's `unfulfilledQuantity` is not: it is
//!   `currentQuantity` less what was shipped, so a refund of a *shipped* unit lowers it, down to below zero.
//! - A refund row says what became of its units: `cancel` puts units on sale again that were not shipped, `return` those
//!   that were. `no_restock` says only that money went back: the unit may lie at the buyer's, may still be shipped
//!   (then it is still fulfillable), or may have been taken off the order because it is not there. Shopify accepts
//!   `return` for units that were never shipped; they too are on sale again.
//! - Edits and cancellations leave refund rows, without money where none moves. Taking units off alone puts nothing on
//!   sale: only the rows do.

use serde_json::Value;

use crate::connectors::shopify::{options::Locations, orders::places::Placed};
use crate::model::{
    FulfilledBy, IdKind, Identifiers, LineId, LineSnapshot, OrderId, OrderSnapshot, Quantity, Rest,
    Timestamp, Totals,
};

pub(super) mod graphql;
mod places;
pub(super) mod rest;

/// An order as both shapes tell it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) name: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// When the order last changed, or where it is to be shipped from.
    pub(super) changed_at: Timestamp,
    pub(super) cancelled: bool,
    pub(super) lines: Vec<Line>,
    pub(super) shipped: Vec<Shipped>,
    pub(super) refunded: Vec<Refunded>,
    /// Shopify's location at which it was sold over the counter.
    pub(super) sold_at: Option<u64>,
    /// Where its units are to be shipped from. `None`: that was not asked, or cannot be told.
    pub(super) routes: Option<Vec<Route>>,
}

/// One line of one fulfillment order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub(super) line: u64,
    /// The fulfillment order: a later one has a higher number.
    pub(super) of: u64,
    /// Shopify's location that is to ship it.
    pub(super) location: Option<u64>,
    /// Still to be shipped.
    pub(super) remaining: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) id: u64,
    pub(super) sku: Option<String>,
    pub(super) variant: Option<u64>,
    pub(super) item: Option<u64>,
    pub(super) gift_card: bool,
    pub(super) quantity: i64,
    pub(super) current: Option<i64>,
    pub(super) fulfillable: Option<i64>,
}

/// One line of one fulfillment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shipped {
    pub(super) line: u64,
    pub(super) quantity: i64,
    pub(super) location: Option<u64>,
    pub(super) state: Shipping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shipping {
    Done,
    /// Handed to a fulfillment service that has not confirmed. No longer fulfillable, not yet gone.
    UnderWay,
    /// Cancelled or failed: as if it had never been.
    Void,
}

impl Shipping {
    /// Reads a fulfillment's status, in upper or lower case.
    pub(super) fn read(status: &str) -> Shipping {
        match status.to_ascii_lowercase().as_str() {
            "success" => Shipping::Done,
            "cancelled" | "error" | "failure" => Shipping::Void,
            // `pending`, `open`, and whatever may come.
            _ => Shipping::UnderWay,
        }
    }
}

/// One line of one refund.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refunded {
    pub(super) line: u64,
    pub(super) quantity: i64,
    /// Where it was restocked.
    pub(super) location: Option<u64>,
    pub(super) restock: Restock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restock {
    Cancel,
    Return,
    /// On sale again; whether it had been shipped is not said.
    Legacy,
    No,
}

impl Restock {
    /// Reads a restock type, in upper or lower case. One that is not known puts nothing on sale.
    pub(super) fn read(kind: &str) -> Restock {
        match kind.to_ascii_lowercase().as_str() {
            "cancel" => Restock::Cancel,
            "return" => Restock::Return,
            "legacy_restock" => Restock::Legacy,
            _ => Restock::No,
        }
    }
}

/// How the order came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// By a webhook. It may have been made in the middle of an edit or a cancellation, so what no row explains stays
    /// open.
    Pushed,
    /// By a query. Units taken off that no row explains will not be shipped and were not put on sale.
    Fetched,
}

/// The records of one line, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Units {
    ordered: i64,
    current: i64,
    fulfillable: i64,
    shipped: i64,
    under_way: i64,
    cancel: i64,
    back: i64,
    legacy: i64,
    rows: i64,
    cancelled: bool,
    /// No row is to come that says what became of the units.
    settled: bool,
}

impl Units {
    /// Returns the cumulative totals. `released + written_off + fulfilled` never exceeds `ordered`, and `returned`
    /// never exceeds `fulfilled`, whatever the records say.
    fn totals(self) -> Totals {
        let fulfilled = self.shipped.min(self.ordered);
        let under_way = self.under_way.min(self.ordered - fulfilled);
        let unshipped = self.ordered - fulfilled - under_way;
        // Neither shipped nor to be shipped.
        let gone = (unshipped - self.fulfillable).max(0);

        let mut released = self.cancel.min(unshipped);
        let mut returned = self.back.min(fulfilled);
        // A restock that does not fit its units is believed as a restock: they are on sale.
        let (odd_cancel, odd_back) = (self.cancel - released, self.back - returned);
        released += odd_back.min(unshipped - released);
        returned += odd_cancel.min(fulfilled - returned);
        let legacy_gone = self.legacy.min((gone - released).max(0));
        released += legacy_gone;
        let legacy_back = (self.legacy - legacy_gone).min(fulfilled - returned);
        returned += legacy_back;
        released += (self.legacy - legacy_gone - legacy_back).min(unshipped - released);

        let removed = (self.ordered - self.current).max(0);
        let explained = if self.settled { removed } else { removed.min(self.rows) };
        let lost = if self.settled && self.cancelled && self.fulfillable == 0 {
            unshipped - released
        } else {
            (explained - released - returned).max(0)
        };
        let written_off = lost.min((gone - released).max(0));
        Totals {
            ordered: Quantity::new(self.ordered),
            released: Quantity::new(released),
            written_off: Quantity::new(written_off),
            fulfilled: Quantity::new(fulfilled),
            returned: Quantity::new(returned),
        }
    }
}

/// Checks an amount from outside.
fn units(what: &str, amount: i64) -> Result<i64, String> {
    if (0..=Quantity::LIMIT).contains(&amount) {
        return Ok(amount);
    }
    Err(format!("`{what}` must be between 0 and {}, is {amount}", Quantity::LIMIT))
}

impl Order {
    /// Returns what the ledger needs of it. Err: why it cannot be read.
    pub(super) fn snapshot(&self, told: Told, locations: &Locations) -> Result<OrderSnapshot, String> {
        let mut lines: Vec<LineSnapshot> = Vec::with_capacity(self.lines.len());
        for line in self.lines.iter().filter(|line| line.is_stock()) {
            let id = LineId::new(&line.id.to_string()).map_err(|e| e.to_string())?;
            if lines.iter().any(|other| other.line == id) {
                return Err(format!("line `{id}` is there twice"));
            }
            let totals = self.units(line, told)?.totals();
            let Placed { places, unplaced_at } = self.places(line.id, totals, locations);
            // Where all of it was taken off, it lay there.
            let location = places.first().map(|(location, _)| location).or(unplaced_at.as_ref()).cloned();
            lines.push(LineSnapshot {
                line: id,
                ids: line.identifiers()?,
                location,
                places,
                unplaced_at,
                by: FulfilledBy::Merchant,
                totals,
                rest: Rest::Open,
            });
        }
        let name = self.name.clone().filter(|name| !name.is_empty());
        Ok(OrderSnapshot {
            order: OrderId::new(&self.id.to_string()).map_err(|e| e.to_string())?,
            name,
            version: self.changed_at,
            placed_at: self.created_at,
            complete: true,
            lines,
        })
    }

    /// Tells whether units were taken off the order, by an edit or a cancellation, that no refund explains.
    pub(super) fn is_halfway(&self) -> bool {
        let halfway = |line: &Line| match self.units(line, Told::Pushed) {
            Ok(units) => {
                let totals = units.totals();
                let gone = totals.released.units() + totals.written_off.units() + totals.fulfilled.units();
                let open = gone < totals.ordered.units();
                (self.cancelled && open) || Units { settled: true, ..units }.totals() != totals
            }
            Err(_) => true,
        };
        self.lines.iter().filter(|line| line.is_stock()).any(halfway)
    }

    fn units(&self, line: &Line, told: Told) -> Result<Units, String> {
        let mut sum = Units {
            ordered: units("quantity", line.quantity)?,
            cancelled: self.cancelled,
            settled: told == Told::Fetched,
            ..Units::default()
        };
        for shipped in self.shipped.iter().filter(|shipped| shipped.line == line.id) {
            let quantity = units("fulfilled quantity", shipped.quantity)?;
            match shipped.state {
                Shipping::Done => sum.shipped += quantity,
                Shipping::UnderWay => sum.under_way += quantity,
                Shipping::Void => {}
            }
        }
        for refund in self.refunded.iter().filter(|refund| refund.line == line.id) {
            let quantity = units("refunded quantity", refund.quantity)?;
            sum.rows += quantity;
            match refund.restock {
                Restock::Cancel => sum.cancel += quantity,
                Restock::Return => sum.back += quantity,
                Restock::Legacy => sum.legacy += quantity,
                Restock::No => {}
            }
        }
        // Both are told by every version that is followed; without them the rows alone must do.
        sum.current = line.current.unwrap_or(sum.ordered - sum.rows).max(0);
        let to_ship = sum.ordered - sum.shipped - sum.under_way - sum.cancel;
        sum.fulfillable = line.fulfillable.unwrap_or(to_ship).max(0);
        Ok(sum)
    }
}

impl Line {
    /// Tells whether the line is about stock. Custom lines and tips have neither variant nor SKU; a gift card without
    /// a SKU is a code that is mailed.
    fn is_stock(&self) -> bool {
        let sku = self.sku.as_deref().is_some_and(|sku| !sku.is_empty());
        sku || (self.variant.is_some() && !self.gift_card)
    }

    fn identifiers(&self) -> Result<Identifiers, String> {
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let (variant, item) = (number(self.variant), number(self.item));
        let numbers = [(IdKind::Variant, variant.as_str()), (IdKind::InventoryItem, item.as_str())];
        let sku = (IdKind::Sku, self.sku.as_deref().unwrap_or_default());
        // A SKU that cannot be one must not hide a line that has a variant.
        match Identifiers::new(numbers.into_iter().chain([sku])) {
            Ok(ids) => Ok(ids),
            Err(_) if self.variant.is_some() => Identifiers::new(numbers).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Reads a time as Shopify writes it: ISO 8601 with an offset.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let parsed: jiff::Timestamp = text.parse().map_err(|e| format!("`{text}` is not a time: {e}"))?;
    Ok(Timestamp::from_millis(parsed.as_millisecond()))
}

/// Writes a time as Shopify's search takes it, rounded down to the second.
pub(super) fn search_time(at: Timestamp) -> String {
    let second = at.millis().div_euclid(1000);
    let clamped = second.clamp(jiff::Timestamp::UNIX_EPOCH.as_second(), jiff::Timestamp::MAX.as_second());
    jiff::Timestamp::from_second(clamped).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// Reads the entry's own id for an error about it, if that much can be read.
pub(super) fn id_of(entry: &Value) -> Option<String> {
    match &entry["id"] {
        Value::String(gid) => Some(gid.rsplit('/').next().unwrap_or(gid).to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
pub(super) mod tests;
