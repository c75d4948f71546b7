//! Who is told of what, and when.

use super::world::{AMZ, SHOP, World, ch, ms, policies};
use crate::{
    core::{
        Command, Reply,
        record::AlertKind,
        state::{Alert, AlertKey, Quarantined},
    },
    model::{Outcome, Policies, policy::AlertPolicy},
};

fn key(kind: AlertKind, channel: &str) -> AlertKey {
    AlertKey { kind, subject: channel.to_owned() }
}

/// Judges what holds, and returns what is to be told.
fn due(world: &mut World) -> Vec<(AlertKey, Alert)> {
    world.run(Command::Tick).expect("ticks");
    let taken = world.run(Command::TakeAlerts { limit: 10 }).expect("alerts are taken");
    let Reply::Alerts(due) = taken else { panic!("no alerts: {taken:?}") };
    due
}

/// Tells people what is due, and returns it.
fn told(world: &mut World) -> Vec<(AlertKind, bool, String)> {
    let due = due(world);
    for (key, alert) in &due {
        tell(world, key, alert);
    }
    due.into_iter().map(|(key, alert)| (key.kind, alert.firing, alert.text)).collect()
}

fn tell(world: &mut World, key: &AlertKey, alert: &Alert) {
    let (firing, waiting) = (alert.firing, alert.waiting);
    world.run(Command::AlertSent { key: key.clone(), firing, waiting, sent: true }).expect("taken in");
}

#[test]
fn what_was_added_while_an_alert_was_told_is_told_next() {
    let mut world = World::open(&[("A", 10)]);
    quarantine(&mut world, 1);
    let first = due(&mut world);
    quarantine(&mut world, 2);
    world.run(Command::Tick).expect("ticks");
    for (key, alert) in &first {
        tell(&mut world, key, alert);
    }
    let next = told(&mut world);
    assert!(matches!(&next[..], [(AlertKind::Quarantine, true, text)] if text.starts_with("2 ")), "{next:?}");
    assert_eq!(told(&mut world), []);
}

fn quarantine(world: &mut World, n: u32) {
    let id = Some(n.to_string());
    let (channel, topic, why) = (ch(SHOP), "orders/create".into(), "no JSON".into());
    let item = Quarantined { channel, topic, id, why, sha256: String::new(), at: ms(world.now) };
    world.run(Command::Quarantine(item)).expect("kept");
}

#[test]
fn an_alert_is_told_once_again_when_more_waits_and_when_it_is_over() {
    let mut world = World::open(&[("A", 10)]);
    assert_eq!(told(&mut world), []);
    quarantine(&mut world, 1);
    let first = told(&mut world);
    assert!(
        matches!(&first[..], [(AlertKind::Quarantine, true, text)] if text.starts_with("1 ")),
        "{first:?}"
    );
    assert_eq!(told(&mut world), [], "once is enough");
    quarantine(&mut world, 2);
    let more = told(&mut world);
    assert!(matches!(&more[..], [(AlertKind::Quarantine, true, text)] if text.starts_with("2 ")), "{more:?}");
    for id in world.state.quarantine.keys().copied().collect::<Vec<_>>() {
        use crate::core::command::{DeadLetter::Quarantine, Verdict::Discard};
        world.run(Command::Dead { letter: Quarantine(id), verdict: Discard }).expect("discarded");
        if !world.state.quarantine.is_empty() {
            assert_eq!(told(&mut world), [], "fewer is no news");
        }
    }
    let over = told(&mut world);
    assert!(matches!(&over[..], [(AlertKind::Quarantine, false, _)]), "{over:?}");
    assert_eq!(told(&mut world), []);
}

#[test]
fn what_is_not_told_yet_is_told_after_a_restart() {
    let mut world = World::open(&[("A", 10)]);
    quarantine(&mut world, 1);
    let before = due(&mut world);
    // The process dies between the request and its answer.
    world.run(Command::Start { epoch: 1 }).expect("starts");
    assert_eq!(due(&mut world).len(), before.len());
    // It could not be delivered: it goes again later, and only then.
    let key = key(AlertKind::Quarantine, SHOP);
    world.run(Command::AlertSent { key, firing: true, waiting: 1, sent: false }).expect("taken in");
    assert_eq!(due(&mut world).len(), 0);
    world.now += 60_000;
    assert_eq!(told(&mut world).len(), 1);
}

#[test]
fn that_something_is_over_is_not_told_for_ever() {
    let mut world = World::open(&[("A", 10)]);
    quarantine(&mut world, 1);
    told(&mut world);
    let id = *world.state.quarantine.keys().next().expect("it is there");
    let letter = crate::core::command::DeadLetter::Quarantine(id);
    let verdict = crate::core::command::Verdict::Discard;
    world.run(Command::Dead { letter, verdict }).expect("discarded");
    let over = due(&mut world);
    assert_eq!(over.len(), 1, "people are to be told");
    let key = key(AlertKind::Quarantine, SHOP);
    for _ in 0..7 {
        assert!(world.state.alerts.contains_key(&key));
        world
            .run(Command::AlertSent { key: key.clone(), firing: false, waiting: 0, sent: false })
            .expect("noted");
        world.now += 24 * 3_600_000;
        world.run(Command::Tick).expect("ticks");
    }
    assert!(!world.state.alerts.contains_key(&key), "nobody listens");
}

/// Amazon takes a lower and has not shown it: is that late, so long after the sale?
#[track_caller]
fn check_late(after_ms: i64, outcome: Outcome, want: bool) {
    let alerts = AlertPolicy { after_tries: 4, after_ms: 15_000, repeat_ms: 0, webhook: true };
    let mut world = World::open_with(Policies { alerts, ..policies() }, &[("A", 10)]);
    world.sell(SHOP, "1", "A", 1);
    let put = world.take(AMZ).puts.remove(0);
    world.answer(AMZ, &put, outcome);
    world.now += after_ms;
    let late = due(&mut world).into_iter().any(|(of, _)| of == key(AlertKind::Late, AMZ));
    assert_eq!(late, want, "after {after_ms} ms");
}

#[test]
fn a_write_is_late_only_when_it_should_have_been_seen() {
    // Amazon shows what it takes within twenty seconds.
    check_late(20_000, Outcome::Accepted { submission: None }, false);
    check_late(35_000, Outcome::Accepted { submission: None }, true);
}
