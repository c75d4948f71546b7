//! Orders that are open when the stock is opened: `init` names them, nothing of them is posted before a person has said
//! whether the ERP has them, and its counts put nothing of them back.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live},
    support::{World, number, order, text, until_empty},
};

/// Two units of a SKU were sold in the shop before Evenkeel came, and the ERP was not told.
struct Before {
    world: World,
    home: Home,
    live: Live,
    sku: String,
    units: i64,
    order: String,
}

async fn opened() -> Before {
    let world = World::start(|_| {}).await;
    let books = world.get("books").await;
    let book = &books["skus"][0];
    let (sku, units) = (text(&book["sku"]).to_owned(), number(&book["physical"]));
    let order = order(&world, "shopify", &sku, 2).await;
    let home = Home::new(&world).await;
    let live = home.serve().await;
    let open = |told: &Value| {
        let of = &told["open_orders"][0];
        let [channel, orders, units] = ["channel", "orders", "units"].map(|name| of[name].clone());
        assert_eq!((channel, orders, units), (json!("erp"), json!(1), json!(2)), "{told:#}");
        assert_eq!(of["some"], json!([{"channel": "shop", "order": order}]), "{told:#}");
    };
    open(&home.ask(&["init", "--from", "erp", "--dry-run"]).await.json());
    open(&home.ask(&["init", "--from", "erp", "--yes"]).await.json());
    world.post("webhooks", json!({"url": home.hooks()})).await;
    Before { world, home, live, sku, units, order }
}

impl Before {
    async fn stock(&self) -> [i64; 2] {
        let told = self.home.ask(&["sku", &self.sku]).await.json();
        ["on_hand", "committed"].map(|name| number(&told["stock"][0][name]))
    }

    async fn until_stock(&self, wanted: [i64; 2]) {
        until_empty("the stock is as it is to be", async || {
            let stock = self.stock().await;
            if stock == wanted { vec![] } else { vec![format!("{stock:?} and not {wanted:?}")] }
        })
        .await;
    }

    /// Ships the order, lets people find five more in the ERP after that, and waits until so many are on hand.
    async fn shipped_and_counted(&self, on_hand: i64) {
        self.world.post("fulfil", json!({"channel": "shopify", "order": self.order})).await;
        self.until_stock([self.units - 2, 0]).await;
        let counts = json!([{"sku": self.sku, "quantity": self.units + 5}]);
        self.world.post("erp/count", json!({"counts": counts})).await;
        self.until_stock([on_hand, 0]).await;
    }

    /// Says of the order whether the ERP has it.
    async fn answer(&self, verb: &str) {
        let letters = self.home.ask(&["dead-letters", "list"]).await.json();
        let id = format!("posting:erp:shop:{}", self.order);
        let [one, other] = ["command", "other"].map(|name| letters["letters"][0][name].clone());
        let both = ["retry", "discard"].map(|verb| json!(format!("evenkeel dead-letters {verb} {id}")));
        assert_eq!([one, other], both, "{letters:#}");
        let command = ["dead-letters", verb, "--channel", "erp", "--reason", "opening"];
        let told = self.home.ask(&command).await.json();
        assert_eq!(told["letters"].as_array().map(Vec::len), Some(1), "{told:#}");
    }

    async fn posting(&self) -> Value {
        let told = self.home.ask(&["order", "shop", &self.order]).await.json();
        told["postings"][0]["state"].clone()
    }

    async fn in_erp(&self) -> Value {
        self.world.get("books").await["skus"][0]["erp"]["on_hand"].clone()
    }

    async fn over(self) {
        self.live.stop().await;
        self.home.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_from_before_ships_stays_off_the_shelf_and_is_posted_when_a_person_says_so() {
    let before = opened().await;
    assert_eq!(before.stock().await, [before.units, 2]);
    assert_eq!(before.posting().await, "parked");
    // The ERP counts what it was not told to be gone.
    before.shipped_and_counted(before.units + 3).await;
    before.answer("retry").await;
    until_empty("the ERP was told", async || {
        let on_hand = before.in_erp().await;
        if on_hand == before.units + 3 { vec![] } else { vec![on_hand.to_string()] }
    })
    .await;
    before.until_stock([before.units + 3, 0]).await;
    before.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_from_before_that_others_enter_in_the_erp_is_left_to_them() {
    let before = opened().await;
    // What others enter there counts twice until a person has said so; then it is counted anew.
    before.shipped_and_counted(before.units + 3).await;
    before.answer("discard").await;
    assert_eq!(before.posting().await, "theirs");
    before.until_stock([before.units + 5, 0]).await;
    assert_eq!(before.posting().await, "theirs");
    assert_eq!(before.in_erp().await, before.units + 5, "it was told of nothing");
    before.over().await;
}
