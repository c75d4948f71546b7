//! The Amazon connector against the sandbox's Amazon, which shares no code with it.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel::{
    connectors::{
        By, Connector, Observed, Outcome, Put,
        amazon::{Amazon, Options, Rates, Timing, options},
        http,
    },
    model::{
        FulfilledBy, IdKind, IdempotencyKey, Identifiers, LocationId, OrderId, Quantity, Rest, Timestamp,
        Totals,
    },
    sandbox::Span,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::support::{World, until_empty, writes};

/// Connects to the sandbox's Amazon with the documented rates.
async fn connect(world: &World) -> Amazon {
    connect_with(world, options::REPORT_ABOVE).await
}

async fn connect_with(world: &World, report_above: u64) -> Amazon {
    let told = world.get("systems").await["amazon"].clone();
    let text = |key: &str| told[key].as_str().expect("the sandbox tells it").to_owned();
    let options = Options {
        base_url: Url::parse(&text("base_url")).expect("a URL"),
        lwa_url: Url::parse(&text("lwa_url")).expect("a URL"),
        seller_id: text("seller_id"),
        marketplace_ids: vec![text("marketplace_id")],
        client_id: text("client_id"),
        client_secret: SecretString::from(text("client_secret")),
        refresh_token: SecretString::from(text("refresh_token")),
        location: LocationId::new("main").expect("a name"),
        own_location: None,
        product_type: "PRODUCT".to_owned(),
        report_above,
        feeds: false,
        application: "evenkeel".to_owned(),
        rates: Rates::default(),
        timing: Timing::default(),
        secret_since: None,
        queue: None,
        http: http::Options::default(),
    };
    Amazon::new(options).expect("the options are good")
}

fn put(ids: &Identifiers, units: i64) -> Put {
    Put {
        ids: ids.clone(),
        location: LocationId::new("main").expect("a name"),
        quantity: Quantity::new(units),
        compare: None,
        delta: None,
        key: IdempotencyKey::new("k").expect("a key"),
        reference: "test".to_owned(),
    }
}

/// Returns the sandbox's name of the SKU that a row of the catalogue belongs to, and the row's identifiers.
async fn first_own(world: &World, amazon: &Amazon) -> (String, Identifiers) {
    let page = amazon.catalogue(None).await.expect("a page");
    let skus = world.get("books").await["skus"].as_array().expect("a list").clone();
    let codes: Vec<&str> = skus.iter().filter_map(|sku| sku["sku"].as_str()).collect();
    let own = page.items.into_iter().find_map(|item| {
        let sku = item.ids.get(IdKind::Sku)?.to_owned();
        (item.by == FulfilledBy::Merchant && codes.contains(&sku.as_str())).then_some((sku, item.ids))
    });
    own.expect("some SKU has the same name on both sides")
}

#[tokio::test]
async fn a_quantity_is_accepted_and_shows_later_and_amazons_own_stock_is_never_written() {
    let world = World::start(|_| {}).await;
    let amazon = connect(&world).await;
    assert_eq!(amazon.check().await.expect("it answers").problems, Vec::<String>::new());
    let items = amazon.catalogue(None).await.expect("a page").items;
    let (own, fba): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.by == FulfilledBy::Merchant);
    assert_eq!((own.len(), fba.len()), (12, 1));
    let puts: Vec<Put> =
        own.iter().chain(&fba).zip(20..).map(|(item, units)| put(&item.ids, units)).collect();
    let outcomes = amazon.write(&puts).await;
    let (last, others) = outcomes.split_last().expect("one for each");
    assert!(matches!(last, Outcome::Rejected { .. }), "{last:?}");
    assert!(others.iter().all(|o| matches!(o, Outcome::Accepted { submission: Some(_) })), "{others:?}");
    let ids: Vec<Identifiers> = own.iter().map(|item| item.ids.clone()).collect();
    until_empty("every quantity shows", async || {
        let seen = amazon.read_back(&ids).await.expect("an answer");
        let wrong = seen.into_iter().zip(20..).filter(|(seen, units)| match seen {
            Observed::Seen(levels) => levels.available.units() != *units,
            Observed::Absent | Observed::Unwritable { .. } | Observed::Unread { .. } => true,
        });
        wrong.map(|(seen, units)| format!("{seen:?} is not {units}")).collect()
    })
    .await;
    assert_eq!(world.get("books").await["fba_violations"], json!(0));
}

