//! What people are told of what has not arrived while a channel or an ERP gives no answer.

use super::world::{OPENED, channel, opened, order, run, serve};
use crate::{
    core::{Command, Reply, State, circuit::Health, decide},
    model::{DeliveryId, Outcome, Timestamp},
    web::view::{OrderView, Outbox, OutboxKind, Status},
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(OPENED).plus_millis(seconds * 1_000)
}

fn then(state: &mut State, seconds: i64, command: Command) -> Reply {
    decide(state, command, at(seconds)).1.expect("taken")
}

/// The orders of the shop are read.
fn read(state: &mut State, seconds: i64) {
    let (begun, begun_at, through) = (state.seq, at(seconds), at(seconds));
    then(state, seconds, Command::Fed { channel: channel("main"), begun, begun_at, through });
}

/// Lets every write to the shop fail that is due.
fn fail(state: &mut State, seconds: i64) {
    let take = Command::Take { channel: channel("main"), limit: 10, apart: 4 };
    let Reply::Work { puts, apart, .. } = then(state, seconds, take) else { panic!("no work") };
    for request in std::iter::once(puts).chain(apart.puts).filter(|request| !request.is_empty()) {
        let failed = || Outcome::NotSent { reason: format!("connection refused at {seconds}") };
        let answers = request.into_iter().map(|(listing, put)| (listing, put.key, failed())).collect();
        then(state, seconds, Command::Answer { channel: channel("main"), answers });
    }
}

async fn why(state: &State) -> String {
    let served = serve(state.clone(), |_| {}).await;
    let outbox: Outbox =
        serde_json::from_value(served.get("/v1/outbox?channel=main").await).expect("an outbox");
    let row = outbox.rows.iter().find(|row| row.subject == "TSHIRT/BL").expect("it has not arrived");
    row.why.clone().expect("it says why")
}

#[tokio::test]
async fn an_outage_is_not_blamed_on_a_listing_as_long_as_nothing_was_heard_of_the_channel() {
    let mut state = opened();
    read(&mut state, 0);
    for seconds in [10, 40, 100] {
        fail(&mut state, seconds);
    }
    let told = why(&state).await;
    let since = "requests to it fail since 2023-11-14T22:13:30Z, the last with: connection refused at 100; it goes again";
    assert_eq!(told.replace(".000Z", "Z"), since);
    read(&mut state, 160);
    let told = why(&state).await;
    assert!(
        told.starts_with("3 tries in a row failed (the last: connection refused at 100)")
            && told.contains("while the channel answers otherwise"),
        "{told}"
    );
}

#[tokio::test]
async fn an_open_circuit_says_since_when_and_what_was_said_last() {
    let mut state = opened();
    read(&mut state, 0);
    for (n, why) in ["no answer within 10s", "a", "b", "c", "channel answered 503: upkeep"].iter().enumerate()
    {
        let health = Health::Silent((*why).to_owned());
        let failed = Command::ReadFailed { channel: channel("main"), health, alone: None };
        then(&mut state, 1 + i64::try_from(n).expect("few"), failed);
    }
    let told = why(&state).await.replace(".000Z", "Z");
    let said = "requests to it fail since 2023-11-14T22:13:21Z, the last with: channel answered 503: upkeep";
    assert_eq!(told, format!("the channel's circuit is open ({said})"));
    let served = serve(state.clone(), |_| {}).await;
    let status: Status = serde_json::from_value(served.get("/v1/status").await).expect("a status");
    let main = status.channels.iter().find(|c| c.channel == channel("main")).expect("it is configured");
    let json = serde_json::to_value(&main.circuit).expect("encodes");
    assert_eq!(json["last_error"], "channel answered 503: upkeep", "{json}");
    let tick = Command::Tick;
    then(&mut state, 6, tick);
    let alert =
        state.alerts.values().find(|alert| alert.text.contains("does not answer")).expect("it alerts");
    assert!(alert.text.contains("(channel answered 503: upkeep)"), "{}", alert.text);
}

#[tokio::test]
async fn what_an_erp_did_not_take_names_the_last_error() {
    let mut state = opened();
    let delivery = DeliveryId::new("d-1").expect("an id");
    let (orders, fetch, look) = (vec![order("1001", "MUG", 2)], Vec::new(), Vec::new());
    run(&mut state, Command::Push { channel: channel("main"), delivery, orders, fetch, look });
    let outcomes = [
        Outcome::NotSent { reason: "connection refused".to_owned() },
        Outcome::Unknown { fault: format!("no answer within 30s {}", "x".repeat(5_000)) },
    ];
    let mut seconds = 0;
    for outcome in outcomes {
        seconds += 600;
        let take = Command::TakePostings { channel: channel("erp"), limit: 10 };
        let Reply::Postings(mut postings) = then(&mut state, seconds, take) else { panic!("no postings") };
        let posting = postings.pop().expect("one is due");
        let (order, sequence) = (posting.order, posting.sequence);
        then(
            &mut state,
            seconds,
            Command::Posted { channel: channel("erp"), order, sequence, outcome, found: None },
        );
    }
    let served = serve(state.clone(), |_| {}).await;
    let outbox: Outbox =
        serde_json::from_value(served.get("/v1/outbox?channel=erp").await).expect("an outbox");
    let row = outbox.rows.iter().find(|row| row.kind == OutboxKind::Posting).expect("it is not posted");
    let why = row.why.as_deref().unwrap_or_default();
    assert!(
        why.starts_with("2 tries in a row did not go through; it goes again; the last try: no answer"),
        "{why}"
    );
    assert!(why.len() < 500, "{} bytes", why.len());
    let told: OrderView = serde_json::from_value(served.get("/v1/orders/main/1001").await).expect("an order");
    let reason = told.postings[0].reason.clone().unwrap_or_default();
    assert!(reason.starts_with("no answer within 30s"), "{reason}");
    // The ERP takes it: nothing is left of that.
    seconds += 600;
    let take = Command::TakePostings { channel: channel("erp"), limit: 10 };
    let Reply::Postings(mut postings) = then(&mut state, seconds, take) else { panic!("no postings") };
    let posting = postings.pop().expect("one is due");
    let (order, sequence) = (posting.order, posting.sequence);
    let posted =
        Command::Posted { channel: channel("erp"), order, sequence, outcome: Outcome::Applied, found: None };
    then(&mut state, seconds, posted);
    let served = serve(state, |_| {}).await;
    let told: OrderView = serde_json::from_value(served.get("/v1/orders/main/1001").await).expect("an order");
    assert_eq!((told.postings[0].state.as_str(), &told.postings[0].reason), ("done", &None));
}
