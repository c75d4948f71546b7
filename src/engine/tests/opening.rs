use crate::{
    connectors::Fault,
    core::{Command, Reply, State, ledger::Stock},
    model::{
        CountLine, FulfilledBy, IdKind, Identifiers, LocationId, OrderSnapshot, Quantity, Timestamp, Totals,
    },
    web::{
        Desk, Failure,
        tests::world::{OPENED, channel, item, order, policies, sku},
        view::{InitPreview, OpenOrders},
    },
};

use super::world::{World, start};

fn q(units: i64) -> Quantity {
    Quantity::new(units)
}

fn line(code: &str, units: i64) -> CountLine {
    CountLine {
        ids: Identifiers::new([(IdKind::Sku, code)]).expect("good"),
        location: LocationId::new("warehouse").expect("a name"),
        quantity: q(units),
    }
}

/// An order from long before the opening, of which `shipped` units have left.
fn old(id: &str, code: &str, ordered: i64, shipped: i64) -> OrderSnapshot {
    let mut order = order(id, code, ordered);
    order.placed_at = Timestamp::from_millis(OPENED - 86_400_000);
    order.lines[0].totals = Totals { ordered: q(ordered), fulfilled: q(shipped), ..Totals::default() };
    order
}

/// An ERP that holds `MUG` (10), `HAT` (4) and something unknown; a shop with `MUG` (12) and `CAP` on two pages and
/// orders from before: one shipped, one open.
async fn world() -> World {
    let world = start(State::default(), 64).await;
    let code = |code| [(IdKind::Sku, code)];
    let erp = &world.lists["erp"];
    *erp.pages.lock().expect("unpoisoned") =
        vec![vec![item(&code("MUG"), None), item(&code("HAT"), None), item(&code("CAP"), None)]];
    *erp.counts.lock().expect("unpoisoned") = vec![line("MUG", 10), line("HAT", 4), line("GONE", 1)];
    let main = &world.lists["main"];
    *main.pages.lock().expect("unpoisoned") = vec![
        vec![item(&code("MUG"), Some(12)), item(&code("NEW"), Some(3))],
        vec![item(&code("CAP"), Some(2))],
    ];
    *main.orders.lock().expect("unpoisoned") = vec![old("1", "MUG", 3, 3), old("2", "MUG", 2, 0)];
    world
}

async fn stock(world: &World, code: &'static str) -> Stock {
    world.read(move |state| state.skus[&sku(code)].stock[0].stock).await
}

/// Returns the orders that the ERP is to be told of.
async fn to_post(world: &World) -> Vec<String> {
    let take = Command::TakePostings { channel: channel("erp"), limit: 10 };
    let Ok(Reply::Postings(postings)) = world.ledger.submit(take).await else { panic!("no postings") };
    postings.iter().map(|posting| posting.order.to_string()).collect()
}

async fn preview(world: &World, from: &str) -> InitPreview {
    world.handles.preview(&channel(from), None).await.expect("a preview")
}

#[tokio::test]
async fn the_preview_tells_what_would_be_and_opens_nothing() {
    let world = world().await;
    let told = preview(&world, "erp").await;
    assert_eq!((told.skus, told.units, told.unknown, told.empty, told.unlisted), (2, q(14), 1, 0, 1));
    assert_eq!(told.unlisted_some, [sku("HAT")]);
    let main = told.channels.iter().find(|c| c.channel == channel("main")).expect("it is configured");
    assert_eq!((main.bound, main.unmatched, main.uncounted, main.differing), (2, 1, 1, 1));
    let difference = &main.differences[0];
    // 10 on the shelf, 2 of them sold and not shipped.
    assert_eq!((difference.shows, difference.will_show, main.lowered_units), (q(12), q(8), q(4)));
    assert_eq!(told.warnings.len(), 3, "{:?}", told.warnings);
    let opened = |state: &State| {
        let places = state.skus.values().flat_map(|row| &row.stock);
        (state.initialised, places.filter(|place| place.opened.is_some()).count())
    };
    assert_eq!(world.read(opened).await, (None, 0));
}

