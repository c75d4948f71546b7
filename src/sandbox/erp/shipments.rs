//! Shipments and their moves. A delivery goes from the storage zone to the output zone (inventory moves) and from there
//! to the customer (outgoing moves); a return comes in through the input zone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Failure;
use super::db::{Database, Id};
use super::read::parse_reference;
use super::sales::row;
use super::seed;

const OPEN: [&str; 3] = ["draft", "assigned", "staging"];

/// Makes the inventory moves anew, to match the outgoing moves.
pub(super) fn wait(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    for of in db.moves_where(model, id, "to_location", "warehouse_output") {
        if OPEN.contains(&db.text("stock.move", of, "state")) {
            db.delete("stock.move", of);
        }
    }
    for of in db.moves_where(model, id, "from_location", "warehouse_output") {
        let state = db.text("stock.move", of, "state").to_owned();
        if !OPEN.contains(&state.as_str()) {
            continue;
        }
        if state != "draft" {
            db.set("stock.move", of, "state", "draft");
        }
        let units = db.number("stock.move", of, "quantity");
        if units > 0.0 {
            let inventory = json!({
                "product": db.value("stock.move", of, "product"), "unit": seed::UNIT, "quantity": units,
                "internal_quantity": units, "from_location": db.value(model, id, "warehouse_storage"),
                "to_location": db.value("stock.move", of, "from_location"), "state": "draft",
                "company": seed::COMPANY, "planned_date": db.value("stock.move", of, "planned_date"),
                "origin": format!("stock.move,{of}"), "shipment": format!("{model},{id}"),
            });
            db.insert("stock.move", row(inventory));
        }
    }
    number(db, model, id);
    db.set(model, id, "state", "waiting");
    Ok(())
}

pub(super) fn wait_internal(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    let planned = db.value(model, id, "planned_date").clone();
    for of in db.many(model, id, "stock.move", "shipment") {
        if OPEN.contains(&db.text("stock.move", of, "state")) {
            db.update("stock.move", of, row(json!({"state": "draft", "planned_date": planned})));
        }
    }
    number(db, model, id);
    db.set(model, id, "state", "waiting");
    Ok(())
}

fn number(db: &mut Database, model: &'static str, id: Id) {
    if db.value(model, id, "number").is_null() {
        let number = db.next_number(model);
        db.set(model, id, "number", number);
    }
}

/// The moves that take units out of where they are stored.
fn assign_moves(db: &Database, model: &'static str, id: Id) -> Vec<Id> {
    if model == "stock.shipment.out" {
        db.moves_where(model, id, "to_location", "warehouse_output")
    } else {
        db.many(model, id, "stock.move", "shipment")
    }
}

/// Assigns what is there; the shipment is assigned when that is all of it.
pub(super) fn assign_try(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    if db.text(model, id, "state") != "waiting" {
        return Ok(());
    }
    let mut complete = true;
    for of in assign_moves(db, model, id) {
        if db.text("stock.move", of, "state") != "draft" || !needs_assignment(db, of) {
            continue;
        }
        let wanted = db.number("stock.move", of, "quantity");
        let free = unassigned(db, of).clamp(0.0, wanted);
        if free >= wanted {
            db.set("stock.move", of, "state", "assigned");
            continue;
        }
        complete = false;
        if free > 0.0 {
            // What is there goes to a move of its own; the old one keeps the rest.
            let mut taken = db.row("stock.move", of).cloned().unwrap_or_default();
            taken.extend(row(json!({"quantity": free, "internal_quantity": free, "state": "assigned"})));
            db.insert("stock.move", taken);
            let rest = json!({"quantity": wanted - free, "internal_quantity": wanted - free});
            db.update("stock.move", of, row(rest));
        }
    }
    if complete { assign_force(db, model, id) } else { Ok(()) }
}

/// Only what is taken from where stock is kept is looked for there; lost and found never lacks anything.
fn needs_assignment(db: &Database, of: Id) -> bool {
    let from = db.one("stock.move", of, "from_location");
    let kind = from.map(|from| db.text("stock.location", from, "type"));
    kind.is_some_and(|kind| ["storage", "view"].contains(&kind))
        && db.number("stock.move", of, "quantity") != 0.0
}

/// Units at a move's source that no assigned move has taken.
fn unassigned(db: &Database, of: Id) -> f64 {
    let one = |field: &str| db.one("stock.move", of, field).unwrap_or(0);
    let (product, from) = (one("product"), one("from_location"));
    let taken = |of: Id| {
        let ours = db.one("stock.move", of, "from_location") == Some(from)
            && db.text("stock.move", of, "state") == "assigned";
        if ours { db.number("stock.move", of, "quantity") } else { 0.0 }
    };
    db.on_hand(product, &BTreeSet::from([from])) - db.open_moves(product).map(taken).sum::<f64>()
}

