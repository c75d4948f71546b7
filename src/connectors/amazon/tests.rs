use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::{
    testing::{Fake, HANGS, denied, options, quick},
    *,
};
use crate::model::{FulfilledBy, IdempotencyKey, Levels, LocationId, Quantity};

fn listing(sku: &str, code: &str, quantity: i64) -> Value {
    json!({
        "sku": sku,
        "summaries": [{"marketplaceId": "ATVPDKIKX0DER", "asin": format!("B0{sku}"), "createdDate": "2021"}],
        "fulfillmentAvailability": [{"fulfillmentChannelCode": code, "quantity": quantity}],
    })
}

fn found(items: &[Value]) -> (u16, Value) {
    (200, json!({"numberOfResults": items.len(), "items": items}))
}

fn accepted() -> (u16, Value) {
    (200, json!({"sku": "x", "status": "ACCEPTED", "submissionId": "s1"}))
}

fn forbidden() -> (u16, Value) {
    (403, denied(""))
}

fn ids(sku: &str) -> Identifiers {
    Identifiers::new([(IdKind::Sku, sku)]).expect("good")
}

fn put(sku: &str, quantity: i64) -> Put {
    Put {
        ids: ids(sku),
        location: LocationId::new("main").expect("a name"),
        quantity: Quantity::new(quantity),
        compare: None,
        delta: None,
        key: IdempotencyKey::new("k").expect("a key"),
        reference: "test".to_owned(),
    }
}

fn done() -> Outcome {
    Outcome::Accepted { submission: Some("s1".to_owned()) }
}

/// Returns the kind of each outcome with its reason.
fn kinds(outcomes: &[Outcome]) -> Vec<(&'static str, &str)> {
    let kind = |outcome| match outcome {
        &Outcome::Applied => ("applied", ""),
        Outcome::Accepted { .. } => ("accepted", ""),
        Outcome::Stale => ("stale", ""),
        Outcome::Rejected { reason } => ("rejected", reason.as_str()),
        Outcome::Throttled { .. } => ("throttled", ""),
        Outcome::Unauthorized { reason } => ("unauthorized", reason.as_str()),
        Outcome::NotSent { reason } => ("not sent", reason.as_str()),
        Outcome::Unknown { fault } => ("unknown", fault.as_str()),
    };
    outcomes.iter().map(kind).collect()
}

/// What a check says where nobody has said since when there is the client secret.
const UNDATED: &str = "`client_secret_since` is not set: nobody is told before it ends";

#[tokio::test]
async fn only_listings_read_as_the_merchants_own_are_written() {
    let (fake, amazon) = Fake::start(|request, _| match request {
        r if r.starts_with("PATCH") => accepted(),
        r if r.contains("identifiers=") => found(&[listing("A", "DEFAULT", 1), listing("F", "AMAZON_NA", 9)]),
        _ => (404, json!({})),
    })
    .await;
    let outcomes = amazon.write(&[put("A", 3), put("F", 3), put("gone", 3)]).await;
    let kinds = kinds(&outcomes);
    assert_eq!(kinds[0], ("accepted", ""));
    assert!(
        kinds[1].0 == "rejected" && kinds[1].1.contains("fulfilled by Amazon (`AMAZON_NA`)"),
        "{kinds:?}"
    );
    assert!(kinds[2].0 == "rejected" && kinds[2].1.contains("no listing with the SKU `gone`"), "{kinds:?}");
    let patches: Vec<String> = fake.seen().into_iter().filter(|r| r.starts_with("PATCH")).collect();
    assert_eq!(
        patches,
        ["PATCH /listings/2021-08-01/items/A1SELLER/A?marketplaceIds=ATVPDKIKX0DER&issueLocale=en_US"]
    );
    assert_eq!(amazon.write(&[put("A", 4)]).await, [done()]);
    assert_eq!(fake.seen().len(), 1, "what was read is not read again");
}

