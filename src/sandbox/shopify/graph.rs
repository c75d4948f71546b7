//! Executes whatever GraphQL document a client sends, against the part of the published schema in `schema.graphql`:
//! parsing, validation, coercion and field selection are a real executor's; the resolvers are in `nodes`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use apollo_compiler::resolvers::{Execution, FieldError};
use apollo_compiler::response::{GraphQLError, JsonMap, JsonValue};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Value, json};

use crate::sandbox::options::ShopifyOptions;
use crate::sandbox::shopify::points::Client;
use crate::sandbox::world::World;

mod cost;
mod nodes;
mod paging;
mod search;
mod variables;

use paging::Wanted;

const SDL: &str = include_str!("schema.graphql");
/// Documents that are kept parsed; a client sends a handful.
const DOCUMENTS_MAX: usize = 64;
/// What one query may cost, whatever is in the bucket.
const COST_MAX: f64 = 1000.0;

/// A request body.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Ask {
    pub(super) query: String,
    #[serde(default)]
    pub(super) variables: Option<Value>,
    #[serde(default, rename = "operationName")]
    pub(super) operation: Option<String>,
}

/// What one request needs at hand while it is executed.
pub(super) struct Desk<'w> {
    pub(super) world: RefCell<&'w mut World>,
    pub(super) options: &'w ShopifyOptions,
    pub(super) now_ms: i64,
    /// Idempotency keys by response key.
    keys: BTreeMap<String, String>,
    /// Whether a call with the same key is under way.
    concurrent: bool,
    /// The host that the client has asked.
    pub(super) host: &'w str,
    /// Lists are told whole.
    pub(super) bulk: bool,
    warnings: RefCell<Vec<Value>>,
}

/// Who asks, and when.
pub(super) struct Seat<'a> {
    pub(super) options: &'a ShopifyOptions,
    /// The host that was asked.
    pub(super) host: &'a str,
    /// The app that asks.
    pub(super) client: Client,
    /// Whether a call with the same idempotency key is under way.
    pub(super) concurrent: bool,
}

/// Parsed documents by their text.
#[derive(Default)]
pub(super) struct Documents(std::sync::Mutex<BTreeMap<String, Arc<Valid<ExecutableDocument>>>>);

/// A document that is valid, with its variables.
pub(super) struct Prepared {
    document: Arc<Valid<ExecutableDocument>>,
    variables: Valid<JsonMap>,
    operation: Option<String>,
    cost: f64,
}

pub(super) fn schema() -> &'static Valid<Schema> {
    static PARSED: OnceLock<Valid<Schema>> = OnceLock::new();
    PARSED
        .get_or_init(|| Schema::parse_and_validate(SDL, "schema.graphql").expect("a test parses the schema"))
}

impl Documents {
    /// Parses and validates a request; the error is a whole answer.
    pub(super) fn prepare(&self, ask: Ask) -> Result<Prepared, Value> {
        let document = self.document(&ask.query)?;
        let operation = document
            .operations
            .get(ask.operation.as_deref())
            .map_err(|_| refusal("An operation name is required", "BAD_REQUEST"))?;
        let raw = ask.variables.unwrap_or(Value::Null);
        let variables = variables::coerce(&document, operation, raw)?;
        let cost = cost::requested(&document, operation, &variables);
        Ok(Prepared { variables, cost, operation: ask.operation, document })
    }

    /// Runs the query of a bulk operation, which costs nothing. `None`: it is not valid.
    pub(super) fn run_bulk(
        &self,
        query: &str,
        world: &mut World,
        seat: &Seat<'_>,
        now_ms: i64,
    ) -> Option<Value> {
        let prepared =
            self.prepare(Ask { query: query.to_owned(), variables: None, operation: None }).ok()?;
        let desk = Desk {
            world: RefCell::new(world),
            options: seat.options,
            now_ms,
            keys: BTreeMap::new(),
            concurrent: false,
            host: seat.host,
            bulk: true,
            warnings: RefCell::new(Vec::new()),
        };
        prepared.run(&desk).ok().map(|(mut answer, _)| answer["data"].take())
    }

