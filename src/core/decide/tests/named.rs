//! One of several listings of a SKU, and a SKU by a name that it had before.

use super::{
    drift::{ask as asking, with},
    intents::{ask, go, open, places, refused, stocked, store},
    outlets::{listing, opened_as, two},
    world::{AMZ, SHOP, World, ch, ids, ms, q, sku, wh},
};
use crate::{
    core::{
        Command, Refused, Reply,
        allocation::Pause,
        command::DriftAct,
        drift::Done,
        intent::ask::{Ask, Receipt, Row, What},
        record::{PauseScope, Record},
        state::{ListingRef, Todo},
    },
    model::{CatalogueItem, IdKind, Levels, Observed, Policies, Seq, policy::Recipe},
};

/// Reads what the shop shows at both of its locations, and then its orders past that.
fn read(world: &mut World, shown: [(&str, i64); 2]) {
    let seen = |(outlet, units): (&str, i64)| {
        let listing = listing(world, outlet);
        let levels = Levels { on_hand: Some(q(units)), committed: Some(q(0)), ..Levels::of(q(units)) };
        (listing, Observed::Seen(levels))
    };
    let seen: Vec<_> = shown.into_iter().map(seen).collect();
    world.now += 3_000;
    let read_at = ms(world.now);
    world.run(Command::Looked { channel: ch(SHOP), read_at, seen }).expect("a look");
    world.now += 4_000;
    world.feed(SHOP);
}

fn say(world: &mut World, of: &str, name: &[(IdKind, &str)], seq: Option<Seq>) -> Result<(), Refused> {
    let (sku, channel, listing, act) = (sku(of), ch(SHOP), ids(name), DriftAct::Accept);
    world.run(Command::Drift { sku, channel, listing, seq, act }).map(drop)
}

/// Both of the shop's locations show something that a person is asked about.
fn both_drift() -> World {
    let mut world = opened_as(Policies { drift: asking(), ..two() });
    read(&mut world, [("5", 10), ("6", 4)]);
    read(&mut world, [("5", 12), ("6", 7)]);
    world
}

fn done(world: &World, outlet: &str) -> Done {
    let held = world.state.listing(&listing(world, outlet)).expect("it is listed");
    held.drift.as_deref().expect("it has drifted").done
}

#[test]
fn one_of_two_listings_that_drift_is_named_and_the_other_stays() {
    let mut world = both_drift();
    let refused = say(&mut world, "A", &[], None).expect_err("which?").to_string();
    assert!(
        refused.contains("has 2 open drifts on `shop`; add one of: `--listing location_id=5` (record"),
        "{refused}"
    );
    assert!(
        refused.contains("`--listing location_id=6` (record") && refused.contains("shows 7 and not 4"),
        "{refused}"
    );
    assert_eq!(["5", "6"].map(|outlet| done(&world, outlet)), [Done::Asked; 2], "nothing was done");
    // The records of both may be of one position in the journal.
    let seq = world.state.listing(&listing(&world, "5")).and_then(|held| Some(held.drift.as_deref()?.seq));
    say(&mut world, "A", &[], seq).expect_err("which?");
    let none = say(&mut world, "A", &[(IdKind::Location, "7")], None).expect_err("no such").to_string();
    assert!(none.contains("goes by `location_id=7`; what is open now: `--listing location_id=5`"), "{none}");
    say(&mut world, "A", &[(IdKind::Location, "6")], None).expect("it is named");
    assert_eq!(["5", "6"].map(|outlet| done(&world, outlet)), [Done::Asked, Done::Accepted]);
    say(&mut world, "A", &[], None).expect("the one that is left");
    assert_eq!(["5", "6"].map(|outlet| done(&world, outlet)), [Done::Accepted; 2]);
    world.index_is_true();
}

#[test]
fn a_listing_is_called_by_as_little_as_tells_it_from_the_others() {
    let world = opened_as(two());
    let name = |listing: &ListingRef| world.state.listing_name(listing).to_string();
    assert_eq!(["5", "6"].map(|outlet| name(&listing(&world, outlet))), ["location_id=5", "location_id=6"]);
    assert_eq!(
        name(&world.listing("A", AMZ)),
        "channel_sku=A",
        "where it is need not be said of the only one"
    );
    // One that does not say where it is, is at the first location.
    let mut world = World::open_with(two(), &[("A", 10)]);
    world.list(SHOP, &["A"]);
    assert!(world.state.is_called(&world.listing("A", SHOP), &ids(&[(IdKind::Location, "5")])));
    assert!(!world.state.is_called(&world.listing("A", SHOP), &ids(&[(IdKind::Location, "6")])));
}

