//! The GraphQL layer: the documents, and what an answer as such means, before anything in its data is read.
//!
//! Shopify answers 200 to throttled, refused and failed requests alike: the verdict is in the body. Whether a request
//! was executed is decided here, once, for reads and writes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::connectors::{
    Fault, Outcome,
    http::{self, Answer, NoAnswer, excerpt},
    shopify::bucket::{Purpose, until_affordable},
};

/// How long to wait when the shop throttles without a figure.
const THROTTLE_DEFAULT: Duration = Duration::from_secs(2);

/// How long to wait after a security rejection (status 430): pressing on makes it last.
const REJECTION_WAIT: Duration = Duration::from_secs(60);

/// One document.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) document: &'static str,
    pub(super) purpose: Purpose,
    /// Points to expect before the first answer told better.
    pub(super) cost: f64,
}

pub(super) static SET_QUANTITIES: Operation = Operation {
    name: "SetQuantities",
    document: include_str!("queries/set_quantities.graphql"),
    purpose: Purpose::Write,
    cost: 13.0,
};

/// Changes what one item shows by so much.
pub(super) static ADJUST_QUANTITIES: Operation = Operation {
    name: "AdjustQuantities",
    document: include_str!("queries/adjust_quantities.graphql"),
    purpose: Purpose::Write,
    cost: 13.0,
};

/// Stocks an item at a location where it is not.
pub(super) static ACTIVATE: Operation = Operation {
    name: "Activate",
    document: include_str!("queries/activate.graphql"),
    purpose: Purpose::Write,
    cost: 11.0,
};

pub(super) static LEVELS: Operation = Operation {
    name: "Levels",
    document: concat!(include_str!("queries/levels.graphql"), include_str!("queries/item_fields.graphql")),
    purpose: Purpose::Read,
    cost: 100.0,
};

pub(super) static CATALOGUE: Operation = Operation {
    name: "Catalogue",
    document: concat!(include_str!("queries/catalogue.graphql"), include_str!("queries/item_fields.graphql")),
    purpose: Purpose::Read,
    cost: 100.0,
};

/// How many variants there are, counted up to 10,000.
pub(super) static COUNT: Operation = Operation {
    name: "Count",
    document: include_str!("queries/count.graphql"),
    purpose: Purpose::Read,
    cost: 10.0,
};

pub(super) static BULK_BEGIN: Operation = Operation {
    name: "BulkBegin",
    document: include_str!("queries/bulk_begin.graphql"),
    purpose: Purpose::Read,
    cost: 10.0,
};

pub(super) static BULK: Operation = Operation {
    name: "Bulk",
    document: include_str!("queries/bulk.graphql"),
    purpose: Purpose::Read,
    cost: 1.0,
};

pub(super) static ORDERS: Operation = Operation {
    name: "Orders",
    document: concat!(
        include_str!("queries/orders.graphql"),
        include_str!("queries/order_fields.graphql"),
        include_str!("queries/line_fields.graphql"),
        include_str!("queries/shipped_fields.graphql"),
        include_str!("queries/refunded_fields.graphql"),
    ),
    purpose: Purpose::Read,
    cost: 300.0,
};

pub(super) static ORDER: Operation = Operation {
    name: "Order",
    document: concat!(
        include_str!("queries/order.graphql"),
        include_str!("queries/order_fields.graphql"),
        include_str!("queries/line_fields.graphql"),
        include_str!("queries/shipped_fields.graphql"),
        include_str!("queries/refunded_fields.graphql"),
    ),
    purpose: Purpose::Read,
    cost: 100.0,
};

/// Like [`ORDERS`], with where each order's units are to be shipped from.
pub(super) static ROUTED_ORDERS: Operation = Operation {
    name: "RoutedOrders",
    document: concat!(
        include_str!("queries/routed_orders.graphql"),
        include_str!("queries/order_fields.graphql"),
        include_str!("queries/line_fields.graphql"),
        include_str!("queries/shipped_fields.graphql"),
        include_str!("queries/refunded_fields.graphql"),
        include_str!("queries/order_routes.graphql"),
        include_str!("queries/route_fields.graphql"),
        include_str!("queries/routed_fields.graphql"),
    ),
    purpose: Purpose::Read,
    cost: 500.0,
};

