//! Reports 2021-06-30: the report of all listings, asked for, made some time later, and read from an address that is good for
//! five minutes.
//!
//! A report shows what was when it was asked for. One that is asked for while an earlier one is still kept shows what that one
//! shows, in its language. Its text is in the encoding of the account's language, and what that does not have is lost.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use encoding_rs::{Encoding, SHIFT_JIS, WINDOWS_1252};
use serde_json::{Value, json};

use crate::sandbox::clock::iso_millis;
use crate::sandbox::options::{AmazonOptions, Language};
use crate::sandbox::world::{World, signed};

use super::documents::{self, Addresses};
use super::store::{FBA, Listing, MERCHANT, Store};
use super::{Failure, Params};

const ALL_LISTINGS: &str = "GET_MERCHANT_LISTINGS_ALL_DATA";

/// The columns in English, in their order.
const COLUMNS: [&str; 29] = [
    "item-name",
    "item-description",
    "listing-id",
    "seller-sku",
    "price",
    "quantity",
    "open-date",
    "image-url",
    "item-is-marketplace",
    "product-id-type",
    "zshop-shipping-fee",
    "item-note",
    "item-condition",
    "zshop-category1",
    "zshop-browse-path",
    "zshop-storefront-feature",
    "asin1",
    "asin2",
    "asin3",
    "will-ship-internationally",
    "expedited-shipping",
    "zshop-boldface",
    "product-id",
    "bid-for-featured-placement",
    "add-delete",
    "pending-quantity",
    "fulfillment-channel",
    "merchant-shipping-group",
    "status",
];

/// One report.
pub(super) struct Report {
    created_ms: i64,
    done_ms: i64,
    cancelled: bool,
    fatal: bool,
    text: bytes::Bytes,
    charset: &'static str,
    addresses: Addresses,
}

impl Report {
    fn status(&self, now_ms: i64) -> &'static str {
        let half = self.created_ms + (self.done_ms - self.created_ms) / 2;
        match () {
            () if self.cancelled => "CANCELLED",
            () if now_ms < half => "IN_QUEUE",
            () if now_ms < self.done_ms => "IN_PROGRESS",
            () if self.fatal => "FATAL",
            () => "DONE",
        }
    }

    fn told(&self, number: usize, marketplace: &str, now_ms: i64) -> Value {
        let status = self.status(now_ms);
        let mut told = json!({
            "reportId": report_id(number),
            "reportType": ALL_LISTINGS,
            "marketplaceIds": [marketplace],
            "dataStartTime": iso_millis(self.created_ms),
            "dataEndTime": iso_millis(self.created_ms),
            "createdTime": iso_millis(self.created_ms),
            "processingStatus": status,
        });
        if status != "IN_QUEUE" {
            told["processingStartTime"] = json!(iso_millis(self.created_ms));
        }
        if status == "DONE" || status == "FATAL" {
            told["processingEndTime"] = json!(iso_millis(self.done_ms));
        }
        if status == "DONE" {
            told["reportDocumentId"] = json!(document_id(number));
        }
        told
    }
}

fn report_id(number: usize) -> String {
    format!("{}", 50_000 + number)
}

fn document_id(number: usize) -> String {
    format!("amzn1.spdoc.1.4.na.{number:08}")
}

fn numbered(text: &str, id: impl Fn(usize) -> String, store: &Store) -> Result<usize, Failure> {
    let found = (0..store.reports.len()).find(|number| id(*number) == text);
    found.ok_or_else(|| Failure::not_found("the requested report was not found"))
}

/// `createReport`.
pub(super) fn create(
    world: &mut World,
    options: &AmazonOptions,
    body: &[u8],
    now_ms: i64,
) -> Result<Value, Failure> {
    let request: Value =
        serde_json::from_slice(body).map_err(|_| Failure::invalid("the request body is not JSON"))?;
    if request["reportType"] != ALL_LISTINGS {
        return Err(Failure::invalid("Invalid Report Type"));
    }
    // Of several marketplaces only the first is taken.
    if request["marketplaceIds"][0] != world.amazon.marketplace.as_str() {
        return Err(Failure::invalid("marketplaceIds must name a marketplace of the seller"));
    }
    let english = request["reportOptions"]["preferredReportDocumentLocale"] == "en_US";
    let language =
        if english && !options.report_locale_ignored { Language::En } else { options.report_language };
    let kept = world.amazon.reports.iter().rev().find(|report| {
        !report.fatal && now_ms.saturating_sub(report.created_ms) < signed(options.report_kept_ms)
    });
    let (text, charset) = match kept {
        Some(kept) => (kept.text.clone(), kept.charset),
        None => written(&world.amazon, language, options.report_language, now_ms),
    };
    let takes_ms = signed(world.dice.within(options.report_ms));
    let fatal = world.dice.chance(options.report_fatal_share);
    let store = &mut world.amazon;
    let (created_ms, done_ms) = (now_ms, now_ms + takes_ms);
    let addresses = Addresses::default();
    store.reports.push(Report { created_ms, done_ms, cancelled: false, fatal, text, charset, addresses });
    Ok(json!({"reportId": report_id(store.reports.len() - 1)}))
}

