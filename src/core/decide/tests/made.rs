//! Bundles, order lines on several locations, merged SKUs, and listings that are given to another SKU.

use super::world::{AMZ, ERP, Luck, SHOP, WH, World, ch, ids, key, ms, placed, policies, q, sku, totals, wh};
use crate::{
    core::{
        Command, Refused, Reply,
        allocation::Pause,
        command::Count,
        decide::{catalogue::clashing, recipes::judge, trial::try_out},
        exposure::{self, Tally},
        intent::ask::{Ask, Row, What},
        ledger::Kind,
        record::PauseScope,
        state::ListingRef,
    },
    model::{
        CatalogueItem, CountLine, FulfilledBy, IdKind, Identifiers, Levels, LocationId, Measure, Observed,
        OrderSnapshot, Policies,
        policy::{MappingRow, Override, Part, Recipe},
    },
};

const STORE: &str = "store";
const FBA: &str = "fba";

fn at(name: &str) -> LocationId {
    LocationId::new(name).expect("a good name")
}

fn parts(list: &[(&str, i64)]) -> Vec<Part> {
    list.iter().map(|(of, units)| Part { sku: sku(of), units: q(*units) }).collect()
}

fn recipe(of: &str, list: &[(&str, i64)]) -> Recipe {
    Recipe { bundle: sku(of), parts: parts(list) }
}

/// Ten of A and nine of B; SET is one A and two B, and is listed on the shop and on Amazon.
fn bundled() -> World {
    let bundles = vec![recipe("SET", &[("A", 1), ("B", 2)])];
    let mut world = World::open_with(Policies { bundles, ..policies() }, &[("A", 10), ("B", 9)]);
    world.list(SHOP, &["SET"]);
    world.list(AMZ, &["SET"]);
    world.quiesce();
    world
}

#[track_caller]
fn shows(world: &World, want: [i64; 3]) {
    for channel in [SHOP, AMZ] {
        assert_eq!(["A", "B", "SET"].map(|of| world.shows(of, channel)), want, "{channel}");
    }
}

#[test]
fn a_bundle_shows_what_its_scarcest_component_makes_and_its_sale_moves_them() {
    let mut world = bundled();
    shows(&world, [10, 9, 4]);
    world.sell(SHOP, "1", "SET", 2);
    world.quiesce();
    shows(&world, [8, 5, 2]);
    assert_eq!((world.stock("A"), world.stock("B"), world.stock("SET")), ([10, 2, 0], [9, 4, 0], [0, 0, 0]));
    world.change(SHOP, "1", [2, 0, 0, 2, 1], 1);
    world.push(SHOP, "1");
    world.quiesce();
    assert_eq!((world.stock("A"), world.stock("B")), ([9, 0, 0], [7, 0, 0]));
    shows(&world, [9, 7, 3]);
}

#[test]
fn a_component_that_is_sold_lowers_the_bundle_and_the_other_way_round() {
    let mut world = bundled();
    world.sell(AMZ, "1", "B", 6);
    world.quiesce();
    shows(&world, [10, 3, 1]);
    world.sell(SHOP, "2", "SET", 1);
    world.quiesce();
    shows(&world, [9, 1, 0]);
}

#[test]
fn two_lines_that_share_a_component_are_booked_together() {
    let mut world = bundled();
    let items = [("SET", 1), ("B", 3), ("SET", 1)].map(|(of, n)| (World::ids_of(SHOP, of), [n, 0, 0, 0, 0]));
    for (of, units) in [("SET", 2), ("B", 3)] {
        let shown = world.shows(of, SHOP);
        world.set_shown(of, SHOP, shown - units);
    }
    let order = placed("1", world.now, &items);
    world.market(SHOP).place(order.clone());
    world.push_snapshot(SHOP, order);
    assert_eq!((world.stock("A"), world.stock("B")), ([10, 2, 0], [9, 7, 0]));
    world.quiesce();
    shows(&world, [8, 2, 1]);
}

#[test]
fn a_recipe_that_changes_after_the_sale_does_not_change_what_was_sold() {
    let mut world = bundled();
    world.sell(SHOP, "1", "SET", 1);
    let rows = vec![(sku("SET"), parts(&[("A", 3)]))];
    world.run(Command::Recipes { rows }).expect("taken in");
    world.change(SHOP, "1", [1, 0, 0, 1, 0], 0);
    world.push(SHOP, "1");
    assert_eq!((world.stock("A"), world.stock("B")), ([9, 0, 0], [7, 0, 0]));
    world.quiesce();
    shows(&world, [9, 7, 3]);
    // What was imported ends, and the configured recipe counts again.
    world.run(Command::Recipes { rows: vec![(sku("SET"), Vec::new())] }).expect("taken in");
    world.quiesce();
    shows(&world, [9, 7, 3]);
    world.sell(SHOP, "2", "SET", 1);
    assert_eq!((world.stock("A"), world.stock("B")), ([9, 1, 0], [7, 2, 0]));
}

