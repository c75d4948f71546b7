//! What a person should know of a channel: recorded when it changes, told while it stands, and obeyed.

use super::world::{AMZ, SHOP, World, ch, q};
use crate::{
    core::{
        Command, Refused, Reply,
        decide::lane::waits_for,
        record::AlertKind,
        state::{Alert, AlertKey},
    },
    model::{Notice, Seq, Timestamp},
};

fn notice(kind: &str, text: &str, stops: bool) -> Notice {
    Notice { kind: kind.to_owned(), text: text.to_owned(), stops }
}

fn tended(world: &mut World, notices: &[Notice], unsure: &[&str]) -> Seq {
    let unsure = unsure.iter().map(|kind| (*kind).to_owned()).collect();
    let tended = Command::Tended { channel: ch(SHOP), notices: notices.to_vec(), unsure };
    world.run(tended).expect("taken over");
    world.state.seq
}

/// The alerts about notices that fire, as their subjects and texts.
fn fires(world: &mut World) -> Vec<(String, String)> {
    world.run(Command::Tick).expect("ticks");
    let of = |(key, alert): (&AlertKey, &Alert)| {
        let fires = key.kind == AlertKind::Notice && alert.firing;
        fires.then(|| (key.subject.clone(), alert.text.clone()))
    };
    world.state.alerts.iter().filter_map(of).collect()
}

#[test]
fn a_notice_is_recorded_once_alerts_while_it_stands_and_ends() {
    let mut world = World::open(&[("A", 10)]);
    let version = notice("version", "`2026-10` ends on 2027-10-01", false);
    let scopes = notice("scopes", "`read_orders` is missing", false);
    let before = world.state.seq;
    assert_eq!(tended(&mut world, &[], &[]), before, "nothing new is no record");
    let first = tended(&mut world, &[version.clone(), scopes.clone()], &[]);
    assert!(first > before);
    assert_eq!(tended(&mut world, &[scopes.clone(), version.clone()], &[]), first, "in any order");
    let of = |kind: &str, text: &str| (format!("{SHOP}/{kind}"), text.to_owned());
    let both = [of("scopes", "`read_orders` is missing"), of("version", "`2026-10` ends on 2027-10-01")];
    assert_eq!(fires(&mut world), both);
    tended(&mut world, &[version], &[]);
    assert_eq!(fires(&mut world), both[1..]);
    tended(&mut world, &[], &[]);
    assert_eq!(fires(&mut world), []);
}

#[test]
fn of_what_nothing_could_be_found_out_what_was_said_stands() {
    let mut world = World::open(&[("A", 10)]);
    let webhooks = |text: &str| notice("webhooks", text, false);
    tended(&mut world, &[webhooks("two were gone"), notice("scopes", "one is missing", false)], &[]);
    tended(&mut world, &[], &["webhooks", "version"]);
    assert_eq!(fires(&mut world), [(format!("{SHOP}/webhooks"), "two were gone".to_owned())]);
    tended(&mut world, &[webhooks("one was gone")], &["webhooks"]);
    assert_eq!(fires(&mut world), [(format!("{SHOP}/webhooks"), "one was gone".to_owned())]);
}

#[test]
fn nothing_is_written_while_a_notice_says_so_and_what_waited_goes_then() {
    let mut world = World::open(&[("A", 10)]);
    world.quiesce();
    tended(&mut world, &[notice("version", "another version answers", true)], &[]);
    world.sell(AMZ, "1", "A", 6);
    let puts = |world: &mut World| {
        let take = Command::Take { channel: ch(SHOP), limit: 10, apart: 4 };
        let Reply::Work { puts, .. } = world.run(take).expect("work") else { panic!("no work") };
        puts.iter().map(|(_, put)| put.quantity).collect::<Vec<_>>()
    };
    assert_eq!(puts(&mut world), []);
    let listing = world.listing("A", SHOP);
    let why = waits_for(&world.state, &listing, Timestamp::from_millis(world.now));
    assert_eq!(why.as_deref(), Some("nothing is written there: another version answers"));
    let text = "another version answers; nothing is written there until then";
    assert_eq!(fires(&mut world), [(format!("{SHOP}/version"), text.to_owned())]);
    tended(&mut world, &[], &[]);
    assert_eq!(puts(&mut world), [q(4)]);
}

#[test]
fn notices_are_bounded_and_of_configured_channels_only() {
    let mut world = World::open(&[("A", 10)]);
    let many: Vec<Notice> =
        (0..100).map(|n| notice(&format!("{n:03}{}", "k".repeat(100)), &"t".repeat(5_000), false)).collect();
    tended(&mut world, &many, &[]);
    let held = &world.state.channels[&ch(SHOP)].notices;
    assert_eq!(held.len(), 16);
    assert!(held.iter().all(|held| held.kind.len() <= 35 && held.text.len() <= 1_003));
    let other = Command::Tended { channel: ch("other"), notices: Vec::new(), unsure: Vec::new() };
    assert_eq!(world.run(other), Err(Refused::NoChannel(ch("other"))));
}
