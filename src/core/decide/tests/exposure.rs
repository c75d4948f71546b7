//! Exposure covers what the channels really show, and the journal alone tells the story of it.

use proptest::prelude::*;

use super::{
    drift::{ask, with},
    world::*,
};
use crate::{
    core::{
        Command,
        command::{Count, DriftAct},
        explain::{Fact, Story, Subject},
        exposure,
        oversold::Class,
    },
    model::{
        CatalogueItem, FulfilledBy, IdKind, LocationId, Seq,
        policy::{Part, Recipe},
    },
};

#[derive(Debug, Clone)]
enum Op {
    Buy(bool, i64),
    Push(usize),
    Lane(bool, Luck),
    Feed(bool),
    Look(bool),
    Wait(i64),
}

fn any_luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => Just(Luck::Fine),
        1 => Just(Luck::Lost),
        1 => Just(Luck::Unheard),
        1 => (0..9_000_i64).prop_map(Luck::Late),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (any::<bool>(), 1..4_i64).prop_map(|(c, n)| Op::Buy(c, n)),
        4 => any::<usize>().prop_map(Op::Push),
        6 => (any::<bool>(), any_luck()).prop_map(|(c, luck)| Op::Lane(c, luck)),
        2 => any::<bool>().prop_map(Op::Feed),
        2 => any::<bool>().prop_map(Op::Look),
        4 => prop::sample::select(vec![1, 400, 3_000, 20_000]).prop_map(Op::Wait),
    ]
}

fn channel(first: bool) -> &'static str {
    if first { SHOP } else { AMZ }
}

fn covers(world: &mut World) {
    for of in [SHOP, AMZ] {
        world.land(of);
        let exposed = exposure::of(&world.held("A", of).writes).expect("small").expect("it is known");
        let shown = world.shows("A", of);
        assert!(exposed.units() >= shown, "{of} shows {shown}, {exposed} are counted");
    }
    let exposed = exposure::of_sku(&world.state, &sku("A")).expect("small").expect("it was counted");
    assert_eq!(exposed.available, q(world.available("A")));
    assert_eq!(exposed.slack(), exposed.available.sub(exposed.exposure).ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Nobody else writes and nothing is restocked: what a channel shows is never more than what is counted.
    #[test]
    fn exposure_covers_what_is_shown(ops in prop::collection::vec(any_op(), 1..40)) {
        let mut world = World::open(&[("A", 12)]);
        // What was written at first can land no more, and hides nothing.
        world.now += AMZ_CAN.late_ms + 60_000;
        for of in [SHOP, AMZ] {
            world.feed(of);
            world.take(of);
            assert!(world.held("A", of).writes.unsettled.is_empty());
        }
        let mut orders: Vec<(&str, String)> = Vec::new();
        for op in ops {
            match op {
                Op::Buy(c, units) => {
                    let (of, order) = (channel(c), format!("o{}", orders.len()));
                    world.land(of);
                    let units = units.min(world.shows("A", of));
                    if units > 0 {
                        world.buy(of, &order, "A", units);
                        orders.push((of, order));
                    }
                }
                Op::Push(n) if !orders.is_empty() => {
                    let (of, order) = orders[n % orders.len()].clone();
                    world.push(of, &order);
                }
                Op::Push(_) => {}
                Op::Lane(c, luck) => drop(world.lane(channel(c), &mut || luck.clone())),
                Op::Feed(c) => world.feed(channel(c)),
                Op::Look(c) => {
                    world.land(channel(c));
                    world.look("A", channel(c));
                }
                Op::Wait(millis) => world.now += millis,
            }
            covers(&mut world);
        }
    }
}

#[test]
fn what_a_blind_channel_showed_counts_until_it_shows_what_it_took() {
    let mut world = World::open(&[("A", 10)]);
    world.now += AMZ_CAN.late_ms + 60_000;
    world.feed(SHOP);
    world.feed(AMZ);
    let exposed = |world: &World| exposure::of(&world.held("A", AMZ).writes).expect("small");
    assert_eq!(world.take(AMZ).looks.len(), 1, "the first write may have landed again since it was seen");
    assert_eq!(exposed(&world), Some(q(20)));
    world.look("A", AMZ);
    world.sell(SHOP, "1", "A", 10);
    world.lane(AMZ, &mut || Luck::Fine);
    assert_eq!((world.shows("A", AMZ), exposed(&world)), (10, Some(q(10))));
    world.now += 1_000;
    world.sell(AMZ, "2", "A", 1);
    assert_eq!((world.shows("A", AMZ), exposed(&world)), (9, Some(q(9))));
    world.now += 30_000;
    world.land(AMZ);
    world.look("A", AMZ);
    assert_eq!((world.shows("A", AMZ), exposed(&world)), (0, Some(q(0))));
}

/// A correction expects the least that explains a look. A second look by which that may be, and need not, makes nothing of the
/// exposure go.
#[test]
fn what_was_shown_counts_until_no_more_than_is_expected_shows() {
    let mut world = World::open(&[("A", 12)]);
    world.now += AMZ_CAN.late_ms + 60_000;
    for of in [SHOP, AMZ] {
        world.feed(of);
        world.take(of);
    }
    world.sell(AMZ, "0", "A", 2);
    world.buy(SHOP, "1", "A", 3);
    world.buy(AMZ, "2", "A", 1);
    world.push(SHOP, "1");
    world.look("A", AMZ);
    world.feed(AMZ);
    world.buy(AMZ, "3", "A", 1);
    for _ in 0..2 {
        world.look("A", AMZ);
        covers(&mut world);
    }
}

#[test]
fn a_raise_without_an_answer_counts_until_a_look_tells_whether_it_has_landed() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(AMZ, "1", "A", 3);
    world.quiesce();
    world.change(AMZ, "1", [3, 3, 0, 0, 0], 3);
    world.push(AMZ, "1");
    world.now += 8_000;
    world.feed(SHOP);
    world.lane(SHOP, &mut || Luck::Unheard); // it has landed, and nobody has looked
    let exposed = |world: &World| exposure::of(&world.held("A", SHOP).writes).expect("small");
    assert_eq!((world.shows("A", SHOP), exposed(&world)), (10, Some(q(10))));
    world.now += SHOP_CAN.late_ms;
    assert_eq!(world.take(SHOP).looks.len(), 1);
    assert!(world.held("A", SHOP).writes.unsettled.is_empty(), "it cannot land any more");
    assert_eq!(exposed(&world), Some(q(10)), "and may have");
    world.look("A", SHOP);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), exposed(&world)), (10, Some(q(10))));
}