/// `getReports`.
pub(super) fn list(store: &Store, params: &Params, now_ms: i64) -> Result<Value, Failure> {
    let types = params.csv("reportTypes");
    if types.is_empty() && params.get("nextToken").is_none() {
        return Err(Failure::invalid("reportTypes or nextToken is required"));
    }
    let statuses = params.csv("processingStatuses");
    const STATUSES: [&str; 5] = ["CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"];
    if statuses.iter().any(|status| !STATUSES.contains(&status.as_str())) {
        return Err(Failure::invalid("Invalid input in processing status"));
    }
    let since = match params.get("createdSince") {
        None => i64::MIN,
        Some(text) => text
            .parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|_| Failure::invalid("createdSince is not a time"))?,
    };
    let ours = types.is_empty() || types.iter().any(|of| of == ALL_LISTINGS);
    let wanted = |report: &Report| {
        let status = report.status(now_ms);
        let status = statuses.is_empty() || statuses.iter().any(|wanted| wanted == status);
        ours && status && report.created_ms >= since
    };
    let told = |(number, report): (usize, &Report)| report.told(number, &store.marketplace, now_ms);
    let found = store.reports.iter().enumerate().rev().filter(|(_, report)| wanted(report));
    Ok(json!({"reports": found.take(100).map(told).collect::<Vec<_>>()}))
}

/// `getReport`.
pub(super) fn get(store: &Store, id: &str, now_ms: i64) -> Result<Value, Failure> {
    let number = numbered(id, report_id, store)?;
    Ok(store.reports[number].told(number, &store.marketplace, now_ms))
}

/// `cancelReport`: only one that is still in the queue.
pub(super) fn cancel(store: &mut Store, id: &str, now_ms: i64) -> Result<Value, Failure> {
    let number = numbered(id, report_id, store)?;
    let report = &mut store.reports[number];
    if report.status(now_ms) != "IN_QUEUE" {
        return Err(Failure::invalid("only a report in the queue can be cancelled"));
    }
    report.cancelled = true;
    Ok(json!({}))
}

/// `getReportDocument`.
pub(super) fn document(
    world: &mut World,
    options: &AmazonOptions,
    id: &str,
    host: &str,
    now_ms: i64,
) -> Result<Value, Failure> {
    let number = numbered(id, document_id, &world.amazon)?;
    let signature = world.dice.uuid();
    let report = &mut world.amazon.reports[number];
    if report.status(now_ms) != "DONE" {
        return Err(Failure::not_found("the requested document was not found"));
    }
    let url = report.addresses.add(host, &format!("report-documents/{number}"), signature, now_ms);
    let mut told = json!({"reportDocumentId": id, "url": url});
    if options.report_gzip {
        told["compressionAlgorithm"] = json!("GZIP");
    }
    Ok(told)
}

/// Serves a document, or the part of it that is asked for, to whoever has a good address.
pub(super) fn serve(
    store: &Store,
    options: &AmazonOptions,
    number: usize,
    query: &str,
    headers: &HeaderMap,
    now_ms: i64,
) -> Response {
    let report = store.reports.get(number);
    let report = match documents::let_in(report, |report| &report.addresses, query, headers, now_ms) {
        Ok(report) => report,
        Err(refused) => return refused.into_response(),
    };
    let bytes = if options.report_gzip { documents::zipped(&report.text) } else { report.text.clone() };
    let kind = format!("text/plain; charset={}", report.charset);
    let size = bytes.len();
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return ([(header::CONTENT_TYPE, kind)], Body::from(bytes)).into_response();
    };
    let to = to.parse::<usize>().map_or(size, |to| to.saturating_add(1).min(size));
    match from.parse::<usize>() {
        Ok(from) if from < to => {
            let range = format!("bytes {from}-{}/{size}", to - 1);
            let head = [(header::CONTENT_RANGE, range), (header::CONTENT_TYPE, kind)];
            (StatusCode::PARTIAL_CONTENT, head, Body::from(bytes.slice(from..to))).into_response()
        }
        _ => (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))])
            .into_response(),
    }
}

/// Writes the report of all listings. `account`: the language of the account, whose encoding it is in.
fn written(
    store: &Store,
    language: Language,
    account: Language,
    now_ms: i64,
) -> (bytes::Bytes, &'static str) {
    let mut text = language.columns().join("\t");
    for (number, own) in store.listings.iter().enumerate() {
        text.push('\n');
        text.push_str(&row(number, own, now_ms).join("\t"));
    }
    text.push('\n');
    let (encoding, name): (Option<&'static Encoding>, _) = match account {
        Language::En | Language::De => (Some(WINDOWS_1252), "Cp1252"),
        Language::Ja => (Some(SHIFT_JIS), "Shift_JIS"),
        Language::Utf8 => (None, "UTF-8"),
    };
    let Some(encoding) = encoding else { return (text.into(), name) };
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        let (encoded, _, lost) = encoding.encode(c.encode_utf8(&mut buffer));
        if lost { bytes.push(b'?') } else { bytes.extend_from_slice(&encoded) }
    }
    (bytes.into(), name)
}