/// What sellers call things. Each stands in a path, in a query and in bodies.
const SKUS: [&str; 16] = [
    "PLAIN-1",
    "SLASH/A/B",
    "SPACE A B",
    "PIPE|A|B",
    "PLUS+A+B",
    "PERCENT%2F",
    "QUERY?A=B&C#D",
    "COMMA,A,B",
    "QUOTE'\"A",
    "DOTS..A",
    "TASSE-GRÜN-Ø",
    "箱-1",
    "📦-1",
    "(A)[B]{C}",
    "~A_B.C-D",
    "A23456789/123456789/123456789/123456789/",
];

#[tokio::test]
async fn skus_of_every_kind_are_written_once_looked_at_and_sold() {
    let world = World::start(|options| {
        options.catalogue.skus = SKUS.len();
        // Below what is written, so that every write changes something.
        options.catalogue.opening = Span { min: 5, max: 10 };
        options.catalogue.codes = SKUS.map(str::to_owned).into();
        options.catalogue.fba_twins = 0;
        options.amazon.order_lag_ms = 0;
    })
    .await;
    let amazon = connect(&world).await;
    let items = amazon.catalogue(None).await.expect("a page").items;
    let named: BTreeSet<&str> = items.iter().filter_map(|item| item.ids.get(IdKind::Sku)).collect();
    assert_eq!(named, SKUS.into());
    let puts: Vec<Put> = items.iter().zip(20..).map(|(item, units)| put(&item.ids, units)).collect();
    let outcomes = amazon.write(&puts).await;
    for (put, outcome) in puts.iter().zip(&outcomes) {
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{}: {outcome:?}", put.ids);
    }
    let ids: Vec<Identifiers> = items.iter().map(|item| item.ids.clone()).collect();
    until_empty("every quantity shows", async || {
        let seen = amazon.read_back(&ids).await.expect("an answer");
        let wrong = seen.into_iter().zip(20..).zip(&ids).filter(|((seen, units), _)| match seen {
            Observed::Seen(levels) => levels.available.units() != *units,
            Observed::Absent | Observed::Unwritable { .. } | Observed::Unread { .. } => true,
        });
        wrong.map(|((seen, units), ids)| format!("{ids}: {seen:?} is not {units}")).collect()
    })
    .await;
    let written = writes(&world).await;
    assert_eq!(written.iter().filter(|change| change["channel"] == "amazon").count(), SKUS.len());
    for sku in SKUS {
        let lines = json!([{"sku": sku, "quantity": 1}]);
        let placed = world.post("order", json!({"channel": "amazon", "lines": lines})).await;
        let id = OrderId::new(placed["order"].as_str().expect("an id")).expect("an id");
        let read = amazon.order(&id).await.expect("an answer").expect("it is there");
        assert_eq!(read.lines[0].ids.get(IdKind::Sku), Some(sku));
    }
}