#[test]
fn what_is_kept_back_of_a_component_is_kept_back_of_the_bundle() {
    let only = Override {
        sku: sku("A"),
        channel: None,
        safety_stock: Some(q(8)),
        buffer: None,
        min: None,
        max: None,
    };
    let bundles = vec![recipe("SET", &[("A", 1), ("B", 2)])];
    let policies = Policies { bundles, overrides: vec![only], ..policies() };
    let mut world = World::open_with(policies, &[("A", 10), ("B", 9)]);
    world.list(SHOP, &["SET"]);
    world.quiesce();
    assert_eq!(["A", "B", "SET"].map(|of| world.shows(of, SHOP)), [2, 9, 2]);
}

#[test]
fn an_erp_is_told_of_the_components_and_its_count_of_them_replays_the_sale() {
    let mut world = bundled();
    world.sell(SHOP, "1", "SET", 2);
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    // Counted before it was told: the shipped units are on its shelf still.
    let count = world.count_of(ERP, &[("A", 10), ("B", 9)]);
    world.run(Command::Count(count)).expect("taken in");
    assert_eq!((world.stock("A"), world.stock("B")), ([8, 0, 0], [5, 0, 0]));
    let posting = world.postings().remove(0);
    let told: Vec<_> = posting.lines.iter().map(|line| line.target).collect();
    assert_eq!(told, [totals([2, 0, 0, 2, 0]), totals([4, 0, 0, 4, 0])]);
    world.posted(&posting, crate::model::Outcome::Applied);
    let count = world.count_of(ERP, &[("A", 8), ("B", 5)]);
    world.run(Command::Count(count)).expect("taken in");
    assert_eq!((world.stock("A"), world.stock("B")), ([8, 0, 0], [5, 0, 0]));
}

#[test]
fn recipes_that_make_no_sense_are_refused_whole() {
    let mut world = bundled();
    let mut import = |rows: &[(&str, &[(&str, i64)])]| {
        let rows = rows.iter().map(|(of, list)| (sku(of), parts(list))).collect();
        world.run(Command::Recipes { rows })
    };
    let good: (&str, &[(&str, i64)]) = ("DUO", &[("A", 2)]);
    assert!(
        matches!(import(&[good, ("X", &[("NONE", 1)])]), Err(Refused::Unknown(why)) if why.contains("NONE"))
    );
    assert!(
        matches!(import(&[good, ("A", &[("SET", 1)])]), Err(Refused::Wrong(why)) if why.contains("itself"))
    );
    assert!(matches!(import(&[("B", &[])]), Err(Refused::Unknown(_))));
    assert!(import(&[good]).is_ok());
    assert_eq!(world.state.made_of(&sku("DUO")), Ok(parts(&[("A", 2)])));
}

#[test]
fn every_problem_of_recipes_is_told_with_its_line() {
    let world = bundled();
    let rows = [("X", parts(&[("NONE", 1), ("NOT", 1)])), ("A", parts(&[("SET", 1)])), ("B", Vec::new())];
    let rows = rows.map(|(of, parts)| (sku(of), parts));
    let Err(Refused::Wrong(told)) = judge(&world.state, &rows, &[Some(2), Some(4), Some(5)], true) else {
        panic!("they make no sense")
    };
    let begins = [
        "line 2: there is no SKU `NONE`",
        "line 2: there is no SKU `NOT`",
        "line 4: ",
        "line 5: there is no",
    ];
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), begins.len(), "{told}");
    assert!(lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{told}");
}

#[test]
fn a_bundle_that_was_never_anything_else_is_no_thing_once_its_recipe_is_gone() {
    let mut world = bundled();
    let mut say =
        |parts: Vec<Part>| world.run(Command::Recipes { rows: vec![(sku("GHOST"), parts)] }).is_ok();
    assert!(say(parts(&[("A", 1)])));
    assert!(say(Vec::new()));
    assert!(world.state.skus.contains_key(&sku("GHOST")), "records stay");
    assert!(!world.state.is_thing(&sku("GHOST")) && world.state.is_thing(&sku("A")));
}

