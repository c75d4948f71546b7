//! What a query costs. An object costs 1, a scalar nothing, a mutation 10 including its payload and what lies directly
//! in it. A connection costs 2 plus its node's cost times log2 of the page size, rounded up: that is what the costs in
//! recorded answers amount to (page sizes 5 and 50); Shopify does not publish it.

use apollo_compiler::ExecutableDocument;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::response::{JsonMap, JsonValue};
use serde_json::Value;

use super::schema;

const MUTATION: f64 = 10.0;
const CONNECTION: f64 = 2.0;

/// The most that the operation may cost.
pub(super) fn requested(document: &ExecutableDocument, operation: &Operation, variables: &JsonMap) -> f64 {
    let meter = Meter { document, page: &|field, _| page_size(field, variables), value_aware: false };
    meter.root(operation, &Value::Null)
}

/// What it cost with the objects that were returned.
pub(super) fn actual(document: &ExecutableDocument, operation: &Operation, data: &Value) -> f64 {
    let page = |_: &Field, value: &Value| {
        let rows = value.get("nodes").or_else(|| value.get("edges")).and_then(Value::as_array);
        rows.map_or(0, Vec::len) as f64
    };
    let meter = Meter { document, page: &page, value_aware: true };
    meter.root(operation, data)
}

struct Meter<'a> {
    document: &'a ExecutableDocument,
    page: &'a dyn Fn(&Field, &Value) -> f64,
    /// Skip what the answer does not have.
    value_aware: bool,
}

impl Meter<'_> {
    fn root(&self, operation: &Operation, data: &Value) -> f64 {
        let mut total = 0.0;
        for field in operation.root_fields(self.document) {
            let value = self.below(data, field);
            total += if operation.is_mutation() {
                MUTATION + self.payload(&field.selection_set, value)
            } else {
                self.field(field, value)
            };
        }
        total.max(1.0)
    }

    /// The fields of a mutation's payload are in its price; what is below them is not.
    fn payload(&self, set: &SelectionSet, value: &Value) -> f64 {
        let mut total = 0.0;
        self.each(set, &mut |field| {
            let value = self.below(value, field);
            if !self.absent(value) {
                total += self.set(&field.selection_set, value);
            }
        });
        total
    }

    fn field(&self, field: &Field, value: &Value) -> f64 {
        if field.selection_set.selections.is_empty() || self.absent(value) {
            return 0.0;
        }
        if field.ty().inner_named_type().as_str().ends_with("Connection") {
            let rows = (self.page)(field, value);
            let scale = if rows < 1.0 { 0.0 } else { rows.log2().ceil().max(1.0) };
            return CONNECTION + scale * self.node_cost(&field.selection_set, value);
        }
        1.0 + self.set(&field.selection_set, value)
    }

    /// The price of one node, selected through `nodes` or `edges`.
    fn node_cost(&self, connection: &SelectionSet, value: &Value) -> f64 {
        let mut cost: f64 = 0.0;
        self.each(connection, &mut |field| match field.name.as_str() {
            "nodes" => cost = cost.max(1.0 + self.set(&field.selection_set, self.below(value, field))),
            "edges" => {
                let edges = self.below(value, field);
                self.each(&field.selection_set, &mut |node| {
                    cost = cost.max(1.0 + self.set(&node.selection_set, self.below(edges, node)));
                });
            }
            _ => {}
        });
        cost
    }

    fn set(&self, set: &SelectionSet, value: &Value) -> f64 {
        let mut total = 0.0;
        self.each(set, &mut |field| total += self.field(field, self.below(value, field)));
        total
    }

    /// Visits the fields of a set, through fragments.
    fn each(&self, set: &SelectionSet, visit: &mut dyn FnMut(&Field)) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => visit(field),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name) {
                        self.each(&fragment.selection_set, visit);
                    }
                }
                Selection::InlineFragment(fragment) => self.each(&fragment.selection_set, visit),
            }
        }
    }

    fn absent(&self, value: &Value) -> bool {
        self.value_aware && value.is_null()
    }

    /// The answer below a field; of a list its first entry stands for all.
    fn below<'v>(&self, value: &'v Value, field: &Field) -> &'v Value {
        const NULL: &Value = &Value::Null;
        let value = value.as_array().map_or(Some(value), |list| list.first()).unwrap_or(NULL);
        value.get(field.response_key().as_str()).unwrap_or(NULL)
    }
}

/// The page size asked for; without one the field's list is taken as one object.
fn page_size(field: &Field, variables: &JsonMap) -> f64 {
    let value =
        field.specified_argument_by_name("first").or_else(|| field.specified_argument_by_name("last"));
    let number = value.and_then(|value| match value.as_variable() {
        Some(name) => variables.get(name.as_str()).and_then(JsonValue::as_i64),
        None => value.to_i32().map(i64::from),
    });
    debug_assert!(schema().types.contains_key(field.ty().inner_named_type()), "validated documents only");
    number.unwrap_or(1).max(1) as f64
}
