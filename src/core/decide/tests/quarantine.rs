//! What was quarantined is read again, or given up.

use super::world::{SHOP, World, ch, key, ms, placed};
use crate::{
    core::{
        Command, Record, Refused, Reply,
        state::{Note, Quarantined},
    },
    model::{OrderId, Seen, Seq},
};

fn held(topic: &str) -> (World, Seq) {
    let mut world = World::open(&[("A", 10)]);
    world.now += 60_000;
    let (channel, topic, id) = (ch(SHOP), topic.to_owned(), Some("7".to_owned()));
    let why = "unknown status".to_owned();
    let item = Quarantined { channel, topic, id, why, sha256: "ab".repeat(32), at: ms(world.now) };
    world.run(Command::Quarantine(item)).expect("kept");
    let id = *world.state.quarantine.keys().next().expect("one");
    (world, id)
}

fn replay(world: &mut World, id: Seq, units: i64, seen: Seen) -> Result<Reply, Refused> {
    let order = placed("7", world.now, &[(World::ids_of(SHOP, "A"), [units, 0, 0, 0, 0])]);
    let (orders, fetch, look) = (vec![order], Vec::new(), Vec::new());
    world.run(Command::Replay { id, orders, fetch, look, seen })
}

#[test]
fn an_order_that_can_be_read_is_booked_and_its_entry_ends_in_one_record() {
    for (topic, wanted) in [("orders/create", false), ("orders", true)] {
        let (mut world, id) = held(topic);
        let before = world.journal.len();
        replay(&mut world, id, 2, Seen::Pushed).expect("taken in");
        assert_eq!(world.journal.len(), before + 1, "all of it, or nothing");
        assert_eq!((world.stock("A"), world.state.quarantine.len()), ([10, 2, 0], 0));
        // What was read of the feed is as old as its entry, so the channel is asked for the order as it is now.
        assert_eq!(world.state.orders[&key(SHOP, "7")].fetch_due.is_some(), wanted, "{topic}");
        assert!(matches!(replay(&mut world, id, 2, Seen::Pushed), Err(Refused::Nothing(_))));
        world.same_rows();
    }
}

#[test]
fn an_order_that_was_fetched_just_now_is_not_fetched_again() {
    let (mut world, id) = held("orders");
    let begun = world.state.seq;
    replay(&mut world, id, 2, Seen::Fetched { begun }).expect("taken in");
    assert_eq!(world.state.orders[&key(SHOP, "7")].fetch_due, None);
}

#[test]
fn a_body_older_than_what_is_known_puts_nothing_back() {
    let (mut world, id) = held("orders/create");
    let old = placed("7", world.now, &[(World::ids_of(SHOP, "A"), [5, 0, 0, 0, 0])]);
    world.now += 10_000;
    let new = placed("7", world.now, &[(World::ids_of(SHOP, "A"), [5, 3, 0, 0, 0])]);
    world.push_snapshot(SHOP, new);
    assert_eq!(world.stock("A"), [10, 2, 0]);
    let (orders, fetch, look) = (vec![old], Vec::new(), Vec::new());
    world.run(Command::Replay { id, orders, fetch, look, seen: Seen::Pushed }).expect("taken in");
    assert_eq!(world.stock("A"), [10, 2, 0]);
}

#[test]
fn what_still_cannot_be_read_stays_for_the_new_reason() {
    let (mut world, id) = held("orders/create");
    let why = || "a field is missing".to_owned();
    assert_eq!(world.run(Command::Unreplayed { id, why: why() }), Ok(Reply::Done));
    assert_eq!(world.state.quarantine[&id].why, why());
    assert_eq!(world.run(Command::Unreplayed { id, why: why() }), Ok(Reply::Duplicate));
    world.same_rows();
    let refused = replay(&mut world, id, i64::MAX, Seen::Pushed);
    assert!(matches!(refused, Err(Refused::OutOfRange(_))), "{refused:?}");
    assert!(world.state.quarantine.contains_key(&id));
}

#[test]
fn who_gave_it_up_and_why_is_in_the_journal() {
    let (mut world, id) = held("order");
    let fetch = vec![OrderId::new("7").expect("an id")];
    world.run(Command::Unread { channel: ch(SHOP), orders: fetch }).expect("wanted");
    let note = Note { by: "ann (uid 0)".to_owned(), reason: "a test order".to_owned() };
    world.run(Command::Unquarantine { id, note: note.clone() }).expect("given up");
    let records = &world.journal.last().expect("a record").records;
    assert_eq!(records[0], Record::Unquarantined { id, note: Some(note) });
    assert_eq!(world.state.orders[&key(SHOP, "7")].fetch_due, None, "it need not be fetched any more");
}

#[test]
fn of_an_order_whose_places_are_known_an_old_body_only_says_that_it_is_to_be_fetched() {
    use super::outlets::{fetch, opened, order, stock, store};
    let mut world = opened();
    let told = order(&world, [3, 0, 0, 0, 0], &[(store(), [3, 0, 0, 0, 0])]);
    fetch(&mut world, told);
    let (channel, topic) = (ch(SHOP), "orders/updated".to_owned());
    let (why, at) = ("unknown status".to_owned(), ms(world.now));
    let item = Quarantined { channel, topic, id: Some("1".to_owned()), why, sha256: "ab".repeat(32), at };
    world.run(Command::Quarantine(item)).expect("kept");
    let id = *world.state.quarantine.keys().next().expect("one");
    world.now += 1_000;
    let (orders, fetch, look) = (vec![order(&world, [5, 0, 0, 2, 0], &[])], Vec::new(), Vec::new());
    world.run(Command::Replay { id, orders, fetch, look, seen: Seen::Pushed }).expect("taken in");
    assert_eq!(stock(&world), [[10, 0], [4, 3]], "nothing is booked where it does not lie");
    assert!(world.state.orders[&key(SHOP, "1")].fetch_due.is_some() && world.state.quarantine.is_empty());
}