#[test]
fn a_mapping_row_is_taken_out_and_what_was_bound_stays_bound() {
    let mut world = bundled();
    let ids = Identifiers::new([(IdKind::Asin, "B0XYZ12345")]).expect("good");
    let row = MappingRow { sku: sku("A"), channel: ch(AMZ), ids: ids.clone() };
    let remove = |world: &mut World| world.run(Command::Unmap { channel: ch(AMZ), ids: ids.clone() });
    assert!(matches!(remove(&mut world), Err(Refused::Unknown(_))));
    world.run(Command::Map { rows: vec![row] }).expect("it is good");
    let listings = world.state.skus[&sku("A")].listings.clone();
    assert_eq!(world.state.index.mapped(&world.state, &ch(AMZ), &ids), Some(sku("A")));
    assert_eq!(remove(&mut world), Ok(Reply::Changed { changed: 1 }));
    assert_eq!(world.state.index.mapped(&world.state, &ch(AMZ), &ids), None);
    assert!(world.state.table.is_empty());
    assert_eq!(world.state.skus[&sku("A")].listings, listings);
    let bad = Identifiers::new([(IdKind::Asin, "b0"), (IdKind::Variant, "7")]).expect("texts");
    let row = MappingRow { sku: sku("A"), channel: ch(AMZ), ids: bad };
    let Err(Refused::Wrong(why)) = world.run(Command::Map { rows: vec![row] }) else { panic!("it is bad") };
    assert!(why.contains("ten characters") && why.contains("`amazon` channels have none"), "{why}");
}

/// Rows of a file, from line 2 on, with a table that says `asin=B0XYZ12345` of A -> what is wrong with them.
#[track_caller]
fn check_clash(rows: &[(&str, &[(IdKind, &str)])], want: &[&str]) {
    let mut world = bundled();
    let row = |(of, ids): &(&str, &[(IdKind, &str)])| {
        let ids = Identifiers::new(ids.iter().copied()).expect("good");
        MappingRow { sku: sku(of), channel: ch(AMZ), ids }
    };
    let held = row(&("A", &[(IdKind::Asin, "B0XYZ12345")]));
    world.run(Command::Map { rows: vec![held] }).expect("it is good");
    let rows: Vec<MappingRow> = rows.iter().map(row).collect();
    let wrong = clashing(&world.state, (2..).map(Some).zip(&rows));
    assert_eq!(wrong.iter().map(ToString::to_string).collect::<Vec<_>>(), want, "{rows:?}");
}

#[test]
fn an_identifier_that_means_one_sku_is_not_taken_for_another() {
    let (asin, code) = ((IdKind::Asin, "B0XYZ12345"), (IdKind::Sku, "ODD"));
    let other = (IdKind::Sku, "EVEN");
    let table = "`asin` `B0XYZ12345` means SKU `A` on `amz` already; `evenkeel map remove amz asin=B0XYZ12345` takes that row out";
    // What names just the same takes the place of the row, and says so.
    check_clash(&[("B", &[asin])], &[]);
    check_clash(&[("B", &[asin, code])], &[&format!("line 2: {table}")]);
    check_clash(&[("A", &[asin, code]), ("A", &[asin])], &[]);
    check_clash(&[("B", &[asin, code]), ("B", &[asin])], &[]);
    check_clash(
        &[("A", &[code]), ("B", &[code])],
        &["line 3: `channel_sku` `ODD` means SKU `A` on `amz` already, by line 2"],
    );
    check_clash(
        &[("B", &[asin]), ("A", &[asin, code])],
        &["line 3: `asin` `B0XYZ12345` means SKU `B` on `amz` already, by line 2"],
    );
    // Several listings may share an ASIN or a barcode: what each has of its own tells them apart.
    let shared = (IdKind::Barcode, "4006381333931");
    check_clash(&[("A", &[shared, code]), ("B", &[shared, other])], &[]);
    check_clash(
        &[("A", &[shared, code]), ("A", &[shared, other]), ("B", &[shared])],
        &["line 4: `barcode` `4006381333931` means SKU `A` on `amz` already, by line 2"],
    );
}

// ---- locations ------------------------------------------------------------------------------------------------------

/// A warehouse with ten, a store with four; the shop draws on both, Amazon on the warehouse alone.
fn two_places() -> World {
    let mut policies = policies();
    policies.locations = vec![wh(), at(STORE), at(FBA)];
    policies.channels.get_mut(&ch(SHOP)).expect("configured").locations = vec![wh(), at(STORE)];
    policies.channels.get_mut(&ch(AMZ)).expect("configured").own_location = Some(at(FBA));
    let mut world = World::open_with(policies, &[("A", 10)]);
    count_at(&mut world, STORE, 4);
    world.quiesce();
    world
}

fn count_at(world: &mut World, place: &str, units: i64) {
    let ids = World::ids_of(ERP, "A");
    let line = CountLine { ids, location: at(place), quantity: q(units) };
    let count = Count {
        counter: ch(ERP),
        measure: Measure::OnHand,
        as_of: ms(world.now),
        begun: world.state.seq,
        lines: vec![line],
        opening: true,
        absent: Vec::new(),
        set: Default::default(),
    };
    world.run(Command::Count(count)).expect("taken in");
}