#[tokio::test]
async fn a_look_that_finds_amazons_stock_stops_writing() {
    let (fake, amazon) = Fake::start(|request, _| match request {
        r if r.starts_with("PATCH") => accepted(),
        _ => (200, listing("A", "AMAZON_EU", 1)),
    })
    .await;
    amazon.guard.allow("A", "ATVPDKIKX0DER");
    let seen = amazon.read_back(&[ids("A")]).await.expect("an answer");
    assert!(matches!(&seen[..], [Observed::Unwritable { .. }]), "{seen:?}");
    assert_eq!(kinds(&amazon.write(&[put("A", 3)]).await)[0].0, "rejected");
    assert!(fake.seen().iter().all(|r| !r.starts_with("PATCH")));
}

#[tokio::test]
async fn a_sku_of_several_marketplaces_is_written_once() {
    let (fake, _) = Fake::start(|request, _| match request {
        r if r.starts_with("PATCH") => accepted(),
        _ => (200, listing("A", "DEFAULT", 1)),
    })
    .await;
    let marketplace_ids = vec!["ATVPDKIKX0DER".to_owned(), "A2EUQ1WTGCTBG2".to_owned()];
    let amazon = Amazon::new(Options { marketplace_ids, ..quick(&fake.base) }).expect("good options");
    assert_eq!(amazon.write(&[put("A", 3)]).await, [done()]);
    let patches: Vec<String> = fake.seen().into_iter().filter(|r| r.starts_with("PATCH")).collect();
    assert_eq!(patches.len(), 1, "{patches:?}");
}

