//! Inventories: somebody counts, and the difference to what was expected when the count was saved is booked.

use std::collections::BTreeSet;

use serde_json::json;

use super::Failure;
use super::db::{Database, Id};
use super::read::expected;
use super::sales::row;
use super::{seed, shipments};

/// Notes on each line what is expected now.
pub(super) fn expect(db: &mut Database, inventory: Id) {
    if db.text("stock.inventory", inventory, "state") != "draft" {
        return;
    }
    let location = db.one("stock.inventory", inventory, "location").unwrap_or(seed::STORAGE);
    for line in db.many("stock.inventory", inventory, "stock.inventory.line", "inventory") {
        let product = db.one("stock.inventory.line", line, "product").unwrap_or(0);
        let units = expected(db, product, location);
        db.set("stock.inventory.line", line, "expected_quantity", units);
    }
}

/// Books the differences.
pub(super) fn confirm(db: &mut Database, model: &'static str, inventory: Id) -> Result<(), Failure> {
    let location = db.one(model, inventory, "location").unwrap_or(seed::STORAGE);
    let empties = db.text(model, inventory, "empty_quantity") == "empty";
    let lines = db.many(model, inventory, "stock.inventory.line", "inventory");
    let mut seen = BTreeSet::new();
    for line in lines {
        let product = db.one("stock.inventory.line", line, "product").unwrap_or(0);
        if !seen.insert(product) {
            let message = format!("Line \"{line}\" is not unique on inventory \"{inventory}\".");
            return Err(Failure::user(message));
        }
        let expected = db.number("stock.inventory.line", line, "expected_quantity");
        let counted = match db.value("stock.inventory.line", line, "quantity").as_f64() {
            Some(counted) => counted,
            None if empties => 0.0,
            None => expected,
        };
        let (from, to, units) = if counted > expected {
            (seed::LOST_FOUND, location, counted - expected)
        } else {
            (location, seed::LOST_FOUND, expected - counted)
        };
        if units > 0.0 {
            let of = json!({
                "product": product, "unit": seed::UNIT, "quantity": units, "internal_quantity": units,
                "from_location": from, "to_location": to, "state": "draft", "company": seed::COMPANY,
                "planned_date": db.value(model, inventory, "date"), "origin": format!("stock.inventory.line,{line}"),
            });
            let of = db.insert("stock.move", row(of));
            shipments::finish(db, of);
        }
    }
    db.set(model, inventory, "state", "done");
    Ok(())
}
