//! Sales: quotation, confirmation, and the processing that makes shipments and follows them.

use serde_json::json;

use super::db::{Database, Id, Row};
use super::{Failure, read, seed, shipments};

pub(super) fn quote(db: &mut Database, model: &'static str, sale: Id) -> Result<(), Failure> {
    let missing = |field: &str| db.value(model, sale, field).is_null();
    if missing("invoice_address") || missing("shipment_address") {
        let name = db.rec_name(model, sale);
        let message = format!("To get a quote for sale \"{name}\" you must enter its addresses.");
        return Err(Failure::user(message));
    }
    if db.sale_lines(sale).is_empty() {
        let message = format!("You can not call \"quote\" on \"{}\" of \"Sale\".", db.rec_name(model, sale));
        return Err(Failure::user(message));
    }
    let number = db.next_number(model);
    db.update(
        model,
        sale,
        row(json!({"state": "quotation", "number": number, "quotation_date": db.today()})),
    );
    Ok(())
}

/// Confirms; the processing follows in a transaction of its own.
pub(super) fn confirm(db: &mut Database, model: &'static str, sale: Id) -> Result<(), Failure> {
    db.update(model, sale, row(json!({"state": "confirmed", "sale_date": db.today()})));
    db.queue.insert(sale);
    Ok(())
}

/// Makes shipments for what has none yet, and brings the states up to date.
pub(super) fn process(db: &mut Database, sale: Id) -> Result<(), Failure> {
    let state = db.text("sale.sale", sale, "state");
    if !["confirmed", "processing", "done"].contains(&state) {
        return Ok(());
    }
    for returned in [false, true] {
        let moves = missing_moves(db, sale, returned);
        if !moves.is_empty() {
            make_shipment(db, sale, returned, moves)?;
        }
    }
    let shipped = shipment_state(db, sale);
    if db.text("sale.sale", sale, "shipment_state") != shipped {
        db.set("sale.sale", sale, "shipment_state", shipped);
    }
    if db.text("sale.sale", sale, "state") != "processing" {
        db.set("sale.sale", sale, "state", "processing");
    }
    Ok(())
}

/// (line, units) that no move stands for.
fn missing_moves(db: &Database, sale: Id, returned: bool) -> Vec<(Id, f64)> {
    let mut missing = Vec::new();
    for line in db.sale_lines(sale) {
        let quantity = db.number("sale.line", line, "quantity");
        if (quantity < 0.0) != returned || db.value("sale.line", line, "product").is_null() {
            continue;
        }
        let recreated = db.set_of("sale.line", line, "moves_recreated");
        let moves = db.many("sale.line", line, "stock.move", "origin");
        let counted = moves.iter().filter(|of| !recreated.contains(of));
        let units: f64 = counted.map(|of| db.number("stock.move", *of, "quantity")).sum();
        if quantity.abs() - units > 0.0 {
            missing.push((line, quantity.abs() - units));
        }
    }
    missing
}

fn make_shipment(db: &mut Database, sale: Id, returned: bool, moves: Vec<(Id, f64)>) -> Result<(), Failure> {
    let one = |field: &str| db.value("sale.sale", sale, field).clone();
    let warehouse = db.one("sale.sale", sale, "warehouse").unwrap_or(read::default_warehouse());
    let zones = seed::zones(seed::place_of(warehouse).unwrap_or(0));
    let mut shipment = row(json!({
        "state": "draft", "company": seed::COMPANY, "customer": one("party"), "warehouse": warehouse,
        "warehouse_storage": zones.storage, "planned_date": db.today(),
    }));
    let (model, from, to) = if returned {
        shipment.insert("warehouse_input".into(), json!(zones.input));
        shipment.insert("number".into(), json!(db.next_number("stock.shipment.out.return")));
        ("stock.shipment.out.return", seed::CUSTOMER_LOCATION, zones.input)
    } else {
        shipment.insert("warehouse_output".into(), json!(zones.output));
        ("stock.shipment.out", zones.output, seed::CUSTOMER_LOCATION)
    };
    let id = db.insert(model, shipment);
    for (line, units) in moves {
        let of = json!({
            "product": db.value("sale.line", line, "product"), "unit": seed::UNIT, "quantity": units,
            "internal_quantity": units, "from_location": from, "to_location": to, "state": "draft",
            "company": seed::COMPANY, "planned_date": db.today(), "currency": seed::CURRENCY,
            "unit_price": db.value("sale.line", line, "unit_price"), "origin": format!("sale.line,{line}"),
            "shipment": format!("{model},{id}"),
        });
        db.insert("stock.move", row(of));
    }
    if !returned {
        shipments::wait(db, model, id)?;
    }
    Ok(())
}

fn shipment_state(db: &Database, sale: Id) -> &'static str {
    let lines = db.sale_lines(sale);
    let cancelled = |of: &Id| db.text("stock.move", *of, "state") == "cancelled";
    let exception = |line: &Id| {
        let ignored = db.set_of("sale.line", *line, "moves_ignored");
        let recreated = db.set_of("sale.line", *line, "moves_recreated");
        let moves = db.many("sale.line", *line, "stock.move", "origin");
        moves.iter().any(|of| cancelled(of) && !ignored.contains(of) && !recreated.contains(of))
    };
    if lines.iter().any(exception) {
        return "exception";
    }
    if db.sale_moves(sale).iter().all(cancelled) {
        return "none";
    }
    let progress: Vec<f64> = lines.iter().filter_map(|line| progress(db, *line)).collect();
    if progress.iter().all(|share| *share >= 1.0) {
        "sent"
    } else if progress.iter().any(|share| *share > 0.0) {
        "partially shipped"
    } else {
        "waiting"
    }
}

/// The share of a line that is shipped, or will never be.
fn progress(db: &Database, line: Id) -> Option<f64> {
    let quantity = db.number("sale.line", line, "quantity").abs();
    if quantity == 0.0 || db.value("sale.line", line, "product").is_null() {
        return None;
    }
    let ignored = db.set_of("sale.line", line, "moves_ignored");
    let moves = db.many("sale.line", line, "stock.move", "origin");
    let over = |of: &&Id| db.text("stock.move", **of, "state") == "done" || ignored.contains(of);
    let units: f64 = moves.iter().filter(over).map(|of| db.number("stock.move", *of, "quantity")).sum();
    Some((units / quantity).clamp(0.0, 1.0))
}

pub(super) fn row(value: serde_json::Value) -> Row {
    value.as_object().cloned().unwrap_or_default()
}