/// Assigns everything, also what is not there.
pub(super) fn assign_force(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    if db.text(model, id, "state") != "waiting" {
        return Ok(());
    }
    for of in assign_moves(db, model, id) {
        if db.text("stock.move", of, "state") == "draft" {
            db.set("stock.move", of, "state", "assigned");
        }
    }
    db.set(model, id, "state", "assigned");
    Ok(())
}

/// Moves the units to the output zone; the outgoing moves shrink or grow to what was picked.
pub(super) fn pick(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    let mut picked: BTreeMap<Id, f64> = BTreeMap::new();
    for of in db.moves_where(model, id, "from_location", "warehouse_output") {
        if db.text("stock.move", of, "state") != "cancelled" {
            picked.insert(of, 0.0);
        }
    }
    for of in db.moves_where(model, id, "to_location", "warehouse_output") {
        let units = db.number("stock.move", of, "quantity");
        if units == 0.0 {
            db.delete("stock.move", of);
            continue;
        }
        if db.text("stock.move", of, "state") == "cancelled" {
            continue;
        }
        let outgoing = parse_reference(db.text("stock.move", of, "origin")).map(|(_, outgoing)| outgoing);
        if let Some(total) = outgoing.and_then(|outgoing| picked.get_mut(&outgoing)) {
            *total += units;
        }
        finish(db, of);
    }
    for (of, units) in picked {
        let changes = json!({"quantity": units, "internal_quantity": units, "state": "draft"});
        db.update("stock.move", of, row(changes));
    }
    db.set(model, id, "state", "picked");
    Ok(())
}

pub(super) fn pack(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    for of in db.moves_where(model, id, "from_location", "warehouse_output") {
        if db.number("stock.move", of, "quantity") == 0.0 {
            db.delete("stock.move", of);
        } else if OPEN.contains(&db.text("stock.move", of, "state")) {
            db.set("stock.move", of, "state", "assigned");
        }
    }
    db.set(model, id, "state", "packed");
    Ok(())
}

/// Hands the units to the customer.
pub(super) fn send(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    let moves = db.moves_where(model, id, "from_location", "warehouse_output");
    queue_sales(db, &moves);
    for of in moves {
        if OPEN.contains(&db.text("stock.move", of, "state")) {
            finish(db, of);
        }
    }
    db.update(model, id, row(json!({"state": "done", "effective_date": db.today()})));
    Ok(())
}

/// Takes in what a customer sent back.
pub(super) fn receive(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    let moves = db.moves_where(model, id, "to_location", "warehouse_input");
    queue_sales(db, &moves);
    for of in moves {
        if !OPEN.contains(&db.text("stock.move", of, "state")) {
            continue;
        }
        finish(db, of);
        let units = db.number("stock.move", of, "quantity");
        let inventory = json!({
            "product": db.value("stock.move", of, "product"), "unit": seed::UNIT, "quantity": units,
            "internal_quantity": units, "from_location": db.value(model, id, "warehouse_input"),
            "to_location": db.value(model, id, "warehouse_storage"), "state": "draft", "company": seed::COMPANY,
            "planned_date": db.today(), "origin": format!("stock.move,{of}"), "shipment": format!("{model},{id}"),
        });
        db.insert("stock.move", row(inventory));
    }
    db.set(model, id, "state", "received");
    Ok(())
}

/// Puts returned units into the storage zone.
pub(super) fn put_away(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    for of in db.moves_where(model, id, "from_location", "warehouse_input") {
        finish(db, of);
    }
    db.update(model, id, row(json!({"state": "done", "effective_date": db.today()})));
    Ok(())
}

pub(super) fn do_internal(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    for of in db.many(model, id, "stock.move", "shipment") {
        if OPEN.contains(&db.text("stock.move", of, "state")) {
            finish(db, of);
        }
    }
    db.update(model, id, row(json!({"state": "done", "effective_date": db.today()})));
    Ok(())
}

/// Cancels a shipment with its moves; picked units are back where they came from.
pub(super) fn cancel(db: &mut Database, model: &'static str, id: Id) -> Result<(), Failure> {
    let moves = db.many(model, id, "stock.move", "shipment");
    queue_sales(db, &moves);
    for of in moves {
        db.set("stock.move", of, "state", "cancelled");
    }
    db.set(model, id, "state", "cancelled");
    Ok(())
}

/// Sets a move done today.
pub(super) fn finish(db: &mut Database, of: Id) {
    db.update("stock.move", of, row(json!({"state": "done", "effective_date": db.today()})));
}

/// The sales behind these moves are processed after the transaction.
fn queue_sales(db: &mut Database, moves: &[Id]) {
    for of in moves {
        let line =
            parse_reference(db.text("stock.move", *of, "origin")).filter(|(model, _)| *model == "sale.line");
        let sale = line.and_then(|(_, line)| db.one("sale.line", line, "sale"));
        db.queue.extend(sale);
    }
}
