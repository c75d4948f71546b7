//! Snapshots against a small account whose reports go as a test wants.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::connectors::{
    Connector as _,
    amazon::{
        options::Options,
        testing::{quick, spec},
    },
};

const MARKET: &str = "ATVPDKIKX0DER";
const HEADER: &str = "item-name\titem-description\tseller-sku\tquantity\tasin1\tfulfillment-channel\tstatus";

/// What the account does.
#[derive(Clone)]
struct Plan {
    listings: u64,
    /// What is told of reports that are there already.
    there: Vec<Value>,
    /// The status of asking for a report, unless it is done.
    refuses: Option<u16>,
    /// What is told of a report, one after the other; the last one for good.
    told: Vec<Value>,
    document: Bytes,
    kind: &'static str,
    packing: Option<&'static str>,
    /// What answers a read of the document, one after the other, before it is served.
    failing: Vec<u16>,
    knows_parts: bool,
    /// The address of the document, unless it lies here.
    address: Option<&'static str>,
    /// What a search by ASIN finds, and whether it says that there is more.
    by_asin: Value,
    more_by_asin: bool,
}

#[derive(Clone)]
struct Account {
    plan: Arc<Plan>,
    asked: Arc<Mutex<Vec<String>>>,
    polls: Arc<Mutex<usize>>,
    reads: Arc<Mutex<usize>>,
    address: SocketAddr,
}

impl Plan {
    /// An account whose report has this text, and is done at once.
    fn of(text: &str) -> Plan {
        Plan {
            listings: 10_000,
            there: vec![],
            refuses: None,
            told: vec![told("DONE")],
            document: Bytes::copy_from_slice(text.as_bytes()),
            kind: "text/plain; charset=UTF-8",
            packing: None,
            failing: vec![],
            knows_parts: true,
            address: None,
            by_asin: json!([]),
            more_by_asin: false,
        }
    }

    fn rows(count: usize) -> Plan {
        let rows: Vec<String> = (0..count).map(row).collect();
        Plan::of(&format!("{HEADER}\n{}\n", rows.join("\n")))
    }

    fn zipped(self) -> Plan {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.document).expect("to memory");
        let document = encoder.finish().expect("to memory").into();
        Plan { document, packing: Some("GZIP"), kind: "application/octet-stream", ..self }
    }
}

fn row(n: usize) -> String {
    format!("Thing {n}\tAll that can be said of it\tSKU-{n}\t{n}\tB0{n:08}\tDEFAULT\tActive")
}

fn now(back_s: i64) -> String {
    let now = crate::clock::SystemClock.now().plus_millis(-1_000 * back_s);
    jiff::Timestamp::from_millisecond(now.millis()).expect("a time").to_string()
}

fn told(status: &str) -> Value {
    json!({"reportId": "R1", "reportType": ALL_LISTINGS, "marketplaceIds": [MARKET], "createdTime": now(60),
           "processingStatus": status, "reportDocumentId": (status == "DONE").then_some("D1")})
}

fn listing(sku: &str, quantity: i64) -> Value {
    json!({"sku": sku, "summaries": [{"marketplaceId": MARKET, "asin": "B012345678", "createdDate": "2021"}],
           "fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT", "quantity": quantity}]})
}

async fn start(plan: Plan) -> (Amazon, Account) {
    start_with(plan, |_| {}).await
}

async fn start_with(plan: Plan, change: impl FnOnce(&mut Options)) -> (Amazon, Account) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    let (plan, asked) = (Arc::new(plan), Arc::default());
    let account = Account { plan, asked, polls: Arc::default(), reads: Arc::default(), address };
    let router = Router::new().fallback(serve).with_state(account.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut options = quick(&format!("http://{address}"));
    change(&mut options);
    (Amazon::new(options).expect("good options"), account)
}

