//! Alerts about units that were sold and are not there. A SKU has one of its own as long as few have; in a flash sale that
//! goes wrong on many, one alert tells of the rest.

use std::collections::BTreeMap;

use super::Condition;
use crate::{
    core::{
        decide::Draft,
        ledger::Cause,
        oversold::Oversell,
        record::{AlertKind, Record},
        state::{AlertKey, State},
    },
    model::{LocationId, Policies, Quantity, Sku, which},
};

/// How many SKUs have an alert of their own: those that have been oversold for longest, so that none loses its own to
/// another.
const OWN: usize = 10;
/// How many of the others are named.
const NAMED: usize = 10;
/// How many of what is made good one tick records.
const AT_ONCE: usize = 1_000;
/// The subject of the alert about the others.
const OTHERS: &str = "other SKUs";

impl Draft<'_> {
    /// Records which SKUs are not oversold any more.
    pub(super) fn note_made_good(&mut self, policies: &Policies) {
        let places = policies.own_places();
        let over = |(sku, _): &(&Sku, &Oversell)| missing(self.state, sku, &places).is_zero();
        let over: Vec<Sku> =
            self.state.oversold.iter().filter(over).map(|(sku, _)| sku.clone()).take(AT_ONCE).collect();
        for sku in over {
            self.emit(Record::MadeGood { sku });
        }
    }
}

/// Returns how many units are sold, or promised, that are not at any of these places.
fn missing(state: &State, sku: &Sku, places: &[LocationId]) -> Quantity {
    // What became part of another SKU is missing there.
    let available = state.skus.get(state.canonical(sku)).and_then(|row| row.available(places).ok().flatten());
    available.and_then(|available| available.neg().ok()).map_or(Quantity::ZERO, Quantity::or_zero)
}

/// Returns the alerts about oversells.
pub(super) fn conditions(state: &State, policies: &Policies) -> BTreeMap<AlertKey, Condition> {
    let least = i64::from(policies.alerts.oversold_units);
    if least == 0 || state.oversold.is_empty() {
        return BTreeMap::new();
    }
    let places = policies.own_places();
    let open = state.oversold.iter().map(|(sku, last)| (sku, last, missing(state, sku, &places).units()));
    let mut open: Vec<(&Sku, &Oversell, i64)> = open.filter(|(.., missing)| *missing >= least).collect();
    open.sort_by_key(|(sku, last, _)| (last.since, *sku));
    let others = open.split_off(open.len().min(OWN));
    let own = open.into_iter().map(|(sku, last, missing)| {
        let waiting = grown(usize::try_from(missing).unwrap_or(usize::MAX));
        (sku.to_string(), Condition { text: text(sku, last, missing), waiting })
    });
    let others = (!others.is_empty()).then(|| {
        let names = others.iter().rev().take(NAMED).map(|(sku, ..)| sku.as_str());
        let text = format!(
            "{} more {} oversold, of late {}; see `evenkeel explain SKU` of each",
            others.len(),
            which(others.len(), "SKU is", "SKUs are"),
            names.collect::<Vec<_>>().join(", ")
        );
        (OTHERS.to_owned(), Condition { text, waiting: grown(others.len()) })
    });
    let key = |subject| AlertKey { kind: AlertKind::Oversold, subject };
    own.chain(others).map(|(subject, condition)| (key(subject), condition)).collect()
}

/// Returns a count that grows only when what is counted has doubled, so that people are not told of each unit.
fn grown(count: usize) -> usize {
    count.checked_ilog2().map_or(0, |log| 1 << log)
}

fn text(sku: &Sku, last: &Oversell, missing: i64) -> String {
    let (units, class) = (last.units, last.class);
    let by = match &last.cause {
        Cause::Order { order, .. } => format!("order {order}"),
        Cause::Count { counter, .. } => format!("a count by {counter}"),
        Cause::Edit { channel, .. } => format!("an edit on {channel}"),
        Cause::Operator { note } => format!("a person: {note}"),
        Cause::Merged { from, .. } => format!("the merge of {from}"),
        Cause::Intent { intent } => format!("transfer {intent}"),
    };
    format!(
        "{missing} {} sold that {} not there, of late {units} by {by}, class {}: {}; see `evenkeel explain {sku}`",
        which(missing, "unit is", "units are"),
        which(missing, "is", "are"),
        class.name(),
        class.meaning()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_told_again_when_it_has_doubled() {
        let got = [0, 1, 2, 3, 4, 7, 8, 1_000].map(grown);
        assert_eq!(got, [0, 1, 2, 2, 4, 4, 8, 512]);
    }
}
