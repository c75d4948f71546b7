//! What comparing an account of many listings by a report takes: reading it, beside a bare download of the same document, and
//! deciding what of it is to be read again.
//!
//! Whoever reads is a process of its own, so that its memory is its own; this one makes the report and serves it.

use std::{
    io::Write as _,
    process::{Command as Process, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Request, State as Served},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use evenkeel::{
    clock::{Clock as _, SystemClock},
    connectors::{
        Connector as _,
        amazon::{Amazon, Options, Rates, Timing},
        http,
    },
    core::{Command, Reply, State, decide},
    model::{CatalogueItem, FulfilledBy, IdKind, Identifiers, Levels, LocationId, Quantity},
};
use flate2::{Compression, write::GzEncoder};
use reqwest::header::RANGE;
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    Size, catalogue,
    machine::{fresh_dir, memory, mib},
    report::{Report, short},
    settings,
};

/// What the process that reads is called with, before the address.
pub(crate) const READER: &str = "--read-report";
/// The same for the one that only downloads.
pub(crate) const DOWNLOADER: &str = "--download-report";

/// How much of the document is read in one go.
const PART: usize = 512 << 10;
const MARKET: &str = "ATVPDKIKX0DER";

pub(crate) fn run(size: Size, report: &mut Report) {
    let skus = size.of(100_000, 5_000);
    let packed = document(skus);
    let told = mib(packed.len() as u64);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("loopback");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let app = Router::new().fallback(serve).with_state(Arc::new((address.clone(), packed, skus)));
    runtime.spawn(async move { axum::serve(listener, app).await });
    let (bare, bare_most) = child(DOWNLOADER, &address, skus);
    let (read, read_most) = child(READER, &address, skus);
    let beside = format!("a bare download of its {told}, unpacked: {}", short(bare));
    report.add(&format!("a report of {skus} listings, read"), &short(read), &beside, "", None);
    let beside = format!("a bare download: {}", mib(bare_most));
    let good = read_most < bare_most + (64 << 20);
    report.add("the same, resident at most", &mib(read_most), &beside, "64 MB more", Some(good));
    let (reported, catalogued) = decided(skus);
    let beside = format!("a catalogue of them: {}", short(catalogued));
    report.add("its rows, compared with what is known", &short(reported), &beside, "", None);
}

/// Makes the report of so many listings, packed.
fn document(skus: usize) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let header = "item-name\titem-description\tlisting-id\tseller-sku\tprice\tquantity\tasin1\tfulfillment-channel\tstatus\n";
    packed.write_all(header.as_bytes()).expect("to memory");
    let description = "All that a buyer wants to know of it. ".repeat(25);
    for n in 0..skus {
        let code = catalogue::code(n);
        let row =
            format!("Thing {n}\t{description}{n}\t0101X{n}\t{code}\t19.99\t1000\tB{n:09}\tDEFAULT\tActive\n");
        packed.write_all(row.as_bytes()).expect("to memory");
    }
    packed.finish().expect("to memory").into()
}

async fn serve(Served(held): Served<Arc<(String, Bytes, usize)>>, request: Request) -> Response {
    let (address, packed, skus) = held.as_ref();
    let path = request.uri().path();
    let (id, kind) = ("R1", "GET_MERCHANT_LISTINGS_ALL_DATA");
    Json(match (request.method().as_str(), path.rsplit('/').next().unwrap_or_default()) {
        (_, "token") => json!({"access_token": "t", "expires_in": 3600}),
        (_, "file") => {
            return part(packed, request.headers().get(RANGE).and_then(|range| range.to_str().ok()));
        }
        ("POST", "reports") => json!({"reportId": id}),
        ("GET", "reports") => json!({"reports": []}),
        (_, "R1") => json!({"reportId": id, "reportType": kind, "createdTime": "2026-11-30T00:00:00Z",
                            "processingStatus": "DONE", "reportDocumentId": "D1"}),
        (_, "D1") => json!({"reportDocumentId": "D1", "url": format!("{address}/file"),
                            "compressionAlgorithm": "GZIP"}),
        _ => json!({"numberOfResults": skus, "items": []}),
    })
    .into_response()
}

fn part(packed: &Bytes, range: Option<&str>) -> Response {
    let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).expect("a part");
    let from: usize = range.0.parse().expect("a number");
    let to = (range.1.parse::<usize>().expect("a number") + 1).min(packed.len());
    let place = [(header::CONTENT_RANGE, format!("bytes {from}-{}/{}", to - 1, packed.len()))];
    (StatusCode::PARTIAL_CONTENT, place, packed.slice(from..to)).into_response()
}

/// Has a process of its own do it. Returns how long it took, and how much was resident at most.
fn child(what: &str, address: &str, skus: usize) -> (Duration, u64) {
    let own = std::env::current_exe().expect("a path");
    let output = Process::new(own).args([what, address]).stdin(Stdio::null()).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut numbers = text.split_whitespace().map(|word| word.parse::<u64>().expect("a number"));
    let [rows, micros, most] = std::array::from_fn(|_| numbers.next().expect("three numbers"));
    assert_eq!(rows, skus as u64, "all of it was read");
    (Duration::from_micros(micros), most)
}

