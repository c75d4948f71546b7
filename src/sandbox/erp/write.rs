//! Creating, changing and deleting records as a client may: defaults, required fields, what is read-only in which state,
//! and the commands of list fields (`create`, `add`, `remove`, `delete`, `write`).

use serde_json::{Value, json};

use super::db::{Database, Id, Row};
use super::schema::{self, Kind, Model};
use super::{Failure, counts, seed};

/// A change of a list field that has to wait for the record's own id.
struct Command {
    target: &'static str,
    by: &'static str,
    value: Value,
}

impl Database {
    /// Creates a record; `own` are fields that the caller may not decide.
    pub(super) fn create(&mut self, model: &'static Model, values: &Value, own: Row) -> Result<Id, Failure> {
        let (mut row, commands) = self.fields(model, values, None)?;
        row.extend(own);
        for (field, value) in self.defaults(model.name, row.get("warehouse").and_then(Value::as_i64)) {
            row.entry(field).or_insert(value);
        }
        if model.name == "stock.move" {
            check_quantity(&row)?;
            let quantity = row.get("quantity").cloned().unwrap_or(Value::Null);
            row.insert("internal_quantity".into(), quantity);
        }
        check_required(model, &row)?;
        let id = self.insert(model.name, row);
        self.run(model.name, id, commands)?;
        if model.name == "stock.inventory" {
            counts::expect(self, id);
        }
        Ok(id)
    }

