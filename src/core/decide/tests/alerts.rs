//! Who is told of what, and when.

use super::world::{AMZ, ERP, SHOP, World, ch, ms, policies};
use crate::{
    core::{
        Command, Reply,
        circuit::Health,
        record::AlertKind,
        state::{Alert, AlertKey, Quarantined},
    },
    model::{
        Outcome, Policies, Seq,
        policy::{AlertPolicy, Mode},
    },
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
    let Alert { firing, waiting, about, .. } = *alert;
    world
        .run(Command::AlertSent { key: key.clone(), firing, told: (waiting, about), sent: true })
        .expect("taken in");
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

/// Counts that stop coming lower nothing and raise nothing, so nobody would notice.
#[test]
fn an_erp_that_is_not_read_any_more_is_told() {
    let mut world = World::open(&[("A", 10)]);
    let swept = Command::Swept { channel: ch(ERP) };
    world.run(swept.clone()).expect("read whole");
    let late = |world: &mut World| {
        let of_erp = |(kind, _, text): &(AlertKind, bool, String)| {
            *kind == AlertKind::FeedLate && text.contains("counts")
        };
        told(world).into_iter().filter(of_erp).collect::<Vec<_>>()
    };
    world.now += 600_000;
    assert_eq!(late(&mut world), []);
    world.now += 60_000;
    for channel in [SHOP, AMZ] {
        world.feed(channel);
    }
    let first = late(&mut world);
    let text = "its counts were last read 660 s ago; see `evenkeel status`";
    assert_eq!(first, [(AlertKind::FeedLate, true, text.to_owned())]);
    // The ERP's own clock, hours ahead, says nothing of when it was read.
    let through = ms(world.now + 36_000_000);
    world.run(Command::CountedThrough { channel: ch(ERP), through }).expect("what moved was read");
    assert!(matches!(&late(&mut world)[..], [(AlertKind::FeedLate, false, _)]));
    world.now += 660_000;
    assert!(matches!(&late(&mut world)[..], [.., (_, true, _)]));
    world.run(swept).expect("read whole");
    assert!(matches!(&late(&mut world)[..], [(AlertKind::FeedLate, false, _)]));
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
    world.run(Command::AlertSent { key, firing: true, told: (1, Seq::ZERO), sent: false }).expect("taken in");
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
            .run(Command::AlertSent { key: key.clone(), firing: false, told: (0, Seq::ZERO), sent: false })
            .expect("noted");
        world.now += 24 * 3_600_000;
        world.run(Command::Tick).expect("ticks");
    }
    assert!(!world.state.alerts.contains_key(&key), "nobody listens");
}

