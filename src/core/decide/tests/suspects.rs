//! One listing that makes every request fail which holds it: the others go, none twice, and only it waits.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{AMZ, ERP, Luck, SHOP, World, ch, key, policies};
use crate::{
    core::{
        Command,
        circuit::{Circuit, Health},
        decide::suspects::suspect,
        leg,
        state::ListingRef,
    },
    model::{Observed, Outcome, Put, Timestamp},
};

/// SKUs with five units each, on channels that take `batch` writes in one request.
fn open(skus: usize, batch: u32) -> (World, Vec<String>) {
    let names: Vec<String> = (0..skus).map(|n| format!("S{n:02}")).collect();
    let stock: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 5)).collect();
    let mut policies = policies();
    for policy in policies.channels.values_mut() {
        policy.abilities.batch = batch;
    }
    (World::open_with(policies, &stock), names)
}

/// What each request of a portion holds.
type Requests = Vec<Vec<String>>;

/// Carries out one portion of a lane's work, request by request. `bad`: a request that holds one of these has no answer,
/// and nothing of it is done.
fn portion(world: &mut World, channel: &str, bad: &BTreeSet<String>) -> Requests {
    world.land(channel);
    let work = world.take(channel);
    let mut out = Vec::new();
    for request in &work.requests {
        let skus: Vec<String> = request.iter().map(|(listing, _)| listing.sku.to_string()).collect();
        let luck = || if skus.iter().any(|sku| bad.contains(sku)) { Luck::Lost } else { Luck::Fine };
        let write = |(listing, put): &(ListingRef, Put)| {
            let outcome = world.write(channel, listing, put, luck());
            (listing.clone(), put.key.clone(), outcome)
        };
        let answers = request.iter().map(write).collect();
        world.run(Command::Answer { channel: ch(channel), answers }).expect("answers are taken in");
        out.push(skus);
    }
    for (listing, _) in work.looks {
        let of = listing.sku.to_string();
        world.look(&of, channel);
    }
    out
}

fn closed(world: &World, channel: &str) -> bool {
    let row = world.state.channels.get(&ch(channel));
    row.is_none_or(|row| !row.circuit.is_open())
}

fn confirmed(world: &World, of: &str, channel: &str) -> bool {
    matches!(world.leg(of, channel).state, leg::State::Confirmed)
}

/// Sells one of each elsewhere, and works until all but the bad ones are confirmed. Returns the requests.
fn isolate(skus: usize, batch: u32, bad: &BTreeSet<String>) -> (World, Vec<String>, Requests) {
    let (mut world, names) = open(skus, batch);
    for (n, of) in names.iter().enumerate() {
        world.sell(AMZ, &format!("o{n}"), of, 1);
    }
    let begun = world.now;
    let mut requests = Vec::new();
    loop {
        requests.extend(portion(&mut world, SHOP, bad));
        assert!(closed(&world, SHOP), "the channel answers others");
        world.now += 250;
        if names.iter().filter(|of| !bad.contains(*of)).all(|of| confirmed(&world, of, SHOP)) {
            return (world, names, requests);
        }
        assert!(world.now - begun < 60_000, "the others go within the minute: {requests:?}");
    }
}

/// How often each SKU was in a request that held none of the bad ones.
fn done(requests: &Requests, bad: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let mut done = BTreeMap::new();
    for request in requests.iter().filter(|request| !request.iter().any(|sku| bad.contains(sku))) {
        for sku in request {
            *done.entry(sku.clone()).or_default() += 1;
        }
    }
    done
}

fn bad(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|of| (*of).to_owned()).collect()
}