#[tokio::test]
async fn orders_from_before_are_part_of_the_opening_stock_and_no_erp_is_told_of_them() {
    let world = world().await;
    let done = world.handles.initialise(&channel("erp"), None).await.expect("opened");
    assert_eq!((done.skus, done.units, done.unknown, done.as_of.millis()), (2, q(14), 1, OPENED));
    assert_eq!(stock(&world, "MUG").await, Stock { on_hand: q(10), committed: q(2), ..Stock::default() });
    assert_eq!(to_post(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_order_that_was_known_before_the_count_was_read_is_older_although_its_clock_says_otherwise() {
    let world = world().await;
    world.lists["main"].orders.lock().expect("unpoisoned").push(order("3", "MUG", 1));
    world.handles.initialise(&channel("erp"), None).await.expect("opened");
    assert_eq!(stock(&world, "MUG").await, Stock { on_hand: q(10), committed: q(3), ..Stock::default() });
    assert_eq!(to_post(&world).await, Vec::<String>::new(), "the ERP may have it: a person is asked");
}

#[tokio::test]
async fn a_selling_channel_can_be_opened_from_and_what_it_shows_is_net_of_its_own_orders() {
    let world = world().await;
    let done = world.handles.initialise(&channel("main"), None).await.expect("opened");
    assert_eq!((done.skus, done.unknown), (2, 1));
    let mug = stock(&world, "MUG").await;
    assert_eq!((mug.on_hand, mug.committed, mug.available()), (q(14), q(2), Ok(q(12))));
}

#[tokio::test]
async fn listings_that_share_a_sku_are_counted_once() {
    let world = world().await;
    let main = &world.lists["main"];
    let twin = item(&[(IdKind::Sku, "MUG"), (IdKind::InventoryItem, "99")], Some(12));
    let mut fba = item(&[(IdKind::Sku, "HAT")], Some(50));
    fba.by = FulfilledBy::Channel;
    main.pages.lock().expect("unpoisoned")[1].extend([twin, fba]);
    let told = preview(&world, "main").await;
    assert_eq!(
        (told.skus, told.units),
        (2, q(16)),
        "14 mugs with those that are sold, 2 caps, no hat of another's"
    );
    assert!(
        told.warnings.iter().any(|warning| warning.starts_with("1 listing of `main` shares")),
        "{told:?}"
    );
}

#[tokio::test]
async fn nothing_is_written_and_nothing_booked_before_the_opening() {
    let world = world().await;
    preview(&world, "erp").await;
    let take = || Command::Take { channel: channel("main"), limit: 10, apart: 4 };
    let Ok(Reply::Work { puts, .. }) = world.ledger.submit(take()).await else { panic!("no work") };
    assert_eq!(puts, []);
    world.ledger.submit(Command::Tick).await.expect("judged");
    assert_eq!(
        world.read(|state| state.alerts.len()).await,
        0,
        "lines wait for the opening, not for a person"
    );
}

#[tokio::test]
async fn a_channel_that_is_down_is_a_warning_unless_the_stock_comes_from_it() {
    let world = world().await;
    let down = || Some(Fault::Disconnected("refused".to_owned()));
    *world.lists["us"].fault.lock().expect("unpoisoned") = down();
    let told = preview(&world, "erp").await;
    let named = told.warnings.iter().filter(|warning| warning.contains("`us`")).count();
    assert_eq!(named, 2, "its catalogue and its orders: {:?}", told.warnings);
    *world.lists["erp"].fault.lock().expect("unpoisoned") = down();
    let failed = world.handles.initialise(&channel("erp"), None).await;
    assert!(matches!(failed, Err(Failure::Channel { .. })), "{failed:?}");
    assert_eq!(world.read(|state| state.initialised).await, None);
}

#[tokio::test]
async fn the_opening_reads_page_by_page_and_goes_by_a_report_only_where_pages_do_not_do() {
    let check = async |fault: Option<Fault>, pages: &[usize], by_report: bool| {
        let world = world().await;
        let main = &world.lists["main"];
        main.breaks.lock().expect("unpoisoned").extend(fault.clone());
        *main.reported.lock().expect("unpoisoned") = vec![item(&[(IdKind::Sku, "MUG")], Some(12))];
        let told = preview(&world, "erp").await;
        assert!(!told.warnings.iter().any(|it| it.contains("could not be read")), "{:?}", told.warnings);
        assert_eq!(*main.browsed.lock().expect("unpoisoned"), pages, "{fault:?}");
        assert_eq!(main.reported.lock().expect("unpoisoned").is_empty(), by_report, "{fault:?}");
    };
    check(None, &[0, 1], false).await;
    check(Some(Fault::Disconnected("broken off".to_owned())), &[0, 1, 1], false).await;
    check(Some(Fault::Refused("no further than 1,000".to_owned())), &[0, 1, 0, 1], true).await;
}

#[tokio::test]
async fn the_stock_is_opened_once_by_one_at_a_time_and_from_a_channel_that_there_is() {
    let world = world().await;
    let refused = |from: &'static str| {
        let world = &world;
        async move { world.handles.initialise(&channel(from), None).await.expect_err("refused") }
    };
    assert!(matches!(refused("nowhere").await, Failure::Refused(_)));
    let turn = world.handles.opening.turn.lock().await;
    assert!(matches!(refused("erp").await, Failure::Conflict { .. }));
    drop(turn);
    world.handles.initialise(&channel("erp"), None).await.expect("opened");
    assert!(matches!(refused("erp").await, Failure::Conflict { .. }));
}

/// The marketplace `us` draws on two places, and tells one number.
#[tokio::test]
async fn what_a_channel_shows_of_several_places_is_taken_over_where_a_person_says_only() {
    let world = world().await;
    let place = |name: &str| LocationId::new(name).expect("a name");
    let mut policies = policies();
    policies.locations.push(place("store"));
    policies.channels.get_mut(&channel("us")).expect("configured").locations.push(place("store"));
    world.ledger.submit(Command::Configure(Box::new(policies))).await.expect("configured");
    *world.lists["us"].pages.lock().expect("unpoisoned") = vec![vec![item(&[(IdKind::Sku, "MUG")], Some(6))]];
    let refused = async |at: Option<&str>| {
        let at = at.map(place);
        let told = world.handles.preview(&channel("us"), at.as_ref()).await;
        let Err(Failure::Conflict { what, next }) = told else { panic!("{told:?}") };
        format!("{what}; {next}")
    };
    let unsaid = refused(None).await;
    assert!(unsaid.contains("`warehouse` and `store` together"), "{unsaid}");
    assert!(unsaid.contains("--at LOCATION") && unsaid.contains("count import"), "{unsaid}");
    let elsewhere = refused(Some("cellar")).await;
    assert!(elsewhere.contains("does not draw on `cellar`"), "{elsewhere}");
    let counts = world.handles.preview(&channel("erp"), Some(&place("store"))).await;
    assert!(matches!(counts, Err(Failure::Conflict { .. })), "an ERP tells where all lies: {counts:?}");

    let told = world.handles.preview(&channel("us"), Some(&place("store"))).await.expect("told");
    assert!(told.warnings.iter().any(|warning| warning.contains("all taken to lie at `store`")), "{told:?}");
    world.handles.initialise(&channel("us"), Some(&place("store"))).await.expect("opened");
    let places = world.read(|state| state.skus[&sku("MUG")].stock.clone()).await;
    let opened = places.iter().filter(|place| place.opened.is_some());
    let opened: Vec<_> = opened.map(|place| (place.location.as_str(), place.stock.on_hand)).collect();
    assert_eq!(opened, [("store", q(6))]);
}

#[tokio::test]
async fn open_orders_of_what_has_no_sku_are_named() {
    let world = world().await;
    let orders = [old("3", "NOBODY", 3, 1), old("4", "NOBODY", 2, 2), old("5", "MUG", 1, 0)];
    world.lists["main"].orders.lock().expect("unpoisoned").extend(orders);
    let told = preview(&world, "erp").await;
    let lost = |of: &[OpenOrders]| -> Vec<(String, usize, Quantity, Vec<String>)> {
        let one = |of: &OpenOrders| {
            let some = of.some.iter().map(ToString::to_string).collect();
            (of.channel.to_string(), of.orders, of.units, some)
        };
        of.iter().map(one).collect()
    };
    let wanted = [("main".to_owned(), 1, q(2), vec!["main:3".to_owned()])];
    assert_eq!(lost(&told.unmapped_orders), wanted);
    let done = world.handles.initialise(&channel("erp"), None).await.expect("opened");
    assert_eq!(lost(&done.unmapped_orders), wanted);
}
