//! Reads of an order feed: what holds them up, what does not, and what they may claim.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::mpsc, time};

use super::world::{World, start};
use crate::{
    connectors::{By, Connector, Cursor, Fault, OrderPage},
    core::{
        Command, State,
        command::{DeadLetter, Verdict},
        state::Fed,
    },
    engine::{
        feed::{Ended, Error, Feed, Memory, PAGES_MAX},
        fetch::Wanted,
    },
    model::{DeliveryId, OrderId, OrderKey, Timestamp},
    web::tests::world::{OPENED, channel, opened, order},
};

/// The feed of `main`; nothing ticks.
fn feed(world: &World) -> Feed {
    let opening = &world.handles.opening;
    Feed {
        channel: channel("main"),
        connector: Arc::clone(&world.lists["main"]) as Arc<dyn Connector>,
        ledger: world.ledger.clone(),
        clock: Arc::clone(&opening.clock),
        wakes: opening.wakes.channel(&channel("main")).expect("it is configured"),
        metrics: Arc::clone(&world.metrics),
        quarantine: Arc::clone(&opening.quarantine),
        ticks: mpsc::channel(1).1,
        lookback: Duration::from_secs(3_600),
        overlap: Duration::ZERO,
    }
}

/// Has a push say that these orders must be fetched.
async fn want(world: &World, orders: &[&str]) {
    let fetch = orders.iter().map(|id| OrderId::new(id).expect("good")).collect();
    let delivery = DeliveryId::new(&format!("w-{}", orders.join("-"))).expect("good");
    let push = Command::Push { channel: channel("main"), delivery, orders: vec![], fetch, look: vec![] };
    world.ledger.submit(push).await.expect("taken");
}

fn answer(world: &World, id: &str, fault: Option<Fault>) {
    let told = fault.map_or_else(|| Ok(order(id, "MUG", 2)), Err);
    world.lists["main"].single.lock().expect("unpoisoned").insert(id.to_owned(), told);
}

fn asked(world: &World) -> Vec<String> {
    std::mem::take(&mut *world.lists["main"].asked.lock().expect("unpoisoned"))
}

fn key(id: &str) -> OrderKey {
    OrderKey { channel: channel("main"), order: OrderId::new(id).expect("good") }
}

/// Tells of each order whether it has lines, and whether it must be fetched.
async fn stands(world: &World, id: &'static str) -> Option<(bool, bool)> {
    let row = move |state: &State| {
        state.orders.get(&key(id)).map(|order| (!order.lines.is_empty(), order.fetch_due.is_some()))
    };
    world.read(row).await
}

async fn fed(world: &World) -> Option<Fed> {
    world.read(|state| state.channels.get(&channel("main")).and_then(|row| row.fed)).await
}

fn faults() -> [Fault; 7] {
    [
        Fault::Timeout(Duration::from_secs(1)),
        Fault::Disconnected("reset".to_owned()),
        Fault::Server { status: 500, detail: "oops".to_owned() },
        Fault::Throttled { retry_after: Duration::from_millis(500) },
        Fault::Unauthorized("no".to_owned()),
        Fault::Refused("no".to_owned()),
        Fault::Malformed("half a document".to_owned()),
    ]
}

#[tokio::test]
async fn an_order_that_cannot_be_fetched_holds_up_no_feed_and_stays_wanted() {
    for fault in faults() {
        let world = start(opened(), 64).await;
        world.lists["main"].orders.lock().expect("unpoisoned").push(order("8", "MUG", 1));
        want(&world, &["7"]).await;
        answer(&world, "7", Some(fault.clone()));
        let (feed, mut memory) = (feed(&world), Memory::default());
        feed.read(&mut memory).await.expect("the feed itself is well");
        assert_eq!(stands(&world, "8").await, Some((true, false)), "{fault:?}");
        assert_eq!(stands(&world, "7").await, Some((false, true)), "{fault:?}");
        assert!(fed(&world).await.is_some(), "{fault:?}");
        assert_eq!(world.read(|state| state.quarantine.len()).await, 0, "{fault:?}: one try says little");
    }
}

