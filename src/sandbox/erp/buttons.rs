//! Buttons: which exist, and in which states they may be pressed.

use serde_json::json;

use super::db::{Database, Id};
use super::schema::Model;
use super::{Failure, counts, sales, shipments};

type Press = fn(&mut Database, &'static str, Id) -> Result<(), Failure>;

/// Any state: the button then does nothing where it has nothing to do.
const ANY: &[&str] = &[];

/// Presses a button on a record.
pub(super) fn press(db: &mut Database, model: &'static Model, id: Id, button: &str) -> Result<(), Failure> {
    let (states, act) = find(model.name, button).ok_or(Failure::Forbidden)?;
    let state = db.text(model.name, id, "state");
    if !states.is_empty() && !states.contains(&state) {
        let name = db.rec_name(model.name, id);
        return Err(Failure::user(format!(
            "You can not call \"{button}\" on \"{name}\" of \"{}\".",
            model.title
        )));
    }
    act(db, model.name, id)
}

fn find(model: &str, button: &str) -> Option<(&'static [&'static str], Press)> {
    Some(match (model, button) {
        ("sale.sale", "quote") => (&["draft"], sales::quote),
        ("sale.sale", "confirm") => (&["quotation"], sales::confirm),
        ("sale.sale", "process") => {
            (&["confirmed", "processing", "done"], |db, _, id| sales::process(db, id))
        }
        ("sale.sale", "cancel") => (&["draft", "quotation"], |db, model, id| to(db, model, id, "cancelled")),
        ("sale.sale", "draft") => {
            (&["cancelled", "quotation", "confirmed"], |db, model, id| to(db, model, id, "draft"))
        }
        ("stock.shipment.out", "wait") => (&["assigned", "waiting", "draft"], shipments::wait),
        ("stock.shipment.out", "assign_try") => (ANY, shipments::assign_try),
        ("stock.shipment.out" | "stock.shipment.internal", "assign_force") => (ANY, shipments::assign_force),
        ("stock.shipment.out", "pick") => (&["assigned"], shipments::pick),
        ("stock.shipment.out", "pack") => (&["picked"], shipments::pack),
        ("stock.shipment.out", "ship") => (&["packed"], |db, model, id| to(db, model, id, "shipped")),
        ("stock.shipment.out", "do") => (&["packed", "shipped"], shipments::send),
        ("stock.shipment.out", "cancel") => {
            (&["draft", "waiting", "assigned", "picked", "packed", "shipped"], shipments::cancel)
        }
        ("stock.shipment.out.return", "receive") => (&["draft"], shipments::receive),
        ("stock.shipment.out.return", "do") => (&["received"], shipments::put_away),
        ("stock.shipment.out.return", "cancel") => (&["draft", "received"], shipments::cancel),
        ("stock.shipment.internal", "wait") => (&["assigned", "waiting", "draft"], shipments::wait_internal),
        ("stock.shipment.internal", "assign_try") => (ANY, shipments::assign_try),
        ("stock.shipment.internal", "do") => (&["assigned"], shipments::do_internal),
        ("stock.shipment.internal", "cancel") => {
            (&["request", "draft", "waiting", "assigned"], shipments::cancel)
        }
        ("stock.inventory", "confirm") => (&["draft"], counts::confirm),
        ("stock.inventory", "cancel") => (&["draft"], |db, model, id| to(db, model, id, "cancelled")),
        // A move that belongs to no shipment cannot be done by hand where it needs an assignment.
        ("stock.move", "do") => (&["never"], |_, _, _| Ok(())),
        _ => return None,
    })
}

/// Moves a record to a state, with nothing else to do.
fn to(db: &mut Database, model: &'static str, id: Id, state: &str) -> Result<(), Failure> {
    db.set(model, id, "state", json!(state));
    Ok(())
}