/// Like [`ORDER`], with where its units are to be shipped from.
pub(super) static ROUTED_ORDER: Operation = Operation {
    name: "RoutedOrder",
    document: concat!(
        include_str!("queries/routed_order.graphql"),
        include_str!("queries/order_fields.graphql"),
        include_str!("queries/line_fields.graphql"),
        include_str!("queries/shipped_fields.graphql"),
        include_str!("queries/refunded_fields.graphql"),
        include_str!("queries/order_routes.graphql"),
        include_str!("queries/route_fields.graphql"),
        include_str!("queries/routed_fields.graphql"),
    ),
    purpose: Purpose::Read,
    cost: 150.0,
};

pub(super) static MORE_ROUTES: Operation = Operation {
    name: "MoreRoutes",
    document: concat!(
        include_str!("queries/more_routes.graphql"),
        include_str!("queries/route_fields.graphql"),
        include_str!("queries/routed_fields.graphql"),
    ),
    purpose: Purpose::Read,
    cost: 100.0,
};

pub(super) static ROUTE_LINES: Operation = Operation {
    name: "RouteLines",
    document: concat!(
        include_str!("queries/route_lines.graphql"),
        include_str!("queries/routed_fields.graphql")
    ),
    purpose: Purpose::Read,
    cost: 50.0,
};

/// The orders of which something is to be shipped from elsewhere, or otherwise, since a moment.
pub(super) static MOVED: Operation = Operation {
    name: "Moved",
    document: include_str!("queries/moved.graphql"),
    purpose: Purpose::Read,
    cost: 30.0,
};

pub(super) static ORDER_LINES: Operation = Operation {
    name: "OrderLines",
    document: concat!(
        include_str!("queries/order_lines.graphql"),
        include_str!("queries/line_fields.graphql")
    ),
    purpose: Purpose::Read,
    cost: 50.0,
};

pub(super) static FULFILLMENT_LINES: Operation = Operation {
    name: "FulfillmentLines",
    document: concat!(
        include_str!("queries/fulfillment_lines.graphql"),
        include_str!("queries/shipped_fields.graphql")
    ),
    purpose: Purpose::Read,
    cost: 50.0,
};

pub(super) static REFUND_LINES: Operation = Operation {
    name: "RefundLines",
    document: concat!(
        include_str!("queries/refund_lines.graphql"),
        include_str!("queries/refunded_fields.graphql")
    ),
    purpose: Purpose::Read,
    cost: 50.0,
};

pub(super) static HEALTH: Operation = Operation {
    name: "Health",
    document: include_str!("queries/health.graphql"),
    purpose: Purpose::Read,
    cost: 10.0,
};

/// What can be asked whatever the scopes are.
pub(super) static STANDING: Operation = Operation {
    name: "Standing",
    document: include_str!("queries/standing.graphql"),
    purpose: Purpose::Read,
    cost: 5.0,
};

/// The webhook subscriptions of the app in the shop.
pub(super) static HOOKS: Operation = Operation {
    name: "Hooks",
    document: include_str!("queries/hooks.graphql"),
    purpose: Purpose::Read,
    cost: 50.0,
};

pub(super) static HOOK_CREATE: Operation = Operation {
    name: "HookCreate",
    document: include_str!("queries/hook_create.graphql"),
    purpose: Purpose::Read,
    cost: 10.0,
};

pub(super) static HOOK_UPDATE: Operation = Operation {
    name: "HookUpdate",
    document: include_str!("queries/hook_update.graphql"),
    purpose: Purpose::Read,
    cost: 10.0,
};

pub(super) static HOOK_DELETE: Operation = Operation {
    name: "HookDelete",
    document: include_str!("queries/hook_delete.graphql"),
    purpose: Purpose::Read,
    cost: 10.0,
};

/// A request's body.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a, V> {
    query: &'a str,
    variables: &'a V,
}

impl<'a, V> Request<'a, V> {
    pub(super) fn new(operation: &'a Operation, variables: &'a V) -> Request<'a, V> {
        Request { query: operation.document, variables }
    }
}