#[test]
fn the_most_that_was_seen_counts_while_a_look_waits() {
    let mut world = World::open(&[("A", 10)]);
    world.now += 700_000;
    world.take(SHOP);
    world.look_at("A", SHOP, 14, world.now);
    world.now += 1_000;
    world.look_at("A", SHOP, 500, world.now);
    assert_eq!(exposure::of(&world.held("A", SHOP).writes), Ok(Some(q(500))));
}

#[test]
fn what_a_channel_holds_by_itself_is_no_stock_of_the_merchants() {
    let fba = LocationId::new("fba").expect("a good name");
    let mut policies = policies();
    policies.locations = vec![wh(), fba.clone()];
    policies.channels.get_mut(&ch(AMZ)).expect("configured").own_location = Some(fba);
    let mut world = World::open_with(policies, &[("A", 10)]);
    for n in 0..4 {
        let mut order = placed(&format!("{n}"), world.now, &[(World::ids_of(AMZ, "A"), [5, 0, 0, 5, 0])]);
        order.lines[0].by = FulfilledBy::Channel;
        world.push_snapshot(AMZ, order);
    }
    let exposed = exposure::of_sku(&world.state, &sku("A")).expect("small").expect("it was counted");
    assert_eq!(exposed.available, q(10));
    assert_eq!(world.oversells(), []);
    // What lies there is not there for a sale from the warehouse, either.
    world.sell(SHOP, "s", "A", 10);
    world.sell(AMZ, "t", "A", 1);
    assert_eq!(world.oversells(), [(1, Class::Sync)]);
}

#[test]
fn an_oversell_is_another_writers_only_while_what_it_wrote_is_shown() {
    let mut world = World::open_with(with(ask()), &[("A", 10)]);
    world.read("A", [10, 10, 0]);
    world.read("A", [14, 10, 0]);
    world.act("A", DriftAct::Accept).expect("it may stay");
    world.sell(AMZ, "1", "A", 1);
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 9);
    world.now += 30 * 86_400_000;
    world.sell(AMZ, "2", "A", 9);
    world.sell(SHOP, "1", "A", 1);
    assert_eq!(world.oversells(), [(1, Class::Sync)]);
}

#[test]
fn what_was_sold_as_a_part_is_classed_by_what_was_shown_of_the_whole() {
    let mut policies = policies();
    policies.bundles = vec![Recipe { bundle: sku("DUO"), parts: vec![Part { sku: sku("A"), units: q(2) }] }];
    let mut world = World::bare(policies);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A"]);
    }
    for channel in [SHOP, AMZ] {
        world.list(channel, &["DUO"]);
    }
    let opening = Count { opening: true, ..world.count_of(ERP, &[("A", 4)]) };
    world.run(Command::Count(opening)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    world.quiesce();
    assert_eq!(world.shows("DUO", SHOP), 2);
    world.read("DUO", [9, 9, 0]);
    world.sell(SHOP, "1", "DUO", 5);
    assert_eq!(world.oversells(), [(6, Class::RivalWriter)]);
}