#[tokio::test]
async fn an_order_that_failed_waits_for_its_turn_and_is_then_read() {
    let world = start(opened(), 64).await;
    want(&world, &["7"]).await;
    answer(&world, "7", Some(Fault::Malformed("half a document".to_owned())));
    let (feed, mut memory) = (feed(&world), Memory::default());
    assert_ne!(feed.wanted(&memory.unread).await, Wanted::Nothing);
    feed.read(&mut memory).await.expect("read");
    assert_eq!(asked(&world), ["7"]);
    assert_eq!(feed.wanted(&memory.unread).await, Wanted::Nothing, "none is asked for before its turn");
    feed.read(&mut memory).await.expect("read");
    assert_eq!(asked(&world), Vec::<String>::new());
    answer(&world, "7", None);
    time::pause();
    time::advance(Duration::from_millis(1_100)).await;
    assert_ne!(feed.wanted(&memory.unread).await, Wanted::Nothing);
    feed.read(&mut memory).await.expect("read");
    assert_eq!(stands(&world, "7").await, Some((true, false)));
    assert!(memory.unread.is_empty());
}

#[tokio::test]
async fn a_fault_of_one_order_lets_the_others_be_fetched() {
    let world = start(opened(), 64).await;
    want(&world, &["5", "6", "7"]).await;
    answer(&world, "5", Some(Fault::Malformed("nonsense".to_owned())));
    answer(&world, "6", Some(Fault::Server { status: 502, detail: String::new() }));
    answer(&world, "7", None);
    let (feed, mut memory) = (feed(&world), Memory::default());
    feed.read(&mut memory).await.expect("read");
    assert_eq!(asked(&world), ["5", "6"], "a channel that fails is not asked fifty times");
    feed.read(&mut memory).await.expect("read");
    assert_eq!(asked(&world), ["7"]);
    assert_eq!(stands(&world, "7").await, Some((true, false)));
}

#[tokio::test]
async fn an_order_that_is_never_readable_is_shown_to_a_person_who_may_give_it_up() {
    let world = start(opened(), 64).await;
    want(&world, &["7"]).await;
    answer(&world, "7", Some(Fault::Malformed("nonsense".to_owned())));
    let (feed, mut memory) = (feed(&world), Memory::default());
    time::pause();
    for wait in [0, 1, 2, 4] {
        time::advance(Duration::from_millis(wait * 1_000 + 100)).await;
        feed.read(&mut memory).await.expect("read");
    }
    assert_eq!(asked(&world).len(), 4);
    let held = world.read(|state| state.quarantine.clone()).await;
    assert_eq!(held.len(), 1, "{held:?}");
    let (id, item) = held.first_key_value().expect("one");
    assert_eq!(item.id.as_deref(), Some("7"));
    assert_eq!(stands(&world, "7").await, Some((false, true)));
    let letter = DeadLetter::Quarantine(*id);
    let discard = Command::Dead { letter, verdict: Verdict::Discard };
    world.ledger.submit(discard).await.expect("taken");
    assert_eq!(stands(&world, "7").await, Some((false, false)));
}

#[tokio::test]
async fn an_order_that_the_feed_names_and_cannot_tell_is_wanted_before_the_feed_counts_as_read() {
    let world = start(opened(), 64).await;
    let page = |_, _| {
        let unread = vec![OrderId::new("9").expect("good")];
        let read_through = Some(Timestamp::from_millis(OPENED));
        Ok(OrderPage { unread, orders: vec![order("8", "MUG", 1)], read_through, ..OrderPage::default() })
    };
    *world.lists["main"].feed.lock().expect("unpoisoned") = Some(Box::new(page));
    answer(&world, "9", None);
    let (feed, mut memory) = (feed(&world), Memory::default());
    feed.read(&mut memory).await.expect("read");
    assert_eq!(stands(&world, "8").await, Some((true, false)));
    assert_eq!(stands(&world, "9").await, Some((false, true)));
    assert!(fed(&world).await.is_some());
    *world.lists["main"].feed.lock().expect("unpoisoned") = None;
    feed.read(&mut memory).await.expect("read");
    assert_eq!(stands(&world, "9").await, Some((true, false)));
}

#[tokio::test]
async fn an_order_that_the_channel_does_not_know_is_wanted_no_more() {
    let world = start(opened(), 64).await;
    want(&world, &["7"]).await;
    feed(&world).read(&mut Memory::default()).await.expect("read");
    assert_eq!(stands(&world, "7").await, Some((false, false)));
}

