//! The Reports API, from asking for a report to reading its document.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::header::{CONTENT_TYPE, RANGE};

use super::*;
use crate::sandbox::options::Language;

const ALL: &str = "GET_MERCHANT_LISTINGS_ALL_DATA";

fn at_once() -> Options {
    let mut options = quick();
    options.amazon.report_ms = Span::new(0, 0);
    options
}

fn wanted(locale: Option<&str>) -> Value {
    let mut body = json!({"reportType": ALL, "marketplaceIds": ["ATVPDKIKX0DER"]});
    if let Some(locale) = locale {
        body["reportOptions"] = json!({"preferredReportDocumentLocale": locale});
    }
    body
}

impl Lab {
    async fn create_report(&self, body: Value) -> Answered {
        self.amazon(Method::POST, "/reports/2021-06-30/reports", Some(body)).await
    }

    /// Asks for a report and returns where its document lies.
    async fn report(&self, locale: Option<&str>) -> Value {
        let created = self.create_report(wanted(locale)).await;
        assert_eq!(created.status, StatusCode::ACCEPTED);
        let id = created.body["reportId"].as_str().expect("an id").to_owned();
        let told = self.amazon(Method::GET, &format!("/reports/2021-06-30/reports/{id}"), None).await.body;
        assert_eq!(told["processingStatus"], "DONE");
        let id = told["reportDocumentId"].as_str().expect("a document").to_owned();
        self.amazon(Method::GET, &format!("/reports/2021-06-30/documents/{id}"), None).await.body
    }

    async fn download(&self, told: &Value) -> Response {
        self.client.get(told["url"].as_str().expect("a URL")).send().await.expect("it is served")
    }
}

/// Returns the cells of a row that names a SKU, by column.
fn row<'a>(text: &'a str, sku: &str) -> Vec<(&'a str, &'a str)> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split('\t').collect();
    let line = lines.find(|line| line.split('\t').any(|cell| cell == sku)).expect("it is listed");
    header.into_iter().zip(line.split('\t')).collect()
}

fn cell<'a>(row: &[(&'a str, &'a str)], column: &str) -> &'a str {
    row.iter().find(|(name, _)| *name == column).expect("a column").1
}

#[tokio::test]
async fn a_report_shows_all_listings_as_they_were_when_it_was_asked_for() {
    let lab = Lab::start(at_once()).await;
    let told = lab.report(None).await;
    assert_eq!(told["compressionAlgorithm"], "GZIP");
    lab.order("amazon", "TSHIRT-BL-M", 3).await;
    let bytes = lab.download(&told).await.bytes().await.expect("bytes");
    let mut text = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect_err("Cp1252 is not UTF-8");
    let mut bytes_of = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut bytes_of).expect("it is packed");
    let text: String = bytes_of.iter().map(|byte| char::from(*byte)).collect();
    assert_eq!(text.lines().count(), 1 + 20 + 2);
    let own = row(&text, "TSHIRT-BL-M");
    let of = |column: &str| cell(&own, column);
    assert_eq!(
        (own.len(), of("quantity"), of("fulfillment-channel"), of("status")),
        (29, "10", "DEFAULT", "Active")
    );
    let twin = row(&text, "TSHIRT-BL-M-FBA");
    assert_eq!((cell(&twin, "quantity"), cell(&twin, "fulfillment-channel")), ("", "AMAZON_NA"));
    assert_eq!(cell(&twin, "asin1"), cell(&own, "asin1"));
    assert_eq!(cell(&row(&text, "TASSE-GRÜN-Ø1"), "quantity"), "10");
    assert_eq!(cell(&row(&text, "?-1"), "quantity"), "10", "what the encoding does not have is lost");
}

#[tokio::test]
async fn a_report_comes_in_the_language_that_is_asked_for_or_in_the_accounts_own() {
    let check = async |language: Language, ignored: bool, locale: Option<&str>, kind: &str, header: &[u8]| {
        let mut options = at_once();
        options.amazon.report_language = language;
        options.amazon.report_locale_ignored = ignored;
        options.amazon.report_gzip = false;
        let lab = Lab::start(options).await;
        let told = lab.report(locale).await;
        assert!(told["compressionAlgorithm"].is_null());
        let answer = lab.download(&told).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], format!("text/plain; charset={kind}"));
        let bytes = answer.bytes().await.expect("bytes");
        let first = bytes.split(|byte| *byte == b'\n').next().expect("a line");
        assert!(first.windows(header.len()).any(|part| part == header), "{language:?}");
    };
    check(Language::En, false, None, "Cp1252", b"\tseller-sku\t").await;
    check(Language::De, false, None, "Cp1252", b"\tH\xe4ndler-SKU\t").await;
    check(Language::De, false, Some("en_US"), "Cp1252", b"\tseller-sku\t").await;
    check(Language::De, true, Some("en_US"), "Cp1252", b"\tH\xe4ndler-SKU\t").await;
    check(Language::Ja, false, None, "Shift_JIS", b"\t\x8fo\x95i\x8e\xd2SKU\t").await;
    check(Language::Utf8, false, None, "UTF-8", b"\tseller-sku\t").await;
}

