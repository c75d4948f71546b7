use proptest::prelude::*;

use super::{
    Event::{self, *},
    State::{self, *},
    *,
};

/// Every state against every event: the state that follows, or `-` where the event makes no sense.
///
/// Letters: Pending, In flight, Accepted, proBing, Looking, looking after a Stale, Retry, Confirmed, parKed, Dropped.
/// The leg wants 5 at revision 3; 5 was sent, or 7 where the row says `7`; `<` desires 4 and `>` desires 6; a retry is
/// due unless the row says `later`.
const TABLE: &str = "
state       < > sending expected applied accepted stale rejected deferred notsent unknown wanted sent other unread giveup fenced repair parked retried discarded higher ended
pending     P P I       L        -       -        -     -        -        -       -       C      -    -     -      -      -      P      K      -       -         -      -
in_flight   I I -       -        A       A        S     K        R        R       B       -      -    -     -      -      -      -      -      -       -         -      -
in_flight7  I I -       -        P       P        S     K        R        R       B       -      -    -     -      -      -      -      -      -       -         -      -
accepted    P A -       -        -       -        -     K        -        -       -       C      P    A     A      R      P      P      K      -       -         -      A
accepted7   P P -       -        -       -        -     K        -        -       -       C      P    A     A      R      P      P      K      -       -         -      A
probing     B B -       -        -       -        -     K        -        -       -       C      P    B     B      R      P      P      K      -       -         P      B
looking     P L -       -        -       -        -     K        -        -       -       C      -    L     L      R      P      P      K      -       -         -      -
stale       S S -       -        -       -        -     K        -        -       -       C      -    S     S      R      P      P      K      -       -         -      -
retry       R R I       L        -       -        -     -        -        -       -       C      -    -     -      -      -      R      K      P       -         -      -
retry_later R R -       L        -       -        -     -        -        -       -       C      -    -     -      -      -      R      K      P       -         -      -
confirmed   P P -       L        -       -        -     -        -        -       -       C      -    -     -      -      -      P      K      -       -         -      L
parked      P P -       -        -       -        -     -        -        -       -       C      -    -     -      -      -      -      K      P       D         -      -
dropped     P P -       -        -       -        -     -        -        -       -       C      -    -     -      -      -      P      K      -       -         -      -
";

const NOW: Timestamp = Timestamp::from_millis(1_000);
const LATER: Timestamp = Timestamp::from_millis(2_000);

fn sent(quantity: i64) -> Box<Sent> {
    let key = IdempotencyKey::new("k").expect("a good key");
    let compare = Some(Quantity::new(8));
    let (quantity, revision, at) = (Quantity::new(quantity), Revision(2), Timestamp::ZERO);
    Box::new(Sent { quantity, revision, compare, delta: None, key, at })
}

fn state(name: &str) -> State {
    let (look_at, looks) = (Timestamp::ZERO, 0);
    match name {
        "pending" => Pending,
        "in_flight" => InFlight(sent(5)),
        "in_flight7" => InFlight(sent(7)),
        "accepted" => State::Accepted { sent: sent(5), look_at, looks },
        "accepted7" => State::Accepted { sent: sent(7), look_at, looks },
        "probing" => Probing { sent: sent(5), look_at, looks },
        "looking" => Looking { look_at, looks, refused: None },
        "stale" => Looking { look_at, looks, refused: Some(Quantity::new(8)) },
        "retry" => Retry { at: NOW },
        "retry_later" => Retry { at: LATER },
        "confirmed" => Confirmed,
        "parked" => State::Parked { reason: "r".into(), at: Timestamp::ZERO },
        "dropped" => Dropped,
        other => panic!("no state `{other}`"),
    }
}

fn event(name: &str) -> Event {
    let (look_at, until, reason) = (LATER, LATER, "no".to_owned());
    let desired =
        |quantity| Desired { quantity: Quantity::new(quantity), revision: Revision(4), cause: Seq(9) };
    match name {
        "<" => desired(4),
        ">" => desired(6),
        "sending" => Sending(sent(5)),
        "expected" => Expected { look_at },
        "applied" => Applied { look_at },
        "accepted" => Event::Accepted { look_at },
        "stale" => Stale { look_at, explained: true },
        "rejected" => Rejected { reason },
        "deferred" => Deferred { until },
        "notsent" => NotSent { until, among: 0 },
        "unknown" => Unknown { look_at, among: 0 },
        "wanted" => SeenWanted,
        "sent" => SeenSent,
        "other" => SeenOther { look_at },
        "unread" => Unread { look_at },
        "giveup" => GiveUpLooking { until },
        "fenced" => Fenced,
        "higher" => SeenHigher,
        "repair" => Repair { cause: Seq(9) },
        "parked" => Event::Parked { reason },
        "retried" => Retried,
        "discarded" => Discarded,
        "ended" => BulkEnded { look_at },
        other => panic!("no event `{other}`"),
    }
}

