//! What a changed configuration may not take away, and what follows where it may.

use super::{
    by_hand,
    outlets::{fetch, listing, opened, opened_as, order, stock, store, two},
    world::*,
};
use crate::{
    core::{
        Command, Record,
        command::{ByHand, Count, HandLine},
        decide::stands,
        ledger::Kind,
    },
    model::{
        CatalogueItem, CountLine, Counter, IdKind, LocationId, OrderSnapshot, Outcome, Policies,
        policy::Warehouse,
    },
};

fn shop_of(policies: &mut Policies) -> &mut crate::model::policy::ChannelPolicy {
    policies.channels.get_mut(&ch(SHOP)).expect("configured")
}

/// The first of the shop's locations alone.
fn one() -> Policies {
    let mut policies = two();
    let shop = shop_of(&mut policies);
    shop.outlets.truncate(1);
    shop.locations = vec![wh()];
    policies
}

/// A change of a configuration -> why it is refused; empty: it is not.
#[track_caller]
fn check(world: &World, policies: &Policies, want: &[&str]) {
    let told: Vec<String> =
        stands::refused(&world.state, policies).into_iter().map(|stands| stands.what).collect();
    let same = told.len() == want.len() && told.iter().zip(want).all(|(told, want)| told.contains(want));
    assert!(same, "{told:#?}, not {want:#?}");
}

fn count_store(world: &mut World, units: i64, opening: bool) {
    let lines = vec![CountLine { ids: World::ids_of(ERP, "A"), location: store(), quantity: q(units) }];
    let count = Count { opening, lines, ..world.count_of(ERP, &[]) };
    world.run(Command::Count(count)).expect("counted");
}

#[test]
fn an_account_keeps_the_name_that_it_was_first_read_by() {
    let with = |name: &str, account: &str| {
        let mut policies = policies();
        let mut shop = policies.channels.remove(&ch(SHOP)).expect("configured");
        shop.account = Some(account.to_owned());
        policies.channels.insert(ch(name), shop);
        policies
    };
    let why = "`channels.shopify.main.shop` is `one`, and this is the account that was `shop`";
    let mut world = World::open_with(with(SHOP, "one"), &[("A", 10)]);
    check(&world, &with(SHOP, "one"), &[]);
    check(&world, &with("main", "one"), &[why]);
    check(&world, &with("main", "two"), &[]);
    // Also where it was taken out before.
    let mut without = policies();
    without.channels.remove(&ch(SHOP));
    check(&world, &without, &[]);
    world.run(Command::Configure(Box::new(without))).expect("configures");
    check(&world, &with("main", "one"), &[why]);
    check(&world, &with(SHOP, "one"), &[]);
}

#[test]
fn a_place_where_stock_lies_is_not_taken_away() {
    let mut world = opened();
    let mut gone = one();
    gone.locations = vec![wh()];
    gone.channels.get_mut(&ch(AMZ)).expect("configured").locations = vec![wh()];
    check(&world, &gone, &["location `store` is not there any more, and 1 SKU has stock there (4 on hand)"]);
    count_store(&mut world, 0, false);
    check(&world, &gone, &[]);
    let told = order(&world, [2, 0, 0, 0, 0], &[(store(), [2, 0, 0, 0, 0])]);
    fetch(&mut world, told);
    let at_six = "its location 6, which stands for `store`, is not there any more";
    check(&world, &gone, &["1 SKU has stock there (2 sold and not shipped)", at_six]);
}

#[test]
fn what_a_location_of_a_shop_stands_for_stays_so_while_orders_lie_there() {
    let mut world = opened();
    let mut swapped = two();
    shop_of(&mut swapped).outlets[0].locations = vec![store()];
    shop_of(&mut swapped).outlets[1].locations = vec![wh()];
    check(&world, &one(), &[]);
    check(&world, &swapped, &[]);
    let told = order(&world, [2, 0, 0, 2, 0], &[(store(), [2, 0, 0, 2, 0])]);
    fetch(&mut world, told);
    check(&world, &two(), &[]);
    check(
        &world,
        &one(),
        &[
            "its location 6, which stands for `store`, is not there any more, and orders of `shop` are booked there, such as `1`",
        ],
    );
    check(&world, &swapped, &["its location 6 stood for `store`, and is to stand for `wh`"]);
    // A channel that was taken out, and so all of its locations with it, comes back with those that it had.
    let mut without = two();
    without.channels.remove(&ch(SHOP));
    check(&world, &without, &[]);
    world.run(Command::Configure(Box::new(without))).expect("configures");
    check(&world, &swapped, &["its location 6 stood for `store`, and is to stand for `wh`"]);
    check(&world, &one(), &["its location 6, which stands for `store`, is not there any more"]);
    check(&world, &two(), &[]);
    world.run(Command::Configure(Box::new(two()))).expect("configures");
    // More places behind the first one change no order.
    let mut more = two();
    shop_of(&mut more).outlets.truncate(2);
    more.locations.push(crate::model::LocationId::new("attic").expect("a name"));
    shop_of(&mut more).outlets[1].locations.push(crate::model::LocationId::new("attic").expect("a name"));
    check(&world, &more, &[]);
}

