//! A merchant with two places: a shop that ships from both, Amazon selling from both and from its own warehouse, an ERP
//! with a warehouse for each. With the real binary.

use serde_json::{Value, json};

use crate::{
    live::{Home, Live, file},
    support::{World, number, text, until_empty},
};

/// What the world has of a SKU at its two places.
const PLACES: [&str; 2] = ["warehouse", "store"];

pub(crate) async fn two_places() -> World {
    World::start(|options| {
        options.catalogue.places = 2;
        options.catalogue.skus = 6;
        options.catalogue.opening = evenkeel::sandbox::Span { min: 20, max: 30 };
    })
    .await
}

/// Makes the demo's configuration one of two places, of which the shop and the ERP know both.
pub(crate) async fn configured(world: &World) -> Home {
    let home = Home::new(world).await;
    let systems = world.get("systems").await;
    let ids = &systems["shopify"]["location_ids"];
    let codes = &systems["erp"]["ids"]["warehouse_codes"];
    let outlet = |n: usize| {
        format!(
            "[[channels.shopify.shop.outlets]]\nlocation_id = {}\nlocations = [\"{}\"]\n",
            ids[n], PLACES[n]
        )
    };
    let warehouse = |n: usize| {
        format!(
            "[[channels.tryton.erp.warehouses]]\nwarehouse = {}\nlocation = \"{}\"\n",
            codes[n], PLACES[n]
        )
    };
    let more = "[[locations]]\nid = \"warehouse\"\n";
    home.configure(more, &format!("{more}\n[[locations]]\nid = \"store\"\n\n[[locations]]\nid = \"fba\"\n"));
    home.configure(&format!("locations = [\"warehouse\"]\nlocation_id = {}\n", ids[0]), "");
    let both = "locations = [\"warehouse\", \"store\"]\nfba_location = \"fba\"\nfba_every = \"1s\"\n";
    home.configure("locations = [\"warehouse\"]\n", both);
    let assume = "[channels.shopify.shop.assume]";
    home.configure(assume, &format!("{}{}\n{assume}", outlet(0), outlet(1)));
    home.configure(&format!("warehouse = {}\nlocation = \"warehouse\"\n", codes[0]), "");
    let assume = "[channels.tryton.erp.assume]";
    home.configure(assume, &format!("{}{}\n{assume}", warehouse(0), warehouse(1)));
    home
}

/// Returns what does not agree with the books of the world, place by place.
async fn disagreements(world: &World) -> Vec<String> {
    let books = world.get("books").await;
    let mut left = Vec::new();
    for sku in books["skus"].as_array().expect("a list") {
        let mut check = |what: &str, got: &Value, want: i64| {
            if *got != json!(want) {
                left.push(format!("{} {what}: {got} and not {want}", sku["sku"]));
            }
        };
        let places = sku["places"].as_array().expect("a list");
        // Amazon ships from both: what it sold beyond the first place is not for sale at the other.
        let sum: i64 = places.iter().map(|place| number(&place["available"])).sum();
        for (n, place) in places.iter().enumerate() {
            let available = number(&place["available"]).min(sum);
            check(&format!("shop at {}", PLACES[n]), &place["shopify"]["shown"], available.max(0));
            check(&format!("erp at {}", PLACES[n]), &place["erp"]["on_hand"], number(&place["physical"]));
        }
        check("amazon", &sku["amazon"]["shown"], sum.max(0));
    }
    left
}

pub(crate) async fn settled(world: &World, home: &Home) {
    until_empty("every place agrees", async || {
        let mut left = disagreements(world).await;
        let quiet = world.get("quiet").await;
        if quiet["quiet"] != json!(true) {
            left.push(quiet.to_string());
        }
        if left.is_empty() {
            let waiting = home.ask(&["outbox"]).await.json();
            left.extend(waiting["rows"].as_array().into_iter().flatten().map(Value::to_string));
        }
        if !left.is_empty() {
            left.push(home.ask(&["dead-letters", "list"]).await.out);
            left.push(home.log());
        }
        left
    })
    .await;
}

/// Places an order, which is shipped from `place` if that is said.
async fn order(world: &World, on: &str, sku: &str, quantity: i64, place: Option<usize>) -> String {
    let lines = json!([{"sku": sku, "quantity": quantity}]);
    let told = world.post("order", json!({"channel": on, "lines": lines, "place": place})).await;
    text(&told["order"]).to_owned()
}

