//! Variables and the two things Shopify checks beyond the executor: fields that an input does not have, told by path,
//! and the `@idempotent` directive.

use apollo_compiler::ExecutableDocument;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Field, Operation};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use serde_json::{Value, json};

use super::{inner, refusal, schema};

/// Coerces the variables; the error is a whole answer.
pub(super) fn coerce(
    document: &ExecutableDocument,
    operation: &Operation,
    raw: Value,
) -> Result<Valid<JsonMap>, Value> {
    for definition in &operation.variables {
        let name = definition.name.as_str();
        let Some(value) = raw.get(name) else { continue };
        let mut problems = Vec::new();
        find_unknown(&definition.ty, value, &mut Vec::new(), &mut problems);
        if let Some((path, owner)) = problems.first() {
            let explanation = format!("Field is not defined on {owner}");
            let at: Vec<&str> = path.iter().map(String::as_str).collect();
            let message = format!(
                "Variable ${name} of type {} was provided invalid value for {} ({explanation})",
                definition.ty,
                at.join(".")
            );
            let location = definition.location().and_then(|span| span.line_column(&document.sources));
            let problems: Vec<Value> = problems
                .iter()
                .map(|(path, owner)| json!({"path": path, "explanation": format!("Field is not defined on {owner}")}))
                .collect();
            let extensions = json!({"code": "INVALID_VARIABLE", "value": value, "problems": problems});
            let locations: Vec<Value> = location.map(|at| json!(at)).into_iter().collect();
            return Err(
                json!({"errors": [{"message": message, "locations": locations, "extensions": extensions}]}),
            );
        }
    }
    let raw = match inner(raw) {
        JsonValue::Object(map) => map,
        JsonValue::Null
        | JsonValue::Bool(_)
        | JsonValue::Number(_)
        | JsonValue::String(_)
        | JsonValue::Array(_) => JsonMap::new(),
    };
    coerce_variable_values(schema(), operation, &raw)
        .map_err(|error| refusal(&error.message().to_string(), "INVALID_VARIABLE"))
}

/// Finds fields of input objects that their type does not have: (path, type).
fn find_unknown(ty: &Type, value: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    if let Some(items) = value.as_array() {
        for (n, item) in items.iter().enumerate() {
            path.push(n.to_string());
            find_unknown(ty.item_type(), item, path, found);
            path.pop();
        }
        return;
    }
    let name = ty.inner_named_type();
    let (Some(fields), Some(ExtendedType::InputObject(input))) =
        (value.as_object(), schema().types.get(name))
    else {
        return;
    };
    for (field, value) in fields {
        path.push(field.clone());
        match input.fields.get(field.as_str()) {
            Some(definition) => find_unknown(&definition.ty, value, path, found),
            None => found.push((path.clone(), name.to_string())),
        }
        path.pop();
    }
}

/// The key of a field's `@idempotent` directive.
pub(super) fn idempotency_key(field: &Field, variables: &Valid<JsonMap>) -> Option<String> {
    let argument = field.directives.get("idempotent")?.specified_argument_by_name("key")?;
    match argument.as_variable() {
        Some(name) => variables.get(name.as_str()).and_then(JsonValue::as_str).map(str::to_owned),
        None => argument.as_str().map(str::to_owned),
    }
}
