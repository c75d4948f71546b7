//! A new epoch: the journal may be a backup, so nothing that was known of the channels holds any more.

use super::world::{AMZ, SHOP, World, ms};
use crate::core::{Command, State};

/// A world whose stock has just risen by five: a raise waits on every channel.
fn raised() -> World {
    let mut world = World::open(&[("A", 10)]);
    let count = world.count_of("erp", &[("A", 15)]);
    world.run(Command::Count(count)).expect("counted");
    world
}

#[test]
fn after_a_start_in_the_same_epoch_what_is_known_of_a_channel_stays_known() {
    let mut world = raised();
    world.feed(SHOP);
    world.now += 10_000;
    world.feed(SHOP);
    world.run(Command::Start { epoch: 1 }).expect("starts again");
    assert_eq!(world.take(SHOP).quantities(), [("A".to_owned(), 15)]);
}

#[test]
fn in_a_new_epoch_nothing_is_written_before_the_channel_is_looked_at_and_its_orders_are_read_after_that() {
    for channel in [SHOP, AMZ] {
        let mut world = raised();
        world.now += 10_000;
        world.feed(channel);
        world.run(Command::Start { epoch: 2 }).expect("starts again");
        let work = world.take(channel);
        assert_eq!(work.quantities(), [], "{channel}: nothing is known of what it shows");
        world.now += 60_000;
        world.look("A", channel);
        assert_eq!(world.take(channel).quantities(), [], "{channel}: a sale before the look may be unread");
        world.now += 60_000;
        world.feed(channel);
        world.now += 60_000;
        world.feed(channel);
        let puts = world.take(channel).puts;
        let keys: Vec<&str> = puts.iter().map(|(_, put)| put.key.as_str()).collect();
        assert_eq!(keys.len(), 1, "{channel}: {keys:?}");
        assert!(keys[0].starts_with("test-2-"), "{keys:?}");
    }
}

#[test]
fn an_epoch_is_never_used_again_even_where_the_same_backup_is_restored_twice() {
    let backup = State { epoch: 7, ..State::default() };
    let first = backup.next_epoch(ms(1_700_000_000_000));
    assert_eq!(first, 1_700_000_000);
    assert!(backup.next_epoch(ms(1_700_000_001_000)) > first);
    let ahead = State { epoch: first, ..State::default() };
    assert_eq!(ahead.next_epoch(ms(5)), first + 1, "a clock that stands wrong");
    assert_eq!(State::default().next_epoch(ms(-1)), 1);
}
