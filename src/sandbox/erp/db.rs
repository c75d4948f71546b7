//! Rows in memory, with what a database gives: all-or-nothing transactions, and look-up by relation. Stock levels are
//! kept beside the moves that make them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::sandbox::catalogue::Catalogue;
use crate::sandbox::clock;

use super::schema;
use super::{Failure, seed};

pub(super) type Id = i64;
pub(super) type Row = Map<String, Value>;

pub(in crate::sandbox) struct Database {
    tables: BTreeMap<&'static str, Table>,
    /// (model, field, target) -> ids of the records that point there.
    inverse: BTreeMap<(&'static str, &'static str, String), BTreeSet<Id>>,
    undo: Vec<(&'static str, Id, Option<Row>)>,
    /// Units by (product, location), as done moves make them.
    done: BTreeMap<(Id, Id), f64>,
    /// Moves of a product that are neither done nor cancelled.
    open: BTreeMap<Id, BTreeSet<Id>>,
    /// Products whose level a transaction changed.
    pub(super) moved: BTreeSet<Id>,
    /// Sales to process when the transaction is over.
    pub(super) queue: BTreeSet<Id>,
    pub(super) now_ms: i64,
    transactions: i64,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<Id, Row>,
    last: Id,
}

/// What people at the ERP see of a product over the whole warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Levels {
    /// What is there.
    pub(in crate::sandbox) on_hand: i64,
    /// What is there and not promised to anyone.
    pub(in crate::sandbox) available: i64,
}

impl Database {
    pub(in crate::sandbox) fn new(catalogue: &Catalogue, now_ms: i64) -> Database {
        let mut db = Database {
            tables: schema::MODELS.iter().map(|model| (model.name, Table::default())).collect(),
            inverse: BTreeMap::new(),
            undo: Vec::new(),
            done: BTreeMap::new(),
            open: BTreeMap::new(),
            moved: BTreeSet::new(),
            queue: BTreeSet::new(),
            now_ms,
            transactions: 0,
        };
        seed::fill(&mut db, catalogue);
        db.undo = Vec::new();
        db.moved.clear();
        db
    }

    /// Runs `act` in a transaction of its own, and then what it queued. After an error nothing has happened.
    pub(super) fn transaction<R>(
        &mut self,
        now_ms: i64,
        act: impl FnOnce(&mut Database) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.begin(now_ms);
        let result = act(self);
        if result.is_err() {
            self.roll_back();
            return result;
        }
        // The answer is made by now; a failure of what is queued does not reach the client.
        while let Some(sale) = self.queue.pop_first() {
            self.begin(now_ms);
            if super::sales::process(self, sale).is_err() {
                self.roll_back();
            }
        }
        result
    }

    fn begin(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.transactions += 1;
        self.undo.clear();
    }

    fn roll_back(&mut self) {
        self.queue.clear();
        for (model, id, old) in std::mem::take(&mut self.undo).into_iter().rev() {
            self.put(model, id, old);
        }
        self.undo.clear();
    }

    pub(super) fn row(&self, model: &str, id: Id) -> Option<&Row> {
        self.tables.get(model)?.rows.get(&id)
    }

