//! Carrying puts to the shop, call by call.

use std::collections::{BTreeMap, VecDeque};

use crate::connectors::{
    Outcome, Put,
    shopify::{
        call::Caller,
        decode::{self, Said},
        encode::{self, BATCH, Entry, Plan},
        graphql::{ADJUST_QUANTITIES, SET_QUANTITIES},
        options::Locations,
        stock,
    },
};

/// The most calls that one write makes. What one entry spoils is sent again without it, or in halves where it is not
/// named; what is still unsent after that comes back as such and is tried with the next batch.
const CALLS_MAX: usize = 16;

/// Writes all puts; returns one outcome for each, in the same order.
pub(super) async fn write(caller: &Caller, locations: &Locations, puts: &[Put]) -> Vec<Outcome> {
    let Plan { entries, refused } = encode::plan(puts, locations);
    let mut all: BTreeMap<usize, Outcome> = refused.into_iter().collect();
    let (deltas, entries): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.put.delta.is_some());
    // What must be stocked first holds up nothing else: lowers are never among it. The lane sends it beside the others.
    let (doubtful, sure): (Vec<_>, Vec<_>) = entries.into_iter().partition(stock::is_doubtful);
    let stopped = set(caller, sure, &mut all).await;
    let stopped = adjust(caller, &deltas, stopped, &mut all).await;
    match stopped {
        Some(reason) => all.extend(doubtful.iter().map(|entry| (entry.index, not_sent(&reason)))),
        None if doubtful.is_empty() => {}
        None => {
            let (rest, stocked) = stock::stock(caller, locations, doubtful).await;
            all.extend(stocked);
            set(caller, rest, &mut all).await;
        }
    }
    let forgotten = || Outcome::Unknown { fault: "no outcome was noted".to_owned() };
    (0..puts.len()).map(|index| all.remove(&index).unwrap_or_else(forgotten)).collect()
}

/// Tells whether an item may have to be stocked first, which takes calls of its own.
pub(super) fn is_slow(locations: &Locations, put: &Put) -> bool {
    let Plan { entries, .. } = encode::plan(std::slice::from_ref(put), locations);
    entries.iter().any(stock::is_doubtful)
}

fn not_sent(reason: &str) -> Outcome {
    Outcome::NotSent { reason: reason.to_owned() }
}

/// Sets quantities, and notes what became of each. Returns why no further call is worth making, if so.
async fn set(caller: &Caller, entries: Vec<Entry<'_>>, all: &mut BTreeMap<usize, Outcome>) -> Option<String> {
    let mut open: VecDeque<Vec<Entry<'_>>> = entries.chunks(BATCH).map(<[Entry<'_>]>::to_vec).collect();
    let mut calls = 0;
    let mut stopped = None;
    while let Some(mut part) = open.pop_front() {
        if calls == CALLS_MAX && stopped.is_none() {
            stopped = Some(format!("not reached within {CALLS_MAX} calls"));
        }
        if let Some(reason) = &stopped {
            all.extend(part.iter().map(|entry| (entry.index, not_sent(reason))));
            continue;
        }
        calls += 1;
        let variables = encode::set_quantities(&part);
        let data = caller.call(&SET_QUANTITIES, &variables).await.map(|said| said.data);
        match decode::set_quantities(data, part.len()) {
            Said::Each(outcomes) => {
                stopped = outcomes.iter().find_map(stops);
                all.extend(part.iter().map(|entry| entry.index).zip(outcomes));
            }
            Said::Blamed(blamed) => {
                let mut innocent = Vec::with_capacity(part.len());
                for (n, entry) in part.into_iter().enumerate() {
                    match blamed.get(&n) {
                        Some(outcome) => drop(all.insert(entry.index, outcome.clone())),
                        None => innocent.push(entry),
                    }
                }
                if !innocent.is_empty() {
                    open.push_front(innocent);
                }
            }
            Said::Split => {
                open.push_front(part.split_off(part.len() / 2));
                open.push_front(part);
            }
        }
    }
    stopped
}

/// Changes quantities by so much, each in a call of its own, and notes what became of each. `stopped`: why no further call is worth
/// making.
async fn adjust(
    caller: &Caller,
    entries: &[Entry<'_>],
    mut stopped: Option<String>,
    all: &mut BTreeMap<usize, Outcome>,
) -> Option<String> {
    let mut calls = 0;
    for entry in entries {
        let outcome = match (&stopped, entry.put.delta) {
            (Some(reason), _) => not_sent(reason),
            (None, None) => not_sent("it is no delta"),
            (None, Some(_)) if calls == CALLS_MAX => Outcome::Throttled { retry_after_ms: 0 },
            (None, Some(delta)) => {
                calls += 1;
                let variables = encode::adjust_quantities(entry, delta);
                let data = caller.call(&ADJUST_QUANTITIES, &variables).await.map(|said| said.data);
                decode::adjust_quantities(data)
            }
        };
        stopped = stopped.or_else(|| stops(&outcome).filter(|_| calls < CALLS_MAX));
        all.insert(entry.index, outcome);
    }
    stopped
}

/// Returns why no further call is worth making after this outcome, if so: the next one would fare the same.
pub(super) fn stops(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Throttled { .. } => Some("the shop throttles".to_owned()),
        Outcome::Unauthorized { reason } => Some(reason.clone()),
        Outcome::Unknown { fault } => Some(format!("an earlier call had no answer: {fault}")),
        Outcome::Applied
        | Outcome::Accepted { .. }
        | Outcome::Stale
        | Outcome::Rejected { .. }
        | Outcome::NotSent { .. } => None,
    }
}