/// `on_hand committed reserved` of A at a place.
fn stock_at(world: &World, place: &str) -> [i64; 3] {
    let place = world.state.skus[&sku("A")].place(&at(place));
    let stock = place.map(|place| place.stock).unwrap_or_default();
    [stock.on_hand, stock.committed, stock.reserved].map(|q| q.units())
}

/// The order as a fetch tells it, with what of its line lies in the store.
fn fetch(world: &mut World, mut order: OrderSnapshot, units: [i64; 5], store: [i64; 5]) {
    world.now += 1_000;
    order.version = ms(world.now);
    order.lines[0].totals = totals(units);
    order.lines[0].places = vec![(at(STORE), totals(store))];
    let begun = world.state.seq;
    let orders = Command::Orders { channel: ch(SHOP), begun, orders: vec![order] };
    world.run(orders).expect("taken in");
}

#[test]
fn a_listing_shows_the_sum_of_the_places_that_it_draws_on() {
    let world = two_places();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (14, 10));
}

#[test]
fn a_line_that_moves_to_another_place_takes_its_units_along() {
    let mut world = two_places();
    world.sell(SHOP, "1", "A", 3);
    assert_eq!((stock_at(&world, WH), stock_at(&world, STORE)), ([10, 3, 0], [4, 0, 0]));
    let order = world.market(SHOP).orders[&key(SHOP, "1").order].clone();
    fetch(&mut world, order.clone(), [3, 0, 0, 0, 0], [2, 0, 0, 0, 0]);
    assert_eq!((stock_at(&world, WH), stock_at(&world, STORE)), ([10, 1, 0], [4, 2, 0]));
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (11, 9));
    // One is shipped from the store, the other one goes back to the warehouse.
    fetch(&mut world, order.clone(), [3, 0, 0, 1, 0], [1, 0, 0, 1, 0]);
    assert_eq!((stock_at(&world, WH), stock_at(&world, STORE)), ([10, 2, 0], [3, 0, 0]));
    // A push does not say where, and takes nothing back of it.
    let mut pushed = order.clone();
    pushed.version = ms(world.now + 1);
    pushed.lines[0].totals = totals([3, 1, 0, 1, 0]);
    world.now += 10;
    world.push_snapshot(SHOP, pushed);
    assert_eq!((stock_at(&world, WH), stock_at(&world, STORE)), ([10, 1, 0], [3, 0, 0]));
    fetch(&mut world, order, [3, 1, 0, 2, 1], [1, 0, 0, 1, 1]);
    assert_eq!((stock_at(&world, WH), stock_at(&world, STORE)), ([9, 0, 0], [4, 0, 0]));
}

#[test]
fn what_the_channel_ships_is_booked_in_its_own_warehouse_and_shown_nowhere() {
    let mut world = two_places();
    count_at(&mut world, FBA, 50);
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (14, 10));
    let mut order = placed("1", world.now, &[(World::ids_of(AMZ, "A"), [5, 0, 0, 5, 0])]);
    order.lines[0].by = FulfilledBy::Channel;
    world.push_snapshot(AMZ, order);
    assert_eq!((stock_at(&world, WH), stock_at(&world, FBA)), ([10, 0, 0], [45, 0, 0]));
    world.quiesce();
    assert_eq!((world.shows("A", SHOP), world.shows("A", AMZ)), (14, 10));
    assert!(world.postings().is_empty(), "an ERP is not told of what does not lie in its warehouse");
}

// ---- corrections ----------------------------------------------------------------------------------------------------

fn merge(world: &mut World, from: &str, into: &str) -> Result<crate::core::Reply, Refused> {
    world.run(Command::Merge { from: sku(from), into: sku(into) })
}

#[test]
fn a_merged_sku_takes_its_stock_its_promises_and_its_listings_along() {
    let mut world = World::open(&[("A", 10), ("B", 4)]);
    world.sell(SHOP, "1", "B", 3);
    world.quiesce();
    merge(&mut world, "B", "A").expect("taken in");
    assert_eq!((world.stock("A"), world.stock("B")), ([14, 3, 0], [0, 0, 0]));
    world.quiesce();
    for of in ["A", "B"] {
        assert_eq!([world.shows(of, SHOP), world.shows(of, AMZ)], [11, 11], "{of}");
    }
    // What was sold under the old name goes on under it, and is booked on the other.
    world.change(SHOP, "1", [3, 1, 0, 2, 0], 1);
    world.push(SHOP, "1");
    world.sell(AMZ, "2", "B", 4);
    world.quiesce();
    assert_eq!((world.stock("A"), world.stock("B")), ([12, 4, 0], [0, 0, 0]));
    for of in ["A", "B"] {
        assert_eq!([world.shows(of, SHOP), world.shows(of, AMZ)], [8, 8], "{of}");
    }
    world.index_is_true();
}