/// What a query cost and what is left, as answers tell it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cost {
    pub(super) requested_query_cost: Option<f64>,
    pub(super) throttle_status: ThrottleStatus,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThrottleStatus {
    pub(super) maximum_available: f64,
    pub(super) currently_available: f64,
    pub(super) restore_rate: f64,
}

/// Why an answer holds no data.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Trouble {
    /// No byte has left. Not executed.
    #[error("{0}")]
    NotSent(String),
    /// No answer in time. May have been executed.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Cut off. May have been executed.
    #[error("{0}")]
    Lost(String),
    /// Too large, or not to be understood. May have been executed.
    #[error("{0}")]
    Unclear(String),
    /// The shop failed. May have been executed.
    #[error("shop answered {status}: {detail}")]
    Server { status: u16, detail: String },
    /// Not executed.
    #[error("throttled")]
    Throttled(Duration),
    /// Not executed, and nothing else will be: credentials, scopes, or the state of the shop.
    #[error("{0}")]
    Unauthorized(String),
    /// Not executed: the query may cost more than any may.
    #[error("{0}")]
    TooCostly(String),
    /// Not executed: the request is not one that the shop takes.
    #[error("{0}")]
    Refused(String),
}

impl From<NoAnswer> for Trouble {
    fn from(none: NoAnswer) -> Trouble {
        match none {
            NoAnswer::NotSent(_) => Trouble::NotSent(none.to_string()),
            NoAnswer::Timeout(limit) => Trouble::Timeout(limit),
            NoAnswer::Disconnected(_) => Trouble::Lost(none.to_string()),
            NoAnswer::TooLarge { .. } => Trouble::Unclear(none.to_string()),
        }
    }
}

impl From<Trouble> for Fault {
    /// Returns what it means for a read.
    fn from(trouble: Trouble) -> Fault {
        match trouble {
            Trouble::NotSent(why) | Trouble::Lost(why) => Fault::Disconnected(why),
            Trouble::Timeout(limit) => Fault::Timeout(limit),
            Trouble::Unclear(why) => Fault::Malformed(why),
            Trouble::Server { status, detail } => Fault::Server { status, detail },
            Trouble::Throttled(retry_after) => Fault::Throttled { retry_after },
            Trouble::Unauthorized(why) => Fault::Unauthorized(why),
            Trouble::TooCostly(why) | Trouble::Refused(why) => Fault::Refused(why),
        }
    }
}

impl Trouble {
    /// Returns what it means for a write of which this was the whole answer.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Trouble::NotSent(why) => Outcome::NotSent { reason: why.clone() },
            Trouble::Timeout(_) | Trouble::Lost(_) | Trouble::Unclear(_) | Trouble::Server { .. } => {
                Outcome::Unknown { fault: self.to_string() }
            }
            Trouble::Throttled(wait) => {
                let retry_after_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                Outcome::Throttled { retry_after_ms }
            }
            Trouble::Unauthorized(why) => Outcome::Unauthorized { reason: why.clone() },
            Trouble::TooCostly(why) | Trouble::Refused(why) => Outcome::Rejected { reason: why.clone() },
        }
    }
}

/// An answer, read as far as all answers are alike.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) cost: Option<Cost>,
    pub(super) data: Result<Value, Trouble>,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    /// `Some(Null)` where the key is there and null, `None` where it is not there.
    #[serde(default, deserialize_with = "present")]
    data: Option<Value>,
    #[serde(default)]
    errors: Value,
    #[serde(default)]
    extensions: Value,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Reads an answer.
pub(super) fn reply(answer: &Answer) -> Reply {
    let envelope = http::json::<Envelope>(&answer.body);
    let cost = envelope.as_ref().ok().and_then(|e| Cost::deserialize(&e.extensions["cost"]).ok());
    let data = match by_status(answer, cost.as_ref()) {
        Some(trouble) => Err(trouble),
        None => match envelope {
            Ok(envelope) => data(envelope, cost.as_ref(), answer),
            Err(error) => Err(Trouble::Unclear(format!("answer not understood: {error}"))),
        },
    };
    Reply { cost, data }
}

