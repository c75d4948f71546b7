//! Requests of the Selling Partner API, as pure functions.
//!
//! Owns paths, query strings, percent-encoding and bodies. Knows no token and no answer.

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{notifications::ORDER_CHANGE, options::Options};
use crate::{
    connectors::By,
    model::{OrderId, Quantity, Timestamp},
};

#[cfg(test)]
mod tests;

/// Everything but RFC 3986's unreserved characters: `/` becomes `%2F` and a space `%20`, never `+`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most listings of one page, and the most identifiers of one search.
pub(super) const PAGE_MAX: usize = 20;

/// The data sets asked for of a listing. What is for sale stands in `fulfillmentAvailability`; `attributes` tells
/// what was submitted, and so a change to Amazon's own fulfilment before it shows.
const LISTING_DATA: &str = "summaries,attributes,fulfillmentAvailability";

/// The data sets asked for of an order. None of them holds personal data.
const ORDER_DATA: &str = "FULFILLMENT,CANCELLATION";

/// An operation with a usage plan of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    PatchListing,
    GetListing,
    SearchListings,
    SearchOrders,
    GetOrder,
    Summaries,
    /// All that is about notifications.
    Notifications,
    CreateReport,
    GetReports,
    GetReport,
    GetReportDocument,
    CreateFeedDocument,
    CreateFeed,
    GetFeeds,
    /// Asking after one, or taking it back.
    GetFeed,
    GetFeedDocument,
}

impl Operation {
    /// Returns how long a call waits for its turn before it reports that it is throttled.
    ///
    /// An order feed that goes on over more pages than its burst gets one in three minutes: it waits, because a read
    /// that is given up begins again at its first page.
    pub(super) fn patience(self) -> Duration {
        match self {
            Operation::SearchOrders => Duration::from_secs(15 * 60),
            Operation::PatchListing
            | Operation::GetListing
            | Operation::SearchListings
            | Operation::Summaries
            | Operation::Notifications
            | Operation::CreateReport
            | Operation::GetReports
            | Operation::GetReport
            | Operation::GetReportDocument
            | Operation::CreateFeedDocument
            | Operation::CreateFeed
            | Operation::GetFeeds
            | Operation::GetFeed
            | Operation::GetFeedDocument
            | Operation::GetOrder => Duration::from_secs(20),
        }
    }
}

/// One request, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) method: Method,
    /// Path and query, relative to the endpoint, encoded.
    pub(super) path: String,
    pub(super) body: Option<Bytes>,
    /// It is made in the app's own name, not in the seller's.
    pub(super) by_app: bool,
}

impl Request {
    fn get(operation: Operation, path: String) -> Request {
        Request { operation, method: Method::GET, path, body: None, by_app: false }
    }

    fn post(operation: Operation, path: String, body: &Value) -> Request {
        let body = Some(Bytes::from(body.to_string()));
        Request { operation, method: Method::POST, path, body, by_app: false }
    }
}

/// A text that no path can carry: URL parsers take it, encoded or not, for a step within the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be named in a URL path, so Amazon's listing API cannot address it")]
pub(super) struct NoPath(String);

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn segment(text: &str) -> Result<String, NoPath> {
    if matches!(text, "" | "." | "..") {
        return Err(NoPath(text.to_owned()));
    }
    Ok(encoded(text))
}

/// Joins with commas. A value that itself holds a comma would be split by Amazon: the caller keeps those out.
fn list<T: AsRef<str>>(values: &[T]) -> String {
    values.iter().map(|v| encoded(v.as_ref())).collect::<Vec<_>>().join(",")
}

/// Tells whether a SKU can be one of several in a query.
pub(super) fn fits_list(sku: &str) -> bool {
    !sku.contains(',')
}

fn listings(options: &Options) -> String {
    format!("listings/2021-08-01/items/{}", encoded(&options.seller_id))
}

/// Sets what a merchant-fulfilled listing offers.
///
/// `merge` leaves the handling time and the restock date alone; `replace` would wipe them.
pub(super) fn patch_quantity(
    options: &Options,
    sku: &str,
    marketplace: &str,
    quantity: Quantity,
) -> Result<Request, NoPath> {
    patch(options, sku, marketplace, "", Some(quantity))
}

/// Asks whether a write to the listing would be let in, and writes nothing: Amazon only validates it, and the patch
/// names no quantity.
pub(super) fn patch_preview(options: &Options, sku: &str, marketplace: &str) -> Result<Request, NoPath> {
    patch(options, sku, marketplace, "&mode=VALIDATION_PREVIEW", None)
}

