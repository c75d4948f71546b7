//! The same postings against the sandbox's ERP, which imitates Tryton and shares no code with the connector.

use evenkeel::sandbox::{CatalogueOptions, Options as SandboxOptions, Sandbox, Span};

use super::*;

/// Posts these targets in turn and compares what is counted after each: on hand, free.
const STORY: [([i64; 5], i64, i64); 8] = [
    ([5, 0, 0, 0, 0], 100, 95),
    ([5, 0, 0, 0, 0], 100, 95),
    ([5, 2, 0, 0, 0], 100, 97),
    ([5, 2, 0, 1, 0], 99, 97),
    ([7, 2, 0, 1, 0], 99, 95),
    ([7, 2, 1, 3, 0], 96, 95),
    ([7, 2, 1, 4, 0], 95, 95),
    ([7, 2, 1, 4, 3], 98, 98),
];

async fn tell(on_hand: &Tryton, free: &Tryton, item: &str) {
    for (sequence, (target, counted, left)) in (1..).zip(STORY) {
        let posting = posting("story", sequence, &[(item, target)]);
        assert_eq!(on_hand.post(&posting).await, Outcome::Applied, "{target:?}");
        assert_eq!(on_hand.posted(&posting).await, Ok(vec![totals(target)]), "{target:?}");
        let got = (count(on_hand, item).await, count(free, item).await);
        assert_eq!(got, (counted, left), "on hand and free after {target:?}");
    }
}

#[tokio::test]
async fn a_story_ends_the_same_in_tryton() {
    let erp = tryton_or_skip!();
    tell(&erp.on_hand, &erp.free, "SKU-0018").await;
}

#[tokio::test]
async fn a_story_ends_the_same_in_the_sandbox() {
    let catalogue = CatalogueOptions { skus: 3, opening: Span::new(100, 100), ..CatalogueOptions::default() };
    let options = SandboxOptions { catalogue, ..SandboxOptions::default() };
    let (database, key) = (options.erp.database.clone(), options.erp.key.clone());
    let sandbox = Sandbox::start(options).await.expect("the sandbox starts");
    let address = format!("http://{}", sandbox.addresses().erp);
    let connect = |measure| {
        let options = Options {
            base_url: base_url("base_url", &address).expect("loopback"),
            database: database.clone(),
            key: SecretString::from(key.clone()),
            company: None,
            warehouses: vec![("WH".to_owned(), LocationId::new("main").expect("a name"))],
            measure,
            customer: "2".to_owned(),
            late: Duration::ZERO,
            http: http::Options::default(),
        };
        Tryton::new("tryton", options).expect("the options are good")
    };
    let (on_hand, free) = (connect(Measure::OnHand), connect(Measure::Free));
    let page = on_hand.catalogue(None).await.expect("the catalogue can be read");
    let item = page.items[0].ids.get(IdKind::Sku).expect("a code").to_owned();
    let before = on_hand.counts(&Scope::Only(vec![code(&item)]), None).await.expect("it can be read");
    tell(&on_hand, &free, &item).await;
    let changed = on_hand.changed(before.as_of).await.expect("the feed can be read");
    assert!(changed.items.iter().any(|ids| ids.get(IdKind::Sku) == Some(&item)));
    assert_eq!(on_hand.check().await.expect("all is well").facts.len(), 1);
    sandbox.stop().await;
}