fn calm(world: &mut World) {
    for _ in 0..40 {
        world.lane(SHOP, &mut || Luck::Fine);
        world.feed(SHOP);
        world.now += 1_000;
    }
}

#[test]
fn where_a_shop_gets_another_location_open_orders_are_read_again_before_anything_rises_there() {
    let mut world = World::open_with(one(), &[("A", 10)]);
    let sold = order(&world, [3, 0, 0, 0, 0], &[]);
    fetch(&mut world, sold.clone());
    let done = OrderSnapshot { order: key(SHOP, "2").order, ..order(&world, [1, 0, 0, 1, 0], &[]) };
    fetch(&mut world, done);
    assert_eq!(stock(&world)[0], [9, 3]);
    // Its units are to be shipped from the store, of which nothing was known.
    world.now += 10_000;
    world.run(Command::Configure(Box::new(two()))).expect("configures");
    let due = |world: &World, of: &str| world.state.orders[&key(SHOP, of)].fetch_due.is_some();
    assert!(due(&world, "1") && !due(&world, "2"), "what is shipped stays where it is");
    let told = stands::uncounted(&world.state, &two());
    assert!(told.len() == 1 && told[0].contains("at `store`, and `shop`"), "{told:?}");
    let at = |outlet: &str| World::ids_of(SHOP, "A").and(&ids(&[(IdKind::Location, outlet)]));
    world.catalogue(SHOP, vec![CatalogueItem { ids: at("6"), ..World::item(SHOP, "A") }]);
    count_store(&mut world, 4, true);
    assert_eq!(stands::uncounted(&world.state, &two()), Vec::<String>::new());
    let six = listing(&world, "6");
    world.market(SHOP).shows.insert(six.clone(), 1);
    calm(&mut world);
    assert_eq!(world.markets[&ch(SHOP)].shows[&six], 1, "three of four are sold");
    let told = OrderSnapshot {
        placed_at: sold.placed_at,
        version: sold.version,
        ..order(&world, [3, 0, 0, 0, 0], &[(store(), [3, 0, 0, 0, 0])])
    };
    fetch(&mut world, told);
    assert_eq!(stock(&world), [[9, 0], [4, 3]]);
    calm(&mut world);
    assert_eq!(world.markets[&ch(SHOP)].shows[&six], 1);
    // Nothing is read again for a change that leaves the places as they are.
    let mut other = two();
    shop_of(&mut other).buffer = q(1);
    world.run(Command::Configure(Box::new(other))).expect("configures");
    let reread = |record: &Record| matches!(record, Record::Reread { .. });
    let all = world.journal.iter().flat_map(|envelope| &envelope.records);
    assert_eq!(all.filter(|record| reread(record)).count(), 1);
}

fn called(name: &str) -> Policies {
    let instance = crate::model::Instance::new(name).expect("a name");
    Policies { instance, ..policies() }
}

#[test]
fn the_instance_stays_once_an_erp_was_told_of_orders_by_its_name() {
    let mut world = World::open(&[("A", 10)]);
    check(&world, &called("other"), &[]);
    world.sell(SHOP, "1", "A", 2);
    let open = "`instance` is `other`, and was `test` so far: order `1` of `shop` is open";
    check(&world, &called("other"), &[open]);
    check(&world, &called("test"), &[]);
    world.post_all();
    let told = "`instance` is `other`, and was `test` so far: an ERP was told of orders under that name";
    check(&world, &called("other"), &[told]);
    world.now += 1_000;
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    world.post_all();
    check(&world, &called("other"), &[told]);
    // Also once nothing but a tombstone is left of it.
    world.state.bury(&key(SHOP, "1"));
    check(&world, &called("other"), &[told]);
}

#[test]
fn the_instance_stays_while_an_erp_may_have_been_told() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    let posting = world.postings().pop().expect("one");
    world.now += 1_000;
    world.change(SHOP, "1", [2, 2, 0, 0, 0], 2);
    world.push(SHOP, "1");
    let told = "an ERP was told of orders under that name";
    check(&world, &called("other"), &[told]);
    world.posted(&posting, Outcome::Unknown { fault: "no answer".to_owned() });
    check(&world, &called("other"), &[told]);
}

