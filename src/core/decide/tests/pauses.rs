//! Pauses of what others are made of.

use super::world::*;
use crate::{
    core::{
        Command,
        allocation::Pause,
        explain::{Fact, Story, Subject},
        record::PauseScope,
    },
    model::{
        Policies, Seq, Sku,
        policy::{Part, Recipe},
    },
};

fn parts(list: &[(&str, i64)]) -> Vec<Part> {
    list.iter().map(|(of, units)| Part { sku: sku(of), units: q(*units) }).collect()
}

fn recipe(of: &str, list: &[(&str, i64)]) -> Recipe {
    Recipe { bundle: sku(of), parts: parts(list) }
}

/// Ten of A, nine of B and eight of C; SET is one A and two B, and BOX is a SET and a C.
fn bundled() -> World {
    let bundles = vec![recipe("SET", &[("A", 1), ("B", 2)]), recipe("BOX", &[("SET", 1), ("C", 1)])];
    let policies = Policies { bundles, ..policies() };
    let mut world = World::open_with(policies, &[("A", 10), ("B", 9), ("C", 8)]);
    for channel in [SHOP, AMZ] {
        world.list(channel, &["SET", "BOX"]);
    }
    world.quiesce();
    shows(&world, [10, 9, 8, 4, 4]);
    world
}

#[track_caller]
fn shows(world: &World, want: [i64; 5]) {
    for channel in [SHOP, AMZ] {
        assert_eq!(["A", "B", "C", "SET", "BOX"].map(|of| world.shows(of, channel)), want, "{channel}");
    }
}

fn say(world: &mut World, of: &str, pause: Option<Pause>) {
    world.run(Command::Pause { scope: PauseScope::Sku(sku(of)), pause }).expect("said");
}

const STOPPED: Option<Pause> = Some(Pause::Stopped);
const FROZEN: Option<Pause> = Some(Pause::Frozen);

#[test]
fn what_is_made_of_something_stopped_shows_none_until_that_goes_on() {
    let rows = [("A", [0, 9, 8, 0, 0]), ("C", [10, 9, 0, 4, 0]), ("SET", [10, 9, 8, 0, 0])];
    for (of, want) in rows {
        let mut world = bundled();
        say(&mut world, of, STOPPED);
        // Nothing is waited for.
        world.lane(SHOP, &mut || Luck::Fine);
        assert_eq!(world.shows("BOX", SHOP), 0, "{of}");
        world.quiesce();
        shows(&world, want);
        world.index_is_true();
        world.restart();
        world.quiesce();
        shows(&world, want);
        say(&mut world, of, None);
        world.quiesce();
        shows(&world, [10, 9, 8, 4, 4]);
    }
}

#[test]
fn what_is_made_of_two_things_stopped_goes_on_with_the_last_of_them() {
    let mut world = bundled();
    say(&mut world, "A", STOPPED);
    say(&mut world, "B", STOPPED);
    say(&mut world, "A", None);
    world.quiesce();
    shows(&world, [10, 0, 8, 0, 0]);
    assert_eq!(world.state.stopped_part(&sku("BOX")), Some(&sku("B")));
    say(&mut world, "B", None);
    world.quiesce();
    shows(&world, [10, 9, 8, 4, 4]);
    assert_eq!(world.state.stopped_part(&sku("BOX")), None);
}

#[test]
fn what_is_made_of_something_frozen_goes_on_with_the_stock_of_it() {
    let mut world = bundled();
    say(&mut world, "A", FROZEN);
    world.quiesce();
    shows(&world, [10, 9, 8, 4, 4]);
    world.sell(AMZ, "1", "A", 8);
    world.quiesce();
    assert_eq!(["A", "SET", "BOX"].map(|of| world.shows(of, SHOP)), [10, 2, 2]);
    say(&mut world, "A", None);
    world.quiesce();
    shows(&world, [2, 9, 8, 2, 2]);
}

#[test]
fn a_bundle_that_is_frozen_itself_is_left_as_it_is() {
    let mut world = bundled();
    say(&mut world, "SET", FROZEN);
    say(&mut world, "A", STOPPED);
    world.quiesce();
    shows(&world, [0, 9, 8, 4, 0]);
    say(&mut world, "SET", None);
    world.quiesce();
    shows(&world, [0, 9, 8, 0, 0]);
}

#[test]
fn a_recipe_that_takes_in_something_stopped_ends_the_sale_of_the_bundle_and_one_without_it_begins_it() {
    let mut world = bundled();
    say(&mut world, "C", STOPPED);
    world.quiesce();
    let rows = |list: &[(&str, i64)]| Command::Recipes { rows: vec![(sku("SET"), parts(list))] };
    world.run(rows(&[("A", 1), ("C", 1)])).expect("taken in");
    world.quiesce();
    shows(&world, [10, 9, 0, 0, 0]);
    world.run(rows(&[("A", 2)])).expect("taken in");
    world.quiesce();
    shows(&world, [10, 9, 0, 5, 0]);
}

#[test]
fn a_component_that_became_part_of_something_stopped_is_stopped_with_it() {
    let mut world = bundled();
    say(&mut world, "C", STOPPED);
    world.run(Command::Merge { from: sku("A"), into: sku("C") }).expect("merged");
    world.quiesce();
    shows(&world, [0, 9, 0, 0, 0]);
    say(&mut world, "A", None);
    world.quiesce();
    shows(&world, [18, 9, 18, 4, 4]);
}

#[test]
fn what_a_pause_does_to_what_is_made_of_it_is_said() {
    let mut world = bundled();
    let told = |world: &World, of: &str, pause| world.state.pause_of_bundles(&sku(of), pause);
    assert_eq!(told(&world, "BOX", STOPPED), None);
    assert_eq!(told(&world, "A", STOPPED).as_deref(), Some("so is what is made of it: `BOX`, `SET`"));
    assert_eq!(told(&world, "C", FROZEN).as_deref(), Some("what is made of it is not frozen: `BOX`"));
    say(&mut world, "SET", FROZEN);
    let frozen = "so is what is made of it: `BOX`; frozen itself, and left as it is: `SET`";
    assert_eq!(told(&world, "A", STOPPED).as_deref(), Some(frozen));
    say(&mut world, "SET", None);
    say(&mut world, "C", STOPPED);
    let still = "so does what is made of it: `SET`; paused itself or by something else in it, and left as it is: `BOX`";
    assert_eq!(told(&world, "A", None).as_deref(), Some(still));
}

#[test]
fn the_story_of_a_bundle_tells_that_something_in_it_was_stopped() {
    let mut world = bundled();
    say(&mut world, "B", FROZEN);
    say(&mut world, "A", STOPPED);
    say(&mut world, "A", None);
    let mut story = Story::of(Subject::Sku(sku("BOX")));
    for (seq, envelope) in (1..).map(Seq).zip(&world.journal) {
        story.add(seq, envelope);
    }
    let pause = |fact: &Fact| {
        let Fact::Paused { scope: PauseScope::Sku(of), pause } = fact else { return None };
        Some((of.clone(), *pause))
    };
    let told: Vec<(Sku, Option<Pause>)> =
        story.events().expect("it is known").filter_map(|event| pause(&event.fact)).collect();
    assert_eq!(told, [(sku("A"), STOPPED), (sku("A"), None)]);
}
