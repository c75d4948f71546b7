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
    model::{Sku, shell, which},
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
    pub(super) fn note_made_good(&mut self) {
        let over: Vec<Sku> = self.state.index.short.made_good().take(AT_ONCE).cloned().collect();
        for sku in over {
            self.emit(Record::MadeGood { sku });
        }
    }
}

/// Returns the alerts about oversells.
pub(super) fn conditions(state: &State) -> BTreeMap<AlertKey, Condition> {
    let short = &state.index.short;
    let own = short.told().take(OWN).filter_map(|sku| {
        let (last, missing) = (state.oversold.get(sku)?, short.missing(sku).units());
        let waiting = grown(usize::try_from(missing).unwrap_or(usize::MAX));
        Some((sku.to_string(), Condition { text: text(sku, last, missing), waiting, asks: false }))
    });
    let others = short.told().len().saturating_sub(OWN);
    let rest = (others > 0).then(|| {
        let names = short.told().rev().take(others.min(NAMED)).map(Sku::as_str);
        let text = format!(
            "{others} more {} oversold, of late {}; see `evenkeel explain SKU` of each",
            which(others, "SKU is", "SKUs are"),
            names.collect::<Vec<_>>().join(", ")
        );
        (OTHERS.to_owned(), Condition { text, waiting: grown(others), asks: false })
    });
    let key = |subject| AlertKey { kind: AlertKind::Oversold, subject };
    own.chain(rest).map(|(subject, condition)| (key(subject), condition)).collect()
}

/// Returns a count that grows only when what is counted has doubled, so that people are not told of each unit.
pub(super) fn grown(count: usize) -> usize {
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
        "{missing} {} sold that {} not there, of late {units} by {by}, class {}: {}; see `evenkeel explain {}`",
        which(missing, "unit is", "units are"),
        which(missing, "is", "are"),
        class.name(),
        class.meaning(),
        shell(sku)
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
