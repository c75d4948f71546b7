//! What Amazon's answers about listings mean, as pure functions.
//!
//! Owns the verdict on a write, the fault of a read, and which listings may be written. Knows no network; orders are
//! read in `orders`. Nothing here panics on any input, and nothing unknown is taken for something known.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    connectors::{CatalogueItem, Fault, Observed, Outcome, http},
    model::{FulfilledBy, IdKind, Identifiers, Levels, Quantity},
};

#[cfg(test)]
mod tests;

/// The channel code of stock that the merchant ships.
const MERCHANT: &str = "DEFAULT";

/// How channel codes of Amazon's own fulfilment begin (`AMAZON_NA`, `AMAZON_EU`, ...).
const BY_AMAZON: &str = "AMAZON";

/// How many errors or issues a text names.
const TOLD_MAX: usize = 3;

/// What a write was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    Done(Outcome),
    /// 403 without a word about the token: either the write role is missing, or the SKU's path was not understood.
    /// The answer does not tell which. Not executed.
    Forbidden(String),
}

/// Reads the answer to a patch. `hold` is how long to wait where Amazon throttles.
pub(super) fn written(status: u16, body: &[u8], hold: Duration) -> Written {
    Written::Done(match status {
        200..=299 => submission(body),
        401 => Outcome::Unauthorized { reason: token_words(body) },
        403 if token_refused(status, body) => Outcome::Unauthorized { reason: token_words(body) },
        403 => return Written::Forbidden(errors(body)),
        408 => Outcome::Unknown { fault: format!("status {status}: {}", errors(body)) },
        429 => Outcome::Throttled { retry_after_ms: i64::try_from(hold.as_millis()).unwrap_or(i64::MAX) },
        400..=499 => Outcome::Rejected { reason: format!("status {status}: {}", errors(body)) },
        _ => Outcome::Unknown { fault: format!("status {status}: {}", errors(body)) },
    })
}

/// Reads a submission. A refused one comes with HTTP 200.
fn submission(body: &[u8]) -> Outcome {
    let answer: Submission = match http::json(body) {
        Ok(answer) => answer,
        Err(e) => return Outcome::Unknown { fault: format!("answer not understood: {e}") },
    };
    let is_error = |issue: &&Issue| issue.severity == "ERROR";
    let issues = answer.issues.unwrap_or_default();
    let issues: Vec<&Issue> = issues.iter().filter(is_error).collect();
    match answer.status.as_str() {
        "ACCEPTED" if issues.is_empty() => Outcome::Accepted { submission: answer.submission_id },
        // Amazon took it and names an error that should have kept it out: only a look at the listing can tell.
        "ACCEPTED" => Outcome::Unknown { fault: format!("accepted with errors: {}", told(&issues)) },
        "INVALID" => Outcome::Rejected { reason: format!("submission is invalid: {}", told(&issues)) },
        other => Outcome::Unknown { fault: format!("submission status `{}` not understood", short(other)) },
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submission {
    status: String,
    submission_id: Option<String>,
    issues: Option<Vec<Issue>>,
}

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    severity: String,
}

fn told(issues: &[&Issue]) -> String {
    if issues.is_empty() {
        return "no reason was given".to_owned();
    }
    let one = |issue: &&Issue| format!("{} {}", short(&issue.code), short(&issue.message));
    issues.iter().take(TOLD_MAX).map(one).collect::<Vec<_>>().join("; ")
}

#[derive(Deserialize)]
struct ErrorList {
    errors: Vec<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    details: Option<String>,
}

/// Tells the errors of an answer that is not a success.
pub(super) fn errors(body: &[u8]) -> String {
    let Ok(list) = serde_json::from_slice::<ErrorList>(body) else { return http::excerpt(body) };
    let one = |error: &ApiError| {
        let details = error.details.as_deref().filter(|d| !d.is_empty());
        let details = details.map(|d| format!(" ({})", short(d))).unwrap_or_default();
        format!("{}: {}{details}", short(&error.code), short(&error.message))
    };
    let all: Vec<String> = list.errors.iter().take(TOLD_MAX).map(one).collect();
    if all.is_empty() { http::excerpt(body) } else { all.join("; ") }
}

/// Cuts a text from outside down to what a message can hold.
fn short(text: &str) -> String {
    http::excerpt(text.as_bytes())
}

/// Tells whether the answer refuses the access token itself. Amazon does so with 403 as often as with 401, and then
/// says so in the details.
pub(super) fn token_refused(status: u16, body: &[u8]) -> bool {
    match status {
        401 => true,
        403 => {
            let Ok(list) = serde_json::from_slice::<ErrorList>(body) else { return false };
            list.errors.iter().any(|error| {
                let words = [&error.code, &error.message, error.details.as_deref().unwrap_or_default()];
                let words = words.map(str::to_ascii_lowercase);
                words.iter().any(|w| {
                    w.contains("access token")
                        || w.contains("security token")
                        || w.contains("authenticationtoken")
                })
            })
        }
        _ => false,
    }
}

fn token_words(body: &[u8]) -> String {
    format!("a fresh access token is refused: {}", errors(body))
}

/// Returns what an answer that is not a success means for a read. `hold` is how long to wait where Amazon throttles.
pub(super) fn fault(status: u16, body: &[u8], hold: Duration) -> Fault {
    match status {
        401 => Fault::Unauthorized(token_words(body)),
        403 if token_refused(status, body) => Fault::Unauthorized(token_words(body)),
        403 => Fault::Unauthorized(format!(
            "{}; a role is missing: grant the app `Product Listing` and `Inventory and Order Tracking`, authorise it \
             again and replace `refresh_token`",
            errors(body)
        )),
        429 => Fault::Throttled { retry_after: hold },
        400..=499 => Fault::Refused(format!("status {status}: {}", errors(body))),
        _ => Fault::Server { status, detail: errors(body) },
    }
}

/// One listing, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) sku: String,
    asin: Option<String>,
    fnsku: Option<String>,
    title: Option<String>,
    /// A configured marketplace in which it is listed, if one is named.
    pub(super) marketplace: Option<String>,
    /// When it was created, in Amazon's own words; the earliest where marketplaces differ.
    pub(super) created: Option<String>,
    pub(super) stock: Stock,
}