#[test]
fn one_that_makes_its_requests_fail_ends_up_alone_and_holds_up_no_other() {
    let bad = bad(&["S17"]);
    let (mut world, names, requests) = isolate(50, 250, &bad);
    assert_eq!(requests[0].len(), 50, "nothing is held against any of them yet");
    // Sold again, the others go together at once, whatever becomes of the one.
    for (n, of) in names.iter().enumerate() {
        world.sell(AMZ, &format!("p{n}"), of, 1);
    }
    let again = portion(&mut world, SHOP, &bad);
    let largest = again.iter().max_by_key(|request| request.len()).expect("there are requests");
    assert_eq!(largest.len(), 49, "{again:?}");
    let mut tried = 0;
    for _ in 0..400 {
        world.now += 250;
        for request in portion(&mut world, SHOP, &bad) {
            tried += usize::from(request == ["S17"]);
            assert!(request == ["S17"] || !request.contains(&"S17".to_owned()), "{request:?}");
        }
        assert!(closed(&world, SHOP));
    }
    assert!(tried > 3, "what was sold is lowered for ever: {tried} tries");
    let listing = world.held("S17", SHOP);
    assert_eq!(suspect(&world.state, listing), Some(1));
    world.quiesce();
    assert_eq!((world.shows("S17", SHOP), world.leg("S17", SHOP).suspect.clone()), (3, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whoever_it_is_and_however_many_the_others_go_once_and_soon(
        skus in 2_usize..40,
        batch in prop_oneof![Just(5_u32), Just(20), Just(250)],
        picks in proptest::collection::btree_set(0_usize..40, 1..3),
    ) {
        let bad: BTreeSet<String> =
            picks.into_iter().filter(|n| *n < skus).map(|n| format!("S{n:02}")).collect();
        let (world, names, requests) = isolate(skus, batch, &bad);
        let done = done(&requests, &bad);
        for of in names.iter().filter(|of| !bad.contains(*of)) {
            prop_assert_eq!(done.get(of), Some(&1), "{} once: {:?}", of, requests);
            prop_assert_eq!(world.shows(of, SHOP), 4);
        }
    }
}

#[test]
fn after_an_outage_nothing_is_held_against_anyone() {
    let (mut world, names) = open(30, 250);
    for (n, of) in names.iter().enumerate() {
        world.sell(AMZ, &format!("o{n}"), of, 1);
    }
    let all: BTreeSet<String> = names.iter().cloned().collect();
    portion(&mut world, SHOP, &all);
    for _ in 0..2 {
        let failed =
            Command::ReadFailed { channel: ch(SHOP), health: Health::Silent("503".to_owned()), alone: None };
        world.run(failed).expect("noted");
    }
    assert!(!closed(&world, SHOP), "whole requests and whole reads fail: it is the channel");
    world.now += 20_000;
    let mut requests = Vec::new();
    for _ in 0..80 {
        requests.extend(portion(&mut world, SHOP, &BTreeSet::new()));
        world.now += 250;
    }
    let most = requests.iter().map(Vec::len).max();
    assert!(most >= Some(29) && requests.len() <= 2, "they go together again: {requests:?}");
}

#[test]
fn a_lone_listing_that_fails_does_not_stop_its_channel() {
    let (mut world, _) = open(2, 1);
    world.sell(SHOP, "1", "S00", 1);
    let one = bad(&["S00"]);
    for _ in 0..600 {
        portion(&mut world, AMZ, &one);
        assert!(closed(&world, AMZ));
        world.now += 250;
    }
    assert!(world.leg("S00", AMZ).tries > 3);
    world.sell(SHOP, "2", "S01", 1);
    assert_eq!(portion(&mut world, AMZ, &one)[0], ["S01"], "it goes at once");
}

#[test]
fn a_listing_that_cannot_be_read_is_looked_at_apart() {
    let (mut world, names) = open(6, 250);
    for (n, of) in names.iter().enumerate() {
        world.sell(AMZ, &format!("o{n}"), of, 1);
    }
    portion(&mut world, SHOP, &BTreeSet::new());
    let unread = world.listing("S03", SHOP);
    for of in &names {
        let before = world.leg(of, SHOP).clone();
        if matches!(before.state, leg::State::Confirmed) {
            world.sell(AMZ, &format!("again-{of}"), of, 1);
        }
    }
    let work = world.take(SHOP);
    for put in &work.puts {
        world.answer(SHOP, put, Outcome::Applied);
    }
    let seen = vec![(unread.clone(), Observed::Unread { why: "no answer".to_owned() })];
    let read_at = Timestamp::from_millis(world.now);
    world.run(Command::Looked { channel: ch(SHOP), read_at, seen }).expect("a look");
    world.now += 60_000;
    let take = Command::Take { channel: ch(SHOP), limit: 100, apart: 4 };
    let crate::core::Reply::Work { looks, apart, .. } = world.run(take).expect("taken") else {
        panic!("no work")
    };
    assert!(!looks.iter().any(|(listing, _)| *listing == unread), "{looks:?}");
    assert_eq!(apart.looks.iter().map(|(listing, _)| listing.clone()).collect::<Vec<_>>(), [unread]);
    assert_eq!(looks.len(), 5);
}

#[test]
fn one_order_that_the_erp_fails_at_holds_up_no_other() {
    let (mut world, _) = open(4, 5);
    world.sell(SHOP, "bad", "S00", 1);
    let unknown = Outcome::Unknown { fault: "status 500".to_owned() };
    for n in 0..12 {
        for posting in world.postings() {
            assert_eq!(posting.order, key(SHOP, "bad"), "only it is left");
            world.posted(&posting, unknown.clone());
        }
        world.now += 60_000;
        assert!(closed(&world, ERP), "one order that fails by itself does not stop the ERP");
        world.sell(SHOP, &format!("good-{n}"), "S01", 0);
    }
    world.sell(SHOP, "good", "S02", 1);
    let mut open: Vec<_> = world.postings();
    open.retain(|posting| posting.order == key(SHOP, "good"));
    let [good] = open.as_slice() else { panic!("it is posted beside the other: {open:?}") };
    world.posted(good, Outcome::Applied);
    let refused = world.postings();
    for posting in refused {
        world.posted(&posting, Outcome::Rejected { reason: "no such product".to_owned() });
    }
    world.sell(SHOP, "later", "S03", 1);
    assert_eq!(world.postings().len(), 1, "nor does one that is refused");
    let circuit = &world.state.channels[&ch(ERP)].circuit;
    assert!(matches!(circuit, Circuit::Closed { failures: 0, .. }), "{circuit:?}");
}