fn throttled(cost: Option<&Cost>, answer: &Answer) -> Trouble {
    let wait = answer.retry_after().or_else(|| cost.and_then(until_affordable));
    Trouble::Throttled(wait.unwrap_or(THROTTLE_DEFAULT))
}

/// Returns what the status alone says, if it says anything.
fn by_status(answer: &Answer, cost: Option<&Cost>) -> Option<Trouble> {
    let said = |what: &str| format!("{what} (status {}): {}", answer.status, excerpt(&answer.body));
    Some(match answer.status {
        200 => return None,
        429 => throttled(cost, answer),
        430 => Trouble::Throttled(answer.retry_after().unwrap_or(REJECTION_WAIT)),
        401 | 403 => Trouble::Unauthorized(said("access token refused")),
        // One request cannot have done this, and no other would fare better: the lane stops, no leg is given up.
        402 | 423 => Trouble::Unauthorized(said("shop is frozen or locked")),
        404 | 410 => Trouble::Unauthorized(said("no such shop or API version")),
        300..=399 => Trouble::Unauthorized(said("shop has moved to another address")),
        408 => Trouble::Server { status: answer.status, detail: excerpt(&answer.body) },
        400..=499 => Trouble::Refused(said("request refused")),
        status => Trouble::Server { status, detail: excerpt(&answer.body) },
    })
}

fn data(envelope: Envelope, cost: Option<&Cost>, answer: &Answer) -> Result<Value, Trouble> {
    let executed = envelope.data.is_some();
    if let Some(errors) = envelope.errors.as_array().filter(|errors| !errors.is_empty()) {
        // The worst of them speaks for the answer.
        let verdicts = errors.iter().map(|error| by_error(error, executed, cost, answer));
        return Err(verdicts
            .min_by_key(rank)
            .unwrap_or_else(|| Trouble::Unclear("no error in `errors`".to_owned())));
    }
    if !envelope.errors.is_null() && !envelope.errors.is_array() {
        return Err(Trouble::Unclear(excerpt(envelope.errors.to_string().as_bytes())));
    }
    match envelope.data {
        Some(data) if data.is_object() => Ok(data),
        Some(_) | None => Err(Trouble::Unclear("answer holds neither data nor errors".to_owned())),
    }
}

fn by_error(error: &Value, executed: bool, cost: Option<&Cost>, answer: &Answer) -> Trouble {
    let code = error["extensions"]["code"].as_str().unwrap_or_default();
    let message = excerpt(error["message"].as_str().unwrap_or("no message").as_bytes());
    let said = format!("`{code}`: {message}");
    match code {
        "THROTTLED" => throttled(cost, answer),
        "MAX_COST_EXCEEDED" => Trouble::TooCostly(said),
        "ACCESS_DENIED" | "SHOP_INACTIVE" | "UNAUTHORIZED" => Trouble::Unauthorized(said),
        "BAD_REQUEST" | "INVALID_VARIABLE" | "INVALID_FIELD_ARGUMENTS" | "MAX_INPUT_SIZE_EXCEEDED" => {
            Trouble::Refused(said)
        }
        "" | "INTERNAL_SERVER_ERROR" | "TIMEOUT" | "SERVICE_UNAVAILABLE" => {
            Trouble::Server { status: answer.status, detail: said }
        }
        // An answer without `data` was refused before anything ran (GraphQL, section 7.1): a document or its
        // variables do not fit the schema. With `data`, a code that is not known may stand for anything.
        _ if !executed => Trouble::Refused(said),
        _ => Trouble::Server { status: answer.status, detail: said },
    }
}

/// Orders troubles: what may have been executed comes before what was not.
fn rank(trouble: &Trouble) -> u8 {
    match trouble {
        Trouble::Server { .. } | Trouble::Unclear(_) | Trouble::Lost(_) | Trouble::Timeout(_) => 0,
        Trouble::Unauthorized(_) => 1,
        Trouble::Throttled(_) => 2,
        Trouble::TooCostly(_) => 3,
        Trouble::Refused(_) => 4,
        Trouble::NotSent(_) => 5,
    }
}

#[cfg(test)]
pub(super) mod tests;