/// Whose stock a listing sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stock {
    /// The merchant's, and nobody else's: so much of it.
    Merchant(Quantity),
    /// Amazon's warehouse, at least in part.
    ByAmazon(String),
    /// Not said, or not understood.
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawListing {
    sku: String,
    summaries: Option<Vec<RawSummary>>,
    attributes: Option<RawAttributes>,
    fulfillment_availability: Option<Vec<RawAvailability>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSummary {
    marketplace_id: Option<String>,
    asin: Option<String>,
    fn_sku: Option<String>,
    item_name: Option<String>,
    created_date: Option<String>,
}

#[derive(Deserialize)]
struct RawAttributes {
    fulfillment_availability: Option<Vec<RawSubmitted>>,
}

#[derive(Deserialize)]
struct RawSubmitted {
    fulfillment_channel_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAvailability {
    fulfillment_channel_code: String,
    quantity: Option<i64>,
}

/// Reads one listing. `marketplaces` are the configured ones; the first in which it is listed names it.
pub(super) fn listing(value: &Value, marketplaces: &[String]) -> Result<Listing, String> {
    let raw: RawListing = http::json_part(value)?;
    let stock = stock(&raw);
    let mut summaries = raw.summaries.unwrap_or_default();
    let created = summaries.iter().filter_map(|s| s.created_date.clone()).min();
    let place = |summary: &RawSummary| {
        let id = summary.marketplace_id.as_deref();
        marketplaces.iter().position(|m| Some(m.as_str()) == id)
    };
    summaries.sort_by_key(|s| place(s).unwrap_or(usize::MAX));
    let marketplace = summaries.first().filter(|s| place(s).is_some()).and_then(|s| s.marketplace_id.clone());
    Ok(Listing {
        sku: raw.sku,
        asin: summaries.iter().find_map(|s| s.asin.clone()),
        fnsku: summaries.iter().find_map(|s| s.fn_sku.clone()),
        title: summaries.into_iter().find_map(|s| s.item_name),
        marketplace,
        created,
        stock,
    })
}

/// Decides whose stock it is. What is for sale counts; what was submitted counts only against writing.
fn stock(raw: &RawListing) -> Stock {
    let live = raw.fulfillment_availability.as_deref().unwrap_or_default();
    let submitted = raw.attributes.iter().flat_map(|a| a.fulfillment_availability.iter().flatten());
    let codes = live
        .iter()
        .map(|a| a.fulfillment_channel_code.as_str())
        .chain(submitted.filter_map(|s| s.fulfillment_channel_code.as_deref()));
    let mut other = None;
    for code in codes {
        if code.starts_with(BY_AMAZON) {
            return Stock::ByAmazon(short(code));
        }
        if code != MERCHANT {
            other.get_or_insert_with(|| short(code));
        }
    }
    if let Some(code) = other {
        // A supply source of multi-location inventory, which needs its own way of writing.
        return Stock::Unknown(format!("it has the fulfilment channel `{code}`"));
    }
    match live {
        [] => Stock::Unknown("Amazon names no fulfilment channel".to_owned()),
        // No quantity: nothing is offered.
        [one] => match Quantity::bounded(one.quantity.unwrap_or(0)) {
            Ok(quantity) => Stock::Merchant(quantity),
            Err(e) => Stock::Unknown(e.to_string()),
        },
        _ => Stock::Unknown("Amazon names the merchant's fulfilment channel more than once".to_owned()),
    }
}

impl Stock {
    /// Returns why the listing must not be written, if so.
    pub(super) fn unwritable(&self) -> Option<String> {
        match self {
            Stock::Merchant(_) => None,
            Stock::ByAmazon(code) => Some(format!(
                "fulfilled by Amazon (`{code}`): a quantity written to it would make it merchant-fulfilled"
            )),
            Stock::Unknown(why) => Some(format!("who fulfils it is not known: {why}")),
        }
    }
}

impl Listing {
    /// Returns what a look at it shows.
    pub(super) fn observed(&self) -> Observed {
        match (&self.stock, self.stock.unwritable()) {
            (Stock::Merchant(quantity), None) => Observed::Seen(Levels::of(*quantity)),
            (_, why) => Observed::Unwritable { why: why.unwrap_or_default() },
        }
    }

    /// Returns its row of the catalogue. Identifiers that cannot be used are left out, and the row says so.
    pub(super) fn row(self) -> CatalogueItem {
        let mut unwritable = self.stock.unwritable();
        let by = match self.stock {
            Stock::Merchant(_) => FulfilledBy::Merchant,
            Stock::ByAmazon(_) => FulfilledBy::Channel,
            Stock::Unknown(_) => FulfilledBy::Unknown,
        };
        let levels = match self.stock {
            Stock::Merchant(quantity) => Some(Levels::of(quantity)),
            Stock::ByAmazon(_) | Stock::Unknown(_) => None,
        };
        let pairs = [
            (IdKind::Sku, Some(&self.sku)),
            (IdKind::Asin, self.asin.as_ref()),
            (IdKind::Fnsku, self.fnsku.as_ref()),
        ];
        let pairs = pairs.into_iter().filter_map(|(kind, value)| Some((kind, value?.as_str())));
        let ids = Identifiers::new(pairs).unwrap_or_else(|e| {
            unwritable = Some(e.to_string());
            Identifiers::default()
        });
        CatalogueItem { ids, title: self.title, by, levels, unwritable }
    }
}

/// One page of a listing search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// How many listings the search found, on all pages.
    pub(super) total: u64,
    pub(super) next: Option<String>,
    pub(super) listings: Vec<Result<Listing, Unread>>,
}

/// A listing that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) sku: Option<String>,
    pub(super) why: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPage {
    number_of_results: u64,
    pagination: Option<RawPagination>,
    items: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPagination {
    next_token: Option<String>,
}

/// Reads a page of a listing search. One listing that cannot be read does not hold up the others.
pub(super) fn page(body: &[u8], marketplaces: &[String]) -> Result<Page, Fault> {
    let raw: RawPage = http::json(body).map_err(Fault::Malformed)?;
    let one = |value: Value| {
        let sku = value.get("sku").and_then(Value::as_str).map(str::to_owned);
        listing(&value, marketplaces).map_err(|why| Unread { sku, why })
    };
    Ok(Page {
        total: raw.number_of_results,
        next: raw.pagination.and_then(|p| p.next_token).filter(|token| !token.is_empty()),
        listings: raw.items.into_iter().map(one).collect(),
    })
}