async fn opened() -> (World, Home, Live, String) {
    let world = two_places().await;
    let home = configured(&world).await;
    let live = home.open(&world).await;
    settled(&world, &home).await;
    let sku = text(&world.get("books").await["skus"][0]["sku"]).to_owned();
    (world, home, live, sku)
}

/// The latest entries of a SKU, as `kind quantity location`, counts aside.
async fn entries(home: &Home, sku: &str) -> Vec<String> {
    let told = home.ask(&["sku", sku]).await.json();
    let all = told["recent"].as_array().expect("a list").iter();
    let told = |entry: &Value| {
        format!("{} {} {}", text(&entry["kind"]), number(&entry["quantity"]), text(&entry["location"]))
    };
    all.map(told).filter(|entry| !entry.starts_with("count") && !entry.starts_with("in_count")).collect()
}

/// Waits until these are the latest entries.
async fn booked(home: &Home, sku: &str, want: &[&str]) {
    until_empty("it is booked", async || {
        let got = entries(home, sku).await;
        let last = got.len().saturating_sub(want.len());
        if got[last..] == *want { vec![] } else { got }
    })
    .await;
}

/// Waits until a SKU's balances at the warehouse, at the store and at Amazon's have changed by this since `before`: on hand,
/// committed. A push is booked at the first place until it is known where it lies, so the way there is not told here.
async fn balances(home: &Home, sku: &str, before: &Value, want: [[i64; 2]; 3]) {
    let at = |stock: &Value, name: &str| {
        let held = stock.as_array().into_iter().flatten().find(|held| held["location"] == name);
        let units = |key: &str| held.and_then(|held| held[key].as_i64()).unwrap_or(0);
        [units("on_hand"), units("committed")]
    };
    until_empty("the balances are right", async || {
        let now = stock(home, sku).await;
        let moved = ["warehouse", "store", "fba"].map(|name| {
            let (was, is) = (at(before, name), at(&now, name));
            [is[0] - was[0], is[1] - was[1]]
        });
        if moved == want { vec![] } else { vec![format!("{moved:?} and not {want:?}"), home.log()] }
    })
    .await;
}

async fn stock(home: &Home, sku: &str) -> Value {
    home.ask(&["sku", sku]).await.json()["stock"].clone()
}