/// Tells a story from the whole journal.
fn story(world: &World, subject: Subject) -> Story {
    let mut story = Story::of(subject);
    for (seq, envelope) in (1..).map(Seq).zip(&world.journal) {
        story.add(seq, envelope);
    }
    story
}

#[test]
fn the_story_of_a_sku_names_the_change_that_was_not_there_yet() {
    let mut world = World::open(&[("A", 2)]);
    world.sell(AMZ, "1", "A", 2);
    let commit = world.state.seq;
    world.sell(SHOP, "7", "A", 1);
    let told = story(&world, Subject::Sku(sku("A")));
    let oversold = told.events().expect("it is known").find_map(|event| match &event.fact {
        Fact::Oversold { units, class, late, .. } => Some((units.units(), *class, late.clone())),
        _ => None,
    });
    let (units, class, late) = oversold.expect("it was oversold");
    let late = late.expect("a change was under way");
    assert_eq!((units, class), (1, Class::Sync));
    assert_eq!((late.seq, late.quantity, late.sent_at), (commit, q(0), None));
    assert!(story(&world, Subject::Sku(sku("B"))).events().is_none());
}

#[test]
fn what_is_oversold_as_a_part_is_told_with_the_change_of_the_whole() {
    let mut policies = policies();
    policies.bundles = vec![Recipe { bundle: sku("DUO"), parts: vec![Part { sku: sku("A"), units: q(2) }] }];
    let mut world = World::bare(policies);
    world.list(ERP, &["A"]);
    world.list(AMZ, &["A"]);
    world.list(SHOP, &["DUO"]);
    let opening = Count { opening: true, ..world.count_of(ERP, &[("A", 4)]) };
    world.run(Command::Count(opening)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    world.quiesce();
    world.sell(AMZ, "1", "A", 4);
    let commit = world.state.seq;
    world.sell(SHOP, "7", "DUO", 1);
    let subjects = [Subject::Sku(sku("A")), Subject::Sku(sku("DUO")), Subject::Order(key(SHOP, "7"))];
    for subject in subjects {
        let told = story(&world, subject.clone());
        let events: Vec<&Fact> = told.events().expect("it is known").map(|event| &event.fact).collect();
        let oversold = events.iter().find_map(|fact| match fact {
            Fact::Oversold { sku, units, class, late, .. } => {
                Some((sku.clone(), units.units(), *class, late.clone()))
            }
            _ => None,
        });
        let (missing, units, class, late) = oversold.unwrap_or_else(|| panic!("{subject:?}: {events:#?}"));
        assert_eq!((missing, units, class), (sku("A"), 2, Class::Sync), "{subject:?}");
        let late = late.unwrap_or_else(|| panic!("{subject:?}: a change was under way"));
        assert_eq!((late.sku, late.seq, late.quantity), (sku("DUO"), commit, q(0)), "{subject:?}");
        let came =
            |wanted| events.iter().any(|fact| matches!(fact, Fact::Came { order, .. } if *order == wanted));
        assert!(came(key(SHOP, "7")), "{subject:?}");
        assert_eq!(came(key(AMZ, "1")), subject == Subject::Sku(sku("A")), "{subject:?}");
    }
}

#[test]
fn the_story_of_an_order_ends_when_what_it_caused_is_seen_everywhere() {
    let mut world = World::open(&[("A", 9), ("B", 9)]);
    world.sell(SHOP, "1", "A", 2);
    world.sell(SHOP, "2", "B", 1);
    world.quiesce();
    world.sell(SHOP, "3", "A", 1);
    world.quiesce();
    let told = story(&world, Subject::Order(key(SHOP, "1")));
    let events: Vec<&Fact> = told.events().expect("it is known").map(|event| &event.fact).collect();
    let seen: Vec<_> = events
        .iter()
        .filter_map(|fact| match fact {
            Fact::Seen { channel, quantity, .. } => Some((channel.as_str().to_owned(), quantity.units())),
            _ => None,
        })
        .collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|(_, quantity)| *quantity == 7), "{seen:?}");
    let booked = events.iter().filter(|fact| matches!(fact, Fact::Booked(_))).count();
    assert_eq!(booked, 1);
    assert!(matches!(events[0], Fact::Came { pushed: true, .. }));
}