/// What page `at` of a feed of `pages` pages says. Each but the last tells one second more to be read, if `marked`.
fn page(at: usize, pages: usize, marked: bool) -> OrderPage {
    let last = at + 1 == pages;
    let next = (!last).then(|| Cursor((at + 1).to_string()));
    OrderPage { next, read_through: (marked || last).then(|| second(at)), ..OrderPage::default() }
}

fn second(at: usize) -> Timestamp {
    Timestamp::from_millis(OPENED + 1_000 * i64::try_from(at).expect("few"))
}

type Reads = Arc<Mutex<Vec<(Timestamp, usize)>>>;

/// Has the feed of `main` say what `says` makes of a page's number. Returns from when, and which, pages are asked for.
fn says(world: &World, says: impl Fn(usize) -> Result<OrderPage, Fault> + Send + 'static) -> Reads {
    let reads = Reads::default();
    let noted = Arc::clone(&reads);
    let page = move |since, at| {
        noted.lock().expect("unpoisoned").push((since, at));
        says(at)
    };
    *world.lists["main"].feed.lock().expect("unpoisoned") = Some(Box::new(page));
    reads
}

async fn fed_through(world: &World) -> Option<Timestamp> {
    world.read(|state| state.channels.get(&channel("main")).and_then(|row| row.fed_through)).await
}

#[tokio::test]
async fn a_feed_of_more_pages_than_one_read_takes_is_read_on_and_only_then_counts_as_read() {
    let world = start(opened(), 64).await;
    let pages = 2 * PAGES_MAX + 3;
    let reads = says(&world, move |at| Ok(page(at, pages, false)));
    let (feed, mut memory) = (feed(&world), Memory::default());
    let begun = world.ledger.seq();
    assert_eq!(feed.read(&mut memory).await.expect("read"), Ended::Part);
    want(&world, &["7"]).await;
    assert_eq!(feed.read(&mut memory).await.expect("read"), Ended::Part);
    assert_eq!((fed(&world).await, fed_through(&world).await), (None, None), "nobody said up to when");
    assert_eq!(feed.read(&mut memory).await.expect("read"), Ended::Whole);
    let fed = fed(&world).await.expect("it was read whole");
    assert_eq!((fed.begun, fed.through), (begun, second(pages - 1)), "as of when the whole read began");
    let asked = reads.lock().expect("unpoisoned");
    assert!(asked.iter().map(|(_, at)| *at).eq(0..pages), "each page once");
}

#[tokio::test]
async fn how_far_a_feed_was_read_is_durable_and_passes_no_fence() {
    let world = start(opened(), 64).await;
    let reads = says(&world, |at| Ok(page(at, PAGES_MAX + 100, true)));
    let mut feed = feed(&world);
    feed.overlap = Duration::from_secs(3);
    assert_eq!(feed.read(&mut Memory::default()).await.expect("read"), Ended::Part);
    assert_eq!((fed(&world).await, fed_through(&world).await), (None, Some(second(PAGES_MAX - 1))));
    let replayed = world.store.restart().expect("a journal");
    let row = &replayed.channels[&channel("main")];
    assert_eq!((row.fed, row.watermark()), (None, Some(second(PAGES_MAX - 1))));
    // As after a restart.
    reads.lock().expect("unpoisoned").clear();
    feed.read(&mut Memory::default()).await.expect("read");
    assert_eq!(reads.lock().expect("unpoisoned")[0], (second(PAGES_MAX - 4), 0), "less the overlap");
}

#[tokio::test]
async fn a_read_that_breaks_off_claims_what_it_read_and_goes_on_there() {
    let world = start(opened(), 64).await;
    let reads = says(&world, |at| match at {
        5 => Err(Fault::Disconnected("reset".to_owned())),
        _ => Ok(page(at, 8, true)),
    });
    let (feed, mut memory) = (feed(&world), Memory::default());
    feed.read(&mut memory).await.expect_err("it breaks off");
    assert_eq!((fed(&world).await, fed_through(&world).await), (None, Some(second(4))));
    reads.lock().expect("unpoisoned").clear();
    let again = says(&world, |at| Ok(page(at, 8, true)));
    assert_eq!(feed.read(&mut memory).await.expect("read"), Ended::Whole);
    assert!(again.lock().expect("unpoisoned").iter().map(|(_, at)| *at).eq(5..8));
    assert_eq!(fed(&world).await.map(|fed| fed.through), Some(second(7)));
}

