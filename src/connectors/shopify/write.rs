//! Carrying puts to the shop, call by call.

use std::collections::{BTreeMap, VecDeque};

use crate::connectors::{
    Outcome, Put,
    shopify::{
        call::Caller,
        decode::{self, Said},
        encode::{self, BATCH, Entry, Plan},
        graphql::SET_QUANTITIES,
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
    // What must be stocked first holds up nothing else: lowers are never among it.
    let (doubtful, sure): (Vec<_>, Vec<_>) = entries.into_iter().partition(stock::is_doubtful);
    let stopped = set(caller, sure, &mut all).await;
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