fn patch(
    options: &Options,
    sku: &str,
    marketplace: &str,
    mode: &str,
    quantity: Option<Quantity>,
) -> Result<Request, NoPath> {
    let path = format!(
        "{}/{}?marketplaceIds={}&issueLocale=en_US{mode}",
        listings(options),
        segment(sku)?,
        encoded(marketplace),
    );
    let body = PatchBody { product_type: &options.product_type, patches: [quantity_patch(quantity)] };
    let body = serde_json::to_vec(&body).expect("texts and numbers always serialize");
    let method = Method::PATCH;
    Ok(Request { operation: Operation::PatchListing, method, path, body: Some(body.into()), by_app: false })
}

fn quantity_patch(quantity: Option<Quantity>) -> Patch {
    Patch {
        op: "merge",
        path: "/attributes/fulfillment_availability",
        value: [Availability {
            fulfillment_channel_code: "DEFAULT",
            quantity: quantity.map(Quantity::units),
        }],
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PatchBody<'a> {
    product_type: &'a str,
    patches: [Patch; 1],
}

#[derive(Serialize)]
struct Patch {
    op: &'static str,
    path: &'static str,
    value: [Availability; 1],
}

#[derive(Serialize)]
struct Availability {
    fulfillment_channel_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i64>,
}

/// Reads one listing.
pub(super) fn get_listing(options: &Options, sku: &str) -> Result<Request, NoPath> {
    let path = format!(
        "{}/{}?marketplaceIds={}&includedData={LISTING_DATA}",
        listings(options),
        segment(sku)?,
        list(&options.marketplace_ids),
    );
    Ok(Request::get(Operation::GetListing, path))
}

/// Reads up to [`PAGE_MAX`] listings by SKU. None of the SKUs may hold a comma.
pub(super) fn search_skus(options: &Options, skus: &[&str]) -> Request {
    debug_assert!(skus.len() <= PAGE_MAX && skus.iter().all(|sku| fits_list(sku)));
    let path = format!(
        "{}?marketplaceIds={}&identifiersType=SKU&identifiers={}&includedData={LISTING_DATA}&pageSize={PAGE_MAX}",
        listings(options),
        list(&options.marketplace_ids),
        list(skus),
    );
    Request::get(Operation::SearchListings, path)
}

/// Reads the listings of up to [`PAGE_MAX`] products by ASIN: a page of them, for an ASIN may have several.
pub(super) fn search_asins(options: &Options, asins: &[String], token: Option<&str>) -> Request {
    debug_assert!(asins.len() <= PAGE_MAX);
    let mut path = format!(
        "{}?marketplaceIds={}&identifiersType=ASIN&identifiers={}&includedData={LISTING_DATA}&pageSize={PAGE_MAX}",
        listings(options),
        list(&options.marketplace_ids),
        list(asins),
    );
    if let Some(token) = token {
        path.push_str(&format!("&pageToken={}", encoded(token)));
    }
    Request::get(Operation::SearchListings, path)
}

/// Reads a page of all listings, oldest first: those created at or after `since`, from the page that `token` names.
pub(super) fn search_all(options: &Options, since: Option<&str>, token: Option<&str>) -> Request {
    let mut path = format!(
        "{}?marketplaceIds={}&includedData={LISTING_DATA}&pageSize={PAGE_MAX}&sortBy=createdDate&sortOrder=ASC",
        listings(options),
        list(&options.marketplace_ids),
    );
    for (name, value) in [("createdAfter", since), ("pageToken", token)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    Request::get(Operation::SearchListings, path)
}

/// Reads a page of the orders updated, or placed, at or after `after`. Everything but the token stays the same on later pages,
/// as Amazon demands.
pub(super) fn search_orders(
    options: &Options,
    by: By,
    after: Timestamp,
    page_max: u8,
    token: Option<&str>,
) -> Request {
    let since = match by {
        By::Change => "lastUpdatedAfter",
        By::Placement => "createdAfter",
    };
    let mut path = format!(
        "orders/2026-01-01/orders?{since}={}&marketplaceIds={}&includedData={ORDER_DATA}\
         &maxResultsPerPage={page_max}",
        encoded(&iso_8601(after)),
        list(&options.marketplace_ids),
    );
    if let Some(token) = token {
        path.push_str(&format!("&paginationToken={}", encoded(token)));
    }
    Request::get(Operation::SearchOrders, path)
}

/// Reads one order.
pub(super) fn get_order(order: &OrderId) -> Result<Request, NoPath> {
    let order = segment(order.as_str())?;
    let path = format!("orders/2026-01-01/orders/{order}?includedData={ORDER_DATA}");
    Ok(Request::get(Operation::GetOrder, path))
}

/// Reads a page of what lies in Amazon's own warehouses for a marketplace: of all SKUs, or of those named.
pub(super) fn summaries(marketplace: &str, skus: &[&str], token: Option<&str>) -> Request {
    let marketplace = encoded(marketplace);
    let mut path = format!(
        "fba/inventory/v1/summaries?details=true&granularityType=Marketplace&granularityId={marketplace}\
         &marketplaceIds={marketplace}"
    );
    if !skus.is_empty() {
        path.push_str(&format!("&sellerSkus={}", list(skus)));
    }
    if let Some(token) = token {
        path.push_str(&format!("&nextToken={}", encoded(token)));
    }
    Request::get(Operation::Summaries, path)
}

/// The report of all listings of a marketplace, those that are not for sale too.
pub(super) const ALL_LISTINGS: &str = "GET_MERCHANT_LISTINGS_ALL_DATA";

/// Reads which reports of all listings were asked for since `since`, and are under way or done.
pub(super) fn reports(since: Timestamp) -> Request {
    let path = format!(
        "reports/2021-06-30/reports?reportTypes={ALL_LISTINGS}&processingStatuses=IN_QUEUE,IN_PROGRESS,DONE&pageSize=100\
         &createdSince={}",
        encoded(&iso_8601(since))
    );
    Request::get(Operation::GetReports, path)
}

/// Asks for a report of all listings of a marketplace, with English column names.
pub(super) fn create_report(marketplace: &str) -> Request {
    let path = "reports/2021-06-30/reports".to_owned();
    let body = json!({
        "reportType": ALL_LISTINGS,
        "marketplaceIds": [marketplace],
        "reportOptions": {"preferredReportDocumentLocale": "en_US"},
    });
    Request::post(Operation::CreateReport, path, &body)
}

/// Reads how far a report is.
pub(super) fn report(id: &str) -> Result<Request, NoPath> {
    Ok(Request::get(Operation::GetReport, format!("reports/2021-06-30/reports/{}", segment(id)?)))
}

/// Reads where the document of a report lies.
pub(super) fn report_document(id: &str) -> Result<Request, NoPath> {
    let path = format!("reports/2021-06-30/documents/{}", segment(id)?);
    Ok(Request::get(Operation::GetReportDocument, path))
}

/// The feed that takes patches of listings.
pub(super) const FEED: &str = "JSON_LISTINGS_FEED";

/// What a feed's document is, in the same words when it is made known and when it is uploaded.
pub(super) const FEED_CONTENT: &str = "application/json; charset=UTF-8";

/// One message of a feed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) number: u32,
    pub(super) sku: &'a str,
    pub(super) quantity: Quantity,
}

/// A feed's document, grown message by message.
#[derive(Debug)]
pub(super) struct Feed(Vec<u8>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageBody<'a> {
    message_id: u32,
    sku: &'a str,
    operation_type: &'static str,
    product_type: &'a str,
    patches: [Patch; 1],
}

impl Feed {
    pub(super) fn new(seller_id: &str) -> Feed {
        let header = json!({"sellerId": seller_id, "version": "2.0", "issueLocale": "en_US"});
        Feed(format!("{{\"header\":{header},\"messages\":[").into_bytes())
    }

    /// Adds a message, unless the document would be larger than `most`.
    ///
    /// `PATCH` with `merge`, as [`patch_quantity`]: `UPDATE` would erase all else, and `PARTIAL_UPDATE` the handling time.
    pub(super) fn add(&mut self, message: &Message<'_>, product_type: &str, most: usize) -> bool {
        let body = MessageBody {
            message_id: message.number,
            sku: message.sku,
            operation_type: "PATCH",
            product_type,
            patches: [quantity_patch(Some(message.quantity))],
        };
        let body = serde_json::to_vec(&body).expect("texts and numbers always serialize");
        let fits = self.0.len() + body.len() + "],}".len() <= most;
        if fits {
            if self.0.last() == Some(&b'}') {
                self.0.push(b',');
            }
            self.0.extend(body);
        }
        fits
    }

    pub(super) fn end(mut self) -> Bytes {
        self.0.extend(b"]}");
        self.0.into()
    }
}

/// Asks where a feed's document is to be put.
pub(super) fn create_feed_document() -> Request {
    let path = "feeds/2021-06-30/documents".to_owned();
    Request::post(Operation::CreateFeedDocument, path, &json!({"contentType": FEED_CONTENT}))
}

/// Has a document worked off. Quantities are one number for the region, so the first marketplace stands for it.
pub(super) fn create_feed(document: &str, marketplaces: &[String]) -> Request {
    let path = "feeds/2021-06-30/feeds".to_owned();
    let marketplaces = marketplaces.get(..1).unwrap_or_default();
    let body = json!({"feedType": FEED, "marketplaceIds": marketplaces, "inputFeedDocumentId": document});
    Request::post(Operation::CreateFeed, path, &body)
}

/// Reads which feeds were made since `since`, the newest first.
pub(super) fn feeds(since: Timestamp, page_max: u8) -> Request {
    let path = format!(
        "feeds/2021-06-30/feeds?feedTypes={FEED}&pageSize={page_max}&createdSince={}",
        encoded(&iso_8601(since))
    );
    Request::get(Operation::GetFeeds, path)
}

/// Reads how far a feed is.
pub(super) fn feed(id: &str) -> Result<Request, NoPath> {
    Ok(Request::get(Operation::GetFeed, format!("feeds/2021-06-30/feeds/{}", segment(id)?)))
}

/// Takes a feed back that was not begun with.
pub(super) fn cancel_feed(id: &str) -> Result<Request, NoPath> {
    Ok(Request { method: Method::DELETE, ..feed(id)? })
}

/// Reads where the document of a feed lies.
pub(super) fn feed_document(id: &str) -> Result<Request, NoPath> {
    let path = format!("feeds/2021-06-30/documents/{}", segment(id)?);
    Ok(Request::get(Operation::GetFeedDocument, path))
}

/// Reads which queues Amazon knows.
pub(super) fn destinations() -> Request {
    let path = "notifications/v1/destinations".to_owned();
    Request { by_app: true, ..Request::get(Operation::Notifications, path) }
}

/// Makes a queue known to Amazon.
pub(super) fn create_destination(arn: &str) -> Request {
    let path = "notifications/v1/destinations".to_owned();
    let body = json!({"name": "evenkeel", "resourceSpecification": {"sqs": {"arn": arn}}});
    Request { by_app: true, ..Request::post(Operation::Notifications, path, &body) }
}

/// Reads whether, and where, notifications of a type are sent.
pub(super) fn subscription(kind: &str) -> Request {
    let path = format!("notifications/v1/subscriptions/{}?payloadVersion=1.0", encoded(kind));
    Request::get(Operation::Notifications, path)
}

/// Has notifications of a type sent to a queue. Of orders, what is about tips is left out.
pub(super) fn subscribe(kind: &str, destination: &str) -> Request {
    let path = format!("notifications/v1/subscriptions/{}", encoded(kind));
    let mut body = json!({"payloadVersion": "1.0", "destinationId": destination});
    if kind == ORDER_CHANGE {
        body["processingDirective"] = json!({"eventFilter": {
            "eventFilterType": ORDER_CHANGE,
            "orderChangeTypes": ["OrderStatusChange", "BuyerRequestedChange"],
        }});
    }
    Request::post(Operation::Notifications, path, &body)
}

/// Tells whether a text stands in a path as it is.
pub(super) fn is_plain(text: &str) -> bool {
    encoded(text) == text
}

/// Writes a time as Amazon reads it, clamped to what a calendar can hold.
fn iso_8601(time: Timestamp) -> String {
    let millis = time.millis().max(0);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// The longest `User-Agent` that Amazon takes.
const USER_AGENT_MAX: usize = 500;

/// Returns the `User-Agent` that Amazon demands, escaped part by part as its page on the header says, or why the
/// application's name cannot be in it.
pub(super) fn user_agent(application: &str) -> Result<String, String> {
    if application.trim().is_empty() || application.chars().any(|c| !c.is_ascii() || c.is_ascii_control()) {
        return Err(format!("must be printable ASCII, is `{}`", application.escape_debug()));
    }
    let text = format!(
        "{}/{} (Language={})",
        escaped(application, &['/']),
        escaped(env!("CARGO_PKG_VERSION"), &['(']),
        escaped(concat!("Rust/", env!("CARGO_PKG_RUST_VERSION")), &[';', ')']),
    );
    if text.len() > USER_AGENT_MAX {
        return Err(format!("makes a User-Agent of {} characters, {USER_AGENT_MAX} are allowed", text.len()));
    }
    Ok(text)
}

fn escaped(text: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' || special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