impl Account {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("unpoisoned").clone()
    }

    fn count(&self, what: &str) -> usize {
        self.asked().iter().filter(|asked| *asked == what).count()
    }

    fn next(counter: &Mutex<usize>) -> usize {
        let mut counter = counter.lock().expect("unpoisoned");
        *counter += 1;
        *counter - 1
    }
}

async fn serve(
    State(account): State<Account>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let query = uri.query().unwrap_or_default().to_owned();
    if path == "/auth/o2/token" {
        return Json(json!({"access_token": "t", "expires_in": 3600})).into_response();
    }
    if path == "/document" {
        return document(&account, &headers);
    }
    assert!(headers.contains_key("x-amz-access-token"), "{path}");
    let plan = &account.plan;
    let (name, answer) = match (method.as_str(), path.rsplit('/').next().unwrap_or_default()) {
        ("POST", "reports") => {
            let asked: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(asked["reportOptions"]["preferredReportDocumentLocale"], "en_US");
            if let Some(status) = plan.refuses {
                account.asked.lock().expect("unpoisoned").push("create".to_owned());
                let error = json!({"errors": [{"code": "X", "message": "not for you"}]});
                return (StatusCode::from_u16(status).expect("a status"), Json(error)).into_response();
            }
            (
                "create".to_owned(),
                json!({"reportId": format!("R-{}", asked["marketplaceIds"][0].as_str().expect("one"))}),
            )
        }
        ("GET", "reports") => ("reports".to_owned(), json!({"reports": plan.there})),
        ("GET", "D1") => {
            let here = format!("http://{}/document?X-Amz-Signature=x", account.address);
            let mut told = json!({"reportDocumentId": "D1", "url": plan.address.unwrap_or(&here)});
            if let Some(packing) = plan.packing {
                told["compressionAlgorithm"] = json!(packing);
            }
            ("address".to_owned(), told)
        }
        ("GET", id) if path.contains("/reports/") => {
            let told = plan.told[Account::next(&account.polls).min(plan.told.len() - 1)].clone();
            (format!("report {id}"), told)
        }
        _ if query.contains("identifiersType=ASIN") => {
            let more = if plan.more_by_asin { json!({"nextToken": "more"}) } else { json!({}) };
            ("asins".to_owned(), json!({"numberOfResults": 1, "items": plan.by_asin, "pagination": more}))
        }
        _ if query.contains("identifiersType=SKU") => {
            let items = json!([listing("SKU-1", 11), listing("SKU-2", 12)]);
            ("skus".to_owned(), json!({"numberOfResults": 2, "items": items}))
        }
        _ => {
            let first = listing("FIRST", 5);
            let next = format!("more-{}", account.count("listings"));
            (
                "listings".to_owned(),
                json!({"numberOfResults": plan.listings, "items": [first],
                                           "pagination": {"nextToken": next}}),
            )
        }
    };
    account.asked.lock().expect("unpoisoned").push(name);
    Json(answer).into_response()
}

