//! The company that the ERP starts with, with the ids that a freshly installed Tryton gives.

use serde_json::{Value, json};

use crate::sandbox::catalogue::Catalogue;

use super::db::{Database, Id, Row};

pub(super) const COMPANY: Id = 1;
pub(super) const CURRENCY: Id = 1;
pub(super) const UNIT: Id = 1;
pub(super) const INPUT: Id = 1;
pub(super) const OUTPUT: Id = 2;
pub(super) const STORAGE: Id = 3;
pub(super) const LOST_FOUND: Id = 4;
pub(super) const WAREHOUSE: Id = 5;
pub(super) const CUSTOMER_LOCATION: Id = 7;
/// The first location of the second warehouse; each has four.
const MORE: Id = 8;
/// The party for sales of the web shops, and its address.
pub(super) const CUSTOMER: Id = 2;
pub(super) const ADDRESS: Id = 1;
/// The group that may press `process`.
const SALES_ADMINISTRATOR: Id = 14;

/// The locations of one warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Zones {
    pub(super) input: Id,
    pub(super) output: Id,
    pub(super) storage: Id,
    pub(super) warehouse: Id,
}

/// The warehouse of a place.
pub(super) fn zones(place: usize) -> Zones {
    let Some(more) = place.checked_sub(1) else {
        return Zones { input: INPUT, output: OUTPUT, storage: STORAGE, warehouse: WAREHOUSE };
    };
    let first = MORE + 4 * Id::try_from(more).unwrap_or(0);
    Zones { input: first, output: first + 1, storage: first + 2, warehouse: first + 3 }
}

/// The place of a warehouse.
pub(super) fn place_of(warehouse: Id) -> Option<usize> {
    if warehouse == WAREHOUSE {
        return Some(0);
    }
    let more = usize::try_from((warehouse - MORE - 3).checked_div(4)?).ok()?;
    (zones(more + 1).warehouse == warehouse).then_some(more + 1)
}

/// The code of a place's warehouse.
pub(super) fn warehouse_code(place: usize) -> String {
    if place == 0 { "WH".to_owned() } else { format!("WH{}", place + 1) }
}

pub(super) fn product_id(sku: usize) -> Id {
    Id::try_from(sku + 1).expect("catalogues are small")
}

pub(super) fn sku_of(product: Id) -> Option<usize> {
    usize::try_from(product).ok()?.checked_sub(1)
}

pub(super) fn fill(db: &mut Database, catalogue: &Catalogue) {
    let mut add = |model, row: Value| {
        let row: Row = row.as_object().cloned().unwrap_or_default();
        db.insert(model, row)
    };
    add("currency.currency", json!({"name": "US Dollar", "code": "USD", "symbol": "$"}));
    add("product.uom", json!({"name": "Unit", "symbol": "u", "digits": 0}));
    for (name, code, kind, parent) in [
        ("Input Zone", Some("IN"), "storage", Some(WAREHOUSE)),
        ("Output Zone", Some("OUT"), "storage", Some(WAREHOUSE)),
        ("Storage Zone", Some("STO"), "storage", Some(WAREHOUSE)),
        ("Lost and Found", None, "lost_found", None),
        ("Warehouse", Some("WH"), "warehouse", None),
        ("Supplier", Some("SUP"), "supplier", None),
        ("Customer", Some("CUS"), "customer", None),
    ] {
        let mut row = json!({"name": name, "code": code, "type": kind, "parent": parent, "active": true});
        if kind == "warehouse" {
            row["storage_location"] = json!(STORAGE);
            row["input_location"] = json!(INPUT);
            row["output_location"] = json!(OUTPUT);
        }
        add("stock.location", row);
    }
    more_warehouses(catalogue.skus.first().map_or(1, |sku| sku.openings.len()), &mut add);
    for (code, name) in [("1", "Sandbox Company"), ("2", "Web shop customer")] {
        let location = CUSTOMER_LOCATION;
        add(
            "party.party",
            json!({"name": name, "code": code, "active": true, "customer_location": location}),
        );
    }
    add("party.address", json!({"party": CUSTOMER, "active": true}));
    add("company.company", json!({"party": 1, "currency": CURRENCY}));
    for n in 1..=SALES_ADMINISTRATOR {
        let name =
            if n == SALES_ADMINISTRATOR { "Sales Administrator".to_owned() } else { format!("Group {n}") };
        add("res.group", json!({"name": name}));
    }
    add("res.user", json!({"name": "evenkeel", "login": "evenkeel"}));
    let button = json!({"model": "sale.sale", "name": "process", "groups": [SALES_ADMINISTRATOR]});
    add("ir.model.button", button);
    for sku in &catalogue.skus {
        let price = json!({
            "__class__": "Decimal",
            "decimal": format!("{}.{:02}", sku.price_cents / 100, sku.price_cents % 100),
        });
        let template = add(
            "product.template",
            json!({
                "name": sku.title, "type": "goods", "active": true, "salable": true, "default_uom": UNIT,
                "sale_uom": UNIT, "list_price": price,
            }),
        );
        add(
            "product.product",
            json!({
                "template": template, "code": sku.code, "suffix_code": sku.code, "name": sku.title, "type": "goods",
                "active": true, "default_uom": UNIT, "list_price_used": price,
            }),
        );
    }
    for (n, sku) in catalogue.skus.iter().enumerate() {
        for (place, units) in sku.openings.iter().enumerate() {
            db.shift(product_id(n), zones(place).storage, *units as f64);
        }
    }
}

/// The warehouses of all places but the first.
fn more_warehouses(places: usize, add: &mut impl FnMut(&'static str, Value) -> Id) {
    for place in 1..places {
        let (zones, code) = (zones(place), warehouse_code(place));
        for (name, zone) in [("Input Zone", "IN"), ("Output Zone", "OUT"), ("Storage Zone", "STO")] {
            add(
                "stock.location",
                json!({
                    "name": name, "code": format!("{zone}{}", place + 1), "type": "storage", "parent": zones.warehouse,
                    "active": true,
                }),
            );
        }
        add(
            "stock.location",
            json!({
                "name": format!("Warehouse {}", place + 1), "code": code, "type": "warehouse", "parent": null,
                "active": true, "storage_location": zones.storage, "input_location": zones.input,
                "output_location": zones.output,
            }),
        );
    }
}

/// The preferences of the user behind the key.
pub(super) fn preferences() -> Value {
    json!({
        "language": "en", "language_direction": "ltr", "locale": {"date": "%m/%d/%Y"}, "administrator": 0,
        "company": COMPANY, "company.rec_name": "Sandbox Company", "company_filter": "one", "companies": [COMPANY],
        "employees": [],
        "groups": [SALES_ADMINISTRATOR, 9, 11],
    })
}
