//! What a read gives, whatever the system answers.

use axum::body::Bytes;
use evenkeel::{
    clock::{Clock as _, SystemClock},
    connectors::{Connector, Cursor, Fault, Push, Refusal, Tending},
    model::{IdKind, Identifiers, Timestamp},
};
use futures::future::join_all;
use jiff::SignedDuration;

use super::{
    bench::{BODY_MAX, Bench, Item, Known, Read, is_done, read, shows, write},
    front::Strike,
};

/// An answer that is none, and what a read must make of it.
pub(super) struct Broken {
    pub name: &'static str,
    pub strike: Strike,
    pub fault: fn(&Fault) -> bool,
}

pub(super) fn says(status: u16, headers: &[(&'static str, &str)], body: &str) -> Strike {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Strike::Says(status, headers, Bytes::copy_from_slice(body.as_bytes()))
}

const PAGE: &str = "<!doctype html><html><title>Welcome to the hotel</title></html>";

/// Returns every answer that is none and comes at once. After each, a write is unknown.
pub(super) fn broken() -> Vec<Broken> {
    let lost: fn(&Fault) -> bool = |fault| matches!(fault, Fault::Disconnected(_));
    let garbled: fn(&Fault) -> bool = |fault| matches!(fault, Fault::Malformed(_));
    let failed: fn(&Fault) -> bool = |fault| matches!(fault, Fault::Server { .. });
    let json = [("content-type", "application/json")];
    let html = [("content-type", "text/html")];
    let one = |name, strike, fault| Broken { name, strike, fault };
    vec![
        one("no answer", Strike::Cut, lost),
        one("half an answer", Strike::Half, lost),
        one("a page", says(200, &html, PAGE), garbled),
        one("a page that is called JSON", says(200, &json, PAGE), garbled),
        one("half a document", says(200, &json, r#"{"data": {"orders": {"nodes": [{"id": "gid"#), garbled),
        one("a document and more", says(200, &json, "{} {}"), garbled),
        one("a text", says(200, &json, r#""ok""#), garbled),
        one("another document", says(200, &json, r#"{"a": [1]}"#), garbled),
        one("a document that tells nothing", says(200, &json, r#"{"data": {}}"#), garbled),
        one("nothing", says(200, &json, ""), garbled),
        one("no UTF-8", Strike::Says(200, Vec::new(), Bytes::from_static(b"{\"\xff\xfe\": 1}")), garbled),
        one("500", says(500, &html, PAGE), failed),
        one("502", says(502, &html, PAGE), failed),
        one("503", says(503, &html, PAGE), failed),
        one("504", says(504, &json, "{}"), failed),
    ]
}

/// Answers that do not come, or do not end.
pub(super) const SLOW: [(&str, Strike); 2] = [("silence", Strike::Silence), ("a trickle", Strike::Trickle)];

/// Checks what became of a read that was struck.
#[track_caller]
fn check(bench: &Bench, told: &str, got: Result<super::bench::Got, Fault>, want: fn(&Fault) -> bool) {
    match got {
        Err(fault) => {
            assert!(want(&fault), "{told}: {fault:?}");
            bench.is_discreet(&fault.to_string());
        }
        // Of each thing that was asked for it is said that it could not be read.
        Ok(got) => assert!(got.told.is_empty() && got.odd > 0, "{told}: {got:?}"),
    }
}

pub(super) async fn a_read_without_a_whole_answer_is_a_fault(bench: Bench) {
    let (connector, known) = bench.busy().await;
    for kind in bench.reads(&*connector, &known).await {
        bench.front.asked();
        let clean = read(&*connector, kind, &known, None).await.expect("it can be read");
        let requests = bench.count(bench.all());
        for Broken { name, strike, fault } in broken() {
            for skip in 0..requests {
                bench.front.strike(bench.all(), skip, strike.clone());
                let got = read(&*connector, kind, &known, None).await;
                bench.front.pass();
                check(&bench, &format!("{kind:?}: {name}, after {skip} requests"), got, fault);
            }
        }
        let got = read(&*connector, kind, &known, None).await.expect("it can be read again");
        assert_eq!(got.told, clean.told, "{kind:?}");
    }
}

pub(super) async fn a_read_that_takes_too_long_ends(bench: Bench) {
    let (working, known) = bench.busy().await;
    let reads = bench.reads(&*working, &known).await;
    for (name, strike) in SLOW {
        let connectors = join_all(reads.iter().map(|kind| async { (*kind, bench.hasty().await.0) })).await;
        bench.front.strike(bench.all(), 0, strike);
        let all = connectors.iter().map(|(kind, connector)| read(&**connector, *kind, &known, None));
        for (kind, got) in reads.iter().zip(join_all(all).await) {
            check(&bench, &format!("{kind:?}: {name}"), got, |fault| matches!(fault, Fault::Timeout(_)));
        }
        bench.front.pass();
    }
}

pub(super) async fn an_answer_without_end_is_not_held(bench: Bench) {
    let (connector, known) = bench.busy().await;
    for kind in bench.reads(&*connector, &known).await {
        bench.front.strike(bench.all(), 0, Strike::Endless);
        let before = bench.front.taken();
        let got = read(&*connector, kind, &known, None).await;
        bench.front.pass();
        check(&bench, &format!("{kind:?}"), got, |fault| matches!(fault, Fault::Malformed(_)));
        // What lies in the buffers of a connection comes on top, and a read may ask twice.
        let taken = bench.front.taken() - before;
        assert!(taken < 8 * BODY_MAX as u64, "{kind:?}: {taken} bytes were taken");
    }
    bench.front.strike(bench.changes(), 0, Strike::Endless);
    let outcomes = write(&*connector, &known.items, 1, 5).await;
    let unknown = |outcome: &evenkeel::connectors::Outcome| {
        matches!(outcome, evenkeel::connectors::Outcome::Unknown { .. })
    };
    super::bench::all_are(&outcomes, unknown, "a write");
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn seven(fault: &Fault) -> bool {
    let Fault::Throttled { retry_after } = fault else { return false };
    !retry_after.is_zero() && retry_after.as_secs() < 10
}

pub(super) async fn a_throttled_read_says_until_when(bench: Bench) {
    let (working, known) = bench.busy().await;
    for kind in bench.reads(&*working, &known).await {
        let (connector, _) = bench.at_work().await;
        bench.front.strike(bench.all(), 0, says(429, &[("retry-after", "7")], "{}"));
        let got = read(&*connector, kind, &known, None).await;
        bench.front.pass();
        check(&bench, &format!("{kind:?}"), got, seven);
    }
}

pub(super) async fn a_read_that_is_refused_for_its_credentials_says_so(bench: Bench) {
    let (connector, known) = bench.busy().await;
    let (status, body) = bench.subject.refusal;
    for kind in bench.reads(&*connector, &known).await {
        bench.front.strike(bench.all(), 0, says(status, &[], body));
        let got = read(&*connector, kind, &known, None).await;
        bench.front.pass();
        check(&bench, &format!("{kind:?}"), got, |fault| matches!(fault, Fault::Unauthorized(_)));
        read(&*connector, kind, &known, None).await.expect("it can be read again");
    }
}

pub(super) async fn a_clock_that_is_hours_off_is_the_channels_own(bench: Bench) {
    let (connector, known) = bench.busy().await;
    let (ahead, reads) = (bench.subject.ahead, bench.reads(&*connector, &known).await);
    for hours in [-5, 5] {
        let by = SignedDuration::from_hours(hours);
        bench.front.strike(
            bench.all(),
            0,
            Strike::Edited(std::sync::Arc::new(move |_, whole| ahead(whole, by))),
        );
        for kind in reads.iter().filter(|kind| kind.is_list()) {
            let got = read(&*connector, *kind, &known, None).await.expect("it can be read");
            let Some(at) = got.at else { continue };
            let theirs = now().plus_millis(hours * 3_600_000).millis();
            // A case takes no half an hour.
            assert!((at.millis() - theirs).abs() < 1_800_000, "{kind:?}: {at:?}, where it is {theirs}");
        }
        // A time to come back at is meant by the same clock.
        let date = |at: jiff::Timestamp| {
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).expect("a date")
        };
        let now = jiff::Timestamp::from_millisecond(now().millis()).expect("a time") + by;
        let (now, then) = (date(now), date(now + SignedDuration::from_secs(7)));
        for kind in &reads {
            let (connector, _) = {
                bench.front.pass();
                bench.at_work().await
            };
            bench.front.strike(bench.all(), 0, says(429, &[("date", &now), ("retry-after", &then)], "{}"));
            check(&bench, &format!("{kind:?}"), read(&*connector, *kind, &known, None).await, seven);
        }
        bench.front.pass();
    }
}

pub(super) async fn another_version_than_the_pinned_one_is_told(bench: Bench) {
    let (connector, known) = bench.busy().await;
    let (newer, said) = bench.subject.newer;
    let told = |connector: Box<dyn Connector>| async move {
        let tended = connector.tend(Tending::Look).await.expect("it can be tended");
        let checked = connector.check().await.expect("it can be checked");
        format!("{tended:?} {checked:?}")
    };
    let before = told(connector).await;
    assert!(!before.contains(said), "{before}");
    bench.front.strike(bench.all(), 0, Strike::Edited(std::sync::Arc::new(newer)));
    let connector = bench.connector();
    for kind in bench.reads(&*connector, &known).await {
        // It goes on to be read: what changed may be nothing that we use.
        read(&*connector, kind, &known, None).await.expect("it can be read");
    }
    let after = told(connector).await;
    assert!(after.contains(said), "{after}");
}

pub(super) async fn ids_of_64_bits_survive(bench: Bench) {
    let (connector, _) = bench.at_work().await;
    let (widen, kind, wide) = bench.subject.widen;
    let list = bench.subject.list;
    let edit = move |asked: &super::front::Asked, whole: &mut super::front::Whole| {
        let Ok(mut body) = serde_json::from_slice(&whole.body) else { return };
        if list(asked, &mut body) && body.get(0).is_none_or(|row| row.is_object()) {
            widen(&mut body);
            whole.body = body.to_string().into();
        }
    };
    bench.front.strike(bench.all(), 0, Strike::Edited(std::sync::Arc::new(edit)));
    let page = connector.catalogue(None).await.expect("it can be read");
    bench.front.pass();
    let found = page.items.iter().find(|item| item.ids.get(kind) == Some(wide));
    let found = found.unwrap_or_else(|| panic!("`{wide}` is not among {:?}", page.items));
    bench.front.asked();
    let item = Item { ids: found.ids.clone(), shown: 1 };
    let known = Known { items: vec![item], order: evenkeel::model::OrderId::new("1").expect("an id") };
    // The system does not know it, but it is asked for it by all its digits.
    drop(read(&*connector, Read::Back, &known, None).await);
    let asked = bench.front.asked();
    assert!(asked.iter().any(|asked| (bench.subject.text)(asked).contains(wide)), "{asked:?}");
}

/// What a merchant may call things.
const CODES: [&str; 12] = [
    "Größe/ß 40",
    "a+b",
    "a|b",
    "日本/語",
    "100%&q=1?#x",
    "😀 smile",
    "semi;colon",
    "comma,comma",
    "quote\"'back\\slash",
    "<b>&amp;",
    "under_score%",
    "UPPER lower",
];

pub(super) async fn odd_skus_survive(plain: Bench) {
    let bench = Bench::with_codes(plain.subject, &CODES).await;
    let (connector, known) = bench.at_work().await;
    let told: Vec<&str> = known.items.iter().filter_map(|item| item.ids.get(IdKind::Sku)).collect();
    for code in CODES {
        assert!(told.contains(&code), "`{code}` is not among {told:?}");
    }
    // By the code alone, where that is what the system goes by.
    let by_code = |item: &Item| {
        let code = Identifiers::new([(IdKind::Sku, item.ids.get(IdKind::Sku).unwrap_or_default())]);
        let ids = if bench.subject.name == "shopify" { item.ids.clone() } else { code.expect("a code") };
        Item { ids, ..item.clone() }
    };
    let known = Known { items: known.items.iter().map(by_code).collect(), ..known };
    for (nth, item) in known.items.iter().enumerate() {
        let one = std::slice::from_ref(item);
        let outcomes = write(&*connector, one, nth, 8).await;
        assert!(outcomes.iter().all(is_done), "{:?}: {outcomes:?}", item.ids);
        shows(&*connector, one, nth, 8).await;
    }
    let all = read(&*connector, Read::Back, &known, None).await.expect("they can be read together");
    assert_eq!((all.told.len(), all.odd), (CODES.len(), 0), "{:?}", all.told);
    assert!(all.told.iter().all(|seen| seen.contains("Seen")), "{:?}", all.told);
}

pub(super) async fn a_push_that_nobody_signed_is_forged(bench: Bench) {
    let connector = bench.connector();
    for body in ["", "{}", "[]", PAGE] {
        let push = Push { headers: Default::default(), body: Bytes::copy_from_slice(body.as_bytes()) };
        let refusal = connector.receive(&push).expect_err("nobody signed it");
        assert!(matches!(refusal, Refusal::Forged(_)), "{refusal:?}");
    }
}

pub(super) async fn a_cursor_of_somebody_else_is_refused(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    let foreign = Cursor("nonsense".to_owned());
    let fault = read(&*connector, Read::Catalogue, &known, Some(&foreign)).await.expect_err("it is none");
    assert!(matches!(fault, Fault::Refused(_) | Fault::Malformed(_)), "{fault:?}");
}