#[test]
fn what_a_listing_shows_that_was_merged_is_answered_by_any_of_its_names() {
    for name in ["A", "B"] {
        let mut world = World::open_with(with(asking()), &[("A", 10), ("B", 5)]);
        world.run(Command::Merge { from: sku("B"), into: sku("A") }).expect("merged");
        world.quiesce();
        world.read("B", [15, 15, 0]);
        world.read("B", [17, 17, 0]);
        assert_eq!(world.drift("B").done, Done::Asked);
        say(&mut world, name, &[], None).expect("it is the only one");
        assert!(!world.held("B", SHOP).drifts(), "{name}");
    }
}

#[test]
fn an_edit_that_is_accepted_of_what_was_merged_moves_the_stock_that_it_is_now() {
    for name in ["A", "B"] {
        let mut world = World::open_with(with(asking()), &[("A", 10), ("B", 5)]);
        world.run(Command::Merge { from: sku("B"), into: sku("A") }).expect("merged");
        world.quiesce();
        world.read("B", [15, 15, 0]);
        world.read("B", [12, 12, 0]);
        say(&mut world, name, &[], None).expect("it is the only one");
        assert_eq!(world.drift("B").done, Done::Accepted, "{name}");
        world.quiesce();
        assert_eq!(world.stock("A")[0], 12, "{name}");
        assert_eq!([("A", SHOP), ("B", SHOP), ("A", AMZ)].map(|(of, on)| world.shows(of, on)), [12; 3]);
    }
}

#[test]
fn a_limit_that_went_to_another_name_is_known_again_when_it_is_asked_once_more() {
    let mut world = merged();
    let stays = CatalogueItem { unwritable: Some("not stocked".to_owned()), ..World::item(SHOP, "B") };
    world.catalogue(SHOP, vec![stays]);
    let set = |of: &str| {
        let what = What::Set { sku: sku(of), channel: ch(SHOP), most: Some(q(2)) };
        let asked = Ask { request: Some("limit".to_owned()), ..ask(vec![Row { line: None, what }]) };
        Command::Intend(Box::new(asked))
    };
    let first = world.run(set("B")).expect("it is listed as A too");
    let Reply::Intent { id, again: false, .. } = first else { panic!("{first:?}") };
    let second = world.run(set("B")).expect("the same");
    assert!(matches!(second, Reply::Intent { id: same, again: true, .. } if same == id), "{second:?}");
}

#[test]
fn an_open_drift_of_another_name_is_found_by_its_record_although_this_name_has_one_too() {
    let mut world = World::open_with(with(asking()), &[("A", 10), ("B", 5)]);
    world.run(Command::Merge { from: sku("B"), into: sku("A") }).expect("merged");
    world.quiesce();
    for of in ["A", "B"] {
        world.read(of, [15, 15, 0]);
        world.read(of, [17, 17, 0]);
        assert_eq!(world.drift(of).done, Done::Asked);
    }
    let seq = world.drift("B").seq;
    let over = say(&mut world, "A", &[], Some(Seq(1))).expect_err("no such").to_string();
    assert!(over.contains("record 1 is over") && over.contains(&format!("record {seq}")), "{over}");
    say(&mut world, "A", &[], Some(seq)).expect("it is open");
    assert_eq!(["A", "B"].map(|of| world.held(of, SHOP).drifts()), [true, false]);
    world.read("B", [30, 30, 0]);
    world.read("B", [31, 31, 0]);
    say(&mut world, "A", &[(IdKind::Sku, "B")], None).expect("it goes by that");
    assert_eq!(["A", "B"].map(|of| world.held(of, SHOP).drifts()), [true, false]);
    say(&mut world, "A", &[], None).expect("its own");
}

/// Seven of A and three of B at each of two places, and B is A now.
fn merged() -> World {
    let mut world = stocked(places(&[store()]), [7, 3]);
    world.run(Command::Merge { from: sku("B"), into: sku("A") }).expect("merged");
    world.quiesce();
    world
}

fn notes(world: &World, what: What) -> Vec<String> {
    let asked = ask(vec![Row { line: None, what }]);
    crate::core::decide::intents::judge(&world.state, &asked).expect("it can be done").notes
}

#[test]
fn what_is_asked_of_an_old_name_is_done_to_the_sku_that_it_is_now() {
    let mut world = merged();
    let move_of = |of: &str| What::Move { sku: sku(of), quantity: q(12), from: wh(), to: store() };
    assert!(notes(&world, move_of("B")).contains(&"`B` is now `A`".to_owned()));
    assert!(!notes(&world, move_of("A")).contains(&"`B` is now `A`".to_owned()));
    let mut travels = ask(vec![go("B", 12)]);
    travels.travels = true;
    let id = open(&mut world, travels);
    world.quiesce();
    let at = |world: &World, of: &str| {
        let row = &world.state.skus[&sku(of)];
        [wh(), store()].map(|at| row.place(&at).map_or(0, |place| place.stock.on_hand.units()))
    };
    assert_eq!((at(&world, "A"), at(&world, "B")), ([2, 6], [0, 0]));
    let receipt = Receipt { sku: Some(sku("B")), ..Receipt::default() };
    world.run(Command::Receive { id, receipt }).expect("they have come");
    assert_eq!(at(&world, "A"), [2, 18]);
}