#[test]
fn a_count_of_a_merged_sku_waits_until_all_its_codes_are_told() {
    let mut world = World::open(&[("A", 10), ("B", 4)]);
    merge(&mut world, "B", "A").expect("taken in");
    let part = world.count_of(ERP, &[("A", 9)]);
    let told = world.run(Command::Count(part)).expect("taken in");
    assert!(matches!(told, crate::core::Reply::Counted { changed: 0, deferred: 1, .. }), "{told:?}");
    let whole = world.count_of(ERP, &[("A", 9), ("B", 4)]);
    world.run(Command::Count(whole)).expect("taken in");
    assert_eq!(world.stock("A"), [13, 0, 0]);
}

#[test]
fn a_count_of_a_merged_sku_waits_for_no_code_that_was_given_to_another() {
    let mut world = World::open(&[("A", 10), ("B", 4), ("C", 2)]);
    merge(&mut world, "B", "A").expect("taken in");
    rebind(&mut world, ERP, "A", "C").expect("it is the other's");
    world.quiesce();
    let count = world.count_of(ERP, &[("B", 5)]);
    let told = world.run(Command::Count(count)).expect("taken in");
    assert!(matches!(told, crate::core::Reply::Counted { changed: 1, deferred: 0, .. }), "{told:?}");
    assert_eq!((world.stock("A"), world.stock("C")), ([5, 0, 0], [2, 0, 0]));
    let both = world.count_of(ERP, &[("A", 3), ("C", 2)]);
    world.run(Command::Count(both)).expect("taken in");
    assert_eq!((world.stock("A"), world.stock("C")), ([5, 0, 0], [5, 0, 0]));
}

#[test]
fn an_unknown_name_becomes_another_name_of_a_sku() {
    let mut world = World::open(&[("A", 10)]);
    world.list(SHOP, &["OLD"]);
    assert_eq!(world.state.unmatched.len(), 1);
    merge(&mut world, "OLD", "A").expect("taken in");
    assert_eq!(world.state.unmatched.len(), 0);
    world.quiesce();
    assert_eq!(world.shows("OLD", SHOP), 10);
    world.sell(SHOP, "1", "OLD", 1);
    assert_eq!(world.stock("A"), [10, 1, 0]);
}

#[test]
fn a_sku_with_stock_of_its_own_becomes_a_bundle_only_if_that_stock_is_to_be_set_aside() {
    let mut world = World::open(&[("A", 10), ("B", 9)]);
    world.list(SHOP, &["NEW"]);
    let rows = [(sku("NEW"), parts(&[("B", 1)])), (sku("A"), parts(&[("B", 2)]))];
    let lines = [Some(2), Some(3)];
    let told = judge(&world.state, &rows, &lines, false).expect_err("A has stock").to_string();
    assert!(told.starts_with("line 3: `A` has stock of its own (10 on hand at `wh`)"), "{told}");
    assert!(told.contains("--set-aside") && told.lines().count() == 1, "{told}");
    judge(&world.state, &rows, &lines, true).expect("a person wants that");
    world.run(Command::Recipes { rows: rows.to_vec() }).expect("taken in");
    world.quiesce();
    assert_eq!(
        (world.stock("A"), world.shows("A", SHOP)),
        ([10, 0, 0], 4),
        "it is out of sale, and in the books"
    );
    judge(&world.state, &rows, &lines, false).expect("it is a bundle already");
    world.run(Command::Recipes { rows: vec![(sku("A"), Vec::new())] }).expect("taken out");
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 10, "it is for sale again");
    let counted = world.count_of(ERP, &[("A", 0)]);
    world.run(Command::Count(counted)).expect("counted");
    judge(&world.state, &rows, &lines, false).expect("there is none any more");
}

#[test]
fn merges_that_make_no_sense_are_refused() {
    let mut world = bundled();
    for (from, into, why) in
        [("A", "NONE", "NONE"), ("A", "A", "already"), ("SET", "A", "bundle"), ("A", "SET", "bundle")]
    {
        let told = merge(&mut world, from, into).expect_err("refused").to_string();
        assert!(told.contains(why), "{told}");
    }
    merge(&mut world, "A", "B").expect("taken in");
    assert!(merge(&mut world, "B", "A").expect_err("refused").to_string().contains("merged into B"));
    assert_eq!(merge(&mut world, "A", "B"), Ok(crate::core::Reply::Duplicate));
    // The bundle's component is the other one from now on.
    world.quiesce();
    assert_eq!(world.state.made_of(&sku("SET")), Ok(parts(&[("B", 3)])));
}

fn rebind(world: &mut World, channel: &str, of: &str, to: &str) -> Result<crate::core::Reply, Refused> {
    world.run(Command::Rebind { channel: ch(channel), ids: World::ids_of(channel, of), sku: sku(to) })
}