#[test]
fn where_no_erp_is_told_of_orders_the_instance_may_change_once_none_is_open() {
    let mut without = policies();
    without.channels.get_mut(&ch(ERP)).expect("it").abilities.posts = false;
    let mut world = World::open_with(without.clone(), &[("A", 10)]);
    world.sell(SHOP, "1", "A", 2);
    let instance = called("other").instance;
    let other = Policies { instance, ..without };
    check(&world, &other, &["order `1` of `shop` is open"]);
    world.now += 1_000;
    world.change(SHOP, "1", [2, 0, 0, 2, 0], 0);
    world.push(SHOP, "1");
    check(&world, &other, &[]);
}

/// The ERP's warehouses, by their codes.
pub(super) fn erp_of(warehouses: &[(&str, LocationId)]) -> Policies {
    let mut policies = two();
    let erp = policies.channels.get_mut(&ch(ERP)).expect("configured");
    let of = |(code, location): &(&str, LocationId)| Warehouse {
        code: (*code).to_owned(),
        location: location.clone(),
    };
    erp.warehouses = warehouses.iter().map(of).collect();
    erp.locations = warehouses.iter().map(|(_, location)| location.clone()).collect();
    policies
}

#[test]
fn a_warehouse_of_an_erp_stays_what_it_is_once_anything_was_counted_or_told_there() {
    let [held, swapped] =
        [[wh(), store()], [store(), wh()]].map(|[one, other]| erp_of(&[("W", one), ("S", other)]));
    let other = erp_of(&[("V", wh()), ("S", store())]);
    let world = World::bare(held.clone());
    check(&world, &swapped, &[]);
    let mut world = opened_as(held.clone());
    let why =
        "`channels.tryton.erp`: its warehouse `W` was `wh`, and is to be `store`, and it has counted there";
    check(&world, &held, &[]);
    check(&world, &erp_of(&[("S", store()), ("W", wh())]), &[]);
    check(&world, &swapped, &[why]);
    check(&world, &other, &["`wh` was its warehouse `W`, and is to be `V`, and it has counted there"]);
    // One that is given up may go, and come again as what it was.
    let [without, other] = [&[("W", wh())][..], &[("W", wh()), ("V", store())]].map(erp_of);
    check(&world, &without, &[]);
    let mut later = opened_as(held.clone());
    later.run(Command::Configure(Box::new(without.clone()))).expect("configures");
    check(&later, &other, &["`store` was its warehouse `S`, and is to be `V`, and it has counted there"]);
    check(
        &later,
        &erp_of(&[("W", wh()), ("S", LocationId::new("out").expect("good"))]),
        &["its warehouse `S` was `store`, and is to be `out`"],
    );
    check(&later, &held, &[]);
    later.run(Command::Configure(Box::new(held.clone()))).expect("configures");
    check(&later, &swapped, &[why]);
    // Also where the ERP was taken out.
    let mut without = held;
    without.channels.remove(&ch(ERP));
    without.mapping.master = None;
    world.run(Command::Configure(Box::new(without))).expect("configures");
    check(&world, &swapped, &[why]);
    // What an older release has recorded does not say which they were.
    let world = opened();
    check(&world, &swapped, &[]);
}

#[test]
fn a_warehouse_stays_what_it_is_where_people_count_and_the_erp_was_told_of_orders() {
    let mut held = erp_of(&[("W", wh()), ("S", store())]);
    let mut swapped = erp_of(&[("W", store()), ("S", wh())]);
    for policies in [&mut held, &mut swapped] {
        policies.channels.get_mut(&ch(ERP)).expect("configured").abilities.counts = None;
    }
    let mut world = opened_as(held);
    world.sell(AMZ, "7", "A", 2);
    world.post_all();
    let row = world.state.skus.get_mut(&sku("A")).expect("it");
    for place in &mut row.stock {
        place.opened.as_mut().expect("opened").counter = Counter::Person;
    }
    row.recent.retain(|booked| booked.entry.kind != Kind::Count);
    let why = "its warehouse `W` was `wh`, and is to be `store`, and it was told of orders there, such as `7` of `amz`";
    check(&world, &swapped, &[why]);
    check(&world, &erp_of(&[("W", wh()), ("V", store())]), &[]);
    world.state.bury(&key(AMZ, "7"));
    check(&world, &swapped, &[why]);
}