#[test]
fn a_limit_is_set_where_a_sku_is_listed_by_the_name_given_and_the_others_are_named() {
    let world = merged();
    let set = |of: &str| What::Set { sku: sku(of), channel: ch(SHOP), most: Some(q(2)) };
    let told = notes(&world, set("B"));
    assert!(told.contains(&"`B` is now `A`".to_owned()), "{told:?}");
    assert!(told.iter().any(|note| note.contains("`evenkeel set A shop UNITS`")), "{told:?}");
    let told = notes(&world, set("A"));
    assert!(told.iter().any(|note| note.contains("its other listing on `shop`, as `B`, stays")), "{told:?}");
    assert!(told.iter().any(|note| note.contains("`evenkeel set B shop UNITS`")), "{told:?}");
}

#[test]
fn a_bundle_is_not_moved_and_what_it_is_made_of_is_named() {
    let parts =
        [("A", 1), ("B", 2)].map(|(of, units)| crate::model::policy::Part { sku: sku(of), units: q(units) });
    let bundles = vec![Recipe { bundle: sku("SET"), parts: parts.to_vec() }];
    let mut world = stocked(Policies { bundles, ..places(&[store()]) }, [7, 3]);
    world.list(SHOP, &["SET"]);
    let said =
        "`SET` is a bundle and has no stock of its own: transfer what it is made of, 1 x `A` and 2 x `B`";
    refused(&mut world, ask(vec![go("SET", 1)]), said);
}

#[test]
fn a_pause_by_any_name_stops_all_listings_of_what_was_merged() {
    for name in ["A", "B"] {
        let mut world = merged();
        let scope = || PauseScope::Sku(sku(name));
        world.run(Command::Pause { scope: scope(), pause: Some(Pause::Stopped) }).expect("paused");
        world.quiesce();
        assert_eq!(["A", "B"].map(|of| world.shows(of, SHOP)), [0, 0], "{name}");
        world.run(Command::Pause { scope: scope(), pause: None }).expect("it goes on");
        world.quiesce();
        assert_eq!(["A", "B"].map(|of| world.shows(of, SHOP)), [14, 14], "{name}");
    }
}

fn pause(world: &mut World, name: &str, pause: Option<Pause>) {
    world.run(Command::Pause { scope: PauseScope::Sku(sku(name)), pause }).expect("said");
    world.quiesce();
}

fn shown(world: &World) -> [i64; 2] {
    ["A", "B"].map(|of| world.shows(of, SHOP))
}

#[test]
fn a_pause_from_before_a_merge_is_one_of_all_names_and_is_ended_by_any() {
    for (paused, resumed) in [("A", "A"), ("A", "B"), ("B", "A"), ("B", "B")] {
        let mut world = stocked(places(&[store()]), [7, 3]);
        pause(&mut world, paused, Some(Pause::Stopped));
        let told = world.state.pause_of_merged(&sku("B"), &sku("A")).expect("it is told before");
        assert!(told.starts_with(&format!("`{paused}` is paused (stopped)")), "{told}");
        world.run(Command::Merge { from: sku("B"), into: sku("A") }).expect("merged");
        world.quiesce();
        assert_eq!(shown(&world), [0, 0], "{paused} was stopped");
        world.restart();
        world.quiesce();
        assert_eq!(shown(&world), [0, 0], "{paused} was stopped");
        pause(&mut world, resumed, None);
        assert_eq!(shown(&world), [14, 14], "{paused}, {resumed}");
    }
}

#[test]
fn the_stricter_of_two_pauses_is_that_of_both_names() {
    let mut world = stocked(places(&[store()]), [7, 3]);
    let before = shown(&world);
    pause(&mut world, "A", Some(Pause::Frozen));
    world.run(Command::Merge { from: sku("B"), into: sku("A") }).expect("merged");
    world.quiesce();
    assert_eq!(["A", "B"].map(|of| world.state.skus[&sku(of)].pause), [Some(Pause::Frozen); 2]);
    assert_eq!(shown(&world), before, "nothing is written");
    pause(&mut world, "B", Some(Pause::Stopped));
    assert_eq!(shown(&world), [0, 0]);
}

/// Before a pause went along with a merge, it was kept by the name that it was given only.
#[test]
fn a_pause_that_one_name_only_is_under_in_an_old_journal_becomes_one_of_all() {
    for paused in ["A", "B"] {
        let mut world = merged();
        world.inject(&Record::Paused { scope: PauseScope::Sku(sku(paused)), pause: Some(Pause::Stopped) });
        world.state.recheck.skus = Todo::All;
        world.quiesce();
        assert_eq!(shown(&world), [0, 0], "{paused} was stopped");
        pause(&mut world, if paused == "A" { "B" } else { "A" }, None);
        assert_eq!(shown(&world), [14, 14]);
    }
}