/// Amazon takes a lower and has not shown it: is that late, so long after the sale?
#[track_caller]
fn check_late(after_ms: i64, outcome: Outcome, want: bool) {
    let alerts =
        AlertPolicy { after_tries: 4, after_ms: 15_000, repeat_ms: 0, webhook: true, oversold_units: 1 };
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

#[test]
fn what_is_accepted_and_never_applied_is_told_in_these_words() {
    let mut world = World::open(&[("A", 10)]);
    world.sell(SHOP, "1", "A", 1);
    let say = |world: &World| {
        let alert = world.state.alerts.get(&key(AlertKind::Late, AMZ));
        alert.map(|alert| alert.text.split(" for SKU ").nth(1).unwrap_or_default().to_owned())
    };
    let put = world.take(AMZ).puts.remove(0);
    world.answer(AMZ, &put, Outcome::Accepted { submission: None });
    for _ in 0..400 {
        world.now += 5_000;
        world.feed(AMZ);
        world.look("A", AMZ);
        world.run(Command::Tick).expect("ticks");
        for put in world.take(AMZ).puts {
            world.answer(AMZ, &put, Outcome::Accepted { submission: None });
        }
        if say(&world)
            .is_some_and(|text| text.contains("and has not applied") || text.contains("not been applied"))
        {
            return;
        }
    }
    panic!("{:?}: {:?}", world.leg("A", AMZ), world.state.alerts);
}

#[test]
fn an_oversell_is_told_until_the_units_are_there() {
    let mut world = World::open(&[("A", 2)]);
    world.sell(AMZ, "1", "A", 2);
    world.sell(SHOP, "1", "A", 1);
    let first = told(&mut world);
    let text = match &first[..] {
        [(AlertKind::Oversold, true, text)] => text.clone(),
        other => panic!("{other:?}"),
    };
    for part in [
        "1 unit is sold that is not there",
        "of late 1 by order shop:1",
        "class sync",
        "`evenkeel explain A`",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert_eq!(told(&mut world), [], "once is enough");
    assert!(world.state.alerts.contains_key(&key(AlertKind::Oversold, "A")));
    // Each further unit is in the text, and people are told again when it is twice as many.
    for (order, again) in [("2", true), ("3", false), ("4", true), ("5", false)] {
        world.sell(AMZ, order, "A", 1);
        assert_eq!(!told(&mut world).is_empty(), again, "after order {order}");
    }
    let held = &world.state.alerts[&key(AlertKind::Oversold, "A")];
    assert!(held.text.starts_with("5 units"), "{}", held.text);
    let count = world.count_of(super::world::ERP, &[("A", 8)]);
    world.run(Command::Count(count)).expect("counted");
    let over = told(&mut world);
    assert!(matches!(&over[..], [(AlertKind::Oversold, false, _)]), "{over:?}");
    assert!(world.state.oversold.is_empty());
    assert_eq!(told(&mut world), []);
}

/// Since when, and by how much, a SKU is oversold.
fn oversold(world: &World, of: &str) -> Option<(crate::model::Seq, i64)> {
    world.state.oversold.get(&super::world::sku(of)).map(|last| (last.since, last.units.units()))
}

#[test]
fn what_is_oversold_again_before_a_tick_is_so_from_then_on() {
    let mut world = World::open(&[("A", 2)]);
    world.sell(SHOP, "1", "A", 3);
    let first = world.state.seq;
    assert_eq!(oversold(&world, "A"), Some((first, 1)));
    world.sell(SHOP, "2", "A", 1);
    assert_eq!(oversold(&world, "A"), Some((first, 1)), "it goes on");
    let count = world.count_of(super::world::ERP, &[("A", 6)]);
    world.run(Command::Count(count)).expect("counted");
    assert_eq!(world.available("A"), 2);
    world.sell(SHOP, "3", "A", 4);
    assert_eq!(oversold(&world, "A"), Some((world.state.seq, 2)), "it was made good meanwhile");
    world.index_is_true();
    world.run(Command::Tick).expect("ticks");
    assert!(oversold(&world, "A").is_some());
}

#[test]
fn what_a_configuration_or_a_merge_makes_good_is_over_with_the_next_tick() {
    let mut world = World::open(&[("A", 2), ("B", 9)]);
    world.sell(SHOP, "1", "A", 3);
    let (from, into) = (super::world::sku("A"), super::world::sku("B"));
    world.run(Command::Merge { from, into }).expect("merged");
    world.index_is_true();
    world.run(Command::Tick).expect("ticks");
    assert_eq!(oversold(&world, "A"), None, "B has enough of it");
    world.index_is_true();
}

/// Sells one unit too many of so many SKUs -> how many of them have an alert of their own, and the text about the others.
#[track_caller]
fn check_many(skus: usize, own: usize, others: Option<&str>) {
    let names: Vec<String> = (0..skus).map(|n| format!("S{n:02}")).collect();
    let stock: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut world = World::open(&stock);
    for (n, name) in names.iter().enumerate() {
        world.sell(SHOP, &n.to_string(), name, 2);
        world.run(Command::Tick).expect("ticks");
    }
    let firing = world.state.alerts.iter().filter(|(key, _)| key.kind == AlertKind::Oversold);
    let (rest, of_one): (Vec<_>, Vec<_>) = firing.partition(|(key, _)| key.subject == "other SKUs");
    assert_eq!(of_one.len(), own);
    let text = rest.first().map(|(_, alert)| alert.text.as_str());
    assert_eq!(text.is_some(), others.is_some(), "{text:?}");
    assert!(text.unwrap_or_default().starts_with(others.unwrap_or_default()), "{text:?}");
}

#[test]
fn many_oversold_skus_are_told_of_together() {
    check_many(3, 3, None);
    check_many(10, 10, None);
    check_many(14, 10, Some("4 more SKUs are oversold, of late S13, S12, S11, S10;"));
}

#[test]
fn how_many_missing_units_alert_is_configured() {
    for (oversold_units, want) in [(0, false), (1, true), (2, false)] {
        let mut policies = policies();
        policies.alerts.oversold_units = oversold_units;
        let mut world = World::open_with(policies, &[("A", 2)]);
        world.sell(SHOP, "1", "A", 3);
        assert_eq!(!told(&mut world).is_empty(), want, "from {oversold_units} units on");
    }
}

/// Where nothing is written no write ever probes, so a read that comes back must do.
#[test]
fn good_credentials_end_the_alert_in_shadow_mode_too() {
    for (mode, open) in [(Mode::Shadow, false), (Mode::Live, true)] {
        let mut world = World::open(&[("A", 10)]);
        world.run(Command::Configure(Box::new(Policies { mode, ..policies() }))).expect("configured");
        world.sell(AMZ, "1", "A", 2);
        let health = Health::Unauthorized("401".to_owned());
        world.run(Command::ReadFailed { channel: ch(SHOP), health, alone: None }).expect("taken in");
        let stopped = |world: &mut World| {
            world.run(Command::Tick).expect("ticks");
            let alert = world.state.alerts.get(&key(AlertKind::LaneStopped, SHOP));
            alert.is_some_and(|alert| alert.firing)
        };
        assert!(stopped(&mut world), "{mode:?}");
        world.now += 100;
        world.feed(SHOP);
        assert_eq!(stopped(&mut world), open, "{mode:?}: whether a write is to tell");
    }
}

/// Policies with or without somewhere to post alerts to.
fn posted_to(world: &mut World, webhook: bool) {
    let alerts = AlertPolicy { webhook, ..policies().alerts };
    world.run(Command::Configure(Box::new(Policies { alerts, ..policies() }))).expect("configures");
}

#[test]
fn what_fires_already_is_told_when_there_is_first_somewhere_to_tell_it() {
    let mut world = World::open(&[("A", 10)]);
    posted_to(&mut world, false);
    quarantine(&mut world, 1);
    assert_eq!(told(&mut world), []);
    posted_to(&mut world, true);
    let first = told(&mut world);
    assert!(matches!(&first[..], [(AlertKind::Quarantine, true, _)]), "{first:?}");
    assert_eq!(told(&mut world), [], "once is enough");
    // It has been told, and there is somewhere to tell it again: that is no news.
    posted_to(&mut world, false);
    posted_to(&mut world, true);
    assert_eq!(told(&mut world), []);
}