fn letter(state: &State) -> &'static str {
    match state {
        Pending => "P",
        InFlight(_) => "I",
        State::Accepted { .. } => "A",
        Probing { .. } => "B",
        Looking { refused: None, .. } => "L",
        Looking { refused: Some(_), .. } => "S",
        Retry { .. } => "R",
        Confirmed => "C",
        State::Parked { .. } => "K",
        Dropped => "D",
    }
}

fn leg(state: State) -> Leg {
    Leg {
        state,
        quantity: Quantity::new(5),
        revision: Revision(3),
        tries: 2,
        since: Timestamp::ZERO,
        contended: None,
        suspect: None,
        cause: Seq(1),
        caused_at: Timestamp::ZERO,
    }
}

#[test]
fn every_state_and_event_leads_where_the_table_says() {
    let mut rows = TABLE.trim().lines();
    let events: Vec<&str> = rows.next().expect("a head").split_whitespace().skip(1).collect();
    let mut seen = 0;
    for row in rows {
        let mut cells = row.split_whitespace();
        let name = cells.next().expect("a state");
        for (event_name, want) in events.iter().zip(cells) {
            let got = step(&leg(state(name)), event(event_name), NOW);
            let letter = got.as_ref().map_or("-", |leg| letter(&leg.state));
            assert_eq!(letter, want, "{name} on {event_name}: {got:?}");
            if want == "-" {
                assert_eq!(got, Err(Illegal { state: state(name), event: event(event_name) }));
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 13 * 23, "the table has a cell for every pair");
}

/// The tries after an event in a state, of a leg that has tried twice.
#[track_caller]
fn check_tries(from: &str, on: &str, want: u32) {
    let leg = step(&leg(state(from)), event(on), NOW).expect("legal");
    assert_eq!(leg.tries, want, "{from} on {on}");
}

#[test]
fn only_failures_count_as_tries_and_only_sight_forgives_them() {
    for event in ["stale", "rejected", "notsent", "unknown"] {
        check_tries("in_flight", event, 3);
    }
    check_tries("in_flight", "deferred", 2); // throttled, or credentials refused
    check_tries("in_flight", "applied", 2); // a 200 proves nothing
    check_tries("accepted", "giveup", 3); // accepted, never applied
    check_tries("accepted", "unread", 3); // the channel fails for this listing alone
    check_tries("accepted", "other", 2);
    check_tries("accepted", "wanted", 0);
    check_tries("accepted", "sent", 0);
    check_tries("confirmed", "<", 0);
    check_tries("retry", "<", 2);
    check_tries("parked", "retried", 0);
}

/// Whether people count the leg as unconfirmed since now, rather than since it was.
#[track_caller]
fn check_since(from: &str, on: &str, anew: bool) {
    let leg = step(&leg(state(from)), event(on), NOW).expect("legal");
    assert_eq!(leg.since, if anew { NOW } else { Timestamp::ZERO }, "{from} on {on}");
}

#[test]
fn a_leg_is_late_since_it_was_last_seen_live() {
    check_since("confirmed", "<", true);
    check_since("confirmed", "expected", true); // looked at again, and shown by all that is known
    check_since("pending", "expected", false);
    check_since("accepted7", "sent", true);
    check_since("pending", "<", false);
    check_since("accepted", "giveup", false);
    check_since("parked", "<", true);
}

fn any_event() -> impl Strategy<Value = Event> {
    let names = TABLE.trim().lines().next().expect("a head").split_whitespace().skip(1);
    let names: Vec<String> = names.map(str::to_owned).collect();
    (prop::sample::select(names), 0..20_i64, 0..20_i64).prop_map(
        |(name, quantity, sent_quantity)| match event(&name) {
            Desired { .. } => {
                Desired { quantity: Quantity::new(quantity), revision: Revision(0), cause: Seq(0) }
            }
            Sending(_) => Sending(sent(sent_quantity)),
            other @ (Expected { .. }
            | Applied { .. }
            | Event::Accepted { .. }
            | Stale { .. }
            | Rejected { .. }
            | Deferred { .. }
            | NotSent { .. }
            | Unknown { .. }
            | SeenWanted
            | SeenSent
            | SeenOther { .. }
            | Unread { .. }
            | GiveUpLooking { .. }
            | Fenced
            | SeenHigher
            | Repair { .. }
            | Event::Parked { .. }
            | Retried
            | BulkEnded { .. }
            | Discarded) => other,
        },
    )
}

proptest! {
    #[test]
    fn the_newest_desire_wins_and_what_is_in_flight_waits_for_its_answer(
        events in prop::collection::vec(any_event(), 1..60),
    ) {
        let mut leg = leg(Pending);
        let mut wanted = (leg.quantity, leg.revision);
        for (n, mut event) in events.into_iter().enumerate() {
            if let Desired { revision, quantity, .. } = &mut event {
                *revision = Revision(10 + n as u64);
                wanted = (*quantity, *revision);
            }
            let before = leg.clone();
            let Ok(after) = step(&leg, event.clone(), NOW) else { continue };
            prop_assert_eq!((after.quantity, after.revision), wanted);
            prop_assert!(after.revision >= before.revision);
            if let InFlight(sent) = &before.state {
                let answered = matches!(
                    event,
                    Applied { .. } | Event::Accepted { .. } | Stale { .. } | Rejected { .. }
                        | Deferred { .. } | NotSent { .. } | Unknown { .. }
                );
                prop_assert!(answered || after.sent() == Some(sent), "{event:?} lost what is in flight");
            }
            if matches!(before.state, Probing { .. }) {
                prop_assert!(!matches!(after.state, InFlight(_)), "sent again without a look");
            }
            leg = after;
        }
    }
}

#[test]
fn a_leg_may_go_with_fewer_and_fewer_until_the_channel_has_answered_for_it() {
    let run = |events: &[Event]| {
        let mut leg = leg(InFlight(sent(5)));
        for event in events {
            leg = step(&leg, event.clone(), NOW).expect("it makes sense");
        }
        leg.suspect.map(|suspect| suspect.most)
    };
    let failed = |among| Unknown { look_at: LATER, among };
    let again = || [Fenced, Sending(sent(5))];
    let [fenced, sending] = again();
    let rounds = [failed(250), fenced.clone(), sending.clone(), failed(31), fenced.clone(), sending.clone()];
    assert_eq!(run(&rounds[..1]), Some(31));
    assert_eq!(run(&rounds), Some(3));
    let alone = [&rounds[..], &[failed(3)]].concat();
    assert_eq!(run(&alone), Some(1));
    let larger = [failed(8), fenced.clone(), sending.clone(), failed(250)];
    assert_eq!(run(&larger), Some(1), "it never grows by a failure");
    assert_eq!(run(&[failed(0)]), None, "a restart says nothing of the listing");
    assert_eq!(run(&[NotSent { until: NOW, among: 0 }]), None, "nor what was not sent because of others");
    assert_eq!(run(&[NotSent { until: NOW, among: 1 }]), Some(1));
    let desired = Desired { quantity: Quantity::new(9), revision: Revision(8), cause: Seq(9) };
    assert_eq!(run(&[&alone[..], &[desired]].concat()), Some(1), "a newer quantity changes nothing of it");
    assert_eq!(run(&[&alone[..], &[Unread { look_at: LATER }]].concat()), Some(1));
    for answer in [
        Applied { look_at: LATER },
        Event::Accepted { look_at: LATER },
        Stale { look_at: LATER, explained: true },
        Rejected { reason: "no".to_owned() },
    ] {
        let answered = [&rounds[..], std::slice::from_ref(&answer)].concat();
        assert_eq!(run(&answered), None, "{answer:?}");
    }
    assert_eq!(run(&[&alone[..], &[SeenWanted]].concat()), None);
    assert_eq!(run(&[&alone[..], &[SeenSent]].concat()), None);
    assert_eq!(run(&[&rounds[..], &[Deferred { until: NOW }]].concat()), Some(3), "throttled: not tried");
}

/// A write of 5 from each of these (`!`: something else than orders was found before it), each refused -> how often in a row.
#[track_caller]
fn check_contended(compared: &[&str], want: u32) {
    let refused = |held: Leg, compared: &&str| {
        let units = compared.trim_start_matches('!').parse().expect("units");
        let sent = Sent { compare: Some(Quantity::new(units)), ..*sent(5) };
        let explained = !compared.starts_with('!');
        let sending =
            step(&Leg { state: Pending, ..held }, Sending(Box::new(sent)), NOW).expect("it is sent");
        step(&sending, Stale { look_at: NOW, explained }, NOW).expect("it is refused")
    };
    let last = compared.iter().fold(leg(Pending), refused);
    assert_eq!(last.contended.as_deref().map_or(0, |held| held.times), want, "{compared:?}");
    assert_eq!(last.contended_since().is_some(), want >= CONTENDED, "{compared:?}");
    let calm = [Fenced, Sending(sent(5)), Applied { look_at: LATER }].into_iter();
    let calm = calm.fold(last, |leg, event| step(&leg, event, NOW).expect("a good event"));
    assert_eq!(calm.contended, None);
}

#[test]
fn a_lower_is_contended_if_it_is_refused_each_time_with_something_else() {
    check_contended(&["9"], 1);
    check_contended(&["9", "8", "7"], 3);
    check_contended(&["9", "8", "7", "6"], 4);
    check_contended(&["9", "8", "8"], 1); // what is shown did not move: something else refuses it
    check_contended(&["9", "8", "!7"], 1);
    check_contended(&["9", "8", "!7", "6"], 2);
    check_contended(&["9", "8", "4"], 0); // a raise
    check_contended(&["4", "3"], 0);
}
