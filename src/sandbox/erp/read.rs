//! Reading records: fields, paths through relations, and what is computed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::sandbox::clock;

use super::db::{Database, Id};
use super::schema::{self, Kind};
use super::{Failure, seed};

/// What a field of a record holds.
pub(super) enum Cell {
    Plain(Value),
    One(Option<(&'static str, Id)>),
    Many(&'static str, Vec<Id>),
}

impl Cell {
    /// The value on the wire, without a path into it.
    pub(super) fn wire(self) -> Value {
        match self {
            Cell::Plain(value) => value,
            Cell::One(target) => target.map_or(Value::Null, |(_, id)| json!(id)),
            Cell::Many(_, ids) => json!(ids),
        }
    }
}

/// The context of a request.
#[derive(Default)]
pub(super) struct Scope {
    locations: Vec<Id>,
    with_childs: Option<bool>,
    /// (year, month, day).
    date_end: Option<[i64; 3]>,
}

/// Field paths as a tree.
#[derive(Default)]
pub(super) struct Paths(BTreeMap<String, Paths>);

impl Scope {
    pub(super) fn read(context: &Value) -> Scope {
        let ids = |name: &str| context[name].as_array().into_iter().flatten().filter_map(Value::as_i64);
        let mut locations: Vec<Id> = ids("locations").collect();
        if locations.is_empty() {
            locations.extend(context["location"].as_i64());
        }
        let date_end = context.get("stock_date_end").and_then(date);
        Scope { locations, with_childs: context["with_childs"].as_bool(), date_end }
    }
}

impl Paths {
    /// Reads the `f` parameters; without any, a record shows its name for people.
    pub(super) fn read(fields: &[String]) -> Paths {
        let mut paths = Paths::default();
        if fields.is_empty() {
            paths.0.insert("rec_name".into(), Paths::default());
        }
        for field in fields {
            let mut at = &mut paths;
            for part in field.split('.') {
                at = at.0.entry(part.to_owned()).or_default();
            }
        }
        paths
    }
}

impl Database {
    /// A record as the wire shows it: its id and model, and what the paths ask for.
    pub(super) fn show(
        &self,
        model: &'static str,
        id: Id,
        paths: &Paths,
        scope: &Scope,
    ) -> Result<Value, Failure> {
        let mut shown = Map::from_iter([("id".to_owned(), json!(id)), ("__name__".to_owned(), json!(model))]);
        for (name, below) in &paths.0 {
            let cell = self.cell(model, id, name, scope)?;
            let value = if below.0.is_empty() {
                cell.wire()
            } else {
                match cell {
                    Cell::One(Some((target, id))) => self.show(target, id, below, scope)?,
                    Cell::One(None) => Value::Null,
                    Cell::Many(target, ids) => {
                        let rows: Result<Vec<Value>, Failure> =
                            ids.into_iter().map(|id| self.show(target, id, below, scope)).collect();
                        Value::Array(rows?)
                    }
                    Cell::Plain(value) => self.show_reference(&value, below, scope)?,
                }
            };
            shown.insert(name.clone(), value);
        }
        Ok(Value::Object(shown))
    }

    fn show_reference(&self, value: &Value, below: &Paths, scope: &Scope) -> Result<Value, Failure> {
        match value.as_str().and_then(parse_reference) {
            Some((target, id)) => self.show(target, id, below, scope),
            None if value.is_null() => Ok(Value::Null),
            None => Err(Failure::Internal("the path goes through a field without fields".into())),
        }
    }

    pub(super) fn cell(
        &self,
        model: &'static str,
        id: Id,
        field: &str,
        scope: &Scope,
    ) -> Result<Cell, Failure> {
        let kind = schema::model(model).and_then(|model| model.field(field));
        let kind = kind.ok_or_else(|| Failure::Internal(format!("'{field}'")))?;
        Ok(match kind {
            Kind::Plain if field == "create_date" || field == "write_date" => {
                Cell::Plain(self.value(model, id, field).as_i64().map_or(Value::Null, datetime))
            }
            Kind::Plain | Kind::Reference => Cell::Plain(self.value(model, id, field).clone()),
            Kind::One(target) => Cell::One(self.one(model, id, field).map(|id| (target, id))),
            Kind::Many { model: target, by } => Cell::Many(target, self.many(model, id, target, by)),
            Kind::Set(target) => Cell::Many(target, self.set_of(model, id, field)),
            Kind::Computed => Cell::Plain(self.computed(model, id, field, scope)?),
            Kind::ComputedMany(target) => Cell::Many(target, self.computed_many(model, id, field)),
        })
    }

    /// The records of `target` that point to this one; moves come newest first, as their model sorts them.
    pub(super) fn many(
        &self,
        model: &'static str,
        id: Id,
        target: &'static str,
        by: &'static str,
    ) -> Vec<Id> {
        let by_reference = schema::model(target).and_then(|model| model.field(by)) == Some(Kind::Reference);
        let key = if by_reference { format!("{model},{id}") } else { id.to_string() };
        let mut ids = self.pointing(target, by, &key);
        match target {
            "stock.move" => ids.reverse(),
            "stock.inventory.line" => self.sort_by_product(target, &mut ids),
            _ => {}
        }
        ids
    }

    fn sort_by_product(&self, model: &str, ids: &mut [Id]) {
        let code = |id: Id| {
            let product = self.one(model, id, "product").unwrap_or(0);
            self.text("product.product", product, "code")
        };
        ids.sort_by_key(|id| (code(*id), *id));
    }

    pub(super) fn set_of(&self, model: &str, id: Id, field: &str) -> Vec<Id> {
        let ids = self.value(model, id, field).as_array();
        ids.into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    fn computed(&self, model: &'static str, id: Id, field: &str, scope: &Scope) -> Result<Value, Failure> {
        Ok(match field {
            "id" => json!(id),
            "__name__" => json!(model),
            "rec_name" => json!(self.rec_name(model, id)),
            "quantity" => json!(self.quantity(id, scope, false)?),
            "forecast_quantity" => json!(self.quantity(id, scope, true)?),
            _ => Value::Null,
        })
    }

    pub(super) fn rec_name(&self, model: &str, id: Id) -> String {
        let text = |field: &str| self.text(model, id, field);
        match model {
            "product.product" => format!("[{}] {}", text("code"), text("name")),
            "sale.sale" | "stock.shipment.out" | "stock.shipment.out.return" | "stock.shipment.internal" => {
                let number = text("number");
                let reference = text("reference");
                match (number.is_empty(), reference.is_empty()) {
                    (true, true) => format!("({id})"),
                    (false, true) => number.to_owned(),
                    (true, false) => format!("[{reference}]"),
                    (false, false) => format!("{number} [{reference}]"),
                }
            }
            _ if !text("name").is_empty() => text("name").to_owned(),
            _ => id.to_string(),
        }
    }

    fn computed_many(&self, model: &'static str, id: Id, field: &str) -> Vec<Id> {
        match field {
            "shipments" => self.sale_shipments(id, "stock.shipment.out"),
            "shipment_returns" => self.sale_shipments(id, "stock.shipment.out.return"),
            "moves" => self.sale_moves(id),
            "outgoing_moves" => self.moves_where(model, id, "from_location", "warehouse_output"),
            "incoming_moves" => self.moves_where(model, id, "to_location", "warehouse_input"),
            "inventory_moves" if model == "stock.shipment.out" => {
                self.moves_where(model, id, "to_location", "warehouse_output")
            }
            "inventory_moves" => self.moves_where(model, id, "from_location", "warehouse_input"),
            _ => Vec::new(),
        }
    }

    /// The moves of a shipment whose `field` is one of its own locations, by product and age.
    pub(super) fn moves_where(&self, model: &'static str, id: Id, field: &str, own: &str) -> Vec<Id> {
        let at = self.one(model, id, own);
        let mut moves = self.many(model, id, "stock.move", "shipment");
        moves.retain(|of| self.one("stock.move", *of, field) == at);
        self.sort_by_product("stock.move", &mut moves);
        moves
    }

    pub(super) fn sale_lines(&self, sale: Id) -> Vec<Id> {
        self.many("sale.sale", sale, "sale.line", "sale")
    }

    pub(super) fn sale_moves(&self, sale: Id) -> Vec<Id> {
        let lines = self.sale_lines(sale);
        lines.into_iter().flat_map(|line| self.many("sale.line", line, "stock.move", "origin")).collect()
    }

    fn sale_shipments(&self, sale: Id, model: &str) -> Vec<Id> {
        let moves = self.sale_moves(sale).into_iter();
        let shipment = |of: Id| parse_reference(self.text("stock.move", of, "shipment"));
        let found: BTreeSet<Id> =
            moves.filter_map(shipment).filter(|(own, _)| *own == model).map(|(_, id)| id).collect();
        found.into_iter().collect()
    }

    /// Units of a product on the context's locations. The forecast counts moves that are planned from today on.
    fn quantity(&self, product: Id, scope: &Scope, forecast: bool) -> Result<f64, Failure> {
        if scope.locations.is_empty() {
            return Ok(0.0);
        }
        if let Some(missing) = scope.locations.iter().find(|id| self.row("stock.location", **id).is_none()) {
            let message = format!(
                "You are trying to read records \"{missing}\" of \"Stock Location\" that don't exist."
            );
            return Err(Failure::user(message));
        }
        let children = scope.with_childs.unwrap_or(scope.locations.len() == 1);
        let locations = if children {
            self.with_children(&scope.locations)
        } else {
            scope.locations.iter().copied().collect()
        };
        let today = date(&self.today()).unwrap_or_default();
        let mut units = self.on_hand(product, &locations);
        if let Some(end) = scope.date_end.filter(|end| *end < today) {
            return Ok(units - self.done_after(product, &locations, end));
        }
        let end = scope.date_end.unwrap_or([i64::MAX; 3]);
        if forecast && (scope.date_end.is_none() || end > today) {
            for of in self.open_moves(product) {
                let planned = match self.text("stock.move", of, "state") {
                    "assigned" => Some(today),
                    "draft" => date(self.value("stock.move", of, "planned_date")).or(Some([i64::MAX; 3])),
                    _ => None,
                };
                if planned.is_some_and(|planned| (today..=end).contains(&planned)) {
                    units += self.effect(of, &locations);
                }
            }
        }
        Ok(units)
    }

    fn done_after(&self, product: Id, locations: &BTreeSet<Id>, end: [i64; 3]) -> f64 {
        let later = |of: &Id| {
            self.one("stock.move", *of, "product") == Some(product)
                && self.text("stock.move", *of, "state") == "done"
                && date(self.value("stock.move", *of, "effective_date")).is_some_and(|at| at > end)
        };
        self.ids("stock.move").filter(later).map(|of| self.effect(of, locations)).sum()
    }

    /// What a move adds to the locations.
    fn effect(&self, of: Id, locations: &BTreeSet<Id>) -> f64 {
        let units = self.number("stock.move", of, "internal_quantity");
        let at = |field| self.one("stock.move", of, field).is_some_and(|at| locations.contains(&at));
        match (at("from_location"), at("to_location")) {
            (false, true) => units,
            (true, false) => -units,
            (_, _) => 0.0,
        }
    }
}

/// `model,id`.
pub(super) fn parse_reference(text: &str) -> Option<(&'static str, Id)> {
    let (name, id) = text.split_once(',')?;
    Some((schema::model(name)?.name, id.parse().ok()?))
}

/// Microseconds as a time on the wire.
fn datetime(micros: i64) -> Value {
    let at = clock::civil(micros.div_euclid(1000));
    json!({
        "__class__": "datetime", "year": at.year(), "month": at.month(), "day": at.day(), "hour": at.hour(),
        "minute": at.minute(), "second": at.second(), "microsecond": micros.rem_euclid(1_000_000),
    })
}

fn date(value: &Value) -> Option<[i64; 3]> {
    let part = |name: &str| value.get(name).and_then(Value::as_i64);
    Some([part("year")?, part("month")?, part("day")?])
}

/// What an inventory line expects on its location now.
pub(super) fn expected(db: &Database, product: Id, location: Id) -> f64 {
    db.on_hand(product, &BTreeSet::from([location]))
}

/// The warehouse of a document that names none.
pub(super) fn default_warehouse() -> Id {
    seed::WAREHOUSE
}