fn row(number: usize, own: &Listing, now_ms: i64) -> Vec<String> {
    let fba = own.fnsku.is_some();
    let mut row = vec![String::new(); COLUMNS.len()];
    let mut put = |name: &str, value: String| {
        if let Some(at) = COLUMNS.iter().position(|column| *column == name) {
            row[at] = value;
        }
    };
    put("item-name", own.title.clone());
    put("listing-id", format!("0101X{number:06}"));
    put("seller-sku", own.seller_sku.clone());
    put("price", format!("{}.{:02}", own.price_cents / 100, own.price_cents % 100));
    put("quantity", if fba { String::new() } else { own.live.max(0).to_string() });
    put("open-date", iso_millis(now_ms));
    put("item-is-marketplace", "y".to_owned());
    put("product-id-type", "1".to_owned());
    put("item-condition", "11".to_owned());
    put("asin1", own.asin.clone());
    put("product-id", own.asin.clone());
    put("pending-quantity", if fba { String::new() } else { "0".to_owned() });
    put("fulfillment-channel", if fba { FBA } else { MERCHANT }.to_owned());
    put("status", if own.live > 0 { "Active" } else { "Inactive" }.to_owned());
    row
}

impl Language {
    /// Returns the names of the columns, in their order.
    fn columns(self) -> Vec<&'static str> {
        let names: &[(&str, &str)] = match self {
            Language::En | Language::Utf8 => &[],
            Language::De => &[
                ("item-name", "Artikelbezeichnung"),
                ("item-description", "Artikelbeschreibung"),
                ("listing-id", "Angebotsnummer"),
                ("seller-sku", "Händler-SKU"),
                ("price", "Preis"),
                ("quantity", "Menge"),
                ("open-date", "Erstellungsdatum"),
                ("product-id-type", "Produkt-ID-Typ"),
                ("item-note", "Anmerkung zum Artikel"),
                ("item-condition", "Artikelzustand"),
                ("asin1", "ASIN 1"),
                ("asin2", "ASIN 2"),
                ("asin3", "ASIN 3"),
                ("product-id", "Produkt-ID"),
                ("pending-quantity", "Anzahl Bestellungen"),
                ("fulfillment-channel", "Versender"),
                ("status", "Status"),
            ],
            Language::Ja => &[
                ("item-name", "商品名"),
                ("listing-id", "出品ID"),
                ("seller-sku", "出品者SKU"),
                ("price", "価格"),
                ("quantity", "数量"),
                ("open-date", "出品日"),
                ("product-id-type", "商品IDタイプ"),
                ("item-note", "コンディション説明"),
                ("item-condition", "コンディション"),
                ("product-id", "商品ID"),
                ("pending-quantity", "在庫数"),
                ("fulfillment-channel", "フルフィルメント・チャンネル"),
                ("status", "ステータス"),
            ],
        };
        let name = |column: &&'static str| {
            names.iter().find(|(of, _)| of == column).map_or(*column, |(_, name)| *name)
        };
        COLUMNS.iter().map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::amazon::documents::ADDRESS_LIFE_MS;
    use crate::sandbox::catalogue::Catalogue;
    use crate::sandbox::options::CatalogueOptions;

    #[test]
    fn the_address_of_a_document_is_good_for_five_minutes() {
        let options = AmazonOptions::default();
        let mut store = Store::new(&Catalogue::generate(&CatalogueOptions::default(), 1), &options, 0);
        let (text, charset) = written(&store, Language::En, Language::En, 0);
        let mut addresses = Addresses::default();
        addresses.add("host", "report-documents/0", "signed".to_owned(), 0);
        let (cancelled, fatal) = (false, false);
        store.reports.push(Report { created_ms: 0, done_ms: 0, cancelled, fatal, text, charset, addresses });
        let status =
            |query: &str, now_ms: i64| serve(&store, &options, 0, query, &HeaderMap::new(), now_ms).status();
        assert_eq!(status("X-Amz-Signature=signed", ADDRESS_LIFE_MS - 1), StatusCode::OK);
        assert_eq!(status("X-Amz-Signature=signed", ADDRESS_LIFE_MS), StatusCode::FORBIDDEN);
        assert_eq!(status("X-Amz-Signature=other", 0), StatusCode::FORBIDDEN);
        assert_eq!(status("", 0), StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_report_goes_from_the_queue_to_its_end() {
        let report = |cancelled: bool, fatal: bool| Report {
            created_ms: 0,
            done_ms: 100,
            cancelled,
            fatal,
            text: bytes::Bytes::new(),
            charset: "UTF-8",
            addresses: Addresses::default(),
        };
        let check = |cancelled: bool, fatal: bool, now_ms: i64, want: &str| {
            assert_eq!(report(cancelled, fatal).status(now_ms), want);
        };
        check(false, false, 0, "IN_QUEUE");
        check(false, false, 50, "IN_PROGRESS");
        check(false, false, 100, "DONE");
        check(false, true, 99, "IN_PROGRESS");
        check(false, true, 100, "FATAL");
        check(true, false, 100, "CANCELLED");
    }
}