/// Is the process that reads, or only downloads: tells rows, microseconds, and the most that was resident.
pub(crate) fn be_child(what: &str, address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let rows = runtime
        .block_on(async { if what == READER { read(address).await } else { download(address).await } });
    let micros = begun.elapsed().as_micros();
    println!("{rows} {micros} {}", memory(std::process::id(), "VmHWM"));
}

async fn read(address: &str) -> usize {
    let secret = || SecretString::from("x");
    let url = |path: &str| format!("{address}{path}").parse().expect("a URL");
    let amazon = Amazon::new(Options {
        base_url: url("/"),
        lwa_url: url("/token"),
        seller_id: "A1SELLER".to_owned(),
        marketplace_ids: vec![MARKET.to_owned()],
        client_id: "x".to_owned(),
        client_secret: secret(),
        refresh_token: secret(),
        location: LocationId::new("warehouse").expect("a name"),
        own_location: None,
        product_type: "PRODUCT".to_owned(),
        report_above: 0,
        feeds: false,
        application: "evenkeel".to_owned(),
        rates: Rates::default(),
        timing: Timing::default(),
        secret_since: None,
        queue: None,
        http: http::Options::default(),
    })
    .expect("good options");
    let (mut rows, mut after) = (0, None);
    loop {
        let page = amazon.snapshot(after.as_ref()).await.expect("a page");
        rows += page.reported.len();
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

/// Reads the document in the same parts, unpacks it and counts its lines.
async fn download(address: &str) -> usize {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut unpacked = flate2::write::GzDecoder::new(Lines(0));
    let mut from = 0;
    loop {
        let range = format!("bytes={from}-{}", from + PART - 1);
        let answer = client.get(format!("{address}/file")).header(RANGE, range).send().await.expect("served");
        let place = answer.headers()[header::CONTENT_RANGE].to_str().expect("text").to_owned();
        let size: usize = place.rsplit('/').next().and_then(|size| size.parse().ok()).expect("a size");
        let bytes = answer.bytes().await.expect("bytes");
        unpacked.write_all(&bytes).expect("it is packed");
        from += bytes.len();
        if from >= size {
            // The first is the header.
            return unpacked.finish().expect("it is whole").0 - 1;
        }
    }
}

struct Lines(usize);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.iter().filter(|byte| **byte == b'\n').count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns how long it takes to decide what of a report is to be read again, where nothing is, and to take a catalogue of the
/// same in.
fn decided(skus: usize) -> (Duration, Duration) {
    const PAGE: usize = 5_000;
    let dir = fresh_dir();
    settings::write(dir.path(), dir.path(), "127.0.0.1:0", &settings::nowhere(), settings::MARKET);
    let mut state = State::default();
    catalogue::fill(&mut state, catalogue::policies(dir.path()), skus, drop);
    let channel = catalogue::channel("market");
    // A minute later its orders were read as well, so that what it was seen to show is believed.
    let now = SystemClock.now().plus_millis(60_000);
    loop {
        let (begun, begun_at, through) = (state.seq, now, now);
        let fed = Command::Fed { channel: channel.clone(), begun, begun_at, through };
        let (told, reply) = decide(&mut state, fed, now);
        reply.expect("it is taken in");
        // Some are judged at a time.
        if told.is_none_or(|told| told.records.len() == 1) {
            break;
        }
    }
    drop(state.take_dirty());
    let row = |n: usize| {
        let (code, asin) = (catalogue::code(n), format!("B{n:09}"));
        CatalogueItem {
            ids: Identifiers::new([(IdKind::Sku, code.as_str()), (IdKind::Asin, asin.as_str())])
                .expect("good"),
            title: None,
            by: FulfilledBy::Merchant,
            levels: Some(Levels::of(Quantity::new(1_000))),
            unwritable: None,
        }
    };
    let pages: Vec<Vec<CatalogueItem>> =
        (0..skus).step_by(PAGE).map(|from| (from..(from + PAGE).min(skus)).map(row).collect()).collect();
    let begun = Instant::now();
    for rows in pages.clone() {
        let reported = Command::Reported { channel: channel.clone(), rows };
        let (_, told) = decide(&mut state, reported, now);
        let Ok(Reply::Reported { bound, again, .. }) = told else { panic!("{told:?}") };
        assert!(bound > 0 && again.is_empty(), "everything is as known");
    }
    let reported = begun.elapsed();
    let begun = Instant::now();
    for items in pages {
        let read = Command::Catalogue { channel: channel.clone(), read_at: now, items, unread: vec![] };
        decide(&mut state, read, now).1.expect("it is taken in");
    }
    (reported, begun.elapsed())
}