/// Returns the balances once what lies at Amazon's is among them.
async fn with_amazons_own(home: &Home, sku: &str) -> Value {
    until_empty("what lies at Amazon's is read", async || {
        let stock = stock(home, sku).await;
        let fba = stock.as_array().expect("a list").iter().any(|held| held["location"] == "fba");
        if fba { vec![] } else { vec![stock.to_string()] }
    })
    .await;
    stock(home, sku).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_lie_where_the_shop_ships_them_from_and_move_with_their_lines() {
    let (world, home, live, sku) = opened().await;
    let listings = home.ask(&["sku", &sku]).await.json()["listings"].clone();
    let here = listings.as_array().expect("a list").iter().filter(|l| l["channel"] == "shop").count();
    assert_eq!(here, 2, "one listing for each place: {listings:#}");
    let before = with_amazons_own(&home, &sku).await;
    let check = async |want: [[i64; 2]; 3]| {
        balances(&home, &sku, &before, want).await;
        settled(&world, &home).await;
    };
    let first = order(&world, "shopify", &sku, 3, Some(1)).await;
    check([[0, 0], [0, 3], [0, 0]]).await;
    // A person has all of it shipped from the warehouse, and then from the store after all.
    for (to, [warehouse, store]) in [(0, [3, 0]), (1, [0, 3])] {
        world.post("reroute", json!({"order": first, "sku": sku, "quantity": 3, "to": to})).await;
        check([[0, warehouse], [0, store], [0, 0]]).await;
    }
    order(&world, "shopify", &sku, 2, Some(0)).await;
    check([[0, 2], [0, 3], [0, 0]]).await;

    // A person has one unit of the first order shipped from the warehouse. The order itself does not change by that.
    world.post("reroute", json!({"order": first, "sku": sku, "quantity": 1, "to": 0})).await;
    check([[0, 3], [0, 2], [0, 0]]).await;
    let got = entries(&home, &sku).await;
    for wanted in ["sale -1 store", "sale 1 warehouse"] {
        assert!(got.iter().any(|entry| entry == wanted), "{wanted}: {got:?}");
    }

    // What is left of it is shipped from both places; one unit comes back to the other one.
    world.post("fulfil", json!({"channel": "shopify", "order": first})).await;
    check([[-1, 2], [-2, 0], [0, 0]]).await;
    let back = json!([{"sku": sku, "quantity": 1}]);
    let refund =
        json!({"channel": "shopify", "order": first, "lines": back, "restock": "return", "place": 0});
    world.post("refund", refund).await;
    check([[0, 2], [-2, 0], [0, 0]]).await;

    // Amazon sells from both places together, and from its own warehouse.
    order(&world, "amazon", &sku, 2, None).await;
    check([[0, 4], [-2, 0], [0, 0]]).await;
    let lines = json!([{"sku": sku, "quantity": 1}]);
    world.post("order", json!({"channel": "amazon", "lines": lines, "fba": true})).await;
    check([[0, 4], [-2, 0], [0, 1]]).await;
    let books = world.get("books").await;
    assert_eq!(books["fba_violations"], 0, "what Amazon ships is never written");
    assert_eq!(books["oversold_units"], 0);
    let fba = books["skus"][0]["fba"].clone();
    let held = stock(&home, &sku).await;
    let held = held.as_array().expect("a list").iter().find(|held| held["location"] == "fba").cloned();
    let held = held.expect("it is held");
    assert_eq!(number(&held["on_hand"]), number(&fba["fulfillable"]) + number(&fba["reserved"]), "{fba:#}");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_amazon_sold_beyond_the_warehouse_is_not_for_sale_in_the_store_and_an_oversell_is_told() {
    let (world, home, live, sku) = opened().await;
    let places = world.get("books").await["skus"][0]["places"].clone();
    let [warehouse, store] = [0, 1].map(|n| number(&places[n]["available"]));
    order(&world, "amazon", &sku, warehouse + 2, None).await;
    settled(&world, &home).await;
    let shown = async || {
        let books = world.get("books").await;
        [0, 1].map(|n| number(&books["skus"][0]["places"][n]["shopify"]["shown"]))
    };
    until_empty("the store shows two fewer", async || {
        let shown = shown().await;
        if shown == [0, store - 2] { vec![] } else { vec![format!("{shown:?}, the store has {store}")] }
    })
    .await;
    let listings = home.ask(&["sku", &sku]).await.json()["listings"].clone();
    let owed: i64 = listings.as_array().expect("a list").iter().map(|of| number(&of["owed"])).sum();
    assert_eq!(owed, 2, "{listings:#}");
    let told = home.ask(&["explain", &sku, "--sku"]).await;
    assert!(told.out.contains("2 more lie there, owed to what was sold at another place"), "{told:#?}");
    let oversold = async || {
        let alerts = home.ask(&["alerts"]).await.json();
        let mut all = alerts["alerts"].as_array().expect("a list").iter();
        all.find(|alert| alert["kind"] == "oversold" && alert["subject"] == sku.as_str()).cloned()
    };
    assert_eq!(oversold().await, None, "there is enough in all");
    // What is owed does not leave the store by mistake.
    let units = store.to_string();
    let away = ["transfer", &sku, &units, "--from", "store", "--to", "warehouse", "--in-transit"];
    home.ask(&away).await.fails(5, &format!("only {} units of `{sku}` at `store` are free", store - 2));

    // Then more is sold than both have.
    let last = order(&world, "amazon", &sku, store - 1, None).await;
    until_empty("the oversell is told", async || match oversold().await {
        Some(_) => vec![],
        None => vec![home.ask(&["alerts"]).await.out],
    })
    .await;
    let alert = oversold().await.expect("it was told just now");
    let text = text(&alert["text"]);
    for part in [
        "1 unit is sold that is not there",
        &format!("by order market:{last}"),
        "class",
        "`evenkeel explain ",
    ] {
        assert!(text.contains(part), "`{part}`: {text}");
    }
    until_empty("nothing is for sale at the shop", async || {
        let shown = shown().await;
        if shown == [0, 0] { vec![] } else { vec![format!("{shown:?}")] }
    })
    .await;
    let count = json!([{"sku": sku, "quantity": number(&places[1]["physical"]) + 1}]);
    world.post("erp/count", json!({"counts": count, "place": 1})).await;
    until_empty("it is over", async || oversold().await.map(|alert| alert.to_string()).into_iter().collect())
        .await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoppers_buy_from_two_places_and_the_books_of_each_agree() {
    let (world, home, live, _) = opened().await;
    world.post("shop", json!({"orders": 40, "per_second": 30.0})).await;
    until_empty("orders are placed", async || {
        let books = world.get("books").await;
        let orders = ["shopify", "amazon"].iter().filter_map(|c| books["orders"][c].as_u64()).sum::<u64>();
        let away = books["turned_away"].as_u64().unwrap_or(0);
        if orders + away >= 40 { vec![] } else { vec![format!("{orders} orders")] }
    })
    .await;
    settled(&world, &home).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_erps_warehouses_hold_what_lies_in_each_and_their_counts_are_taken_place_by_place() {
    let (world, home, live, sku) = opened().await;
    let shipped = order(&world, "shopify", &sku, 2, Some(1)).await;
    world.post("fulfil", json!({"channel": "shopify", "order": shipped})).await;
    settled(&world, &home).await;
    let place = world.get("books").await["skus"][0]["places"][1].clone();
    let counted = number(&place["physical"]) - 4;
    let counts = json!([{"sku": sku, "quantity": counted}]);
    world.post("erp/count", json!({"counts": counts, "place": 1})).await;
    settled(&world, &home).await;
    let stock = home.ask(&["sku", &sku]).await.json()["stock"].clone();
    let at = |name: &str| {
        let all = stock.as_array().expect("a list").iter();
        all.clone().find(|place| place["location"] == name).map(|place| number(&place["on_hand"]))
    };
    assert_eq!(at("store"), Some(counted), "{stock:#}");
    // Staff sell at the counter of the store; the ERP tells of it, and no other place changes.
    order(&world, "erp", &sku, 1, Some(1)).await;
    live.stop().await;
    home.verify().await;
}

/// An order is pushed, cancelled as lost and written off where its push is booked, before the first read of it tells that it lies
/// at the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_off_at_one_place_and_lay_at_another_is_off_the_shelf_once() {
    let (world, home, live, sku) = opened().await;
    let before = with_amazons_own(&home, &sku).await;
    let on_hand = async |place: usize| {
        let books = world.get("books").await;
        number(&books["skus"][0]["places"][place]["erp"]["on_hand"])
    };
    let was = [on_hand(0).await, on_hand(1).await];
    world.post("faults", json!({"faults": ["shopify-outage=10m"]})).await;
    let lost = order(&world, "shopify", &sku, 2, Some(1)).await;
    let cancel = json!({"channel": "shopify", "order": lost, "restock": false});
    world.post("cancel", cancel).await;
    until_empty("the ERP is told of it at the warehouse", async || {
        let is = [on_hand(0).await, on_hand(1).await];
        if is == [was[0] - 2, was[1]] { vec![] } else { vec![format!("{is:?}, it was {was:?}"), home.log()] }
    })
    .await;
    world.post("faults", json!({"faults": ["shopify-outage=off"]})).await;
    balances(&home, &sku, &before, [[0, 0], [-2, 0], [0, 0]]).await;
    settled(&world, &home).await;
    assert_eq!([on_hand(0).await, on_hand(1).await], [was[0], was[1] - 2]);
    live.stop().await;
    home.verify().await;
}

/// Of four units two are moved to the store and shipped there, one is shipped from the warehouse, and the last one, which lay there as
/// well, is taken off the order without a restock: no refund says where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_is_not_there_is_written_off_where_it_was_to_be_shipped_from() {
    let (world, home, live, sku) = opened().await;
    let before = with_amazons_own(&home, &sku).await;
    let check = async |want: [[i64; 2]; 3]| {
        balances(&home, &sku, &before, want).await;
        settled(&world, &home).await;
    };
    let sold = order(&world, "shopify", &sku, 4, Some(0)).await;
    check([[0, 4], [0, 0], [0, 0]]).await;
    world.post("reroute", json!({"order": sold, "sku": sku, "quantity": 2, "to": 1})).await;
    check([[0, 2], [0, 2], [0, 0]]).await;
    let lines = |units: i64| json!([{"sku": sku, "quantity": units}]);
    world.post("fulfil", json!({"channel": "shopify", "order": sold, "lines": lines(3)})).await;
    check([[-1, 1], [-2, 0], [0, 0]]).await;
    let refund = json!({"channel": "shopify", "order": sold, "lines": lines(1), "restock": "no_restock"});
    world.post("refund", refund).await;
    check([[-2, 0], [-2, 0], [0, 0]]).await;
    let drift = home.ask(&["drift"]).await.json();
    assert_eq!(drift["rows"], json!([]), "the shop's numbers are right");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_is_not_stocked_is_told_and_stands_in_no_way() {
    let world = two_places().await;
    let sku = text(&world.get("books").await["skus"][1]["sku"]).to_owned();
    world.post("edit-quantity", json!({"channel": "shopify", "sku": sku, "quantity": 0, "place": 1})).await;
    world.post("stocked", json!({"sku": sku, "place": 1, "stocked": false})).await;
    let home = configured(&world).await;
    let live = home.open(&world).await;
    until_empty("the others are shown", async || {
        let left = disagreements(&world).await;
        left.into_iter().filter(|line| !line.contains(&format!("\"{sku}\" shop at store"))).collect()
    })
    .await;
    let listings = home.ask(&["sku", &sku]).await.json()["listings"].clone();
    let all = listings.as_array().expect("a list").iter();
    let why: Vec<&str> = all.filter_map(|listing| listing["unwritable"].as_str()).collect();
    assert_eq!(why.len(), 1, "{listings:#}");
    assert!(why[0].contains("not stocked at the shop's location"), "{why:?}");
    live.stop().await;
}

/// Waits until an intent is in this phase.
async fn phase(home: &Home, id: &str, wanted: &str) {
    until_empty("it comes to its phase", async || {
        let told = home.ask(&["commits", "--intent", id]).await.json()["intents"][0].clone();
        if told["phase"] == wanted { vec![] } else { vec![told.to_string()] }
    })
    .await;
}

/// Two places of which people count the stock, so that no ERP is asked where units on the road lie.
async fn counted_by_hand() -> (World, Home, Live, Value) {
    let world = two_places().await;
    let home = configured(&world).await;
    home.configure("sweep_every = \"10s\"", "sweep_every = \"10s\"\ncounts = \"none\"");
    let live = home.serve().await;
    let books = world.get("books").await;
    let mut rows = String::from("sku,location,quantity\n");
    for sku in books["skus"].as_array().expect("a list") {
        for (n, place) in PLACES.iter().enumerate() {
            rows += &format!("\"{}\",{place},{}\n", text(&sku["sku"]), sku["places"][n]["physical"]);
        }
    }
    let all = file(home.dir.path(), "all.csv", &rows);
    home.ask(&["count", "import", &all, "--opening", "--yes"]).await.json();
    world.post("webhooks", json!({"url": home.hooks()})).await;
    let first = books["skus"][0].clone();
    (world, home, live, first)
}

/// Waits until the shop's two places and Amazon show this of the first SKU.
async fn shows(world: &World, home: &Home, wanted: [i64; 3]) {
    until_empty("it is shown", async || {
        let book = world.get("books").await["skus"][0].clone();
        let at = |n: usize| number(&book["places"][n]["shopify"]["shown"]);
        let got = [at(0), at(1), number(&book["amazon"]["shown"])];
        if got == wanted { vec![] } else { vec![format!("{got:?} and not {wanted:?}"), home.log()] }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_the_road_when_it_dies_is_on_the_road_still_and_received_once() {
    let (world, home, live, first) = counted_by_hand().await;
    let sku = text(&first["sku"]).to_owned();
    let [warehouse, store] = [0, 1].map(|n| number(&first["places"][n]["physical"]));
    shows(&world, &home, [warehouse, store, warehouse + store]).await;
    let send = ["transfer", &sku, "5", "--from", "warehouse", "--to", "store", "--in-transit", "--yes"];
    let send = [&send[..], &["--id", "van"]].concat();
    let id = home.ask(&send).await.json()["intent"]["id"].to_string();
    phase(&home, &id, "in_transit").await;
    shows(&world, &home, [warehouse - 5, store, warehouse + store - 5]).await;
    live.kill().await;
    let live = home.serve().await;
    phase(&home, &id, "in_transit").await;
    assert_eq!(home.ask(&send).await.json()["intent"]["id"].to_string(), id, "said again, it is the same");
    home.ask(&["receive", &id, "--quantity", "2"]).await.json();
    shows(&world, &home, [warehouse - 5, store + 2, warehouse + store - 3]).await;
    live.kill().await;
    let live = home.serve().await;
    phase(&home, &id, "in_transit").await;
    home.ask(&["receive", &id, "--quantity", "4"]).await.fails(5, "3 units");
    home.ask(&["receive", &id, "--quantity", "3"]).await.json();
    phase(&home, &id, "done").await;
    shows(&world, &home, [warehouse - 5, store + 5, warehouse + store]).await;
    home.ask(&["receive", &id, "--quantity", "1"]).await.fails(5, "is done");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_on_the_road_are_nowhere_for_sale_and_arrive_where_they_were_sent() {
    let (world, home, live, first) = counted_by_hand().await;
    let sku = text(&first["sku"]).to_owned();
    let [warehouse, store] = [0, 1].map(|n| number(&first["places"][n]["physical"]));
    let shown = async |wanted: [i64; 3]| shows(&world, &home, wanted).await;
    shown([warehouse, store, warehouse + store]).await;

    let send = ["transfer", &sku, "5", "--from", "warehouse", "--to", "store", "--in-transit", "--yes"];
    let dry = home.ask(&[&send[..], &["--dry-run"]].concat()).await.json();
    let at = |place: &str, before: i64, after: i64| json!({"location": place, "on_hand": [before, after], "available": [before, after]});
    let (left, came) = (at("warehouse", warehouse, warehouse - 5), at("store", store, store + 5));
    let goes = json!([{"sku": sku, "quantity": 5, "from": left, "to": came}]);
    assert_eq!(dry["moves"], goes, "{dry:#}");
    let shows = dry["shown"].as_array().expect("listings").iter();
    let shop = shows.filter(|row| row["channel"] == "shop");
    let mut places: Vec<&str> = shop.map(|row| text(&row["locations"][0])).collect();
    places.sort_unstable();
    assert_eq!(places, ["store", "warehouse"], "each listing is named: {dry:#}");
    let begun = home.ask(&send).await.json();
    let id = begun["intent"]["id"].to_string();
    world.post("carry", json!({"sku": sku, "quantity": 5, "from": 0})).await;
    shown([warehouse - 5, store, warehouse + store - 5]).await;
    phase(&home, &id, "in_transit").await;
    let got = entries(&home, &sku).await;
    for wanted in ["transfer_out 5 warehouse", "incoming 5 store"] {
        assert!(got.iter().any(|entry| entry == wanted), "{wanted}: {got:?}");
    }
    // A sale in the meantime takes what is there, and no more.
    order(&world, "shopify", &sku, 1, Some(1)).await;
    shown([warehouse - 5, store - 1, warehouse + store - 6]).await;
    world.post("carry", json!({"sku": sku, "quantity": 4, "to": 1})).await;
    home.ask(&["receive", &id, "--quantity", "4"]).await.json();
    shown([warehouse - 5, store + 3, warehouse + store - 2]).await;
    home.ask(&["receive", &id, "--close", "--lost"]).await.json();
    phase(&home, &id, "done").await;
    let book = world.get("books").await["skus"][0].clone();
    let physical = [0, 1].map(|n| number(&book["places"][n]["physical"]));
    let stock = home.ask(&["sku", &sku]).await.json()["stock"].clone();
    for (n, place) in PLACES.iter().enumerate() {
        let held = stock.as_array().expect("a list").iter().find(|held| held["location"] == *place);
        assert_eq!(held.map(|held| number(&held["on_hand"])), Some(physical[n]), "{stock:#} {book:#}");
    }
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_goes_both_ways_the_units_from_the_place_that_is_named_are_received() {
    let (world, home, live, first) = counted_by_hand().await;
    let sku = text(&first["sku"]).to_owned();
    let [warehouse, store] = [0, 1].map(|n| number(&first["places"][n]["physical"]));
    let shown = async |by: [i64; 3]| {
        let wanted = [warehouse + by[0], store + by[1], warehouse + store + by[2]];
        shows(&world, &home, wanted).await;
    };
    shown([0, 0, 0]).await;
    let rows = format!("sku,quantity,from,to\n\"{sku}\",4,warehouse,store\n\"{sku}\",2,store,warehouse\n");
    let rows = file(home.dir.path(), "both.csv", &rows);
    let begun = home.ask(&["transfer", "import", &rows, "--in-transit", "--yes"]).await.json();
    let id = begun["intent"]["id"].to_string();
    phase(&home, &id, "in_transit").await;
    shown([-4, -2, -6]).await;
    home.ask(&["receive", &id, "--quantity", "1"]).await.fails(5, "with --from and --to the places");
    home.ask(&["receive", &id, "--from", "store", "--quantity", "3"]).await.fails(5, "2 units");
    home.ask(&["receive", &id, "--from", "store", "--quantity", "1"]).await.json();
    shown([-3, -2, -5]).await;
    home.ask(&["receive", &id, "--from", "warehouse"]).await.json();
    shown([-3, 2, -1]).await;
    home.ask(&["receive", &id, "--from", "warehouse"]).await.fails(5, "no such units");
    home.ask(&["receive", &id]).await.json();
    phase(&home, &id, "done").await;
    shown([-2, 2, 0]).await;
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_is_another_sku_is_corrected_with_its_orders_at_both_places() {
    let (world, home, live, a) = opened().await;
    let books = world.get("books").await;
    let b = text(&books["skus"][1]["sku"]).to_owned();
    let physical = |sku: usize, place: usize| number(&books["skus"][sku]["places"][place]["physical"]);
    order(&world, "shopify", &a, 2, Some(1)).await;
    booked(&home, &a, &["sale 2 store"]).await;
    settled(&world, &home).await;

    let listing = format!("channel_sku={a}");
    let rebind = ["rebind", "shop", &listing, &b];
    let dry = home.ask(&[&rebind[..], &["--dry-run"]].concat()).await.json();
    let moved = dry["moved"].as_array().expect("they are named");
    let named: Vec<_> = moved.iter().map(|row| [&row["channel"], &row["from"], &row["to"]]).collect();
    assert_eq!(named, [[&json!("shop"), &json!(a), &json!(b)]; 2], "both places: {dry:#}");
    assert!(moved.iter().all(|row| row["shows"].is_i64() && row["ids"]["channel_sku"] == a), "{dry:#}");
    assert_eq!(dry["effect"]["bound"], 0, "nothing is found that was not known: {dry:#}");
    assert_eq!(entries(&home, &b).await, Vec::<String>::new(), "a dry run changes nothing");
    let done = home.ask(&[&rebind[..], &["--yes"]].concat()).await.json();
    assert_eq!((&done["moved"][0]["from"], &done["changed"]), (&json!(a), &json!(3)), "{done:#}");
    booked(&home, &a, &["sale 2 store", "sale -2 store"]).await;
    booked(&home, &b, &["sale 2 store"]).await;

    // What goes by A in the shop is B at both places; the ERP holds the sale of B, and none of A.
    order(&world, "shopify", &a, 1, Some(0)).await;
    booked(&home, &b, &["sale 2 store", "sale 1 warehouse"]).await;
    until_empty("all show it", async || {
        let books = world.get("books").await;
        let [of_a, of_b] = [0, 1].map(|n| books["skus"][n].clone());
        let at = |sku: &Value, n: usize, key: &str| number(&sku["places"][n]["erp"][key]);
        let got = [
            number(&of_a["places"][0]["shopify"]["shown"]),
            number(&of_a["places"][1]["shopify"]["shown"]),
            number(&of_a["amazon"]["shown"]),
            number(&of_b["amazon"]["shown"]),
            at(&of_a, 0, "available"),
            at(&of_a, 1, "available"),
            at(&of_b, 0, "available"),
            at(&of_b, 1, "available"),
        ];
        let (b0, b1) = (physical(1, 0) - 1, physical(1, 1) - 2);
        let (a0, a1) = (physical(0, 0), physical(0, 1));
        let want = [b0, b1, a0 + a1, b0 + b1, a0, a1, b0, b1];
        if got == want { vec![] } else { vec![format!("{got:?} and not {want:?}"), home.log()] }
    })
    .await;
    // What was left counts no more: all that may be sold of either is known.
    for sku in [&a, &b] {
        let told = home.ask(&["sku", sku]).await.json();
        assert!(told["slack"].is_i64(), "{told:#}");
    }
    live.stop().await;
    home.verify().await;
}