#[test]
fn a_listing_that_is_another_skus_takes_its_open_lines_along() {
    let mut world = World::open(&[("A", 10), ("B", 7)]);
    world.sell(SHOP, "1", "A", 2);
    world.sell(SHOP, "2", "A", 1);
    world.change(SHOP, "2", [1, 0, 0, 1, 0], 0);
    world.push(SHOP, "2");
    world.sell(AMZ, "3", "A", 1);
    world.quiesce();
    assert_eq!(world.stock("A"), [9, 3, 0]);
    let shown = world.shows("A", SHOP);
    let old = world.listing("A", SHOP);
    let told = rebind(&mut world, SHOP, "A", "B").expect("taken in");
    assert_eq!(told, Reply::Changed { changed: 3 }, "the listing, and two lines");
    let new = ListingRef { sku: sku("B"), at: 3 };
    let market = world.market(SHOP);
    market.shows.remove(&old);
    market.shows.insert(new.clone(), shown);
    // What was shipped is not put back on A's shelf: a count tells. On B all of it is booked.
    assert_eq!((world.stock("A"), world.stock("B")), ([9, 1, 0], [6, 2, 0]));
    world.quiesce();
    assert_eq!((world.shows("A", AMZ), world.market(SHOP).shows[&new]), (8, 4));
    assert_eq!(world.shows("B", AMZ), 4);
    world.index_is_true();
    // The catalogue tells of it under its old text, and leaves it where a person has put it.
    world.list(SHOP, &["A"]);
    assert!(world.state.listing(&new).expect("listed").writable());
}

/// The shop's listing of A, which shows ten, is found to be N's, which was counted nowhere, or only where the shop does not draw.
#[track_caller]
fn check_uncounted(elsewhere: bool, frozen: bool) {
    let mut policies = policies();
    policies.locations = vec![wh(), at(STORE)];
    let mut world = World::open_with(policies, &[("A", 10), ("B", 7)]);
    world.list(ERP, &["N"]);
    if elsewhere {
        let line = CountLine { ids: World::ids_of(ERP, "N"), location: at(STORE), quantity: q(6) };
        let count = Count { lines: vec![line], ..world.count_of(ERP, &[]) };
        world.run(Command::Count(count)).expect("counts");
    }
    let scope = || PauseScope::Channel(ch(SHOP));
    if frozen {
        world.run(Command::Pause { scope: scope(), pause: Some(Pause::Frozen) }).expect("paused");
    }
    let asked = Command::Rebind { channel: ch(SHOP), ids: World::ids_of(SHOP, "A"), sku: sku("N") };
    let effect = try_out(&mut world.state.clone(), vec![asked], ms(world.now)).expect("decided");
    let told = &effect.channels[&ch(SHOP)];
    assert_eq!((told.lowered, told.zeroed, told.left), (1, 1, 0), "{told:?}");
    rebind(&mut world, SHOP, "A", "N").expect("taken in");
    world.set_shown("N", SHOP, 10);
    world.quiesce_but_bulks();
    if frozen {
        assert_eq!(world.shows("N", SHOP), 10);
        world.run(Command::Pause { scope: scope(), pause: None }).expect("resumed");
        world.quiesce();
    }
    assert_eq!(world.shows("N", SHOP), 0, "nobody has counted it there: {elsewhere} {frozen}");
    world.now += 1_000;
    let count = world.count_of(ERP, &[("N", 4)]);
    world.run(Command::Count(count)).expect("counts");
    world.quiesce();
    assert_eq!(world.shows("N", SHOP), 4);
    world.index_is_true();
}

#[test]
fn a_listing_that_is_a_skus_that_nobody_has_counted_shows_none() {
    check_uncounted(false, false);
    check_uncounted(true, false);
    check_uncounted(false, true);
    check_uncounted(true, true);
}

#[test]
fn a_listing_that_was_never_written_is_left_alone_where_its_new_sku_was_never_counted_either() {
    let mut world = World::open(&[("A", 10)]);
    world.list(ERP, &["M", "N"]);
    world.list(SHOP, &["M"]);
    rebind(&mut world, SHOP, "M", "N").expect("taken in");
    world.set_shown("N", SHOP, 3);
    world.quiesce_but_bulks();
    assert_eq!((world.shows("N", SHOP), world.held("N", SHOP).leg.is_none()), (3, true));
}

/// What may still be sold of a SKU, and of how many listings that is not known.
fn exposed(world: &World, of: &str) -> (i64, usize) {
    let exposed = exposure::of_sku(&world.state, &sku(of)).expect("small").expect("counted");
    (exposed.exposure.units(), exposed.unknown)
}