#[tokio::test]
async fn a_place_that_the_channel_knows_no_more_is_given_up() {
    for (fault, tries) in [
        (Fault::Refused("an old cursor".to_owned()), 1),
        (Fault::Malformed("nonsense".to_owned()), 1),
        (Fault::Server { status: 500, detail: String::new() }, 5),
    ] {
        let world = start(opened(), 64).await;
        let said = fault.clone();
        let reads = says(&world, move |at| if at == 1 { Err(said.clone()) } else { Ok(page(at, 3, false)) });
        let (feed, mut memory) = (feed(&world), Memory::default());
        for _ in 0..=tries {
            feed.read(&mut memory).await.expect_err("it fails");
        }
        let asked: Vec<usize> = reads.lock().expect("unpoisoned").iter().map(|(_, at)| *at).collect();
        assert_eq!(asked, [vec![0], vec![1; tries], vec![0, 1]].concat(), "{fault:?}");
        assert_eq!((fed(&world).await, fed_through(&world).await), (None, None), "{fault:?}");
    }
}

#[tokio::test]
async fn a_feed_that_turns_in_circles_is_no_read() {
    let world = start(opened(), 64).await;
    says(&world, |_| Ok(OrderPage { next: Some(Cursor("1".to_owned())), ..OrderPage::default() }));
    let failed = feed(&world).read(&mut Memory::default()).await;
    assert!(matches!(failed, Err(Error::Loops)), "{failed:?}");
    says(&world, |_| Ok(OrderPage::default()));
    let failed = feed(&world).read(&mut Memory::default()).await;
    assert!(matches!(failed, Err(Error::Unbounded)), "{failed:?}");
    assert_eq!((fed(&world).await, fed_through(&world).await), (None, None));
}

/// Which lists of `main` were asked for since it was last asked, and from when on.
fn lists(world: &World) -> Vec<(By, Timestamp)> {
    std::mem::take(&mut *world.lists["main"].lists.lock().expect("unpoisoned"))
}

#[tokio::test]
async fn of_two_lists_each_tells_what_the_other_leaves_out_and_orders_count_as_read_as_of_the_earlier() {
    let world = start(opened(), 64).await;
    // Placed long ago, it changed a moment ago, which the list by change leaves out.
    *world.lists["main"].placed.lock().expect("unpoisoned") = Some(vec![order("8", "MUG", 1)]);
    let (feed, mut memory) = (feed(&world), Memory::default());
    let first = world.ledger.seq();
    feed.read(&mut memory).await.expect("read");
    assert_eq!(stands(&world, "8").await, Some((true, false)), "no fence passes without it");
    assert_eq!(lists(&world).iter().map(|(by, _)| *by).collect::<Vec<_>>(), [By::Change, By::Placement]);
    let read = fed(&world).await.expect("both were read");
    assert_eq!((read.begun, read.through), (first, second(0)), "less than the list by placement says");

    let mut before = first;
    for by in [By::Change, By::Placement, By::Change] {
        let begun = world.ledger.seq();
        feed.read(&mut memory).await.expect("read");
        assert_eq!(lists(&world), [(by, second(0))], "one list in each read, from what both were read up to");
        let read = fed(&world).await.expect("read");
        assert_eq!(read.begun, before, "{by:?}: as of the list before it");
        before = begun;
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_read_again_before_orders_count_as_read() {
    let world = start(opened(), 64).await;
    *world.lists["main"].placed.lock().expect("unpoisoned") = Some(vec![]);
    let fails = |world: &World, fault| *world.lists["main"].fault.lock().expect("unpoisoned") = fault;
    let (feed, mut memory) = (feed(&world), Memory::default());
    feed.read(&mut memory).await.expect("read");
    let read = fed(&world).await;
    lists(&world);
    fails(&world, Some(Fault::Server { status: 500, detail: String::new() }));
    for _ in 0..7 {
        feed.read(&mut memory).await.expect_err("it fails");
    }
    fails(&world, None);
    assert_eq!(fed(&world).await, read);
    feed.read(&mut memory).await.expect("read");
    assert!(lists(&world).iter().all(|(by, _)| *by == By::Change), "its turn is not lost");
}