#[tokio::test]
async fn a_document_is_served_in_parts_to_whoever_has_its_address_and_brings_no_token() {
    let mut options = at_once();
    options.amazon.report_gzip = false;
    let lab = Lab::start(options).await;
    let told = lab.report(None).await;
    let url = told["url"].as_str().expect("a URL");
    let whole = lab.download(&told).await.bytes().await.expect("bytes");
    let part = lab.client.get(url).header(RANGE, "bytes=5-9").send().await.expect("served");
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], format!("bytes 5-9/{}", whole.len()));
    assert_eq!(part.bytes().await.expect("bytes"), whole.slice(5..10));
    let status = async |request: reqwest::RequestBuilder| request.send().await.expect("served").status();
    let get = |url: &str| lab.client.get(url);
    assert_eq!(status(get(&url.replace("Signature=", "Signature=x"))).await, StatusCode::FORBIDDEN);
    assert_eq!(status(get(url).header("x-amz-access-token", "t")).await, StatusCode::BAD_REQUEST);
    let beyond = format!("bytes={}-", whole.len());
    assert_eq!(status(get(url).header(RANGE, beyond)).await, StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let lab = Lab::start(at_once()).await;
    let check = async |change: &dyn Fn(&mut Value)| {
        let mut body = wanted(None);
        change(&mut body);
        let refused = lab.create_report(body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert_eq!(refused.body["errors"][0]["code"], "InvalidInput");
    };
    check(&|body| body["reportType"] = json!("BAD_FEE_DISCOUNTS_REPORT")).await;
    check(&|body| body["marketplaceIds"] = json!(["A1PA6795UKMFR9", "ATVPDKIKX0DER"])).await;
    check(&|body| body["marketplaceIds"] = json!([])).await;
    let get =
        async |path: &str| lab.amazon(Method::GET, &format!("/reports/2021-06-30/{path}"), None).await.status;
    assert_eq!(get("reports/nothing").await, StatusCode::NOT_FOUND);
    assert_eq!(get("documents/nothing").await, StatusCode::NOT_FOUND);
    assert_eq!(get("reports").await, StatusCode::BAD_REQUEST);
    let bad = format!("reports?reportTypes={ALL}&processingStatuses=BAD_VALUE,IN_PROGRESS");
    assert_eq!(get(&bad).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_report_is_in_the_queue_before_it_is_done_and_can_be_cancelled_there() {
    let mut options = quick();
    options.amazon.report_ms = Span::new(600_000, 600_000);
    let lab = Lab::start(options).await;
    let id = lab.create_report(wanted(None)).await.body["reportId"].as_str().expect("an id").to_owned();
    let path = format!("/reports/2021-06-30/reports/{id}");
    let status = async || lab.amazon(Method::GET, &path, None).await.body["processingStatus"].clone();
    assert_eq!(status().await, "IN_QUEUE");
    let listed = async |statuses: &str| {
        let path = format!("/reports/2021-06-30/reports?reportTypes={ALL}&processingStatuses={statuses}");
        lab.amazon(Method::GET, &path, None).await.body["reports"].as_array().map(Vec::len)
    };
    assert_eq!((listed("IN_QUEUE,IN_PROGRESS").await, listed("DONE").await), (Some(1), Some(0)));
    assert_eq!(lab.amazon(Method::DELETE, &path, None).await.status, StatusCode::OK);
    assert_eq!(status().await, "CANCELLED");
    assert_eq!(lab.amazon(Method::DELETE, &path, None).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_report_may_be_given_up_or_show_what_an_earlier_one_shows() {
    let mut options = at_once();
    options.amazon.report_fatal_share = 1.0;
    let lab = Lab::start(options).await;
    let id = lab.create_report(wanted(None)).await.body["reportId"].as_str().expect("an id").to_owned();
    let told = lab.amazon(Method::GET, &format!("/reports/2021-06-30/reports/{id}"), None).await.body;
    assert_eq!((&told["processingStatus"], &told["reportDocumentId"]), (&json!("FATAL"), &Value::Null));

    let mut options = at_once();
    (options.amazon.report_kept_ms, options.amazon.report_gzip) = (3_600_000, false);
    let lab = Lab::start(options).await;
    let first = lab.report(None).await;
    lab.order("amazon", "TSHIRT-BL-M", 3).await;
    let second = lab.report(None).await;
    assert_ne!(first["reportDocumentId"], second["reportDocumentId"]);
    let texts = [&first, &second].map(|told| lab.download(told));
    let [first, second] = texts;
    assert_eq!(first.await.bytes().await.expect("bytes"), second.await.bytes().await.expect("bytes"));
}

#[tokio::test]
async fn its_answers_agree_with_the_published_model() {
    let Some(specs) = specs() else { return };
    let lab = Lab::start(at_once()).await;
    const MODEL: &str = "reports_2021-06-30";
    let created = lab.create_report(wanted(Some("en_US"))).await.body;
    check_model(&specs, MODEL, "CreateReportResponse", &created);
    let id = created["reportId"].as_str().expect("an id");
    let report = lab.amazon(Method::GET, &format!("/reports/2021-06-30/reports/{id}"), None).await.body;
    check_model(&specs, MODEL, "Report", &report);
    let id = report["reportDocumentId"].as_str().expect("an id");
    let document = lab.amazon(Method::GET, &format!("/reports/2021-06-30/documents/{id}"), None).await.body;
    check_model(&specs, MODEL, "ReportDocument", &document);
    let all =
        lab.amazon(Method::GET, &format!("/reports/2021-06-30/reports?reportTypes={ALL}"), None).await.body;
    check_model(&specs, MODEL, "GetReportsResponse", &all);
    let refused = lab.create_report(json!({})).await.body;
    check_model(&specs, MODEL, "ErrorList", &refused);
}