fn document(account: &Account, headers: &HeaderMap) -> Response {
    assert!(!headers.contains_key("x-amz-access-token"), "the token goes to Amazon's API alone");
    let (plan, at) = (&account.plan, Account::next(&account.reads));
    if let Some(status) = plan.failing.get(at).filter(|status| **status != 206) {
        return StatusCode::from_u16(*status).expect("a status").into_response();
    }
    let kind = [(header::CONTENT_TYPE, plan.kind)];
    if !plan.knows_parts {
        return (kind, Body::from(plan.document.clone())).into_response();
    }
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).expect("a range").to_owned();
    account.asked.lock().expect("unpoisoned").push("part".to_owned());
    let (from, to) = range.trim_start_matches("bytes=").split_once('-').expect("both ends");
    let (from, size) = (from.parse::<usize>().expect("a number"), plan.document.len());
    if from >= size {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    }
    let to = (to.parse::<usize>().expect("a number") + 1).min(size);
    let place = [(header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", to - 1))];
    (StatusCode::PARTIAL_CONTENT, kind, place, Body::from(plan.document.slice(from..to))).into_response()
}

/// Reads a snapshot to its end, or to the first page that is read by pages. What fails in passing is asked for again.
async fn read(amazon: &Amazon) -> Result<Vec<CataloguePage>, Fault> {
    let mut pages = vec![amazon.snapshot(None).await?];
    while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
        assert!(pages.len() < 100, "it ends");
        if next.0.contains("pages") {
            break;
        }
        match amazon.snapshot(Some(&next)).await {
            Ok(page) => pages.push(page),
            Err(fault) if passing(&fault) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(pages)
}

/// Returns SKU and quantity of the rows that were reported.
fn rows(pages: &[CataloguePage]) -> Vec<(String, Option<i64>)> {
    let told = |item: &CatalogueItem| {
        let quantity = item.levels.map(|levels| levels.available.units());
        (item.ids.get(IdKind::Sku).expect("a SKU").to_owned(), quantity)
    };
    pages.iter().flat_map(|page| &page.reported).map(told).collect()
}

fn expected(count: usize) -> Vec<(String, Option<i64>)> {
    (0..count).map(|n| (format!("SKU-{n}"), Some(i64::try_from(n).expect("small")))).collect()
}

#[tokio::test]
async fn a_large_account_is_read_from_a_report_part_by_part() {
    for plan in [Plan::rows(12_000), Plan::rows(12_000).zipped()] {
        let packed = plan.packing.is_some();
        let (amazon, account) = start(plan).await;
        let pages = read(&amazon).await.expect("it is read");
        assert_eq!(rows(&pages), expected(12_000));
        assert!(pages.iter().all(|page| page.reported.len() <= ROWS_MAX));
        // What the first page told by the way is as of now, and no row of a report is.
        assert_eq!(pages.iter().map(|page| page.items.len()).sum::<usize>(), 1);
        assert!(packed || account.count("part") >= 2, "{:?}", account.asked());
        assert_eq!((account.count("create"), account.count("address")), (1, 1));
        assert_eq!(amazon.reports.wrong(), None);
    }
}

#[tokio::test]
async fn small_accounts_are_read_page_by_page() {
    let (amazon, account) = start(Plan { listings: 5_000, ..Plan::rows(1) }).await;
    let pages = read(&amazon).await.expect("it is read");
    assert_eq!((pages.len(), account.asked()), (1, vec!["listings".to_owned()]));
    // It goes on by pages.
    let next = pages[0].next.clone().expect("more");
    amazon.snapshot(Some(&next)).await.expect("a page");
    assert_eq!(account.count("listings"), 2);
}

#[tokio::test]
async fn a_report_is_waited_for_and_one_that_is_there_is_not_asked_for_again() {
    let at = |status: &str, back_s: i64| {
        let mut report = told(status);
        (report["createdTime"], report["reportId"]) =
            (json!(now(back_s)), json!(format!("{status}-{back_s}")));
        report
    };
    let with = |key: &str, value: Value| {
        let mut report = at("IN_QUEUE", 60);
        report[key] = value;
        report
    };
    let mut done_lately = at("DONE", 7_200);
    done_lately["processingEndTime"] = json!(now(60));
    let cases = [
        (vec![], "report R-ATVPDKIKX0DER"),
        (vec![at("IN_QUEUE", 7_200)], "report IN_QUEUE-7200"),
        (vec![at("IN_PROGRESS", 60), at("IN_QUEUE", 120)], "report IN_PROGRESS-60"),
        (vec![at("DONE", 600)], "report DONE-600"),
        (vec![done_lately], "report DONE-7200"),
        (vec![at("DONE", 7_200)], "report R-ATVPDKIKX0DER"),
        (vec![at("IN_QUEUE", 100_000)], "report R-ATVPDKIKX0DER"),
        (vec![at("CANCELLED", 60), at("FATAL", 60)], "report R-ATVPDKIKX0DER"),
        (vec![with("marketplaceIds", json!(["A2EUQ1WTGCTBG2", MARKET]))], "report R-ATVPDKIKX0DER"),
        (vec![with("reportType", json!("GET_FLAT_FILE_OPEN_LISTINGS_DATA"))], "report R-ATVPDKIKX0DER"),
    ];
    for (there, want) in cases {
        let told = vec![told("IN_QUEUE"), told("DONE")];
        let (amazon, account) = start(Plan { there: there.clone(), told, ..Plan::rows(3) }).await;
        assert_eq!(rows(&read(&amazon).await.expect("it is read")), expected(3));
        assert_eq!(account.count(want), 2, "{there:?}: {:?}", account.asked());
        assert_eq!(account.count("create"), usize::from(want.contains("R-")), "{there:?}");
    }
}

#[tokio::test]
async fn a_report_that_was_read_is_not_read_once_more() {
    let there = vec![told("DONE")];
    let (amazon, account) = start(Plan { there: there.clone(), told: there, ..Plan::rows(3) }).await;
    for created in [0, 1] {
        read(&amazon).await.expect("it is read");
        assert_eq!(account.count("create"), created);
    }
}

#[tokio::test]
async fn each_marketplace_has_a_report_of_its_own() {
    let (amazon, account) = start_with(Plan::rows(3), |options| {
        options.marketplace_ids = vec![MARKET.to_owned(), "A2EUQ1WTGCTBG2".to_owned()];
    })
    .await;
    let twice = [expected(3), expected(3)].concat();
    assert_eq!(rows(&read(&amazon).await.expect("it is read")), twice);
    assert_eq!((account.count("report R-ATVPDKIKX0DER"), account.count("report R-A2EUQ1WTGCTBG2")), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_read_from_a_report_is_read_page_by_page_and_people_hear_why() {
    let with = |key: &str, value: Value| {
        let mut report = told("DONE");
        report[key] = value;
        vec![report]
    };
    let header = |header: &str| Plan::of(&format!("{header}\n{}\n", row(1)));
    let cut = |plan: Plan| {
        let document = plan.document.slice(..plan.document.len() - 9);
        Plan { document, ..plan }
    };
    let cases = [
        (
            "role",
            Plan { refuses: Some(403), ..Plan::rows(1) },
            "Amazon gives no reports: credentials refused",
        ),
        ("type", Plan { refuses: Some(400), ..Plan::rows(1) }, "not for you"),
        ("cancelled", Plan { told: vec![told("CANCELLED")], ..Plan::rows(1) }, "it was cancelled"),
        ("fatal", Plan { told: vec![told("FATAL")], ..Plan::rows(1) }, "gave it up (FATAL); see whether"),
        ("new status", Plan { told: vec![told("PAUSED")], ..Plan::rows(1) }, "status `PAUSED`"),
        (
            "no document",
            Plan { told: with("reportDocumentId", Value::Null), ..Plan::rows(1) },
            "has no document",
        ),
        ("no time", Plan { told: with("createdTime", Value::Null), ..Plan::rows(1) }, "`createdTime`"),
        ("empty", Plan::of(""), "its document is empty"),
        (
            "another table",
            header("sku\tasin\tprice\tquantity"),
            "known as the seller SKU: its header is `sku`",
        ),
        ("another language", header("säljar-sku\tantal"), "`säljar-sku`, `antal`; set the language"),
        ("elsewhere", Plan { address: Some("http://example.com/x"), ..Plan::rows(1) }, "not https"),
        ("no address", Plan { address: Some("nowhere"), ..Plan::rows(1) }, "not https"),
        ("other packing", Plan { packing: Some("ZSTD"), ..Plan::rows(1) }, "packed with `ZSTD`"),
        ("not packed", Plan { packing: Some("GZIP"), ..Plan::rows(1) }, "cannot be unpacked"),
        ("cut off", cut(Plan::rows(3_000).zipped()), "cannot be unpacked"),
        (
            "utf-16",
            Plan { kind: "text/plain; charset=UTF-16LE", ..Plan::rows(1) },
            "an encoding that is not read",
        ),
        ("gone", Plan { failing: vec![403; 9], ..Plan::rows(1) }, "not there any more (status 403)"),
        ("odd status", Plan { failing: vec![204; 9], ..Plan::rows(1) }, "came with status 204"),
    ];
    for (what, plan, why) in cases {
        let (amazon, _) = start(plan).await;
        let pages = read(&amazon).await.expect(what);
        let next = pages.last().and_then(|page| page.next.clone()).expect(what);
        assert!(next.0.contains("pages"), "{what}: {next:?}");
        let wrong = amazon.reports.wrong().expect(what);
        assert!(wrong.contains(why), "{what}: {wrong}");
        assert!(!wrong.contains("R-") && !wrong.contains("R1"), "the log has the id, {what}: {wrong}");
        let notices = amazon.tend(crate::connectors::Tending::Mend).await.expect("it is told").notices;
        assert!(notices.iter().any(|notice| notice.kind == "reports" && notice.text == wrong), "{notices:?}");
    }
}

#[tokio::test]
async fn what_amazon_says_of_a_report_that_it_gave_up_is_told() {
    let mut fatal = told("FATAL");
    fatal["reportDocumentId"] = json!("D1");
    let (amazon, _) = start(Plan { told: vec![fatal], ..Plan::of("the account is not active\n") }).await;
    read(&amazon).await.expect("it is read page by page");
    let wrong = amazon.reports.wrong().expect("it is told");
    assert!(wrong.contains("(FATAL): the account is not active; see whether"), "{wrong}");
}

#[tokio::test]
async fn what_was_wrong_is_over_when_a_report_is_read_whole() {
    let (amazon, _) = start(Plan { told: vec![told("FATAL"), told("DONE")], ..Plan::rows(2) }).await;
    read(&amazon).await.expect("it is read page by page");
    assert!(amazon.reports.wrong().is_some());
    assert_eq!(rows(&read(&amazon).await.expect("it is read")), expected(2));
    assert_eq!(amazon.reports.wrong(), None);
}

#[tokio::test]
async fn an_address_that_has_ended_is_asked_for_again_and_nothing_is_lost_or_told_twice() {
    // Parts of half a megabyte: the second one's address has ended, and the one after fails in passing.
    let failing = vec![206, 403, 206, 503, 503];
    let (amazon, account) = start(Plan { failing, ..Plan::rows(24_000) }).await;
    assert_eq!(rows(&read(&amazon).await.expect("it is read")), expected(24_000));
    assert_eq!((account.count("create"), account.count("address")), (1, 2));
}

#[tokio::test]
async fn who_does_not_know_of_parts_is_understood() {
    let (amazon, _) = start(Plan { knows_parts: false, ..Plan::rows(3) }).await;
    assert_eq!(rows(&read(&amazon).await.expect("it is read")), expected(3));
}

#[tokio::test]
async fn a_row_that_is_not_understood_does_not_hold_up_the_others() {
    let text = format!("{HEADER}\r\n{}\r\na broken title\r\n\r\n{}\r\n", row(0), row(1));
    let (amazon, _) = start(Plan::of(&text)).await;
    assert_eq!(rows(&read(&amazon).await.expect("it is read")), expected(2));
    let wrong = amazon.reports.wrong().expect("more than a tenth");
    assert!(wrong.contains("more than a tenth of the rows of the report of `ATVPDKIKX0DER`"), "{wrong}");
    let (amazon, _) = start(Plan::of(&format!("{text}broken in another way\tas well\r\n"))).await;
    read(&amazon).await.expect("it is read");
    assert_eq!(amazon.reports.wrong(), Some(wrong), "the next comparison tells it in the same words");
    let rows_of: Vec<String> = (0..20).map(row).collect();
    let text = format!("{HEADER}\n{}\nbroken\n", rows_of.join("\n"));
    let (amazon, _) = start(Plan::of(&text)).await;
    assert_eq!(rows(&read(&amazon).await.expect("it is read")), expected(20));
    assert_eq!(amazon.reports.wrong(), None, "the log names it");
}

#[tokio::test]
async fn listings_whose_code_lost_characters_are_read_by_their_asin() {
    let text = format!("{HEADER}\nBox\t\t?-1\t4\tB012345678\tDEFAULT\tActive\n{}\n", row(0));
    let by_asin = json!([listing("箱-1", 4), listing("箱-1-B", 3)]);
    let plan = Plan { by_asin, kind: "text/plain; charset=Cp1252", ..Plan::of(&text) };
    let (amazon, account) = start(plan).await;
    let pages = read(&amazon).await.expect("it is read");
    assert_eq!(rows(&pages), expected(1));
    let read: Vec<&str> =
        pages.iter().flat_map(|page| &page.items).filter_map(|item| item.ids.get(IdKind::Sku)).collect();
    assert_eq!((read, account.count("asins")), (vec!["FIRST", "箱-1", "箱-1-B"], 1));
}

#[tokio::test]
async fn products_with_more_listings_than_are_read_of_them_are_told() {
    let text = format!("{HEADER}\nBox\t\t?-1\t4\tB012345678\tDEFAULT\tActive\n{}\n", row(0));
    let plan = Plan { more_by_asin: true, by_asin: json!([listing("箱-1", 4)]), ..Plan::of(&text) };
    let (amazon, account) = start(Plan { kind: "text/plain; charset=Cp1252", ..plan }).await;
    let pages = read(&amazon).await.expect("it is read");
    assert_eq!((rows(&pages), account.count("asins")), (expected(1), SPOILT_PAGES_MAX));
    let wrong = amazon.reports.wrong().expect("it is told");
    assert!(wrong.contains("more listings than are read") && !wrong.contains("B012345678"), "{wrong}");
}

#[tokio::test]
async fn what_was_told_of_reports_stands_until_a_comparison_knows_better() {
    for listings in [5_000, 10_000] {
        let (amazon, _) = start(Plan { listings, ..Plan::rows(3) }).await;
        let unsure = async || {
            let tended = amazon.tend(crate::connectors::Tending::Mend).await.expect("it is looked after");
            tended.unsure.contains(&"reports")
        };
        assert!(unsure().await, "nothing was compared since the start");
        read(&amazon).await.expect("it is read");
        assert!(!unsure().await, "{listings}");
    }
}

#[tokio::test]
async fn listings_are_read_by_themselves_as_of_now() {
    let (amazon, account) = start(Plan::rows(1)).await;
    let ids = |sku: &str| Identifiers::new([(IdKind::Sku, sku), (IdKind::Asin, "B0OLD00000")]).expect("good");
    let page = amazon.items(&[ids("SKU-1"), ids("SKU-2")]).await.expect("they are read");
    let told: Vec<(&str, i64)> = page
        .items
        .iter()
        .map(|item| {
            (item.ids.get(IdKind::Sku).expect("a SKU"), item.levels.expect("levels").available.units())
        })
        .collect();
    assert_eq!(told, [("SKU-1", 11), ("SKU-2", 12)]);
    assert_eq!((page.age, account.asked()), (Duration::ZERO, vec!["skus".to_owned()]));
    assert!(amazon.guard.allowed("SKU-1").is_some(), "it was read as the merchant's own");
}

#[tokio::test]
async fn no_row_of_a_report_lets_a_listing_be_written_and_any_may_forbid_it() {
    let text = format!("{HEADER}\n{}\nThing\t\tF\t\tB012345678\tAMAZON_NA\tActive\n", row(0));
    let (amazon, _) = start(Plan::of(&text)).await;
    amazon.guard.allow("F", MARKET);
    read(&amazon).await.expect("it is read");
    assert_eq!((amazon.guard.allowed("SKU-0"), amazon.guard.allowed("F")), (None, None));
}

/// Reads on from `next`. Returns what comes after.
async fn on(amazon: &Amazon, next: &Cursor, read: &mut Vec<CataloguePage>) -> Option<Cursor> {
    let page = amazon.snapshot(Some(next)).await.expect("it goes on");
    let next = page.next.clone();
    read.push(page);
    next
}

#[tokio::test]
async fn two_snapshots_at_once_both_end_well() {
    let queued = [told("IN_QUEUE"), told("IN_QUEUE"), told("DONE")].to_vec();
    let (amazon, _) = start(Plan { told: queued, ..Plan::rows(6_000) }).await;
    let mut first = amazon.snapshot(None).await.expect("it begins").next;
    let mut second = amazon.snapshot(None).await.expect("it begins").next;
    let mut read = (vec![], vec![]);
    while first.is_some() || second.is_some() {
        assert!(read.0.len() < 100, "it ends");
        if let Some(next) = first {
            first = on(&amazon, &next, &mut read.0).await;
        }
        second = match second {
            Some(next) => on(&amazon, &next, &mut read.1).await,
            None => None,
        };
    }
    assert_eq!((rows(&read.0), rows(&read.1)), (expected(6_000), expected(6_000)));
    assert_eq!(amazon.reports.wrong(), None);
}

#[tokio::test]
async fn a_step_is_made_once_and_what_nobody_goes_on_with_is_forgotten() {
    let (amazon, _) = start(Plan::rows(1)).await;
    let begin = async || amazon.snapshot(None).await.expect("it begins").next.expect("more");
    let refused = async |at: &Cursor| matches!(amazon.snapshot(Some(at)).await, Err(Fault::Refused(_)));
    let left = begin().await;
    let mut other = begin().await;
    for _ in 0..3 {
        other = on(&amazon, &other, &mut vec![]).await.unwrap_or(other);
    }
    assert!(refused(&other).await, "a step is made once, and this one was the last");
    for _ in 0..RUNS_MAX {
        begin().await;
    }
    assert!(refused(&left).await, "it was left for long");
    assert!(refused(&Cursor("nonsense".to_owned())).await);
}

#[test]
fn the_static_sandbox_answers_of_the_reports_api_are_read() {
    let Some(pairs) = spec("samples/static-sandbox-pairs.json") else { return };
    let answer = |operation: &str| {
        let pairs = &pairs[format!("reports_2021-06-30.json {operation}")];
        let good = |pair: &&Value| pair["response"].is_object() && pair["response"]["errors"].is_null();
        let pair = pairs.as_array().and_then(|all| all.iter().find(good)).expect("it is there");
        pair["response"].to_string().into_bytes()
    };
    let all: ToldAll = http::json(&answer("GET /reports/2021-06-30/reports")).expect("a list");
    assert_eq!(all.reports[0].processing_status, "IN_PROGRESS");
    assert!(!all.reports[0].is_of(MARKET), "it names no marketplace");
    let one: Told = http::json(&answer("GET /reports/2021-06-30/reports/{reportId}")).expect("a report");
    assert_eq!((one.report_id.as_str(), one.report_document_id), ("ReportId1", None));
    let created: Created = http::json(&answer("POST /reports/2021-06-30/reports")).expect("an id");
    assert_eq!(created.report_id, "ID323");
    let document = answer("GET /reports/2021-06-30/documents/{reportDocumentId}");
    let document: super::super::documents::Told = http::json(&document).expect("a document");
    assert!(document.url.ends_with("Report_47700__GET_MERCHANT_LISTINGS_ALL_DATA_.txt"));
    assert_eq!(document.compression_algorithm, None);
}
