//! What was shipped before the ERP heard that it was sold, and is counted there meanwhile: no unit comes back on sale, and
//! none is taken off twice.

use super::*;

#[rustfmt::skip]
const LATE: [Expected; 4] = [
    // Nothing is told to the ERP, as a person says. It is counted before and after it is told.
    ("SKU-0001", &[("count", 100), ("sale", 3), ("ship", 3), ("count", -4), ("count", -1)], [92, 92]),
    // Nothing that it is told arrives. The count waits until it is known whether anything did.
    ("SKU-0002", &[("count", 100), ("sale", 3), ("ship", 3), ("count", -4), ("count", -1)], [92, 92]),
    // Counted after the one before, which is not taken over yet.
    ("SKU-0003", &[("count", 100), ("count", -1)], [99, 99]),
    // A part was told when it shipped, the rest was not: only that is not in its count.
    ("SKU-0004", &[("count", 100), ("sale", 5), ("ship", 2), ("ship", 3), ("count", -4), ("count", -1)], [90, 90]),
];

/// Whatever its counts are.
const COUNTS: [&str; 2] = ["", free::COUNTS];

impl Stage {
    /// Sells and ships on Shopify, and waits until both are booked.
    async fn sell_and_ship(&self, n: usize, quantity: i64) -> String {
        let order = self.sell(n, "shopify", quantity).await;
        self.held(n, 2).await;
        self.ship(&order).await;
        self.held(n, 3).await;
        order
    }

    /// Returns what a channel has shown of a SKU, one after the other.
    async fn shown(&self, n: usize, channel: &str) -> Vec<i64> {
        let changes = self.world.get("sales").await["changes"].clone();
        let changes = changes.as_array().expect("a list").iter();
        let here = changes.filter(|change| change["channel"] == channel && change["sku"] == *self.codes[n]);
        here.map(|change| number(&change["shown"])).collect()
    }
}

async fn play(stage: &Stage) {
    let live = stage.open().await;
    while_it_is_told_nothing(stage).await;
    while_it_is_told_in_vain(stage).await;
    stage.agree().await;
    let mut exact = Vec::new();
    for n in [0, 1, 3] {
        exact.extend((stage.entries(n).await == stage.wanted(n)).then_some(n));
    }
    assert!(stage.free || exact.len() == 3, "each count was read as it was made: {exact:?}");
    for n in exact {
        for channel in ["shopify", "amazon"] {
            let shown = stage.shown(n, channel).await;
            assert!(
                shown.len() > 2 && shown.is_sorted_by(|a, b| a > b),
                "a unit came back: {channel} {shown:?}"
            );
        }
    }
    stage.end(live).await;
}

async fn while_it_is_told_nothing(stage: &Stage) {
    let in_parts = stage.sell(3, "shopify", 5).await;
    stage.booked(3, 2).await;
    let part = json!([{"sku": stage.codes[3], "quantity": 2}]);
    stage.world.post("fulfil", json!({"channel": "shopify", "order": in_parts, "lines": part})).await;
    stage.booked(3, 3).await;
    stage.erp_holds(3, [98, 95]).await;

    stage.home.ask(&["pause", "--channel", "erp", "--mode", "frozen"]).await.json();
    stage.sell_and_ship(0, 3).await;
    stage.count(0, 96).await;
    stage.held(0, 4).await;
    stage.erp_holds(0, [96, 96]).await;
    stage.ship(&in_parts).await;
    stage.held(3, 4).await;
    stage.count(3, 94).await;
    stage.held(3, 5).await;
    stage.erp_holds(3, [94, 91]).await;

    stage.home.ask(&["resume", "--channel", "erp"]).await.json();
    stage.booked(0, 4).await;
    stage.erp_holds(0, [93, 93]).await;
    stage.erp_holds(3, [91, 91]).await;
    stage.count(0, 92).await;
    stage.count(3, 90).await;
    stage.booked(0, 5).await;
    stage.booked(3, 6).await;
}

async fn while_it_is_told_in_vain(stage: &Stage) {
    stage.fail.store(true, Ordering::SeqCst);
    let order = stage.sell_and_ship(1, 3).await;
    until_empty("the ERP is told in vain", async || {
        let told = stage.home.ask(&["order", "main", &order]).await.json();
        let tries = told["postings"][0]["tries"].as_i64();
        if tries > Some(0) { vec![] } else { vec![told.to_string()] }
    })
    .await;
    stage.count(1, 96).await;
    stage.count(2, 99).await;
    stage.held(2, 2).await;
    assert_eq!(stage.entries(1).await.len(), 3, "nobody knows what of it the count has seen");
    stage.erp_holds(1, [96, 96]).await;
    stage.fail.store(false, Ordering::SeqCst);
    stage.booked(1, 4).await;
    stage.erp_holds(1, [93, 93]).await;
    stage.count(1, 92).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_shipped_before_the_erp_heard_of_it_is_off_the_shelf_once() {
    for counts in COUNTS {
        let Some(tryton) = stage::tryton() else { return };
        play(&Stage::set(Some(tryton), &LATE, counts).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_once_with_the_sandbox_as_erp_too() {
    for counts in COUNTS {
        play(&Stage::set(None, &LATE, counts).await).await;
    }
}