    /// Changes a record as a client may.
    pub(super) fn modify(&mut self, model: &'static Model, id: Id, values: &Value) -> Result<(), Failure> {
        let (mut row, commands) = self.fields(model, values, Some(id))?;
        let state = self.text(model.name, id, "state").to_owned();
        let fixed: &[&str] = match (model.name, state.as_str()) {
            ("stock.move", "assigned" | "done" | "cancelled") => {
                &["product", "unit", "quantity", "from_location", "to_location", "company"]
            }
            ("stock.move", _) => &["company"],
            ("sale.sale", "draft" | "quotation") | ("stock.inventory", "draft") => &[],
            ("sale.sale", _) => &["party", "company", "currency", "warehouse", "lines", "shipment_method"],
            ("stock.inventory", _) => &["location", "date", "lines", "company"],
            (_, _) => &[],
        };
        let asked = values.as_object().into_iter().flat_map(|values| values.keys());
        for field in asked {
            if field == "state" {
                let message =
                    format!("You are not allowed to modify the field \"State\" of \"{}\".", model.title);
                return Err(Failure::user(message));
            }
            if fixed.contains(&field.as_str()) {
                return Err(self.not_allowed(model, id, field));
            }
        }
        if model.name == "stock.move" && row.contains_key("quantity") {
            check_quantity(&row)?;
            let quantity = row.get("quantity").cloned().unwrap_or(Value::Null);
            row.insert("internal_quantity".into(), quantity);
        }
        self.update(model.name, id, row);
        self.run(model.name, id, commands)?;
        match model.name {
            "stock.inventory" => counts::expect(self, id),
            "stock.inventory.line" => {
                if let Some(inventory) = self.one(model.name, id, "inventory") {
                    counts::expect(self, inventory);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Deletes a record and what belongs to it.
    pub(super) fn remove(&mut self, model: &'static Model, id: Id) -> Result<(), Failure> {
        let state = self.text(model.name, id, "state").to_owned();
        let free = match model.name {
            "sale.sale" | "stock.shipment.out" | "stock.shipment.out.return" | "stock.shipment.internal" => {
                ["draft", "cancelled"].contains(&state.as_str())
            }
            "stock.move" => ["draft", "cancelled", "staging"].contains(&state.as_str()),
            "stock.inventory" => state == "draft" || state == "cancelled",
            "sale.line" | "stock.inventory.line" => true,
            _ => return Err(Failure::Forbidden),
        };
        if !free {
            let name = self.rec_name(model.name, id);
            let title = model.title.to_lowercase();
            return Err(Failure::user(format!("To delete {title} \"{name}\" you must cancel it.")));
        }
        for (target, by) in [("sale.line", "sale"), ("stock.inventory.line", "inventory")] {
            if schema::model(target).and_then(|target| target.field(by)) == Some(Kind::One(model.name)) {
                for child in self.many(model.name, id, target, by) {
                    self.delete(target, child);
                }
            }
        }
        for child in self.many(model.name, id, "stock.move", "shipment") {
            self.delete("stock.move", child);
        }
        self.delete(model.name, id);
        Ok(())
    }

    /// Splits values into stored fields and commands for lists.
    fn fields(
        &self,
        model: &'static Model,
        values: &Value,
        id: Option<Id>,
    ) -> Result<(Row, Vec<Command>), Failure> {
        let values =
            values.as_object().ok_or_else(|| Failure::Internal("the values are not an object".into()))?;
        let mut row = Row::new();
        let mut commands = Vec::new();
        for (field, value) in values {
            match model.field(field).filter(|_| field != "id" && field != "rec_name") {
                Some(Kind::Plain | Kind::Reference) => {
                    row.insert(field.clone(), value.clone());
                }
                Some(Kind::One(_)) if value.is_i64() || value.is_null() => {
                    row.insert(field.clone(), value.clone());
                }
                Some(Kind::Many { model: target, by }) => {
                    commands.push(Command { target, by, value: value.clone() });
                }
                Some(Kind::ComputedMany("stock.move")) => {
                    commands.push(Command { target: "stock.move", by: "shipment", value: value.clone() });
                }
                Some(Kind::Set(_)) => {
                    let old = id.map_or_else(Vec::new, |id| self.set_of(model.name, id, field));
                    row.insert(field.clone(), json!(changed_set(old, value)?));
                }
                Some(Kind::One(_) | Kind::Computed | Kind::ComputedMany(_)) | None => {
                    return Err(Failure::Internal(format!("'{field}'")));
                }
            }
        }
        Ok((row, commands))
    }

    /// `warehouse`: the one that the record names.
    fn defaults(&self, model: &str, warehouse: Option<Id>) -> Row {
        let zones = seed::zones(warehouse.and_then(seed::place_of).unwrap_or(0));
        let defaults = match model {
            "sale.sale" => json!({
                "state": "draft", "invoice_state": "none", "shipment_state": "none", "invoice_method": "order",
                "shipment_method": "order", "company": seed::COMPANY, "currency": seed::CURRENCY,
                "warehouse": seed::WAREHOUSE,
            }),
            "sale.line" => json!({"type": "line", "moves_ignored": [], "moves_recreated": []}),
            "stock.move" => json!({"state": "draft", "company": seed::COMPANY, "unit": seed::UNIT}),
            "stock.shipment.out" | "stock.shipment.out.return" => json!({
                "state": "draft", "company": seed::COMPANY, "warehouse": seed::WAREHOUSE,
                "warehouse_storage": zones.storage, "warehouse_output": zones.output,
                "warehouse_input": zones.input,
            }),
            "stock.shipment.internal" => json!({"state": "draft", "company": seed::COMPANY}),
            "stock.inventory" => json!({
                "state": "draft", "company": seed::COMPANY, "date": self.today(),
                "number": self.next_number("stock.inventory"),
            }),
            _ => json!({"active": true}),
        };
        defaults.as_object().cloned().unwrap_or_default()
    }

    fn run(&mut self, model: &'static str, id: Id, commands: Vec<Command>) -> Result<(), Failure> {
        for Command { target, by, value } in commands {
            let Some(target) = schema::model(target) else { continue };
            let here = match target.field(by) {
                Some(Kind::Reference) => json!(format!("{model},{id}")),
                _ => json!(id),
            };
            for command in list(&value)? {
                let ids = || command[1].as_array().into_iter().flatten().filter_map(Value::as_i64);
                match command[0].as_str() {
                    Some("create") => {
                        for values in list(&command[1])? {
                            let own = Row::from_iter([(by.to_owned(), here.clone())]);
                            self.create(target, values, own)?;
                        }
                    }
                    Some("add") => ids().for_each(|child| self.set(target.name, child, by, here.clone())),
                    Some("remove") => ids().for_each(|child| self.set(target.name, child, by, Value::Null)),
                    Some("delete") => {
                        for child in ids().collect::<Vec<_>>() {
                            self.remove(target, child)?;
                        }
                    }
                    Some("write") => {
                        for child in ids().collect::<Vec<_>>() {
                            self.modify(target, child, &command[2])?;
                        }
                    }
                    Some(_) | None => return Err(Failure::Internal("unknown list command".into())),
                }
            }
        }
        Ok(())
    }

    fn not_allowed(&self, model: &Model, id: Id, field: &str) -> Failure {
        Failure::user(format!(
            "You are not allowed to modify the field \"{}\" in record \"{}\" of \"{}\".",
            label(field),
            self.rec_name(model.name, id),
            model.title
        ))
    }
}

fn list(value: &Value) -> Result<&Vec<Value>, Failure> {
    value.as_array().ok_or_else(|| Failure::Internal("a list was expected".into()))
}

fn changed_set(mut ids: Vec<Id>, commands: &Value) -> Result<Vec<Id>, Failure> {
    for command in list(commands)? {
        let named: Vec<Id> = command[1].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
        match command[0].as_str() {
            Some("add") => {
                for id in named {
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                }
            }
            Some("remove") => ids.retain(|id| !named.contains(id)),
            Some(_) | None => return Err(Failure::Internal("unknown list command".into())),
        }
    }
    Ok(ids)
}

fn check_quantity(row: &Row) -> Result<(), Failure> {
    match row.get("quantity").map(|quantity| quantity.as_f64()) {
        Some(Some(units)) if units < 0.0 => Err(Failure::user(
            "The value of the field \"Quantity\" on \"Stock Move\" is not valid.".to_owned(),
        )),
        Some(Some(_)) | None => Ok(()),
        Some(None) => Err(Failure::Internal("a quantity must be a number".into())),
    }
}

fn check_required(model: &Model, row: &Row) -> Result<(), Failure> {
    for field in model.required {
        if row.get(*field).is_none_or(Value::is_null) {
            let name =
                row.get("reference").and_then(Value::as_str).map_or_else(String::new, |r| format!("[{r}]"));
            let message = format!(
                "A value is required for field \"{}\" in record \"{name}\" of \"{}\".",
                label(field),
                model.title
            );
            return Err(Failure::user(message));
        }
    }
    Ok(())
}

/// `from_location` as a person reads it.
fn label(field: &str) -> String {
    let words = field.split('_').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
    });
    words.collect::<Vec<_>>().join(" ")
}