#[test]
fn a_listing_that_was_given_away_counts_only_where_it_is_with_all_that_may_still_land() {
    let mut world = World::open(&[("A", 10), ("B", 7)]);
    world.visible_after = 60_000;
    world.sell(SHOP, "1", "A", 4);
    world.lane(AMZ, &mut || Luck::Fine); // 6 are accepted, and 10 show
    let unsettled = world.held("A", AMZ).writes.unsettled.len();
    let before = (exposed(&world, "A").0, exposed(&world, "B").0);
    assert!(unsettled > 0 && exposed(&world, "A").1 == 0);
    let old = world.listing("A", AMZ);
    rebind(&mut world, AMZ, "A", "B").expect("taken in");
    let new = ListingRef { sku: sku("B"), at: 3 };
    let held = world.state.listing(&new).expect("listed");
    assert_eq!(held.writes.unsettled.len(), unsettled, "what may still land goes along");
    let (left, gets) = (exposed(&world, "A"), exposed(&world, "B"));
    assert_eq!((left.1, gets.1), (0, 0), "all of it is known");
    assert_eq!(left.0 + gets.0, before.0 + before.1, "nothing is lost, and nothing counts twice");
    let mut tally = Tally::default();
    tally.add(&world.state, None, 100);
    assert_eq!(tally.channels[&ch(AMZ)] + tally.channels[&ch(SHOP)], left.0 + gets.0);
    // A read that was under way by its old name says nothing of the one that was left.
    let seen = vec![(old.clone(), Observed::Seen(Levels::of(q(6))))];
    world.now += 1_000;
    let read_at = ms(world.now);
    world.run(Command::Looked { channel: ch(AMZ), read_at, seen }).expect("a look");
    assert_eq!(world.state.listing(&old).expect("its place stays").writes.base, None);
}

#[test]
fn the_brake_does_not_count_a_listing_that_was_given_away() {
    let mut world = World::open(&[("A", 10), ("B", 7), ("C", 3)]);
    let shown = |world: &World| {
        let effect = try_out(&mut world.state.clone(), Vec::new(), ms(world.now)).expect("nothing to refuse");
        effect.channels[&ch(SHOP)].listings
    };
    assert_eq!(shown(&world), 3);
    rebind(&mut world, SHOP, "A", "B").expect("taken in");
    world.quiesce();
    assert_eq!(shown(&world), 3);
}

#[test]
fn an_erp_is_told_of_a_sku_by_what_it_goes_by_there_now() {
    let mut world = World::open(&[("A", 10), ("B", 7)]);
    rebind(&mut world, ERP, "A", "B").expect("it is the other's");
    let again =
        CatalogueItem { ids: ids(&[(IdKind::Sku, "A2"), (IdKind::Record, "77")]), ..World::item(ERP, "A") };
    let row = MappingRow { sku: sku("A"), channel: ch(ERP), ids: again.ids.clone() };
    world.run(Command::Map { rows: vec![row] }).expect("it is good");
    world.catalogue(ERP, vec![again.clone()]);
    world.sell(SHOP, "1", "A", 1);
    let posting = world.postings().remove(0);
    assert_eq!(posting.lines[0].ids, again.ids);
}

#[test]
fn the_limit_of_a_listing_goes_along_with_it() {
    let mut world = World::open(&[("A", 10), ("B", 41)]);
    let row = Row { line: None, what: What::Set { sku: sku("A"), channel: ch(SHOP), most: Some(q(5)) } };
    world.run(Command::Intend(Box::new(Ask { rows: vec![row], ..Ask::default() }))).expect("taken in");
    world.quiesce();
    assert_eq!(world.shows("A", SHOP), 5);
    let old = world.listing("A", SHOP);
    rebind(&mut world, SHOP, "A", "B").expect("taken in");
    let new = ListingRef { sku: sku("B"), at: 3 };
    let market = world.market(SHOP);
    market.shows.remove(&old);
    market.shows.insert(new.clone(), 5);
    world.quiesce();
    assert_eq!(world.state.listing(&new).and_then(|held| held.allotted), Some(q(5)));
    assert_eq!(world.state.listing(&old).and_then(|held| held.allotted), None);
    assert_eq!((world.market(SHOP).shows[&new], world.shows("B", SHOP)), (5, 41));
}