    fn document(&self, query: &str) -> Result<Arc<Valid<ExecutableDocument>>, Value> {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(document) = known.get(query) {
            return Ok(Arc::clone(document));
        }
        let parsed = ExecutableDocument::parse_and_validate(schema(), query, "query.graphql");
        let document = Arc::new(parsed.map_err(|invalid| {
            let errors: Vec<Value> = invalid
                .errors
                .iter()
                .map(|diagnostic| {
                    let mut error = json!(diagnostic.to_json());
                    error["extensions"] = json!({"code": "GRAPHQL_VALIDATION_FAILED"});
                    error
                })
                .collect();
            json!({"errors": errors})
        })?);
        if known.len() == DOCUMENTS_MAX {
            known.clear();
        }
        known.insert(query.to_owned(), Arc::clone(&document));
        Ok(document)
    }
}

impl Prepared {
    /// The idempotency keys of the mutations in the request, by response key.
    pub(super) fn keys(&self) -> BTreeMap<String, String> {
        let Ok(operation) = self.document.operations.get(self.operation.as_deref()) else {
            return BTreeMap::new();
        };
        let fields = operation.root_fields(&self.document);
        let key = |field: &apollo_compiler::Node<apollo_compiler::executable::Field>| {
            let key = variables::idempotency_key(field, &self.variables)?;
            Some((field.response_key().to_string(), key))
        };
        fields.filter_map(key).collect()
    }

    pub(super) fn is_mutation(&self) -> bool {
        self.document.operations.get(self.operation.as_deref()).is_ok_and(|operation| operation.is_mutation())
    }

    /// Pays for the request and runs it; the answer is a whole one, costs included.
    pub(super) fn execute(&self, world: &mut World, seat: &Seat<'_>, now_ms: i64) -> Value {
        if self.cost > COST_MAX {
            return self.too_costly();
        }
        if !world.shopify.points.of(seat.client).take(self.cost, now_ms) {
            return json!({
                "errors": [throttled_error()],
                "extensions": {"cost": cost_report(world, seat.client, [Some(self.cost), None], now_ms)},
            });
        }
        let desk = Desk {
            world: RefCell::new(world),
            options: seat.options,
            now_ms,
            keys: self.keys(),
            concurrent: seat.concurrent,
            host: seat.host,
            bulk: false,
            warnings: RefCell::new(Vec::new()),
        };
        let answer = self.run(&desk);
        let Desk { world, warnings, .. } = desk;
        let world = world.into_inner();
        let (mut answer, actual) = match answer {
            Ok(answer) => answer,
            Err(refused) => return refused,
        };
        world.shopify.points.of(seat.client).bucket.refund(self.cost - actual);
        let mut extensions =
            json!({"cost": cost_report(world, seat.client, [Some(self.cost), Some(actual)], now_ms)});
        if !warnings.borrow().is_empty() {
            extensions["search"] = json!(warnings.into_inner());
        }
        answer["extensions"] = extensions;
        answer
    }

    fn run(&self, desk: &Desk<'_>) -> Result<(Value, f64), Value> {
        let bad = |message: String| refusal(&message, "BAD_REQUEST");
        let operation = self.document.operations.get(self.operation.as_deref());
        let operation = operation.map_err(|error| bad(error.message().to_string()))?;
        let root = nodes::root(desk, operation.is_mutation());
        let response = Execution::new(schema(), &self.document)
            .operation(operation)
            .coerced_variable_values(&self.variables)
            .execute_sync(&root)
            .map_err(|error| bad(error.message().to_string()))?;
        let data = serde_json::to_value(&response.data).unwrap_or(Value::Null);
        let actual = cost::actual(&self.document, operation, &data).min(self.cost);
        let mut answer = json!({"data": data});
        if !response.errors.is_empty() {
            let errors: Vec<Value> = response.errors.iter().map(own_error).collect();
            answer = json!({"errors": errors, "data": answer["data"]});
        }
        Ok((answer, actual))
    }