    /// All ids of a model, rising.
    pub(super) fn ids(&self, model: &str) -> impl DoubleEndedIterator<Item = Id> + '_ {
        self.tables.get(model).into_iter().flat_map(|table| table.rows.keys().copied())
    }

    pub(super) fn value(&self, model: &str, id: Id, field: &str) -> &Value {
        const NULL: &Value = &Value::Null;
        self.row(model, id).and_then(|row| row.get(field)).unwrap_or(NULL)
    }

    pub(super) fn text(&self, model: &str, id: Id, field: &str) -> &str {
        self.value(model, id, field).as_str().unwrap_or("")
    }

    pub(super) fn number(&self, model: &str, id: Id, field: &str) -> f64 {
        self.value(model, id, field).as_f64().unwrap_or(0.0)
    }

    /// The id that a many2one holds.
    pub(super) fn one(&self, model: &str, id: Id, field: &str) -> Option<Id> {
        self.value(model, id, field).as_i64()
    }

    /// The records of `model` whose `field` points to a target: an id, or `model,id` for references.
    pub(super) fn pointing(&self, model: &'static str, field: &'static str, target: &str) -> Vec<Id> {
        let ids = self.inverse.get(&(model, field, target.to_owned()));
        ids.into_iter().flatten().copied().collect()
    }

    pub(super) fn insert(&mut self, model: &'static str, mut row: Row) -> Id {
        let table = self.tables.entry(model).or_default();
        table.last += 1;
        let id = table.last;
        row.insert("create_date".into(), self.transaction_time());
        row.insert("write_date".into(), Value::Null);
        self.change(model, id, Some(row));
        id
    }

    /// Changes fields of a record.
    pub(super) fn update(&mut self, model: &'static str, id: Id, changes: Row) {
        let Some(mut row) = self.row(model, id).cloned() else { return };
        row.extend(changes);
        row.insert("write_date".into(), self.transaction_time());
        self.change(model, id, Some(row));
    }

    pub(super) fn set(&mut self, model: &'static str, id: Id, field: &str, value: impl Into<Value>) {
        self.update(model, id, Row::from_iter([(field.to_owned(), value.into())]));
    }

    pub(super) fn delete(&mut self, model: &'static str, id: Id) {
        self.change(model, id, None);
    }

    /// The number that a new record of a sequence gets.
    pub(super) fn next_number(&self, model: &str) -> String {
        let numbered = |id: &Id| !self.value(model, *id, "number").is_null();
        (self.ids(model).filter(numbered).count() + 1).to_string()
    }

    fn change(&mut self, model: &'static str, id: Id, new: Option<Row>) {
        let old = self.put(model, id, new);
        self.undo.push((model, id, old));
    }

    /// Exchanges a row, and keeps look-ups and levels true to it.
    fn put(&mut self, model: &'static str, id: Id, new: Option<Row>) -> Option<Row> {
        let old = self.tables.get_mut(model).and_then(|table| table.rows.remove(&id));
        if let Some(old) = &old {
            self.note(model, id, old, false);
        }
        if let Some(new) = new {
            self.note(model, id, &new, true);
            self.tables.entry(model).or_default().rows.insert(id, new);
        }
        old
    }

    fn note(&mut self, model: &'static str, id: Id, row: &Row, present: bool) {
        for field in schema::inverse_fields(model) {
            let target = match row.get(*field) {
                Some(Value::Number(target)) => target.to_string(),
                Some(Value::String(target)) => target.clone(),
                _ => continue,
            };
            let ids = self.inverse.entry((model, field, target)).or_default();
            if present {
                ids.insert(id);
            } else {
                ids.remove(&id);
            }
        }
        if model == "stock.move" {
            self.note_move(id, row, present);
        }
    }

    fn note_move(&mut self, id: Id, row: &Row, present: bool) {
        let field = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or(0);
        let product = field("product");
        self.moved.insert(product);
        match row.get("state").and_then(Value::as_str) {
            Some("done") => {
                let units = row.get("internal_quantity").and_then(Value::as_f64).unwrap_or(0.0);
                let units = if present { units } else { -units };
                self.shift(product, field("to_location"), units);
                self.shift(product, field("from_location"), -units);
            }
            Some("cancelled") => {}
            _ if present => {
                self.open.entry(product).or_default().insert(id);
            }
            _ => {
                self.open.entry(product).or_default().remove(&id);
            }
        }
    }

    /// Puts units on a location without a move, as the balance of a closed period does.
    pub(super) fn shift(&mut self, product: Id, location: Id, units: f64) {
        *self.done.entry((product, location)).or_default() += units;
    }

    /// Units of a product on these locations, by done moves.
    pub(super) fn on_hand(&self, product: Id, locations: &BTreeSet<Id>) -> f64 {
        locations.iter().filter_map(|location| self.done.get(&(product, *location))).sum()
    }

    /// Moves of a product that are neither done nor cancelled.
    pub(super) fn open_moves(&self, product: Id) -> impl Iterator<Item = Id> + '_ {
        self.open.get(&product).into_iter().flatten().copied()
    }

    /// A location and all below it.
    pub(super) fn with_children(&self, locations: &[Id]) -> BTreeSet<Id> {
        let mut found: BTreeSet<Id> = locations.iter().copied().collect();
        loop {
            let below = |id: &Id| {
                self.one("stock.location", *id, "parent").is_some_and(|parent| found.contains(&parent))
            };
            let more: Vec<Id> =
                self.ids("stock.location").filter(|id| !found.contains(id)).filter(below).collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// The warehouse of a place with all its zones.
    pub(in crate::sandbox) fn warehouse(&self, place: usize) -> BTreeSet<Id> {
        self.with_children(&[seed::zones(place).warehouse])
    }

    /// All warehouses with all their zones.
    pub(in crate::sandbox) fn warehouses(&self) -> BTreeSet<Id> {
        let places =
            self.ids("stock.location").filter(|id| self.text("stock.location", *id, "type") == "warehouse");
        self.with_children(&places.collect::<Vec<_>>())
    }

    /// The place that a sale is shipped from.
    pub(in crate::sandbox) fn sale_place(&self, sale: Id) -> usize {
        self.one("sale.sale", sale, "warehouse").and_then(seed::place_of).unwrap_or(0)
    }

    /// What people see of a product over these locations.
    pub(in crate::sandbox) fn levels(&self, sku: usize, warehouse: &BTreeSet<Id>) -> Levels {
        let product = seed::product_id(sku);
        let on_hand = self.on_hand(product, warehouse);
        let leaving = |id: Id| {
            let here = |field| self.one("stock.move", id, field).is_some_and(|at| warehouse.contains(&at));
            let units = self.number("stock.move", id, "internal_quantity");
            if here("from_location") && !here("to_location") { units } else { 0.0 }
        };
        let promised: f64 = self.open_moves(product).map(leaving).sum();
        Levels { on_hand: on_hand as i64, available: (on_hand - promised) as i64 }
    }

    /// The SKUs whose level changed since this was last asked.
    pub(super) fn take_moved(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.moved).into_iter().filter_map(seed::sku_of).collect()
    }

    /// The time of the transaction in microseconds: all that it writes carries the same, and no other transaction does.
    fn transaction_time(&self) -> Value {
        json!(self.now_ms * 1000 + self.transactions.rem_euclid(1000))
    }

    pub(super) fn today(&self) -> Value {
        let at = clock::civil(self.now_ms);
        json!({"__class__": "date", "year": at.year(), "month": at.month(), "day": at.day()})
    }
}