#[tokio::test]
async fn a_put_that_cannot_be_meant_is_refused_without_a_call() {
    let (fake, amazon) = Fake::start(|_, _| accepted()).await;
    let mut elsewhere = put("A", 1);
    elsewhere.location = LocationId::new("shop").expect("a name");
    let mut nameless = put("A", 1);
    nameless.ids = Identifiers::new([(IdKind::Asin, "B0")]).expect("good");
    let outcomes = amazon.write(&[elsewhere, nameless, put("A", -1)]).await;
    let kinds = kinds(&outcomes);
    for (kind, want) in
        kinds.iter().zip(["shows location `main`, not `shop`", "no seller SKU", "cannot show -1"])
    {
        assert!(kind.0 == "rejected" && kind.1.contains(want), "{kind:?}");
    }
    assert_eq!(fake.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn each_put_of_a_batch_has_its_own_outcome() {
    let (_fake, amazon) = Fake::start(|request, _| match request {
        r if r.contains("/bad?") => (400, json!({"errors": [{"code": "InvalidInput", "message": "no"}]})),
        r if r.contains("/slow?") => (429, json!({})),
        r if r.contains("/down?") => (503, json!({})),
        r if r.contains("odd?") => (403, denied("")),
        _ => accepted(),
    })
    .await;
    for sku in ["bad", "slow", "down", "odd", "good"] {
        amazon.guard.allow(sku, "ATVPDKIKX0DER");
    }
    let puts = ["bad", "slow", "down", "odd", "good"].map(|sku| put(sku, 1));
    let outcomes = amazon.write(&puts).await;
    let got: Vec<&str> = kinds(&outcomes).iter().map(|k| k.0).collect();
    assert_eq!(got, ["rejected", "throttled", "unknown", "rejected", "accepted"]);
    let odd = kinds(&outcomes)[3].1;
    assert!(odd.contains("the path of this SKU") && odd.contains("role"), "both causes are named: {odd}");
    let slash = amazon_with_slash(&amazon).await;
    assert!(slash.contains("must be encoded, which") && !slash.contains("role"), "{slash}");
}

/// Writes a SKU with a slash, which is answered with 403, beside one that is let in.
async fn amazon_with_slash(amazon: &Amazon) -> String {
    amazon.guard.allow("very/odd", "ATVPDKIKX0DER");
    let outcomes = amazon.write(&[put("very/odd", 1), put("good", 1)]).await;
    kinds(&outcomes)[0].1.to_owned()
}

/// Answers every patch with 403, reads as given, and checks what a lone write and a pair of them are told.
async fn check_403(by_path: (u16, Value), by_search: (u16, Value), want: &str, told: &str) {
    let (_fake, amazon) = Fake::start(move |request, _| match request {
        r if r.starts_with("PATCH") => forbidden(),
        r if r.contains("/items/A1SELLER/") => by_path.clone(),
        _ => by_search.clone(),
    })
    .await;
    for sku in ["A", "B"] {
        amazon.guard.allow(sku, "ATVPDKIKX0DER");
    }
    for puts in [&[put("A", 1)][..], &[put("A", 1), put("B", 1)]] {
        for (kind, reason) in kinds(&amazon.write(puts).await) {
            assert_eq!(kind, want, "{reason}");
            assert!(reason.contains(told), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_403_on_every_write_is_looked_into() {
    let one = || (200, listing("A", "DEFAULT", 1));
    check_403(
        one(),
        found(&[]),
        "unauthorized",
        "grant the app the role `Product Listing`, authorise it again",
    )
    .await;
    check_403(forbidden(), forbidden(), "unauthorized", "a role is missing").await;
    check_403(forbidden(), found(&[]), "rejected", "the path of this SKU").await;
    check_403((404, json!({})), found(&[]), "rejected", "the path of this SKU").await;
    check_403((500, json!({})), found(&[]), "not sent", "could not be told").await;
}

#[tokio::test]
async fn after_a_success_a_dry_run_of_the_same_listing_tells_whether_the_role_is_gone() {
    let role = Arc::new(AtomicBool::new(true));
    let held = Arc::clone(&role);
    let (fake, amazon) = Fake::start(move |request, body| match request {
        r if r.contains("mode=VALIDATION_PREVIEW") => {
            assert!(!body.contains("quantity"), "{body}");
            if held.load(Ordering::SeqCst) { accepted() } else { forbidden() }
        }
        r if r.contains("/good?") => accepted(),
        _ => forbidden(),
    })
    .await;
    for sku in ["good", "odd"] {
        amazon.guard.allow(sku, "ATVPDKIKX0DER");
    }
    assert_eq!(amazon.write(&[put("good", 1)]).await, [done()]);
    assert_eq!(kinds(&amazon.write(&[put("odd", 1)]).await)[0].0, "rejected");
    role.store(false, Ordering::SeqCst);
    fake.seen();
    assert_eq!(kinds(&amazon.write(&[put("odd", 1)]).await)[0].0, "unauthorized");
    let dry = fake.seen().pop().expect("a dry run");
    assert!(dry.starts_with("PATCH /listings/2021-08-01/items/A1SELLER/good?"), "{dry}");
}

#[tokio::test]
async fn a_refused_token_is_exchanged_once() {
    let (fake, amazon) = Fake::start(|_, _| accepted()).await;
    amazon.guard.allow("A", "ATVPDKIKX0DER");
    *fake.refused.lock().expect("not poisoned") = 1;
    assert_eq!(amazon.write(&[put("A", 1)]).await, [done()]);
    assert_eq!(*fake.tokens.lock().expect("not poisoned"), 2);

    *fake.refused.lock().expect("not poisoned") = u32::MAX;
    let outcomes = amazon.write(&[put("A", 1)]).await;
    assert!(
        matches!(&outcomes[..], [Outcome::Unauthorized { reason }] if reason.contains("expired")),
        "{outcomes:?}"
    );
    assert_eq!(*fake.tokens.lock().expect("not poisoned"), 3, "once, not for ever");

    *fake.refused.lock().expect("not poisoned") = 3;
    assert_eq!(amazon.write(&[put("A", 1)]).await, [done()], "the next call begins with a new token");
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_refused_connection_was_not_sent() {
    let (fake, _) = Fake::start(|_, _| accepted()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    // The tokens come from the fake; the API is the listener.
    let mut options = quick(&fake.base);
    options.base_url =
        Url::parse(&format!("http://{}", listener.local_addr().expect("bound"))).expect("a URL");
    let amazon = Amazon::new(options).expect("good options");
    amazon.guard.allow("A", "ATVPDKIKX0DER");
    let puts = [put("A", 1)];
    let cut = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.readable().await.expect("the request has begun to arrive");
        drop(stream);
    };
    let (outcomes, ()) = tokio::join!(amazon.write(&puts), cut);
    assert_eq!(kinds(&outcomes)[0].0, "unknown", "{outcomes:?}");
    drop(listener);
    let outcomes = amazon.write(&puts).await;
    assert_eq!(kinds(&outcomes)[0].0, "not sent", "{outcomes:?}");
}

#[tokio::test]
async fn many_skus_are_read_in_one_call_and_odd_ones_by_themselves() {
    let (fake, amazon) = Fake::start(|request, _| match request {
        r if r.contains("/a%2Cb?") => (200, listing("a,b", "DEFAULT", 5)),
        r if r.contains("/gone?") => (404, json!({})),
        r if r.contains("/folded?") => (200, listing("FOLDED", "DEFAULT", 5)),
        _ => {
            found(&[listing("A", "DEFAULT", 1), listing("S/1", "DEFAULT", 2), listing("stray", "DEFAULT", 3)])
        }
    })
    .await;
    let asked = ["A", "S/1", "A", "gone", "a,b", "folded"].map(ids);
    let mut seen = amazon.read_back(&asked).await.expect("an answer");
    let level = |units| Observed::Seen(Levels::of(Quantity::new(units)));
    let folded = seen.pop().expect("six answers");
    assert!(matches!(&folded, Observed::Unwritable { why } if why.contains("`FOLDED`")), "{folded:?}");
    assert_eq!(seen, [level(1), level(2), level(1), Observed::Absent, level(5)]);
    let requests = fake.seen();
    assert!(requests[0].contains("identifiers=A,S%2F1,folded,gone&"), "{requests:?}");
    assert_eq!(requests.len(), 4, "{requests:?}");
}

#[tokio::test]
async fn a_path_that_is_refused_is_read_by_search() {
    let (_fake, amazon) = Fake::start(|request, _| match request {
        r if r.contains("/items/A1SELLER/") => forbidden(),
        r if r.contains("identifiers=S%2F1&") => found(&[listing("S/1", "DEFAULT", 2)]),
        _ => found(&[]),
    })
    .await;
    let seen = amazon.read_back(&[ids("S/1")]).await.expect("an answer");
    assert_eq!(seen, [Observed::Seen(Levels::of(Quantity::new(2)))]);
    let seen = amazon.read_back(&[ids("a,b")]).await.expect("other reads work");
    assert!(
        matches!(&seen[..], [Observed::Unwritable { why }] if why.contains("other reads work")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn one_sku_that_spoils_a_search_does_not_hide_the_others() {
    let (_fake, amazon) = Fake::start(|request, _| match request {
        r if r.contains("/A?") => (200, listing("A", "DEFAULT", 1)),
        r if r.contains("/B?") => (400, json!({"errors": [{"code": "InvalidInput", "message": "no"}]})),
        _ => (400, json!({})),
    })
    .await;
    let seen = amazon.read_back(&[ids("A"), ids("B")]).await.expect("an answer");
    assert_eq!(seen[0], Observed::Seen(Levels::of(Quantity::new(1))));
    assert!(matches!(&seen[1], Observed::Unwritable { .. }), "{seen:?}");
}

/// A search that fails for the SKU `bad` only, as does its path; everything else can be read.
fn all_but_bad(request: &str, bad: &(u16, Value)) -> (u16, Value) {
    let one = |sku: &str| listing(sku, "DEFAULT", 1);
    match request {
        r if r.starts_with("PATCH") => accepted(),
        r if r.contains("bad") => bad.clone(),
        r if r.contains("identifiers=") => {
            let skus = r.split("identifiers=").nth(1).and_then(|rest| rest.split('&').next());
            found(&skus.expect("named").split(',').map(one).collect::<Vec<_>>())
        }
        r if r.contains("sortBy=") => found(&[one("A")]),
        r => (200, one(r.split("A1SELLER/").nth(1).and_then(|rest| rest.split('?').next()).expect("a SKU"))),
    }
}

#[tokio::test]
async fn one_sku_that_amazon_fails_for_does_not_hold_up_the_others() {
    for bad in [(503, json!({})), (200, json!("what is this"))] {
        let (fake, amazon) = Fake::start(move |request, _| all_but_bad(request, &bad)).await;
        let skus = ["A", "B", "C", "D", "E", "bad", "F", "G"];
        let seen = amazon.read_back(&skus.map(ids)).await.expect("the others can be read");
        for (sku, seen) in skus.iter().zip(&seen) {
            match seen {
                Observed::Seen(_) => assert_ne!(*sku, "bad"),
                Observed::Unread { .. } => assert_eq!(*sku, "bad"),
                Observed::Absent | Observed::Unwritable { .. } => panic!("{sku}: {seen:?}"),
            }
        }
        let calls = fake.seen().len();
        assert!(calls <= 10, "{calls} calls");
        // By itself, too: Amazon is there.
        let alone = amazon.read_back(&[ids("bad")]).await;
        assert!(matches!(alone.as_deref(), Ok([Observed::Unread { .. }])), "{alone:?}");
        let (_fake, anew) = Fake::start(|r, _| all_but_bad(r, &(503, json!({})))).await;
        let outcomes = anew.write(&["A", "bad", "B"].map(|sku| put(sku, 1))).await;
        let got: Vec<&str> = kinds(&outcomes).iter().map(|kind| kind.0).collect();
        assert_eq!(got, ["accepted", "not sent", "accepted"]);
    }
}

#[tokio::test]
async fn one_sku_that_amazon_never_answers_about_does_not_hold_up_the_others() {
    let hangs = (HANGS, json!({}));
    let (fake, _) = Fake::start(move |request, _| all_but_bad(request, &hangs)).await;
    let mut options = quick(&fake.base);
    options.http.timeout = Duration::from_millis(400);
    let amazon = Amazon::new(options).expect("good options");
    let skus = ["A", "B", "C", "bad", "D", "E"];
    let seen = amazon.read_back(&skus.map(ids)).await.expect("the others can be read");
    for (sku, seen) in skus.iter().zip(&seen) {
        assert_eq!(matches!(seen, Observed::Unread { .. }), *sku == "bad", "{sku}: {seen:?}");
    }
    let bad = fake.seen().iter().filter(|request| request.contains("bad")).count();
    assert_eq!(bad, 2, "it is waited for once with the others and once by itself");
}

#[tokio::test]
async fn where_amazon_fails_for_all_nothing_is_asked_one_by_one() {
    let (fake, amazon) = Fake::start(|_, _| (503, json!({}))).await;
    let skus: Vec<Identifiers> = (0..20).map(|n| ids(&format!("S{n}"))).collect();
    assert!(matches!(amazon.read_back(&skus).await, Err(Fault::Server { status: 503, .. })));
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn reads_fail_with_the_fault_they_met() {
    let at = |status| async move {
        let (_fake, amazon) = Fake::start(move |_, _| (status, json!({}))).await;
        (amazon.read_back(&[ids("A")]).await, amazon.order(&OrderId::new("1").expect("an id")).await)
    };
    assert!(matches!(at(403).await.0, Err(Fault::Unauthorized(_))));
    assert!(matches!(at(429).await.0, Err(Fault::Throttled { .. })));
    assert!(matches!(at(500).await, (Err(Fault::Server { status: 500, .. }), Err(Fault::Server { .. }))));
    assert_eq!(at(404).await, (Ok(vec![Observed::Absent]), Ok(None)));
}

#[tokio::test]
async fn orders_are_paged_with_every_parameter() {
    let (fake, amazon) = Fake::start(|request, _| {
        let next = if request.contains("paginationToken") { json!({}) } else { json!({"nextToken": "t/1"}) };
        (200, json!({"orders": [], "pagination": next, "lastUpdatedBefore": "2024-12-25T03:00:00Z"}))
    })
    .await;
    // 2024-12-25T02:30:00Z
    let since = Timestamp::from_millis(1_735_093_800_000);
    let first = amazon.orders(By::Change, since, None).await.expect("a page");
    let last = amazon.orders(By::Change, since, first.next.as_ref()).await.expect("a page");
    assert_eq!((first.read_through, last.next), (None, None));
    assert_eq!(last.read_through, Some(Timestamp::from_millis(1_735_095_600_000)));
    let requests = fake.seen();
    assert!(requests[0].contains("lastUpdatedAfter=2024-12-25T02%3A30%3A00Z&"), "{requests:?}");
    assert_eq!(requests[1], format!("{}&paginationToken=t%2F1", requests[0]));
}

#[tokio::test]
async fn an_order_that_the_search_by_change_leaves_out_is_in_the_search_by_placement() {
    // As of 03:02, of an order that was placed at 02:00 and changed at 03:01.
    let (fake, amazon) = Fake::start(|request, _| {
        if request.contains("lastUpdatedAfter=") {
            return (200, json!({"orders": [], "lastUpdatedBefore": "2024-12-25T03:00:00Z"}));
        }
        let order = json!({
            "orderId": "250-1234567-8901234",
            "createdTime": "2024-12-25T02:00:00Z",
            "lastUpdatedTime": "2024-12-25T03:01:00Z",
            "fulfillment": {"fulfillmentStatus": "SHIPPED", "fulfilledBy": "MERCHANT"},
            "orderItems": [],
        });
        (200, json!({"orders": [order], "createdBefore": "2024-12-25T03:00:00Z"}))
    })
    .await;
    let since = Timestamp::from_millis(1_735_088_400_000);
    let mut told = Vec::new();
    for by in amazon.order_lists() {
        let page = amazon.orders(*by, since, None).await.expect("a page");
        assert_eq!(page.read_through, Some(Timestamp::from_millis(1_735_095_600_000)), "{by:?}");
        told.extend(page.orders.into_iter().map(|order| (*by, order.version.millis())));
    }
    assert_eq!(told, [(By::Placement, 1_735_095_660_000)]);
    assert_eq!(fake.seen().iter().filter(|request| request.contains("/orders?")).count(), 2);
}

#[tokio::test]
async fn a_passing_fault_of_a_later_page_does_not_throw_away_the_pages_before_it() {
    let failures = Arc::new(Mutex::new(2));
    let (fake, amazon) = Fake::start(move |request, _| {
        let mut failures = failures.lock().expect("not poisoned");
        if *failures > 0 && request.contains("paginationToken=") {
            *failures -= 1;
            return (503, json!({}));
        }
        let next = if request.contains("paginationToken") { json!({}) } else { json!({"nextToken": "t"}) };
        (200, json!({"orders": [], "pagination": next, "lastUpdatedBefore": "2024-12-25T03:00:00Z"}))
    })
    .await;
    let first = amazon.orders(By::Change, Timestamp::ZERO, None).await.expect("a page");
    let last = amazon.orders(By::Change, Timestamp::ZERO, first.next.as_ref()).await.expect("tried again");
    assert!(last.read_through.is_some());
    assert_eq!(fake.seen().len(), 4);

    let (fake, amazon) = Fake::start(|_, _| (503, json!({}))).await;
    assert!(amazon.orders(By::Change, Timestamp::ZERO, None).await.is_err());
    assert_eq!(fake.seen().len(), 1, "the first page is the caller's to repeat");
}

#[tokio::test]
async fn a_catalogue_of_more_than_a_thousand_is_read_whole() {
    // 2,345 listings, each created in its own "millisecond"; a search shows its first thousand.
    let (_fake, amazon) = Fake::start(|request, _| {
        let query: BTreeMap<String, String> = Url::parse(&format!("http://x{}", &request["GET ".len()..]))
            .expect("a URL")
            .query_pairs()
            .into_owned()
            .collect();
        let number = |name: &str| query.get(name).map_or(0, |n| n.parse::<usize>().expect("a number"));
        let (since, at) = (number("createdAfter"), number("pageToken"));
        let all: Vec<Value> = (since..2_345)
            .skip(at)
            .take((1_000 - at).min(20))
            .map(|n| {
                let mut one = listing(&format!("S{n}"), "DEFAULT", 1);
                one["summaries"][0]["createdDate"] = json!(format!("{n:05}"));
                one
            })
            .collect();
        let next = at + all.len();
        let more = next < 1_000 && since + next < 2_345;
        let pagination = if more { json!({"nextToken": next.to_string()}) } else { json!({}) };
        (200, json!({"numberOfResults": 2_345 - since, "pagination": pagination, "items": all}))
    })
    .await;
    let mut skus = BTreeSet::new();
    let mut cursor = None;
    for _ in 0..200 {
        let page = amazon.catalogue(cursor.as_ref()).await.expect("a page");
        for item in page.items {
            assert_eq!(item.by, FulfilledBy::Merchant);
            skus.insert(item.ids.get(IdKind::Sku).expect("a SKU").to_owned());
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(cursor.is_none());
    assert_eq!(skus.len(), 2_345);
    assert!(amazon.guard.allowed("S2344").is_some(), "what was read may be written");
}

#[tokio::test]
async fn the_check_finds_missing_roles() {
    let check = |write: (u16, Value), orders: (u16, Value)| async move {
        let (fake, amazon) = Fake::start(move |request, _| match request {
            r if r.starts_with("PATCH") => write.clone(),
            r if r.contains("/orders?") => orders.clone(),
            _ => found(&[listing("F", "AMAZON_NA", 1), listing("A", "DEFAULT", 1)]),
        })
        .await;
        let first = amazon.check().await;
        fake.seen();
        let again = amazon.check().await;
        let searched = fake.seen().iter().any(|r| r.contains("/orders?"));
        let can_read = |checked: &Checked| checked.facts.iter().any(|fact| fact == "orders can be read");
        assert_eq!(searched, !again.as_ref().is_ok_and(can_read), "the order search is scarce");
        first
    };
    let orders = || (200, json!({"orders": []}));
    let good = check(accepted(), orders()).await.expect("good");
    assert_eq!(
        good.facts,
        ["2 listings in ATVPDKIKX0DER", "writing is permitted", "orders can be read", UNDATED]
    );
    assert_eq!(good.problems, Vec::<String>::new());
    let bad = check(forbidden(), forbidden()).await.expect("it answers");
    let [writes, orders] = &bad.problems[..] else { panic!("two problems, not {bad:?}") };
    assert!(
        writes.contains("reads work and writes do not: grant the app the role `Product Listing`"),
        "{writes}"
    );
    assert!(orders.contains("`Inventory and Order Tracking`"), "{orders}");
}

#[tokio::test]
async fn what_amazon_does_not_offer_is_said() {
    let amazon = Amazon::new(options("https://sellingpartnerapi-na.amazon.com")).expect("good options");
    let abilities = amazon.abilities();
    assert!(!abilities.compare_and_set && abilities.sells && abilities.quantities && !abilities.posts);
    assert_eq!((abilities.visible, abilities.counts), (Visible::Later, None));
    assert!(abilities.feed_lag_ms >= 120_000);
    assert_eq!(amazon.changed(Timestamp::ZERO).await, Err(Fault::NotOffered("changed")));
    assert_eq!(amazon.counts(&Scope::All, None).await, Err(Fault::NotOffered("counts")));
    let push = Push { headers: BTreeMap::new(), body: Bytes::new() };
    assert!(matches!(amazon.receive(&push), Err(Refusal::Forged(_))));
    assert!(Amazon::new(options("ftp://x")).is_err());
}