    fn too_costly(&self) -> Value {
        let message = format!(
            "Query cost is {}, which exceeds the single query max cost limit ({COST_MAX}).\n\nSee \
             https://shopify.dev/concepts/about-apis/rate-limits for more information on how the\ncost of a query is \
             calculated.",
            self.cost
        );
        let extensions = json!({
            "code": "MAX_COST_EXCEEDED",
            "cost": self.cost,
            "maxCost": COST_MAX,
            "documentation": "https://shopify.dev/api/usage/rate-limits",
        });
        json!({"errors": [{"message": message, "extensions": extensions}]})
    }
}

/// Says why a text is no query for a bulk operation.
fn unfit_for_bulk(query: &str) -> Option<String> {
    let document = match ExecutableDocument::parse_and_validate(schema(), query, "bulk.graphql") {
        Ok(document) => document,
        Err(invalid) => return Some(format!("Invalid bulk query: {}", invalid.errors)),
    };
    let Ok(operation) = document.operations.get(None) else {
        return Some("Bulk queries must contain a single query".to_owned());
    };
    let lists =
        operation.root_fields(&document).any(|field| field.ty().inner_named_type().ends_with("Connection"));
    (operation.is_mutation() || !lists)
        .then(|| "Bulk queries must contain at least one connection.".to_owned())
}

impl Desk<'_> {
    fn wanted<'m>(&self, arguments: &'m JsonMap) -> Result<Wanted<'m>, FieldError> {
        Wanted::read(arguments, self.bulk)
    }

    fn warn(&self, warning: Value) {
        self.warnings.borrow_mut().push(warning);
    }
}

/// The answer to a request that the throttling fault strikes.
pub(super) fn throttled_answer() -> Value {
    let status = json!({"maximumAvailable": 2000.0, "currentlyAvailable": 12, "restoreRate": 100.0});
    let cost = json!({"requestedQueryCost": 62, "actualQueryCost": null, "throttleStatus": status});
    json!({"errors": [throttled_error()], "extensions": {"cost": cost}})
}

fn throttled_error() -> Value {
    json!({
        "message": "Throttled",
        "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
    })
}

/// What is told of a request's cost: what it may cost, and what it did.
fn cost_report(
    world: &mut World,
    client: Client,
    [requested, actual]: [Option<f64>; 2],
    now_ms: i64,
) -> Value {
    let bucket = &mut world.shopify.points.of(client).bucket;
    let available = bucket.level(now_ms).floor() as i64;
    json!({
        "requestedQueryCost": requested.map(|cost| cost as i64),
        "actualQueryCost": actual.map(|cost| cost as i64),
        "throttleStatus": {
            "maximumAvailable": bucket.capacity(),
            "currentlyAvailable": available,
            "restoreRate": bucket.per_second(),
        },
    })
}

fn refusal(message: &str, code: &str) -> Value {
    json!({"errors": [{"message": message, "extensions": {"code": code}}]})
}

/// Separates code and text of an error on its way through the executor, which carries text only.
const CODE_MARK: char = '\u{1f}';

/// An error that the answer shows with a code of Shopify's.
fn coded(code: &str, message: impl std::fmt::Display) -> FieldError {
    FieldError { message: format!("{code}{CODE_MARK}{message}") }
}

/// Gives an executor's error the shape of Shopify's.
fn own_error(error: &GraphQLError) -> Value {
    let text = error.message.strip_prefix("resolver error: ").unwrap_or(&error.message);
    let (code, message) = text.split_once(CODE_MARK).unwrap_or(("BAD_REQUEST", text));
    json!({
        "message": message,
        "locations": error.locations,
        "path": error.path,
        "extensions": {"code": code},
    })
}

/// The executor's JSON from ours.
fn inner(value: Value) -> JsonValue {
    JsonValue::from(value)
}