/// A warehouse that people have opened, and that the ERP has counted since, whether that changed anything or not.
#[test]
fn a_warehouse_stays_what_it_is_where_people_opened_it_and_the_erp_counts() {
    let of = |place: LocationId| {
        let mut policies = erp_of(&[("W", place)]);
        policies.channels.get_mut(&ch(ERP)).expect("configured").abilities.counts = None;
        policies
    };
    let why = "its warehouse `W` was `wh`, and is to be `store`, and it has counted there";
    let check_after = |command: fn(&World) -> Command| {
        let mut world = World::bare(of(wh()));
        world.list(ERP, &["A"]);
        let hand = by_hand::by_hand(vec![by_hand::line("A", 10, world.now)]);
        by_hand::run(&mut world, ByHand { opening: true, ..hand });
        world.run(Command::Initialise).expect("initialises");
        check(&world, &of(store()), &[]);
        let mut counts = of(wh());
        counts.channels.get_mut(&ch(ERP)).expect("configured").abilities = ERP_CAN;
        world.run(Command::Configure(Box::new(counts))).expect("configures");
        check(&world, &of(store()), &[]);
        world.now += 60_000;
        let command = command(&world);
        world.run(command).expect("done");
        check(&world, &of(store()), &[why]);
    };
    check_after(|world| Command::Count(world.count_of(ERP, &[("A", 9)])));
    check_after(|world| Command::CountedThrough { channel: ch(ERP), through: ms(world.now) });
    check_after(|_| Command::Swept { channel: ch(ERP) });
}

/// The ERP counts the warehouse, and people have opened the store as well.
fn second_by_hand() -> World {
    let mut policies = erp_of(&[("W", wh())]);
    policies.channels.get_mut(&ch(ERP)).expect("configured").abilities.counts = None;
    let mut world = World::bare(policies);
    world.list(ERP, &["A"]);
    for location in [wh(), store()] {
        let hand = by_hand::by_hand(vec![HandLine { location, ..by_hand::line("A", 10, world.now) }]);
        by_hand::run(&mut world, ByHand { opening: true, ..hand });
    }
    world.run(Command::Initialise).expect("initialises");
    configure(&mut world, &[("W", wh())]);
    count_through(&mut world);
    world
}

fn configure(world: &mut World, warehouses: &[(&str, LocationId)]) {
    world.run(Command::Configure(Box::new(erp_of(warehouses)))).expect("configures");
    world.same_rows();
}

fn count_through(world: &mut World) {
    world.now += 60_000;
    world.run(Command::CountedThrough { channel: ch(ERP), through: ms(world.now) }).expect("done");
}

#[test]
fn a_mistyped_code_of_a_new_warehouse_may_be_corrected_before_the_erp_has_counted_there() {
    let right = erp_of(&[("W", wh()), ("STORE", store())]);
    let mistyped = [("W", wh()), ("STROE", store())];
    let why = "`store` was its warehouse `STROE`, and is to be `STORE`, and it has counted there";
    for left_out in [false, true] {
        let mut world = second_by_hand();
        check(&world, &erp_of(&mistyped), &[]);
        configure(&mut world, &mistyped);
        check(&world, &right, &[]);
        // What is configured again as it is has been counted no more than before.
        configure(&mut world, &mistyped);
        if left_out {
            configure(&mut world, &[("W", wh())]);
            count_through(&mut world);
        }
        check(&world, &right, &[]);
        world.run(Command::Configure(Box::new(right.clone()))).expect("configures");
        check(&world, &erp_of(&[("W", wh()), ("STROE", store())]), &[]);
        count_through(&mut world);
        let back = "`store` was its warehouse `STORE`, and is to be `STROE`, and it has counted there";
        check(&world, &erp_of(&mistyped), &[back]);
        world.same_rows();
    }
    let mut world = second_by_hand();
    configure(&mut world, &mistyped);
    count_through(&mut world);
    check(&world, &right, &[why]);
    configure(&mut world, &[("W", wh())]);
    check(&world, &right, &[why]);
    // Its first one was counted all the while.
    let swapped = erp_of(&[("V", wh())]);
    check(&world, &swapped, &["`wh` was its warehouse `W`, and is to be `V`, and it has counted there"]);
}

#[test]
fn a_new_warehouse_that_the_erp_was_told_of_orders_in_stays_what_it_is_though_it_has_not_counted_there() {
    let mut world = second_by_hand();
    configure(&mut world, &[("W", wh()), ("STROE", store())]);
    let told = order(&world, [2, 0, 0, 2, 0], &[(store(), [2, 0, 0, 2, 0])]);
    fetch(&mut world, told);
    world.post_all();
    let why = "`store` was its warehouse `STROE`, and is to be `STORE`, and it was told of orders there, such as `1` of `shop`";
    check(&world, &erp_of(&[("W", wh()), ("STORE", store())]), &[why]);
    configure(&mut world, &[("W", wh())]);
    count_through(&mut world);
    check(&world, &erp_of(&[("W", wh()), ("STORE", store())]), &[why]);
}