#[tokio::test]
async fn reports_of_all_languages_tell_the_same_of_every_listing() {
    use evenkeel::sandbox::Language::{De, En, Ja, Utf8};
    for (language, gzip) in [(En, true), (De, true), (De, false), (Ja, true), (Utf8, false)] {
        let world = World::start(|options| {
            options.catalogue.skus = 1_100;
            options.amazon.report_language = language;
            options.amazon.report_locale_ignored = true;
            options.amazon.report_gzip = gzip;
            (options.amazon.report_ms.min, options.amazon.report_ms.max) = (0, 300);
        })
        .await;
        let amazon = connect_with(&world, 0).await;
        let (mut rows, mut read) = (Vec::new(), Vec::new());
        let mut after = None;
        loop {
            let page = amazon.snapshot(after.as_ref()).await.expect("a page");
            rows.extend(page.reported);
            read.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let twins = rows.iter().filter(|row| row.by == FulfilledBy::Channel).count();
        assert_eq!(twins, 1, "{language:?}");
        let told: BTreeMap<String, i64> = rows
            .iter()
            .chain(&read)
            .filter_map(|row| Some((row.ids.get(IdKind::Sku)?.to_owned(), row.levels?.available.units())))
            .collect();
        let books = world.get("books").await;
        let shown: BTreeMap<String, i64> = books["skus"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|sku| {
                let name = sku["amazon"]["seller_sku"].as_str().expect("a name").to_owned();
                (name, sku["amazon"]["shown"].as_i64().expect("a number"))
            })
            .collect();
        assert_eq!(told, shown, "{language:?}");
    }
}

/// Returns what Amazon tells of an order: who fulfils it, its totals, and what became of the rest.
async fn told(amazon: &Amazon, order: &str) -> (FulfilledBy, [i64; 2], Rest) {
    let id = OrderId::new(order).expect("an id");
    let read = amazon.order(&id).await.expect("an answer").expect("it is there");
    let line = &read.lines[0];
    let Totals { ordered, fulfilled, .. } = line.totals;
    (line.by, [ordered.units(), fulfilled.units()], line.rest)
}

#[tokio::test]
async fn an_order_is_told_from_placement_to_its_end() {
    let world = World::start(|options| {
        options.amazon.pending_ms = Span { min: 1, max: 1 };
        options.amazon.cancelled_zeroed_share = 0.0;
    })
    .await;
    let amazon = connect(&world).await;
    let (sku, ids) = first_own(&world, &amazon).await;
    let order = async |units: i64| -> String {
        let lines = json!([{"sku": sku, "quantity": units}]);
        let placed = world.post("order", json!({"channel": "amazon", "lines": lines})).await;
        placed["order"].as_str().map(str::to_owned).expect("an id")
    };
    let name = |order: &str| json!({"channel": "amazon", "order": order});
    let (kept, shipped, cancelled) = (order(1).await, order(2).await, order(1).await);
    until_empty("no order is pending", async || {
        let page = amazon.orders(By::Change, Timestamp::ZERO, None).await.expect("a page");
        if page.orders.len() == 3 { vec![] } else { vec![format!("{} orders", page.orders.len())] }
    })
    .await;
    assert_eq!(told(&amazon, &kept).await, (FulfilledBy::Merchant, [1, 0], Rest::Open));
    let ask = async |path: &str, body: Value| world.post(path, body).await;
    until_empty("the order can be shipped", async || {
        let read = told(&amazon, &shipped).await;
        if read.2 == Rest::Open { vec![] } else { vec![format!("{read:?}")] }
    })
    .await;
    ask("cancel", name(&cancelled)).await;
    ask("fulfil", name(&shipped)).await;
    assert_eq!(told(&amazon, &cancelled).await.2, Rest::Released);
    assert_eq!(told(&amazon, &shipped).await, (FulfilledBy::Merchant, [2, 2], Rest::Released));
    let page = amazon.orders(By::Change, Timestamp::ZERO, None).await.expect("a page");
    assert_eq!(page.unreadable, []);
    let line = page.orders.iter().flat_map(|order| &order.lines).next().expect("a line");
    assert_eq!(
        (line.ids.get(IdKind::Sku), line.ids.get(IdKind::Asin)),
        (ids.get(IdKind::Sku), ids.get(IdKind::Asin))
    );
    assert!(page.read_through.is_some_and(|through| through > Timestamp::ZERO));
    let nobody = OrderId::new("000-0000000-0000000").expect("an id");
    assert_eq!(amazon.order(&nobody).await, Ok(None));
}
