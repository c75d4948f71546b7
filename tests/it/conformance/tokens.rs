//! Tokens that end.

use evenkeel::connectors::{Fault, Outcome};
use futures::future::join_all;

use super::{
    bench::{Bench, Item, all_are, is_done, read, shows, write},
    front::Strike,
    reads::says,
    subjects::credentials,
};

fn refusal(bench: &Bench) -> Strike {
    let (status, body) = bench.subject.refusal;
    says(status, &[], body)
}

pub(super) async fn an_ended_token_is_exchanged_once_in_the_middle_of_a_batch(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    let (subject, asks_token) = (bench.subject, bench.subject.asks_token);
    let used = bench.front.asked().iter().map(|asked| credentials(&subject, asked).to_owned()).last();
    let ended = used.filter(|token| !token.is_empty()).expect("a token was used");
    bench.front.strike(
        move |asked| !asks_token(asked) && credentials(&subject, asked) == ended,
        2,
        refusal(&bench),
    );
    let each = known.items.iter().enumerate().map(|(nth, item)| {
        let item: &[Item] = std::slice::from_ref(item);
        write(&*connector, item, nth + 10, 6)
    });
    for outcomes in join_all(each).await {
        all_are(&outcomes, is_done, "in the middle");
    }
    let tokens = bench.count(asks_token);
    assert_eq!(tokens, 1, "one new token does for all");
    shows(&*connector, &known.items, 0, 6).await;
    let more: Vec<Item> = known.items.iter().map(|item| Item { shown: 6, ..item.clone() }).collect();
    all_are(&write(&*connector, &more, 50, 7).await, is_done, "the whole batch");
    assert_eq!(bench.count(asks_token), 0, "the new token is good");
}

pub(super) async fn a_token_that_is_refused_again_stops_the_lane(bench: Bench) {
    let (connector, known) = bench.at_work().await;
    let asks_token = bench.subject.asks_token;
    bench.front.asked();
    bench.front.strike(bench.all(), 0, refusal(&bench));
    let outcomes = write(&*connector, &known.items, 1, 6).await;
    all_are(&outcomes, |outcome| matches!(outcome, Outcome::Unauthorized { .. }), bench.subject.name);
    bench.is_discreet(&format!("{outcomes:?}"));
    let asked = bench.front.asked();
    let tokens = asked.iter().filter(|asked| asks_token(asked)).count();
    // Each put is sent twice at most, and where they go at once each of these may use up a token.
    assert!(tokens <= 2 * known.items.len(), "{tokens} tokens");
    bench.front.pass();
    all_are(&write(&*connector, &known.items, 1, 6).await, is_done, "with a good one");
}

pub(super) async fn without_a_token_nothing_is_sent(bench: Bench) {
    type Case = (Strike, fn(&Outcome) -> bool, fn(&Fault) -> bool);
    let unsent: fn(&Outcome) -> bool = |outcome| matches!(outcome, Outcome::NotSent { .. });
    let unread: fn(&Fault) -> bool = |fault| matches!(fault, Fault::Disconnected(_));
    let cases: [Case; 6] = [
        (Strike::Cut, unsent, unread),
        (says(500, &[], "<html>"), unsent, unread),
        (says(200, &[], "<html>"), unsent, unread),
        (says(302, &[("location", "http://127.0.0.1:1/")], ""), unsent, unread),
        (
            says(429, &[("retry-after", "7")], "{}"),
            |outcome| matches!(outcome, Outcome::Throttled { retry_after_ms: 1..=10_000 }),
            |fault| matches!(fault, Fault::Throttled { .. }),
        ),
        (
            says(400, &[], r#"{"error": "invalid_client", "error_description": "no"}"#),
            |outcome| matches!(outcome, Outcome::Unauthorized { .. }),
            |fault| matches!(fault, Fault::Unauthorized(_)),
        ),
    ];
    let (working, known) = bench.busy().await;
    let reads = bench.reads(&*working, &known).await;
    let asks_token = bench.subject.asks_token;
    for (nth, (strike, outcome, fault)) in cases.into_iter().enumerate() {
        bench.front.strike(asks_token, 0, strike);
        bench.front.asked();
        let connector = bench.connector();
        let write = async {
            all_are(&write(&*connector, &known.items, nth, 6).await, outcome, &format!("case {nth}"));
        };
        let all = join_all(reads.iter().map(|kind| read(&*connector, *kind, &known, None)));
        let ((), all) = tokio::join!(write, all);
        for (kind, got) in reads.iter().zip(all) {
            let got = got.expect_err("there is no token");
            assert!(fault(&got), "case {nth}: {kind:?}: {got:?}");
            bench.is_discreet(&got.to_string());
        }
        let sent = bench.count(|asked| !asks_token(asked));
        assert_eq!(sent, 0, "case {nth}: requests left without a token");
        bench.front.pass();
    }
}