#[test]
fn a_story_tells_several_listings_of_a_sku_on_a_channel_apart() {
    let mut world = World::open(&[("A", 9)]);
    let item = CatalogueItem {
        ids: ids(&[(IdKind::Sku, "A"), (IdKind::InventoryItem, "i-A2")]),
        title: None,
        by: FulfilledBy::Merchant,
        levels: None,
        unwritable: None,
    };
    let read_at = ms(world.now);
    let channel = ch(SHOP);
    world.run(Command::Catalogue { channel, read_at, items: vec![item], unread: vec![] }).expect("listed");
    world.sell(AMZ, "1", "A", 2);
    let told = story(&world, Subject::Sku(sku("A")));
    let last = told.events().expect("it is known").filter_map(|event| match &event.fact {
        Fact::Commit { legs, .. } => Some(legs),
        _ => None,
    });
    let legs = last.last().expect("a change");
    let names: Vec<_> = legs
        .iter()
        .map(|leg| {
            let (name, several) = told.name(&leg.listing);
            let name: Vec<&str> = name.iter().map(|id| id.value).collect();
            (leg.channel.as_str(), name.join(" "), several)
        })
        .collect();
    let shop = |name: &str| (SHOP, name.to_owned(), true);
    assert_eq!(names.iter().filter(|(channel, ..)| *channel == SHOP).count(), 2, "{names:?}");
    assert!([shop("i-A"), shop("i-A2")].iter().all(|one| names.contains(one)), "{names:?}");
    assert!(names.iter().all(|(channel, _, several)| (*channel == SHOP) == *several), "{names:?}");
}

/// A page of a feed is one record of the journal, with all its orders and what follows from them.
#[test]
fn the_story_of_an_order_tells_nothing_of_others_that_came_with_it() {
    let mut policies = policies();
    policies.bundles = vec![Recipe { bundle: sku("DUO"), parts: vec![Part { sku: sku("A"), units: q(2) }] }];
    let mut world = World::bare(policies);
    for channel in [ERP, SHOP, AMZ] {
        world.list(channel, &["A", "B", "C", "DUO"]);
    }
    let opening = Count { opening: true, ..world.count_of(ERP, &[("A", 9), ("B", 9), ("C", 0)]) };
    world.run(Command::Count(opening)).expect("opens");
    world.run(Command::Initialise).expect("initialises");
    world.quiesce();
    for (order, of, units) in [("1", "A", 2), ("2", "B", 1), ("3", "C", 1)] {
        world.buy(SHOP, order, of, units);
    }
    world.feed(SHOP);
    world.quiesce();
    let told = story(&world, Subject::Order(key(SHOP, "1")));
    let mut about = Vec::new();
    for event in told.events().expect("it is known") {
        match &event.fact {
            Fact::Booked(entry) => about.push(format!("booked {} {}", entry.sku, entry.quantity)),
            Fact::Commit { sku, .. } => about.push(format!("commit {sku}")),
            Fact::Seen { sku, .. } => about.push(format!("seen {sku}")),
            Fact::Oversold { sku, .. } => about.push(format!("oversold {sku}")),
            _ => {}
        }
    }
    let seen = about.iter().filter(|what| what.starts_with("seen ")).count();
    about.retain(|what| !what.starts_with("seen "));
    assert_eq!(about, ["booked A 2", "commit A", "commit DUO"], "{about:?}");
    assert_eq!(seen, 4, "A and the bundle, on both channels");
    let other = story(&world, Subject::Order(key(SHOP, "3")));
    let oversold = other.events().expect("it is known");
    assert_eq!(oversold.filter(|event| matches!(event.fact, Fact::Oversold { .. })).count(), 1);
}

/// A second correction counts on the sale that the look need not have, and so expects less than shows. So does what the look saw.
#[test]
fn what_a_look_saw_counts_where_a_second_correction_expects_less() {
    let mut world = World::open(&[("A", 12)]);
    world.now += AMZ_CAN.late_ms + 60_000;
    for of in [SHOP, AMZ] {
        world.feed(of);
        world.take(of);
    }
    world.buy(SHOP, "1", "A", 2);
    world.sell(AMZ, "2", "A", 3);
    // The lower is refused, and goes over what shows.
    world.lane(SHOP, &mut || Luck::Fine);
    world.lane(SHOP, &mut || Luck::Fine);
    // One of two equal sales is in that, and all three are of one moment.
    world.buy(SHOP, "3", "A", 2);
    world.feed(SHOP);
    world.look("A", SHOP);
    covers(&mut world);
    for _ in 0..4 {
        world.lane(SHOP, &mut || Luck::Fine);
        covers(&mut world);
    }
}