/// A SKU whose listings may show less and less of what is to go -> the other SKU, each way round.
#[test]
fn nothing_is_merged_or_rebound_while_an_intent_goes_by_either_sku_or_what_it_is_made_of() {
    let bundles = vec![recipe("SET", &[("A", 1), ("B", 2)])];
    let mut world = World::open_with(Policies { bundles, ..policies() }, &[("A", 10), ("B", 9), ("C", 4)]);
    world.list(SHOP, &["SET"]);
    world.quiesce();
    let row = Row { line: None, what: What::Set { sku: sku("A"), channel: ch(SHOP), most: Some(q(5)) } };
    let opened = world.run(Command::Intend(Box::new(Ask { rows: vec![row], ..Ask::default() })));
    let Ok(Reply::Intent { id, .. }) = opened else { panic!("not opened: {opened:?}") };
    let check = |told: Result<Reply, Refused>| {
        let told = told.expect_err("an intent is under way").to_string();
        assert!(told.contains(&format!("intent {id} is under way for A")), "{told}");
        assert!(told.contains(&format!("`evenkeel commits cancel {id}`")), "{told}");
    };
    check(merge(&mut world, "A", "C"));
    check(merge(&mut world, "C", "A"));
    check(merge(&mut world, "NEW", "A"));
    check(rebind(&mut world, AMZ, "A", "C"));
    check(rebind(&mut world, AMZ, "C", "A"));
    check(rebind(&mut world, AMZ, "C", "SET"));
    world.run(Command::CancelIntent { id }).expect("nothing was raised");
    for _ in 0..20 {
        world.lane(SHOP, &mut || Luck::Fine);
        world.feed(SHOP);
        world.now += 5_000;
        world.run(Command::Tick).expect("ticks");
    }
    merge(&mut world, "C", "A").expect("it has ended");
}

#[test]
fn only_a_known_listing_is_given_to_a_known_sku_and_not_while_it_is_written() {
    let mut world = World::open(&[("A", 10), ("B", 7)]);
    assert!(matches!(rebind(&mut world, SHOP, "NONE", "B"), Err(Refused::Nothing(_))));
    assert!(matches!(rebind(&mut world, SHOP, "A", "NONE"), Err(Refused::Nothing(_))));
    assert_eq!(rebind(&mut world, SHOP, "A", "A"), Ok(crate::core::Reply::Duplicate));
    world.sell(AMZ, "1", "A", 1);
    assert_eq!(world.take(SHOP).puts.len(), 1);
    assert!(rebind(&mut world, SHOP, "A", "B").expect_err("refused").to_string().contains("under way"));
}

#[test]
fn an_order_sums_up_whatever_it_went_through() {
    let mut world = bundled();
    world.sell(SHOP, "1", "SET", 2);
    world.change(SHOP, "1", [2, 1, 0, 1, 0], 1);
    world.push(SHOP, "1");
    let entries = world.journal.iter().flat_map(|e| &e.records).flat_map(|r| r.entries());
    let sold: i64 = entries.filter(|e| e.kind == Kind::Ship).map(|e| e.quantity.units()).sum();
    assert_eq!(sold, 3, "one A and two B left the shelf");
    assert_eq!((world.stock("A"), world.stock("B")), ([9, 0, 0], [7, 0, 0]));
}

/// A set that has a write due becomes a bundle of the shop's own.
fn becomes_the_shops_own() -> World {
    let mut world = bundled();
    world.sell(AMZ, "1", "B", 3);
    let item = crate::model::CatalogueItem {
        unwritable: Some("a bundle: Shopify works out its quantity from the components".to_owned()),
        ..World::item(SHOP, "SET")
    };
    world.catalogue(SHOP, vec![item]);
    world
}

#[test]
fn what_was_due_for_a_set_that_is_the_shops_own_by_now_waits_for_a_person_who_gives_it_up() {
    use crate::core::{
        command::{DeadLetter, Verdict},
        leg::State,
    };
    let mut world = becomes_the_shops_own();
    let letter = DeadLetter::Leg(world.listing("SET", SHOP));
    let parked = |world: &World| matches!(world.leg("SET", SHOP).state, State::Parked { .. });
    assert!(parked(&world));
    // It would wait for ever, seen by nobody.
    let again = world.run(Command::Dead { letter: letter.clone(), verdict: Verdict::Retry });
    let Err(Refused::NotSo(why)) = again else { panic!("it cannot be written: {again:?}") };
    assert!(why.contains("a bundle: Shopify works out"), "{why}");
    assert!(parked(&world));
    world.run(Command::Dead { letter, verdict: Verdict::Discard }).expect("given up");
    // Its components are written as ever, and so is the set where it is one of ours.
    world.sell(AMZ, "2", "SET", 1);
    for channel in [SHOP, AMZ].repeat(60) {
        world.feed(channel);
        world.lane(channel, &mut || Luck::Fine);
        world.now += 1_000;
    }
    assert!(world.state.skus[&sku("SET")].commits.is_empty(), "nothing waits for it any more");
    assert_eq!(["A", "B"].map(|of| world.shows(of, SHOP)), [9, 4]);
    assert_eq!(world.shows("SET", AMZ), 2);
}

#[test]
fn what_may_be_written_again_is_taken_up_by_itself() {
    let mut world = becomes_the_shops_own();
    world.list(SHOP, &["SET"]);
    assert_eq!(world.leg("SET", SHOP).name(), "pending");
    world.quiesce();
    assert_eq!(["A", "B", "SET"].map(|of| world.shows(of, SHOP)), [10, 6, 3]);
}
