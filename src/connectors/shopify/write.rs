//! Carrying puts to the shop, call by call.

use std::collections::VecDeque;

use crate::connectors::{
    Outcome, Put,
    shopify::{
        call::Caller,
        decode,
        encode::{self, BATCH, Entry, Plan},
        graphql::SET_QUANTITIES,
        options::Location,
    },
};

/// The most calls that one write makes. A batch that one unnamed entry spoils is halved again and again; what is still
/// unsent after that comes back as such and is tried with the next batch.
const CALLS_MAX: usize = 16;

/// Writes all puts; returns one outcome for each, in the same order.
pub(super) async fn write(caller: &Caller, location: &Location, puts: &[Put]) -> Vec<Outcome> {
    let Plan { entries, refused } = encode::plan(puts, location);
    let mut all: Vec<Option<Outcome>> = vec![None; puts.len()];
    for (index, outcome) in refused {
        all[index] = Some(outcome);
    }
    let mut open: VecDeque<&[Entry<'_>]> = entries.chunks(BATCH).collect();
    let mut calls = 0;
    let mut stopped = None;
    while let Some(part) = open.pop_front() {
        if calls == CALLS_MAX && stopped.is_none() {
            stopped = Some(format!("not reached within {CALLS_MAX} calls"));
        }
        if let Some(reason) = &stopped {
            part.iter()
                .for_each(|entry| all[entry.index] = Some(Outcome::NotSent { reason: reason.clone() }));
            continue;
        }
        calls += 1;
        let variables = encode::set_quantities(part, location);
        let data = caller.call(&SET_QUANTITIES, &variables).await.map(|said| said.data);
        match decode::set_quantities(data, part.len()) {
            decode::Said::Split => {
                let (left, right) = part.split_at(part.len() / 2);
                open.push_front(right);
                open.push_front(left);
            }
            decode::Said::Each(outcomes) => {
                stopped = outcomes.iter().find_map(stops);
                for (entry, outcome) in part.iter().zip(outcomes) {
                    all[entry.index] = Some(outcome);
                }
            }
        }
    }
    let forgotten = || Outcome::Unknown { fault: "no outcome was noted".to_owned() };
    all.into_iter().map(|outcome| outcome.unwrap_or_else(forgotten)).collect()
}

/// Returns why no further call is worth making after this outcome, if so: the next one would fare the same.
fn stops(outcome: &Outcome) -> Option<String> {
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
